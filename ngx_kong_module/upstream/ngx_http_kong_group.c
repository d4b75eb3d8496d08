/*
 * Groups: an endpoint of a segment with its slots in the zone, made when the
 * first request of this worker asks for it.  What is up is added up again
 * only when some worker has said that a target of the upstream changed.
 */

#include "ngx_http_kong_peer.h"


static ngx_http_kong_group_t *ngx_http_kong_group_create(
    ngx_http_request_t *r, ngx_kong_map_t *map,
    const kong_endpoint_t *endpoint);
static ngx_int_t ngx_http_kong_group_slots(ngx_http_request_t *r,
    ngx_kong_map_t *map, ngx_http_kong_group_t *group);
static void ngx_http_kong_group_count(ngx_http_kong_group_t *group);


ngx_http_kong_group_t *
ngx_http_kong_group_get(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx)
{
    ngx_kong_map_t          *map;
    const kong_endpoint_t   *endpoint;
    ngx_http_kong_group_t  **group;

    map = ctx->generation->endpoints;

    if (map == NULL) {
        return NULL;
    }

    endpoint = kong_segment_endpoint(&map->seg, ctx->service->endpoint);

    if (endpoint == NULL) {
        return NULL;
    }

    group = &map->groups[endpoint - map->seg.endpoints];

    if (*group == NULL) {
        *group = ngx_http_kong_group_create(r, map, endpoint);
    }

    return *group;
}


static ngx_http_kong_group_t *
ngx_http_kong_group_create(ngx_http_request_t *r, ngx_kong_map_t *map,
    const kong_endpoint_t *endpoint)
{
    ngx_http_kong_group_t  *group;

    group = ngx_pcalloc(map->pool, sizeof(ngx_http_kong_group_t));
    if (group == NULL) {
        return NULL;
    }

    group->name = kong_segment_str(&map->seg, endpoint->name);
    group->addresses = map->seg.addresses + endpoint->first;
    group->n = endpoint->n;
    group->balancer = kong_balancer(&map->seg, endpoint);

    /* workers must not walk in step */
    group->position = (ngx_uint_t) ngx_worker * 7;

    if (group->balancer == NULL) {
        return group;
    }

    group->health = kong_balancer_health(&map->seg, group->balancer);
    group->sequence = kong_balancer_table(&map->seg,
                                          group->balancer->sequence);
    group->ring = kong_balancer_table(&map->seg, group->balancer->ring);

    if (ngx_http_kong_group_slots(r, map, group) != NGX_OK) {
        return NULL;
    }

    return group;
}


static ngx_int_t
ngx_http_kong_group_slots(ngx_http_request_t *r, ngx_kong_map_t *map,
    ngx_http_kong_group_t *group)
{
    ngx_uint_t                  i;
    ngx_http_kong_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_kong_module);

    group->slot = ngx_kong_target_get(mcf->zone, group->balancer->id,
                                      r->connection->log);

    /* round-robin and hashing without health checks need no more */

    if (group->health == NULL
        && group->balancer->algorithm != KONG_LEAST_CONNECTIONS
        && group->balancer->algorithm != KONG_LATENCY)
    {
        return NGX_OK;
    }

    group->targets = ngx_pcalloc(map->pool,
                                 (group->n + 1)
                                 * sizeof(ngx_kong_target_t *));
    if (group->targets == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < group->n; i++) {
        group->targets[i] = ngx_kong_target_get(mcf->zone,
                                                group->addresses[i].id,
                                                r->connection->log);
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_kong_group_check(ngx_http_kong_group_t *group, ngx_uint_t percent,
    ngx_uint_t *panic)
{
    uint64_t                up;
    const kong_balancer_t  *b;

    *panic = 0;
    b = group->balancer;

    if (b == NULL) {
        return (group->n != 0) ? NGX_OK : NGX_BUSY;
    }

    if (b->weight == 0) {
        return NGX_BUSY;
    }

    if (group->health == NULL) {
        return NGX_OK;
    }

    if (!group->known
        || group->slot == NULL
        || group->slot->changes != group->changes)
    {
        ngx_http_kong_group_count(group);
    }

    if (group->usable == b->weight) {
        return NGX_OK;
    }

    up = (uint64_t) group->usable * 100;

    if (b->threshold != 0
        && up * 1000 <= (uint64_t) b->weight * b->threshold)
    {
        return NGX_BUSY;
    }

    if (up < (uint64_t) b->weight * percent) {
        *panic = 1;
        return NGX_OK;
    }

    return (group->usable != 0) ? NGX_OK : NGX_BUSY;
}


static void
ngx_http_kong_group_count(ngx_http_kong_group_t *group)
{
    ngx_uint_t  i;

    /* before the targets: a change meanwhile is counted again */

    group->changes = (group->slot != NULL) ? group->slot->changes : 0;
    ngx_memory_barrier();

    group->usable = 0;
    group->known = 1;

    for (i = 0; i < group->n; i++) {
        if (ngx_kong_target_is_up(group->targets[i])) {
            group->usable += group->addresses[i].weight;
        }
    }
}


void
ngx_http_kong_group_enter(ngx_http_kong_group_t *group,
    ngx_http_kong_ctx_t *ctx)
{
    if (ctx->group != NULL) {
        return;
    }

    ctx->group = group;
    group->active++;
}


void
ngx_http_kong_group_leave(ngx_http_kong_ctx_t *ctx)
{
    ctx->group->active--;

    if (ctx->retrying) {
        ctx->group->retries--;
        ctx->retrying = 0;
    }

    ctx->group = NULL;
}


ngx_int_t
ngx_http_kong_group_retry(ngx_http_kong_group_t *group,
    ngx_http_kong_ctx_t *ctx, ngx_http_kong_srv_conf_t *conf)
{
    ngx_uint_t  limit;

    if (ctx->retrying || ctx->group != group) {
        return NGX_OK;
    }

    limit = group->active * conf->retry_share / 100;

    if (group->retries >= ngx_max(limit, conf->retry_min)) {
        return NGX_DECLINED;
    }

    group->retries++;
    ctx->retrying = 1;

    return NGX_OK;
}


void
ngx_http_kong_group_tick(ngx_kong_map_t *map, ngx_shm_zone_t *zone,
    ngx_log_t *log)
{
    uint32_t                now;
    ngx_uint_t              i, k;
    ngx_http_kong_group_t  *group;

    if (map->groups == NULL) {
        return;
    }

    now = NGX_KONG_TARGETS_NOW;

    for (i = 0; i < map->seg.sections[KONG_SECTION_ENDPOINTS].n; i++) {

        group = map->groups[i];

        /*
         * Half a minute is often enough for slots that are kept for ten.  Not
         * the upstream's slot says when: a segment before this one may have
         * targets that only its last requests use.
         */

        if (group == NULL || now - group->told < 30) {
            continue;
        }

        group->told = now;

        for (k = 0; group->targets != NULL && k < group->n; k++) {
            if (group->targets[k] != NULL) {
                group->targets[k] = ngx_kong_target_keep(zone,
                                                   group->targets[k],
                                                   group->addresses[k].id,
                                                   log);
            }
        }

        if (group->slot != NULL) {
            group->slot = ngx_kong_target_keep(zone, group->slot,
                                               group->balancer->id, log);
            group->known = 0;
        }
    }
}
