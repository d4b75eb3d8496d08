/*
 * What the files of tls/ share with the rest of the module: the certificates
 * that clients are shown, by the name that they ask for, and what is shown to
 * servers and trusted of them where an entity says no other.
 */

#ifndef NGX_KONG_TLS_H
#define NGX_KONG_TLS_H

#include "ngx_http_kong.h"
#include "snapshot/kong_certificate.h"


#if (NGX_HTTP_SSL)

/* a certificate, what comes behind it, and its key; all NULL: none */
typedef struct {
    X509                    *cert;
    STACK_OF(X509)          *chain;
    EVP_PKEY                *key;
} ngx_kong_pair_t;

/* of main configuration; NULL: nothing of the kind is configured */
struct ngx_kong_tls_conf_s {
    X509_STORE              *trusted;    /* NULL: the system's */
    ngx_uint_t               system;     /* those are to be added, too */
    ngx_uint_t               depth;      /* NGX_CONF_UNSET_UINT: the default */
    ngx_kong_pair_t          client;     /* shown to upstreams */
};


/* ngx_kong_certificate.c: those of this worker, by content hash */

/* one or two pairs, of different types of keys; NULL: it cannot be used,
 * which has been logged.  Valid until the next call */
ngx_kong_pair_t *ngx_kong_certificate_get(const kong_segment_t *seg,
    const kong_certificate_t *record, ngx_uint_t *n, ngx_log_t *log);
/* what a segment holds; on failure the pair is empty */
ngx_int_t ngx_kong_pair_load(ngx_kong_pair_t *pair, kong_str_t certs,
    kong_str_t key);
void ngx_kong_pair_free(ngx_kong_pair_t *pair);
/* what this generation does not have is let go; the handshakes of a worker
 * are all of its current one */
void ngx_kong_certificates_adopt(const kong_segment_t *seg);


/* ngx_kong_sni.c */

/* the callbacks of all servers with kong_certificates */
ngx_int_t ngx_kong_sni_init(ngx_conf_t *cf);


/* ngx_kong_trust.c */

/* the authorities that are trusted by default; NULL: logged.  Not the
 * caller's */
X509_STORE *ngx_kong_trust_store(ngx_http_kong_main_conf_t *mcf,
    ngx_log_t *log);
ngx_uint_t ngx_kong_trust_depth(ngx_http_kong_main_conf_t *mcf);
/* adds the certificates that a segment holds */
ngx_int_t ngx_kong_trust_add(X509_STORE *store, kong_str_t certs);

#endif

/* directives */
char *ngx_kong_trust_certificates(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_kong_trust_client(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_kong_trust_set_depth(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

#endif
