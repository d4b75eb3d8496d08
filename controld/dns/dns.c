/*
 * dns: one entry a name, one lookup at a time for each.
 *
 * A lookup asks for all types of the order at once and takes the first of
 * the order that has answers; when a better type keeps silent (servers that
 * drop SRV questions exist) what is there is taken after a moment.  Later
 * refreshes ask for the type that was found, if the order begins with LAST.
 *
 * Two tries of 2 and 4 s and our own error_ttl bring a name back within
 * seconds after an outage, where five doubling tries would take a minute.
 */

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <uthash.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "../log.h"
#include "dns.h"
#include "hosts.h"


#define DNS_TRIES         2
#define DNS_PARALLEL      128      /* lookups under way; others wait */
#define DNS_GRACE         250      /* ms for a better type */
#define DNS_DEPTH         8        /* CNAMEs followed */
#define DNS_ADDRESSES     256      /* of one name */
#define DNS_TTL_MIN       1.0
#define DNS_HOSTS_TTL     315360000.0


typedef struct dns_entry_s   dns_entry_t;
typedef struct dns_lookup_s  dns_lookup_t;

typedef struct {
    kong_address_t  *items;
    size_t           n;
} dns_addresses_t;

struct dns_entry_s {
    dns_t            *dns;
    char             *name;
    unsigned          refs;            /* sets */
    dns_addresses_t   addresses;
    uint32_t          error;           /* KONG_ENDPOINT_*, without addresses */
    unsigned          known:1;         /* answered, or seeded, once */
    unsigned          queued:1;
    unsigned          failing:1;       /* said in the log */
    unsigned          type;            /* that worked last */
    double            stale_until;
    struct event     *timer;           /* next refresh; grace of a lookup */
    dns_lookup_t     *lookup;
    dns_entry_t      *next;            /* waiting for its turn */
    UT_hash_handle    hh;
};

/* the answers of one type */
typedef struct {
    unsigned          type;
    unsigned          pending;
    resolver_rc_t     rc;
    double            ttl;
    dns_addresses_t   addresses;
} dns_slot_t;

struct dns_lookup_s {
    dns_entry_t  *entry;               /* NULL: given up */
    unsigned      refs;                /* questions under way, and the entry */
    size_t        n;
    dns_slot_t    slots[DNS_TYPES_MAX];
};

typedef struct {
    dns_lookup_t  *lookup;
    dns_slot_t    *slot;
    unsigned       depth;
    unsigned       type;
    uint16_t       port;               /* of the SRV record that led here */
    uint16_t       weight;
} dns_question_t;

struct dns_set_s {
    dns_t          *dns;
    dns_entry_t   **entries;
    size_t          n;
    size_t          known;             /* leading entries seen as known */
    struct event   *timer;             /* NULL: nobody waits */
    dns_ready_pt    ready;
    void           *data;
    dns_set_t      *next;
};

struct dns_s {
    struct event_base  *base;
    dns_conf_t          conf;
    resolver_t         *resolver;
    hosts_t            *hosts;
    dns_entry_t        *entries;
    dns_set_t          *sets;
    dns_changed_pt      changed;
    void               *data;
    unsigned            running;
    unsigned            closing:1;
    unsigned            starting:1;
    dns_entry_t        *first;
    dns_entry_t       **last;
};


static int dns_configure(dns_t *d, const dns_conf_t *conf, const char **err);
static dns_entry_t *dns_entry_get(dns_t *d, const char *name);
static void dns_entry_put(dns_entry_t *e);
static void dns_entry_timer(evutil_socket_t fd, short what, void *data);
static void dns_entry_schedule(dns_entry_t *e, double seconds);
static void dns_start(dns_entry_t *e);
static void dns_run(dns_entry_t *e);
static int dns_from_hosts(dns_entry_t *e);
static void dns_ask(dns_lookup_t *l, dns_slot_t *slot, const char *name,
    const dns_question_t *from, unsigned type);
