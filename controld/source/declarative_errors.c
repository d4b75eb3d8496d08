/*
 * declarative_errors: the tree of errors: its slots, its lines, its text and
 * its JSON body.  The tree mirrors the document; a good position of a list is
 * null.  A list whose errors are known by name becomes an object, in which
 * positions are keys, counted from 1.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../model/json.h"
#include "declarative_walk.h"


#define DECL_NULL_ERROR  "value must be null"


typedef struct {
    arena_t   *arena;
    char      *data;
    size_t     len;
    size_t     cap;
    unsigned   lines;
} decl_text_t;


static void decl_line(value_t *error, const value_t *v, uint32_t line);
static unsigned decl_has_null_error(const value_t *v);
static void decl_merge_one(arena_t *a, value_t *slot, const value_t *from);
static void decl_text(decl_text_t *t, const value_t *v, const char *name,
    unsigned indent);
static void decl_text_one(decl_text_t *t, const value_t *v, const char *label,
    const char *name, unsigned indent);
static void decl_text_add(decl_text_t *t, const char *s, size_t len);


value_t *
decl_error_slot(decl_t *d, const decl_row_t *row)
{
    value_t  *slot;

    slot = row->parent == NULL ? d->errors
                               : decl_error_slot(d, row->parent);
    slot = value_put(d->arena, slot, row->kind->schema->name);
    slot = decl_error_item(d, slot, row->index);

    if (slot->kind != VALUE_OBJECT) {
        value_set_object(slot);
    }

    return slot;
}


value_t *
decl_error_item(decl_t *d, value_t *list, size_t i)
{
    char  *key;

    if (list->kind == VALUE_OBJECT) {
        key = arena_printf(d->arena, "%zu", i + 1);
        return value_put(d->arena, list, key);
    }

    if (list->kind != VALUE_ARRAY) {
        value_set_array(list);
    }

    return value_ensure(d->arena, list, i);
}


value_t *
decl_error_named(decl_t *d, value_t *list, const char *name, size_t len)
{
    size_t   i;
    value_t  old;

    if (list->kind != VALUE_OBJECT) {
        old = *list;
        value_set_object(list);

        for (i = 0; old.kind == VALUE_ARRAY && i < old.len; i++) {
            if (!value_is_null(&old.u.items[i])) {
                *decl_error_item(d, list, i) = old.u.items[i];
            }
        }
    }

    return value_putn(d->arena, list, name, len);
}


void
decl_error_set(arena_t *a, value_t *slot, uint32_t line, const char *fmt, ...)
{
    char     *text;
    va_list   args;

    va_start(args, fmt);
    text = arena_vprintf(a, fmt, args);
    va_end(args);

    value_set_string(slot, text, strlen(text));
    slot->line = line;
}


void
decl_error_lines(value_t *errors, const value_t *v, uint32_t line)
{
    size_t     i;
    member_t   m;

    if (errors->kind == VALUE_STRING) {
        errors->line = line;

    } else if (errors->kind == VALUE_ARRAY) {
        for (i = 0; i < errors->len; i++) {
            decl_line(&errors->u.items[i], value_at(v, i), line);
        }

    } else if (errors->kind == VALUE_OBJECT) {
        for (i = 0; i < errors->len; i++) {
            m = value_member(errors, i);
            decl_line(m.value, value_getn(v, m.key, m.key_len), line);
        }
    }
}


static void
decl_line(value_t *error, const value_t *v, uint32_t line)
{
    decl_error_lines(error, v, v != NULL && v->line != 0 ? v->line : line);
}


void
decl_error_merge(arena_t *a, value_t *errors, const value_t *first)
{
    size_t     i;
    member_t   m;

    if (first->kind == VALUE_OBJECT && errors->kind == VALUE_OBJECT) {
        for (i = 0; i < first->len; i++) {
            m = value_member(first, i);

            if (decl_has_null_error(m.value)) {
                decl_merge_one(a, value_putn(a, errors, m.key, m.key_len),
                               m.value);
            }
        }

    } else if (first->kind == VALUE_ARRAY && errors->kind == VALUE_ARRAY) {
        for (i = 0; i < first->len; i++) {
            if (decl_has_null_error(&first->u.items[i])) {
                decl_merge_one(a, value_ensure(a, errors, i),
                               &first->u.items[i]);
            }
        }
    }
}


static void
decl_merge_one(arena_t *a, value_t *slot, const value_t *from)
{
    if (from->kind == VALUE_STRING) {
        *slot = *from;
        return;
    }

    if (slot->kind == VALUE_NULL) {
        if (from->kind == VALUE_ARRAY) {
            value_set_array(slot);

        } else {
            value_set_object(slot);
        }
    }

    decl_error_merge(a, slot, from);
}


static unsigned
decl_has_null_error(const value_t *v)
{
    size_t  i;

    if (v->kind == VALUE_STRING) {
        return value_str_eq(v, DECL_NULL_ERROR);
    }

    for (i = 0; v->kind == VALUE_ARRAY && i < v->len; i++) {
        if (decl_has_null_error(&v->u.items[i])) {
            return 1;
        }
    }

    for (i = 0; v->kind == VALUE_OBJECT && i < v->len; i++) {
        if (decl_has_null_error(value_nth(v, i))) {
            return 1;
        }
    }

    return 0;
}


unsigned
decl_error_count(const value_t *errors)
{
    size_t    i;
    unsigned  n;

    if (errors->kind == VALUE_STRING) {
        return 1;
    }

    n = 0;

    for (i = 0; errors->kind == VALUE_ARRAY && i < errors->len; i++) {
        n += decl_error_count(&errors->u.items[i]);
    }

    for (i = 0; errors->kind == VALUE_OBJECT && i < errors->len; i++) {
        n += decl_error_count(value_nth(errors, i));
    }

    return n;
}


value_t *
declarative_errors_body(arena_t *a, const declarative_errors_t *e,
    unsigned flatten)
{
    value_t  *body, *fields;

    fields = e->fields;

    if (flatten && e->flattened != NULL) {
        fields = e->unflattened;
    }

    body = value_new(a);
    value_set_object(body);

    value_set_number(value_put(a, body, "code"), 14);
    value_set_string(value_put(a, body, "name"),
                     "invalid declarative configuration", 33);
    value_printf(a, value_put(a, body, "message"),
                 "declarative config is invalid: %s",
                 json_print_lua(a, fields, NULL));
    *value_put(a, body, "fields") = *fields;

    if (fields != e->fields) {
        *value_put(a, body, "flattened_errors") = *e->flattened;
    }

    return body;
}


char *
declarative_errors_text(arena_t *a, const declarative_errors_t *e,
    unsigned lines)
{
    value_t      *error;
    decl_text_t   t;

    memset(&t, 0, sizeof(decl_text_t));
    t.arena = a;
    t.lines = lines;

    /* a text that could not be parsed, a file that could not be read */

    error = value_get(e->fields, "error");

    if (e->doc == NULL && error != NULL && error->kind == VALUE_STRING) {
        if (lines && error->line != 0) {
            return arena_printf(a, "%s (line %u)", error->u.string,
                                (unsigned) error->line);
        }

        return arena_strndup(a, error->u.string, error->len);
    }

    decl_text(&t, e->fields, "", 0);

    return arena_strndup(a, t.data, t.len > 0 ? t.len - 1 : 0);
}


