/*
 * conf_pem: see conf_pem.h.  OpenSSL's error queue is left empty.
 */

#include <ctype.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

#include "conf_pem.h"


const char *
conf_pem_text(arena_t *a, const char *s)
{
    int             n;
    size_t          len, i;
    unsigned char  *in, *out;

    if (strncmp(s, "-----BEGIN", 10) == 0) {
        return s;
    }

    len = strlen(s);
    in = arena_alloc(a, len + 1);
    n = 0;

    for (i = 0; i < len; i++) {
        if (!isspace((unsigned char) s[i])) {
            in[n++] = (unsigned char) s[i];
        }
    }

    out = arena_zalloc(a, len + 1);

    if (n == 0 || n % 4 != 0 || EVP_DecodeBlock(out, in, n) < 0) {
        ERR_clear_error();
        return s;
    }

    return (char *) out;
}


int
conf_pem_valid(const char *text, conf_pem_t kind)
{
    int        ok;
    BIO       *bio;
    X509      *cert;
    EVP_PKEY  *key;

    bio = BIO_new_mem_buf(text, -1);
    if (bio == NULL) {
        return 0;
    }

    if (kind == CONF_PEM_CERT) {
        cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        ok = (cert != NULL);
        X509_free(cert);

    } else {
        /* an empty password: never ask the terminal for one */
        key = (kind == CONF_PEM_KEY)
              ? PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *) "")
              : PEM_read_bio_Parameters(bio, NULL);
        ok = (key != NULL);
        EVP_PKEY_free(key);
    }

    (void) BIO_free(bio);
    ERR_clear_error();

    return ok;
}


int
conf_pem_group(const char *name)
{
    size_t  i;

    static const char *const  names[] = {
        "ffdhe2048", "ffdhe3072", "ffdhe4096", "ffdhe6144", "ffdhe8192", NULL
    };

    for (i = 0; names[i] != NULL; i++) {
        if (strcmp(names[i], name) == 0) {
            return 1;
        }
    }

    return 0;
}
