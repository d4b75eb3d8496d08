/*
 * A service's upstream configuration: the location's ngx_http_upstream_conf_t
 * with the service's timeouts and TLS settings.  Made when the first request
 * needs it, once a worker and config segment; services with equal settings
 * share one, so that 100,000 services do not need 100,000 copies.
 */

#include "ngx_http_kong_upstream.h"

#define XXH_INLINE_ALL
#include <xxhash.h>


#define NGX_HTTP_KONG_CONF_BUCKETS  256


/* what decides that services share a configuration; without padding */
typedef struct {
    uint64_t                       tls;
    uintptr_t                      base;
    uint32_t                       connect;
    uint32_t                       send;
    uint32_t                       read;
    uint32_t                       reserved;
} ngx_http_kong_conf_key_t;

#if (NGX_HTTP_SSL)
typedef ngx_http_kong_tls_settings_t  ngx_http_kong_conf_tls_t;
#else
typedef ngx_uint_t                    ngx_http_kong_conf_tls_t;
#endif


static ngx_int_t ngx_http_kong_conf_tls(ngx_http_request_t *r,
    ngx_http_kong_ctx_t *ctx, ngx_http_kong_conf_tls_t *settings,
    uint64_t *id);
static ngx_http_kong_rt_t *ngx_http_kong_conf_create(ngx_http_request_t *r,
    ngx_kong_map_t *map, ngx_http_kong_conf_key_t *key,
    ngx_http_kong_conf_tls_t *settings);
static ngx_uint_t ngx_http_kong_conf_equal(ngx_http_kong_rt_t *rt,
    ngx_http_kong_conf_key_t *key);


ngx_http_kong_rt_t *
ngx_http_kong_rt_get(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx)
{
    ngx_uint_t                 i, n;
    ngx_kong_map_t            *map;
    ngx_http_kong_rt_t        *rt;
    const kong_service_t      *service;
    ngx_http_kong_conf_key_t   key;
    ngx_http_kong_conf_tls_t   settings;

    map = ctx->generation->config;
    service = ctx->service;

    i = service - map->seg.services;
    rt = map->services[i];

    if (rt != NULL && rt->base == r->upstream->conf) {
        return rt;
    }

    ngx_memzero(&key, sizeof(ngx_http_kong_conf_key_t));

    if (ngx_http_kong_conf_tls(r, ctx, &settings, &key.tls) != NGX_OK) {
        return NULL;
    }

    key.base = (uintptr_t) r->upstream->conf;
    key.connect = service->connect_timeout;
    key.send = service->send_timeout;
    key.read = service->read_timeout;

    if (map->confs == NULL) {
        map->confs = ngx_pcalloc(map->pool, NGX_HTTP_KONG_CONF_BUCKETS
                                            * sizeof(ngx_http_kong_rt_t *));
        if (map->confs == NULL) {
            return NULL;
        }
    }

    n = XXH3_64bits(&key, sizeof(ngx_http_kong_conf_key_t))
        % NGX_HTTP_KONG_CONF_BUCKETS;

    for (rt = map->confs[n]; rt != NULL; rt = rt->next) {
        if (ngx_http_kong_conf_equal(rt, &key)) {
            break;
        }
    }

    if (rt == NULL) {
        rt = ngx_http_kong_conf_create(r, map, &key, &settings);
        if (rt == NULL) {
            return NULL;
        }

        rt->next = map->confs[n];
        map->confs[n] = rt;
    }

    map->services[i] = rt;

    return rt;
}


static ngx_int_t
ngx_http_kong_conf_tls(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx,
    ngx_http_kong_conf_tls_t *settings, uint64_t *id)
{
    if (!(ctx->service->protocol & (KONG_PROTO_HTTPS|KONG_PROTO_GRPCS))) {
        *id = 0;
        return NGX_OK;
    }

#if (NGX_HTTP_SSL)

    ngx_http_kong_tls_settings(&ctx->generation->config->seg, ctx->service,
                               settings);
    *id = ngx_http_kong_tls_id(settings);

    return NGX_OK;

#else

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "the service needs TLS, but nginx was built without it");
    return NGX_ERROR;

#endif
}


static ngx_http_kong_rt_t *
ngx_http_kong_conf_create(ngx_http_request_t *r, ngx_kong_map_t *map,
    ngx_http_kong_conf_key_t *key, ngx_http_kong_conf_tls_t *settings)
{
    ngx_http_kong_rt_t  *rt;

#if (NGX_HTTP_SSL)
    ngx_ssl_t           *ssl;

    ssl = NULL;

    /* first, because it is what can fail again and again */

    if (key->tls != 0) {
        ssl = ngx_http_kong_tls_get(settings, map->pool, r->connection->log);
        if (ssl == NULL) {
            return NULL;
        }
    }
#endif

    rt = ngx_palloc(map->pool, sizeof(ngx_http_kong_rt_t));
    if (rt == NULL) {
        return NULL;
    }

    rt->base = r->upstream->conf;
    rt->conf = *rt->base;
    rt->tls = key->tls;

    rt->conf.connect_timeout = key->connect;
    rt->conf.send_timeout = key->send;
    rt->conf.read_timeout = key->read;

    /* the balancer sets peer.tries for each request */
    rt->conf.next_upstream_tries = 0;

    /* an upstream must not send requests to other locations */
    rt->conf.ignore_headers |= NGX_HTTP_UPSTREAM_IGN_XA_REDIRECT;

#if (NGX_HTTP_SSL)
    if (ssl != NULL) {
        rt->conf.ssl = ssl;
        rt->conf.ssl_session_reuse = 1;
        rt->conf.ssl_server_name = 1;
        rt->conf.ssl_name = NULL;
        rt->conf.ssl_verify = settings->verify;
        rt->conf.ssl_certificate = NULL;
        rt->conf.ssl_certificate_key = NULL;
    }
#endif

    return rt;
}


static ngx_uint_t
ngx_http_kong_conf_equal(ngx_http_kong_rt_t *rt, ngx_http_kong_conf_key_t *key)
{
    return (uintptr_t) rt->base == key->base
           && rt->tls == key->tls
           && rt->conf.connect_timeout == key->connect
           && rt->conf.send_timeout == key->send
           && rt->conf.read_timeout == key->read;
}
