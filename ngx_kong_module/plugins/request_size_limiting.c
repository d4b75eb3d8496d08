/*
 * request-size-limiting: bodies up to a size.  With a Content-Length the
 * answer is known at once.  Otherwise the body is counted while it comes in,
 * and reading stops with the first byte too many.
 */

#include "ngx_kong_plugin.h"


#define REQUEST_SIZE_EXCEEDED     "Request size limit exceeded"
#define REQUEST_SIZE_EXPECTATION  417


typedef struct {
    off_t     limit;
    unsigned  require_length:1;
} request_size_conf_t;


static void *request_size_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool);
static ngx_int_t request_size_access(ngx_http_request_t *r,
    ngx_kong_run_t *run);
static ngx_int_t request_size_length(ngx_http_request_t *r, off_t *length);
static ngx_int_t request_size_read(ngx_http_request_t *r,
    request_size_conf_t *conf);
static ngx_uint_t request_size_status(ngx_http_request_t *r);


const ngx_kong_plugin_t  ngx_kong_request_size_limiting = {
    .name = ngx_string("request-size-limiting"),
    .prepare = request_size_prepare,
    .access = request_size_access
};


static void *
request_size_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool)
{
    double                limit;
    ngx_str_t             unit;
    request_size_conf_t  *conf;

    conf = ngx_pcalloc(pool, sizeof(request_size_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    unit = ngx_kong_conf_str(in, "size_unit");
    limit = ngx_kong_conf_num(in, "allowed_payload_size", 128);

    if (unit.len == 0 || unit.data[0] == 'm') {
        limit *= 1024 * 1024;

    } else if (unit.data[0] == 'k') {
        limit *= 1024;
    }

    conf->limit = (limit < (double) NGX_MAX_OFF_T_VALUE / 2)
                  ? (off_t) limit : NGX_MAX_OFF_T_VALUE / 2;
    conf->require_length = ngx_kong_conf_flag(in, "require_content_length");

    return conf;
}


static ngx_int_t
request_size_access(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    off_t                 length;
    request_size_conf_t  *conf;

    conf = run->instance->conf;

    if (request_size_length(r, &length) == NGX_OK) {

        if (length > conf->limit) {
            return ngx_kong_exit_error(r, request_size_status(r),
                                       REQUEST_SIZE_EXCEEDED);
        }

        return NGX_OK;
    }

    if (conf->require_length && !r->headers_in.chunked) {
        return ngx_kong_exit_error(r, NGX_HTTP_LENGTH_REQUIRED,
                                   "A valid Content-Length header is "
                                   "required");
    }

    return request_size_read(r, conf);
}


/* a plugin before may have changed the body: nginx's number is kept in step */
static ngx_int_t
request_size_length(ngx_http_request_t *r, off_t *length)
{
    if (r->headers_in.chunked
        || ngx_kong_header_in(r, "content-length",
                              sizeof("content-length") - 1)
           == NULL
        || r->headers_in.content_length_n < 0)
    {
        return NGX_DECLINED;
    }

    *length = r->headers_in.content_length_n;

    return NGX_OK;
}


/* the limit stops the reading; a plugin before may have read already */
static ngx_int_t
request_size_read(ngx_http_request_t *r, request_size_conf_t *conf)
{
    off_t                 size;
    ngx_int_t             rc;
    ngx_str_t             body;
    ngx_chain_t          *cl;
    ngx_http_kong_ctx_t  *ctx;

    if (!r->headers_in.chunked) {
        return NGX_OK;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    if (!ctx->body_read) {
        ctx->body_limit.size = conf->limit;
        ctx->body_limit.status = request_size_status(r);
        ctx->body_limit.text = REQUEST_SIZE_EXCEEDED;
    }

    rc = ngx_kong_body(r, 0, &body);

    if (rc != NGX_OK && rc != NGX_DECLINED) {
        return rc;
    }

    if (r->request_body == NULL) {
        return NGX_OK;
    }

    size = 0;

    for (cl = r->request_body->bufs; cl != NULL; cl = cl->next) {
        size += ngx_buf_size(cl->buf);
    }

    if (size > conf->limit) {
        return ngx_kong_exit_error(r, request_size_status(r),
                                   REQUEST_SIZE_EXCEEDED);
    }

    return NGX_OK;
}


static ngx_uint_t
request_size_status(ngx_http_request_t *r)
{
    ngx_str_t         value;
    ngx_table_elt_t  *h;

    h = ngx_kong_header_in(r, "expect", sizeof("expect") - 1);

    if (h == NULL) {
        return NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
    }

    value = h->value;

    while (value.len != 0 && value.data[value.len - 1] == ' ') {
        value.len--;
    }

    return (value.len == sizeof("100-continue") - 1
            && ngx_strncasecmp(value.data, (u_char *) "100-continue",
                               value.len)
               == 0)
           ? REQUEST_SIZE_EXPECTATION
           : NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
}
