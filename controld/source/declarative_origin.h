/*
 * declarative_origin: what a configuration keeps of the text that it was made
 * of, so that a small change of the text costs little: the bytes, where the
 * items of its lists are in them, and how many rows of which table each of
 * them became.
 *
 * A configuration made from another one by a change shares rows, tables and
 * indexes with it; decl_share_t is what it has to let go.
 */

#ifndef KONG_DECLARATIVE_ORIGIN_H
#define KONG_DECLARATIVE_ORIGIN_H

#include "../model/spans.h"
#include "declarative_walk.h"


typedef struct decl_origin_s  decl_origin_t;

/* a list of the document */
typedef struct {
    unsigned       kind;         /* its number among the schemas */
    uint32_t       n;            /* items; 0: where they are is not known */
    uint32_t      *starts;
    uint32_t       end;
    unsigned       n_tables;     /* that it has rows in */
    uint8_t       *tables;
    uint32_t      *counts;       /* of rows: item by item, table by table */
    uint32_t      *chunks;       /* of the items: where their rows live */
    uint32_t      *totals;       /* of rows, one a schema */
} decl_part_t;

struct decl_origin_s {
    const char           *text;
    size_t                len;
    declarative_syntax_t  syntax;
    uint64_t              opts;
    unsigned              transform;
    unsigned              random;    /* some id is */
    unsigned              change;    /* of another text, not read whole */
    decl_part_t          *parts;     /* in the order of the schemas */
    unsigned              n_parts;
    uint32_t             *live;      /* items, by chunk */
    size_t                n_chunks;
    size_t                size;      /* of all rows when last read whole */
};

typedef struct {
    arena_t       *origin;       /* of the text and decl_origin_t */
    arena_t      **chunks;       /* rows; NULL: no item is left in it */
    size_t         n_chunks;
    arena_t      **tables;       /* one a table, NULL: none of its own */
    arena_t      **indexes;
    size_t         n_tables;
} decl_share_t;


uint64_t decl_origin_opts(const declarative_opts_t *opts);
/* what config_free() lets go, empty; its arrays are the configuration's */
decl_share_t *decl_share_new(config_t *c, size_t n_chunks);

/* after a document was read whole and found good; the rows of `d` are in
 * chunk 0.  -1: nothing can be kept; `arena` is the caller's in either case */
int decl_origin_make(decl_t *d, config_t *c, arena_t *arena,
    const spans_t *spans, const decl_origin_t *head);

/*
 * The configuration of `head`'s text, made from that of a text before it; NULL
 * when the document has to be read whole, be it because of an error in it.
 * `arena` holds the text and is kept by the configuration.
 */
config_t *decl_change(const config_t *before, arena_t *arena,
    const decl_origin_t *head, const declarative_opts_t *opts,
    jmp_buf *oom);

#endif
