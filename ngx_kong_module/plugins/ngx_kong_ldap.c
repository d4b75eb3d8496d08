/*
 * The LDAP client: connect, TLS, one bind, and back to the idle connections.
 * Each step ends with NGX_AGAIN or with the result of the whole.  A bind may
 * be repeated: one that fails on a connection that was idle gets a new one.
 */

#include "ngx_kong_ldap.h"


/* idle connections of a worker; the one unused for longest goes first */
#define NGX_KONG_LDAP_IDLE   256
/* addresses of a name that one bind tries */
#define NGX_KONG_LDAP_TRIES  3
/* messages on one connection */
#define NGX_KONG_LDAP_IDS    0x7ffffff0

struct ngx_kong_ldap_conn_s {
    ngx_queue_t        queue;            /* while idle */
    ngx_connection_t  *connection;
    ngx_kong_ldap_t   *op;               /* NULL: idle */
    uint32_t           id;               /* of the last message */
    u_char             key[32];
};


static ngx_int_t ngx_kong_ldap_connect(ngx_kong_ldap_t *op);
static ngx_int_t ngx_kong_ldap_connect_to(ngx_kong_ldap_t *op,
    const kong_address_t *address);
static ngx_int_t ngx_kong_ldap_attach(ngx_kong_ldap_t *op,
    ngx_connection_t *c);
static ngx_int_t ngx_kong_ldap_connecting(ngx_kong_ldap_t *op);
static ngx_int_t ngx_kong_ldap_connected(ngx_kong_ldap_t *op);
static ngx_int_t ngx_kong_ldap_secure(ngx_kong_ldap_t *op);
#if (NGX_HTTP_SSL)
static void ngx_kong_ldap_handshaken(ngx_connection_t *c);
static ngx_int_t ngx_kong_ldap_verify(ngx_kong_ldap_t *op);
static ngx_uint_t ngx_kong_ldap_is_host(ngx_connection_t *c,
    const ngx_kong_ldap_server_t *server);
#endif
static ngx_int_t ngx_kong_ldap_start_tls(ngx_kong_ldap_t *op);
static ngx_int_t ngx_kong_ldap_bind(ngx_kong_ldap_t *op);
static ngx_int_t ngx_kong_ldap_send(ngx_kong_ldap_t *op, size_t len,
    uint8_t expected);
static ngx_int_t ngx_kong_ldap_write(ngx_kong_ldap_t *op);
static ngx_int_t ngx_kong_ldap_read(ngx_kong_ldap_t *op);
static ngx_int_t ngx_kong_ldap_answered(ngx_kong_ldap_t *op,
    const kong_ldap_answer_t *answer);
static void ngx_kong_ldap_text(ngx_kong_ldap_t *op, const kong_str_t *text);
static ngx_int_t ngx_kong_ldap_broken(ngx_kong_ldap_t *op);
static ngx_int_t ngx_kong_ldap_failed(ngx_kong_ldap_t *op,
    const char *error);
static void ngx_kong_ldap_event(ngx_event_t *ev);
static void ngx_kong_ldap_end(ngx_kong_ldap_t *op, ngx_int_t rc);
static ngx_int_t ngx_kong_ldap_settle(ngx_kong_ldap_t *op, ngx_int_t rc);
static ngx_kong_ldap_conn_t *ngx_kong_ldap_idle_get(
    const ngx_kong_ldap_server_t *server);
static void ngx_kong_ldap_idle_put(ngx_kong_ldap_conn_t *conn,
    ngx_msec_t keepalive);
static void ngx_kong_ldap_idle_event(ngx_event_t *ev);
static void ngx_kong_ldap_empty(ngx_event_t *ev);
static void ngx_kong_ldap_leave(ngx_kong_ldap_conn_t *conn);
static void ngx_kong_ldap_close(ngx_kong_ldap_conn_t *conn);


/* the last used first */
static ngx_queue_t  ngx_kong_ldap_idle = {
    &ngx_kong_ldap_idle, &ngx_kong_ldap_idle
};

static ngx_uint_t   ngx_kong_ldap_n_idle;


