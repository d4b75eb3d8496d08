/*
 * kong_signature: checks signatures with keys as credentials hold them (a
 * shared secret, or a key in PEM).  Plain C on OpenSSL 3.
 *
 * Parsing a PEM text costs more than most checks, so that parsed keys are
 * kept: one table a process, found by what the key is made from, which makes
 * them outlive a generation of the configuration.  The table is bounded.  Not
 * for threads.
 */

#ifndef KONG_SIGNATURE_H
#define KONG_SIGNATURE_H

#include <stddef.h>
#include <stdint.h>

#include "../snapshot/kong_segment.h"


typedef enum {
    KONG_ALG_NONE = 0,               /* no algorithm at all */
    KONG_ALG_HS1,                    /* hmac-auth only */
    KONG_ALG_HS256,
    KONG_ALG_HS384,
    KONG_ALG_HS512,
    KONG_ALG_RS256,
    KONG_ALG_RS384,
    KONG_ALG_RS512,
    KONG_ALG_PS256,
    KONG_ALG_PS384,
    KONG_ALG_PS512,
    KONG_ALG_ES256,
    KONG_ALG_ES384,
    KONG_ALG_ES512,
    KONG_ALG_EDDSA
} kong_alg_t;

#define kong_alg_is_hmac(alg)                                                \
    ((alg) >= KONG_ALG_HS1 && (alg) <= KONG_ALG_HS512)

typedef struct {
    kong_alg_t  alg;
    unsigned    base64;              /* HMAC: the secret is base64 */
    kong_str_t  text;                /* secret, or PEM */
} kong_key_t;

typedef enum {
    KONG_SIGNATURE_OK = 0,
    KONG_SIGNATURE_WRONG = -1,       /* also: a key of another type */
    KONG_SIGNATURE_KEY = -2,         /* no key can be made of the text */
    KONG_SIGNATURE_FAILED = -3       /* out of memory, library errors */
} kong_signature_rc_t;


/* of a JOSE name ("RS256"), exactly; "none" is KONG_ALG_NONE as well */
kong_alg_t kong_alg(const char *name, size_t len);

/* the signature is raw: of ES* both numbers behind each other */
kong_signature_rc_t kong_signature_verify(const kong_key_t *key,
    kong_str_t data, const uint8_t *signature, size_t len);

/* forgets all keys */
void kong_signature_release(void);

#endif
