/*
 * kong_balancer: how an upstream chooses among its addresses: the sections
 * BALANCERS, BALANCER_TABLES and HEALTH of the endpoints segment, and their
 * readers.  Written by controld/compile/upstreams.c, specified in
 * docs/segment-format.md.
 */

#ifndef KONG_BALANCER_H
#define KONG_BALANCER_H

#include "kong_segment.h"


/*
 * How an upstream chooses among its addresses.  Tables are in the section
 * BALANCER_TABLES, as (first, n) of its u32 entries.
 *
 * `sequence` is round-robin's: indexes of addresses (from the endpoint's
 * first), each as often as its weight wants, evenly mixed.
 *
 * `ring` is consistent hashing's: position << 16 | index of address, by
 * ascending position (from 0).  The entry of a hash is the last one whose
 * position is not above it, going round at the start.
 */
typedef struct {
    uint64_t  id;                    /* stable: of the upstream's name */
    uint8_t   algorithm;             /* kong_algorithm_t */
    uint8_t   hash_on;               /* kong_hash_on_t */
    uint8_t   hash_fallback;
    uint8_t   reserved;
    uint32_t  hash_name;             /* ref: header (lower case), cookie,
                                        argument, capture */
    uint32_t  fallback_name;
    uint32_t  cookie_path;           /* ref */
    uint32_t  sequence;
    uint32_t  n_sequence;
    uint32_t  ring;
    uint32_t  n_ring;
    uint32_t  slots;                 /* positions of the ring */
    uint32_t  weight;                /* sum of the addresses' */
    uint32_t  threshold;             /* of healthchecks, in 0.001 % */
    uint32_t  health;                /* index of kong_health_t; KONG_NONE:
                                        health checks are off */
} kong_balancer_t;

typedef enum {
    KONG_ROUND_ROBIN = 0,
    KONG_CONSISTENT_HASHING,
    KONG_LEAST_CONNECTIONS,
    KONG_LATENCY
} kong_algorithm_t;

typedef enum {
    KONG_HASH_NONE = 0,
    KONG_HASH_CONSUMER,
    KONG_HASH_IP,
    KONG_HASH_HEADER,
    KONG_HASH_COOKIE,
    KONG_HASH_PATH,
    KONG_HASH_QUERY_ARG,
    KONG_HASH_URI_CAPTURE
} kong_hash_on_t;

#define KONG_STATUS_MIN  100
#define KONG_STATUS_MAX  999

/* bits of statuses from KONG_STATUS_MIN on */
typedef struct {
    uint32_t  bits[29];
} kong_statuses_t;

/* counters that are 0 are not looked at */
typedef struct {
    kong_statuses_t  healthy;
    kong_statuses_t  unhealthy;
    uint8_t          successes;
    uint8_t          tcp_failures;
    uint8_t          timeouts;
    uint8_t          http_failures;
} kong_checks_t;

/* upstreams with equal ones share a record */
typedef struct {
    kong_checks_t  passive;
    kong_checks_t  active;
} kong_health_t;


/* of the endpoint; NULL when it is a name */
const kong_balancer_t *kong_balancer(const kong_segment_t *seg,
    const kong_endpoint_t *e);
/* NULL: health checks are off */
const kong_health_t *kong_balancer_health(const kong_segment_t *seg,
    const kong_balancer_t *b);
const uint32_t *kong_balancer_table(const kong_segment_t *seg,
    uint32_t first);
/* the index of the entry in the balancer's ring; n_ring is not 0 */
uint32_t kong_ring_find(const kong_segment_t *seg, const kong_balancer_t *b,
    uint32_t hash);
/* XXH32 with Kong's seed */
uint32_t kong_ring_hash(const char *text, size_t len);

/* for kong_segment.c */
kong_segment_rc_t kong_balancer_verify(const kong_segment_t *seg,
    const kong_endpoint_t *e);
kong_segment_rc_t kong_unresolved_verify(const kong_segment_t *seg);

static inline int
kong_status_in(const kong_statuses_t *s, unsigned status)
{
    if (status < KONG_STATUS_MIN || status > KONG_STATUS_MAX) {
        return 0;
    }

    status -= KONG_STATUS_MIN;

    return (s->bits[status / 32] >> (status % 32)) & 1;
}


#endif
