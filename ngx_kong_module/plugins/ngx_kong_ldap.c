/*
 * The LDAP client: connect, TLS, one bind, and back to the idle connections.
 * Each step ends with NGX_AGAIN or with the result of the whole.  A bind may
 * be repeated: one that fails on a connection that was idle gets a new one.
 */

#include "ngx_kong_ldap.h"


/* messages on one connection */
#define NGX_KONG_LDAP_IDS    0x7ffffff0


static ngx_int_t ngx_kong_ldap_connect(ngx_kong_ldap_t *op);
static ngx_int_t ngx_kong_ldap_connecting(ngx_kong_ldap_t *op);
static ngx_int_t ngx_kong_ldap_dialed(ngx_kong_ldap_t *op, ngx_int_t rc);
static ngx_int_t ngx_kong_ldap_connected(ngx_kong_ldap_t *op);
static ngx_int_t ngx_kong_ldap_secure(ngx_kong_ldap_t *op);
#if (NGX_HTTP_SSL)
static ngx_int_t ngx_kong_ldap_verify(ngx_kong_ldap_t *op);
#endif
static ngx_int_t ngx_kong_ldap_start_tls(ngx_kong_ldap_t *op);
static ngx_int_t ngx_kong_ldap_bind(ngx_kong_ldap_t *op);
static ngx_int_t ngx_kong_ldap_send(ngx_kong_ldap_t *op, size_t len,
    uint8_t expected);
static ngx_int_t ngx_kong_ldap_write(ngx_kong_ldap_t *op);
static ngx_int_t ngx_kong_ldap_read(ngx_kong_ldap_t *op);
static ngx_int_t ngx_kong_ldap_answered(ngx_kong_ldap_t *op,
    const kong_ldap_answer_t *answer);
static ngx_int_t ngx_kong_ldap_stuck(ngx_kong_ldap_t *op, ngx_int_t rc);
static ngx_int_t ngx_kong_ldap_broken(ngx_kong_ldap_t *op);
static ngx_int_t ngx_kong_ldap_failed(ngx_kong_ldap_t *op,
    const char *error);
static void ngx_kong_ldap_event(ngx_event_t *ev);
static void ngx_kong_ldap_end(ngx_kong_ldap_t *op, ngx_int_t rc);
static ngx_int_t ngx_kong_ldap_settle(ngx_kong_ldap_t *op, ngx_int_t rc);
static void ngx_kong_ldap_leave(ngx_kong_peer_t *peer);


static ngx_kong_peers_t  ngx_kong_ldap_idle =
    ngx_kong_peers_init(ngx_kong_ldap_idle, ngx_kong_ldap_leave);


ngx_int_t
ngx_kong_ldap_start(ngx_kong_ldap_t *op, ngx_kong_map_t *endpoints)
{
    size_t  size;

    op->dial.n = ngx_kong_peer_addresses(&op->server->host, endpoints,
                                         op->dial.addresses);
    op->dial.port = op->server->port;
    op->dial.timeout = op->server->timeout;
    op->dial.key = op->server->key;

    if (op->dial.n == 0) {
        return ngx_kong_ldap_failed(op, "its name could not be resolved");
    }

    size = op->dn.len + op->password.len + KONG_LDAP_OVERHEAD;

    op->out = ngx_pnalloc(op->pool, size);
    op->in = ngx_pnalloc(op->pool, KONG_LDAP_ANSWER_MAX);

    if (op->out == NULL || op->in == NULL) {
        return ngx_kong_ldap_failed(op, "out of memory");
    }

    op->conn = ngx_kong_peer_get(&ngx_kong_ldap_idle, op->server->key,
                                 ngx_kong_ldap_event, op);

    if (op->conn != NULL) {
        op->reused = 1;
        return ngx_kong_ldap_settle(op, ngx_kong_ldap_bind(op));
    }

    return ngx_kong_ldap_settle(op, ngx_kong_ldap_connect(op));
}


void
ngx_kong_ldap_cancel(ngx_kong_ldap_t *op)
{
    if (op->conn != NULL) {
        ngx_kong_peer_close(op->conn);
        op->conn = NULL;
    }
}


static ngx_int_t
ngx_kong_ldap_connect(ngx_kong_ldap_t *op)
{
    op->reused = 0;

    return ngx_kong_ldap_dialed(op, ngx_kong_peer_dial(&op->dial, &op->conn,
                                                       ngx_kong_ldap_event,
                                                       op));
}


