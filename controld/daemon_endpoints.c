/*
 * daemon_endpoints: from a generation's names, upstreams and targets to the
 * endpoints segment, and back from a segment to what an earlier run knew.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon_private.h"


static void daemon_set_release(void *owner);
static const config_t *daemon_set_config(const dns_set_t *set);


int
daemon_endpoints(arena_t *a, const dns_set_t *set, uint32_t generation,
    segment_buf_t *out, const char **err)
{
    size_t               n;
    compile_opts_t       opts;
    compile_endpoint_t  *list;

    list = dns_set_endpoints(a, set, &n);

    memset(&opts, 0, sizeof(opts));
    opts.generation = generation;
    opts.created = (uint64_t) (daemon_time() * 1000);

    return compile_endpoints(a, daemon_set_config(set), list, n, &opts, out,
                             err);
}


/* of all that daemon_endpoints() would write */
uint64_t
daemon_sum(arena_t *a, const dns_set_t *set)
{
    size_t               n;
    compile_endpoint_t  *list;

    list = dns_set_endpoints(a, set, &n);

    return dns_sum(list, n) + compile_upstreams_sum(daemon_set_config(set));
}


/* the names of a generation, which the set then holds */
dns_set_t *
daemon_set(arena_t *a, dns_t *dns, generation_t *g, size_t *n)
{
    dns_set_t          *set;
    const char *const  *names;

    names = generation_hosts(a, g, n);
    set = dns_set_new(dns, names, *n);

    if (set != NULL) {
        generation_get(g);
        dns_set_own(set, g, daemon_set_release);
    }

    return set;
}


static void
daemon_set_release(void *owner)
{
    generation_put(owner);
}


static const config_t *
daemon_set_config(const dns_set_t *set)
{
    generation_t  *g;

    g = dns_set_owner(set);

    return (g != NULL) ? g->config : NULL;
}


void
daemon_check(daemon_t *d)
{
    size_t               n;
    arena_t             *a;
    compile_endpoint_t  *list;

    if (d->set == NULL || (d->checked == d->sum && d->sum != 0
                           && !checker_shows(d->checker)))
    {
        return;
    }

    a = arena_new();
    list = dns_set_endpoints(a, d->set, &n);
    checker_watch(d->checker, daemon_set_config(d->set), list, n);
    arena_free(a);

    d->checked = d->sum;
}


void
daemon_seed(dns_t *dns, store_t *store, uint32_t endpoints)
{
    char                    name[256];
    size_t                  i;
    kong_str_t              s;
    const char             *err;
    segment_buf_t           buf;
    kong_segment_t          seg;
    const kong_endpoint_t  *e;

    if (endpoints == 0
        || store_read(store, KONG_SEGMENT_ENDPOINTS, endpoints, &buf, &err)
           == -1)
    {
        return;
    }

    if (kong_segment_open(&seg, buf.data, buf.size, KONG_SEGMENT_ENDPOINTS,
                          KONG_SEGMENT_VERIFY)
        == KONG_SEGMENT_OK)
    {
        for (i = 0; i < seg.sections[KONG_SECTION_ENDPOINTS].n; i++) {
            e = &seg.endpoints[i];
            s = kong_segment_str(&seg, e->name);

            if (e->n != 0 && e->balancer == KONG_NONE
                && s.len < sizeof(name)) {
                (void) snprintf(name, sizeof(name), "%s", s.data);
                dns_seed(dns, name, seg.addresses + e->first, e->n);
            }
        }
    }

    free(buf.data);
}
