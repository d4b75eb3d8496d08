/*
 * types_tls: checks of certificates and keys, through OpenSSL.  What OpenSSL
 * says goes into the message, its error queue is left empty.
 */

#include <limits.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "types_tls.h"


static const char *types_openssl_error(arena_t *a);


const char *
check_certificate(schema_ctx_t *ctx, const field_t *f, const value_t *v)
{
    X509        *cert;
    const char  *err;

    (void) f;

    cert = types_load_certificate(ctx->arena, v, &err);

    if (cert == NULL) {
        return arena_printf(ctx->arena, "invalid certificate: %s", err);
    }

    X509_free(cert);

    return NULL;
}


const char *
types_check_pem(arena_t *a, const value_t *v, const char *kind)
{
    int             rc;
    BIO            *bio;
    char           *name;
    long            len;
    const char     *err;
    unsigned char  *data;

    bio = types_bio(v);

    if (bio == NULL) {
        return "out of memory";
    }

    data = NULL;
    name = NULL;
    err = NULL;
    rc = PEM_bytes_read_bio(&data, &len, &name, kind, bio, types_no_password,
                            NULL);
    BIO_free(bio);

    if (rc == 1) {
        OPENSSL_clear_free(data, (size_t) len);
        OPENSSL_free(name);

    } else {
        err = types_openssl_error(a);
    }

    ERR_clear_error();

    return err;
}


/* the first certificate of the text */

X509 *
types_load_certificate(arena_t *a, const value_t *v, const char **err)
{
    BIO   *bio;
    X509  *cert;

    bio = types_bio(v);

    if (bio == NULL) {
        *err = "x509.new: out of memory";
        return NULL;
    }

    cert = PEM_read_bio_X509(bio, NULL, types_no_password, NULL);
    BIO_free(bio);

    if (cert == NULL) {
        *err = arena_printf(a, "x509.new: %s", types_openssl_error(a));
    }

    ERR_clear_error();

    return cert;
}


EVP_PKEY *
types_load_private_key(arena_t *a, const value_t *v, const char **err)
{
    BIO       *bio;
    EVP_PKEY  *key;

    bio = types_bio(v);

    if (bio == NULL) {
        *err = "pkey.new: out of memory";
        return NULL;
    }

    key = PEM_read_bio_PrivateKey(bio, NULL, types_no_password, NULL);
    BIO_free(bio);

    if (key == NULL) {
        *err = arena_printf(a, "pkey.new: %s", types_openssl_error(a));
    }

    ERR_clear_error();

    return key;
}


/* a public key, or what is public of a private one */

EVP_PKEY *
types_load_public_key(arena_t *a, const value_t *v, const char **err)
{
    BIO       *bio;
    EVP_PKEY  *key;

    bio = types_bio(v);

    if (bio == NULL) {
        *err = "pkey.new: out of memory";
        return NULL;
    }

    key = PEM_read_bio_PUBKEY(bio, NULL, types_no_password, NULL);
    BIO_free(bio);

    if (key == NULL) {
        *err = arena_printf(a, "pkey.new: %s", types_openssl_error(a));
    }

    ERR_clear_error();

    return key;
}


BIO *
types_bio(const value_t *v)
{
    if (v->len > INT_MAX) {
        return NULL;
    }

    return BIO_new_mem_buf(v->u.string, (int) v->len);
}


static const char *
types_openssl_error(arena_t *a)
{
    char           buf[256];
    unsigned long  code;

    code = ERR_peek_error();

    if (code == 0) {
        return "not a PEM text";
    }

    ERR_error_string_n(code, buf, sizeof(buf));

    return arena_strndup(a, buf, strlen(buf));
}


/* an encrypted key is an error, never a prompt on the daemon's terminal */

int
types_no_password(char *buf, int size, int rw, void *data)
{
    (void) buf;
    (void) size;
    (void) rw;
    (void) data;

    return -1;
}
