/*
 * kong_authorization: what clients write into Authorization and Cookie
 * headers.  Plain C for the module, the unit tests and the fuzzers; nothing
 * allocates, results point into the value or into the caller's buffer.
 *
 * As in Kong a scheme's first letter may be of either case.
 */

#ifndef KONG_AUTHORIZATION_H
#define KONG_AUTHORIZATION_H

#include "kong_base64.h"
#include "../snapshot/kong_segment.h"


typedef struct {
    kong_str_t  username;
    kong_str_t  algorithm;
    kong_str_t  headers;             /* names, separated by blanks */
    kong_str_t  signature;           /* base64 */
} kong_hmac_t;


/* each returns 1, or 0 when the value is of another form */

/* "Bearer <token>" */
int kong_bearer(const char *value, size_t len, kong_str_t *token);

/* "Basic <base64 of user:password>"; buf has kong_base64_size(len) bytes and
 * holds the result.  The user has at least one character, the password may
 * have a colon */
int kong_basic(const char *value, size_t len, uint8_t *buf, kong_str_t *user,
    kong_str_t *password);

/* the same with any scheme (in lower case, compared without regard to case),
 * blanks behind it, and a password that is not empty */
int kong_user_password(const char *value, size_t len, kong_str_t scheme,
    uint8_t *buf, kong_str_t *user, kong_str_t *password);

/* hmac username="u", algorithm="a", headers="h h", signature="s" */
int kong_hmac(const char *value, size_t len, kong_hmac_t *hmac);

/* the next name of a list with blanks between; *list moves on */
int kong_hmac_header(kong_str_t *list, kong_str_t *name);

/* in one Cookie header; names are compared without regard to case */
int kong_cookie(const char *value, size_t len, const char *name,
    size_t name_len, kong_str_t *cookie);

#endif
