/*
 * schema_entity: the checks across fields.  They run over the whole record
 * after its fields were checked, whether or not those had errors (a custom
 * check only when its own fields are good).
 */

#include <string.h>

#include "schema_private.h"


static void schema_run_check(schema_ctx_t *ctx, const schema_info_t *info,
    const schema_check_t *c, value_t *record, value_t *errors);
static bool schema_check_skipped(schema_ctx_t *ctx,
    const schema_info_t *info, const schema_check_t *c, value_t *record,
    value_t *errors);
static void schema_run_count(schema_ctx_t *ctx, const schema_check_t *c,
    value_t *record, value_t *errors);
static void schema_run_distinct(schema_ctx_t *ctx, const schema_check_t *c,
    value_t *record, value_t *errors);
static void schema_run_conditional(schema_ctx_t *ctx,
    const schema_info_t *info, const schema_check_t *c, value_t *record,
    value_t *errors);
static int schema_check_merged(schema_ctx_t *ctx, const field_t *f,
    const field_t *base, const value_t *v, value_t *err);
static bool schema_has_reference(const schema_info_t *info,
    const char *path, const value_t *v);
static const field_t *schema_path_field(const schema_info_t *info,
    const char *path);
static bool schema_is_nonempty(const value_t *v);
static const char *schema_quoted(schema_ctx_t *ctx,
    const char *const *fields);


const char *const  schema_check_names[] = {
    [CHECK_AT_LEAST_ONE_OF] = "at_least_one_of",
    [CHECK_ONLY_ONE_OF] = "only_one_of",
    [CHECK_DISTINCT] = "distinct",
    [CHECK_MUTUALLY_REQUIRED] = "mutually_required",
    [CHECK_MUTUALLY_EXCLUSIVE] = "mutually_exclusive",
    [CHECK_CONDITIONAL] = "conditional",
    [CHECK_CUSTOM] = "custom_entity_check"
};


void
schema_run_checks(schema_ctx_t *ctx, const schema_info_t *info,
    const schema_check_t *checks, value_t *record, value_t *errors)
{
    for ( /* void */ ; checks != NULL && checks->kind != 0; checks++) {
        schema_run_check(ctx, info, checks, record, errors);
    }
}


static void
schema_run_check(schema_ctx_t *ctx, const schema_info_t *info,
    const schema_check_t *c, value_t *record, value_t *errors)
{
    if (c->kind == CHECK_CONDITIONAL) {
        schema_run_conditional(ctx, info, c, record, errors);
        return;
    }

    if (schema_check_skipped(ctx, info, c, record, errors)) {
        return;
    }

    switch (c->kind) {

    case CHECK_DISTINCT:
        schema_run_distinct(ctx, c, record, errors);
        break;

    case CHECK_CUSTOM:
        c->custom(ctx, record, errors);
        break;

    default:
        schema_run_count(ctx, c, record, errors);
        break;
    }
}


static bool
schema_check_skipped(schema_ctx_t *ctx, const schema_info_t *info,
    const schema_check_t *c, value_t *record, value_t *errors)
{
    bool                missing, present;
    const value_t      *v;
    const char *const  *name;

    missing = false;
    present = false;

    for (name = c->fields; name != NULL && *name != NULL; name++) {
        v = value_path(record, *name);

        if (v == NULL) {
            missing = true;
            continue;
        }

        present = true;

        if (schema_has_reference(info, *name, v)) {
            return true;
        }

        if (c->kind == CHECK_CUSTOM
            && !value_is_null(value_path(errors, *name)))
        {
            return true;
        }
    }

    /* a part of an entity: what was not given cannot be judged */

    if (!ctx->update && !ctx->partial) {
        return false;
    }

    if (c->fields != NULL && !present) {
        return true;
    }

    if (!missing || c->kind == CHECK_AT_LEAST_ONE_OF
        || c->kind == CHECK_CUSTOM)
    {
        return false;
    }

    for (name = c->fields; name != NULL && *name != NULL; name++) {
        if (value_path(record, *name) == NULL) {
            schema_error(ctx, errors, *name,
                         "field required for entity check%s",
                         ctx->update ? " when updating" : "");
        }
    }

    return true;
}


static void
schema_run_count(schema_ctx_t *ctx, const schema_check_t *c, value_t *record,
    value_t *errors)
{
    bool                bad;
    unsigned            n, set;
    const char         *text;
    const char *const  *name;

    n = 0;
    set = 0;

    for (name = c->fields; *name != NULL; name++) {
        n++;
        set += schema_is_nonempty(value_path(record, *name));
    }

    switch (c->kind) {

    case CHECK_AT_LEAST_ONE_OF:
        bad = set == 0;
        text = "at least one of these fields must be non-empty: ";
        break;

    case CHECK_ONLY_ONE_OF:
        bad = set != 1;
        text = "exactly one of these fields must be non-empty: ";
        break;

    case CHECK_MUTUALLY_REQUIRED:
        bad = set != 0 && set != n;
        text = "all or none of these fields must be set: ";
        break;

    default:
        bad = set > 1;
        text = "only one or none of these fields must be set: ";
        break;
    }

    if (bad) {
        text = arena_printf(ctx->arena, "%s%s%s",
                            ctx->update && c->kind == CHECK_AT_LEAST_ONE_OF
                            ? "when updating, " : "",
                            text, schema_quoted(ctx, c->fields));
        schema_error_entity(ctx, errors, text);
    }
}


