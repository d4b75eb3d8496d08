/*
 * postgres_read: what a configuration is read from, and whether there is
 * anything new.
 *
 * Configurations are read in one REPEATABLE READ transaction: everything, or,
 * where our tables keep a log of changes, the rows that changed since the
 * version that is known.  What does not depend on an answer is asked together
 * with what comes before it: a change costs two round trips.
 *
 * Without our tables, or while they have no triggers that can be relied on,
 * each db_update_frequency asks whether any transaction has ended since (the
 * snapshot's text), and only then for a fingerprint of the tables: the number
 * of rows and the sum of their xmin.  A new row version has a later xmin than
 * all others, so that no change, whoever makes it, leaves both as they were,
 * updated_at or not; and no column needs to be read for it.
 */

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "../log.h"
#include "postgres_private.h"


typedef enum {
    READ_BEGIN = 0,
    READ_CHANGES,
    READ_CATALOG,
    READ_VERSION,
    READ_GUARD,
    READ_SNAPSHOT,
    READ_PRINT,
    READ_ROWS,
    READ_IDENTITY,
    READ_COMMIT,
    READ_DONE
} read_step_t;

typedef int (*read_handler_pt)(source_t *s, const PGresult *res);


static void postgres_polled(pg_link_t *l, PGresult *res);
static void postgres_step(source_t *s);
static void postgres_stepped(pg_link_t *l, PGresult *res);
static unsigned postgres_skips(const source_t *s);
static unsigned postgres_waits(int step);
static void postgres_ask(source_t *s, read_step_t step,
    pg_link_done_pt done);
