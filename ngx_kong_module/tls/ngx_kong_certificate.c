/*
 * Certificates and keys of this worker as OpenSSL's objects.  They are made
 * when a client first asks for them, found by their content, so that a
 * publish makes none anew, and gone as soon as the current generation does
 * not have them.  When there are many, those that were not asked for the
 * longest time make room.
 */

#include "ngx_kong_tls.h"


#if (NGX_HTTP_SSL)

#define NGX_KONG_CERTIFICATES_MAX      1024
#define NGX_KONG_CERTIFICATES_BUCKETS  1024    /* a power of two */


typedef struct ngx_kong_certificate_s  ngx_kong_certificate_t;

struct ngx_kong_certificate_s {
    ngx_kong_certificate_t   *next;        /* in the bucket */
    ngx_queue_t               queue;       /* the last used first */
    u_char                    id[16];
    u_char                    hash[32];
    ngx_uint_t                n;           /* 0: it cannot be used */
    ngx_kong_pair_t           pairs[2];
};


static ngx_kong_certificate_t **ngx_kong_certificate_find(
    const u_char hash[32]);
static ngx_kong_certificate_t *ngx_kong_certificate_create(
    const kong_segment_t *seg, const kong_certificate_t *record,
    ngx_log_t *log);
static void ngx_kong_certificate_drop(ngx_kong_certificate_t *certificate);


static ngx_kong_certificate_t
    *ngx_kong_certificates[NGX_KONG_CERTIFICATES_BUCKETS];

static ngx_queue_t  ngx_kong_certificates_used = {
    &ngx_kong_certificates_used, &ngx_kong_certificates_used
};

static ngx_uint_t   ngx_kong_certificates_n;


ngx_kong_pair_t *
ngx_kong_certificate_get(const kong_segment_t *seg,
    const kong_certificate_t *record, ngx_uint_t *n, ngx_log_t *log)
{
    ngx_kong_certificate_t  *certificate;

    certificate = *ngx_kong_certificate_find(record->hash);

    if (certificate == NULL) {
        certificate = ngx_kong_certificate_create(seg, record, log);

        if (certificate == NULL) {
            return NULL;
        }

    } else {
        ngx_queue_remove(&certificate->queue);
        ngx_queue_insert_head(&ngx_kong_certificates_used,
                              &certificate->queue);
    }

    *n = certificate->n;

    return certificate->n ? certificate->pairs : NULL;
}


/* where it is, or would be */

static ngx_kong_certificate_t **
ngx_kong_certificate_find(const u_char hash[32])
{
    ngx_uint_t                i;
    ngx_kong_certificate_t  **p;

    i = ((ngx_uint_t) hash[0] << 8 | hash[1])
        & (NGX_KONG_CERTIFICATES_BUCKETS - 1);

    for (p = &ngx_kong_certificates[i]; *p != NULL; p = &(*p)->next) {
        if (ngx_memcmp((*p)->hash, hash, 32) == 0) {
            break;
        }
    }

    return p;
}


/* one that cannot be used is remembered, too: the log is told once */

static ngx_kong_certificate_t *
ngx_kong_certificate_create(const kong_segment_t *seg,
    const kong_certificate_t *record, ngx_log_t *log)
{
    char                      id[37];
    ngx_kong_certificate_t   *certificate, **p;

    certificate = ngx_calloc(sizeof(ngx_kong_certificate_t), log);
    if (certificate == NULL) {
        return NULL;
    }

    ngx_memcpy(certificate->id, record->id, sizeof(record->id));
    ngx_memcpy(certificate->hash, record->hash, sizeof(record->hash));

    if (ngx_kong_pair_load(&certificate->pairs[0],
                           kong_segment_str(seg, record->cert),
                           kong_segment_str(seg, record->key))
        == NGX_OK)
    {
        certificate->n = 1;
    }

    if (certificate->n && record->cert_alt != 0
        && ngx_kong_pair_load(&certificate->pairs[1],
                              kong_segment_str(seg, record->cert_alt),
                              kong_segment_str(seg, record->key_alt))
           == NGX_OK)
    {
        certificate->n = 2;
    }

    if (certificate->n != (record->cert_alt != 0 ? 2 : 1)) {
        kong_uuid_text(record->id, id);
        ngx_ssl_error(NGX_LOG_ERR, log, 0,
                      "certificate %s or its key cannot be read", id);
        certificate->n = 0;
    }

    if (ngx_kong_certificates_n >= NGX_KONG_CERTIFICATES_MAX) {
        ngx_kong_certificate_drop(ngx_queue_data(
                             ngx_queue_last(&ngx_kong_certificates_used),
                             ngx_kong_certificate_t, queue));
    }

    p = ngx_kong_certificate_find(record->hash);

    certificate->next = *p;
    *p = certificate;
    ngx_queue_insert_head(&ngx_kong_certificates_used, &certificate->queue);
    ngx_kong_certificates_n++;

    return certificate;
}


ngx_int_t
ngx_kong_pair_load(ngx_kong_pair_t *pair, kong_str_t certs, kong_str_t key)
{
    X509          *cert;
    const u_char  *p, *last;

    p = (const u_char *) certs.data;
    last = p + certs.len;

    pair->cert = d2i_X509(NULL, &p, last - p);
    pair->chain = sk_X509_new_null();

    if (pair->cert == NULL || pair->chain == NULL) {
        goto failed;
    }

    while (p < last) {
        cert = d2i_X509(NULL, &p, last - p);

        if (cert == NULL || sk_X509_push(pair->chain, cert) == 0) {
            X509_free(cert);
            goto failed;
        }
    }

    p = (const u_char *) key.data;
    pair->key = d2i_AutoPrivateKey(NULL, &p, key.len);

    if (pair->key == NULL) {
        goto failed;
    }

    return NGX_OK;

failed:

    ngx_kong_pair_free(pair);

    return NGX_ERROR;
}


void
ngx_kong_pair_free(ngx_kong_pair_t *pair)
{
    X509_free(pair->cert);
    sk_X509_pop_free(pair->chain, X509_free);
    EVP_PKEY_free(pair->key);

    ngx_memzero(pair, sizeof(ngx_kong_pair_t));
}


/* connections have their own references */

static void
ngx_kong_certificate_drop(ngx_kong_certificate_t *certificate)
{
    ngx_kong_certificate_t  **p;

    p = ngx_kong_certificate_find(certificate->hash);
    *p = certificate->next;

    ngx_queue_remove(&certificate->queue);
    ngx_kong_certificates_n--;

    ngx_kong_pair_free(&certificate->pairs[0]);
    ngx_kong_pair_free(&certificate->pairs[1]);
    ngx_free(certificate);
}


void
ngx_kong_certificates_adopt(const kong_segment_t *seg)
{
    ngx_queue_t               *q, *next;
    ngx_kong_certificate_t    *certificate;
    const kong_certificate_t  *record;

    for (q = ngx_queue_head(&ngx_kong_certificates_used);
         q != ngx_queue_sentinel(&ngx_kong_certificates_used);
         q = next)
    {
        next = ngx_queue_next(q);
        certificate = ngx_queue_data(q, ngx_kong_certificate_t, queue);
        record = kong_certificate_by_id(seg, certificate->id);

        if (record == NULL
            || ngx_memcmp(record->hash, certificate->hash,
                          sizeof(record->hash))
               != 0)
        {
            ngx_kong_certificate_drop(certificate);
        }
    }
}

#endif
