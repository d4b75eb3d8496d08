/*
 * schema_checks: one value against one field, in Kong's fixed order: null and
 * required, type, then the constraints; the first that fails is the field's
 * message.  Nothing is allocated while all is well.
 */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH  8
#include <pcre2.h>

#include "lua_pattern.h"
#include "schema_private.h"
#include "uuid.h"


static int schema_check_array(schema_ctx_t *ctx, const field_t *f,
    const value_t *v, value_t *err);
static int schema_check_map(schema_ctx_t *ctx, const field_t *f,
    const value_t *v, value_t *err);
static int schema_check_nested(schema_ctx_t *ctx, const field_t *f,
    const value_t *v, value_t *err);
static int schema_check_element(schema_ctx_t *ctx, const field_t *f,
    const value_t *v, value_t *err);
static int schema_check_foreign(schema_ctx_t *ctx, const field_t *f,
    const value_t *v, value_t *err);
static void schema_keep_id(schema_ctx_t *ctx, value_t *v);
static int schema_check_enum(schema_ctx_t *ctx, const field_t *f,
    const value_t *v, value_t *err);
static bool schema_is_equal(const char *json, const value_t *v);
static int schema_check_number(schema_ctx_t *ctx, const field_t *f,
    const value_t *v, value_t *err);
static int schema_check_string(schema_ctx_t *ctx, const field_t *f,
    const value_t *v, value_t *err);
static int schema_check_length(schema_ctx_t *ctx, const field_t *f,
    const value_t *v, value_t *err);
static int schema_check_contains(schema_ctx_t *ctx, const field_t *f,
    const value_t *v, value_t *err);
static bool schema_is_listed(const char *const *list, const value_t *v);
static const char *schema_list(schema_ctx_t *ctx, const char *const *list);
static bool schema_is_regex(const value_t *v);
static void schema_check_entity(schema_ctx_t *ctx, const schema_t *s,
    value_t *entity, value_t *errors);


/* what is in *errors already is the caller's and decides nothing here */

int
schema_check(schema_ctx_t *ctx, const schema_t *s, value_t *entity,
    value_t *errors)
{
    value_t    found;
    uint32_t   i;
    member_t   m;

    if (value_is_null(errors)) {
        value_set_object(errors);
    }

    memset(&found, 0, sizeof(value_t));
    value_set_object(&found);

    schema_check_entity(ctx, s, entity, &found);

    for (i = 0; i < found.len; i++) {
        m = value_member(&found, i);
        *value_putn(ctx->arena, errors, m.key, m.key_len) = *m.value;
    }

    return found.len == 0 ? 0 : -1;
}


static void
schema_check_entity(schema_ctx_t *ctx, const schema_t *s, value_t *entity,
    value_t *errors)
{
    const char           *err_field, *err;
    const schema_t       *sub;
    const schema_info_t  *info;

    if (entity->kind != VALUE_OBJECT) {
        schema_error_entity(ctx, errors, "expected a record");
        return;
    }

    sub = schema_sub(ctx, s, entity, &err_field, &err);

    if (err != NULL) {
        schema_error(ctx, errors, err_field, "%s", err);
        return;
    }

    info = schema_info(s->fields, sub == NULL ? NULL : sub->fields, 1);

    (void) schema_check_record(ctx, info, entity, errors);

    schema_run_checks(ctx, info, s->checks, entity, errors);

    if (sub != NULL) {
        schema_run_checks(ctx, info, sub->checks, entity, errors);
    }
}


/* the fields alone: no entity checks */

