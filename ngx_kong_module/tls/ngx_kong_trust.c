/*
 * What holds where an entity says no other: the authorities whose
 * certificates are trusted (kong_trusted_certificate), how long a chain may
 * be (kong_verify_depth), and the certificate that upstreams are shown
 * (kong_client_certificate).  Files are read with the configuration, by
 * whoever starts nginx; workers share what was made of them.
 */

#include "ngx_kong_tls.h"


#define NGX_KONG_TRUST_DEPTH  1


#if (NGX_HTTP_SSL)

static ngx_kong_tls_conf_t *ngx_kong_trust_conf(ngx_conf_t *cf,
    ngx_http_kong_main_conf_t *mcf);
static void ngx_kong_trust_cleanup(void *data);
static ngx_int_t ngx_kong_trust_certs(ngx_kong_pair_t *pair, BIO *bio);
static BIO *ngx_kong_trust_open(ngx_conf_t *cf, ngx_str_t *name);


/* the system's alone */
static X509_STORE  *ngx_kong_trust_system;


X509_STORE *
ngx_kong_trust_store(ngx_http_kong_main_conf_t *mcf, ngx_log_t *log)
{
    X509_STORE  *store;

    store = mcf->tls == NULL ? NULL : mcf->tls->trusted;

    if (store != NULL && !mcf->tls->system) {
        return store;
    }

    if (store == NULL) {

        if (ngx_kong_trust_system != NULL) {
            return ngx_kong_trust_system;
        }

        store = X509_STORE_new();
        if (store == NULL) {
            return NULL;
        }

        ngx_kong_trust_system = store;
    }

    /* in the worker, whose environment says where they are */

    if (X509_STORE_set_default_paths(store) != 1) {
        ngx_ssl_error(NGX_LOG_ERR, log, 0,
                      "the system's certificates cannot be used");
    }

    if (mcf->tls != NULL) {
        mcf->tls->system = 0;
    }

    return store;
}


ngx_uint_t
ngx_kong_trust_depth(ngx_http_kong_main_conf_t *mcf)
{
    return mcf->tls == NULL || mcf->tls->depth == NGX_CONF_UNSET_UINT
           ? NGX_KONG_TRUST_DEPTH : mcf->tls->depth;
}


