/*
 * The members of a JSON object.  The text is checked as a whole, then cut
 * into members; values that nobody changes are written as they came, so that
 * no number loses digits on its way.
 */

#include "ngx_kong_fields.h"


#define NGX_KONG_JSON_DEPTH  1000


static u_char *ngx_kong_json_value(u_char *p, u_char *last);
static u_char *ngx_kong_json_scalar(u_char *p, u_char *last);
static u_char *ngx_kong_json_number(u_char *p, u_char *last);
static u_char *ngx_kong_json_text(u_char *p, u_char *last);
static u_char *ngx_kong_json_space(u_char *p, u_char *last);
static ngx_int_t ngx_kong_json_name(ngx_pool_t *pool, ngx_str_t *raw,
    ngx_str_t *name);
static u_char *ngx_kong_json_utf8(u_char *dst, uint32_t ch);
static u_char *ngx_kong_json_compact(u_char *p, ngx_str_t *text);


ngx_int_t
ngx_kong_json_members(ngx_pool_t *pool, ngx_str_t *text,
    ngx_array_t **members)
{
    u_char             *p, *last, *end;
    ngx_kong_member_t  *m;

    last = text->data + text->len;
    p = ngx_kong_json_space(text->data, last);

    if (p == last || *p != '{') {
        return NGX_DECLINED;
    }

    end = ngx_kong_json_value(p, last);

    if (end == NULL || ngx_kong_json_space(end, last) != last) {
        return NGX_DECLINED;
    }

    *members = ngx_array_create(pool, 8, sizeof(ngx_kong_member_t));
    if (*members == NULL) {
        return NGX_ERROR;
    }

    /* well formed from here on */

    for (p = ngx_kong_json_space(p + 1, last); *p != '}';
         p = ngx_kong_json_space(p, last))
    {
        if (*p == ',') {
            p = ngx_kong_json_space(p + 1, last);
        }

        m = ngx_array_push(*members);
        if (m == NULL) {
            return NGX_ERROR;
        }

        ngx_memzero(m, sizeof(ngx_kong_member_t));

        m->raw.data = p;
        p = ngx_kong_json_text(p, last);
        m->raw.len = p - m->raw.data;

        if (ngx_kong_json_name(pool, &m->raw, &m->name) != NGX_OK) {
            return NGX_ERROR;
        }

        p = ngx_kong_json_space(p, last);
        p = ngx_kong_json_space(p + 1, last);

        m->value.data = p;
        p = ngx_kong_json_value(p, last);
        m->value.len = p - m->value.data;
    }

    return NGX_OK;
}


/* the end of the value at p, or NULL; no recursion, the depth is bounded */
static u_char *
ngx_kong_json_value(u_char *p, u_char *last)
{
    u_char      stack[NGX_KONG_JSON_DEPTH];
    ngx_uint_t  depth;

    depth = 0;

    for ( ;; ) {

        /* a value begins here */

        p = ngx_kong_json_space(p, last);

        if (p == last) {
            return NULL;
        }

        if (*p == '{' || *p == '[') {

            if (depth == NGX_KONG_JSON_DEPTH) {
                return NULL;
            }

            stack[depth++] = *p == '{' ? '}' : ']';
            p = ngx_kong_json_space(p + 1, last);

            if (p == last) {
                return NULL;
            }

            if (*p != stack[depth - 1]) {
                goto item;
            }

        } else {
            p = ngx_kong_json_scalar(p, last);

            if (p == NULL) {
                return NULL;
            }
        }

        /* behind a value, or at the end of an empty container */

        for ( ;; ) {

            if (depth == 0) {
                return p;
            }

            p = ngx_kong_json_space(p, last);

            if (p == last) {
                return NULL;
            }

            if (*p != stack[depth - 1]) {
                break;
            }

            p++;
            depth--;
        }

        if (*p != ',') {
            return NULL;
        }

        p = ngx_kong_json_space(p + 1, last);

    item:

        if (stack[depth - 1] == '}') {
            p = ngx_kong_json_text(p, last);

            if (p == NULL) {
                return NULL;
            }

            p = ngx_kong_json_space(p, last);

            if (p == last || *p++ != ':') {
                return NULL;
            }
        }
    }
}


static u_char *
ngx_kong_json_scalar(u_char *p, u_char *last)
{
    static ngx_str_t  words[] = {
        ngx_string("true"), ngx_string("false"), ngx_string("null"),
        ngx_null_string
    };

    ngx_str_t  *w;

    if (*p == '"') {
        return ngx_kong_json_text(p, last);
    }

    for (w = words; w->len; w++) {
        if ((size_t) (last - p) >= w->len
            && ngx_memcmp(p, w->data, w->len) == 0)
        {
            return p + w->len;
        }
    }

    return ngx_kong_json_number(p, last);
}


