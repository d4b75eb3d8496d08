/*
 * Tokens taken apart, and signatures of every algorithm checked with keys of
 * every type.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "ngx_kong_module/plugins/kong_jwt.h"


typedef struct {
    const char     *header;
    const char     *claims;
    const char     *signature;       /* as it stands in the token */
    kong_jwt_rc_t   rc;
} parse_case_t;

typedef struct {
    const char  *alg;
    unsigned     key;                /* index of a key */
    const char  *digest;
    unsigned     bytes;              /* EC: of a number */
    int          pss;
} sign_case_t;

enum { KEY_RSA, KEY_P256, KEY_P384, KEY_P521, KEY_ED25519, KEY_ED448, KEYS };


#define HS  "{\"alg\":\"HS256\"}"

static const parse_case_t  parses[] = {
    { HS, "{\"iss\":\"a\"}", "AAAA", KONG_JWT_OK },
    { HS, "{}", "", KONG_JWT_OK },
    { " {\"alg\" : \"EdDSA\"}\r\n\t", " {} ", "AA", KONG_JWT_OK },
    { "{\"alg\":\"HS256\",\"typ\":\"at+jwt\"}", "{}", "", KONG_JWT_OK },
    { HS, "{\"a\":\"\\\\u0000\"}", "", KONG_JWT_OK },
    { HS, "{\"a\":{\"b\":1,\"b\":2}}", "", KONG_JWT_OK },

    { "{\"alg\":\"none\"}", "{}", "", KONG_JWT_ALG },
    { "{\"alg\":\"NONE\"}", "{}", "", KONG_JWT_ALG },
    { "{\"alg\":\"hs256\"}", "{}", "", KONG_JWT_ALG },
    { "{\"alg\":\"\"}", "{}", "", KONG_JWT_ALG },
    { "{\"alg\":null}", "{}", "", KONG_JWT_ALG },
    { "{\"alg\":1}", "{}", "", KONG_JWT_ALG },
    { "{\"alg\":[\"HS256\"]}", "{}", "", KONG_JWT_ALG },
    { "{\"ALG\":\"HS256\"}", "{}", "", KONG_JWT_ALG },
    { "{\"alg\":\"HS256 \"}", "{}", "", KONG_JWT_ALG },
    { "{}", "{}", "", KONG_JWT_ALG },
    { "{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}", "{}", "",
      KONG_JWT_CRIT },

    { "", "{}", "", KONG_JWT_JSON },
    { HS, "", "", KONG_JWT_JSON },
    { "nonsense", "{}", "", KONG_JWT_JSON },
    { "[]", "{}", "", KONG_JWT_JSON },
    { "1", "{}", "", KONG_JWT_JSON },
    { HS, "{\"iss\":\"a\"", "", KONG_JWT_JSON },
    { HS, "{} {}", "", KONG_JWT_JSON },
    { HS, "{}x", "", KONG_JWT_JSON },
    { HS, "[1]", "", KONG_JWT_CLAIMS },
    { HS, "null", "", KONG_JWT_CLAIMS },
    { HS, "\"iss\"", "", KONG_JWT_CLAIMS },
    { "{\"alg\":\"HS256\",\"alg\":\"none\"}", "{}", "", KONG_JWT_JSON },
    { HS, "{\"iss\":\"a\",\"exp\":1,\"iss\":\"b\"}", "", KONG_JWT_JSON },
    { HS, "{\"iss\":\"a\",\"\\u0069ss\":\"b\"}", "", KONG_JWT_JSON },
    { HS, "{\"iss\":\"a\\u0000b\"}", "", KONG_JWT_JSON },
    { HS, "{\"iss\\u0000\":\"a\"}", "", KONG_JWT_JSON },
    { HS, "{\"iss\":\"a\nb\"}", "", KONG_JWT_JSON },
    { HS, "{\"iss\":\"a\"}\x01", "", KONG_JWT_JSON },
    { HS, "{\"iss\":\"\\", "", KONG_JWT_JSON },

    { HS, "{}", "A", KONG_JWT_SIGNATURE },
    { HS, "{}", "AB", KONG_JWT_SIGNATURE },          /* stray bits */
    { HS, "{}", "AAA=", KONG_JWT_SIGNATURE },
    { HS, "{}", "AA+A", KONG_JWT_SIGNATURE },
    { HS, "{}", "AA/A", KONG_JWT_SIGNATURE },
    { HS, "{}", "AAAA.AAAA", KONG_JWT_SIGNATURE },
    { HS, "{}", "AA A", KONG_JWT_SIGNATURE },
};

