/*
 * probe_tls: see probe_tls.h.  One store is shared by all handshakes.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "../log.h"
#include "probe_tls.h"


#define PROBE_TLS_FILE     (1024 * 1024)
#define PROBE_TLS_DEFAULT  "ssl/kong-default"    /* shown without a pair */

struct probe_tls_s {
    arena_t      *arena;
    const char  **trusted;           /* "system", paths, texts; NULL ends */
    int           depth;
    const char   *cert;
    const char   *key;
    X509_STORE   *store;
    unsigned      opened:1;
    unsigned      read:1;
};


static const char *probe_tls_copy(arena_t *a, const char *text);
static int probe_tls_open(probe_tls_t *t);
static int probe_tls_add(X509_STORE *store, const char *text);
static const char *probe_tls_text(arena_t *a, const char *value);


probe_tls_t *
probe_tls_new(const conf_t *c)
{
    size_t          i, n;
    probe_tls_t    *t;
    const value_t  *list;

    t = calloc(1, sizeof(probe_tls_t));
    if (t == NULL) {
        return NULL;
    }

    t->arena = arena_new();
    t->depth = (int) conf_num(c, "lua_ssl_verify_depth");

    list = conf_list(c, "lua_ssl_trusted_certificate");
    n = (list != NULL) ? list->len : 0;
    t->trusted = arena_zalloc(t->arena, (n + 2) * sizeof(char *));
    t->trusted[0] = "system";

    for (i = 0; i < n; i++) {
        t->trusted[i] = probe_tls_copy(t->arena, value_cstr(value_at(list,
                                                                     i)));
    }

    if (conf_bool(c, "client_ssl")) {
        t->cert = probe_tls_copy(t->arena, conf_str(c, "client_ssl_cert"));
        t->key = probe_tls_copy(t->arena, conf_str(c, "client_ssl_cert_key"));

        if (t->cert == NULL) {
            t->cert = probe_tls_copy(t->arena,
                                     conf_path(c, PROBE_TLS_DEFAULT ".crt"));
            t->key = probe_tls_copy(t->arena,
                                    conf_path(c, PROBE_TLS_DEFAULT ".key"));
        }
    }

    return t;
}


void
probe_tls_free(probe_tls_t *t)
{
    if (t != NULL) {
        X509_STORE_free(t->store);
        arena_free(t->arena);
        free(t);
    }
}


static const char *
probe_tls_copy(arena_t *a, const char *text)
{
    return (text != NULL) ? arena_strndup(a, text, strlen(text)) : NULL;
}


int
probe_tls_trust(probe_tls_t *t, SSL_CTX *ctx)
{
    if (!t->opened) {
        t->opened = 1;

        if (probe_tls_open(t) == -1) {
            X509_STORE_free(t->store);
            t->store = NULL;
            log_write(LOG_ERR, "health checks: what "
                      "lua_ssl_trusted_certificate names cannot be read, no "
                      "target is probed that has to show its certificate");
            ERR_clear_error();
        }
    }

    if (t->store == NULL) {
        return -1;
    }

    SSL_CTX_set1_cert_store(ctx, t->store);
    SSL_CTX_set_verify_depth(ctx, t->depth);

    return 0;
}


static int
probe_tls_open(probe_tls_t *t)
{
    int           rc;
    const char  **p;

    t->store = X509_STORE_new();
    if (t->store == NULL) {
        return -1;
    }

    for (p = t->trusted; *p != NULL; p++) {

        if (strcmp(*p, "system") == 0) {
            rc = X509_STORE_set_default_paths(t->store);

        } else if (**p == '/') {
            rc = X509_STORE_load_file(t->store, *p);

        } else {
            rc = probe_tls_add(t->store, *p);
        }

        if (rc != 1) {
            return -1;
        }
    }

    return 0;
}


/* 1, as OpenSSL has it, when the text has a certificate */
static int
probe_tls_add(X509_STORE *store, const char *text)
{
    int    rc;
    BIO   *bio;
    X509  *cert;

    bio = BIO_new_mem_buf(text, -1);
    rc = 0;

    while (bio != NULL
           && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
    {
        rc = X509_STORE_add_cert(store, cert);
        X509_free(cert);
    }

    ERR_clear_error();
    BIO_free(bio);

    return rc;
}


void
probe_tls_pair(probe_tls_t *t, const char **cert, const char **key)
{
    if (!t->read && t->cert != NULL) {
        t->read = 1;
        t->cert = probe_tls_text(t->arena, t->cert);
        t->key = probe_tls_text(t->arena, t->key);
    }

    *cert = (t->cert != NULL && t->key != NULL) ? t->cert : NULL;
    *key = (*cert != NULL) ? t->key : NULL;
}


static const char *
probe_tls_text(arena_t *a, const char *value)
{
    char    *text;
    FILE    *f;
    size_t   n;

    if (value == NULL || *value != '/') {
        return value;
    }

    f = fopen(value, "re");

    if (f == NULL) {
        log_write(LOG_ERR, "health checks: '%s' cannot be read, probes show "
                  "no certificate", value);
        return NULL;
    }

    text = arena_alloc(a, PROBE_TLS_FILE);
    n = fread(text, 1, PROBE_TLS_FILE - 1, f);
    text[n] = '\0';
    (void) fclose(f);

    return text;
}
