/*
 * What the two rate limiting plugins share: limits a period as configured,
 * who is counted, and the numbers in headers.
 */

#ifndef NGX_KONG_LIMITS_H
#define NGX_KONG_LIMITS_H

#include "ngx_kong_plugin.h"
#include "../zone/ngx_kong_counters.h"


/* the longest text of a number */
#define NGX_KONG_LIMIT_TEXT  32

typedef enum {
    NGX_KONG_BY_CONSUMER = 0,
    NGX_KONG_BY_CREDENTIAL,
    NGX_KONG_BY_IP,
    NGX_KONG_BY_SERVICE,
    NGX_KONG_BY_HEADER,
    NGX_KONG_BY_PATH
} ngx_kong_limit_by_t;

typedef struct {
    ngx_kong_period_t    period;
    double               limit;
    ngx_str_t            text;           /* of the limit */
    ngx_str_t            limit_name;     /* X-RateLimit-Limit-... */
    ngx_str_t            remaining_name;
} ngx_kong_limit_t;

typedef struct {
    ngx_kong_limit_t     items[NGX_KONG_PERIODS];
    ngx_uint_t           n;
    ngx_kong_counter_key_t  scope;       /* the plugin's, and the name */
} ngx_kong_limits_t;

typedef struct {
    ngx_kong_limit_by_t  by;
    ngx_str_t            header;         /* lower case */
    ngx_str_t            path;
} ngx_kong_limit_who_t;


/* NULL when there is no zone */
ngx_kong_counters_t *ngx_kong_limits_counters(void);

/* for prepare(): the periods of a configuration object; `name` is that of a
 * limit of response-ratelimiting, or NULL */
ngx_int_t ngx_kong_limits_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool,
    const kong_value_t *object, ngx_str_t *name, ngx_kong_limits_t *limits);
ngx_int_t ngx_kong_limits_who(ngx_kong_instance_t *in, ngx_pool_t *pool,
    ngx_kong_limit_who_t *who);

/* a text that stands for the caller; combine it with each limit's scope */
ngx_kong_counter_key_t ngx_kong_limits_identify(ngx_http_request_t *r,
    ngx_kong_counters_t *counters, ngx_kong_limit_who_t *who);
ngx_kong_counter_key_t ngx_kong_limits_key(ngx_kong_counters_t *counters,
    ngx_kong_limits_t *limits, ngx_kong_counter_key_t *who);

/* up to NGX_KONG_LIMIT_TEXT bytes */
u_char *ngx_kong_limits_number(u_char *p, double n);

#endif
