/*
 * route_rank: the total order of routes.  A route counts once for each of
 * its paths (an entry), and an entry's rank says how many go before it.
 */

#ifndef KONG_ROUTE_RANK_H
#define KONG_ROUTE_RANK_H

#include "route_index.h"


static inline unsigned
route_is_regex(const kong_str_t *path)
{
    return path->len != 0 && path->data[0] == '~';
}


/*
 * The ranks of all entries, in the order of the rules and their paths, in
 * malloc'ed memory; NULL when there is none.  n_entries is the number of
 * paths, a rule without paths counting as one.
 */
uint32_t *route_ranks(const route_rule_t *rules, size_t n,
    size_t n_entries);

#endif