static void
schema_run_distinct(schema_ctx_t *ctx, const schema_check_t *c,
    value_t *record, value_t *errors)
{
    value_t            *v, *other;
    const char *const  *one, *const *two;

    for (one = c->fields; *one != NULL; one++) {
        v = value_path(record, *one);

        if (!schema_is_nonempty(v) || v->kind > VALUE_STRING) {
            continue;
        }

        for (two = one + 1; *two != NULL; two++) {
            other = value_path(record, *two);

            if (!value_is_null(other) && value_equal(v, other)) {
                schema_error_entity(ctx, errors,
                    arena_printf(ctx->arena,
                                 "values of these fields must be distinct: "
                                 "%s", schema_quoted(ctx, c->fields)));
                return;
            }
        }
    }
}


static void
schema_run_conditional(schema_ctx_t *ctx, const schema_info_t *info,
    const schema_check_t *c, value_t *record, value_t *errors)
{
    value_t         err, null, *v, *then;
    const field_t  *base;

    v = value_path(record, c->if_field);
    then = value_path(record, c->then_field);
    memset(&err, 0, sizeof(value_t));
    memset(&null, 0, sizeof(value_t));

    if (v == NULL) {
        if (then != NULL && (ctx->update || ctx->partial)) {
            schema_error(ctx, errors, c->if_field,
                         "field required for entity check%s",
                         ctx->update ? " when updating" : "");
        }

        return;
    }

    /* the common ends first: they need no look-up of fields */

    if (value_is_null(then) && (c->then_match->flags & F_EQ_NULL)) {
        return;
    }

    if (!value_is_null(v)
        && schema_check_constraints(ctx, c->if_match, v, &err) != 0)
    {
        return;
    }

    base = schema_path_field(info, c->if_field);

    if (schema_check_merged(ctx, c->if_match, base, v, &err) != 0) {
        return;
    }

    if (schema_has_reference(info, c->if_field, v)
        || schema_has_reference(info, c->then_field, then))
    {
        return;
    }

    memset(&err, 0, sizeof(value_t));
    base = schema_path_field(info, c->then_field);

    if (then == NULL) {
        then = &null;
    }

    if (schema_check_merged(ctx, c->then_match, base, then, &err) == 0) {
        return;
    }

    if (err.kind == VALUE_STRING) {
        schema_error(ctx, errors, c->then_field, "%s", err.u.string);

    } else if (strchr(c->then_field, '.') == NULL) {
        *schema_error_slot(ctx, errors, c->then_field,
                           strlen(c->then_field)) = err;
    }

    if (c->then_err != NULL && !value_is_null(then)) {
        schema_error_entity(ctx, errors, c->then_err);
        return;
    }

    schema_error_entity(ctx, errors,
        arena_printf(ctx->arena, "failed conditional validation given value "
                     "of field '%s'", c->if_field));
}


/*
 * The constraints of f together with those that it inherits from the field
 * it is about.  f's own come first: most conditions end there.
 */

static int
schema_check_merged(schema_ctx_t *ctx, const field_t *f, const field_t *base,
    const value_t *v, value_t *err)
{
    if (value_is_null(v)) {
        if (f->eq != NULL) {
            return schema_fail_eq(ctx, f, err);
        }

        if ((f->flags & F_REQUIRED)
            || (base != NULL && (base->flags & F_REQUIRED)))
        {
            return schema_fail_text(err, "required field missing");
        }

        return 0;
    }

    if (f->flags & F_EQ_NULL) {
        return schema_fail_text(err, f->err != NULL ? f->err
                                                    : "value must be null");
    }

    if (schema_check_constraints(ctx, f, v, err) != 0) {
        return -1;
    }

    return base == NULL ? 0 : schema_check_field(ctx, base, v, err);
}


static bool
schema_has_reference(const schema_info_t *info, const char *path,
    const value_t *v)
{
    const field_t  *f;

    if (!schema_is_reference(v)) {
        return false;
    }

    f = schema_path_field(info, path);

    return f != NULL && f->type == FIELD_STRING
           && (f->flags & F_REFERENCEABLE);
}


static const field_t *
schema_path_field(const schema_info_t *info, const char *path)
{
    size_t                len;
    const char           *dot;
    const field_t        *f;
    const schema_slot_t  *slot;

    for ( ;; ) {
        dot = strchr(path, '.');
        len = dot == NULL ? strlen(path) : (size_t) (dot - path);

        slot = schema_info_slot(info, path, len, value_hash(path, len));
        if (slot == NULL) {
            return NULL;
        }

        f = slot->field;

        if (dot == NULL) {
            return f;
        }

        if (f->type != FIELD_RECORD || f->fields == NULL) {
            return NULL;
        }

        info = schema_info(f->fields, NULL, 0);
        path = dot + 1;
    }
}


static bool
schema_is_nonempty(const value_t *v)
{
    if (value_is_null(v)) {
        return false;
    }

    return v->kind < VALUE_STRING || v->len != 0;
}


static const char *
schema_quoted(schema_ctx_t *ctx, const char *const *fields)
{
    const char  *text;

    text = "";

    for ( /* void */ ; *fields != NULL; fields++) {
        text = arena_printf(ctx->arena, "%s%s'%s'", text,
                            *text == '\0' ? "" : ", ", *fields);
    }

    return text;
}
