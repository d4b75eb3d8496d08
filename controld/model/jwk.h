/*
 * jwk: JSON Web Keys (RFC 7517, 8037).
 */

#ifndef KONG_JWK_H
#define KONG_JWK_H

#include "value.h"


/* whether the object is an asymmetric key that OpenSSL takes */
bool jwk_is_loadable(arena_t *a, const value_t *jwk);

#endif
