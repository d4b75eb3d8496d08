/*
 * diff: see diff.h.
 */

#include <stdlib.h>
#include <string.h>

#include "diff.h"
#include "entities.h"
#include "../../ngx_kong_module/snapshot/kong_index.h"


typedef struct {
    value_t  **rows;
    size_t     n;
} diff_rows_t;


static void diff_trim(diff_rows_t *one, diff_rows_t *two);
static void diff_drop(arena_t *a, diff_rows_t *one, diff_rows_t *two);
static int diff_list(arena_t *a, const diff_rows_t *rows, diff_row_t **out,
    size_t *n);
static void diff_pair(arena_t *a, diff_t *d);
static int diff_same(const value_t *one, const value_t *two);


int
diff_table(arena_t *a, const config_table_t *before,
    const config_table_t *after, size_t max, diff_t *d)
{
    diff_rows_t  gone, come;

    memset(d, 0, sizeof(diff_t));

    gone.rows = before->rows;
    gone.n = before->n;
    come.rows = after->rows;
    come.n = after->n;

    diff_trim(&gone, &come);

    if (gone.n != 0 && come.n != 0) {
        diff_drop(a, &gone, &come);
    }

    if (gone.n + come.n > max) {
        return -1;
    }

    if (diff_list(a, &gone, &d->gone, &d->n_gone) != 0
        || diff_list(a, &come, &d->come, &d->n_come) != 0)
    {
        return -1;
    }

    diff_pair(a, d);

    return 0;
}


/* what both begin and end with */
static void
diff_trim(diff_rows_t *one, diff_rows_t *two)
{
    while (one->n != 0 && two->n != 0 && one->rows[0] == two->rows[0]) {
        one->rows++;
        one->n--;
        two->rows++;
        two->n--;
    }

    while (one->n != 0 && two->n != 0
           && one->rows[one->n - 1] == two->rows[two->n - 1])
    {
        one->n--;
        two->n--;
    }
}


static size_t
diff_slot(value_t *const *table, size_t mask, const value_t *row)
{
    size_t  i;

    i = ((uintptr_t) row >> 3) * 0x9e3779b97f4a7c15u >> 20;

    while (table[i & mask] != NULL && table[i & mask] != row) {
        i++;
    }

    return i & mask;
}


/* rows that are in both, wherever: into lists without them */
static void
diff_drop(arena_t *a, diff_rows_t *one, diff_rows_t *two)
{
    size_t    i, k, mask, slot;
    uint8_t  *both;
    value_t **table, **list;

    for (mask = 63; mask < 2 * one->n; mask = 2 * mask + 1) {
        /* void */
    }

    table = arena_zalloc(a, (mask + 1) * sizeof(value_t *));
    both = arena_zalloc(a, mask + 1);

    for (i = 0; i < one->n; i++) {
        table[diff_slot(table, mask, one->rows[i])] = one->rows[i];
    }

    list = arena_alloc(a, two->n * sizeof(value_t *));

    for (i = 0, k = 0; i < two->n; i++) {
        slot = diff_slot(table, mask, two->rows[i]);

        if (table[slot] != NULL) {
            both[slot] = 1;

        } else {
            list[k++] = two->rows[i];
        }
    }

    two->rows = list;
    two->n = k;

    list = arena_alloc(a, one->n * sizeof(value_t *));

    for (i = 0, k = 0; i < one->n; i++) {
        if (!both[diff_slot(table, mask, one->rows[i])]) {
            list[k++] = one->rows[i];
        }
    }

    one->rows = list;
    one->n = k;
}


static int
diff_list(arena_t *a, const diff_rows_t *rows, diff_row_t **out, size_t *n)
{
    size_t  i;

    *n = rows->n;
    *out = arena_alloc(a, (rows->n + 1) * sizeof(diff_row_t));

    for (i = 0; i < rows->n; i++) {
        (*out)[i].row = rows->rows[i];
        (*out)[i].other = KONG_NONE;
        (*out)[i].record = KONG_NONE;

        if (!entity_is_plain(rows->rows[i])
            || entity_id(rows->rows[i], (*out)[i].id) != 0)
        {
            return -1;
        }
    }

    return 0;
}


