/*
 * route_switch: many candidates at one node that differ in a header's value
 * are found by the value's hash instead of one after the other.
 */

#ifndef KONG_ROUTE_SWITCH_H
#define KONG_ROUTE_SWITCH_H

#include "bytes.h"
#include "route_index.h"
#include "route_trie.h"


#define SWITCH_NAMES  8         /* headers that one node switches on */
#define SWITCH_MIN    16        /* candidates that make it worth while */

/* from a candidate's target back to its rules */
struct switch_source_s {
    const route_rule_t  *rules;
    const uint32_t      *owner;      /* rule, by the number of its rules */
    const bytes_t       *conds;
    uint32_t             first_cond; /* numbers that `conds` and `owner` */
    uint32_t             first_rule; /* begin with */
};

/* headers to switch on, the one with the most values first */
typedef struct {
    kong_str_t           names[SWITCH_NAMES];
    uint32_t             n;
} switch_t;


/* looks at n candidates of one node; sw->n is 0 when no switch is worth it */
void switch_choose(const switch_source_t *src, const trie_elt_t *e, size_t n,
    switch_t *sw);
/* the header whose value leads to the candidate, or NULL: it stays in the
 * node's own list.  *name is the header's number in sw */
const route_header_t *switch_header(const switch_source_t *src,
    const switch_t *sw, const trie_item_t *item, uint32_t *name);
/* appends the switch */
void switch_write(const switch_source_t *src, const switch_t *sw,
    const trie_elt_t *e, size_t n, bytes_t *out);

#endif
