/*
 * probe_tls: what a probe's TLS handshake goes by where the upstream says no
 * other: the authorities that are trusted (lua_ssl_trusted_certificate), how
 * long a chain may be (lua_ssl_verify_depth), the certificate that is shown
 * (client_ssl): the same as for requests.
 */

#ifndef KONG_HEALTH_PROBE_TLS_H
#define KONG_HEALTH_PROBE_TLS_H

#include <openssl/ssl.h>

#include "../conf/conf.h"


typedef struct probe_tls_s  probe_tls_t;


/* NULL: out of memory.  Files are read when they are first needed */
probe_tls_t *probe_tls_new(const conf_t *c);
void probe_tls_free(probe_tls_t *t);           /* NULL is fine */

/* -1: what is trusted cannot be read, which is in the log */
int probe_tls_trust(probe_tls_t *t, SSL_CTX *ctx);
/* PEM, NULL when there is none */
void probe_tls_pair(probe_tls_t *t, const char **cert, const char **key);

#endif
