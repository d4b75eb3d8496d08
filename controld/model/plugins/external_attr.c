/*
 * external_attr: the attributes of a field in a document.  Each is a line of
 * one table, which says for which types it is and where it goes.
 */

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "../json.h"
#include "external.h"


#define T(type)        (1u << (type))
#define T_TEXT         T(FIELD_STRING)
#define T_NUMBERS      (T(FIELD_NUMBER) | T(FIELD_INTEGER))
#define T_LISTS        (T(FIELD_ARRAY) | T(FIELD_SET))
#define T_RECORD       T(FIELD_RECORD)
#define T_MAP          T(FIELD_MAP)
#define T_ALL          (~0u)

#define EXTERNAL_PATTERN  256    /* bytes of a Lua pattern */


typedef struct external_attr_s  external_attr_t;

struct external_attr_s {
    const char  *name;
    unsigned     types;
    int        (*set)(external_t *x, const external_attr_t *attr,
                      const value_t *v, const char *path, field_t *f);
    size_t       offset;
    unsigned     flag;
};

typedef struct {
    const char      *name;
    field_check_pt   check;
} external_rule_t;


static int external_flag(external_t *x, const external_attr_t *attr,
    const value_t *v, const char *path, field_t *f);
static int external_skip(external_t *x, const external_attr_t *attr,
    const value_t *v, const char *path, field_t *f);
static int external_string(external_t *x, const external_attr_t *attr,
    const value_t *v, const char *path, field_t *f);
static int external_strings(external_t *x, const external_attr_t *attr,
    const value_t *v, const char *path, field_t *f);
static int external_pattern(external_t *x, const external_attr_t *attr,
    const value_t *v, const char *path, field_t *f);
static int external_patterns(external_t *x, const external_attr_t *attr,
    const value_t *v, const char *path, field_t *f);
static bool external_pattern_good(const char *p);
static int external_one_of(external_t *x, const external_attr_t *attr,
    const value_t *v, const char *path, field_t *f);
static int external_default(external_t *x, const external_attr_t *attr,
    const value_t *v, const char *path, field_t *f);
static int external_eq(external_t *x, const external_attr_t *attr,
    const value_t *v, const char *path, field_t *f);
static int external_between(external_t *x, const external_attr_t *attr,
    const value_t *v, const char *path, field_t *f);
static int external_gt(external_t *x, const external_attr_t *attr,
    const value_t *v, const char *path, field_t *f);
static int external_length(external_t *x, const external_attr_t *attr,
    const value_t *v, const char *path, field_t *f);
static int external_inner(external_t *x, const external_attr_t *attr,
    const value_t *v, const char *path, field_t *f);
static int external_record(external_t *x, const external_attr_t *attr,
    const value_t *v, const char *path, field_t *f);
static int external_shorthands(external_t *x, const external_attr_t *attr,
    const value_t *v, const char *path, field_t *f);
static const char *external_replaced(external_t *x, const value_t *v,
    const char *path);
static int external_rule(external_t *x, const external_attr_t *attr,
    const value_t *v, const char *path, field_t *f);


/* what a schema's text cannot show: the typed strings of the entities */
static const external_rule_t  external_rules[] = {
    { "certificate", check_certificate },
    { "cookie_name", check_cookie_name },
    { "header_name", check_header_name },
    { "host", check_host },
    { "host_with_optional_port", check_host_with_optional_port },
    { "ip_or_cidr", check_ip_or_cidr },
    { "path", check_path },
    { "sni", check_sni },
    { "url", check_url },
    { "wildcard_host", check_wildcard_host },
    { NULL, NULL }
};