ngx_int_t
ngx_kong_ldap_start(ngx_kong_ldap_t *op)
{
    size_t  size;

    size = op->dn.len + op->password.len + KONG_LDAP_OVERHEAD;

    op->out = ngx_pnalloc(op->pool, size);
    op->in = ngx_pnalloc(op->pool, KONG_LDAP_ANSWER_MAX);

    if (op->out == NULL || op->in == NULL) {
        op->error = "out of memory";
        return NGX_ERROR;
    }

    op->conn = ngx_kong_ldap_idle_get(op->server);

    if (op->conn != NULL) {
        op->conn->op = op;
        op->reused = 1;
        return ngx_kong_ldap_settle(op, ngx_kong_ldap_bind(op));
    }

    return ngx_kong_ldap_settle(op, ngx_kong_ldap_connect(op));
}


void
ngx_kong_ldap_cancel(ngx_kong_ldap_t *op)
{
    if (op->conn != NULL) {
        ngx_kong_ldap_close(op->conn);
        op->conn = NULL;
    }
}


static ngx_int_t
ngx_kong_ldap_connect(ngx_kong_ldap_t *op)
{
    ngx_int_t             rc;
    const kong_address_t  *address;

    op->reused = 0;

    while (op->tried < op->n && op->tried < NGX_KONG_LDAP_TRIES) {
        address = &op->addresses[(op->first + op->tried++) % op->n];

        rc = ngx_kong_ldap_connect_to(op, address);
        if (rc != NGX_DECLINED) {
            return rc;
        }
    }

    return ngx_kong_ldap_failed(op, op->error ? op->error
                                              : "its name has no address");
}


/* NGX_DECLINED: try another one */
static ngx_int_t
ngx_kong_ldap_connect_to(ngx_kong_ldap_t *op, const kong_address_t *address)
{
    u_char                  text[NGX_SOCKADDR_STRLEN];
    in_port_t               port;
    ngx_int_t               rc;
    ngx_str_t               name;
    ngx_sockaddr_t          sa;
    ngx_peer_connection_t   pc;

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

    if (ngx_kong_ldap_attach(op, pc.connection) != NGX_OK) {
        ngx_close_connection(pc.connection);
        return ngx_kong_ldap_failed(op, "out of memory");
    }

    if (rc == NGX_OK) {
        return ngx_kong_ldap_connected(op);
    }

    ngx_add_timer(pc.connection->write, op->server->timeout);
    op->step = ngx_kong_ldap_connecting;

    return NGX_AGAIN;
}


/* the connection's own memory */
static ngx_int_t
ngx_kong_ldap_attach(ngx_kong_ldap_t *op, ngx_connection_t *c)
{
    ngx_kong_ldap_conn_t  *conn;

    c->log = ngx_cycle->log;
    c->pool = ngx_create_pool(256, c->log);
    if (c->pool == NULL) {
        return NGX_ERROR;
    }

    conn = ngx_pcalloc(c->pool, sizeof(ngx_kong_ldap_conn_t));
    if (conn == NULL) {
        ngx_destroy_pool(c->pool);
        return NGX_ERROR;
    }

    conn->connection = c;
    conn->op = op;
    ngx_memcpy(conn->key, op->server->key, sizeof(conn->key));

    c->data = conn;
    c->sendfile = 0;
    c->read->handler = ngx_kong_ldap_event;
    c->write->handler = ngx_kong_ldap_event;

    op->conn = conn;

    return NGX_OK;
}


static ngx_int_t
ngx_kong_ldap_connecting(ngx_kong_ldap_t *op)
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
        ngx_kong_ldap_cancel(op);

        return ngx_kong_ldap_connect(op);
    }

    return c->write->ready ? ngx_kong_ldap_connected(op) : NGX_AGAIN;
}


static ngx_int_t
ngx_kong_ldap_connected(ngx_kong_ldap_t *op)
{
    return op->server->start_tls ? ngx_kong_ldap_start_tls(op)
                                 : ngx_kong_ldap_secure(op);
}


