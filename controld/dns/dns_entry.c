/*
 * dns_entry: one entry a name, one lookup at a time for each.
 *
 * A lookup asks for all types of the order at once and takes the first of
 * the order that has answers; when a better type keeps silent (servers that
 * drop SRV questions exist) what is there is taken after a moment.  Later
 * refreshes ask for the type that was found, if the order begins with LAST.
 *
 * Two tries of 2 and 4 s and our own error_ttl bring a name back within
 * seconds after an outage, where five doubling tries would take a minute.
 */

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../log.h"
#include "dns_private.h"


static void dns_entry_timer(evutil_socket_t fd, short what, void *data);
static void dns_run(dns_entry_t *e);
static int dns_from_hosts(dns_entry_t *e);
static void dns_miss(dns_entry_t *e, resolver_rc_t rc);
static void dns_next(dns_t *d);
static int dns_by_address(const void *one, const void *two);


dns_entry_t *
dns_entry_get(dns_t *d, const char *name)
{
    dns_entry_t  *e;

    HASH_FIND_STR(d->entries, name, e);

    if (e != NULL) {
        e->refs++;
        return e;
    }

    e = calloc(1, sizeof(dns_entry_t));
    if (e == NULL) {
        return NULL;
    }

    e->dns = d;
    e->refs = 1;
    e->name = strdup(name);
    e->timer = evtimer_new(d->base, dns_entry_timer, e);

    if (e->name == NULL || e->timer == NULL) {
        free(e->name);
        if (e->timer != NULL) {
            event_free(e->timer);
        }
        free(e);
        return NULL;
    }

    HASH_ADD_KEYPTR(hh, d->entries, e->name, strlen(e->name), e);

    return e;
}


void
dns_entry_put(dns_entry_t *e)
{
    dns_t         *d;
    dns_entry_t  **p;

    if (--e->refs != 0) {
        return;
    }

    d = e->dns;
    HASH_DEL(d->entries, e);

    if (e->queued) {
        for (p = &d->first; *p != e; p = &(*p)->next) { /* void */ }

        *p = e->next;
        if (*p == NULL) {
            d->last = p;
        }
    }

    if (e->lookup != NULL) {
        e->lookup->entry = NULL;
        dns_lookup_put(e->lookup);
        d->running--;

        if (!d->closing) {
            dns_next(d);
        }
    }

    event_free(e->timer);
    dns_addresses_release(&e->addresses);
    free(e->name);
    free(e);
}


static void
dns_entry_timer(evutil_socket_t fd, short what, void *data)
{
    size_t         i;
    dns_entry_t   *e = data;
    dns_lookup_t  *l;

    (void) fd;
    (void) what;

    l = e->lookup;

    if (l == NULL) {
        dns_start(e);
        return;
    }

    /* the grace is over: the best of what has come */
    for (i = 0; i < l->n; i++) {
        if (l->slots[i].addresses.n != 0 && l->slots[i].pending == 0) {
            dns_finish(l, &l->slots[i]);
            return;
        }
    }
}


void
dns_entry_schedule(dns_entry_t *e, double seconds)
{
    struct timeval  tv;

    /* the timer also tells that the entry is fresh: never 0 */
    if (seconds < 0.001) {
        seconds = 0.001;
    }

    tv.tv_sec = (time_t) seconds;
    tv.tv_usec = (suseconds_t) ((seconds - (double) tv.tv_sec) * 1e6);

    (void) evtimer_add(e->timer, &tv);
}


void
dns_start(dns_entry_t *e)
{
    dns_t  *d;

    d = e->dns;

    if (e->lookup != NULL || e->queued || dns_from_hosts(e)) {
        return;
    }

    if (d->running < DNS_PARALLEL) {
        dns_run(e);
        return;
    }

    e->queued = 1;
    e->next = NULL;
    *d->last = e;
    d->last = &e->next;
}


static void
dns_run(dns_entry_t *e)
{
    size_t         i;
    dns_t         *d;
    dns_lookup_t  *l;

    d = e->dns;

    l = calloc(1, sizeof(dns_lookup_t));
    if (l == NULL) {
        dns_entry_schedule(e, d->conf.error_ttl);
        return;
    }

    (void) evtimer_del(e->timer);

    l->entry = e;
    l->refs = 2;                       /* the entry's and this function's */
    e->lookup = l;
    d->running++;

    for (i = 0; i < DNS_TYPES_MAX && d->conf.order[i] != 0; i++) {

        /* CNAME is not asked for: every answer brings it along */
        if (d->conf.order[i] == RESOLVER_CNAME
            || (d->conf.last && e->type != 0
                && e->type != d->conf.order[i]))
        {
            continue;
        }

        l->slots[l->n].type = d->conf.order[i];
        l->slots[l->n].ttl = -1;
        l->slots[l->n].rc = RESOLVER_NOT_FOUND;
        l->slots[l->n].pending = 1;
        l->n++;
    }

    for (i = 0; i < l->n; i++) {
        dns_ask(l, &l->slots[i], e->name, NULL, l->slots[i].type);
        l->slots[i].pending--;
    }

    dns_evaluate(l);
    dns_lookup_put(l);
}


