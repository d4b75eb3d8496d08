/*
 * schema: the walker's way through an entity: shorthands, defaults and auto
 * fields, then the checks (schema_checks.c).  After filling, every record has
 * the shape of its table, or at least the members in that order, keys pointing
 * at the table's names: the checks then find each field without a look-up.
 */

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "json.h"
#include "schema_private.h"
#include "uuid.h"


#define SCHEMA_SMALL_SET   16


static void schema_expand_record(schema_ctx_t *ctx, const schema_info_t *info,
    const shorthand_t *shorthands, value_t *record, value_t *errors);
static void schema_expand_field(schema_ctx_t *ctx, const field_t *f,
    value_t *v, value_t *errors);
static int schema_expand_one(schema_ctx_t *ctx, const shorthand_t *sh,
    value_t *record, value_t *given, value_t *errors);
static void schema_expand_moved(schema_ctx_t *ctx, const shorthand_t *sh,
    value_t *record, const value_t *given);
static char *schema_show(arena_t *a, const value_t *v);
static void schema_fill_record(schema_ctx_t *ctx, const schema_info_t *info,
    value_t *record);
static bool schema_is_canonical(const schema_info_t *info,
    const value_t *record);
static void schema_fill_slot(schema_ctx_t *ctx, const schema_slot_t *slot,
    value_t *v, bool given);
static void schema_fill_default(schema_ctx_t *ctx, const schema_slot_t *slot,
    value_t *v);
static void schema_fill_value(schema_ctx_t *ctx, const field_t *f,
    unsigned deep, value_t *v);
static bool schema_fill_auto(schema_ctx_t *ctx, const field_t *f, value_t *v,
    bool given);
static void schema_fill_set(schema_ctx_t *ctx, value_t *v);
static const schema_info_t *schema_entity_info(schema_ctx_t *ctx,
    const schema_t *s, const value_t *entity);


int
schema_validate(schema_ctx_t *ctx, const schema_t *s, value_t *entity,
    value_t *errors)
{
    uint32_t  before;

    if (value_is_null(errors)) {
        value_set_object(errors);
    }

    before = errors->len;

    if (entity->kind != VALUE_OBJECT) {
        return schema_check(ctx, s, entity, errors);
    }

    schema_expand_shorthands(ctx, s, entity, errors);

    if (errors->len != before) {
        return -1;
    }

    schema_fill_defaults(ctx, s, entity);

    if (schema_check(ctx, s, entity, errors) != 0) {
        return -1;
    }

    schema_transform(ctx, s, entity);

    return 0;
}


void
schema_expand_shorthands(schema_ctx_t *ctx, const schema_t *s,
    value_t *entity, value_t *errors)
{
    const schema_info_t  *info;

    if (entity->kind != VALUE_OBJECT) {
        return;
    }

    if (value_is_null(errors)) {
        value_set_object(errors);
    }

    info = schema_entity_info(ctx, s, entity);
    schema_expand_record(ctx, info, s->shorthands, entity, errors);
}


void
schema_fill_defaults(schema_ctx_t *ctx, const schema_t *s, value_t *entity)
{
    if (entity->kind == VALUE_OBJECT) {
        schema_fill_record(ctx, schema_entity_info(ctx, s, entity), entity);
    }
}


void
schema_transform(schema_ctx_t *ctx, const schema_t *s, value_t *entity)
{
    if (s->transform != NULL && entity->kind == VALUE_OBJECT) {
        s->transform(ctx, entity);
    }
}


const schema_t *
schema_find(const char *entity)
{
    size_t  i;

    for (i = 0; schema_entities[i] != NULL; i++) {
        if (strcmp(schema_entities[i]->name, entity) == 0) {
            return schema_entities[i];
        }
    }

    return NULL;
}


const field_t *
schema_field(const schema_t *s, const char *name)
{
    const field_t  *f;

    for (f = s->fields; f != NULL && f->name != NULL; f++) {
        if (strcmp(f->name, name) == 0) {
            return f;
        }
    }

    return NULL;
}


const schema_t *
schema_sub(schema_ctx_t *ctx, const schema_t *s, const value_t *entity,
    const char **err_field, const char **err)
{
    *err_field = NULL;
    *err = NULL;

    if (s->subschema == NULL) {
        return NULL;
    }

    return s->subschema(ctx, entity, err_field, err);
}