static const sign_case_t  signs[] = {
    { "RS256", KEY_RSA, "SHA256", 0, 0 },
    { "RS384", KEY_RSA, "SHA384", 0, 0 },
    { "RS512", KEY_RSA, "SHA512", 0, 0 },
    { "PS256", KEY_RSA, "SHA256", 0, 1 },
    { "PS384", KEY_RSA, "SHA384", 0, 1 },
    { "PS512", KEY_RSA, "SHA512", 0, 1 },
    { "ES256", KEY_P256, "SHA256", 32, 0 },
    { "ES384", KEY_P384, "SHA384", 48, 0 },
    { "ES512", KEY_P521, "SHA512", 66, 0 },
    { "EdDSA", KEY_ED25519, NULL, 0, 0 },
    { "EdDSA", KEY_ED448, NULL, 0, 0 },
};

#define N_SIGNS  (sizeof(signs) / sizeof(signs[0]))

static EVP_PKEY  *keys[KEYS];
static char      *pems[KEYS];

static const kong_str_t  message = { "header.claims", 13 };


static size_t
base64url(const char *in, char *out)
{
    int     n;
    size_t  i;

    n = EVP_EncodeBlock((unsigned char *) out, (const unsigned char *) in,
                        (int) strlen(in));

    while (n > 0 && out[n - 1] == '=') {
        n--;
    }

    for (i = 0; i < (size_t) n; i++) {
        out[i] = out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i];
    }

    out[n] = '\0';

    return (size_t) n;
}


static kong_jwt_rc_t
parse(kong_jwt_t *jwt, char *token, const char *header, const char *claims,
    const char *signature)
{
    char  *p;

    p = token;
    p += base64url(header, p);
    *p++ = '.';
    p += base64url(claims, p);
    *p++ = '.';
    strcpy(p, signature);

    return kong_jwt_parse(jwt, token, strlen(token));
}


static void
test_parse(void **state)
{
    char           token[4096];
    size_t         i;
    kong_jwt_t     jwt;
    kong_jwt_rc_t  rc;

    (void) state;

    for (i = 0; i < sizeof(parses) / sizeof(parses[0]); i++) {
        rc = parse(&jwt, token, parses[i].header, parses[i].claims,
                   parses[i].signature);

        if (rc != parses[i].rc) {
            fail_msg("%s . %s . %s: %s, not %s", parses[i].header,
                     parses[i].claims, parses[i].signature,
                     kong_jwt_strerror(rc), kong_jwt_strerror(parses[i].rc));
        }

        kong_jwt_release(&jwt);
    }
}


static void
test_parts(void **state)
{
    size_t      i;
    kong_jwt_t  jwt;

    static const char *const  tokens[] = {
        "", ".", "..", "...", "a", "a.b", "eyJhbGciOiJIUzI1NiJ9.e30",
        "eyJhbGciOiJIUzI1NiJ9", "eyJhbGciOiJIUzI1NiJ9=.e30.", "====.====.==="
    };

    (void) state;

    for (i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
        assert_int_equal(kong_jwt_parse(&jwt, tokens[i], strlen(tokens[i])),
                         KONG_JWT_JSON);
        kong_jwt_release(&jwt);
    }
}


