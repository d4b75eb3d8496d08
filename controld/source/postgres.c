/*
 * postgres: configurations out of Kong's database.  Life cycle, what the
 * daemon sees, and the state with its log: one line a change.
 *
 * Reading and applying take turns: what was read belongs to the loader from
 * take() to done(), and the next reading starts after that.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../log.h"
#include "postgres_private.h"


static source_t *postgres_open(const source_host_t *host, const conf_t *c,
    const char **err);
static void postgres_close(source_t *s);
static int postgres_reload(source_t *s, const conf_t *c, unsigned forced,
    const char **err);
static int postgres_take(source_t *s, load_t *l);
static config_t *postgres_make(load_t *l, void *source);
static void postgres_done(source_t *s, unsigned good);
static void postgres_known(source_t *s);
static void postgres_state(const source_t *s, source_state_t *out);
static source_holds_t postgres_holds(source_t *s, int64_t version);
static unsigned postgres_claim(source_t *s, int claim);
static int postgres_conf(arena_t *a, const conf_t *c, pg_settings_t out[2],
    unsigned *n, const char **err);
static void postgres_copy(arena_t *a, pg_settings_t *p);
static unsigned postgres_same(const pg_settings_t *a, const pg_settings_t *b);
static unsigned postgres_same_text(const char *a, const char *b);
static void postgres_retry(evutil_socket_t fd, short what, void *data);
static double postgres_time(void);
static void postgres_changed(source_t *s);


const source_ops_t  source_postgres = {
    .name = "postgres",
    .open = postgres_open,
    .close = postgres_close,
    .reload = postgres_reload,
    .take = postgres_take,
    .done = postgres_done,
    .state = postgres_state,
    .holds = postgres_holds
};


static source_t *
postgres_open(const source_host_t *host, const conf_t *c, const char **err)
{
    size_t     i;
    unsigned   bad;
    source_t  *s;

    s = calloc(1, sizeof(source_t));

    if (s == NULL) {
        *err = "out of memory";
        return NULL;
    }

    s->host = *host;
    s->host.dir = strdup(host->dir != NULL ? host->dir : "");
    s->arena = arena_new();
    s->version = -1;
    s->frequency = conf_num(c, "db_update_frequency");

    if (postgres_conf(s->arena, c, s->settings, &s->n_settings, err) == -1) {
        postgres_close(s);
        return NULL;
    }

    s->retry = evtimer_new(host->base, postgres_retry, s);
    s->grace = evtimer_new(host->base, postgres_grace, s);
    s->tick = event_new(host->base, -1, EV_PERSIST, postgres_tick, s);

    bad = (s->host.dir == NULL || s->retry == NULL || s->grace == NULL
           || s->tick == NULL || pg_link_init(&s->main, s) == -1);

    for (i = 0; i < PG_LINKS; i++) {
        bad |= (pg_link_init(&s->candidates[i].link, s) == -1);
    }

    if (bad || postgres_names(s) == -1) {
        *err = "out of memory";
        postgres_close(s);
        return NULL;
    }

    postgres_fence_load(s);
    postgres_again(s);

    return s;
}


static void
postgres_close(source_t *s)
{
    size_t         i;
    struct event  *events[3];

    if (s == NULL) {
        return;
    }

    for (i = 0; i < PG_LINKS; i++) {
        pg_link_release(&s->candidates[i].link);
    }

    pg_link_release(&s->main);

    events[0] = s->retry;
    events[1] = s->grace;
    events[2] = s->tick;

    for (i = 0; i < 3; i++) {
        if (events[i] != NULL) {
            event_free(events[i]);
        }
    }

    dns_set_free(s->names);
    rows_batch_clear(&s->batch);
    rows_put(s->made);
    rows_put(s->rows);

    if (s->new_plan != NULL) {
        arena_free(s->new_plan->arena);
    }

    if (s->plan != NULL) {
        arena_free(s->plan->arena);
    }

    arena_free(s->arena);
    free((char *) s->host.dir);
    free(s);
}


static int
postgres_reload(source_t *s, const conf_t *c, unsigned forced,
    const char **err)
{
    arena_t        *a;
    unsigned        n, same;
    pg_settings_t   settings[2];

    a = arena_new();

    if (postgres_conf(a, c, settings, &n, err) == -1) {
        *err = arena_strndup(s->arena, *err, strlen(*err));
        arena_free(a);
        return -1;
    }

    s->frequency = conf_num(c, "db_update_frequency");

    if (forced) {
        s->forget = 1;

        if (!s->taken) {
            postgres_known(s);
        }
    }

    same = (n == s->n_settings && postgres_same(&settings[0], &s->settings[0])
            && (n < 2 || postgres_same(&settings[1], &s->settings[1])));

    if (same) {
        arena_free(a);
        postgres_want(s, forced ? PG_WANT_FULL : PG_WANT_POLL);
        return 0;
    }

    postgres_stop(s);
    postgres_round_stop(s);
    pg_link_close(&s->main);

    arena_free(s->arena);
    s->arena = a;
    memcpy(s->settings, settings, sizeof(s->settings));
    s->n_settings = n;
    s->backoff = 0;
    s->armed = 0;

    if (postgres_names(s) == -1) {
        *err = "out of memory";
        return -1;
    }

    postgres_again(s);

    return 0;
}


/* pg_ro_* is only another place to look when there is no primary */
static int
postgres_conf(arena_t *a, const conf_t *c, pg_settings_t out[2],
    unsigned *n, const char **err)
{
    const char  *host;

    *n = 1;

    if (pg_settings(a, c, 0, &out[0], err) == -1) {
        return -1;
    }

    postgres_copy(a, &out[0]);

    host = conf_str(c, "pg_ro_host");

    if (host == NULL) {
        return 0;
    }

    *n = 2;

    if (pg_settings(a, c, 1, &out[1], err) == -1) {
        return -1;
    }

    postgres_copy(a, &out[1]);

    return 0;
}


