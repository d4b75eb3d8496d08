/*
 * postgres_private: what the files postgres*.c share.
 *
 * postgres.c          life cycle, what the daemon sees, state and its log
 * postgres_link.c     one connection: connecting, statements, deadlines
 * postgres_round.c    all hosts at once, and which of them is read
 * postgres_watch.c    when something is asked of the one that was chosen
 * postgres_read.c     what is asked, and what the answers say
 * postgres_fence.c    what must never be taken back
 */

#ifndef KONG_POSTGRES_PRIVATE_H
#define KONG_POSTGRES_PRIVATE_H

#include <stdint.h>

#include "../pg/pg.h"
#include "rows.h"
#include "source.h"


#define PG_LINKS        16               /* addresses tried in a round */
#define PG_CONNECT      3000             /* ms, all that comes first too */
#define PG_STATEMENT    3000             /* ms without a byte */
#define PG_PING         2000
#define PG_TICK         1000
#define PG_GRACE        200              /* ms for others after a primary */
#define PG_SEEK         3                /* ticks between looks for one */
#define PG_BACKOFF_MIN  50               /* ms */
#define PG_BACKOFF_MAX  600

#define PG_CHANNEL      SOURCE_CHANNEL
#define PG_TYPE_UUIDS   2951             /* uuid[] */


typedef struct pg_link_s  pg_link_t;

/* `res` is the answer to a statement, which the callee clears; NULL: the link
 * is lost and its error says why */
typedef void (*pg_link_done_pt)(pg_link_t *link, PGresult *res);

struct pg_link_s {
    source_t             *source;
    const pg_settings_t  *settings;
    PGconn               *conn;          /* NULL: not in use */
    struct event         *event;
    struct event         *deadline;
    pg_link_done_pt       done;          /* of what is under way */
    PGresult             *result;
    unsigned              wait;          /* ms */
    unsigned              asked;         /* statements without an answer */
    unsigned              connecting:1;
    unsigned              active:1;      /* some are under way */
    unsigned              bad:1;         /* one could not be sent */
    char                  name[160];     /* "host:port" */
    char                  error[256];
};

/* what a server says of itself */
typedef struct {
    unsigned      recovery:1;
    char          system[24];            /* identifier; "" when not told */
    uint64_t      timeline;              /* 0: not told */
    uint64_t      lsn;
    int64_t       version;               /* -1: it has no versions */
    int64_t       stamp;
} pg_identity_t;

typedef struct {
    pg_link_t     link;
    pg_identity_t identity;
    unsigned      used:1;
    unsigned      over:1;                /* answered or failed */
    unsigned      good:1;
    unsigned      plain:1;               /* asked without functions */
} pg_candidate_t;

/* of the last configuration that was published */
typedef struct {
    char          system[24];
    uint64_t      timeline;
    uint64_t      lsn;
    int64_t       version;
    int64_t       stamp;
} pg_fence_t;

typedef enum {
    PG_FENCE_GOOD = 0,
    PG_FENCE_OTHER,                      /* another cluster */
    PG_FENCE_OLD,                        /* a timeline that was left */
    PG_FENCE_BEHIND                      /* a replica that is not there yet */
} pg_fence_rc_t;

/* bits of source_t.want */
#define PG_WANT_PING    0x1
#define PG_WANT_POLL    0x2              /* guards, catalog, fingerprint */
#define PG_WANT_CHECK   0x4              /* what changed since the version */
#define PG_WANT_FULL    0x8

/* of a configuration that is the same as before: whoever claims it first, the
 * loader drops it, or it is published because its number was promised */
#define PG_CLAIM_NONE      0
#define PG_CLAIM_DROPPED   1
#define PG_CLAIM_PROMISED  2

struct source_s {
    source_host_t        host;
    arena_t             *arena;          /* of the settings */
    pg_settings_t        settings[2];    /* pg_*, pg_ro_* */
    unsigned             n_settings;
    double               frequency;      /* db_update_frequency, s */
    dns_set_t           *names;

    /* a round */
    pg_candidate_t       candidates[PG_LINKS];
    struct event        *retry;
    struct event        *grace;
    unsigned             backoff;        /* ms */
    unsigned             round:1;
    unsigned             seek:1;         /* while a replica is read */

