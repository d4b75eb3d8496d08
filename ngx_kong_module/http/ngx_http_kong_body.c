/*
 * A filter of request bodies: one that grows beyond what a plugin allows is
 * not read further.  The plugin's answer is noted; it is sent by the plugin
 * runtime, or as the page of the error that the reader is given.
 */

#include "../ngx_http_kong.h"
#include "../plugins/ngx_kong_plugin.h"


static ngx_int_t ngx_http_kong_body_limit(ngx_http_request_t *r,
    ngx_chain_t *in);


static ngx_http_request_body_filter_pt  ngx_http_next_request_body_filter;


ngx_int_t
ngx_http_kong_body_init(ngx_conf_t *cf)
{
    ngx_http_next_request_body_filter = ngx_http_top_request_body_filter;
    ngx_http_top_request_body_filter = ngx_http_kong_body_limit;

    return NGX_OK;
}


static ngx_int_t
ngx_http_kong_body_limit(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_chain_t            *cl;
    ngx_http_kong_ctx_t    *ctx;
    ngx_kong_body_limit_t  *limit;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    if (ctx == NULL || ctx->body_limit.text == NULL) {
        return ngx_http_next_request_body_filter(r, in);
    }

    limit = &ctx->body_limit;

    for (cl = in; cl != NULL; cl = cl->next) {
        limit->seen += ngx_buf_size(cl->buf);
    }

    if (limit->seen > limit->size) {
        (void) ngx_kong_exit_error(r, limit->status, limit->text);
        return NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
    }

    return ngx_http_next_request_body_filter(r, in);
}
