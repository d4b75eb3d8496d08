/*
 * rows_table: see rows_table.h.  What a transaction gave is merged with the
 * rows that are there in one walk.
 */

#include <stdlib.h>
#include <string.h>

#include "rows_table.h"


/* a row of the batch, before it is a row of the mirror */
typedef struct {
    uint8_t       id[16];
    int           number;
} rows_new_t;

/* a place among a table's rows */
typedef struct {
    const rows_table_t  *table;      /* NULL: there are none */
    size_t               chunk;
    size_t               row;
} rows_cursor_t;


static int rows_new_cmp(const void *one, const void *two);
static const rows_row_t *rows_at(const rows_cursor_t *c);
static void rows_next(rows_cursor_t *c);
static int rows_share(rows_maker_t *m, rows_table_t *t,
    const rows_cursor_t *c, const rows_new_t *next, const uint8_t (*id)[16]);
static void rows_add(rows_maker_t *m, rows_table_t *t,
    const rows_row_t *row);
static void rows_close(rows_maker_t *m, rows_table_t *t);
static void rows_put_chunk(rows_maker_t *m, rows_table_t *t,
    rows_chunk_t *chunk);
static rows_chunk_t *rows_chunk(rows_maker_t *m, const rows_row_t *rows,
    size_t n);
static rows_new_t *rows_order(rows_maker_t *m, const PGresult *res,
    size_t *n);
static void rows_one(rows_maker_t *m, int kind, const rows_new_t *new_row,
    const rows_row_t *old, rows_row_t *out);
static void rows_keep(rows_maker_t *m, rows_row_t *r);
static void rows_scratch(rows_maker_t *m);
static void rows_validate(rows_maker_t *m, const schema_t *s,
    rows_row_t *out);
static void rows_sums(rows_table_t *t);
static void rows_holder(rows_maker_t *m, int kind, rows_table_t *t,
    const rows_table_t *old);
static int rows_splice(rows_maker_t *m, int kind, rows_table_t *t,
    const rows_table_t *old);
static size_t rows_good(const rows_table_t *t, size_t from, size_t to,
    value_t **out);
static unsigned rows_stays(const rows_maker_t *m, const rows_chunk_t *c,
    const rows_block_t *keep);
static rows_chunk_t *rows_move(rows_maker_t *m, const rows_chunk_t *old,
    const rows_block_t *keep);
static void rows_chunk_put(rows_chunk_t *c);
static void *rows_alloc(rows_maker_t *m, size_t size);
static _Noreturn void rows_oom(rows_maker_t *m);


static int
rows_new_cmp(const void *one, const void *two)
{
    const rows_new_t  *a = one;
    const rows_new_t  *b = two;

    return memcmp(a->id, b->id, 16);
}


/* the old rows and those of the batch, side by side by id */
void
rows_table_make(rows_maker_t *m, int kind)
{
    int                rc;
    size_t             i, k, n_new;
    rows_row_t         row;
    rows_new_t        *list;
    rows_given_t      *g;
    rows_table_t      *t;
    rows_cursor_t      old;
    const rows_row_t  *before;

    g = &m->batch->given[kind];
    list = rows_order(m, g->result, &n_new);

    t = rows_alloc(m, sizeof(rows_table_t));
    m->rows->tables[kind] = t;
    t->refs = 1;

    memset(&old, 0, sizeof(old));
    old.table = (m->batch->base != NULL) ? m->batch->base->tables[kind] : NULL;
    i = 0;
    k = 0;

    while ((before = rows_at(&old)) != NULL || i < n_new) {

        while (before != NULL && k < g->n_ids
               && memcmp(g->ids[k], before->id, 16) < 0)
        {
            k++;
        }

        if (before != NULL && !g->whole
            && rows_share(m, t, &old, (i < n_new) ? &list[i] : NULL,
                          (k < g->n_ids) ? (const void *) &g->ids[k] : NULL))
        {
            old.chunk++;
            continue;
        }

        rc = (i == n_new) ? 1
             : (before == NULL) ? -1 : memcmp(list[i].id, before->id, 16);

        if (rc <= 0) {
            rows_one(m, kind, &list[i++], rc == 0 ? before : NULL, &row);
            rows_add(m, t, &row);

            if (rc == 0) {
                rows_next(&old);
            }

            continue;
        }

        /* an old row that was not read: deleted, if it was asked for */

        if (g->whole
            || (k < g->n_ids && memcmp(g->ids[k], before->id, 16) == 0))
        {
            m->rows->n_stale++;

        } else {
            rows_add(m, t, before);
        }

        rows_next(&old);
    }

    rows_close(m, t);
    rows_sums(t);
    rows_holder(m, kind, t, old.table);
}


