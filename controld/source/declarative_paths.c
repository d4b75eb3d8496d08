/*
 * declarative_paths: formats 1.1 and 2.1 told a regular expression from a
 * plain path by its characters and decoded percent signs when matching.  The
 * format 3.0 marks expressions with "~" and wants plain paths in normal form,
 * so both are rewritten once.  Only top-level routes and routes directly
 * inside top-level services are, as in Kong.
 */

#include <string.h>

#include "declarative_walk.h"


static void paths_migrate_routes(arena_t *a, value_t *routes);
static void paths_migrate(arena_t *a, value_t *path);
static void paths_normalize(arena_t *a, value_t *path);
static size_t paths_segments(char *s, size_t len);
static void paths_expression(arena_t *a, value_t *path);
static int paths_hex(const char *s, size_t len, size_t i);
static int paths_digit(char c);


static const char  paths_plain[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_~/%";

/* never decoded: they mean something else when they are */
static const char  paths_reserved[] = "!*'();:@&=+$,/?%#[]";

/* decoded in an expression, these need a backslash */
static const char  paths_meta[] = ".^-{}\\|";


void
decl_migrate(arena_t *a, value_t *doc)
{
    size_t    i;
    value_t  *v, *services;

    v = value_get(doc, "_format_version");

    if (!value_str_eq(v, "1.1") && !value_str_eq(v, "2.1")) {
        return;
    }

    value_set_string(v, "3.0", 3);
    paths_migrate_routes(a, value_get(doc, "routes"));

    services = value_get(doc, "services");

    if (services == NULL || services->kind != VALUE_ARRAY) {
        return;
    }

    for (i = 0; i < services->len; i++) {
        paths_migrate_routes(a, value_get(&services->u.items[i], "routes"));
    }
}


static void
paths_migrate_routes(arena_t *a, value_t *routes)
{
    size_t    i, k;
    value_t  *paths;

    if (routes == NULL || routes->kind != VALUE_ARRAY) {
        return;
    }

    for (i = 0; i < routes->len; i++) {
        paths = value_get(&routes->u.items[i], "paths");

        if (paths == NULL || paths->kind != VALUE_ARRAY) {
            continue;
        }

        for (k = 0; k < paths->len; k++) {
            if (paths->u.items[k].kind == VALUE_STRING) {
                paths_migrate(a, &paths->u.items[k]);
            }
        }
    }
}


static void
paths_migrate(arena_t *a, value_t *path)
{
    size_t  i;

    for (i = 0; i < path->len; i++) {
        if (path->u.string[i] == '\0'
            || strchr(paths_plain, path->u.string[i]) == NULL)
        {
            paths_expression(a, path);
            return;
        }
    }

    paths_normalize(a, path);
}


/* decodes what may be decoded, then resolves dots and repeated slashes */

static void
paths_normalize(arena_t *a, value_t *path)
{
    int          c;
    char        *out;
    size_t       i, n;
    const char  *s;

    s = path->u.string;
    out = arena_alloc(a, path->len + 1);

    for (i = 0, n = 0; i < path->len; i++) {
        c = paths_hex(s, path->len, i);

        if (c == -1) {
            out[n++] = s[i];

        } else if (c != 0 && strchr(paths_reserved, c) != NULL) {
            out[n++] = '%';
            out[n++] = s[i + 1] >= 'a' ? s[i + 1] - 32 : s[i + 1];
            out[n++] = s[i + 2] >= 'a' ? s[i + 2] - 32 : s[i + 2];
            i += 2;

        } else {
            out[n++] = (char) c;
            i += 2;
        }
    }

    n = paths_segments(out, n);
    out[n] = '\0';
    value_set_string(path, out, n);
}


/* RFC 3986, 5.2.4, with empty segments merged; in place */

static size_t
paths_segments(char *s, size_t len)
{
    size_t  i, n, seg;

    for (i = 0, n = 0; i < len; /* void */ ) {
        seg = i + (s[i] == '/');

        while (seg < len && s[seg] != '/') {
            seg++;
        }

        if (s[i] == '/' && i + 1 < len && s[i + 1] == '/') {
            i++;
            continue;
        }

        if ((seg - i == 2 && s[i] == '/' && s[i + 1] == '.')
            || (seg - i == 3 && memcmp(s + i, "/..", 3) == 0))
        {
            if (seg - i == 3) {
                while (n > 0 && s[--n] != '/') { /* void */ }
            }

            if (seg == len) {
                s[n++] = '/';
            }

            i = seg;
            continue;
        }

        /* a path that does not begin with a slash */

        if (i == 0 && s[0] == '.'
            && (seg == 1 || (seg == 2 && s[1] == '.')))
        {
            i = seg == len ? seg : seg + 1;
            continue;
        }

        memmove(s + n, s + i, seg - i);
        n += seg - i;
        i = seg;
    }

    return n;
}


static void
paths_expression(arena_t *a, value_t *path)
{
    int          c;
    char        *out;
    size_t       i, n;
    const char  *s;

    s = path->u.string;
    out = arena_alloc(a, path->len + 2);
    out[0] = '~';

    for (i = 0, n = 1; i < path->len; i++) {
        c = paths_hex(s, path->len, i);

        if (c == -1) {
            out[n++] = s[i];
            continue;
        }

        if (c != 0 && strchr(paths_reserved, c) != NULL) {
            out[n++] = '%';
            out[n++] = s[i + 1] >= 'a' ? s[i + 1] - 32 : s[i + 1];
            out[n++] = s[i + 2] >= 'a' ? s[i + 2] - 32 : s[i + 2];

        } else {
            if (c != 0 && strchr(paths_meta, c) != NULL) {
                out[n++] = '\\';
            }

            out[n++] = (char) c;
        }

        i += 2;
    }

    out[n] = '\0';
    value_set_string(path, out, n);
}


/* the byte of a percent triplet at i, -1 when there is none */

static int
paths_hex(const char *s, size_t len, size_t i)
{
    int  high, low;

    if (s[i] != '%' || len - i < 3) {
        return -1;
    }

    high = paths_digit(s[i + 1]);
    low = paths_digit(s[i + 2]);

    return high == -1 || low == -1 ? -1 : high * 16 + low;
}


static int
paths_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    c |= 0x20;

    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}
