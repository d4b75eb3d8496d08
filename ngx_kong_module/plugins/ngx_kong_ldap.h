/*
 * LDAP simple binds of this worker: a state machine on nginx's events, with
 * idle connections kept for the next bind.  Nothing is locked, nothing waits.
 */

#ifndef NGX_KONG_LDAP_H
#define NGX_KONG_LDAP_H

#include "ngx_kong_peer.h"
#include "kong_ldap.h"


typedef struct ngx_kong_ldap_s  ngx_kong_ldap_t;

/* `rc` as ngx_kong_ldap_start() returns it */
typedef void (*ngx_kong_ldap_done_pt)(void *data, ngx_int_t rc);

typedef struct {
    ngx_kong_peer_host_t     host;
    in_port_t                port;       /* where the address has none */
    ngx_msec_t               timeout;    /* of each step */
    ngx_msec_t               keepalive;  /* 0: idle without end */
    u_char                   key[32];    /* servers of the same key share
                                            connections */
#if (NGX_HTTP_SSL)
    ngx_ssl_t               *ssl;        /* NULL: plain */
#endif
    unsigned                 start_tls:1;
    unsigned                 verify:1;
} ngx_kong_ldap_server_t;

/* one bind; the caller's memory, zeroed, and it fills the first part.  All of
 * it lives until the end or ngx_kong_ldap_cancel() */
struct ngx_kong_ldap_s {
    ngx_kong_ldap_server_t        *server;
    kong_str_t                     dn;
    kong_str_t                     password; /* never empty: that would be an
                                                anonymous bind, which succeeds
                                                for everybody */
    ngx_pool_t                    *pool;
    ngx_kong_ldap_done_pt          done;
    void                          *data;

    /* results, for the log */
    const char                    *error;    /* of NGX_ERROR */
    ngx_err_t                      err;
    uint32_t                       code;     /* of NGX_DECLINED */
    u_char                         text[128];    /* the server's, printable */
    size_t                         text_len;

    /* the client's own */
    ngx_kong_peer_dial_t           dial;
    ngx_kong_peer_t               *conn;
    ngx_int_t                    (*step)(ngx_kong_ldap_t *op);
    u_char                        *out;
    u_char                        *pos;
    u_char                        *last;
    u_char                        *in;
    size_t                         in_len;
    uint8_t                        expected;
    unsigned                       reused:1;
    unsigned                       clean:1;  /* nothing unread behind the
                                                answer */
};


/*
 * NGX_OK: the credentials are good; NGX_DECLINED: the server says they are
 * not; NGX_ERROR: there is no answer.  NGX_AGAIN: done() will be called, once
 * and never from within.
 */
ngx_int_t ngx_kong_ldap_start(ngx_kong_ldap_t *op, ngx_kong_map_t *endpoints);
/* done() is not called any more */
void ngx_kong_ldap_cancel(ngx_kong_ldap_t *op);

#endif
