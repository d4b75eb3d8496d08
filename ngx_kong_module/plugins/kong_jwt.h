/*
 * kong_jwt: a compact JWS taken apart.  Plain C for the module, the unit
 * tests and the fuzzers.  Nothing here says that a token is genuine: see
 * kong_signature.h.
 *
 * Strict: exactly three parts of base64url without padding, two JSON objects
 * without a member that is there twice, bounded in size.
 */

#ifndef KONG_JWT_H
#define KONG_JWT_H

#include <cjson/cJSON.h>

#include "kong_base64.h"
#include "kong_signature.h"


#define KONG_JWT_MAX            32768    /* bytes of a token */
#define KONG_JWT_MEMBERS_MAX    256      /* of an object */
#define KONG_JWT_SIGNATURE_MAX  2048     /* RSA of 16384 bits */

typedef enum {
    KONG_JWT_OK = 0,
    KONG_JWT_JSON = -1,              /* header or claims are no such object */
    KONG_JWT_ALG = -2,               /* none, or one that is not known */
    KONG_JWT_CLAIMS = -3,            /* JSON, but no object */
    KONG_JWT_SIGNATURE = -4,         /* not base64url, or too long */
    KONG_JWT_CRIT = -5,              /* demands an extension */
    KONG_JWT_FAILED = -6             /* out of memory */
} kong_jwt_rc_t;

typedef struct {
    cJSON       *header;
    cJSON       *claims;
    kong_alg_t   alg;                /* what the token says: to be compared,
                                        never to be used */
    kong_str_t   text;               /* what is signed, in the token */
    size_t       signature_len;
    uint8_t      signature[kong_base64_size(KONG_JWT_SIGNATURE_MAX / 3 * 4
                                            + 4)];
} kong_jwt_t;


/* release whatever it returns */
kong_jwt_rc_t kong_jwt_parse(kong_jwt_t *jwt, const char *token, size_t len);
void kong_jwt_release(kong_jwt_t *jwt);
/* Kong's words: "invalid JSON" */
const char *kong_jwt_strerror(kong_jwt_rc_t rc);

/* of the claims, else of the header; NULL when it is in neither, or null or
 * false there */
const cJSON *kong_jwt_get(const kong_jwt_t *jwt, const char *name);
/* 1 and a finite number in *n, or 0 */
int kong_jwt_number(const kong_jwt_t *jwt, const char *claim, double *n);

#endif