static const schema_info_t *
schema_entity_info(schema_ctx_t *ctx, const schema_t *s,
    const value_t *entity)
{
    const char      *err_field, *err;
    const schema_t  *sub;

    sub = schema_sub(ctx, s, entity, &err_field, &err);

    return schema_info(s->fields, sub == NULL ? NULL : sub->fields, 1);
}


/* the record's own shorthands first, then those of the records inside it */

static void
schema_expand_record(schema_ctx_t *ctx, const schema_info_t *info,
    const shorthand_t *shorthands, value_t *record, value_t *errors)
{
    uint32_t              i;
    value_t              *v, given;
    const shorthand_t    *sh;
    const schema_slot_t  *slot;

    for (sh = shorthands; sh != NULL && sh->name != NULL; sh++) {
        v = value_get(record, sh->name);
        if (v == NULL) {
            continue;
        }

        given = *v;

        if (schema_expand_one(ctx, sh, record, &given, errors) != 0) {
            continue;
        }
    }

    if (!info->shorthand) {
        return;
    }

    for (i = 0; i < info->n; i++) {
        slot = &info->slots[i];

        if (slot->shorthand) {
            v = value_get_hashed(record, slot->field->name, slot->len,
                                 slot->hash);
            if (v != NULL) {
                schema_expand_field(ctx, slot->field, v, errors);
            }
        }
    }
}


static void
schema_expand_field(schema_ctx_t *ctx, const field_t *f, value_t *v,
    value_t *errors)
{
    uint32_t              i;
    const schema_info_t  *info;

    if (f == NULL) {
        return;
    }

    if (f->type == FIELD_RECORD) {
        if (v->kind == VALUE_OBJECT && f->fields != NULL) {
            info = schema_info(f->fields, NULL, 0);
            schema_expand_record(ctx, info, f->shorthands, v, errors);
        }

        return;
    }

    if (v->kind == VALUE_ARRAY
        && (f->type == FIELD_ARRAY || f->type == FIELD_SET))
    {
        for (i = 0; i < v->len; i++) {
            schema_expand_field(ctx, f->elements, &v->u.items[i], errors);
        }

    } else if (v->kind == VALUE_OBJECT && f->type == FIELD_MAP) {
        for (i = 0; i < v->len; i++) {
            schema_expand_field(ctx, f->elements, value_nth(v, i),
                                errors);
        }
    }
}


/*
 * Errors of shorthands are not nested: Kong reports config.redis.timeout as
 * "timeout".
 */

static int
schema_expand_one(schema_ctx_t *ctx, const shorthand_t *sh, value_t *record,
    value_t *given, value_t *errors)
{
    value_t   err, *current;
    field_t   field;

    memset(&err, 0, sizeof(value_t));
    memset(&field, 0, sizeof(field_t));

    if (sh->rule != NULL) {
        field = *sh->rule;
    }

    field.name = sh->name;
    field.type = sh->type;
    field.elements = sh->elements;

    if (schema_check_field(ctx, &field, given, &err) != 0) {
        *schema_error_slot(ctx, errors, sh->name, strlen(sh->name)) = err;
        return -1;
    }

    if (sh->replaced_by != NULL && !value_is_null(given)) {
        current = value_path(record, sh->replaced_by);

        if (!value_is_null(current) && !value_equal(current, given)) {
            schema_error(ctx, errors, sh->name,
                         "both deprecated and new field are used but their "
                         "values mismatch: %s = %s vs %s = %s",
                         sh->name, schema_show(ctx->arena, given),
                         sh->replaced_by, schema_show(ctx->arena, current));
            return -1;
        }
    }

    value_remove(ctx->arena, record, sh->name);

    if (sh->expand != NULL) {
        sh->expand(ctx, record, given);

    } else if (sh->replaced_by != NULL) {
        schema_expand_moved(ctx, sh, record, given);
    }

    return 0;
}


/* what is set under its own name stays */

static void
schema_expand_moved(schema_ctx_t *ctx, const shorthand_t *sh, value_t *record,
    const value_t *given)
{
    value_t     *v;
    const char  *name, *dot;

    v = record;
    name = sh->replaced_by;

    while ((dot = strchr(name, '.')) != NULL) {
        v = value_putn(ctx->arena, v,
                       arena_strndup(ctx->arena, name, dot - name),
                       dot - name);

        if (value_is_null(v)) {
            value_set_object(v);
        }

        if (v->kind != VALUE_OBJECT) {
            return;
        }

        name = dot + 1;
    }

    v = value_put(ctx->arena, v, name);

    if (value_is_null(v)) {
        *v = *given;
    }
}