static ngx_int_t
ngx_kong_ldap_connecting(ngx_kong_ldap_t *op)
{
    return ngx_kong_ldap_dialed(op, ngx_kong_peer_dialing(&op->dial,
                                                          &op->conn));
}


static ngx_int_t
ngx_kong_ldap_dialed(ngx_kong_ldap_t *op, ngx_int_t rc)
{
    switch (rc) {

    case NGX_OK:
        return ngx_kong_ldap_connected(op);

    case NGX_AGAIN:
        op->step = ngx_kong_ldap_connecting;
        return NGX_AGAIN;

    default:
        op->err = op->dial.err;
        return ngx_kong_ldap_failed(op, op->dial.error);
    }
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
    ngx_int_t  rc;
    ngx_str_t  sni;

    if (op->server->ssl != NULL) {
        sni = op->server->host.name;

        if (op->server->host.is_address) {
            sni.len = 0;
        }

        op->step = ngx_kong_ldap_verify;
        rc = ngx_kong_peer_handshake(op->conn, op->server->ssl, &sni,
                                     op->server->timeout);

        if (rc == NGX_AGAIN) {
            return NGX_AGAIN;
        }

        return rc == NGX_OK
               ? ngx_kong_ldap_verify(op)
               : ngx_kong_ldap_failed(op, "TLS could not be set up");
    }
#endif

    return ngx_kong_ldap_bind(op);
}


#if (NGX_HTTP_SSL)


static ngx_int_t
ngx_kong_ldap_verify(ngx_kong_ldap_t *op)
{
    const char  *error;

    error = ngx_kong_peer_verify(op->conn, op->server->verify
                                           ? &op->server->host.name : NULL);

    return error ? ngx_kong_ldap_failed(op, error) : ngx_kong_ldap_bind(op);
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
    ngx_int_t  rc;

    op->step = ngx_kong_ldap_write;

    rc = ngx_kong_peer_send(op->conn, &op->pos, op->last);
    if (rc != NGX_OK) {
        return ngx_kong_ldap_stuck(op, rc);
    }

    op->step = ngx_kong_ldap_read;

    return ngx_kong_ldap_read(op);
}


static ngx_int_t
ngx_kong_ldap_read(ngx_kong_ldap_t *op)
{
    ssize_t             n;
    kong_ldap_answer_t  answer;

    while (op->in_len < KONG_LDAP_ANSWER_MAX) {
        n = ngx_kong_peer_recv(op->conn, op->in + op->in_len,
                               KONG_LDAP_ANSWER_MAX - op->in_len);

        if (n <= 0) {
            return ngx_kong_ldap_stuck(op, n);
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
    if (answer->id != 0
        && (answer->id != op->conn->id || answer->op != op->expected))
    {
        return ngx_kong_ldap_failed(op, "its answer is to something else");
    }

    op->text_len = ngx_kong_peer_text(&answer->text, op->text,
                                      sizeof(op->text));

    /* the notice that it is going to close */

    if (answer->id == 0) {
        return ngx_kong_ldap_broken(op);
    }

    op->code = answer->code;

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


/* `rc` of ngx_kong_peer_send() or ngx_kong_peer_recv() */
static ngx_int_t
ngx_kong_ldap_stuck(ngx_kong_ldap_t *op, ngx_int_t rc)
{
    switch (rc) {

    case NGX_AGAIN:
        return NGX_AGAIN;

    case NGX_ERROR:
        return ngx_kong_ldap_failed(op, "the event could not be added");

    default:
        return ngx_kong_ldap_broken(op);
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
    ngx_int_t         rc;
    ngx_kong_ldap_t  *op;

    op = ngx_kong_peer_of(ev)->data;

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
    ngx_kong_peer_t  *conn;

    if (rc == NGX_AGAIN) {
        return rc;
    }

    conn = op->conn;
    op->conn = NULL;

    if (conn == NULL) {
        return rc;
    }

    if (rc == NGX_ERROR || !op->clean || conn->id >= NGX_KONG_LDAP_IDS) {
        ngx_kong_peer_close(conn);
        return rc;
    }

    ngx_kong_peer_put(&ngx_kong_ldap_idle, conn, op->server->keepalive);

    return rc;
}


/* politely */
static void
ngx_kong_ldap_leave(ngx_kong_peer_t *peer)
{
    size_t             len;
    u_char             unbind[KONG_LDAP_OVERHEAD];
    ngx_connection_t  *c;

    c = peer->connection;

    if (!c->write->error) {
        len = kong_ldap_unbind(unbind, peer->id + 1);
        (void) c->send(c, unbind, len);
    }
}
