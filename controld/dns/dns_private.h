/*
 * dns_private: what the files of dns share.  dns.c has the settings,
 * dns_set.c the names of a configuration, dns_entry.c a name's life between
 * answers, dns_lookup.c the questions of one lookup.
 */

#ifndef KONG_DNS_PRIVATE_H
#define KONG_DNS_PRIVATE_H

#include <uthash.h>

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

/* `host` of an item is the offset of its SRV record's target in `names`, 0:
 * it is not of one */
typedef struct {
    kong_address_t  *items;
    size_t           n;
    char            *names;            /* from 1 on, each with its NUL */
    uint32_t         names_len;
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

typedef struct {
    uint16_t  port;
    uint16_t  weight;
    char      target[256];
} dns_srv_t;

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
    unsigned       by_srv;             /* an SRV record led here */
    dns_srv_t      srv;
} dns_question_t;

struct dns_set_s {
    dns_t          *dns;
    dns_entry_t   **entries;
    size_t          n;
    size_t          known;             /* leading entries seen as known */
    struct event   *timer;             /* NULL: nobody waits */
    dns_ready_pt    ready;
    void           *data;
    void           *owner;
    void          (*release)(void *owner);
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


/* dns_set.c */
void dns_settle(dns_t *d);

/* dns_entry.c */
dns_entry_t *dns_entry_get(dns_t *d, const char *name);
void dns_entry_put(dns_entry_t *e);
void dns_entry_schedule(dns_entry_t *e, double seconds);
void dns_start(dns_entry_t *e);
void dns_finish(dns_lookup_t *l, dns_slot_t *best);
void dns_take(dns_entry_t *e, dns_addresses_t *found);
void dns_addresses_release(dns_addresses_t *a);
double dns_now(void);

/* dns_lookup.c */
void dns_ask(dns_lookup_t *l, dns_slot_t *slot, const char *name,
    const dns_question_t *from, unsigned type);
/* `srv` is NULL when the name has the address itself */
void dns_add(dns_slot_t *slot, const uint8_t *addr, unsigned ipv6,
    const dns_srv_t *srv);
void dns_evaluate(dns_lookup_t *l);
void dns_lookup_put(dns_lookup_t *l);

#endif
