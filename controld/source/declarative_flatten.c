/*
 * declarative_flatten: errors attributed to entities (flatten_errors=1).
 * Every entity with an error, however deep it is nested, gets an item of its
 * own, with the entity as it was given, without its children.
 *
 * The order is Kong's: keys and positions from the last to the first, an
 * entity after those nested in it.  Kong loses errors that are known by an
 * entity's name instead of its position (references to what is not there) in
 * this form, and clients' expectations are recorded with that: so do we.
 */

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "../model/uuid.h"
#include "declarative_walk.h"


typedef struct {
    decl_t   *d;
    arena_t  *arena;
    value_t  *out;
} decl_flatten_t;


static void flatten_section(decl_flatten_t *df, const member_t *section,
    value_t *doc, value_t *rest);
static void flatten_entity(decl_flatten_t *df, decl_kind_t *kind,
    value_t *entity, value_t *err);
static void flatten_relations(decl_flatten_t *df, decl_kind_t *kind,
    value_t *entity, value_t *err);
static void flatten_foreign(decl_flatten_t *df, decl_relation_t *r,
    value_t *entity, value_t *err);
static void flatten_children(decl_flatten_t *df, decl_kind_t *child,
    const field_t *up, value_t *entity, value_t *err);
static void flatten_item(decl_flatten_t *df, decl_kind_t *kind,
    value_t *entity, value_t *err);
static void flatten_errors(decl_flatten_t *df, const value_t *err,
    const char *path, value_t *out);
static void flatten_error(decl_flatten_t *df, const value_t *err,
    const char *field, value_t *out);
static void flatten_tell(decl_flatten_t *df, const char *type,
    const char *field, const value_t *message, value_t *out);
static member_t *flatten_keys(decl_flatten_t *df, const value_t *v);
static int flatten_compare(const void *one, const void *two);
static value_t *flatten_id(const value_t *entity);


void
decl_error_flatten(arena_t *a, decl_t *d, declarative_errors_t *errors)
{
    size_t           i;
    value_t         *doc, *fields;
    member_t        *keys;
    decl_flatten_t   df;

    df.d = d;
    df.arena = a;
    df.out = value_new(a);
    value_set_array(df.out);
    df.out->flags |= VALUE_LUA_TABLE;

    errors->flattened = df.out;
    errors->unflattened = value_new(a);
    value_set_object(errors->unflattened);

    fields = value_clone(a, errors->fields);
    doc = errors->doc == NULL ? NULL : value_clone(a, errors->doc);
    keys = flatten_keys(&df, fields);

    for (i = 0; i < fields->len; i++) {
        flatten_section(&df, &keys[i], doc, errors->unflattened);
    }
}


static void
flatten_section(decl_flatten_t *df, const member_t *section, value_t *doc,
    value_t *rest)
{
    size_t        i, at;
    value_t      *entities, *err;
    member_t     *keys;
    decl_kind_t  *kind;

    kind = decl_kind(df->d, section->key, section->key_len);
    entities = value_getn(doc, section->key, section->key_len);

    if (section->value->kind == VALUE_STRING || kind == NULL
        || entities == NULL
        || (entities->kind != VALUE_ARRAY && entities->kind != VALUE_OBJECT))
    {
        *value_putn(df->arena, rest, section->key, section->key_len)
            = *section->value;
        return;
    }

    err = section->value;

    for (i = err->len; err->kind == VALUE_ARRAY && i-- > 0; /* void */ ) {
        flatten_entity(df, kind, value_at(entities, i), &err->u.items[i]);
    }

    if (err->kind != VALUE_OBJECT) {
        return;
    }

    keys = flatten_keys(df, err);

    for (i = 0; i < err->len; i++) {
        at = isdigit((unsigned char) keys[i].key[0])
             ? strtoul(keys[i].key, NULL, 10) : 0;

        if (at != 0) {
            flatten_entity(df, kind, value_at(entities, at - 1),
                           keys[i].value);
        }
    }
}


