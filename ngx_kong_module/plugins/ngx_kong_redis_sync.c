/*
 * Carrying the ledger to Redis: see ngx_kong_redis_sync.h.  All workers carry
 * for all of them; a batch is one script, whose answer is the new sums.  What
 * a push has not brought there is owed again; whether Redis has got it all
 * the same nobody knows then, and a request too many counted is better than
 * one too few.
 */

#include "ngx_kong_redis_limits.h"
#include "ngx_kong_redis_sync.h"


#define NGX_KONG_REDIS_SYNC_MIN    20        /* ms, Kong's */
#define NGX_KONG_REDIS_SYNC_MAX    3600000
#define NGX_KONG_REDIS_SYNC_RETRY  500


struct ngx_kong_redis_sync_s {
    ngx_event_t               event;
    ngx_kong_redis_server_t  *server;
    ngx_kong_ledger_t        *ledger;
    uint64_t                  store;
    ngx_msec_t                rate;

    ngx_kong_redis_t         *op;        /* under way, in its pool */
    ngx_kong_ledger_row_t    *rows;
    ngx_uint_t                n;
    unsigned                  failing:1;
};


static void ngx_kong_redis_sync_event(ngx_event_t *ev);
static ngx_int_t ngx_kong_redis_sync_begin(ngx_kong_redis_sync_t *sync);
static ngx_int_t ngx_kong_redis_sync_start(ngx_kong_redis_sync_t *sync);
static void ngx_kong_redis_sync_done(void *data, ngx_int_t rc);
static void ngx_kong_redis_sync_end(ngx_kong_redis_sync_t *sync,
    ngx_int_t rc);
static void ngx_kong_redis_sync_gone(void *data);


ngx_kong_redis_sync_t *
ngx_kong_redis_sync_create(ngx_pool_t *pool, ngx_kong_redis_server_t *server,
    double rate)
{
    ngx_pool_cleanup_t     *cln;
    ngx_kong_redis_sync_t  *sync;

    sync = ngx_pcalloc(pool, sizeof(ngx_kong_redis_sync_t));
    cln = ngx_pool_cleanup_add(pool, 0);

    if (sync == NULL || cln == NULL) {
        return NULL;
    }

    sync->ledger = ngx_kong_limits_ledger();
    sync->server = server;
    ngx_memcpy(&sync->store, server->key, sizeof(sync->store));

    /* not the database's name */
    sync->store |= (uint64_t) 1 << 63;

    rate *= 1000;
    rate = ngx_min(rate, NGX_KONG_REDIS_SYNC_MAX);
    sync->rate = (ngx_msec_t) ngx_max(rate, NGX_KONG_REDIS_SYNC_MIN);

    sync->event.handler = ngx_kong_redis_sync_event;
    sync->event.data = sync;
    sync->event.log = ngx_cycle->log;
    sync->event.cancelable = 1;

    cln->handler = ngx_kong_redis_sync_gone;
    cln->data = sync;

    return sync->ledger != NULL ? sync : NULL;
}


uint64_t
ngx_kong_redis_sync_store(ngx_kong_redis_sync_t *sync)
{
    return sync->store;
}


ngx_uint_t
ngx_kong_redis_sync_is_kept(ngx_kong_redis_sync_t *sync)
{
    return !sync->failing;
}


void
ngx_kong_redis_sync_soon(ngx_kong_redis_sync_t *sync)
{
    if (sync->op == NULL && !sync->event.timer_set) {
        ngx_add_timer(&sync->event, sync->rate);
    }
}


static void
ngx_kong_redis_sync_event(ngx_event_t *ev)
{
    ngx_kong_redis_sync_t  *sync;

    sync = ev->data;

    if (ngx_exiting || ngx_terminate || sync->op != NULL) {
        return;
    }

    if (ngx_kong_redis_sync_begin(sync) != NGX_OK) {
        ngx_kong_redis_sync_soon(sync);
    }
}


