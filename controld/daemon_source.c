/*
 * daemon_source: a database in the place of the file: what it has read is
 * taken as soon as the way is free, and what it says of itself is shown.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "daemon_private.h"


#define PURGE_TIMEOUT  5000              /* ms */


static void daemon_source_ready(void *data);
static void daemon_source_changed(void *data);
static void daemon_source_purge(void *data, const char *key);
static void daemon_source_purged(void *data, int status, const char *body,
    size_t len);


int
daemon_is_database(const conf_t *c)
{
    return strcmp(conf_str(c, "database"), "off") != 0;
}


int
daemon_source_open(daemon_t *d, const char **err)
{
    source_host_t  host;

    if (!daemon_is_database(d->conf)) {
        return 0;
    }

    memset(&host, 0, sizeof(host));
    host.base = d->base;
    host.dns = d->dns;
    host.dir = conf_path(d->conf, "snapshots");
    host.ready = daemon_source_ready;
    host.state = daemon_source_changed;
    host.purge = daemon_source_purge;
    host.data = d;

    d->ops = &source_postgres;
    d->source = d->ops->open(&host, d->conf, err);

    return (d->source != NULL) ? 0 : -1;
}


void
daemon_source_close(daemon_t *d)
{
    if (d->source != NULL) {
        d->ops->close(d->source);
        d->source = NULL;
    }
}


static void
daemon_source_ready(void *data)
{
    daemon_want(data, 0);
}


/* the key is 64 digits, or "all" */
static void
daemon_source_purge(void *data, const char *key)
{
    char       target[128];
    daemon_t  *d = data;

    snprintf(target, sizeof(target), "/purge?key=%s", key);

    (void) control_request(d->control, "POST", target, PURGE_TIMEOUT,
                           daemon_source_purged, NULL);
}


static void
daemon_source_purged(void *data, int status, const char *body, size_t len)
{
    (void) data;
    (void) body;
    (void) len;

    /* without nginx there is no cache */

    if (status != 204 && status != CONTROL_ABSENT) {
        log_write(LOG_ERR, "nginx did not remove from the cache what another "
                  "node was asked to: status %d", status);
    }
}


/* the text that was kept serves a node that starts without its database */
static void
daemon_source_changed(void *data)
{
    daemon_t        *d = data;
    source_state_t   state;

    if (d->source != NULL && d->active == NULL && d->apply == NULL) {
        d->ops->state(d->source, &state);

        if (state.tried && state.message[0] != '\0') {
            daemon_restore(d);
        }
    }

    daemon_report(d, d->ok, d->message);
}


void
daemon_source_reload(daemon_t *d, unsigned forced)
{
    const char  *err;

    if (d->ops->reload(d->source, d->conf, forced, &err) == -1) {
        log_write(LOG_ERR, "the database's settings are not taken: %s", err);
    }
}


/* 0: the load is to be run */
int
daemon_source_take(daemon_t *d, apply_t *a)
{
    return d->ops->take(d->source, a->load);
}


void
daemon_source_resume(daemon_t *d, apply_t *a)
{
    uint32_t  config, endpoints;

    if (d->source == NULL || d->forced
        || (d->active != NULL && !d->restored))
    {
        return;
    }

    publisher_current(d->publisher, &config, &endpoints);

    if (config == 0 || endpoints == 0
        || daemon_segment_hash(d->store, config, a->load->known) == -1)
    {
        return;
    }

    a->resume = config;
    a->load->resume = 1;
}


void
daemon_source_done(daemon_t *d, apply_t *a, unsigned good)
{
    d->ops->done(d->source, good || a->load->rc == LOAD_UNCHANGED);
    admin_served(d->admin);
}


/* what is left out of a configuration that is good otherwise: the log has
 * all of it, /status the first */
void
daemon_source_aside(daemon_t *d, load_t *l)
{
    char                   *text;
    size_t                  i;
    arena_t                *a;
    const char             *first;
    const compile_aside_t  *aside;

    a = arena_new();
    text = (char *) "";
    first = "";

    for (i = 0; i < l->n_aside; i++) {
        aside = &l->aside[i];
        first = arena_printf(a, "%s: %s", compile_aside_name(a, aside),
                             aside->reason);

        if (i == 0) {
            text = (l->n_aside == 1) ? arena_printf(a, "set aside: %s", first)
                   : arena_printf(a, "%zu entities are set aside, the first: "
                                  "%s", l->n_aside, first);
        }

        if (d->n_aside != l->n_aside || strcmp(d->aside, text) != 0) {
            log_write(LOG_WARN, "set aside: %s", first);
        }
    }

    if (d->n_aside != 0 && l->n_aside == 0) {
        log_write(LOG_NOTICE, "nothing is set aside any more");
    }

    d->n_aside = l->n_aside;
    (void) snprintf(d->aside, sizeof(d->aside), "%s", text);
    arena_free(a);
}


/* the source's own trouble comes first */
void
daemon_source_state(daemon_t *d, publisher_state_t *out)
{
    source_state_t  state;

    if (d->source == NULL) {
        out->database = 0;
        out->reachable = 0;

        if (out->message[0] == '\0') {
            out->message = d->aside;
        }

        return;
    }

    d->ops->state(d->source, &state);

    out->source = d->ops->name;
    out->database = 1;
    out->reachable = state.reachable;
    out->host = state.host;
    out->role = state.role;
    out->changed = state.since;
    out->timeline = state.timeline;
    out->version = state.version;
    out->aside = d->n_aside;

    if (state.message[0] != '\0') {
        out->ok = 0;
        out->message = state.message;

    } else if (out->message[0] == '\0') {
        out->message = d->aside;
    }

    if (out->ok != d->shown_ok || d->shown_since == 0) {
        d->shown_ok = out->ok;
        d->shown_since = daemon_time();
    }

    out->since = d->shown_since;
}