static void
test_limits(void **state)
{
    char        *token, *claims, *p;
    size_t       i, len;
    kong_jwt_t   jwt;

    (void) state;

    token = malloc(4 * KONG_JWT_MAX);
    claims = malloc(2 * KONG_JWT_MAX);

    /* the compiler does not know that an assertion does not return */
    if (token == NULL || claims == NULL) {
        fail_msg("out of memory");
        return;
    }

    /* an object with one member too many */
    for (len = KONG_JWT_MEMBERS_MAX; len <= KONG_JWT_MEMBERS_MAX + 1; len++) {
        p = claims + sprintf(claims, "{\"m\":0");
        for (i = 1; i < len; i++) {
            p += sprintf(p, ",\"m%zu\":0", i);
        }
        strcpy(p, "}");

        assert_int_equal(parse(&jwt, token, HS, claims, ""),
                         len == KONG_JWT_MEMBERS_MAX ? KONG_JWT_OK
                                                     : KONG_JWT_JSON);
        kong_jwt_release(&jwt);
    }

    /* a token too long */
    memset(claims, ' ', 2 * KONG_JWT_MAX);
    strcpy(claims + KONG_JWT_MAX, "{}");
    assert_int_equal(parse(&jwt, token, HS, claims, ""), KONG_JWT_JSON);
    kong_jwt_release(&jwt);

    /* nested beyond reason */
    memset(claims, '[', 20000);
    claims[20000] = '\0';
    assert_int_equal(parse(&jwt, token, HS, claims, ""), KONG_JWT_JSON);
    kong_jwt_release(&jwt);

    /* signatures: the longest, and longer */
    memset(claims, 'A', KONG_JWT_SIGNATURE_MAX * 2);
    claims[KONG_JWT_SIGNATURE_MAX / 3 * 4 + 3] = '\0';
    assert_int_equal(parse(&jwt, token, HS, "{}", claims), KONG_JWT_OK);
    assert_int_equal(jwt.signature_len, KONG_JWT_SIGNATURE_MAX);
    kong_jwt_release(&jwt);
    strcat(claims, "A");
    assert_int_equal(parse(&jwt, token, HS, "{}", claims),
                     KONG_JWT_SIGNATURE);
    kong_jwt_release(&jwt);

    free(token);
    free(claims);
}


static void
test_claims(void **state)
{
    char        token[1024];
    double      n;
    kong_jwt_t  jwt;

    (void) state;

    assert_int_equal(parse(&jwt, token,
                           "{\"alg\":\"HS256\",\"kid\":\"k\",\"iss\":\"h\"}",
                           "{\"iss\":\"c\",\"ISS\":\"x\",\"exp\":1.5,"
                           "\"nbf\":\"1\",\"big\":1e999,\"no\":false,"
                           "\"nil\":null}", "AAEC"),
                     KONG_JWT_OK);

    assert_string_equal(kong_jwt_get(&jwt, "iss")->valuestring, "c");
    assert_string_equal(kong_jwt_get(&jwt, "kid")->valuestring, "k");
    assert_null(kong_jwt_get(&jwt, "no"));
    assert_null(kong_jwt_get(&jwt, "nil"));
    assert_null(kong_jwt_get(&jwt, "is"));
    assert_null(kong_jwt_get(&jwt, ""));

    assert_true(kong_jwt_number(&jwt, "exp", &n));
    assert_true(n > 1.4 && n < 1.6);
    assert_false(kong_jwt_number(&jwt, "nbf", &n));
    assert_false(kong_jwt_number(&jwt, "big", &n));
    assert_false(kong_jwt_number(&jwt, "none", &n));

    assert_int_equal(jwt.alg, KONG_ALG_HS256);
    assert_int_equal(jwt.signature_len, 3);
    assert_memory_equal(jwt.signature, "\0\1\2", 3);
    assert_int_equal(jwt.text.len, strrchr(token, '.') - token);

    kong_jwt_release(&jwt);
}


