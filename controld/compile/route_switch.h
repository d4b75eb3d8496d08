/*
 * route_switch: many candidates at one node that differ in a header's value
 * are found by the value's hash instead of one after the other.  They need
 * not test that header then.
 */

#ifndef KONG_ROUTE_SWITCH_H
#define KONG_ROUTE_SWITCH_H

#include "bytes.h"
#include "route_rules.h"
#include "route_trie.h"


#define SWITCH_NAMES  8         /* headers that one node switches on */
#define SWITCH_MIN    16        /* candidates that make it worth while */

/* how a candidate is found */
typedef struct {
    const trie_item_t   *item;
    uint32_t             elt;        /* its place by rank */
    uint32_t             header;     /* of its route; RULES_ALL: it stays in
                                        the node's own list */
    uint32_t             name;       /* the header's number in the switch */
} switch_way_t;

typedef struct {
    kong_str_t           names[SWITCH_NAMES];   /* the one with the most
                                                   values first */
    uint32_t             n;          /* 0: no switch is worth it */
    size_t               n_elts;
    size_t               n_switched;
    size_t               n_values;   /* of all that are switched */
    switch_way_t        *ways;       /* of the elements, as the items lie in
                                        memory */
    uint8_t             *own;        /* a byte an element, by rank: it stays
                                        in the node's own list */
} switch_t;


/* looks at n candidates of one node.  0, or -1: out of memory; a switch with
 * names has to be released */
int switch_choose(const rules_builder_t *rb, const trie_elt_t *e, size_t n,
    switch_t *sw);
/* appends the switch */
void switch_write(rules_builder_t *rb, const switch_t *sw, bytes_t *out);
void switch_release(switch_t *sw);

#endif
