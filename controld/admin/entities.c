/*
 * entities: reads of entities and the refusal of writes in the DB-less mode,
 * one handler for all kinds, driven by the schema tables.
 *
 * A request names up to two entities; entities_find() looks them up, after
 * which every route kind is one of two things: a list or one entity.
 */

#include <stdlib.h>
#include <string.h>

#include "../model/json.h"
#include "../model/uuid.h"
#include "entities.h"
#include "page.h"


static void entities_list(admin_request_t *r, const value_t *parent);
static void entities_one(admin_request_t *r, value_t *row,
    const admin_str_t *key);
static void entities_parent(admin_request_t *r, value_t *child);
static void entities_create(admin_request_t *r, const value_t *parent);
static void entities_write(admin_request_t *r, value_t *row,
    const admin_str_t *key, const value_t *parent);
static void entities_delete(admin_request_t *r, value_t *row,
    const admin_str_t *key);
static int entities_find(admin_request_t *r, const schema_t *s,
    const admin_str_t *key, value_t **row);
static int entities_find_other(admin_request_t *r, const schema_t *s,
    const admin_str_t *key, value_t **row);
static value_t *entities_certificate(admin_request_t *r,
    const admin_str_t *name);
static value_t *entities_child(admin_request_t *r, const value_t *parent,
    value_t *row);
static int entities_validate(admin_request_t *r, value_t *entity,
    unsigned update);
static void entities_merge_record(arena_t *a, const field_t *fields,
    const field_t *over, value_t *into, const value_t *from);
static const field_t *entities_field(const field_t *fields,
    const char *name);
static void entities_unsupported(admin_request_t *r, const char *verb,
    const admin_str_t *key);
static void entities_missing(admin_request_t *r, const schema_t *s,
    const admin_str_t *key);


void
entities_handle(admin_request_t *r)
{
    value_t              *row, *parent;
    const admin_str_t    *key;
    const admin_route_t  *route;

    route = r->route;
    parent = NULL;
    row = NULL;
    key = &r->segments[1];

    if (r->generation == NULL) {
        admin_message(r, 503, "no configuration available");
        return;
    }

    switch (route->kind) {

    case ROUTER_LIST:
        entities_list(r, NULL);
        return;

    case ROUTER_ONE:
        if (entities_find(r, route->schema, key, &row) == 0) {
            entities_one(r, row, key);
        }
        return;

    default:
        break;
    }

    if (entities_find(r, route->parent, key, &parent) == -1) {
        return;
    }

    if (parent == NULL) {
        admin_message(r, 404, "Not found");
        return;
    }

    r->parent = parent;

    switch (route->kind) {

    case ROUTER_CHILDREN:
        entities_list(r, parent);
        return;

    case ROUTER_PARENT:
        entities_parent(r, parent);
        return;

    default:
        break;
    }

    key = &r->segments[3];

    if (entities_find(r, route->schema, key, &row) == -1) {
        return;
    }

    row = entities_child(r, parent, row);

    if (row == NULL && r->method != ADMIN_PUT) {
        admin_message(r, 404, "Not found");
        return;
    }

    if (r->method == ADMIN_PUT) {
        entities_write(r, row, key, parent);
        return;
    }

    entities_one(r, row, key);
}


static void
entities_list(admin_request_t *r, const value_t *parent)
{
    page_t                p;
    const admin_route_t  *route;

    route = r->route;

    if (r->method == ADMIN_POST) {
        entities_create(r, parent);
        return;
    }

    memset(&p, 0, sizeof(p));

    if (page_init(r, &p) == -1) {
        return;
    }

    p.schema = route->schema;
    p.foreign = (parent != NULL) ? route->foreign->name : NULL;
    p.parent = (parent != NULL) ? value_get(parent, "id") : NULL;

    page_entities(r, &p);
}


static void
entities_one(admin_request_t *r, value_t *row, const admin_str_t *key)
{
    switch (r->method) {

    case ADMIN_GET:
        if (row != NULL) {
            admin_json(r, 200, entities_show(r, r->route->schema, row));

        } else if (strcmp(r->route->schema->name, "certificates") == 0) {
            entities_missing(r, r->route->schema, key);

        } else {
            admin_message(r, 404, "Not found");
        }
        return;

    case ADMIN_DELETE:
        entities_delete(r, row, key);
        return;

    default:
        entities_write(r, row, key, NULL);
        return;
    }
}