static int
make_keys(void **state)
{
    BIO     *bio;
    long     n;
    char    *data;
    size_t   i;

    (void) state;

    keys[KEY_RSA] = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t) 2048);
    keys[KEY_P256] = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    keys[KEY_P384] = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384");
    keys[KEY_P521] = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-521");
    keys[KEY_ED25519] = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    keys[KEY_ED448] = EVP_PKEY_Q_keygen(NULL, NULL, "ED448");

    for (i = 0; i < KEYS; i++) {
        bio = BIO_new(BIO_s_mem());

        if (PEM_write_bio_PUBKEY(bio, keys[i]) != 1) {
            return -1;
        }

        n = BIO_get_mem_data(bio, &data);
        pems[i] = strndup(data, (size_t) n);
        BIO_free(bio);
    }

    return 0;
}


static int
drop_keys(void **state)
{
    size_t  i;

    (void) state;

    for (i = 0; i < KEYS; i++) {
        EVP_PKEY_free(keys[i]);
        free(pems[i]);
    }

    kong_signature_release();

    return 0;
}


/* of the message, raw as in a token; returns its length */
static size_t
sign(const sign_case_t *c, unsigned key, uint8_t *out)
{
    size_t           len;
    uint8_t          der[2048];
    EVP_MD_CTX      *ctx;
    ECDSA_SIG       *sig;
    EVP_PKEY_CTX    *pctx;
    const uint8_t   *p;

    ctx = EVP_MD_CTX_new();
    len = sizeof(der);

    assert_int_equal(EVP_DigestSignInit_ex(ctx, &pctx, c->digest, NULL, NULL,
                                           keys[key], NULL), 1);
    if (c->pss) {
        EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING);
        EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST);
    }

    assert_int_equal(EVP_DigestSign(ctx, der, &len,
                                    (const uint8_t *) message.data,
                                    message.len), 1);
    EVP_MD_CTX_free(ctx);

    if (c->bytes == 0) {
        memcpy(out, der, len);
        return len;
    }

    p = der;
    sig = d2i_ECDSA_SIG(NULL, &p, (long) len);
    assert_non_null(sig);
    BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, (int) c->bytes);
    BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + c->bytes, (int) c->bytes);
    ECDSA_SIG_free(sig);

    return 2 * c->bytes;
}


static kong_signature_rc_t
verify(const char *alg, const char *text, const uint8_t *signature,
    size_t len)
{
    kong_key_t           key;
    kong_signature_rc_t  rc;

    memset(&key, 0, sizeof(key));
    key.alg = kong_alg(alg, strlen(alg));
    key.text.data = text;
    key.text.len = strlen(text);

    rc = kong_signature_verify(&key, message, signature, len);
    assert_int_equal(ERR_peek_error(), 0);

    return rc;
}


static void
test_public(void **state)
{
    size_t   i, len;
    uint8_t  signature[2048];

    (void) state;

    for (i = 0; i < N_SIGNS; i++) {
        len = sign(&signs[i], signs[i].key, signature);

        if (verify(signs[i].alg, pems[signs[i].key], signature, len)
            != KONG_SIGNATURE_OK)
        {
            fail_msg("%s", signs[i].alg);
        }

        /* the key of the table */
        assert_int_equal(verify(signs[i].alg, pems[signs[i].key], signature,
                                len), KONG_SIGNATURE_OK);

        signature[len / 3] ^= 4;
        assert_int_equal(verify(signs[i].alg, pems[signs[i].key], signature,
                                len), KONG_SIGNATURE_WRONG);
        signature[len / 3] ^= 4;

        /* truncated, and too long */
        assert_int_equal(verify(signs[i].alg, pems[signs[i].key], signature,
                                len - 1), KONG_SIGNATURE_WRONG);
        assert_int_equal(verify(signs[i].alg, pems[signs[i].key], signature,
                                0), KONG_SIGNATURE_WRONG);
        signature[len] = 0;
        assert_int_equal(verify(signs[i].alg, pems[signs[i].key], signature,
                                len + 1), KONG_SIGNATURE_WRONG);
    }
}