static const external_attr_t  external_attrs[] = {
    { "auto", T_ALL, external_flag, 0, F_AUTO },
    { "between", T_NUMBERS, external_between, 0, 0 },
    { "check", T_TEXT, external_rule, 0, 0 },
    { "contains", T_LISTS, external_string, offsetof(field_t, contains), 0 },
    { "default", T_ALL, external_default, 0, 0 },
    { "deprecation", T_ALL, external_skip, 0, F_DEPRECATED },
    { "description", T_ALL, external_skip, 0, 0 },
    { "elements", T_LISTS, external_inner, offsetof(field_t, elements), 0 },
    { "encrypted", T_ALL, external_flag, 0, F_ENCRYPTED },
    { "entity_checks", T_RECORD, external_skip, 0, 0 },
    { "eq", T_ALL, external_eq, 0, 0 },
    { "err", T_ALL, external_string, offsetof(field_t, err), 0 },
    { "fields", T_RECORD, external_record, 0, 0 },
    { "gt", T_NUMBERS, external_gt, 0, 0 },
    { "is_regex", T_TEXT, external_flag, 0, F_REGEX },
    { "keys", T_MAP, external_inner, offsetof(field_t, keys), 0 },
    { "len_eq", T_TEXT | T_LISTS | T_MAP, external_length,
      offsetof(field_t, len_min), F_LEN_EQ },
    { "len_max", T_TEXT | T_LISTS | T_MAP, external_length,
      offsetof(field_t, len_max), F_LEN_MAX },
    { "len_min", T_TEXT | T_LISTS | T_MAP, external_length,
      offsetof(field_t, len_min), F_LEN_MIN },
    { "match", T_TEXT, external_pattern, offsetof(field_t, match), 0 },
    { "match_any", T_TEXT, external_patterns, offsetof(field_t, match_any),
      0 },
    { "match_none", T_TEXT, external_patterns, offsetof(field_t, not_match),
      0 },
    { "not_one_of", T_TEXT, external_strings, offsetof(field_t, not_one_of),
      0 },
    { "one_of", T_TEXT | T_NUMBERS, external_one_of, 0, 0 },
    { "reference", T(FIELD_FOREIGN), external_string,
      offsetof(field_t, foreign), 0 },
    { "referenceable", T_TEXT, external_flag, 0, F_REFERENCEABLE },
    { "required", T_ALL, external_flag, 0, F_REQUIRED },
    { "shorthand_fields", T_RECORD, external_shorthands, 0, 0 },
    { "starts_with", T_TEXT, external_string,
      offsetof(field_t, starts_with), 0 },
    { "timestamp", T_NUMBERS, external_flag, 0, F_TIMESTAMP },
    { "type", T_ALL, external_skip, 0, 0 },
    { "unique", T_ALL, external_flag, 0, F_UNIQUE },
    { "uuid", T_TEXT, external_flag, 0, F_UUID },
    { "values", T_MAP, external_inner, offsetof(field_t, elements), 0 },
    { NULL, 0, NULL, 0, 0 }
};


int
external_attributes(external_t *x, const value_t *v, const char *path,
    unsigned rule, field_t *f)
{
    size_t                  i;
    member_t                m;
    const external_attr_t  *attr;

    for (i = 0; i < v->len; i++) {
        m = value_member(v, i);

        for (attr = external_attrs; attr->name != NULL; attr++) {
            if (strcmp(attr->name, m.key) == 0) {
                break;
            }
        }

        if (attr->name == NULL) {
            return external_fail(x, m.value, path, "unknown attribute "
                                 "\"%s\"", m.key);
        }

        if (rule && (attr->types & (T_RECORD | T_MAP)) != 0
            && attr->types != T_ALL && !(attr->types & T_TEXT))
        {
            return external_fail(x, m.value, path, "a check cannot have "
                                 "\"%s\"", m.key);
        }

        if (!rule && !(attr->types & T(f->type))) {
            return external_fail(x, m.value, path, "\"%s\" is nothing for "
                                 "this type", m.key);
        }

        if (attr->set(x, attr, m.value,
                      arena_printf(x->arena, "%s.%s", path, m.key), f)
            != 0)
        {
            return -1;
        }
    }

    return 0;
}


