/*
 * declarative_link: what concerns more than one entity: ids and names that
 * are taken, references to what is not there, fields that must be unique.
 * When all is well, references become ids, lifetimes are set, secrets are
 * transformed, and the configuration's tables are filled.
 *
 * Where an error is found in the answer (by position, by the entity's key) is
 * part of the format: clients read it.
 */

#include <stdlib.h>
#include <string.h>

#include "../model/json.h"
#include "declarative_walk.h"


static void decl_link_names(decl_t *d, size_t number);
static void decl_link_references(decl_t *d, decl_row_t *row);
static value_t *decl_link_find(decl_t *d, decl_kind_t *kind,
    const value_t *given);
static value_t *decl_link_find_whole(decl_t *d, decl_kind_t *kind,
    const value_t *given);
static void decl_link_up(decl_t *d, decl_row_t *row,
    const decl_relation_t *r);
static void decl_link_set(decl_t *d, decl_row_t *row,
    const decl_relation_t *r, const value_t *id);
static void decl_link_dangling(decl_t *d, decl_row_t *row,
    const decl_relation_t *r, const value_t *given);
static void decl_link_unique(decl_t *d, decl_row_t *row);
static void decl_link_add(decl_t *d, config_t *c, decl_row_t *row);
static value_t *decl_link_list(decl_t *d, const char *entity);
static const value_t *decl_link_key(const decl_row_t *row);


void
decl_link(decl_t *d, config_t *c)
{
    size_t        i;
    decl_kind_t  *kind;

    for (i = 0; i < d->n_kinds; i++) {
        kind = &d->kinds[i];
        value_reserve(d->scratch, &kind->by_id, kind->n_rows);

        if (kind->endpoint != NULL) {
            value_reserve(d->scratch, &kind->by_key, kind->n_rows);
        }
    }

    for (i = 0; i < d->n_order; i++) {
        decl_link_names(d, i);
    }

    for (i = 0; i < d->n_order; i++) {
        decl_link_references(d, d->order[i]);
    }

    if (d->errors->len != 0) {
        return;
    }

    for (i = 0; i < d->n_order; i++) {
        if (d->order[i]->kind->n_unique != 0) {
            decl_link_unique(d, d->order[i]);
        }
    }

    for (i = 0; d->errors->len == 0 && i < d->n_order; i++) {
        decl_link_add(d, c, d->order[i]);
    }
}


int
decl_link_rows(decl_t *d, const config_t *whole)
{
    size_t  i;

    d->whole = whole;

    for (i = 0; i < d->n_order; i++) {
        decl_link_references(d, d->order[i]);
    }

    return d->errors->len == 0 ? 0 : -1;
}


/*
 * A name that is taken is reported at the entity's position under its kind,
 * an id that is taken below the parent: as in Kong 3.9.
 */

static void
decl_link_names(decl_t *d, size_t number)
{
    value_t      *v, *slot;
    unsigned      taken;
    const char   *entity;
    decl_row_t   *row;
    decl_kind_t  *kind;

    row = d->order[number];
    kind = row->kind;
    entity = kind->schema->name;
    taken = 0;

    if (kind->endpoint != NULL) {
        v = decl_member(row->entity, kind->endpoint_at,
                        kind->endpoint->name);

        if (v != NULL && v->kind == VALUE_STRING) {
            slot = value_putn(d->scratch, &kind->by_key, v->u.string, v->len);

            if (slot->kind != VALUE_NULL) {
                taken = 1;
                decl_error_set(d->arena,
                    decl_error_item(d, decl_link_list(d, entity), row->index),
                    row->line, "uniqueness violation: '%s' entity with %s "
                    "set to '%s' already declared", entity,
                    kind->endpoint->name, v->u.string);

            } else {
                value_set_number(slot, (double) number);
            }
        }
    }

    v = decl_member(row->entity, kind->id_at, "id");
    if (v == NULL || v->kind != VALUE_STRING) {
        return;
    }

    slot = value_putn(d->scratch, &kind->by_id, v->u.string, v->len);

    if (taken || slot->kind == VALUE_NULL) {
        value_set_number(slot, (double) number);
        return;
    }

    if (row->parent == NULL) {
        slot = decl_link_list(d, entity);

    } else {
        slot = decl_error_item(d, decl_link_list(d,
                                             row->parent->kind->schema->name),
                               row->parent->index);

        if (slot->kind != VALUE_OBJECT) {
            value_set_object(slot);
        }

        slot = value_put(d->arena, slot, entity);
    }

    decl_error_set(d->arena, decl_error_item(d, slot, row->index), row->line,
                   "uniqueness violation: '%s' entity with primary key set "
                   "to '%s' already declared", entity, v->u.string);
}


static void
decl_link_references(decl_t *d, decl_row_t *row)
{
    size_t            i;
    value_t          *id;
    decl_relation_t  *r;

    for (i = 0; i < row->kind->n_foreign; i++) {
        r = &row->kind->foreign[i];

        if (row->given != NULL && !value_is_null(&row->given[i])) {
            id = decl_link_find(d, r->kind, &row->given[i]);

            if (id == NULL) {
                decl_link_dangling(d, row, r, &row->given[i]);

            } else {
                decl_link_set(d, row, r, id);
            }
        }

        if (row->up == r->field) {
            decl_link_up(d, row, r);
        }
    }
}


/* the id of the entity that is meant: by name first, then by id */

