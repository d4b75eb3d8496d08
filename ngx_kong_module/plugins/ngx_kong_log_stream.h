/*
 * Batches over TCP and TLS, on connections that are kept.
 */

#ifndef NGX_KONG_LOG_STREAM_H
#define NGX_KONG_LOG_STREAM_H

#include "ngx_kong_log_queue.h"


typedef struct ngx_kong_log_send_s  ngx_kong_log_send_t;

/* a queue's conf begins with it */
typedef struct {
    ngx_kong_peer_host_t   host;
    in_port_t              port;
    ngx_msec_t             timeout;
    ngx_msec_t             keepalive;    /* 0: connections are not kept */
    ngx_ssl_t             *ssl;          /* NULL: no TLS */
    ngx_str_t              sni;
    u_char                 key[32];

    /* the length of what is sent, and the bytes */
    size_t               (*length)(ngx_kong_log_batch_t *batch);
    u_char              *(*write)(ngx_kong_log_batch_t *batch, u_char *p);
    /* all is sent.  NGX_OK: it is delivered; NGX_AGAIN: called again when
     * there is something to read; NGX_DECLINED with send->why */
    ngx_int_t            (*answer)(ngx_kong_log_send_t *send);
} ngx_kong_log_stream_t;

#define NGX_KONG_LOG_STREAM_IN  4096

/* a batch's state */
struct ngx_kong_log_send_s {
    ngx_kong_log_batch_t  *batch;
    ngx_kong_log_stream_t *stream;
    ngx_kong_peer_t       *peer;
    ngx_int_t            (*step)(ngx_kong_log_send_t *send);
    kong_address_t         addresses[NGX_KONG_PEER_TRIES];
    ngx_uint_t             n_addresses;
    ngx_uint_t             tried;
    u_char                *pos;
    ngx_err_t              err;
    const char            *why;
    unsigned               reused:1;
    unsigned               keep:1;       /* the connection is fit to be used
                                            again */
    unsigned               head:1;       /* the answer's head is there */
    off_t                  rest;         /* of the answer's body */
    size_t                 in_len;
    u_char                 in[NGX_KONG_LOG_STREAM_IN];
    size_t                 out_len;
    u_char                 out[];
};


/* fills the stream, from the queue's pool */
ngx_int_t ngx_kong_log_stream(ngx_kong_log_queue_t *queue, ngx_str_t host,
    in_port_t port, ngx_uint_t tls, ngx_str_t sni);
/* of a sender */
void ngx_kong_log_stream_send(ngx_kong_log_batch_t *batch);
void ngx_kong_log_stream_abandon(ngx_kong_log_batch_t *batch);

#endif
