/*
 * ask_session: rows of Kong's table `sessions`.  A row's data is sealed by the
 * worker; here it is a text.
 */

#include <time.h>

#include "../model/uuid.h"
#include "ask_private.h"


/* a client may come back with its cookie before the row is committed */
#define ASK_BORN_TRIES  10
#define ASK_BORN_PAUSE  (20 * 1000000)   /* ns */

#define ASK_EXPIRES(n)                                                       \
    "(extract(epoch FROM CURRENT_TIMESTAMP(0)) + " n ")::integer"


static void ask_session_find(ask_work_t *w);
static void ask_session_new(ask_work_t *w);
static void ask_session_extend(ask_work_t *w);
static void ask_session_end(ask_work_t *w);


const ask_route_t  ask_session_routes[] = {
    { "/session/find", ask_session_find, 0 },
    { "/session/new", ask_session_new, 0 },
    { "/session/extend", ask_session_extend, 0 },
    { "/session/end", ask_session_end, 0 },
    { NULL, NULL, 0 }
};


/* `born`: a moment ago */
static void
ask_session_find(ask_work_t *w)
{
    int              tries;
    pg_arg_t         args[1];
    struct timespec  pause = { 0, ASK_BORN_PAUSE };

    static const char *const  names[] = { "data", "#left", NULL };
    static const char  sql[] =
        "SELECT t.data, CASE WHEN t.ttl IS NULL THEN -1 ELSE "
        "extract(epoch FROM t.ttl - CURRENT_TIMESTAMP) END "
        "FROM sessions t WHERE t.session_id = $1 AND " ASK_ALIVE;

    tries = ask_flag(w, "born") ? ASK_BORN_TRIES : 1;
    args[0] = ask_arg(PG_TYPE_TEXT, ask_text(w, "id"));

    while (ask_row(w, sql, args, 1, names) == -1) {

        if (w->status != ASK_NONE || --tries == 0) {
            return;
        }

        (void) nanosleep(&pause, NULL);
        w->status = ASK_OK;
    }
}


/* `old`: the session that it replaces, which goes in `stale` seconds */
static void
ask_session_new(ask_work_t *w)
{
    char      id[UUID_SIZE];
    pg_arg_t  args[6];

    uuid_v4(id);

    args[0] = ask_arg(PG_TYPE_UUID, id);
    args[1] = ask_arg(PG_TYPE_TEXT, ask_text(w, "id"));
    args[2] = ask_arg(PG_TYPE_TEXT, ask_text(w, "data"));
    args[3] = ask_arg_number(w, ask_number(w, "ttl"));
    args[4] = ask_arg(PG_TYPE_TEXT, ask_text(w, "old"));
    args[5] = ask_arg_number(w, ask_number(w, "stale"));
    w->bad |= (args[1].text == NULL || args[2].text == NULL);

    (void) ask_row(w,
                   "WITH old AS (UPDATE sessions t SET "
                   "expires = least(t.expires, "
                   ASK_EXPIRES("coalesce($6, 0)") "), "
                   "ttl = least(t.ttl, " ASK_IN("coalesce($6, 0)") ") "
                   "WHERE t.session_id = $5 AND " ASK_ALIVE " RETURNING 1) "
                   "INSERT INTO sessions (id, session_id, expires, data, "
                   "created_at, ttl) SELECT $1, $2, " ASK_EXPIRES("$4")
                   ", $3, CURRENT_TIMESTAMP(0), " ASK_IN("$4")
                   " WHERE $5::text IS NULL OR EXISTS (SELECT FROM old) "
                   "RETURNING id", args, 6, NULL);
}


static void
ask_session_extend(ask_work_t *w)
{
    pg_arg_t  args[2];

    args[0] = ask_arg(PG_TYPE_TEXT, ask_text(w, "id"));
    args[1] = ask_arg_number(w, ask_number(w, "ttl"));

    (void) ask_row(w,
                   "UPDATE sessions t SET expires = " ASK_EXPIRES("$2")
                   ", ttl = " ASK_IN("$2") " WHERE t.session_id = $1 AND "
                   ASK_ALIVE " RETURNING id", args, 2, NULL);
}


/* `remember`: of the cookie that goes with it */
static void
ask_session_end(ask_work_t *w)
{
    pg_arg_t  args[2];

    args[0] = ask_arg(PG_TYPE_TEXT, ask_text(w, "id"));
    args[1] = ask_arg(PG_TYPE_TEXT, ask_text(w, "remember"));

    (void) ask_row(w,
                   "DELETE FROM sessions WHERE session_id IN ($1, $2) "
                   "RETURNING id", args, 2, NULL);
}