/* TLS where it is wanted, then the bind */
static ngx_int_t
ngx_kong_ldap_secure(ngx_kong_ldap_t *op)
{
#if (NGX_HTTP_SSL)
    ngx_int_t          rc;
    ngx_connection_t  *c;

    if (op->server->ssl == NULL) {
        return ngx_kong_ldap_bind(op);
    }

    c = op->conn->connection;

    if (ngx_ssl_create_connection(op->server->ssl, c, NGX_SSL_CLIENT)
        != NGX_OK)
    {
        return ngx_kong_ldap_failed(op, "TLS could not be set up");
    }

    if (!op->server->is_address
        && SSL_set_tlsext_host_name(c->ssl->connection,
                                    (char *) op->server->host.data)
           == 0)
    {
        return ngx_kong_ldap_failed(op, "TLS could not be set up");
    }

    ngx_add_timer(c->write, op->server->timeout);

    rc = ngx_ssl_handshake(c);

    if (rc == NGX_AGAIN) {
        c->ssl->handler = ngx_kong_ldap_handshaken;
        return NGX_AGAIN;
    }

    return ngx_kong_ldap_verify(op);
#else
    return ngx_kong_ldap_bind(op);
#endif
}


#if (NGX_HTTP_SSL)


static void
ngx_kong_ldap_handshaken(ngx_connection_t *c)
{
    ngx_kong_ldap_t       *op;
    ngx_kong_ldap_conn_t  *conn;

    conn = c->data;
    op = conn->op;

    ngx_kong_ldap_end(op, c->write->timedout
                          ? ngx_kong_ldap_failed(op, "it timed out")
                          : ngx_kong_ldap_verify(op));
}


static ngx_int_t
ngx_kong_ldap_verify(ngx_kong_ldap_t *op)
{
    ngx_connection_t  *c;

    c = op->conn->connection;

    if (!c->ssl->handshaked) {
        return ngx_kong_ldap_failed(op, "the TLS handshake failed");
    }

    if (op->server->verify) {

        if (SSL_get_verify_result(c->ssl->connection) != X509_V_OK) {
            return ngx_kong_ldap_failed(op, "its certificate is not trusted");
        }

        if (!ngx_kong_ldap_is_host(c, op->server)) {
            return ngx_kong_ldap_failed(op, "its certificate is not for this "
                                            "host");
        }
    }

    c->read->handler = ngx_kong_ldap_event;
    c->write->handler = ngx_kong_ldap_event;

    return ngx_kong_ldap_bind(op);
}


static ngx_uint_t
ngx_kong_ldap_is_host(ngx_connection_t *c,
    const ngx_kong_ldap_server_t *server)
{
    X509       *cert;
    ngx_str_t   host;
    ngx_uint_t  is;

    if (server->is_address) {
        cert = SSL_get_peer_certificate(c->ssl->connection);
        if (cert == NULL) {
            return 0;
        }

        is = X509_check_ip_asc(cert, (char *) server->host.data, 0) == 1;
        X509_free(cert);

        if (is) {
            return 1;
        }
    }

    host = server->host;

    return ngx_ssl_check_host(c, &host) == NGX_OK;
}

#endif


static ngx_int_t
ngx_kong_ldap_start_tls(ngx_kong_ldap_t *op)
{
    return ngx_kong_ldap_send(op, kong_ldap_start_tls(op->out,
                                                      ++op->conn->id),
                              KONG_LDAP_EXTENDED_RESPONSE);
}


static ngx_int_t
ngx_kong_ldap_bind(ngx_kong_ldap_t *op)
{
    return ngx_kong_ldap_send(op, kong_ldap_bind(op->out, ++op->conn->id,
                                                 op->dn, op->password),
                              KONG_LDAP_BIND_RESPONSE);
}


static ngx_int_t
ngx_kong_ldap_send(ngx_kong_ldap_t *op, size_t len, uint8_t expected)
{
    op->pos = op->out;
    op->last = op->out + len;
    op->in_len = 0;
    op->expected = expected;
    op->clean = 0;

    ngx_add_timer(op->conn->connection->write, op->server->timeout);

    return ngx_kong_ldap_write(op);
}


static ngx_int_t
ngx_kong_ldap_write(ngx_kong_ldap_t *op)
{
    ssize_t            n;
    ngx_connection_t  *c;

    c = op->conn->connection;
    op->step = ngx_kong_ldap_write;

    while (op->pos < op->last) {
        n = c->send(c, op->pos, op->last - op->pos);

        if (n == NGX_ERROR) {
            return ngx_kong_ldap_broken(op);
        }

        if (n == NGX_AGAIN || n == 0) {
            return ngx_handle_write_event(c->write, 0) == NGX_OK
                   ? NGX_AGAIN
                   : ngx_kong_ldap_failed(op, "the event could not be added");
        }

        op->pos += n;
    }

    op->step = ngx_kong_ldap_read;

    return ngx_kong_ldap_read(op);
}


