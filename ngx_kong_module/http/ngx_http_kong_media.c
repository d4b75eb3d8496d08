/*
 * Which of our error bodies does the client want?  Reads Accept as RFC 9110
 * has it, qualities included; what we do not have is answered in JSON.
 */

#include "../ngx_http_kong.h"


typedef struct {
    ngx_str_t    type;               /* what Accept names */
    ngx_uint_t   index;              /* NGX_KONG_TYPE_* */
} ngx_http_kong_media_t;


static size_t ngx_http_kong_media_length(ngx_http_request_t *r);
static ngx_uint_t ngx_http_kong_media_element(u_char *p, u_char *last,
    ngx_str_t *type);
static u_char *ngx_http_kong_media_token(u_char *p, u_char *last);
static ngx_uint_t ngx_http_kong_media_quality(u_char *p, u_char *last);


/* what is not here is answered in JSON */

static ngx_http_kong_media_t  ngx_http_kong_media_types[] = {
    { ngx_string("text/html"), NGX_KONG_TYPE_HTML },
    { ngx_string("text/plain"), NGX_KONG_TYPE_PLAIN },
    { ngx_string("text/*"), NGX_KONG_TYPE_PLAIN },
    { ngx_string("application/xml"), NGX_KONG_TYPE_XML },
    { ngx_null_string, 0 }
};


/* all Accept headers as one; empty when there is none */

ngx_int_t
ngx_http_kong_media_accept(ngx_http_request_t *r, ngx_str_t *accept)
{
    u_char           *p;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    ngx_str_null(accept);
    p = NULL;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].hash == 0
                || h[i].key.len != sizeof("accept") - 1
                || ngx_memcmp(h[i].lowcase_key, "accept",
                              sizeof("accept") - 1)
                   != 0)
            {
                continue;
            }

            if (accept->len == 0) {
                *accept = h[i].value;
                continue;
            }

            if (p == NULL) {
                p = ngx_pnalloc(r->pool, ngx_http_kong_media_length(r));
                if (p == NULL) {
                    return NGX_ERROR;
                }

                ngx_memcpy(p, accept->data, accept->len);
                accept->data = p;
                p += accept->len;
            }

            *p++ = ',';
            p = ngx_cpymem(p, h[i].value.data, h[i].value.len);
            accept->len = p - accept->data;
        }
    }

    return NGX_OK;
}


/* of all Accept headers, with a comma behind each */

static size_t
ngx_http_kong_media_length(ngx_http_request_t *r)
{
    size_t            len;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    len = 0;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len == sizeof("accept") - 1
                && ngx_memcmp(h[i].lowcase_key, "accept",
                              sizeof("accept") - 1)
                   == 0)
            {
                len += h[i].value.len + 1;
            }
        }
    }

    return len;
}


/* the first of the types with the highest quality */

ngx_uint_t
ngx_http_kong_media_type(ngx_str_t *accept)
{
    u_char                 *p, *end, *last;
    ngx_str_t               type;
    ngx_uint_t              index, quality, best;
    ngx_http_kong_media_t  *media;

    index = NGX_KONG_TYPE_JSON;
    best = 0;

    p = accept->data;
    last = p + accept->len;

    while (p < last) {

        end = ngx_strlchr(p, last, ',');
        if (end == NULL) {
            end = last;
        }

        quality = ngx_http_kong_media_element(p, end, &type);

        if (quality > best) {
            best = quality;

            for (media = ngx_http_kong_media_types;
                 media->type.len;
                 media++)
            {
                if (media->type.len == type.len
                    && ngx_memcmp(media->type.data, type.data, type.len) == 0)
                {
                    break;
                }
            }

            index = media->type.len ? media->index : NGX_KONG_TYPE_JSON;
        }

        p = end + 1;
    }

    return index;
}


/* one element of Accept: its quality in thousands; 0 also when malformed */

static ngx_uint_t
ngx_http_kong_media_element(u_char *p, u_char *last, ngx_str_t *type)
{
    u_char      *name;
    ngx_uint_t   quality;

    while (p < last && (*p == ' ' || *p == '\t')) {
        p++;
    }

    type->data = p;

    p = ngx_http_kong_media_token(p, last);
    if (p == NULL || p == last || *p != '/') {
        return 0;
    }

    p = ngx_http_kong_media_token(p + 1, last);
    if (p == NULL) {
        return 0;
    }

    type->len = p - type->data;
    quality = 1000;

    for ( ;; ) {

        while (p < last && (*p == ' ' || *p == '\t')) {
            p++;
        }

        if (p == last || *p != ';') {
            return quality;
        }

        p++;

        while (p < last && (*p == ' ' || *p == '\t')) {
            p++;
        }

        name = p;

        while (p < last && *p != ';') {
            p++;
        }

        if (p - name >= 3 && (name[0] | 0x20) == 'q' && name[1] == '=') {
            quality = ngx_http_kong_media_quality(name + 2, p);
        }
    }
}


/* "*", or a name of two characters at least; NULL when it is neither */

static u_char *
ngx_http_kong_media_token(u_char *p, u_char *last)
{
    u_char  *start, c;

    if (p < last && *p == '*') {
        return p + 1;
    }

    start = p;

    while (p < last) {
        c = *p | 0x20;

        if (!((c >= 'a' && c <= 'z') || (*p >= '0' && *p <= '9')
              || (p > start
                  && ngx_strlchr((u_char *) "-!#$&^_+.",
                                 (u_char *) "-!#$&^_+." + 9, *p))))
        {
            break;
        }

        p++;
    }

    return p - start >= 2 ? p : NULL;
}


/* RFC 9110's qvalue in thousands; a malformed one says nothing: 1000 */

static ngx_uint_t
ngx_http_kong_media_quality(u_char *p, u_char *last)
{
    ngx_uint_t  quality, unit;

    if (*p != '0' && *p != '1') {
        return 1000;
    }

    quality = (*p++ - '0') * 1000;

    if (p < last && *p == '.') {
        p++;

        for (unit = 100;
             unit > 0 && p < last && *p >= '0' && *p <= '9';
             unit /= 10)
        {
            quality += (*p++ - '0') * unit;
        }
    }

    return ngx_min(quality, 1000);
}
