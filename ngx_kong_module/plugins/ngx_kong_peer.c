/*
 * Connections to the servers that plugins talk to, see ngx_kong_peer.h.
 */

#include "ngx_kong_peer.h"


/* idle connections of a worker and kind */
#define NGX_KONG_PEER_IDLE  256


static ngx_int_t ngx_kong_peer_open(ngx_kong_peer_t **peer,
    struct sockaddr *sockaddr, socklen_t socklen, ngx_str_t *name);
static ngx_kong_peer_t *ngx_kong_peer_create(ngx_connection_t *c);
static void ngx_kong_peer_event(ngx_event_t *ev);
#if (NGX_HTTP_SSL)
static void ngx_kong_peer_handshaken(ngx_connection_t *c);
static ngx_uint_t ngx_kong_peer_is(ngx_connection_t *c,
    const ngx_str_t *name);
#endif
static void ngx_kong_peer_idle_event(ngx_event_t *ev);
static void ngx_kong_peer_empty(ngx_event_t *ev);
static void ngx_kong_peer_leave(ngx_kong_peer_t *peer);


ngx_int_t
ngx_kong_peer_host(ngx_kong_peer_host_t *host, ngx_pool_t *pool,
    ngx_str_t text)
{
    ngx_str_t   *name;
    ngx_addr_t   addr;

    if (text.len > 2 && text.data[0] == '['
        && text.data[text.len - 1] == ']')
    {
        text.data++;
        text.len -= 2;
    }

    name = &host->name;

    name->data = ngx_pnalloc(pool, text.len + 1);
    if (name->data == NULL) {
        return NGX_ERROR;
    }

    name->len = text.len;
    ngx_strlow(name->data, text.data, text.len);
    name->data[text.len] = '\0';

    if (ngx_parse_addr(pool, &addr, name->data, name->len) != NGX_OK) {
        host->endpoint = kong_endpoint_key((char *) name->data, name->len);
        return NGX_OK;
    }

    host->is_address = 1;

#if (NGX_HAVE_INET6)
    if (addr.sockaddr->sa_family == AF_INET6) {
        host->address.ipv6 = 1;
        ngx_memcpy(host->address.addr,
                   &((struct sockaddr_in6 *) addr.sockaddr)->sin6_addr, 16);
        return NGX_OK;
    }
#endif

    ngx_memcpy(host->address.addr,
               &((struct sockaddr_in *) addr.sockaddr)->sin_addr, 4);

    return NGX_OK;
}


ngx_uint_t
ngx_kong_peer_addresses(ngx_kong_peer_host_t *host, ngx_kong_map_t *endpoints,
    kong_address_t *addresses)
{
    ngx_uint_t              i, n, first;
    const kong_endpoint_t  *endpoint;

    if (host->is_address) {
        addresses[0] = host->address;
        return 1;
    }

    endpoint = endpoints ? kong_segment_endpoint(&endpoints->seg,
                                                 host->endpoint)
                         : NULL;

    if (endpoint == NULL || endpoint->n == 0) {
        return 0;
    }

    n = ngx_min(endpoint->n, NGX_KONG_PEER_TRIES);
    first = host->turn++;

    for (i = 0; i < n; i++) {
        addresses[i] = endpoints->seg.addresses[endpoint->first
                                                + (first + i) % endpoint->n];
    }

    return n;
}


ngx_int_t
ngx_kong_peer_dial(ngx_kong_peer_dial_t *dial, ngx_kong_peer_t **peer,
    ngx_event_handler_pt handler, void *data)
{
    ngx_int_t  rc;

    while (dial->tried < dial->n) {
        rc = ngx_kong_peer_connect(peer, &dial->addresses[dial->tried++],
                                   dial->port, handler, data);

        if (rc == NGX_ERROR) {
            dial->error = "out of memory";
            return NGX_ERROR;
        }

        if (rc == NGX_DECLINED) {
            dial->error = "it cannot be reached";
            continue;
        }

        ngx_memcpy((*peer)->key, dial->key, sizeof((*peer)->key));

        if (rc == NGX_AGAIN) {
            ngx_add_timer((*peer)->connection->write, dial->timeout);
        }

        return rc;
    }

    if (dial->error == NULL) {
        dial->error = "it cannot be reached";
    }

    return NGX_ERROR;
}