    /* what is read */
    pg_link_t            main;
    pg_identity_t        identity;
    struct event        *tick;
    unsigned             ticks;
    unsigned             want;           /* PG_WANT_* */
    int                  step;           /* of a reading */
    int                  kind;
    struct {
        int8_t           step;
        int8_t           kind;
    } asked[ROWS_KINDS + 8];             /* in one round trip */
    unsigned             n_asked;
    unsigned             answered;
    unsigned             full:1;         /* everything is being read */
    unsigned             reading:1;
    unsigned             busy:1;         /* something is asked of `main` */
    unsigned             forget:1;       /* the mirror, once it is free */
    unsigned             refused;        /* what was read is not published:
                                            how often that was tried, without
                                            what came as a change */
    unsigned             again:1;        /* it is being tried again */

    /* what is known */
    rows_t              *rows;
    rows_plan_t         *plan;
    int64_t              version;        /* -1: none */
    int64_t              stamp;
    char                 guard[40];
    unsigned             armed:1;        /* versions can be relied on */
    unsigned             tables:1;       /* ours are there */
    char                 snapshot[256];  /* when the fingerprint was taken */
    char                 print[40];      /* fingerprint; "": none */

    /* what is being read, then given to the daemon */
    rows_batch_t         batch;
    rows_plan_t         *new_plan;
    rows_t              *made;
    int64_t              new_version;
    int64_t              new_stamp;
    pg_fence_t           new_fence;
    char                 new_guard[40];
    char                 new_snapshot[256];
    char                 new_print[40];
    unsigned             new_armed:1;
    unsigned             new_tables:1;
    unsigned             given:1;        /* take() would give something */
    unsigned             taken:1;
    unsigned             promised:1;     /* the number of the next one is */
    int                  claim;          /* PG_CLAIM_*; atomic, the loader's
                                            thread and the loop */

    pg_fence_t           fence;

    unsigned             tried:1;
    unsigned             reachable:1;
    double               since;          /* when `reachable` changed */
    struct {
        uint64_t         timeline;
        int64_t          version;
        unsigned         recovery;
    } told;                              /* what the daemon last asked for */
    char                 message[512];
    char                 logged[512];
};


/* postgres.c */
/* once a change: the log, and the daemon */
void postgres_reachable(source_t *s);
void postgres_failed(source_t *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* it answers, but what it has cannot be read; "": it can */
void postgres_unread(source_t *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void postgres_ms(struct timeval *tv, unsigned ms);
/* details that changed since: the daemon, once a second */
void postgres_tell(source_t *s);

/* postgres_link.c */
int pg_link_init(pg_link_t *l, source_t *s);
void pg_link_release(pg_link_t *l);
/* done() is called once with a NULL answer, or one that is an empty result
 * when the connection stands */
void pg_link_connect(pg_link_t *l, const pg_settings_t *settings,
    size_t host, const char *address, pg_link_done_pt done);
/* several statements in one round trip: add() each, then go().  done() has
 * every answer in turn; only with the last one is the link free again */
void pg_link_add(pg_link_t *l, const char *sql, const pg_arg_t *args,
    size_t n, int binary);
void pg_link_go(pg_link_t *l, unsigned wait, pg_link_done_pt done);
void pg_link_send(pg_link_t *l, const char *sql, const pg_arg_t *args,
    size_t n, int binary, unsigned wait, pg_link_done_pt done);
void pg_link_close(pg_link_t *l);
/* moves a connection that nothing is under way on */
void pg_link_move(pg_link_t *to, pg_link_t *from);

/* postgres_round.c */
void postgres_round(source_t *s);
void postgres_round_stop(source_t *s);
/* the connection is gone: another round, soon */
void postgres_lost(source_t *s);
void postgres_again(source_t *s);
void postgres_grace(evutil_socket_t fd, short what, void *data);
int postgres_identity(const PGresult *res, pg_identity_t *out);
extern const char  postgres_identity_sql[];
extern const char  postgres_identity_plain_sql[];
/* names to be resolved; of both settings */
int postgres_names(source_t *s);

/* postgres_watch.c */
void postgres_chosen(source_t *s);
void postgres_want(source_t *s, unsigned want);
void postgres_next(source_t *s);
void postgres_notified(source_t *s);
/* a notification of SOURCE_PURGE: what follows it */
void postgres_purge(source_t *s, const char *key);
void postgres_tick(evutil_socket_t fd, short what, void *data);

/* postgres_read.c */
void postgres_read(source_t *s, unsigned full);
/* is anything new? */
void postgres_poll(source_t *s);
/* nothing is under way any more: the connection is gone */
void postgres_stop(source_t *s);

/* postgres_fence.c */
void postgres_fence_load(source_t *s);
void postgres_fence_save(source_t *s);
pg_fence_rc_t postgres_fence_check(const pg_fence_t *f,
    const pg_identity_t *id);

#endif