static const rows_row_t *
rows_at(const rows_cursor_t *c)
{
    return (c->table == NULL || c->chunk == c->table->n_chunks)
           ? NULL : &c->table->chunks[c->chunk]->rows[c->row];
}


static void
rows_next(rows_cursor_t *c)
{
    if (++c->row == c->table->chunks[c->chunk]->n) {
        c->row = 0;
        c->chunk++;
    }
}


/* a chunk that nothing of the batch concerns is taken as it is */
static int
rows_share(rows_maker_t *m, rows_table_t *t, const rows_cursor_t *c,
    const rows_new_t *next, const uint8_t (*id)[16])
{
    rows_chunk_t      *chunk;
    const rows_row_t  *last;

    chunk = c->table->chunks[c->chunk];
    last = &chunk->rows[chunk->n - 1];

    if (c->row != 0 || (next != NULL && memcmp(next->id, last->id, 16) <= 0)
        || (id != NULL && memcmp(*id, last->id, 16) <= 0))
    {
        return 0;
    }

    rows_close(m, t);
    __atomic_add_fetch(&chunk->refs, 1, __ATOMIC_RELAXED);
    rows_put_chunk(m, t, chunk);

    return 1;
}


static void
rows_add(rows_maker_t *m, rows_table_t *t, const rows_row_t *row)
{
    m->open[m->n_open++] = *row;

    if (m->n_open == 2 * ROWS_CHUNK) {
        rows_close(m, t);
    }
}


/* what is open becomes a chunk; two, where one would be large */
static void
rows_close(rows_maker_t *m, rows_table_t *t)
{
    size_t  n;

    n = m->n_open;

    if (n > ROWS_CHUNK + ROWS_CHUNK / 2) {
        n /= 2;
        rows_put_chunk(m, t, rows_chunk(m, m->open, n));
        rows_put_chunk(m, t, rows_chunk(m, m->open + n, m->n_open - n));

    } else if (n != 0) {
        rows_put_chunk(m, t, rows_chunk(m, m->open, n));
    }

    m->n_open = 0;
}


/* takes over a reference */
static void
rows_put_chunk(rows_maker_t *m, rows_table_t *t, rows_chunk_t *chunk)
{
    rows_chunk_t  **chunks;

    if (t->n_chunks == t->cap) {
        chunks = realloc(t->chunks, (2 * t->cap + 16) * sizeof(chunk));

        if (chunks == NULL) {
            rows_chunk_put(chunk);
            rows_oom(m);
        }

        t->chunks = chunks;
        t->cap = 2 * t->cap + 16;
    }

    t->chunks[t->n_chunks++] = chunk;
}


static rows_chunk_t *
rows_chunk(rows_maker_t *m, const rows_row_t *rows, size_t n)
{
    size_t         i;
    rows_chunk_t  *c;

    c = rows_alloc(m, sizeof(rows_chunk_t) + n * sizeof(rows_row_t));
    c->refs = 1;
    c->n = n;
    memcpy(c->rows, rows, n * sizeof(rows_row_t));

    for (i = 0; i < n; i++) {
        c->sum[0] += rows[i].sum[0];
        c->sum[1] += rows[i].sum[1];
        c->n_broken += (rows[i].reason != NULL);
    }

    return c;
}


static rows_new_t *
rows_order(rows_maker_t *m, const PGresult *res, size_t *n)
{
    int          i, count;
    rows_new_t  *list;

    count = (res != NULL) ? PQntuples(res) : 0;
    list = arena_alloc(m->arena, ((size_t) count + 1) * sizeof(rows_new_t));
    *n = 0;

    for (i = 0; i < count; i++) {
        if (rows_id(res, i, list[*n].id) == 0) {
            list[*n].number = i;
            (*n)++;
        }
    }

    qsort(list, *n, sizeof(rows_new_t), rows_new_cmp);

    return list;
}


static void
rows_one(rows_maker_t *m, int kind, const rows_new_t *new_row,
    const rows_row_t *old, rows_row_t *out)
{
    const PGresult     *res;
    const rows_kind_t  *k;

    k = &m->batch->plan->kinds[kind];
    res = m->batch->given[kind].result;

    rows_sum(k, res, new_row->number, out->sum);

    if (old != NULL && memcmp(old->sum, out->sum, sizeof(out->sum)) == 0) {
        *out = *old;
        return;
    }

    m->rows->n_stale += (old != NULL);

    memcpy(out->id, new_row->id, 16);
    out->entity = value_new(m->block->arena);
    out->block = m->block;
    out->reason = rows_read(m->scratch, k, res, new_row->number,
                            out->entity);

    if (out->reason == NULL) {
        rows_validate(m, k->schema, out);
    }

    rows_keep(m, out);
    rows_scratch(m);
}