/* /E/K/<foreign field>: the entity that the field names */
static void
entities_parent(admin_request_t *r, value_t *child)
{
    value_t      *id, *row;
    admin_str_t   key;

    id = value_get(value_get(child, r->route->foreign->name), "id");

    if (value_cstr(id) == NULL) {
        admin_message(r, 404, "Not found");
        return;
    }

    if (r->method == ADMIN_DELETE) {
        admin_message(r, 405, "Method not allowed");
        return;
    }

    key.data = id->u.string;
    key.len = id->len;
    row = config_by_id(r->generation->config, r->route->schema->name,
                       key.data, key.len);

    entities_one(r, row, &key);
}


static void
entities_create(admin_request_t *r, const value_t *parent)
{
    value_t  *entity, *v;

    entity = entities_body(r);
    if (entity == NULL) {
        return;
    }

    if (parent != NULL) {
        v = value_put(r->arena, entity, r->route->foreign->name);
        value_set_object(v);
        *value_put(r->arena, v, "id") = *value_get(parent, "id");
    }

    if (entities_validate(r, entity, 0) == 0) {
        entities_unsupported(r, "create", NULL);
    }
}


/* PATCH and PUT: valid ones are refused, since there is no database */
static void
entities_write(admin_request_t *r, value_t *row, const admin_str_t *key,
    const value_t *parent)
{
    value_t          *entity, *merged, *v;
    schema_ctx_t      ctx;
    const schema_t   *s;

    s = r->route->schema;

    entity = entities_body(r);
    if (entity == NULL) {
        return;
    }

    if (r->method == ADMIN_PATCH) {
        if (row == NULL) {
            entities_missing(r, s, key);
            return;
        }

        merged = value_clone(r->arena, row);
        memset(&ctx, 0, sizeof(ctx));
        ctx.arena = r->arena;
        entities_merge(&ctx, s, merged, entity);

        if (entities_validate(r, merged, 1) == 0) {
            entities_unsupported(r, "update", key);
        }
        return;
    }

    if (entities_is_id(key)) {
        value_set_string(value_put(r->arena, entity, "id"), key->data,
                         key->len);

    } else if (s->endpoint_key != NULL) {
        value_set_string(value_put(r->arena, entity, s->endpoint_key),
                         key->data, key->len);
    }

    if (parent != NULL) {
        v = value_put(r->arena, entity, r->route->foreign->name);
        value_set_object(v);
        *value_put(r->arena, v, "id") = *value_get(parent, "id");
    }

    if (entities_validate(r, entity, 0) == 0) {
        entities_unsupported(r, "create or update", key);
    }
}


static void
entities_delete(admin_request_t *r, value_t *row, const admin_str_t *key)
{
    if (row == NULL) {
        admin_empty(r, 204);
        return;
    }

    entities_unsupported(r, "remove", key);
}


/* 0 with *row NULL when there is none; -1 when it was answered */
static int
entities_find(admin_request_t *r, const schema_t *s, const admin_str_t *key,
    value_t **row)
{
    config_t  *c;

    c = r->generation->config;

    if (entities_is_id(key)) {
        *row = config_by_id(c, s->name, key->data, key->len);
        return 0;
    }

    if (s->endpoint_key == NULL) {
        return entities_find_other(r, s, key, row);
    }

    if (entities_check_key(r, s, key) == -1) {
        return -1;
    }

    *row = config_by_key(c, s->name, key->data, key->len);

    /* not every key is unique in the whole table (targets) */
    if (*row == NULL || r->route->kind == ROUTER_CHILD) {
        *row = entities_scan(r, s, s->endpoint_key, key);
    }

    return 0;
}


/* entities without a key of their own */
static int
entities_find_other(admin_request_t *r, const schema_t *s,
    const admin_str_t *key, value_t **row)
{
    value_t  fields;

    if (strcmp(s->name, "certificates") == 0) {
        *row = entities_certificate(r, key);

        if (*row == NULL && r->method != ADMIN_PUT) {
            admin_message(r, 404, "SNI not found");
            return -1;
        }
        return 0;
    }

    if (strcmp(s->name, "acls") == 0 && r->route->kind == ROUTER_CHILD) {
        *row = entities_scan(r, s, "group", key);
        return 0;
    }

    value_set_object(&fields);
    value_set_string(value_put(r->arena, &fields, "id"),
                     "expected a valid UUID", 21);

    entities_error(r, 400, 1, "invalid primary key",
                   "invalid primary key: '{id=\"expected a valid UUID\"}'",
                   &fields);
    return -1;
}


