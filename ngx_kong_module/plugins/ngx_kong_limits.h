/*
 * What the two rate limiting plugins share: limits a period as configured,
 * who is counted and by what policy, and the numbers in headers.
 */

#ifndef NGX_KONG_LIMITS_H
#define NGX_KONG_LIMITS_H

#include "ngx_kong_plugin.h"
#include "../zone/ngx_kong_ledger.h"


/* the longest text of a number */
#define NGX_KONG_LIMIT_TEXT  32

/* the longest identifier and name that are used as they are, outside of this
 * node */
#define NGX_KONG_LIMIT_ID    128
#define NGX_KONG_LIMIT_NAME  (NGX_KONG_LEDGER_TEXT - NGX_KONG_LIMIT_ID)

typedef enum {
    NGX_KONG_LIMITS_LOCAL = 0,
    NGX_KONG_LIMITS_CLUSTER,
    NGX_KONG_LIMITS_REDIS
} ngx_kong_limits_policy_t;

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
    const kong_plugin_t *record;         /* its scope */
    ngx_str_t            name;           /* when named, which those of
                                            response-ratelimiting are; long
                                            ones are their digest */
    ngx_str_t            prefix;         /* Kong's, of keys in Redis */
    unsigned             named:1;
} ngx_kong_limits_t;

typedef struct {
    ngx_kong_limit_by_t  by;
    ngx_str_t            header;         /* lower case */
    ngx_str_t            path;
} ngx_kong_limit_who_t;


/* NULL when there is no zone */
ngx_kong_counters_t *ngx_kong_limits_counters(void);
ngx_kong_ledger_t *ngx_kong_limits_ledger(void);

/* for prepare(): the periods of a configuration object; `name` is that of a
 * limit of response-ratelimiting, or NULL */
ngx_int_t ngx_kong_limits_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool,
    const kong_value_t *object, ngx_str_t *name, ngx_kong_limits_t *limits);
ngx_kong_limits_policy_t ngx_kong_limits_policy(ngx_kong_instance_t *in);
ngx_int_t ngx_kong_limits_who(ngx_kong_instance_t *in, ngx_pool_t *pool,
    ngx_kong_limit_who_t *who);

/* a text that stands for the caller; combine it with each limit's scope */
ngx_kong_counter_key_t ngx_kong_limits_identify(ngx_http_request_t *r,
    ngx_kong_counters_t *counters, ngx_kong_limit_who_t *who);
ngx_kong_counter_key_t ngx_kong_limits_key(ngx_kong_counters_t *counters,
    ngx_kong_limits_t *limits, ngx_kong_counter_key_t *who);

/* the caller as Kong names it in what nodes share: an id, an address, a text
 * of the client's.  What is long or no text is its digest */
ngx_int_t ngx_kong_limits_identifier(ngx_http_request_t *r,
    ngx_kong_limit_who_t *who, ngx_str_t *identifier);
/* the same caller in the ledger, in one set of limits */
void ngx_kong_limits_id(ngx_kong_counters_t *counters, uint64_t store,
    ngx_kong_limits_t *limits, ngx_str_t *identifier,
    ngx_kong_ledger_id_t *id);
/* "second" ... "year" */
ngx_str_t *ngx_kong_limits_period(ngx_kong_period_t period);
/* fills in what is configured */
void ngx_kong_limits_counts(ngx_kong_limits_t *limits,
    ngx_kong_count_t *counts);

/* up to NGX_KONG_LIMIT_TEXT bytes */
u_char *ngx_kong_limits_number(u_char *p, double n);

#endif
