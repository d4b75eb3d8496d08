/*
 * kong_metrics: the cells that requests count in and /metrics adds up, in a
 * region of shared memory.  Plain C; zone/ngx_kong_metrics.c gives the region
 * and the lock.
 *
 * A series is a (service, route, consumer) by their labels, so that it
 * outlives snapshots and reloads.  Each worker that serves it has cells of
 * its own there: one writer, no lock, no shared cache line.  Cells of a
 * worker that is gone go on with the next one that needs some.  When there is
 * no room, series that nobody has used for KONG_METRICS_KEEP make it; what is
 * freed is only ever used again for the same kind of thing, so a worker that
 * comes late spoils a count at most.
 */

#ifndef KONG_METRICS_H
#define KONG_METRICS_H

#include "../snapshot/kong_segment.h"


#define KONG_METRICS_KEEP   3600     /* s */
#define KONG_METRICS_TEXT   2048     /* of a series' labels, escaped */
#define KONG_METRICS_CODES  128      /* of one series */

/* source in a code */
#define KONG_METRICS_SERVICE  0x10000u

typedef struct kong_metrics_s  kong_metrics_t;
typedef struct kong_series_s   kong_series_t;
typedef struct kong_cells_s    kong_cells_t;
typedef struct kong_traffic_s  kong_traffic_t;

typedef struct {
    uint64_t         low;
    uint64_t         high;
} kong_metrics_key_t;

typedef struct {
    kong_str_t       service;
    kong_str_t       route;
    kong_str_t       consumer;
} kong_metrics_labels_t;

/* how all cells begin */
struct kong_cells_s {
    kong_cells_t    *next;           /* of the series, or of the free ones */
    uint64_t         stamp;          /* differs each time they are given out;
                                        0: free */
    uint32_t         owner;          /* pid */
    uint32_t         seen;           /* s, when last used */
};

typedef struct {
    uint32_t         code;           /* status | source */
    uint32_t         reserved;
    uint64_t         n;
} kong_code_t;

#define KONG_TRAFFIC_CODES  5

/* two cache lines */
struct kong_traffic_s {
    kong_cells_t     head;
    uint64_t         ingress;
    uint64_t         egress;
    kong_code_t      codes[KONG_TRAFFIC_CODES];
    kong_traffic_t  *more;           /* further codes of the same owner */
};

typedef enum {
    KONG_LATENCY_KONG = 0,
    KONG_LATENCY_REQUEST,
    KONG_LATENCY_UPSTREAM,
    KONG_LATENCIES
} kong_latency_kind_t;

#define KONG_LATENCY_BUCKETS  46

typedef struct {
    kong_cells_t     head;
    uint64_t         sums[KONG_LATENCIES];            /* ms */
    uint64_t         buckets[KONG_LATENCY_BUCKETS];   /* not cumulative */
} kong_latency_t;

typedef struct {
    const uint32_t  *bounds;         /* ms */
    uint32_t         n;              /* bounds; the bucket +Inf follows */
    uint32_t         first;          /* in `buckets` */
} kong_histogram_t;

typedef enum {
    KONG_CELLS_TRAFFIC = 0,
    KONG_CELLS_LATENCY
} kong_cells_kind_t;

/* a series, added up */
typedef struct {
    char             service[KONG_METRICS_TEXT];      /* escaped, NUL-ended */
    char             route[KONG_METRICS_TEXT];
    char             consumer[KONG_METRICS_TEXT];
    uint64_t         ingress;
    uint64_t         egress;
    kong_code_t      codes[KONG_METRICS_CODES];
    uint32_t         n_codes;
    uint64_t         sums[KONG_LATENCIES];
    uint64_t         buckets[KONG_LATENCY_BUCKETS];
} kong_metrics_sum_t;

/* 0: there is no such process */
typedef int (*kong_metrics_alive_pt)(uint32_t pid);


extern const kong_histogram_t  kong_histograms[KONG_LATENCIES];


/* `base` is aligned to 64 and zeros; NULL when it is too small */
kong_metrics_t *kong_metrics_create(void *base, size_t size);

kong_metrics_key_t kong_metrics_key(const kong_metrics_labels_t *labels);

/* cells of this owner, without the lock; NULL: ask kong_metrics_take() */
kong_cells_t *kong_metrics_find(kong_metrics_t *m,
    const kong_metrics_key_t *key, kong_cells_kind_t kind, uint32_t owner);

/*
 * With the lock.  The cells of this owner, made when needed; NULL when there
 * is no room, or the labels are too long.  `now` is s of a monotonic clock.
 */
kong_cells_t *kong_metrics_take(kong_metrics_t *m,
    const kong_metrics_labels_t *labels, kong_cells_kind_t kind,
    uint32_t owner, uint32_t now, kong_metrics_alive_pt alive);

/* with the lock: room for further codes; -1 when there is none */
int kong_metrics_more(kong_metrics_t *m, kong_traffic_t *t);

/* a request; -1 when there is no room for its code */
int kong_traffic_count(kong_traffic_t *t, uint32_t code);
void kong_latency_observe(kong_latency_t *l, kong_latency_kind_t kind,
    uint64_t ms);

/* what could not be counted */
void kong_metrics_refuse(kong_metrics_t *m);
uint64_t kong_metrics_refused(const kong_metrics_t *m);

/* series are numbered from 0 to this; some numbers are free */
uint32_t kong_metrics_series(const kong_metrics_t *m);
/* series in use, bytes in use and in all */
void kong_metrics_usage(const kong_metrics_t *m, uint32_t *n, size_t *used,
    size_t *size);
/* with the lock; -1: no series has this number */
int kong_metrics_sum(kong_metrics_t *m, uint32_t number,
    kong_metrics_sum_t *sum);

#endif
