/*
 * pg: the waiting calls, for commands that have nothing else to do.  Every
 * wait is a poll() with a deadline on the monotonic clock; a server that
 * stops answering costs the timeout, and the connection.
 */

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pg.h"
#include "pg_plans.h"


#define PG_ARGS_MAX  64
#define PG_GRACE     1.0                 /* the server's own deadline first */
#define PG_LOOK      0.2                 /* between looks at a stop flag */


struct pg_s {
    arena_t              *arena;
    PGconn               *conn;          /* NULL after a missed deadline */
    const pg_settings_t  *settings;
    pg_plans_t           *plans;         /* NULL: none was asked for */
    size_t                host;
    const char           *schema;
    const char           *error;
    char                  sqlstate[6];
    char                  constraint[64];
    char                  table[64];
};


static int pg_open_host(pg_t *pg, size_t host, unsigned flags);
static int pg_connect(pg_t *pg, double deadline);
static int pg_session(pg_t *pg);
static int pg_check_primary(pg_t *pg);
static int pg_send_format(PGconn *conn, const char *sql,
    const pg_arg_t *args, size_t n, int format);
static int pg_prepare(pg_t *pg, pg_plan_t *plan, const pg_arg_t *args,
    size_t n);
static int pg_send_plan(pg_t *pg, const pg_plan_t *plan,
    const pg_arg_t *args, size_t n, int format);
static void pg_begin(pg_t *pg);
static PGresult *pg_results(pg_t *pg);
static int pg_flush(pg_t *pg, double deadline);
static PGresult *pg_next(pg_t *pg, double deadline);
static void pg_failed(pg_t *pg, const PGresult *res);
static void pg_name(const PGresult *res, int code, char *out, size_t size);
static int pg_wait(pg_t *pg, short events, double deadline);
static void pg_ignore_notice(void *arg, const PGresult *res);
static double pg_now(void);


/*
 * search_path is the one schema, as Kong has it; times are written and read
 * in UTC.  controld.schema names the schema to statements that make it.
 */
const char  pg_session_sql[] =
    "SELECT set_config('search_path', quote_ident(name), false), "
    "set_config('controld.schema', name, false), "
    "set_config('TimeZone', 'UTC', false), "
    "set_config('client_min_messages', 'warning', false), "
    "set_config('statement_timeout', $2, false), "
    "set_config('lock_timeout', $2, false), name "
    "FROM (SELECT coalesce($1, current_schema(), 'public') AS name) AS s";


void
pg_session_args(arena_t *a, const pg_settings_t *s,
    pg_arg_t args[PG_SESSION_ARGS])
{
    args[0].type = PG_TYPE_TEXT;
    args[0].text = s->schema;

    /* the server's own deadline, behind which ours is the backstop */

    args[1].type = PG_TYPE_TEXT;
    args[1].text = arena_printf(a, "%.0f", s->timeout * 1000);
}


pg_t *
pg_open(arena_t *a, const pg_settings_t *s, unsigned flags, const char **err)
{
    pg_t        *pg;
    size_t       i;
    const char  *all;

    pg = arena_zalloc(a, sizeof(*pg));
    pg->arena = a;
    pg->settings = s;
    all = NULL;

    for (i = 0; i < s->n_hosts; i++) {

        if (pg_open_host(pg, i, flags) == 0) {
            return pg;
        }

        if (s->n_hosts == 1) {
            all = pg->error;

        } else {
            all = arena_printf(a, "%s%s%s:%s: %s", all ? all : "",
                               all ? "; " : "", s->hosts[i].name,
                               s->hosts[i].port, pg->error);
        }

        pg_close(pg);
    }

    *err = arena_printf(a, "[PostgreSQL error] failed to retrieve PostgreSQL "
                        "server_version_num: %s", all ? all : "no host");

    return NULL;
}


static int
pg_open_host(pg_t *pg, size_t host, unsigned flags)
{
    double  deadline;

    pg->host = host;
    deadline = pg_now() + pg->settings->timeout;

    pg->conn = pg_start(pg->settings, host, NULL);

    if (pg->conn == NULL) {
        pg->error = "out of memory";
        return -1;
    }

    if (pg_connect(pg, deadline) == -1) {
        return -1;
    }

    PQsetNoticeReceiver(pg->conn, pg_ignore_notice, NULL);

    if (pg_version(pg) < PG_MIN) {
        pg->error = arena_printf(pg->arena, "PostgreSQL 9.5 or newer is "
                                 "needed, this one is %d.%d",
                                 pg_version(pg) / 10000,
                                 pg_version(pg) / 100 % 100);
        return -1;
    }

    if ((flags & PG_WRITABLE) && pg_check_primary(pg) == -1) {
        return -1;
    }

    return pg_session(pg);
}


