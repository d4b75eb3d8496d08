/*
 * crud_write: what POST, PUT, PATCH and DELETE do to an entity of any kind:
 * validated, its foreign keys resolved, written with all that belongs to it
 * in one transaction.
 */

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "../model/json.h"
#include "crud.h"


static int crud_begin(crud_t *c, admin_request_t *r, dao_t *d, crud_op_t op);
static int crud_merge(crud_t *c);
static void crud_save(crud_t *c, int status);
static int crud_write(crud_t *c, value_t **row);
static int crud_store(crud_t *c, value_t **row);
static void crud_set_id(admin_request_t *r, value_t *entity,
    const admin_str_t *key);
static void crud_set_parent(admin_request_t *r, value_t *entity,
    const value_t *parent);
static int crud_resolve(dao_t *d, const schema_t *s, value_t *entity);
static int crud_resolve_one(dao_t *d, const field_t *f, value_t *v,
    value_t *fields, const char **text);
static void crud_keep_secrets(crud_t *c);
static void crud_hash(const value_t *row, char out[17]);


void
crud_create(admin_request_t *r, dao_t *d, const value_t *parent)
{
    crud_t  c;

    if (crud_begin(&c, r, d, CRUD_INSERT) == -1) {
        return;
    }

    c.entity = value_clone(r->arena, c.body);
    crud_set_parent(r, c.entity, parent);

    crud_save(&c, 201);
}


/* -1: the body is not good, which is the answer */
static int
crud_begin(crud_t *c, admin_request_t *r, dao_t *d, crud_op_t op)
{
    memset(c, 0, sizeof(crud_t));
    c->r = r;
    c->d = d;
    c->schema = r->route->schema;
    c->op = op;
    c->body = entities_body(r);

    return (c->body != NULL) ? 0 : -1;
}


static void
crud_save(crud_t *c, int status)
{
    value_t  *row;

    if (crud_write(c, &row) == DAO_FAILED) {
        crud_fail(c->r, c->d);
        return;
    }

    crud_show(c->r, c->d, status, row);
}


void
crud_delete(admin_request_t *r, dao_t *d, value_t *row)
{
    int                    rc;
    const crud_special_t  *special;

    if (row == NULL) {
        admin_empty(r, 204);
        return;
    }

    special = crud_special(r->route->schema);
    rc = DAO_OK;

    if (special->removing != NULL) {
        rc = dao_begin(d);

        if (rc == DAO_OK) {
            rc = special->removing(r, d, row);
        }
    }

    if (rc == DAO_OK) {
        rc = dao_delete(d, r->route->schema,
                        value_cstr(value_get(row, "id")));
    }

    if (rc != DAO_FAILED && d->open) {
        rc = dao_commit(d);
    }

    if (rc == DAO_FAILED) {
        crud_fail(r, d);
        return;
    }

    crud_hash(row, r->before);
    admin_empty(r, 204);
}


/* read, merged and written under one lock: no change of another is lost */
void
crud_patch(admin_request_t *r, dao_t *d, const admin_str_t *key, value_t *row,
    const value_t *parent)
{
    int          rc;
    crud_t       c;
    value_t     *out;
    const char  *id;

    if (row != NULL && strcmp(r->route->schema->name, "plugins") == 0) {
        r->plugin = value_cstr(value_get(row, "name"));
    }

    if (crud_begin(&c, r, d, CRUD_UPDATE) == -1) {
        return;
    }

    if (row == NULL) {
        crud_missing(r, d, key);
        return;
    }

    id = value_cstr(value_get(row, "id"));
    rc = dao_begin(d);

    if (rc == DAO_OK) {
        rc = dao_lock(d, c.schema, id, &c.row);
    }

    if (rc == DAO_OK) {
        rc = crud_merge(&c);
    }

    if (rc == DAO_OK) {
        crud_set_parent(r, c.entity, parent);
        rc = crud_write(&c, &out);
    }

    if (rc == DAO_NONE) {
        crud_missing(r, d, key);

    } else if (rc == DAO_FAILED) {
        crud_fail(r, d);

    } else {
        crud_show(r, d, 200, out);
    }
}


/* shorthands are those of the body; what is stored has none left */
static int
crud_merge(crud_t *c)
{
    value_t  errors, *body, *name;

    value_set_object(&errors);
    body = value_clone(c->r->arena, c->body);
    name = value_get(body, "name");

    if (value_is_null(name) && c->schema->subschema != NULL
        && value_get(c->row, "name") != NULL
        && strcmp(c->schema->name, "plugins") == 0)
    {
        *value_put(c->r->arena, body, "name") = *value_get(c->row, "name");
    }

    c->d->ctx.update = 1;
    schema_expand_shorthands(&c->d->ctx, c->schema, body, &errors);
    c->d->ctx.update = 0;

    if (errors.len != 0) {
        return dao_violation(c->d, &errors);
    }

    c->entity = value_clone(c->r->arena, c->row);
    entities_merge(&c->d->ctx, c->schema, c->entity, body);
    *value_put(c->r->arena, c->entity, "id") = *value_get(c->row, "id");

    return DAO_OK;
}