static value_t *
entities_certificate(admin_request_t *r, const admin_str_t *name)
{
    value_t  *sni, *id;

    sni = config_by_key(r->generation->config, "snis", name->data, name->len);
    id = value_get(value_get(sni, "certificate"), "id");

    return (value_cstr(id) == NULL) ? NULL
           : config_by_id(r->generation->config, "certificates",
                          id->u.string, id->len);
}


/* the first row whose field is the key; for a child that of its parent */
value_t *
entities_scan(admin_request_t *r, const schema_t *s, const char *field,
    const admin_str_t *key)
{
    size_t           i;
    value_t         *v, *id, *parent, *found;
    config_table_t  *t;

    parent = NULL;
    found = NULL;

    if (r->route->kind == ROUTER_CHILD && s == r->route->schema
        && entities_find(r, r->route->parent, &r->segments[1], &parent) == -1)
    {
        return NULL;
    }

    t = config_table(r->generation->config, s->name);

    for (i = 0; t != NULL && i < t->n; i++) {
        v = value_get(t->rows[i], field);

        if (v == NULL || v->kind != VALUE_STRING || v->len != key->len
            || memcmp(v->u.string, key->data, key->len) != 0)
        {
            continue;
        }

        if (parent == NULL) {
            return t->rows[i];
        }

        id = value_get(value_get(t->rows[i], r->route->foreign->name), "id");

        if (id != NULL && value_equal(id, value_get(parent, "id"))) {
            return t->rows[i];
        }
    }

    return found;
}


int
entities_check_key(admin_request_t *r, const schema_t *s,
    const admin_str_t *key)
{
    value_t         v;
    const char     *err;
    schema_ctx_t    ctx;
    const field_t  *f;

    f = schema_field(s, s->endpoint_key);

    if (f == NULL || f->check == NULL) {
        return 0;
    }

    memset(&ctx, 0, sizeof(ctx));
    ctx.arena = r->arena;
    value_set_string(&v, key->data, key->len);

    err = f->check(&ctx, f, &v);

    if (err == NULL) {
        return 0;
    }

    entities_error(r, 400, 10,
                   arena_printf(r->arena, "invalid unique %s", f->name), err,
                   NULL);
    return -1;
}


/* the row if it belongs to the parent, else NULL */
static value_t *
entities_child(admin_request_t *r, const value_t *parent, value_t *row)
{
    value_t  *id;

    id = value_get(value_get(row, r->route->foreign->name), "id");

    return (id != NULL && value_equal(id, value_get(parent, "id"))) ? row
                                                                    : NULL;
}


/* what the Admin API shows of a row */
value_t *
entities_show(admin_request_t *r, const schema_t *s, value_t *row)
{
    size_t           i;
    value_t         *copy, *names, *id;
    config_table_t  *t;

    if (strcmp(s->name, "certificates") != 0) {
        return show_entity(r->arena, s, row);
    }

    copy = value_new(r->arena);
    *copy = *value_clone(r->arena, row);
    names = value_put(r->arena, copy, "snis");
    value_set_array(names);

    t = config_table(r->generation->config, "snis");

    for (i = 0; t != NULL && i < t->n; i++) {
        id = value_get(value_get(t->rows[i], "certificate"), "id");

        if (id != NULL && value_equal(id, value_get(row, "id"))
            && value_get(t->rows[i], "name") != NULL)
        {
            *value_append(r->arena, names) = *value_get(t->rows[i], "name");
        }
    }

    if (names->len != 0) {
        qsort(names->u.items, names->len, sizeof(value_t), entities_by_text);
    }

    return copy;
}


int
entities_by_text(const void *one, const void *two)
{
    const char  *a, *b;

    a = value_cstr(one);
    b = value_cstr(two);

    return strcmp(a != NULL ? a : "", b != NULL ? b : "");
}


/* an object, or NULL when it was answered */
value_t *
entities_body(admin_request_t *r)
{
    int          rc;
    value_t     *v;
    const char  *err;

    v = value_new(r->arena);
    value_set_object(v);

    if (r->content_type == NULL) {
        return v;
    }

    if (!admin_type_is(r, "application/json")) {
        return entities_form(r);
    }

    rc = json_parse(r->arena, r->body, r->body_len, v, &err);

    if (rc == -1 || v->kind != VALUE_OBJECT) {
        admin_message(r, 400, "Cannot parse JSON body");
        return NULL;
    }

    return v;
}


void
entities_validate_only(admin_request_t *r)
{
    value_t  *entity;

    entity = entities_body(r);

    if (entity != NULL && entities_validate(r, entity, 0) == 0) {
        admin_message(r, 200, "schema validation successful");
    }
}