static int
pg_connect(pg_t *pg, double deadline)
{
    short                      events;
    PostgresPollingStatusType  status;

    status = PGRES_POLLING_WRITING;

    for ( ;; ) {
        if (PQstatus(pg->conn) == CONNECTION_BAD) {
            status = PGRES_POLLING_FAILED;
        }

        if (status == PGRES_POLLING_FAILED) {
            pg->error = pg_reason(pg->arena, pg->conn);
            return -1;
        }

        if (status == PGRES_POLLING_OK) {
            break;
        }

        events = (status == PGRES_POLLING_READING) ? POLLIN : POLLOUT;

        if (pg_wait(pg, events, deadline) == -1) {
            return -1;
        }

        status = PQconnectPoll(pg->conn);
    }

    if (PQsetnonblocking(pg->conn, 1) == -1) {
        pg->error = "out of memory";
        return -1;
    }

    return 0;
}


static int
pg_session(pg_t *pg)
{
    PGresult  *res;
    pg_arg_t   args[PG_SESSION_ARGS];

    pg_session_args(pg->arena, pg->settings, args);
    res = pg_query(pg, pg_session_sql, args, PG_SESSION_ARGS);

    if (res == NULL) {
        return -1;
    }

    pg->schema = arena_printf(pg->arena, "%s", PQgetvalue(res, 0, 6));
    PQclear(res);

    return 0;
}


static int
pg_check_primary(pg_t *pg)
{
    int        replica;
    PGresult  *res;

    res = pg_query(pg, "SELECT pg_is_in_recovery()", NULL, 0);

    if (res == NULL) {
        return -1;
    }

    replica = (PQgetvalue(res, 0, 0)[0] == 't');
    PQclear(res);

    if (replica) {
        pg->error = "it is a replica, and cannot be written to";
        return -1;
    }

    return 0;
}


void
pg_close(pg_t *pg)
{
    if (pg != NULL && pg->conn != NULL) {
        PQfinish(pg->conn);
        pg->conn = NULL;
    }
}


int
pg_send(PGconn *conn, const char *sql, const pg_arg_t *args, size_t n)
{
    return pg_send_format(conn, sql, args, n, 0);
}


static int
pg_send_format(PGconn *conn, const char *sql, const pg_arg_t *args, size_t n,
    int format)
{
    Oid          types[PG_ARGS_MAX];
    size_t       i;
    const char  *values[PG_ARGS_MAX];

    if (n > PG_ARGS_MAX) {
        return -1;
    }

    for (i = 0; i < n; i++) {
        types[i] = args[i].type;
        values[i] = args[i].text;
    }

    return PQsendQueryParams(conn, sql, (int) n, types, values, NULL, NULL,
                             format)
           ? 0 : -1;
}


PGresult *
pg_query(pg_t *pg, const char *sql, const pg_arg_t *args, size_t n)
{
    pg_begin(pg);

    if (pg->conn == NULL) {
        return NULL;                     /* the error is still the first */
    }

    if (pg_send(pg->conn, sql, args, n) == -1) {
        pg_failed(pg, NULL);
        return NULL;
    }

    return pg_results(pg);
}


PGresult *
pg_query_plan(pg_t *pg, const char *sql, const pg_arg_t *args, size_t n,
    int binary)
{
    int         rc;
    PGresult   *res;
    pg_plan_t  *plan;

    pg_begin(pg);

    if (pg->conn == NULL) {
        return NULL;
    }

    if (pg->plans == NULL) {
        pg->plans = pg_plans_new(pg->arena);
    }

    plan = pg_plans_find(pg->plans, sql);

    if (plan != NULL && !plan->ready && plan->seen > 1
        && pg_prepare(pg, plan, args, n) == -1)
    {
        return NULL;
    }

    rc = (plan != NULL && plan->ready)
         ? pg_send_plan(pg, plan, args, n, binary)
         : pg_send_format(pg->conn, sql, args, n, binary);

    if (rc == -1) {
        pg_failed(pg, NULL);
        return NULL;
    }

    res = pg_results(pg);

    if (res == NULL && pg_error_stale(pg)) {
        pg_plans_clear(pg->plans);
    }

    return res;
}


