/*
 * Target slots: see ngx_kong_targets.h.
 *
 * Slots are allocated a page at a time.  Every worker keeps a ledger in the
 * zone, one number a slot, of the requests that it has under way; when its
 * process is gone, whoever notices takes them out of the slots.
 */

#include "ngx_kong_targets.h"

#include <math.h>
#include <signal.h>


#define NGX_KONG_TARGETS_CHUNK    64
#define NGX_KONG_TARGETS_CHUNKS   1024
#define NGX_KONG_TARGETS_BUCKETS  1024
#define NGX_KONG_TARGETS_LEDGERS  256
#define NGX_KONG_TARGETS_KEEP     600       /* s */
#define NGX_KONG_TARGETS_SWEEP    60
#define NGX_KONG_TARGETS_DECAY    10000.0   /* ms */


typedef struct {
    ngx_atomic_t         pid;
    uint32_t            *counts[NGX_KONG_TARGETS_CHUNKS];
} ngx_kong_ledger_t;

struct ngx_kong_targets_s {
    ngx_kong_target_t   *buckets[NGX_KONG_TARGETS_BUCKETS];
    ngx_kong_target_t   *chunks[NGX_KONG_TARGETS_CHUNKS];
    ngx_kong_ledger_t   *ledgers[NGX_KONG_TARGETS_LEDGERS];
    ngx_kong_target_t   *free;
    ngx_uint_t           n_chunks;
    ngx_uint_t           used;
    ngx_uint_t           refused;
    ngx_atomic_t         version;    /* of the health of all */
    uint32_t             swept;
    uint32_t             complained;
};

typedef struct ngx_kong_targets_s  ngx_kong_targets_t;


static ngx_kong_targets_t *ngx_kong_targets(ngx_shm_zone_t *zone);
static ngx_kong_target_t *ngx_kong_target_find(ngx_kong_targets_t *ts,
    uint64_t id);
static ngx_kong_target_t *ngx_kong_target_create(ngx_shm_zone_t *zone,
    ngx_kong_targets_t *ts, uint64_t id);
static ngx_int_t ngx_kong_targets_grow(ngx_shm_zone_t *zone,
    ngx_kong_targets_t *ts);
static void ngx_kong_targets_sweep(ngx_kong_targets_t *ts);
static uint32_t *ngx_kong_ledger(ngx_kong_target_t *t);
static ngx_kong_ledger_t *ngx_kong_ledger_claim(ngx_shm_zone_t *zone,
    ngx_kong_targets_t *ts);
static void ngx_kong_ledger_reclaim(ngx_kong_targets_t *ts,
    ngx_kong_ledger_t *ledger);
static ngx_uint_t ngx_kong_pid_is_dead(ngx_atomic_uint_t pid);
static uint64_t ngx_kong_latency_word(double ms, uint32_t now);
static double ngx_kong_latency_value(uint64_t word, uint32_t now);


static ngx_shm_zone_t     *ngx_kong_targets_zone;
static ngx_kong_ledger_t  *ngx_kong_targets_ledger;


ngx_kong_target_t *
ngx_kong_target_get(ngx_shm_zone_t *zone, uint64_t id, ngx_log_t *log)
{
    uint32_t             now;
    ngx_uint_t           complain;
    ngx_kong_target_t   *t;
    ngx_kong_targets_t  *ts;

    t = NULL;
    complain = 0;
    now = NGX_KONG_TARGETS_NOW;

    ngx_kong_zone_lock(zone);

    ts = ngx_kong_targets(zone);

    if (ts != NULL) {
        t = ngx_kong_target_find(ts, id);

        if (t == NULL) {
            t = ngx_kong_target_create(zone, ts, id);
        }

        if (t != NULL) {
            t->seen = now;

        } else {
            complain = (ts->refused++ == 0
                        || now - ts->complained >= NGX_KONG_TARGETS_SWEEP);

            if (complain) {
                ts->complained = now;
            }
        }
    }

    ngx_kong_zone_unlock(zone);

    if (complain || ts == NULL) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "kong_zone is full: some targets are balanced without "
                      "health and counters; a larger kong_zone is needed");
    }

    return t;
}


