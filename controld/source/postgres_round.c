/*
 * postgres_round: finds the server to read.  All addresses of all hosts are
 * tried at the same time, so that one that keeps silent costs the others
 * nothing; each tells who it is.  The primary with the latest timeline wins
 * as soon as the others had a moment to object; without one, the replica
 * that has replayed the most.
 *
 * While a replica is read a round goes on beside it now and then, which only
 * a primary can win.
 */

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../log.h"
#include "postgres_private.h"


#define ROUND_NAMES    1000              /* ms to wait for DNS */
#define PG_GREETING    1500              /* ms for the first statements */


static void postgres_round_named(void *data);
static void postgres_round_add(source_t *s, size_t settings, size_t host,
    const char *address);
static unsigned postgres_is_address(const char *name);
static void postgres_connected(pg_link_t *l, PGresult *res);
static void postgres_session(pg_link_t *l, PGresult *res);
static void postgres_identified(pg_link_t *l, PGresult *res);
static void postgres_over(source_t *s, pg_candidate_t *c, unsigned good);
static void postgres_decide(source_t *s, unsigned late);
static pg_candidate_t *postgres_best(source_t *s, unsigned primary);
static void postgres_win(source_t *s, pg_candidate_t *c);
static void postgres_none(source_t *s);


/* 0 recovery, 1 system, 2 timeline, 3 position, 4 version, 5 stamp */
const char  postgres_identity_sql[] =
    "SELECT pg_is_in_recovery()::text, "
    "(SELECT system_identifier::text FROM pg_control_system()), "
    "CASE WHEN pg_is_in_recovery() THEN (SELECT greatest("
    "(SELECT timeline_id FROM pg_control_checkpoint()), "
    "(SELECT min_recovery_end_timeline FROM pg_control_recovery()), "
    "(SELECT received_tli FROM pg_stat_wal_receiver)))::text "
    "ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))"
    "::bit(32)::bigint::text END, "
    "pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() "
    "THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END, "
    "'0/0')::text, NULL::text, NULL::text";

const char  postgres_identity_plain_sql[] =
    "SELECT pg_is_in_recovery()::text, NULL::text, NULL::text, NULL::text, "
    "NULL::text, NULL::text";


int
postgres_names(source_t *s)
{
    int           rc;
    char         *p;
    size_t        i, j, n;
    arena_t      *a;
    const char   *name, *names[2 * PG_LINKS];

    n = 0;
    a = arena_new();

    for (i = 0; i < s->n_settings; i++) {
        for (j = 0; j < s->settings[i].n_hosts && n < 2 * PG_LINKS; j++) {
            name = s->settings[i].hosts[j].name;

            if (name[0] == '/' || postgres_is_address(name)) {
                continue;
            }

            p = arena_strndup(a, name, strlen(name));
            names[n++] = p;

            for ( ; *p != '\0'; p++) {
                *p = (char) tolower((unsigned char) *p);
            }
        }
    }

    dns_set_free(s->names);
    s->names = (n == 0) ? NULL : dns_set_new(s->host.dns, names, n);
    rc = (n == 0 || s->names != NULL) ? 0 : -1;
    arena_free(a);

    return rc;
}


void
postgres_round(source_t *s)
{
    size_t  i;

    if (s->round) {
        return;
    }

    s->round = 1;
    s->seek = (s->main.conn != NULL);

    for (i = 0; i < PG_LINKS; i++) {
        s->candidates[i].used = 0;
        s->candidates[i].over = 0;
        s->candidates[i].good = 0;
        s->candidates[i].plain = 0;
    }

    if (s->names != NULL) {
        if (dns_set_resolve(s->names, ROUND_NAMES, postgres_round_named, s)
            == -1)
        {
            postgres_none(s);
        }

        return;
    }

    postgres_round_named(s);
}


static void
postgres_round_named(void *data)
{
    char                 text[INET6_ADDRSTRLEN];
    size_t               i, j, k, m, n;
    arena_t             *a;
    source_t            *s = data;
    const char          *name;
    compile_endpoint_t  *list;

    /* of a round that was given up meanwhile */

    if (!s->round || s->candidates[0].used) {
        return;
    }

    a = arena_new();
    n = 0;
    list = (s->names != NULL) ? dns_set_endpoints(a, s->names, &n) : NULL;

    for (i = 0; i < s->n_settings; i++) {
        for (j = 0; j < s->settings[i].n_hosts; j++) {
            name = s->settings[i].hosts[j].name;

            if (name[0] == '/' || postgres_is_address(name)) {
                postgres_round_add(s, i, j, name[0] == '/' ? NULL : name);
                continue;
            }

            for (k = 0; k < n; k++) {
                if (strcasecmp(list[k].name, name) != 0) {
                    continue;
                }

                for (m = 0; m < list[k].n; m++) {
                    (void) inet_ntop(list[k].addresses[m].ipv6
                                     ? AF_INET6 : AF_INET,
                                     list[k].addresses[m].addr, text,
                                     sizeof(text));
                    postgres_round_add(s, i, j, text);
                }
            }
        }
    }

    arena_free(a);

    for (i = 0; i < PG_LINKS && !s->candidates[i].used; i++) {
        /* void */
    }

    if (i == PG_LINKS) {
        (void) snprintf(s->main.error, sizeof(s->main.error),
                        "no address of its hosts is known");
        postgres_none(s);
    }
}


