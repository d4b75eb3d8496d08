/*
 * dns_set: the names of one configuration.  A name lives as long as a set
 * holds it; several sets share what is known of it.
 */

#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "dns_private.h"


static void dns_set_timer(evutil_socket_t fd, short what, void *data);


dns_set_t *
dns_set_new(dns_t *d, const char *const *names, size_t n)
{
    dns_set_t  *set;

    set = calloc(1, sizeof(dns_set_t));
    if (set == NULL) {
        return NULL;
    }

    set->dns = d;
    set->next = d->sets;
    d->sets = set;

    set->entries = calloc(n + 1, sizeof(dns_entry_t *));
    if (set->entries == NULL) {
        goto failed;
    }

    for ( ; set->n < n; set->n++) {
        set->entries[set->n] = dns_entry_get(d, names[set->n]);
        if (set->entries[set->n] == NULL) {
            goto failed;
        }
    }

    return set;

failed:

    dns_set_free(set);
    return NULL;
}


void
dns_set_free(dns_set_t *set)
{
    size_t       i;
    dns_set_t  **p;

    if (set == NULL) {
        return;
    }

    for (p = &set->dns->sets; *p != set; p = &(*p)->next) { /* void */ }
    *p = set->next;

    for (i = 0; i < set->n; i++) {
        dns_entry_put(set->entries[i]);
    }

    if (set->timer != NULL) {
        event_free(set->timer);
    }

    if (set->release != NULL) {
        set->release(set->owner);
    }

    free(set->entries);
    free(set);
}


void
dns_set_own(dns_set_t *set, void *owner, void (*release)(void *owner))
{
    set->owner = owner;
    set->release = release;
}


void *
dns_set_owner(const dns_set_t *set)
{
    return set->owner;
}


size_t
dns_set_size(const dns_set_t *set)
{
    return set->n;
}


int
dns_set_resolve(dns_set_t *set, unsigned timeout_ms, dns_ready_pt ready,
    void *data)
{
    size_t          i;
    struct timeval  tv;

    set->timer = evtimer_new(set->dns->base, dns_set_timer, set);
    if (set->timer == NULL) {
        return -1;
    }

    set->ready = ready;
    set->data = data;

    tv.tv_sec = timeout_ms / 1000;
    tv.tv_usec = timeout_ms % 1000 * 1000;

    if (evtimer_add(set->timer, &tv) == -1) {
        event_free(set->timer);
        set->timer = NULL;
        return -1;
    }

    /* what an earlier run left is good enough to begin with */
    for (i = 0; i < set->n; i++) {
        if (!evtimer_pending(set->entries[i]->timer, NULL)) {
            dns_start(set->entries[i]);
        }
    }

    dns_settle(set->dns);

    return 0;
}


compile_endpoint_t *
dns_set_endpoints(arena_t *a, const dns_set_t *set, size_t *n)
{
    size_t               i;
    dns_entry_t         *e;
    compile_endpoint_t  *out;

    *n = set->n;
    out = arena_zalloc(a, (set->n + 1) * sizeof(compile_endpoint_t));

    for (i = 0; i < set->n; i++) {
        e = set->entries[i];

        out[i].name = e->name;
        out[i].len = strlen(e->name);
        out[i].addresses = e->addresses.items;
        out[i].n = e->addresses.n;
        out[i].names = e->addresses.names;

        if (out[i].n == 0) {
            out[i].error = e->known ? e->error : KONG_ENDPOINT_DNS_ERROR;
        }
    }

    return out;
}


void
dns_seed(dns_t *d, const char *name, const kong_address_t *addresses,
    size_t n)
{
    size_t            i;
    dns_entry_t      *e;
    dns_addresses_t   copy;

    memset(&copy, 0, sizeof(copy));
    HASH_FIND_STR(d->entries, name, e);

    if (e == NULL || e->known || n == 0 || n > DNS_ADDRESSES) {
        return;
    }

    copy.items = malloc(n * sizeof(kong_address_t));
    if (copy.items == NULL) {
        return;
    }

    /* byte for byte as dns_add() makes them */
    for (i = 0; i < n; i++) {
        memset(&copy.items[i], 0, sizeof(kong_address_t));
        memcpy(copy.items[i].addr, addresses[i].addr,
               addresses[i].ipv6 ? 16 : 4);
        copy.items[i].port = addresses[i].port;
        copy.items[i].weight = addresses[i].weight;
        copy.items[i].ipv6 = addresses[i].ipv6;
        copy.items[i].flags = addresses[i].flags;
    }

    copy.n = n;

    dns_take(e, &copy);
    e->stale_until = dns_now() + d->conf.stale_ttl;
}


uint64_t
dns_sum(const compile_endpoint_t *endpoints, size_t n)
{
    size_t                 i, k;
    uint64_t               sum, h;
    const char            *name;
    kong_address_t         a;
    const kong_address_t  *from;

    sum = n;

    for (i = 0; i < n; i++) {
        h = XXH3_64bits(endpoints[i].name, endpoints[i].len);
        h = h * 31 + endpoints[i].error;

        for (k = 0; k < endpoints[i].n; k++) {
            from = &endpoints[i].addresses[k];

            /* ids are made by the compiler and say nothing new */
            memset(&a, 0, sizeof(a));
            memcpy(a.addr, from->addr, sizeof(a.addr));
            a.port = from->port;
            a.weight = from->weight;
            a.ipv6 = from->ipv6;
            a.flags = from->flags;

            h = XXH3_64bits_withSeed(&a, sizeof(a), h);

            if (from->host != 0 && endpoints[i].names != NULL) {
                name = endpoints[i].names + from->host;
                h = XXH3_64bits_withSeed(name, strlen(name), h);
            }
        }

        sum += XXH3_64bits(&h, sizeof(h));
    }

    return sum;
}


/* wakes the sets whose names are all known */
void
dns_settle(dns_t *d)
{
    dns_set_t  *set;

    for (set = d->sets; set != NULL; set = set->next) {

        if (set->timer == NULL) {
            continue;
        }

        while (set->known < set->n && set->entries[set->known]->known) {
            set->known++;
        }

        if (set->known == set->n) {
            event_active(set->timer, EV_TIMEOUT, 0);
        }
    }
}


static void
dns_set_timer(evutil_socket_t fd, short what, void *data)
{
    dns_set_t  *set = data;

    (void) fd;
    (void) what;

    event_free(set->timer);
    set->timer = NULL;

    set->ready(set->data);
}
