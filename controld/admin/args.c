/*
 * args: names and values of a query or a form, percent-decoding.
 */

#include <string.h>
#include <strings.h>

#include "http.h"


#define ADMIN_ARGS_MAX  1000


static int admin_hex(int c);


const char *
admin_arg(const admin_request_t *r, const char *name)
{
    const value_t  *v;

    v = value_get(&r->args, name);

    if (v != NULL && v->kind == VALUE_ARRAY) {
        v = value_at(v, v->len - 1);
    }

    return value_cstr(v);
}


unsigned
admin_arg_true(const admin_request_t *r, const char *name)
{
    const char  *s;

    s = admin_arg(r, name);

    return s != NULL
           && (strcmp(s, "1") == 0 || strcasecmp(s, "true") == 0
               || strcasecmp(s, "on") == 0 || strcasecmp(s, "yes") == 0);
}


admin_str_t
admin_decode(arena_t *a, const char *p, size_t len, unsigned plus)
{
    int           high, low;
    char         *out;
    size_t        i;
    admin_str_t   s;

    out = arena_alloc(a, len + 1);
    s.data = out;

    for (i = 0; i < len; i++) {

        if (p[i] == '%' && i + 2 < len) {
            high = admin_hex(p[i + 1]);
            low = admin_hex(p[i + 2]);

            if (high >= 0 && low >= 0) {
                *out++ = (char) (high << 4 | low);
                i += 2;
                continue;
            }
        }

        *out++ = (p[i] == '+' && plus) ? ' ' : p[i];
    }

    *out = '\0';
    s.len = out - s.data;

    return s;
}


static int
admin_hex(int c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    c |= 0x20;

    return (c >= 'a' && c <= 'f') ? c - 'a' + 10 : -1;
}


int
admin_parse_args(arena_t *a, const char *p, size_t len, value_t *out)
{
    size_t        n, i;
    value_t      *slot, first;
    const char   *end, *eq, *last;
    admin_str_t   name, value;

    value_set_object(out);
    last = p + len;

    for (n = 0; p < last; p = end + 1) {

        end = memchr(p, '&', last - p);
        if (end == NULL) {
            end = last;
        }

        if (end == p) {
            continue;
        }

        if (++n > ADMIN_ARGS_MAX) {
            return -1;
        }

        eq = memchr(p, '=', end - p);
        i = (eq != NULL) ? (size_t) (eq - p) : (size_t) (end - p);

        name = admin_decode(a, p, i, 1);
        value = (eq != NULL) ? admin_decode(a, eq + 1, end - eq - 1, 1)
                             : admin_decode(a, "", 0, 1);

        slot = value_putn(a, out, name.data, name.len);

        if (slot->kind == VALUE_STRING) {
            first = *slot;
            value_set_array(slot);
            *value_append(a, slot) = first;
        }

        if (slot->kind == VALUE_ARRAY) {
            slot = value_append(a, slot);
        }

        value_set_string(slot, value.data, value.len);
    }

    return 0;
}
