/*
 * rows: from what a transaction gave to the next mirror, and from a mirror to
 * a configuration.  Runs in the loader's thread.
 *
 * Rows are kept by ascending id, so that a batch is merged in one walk, and
 * a row that was read before and is the same keeps its entity: neither is it
 * validated again, nor its memory taken twice.  A row that does not validate
 * is kept with the reason and stops nothing else.
 */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

#include "../../ngx_kong_module/snapshot/kong_segment.h"
#include "rows.h"


#define ROWS_BLOCKS  64              /* then small ones become one */


/* values of rows; shared by mirrors */
typedef struct {
    unsigned      refs;
    arena_t      *arena;
} rows_block_t;

typedef struct {
    uint8_t       id[16];
    uint64_t      sum[2];            /* of what was read */
    value_t      *entity;
    const char   *reason;            /* NULL: it is good */
    rows_block_t *block;
} rows_row_t;

/* immutable; the good rows are a table of `holder` */
typedef struct {
    unsigned      refs;
    rows_row_t   *rows;
    size_t        n;
    size_t        n_broken;
    uint64_t      sum[2];
    config_t     *holder;
    arena_t      *index;             /* where the holder's indexes are */
} rows_table_t;

struct rows_s {
    unsigned      refs;
    rows_table_t *tables[ROWS_KINDS];
    rows_block_t *blocks[ROWS_BLOCKS + 1];
    size_t        n_blocks;
    size_t        n_rows;
    size_t        n_stale;           /* values that no row has any more */
};

/* a row of the batch, before it is a row of the mirror */
typedef struct {
    uint8_t       id[16];
    int           number;
} rows_new_t;

typedef struct {
    rows_batch_t *batch;
    rows_t       *rows;              /* being made */
    rows_block_t *block;
    schema_ctx_t  ctx;
} rows_maker_t;


static int rows_new_cmp(const void *one, const void *two);
static void rows_fill(rows_maker_t *m);
static rows_table_t *rows_table(rows_maker_t *m, int kind);
static rows_new_t *rows_order(rows_maker_t *m, const PGresult *res,
    size_t *n);
static void rows_one(rows_maker_t *m, int kind, const rows_new_t *new_row,
    const rows_row_t *old, rows_row_t *out);
static void rows_validate(rows_maker_t *m, const schema_t *s,
    rows_row_t *out);
static void rows_holder(rows_maker_t *m, int kind, rows_table_t *t,
    const rows_table_t *old);
static int rows_splice(rows_maker_t *m, int kind, rows_table_t *t,
    const rows_table_t *old);
static void rows_compact(rows_maker_t *m);
static rows_table_t *rows_table_copy(rows_maker_t *m, int kind,
    const rows_block_t *keep);
static void *rows_alloc(rows_maker_t *m, size_t size);
static void rows_table_put(rows_table_t *t);
static void rows_block_put(rows_block_t *b);
static void rows_release(void *owner);
static uint64_t rows_seed(const char *const *plugins, const char *flavor);


static int
rows_new_cmp(const void *one, const void *two)
{
    const rows_new_t  *a = one;
    const rows_new_t  *b = two;

    return memcmp(a->id, b->id, 16);
}


/* memory that runs out on the way is given back before the caller hears */
rows_t *
rows_make(rows_batch_t *b, arena_t *a)
{
    jmp_buf             oom;
    rows_maker_t       *m;
    jmp_buf *volatile   outer;

    outer = a->oom;
    m = arena_zalloc(a, sizeof(rows_maker_t));

    m->batch = b;
    m->rows = calloc(1, sizeof(rows_t));
    m->block = calloc(1, sizeof(rows_block_t));

    if (m->rows == NULL || m->block == NULL) {
        free(m->rows);
        free(m->block);

        if (outer != NULL) {
            longjmp(*outer, 1);
        }

        abort();
    }

    m->rows->refs = 1;
    m->block->refs = 1;
    m->block->arena = arena_new();

    if (outer != NULL) {
        if (setjmp(oom) != 0) {
            a->oom = outer;
            rows_put(m->rows);
            rows_block_put(m->block);
            longjmp(*outer, 1);
        }

        a->oom = &oom;
        m->block->arena->oom = &oom;
    }

    rows_fill(m);

    a->oom = outer;
    m->block->arena->oom = NULL;
    rows_block_put(m->block);

    return m->rows;
}