/* what a row is and why it is bad, into the block under way */
static void
rows_keep(rows_maker_t *m, rows_row_t *r)
{
    value_pack(m->packer, r->entity, r->entity);

    if (r->reason != NULL) {
        r->reason = arena_strndup(m->block->arena, r->reason,
                                  strlen(r->reason));
    }
}


static void
rows_scratch(rows_maker_t *m)
{
    arena_t  *a;

    if (m->scratch->used >= ROWS_SCRATCH) {
        a = m->scratch;
        m->scratch = arena_new();
        m->scratch->oom = a->oom;
        arena_free(a);
    }
}


static void
rows_validate(rows_maker_t *m, const schema_t *s, rows_row_t *out)
{
    value_t  errors;

    m->ctx.arena = m->scratch;
    memset(&errors, 0, sizeof(errors));
    value_set_object(&errors);

    rows_clean(&m->ctx, s, out->entity);
    schema_expand_shorthands(&m->ctx, s, out->entity, &errors);
    schema_fill_defaults(&m->ctx, s, out->entity);
    (void) schema_check(&m->ctx, s, out->entity, &errors);

    if (errors.len != 0) {
        out->reason = schema_error_message(m->ctx.arena, &errors);
    }
}


static void
rows_sums(rows_table_t *t)
{
    size_t               i;
    const rows_chunk_t  *c;

    for (i = 0; i < t->n_chunks; i++) {
        c = t->chunks[i];
        t->n += c->n;
        t->n_broken += c->n_broken;
        t->sum[0] += c->sum[0];
        t->sum[1] += c->sum[1];
    }
}


/* the good rows of the chunks [from, to), if wanted; returns their number */
static size_t
rows_good(const rows_table_t *t, size_t from, size_t to, value_t **out)
{
    size_t               i, n;
    const rows_chunk_t  *c;

    for (n = 0; from < to; from++) {
        c = t->chunks[from];

        if (out == NULL) {
            n += c->n - c->n_broken;
            continue;
        }

        for (i = 0; i < c->n; i++) {
            if (c->rows[i].reason == NULL) {
                out[n++] = c->rows[i].entity;
            }
        }
    }

    return n;
}


/* the good rows as a configuration's table, with its indexes */
static void
rows_holder(rows_maker_t *m, int kind, rows_table_t *t,
    const rows_table_t *old)
{
    size_t           i, n;
    value_t        **good;
    config_table_t  *table;

    if (old != NULL && rows_splice(m, kind, t, old) == 0) {
        return;
    }

    n = rows_good(t, 0, t->n_chunks, NULL);
    t->holder = config_new();
    t->holder->arena->oom = m->block->arena->oom;
    good = arena_alloc(m->arena, (n + 1) * sizeof(value_t *));
    (void) rows_good(t, 0, t->n_chunks, good);

    for (i = 0; i < n; i++) {
        (void) config_add(t->holder, rows_entity(kind), good[i]);
    }

    /* by id they are already */

    table = config_table(t->holder, rows_entity(kind));
    table->ascending = table->rows;
    t->holder->arena->oom = NULL;
    t->index = arena_ref(t->holder->arena);
}


/* what is between the first and the last chunk that changed comes into the
 * table before */
static int
rows_splice(rows_maker_t *m, int kind, rows_table_t *t,
    const rows_table_t *old)
{
    int               rc;
    size_t            i, n, end, from, to;
    value_t         **good;
    config_table_t   *table;
    config_splice_t   sp;

    memset(&sp, 0, sizeof(sp));
    sp.from = config_table(old->holder, rows_entity(kind));

    for (from = 0; from < t->n_chunks && from < old->n_chunks
                   && t->chunks[from] == old->chunks[from]; from++)
    {
        /* void */
    }

    for (to = 0; to < t->n_chunks - from && to < old->n_chunks - from
                 && t->chunks[t->n_chunks - to - 1]
                    == old->chunks[old->n_chunks - to - 1]; to++)
    {
        /* void */
    }

    n = rows_good(t, from, t->n_chunks - to, NULL);
    good = malloc((n + 1) * sizeof(value_t *));

    if (good == NULL) {
        return -1;
    }

    (void) rows_good(t, from, t->n_chunks - to, good);
    sp.at = rows_good(t, 0, from, NULL);
    sp.n = sp.from->n - sp.at
           - rows_good(t, t->n_chunks - to, t->n_chunks, NULL);

    /* and within them */

    for (i = 0; i < n && i < sp.n && good[i] == sp.from->rows[sp.at + i]; i++)
    {
        /* void */
    }

    for (end = 0; end < n - i && end < sp.n - i
                  && good[n - end - 1]
                     == sp.from->rows[sp.at + sp.n - end - 1]; end++)
    {
        /* void */
    }

    sp.at += i;
    sp.n -= i + end;
    sp.rows = good + i;
    sp.n_rows = n - i - end;

    t->holder = config_new();
    t->holder->arena->oom = m->block->arena->oom;
    table = config_table(t->holder, rows_entity(kind));

    rc = config_splice(table, t->holder->arena, &sp);
    t->holder->arena->oom = NULL;
    free(good);

    if (rc != 0) {
        config_free(t->holder);
        t->holder = NULL;
        return -1;
    }

    t->index = arena_ref(sp.same_keys ? old->index : t->holder->arena);

    return 0;
}


