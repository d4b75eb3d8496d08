/*
 * tcp-log: records as lines over TCP, or TLS.  Kong sends each on its own; a
 * queue with Kong's defaults is between, so that a server that is away for a
 * while loses none.
 */

#include "ngx_kong_log_custom.h"
#include "ngx_kong_log_record.h"
#include "ngx_kong_log_stream.h"


#define TCP_LOG_BATCH  100

typedef struct {
    ngx_kong_log_queue_t   *queue;
    ngx_kong_log_custom_t  *custom;
} tcp_log_conf_t;


static void *tcp_log_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool);
static void tcp_log_log(ngx_http_request_t *r, ngx_kong_run_t *run);
static ngx_int_t tcp_log_queue(ngx_kong_log_queue_t *queue,
    ngx_kong_instance_t *in);
static size_t tcp_log_length(ngx_kong_log_batch_t *batch);
static u_char *tcp_log_write(ngx_kong_log_batch_t *batch, u_char *p);


static const ngx_kong_log_sender_t  tcp_log_sender = {
    .name = "tcp-log",
    .prepare = tcp_log_queue,
    .send = ngx_kong_log_stream_send,
    .abandon = ngx_kong_log_stream_abandon
};


const ngx_kong_plugin_t  ngx_kong_tcp_log = {
    .name = ngx_string("tcp-log"),
    .prepare = tcp_log_prepare,
    .log = tcp_log_log
};


static void *
tcp_log_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool)
{
    tcp_log_conf_t  *conf;

    conf = ngx_pcalloc(pool, sizeof(tcp_log_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    conf->queue = ngx_kong_log_queue(in, pool, &tcp_log_sender);

    if (conf->queue == NULL
        || ngx_kong_log_custom(in, pool, &conf->custom) != NGX_OK)
    {
        return NULL;
    }

    return conf;
}


static void
tcp_log_log(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    ngx_str_t        record;
    tcp_log_conf_t  *conf;

    conf = run->instance->conf;

    ngx_kong_log_custom_run(r, conf->custom);

    if (ngx_kong_log_record(r, &record) == NGX_OK) {
        ngx_kong_log_queue_add(conf->queue, &record);
    }
}


static ngx_int_t
tcp_log_queue(ngx_kong_log_queue_t *queue, ngx_kong_instance_t *in)
{
    ngx_str_t               host;
    ngx_kong_log_stream_t  *stream;

    stream = ngx_pcalloc(queue->pool, sizeof(ngx_kong_log_stream_t));
    if (stream == NULL) {
        return NGX_ERROR;
    }

    queue->conf = stream;
    ngx_kong_log_queue_limits(queue, in);
    queue->max_batch = TCP_LOG_BATCH;
    queue->coalescing = 0;

    stream->timeout = (ngx_msec_t) ngx_max(ngx_kong_conf_num(in, "timeout",
                                                             10000), 1);
    stream->keepalive = (ngx_msec_t) ngx_max(ngx_kong_conf_num(in,
                                                               "keepalive",
                                                               60000), 0);
    stream->length = tcp_log_length;
    stream->write = tcp_log_write;

    host = ngx_kong_conf_str(in, "host");

    if (ngx_kong_log_queue_str(queue, host, &queue->to) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_kong_log_stream(queue, host,
                               (in_port_t) ngx_kong_conf_num(in, "port", 0),
                               ngx_kong_conf_flag(in, "tls"),
                               ngx_kong_conf_str(in, "tls_sni"));
}


static size_t
tcp_log_length(ngx_kong_log_batch_t *batch)
{
    return batch->bytes + batch->n;
}


static u_char *
tcp_log_write(ngx_kong_log_batch_t *batch, u_char *p)
{
    ngx_queue_t           *q;
    ngx_kong_log_entry_t  *e;

    for (q = ngx_queue_head(&batch->entries);
         q != ngx_queue_sentinel(&batch->entries);
         q = ngx_queue_next(q))
    {
        e = ngx_queue_data(q, ngx_kong_log_entry_t, queue);
        p = ngx_cpymem(p, e->data, e->len);
        *p++ = '\n';
    }

    return p;
}