/* every algorithm with every key that is not of its type, and signatures of
 * one algorithm under another */
static void
test_mismatch(void **state)
{
    size_t   i, j, len;
    uint8_t  signature[2048];

    (void) state;

    for (i = 0; i < N_SIGNS; i++) {
        len = sign(&signs[i], signs[i].key, signature);

        for (j = 0; j < N_SIGNS; j++) {
            if (i == j) {
                continue;
            }

            assert_int_equal(verify(signs[j].alg, pems[signs[j].key],
                                    signature, len), KONG_SIGNATURE_WRONG);

            if (strcmp(signs[i].alg, signs[j].alg) != 0) {
                assert_int_equal(verify(signs[j].alg, pems[signs[i].key],
                                        signature, len),
                                 KONG_SIGNATURE_WRONG);
            }
        }
    }

    /* zeros are no signature of a curve */
    memset(signature, 0, sizeof(signature));
    assert_int_equal(verify("ES256", pems[KEY_P256], signature, 64),
                     KONG_SIGNATURE_WRONG);

    /* what OpenSSL takes for good: the key decides the algorithm */
    len = sign(&signs[0], KEY_P256, signature);
    assert_int_equal(verify("RS256", pems[KEY_P256], signature, len),
                     KONG_SIGNATURE_WRONG);
    assert_int_equal(verify("ES256", pems[KEY_P256], signature, len),
                     KONG_SIGNATURE_WRONG);
}


static void
test_hmac(void **state)
{
    unsigned     n;
    size_t       i;
    uint8_t      md[EVP_MAX_MD_SIZE];
    kong_key_t   key;

    static const struct {
        const char  *alg;
        const char  *digest;
    } cases[] = {
        { "HS256", "SHA256" }, { "HS384", "SHA384" }, { "HS512", "SHA512" }
    };

    (void) state;

    for (i = 0; i < 3; i++) {
        HMAC(EVP_get_digestbyname(cases[i].digest), "secret", 6,
             (const uint8_t *) message.data, message.len, md, &n);

        assert_int_equal(verify(cases[i].alg, "secret", md, n),
                         KONG_SIGNATURE_OK);
        assert_int_equal(verify(cases[i].alg, "secret", md, n),
                         KONG_SIGNATURE_OK);
        assert_int_equal(verify(cases[i].alg, "Secret", md, n),
                         KONG_SIGNATURE_WRONG);
        assert_int_equal(verify(cases[(i + 1) % 3].alg, "secret", md, n),
                         KONG_SIGNATURE_WRONG);
        assert_int_equal(verify(cases[i].alg, "secret", md, n - 1),
                         KONG_SIGNATURE_WRONG);
        assert_int_equal(verify(cases[i].alg, "secret", md, 0),
                         KONG_SIGNATURE_WRONG);

        /* the same secret as base64 */
        memset(&key, 0, sizeof(key));
        key.alg = kong_alg(cases[i].alg, 5);
        key.base64 = 1;
        key.text.data = "c2VjcmV0";
        key.text.len = 8;
        assert_int_equal(kong_signature_verify(&key, message, md, n),
                         KONG_SIGNATURE_OK);
        key.text.data = "c2VjcmV";
        key.text.len = 7;
        assert_int_equal(kong_signature_verify(&key, message, md, n),
                         KONG_SIGNATURE_WRONG);
        key.text.data = "c2V%";
        key.text.len = 4;
        assert_int_equal(kong_signature_verify(&key, message, md, n),
                         KONG_SIGNATURE_KEY);
    }

    /* confusion: a public key taken for a secret needs the credential to
     * say HS256, and then it is a secret like any other */
    HMAC(EVP_sha256(), pems[KEY_RSA], (int) strlen(pems[KEY_RSA]),
         (const uint8_t *) message.data, message.len, md, &n);
    assert_int_equal(verify("RS256", pems[KEY_RSA], md, n),
                     KONG_SIGNATURE_WRONG);
}


