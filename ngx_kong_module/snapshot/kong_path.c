/*
 * kong_path: request paths in normal form, and the path sent upstream.
 *
 * Called once a request by the module and for every prefix path by the
 * daemon.  Nothing here allocates; what is written never exceeds what the
 * header promises.
 */

#include <string.h>

#include "kong_path.h"


/* classes of bytes in a path */
#define PATH_RESERVED  0x01     /* stays percent-encoded when it was */
#define PATH_SAFE      0x02     /* may stand in a request target */

#define R  PATH_RESERVED
#define S  PATH_SAFE


static const uint8_t  kong_path_class[256] = {
    ['!'] = R|S, ['*'] = R|S, ['\''] = R|S, ['('] = R|S, [')'] = R|S,
    [';'] = R|S, [':'] = R|S, ['@'] = R|S, ['&'] = R|S, ['='] = R|S,
    ['+'] = R|S, ['$'] = R|S, [','] = R|S, ['/'] = R|S, ['?'] = R|S,
    ['%'] = R|S, ['#'] = R|S, ['['] = R|S, [']'] = R|S,

    ['-'] = S, ['_'] = S, ['.'] = S, ['~'] = S,

    ['0'] = S, ['1'] = S, ['2'] = S, ['3'] = S, ['4'] = S,
    ['5'] = S, ['6'] = S, ['7'] = S, ['8'] = S, ['9'] = S,

    ['A'] = S, ['B'] = S, ['C'] = S, ['D'] = S, ['E'] = S, ['F'] = S,
    ['G'] = S, ['H'] = S, ['I'] = S, ['J'] = S, ['K'] = S, ['L'] = S,
    ['M'] = S, ['N'] = S, ['O'] = S, ['P'] = S, ['Q'] = S, ['R'] = S,
    ['S'] = S, ['T'] = S, ['U'] = S, ['V'] = S, ['W'] = S, ['X'] = S,
    ['Y'] = S, ['Z'] = S,

    ['a'] = S, ['b'] = S, ['c'] = S, ['d'] = S, ['e'] = S, ['f'] = S,
    ['g'] = S, ['h'] = S, ['i'] = S, ['j'] = S, ['k'] = S, ['l'] = S,
    ['m'] = S, ['n'] = S, ['o'] = S, ['p'] = S, ['q'] = S, ['r'] = S,
    ['s'] = S, ['t'] = S, ['u'] = S, ['v'] = S, ['w'] = S, ['x'] = S,
    ['y'] = S, ['z'] = S
};

#undef R
#undef S

static const char  kong_path_hex[] = "0123456789ABCDEF";


static size_t kong_path_decode(const char *path, size_t len, char *out);
static size_t kong_path_clean(char *path, size_t len);
static size_t kong_path_pop(const char *path, size_t len);
static size_t kong_path_escape(char *out, const char *s, size_t len);


/* the value of a hex digit, or -1 */
static int
kong_path_digit(char ch)
{
    if (ch >= '0' && ch <= '9') {
        return ch - '0';
    }

    if (ch >= 'A' && ch <= 'F') {
        return ch - 'A' + 10;
    }

    if (ch >= 'a' && ch <= 'f') {
        return ch - 'a' + 10;
    }

    return -1;
}


/* the byte that the triplet at p stands for, or -1 when it is none */
static int
kong_path_triplet(const char *p, const char *end)
{
    int  hi, lo;

    if (end - p < 3) {
        return -1;
    }

    hi = kong_path_digit(p[1]);
    lo = kong_path_digit(p[2]);

    return (hi < 0 || lo < 0) ? -1 : hi * 16 + lo;
}


/* is the segment that starts at p "." or ".."? */
static int
kong_path_is_dots(const char *p, const char *end)
{
    if (p == end || *p != '.') {
        return 0;
    }

    if (++p < end && *p == '.') {
        p++;
    }

    return p == end || *p == '/';
}


int
kong_path_is_normal(const char *path, size_t len)
{
    int          c;
    const char  *p, *end;

    p = path;
    end = path + len;

    if (kong_path_is_dots(p, end)) {
        return 0;
    }

    for ( /* void */ ; p < end; p++) {

        if (*p == '/') {
            if (p + 1 < end && p[1] == '/') {
                return 0;
            }

            if (kong_path_is_dots(p + 1, end)) {
                return 0;
            }

        } else if (*p == '%') {
            c = kong_path_triplet(p, end);

            if (c < 0) {
                continue;
            }

            if (!(kong_path_class[c] & PATH_RESERVED)
                || p[1] >= 'a' || p[2] >= 'a')
            {
                return 0;
            }
        }
    }

    return 1;
}


