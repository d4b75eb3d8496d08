/*
 * schema_error: Kong's error objects: slots that turn into what is put into
 * them, messages by dotted path, and the sentence that sums an object up.
 */

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "schema_private.h"


typedef struct {
    arena_t  *arena;
    char     *data;
    size_t    len;
    size_t    cap;
    unsigned  count;            /* of problems */
} schema_text_t;


static member_t *schema_sorted(arena_t *a, const value_t *object);
static int schema_compare(const void *one, const void *two);
static void schema_text_problem(schema_text_t *t, const char *prefix,
    const member_t *m);
static void schema_text_add(schema_text_t *t, const char *s, size_t len);
static void schema_text_nested(schema_text_t *t, const char *field,
    const value_t *v);
static void schema_pretty(schema_text_t *t, const value_t *v,
    unsigned indent);
static void schema_pretty_key(schema_text_t *t, const char *key, size_t len);
static void schema_pretty_indent(schema_text_t *t, unsigned indent);


int
schema_fail(schema_ctx_t *ctx, value_t *err, const char *fmt, ...)
{
    char     *text;
    va_list   args;

    va_start(args, fmt);
    text = arena_vprintf(ctx->arena, fmt, args);
    va_end(args);

    return schema_fail_text(err, text);
}


int
schema_fail_text(value_t *err, const char *text)
{
    value_set_string(err, text, strlen(text));

    return -1;
}


/* errors[key], errors becoming an object when it was nothing yet */

value_t *
schema_error_slot(schema_ctx_t *ctx, value_t *errors, const char *key,
    size_t len)
{
    if (errors->kind != VALUE_OBJECT) {
        value_set_object(errors);
    }

    return value_putn(ctx->arena, errors, key, len);
}


void
schema_error_entity(schema_ctx_t *ctx, value_t *errors, const char *text)
{
    value_t  *list;

    list = schema_error_slot(ctx, errors, "@entity", 7);

    if (list->kind != VALUE_ARRAY) {
        value_set_array(list);
    }

    value_set_string(value_append(ctx->arena, list), text, strlen(text));
}


void
schema_error(schema_ctx_t *ctx, value_t *errors, const char *field,
    const char *fmt, ...)
{
    char        *text;
    va_list      args;
    const char  *dot;

    va_start(args, fmt);
    text = arena_vprintf(ctx->arena, fmt, args);
    va_end(args);

    if (strcmp(field, "@entity") == 0) {
        schema_error_entity(ctx, errors, text);
        return;
    }

    while ((dot = strchr(field, '.')) != NULL) {
        errors = schema_error_slot(ctx, errors,
                                   arena_strndup(ctx->arena, field,
                                                 dot - field),
                                   dot - field);

        /* a message about the whole record stays the message */

        if (errors->kind == VALUE_STRING) {
            return;
        }

        field = dot + 1;
    }

    field = arena_strndup(ctx->arena, field, strlen(field));
    (void) schema_fail_text(schema_error_slot(ctx, errors, field,
                                              strlen(field)),
                            text);
}


char *
schema_error_message(arena_t *a, const value_t *errors)
{
    uint32_t          i, j;
    schema_text_t     t;
    const value_t    *list;
    member_t         *sorted;

    memset(&t, 0, sizeof(schema_text_t));
    t.arena = a;

    list = value_get(errors, "@entity");

    for (j = 0; list != NULL && list->kind == VALUE_ARRAY && j < list->len;
         j++)
    {
        if (list->u.items[j].kind == VALUE_STRING) {
            schema_text_add(&t, "; ", t.count++ == 0 ? 0 : 2);
            schema_text_add(&t, list->u.items[j].u.string,
                            list->u.items[j].len);
        }
    }

    if (errors->kind == VALUE_OBJECT) {
        sorted = schema_sorted(a, errors);

        for (i = 0; i < errors->len; i++) {
            if (strcmp(sorted[i].key, "@entity") != 0) {
                schema_text_problem(&t, "", &sorted[i]);
            }
        }
    }

    schema_text_add(&t, "", 1);

    if (t.count == 1) {
        return arena_printf(a, "schema violation (%s)", t.data);
    }

    return arena_printf(a, "%u schema violations (%s)", t.count, t.data);
}


