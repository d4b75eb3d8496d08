/*
 * The ledger: see ngx_kong_ledger.h.  A bucket's first line says which of its
 * slots owe something, so that collecting reads one line of most buckets.
 */

#include "ngx_kong_ledger.h"
#include "ngx_kong_pid_lock.h"


#define NGX_KONG_LEDGER_SLOTS   16

/* of the zone */
#define NGX_KONG_LEDGER_SHARE   8

/* s: whoever has collected it will not come back */
#define NGX_KONG_LEDGER_LOST    30

/* s without a word of the daemon */
#define NGX_KONG_LEDGER_SILENT  5

/* a window that begins later than this from now was made by a clock that has
 * been set back since */
#define NGX_KONG_LEDGER_AHEAD   5


typedef struct {
    ngx_atomic_t              lock;
    uint32_t                  owing;     /* a bit a slot */
    u_char                    pad[64 - sizeof(ngx_atomic_t)
                                  - sizeof(uint32_t)];
    ngx_kong_ledger_entry_t   slots[NGX_KONG_LEDGER_SLOTS];
} ngx_kong_ledger_bucket_t;

struct ngx_kong_ledger_s {
    uint64_t                   n;        /* buckets */
    ngx_kong_ledger_bucket_t  *buckets;
    ngx_atomic_t               flights;
    ngx_atomic_t               cursor;   /* where the next collection begins */
    ngx_atomic_t               reported; /* ngx_time(), 0: never */
    ngx_atomic_t               failing;
};


static void ngx_kong_ledger_look(ngx_kong_ledger_bucket_t *bucket,
    const ngx_kong_ledger_id_t *id, ngx_kong_count_t *count, time_t now);
static void ngx_kong_ledger_count(ngx_kong_ledger_bucket_t *bucket,
    const ngx_kong_ledger_id_t *id, ngx_kong_count_t *count, int64_t amount,
    time_t now);
static ngx_kong_ledger_entry_t *ngx_kong_ledger_find(
    ngx_kong_ledger_bucket_t *bucket, const ngx_kong_ledger_id_t *id,
    ngx_kong_period_t period);
static ngx_uint_t ngx_kong_ledger_oldest(ngx_kong_ledger_bucket_t *bucket,
    time_t now);
static ngx_kong_ledger_entry_t *ngx_kong_ledger_slot(
    ngx_kong_ledger_bucket_t *bucket, const ngx_kong_ledger_id_t *id,
    ngx_kong_period_t period, time_t now);
static ngx_uint_t ngx_kong_ledger_gather(ngx_kong_ledger_t *ledger,
    uint64_t b, uint64_t store, ngx_kong_ledger_row_t *rows, ngx_uint_t max);
static ngx_uint_t ngx_kong_ledger_fly(ngx_kong_ledger_t *ledger,
    ngx_kong_ledger_entry_t *e, uint64_t store, time_t now);
static ngx_kong_ledger_entry_t *ngx_kong_ledger_landed(
    ngx_kong_ledger_t *ledger, uint32_t place, uint32_t flight,
    ngx_kong_ledger_bucket_t **bucket);


ngx_kong_ledger_t *
ngx_kong_ledger_create(ngx_slab_pool_t *shpool, ngx_log_t *log)
{
    size_t              size;
    ngx_kong_ledger_t  *ledger;

    ledger = ngx_slab_calloc(shpool, sizeof(ngx_kong_ledger_t));
    if (ledger == NULL) {
        return NULL;
    }

    size = (size_t) (shpool->end - shpool->start) / NGX_KONG_LEDGER_SHARE;
    size -= size % ngx_pagesize;

    /* as with the counters: a new zone is zeros */

    ledger->buckets = ngx_slab_alloc(shpool, size);
    ledger->n = size / sizeof(ngx_kong_ledger_bucket_t);

    if (ledger->buckets == NULL || ledger->n == 0) {
        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "kong_zone is too small for the counters of rate "
                      "limits that nodes share");
        return NULL;
    }

#if (NGX_DEBUG_MALLOC)
    ngx_memzero(ledger->buckets, size);
#endif

    return ledger;
}


static ngx_kong_ledger_bucket_t *
ngx_kong_ledger_bucket(ngx_kong_ledger_t *ledger,
    const ngx_kong_ledger_id_t *id)
{
    return &ledger->buckets[(id->key.low >> 32) * ledger->n >> 32];
}


