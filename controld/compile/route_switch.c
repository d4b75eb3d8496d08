/*
 * route_switch: see route_switch.h.
 */

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "route_switch.h"
#include "../../ngx_kong_module/snapshot/kong_index.h"


#define SWITCH_VALUES  8        /* of one header of one route */
#define SWITCH_BITS    1024     /* for an estimate of how many values */

/* a header seen at the node */
typedef struct {
    kong_str_t          name;
    size_t              n;
    unsigned            distinct;
    uint8_t             seen[SWITCH_BITS / 8];
} switch_count_t;

/* a candidate under one value */
typedef struct {
    uint64_t            hash;
    const kong_str_t   *value;
    const trie_item_t  *item;
    uint32_t            name;
} switch_entry_t;


static void switch_count(switch_count_t *counts, uint32_t *n,
    const route_header_t *h);
static size_t switch_entries(const switch_source_t *src, const switch_t *sw,
    const trie_elt_t *e, size_t n, switch_entry_t *entries);
static void switch_put_lists(const switch_entry_t *entries, size_t n,
    size_t begin, size_t slots, size_t n_slots, bytes_t *out);


static void
switch_lower(char *out, const kong_str_t *s)
{
    size_t  i;

    for (i = 0; i < s->len; i++) {
        out[i] = s->data[i];

        if (out[i] >= 'A' && out[i] <= 'Z') {
            out[i] |= 0x20;
        }
    }
}


static uint64_t
switch_hash(uint32_t name, const kong_str_t *value)
{
    char  text[KONG_SWITCH_VALUE_MAX];

    switch_lower(text, value);

    return kong_switch_hash(name, text, value->len);
}


/* the rule behind a candidate; NULL when it has none but methods and port */
static const route_rule_t *
switch_rule(const switch_source_t *src, const trie_item_t *item)
{
    uint32_t            number;
    const kong_cond_t  *cond;

    if (!(item->target & KONG_CAND_COND)) {
        return NULL;
    }

    cond = (const kong_cond_t *) (const void *) src->conds->data;
    cond += (item->target & ~KONG_CAND_COND) - src->first_cond;
    number = cond->rules;

    return (number == 0)
           ? NULL : &src->rules[src->owner[number - 1 - src->first_rule]];
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
            || (h->values[i].len >= 2
                && memcmp(h->values[i].data, "~*", 2) == 0))
        {
            return 0;
        }
    }

    return 1;
}


static unsigned
switch_same_name(const kong_str_t *a, const kong_str_t *b)
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