static int
external_flag(external_t *x, const external_attr_t *attr, const value_t *v,
    const char *path, field_t *f)
{
    if (v->kind != VALUE_BOOL) {
        return external_fail(x, v, path, "must be true or false");
    }

    if (v->u.boolean) {
        f->flags |= attr->flag;
    }

    return 0;
}


/* read elsewhere, or for humans */
static int
external_skip(external_t *x, const external_attr_t *attr, const value_t *v,
    const char *path, field_t *f)
{
    (void) x;
    (void) v;
    (void) path;

    f->flags |= attr->flag;

    return 0;
}


static int
external_string(external_t *x, const external_attr_t *attr, const value_t *v,
    const char *path, field_t *f)
{
    const char  *text;

    text = external_text(x, v, path);

    if (text == NULL) {
        return -1;
    }

    *(const char **) (void *) ((char *) f + attr->offset) = text;

    return 0;
}


static int
external_strings(external_t *x, const external_attr_t *attr, const value_t *v,
    const char *path, field_t *f)
{
    size_t        i;
    const char  **list;

    if (v->kind != VALUE_ARRAY || v->len == 0) {
        return external_fail(x, v, path, "must be a list of strings");
    }

    list = arena_zalloc(x->arena, (v->len + 1) * sizeof(char *));

    for (i = 0; i < v->len; i++) {
        list[i] = external_text(x, &v->u.items[i], path);

        if (list[i] == NULL) {
            return -1;
        }
    }

    *(const char *const **) (void *) ((char *) f + attr->offset) = list;

    return 0;
}


static int
external_pattern(external_t *x, const external_attr_t *attr, const value_t *v,
    const char *path, field_t *f)
{
    const char  *text;

    text = external_text(x, v, path);

    if (text == NULL) {
        return -1;
    }

    if (!external_pattern_good(text)) {
        return external_fail(x, v, path, "is no Lua pattern of up to %d "
                             "bytes", EXTERNAL_PATTERN);
    }

    *(const char **) (void *) ((char *) f + attr->offset) = text;

    return 0;
}


/* [ "pattern", {pattern: ...}, ... ], or these as {patterns: [...]} */
static int
external_patterns(external_t *x, const external_attr_t *attr,
    const value_t *v, const char *path, field_t *f)
{
    size_t           i;
    field_t          one;
    const char     **list;
    const value_t   *item;

    static const external_attr_t  match = {
        "match", 0, NULL, offsetof(field_t, match), 0
    };

    if (v->kind == VALUE_OBJECT && value_get(v, "patterns") != NULL) {
        v = value_get(v, "patterns");
    }

    if (v->kind != VALUE_ARRAY || v->len == 0) {
        return external_fail(x, v, path, "must be a list of Lua patterns");
    }

    list = arena_zalloc(x->arena, (v->len + 1) * sizeof(char *));

    for (i = 0; i < v->len; i++) {
        item = &v->u.items[i];

        if (item->kind == VALUE_OBJECT) {
            item = value_get(item, "pattern");
        }

        if (item == NULL) {
            return external_fail(x, &v->u.items[i], path, "needs a "
                                 "\"pattern\"");
        }

        if (external_pattern(x, &match, item, path, &one) != 0) {
            return -1;
        }

        list[i] = one.match;
    }

    *(const char *const **) (void *) ((char *) f + attr->offset) = list;

    return 0;
}


/* complete escapes, sets and groups: what the matcher takes for granted */
static bool
external_pattern_good(const char *p)
{
    unsigned  depth;

    if (strlen(p) > EXTERNAL_PATTERN) {
        return false;
    }

    for (depth = 0; *p != '\0'; p++) {

        switch (*p) {

        case '%':
            if (*++p == '\0' || (*p >= '0' && *p <= '9')) {
                return false;
            }

            if (*p == 'b' && (*++p == '\0' || *++p == '\0')) {
                return false;
            }

            if (*p == 'f' && p[1] != '[') {
                return false;
            }

            break;

        case '[':
            p += (p[1] == '^') ? 2 : 1;

            /* a bracket that comes first is one of the set */
            for (p += (*p == ']'); *p != ']'; p++) {
                if (*p == '\0' || (*p == '%' && *++p == '\0')) {
                    return false;
                }
            }

            break;

        case '(':
            depth++;
            break;

        case ')':
            if (depth-- == 0) {
                return false;
            }

            break;
        }
    }

    return depth == 0;
}