static void
test_bad_keys(void **state)
{
    uint8_t  md[64];

    (void) state;

    memset(md, 0, sizeof(md));

    assert_int_equal(verify("none", "x", md, 0), KONG_SIGNATURE_KEY);
    assert_int_equal(verify("HS256", "", md, 0), KONG_SIGNATURE_KEY);
    assert_int_equal(verify("RS256", "", md, 0), KONG_SIGNATURE_KEY);
    assert_int_equal(verify("ES256", "no PEM", md, 64), KONG_SIGNATURE_KEY);
    assert_int_equal(verify("ES256", "no PEM", md, 64), KONG_SIGNATURE_KEY);
    assert_int_equal(verify("RS256", "-----BEGIN PUBLIC KEY-----\nAAAA\n"
                            "-----END PUBLIC KEY-----\n", md, 64),
                     KONG_SIGNATURE_KEY);
}


/* the table is bounded, and what it forgets it can make again */
static void
test_many_keys(void **state)
{
    char      secret[32];
    unsigned  i, n;
    uint8_t   md[EVP_MAX_MD_SIZE];

    (void) state;

    for (i = 0; i < 6000; i++) {
        snprintf(secret, sizeof(secret), "secret %u", i % 3000);
        HMAC(EVP_sha256(), secret, (int) strlen(secret),
             (const uint8_t *) message.data, message.len, md, &n);
        assert_int_equal(verify("HS256", secret, md, n), KONG_SIGNATURE_OK);
    }
}


static void
test_base64(void **state)
{
    size_t   i;
    uint8_t  out[32];

    static const struct {
        const char     *text;
        kong_base64_t   kind;
        int             n;
        const char     *bytes;
    } cases[] = {
        { "", KONG_BASE64_URL, 0, "" },
        { "YQ", KONG_BASE64_URL, 1, "a" },
        { "YWI", KONG_BASE64_URL, 2, "ab" },
        { "YWJj", KONG_BASE64_URL, 3, "abc" },
        { "_-8", KONG_BASE64_URL, 2, "\xff\xef" },
        { "YQ==", KONG_BASE64_URL, -1, "" },
        { "YR", KONG_BASE64_URL, -1, "" },
        { "/+8", KONG_BASE64_URL, -1, "" },
        { "Y", KONG_BASE64_URL, -1, "" },
        { "YQ==", KONG_BASE64_STD, 1, "a" },
        { "YQ", KONG_BASE64_STD, 1, "a" },
        { "YQ=", KONG_BASE64_STD, -1, "" },
        { "YWI=", KONG_BASE64_STD, 2, "ab" },
        { "Y===", KONG_BASE64_STD, -1, "" },
        { "====", KONG_BASE64_STD, -1, "" },
        { "/+8=", KONG_BASE64_STD, 2, "\xff\xef" },
        { "_-8=", KONG_BASE64_STD, -1, "" },
        { "_+8=", KONG_BASE64_ANY, 2, "\xff\xef" },
        { "YQ\n=", KONG_BASE64_ANY, -1, "" },
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(kong_base64_decode(cases[i].text,
                                            strlen(cases[i].text),
                                            cases[i].kind, out),
                         cases[i].n);
        if (cases[i].n > 0) {
            assert_memory_equal(out, cases[i].bytes, (size_t) cases[i].n);
        }
    }
}


int
main(void)
{
    static const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_claims),
        cmocka_unit_test(test_public),
        cmocka_unit_test(test_mismatch),
        cmocka_unit_test(test_hmac),
        cmocka_unit_test(test_bad_keys),
        cmocka_unit_test(test_many_keys),
    };

    return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
