/*
 * Counters of the rate limits, in the shared zone.  An identity (128 bits) has
 * one counter a period; a counter holds the number of its current window.
 * All counters of an identity lie in one bucket, under one short lock, so
 * that several periods are checked and counted as one step: exact across
 * workers.
 *
 * The table is carved from the zone once and never grows.  A full bucket
 * gives up what has expired, then what was not used for the longest time; a
 * request is never refused for want of room.  Counters survive a reload, as
 * the zone does.
 */

#ifndef NGX_KONG_COUNTERS_H
#define NGX_KONG_COUNTERS_H

#include <ngx_config.h>
#include <ngx_core.h>


/* in the order of their length */
typedef enum {
    NGX_KONG_SECOND = 0,
    NGX_KONG_MINUTE,
    NGX_KONG_HOUR,
    NGX_KONG_DAY,
    NGX_KONG_MONTH,
    NGX_KONG_YEAR,
    NGX_KONG_PERIODS
} ngx_kong_period_t;

typedef struct ngx_kong_counters_s  ngx_kong_counters_t;

typedef struct {
    uint64_t           low;
    uint64_t           high;
} ngx_kong_counter_key_t;

typedef struct {
    ngx_kong_period_t  period;
    double             limit;
    double             used;             /* out: in this window, without what
                                            this call has added */
    time_t             reset;            /* out: seconds to the window's end */
} ngx_kong_count_t;


/* in a zone that is being made; NULL: it is too small, which is logged */
ngx_kong_counters_t *ngx_kong_counters_create(ngx_slab_pool_t *shpool,
    ngx_log_t *log);

/* of any text; seeded, so that nobody can choose collisions */
ngx_kong_counter_key_t ngx_kong_counters_key(ngx_kong_counters_t *counters,
    const void *data, size_t len);

/* the start and the end of the period's window that holds `now` (UTC) */
void ngx_kong_counters_window(ngx_kong_period_t period, time_t now,
    time_t *start, time_t *end);

/*
 * NGX_OK: every count was below its limit, and each has grown by one.
 * NGX_BUSY: one or more were not, none has grown.  used and reset are set.
 */
ngx_int_t ngx_kong_counters_take(ngx_kong_counters_t *counters,
    ngx_kong_counter_key_t *key, ngx_kong_count_t *counts, ngx_uint_t n);

/* sets used and reset only */
void ngx_kong_counters_read(ngx_kong_counters_t *counters,
    ngx_kong_counter_key_t *key, ngx_kong_count_t *counts, ngx_uint_t n);

/* adds without a look at the limits; used is what was there before */
void ngx_kong_counters_add(ngx_kong_counters_t *counters,
    ngx_kong_counter_key_t *key, ngx_kong_count_t *counts, ngx_uint_t n,
    double amount);

#endif
