/*
 * Counters: see ngx_kong_counters.h.  A bucket is sixteen cache lines: the
 * lock and a tag for every slot in the first, so that a look-up touches two.
 */

#include "ngx_kong_counters.h"
#include "ngx_kong_pid_lock.h"

#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>


#define NGX_KONG_COUNTERS_SLOTS  24

/* a window that begins later than this from now was made by a clock that has
 * been set back since; a little is what workers' clocks may differ */
#define NGX_KONG_COUNTERS_AHEAD  5


typedef struct {
    ngx_kong_counter_key_t   key;        /* with the period mixed in */
    double                   value;      /* whole, unless an upstream counts
                                            in fractions */
    uint32_t                 start;      /* of the window, epoch s */
    uint32_t                 end;        /* 0: the slot is free */
    uint32_t                 touched;
    uint32_t                 reserved;
} ngx_kong_counter_t;

typedef struct {
    ngx_atomic_t             lock;       /* pid of the owner */
    u_char                   tags[NGX_KONG_COUNTERS_SLOTS];
    u_char                   pad[64 - sizeof(ngx_atomic_t)
                                 - NGX_KONG_COUNTERS_SLOTS];
    ngx_kong_counter_t       slots[NGX_KONG_COUNTERS_SLOTS];
} ngx_kong_bucket_t;

struct ngx_kong_counters_s {
    uint64_t                 n;          /* buckets */
    uint64_t                 seed;
    ngx_kong_bucket_t       *buckets;
};

typedef struct {
    time_t                   start;
    time_t                   end;
} ngx_kong_window_t;


static ngx_kong_bucket_t *ngx_kong_counters_bucket(
    ngx_kong_counters_t *counters, ngx_kong_counter_key_t *key);
static ngx_kong_counter_t *ngx_kong_counters_find(ngx_kong_bucket_t *bucket,
    ngx_kong_counter_key_t *key, ngx_kong_period_t period);
static ngx_kong_counter_t *ngx_kong_counters_slot(ngx_kong_bucket_t *bucket,
    ngx_kong_counter_key_t *key, ngx_kong_period_t period, time_t now);
static void ngx_kong_counters_look(ngx_kong_bucket_t *bucket,
    ngx_kong_counter_key_t *key, ngx_kong_count_t *count, time_t now);
static void ngx_kong_counters_count(ngx_kong_bucket_t *bucket,
    ngx_kong_counter_key_t *key, ngx_kong_count_t *count, double amount,
    time_t now);
static void ngx_kong_counters_calendar(ngx_kong_period_t period, time_t now,
    ngx_kong_window_t *w);


static const time_t  ngx_kong_counters_seconds[] = { 1, 60, 3600, 86400 };


ngx_kong_counters_t *
ngx_kong_counters_create(ngx_slab_pool_t *shpool, ngx_log_t *log)
{
    size_t                size;
    ngx_kong_counters_t  *counters;

    counters = ngx_slab_calloc(shpool, sizeof(ngx_kong_counters_t));
    if (counters == NULL) {
        return NULL;
    }

    size = (size_t) (shpool->end - shpool->start) / 2;
    size -= size % ngx_pagesize;

    /* a new zone is zeros; writing them again would take the memory that
     * nothing uses yet */

    counters->buckets = ngx_slab_alloc(shpool, size);
    counters->n = size / sizeof(ngx_kong_bucket_t);

    if (counters->buckets == NULL) {
        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "kong_zone is too small for the counters of rate "
                      "limits");
        return NULL;
    }

#if (NGX_DEBUG_MALLOC)
    ngx_memzero(counters->buckets, size);
#endif

    if (getrandom(&counters->seed, sizeof(counters->seed), GRND_NONBLOCK)
        != (ssize_t) sizeof(counters->seed))
    {
        counters->seed = (uint64_t) ngx_pid << 32 | ngx_random();
    }

    return counters;
}


