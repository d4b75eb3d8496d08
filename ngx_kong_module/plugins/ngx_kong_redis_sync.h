/*
 * Rate limits in Redis with a sync_rate: requests are decided by the ledger of
 * the zone, and a timer of each worker carries what it owes to Redis.
 */

#ifndef NGX_KONG_REDIS_SYNC_H
#define NGX_KONG_REDIS_SYNC_H

#include "ngx_kong_limits.h"
#include "ngx_kong_redis.h"


typedef struct ngx_kong_redis_sync_s  ngx_kong_redis_sync_t;


/* for prepare(): ends with the pool; NULL when out of memory */
ngx_kong_redis_sync_t *ngx_kong_redis_sync_create(ngx_pool_t *pool,
    ngx_kong_redis_server_t *server, double rate);
/* the ledger's name of the server */
uint64_t ngx_kong_redis_sync_store(ngx_kong_redis_sync_t *sync);
/* something is owed */
void ngx_kong_redis_sync_soon(ngx_kong_redis_sync_t *sync);
/* the last push has come to its end, or there is nothing to push */
ngx_uint_t ngx_kong_redis_sync_is_kept(ngx_kong_redis_sync_t *sync);

#endif
