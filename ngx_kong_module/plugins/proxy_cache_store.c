/*
 * proxy-cache: an answer on its way into the zone and out of it.  The head of
 * an entry is the length of the body (off_t, -1: not known), then each header
 * as the lengths of its name and value (uint32_t) and both texts.
 */

#include "proxy_cache.h"


#define PROXY_CACHE_BODY_MAX  (1024 * 1024)


static ngx_uint_t proxy_cache_keeps(ngx_http_request_t *r,
    ngx_table_elt_t *h);
static ngx_int_t proxy_cache_append(ngx_http_request_t *r,
    proxy_cache_state_t *state, ngx_buf_t *b);
static void proxy_cache_store(proxy_cache_conf_t *conf,
    proxy_cache_state_t *state);


/* of one hop, or made anew */
static ngx_str_t  proxy_cache_not_kept[] = {
    ngx_string("connection"),
    ngx_string("keep-alive"),
    ngx_string("proxy-authenticate"),
    ngx_string("proxy-authorization"),
    ngx_string("proxy-connection"),
    ngx_string("te"),
    ngx_string("trailer"),
    ngx_string("trailers"),
    ngx_string("transfer-encoding"),
    ngx_string("upgrade"),
    ngx_string("content-length"),
    ngx_string("age"),
    ngx_string("via"),
    ngx_string("x-cache-status"),
    ngx_string("x-cache-key"),
    ngx_null_string
};


ngx_int_t
proxy_cache_begin(ngx_http_request_t *r, proxy_cache_conf_t *conf,
    proxy_cache_state_t *state)
{
    u_char           *p;
    off_t             length;
    size_t            size;
    uint32_t          len[2];
    ngx_uint_t        i, pass;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    p = NULL;
    size = sizeof(length);

    /* once for the size, once to copy */

    for (pass = 0; pass < 2; pass++) {

        for (part = &r->upstream->headers_in.headers.part; part;
             part = part->next)
        {
            h = part->elts;

            for (i = 0; i < part->nelts; i++) {

                if (!proxy_cache_keeps(r, &h[i])) {
                    continue;
                }

                len[0] = h[i].key.len;
                len[1] = h[i].value.len;

                if (pass == 0) {
                    size += sizeof(len) + len[0] + len[1];
                    continue;
                }

                p = ngx_cpymem(p, len, sizeof(len));
                p = ngx_cpymem(p, h[i].key.data, len[0]);
                p = ngx_cpymem(p, h[i].value.data, len[1]);
            }
        }

        if (pass == 0) {
            p = ngx_pnalloc(r->pool, size);
            if (p == NULL) {
                return NGX_ERROR;
            }

            state->entry.head.data = p;
            state->entry.head.len = size;

            length = r->headers_out.content_length_n;
            p = ngx_cpymem(p, &length, sizeof(length));
        }
    }

    state->entry.status = r->headers_out.status;
    state->length = r->headers_out.content_length_n;
    state->last = &state->body;
    state->storing = (state->length <= PROXY_CACHE_BODY_MAX);

    if (r->method == NGX_HTTP_HEAD
        || r->headers_out.status == NGX_HTTP_NO_CONTENT)
    {
        state->length = -1;
        state->storing = 1;
        proxy_cache_store(conf, state);
    }

    return NGX_OK;
}


static ngx_uint_t
proxy_cache_keeps(ngx_http_request_t *r, ngx_table_elt_t *h)
{
    u_char           *p, *last;
    ngx_str_t        *name;
    ngx_table_elt_t  *connection;

    if (h->hash == 0
        || (h->key.len >= sizeof("X-Accel-") - 1
            && ngx_strncasecmp(h->key.data, (u_char *) "x-accel-",
                               sizeof("X-Accel-") - 1)
               == 0))
    {
        return 0;
    }

    for (name = proxy_cache_not_kept; name->len != 0; name++) {
        if (name->len == h->key.len
            && ngx_strncasecmp(name->data, h->key.data, name->len) == 0)
        {
            return 0;
        }
    }

    if (h->key.len >= sizeof("ratelimit-remaining") - 1
        && ngx_strlcasestrn(h->key.data, h->key.data + h->key.len,
                            (u_char *) "ratelimit-remaining",
                            sizeof("ratelimit-remaining") - 2)
           != NULL)
    {
        return 0;
    }

    connection = r->upstream->headers_in.connection;

    if (connection == NULL) {
        return 1;
    }

    p = connection->value.data;
    last = p + connection->value.len;

    return h->key.len > connection->value.len
           || ngx_strlcasestrn(p, last, h->key.data, h->key.len - 1) == NULL;
}


