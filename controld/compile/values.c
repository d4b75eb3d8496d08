/*
 * values: see values.h.  Children are written before their parents, so that
 * an index only ever refers backwards: what the verifier demands.
 */

#include <stdlib.h>
#include <string.h>

#include "values.h"
#include "../log.h"
#include "../model/json.h"
#include "../source/vault.h"
#include "../../ngx_kong_module/snapshot/kong_index.h"


static void values_make(values_t *vs, const value_t *v, kong_value_t *out);
static void values_string(values_t *vs, const char *s, size_t len,
    kong_value_t *out);
static void values_items(values_t *vs, const value_t *v, kong_value_t *out);
static uint32_t values_append(values_t *vs, const kong_value_t *v, size_t n);
static void values_grow(values_t *vs);


void
values_init(values_t *vs, arena_t *a, writer_t *w, const config_t *c)
{
    memset(vs, 0, sizeof(values_t));

    vs->arena = a;
    vs->writer = w;
    vs->config = c;
}


void
values_release(values_t *vs)
{
    bytes_release(&vs->bytes);
    free(vs->table);
    vs->table = NULL;
}


void
values_finish(values_t *vs)
{
    if (vs->bytes.failed || vs->failed) {
        vs->writer->failed = 1;
        return;
    }

    if (vs->bytes.size != 0) {
        writer_take(vs->writer, KONG_SECTION_VALUES,
                    vs->bytes.size / sizeof(kong_value_t), vs->bytes.data,
                    vs->bytes.size);
        memset(&vs->bytes, 0, sizeof(bytes_t));
    }
}


uint32_t
values_add(values_t *vs, const value_t *v)
{
    kong_value_t  value;

    values_make(vs, v, &value);

    return values_append(vs, &value, 1);
}


uint32_t
values_object(values_t *vs, const value_t *v, uint64_t *hash)
{
    char    *text;
    size_t   len, i;

    text = json_print(vs->arena, v, &len);
    *hash = XXH3_64bits(text, len);

    if (vs->n_shared * 2 >= vs->n_table) {
        values_grow(vs);

        if (vs->failed) {
            return 0;
        }
    }

    for (i = *hash % vs->n_table; vs->table[i].index != 0;
         i = (i + 1) % vs->n_table)
    {
        if (vs->table[i].hash == *hash) {
            return vs->table[i].index - 1;
        }
    }

    vs->table[i].hash = *hash;
    vs->table[i].index = values_add(vs, v) + 1;
    vs->n_shared++;

    return vs->table[i].index - 1;
}


static void
values_make(values_t *vs, const value_t *v, kong_value_t *out)
{
    memset(out, 0, sizeof(kong_value_t));

    if (value_is_null(v)) {
        return;
    }

    switch (v->kind) {

    case VALUE_BOOL:
        out->kind = KONG_VALUE_BOOL;
        out->n = v->u.boolean ? 1 : 0;
        break;

    case VALUE_NUMBER:
        out->kind = KONG_VALUE_NUMBER;
        out->u.number = v->u.number;
        break;

    case VALUE_STRING:
        values_string(vs, v->u.string, v->len, out);
        break;

    default:
        values_items(vs, v, out);
        break;
    }
}


static void
values_string(values_t *vs, const char *s, size_t len, kong_value_t *out)
{
    value_t      v;
    const char  *resolved, *err;

    value_set_string(&v, s, len);

    if (vault_is_reference(&v)) {
        resolved = vault_resolve(vs->arena, vs->config, s, len, &err);

        if (resolved == NULL) {
            log_write(LOG_ERR, "%s: an empty value is used", err);
            resolved = "";
        }

        s = resolved;
        len = strlen(resolved);
    }

    out->kind = KONG_VALUE_STRING;
    out->n = (uint32_t) len;
    out->u.ref = writer_string(vs->writer, s, len);
}


/* arrays as items, objects as pairs of key and value */
static void
values_items(values_t *vs, const value_t *v, kong_value_t *out)
{
    size_t         i, n;
    kong_value_t  *items;

    n = (v->kind == VALUE_OBJECT) ? 2 * (size_t) v->len : v->len;

    items = malloc((n + 1) * sizeof(kong_value_t));
    if (items == NULL) {
        vs->failed = 1;
        return;
    }

    for (i = 0; i < v->len; i++) {

        if (v->kind == VALUE_ARRAY) {
            values_make(vs, &v->u.items[i], &items[i]);
            continue;
        }

        memset(&items[2 * i], 0, sizeof(kong_value_t));
        items[2 * i].kind = KONG_VALUE_STRING;
        items[2 * i].n = value_member(v, i).key_len;
        items[2 * i].u.ref = writer_string(vs->writer, value_member(v, i).key,
                                           value_member(v, i).key_len);
        values_make(vs, value_nth(v, i), &items[2 * i + 1]);
    }

    out->kind = (v->kind == VALUE_OBJECT) ? KONG_VALUE_OBJECT
                                          : KONG_VALUE_ARRAY;
    out->n = v->len;
    out->u.first = values_append(vs, items, n);

    free(items);
}


static uint32_t
values_append(values_t *vs, const kong_value_t *v, size_t n)
{
    size_t  index;

    index = vs->bytes.size / sizeof(kong_value_t);
    bytes_put(&vs->bytes, v, n * sizeof(kong_value_t));

    return (uint32_t) (vs->first + index);
}


static void
values_grow(values_t *vs)
{
    size_t     i, j, n;
    values_t   old;

    old = *vs;
    n = old.n_table ? 2 * old.n_table : 64;

    vs->table = calloc(n, sizeof(vs->table[0]));
    if (vs->table == NULL) {
        vs->table = old.table;
        vs->failed = 1;
        return;
    }

    vs->n_table = n;

    for (i = 0; i < old.n_table; i++) {
        if (old.table[i].index == 0) {
            continue;
        }

        j = old.table[i].hash % n;

        while (vs->table[j].index != 0) {
            j = (j + 1) % n;
        }

        vs->table[j].hash = old.table[i].hash;
        vs->table[j].index = old.table[i].index;
    }

    free(old.table);
}
