/*
 * config: tables of entities and their indexes by id and by endpoint key.
 * Index entries live in the configuration's arena; only the hash tables' own
 * bookkeeping is malloc'ed, and freed with the configuration.
 */

#include <stdlib.h>
#include <string.h>

/* a failed malloc of the index is treated like one of the arena */
#define HASH_NONFATAL_OOM      1
#define uthash_nonfatal_oom(e) config_oom = 1

/* seeded, and fast on short keys */
#define HASH_FUNCTION(s, len, hashv)  (hashv) = value_hash(s, len)

#include <uthash.h>

#include "config.h"


typedef struct config_index_s  config_index_t;

struct config_index_s {
    const char      *key;
    value_t         *row;
    UT_hash_handle   hh;
};


static int config_index_add(config_t *c, config_index_t **index,
    const value_t *key, value_t *row);
static value_t *config_index_find(config_index_t *index, const char *key,
    size_t len);


config_t *
config_new(void)
{
    size_t     i, n;
    arena_t   *arena;
    config_t  *c;

    for (n = 0; schema_entities[n] != NULL; n++) { /* void */ }

    arena = arena_new();
    c = arena_zalloc(arena, sizeof(config_t));

    c->arena = arena;
    c->n_tables = n;
    c->tables = arena_zalloc(arena, n * sizeof(config_table_t));

    for (i = 0; i < n; i++) {
        c->tables[i].schema = schema_entities[i];
    }

    memset(c->hash, '0', sizeof(c->hash) - 1);

    return c;
}


void
config_free(config_t *c)
{
    size_t           i;
    config_index_t  *index;

    if (c == NULL) {
        return;
    }

    for (i = 0; i < c->n_tables; i++) {
        index = c->tables[i].by_id;
        HASH_CLEAR(hh, index);

        index = c->tables[i].by_key;
        HASH_CLEAR(hh, index);
    }

    arena_free(c->arena);
}


config_table_t *
config_table(const config_t *c, const char *entity)
{
    size_t  i;

    for (i = 0; i < c->n_tables; i++) {
        if (strcmp(c->tables[i].schema->name, entity) == 0) {
            return &c->tables[i];
        }
    }

    return NULL;
}


int
config_add(config_t *c, const char *entity, value_t *row)
{
    size_t           cap;
    value_t         *id, *key, **rows;
    config_table_t  *t;

    t = config_table(c, entity);
    id = value_get(row, "id");

    if (t == NULL) {
        return -1;
    }

    /* a few tables know no ids: their rows are only listed */

    if (schema_field(t->schema, "id") != NULL) {
        if (id == NULL || id->kind != VALUE_STRING
            || config_index_add(c, &t->by_id, id, row) != 0)
        {
            return -1;
        }
    }

    /* the first of equal keys is the one to be found */

    if (t->schema->endpoint_key != NULL) {
        key = value_get(row, t->schema->endpoint_key);

        if (key != NULL && key->kind == VALUE_STRING) {
            (void) config_index_add(c, &t->by_key, key, row);
        }
    }

    if (t->n == t->cap) {
        cap = t->cap == 0 ? 16 : t->cap * 2;
        rows = arena_alloc(c->arena, cap * sizeof(value_t *));

        if (t->n != 0) {
            memcpy(rows, t->rows, t->n * sizeof(value_t *));
        }

        t->rows = rows;
        t->cap = cap;
    }

    t->rows[t->n++] = row;

    return 0;
}


value_t *
config_by_id(const config_t *c, const char *entity, const char *id,
    size_t len)
{
    config_table_t  *t;

    t = config_table(c, entity);

    return t == NULL ? NULL : config_index_find(t->by_id, id, len);
}


value_t *
config_by_key(const config_t *c, const char *entity, const char *key,
    size_t len)
{
    config_table_t  *t;

    t = config_table(c, entity);

    return t == NULL ? NULL : config_index_find(t->by_key, key, len);
}


static int
config_index_add(config_t *c, config_index_t **index, const value_t *key,
    value_t *row)
{
    int              config_oom;
    config_index_t  *entry, *head;

    if (config_index_find(*index, key->u.string, key->len) != NULL) {
        return -1;
    }

    entry = arena_alloc(c->arena, sizeof(config_index_t));
    entry->key = key->u.string;
    entry->row = row;

    config_oom = 0;
    head = *index;
    HASH_ADD_KEYPTR(hh, head, entry->key, key->len, entry);

    if (config_oom) {
        (void) arena_alloc(c->arena, SIZE_MAX);
    }

    *index = head;

    return 0;
}


static value_t *
config_index_find(config_index_t *index, const char *key, size_t len)
{
    config_index_t  *entry;

    HASH_FIND(hh, index, key, len, entry);

    return entry == NULL ? NULL : entry->row;
}
