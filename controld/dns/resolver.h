/*
 * resolver: single DNS questions through c-ares on the daemon's loop.  Knows
 * nothing of caching, order of types or /etc/hosts: that is dns.c.
 */

#ifndef KONG_RESOLVER_H
#define KONG_RESOLVER_H

#include <stddef.h>
#include <stdint.h>
#include <event2/event.h>


typedef struct resolver_s  resolver_t;

typedef enum {
    RESOLVER_A = 1,
    RESOLVER_CNAME = 5,
    RESOLVER_AAAA = 28,
    RESOLVER_SRV = 33
} resolver_type_t;

typedef enum {
    RESOLVER_OK = 0,
    RESOLVER_NOT_FOUND,            /* no such name, or none of this type */
    RESOLVER_FAILED                /* no or a bad answer */
} resolver_rc_t;

typedef struct {
    unsigned     type;             /* resolver_type_t */
    uint32_t     ttl;              /* seconds */
    uint8_t      addr[16];
    uint16_t     priority;         /* SRV */
    uint16_t     weight;
    uint16_t     port;
    char         name[256];        /* the owner, lower case */
    char         target[256];      /* SRV, CNAME: lower case */
} resolver_record_t;

/* all records of the answer and additional sections; live during the call */
typedef void (*resolver_done_pt)(void *data, resolver_rc_t rc,
    const resolver_record_t *records, size_t n);


/*
 * `servers`: "ip[:port],..." or NULL for resolv.conf.  `timeout` in ms for the
 * first try.  NULL with *err a sentence.
 */
resolver_t *resolver_new(struct event_base *base, const char *servers,
    unsigned timeout, unsigned tries, const char **err);
/* every question under way is answered with RESOLVER_FAILED first */
void resolver_free(resolver_t *r);

/* `search`: apply resolv.conf's search domains.  done() is called exactly
 * once, possibly before this returns */
void resolver_ask(resolver_t *r, const char *name, unsigned type,
    unsigned search, resolver_done_pt done, void *data);

#endif
