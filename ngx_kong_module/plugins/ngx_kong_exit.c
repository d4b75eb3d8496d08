/*
 * Answers that plugins make.  They are noted first and sent when the chain
 * has chosen all its instances (ngx_kong_exit_send).
 */

#include "ngx_kong_plugin.h"


static ngx_kong_exit_t *ngx_kong_exit_new(ngx_http_request_t *r,
    ngx_uint_t status);
static ngx_uint_t ngx_kong_exit_has_page(ngx_http_request_t *r,
    ngx_uint_t status);


ngx_int_t
ngx_kong_exit(ngx_http_request_t *r, ngx_uint_t status, ngx_str_t *type,
    ngx_str_t *body)
{
    ngx_kong_exit_t  *e;

    e = ngx_kong_exit_new(r, status);
    if (e == NULL) {
        return NGX_ERROR;
    }

    if (type != NULL) {
        e->type = *type;
    }

    if (body != NULL) {
        e->body = *body;
    }

    return NGX_DONE;
}


ngx_int_t
ngx_kong_exit_message(ngx_http_request_t *r, ngx_uint_t status,
    const char *text)
{
    u_char           *p;
    size_t            len, escape;
    ngx_kong_exit_t  *e;

    e = ngx_kong_exit_new(r, status);
    if (e == NULL) {
        return NGX_ERROR;
    }

    len = ngx_strlen(text);
    escape = ngx_escape_json(NULL, (u_char *) text, len);

    p = ngx_pnalloc(r->pool, sizeof("{\"message\":\"\"}") + len + escape);
    if (p == NULL) {
        return NGX_ERROR;
    }

    e->body.data = p;

    p = ngx_cpymem(p, "{\"message\":\"", sizeof("{\"message\":\"") - 1);
    p = (u_char *) ngx_escape_json(p, (u_char *) text, len);
    p = ngx_cpymem(p, "\"}", 2);

    e->body.len = p - e->body.data;
    ngx_str_set(&e->type, "application/json; charset=utf-8");

    return NGX_DONE;
}


ngx_int_t
ngx_kong_exit_error(ngx_http_request_t *r, ngx_uint_t status,
    const char *text)
{
    ngx_kong_exit_t  *e;

    e = ngx_kong_exit_new(r, status);
    if (e == NULL) {
        return NGX_ERROR;
    }

    e->error = text;

    return NGX_DONE;
}


static ngx_kong_exit_t *
ngx_kong_exit_new(ngx_http_request_t *r, ngx_uint_t status)
{
    ngx_http_kong_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    ctx->exit = ngx_pcalloc(r->pool, sizeof(ngx_kong_exit_t));

    if (ctx->exit != NULL) {
        ctx->exit->status = status;
    }

    return ctx->exit;
}


/* an empty answer gets the page of its status, when nginx.conf has one */
static ngx_uint_t
ngx_kong_exit_has_page(ngx_http_request_t *r, ngx_uint_t status)
{
    ngx_uint_t                 i;
    ngx_http_err_page_t       *page;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (clcf->error_pages == NULL) {
        return 0;
    }

    page = clcf->error_pages->elts;

    for (i = 0; i < clcf->error_pages->nelts; i++) {
        if (page[i].status == (ngx_int_t) status) {
            return 1;
        }
    }

    return 0;
}


/* called once, from the access phase; returns as an access handler does */
ngx_int_t
ngx_kong_exit_send(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx)
{
    ngx_buf_t        *b;
    ngx_int_t         rc;
    ngx_chain_t       out;
    ngx_kong_exit_t  *e;

    e = ctx->exit;

    if (e->error != NULL) {
        return ngx_http_kong_error_send(r, e->status, e->error);
    }

    if (e->body.len == 0 && e->type.len == 0
        && ngx_kong_exit_has_page(r, e->status))
    {
        return e->status;
    }

    ctx->answered = 1;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    r->headers_out.status = e->status;
    r->headers_out.content_length_n = e->head ? e->length
                                              : (off_t) e->body.len;

    if (ngx_kong_escape(r->pool, &e->type, ngx_kong_unsafe_value,
                        &r->headers_out.content_type)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.content_type_len = r->headers_out.content_type.len;

    b = NULL;

    if (e->body.len == 0) {
        r->header_only = 1;

    } else {
        b = ngx_calloc_buf(r->pool);
        if (b == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        b->pos = e->body.data;
        b->last = b->pos + e->body.len;
        b->memory = 1;
        b->last_buf = 1;
        b->last_in_chain = 1;
    }

    rc = ngx_http_send_header(r);

    if (rc != NGX_ERROR && rc <= NGX_OK && !r->header_only) {
        out.buf = b;
        out.next = NULL;
        rc = ngx_http_output_filter(r, &out);
    }

    ngx_http_finalize_request(r, rc);

    return NGX_DONE;
}
