/*
 * kong_signature: see kong_signature.h.
 */

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "kong_base64.h"
#include "kong_signature.h"


#define SIGNATURE_SETS     256
#define SIGNATURE_WAYS     4
#define SIGNATURE_DER_MAX  160       /* of two 66-byte numbers */

typedef enum {
    SIGNATURE_HMAC = 0,
    SIGNATURE_RSA,
    SIGNATURE_PSS,
    SIGNATURE_EC,
    SIGNATURE_ED
} signature_family_t;

typedef struct {
    const char          *name;
    signature_family_t   family;
    const char          *digest;
    const char          *group;      /* EC: the curve */
    unsigned             bytes;      /* EC: of one number */
} signature_alg_t;

typedef struct {
    uint64_t             hash;
    uint64_t             used;
    kong_key_t           key;        /* owns its text */
    EVP_MAC_CTX         *mac;
    EVP_PKEY            *pkey;
    kong_signature_rc_t  state;      /* OK, or what every check gives */
} signature_entry_t;


static signature_entry_t *signature_entry(const kong_key_t *key);
static int signature_entry_is(const signature_entry_t *e,
    const kong_key_t *key, uint64_t hash);
static void signature_entry_release(signature_entry_t *e);
static kong_signature_rc_t signature_load_secret(signature_entry_t *e);
static kong_signature_rc_t signature_load_pem(signature_entry_t *e);
static int signature_no_password(char *buf, int size, int rw, void *data);
static int signature_fits(const signature_alg_t *alg, EVP_PKEY *pkey);
static kong_signature_rc_t signature_hmac(signature_entry_t *e,
    kong_str_t data, const uint8_t *signature, size_t len);
static kong_signature_rc_t signature_public(signature_entry_t *e,
    kong_str_t data, const uint8_t *signature, size_t len);
static int signature_der(const signature_alg_t *alg, const uint8_t *signature,
    size_t len, uint8_t *der);


/* by kong_alg_t */
static const signature_alg_t  signature_algs[] = {
    [KONG_ALG_NONE] = { "", SIGNATURE_HMAC, NULL, NULL, 0 },
    [KONG_ALG_HS1] = { "", SIGNATURE_HMAC, "SHA1", NULL, 0 },
    [KONG_ALG_HS256] = { "HS256", SIGNATURE_HMAC, "SHA256", NULL, 0 },
    [KONG_ALG_HS384] = { "HS384", SIGNATURE_HMAC, "SHA384", NULL, 0 },
    [KONG_ALG_HS512] = { "HS512", SIGNATURE_HMAC, "SHA512", NULL, 0 },
    [KONG_ALG_RS256] = { "RS256", SIGNATURE_RSA, "SHA256", NULL, 0 },
    [KONG_ALG_RS384] = { "RS384", SIGNATURE_RSA, "SHA384", NULL, 0 },
    [KONG_ALG_RS512] = { "RS512", SIGNATURE_RSA, "SHA512", NULL, 0 },
    [KONG_ALG_PS256] = { "PS256", SIGNATURE_PSS, "SHA256", NULL, 0 },
    [KONG_ALG_PS384] = { "PS384", SIGNATURE_PSS, "SHA384", NULL, 0 },
    [KONG_ALG_PS512] = { "PS512", SIGNATURE_PSS, "SHA512", NULL, 0 },
    [KONG_ALG_ES256] = { "ES256", SIGNATURE_EC, "SHA256", "prime256v1", 32 },
    [KONG_ALG_ES384] = { "ES384", SIGNATURE_EC, "SHA384", "secp384r1", 48 },
    [KONG_ALG_ES512] = { "ES512", SIGNATURE_EC, "SHA512", "secp521r1", 66 },
    [KONG_ALG_EDDSA] = { "EdDSA", SIGNATURE_ED, NULL, NULL, 0 }
};

#define SIGNATURE_ALGS  (sizeof(signature_algs) / sizeof(signature_algs[0]))

static signature_entry_t  *signature_keys[SIGNATURE_SETS][SIGNATURE_WAYS];
static uint64_t            signature_clock;
static EVP_MAC            *signature_mac;


kong_alg_t
kong_alg(const char *name, size_t len)
{
    size_t  i;

    for (i = KONG_ALG_HS256; i < SIGNATURE_ALGS; i++) {
        if (strlen(signature_algs[i].name) == len
            && memcmp(signature_algs[i].name, name, len) == 0)
        {
            return (kong_alg_t) i;
        }
    }

    return KONG_ALG_NONE;
}


kong_signature_rc_t
kong_signature_verify(const kong_key_t *key, kong_str_t data,
    const uint8_t *signature, size_t len)
{
    signature_entry_t    *e;
    kong_signature_rc_t   rc;

    if (key->alg <= KONG_ALG_NONE || key->alg >= SIGNATURE_ALGS
        || key->text.len == 0)
    {
        return KONG_SIGNATURE_KEY;
    }

    e = signature_entry(key);

    if (e == NULL) {
        rc = KONG_SIGNATURE_FAILED;

    } else if (e->state != KONG_SIGNATURE_OK) {
        rc = e->state;

    } else if (e->mac != NULL) {
        rc = signature_hmac(e, data, signature, len);

    } else {
        rc = signature_public(e, data, signature, len);
    }

    /* nginx takes what is left in the queue for an error of its own */
    ERR_clear_error();

    return rc;
}


