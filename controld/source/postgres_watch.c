/*
 * postgres_watch: when something is asked of the server that was chosen, one
 * thing at a time.
 *
 * A notification starts a reading at once; a ping each second sees a version
 * whose notification was lost, and a role that changed; each
 * db_update_frequency it is asked whether versions can be relied on, or,
 * without them, whether anything is new.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../log.h"
#include "postgres_private.h"


static void postgres_listening(pg_link_t *l, PGresult *res);
static void postgres_ping(source_t *s);
static void postgres_pinged(pg_link_t *l, PGresult *res);
static void postgres_promoted(pg_link_t *l, PGresult *res);


static const char  postgres_ping_sql[] =
    "SELECT pg_is_in_recovery()::text, "
    "(SELECT version || ' ' || stamp FROM controld_commits "
    "ORDER BY version DESC LIMIT 1)";
static const char  postgres_ping_plain_sql[] =
    "SELECT pg_is_in_recovery()::text, NULL::text";


/* a server is there: what it has is read, as far as it is not known */
void
postgres_chosen(source_t *s)
{
    struct timeval  tv;

    postgres_reachable(s);

    s->want = (s->rows == NULL || !s->armed) ? PG_WANT_FULL
                                             : PG_WANT_CHECK|PG_WANT_POLL;
    s->ticks = 0;

    postgres_ms(&tv, PG_TICK);
    (void) event_add(s->tick, &tv);

    if (s->identity.recovery) {
        postgres_next(s);
        return;
    }

    /* before anything is read, so that nothing falls in between */

    s->busy = 1;
    pg_link_send(&s->main, "LISTEN " PG_CHANNEL, NULL, 0, 0, PG_STATEMENT,
                 postgres_listening);
}


static void
postgres_listening(pg_link_t *l, PGresult *res)
{
    source_t  *s;

    s = l->source;
    s->busy = 0;

    if (res == NULL) {
        postgres_lost(s);
        return;
    }

    PQclear(res);
    postgres_next(s);
}


void
postgres_notified(source_t *s)
{
    postgres_want(s, s->armed ? PG_WANT_CHECK : PG_WANT_POLL);
}


/* anybody may notify: a key is 64 hexadecimal digits */
void
postgres_purge(source_t *s, const char *key)
{
    if (s->host.purge != NULL
        && (strcmp(key, "all") == 0
            || (strlen(key) == 64
                && key[strspn(key, "0123456789abcdef")] == '\0')))
    {
        s->host.purge(s->host.data, key);
    }
}


void
postgres_want(source_t *s, unsigned want)
{
    s->want |= want;
    postgres_next(s);
}


void
postgres_tick(evutil_socket_t fd, short what, void *data)
{
    unsigned   n;
    source_t  *s = data;

    (void) fd;
    (void) what;

    s->ticks++;
    postgres_tell(s);

    /* the disk was full, nginx refused: again, less and less often */

    if (s->refused != 0 && !s->given) {
        n = (s->refused < 4) ? 1u << (s->refused - 1) : 8;

        if (s->ticks % n == 0) {
            s->given = 1;
            s->again = 1;
            s->host.ready(s->host.data);
        }
    }

    if (s->main.conn == NULL) {
        return;
    }

    n = (s->frequency < 1) ? 1 : (unsigned) (s->frequency + 0.5);

    if (s->ticks % n == 0) {
        s->want |= PG_WANT_POLL;
    }

    if (s->identity.recovery && s->ticks % PG_SEEK == 0) {
        postgres_round(s);
    }

    postgres_want(s, PG_WANT_PING);
}


void
postgres_next(source_t *s)
{
    if (s->busy || s->main.conn == NULL) {
        return;
    }

    /* what was read before is still needed */

    if (!s->given) {

        if (s->want & PG_WANT_FULL) {
            s->want &= ~(PG_WANT_FULL|PG_WANT_CHECK|PG_WANT_POLL);
            postgres_read(s, 1);
            return;
        }

        if (s->want & PG_WANT_CHECK) {
            s->want &= ~PG_WANT_CHECK;
            postgres_read(s, s->rows == NULL || !s->armed);
            return;
        }

        if (s->want & PG_WANT_POLL) {
            s->want &= ~PG_WANT_POLL;
            postgres_poll(s);
            return;
        }
    }

    if (s->want & PG_WANT_PING) {
        s->want &= ~PG_WANT_PING;
        postgres_ping(s);
    }
}


static void
postgres_ping(source_t *s)
{
    s->busy = 1;
    pg_link_send(&s->main, s->tables ? postgres_ping_sql
                                     : postgres_ping_plain_sql,
                 NULL, 0, 0, PG_PING, postgres_pinged);
}


static void
postgres_pinged(pg_link_t *l, PGresult *res)
{
    char       version[64];
    source_t  *s;
    unsigned   recovery;

    s = l->source;
    s->busy = 0;

    if (res == NULL) {
        postgres_lost(s);
        return;
    }

    if (PQresultStatus(res) != PGRES_TUPLES_OK || PQntuples(res) != 1) {
        PQclear(res);
        s->tables = 0;                   /* they were dropped */
        postgres_want(s, PG_WANT_FULL);
        return;
    }

    recovery = (PQgetvalue(res, 0, 0)[0] == 't');
    (void) snprintf(version, sizeof(version), "%" PRId64 " %" PRId64,
                    s->version, s->stamp);

    if (s->tables && !s->given && strcmp(version, PQgetvalue(res, 0, 1)) != 0)
    {
        s->want |= s->armed ? PG_WANT_CHECK : PG_WANT_POLL;
    }

    PQclear(res);

    if (recovery == s->identity.recovery) {
        postgres_next(s);
        return;
    }

    if (recovery) {
        (void) snprintf(l->error, sizeof(l->error), "it is no primary any "
                        "more");
        pg_link_close(l);
        postgres_lost(s);
        return;
    }

    s->busy = 1;
    pg_link_send(l, postgres_identity_sql, NULL, 0, 0, PG_STATEMENT,
                 postgres_promoted);
}


static void
postgres_promoted(pg_link_t *l, PGresult *res)
{
    source_t       *s;
    pg_identity_t   identity;

    s = l->source;
    s->busy = 0;

    if (res == NULL) {
        postgres_lost(s);
        return;
    }

    if (postgres_identity(res, &identity) == 0) {
        s->identity = identity;

    } else {
        s->identity.recovery = 0;
    }

    PQclear(res);
    postgres_round_stop(s);
    log_write(LOG_NOTICE, "database %s is the primary now", l->name);
    postgres_chosen(s);
}