static void
flatten_entity(decl_flatten_t *df, decl_kind_t *kind, value_t *entity,
    value_t *err)
{
    value_t  text;

    if (entity == NULL || entity->kind != VALUE_OBJECT) {
        return;
    }

    if (err->kind == VALUE_STRING) {
        text = *err;
        value_set_object(err);
        *value_put(df->arena, err, "@entity") = text;
    }

    if ((err->kind != VALUE_OBJECT && err->kind != VALUE_ARRAY)
        || err->len == 0)
    {
        return;
    }

    flatten_relations(df, kind, entity, err);

    if (err->len != 0) {
        flatten_item(df, kind, entity, err);
    }
}


static void
flatten_relations(decl_flatten_t *df, decl_kind_t *kind, value_t *entity,
    value_t *err)
{
    size_t            i, k;
    decl_kind_t      *other;
    decl_relation_t  *r;

    for (i = 0; i < df->d->n_kinds; i++) {
        other = &df->d->kinds[i];

        for (k = 0; k < other->n_foreign; k++) {
            r = &other->foreign[k];

            if (other == kind) {
                flatten_foreign(df, r, entity, err);
            }

            if (r->kind == kind && other != kind) {
                flatten_children(df, other, r->field, entity, err);
            }
        }
    }
}


/* a reference given as an object is an entity on its own */

static void
flatten_foreign(decl_flatten_t *df, decl_relation_t *r, value_t *entity,
    value_t *err)
{
    value_t  *v, *id, *slot, given, own;

    v = value_get(entity, r->field->name);

    if (v == NULL || (v->kind != VALUE_OBJECT && v->kind != VALUE_ARRAY)) {
        return;
    }

    given = *v;
    memset(&own, 0, sizeof(value_t));

    slot = value_get(err, r->field->name);

    if (slot != NULL) {
        own = *slot;
        value_remove(df->arena, err, r->field->name);
    }

    id = flatten_id(&given);

    if (id == NULL) {
        value_remove(df->arena, entity, r->field->name);

    } else {
        value_set_object(v);
        *value_put(df->arena, v, "id") = *id;
    }

    flatten_entity(df, r->kind, &given, &own);
}


static void
flatten_children(decl_flatten_t *df, decl_kind_t *child, const field_t *up,
    value_t *entity, value_t *err)
{
    size_t       i;
    value_t     *v, *id, *slot, *item, list, own;
    const char  *name;

    name = child->schema->name;
    v = value_get(entity, name);
    slot = value_get(err, name);

    if (v == NULL || (v->kind != VALUE_ARRAY && v->kind != VALUE_OBJECT)) {
        return;
    }

    list = *v;
    value_remove(df->arena, entity, name);

    if (slot == NULL || slot->kind != VALUE_ARRAY) {
        return;
    }

    own = *slot;
    value_remove(df->arena, err, name);
    id = flatten_id(entity);

    for (i = 0; i < own.len; i++) {
        item = value_at(&list, i);

        if (item == NULL || item->kind != VALUE_OBJECT) {
            continue;
        }

        if (id != NULL && value_get(item, up->name) == NULL) {
            v = value_put(df->arena, item, up->name);
            value_set_object(v);
            *value_put(df->arena, v, "id") = *id;
        }

        flatten_entity(df, child, item, &own.u.items[i]);
    }
}


