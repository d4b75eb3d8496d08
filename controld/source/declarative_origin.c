/*
 * declarative_origin: see declarative_origin.h.
 */

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "declarative_origin.h"


static int origin_counts(decl_t *d, decl_origin_t *o, arena_t *a,
    const spans_t *spans);
static decl_row_t *origin_root(decl_row_t *row);
static void origin_part(decl_t *d, decl_part_t *part, arena_t *a,
    const spans_t *spans, uint64_t tables);
static void origin_release(void *owner);


uint64_t
decl_origin_opts(const declarative_opts_t *opts)
{
    uint64_t            sum;
    const char *const  *p;

    sum = opts->database;

    if (opts->router_flavor != NULL) {
        sum = XXH3_64bits_withSeed(opts->router_flavor,
                                   strlen(opts->router_flavor), sum);
    }

    for (p = opts->plugins; p != NULL && *p != NULL; p++) {
        sum = XXH3_64bits_withSeed(*p, strlen(*p) + 1, sum);
    }

    return (opts->plugins == NULL) ? ~sum : sum;
}


decl_share_t *
decl_share_new(config_t *c, size_t n_chunks)
{
    decl_share_t  *s;

    s = arena_zalloc(c->arena, sizeof(decl_share_t));
    s->chunks = arena_zalloc(c->arena, (n_chunks + 1) * sizeof(arena_t *));
    s->n_chunks = n_chunks;
    s->tables = arena_zalloc(c->arena, c->n_tables * sizeof(arena_t *));
    s->indexes = arena_zalloc(c->arena, c->n_tables * sizeof(arena_t *));
    s->n_tables = c->n_tables;

    c->owner = s;
    c->release = origin_release;

    return s;
}


static void
origin_release(void *owner)
{
    size_t         i;
    decl_share_t  *s = owner;

    arena_free(s->origin);

    for (i = 0; i < s->n_chunks; i++) {
        arena_free(s->chunks[i]);
    }

    for (i = 0; i < s->n_tables; i++) {
        arena_free(s->tables[i]);
        arena_free(s->indexes[i]);
    }
}


int
decl_origin_make(decl_t *d, config_t *c, arena_t *arena,
    const spans_t *spans, const decl_origin_t *head)
{
    value_t        *v;
    decl_origin_t  *o;

    v = value_get(d->doc, "_format_version");

    if (spans->bad || !value_str_eq(v, "3.0") || head->len >= UINT32_MAX
        || d->n_kinds > 64)
    {
        return -1;
    }

    o = arena_zalloc(arena, sizeof(decl_origin_t));
    *o = *head;
    o->transform = d->transform;
    o->size = d->keep->used;
    o->n_chunks = 1;
    o->live = arena_zalloc(arena, sizeof(uint32_t));

    if (origin_counts(d, o, arena, spans) != 0) {
        return -1;
    }

    c->origin = o;

    return 0;
}


/* what a change cannot be held against: rows that come to an end by
 * themselves, rows without an id */

static int
origin_counts(decl_t *d, decl_origin_t *o, arena_t *a, const spans_t *spans)
{
    size_t        i, k, kind;
    uint64_t      tables[64];
    decl_row_t   *row, *root;
    decl_part_t  *part, *of_kind[64];

    memset(tables, 0, sizeof(tables));
    memset(of_kind, 0, sizeof(of_kind));

    for (i = 0; i < d->n_order; i++) {
        row = d->order[i];

        if (!row->kind->uuid || !value_is_null(&row->ttl)) {
            return -1;
        }

        o->random |= row->random | row->kind->secret;
        tables[origin_root(row)->kind - d->kinds]
            |= (uint64_t) 1 << (row->kind - d->kinds);
    }

    o->parts = arena_zalloc(a, d->n_kinds * sizeof(decl_part_t));

    for (i = 0; i < d->n_kinds; i++) {
        if (tables[i] != 0) {
            part = &o->parts[o->n_parts++];
            part->kind = (unsigned) i;
            of_kind[i] = part;
            origin_part(d, part, a, spans, tables[i]);
            o->live[0] += (part->n != 0) ? part->n : 1;
        }
    }

    for (i = 0; i < d->n_order; i++) {
        row = d->order[i];
        root = origin_root(row);
        part = of_kind[root->kind - d->kinds];
        kind = (size_t) (row->kind - d->kinds);
        part->totals[kind]++;

        if (part->n == 0) {
            continue;
        }

        for (k = 0; part->tables[k] != kind; k++) { /* void */ }

        part->counts[(size_t) root->index * part->n_tables + k]++;
    }

    return 0;
}


static decl_row_t *
origin_root(decl_row_t *row)
{
    while (row->parent != NULL) {
        row = row->parent;
    }

    return row;
}


static void
origin_part(decl_t *d, decl_part_t *part, arena_t *a, const spans_t *spans,
    uint64_t tables)
{
    size_t               i;
    value_t             *list;
    const char          *name;
    const spans_list_t  *span;

    name = d->kinds[part->kind].schema->name;
    list = value_get(d->doc, name);
    span = NULL;

    for (i = 0; i < spans->n; i++) {
        if (strcmp(spans->lists[i].name, name) == 0) {
            span = &spans->lists[i];
        }
    }

    part->tables = arena_alloc(a, d->n_kinds);
    part->totals = arena_zalloc(a, d->n_kinds * sizeof(uint32_t));

    for (i = 0; i < d->n_kinds; i++) {
        if (tables >> i & 1) {
            part->tables[part->n_tables++] = (uint8_t) i;
        }
    }

    if (span == NULL || list == NULL || span->n != list->len) {
        return;
    }

    part->n = span->n;
    part->end = span->end;
    part->starts = arena_alloc(a, part->n * sizeof(uint32_t));
    memcpy(part->starts, span->starts, part->n * sizeof(uint32_t));
    part->chunks = arena_zalloc(a, part->n * sizeof(uint32_t));
    part->counts = arena_zalloc(a, (size_t) part->n * part->n_tables
                                   * sizeof(uint32_t));
}
