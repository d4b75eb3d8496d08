/*
 * json_parse: one pass over the text, straight into the arena.  cJSON is not
 * used for it: its strings end at a \u0000, it knows no line numbers (errors
 * of declarative files carry them) and would build every tree twice.
 *
 * Accepts RFC 8259 plus raw control characters in strings, as Kong's decoder
 * does; bytes that are no UTF-8 pass (fields check that themselves).  Nesting
 * is bounded, numbers must be finite.  Error texts follow Kong's decoder.
 */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "keys.h"


#define JSON_MAX_DEPTH   1000
#define JSON_MAX_NUMBER  400
#define JSON_HINTS       16
#define JSON_HINT        32


typedef struct {
    arena_t     *arena;
    const char  *start;
    const char  *p;
    const char  *end;
    const char  *err;
    unsigned     line;
    unsigned     depth;
    spans_t      *spans;        /* NULL: nobody asks */
    spans_list_t *list;         /* an array that comes now is this one */
    keys_t        keys;
    uint8_t       members[JSON_HINTS];      /* of the last object that deep */
} json_parser_t;


static int json_value(json_parser_t *jp, value_t *v);
static int json_object(json_parser_t *jp, value_t *v);
static int json_array(json_parser_t *jp, value_t *v);
static int json_key(json_parser_t *jp, const char **s, size_t *len);
static int json_string(json_parser_t *jp, const char **s, size_t *len);
static int json_unescape(json_parser_t *jp, const char *s, const char *last,
    const char **out, size_t *len);
static int json_unicode(json_parser_t *jp, const char **s, const char *last,
    char **out);
static int json_hex4(const char *s, const char *last, unsigned *code);
static int json_number(json_parser_t *jp, value_t *v);
static int json_word(json_parser_t *jp, value_t *v);
static void json_space(json_parser_t *jp);
static int json_expected(json_parser_t *jp, const char *what);
static const char *json_token(json_parser_t *jp);
static int json_fail(json_parser_t *jp, const char *what, const char *at);
static int json_enter(json_parser_t *jp);


int
json_parse(arena_t *a, const char *text, size_t len, value_t *out,
    const char **err)
{
    return json_parse_spans(a, text, len, out, NULL, err);
}


int
json_parse_spans(arena_t *a, const char *text, size_t len, value_t *out,
    spans_t *spans, const char **err)
{
    json_parser_t  jp;

    memset(&jp, 0, sizeof(json_parser_t));
    memset(out, 0, sizeof(value_t));

    jp.arena = a;
    jp.start = text;
    jp.p = text;
    jp.end = text + len;
    jp.line = 1;
    jp.spans = spans;

    /* strings' lengths are 32 bits */

    if (len >= UINT32_MAX) {
        *err = "document is too large";
        return -1;
    }

    if (json_value(&jp, out) != 0) {
        *err = jp.err;
        return -1;
    }

    json_space(&jp);

    if (jp.p != jp.end) {
        json_expected(&jp, "the end");
        *err = jp.err;
        return -1;
    }

    return 0;
}


static int
json_value(json_parser_t *jp, value_t *v)
{
    size_t       len;
    unsigned     line;
    const char  *s;

    json_space(jp);

    v->line = jp->line;

    if (jp->p == jp->end) {
        return json_expected(jp, "value");
    }

    switch (*jp->p) {

    case '{':
        return json_object(jp, v);

    case '[':
        return json_array(jp, v);

    case '"':
        line = jp->line;

        if (json_string(jp, &s, &len) != 0) {
            return -1;
        }

        value_set_string(v, s, len);
        v->line = line;
        return 0;

    case '-':
    case '0': case '1': case '2': case '3': case '4':
    case '5': case '6': case '7': case '8': case '9':
        return json_number(jp, v);

    default:
        return json_word(jp, v);
    }
}


static int
json_object(json_parser_t *jp, value_t *v)
{
    size_t       len;
    uint8_t     *hint;
    value_t     *member;
    const char  *key;

    if (json_enter(jp) != 0) {
        return -1;
    }

    hint = &jp->members[jp->depth % JSON_HINTS];

    value_set_object(v);
    jp->p++;
    json_space(jp);

    if (jp->p < jp->end && *jp->p == '}') {
        jp->p++;
        jp->depth--;
        return 0;
    }

    /* neighbours are alike; one more for the id that an entity may get */

    if (*hint != 0) {
        value_reserve(jp->arena, v, (size_t) *hint + 1);
    }

    for ( ;; ) {
        json_space(jp);

        if (jp->p == jp->end || *jp->p != '"') {
            return json_expected(jp, "object key string");
        }

        if (json_key(jp, &key, &len) != 0) {
            return -1;
        }

        json_space(jp);

        if (jp->p == jp->end || *jp->p != ':') {
            return json_expected(jp, "colon");
        }

        jp->p++;
        member = value_putn(jp->arena, v, key, len);
        memset(member, 0, sizeof(value_t));

        if (jp->spans != NULL && jp->depth == 1) {
            jp->list = spans_open(jp->spans, key, len);
        }

        if (json_value(jp, member) != 0) {
            return -1;
        }

        json_space(jp);

        if (jp->p < jp->end && *jp->p == ',') {
            jp->p++;
            continue;
        }

        if (jp->p < jp->end && *jp->p == '}') {
            *hint = (uint8_t) (v->len < JSON_HINT ? v->len : JSON_HINT - 1);
            jp->p++;
            jp->depth--;
            return 0;
        }

        return json_expected(jp, "comma or object end");
    }
}


