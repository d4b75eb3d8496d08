/*
 * What consistent hashing hashes: hash_on, then hash_fallback, then nothing,
 * which is a value, too.  Done once a request; retries walk on from there.
 */

#include "ngx_http_kong_peer.h"
#include "../plugins/ngx_kong_plugin.h"

#include <sys/random.h>


#define NGX_HTTP_KONG_UUID_LEN  36
#define NGX_HTTP_KONG_ARGS_MAX  64


typedef struct {
    ngx_http_request_t       *request;
    ngx_http_kong_ctx_t      *ctx;
    const kong_segment_t     *seg;
    const kong_balancer_t    *balancer;
    ngx_str_t                 value;
} ngx_http_kong_hash_t;


static ngx_int_t ngx_http_kong_hash_value(ngx_http_kong_hash_t *h,
    ngx_uint_t kind, uint32_t ref);
static ngx_int_t ngx_http_kong_hash_consumer(ngx_http_kong_hash_t *h);
static ngx_int_t ngx_http_kong_hash_header(ngx_http_kong_hash_t *h,
    ngx_str_t *name);
static ngx_int_t ngx_http_kong_hash_cookie(ngx_http_kong_hash_t *h,
    ngx_str_t *name);
static void ngx_http_kong_hash_uuid(u_char *out);
static ngx_int_t ngx_http_kong_hash_arg(ngx_http_kong_hash_t *h,
    ngx_str_t *name);
static int ngx_libc_cdecl ngx_http_kong_hash_by_value(const void *one,
    const void *two);
static ngx_int_t ngx_http_kong_hash_capture(ngx_http_kong_hash_t *h,
    ngx_str_t *name);


ngx_int_t
ngx_http_kong_hash(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx,
    const kong_segment_t *seg, const kong_balancer_t *b, uint32_t *hash)
{
    ngx_int_t             rc;
    ngx_http_kong_hash_t  h;

    h.request = r;
    h.ctx = ctx;
    h.seg = seg;
    h.balancer = b;
    ngx_str_null(&h.value);

    rc = ngx_http_kong_hash_value(&h, b->hash_on, b->hash_name);

    if (rc == NGX_DECLINED) {
        rc = ngx_http_kong_hash_value(&h, b->hash_fallback, b->fallback_name);
    }

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    *hash = kong_ring_hash((const char *) h.value.data, h.value.len);

    return NGX_OK;
}


/* NGX_DECLINED: the request has none */

static ngx_int_t
ngx_http_kong_hash_value(ngx_http_kong_hash_t *h, ngx_uint_t kind,
    uint32_t ref)
{
    ngx_str_t   name;
    kong_str_t  s;

    s = kong_segment_str(h->seg, ref);
    name.data = (u_char *) s.data;
    name.len = s.len;

    switch (kind) {

    case KONG_HASH_CONSUMER:
        return ngx_http_kong_hash_consumer(h);

    case KONG_HASH_IP:
        h->value = h->request->connection->addr_text;
        return NGX_OK;

    case KONG_HASH_HEADER:
        return ngx_http_kong_hash_header(h, &name);

    case KONG_HASH_COOKIE:
        return ngx_http_kong_hash_cookie(h, &name);

    case KONG_HASH_PATH:
        h->value = h->request->uri;
        return NGX_OK;

    case KONG_HASH_QUERY_ARG:
        return ngx_http_kong_hash_arg(h, &name);

    case KONG_HASH_URI_CAPTURE:
        return ngx_http_kong_hash_capture(h, &name);

    default:
        return NGX_DECLINED;
    }
}