static void
postgres_round_add(source_t *s, size_t settings, size_t host,
    const char *address)
{
    size_t           i;
    pg_candidate_t  *c;

    for (i = 0; i < PG_LINKS; i++) {
        c = &s->candidates[i];

        if (!c->used) {
            c->used = 1;
            pg_link_connect(&c->link, &s->settings[settings], host, address,
                            postgres_connected);
            return;
        }
    }
}


static unsigned
postgres_is_address(const char *name)
{
    struct in6_addr  addr;

    return inet_pton(AF_INET, name, &addr) == 1
           || inet_pton(AF_INET6, name, &addr) == 1;
}


static pg_candidate_t *
postgres_candidate(pg_link_t *l)
{
    size_t  i;

    for (i = 0; i < PG_LINKS; i++) {
        if (&l->source->candidates[i].link == l) {
            return &l->source->candidates[i];
        }
    }

    return NULL;
}


static void
postgres_connected(pg_link_t *l, PGresult *res)
{
    arena_t   *a;
    pg_arg_t   args[PG_SESSION_ARGS];

    if (res == NULL) {
        postgres_over(l->source, postgres_candidate(l), 0);
        return;
    }

    PQclear(res);

    if (PQserverVersion(l->conn) < PG_MIN) {
        (void) snprintf(l->error, sizeof(l->error),
                        "PostgreSQL 9.5 or newer is needed");
        postgres_over(l->source, postgres_candidate(l), 0);
        return;
    }

    a = arena_new();
    pg_session_args(a, l->settings, args);
    pg_link_send(l, pg_session_sql, args, PG_SESSION_ARGS, 0, PG_GREETING,
                 postgres_session);
    arena_free(a);
}


static void
postgres_session(pg_link_t *l, PGresult *res)
{
    if (res == NULL || PQresultStatus(res) != PGRES_TUPLES_OK) {

        if (res != NULL) {
            (void) snprintf(l->error, sizeof(l->error), "%s",
                            PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY));
            PQclear(res);
        }

        postgres_over(l->source, postgres_candidate(l), 0);
        return;
    }

    PQclear(res);

    pg_link_send(l, PQserverVersion(l->conn) < 100000
                    ? postgres_identity_plain_sql : postgres_identity_sql,
                 NULL, 0, 0, PG_GREETING, postgres_identified);
}


static void
postgres_identified(pg_link_t *l, PGresult *res)
{
    int              rc;
    pg_candidate_t  *c;

    c = postgres_candidate(l);

    if (res != NULL && PQresultStatus(res) != PGRES_TUPLES_OK && !c->plain) {
        /* a server that keeps these functions to itself */
        PQclear(res);
        c->plain = 1;
        pg_link_send(l, postgres_identity_plain_sql, NULL, 0, 0,
                     PG_GREETING, postgres_identified);
        return;
    }

    rc = (res != NULL) ? postgres_identity(res, &c->identity) : -1;

    if (rc == -1 && res != NULL) {
        (void) snprintf(l->error, sizeof(l->error), "it does not say who it "
                        "is");
    }

    PQclear(res);
    postgres_over(l->source, c, rc == 0);
}


int
postgres_identity(const PGresult *res, pg_identity_t *out)
{
    memset(out, 0, sizeof(*out));

    if (PQresultStatus(res) != PGRES_TUPLES_OK || PQntuples(res) != 1
        || PQnfields(res) < 6)
    {
        return -1;
    }

    out->recovery = (PQgetvalue(res, 0, 0)[0] == 't');
    (void) snprintf(out->system, sizeof(out->system), "%s",
                    PQgetvalue(res, 0, 1));
    out->timeline = strtoull(PQgetvalue(res, 0, 2), NULL, 10);
    out->lsn = strtoull(PQgetvalue(res, 0, 3), NULL, 10);
    out->version = -1;

    if (!PQgetisnull(res, 0, 4)) {
        out->version = strtoll(PQgetvalue(res, 0, 4), NULL, 10);
        out->stamp = strtoll(PQgetvalue(res, 0, 5), NULL, 10);
    }

    return 0;
}


