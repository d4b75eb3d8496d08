/*
 * What plugins read and change of the request besides its headers: query
 * arguments and the body; and how a request waits for what a plugin asked.
 */

#include "ngx_kong_plugin.h"


static void ngx_kong_args(ngx_http_request_t *r, ngx_str_t *args);
static void ngx_kong_body_handler(ngx_http_request_t *r);
static ngx_int_t ngx_kong_body_join(ngx_http_request_t *r, size_t limit,
    ngx_str_t *body);


/* the query as it stands: a plugin before may have changed it */
static void
ngx_kong_args(ngx_http_request_t *r, ngx_str_t *args)
{
    ngx_http_kong_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    *args = ctx->has_args ? ctx->args : r->args;
}


ngx_int_t
ngx_kong_arg(ngx_http_request_t *r, ngx_str_t *name, ngx_uint_t nth,
    ngx_str_t *value)
{
    ngx_str_t  args;

    ngx_kong_args(r, &args);

    return ngx_kong_form_get(r->pool, &args, name, nth, value);
}


ngx_int_t
ngx_kong_arg_clear(ngx_http_request_t *r, ngx_str_t *name)
{
    ngx_str_t             args;
    ngx_http_kong_ctx_t  *ctx;

    ngx_kong_args(r, &args);

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    if (ngx_kong_form_clear(r->pool, &args, name, &ctx->args) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx->has_args = 1;

    return NGX_OK;
}


ngx_int_t
ngx_kong_body(ngx_http_request_t *r, size_t limit, ngx_str_t *body)
{
    ngx_int_t             rc;
    ngx_http_kong_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    if (!ctx->body_read) {

        r->request_body_no_buffering = 0;

        rc = ngx_http_read_client_request_body(r, ngx_kong_body_handler);

        if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {

            if (ctx->exit != NULL) {
                /* the answer of ctx->body_limit */
                return NGX_DONE;
            }

            return ngx_kong_exit_error(r, rc, rc == NGX_HTTP_BAD_REQUEST
                                              ? "Bad request"
                                              : "Payload too large");
        }

        ngx_http_finalize_request(r, NGX_DONE);

        return NGX_AGAIN;
    }

    return ngx_kong_body_join(r, limit, body);
}


static void
ngx_kong_body_handler(ngx_http_request_t *r)
{
    ngx_http_kong_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    ctx->body_read = 1;

    r->preserve_body = 1;
    r->write_event_handler = ngx_http_core_run_phases;

    ngx_http_core_run_phases(r);
}


static ngx_int_t
ngx_kong_body_join(ngx_http_request_t *r, size_t limit, ngx_str_t *body)
{
    size_t        len;
    u_char       *p;
    ssize_t       n;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    body->len = 0;
    body->data = (u_char *) "";

    if (r->request_body == NULL || r->request_body->bufs == NULL) {
        return NGX_OK;
    }

    len = 0;

    for (cl = r->request_body->bufs; cl != NULL; cl = cl->next) {
        len += ngx_buf_size(cl->buf);
    }

    if (len > limit) {
        return NGX_DECLINED;
    }

    cl = r->request_body->bufs;

    if (cl->next == NULL && ngx_buf_in_memory(cl->buf)) {
        body->data = cl->buf->pos;
        body->len = len;
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    body->data = p;
    body->len = len;

    for ( /* void */ ; cl != NULL; cl = cl->next) {
        b = cl->buf;

        if (ngx_buf_in_memory(b)) {
            p = ngx_cpymem(p, b->pos, b->last - b->pos);
            continue;
        }

        if (!b->in_file) {
            /* the end of the body, without bytes */
            continue;
        }

        n = ngx_read_file(b->file, p, b->file_last - b->file_pos,
                          b->file_pos);
        if (n != (ssize_t) (b->file_last - b->file_pos)) {
            return NGX_ERROR;
        }

        p += n;
    }

    return NGX_OK;
}


ngx_int_t
ngx_kong_body_set(ngx_http_request_t *r, ngx_str_t *body)
{
    static ngx_str_t  name = ngx_string("Content-Length");

    u_char       *p;
    ngx_buf_t    *b;
    ngx_str_t     value;
    ngx_chain_t  *cl;

    b = ngx_calloc_buf(r->pool);
    cl = ngx_alloc_chain_link(r->pool);
    p = ngx_pnalloc(r->pool, NGX_OFF_T_LEN);

    if (b == NULL || cl == NULL || p == NULL || r->request_body == NULL) {
        return NGX_ERROR;
    }

    b->pos = body->data;
    b->last = body->data + body->len;
    b->start = b->pos;
    b->end = b->last;
    b->memory = 1;
    b->last_buf = 1;

    cl->buf = b;
    cl->next = NULL;

    r->request_body->bufs = body->len ? cl : NULL;
    r->headers_in.content_length_n = body->len;
    r->headers_in.chunked = 0;

    value.data = p;
    value.len = ngx_sprintf(p, "%uz", body->len) - p;

    if (ngx_kong_header_in_set(r, &name, &value) != NGX_OK) {
        return NGX_ERROR;
    }

    r->headers_in.content_length = ngx_kong_header_in(r, "content-length",
                                                      14);
    ngx_kong_header_in_clear(r, "transfer-encoding", 17);

    return NGX_OK;
}


ngx_int_t
ngx_kong_suspend(ngx_http_request_t *r)
{
    ngx_event_t  *rev;

    /* the client's end is noticed */

    rev = r->connection->read;

    if (rev->ready) {
        ngx_post_event(rev, &ngx_posted_events);

    } else if (ngx_handle_read_event(rev, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    return NGX_AGAIN;
}


void
ngx_kong_resume(ngx_http_request_t *r)
{
    ngx_connection_t  *c;

    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_core_run_phases;

    ngx_http_core_run_phases(r);
    ngx_http_run_posted_requests(c);
}
