/*
 * correlation-id: a header that names the request, made unless the client
 * sent one, and given back to it on request.
 */

#include "ngx_kong_plugin.h"

#include <openssl/rand.h>


#define CORRELATION_ID_UUID_LEN  36      /* kong_uuid_text() adds a NUL */

typedef enum {
    CORRELATION_ID_UUID = 0,
    CORRELATION_ID_COUNTER,
    CORRELATION_ID_TRACKER
} correlation_id_generator_t;

typedef struct {
    ngx_str_t                   name;
    ngx_str_t                   lower;
    correlation_id_generator_t  generator;
    ngx_flag_t                  echo;
} correlation_id_conf_t;


static void *correlation_id_prepare(ngx_kong_instance_t *in,
    ngx_pool_t *pool);
static ngx_int_t correlation_id_access(ngx_http_request_t *r,
    ngx_kong_run_t *run);
static ngx_int_t correlation_id_header_filter(ngx_http_request_t *r,
    ngx_kong_run_t *run);
static ngx_int_t correlation_id_make(ngx_http_request_t *r,
    correlation_id_conf_t *conf, ngx_str_t *id);
static ngx_int_t correlation_id_uuid(u_char *p);
static ngx_int_t correlation_id_tracker(ngx_http_request_t *r,
    ngx_str_t *id);


const ngx_kong_plugin_t  ngx_kong_correlation_id = {
    .name = ngx_string("correlation-id"),
    .prepare = correlation_id_prepare,
    .access = correlation_id_access,
    .header_filter = correlation_id_header_filter
};

/* of this worker, made when first needed */
static u_char    correlation_id_worker[CORRELATION_ID_UUID_LEN + 1];
static uint64_t  correlation_id_counter;


static void *
correlation_id_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool)
{
    ngx_str_t               generator;
    correlation_id_conf_t  *conf;

    conf = ngx_pcalloc(pool, sizeof(correlation_id_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    conf->name = ngx_kong_conf_str(in, "header_name");
    conf->echo = ngx_kong_conf_flag(in, "echo_downstream");

    conf->lower.len = conf->name.len;
    conf->lower.data = ngx_pnalloc(pool, conf->name.len + 1);
    if (conf->lower.data == NULL) {
        return NULL;
    }

    ngx_strlow(conf->lower.data, conf->name.data, conf->name.len);

    generator = ngx_kong_conf_str(in, "generator");

    if (generator.len == sizeof("uuid") - 1) {
        conf->generator = CORRELATION_ID_UUID;

    } else if (generator.len == sizeof("tracker") - 1) {
        conf->generator = CORRELATION_ID_TRACKER;

    } else {
        conf->generator = CORRELATION_ID_COUNTER;
    }

    return conf;
}


static ngx_int_t
correlation_id_access(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    ngx_str_t              *id;
    ngx_table_elt_t        *h;
    ngx_http_kong_ctx_t    *ctx;
    correlation_id_conf_t  *conf;

    conf = run->instance->conf;

    if (conf->name.len == 0) {
        return NGX_OK;
    }

    id = ngx_palloc(r->pool, sizeof(ngx_str_t));
    if (id == NULL) {
        return NGX_ERROR;
    }

    h = ngx_kong_header_in(r, (char *) conf->lower.data, conf->lower.len);

    if (h != NULL && h->value.len != 0) {
        *id = h->value;

    } else if (correlation_id_make(r, conf, id) != NGX_OK
               || ngx_kong_header_in_set(r, &conf->name, id) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    ctx->correlation_id = *id;
    run->state = id;

    return NGX_OK;
}


/* an earlier plugin may have answered: then there is no id yet */
static ngx_int_t
correlation_id_header_filter(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    ngx_str_t               id;
    ngx_table_elt_t        *h;
    correlation_id_conf_t  *conf;

    conf = run->instance->conf;

    if (!conf->echo || conf->name.len == 0) {
        return NGX_OK;
    }

    ngx_str_null(&id);

    if (run->state != NULL) {
        id = *(ngx_str_t *) run->state;

    } else {
        h = ngx_kong_header_in(r, (char *) conf->lower.data,
                               conf->lower.len);
        if (h != NULL) {
            id = h->value;
        }
    }

    if (id.len == 0 && correlation_id_make(r, conf, &id) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_kong_header_out_set(r, &conf->name, &id);
}


static ngx_int_t
correlation_id_make(ngx_http_request_t *r, correlation_id_conf_t *conf,
    ngx_str_t *id)
{
    u_char  *p;

    if (conf->generator == CORRELATION_ID_TRACKER) {
        return correlation_id_tracker(r, id);
    }

    p = ngx_pnalloc(r->pool, CORRELATION_ID_UUID_LEN + 1 + NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    id->data = p;

    if (conf->generator == CORRELATION_ID_UUID) {
        id->len = CORRELATION_ID_UUID_LEN;
        return correlation_id_uuid(p);
    }

    if (correlation_id_counter == 0
        && correlation_id_uuid(correlation_id_worker) != NGX_OK)
    {
        return NGX_ERROR;
    }

    p = ngx_cpymem(p, correlation_id_worker, CORRELATION_ID_UUID_LEN);
    *p++ = '#';
    p = ngx_http_kong_number(p, ++correlation_id_counter);

    id->len = p - id->data;

    return NGX_OK;
}


static ngx_int_t
correlation_id_uuid(u_char *p)
{
    u_char  b[16];

    if (RAND_bytes(b, sizeof(b)) != 1) {
        return NGX_ERROR;
    }

    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;

    kong_uuid_text(b, (char *) p);

    return NGX_OK;
}


/* address, port, process, connection, its requests, time */
static ngx_int_t
correlation_id_tracker(ngx_http_request_t *r, ngx_str_t *id)
{
    u_char            *p;
    ngx_str_t          addr;
    ngx_time_t        *tp;
    ngx_connection_t  *c;
    u_char             text[NGX_SOCKADDR_STRLEN];

    c = r->connection;

    addr.data = text;
    addr.len = NGX_SOCKADDR_STRLEN;

    if (ngx_connection_local_sockaddr(c, &addr, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    p = ngx_pnalloc(r->pool, addr.len + 5 * (NGX_INT64_LEN + 1)
                             + sizeof(".000"));
    if (p == NULL) {
        return NGX_ERROR;
    }

    tp = ngx_timeofday();

    id->data = p;
    id->len = ngx_sprintf(p, "%V-%ui-%P-%uA-%ui-%T.%03M", &addr,
                          (ngx_uint_t) ngx_inet_get_port(c->local_sockaddr),
                          ngx_pid, c->number, c->requests, tp->sec,
                          tp->msec)
              - p;

    return NGX_OK;
}
