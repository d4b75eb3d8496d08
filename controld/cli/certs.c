/*
 * certs: see certs.h.  A file is written under a temporary name and renamed,
 * the key before the certificate, so that a half-made pair is made again.
 */

#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../conf/conf_pem.h"
#include "certs.h"


#define CERTS_DAYS  (20 * 365)
#define CERTS_BITS  2048


static int certs_pair(arena_t *a, const char *crt, const char *key,
    unsigned ecdsa, const char **err);
static X509 *certs_self_signed(EVP_PKEY *key);
static int certs_name(X509 *cert);
static int certs_extension(X509 *cert, int nid, const char *value);
static int certs_write(arena_t *a, const char *path, mode_t mode, BIO *bio,
    const char **err);


const char *const *
certs_pairs(arena_t *a, const conf_t *c, const char *setting,
    const char *name, const char **err)
{
    size_t          i;
    const char    **pairs;
    const value_t  *certs, *keys;

    certs = conf_list(c, setting);
    keys = conf_list(c, arena_printf(a, "%s_key", setting));

    if (certs->len == 0) {
        pairs = arena_zalloc(a, 5 * sizeof(char *));
        pairs[0] = arena_printf(a, "%s/ssl/%s.crt", conf_prefix(c), name);
        pairs[1] = arena_printf(a, "%s/ssl/%s.key", conf_prefix(c), name);
        pairs[2] = arena_printf(a, "%s/ssl/%s-ecdsa.crt", conf_prefix(c),
                                name);
        pairs[3] = arena_printf(a, "%s/ssl/%s-ecdsa.key", conf_prefix(c),
                                name);

        return certs_pair(a, pairs[0], pairs[1], 0, err) == -1
               || certs_pair(a, pairs[2], pairs[3], 1, err) == -1
               ? NULL : pairs;
    }

    pairs = arena_zalloc(a, (2 * certs->len + 1) * sizeof(char *));

    for (i = 0; i < certs->len && i < keys->len; i++) {
        pairs[2 * i] = certs_file(a, c, certs->u.items[i].u.string,
                                  arena_printf(a, "%s-%zu.crt", setting,
                                               i + 1), err);
        pairs[2 * i + 1] = certs_file(a, c, keys->u.items[i].u.string,
                                      arena_printf(a, "%s-%zu.key", setting,
                                                   i + 1), err);

        if (pairs[2 * i] == NULL || pairs[2 * i + 1] == NULL) {
            return NULL;
        }
    }

    return pairs;
}


const char *
certs_file(arena_t *a, const conf_t *c, const char *value, const char *name,
    const char **err)
{
    int          rc;
    BIO         *bio;
    const char  *path;

    if (value[0] == '/') {
        return value;
    }

    path = arena_printf(a, "%s/ssl/%s", conf_prefix(c), name);

    bio = BIO_new_mem_buf(value, -1);
    rc = certs_write(a, path, 0600, bio, err);
    (void) BIO_free(bio);

    return rc == -1 ? NULL : path;
}


const char *
certs_dhparam(arena_t *a, const conf_t *c, const char *value,
    const char **err)
{
    int            rc;
    BIO           *bio;
    EVP_PKEY      *params;
    const char    *path;
    EVP_PKEY_CTX  *ctx;

    if (!conf_pem_group(value)) {
        return certs_file(a, c, value, "dhparam.pem", err);
    }

    path = arena_printf(a, "%s/ssl/%s.pem", conf_prefix(c), value);

    if (access(path, R_OK) == 0) {
        return path;
    }

    rc = -1;
    params = NULL;
    bio = BIO_new(BIO_s_mem());
    ctx = EVP_PKEY_CTX_new_from_name(NULL, "DH", NULL);

    if (bio != NULL && ctx != NULL && EVP_PKEY_paramgen_init(ctx) == 1
        && EVP_PKEY_CTX_set_group_name(ctx, value) == 1
        && EVP_PKEY_paramgen(ctx, &params) == 1
        && PEM_write_bio_Parameters(bio, params) == 1)
    {
        rc = certs_write(a, path, 0644, bio, err);

    } else {
        *err = arena_printf(a, "could not make the DH parameters %s", value);
    }

    EVP_PKEY_free(params);
    EVP_PKEY_CTX_free(ctx);
    (void) BIO_free(bio);
    ERR_clear_error();

    return rc == -1 ? NULL : path;
}