static unsigned postgres_add(source_t *s, read_step_t step, int kind);
static int postgres_take_changes(source_t *s, const PGresult *res);
static int postgres_take_catalog(source_t *s, const PGresult *res);
static int postgres_take_version(source_t *s, const PGresult *res);
static int postgres_take_guard(source_t *s, const PGresult *res);
static int postgres_take_snapshot(source_t *s, const PGresult *res);
static int postgres_take_print(source_t *s, const PGresult *res);
static int postgres_take_identity(source_t *s, const PGresult *res);
static void postgres_complete(source_t *s);
static void postgres_broken(source_t *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static const char *postgres_print_sql(arena_t *a, const rows_plan_t *p);
static char *postgres_ids(arena_t *a, const rows_given_t *g);


static const char  postgres_begin_sql[] =
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
static const char  postgres_changes_sql[] =
    "SELECT version::text, stamp::text, complete::text, entity, id::text "
    "FROM controld_changes_since($1, $2)";
static const char  postgres_version_sql[] =
    "SELECT version::text, stamp::text FROM controld_commits "
    "ORDER BY version DESC LIMIT 1";
static const char  postgres_guard_sql[] =
    "SELECT guard, armed::text FROM controld_guard()";
static const char  postgres_snapshot_sql[] =
    "SELECT txid_current_snapshot()::text";


/* the statements of a reading, without a transaction: is anything new? */
void
postgres_poll(source_t *s)
{
    s->busy = 1;
    s->full = 0;
    postgres_ask(s, READ_CATALOG, postgres_polled);
}


static void
postgres_polled(pg_link_t *l, PGresult *res)
{
    int           rc;
    source_t     *s;
    unsigned      same;
    read_step_t   next;

    s = l->source;

    if (res == NULL) {
        s->busy = 0;
        postgres_lost(s);
        return;
    }

    next = READ_DONE;
    rc = (PQresultStatus(res) == PGRES_TUPLES_OK) ? 0 : -1;

    switch (rc == -1 ? READ_DONE : (read_step_t) s->step) {

    case READ_CATALOG:
        rc = postgres_take_catalog(s, res);
        same = (rc == 0 && s->plan != NULL
                && strcmp(s->new_plan->print, s->plan->print) == 0);

        if (s->new_plan != NULL) {
            arena_free(s->new_plan->arena);
            s->new_plan = NULL;
        }

        if (same) {
            next = s->tables ? READ_GUARD : READ_SNAPSHOT;
        }

        break;

    case READ_GUARD:
        (void) postgres_take_guard(s, res);
        same = (strcmp(s->guard, s->new_guard) == 0
                && s->armed == s->new_armed);

        if (same) {
            next = s->armed ? READ_COMMIT : READ_SNAPSHOT;
        }

        break;

    case READ_SNAPSHOT:
        (void) postgres_take_snapshot(s, res);
        same = (strcmp(s->snapshot, s->new_snapshot) == 0);
        next = same ? READ_COMMIT : READ_PRINT;
        break;

    case READ_PRINT:
        (void) postgres_take_print(s, res);

        if (strcmp(s->print, s->new_print) == 0) {
            strcpy(s->snapshot, s->new_snapshot);
            next = READ_COMMIT;
        }

        break;

    default:
        break;
    }

    PQclear(res);

    if (next != READ_COMMIT && next != READ_DONE) {
        postgres_ask(s, next, postgres_polled);
        return;
    }

    s->busy = 0;

    if (next == READ_DONE) {
        s->want |= PG_WANT_FULL;
    }

    postgres_next(s);
}


void
postgres_read(source_t *s, unsigned full)
{
    s->busy = 1;
    s->reading = 1;
    s->full = full;
    s->kind = -1;
    s->new_version = s->version;
    s->new_stamp = s->stamp;

    rows_batch_clear(&s->batch);
    s->batch.base = s->rows;
    s->batch.plan = s->plan;

    s->step = READ_BEGIN - 1;
    postgres_step(s);
}


/* the next steps that have something to do, up to one whose answer decides
 * what comes after it */
static void
postgres_step(source_t *s)
{
    unsigned  wait, longest;

    longest = 0;
    s->n_asked = 0;
    s->answered = 0;

    do {
        do {
            if (s->step == READ_ROWS && s->kind < ROWS_KINDS - 1) {
                s->kind++;

            } else {
                s->step++;
            }
        } while (s->step < READ_COMMIT && postgres_skips(s));

        s->asked[s->n_asked].step = (int8_t) s->step;
        s->asked[s->n_asked++].kind = (int8_t) s->kind;

        wait = postgres_add(s, (read_step_t) s->step, s->kind);
        longest = (wait > longest) ? wait : longest;

    } while (!postgres_waits(s->step));

    pg_link_go(&s->main, longest, postgres_stepped);
}


static unsigned
postgres_waits(int step)
{
    return step == READ_CHANGES || step == READ_CATALOG || step == READ_GUARD
           || step == READ_COMMIT;
}


static unsigned
postgres_skips(const source_t *s)
{
    const rows_given_t  *g;

    switch (s->step) {

    case READ_CHANGES:
        return s->full;

    case READ_CATALOG:
        return !s->full;

    case READ_VERSION:
    case READ_GUARD:
        return !s->full || !s->new_tables;

    case READ_SNAPSHOT:
    case READ_PRINT:
        return !s->full || s->new_armed;

    case READ_ROWS:
        if (s->kind == -1) {
            return 1;
        }

        g = &s->batch.given[s->kind];

        return !s->batch.plan->kinds[s->kind].present
               || (!g->whole && g->n_ids == 0);

    default:
        return 0;
    }
}


static void
postgres_ask(source_t *s, read_step_t step, pg_link_done_pt done)
{
    s->step = step;
    pg_link_go(&s->main, postgres_add(s, step, -1), done);
}


/* how long its answer may take */
static unsigned
postgres_add(source_t *s, read_step_t step, int kind)
{
    int                 n, binary;
    char                numbers[2][24];
    arena_t            *a;
    pg_arg_t            args[2];
    unsigned            wait;
    const char         *sql;
    const rows_kind_t  *k;

    a = arena_new();
    n = 0;
    binary = 0;
    wait = PG_STATEMENT;

    switch (step) {

    case READ_BEGIN:
        sql = postgres_begin_sql;
        break;

    case READ_CHANGES:
        (void) snprintf(numbers[0], sizeof(numbers[0]), "%" PRId64,
                        s->version);
        (void) snprintf(numbers[1], sizeof(numbers[1]), "%" PRId64,
                        s->stamp);
        args[0].type = PG_TYPE_INT8;
        args[0].text = numbers[0];
        args[1].type = PG_TYPE_INT8;
        args[1].text = numbers[1];
        n = 2;
        sql = postgres_changes_sql;
        break;

    case READ_CATALOG:
        sql = rows_catalog_sql;
        break;

    case READ_VERSION:
        sql = postgres_version_sql;
        break;

    case READ_GUARD:
        sql = postgres_guard_sql;
        break;

    case READ_SNAPSHOT:
        sql = postgres_snapshot_sql;
        break;

    case READ_PRINT:
        sql = postgres_print_sql(a, s->new_plan != NULL ? s->new_plan
                                                        : s->plan);
        wait = (unsigned) (s->settings[0].timeout * 1000) + PG_STATEMENT;
        break;

    case READ_ROWS:
        k = &s->batch.plan->kinds[kind];
        binary = 1;
        sql = k->sql;

        if (!s->batch.given[kind].whole) {
            sql = k->sql_ids;
            args[0].type = PG_TYPE_UUIDS;
            args[0].text = postgres_ids(a, &s->batch.given[kind]);
            n = 1;
        }

        break;

    case READ_IDENTITY:
        sql = (s->identity.system[0] != '\0') ? postgres_identity_sql
                                              : postgres_identity_plain_sql;
        break;

    default:
        sql = "COMMIT";
        break;
    }

    pg_link_add(&s->main, sql, args, (size_t) n, binary);
    arena_free(a);

    return wait;
}


static void
postgres_stepped(pg_link_t *l, PGresult *res)
{
    int               rc, step, kind;
    unsigned          good;
    source_t         *s;
    ExecStatusType    status;

    static const read_handler_pt  handlers[READ_DONE] = {
        [READ_CHANGES] = postgres_take_changes,
        [READ_CATALOG] = postgres_take_catalog,
        [READ_VERSION] = postgres_take_version,
        [READ_GUARD] = postgres_take_guard,
        [READ_SNAPSHOT] = postgres_take_snapshot,
        [READ_PRINT] = postgres_take_print,
        [READ_IDENTITY] = postgres_take_identity
    };

    s = l->source;

    if (res == NULL) {
        postgres_lost(s);
        return;
    }

    status = PQresultStatus(res);
    good = (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK);

    if (!good) {
        postgres_broken(s, "%s",
                        PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY)
                        ? PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY)
                        : "no answer");
        PQclear(res);
        return;
    }

    step = s->asked[s->answered].step;
    kind = s->asked[s->answered].kind;

    if (step == READ_ROWS) {
        PQclear(s->batch.given[kind].result);
        s->batch.given[kind].result = res;
        rc = 0;

    } else {
        rc = (handlers[step] != NULL) ? handlers[step](s, res) : 0;
        PQclear(res);
    }

    if (rc == -1 || ++s->answered < s->n_asked) {
        return;                          /* it was told, or is not all */
    }

    if (step == READ_COMMIT) {
        postgres_complete(s);
        return;
    }

    postgres_step(s);
}


