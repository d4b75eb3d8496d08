/*
 * counters_rows: a batch of counters as the control socket gives it, on its
 * way into the database.
 */

#ifndef KONG_COUNTERS_ROWS_H
#define KONG_COUNTERS_ROWS_H

#include "../pg/pg.h"


#define COUNTERS_ROWS  100               /* of a batch, at most */

typedef struct {
    const char   *place;                 /* the module's words, as they came */
    const char   *flight;
    const char   *start;
    const char   *end;
    const char   *route;
    const char   *service;
    const char   *amount;
    const char   *identifier;            /* hex */
    const char   *name;                  /* hex; NULL: of rate-limiting */
    const char   *period;
    long long     sum;                   /* -1: not known */
} counters_row_t;

typedef struct {
    size_t           n;
    counters_row_t   rows[COUNTERS_ROWS];
} counters_rows_t;


/* the lines are cut into words; the rows point there.  -1: they are not what
 * the module writes */
int counters_rows_parse(counters_rows_t *out, char *text);

/* adds them, and sets the sums; -1 with pg_error(), when the sums of some may
 * be set all the same.  Without rows: whether the database answers */
int counters_rows_add(counters_rows_t *rows, pg_t *pg, arena_t *a);
/* removes some of what limits nobody any more; -1 with pg_error() */
int counters_rows_clean(pg_t *pg);

#endif
