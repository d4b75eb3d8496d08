/*
 * pg: a thin layer over libpq.  The settings become connection parameters for
 * each host; the daemon drives the connection with libpq's asynchronous
 * calls, the command line through the waiting calls below, which are built on
 * the same.  Deadlines are ours: libpq's connect_timeout has no effect in its
 * asynchronous calls.  Values go to the server as typed parameters, never
 * into the text of a statement.
 *
 * Two settings read closer than in Kong: pg_ssl = on never falls back to a
 * connection in clear text, and pg_ssl_verify with the system's certificates
 * compares the host's name too.
 */

#ifndef KONG_PG_H
#define KONG_PG_H

#include <libpq-fe.h>

#include "../conf/conf.h"


#define PG_PORT       "5432"
#define PG_MIN        90500              /* Kong's minimum, 9.5 */

/* types of parameters, by their fixed object ids */
#define PG_TYPE_BOOL       16
#define PG_TYPE_INT8       20
#define PG_TYPE_TEXT       25
#define PG_TYPE_TEXTS    1009            /* text[] */
#define PG_TYPE_FLOAT8    701
#define PG_TYPE_UUID     2950
#define PG_TYPE_UUIDS    2951            /* uuid[] */
#define PG_TYPE_JSONB    3802
#define PG_TYPE_JSONBS   3807            /* jsonb[] */

#define PG_WRITABLE   0x01               /* a primary, not a replica */

typedef struct {
    const char   *name;          /* a name, an address, a socket's folder */
    const char   *port;
} pg_host_t;

typedef struct {
    pg_host_t    *hosts;
    size_t        n_hosts;
    const char   *user;
    const char   *password;      /* NULL: none */
    const char   *database;
    const char   *schema;        /* NULL: the server's current_schema() */
    const char   *sslmode;
    const char   *sslrootcert;   /* NULL: none needed */
    double        timeout;       /* seconds: connecting, and a statement */
    const int    *stop;          /* not NULL: waiting ends once it is set */
    unsigned      replica:1;     /* pg_ro_* */
} pg_settings_t;

typedef struct {
    Oid           type;
    const char   *text;          /* NULL is SQL's NULL */
} pg_arg_t;

typedef struct pg_s  pg_t;


/*
 * pg_* of the settings, or pg_ro_* on top of them; strings are those of `c`
 * or from `a`.  -1 with *err a sentence.
 */
int pg_settings(arena_t *a, const conf_t *c, int replica, pg_settings_t *out,
    const char **err);
/* "h1:p1,h2,[::1]:p3,/folder" */
int pg_hosts(arena_t *a, const char *text, const char *port,
    pg_settings_t *out, const char **err);

/*
 * Begins a connection to one host; `hostaddr` (NULL: libpq resolves the name,
 * and blocks in it) is its address.  NULL only when memory is out; go on with
 * PQconnectPoll().
 */
PGconn *pg_start(const pg_settings_t *s, size_t host, const char *hostaddr);

/* the statement that every new connection needs, and its parameters */
#define PG_SESSION_ARGS  2
extern const char  pg_session_sql[];
void pg_session_args(arena_t *a, const pg_settings_t *s,
    pg_arg_t args[PG_SESSION_ARGS]);
/* sends it, or any other; 0 or -1 as libpq's calls fail */
int pg_send(PGconn *conn, const char *sql, const pg_arg_t *args, size_t n);

/* libpq's message of a failed connection as a few words on one line */
const char *pg_reason(arena_t *a, const PGconn *conn);


/*
 * The waiting calls.  pg_open() tries the hosts in order, each with the
 * settings' timeout; NULL with *err a sentence in Kong's words.  After a
 * failure of pg_query() and the others, pg_error() is a sentence; a
 * connection that missed a deadline is closed and stays so.
 */
pg_t *pg_open(arena_t *a, const pg_settings_t *s, unsigned flags,
    const char **err);
void pg_close(pg_t *pg);                         /* NULL is fine */

/* the caller clears it; NULL after an error */
PGresult *pg_query(pg_t *pg, const char *sql, const pg_arg_t *args, size_t n);
/*
 * The same, for statements that come again: the server keeps them prepared;
 * `binary` are the answer's values.  When the server no longer has a plan, or
 * the tables have changed under it, pg_error_stale() says so after the
 * failure: the same once more, or its transaction, will do.
 */
PGresult *pg_query_plan(pg_t *pg, const char *sql, const pg_arg_t *args,
    size_t n, int binary);
int pg_error_stale(const pg_t *pg);
/* the number of rows that a statement changed or gave, or -1 */
long pg_run(pg_t *pg, const char *sql, const pg_arg_t *args, size_t n);
/* several statements, without parameters; 0 or -1 */
int pg_script(pg_t *pg, const char *sql);

const char *pg_error(const pg_t *pg);
const char *pg_sqlstate(const pg_t *pg);         /* "" when there is none */
/* what the last error was about; "" when it was not told */
const char *pg_constraint(const pg_t *pg);
const char *pg_table(const pg_t *pg);
/* whether a connection that was idle still stands; never waits */
int pg_alive(pg_t *pg);
const char *pg_schema(const pg_t *pg);
const char *pg_database(const pg_t *pg);
int pg_version(const pg_t *pg);                  /* 150020 */
const pg_host_t *pg_host(const pg_t *pg);

#endif
