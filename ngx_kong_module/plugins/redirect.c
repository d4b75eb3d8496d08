/*
 * redirect: an answer that points elsewhere, if wanted with the path and the
 * query of the request.
 */

#include "ngx_kong_plugin.h"


typedef struct {
    ngx_uint_t  status;
    ngx_str_t   location;
    ngx_str_t   head;                    /* of it: scheme and authority */
    ngx_str_t   tail;                    /* its fragment, with the "#" */
    unsigned    keep_path:1;
} redirect_conf_t;


static void *redirect_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool);
static ngx_int_t redirect_access(ngx_http_request_t *r, ngx_kong_run_t *run);
static ngx_int_t redirect_location(ngx_http_request_t *r,
    redirect_conf_t *conf, ngx_str_t *location);


const ngx_kong_plugin_t  ngx_kong_redirect = {
    .name = ngx_string("redirect"),
    .prepare = redirect_prepare,
    .access = redirect_access
};


static void *
redirect_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool)
{
    u_char           *p, *last;
    redirect_conf_t  *conf;

    conf = ngx_pcalloc(pool, sizeof(redirect_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    conf->status = ngx_kong_conf_num(in, "status_code",
                                     NGX_HTTP_MOVED_PERMANENTLY);
    conf->location = ngx_kong_conf_str(in, "location");
    conf->keep_path = ngx_kong_conf_flag(in, "keep_incoming_path");

    /* the authority ends at the first of "/?#" behind "://" */

    p = conf->location.data;
    last = p + conf->location.len;

    p = ngx_strlcasestrn(p, last, (u_char *) "://", 2);
    p = (p == NULL) ? conf->location.data : p + 3;

    while (p < last && *p != '/' && *p != '?' && *p != '#') {
        p++;
    }

    conf->head.data = conf->location.data;
    conf->head.len = p - conf->location.data;

    p = ngx_strlchr(p, last, '#');

    if (p != NULL) {
        conf->tail.data = p;
        conf->tail.len = last - p;
    }

    return conf;
}


static ngx_int_t
redirect_access(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    static ngx_str_t  name = ngx_string("Location");
    static ngx_str_t  type = ngx_string("text/plain; charset=UTF-8");
    static ngx_str_t  body = ngx_string("redirecting");

    ngx_str_t         location;
    redirect_conf_t  *conf;

    conf = run->instance->conf;
    location = conf->location;

    if (conf->keep_path && redirect_location(r, conf, &location) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_kong_header_out_set(r, &name, &location) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_kong_exit(r, conf->status, &type, &body);
}


static ngx_int_t
redirect_location(ngx_http_request_t *r, redirect_conf_t *conf,
    ngx_str_t *location)
{
    u_char               *p;
    ngx_str_t             args;
    kong_str_t            path, base;
    ngx_http_kong_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);
    args = ctx->has_args ? ctx->args : r->args;

    base.data = "/";
    base.len = 1;
    path.data = (const char *) ctx->path.data;
    path.len = ctx->path.len;

    p = ngx_pnalloc(r->pool, conf->head.len
                             + kong_path_upstream_max(base, path) + 1
                             + args.len + conf->tail.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    location->data = p;

    p = ngx_cpymem(p, conf->head.data, conf->head.len);
    p += kong_path_upstream(base, path, 0, 0, 0, (char *) p);

    if (args.len != 0) {
        *p++ = '?';
        p = ngx_cpymem(p, args.data, args.len);
    }

    p = ngx_cpymem(p, conf->tail.data, conf->tail.len);

    location->len = p - location->data;

    return NGX_OK;
}