ngx_int_t
ngx_kong_trust_add(X509_STORE *store, kong_str_t certs)
{
    int            rc;
    X509          *cert;
    const u_char  *p, *last;

    p = (const u_char *) certs.data;
    last = p + certs.len;

    while (p < last) {
        cert = d2i_X509(NULL, &p, last - p);
        if (cert == NULL) {
            return NGX_ERROR;
        }

        rc = X509_STORE_add_cert(store, cert);
        X509_free(cert);

        if (rc != 1) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_kong_tls_conf_t *
ngx_kong_trust_conf(ngx_conf_t *cf, ngx_http_kong_main_conf_t *mcf)
{
    ngx_pool_cleanup_t  *cln;

    if (mcf->tls != NULL) {
        return mcf->tls;
    }

    cln = ngx_pool_cleanup_add(cf->pool, sizeof(ngx_kong_tls_conf_t));
    if (cln == NULL) {
        return NULL;
    }

    mcf->tls = cln->data;
    ngx_memzero(mcf->tls, sizeof(ngx_kong_tls_conf_t));
    mcf->tls->depth = NGX_CONF_UNSET_UINT;

    cln->handler = ngx_kong_trust_cleanup;

    return mcf->tls;
}


static void
ngx_kong_trust_cleanup(void *data)
{
    ngx_kong_tls_conf_t  *conf = data;

    X509_STORE_free(conf->trusted);
    ngx_kong_pair_free(&conf->client);
}


/* kong_trusted_certificate system | file ... */

char *
ngx_kong_trust_certificates(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t            *value;
    ngx_uint_t            i;
    ngx_kong_tls_conf_t  *tcf;

    tcf = ngx_kong_trust_conf(cf, conf);
    if (tcf == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strcmp(value[i].data, "system") == 0) {
            tcf->system = 1;
            continue;
        }

        if (tcf->trusted == NULL) {
            tcf->trusted = X509_STORE_new();
            if (tcf->trusted == NULL) {
                return NGX_CONF_ERROR;
            }
        }

        if (ngx_conf_full_name(cf->cycle, &value[i], 1) != NGX_OK
            || X509_STORE_load_file(tcf->trusted, (char *) value[i].data)
               != 1)
        {
            ngx_ssl_error(NGX_LOG_EMERG, cf->log, 0,
                          "certificates of \"%V\" cannot be read", &value[i]);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


/* kong_client_certificate certificate key */

char *
ngx_kong_trust_client(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    BIO                  *bio;
    ngx_int_t             rc;
    ngx_str_t            *value;
    ngx_kong_pair_t      *pair;
    ngx_kong_tls_conf_t  *tcf;

    tcf = ngx_kong_trust_conf(cf, conf);
    if (tcf == NULL) {
        return NGX_CONF_ERROR;
    }

    pair = &tcf->client;

    if (pair->cert != NULL) {
        return "is duplicate";
    }

    value = cf->args->elts;

    bio = ngx_kong_trust_open(cf, &value[1]);
    if (bio == NULL) {
        return NGX_CONF_ERROR;
    }

    rc = ngx_kong_trust_certs(pair, bio);
    BIO_free(bio);

    if (rc != NGX_OK) {
        ngx_ssl_error(NGX_LOG_EMERG, cf->log, 0,
                      "the certificate in \"%V\" cannot be read", &value[1]);
        return NGX_CONF_ERROR;
    }

    bio = ngx_kong_trust_open(cf, &value[2]);
    if (bio == NULL) {
        return NGX_CONF_ERROR;
    }

    pair->key = PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *) "");
    BIO_free(bio);

    if (pair->key == NULL
        || X509_check_private_key(pair->cert, pair->key) != 1)
    {
        ngx_ssl_error(NGX_LOG_EMERG, cf->log, 0,
                      "the key in \"%V\" cannot be read or is another one's",
                      &value[2]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static BIO *
ngx_kong_trust_open(ngx_conf_t *cf, ngx_str_t *name)
{
    BIO  *bio;

    if (ngx_conf_full_name(cf->cycle, name, 1) != NGX_OK) {
        return NULL;
    }

    bio = BIO_new_file((char *) name->data, "r");

    if (bio == NULL) {
        ngx_ssl_error(NGX_LOG_EMERG, cf->log, 0, "\"%V\" cannot be opened",
                      name);
    }

    return bio;
}


static ngx_int_t
ngx_kong_trust_certs(ngx_kong_pair_t *pair, BIO *bio)
{
    X509           *cert;
    unsigned long   why;

    pair->cert = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL);
    pair->chain = sk_X509_new_null();

    if (pair->cert == NULL || pair->chain == NULL) {
        return NGX_ERROR;
    }

    while ((cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        if (sk_X509_push(pair->chain, cert) == 0) {
            X509_free(cert);
            return NGX_ERROR;
        }
    }

    /* the end of the file is one, too */

    why = ERR_peek_last_error();

    if (ERR_GET_LIB(why) != ERR_LIB_PEM
        || ERR_GET_REASON(why) != PEM_R_NO_START_LINE)
    {
        return NGX_ERROR;
    }

    ERR_clear_error();

    return NGX_OK;
}


char *
ngx_kong_trust_set_depth(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_int_t             n;
    ngx_str_t            *value;
    ngx_kong_tls_conf_t  *tcf;

    tcf = ngx_kong_trust_conf(cf, conf);
    if (tcf == NULL) {
        return NGX_CONF_ERROR;
    }

    if (tcf->depth != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;
    n = ngx_atoi(value[1].data, value[1].len);

    if (n == NGX_ERROR) {
        return "needs a number";
    }

    tcf->depth = n;

    return NGX_CONF_OK;
}

#else


char *
ngx_kong_trust_certificates(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return "needs an nginx with TLS";
}


char *
ngx_kong_trust_client(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return "needs an nginx with TLS";
}


char *
ngx_kong_trust_set_depth(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return "needs an nginx with TLS";
}

#endif