static void
postgres_over(source_t *s, pg_candidate_t *c, unsigned good)
{
    pg_fence_rc_t  rc;

    c->over = 1;
    c->good = good;

    if (good) {
        rc = postgres_fence_check(&s->fence, &c->identity);

        if (rc == PG_FENCE_OLD || rc == PG_FENCE_BEHIND
            || (rc == PG_FENCE_OTHER && c->identity.recovery))
        {
            c->good = 0;
            (void) snprintf(c->link.error, sizeof(c->link.error), "%s",
                            rc == PG_FENCE_OLD
                            ? "it is on a timeline that was left by a "
                              "fail-over"
                            : rc == PG_FENCE_BEHIND
                            ? "this replica lacks what is served"
                            : "it is a replica of another cluster");
        }
    }

    if (!c->good) {
        pg_link_close(&c->link);
    }

    postgres_decide(s, 0);
}


static void
postgres_decide(source_t *s, unsigned late)
{
    size_t           i, pending;
    pg_candidate_t  *best;
    struct timeval   tv;

    if (!s->round) {
        return;
    }

    for (i = 0, pending = 0; i < PG_LINKS; i++) {
        pending += (s->candidates[i].used && !s->candidates[i].over);
    }

    best = postgres_best(s, 1);

    if (best != NULL && pending != 0 && !late) {
        if (!evtimer_pending(s->grace, NULL)) {
            postgres_ms(&tv, PG_GRACE);
            (void) evtimer_add(s->grace, &tv);
        }

        return;
    }

    if (best == NULL && pending != 0) {
        return;
    }

    if (best == NULL && !s->seek) {
        best = postgres_best(s, 0);
    }

    if (best != NULL) {
        postgres_win(s, best);

    } else {
        postgres_none(s);
    }
}


void
postgres_grace(evutil_socket_t fd, short what, void *data)
{
    (void) fd;
    (void) what;

    postgres_decide(data, 1);
}


static pg_candidate_t *
postgres_best(source_t *s, unsigned primary)
{
    size_t           i;
    pg_candidate_t  *c, *best;

    best = NULL;

    for (i = 0; i < PG_LINKS; i++) {
        c = &s->candidates[i];

        if (!c->used || !c->good || c->identity.recovery == primary) {
            continue;
        }

        if (best == NULL || c->identity.timeline > best->identity.timeline
            || (!primary
                && c->identity.timeline == best->identity.timeline
                && c->identity.lsn > best->identity.lsn))
        {
            best = c;
        }
    }

    return best;
}


static void
postgres_win(source_t *s, pg_candidate_t *c)
{
    if (postgres_fence_check(&s->fence, &c->identity) == PG_FENCE_OTHER) {
        log_write(LOG_WARN, "database %s is another cluster than before; "
                  "what it holds is taken", c->link.name);
        memset(&s->fence, 0, sizeof(s->fence));
    }

    postgres_stop(s);
    pg_link_move(&s->main, &c->link);
    s->identity = c->identity;

    postgres_round_stop(s);
    postgres_chosen(s);
}


static void
postgres_none(source_t *s)
{
    size_t           i, n;
    char             text[400];
    unsigned         seek;
    pg_candidate_t  *c;

    seek = s->seek;
    text[0] = '\0';

    for (i = 0, n = 0; i < PG_LINKS; i++) {
        c = &s->candidates[i];

        if (c->used && n < sizeof(text)) {
            n += (size_t) snprintf(text + n, sizeof(text) - n, "%s%s: %s",
                                   n ? "; " : "", c->link.name,
                                   c->link.error);
        }
    }

    postgres_round_stop(s);

    if (seek) {
        return;
    }

    postgres_failed(s, "%s", n != 0 ? text : s->main.error);
    postgres_again(s);
}


void
postgres_round_stop(source_t *s)
{
    size_t  i;

    for (i = 0; i < PG_LINKS; i++) {
        pg_link_close(&s->candidates[i].link);
    }

    (void) evtimer_del(s->grace);
    s->round = 0;
    s->seek = 0;
}


void
postgres_lost(source_t *s)
{
    postgres_stop(s);
    postgres_failed(s, "%s: %s", s->main.name, s->main.error);
    postgres_again(s);
}


/* soon, then less often; never in step with the other nodes */
void
postgres_again(source_t *s)
{
    unsigned        ms;
    struct timeval  tv;

    if (s->round && !s->seek) {
        return;
    }

    postgres_round_stop(s);

    ms = s->backoff;
    s->backoff = (ms == 0) ? PG_BACKOFF_MIN
                 : (ms * 2 > PG_BACKOFF_MAX) ? PG_BACKOFF_MAX : ms * 2;

    ms += (unsigned) random() % (ms / 2 + 20);

    postgres_ms(&tv, ms);
    (void) evtimer_add(s->retry, &tv);
}
