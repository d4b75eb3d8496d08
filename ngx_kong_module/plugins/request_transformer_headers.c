/*
 * request-transformer: the changes to headers.  Those that belong to one hop,
 * and those that the gateway writes itself, are nobody's to change.
 */

#include "request_transformer.h"


static ngx_uint_t rt_header_fixed(ngx_str_t *lower);
static ngx_uint_t rt_header_has(ngx_http_request_t *r, ngx_str_t *lower);
static ngx_int_t rt_header_rename(ngx_http_request_t *r, rt_item_t *item,
    ngx_str_t *to);
static ngx_int_t rt_header_set(ngx_http_request_t *r, rt_item_t *item,
    ngx_str_t *value, ngx_uint_t add);


const uint32_t  rt_unsafe_path[] = {
    0xffffffff, 0x50000005, 0x40000000, 0xb8000001,
    0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff
};

/* written anew for the upstream, whatever the request has */
static ngx_str_t  rt_fixed[] = {
    ngx_string("connection"), ngx_string("content-length"),
    ngx_string("keep-alive"), ngx_string("te"),
    ngx_string("transfer-encoding"), ngx_string("upgrade"),
    ngx_string("via"), ngx_string("x-forwarded-for"),
    ngx_string("x-forwarded-host"), ngx_string("x-forwarded-path"),
    ngx_string("x-forwarded-port"), ngx_string("x-forwarded-prefix"),
    ngx_string("x-forwarded-proto"), ngx_string("x-real-ip"),
    ngx_null_string
};


ngx_int_t
rt_header_list(ngx_http_request_t *r, ngx_uint_t op, rt_list_t *list,
    ngx_str_t *values)
{
    ngx_int_t    rc;
    ngx_str_t    value;
    ngx_uint_t   i, host;
    rt_item_t   *item;

    for (i = 0; i < list->n; i++) {

        item = &list->items[i];
        host = (item->lower.len == 4
                && ngx_memcmp(item->lower.data, "host", 4) == 0);

        /* only replace may set Host */

        if (rt_header_fixed(&item->lower) || (host && op != RT_REPLACE)
            || (op != RT_REMOVE && !item->has_value))
        {
            continue;
        }

        if (op == RT_REMOVE) {
            ngx_kong_header_in_clear(r, (char *) item->lower.data,
                                     item->lower.len);
            continue;
        }

        if (ngx_kong_escape(r->pool, &values[i], ngx_kong_unsafe_value,
                            &value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        rc = NGX_OK;

        switch (op) {

        case RT_RENAME:
            rc = rt_header_rename(r, item, &value);
            break;

        case RT_REPLACE:
            if (host || rt_header_has(r, &item->lower)) {
                rc = rt_header_set(r, item, &value, 0);
            }

            break;

        case RT_ADD:
            if (!rt_header_has(r, &item->lower)) {
                rc = rt_header_set(r, item, &value, 0);
            }

            break;

        default:
            rc = rt_header_set(r, item, &value, 1);
        }

        if (rc != NGX_OK) {
            return rc;
        }
    }

    return NGX_OK;
}


static ngx_uint_t
rt_header_fixed(ngx_str_t *lower)
{
    ngx_str_t  *f;

    for (f = rt_fixed; f->len; f++) {
        if (f->len == lower->len
            && ngx_memcmp(f->data, lower->data, lower->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* as templates see headers: "_" finds "-" too */
static ngx_uint_t
rt_header_has(ngx_http_request_t *r, ngx_str_t *lower)
{
    size_t  i;
    u_char  dashed[128];

    if (ngx_kong_header_in(r, (char *) lower->data, lower->len) != NULL) {
        return 1;
    }

    if (lower->len > sizeof(dashed)
        || ngx_strlchr(lower->data, lower->data + lower->len, '_') == NULL)
    {
        return 0;
    }

    for (i = 0; i < lower->len; i++) {
        dashed[i] = lower->data[i] == '_' ? '-' : lower->data[i];
    }

    return ngx_kong_header_in(r, (char *) dashed, lower->len) != NULL;
}


/* all values move; what had the other name goes */
static ngx_int_t
rt_header_rename(ngx_http_request_t *r, rt_item_t *item, ngx_str_t *to)
{
    ngx_str_t             lower, value;
    ngx_table_elt_t      *h;
    ngx_http_kong_ctx_t  *ctx;

    h = ngx_kong_header_in(r, (char *) item->lower.data, item->lower.len);

    if (h == NULL) {
        return NGX_OK;
    }

    lower.len = to->len;
    lower.data = ngx_pnalloc(r->pool, to->len + 1);
    if (lower.data == NULL) {
        return NGX_ERROR;
    }

    ngx_strlow(lower.data, to->data, to->len);

    if (lower.len == item->lower.len
        && ngx_memcmp(lower.data, item->lower.data, lower.len) == 0)
    {
        h->key = *to;
        return NGX_OK;
    }

    if (lower.len == 4 && ngx_memcmp(lower.data, "host", 4) == 0) {
        ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);
        ctx->upstream_host = h->value;

    } else if (!rt_header_fixed(&lower)) {

        ngx_kong_header_in_clear(r, (char *) lower.data, lower.len);

        for ( /* void */ ; h != NULL; h = ngx_kong_header_in(r,
                               (char *) item->lower.data, item->lower.len))
        {
            value = h->value;
            h->hash = 0;

            if (ngx_kong_header_in_add(r, to, &value) != NGX_OK) {
                return NGX_ERROR;
            }
        }
    }

    ngx_kong_header_in_clear(r, (char *) item->lower.data, item->lower.len);

    return NGX_OK;
}


static ngx_int_t
rt_header_set(ngx_http_request_t *r, rt_item_t *item, ngx_str_t *value,
    ngx_uint_t add)
{
    ngx_http_kong_ctx_t  *ctx;

    if (item->lower.len == 4 && ngx_memcmp(item->lower.data, "host", 4) == 0) {
        ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);
        ctx->upstream_host = *value;
        return NGX_OK;
    }

    return add ? ngx_kong_header_in_add(r, &item->name, value)
               : ngx_kong_header_in_set(r, &item->name, value);
}