ngx_int_t
ngx_kong_ledger_take(ngx_kong_ledger_t *ledger,
    const ngx_kong_ledger_id_t *id, ngx_kong_count_t *counts, ngx_uint_t n)
{
    time_t                     now;
    ngx_int_t                  rc;
    ngx_uint_t                 i;
    ngx_kong_ledger_bucket_t  *bucket;

    rc = NGX_OK;
    now = ngx_time();
    bucket = ngx_kong_ledger_bucket(ledger, id);

    ngx_kong_pid_lock(&bucket->lock);

    for (i = 0; i < n; i++) {
        ngx_kong_ledger_look(bucket, id, &counts[i], now);

        if (counts[i].used >= counts[i].limit) {
            rc = NGX_BUSY;
        }
    }

    if (rc == NGX_OK) {
        for (i = 0; i < n; i++) {
            ngx_kong_ledger_count(bucket, id, &counts[i], 1, now);
        }
    }

    ngx_kong_pid_unlock(&bucket->lock);

    return rc;
}


void
ngx_kong_ledger_read(ngx_kong_ledger_t *ledger,
    const ngx_kong_ledger_id_t *id, ngx_kong_count_t *counts, ngx_uint_t n)
{
    time_t                     now;
    ngx_uint_t                 i;
    ngx_kong_ledger_bucket_t  *bucket;

    now = ngx_time();
    bucket = ngx_kong_ledger_bucket(ledger, id);

    ngx_kong_pid_lock(&bucket->lock);

    for (i = 0; i < n; i++) {
        ngx_kong_ledger_look(bucket, id, &counts[i], now);
    }

    ngx_kong_pid_unlock(&bucket->lock);
}


void
ngx_kong_ledger_add(ngx_kong_ledger_t *ledger,
    const ngx_kong_ledger_id_t *id, ngx_kong_count_t *counts, ngx_uint_t n,
    int64_t amount)
{
    time_t                     now;
    ngx_uint_t                 i;
    ngx_kong_ledger_bucket_t  *bucket;

    now = ngx_time();
    bucket = ngx_kong_ledger_bucket(ledger, id);

    ngx_kong_pid_lock(&bucket->lock);

    for (i = 0; i < n; i++) {
        ngx_kong_ledger_look(bucket, id, &counts[i], now);
        ngx_kong_ledger_count(bucket, id, &counts[i], amount, now);
    }

    ngx_kong_pid_unlock(&bucket->lock);
}


/* in the window of `now`; another worker's clock may be in the next one */
static void
ngx_kong_ledger_look(ngx_kong_ledger_bucket_t *bucket,
    const ngx_kong_ledger_id_t *id, ngx_kong_count_t *count, time_t now)
{
    time_t                    start, end;
    ngx_kong_ledger_entry_t  *e;

    ngx_kong_counters_window(count->period, now, &start, &end);

    count->used = 0;

    e = ngx_kong_ledger_find(bucket, id, count->period);

    if (e != NULL && e->start >= (uint32_t) start
        && (e->start == (uint32_t) start
            || e->start <= (uint32_t) now + NGX_KONG_LEDGER_AHEAD))
    {
        count->used = (double) (e->total + e->delta + e->flying);
        end = e->end;
    }

    count->reset = ngx_max(end - now, 1);
}


/* what a window that is over still owes is forgotten with it: it limits
 * nobody any more */
static void
ngx_kong_ledger_count(ngx_kong_ledger_bucket_t *bucket,
    const ngx_kong_ledger_id_t *id, ngx_kong_count_t *count, int64_t amount,
    time_t now)
{
    time_t                    start, end;
    ngx_kong_ledger_entry_t  *e;

    e = ngx_kong_ledger_slot(bucket, id, count->period, now);

    ngx_kong_counters_window(count->period, now, &start, &end);

    if (e->start < (uint32_t) start
        || e->start > (uint32_t) now + NGX_KONG_LEDGER_AHEAD)
    {
        e->start = (uint32_t) start;
        e->end = (uint32_t) end;
        e->total = 0;
        e->delta = 0;
        e->flying = 0;
        e->flight = 0;
    }

    e->delta += amount;
    e->touched = (uint32_t) now;

    bucket->owing |= 1u << (e - bucket->slots);
}