static int
json_array(json_parser_t *jp, value_t *v)
{
    spans_list_t  *list;

    if (json_enter(jp) != 0) {
        return -1;
    }

    list = (jp->depth == 2) ? jp->list : NULL;

    value_set_array(v);
    jp->p++;
    json_space(jp);

    if (jp->p < jp->end && *jp->p == ']') {
        jp->p++;
        jp->depth--;
        return 0;
    }

    for ( ;; ) {
        if (list != NULL) {
            json_space(jp);
            spans_item(jp->spans, list, (size_t) (jp->p - jp->start));
        }

        if (json_value(jp, value_append(jp->arena, v)) != 0) {
            return -1;
        }

        json_space(jp);

        if (jp->p < jp->end && *jp->p == ',') {
            jp->p++;
            continue;
        }

        if (jp->p < jp->end && *jp->p == ']') {
            if (list != NULL) {
                spans_close(jp->spans, list, (size_t) (jp->p - jp->start));
            }

            jp->p++;
            jp->depth--;
            return 0;
        }

        return json_expected(jp, "comma or array end");
    }
}


static int
json_key(json_parser_t *jp, const char **s, size_t *len)
{
    const char  *p, *first;

    first = jp->p + 1;

    for (p = first; p < jp->end && *p != '"'; p++) {
        if (*p == '\\' || *p == '\n' || *p == '\0') {
            return json_string(jp, s, len);
        }
    }

    if (p == jp->end) {
        return json_string(jp, s, len);
    }

    *len = (size_t) (p - first);
    *s = keys_share(&jp->keys, jp->arena, first, *len);
    jp->p = p + 1;

    return 0;
}


static int
json_string(json_parser_t *jp, const char **s, size_t *len)
{
    bool         escaped;
    const char  *p, *first;

    first = jp->p + 1;
    escaped = false;

    for (p = first; p < jp->end && *p != '"' && *p != '\0'; p++) {
        if (*p == '\\') {
            escaped = true;

            if (++p == jp->end) {
                break;
            }
        }

        if (*p == '\n') {
            jp->line++;
        }
    }

    if (p >= jp->end || *p != '"') {
        return json_fail(jp, "unexpected end of string", jp->p);
    }

    jp->p = p + 1;

    if (escaped) {
        return json_unescape(jp, first, p, s, len);
    }

    *len = p - first;
    *s = arena_strndup(jp->arena, first, *len);

    return 0;
}


static int
json_unescape(json_parser_t *jp, const char *s, const char *last,
    const char **out, size_t *len)
{
    char        *to, *buf;
    const char  *found;

    static const char  from[] = "\"\\/bfnrt";
    static const char  into[] = "\"\\/\b\f\n\r\t";

    buf = arena_alloc(jp->arena, last - s + 1);
    to = buf;

    while (s < last) {
        if (*s != '\\') {
            *to++ = *s++;
            continue;
        }

        if (s[1] == 'u') {
            if (json_unicode(jp, &s, last, &to) != 0) {
                return -1;
            }

            continue;
        }

        found = s[1] == '\0' ? NULL : strchr(from, s[1]);
        if (found == NULL) {
            return json_fail(jp, "invalid escape code", s);
        }

        *to++ = into[found - from];
        s += 2;
    }

    *to = '\0';
    *out = buf;
    *len = to - buf;

    return 0;
}


static int
json_unicode(json_parser_t *jp, const char **s, const char *last, char **out)
{
    char        *to;
    unsigned     code, low;
    const char  *p;

    p = *s;
    to = *out;

    if (json_hex4(p, last, &code) != 0) {
        return json_fail(jp, "invalid unicode escape code", p);
    }

    p += 6;

    if (code >= 0xd800 && code <= 0xdfff) {
        if (code >= 0xdc00 || json_hex4(p, last, &low) != 0
            || low < 0xdc00 || low > 0xdfff)
        {
            return json_fail(jp, "invalid unicode escape code", *s);
        }

        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        p += 6;
    }

    if (code < 0x80) {
        *to++ = (char) code;

    } else if (code < 0x800) {
        *to++ = (char) (0xc0 | (code >> 6));
        *to++ = (char) (0x80 | (code & 0x3f));

    } else if (code < 0x10000) {
        *to++ = (char) (0xe0 | (code >> 12));
        *to++ = (char) (0x80 | ((code >> 6) & 0x3f));
        *to++ = (char) (0x80 | (code & 0x3f));

    } else {
        *to++ = (char) (0xf0 | (code >> 18));
        *to++ = (char) (0x80 | ((code >> 12) & 0x3f));
        *to++ = (char) (0x80 | ((code >> 6) & 0x3f));
        *to++ = (char) (0x80 | (code & 0x3f));
    }

    *s = p;
    *out = to;

    return 0;
}