ngx_kong_counter_key_t
ngx_kong_counters_key(ngx_kong_counters_t *counters, const void *data,
    size_t len)
{
    XXH128_hash_t           hash;
    ngx_kong_counter_key_t  key;

    hash = XXH3_128bits_withSeed(data, len, counters->seed);

    key.low = hash.low64;
    key.high = hash.high64;

    return key;
}


void
ngx_kong_counters_window(ngx_kong_period_t period, time_t now, time_t *start,
    time_t *end)
{
    ngx_kong_window_t  *w;

    static ngx_kong_window_t  windows[2];

    if (period < NGX_KONG_MONTH) {
        *start = now - now % ngx_kong_counters_seconds[period];
        *end = *start + ngx_kong_counters_seconds[period];
        return;
    }

    w = &windows[period - NGX_KONG_MONTH];

    if (now < w->start || now >= w->end) {
        ngx_kong_counters_calendar(period, now, w);
    }

    *start = w->start;
    *end = w->end;
}


static void
ngx_kong_counters_calendar(ngx_kong_period_t period, time_t now,
    ngx_kong_window_t *w)
{
    struct tm  tm;

    ngx_memzero(&tm, sizeof(struct tm));
    (void) gmtime_r(&now, &tm);

    tm.tm_sec = 0;
    tm.tm_min = 0;
    tm.tm_hour = 0;
    tm.tm_mday = 1;

    if (period == NGX_KONG_YEAR) {
        tm.tm_mon = 0;
    }

    w->start = timegm(&tm);

    if (period == NGX_KONG_YEAR) {
        tm.tm_year++;

    } else {
        tm.tm_mon++;
    }

    w->end = timegm(&tm);
}


ngx_int_t
ngx_kong_counters_take(ngx_kong_counters_t *counters,
    ngx_kong_counter_key_t *key, ngx_kong_count_t *counts, ngx_uint_t n)
{
    time_t              now;
    ngx_int_t           rc;
    ngx_uint_t          i;
    ngx_kong_bucket_t  *bucket;

    rc = NGX_OK;
    now = ngx_time();
    bucket = ngx_kong_counters_bucket(counters, key);

    ngx_kong_pid_lock(&bucket->lock);

    for (i = 0; i < n; i++) {
        ngx_kong_counters_look(bucket, key, &counts[i], now);

        if (counts[i].used >= counts[i].limit) {
            rc = NGX_BUSY;
        }
    }

    if (rc == NGX_OK) {
        for (i = 0; i < n; i++) {
            ngx_kong_counters_count(bucket, key, &counts[i], 1, now);
        }
    }

    ngx_kong_pid_unlock(&bucket->lock);

    return rc;
}


void
ngx_kong_counters_read(ngx_kong_counters_t *counters,
    ngx_kong_counter_key_t *key, ngx_kong_count_t *counts, ngx_uint_t n)
{
    time_t              now;
    ngx_uint_t          i;
    ngx_kong_bucket_t  *bucket;

    now = ngx_time();
    bucket = ngx_kong_counters_bucket(counters, key);

    ngx_kong_pid_lock(&bucket->lock);

    for (i = 0; i < n; i++) {
        ngx_kong_counters_look(bucket, key, &counts[i], now);
    }

    ngx_kong_pid_unlock(&bucket->lock);
}


void
ngx_kong_counters_add(ngx_kong_counters_t *counters,
    ngx_kong_counter_key_t *key, ngx_kong_count_t *counts, ngx_uint_t n,
    double amount)
{
    time_t              now;
    ngx_uint_t          i;
    ngx_kong_bucket_t  *bucket;

    now = ngx_time();
    bucket = ngx_kong_counters_bucket(counters, key);

    ngx_kong_pid_lock(&bucket->lock);

    for (i = 0; i < n; i++) {
        ngx_kong_counters_look(bucket, key, &counts[i], now);
        ngx_kong_counters_count(bucket, key, &counts[i], amount, now);
    }

    ngx_kong_pid_unlock(&bucket->lock);
}