static int
pg_prepare(pg_t *pg, pg_plan_t *plan, const pg_arg_t *args, size_t n)
{
    Oid        types[PG_ARGS_MAX];
    size_t     i;
    PGresult  *res;

    if (n > PG_ARGS_MAX) {
        return 0;                        /* sending it says so */
    }

    for (i = 0; i < n; i++) {
        types[i] = args[i].type;
    }

    if (!PQsendPrepare(pg->conn, plan->name, plan->sql, (int) n, types)) {
        pg_failed(pg, NULL);
        return -1;
    }

    res = pg_results(pg);

    if (res == NULL) {
        return -1;
    }

    PQclear(res);
    plan->ready = 1;

    return 0;
}


static int
pg_send_plan(pg_t *pg, const pg_plan_t *plan, const pg_arg_t *args, size_t n,
    int format)
{
    size_t       i;
    const char  *values[PG_ARGS_MAX];

    for (i = 0; i < n; i++) {
        values[i] = args[i].text;
    }

    return PQsendQueryPrepared(pg->conn, plan->name, (int) n, values, NULL,
                               NULL, format)
           ? 0 : -1;
}


static void
pg_begin(pg_t *pg)
{
    pg->sqlstate[0] = '\0';
    pg->constraint[0] = '\0';
    pg->table[0] = '\0';
}


/* no such statement, one of that name, a result that looks different now */
int
pg_error_stale(const pg_t *pg)
{
    return strcmp(pg->sqlstate, "26000") == 0
           || strcmp(pg->sqlstate, "42P05") == 0
           || strcmp(pg->sqlstate, "0A000") == 0;
}


long
pg_run(pg_t *pg, const char *sql, const pg_arg_t *args, size_t n)
{
    long       rows;
    PGresult  *res;

    res = pg_query(pg, sql, args, n);

    if (res == NULL) {
        return -1;
    }

    rows = atol(PQcmdTuples(res));
    PQclear(res);

    return rows;
}


int
pg_script(pg_t *pg, const char *sql)
{
    PGresult  *res;

    pg->sqlstate[0] = '\0';

    if (pg->conn == NULL) {
        return -1;
    }

    if (!PQsendQuery(pg->conn, sql)) {
        pg_failed(pg, NULL);
        return -1;
    }

    res = pg_results(pg);

    if (res == NULL) {
        return -1;
    }

    PQclear(res);

    return 0;
}


/* the last result of what was sent, or NULL after its first error */
static PGresult *
pg_results(pg_t *pg)
{
    int        failed;
    double     deadline;
    PGresult  *res, *last;

    deadline = pg_now() + pg->settings->timeout + PG_GRACE;
    failed = 0;
    last = NULL;

    if (pg_flush(pg, deadline) == -1) {
        return NULL;
    }

    while (pg->conn != NULL) {
        res = pg_next(pg, deadline);

        if (res == NULL) {
            break;
        }

        PQclear(last);
        last = res;

        switch (PQresultStatus(res)) {

        case PGRES_COMMAND_OK:
        case PGRES_TUPLES_OK:
        case PGRES_EMPTY_QUERY:
            break;

        case PGRES_COPY_IN:
        case PGRES_COPY_OUT:
        case PGRES_COPY_BOTH:
            pg->error = "COPY is not spoken here";
            pg_close(pg);
            break;

        default:
            if (!failed) {
                failed = 1;
                pg_failed(pg, res);
            }
        }
    }

    if (last == NULL && pg->conn != NULL) {
        pg_failed(pg, NULL);
    }

    if (failed || pg->conn == NULL) {
        PQclear(last);
        return NULL;
    }

    return last;
}


static int
pg_flush(pg_t *pg, double deadline)
{
    int  rc;

    for ( ;; ) {
        rc = PQflush(pg->conn);

        if (rc == 0) {
            return 0;
        }

        if (rc == -1) {
            pg_failed(pg, NULL);
            return -1;
        }

        if (pg_wait(pg, POLLIN|POLLOUT, deadline) == -1) {
            return -1;
        }

        if (!PQconsumeInput(pg->conn)) {
            pg_failed(pg, NULL);
            return -1;
        }
    }
}


static PGresult *
pg_next(pg_t *pg, double deadline)
{
    while (PQisBusy(pg->conn)) {

        if (pg_wait(pg, POLLIN, deadline) == -1) {
            return NULL;
        }

        if (!PQconsumeInput(pg->conn)) {
            pg_failed(pg, NULL);
            return NULL;
        }
    }

    return PQgetResult(pg->conn);
}