static int
external_one_of(external_t *x, const external_attr_t *attr, const value_t *v,
    const char *path, field_t *f)
{
    size_t   i;
    double  *list;

    static const external_attr_t  strings = {
        "one_of", 0, NULL, offsetof(field_t, one_of), 0
    };

    (void) attr;

    if (v->kind != VALUE_ARRAY || v->len == 0
        || v->u.items[0].kind != VALUE_NUMBER)
    {
        return external_strings(x, &strings, v, path, f);
    }

    list = arena_alloc(x->arena, v->len * sizeof(double));

    for (i = 0; i < v->len; i++) {
        if (v->u.items[i].kind != VALUE_NUMBER) {
            return external_fail(x, v, path, "must be numbers, or strings");
        }

        list[i] = v->u.items[i].u.number;
    }

    f->one_of_num = list;
    f->n_one_of_num = v->len;

    return 0;
}


static int
external_default(external_t *x, const external_attr_t *attr, const value_t *v,
    const char *path, field_t *f)
{
    (void) attr;
    (void) path;

    f->def = value_is_null(v) ? NULL : json_print(x->arena, v, NULL);

    return 0;
}


/* kept as the walker compares it: a string as it is, between quotes */
static int
external_eq(external_t *x, const external_attr_t *attr, const value_t *v,
    const char *path, field_t *f)
{
    size_t  i;

    (void) attr;

    switch (v->kind) {

    case VALUE_NULL:
        f->flags |= F_EQ_NULL;
        return 0;

    case VALUE_BOOL:
    case VALUE_NUMBER:
        f->eq = json_print(x->arena, v, NULL);
        return 0;

    case VALUE_STRING:
        for (i = 0; i < v->len; i++) {
            if ((unsigned char) v->u.string[i] < ' '
                || v->u.string[i] == '"' || v->u.string[i] == '\\')
            {
                break;
            }
        }

        if (i == v->len) {
            f->eq = arena_printf(x->arena, "\"%s\"", v->u.string);
            return 0;
        }

        break;

    default:
        break;
    }

    return external_fail(x, v, path, "must be null, a boolean, a number or a "
                         "plain string");
}


static int
external_between(external_t *x, const external_attr_t *attr, const value_t *v,
    const char *path, field_t *f)
{
    (void) attr;

    if (v->kind != VALUE_ARRAY || v->len != 2
        || v->u.items[0].kind != VALUE_NUMBER
        || v->u.items[1].kind != VALUE_NUMBER
        || !(v->u.items[0].u.number <= v->u.items[1].u.number)
        || !(fabs(v->u.items[0].u.number) <= 9007199254740992.0)
        || !(fabs(v->u.items[1].u.number) <= 9007199254740992.0))
    {
        return external_fail(x, v, path, "must be two numbers, the smaller "
                             "one first");
    }

    f->min = v->u.items[0].u.number;
    f->max = v->u.items[1].u.number;
    f->flags |= F_BETWEEN;

    return 0;
}


static int
external_gt(external_t *x, const external_attr_t *attr, const value_t *v,
    const char *path, field_t *f)
{
    (void) attr;

    if (v->kind != VALUE_NUMBER) {
        return external_fail(x, v, path, "must be a number");
    }

    f->min = v->u.number;
    f->flags |= F_GT;

    return 0;
}