static int
certs_pair(arena_t *a, const char *crt, const char *key, unsigned ecdsa,
    const char **err)
{
    int        rc;
    BIO       *key_bio, *crt_bio;
    X509      *cert;
    EVP_PKEY  *pkey;

    if (access(crt, R_OK) == 0 && access(key, R_OK) == 0) {
        return 0;
    }

    pkey = ecdsa ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256")
                 : EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t) CERTS_BITS);
    cert = pkey ? certs_self_signed(pkey) : NULL;
    key_bio = BIO_new(BIO_s_mem());
    crt_bio = BIO_new(BIO_s_mem());

    if (cert != NULL && key_bio != NULL && crt_bio != NULL
        && PEM_write_bio_PrivateKey(key_bio, pkey, NULL, NULL, 0, NULL, NULL)
           == 1
        && PEM_write_bio_X509(crt_bio, cert) == 1)
    {
        rc = certs_write(a, key, 0600, key_bio, err);

        if (rc == 0) {
            rc = certs_write(a, crt, 0644, crt_bio, err);
        }

    } else {
        rc = -1;
        *err = arena_printf(a, "could not make the certificate %s", crt);
    }

    (void) BIO_free(key_bio);
    (void) BIO_free(crt_bio);
    X509_free(cert);
    EVP_PKEY_free(pkey);
    ERR_clear_error();

    return rc;
}


static X509 *
certs_self_signed(EVP_PKEY *key)
{
    X509      *cert;
    uint64_t   serial;

    cert = X509_new();
    if (cert == NULL) {
        return NULL;
    }

    if (RAND_bytes((unsigned char *) &serial, sizeof(serial)) != 1
        || X509_set_version(cert, X509_VERSION_3) != 1
        || ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial >> 1)
           != 1
        || X509_gmtime_adj(X509_getm_notBefore(cert), 0) == NULL
        || X509_gmtime_adj(X509_getm_notAfter(cert), CERTS_DAYS * 86400L)
           == NULL
        || X509_set_pubkey(cert, key) != 1
        || certs_name(cert) == -1
        || certs_extension(cert, NID_subject_alt_name, "DNS:localhost") == -1
        || certs_extension(cert, NID_basic_constraints, "critical,CA:TRUE")
           == -1
        || X509_sign(cert, key, EVP_sha256()) == 0)
    {
        X509_free(cert);
        return NULL;
    }

    return cert;
}


static int
certs_name(X509 *cert)
{
    X509_NAME  *name;

    name = X509_get_subject_name(cert);

    if (X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                   (const unsigned char *) "localhost", -1,
                                   -1, 0) != 1
        || X509_set_issuer_name(cert, name) != 1)
    {
        return -1;
    }

    return 0;
}


static int
certs_extension(X509 *cert, int nid, const char *value)
{
    int              ok;
    X509V3_CTX       ctx;
    X509_EXTENSION  *ext;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);

    ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    ok = (ext != NULL && X509_add_ext(cert, ext, -1) == 1);
    X509_EXTENSION_free(ext);

    return ok ? 0 : -1;
}


static int
certs_write(arena_t *a, const char *path, mode_t mode, BIO *bio,
    const char **err)
{
    int          fd, failed;
    char        *data;
    long         len;
    const char  *temp;

    temp = arena_printf(a, "%s.new", path);
    len = BIO_get_mem_data(bio, &data);

    (void) unlink(temp);
    fd = open(temp, O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, mode);

    if (fd == -1) {
        *err = arena_printf(a, "could not write %s: %s", temp,
                            strerror(errno));
        return -1;
    }

    failed = write(fd, data, (size_t) len) != len || fsync(fd) == -1;

    if (close(fd) == -1 || failed || rename(temp, path) == -1) {
        *err = arena_printf(a, "could not write %s: %s", path,
                            strerror(errno));
        (void) unlink(temp);
        return -1;
    }

    return 0;
}
