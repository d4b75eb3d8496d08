/*
 * fuzz_jwt: bytes -> kong_jwt_parse(), then what the plugin asks of a token.
 * The first byte says whether the rest is a token, or the JSON of its header
 * and claims (a NUL byte between them): few random bytes are base64.
 */

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "ngx_kong_module/plugins/kong_jwt.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static size_t
fuzz_encode(const uint8_t *data, size_t size, char *out)
{
    int     n;
    size_t  i;

    n = EVP_EncodeBlock((unsigned char *) out, data, (int) size);

    while (n > 0 && out[n - 1] == '=') {
        n--;
    }

    for (i = 0; i < (size_t) n; i++) {
        out[i] = out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i];
    }

    return (size_t) n;
}


/* the token in `out`, of 2 * size + 16 bytes */
static size_t
fuzz_token(const uint8_t *data, size_t size, char *out)
{
    char           *p;
    size_t          n;
    const uint8_t  *end;

    end = memchr(data, '\0', size);
    n = end ? (size_t) (end - data) : size;

    p = out;
    p += fuzz_encode(data, n, p);
    *p++ = '.';

    if (end != NULL) {
        p += fuzz_encode(end + 1, size - n - 1, p);
    }

    memcpy(p, ".AAAA", 5);

    return (size_t) (p + 5 - out);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char                 *token;
    size_t                len;
    double                number;
    kong_jwt_t            jwt;
    kong_key_t            key;
    volatile const void  *sink;

    if (size == 0) {
        return 0;
    }

    token = malloc(2 * size + 16);
    if (token == NULL) {
        return 0;
    }

    if (data[0] & 1) {
        len = fuzz_token(data + 1, size - 1, token);

    } else {
        len = size - 1;
        memcpy(token, data + 1, len);
    }

    /* of its own size, so that a read beyond is seen */
    token = realloc(token, len ? len : 1);

    if (kong_jwt_parse(&jwt, token, len) == KONG_JWT_OK) {
        sink = kong_jwt_get(&jwt, "iss");
        (void) sink;
        (void) kong_jwt_number(&jwt, "exp", &number);

        memset(&key, 0, sizeof(key));
        key.alg = jwt.alg;
        key.text.data = "secret";
        key.text.len = 6;
        (void) kong_signature_verify(&key, jwt.text, jwt.signature,
                                     jwt.signature_len);
    }

    kong_jwt_release(&jwt);
    free(token);

    return 0;
}
