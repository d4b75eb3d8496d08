/*
 * prometheus: counts requests in cells of this worker (zone/kong_metrics.h),
 * which /metrics adds up.  Where the cells of a route and consumer are is
 * looked up once a configuration and kept in a table of fixed size; a request
 * then adds to a few words.
 */

#include "ngx_kong_plugin.h"
#include "../zone/ngx_kong_metrics.h"


#define PROMETHEUS_PLACES  4096          /* a power of two */
#define PROMETHEUS_RETRY   10            /* s */


typedef struct {
    uint32_t          serial;            /* no two configurations share it */
    unsigned          consumer:1;
    unsigned          status:1;
    unsigned          bandwidth:1;
    unsigned          latency:1;
} prometheus_conf_t;

/* 0 is no serial: an entry that has never been used */
typedef struct {
    uint32_t          serial;
    uint32_t          route;
    uint32_t          consumer;
    uint32_t          refused;           /* s: there was no room; or 0 */
    kong_traffic_t   *traffic;
    uint64_t          traffic_stamp;
    kong_latency_t   *latency;
    uint64_t          latency_stamp;
} prometheus_place_t;


static void *prometheus_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool);
static void prometheus_log(ngx_http_request_t *r, ngx_kong_run_t *run);
static prometheus_place_t *prometheus_place(ngx_http_request_t *r,
    ngx_http_kong_ctx_t *ctx, prometheus_conf_t *conf);
static ngx_int_t prometheus_find(ngx_http_request_t *r,
    ngx_http_kong_ctx_t *ctx, prometheus_conf_t *conf,
    prometheus_place_t *place);
static void prometheus_traffic(ngx_http_request_t *r,
    ngx_http_kong_ctx_t *ctx, prometheus_conf_t *conf, kong_traffic_t *t);
static void prometheus_latency(ngx_http_request_t *r,
    ngx_http_kong_ctx_t *ctx, kong_latency_t *l);


const ngx_kong_plugin_t  ngx_kong_prometheus = {
    .name = ngx_string("prometheus"),
    .prepare = prometheus_prepare,
    .log = prometheus_log
};


static prometheus_place_t  prometheus_places[PROMETHEUS_PLACES];


/* ai_metrics count what the ai plugins report, which are not here;
 * upstream_health_metrics are the endpoint's */