int
schema_check_record(schema_ctx_t *ctx, const schema_info_t *info,
    value_t *record, value_t *errors)
{
    int                   rc, failed;
    value_t              *v, err;
    uint32_t              i, known;
    member_t              m;
    const field_t        *f;
    const schema_slot_t  *slot;

    failed = 0;
    known = 0;

    for (i = 0; i < info->n; i++) {
        slot = &info->slots[i];
        f = slot->field;

        if (i < record->len && value_slots(record)[i].key == f->name) {
            v = value_nth(record, i);

        } else {
            v = value_get_hashed(record, f->name, slot->len, slot->hash);
        }

        known += v != NULL;

        if (slot->unchecked) {
            continue;
        }

        memset(&err, 0, sizeof(value_t));

        if (v != NULL) {
            rc = schema_check_field(ctx, f, v, &err);

            if (rc == 0 && f->type == FIELD_FOREIGN
                && v->kind == VALUE_OBJECT && v->len > 1)
            {
                schema_keep_id(ctx, v);
            }

        } else if ((f->flags & F_REQUIRED) && !ctx->update && !ctx->partial)
        {
            rc = schema_fail_text(&err, "required field missing");

        } else {
            rc = 0;
        }

        if (rc != 0) {
            *schema_error_slot(ctx, errors, f->name, slot->len) = err;
            failed = -1;
        }
    }

    for (i = 0; known != record->len && i < record->len; i++) {
        m = value_member(record, i);

        if (schema_info_slot(info, m.key, m.key_len, m.hash) == NULL) {
            (void) schema_fail_text(schema_error_slot(ctx, errors, m.key,
                                                      m.key_len),
                                    "unknown field");
            failed = -1;
        }
    }

    return failed;
}


int
schema_check_field(schema_ctx_t *ctx, const field_t *f, const value_t *v,
    value_t *err)
{
    if (value_is_null(v)) {
        if (f->flags & F_REQUIRED) {
            return schema_fail_text(err, "required field missing");
        }

        return 0;
    }

    if (f->flags & F_EQ_NULL) {
        return schema_fail_text(err, f->err != NULL ? f->err
                                                    : "value must be null");
    }

    switch (f->type) {

    case FIELD_STRING:
        if (v->kind != VALUE_STRING) {
            return schema_fail_text(err, "expected a string");
        }

        if ((f->flags & F_REFERENCEABLE) && schema_is_reference(v)) {
            return 0;
        }

        break;

    case FIELD_INTEGER:
        if (!value_is_integer(v)) {
            return schema_fail_text(err, "expected an integer");
        }

        break;

    case FIELD_NUMBER:
        if (v->kind != VALUE_NUMBER) {
            return schema_fail_text(err, "expected a number");
        }

        break;

    case FIELD_BOOLEAN:
        if (v->kind != VALUE_BOOL) {
            return schema_fail_text(err, "expected a boolean");
        }

        break;

    case FIELD_ARRAY:
    case FIELD_SET:
        if (schema_check_array(ctx, f, v, err) != 0) {
            return -1;
        }

        break;

    case FIELD_MAP:
        if (schema_check_map(ctx, f, v, err) != 0) {
            return -1;
        }

        break;

    case FIELD_RECORD:
        if (schema_check_nested(ctx, f, v, err) != 0) {
            return -1;
        }

        break;

    case FIELD_FOREIGN:
        if (schema_check_foreign(ctx, f, v, err) != 0) {
            return -1;
        }

        break;

    case FIELD_ANY:
        break;
    }

    return schema_check_constraints(ctx, f, v, err);
}


int
schema_check_constraints(schema_ctx_t *ctx, const field_t *f,
    const value_t *v, value_t *err)
{
    int          rc;
    const char  *text;

    rc = schema_check_enum(ctx, f, v, err);

    if (rc == 0 && v->kind == VALUE_NUMBER) {
        rc = schema_check_number(ctx, f, v, err);
    }

    if (rc == 0) {
        rc = schema_check_length(ctx, f, v, err);
    }

    if (rc == 0 && v->kind == VALUE_STRING) {
        rc = schema_check_string(ctx, f, v, err);
    }

    if (rc == 0 && f->contains != NULL) {
        rc = schema_check_contains(ctx, f, v, err);
    }

    if (rc == 0 && f->check != NULL) {
        text = f->check(ctx, f, v);

        if (text != NULL) {
            rc = schema_fail_text(err, text);
        }
    }

    if (rc != 0 && f->err != NULL) {
        return schema_fail_text(err, f->err);
    }

    return rc;
}


