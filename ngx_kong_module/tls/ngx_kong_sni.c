/*
 * The certificate that a client is shown: OpenSSL asks for it in every full
 * handshake, and gets that of the name in the current generation; without one
 * the server's own (ssl_certificate) stays.
 *
 * A session may be resumed under the same name only, while the same
 * certificate would be shown: both make its id context.  It is set before
 * OpenSSL looks for the session, so that anything else is a full handshake.
 * Without a name, where clients are asked for certificates, and in nginx
 * versions that need the same callback, nginx's context stays.
 */

#include "ngx_kong_tls.h"

#define XXH_INLINE_ALL
#include <xxhash.h>


#if (NGX_HTTP_SSL)

/* of these versions some find the server in this callback */
#define NGX_KONG_NGINX_HELLO  1029000


typedef struct {
    ngx_http_kong_main_conf_t  *main;
    u_char                      own[EVP_MAX_MD_SIZE];   /* the digest of its
                                                   own certificate, or 0 */
} ngx_kong_sni_server_t;


static ngx_int_t ngx_kong_sni_server(ngx_conf_t *cf,
    ngx_http_kong_main_conf_t *mcf, SSL_CTX *ctx);
#if (nginx_version < NGX_KONG_NGINX_HELLO)
static int ngx_kong_sni_hello(ngx_ssl_conn_t *ssl_conn, int *alert,
    void *data);
static ngx_int_t ngx_kong_sni_name(ngx_ssl_conn_t *ssl_conn,
    ngx_str_t *name);
#endif
static int ngx_kong_sni_certificate(ngx_ssl_conn_t *ssl_conn, void *data);
static ngx_int_t ngx_kong_sni_use(ngx_ssl_conn_t *ssl_conn,
    const kong_segment_t *seg, const kong_certificate_t *record,
    ngx_log_t *log);


