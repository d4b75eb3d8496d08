/*
 * config.log_level and the severities of syslog and loggly.
 */

#include "ngx_kong_log_datagram.h"


static ngx_uint_t ngx_kong_log_severity_of(ngx_kong_instance_t *in,
    const char *name);


/* in the order of their numbers */
static ngx_str_t  ngx_kong_log_severity_names[] = {
    ngx_string("emerg"),
    ngx_string("alert"),
    ngx_string("crit"),
    ngx_string("err"),
    ngx_string("warning"),
    ngx_string("notice"),
    ngx_string("info"),
    ngx_string("debug"),
    ngx_null_string
};

#define NGX_KONG_LOG_INFO  6


void
ngx_kong_log_severities(ngx_kong_instance_t *in, ngx_kong_log_severities_t *s)
{
    s->level = ngx_kong_log_severity_of(in, "log_level");
    s->success = ngx_kong_log_severity_of(in, "successful_severity");
    s->client = ngx_kong_log_severity_of(in, "client_errors_severity");
    s->server = ngx_kong_log_severity_of(in, "server_errors_severity");
}


static ngx_uint_t
ngx_kong_log_severity_of(ngx_kong_instance_t *in, const char *name)
{
    ngx_str_t   value;
    ngx_uint_t  i;

    value = ngx_kong_conf_str(in, name);

    for (i = 0; ngx_kong_log_severity_names[i].len != 0; i++) {
        if (value.len == ngx_kong_log_severity_names[i].len
            && ngx_memcmp(value.data, ngx_kong_log_severity_names[i].data,
                          value.len)
               == 0)
        {
            return i;
        }
    }

    return NGX_KONG_LOG_INFO;
}


ngx_int_t
ngx_kong_log_severity(const ngx_kong_log_severities_t *s, ngx_uint_t status)
{
    ngx_uint_t  n;

    n = status >= 500 ? s->server : status >= 400 ? s->client : s->success;

    return n > s->level ? NGX_DECLINED : (ngx_int_t) n;
}
