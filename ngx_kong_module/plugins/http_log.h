/*
 * http-log: http_log.c is the plugin and the requests that it makes,
 * http_log_answer.c reads their answers.
 */

#ifndef HTTP_LOG_H
#define HTTP_LOG_H

#include "ngx_kong_log_custom.h"
#include "ngx_kong_log_record.h"
#include "ngx_kong_log_stream.h"


/* a queue's conf */
typedef struct {
    ngx_kong_log_stream_t  stream;       /* first */
    ngx_str_t              head;         /* up to the body's length */
    ngx_uint_t             list;         /* bodies are arrays */
} http_log_queue_t;

/* of an endpoint; points into it */
typedef struct {
    ngx_str_t              user;
    ngx_str_t              authority;
    ngx_str_t              host;
    ngx_str_t              uri;
    ngx_str_t              none;
    in_port_t              port;
    ngx_uint_t             tls;
} http_log_url_t;


/* of a stream */
ngx_int_t http_log_answer(ngx_kong_log_send_t *send);

#endif
