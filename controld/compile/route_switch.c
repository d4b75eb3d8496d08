/*
 * route_switch: see route_switch.h.
 */

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "route_rank.h"
#include "route_switch.h"
#include "../../ngx_kong_module/snapshot/kong_index.h"


#define SWITCH_VALUES  8        /* of one header of one route */
#define SWITCH_BITS    1024     /* for an estimate of how many values */
#define SWITCH_AHEAD   16       /* entries whose place is fetched before */

/* a header seen at the node */
typedef struct {
    kong_str_t          name;
    size_t              n;
    unsigned            distinct;
    uint8_t             seen[SWITCH_BITS / 8];
} switch_count_t;

/* a candidate under one value; the first one of a value stands for it */
typedef struct {
    uint64_t            hash;
    const kong_str_t   *value;
    uint32_t            way;
    uint32_t            next;       /* with the same value, or KONG_NONE */
    uint32_t            n;          /* with this value; 0: not the first, or
                                       one that its route names twice */
    uint32_t            name;
} switch_entry_t;

/* entries by value */
typedef struct {
    switch_entry_t     *entries;
    size_t              n;
    size_t              n_lists;
    uint32_t           *table;      /* of first entries + 1, by hash */
    size_t              mask;
} switch_lists_t;


static unsigned switch_worth(const rules_builder_t *rb, const trie_elt_t *e,
    size_t n);
static int switch_order(const trie_elt_t *e, size_t n, switch_t *sw);
static void switch_count(switch_count_t *counts, uint32_t *n,
    const route_header_t *h);
static void switch_way(const route_rule_t *r, switch_t *sw,
    switch_way_t *way);
static int switch_collect(const rules_builder_t *rb, const switch_t *sw,
    switch_lists_t *l);
static void switch_enter(switch_lists_t *l, uint32_t number);
static void switch_put_list(rules_builder_t *rb, const switch_t *sw,
    const switch_lists_t *l, const switch_entry_t *first, bytes_t *out);
static int switch_way_cmp(const void *one, const void *two);


static uint64_t
switch_hash(uint32_t name, const kong_str_t *value)
{
    char  text[KONG_SWITCH_VALUE_MAX];

    rules_lower_copy(text, value);

    return kong_switch_hash(name, text, value->len);
}


/* plain values only, and not too many */
static unsigned
switch_usable(const route_header_t *h)
{
    uint32_t  i;

    if (h->n_values == 0 || h->n_values > SWITCH_VALUES
        || h->name.len > KONG_SWITCH_VALUE_MAX)
    {
        return 0;
    }

    for (i = 0; i < h->n_values; i++) {
        if (h->values[i].len > KONG_SWITCH_VALUE_MAX
            || rules_is_pattern(&h->values[i]))
        {
            return 0;
        }
    }

    return 1;
}


static unsigned
switch_same(const kong_str_t *a, const kong_str_t *b)
{
    return a->len == b->len && strncasecmp(a->data, b->data, a->len) == 0;
}


static int
switch_count_cmp(const void *one, const void *two)
{
    const switch_count_t  *a, *b;

    a = one;
    b = two;

    return (a->distinct < b->distinct) - (a->distinct > b->distinct);
}


int
switch_choose(const rules_builder_t *rb, const trie_elt_t *e, size_t n,
    switch_t *sw)
{
    size_t               i;
    uint32_t             j, used;
    switch_count_t       counts[SWITCH_NAMES];
    const route_rule_t  *r;

    memset(sw, 0, sizeof(switch_t));

    if (n < SWITCH_MIN || !switch_worth(rb, e, n)) {
        return 0;
    }

    if (switch_order(e, n, sw) != 0) {
        switch_release(sw);
        return -1;
    }

    used = 0;

    for (i = 0; i < n; i++) {
        r = rules_of(rb, sw->ways[i].item->target);

        for (j = 0; r != NULL && j < r->n_headers; j++) {
            if (switch_usable(&r->headers[j])) {
                switch_count(counts, &used, &r->headers[j]);
            }
        }
    }

    qsort(counts, used, sizeof(switch_count_t), switch_count_cmp);

    for (j = 0; j < used; j++) {
        if (counts[j].n >= SWITCH_MIN && counts[j].distinct > 1) {
            sw->names[sw->n++] = counts[j].name;
        }
    }

    for (i = 0; i < n; i++) {
        switch_way(rules_of(rb, sw->ways[i].item->target), sw, &sw->ways[i]);
    }

    if (sw->n_switched == 0) {
        switch_release(sw);
    }

    return 0;
}


void
switch_release(switch_t *sw)
{
    free(sw->ways);
    free(sw->own);
    memset(sw, 0, sizeof(switch_t));
}