ngx_kong_target_t *
ngx_kong_target_peek(ngx_shm_zone_t *zone, uint64_t id)
{
    ngx_kong_target_t   *t;
    ngx_kong_targets_t  *ts;

    ngx_kong_zone_lock(zone);

    ts = ngx_kong_zone_control(zone)->targets;
    t = (ts != NULL) ? ngx_kong_target_find(ts, id) : NULL;

    if (t != NULL) {
        t->seen = NGX_KONG_TARGETS_NOW;
    }

    ngx_kong_zone_unlock(zone);

    return t;
}


ngx_kong_target_t *
ngx_kong_target_keep(ngx_shm_zone_t *zone, ngx_kong_target_t *t, uint64_t id,
    ngx_log_t *log)
{
    if (t->id != id) {
        return ngx_kong_target_get(zone, id, log);
    }

    t->seen = NGX_KONG_TARGETS_NOW;

    return t;
}


/* with the lock; made on first use */
static ngx_kong_targets_t *
ngx_kong_targets(ngx_shm_zone_t *zone)
{
    ngx_slab_pool_t     *shpool;
    ngx_kong_control_t  *control;

    control = ngx_kong_zone_control(zone);

    if (control->targets == NULL) {
        shpool = (ngx_slab_pool_t *) zone->shm.addr;
        control->targets = ngx_slab_calloc_locked(shpool,
                                              sizeof(ngx_kong_targets_t));

        if (control->targets != NULL) {
            control->targets->version = (ngx_atomic_uint_t) ngx_time() << 24;
        }
    }

    return control->targets;
}


ngx_atomic_uint_t
ngx_kong_targets_version(ngx_shm_zone_t *zone)
{
    ngx_kong_targets_t  *ts;

    ts = ngx_kong_zone_control(zone)->targets;

    return (ts != NULL) ? ts->version : 0;
}


void
ngx_kong_targets_changed(void)
{
    ngx_kong_targets_t  *ts;

    ts = ngx_kong_zone_control(ngx_kong_targets_zone)->targets;

    if (ts != NULL) {
        (void) ngx_atomic_fetch_add(&ts->version, 1);
    }
}


static ngx_kong_target_t *
ngx_kong_target_find(ngx_kong_targets_t *ts, uint64_t id)
{
    ngx_kong_target_t  *t;

    t = ts->buckets[id % NGX_KONG_TARGETS_BUCKETS];

    while (t != NULL && t->id != id) {
        t = t->next;
    }

    return t;
}


static ngx_kong_target_t *
ngx_kong_target_create(ngx_shm_zone_t *zone, ngx_kong_targets_t *ts,
    uint64_t id)
{
    uint32_t             index;
    ngx_kong_target_t   *t, **bucket;

    if (ts->free == NULL && ngx_kong_targets_grow(zone, ts) != NGX_OK) {
        ngx_kong_targets_sweep(ts);
    }

    t = ts->free;
    if (t == NULL) {
        return NULL;
    }

    ts->free = t->next;
    ts->used++;

    index = t->index;
    ngx_memzero(t, sizeof(ngx_kong_target_t));
    t->index = index;
    t->id = id;

    bucket = &ts->buckets[id % NGX_KONG_TARGETS_BUCKETS];
    t->next = *bucket;
    *bucket = t;

    return t;
}


static ngx_int_t
ngx_kong_targets_grow(ngx_shm_zone_t *zone, ngx_kong_targets_t *ts)
{
    uint32_t            first;
    ngx_uint_t          i;
    ngx_slab_pool_t    *shpool;
    ngx_kong_target_t  *chunk;

    if (ts->n_chunks == NGX_KONG_TARGETS_CHUNKS) {
        return NGX_DECLINED;
    }

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    chunk = ngx_slab_calloc_locked(shpool, NGX_KONG_TARGETS_CHUNK
                                           * sizeof(ngx_kong_target_t));
    if (chunk == NULL) {
        return NGX_DECLINED;
    }

    first = (uint32_t) (ts->n_chunks * NGX_KONG_TARGETS_CHUNK);

    /* before its slots are free: a worker may die here, numbers stay unique */
    ts->chunks[ts->n_chunks++] = chunk;
    ngx_memory_barrier();

    for (i = 0; i < NGX_KONG_TARGETS_CHUNK; i++) {
        chunk[i].index = first + (uint32_t) i;
        chunk[i].next = ts->free;
        ngx_memory_barrier();
        ts->free = &chunk[i];
    }

    return NGX_OK;
}