static u_char *
ngx_kong_json_number(u_char *p, u_char *last)
{
    u_char  *start;

#define ngx_kong_json_digits()                                                \
    for (start = p; p < last && *p >= '0' && *p <= '9'; p++) { /* void */ }   \
    if (p == start) {                                                         \
        return NULL;                                                          \
    }

    if (p < last && *p == '-') {
        p++;
    }

    ngx_kong_json_digits();

    if (*start == '0' && p - start > 1) {
        return NULL;
    }

    if (p < last && *p == '.') {
        p++;
        ngx_kong_json_digits();
    }

    if (p < last && (*p == 'e' || *p == 'E')) {
        p++;

        if (p < last && (*p == '+' || *p == '-')) {
            p++;
        }

        ngx_kong_json_digits();
    }

    return p;
}


/* the end of the string at p, or NULL */
static u_char *
ngx_kong_json_text(u_char *p, u_char *last)
{
    if (p == last || *p++ != '"') {
        return NULL;
    }

    while (p < last) {

        if (*p == '"') {
            return p + 1;
        }

        if (*p < 0x20) {
            return NULL;
        }

        if (*p++ != '\\') {
            continue;
        }

        if (p == last || *p == '\0'
            || ngx_strchr("\"\\/bfnrtu", *p) == NULL)
        {
            return NULL;
        }

        if (*p == 'u') {
            if (last - p < 5 || ngx_hextoi(p + 1, 4) == NGX_ERROR) {
                return NULL;
            }

            p += 4;
        }

        p++;
    }

    return NULL;
}


static u_char *
ngx_kong_json_space(u_char *p, u_char *last)
{
    while (p < last && (*p == ' ' || *p == '\t' || *p == CR || *p == LF)) {
        p++;
    }

    return p;
}


/* unescapes a checked string */
static ngx_int_t
ngx_kong_json_name(ngx_pool_t *pool, ngx_str_t *raw, ngx_str_t *name)
{
    u_char    *p, *last, *dst;
    uint32_t   ch, low;

    name->data = raw->data + 1;
    name->len = raw->len - 2;

    last = name->data + name->len;
    p = ngx_strlchr(name->data, last, '\\');

    if (p == NULL) {
        return NGX_OK;
    }

    p = name->data;

    dst = ngx_pnalloc(pool, name->len);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    name->data = dst;

    while (p < last) {

        if (*p != '\\') {
            *dst++ = *p++;
            continue;
        }

        p += 2;

        switch (p[-1]) {

        case 'b': *dst++ = '\b'; break;
        case 'f': *dst++ = '\f'; break;
        case 'n': *dst++ = LF; break;
        case 'r': *dst++ = CR; break;
        case 't': *dst++ = '\t'; break;

        case 'u':
            ch = (uint32_t) ngx_hextoi(p, 4);
            p += 4;

            if (ch >= 0xd800 && ch < 0xdc00 && last - p >= 6
                && p[0] == '\\' && p[1] == 'u')
            {
                low = (uint32_t) ngx_hextoi(p + 2, 4);

                if (low >= 0xdc00 && low < 0xe000) {
                    ch = 0x10000 + ((ch - 0xd800) << 10) + (low - 0xdc00);
                    p += 6;
                }
            }

            dst = ngx_kong_json_utf8(dst, ch);
            break;

        default:
            *dst++ = p[-1];
        }
    }

    name->len = dst - name->data;

    return NGX_OK;
}


static u_char *
ngx_kong_json_utf8(u_char *dst, uint32_t ch)
{
    if (ch < 0x80) {
        *dst++ = (u_char) ch;

    } else if (ch < 0x800) {
        *dst++ = (u_char) (0xc0 | (ch >> 6));
        *dst++ = (u_char) (0x80 | (ch & 0x3f));

    } else if (ch < 0x10000) {
        *dst++ = (u_char) (0xe0 | (ch >> 12));
        *dst++ = (u_char) (0x80 | ((ch >> 6) & 0x3f));
        *dst++ = (u_char) (0x80 | (ch & 0x3f));

    } else {
        *dst++ = (u_char) (0xf0 | (ch >> 18));
        *dst++ = (u_char) (0x80 | ((ch >> 12) & 0x3f));
        *dst++ = (u_char) (0x80 | ((ch >> 6) & 0x3f));
        *dst++ = (u_char) (0x80 | (ch & 0x3f));
    }

    return dst;
}


ngx_kong_member_t *
ngx_kong_json_member(ngx_array_t *members, ngx_str_t *name)
{
    ngx_uint_t          i;
    ngx_kong_member_t  *m;

    m = members->elts;

    for (i = members->nelts; i > 0; i--) {
        if (!m[i - 1].gone && m[i - 1].name.len == name->len
            && ngx_memcmp(m[i - 1].name.data, name->data, name->len) == 0)
        {
            return &m[i - 1];
        }
    }

    return NULL;
}