/* the settings may be read again while they are in use */
static void
postgres_copy(arena_t *a, pg_settings_t *p)
{
    size_t        i;
    const char  **text[] = {
        &p->user, &p->password, &p->database, &p->schema, &p->sslrootcert
    };

    for (i = 0; i < sizeof(text) / sizeof(text[0]); i++) {
        if (*text[i] != NULL) {
            *text[i] = arena_strndup(a, *text[i], strlen(*text[i]));
        }
    }
}


static unsigned
postgres_same(const pg_settings_t *a, const pg_settings_t *b)
{
    size_t  i;

    if (a->n_hosts != b->n_hosts || a->timeout != b->timeout
        || !postgres_same_text(a->user, b->user)
        || !postgres_same_text(a->password, b->password)
        || !postgres_same_text(a->database, b->database)
        || !postgres_same_text(a->schema, b->schema)
        || !postgres_same_text(a->sslmode, b->sslmode)
        || !postgres_same_text(a->sslrootcert, b->sslrootcert))
    {
        return 0;
    }

    for (i = 0; i < a->n_hosts; i++) {
        if (!postgres_same_text(a->hosts[i].name, b->hosts[i].name)
            || !postgres_same_text(a->hosts[i].port, b->hosts[i].port))
        {
            return 0;
        }
    }

    return 1;
}


static unsigned
postgres_same_text(const char *a, const char *b)
{
    return strcmp(a != NULL ? a : "", b != NULL ? b : "") == 0;
}


static int
postgres_take(source_t *s, load_t *l)
{
    if (!s->given || s->taken) {
        return -1;
    }

    s->taken = 1;
    s->claim = s->promised ? PG_CLAIM_PROMISED : PG_CLAIM_NONE;
    s->promised = 0;
    l->make = postgres_make;
    l->source = s;

    return 0;
}


/* in the loader's thread, which owns the batch until done() */
static config_t *
postgres_make(load_t *l, void *source)
{
    config_t         *c;
    source_t         *s = source;
    compile_aside_t  *broken;

    s->batch.plugins = l->opts.plugins;
    s->batch.router_flavor = l->opts.router_flavor;

    rows_put(s->made);
    s->made = NULL;
    s->made = rows_make(&s->batch, l->arena);

    c = rows_config(s->made, &s->batch, l->arena, &broken, &l->n_broken);
    l->broken = broken;

    if (l->known[0] != '\0' && strcmp(l->known, c->hash) == 0
        && postgres_claim(s, PG_CLAIM_DROPPED))
    {
        if (l->resume) {
            l->resumed = 1;
            return c;
        }

        config_free(c);
        l->rc = LOAD_UNCHANGED;
        return NULL;
    }

    return c;
}


static void
postgres_done(source_t *s, unsigned good)
{
    s->taken = 0;
    s->given = 0;

    if (s->made != NULL) {
        postgres_known(s);

    } else {
        s->want |= PG_WANT_FULL;         /* out of memory */
        rows_batch_clear(&s->batch);
    }

    if (good) {
        s->refused = 0;

        if (memcmp(&s->fence, &s->new_fence, sizeof(s->fence)) != 0) {
            s->fence = s->new_fence;
            postgres_fence_save(s);
        }

    } else if (s->again || s->refused == 0) {
        s->refused++;
    }

    s->again = 0;

    postgres_next(s);
}


