/*
 * endpoints: resolved names and upstreams become the endpoints segment.
 */

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "compile.h"
#include "upstreams.h"
#include "writer.h"
#include "../../ngx_kong_module/snapshot/kong_balancer.h"


typedef struct {
    uint64_t                   key;
    const compile_endpoint_t  *endpoint;
    size_t                     upstream;     /* index + 1; 0: a name */
} endpoints_key_t;

typedef struct {
    arena_t          *arena;
    endpoints_key_t  *keys;
    size_t            n;
    upstream_t       *upstreams;
    size_t            n_upstreams;
} endpoints_t;


static int endpoints_keys(endpoints_t *all, const compile_endpoint_t *list,
    size_t n, const char **err);
static int endpoints_unique(arena_t *a, endpoints_key_t *keys, size_t *n,
    const char **err);
static int endpoints_cmp(const void *one, const void *two);
static void endpoints_write(endpoints_t *all, writer_t *w);
static void endpoints_addresses(kong_address_t *to,
    const compile_endpoint_t *from, uint64_t key);


int
compile_endpoints(arena_t *a, const config_t *c,
    const compile_endpoint_t *endpoints, size_t n,
    const compile_opts_t *opts, segment_buf_t *out, const char **err)
{
    int                     rc;
    writer_t                w;
    endpoints_t             all;
    kong_segment_header_t   head;

    memset(&all, 0, sizeof(all));
    all.arena = a;
    all.upstreams = upstreams_resolve(a, c, endpoints, n, &all.n_upstreams);

    if (endpoints_keys(&all, endpoints, n, err) != 0) {
        return -1;
    }

    writer_init(&w, KONG_SEGMENT_ENDPOINTS);
    endpoints_write(&all, &w);

    memset(&head, 0, sizeof(head));
    head.generation = opts->generation;
    head.created = opts->created;
    memset(head.source_hash, '0', sizeof(head.source_hash));

    rc = writer_finish(&w, &head, out);
    writer_release(&w);

    if (rc != 0) {
        *err = "the endpoints are larger than a segment can be, or there is "
               "no memory left";
    }

    return rc;
}


/* names and upstreams by key; a key is there once */
static int
endpoints_keys(endpoints_t *all, const compile_endpoint_t *list, size_t n,
    const char **err)
{
    size_t                i;
    endpoints_key_t      *k;
    compile_endpoint_t   *names;

    k = arena_zalloc(all->arena, (n + all->n_upstreams + 1) * sizeof(*k));
    names = arena_zalloc(all->arena,
                         (all->n_upstreams + 1) * sizeof(*names));
    all->keys = k;

    for (i = 0; i < n; i++) {
        k[i].key = kong_endpoint_key(list[i].name, list[i].len);
        k[i].endpoint = &list[i];
    }

    for (i = 0; i < all->n_upstreams; i++) {
        names[i].name = all->upstreams[i].name;
        names[i].len = all->upstreams[i].len;
        k[n + i].key = all->upstreams[i].key;
        k[n + i].endpoint = &names[i];
        k[n + i].upstream = i + 1;
    }

    all->n = n + all->n_upstreams;
    qsort(k, all->n, sizeof(endpoints_key_t), endpoints_cmp);

    return endpoints_unique(all->arena, k, &all->n, err);
}


static void
endpoints_write(endpoints_t *all, writer_t *w)
{
    size_t                     i, n_addresses;
    endpoints_key_t           *k;
    kong_address_t            *to;
    kong_endpoint_t           *e, **upstreams;
    const compile_endpoint_t  *from;

    for (i = 0, n_addresses = 0; i < all->n; i++) {
        k = &all->keys[i];
        n_addresses += (k->upstream != 0) ? all->upstreams[k->upstream - 1].n
                                          : k->endpoint->n;
    }

    e = writer_records(w, KONG_SECTION_ENDPOINTS, all->n, sizeof(*e));
    to = writer_records(w, KONG_SECTION_ADDRESSES, n_addresses, sizeof(*to));
    upstreams = arena_alloc(all->arena,
                            (all->n_upstreams + 1) * sizeof(*upstreams));

    for (i = 0, n_addresses = 0; i < all->n && !w->failed; i++) {
        k = &all->keys[i];
        from = k->endpoint;

        if (k->upstream != 0) {
            upstreams[k->upstream - 1] = &e[i];
            continue;
        }

        e[i].key = k->key;
        e[i].first = (uint32_t) n_addresses;
        e[i].n = (uint32_t) from->n;
        e[i].error = (from->n == 0) ? from->error : KONG_ENDPOINT_OK;
        e[i].name = writer_string(w, from->name, from->len);
        e[i].balancer = KONG_NONE;

        endpoints_addresses(to + n_addresses, from, k->key);
        n_addresses += from->n;
    }

    if (all->n_upstreams != 0 && !w->failed) {
        upstreams_write(all->upstreams, all->n_upstreams, all->arena, w,
                        upstreams, to, (uint32_t) n_addresses);
    }
}


/* names that differ in case are one name: the first one counts */
static int
endpoints_unique(arena_t *a, endpoints_key_t *keys, size_t *n,
    const char **err)
{
    size_t                     i, kept;
    const compile_endpoint_t  *one, *two;

    for (i = 0, kept = 0; i < *n; i++) {

        if (kept != 0 && keys[kept - 1].key == keys[i].key) {
            one = keys[kept - 1].endpoint;
            two = keys[i].endpoint;

            if (one->len != two->len
                || strncasecmp(one->name, two->name, one->len) != 0
                || keys[kept - 1].upstream != keys[i].upstream)
            {
                *err = arena_printf(a, "endpoints '%.*s' and '%.*s' have "
                                    "the same key", (int) one->len,
                                    one->name, (int) two->len, two->name);
                return -1;
            }

            continue;
        }

        keys[kept++] = keys[i];
    }

    *n = kept;

    return 0;
}


static int
endpoints_cmp(const void *one, const void *two)
{
    const endpoints_key_t  *a, *b;

    a = one;
    b = two;

    if (a->key != b->key) {
        return (a->key > b->key) ? 1 : -1;
    }

    return (a->endpoint > b->endpoint) - (a->endpoint < b->endpoint);
}


/* an id says the same address of the same endpoint in every generation */
static void
endpoints_addresses(kong_address_t *to, const compile_endpoint_t *from,
    uint64_t key)
{
    size_t   i;
    uint8_t  text[16 + 2 + 1];

    for (i = 0; i < from->n; i++) {
        to[i] = from->addresses[i];

        if (!to[i].ipv6) {
            memset(to[i].addr + 4, 0, sizeof(to[i].addr) - 4);
        }

        to[i].host = 0;
        to[i].target = 0;

        if (to[i].id == 0) {
            memcpy(text, to[i].addr, 16);
            memcpy(text + 16, &to[i].port, 2);
            text[18] = to[i].ipv6;
            to[i].id = XXH3_64bits_withSeed(text, sizeof(text), key);
        }
    }
}
