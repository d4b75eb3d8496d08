/*
 * jwk: builds the public part of a key from its members.  Only whether that
 * succeeds is of interest here.
 */

#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include "jwk.h"


#define JWK_MAX_BYTES  4096


typedef struct {
    unsigned char  data[JWK_MAX_BYTES];
    size_t         len;
} jwk_bytes_t;

typedef struct {
    const char  *crv;
    const char  *name;          /* OpenSSL's */
    size_t       len;           /* of a coordinate or key */
} jwk_curve_t;


static EVP_PKEY *jwk_load_rsa(const value_t *jwk);
static EVP_PKEY *jwk_load_ec(const value_t *jwk);
static EVP_PKEY *jwk_load_okp(const value_t *jwk);
static EVP_PKEY *jwk_build(const char *type, OSSL_PARAM_BLD *builder);
static const jwk_curve_t *jwk_curve(const jwk_curve_t *curves,
    const value_t *jwk);
static int jwk_bytes(const value_t *jwk, const char *name,
    jwk_bytes_t *out);
static int jwk_base64(char c);


static const jwk_curve_t  jwk_ec_curves[] = {
    { "P-256", "prime256v1", 32 },
    { "P-384", "secp384r1", 48 },
    { "P-521", "secp521r1", 66 },
    { "secp256k1", "secp256k1", 32 },
    { NULL, NULL, 0 }
};

static const jwk_curve_t  jwk_okp_curves[] = {
    { "Ed25519", "ED25519", 32 },
    { "Ed448", "ED448", 57 },
    { "X25519", "X25519", 32 },
    { "X448", "X448", 56 },
    { NULL, NULL, 0 }
};


bool
jwk_is_loadable(arena_t *a, const value_t *jwk)
{
    EVP_PKEY       *key;
    const value_t  *kty;

    (void) a;

    kty = value_get(jwk, "kty");
    key = NULL;

    if (value_str_eq(kty, "RSA")) {
        key = jwk_load_rsa(jwk);

    } else if (value_str_eq(kty, "EC")) {
        key = jwk_load_ec(jwk);

    } else if (value_str_eq(kty, "OKP")) {
        key = jwk_load_okp(jwk);
    }

    ERR_clear_error();

    if (key == NULL) {
        return false;
    }

    EVP_PKEY_free(key);

    return true;
}


static EVP_PKEY *
jwk_load_rsa(const value_t *jwk)
{
    BIGNUM          *n, *e;
    EVP_PKEY        *key;
    jwk_bytes_t      modulus, exponent;
    OSSL_PARAM_BLD  *builder;

    if (jwk_bytes(jwk, "n", &modulus) != 0
        || jwk_bytes(jwk, "e", &exponent) != 0)
    {
        return NULL;
    }

    key = NULL;
    n = BN_bin2bn(modulus.data, (int) modulus.len, NULL);
    e = BN_bin2bn(exponent.data, (int) exponent.len, NULL);
    builder = OSSL_PARAM_BLD_new();

    if (n != NULL && e != NULL && builder != NULL
        && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1
        && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1)
    {
        key = jwk_build("RSA", builder);
    }

    OSSL_PARAM_BLD_free(builder);
    BN_free(n);
    BN_free(e);

    return key;
}


static EVP_PKEY *
jwk_load_ec(const value_t *jwk)
{
    EVP_PKEY           *key;
    jwk_bytes_t         x, y;
    OSSL_PARAM_BLD     *builder;
    unsigned char       point[1 + 2 * 66];
    const jwk_curve_t  *curve;

    curve = jwk_curve(jwk_ec_curves, jwk);

    if (curve == NULL || jwk_bytes(jwk, "x", &x) != 0
        || jwk_bytes(jwk, "y", &y) != 0 || x.len != curve->len
        || y.len != curve->len)
    {
        return NULL;
    }

    point[0] = POINT_CONVERSION_UNCOMPRESSED;
    memcpy(point + 1, x.data, x.len);
    memcpy(point + 1 + x.len, y.data, y.len);

    key = NULL;
    builder = OSSL_PARAM_BLD_new();

    if (builder != NULL
        && OSSL_PARAM_BLD_push_utf8_string(builder,
               OSSL_PKEY_PARAM_GROUP_NAME, curve->name, 0) == 1
        && OSSL_PARAM_BLD_push_octet_string(builder,
               OSSL_PKEY_PARAM_PUB_KEY, point, 1 + x.len + y.len) == 1)
    {
        key = jwk_build("EC", builder);
    }

    OSSL_PARAM_BLD_free(builder);

    return key;
}


static EVP_PKEY *
jwk_load_okp(const value_t *jwk)
{
    jwk_bytes_t         x;
    const jwk_curve_t  *curve;

    curve = jwk_curve(jwk_okp_curves, jwk);

    if (curve == NULL || jwk_bytes(jwk, "x", &x) != 0 || x.len != curve->len)
    {
        return NULL;
    }

    return EVP_PKEY_new_raw_public_key_ex(NULL, curve->name, NULL, x.data,
                                          x.len);
}


static EVP_PKEY *
jwk_build(const char *type, OSSL_PARAM_BLD *builder)
{
    EVP_PKEY      *key;
    OSSL_PARAM    *params;
    EVP_PKEY_CTX  *ctx;

    key = NULL;
    params = OSSL_PARAM_BLD_to_param(builder);
    ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);

    if (params == NULL || ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1
        || EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
    {
        EVP_PKEY_free(key);
        key = NULL;
    }

    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);

    return key;
}


static const jwk_curve_t *
jwk_curve(const jwk_curve_t *curves, const value_t *jwk)
{
    const value_t  *crv;

    crv = value_get(jwk, "crv");

    for ( /* void */ ; curves->crv != NULL; curves++) {
        if (value_str_eq(crv, curves->crv)) {
            return curves;
        }
    }

    return NULL;
}


/* a member in base64url, not empty */

static int
jwk_bytes(const value_t *jwk, const char *name, jwk_bytes_t *out)
{
    int             n;
    size_t          i;
    unsigned        bits, have;
    const value_t  *v;

    v = value_get(jwk, name);

    if (v == NULL || v->kind != VALUE_STRING || v->len == 0
        || v->len > JWK_MAX_BYTES)
    {
        return -1;
    }

    bits = 0;
    have = 0;
    out->len = 0;

    for (i = 0; i < v->len; i++) {
        n = jwk_base64(v->u.string[i]);
        if (n < 0) {
            return -1;
        }

        bits = bits << 6 | (unsigned) n;
        have += 6;

        if (have >= 8) {
            have -= 8;
            out->data[out->len++] = (unsigned char) (bits >> have);
        }
    }

    return out->len == 0 ? -1 : 0;
}


static int
jwk_base64(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }

    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }

    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }

    return c == '-' ? 62 : c == '_' ? 63 : -1;
}