void
crud_put(admin_request_t *r, dao_t *d, const admin_str_t *key, value_t *row,
    const value_t *parent)
{
    crud_t                 c;
    const crud_special_t  *special;

    if (crud_begin(&c, r, d, CRUD_UPSERT) == -1) {
        return;
    }

    c.row = row;
    special = crud_special(c.schema);
    c.entity = value_clone(r->arena, c.body);
    crud_set_parent(r, c.entity, parent);

    if (entities_is_id(key)) {
        crud_set_id(r, c.entity, key);

    } else {
        value_remove(r->arena, c.entity, "id");

        if (special->name != NULL) {
            if (special->name(&c, key) == DAO_FAILED) {
                crud_fail(r, d);
                return;
            }

            if (row != NULL) {
                *value_put(r->arena, c.entity, "id") = *value_get(row, "id");
            }

        } else {
            c.key = c.schema->endpoint_key;
            value_set_string(value_put(r->arena, c.entity, c.key), key->data,
                             key->len);
        }
    }

    crud_save(&c, 200);
}


/* a parent that there was none of is made and linked, both or neither */
void
crud_parent_put(admin_request_t *r, dao_t *d, const admin_str_t *key,
    value_t *row, value_t *child)
{
    crud_t    c, link;
    value_t  *out, *v;

    if (key->data != NULL) {
        crud_put(r, d, key, row, NULL);
        return;
    }

    if (crud_begin(&c, r, d, CRUD_INSERT) == -1) {
        return;
    }

    c.entity = value_clone(r->arena, c.body);
    value_remove(r->arena, c.entity, "id");

    link = c;
    link.schema = r->route->parent;
    link.op = CRUD_UPDATE;
    link.row = child;
    link.body = value_new(r->arena);
    value_set_object(link.body);

    if (dao_begin(d) == DAO_FAILED
        || crud_check(d, c.schema, c.entity, 0) == DAO_FAILED
        || crud_store(&c, &out) == DAO_FAILED)
    {
        crud_fail(r, d);
        return;
    }

    link.entity = value_clone(r->arena, child);
    v = value_put(r->arena, link.entity, r->route->foreign->name);
    value_set_object(v);
    *value_put(r->arena, v, "id") = *value_get(out, "id");

    if (crud_write(&link, &v) == DAO_FAILED) {
        crud_fail(r, d);
        return;
    }

    crud_show(r, d, 200, out);
}


/* checks and writes, in a transaction where more than one row may change */
static int
crud_write(crud_t *c, value_t **row)
{
    int                    rc;
    const crud_special_t  *special;

    special = crud_special(c->schema);

    if (special->stored != NULL && !c->d->open
        && dao_begin(c->d) == DAO_FAILED)
    {
        return DAO_FAILED;
    }

    rc = crud_check(c->d, c->schema, c->entity, c->op == CRUD_UPDATE);

    if (rc == DAO_OK && c->op == CRUD_UPDATE) {
        crud_keep_secrets(c);
    }

    if (rc == DAO_OK) {
        rc = crud_store(c, row);
    }

    if (rc == DAO_OK && c->d->open) {
        rc = dao_commit(c->d);
    }

    return rc;
}


static int
crud_store(crud_t *c, value_t **row)
{
    int                    rc;
    const crud_special_t  *special;

    special = crud_special(c->schema);

    if (special->check != NULL && special->check(c) == DAO_FAILED) {
        return DAO_FAILED;
    }

    switch (c->op) {

    case CRUD_INSERT:
        rc = dao_insert(c->d, c->schema, c->entity, row);
        break;

    case CRUD_UPDATE:

        /* what is left of a time is no new one */

        if (value_get(c->body, "ttl") == NULL) {
            value_remove(c->r->arena, c->entity, "ttl");
        }

        rc = dao_update(c->d, c->schema, c->entity, row);
        break;

    default:
        rc = dao_upsert(c->d, c->schema, c->entity, c->key, row);
        break;
    }

    if (rc == DAO_OK && special->stored != NULL) {
        rc = special->stored(c, *row);
    }

    if (rc == DAO_OK && c->schema == c->r->route->schema) {
        crud_hash(c->row, c->r->before);
        crud_hash(*row, c->r->after);
    }

    return rc;
}


/* a hash is not hashed again when the body does not bring a new text */
static void
crud_keep_secrets(crud_t *c)
{
    value_t        *v;
    const field_t  *f;

    for (f = c->schema->fields; f->name != NULL; f++) {
        v = value_get(c->row, f->name);

        if ((f->flags & F_ENCRYPTED) && v != NULL
            && value_get(c->body, f->name) == NULL)
        {
            *value_put(c->r->arena, c->entity, f->name) = *v;
        }
    }
}