static int
external_length(external_t *x, const external_attr_t *attr, const value_t *v,
    const char *path, field_t *f)
{
    if (!value_is_integer(v) || v->u.number < 0 || v->u.number > 2147483647) {
        return external_fail(x, v, path, "must be a number of items or "
                             "bytes");
    }

    *(unsigned *) (void *) ((char *) f + attr->offset) =
        (unsigned) v->u.number;
    f->flags |= attr->flag;

    return 0;
}


static int
external_inner(external_t *x, const external_attr_t *attr, const value_t *v,
    const char *path, field_t *f)
{
    int       rc;
    field_t  *inner;

    if (++x->depth > EXTERNAL_DEPTH) {
        return external_fail(x, v, path, "is nested too deeply");
    }

    inner = arena_zalloc(x->arena, sizeof(field_t));
    *(const field_t **) (void *) ((char *) f + attr->offset) = inner;

    rc = external_field(x, v, path, 0, inner);
    x->depth--;

    return rc;
}


static int
external_record(external_t *x, const external_attr_t *attr, const value_t *v,
    const char *path, field_t *f)
{
    (void) attr;

    f->fields = external_fields(x, v, path);

    return f->fields ? 0 : -1;
}


/* [ {name: {type, elements, deprecation: {replaced_with: ...}}}, ... ] */
static int
external_shorthands(external_t *x, const external_attr_t *attr,
    const value_t *v, const char *path, field_t *f)
{
    size_t           i;
    field_t         *rule;
    shorthand_t     *list;
    const char      *at;
    const value_t   *item;

    (void) attr;

    if (v->kind != VALUE_ARRAY || v->len > EXTERNAL_FIELDS) {
        return external_fail(x, v, path, "must be a list");
    }

    list = arena_zalloc(x->arena, (v->len + 1) * sizeof(shorthand_t));
    f->shorthands = list;

    for (i = 0; i < v->len; i++) {
        list[i].name = external_member(x, &v->u.items[i], path, &item);

        if (list[i].name == NULL) {
            return -1;
        }

        at = arena_printf(x->arena, "%s.%s", path, list[i].name);
        rule = arena_zalloc(x->arena, sizeof(field_t));

        if (external_field(x, item, at, 0, rule) != 0) {
            return -1;
        }

        list[i].type = rule->type;
        list[i].elements = rule->elements;

        list[i].replaced_by = external_replaced(x, item, at);

        if (list[i].replaced_by == NULL) {
            return -1;
        }
    }

    return 0;
}


/* deprecation: {replaced_with: [ {path: [a, b]} ]}: "a.b" */
static const char *
external_replaced(external_t *x, const value_t *v, const char *path)
{
    size_t          i;
    const char     *dotted, *step;
    const value_t  *to;

    to = value_path(v, "deprecation.replaced_with");
    to = (to != NULL && to->kind == VALUE_ARRAY) ? value_at(to, 0) : NULL;
    to = value_get(to, "path");

    if (to == NULL || to->kind != VALUE_ARRAY || to->len == 0) {
        (void) external_fail(x, v, path, "needs a deprecation with "
                             "\"replaced_with\": [ {\"path\": [ ... ]} ]");
        return NULL;
    }

    dotted = NULL;

    for (i = 0; i < to->len; i++) {
        step = external_text(x, &to->u.items[i], path);

        if (step == NULL) {
            return NULL;
        }

        dotted = dotted ? arena_printf(x->arena, "%s.%s", dotted, step)
                        : step;
    }

    return dotted;
}


static int
external_rule(external_t *x, const external_attr_t *attr, const value_t *v,
    const char *path, field_t *f)
{
    const external_rule_t  *r;

    (void) attr;

    for (r = external_rules; r->name != NULL; r++) {
        if (value_str_eq(v, r->name)) {
            f->check = r->check;
            return 0;
        }
    }

    return external_fail(x, v, path, "is none of certificate, cookie_name, "
                         "header_name, host, host_with_optional_port, "
                         "ip_or_cidr, path, sni, url, wildcard_host");
}
