/*
 * The publishes of this worker, see ngx_kong_publish.h.  The first one in the
 * queue is under way.  Two workers may have one each: which pair stays is
 * decided by their tickets (ngx_kong_generation_store()).
 */

#include "ngx_kong_publish.h"
#include "ngx_kong_verifier.h"


#define NGX_KONG_PUBLISH_MAPS  2


static ngx_int_t ngx_kong_publish_begin(ngx_kong_publish_t *publish,
    ngx_str_t *err);
static ngx_int_t ngx_kong_publish_open(ngx_kong_publish_t *publish,
    ngx_str_t *err);
static void ngx_kong_publish_read(void *data);
static void ngx_kong_publish_proven(void *data);
static ngx_int_t ngx_kong_publish_end(ngx_kong_publish_t *publish,
    ngx_str_t *err);
static ngx_int_t ngx_kong_publish_accept(ngx_kong_publish_t *publish,
    ngx_str_t *err);
static void ngx_kong_publish_release(ngx_kong_publish_t *publish);
static void ngx_kong_publish_tell(ngx_kong_publish_t *publish, ngx_int_t rc,
    ngx_str_t *err);


static ngx_queue_t  ngx_kong_publishes = {
    &ngx_kong_publishes, &ngx_kong_publishes
};

static const kong_segment_kind_t  ngx_kong_publish_kinds[] = {
    KONG_SEGMENT_CONFIG,
    KONG_SEGMENT_ENDPOINTS
};


ngx_kong_publish_t *
ngx_kong_publish_new(ngx_http_kong_main_conf_t *mcf, uint32_t config,
    uint32_t endpoints)
{
    ngx_kong_publish_t  *publish;

    publish = ngx_calloc(sizeof(ngx_kong_publish_t), ngx_cycle->log);
    if (publish == NULL) {
        return NULL;
    }

    publish->mcf = mcf;
    publish->generations[0] = config;
    publish->generations[1] = endpoints;

    return publish;
}


ngx_int_t
ngx_kong_publish_start(ngx_kong_publish_t *publish, ngx_str_t *err)
{
    ngx_int_t   rc;
    ngx_uint_t  first;

    publish->ticket = ngx_kong_generation_ticket(publish->mcf);

    first = ngx_queue_empty(&ngx_kong_publishes);
    ngx_queue_insert_tail(&ngx_kong_publishes, &publish->queue);

    if (!first) {
        return NGX_AGAIN;
    }

    rc = ngx_kong_publish_begin(publish, err);

    if (rc != NGX_AGAIN) {
        publish->handler = NULL;
        ngx_kong_publish_tell(publish, rc, err);
    }

    return rc;
}


static ngx_int_t
ngx_kong_publish_begin(ngx_kong_publish_t *publish, ngx_str_t *err)
{
    if (ngx_kong_publish_open(publish, err) != NGX_OK) {
        ngx_kong_publish_release(publish);
        return NGX_DECLINED;
    }

    if (publish->fresh[0] || publish->fresh[1]) {
        publish->flags = KONG_SEGMENT_VERIFY|KONG_SEGMENT_PATIENT;

        if (ngx_kong_verifier_start(ngx_kong_publish_read,
                                    ngx_kong_publish_proven, publish)
            == NGX_OK)
        {
            return NGX_AGAIN;
        }

        publish->flags = KONG_SEGMENT_VERIFY;
        ngx_kong_publish_read(publish);
    }

    return ngx_kong_publish_end(publish, err);
}


static ngx_int_t
ngx_kong_publish_open(ngx_kong_publish_t *publish, ngx_str_t *err)
{
    uint32_t             generation;
    ngx_uint_t           i;
    kong_segment_kind_t  kind;

    for (i = 0; i < NGX_KONG_PUBLISH_MAPS; i++) {

        generation = publish->generations[i];
        kind = ngx_kong_publish_kinds[i];

        if (generation == 0) {
            continue;
        }

        publish->maps[i] = ngx_kong_map_find(kind, generation);
        if (publish->maps[i] != NULL) {
            continue;
        }

        publish->maps[i] = ngx_kong_map_open(publish->mcf, kind, generation,
                                             err, ngx_cycle->log);
        if (publish->maps[i] == NULL) {
            return NGX_DECLINED;
        }

        publish->fresh[i] = 1;
    }

    return NGX_OK;
}