static ngx_kong_ledger_entry_t *
ngx_kong_ledger_find(ngx_kong_ledger_bucket_t *bucket,
    const ngx_kong_ledger_id_t *id, ngx_kong_period_t period)
{
    ngx_uint_t                i;
    ngx_kong_ledger_entry_t  *e;

    for (i = 0; i < NGX_KONG_LEDGER_SLOTS; i++) {
        e = &bucket->slots[i];

        if (e->key.low == id->key.low + period && e->key.high == id->key.high
            && e->store == id->store && e->end != 0)
        {
            return e;
        }
    }

    return NULL;
}


/* a free one, an expired one, the oldest that owes nothing, or the oldest */
static ngx_uint_t
ngx_kong_ledger_oldest(ngx_kong_ledger_bucket_t *bucket, time_t now)
{
    uint64_t                  rank, best_rank;
    ngx_uint_t                i, best;
    ngx_kong_ledger_entry_t  *e;

    best = 0;
    best_rank = (uint64_t) -1;

    for (i = 0; i < NGX_KONG_LEDGER_SLOTS; i++) {
        e = &bucket->slots[i];

        if (e->end <= (uint32_t) now) {
            return i;
        }

        rank = (uint64_t) ((e->delta | e->flying) != 0) << 32 | e->touched;

        if (rank < best_rank) {
            best = i;
            best_rank = rank;
        }
    }

    return best;
}


static ngx_kong_ledger_entry_t *
ngx_kong_ledger_slot(ngx_kong_ledger_bucket_t *bucket,
    const ngx_kong_ledger_id_t *id, ngx_kong_period_t period, time_t now)
{
    size_t                    len;
    ngx_uint_t                i;
    ngx_kong_ledger_entry_t  *e;

    e = ngx_kong_ledger_find(bucket, id, period);

    if (e != NULL) {
        return e;
    }

    i = ngx_kong_ledger_oldest(bucket, now);
    bucket->owing &= ~(1u << i);

    e = &bucket->slots[i];
    ngx_memzero(e, sizeof(ngx_kong_ledger_entry_t));

    e->key.low = id->key.low + period;
    e->key.high = id->key.high;
    e->store = id->store;
    e->end = 1;
    e->period = (uint8_t) period;
    e->named = (uint8_t) id->named;
    ngx_memcpy(e->route, id->route, 16);
    ngx_memcpy(e->service, id->service, 16);

    len = ngx_min(id->identifier.len, NGX_KONG_LEDGER_TEXT);
    e->identifier_len = (uint8_t) len;
    ngx_memcpy(e->text, id->identifier.data, len);

    if (id->named) {
        e->name_len = (uint8_t) ngx_min(id->name.len,
                                        NGX_KONG_LEDGER_TEXT - len);
        ngx_memcpy(e->text + len, id->name.data, e->name_len);
    }

    return e;
}


ngx_uint_t
ngx_kong_ledger_collect(ngx_kong_ledger_t *ledger, uint64_t store,
    ngx_kong_ledger_row_t *rows, ngx_uint_t max)
{
    uint64_t    i, b, first;
    ngx_uint_t  n;

    first = ledger->cursor % ledger->n;

    for (i = 0, n = 0; i < ledger->n && n < max; i++) {
        b = (first + i) % ledger->n;

        if (ledger->buckets[b].owing != 0) {
            n += ngx_kong_ledger_gather(ledger, b, store, rows + n, max - n);
            ledger->cursor = b;
        }
    }

    return n;
}


static ngx_uint_t
ngx_kong_ledger_gather(ngx_kong_ledger_t *ledger, uint64_t b, uint64_t store,
    ngx_kong_ledger_row_t *rows, ngx_uint_t max)
{
    time_t                     now;
    ngx_uint_t                 i, n;
    ngx_kong_ledger_entry_t   *e;
    ngx_kong_ledger_bucket_t  *bucket;

    now = ngx_time();
    bucket = &ledger->buckets[b];

    ngx_kong_pid_lock(&bucket->lock);

    for (i = 0, n = 0; i < NGX_KONG_LEDGER_SLOTS && n < max; i++) {
        e = &bucket->slots[i];

        if (!(bucket->owing & 1u << i)) {
            continue;
        }

        if (e->end <= (uint32_t) now || (e->delta | e->flying) == 0) {
            bucket->owing &= ~(1u << i);
            continue;
        }

        if (ngx_kong_ledger_fly(ledger, e, store, now)) {
            rows[n].place = (uint32_t) (b * NGX_KONG_LEDGER_SLOTS + i);
            rows[n].entry = *e;
            n++;
        }
    }

    ngx_kong_pid_unlock(&bucket->lock);

    return n;
}


