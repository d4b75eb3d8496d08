/*
 * See ngx_kong_log_queue.h.  A worker that is to end waits for its timers, so
 * it sends what it has before: none of them is longer than a tick, and once
 * the worker is ending nothing is held back any more.
 */

#include "ngx_kong_log_queue.h"


#define NGX_KONG_LOG_TICK      500       /* ms */
#define NGX_KONG_LOG_EXITING   5000      /* ms that a queue keeps a worker */
#define NGX_KONG_LOG_EXIT      1000      /* the same, when it is told to stop
                                            at once */
#define NGX_KONG_LOG_BATCHES   64        /* without a concurrency_limit */


static ngx_kong_log_queue_t *ngx_kong_log_queue_create(
    ngx_kong_instance_t *in, const ngx_kong_log_sender_t *sender);
static void ngx_kong_log_queue_release(void *data);
static void ngx_kong_log_queue_run(ngx_kong_log_queue_t *queue);
static void ngx_kong_log_queue_timer(ngx_event_t *ev);
static void ngx_kong_log_queue_drop(ngx_kong_log_queue_t *queue,
    const char *why);
static ngx_int_t ngx_kong_log_batch_start(ngx_kong_log_queue_t *queue);
static void ngx_kong_log_batch_timer(ngx_event_t *ev);
static ngx_int_t ngx_kong_log_batch_again(ngx_kong_log_batch_t *batch,
    ngx_err_t err, const char *why);
static void ngx_kong_log_batch_free(ngx_kong_log_batch_t *batch);
static ngx_uint_t ngx_kong_log_is_ending(void);
static void ngx_kong_log_queue_abandon(void);


static ngx_queue_t  ngx_kong_log_queues = {
    &ngx_kong_log_queues, &ngx_kong_log_queues
};

static ngx_msec_t   ngx_kong_log_ending;     /* since when; 0: it is not */


ngx_kong_log_queue_t *
ngx_kong_log_queue(ngx_kong_instance_t *in, ngx_pool_t *pool,
    const ngx_kong_log_sender_t *sender)
{
    ngx_queue_t           *q;
    ngx_pool_cleanup_t    *cln;
    ngx_kong_log_queue_t  *queue;

    cln = ngx_pool_cleanup_add(pool, 0);
    if (cln == NULL) {
        return NULL;
    }

    for (q = ngx_queue_head(&ngx_kong_log_queues);
         q != ngx_queue_sentinel(&ngx_kong_log_queues);
         q = ngx_queue_next(q))
    {
        queue = ngx_queue_data(q, ngx_kong_log_queue_t, queue);

        if (queue->key == in->record->hash && queue->sender == sender) {
            break;
        }
    }

    if (q == ngx_queue_sentinel(&ngx_kong_log_queues)) {
        queue = ngx_kong_log_queue_create(in, sender);
        if (queue == NULL) {
            return NULL;
        }
    }

    queue->refs++;

    cln->handler = ngx_kong_log_queue_release;
    cln->data = queue;

    return queue;
}


