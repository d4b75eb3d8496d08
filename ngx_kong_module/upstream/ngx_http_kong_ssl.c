/*
 * TLS to upstreams: one SSL_CTX for each distinct set of settings, cached by
 * content for the life of the worker.  Config segments hold references; a
 * context that none holds is kept for a while, because loading a trust store
 * takes milliseconds and the next segment most likely needs it again.
 */

#include "ngx_http_kong_upstream.h"

#define XXH_INLINE_ALL
#include <xxhash.h>


#if (NGX_HTTP_SSL)

/* contexts without a reference that are kept */
#define NGX_HTTP_KONG_TLS_UNUSED    16
#define NGX_HTTP_KONG_TLS_DEPTH     1       /* nginx's default */
#define NGX_HTTP_KONG_TLS_NULL      0xff    /* tls_verify_depth: not set */


struct ngx_http_kong_tls_s {
    ngx_queue_t                    queue;
    ngx_http_kong_tls_settings_t   settings;
    ngx_uint_t                     refs;
    ngx_ssl_t                      ssl;
};


static ngx_http_kong_tls_t *ngx_http_kong_tls_find(
    const ngx_http_kong_tls_settings_t *settings);
static ngx_http_kong_tls_t *ngx_http_kong_tls_create(
    const ngx_http_kong_tls_settings_t *settings, ngx_log_t *log);
static ngx_int_t ngx_http_kong_tls_init(ngx_http_kong_tls_t *tls);
static void ngx_http_kong_tls_put(void *data);
static void ngx_http_kong_tls_free(ngx_http_kong_tls_t *tls);


static ngx_queue_t  ngx_http_kong_tls_used = {
    &ngx_http_kong_tls_used, &ngx_http_kong_tls_used
};

/* the last given back first */
static ngx_queue_t  ngx_http_kong_tls_unused = {
    &ngx_http_kong_tls_unused, &ngx_http_kong_tls_unused
};

static ngx_uint_t   ngx_http_kong_tls_n_unused;


/*
 * Client certificates and CA lists are sections of their own, which this
 * version of the segment does not have: their hashes stay 0.
 */

void
ngx_http_kong_tls_settings(const kong_segment_t *seg,
    const kong_service_t *service, ngx_http_kong_tls_settings_t *settings)
{
    ngx_memzero(settings, sizeof(ngx_http_kong_tls_settings_t));

    if (!(service->flags & KONG_SERVICE_TLS_VERIFY)) {
        return;
    }

    settings->verify = 1;
    settings->depth = service->tls_verify_depth == NGX_HTTP_KONG_TLS_NULL
                      ? NGX_HTTP_KONG_TLS_DEPTH : service->tls_verify_depth;
}


uint64_t
ngx_http_kong_tls_id(const ngx_http_kong_tls_settings_t *settings)
{
    uint64_t  id;

    id = XXH3_64bits(settings, sizeof(ngx_http_kong_tls_settings_t));

    return id != 0 ? id : 1;
}


ngx_ssl_t *
ngx_http_kong_tls_get(const ngx_http_kong_tls_settings_t *settings,
    ngx_pool_t *pool, ngx_log_t *log)
{
    ngx_pool_cleanup_t   *cln;
    ngx_http_kong_tls_t  *tls;

    cln = ngx_pool_cleanup_add(pool, 0);
    if (cln == NULL) {
        return NULL;
    }

    tls = ngx_http_kong_tls_find(settings);

    if (tls == NULL) {
        tls = ngx_http_kong_tls_create(settings, log);
        if (tls == NULL) {
            return NULL;
        }
    }

    if (tls->refs++ == 0) {
        ngx_queue_remove(&tls->queue);
        ngx_queue_insert_head(&ngx_http_kong_tls_used, &tls->queue);
        ngx_http_kong_tls_n_unused--;
    }

    cln->handler = ngx_http_kong_tls_put;
    cln->data = tls;

    return &tls->ssl;
}


static ngx_http_kong_tls_t *
ngx_http_kong_tls_find(const ngx_http_kong_tls_settings_t *settings)
{
    ngx_uint_t            i;
    ngx_queue_t          *q, *list;
    ngx_http_kong_tls_t  *tls;

    for (i = 0; i < 2; i++) {
        list = i == 0 ? &ngx_http_kong_tls_used : &ngx_http_kong_tls_unused;

        for (q = ngx_queue_head(list);
             q != ngx_queue_sentinel(list);
             q = ngx_queue_next(q))
        {
            tls = ngx_queue_data(q, ngx_http_kong_tls_t, queue);

            if (ngx_memcmp(&tls->settings, settings,
                           sizeof(ngx_http_kong_tls_settings_t))
                == 0)
            {
                return tls;
            }
        }
    }

    return NULL;
}


/* without a reference, in the list of the unused */

static ngx_http_kong_tls_t *
ngx_http_kong_tls_create(const ngx_http_kong_tls_settings_t *settings,
    ngx_log_t *log)
{
    ngx_http_kong_tls_t  *tls;

    tls = ngx_calloc(sizeof(ngx_http_kong_tls_t), log);
    if (tls == NULL) {
        return NULL;
    }

    tls->settings = *settings;
    tls->ssl.log = ngx_cycle->log;

    if (ngx_http_kong_tls_init(tls) != NGX_OK) {
        ngx_http_kong_tls_free(tls);
        return NULL;
    }

    ngx_queue_insert_head(&ngx_http_kong_tls_unused, &tls->queue);
    ngx_http_kong_tls_n_unused++;

    return tls;
}


static ngx_int_t
ngx_http_kong_tls_init(ngx_http_kong_tls_t *tls)
{
    ngx_ssl_t  *ssl;

    ssl = &tls->ssl;

    if (ngx_ssl_create(ssl, NGX_SSL_TLSv1|NGX_SSL_TLSv1_1
                            |NGX_SSL_TLSv1_2|NGX_SSL_TLSv1_3, NULL)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* the arguments' configuration is not used by nginx */

    if (ngx_ssl_client_session_cache(NULL, ssl, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    if (!tls->settings.verify) {
        return NGX_OK;
    }

    SSL_CTX_set_verify_depth(ssl->ctx, (int) tls->settings.depth);

    if (SSL_CTX_set_default_verify_paths(ssl->ctx) == 0) {
        ngx_ssl_error(NGX_LOG_ERR, ssl->log, 0,
                      "SSL_CTX_set_default_verify_paths() failed");
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_kong_tls_put(void *data)
{
    ngx_http_kong_tls_t  *tls = data;

    ngx_queue_t  *q;

    if (--tls->refs > 0) {
        return;
    }

    ngx_queue_remove(&tls->queue);
    ngx_queue_insert_head(&ngx_http_kong_tls_unused, &tls->queue);

    if (++ngx_http_kong_tls_n_unused <= NGX_HTTP_KONG_TLS_UNUSED) {
        return;
    }

    q = ngx_queue_last(&ngx_http_kong_tls_unused);
    ngx_queue_remove(q);
    ngx_http_kong_tls_n_unused--;

    ngx_http_kong_tls_free(ngx_queue_data(q, ngx_http_kong_tls_t, queue));
}


/* connections have their own references to the SSL_CTX */

static void
ngx_http_kong_tls_free(ngx_http_kong_tls_t *tls)
{
    if (tls->ssl.ctx != NULL) {
        SSL_CTX_free(tls->ssl.ctx);
    }

    ngx_free(tls);
}

#endif