/* what was made is what is known from now on */
static void
postgres_known(source_t *s)
{
    if (s->made != NULL) {
        rows_put(s->rows);
        s->rows = s->made;
        s->made = NULL;

        s->version = s->new_version;
        s->stamp = s->new_stamp;
    }

    if (s->full && s->new_plan != NULL) {

        if (s->plan != NULL) {
            arena_free(s->plan->arena);
        }

        s->plan = s->new_plan;
        s->new_plan = NULL;
        s->tables = s->new_tables;
        s->armed = s->new_tables && s->new_armed && s->version >= 0;
        strcpy(s->guard, s->new_guard);
        strcpy(s->snapshot, s->armed ? "" : s->new_snapshot);
        strcpy(s->print, s->armed ? "" : s->new_print);
    }

    if (s->forget) {
        s->forget = 0;
        s->want |= PG_WANT_FULL;
        rows_put(s->rows);
        s->rows = NULL;
        s->given = 0;
    }

    rows_batch_clear(&s->batch);
    s->batch.base = s->rows;
    s->batch.plan = s->plan;
}


static void
postgres_state(const source_t *s, source_state_t *out)
{
    out->reachable = s->reachable;
    out->tried = s->tried;
    out->message = s->message;
    out->host = s->reachable ? s->main.name : "";
    out->role = !s->reachable ? ""
                : s->identity.recovery ? "replica" : "primary";
    out->since = s->since;
    out->timeline = s->fence.timeline;
    out->version = (s->fence.system[0] != '\0') ? s->fence.version : -1;
}


/* readings take turns with what is taken: the next begins after it */
static source_holds_t
postgres_holds(source_t *s, int64_t version)
{
    if (s->taken && s->new_version >= version) {
        return postgres_claim(s, PG_CLAIM_PROMISED) ? SOURCE_TAKEN
                                                    : SOURCE_UNKNOWN;
    }

    if (!s->taken && (s->given || s->refused != 0
                      || (s->reading && s->new_version < version)))
    {
        return SOURCE_UNKNOWN;
    }

    s->promised = 1;

    return SOURCE_NEXT;
}


static unsigned
postgres_claim(source_t *s, int claim)
{
    int  was;

    was = PG_CLAIM_NONE;

    return __atomic_compare_exchange_n(&s->claim, &was, claim, 0,
                                       __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)
           || was == claim;
}


static void
postgres_retry(evutil_socket_t fd, short what, void *data)
{
    (void) fd;
    (void) what;

    postgres_round(data);
}


void
postgres_reachable(source_t *s)
{
    unsigned  was;

    was = s->reachable;
    s->reachable = 1;

    if (was) {
        return;
    }

    s->since = postgres_time();

    if (!s->host.quiet) {
        log_write(LOG_NOTICE, "database %s is read: it is a %s%s",
                  s->main.name, s->identity.recovery ? "replica" : "primary",
                  s->identity.recovery ? "; no primary answers" : "");
    }

    postgres_changed(s);
}


void
postgres_failed(source_t *s, const char *fmt, ...)
{
    char      text[sizeof(s->message)];
    va_list   args;
    unsigned  was;

    va_start(args, fmt);
    (void) vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);

    was = s->reachable || !s->tried;

    if (!was && strcmp(text, s->message) == 0) {
        return;
    }

    s->since = (was || s->since == 0) ? postgres_time() : s->since;
    s->reachable = 0;
    s->tried = 1;
    strcpy(s->message, text);

    if (was && !s->host.quiet) {
        log_write(LOG_ERR, "the database is out of reach, what is served "
                  "stays: %s", s->message);
    }

    postgres_changed(s);
}


void
postgres_unread(source_t *s, const char *fmt, ...)
{
    char      text[sizeof(s->message)];
    va_list   args;

    va_start(args, fmt);
    (void) vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);

    if (s->tried && strcmp(text, s->message) == 0) {
        return;
    }

    s->tried = 1;
    strcpy(s->message, text);

    if (text[0] != '\0' && !s->host.quiet) {
        log_write(LOG_ERR, "the database cannot be read, what is served "
                  "stays: %s", text);
    }

    postgres_changed(s);
}


static double
postgres_time(void)
{
    struct timespec  now;

    (void) clock_gettime(CLOCK_REALTIME, &now);

    return (double) now.tv_sec;
}


void
postgres_tell(source_t *s)
{
    if (s->told.timeline != s->fence.timeline
        || s->told.version != s->fence.version
        || s->told.recovery != s->identity.recovery)
    {
        postgres_changed(s);
    }
}


static void
postgres_changed(source_t *s)
{
    s->told.timeline = s->fence.timeline;
    s->told.version = s->fence.version;
    s->told.recovery = s->identity.recovery;

    s->host.state(s->host.data);
}


void
postgres_ms(struct timeval *tv, unsigned ms)
{
    tv->tv_sec = ms / 1000;
    tv->tv_usec = ms % 1000 * 1000;
}