ngx_int_t
ngx_kong_sni_init(ngx_conf_t *cf)
{
    ngx_uint_t                   i;
    ngx_http_ssl_srv_conf_t     *sscf;
    ngx_http_kong_srv_conf_t    *kscf;
    ngx_http_core_srv_conf_t   **cscfp;
    ngx_http_core_main_conf_t   *cmcf;
    ngx_http_kong_main_conf_t   *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_kong_module);
    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    cscfp = cmcf->servers.elts;

    for (i = 0; i < cmcf->servers.nelts; i++) {

        kscf = cscfp[i]->ctx->srv_conf[ngx_http_kong_module.ctx_index];
        sscf = cscfp[i]->ctx->srv_conf[ngx_http_ssl_module.ctx_index];

        if (kscf->certificates != 1 || sscf->ssl.ctx == NULL) {
            continue;
        }

        if (mcf->zone == NULL) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"kong_certificates\" needs \"kong_zone\" in the "
                          "http block");
            return NGX_ERROR;
        }

        if (ngx_kong_sni_server(cf, mcf, sscf->ssl.ctx) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_kong_sni_server(ngx_conf_t *cf, ngx_http_kong_main_conf_t *mcf,
    SSL_CTX *ctx)
{
    X509                   *cert;
    ngx_kong_sni_server_t  *server;

    server = ngx_pcalloc(cf->pool, sizeof(ngx_kong_sni_server_t));
    if (server == NULL) {
        return NGX_ERROR;
    }

    server->main = mcf;
    cert = SSL_CTX_get0_certificate(ctx);

    if (cert != NULL
        && X509_digest(cert, EVP_sha256(), server->own, NULL) != 1)
    {
        return NGX_ERROR;
    }

    SSL_CTX_set_cert_cb(ctx, ngx_kong_sni_certificate, server);

#if (nginx_version < NGX_KONG_NGINX_HELLO)
    if (SSL_CTX_get_verify_mode(ctx) == SSL_VERIFY_NONE) {
        SSL_CTX_set_client_hello_cb(ctx, ngx_kong_sni_hello, server);
    }
#endif

    return NGX_OK;
}


#if (nginx_version < NGX_KONG_NGINX_HELLO)


static int
ngx_kong_sni_hello(ngx_ssl_conn_t *ssl_conn, int *alert, void *data)
{
    ngx_kong_sni_server_t  *server = data;

    u_char                     id[32], lower[KONG_SNI_MAX];
    ngx_str_t                  name;
    XXH128_hash_t              hash;
    ngx_connection_t          *c;
    ngx_kong_generation_t     *gen;
    const kong_certificate_t  *record;

    if (ngx_kong_sni_name(ssl_conn, &name) != NGX_OK
        || name.len > KONG_SNI_MAX)
    {
        return SSL_CLIENT_HELLO_SUCCESS;
    }

    c = ngx_ssl_get_connection(ssl_conn);

    gen = ngx_kong_generation_get(server->main, c->log);
    if (gen == NULL) {
        return SSL_CLIENT_HELLO_SUCCESS;
    }

    record = kong_certificate_by_sni(&gen->config->seg, (char *) name.data,
                                     name.len);

    ngx_strlow(lower, name.data, name.len);
    hash = XXH3_128bits(lower, name.len);

    ngx_memcpy(id, record != NULL ? record->hash : server->own, 16);
    ngx_memcpy(&id[16], &hash, 16);

    ngx_kong_generation_put(gen);

    if (SSL_set_session_id_context(ssl_conn, id, sizeof(id)) == 1) {
        return SSL_CLIENT_HELLO_SUCCESS;
    }

    ngx_ssl_error(NGX_LOG_ERR, c->log, 0,
                  "SSL_set_session_id_context() failed");
    *alert = SSL_AD_INTERNAL_ERROR;

    return SSL_CLIENT_HELLO_ERROR;
}


/*
 * The extension is a list of one: its length, the kind of the name, the
 * name's length, the name.  What is malformed is refused by OpenSSL later.
 */

static ngx_int_t
ngx_kong_sni_name(ngx_ssl_conn_t *ssl_conn, ngx_str_t *name)
{
    size_t         len;
    const u_char  *p;

    if (SSL_client_hello_get0_ext(ssl_conn, TLSEXT_TYPE_server_name, &p, &len)
        != 1
        || len < 5 || p[2] != TLSEXT_NAMETYPE_host_name)
    {
        return NGX_DECLINED;
    }

    name->data = (u_char *) p + 5;
    name->len = (size_t) p[3] << 8 | p[4];

    return name->len <= len - 5 ? NGX_OK : NGX_DECLINED;
}


#endif


static int
ngx_kong_sni_certificate(ngx_ssl_conn_t *ssl_conn, void *data)
{
    ngx_kong_sni_server_t  *server = data;

    ngx_int_t                  rc;
    const char                *name;
    ngx_connection_t          *c;
    ngx_kong_generation_t     *gen;
    const kong_certificate_t  *record;

    c = ngx_ssl_get_connection(ssl_conn);
    name = SSL_get_servername(ssl_conn, TLSEXT_NAMETYPE_host_name);

    if (name == NULL) {
        return 1;
    }

    gen = ngx_kong_generation_get(server->main, c->log);
    if (gen == NULL) {
        return 1;
    }

    rc = NGX_OK;
    record = kong_certificate_by_sni(&gen->config->seg, name,
                                     ngx_strlen(name));
    if (record != NULL) {
        rc = ngx_kong_sni_use(ssl_conn, &gen->config->seg, record, c->log);
    }

    ngx_kong_generation_put(gen);

    return rc == NGX_OK;
}


/* in place of the server's own, of whatever types of keys those are */

static ngx_int_t
ngx_kong_sni_use(ngx_ssl_conn_t *ssl_conn, const kong_segment_t *seg,
    const kong_certificate_t *record, ngx_log_t *log)
{
    char              id[37];
    ngx_uint_t        i, n;
    ngx_kong_pair_t  *pairs;

    pairs = ngx_kong_certificate_get(seg, record, &n, log);
    if (pairs == NULL) {
        return NGX_ERROR;
    }

    SSL_certs_clear(ssl_conn);

    for (i = 0; i < n; i++) {
        if (SSL_use_cert_and_key(ssl_conn, pairs[i].cert, pairs[i].key,
                                 pairs[i].chain, 1)
            != 1)
        {
            kong_uuid_text(record->id, id);
            ngx_ssl_error(NGX_LOG_ERR, log, 0,
                          "certificate %s cannot be used", id);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}

#endif
