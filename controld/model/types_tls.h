/*
 * types_tls: PEM texts as OpenSSL objects; the caller frees them.  NULL: not
 * loadable, *err is a sentence.
 */

#ifndef KONG_TYPES_TLS_H
#define KONG_TYPES_TLS_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "schema.h"


X509 *types_load_certificate(arena_t *a, const value_t *v, const char **err);
EVP_PKEY *types_load_private_key(arena_t *a, const value_t *v,
    const char **err);
EVP_PKEY *types_load_public_key(arena_t *a, const value_t *v,
    const char **err);
/* NULL, or why the text has no block of this kind (PEM_STRING_X509 ...); what
 * is in the block is not looked at */
const char *types_check_pem(arena_t *a, const value_t *v, const char *kind);
BIO *types_bio(const value_t *v);
/* for OpenSSL's readers of PEM: an encrypted text is an error */
int types_no_password(char *buf, int size, int rw, void *data);

#endif
