/*
 * config: one validated configuration: all entities of all kinds, defaults
 * filled in, foreign keys resolved to {"id": ...}.  Built by a source, read
 * by the compiler and the Admin API, immutable once built, dropped whole with
 * its arena.
 */

#ifndef KONG_CONFIG_H
#define KONG_CONFIG_H

#include "schema.h"


typedef struct {
    const schema_t  *schema;
    value_t        **rows;          /* entities, in document order */
    size_t           n;
    size_t           cap;
    struct config_index_s *by_id;
    struct config_index_s *by_key;  /* endpoint key, where there is one */
} config_table_t;

typedef struct {
    arena_t         *arena;
    config_table_t  *tables;        /* one per schema_entities[] entry */
    size_t           n_tables;
    char             hash[33];      /* MD5 of the source text, hex; 32 zeros
                                       for an empty configuration */
    double           loaded_at;
    unsigned         sorted:1;      /* rows stand by ascending id */

    /* tables may be shared with other configurations: let go by config_free */
    void           (*release)(void *owner);
    void            *owner;
} config_t;


config_t *config_new(void);                   /* owns a new arena */
void config_free(config_t *c);                /* NULL is fine */
config_table_t *config_table(const config_t *c, const char *entity);
/* the row is not copied; it must carry a string "id".  -1: id taken */
int config_add(config_t *c, const char *entity, value_t *row);
value_t *config_by_id(const config_t *c, const char *entity, const char *id,
    size_t len);
value_t *config_by_key(const config_t *c, const char *entity,
    const char *key, size_t len);

#endif