void
kong_signature_release(void)
{
    size_t  i, j;

    for (i = 0; i < SIGNATURE_SETS; i++) {
        for (j = 0; j < SIGNATURE_WAYS; j++) {
            signature_entry_release(signature_keys[i][j]);
            signature_keys[i][j] = NULL;
        }
    }

    EVP_MAC_free(signature_mac);
    signature_mac = NULL;
}


/* of the table, or new in the place of the one longest unused */
static signature_entry_t *
signature_entry(const kong_key_t *key)
{
    char                *text;
    size_t               i;
    uint64_t             hash;
    signature_entry_t  **set, **place, *e;

    hash = XXH3_64bits_withSeed(key->text.data, key->text.len,
                                (uint64_t) key->alg * 2 + !!key->base64);
    set = signature_keys[hash % SIGNATURE_SETS];
    place = &set[0];

    for (i = 0; i < SIGNATURE_WAYS; i++) {
        if (set[i] != NULL && signature_entry_is(set[i], key, hash)) {
            set[i]->used = ++signature_clock;
            return set[i];
        }

        if (*place != NULL
            && (set[i] == NULL || set[i]->used < (*place)->used))
        {
            place = &set[i];
        }
    }

    e = calloc(1, sizeof(signature_entry_t));
    text = malloc(key->text.len);

    if (e == NULL || text == NULL) {
        free(e);
        free(text);
        return NULL;
    }

    memcpy(text, key->text.data, key->text.len);

    e->hash = hash;
    e->used = ++signature_clock;
    e->key = *key;
    e->key.text.data = text;
    e->state = kong_alg_is_hmac(key->alg) ? signature_load_secret(e)
                                          : signature_load_pem(e);

    if (e->state == KONG_SIGNATURE_FAILED) {
        signature_entry_release(e);
        return NULL;
    }

    signature_entry_release(*place);
    *place = e;

    return e;
}


static int
signature_entry_is(const signature_entry_t *e, const kong_key_t *key,
    uint64_t hash)
{
    return e->hash == hash && e->key.alg == key->alg
           && !e->key.base64 == !key->base64
           && e->key.text.len == key->text.len
           && memcmp(e->key.text.data, key->text.data, key->text.len) == 0;
}


static void
signature_entry_release(signature_entry_t *e)
{
    if (e == NULL) {
        return;
    }

    EVP_MAC_CTX_free(e->mac);
    EVP_PKEY_free(e->pkey);
    OPENSSL_cleanse((void *) e->key.text.data, e->key.text.len);
    free((void *) e->key.text.data);
    free(e);
}


static kong_signature_rc_t
signature_load_secret(signature_entry_t *e)
{
    int                   ok;
    ssize_t               n;
    uint8_t              *secret;
    OSSL_PARAM            params[2];
    kong_signature_rc_t   rc;

    if (signature_mac == NULL) {
        signature_mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    }

    secret = malloc(kong_base64_size(e->key.text.len));
    e->mac = signature_mac ? EVP_MAC_CTX_new(signature_mac) : NULL;

    if (secret == NULL || e->mac == NULL) {
        free(secret);
        return KONG_SIGNATURE_FAILED;
    }

    n = (ssize_t) e->key.text.len;

    if (e->key.base64) {
        n = kong_base64_decode(e->key.text.data, e->key.text.len,
                               KONG_BASE64_ANY, secret);
    }

    rc = KONG_SIGNATURE_KEY;

    if (n > 0) {
        params[0] = OSSL_PARAM_construct_utf8_string(
                        OSSL_MAC_PARAM_DIGEST,
                        (char *) signature_algs[e->key.alg].digest, 0);
        params[1] = OSSL_PARAM_construct_end();

        ok = EVP_MAC_init(e->mac, e->key.base64
                                  ? secret : (uint8_t *) e->key.text.data,
                          (size_t) n, params);
        rc = ok == 1 ? KONG_SIGNATURE_OK : KONG_SIGNATURE_FAILED;
    }

    OPENSSL_cleanse(secret, kong_base64_size(e->key.text.len));
    free(secret);

    return rc;
}


static kong_signature_rc_t
signature_load_pem(signature_entry_t *e)
{
    BIO  *bio;

    if (e->key.text.len > INT_MAX) {
        return KONG_SIGNATURE_KEY;
    }

    bio = BIO_new_mem_buf(e->key.text.data, (int) e->key.text.len);

    if (bio == NULL) {
        return KONG_SIGNATURE_FAILED;
    }

    e->pkey = PEM_read_bio_PUBKEY(bio, NULL, signature_no_password, NULL);

    if (e->pkey == NULL && BIO_reset(bio) == 1) {
        e->pkey = PEM_read_bio_PrivateKey(bio, NULL, signature_no_password,
                                          NULL);
    }

    BIO_free(bio);

    if (e->pkey == NULL) {
        return KONG_SIGNATURE_KEY;
    }

    return signature_fits(&signature_algs[e->key.alg], e->pkey)
           ? KONG_SIGNATURE_OK : KONG_SIGNATURE_WRONG;
}


