/*
 * The shared zone: allocation, take-over at reload, and the control block.
 * The layout is ours alone; a reload onto another build of the module with a
 * different layout is refused by nginx (the zone's tag and size differ).
 */

#include "ngx_kong_counters.h"
#include "ngx_kong_ledger.h"
#include "ngx_kong_zone.h"


static ngx_int_t ngx_kong_zone_init(ngx_shm_zone_t *zone, void *data);


ngx_shm_zone_t *
ngx_kong_zone_add(ngx_conf_t *cf, size_t size, void *tag)
{
    ngx_str_t  name = ngx_string("kong_zone");

    return ngx_kong_zone_share(cf, &name, size, tag, ngx_kong_zone_init);
}


ngx_shm_zone_t *
ngx_kong_zone_share(ngx_conf_t *cf, ngx_str_t *name, size_t size, void *tag,
    ngx_shm_zone_init_pt init)
{
    ngx_shm_zone_t  *zone;

    zone = ngx_shared_memory_add(cf, name, size, tag);

    if (zone == NULL || (zone->init != NULL && zone->init != init)) {
        return NULL;
    }

    zone->init = init;

    return zone;
}


ngx_uint_t
ngx_kong_zone_inherit(ngx_shm_zone_t *zone, void *data)
{
    if (data != NULL) {
        zone->data = data;
        return 1;
    }

    if (zone->shm.exists) {
        zone->data = ((ngx_slab_pool_t *) zone->shm.addr)->data;
        return 1;
    }

    return 0;
}


static ngx_int_t
ngx_kong_zone_init(ngx_shm_zone_t *zone, void *data)
{
    ngx_slab_pool_t     *shpool;
    ngx_kong_control_t  *control;

    if (ngx_kong_zone_inherit(zone, data)) {
        return NGX_OK;
    }

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    /* a whole number of pages from the slab: aligned to cache lines */
    control = ngx_slab_calloc(shpool,
                              ngx_align(sizeof(ngx_kong_control_t),
                                        ngx_pagesize));
    if (control == NULL) {
        ngx_log_error(NGX_LOG_EMERG, zone->shm.log, 0,
                      "kong_zone of %uz bytes is too small", zone->shm.size);
        return NGX_ERROR;
    }

    control->counters = ngx_kong_counters_create(shpool, zone->shm.log);
    control->ledger = ngx_kong_ledger_create(shpool, zone->shm.log);

    if (control->counters == NULL || control->ledger == NULL) {
        return NGX_ERROR;
    }

    shpool->data = control;
    shpool->log_nomem = 0;
    zone->data = control;

    return NGX_OK;
}


ngx_kong_control_t *
ngx_kong_zone_control(ngx_shm_zone_t *zone)
{
    return zone->data;
}


void
ngx_kong_zone_lock(ngx_shm_zone_t *zone)
{
    ngx_shmtx_lock(&((ngx_slab_pool_t *) zone->shm.addr)->mutex);
}


void
ngx_kong_zone_unlock(ngx_shm_zone_t *zone)
{
    ngx_shmtx_unlock(&((ngx_slab_pool_t *) zone->shm.addr)->mutex);
}


ngx_uint_t
ngx_kong_zone_workers(ngx_kong_control_t *control, uint64_t epoch,
    ngx_uint_t *behind)
{
    ngx_uint_t          i, n;
    ngx_kong_worker_t  *worker;

    n = 0;
    *behind = 0;

    for (i = 0; i < NGX_KONG_MAX_WORKERS; i++) {
        worker = &control->workers[i];

        if (worker->pid == 0 || (kill((pid_t) worker->pid, 0) == -1
                                 && ngx_errno == NGX_ESRCH))
        {
            continue;
        }

        n++;
        *behind += (worker->epoch != epoch);
    }

    return n;
}
