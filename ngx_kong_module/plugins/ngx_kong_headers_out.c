/*
 * The answer's headers as plugins see and change them.  A removed one has
 * hash 0, as everywhere in nginx.  What nginx keeps beside the list
 * (Content-Type, Content-Length, pointers to some) is kept in step.
 */

#include "ngx_kong_plugin.h"


#define ngx_kong_name_is(name, len, text)                                     \
    ((len) == sizeof(text) - 1                                                \
     && ngx_strncasecmp((u_char *) (name), (u_char *) text, len) == 0)


static void ngx_kong_header_out_known(ngx_http_request_t *r, const char *name,
    size_t len, ngx_table_elt_t *h);


ngx_table_elt_t *
ngx_kong_header_out(ngx_http_request_t *r, const char *name, size_t len)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_out.headers.part; part != NULL;
         part = part->next)
    {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].hash != 0 && h[i].key.len == len
                && ngx_strncasecmp(h[i].key.data, (u_char *) name, len) == 0)
            {
                return &h[i];
            }
        }
    }

    return NULL;
}


void
ngx_kong_header_out_clear(ngx_http_request_t *r, const char *name, size_t len)
{
    ngx_table_elt_t  *h;

    while ((h = ngx_kong_header_out(r, name, len)) != NULL) {
        h->hash = 0;
    }

    if (ngx_kong_name_is(name, len, "content-type")) {
        ngx_str_null(&r->headers_out.content_type);
        r->headers_out.content_type_len = 0;
        r->headers_out.content_type_lowcase = NULL;
        ngx_str_null(&r->headers_out.charset);

    } else if (ngx_kong_name_is(name, len, "content-length")) {
        r->headers_out.content_length_n = -1;
    }

    ngx_kong_header_out_known(r, name, len, NULL);
}


ngx_int_t
ngx_kong_header_out_add(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value)
{
    ngx_str_t         key, text;
    ngx_table_elt_t  *h;

    if (ngx_kong_escape(r->pool, name, ngx_kong_unsafe_name, &key) != NGX_OK
        || ngx_kong_escape(r->pool, value, ngx_kong_unsafe_value, &text)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_kong_name_is(name->data, name->len, "content-type")) {
        r->headers_out.content_type = text;
        r->headers_out.content_type_len = text.len;
        r->headers_out.content_type_lowcase = NULL;
        return NGX_OK;
    }

    if (ngx_kong_name_is(name->data, name->len, "content-length")) {
        r->headers_out.content_length_n = ngx_atoof(value->data, value->len);
        return r->headers_out.content_length_n == NGX_ERROR ? NGX_ERROR
                                                            : NGX_OK;
    }

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->hash = 1;
    h->key = key;
    h->value = text;

    ngx_kong_header_out_known(r, (char *) name->data, name->len, h);

    return NGX_OK;
}


ngx_int_t
ngx_kong_header_out_set(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value)
{
    ngx_kong_header_out_clear(r, (char *) name->data, name->len);

    return ngx_kong_header_out_add(r, name, value);
}


static void
ngx_kong_header_out_known(ngx_http_request_t *r, const char *name,
    size_t len, ngx_table_elt_t *h)
{
    /* without these two nginx writes its own; a pointer to a removed one
     * keeps it from that */

    if (ngx_kong_name_is(name, len, "server")) {
        r->headers_out.server = h ? h : r->headers_out.server;

    } else if (ngx_kong_name_is(name, len, "date")) {
        r->headers_out.date = h ? h : r->headers_out.date;

    } else if (ngx_kong_name_is(name, len, "location")) {

        /* nginx would put its own host before a path */

        r->headers_out.location = (h != NULL && h->value.len != 0
                                   && h->value.data[0] == '/') ? NULL : h;

    } else if (ngx_kong_name_is(name, len, "content-encoding")) {
        r->headers_out.content_encoding = h;

    } else if (ngx_kong_name_is(name, len, "etag")) {
        r->headers_out.etag = h;
    }
}
