/*
 * /metrics: Kong's names, labels and order of families, answered in the
 * worker without controld.  The text is made a buffer at a time: after each
 * one the event loop runs, and none is made while the client has yet to take
 * the ones before, so a scrape of any size needs little memory and delays
 * nobody.
 */

#include "ngx_http_kong_metrics.h"


#define NGX_HTTP_KONG_SCRAPE_BUFFER  32768
#define NGX_HTTP_KONG_SCRAPE_ITEMS   512     /* in one go */
#define NGX_HTTP_KONG_SCRAPE_LINE    192     /* of a line, without labels */

#define ngx_http_kong_scrape_put(p, text)                                    \
    ngx_cpymem(p, text, sizeof(text) - 1)


static void ngx_http_kong_metrics_cleanup(void *data);
static ngx_http_kong_scrape_t *ngx_http_kong_metrics_scrape(
    ngx_http_request_t *r);
static void ngx_http_kong_metrics_write(ngx_http_request_t *r);
static ngx_int_t ngx_http_kong_metrics_step(ngx_http_kong_scrape_t *s);
static ngx_int_t ngx_http_kong_metrics_buffer(ngx_http_kong_scrape_t *s,
    ngx_chain_t **out);
static ngx_uint_t ngx_http_kong_metrics_fill(ngx_http_kong_scrape_t *s);
static void ngx_http_kong_metrics_wait(ngx_http_request_t *r);
static ngx_int_t ngx_http_kong_metrics_bandwidth(ngx_http_kong_scrape_t *s);
static ngx_int_t ngx_http_kong_metrics_codes(ngx_http_kong_scrape_t *s);
static ngx_int_t ngx_http_kong_metrics_latency(ngx_http_kong_scrape_t *s);
static ngx_int_t ngx_http_kong_metrics_series(ngx_http_kong_scrape_t *s);
static u_char *ngx_http_kong_metrics_labels(ngx_http_kong_scrape_t *s,
    u_char *p, const char *suffix);
static u_char *ngx_http_kong_metrics_text(u_char *p, const char *text);


#define NGX_HTTP_KONG_OWN(name, type, help, data)                            \
    { ngx_string(name), ngx_string(type), ngx_string(help),                  \
      ngx_http_kong_metrics_own, data }

/* by name, as Kong sorts them; the controld_ ones and those that Kong does
 * not have are ours */