void
ngx_kong_json_remove(ngx_array_t *members, ngx_str_t *name)
{
    ngx_kong_member_t  *m;

    while ((m = ngx_kong_json_member(members, name)) != NULL) {
        m->gone = 1;
    }
}


ngx_uint_t
ngx_kong_json_rename(ngx_array_t *members, ngx_str_t *name, ngx_str_t *to)
{
    ngx_kong_member_t  *m;

    m = ngx_kong_json_member(members, name);

    if (m == NULL || (name->len == to->len
                      && ngx_memcmp(name->data, to->data, to->len) == 0))
    {
        return 0;
    }

    ngx_kong_json_remove(members, name);
    ngx_kong_json_remove(members, to);

    m->gone = 0;
    m->name = *to;
    ngx_str_null(&m->raw);

    return 1;
}


ngx_int_t
ngx_kong_json_set(ngx_array_t *members, ngx_str_t *name, ngx_str_t *value)
{
    ngx_kong_member_t  *m;

    m = ngx_kong_json_member(members, name);

    if (m != NULL) {
        ngx_kong_json_remove(members, name);
        m->gone = 0;

    } else {
        m = ngx_array_push(members);
        if (m == NULL) {
            return NGX_ERROR;
        }

        ngx_memzero(m, sizeof(ngx_kong_member_t));
        m->name = *name;
    }

    m->value = *value;

    return NGX_OK;
}


ngx_int_t
ngx_kong_json_append(ngx_pool_t *pool, ngx_array_t *members, ngx_str_t *name,
    ngx_str_t *value)
{
    u_char             *p, *end;
    ngx_str_t           old, joined;
    ngx_kong_member_t  *m;

    m = ngx_kong_json_member(members, name);

    ngx_str_null(&old);

    if (m != NULL && m->value.data[0] == '"') {
        old = m->value;

    } else if (m != NULL && m->value.data[0] == '[') {
        end = m->value.data + m->value.len - 1;

        old.data = ngx_kong_json_space(m->value.data + 1, end);
        old.len = end - old.data;

    } else if (m != NULL && m->value.data[0] == '{') {
        return NGX_OK;
    }

    p = ngx_pnalloc(pool, old.len + value->len + 3);
    if (p == NULL) {
        return NGX_ERROR;
    }

    joined.data = p;

    *p++ = '[';

    if (old.len != 0) {
        p = ngx_cpymem(p, old.data, old.len);
        *p++ = ',';
    }

    p = ngx_cpymem(p, value->data, value->len);
    *p++ = ']';

    joined.len = p - joined.data;

    return ngx_kong_json_set(members, name, &joined);
}


ngx_int_t
ngx_kong_json_string(ngx_pool_t *pool, ngx_str_t *text, ngx_str_t *json)
{
    u_char     *p;
    uintptr_t   escape;

    escape = ngx_escape_json(NULL, text->data, text->len);

    p = ngx_pnalloc(pool, text->len + escape + 2);
    if (p == NULL) {
        return NGX_ERROR;
    }

    json->data = p;
    json->len = text->len + escape + 2;

    *p++ = '"';
    p = (u_char *) ngx_escape_json(p, text->data, text->len);
    *p = '"';

    return NGX_OK;
}


ngx_int_t
ngx_kong_json_write(ngx_pool_t *pool, ngx_array_t *members, ngx_str_t *text)
{
    u_char             *p;
    size_t              len;
    ngx_uint_t          i;
    ngx_kong_member_t  *m;

    m = members->elts;
    len = 2;

    for (i = 0; i < members->nelts; i++) {
        if (m[i].gone) {
            continue;
        }

        if (m[i].raw.data == NULL
            && ngx_kong_json_string(pool, &m[i].name, &m[i].raw) != NGX_OK)
        {
            return NGX_ERROR;
        }

        len += m[i].raw.len + m[i].value.len + 2;
    }

    p = ngx_pnalloc(pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    text->data = p;
    *p++ = '{';

    for (i = 0; i < members->nelts; i++) {
        if (m[i].gone) {
            continue;
        }

        if (p[-1] != '{' || p - 1 != text->data) {
            *p++ = ',';
        }

        p = ngx_cpymem(p, m[i].raw.data, m[i].raw.len);
        *p++ = ':';
        p = ngx_kong_json_compact(p, &m[i].value);
    }

    *p++ = '}';
    text->len = p - text->data;

    return NGX_OK;
}


static u_char *
ngx_kong_json_compact(u_char *p, ngx_str_t *text)
{
    u_char  *s, *last, *end;

    s = text->data;
    last = s + text->len;

    while (s < last) {

        if (*s == '"') {
            end = ngx_kong_json_text(s, last);
            end = end ? end : last;
            p = ngx_cpymem(p, s, end - s);
            s = end;
            continue;
        }

        if (*s != ' ' && *s != '\t' && *s != CR && *s != LF) {
            *p++ = *s;
        }

        s++;
    }

    return p;
}
