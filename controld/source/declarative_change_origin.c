/*
 * declarative_change_origin: what a configuration that was made by a change
 * keeps of its text, from what the one before it kept.
 */

#include <string.h>

#include "declarative_change.h"


#define ORIGIN_SPARE  (1024 * 1024)


static void origin_part(decl_change_t *ch, decl_origin_t *o, size_t number,
    uint32_t chunk);
static void origin_counts(decl_change_t *ch, decl_part_t *to);


/*
 * What the next change is held against.  A chunk is let go with its last
 * item.  When the rows of the past take more than those of the present, all
 * is read whole again.
 */

int
decl_change_origin(decl_change_t *ch)
{
    size_t                i, size;
    uint32_t              chunk;
    decl_row_t           *row;
    decl_share_t         *from;
    decl_origin_t        *o;
    const decl_origin_t  *old;

    old = ch->old;
    from = ch->before->owner;
    chunk = (uint32_t) old->n_chunks;

    o = arena_zalloc(ch->origin, sizeof(decl_origin_t));
    *o = *ch->head;
    o->transform = old->transform;
    o->random = old->random;
    o->change = 1;
    o->size = old->size;
    o->n_chunks = old->n_chunks + 1;
    o->n_parts = old->n_parts;
    o->live = arena_zalloc(ch->origin, o->n_chunks * sizeof(uint32_t));
    o->parts = arena_zalloc(ch->origin, o->n_parts * sizeof(decl_part_t));
    memcpy(o->live, old->live, old->n_chunks * sizeof(uint32_t));

    /* the place of one that is gone serves again */

    for (i = 0; i < old->n_chunks; i++) {
        if (old->live[i] == 0) {
            ch->share->chunks[i] = ch->rows;
            ch->share->chunks[chunk] = NULL;
            chunk = (uint32_t) i;
            o->n_chunks--;
            break;
        }
    }

    for (i = 0; i < ch->d.n_order; i++) {
        row = ch->d.order[i];
        o->random |= row->random | row->kind->secret;
    }

    for (i = 0; i < o->n_parts; i++) {
        origin_part(ch, o, i, chunk);
    }

    ch->share->n_chunks = o->n_chunks;
    size = 0;

    for (i = 0; i < o->n_chunks; i++) {
        if (i != chunk && o->live[i] != 0) {
            ch->share->chunks[i] = arena_ref(from->chunks[i]);
        }

        size += (o->live[i] != 0) ? ch->share->chunks[i]->used : 0;
    }

    ch->config->origin = o;

    return (size > 2 * o->size + ORIGIN_SPARE) ? -1 : 0;
}


/* the items from the slice on are further on, or back, in the text */

static void
origin_part(decl_change_t *ch, decl_origin_t *o, size_t number, uint32_t chunk)
{
    size_t              shift;
    uint32_t            i, k, n;
    decl_part_t        *to;
    const decl_part_t  *from;
    decl_slice_t       *sl;

    sl = &ch->slice;
    to = &o->parts[number];
    from = &ch->old->parts[number];
    *to = *from;

    /* modulo its size this is a subtraction, too */
    shift = ch->head->len - ch->old->len;

    to->tables = arena_alloc(ch->origin, ch->d.n_kinds);
    memcpy(to->tables, from->tables, from->n_tables);
    to->totals = arena_alloc(ch->origin, ch->d.n_kinds * sizeof(uint32_t));
    memcpy(to->totals, from->totals, ch->d.n_kinds * sizeof(uint32_t));

    if (from->n == 0) {
        return;
    }

    n = (from == sl->part) ? ch->spans.lists[0].n : 0;
    to->n = from->n + n - ((n != 0) ? sl->last - sl->first : 0);
    to->starts = arena_alloc(ch->origin, to->n * sizeof(uint32_t));
    to->chunks = arena_alloc(ch->origin, to->n * sizeof(uint32_t));
    to->end = from->end + (uint32_t) ((from->end > sl->start) ? shift : 0);

    for (i = 0, k = 0; i < from->n; i++) {

        if (n != 0 && i == sl->first) {
            for ( ; k < sl->first + n; k++) {
                to->starts[k] = (uint32_t) (sl->start - ch->prefix)
                                + ch->spans.lists[0].starts[k - sl->first];
                to->chunks[k] = chunk;
                o->live[chunk]++;
            }
        }

        if (n != 0 && i >= sl->first && i < sl->last) {
            o->live[from->chunks[i]]--;
            continue;
        }

        to->starts[k] = from->starts[i];
        to->starts[k] += (uint32_t) ((from->starts[i] > sl->start) ? shift
                                                                   : 0);
        to->chunks[k++] = from->chunks[i];
    }

    if (n != 0) {
        origin_counts(ch, to);

    } else {
        to->counts = arena_alloc(ch->origin, (size_t) to->n * to->n_tables
                                             * sizeof(uint32_t));
        memcpy(to->counts, from->counts, (size_t) to->n * to->n_tables
                                         * sizeof(uint32_t));
    }
}


/* rows by item and table; the new items may have rows in more tables */

static void
origin_counts(decl_change_t *ch, decl_part_t *to)
{
    size_t              i, k, tail;
    uint32_t           *p;
    uint64_t            known;
    decl_row_t         *row, *root;
    const decl_part_t  *from;
    uint8_t             column[64];

    from = ch->slice.part;
    known = 0;

    for (k = 0; k < from->n_tables; k++) {
        known |= (uint64_t) 1 << from->tables[k];
        column[from->tables[k]] = (uint8_t) k;
    }

    for (i = 0; i < ch->d.n_kinds; i++) {
        to->totals[i] = to->totals[i] - (uint32_t) ch->n_old[i]
                        + (uint32_t) ch->n_new[i];

        if (ch->n_new[i] != 0 && !(known >> i & 1)) {
            column[i] = (uint8_t) to->n_tables;
            to->tables[to->n_tables++] = (uint8_t) i;
        }
    }

    tail = from->n - ch->slice.last;
    to->counts = arena_zalloc(ch->origin, (size_t) to->n * to->n_tables
                                          * sizeof(uint32_t));

    for (i = 0; i < (size_t) from->n; i++) {

        if (i >= ch->slice.first && i < ch->slice.last) {
            continue;
        }

        p = to->counts + to->n_tables * ((i < ch->slice.first)
                                         ? i : i - ch->slice.last
                                               + to->n - tail);
        memcpy(p, from->counts + i * from->n_tables,
               from->n_tables * sizeof(uint32_t));
    }

    for (i = 0; i < ch->d.n_order; i++) {
        row = ch->d.order[i];

        for (root = row; root->parent != NULL; root = root->parent) {
            /* void */
        }

        k = (size_t) (row->kind - ch->d.kinds);
        p = to->counts + to->n_tables * (ch->slice.first + root->index);
        p[column[k]]++;
    }
}