static ngx_int_t
ngx_kong_ldap_read(ngx_kong_ldap_t *op)
{
    ssize_t              n;
    ngx_connection_t    *c;
    kong_ldap_answer_t   answer;

    c = op->conn->connection;

    while (op->in_len < KONG_LDAP_ANSWER_MAX) {
        n = c->recv(c, op->in + op->in_len,
                    KONG_LDAP_ANSWER_MAX - op->in_len);

        if (n == NGX_AGAIN) {
            return ngx_handle_read_event(c->read, 0) == NGX_OK
                   ? NGX_AGAIN
                   : ngx_kong_ldap_failed(op, "the event could not be added");
        }

        if (n == NGX_ERROR || n == 0) {
            return ngx_kong_ldap_broken(op);
        }

        op->in_len += n;
        n = kong_ldap_answer(op->in, op->in_len, &answer);

        if (n == -1) {
            break;
        }

        if (n > 0) {
            op->clean = (size_t) n == op->in_len;
            return ngx_kong_ldap_answered(op, &answer);
        }
    }

    return ngx_kong_ldap_failed(op, "its answer is not LDAP");
}


static ngx_int_t
ngx_kong_ldap_answered(ngx_kong_ldap_t *op, const kong_ldap_answer_t *answer)
{
    if (answer->id == 0) {
        /* the notice that it is going to close */
        ngx_kong_ldap_text(op, &answer->text);
        return ngx_kong_ldap_broken(op);
    }

    if (answer->id != op->conn->id || answer->op != op->expected) {
        return ngx_kong_ldap_failed(op, "its answer is to something else");
    }

    op->code = answer->code;
    ngx_kong_ldap_text(op, &answer->text);

    if (op->expected == KONG_LDAP_BIND_RESPONSE) {
        return answer->code == KONG_LDAP_SUCCESS ? NGX_OK : NGX_DECLINED;
    }

    if (answer->code != KONG_LDAP_SUCCESS) {
        return ngx_kong_ldap_failed(op, "it refuses StartTLS");
    }

    /* bytes from before TLS must not count as from within */
    if (!op->clean) {
        return ngx_kong_ldap_failed(op, "it sends more than its answer to "
                                        "StartTLS");
    }

    return ngx_kong_ldap_secure(op);
}


/* foreign bytes on their way to the log */
static void
ngx_kong_ldap_text(ngx_kong_ldap_t *op, const kong_str_t *text)
{
    size_t  i;
    u_char  c;

    op->text_len = ngx_min(text->len, sizeof(op->text));

    for (i = 0; i < op->text_len; i++) {
        c = (u_char) text->data[i];
        op->text[i] = (c < 0x20 || c > 0x7e || c == '"') ? '?' : c;
    }
}


static ngx_int_t
ngx_kong_ldap_broken(ngx_kong_ldap_t *op)
{
    ngx_uint_t  reused;

    reused = op->reused;
    ngx_kong_ldap_cancel(op);

    if (reused) {
        return ngx_kong_ldap_connect(op);
    }

    return ngx_kong_ldap_failed(op, "it closed the connection");
}


static ngx_int_t
ngx_kong_ldap_failed(ngx_kong_ldap_t *op, const char *error)
{
    op->error = error;

    return NGX_ERROR;
}


static void
ngx_kong_ldap_event(ngx_event_t *ev)
{
    ngx_int_t              rc;
    ngx_connection_t      *c;
    ngx_kong_ldap_t       *op;
    ngx_kong_ldap_conn_t  *conn;

    c = ev->data;
    conn = c->data;
    op = conn->op;

    /* one timer, on the write event; a connect that took too long may go on
     * with another address */

    if (ev->timedout && op->step != ngx_kong_ldap_connecting) {
        rc = ngx_kong_ldap_failed(op, "it timed out");

    } else {
        rc = op->step(op);
    }

    ngx_kong_ldap_end(op, rc);
}


