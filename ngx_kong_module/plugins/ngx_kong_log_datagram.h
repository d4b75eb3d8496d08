/*
 * Entries as datagrams, one each, over UDP or to a socket of this machine.
 * What the network does with them nobody knows; what this machine does not
 * take is tried again.
 */

#ifndef NGX_KONG_LOG_DATAGRAM_H
#define NGX_KONG_LOG_DATAGRAM_H

#include "ngx_kong_log_json.h"
#include "ngx_kong_log_queue.h"


/* a queue's conf begins with it; its fd is to be -1 */
typedef struct {
    ngx_kong_peer_host_t   host;         /* without a path */
    in_port_t              port;
    ngx_str_t              path;         /* of a socket; NUL-ended */
    ngx_socket_t           fd;
    kong_address_t         address;      /* that it is connected to */
} ngx_kong_log_datagram_t;

/* limits, and where to */
ngx_int_t ngx_kong_log_datagram_udp(ngx_kong_log_queue_t *queue,
    ngx_kong_instance_t *in);
ngx_int_t ngx_kong_log_datagram_unix(ngx_kong_log_queue_t *queue,
    ngx_kong_instance_t *in, ngx_str_t *path);
/* of a sender */
void ngx_kong_log_datagram_send(ngx_kong_log_batch_t *batch);
void ngx_kong_log_datagram_close(ngx_kong_log_queue_t *queue);


/* which syslog severity a status has; ngx_kong_log_severity.c */
typedef struct {
    ngx_uint_t             level;        /* what is above it is not sent */
    ngx_uint_t             success;
    ngx_uint_t             client;
    ngx_uint_t             server;
} ngx_kong_log_severities_t;

void ngx_kong_log_severities(ngx_kong_instance_t *in,
    ngx_kong_log_severities_t *s);
/* NGX_DECLINED: it is not to be sent */
ngx_int_t ngx_kong_log_severity(const ngx_kong_log_severities_t *s,
    ngx_uint_t status);

#endif
