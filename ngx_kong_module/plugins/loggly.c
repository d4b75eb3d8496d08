/*
 * loggly: records to Loggly, as syslog messages (RFC 5424) over UDP whose
 * structured data has the customer's token and tags.
 */

#include "ngx_kong_log_custom.h"
#include "ngx_kong_log_datagram.h"
#include "ngx_kong_log_record.h"


#define LOGGLY_FACILITY  1               /* user */

typedef struct {
    ngx_kong_log_queue_t       *queue;
    ngx_kong_log_custom_t      *custom;
    ngx_kong_log_severities_t   severities;
    ngx_str_t                   data;    /* [TOKEN@41058 tag="..."] */
} loggly_conf_t;


static void *loggly_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool);
static ngx_int_t loggly_data(ngx_kong_instance_t *in, ngx_pool_t *pool,
    ngx_str_t *data);
static u_char *loggly_text(u_char *p, ngx_str_t *s);
static void loggly_log(ngx_http_request_t *r, ngx_kong_run_t *run);
static ngx_int_t loggly_queue(ngx_kong_log_queue_t *queue,
    ngx_kong_instance_t *in);


static const ngx_kong_log_sender_t  loggly_sender = {
    .name = "loggly",
    .prepare = loggly_queue,
    .send = ngx_kong_log_datagram_send,
    .close = ngx_kong_log_datagram_close
};


const ngx_kong_plugin_t  ngx_kong_loggly = {
    .name = ngx_string("loggly"),
    .prepare = loggly_prepare,
    .log = loggly_log
};


static void *
loggly_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool)
{
    loggly_conf_t  *conf;

    conf = ngx_pcalloc(pool, sizeof(loggly_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    ngx_kong_log_severities(in, &conf->severities);
    conf->queue = ngx_kong_log_queue(in, pool, &loggly_sender);

    if (conf->queue == NULL
        || loggly_data(in, pool, &conf->data) != NGX_OK
        || ngx_kong_log_custom(in, pool, &conf->custom) != NGX_OK)
    {
        return NULL;
    }

    return conf;
}


static ngx_int_t
loggly_data(ngx_kong_instance_t *in, ngx_pool_t *pool, ngx_str_t *data)
{
    u_char      *p;
    size_t       len;
    ngx_str_t    key, *tags;
    ngx_uint_t   i, n;

    key = ngx_kong_conf_str(in, "key");
    tags = ngx_kong_conf_strs(in, "tags", pool, &n);

    len = sizeof("[@41058]") + 2 * key.len;

    for (i = 0; i < n; i++) {
        len += sizeof(" tag=\"\"") + 2 * tags[i].len;
    }

    p = ngx_pnalloc(pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    data->data = p;
    *p++ = '[';
    p = loggly_text(p, &key);
    p = ngx_cpymem(p, "@41058", 6);

    for (i = 0; i < n; i++) {
        p = ngx_cpymem(p, " tag=\"", 6);
        p = loggly_text(p, &tags[i]);
        *p++ = '"';
    }

    *p++ = ']';
    data->len = p - data->data;

    return NGX_OK;
}


/* RFC 5424, 6.3.3 */
static u_char *
loggly_text(u_char *p, ngx_str_t *s)
{
    size_t  i;

    for (i = 0; i < s->len; i++) {
        if (s->data[i] == '"' || s->data[i] == '\\' || s->data[i] == ']') {
            *p++ = '\\';
        }

        *p++ = s->data[i];
    }

    return p;
}


static ngx_int_t
loggly_queue(ngx_kong_log_queue_t *queue, ngx_kong_instance_t *in)
{
    queue->conf = ngx_pcalloc(queue->pool, sizeof(ngx_kong_log_datagram_t));

    return queue->conf ? ngx_kong_log_datagram_udp(queue, in) : NGX_ERROR;
}


static void
loggly_log(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    u_char         *p;
    ngx_tm_t        tm;
    ngx_int_t       severity;
    ngx_str_t       record, entry;
    loggly_conf_t  *conf;

    static ngx_kong_log_json_t  text;

    conf = run->instance->conf;
    severity = ngx_kong_log_severity(&conf->severities,
                                     ngx_http_kong_status(r));

    ngx_kong_log_custom_run(r, conf->custom);

    if (severity == NGX_DECLINED || ngx_kong_log_record(r, &record) != NGX_OK)
    {
        return;
    }

    ngx_kong_log_json_clear(&text);

    p = ngx_kong_log_json_room(&text,
                               sizeof("<191>1 0000-00-00T00:00:00Z  kong  - ")
                               + ngx_cycle->hostname.len + NGX_INT64_LEN);
    if (p == NULL) {
        return;
    }

    ngx_gmtime(ngx_time(), &tm);
    text.len = ngx_sprintf(p, "<%ui>1 %4d-%02d-%02dT%02d:%02d:%02dZ %V kong "
                           "%P - ",
                           LOGGLY_FACILITY * 8 + (ngx_uint_t) severity,
                           tm.ngx_tm_year, tm.ngx_tm_mon, tm.ngx_tm_mday,
                           tm.ngx_tm_hour, tm.ngx_tm_min, tm.ngx_tm_sec,
                           &ngx_cycle->hostname, ngx_pid)
               - p;
    ngx_kong_log_json_raw(&text, conf->data.data, conf->data.len);
    ngx_kong_log_json_put(&text, " ");
    ngx_kong_log_json_raw(&text, record.data, record.len);

    if (!text.failed) {
        entry.data = text.data;
        entry.len = text.len;
        ngx_kong_log_queue_add(conf->queue, &entry);
    }
}
