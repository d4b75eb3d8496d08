/*
 * ring: the tables by which an upstream's addresses are chosen: Kong's ring
 * of consistent hashing, and the sequence of round-robin.  Both depend on
 * nothing but their arguments, so that all nodes build the same.
 */

#ifndef KONG_COMPILE_RING_H
#define KONG_COMPILE_RING_H

#include "bytes.h"


#define RING_SLOTS_MIN     1000
#define RING_SLOTS_MAX     65536
#define RING_ADDRESSES     65535     /* an entry has 16 bits for one */
#define RING_SEQUENCE_MAX  65536

typedef struct {
    const char  *ip;                 /* as text; IPv6 in brackets */
    uint16_t     port;
    uint16_t     weight;
} ring_address_t;


/*
 * Appends entries of kong_balancer.h's ring, of addresses in Kong's order
 * (of target, then of address).  `targets` counts those without addresses,
 * too.  Returns the number of entries;
 * out->failed is set when there is no memory.
 */
size_t ring_build(const ring_address_t *addresses, size_t n, size_t targets,
    uint32_t slots, bytes_t *out);
/* the same of a sequence */
size_t ring_sequence(const ring_address_t *addresses, size_t n,
    bytes_t *out);

#endif
