/*
 * dns: the addresses of the names that services use, kept fresh.
 *
 * A set holds the names of one configuration; names are resolved as long as
 * a set holds them.  Order of types, TTLs and stale answers follow Kong's
 * dns_* settings.  Addresses are kept sorted, so that a server that rotates
 * its answers causes no change.
 */

#ifndef KONG_DNS_H
#define KONG_DNS_H

#include "../compile/compile.h"
#include "resolver.h"


#define DNS_TYPES_MAX  4


typedef struct dns_s      dns_t;
typedef struct dns_set_s  dns_set_t;

typedef struct {
    const char  *servers;            /* "ip[:port],..."; NULL: resolv.conf */
    const char  *hostsfile;          /* NULL: none */
    unsigned     order[DNS_TYPES_MAX];   /* RESOLVER_*, 0 ends it */
    unsigned     last;               /* LAST is in the order */
    double       valid_ttl;          /* s; < 0: the records' own */
    double       stale_ttl;
    double       not_found_ttl;
    double       error_ttl;
    unsigned     timeout;            /* ms, first try */
} dns_conf_t;

/* addresses of some name have changed */
typedef void (*dns_changed_pt)(void *data);
/* every name of the set is known, or the time is over */
typedef void (*dns_ready_pt)(void *data);


/* "LAST,SRV,A,CNAME" as a list of words */
void dns_conf_order(dns_conf_t *conf, const char *const *words, size_t n);

dns_t *dns_new(struct event_base *base, const dns_conf_t *conf,
    dns_changed_pt changed, void *data, const char **err);
/* sets must be gone */
void dns_free(dns_t *d);
/* new settings, resolv.conf and hosts file; every name is asked again and
 * keeps its addresses until then */
int dns_reload(dns_t *d, const dns_conf_t *conf, const char **err);

/* names in lower case; NULL: out of memory */
dns_set_t *dns_set_new(dns_t *d, const char *const *names, size_t n);
void dns_set_free(dns_set_t *set);
/* what the names are of; released with the set */
void dns_set_own(dns_set_t *set, void *owner, void (*release)(void *owner));
void *dns_set_owner(const dns_set_t *set);
size_t dns_set_size(const dns_set_t *set);
/* starts what is unknown; ready() is called once, never from within; a set
 * that is freed before is not reported */
int dns_set_resolve(dns_set_t *set, unsigned timeout_ms, dns_ready_pt ready,
    void *data);
/* for compile_endpoints(); pointers live as long as nothing changes */
compile_endpoint_t *dns_set_endpoints(arena_t *a, const dns_set_t *set,
    size_t *n);

/* addresses of an earlier run, used until a better answer comes; call it for
 * names of a set before dns_set_resolve() */
void dns_seed(dns_t *d, const char *name, const kong_address_t *addresses,
    size_t n);
/* equal contents have equal sums, in any order of names */
uint64_t dns_sum(const compile_endpoint_t *endpoints, size_t n);

#endif