bool
schema_is_reference(const value_t *v)
{
    static const char    prefix[] = "{vault://";
    static const size_t  len = sizeof(prefix) - 1;

    return v != NULL && v->kind == VALUE_STRING && v->len > len
           && memcmp(v->u.string, prefix, len) == 0
           && v->u.string[v->len - 1] == '}';
}


static int
schema_check_array(schema_ctx_t *ctx, const field_t *f, const value_t *v,
    value_t *err)
{
    int       rc;
    value_t   item;
    uint32_t  i;

    if (v->kind == VALUE_OBJECT && v->len == 0) {
        return 0;
    }

    if (v->kind != VALUE_ARRAY) {
        return schema_fail_text(err, f->type == FIELD_SET
                                     ? "expected a set"
                                     : "expected an array");
    }

    rc = 0;

    for (i = 0; f->elements != NULL && i < v->len; i++) {
        memset(&item, 0, sizeof(value_t));

        if (schema_check_element(ctx, f->elements, &v->u.items[i], &item)
            == 0)
        {
            continue;
        }

        if (rc == 0) {
            value_set_array(err);
            rc = -1;
        }

        *value_ensure(ctx->arena, err, i) = item;
    }

    return rc;
}


/* the first bad key or value is the message of the whole map */

static int
schema_check_map(schema_ctx_t *ctx, const field_t *f, const value_t *v,
    value_t *err)
{
    value_t    key;
    uint32_t   i;
    member_t   m;

    if (v->kind == VALUE_ARRAY) {
        return v->len == 0 ? 0 : schema_fail_text(err, "expected a string");
    }

    if (v->kind != VALUE_OBJECT) {
        return schema_fail_text(err, "expected a map");
    }

    for (i = 0; i < v->len; i++) {
        m = value_member(v, i);

        if (f->keys != NULL) {
            memset(&key, 0, sizeof(value_t));
            value_set_string(&key, m.key, m.key_len);

            if (schema_check_element(ctx, f->keys, &key, err) != 0) {
                return -1;
            }
        }

        if (f->elements != NULL
            && schema_check_element(ctx, f->elements, m.value, err) != 0)
        {
            return -1;
        }
    }

    return 0;
}


static int
schema_check_nested(schema_ctx_t *ctx, const field_t *f, const value_t *v,
    value_t *err)
{
    value_t              *record;
    uint32_t              i;
    const schema_info_t  *info;

    if (v->kind == VALUE_ARRAY && v->len != 0) {
        value_set_array(err);

        for (i = 0; i < v->len; i++) {
            (void) schema_fail_text(value_append(ctx->arena, err),
                                    "unknown field");
        }

        return -1;
    }

    if (v->kind != VALUE_OBJECT && v->kind != VALUE_ARRAY) {
        return schema_fail_text(err, "expected a record");
    }

    if (f->fields == NULL || v->kind == VALUE_ARRAY) {
        return 0;
    }

    record = (value_t *) (uintptr_t) v;
    info = schema_info(f->fields, NULL, 0);

    (void) schema_check_record(ctx, info, record, err);
    schema_run_checks(ctx, info, f->checks, record, err);

    return value_is_null(err) ? 0 : -1;
}


/* elements, keys and values are required without saying so */

static int
schema_check_element(schema_ctx_t *ctx, const field_t *f, const value_t *v,
    value_t *err)
{
    if (value_is_null(v)) {
        return schema_fail_text(err, "required field missing");
    }

    return schema_check_field(ctx, f, v, err);
}


/*
 * Without a usable id Kong looks at what else was given, as if it were a part
 * of the parent: its errors come first.
 */

