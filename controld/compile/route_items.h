/*
 * route_items: rules of routes -> the items of tries, by host, with the
 * conditions, rules and regexes that they lead to.  What a whole index and a
 * change of one have in common.
 */

#ifndef KONG_ROUTE_ITEMS_H
#define KONG_ROUTE_ITEMS_H

#include "route_rules.h"
#include "route_trie.h"
#include "../../ngx_kong_module/snapshot/kong_index.h"


typedef struct {
    kong_str_t           host;
    uint64_t             hash;
    uint32_t             kind;
    uint32_t             n;          /* items; then where they begin */
    uint32_t             offset;     /* of the finished bucket */
} route_host_t;

typedef struct {
    const route_rule_t  *rules;
    size_t               n_rules;
    size_t               bad;
    const char          *err;

    uint32_t            *ranks;      /* of the entries, in their order */
    size_t               n_entries;

    route_host_t        *hosts;      /* [0] is "no host" */
    size_t               n_hosts;
    uint32_t            *table;      /* of hosts, by hash */
    size_t               n_table;

    trie_item_t         *items;      /* by bucket, once made */
    size_t               n_items;
    size_t               max;        /* items of the largest bucket */

    rules_builder_t      rb;
} route_items_t;


/* paths, a rule without paths counting as one */
size_t route_entries(const route_rule_t *rules, size_t n);
/*
 * `ranks` are malloc'ed and taken over; NULL: out of memory.  Numbers of
 * conditions, rules and regexes go on from `first` (NULL: 0).  0 or -1;
 * release in both cases.
 */
int route_items_make(route_items_t *it, const route_rule_t *rules, size_t n,
    uint32_t *ranks, const rules_first_t *first);
void route_items_release(route_items_t *it);

/* route_index.c: parts of the section, and what outlives the items */
void route_bucket_put(bytes_t *out, const route_host_t *h);
void route_host_length(kong_index_t *head, const route_host_t *h);
void route_index_take(route_index_t *out, route_items_t *it);

#endif
