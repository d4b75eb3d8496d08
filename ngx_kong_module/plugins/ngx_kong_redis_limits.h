/*
 * Rate limits in Redis, under Kong's keys: a Kong and this gateway may count
 * in one Redis.  A request is suspended while Redis is asked; what an answer
 * has used up is counted after the request's end.
 */

#ifndef NGX_KONG_REDIS_LIMITS_H
#define NGX_KONG_REDIS_LIMITS_H

#include "ngx_kong_limits.h"
#include "ngx_kong_redis.h"


/* one question of a request, in its pool, zeroed */
typedef struct {
    ngx_http_request_t  *request;
    ngx_kong_redis_t     op;
    ngx_int_t            rc;
    unsigned             pending:1;
} ngx_kong_redis_ask_t;

/* the counters of one caller in one set of limits */
typedef struct {
    ngx_kong_limits_t   *limits;
    ngx_str_t            identifier;
    ngx_kong_count_t    *counts;         /* `used` and `reset` are set */
    int64_t              amount;         /* to be added */
} ngx_kong_redis_limits_t;


/* each sets the command; `now` says which windows */

/* one item: as ngx_kong_counters_take().  values[0] is 1 if it has grown, what
 * was used before follows */
ngx_int_t ngx_kong_redis_take(ngx_kong_redis_t *op,
    ngx_kong_redis_limits_t *item, time_t now);
/* what is used of n items */
ngx_int_t ngx_kong_redis_read(ngx_kong_redis_t *op,
    ngx_kong_redis_limits_t *items, ngx_uint_t n, time_t now);
/* adds each item's amount, where it is not 0 */
ngx_int_t ngx_kong_redis_add(ngx_kong_redis_t *op,
    ngx_kong_redis_limits_t *items, ngx_uint_t n, time_t now);

/* adds what entries of the ledger owe; the values are the new sums */
ngx_int_t ngx_kong_redis_add_rows(ngx_kong_redis_t *op,
    ngx_kong_ledger_row_t *rows, ngx_uint_t n);

/* `used` and `reset` from the values of an item */
void ngx_kong_redis_used(ngx_kong_redis_limits_t *item, int64_t *values,
    time_t now);

/* NGX_OK, NGX_ERROR (reported), or NGX_AGAIN: the access handler returns it,
 * and is called again once ask->pending is 0; ask->rc is the result then */
ngx_int_t ngx_kong_redis_ask(ngx_http_request_t *r,
    ngx_kong_redis_ask_t *ask);

/* adds after the request's end; a failure is reported */
void ngx_kong_redis_post(ngx_http_request_t *r,
    ngx_kong_redis_server_t *server, ngx_kong_redis_limits_t *items,
    ngx_uint_t n, time_t now);

#endif
