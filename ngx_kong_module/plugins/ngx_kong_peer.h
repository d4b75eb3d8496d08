/*
 * A connection of this worker to a server that plugins talk to: made,
 * encrypted, kept while idle, closed.  What is said on it, and the time that
 * it may take, is its user's.  Nothing waits.
 */

#ifndef NGX_KONG_PEER_H
#define NGX_KONG_PEER_H

#include "ngx_kong_plugin.h"


typedef struct ngx_kong_peer_s  ngx_kong_peer_t;

/* those that are idle; the one unused for longest goes first */
typedef struct {
    ngx_queue_t             idle;        /* the last used first */
    ngx_uint_t              n;
    void                  (*leave)(ngx_kong_peer_t *peer);   /* says good-bye,
                                                                or NULL */
} ngx_kong_peers_t;

#define ngx_kong_peers_init(peers, leave)                                     \
    { { &(peers).idle, &(peers).idle }, 0, leave }

/* in its connection's pool */
struct ngx_kong_peer_s {
    ngx_queue_t             queue;       /* while idle */
    ngx_kong_peers_t       *peers;
    ngx_connection_t       *connection;  /* its data is the peer */
    ngx_event_handler_pt    handler;     /* of all events but those of the
                                            handshake and of idleness */
    void                   *data;        /* the user's; NULL: idle */
    uint32_t                id;          /* the user's, of the last message */
    u_char                  key[32];     /* of what it may be shared by */
};

/* where a server is, as a plugin's configuration names it: an address, or a
 * name that the daemon resolves, with those of services */
typedef struct {
    ngx_str_t               name;        /* lower case, no brackets,
                                            NUL-ended */
    kong_address_t          address;     /* of a name that is one */
    uint64_t                endpoint;    /* key of one that is not */
    ngx_uint_t              turn;        /* of its addresses */
    unsigned                is_address:1;
} ngx_kong_peer_host_t;

/* addresses of a name that are tried */
#define NGX_KONG_PEER_TRIES  3

/* the first part is the caller's, the second zeroed */
typedef struct {
    kong_address_t          addresses[NGX_KONG_PEER_TRIES];
    ngx_uint_t              n;
    in_port_t               port;
    ngx_msec_t              timeout;
    const u_char           *key;         /* that the connection gets */

    ngx_uint_t              tried;
    const char             *error;
    ngx_err_t               err;
} ngx_kong_peer_dial_t;


/* for prepare(): *host is zeroed */
ngx_int_t ngx_kong_peer_host(ngx_kong_peer_host_t *host, ngx_pool_t *pool,
    ngx_str_t text);
/* up to NGX_KONG_PEER_TRIES of them, each first in its turn; 0: the name is
 * not resolved.  `endpoints` may be NULL */
ngx_uint_t ngx_kong_peer_addresses(ngx_kong_peer_host_t *host,
    ngx_kong_map_t *endpoints, kong_address_t *addresses);

/*
 * One address after the other, until one takes a connection.  NGX_OK: *peer is
 * connected; NGX_AGAIN: the handler will be called, there
 * ngx_kong_peer_dialing() goes on; NGX_ERROR: dial->error says why not.
 */
ngx_int_t ngx_kong_peer_dial(ngx_kong_peer_dial_t *dial,
    ngx_kong_peer_t **peer, ngx_event_handler_pt handler, void *data);
ngx_int_t ngx_kong_peer_dialing(ngx_kong_peer_dial_t *dial,
    ngx_kong_peer_t **peer);

/*
 * The same to one address.  NGX_OK: connected; NGX_AGAIN: the handler will be
 * called; NGX_DECLINED: it cannot be reached; NGX_ERROR: out of memory.  The
 * user sets a timer.
 */
ngx_int_t ngx_kong_peer_connect(ngx_kong_peer_t **peer,
    const kong_address_t *address, in_port_t port,
    ngx_event_handler_pt handler, void *data);
ngx_int_t ngx_kong_peer_connect_unix(ngx_kong_peer_t **peer, ngx_str_t *path,
    ngx_event_handler_pt handler, void *data);

/* in the handler after NGX_AGAIN: NGX_OK, NGX_AGAIN, or NGX_DECLINED with
 * *err, 0 when it took too long */
ngx_int_t ngx_kong_peer_connecting(ngx_kong_peer_t *peer, ngx_err_t *err);

#if (NGX_HTTP_SSL)
/*
 * NGX_OK: the handshake is over, verify; NGX_AGAIN: the handler will be
 * called then, or when its time is over; NGX_ERROR.  `sni` is NUL-ended, or
 * of length 0.
 */
ngx_int_t ngx_kong_peer_handshake(ngx_kong_peer_t *peer, ngx_ssl_t *ssl,
    const ngx_str_t *sni, ngx_msec_t timeout);
/* NULL, or what is wrong.  `name`, a host or an address, is NUL-ended; NULL:
 * any certificate will do */
const char *ngx_kong_peer_verify(ngx_kong_peer_t *peer,
    const ngx_str_t *name);
#endif

/* what is between *pos and `last`.  NGX_OK: all is sent; NGX_AGAIN: call again
 * in the handler; NGX_DECLINED: the connection is broken; NGX_ERROR */
ngx_int_t ngx_kong_peer_send(ngx_kong_peer_t *peer, u_char **pos,
    u_char *last);
/* how many bytes came; 0: the server has closed the connection; otherwise as
 * ngx_kong_peer_send() */
ssize_t ngx_kong_peer_recv(ngx_kong_peer_t *peer, u_char *buf, size_t size);

/* an idle one of this key, or NULL */
ngx_kong_peer_t *ngx_kong_peer_get(ngx_kong_peers_t *peers,
    const u_char *key, ngx_event_handler_pt handler, void *data);
/* `keepalive` 0: without end */
void ngx_kong_peer_put(ngx_kong_peers_t *peers, ngx_kong_peer_t *peer,
    ngx_msec_t keepalive);
void ngx_kong_peer_close(ngx_kong_peer_t *peer);

/* foreign bytes on their way to the log: how many of them are in `out` */
size_t ngx_kong_peer_text(const kong_str_t *text, u_char *out, size_t size);

/* in a handler */
#define ngx_kong_peer_of(ev)                                                  \
    ((ngx_kong_peer_t *) ((ngx_connection_t *) (ev)->data)->data)

#endif