/*
 * Each worker says every half minute what it still uses.  A worker that was
 * stopped for longer than slots are kept may write to one that has been
 * given away, until it looks (ngx_kong_target_keep): a wrong count, nothing
 * worse.
 */

static void
ngx_kong_targets_sweep(ngx_kong_targets_t *ts)
{
    uint32_t             now;
    ngx_uint_t           i;
    ngx_kong_target_t   *t, **p;

    now = NGX_KONG_TARGETS_NOW;
    ts->swept = now;

    for (i = 0; i < NGX_KONG_TARGETS_BUCKETS; i++) {

        for (p = &ts->buckets[i]; (t = *p) != NULL; /* void */ ) {

            if (t->active != 0
                || (int32_t) (now - t->seen) < NGX_KONG_TARGETS_KEEP)
            {
                p = &t->next;
                continue;
            }

            *p = t->next;
            t->id = 0;
            t->next = ts->free;
            ts->free = t;
            ts->used--;
        }
    }
}


void
ngx_kong_target_enter(ngx_kong_target_t *t)
{
    uint32_t  *count;

    count = ngx_kong_ledger(t);

    if (count != NULL) {
        (*count)++;
    }

    (void) ngx_atomic_fetch_add(&t->active, 1);
}


void
ngx_kong_target_leave(ngx_kong_target_t *t)
{
    uint32_t  *count;

    (void) ngx_atomic_fetch_add(&t->active, -1);

    count = ngx_kong_ledger(t);

    if (count != NULL && *count != 0) {
        (*count)--;
    }
}


/* the worker's count of the slot; NULL when there is no memory for it */

static uint32_t *
ngx_kong_ledger(ngx_kong_target_t *t)
{
    uint32_t  **chunk;

    if (ngx_kong_targets_ledger == NULL) {
        return NULL;
    }

    chunk = &ngx_kong_targets_ledger->counts[t->index
                                             / NGX_KONG_TARGETS_CHUNK];

    if (*chunk == NULL) {
        *chunk = ngx_slab_calloc(
                     (ngx_slab_pool_t *) ngx_kong_targets_zone->shm.addr,
                     NGX_KONG_TARGETS_CHUNK * sizeof(uint32_t));
        if (*chunk == NULL) {
            return NULL;
        }
    }

    return *chunk + t->index % NGX_KONG_TARGETS_CHUNK;
}


void
ngx_kong_targets_init_worker(ngx_shm_zone_t *zone, ngx_log_t *log)
{
    ngx_kong_targets_t  *ts;

    ngx_kong_targets_zone = zone;
    ngx_kong_targets_ledger = NULL;

    ngx_kong_zone_lock(zone);

    ts = ngx_kong_targets(zone);

    if (ts != NULL) {
        ngx_kong_targets_ledger = ngx_kong_ledger_claim(zone, ts);
    }

    ngx_kong_zone_unlock(zone);

    if (ngx_kong_targets_ledger == NULL) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "kong_zone has no room for this worker's counts of "
                      "requests under way: they are not corrected if it is "
                      "killed");
    }
}


static ngx_kong_ledger_t *
ngx_kong_ledger_claim(ngx_shm_zone_t *zone, ngx_kong_targets_t *ts)
{
    ngx_uint_t           i;
    ngx_kong_ledger_t  **ledger;

    for (i = 0; i < NGX_KONG_TARGETS_LEDGERS; i++) {

        ledger = &ts->ledgers[i];

        if (*ledger == NULL) {
            *ledger = ngx_slab_calloc_locked(
                          (ngx_slab_pool_t *) zone->shm.addr,
                          sizeof(ngx_kong_ledger_t));
            if (*ledger == NULL) {
                return NULL;
            }

        } else if ((*ledger)->pid != 0) {

            if ((*ledger)->pid != (ngx_atomic_uint_t) ngx_pid
                && !ngx_kong_pid_is_dead((*ledger)->pid))
            {
                continue;
            }

            ngx_kong_ledger_reclaim(ts, *ledger);
        }

        (*ledger)->pid = ngx_pid;
        return *ledger;
    }

    return NULL;
}


