/*
 * The zone of the metrics: see ngx_kong_metrics.h.  All of the zone is taken
 * from the slab in one piece that nothing is written to before it is needed.
 */

#include "ngx_kong_metrics.h"
#include "ngx_kong_zone.h"

#include <signal.h>


#define NGX_KONG_METRICS_COMPLAIN  60    /* s */


static ngx_int_t ngx_kong_metrics_init(ngx_shm_zone_t *zone, void *data);
static int ngx_kong_metrics_alive(uint32_t pid);
static void ngx_kong_metrics_full(ngx_log_t *log);


ngx_shm_zone_t *
ngx_kong_metrics_add(ngx_conf_t *cf, size_t size, void *tag)
{
    ngx_str_t  name = ngx_string("kong_metrics");

    return ngx_kong_zone_share(cf, &name, size, tag, ngx_kong_metrics_init);
}


static ngx_int_t
ngx_kong_metrics_init(ngx_shm_zone_t *zone, void *data)
{
    size_t            size;
    void             *base;
    ngx_slab_pool_t  *shpool;

    if (ngx_kong_zone_inherit(zone, data)) {
        return NGX_OK;
    }

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    size = shpool->pfree * ngx_pagesize;
    base = ngx_slab_alloc(shpool, size);

    if (base != NULL) {
#if (NGX_DEBUG_MALLOC)
        ngx_memzero(base, size);
#endif
        shpool->data = kong_metrics_create(base, size);
    }

    if (shpool->data == NULL) {
        ngx_log_error(NGX_LOG_EMERG, zone->shm.log, 0,
                      "kong_metrics_zone of %uz bytes is too small",
                      zone->shm.size);
        return NGX_ERROR;
    }

    zone->data = shpool->data;

    return NGX_OK;
}


kong_cells_t *
ngx_kong_metrics_cells(ngx_shm_zone_t *zone,
    const kong_metrics_labels_t *labels, kong_cells_kind_t kind,
    ngx_log_t *log)
{
    kong_cells_t        *c;
    ngx_slab_pool_t     *shpool;
    kong_metrics_key_t   key;

    key = kong_metrics_key(labels);
    c = kong_metrics_find(zone->data, &key, kind, (uint32_t) ngx_pid);

    if (c != NULL) {
        return c;
    }

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    ngx_shmtx_lock(&shpool->mutex);
    c = kong_metrics_take(zone->data, labels, kind, (uint32_t) ngx_pid,
                          NGX_KONG_METRICS_NOW, ngx_kong_metrics_alive);
    ngx_shmtx_unlock(&shpool->mutex);

    if (c == NULL) {
        ngx_kong_metrics_full(log);
    }

    return c;
}


static int
ngx_kong_metrics_alive(uint32_t pid)
{
    return kill((pid_t) pid, 0) == 0 || ngx_errno != NGX_ESRCH;
}


static void
ngx_kong_metrics_full(ngx_log_t *log)
{
    uint32_t  now;

    static uint32_t  told;

    now = NGX_KONG_METRICS_NOW;

    if (told != 0 && now - told < NGX_KONG_METRICS_COMPLAIN) {
        return;
    }

    told = ngx_max(now, 1);

    ngx_log_error(NGX_LOG_WARN, log, 0,
                  "kong_metrics_zone is full: requests of some routes, "
                  "consumers or statuses are not counted in /metrics; a "
                  "larger one is needed");
}


void
ngx_kong_metrics_code(ngx_shm_zone_t *zone, kong_traffic_t *t, uint32_t code,
    ngx_log_t *log)
{
    int               rc;
    ngx_slab_pool_t  *shpool;

    if (kong_traffic_count(t, code) == 0) {
        return;
    }

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    ngx_shmtx_lock(&shpool->mutex);
    rc = kong_metrics_more(zone->data, t);
    ngx_shmtx_unlock(&shpool->mutex);

    if (rc != 0 || kong_traffic_count(t, code) != 0) {
        ngx_kong_metrics_refuse(zone);
        ngx_kong_metrics_full(log);
    }
}


void
ngx_kong_metrics_refuse(ngx_shm_zone_t *zone)
{
    kong_metrics_refuse(zone->data);
}


ngx_int_t
ngx_kong_metrics_sum(ngx_shm_zone_t *zone, uint32_t number,
    kong_metrics_sum_t *sum)
{
    int               rc;
    ngx_slab_pool_t  *shpool;

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    ngx_shmtx_lock(&shpool->mutex);
    rc = kong_metrics_sum(zone->data, number, sum);
    ngx_shmtx_unlock(&shpool->mutex);

    return rc == 0 ? NGX_OK : NGX_DECLINED;
}
