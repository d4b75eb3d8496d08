/*
 * Passive health checks: what a try tells of its target.  Latency, too, is
 * learned here.
 */

#include "ngx_http_kong_peer.h"


#define NGX_HTTP_KONG_FAILED_MS  1000    /* latency of a try that failed */


static void ngx_http_kong_passive_latency(ngx_http_kong_peer_t *kp,
    ngx_uint_t failed);
static void ngx_http_kong_passive_status(ngx_http_kong_peer_t *kp,
    ngx_uint_t status);
static void ngx_http_kong_passive_report(ngx_http_kong_peer_t *kp,
    ngx_kong_health_count_t kind, ngx_uint_t limit);


void
ngx_http_kong_passive(ngx_http_kong_peer_t *kp, ngx_peer_connection_t *pc,
    ngx_uint_t state)
{
    ngx_uint_t            status, failed, timeout;
    ngx_connection_t     *c;
    const kong_checks_t  *checks;

    if (kp->group == NULL || kp->group->targets == NULL
        || kp->group->targets[kp->current] == NULL)
    {
        return;
    }

    c = pc->connection;
    status = kp->request->upstream->headers_in.status_n;
    failed = (state & NGX_PEER_FAILED) && status == 0;
    timeout = c != NULL && (c->read->timedout || c->write->timedout);

    if (kp->group->balancer->algorithm == KONG_LATENCY) {
        ngx_http_kong_passive_latency(kp, failed);
    }

    if (kp->group->health == NULL) {
        return;
    }

    checks = &kp->group->health->passive;

    if (failed && timeout) {
        ngx_http_kong_passive_report(kp, NGX_KONG_COUNT_TIMEOUT,
                                     checks->timeouts);

    } else if (failed) {
        ngx_http_kong_passive_report(kp, NGX_KONG_COUNT_TCP,
                                     checks->tcp_failures);

    } else if (status == NGX_HTTP_GATEWAY_TIME_OUT) {
        ngx_http_kong_passive_report(kp, NGX_KONG_COUNT_TIMEOUT,
                                     checks->timeouts);

    } else if (status != 0) {
        /* 0: the client went away first, which says nothing */
        ngx_http_kong_passive_status(kp, status);
    }
}


static void
ngx_http_kong_passive_latency(ngx_http_kong_peer_t *kp, ngx_uint_t failed)
{
    ngx_msec_t                  ms;
    ngx_http_upstream_state_t  *state;

    state = kp->request->upstream->state;

    if (state == NULL) {
        return;
    }

    ms = state->header_time;

    if (ms == (ngx_msec_t) -1) {
        ms = ngx_current_msec - kp->ctx->proxy_start;
    }

    if (failed) {
        ms = ngx_max(ms, NGX_HTTP_KONG_FAILED_MS);
    }

    ngx_kong_target_latency_add(kp->group->targets[kp->current],
                                (double) ngx_max(ms, 1));
}


static void
ngx_http_kong_passive_status(ngx_http_kong_peer_t *kp, ngx_uint_t status)
{
    const kong_checks_t  *checks;

    checks = &kp->group->health->passive;

    if (kong_status_in(&checks->healthy, status)) {
        ngx_http_kong_passive_report(kp, NGX_KONG_COUNT_SUCCESS,
                                     checks->successes);

    } else if (kong_status_in(&checks->unhealthy, status)) {
        ngx_http_kong_passive_report(kp, NGX_KONG_COUNT_HTTP,
                                     checks->http_failures);
    }
}


static void
ngx_http_kong_passive_report(ngx_http_kong_peer_t *kp,
    ngx_kong_health_count_t kind, ngx_uint_t limit)
{
    ngx_log_t                 *log;
    ngx_kong_target_t         *t;
    ngx_http_kong_group_t     *group;
    ngx_kong_health_report_t   report;

    static const char *const  names[] = {
        "", "SUCCESS", "HTTP", "TCP", "TIMEOUT"
    };

    group = kp->group;
    t = group->targets[kp->current];
    log = kp->request->connection->log;

    ngx_kong_target_report(t, kind, limit, &report);

    if (report.count == 0) {
        return;
    }

    ngx_log_error(NGX_LOG_WARN, log, 0,
                  "[healthcheck] (%s) %s %s increment (%ui/%ui) for \"%V\"",
                  group->name.data,
                  kind == NGX_KONG_COUNT_SUCCESS ? "healthy" : "unhealthy",
                  names[kind], report.count, limit, &kp->pool->name);

    if (!report.changed) {
        return;
    }

    if (group->slot != NULL) {
        (void) ngx_atomic_fetch_add(&group->slot->changes, 1);
    }

    ngx_log_error(NGX_LOG_WARN, log, 0,
                  "[healthcheck] (%s) target \"%V\" is %s now",
                  group->name.data, &kp->pool->name,
                  report.state <= NGX_KONG_MOSTLY_HEALTHY ? "healthy"
                                                          : "unhealthy");
}