static void dns_answer(void *data, resolver_rc_t rc,
    const resolver_record_t *records, size_t n);
static void dns_answer_address(dns_question_t *q,
    const resolver_record_t *records, size_t n);
static void dns_answer_srv(dns_question_t *q,
    const resolver_record_t *records, size_t n);
static void dns_srv_target(dns_question_t *q, const resolver_record_t *srv,
    const resolver_record_t *records, size_t n);
static void dns_add(dns_slot_t *slot, const uint8_t *addr, unsigned ipv6,
    uint16_t port, uint16_t weight);
static void dns_ttl(dns_slot_t *slot, double ttl);
static void dns_evaluate(dns_lookup_t *l);
static void dns_finish(dns_lookup_t *l, dns_slot_t *best);
static void dns_take(dns_entry_t *e, dns_addresses_t *found);
static void dns_miss(dns_entry_t *e, resolver_rc_t rc);
static void dns_lookup_put(dns_lookup_t *l);
static void dns_next(dns_t *d);
static void dns_settle(dns_t *d);
static void dns_set_timer(evutil_socket_t fd, short what, void *data);
static int dns_by_address(const void *one, const void *two);
static double dns_now(void);


void
dns_conf_order(dns_conf_t *conf, const char *const *words, size_t n)
{
    size_t  i, k, t;

    static const struct {
        const char  *name;
        unsigned     type;
    } types[] = {
        { "SRV", RESOLVER_SRV }, { "A", RESOLVER_A },
        { "AAAA", RESOLVER_AAAA }, { "CNAME", RESOLVER_CNAME }
    };

    memset(conf->order, 0, sizeof(conf->order));
    conf->last = 0;

    for (i = 0, k = 0; i < n; i++) {

        if (strcasecmp(words[i], "LAST") == 0) {
            conf->last = 1;
            continue;
        }

        for (t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
            if (strcasecmp(words[i], types[t].name) == 0 && k < DNS_TYPES_MAX)
            {
                conf->order[k++] = types[t].type;
            }
        }
    }
}


dns_t *
dns_new(struct event_base *base, const dns_conf_t *conf,
    dns_changed_pt changed, void *data, const char **err)
{
    dns_t  *d;

    d = calloc(1, sizeof(dns_t));
    if (d == NULL) {
        *err = "out of memory";
        return NULL;
    }

    d->base = base;
    d->changed = changed;
    d->data = data;
    d->last = &d->first;

    if (dns_configure(d, conf, err) == -1) {
        free(d);
        return NULL;
    }

    return d;
}


void
dns_free(dns_t *d)
{
    if (d == NULL) {
        return;
    }

    d->closing = 1;

    while (d->sets != NULL) {
        dns_set_free(d->sets);
    }

    resolver_free(d->resolver);
    hosts_free(d->hosts);
    free(d);
}


int
dns_reload(dns_t *d, const dns_conf_t *conf, const char **err)
{
    dns_entry_t  *e, *tmp;

    if (dns_configure(d, conf, err) == -1) {
        return -1;
    }

    HASH_ITER(hh, d->entries, e, tmp) {
        dns_start(e);
    }

    return 0;
}


static int
dns_configure(dns_t *d, const dns_conf_t *conf, const char **err)
{
    hosts_t     *hosts;
    resolver_t  *resolver;

    resolver = resolver_new(d->base, conf->servers, conf->timeout, DNS_TRIES,
                            err);
    if (resolver == NULL) {
        return -1;
    }

    hosts = hosts_load(conf->hostsfile);
    if (hosts == NULL) {
        *err = "out of memory";
        resolver_free(resolver);
        return -1;
    }

    /* what is under way fails quietly, and is asked again by the caller */
    d->closing = 1;
    resolver_free(d->resolver);
    d->closing = 0;
    hosts_free(d->hosts);

    d->conf = *conf;
    d->conf.servers = NULL;
    d->conf.hostsfile = NULL;
    d->resolver = resolver;
    d->hosts = hosts;

    return 0;
}


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

    free(set->entries);
    free(set);
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

            h = XXH3_64bits_withSeed(&a, sizeof(a), h);
        }

        sum += XXH3_64bits(&h, sizeof(h));
    }

    return sum;
}


