/*
 * A service's upstream configuration: the location's ngx_http_upstream_conf_t
 * with the service's timeouts and TLS settings.  Made when the first request
 * needs it, once a worker and config segment.  It is found by its settings,
 * not by the service: services with equal ones share a copy, and a worker
 * needs no memory for each of 100,000 services.  What is kept is bounded:
 * behind that a copy is the request's, which costs no more than copying it.
 */

#include "ngx_http_kong_upstream.h"

#define XXH_INLINE_ALL
#include <xxhash.h>


#define NGX_HTTP_KONG_CONFS_MIN  16     /* buckets, a power of two */
#define NGX_HTTP_KONG_CONFS_MAX  256    /* the same; copies kept */


struct ngx_http_kong_confs_s {
    ngx_http_kong_rt_t           **buckets;
    ngx_uint_t                     size;
    ngx_uint_t                     n;
};

typedef struct ngx_http_kong_confs_s  ngx_http_kong_confs_t;

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
typedef ngx_http_kong_tls_source_t  ngx_http_kong_conf_tls_t;
#else
typedef ngx_uint_t                  ngx_http_kong_conf_tls_t;
#endif


static ngx_int_t ngx_http_kong_conf_tls(ngx_http_request_t *r,
    ngx_http_kong_ctx_t *ctx, ngx_http_kong_conf_tls_t *source,
    uint64_t *id);
static ngx_http_kong_confs_t *ngx_http_kong_confs_grow(ngx_kong_map_t *map);
static ngx_http_kong_rt_t *ngx_http_kong_conf_create(ngx_http_request_t *r,
    ngx_pool_t *pool, ngx_http_kong_conf_key_t *key,
    ngx_http_kong_conf_tls_t *source);
static ngx_uint_t ngx_http_kong_conf_equal(ngx_http_kong_rt_t *rt,
    ngx_http_kong_conf_key_t *key);


ngx_http_kong_rt_t *
ngx_http_kong_rt_get(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx)
{
    uint64_t                   hash;
    ngx_kong_map_t            *map;
    ngx_http_kong_rt_t        *rt, **bucket;
    ngx_http_kong_confs_t     *confs;
    ngx_http_kong_conf_key_t   key;
    ngx_http_kong_conf_tls_t   source;

    map = ctx->generation->config;
    confs = map->confs;

    ngx_memzero(&key, sizeof(ngx_http_kong_conf_key_t));

    if (ngx_http_kong_conf_tls(r, ctx, &source, &key.tls) != NGX_OK) {
        return NULL;
    }

    key.base = (uintptr_t) r->upstream->conf;
    key.connect = ctx->service->connect_timeout;
    key.send = ctx->service->send_timeout;
    key.read = ctx->service->read_timeout;

    hash = XXH3_64bits(&key, sizeof(ngx_http_kong_conf_key_t));

    if (confs != NULL) {
        rt = confs->buckets[hash & (confs->size - 1)];

        for ( /* void */ ; rt != NULL; rt = rt->next) {
            if (rt->hash == hash && ngx_http_kong_conf_equal(rt, &key)) {
                return rt;
            }
        }
    }

    if (confs != NULL && confs->n == NGX_HTTP_KONG_CONFS_MAX) {
        return ngx_http_kong_conf_create(r, r->pool, &key, &source);
    }

    if (confs == NULL || confs->n == confs->size) {
        confs = ngx_http_kong_confs_grow(map);
        if (confs == NULL) {
            return NULL;
        }
    }

    rt = ngx_http_kong_conf_create(r, map->pool, &key, &source);
    if (rt == NULL) {
        return NULL;
    }

    bucket = &confs->buckets[hash & (confs->size - 1)];

    rt->hash = hash;
    rt->next = *bucket;
    *bucket = rt;
    confs->n++;

    return rt;
}


static ngx_http_kong_confs_t *
ngx_http_kong_confs_grow(ngx_kong_map_t *map)
{
    ngx_uint_t              i, size;
    ngx_http_kong_rt_t     *rt, *next, **buckets;
    ngx_http_kong_confs_t  *confs;

    confs = map->confs;

    if (confs == NULL) {
        confs = ngx_pcalloc(map->pool, sizeof(ngx_http_kong_confs_t));
        if (confs == NULL) {
            return NULL;
        }
    }

    size = confs->size ? confs->size * 2 : NGX_HTTP_KONG_CONFS_MIN;

    buckets = ngx_pcalloc(map->pool, size * sizeof(ngx_http_kong_rt_t *));
    if (buckets == NULL) {
        return NULL;
    }

    for (i = 0; i < confs->size; i++) {
        for (rt = confs->buckets[i]; rt != NULL; rt = next) {
            next = rt->next;
            rt->next = buckets[rt->hash & (size - 1)];
            buckets[rt->hash & (size - 1)] = rt;
        }
    }

    confs->buckets = buckets;
    confs->size = size;
    map->confs = confs;

    return confs;
}


static ngx_int_t
ngx_http_kong_conf_tls(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx,
    ngx_http_kong_conf_tls_t *source, uint64_t *id)
{
    if (!(ctx->service->protocol & (KONG_PROTO_HTTPS|KONG_PROTO_GRPCS))) {
        *id = 0;
        return NGX_OK;
    }

#if (NGX_HTTP_SSL)

    ngx_http_kong_tls_service(r, &ctx->generation->config->seg, ctx->service,
                              source);
    *id = ngx_http_kong_tls_id(&source->settings);

    return NGX_OK;

#else

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "the service needs TLS, but nginx was built without it");
    return NGX_ERROR;

#endif
}


static ngx_http_kong_rt_t *
ngx_http_kong_conf_create(ngx_http_request_t *r, ngx_pool_t *pool,
    ngx_http_kong_conf_key_t *key, ngx_http_kong_conf_tls_t *source)
{
    ngx_http_kong_rt_t  *rt;

#if (NGX_HTTP_SSL)
    ngx_ssl_t           *ssl;

    ssl = NULL;

    /* first, because it is what can fail again and again */

    if (key->tls != 0) {
        ssl = ngx_http_kong_tls_get(source, pool, r->connection->log);
        if (ssl == NULL) {
            return NULL;
        }
    }
#endif

    rt = ngx_palloc(pool, sizeof(ngx_http_kong_rt_t));
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
        rt->conf.ssl_verify = source->settings.verify;
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
