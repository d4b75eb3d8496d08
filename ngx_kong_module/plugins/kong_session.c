/*
 * kong_session: see kong_session.h.  The text is a version, a random nonce,
 * the sealed bytes (numbers little-endian) and the tag.
 */

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "kong_session.h"


#define SESSION_VERSION  1
#define SESSION_NONCE    12
#define SESSION_TAG      16


static void session_pack(const kong_session_t *session, uint8_t *p);
static void session_unpack(const uint8_t *p, kong_session_t *session);
static uint8_t *session_put(uint8_t *p, uint64_t n, unsigned bytes);
static uint64_t session_number(const uint8_t *p, unsigned bytes);


int
kong_session_key(kong_str_t secret, uint8_t *key)
{
    unsigned           n;
    static const char  label[] = "kong session cookie 1";

    n = 0;

    if (secret.len == 0 || secret.len > INT32_MAX
        || HMAC(EVP_sha256(), secret.data, (int) secret.len,
                (const uint8_t *) label, sizeof(label) - 1, key, &n)
           == NULL)
    {
        ERR_clear_error();
        return -1;
    }

    return n == KONG_SESSION_KEY ? 0 : -1;
}


int
kong_session_seal(const uint8_t *key, kong_str_t additional,
    const kong_session_t *session, char *out)
{
    int              n, ok;
    uint8_t          plain[KONG_SESSION_PLAIN];
    uint8_t          bytes[KONG_SESSION_BYTES], *nonce, *sealed;
    EVP_CIPHER_CTX  *ctx;

    nonce = bytes + 1;
    sealed = nonce + SESSION_NONCE;
    bytes[0] = SESSION_VERSION;

    session_pack(session, plain);

    ctx = EVP_CIPHER_CTX_new();
    ok = ctx != NULL && RAND_bytes(nonce, SESSION_NONCE) == 1
         && EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce) == 1
         && EVP_EncryptUpdate(ctx, NULL, &n,
                              (const uint8_t *) additional.data,
                              (int) additional.len) == 1
         && EVP_EncryptUpdate(ctx, sealed, &n, plain, sizeof(plain)) == 1
         && n == (int) sizeof(plain)
         && EVP_EncryptFinal_ex(ctx, sealed + n, &n) == 1
         && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, SESSION_TAG,
                                sealed + sizeof(plain)) == 1;

    EVP_CIPHER_CTX_free(ctx);
    ERR_clear_error();
    OPENSSL_cleanse(plain, sizeof(plain));

    if (!ok) {
        return -1;
    }

    (void) kong_base64url_encode(bytes, sizeof(bytes), out);

    return 0;
}


int
kong_session_open(const uint8_t *key, kong_str_t additional,
    const char *text, size_t len, kong_session_t *session)
{
    int              n, ok;
    uint8_t          plain[KONG_SESSION_PLAIN];
    uint8_t          bytes[kong_base64_size(KONG_SESSION_TEXT)], *nonce;
    uint8_t         *sealed;
    EVP_CIPHER_CTX  *ctx;

    if (len != KONG_SESSION_TEXT
        || kong_base64_decode(text, len, KONG_BASE64_URL, bytes)
           != KONG_SESSION_BYTES
        || bytes[0] != SESSION_VERSION)
    {
        return 0;
    }

    nonce = bytes + 1;
    sealed = nonce + SESSION_NONCE;

    ctx = EVP_CIPHER_CTX_new();
    ok = ctx != NULL
         && EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce) == 1
         && EVP_DecryptUpdate(ctx, NULL, &n,
                              (const uint8_t *) additional.data,
                              (int) additional.len) == 1
         && EVP_DecryptUpdate(ctx, plain, &n, sealed, sizeof(plain)) == 1
         && n == (int) sizeof(plain)
         && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, SESSION_TAG,
                                sealed + sizeof(plain)) == 1
         && EVP_DecryptFinal_ex(ctx, plain + n, &n) == 1;

    EVP_CIPHER_CTX_free(ctx);
    ERR_clear_error();

    if (ok) {
        session_unpack(plain, session);
    }

    OPENSSL_cleanse(plain, sizeof(plain));

    return ok;
}


static void
session_pack(const kong_session_t *session, uint8_t *p)
{
    memcpy(p, session->id, KONG_SESSION_ID);
    p += KONG_SESSION_ID;

    p = session_put(p, session->created, 8);
    p = session_put(p, session->renewed, 8);
    p = session_put(p, session->touched, 8);

    memcpy(p, session->consumer, 16);
    memcpy(p + 16, session->credential, 16);

    p = session_put(p + 32, session->index, 4);
    (void) session_put(p, 0, 4);
}


static void
session_unpack(const uint8_t *p, kong_session_t *session)
{
    memcpy(session->id, p, KONG_SESSION_ID);
    p += KONG_SESSION_ID;

    session->created = session_number(p, 8);
    session->renewed = session_number(p + 8, 8);
    session->touched = session_number(p + 16, 8);

    memcpy(session->consumer, p + 24, 16);
    memcpy(session->credential, p + 40, 16);

    session->index = (uint32_t) session_number(p + 56, 4);
    session->reserved = 0;
}


static uint8_t *
session_put(uint8_t *p, uint64_t n, unsigned bytes)
{
    unsigned  i;

    for (i = 0; i < bytes; i++) {
        *p++ = (uint8_t) (n >> (8 * i));
    }

    return p;
}


static uint64_t
session_number(const uint8_t *p, unsigned bytes)
{
    uint64_t  n;

    n = 0;

    while (bytes != 0) {
        n = n << 8 | p[--bytes];
    }

    return n;
}