static char *
schema_show(arena_t *a, const value_t *v)
{
    if (v->kind == VALUE_STRING) {
        return arena_strndup(a, v->u.string, v->len);
    }

    return json_print_lua(a, v, NULL);
}


static void
schema_fill_record(schema_ctx_t *ctx, const schema_info_t *info,
    value_t *record)
{
    bool                  canonical, given;
    value_t               out, *v, *found[VALUE_FIELDS];
    uint32_t              i, extras;
    member_t              m;
    const schema_slot_t  *slot;

    if (info->n > VALUE_FIELDS) {
        return;
    }

    canonical = schema_is_canonical(info, record);

    if (canonical) {
        for (i = 0; i < info->n; i++) {
            schema_fill_slot(ctx, &info->slots[i],
                             value_nth(record, i), true);
        }

        return;
    }

    memset(found, 0, info->n * sizeof(value_t *));
    extras = 0;

    for (i = 0; i < record->len; i++) {
        m = value_member(record, i);
        slot = schema_info_slot(info, m.key, m.key_len, m.hash);

        if (slot == NULL) {
            extras++;

        } else {
            found[slot - info->slots] = m.value;
        }
    }

    memset(&out, 0, sizeof(value_t));
    out.line = record->line;

    if (extras == 0 && !ctx->update) {
        v = value_set_record(ctx->arena, &out, info->shape);

        for (i = 0; i < info->n; i++) {
            given = found[i] != NULL;

            if (given) {
                v[i] = *found[i];
            }

            schema_fill_slot(ctx, &info->slots[i], &v[i], given);
        }

        *record = out;
        return;
    }

    value_set_object(&out);
    out.flags = record->flags & VALUE_LUA_TABLE;
    value_reserve(ctx->arena, &out, info->n + extras);

    for (i = 0; i < info->n; i++) {
        slot = &info->slots[i];
        given = found[i] != NULL;

        if (!given && ctx->update && strcmp(slot->field->name, "updated_at"))
        {
            continue;
        }

        v = value_add(ctx->arena, &out, slot->field->name, slot->len,
                      slot->hash);

        if (given) {
            *v = *found[i];
        }

        schema_fill_slot(ctx, slot, v, given);
    }

    for (i = 0; extras != 0 && i < record->len; i++) {
        m = value_member(record, i);

        if (schema_info_slot(info, m.key, m.key_len, m.hash) == NULL) {
            *value_add(ctx->arena, &out, m.key, m.key_len, m.hash)
                = *m.value;
        }
    }

    *record = out;
}


/* filled before: every field is there, in the order of the table, as a record
 * if it can be one */

static bool
schema_is_canonical(const schema_info_t *info, const value_t *record)
{
    uint32_t  i;

    if (record->len < info->n) {
        return false;
    }

    if (record->flags & VALUE_RECORD) {
        return record->u.record->shape == info->shape;
    }

    if (record->len == info->n) {
        return false;
    }

    for (i = 0; i < info->n; i++) {
        if (value_slots(record)[i].key != info->slots[i].field->name) {
            return false;
        }
    }

    return true;
}


static void
schema_fill_slot(schema_ctx_t *ctx, const schema_slot_t *slot, value_t *v,
    bool given)
{
    const field_t  *f;

    f = slot->field;

    if ((f->flags & F_AUTO) && schema_fill_auto(ctx, f, v, given)) {
        return;
    }

    if (!given) {
        schema_fill_default(ctx, slot, v);
    }

    if (slot->deep || f->type == FIELD_SET || f->type == FIELD_ARRAY
        || f->type == FIELD_MAP)
    {
        schema_fill_value(ctx, f, slot->deep, v);
    }
}


static void
schema_fill_default(schema_ctx_t *ctx, const schema_slot_t *slot, value_t *v)
{
    const field_t  *f;

    f = slot->field;

    if (slot->def->kind == VALUE_OBJECT || (slot->deep && f->def != NULL)) {
        *v = *value_clone(ctx->arena, slot->def);
        return;
    }

    if (f->def != NULL) {
        *v = *slot->def;
        return;
    }

    if (f->type == FIELD_RECORD && (f->flags & F_REQUIRED)
        && f->fields != NULL)
    {
        value_set_object(v);
    }
}