static int
schema_check_foreign(schema_ctx_t *ctx, const field_t *f, const value_t *v,
    value_t *err)
{
    value_t         *copy, *id, *slot;
    unsigned         partial;
    const char      *text;
    const schema_t  *parent;

    id = value_get(v, "id");
    text = NULL;

    if (id == NULL) {
        text = "missing primary key";

    } else if (value_is_null(id)) {
        text = "required field missing";

    } else if (id->kind != VALUE_STRING) {
        text = "expected a string";

    } else if (!uuid_is_valid(id->u.string, id->len)) {
        text = "expected a valid UUID";
    }

    if (text == NULL) {
        return 0;
    }

    parent = f->foreign == NULL ? NULL : schema_find(f->foreign);

    if (parent != NULL && v->kind == VALUE_OBJECT && v->len != 0) {
        partial = ctx->partial;
        ctx->partial = 1;
        copy = value_clone(ctx->arena, v);
        value_set_object(err);

        if (schema_check(ctx, parent, copy, err) != 0) {
            ctx->partial = partial;
            return -1;
        }

        ctx->partial = partial;
    }

    value_set_object(err);
    slot = value_put(ctx->arena, err, "id");

    return schema_fail_text(slot, text);
}


static void
schema_keep_id(schema_ctx_t *ctx, value_t *v)
{
    const value_t  *id;

    id = value_get(v, "id");
    value_set_reference(ctx->arena, v, id->u.string, id->len);
}


static int
schema_check_enum(schema_ctx_t *ctx, const field_t *f, const value_t *v,
    value_t *err)
{
    unsigned            i;
    const char         *list;
    const char *const  *one_of;

    if (f->eq != NULL && !schema_is_equal(f->eq, v)) {
        return schema_fail_eq(ctx, f, err);
    }

    if (f->not_one_of != NULL && schema_is_listed(f->not_one_of, v)) {
        return schema_fail(ctx, err, "must not be one of: %s",
                           schema_list(ctx, f->not_one_of));
    }

    one_of = (ctx->database == 0 && f->one_of_off != NULL) ? f->one_of_off
                                                           : f->one_of;

    if (one_of != NULL && !schema_is_listed(one_of, v)) {
        return schema_fail(ctx, err, "expected one of: %s",
                           schema_list(ctx, one_of));
    }

    if (f->one_of_num == NULL) {
        return 0;
    }

    for (i = 0; i < f->n_one_of_num; i++) {
        if (v->kind == VALUE_NUMBER && v->u.number == f->one_of_num[i]) {
            return 0;
        }
    }

    list = "";

    for (i = 0; i < f->n_one_of_num; i++) {
        list = arena_printf(ctx->arena, "%s%s%.14g", list,
                            i == 0 ? "" : ", ", f->one_of_num[i]);
    }

    return schema_fail(ctx, err, "expected one of: %s", list);
}


/* the text of eq, a string's without its quotes */

int
schema_fail_eq(schema_ctx_t *ctx, const field_t *f, value_t *err)
{
    size_t  quote;

    quote = (f->eq[0] == '"') ? 1 : 0;

    return schema_fail(ctx, err, "value must be %.*s",
                       (int) (strlen(f->eq) - 2 * quote), f->eq + quote);
}


static bool
schema_is_equal(const char *json, const value_t *v)
{
    switch (v->kind) {

    case VALUE_BOOL:
        return strcmp(json, v->u.boolean ? "true" : "false") == 0;

    case VALUE_NUMBER:
        return json[0] != '"' && strtod(json, NULL) == v->u.number;

    case VALUE_STRING:
        return json[0] == '"' && strlen(json) == (size_t) v->len + 2
               && memcmp(json + 1, v->u.string, v->len) == 0;

    default:
        return false;
    }
}


static int
schema_check_number(schema_ctx_t *ctx, const field_t *f, const value_t *v,
    value_t *err)
{
    if ((f->flags & F_GT) && !(v->u.number > f->min)) {
        return schema_fail(ctx, err, "value must be greater than %.14g",
                           f->min);
    }

    if ((f->flags & F_TIMESTAMP) && !(v->u.number > 0)) {
        return schema_fail_text(err, "expected a valid timestamp");
    }

    if ((f->flags & F_BETWEEN)
        && !(v->u.number >= f->min && v->u.number <= f->max))
    {
        return schema_fail(ctx, err, "value should be between %lld and %lld",
                           (long long) f->min, (long long) f->max);
    }

    return 0;
}


