/*
 * config_splice: tables made of older ones, and rows by ascending id.  What a
 * change costs here is a walk over flat arrays, none over the rows.
 */

#include <stdlib.h>
#include <string.h>

#include "config_private.h"


#define CONFIG_FEW  8               /* rows looked for one by one */

typedef struct {
    uint64_t   head;                /* the first bytes of the id */
    value_t   *row;
} config_order_t;


static int config_same_keys(const config_splice_t *sp);
static int config_same_key(const value_t *one, const value_t *two,
    const char *field);
static int config_reindex(config_table_t *t, arena_t *a,
    const config_splice_t *sp);
static config_index_t *config_index_splice(arena_t *a,
    const config_index_t *from, const config_splice_t *sp);
static void config_ascending(config_table_t *t, arena_t *a,
    const config_splice_t *sp);
static void config_replace(config_table_t *t, arena_t *a,
    const config_splice_t *sp);
static size_t config_spread(const value_t *row);
static size_t config_place(const config_table_t *t, const value_t *row,
    unsigned known);
static int config_place_cmp(const void *one, const void *two);
static const char *config_id(const value_t *row);
static void config_sort_table(arena_t *a, config_table_t *t);
static void config_sort_rows(value_t **rows, size_t n);
static int config_order_cmp(const void *one, const void *two);
static int config_row_cmp(const void *one, const void *two);


int
config_splice(config_table_t *t, arena_t *a, config_splice_t *sp)
{
    size_t                 rest;
    const config_table_t  *from;

    from = sp->from;
    rest = from->n - sp->at - sp->n;

    t->n = from->n - sp->n + sp->n_rows;
    t->cap = t->n;
    t->rows = arena_alloc(a, (t->n + 1) * sizeof(value_t *));

    if (sp->at != 0) {
        memcpy(t->rows, from->rows, sp->at * sizeof(value_t *));
    }

    if (sp->n_rows != 0) {
        memcpy(t->rows + sp->at, sp->rows, sp->n_rows * sizeof(value_t *));
    }

    if (rest != 0) {
        memcpy(t->rows + sp->at + sp->n_rows, from->rows + sp->at + sp->n,
               rest * sizeof(value_t *));
    }

    sp->same_keys = (unsigned) config_same_keys(sp);

    if (sp->same_keys) {
        t->by_id = from->by_id;
        t->by_key = from->by_key;

    } else if (config_reindex(t, a, sp) != 0) {
        return -1;
    }

    if (from->ascending != NULL && sp->same_keys && sp->n > CONFIG_FEW) {
        config_replace(t, a, sp);
    }

    if (from->ascending != NULL && t->ascending == NULL) {
        config_ascending(t, a, sp);
    }

    /* from the same arena as the rest, with which it is shared */

    if (t->ascending == NULL) {
        config_sort_table(a, t);
    }

    return 0;
}


static int
config_same_keys(const config_splice_t *sp)
{
    size_t           i;
    const char      *key;
    value_t *const  *old;

    if (sp->n != sp->n_rows) {
        return 0;
    }

    key = sp->from->schema->endpoint_key;
    old = sp->from->rows + sp->at;

    for (i = 0; i < sp->n; i++) {
        if (!config_same_key(old[i], sp->rows[i], "id")
            || (key != NULL && !config_same_key(old[i], sp->rows[i], key)))
        {
            return 0;
        }
    }

    return 1;
}


static int
config_same_key(const value_t *one, const value_t *two, const char *field)
{
    return value_equal(value_get(one, field), value_get(two, field));
}