static void
rows_fill(rows_maker_t *m)
{
    int               i;
    size_t            j;
    rows_t           *base, *rows;
    rows_given_t     *g;
    struct timespec   now;

    rows = m->rows;
    base = m->batch->base;
    (void) clock_gettime(CLOCK_REALTIME, &now);

    m->ctx.arena = m->block->arena;
    m->ctx.database = 1;
    m->ctx.router_flavor = m->batch->router_flavor;
    m->ctx.plugins = m->batch->plugins;
    m->ctx.now = (double) now.tv_sec
                 + (double) (now.tv_nsec / 1000000) / 1000;

    if (base != NULL) {
        rows->n_stale = base->n_stale;

        for (j = 0; j < base->n_blocks; j++) {
            rows->blocks[j] = base->blocks[j];
            __atomic_add_fetch(&rows->blocks[j]->refs, 1, __ATOMIC_RELAXED);
            rows->n_blocks++;
        }
    }

    rows->blocks[rows->n_blocks++] = m->block;
    m->block->refs++;

    for (i = 0; i < ROWS_KINDS; i++) {
        g = &m->batch->given[i];

        if (base != NULL && !g->whole && g->n_ids == 0) {
            rows->tables[i] = base->tables[i];
            __atomic_add_fetch(&rows->tables[i]->refs, 1, __ATOMIC_RELAXED);

        } else {
            rows->tables[i] = rows_table(m, i);

            /* what the next table takes */
            PQclear(g->result);
            g->result = NULL;
        }

        rows->n_rows += rows->tables[i]->n;
    }

    if (rows->n_blocks > ROWS_BLOCKS
        || rows->n_stale > rows->n_rows / 2 + 1000)
    {
        rows_compact(m);
    }
}


/* the old rows and those of the batch, side by side by id */
static rows_table_t *
rows_table(rows_maker_t *m, int kind)
{
    int               rc;
    size_t            i, j, k, n, n_new;
    uint8_t         (*ids)[16];
    rows_new_t       *list;
    rows_given_t     *g;
    rows_table_t     *t, *old;

    g = &m->batch->given[kind];
    old = (m->batch->base != NULL) ? m->batch->base->tables[kind] : NULL;
    list = rows_order(m, g->result, &n_new);

    t = rows_alloc(m, sizeof(rows_table_t));
    m->rows->tables[kind] = t;
    t->refs = 1;

    n = n_new + (old != NULL && !g->whole ? old->n : 0);
    t->rows = rows_alloc(m, (n + 1) * sizeof(rows_row_t));

    ids = g->ids;
    i = 0;
    j = 0;
    k = 0;

    while (i < n_new || (old != NULL && j < old->n)) {

        rc = (i == n_new) ? 1
             : (old == NULL || j == old->n) ? -1
             : memcmp(list[i].id, old->rows[j].id, 16);

        if (rc <= 0) {
            rows_one(m, kind, &list[i++], rc == 0 ? &old->rows[j] : NULL,
                     &t->rows[t->n++]);
            j += (rc == 0);
            continue;
        }

        /* an old row that was not read: deleted, if it was asked for */

        while (k < g->n_ids && memcmp(ids[k], old->rows[j].id, 16) < 0) {
            k++;
        }

        if (g->whole
            || (k < g->n_ids && memcmp(ids[k], old->rows[j].id, 16) == 0))
        {
            m->rows->n_stale++;

        } else {
            t->rows[t->n++] = old->rows[j];
        }

        j++;
    }

    rows_holder(m, kind, t, old);

    return t;
}


static rows_new_t *
rows_order(rows_maker_t *m, const PGresult *res, size_t *n)
{
    int          i, count;
    rows_new_t  *list;

    count = (res != NULL) ? PQntuples(res) : 0;
    list = arena_alloc(m->block->arena, ((size_t) count + 1)
                                        * sizeof(rows_new_t));
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
    out->reason = rows_read(m->block->arena, k, res, new_row->number,
                            out->entity);

    if (out->reason == NULL) {
        rows_validate(m, k->schema, out);
    }
}