static int
schema_check_length(schema_ctx_t *ctx, const field_t *f, const value_t *v,
    value_t *err)
{
    unsigned  min;

    if (v->kind != VALUE_STRING && v->kind != VALUE_ARRAY
        && v->kind != VALUE_OBJECT)
    {
        return 0;
    }

    /* these two stand before the lengths */

    if (v->kind == VALUE_STRING) {
        if ((f->flags & F_UUID) && !uuid_is_valid(v->u.string, v->len)) {
            return schema_fail_text(err, "expected a valid UUID");
        }

        if ((f->flags & F_REGEX) && !schema_is_regex(v)) {
            return schema_fail(ctx, err, "not a valid regex: %s",
                               v->u.string);
        }
    }

    if ((f->flags & F_LEN_EQ) && v->len != f->len_min) {
        return schema_fail(ctx, err, "length must be %u", f->len_min);
    }

    min = v->kind == VALUE_STRING ? 1 : 0;

    if (f->flags & F_LEN_MIN) {
        min = f->len_min;
    }

    if (v->len < min && !(f->flags & F_LEN_EQ)) {
        return schema_fail(ctx, err, "length must be at least %u", min);
    }

    if ((f->flags & F_LEN_MAX) && v->len > f->len_max) {
        return schema_fail(ctx, err, "length must be at most %u",
                           f->len_max);
    }

    return 0;
}


static int
schema_check_string(schema_ctx_t *ctx, const field_t *f, const value_t *v,
    value_t *err)
{
    size_t              len;
    const char *const  *p;

    if (f->starts_with != NULL) {
        len = strlen(f->starts_with);

        if (v->len < len || memcmp(v->u.string, f->starts_with, len) != 0) {
            return schema_fail(ctx, err, "should start with: %s",
                               f->starts_with);
        }
    }

    for (p = f->not_match; p != NULL && *p != NULL; p++) {
        if (lua_pattern_find(*p, v->u.string, v->len)) {
            return schema_fail(ctx, err, "invalid value: %s", v->u.string);
        }
    }

    if (f->match != NULL && !lua_pattern_find(f->match, v->u.string, v->len))
    {
        return schema_fail(ctx, err, "invalid value: %s", v->u.string);
    }

    if (f->match_any == NULL) {
        return 0;
    }

    for (p = f->match_any; *p != NULL; p++) {
        if (lua_pattern_find(*p, v->u.string, v->len)) {
            return 0;
        }
    }

    return schema_fail(ctx, err, "invalid value: %s", v->u.string);
}


static int
schema_check_contains(schema_ctx_t *ctx, const field_t *f, const value_t *v,
    value_t *err)
{
    uint32_t  i;

    for (i = 0; v->kind == VALUE_ARRAY && i < v->len; i++) {
        if (value_str_eq(&v->u.items[i], f->contains)) {
            return 0;
        }
    }

    return schema_fail(ctx, err, "expected to contain: %s", f->contains);
}


static bool
schema_is_listed(const char *const *list, const value_t *v)
{
    if (v->kind != VALUE_STRING) {
        return false;
    }

    for ( /* void */ ; *list != NULL; list++) {
        if ((*list)[0] == v->u.string[0] && value_str_eq(v, *list)) {
            return true;
        }
    }

    return false;
}


static const char *
schema_list(schema_ctx_t *ctx, const char *const *list)
{
    const char  *text;

    text = "";

    for ( /* void */ ; *list != NULL; list++) {
        text = arena_printf(ctx->arena, "%s%s%s", text,
                            *text == '\0' ? "" : ", ", *list);
    }

    return text;
}


static bool
schema_is_regex(const value_t *v)
{
    int          code;
    size_t       at;
    pcre2_code  *re;

    re = pcre2_compile((PCRE2_SPTR) v->u.string, v->len, 0, &code, &at,
                       NULL);
    if (re == NULL) {
        return false;
    }

    pcre2_code_free(re);

    return true;
}
