/*
 * proxy-cache, strategy memory: answers in the zone `kong_cache`.  The key
 * shown is Kong's; what it does not tell apart but must (who asks, the exact
 * arguments, the headers an answer varies on) is compared besides.
 *
 * What is kept are the upstream's own headers: those that other plugins add
 * are made anew for every answer.
 */

#include "proxy_cache.h"


/* times in the zone have 32 bits */
#define PROXY_CACHE_TTL_MAX  0x3fffffff


static void *proxy_cache_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool);
static time_t proxy_cache_seconds(ngx_kong_instance_t *in, const char *name,
    double missing);
static ngx_int_t proxy_cache_prepare_lists(ngx_kong_instance_t *in,
    ngx_pool_t *pool, proxy_cache_conf_t *conf);
static ngx_int_t proxy_cache_access(ngx_http_request_t *r,
    ngx_kong_run_t *run);
static ngx_int_t proxy_cache_look(ngx_http_request_t *r,
    proxy_cache_conf_t *conf, proxy_cache_state_t *state,
    kong_cache_control_t *cc);
static ngx_int_t proxy_cache_header_filter(ngx_http_request_t *r,
    ngx_kong_run_t *run);
static ngx_int_t proxy_cache_body_filter(ngx_http_request_t *r,
    ngx_kong_run_t *run, ngx_chain_t **in);


const ngx_kong_plugin_t  ngx_kong_proxy_cache = {
    .name = ngx_string("proxy-cache"),
    .prepare = proxy_cache_prepare,
    .access = proxy_cache_access,
    .header_filter = proxy_cache_header_filter,
    .body_filter = proxy_cache_body_filter
};


static const struct {
    ngx_str_t   name;
    ngx_uint_t  method;
} proxy_cache_methods[] = {
    { ngx_string("GET"), NGX_HTTP_GET },
    { ngx_string("HEAD"), NGX_HTTP_HEAD },
    { ngx_string("POST"), NGX_HTTP_POST },
    { ngx_string("PATCH"), NGX_HTTP_PATCH },
    { ngx_string("PUT"), NGX_HTTP_PUT },
    { ngx_null_string, 0 }
};


static void *
proxy_cache_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool)
{
    proxy_cache_conf_t         *conf;
    ngx_http_kong_main_conf_t  *mcf;

    conf = ngx_pcalloc(pool, sizeof(proxy_cache_conf_t));
    mcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                              ngx_http_kong_module);

    if (conf == NULL || mcf == NULL) {
        return NULL;
    }

    conf->zone = mcf->cache;

    if (conf->zone == NULL) {
        ngx_log_error(NGX_LOG_ERR, pool->log, 0,
                      "proxy-cache needs \"kong_cache_zone\" in nginx.conf");
        return NULL;
    }

    conf->ttl = proxy_cache_seconds(in, "cache_ttl", 300);
    conf->storage_ttl = proxy_cache_seconds(in, "storage_ttl", 0);
    conf->cache_control = ngx_kong_conf_flag(in, "cache_control");
    conf->ignore_case = ngx_kong_conf_flag(in, "ignore_uri_case");
    conf->show_age = ngx_kong_conf_flag(in, "response_headers.age");
    conf->show_status = ngx_kong_conf_flag(in,
                                           "response_headers.X-Cache-Status");
    conf->show_key = ngx_kong_conf_flag(in, "response_headers.X-Cache-Key");

    return proxy_cache_prepare_lists(in, pool, conf) == NGX_OK ? conf : NULL;
}


static time_t
proxy_cache_seconds(ngx_kong_instance_t *in, const char *name, double missing)
{
    double  n;

    n = ngx_kong_conf_num(in, name, missing);

    if (!(n > 0)) {
        return 0;
    }

    return (time_t) ngx_min(n, PROXY_CACHE_TTL_MAX);
}