/* rows of one id belong together; those that are equal have not changed */
static void
diff_pair(arena_t *a, diff_t *d)
{
    size_t       i, k;
    diff_id_t   *slot;
    diff_ids_t   ids;
    diff_row_t  *gone, *come;

    diff_ids_init(&ids, a, d->n_gone);

    for (i = 0; i < d->n_gone; i++) {
        diff_ids_add(&ids, d->gone[i].id)->record = (uint32_t) i;
    }

    for (i = 0, k = 0; i < d->n_come; i++) {
        come = &d->come[i];
        slot = diff_ids_get(&ids, come->id);

        if (slot != NULL) {
            gone = &d->gone[slot->record];

            if (diff_same(gone->row, come->row)) {
                gone->row = NULL;
                continue;
            }

            gone->other = (uint32_t) k;
            come->other = slot->record;
        }

        d->come[k++] = *come;
    }

    d->n_come = k;

    for (i = 0, k = 0; i < d->n_gone; i++) {
        if (d->gone[i].row == NULL) {
            continue;
        }

        if (d->gone[i].other != KONG_NONE) {
            d->come[d->gone[i].other].other = (uint32_t) k;
        }

        d->gone[k++] = d->gone[i];
    }

    d->n_gone = k;
}


unsigned
diff_in_order(const config_table_t *before, const config_table_t *after,
    const diff_t *d)
{
    size_t   i, k, gone, come;
    uint8_t  one[16], two[16];

    for (i = 0, k = 0, gone = 0, come = 0; i < before->n; i++) {

        if (gone < d->n_gone && d->gone[gone].row == before->rows[i]) {
            gone++;
            continue;
        }

        while (come < d->n_come && k < after->n
               && d->come[come].row == after->rows[k])
        {
            come++;
            k++;
        }

        if (k == after->n) {
            return 0;
        }

        if (before->rows[i] != after->rows[k]
            && (entity_id(before->rows[i], one) != 0
                || entity_id(after->rows[k], two) != 0
                || memcmp(one, two, sizeof(one)) != 0))
        {
            return 0;
        }

        k++;
    }

    return 1;
}


/* but for the times, which nothing in a segment depends on */
static int
diff_same(const value_t *one, const value_t *two)
{
    uint32_t         i;
    const value_t   *v;
    member_t         m;

    if (one->len != two->len) {
        return 0;
    }

    for (i = 0; i < one->len; i++) {
        m = value_member(one, i);
        v = value_get_hashed(two, m.key, m.key_len, m.hash);

        if (v == NULL) {
            return 0;
        }

        if (strcmp(m.key, "created_at") != 0
            && strcmp(m.key, "updated_at") != 0
            && !value_equal(m.value, v))
        {
            return 0;
        }
    }

    return 1;
}


void
diff_ids_init(diff_ids_t *ids, arena_t *a, size_t n)
{
    for (ids->mask = 15; ids->mask < 2 * n; ids->mask = 2 * ids->mask + 1) {
        /* void */
    }

    ids->slots = arena_zalloc(a, (ids->mask + 1) * sizeof(diff_id_t));
}


static size_t
diff_ids_slot(const diff_ids_t *ids, const uint8_t id[16])
{
    size_t  i;

    i = XXH3_64bits(id, 16) & ids->mask;

    while (ids->slots[i].used && memcmp(ids->slots[i].id, id, 16) != 0) {
        i = (i + 1) & ids->mask;
    }

    return i;
}


diff_id_t *
diff_ids_add(diff_ids_t *ids, const uint8_t id[16])
{
    diff_id_t  *slot;

    slot = &ids->slots[diff_ids_slot(ids, id)];

    if (!slot->used) {
        slot->used = 1;
        slot->record = KONG_NONE;
        memcpy(slot->id, id, 16);
    }

    return slot;
}


diff_id_t *
diff_ids_get(const diff_ids_t *ids, const uint8_t id[16])
{
    diff_id_t  *slot;

    slot = &ids->slots[diff_ids_slot(ids, id)];

    return slot->used ? slot : NULL;
}


void
diff_ids_find(diff_ids_t *ids, const void *records, size_t n, size_t stride)
{
    size_t          i;
    diff_id_t      *slot;
    const uint8_t  *p;

    for (i = 0, p = records; i < n; i++, p += stride) {
        slot = diff_ids_get(ids, p);

        if (slot != NULL) {
            slot->record = (uint32_t) i;
        }
    }
}
