/*
 * config_private: the indexes of tables, shared by config.c and
 * config_splice.c.
 */

#ifndef KONG_CONFIG_PRIVATE_H
#define KONG_CONFIG_PRIVATE_H

#include "config.h"


typedef struct config_index_s  config_index_t;

typedef struct {
    uint32_t       hash;
    uint32_t       row;             /* its number plus one; 0 is free */
} config_slot_t;

struct config_index_s {
    const char    *field;
    config_slot_t *slots;
    size_t         n;
    size_t         mask;
};


config_index_t *config_index_new(arena_t *a, const char *field);
/* indexes a row that is in its place.  -1: its id is taken, or its key where
 * keys are unique */
int config_insert(arena_t *a, config_table_t *t, size_t row,
    unsigned unique);

#endif
