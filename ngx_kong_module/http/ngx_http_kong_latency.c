/*
 * Where a request's time went, as Kong counts it: for the log phase.
 */

#include "../ngx_http_kong.h"


void
ngx_http_kong_latency(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx,
    ngx_http_kong_latency_t *l)
{
    ngx_time_t      *tp;
    ngx_msec_int_t   since;

    tp = ngx_timeofday();

    l->request = (ngx_msec_int_t) ((tp->sec - r->start_sec) * 1000
                                   + ((ngx_msec_int_t) tp->msec
                                      - (ngx_msec_int_t) r->start_msec));
    l->request = ngx_max(l->request, 0);
    l->kong = 0;
    l->upstream = -1;

    if (ctx->header_start == 0) {
        return;
    }

    since = ctx->header_start;

    if (ctx->proxied) {
        since = ctx->proxy_start;
        l->upstream = ngx_max((ngx_msec_int_t) (ctx->header_start
                                                - ctx->proxy_start), 0);
    }

    l->kong = l->request - ((ngx_msec_int_t) ngx_current_msec - since);
    l->kong = ngx_max(l->kong, 0);
}


ngx_uint_t
ngx_http_kong_from_service(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx)
{
    return ctx->proxied && !ctx->answered && r->err_status == 0;
}


ngx_uint_t
ngx_http_kong_status(ngx_http_request_t *r)
{
    return r->err_status ? r->err_status : r->headers_out.status;
}