/* the count in the window of `now`; another worker's clock may be in the next
 * one already: then so is this request */
static void
ngx_kong_counters_look(ngx_kong_bucket_t *bucket, ngx_kong_counter_key_t *key,
    ngx_kong_count_t *count, time_t now)
{
    time_t               start, end;
    ngx_kong_counter_t  *slot;

    ngx_kong_counters_window(count->period, now, &start, &end);

    count->used = 0;

    slot = ngx_kong_counters_find(bucket, key, count->period);

    if (slot != NULL
        && (slot->start == (uint32_t) start
            || (slot->start > (uint32_t) start
                && slot->start <= (uint32_t) now + NGX_KONG_COUNTERS_AHEAD)))
    {
        count->used = slot->value;
        end = slot->end;
    }

    count->reset = ngx_max(end - now, 1);
}


static void
ngx_kong_counters_count(ngx_kong_bucket_t *bucket,
    ngx_kong_counter_key_t *key, ngx_kong_count_t *count, double amount,
    time_t now)
{
    time_t               start, end;
    ngx_kong_counter_t  *slot;

    slot = ngx_kong_counters_slot(bucket, key, count->period, now);

    ngx_kong_counters_window(count->period, now, &start, &end);

    if (slot->start < (uint32_t) start
        || slot->start > (uint32_t) now + NGX_KONG_COUNTERS_AHEAD)
    {
        slot->start = (uint32_t) start;
        slot->end = (uint32_t) end;
        slot->value = 0;
    }

    slot->value += amount;
    slot->touched = (uint32_t) now;
}


static ngx_kong_bucket_t *
ngx_kong_counters_bucket(ngx_kong_counters_t *counters,
    ngx_kong_counter_key_t *key)
{
    return &counters->buckets[(key->low >> 32) * counters->n >> 32];
}


static u_char
ngx_kong_counters_tag(ngx_kong_counter_key_t *key, ngx_kong_period_t period)
{
    return (u_char) ((key->high >> 56) + period);
}


static ngx_kong_counter_t *
ngx_kong_counters_find(ngx_kong_bucket_t *bucket, ngx_kong_counter_key_t *key,
    ngx_kong_period_t period)
{
    u_char               tag;
    ngx_uint_t           i;
    ngx_kong_counter_t  *slot;

    tag = ngx_kong_counters_tag(key, period);

    for (i = 0; i < NGX_KONG_COUNTERS_SLOTS; i++) {

        if (bucket->tags[i] != tag) {
            continue;
        }

        slot = &bucket->slots[i];

        if (slot->key.low == key->low + period
            && slot->key.high == key->high && slot->end != 0)
        {
            return slot;
        }
    }

    return NULL;
}


/* the counter's own slot, a free one, an expired one, or the oldest */
static ngx_kong_counter_t *
ngx_kong_counters_slot(ngx_kong_bucket_t *bucket, ngx_kong_counter_key_t *key,
    ngx_kong_period_t period, time_t now)
{
    ngx_uint_t           i, best;
    uint64_t             rank, best_rank;
    ngx_kong_counter_t  *slot;

    slot = ngx_kong_counters_find(bucket, key, period);

    if (slot != NULL) {
        return slot;
    }

    best = 0;
    best_rank = (uint64_t) -1;

    for (i = 0; i < NGX_KONG_COUNTERS_SLOTS; i++) {
        slot = &bucket->slots[i];

        if (slot->end == 0) {
            best = i;
            break;
        }

        rank = (slot->end <= (uint32_t) now)
               ? slot->end : (uint64_t) 1 << 32 | slot->touched;

        if (rank < best_rank) {
            best = i;
            best_rank = rank;
        }
    }

    slot = &bucket->slots[best];

    bucket->tags[best] = ngx_kong_counters_tag(key, period);
    slot->key.low = key->low + period;
    slot->key.high = key->high;
    slot->value = 0;
    slot->start = 0;
    slot->end = 1;

    return slot;
}