static void
ngx_kong_ldap_end(ngx_kong_ldap_t *op, ngx_int_t rc)
{
    rc = ngx_kong_ldap_settle(op, rc);

    if (rc != NGX_AGAIN) {
        op->done(op->data, rc);
    }
}


/* what becomes of the connection */
static ngx_int_t
ngx_kong_ldap_settle(ngx_kong_ldap_t *op, ngx_int_t rc)
{
    ngx_kong_ldap_conn_t  *conn;

    if (rc == NGX_AGAIN) {
        return rc;
    }

    conn = op->conn;
    op->conn = NULL;

    if (conn == NULL) {
        return rc;
    }

    if (rc == NGX_ERROR || !op->clean) {
        ngx_kong_ldap_close(conn);
        return rc;
    }

    ngx_kong_ldap_idle_put(conn, op->server->keepalive);

    return rc;
}


static ngx_kong_ldap_conn_t *
ngx_kong_ldap_idle_get(const ngx_kong_ldap_server_t *server)
{
    ngx_queue_t           *q;
    ngx_connection_t      *c;
    ngx_kong_ldap_conn_t  *conn;

    for (q = ngx_queue_head(&ngx_kong_ldap_idle);
         q != ngx_queue_sentinel(&ngx_kong_ldap_idle);
         q = ngx_queue_next(q))
    {
        conn = ngx_queue_data(q, ngx_kong_ldap_conn_t, queue);

        if (ngx_memcmp(conn->key, server->key, sizeof(conn->key)) != 0) {
            continue;
        }

        ngx_queue_remove(&conn->queue);
        ngx_kong_ldap_n_idle--;

        c = conn->connection;
        c->idle = 0;

        if (c->read->timer_set) {
            ngx_del_timer(c->read);
        }

        c->read->handler = ngx_kong_ldap_event;
        c->write->handler = ngx_kong_ldap_event;

        return conn;
    }

    return NULL;
}


static void
ngx_kong_ldap_idle_put(ngx_kong_ldap_conn_t *conn, ngx_msec_t keepalive)
{
    ngx_queue_t       *q;
    ngx_connection_t  *c;

    c = conn->connection;

    if (ngx_exiting || ngx_terminate || conn->id >= NGX_KONG_LDAP_IDS
        || c->read->eof || c->read->error || c->write->error
        || ngx_handle_read_event(c->read, 0) != NGX_OK)
    {
        ngx_kong_ldap_close(conn);
        return;
    }

    if (ngx_kong_ldap_n_idle == NGX_KONG_LDAP_IDLE) {
        q = ngx_queue_last(&ngx_kong_ldap_idle);
        ngx_kong_ldap_leave(ngx_queue_data(q, ngx_kong_ldap_conn_t, queue));
    }

    ngx_queue_insert_head(&ngx_kong_ldap_idle, &conn->queue);
    ngx_kong_ldap_n_idle++;

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    if (keepalive != 0) {
        ngx_add_timer(c->read, keepalive);
    }

    conn->op = NULL;

    c->read->handler = ngx_kong_ldap_idle_event;
    c->write->handler = ngx_kong_ldap_empty;
    c->idle = 1;

    if (c->read->ready) {
        ngx_kong_ldap_idle_event(c->read);
    }
}


/* a server has nothing to say now: what comes is its end */
static void
ngx_kong_ldap_idle_event(ngx_event_t *ev)
{
    int                    n;
    char                   buf[1];
    ngx_connection_t      *c;
    ngx_kong_ldap_conn_t  *conn;

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

    ngx_kong_ldap_leave(conn);
}


static void
ngx_kong_ldap_empty(ngx_event_t *ev)
{
    (void) ev;
}


/* an idle one goes, politely */
static void
ngx_kong_ldap_leave(ngx_kong_ldap_conn_t *conn)
{
    size_t             len;
    u_char             unbind[KONG_LDAP_OVERHEAD];
    ngx_connection_t  *c;

    c = conn->connection;

    ngx_queue_remove(&conn->queue);
    ngx_kong_ldap_n_idle--;

    if (!c->write->error) {
        len = kong_ldap_unbind(unbind, conn->id + 1);
        (void) c->send(c, unbind, len);
    }

    ngx_kong_ldap_close(conn);
}


static void
ngx_kong_ldap_close(ngx_kong_ldap_conn_t *conn)
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