static ngx_int_t
ngx_http_kong_hash_consumer(ngx_http_kong_hash_t *h)
{
    char                  text[37];
    const uint8_t        *id;
    ngx_http_kong_ctx_t  *ctx;

    ctx = h->ctx;

    if (ctx->consumer != KONG_NONE) {
        id = kong_consumer(&ctx->generation->config->seg, ctx->consumer)->id;

    } else if (ctx->credential != NULL) {
        id = ctx->credential->id;

    } else {
        return NGX_DECLINED;
    }

    kong_uuid_text(id, text);

    h->value.len = NGX_HTTP_KONG_UUID_LEN;
    h->value.data = ngx_pnalloc(h->request->pool, NGX_HTTP_KONG_UUID_LEN);
    if (h->value.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(h->value.data, text, NGX_HTTP_KONG_UUID_LEN);

    return NGX_OK;
}


static ngx_int_t
ngx_http_kong_hash_header(ngx_http_kong_hash_t *h, ngx_str_t *name)
{
    ngx_table_elt_t  *header;

    header = ngx_kong_header_in(h->request, (const char *) name->data,
                                name->len);
    if (header == NULL) {
        return NGX_DECLINED;
    }

    h->value = header->value;

    return NGX_OK;
}


/* who has no cookie gets one; `Same-Site` is Kong's spelling */

static ngx_int_t
ngx_http_kong_hash_cookie(ngx_http_kong_hash_t *h, ngx_str_t *name)
{
    u_char      *p;
    size_t       len;
    ngx_str_t    header = ngx_string("Set-Cookie");
    ngx_str_t    value;
    kong_str_t   path;

    if (ngx_kong_cookie(h->request, name, &h->value) == NGX_OK) {
        return NGX_OK;
    }

    path = kong_segment_str(h->seg, h->balancer->cookie_path);
    len = name->len + NGX_HTTP_KONG_UUID_LEN + path.len
          + sizeof("=; Path=; Same-Site=Lax; HttpOnly");

    value.data = ngx_pnalloc(h->request->pool, len);
    if (value.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(value.data, name->data, name->len);
    *p++ = '=';

    h->value.data = p;
    h->value.len = NGX_HTTP_KONG_UUID_LEN;
    ngx_http_kong_hash_uuid(p);

    p = ngx_cpymem(p + NGX_HTTP_KONG_UUID_LEN, "; Path=",
                   sizeof("; Path=") - 1);
    p = ngx_cpymem(p, path.data, path.len);
    p = ngx_cpymem(p, "; Same-Site=Lax; HttpOnly",
                   sizeof("; Same-Site=Lax; HttpOnly") - 1);
    value.len = p - value.data;

    return ngx_http_kong_headers_add(h->request, (char *) header.data,
                                     header.len, value.data, value.len);
}


/* version 4 */

static void
ngx_http_kong_hash_uuid(u_char *out)
{
    char        text[37];
    uint8_t     id[16];
    ngx_uint_t  i;

    if (getrandom(id, sizeof(id), GRND_NONBLOCK) != (ssize_t) sizeof(id)) {
        for (i = 0; i < sizeof(id); i++) {
            id[i] = (uint8_t) ngx_random();
        }
    }

    id[6] = (uint8_t) ((id[6] & 0x0f) | 0x40);
    id[8] = (uint8_t) ((id[8] & 0x3f) | 0x80);

    kong_uuid_text(id, text);
    ngx_memcpy(out, text, NGX_HTTP_KONG_UUID_LEN);
}


/* several values are sorted and joined */

static ngx_int_t
ngx_http_kong_hash_arg(ngx_http_kong_hash_t *h, ngx_str_t *name)
{
    u_char      *p;
    size_t       len;
    ngx_int_t    rc;
    ngx_str_t    values[NGX_HTTP_KONG_ARGS_MAX];
    ngx_uint_t   i, n;

    for (n = 0, len = 0; n < NGX_HTTP_KONG_ARGS_MAX; n++) {

        rc = ngx_kong_arg(h->request, name, n, &values[n]);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc != NGX_OK) {
            break;
        }

        len += values[n].len + 1;
    }

    if (n == 0) {
        return NGX_DECLINED;
    }

    if (n == 1) {
        h->value = values[0];
        return NGX_OK;
    }

    ngx_qsort(values, n, sizeof(ngx_str_t), ngx_http_kong_hash_by_value);

    p = ngx_pnalloc(h->request->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    h->value.data = p;

    for (i = 0; i < n; i++) {
        p = ngx_cpymem(p, values[i].data, values[i].len);
        *p++ = ',';
    }

    h->value.len = p - 1 - h->value.data;

    return NGX_OK;
}


static int ngx_libc_cdecl
ngx_http_kong_hash_by_value(const void *one, const void *two)
{
    const ngx_str_t  *a, *b;

    a = one;
    b = two;

    return (int) ngx_memn2cmp(a->data, b->data, a->len, b->len);
}


/* by name or by number */

static ngx_int_t
ngx_http_kong_hash_capture(ngx_http_kong_hash_t *h, ngx_str_t *name)
{
    ngx_int_t            number;
    ngx_uint_t           i, n;
    ngx_kong_capture_t  *captures;

    if (ngx_kong_captures(h->request, &captures, &n) != NGX_OK) {
        return NGX_ERROR;
    }

    number = ngx_atoi(name->data, name->len);

    for (i = 0; i < n; i++) {

        if (captures[i].value.data != NULL
            && (number == (ngx_int_t) i
                || (captures[i].name.len != 0
                    && captures[i].name.len == name->len
                    && ngx_memcmp(captures[i].name.data, name->data,
                                  name->len)
                       == 0)))
        {
            h->value = captures[i].value;
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}