static int
dns_from_hosts(dns_entry_t *e)
{
    size_t                  i, k;
    unsigned                ipv6;
    dns_t                  *d;
    dns_slot_t              slot;
    const hosts_address_t  *a;

    d = e->dns;
    memset(&slot, 0, sizeof(slot));

    for (k = 0; k < DNS_TYPES_MAX && slot.addresses.n == 0; k++) {

        if (d->conf.order[k] != RESOLVER_A
            && d->conf.order[k] != RESOLVER_AAAA)
        {
            continue;
        }

        ipv6 = (d->conf.order[k] == RESOLVER_AAAA);

        for (i = 0; (a = hosts_get(d->hosts, e->name, i)) != NULL; i++) {
            if (a->ipv6 == ipv6) {
                dns_add(&slot, a->addr, ipv6, NULL);
            }
        }
    }

    if (slot.addresses.n == 0) {
        return 0;
    }

    dns_take(e, &slot.addresses);
    dns_entry_schedule(e, DNS_HOSTS_TTL);
    dns_settle(d);

    return 1;
}


void
dns_finish(dns_lookup_t *l, dns_slot_t *best)
{
    size_t          i;
    double          ttl;
    dns_t          *d;
    dns_entry_t    *e;
    resolver_rc_t   rc;

    e = l->entry;
    d = e->dns;

    /* answers that are still to come find nobody */
    l->entry = NULL;
    e->lookup = NULL;
    d->running--;

    if (best != NULL) {
        ttl = (d->conf.valid_ttl >= 0) ? d->conf.valid_ttl : best->ttl;
        if (ttl < DNS_TTL_MIN) {
            ttl = DNS_TTL_MIN;
        }

        e->type = best->type;
        e->failing = 0;
        e->stale_until = dns_now() + ttl + d->conf.stale_ttl;
        dns_take(e, &best->addresses);
        dns_entry_schedule(e, ttl);

    } else {
        rc = RESOLVER_NOT_FOUND;

        for (i = 0; i < l->n; i++) {
            if (l->slots[i].rc == RESOLVER_FAILED) {
                rc = RESOLVER_FAILED;
            }
        }

        dns_miss(e, rc);
    }

    dns_lookup_put(l);

    if (!d->closing) {
        dns_next(d);
        dns_settle(d);
    }
}


/* `found` is emptied */
void
dns_take(dns_entry_t *e, dns_addresses_t *found)
{
    unsigned  same;

    qsort(found->items, found->n, sizeof(kong_address_t), dns_by_address);

    same = (e->addresses.n == found->n
            && memcmp(e->addresses.items, found->items,
                      found->n * sizeof(kong_address_t))
               == 0
            && e->addresses.names_len == found->names_len
            && (found->names_len == 0
                || memcmp(e->addresses.names + 1, found->names + 1,
                          found->names_len - 1)
                   == 0));

    dns_addresses_release(&e->addresses);
    e->addresses = *found;
    memset(found, 0, sizeof(dns_addresses_t));

    e->known = 1;
    e->error = KONG_ENDPOINT_OK;

    if (!same) {
        e->dns->changed(e->dns->data);
    }
}


void
dns_addresses_release(dns_addresses_t *a)
{
    free(a->items);
    free(a->names);
    memset(a, 0, sizeof(dns_addresses_t));
}


static void
dns_miss(dns_entry_t *e, resolver_rc_t rc)
{
    dns_t     *d;
    uint32_t   error;

    d = e->dns;

    if (d->closing) {
        return;
    }

    if (e->type != 0 && d->conf.last) {
        /* the type that used to work does not: ask for all of them */
        e->type = 0;
        dns_entry_schedule(e, 0);

        if (rc == RESOLVER_NOT_FOUND) {
            return;
        }

    } else {
        dns_entry_schedule(e, rc == RESOLVER_NOT_FOUND
                              ? d->conf.not_found_ttl : d->conf.error_ttl);
    }

    if (!e->failing) {
        e->failing = 1;
        log_write(LOG_WARN, "name '%s' %s%s", e->name,
                  rc == RESOLVER_NOT_FOUND ? "does not exist"
                                           : "could not be resolved",
                  rc == RESOLVER_FAILED && e->addresses.n != 0
                  ? ", its old addresses stay in use" : "");
    }

    /* a server's word ends an address; a failing server does not */
    if (rc == RESOLVER_FAILED && e->addresses.n != 0
        && dns_now() < e->stale_until)
    {
        return;
    }

    error = (rc == RESOLVER_NOT_FOUND) ? KONG_ENDPOINT_UNKNOWN
                                       : KONG_ENDPOINT_DNS_ERROR;

    if (e->addresses.n == 0 && e->known && e->error == error) {
        return;
    }

    dns_addresses_release(&e->addresses);
    e->known = 1;
    e->error = error;

    d->changed(d->data);
}


static void
dns_next(dns_t *d)
{
    dns_entry_t  *e;

    /* a lookup that fails at once comes back here: no recursion */
    if (d->starting) {
        return;
    }

    d->starting = 1;

    while (d->running < DNS_PARALLEL && (e = d->first) != NULL) {
        d->first = e->next;
        if (d->first == NULL) {
            d->last = &d->first;
        }

        e->queued = 0;
        dns_run(e);
    }

    d->starting = 0;
}


static int
dns_by_address(const void *one, const void *two)
{
    return memcmp(one, two, sizeof(kong_address_t));
}


double
dns_now(void)
{
    struct timespec  t;

    (void) clock_gettime(CLOCK_MONOTONIC, &t);

    return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}
