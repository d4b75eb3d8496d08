/*
 * kong_balancer: the readers of an upstream's tables and their verifier.
 * A table is read by every request of its upstream: nothing here copies.
 */

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "kong_balancer.h"


static unsigned kong_balancer_tables(const kong_segment_t *seg,
    const kong_balancer_t *b, uint32_t n_addresses);


const kong_balancer_t *
kong_balancer(const kong_segment_t *seg, const kong_endpoint_t *e)
{
    const kong_balancer_t  *b;

    if (e->balancer == KONG_NONE) {
        return NULL;
    }

    b = kong_segment_section(seg, KONG_SECTION_BALANCERS);

    return b + e->balancer;
}


const kong_health_t *
kong_balancer_health(const kong_segment_t *seg, const kong_balancer_t *b)
{
    const kong_health_t  *h;

    if (b->health == KONG_NONE) {
        return NULL;
    }

    h = kong_segment_section(seg, KONG_SECTION_HEALTH);

    return h + b->health;
}


const uint32_t *
kong_balancer_table(const kong_segment_t *seg, uint32_t first)
{
    const uint32_t  *t;

    t = kong_segment_section(seg, KONG_SECTION_BALANCER_TABLES);

    return (t != NULL) ? t + first : NULL;
}


uint32_t
kong_ring_hash(const char *text, size_t len)
{
    return XXH32(text, len, 0);
}


uint32_t
kong_ring_find(const kong_segment_t *seg, const kong_balancer_t *b,
    uint32_t hash)
{
    uint32_t         n, half, position;
    const uint32_t  *ring, *e;

    position = hash % b->slots;
    ring = kong_balancer_table(seg, b->ring);

    if (ring[0] >> 16 > position) {
        return b->n_ring - 1;
    }

    for (e = ring, n = b->n_ring; n > 1; n -= half) {
        half = n / 2;
        e = (e[half] >> 16 <= position) ? e + half : e;
    }

    return (uint32_t) (e - ring);
}


kong_segment_rc_t
kong_balancer_verify(const kong_segment_t *seg, const kong_endpoint_t *e)
{
    const kong_balancer_t  *b;

    if (e->balancer == KONG_NONE) {
        return KONG_SEGMENT_OK;
    }

    if (e->balancer >= seg->sections[KONG_SECTION_BALANCERS].n) {
        return KONG_SEGMENT_OFFSET;
    }

    b = kong_balancer(seg, e);

    if (b->algorithm > KONG_LATENCY
        || b->hash_on > KONG_HASH_URI_CAPTURE
        || b->hash_fallback > KONG_HASH_URI_CAPTURE
        || !kong_segment_ref_ok(seg, b->hash_name)
        || !kong_segment_ref_ok(seg, b->fallback_name)
        || !kong_segment_ref_ok(seg, b->cookie_path)
        || (b->health != KONG_NONE
            && b->health >= seg->sections[KONG_SECTION_HEALTH].n)
        || !kong_balancer_tables(seg, b, e->n))
    {
        return KONG_SEGMENT_OFFSET;
    }

    return KONG_SEGMENT_OK;
}


kong_segment_rc_t
kong_unresolved_verify(const kong_segment_t *seg)
{
    uint32_t                  i;
    const kong_unresolved_t  *u;

    u = kong_segment_section(seg, KONG_SECTION_UNRESOLVED);

    for (i = 0; i < seg->sections[KONG_SECTION_UNRESOLVED].n; i++) {
        if (!kong_segment_ref_ok(seg, u[i].upstream)
            || !kong_segment_ref_ok(seg, u[i].target))
        {
            return KONG_SEGMENT_OFFSET;
        }
    }

    return KONG_SEGMENT_OK;
}


static unsigned
kong_balancer_tables(const kong_segment_t *seg, const kong_balancer_t *b,
    uint32_t n_addresses)
{
    uint32_t         i, n;
    const uint32_t  *t;

    n = seg->sections[KONG_SECTION_BALANCER_TABLES].n;

    if (b->sequence > n || b->n_sequence > n - b->sequence
        || b->ring > n || b->n_ring > n - b->ring
        || (b->n_ring != 0 && b->slots == 0))
    {
        return 0;
    }

    t = kong_balancer_table(seg, b->sequence);

    for (i = 0; i < b->n_sequence; i++) {
        if (t[i] >= n_addresses) {
            return 0;
        }
    }

    t = kong_balancer_table(seg, b->ring);

    for (i = 0; i < b->n_ring; i++) {
        if ((t[i] & 0xffff) >= n_addresses
            || (t[i] >> 16) >= b->slots
            || (i != 0 && t[i] >> 16 <= t[i - 1] >> 16))
        {
            return 0;
        }
    }

    return 1;
}
