/*
 * show: an entity as clients see it: beside a field that has replaced an
 * older one its older name, with the same value.
 */

#include <string.h>

#include "entities.h"


static unsigned show_has(const field_t *f);
static unsigned show_has_fields(const field_t *fields);
static void show_fields(arena_t *a, const field_t *fields, value_t *v);
static void show_value(arena_t *a, const field_t *f, value_t *v);
static void show_names(arena_t *a, const shorthand_t *sh, value_t *record);


/* the row itself, or a copy where there is something to add */
value_t *
show_entity(arena_t *a, const schema_t *s, value_t *row)
{
    value_t         *copy;
    const char      *field, *err;
    schema_ctx_t     ctx;
    const schema_t  *sub;

    if (s->subschema == NULL) {
        return row;
    }

    memset(&ctx, 0, sizeof(ctx));
    ctx.arena = a;
    sub = s->subschema(&ctx, row, &field, &err);

    if (sub == NULL || !show_has_fields(sub->fields)) {
        return row;
    }

    copy = value_clone(a, row);
    show_fields(a, sub->fields, copy);

    return copy;
}


static unsigned
show_has(const field_t *f)
{
    const shorthand_t  *sh;

    if (f->type == FIELD_RECORD) {
        for (sh = f->shorthands; sh != NULL && sh->name != NULL; sh++) {
            if (sh->replaced_by != NULL) {
                return 1;
            }
        }

        return show_has_fields(f->fields);
    }

    return f->elements != NULL && show_has(f->elements);
}


static unsigned
show_has_fields(const field_t *fields)
{
    for ( /* void */ ; fields != NULL && fields->name != NULL; fields++) {
        if (show_has(fields)) {
            return 1;
        }
    }

    return 0;
}


static void
show_fields(arena_t *a, const field_t *fields, value_t *v)
{
    value_t  *slot;

    for ( /* void */ ; fields != NULL && fields->name != NULL; fields++) {
        slot = value_get(v, fields->name);

        if (slot != NULL && show_has(fields)) {
            show_value(a, fields, slot);
        }
    }
}


static void
show_value(arena_t *a, const field_t *f, value_t *v)
{
    uint32_t  i;

    if (f->type == FIELD_RECORD) {
        if (v->kind == VALUE_OBJECT) {
            show_fields(a, f->fields, v);
            show_names(a, f->shorthands, v);
        }

        return;
    }

    for (i = 0; v->kind == VALUE_ARRAY && i < v->len; i++) {
        show_value(a, f->elements, &v->u.items[i]);
    }

    for (i = 0; v->kind == VALUE_OBJECT && i < v->len; i++) {
        show_value(a, f->elements, value_nth(v, i));
    }
}


static void
show_names(arena_t *a, const shorthand_t *sh, value_t *record)
{
    value_t  *v, copy;

    for ( /* void */ ; sh != NULL && sh->name != NULL; sh++) {

        if (sh->replaced_by == NULL) {
            continue;
        }

        v = value_path(record, sh->replaced_by);

        if (v != NULL) {
            copy = *v;                   /* a put may move it */
            *value_put(a, record, sh->name) = copy;
        }
    }
}
