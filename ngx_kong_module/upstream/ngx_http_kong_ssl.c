/*
 * TLS to upstreams: one SSL_CTX for each distinct set of settings, cached by
 * content for the life of the worker.  Config segments hold references; a
 * context that none holds is kept for a while, because the next segment most
 * likely needs it again, unless the current one does not have its
 * certificate any more.
 */

#include "ngx_http_kong_upstream.h"

#define XXH_INLINE_ALL
#include <xxhash.h>


#if (NGX_HTTP_SSL)

/* contexts without a reference that are kept */
#define NGX_HTTP_KONG_TLS_UNUSED    64
#define NGX_HTTP_KONG_TLS_BUCKETS   256     /* a power of two */
#define NGX_HTTP_KONG_TLS_NULL      0xff    /* tls_verify_depth: not set */


struct ngx_http_kong_tls_s {
    ngx_http_kong_tls_t           *next;    /* in the bucket */
    ngx_queue_t                    queue;   /* while unused */
    uint64_t                       hash;
    ngx_http_kong_tls_settings_t   settings;
    ngx_uint_t                     refs;
    ngx_uint_t                     owned;   /* its certificate is an entity */
    u_char                         id[16];  /* of that */
    ngx_ssl_t                      ssl;
};


static ngx_http_kong_tls_t *ngx_http_kong_tls_find(
    const ngx_http_kong_tls_settings_t *settings, uint64_t hash);
static ngx_http_kong_tls_t *ngx_http_kong_tls_create(
    const ngx_http_kong_tls_source_t *source, uint64_t hash,
    ngx_log_t *log);
static ngx_int_t ngx_http_kong_tls_init(ngx_http_kong_tls_t *tls,
    const ngx_http_kong_tls_source_t *source);
static ngx_int_t ngx_http_kong_tls_trust(ngx_http_kong_tls_t *tls,
    const ngx_http_kong_tls_source_t *source);
static ngx_int_t ngx_http_kong_tls_certificate(ngx_http_kong_tls_t *tls,
    const ngx_http_kong_tls_source_t *source);
static void ngx_http_kong_tls_put(void *data);
static ngx_uint_t ngx_http_kong_tls_known(ngx_http_kong_tls_t *tls);
static void ngx_http_kong_tls_drop(ngx_http_kong_tls_t *tls);


static ngx_http_kong_tls_t
    *ngx_http_kong_tls_buckets[NGX_HTTP_KONG_TLS_BUCKETS];

/* the last given back first */
static ngx_queue_t  ngx_http_kong_tls_unused = {
    &ngx_http_kong_tls_unused, &ngx_http_kong_tls_unused
};

static ngx_uint_t             ngx_http_kong_tls_n_unused;
static const kong_segment_t  *ngx_http_kong_tls_seg;


void
ngx_http_kong_tls_service(ngx_http_request_t *r, const kong_segment_t *seg,
    const kong_service_t *service, ngx_http_kong_tls_source_t *source)
{
    ngx_http_kong_main_conf_t     *mcf;
    ngx_http_kong_tls_settings_t  *settings;

    ngx_memzero(source, sizeof(ngx_http_kong_tls_source_t));

    mcf = ngx_http_get_module_main_conf(r, ngx_http_kong_module);
    settings = &source->settings;
    source->seg = seg;

    if (service->client_certificate != KONG_NONE) {
        source->certificate = kong_certificate(seg,
                                               service->client_certificate);
        ngx_memcpy(settings->certificate, source->certificate->hash,
                   sizeof(settings->certificate));

    } else {
        settings->client = (mcf->tls != NULL && mcf->tls->client.key != NULL);
    }

    /* proxy_ssl_verify is where the entity says nothing */

    if (!(service->flags & KONG_SERVICE_TLS_VERIFY)
        && ((service->flags & KONG_SERVICE_TLS_NOVERIFY)
            || r->upstream->conf->ssl_verify != 1))
    {
        return;
    }

    settings->verify = 1;
    settings->depth = service->tls_verify_depth == NGX_HTTP_KONG_TLS_NULL
                      ? ngx_kong_trust_depth(mcf) : service->tls_verify_depth;

    if (service->ca_certificates != 0) {
        source->trust = kong_trust(seg, service->ca_certificates - 1);
        ngx_memcpy(settings->ca, source->trust->hash, sizeof(settings->ca));
    }
}


