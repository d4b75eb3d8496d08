/*
 * See ngx_kong_log_stream.h.  A connection that was idle may be gone without
 * our knowing: what fails on one is tried on a new one at once.
 */

#include "ngx_kong_log_stream.h"
#include "../upstream/ngx_http_kong_upstream.h"

#include <openssl/evp.h>


static ngx_int_t ngx_kong_log_stream_begin(ngx_kong_log_send_t *send);
static ngx_int_t ngx_kong_log_stream_resolve(ngx_kong_log_send_t *send);
static ngx_int_t ngx_kong_log_stream_connect(ngx_kong_log_send_t *send);
static ngx_int_t ngx_kong_log_stream_connecting(ngx_kong_log_send_t *send);
static ngx_int_t ngx_kong_log_stream_secure(ngx_kong_log_send_t *send);
#if (NGX_HTTP_SSL)
static ngx_int_t ngx_kong_log_stream_secured(ngx_kong_log_send_t *send);
#endif
static ngx_int_t ngx_kong_log_stream_start(ngx_kong_log_send_t *send);
static ngx_int_t ngx_kong_log_stream_write(ngx_kong_log_send_t *send);
static ngx_int_t ngx_kong_log_stream_answer(ngx_kong_log_send_t *send);
static void ngx_kong_log_stream_event(ngx_event_t *ev);
static void ngx_kong_log_stream_done(ngx_kong_log_send_t *send,
    ngx_int_t rc);
static ngx_int_t ngx_kong_log_stream_failed(ngx_kong_log_send_t *send,
    const char *why);


static ngx_kong_peers_t  ngx_kong_log_idle =
    ngx_kong_peers_init(ngx_kong_log_idle, NULL);


ngx_int_t
ngx_kong_log_stream(ngx_kong_log_queue_t *queue, ngx_str_t host,
    in_port_t port, ngx_uint_t tls, ngx_str_t sni)
{
    u_char                      *p, *text;
    ngx_kong_log_stream_t       *stream;
#if (NGX_HTTP_SSL)
    ngx_http_kong_tls_source_t   source;
#endif

    stream = queue->conf;
    stream->port = port;

    if (ngx_kong_peer_host(&stream->host, queue->pool, host) != NGX_OK
        || ngx_kong_log_queue_str(queue, sni, &stream->sni) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (tls) {
#if (NGX_HTTP_SSL)
        if (sni.len == 0 && !stream->host.is_address) {
            stream->sni = stream->host.name;
        }

        ngx_http_kong_tls_default(&source, 0);
        stream->ssl = ngx_http_kong_tls_get(&source, queue->pool,
                                            ngx_cycle->log);
        if (stream->ssl == NULL) {
            return NGX_ERROR;
        }
#else
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "plugin \"%s\": this nginx has no TLS",
                      queue->sender->name);
        return NGX_ERROR;
#endif
    }

    text = ngx_pnalloc(queue->pool, stream->host.name.len + stream->sni.len
                                    + 4 * NGX_INT_T_LEN);
    if (text == NULL) {
        return NGX_ERROR;
    }

    p = ngx_sprintf(text, "%ui:%ui:%uz:%V:%V", (ngx_uint_t) port, tls,
                    stream->host.name.len, &stream->host.name, &stream->sni);

    return EVP_Digest(text, p - text, stream->key, NULL, EVP_sha256(), NULL)
           == 1 ? NGX_OK : NGX_ERROR;
}


void
ngx_kong_log_stream_send(ngx_kong_log_batch_t *batch)
{
    size_t                  len;
    ngx_kong_log_send_t    *send;
    ngx_kong_log_stream_t  *stream;

    stream = batch->queue->conf;
    send = batch->state;

    if (send == NULL) {
        len = stream->length(batch);

        send = ngx_alloc(sizeof(ngx_kong_log_send_t) + len, ngx_cycle->log);
        if (send == NULL) {
            ngx_kong_log_batch_end(batch, NGX_ERROR, 0, "out of memory");
            return;
        }

        batch->state = send;
        ngx_memzero(send, sizeof(ngx_kong_log_send_t));
        send->batch = batch;
        send->stream = stream;
        send->out_len = stream->write(batch, send->out) - send->out;
    }

    send->err = 0;
    send->why = NULL;

    ngx_kong_log_stream_done(send, ngx_kong_log_stream_begin(send));
}


