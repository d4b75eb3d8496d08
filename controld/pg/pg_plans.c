/*
 * pg_plans: a table of texts with open addressing.  Texts live in the
 * connection's arena, and as long as the connection; after a clear they are
 * prepared again under new names.
 */

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "pg_plans.h"


#define PG_PLANS       512               /* slots, a power of two */
#define PG_PLANS_MAX   256               /* in use */


struct pg_plans_s {
    arena_t    *arena;
    size_t      n;
    unsigned    serial;                  /* of the last name */
    pg_plan_t   slots[PG_PLANS];
};


static void pg_plans_name(pg_plans_t *p, pg_plan_t *plan);


pg_plans_t *
pg_plans_new(arena_t *a)
{
    pg_plans_t  *p;

    p = arena_zalloc(a, sizeof(pg_plans_t));
    p->arena = a;

    return p;
}


pg_plan_t *
pg_plans_find(pg_plans_t *p, const char *sql)
{
    size_t      i, len;
    pg_plan_t  *plan;

    len = strlen(sql);
    i = (size_t) XXH3_64bits(sql, len) & (PG_PLANS - 1);

    for ( ;; ) {
        plan = &p->slots[i];

        if (plan->sql == NULL) {
            break;
        }

        if (plan->len == len && memcmp(plan->sql, sql, len) == 0) {
            plan->seen++;
            return plan;
        }

        i = (i + 1) & (PG_PLANS - 1);
    }

    if (p->n == PG_PLANS_MAX) {
        return NULL;
    }

    p->n++;
    plan->sql = arena_strndup(p->arena, sql, len);
    plan->len = len;
    plan->seen = 1;
    pg_plans_name(p, plan);

    return plan;
}


void
pg_plans_clear(pg_plans_t *p)
{
    size_t  i;

    for (i = 0; i < PG_PLANS; i++) {
        if (p->slots[i].ready) {
            p->slots[i].ready = 0;
            pg_plans_name(p, &p->slots[i]);
        }
    }
}


static void
pg_plans_name(pg_plans_t *p, pg_plan_t *plan)
{
    (void) snprintf(plan->name, sizeof(plan->name), "kong%u", ++p->serial);
}
