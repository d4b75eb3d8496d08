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
    value_t        **ascending;     /* the rows by id; NULL: not made */
} config_table_t;

/* rows [at, at + n) of a table are replaced by others */
typedef struct {
    const config_table_t  *from;
    size_t                 at;
    size_t                 n;
    value_t              **rows;
    size_t                 n_rows;
    unsigned               same_keys;   /* set: ids and keys are as before,
                                           the indexes are those of `from` */
} config_splice_t;

typedef struct {
    arena_t         *arena;
    config_table_t  *tables;        /* one per schema_entities[] entry */
    size_t           n_tables;
    char             hash[33];      /* MD5 of the source text, hex; 32 zeros
                                       for an empty configuration */
    double           loaded_at;
    unsigned         sorted:1;      /* rows stand by ascending id */

    struct decl_origin_s *origin;   /* of a source's text; NULL: not kept */

    /* tables may be shared with other configurations: let go by config_free */
    void           (*release)(void *owner);
    void            *owner;
} config_t;


config_t *config_new(void);                   /* owns a new arena */
void config_free(config_t *c);                /* NULL is fine */
config_table_t *config_table(const config_t *c, const char *entity);
/* the row is not copied; it must carry a string "id".  -1: id taken */
int config_add(config_t *c, const char *entity, value_t *row);
/*
 * Fills a table from that of another configuration, which it leaves alone.
 * The new arrays are from `a`; indexes that stay the same are shared.  -1: an
 * id or a key is taken.
 */
int config_splice(config_table_t *t, arena_t *a, config_splice_t *splice);
/* makes `ascending` where it is missing, from the configuration's arena */
void config_sort(config_t *c);
value_t *config_by_id(const config_t *c, const char *entity, const char *id,
    size_t len);
value_t *config_by_key(const config_t *c, const char *entity,
    const char *key, size_t len);

#endif
