/*
 * Redis commands of this worker: a state machine on nginx's events, with idle
 * connections kept for the next command.  Nothing is locked, nothing waits.
 * A connection belongs to one command at a time; all numbers of a request
 * travel in that one command.
 */

#ifndef NGX_KONG_REDIS_H
#define NGX_KONG_REDIS_H

#include "ngx_kong_peer.h"
#include "kong_resp.h"


typedef struct ngx_kong_redis_s  ngx_kong_redis_t;

/* `rc` as ngx_kong_redis_start() returns it */
typedef void (*ngx_kong_redis_done_pt)(void *data, ngx_int_t rc);

/* config.redis of a plugin; lives as long as its map */
typedef struct {
    ngx_kong_peer_host_t     host;
    ngx_str_t                sni;        /* NUL-ended; empty: none is sent */
    ngx_str_t                verified;   /* the name that is in the
                                            certificate */
    ngx_str_t                username;
    ngx_str_t                password;
    ngx_int_t                database;
    in_port_t                port;       /* where the address has none */
    ngx_msec_t               timeout;    /* of each step */
    time_t                   reported;   /* when the log was told */
    u_char                   key[32];    /* servers of the same key share
                                            connections */
#if (NGX_HTTP_SSL)
    ngx_ssl_t               *ssl;        /* NULL: plain */
#endif
    unsigned                 verify:1;
} ngx_kong_redis_server_t;

/* one command; the caller's memory, zeroed, and it fills the first part.  All
 * of it lives until the end or ngx_kong_redis_cancel() */
struct ngx_kong_redis_s {
    ngx_kong_redis_server_t   *server;
    ngx_str_t                  command;
    int64_t                   *values;   /* the answer: an array of exactly */
    ngx_uint_t                 n;        /* so many numbers */
    ngx_pool_t                *pool;
    ngx_kong_redis_done_pt     done;
    void                      *data;

    /* results, for the log */
    const char                *error;    /* of NGX_ERROR */
    ngx_err_t                  err;
    u_char                     text[128];    /* the server's, printable */
    size_t                     text_len;

    /* the client's own */
    ngx_kong_peer_dial_t       dial;
    ngx_kong_peer_t           *conn;
    ngx_int_t                (*step)(ngx_kong_redis_t *op);
    u_char                    *pos;
    u_char                    *last;
    u_char                    *in;
    size_t                     in_len;
    ngx_uint_t                 greetings;    /* answers to AUTH and SELECT
                                                still to come */
    ngx_uint_t                 got;
    unsigned                   started:1;    /* the array's head is there */
    unsigned                   reused:1;
    unsigned                   clean:1;  /* nothing unread behind the answer */
};


/* for prepare(): config.redis */
ngx_int_t ngx_kong_redis_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool,
    ngx_kong_redis_server_t *server);

/*
 * NGX_OK: values are set; NGX_ERROR: there is no answer.  NGX_AGAIN: done()
 * will be called, once and never from within.  `endpoints` has the addresses
 * of names, and is needed during the call alone.
 */
ngx_int_t ngx_kong_redis_start(ngx_kong_redis_t *op,
    ngx_kong_map_t *endpoints);
/* done() is not called any more */
void ngx_kong_redis_cancel(ngx_kong_redis_t *op);
/* what went wrong, once a second, worker and plugin at most */
void ngx_kong_redis_report(ngx_kong_redis_t *op, ngx_log_t *log);


/* between ngx_kong_redis.c and ngx_kong_redis_conn.c */

/* NGX_OK: op->conn is there, connected and encrypted; NGX_AGAIN; NGX_ERROR */
ngx_int_t ngx_kong_redis_connect(ngx_kong_redis_t *op);
/* called when that was NGX_AGAIN, or bytes may be sent or have come */
void ngx_kong_redis_event(ngx_event_t *ev);
/* greets the server or sends the command: ngx_kong_redis.c */
ngx_int_t ngx_kong_redis_connected(ngx_kong_redis_t *op);
void ngx_kong_redis_end(ngx_kong_redis_t *op, ngx_int_t rc);
ngx_int_t ngx_kong_redis_failed(ngx_kong_redis_t *op, const char *error);

#endif