void
ngx_http_kong_tls_default(ngx_http_kong_tls_source_t *source,
    ngx_uint_t verify)
{
    ngx_http_kong_main_conf_t  *mcf;

    ngx_memzero(source, sizeof(ngx_http_kong_tls_source_t));

    if (verify) {
        mcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                                  ngx_http_kong_module);
        source->settings.verify = 1;
        source->settings.depth = ngx_kong_trust_depth(mcf);
    }
}


uint64_t
ngx_http_kong_tls_id(const ngx_http_kong_tls_settings_t *settings)
{
    uint64_t  id;

    id = XXH3_64bits(settings, sizeof(ngx_http_kong_tls_settings_t));

    return id != 0 ? id : 1;
}


ngx_ssl_t *
ngx_http_kong_tls_get(const ngx_http_kong_tls_source_t *source,
    ngx_pool_t *pool, ngx_log_t *log)
{
    uint64_t              hash;
    ngx_pool_cleanup_t   *cln;
    ngx_http_kong_tls_t  *tls;

    cln = ngx_pool_cleanup_add(pool, 0);
    if (cln == NULL) {
        return NULL;
    }

    hash = ngx_http_kong_tls_id(&source->settings);
    tls = ngx_http_kong_tls_find(&source->settings, hash);

    if (tls == NULL) {
        tls = ngx_http_kong_tls_create(source, hash, log);
        if (tls == NULL) {
            return NULL;
        }

    } else if (tls->refs == 0) {
        ngx_queue_remove(&tls->queue);
        ngx_http_kong_tls_n_unused--;
    }

    tls->refs++;

    cln->handler = ngx_http_kong_tls_put;
    cln->data = tls;

    return &tls->ssl;
}


static ngx_http_kong_tls_t *
ngx_http_kong_tls_find(const ngx_http_kong_tls_settings_t *settings,
    uint64_t hash)
{
    ngx_http_kong_tls_t  *tls;

    tls = ngx_http_kong_tls_buckets[hash & (NGX_HTTP_KONG_TLS_BUCKETS - 1)];

    for ( /* void */ ; tls != NULL; tls = tls->next) {
        if (tls->hash == hash
            && ngx_memcmp(&tls->settings, settings,
                          sizeof(ngx_http_kong_tls_settings_t))
               == 0)
        {
            return tls;
        }
    }

    return NULL;
}


/* without a reference */

static ngx_http_kong_tls_t *
ngx_http_kong_tls_create(const ngx_http_kong_tls_source_t *source,
    uint64_t hash, ngx_log_t *log)
{
    ngx_http_kong_tls_t  *tls, **bucket;

    tls = ngx_calloc(sizeof(ngx_http_kong_tls_t), log);
    if (tls == NULL) {
        return NULL;
    }

    tls->settings = source->settings;
    tls->hash = hash;
    tls->ssl.log = ngx_cycle->log;

    if (source->certificate != NULL) {
        tls->owned = 1;
        ngx_memcpy(tls->id, source->certificate->id, sizeof(tls->id));
    }

    if (ngx_http_kong_tls_init(tls, source) != NGX_OK) {

        if (tls->ssl.ctx != NULL) {
            SSL_CTX_free(tls->ssl.ctx);
        }

        ngx_free(tls);
        return NULL;
    }

    bucket = &ngx_http_kong_tls_buckets[hash
                                        & (NGX_HTTP_KONG_TLS_BUCKETS - 1)];
    tls->next = *bucket;
    *bucket = tls;

    return tls;
}


static ngx_int_t
ngx_http_kong_tls_init(ngx_http_kong_tls_t *tls,
    const ngx_http_kong_tls_source_t *source)
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

    if (ngx_ssl_client_session_cache(NULL, ssl, 1) != NGX_OK
        || ngx_http_kong_tls_certificate(tls, source) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (!tls->settings.verify) {
        return NGX_OK;
    }

    SSL_CTX_set_verify_depth(ssl->ctx, (int) tls->settings.depth);

    return ngx_http_kong_tls_trust(tls, source);
}


/* the service's own authorities, and no other, or the default ones */

static ngx_int_t
ngx_http_kong_tls_trust(ngx_http_kong_tls_t *tls,
    const ngx_http_kong_tls_source_t *source)
{
    X509_STORE                 *store;
    ngx_http_kong_main_conf_t  *mcf;

    if (source->trust != NULL) {

        if (ngx_kong_trust_add(SSL_CTX_get_cert_store(tls->ssl.ctx),
                               kong_segment_str(source->seg,
                                                source->trust->certs))
            != NGX_OK)
        {
            ngx_ssl_error(NGX_LOG_ERR, tls->ssl.log, 0,
                          "the ca_certificates of a service cannot be used");
            return NGX_ERROR;
        }

        return NGX_OK;
    }

    mcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                              ngx_http_kong_module);

    store = ngx_kong_trust_store(mcf, tls->ssl.log);
    if (store == NULL) {
        return NGX_ERROR;
    }

    SSL_CTX_set1_cert_store(tls->ssl.ctx, store);

    return NGX_OK;
}


