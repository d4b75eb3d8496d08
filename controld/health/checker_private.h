/*
 * checker_private: what the files of the checker share.  checker.c has the
 * timers and the probes, checker_watch.c what is to be probed,
 * checker_exchange.c the talk with nginx.
 */

#ifndef KONG_HEALTH_CHECKER_PRIVATE_H
#define KONG_HEALTH_CHECKER_PRIVATE_H

#include <uthash.h>

#include "checker.h"
#include "probe.h"
#include "schedule.h"
#include "../../ngx_kong_module/snapshot/kong_balancer.h"


#define CHECKER_PROBES   256           /* at a time, of all upstreams */
#define CHECKER_SHARE    4             /* the part that one may have */
#define CHECKER_BATCH    100           /* results in a request */
#define CHECKER_RESULT   (16 + 1 + 16 + 1 + 10 + 1)
#define CHECKER_TARGET   (64 + CHECKER_BATCH * CHECKER_RESULT)


/* what matters of ngx_kong_health_state_t */
#define CHECKED_HEALTHY    0           /* firmly */
#define CHECKED_DOWN       2           /* from here on it gets no requests */
#define CHECKED_UNHEALTHY  3           /* firmly */

typedef struct checked_s          checked_t;
typedef struct checked_address_s  checked_address_t;

/* an upstream; what it is probed by is in its arena */
/* of an upstream: how it is probed */
typedef struct {
    uint64_t              sum;         /* of what it was made from */
    int64_t               up;          /* ms */
    int64_t               down;
    unsigned              concurrency;
    char                 *sni;         /* of all addresses; NULL: none */
    probe_settings_t      probe;
    kong_checks_t         checks;
} checked_settings_t;

struct checked_s {
    schedule_group_t      group;       /* its items are checked_address_t */
    checker_t            *checker;
    uint64_t              key;
    checked_settings_t   *settings;
    checked_settings_t   *old;         /* while they are watched anew: those
                                          that were replaced */
    unsigned              gone:1;      /* meanwhile: not found again */
    UT_hash_handle        hh;
};

struct checked_address_s {
    schedule_item_t       item;        /* comes first */
    uint64_t              id;
    checked_t            *upstream;
    probe_target_t        target;
    char                 *texts;       /* of the target */
    probe_t              *probe;       /* under way */

    uint8_t               state;       /* as nginx has it */
    unsigned              listed:1;    /* while states are read */
    unsigned              gone:1;

    probe_result_t        result;      /* that nginx is to be told */
    unsigned              status;
    checked_address_t    *next;        /* in the queue, if prev is set */
    checked_address_t   **prev;
    UT_hash_handle        hh;
};

struct checker_s {
    struct event_base    *base;
    control_t            *control;
    schedule_t           *schedule;
    probes_t             *probes;
    struct event         *due;         /* something is to be probed */
    struct event         *exchange;    /* nginx is to be asked */

    checked_t            *upstreams;
    checked_address_t    *addresses;

    checked_address_t    *first;       /* results, in their order */
    checked_address_t   **last;
    uint64_t              sent[CHECKER_BATCH];     /* ids, on their way */
    size_t                n_sent;
    uint64_t              seen;        /* version of the states; 0: none */
    unsigned              rounds;      /* since all states were asked for */

    int64_t               trouble;     /* when a probe could not be made */
    unsigned              busy:1;      /* an exchange is under way */
    unsigned              soon:1;      /* it comes for results */
    unsigned              stale:1;     /* its answer is of other targets */
    unsigned              told:1;      /* the last one was answered */
    unsigned              silent:1;    /* nginx is, which is in the log */
    unsigned              shows:1;     /* some upstream has a certificate */
};


/* checker.c */
void checker_run(checker_t *c);
int64_t checker_now(void);

/* checker_settings.c */

/* NULL: out of memory.  `row` is the upstream, `config` has its certificate;
 * the arena is for what is needed meanwhile */
checked_settings_t *checker_settings_new(arena_t *a, const config_t *config,
    const value_t *row, uint64_t sum);
void checker_settings_free(checked_settings_t *s);     /* NULL is fine */
/* whether there is something to be probed */
unsigned checker_wanted(const value_t *row);
/* of all that checker_settings_new() would make of it */
uint64_t checker_settings_sum(const config_t *config, const value_t *row);

/* checker_watch.c */
void checker_clear(checker_t *c);

/* checker_exchange.c */
void checker_exchange(evutil_socket_t fd, short what, void *data);
/* its result is to be told */
void checker_queue(checker_t *c, checked_address_t *a);
void checker_unqueue(checker_t *c, checked_address_t *a);
/* there are other targets: how are they? */
void checker_ask(checker_t *c);

#endif