static void
ngx_kong_ledger_reclaim(ngx_kong_targets_t *ts, ngx_kong_ledger_t *ledger)
{
    uint32_t    *counts;
    ngx_uint_t   i, k;

    for (i = 0; i < ts->n_chunks; i++) {

        counts = ledger->counts[i];

        for (k = 0; counts != NULL && k < NGX_KONG_TARGETS_CHUNK; k++) {
            if (counts[k] != 0) {
                (void) ngx_atomic_fetch_add(&ts->chunks[i][k].active,
                                       - (ngx_atomic_int_t) counts[k]);
                counts[k] = 0;
            }
        }
    }

    ledger->pid = 0;
}


static ngx_uint_t
ngx_kong_pid_is_dead(ngx_atomic_uint_t pid)
{
    return kill((pid_t) pid, 0) == -1 && ngx_errno == NGX_ESRCH;
}


void
ngx_kong_targets_tick(ngx_shm_zone_t *zone, ngx_log_t *log)
{
    ngx_uint_t           i;
    ngx_kong_ledger_t   *ledger;
    ngx_kong_targets_t  *ts;

    ngx_kong_zone_lock(zone);

    ts = ngx_kong_targets(zone);

    if (ts == NULL) {
        ngx_kong_zone_unlock(zone);
        return;
    }

    for (i = 0; i < NGX_KONG_TARGETS_LEDGERS; i++) {
        ledger = ts->ledgers[i];

        if (ledger != NULL && ledger->pid != 0
            && ngx_kong_pid_is_dead(ledger->pid))
        {
            ngx_log_error(NGX_LOG_INFO, log, 0,
                          "requests of worker %uA, which is gone, are no "
                          "longer counted", ledger->pid);
            ngx_kong_ledger_reclaim(ts, ledger);
        }
    }

    if (NGX_KONG_TARGETS_NOW - ts->swept >= NGX_KONG_TARGETS_SWEEP) {
        ngx_kong_targets_sweep(ts);
    }

    ngx_kong_zone_unlock(zone);
}


void
ngx_kong_targets_count(ngx_shm_zone_t *zone, ngx_uint_t *used,
    ngx_uint_t *refused)
{
    ngx_kong_targets_t  *ts;

    ts = ngx_kong_zone_control(zone)->targets;

    *used = (ts != NULL) ? ts->used : 0;
    *refused = (ts != NULL) ? ts->refused : 0;
}


void
ngx_kong_target_latency_add(ngx_kong_target_t *t, double ms)
{
    double    old, part;
    uint32_t  now;
    uint64_t  word;

    now = (uint32_t) ngx_current_msec;

    do {
        word = t->latency;
        old = ngx_kong_latency_value(word, (uint32_t) word);

        if (old >= 0 && ms < old) {
            part = exp(- (double) (int32_t) (now - (uint32_t) word)
                       / NGX_KONG_TARGETS_DECAY);
            part = ngx_min(part, 0.95);
            old = old * part + ms * (1 - part);

        } else {
            old = ms;
        }

    } while (!ngx_atomic_cmp_set(&t->latency, word,
                                 ngx_kong_latency_word(old, now)));
}


double
ngx_kong_target_latency(ngx_kong_target_t *t)
{
    return ngx_kong_latency_value(t->latency, (uint32_t) ngx_current_msec);
}


/* never 0, which says that nothing is known */

static uint64_t
ngx_kong_latency_word(double ms, uint32_t now)
{
    float     value;
    uint32_t  bits;

    value = (float) ngx_max(ms, 0.001);
    ngx_memcpy(&bits, &value, sizeof(float));

    return (uint64_t) bits << 32 | now;
}


static double
ngx_kong_latency_value(uint64_t word, uint32_t now)
{
    float     value;
    int32_t   age;
    uint32_t  bits;

    if (word == 0) {
        return -1;
    }

    bits = (uint32_t) (word >> 32);
    ngx_memcpy(&value, &bits, sizeof(float));

    age = (int32_t) (now - (uint32_t) word);

    /* who is not asked is forgiven in time */
    return (age <= 0) ? value : value * exp(-age / NGX_KONG_TARGETS_DECAY);
}