static int
entities_validate(admin_request_t *r, value_t *entity, unsigned update)
{
    value_t              errors;
    schema_ctx_t         ctx;
    struct timespec      now;

    (void) clock_gettime(CLOCK_REALTIME, &now);

    memset(&ctx, 0, sizeof(ctx));
    ctx.arena = r->arena;
    ctx.router_flavor = r->settings->router_flavor;
    ctx.plugins = r->settings->plugins;
    ctx.database = r->settings->used;
    ctx.now = (double) now.tv_sec + (double) (now.tv_nsec / 1000000) / 1e3;
    ctx.update = update;

    value_set_object(&errors);

    if (schema_validate(&ctx, r->route->schema, entity, &errors) == 0) {
        return 0;
    }

    entities_error(r, 400, 2, "schema violation",
                   schema_error_message(r->arena, &errors), &errors);
    return -1;
}


/* records are merged, everything else is replaced */
void
entities_merge(schema_ctx_t *ctx, const schema_t *s, value_t *into,
    const value_t *from)
{
    const char      *err_field, *err;
    const schema_t  *sub;

    sub = (s->subschema != NULL) ? s->subschema(ctx, into, &err_field, &err)
                                 : NULL;

    entities_merge_record(ctx->arena, s->fields,
                          (sub != NULL) ? sub->fields : NULL, into, from);
}


static void
entities_merge_record(arena_t *a, const field_t *fields,
    const field_t *over, value_t *into, const value_t *from)
{
    size_t           i;
    value_t         *slot;
    const field_t   *f;
    member_t         m;

    for (i = 0; i < from->len; i++) {
        m = value_member(from, i);
        slot = value_putn(a, into, m.key, m.key_len);
        f = entities_field(over, m.key);

        if (f == NULL) {
            f = entities_field(fields, m.key);
        }

        if (f != NULL && f->type == FIELD_RECORD
            && slot->kind == VALUE_OBJECT && m.value->kind == VALUE_OBJECT)
        {
            entities_merge_record(a, f->fields, NULL, slot, m.value);
            continue;
        }

        *slot = *m.value;
    }
}


static const field_t *
entities_field(const field_t *fields, const char *name)
{
    for ( /* void */ ; fields != NULL && fields->name != NULL; fields++) {
        if (strcmp(fields->name, name) == 0) {
            return fields;
        }
    }

    return NULL;
}


/* the code 12 answers; `key` NULL for a collection */
static void
entities_unsupported(admin_request_t *r, const char *verb,
    const admin_str_t *key)
{
    const char      *by;
    const schema_t  *s;

    s = r->route->schema;
    by = "";

    if (key != NULL && !entities_is_id(key) && s->endpoint_key != NULL) {
        by = arena_printf(r->arena, " by '%s'", s->endpoint_key);
    }

    entities_error(r, 405, 12, "operation unsupported",
                   arena_printf(r->arena, "cannot %s '%s' entities%s when "
                                "not using a database", verb, s->name, by),
                   NULL);
}


static void
entities_missing(admin_request_t *r, const schema_t *s,
    const admin_str_t *key)
{
    char        *table;
    value_t      fields, *v;
    unsigned     by_id;

    by_id = entities_is_id(key) || s->endpoint_key == NULL;

    value_set_object(&fields);
    v = value_put(r->arena, &fields, by_id ? "id" : s->endpoint_key);
    value_set_string(v, key->data, key->len);

    table = json_print_lua(r->arena, &fields, NULL);

    entities_error(r, 404, 6, "not found",
                   arena_printf(r->arena, "could not find the entity with "
                                "%s'%s'", by_id ? "primary key " : "", table),
                   &fields);
}


void
entities_error(admin_request_t *r, int status, unsigned code,
    const char *name, const char *message, const value_t *fields)
{
    value_t  body;

    value_set_object(&body);
    value_set_string(value_put(r->arena, &body, "message"), message,
                     strlen(message));
    value_set_string(value_put(r->arena, &body, "name"), name, strlen(name));
    value_set_number(value_put(r->arena, &body, "code"), code);

    if (fields != NULL) {
        *value_put(r->arena, &body, "fields") = *fields;
    }

    admin_json(r, status, &body);
}


void
entities_page_error(admin_request_t *r, unsigned code, const char *name,
    const char *message)
{
    entities_error(r, 400, code, name, message, NULL);
}


int
entities_is_id(const admin_str_t *key)
{
    return uuid_is_valid(key->data, key->len);
}
