/*
 * postgres_link: one connection on the loop.  libpq's asynchronous calls know
 * no deadlines, so every step has one here: connecting as a whole, and each
 * statement for as long as not a byte of its answer arrives.
 *
 * Statements go out in libpq's pipeline mode, one or several at a time, so
 * that a reading costs as many round trips as it has decisions.
 *
 * done() is never called from within pg_link_connect() or pg_link_go(): a
 * failure is reported by the loop.
 */

#include <stdio.h>
#include <string.h>

#include "postgres_private.h"


static void pg_link_watch(pg_link_t *l, short what);
static void pg_link_handler(evutil_socket_t fd, short what, void *data);
static void pg_link_late(evutil_socket_t fd, short what, void *data);
static void pg_link_poll(pg_link_t *l);
static void pg_link_notified(pg_link_t *l);
static void pg_link_results(pg_link_t *l);
static void pg_link_keep(pg_link_t *l, PGresult *res);
static void pg_link_end(pg_link_t *l);
static void pg_link_deadline(pg_link_t *l, unsigned ms);
static void pg_link_fail(pg_link_t *l, const char *error);
static void pg_link_broken(pg_link_t *l);
static void pg_link_ignore(void *arg, const PGresult *res);


int
pg_link_init(pg_link_t *l, source_t *s)
{
    memset(l, 0, sizeof(*l));
    l->source = s;
    l->deadline = evtimer_new(s->host.base, pg_link_late, l);

    return (l->deadline != NULL) ? 0 : -1;
}


void
pg_link_release(pg_link_t *l)
{
    pg_link_close(l);

    if (l->deadline != NULL) {
        event_free(l->deadline);
        l->deadline = NULL;
    }
}


void
pg_link_close(pg_link_t *l)
{
    if (l->event != NULL) {
        event_free(l->event);
        l->event = NULL;
    }

    if (l->deadline != NULL) {
        (void) evtimer_del(l->deadline);
    }

    PQclear(l->result);
    l->result = NULL;

    if (l->conn != NULL) {
        PQfinish(l->conn);
        l->conn = NULL;
    }

    l->connecting = 0;
    l->active = 0;
    l->asked = 0;
    l->bad = 0;
    l->done = NULL;
}


void
pg_link_connect(pg_link_t *l, const pg_settings_t *settings, size_t host,
    const char *address, pg_link_done_pt done)
{
    const pg_host_t  *h;

    h = &settings->hosts[host];

    l->settings = settings;
    l->done = done;
    l->connecting = 1;
    l->error[0] = '\0';
    (void) snprintf(l->name, sizeof(l->name),
                    strchr(h->name, ':') ? "[%s]:%s" : "%s:%s", h->name,
                    h->port);

    l->conn = pg_start(settings, host, address);
    pg_link_deadline(l, PG_CONNECT);

    if (l->conn == NULL || PQstatus(l->conn) == CONNECTION_BAD
        || PQsocket(l->conn) == -1)
    {
        pg_link_deadline(l, 1);          /* the timer tells it */
        return;
    }

    PQsetNoticeReceiver(l->conn, pg_link_ignore, NULL);
    pg_link_watch(l, EV_WRITE);
}


void
pg_link_add(pg_link_t *l, const char *sql, const pg_arg_t *args, size_t n,
    int binary)
{
    Oid          types[4];
    size_t       i;
    const char  *values[4];

    l->asked++;

    for (i = 0; i < n && i < 4; i++) {
        types[i] = args[i].type;
        values[i] = args[i].text;
    }

    if (l->conn == NULL || l->bad
        || PQsendQueryParams(l->conn, sql, (int) n, types, values, NULL,
                             NULL, binary)
           == 0)
    {
        l->bad = 1;
    }
}