static value_t *
decl_link_find(decl_t *d, decl_kind_t *kind, const value_t *given)
{
    value_t  *v;

    if (given->kind == VALUE_OBJECT) {
        given = value_get(given, "id");
    }

    if (given == NULL || given->kind != VALUE_STRING) {
        return NULL;
    }

    if (d->whole != NULL) {
        return decl_link_find_whole(d, kind, given);
    }

    v = value_getn(&kind->by_key, given->u.string, given->len);

    if (v == NULL) {
        v = value_getn(&kind->by_id, given->u.string, given->len);
    }

    if (v == NULL) {
        return NULL;
    }

    return value_get(d->order[(size_t) v->u.number]->entity, "id");
}


static value_t *
decl_link_find_whole(decl_t *d, decl_kind_t *kind, const value_t *given)
{
    value_t     *row;
    const char  *entity;

    row = NULL;
    entity = kind->schema->name;

    if (kind->endpoint != NULL) {
        row = config_by_key(d->whole, entity, given->u.string, given->len);
    }

    if (row == NULL) {
        row = config_by_id(d->whole, entity, given->u.string, given->len);
    }

    return value_get(row, "id");
}


/* siblings share what nobody changes any more */

static void
decl_link_up(decl_t *d, decl_row_t *row, const decl_relation_t *r)
{
    value_t     *v;
    decl_row_t  *parent;

    parent = row->parent;

    if (parent->reference.kind != VALUE_NULL) {
        v = decl_member(row->entity, r->at, r->field->name);

        if (v == NULL) {
            v = value_put(d->arena, row->entity, r->field->name);
        }

        *v = parent->reference;
        return;
    }

    decl_link_set(d, row, r, value_get(parent->entity, "id"));
    parent->reference = *value_get(row->entity, r->field->name);
}


static void
decl_link_set(decl_t *d, decl_row_t *row, const decl_relation_t *r,
    const value_t *id)
{
    value_set_reference(d->arena,
                        value_put(d->arena, row->entity, r->field->name),
                        id->u.string, id->len);
}


static void
decl_link_dangling(decl_t *d, decl_row_t *row, const decl_relation_t *r,
    const value_t *given)
{
    value_t        *slot;
    const char     *text;
    const value_t  *key;

    text = given->kind == VALUE_STRING ? given->u.string
                                       : json_print(d->arena, given, NULL);
    key = decl_link_key(row);
    slot = decl_link_list(d, row->kind->schema->name);

    if (key != NULL) {
        slot = decl_error_named(d, slot, key->u.string, key->len);

    } else {
        slot = decl_error_item(d, slot, row->index);
    }

    if (slot->kind != VALUE_ARRAY) {
        value_set_array(slot);
    }

    decl_error_set(d->arena, value_append(d->arena, slot),
                   given->line != 0 ? given->line : row->line,
                   "invalid reference '%s: %s' (no such entry in '%s')",
                   r->field->name, text, r->kind->schema->name);
}


static void
decl_link_unique(decl_t *d, decl_row_t *row)
{
    size_t          i;
    value_t        *v, *slot, name;
    const char     *field;
    const value_t  *key;

    for (i = 0; i < row->kind->n_unique; i++) {
        field = row->kind->unique[i]->name;
        v = value_get(row->entity, field);

        if (v != NULL && v->kind == VALUE_OBJECT) {
            v = value_get(v, "id");
        }

        if (v == NULL || v->kind != VALUE_STRING) {
            continue;
        }

        slot = value_put(d->scratch, &row->kind->by_field, field);
        if (slot->kind != VALUE_OBJECT) {
            value_set_object(slot);
        }

        slot = value_putn(d->scratch, slot, v->u.string, v->len);
        if (slot->kind == VALUE_NULL) {
            value_set_bool(slot, true);
            continue;
        }

        name = *v;
        key = decl_link_key(row);
        slot = decl_link_list(d, row->kind->schema->name);

        if (key != NULL) {
            slot = decl_error_named(d, slot, key->u.string, key->len);

        } else {
            slot = decl_error_item(d, slot, row->index);
        }

        decl_error_set(d->arena, slot, row->line,
                       "uniqueness violation: '%s' entity with %s set to "
                       "'%s' already declared", row->kind->schema->name,
                       field, name.u.string);
    }
}


static void
decl_link_add(decl_t *d, config_t *c, decl_row_t *row)
{
    value_t  *v;

    if (row->kind->ttl != NULL && !value_is_null(&row->ttl)) {

        /* a moment, not a duration; what has expired is not there */

        if (row->ttl.u.number <= d->ctx.now) {
            return;
        }

        v = value_put(d->arena, row->entity, "ttl");
        *v = row->ttl;
    }

    v = value_new(d->keep);
    *v = *row->entity;
    row->entity = v;
    decl_done(d, row);

    /* ids are known to differ: only the index can be short of memory */

    if (config_add(c, row->kind->schema->name, row->entity) == -1
        && row->kind->uuid)
    {
        if (d->arena->oom != NULL) {
            longjmp(*d->arena->oom, 1);
        }

        abort();
    }
}


static value_t *
decl_link_list(decl_t *d, const char *entity)
{
    return value_put(d->arena, d->errors, entity);
}


/* what an entity is called in errors: its endpoint key, else its id */

static const value_t *
decl_link_key(const decl_row_t *row)
{
    value_t  *v;

    if (row->kind->endpoint != NULL) {
        v = value_get(row->entity, row->kind->endpoint->name);

        if (v != NULL && v->kind == VALUE_STRING) {
            return v;
        }
    }

    v = value_get(row->entity, "id");

    return v != NULL && v->kind == VALUE_STRING ? v : NULL;
}
