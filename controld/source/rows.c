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
#include "rows_table.h"


static void rows_fill(rows_maker_t *m);
static void rows_compact(rows_maker_t *m);
static void rows_block_put(rows_block_t *b);
static void rows_release(void *owner);
static uint64_t rows_seed(const char *const *plugins, const char *flavor);
static size_t rows_broken(const rows_table_t *t, const char *entity,
    compile_aside_t *out);


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
    m->scratch = arena_new();
    m->arena = a;

    if (outer != NULL) {
        if (setjmp(oom) != 0) {
            a->oom = outer;
            arena_free(m->scratch);
            rows_table_put(m->leaving);
            rows_put(m->rows);
            rows_block_put(m->block);
            longjmp(*outer, 1);
        }

        a->oom = &oom;
        m->block->arena->oom = &oom;
        m->scratch->oom = &oom;
    }

    rows_fill(m);

    a->oom = outer;
    m->block->arena->oom = NULL;
    arena_free(m->scratch);
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

    m->packer = value_packer_new(m->arena, m->block->arena);
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
            rows_table_make(m, i);

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


/* Small blocks become one; all of them once half of the values are unused */
static void
rows_compact(rows_maker_t *m)
{
    int            i;
    size_t         j;
    rows_t        *rows;
    rows_block_t  *keep;

    rows = m->rows;
    keep = (rows->n_stale > rows->n_rows / 2 + 1000) ? NULL : rows->blocks[0];

    for (i = 0; i < ROWS_KINDS; i++) {
        rows_table_compact(m, i, keep);
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


static size_t
rows_broken(const rows_table_t *t, const char *entity, compile_aside_t *out)
{
    size_t               i, j, n;
    const rows_row_t    *r;
    const rows_chunk_t  *c;

    for (i = 0, n = 0; i < t->n_chunks; i++) {
        c = t->chunks[i];

        for (j = 0; c->n_broken != 0 && j < c->n; j++) {
            r = &c->rows[j];

            if (r->reason != NULL) {
                out[n].entity = entity;
                out[n].row = r->entity;
                out[n++].reason = r->reason;
            }
        }
    }

    return n;
}


config_t *
rows_config(rows_t *rows, const rows_batch_t *b, arena_t *a,
    compile_aside_t **broken, size_t *n_broken)
{
    int               i;
    size_t            n;
    uint64_t          sum[2];
    config_t         *c;
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

        if (t->n_broken != 0) {
            n += rows_broken(t, rows_entity(i), *broken + n);
        }
    }

    (void) clock_gettime(CLOCK_REALTIME, &now);
    c->loaded_at = (double) now.tv_sec + (double) now.tv_nsec / 1e9;

    return c;
}