ngx_int_t
ngx_kong_peer_dialing(ngx_kong_peer_dial_t *dial, ngx_kong_peer_t **peer)
{
    void                  *data;
    ngx_int_t              rc;
    ngx_event_handler_pt   handler;

    rc = ngx_kong_peer_connecting(*peer, &dial->err);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    dial->error = dial->err ? "it cannot be reached" : "it timed out";

    handler = (*peer)->handler;
    data = (*peer)->data;
    ngx_kong_peer_close(*peer);
    *peer = NULL;

    return ngx_kong_peer_dial(dial, peer, handler, data);
}


ngx_int_t
ngx_kong_peer_connect(ngx_kong_peer_t **peer, const kong_address_t *address,
    in_port_t port, ngx_event_handler_pt handler, void *data)
{
    u_char          text[NGX_SOCKADDR_STRLEN];
    ngx_int_t       rc;
    ngx_str_t       name;
    socklen_t       socklen;
    ngx_sockaddr_t  sa;

    ngx_memzero(&sa, sizeof(sa));

    if (address->port != 0) {
        port = address->port;
    }

    if (address->ipv6) {
#if (NGX_HAVE_INET6)
        sa.sockaddr_in6.sin6_family = AF_INET6;
        sa.sockaddr_in6.sin6_port = htons(port);
        ngx_memcpy(&sa.sockaddr_in6.sin6_addr, address->addr, 16);
        socklen = sizeof(struct sockaddr_in6);
#else
        return NGX_DECLINED;
#endif
    } else {
        sa.sockaddr_in.sin_family = AF_INET;
        sa.sockaddr_in.sin_port = htons(port);
        ngx_memcpy(&sa.sockaddr_in.sin_addr, address->addr, 4);
        socklen = sizeof(struct sockaddr_in);
    }

    name.data = text;
    name.len = ngx_sock_ntop(&sa.sockaddr, socklen, text, sizeof(text), 1);

    rc = ngx_kong_peer_open(peer, &sa.sockaddr, socklen, &name);

    if (rc == NGX_OK || rc == NGX_AGAIN) {
        (*peer)->handler = handler;
        (*peer)->data = data;
    }

    return rc;
}


ngx_int_t
ngx_kong_peer_connect_unix(ngx_kong_peer_t **peer, ngx_str_t *path,
    ngx_event_handler_pt handler, void *data)
{
    ngx_int_t           rc;
    struct sockaddr_un  sun;

    if (path->len >= sizeof(sun.sun_path)) {
        return NGX_DECLINED;
    }

    ngx_memzero(&sun, sizeof(sun));
    sun.sun_family = AF_UNIX;
    ngx_memcpy(sun.sun_path, path->data, path->len);

    rc = ngx_kong_peer_open(peer, (struct sockaddr *) &sun, sizeof(sun),
                            path);

    if (rc == NGX_OK || rc == NGX_AGAIN) {
        (*peer)->handler = handler;
        (*peer)->data = data;
    }

    return rc;
}


static ngx_int_t
ngx_kong_peer_open(ngx_kong_peer_t **peer, struct sockaddr *sockaddr,
    socklen_t socklen, ngx_str_t *name)
{
    ngx_int_t              rc;
    ngx_peer_connection_t  pc;

    ngx_memzero(&pc, sizeof(pc));

    pc.sockaddr = sockaddr;
    pc.socklen = socklen;
    pc.name = name;
    pc.get = ngx_event_get_peer;
    pc.log = ngx_cycle->log;
    pc.log_error = NGX_ERROR_INFO;

    rc = ngx_event_connect_peer(&pc);

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        if (pc.connection != NULL) {
            ngx_close_connection(pc.connection);
        }

        return NGX_DECLINED;
    }

    *peer = ngx_kong_peer_create(pc.connection);

    if (*peer == NULL) {
        ngx_close_connection(pc.connection);
        return NGX_ERROR;
    }

    return rc;
}