static int
config_reindex(config_table_t *t, arena_t *a, const config_splice_t *sp)
{
    size_t                 i, first, last;
    unsigned               unique;
    const field_t         *key;
    const config_table_t  *from;

    from = sp->from;
    key = (t->schema->endpoint_key != NULL)
          ? schema_field(t->schema, t->schema->endpoint_key) : NULL;
    unique = (key == NULL || (key->flags & F_UNIQUE) != 0);

    if (unique) {
        t->by_id = config_index_splice(a, from->by_id, sp);
        t->by_key = config_index_splice(a, from->by_key, sp);
        first = sp->at;
        last = sp->at + sp->n_rows;

    } else {
        /* of equal keys another may be the first one now */
        t->by_id = config_index_new(a, from->by_id->field);
        t->by_key = config_index_new(a, from->by_key->field);
        first = 0;
        last = t->n;
    }

    for (i = first; i < last; i++) {
        if (config_insert(a, t, i, unique) != 0) {
            return -1;
        }
    }

    return 0;
}


/* the index without the rows that are gone, the others renumbered */

static config_index_t *
config_index_splice(arena_t *a, const config_index_t *from,
    const config_splice_t *sp)
{
    size_t           i, j, row;
    config_slot_t    slot;
    config_index_t  *index;

    index = config_index_new(a, from->field);

    if (from->slots == NULL) {
        return index;
    }

    index->mask = from->mask;
    index->slots = arena_zalloc(a, (from->mask + 1) * sizeof(config_slot_t));

    for (i = 0; i <= from->mask; i++) {
        slot = from->slots[i];

        if (slot.row == 0) {
            continue;
        }

        row = slot.row - 1;

        if (row >= sp->at) {
            if (row < sp->at + sp->n) {
                continue;
            }

            slot.row = (uint32_t) (row - sp->n + sp->n_rows + 1);
        }

        for (j = slot.hash & index->mask; index->slots[j].row != 0;
             j = (j + 1) & index->mask)
        { /* void */ }

        index->slots[j] = slot;
        index->n++;
    }

    return index;
}


/* by id: the rows that are gone left out, the new ones put in their places;
 * what is between two of them is copied in one piece */

static void
config_ascending(config_table_t *t, arena_t *a, const config_splice_t *sp)
{
    size_t                 i, j, k, g, next, *gone, *place;
    value_t              **added, **out;
    const config_table_t  *from;

    from = sp->from;
    out = arena_alloc(a, (t->n + 1) * sizeof(value_t *));
    gone = malloc((sp->n + sp->n_rows + 1) * sizeof(size_t));
    added = malloc((sp->n_rows + 1) * sizeof(value_t *));

    if (gone == NULL || added == NULL) {
        free(gone);
        free(added);
        return;
    }

    for (i = 0; i < sp->n; i++) {
        gone[i] = config_place(from, from->rows[sp->at + i], 1);
    }

    qsort(gone, sp->n, sizeof(size_t), config_place_cmp);

    if (sp->n_rows != 0) {
        memcpy(added, sp->rows, sp->n_rows * sizeof(value_t *));
    }

    config_sort_rows(added, sp->n_rows);
    place = gone + sp->n;

    for (j = 0; j < sp->n_rows; j++) {
        place[j] = config_place(from, added[j], 0);
    }

    for (i = 0, j = 0, k = 0, g = 0; ; ) {
        next = (g < sp->n) ? gone[g] : from->n;

        if (j < sp->n_rows && place[j] <= next) {
            next = place[j];
        }

        memcpy(out + k, from->ascending + i, (next - i) * sizeof(value_t *));
        k += next - i;
        i = next;

        if (j < sp->n_rows && place[j] == next) {
            out[k++] = added[j++];

        } else if (g < sp->n) {
            i++;
            g++;

        } else {
            break;
        }
    }

    t->ascending = out;
    free(gone);
    free(added);
}


/* every row in the place of the one that had its id: many are found sooner by
 * a walk over all than by as many searches */