size_t
kong_path_normalize(const char *path, size_t len, char *out)
{
    len = kong_path_decode(path, len, out);

    return kong_path_clean(out, len);
}


/* triplets of reserved bytes stay, in upper case; all others are decoded */
static size_t
kong_path_decode(const char *path, size_t len, char *out)
{
    int          c;
    char        *o;
    const char  *p, *end;

    o = out;
    end = path + len;

    for (p = path; p < end; p++) {
        c = (*p == '%') ? kong_path_triplet(p, end) : -1;

        if (c < 0) {
            *o++ = *p;
            continue;
        }

        if (kong_path_class[c] & PATH_RESERVED) {
            *o++ = '%';
            *o++ = kong_path_hex[c >> 4];
            *o++ = kong_path_hex[c & 15];

        } else {
            *o++ = (char) c;
        }

        p += 2;
    }

    return o - out;
}


/*
 * Dot segments out (RFC 3986, 5.2.4), runs of slashes to one, in place.
 * p reads, o writes; a segment is copied together with the slash before it.
 */
static size_t
kong_path_clean(char *path, size_t len)
{
    char    *p, *end;
    size_t   o, n;

    p = path;
    end = path + len;
    o = 0;

    while (kong_path_is_dots(p, end)) {
        while (p < end && *p != '/') {
            p++;
        }

        if (p < end) {
            p++;
        }
    }

    while (p < end) {

        if (*p == '/') {
            if (p + 1 < end && p[1] == '/') {
                p++;
                continue;
            }

            if (kong_path_is_dots(p + 1, end)) {
                n = (p + 2 < end && p[2] == '.') ? 3 : 2;
                p += n;

                if (n == 3) {
                    o = kong_path_pop(path, o);
                }

                if (p == end) {
                    path[o++] = '/';
                }

                continue;
            }
        }

        path[o++] = *p++;

        while (p < end && *p != '/') {
            path[o++] = *p++;
        }
    }

    return o;
}


/* the length without the last segment and its slash */
static size_t
kong_path_pop(const char *path, size_t len)
{
    while (len > 0 && path[--len] != '/') {
        /* void */
    }

    return len;
}


size_t
kong_path_upstream_max(kong_str_t service_path, kong_str_t path)
{
    return 3 * (service_path.len + path.len + 2);
}


/* what is left of the path behind the match: never a step upwards */
static kong_str_t
kong_path_postfix(kong_str_t path, unsigned has_path, uint32_t matched_len)
{
    size_t  skip;

    skip = has_path ? matched_len : 1;

    if (skip > path.len) {
        skip = path.len;
    }

    path.data += skip;
    path.len -= skip;

    if (kong_path_is_dots(path.data, path.data + path.len)) {
        skip = (path.len > 1 && path.data[1] == '.') ? 2 : 1;

        if (skip < path.len) {
            skip++;
        }

        path.data += skip;
        path.len -= skip;
    }

    return path;
}


size_t
kong_path_upstream(kong_str_t service_path, kong_str_t path,
    unsigned strip, unsigned has_path, uint32_t matched_len, char *out)
{
    char        *o;
    unsigned     slash, trailing;
    kong_str_t   base, rest;

    base = service_path;

    if (base.len == 0) {
        base.data = "/";
        base.len = 1;
    }

    slash = (base.data[base.len - 1] == '/');
    trailing = (path.len > 0 && path.data[path.len - 1] == '/');

    if (!strip) {
        rest = path;

        if (!slash && path.len == 1 && trailing) {
            rest.len = 0;
        }

    } else {
        rest = kong_path_postfix(path, has_path, matched_len);

        if (rest.len == 0 && slash && base.len > 1 && !trailing) {
            base.len--;
            slash = 0;
        }
    }

    o = out + kong_path_escape(out, base.data, base.len);

    if (rest.len != 0) {
        if (slash && rest.data[0] == '/') {
            rest.data++;
            rest.len--;

        } else if (!slash && rest.data[0] != '/') {
            *o++ = '/';
        }

        o += kong_path_escape(o, rest.data, rest.len);

    } else if (strip && !slash && trailing && path.len > 1) {
        *o++ = '/';
    }

    return o - out;
}


static size_t
kong_path_escape(char *out, const char *s, size_t len)
{
    char     *o;
    size_t    i;
    uint8_t   c;

    o = out;

    for (i = 0; i < len; i++) {
        c = (uint8_t) s[i];

        if (kong_path_class[c] & PATH_SAFE) {
            *o++ = (char) c;
            continue;
        }

        *o++ = '%';
        *o++ = kong_path_hex[c >> 4];
        *o++ = kong_path_hex[c & 15];
    }

    return o - out;
}