static void
pg_failed(pg_t *pg, const PGresult *res)
{
    const char  *text, *state, *detail;

    text = res ? PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    state = res ? PQresultErrorField(res, PG_DIAG_SQLSTATE) : NULL;
    detail = res ? PQresultErrorField(res, PG_DIAG_MESSAGE_DETAIL) : NULL;

    if (state != NULL && strlen(state) < sizeof(pg->sqlstate)) {
        strcpy(pg->sqlstate, state);
    }

    pg_name(res, PG_DIAG_CONSTRAINT_NAME, pg->constraint,
            sizeof(pg->constraint));
    pg_name(res, PG_DIAG_TABLE_NAME, pg->table, sizeof(pg->table));

    if (text == NULL) {
        pg->error = pg_reason(pg->arena, pg->conn);

    } else {
        pg->error = arena_printf(pg->arena, "%s%s%s%s", text,
                                 detail ? " (" : "", detail ? detail : "",
                                 detail ? ")" : "");
    }

    if (PQstatus(pg->conn) == CONNECTION_BAD) {
        pg_close(pg);
    }
}


static void
pg_name(const PGresult *res, int code, char *out, size_t size)
{
    const char  *text;

    text = res ? PQresultErrorField(res, code) : NULL;

    if (text != NULL && strlen(text) < size) {
        strcpy(out, text);
    }
}


int
pg_alive(pg_t *pg)
{
    struct pollfd  fd;

    if (pg->conn == NULL) {
        return 0;
    }

    fd.fd = PQsocket(pg->conn);
    fd.events = POLLIN;

    /* what a server says unasked is its farewell, or a notice */

    if (poll(&fd, 1, 0) > 0 && !PQconsumeInput(pg->conn)) {
        return 0;
    }

    return PQstatus(pg->conn) == CONNECTION_OK
           && PQtransactionStatus(pg->conn) == PQTRANS_IDLE;
}


static int
pg_wait(pg_t *pg, short events, double deadline)
{
    int            n;
    double         left;
    const int     *stop;
    struct pollfd  fd;

    stop = pg->settings->stop;

    for ( ;; ) {
        left = deadline - pg_now();

        if (stop != NULL && __atomic_load_n(stop, __ATOMIC_RELAXED)) {
            left = 0;
        }

        if (left <= 0) {
            pg->error = "timeout";
            pg_close(pg);
            return -1;
        }

        if (stop != NULL && left > PG_LOOK) {
            left = PG_LOOK;
        }

        fd.fd = PQsocket(pg->conn);
        fd.events = events;
        fd.revents = 0;

        n = poll(&fd, 1, left > 3600 ? 3600 * 1000 : (int) (left * 1000) + 1);

        if (n > 0) {
            return 0;
        }

        if (n == -1 && errno != EINTR) {
            pg->error = arena_printf(pg->arena, "poll: %s", strerror(errno));
            pg_close(pg);
            return -1;
        }
    }
}


/*
 * libpq says 'connection to server at "h", port 1 failed: Connection refused'
 * and more on further lines; Kong's users look for the last words.
 */
const char *
pg_reason(arena_t *a, const PGconn *conn)
{
    size_t       len;
    const char  *text, *p;

    text = PQerrorMessage(conn);

    if (strstr(text, "Connection refused") != NULL) {
        return "connection refused";
    }

    for (p = strstr(text, " failed: "); p != NULL; p = strstr(p, " failed: "))
    {
        p += sizeof(" failed: ") - 1;
        text = p;
    }

    len = strcspn(text, "\n");

    return (len > 0) ? arena_strndup(a, text, len) : "the connection was lost";
}


static void
pg_ignore_notice(void *arg, const PGresult *res)
{
    (void) arg;
    (void) res;
}


const char *
pg_error(const pg_t *pg)
{
    return pg->error ? pg->error : "unknown error";
}


const char *
pg_constraint(const pg_t *pg)
{
    return pg->constraint;
}


const char *
pg_table(const pg_t *pg)
{
    return pg->table;
}


const char *
pg_sqlstate(const pg_t *pg)
{
    return pg->sqlstate;
}


const char *
pg_schema(const pg_t *pg)
{
    return pg->schema;
}


const char *
pg_database(const pg_t *pg)
{
    return pg->settings->database;
}


int
pg_version(const pg_t *pg)
{
    return pg->conn ? PQserverVersion(pg->conn) : 0;
}


const pg_host_t *
pg_host(const pg_t *pg)
{
    return &pg->settings->hosts[pg->host];
}


static double
pg_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}
