/*
 * auth: who may use the Admin API: bearer tokens, each with a role.  Without
 * tokens everybody may who reaches the listener.
 */

#ifndef KONG_ADMIN_AUTH_H
#define KONG_ADMIN_AUTH_H

#include "http.h"


typedef struct auth_s  auth_t;


/* NULL with *err a sentence (static, or from `a`) */
auth_t *auth_new(arena_t *a, const conf_t *c, const char **err);
void auth_free(auth_t *auth);                    /* NULL is fine */
/* 0, or -1 when the request was answered */
int auth_check(const auth_t *auth, admin_request_t *r);
/* listeners beyond this machine that anybody may use */
void auth_warn(const auth_t *auth, const conf_t *c);

#endif