static ngx_int_t
ngx_http_kong_tls_certificate(ngx_http_kong_tls_t *tls,
    const ngx_http_kong_tls_source_t *source)
{
    int                         rc;
    char                        id[37];
    ngx_kong_pair_t             own, *pair;
    ngx_http_kong_main_conf_t  *mcf;

    ngx_memzero(&own, sizeof(ngx_kong_pair_t));

    if (source->certificate != NULL) {
        pair = &own;

        if (ngx_kong_pair_load(pair,
                               kong_segment_str(source->seg,
                                                source->certificate->cert),
                               kong_segment_str(source->seg,
                                                source->certificate->key))
            != NGX_OK)
        {
            pair->cert = NULL;
        }

    } else if (tls->settings.client) {
        mcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                                  ngx_http_kong_module);
        pair = &mcf->tls->client;

    } else {
        return NGX_OK;
    }

    rc = pair->cert == NULL ? 0
         : SSL_CTX_use_cert_and_key(tls->ssl.ctx, pair->cert, pair->key,
                                    pair->chain, 1);
    ngx_kong_pair_free(&own);

    if (rc == 1) {
        return NGX_OK;
    }

    if (source->certificate != NULL) {
        kong_uuid_text(source->certificate->id, id);
    }

    ngx_ssl_error(NGX_LOG_ERR, tls->ssl.log, 0,
                  "client certificate %s cannot be used",
                  source->certificate ? id : "of the settings");

    return NGX_ERROR;
}


static void
ngx_http_kong_tls_put(void *data)
{
    ngx_http_kong_tls_t  *tls = data;

    if (--tls->refs > 0) {
        return;
    }

    ngx_queue_insert_head(&ngx_http_kong_tls_unused, &tls->queue);
    ngx_http_kong_tls_n_unused++;

    if (!ngx_http_kong_tls_known(tls)) {
        ngx_http_kong_tls_drop(tls);

    } else if (ngx_http_kong_tls_n_unused > NGX_HTTP_KONG_TLS_UNUSED) {
        ngx_http_kong_tls_drop(ngx_queue_data(
                               ngx_queue_last(&ngx_http_kong_tls_unused),
                               ngx_http_kong_tls_t, queue));
    }
}


static ngx_uint_t
ngx_http_kong_tls_known(ngx_http_kong_tls_t *tls)
{
    const kong_certificate_t  *record;

    if (!tls->owned) {
        return 1;
    }

    record = ngx_http_kong_tls_seg == NULL ? NULL
             : kong_certificate_by_id(ngx_http_kong_tls_seg, tls->id);

    return record != NULL
           && ngx_memcmp(record->hash, tls->settings.certificate,
                         sizeof(tls->settings.certificate))
              == 0;
}


void
ngx_http_kong_tls_adopt(const kong_segment_t *seg)
{
    ngx_queue_t          *q, *next;
    ngx_http_kong_tls_t  *tls;

    ngx_http_kong_tls_seg = seg;

    for (q = ngx_queue_head(&ngx_http_kong_tls_unused);
         q != ngx_queue_sentinel(&ngx_http_kong_tls_unused);
         q = next)
    {
        next = ngx_queue_next(q);
        tls = ngx_queue_data(q, ngx_http_kong_tls_t, queue);

        if (!ngx_http_kong_tls_known(tls)) {
            ngx_http_kong_tls_drop(tls);
        }
    }
}


/* one of the unused; connections have their own references to the SSL_CTX */

static void
ngx_http_kong_tls_drop(ngx_http_kong_tls_t *tls)
{
    ngx_http_kong_tls_t  **p;

    p = &ngx_http_kong_tls_buckets[tls->hash
                                   & (NGX_HTTP_KONG_TLS_BUCKETS - 1)];

    while (*p != tls) {
        p = &(*p)->next;
    }

    *p = tls->next;
    ngx_queue_remove(&tls->queue);
    ngx_http_kong_tls_n_unused--;

    SSL_CTX_free(tls->ssl.ctx);
    ngx_free(tls);
}

#endif
