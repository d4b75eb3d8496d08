/*
 * The Redis client: greet the server on a new connection (AUTH and SELECT in
 * one go), send one command, read the array of numbers that answers it.  Each
 * step ends with NGX_AGAIN or with the result of the whole.  A command that
 * fails on a connection that was idle, before a byte has come, is sent again
 * on a new one.
 */

#include "ngx_kong_redis.h"


/* what is read at a time; the longest value fits */
#define NGX_KONG_REDIS_BUFFER     KONG_RESP_VALUE_MAX
/* how long a connection stays idle, as Kong has it */
#define NGX_KONG_REDIS_KEEPALIVE  10000


static ngx_int_t ngx_kong_redis_settle(ngx_kong_redis_t *op, ngx_int_t rc);
static ngx_int_t ngx_kong_redis_greet(ngx_kong_redis_t *op);
static ngx_int_t ngx_kong_redis_command(ngx_kong_redis_t *op);
static ngx_int_t ngx_kong_redis_send(ngx_kong_redis_t *op, u_char *pos,
    u_char *last);
static ngx_int_t ngx_kong_redis_write(ngx_kong_redis_t *op);
static ngx_int_t ngx_kong_redis_read(ngx_kong_redis_t *op);
static ngx_int_t ngx_kong_redis_parse(ngx_kong_redis_t *op);
static ngx_int_t ngx_kong_redis_value(ngx_kong_redis_t *op,
    const kong_resp_t *value);
static ngx_int_t ngx_kong_redis_refused(ngx_kong_redis_t *op,
    const kong_resp_t *value);
static ngx_int_t ngx_kong_redis_stuck(ngx_kong_redis_t *op, ngx_int_t rc);
static ngx_int_t ngx_kong_redis_broken(ngx_kong_redis_t *op);


static ngx_kong_peers_t  ngx_kong_redis_idle =
    ngx_kong_peers_init(ngx_kong_redis_idle, NULL);


ngx_int_t
ngx_kong_redis_start(ngx_kong_redis_t *op, ngx_kong_map_t *endpoints)
{
    op->in = ngx_pnalloc(op->pool, NGX_KONG_REDIS_BUFFER);
    if (op->in == NULL) {
        return ngx_kong_redis_failed(op, "out of memory");
    }

    op->dial.n = ngx_kong_peer_addresses(&op->server->host, endpoints,
                                         op->dial.addresses);
    op->dial.port = op->server->port;
    op->dial.timeout = op->server->timeout;
    op->dial.key = op->server->key;

    if (op->dial.n == 0) {
        op->dial.error = "its name could not be resolved";
    }

    op->conn = ngx_kong_peer_get(&ngx_kong_redis_idle, op->server->key,
                                 ngx_kong_redis_event, op);

    if (op->conn != NULL) {
        op->reused = 1;
        return ngx_kong_redis_settle(op, ngx_kong_redis_command(op));
    }

    return ngx_kong_redis_settle(op, ngx_kong_redis_connect(op));
}


void
ngx_kong_redis_cancel(ngx_kong_redis_t *op)
{
    if (op->conn != NULL) {
        ngx_kong_peer_close(op->conn);
        op->conn = NULL;
    }
}


void
ngx_kong_redis_event(ngx_event_t *ev)
{
    ngx_int_t          rc;
    ngx_kong_redis_t  *op;

    op = ngx_kong_peer_of(ev)->data;

    /* one timer, on the write event */

    rc = ev->timedout ? ngx_kong_redis_failed(op, "it timed out")
                      : op->step(op);

    ngx_kong_redis_end(op, rc);
}


void
ngx_kong_redis_end(ngx_kong_redis_t *op, ngx_int_t rc)
{
    rc = ngx_kong_redis_settle(op, rc);

    if (rc != NGX_AGAIN) {
        op->done(op->data, rc);
    }
}