static const ngx_http_kong_family_t  ngx_http_kong_families[] = {

    NGX_HTTP_KONG_OWN("controld_entities_set_aside", "gauge",
        "Entities of the database that are left out",
        NGX_HTTP_KONG_OWN_ASIDE),

    NGX_HTTP_KONG_OWN("controld_heartbeat_age_seconds", "gauge",
        "Time since controld last told of itself",
        NGX_HTTP_KONG_OWN_AGE),

    NGX_HTTP_KONG_OWN("controld_source_ok", "gauge",
        "The configuration was good when controld last read it",
        NGX_HTTP_KONG_OWN_SOURCE),

    NGX_HTTP_KONG_OWN("controld_source_since_timestamp_seconds", "gauge",
        "When controld_source_ok last changed",
        NGX_HTTP_KONG_OWN_SINCE),

    NGX_HTTP_KONG_OWN("controld_up", "gauge",
        "controld has told of itself within five seconds",
        NGX_HTTP_KONG_OWN_UP),

    { ngx_string("kong_bandwidth_bytes"), ngx_string("counter"),
      ngx_string("Total bandwidth (ingress/egress) throughput in bytes"),
      ngx_http_kong_metrics_bandwidth, 0 },

    { ngx_string("kong_datastore_reachable"), ngx_string("gauge"),
      ngx_string("Datastore reachable from Kong, 0 is unreachable"),
      ngx_http_kong_metrics_datastore, 0 },

    NGX_HTTP_KONG_OWN("kong_generation", "gauge",
        "Generation of the configuration and the endpoints that are served",
        NGX_HTTP_KONG_OWN_GENERATION),

    NGX_HTTP_KONG_OWN("kong_generation_published_timestamp_seconds", "gauge",
        "When the generation was published",
        NGX_HTTP_KONG_OWN_PUBLISHED),

    NGX_HTTP_KONG_OWN("kong_generation_refused_total", "counter",
        "Generations that nginx refused",
        NGX_HTTP_KONG_OWN_REFUSED),

    NGX_HTTP_KONG_OWN("kong_generation_routes", "gauge",
        "Routes of the configuration that is served",
        NGX_HTTP_KONG_OWN_ROUTES),

    NGX_HTTP_KONG_OWN("kong_generation_services", "gauge",
        "Services of the configuration that is served",
        NGX_HTTP_KONG_OWN_SERVICES),

    NGX_HTTP_KONG_OWN("kong_generation_workers", "gauge",
        "Workers that have adopted the generation, and that have yet to",
        NGX_HTTP_KONG_OWN_WORKERS),

    { ngx_string("kong_http_requests_total"), ngx_string("counter"),
      ngx_string("HTTP status codes per consumer/service/route in Kong"),
      ngx_http_kong_metrics_codes, 0 },

    { ngx_string("kong_kong_latency_ms"), ngx_string("histogram"),
      ngx_string("Latency added by Kong and enabled plugins for each "
                 "service/route in Kong"),
      ngx_http_kong_metrics_latency, KONG_LATENCY_KONG },

    { ngx_string("kong_memory_lua_shared_dict_bytes"), ngx_string("gauge"),
      ngx_string("Allocated slabs in bytes in a shared_dict"),
      ngx_http_kong_metrics_zones, 0 },

    { ngx_string("kong_memory_lua_shared_dict_total_bytes"),
      ngx_string("gauge"),
      ngx_string("Total capacity in bytes of a shared_dict"),
      ngx_http_kong_metrics_zones, 1 },

    { ngx_string("kong_memory_workers_lua_vms_bytes"), ngx_string("gauge"),
      ngx_string("Allocated bytes in worker Lua VM"),
      ngx_http_kong_metrics_workers, 0 },

    NGX_HTTP_KONG_OWN("kong_metrics_series", "gauge",
        "Services, routes and consumers that requests are counted for",
        NGX_HTTP_KONG_OWN_SERIES),

    { ngx_string("kong_nginx_connections_total"), ngx_string("gauge"),
      ngx_string("Number of connections by subsystem"),
      ngx_http_kong_metrics_connections, 0 },

    { ngx_string("kong_nginx_metric_errors_total"), ngx_string("counter"),
      ngx_string("Number of nginx-lua-prometheus errors"),
      ngx_http_kong_metrics_errors, 0 },

    { ngx_string("kong_nginx_requests_total"), ngx_string("gauge"),
      ngx_string("Number of requests total"),
      ngx_http_kong_metrics_requests, 0 },

    { ngx_string("kong_nginx_timers"), ngx_string("gauge"),
      ngx_string("Number of nginx timers"),
      ngx_http_kong_metrics_timers, 0 },

    { ngx_string("kong_node_info"), ngx_string("gauge"),
      ngx_string("Kong Node metadata information"),
      ngx_http_kong_metrics_info, 0 },

    { ngx_string("kong_request_latency_ms"), ngx_string("histogram"),
      ngx_string("Total latency incurred during requests for each "
                 "service/route in Kong"),
      ngx_http_kong_metrics_latency, KONG_LATENCY_REQUEST },

    NGX_HTTP_KONG_OWN("kong_target_slots", "gauge",
        "Addresses whose health and load are kept in the zone",
        NGX_HTTP_KONG_OWN_TARGETS),

    NGX_HTTP_KONG_OWN("kong_target_slots_refused_total", "counter",
        "Times that the zone had no room for an address",
        NGX_HTTP_KONG_OWN_TARGETS_REFUSED),

    { ngx_string("kong_upstream_latency_ms"), ngx_string("histogram"),
      ngx_string("Latency added by upstream response for each service/route "
                 "in Kong"),
      ngx_http_kong_metrics_latency, KONG_LATENCY_UPSTREAM },

    { ngx_string("kong_upstream_target_health"), ngx_string("gauge"),
      ngx_string("Health status of targets of upstream. States = "
                 "healthchecks_off|healthy|unhealthy|dns_error, value is 1 "
                 "when state is populated."),
      ngx_http_kong_metrics_health, 0 },

    { ngx_null_string, ngx_null_string, ngx_null_string, NULL, 0 }
};