static void
config_replace(config_table_t *t, arena_t *a, const config_splice_t *sp)
{
    size_t         i, j, mask;
    uint32_t      *table;
    value_t      **old, **out, *const *from;

    for (mask = 63; mask < 4 * sp->n; mask = 2 * mask + 1) { /* void */ }

    table = calloc(mask + 1, sizeof(uint32_t));

    if (table == NULL) {
        return;
    }

    old = sp->from->rows + sp->at;

    for (i = 0; i < sp->n; i++) {
        for (j = config_spread(old[i]) & mask; table[j] != 0;
             j = (j + 1) & mask)
        { /* void */ }

        table[j] = (uint32_t) i + 1;
    }

    from = sp->from->ascending;
    out = arena_alloc(a, (t->n + 1) * sizeof(value_t *));

    for (i = 0; i < t->n; i++) {
        for (j = config_spread(from[i]) & mask;
             table[j] != 0 && old[table[j] - 1] != from[i];
             j = (j + 1) & mask)
        { /* void */ }

        out[i] = (table[j] != 0) ? sp->rows[table[j] - 1] : from[i];
    }

    t->ascending = out;
    free(table);
}


static size_t
config_spread(const value_t *row)
{
    return ((uintptr_t) row >> 3) * 0x9e3779b97f4a7c15u >> 32;
}


/* where a row is by id, or would be; `known`: it is there */

static size_t
config_place(const config_table_t *t, const value_t *row, unsigned known)
{
    size_t       low, high, mid;
    const char  *id;

    id = config_id(row);
    low = 0;
    high = t->n;

    while (low < high) {
        mid = low + (high - low) / 2;

        if (strcmp(config_id(t->ascending[mid]), id) < 0) {
            low = mid + 1;

        } else {
            high = mid;
        }
    }

    /* rows without ids are alike */

    while (known && low < t->n && t->ascending[low] != row) {
        low++;
    }

    return low;
}


static int
config_place_cmp(const void *one, const void *two)
{
    size_t  a, b;

    a = *(const size_t *) one;
    b = *(const size_t *) two;

    return (a > b) - (a < b);
}


static const char *
config_id(const value_t *row)
{
    const char  *id;

    id = value_cstr(value_get(row, "id"));

    return id != NULL ? id : "";
}


void
config_sort(config_t *c)
{
    size_t  i;

    for (i = 0; i < c->n_tables; i++) {
        if (c->tables[i].n != 0 && c->tables[i].ascending == NULL) {
            config_sort_table(c->arena, &c->tables[i]);
        }
    }
}


static void
config_sort_table(arena_t *a, config_table_t *t)
{
    t->ascending = arena_alloc(a, (t->n + 1) * sizeof(value_t *));

    if (t->n != 0) {
        memcpy(t->ascending, t->rows, t->n * sizeof(value_t *));
    }

    config_sort_rows(t->ascending, t->n);
}


static void
config_sort_rows(value_t **rows, size_t n)
{
    size_t           i;
    uint64_t         head;
    const char      *id;
    config_order_t  *order;

    order = malloc((n + 1) * sizeof(config_order_t));

    if (order == NULL) {
        /* slower, and the same */
        qsort(rows, n, sizeof(value_t *), config_row_cmp);
        return;
    }

    for (i = 0; i < n; i++) {
        head = 0;
        id = config_id(rows[i]);
        memcpy(&head, id, strnlen(id, sizeof(head)));
        order[i].head = __builtin_bswap64(head);
        order[i].row = rows[i];
    }

    qsort(order, n, sizeof(config_order_t), config_order_cmp);

    for (i = 0; i < n; i++) {
        rows[i] = order[i].row;
    }

    free(order);
}


static int
config_order_cmp(const void *one, const void *two)
{
    const config_order_t  *a, *b;

    a = one;
    b = two;

    if (a->head != b->head) {
        return (a->head > b->head) ? 1 : -1;
    }

    return strcmp(config_id(a->row), config_id(b->row));
}


static int
config_row_cmp(const void *one, const void *two)
{
    return strcmp(config_id(*(value_t *const *) one),
                  config_id(*(value_t *const *) two));
}