/* one flight of an entry at a time */
static ngx_uint_t
ngx_kong_ledger_fly(ngx_kong_ledger_t *ledger, ngx_kong_ledger_entry_t *e,
    uint64_t store, time_t now)
{
    if (e->store != store) {
        return 0;
    }

    if (e->flying != 0) {
        if (e->flown + NGX_KONG_LEDGER_LOST > (uint32_t) now) {
            return 0;
        }

        e->delta += e->flying;
    }

    e->flying = e->delta;
    e->delta = 0;
    e->flown = (uint32_t) now;
    e->flight = (uint32_t) ngx_atomic_fetch_add(&ledger->flights, 1) + 1;

    return 1;
}


/* with the lock, when it is still that flight's */
static ngx_kong_ledger_entry_t *
ngx_kong_ledger_landed(ngx_kong_ledger_t *ledger, uint32_t place,
    uint32_t flight, ngx_kong_ledger_bucket_t **bucket)
{
    ngx_kong_ledger_entry_t  *e;

    if (place / NGX_KONG_LEDGER_SLOTS >= ledger->n) {
        return NULL;
    }

    *bucket = &ledger->buckets[place / NGX_KONG_LEDGER_SLOTS];

    ngx_kong_pid_lock(&(*bucket)->lock);

    e = &(*bucket)->slots[place % NGX_KONG_LEDGER_SLOTS];

    if (e->flying != 0 && e->flight == flight) {
        return e;
    }

    ngx_kong_pid_unlock(&(*bucket)->lock);

    return NULL;
}


void
ngx_kong_ledger_settle(ngx_kong_ledger_t *ledger, uint32_t place,
    uint32_t flight, int64_t sum)
{
    ngx_kong_ledger_entry_t   *e;
    ngx_kong_ledger_bucket_t  *bucket;

    e = ngx_kong_ledger_landed(ledger, place, flight, &bucket);

    if (e != NULL) {
        e->total = sum;
        e->flying = 0;
        ngx_kong_pid_unlock(&bucket->lock);
    }
}


void
ngx_kong_ledger_return(ngx_kong_ledger_t *ledger, uint32_t place,
    uint32_t flight)
{
    ngx_kong_ledger_entry_t   *e;
    ngx_kong_ledger_bucket_t  *bucket;

    e = ngx_kong_ledger_landed(ledger, place, flight, &bucket);

    if (e != NULL) {
        e->delta += e->flying;
        e->flying = 0;
        ngx_kong_pid_unlock(&bucket->lock);
    }
}


void
ngx_kong_ledger_recall(ngx_kong_ledger_t *ledger, uint64_t store)
{
    uint64_t                   b;
    ngx_uint_t                 i;
    ngx_kong_ledger_entry_t   *e;
    ngx_kong_ledger_bucket_t  *bucket;

    for (b = 0; b < ledger->n; b++) {
        bucket = &ledger->buckets[b];

        if (bucket->owing == 0) {
            continue;
        }

        ngx_kong_pid_lock(&bucket->lock);

        for (i = 0; i < NGX_KONG_LEDGER_SLOTS; i++) {
            e = &bucket->slots[i];

            if (e->store == store) {
                e->delta += e->flying;
                e->flying = 0;
            }
        }

        ngx_kong_pid_unlock(&bucket->lock);
    }
}


void
ngx_kong_ledger_report(ngx_kong_ledger_t *ledger, ngx_uint_t counts)
{
    ledger->failing = !counts;
    ledger->reported = (ngx_atomic_uint_t) ngx_time();
}


ngx_uint_t
ngx_kong_ledger_is_kept(ngx_kong_ledger_t *ledger)
{
    /* at the start the daemon is given the time to come */

    return !ledger->failing
           && (ledger->reported == 0
               || (time_t) ledger->reported + NGX_KONG_LEDGER_SILENT
                  > ngx_time());
}
