/*
 * syslog: records to this machine's syslog, as syslog(3) would write them.
 */

#include "ngx_kong_log_custom.h"
#include "ngx_kong_log_datagram.h"
#include "ngx_kong_log_record.h"


typedef struct {
    ngx_kong_log_queue_t       *queue;
    ngx_kong_log_custom_t      *custom;
    ngx_kong_log_severities_t   severities;
    ngx_uint_t                  facility;
} syslog_conf_t;

typedef struct {
    ngx_str_t   name;
    ngx_uint_t  number;
} syslog_facility_t;


static void *syslog_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool);
static void syslog_log(ngx_http_request_t *r, ngx_kong_run_t *run);
static ngx_int_t syslog_queue(ngx_kong_log_queue_t *queue,
    ngx_kong_instance_t *in);
static ngx_uint_t syslog_facility(ngx_kong_instance_t *in);


static const syslog_facility_t  syslog_facilities[] = {
    { ngx_string("kern"), 0 },
    { ngx_string("user"), 1 },
    { ngx_string("mail"), 2 },
    { ngx_string("daemon"), 3 },
    { ngx_string("auth"), 4 },
    { ngx_string("syslog"), 5 },
    { ngx_string("lpr"), 6 },
    { ngx_string("news"), 7 },
    { ngx_string("uucp"), 8 },
    { ngx_string("cron"), 9 },
    { ngx_string("authpriv"), 10 },
    { ngx_string("ftp"), 11 },
    { ngx_string("local0"), 16 },
    { ngx_string("local1"), 17 },
    { ngx_string("local2"), 18 },
    { ngx_string("local3"), 19 },
    { ngx_string("local4"), 20 },
    { ngx_string("local5"), 21 },
    { ngx_string("local6"), 22 },
    { ngx_string("local7"), 23 },
    { ngx_null_string, 1 }
};

static const ngx_kong_log_sender_t  syslog_sender = {
    .name = "syslog",
    .prepare = syslog_queue,
    .send = ngx_kong_log_datagram_send,
    .close = ngx_kong_log_datagram_close
};


const ngx_kong_plugin_t  ngx_kong_syslog = {
    .name = ngx_string("syslog"),
    .prepare = syslog_prepare,
    .log = syslog_log
};


static void *
syslog_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool)
{
    syslog_conf_t  *conf;

    conf = ngx_pcalloc(pool, sizeof(syslog_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    conf->facility = syslog_facility(in);
    ngx_kong_log_severities(in, &conf->severities);
    conf->queue = ngx_kong_log_queue(in, pool, &syslog_sender);

    if (conf->queue == NULL
        || ngx_kong_log_custom(in, pool, &conf->custom) != NGX_OK)
    {
        return NULL;
    }

    return conf;
}


static ngx_uint_t
syslog_facility(ngx_kong_instance_t *in)
{
    ngx_str_t                 name;
    const syslog_facility_t  *f;

    name = ngx_kong_conf_str(in, "facility");

    for (f = syslog_facilities; f->name.len != 0; f++) {
        if (name.len == f->name.len
            && ngx_memcmp(name.data, f->name.data, name.len) == 0)
        {
            break;
        }
    }

    return f->number;
}


static ngx_int_t
syslog_queue(ngx_kong_log_queue_t *queue, ngx_kong_instance_t *in)
{
    ngx_http_kong_main_conf_t  *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                              ngx_http_kong_module);

    queue->conf = ngx_pcalloc(queue->pool, sizeof(ngx_kong_log_datagram_t));

    return queue->conf ? ngx_kong_log_datagram_unix(queue, in, &mcf->syslog)
                       : NGX_ERROR;
}


static void
syslog_log(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    u_char         *p;
    ngx_int_t       severity;
    ngx_str_t       record, entry;
    syslog_conf_t  *conf;

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

    p = ngx_kong_log_json_room(&text, sizeof("<191>Jan 01 00:00:00 kong[]: ")
                                      + NGX_INT64_LEN);
    if (p == NULL) {
        return;
    }

    text.len = ngx_sprintf(p, "<%ui>%V kong[%P]: ",
                           conf->facility * 8 + (ngx_uint_t) severity,
                           &ngx_cached_syslog_time, ngx_pid)
               - p;
    ngx_kong_log_json_raw(&text, record.data, record.len);

    if (!text.failed) {
        entry.data = text.data;
        entry.len = text.len;
        ngx_kong_log_queue_add(conf->queue, &entry);
    }
}
