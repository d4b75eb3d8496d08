/*
 * The module's table of contents: directives, life cycle, the request's
 * context.  Every directive is described in docs/directives.md.
 */

#include "ngx_http_kong.h"
#include "http/ngx_kong_verifier.h"
#include "plugins/ngx_kong_log_queue.h"
#include "plugins/ngx_kong_plugin.h"
#include "tls/ngx_kong_tls.h"
#include "zone/ngx_kong_cache.h"
#include "zone/ngx_kong_metrics.h"

#include <sys/random.h>


typedef struct {
    ngx_str_t   name;                /* lower case */
    ngx_uint_t  mask;
} ngx_http_kong_header_name_t;


static ngx_int_t ngx_http_kong_init_module(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_kong_init_process(ngx_cycle_t *cycle);
static void ngx_http_kong_exit_process(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_kong_init(ngx_conf_t *cf);
static void *ngx_http_kong_create_main_conf(ngx_conf_t *cf);
static char *ngx_http_kong_init_main_conf(ngx_conf_t *cf, void *conf);
static void *ngx_http_kong_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_kong_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static char *ngx_http_kong_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_kong_cache_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_kong_metrics_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_kong_snapshots(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_kong_ask(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_kong_content(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_kong_trusted_ips(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_kong_port_map(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_kong_error_template(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_kong_header_names(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static void ngx_http_kong_cleanup(void *data);


static ngx_conf_enum_t  ngx_http_kong_error_types[] = {
    { ngx_string("application/json"), NGX_KONG_TYPE_JSON },
    { ngx_string("text/html"), NGX_KONG_TYPE_HTML },
    { ngx_string("application/xml"), NGX_KONG_TYPE_XML },
    { ngx_string("text/plain"), NGX_KONG_TYPE_PLAIN },
    { ngx_null_string, 0 }
};


static ngx_http_kong_header_name_t  ngx_http_kong_header_table[] = {
    { ngx_string("server_tokens"), NGX_KONG_H_SERVER|NGX_KONG_H_VIA },
    { ngx_string("latency_tokens"),
      NGX_KONG_H_PROXY_LATENCY|NGX_KONG_H_RESPONSE_LATENCY
      |NGX_KONG_H_UPSTREAM_LATENCY|NGX_KONG_H_ADMIN_LATENCY },
    { ngx_string("server"), NGX_KONG_H_SERVER },
    { ngx_string("via"), NGX_KONG_H_VIA },
    { ngx_string("x-kong-proxy-latency"), NGX_KONG_H_PROXY_LATENCY },
    { ngx_string("x-kong-response-latency"), NGX_KONG_H_RESPONSE_LATENCY },
    { ngx_string("x-kong-upstream-latency"), NGX_KONG_H_UPSTREAM_LATENCY },
    { ngx_string("x-kong-admin-latency"), NGX_KONG_H_ADMIN_LATENCY },
    { ngx_string("x-kong-request-id"), NGX_KONG_H_REQUEST_ID },
    { ngx_string("x-kong-upstream-status"), NGX_KONG_H_UPSTREAM_STATUS },
    { ngx_string("off"), 0 },
    { ngx_null_string, 0 }
};


static ngx_command_t  ngx_http_kong_commands[] = {

    { ngx_string("kong_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_kong_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("kong_cache_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_kong_cache_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("kong_metrics_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_kong_metrics_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("kong_node_id"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_kong_main_conf_t, node_id),
      NULL },

    { ngx_string("kong_snapshots"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_kong_snapshots,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("kong_ask"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_kong_ask,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("kong_syslog"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_kong_main_conf_t, syslog),
      NULL },

    { ngx_string("kong_proxy"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kong_loc_conf_t, proxy),
      NULL },

    { ngx_string("kong_control"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_kong_content,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      ngx_http_kong_control_handler },

    { ngx_string("kong_cache_admin"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_kong_content,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      ngx_http_kong_cache_handler },

    { ngx_string("kong_status"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_kong_content,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      ngx_http_kong_status_handler },

    { ngx_string("kong_metrics"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_kong_content,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      ngx_http_kong_metrics_handler },

    { ngx_string("kong_error"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_kong_content,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      ngx_http_kong_error_handler },

    { ngx_string("kong_balancer"),
      NGX_HTTP_UPS_CONF|NGX_CONF_NOARGS,
      ngx_http_kong_balancer,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("kong_panic"),
      NGX_HTTP_UPS_CONF|NGX_CONF_TAKE1,
      ngx_http_kong_percent,
      NGX_HTTP_SRV_CONF_OFFSET,
      offsetof(ngx_http_kong_srv_conf_t, panic),
      NULL },

    { ngx_string("kong_retry_budget"),
      NGX_HTTP_UPS_CONF|NGX_CONF_TAKE12,
      ngx_http_kong_percent,
      NGX_HTTP_SRV_CONF_OFFSET,
      offsetof(ngx_http_kong_srv_conf_t, retry_share),
      NULL },

    { ngx_string("kong_keepalive"),
      NGX_HTTP_UPS_CONF|NGX_CONF_TAKE123,
      ngx_http_kong_keepalive,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("kong_headers"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_kong_header_names,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kong_loc_conf_t, headers),
      NULL },

    { ngx_string("kong_headers_upstream"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_kong_header_names,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_kong_loc_conf_t, headers_upstream),
      NULL },

    { ngx_string("kong_certificates"),
      NGX_HTTP_SRV_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_SRV_CONF_OFFSET,
      offsetof(ngx_http_kong_srv_conf_t, certificates),
      NULL },

    { ngx_string("kong_trusted_certificate"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_kong_trust_certificates,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("kong_verify_depth"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_kong_trust_set_depth,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("kong_client_certificate"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE2,
      ngx_kong_trust_client,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("kong_trusted_ips"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_kong_trusted_ips,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("kong_port_map"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_kong_port_map,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("kong_error_template"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE2,
      ngx_http_kong_error_template,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("kong_error_default_type"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_kong_main_conf_t, error_default_type),
      &ngx_http_kong_error_types },

    { ngx_string("kong_debug_header"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_kong_main_conf_t, debug_header),
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_kong_module_ctx = {
    NULL,                                  /* preconfiguration */
    ngx_http_kong_init,                    /* postconfiguration */

    ngx_http_kong_create_main_conf,        /* create main configuration */
    ngx_http_kong_init_main_conf,          /* init main configuration */

    ngx_http_kong_create_srv_conf,         /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_kong_create_loc_conf,         /* create location configuration */
    ngx_http_kong_merge_loc_conf           /* merge location configuration */
};


ngx_module_t  ngx_http_kong_module = {
    NGX_MODULE_V1,
    &ngx_http_kong_module_ctx,             /* module context */
    ngx_http_kong_commands,                /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_kong_init_module,             /* init module */
    ngx_http_kong_init_process,            /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_kong_exit_process,            /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static uint64_t  ngx_http_kong_random[2];


ngx_http_kong_ctx_t *
ngx_http_kong_get_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t   *cln;
    ngx_http_kong_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);
    if (ctx != NULL) {
        return ctx;
    }

    /* an internal redirect (an error page) has dropped the contexts */

    if (r->internal || r->filter_finalize) {
        for (cln = r->pool->cleanup; cln != NULL; cln = cln->next) {
            if (cln->handler == ngx_http_kong_cleanup) {
                ngx_http_set_ctx(r, cln->data, ngx_http_kong_module);
                return cln->data;
            }
        }
    }

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_kong_ctx_t));
    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_kong_cleanup;

    ctx = cln->data;
    ngx_memzero(ctx, sizeof(ngx_http_kong_ctx_t));
    ctx->consumer = KONG_NONE;
    ngx_http_set_ctx(r, ctx, ngx_http_kong_module);

    return ctx;
}


static void
ngx_http_kong_cleanup(void *data)
{
    ngx_http_kong_ctx_t  *ctx = data;

    if (ctx->group != NULL) {
        ngx_http_kong_group_leave(ctx);
    }

    if (ctx->generation != NULL) {
        ngx_kong_generation_put(ctx->generation);
        ctx->generation = NULL;
    }
}


/* xorshift128+: ids need to be distinct, not secret */
void
ngx_http_kong_request_id(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx)
{
    uint64_t  *s, a, b, id[2];

    if (ctx->has_id) {
        return;
    }

    s = ngx_http_kong_random;

    a = s[0];
    b = s[1];
    s[0] = b;
    a ^= a << 23;
    s[1] = a ^ b ^ (a >> 18) ^ (b >> 5);

    id[0] = s[1] + b;
    id[1] = (a ^ s[1]) * 0x9e3779b97f4a7c15ULL;

    ngx_hex_dump(ctx->request_id, (u_char *) id, sizeof(id));
    ctx->has_id = 1;
}


static ngx_int_t
ngx_http_kong_init_module(ngx_cycle_t *cycle)
{
    ngx_http_kong_main_conf_t  *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_kong_module);

    if (mcf == NULL || mcf->zone == NULL || ngx_test_config) {
        return NGX_OK;
    }

    ngx_http_kong_control_close(mcf, cycle);
    ngx_kong_generation_start(mcf, cycle->log);

    return NGX_OK;
}


static ngx_int_t
ngx_http_kong_init_process(ngx_cycle_t *cycle)
{
    ngx_http_kong_main_conf_t  *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_kong_module);

    if (mcf == NULL || mcf->zone == NULL
        || (ngx_process != NGX_PROCESS_WORKER
            && ngx_process != NGX_PROCESS_SINGLE))
    {
        return NGX_OK;
    }

    if (getrandom(ngx_http_kong_random, sizeof(ngx_http_kong_random),
                  GRND_NONBLOCK)
        != (ssize_t) sizeof(ngx_http_kong_random))
    {
        ngx_http_kong_random[0] = (uint64_t) ngx_pid << 32 | ngx_time();
        ngx_http_kong_random[1] = (uint64_t) ngx_random() << 32 | ngx_random();
    }

    return ngx_kong_generation_init_worker(mcf, cycle);
}


static void
ngx_http_kong_exit_process(ngx_cycle_t *cycle)
{
    ngx_kong_log_queue_exit(cycle);
    ngx_kong_verifier_exit();
}


static ngx_int_t
ngx_http_kong_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_ACCESS_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_kong_access_handler;

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_LOG_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_kong_plugins_log_handler;

    if (ngx_http_kong_balancer_init(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_kong_control_init(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_kong_body_init(cf) != NGX_OK) {
        return NGX_ERROR;
    }

#if (NGX_HTTP_SSL)
    if (ngx_kong_sni_init(cf) != NGX_OK) {
        return NGX_ERROR;
    }
#endif

    return ngx_http_kong_headers_init(cf);
}


static void *
ngx_http_kong_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_kong_main_conf_t  *mcf;

    mcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_kong_main_conf_t));
    if (mcf == NULL) {
        return NULL;
    }

    mcf->error_default_type = NGX_CONF_UNSET_UINT;
    mcf->debug_header = NGX_CONF_UNSET;

    return mcf;
}


static char *
ngx_http_kong_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_kong_main_conf_t  *mcf = conf;

    uint8_t  id[16];

    ngx_conf_init_uint_value(mcf->error_default_type, NGX_KONG_TYPE_PLAIN);
    ngx_conf_init_value(mcf->debug_header, 0);

    if (mcf->syslog.len == 0) {
        ngx_str_set(&mcf->syslog, "/dev/log");
    }

    if (mcf->node_id.len != 0
        && kong_uuid_parse((char *) mcf->node_id.data, mcf->node_id.len, id)
           != 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"kong_node_id\" is no uuid: \"%V\"",
                           &mcf->node_id);
        return NGX_CONF_ERROR;
    }

    if (mcf->zone == NULL && mcf->snapshots.len != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"kong_snapshots\" needs \"kong_zone\" beside it");
        return NGX_CONF_ERROR;
    }

    if (mcf->zone != NULL && mcf->snapshots.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"kong_zone\" needs \"kong_snapshots\" beside it");
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static void *
ngx_http_kong_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_kong_loc_conf_t  *klcf;

    klcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_kong_loc_conf_t));
    if (klcf == NULL) {
        return NULL;
    }

    klcf->proxy = NGX_CONF_UNSET;
    klcf->headers = NGX_CONF_UNSET_UINT;
    klcf->headers_upstream = NGX_CONF_UNSET_UINT;

    return klcf;
}


static char *
ngx_http_kong_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_kong_loc_conf_t   *prev = parent;
    ngx_http_kong_loc_conf_t   *conf = child;
    ngx_http_kong_main_conf_t  *mcf;

    ngx_conf_merge_value(conf->proxy, prev->proxy, 0);
    ngx_conf_merge_uint_value(conf->headers, prev->headers,
                              NGX_KONG_H_SERVER|NGX_KONG_H_VIA
                              |NGX_KONG_H_PROXY_LATENCY
                              |NGX_KONG_H_RESPONSE_LATENCY
                              |NGX_KONG_H_UPSTREAM_LATENCY
                              |NGX_KONG_H_ADMIN_LATENCY
                              |NGX_KONG_H_REQUEST_ID);
    ngx_conf_merge_uint_value(conf->headers_upstream, prev->headers_upstream,
                              NGX_KONG_H_REQUEST_ID);

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_kong_module);

    if (conf->proxy && mcf->zone == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"kong_proxy\" needs \"kong_zone\" and "
                           "\"kong_snapshots\" in the http block");
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_kong_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kong_main_conf_t  *mcf = conf;

    ssize_t     size;
    ngx_str_t  *value;

    if (mcf->zone != NULL) {
        return "is duplicate";
    }

    value = cf->args->elts;

    size = ngx_parse_size(&value[1]);
    if (size == NGX_ERROR) {
        return "needs a size such as 16m";
    }

    if (size < (ssize_t) (32 * ngx_pagesize)) {
        return "is too small: 128k at least";
    }

    mcf->zone = ngx_kong_zone_add(cf, size, &ngx_http_kong_module);

    return mcf->zone == NULL ? NGX_CONF_ERROR : NGX_CONF_OK;
}


static char *
ngx_http_kong_cache_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kong_main_conf_t  *mcf = conf;

    ssize_t     size;
    ngx_str_t  *value;

    if (mcf->cache != NULL) {
        return "is duplicate";
    }

    value = cf->args->elts;

    size = ngx_parse_size(&value[1]);
    if (size == NGX_ERROR) {
        return "needs a size such as 128m";
    }

    if (size < (ssize_t) (32 * ngx_pagesize)) {
        return "is too small: 128k at least";
    }

    mcf->cache = ngx_kong_cache_add(cf, size, &ngx_http_kong_module);

    return mcf->cache == NULL ? NGX_CONF_ERROR : NGX_CONF_OK;
}


static char *
ngx_http_kong_metrics_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kong_main_conf_t  *mcf = conf;

    ssize_t     size;
    ngx_str_t  *value;

    if (mcf->metrics != NULL) {
        return "is duplicate";
    }

    value = cf->args->elts;

    size = ngx_parse_size(&value[1]);
    if (size == NGX_ERROR) {
        return "needs a size such as 32m";
    }

    if (size < (ssize_t) (32 * ngx_pagesize)) {
        return "is too small: 128k at least";
    }

    mcf->metrics = ngx_kong_metrics_add(cf, size, &ngx_http_kong_module);

    return mcf->metrics == NULL ? NGX_CONF_ERROR : NGX_CONF_OK;
}


static char *
ngx_http_kong_snapshots(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kong_main_conf_t  *mcf = conf;

    ngx_str_t  *value;

    if (mcf->snapshots.len != 0) {
        return "is duplicate";
    }

    value = cf->args->elts;
    mcf->snapshots = value[1];

    if (mcf->snapshots.len > 1
        && mcf->snapshots.data[mcf->snapshots.len - 1] == '/')
    {
        mcf->snapshots.data[--mcf->snapshots.len] = '\0';
    }

    if (ngx_conf_full_name(cf->cycle, &mcf->snapshots, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* where the daemon answers for the database: plugins/ngx_kong_ask.h */
static char *
ngx_http_kong_ask(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kong_main_conf_t  *mcf = conf;

    ngx_str_t           *value;
    struct sockaddr_un   sun;

    if (mcf->ask.len != 0) {
        return "is duplicate";
    }

    value = cf->args->elts;
    mcf->ask = value[1];

    if (ngx_conf_full_name(cf->cycle, &mcf->ask, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return mcf->ask.len < sizeof(sun.sun_path) ? NGX_CONF_OK : "is too long";
}


static char *
ngx_http_kong_content(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_core_loc_conf_t   *clcf;
    ngx_http_kong_srv_conf_t   *kscf;
    ngx_http_kong_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_kong_module);

    if (mcf->zone == NULL && cmd->post != ngx_http_kong_error_handler) {
        return "needs \"kong_zone\" before it in the http block";
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = (ngx_http_handler_pt) cmd->post;

    if (cmd->post == ngx_http_kong_control_handler) {
        kscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_kong_module);
        kscf->control = 1;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_kong_trusted_ips(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kong_main_conf_t  *mcf = conf;

    ngx_int_t    rc;
    ngx_str_t   *value;
    ngx_uint_t   i;
    ngx_cidr_t  *cidr;

    if (mcf->trusted == NULL) {
        mcf->trusted = ngx_array_create(cf->pool, 4, sizeof(ngx_cidr_t));
        if (mcf->trusted == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        cidr = ngx_array_push(mcf->trusted);
        if (cidr == NULL) {
            return NGX_CONF_ERROR;
        }

        if (ngx_strcmp(value[i].data, "unix:") == 0) {
            ngx_memzero(cidr, sizeof(ngx_cidr_t));
            cidr->family = AF_UNIX;
            continue;
        }

        rc = ngx_ptocidr(&value[i], cidr);

        if (rc == NGX_ERROR) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" is no address or range", &value[i]);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_kong_port_map(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kong_main_conf_t  *mcf = conf;

    u_char                    *colon, *last;
    ngx_int_t                  public, internal;
    ngx_str_t                 *value;
    ngx_uint_t                 i;
    ngx_http_kong_port_map_t  *map;

    if (mcf->port_map == NULL) {
        mcf->port_map = ngx_array_create(cf->pool, 4,
                                         sizeof(ngx_http_kong_port_map_t));
        if (mcf->port_map == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        last = value[i].data + value[i].len;
        colon = ngx_strlchr(value[i].data, last, ':');
        public = NGX_ERROR;
        internal = NGX_ERROR;

        if (colon != NULL) {
            public = ngx_atoi(value[i].data, colon - value[i].data);
            internal = ngx_atoi(colon + 1, last - colon - 1);
        }

        if (public < 1 || public > 65535 || internal < 1 || internal > 65535) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" is not of the form public:internal",
                               &value[i]);
            return NGX_CONF_ERROR;
        }

        map = ngx_array_push(mcf->port_map);
        if (map == NULL) {
            return NGX_CONF_ERROR;
        }

        map->public = (in_port_t) public;
        map->internal = (in_port_t) internal;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_kong_error_template(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    if (ngx_http_kong_error_load_template(cf, conf, &value[1], &value[2])
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_kong_header_names(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    ngx_str_t                    *value;
    ngx_uint_t                    i, *mask;
    ngx_http_kong_header_name_t  *name;

    mask = (ngx_uint_t *) (p + cmd->offset);

    if (*mask != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    *mask = 0;
    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        for (name = ngx_http_kong_header_table; name->name.len; name++) {
            if (value[i].len == name->name.len
                && ngx_strncasecmp(value[i].data, name->name.data,
                                   name->name.len) == 0)
            {
                break;
            }
        }

        if (name->name.len == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" is no header that can be chosen",
                               &value[i]);
            return NGX_CONF_ERROR;
        }

        *mask |= name->mask;
    }

    return NGX_CONF_OK;
}
