/*
 * ring: see ring.h.
 *
 * Kong gives an address of average weight 160 points.  When they do not fit
 * the ring, Kong is left without one; here the points are halved until they
 * do, which changes nothing where Kong has a ring at all.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ring.h"
#include "../../ngx_kong_module/snapshot/kong_balancer.h"


#define RING_POINTS  160
#define RING_EMPTY   0xffffffffu

typedef struct {
    double    at;                    /* 0 to 1 */
    uint32_t  index;
} ring_place_t;


static int ring_try(uint32_t *ring, uint32_t slots,
    const ring_address_t *addresses, size_t n, double total, size_t targets,
    unsigned points);
static int ring_put(uint32_t *ring, uint32_t slots,
    const ring_address_t *address, uint32_t index, uint32_t entries);
static uint32_t ring_divisor(const ring_address_t *addresses, size_t n);
static int ring_by_place(const void *one, const void *two);


size_t
ring_build(const ring_address_t *addresses, size_t n, size_t targets,
    uint32_t slots, bytes_t *out)
{
    double     total;
    size_t     i, used;
    unsigned   points;
    uint32_t  *ring;

    if (slots < RING_SLOTS_MIN) {
        slots = RING_SLOTS_MIN;
    }

    for (i = 0, total = 0; i < n; i++) {
        total += addresses[i].weight;
    }

    if (total == 0) {
        return 0;
    }

    ring = malloc(slots * sizeof(uint32_t));
    if (ring == NULL) {
        out->failed = 1;
        return 0;
    }

    for (points = RING_POINTS; points != 0; points /= 2) {
        if (ring_try(ring, slots, addresses, n, total, targets, points) == 0)
        {
            break;
        }
    }

    for (i = 0, used = 0; i < slots; i++) {
        if (ring[i] != RING_EMPTY) {
            bytes_put32(out, (uint32_t) i << 16 | ring[i]);
            used++;
        }
    }

    free(ring);

    return used;
}


/* -1: the points do not fit */
static int
ring_try(uint32_t *ring, uint32_t slots, const ring_address_t *addresses,
    size_t n, double total, size_t targets, unsigned points)
{
    size_t    i;
    uint32_t  entries;

    memset(ring, 0xff, slots * sizeof(uint32_t));

    for (i = 0; i < n; i++) {

        if (addresses[i].weight == 0) {
            continue;
        }

        /* in this order: roundings must be Kong's */
        entries = (uint32_t) (addresses[i].weight / total * (double) targets
                              * points);

        if (entries == 0) {
            entries = 1;
        }

        if (ring_put(ring, slots, &addresses[i], (uint32_t) i, entries)
            == -1)
        {
            return -1;
        }
    }

    return 0;
}


static int
ring_put(uint32_t *ring, uint32_t slots, const ring_address_t *address,
    uint32_t index, uint32_t entries)
{
    int       len;
    char      name[320], *number;
    uint32_t  i, slot;

    len = snprintf(name, sizeof(name) - 16, "%s::%u ", address->ip,
                   address->port);
    number = name + len;

    for (i = 1; i <= entries; i++) {
        len = snprintf(number, 16, "%u", i);
        slot = kong_ring_hash(name, (size_t) (number - name) + (size_t) len)
               % slots;

        if (ring[slot] == RING_EMPTY) {
            ring[slot] = index;

        } else {
            /* a place that is taken is made up for */
            entries++;
        }

        if (i >= slots) {
            return -1;
        }
    }

    return 0;
}


size_t
ring_sequence(const ring_address_t *addresses, size_t n, bytes_t *out)
{
    size_t         i, used;
    uint32_t       k, weight, divisor;
    uint64_t       total;
    ring_place_t  *places;

    divisor = ring_divisor(addresses, n);

    for (i = 0, total = 0; i < n; i++) {
        total += addresses[i].weight / divisor;
    }

    if (total == 0) {
        return 0;
    }

    used = (total < RING_SEQUENCE_MAX) ? total : RING_SEQUENCE_MAX + n;

    places = malloc(used * sizeof(ring_place_t));
    if (places == NULL) {
        out->failed = 1;
        return 0;
    }

    for (i = 0, used = 0; i < n; i++) {

        weight = addresses[i].weight / divisor;

        if (total > RING_SEQUENCE_MAX && weight != 0) {
            weight = (uint32_t) (weight * (uint64_t) RING_SEQUENCE_MAX
                                 / total);
            weight += (weight == 0);
        }

        for (k = 0; k < weight; k++) {
            places[used].at = (k + 0.5) / weight;
            places[used].index = (uint32_t) i;
            used++;
        }
    }

    /* spreads the turns of each address evenly over the round */
    qsort(places, used, sizeof(ring_place_t), ring_by_place);

    for (i = 0; i < used; i++) {
        bytes_put32(out, places[i].index);
    }

    free(places);

    return used;
}


static uint32_t
ring_divisor(const ring_address_t *addresses, size_t n)
{
    size_t    i;
    uint32_t  a, b, c;

    for (i = 0, a = 0; i < n; i++) {
        for (b = addresses[i].weight; b != 0; b = c) {
            c = a % b;
            a = b;
        }
    }

    return (a != 0) ? a : 1;
}


static int
ring_by_place(const void *one, const void *two)
{
    const ring_place_t  *a, *b;

    a = one;
    b = two;

    if (a->at != b->at) {
        return (a->at > b->at) ? 1 : -1;
    }

    return (a->index > b->index) - (a->index < b->index);
}
