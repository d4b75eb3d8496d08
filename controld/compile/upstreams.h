/*
 * upstreams: upstream entities and their targets -> the addresses and
 * balancers of the endpoints segment.  Part of compile_endpoints(); what is
 * published of an upstream depends on its entity, its targets and the
 * answers to the targets' names, and on nothing in the config segment.
 */

#ifndef KONG_COMPILE_UPSTREAMS_H
#define KONG_COMPILE_UPSTREAMS_H

#include "compile.h"
#include "ring.h"
#include "writer.h"


typedef struct upstream_s          upstream_t;
typedef struct upstream_target_s   upstream_target_t;
typedef struct upstream_address_s  upstream_address_t;

/* `id` comes first: see ids.h */
struct upstream_s {
    uint8_t              id[16];
    const value_t       *entity;
    const char          *name;
    size_t               len;
    uint64_t             key;
    upstream_target_t   *targets;    /* in Kong's order */
    size_t               n_targets;
    kong_address_t      *addresses;  /* in the order of the targets */
    const char         **hosts;      /* Host headers of the addresses */
    const char         **names;      /* "name:port" of their targets */
    ring_address_t      *texts;
    size_t               n;
    const char         **lost;       /* of targets without an address */
    size_t               n_lost;
};


/* with their addresses; `names` are the answers, in any order */
upstream_t *upstreams_resolve(arena_t *a, const config_t *c,
    const compile_endpoint_t *names, size_t n_names, size_t *n);
/* `e` and `to` are the records that upstreams_resolve() has promised */
void upstreams_write(upstream_t *u, size_t n, arena_t *a, writer_t *w,
    kong_endpoint_t **e, kong_address_t *to, uint32_t first);
/* of an address under the host of its target: the same in every generation */
uint64_t upstreams_address_id(uint64_t key, const char *host,
    const kong_address_t *address);
/* equal values, with members in the same order, have equal sums */
uint64_t upstreams_value_sum(const value_t *v, uint64_t seed);

#endif
