/*
 * Connections to Redis: made, encrypted, kept while idle, closed.  What is
 * said on them is ngx_kong_redis.c's.
 */

#include "ngx_kong_redis.h"


/* idle connections of a worker, the one unused for longest goes first; and
 * how long one stays idle, as Kong has it */
#define NGX_KONG_REDIS_IDLE       256
#define NGX_KONG_REDIS_KEEPALIVE  10000


static ngx_int_t ngx_kong_redis_connect_to(ngx_kong_redis_t *op,
    const kong_address_t *address);
static ngx_int_t ngx_kong_redis_attach(ngx_kong_redis_t *op,
    ngx_connection_t *c);
static void ngx_kong_redis_connect_event(ngx_event_t *ev);
static ngx_int_t ngx_kong_redis_connecting(ngx_kong_redis_t *op);
static ngx_int_t ngx_kong_redis_secure(ngx_kong_redis_t *op);
#if (NGX_HTTP_SSL)
static void ngx_kong_redis_handshaken(ngx_connection_t *c);
static ngx_int_t ngx_kong_redis_verify(ngx_kong_redis_t *op);
static ngx_uint_t ngx_kong_redis_is_host(ngx_connection_t *c,
    const ngx_str_t *verified);
#endif
static void ngx_kong_redis_idle_event(ngx_event_t *ev);
static void ngx_kong_redis_empty(ngx_event_t *ev);
static void ngx_kong_redis_leave(ngx_kong_redis_conn_t *conn);


/* the last used first */
static ngx_queue_t  ngx_kong_redis_idle = {
    &ngx_kong_redis_idle, &ngx_kong_redis_idle
};

static ngx_uint_t   ngx_kong_redis_n_idle;


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
    u_char                 text[NGX_SOCKADDR_STRLEN];
    in_port_t              port;
    ngx_int_t              rc;
    ngx_str_t              name;
    ngx_sockaddr_t         sa;
    ngx_peer_connection_t  pc;

    ngx_memzero(&sa, sizeof(sa));
    ngx_memzero(&pc, sizeof(pc));

    port = address->port ? address->port : op->server->port;

    if (address->ipv6) {
#if (NGX_HAVE_INET6)
        sa.sockaddr_in6.sin6_family = AF_INET6;
        sa.sockaddr_in6.sin6_port = htons(port);
        ngx_memcpy(&sa.sockaddr_in6.sin6_addr, address->addr, 16);
        pc.socklen = sizeof(struct sockaddr_in6);
#else
        op->error = "it has an IPv6 address only";
        return NGX_DECLINED;
#endif
    } else {
        sa.sockaddr_in.sin_family = AF_INET;
        sa.sockaddr_in.sin_port = htons(port);
        ngx_memcpy(&sa.sockaddr_in.sin_addr, address->addr, 4);
        pc.socklen = sizeof(struct sockaddr_in);
    }

    name.data = text;
    name.len = ngx_sock_ntop(&sa.sockaddr, pc.socklen, text, sizeof(text), 1);

    pc.sockaddr = &sa.sockaddr;
    pc.name = &name;
    pc.get = ngx_event_get_peer;
    pc.log = ngx_cycle->log;
    pc.log_error = NGX_ERROR_INFO;

    rc = ngx_event_connect_peer(&pc);

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        op->error = "it cannot be reached";
        return NGX_DECLINED;
    }

    if (ngx_kong_redis_attach(op, pc.connection) != NGX_OK) {
        ngx_close_connection(pc.connection);
        return ngx_kong_redis_failed(op, "out of memory");
    }

    ngx_add_timer(pc.connection->write, op->server->timeout);

    return rc == NGX_OK ? ngx_kong_redis_secure(op) : NGX_AGAIN;
}


