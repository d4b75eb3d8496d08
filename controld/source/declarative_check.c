/*
 * declarative_check: rows against their schemas, in the two passes that
 * Kong's verdicts depend on.  In the first, a reference is a string at the
 * top level and forbidden in a nested entity.  Only if that fails, the
 * document gets a second chance with ids made up and references resolved, and
 * is good if that pass finds nothing.
 *
 * A schema wants references as {"id": ...}; in the first pass one that is
 * well-formed is represented by a stand-in.
 */

#include <string.h>

#include "declarative_walk.h"


static int decl_row_alive(decl_row_t *row);
static void decl_check_row(decl_t *d, decl_row_t *row, value_t *errors);
static void decl_report(decl_t *d, decl_row_t *row, value_t *errors);
static void decl_stand_in(decl_t *d, decl_row_t *row, value_t *errors);
static void decl_stand_in_one(decl_t *d, decl_row_t *row,
    const field_t *f, value_t *v, value_t *errors);
static void decl_register(decl_t *d, size_t number);
static void decl_resolve(decl_t *d, decl_row_t *row);


void
decl_check(decl_t *d)
{
    size_t       i;
    value_t      errors;
    decl_row_t  *row;

    for (i = 0; i < d->n_rows; i++) {
        row = d->rows[i];

        if (!decl_row_alive(row)) {
            continue;
        }

        memset(&errors, 0, sizeof(value_t));
        value_set_object(&errors);

        if (row->given != NULL
            || (row->up != NULL && row->kind->needs_parent))
        {
            decl_stand_in(d, row, &errors);
        }

        decl_check_row(d, row, &errors);
    }
}


void
decl_check_resolved(decl_t *d)
{
    size_t       i;
    value_t      errors;
    decl_row_t  *row;

    for (i = 0; i < d->n_rows; i++) {
        if (decl_row_alive(d->rows[i])) {
            decl_register(d, i);
        }
    }

    for (i = 0; i < d->n_rows; i++) {
        row = d->rows[i];

        if (!decl_row_alive(row)) {
            continue;
        }

        decl_resolve(d, row);

        memset(&errors, 0, sizeof(value_t));
        value_set_object(&errors);
        decl_check_row(d, row, &errors);
    }
}


/* what is below an entity of unknown kind is not looked at */

static int
decl_row_alive(decl_row_t *row)
{
    if (row->parent != NULL && row->parent->dead) {
        row->dead = 1;
    }

    return !row->dead;
}


static void
decl_check_row(decl_t *d, decl_row_t *row, value_t *errors)
{
    const char      *field, *err;
    const schema_t  *s;

    s = row->kind->schema;

    schema_expand_shorthands(&d->ctx, s, row->entity, errors);
    schema_fill_defaults(&d->ctx, s, row->entity);
    schema_check(&d->ctx, s, row->entity, errors);

    if (errors->len != 0 && s->subschema != NULL) {
        err = NULL;
        field = NULL;

        if (s->subschema(&d->ctx, row->entity, &field, &err) == NULL
            && err != NULL)
        {
            row->dead = 1;
        }
    }

    if (errors->len != 0) {
        decl_report(d, row, errors);
    }
}


static void
decl_report(decl_t *d, decl_row_t *row, value_t *errors)
{
    size_t     i;
    value_t   *slot;
    member_t   m;

    decl_error_lines(errors, row->entity, row->line);

    slot = decl_error_slot(d, row);

    if (row->dead) {
        value_set_object(slot);
    }

    for (i = 0; i < errors->len; i++) {
        m = value_member(errors, i);
        *value_putn(d->arena, slot, m.key, m.key_len) = *m.value;
    }
}


static void
decl_stand_in(decl_t *d, decl_row_t *row, value_t *errors)
{
    size_t          i;
    value_t        *v;
    const field_t  *f;

    for (i = 0; i < row->kind->n_foreign; i++) {
        f = row->kind->foreign[i].field;
        v = value_get(row->entity, f->name);

        if (!value_is_null(v)) {
            decl_stand_in_one(d, row, f, v, errors);

        } else if (row->up != NULL && (f->flags & F_REQUIRED)) {
            *value_put(d->arena, row->entity, f->name) = d->placeholder;
        }
    }
}


static void
decl_stand_in_one(decl_t *d, decl_row_t *row, const field_t *f, value_t *v,
    value_t *errors)
{
    uint32_t     line;
    const char  *err;

    err = NULL;
    line = v->line;

    if (row->up != NULL) {
        err = "value must be null";

    } else if (v->kind != VALUE_STRING) {
        err = "expected a string";

    } else if (v->len == 0) {
        err = "length must be at least 1";
    }

    if (err != NULL) {
        schema_error(&d->ctx, errors, f->name, "%s", err);
    }

    value_set_null(v);

    if (row->up == NULL || (f->flags & F_REQUIRED)) {
        *v = d->placeholder;
    }

    v->line = line;
}


static void
decl_register(decl_t *d, size_t number)
{
    value_t      *v;
    decl_row_t   *row;
    decl_kind_t  *kind;

    row = d->rows[number];
    kind = row->kind;

    v = value_get(row->entity, "id");

    if (v != NULL && v->kind == VALUE_STRING) {
        value_set_number(value_putn(d->scratch, &kind->by_id, v->u.string,
                                    v->len), (double) number);
    }

    if (kind->schema->endpoint_key == NULL) {
        return;
    }

    v = value_get(row->entity, kind->schema->endpoint_key);

    if (v != NULL && v->kind == VALUE_STRING
        && value_getn(&kind->by_key, v->u.string, v->len) == NULL)
    {
        value_set_number(value_putn(d->scratch, &kind->by_key, v->u.string,
                                    v->len), (double) number);
    }
}


/* a name that is not found becomes a reference without an id */

static void
decl_resolve(decl_t *d, decl_row_t *row)
{
    size_t            i;
    value_t          *v, *id, *number;
    decl_row_t       *to;
    decl_relation_t  *r;

    for (i = 0; i < row->kind->n_foreign; i++) {
        r = &row->kind->foreign[i];
        v = value_get(row->entity, r->field->name);
        to = NULL;

        if (v == NULL) {
            if (row->up != r->field) {
                continue;
            }

            v = value_put(d->arena, row->entity, r->field->name);
            to = row->parent;

        } else if (v->kind == VALUE_STRING) {
            number = value_getn(&r->kind->by_key, v->u.string, v->len);

            if (number == NULL) {
                number = value_getn(&r->kind->by_id, v->u.string, v->len);
            }

            if (number != NULL) {
                to = d->rows[(size_t) number->u.number];
            }

        } else {
            continue;
        }

        value_set_object(v);
        id = to != NULL ? value_get(to->entity, "id") : NULL;

        if (id != NULL) {
            *value_put(d->arena, v, "id") = *id;
        }
    }
}