ngx_int_t
ngx_http_kong_metrics_handler(ngx_http_request_t *r)
{
    ngx_int_t                rc;
    ngx_pool_cleanup_t      *cln;
    ngx_http_kong_scrape_t  *s;

    rc = ngx_http_kong_status_method(r, "GET, HEAD, OPTIONS");
    if (rc != NGX_DECLINED) {
        return rc;
    }

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_kong_scrape_t));
    if (cln == NULL || ngx_http_kong_status_headers(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    s = cln->data;
    ngx_memzero(s, sizeof(ngx_http_kong_scrape_t));
    cln->handler = ngx_http_kong_metrics_cleanup;

    s->request = r;
    s->mcf = ngx_http_get_module_main_conf(r, ngx_http_kong_module);
    s->generation = ngx_kong_generation_get(s->mcf, r->connection->log);
    s->family = ngx_http_kong_families;

    r->headers_out.status = NGX_HTTP_OK;
    ngx_str_set(&r->headers_out.content_type, "text/plain; charset=UTF-8");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    ngx_http_clear_content_length(r);

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    r->write_event_handler = ngx_http_kong_metrics_write;
    r->read_event_handler = ngx_http_test_reading;
    r->main->count++;

    ngx_http_kong_metrics_write(r);

    return NGX_DONE;
}


static void
ngx_http_kong_metrics_cleanup(void *data)
{
    ngx_http_kong_scrape_t  *s = data;

    if (s->generation != NULL) {
        ngx_kong_generation_put(s->generation);
    }
}


/* the module's context is that of proxied requests */
static ngx_http_kong_scrape_t *
ngx_http_kong_metrics_scrape(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t  *cln;

    for (cln = r->pool->cleanup; cln != NULL; cln = cln->next) {
        if (cln->handler == ngx_http_kong_metrics_cleanup) {
            return cln->data;
        }
    }

    return NULL;
}


static void
ngx_http_kong_metrics_write(ngx_http_request_t *r)
{
    ngx_int_t                rc;
    ngx_event_t             *wev;
    ngx_http_kong_scrape_t  *s;

    wev = r->connection->write;
    s = ngx_http_kong_metrics_scrape(r);

    if (wev->timedout && !wev->delayed) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, NGX_ETIMEDOUT,
                      "client timed out");
        r->connection->timedout = 1;
        ngx_http_finalize_request(r, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    rc = ngx_http_kong_metrics_step(s);

    if (rc == NGX_ERROR) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    if (s->family->write == NULL) {
        ngx_http_finalize_request(r, rc);
        return;
    }

    if (s->busy != NULL) {
        ngx_http_kong_metrics_wait(r);
        return;
    }

    if (wev->timer_set && !wev->delayed) {
        ngx_del_timer(wev);
    }

    ngx_post_event(wev, &ngx_posted_next_events);
}


static void
ngx_http_kong_metrics_wait(ngx_http_request_t *r)
{
    ngx_event_t               *wev;
    ngx_http_core_loc_conf_t  *clcf;

    wev = r->connection->write;
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (!wev->delayed) {
        ngx_add_timer(wev, clcf->send_timeout);
    }

    if (ngx_handle_write_event(wev, clcf->send_lowat) != NGX_OK) {
        ngx_http_finalize_request(r, NGX_ERROR);
    }
}


/* what waits is sent, or one more buffer is made */
static ngx_int_t
ngx_http_kong_metrics_step(ngx_http_kong_scrape_t *s)
{
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t  *out;

    out = NULL;

    if (s->busy == NULL && ngx_http_kong_metrics_buffer(s, &out) != NGX_OK) {
        return NGX_ERROR;
    }

    if (out != NULL) {
        b = out->buf;
        s->p = b->last;
        s->last = b->end;

        b->last_buf = ngx_http_kong_metrics_fill(s);
        b->last_in_chain = b->last_buf;
        b->last = s->p;
        b->flush = 1;

        if (b->last == b->pos && !b->last_buf) {
            out->next = s->free;
            s->free = out;
            return NGX_OK;
        }

        /* an empty one is not in memory, but an end */
        b->temporary = (b->last != b->pos);
    }

    rc = ngx_http_output_filter(s->request, out);

    ngx_chain_update_chains(s->request->pool, &s->free, &s->busy, &out,
                            (ngx_buf_tag_t) &ngx_http_kong_module);

    return rc;
}


/* one, and a larger one for an item that needs it */
static ngx_int_t
ngx_http_kong_metrics_buffer(ngx_http_kong_scrape_t *s, ngx_chain_t **out)
{
    size_t        size;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    size = ngx_max(s->need, NGX_HTTP_KONG_SCRAPE_BUFFER);
    s->need = 0;

    cl = ngx_chain_get_free_buf(s->request->pool, &s->free);
    if (cl == NULL) {
        return NGX_ERROR;
    }

    b = cl->buf;

    if (b->start == NULL || (size_t) (b->end - b->start) < size) {

        if (b->start != NULL) {
            ngx_pfree(s->request->pool, b->start);
        }

        b->start = ngx_palloc(s->request->pool, size);
        if (b->start == NULL) {
            return NGX_ERROR;
        }

        b->end = b->start + size;
    }

    b->pos = b->start;
    b->last = b->start;
    b->temporary = 1;
    b->tag = (ngx_buf_tag_t) &ngx_http_kong_module;

    cl->next = NULL;
    *out = cl;

    return NGX_OK;
}


/* 1: that was all */
static ngx_uint_t
ngx_http_kong_metrics_fill(ngx_http_kong_scrape_t *s)
{
    ngx_int_t   rc;
    ngx_uint_t  n;

    for (n = 0; n < NGX_HTTP_KONG_SCRAPE_ITEMS; n++) {

        rc = s->family->write(s);

        if (rc == NGX_AGAIN) {
            return 0;
        }

        s->item++;

        if (rc == NGX_DONE) {
            s->family++;
            s->item = 0;
            s->part = 0;
            s->headed = 0;

            if (s->family->write == NULL) {
                return 1;
            }
        }
    }

    return 0;
}


ngx_int_t
ngx_http_kong_metrics_room(ngx_http_kong_scrape_t *s, size_t len)
{
    const ngx_http_kong_family_t  *f;

    f = s->family;
    len += sizeof("# HELP  \n# TYPE  \n") + 2 * f->name.len + f->type.len
           + f->help.len;

    if ((size_t) (s->last - s->p) < len) {
        s->need = len;
        return NGX_AGAIN;
    }

    if (!s->headed) {
        s->p = ngx_sprintf(s->p, "# HELP %V %V\n# TYPE %V %V\n", &f->name,
                           &f->help, &f->name, &f->type);
        s->headed = 1;
    }

    return NGX_OK;
}


/* s->sum is that of the item, NGX_DECLINED when it has no series */
static ngx_int_t
ngx_http_kong_metrics_series(ngx_http_kong_scrape_t *s)
{
    if (s->mcf->metrics == NULL
        || s->item >= kong_metrics_series(ngx_kong_metrics(s->mcf->metrics)))
    {
        return NGX_DONE;
    }

    return ngx_kong_metrics_sum(s->mcf->metrics, (uint32_t) s->item, &s->sum);
}


static size_t
ngx_http_kong_metrics_line(ngx_http_kong_scrape_t *s)
{
    return NGX_HTTP_KONG_SCRAPE_LINE + s->family->name.len
           + ngx_strlen(s->sum.service) + ngx_strlen(s->sum.route)
           + ngx_strlen(s->sum.consumer);
}


static ngx_int_t
ngx_http_kong_metrics_bandwidth(ngx_http_kong_scrape_t *s)
{
    u_char      *p;
    uint64_t     bytes;
    ngx_int_t    rc;
    ngx_uint_t   i;

    rc = ngx_http_kong_metrics_series(s);

    if (rc != NGX_OK || (s->sum.ingress | s->sum.egress) == 0) {
        return rc == NGX_DONE ? NGX_DONE : NGX_OK;
    }

    if (ngx_http_kong_metrics_room(s, 2 * ngx_http_kong_metrics_line(s))
        != NGX_OK)
    {
        return NGX_AGAIN;
    }

    p = s->p;

    for (i = 0; i < 2; i++) {
        bytes = i ? s->sum.ingress : s->sum.egress;

        if (bytes == 0) {
            continue;
        }

        p = ngx_http_kong_metrics_labels(s, p, "");
        p = ngx_http_kong_scrape_put(p, ",direction=\"");
        p = ngx_http_kong_metrics_text(p, i ? "ingress" : "egress");
        p = ngx_http_kong_scrape_put(p,
                                     "\",workspace=\"default\",consumer=\"");
        p = ngx_http_kong_metrics_text(p, s->sum.consumer);
        p = ngx_http_kong_scrape_put(p, "\"} ");
        p = ngx_http_kong_number(p, bytes);
        *p++ = '\n';
    }

    s->p = p;

    return NGX_OK;
}


static ngx_int_t
ngx_http_kong_metrics_codes(ngx_http_kong_scrape_t *s)
{
    u_char       *p;
    ngx_int_t     rc;
    ngx_uint_t    i;
    kong_code_t  *code;

    rc = ngx_http_kong_metrics_series(s);

    if (rc != NGX_OK || s->sum.n_codes == 0) {
        return rc == NGX_DONE ? NGX_DONE : NGX_OK;
    }

    if (ngx_http_kong_metrics_room(s, s->sum.n_codes
                                      * ngx_http_kong_metrics_line(s))
        != NGX_OK)
    {
        return NGX_AGAIN;
    }

    p = s->p;

    for (i = 0; i < s->sum.n_codes; i++) {
        code = &s->sum.codes[i];

        p = ngx_http_kong_metrics_labels(s, p, "");
        p = ngx_http_kong_scrape_put(p, ",code=\"");
        p = ngx_http_kong_number(p, code->code & 0xffff);
        p = ngx_http_kong_scrape_put(p, "\",source=\"");
        p = ngx_http_kong_metrics_text(p, (code->code & KONG_METRICS_SERVICE)
                                          ? "service" : "kong");
        p = ngx_http_kong_scrape_put(p,
                                     "\",workspace=\"default\",consumer=\"");
        p = ngx_http_kong_metrics_text(p, s->sum.consumer);
        p = ngx_http_kong_scrape_put(p, "\"} ");
        p = ngx_http_kong_number(p, code->n);
        *p++ = '\n';
    }

    s->p = p;

    return NGX_OK;
}


static ngx_int_t
ngx_http_kong_metrics_latency(ngx_http_kong_scrape_t *s)
{
    u_char                  *p;
    uint32_t                 i;
    uint64_t                 n;
    ngx_int_t                rc;
    const kong_histogram_t  *h;

    rc = ngx_http_kong_metrics_series(s);

    if (rc != NGX_OK) {
        return rc == NGX_DONE ? NGX_DONE : NGX_OK;
    }

    h = &kong_histograms[s->family->data];

    for (i = 0, n = 0; i <= h->n; i++) {
        n += s->sum.buckets[h->first + i];
    }

    if (n == 0) {
        return NGX_OK;
    }

    if (ngx_http_kong_metrics_room(s, (h->n + 3)
                                      * ngx_http_kong_metrics_line(s))
        != NGX_OK)
    {
        return NGX_AGAIN;
    }

    p = s->p;

    for (i = 0, n = 0; i <= h->n; i++) {
        n += s->sum.buckets[h->first + i];

        p = ngx_http_kong_metrics_labels(s, p, "_bucket");
        p = ngx_http_kong_scrape_put(p, ",workspace=\"default\",le=\"");

        if (i < h->n) {
            p = ngx_http_kong_number(p, h->bounds[i]);

        } else {
            p = ngx_http_kong_scrape_put(p, "+Inf");
        }

        p = ngx_http_kong_scrape_put(p, "\"} ");
        p = ngx_http_kong_number(p, n);
        *p++ = '\n';
    }

    p = ngx_http_kong_metrics_labels(s, p, "_count");
    p = ngx_http_kong_scrape_put(p, ",workspace=\"default\"} ");
    p = ngx_http_kong_number(p, n);
    *p++ = '\n';

    p = ngx_http_kong_metrics_labels(s, p, "_sum");
    p = ngx_http_kong_scrape_put(p, ",workspace=\"default\"} ");
    p = ngx_http_kong_number(p, s->sum.sums[s->family->data]);
    *p++ = '\n';

    s->p = p;

    return NGX_OK;
}


/* name, suffix, service and route */
static u_char *
ngx_http_kong_metrics_labels(ngx_http_kong_scrape_t *s, u_char *p,
    const char *suffix)
{
    p = ngx_cpymem(p, s->family->name.data, s->family->name.len);
    p = ngx_http_kong_metrics_text(p, suffix);
    p = ngx_http_kong_scrape_put(p, "{service=\"");
    p = ngx_http_kong_metrics_text(p, s->sum.service);
    p = ngx_http_kong_scrape_put(p, "\",route=\"");
    p = ngx_http_kong_metrics_text(p, s->sum.route);
    *p++ = '"';

    return p;
}


static u_char *
ngx_http_kong_metrics_text(u_char *p, const char *text)
{
    return ngx_cpymem(p, text, ngx_strlen(text));
}