static void
schema_text_problem(schema_text_t *t, const char *prefix, const member_t *m)
{
    const value_t  *v;

    v = m->value;

    if (v->kind == VALUE_STRING) {
        schema_text_add(t, "; ", t->count++ == 0 ? 0 : 2);
        schema_text_add(t, prefix, strlen(prefix));
        schema_text_add(t, m->key, m->key_len);
        schema_text_add(t, ": ", 2);
        schema_text_add(t, v->u.string, v->len);
        return;
    }

    if (*prefix == '\0') {
        schema_text_nested(t, m->key, v);
        return;
    }

    schema_text_add(t, "; ", t->count++ == 0 ? 0 : 2);
    schema_text_add(t, prefix, strlen(prefix));
    schema_text_add(t, m->key, m->key_len);
    schema_text_add(t, ": ", 2);
    schema_pretty(t, v, 0);
}


static void
schema_text_nested(schema_text_t *t, const char *field, const value_t *v)
{
    char             *prefix;
    member_t          m;
    uint32_t          i;
    member_t         *sorted;

    prefix = arena_printf(t->arena, "%s.", field);

    if (v->kind == VALUE_OBJECT) {
        sorted = schema_sorted(t->arena, v);

        for (i = 0; i < v->len; i++) {
            schema_text_problem(t, prefix, &sorted[i]);
        }
    }

    for (i = 0; v->kind == VALUE_ARRAY && i < v->len; i++) {
        if (value_is_null(&v->u.items[i])) {
            continue;
        }

        memset(&m, 0, sizeof(member_t));
        m.key = arena_printf(t->arena, "%u", i + 1);
        m.key_len = (uint32_t) strlen(m.key);
        m.value = &v->u.items[i];
        schema_text_problem(t, prefix, &m);
    }
}


/* a Lua table over several lines, two spaces a level */

static void
schema_pretty(schema_text_t *t, const value_t *v, unsigned indent)
{
    bool              first, hole;
    char             *number;
    uint32_t          i;
    const value_t    *item;
    member_t         *sorted;

    if (v->kind != VALUE_OBJECT && v->kind != VALUE_ARRAY) {
        number = json_print_lua(t->arena, v, NULL);
        schema_text_add(t, number, strlen(number));
        return;
    }

    schema_text_add(t, "{\n", 2);
    sorted = v->kind == VALUE_OBJECT ? schema_sorted(t->arena, v) : NULL;
    first = true;
    hole = false;

    for (i = 0; i < v->len; i++) {
        item = sorted != NULL ? sorted[i].value : &v->u.items[i];

        if (value_is_null(item)) {
            hole = true;
            continue;
        }

        if (!first) {
            schema_text_add(t, ",\n", 2);
        }

        first = false;
        schema_pretty_indent(t, indent + 1);

        if (sorted != NULL) {
            schema_pretty_key(t, sorted[i].key, sorted[i].key_len);

        } else if (hole) {
            number = arena_printf(t->arena, "[%u] = ", i + 1);
            schema_text_add(t, number, strlen(number));
        }

        schema_pretty(t, item, indent + 1);
    }

    schema_text_add(t, "\n", first ? 0 : 1);
    schema_pretty_indent(t, indent);
    schema_text_add(t, "}", 1);
}


/* the compact printer knows which keys need brackets */

static void
schema_pretty_key(schema_text_t *t, const char *key, size_t len)
{
    char     *text;
    value_t   object;

    memset(&object, 0, sizeof(value_t));
    value_set_object(&object);
    value_set_bool(value_putn(t->arena, &object, key, len), true);

    text = json_print_lua(t->arena, &object, &len);

    /* {key=true} */

    schema_text_add(t, text + 1, len - 7);
    schema_text_add(t, " = ", 3);
}


static void
schema_pretty_indent(schema_text_t *t, unsigned indent)
{
    while (indent-- > 0) {
        schema_text_add(t, "  ", 2);
    }
}


static void
schema_text_add(schema_text_t *t, const char *s, size_t len)
{
    char    *data;
    size_t   cap;

    if (t->cap - t->len < len) {
        cap = t->cap * 2 + len + 128;
        data = arena_alloc(t->arena, cap);

        if (t->len != 0) {
            memcpy(data, t->data, t->len);
        }

        t->data = data;
        t->cap = cap;
    }

    if (len != 0) {
        memcpy(t->data + t->len, s, len);
        t->len += len;
    }
}


static member_t *
schema_sorted(arena_t *a, const value_t *object)
{
    uint32_t          i;
    member_t         *sorted;

    sorted = arena_alloc(a, (object->len + 1) * sizeof(member_t));

    for (i = 0; i < object->len; i++) {
        sorted[i] = value_member(object, i);
    }

    qsort(sorted, object->len, sizeof(member_t), schema_compare);

    return sorted;
}


static int
schema_compare(const void *one, const void *two)
{
    const member_t  *a, *b;

    a = one;
    b = two;

    return strcmp(a->key, b->key);
}