static int
signature_no_password(char *buf, int size, int rw, void *data)
{
    (void) buf;
    (void) size;
    (void) rw;
    (void) data;

    return -1;
}


/* is the key of the algorithm's type? */
static int
signature_fits(const signature_alg_t *alg, EVP_PKEY *pkey)
{
    int     type;
    char    group[32];
    size_t  len;

    type = EVP_PKEY_get_base_id(pkey);

    switch (alg->family) {

    case SIGNATURE_RSA:
        return type == EVP_PKEY_RSA;

    case SIGNATURE_PSS:
        return type == EVP_PKEY_RSA || type == EVP_PKEY_RSA_PSS;

    case SIGNATURE_EC:
        return type == EVP_PKEY_EC
               && EVP_PKEY_get_group_name(pkey, group, sizeof(group), &len)
                  == 1
               && strcmp(group, alg->group) == 0;

    case SIGNATURE_ED:
        return type == EVP_PKEY_ED25519 || type == EVP_PKEY_ED448;

    default:
        return 0;
    }
}


static kong_signature_rc_t
signature_hmac(signature_entry_t *e, kong_str_t data,
    const uint8_t *signature, size_t len)
{
    size_t   n;
    uint8_t  md[EVP_MAX_MD_SIZE];

    /* without a key: begins anew with the one that it has */

    if (EVP_MAC_init(e->mac, NULL, 0, NULL) != 1
        || EVP_MAC_update(e->mac, (const uint8_t *) data.data, data.len) != 1
        || EVP_MAC_final(e->mac, md, &n, sizeof(md)) != 1)
    {
        return KONG_SIGNATURE_FAILED;
    }

    return (n == len && CRYPTO_memcmp(md, signature, n) == 0)
           ? KONG_SIGNATURE_OK : KONG_SIGNATURE_WRONG;
}


static kong_signature_rc_t
signature_public(signature_entry_t *e, kong_str_t data,
    const uint8_t *signature, size_t len)
{
    int                     n, ok;
    uint8_t                 der[SIGNATURE_DER_MAX];
    const EVP_MD           *md;
    EVP_MD_CTX             *ctx;
    EVP_PKEY_CTX           *pctx;
    const signature_alg_t  *alg;

    alg = &signature_algs[e->key.alg];

    if (alg->family == SIGNATURE_EC) {
        n = signature_der(alg, signature, len, der);

        if (n <= 0) {
            return n == 0 ? KONG_SIGNATURE_WRONG : KONG_SIGNATURE_FAILED;
        }

        signature = der;
        len = (size_t) n;
    }

    ctx = EVP_MD_CTX_new();
    md = alg->digest ? EVP_get_digestbyname(alg->digest) : NULL;

    if (ctx == NULL || (alg->digest != NULL && md == NULL)
        || EVP_DigestVerifyInit(ctx, &pctx, md, NULL, e->pkey) != 1
        || (alg->family == SIGNATURE_PSS
            && EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING)
               != 1))
    {
        EVP_MD_CTX_free(ctx);
        return KONG_SIGNATURE_FAILED;
    }

    ok = EVP_DigestVerify(ctx, signature, len, (const uint8_t *) data.data,
                          data.len);
    EVP_MD_CTX_free(ctx);

    return ok == 1 ? KONG_SIGNATURE_OK : KONG_SIGNATURE_WRONG;
}


/* two numbers of fixed size as OpenSSL wants them: the length, 0 when they
 * are no signature, -1 when out of memory */
static int
signature_der(const signature_alg_t *alg, const uint8_t *signature,
    size_t len, uint8_t *der)
{
    int         n;
    BIGNUM     *r, *s;
    uint8_t    *p;
    ECDSA_SIG  *sig;

    if (len != 2 * (size_t) alg->bytes) {
        return 0;
    }

    sig = ECDSA_SIG_new();
    r = BN_bin2bn(signature, (int) alg->bytes, NULL);
    s = BN_bin2bn(signature + alg->bytes, (int) alg->bytes, NULL);

    if (sig == NULL || r == NULL || s == NULL
        || ECDSA_SIG_set0(sig, r, s) != 1)
    {
        ECDSA_SIG_free(sig);
        BN_free(r);
        BN_free(s);
        return -1;
    }

    n = i2d_ECDSA_SIG(sig, NULL);

    if (n > SIGNATURE_DER_MAX) {
        n = 0;

    } else if (n > 0) {
        p = der;
        n = i2d_ECDSA_SIG(sig, &p);
    }

    ECDSA_SIG_free(sig);

    return n;
}