/* are there enough candidates with a header at all? */
static unsigned
switch_worth(const rules_builder_t *rb, const trie_elt_t *e, size_t n)
{
    size_t               i, count;
    const route_rule_t  *r;

    for (i = 0, count = 0; i < n && count < SWITCH_MIN; i++) {
        r = rules_of(rb, e[i].item->target);
        count += (r != NULL && r->n_headers != 0);
    }

    return count == SWITCH_MIN;
}


/* by rank they lie anywhere in memory; whoever reads them all reads them as
 * they lie there */
static int
switch_order(const trie_elt_t *e, size_t n, switch_t *sw)
{
    size_t              i;
    route_key_t        *keys, *spare;
    const trie_item_t  *low;

    sw->n_elts = n;
    sw->ways = malloc(n * sizeof(switch_way_t));
    sw->own = malloc(n);
    keys = malloc(n * sizeof(route_key_t));
    spare = malloc(n * sizeof(route_key_t));

    if (sw->ways == NULL || sw->own == NULL || keys == NULL
        || spare == NULL)
    {
        free(keys);
        free(spare);
        return -1;
    }

    for (i = 1, low = e[0].item; i < n; i++) {
        low = (e[i].item < low) ? e[i].item : low;
    }

    for (i = 0; i < n; i++) {
        keys[i].key = (uint64_t) (e[i].item - low);
        keys[i].entry = (uint32_t) i;
    }

    route_sort(&keys, &spare, n);

    for (i = 0; i < n; i++) {
        sw->ways[i].item = low + keys[i].key;
        sw->ways[i].elt = keys[i].entry;
    }

    free(keys);
    free(spare);

    return 0;
}


static void
switch_count(switch_count_t *counts, uint32_t *n, const route_header_t *h)
{
    uint32_t         i, bit;
    switch_count_t  *c;

    for (i = 0; i < *n; i++) {
        if (switch_same(&counts[i].name, &h->name)) {
            break;
        }
    }

    if (i == SWITCH_NAMES) {
        return;
    }

    c = &counts[i];

    if (i == *n) {
        memset(c, 0, sizeof(switch_count_t));
        c->name = h->name;
        *n += 1;
    }

    c->n++;

    for (i = 0; i < h->n_values; i++) {
        bit = (uint32_t) (switch_hash(0, &h->values[i]) % SWITCH_BITS);

        if (!(c->seen[bit / 8] & (1u << bit % 8))) {
            c->seen[bit / 8] |= (uint8_t) (1u << bit % 8);
            c->distinct++;
        }
    }
}


static void
switch_way(const route_rule_t *r, switch_t *sw, switch_way_t *way)
{
    uint32_t  i, j;

    way->header = RULES_ALL;
    sw->own[way->elt] = 1;

    for (i = 0; r != NULL && i < sw->n; i++) {
        for (j = 0; j < r->n_headers; j++) {
            if (switch_same(&sw->names[i], &r->headers[j].name)
                && switch_usable(&r->headers[j]))
            {
                way->header = j;
                way->name = i;
                sw->own[way->elt] = 0;
                sw->n_switched++;
                sw->n_values += r->headers[j].n_values;
                return;
            }
        }
    }
}


void
switch_write(rules_builder_t *rb, const switch_t *sw, bytes_t *out)
{
    char                name[KONG_SWITCH_VALUE_MAX];
    size_t              i, begin, slots, slot;
    kong_switch_t       head;
    switch_lists_t      l;
    switch_entry_t     *entry;
    kong_index_slot_t  *table;

    if (switch_collect(rb, sw, &l) != 0) {
        out->failed = 1;
        return;
    }

    head.n_names = sw->n;
    head.n_slots = (uint32_t) (l.n_lists + l.n_lists / 2 + 1);
    head.n_lists = (uint32_t) l.n_lists;
    begin = out->size;
    bytes_put(out, &head, sizeof(head));

    for (i = 0; i < sw->n; i++) {
        rules_lower_copy(name, &sw->names[i]);
        bytes_put_str(out, name, sw->names[i].len);
    }

    slots = out->size;
    (void) bytes_zadd(out, head.n_slots * sizeof(kong_index_slot_t));

    for (i = 0; i < l.n && !out->failed; i++) {
        entry = &l.entries[i];

        if (entry->n == 0) {
            continue;
        }

        table = (kong_index_slot_t *) (void *) (out->data + slots);
        slot = kong_host_slot(entry->hash, head.n_slots);

        if (i + SWITCH_AHEAD < l.n) {
            __builtin_prefetch(&table[kong_host_slot(
                                          entry[SWITCH_AHEAD].hash,
                                          head.n_slots)], 1);
        }

        while (table[slot].bucket != 0) {
            slot = (slot + 1 == head.n_slots) ? 0 : slot + 1;
        }

        table[slot].hash = (uint32_t) entry->hash;
        table[slot].bucket = (uint32_t) (out->size - begin);
        switch_put_list(rb, sw, &l, entry, out);
    }

    free(l.entries);
    free(l.table);
}


