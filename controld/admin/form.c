/*
 * form: urlencoded and multipart bodies as entities: names such as
 * "config.redis.port", "paths[]", "sources[1].ip" and "headers[x]" give the
 * tree, the schema gives the types.  A text that is not of its field's type
 * stays a text and fails validation, which says what was expected.
 */

#include <stdlib.h>
#include <string.h>

#include "entities.h"
#include "multipart.h"


#define FORM_INDEX_MAX  1000
#define FORM_DEPTH_MAX  32
#define FORM_ITEMS_MAX  100000       /* of all arrays with an index */


typedef struct {
    arena_t  *arena;
    size_t    items;                 /* that may still be made */
} form_t;


static void form_put(form_t *form, value_t *root, const char *name,
    size_t len, const value_t *v);
static size_t form_until(const char *p, const char *last, const char *ends);
static value_t *form_step(form_t *form, value_t *slot, const char *key,
    size_t len, unsigned bracket);
static const field_t *form_plugin_config(const value_t *entity,
    const char *known);
static void form_type_record(arena_t *a, const field_t *fields, value_t *v,
    const field_t *config);
static void form_type(arena_t *a, const field_t *f, value_t *v);
static void form_wrap(arena_t *a, value_t *v);
static void form_type_scalar(const field_t *f, value_t *v);


value_t *
entities_form(admin_request_t *r)
{
    int              rc;
    form_t           form;
    size_t           i;
    value_t          args, *out;
    member_t         m;

    if (admin_type_is(r, "multipart/form-data")) {
        rc = multipart_parse(r->arena, r->content_type, r->body, r->body_len,
                             &args);
        if (rc == -1) {
            value_set_object(&args);
        }

    } else if (admin_parse_args(r->arena, r->body, r->body_len, &args) == -1)
    {
        admin_message(r, 400, "Too many arguments");
        return NULL;
    }

    out = value_new(r->arena);
    value_set_object(out);
    form.arena = r->arena;
    form.items = FORM_ITEMS_MAX;

    for (i = 0; i < args.len; i++) {
        m = value_member(&args, i);
        form_put(&form, out, m.key, m.key_len, m.value);
    }

    form_type_record(r->arena, r->route->schema->fields, out,
                     strcmp(r->route->schema->name, "plugins") == 0
                     ? form_plugin_config(out, r->plugin) : NULL);

    return out;
}


static void
form_put(form_t *form, value_t *root, const char *name, size_t len,
    const value_t *v)
{
    size_t       n;
    unsigned     bracket, depth;
    value_t     *slot;
    const char  *p, *last;

    slot = root;
    last = name + len;

    for (p = name, depth = 0; p < last && slot != NULL; depth++) {

        if (depth == FORM_DEPTH_MAX) {
            return;
        }

        if (*p == '[') {
            p++;
            n = form_until(p, last, "]");
            bracket = 1;

        } else {
            p += (*p == '.');
            n = form_until(p, last, ".[");
            bracket = 0;
        }

        slot = form_step(form, slot, p, n, bracket);
        p += n + (bracket && p + n < last);
    }

    if (slot != NULL && slot != root) {
        *slot = *v;
    }
}


/* names may hold NUL */
static size_t
form_until(const char *p, const char *last, const char *ends)
{
    const char  *q;

    for (q = p; q < last; q++) {
        if (*q != '\0' && strchr(ends, *q) != NULL) {
            break;
        }
    }

    return (size_t) (q - p);
}


/* NULL: the name contradicts one before it */
static value_t *
form_step(form_t *form, value_t *slot, const char *key, size_t len,
    unsigned bracket)
{
    char          *end;
    arena_t       *a;
    unsigned long  i;

    a = form->arena;

    if (bracket && len == 0) {
        /* "[]": the list itself; a single value is wrapped by its type */
        return slot;
    }

    if (bracket) {
        i = strtoul(key, &end, 10);

        if (end == key + len && i >= 1 && i <= FORM_INDEX_MAX) {
            if (slot->kind == VALUE_NULL) {
                value_set_array(slot);
            }

            if (slot->kind != VALUE_ARRAY || form->items < i) {
                return NULL;
            }

            form->items -= (i > slot->len) ? i - slot->len : 0;

            return value_ensure(a, slot, i - 1);
        }
    }

    if (slot->kind == VALUE_NULL) {
        value_set_object(slot);
    }

    return (slot->kind == VALUE_OBJECT)
           ? value_putn(a, slot, arena_strndup(a, key, len), len) : NULL;
}


static const field_t *
form_plugin_config(const value_t *entity, const char *known)
{
    const value_t          *name;
    const field_t          *f;
    const plugin_schema_t  *p;

    name = value_get(entity, "name");

    p = (name != NULL && name->kind == VALUE_STRING)
        ? schema_plugin(name->u.string, name->len)
        : (known != NULL) ? schema_plugin(known, strlen(known)) : NULL;

    if (p == NULL) {
        return NULL;
    }

    for (f = p->schema.fields; f != NULL && f->name != NULL; f++) {
        if (strcmp(f->name, "config") == 0) {
            return f;
        }
    }

    return NULL;
}


static void
form_type_record(arena_t *a, const field_t *fields, value_t *v,
    const field_t *config)
{
    size_t           i;
    member_t         m;
    const field_t   *f;

    if (v->kind != VALUE_OBJECT) {
        return;
    }

    for (i = 0; i < v->len; i++) {
        m = value_member(v, i);

        for (f = fields; f != NULL && f->name != NULL; f++) {
            if (strcmp(f->name, m.key) == 0) {
                form_type(a, (config != NULL
                              && strcmp(f->name, "config") == 0) ? config : f,
                          m.value);
                break;
            }
        }
    }
}


static void
form_type(arena_t *a, const field_t *f, value_t *v)
{
    size_t  i;

    if (v->kind == VALUE_STRING && v->len == 0) {
        value_set_null(v);
        return;
    }

    switch (f->type) {

    case FIELD_ARRAY:
    case FIELD_SET:
        if (v->kind == VALUE_STRING) {
            form_wrap(a, v);
        }

        for (i = 0; v->kind == VALUE_ARRAY && i < v->len; i++) {
            form_type(a, f->elements, &v->u.items[i]);
        }
        return;

    case FIELD_MAP:
        for (i = 0; v->kind == VALUE_OBJECT && i < v->len; i++) {
            form_type(a, f->elements, value_nth(v, i));
        }
        return;

    case FIELD_RECORD:
        form_type_record(a, f->fields, v, NULL);
        return;

    default:
        form_type_scalar(f, v);
        return;
    }
}


static void
form_wrap(arena_t *a, value_t *v)
{
    value_t  one;

    one = *v;
    value_set_array(v);
    *value_append(a, v) = one;
}


static void
form_type_scalar(const field_t *f, value_t *v)
{
    char    *end;
    double   n;

    if (v->kind != VALUE_STRING) {
        return;
    }

    if (f->type == FIELD_BOOLEAN) {
        if (value_str_eq(v, "true") || value_str_eq(v, "false")) {
            value_set_bool(v, v->len == 4);
        }
        return;
    }

    if (f->type != FIELD_INTEGER && f->type != FIELD_NUMBER) {
        return;
    }

    n = strtod(v->u.string, &end);

    if (end == v->u.string + v->len) {
        value_set_number(v, n);
    }
}