static int
postgres_take_changes(source_t *s, const PGresult *res)
{
    int          i, kind;
    const char  *entity;

    if (PQntuples(res) == 0) {
        s->full = 1;
        return 0;
    }

    for (i = 0; i < PQntuples(res); i++) {

        if (PQgetisnull(res, i, 3)) {
            s->full = (PQgetvalue(res, i, 2)[0] != 't');
            s->new_version = strtoll(PQgetvalue(res, i, 0), NULL, 10);
            s->new_stamp = strtoll(PQgetvalue(res, i, 1), NULL, 10);
            continue;
        }

        entity = PQgetvalue(res, i, 3);
        kind = rows_kind(entity);

        if (kind == -1) {
            continue;
        }

        if (PQgetisnull(res, i, 4)) {
            s->batch.given[kind].whole = 1;

        } else if (rows_batch_id(&s->batch, kind, PQgetvalue(res, i, 4),
                                 (size_t) PQgetlength(res, i, 4))
                   == -1)
        {
            postgres_broken(s, "out of memory");
            return -1;
        }
    }

    rows_batch_sort(&s->batch);

    return 0;
}


static int
postgres_take_catalog(source_t *s, const PGresult *res)
{
    int           i;
    rows_plan_t  *p;

    if (s->new_plan != NULL) {
        arena_free(s->new_plan->arena);
    }

    s->new_plan = rows_plan(res);
    s->new_tables = 0;
    s->new_armed = 0;
    s->new_guard[0] = '\0';

    for (i = 0; i < PQntuples(res); i++) {
        s->new_tables |= (strcmp(PQgetvalue(res, i, 0), "controld_commits")
                          == 0);
    }

    if (!s->full) {
        return 0;                        /* a poll only compares */
    }

    p = s->new_plan;

    if (!p->kinds[rows_kind("routes")].present
        || !p->kinds[rows_kind("services")].present
        || !p->kinds[rows_kind("plugins")].present
        || !p->kinds[rows_kind("consumers")].present)
    {
        postgres_broken(s, "Database needs bootstrapping or is older than "
                        "Kong 1.0.");
        return -1;
    }

    s->batch.plan = p;

    for (i = 0; i < ROWS_KINDS; i++) {
        s->batch.given[i].whole = 1;
    }

    return 0;
}


static int
postgres_take_version(source_t *s, const PGresult *res)
{
    s->new_version = -1;
    s->new_stamp = 0;

    if (PQntuples(res) == 1) {
        s->new_version = strtoll(PQgetvalue(res, 0, 0), NULL, 10);
        s->new_stamp = strtoll(PQgetvalue(res, 0, 1), NULL, 10);
    }

    return 0;
}


static int
postgres_take_guard(source_t *s, const PGresult *res)
{
    s->new_guard[0] = '\0';
    s->new_armed = 0;

    if (PQntuples(res) == 1) {
        (void) snprintf(s->new_guard, sizeof(s->new_guard), "%s",
                        PQgetvalue(res, 0, 0));
        s->new_armed = (PQgetvalue(res, 0, 1)[0] == 't');
    }

    return 0;
}