static void *
prometheus_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool)
{
    prometheus_conf_t  *conf;

    static uint32_t  serial;

    conf = ngx_pcalloc(pool, sizeof(prometheus_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    conf->serial = ++serial;
    conf->consumer = ngx_kong_conf_flag(in, "per_consumer");
    conf->status = ngx_kong_conf_flag(in, "status_code_metrics");
    conf->bandwidth = ngx_kong_conf_flag(in, "bandwidth_metrics");
    conf->latency = ngx_kong_conf_flag(in, "latency_metrics");

    return conf;
}


static void
prometheus_log(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    prometheus_conf_t          *conf;
    prometheus_place_t         *place;
    ngx_http_kong_ctx_t        *ctx;
    ngx_http_kong_main_conf_t  *mcf;

    conf = run->instance->conf;
    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    if (ctx->route == NULL
        || !(conf->status || conf->bandwidth || conf->latency))
    {
        return;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_kong_module);

    if (mcf->metrics == NULL) {
        return;
    }

    place = prometheus_place(r, ctx, conf);

    if (place == NULL) {
        ngx_kong_metrics_refuse(mcf->metrics);
        return;
    }

    if (conf->status || conf->bandwidth) {
        prometheus_traffic(r, ctx, conf, place->traffic);
    }

    if (conf->latency) {
        prometheus_latency(r, ctx, place->latency);
    }
}


/* cells that were given to another series meanwhile are looked up again */
static prometheus_place_t *
prometheus_place(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx,
    prometheus_conf_t *conf)
{
    uint32_t             route, consumer, hash;
    prometheus_place_t  *place;

    route = (uint32_t) (ctx->route - ctx->generation->config->seg.routes);
    consumer = conf->consumer ? ctx->consumer : KONG_NONE;

    hash = (route * 0x9e3779b1u) ^ (consumer * 0x85ebca77u)
           ^ (conf->serial * 0xc2b2ae3du);
    place = &prometheus_places[(hash >> 16) % PROMETHEUS_PLACES];

    if (place->serial == conf->serial && place->route == route
        && place->consumer == consumer)
    {
        if (place->refused == 0) {
            if ((place->traffic == NULL
                 || place->traffic->head.stamp == place->traffic_stamp)
                && (place->latency == NULL
                    || place->latency->head.stamp == place->latency_stamp))
            {
                return place;
            }

        } else if (NGX_KONG_METRICS_NOW - place->refused < PROMETHEUS_RETRY) {
            return NULL;
        }
    }

    place->serial = conf->serial;
    place->route = route;
    place->consumer = consumer;
    place->refused = 0;

    if (prometheus_find(r, ctx, conf, place) != NGX_OK) {
        place->refused = ngx_max(NGX_KONG_METRICS_NOW, 1);
        return NULL;
    }

    return place;
}


/* Kong's labels: the name, else the host or the id */
static ngx_int_t
prometheus_find(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx,
    prometheus_conf_t *conf, prometheus_place_t *place)
{
    char                        id[37];
    ngx_shm_zone_t             *zone;
    const kong_segment_t       *seg;
    kong_metrics_labels_t       labels;
    ngx_http_kong_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_kong_module);
    zone = mcf->metrics;
    seg = &ctx->generation->config->seg;

    place->traffic = NULL;
    place->latency = NULL;

    ngx_memzero(&labels, sizeof(kong_metrics_labels_t));

    if (ctx->service != NULL) {
        labels.service = kong_segment_str(seg, ctx->service->name
                                               ? ctx->service->name
                                               : ctx->service->host);
    }

    labels.route = kong_segment_str(seg, ctx->route->name);

    if (labels.route.data == NULL) {
        kong_uuid_text(ctx->route->id, id);
        labels.route.data = id;
        labels.route.len = sizeof(id) - 1;
    }

    if (conf->latency) {
        place->latency = (kong_latency_t *)
                         ngx_kong_metrics_cells(zone, &labels,
                                                KONG_CELLS_LATENCY,
                                                r->connection->log);
        if (place->latency == NULL) {
            return NGX_DECLINED;
        }

        place->latency_stamp = place->latency->head.stamp;
    }

    if (!conf->status && !conf->bandwidth) {
        return NGX_OK;
    }

    if (place->consumer != KONG_NONE) {
        labels.consumer = kong_segment_str(seg,
                                     kong_consumer(seg, place->consumer)
                                     ->username);
    }

    place->traffic = (kong_traffic_t *)
                     ngx_kong_metrics_cells(zone, &labels, KONG_CELLS_TRAFFIC,
                                            r->connection->log);
    if (place->traffic == NULL) {
        return NGX_DECLINED;
    }

    place->traffic_stamp = place->traffic->head.stamp;

    return NGX_OK;
}


static void
prometheus_traffic(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx,
    prometheus_conf_t *conf, kong_traffic_t *t)
{
    uint32_t                    code;
    ngx_http_kong_main_conf_t  *mcf;

    t->head.seen = NGX_KONG_METRICS_NOW;

    if (conf->bandwidth) {
        t->ingress += r->request_length;
        t->egress += r->connection->sent;
    }

    if (conf->status) {
        code = (uint32_t) ngx_http_kong_status(r);

        if (ngx_http_kong_from_service(r, ctx)) {
            code |= KONG_METRICS_SERVICE;
        }

        if (kong_traffic_count(t, code) != 0) {
            mcf = ngx_http_get_module_main_conf(r, ngx_http_kong_module);
            ngx_kong_metrics_code(mcf->metrics, t, code, r->connection->log);
        }
    }
}


static void
prometheus_latency(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx,
    kong_latency_t *l)
{
    ngx_http_kong_latency_t  ms;

    ngx_http_kong_latency(r, ctx, &ms);

    l->head.seen = NGX_KONG_METRICS_NOW;

    kong_latency_observe(l, KONG_LATENCY_KONG, ms.kong);
    kong_latency_observe(l, KONG_LATENCY_REQUEST, ms.request);

    if (ms.upstream >= 0) {
        kong_latency_observe(l, KONG_LATENCY_UPSTREAM, ms.upstream);
    }
}
