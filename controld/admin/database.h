/*
 * database: connections for requests of the Admin API, each with a thread of
 * its own, made on demand and closed when idle.  However slow a database is,
 * it holds up nobody but those who asked it: jobs beyond the bound are
 * refused, waiting ones are the caller's to time out.
 */

#ifndef KONG_ADMIN_DATABASE_H
#define KONG_ADMIN_DATABASE_H

#include <event2/event.h>

#include "../pg/pg.h"
#include "../source/rows.h"


typedef struct database_s           database_t;
typedef struct database_job_s       database_job_t;
typedef struct database_settings_s  database_settings_t;

/* a copy: the daemon's own may be read again while a thread uses them */
struct database_settings_s {
    arena_t            *arena;
    unsigned            refs;            /* counted in the loop */
    unsigned            serial;          /* no two have the same */
    unsigned            used:1;          /* database = postgres */
    pg_settings_t       pg;
    const char         *error;           /* NULL, or why there are none */
    const char         *router_flavor;
    const char *const  *plugins;         /* NULL: all bundled ones */
};

/* a thread's connection */
typedef struct {
    pg_t                       *pg;      /* NULL: not connected */
    arena_t                    *arena;   /* of the connection */
    unsigned                    serial;      /* of its settings */
    unsigned                    version:1;   /* it counts changes */
    char                        ws_id[37];   /* of the default workspace */
    rows_kind_t               **kinds;   /* by schema, made when needed */
} database_link_t;

struct database_job_s {
    void                      (*run)(void *data, database_link_t *link);
    void                      (*done)(void *data);       /* in the loop */
    void                       *data;
    database_settings_t        *settings;    /* live until done() */
    database_job_t             *next;
};


database_settings_t *database_settings(const conf_t *c);
void database_settings_get(database_settings_t *s);
void database_settings_put(database_settings_t *s);      /* NULL is fine */

/* NULL: errno is set */
database_t *database_new(struct event_base *base);
/* waits are cut short; every done() is called */
void database_free(database_t *p);
/* -1: too many are waiting, or there is no thread to be had */
int database_run(database_t *p, database_job_t *job, unsigned max);

/* in the thread: 0 when there is a connection, -1 with *err a sentence */
int database_link(database_link_t *l, const database_settings_t *s,
    const char **err);
void database_link_close(database_link_t *l);

#endif
