/*
 * dao_value: values of entities as parameters of statements, and rows as
 * entities.
 */

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../model/json.h"
#include "dao.h"


#define DAO_CACHE_PARTS  5


typedef struct {
    char    *data;
    size_t   len;
    size_t   cap;
} dao_text_t;

typedef struct {
    const char          *entity;
    const char          *table;          /* NULL: the entity's name */
    unsigned             shared;         /* of all workspaces */
    const char *const   *global;         /* fields unique in all of them */
    const char          *cache_key;      /* a format of its own */
} dao_special_t;


static const dao_special_t *dao_special(const schema_t *s);
static const char *dao_cache_part(const value_t *entity, const char *field);
static void dao_array_item(arena_t *a, dao_text_t *text, const char *p,
    size_t len);
static void dao_grow(arena_t *a, dao_text_t *text, const char *p, size_t len);
static unsigned dao_value_good(const value_t *v, size_t *at);
static value_t *dao_time_keep(value_t *entity, const char *name,
    value_t *kept);


static const char *const  dao_name[] = { "name", NULL };
static const char *const  dao_prefix[] = { "prefix", NULL };

static const dao_special_t  dao_specials[] = {
    { "ca_certificates", NULL, 1, NULL, NULL },
    { "parameters", NULL, 1, NULL, NULL },
    { "workspaces", NULL, 1, NULL, NULL },
    { "clustering_data_planes", NULL, 1, NULL, NULL },
    { "acme_storage", NULL, 1, NULL, NULL },
    { "ratelimiting_metrics", NULL, 1, NULL, NULL },
    { "sessions", NULL, 1, NULL, NULL },
    { "vaults", "sm_vaults", 0, dao_prefix, NULL },
    { "snis", NULL, 0, dao_name, NULL },
    { "key_sets", NULL, 0, dao_name, NULL },
    { "keys", NULL, 0, dao_name, "kid:set" },
    { "filter_chains", NULL, 0, dao_name, NULL },
    { NULL, NULL, 0, NULL, NULL }
};


static const dao_special_t *
dao_special(const schema_t *s)
{
    const dao_special_t  *p;

    for (p = dao_specials; p->entity != NULL; p++) {
        if (strcmp(p->entity, s->name) == 0) {
            return p;
        }
    }

    return NULL;
}


const char *
dao_table(const schema_t *s)
{
    const dao_special_t  *p;

    p = dao_special(s);

    return (p != NULL && p->table != NULL) ? p->table : s->name;
}


unsigned
dao_has_workspace(const schema_t *s)
{
    const dao_special_t  *p;

    p = dao_special(s);

    return p == NULL || !p->shared;
}


unsigned
dao_is_global(const schema_t *s, const char *field)
{
    const char *const    *name;
    const dao_special_t  *p;

    p = dao_special(s);

    for (name = (p != NULL) ? p->global : NULL;
         name != NULL && *name != NULL;
         name++)
    {
        if (strcmp(*name, field) == 0) {
            return 1;
        }
    }

    return p != NULL && p->shared;
}


/* a key of one field needs no column */
unsigned
dao_has_cache_key(const schema_t *s)
{
    return s->cache_key != NULL && s->cache_key[0] != NULL
           && s->cache_key[1] != NULL;
}


const char *
dao_cache_key(dao_t *d, const schema_t *s, const value_t *entity)
{
    size_t                i;
    const char           *key;
    const dao_special_t  *p;

    p = dao_special(s);

    if (p != NULL && p->cache_key != NULL) {
        return arena_printf(d->arena, "keys:%s:%s",
                            dao_cache_part(entity, "kid"),
                            dao_cache_part(entity, "set"));
    }

    key = s->name;

    for (i = 0; s->cache_key[i] != NULL; i++) {
        key = arena_printf(d->arena, "%s:%s", key,
                           dao_cache_part(entity, s->cache_key[i]));
    }

    for ( /* void */ ; i < DAO_CACHE_PARTS; i++) {
        key = arena_printf(d->arena, "%s:", key);
    }

    return arena_printf(d->arena, "%s:%s", key, d->link->ws_id);
}


static const char *
dao_cache_part(const value_t *entity, const char *field)
{
    const char     *text;
    const value_t  *v;

    v = value_get(entity, field);

    if (v != NULL && v->kind == VALUE_OBJECT) {
        v = value_get(v, "id");
    }

    text = value_cstr(v);

    return (text != NULL) ? text : "";
}


unsigned
dao_is_stored(const field_t *f)
{
    return !(f->flags & F_ABSTRACT);
}


