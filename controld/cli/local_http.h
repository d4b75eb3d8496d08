/*
 * local_http: one small request to a listener of this node: the module's
 * control socket, the status listener.
 */

#ifndef KONG_LOCAL_HTTP_H
#define KONG_LOCAL_HTTP_H

#include "../model/arena.h"


typedef struct {
    long         status;
    char        *body;             /* NUL-terminated arena memory */
    size_t       len;
    const char  *error;            /* when status is 0 */
} local_http_t;

/*
 * `socket` NULL: the URL's host.  `body` NULL: GET, else POST of JSON.
 * Certificates are not verified: the peer is this node.  0 or -1.
 */
int local_http(arena_t *a, const char *socket, const char *url,
    const char *body, local_http_t *out);

#endif