static void
rows_validate(rows_maker_t *m, const schema_t *s, rows_row_t *out)
{
    value_t  errors;

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


/* the good rows as a configuration's table, with its indexes */
static void
rows_holder(rows_maker_t *m, int kind, rows_table_t *t,
    const rows_table_t *old)
{
    size_t           i;
    rows_row_t      *r;
    config_table_t  *table;

    for (i = 0; i < t->n; i++) {
        r = &t->rows[i];
        t->sum[0] += r->sum[0];
        t->sum[1] += r->sum[1];
        t->n_broken += (r->reason != NULL);
    }

    if (old != NULL && rows_splice(m, kind, t, old) == 0) {
        return;
    }

    t->holder = config_new();
    t->holder->arena->oom = m->block->arena->oom;

    for (i = 0; i < t->n; i++) {
        r = &t->rows[i];

        if (r->reason == NULL) {
            (void) config_add(t->holder, rows_entity(kind), r->entity);
        }
    }

    /* by id they are already */

    table = config_table(t->holder, rows_entity(kind));
    table->ascending = table->rows;
    t->holder->arena->oom = NULL;
    t->index = arena_ref(t->holder->arena);
}


/* what is between the first and the last row that changed comes into the
 * table before */
static int
rows_splice(rows_maker_t *m, int kind, rows_table_t *t,
    const rows_table_t *old)
{
    int               rc;
    size_t            i, n, end;
    value_t         **good;
    config_table_t   *table;
    config_splice_t   sp;

    good = malloc((t->n + 1) * sizeof(value_t *));

    if (good == NULL) {
        return -1;
    }

    for (i = 0, n = 0; i < t->n; i++) {
        if (t->rows[i].reason == NULL) {
            good[n++] = t->rows[i].entity;
        }
    }

    memset(&sp, 0, sizeof(sp));
    sp.from = config_table(old->holder, rows_entity(kind));

    while (sp.at < n && sp.at < sp.from->n
           && good[sp.at] == sp.from->rows[sp.at])
    {
        sp.at++;
    }

    for (end = 0; end < n - sp.at && end < sp.from->n - sp.at
                  && good[n - end - 1] == sp.from->rows[sp.from->n - end - 1];
         end++)
    {
        /* void */
    }

    sp.n = sp.from->n - sp.at - end;
    sp.rows = good + sp.at;
    sp.n_rows = n - sp.at - end;

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


/*
 * Small blocks become one; all of them once half of the values are unused.
 * Only tables with rows in a block that goes are made again.
 */
static void
rows_compact(rows_maker_t *m)
{
    int            i;
    size_t         j;
    rows_t        *rows;
    rows_table_t  *t;
    rows_block_t  *keep;

    rows = m->rows;
    keep = (rows->n_stale > rows->n_rows / 2 + 1000) ? NULL : rows->blocks[0];

    for (i = 0; i < ROWS_KINDS; i++) {
        t = rows_table_copy(m, i, keep);

        if (t != NULL) {
            rows_table_put(rows->tables[i]);
            rows->tables[i] = t;
        }
    }

    for (j = (keep != NULL); j < rows->n_blocks; j++) {
        if (rows->blocks[j] != m->block) {
            rows_block_put(rows->blocks[j]);
        }
    }

    rows->n_blocks = 0;

    if (keep != NULL) {
        rows->blocks[rows->n_blocks++] = keep;

    } else {
        rows->n_stale = 0;
    }

    rows->blocks[rows->n_blocks++] = m->block;
}


/* NULL when the table has nothing to be moved */
static rows_table_t *
rows_table_copy(rows_maker_t *m, int kind, const rows_block_t *keep)
{
    size_t         i;
    rows_row_t    *r;
    rows_table_t  *t, *old;

    old = m->rows->tables[kind];

    for (i = 0; i < old->n; i++) {
        if (old->rows[i].block != keep && old->rows[i].block != m->block) {
            break;
        }
    }

    if (i == old->n) {
        return NULL;
    }

    t = rows_alloc(m, sizeof(rows_table_t));
    t->refs = 1;
    t->n = old->n;
    t->rows = rows_alloc(m, (t->n + 1) * sizeof(rows_row_t));
    memcpy(t->rows, old->rows, t->n * sizeof(rows_row_t));

    for (i = 0; i < t->n; i++) {
        r = &t->rows[i];

        if (r->block == keep || r->block == m->block) {
            continue;
        }

        r->entity = value_clone(m->block->arena, r->entity);
        r->block = m->block;

        if (r->reason != NULL) {
            r->reason = arena_strndup(m->block->arena, r->reason,
                                      strlen(r->reason));
        }
    }

    rows_holder(m, kind, t, NULL);

    return t;
}


static void *
rows_alloc(rows_maker_t *m, size_t size)
{
    void  *p;

    p = calloc(1, size);

    if (p == NULL) {
        if (m->block->arena->oom != NULL) {
            longjmp(*m->block->arena->oom, 1);
        }

        abort();
    }

    return p;
}


void
rows_get(rows_t *rows)
{
    __atomic_add_fetch(&rows->refs, 1, __ATOMIC_RELAXED);
}


void
rows_put(rows_t *rows)
{
    int     i;
    size_t  j;

    if (rows == NULL
        || __atomic_sub_fetch(&rows->refs, 1, __ATOMIC_ACQ_REL) != 0)
    {
        return;
    }

    for (i = 0; i < ROWS_KINDS; i++) {
        rows_table_put(rows->tables[i]);
    }

    for (j = 0; j < rows->n_blocks; j++) {
        rows_block_put(rows->blocks[j]);
    }

    free(rows);
}


static void
rows_table_put(rows_table_t *t)
{
    if (t == NULL
        || __atomic_sub_fetch(&t->refs, 1, __ATOMIC_ACQ_REL) != 0)
    {
        return;
    }

    config_free(t->holder);
    arena_free(t->index);
    free(t->rows);
    free(t);
}


static void
rows_block_put(rows_block_t *b)
{
    if (__atomic_sub_fetch(&b->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        arena_free(b->arena);
        free(b);
    }
}


static void
rows_release(void *owner)
{
    rows_put(owner);
}


/*
 * What else decides what a configuration does: the plugins that this program
 * has and may use.  An upgrade, or another setting, is another configuration.
 */
static uint64_t
rows_seed(const char *const *plugins, const char *flavor)
{
    size_t                  i;
    uint64_t                sum;
    const plugin_schema_t  *p;

    sum = XXH3_64bits(flavor != NULL ? flavor : "",
                      flavor != NULL ? strlen(flavor) : 0);

    for (i = 0; schema_plugins[i] != NULL; i++) {
        p = schema_plugins[i];
        sum = XXH3_64bits_withSeed(p->schema.name, strlen(p->schema.name),
                                   sum + p->implemented + p->hash);
    }

    for (i = 0; plugins != NULL && plugins[i] != NULL; i++) {
        sum = XXH3_64bits_withSeed(plugins[i], strlen(plugins[i]), sum);
    }

    return sum;
}


config_t *
rows_config(rows_t *rows, const rows_batch_t *b, arena_t *a,
    compile_aside_t **broken, size_t *n_broken)
{
    int               i;
    size_t            j, n;
    uint64_t          sum[2];
    config_t         *c;
    rows_row_t       *r;
    rows_table_t     *t;
    config_table_t   *to;
    struct timespec   now;

    c = config_new();
    c->sorted = 1;
    c->release = rows_release;
    c->owner = rows;
    rows_get(rows);

    sum[0] = rows_seed(b->plugins, b->router_flavor);
    sum[1] = 0;
    n = 0;
    *n_broken = 0;

    for (i = 0; i < ROWS_KINDS; i++) {
        t = rows->tables[i];
        to = config_table(c, rows_entity(i));
        *to = *config_table(t->holder, rows_entity(i));
        to->cap = to->n;

        sum[0] += t->sum[0] * (2 * (uint64_t) i + 1);
        sum[1] += t->sum[1] * (2 * (uint64_t) i + 1);
        n += (i > 0) ? t->n : 0;
        *n_broken += t->n_broken;
    }

    if (n != 0) {
        (void) snprintf(c->hash, sizeof(c->hash), "%016llx%016llx",
                        (unsigned long long) sum[0],
                        (unsigned long long) sum[1]);
    }

    *broken = arena_alloc(a, (*n_broken + 1) * sizeof(compile_aside_t));

    for (i = 0, n = 0; i < ROWS_KINDS && n < *n_broken; i++) {
        t = rows->tables[i];

        for (j = 0; t->n_broken != 0 && j < t->n; j++) {
            r = &t->rows[j];

            if (r->reason != NULL) {
                (*broken)[n].entity = rows_entity(i);
                (*broken)[n].row = r->entity;
                (*broken)[n++].reason = r->reason;
            }
        }
    }

    (void) clock_gettime(CLOCK_REALTIME, &now);
    c->loaded_at = (double) now.tv_sec + (double) now.tv_nsec / 1e9;

    return c;
}
