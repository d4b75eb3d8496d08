/*
 * diff: the rows by which two configurations differ.  Rows that did not
 * change are the very same in memory, whatever the source, or at least equal
 * under the same id.
 */

#ifndef KONG_COMPILE_DIFF_H
#define KONG_COMPILE_DIFF_H

#include "../model/config.h"


typedef struct {
    value_t     *row;
    uint8_t      id[16];
    uint32_t     other;              /* in the other list, the row of this id;
                                        KONG_NONE: there is none */
    uint32_t     record;             /* in the old segment; KONG_NONE */
} diff_row_t;

typedef struct {
    diff_row_t  *gone;
    size_t       n_gone;
    diff_row_t  *come;
    size_t       n_come;
} diff_t;


/* 0, or -1: a row has no plain id, or more than `max` are not the very same.
 * Lists are from `a` */
int diff_table(arena_t *a, const config_table_t *before,
    const config_table_t *after, size_t max, diff_t *d);

/* do the rows that are in both stand in the same order? */
unsigned diff_in_order(const config_table_t *before,
    const config_table_t *after, const diff_t *d);

/*
 * ids -> numbers of records, for few ids and many records: the records are
 * gone through once.
 */
typedef struct {
    uint8_t      id[16];
    uint32_t     record;             /* KONG_NONE: not found */
    unsigned     used;
} diff_id_t;

typedef struct {
    diff_id_t   *slots;
    size_t       mask;
} diff_ids_t;

/* room for n ids */
void diff_ids_init(diff_ids_t *ids, arena_t *a, size_t n);
/* the id's slot, made where it is missing */
diff_id_t *diff_ids_add(diff_ids_t *ids, const uint8_t id[16]);
/* NULL when it was not added */
diff_id_t *diff_ids_get(const diff_ids_t *ids, const uint8_t id[16]);
/* n records that begin with their ids */
void diff_ids_find(diff_ids_t *ids, const void *records, size_t n,
    size_t stride);

#endif