int
crud_check(dao_t *d, const schema_t *s, value_t *entity, unsigned update)
{
    int      rc;
    value_t  errors;

    value_set_object(&errors);
    d->ctx.update = 0;

    if (!update) {
        schema_expand_shorthands(&d->ctx, s, entity, &errors);
    }

    if (errors.len != 0) {
        return dao_violation(d, &errors);
    }

    schema_fill_defaults(&d->ctx, s, entity);

    if (crud_resolve(d, s, entity) == DAO_FAILED) {
        return DAO_FAILED;
    }

    d->ctx.update = update;
    rc = schema_check(&d->ctx, s, entity, &errors);
    d->ctx.update = 0;

    if (rc != 0) {
        return dao_violation(d, &errors);
    }

    d->ctx.transform = 1;
    schema_transform(&d->ctx, s, entity);
    d->ctx.transform = 0;

    return DAO_OK;
}


/* foreign keys that name a unique field of the other entity */
static int
crud_resolve(dao_t *d, const schema_t *s, value_t *entity)
{
    value_t         fields, *v;
    const char     *text;
    const field_t  *f;

    value_set_object(&fields);
    text = NULL;

    for (f = s->fields; f->name != NULL; f++) {
        v = value_get(entity, f->name);

        if (f->type == FIELD_FOREIGN && v != NULL && v->kind == VALUE_OBJECT
            && value_is_null(value_get(v, "id"))
            && crud_resolve_one(d, f, v, &fields, &text) == DAO_FAILED)
        {
            return DAO_FAILED;
        }
    }

    if (fields.len == 0) {
        return DAO_OK;
    }

    return dao_fail(d, 400, 13, "foreign keys unresolved",
                    (fields.len == 1)
                    ? arena_printf(d->arena, "foreign key unresolved (%s)",
                                   text)
                    : arena_printf(d->arena, "%u foreign keys unresolved "
                                   "(%s)", fields.len, text), &fields);
}


static int
crud_resolve_one(dao_t *d, const field_t *f, value_t *v, value_t *fields,
    const char **text)
{
    value_t          given, *row, *slot;
    uint32_t         i;
    const char      *err;
    dao_where_t      where;
    const field_t   *key;
    const schema_t  *s;

    s = schema_find(f->foreign);

    for (i = 0; i < v->len; i++) {
        key = schema_field(s, value_member(v, i).key);

        if (key == NULL || !(key->flags & F_UNIQUE)
            || value_nth(v, i)->kind != VALUE_STRING)
        {
            continue;
        }

        where.field = key->name;
        where.value = value_nth(v, i);

        if (dao_find(d, s, &where, 1, &row) == DAO_FAILED) {
            return DAO_FAILED;
        }

        if (row != NULL) {
            value_set_object(v);
            *value_put(d->arena, v, "id") = *value_get(row, "id");
            return DAO_OK;
        }

        value_set_object(&given);
        *value_put(d->arena, &given, key->name) = *where.value;
        err = arena_printf(d->arena, "the foreign key cannot be resolved "
                           "with '%s' for an existing '%s' entity",
                           json_print_lua(d->arena, &given, NULL), s->name);

        slot = value_put(d->arena, fields, f->name);
        value_set_object(slot);
        value_set_string(value_put(d->arena, slot, key->name), err,
                         strlen(err));

        *text = (*text == NULL)
                ? arena_printf(d->arena, "%s.%s: %s", f->name, key->name, err)
                : arena_printf(d->arena, "%s; %s.%s: %s", *text, f->name,
                               key->name, err);
        return DAO_OK;
    }

    return DAO_OK;
}


/* as the database shows it: ids are compared as texts */
static void
crud_set_id(admin_request_t *r, value_t *entity, const admin_str_t *key)
{
    char    *text;
    size_t   i;

    text = arena_strndup(r->arena, key->data, key->len);

    for (i = 0; i < key->len; i++) {
        text[i] = (char) tolower((unsigned char) text[i]);
    }

    value_set_string(value_put(r->arena, entity, "id"), text, key->len);
}


static void
crud_set_parent(admin_request_t *r, value_t *entity, const value_t *parent)
{
    value_t  *v;

    if (parent != NULL) {
        v = value_put(r->arena, entity, r->route->foreign->name);
        value_set_object(v);
        *value_put(r->arena, v, "id") = *value_get(parent, "id");
    }
}


static void
crud_hash(const value_t *row, char out[17])
{
    char      *text;
    size_t     len;
    arena_t   *a;

    if (row == NULL) {
        return;
    }

    a = arena_new();
    text = json_print(a, row, &len);
    (void) snprintf(out, 17, "%016llx",
                    (unsigned long long) XXH3_64bits(text, len));
    arena_free(a);
}