/* what becomes of the connection */
static ngx_int_t
ngx_kong_redis_settle(ngx_kong_redis_t *op, ngx_int_t rc)
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

    if (op->clean) {
        ngx_kong_peer_put(&ngx_kong_redis_idle, conn,
                          NGX_KONG_REDIS_KEEPALIVE);

    } else {
        ngx_kong_peer_close(conn);
    }

    return rc;
}


ngx_int_t
ngx_kong_redis_connected(ngx_kong_redis_t *op)
{
    ngx_kong_redis_server_t  *server;

    server = op->server;

    if (server->password.len == 0 && server->database == 0) {
        return ngx_kong_redis_command(op);
    }

    return ngx_kong_redis_greet(op);
}


/* the command waits until these are answered: it must not run elsewhere */
static ngx_int_t
ngx_kong_redis_greet(ngx_kong_redis_t *op)
{
    u_char                   *p, *start, *last, number[NGX_INT_T_LEN];
    ngx_kong_redis_server_t  *server;

    server = op->server;

    start = ngx_pnalloc(op->pool, server->username.len + server->password.len
                                  + 8 * KONG_RESP_OVERHEAD);
    if (start == NULL) {
        return ngx_kong_redis_failed(op, "out of memory");
    }

    p = start;
    op->greetings = 0;

    if (server->password.len != 0) {
        p = kong_resp_command(p, server->username.len ? 3 : 2);
        p = kong_resp_argument(p, "AUTH", 4);

        if (server->username.len != 0) {
            p = kong_resp_argument(p, server->username.data,
                                   server->username.len);
        }

        p = kong_resp_argument(p, server->password.data,
                               server->password.len);
        op->greetings++;
    }

    if (server->database != 0) {
        last = ngx_sprintf(number, "%i", server->database);

        p = kong_resp_command(p, 2);
        p = kong_resp_argument(p, "SELECT", 6);
        p = kong_resp_argument(p, number, last - number);
        op->greetings++;
    }

    return ngx_kong_redis_send(op, start, p);
}


static ngx_int_t
ngx_kong_redis_command(ngx_kong_redis_t *op)
{
    op->greetings = 0;
    op->started = 0;
    op->got = 0;

    return ngx_kong_redis_send(op, op->command.data,
                               op->command.data + op->command.len);
}


static ngx_int_t
ngx_kong_redis_send(ngx_kong_redis_t *op, u_char *pos, u_char *last)
{
    op->pos = pos;
    op->last = last;
    op->in_len = 0;
    op->clean = 0;

    ngx_add_timer(op->conn->connection->write, op->server->timeout);

    return ngx_kong_redis_write(op);
}


static ngx_int_t
ngx_kong_redis_write(ngx_kong_redis_t *op)
{
    ngx_int_t  rc;

    op->step = ngx_kong_redis_write;

    rc = ngx_kong_peer_send(op->conn, &op->pos, op->last);
    if (rc != NGX_OK) {
        return ngx_kong_redis_stuck(op, rc);
    }

    op->step = ngx_kong_redis_read;

    return ngx_kong_redis_read(op);
}


static ngx_int_t
ngx_kong_redis_read(ngx_kong_redis_t *op)
{
    ssize_t    n;
    ngx_int_t  rc;

    for ( ;; ) {
        n = ngx_kong_peer_recv(op->conn, op->in + op->in_len,
                               NGX_KONG_REDIS_BUFFER - op->in_len);

        if (n <= 0) {
            return ngx_kong_redis_stuck(op, n);
        }

        /* what answers cannot come twice */
        op->reused = 0;
        op->in_len += n;

        rc = ngx_kong_redis_parse(op);

        if (rc == NGX_DONE) {
            return ngx_kong_redis_command(op);
        }

        if (rc != NGX_AGAIN) {
            return rc;
        }
    }
}


/* all values that are there.  NGX_AGAIN: more must be read; NGX_DONE: the
 * server has been greeted */
