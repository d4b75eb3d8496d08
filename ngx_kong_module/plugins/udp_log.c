/*
 * udp-log: a datagram a record.
 */

#include "ngx_kong_log_custom.h"
#include "ngx_kong_log_datagram.h"
#include "ngx_kong_log_record.h"


typedef struct {
    ngx_kong_log_queue_t   *queue;
    ngx_kong_log_custom_t  *custom;
} udp_log_conf_t;


static void *udp_log_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool);
static void udp_log_log(ngx_http_request_t *r, ngx_kong_run_t *run);
static ngx_int_t udp_log_queue(ngx_kong_log_queue_t *queue,
    ngx_kong_instance_t *in);


static const ngx_kong_log_sender_t  udp_log_sender = {
    .name = "udp-log",
    .prepare = udp_log_queue,
    .send = ngx_kong_log_datagram_send,
    .close = ngx_kong_log_datagram_close
};


const ngx_kong_plugin_t  ngx_kong_udp_log = {
    .name = ngx_string("udp-log"),
    .prepare = udp_log_prepare,
    .log = udp_log_log
};


static void *
udp_log_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool)
{
    udp_log_conf_t  *conf;

    conf = ngx_pcalloc(pool, sizeof(udp_log_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    conf->queue = ngx_kong_log_queue(in, pool, &udp_log_sender);

    if (conf->queue == NULL
        || ngx_kong_log_custom(in, pool, &conf->custom) != NGX_OK)
    {
        return NULL;
    }

    return conf;
}


static void
udp_log_log(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    ngx_str_t        record;
    udp_log_conf_t  *conf;

    conf = run->instance->conf;

    ngx_kong_log_custom_run(r, conf->custom);

    if (ngx_kong_log_record(r, &record) == NGX_OK) {
        ngx_kong_log_queue_add(conf->queue, &record);
    }
}


/* config.timeout is that of sending, which never waits */
static ngx_int_t
udp_log_queue(ngx_kong_log_queue_t *queue, ngx_kong_instance_t *in)
{
    queue->conf = ngx_pcalloc(queue->pool, sizeof(ngx_kong_log_datagram_t));

    return queue->conf ? ngx_kong_log_datagram_udp(queue, in) : NGX_ERROR;
}