static ngx_int_t
proxy_cache_prepare_lists(ngx_kong_instance_t *in, ngx_pool_t *pool,
    proxy_cache_conf_t *conf)
{
    ngx_str_t           *strs;
    ngx_uint_t           i, j, n;
    const kong_value_t  *v, *item;

    strs = ngx_kong_conf_strs(in, "request_method", pool, &n);

    for (i = 0; i < n; i++) {
        for (j = 0; proxy_cache_methods[j].method != 0; j++) {
            if (strs[i].len == proxy_cache_methods[j].name.len
                && ngx_memcmp(strs[i].data, proxy_cache_methods[j].name.data,
                              strs[i].len)
                   == 0)
            {
                conf->methods |= proxy_cache_methods[j].method;
            }
        }
    }

    strs = ngx_kong_conf_strs(in, "content_type", pool, &n);
    conf->types = ngx_pcalloc(pool, (n + 1) * sizeof(proxy_cache_type_t));
    if (conf->types == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {
        if (proxy_cache_parse_type(&strs[i], &conf->types[conf->n_types])) {
            conf->n_types++;
        }
    }

    v = ngx_kong_conf_get(in, "response_code");

    if (v != NULL && v->kind == KONG_VALUE_ARRAY) {
        conf->codes = ngx_palloc(pool, (v->n + 1) * sizeof(ngx_uint_t));
        if (conf->codes == NULL) {
            return NGX_ERROR;
        }

        item = kong_value_items(&in->map->seg, v);

        for (i = 0; i < v->n; i++) {
            if (item[i].kind == KONG_VALUE_NUMBER) {
                conf->codes[conf->n_codes++] = (ngx_uint_t) item[i].u.number;
            }
        }
    }

    conf->params = ngx_kong_conf_strs(in, "vary_query_params", pool,
                                      &conf->n_params);
    conf->headers = ngx_kong_conf_strs(in, "vary_headers", pool,
                                       &conf->n_headers);
    conf->lower = ngx_kong_conf_lower(in, "vary_headers", pool, &n);

    return (n == 0 || conf->lower != NULL) ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
proxy_cache_access(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    ngx_int_t              rc;
    ngx_str_t              body;
    proxy_cache_conf_t    *conf;
    proxy_cache_state_t   *state;
    kong_cache_control_t   cc;

    conf = run->instance->conf;

    state = run->state;

    if (state == NULL) {
        state = ngx_pcalloc(r->pool, sizeof(proxy_cache_state_t));
        if (state == NULL) {
            return NGX_ERROR;
        }

        state->status = "Bypass";
        run->state = state;
    }

    proxy_cache_request_control(r, &cc);

    if (!(conf->methods & r->method)) {
        return NGX_OK;
    }

    if (conf->cache_control
        && (cc.no_store || cc.no_cache
            || ngx_kong_header_in(r, "authorization",
                                  sizeof("authorization") - 1)
               != NULL))
    {
        return NGX_OK;
    }

    ngx_str_null(&body);

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        /* two bodies are two requests */
        rc = ngx_kong_body(r, NGX_KONG_BODY_MAX, &body);

        if (rc == NGX_DECLINED) {
            return NGX_OK;
        }

        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (proxy_cache_key(r, conf, state, &body) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = proxy_cache_look(r, conf, state, &cc);

    if (rc == NGX_DONE) {
        /* no cache was asked: the answer says nothing of one */
        run->state = NULL;
        return ngx_kong_exit(r, NGX_HTTP_GATEWAY_TIME_OUT, NULL, NULL);
    }

    return state->hit ? proxy_cache_answer(r, state) : rc;
}


/* NGX_DONE: only-if-cached, and it is not */
static ngx_int_t
proxy_cache_look(ngx_http_request_t *r, proxy_cache_conf_t *conf,
    proxy_cache_state_t *state, kong_cache_control_t *cc)
{
    if (ngx_kong_cache_fetch(conf->zone, r->pool, &state->entry,
                             proxy_cache_vary, r)
        != NGX_OK)
    {
        if (conf->cache_control && cc->only_if_cached) {
            return NGX_DONE;
        }

        state->status = "Miss";
        state->wanted = 1;

        return NGX_OK;
    }

    if (!proxy_cache_fresh(conf, &state->entry, cc)) {
        state->status = "Refresh";
        state->wanted = 1;

        return NGX_OK;
    }

    state->status = "Hit";
    state->hit = 1;

    return NGX_OK;
}


static ngx_int_t
proxy_cache_header_filter(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    static ngx_str_t  age_name = ngx_string("Age");
    static ngx_str_t  status_name = ngx_string("X-Cache-Status");
    static ngx_str_t  key_name = ngx_string("X-Cache-Key");

    ngx_str_t             value;
    ngx_uint_t            debug;
    proxy_cache_conf_t   *conf;
    proxy_cache_state_t  *state;

    conf = run->instance->conf;
    state = run->state;

    if (state == NULL) {
        return NGX_OK;
    }

    debug = ngx_kong_header_in(r, "kong-debug", sizeof("kong-debug") - 1)
            != NULL;

    if (state->wanted) {
        state->wanted = 0;

        if (!proxy_cache_cacheable(r, conf, state)) {
            state->status = "Bypass";

        } else if (proxy_cache_begin(r, conf, state) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (state->hit && (debug || conf->show_age)) {
        value.data = ngx_pnalloc(r->pool, NGX_INT64_LEN);
        if (value.data == NULL) {
            return NGX_ERROR;
        }

        value.len = ngx_http_kong_number(value.data,
                                   ngx_max(ngx_time() - state->entry.stored,
                                           0))
                    - value.data;

        if (ngx_kong_header_out_set(r, &age_name, &value) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (debug || conf->show_status) {
        value.data = (u_char *) state->status;
        value.len = ngx_strlen(state->status);

        if (ngx_kong_header_out_set(r, &status_name, &value) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (state->has_key && (debug || conf->show_key)) {
        value.data = state->hex;
        value.len = PROXY_CACHE_HEX;

        return ngx_kong_header_out_set(r, &key_name, &value);
    }

    return NGX_OK;
}


static ngx_int_t
proxy_cache_body_filter(ngx_http_request_t *r, ngx_kong_run_t *run,
    ngx_chain_t **in)
{
    proxy_cache_state_t  *state;

    state = run->state;

    if (state != NULL && state->storing) {
        proxy_cache_take(r, run->instance->conf, state, *in);
    }

    return NGX_OK;
}