static ngx_int_t
ngx_kong_redis_parse(ngx_kong_redis_t *op)
{
    u_char       *p, *last;
    ssize_t       n;
    ngx_int_t     rc;
    kong_resp_t   value;

    last = op->in + op->in_len;

    for (p = op->in; p < last; p += n) {
        n = kong_resp_value(p, last - p, &value);

        if (n == -1) {
            return ngx_kong_redis_failed(op, "its answer is not of Redis");
        }

        if (n == 0) {
            break;
        }

        op->clean = (p + n == last);

        rc = ngx_kong_redis_value(op, &value);
        if (rc != NGX_AGAIN) {
            return rc;
        }

        op->clean = 0;
    }

    op->in_len = last - p;
    ngx_memmove(op->in, p, op->in_len);

    return NGX_AGAIN;
}


static ngx_int_t
ngx_kong_redis_value(ngx_kong_redis_t *op, const kong_resp_t *value)
{
    if (value->kind == KONG_RESP_ERROR) {
        return ngx_kong_redis_refused(op, value);
    }

    if (op->greetings != 0) {
        if (value->kind != KONG_RESP_STRING) {
            op->clean = 0;
            return ngx_kong_redis_failed(op, "its greeting is no greeting");
        }

        if (--op->greetings != 0) {
            return NGX_AGAIN;
        }

        if (!op->clean) {
            return ngx_kong_redis_failed(op, "it answers more than was asked");
        }

        return NGX_DONE;
    }

    if (!op->started) {
        op->started = 1;

        if (value->kind == KONG_RESP_ARRAY
            && value->integer == (int64_t) op->n)
        {
            return op->n != 0 ? NGX_AGAIN : NGX_OK;
        }

    } else if (kong_resp_number(value, &op->values[op->got]) == 0) {
        return ++op->got < op->n ? NGX_AGAIN : NGX_OK;
    }

    op->clean = 0;

    return ngx_kong_redis_failed(op, "its answer is not what was asked for");
}


/* the connection goes: what leads to it may have another end by now */
static ngx_int_t
ngx_kong_redis_refused(ngx_kong_redis_t *op, const kong_resp_t *value)
{
    op->clean = 0;
    op->text_len = ngx_kong_peer_text(&value->text, op->text,
                                      sizeof(op->text));

    return ngx_kong_redis_failed(op, "it refuses");
}


/* `rc` of ngx_kong_peer_send() or ngx_kong_peer_recv() */
static ngx_int_t
ngx_kong_redis_stuck(ngx_kong_redis_t *op, ngx_int_t rc)
{
    switch (rc) {

    case NGX_AGAIN:
        return NGX_AGAIN;

    case NGX_ERROR:
        return ngx_kong_redis_failed(op, "the event could not be added");

    default:
        return ngx_kong_redis_broken(op);
    }
}


static ngx_int_t
ngx_kong_redis_broken(ngx_kong_redis_t *op)
{
    ngx_uint_t  reused;

    reused = op->reused;
    op->reused = 0;
    ngx_kong_redis_cancel(op);

    if (reused) {
        return ngx_kong_redis_connect(op);
    }

    return ngx_kong_redis_failed(op, "it closed the connection");
}


ngx_int_t
ngx_kong_redis_failed(ngx_kong_redis_t *op, const char *error)
{
    op->error = error;

    return NGX_ERROR;
}


void
ngx_kong_redis_report(ngx_kong_redis_t *op, ngx_log_t *log)
{
    ngx_str_t                 text;
    ngx_kong_redis_server_t  *server;

    server = op->server;

    if (server->reported == ngx_time()) {
        return;
    }

    server->reported = ngx_time();
    text.data = op->text;
    text.len = op->text_len;

    ngx_log_error(NGX_LOG_ERR, log, op->err,
                  "redis \"%V:%ui\" does not count: %s%s%V",
                  &server->host.name, (ngx_uint_t) server->port,
                  op->error ? op->error : "out of memory",
                  text.len ? ": " : "", &text);
}
