/*
 * The head of an upstream request while it is written: what
 * ngx_http_kong_request.c found out, and what ngx_http_kong_forwarded.c
 * writes from it.
 */

#ifndef NGX_HTTP_KONG_HEAD_H
#define NGX_HTTP_KONG_HEAD_H

#include "ngx_http_kong_upstream.h"


#define NGX_HTTP_KONG_NAMED  64          /* names in Connection that count */

/* what happens to a header of the client */
typedef enum {
    ngx_http_kong_pass = 0,
    ngx_http_kong_drop,
    ngx_http_kong_te,
    ngx_http_kong_xff,
    ngx_http_kong_via,
    ngx_http_kong_id,

    /* a trusted peer's value is taken over */
    ngx_http_kong_proto,
    ngx_http_kong_host,
    ngx_http_kong_port,
    ngx_http_kong_path,
    ngx_http_kong_prefix,
    ngx_http_kong_last
} ngx_http_kong_action_t;

typedef struct {
    ngx_http_request_t   *request;
    ngx_http_kong_ctx_t  *ctx;

    ngx_str_t             peer;          /* address of the direct peer */
    kong_str_t            service_path;
    ngx_str_t             raw;           /* request target without query */
    ngx_str_t             query;         /* data NULL: not even a "?" */
    ngx_str_t             method;
    ngx_str_t             prefix;        /* X-Forwarded-Prefix, not escaped */

    ngx_table_elt_t      *first[ngx_http_kong_last];

    unsigned              websocket:1;
    unsigned              id:1;          /* we send X-Kong-Request-Id */
    unsigned              trailers:1;
    unsigned              xffs:1;        /* more than one */
    unsigned              vias:1;

    /* last, because it is not zeroed */
    ngx_uint_t            n_named;
    ngx_str_t             named[NGX_HTTP_KONG_NAMED];
} ngx_http_kong_head_t;


#define ngx_http_kong_put(p, text)                                           \
    ngx_cpymem(p, text, sizeof(text) - 1)

#define ngx_http_kong_put_str(p, s)                                          \
    ngx_cpymem(p, (s).data, (s).len)

#define ngx_http_kong_is(h, name)                                            \
    (ngx_memcmp((h)->lowcase_key, name, sizeof(name) - 1) == 0)


/* ngx_http_kong_request.c */

ngx_http_kong_action_t ngx_http_kong_head_action(ngx_table_elt_t *h);


/* ngx_http_kong_forwarded.c: writes at p, returns the end.  The caller has
 * made room (NGX_HTTP_KONG_HEAD_TEXT and the lengths of the values) */

/* X-Forwarded-*, X-Real-IP */
u_char *ngx_http_kong_head_forwarded(ngx_http_kong_head_t *head, u_char *p);
/* Via, X-Kong-Request-Id, TE, and what frames the body */
u_char *ngx_http_kong_head_framing(ngx_http_kong_head_t *head, u_char *p);

#endif
