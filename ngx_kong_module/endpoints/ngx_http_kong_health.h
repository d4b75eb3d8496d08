/*
 * The health of targets on the control socket: what a probe's result does to
 * a target, for single reports (/health) and for batches (/probes).
 */

#ifndef NGX_HTTP_KONG_HEALTH_H
#define NGX_HTTP_KONG_HEALTH_H

#include "../ngx_http_kong.h"
#include "../snapshot/kong_balancer.h"
#include "../zone/ngx_kong_targets.h"


/* an upstream whose checks are on */
typedef struct {
    const kong_segment_t   *seg;
    const kong_endpoint_t  *endpoint;
    const kong_balancer_t  *balancer;
    const kong_health_t    *health;
    ngx_shm_zone_t         *zone;
    ngx_log_t              *log;         /* the cycle's: a batch is not about
                                            the request that brings it */
} ngx_http_kong_checked_t;


/* NGX_OK; NGX_DECLINED: there is no such upstream; NGX_ABORT: its checks are
 * off.  `seg`, which may be NULL, `zone` and `log` are set */
ngx_int_t ngx_http_kong_checked_find(ngx_http_kong_checked_t *u,
    uint64_t key);
/* some of its targets went up or down: all workers look again */
void ngx_http_kong_checked_changed(ngx_http_kong_checked_t *u);

/* "success", "http", "tcp", "timeout" or a status, judged by the active
 * checks; 1 when the target, which may be NULL, went up or down */
ngx_uint_t ngx_http_kong_probe_report(ngx_http_kong_checked_t *u,
    const kong_address_t *a, ngx_kong_target_t *t, ngx_str_t *result);

/* POST /probes */
ngx_int_t ngx_http_kong_probes_handler(ngx_http_request_t *r);

/* "127.0.0.1:80"; `text` has NGX_SOCKADDR_STRLEN bytes */
size_t ngx_http_kong_health_ip(const kong_address_t *a, u_char *text);

#endif
