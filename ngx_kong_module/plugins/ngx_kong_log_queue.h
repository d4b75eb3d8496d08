/*
 * Entries on their way to a server: a bounded queue of this worker for each
 * configuration, which outlives generations as long as there is something in
 * it.  The parameters are those of Kong's config.queue.  Nothing waits for a
 * queue: where it is full the oldest entries go.
 *
 * A batch is tried until it is delivered or max_retry_time is over; so an
 * entry whose answer got lost may come twice, and none is given up before.
 */

#ifndef NGX_KONG_LOG_QUEUE_H
#define NGX_KONG_LOG_QUEUE_H

#include "ngx_kong_log_lost.h"
#include "ngx_kong_peer.h"


typedef struct ngx_kong_log_queue_s  ngx_kong_log_queue_t;
typedef struct ngx_kong_log_batch_s  ngx_kong_log_batch_t;

/* how a plugin's entries are sent */
typedef struct {
    const char            *name;         /* the plugin's */

    /* sets `to`, `conf` and limits; what it makes is from the queue's pool */
    ngx_int_t            (*prepare)(ngx_kong_log_queue_t *queue,
                                    ngx_kong_instance_t *in);
    /* begins to; ngx_kong_log_batch_end() tells the end, maybe at once */
    void                 (*send)(ngx_kong_log_batch_t *batch);
    /* the worker ends: leaves the batch as it is; or NULL */
    void                 (*abandon)(ngx_kong_log_batch_t *batch);
    /* the queue goes; or NULL */
    void                 (*close)(ngx_kong_log_queue_t *queue);
} ngx_kong_log_sender_t;

typedef struct {
    ngx_queue_t            queue;
    size_t                 len;
    u_char                 data[];
} ngx_kong_log_entry_t;

struct ngx_kong_log_queue_s {
    ngx_queue_t            queue;        /* of all queues */
    const ngx_kong_log_sender_t  *sender;
    uint64_t               key;          /* of name and configuration */
    ngx_pool_t            *pool;         /* its own */
    void                  *conf;         /* the sender's */
    ngx_str_t              to;           /* for the log */
    ngx_uint_t             refs;         /* instances */

    ngx_uint_t             max_batch;
    ngx_uint_t             max_entries;
    size_t                 max_bytes;
    ngx_uint_t             max_batches;  /* at the same time */
    ngx_msec_t             coalescing;
    ngx_msec_t             initial_delay;
    ngx_msec_t             max_delay;
    ngx_msec_t             max_time;

    ngx_queue_t            entries;      /* that wait, the oldest first */
    ngx_uint_t             waiting;
    ngx_uint_t             n;            /* these and those in batches */
    size_t                 bytes;        /* the same */
    ngx_uint_t             batches;      /* under way */
    ngx_queue_t            under_way;
    ngx_msec_t             since;        /* the first of a batch waits */
    ngx_event_t            timer;
    ngx_kong_log_lost_t    lost;

    unsigned               running:1;
    unsigned               failing:1;
};

struct ngx_kong_log_batch_s {
    ngx_queue_t            link;         /* of the queue's batches */
    ngx_kong_log_queue_t  *queue;
    ngx_queue_t            entries;
    ngx_uint_t             n;
    size_t                 bytes;        /* of the entries */
    ngx_msec_t             started;
    ngx_uint_t             tries;        /* that failed */
    ngx_msec_t             at;           /* the next one */
    ngx_event_t            timer;
    void                  *state;        /* the sender's, freed with it */
};


/* for prepare(): the queue of this configuration, which goes with the pool
 * when it is empty then.  NULL when out of memory */
ngx_kong_log_queue_t *ngx_kong_log_queue(ngx_kong_instance_t *in,
    ngx_pool_t *pool, const ngx_kong_log_sender_t *sender);
/* for a sender's prepare(): Kong's defaults, and what config.queue says */
void ngx_kong_log_queue_limits(ngx_kong_log_queue_t *queue,
    ngx_kong_instance_t *in);
/* a string of the configuration, copied for the queue, NUL-ended */
ngx_int_t ngx_kong_log_queue_str(ngx_kong_log_queue_t *queue, ngx_str_t from,
    ngx_str_t *to);

/* the entry is copied */
void ngx_kong_log_queue_add(ngx_kong_log_queue_t *queue, ngx_str_t *entry);

/* the first entry is delivered, or will never be */
void ngx_kong_log_batch_pop(ngx_kong_log_batch_t *batch);
/* NGX_OK: it is delivered; else `why` it is not, and it is tried again */
void ngx_kong_log_batch_end(ngx_kong_log_batch_t *batch, ngx_int_t rc,
    ngx_err_t err, const char *why);

/* the worker goes: what is there is sent, for a second at most */
void ngx_kong_log_queue_exit(ngx_cycle_t *cycle);

#endif
