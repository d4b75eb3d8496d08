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
 * the entries of later changes.  *order becomes the entries in their order.
 */
uint32_t *route_ranks(const route_rule_t *rules, size_t n,
    route_ranking_t *order);

/*
 * The same for rules that come to an order, which loses the entries of
 * others; the other ranks stay.  `gone` says whose, a byte a route.  NULL:
 * there is no room, or no memory, or what goes is not there; the order is of
 * no use then.
 */
uint32_t *route_ranks_change(route_ranking_t *order,
    const route_rule_t *gone_rules, size_t n_gone, const uint8_t *gone,
    const route_rule_t *rules, size_t n);

/* the entries of a route; returns the place behind them */
route_order_t *route_rank_entries(const route_rule_t *r, route_order_t *e);
unsigned route_rank_before(const route_order_t *a, const route_order_t *b);

/* by key, stable, in time that grows as n does; the two arrays of n may change
 * places */
void route_sort(route_key_t **keys, route_key_t **spare, size_t n);

#endif