void
switch_choose(const switch_source_t *src, const trie_elt_t *e, size_t n,
    switch_t *sw)
{
    size_t               i;
    uint32_t             j, used;
    switch_count_t       counts[SWITCH_NAMES];
    const route_rule_t  *r;

    sw->n = 0;

    if (n < SWITCH_MIN) {
        return;
    }

    used = 0;

    for (i = 0; i < n; i++) {
        r = switch_rule(src, e[i].item);

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
}


static void
switch_count(switch_count_t *counts, uint32_t *n, const route_header_t *h)
{
    uint32_t         i, bit;
    switch_count_t  *c;

    for (i = 0; i < *n; i++) {
        if (switch_same_name(&counts[i].name, &h->name)) {
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


const route_header_t *
switch_header(const switch_source_t *src, const switch_t *sw,
    const trie_item_t *item, uint32_t *name)
{
    uint32_t             i, j;
    const route_rule_t  *r;

    r = switch_rule(src, item);

    for (i = 0; r != NULL && i < sw->n; i++) {
        for (j = 0; j < r->n_headers; j++) {
            if (switch_same_name(&sw->names[i], &r->headers[j].name)
                && switch_usable(&r->headers[j]))
            {
                *name = i;
                return &r->headers[j];
            }
        }
    }

    return NULL;
}


static unsigned
switch_same_key(const switch_entry_t *a, const switch_entry_t *b)
{
    return a->hash == b->hash && a->name == b->name
           && a->value->len == b->value->len
           && strncasecmp(a->value->data, b->value->data, a->value->len)
              == 0;
}


static int
switch_entry_cmp(const void *one, const void *two)
{
    int                    rc;
    const switch_entry_t  *a, *b;

    a = one;
    b = two;

    if (a->hash != b->hash) {
        return (a->hash > b->hash) ? 1 : -1;
    }

    if (a->name != b->name) {
        return (a->name > b->name) ? 1 : -1;
    }

    if (a->value->len != b->value->len) {
        return (a->value->len > b->value->len) ? 1 : -1;
    }

    rc = strncasecmp(a->value->data, b->value->data, a->value->len);

    if (rc != 0) {
        return rc;
    }

    return (a->item->rank > b->item->rank) - (a->item->rank < b->item->rank);
}


void
switch_write(const switch_source_t *src, const switch_t *sw,
    const trie_elt_t *e, size_t n, bytes_t *out)
{
    char             name[KONG_SWITCH_VALUE_MAX];
    size_t           i, count, lists, n_slots, begin, slots;
    uint32_t         number;
    kong_str_t       s;
    kong_switch_t    head;
    switch_entry_t  *entries;

    const route_header_t  *h;

    for (i = 0, count = 0; i < n; i++) {
        h = switch_header(src, sw, e[i].item, &number);
        count += (h != NULL) ? h->n_values : 0;
    }

    entries = malloc((count + 1) * sizeof(switch_entry_t));

    if (entries == NULL) {
        out->failed = 1;
        return;
    }

    count = switch_entries(src, sw, e, n, entries);
    qsort(entries, count, sizeof(switch_entry_t), switch_entry_cmp);

    for (i = 0, lists = 0; i < count; i++) {
        lists += (i == 0 || !switch_same_key(&entries[i - 1], &entries[i]));
    }

    n_slots = lists + lists / 2 + 1;

    head.n_names = sw->n;
    head.n_slots = (uint32_t) n_slots;
    head.n_lists = (uint32_t) lists;
    begin = out->size;
    bytes_put(out, &head, sizeof(head));

    for (i = 0; i < sw->n; i++) {
        s = sw->names[i];
        switch_lower(name, &s);
        bytes_put_str(out, name, s.len);
    }

    slots = out->size;
    (void) bytes_zadd(out, n_slots * sizeof(kong_index_slot_t));
    switch_put_lists(entries, count, begin, slots, n_slots, out);

    free(entries);
}


/* a value that a route names twice counts once */
static size_t
switch_entries(const switch_source_t *src, const switch_t *sw,
    const trie_elt_t *e, size_t n, switch_entry_t *entries)
{
    size_t                 i, count, first, k;
    uint32_t               j, name;
    switch_entry_t        *to;
    const route_header_t  *h;

    for (i = 0, count = 0; i < n; i++) {
        h = switch_header(src, sw, e[i].item, &name);
        first = count;

        for (j = 0; h != NULL && j < h->n_values; j++) {
            to = &entries[count];
            to->name = name;
            to->item = e[i].item;
            to->value = &h->values[j];
            to->hash = switch_hash(name, to->value);

            for (k = first; k < count; k++) {
                if (switch_same_key(&entries[k], to)) {
                    break;
                }
            }

            count += (k == count);
        }
    }

    return count;
}


static void
switch_put_lists(const switch_entry_t *entries, size_t n, size_t begin,
    size_t slots, size_t n_slots, bytes_t *out)
{
    char                value[KONG_SWITCH_VALUE_MAX];
    size_t              i, j, k, slot;
    kong_index_slot_t  *table;

    for (i = 0; i < n && !out->failed; i = j) {
        for (j = i + 1; j < n && switch_same_key(&entries[i], &entries[j]);
             j++)
        {
            /* void */
        }

        table = (kong_index_slot_t *) (void *) (out->data + slots);
        slot = kong_host_slot(entries[i].hash, (uint32_t) n_slots);

        while (table[slot].bucket != 0) {
            slot = (slot + 1 == n_slots) ? 0 : slot + 1;
        }

        table[slot].hash = (uint32_t) entries[i].hash;
        table[slot].bucket = (uint32_t) (out->size - begin);

        bytes_put32(out, entries[i].name);
        bytes_put32(out, (uint32_t) (j - i));
        switch_lower(value, entries[i].value);
        bytes_put_str(out, value, entries[i].value->len);

        for (k = i; k < j; k++) {
            bytes_put32(out, entries[k].item->rank);
            bytes_put32(out, entries[k].item->target);
        }
    }
}
