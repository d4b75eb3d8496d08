/*
 * json: printing a value tree, as JSON and in the Lua-table notation of
 * Kong's messages.  Both are one recursion over a growing buffer; the depth
 * of a tree is bounded where it is made (the parsers).
 */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"


#define JSON_FIRST  256


typedef struct {
    arena_t  *arena;
    char     *data;
    size_t    len;
    size_t    cap;
} json_buf_t;


static void json_room(json_buf_t *b, size_t n);
static void json_add(json_buf_t *b, const char *s, size_t n);
static void json_char(json_buf_t *b, char c);
static char *json_finish(json_buf_t *b, size_t *len);
static void json_write(json_buf_t *b, const value_t *v);
static void json_write_string(json_buf_t *b, const char *s, size_t len);
static void json_write_number(json_buf_t *b, double n);
static void json_lua(json_buf_t *b, const value_t *v);
static void json_lua_array(json_buf_t *b, const value_t *v);
static void json_lua_object(json_buf_t *b, const value_t *v);
static void json_lua_string(json_buf_t *b, const char *s, size_t len);
static void json_lua_long(json_buf_t *b, const char *s, size_t len);
static bool json_lua_identifier(const char *s, size_t len);
static int json_compare_keys(const void *one, const void *two);


char *
json_print(arena_t *a, const value_t *v, size_t *len)
{
    json_buf_t  b;

    memset(&b, 0, sizeof(json_buf_t));
    b.arena = a;

    json_write(&b, v);

    return json_finish(&b, len);
}


char *
json_print_lua(arena_t *a, const value_t *v, size_t *len)
{
    json_buf_t  b;

    memset(&b, 0, sizeof(json_buf_t));
    b.arena = a;

    json_lua(&b, v);

    return json_finish(&b, len);
}


static void
json_write(json_buf_t *b, const value_t *v)
{
    uint32_t         i;
    member_t         m;

    if (value_is_null(v)) {
        json_add(b, "null", 4);
        return;
    }

    switch (v->kind) {

    case VALUE_BOOL:
        json_add(b, v->u.boolean ? "true" : "false", v->u.boolean ? 4 : 5);
        break;

    case VALUE_NUMBER:
        json_write_number(b, v->u.number);
        break;

    case VALUE_STRING:
        json_write_string(b, v->u.string, v->len);
        break;

    case VALUE_ARRAY:
        if (v->len == 0 && (v->flags & VALUE_LUA_TABLE)) {
            json_add(b, "{}", 2);
            break;
        }

        json_char(b, '[');

        for (i = 0; i < v->len; i++) {
            if (i != 0) {
                json_char(b, ',');
            }

            json_write(b, &v->u.items[i]);
        }

        json_char(b, ']');
        break;

    default:
        json_char(b, '{');

        for (i = 0; i < v->len; i++) {
            if (i != 0) {
                json_char(b, ',');
            }

            m = value_member(v, i);
            json_write_string(b, m.key, m.key_len);
            json_char(b, ':');
            json_write(b, m.value);
        }

        json_char(b, '}');
        break;
    }
}


static void
json_write_string(json_buf_t *b, const char *s, size_t len)
{
    char           hex[8];
    size_t         i, from;
    const char    *found;
    unsigned char  c;

    static const char  plain[] = "\"\\/\b\f\n\r\t";
    static const char  letter[] = "\"\\/bfnrt";

    json_char(b, '"');
    from = 0;

    for (i = 0; i < len; i++) {
        c = (unsigned char) s[i];

        if (c >= 0x20 && c != '"' && c != '\\' && c != '/' && c != 0x7f) {
            continue;
        }

        json_add(b, s + from, i - from);
        from = i + 1;

        found = c == '\0' ? NULL : strchr(plain, c);

        if (found != NULL) {
            json_char(b, '\\');
            json_char(b, letter[found - plain]);

        } else {
            snprintf(hex, sizeof(hex), "\\u%04x", c);
            json_add(b, hex, 6);
        }
    }

    json_add(b, s + from, len - from);
    json_char(b, '"');
}


static void
json_write_number(json_buf_t *b, double n)
{
    int   len;
    char  buf[32];

    /* no configuration holds one, but the text must stay JSON */

    if (!isfinite(n)) {
        json_add(b, "null", 4);
        return;
    }

    if (n == floor(n) && fabs(n) < 1e15) {
        len = snprintf(buf, sizeof(buf), "%.0f", n == 0 ? 0.0 : n);

    } else {
        len = snprintf(buf, sizeof(buf), "%.16g", n);
    }

    json_add(b, buf, (size_t) len);
}


static void
json_lua(json_buf_t *b, const value_t *v)
{
    if (value_is_null(v)) {
        json_add(b, "nil", 3);
        return;
    }

    switch (v->kind) {

    case VALUE_BOOL:
        json_add(b, v->u.boolean ? "true" : "false", v->u.boolean ? 4 : 5);
        break;

    case VALUE_NUMBER:
        json_write_number(b, v->u.number);
        break;

    case VALUE_STRING:
        json_lua_string(b, v->u.string, v->len);
        break;

    case VALUE_ARRAY:
        json_lua_array(b, v);
        break;

    default:
        json_lua_object(b, v);
        break;
    }
}


/* items up to the first hole go by position, those behind it by number */