/* the connection's own memory */
static ngx_kong_peer_t *
ngx_kong_peer_create(ngx_connection_t *c)
{
    ngx_kong_peer_t  *peer;

    c->log = ngx_cycle->log;
    c->pool = ngx_create_pool(256, c->log);
    if (c->pool == NULL) {
        return NULL;
    }

    peer = ngx_pcalloc(c->pool, sizeof(ngx_kong_peer_t));
    if (peer == NULL) {
        ngx_destroy_pool(c->pool);
        return NULL;
    }

    peer->connection = c;

    c->data = peer;
    c->sendfile = 0;
    c->read->handler = ngx_kong_peer_event;
    c->write->handler = ngx_kong_peer_event;

    return peer;
}


static void
ngx_kong_peer_event(ngx_event_t *ev)
{
    ngx_kong_peer_of(ev)->handler(ev);
}


ngx_int_t
ngx_kong_peer_connecting(ngx_kong_peer_t *peer, ngx_err_t *err)
{
    int                error;
    socklen_t          len;
    ngx_connection_t  *c;

    c = peer->connection;

    error = 0;
    len = sizeof(int);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &error, &len) == -1) {
        error = ngx_socket_errno;
    }

    if (error != 0 || c->write->timedout) {
        *err = error;
        return NGX_DECLINED;
    }

    return c->write->ready ? NGX_OK : NGX_AGAIN;
}


#if (NGX_HTTP_SSL)


ngx_int_t
ngx_kong_peer_handshake(ngx_kong_peer_t *peer, ngx_ssl_t *ssl,
    const ngx_str_t *sni, ngx_msec_t timeout)
{
    ngx_connection_t  *c;

    c = peer->connection;

    if (ngx_ssl_create_connection(ssl, c, NGX_SSL_CLIENT) != NGX_OK
        || (sni->len != 0
            && SSL_set_tlsext_host_name(c->ssl->connection,
                                        (char *) sni->data)
               == 0))
    {
        return NGX_ERROR;
    }

    ngx_add_timer(c->write, timeout);

    if (ngx_ssl_handshake(c) == NGX_AGAIN) {
        c->ssl->handler = ngx_kong_peer_handshaken;
        return NGX_AGAIN;
    }

    /* the handshake has put its own there */
    c->read->handler = ngx_kong_peer_event;
    c->write->handler = ngx_kong_peer_event;

    return NGX_OK;
}


static void
ngx_kong_peer_handshaken(ngx_connection_t *c)
{
    c->read->handler = ngx_kong_peer_event;
    c->write->handler = ngx_kong_peer_event;

    ngx_kong_peer_event(c->write);
}


const char *
ngx_kong_peer_verify(ngx_kong_peer_t *peer, const ngx_str_t *name)
{
    ngx_connection_t  *c;

    c = peer->connection;

    if (!c->ssl->handshaked) {
        return "the TLS handshake failed";
    }

    if (name == NULL) {
        return NULL;
    }

    if (SSL_get_verify_result(c->ssl->connection) != X509_V_OK) {
        return "its certificate is not trusted";
    }

    return ngx_kong_peer_is(c, name) ? NULL
           : "its certificate is not for this host";
}


static ngx_uint_t
ngx_kong_peer_is(ngx_connection_t *c, const ngx_str_t *name)
{
    X509       *cert;
    ngx_str_t   host;
    ngx_uint_t  is;

    cert = SSL_get_peer_certificate(c->ssl->connection);
    if (cert == NULL) {
        return 0;
    }

    /* 0 or an error where it is no address */
    is = X509_check_ip_asc(cert, (char *) name->data, 0) == 1;
    X509_free(cert);

    host = *name;

    return is || ngx_ssl_check_host(c, &host) == NGX_OK;
}

#endif


ngx_int_t
ngx_kong_peer_send(ngx_kong_peer_t *peer, u_char **pos, u_char *last)
{
    ssize_t            n;
    ngx_connection_t  *c;

    c = peer->connection;

    while (*pos < last) {
        n = c->send(c, *pos, last - *pos);

        if (n == NGX_ERROR) {
            return NGX_DECLINED;
        }

        if (n == NGX_AGAIN || n == 0) {
            break;
        }

        *pos += n;
    }

    if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    return *pos < last ? NGX_AGAIN : NGX_OK;
}


