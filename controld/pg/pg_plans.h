/*
 * pg_plans: which statements a connection has seen, by their text, and which
 * of them the server keeps prepared.  A text that comes a second time is
 * worth it; what is more than there is room for is sent as text each time.
 */

#ifndef KONG_PG_PLANS_H
#define KONG_PG_PLANS_H

#include <stddef.h>

#include "../model/arena.h"


#define PG_PLAN_NAME  16

typedef struct {
    const char  *sql;
    size_t       len;
    unsigned     seen;
    unsigned     ready;                  /* the server has it */
    char         name[PG_PLAN_NAME];
} pg_plan_t;

typedef struct pg_plans_s  pg_plans_t;


pg_plans_t *pg_plans_new(arena_t *a);
/* counts a use; NULL: there is no more room */
pg_plan_t *pg_plans_find(pg_plans_t *p, const char *sql);
/* the server may have none of them any more */
void pg_plans_clear(pg_plans_t *p);

#endif
