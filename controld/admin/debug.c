/*
 * debug: the log level of this node, and the paths of Kong's that ask for
 * what does not exist here: caches of entities, timers, data planes.
 */

#include <stdlib.h>
#include <string.h>

#include "../log.h"
#include "debug.h"


#define DEBUG_TIMEOUT      60            /* s, then the level is as before */
#define DEBUG_TIMEOUT_MAX  (365 * 24 * 3600)


struct debug_s {
    const admin_host_t  *host;
    struct event        *timer;
    log_level_t          level;
    unsigned             changed:1;
};


static log_level_t debug_configured(const debug_t *d);
static void debug_put(admin_request_t *r, debug_t *d, log_level_t level);
static void debug_over(evutil_socket_t fd, short what, void *data);
static const char *debug_name(log_level_t level);


/* in the order of log_level_t */
static const char *const  debug_levels[] = {
    "emerg", "alert", "crit", "error", "warn", "notice", "info", "debug"
};


debug_t *
debug_new(struct event_base *base, const admin_host_t *host)
{
    debug_t  *d;

    d = calloc(1, sizeof(debug_t));
    if (d == NULL) {
        return NULL;
    }

    d->host = host;
    d->timer = evtimer_new(base, debug_over, d);

    if (d->timer == NULL) {
        free(d);
        return NULL;
    }

    return d;
}


void
debug_free(debug_t *d)
{
    if (d != NULL) {
        event_free(d->timer);
        free(d);
    }
}


/* /debug/node/log-level[/{level}], /debug/cluster/log-level/{level} */
void
debug_log_level(admin_request_t *r)
{
    int           level;
    debug_t      *d;
    const char   *name;

    d = admin_debug(r->admin);

    if (r->method == ADMIN_GET) {
        level = (int) (d->changed ? d->level : debug_configured(d));
        admin_message(r, 200, arena_printf(r->arena, "log level: %s",
                                           debug_name((log_level_t) level)));
        return;
    }

    if (!r->settings->used) {
        admin_message(r, 405, "cannot change log level when not using a "
                      "database");
        return;
    }

    name = r->segments[3].data;
    level = log_level_parse(name);

    if (level == -1) {
        admin_message(r, 400, arena_printf(r->arena, "unknown log level: %s",
                                           name));
        return;
    }

    debug_put(r, d, (log_level_t) level);
}


static void
debug_put(admin_request_t *r, debug_t *d, log_level_t level)
{
    char            *end;
    double           seconds;
    const char      *text;
    struct timeval   tv;

    seconds = DEBUG_TIMEOUT;
    text = admin_arg(r, "timeout");

    if (text != NULL) {
        seconds = strtod(text, &end);

        if (end == text || *end != '\0' || !(seconds >= 0)
            || seconds > DEBUG_TIMEOUT_MAX)
        {
            admin_message(r, 400, "timeout must be greater than or equal to "
                          "0");
            return;
        }
    }

    if (level == (d->changed ? d->level : debug_configured(d))) {
        admin_message(r, 200, arena_printf(r->arena,
                                           "log level is already %s",
                                           debug_name(level)));
        return;
    }

    d->level = level;
    d->changed = 1;
    log_set_level(level);
    (void) evtimer_del(d->timer);

    /* 0: until it is changed again */

    if (seconds > 0) {
        tv.tv_sec = (time_t) seconds;
        tv.tv_usec = (suseconds_t) ((seconds - (double) tv.tv_sec) * 1e6);
        (void) evtimer_add(d->timer, &tv);
    }

    admin_message(r, 200, "log level changed");
}


static log_level_t
debug_configured(const debug_t *d)
{
    int          level;
    const char  *name;

    name = conf_str(d->host->conf(d->host->data), "log_level");
    level = (name != NULL) ? log_level_parse(name) : -1;

    return (level != -1) ? (log_level_t) level : LOG_NOTICE;
}


static void
debug_over(evutil_socket_t fd, short what, void *data)
{
    debug_t  *d = data;

    (void) fd;
    (void) what;

    d->changed = 0;
    log_set_level(debug_configured(d));
}


static const char *
debug_name(log_level_t level)
{
    return debug_levels[level];
}


/* no entity is cached here: a purge has nothing to do */
void
debug_cache(admin_request_t *r)
{
    if (r->method == ADMIN_DELETE) {
        admin_empty(r, 204);
        return;
    }

    admin_message(r, 404, "Not found");
}


void
debug_timers(admin_request_t *r)
{
    value_t  body, *v;

    value_set_object(&body);
    v = value_put(r->arena, &body, "worker");
    value_set_object(v);
    value_set_number(value_put(r->arena, v, "id"), 0);
    value_set_number(value_put(r->arena, v, "count"), 1);
    value_set_object(value_put(r->arena, &body, "stats"));

    admin_json(r, 200, &body);
}


/* Kong's counts are those of a client that is off unless it is asked for */
void
debug_dns(admin_request_t *r)
{
    admin_message(r, 501, "not implemented with the legacy DNS client");
}


void
debug_clustering(admin_request_t *r)
{
    admin_message(r, 400, "this endpoint is only available when Kong is "
                  "configured to run as Control Plane for the cluster");
}