void
proxy_cache_take(ngx_http_request_t *r, proxy_cache_conf_t *conf,
    proxy_cache_state_t *state, ngx_chain_t *in)
{
    ngx_chain_t  *cl;

    for (cl = in; cl != NULL; cl = cl->next) {

        if (proxy_cache_append(r, state, cl->buf) != NGX_OK) {
            state->storing = 0;
            return;
        }

        if (cl->buf->last_buf) {
            proxy_cache_store(conf, state);
            return;
        }
    }
}


static ngx_int_t
proxy_cache_append(ngx_http_request_t *r, proxy_cache_state_t *state,
    ngx_buf_t *b)
{
    off_t         size;
    ngx_buf_t    *copy;
    ngx_chain_t  *cl;

    size = ngx_buf_special(b) ? 0 : ngx_buf_size(b);

    if (size == 0) {
        return NGX_OK;
    }

    if (size > (off_t) (PROXY_CACHE_BODY_MAX - state->size)) {
        return NGX_DECLINED;
    }

    copy = ngx_create_temp_buf(r->pool, size);
    cl = ngx_alloc_chain_link(r->pool);

    if (copy == NULL || cl == NULL) {
        return NGX_ERROR;
    }

    if (ngx_buf_in_memory(b)) {
        copy->last = ngx_cpymem(copy->pos, b->pos, size);

    } else if (ngx_read_file(b->file, copy->pos, size, b->file_pos)
               == (ssize_t) size)
    {
        copy->last = copy->pos + size;

    } else {
        return NGX_ERROR;
    }

    cl->buf = copy;
    cl->next = NULL;

    *state->last = cl;
    state->last = &cl->next;
    state->size += size;

    return NGX_OK;
}


static void
proxy_cache_store(proxy_cache_conf_t *conf, proxy_cache_state_t *state)
{
    state->storing = 0;

    if (state->length != -1 && state->length != (off_t) state->size) {
        return;
    }

    state->entry.stored = ngx_time();
    state->entry.expires = ngx_time() + (conf->storage_ttl
                                         ? conf->storage_ttl
                                         : state->entry.ttl)
                           + 1;

    (void) ngx_kong_cache_store(conf->zone, &state->entry, state->body);
}


ngx_int_t
proxy_cache_answer(ngx_http_request_t *r, proxy_cache_state_t *state)
{
    u_char               *p, *last;
    off_t                 length;
    uint32_t              len[2];
    ngx_int_t             rc;
    ngx_str_t             name, value, type;
    ngx_http_kong_ctx_t  *ctx;

    p = state->entry.head.data;
    last = p + state->entry.head.len;

    ngx_str_null(&type);

    ngx_memcpy(&length, p, sizeof(length));
    p += sizeof(length);

    while (p < last) {
        ngx_memcpy(len, p, sizeof(len));
        p += sizeof(len);

        name.data = p;
        name.len = len[0];
        p += len[0];

        value.data = p;
        value.len = len[1];
        p += len[1];

        if (name.len == sizeof("content-type") - 1
            && ngx_strncasecmp(name.data, (u_char *) "content-type", name.len)
               == 0)
        {
            type = value;

        } else if (ngx_kong_header_out_add(r, &name, &value) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);
    ctx->proxied = 1;
    ctx->proxy_start = ngx_current_msec;

    rc = ngx_kong_exit(r, state->entry.status, &type, &state->entry.body);

    if (rc == NGX_DONE && r->method == NGX_HTTP_HEAD) {
        ctx->exit->head = 1;
        ctx->exit->length = length;
    }

    return rc;
}