/* NGX_OK: under way, or nothing is owed */
static ngx_int_t
ngx_kong_redis_sync_begin(ngx_kong_redis_sync_t *sync)
{
    ngx_int_t    rc;
    ngx_pool_t  *pool;

    pool = ngx_create_pool(4096, ngx_cycle->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    sync->op = ngx_pcalloc(pool, sizeof(ngx_kong_redis_t));
    sync->rows = ngx_palloc(pool, NGX_KONG_LEDGER_BATCH
                                  * sizeof(ngx_kong_ledger_row_t));

    if (sync->op == NULL || sync->rows == NULL) {
        sync->op = NULL;
        ngx_destroy_pool(pool);
        return NGX_ERROR;
    }

    sync->n = ngx_kong_ledger_collect(sync->ledger, sync->store, sync->rows,
                                      NGX_KONG_LEDGER_BATCH);
    if (sync->n == 0) {
        /* whether Redis counts again shows with what is owed next */
        sync->failing = 0;
        sync->op = NULL;
        ngx_destroy_pool(pool);
        return NGX_OK;
    }

    sync->op->pool = pool;
    sync->op->server = sync->server;
    sync->op->done = ngx_kong_redis_sync_done;
    sync->op->data = sync;

    rc = ngx_kong_redis_sync_start(sync);

    if (rc != NGX_AGAIN) {
        ngx_kong_redis_sync_done(sync, rc);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_kong_redis_sync_start(ngx_kong_redis_sync_t *sync)
{
    ngx_int_t                   rc;
    ngx_kong_generation_t      *generation;
    ngx_http_kong_main_conf_t  *mcf;

    if (ngx_kong_redis_add_rows(sync->op, sync->rows, sync->n) != NGX_OK) {
        return NGX_ERROR;
    }

    mcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                              ngx_http_kong_module);

    generation = ngx_kong_generation_get(mcf, ngx_cycle->log);

    rc = ngx_kong_redis_start(sync->op,
                              generation ? generation->endpoints : NULL);

    if (generation != NULL) {
        ngx_kong_generation_put(generation);
    }

    return rc;
}


static void
ngx_kong_redis_sync_done(void *data, ngx_int_t rc)
{
    ngx_uint_t              more;
    ngx_kong_redis_sync_t  *sync;

    sync = data;
    more = (sync->n == NGX_KONG_LEDGER_BATCH);

    if (rc != NGX_OK) {
        ngx_kong_redis_report(sync->op, ngx_cycle->log);
    }

    sync->failing = (rc != NGX_OK);
    ngx_kong_redis_sync_end(sync, rc);

    /* until nothing is owed any more */

    if (rc != NGX_OK) {
        ngx_add_timer(&sync->event, ngx_max(sync->rate,
                                            NGX_KONG_REDIS_SYNC_RETRY));
        return;
    }

    ngx_add_timer(&sync->event, more ? 1 : sync->rate);
}


static void
ngx_kong_redis_sync_end(ngx_kong_redis_sync_t *sync, ngx_int_t rc)
{
    ngx_uint_t              i;
    ngx_pool_t             *pool;
    ngx_kong_ledger_row_t  *row;

    for (i = 0; i < sync->n; i++) {
        row = &sync->rows[i];

        if (rc == NGX_OK) {
            ngx_kong_ledger_settle(sync->ledger, row->place,
                                   row->entry.flight, sync->op->values[i]);

        } else {
            ngx_kong_ledger_return(sync->ledger, row->place,
                                   row->entry.flight);
        }
    }

    pool = sync->op->pool;
    sync->op = NULL;
    ngx_destroy_pool(pool);
}


/* with its configuration: what is owed stays in the ledger */
static void
ngx_kong_redis_sync_gone(void *data)
{
    ngx_kong_redis_sync_t *sync = data;

    if (sync->event.timer_set) {
        ngx_del_timer(&sync->event);
    }

    if (sync->op != NULL) {
        ngx_kong_redis_cancel(sync->op);
        ngx_kong_redis_sync_end(sync, NGX_ERROR);
    }
}