static int
switch_collect(const rules_builder_t *rb, const switch_t *sw,
    switch_lists_t *l)
{
    size_t                 i;
    uint32_t               j;
    switch_entry_t        *to;
    const route_rule_t    *r;
    const switch_way_t    *way;
    const route_header_t  *h;

    memset(l, 0, sizeof(switch_lists_t));

    for (l->mask = 1; l->mask < sw->n_values + sw->n_values / 2;
         l->mask = 2 * l->mask + 1)
    {
        /* void */
    }

    l->entries = malloc(sw->n_values * sizeof(switch_entry_t));
    l->table = calloc(l->mask + 1, sizeof(uint32_t));

    if (l->entries == NULL || l->table == NULL) {
        free(l->entries);
        free(l->table);
        return -1;
    }

    for (i = 0; i < sw->n_elts; i++) {
        way = &sw->ways[i];

        if (way->header == RULES_ALL) {
            continue;
        }

        r = rules_of(rb, way->item->target);
        h = &r->headers[way->header];

        for (j = 0; j < h->n_values; j++) {
            to = &l->entries[l->n++];
            to->name = way->name;
            to->way = (uint32_t) i;
            to->value = &h->values[j];
            to->hash = switch_hash(to->name, to->value);
        }
    }

    for (j = 0; j < l->n; j++) {
        if (j + SWITCH_AHEAD < l->n) {
            i = l->entries[j + SWITCH_AHEAD].hash & l->mask;
            __builtin_prefetch(&l->table[i], 1);
        }

        switch_enter(l, j);
    }

    return 0;
}


/* behind the first one with this value; a value that a route names twice
 * counts once */
static void
switch_enter(switch_lists_t *l, uint32_t number)
{
    size_t           i;
    switch_entry_t  *entry, *first;

    entry = &l->entries[number];
    entry->next = KONG_NONE;
    entry->n = 0;

    for (i = entry->hash & l->mask; l->table[i] != 0;
         i = (i + 1) & l->mask)
    {
        first = &l->entries[l->table[i] - 1];

        if (first->hash != entry->hash || first->name != entry->name
            || !switch_same(first->value, entry->value))
        {
            continue;
        }

        if (first->way == entry->way
            || (first->next != KONG_NONE
                && l->entries[first->next].way == entry->way))
        {
            return;
        }

        entry->next = first->next;
        first->next = number;
        first->n++;
        return;
    }

    entry->n = 1;
    l->table[i] = number + 1;
    l->n_lists++;
}


static void
switch_put_list(rules_builder_t *rb, const switch_t *sw,
    const switch_lists_t *l, const switch_entry_t *first, bytes_t *out)
{
    char                   value[KONG_SWITCH_VALUE_MAX];
    uint32_t               i;
    kong_switch_list_t     list;
    const switch_way_t    *one, **ways;
    const switch_entry_t  *entry;

    ways = (first->n > 1) ? malloc(first->n * sizeof(switch_way_t *)) : &one;

    if (ways == NULL) {
        out->failed = 1;
        return;
    }

    ways[0] = &sw->ways[first->way];

    for (i = 1, entry = first; i < first->n; i++) {
        entry = &l->entries[entry->next];
        ways[i] = &sw->ways[entry->way];
    }

    list.name = (uint8_t) first->name;
    list.len = (uint8_t) first->value->len;
    list.n = (uint16_t) ((first->n < KONG_SWITCH_MANY)
                         ? first->n : KONG_SWITCH_MANY);
    bytes_put(out, &list, sizeof(list));

    if (list.n == KONG_SWITCH_MANY) {
        bytes_put32(out, first->n);
    }

    rules_lower_copy(value, first->value);
    bytes_put(out, value, list.len);
    bytes_pad(out, 4);

    if (first->n > 1) {
        qsort(ways, first->n, sizeof(switch_way_t *), switch_way_cmp);
    }

    for (i = 0; i < first->n; i++) {
        bytes_put32(out, ways[i]->item->rank);
        bytes_put32(out, rules_target(rb, ways[i]->item->target,
                                      ways[i]->header));
    }

    if (first->n > 1) {
        free(ways);
    }
}


/* by rank */
static int
switch_way_cmp(const void *one, const void *two)
{
    const switch_way_t  *a, *b;

    a = *(const switch_way_t *const *) one;
    b = *(const switch_way_t *const *) two;

    return (a->elt > b->elt) - (a->elt < b->elt);
}
