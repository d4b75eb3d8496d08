/*
 * nginx_conf: renders nginx.conf and nginx-kong.conf from the settings.  What
 * a user wrote is either checked when the settings are read or quoted here;
 * only nginx_<block>_<directive> settings reach the file as they are.
 */

#ifndef KONG_NGINX_CONF_H
#define KONG_NGINX_CONF_H

#include "../conf/conf.h"


/* pairs of PEM files of one listener, NULL-ended: cert, key, cert, key ... */
typedef const char *const  *nginx_certs_t;

/* what the settings do not say */
typedef struct {
    const char     *module;        /* the module's file */
    const char     *user;          /* NULL: no user directive */
    const char     *dhparam;       /* a file, or NULL */
    const char     *node_id;       /* NULL: not known */
    nginx_certs_t   proxy;
    nginx_certs_t   admin;
    nginx_certs_t   status;
    const char     *client_cert;   /* NULL: none */
    const char     *client_key;
    const char    **trusted;       /* files and "system", NULL-ended; or
                                      NULL: the system's */
} nginx_facts_t;

typedef struct {
    char  *main;                   /* nginx.conf */
    char  *http;                   /* nginx-kong.conf */
} nginx_texts_t;


/* texts from `a`; -1 when memory ran out */
int nginx_conf_render(arena_t *a, const conf_t *c, const nginx_facts_t *f,
    nginx_texts_t *out);

#endif