pg_arg_t
dao_arg(arena_t *a, const field_t *f, const value_t *v)
{
    pg_arg_t  arg;

    arg.type = PG_TYPE_TEXT;
    arg.text = NULL;

    if (f->type == FIELD_FOREIGN) {
        v = value_get(v, "id");
        arg.type = PG_TYPE_UUID;
        arg.text = value_cstr(v);
        return arg;
    }

    if ((f->flags & F_TIMESTAMP) || strcmp(f->name, "ttl") == 0) {
        arg.type = PG_TYPE_FLOAT8;

        if (!value_is_null(v) && v->kind == VALUE_NUMBER) {
            arg.text = arena_printf(a, "%.3f", v->u.number);
        }

        return arg;
    }

    switch (f->type) {

    case FIELD_INTEGER:
        arg.type = PG_TYPE_INT8;
        break;

    case FIELD_NUMBER:
        arg.type = PG_TYPE_FLOAT8;
        break;

    case FIELD_BOOLEAN:
        arg.type = PG_TYPE_BOOL;
        break;

    case FIELD_ARRAY:
    case FIELD_SET:
        arg.type = (f->elements == NULL) ? PG_TYPE_JSONB
                   : (f->elements->type >= FIELD_ARRAY) ? PG_TYPE_JSONBS
                   : (f->elements->flags & F_UUID) ? PG_TYPE_UUIDS
                                                   : PG_TYPE_TEXTS;
        break;

    case FIELD_MAP:
    case FIELD_RECORD:
    case FIELD_ANY:
        arg.type = PG_TYPE_JSONB;
        break;

    default:
        if (f->flags & F_UUID) {
            arg.type = PG_TYPE_UUID;
        }
        break;
    }

    if (value_is_null(v)) {
        return arg;
    }

    switch (v->kind) {

    case VALUE_STRING:
        arg.text = (arg.type == PG_TYPE_JSONB) ? json_print(a, v, NULL)
                                               : v->u.string;
        break;

    case VALUE_NUMBER:
        arg.text = arena_printf(a, (f->type == FIELD_INTEGER) ? "%.0f"
                                                              : "%.17g",
                                v->u.number);
        break;

    case VALUE_BOOL:
        arg.text = v->u.boolean ? "true" : "false";
        break;

    case VALUE_ARRAY:
        arg.text = (arg.type == PG_TYPE_JSONB)
                   ? json_print(a, v, NULL)
                   : dao_array(a, v, arg.type == PG_TYPE_JSONBS);
        break;

    default:
        arg.text = json_print(a, v, NULL);
        break;
    }

    return arg;
}


/* the text form of an array, for a typed parameter */
const char *
dao_array(arena_t *a, const value_t *v, unsigned json)
{
    size_t          i, len;
    dao_text_t      text;
    const char     *p;
    const value_t  *item;

    memset(&text, 0, sizeof(text));
    dao_grow(a, &text, "{", 1);

    for (i = 0; (item = value_at(v, i)) != NULL; i++) {

        if (i != 0) {
            dao_grow(a, &text, ",", 1);
        }

        if (item->kind == VALUE_STRING && !json) {
            dao_array_item(a, &text, item->u.string, item->len);

        } else {
            p = json_print(a, item, &len);
            dao_array_item(a, &text, p, len);
        }
    }

    dao_grow(a, &text, "}", 2);          /* with its end */

    return text.data;
}


static void
dao_array_item(arena_t *a, dao_text_t *text, const char *p, size_t len)
{
    size_t  n;

    dao_grow(a, text, "\"", 1);

    while (len != 0) {
        for (n = 0; n < len && p[n] != '"' && p[n] != '\\'; n++) { /* void */ }

        dao_grow(a, text, p, n);

        if (n < len) {
            dao_grow(a, text, "\\", 1);
            dao_grow(a, text, p + n, 1);
            n++;
        }

        p += n;
        len -= n;
    }

    dao_grow(a, text, "\"", 1);
}


static void
dao_grow(arena_t *a, dao_text_t *text, const char *p, size_t len)
{
    char  *to;

    if (text->len + len > text->cap) {
        text->cap = (text->len + len) * 2 + 64;
        to = arena_alloc(a, text->cap);

        if (text->len != 0) {
            memcpy(to, text->data, text->len);
        }

        text->data = to;
    }

    memcpy(text->data + text->len, p, len);
    text->len += len;
}


const field_t *
dao_bad_text(const schema_t *s, const value_t *entity, size_t *at)
{
    const field_t  *f;

    for (f = s->fields; f->name != NULL; f++) {
        if (!dao_value_good(value_get(entity, f->name), at)) {
            return f;
        }
    }

    return NULL;
}


static unsigned
dao_value_good(const value_t *v, size_t *at)
{
    uint32_t  i;
    member_t  m;

    if (v == NULL) {
        return 1;
    }

    switch (v->kind) {

    case VALUE_STRING:
        return dao_text_good(v->u.string, v->len, at);

    case VALUE_ARRAY:
        for (i = 0; i < v->len; i++) {
            if (!dao_value_good(&v->u.items[i], at)) {
                return 0;
            }
        }
        return 1;

    case VALUE_OBJECT:
        for (i = 0; i < v->len; i++) {
            m = value_member(v, i);

            if (!dao_text_good(m.key, m.key_len, at)
                || !dao_value_good(m.value, at))
            {
                return 0;
            }
        }
        return 1;

    default:
        return 1;
    }
}