/* \uXXXX at s */

static int
json_hex4(const char *s, const char *last, unsigned *code)
{
    int       i;
    char      c;
    unsigned  n;

    if (last - s < 6 || s[0] != '\\' || s[1] != 'u') {
        return -1;
    }

    n = 0;

    for (i = 2; i < 6; i++) {
        c = s[i];

        if (c >= '0' && c <= '9') {
            n = n * 16 + (unsigned) (c - '0');

        } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
            n = n * 16 + (unsigned) ((c | 0x20) - 'a' + 10);

        } else {
            return -1;
        }
    }

    *code = n;

    return 0;
}


static int
json_number(json_parser_t *jp, value_t *v)
{
    char         buf[JSON_MAX_NUMBER];
    size_t       len, digits;
    double       n;
    uint64_t     integer;
    const char  *p;

    p = jp->p;
    integer = 0;

    if (*p == '-') {
        p++;
    }

    for (digits = 0; p < jp->end && *p >= '0' && *p <= '9'; p++) {
        integer = integer * 10 + (uint64_t) (*p - '0');
        digits++;
    }

    if (digits == 0 || (digits > 1 && p[-(ptrdiff_t) digits] == '0')) {
        return json_fail(jp, "invalid number", jp->p);
    }

    if (digits <= 15
        && (p == jp->end || (*p != '.' && (*p | 0x20) != 'e')))
    {
        n = (double) integer;
        value_set_number(v, *jp->p == '-' ? -n : n);
        jp->p = p;
        return 0;
    }

    if (p < jp->end && *p == '.') {
        for (p++, digits = 0; p < jp->end && *p >= '0' && *p <= '9'; p++) {
            digits++;
        }
    }

    if (digits != 0 && p < jp->end && (*p | 0x20) == 'e') {
        p++;

        if (p < jp->end && (*p == '+' || *p == '-')) {
            p++;
        }

        for (digits = 0; p < jp->end && *p >= '0' && *p <= '9'; p++) {
            digits++;
        }
    }

    len = p - jp->p;

    if (digits == 0 || len >= sizeof(buf)) {
        return json_fail(jp, "invalid number", jp->p);
    }

    memcpy(buf, jp->p, len);
    buf[len] = '\0';
    n = strtod(buf, NULL);

    if (!isfinite(n)) {
        return json_fail(jp, "invalid number", jp->p);
    }

    value_set_number(v, n);
    jp->p = p;

    return 0;
}


static int
json_word(json_parser_t *jp, value_t *v)
{
    size_t  left;

    left = jp->end - jp->p;

    if (left >= 4 && memcmp(jp->p, "true", 4) == 0) {
        value_set_bool(v, true);
        jp->p += 4;
        return 0;
    }

    if (left >= 5 && memcmp(jp->p, "false", 5) == 0) {
        value_set_bool(v, false);
        jp->p += 5;
        return 0;
    }

    if (left >= 4 && memcmp(jp->p, "null", 4) == 0) {
        value_set_null(v);
        jp->p += 4;
        return 0;
    }

    return json_expected(jp, "value");
}


static void
json_space(json_parser_t *jp)
{
    for ( /* void */ ; jp->p < jp->end; jp->p++) {
        switch (*jp->p) {

        case '\n':
            jp->line++;
            break;

        case ' ': case '\t': case '\r':
            break;

        default:
            return;
        }
    }
}


static int
json_enter(json_parser_t *jp)
{
    if (++jp->depth > JSON_MAX_DEPTH) {
        jp->err = arena_printf(jp->arena, "Found too many nested data "
                               "structures (%u)", jp->depth);
        return -1;
    }

    return 0;
}


static int
json_expected(json_parser_t *jp, const char *what)
{
    const char  *at, *found;

    at = jp->p;
    found = json_token(jp);

    if (found == NULL) {
        return -1;
    }

    jp->err = arena_printf(jp->arena,
                           "Expected %s but found %s at character %zu",
                           what, found, (size_t) (at - jp->start) + 1);

    return -1;
}


static int
json_fail(json_parser_t *jp, const char *what, const char *at)
{
    jp->err = arena_printf(jp->arena,
                           "Expected value but found %s at character %zu",
                           what, (size_t) (at - jp->start) + 1);

    return -1;
}


static const char *
json_token(json_parser_t *jp)
{
    value_t  v;

    if (jp->p == jp->end) {
        return "T_END";
    }

    switch (*jp->p) {

    case '{':
        return "T_OBJ_BEGIN";

    case '}':
        return "T_OBJ_END";

    case '[':
        return "T_ARR_BEGIN";

    case ']':
        return "T_ARR_END";

    case ',':
        return "T_COMMA";

    case ':':
        return "T_COLON";

    case '"':
        return "T_STRING";

    case '-':
    case '0': case '1': case '2': case '3': case '4':
    case '5': case '6': case '7': case '8': case '9':
        memset(&v, 0, sizeof(value_t));
        return json_number(jp, &v) == 0 ? "T_NUMBER" : NULL;

    default:
        return "invalid token";
    }
}