static ngx_kong_log_queue_t *
ngx_kong_log_queue_create(ngx_kong_instance_t *in,
    const ngx_kong_log_sender_t *sender)
{
    ngx_pool_t            *pool;
    ngx_kong_log_queue_t  *queue;

    pool = ngx_create_pool(1024, ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    queue = ngx_pcalloc(pool, sizeof(ngx_kong_log_queue_t));
    if (queue == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    queue->pool = pool;
    queue->sender = sender;
    queue->key = in->record->hash;
    queue->timer.handler = ngx_kong_log_queue_timer;
    queue->timer.data = queue;
    queue->timer.log = ngx_cycle->log;
    ngx_queue_init(&queue->entries);
    ngx_queue_init(&queue->under_way);

    if (sender->prepare(queue, in) != NGX_OK) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    ngx_queue_insert_tail(&ngx_kong_log_queues, &queue->queue);

    return queue;
}


static ngx_msec_t
ngx_kong_log_queue_ms(double seconds)
{
    return (ngx_msec_t) ngx_min(ngx_max(seconds * 1000, 0), 2147483646.0);
}


void
ngx_kong_log_queue_limits(ngx_kong_log_queue_t *queue,
    ngx_kong_instance_t *in)
{
    double  n;

    queue->max_batch = (ngx_uint_t) ngx_kong_conf_num(in,
                                                      "queue.max_batch_size",
                                                      1);
    queue->max_entries = (ngx_uint_t) ngx_kong_conf_num(in,
                                                        "queue.max_entries",
                                                        10000);
    n = ngx_kong_conf_num(in, "queue.max_bytes", 0);
    queue->max_bytes = n > 0 ? (size_t) n : (size_t) -1;

    queue->coalescing = ngx_kong_log_queue_ms(
                   ngx_kong_conf_num(in, "queue.max_coalescing_delay", 1));
    queue->initial_delay = ngx_kong_log_queue_ms(
                   ngx_kong_conf_num(in, "queue.initial_retry_delay", 0.01));
    queue->max_delay = ngx_kong_log_queue_ms(
                   ngx_kong_conf_num(in, "queue.max_retry_delay", 60));
    queue->max_time = ngx_kong_log_queue_ms(
                   ngx_kong_conf_num(in, "queue.max_retry_time", 60));

    n = ngx_kong_conf_num(in, "queue.concurrency_limit", 1);
    queue->max_batches = n == 1 ? 1 : NGX_KONG_LOG_BATCHES;
}


ngx_int_t
ngx_kong_log_queue_str(ngx_kong_log_queue_t *queue, ngx_str_t from,
    ngx_str_t *to)
{
    to->len = from.len;
    to->data = ngx_pnalloc(queue->pool, from.len + 1);

    if (to->data == NULL) {
        return NGX_ERROR;
    }

    if (from.len != 0) {
        ngx_memcpy(to->data, from.data, from.len);
    }

    to->data[from.len] = '\0';

    return NGX_OK;
}


/* an instance goes */
static void
ngx_kong_log_queue_release(void *data)
{
    ngx_kong_log_queue_t  *queue = data;

    queue->refs--;
    ngx_kong_log_queue_run(queue);
}


void
ngx_kong_log_queue_add(ngx_kong_log_queue_t *queue, ngx_str_t *entry)
{
    ngx_kong_log_entry_t  *e;

    if (entry->len > queue->max_bytes) {
        ngx_kong_log_lost(&queue->lost, 1, queue->sender->name, &queue->to, 0,
                          "an entry is larger than max_bytes");
        return;
    }

    while (queue->waiting != 0
           && (queue->n >= queue->max_entries
               || queue->bytes > queue->max_bytes - entry->len))
    {
        ngx_kong_log_queue_drop(queue, "the queue is full");
    }

    e = (queue->n < queue->max_entries
         && queue->bytes <= queue->max_bytes - entry->len)
        ? ngx_alloc(sizeof(ngx_kong_log_entry_t) + entry->len, ngx_cycle->log)
        : NULL;

    if (e == NULL) {
        ngx_kong_log_lost(&queue->lost, 1, queue->sender->name, &queue->to, 0,
                          "the queue is full");
        return;
    }

    e->len = entry->len;
    ngx_memcpy(e->data, entry->data, entry->len);

    if (queue->waiting++ == 0) {
        queue->since = ngx_current_msec;
    }

    ngx_queue_insert_tail(&queue->entries, &e->queue);
    queue->n++;
    queue->bytes += e->len;

    ngx_kong_log_queue_run(queue);
}


/* the oldest that is not on its way */
static void
ngx_kong_log_queue_drop(ngx_kong_log_queue_t *queue, const char *why)
{
    ngx_queue_t           *q;
    ngx_kong_log_entry_t  *e;

    q = ngx_queue_head(&queue->entries);
    e = ngx_queue_data(q, ngx_kong_log_entry_t, queue);

    ngx_queue_remove(q);
    queue->waiting--;
    queue->n--;
    queue->bytes -= e->len;
    ngx_free(e);

    ngx_kong_log_lost(&queue->lost, 1, queue->sender->name, &queue->to, 0,
                      why);
}


/* batches that are full, or have waited long enough; may free the queue */
static void
ngx_kong_log_queue_run(ngx_kong_log_queue_t *queue)
{
    ngx_msec_t  waited;

    /* a batch may end while it is started: the loop below goes on then */

    if (queue->running) {
        return;
    }

    queue->running = 1;

    while (queue->waiting != 0 && queue->batches < queue->max_batches) {
        waited = ngx_current_msec - queue->since;

        if (queue->waiting < queue->max_batch && waited < queue->coalescing
            && !ngx_kong_log_is_ending())
        {
            if (!queue->timer.timer_set) {
                ngx_add_timer(&queue->timer,
                              ngx_min(queue->coalescing - waited,
                                      NGX_KONG_LOG_TICK));
            }

            break;
        }

        if (ngx_kong_log_batch_start(queue) != NGX_OK) {
            break;
        }
    }

    queue->running = 0;

    if (queue->refs != 0 || queue->n != 0) {
        return;
    }

    if (queue->timer.timer_set) {
        ngx_del_timer(&queue->timer);
    }

    if (queue->sender->close != NULL) {
        queue->sender->close(queue);
    }

    ngx_queue_remove(&queue->queue);
    ngx_destroy_pool(queue->pool);
}


static void
ngx_kong_log_queue_timer(ngx_event_t *ev)
{
    ngx_kong_log_queue_run(ev->data);
}


static ngx_int_t
ngx_kong_log_batch_start(ngx_kong_log_queue_t *queue)
{
    ngx_queue_t           *q;
    ngx_kong_log_entry_t  *e;
    ngx_kong_log_batch_t  *batch;

    batch = ngx_calloc(sizeof(ngx_kong_log_batch_t), ngx_cycle->log);

    if (batch == NULL) {

        /* the timer tries again */

        if (!queue->timer.timer_set) {
            ngx_add_timer(&queue->timer, NGX_KONG_LOG_TICK);
        }

        return NGX_ERROR;
    }

    batch->queue = queue;
    batch->started = ngx_current_msec;
    batch->timer.handler = ngx_kong_log_batch_timer;
    batch->timer.data = batch;
    batch->timer.log = ngx_cycle->log;
    ngx_queue_init(&batch->entries);

    while (queue->waiting != 0 && batch->n < queue->max_batch) {
        q = ngx_queue_head(&queue->entries);
        e = ngx_queue_data(q, ngx_kong_log_entry_t, queue);

        ngx_queue_remove(q);
        queue->waiting--;
        ngx_queue_insert_tail(&batch->entries, q);
        batch->n++;
        batch->bytes += e->len;
    }

    queue->since = ngx_current_msec;
    queue->batches++;
    ngx_queue_insert_tail(&queue->under_way, &batch->link);
    queue->sender->send(batch);

    return NGX_OK;
}


void
ngx_kong_log_batch_end(ngx_kong_log_batch_t *batch, ngx_int_t rc,
    ngx_err_t err, const char *why)
{
    ngx_kong_log_queue_t  *queue;

    queue = batch->queue;

    if (rc != NGX_OK && ngx_kong_log_batch_again(batch, err, why) == NGX_OK) {
        return;
    }

    if (rc != NGX_OK) {
        ngx_kong_log_lost(&queue->lost, batch->n, queue->sender->name,
                          &queue->to, err, why);

    } else if (queue->failing) {
        queue->failing = 0;
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "%s: \"%V\": entries are delivered again",
                      queue->sender->name, &queue->to);
    }

    ngx_kong_log_batch_free(batch);
    ngx_kong_log_queue_run(queue);
}


/* NGX_OK: later */
static ngx_int_t
ngx_kong_log_batch_again(ngx_kong_log_batch_t *batch, ngx_err_t err,
    const char *why)
{
    ngx_msec_t             delay;
    ngx_kong_log_queue_t  *queue;

    queue = batch->queue;

    if (ngx_current_msec - batch->started >= queue->max_time
        || (ngx_kong_log_is_ending()
            && ngx_current_msec - ngx_kong_log_ending
               >= NGX_KONG_LOG_EXITING))
    {
        return NGX_DECLINED;
    }

    if (!queue->failing) {
        queue->failing = 1;
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, err,
                      "%s: \"%V\": entries could not be delivered: %s; they "
                      "are tried again",
                      queue->sender->name, &queue->to, why);
    }

    delay = ngx_max(queue->initial_delay, 1) << ngx_min(batch->tries, 20);
    delay = ngx_min(delay, queue->max_delay);
    batch->tries++;

    if (ngx_kong_log_is_ending()) {
        delay = ngx_min(delay, NGX_KONG_LOG_TICK / 5);
    }

    batch->at = ngx_current_msec + delay;
    ngx_add_timer(&batch->timer, ngx_min(delay, NGX_KONG_LOG_TICK));

    return NGX_OK;
}