static void
flatten_item(decl_flatten_t *df, decl_kind_t *kind, value_t *entity,
    value_t *err)
{
    size_t       i;
    value_t     *v, *item, errors;
    const char  *type;

    memset(&errors, 0, sizeof(value_t));
    value_set_array(&errors);
    flatten_errors(df, err, "", &errors);

    if (errors.len == 0) {
        return;
    }

    item = value_append(df->arena, df->out);
    value_set_object(item);

    v = value_get(entity, "name");
    if (v != NULL && v->kind == VALUE_STRING && v->len != 0) {
        *value_put(df->arena, item, "entity_name") = *v;
    }

    v = flatten_id(entity);
    if (v != NULL) {
        *value_put(df->arena, item, "entity_id") = *v;
    }

    v = value_get(entity, "tags");
    for (i = 0; v != NULL && v->kind == VALUE_ARRAY && i < v->len; i++) {
        if (v->u.items[i].kind != VALUE_STRING) {
            v = NULL;
        }
    }

    if (v != NULL && v->kind == VALUE_ARRAY) {
        *value_put(df->arena, item, "entity_tags") = *v;
    }

    type = kind->schema->name;
    i = strlen(type);
    value_copy_string(df->arena, value_put(df->arena, item, "entity_type"),
                      type, type[i - 1] == 's' ? i - 1 : i);

    *value_put(df->arena, item, "entity") = *entity;
    *value_put(df->arena, item, "errors") = errors;
}


/* the leaves under a path, from the last key or position to the first */

static void
flatten_errors(decl_flatten_t *df, const value_t *err, const char *path,
    value_t *out)
{
    char       *field;
    size_t      i;
    member_t   *keys;

    if (err->kind == VALUE_ARRAY) {
        for (i = err->len; i-- > 0; /* void */ ) {
            field = arena_printf(df->arena, "%s%s%zu", path,
                                 path[0] == '\0' ? "" : ".", i + 1);
            flatten_error(df, &err->u.items[i], field, out);
        }

        return;
    }

    if (err->kind != VALUE_OBJECT) {
        return;
    }

    keys = flatten_keys(df, err);

    for (i = 0; i < err->len; i++) {
        if (strcmp(keys[i].key, "@entity") == 0) {
            flatten_tell(df, "entity", NULL, keys[i].value, out);
            continue;
        }

        field = arena_printf(df->arena, "%s%s%s", path,
                             path[0] == '\0' ? "" : ".", keys[i].key);
        flatten_error(df, keys[i].value, field, out);
    }
}


static void
flatten_error(decl_flatten_t *df, const value_t *err, const char *field,
    value_t *out)
{
    if (err->kind == VALUE_STRING) {
        flatten_tell(df, "field", field, err, out);

    } else {
        flatten_errors(df, err, field, out);
    }
}


static void
flatten_tell(decl_flatten_t *df, const char *type, const char *field,
    const value_t *message, value_t *out)
{
    size_t    i;
    value_t  *v;

    if (message->kind == VALUE_ARRAY) {
        for (i = 0; i < message->len; i++) {
            flatten_tell(df, type, field, &message->u.items[i], out);
        }

        return;
    }

    if (message->kind != VALUE_STRING) {
        return;
    }

    v = value_append(df->arena, out);
    value_set_object(v);
    value_set_string(value_put(df->arena, v, "type"), type, strlen(type));

    if (field != NULL) {
        value_set_string(value_put(df->arena, v, "field"), field,
                         strlen(field));
    }

    *value_put(df->arena, v, "message") = *message;
}


/* an object's members from the last key to the first */

static member_t *
flatten_keys(decl_flatten_t *df, const value_t *v)
{
    size_t      i;
    member_t   *keys;

    keys = arena_alloc(df->arena, v->len * sizeof(member_t));

    for (i = 0; i < v->len; i++) {
        keys[i] = value_member(v, i);
    }

    qsort(keys, v->len, sizeof(member_t), flatten_compare);

    return keys;
}


static int
flatten_compare(const void *one, const void *two)
{
    int              rc;
    size_t           n;
    const member_t  *a, *b;

    a = one;
    b = two;
    n = a->key_len < b->key_len ? a->key_len : b->key_len;

    rc = memcmp(b->key, a->key, n);

    return rc != 0 ? rc : (int) b->key_len - (int) a->key_len;
}


/* the id, if it is one */

static value_t *
flatten_id(const value_t *entity)
{
    value_t  *id;

    id = value_get(entity, "id");

    if (id == NULL || id->kind != VALUE_STRING
        || !uuid_is_valid(id->u.string, id->len))
    {
        return NULL;
    }

    return id;
}