/* completes a value that is there; one empty Lua table serves all kinds */

static void
schema_fill_value(schema_ctx_t *ctx, const field_t *f, unsigned deep,
    value_t *v)
{
    uint32_t  i, line;

    line = v->line;

    switch (f->type) {

    case FIELD_RECORD:
        if (v->kind == VALUE_ARRAY && v->len == 0) {
            value_set_object(v);
            v->line = line;
        }

        if (v->kind == VALUE_OBJECT && f->fields != NULL) {
            schema_fill_record(ctx, schema_info(f->fields, NULL, 0), v);
        }

        break;

    case FIELD_ARRAY:
    case FIELD_SET:
        if (v->kind == VALUE_OBJECT && v->len == 0) {
            value_set_array(v);
            v->line = line;
        }

        if (v->kind != VALUE_ARRAY) {
            break;
        }

        if (f->type == FIELD_SET && v->len > 1) {
            schema_fill_set(ctx, v);
        }

        for (i = 0; deep && i < v->len; i++) {
            schema_fill_value(ctx, f->elements, deep, &v->u.items[i]);
        }

        break;

    case FIELD_MAP:
        if (v->kind == VALUE_ARRAY && v->len == 0) {
            value_set_object(v);
            v->line = line;
        }

        for (i = 0; deep && v->kind == VALUE_OBJECT && i < v->len; i++) {
            schema_fill_value(ctx, f->elements, deep,
                              value_nth(v, i));
        }

        break;

    default:
        break;
    }
}


/* true: the value is as it has to be */

static bool
schema_fill_auto(schema_ctx_t *ctx, const field_t *f, value_t *v, bool given)
{
    bool    updated;
    char   *text;
    double  now;

    if (f->flags & F_UUID) {
        if (!value_is_null(v)) {
            return true;
        }

        text = arena_alloc(ctx->arena, UUID_SIZE);
        uuid_v4(text);
        value_set_string(v, text, UUID_LEN);
        return true;
    }

    if (f->type == FIELD_STRING) {
        if (given) {
            return true;
        }

        text = arena_alloc(ctx->arena, UUID_RANDOM_LEN + 1);
        uuid_random_string(text);
        value_set_string(v, text, UUID_RANDOM_LEN);
        return true;
    }

    updated = strcmp(f->name, "updated_at") == 0;

    if (!updated && (strcmp(f->name, "created_at") != 0
                     || !value_is_null(v)))
    {
        return false;
    }

    now = ctx->now == 0 ? (double) time(NULL) : ctx->now;
    value_set_number(v, f->type == FIELD_INTEGER ? floor(now) : now);

    return true;
}


/* drops what was seen before; only strings and numbers can be equal */

static void
schema_fill_set(schema_ctx_t *ctx, value_t *v)
{
    value_t   strings, numbers, *items, *slot;
    uint32_t  i, j, n;

    items = v->u.items;
    memset(&strings, 0, sizeof(value_t));
    memset(&numbers, 0, sizeof(value_t));
    value_set_object(&strings);
    value_set_object(&numbers);

    for (i = 0, n = 0; i < v->len; i++) {
        slot = NULL;

        if (v->len <= SCHEMA_SMALL_SET) {
            for (j = 0; j < n; j++) {
                if (items[i].kind <= VALUE_STRING
                    && value_equal(&items[j], &items[i]))
                {
                    break;
                }
            }

            if (j < n) {
                continue;
            }

        } else if (items[i].kind == VALUE_STRING) {
            slot = value_putn(ctx->arena, &strings, items[i].u.string,
                              items[i].len);

        } else if (items[i].kind == VALUE_NUMBER) {
            slot = value_putn(ctx->arena, &numbers,
                              arena_strndup(ctx->arena,
                                            (char *) &items[i].u.number,
                                            sizeof(double)),
                              sizeof(double));
        }

        if (slot != NULL) {
            if (!value_is_null(slot)) {
                continue;
            }

            value_set_bool(slot, true);
        }

        if (n != i) {
            items[n] = items[i];
        }

        n++;
    }

    v->len = n;
}
