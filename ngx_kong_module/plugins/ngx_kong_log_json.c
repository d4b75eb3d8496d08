/*
 * See ngx_kong_log_json.h.  Members end with a comma, which the closing brace
 * takes back.
 */

#include "ngx_kong_log_json.h"


#define NGX_KONG_LOG_JSON_SIZE  4096     /* of the first buffer */
#define NGX_KONG_LOG_JSON_KEEP  65536    /* of one that is kept */


static void ngx_kong_log_json_text(ngx_kong_log_json_t *json,
    const u_char *p, size_t len, ngx_uint_t lower);
static size_t ngx_kong_log_json_special(u_char *to, const u_char *p,
    const u_char *last, size_t *read);
static size_t ngx_kong_log_json_utf8(const u_char *p, const u_char *last);


u_char *
ngx_kong_log_json_room(ngx_kong_log_json_t *json, size_t n)
{
    size_t   size;
    u_char  *data;

    if (json->failed) {
        return NULL;
    }

    if (json->size - json->len >= n) {
        return json->data + json->len;
    }

    size = ngx_max(2 * json->size, json->len + n);
    size = ngx_max(size, NGX_KONG_LOG_JSON_SIZE);

    data = realloc(json->data, size);
    if (data == NULL) {
        json->failed = 1;
        return NULL;
    }

    json->data = data;
    json->size = size;

    return data + json->len;
}


void
ngx_kong_log_json_clear(ngx_kong_log_json_t *json)
{
    json->len = 0;
    json->failed = 0;

    if (json->size > NGX_KONG_LOG_JSON_KEEP) {
        free(json->data);
        json->data = NULL;
        json->size = 0;
    }
}


void
ngx_kong_log_json_raw(ngx_kong_log_json_t *json, const void *p, size_t len)
{
    u_char  *to;

    to = ngx_kong_log_json_room(json, len);

    if (to != NULL && len != 0) {
        ngx_memcpy(to, p, len);
        json->len += len;
    }
}


void
ngx_kong_log_json_number(ngx_kong_log_json_t *json, uint64_t n)
{
    u_char  *to;

    to = ngx_kong_log_json_room(json, NGX_INT64_LEN);

    if (to != NULL) {
        json->len += ngx_http_kong_number(to, n) - to;
    }
}


void
ngx_kong_log_json_string(ngx_kong_log_json_t *json, const u_char *p,
    size_t len)
{
    ngx_kong_log_json_text(json, p, len, 0);
}


void
ngx_kong_log_json_name(ngx_kong_log_json_t *json, const u_char *p, size_t len)
{
    ngx_kong_log_json_text(json, p, len, 1);
    ngx_kong_log_json_put(json, ":");
}


void
ngx_kong_log_json_close(ngx_kong_log_json_t *json, u_char ch)
{
    if (json->len != 0 && json->data[json->len - 1] == ',') {
        json->len--;
    }

    ngx_kong_log_json_raw(json, &ch, 1);
}


/* a byte takes up to six, and so does what stands for a bad one */
static void
ngx_kong_log_json_text(ngx_kong_log_json_t *json, const u_char *p, size_t len,
    ngx_uint_t lower)
{
    size_t         n;
    u_char        *to;
    const u_char  *last;

    to = ngx_kong_log_json_room(json, 6 * len + 2);
    if (to == NULL) {
        return;
    }

    last = p + len;
    *to++ = '"';

    while (p < last) {

        if (*p >= ' ' && *p < 0x7f && *p != '"' && *p != '\\') {
            *to++ = lower ? ngx_tolower(*p) : *p;
            p++;
            continue;
        }

        to += ngx_kong_log_json_special(to, p, last, &n);
        p += n;
    }

    *to++ = '"';
    json->len = to - json->data;
}


/* returns what was written; *read is at least 1 */
static size_t
ngx_kong_log_json_special(u_char *to, const u_char *p, const u_char *last,
    size_t *read)
{
    size_t       n;
    const char  *at;

    static const char  chars[] = "\"\\\b\f\n\r\t";
    static const char  names[] = "\"\\bfnrt";

    *read = 1;

    if (*p < 0x80) {
        at = (*p != '\0') ? ngx_strchr(chars, *p) : NULL;

        if (at != NULL) {
            to[0] = '\\';
            to[1] = names[at - chars];
            return 2;
        }

        return ngx_sprintf(to, "\\u%04xd", (int) *p) - to;
    }

    n = ngx_kong_log_json_utf8(p, last);

    if (n == 0) {
        ngx_memcpy(to, "\\ufffd", 6);
        return 6;
    }

    ngx_memcpy(to, p, n);
    *read = n;

    return n;
}


/* the length of the character, or 0 when it is none */
static size_t
ngx_kong_log_json_utf8(const u_char *p, const u_char *last)
{
    size_t    i, n;
    uint32_t  c;

    static const uint32_t  least[] = { 0, 0, 0x80, 0x800, 0x10000 };

    n = (*p >= 0xf0) ? 4 : (*p >= 0xe0) ? 3 : 2;

    if (*p < 0xc2 || *p > 0xf4 || (size_t) (last - p) < n) {
        return 0;
    }

    c = *p & (0xff >> (n + 1));

    for (i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }

        c = c << 6 | (p[i] & 0x3f);
    }

    return (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
           ? 0 : n;
}
