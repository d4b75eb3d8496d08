/*
 * The request's headers as plugins see and change them.  The list that nginx
 * parsed is the only one: a removed header has hash 0 (the writer of the
 * upstream request skips it), an added one is pushed.  The few headers that
 * nginx keeps pointers to are kept in step.
 */

#include "ngx_kong_plugin.h"
#include "kong_authorization.h"


typedef struct {
    ngx_str_t   name;
    ngx_uint_t  offset;
} ngx_kong_known_header_t;


static ngx_table_elt_t *ngx_kong_header_in_next(ngx_list_part_t **part,
    ngx_uint_t *i, const char *lower, size_t len);
static void ngx_kong_header_in_known(ngx_http_request_t *r,
    const char *lower, size_t len, ngx_table_elt_t *h);


#define ngx_kong_known(name, field)                                           \
    { ngx_string(name), offsetof(ngx_http_headers_in_t, field) }

/* single pointers in every nginx from 1.22 on */
static const ngx_kong_known_header_t  ngx_kong_known_headers[] = {
    ngx_kong_known("host", host),
    ngx_kong_known("user-agent", user_agent),
    ngx_kong_known("content-type", content_type),
    ngx_kong_known("authorization", authorization),
    ngx_kong_known("upgrade", upgrade),
    ngx_kong_known("transfer-encoding", transfer_encoding),
    ngx_kong_known("te", te),
    { ngx_null_string, 0 }
};


ngx_table_elt_t *
ngx_kong_header_in(ngx_http_request_t *r, const char *lower, size_t len)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;

    part = &r->headers_in.headers.part;
    i = 0;

    return ngx_kong_header_in_next(&part, &i, lower, len);
}


ngx_uint_t
ngx_kong_header_in_count(ngx_http_request_t *r, const char *lower, size_t len)
{
    ngx_uint_t        i, n;
    ngx_list_part_t  *part;

    part = &r->headers_in.headers.part;

    for (i = 0, n = 0;
         ngx_kong_header_in_next(&part, &i, lower, len) != NULL;
         n++)
    {
        /* void */
    }

    return n;
}


void
ngx_kong_header_in_clear(ngx_http_request_t *r, const char *lower, size_t len)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    part = &r->headers_in.headers.part;
    i = 0;

    while ((h = ngx_kong_header_in_next(&part, &i, lower, len)) != NULL) {
        h->hash = 0;
    }

    ngx_kong_header_in_known(r, lower, len, NULL);
}


ngx_int_t
ngx_kong_header_in_add(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_in.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    if (ngx_kong_escape(r->pool, name, ngx_kong_unsafe_name, &h->key)
        != NGX_OK
        || ngx_kong_escape(r->pool, value, ngx_kong_unsafe_value, &h->value)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    h->lowcase_key = ngx_pnalloc(r->pool, h->key.len);
    if (h->lowcase_key == NULL) {
        return NGX_ERROR;
    }

    ngx_strlow(h->lowcase_key, h->key.data, h->key.len);

    /* the client's Connection header has no say in it */
    h->hash = NGX_KONG_HEADER_OURS;

    ngx_kong_header_in_known(r, (char *) h->lowcase_key, h->key.len, h);

    return NGX_OK;
}


ngx_int_t
ngx_kong_header_in_set(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value)
{
    u_char  lower[128], *p;

    p = lower;

    if (name->len > sizeof(lower)) {
        p = ngx_pnalloc(r->pool, name->len);
        if (p == NULL) {
            return NGX_ERROR;
        }
    }

    ngx_strlow(p, name->data, name->len);
    ngx_kong_header_in_clear(r, (char *) p, name->len);

    return ngx_kong_header_in_add(r, name, value);
}


ngx_int_t
ngx_kong_cookie(ngx_http_request_t *r, ngx_str_t *name, ngx_str_t *value)
{
    ngx_uint_t        i;
    kong_str_t        s;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    part = &r->headers_in.headers.part;
    i = 0;

    while ((h = ngx_kong_header_in_next(&part, &i, "cookie", 6)) != NULL) {

        if (kong_cookie((char *) h->value.data, h->value.len,
                        (char *) name->data, name->len, &s))
        {
            value->data = (u_char *) s.data;
            value->len = s.len;
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


static ngx_table_elt_t *
ngx_kong_header_in_next(ngx_list_part_t **part, ngx_uint_t *i,
    const char *lower, size_t len)
{
    ngx_table_elt_t  *h;

    while (*part != NULL) {

        h = (*part)->elts;

        while (*i < (*part)->nelts) {
            (*i)++;

            if (h[*i - 1].hash != 0 && h[*i - 1].key.len == len
                && ngx_memcmp(h[*i - 1].lowcase_key, lower, len) == 0)
            {
                return &h[*i - 1];
            }
        }

        *part = (*part)->next;
        *i = 0;
    }

    return NULL;
}


static void
ngx_kong_header_in_known(ngx_http_request_t *r, const char *lower, size_t len,
    ngx_table_elt_t *h)
{
    const ngx_kong_known_header_t  *known;

    for (known = ngx_kong_known_headers; known->name.len; known++) {
        if (known->name.len == len
            && ngx_memcmp(known->name.data, lower, len) == 0)
        {
            *(ngx_table_elt_t **) ((char *) &r->headers_in + known->offset)
                = h;
            return;
        }
    }
}
