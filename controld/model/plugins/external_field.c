/*
 * external_field: fields of a document -> a table of fields.  The document
 * has the form that GET /schemas/plugins/NAME shows.
 */

#include <string.h>

#include "external.h"


typedef struct {
    const char      *name;
    field_type_t     type;
} external_type_t;


static int external_type(external_t *x, const value_t *v, const char *path,
    field_t *f);
static int external_whole(external_t *x, const value_t *v, const char *path,
    field_t *f);
static bool external_fits(const field_t *f, const value_t *v);


static const external_type_t  external_types[] = {
    { "string", FIELD_STRING },
    { "integer", FIELD_INTEGER },
    { "number", FIELD_NUMBER },
    { "boolean", FIELD_BOOLEAN },
    { "array", FIELD_ARRAY },
    { "set", FIELD_SET },
    { "map", FIELD_MAP },
    { "record", FIELD_RECORD },
    { "foreign", FIELD_FOREIGN },
    { "any", FIELD_ANY },
    { NULL, 0 }
};


const field_t *
external_fields(external_t *x, const value_t *list, const char *path)
{
    size_t          i, j;
    field_t        *fields;
    const char     *at;
    const value_t  *v;

    if (list->kind != VALUE_ARRAY || list->len > EXTERNAL_FIELDS) {
        (void) external_fail(x, list, path, "must be a list of up to %d "
                             "fields", EXTERNAL_FIELDS);
        return NULL;
    }

    if (++x->depth > EXTERNAL_DEPTH) {
        (void) external_fail(x, list, path, "records are nested too deeply");
        return NULL;
    }

    fields = arena_zalloc(x->arena, (list->len + 1) * sizeof(field_t));

    for (i = 0; i < list->len; i++) {
        fields[i].name = external_member(x, &list->u.items[i], path, &v);

        if (fields[i].name == NULL) {
            return NULL;
        }

        at = arena_printf(x->arena, "%s.%s", path, fields[i].name);

        for (j = 0; j < i; j++) {
            if (strcmp(fields[j].name, fields[i].name) == 0) {
                (void) external_fail(x, &list->u.items[i], at, "is there "
                                     "twice");
                return NULL;
            }
        }

        if (external_field(x, v, at, 0, &fields[i]) != 0) {
            return NULL;
        }
    }

    x->depth--;

    return fields;
}


const char *
external_member(external_t *x, const value_t *v, const char *path,
    const value_t **value)
{
    member_t         m;

    if (v->kind != VALUE_OBJECT || v->len != 1) {
        (void) external_fail(x, v, path, "each item must be one \"name: "
                             "{...}\"");
        return NULL;
    }

    m = value_member(v, 0);
    *value = m.value;

    if (m.key_len == 0 || m.key_len > 128
        || strspn(m.key, "abcdefghijklmnopqrstuvwxyz"
                          "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
           != m.key_len)
    {
        (void) external_fail(x, v, path, "a name has up to 128 letters, "
                             "digits, _ and -");
        return NULL;
    }

    return arena_strndup(x->arena, m.key, m.key_len);
}


int
external_field(external_t *x, const value_t *v, const char *path,
    unsigned rule, field_t *f)
{
    if (v->kind != VALUE_OBJECT) {
        return external_fail(x, v, path, "must be a map of attributes");
    }

    if (!rule && external_type(x, v, path, f) != 0) {
        return -1;
    }

    if (external_attributes(x, v, path, rule, f) != 0) {
        return -1;
    }

    return rule ? 0 : external_whole(x, v, path, f);
}


static int
external_type(external_t *x, const value_t *v, const char *path, field_t *f)
{
    const value_t          *type;
    const external_type_t  *t;

    type = value_get(v, "type");

    for (t = external_types; t->name != NULL; t++) {
        if (type != NULL && value_str_eq(type, t->name)) {
            f->type = t->type;
            return 0;
        }
    }

    return external_fail(x, type ? type : v, path, "needs a \"type\": "
                         "string, integer, number, boolean, array, set, map, "
                         "record or any");
}


/* what only the whole field can tell */
static int
external_whole(external_t *x, const value_t *v, const char *path, field_t *f)
{
    const value_t      *def, *checks;
    const shorthand_t  *sh;

    if ((f->flags & F_BETWEEN) && (f->flags & F_GT)) {
        return external_fail(x, v, path, "\"between\" and \"gt\" exclude "
                             "each other");
    }

    if ((f->flags & F_LEN_EQ) && (f->flags & F_LEN_MIN)) {
        return external_fail(x, v, path, "\"len_eq\" and \"len_min\" exclude "
                             "each other");
    }

    if ((f->type == FIELD_ARRAY || f->type == FIELD_SET
         || f->type == FIELD_MAP)
        && f->elements == NULL)
    {
        return external_fail(x, v, path, "needs \"%s\"",
                             f->type == FIELD_MAP ? "values" : "elements");
    }

    if (f->type == FIELD_RECORD && f->fields == NULL) {
        return external_fail(x, v, path, "needs \"fields\"");
    }

    def = value_get(v, "default");

    if (!value_is_null(def) && !external_fits(f, def)) {
        return external_fail(x, def, path, "the default is of another type");
    }

    for (sh = f->shorthands; sh != NULL && sh->name != NULL; sh++) {
        if (external_path(f->fields, sh->replaced_by) == NULL) {
            return external_fail(x, v, path, "\"%s\" is replaced by \"%s\", "
                                 "which is no field", sh->name,
                                 sh->replaced_by);
        }
    }

    checks = value_get(v, "entity_checks");

    if (checks != NULL) {
        f->checks = external_checks(x, checks,
                                    arena_printf(x->arena, "%s.entity_checks",
                                                 path),
                                    f->fields);
        return f->checks ? 0 : -1;
    }

    return 0;
}


static bool
external_fits(const field_t *f, const value_t *v)
{
    switch (f->type) {

    case FIELD_STRING:
        return v->kind == VALUE_STRING;

    case FIELD_INTEGER:
        return value_is_integer(v);

    case FIELD_NUMBER:
        return v->kind == VALUE_NUMBER;

    case FIELD_BOOLEAN:
        return v->kind == VALUE_BOOL;

    case FIELD_ARRAY:
    case FIELD_SET:
        return v->kind == VALUE_ARRAY
               || (v->kind == VALUE_OBJECT && v->len == 0);

    case FIELD_MAP:
    case FIELD_RECORD:
        return v->kind == VALUE_OBJECT
               || (v->kind == VALUE_ARRAY && v->len == 0);

    case FIELD_FOREIGN:
        return false;

    case FIELD_ANY:
        break;
    }

    return true;
}