void
ngx_kong_log_stream_abandon(ngx_kong_log_batch_t *batch)
{
    ngx_kong_log_send_t  *send;

    send = batch->state;

    if (send != NULL && send->peer != NULL) {
        ngx_kong_peer_close(send->peer);
        send->peer = NULL;
    }
}


static ngx_int_t
ngx_kong_log_stream_begin(ngx_kong_log_send_t *send)
{
    send->tried = 0;
    send->n_addresses = 0;
    send->peer = ngx_kong_peer_get(&ngx_kong_log_idle, send->stream->key,
                                   ngx_kong_log_stream_event, send);
    send->reused = (send->peer != NULL);

    if (send->reused) {
        return ngx_kong_log_stream_start(send);
    }

    return ngx_kong_log_stream_resolve(send);
}


/* names are resolved by the daemon, with those of services */
static ngx_int_t
ngx_kong_log_stream_resolve(ngx_kong_log_send_t *send)
{
    ngx_kong_generation_t      *gen;
    ngx_http_kong_main_conf_t  *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                              ngx_http_kong_module);
    gen = ngx_kong_generation_get(mcf, ngx_cycle->log);

    send->n_addresses = ngx_kong_peer_addresses(&send->stream->host,
                                                gen ? gen->endpoints : NULL,
                                                send->addresses);
    if (gen != NULL) {
        ngx_kong_generation_put(gen);
    }

    if (send->n_addresses == 0) {
        return ngx_kong_log_stream_failed(send,
                                          "its name could not be resolved");
    }

    return ngx_kong_log_stream_connect(send);
}


static ngx_int_t
ngx_kong_log_stream_connect(ngx_kong_log_send_t *send)
{
    ngx_int_t  rc;

    while (send->tried < send->n_addresses) {
        rc = ngx_kong_peer_connect(&send->peer,
                                   &send->addresses[send->tried++],
                                   send->stream->port,
                                   ngx_kong_log_stream_event, send);

        if (rc == NGX_DECLINED) {
            send->err = ngx_socket_errno;
            continue;
        }

        if (rc == NGX_ERROR) {
            return ngx_kong_log_stream_failed(send, "out of memory");
        }

        ngx_memcpy(send->peer->key, send->stream->key,
                   sizeof(send->peer->key));
        send->step = ngx_kong_log_stream_connecting;

        if (rc == NGX_OK) {
            return ngx_kong_log_stream_secure(send);
        }

        ngx_add_timer(send->peer->connection->write, send->stream->timeout);

        return NGX_AGAIN;
    }

    return ngx_kong_log_stream_failed(send, "it cannot be reached");
}


static ngx_int_t
ngx_kong_log_stream_connecting(ngx_kong_log_send_t *send)
{
    ngx_int_t  rc;

    rc = ngx_kong_peer_connecting(send->peer, &send->err);

    if (rc == NGX_DECLINED) {
        ngx_kong_peer_close(send->peer);
        send->peer = NULL;
        return ngx_kong_log_stream_connect(send);
    }

    return rc == NGX_OK ? ngx_kong_log_stream_secure(send) : NGX_AGAIN;
}