static void
json_lua_array(json_buf_t *b, const value_t *v)
{
    int       n;
    bool      hole, first;
    char      buf[24];
    uint32_t  i;

    json_char(b, '{');
    hole = false;
    first = true;

    for (i = 0; i < v->len; i++) {
        if (value_is_null(&v->u.items[i])) {
            hole = true;
            continue;
        }

        if (!first) {
            json_char(b, ',');
        }

        first = false;

        if (hole) {
            n = snprintf(buf, sizeof(buf), "[%u]=", i + 1);
            json_add(b, buf, (size_t) n);
        }

        json_lua(b, &v->u.items[i]);
    }

    json_char(b, '}');
}


static void
json_lua_object(json_buf_t *b, const value_t *v)
{
    bool       first;
    uint32_t   i;
    member_t   m, *sorted;

    sorted = arena_alloc(b->arena, v->len * sizeof(member_t));

    for (i = 0; i < v->len; i++) {
        sorted[i] = value_member(v, i);
    }

    if (v->len > 1) {
        qsort(sorted, v->len, sizeof(member_t), json_compare_keys);
    }

    json_char(b, '{');
    first = true;

    for (i = 0; i < v->len; i++) {
        m = sorted[i];

        if (value_is_null(m.value)) {
            continue;
        }

        if (!first) {
            json_char(b, ',');
        }

        first = false;

        if (json_lua_identifier(m.key, m.key_len)) {
            json_add(b, m.key, m.key_len);

        } else {
            json_char(b, '[');
            json_lua_string(b, m.key, m.key_len);
            json_char(b, ']');
        }

        json_char(b, '=');
        json_lua(b, m.value);
    }

    json_char(b, '}');
}


static void
json_lua_string(json_buf_t *b, const char *s, size_t len)
{
    size_t  i;

    if (memchr(s, '\n', len) != NULL && memchr(s, '\r', len) == NULL) {
        json_lua_long(b, s, len);
        return;
    }

    json_char(b, '"');

    for (i = 0; i < len; i++) {
        switch (s[i]) {

        case '"': case '\\': case '\n':
            json_char(b, '\\');
            json_char(b, s[i]);
            break;

        case '\r':
            json_add(b, "\\r", 2);
            break;

        case '\0':
            json_add(b, "\\000", 4);
            break;

        default:
            json_char(b, s[i]);
        }
    }

    json_char(b, '"');
}


/* [==[...]==], with one more "=" than any bracket inside has */

static void
json_lua_long(json_buf_t *b, const char *s, size_t len)
{
    size_t  i, j, level;

    level = 0;

    for (i = 0; i < len; i++) {
        if (s[i] != ']') {
            continue;
        }

        for (j = i + 1; j < len && s[j] == '='; j++) { /* void */ }

        if ((j == len || s[j] == ']') && j - i > level) {
            level = j - i;
        }
    }

    json_char(b, '[');

    for (i = 0; i < level; i++) {
        json_char(b, '=');
    }

    json_add(b, "[\n", 2);
    json_add(b, s, len);
    json_char(b, ']');

    for (i = 0; i < level; i++) {
        json_char(b, '=');
    }

    json_char(b, ']');
}


static bool
json_lua_identifier(const char *s, size_t len)
{
    char    c;
    size_t  i;

    static const char *const  keywords[] = {
        "and", "break", "do", "else", "elseif", "end", "false", "for",
        "function", "goto", "if", "in", "local", "nil", "not", "or",
        "repeat", "return", "then", "true", "until", "while", NULL
    };

    if (len == 0 || (s[0] >= '0' && s[0] <= '9')) {
        return false;
    }

    for (i = 0; i < len; i++) {
        c = s[i];

        if (!((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
            && !(c >= '0' && c <= '9') && c != '_')
        {
            return false;
        }
    }

    for (i = 0; keywords[i] != NULL; i++) {
        if (strlen(keywords[i]) == len && memcmp(keywords[i], s, len) == 0) {
            return false;
        }
    }

    return true;
}


static int
json_compare_keys(const void *one, const void *two)
{
    int              rc;
    size_t           len;
    const member_t  *a, *b;

    a = one;
    b = two;

    len = a->key_len < b->key_len ? a->key_len : b->key_len;

    rc = memcmp(a->key, b->key, len);
    if (rc != 0) {
        return rc;
    }

    return (a->key_len > b->key_len) - (a->key_len < b->key_len);
}


static void
json_room(json_buf_t *b, size_t n)
{
    char    *data;
    size_t   cap;

    cap = b->cap == 0 ? JSON_FIRST : b->cap * 2;

    if (cap < b->len + n) {
        cap = b->len + n;
    }

    data = realloc(b->data, cap);
    if (data == NULL) {
        free(b->data);
        b->data = NULL;
        (void) arena_alloc(b->arena, SIZE_MAX);
        abort();
    }

    b->data = data;
    b->cap = cap;
}


static void
json_add(json_buf_t *b, const char *s, size_t n)
{
    if (n == 0) {
        return;
    }

    if (b->cap - b->len < n) {
        json_room(b, n);
    }

    memcpy(b->data + b->len, s, n);
    b->len += n;
}


static void
json_char(json_buf_t *b, char c)
{
    if (b->len == b->cap) {
        json_room(b, 1);
    }

    b->data[b->len++] = c;
}


static char *
json_finish(json_buf_t *b, size_t *len)
{
    char  *text;

    text = arena_strndup(b->arena, b->data, b->len);

    if (len != NULL) {
        *len = b->len;
    }

    free(b->data);

    return text;
}
