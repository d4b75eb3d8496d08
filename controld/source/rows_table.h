/*
 * rows_table: the rows of a kind, in a mirror.  Used by rows.c and
 * rows_table.c only.
 *
 * Rows stand by ascending id in chunks, which are shared by all mirrors that
 * have them: a change costs the chunks that it concerns, not the table.
 */

#ifndef KONG_ROWS_TABLE_H
#define KONG_ROWS_TABLE_H

#include "../model/value_pack.h"
#include "rows.h"


#define ROWS_BLOCKS  64              /* then small ones become one */
#define ROWS_CHUNK   512             /* rows, or half more, or less */
#define ROWS_SCRATCH (1024 * 1024)   /* bytes, then it is let go */


/* values of rows; shared by mirrors */
typedef struct {
    unsigned       refs;
    arena_t       *arena;
} rows_block_t;

typedef struct {
    uint8_t        id[16];
    uint64_t       sum[2];           /* of what was read */
    value_t       *entity;
    const char    *reason;           /* NULL: it is good */
    rows_block_t  *block;
} rows_row_t;

/* immutable once it is full */
typedef struct {
    unsigned       refs;
    size_t         n;
    size_t         n_broken;
    uint64_t       sum[2];
    rows_row_t     rows[];
} rows_chunk_t;

/* immutable once made; the good rows are a table of `holder` */
typedef struct {
    unsigned       refs;
    rows_chunk_t **chunks;           /* none of them is empty */
    size_t         n_chunks;
    size_t         cap;
    size_t         n;
    size_t         n_broken;
    uint64_t       sum[2];
    config_t      *holder;
    arena_t       *index;            /* where the holder's indexes are */
} rows_table_t;

struct rows_s {
    unsigned       refs;
    rows_table_t  *tables[ROWS_KINDS];
    rows_block_t  *blocks[ROWS_BLOCKS + 1];
    size_t         n_blocks;
    size_t         n_rows;
    size_t         n_stale;          /* values that no row has any more */
};

typedef struct {
    rows_batch_t  *batch;
    rows_t        *rows;             /* being made */
    rows_block_t  *block;
    arena_t       *arena;            /* for as long as this takes */
    arena_t       *scratch;          /* of the row under way */
    value_packer_t *packer;          /* into the block */
    schema_ctx_t   ctx;
    rows_row_t     open[2 * ROWS_CHUNK];    /* of the chunk that comes */
    size_t         n_open;
    rows_table_t  *leaving;          /* that another one replaces */
} rows_maker_t;


/* the table of a kind becomes what the batch makes of it.  All of these jump
 * as rows_make() does */
void rows_table_make(rows_maker_t *m, int kind);
/* it lets go of all values but those in `keep` and the maker's block */
void rows_table_compact(rows_maker_t *m, int kind, const rows_block_t *keep);
void rows_table_put(rows_table_t *t);        /* NULL is fine */

#endif
