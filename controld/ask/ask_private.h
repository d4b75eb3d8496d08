/*
 * ask_private: a question, for the handlers that answer it in a connection's
 * thread: ask_oauth2.c, ask_session.c, ask_clean.c.
 */

#ifndef KONG_ASK_PRIVATE_H
#define KONG_ASK_PRIVATE_H

#include "../admin/database.h"
#include "ask.h"


#define ASK_OK          200
#define ASK_BAD         400
#define ASK_NONE        404
#define ASK_NO_DATABASE 501
#define ASK_NOT_NOW     503

/* pieces of SQL: a row `t` whose time has not passed; the time in n seconds */
#define ASK_ALIVE  "(t.ttl IS NULL OR t.ttl >= CURRENT_TIMESTAMP)"
#define ASK_IN(n)  "CURRENT_TIMESTAMP(0) + " n " * interval '1 second'"

typedef struct {
    arena_t          *arena;
    database_link_t  *link;
    const value_t    *in;
    value_t           out;                   /* an object */
    int               status;
    unsigned          bad:1;                 /* a member is not as it must */
} ask_work_t;

typedef void (*ask_handler_pt)(ask_work_t *w);

typedef struct {
    const char       *path;
    ask_handler_pt    handler;
    unsigned          plain:1;               /* needs no database */
} ask_route_t;


extern const ask_route_t  ask_oauth2_routes[];
extern const ask_route_t  ask_session_routes[];
extern const ask_route_t  ask_other_routes[];

/* rows whose time has passed, in every table of tokens and sessions */
void ask_clean(ask_work_t *w);

/* members of the question; what a database would not take marks it bad */
const char *ask_text(ask_work_t *w, const char *name);   /* NULL: none */
double ask_number(ask_work_t *w, const char *name);      /* 0: none */
unsigned ask_flag(ask_work_t *w, const char *name);

/* parameters */
pg_arg_t ask_arg(Oid type, const char *text);
pg_arg_t ask_arg_number(ask_work_t *w, double n);    /* NULL when it is 0 */
pg_arg_t ask_arg_uuid(ask_work_t *w, const char *name);

/* a statement that gives at most one row: with one *res is the caller's; the
 * status says how it went */
int ask_query(ask_work_t *w, const char *sql, const pg_arg_t *args, size_t n,
    PGresult **res);
/* the same, its columns being members of the answer: text, or numbers where
 * the name begins with '#'.  Without names only the status is answered */
int ask_row(ask_work_t *w, const char *sql, const pg_arg_t *args, size_t n,
    const char *const *names);

#endif