/* in the verifier's thread: nothing of nginx may be touched but the maps that
 * are nobody else's yet */
static void
ngx_kong_publish_read(void *data)
{
    ngx_kong_publish_t *publish = data;

    ngx_uint_t  i;

    for (i = 0; i < NGX_KONG_PUBLISH_MAPS; i++) {
        if (publish->fresh[i]) {
            ngx_kong_map_read(publish->maps[i], publish->flags);
        }
    }
}


/* ends the one under way and begins those behind it, up to one that takes
 * time */
static void
ngx_kong_publish_proven(void *data)
{
    ngx_int_t            rc;
    ngx_str_t            err;
    ngx_queue_t         *q;
    ngx_kong_publish_t  *publish = data;

    rc = ngx_kong_publish_end(publish, &err);

    for ( ;; ) {
        ngx_kong_publish_tell(publish, rc, &err);

        if (ngx_queue_empty(&ngx_kong_publishes)) {
            return;
        }

        q = ngx_queue_head(&ngx_kong_publishes);
        publish = ngx_queue_data(q, ngx_kong_publish_t, queue);

        rc = ngx_kong_publish_begin(publish, &err);

        if (rc == NGX_AGAIN) {
            return;
        }
    }
}


static ngx_int_t
ngx_kong_publish_end(ngx_kong_publish_t *publish, ngx_str_t *err)
{
    ngx_int_t               rc;
    ngx_kong_generation_t  *gen;

    rc = ngx_kong_publish_accept(publish, err);

    if (rc == NGX_OK) {

        if (ngx_kong_generation_store(publish->mcf, publish->ticket,
                                      publish->maps[0], publish->maps[1])
            != NGX_OK)
        {
            /* as if it had been stored just before the later one */
            ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                          "generation %uD.%uD comes behind a later publish",
                          publish->generations[0], publish->generations[1]);
        }

        /* this worker adopts at once: it then holds the only references */
        gen = ngx_kong_generation_get(publish->mcf, ngx_cycle->log);
        if (gen != NULL) {
            ngx_kong_generation_put(gen);
        }
    }

    ngx_kong_publish_release(publish);

    return rc;
}


/* what the module asks of a segment itself belongs to the loop */
static ngx_int_t
ngx_kong_publish_accept(ngx_kong_publish_t *publish, ngx_str_t *err)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_KONG_PUBLISH_MAPS; i++) {

        if (!publish->fresh[i]) {
            continue;
        }

        publish->fresh[i] = 0;
        publish->maps[i] = ngx_kong_map_accept(publish->maps[i],
                                               KONG_SEGMENT_VERIFY, err,
                                               ngx_cycle->log);
        if (publish->maps[i] == NULL) {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


static void
ngx_kong_publish_release(ngx_kong_publish_t *publish)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_KONG_PUBLISH_MAPS; i++) {

        if (publish->maps[i] == NULL) {
            continue;
        }

        if (publish->fresh[i]) {
            ngx_kong_map_drop(publish->maps[i]);

        } else {
            ngx_kong_map_put(publish->maps[i]);
        }

        publish->maps[i] = NULL;
        publish->fresh[i] = 0;
    }
}


static void
ngx_kong_publish_tell(ngx_kong_publish_t *publish, ngx_int_t rc,
    ngx_str_t *err)
{
    if (rc == NGX_OK) {
        ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                      "generation %uD.%uD is current",
                      publish->generations[0], publish->generations[1]);

    } else {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "generation %uD.%uD is refused, the one before stays: "
                      "%V", publish->generations[0], publish->generations[1],
                      err);
    }

    if (publish->handler != NULL) {
        publish->handler(publish->data, rc, err);
    }

    ngx_queue_remove(&publish->queue);
    ngx_free(publish);
}