static dns_entry_t *
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


static void
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
    free(e->addresses.items);
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


static void
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


static void
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
                dns_add(&slot, a->addr, ipv6, 0, 1);
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


static void
dns_ask(dns_lookup_t *l, dns_slot_t *slot, const char *name,
    const dns_question_t *from, unsigned type)
{
    dns_question_t  *q;

    q = calloc(1, sizeof(dns_question_t));
    if (q == NULL) {
        slot->rc = RESOLVER_FAILED;
        return;
    }

    if (from != NULL) {
        *q = *from;
        q->depth++;
    } else {
        q->weight = 1;
    }

    q->lookup = l;
    q->slot = slot;
    q->type = type;

    l->refs++;
    slot->pending++;

    /* what an answer names is a full name */
    resolver_ask(l->entry->dns->resolver, name, type, from == NULL,
                 dns_answer, q);
}


static void
dns_answer(void *data, resolver_rc_t rc, const resolver_record_t *records,
    size_t n)
{
    dns_question_t  *q = data;
    dns_lookup_t    *l;

    l = q->lookup;
    q->slot->pending--;

    if (l->entry != NULL) {

        if (rc == RESOLVER_OK) {
            if (q->type == RESOLVER_SRV) {
                dns_answer_srv(q, records, n);
            } else {
                dns_answer_address(q, records, n);
            }

        } else if (rc == RESOLVER_FAILED) {
            q->slot->rc = RESOLVER_FAILED;
        }

        dns_evaluate(l);
    }

    dns_lookup_put(l);
    free(q);
}


static void
dns_answer_address(dns_question_t *q, const resolver_record_t *records,
    size_t n)
{
    size_t                    i, found;
    const resolver_record_t  *alias;

    found = 0;
    alias = NULL;

    for (i = 0; i < n; i++) {

        if (records[i].type == q->type) {
            dns_add(q->slot, records[i].addr, q->type == RESOLVER_AAAA,
                    q->port, q->weight);
            dns_ttl(q->slot, records[i].ttl);
            found++;

        } else if (records[i].type == RESOLVER_CNAME) {
            /* the last of the chain is where to go on */
            alias = &records[i];
            dns_ttl(q->slot, records[i].ttl);
        }
    }

    if (found == 0 && alias != NULL && q->depth < DNS_DEPTH) {
        dns_ask(q->lookup, q->slot, alias->target, q, q->type);
    }
}


static void
dns_answer_srv(dns_question_t *q, const resolver_record_t *records, size_t n)
{
    size_t    i;
    unsigned  top;

    top = 65536;

    for (i = 0; i < n; i++) {
        if (records[i].type == RESOLVER_SRV && records[i].priority < top) {
            top = records[i].priority;
        }
    }

    for (i = 0; i < n; i++) {
        if (records[i].type == RESOLVER_SRV && records[i].priority == top
            && q->lookup->entry != NULL)
        {
            dns_ttl(q->slot, records[i].ttl);
            dns_srv_target(q, &records[i], records, n);
        }
    }
}


static void
dns_srv_target(dns_question_t *q, const resolver_record_t *srv,
    const resolver_record_t *records, size_t n)
{
    size_t          i, found;
    uint8_t         addr[16];
    uint16_t        weight;
    dns_question_t  from;

    weight = (srv->weight != 0) ? srv->weight : 1;
    memset(addr, 0, sizeof(addr));

    /* "." says that the service is not there */
    if (srv->target[0] == '\0') {
        return;
    }

    if (inet_pton(AF_INET, srv->target, addr) == 1) {
        dns_add(q->slot, addr, 0, srv->port, weight);
        return;
    }

    for (i = 0, found = 0; i < n; i++) {
        if (records[i].type == RESOLVER_A
            && strcmp(records[i].name, srv->target) == 0)
        {
            dns_add(q->slot, records[i].addr, 0, srv->port, weight);
            dns_ttl(q->slot, records[i].ttl);
            found++;
        }
    }

    if (found == 0 && q->depth < DNS_DEPTH) {
        from = *q;
        from.port = srv->port;
        from.weight = weight;

        dns_ask(q->lookup, q->slot, srv->target, &from, RESOLVER_A);
    }
}


