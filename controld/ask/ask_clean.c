/*
 * ask_clean: whether the database is there, and its cleaning.  Rows of tokens
 * and sessions whose time has passed are nobody's any more.  Kong's triggers
 * remove some with every insert, this removes what is left, a piece at a
 * time, so that no transaction is long.
 */

#include "ask_private.h"


#define ASK_CLEAN_ROUNDS  20             /* of up to 1000 rows */


static void ask_ping(ask_work_t *w);
static int ask_clean_piece(ask_work_t *w, const char *table);


const ask_route_t  ask_other_routes[] = {
    { "/ping", ask_ping, 0 },
    { NULL, NULL, 0 }
};


static const char *const  ask_tables[] = {
    "oauth2_authorization_codes", "oauth2_tokens", "sessions", NULL
};


void
ask_clean(ask_work_t *w)
{
    int     n;
    size_t  i;

    for (i = 0; ask_tables[i] != NULL; i++) {
        for (n = 0; n < ASK_CLEAN_ROUNDS; n++) {
            if (ask_clean_piece(w, ask_tables[i]) == 0) {
                break;
            }
        }
    }
}


static void
ask_ping(ask_work_t *w)
{
    (void) ask_row(w, "SELECT 1", NULL, 0, NULL);
}


/* 0: that was the last one */
static int
ask_clean_piece(ask_work_t *w, const char *table)
{
    int        more;
    PGresult  *res;

    if (ask_query(w,
                  arena_printf(w->arena,
                               "DELETE FROM %s t WHERE t.id IN (SELECT s.id "
                               "FROM %s s WHERE s.ttl < CURRENT_TIMESTAMP "
                               "LIMIT 1000 FOR UPDATE SKIP LOCKED) "
                               "RETURNING 1", table, table),
                  NULL, 0, &res)
        == -1)
    {
        return 0;
    }

    more = PQntuples(res) == 1000;
    PQclear(res);

    return more;
}
