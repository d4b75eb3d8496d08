/*
 * config: tables of entities and their indexes by id and by endpoint key: an
 * open-addressing table of row numbers each, beside the rows' hashes, so that
 * a look-up touches the row that it returns and hardly another.
 */

#include <string.h>

#include "config_private.h"


#define CONFIG_INDEX_FIRST  64


static int config_index_add(arena_t *a, const config_table_t *t,
    config_index_t *index, const value_t *key, size_t row);
static void config_index_grow(arena_t *a, config_index_t *index);
static value_t *config_index_find(const config_table_t *t,
    const config_index_t *index, const char *key, size_t len,
    uint32_t hash);


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
        c->tables[i].by_id = config_index_new(arena, "id");
        c->tables[i].by_key
            = config_index_new(arena, schema_entities[i]->endpoint_key);
    }

    memset(c->hash, '0', sizeof(c->hash) - 1);

    return c;
}


void
config_free(config_t *c)
{
    if (c != NULL) {
        if (c->release != NULL) {
            c->release(c->owner);
        }

        arena_free(c->arena);
    }
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
    value_t        **rows;
    config_table_t  *t;

    t = config_table(c, entity);

    if (t == NULL) {
        return -1;
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

    t->rows[t->n] = row;

    if (config_insert(c->arena, t, t->n, 0) != 0) {
        return -1;
    }

    t->n++;

    return 0;
}


int
config_insert(arena_t *a, config_table_t *t, size_t row, unsigned unique)
{
    value_t  *id, *key;

    /* a few tables know no ids: their rows are only listed */

    if (schema_field(t->schema, "id") != NULL) {
        id = value_get(t->rows[row], "id");

        if (id == NULL || id->kind != VALUE_STRING
            || config_index_add(a, t, t->by_id, id, row) != 0)
        {
            return -1;
        }
    }

    /* the first of equal keys is the one to be found */

    if (t->schema->endpoint_key != NULL) {
        key = value_get(t->rows[row], t->schema->endpoint_key);

        if (key != NULL && key->kind == VALUE_STRING
            && config_index_add(a, t, t->by_key, key, row) != 0 && unique)
        {
            return -1;
        }
    }

    return 0;
}


value_t *
config_by_id(const config_t *c, const char *entity, const char *id,
    size_t len)
{
    config_table_t  *t;

    t = config_table(c, entity);

    return t == NULL ? NULL
                     : config_index_find(t, t->by_id, id, len,
                                         value_hash(id, len));
}


value_t *
config_by_key(const config_t *c, const char *entity, const char *key,
    size_t len)
{
    config_table_t  *t;

    t = config_table(c, entity);

    if (t == NULL || t->schema->endpoint_key == NULL) {
        return NULL;
    }

    return config_index_find(t, t->by_key, key, len, value_hash(key, len));
}


static int
config_index_add(arena_t *a, const config_table_t *t, config_index_t *index,
    const value_t *key, size_t row)
{
    size_t    i;
    uint32_t  hash;

    hash = value_hash(key->u.string, key->len);

    if (config_index_find(t, index, key->u.string, key->len, hash) != NULL) {
        return -1;
    }

    if (index->slots == NULL || index->n * 2 > index->mask) {
        config_index_grow(a, index);
    }

    i = hash & index->mask;

    while (index->slots[i].row != 0) {
        i = (i + 1) & index->mask;
    }

    index->slots[i].hash = hash;
    index->slots[i].row = (uint32_t) row + 1;
    index->n++;

    return 0;
}


static void
config_index_grow(arena_t *a, config_index_t *index)
{
    size_t          i, j, size;
    config_slot_t  *old;

    old = index->slots;
    size = old == NULL ? CONFIG_INDEX_FIRST : (index->mask + 1) * 4;

    index->slots = arena_zalloc(a, size * sizeof(config_slot_t));

    for (i = 0; old != NULL && i <= index->mask; i++) {
        if (old[i].row == 0) {
            continue;
        }

        for (j = old[i].hash & (size - 1); index->slots[j].row != 0;
             j = (j + 1) & (size - 1))
        { /* void */ }

        index->slots[j] = old[i];
    }

    index->mask = size - 1;
}


static value_t *
config_index_find(const config_table_t *t, const config_index_t *index,
    const char *key, size_t len, uint32_t hash)
{
    size_t          i;
    value_t        *row;
    const value_t  *v;

    if (index->slots == NULL) {
        return NULL;
    }

    for (i = hash & index->mask; index->slots[i].row != 0;
         i = (i + 1) & index->mask)
    {
        if (index->slots[i].hash != hash) {
            continue;
        }

        row = t->rows[index->slots[i].row - 1];
        v = value_get(row, index->field);

        if (v != NULL && v->kind == VALUE_STRING && v->len == len
            && memcmp(v->u.string, key, len) == 0)
        {
            return row;
        }
    }

    return NULL;
}


config_index_t *
config_index_new(arena_t *a, const char *field)
{
    config_index_t  *index;

    index = arena_zalloc(a, sizeof(config_index_t));
    index->field = field;

    return index;
}