static void
dns_add(dns_slot_t *slot, const uint8_t *addr, unsigned ipv6, uint16_t port,
    uint16_t weight)
{
    size_t           i;
    kong_address_t  *a;

    if (slot->addresses.n == DNS_ADDRESSES) {
        return;
    }

    for (i = 0; i < slot->addresses.n; i++) {
        a = &slot->addresses.items[i];

        if (a->ipv6 == ipv6 && a->port == port
            && memcmp(a->addr, addr, ipv6 ? 16 : 4) == 0)
        {
            return;
        }
    }

    a = realloc(slot->addresses.items,
                (slot->addresses.n + 1) * sizeof(kong_address_t));
    if (a == NULL) {
        return;
    }

    slot->addresses.items = a;
    a += slot->addresses.n++;

    memset(a, 0, sizeof(kong_address_t));
    memcpy(a->addr, addr, ipv6 ? 16 : 4);
    a->ipv6 = ipv6;
    a->port = port;
    a->weight = weight;
}


static void
dns_ttl(dns_slot_t *slot, double ttl)
{
    if (slot->ttl < 0 || ttl < slot->ttl) {
        slot->ttl = ttl;
    }
}


/* the first type of the order that has addresses wins; a type before it that
 * is still open holds it up for a moment */
static void
dns_evaluate(dns_lookup_t *l)
{
    size_t       i;
    unsigned     open;
    dns_slot_t  *best;

    if (l->entry == NULL) {
        return;
    }

    open = 0;
    best = NULL;

    for (i = 0; i < l->n && best == NULL; i++) {
        if (l->slots[i].pending != 0) {
            open = 1;

        } else if (l->slots[i].addresses.n != 0) {
            best = &l->slots[i];
        }
    }

    if (!open) {
        dns_finish(l, best);
        return;
    }

    if (best != NULL && !evtimer_pending(l->entry->timer, NULL)) {
        dns_entry_schedule(l->entry, DNS_GRACE / 1000.0);
    }
}


static void
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
static void
dns_take(dns_entry_t *e, dns_addresses_t *found)
{
    unsigned  same;

    qsort(found->items, found->n, sizeof(kong_address_t), dns_by_address);

    same = (e->addresses.n == found->n
            && memcmp(e->addresses.items, found->items,
                      found->n * sizeof(kong_address_t))
               == 0);

    free(e->addresses.items);
    e->addresses = *found;
    found->items = NULL;
    found->n = 0;

    e->known = 1;
    e->error = KONG_ENDPOINT_OK;

    if (!same) {
        e->dns->changed(e->dns->data);
    }
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

    free(e->addresses.items);
    memset(&e->addresses, 0, sizeof(dns_addresses_t));
    e->known = 1;
    e->error = error;

    d->changed(d->data);
}


static void
dns_lookup_put(dns_lookup_t *l)
{
    size_t  i;

    if (--l->refs != 0) {
        return;
    }

    for (i = 0; i < l->n; i++) {
        free(l->slots[i].addresses.items);
    }

    free(l);
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


/* wakes the sets whose names are all known */
static void
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


static int
dns_by_address(const void *one, const void *two)
{
    return memcmp(one, two, sizeof(kong_address_t));
}


static double
dns_now(void)
{
    struct timespec  t;

    (void) clock_gettime(CLOCK_MONOTONIC, &t);

    return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}