void
pg_link_go(pg_link_t *l, unsigned wait, pg_link_done_pt done)
{
    int  rc;

    l->done = done;
    l->active = 1;
    l->wait = wait;

    if (l->bad || PQpipelineSync(l->conn) == 0) {
        pg_link_deadline(l, 1);
        return;
    }

    rc = PQflush(l->conn);
    pg_link_deadline(l, rc == -1 ? 1 : wait);
    pg_link_watch(l, rc == 1 ? EV_READ|EV_WRITE : EV_READ);
}


void
pg_link_send(pg_link_t *l, const char *sql, const pg_arg_t *args, size_t n,
    int binary, unsigned wait, pg_link_done_pt done)
{
    pg_link_add(l, sql, args, n, binary);
    pg_link_go(l, wait, done);
}


void
pg_link_move(pg_link_t *to, pg_link_t *from)
{
    pg_link_close(to);

    to->settings = from->settings;
    to->conn = from->conn;
    memcpy(to->name, from->name, sizeof(to->name));
    to->error[0] = '\0';

    from->conn = NULL;
    pg_link_close(from);
    pg_link_watch(to, EV_READ);
}


/* the socket may be another one after each step of connecting */
static void
pg_link_watch(pg_link_t *l, short what)
{
    if (l->event != NULL) {
        if (event_get_fd(l->event) == PQsocket(l->conn)
            && (event_get_events(l->event) & (EV_READ|EV_WRITE)) == what)
        {
            return;
        }

        event_free(l->event);
    }

    l->event = event_new(l->source->host.base, PQsocket(l->conn),
                         what|EV_PERSIST, pg_link_handler, l);

    if (l->event == NULL || event_add(l->event, NULL) == -1) {
        pg_link_deadline(l, 1);
    }
}


static void
pg_link_handler(evutil_socket_t fd, short what, void *data)
{
    int         rc;
    pg_link_t  *l = data;

    (void) fd;

    if (l->connecting) {
        pg_link_poll(l);
        return;
    }

    if (what & EV_READ) {
        if (PQconsumeInput(l->conn) == 0) {
            pg_link_broken(l);
            return;
        }

        if (l->active) {
            pg_link_deadline(l, l->wait);
        }
    }

    rc = PQflush(l->conn);

    if (rc == -1) {
        pg_link_broken(l);
        return;
    }

    pg_link_watch(l, rc == 1 ? EV_READ|EV_WRITE : EV_READ);
    pg_link_notified(l);

    /* a notification may have started a statement, or found the link idle */

    if (l->conn != NULL && l->active) {
        pg_link_results(l);

    } else if (l->conn != NULL && PQstatus(l->conn) == CONNECTION_BAD) {
        pg_link_broken(l);
    }
}


static void
pg_link_notified(pg_link_t *l)
{
    PGnotify      *n;
    unsigned       notified;
    const size_t   len = sizeof(SOURCE_PURGE) - 1;

    notified = 0;

    while ((n = PQnotifies(l->conn)) != NULL) {

        if (n->extra != NULL && strncmp(n->extra, SOURCE_PURGE, len) == 0) {
            postgres_purge(l->source, n->extra + len);

        } else {
            notified = 1;
        }

        PQfreemem(n);
    }

    if (notified) {
        postgres_notified(l->source);
    }
}


static void
pg_link_poll(pg_link_t *l)
{
    pg_link_done_pt  done;

    switch (PQconnectPoll(l->conn)) {

    case PGRES_POLLING_READING:
        pg_link_watch(l, EV_READ);
        return;

    case PGRES_POLLING_WRITING:
        pg_link_watch(l, EV_WRITE);
        return;

    case PGRES_POLLING_OK:
        break;

    default:
        pg_link_broken(l);
        return;
    }

    if (PQsetnonblocking(l->conn, 1) == -1
        || PQenterPipelineMode(l->conn) == 0)
    {
        pg_link_broken(l);
        return;
    }

    l->connecting = 0;
    done = l->done;
    l->done = NULL;
    pg_link_watch(l, EV_READ);

    /* the deadline runs on: it is that of all that comes first */

    done(l, PQmakeEmptyPGresult(l->conn, PGRES_COMMAND_OK));
}