static void
ngx_kong_log_batch_timer(ngx_event_t *ev)
{
    ngx_msec_int_t         left;
    ngx_kong_log_batch_t  *batch;

    batch = ev->data;
    left = (ngx_msec_int_t) (batch->at - ngx_current_msec);

    if (left > 0 && !ngx_kong_log_is_ending()) {
        ngx_add_timer(ev, ngx_min(left, NGX_KONG_LOG_TICK));
        return;
    }

    batch->queue->sender->send(batch);
}


void
ngx_kong_log_batch_pop(ngx_kong_log_batch_t *batch)
{
    ngx_queue_t           *q;
    ngx_kong_log_entry_t  *e;

    q = ngx_queue_head(&batch->entries);
    e = ngx_queue_data(q, ngx_kong_log_entry_t, queue);

    ngx_queue_remove(q);
    batch->n--;
    batch->bytes -= e->len;
    batch->queue->n--;
    batch->queue->bytes -= e->len;
    ngx_free(e);
}


static void
ngx_kong_log_batch_free(ngx_kong_log_batch_t *batch)
{
    while (batch->n != 0) {
        ngx_kong_log_batch_pop(batch);
    }

    batch->queue->batches--;
    ngx_queue_remove(&batch->link);

    if (batch->timer.timer_set) {
        ngx_del_timer(&batch->timer);
    }

    if (batch->state != NULL) {
        ngx_free(batch->state);
    }

    ngx_free(batch);
}