ssize_t
ngx_kong_peer_recv(ngx_kong_peer_t *peer, u_char *buf, size_t size)
{
    ssize_t            n;
    ngx_connection_t  *c;

    c = peer->connection;

    n = c->recv(c, buf, size);

    if (n == NGX_ERROR) {
        return NGX_DECLINED;
    }

    if (n == NGX_AGAIN && ngx_handle_read_event(c->read, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    return n;
}


ngx_kong_peer_t *
ngx_kong_peer_get(ngx_kong_peers_t *peers, const u_char *key,
    ngx_event_handler_pt handler, void *data)
{
    ngx_queue_t       *q;
    ngx_connection_t  *c;
    ngx_kong_peer_t   *peer;

    for (q = ngx_queue_head(&peers->idle);
         q != ngx_queue_sentinel(&peers->idle);
         q = ngx_queue_next(q))
    {
        peer = ngx_queue_data(q, ngx_kong_peer_t, queue);

        if (ngx_memcmp(peer->key, key, sizeof(peer->key)) != 0) {
            continue;
        }

        ngx_queue_remove(&peer->queue);
        peers->n--;

        c = peer->connection;
        c->idle = 0;

        if (c->read->timer_set) {
            ngx_del_timer(c->read);
        }

        c->read->handler = ngx_kong_peer_event;
        c->write->handler = ngx_kong_peer_event;

        peer->handler = handler;
        peer->data = data;

        return peer;
    }

    return NULL;
}


void
ngx_kong_peer_put(ngx_kong_peers_t *peers, ngx_kong_peer_t *peer,
    ngx_msec_t keepalive)
{
    ngx_queue_t       *q;
    ngx_connection_t  *c;

    c = peer->connection;

    if (ngx_exiting || ngx_terminate || c->read->eof || c->read->error
        || c->write->error || ngx_handle_read_event(c->read, 0) != NGX_OK)
    {
        ngx_kong_peer_close(peer);
        return;
    }

    if (peers->n == NGX_KONG_PEER_IDLE) {
        q = ngx_queue_last(&peers->idle);
        ngx_kong_peer_leave(ngx_queue_data(q, ngx_kong_peer_t, queue));
    }

    ngx_queue_insert_head(&peers->idle, &peer->queue);
    peers->n++;

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    if (keepalive != 0) {
        ngx_add_timer(c->read, keepalive);
    }

    peer->peers = peers;
    peer->data = NULL;

    c->read->handler = ngx_kong_peer_idle_event;
    c->write->handler = ngx_kong_peer_empty;
    c->idle = 1;

    if (c->read->ready) {
        ngx_kong_peer_idle_event(c->read);
    }
}


/* a server has nothing to say now: what comes is its end */
static void
ngx_kong_peer_idle_event(ngx_event_t *ev)
{
    int                n;
    char               buf[1];
    ngx_connection_t  *c;

    c = ev->data;

    if (!c->close && !ev->timedout) {
        n = recv(c->fd, buf, 1, MSG_PEEK);

        if (n == -1 && ngx_socket_errno == NGX_EAGAIN) {
            ev->ready = 0;

            if (ngx_handle_read_event(ev, 0) == NGX_OK) {
                return;
            }
        }
    }

    ngx_kong_peer_leave(c->data);
}


static void
ngx_kong_peer_empty(ngx_event_t *ev)
{
    (void) ev;
}


static void
ngx_kong_peer_leave(ngx_kong_peer_t *peer)
{
    ngx_queue_remove(&peer->queue);
    peer->peers->n--;

    if (peer->peers->leave != NULL) {
        peer->peers->leave(peer);
    }

    ngx_kong_peer_close(peer);
}


void
ngx_kong_peer_close(ngx_kong_peer_t *peer)
{
    ngx_pool_t        *pool;
    ngx_connection_t  *c;

    c = peer->connection;
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


size_t
ngx_kong_peer_text(const kong_str_t *text, u_char *out, size_t size)
{
    size_t  i, len;
    u_char  c;

    len = ngx_min(text->len, size);

    for (i = 0; i < len; i++) {
        c = (u_char) text->data[i];
        out[i] = (c < 0x20 || c > 0x7e || c == '"') ? '?' : c;
    }

    return len;
}