static void
decl_text(decl_text_t *t, const value_t *v, const char *name, unsigned indent)
{
    char             *label;
    size_t            i;
    member_t          m;

    for (i = 0; v->kind == VALUE_ARRAY && i < v->len; i++) {
        if (value_is_null(&v->u.items[i])) {
            continue;
        }

        label = arena_printf(t->arena, "- in entry %zu of '%s'", i + 1, name);
        decl_text_one(t, &v->u.items[i], label, name, indent);
    }

    for (i = 0; v->kind == VALUE_OBJECT && i < v->len; i++) {
        m = value_member(v, i);

        if (!value_is_null(m.value)) {
            label = arena_printf(t->arena, "in '%s'", m.key);
            decl_text_one(t, m.value, label, m.key, indent);
        }
    }
}


static void
decl_text_one(decl_text_t *t, const value_t *v, const char *label,
    const char *name, unsigned indent)
{
    char  *s;

    s = arena_printf(t->arena, "%*s%s:", (int) indent, "", label);
    decl_text_add(t, s, strlen(s));

    if (v->kind != VALUE_STRING) {
        decl_text_add(t, "\n", 1);

        decl_text(t, v, name, indent + 2);
        return;
    }

    decl_text_add(t, " ", 1);
    decl_text_add(t, v->u.string, v->len);

    if (t->lines && v->line != 0) {
        s = arena_printf(t->arena, " (line %u)", (unsigned) v->line);
        decl_text_add(t, s, strlen(s));
    }

    decl_text_add(t, "\n", 1);
}


static void
decl_text_add(decl_text_t *t, const char *s, size_t len)
{
    char    *data;
    size_t   cap;

    if (t->len + len > t->cap) {
        cap = t->cap * 2 + len + 256;
        data = arena_alloc(t->arena, cap);

        if (t->len != 0) {
            memcpy(data, t->data, t->len);
        }

        t->data = data;
        t->cap = cap;
    }

    memcpy(t->data + t->len, s, len);
    t->len += len;
}
