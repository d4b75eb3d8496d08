/*
 * The shared zone `kong_metrics`: the region of kong_metrics.h, its lock, and
 * a worker's way to its cells.  It survives a reload; a worker that is killed
 * leaves its counts to the next one.
 */

#ifndef NGX_KONG_METRICS_H
#define NGX_KONG_METRICS_H

#include <ngx_config.h>
#include <ngx_core.h>

#include "kong_metrics.h"


ngx_shm_zone_t *ngx_kong_metrics_add(ngx_conf_t *cf, size_t size, void *tag);

/* this worker's cells; NULL when there is no room, which is logged */
kong_cells_t *ngx_kong_metrics_cells(ngx_shm_zone_t *zone,
    const kong_metrics_labels_t *labels, kong_cells_kind_t kind,
    ngx_log_t *log);

/* a request with this code; one that there is no room for is counted as
 * refused */
void ngx_kong_metrics_code(ngx_shm_zone_t *zone, kong_traffic_t *t,
    uint32_t code, ngx_log_t *log);

/* a request that could not be counted */
void ngx_kong_metrics_refuse(ngx_shm_zone_t *zone);

/* NGX_DECLINED: no series has this number */
ngx_int_t ngx_kong_metrics_sum(ngx_shm_zone_t *zone, uint32_t number,
    kong_metrics_sum_t *sum);

#define ngx_kong_metrics(zone)  ((kong_metrics_t *) (zone)->data)

/* s since the machine began */
#define NGX_KONG_METRICS_NOW  ((uint32_t) (ngx_current_msec / 1000))

#endif