/* the same rows in other places: their numbers and keys are as before */
void
rows_table_compact(rows_maker_t *m, int kind, const rows_block_t *keep)
{
    size_t           i, n;
    rows_table_t    *t, *old;
    config_table_t  *table, *from;

    old = m->rows->tables[kind];

    for (i = 0; i < old->n_chunks && rows_stays(m, old->chunks[i], keep);
         i++)
    {
        /* void */
    }

    if (i == old->n_chunks) {
        return;
    }

    t = rows_alloc(m, sizeof(rows_table_t));
    t->refs = 1;
    m->rows->tables[kind] = t;
    m->leaving = old;

    for (i = 0; i < old->n_chunks; i++) {

        if (!rows_stays(m, old->chunks[i], keep)) {
            rows_put_chunk(m, t, rows_move(m, old->chunks[i], keep));
            continue;
        }

        __atomic_add_fetch(&old->chunks[i]->refs, 1, __ATOMIC_RELAXED);
        rows_put_chunk(m, t, old->chunks[i]);
    }

    rows_sums(t);

    from = config_table(old->holder, rows_entity(kind));
    t->holder = config_new();
    t->holder->arena->oom = m->block->arena->oom;
    table = config_table(t->holder, rows_entity(kind));
    *table = *from;
    table->rows = arena_alloc(t->holder->arena,
                              (from->n + 1) * sizeof(value_t *));
    n = rows_good(t, 0, t->n_chunks, table->rows);
    table->n = n;
    table->cap = n;
    table->ascending = table->rows;
    t->holder->arena->oom = NULL;
    t->index = arena_ref(old->index);

    m->leaving = NULL;
    rows_table_put(old);
}


static unsigned
rows_stays(const rows_maker_t *m, const rows_chunk_t *c,
    const rows_block_t *keep)
{
    size_t  i;

    for (i = 0; i < c->n; i++) {
        if (c->rows[i].block != keep && c->rows[i].block != m->block) {
            return 0;
        }
    }

    return 1;
}


static rows_chunk_t *
rows_move(rows_maker_t *m, const rows_chunk_t *old,
    const rows_block_t *keep)
{
    size_t         i;
    value_t       *v;
    rows_row_t    *r;
    rows_chunk_t  *c;

    c = rows_chunk(m, old->rows, old->n);

    for (i = 0; i < c->n; i++) {
        r = &c->rows[i];

        if (r->block == keep || r->block == m->block) {
            continue;
        }

        v = value_new(m->block->arena);
        *v = *r->entity;
        r->entity = v;
        r->block = m->block;
        rows_keep(m, r);
    }

    return c;
}


static void *
rows_alloc(rows_maker_t *m, size_t size)
{
    void  *p;

    p = calloc(1, size);

    if (p == NULL) {
        rows_oom(m);
    }

    return p;
}


static _Noreturn void
rows_oom(rows_maker_t *m)
{
    if (m->block->arena->oom != NULL) {
        longjmp(*m->block->arena->oom, 1);
    }

    abort();
}


void
rows_table_put(rows_table_t *t)
{
    size_t  i;

    if (t == NULL
        || __atomic_sub_fetch(&t->refs, 1, __ATOMIC_ACQ_REL) != 0)
    {
        return;
    }

    for (i = 0; i < t->n_chunks; i++) {
        rows_chunk_put(t->chunks[i]);
    }

    config_free(t->holder);
    arena_free(t->index);
    free(t->chunks);
    free(t);
}


static void
rows_chunk_put(rows_chunk_t *c)
{
    if (__atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        free(c);
    }
}