/*
 * A statement's answer is handed over when it is complete, that of the last
 * one when the link is free again.
 */
static void
pg_link_results(pg_link_t *l)
{
    PGresult  *res;

    while (l->conn != NULL && l->active && !PQisBusy(l->conn)) {

        res = PQgetResult(l->conn);

        if (res == NULL) {
            if (l->asked > 1 && l->result != NULL) {
                l->asked--;
                res = l->result;
                l->result = NULL;
                l->done(l, res);

            } else if (PQstatus(l->conn) == CONNECTION_BAD
                       || l->result == NULL)
            {
                pg_link_broken(l);
            }

            continue;
        }

        if (PQresultStatus(res) == PGRES_PIPELINE_SYNC) {
            PQclear(res);
            pg_link_end(l);
            continue;
        }

        pg_link_keep(l, res);

        if (PQstatus(l->conn) == CONNECTION_BAD) {
            pg_link_broken(l);
        }
    }
}


/* of a statement's results the first one that fails counts */
static void
pg_link_keep(pg_link_t *l, PGresult *res)
{
    if (l->result != NULL && PQresultStatus(l->result) == PGRES_FATAL_ERROR) {
        PQclear(res);
        return;
    }

    PQclear(l->result);
    l->result = res;
}


static void
pg_link_end(pg_link_t *l)
{
    PGresult         *res;
    pg_link_done_pt   done;

    if (l->result == NULL || l->asked != 1) {
        pg_link_fail(l, "its answers are out of step");
        return;
    }

    /* One that came right behind the answer lies in libpq's buffer, and no
     * event will tell of it.  The link counts as busy: done() looks. */

    pg_link_notified(l);

    res = l->result;
    done = l->done;
    l->result = NULL;
    l->done = NULL;
    l->active = 0;
    l->asked = 0;
    (void) evtimer_del(l->deadline);

    done(l, res);
}


static void
pg_link_deadline(pg_link_t *l, unsigned ms)
{
    struct timeval  tv;

    postgres_ms(&tv, ms);
    (void) evtimer_add(l->deadline, &tv);
}


static void
pg_link_late(evutil_socket_t fd, short what, void *data)
{
    pg_link_t  *l = data;

    (void) fd;
    (void) what;

    if (l->conn == NULL) {
        pg_link_fail(l, "out of memory");

    } else if (PQstatus(l->conn) == CONNECTION_BAD) {
        pg_link_broken(l);

    } else {
        pg_link_fail(l, l->connecting ? "timeout" : "no answer in time");
    }
}


static void
pg_link_broken(pg_link_t *l)
{
    char      text[256];
    arena_t  *a;

    a = arena_new();

    if (l->result != NULL
        && PQresultErrorField(l->result, PG_DIAG_MESSAGE_PRIMARY) != NULL)
    {
        (void) snprintf(text, sizeof(text), "%s",
                        PQresultErrorField(l->result,
                                           PG_DIAG_MESSAGE_PRIMARY));
    } else {
        (void) snprintf(text, sizeof(text), "%s", pg_reason(a, l->conn));
    }

    arena_free(a);
    pg_link_fail(l, text);
}


/* an idle link that ends is told to nobody but the source */
static void
pg_link_fail(pg_link_t *l, const char *error)
{
    source_t         *s;
    pg_link_done_pt   done;

    s = l->source;
    done = l->done;
    (void) snprintf(l->error, sizeof(l->error), "%s", error);
    pg_link_close(l);

    if (done != NULL) {
        done(l, NULL);

    } else if (l == &s->main) {
        postgres_lost(s);
    }
}


static void
pg_link_ignore(void *arg, const PGresult *res)
{
    (void) arg;
    (void) res;
}
