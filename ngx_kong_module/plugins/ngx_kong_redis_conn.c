/*
 * From a server's addresses to a connection to Redis that is encrypted where
 * it has to be.  What is said on it is ngx_kong_redis.c's.
 */

#include "ngx_kong_redis.h"


static ngx_int_t ngx_kong_redis_connect_to(ngx_kong_redis_t *op,
    const kong_address_t *address);
static void ngx_kong_redis_connect_event(ngx_event_t *ev);
static ngx_int_t ngx_kong_redis_connecting(ngx_kong_redis_t *op);
static ngx_int_t ngx_kong_redis_secure(ngx_kong_redis_t *op);
#if (NGX_HTTP_SSL)
static ngx_int_t ngx_kong_redis_verify(ngx_kong_redis_t *op);
#endif


ngx_int_t
ngx_kong_redis_connect(ngx_kong_redis_t *op)
{
    ngx_int_t  rc;

    while (op->tried < op->n_addresses) {
        rc = ngx_kong_redis_connect_to(op, &op->addresses[op->tried++]);

        if (rc != NGX_DECLINED) {
            return rc;
        }
    }

    return ngx_kong_redis_failed(op, op->error ? op->error
                                               : "it cannot be reached");
}


/* NGX_DECLINED: try another one */
static ngx_int_t
ngx_kong_redis_connect_to(ngx_kong_redis_t *op, const kong_address_t *address)
{
    ngx_int_t  rc;

    rc = ngx_kong_peer_connect(&op->conn, address, op->server->port,
                               ngx_kong_redis_connect_event, op);

    if (rc == NGX_DECLINED) {
        op->error = "it cannot be reached";
        return NGX_DECLINED;
    }

    if (rc == NGX_ERROR) {
        return ngx_kong_redis_failed(op, "out of memory");
    }

    ngx_memcpy(op->conn->key, op->server->key, sizeof(op->conn->key));
    ngx_add_timer(op->conn->connection->write, op->server->timeout);

    return rc == NGX_OK ? ngx_kong_redis_secure(op) : NGX_AGAIN;
}


static void
ngx_kong_redis_connect_event(ngx_event_t *ev)
{
    ngx_kong_redis_t  *op;

    op = ngx_kong_peer_of(ev)->data;

    ngx_kong_redis_end(op, ngx_kong_redis_connecting(op));
}


static ngx_int_t
ngx_kong_redis_connecting(ngx_kong_redis_t *op)
{
    ngx_int_t  rc;

    rc = ngx_kong_peer_connecting(op->conn, &op->err);

    if (rc == NGX_DECLINED) {
        op->error = op->err ? "it cannot be reached" : "it timed out";
        ngx_kong_redis_cancel(op);

        return ngx_kong_redis_connect(op);
    }

    return rc == NGX_OK ? ngx_kong_redis_secure(op) : NGX_AGAIN;
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