static int
postgres_take_snapshot(source_t *s, const PGresult *res)
{
    const char  *text;

    text = (PQntuples(res) == 1) ? PQgetvalue(res, 0, 0) : "";

    /* a long list of open transactions is told by its hash */

    if (strlen(text) < sizeof(s->new_snapshot)) {
        strcpy(s->new_snapshot, text);

    } else {
        (void) snprintf(s->new_snapshot, sizeof(s->new_snapshot), "%016llx",
                        (unsigned long long) XXH3_64bits(text,
                                                         strlen(text)));
    }

    return 0;
}


static int
postgres_take_print(source_t *s, const PGresult *res)
{
    int            i;
    XXH64_hash_t   h;

    for (i = 0, h = 0; i < PQntuples(res); i++) {
        h = XXH3_64bits_withSeed(PQgetvalue(res, i, 0),
                                 (size_t) PQgetlength(res, i, 0), h);
    }

    (void) snprintf(s->new_print, sizeof(s->new_print), "%016llx",
                    (unsigned long long) h);

    return 0;
}


static int
postgres_take_identity(source_t *s, const PGresult *res)
{
    pg_identity_t  id;

    if (postgres_identity(res, &id) == -1) {
        postgres_broken(s, "it does not say who it is");
        return -1;
    }

    id.version = s->new_version;
    id.stamp = s->new_stamp;

    if (postgres_fence_check(&s->fence, &id) == PG_FENCE_OLD
        || postgres_fence_check(&s->fence, &id) == PG_FENCE_BEHIND)
    {
        postgres_broken(s, "it holds less than what is served");
        return -1;
    }

    (void) snprintf(s->new_fence.system, sizeof(s->new_fence.system), "%s",
                    id.system);
    s->new_fence.timeline = id.timeline;
    s->new_fence.lsn = id.lsn;
    s->new_fence.version = id.version;
    s->new_fence.stamp = id.stamp;
    s->identity.timeline = id.timeline;

    return 0;
}


static void
postgres_complete(source_t *s)
{
    int       i;
    unsigned  changed;

    s->busy = 0;
    s->reading = 0;
    s->backoff = 0;

    for (i = 0, changed = s->full; i < ROWS_KINDS; i++) {
        changed |= (s->batch.given[i].whole || s->batch.given[i].n_ids != 0);
    }

    postgres_unread(s, "%s", "");

    if (!changed) {
        s->version = s->new_version;
        s->stamp = s->new_stamp;
        s->fence = (s->refused == 0) ? s->new_fence : s->fence;
        postgres_next(s);
        return;
    }

    s->given = 1;
    s->host.ready(s->host.data);
    postgres_next(s);
}


/* the connection stands, but what it says is of no use: another one */
static void
postgres_broken(source_t *s, const char *fmt, ...)
{
    char      text[256];
    va_list   args;

    va_start(args, fmt);
    (void) vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);

    /* our tables may have gone */

    if (!s->full) {
        s->armed = 0;
        s->tables = 0;
    }

    postgres_unread(s, "%s: %s", s->main.name, text);
    postgres_stop(s);
    pg_link_close(&s->main);
    postgres_again(s);
}


void
postgres_stop(source_t *s)
{
    s->busy = 0;
    s->reading = 0;
    s->want = 0;

    if (!s->given) {
        rows_batch_clear(&s->batch);

        if (s->new_plan != NULL) {
            arena_free(s->new_plan->arena);
            s->new_plan = NULL;
        }
    }
}


static const char *
postgres_print_sql(arena_t *a, const rows_plan_t *p)
{
    int          i;
    const char  *sql;

    sql = "";

    for (i = 0; i < ROWS_KINDS; i++) {
        if (p->kinds[i].present) {
            sql = arena_printf(a, "%s%sSELECT '%s ' || count(*) || ' ' || "
                               "coalesce(sum(xmin::text::bigint), 0) "
                               "FROM \"%s\"", sql,
                               *sql ? " UNION ALL " : "", p->kinds[i].table,
                               p->kinds[i].table);
        }
    }

    return sql;
}


/* "{uuid,uuid}" */
static char *
postgres_ids(arena_t *a, const rows_given_t *g)
{
    char    *text, *p;
    size_t   i;

    text = arena_alloc(a, g->n_ids * 37 + 3);
    p = text;
    *p++ = '{';

    for (i = 0; i < g->n_ids; i++) {
        kong_uuid_text(g->ids[i], p);
        p += 36;
        *p++ = ',';
    }

    if (p[-1] == ',') {
        p--;
    }

    *p++ = '}';
    *p = '\0';

    return text;
}
