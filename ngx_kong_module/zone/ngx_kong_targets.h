/*
 * Target slots: what the workers share of an address of an upstream (and of
 * the upstream itself): requests under way, latency, health, the position of
 * round-robin.  A slot is one cache line, found by a stable id when a worker
 * adopts a segment and kept by pointer from then on, so that it survives
 * snapshots and reloads.  What is unused for ten minutes is given back.
 *
 * Slots are read and written with atomic operations only; the zone's lock
 * guards finding, making and freeing them.
 */

#ifndef NGX_KONG_TARGETS_H
#define NGX_KONG_TARGETS_H

#include "ngx_kong_zone.h"


typedef struct ngx_kong_target_s  ngx_kong_target_t;

struct ngx_kong_target_s {
    uint64_t             id;
    ngx_kong_target_t   *next;       /* in the bucket, or of the free ones */
    ngx_atomic_t         active;     /* requests under way */
    ngx_atomic_t         health;     /* state and counters, see below */
    ngx_atomic_t         latency;    /* ms as a float << 32 | when, ms */
    ngx_atomic_t         position;   /* of an upstream: round-robin's */
    ngx_atomic_t         changes;    /* of an upstream: of its health */
    uint32_t             index;
    uint32_t             seen;       /* last use; see NGX_KONG_TARGETS_NOW */
};

/* s since the machine began: a wall clock that is set makes nothing old */
#define NGX_KONG_TARGETS_NOW  ((uint32_t) (ngx_current_msec / 1000))

/* the "mostly" states are those on the way out of the others */
typedef enum {
    NGX_KONG_HEALTHY = 0,
    NGX_KONG_MOSTLY_HEALTHY,
    NGX_KONG_MOSTLY_UNHEALTHY,
    NGX_KONG_UNHEALTHY
} ngx_kong_health_state_t;

/* counters, also the number of their byte in ngx_kong_target_t.health */
typedef enum {
    NGX_KONG_COUNT_SUCCESS = 1,
    NGX_KONG_COUNT_HTTP,
    NGX_KONG_COUNT_TCP,
    NGX_KONG_COUNT_TIMEOUT
} ngx_kong_health_count_t;

/* what a report did */
typedef struct {
    ngx_uint_t   count;              /* 0: the report was ignored */
    ngx_uint_t   changed;            /* the target went up or down */
    ngx_uint_t   state;
} ngx_kong_health_report_t;


#define ngx_kong_target_state(t)                                             \
    ((ngx_kong_health_state_t) ((t)->health & 0xff))

#define ngx_kong_target_is_up(t)                                             \
    ((t) == NULL || ((t)->health & 0xff) <= NGX_KONG_MOSTLY_HEALTHY)


/* NULL when the zone is full, which is counted and logged */
ngx_kong_target_t *ngx_kong_target_get(ngx_shm_zone_t *zone, uint64_t id,
    ngx_log_t *log);

/* for who holds on to `t`, found for `id`: it is in use.  Returns it, or what
 * ngx_kong_target_get() does when it was given away meanwhile */
ngx_kong_target_t *ngx_kong_target_keep(ngx_shm_zone_t *zone,
    ngx_kong_target_t *t, uint64_t id, ngx_log_t *log);

/* the same, but no slot is made: NULL when there is none */
ngx_kong_target_t *ngx_kong_target_peek(ngx_shm_zone_t *zone, uint64_t id);

/* a request begins and ends; what a killed worker had is taken back */
void ngx_kong_target_enter(ngx_kong_target_t *t);
void ngx_kong_target_leave(ngx_kong_target_t *t);

/* peak EWMA, decaying over ten seconds: `ms` counts fully when it is more */
void ngx_kong_target_latency_add(ngx_kong_target_t *t, double ms);
/* < 0: nothing is known of it */
double ngx_kong_target_latency(ngx_kong_target_t *t);

/* `limit` 0: the counter is not looked at */
void ngx_kong_target_report(ngx_kong_target_t *t,
    ngx_kong_health_count_t kind, ngx_uint_t limit,
    ngx_kong_health_report_t *report);
/* firm, with counters at zero; 1 when the target went up or down */
ngx_uint_t ngx_kong_target_set_health(ngx_kong_target_t *t,
    ngx_kong_health_state_t state);

/* grows whenever a target's health, of whatever upstream, becomes another; an
 * nginx that starts begins with another number */
ngx_atomic_uint_t ngx_kong_targets_version(ngx_shm_zone_t *zone);
/* for ngx_kong_health.c: it has become another */
void ngx_kong_targets_changed(void);

/* the worker's own part; called before any request */
void ngx_kong_targets_init_worker(ngx_shm_zone_t *zone, ngx_log_t *log);
/* each second, by each worker */
void ngx_kong_targets_tick(ngx_shm_zone_t *zone, ngx_log_t *log);
/* slots in use, and requests for one that were refused */
void ngx_kong_targets_count(ngx_shm_zone_t *zone, ngx_uint_t *used,
    ngx_uint_t *refused);

#endif