/* UTF-8 in its shortest form, without surrogates and without NUL */
unsigned
dao_text_good(const char *s, size_t len, size_t *at)
{
    size_t                i, n, k;
    const unsigned char  *p;

    p = (const unsigned char *) s;

    for (i = 0; i < len; i += n) {
        *at = i + 1;

        if (p[i] == '\0') {
            return 0;
        }

        if (p[i] < 0x80) {
            n = 1;
            continue;
        }

        n = (p[i] >= 0xc2 && p[i] < 0xe0) ? 2
            : (p[i] >= 0xe0 && p[i] < 0xf0) ? 3
            : (p[i] >= 0xf0 && p[i] < 0xf5) ? 4 : 0;

        if (n == 0 || n > len - i
            || (p[i] == 0xe0 && p[i + 1] < 0xa0)
            || (p[i] == 0xed && p[i + 1] > 0x9f)
            || (p[i] == 0xf0 && p[i + 1] < 0x90)
            || (p[i] == 0xf4 && p[i + 1] > 0x8f))
        {
            return 0;
        }

        for (k = 1; k < n; k++) {
            if ((p[i + k] & 0xc0) != 0x80) {
                return 0;
            }
        }
    }

    return 1;
}


/* the columns that are read of a schema, as rows_read() wants them */
const rows_kind_t *
dao_kind(dao_t *d, const schema_t *s)
{
    size_t          at;
    unsigned        i;
    arena_t        *a;
    rows_kind_t    *k;
    const field_t  *f;

    for (at = 0; schema_entities[at] != s; at++) { /* void */ }

    if (d->link->kinds[at] != NULL) {
        return d->link->kinds[at];
    }

    a = d->link->arena;
    k = arena_zalloc(a, sizeof(rows_kind_t));
    k->schema = s;
    k->table = dao_table(s);

    for (f = s->fields; f->name != NULL; f++) {
        k->n++;
    }

    k->columns = arena_zalloc(a, k->n * sizeof(rows_column_t));
    k->sql = "\"id\"";

    for (i = 0; i < k->n; i++) {
        f = &s->fields[i];
        k->columns[i].field = f;
        k->columns[i].len = (uint32_t) strlen(f->name);
        k->columns[i].hash = value_hash(f->name, k->columns[i].len);

        if (dao_is_stored(f)) {
            k->sql = arena_printf(a, "%s, \"%s%s\"", k->sql, f->name,
                                  f->type == FIELD_FOREIGN ? "_id" : "");
        }
    }

    d->link->kinds[at] = k;

    return k;
}


int
dao_rows(dao_t *d, const schema_t *s, const PGresult *res, value_t *out)
{
    int           i, at;
    value_t      *v, *ttl, created, updated;
    unsigned      c;
    unsigned      update;
    rows_kind_t  *k;
    const char   *err;

    update = d->ctx.update;
    d->ctx.update = 0;
    k = (rows_kind_t *) dao_kind(d, s);

    for (c = 0, at = 1; c < k->n; c++) {
        if (dao_is_stored(k->columns[c].field)) {
            k->columns[c].type = PQftype(res, at++);
        }
    }

    for (i = 0; i < PQntuples(res); i++) {
        v = value_append(d->arena, out);
        err = rows_read(d->arena, k, res, i, v);

        if (err != NULL) {
            return dao_fail(d, 500, 0, NULL, err, NULL);
        }

        rows_clean(&d->ctx, s, v);

        /* what has no time has none; filling would make it now */

        (void) dao_time_keep(v, "created_at", &created);
        (void) dao_time_keep(v, "updated_at", &updated);
        schema_fill_defaults(&d->ctx, s, v);
        ttl = dao_time_keep(v, "ttl", NULL);

        if (value_get(v, "created_at") != NULL) {
            *value_get(v, "created_at") = created;
        }

        if (value_get(v, "updated_at") != NULL) {
            *value_get(v, "updated_at") = updated;
        }

        if (ttl != NULL && ttl->kind == VALUE_NUMBER) {
            value_set_number(ttl, floor(ttl->u.number - d->ctx.now));
        }
    }

    d->ctx.update = update;

    return DAO_OK;
}


static value_t *
dao_time_keep(value_t *entity, const char *name, value_t *kept)
{
    value_t  *v;

    v = value_get(entity, name);

    if (kept != NULL) {
        value_set_null(kept);

        if (v != NULL) {
            *kept = *v;
        }
    }

    return v;
}
