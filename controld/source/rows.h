/*
 * rows: rows of the database as entities.  A plan says, from the schema
 * tables and the catalog, which columns are read; a batch is what one
 * transaction gave; the mirror is every row as it was last read, good or set
 * aside with its reason.
 *
 * A mirror is immutable once made.  The next one shares with it the tables
 * that did not change, and the values of the rows that did not; so do the
 * configurations made of them.  References are counted atomically: a
 * configuration may be let go by any thread.
 */

#ifndef KONG_ROWS_H
#define KONG_ROWS_H

#include <libpq-fe.h>

#include "../compile/compile.h"


#define ROWS_KINDS  20

typedef struct rows_s  rows_t;

typedef struct {
    const field_t  *field;
    uint32_t        len;             /* of the field's name */
    uint32_t        hash;
    uint64_t        seed;            /* the same in every process */
    Oid             type;            /* 0: no such column */
} rows_column_t;

typedef struct {
    const schema_t *schema;
    const char     *table;
    rows_column_t  *columns;         /* one a field, in their order */
    unsigned        n;
    unsigned        present:1;       /* the table is there */
    const char     *sql;             /* all rows; NULL without a table */
    const char     *sql_ids;         /* of the ids in $1 */
} rows_kind_t;

typedef struct {
    arena_t        *arena;
    rows_kind_t     kinds[ROWS_KINDS];
    char            print[40];       /* differs when the catalog does */
} rows_plan_t;

/* what a transaction gave of a kind */
typedef struct {
    PGresult       *result;          /* NULL: not read */
    unsigned        whole:1;         /* all rows, not those of `ids` */
    uint8_t       (*ids)[16];        /* ascending, each once */
    size_t          n_ids;
} rows_given_t;

typedef struct {
    rows_plan_t         *plan;
    rows_t              *base;       /* NULL: every kind is whole */
    rows_given_t         given[ROWS_KINDS];
    const char *const   *plugins;    /* enabled ones; NULL: all bundled */
    const char          *router_flavor;
} rows_batch_t;


/* one row a column: table, column, type; of the current schema */
extern const char  rows_catalog_sql[];

/* from the answer to it; a plan with every kind absent when there are no
 * tables at all.  Free it with its arena */
rows_plan_t *rows_plan(const PGresult *catalog);
int rows_kind(const char *table);            /* -1: none of ours */
const char *rows_entity(int kind);

/* adds an id that changed; ids are sorted when the batch is used.  -1: out of
 * memory */
int rows_batch_id(rows_batch_t *b, int kind, const char *id, size_t len);
void rows_batch_sort(rows_batch_t *b);
void rows_batch_clear(rows_batch_t *b);

/* the next mirror, with one reference; the batch's results are used up.  Long
 * jumps over `oom` when memory is out, in any thread */
rows_t *rows_make(rows_batch_t *b, arena_t *a);
void rows_get(rows_t *rows);
void rows_put(rows_t *rows);                 /* NULL is fine */

/* the good rows as a configuration of their own, hash included; the others
 * in *broken, from `a`.  `b` has the settings */
config_t *rows_config(rows_t *rows, const rows_batch_t *b, arena_t *a,
    compile_aside_t **broken, size_t *n_broken);

/* rows_read.c: a sum that identifies what a row holds */
void rows_sum(const rows_kind_t *k, const PGresult *res, int row,
    uint64_t sum[2]);
/* one row into an entity in arena `a`.  NULL, or why it cannot be read */
const char *rows_read(arena_t *a, const rows_kind_t *k, const PGresult *res,
    int row, value_t *entity);
/* members that the schema knows, missing ones left to the defaults */
void rows_clean(schema_ctx_t *ctx, const schema_t *s, value_t *entity);
/* the uuid of a result's first column; -1 when it is none */
int rows_id(const PGresult *res, int row, uint8_t id[16]);

#endif