static ngx_uint_t
ngx_kong_log_is_ending(void)
{
    if (!ngx_exiting && !ngx_terminate && !ngx_quit) {
        return 0;
    }

    if (ngx_kong_log_ending == 0) {
        ngx_kong_log_ending = ngx_current_msec;
    }

    return 1;
}


void
ngx_kong_log_queue_exit(ngx_cycle_t *cycle)
{
    ngx_msec_t             start;
    ngx_uint_t             n;
    ngx_queue_t           *q, *next;
    ngx_kong_log_queue_t  *queue;

    start = ngx_current_msec;

    for ( ;; ) {
        n = 0;

        for (q = ngx_queue_head(&ngx_kong_log_queues);
             q != ngx_queue_sentinel(&ngx_kong_log_queues);
             q = next)
        {
            next = ngx_queue_next(q);
            queue = ngx_queue_data(q, ngx_kong_log_queue_t, queue);
            n += queue->n;
            ngx_kong_log_queue_run(queue);
        }

        if (n == 0 || ngx_current_msec - start >= NGX_KONG_LOG_EXIT) {
            break;
        }

        ngx_process_events_and_timers(cycle);
    }

    if (n != 0) {
        ngx_log_error(NGX_LOG_ERR, cycle->log, 0,
                      "%ui log entries were not delivered when the worker "
                      "ended", n);
        ngx_kong_log_queue_abandon();
    }
}


/* no connection is left open */
static void
ngx_kong_log_queue_abandon(void)
{
    ngx_queue_t           *q, *b;
    ngx_kong_log_queue_t  *queue;

    for (q = ngx_queue_head(&ngx_kong_log_queues);
         q != ngx_queue_sentinel(&ngx_kong_log_queues);
         q = ngx_queue_next(q))
    {
        queue = ngx_queue_data(q, ngx_kong_log_queue_t, queue);

        if (queue->sender->abandon == NULL) {
            continue;
        }

        for (b = ngx_queue_head(&queue->under_way);
             b != ngx_queue_sentinel(&queue->under_way);
             b = ngx_queue_next(b))
        {
            queue->sender->abandon(ngx_queue_data(b, ngx_kong_log_batch_t,
                                                  link));
        }
    }
}
