/*
 * daemon_database: the first configuration of a node whose source is a
 * database, for the command line.  A node that has a snapshot starts on it
 * whatever the database says: the daemon takes up what is new.
 */

#include <stdlib.h>
#include <string.h>
#include <ares.h>

#include "log.h"
#include "daemon_private.h"
#include "migrations/migrations.h"


#define DATABASE_WAIT  10                /* s, for all of it */


typedef struct {
    struct event_base  *base;
    const source_ops_t *ops;
    source_t           *source;
    unsigned            ready:1;
} database_t;


static void database_changed(void *data);
static int database_check(arena_t *a, conf_t *c, const char **err);
static void database_ready(void *data);
static void database_state(void *data);
static void database_silent(const char *fmt, ...);


int
daemon_database_load(arena_t *a, conf_t *c, const daemon_first_t *f,
    load_t *l, const char **err)
{
    database_t       d;
    source_host_t    host;
    source_state_t   state;
    struct timeval   tv;

    if (database_check(a, c, err) == -1) {
        return -1;
    }

    memset(&d, 0, sizeof(d));
    d.base = f->base;
    d.ops = &source_postgres;

    memset(&host, 0, sizeof(host));
    host.base = f->base;
    host.dns = f->dns;
    host.dir = f->dir;
    host.ready = database_ready;
    host.state = database_state;
    host.data = &d;
    host.quiet = 1;

    d.source = d.ops->open(&host, c, err);
    if (d.source == NULL) {
        return -1;
    }

    tv.tv_sec = DATABASE_WAIT;
    tv.tv_usec = 0;

    (void) event_base_loopexit(f->base, &tv);
    (void) event_base_dispatch(f->base);

    if (d.ready && d.ops->take(d.source, l) == 0) {
        load_run(l);
        d.ops->done(d.source, l->rc != LOAD_INVALID);

        if (l->rc == LOAD_INVALID) {
            *err = arena_strndup(a, l->first, strlen(l->first));
        }

        d.ops->close(d.source);
        return (l->rc == LOAD_INVALID) ? -1 : 0;
    }

    d.ops->state(d.source, &state);
    *err = arena_printf(a, "[PostgreSQL error] %s",
                        state.message[0] != '\0' ? state.message
                                                 : "no answer in time");
    d.ops->close(d.source);

    return -1;
}


/* what `kong start` says of a database that it cannot use */
static int
database_check(arena_t *a, conf_t *c, const char **err)
{
    int                  rc;
    const char          *text;
    migrations_t         m;
    pg_settings_t        settings;
    migrations_state_t   state;

    if (pg_settings(a, c, 0, &settings, err) == -1) {
        return -1;
    }

    memset(&m, 0, sizeof(m));
    m.arena = a;
    m.plugins = conf_plugins(c);
    m.print = database_silent;
    m.pg = pg_open(a, &settings, 0, err);

    if (m.pg == NULL) {
        return -1;
    }

    rc = migrations_state(&m, &state, err);
    pg_close(m.pg);

    if (rc != 0) {
        return -1;
    }

    text = migrations_refusal(a, &state);

    if (text != NULL) {
        *err = text;
        return -1;
    }

    text = migrations_warning(a, &state);

    if (text != NULL) {
        log_write(LOG_WARN, "%s", text);
    }

    return 0;
}


static void
database_ready(void *data)
{
    database_t  *d = data;

    d->ready = 1;
    (void) event_base_loopbreak(d->base);
}


/* one round of all hosts is enough to know */
static void
database_state(void *data)
{
    database_t      *d = data;
    source_state_t   state;

    if (d->source == NULL) {
        return;
    }

    d->ops->state(d->source, &state);

    if (state.tried && state.message[0] != '\0') {
        (void) event_base_loopbreak(d->base);
    }
}


static void
database_silent(const char *fmt, ...)
{
    (void) fmt;
}


int
daemon_export(arena_t *a, conf_t *c, char **text, size_t *len,
    const char **err)
{
    int              rc;
    size_t           i;
    load_t          *l;
    dns_conf_t       dc;
    daemon_first_t   f;

    rc = -1;
    l = load_new();
    memset(&f, 0, sizeof(f));
    f.base = event_base_new();

    (void) ares_library_init(ARES_LIB_INIT_ALL);

    if (l == NULL || f.base == NULL) {
        *err = "out of memory";
        goto done;
    }

    daemon_dns_conf(a, c, &dc);
    f.dns = dns_new(f.base, &dc, database_changed, NULL, err);

    if (f.dns == NULL) {
        goto done;
    }

    daemon_load_opts(l, c, conf_plugins(c));
    l->compile = 0;
    rc = daemon_database_load(a, c, &f, l, err);

    for (i = 0; rc == 0 && i < l->n_broken; i++) {
        log_write(LOG_WARN, "left out: %s: %s",
                  compile_aside_name(a, &l->broken[i]),
                  l->broken[i].reason);
    }

    if (rc == 0) {
        *text = declarative_export(a, l->generation->config, len);
    }

done:

    load_free(l);
    dns_free(f.dns);

    if (f.base != NULL) {
        event_base_free(f.base);
    }

    ares_library_cleanup();

    return rc;
}


static void
database_changed(void *data)
{
    (void) data;
}