/* nobody's certificate is looked at: Kong has no setting for it */
static ngx_int_t
ngx_kong_log_stream_secure(ngx_kong_log_send_t *send)
{
#if (NGX_HTTP_SSL)
    ngx_int_t  rc;

    if (send->stream->ssl != NULL) {
        send->step = ngx_kong_log_stream_secured;
        rc = ngx_kong_peer_handshake(send->peer, send->stream->ssl,
                                     &send->stream->sni,
                                     send->stream->timeout);
        if (rc == NGX_AGAIN) {
            return NGX_AGAIN;
        }

        return rc == NGX_OK
               ? ngx_kong_log_stream_secured(send)
               : ngx_kong_log_stream_failed(send, "TLS could not be set up");
    }
#endif

    return ngx_kong_log_stream_start(send);
}


#if (NGX_HTTP_SSL)


static ngx_int_t
ngx_kong_log_stream_secured(ngx_kong_log_send_t *send)
{
    const char  *why;

    why = ngx_kong_peer_verify(send->peer, NULL);

    return why ? ngx_kong_log_stream_failed(send, why)
               : ngx_kong_log_stream_start(send);
}

#endif


static ngx_int_t
ngx_kong_log_stream_start(ngx_kong_log_send_t *send)
{
    send->pos = send->out;
    send->in_len = 0;
    send->head = 0;
    send->keep = 0;
    send->rest = 0;
    send->step = ngx_kong_log_stream_write;

    ngx_add_timer(send->peer->connection->write, send->stream->timeout);

    return ngx_kong_log_stream_write(send);
}


static ngx_int_t
ngx_kong_log_stream_write(ngx_kong_log_send_t *send)
{
    u_char     *pos;
    ngx_int_t   rc;

    pos = send->pos;
    rc = ngx_kong_peer_send(send->peer, &send->pos,
                            send->out + send->out_len);

    if (rc == NGX_AGAIN) {

        if (send->pos != pos) {
            ngx_add_timer(send->peer->connection->write,
                          send->stream->timeout);
        }

        return NGX_AGAIN;
    }

    if (rc != NGX_OK) {
        return ngx_kong_log_stream_failed(send, "the connection broke");
    }

    send->step = ngx_kong_log_stream_answer;

    return ngx_kong_log_stream_answer(send);
}


static ngx_int_t
ngx_kong_log_stream_answer(ngx_kong_log_send_t *send)
{
    if (send->stream->answer == NULL) {
        send->keep = 1;
        return NGX_OK;
    }

    return send->stream->answer(send);
}


static void
ngx_kong_log_stream_event(ngx_event_t *ev)
{
    ngx_int_t             rc;
    ngx_kong_log_send_t  *send;

    send = ngx_kong_peer_of(ev)->data;

    /* one timer, on the write event; connecting looks at it itself */

    if (ev->timedout && send->step != ngx_kong_log_stream_connecting) {
        rc = ngx_kong_log_stream_failed(send, "it timed out");

    } else {
        rc = send->step(send);
    }

    ngx_kong_log_stream_done(send, rc);
}


static void
ngx_kong_log_stream_done(ngx_kong_log_send_t *send, ngx_int_t rc)
{
    ngx_kong_peer_t  *peer;

    if (rc == NGX_AGAIN) {
        return;
    }

    peer = send->peer;
    send->peer = NULL;

    if (peer != NULL) {
        if (rc == NGX_OK && send->keep && send->stream->keepalive != 0) {
            ngx_kong_peer_put(&ngx_kong_log_idle, peer,
                              send->stream->keepalive);

        } else {
            ngx_kong_peer_close(peer);
        }
    }

    if (rc == NGX_DECLINED && send->reused) {
        send->reused = 0;
        ngx_kong_log_stream_done(send, ngx_kong_log_stream_resolve(send));
        return;
    }

    ngx_kong_log_batch_end(send->batch, rc, send->err, send->why);
}


/* NGX_DECLINED: what was idle before may be the reason */
static ngx_int_t
ngx_kong_log_stream_failed(ngx_kong_log_send_t *send, const char *why)
{
    send->why = why;

    return (send->reused && send->in_len == 0) ? NGX_DECLINED : NGX_ERROR;
}
