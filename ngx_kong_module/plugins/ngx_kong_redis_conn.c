/*
 * From a server's addresses to a connection to Redis that is encrypted where
 * it has to be.  What is said on it is ngx_kong_redis.c's.
 */

#include "ngx_kong_redis.h"


static void ngx_kong_redis_connect_event(ngx_event_t *ev);
static ngx_int_t ngx_kong_redis_dialed(ngx_kong_redis_t *op, ngx_int_t rc);
static ngx_int_t ngx_kong_redis_secure(ngx_kong_redis_t *op);
#if (NGX_HTTP_SSL)
static ngx_int_t ngx_kong_redis_verify(ngx_kong_redis_t *op);
#endif


ngx_int_t
ngx_kong_redis_connect(ngx_kong_redis_t *op)
{
    return ngx_kong_redis_dialed(op, ngx_kong_peer_dial(&op->dial, &op->conn,
                                               ngx_kong_redis_connect_event,
                                               op));
}


static void
ngx_kong_redis_connect_event(ngx_event_t *ev)
{
    ngx_int_t          rc;
    ngx_kong_redis_t  *op;

    op = ngx_kong_peer_of(ev)->data;
    rc = ngx_kong_peer_dialing(&op->dial, &op->conn);

    ngx_kong_redis_end(op, ngx_kong_redis_dialed(op, rc));
}


static ngx_int_t
ngx_kong_redis_dialed(ngx_kong_redis_t *op, ngx_int_t rc)
{
    switch (rc) {

    case NGX_OK:
        return ngx_kong_redis_secure(op);

    case NGX_AGAIN:
        return NGX_AGAIN;

    default:
        op->err = op->dial.err;
        return ngx_kong_redis_failed(op, op->dial.error);
    }
}


/* TLS where it is wanted */
static ngx_int_t
ngx_kong_redis_secure(ngx_kong_redis_t *op)
{
#if (NGX_HTTP_SSL)
    ngx_int_t  rc;
#endif

    op->conn->handler = ngx_kong_redis_event;

#if (NGX_HTTP_SSL)

    if (op->server->ssl != NULL) {
        op->step = ngx_kong_redis_verify;
        rc = ngx_kong_peer_handshake(op->conn, op->server->ssl,
                                     &op->server->sni, op->server->timeout);

        if (rc == NGX_AGAIN) {
            return NGX_AGAIN;
        }

        return rc == NGX_OK
               ? ngx_kong_redis_verify(op)
               : ngx_kong_redis_failed(op, "TLS could not be set up");
    }

#endif

    return ngx_kong_redis_connected(op);
}


#if (NGX_HTTP_SSL)


static ngx_int_t
ngx_kong_redis_verify(ngx_kong_redis_t *op)
{
    const char  *error;

    error = ngx_kong_peer_verify(op->conn, op->server->verify
                                           ? &op->server->verified : NULL);

    return error ? ngx_kong_redis_failed(op, error)
                 : ngx_kong_redis_connected(op);
}

#endif
