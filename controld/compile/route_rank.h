/*
 * route_rank: the total order of routes.  A route counts once for each of
 * its paths (an entry), and an entry's rank says how many go before it.
 */

#ifndef KONG_ROUTE_RANK_H
#define KONG_ROUTE_RANK_H

#include "route_index.h"


typedef struct {
    uint64_t  key;
    uint32_t  entry;
} route_key_t;


static inline unsigned
route_is_regex(const kong_str_t *path)
{
    return path->len != 0 && path->data[0] == '~';
}


/*
 * The ranks of all entries, in the order of the rules and their paths, in
 * malloc'ed memory; NULL when there is none.  There is room between them, for
 * the entries of later changes.  *order (when not NULL) becomes the entries in
 * their order, malloc'ed.
 */
uint32_t *route_ranks(const route_rule_t *rules, size_t n,
    route_order_t **order, size_t *n_order);

/*
 * The same for rules that come to an order, which loses those of the routes
 * that are set in `gone` (a byte a route); the other ranks stay.  NULL: there
 * is no room, or no memory.
 */
uint32_t *route_ranks_change(const route_order_t *from, size_t n_from,
    const uint8_t *gone, const route_rule_t *rules, size_t n,
    route_order_t **order, size_t *n_order);

/* by key, stable, in time that grows as n does; the two arrays of n may change
 * places */
void route_sort(route_key_t **keys, route_key_t **spare, size_t n);

#endif