/* the connection's own memory */
static ngx_int_t
ngx_kong_redis_attach(ngx_kong_redis_t *op, ngx_connection_t *c)
{
    ngx_kong_redis_conn_t  *conn;

    c->log = ngx_cycle->log;
    c->pool = ngx_create_pool(256, c->log);
    if (c->pool == NULL) {
        return NGX_ERROR;
    }

    conn = ngx_pcalloc(c->pool, sizeof(ngx_kong_redis_conn_t));
    if (conn == NULL) {
        ngx_destroy_pool(c->pool);
        return NGX_ERROR;
    }

    conn->connection = c;
    conn->op = op;
    ngx_memcpy(conn->key, op->server->key, sizeof(conn->key));

    c->data = conn;
    c->sendfile = 0;
    c->read->handler = ngx_kong_redis_connect_event;
    c->write->handler = ngx_kong_redis_connect_event;

    op->conn = conn;

    return NGX_OK;
}


static void
ngx_kong_redis_connect_event(ngx_event_t *ev)
{
    ngx_connection_t       *c;
    ngx_kong_redis_conn_t  *conn;

    c = ev->data;
    conn = c->data;

    ngx_kong_redis_end(conn->op, ngx_kong_redis_connecting(conn->op));
}


static ngx_int_t
ngx_kong_redis_connecting(ngx_kong_redis_t *op)
{
    int                err;
    socklen_t          len;
    ngx_connection_t  *c;

    c = op->conn->connection;

    err = 0;
    len = sizeof(int);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len) == -1) {
        err = ngx_socket_errno;
    }

    if (err != 0 || c->write->timedout) {
        op->error = err ? "it cannot be reached" : "it timed out";
        op->err = err;
        ngx_kong_redis_cancel(op);

        return ngx_kong_redis_connect(op);
    }

    if (!c->write->ready) {
        return NGX_AGAIN;
    }

    return ngx_kong_redis_secure(op);
}


/* TLS where it is wanted */
static ngx_int_t
ngx_kong_redis_secure(ngx_kong_redis_t *op)
{
    ngx_connection_t  *c;

#if (NGX_HTTP_SSL)
    ngx_int_t          rc;
#endif

    c = op->conn->connection;
    c->read->handler = ngx_kong_redis_event;
    c->write->handler = ngx_kong_redis_event;

#if (NGX_HTTP_SSL)

    if (op->server->ssl == NULL) {
        return ngx_kong_redis_connected(op);
    }

    if (ngx_ssl_create_connection(op->server->ssl, c, NGX_SSL_CLIENT)
        != NGX_OK
        || (op->server->sni.len != 0
            && SSL_set_tlsext_host_name(c->ssl->connection,
                                        (char *) op->server->sni.data)
               == 0))
    {
        return ngx_kong_redis_failed(op, "TLS could not be set up");
    }

    ngx_add_timer(c->write, op->server->timeout);

    rc = ngx_ssl_handshake(c);

    if (rc == NGX_AGAIN) {
        c->ssl->handler = ngx_kong_redis_handshaken;
        return NGX_AGAIN;
    }

    return ngx_kong_redis_verify(op);

#else

    return ngx_kong_redis_connected(op);

#endif
}


#if (NGX_HTTP_SSL)


static void
ngx_kong_redis_handshaken(ngx_connection_t *c)
{
    ngx_kong_redis_conn_t  *conn;

    conn = c->data;

    ngx_kong_redis_end(conn->op,
                       c->write->timedout
                       ? ngx_kong_redis_failed(conn->op, "it timed out")
                       : ngx_kong_redis_verify(conn->op));
}


static ngx_int_t
ngx_kong_redis_verify(ngx_kong_redis_t *op)
{
    ngx_connection_t  *c;

    c = op->conn->connection;

    if (!c->ssl->handshaked) {
        return ngx_kong_redis_failed(op, "the TLS handshake failed");
    }

    if (op->server->verify) {

        if (SSL_get_verify_result(c->ssl->connection) != X509_V_OK) {
            return ngx_kong_redis_failed(op, "its certificate is not trusted");
        }

        if (!ngx_kong_redis_is_host(c, &op->server->verified)) {
            return ngx_kong_redis_failed(op, "its certificate is not for this "
                                             "host");
        }
    }

    /* the handshake has put its own there */
    c->read->handler = ngx_kong_redis_event;
    c->write->handler = ngx_kong_redis_event;

    return ngx_kong_redis_connected(op);
}


static ngx_uint_t
ngx_kong_redis_is_host(ngx_connection_t *c, const ngx_str_t *verified)
{
    X509       *cert;
    ngx_str_t   host;
    ngx_uint_t  is;

    cert = SSL_get_peer_certificate(c->ssl->connection);
    if (cert == NULL) {
        return 0;
    }

    /* 0 or an error where it is no address */
    is = X509_check_ip_asc(cert, (char *) verified->data, 0) == 1;
    X509_free(cert);

    host = *verified;

    return is || ngx_ssl_check_host(c, &host) == NGX_OK;
}

#endif


ngx_kong_redis_conn_t *
ngx_kong_redis_idle_get(const ngx_kong_redis_server_t *server)
{
    ngx_queue_t            *q;
    ngx_connection_t       *c;
    ngx_kong_redis_conn_t  *conn;

    for (q = ngx_queue_head(&ngx_kong_redis_idle);
         q != ngx_queue_sentinel(&ngx_kong_redis_idle);
         q = ngx_queue_next(q))
    {
        conn = ngx_queue_data(q, ngx_kong_redis_conn_t, queue);

        if (ngx_memcmp(conn->key, server->key, sizeof(conn->key)) != 0) {
            continue;
        }

        ngx_queue_remove(&conn->queue);
        ngx_kong_redis_n_idle--;

        c = conn->connection;
        c->idle = 0;

        if (c->read->timer_set) {
            ngx_del_timer(c->read);
        }

        c->read->handler = ngx_kong_redis_event;
        c->write->handler = ngx_kong_redis_event;

        return conn;
    }

    return NULL;
}


void
ngx_kong_redis_idle_put(ngx_kong_redis_conn_t *conn)
{
    ngx_queue_t       *q;
    ngx_connection_t  *c;

    c = conn->connection;

    if (ngx_exiting || ngx_terminate || c->read->eof || c->read->error
        || c->write->error || ngx_handle_read_event(c->read, 0) != NGX_OK)
    {
        ngx_kong_redis_close(conn);
        return;
    }

    if (ngx_kong_redis_n_idle == NGX_KONG_REDIS_IDLE) {
        q = ngx_queue_last(&ngx_kong_redis_idle);
        ngx_kong_redis_leave(ngx_queue_data(q, ngx_kong_redis_conn_t, queue));
    }

    ngx_queue_insert_head(&ngx_kong_redis_idle, &conn->queue);
    ngx_kong_redis_n_idle++;

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    ngx_add_timer(c->read, NGX_KONG_REDIS_KEEPALIVE);

    conn->op = NULL;

    c->read->handler = ngx_kong_redis_idle_event;
    c->write->handler = ngx_kong_redis_empty;
    c->idle = 1;

    if (c->read->ready) {
        ngx_kong_redis_idle_event(c->read);
    }
}


/* a server has nothing to say now: what comes is its end */
static void
ngx_kong_redis_idle_event(ngx_event_t *ev)
{
    int                     n;
    char                    buf[1];
    ngx_connection_t       *c;
    ngx_kong_redis_conn_t  *conn;

    c = ev->data;
    conn = c->data;

    if (!c->close && !ev->timedout) {
        n = recv(c->fd, buf, 1, MSG_PEEK);

        if (n == -1 && ngx_socket_errno == NGX_EAGAIN) {
            ev->ready = 0;

            if (ngx_handle_read_event(ev, 0) == NGX_OK) {
                return;
            }
        }
    }

    ngx_kong_redis_leave(conn);
}


static void
ngx_kong_redis_empty(ngx_event_t *ev)
{
    (void) ev;
}


static void
ngx_kong_redis_leave(ngx_kong_redis_conn_t *conn)
{
    ngx_queue_remove(&conn->queue);
    ngx_kong_redis_n_idle--;

    ngx_kong_redis_close(conn);
}


void
ngx_kong_redis_close(ngx_kong_redis_conn_t *conn)
{
    ngx_pool_t        *pool;
    ngx_connection_t  *c;

    c = conn->connection;
    pool = c->pool;

#if (NGX_HTTP_SSL)
    if (c->ssl != NULL) {
        c->ssl->no_wait_shutdown = 1;
        c->ssl->no_send_shutdown = 1;
        (void) ngx_ssl_shutdown(c);
    }
#endif

    ngx_close_connection(c);
    ngx_destroy_pool(pool);
}
