/*
 * counters: see counters.h.  One exchange with the module or one batch for
 * the database is under way at a time.  Sums are kept until the module has
 * said that it has them; one that comes twice changes nothing.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "counters.h"
#include "counters_rows.h"
#include "../admin/database.h"
#include "../log.h"


#define COUNTERS_INTERVAL  100           /* ms between exchanges */
#define COUNTERS_BACK      50            /* ms, when there are sums to bring */
#define COUNTERS_RETRY     1000          /* ms while nobody counts */
#define COUNTERS_TIMEOUT   2000          /* ms, of the module */
#define COUNTERS_CLEAN     60            /* s */
#define COUNTERS_SUM       48            /* bytes of one in a query */


struct counters_s {
    control_t             *control;
    database_t            *database;
    database_settings_t   *settings;
    struct event          *timer;

    char                  *text;         /* of the batch */
    counters_rows_t        rows;
    database_job_t         job;
    database_settings_t   *used;         /* by the job */
    double                 cleaned;
    int                    rc;           /* of the job */
    char                   message[300];
    char                   sums[sizeof("/counters?ok=1&more=1&sums=")
                                + COUNTERS_ROWS * COUNTERS_SUM];

    unsigned               wanted:1;     /* there is such a plugin */
    unsigned               busy:1;
    unsigned               told:1;       /* the module knows of this daemon */
    unsigned               failing:1;
    unsigned               returning:1;  /* the exchange takes nothing */
    unsigned               ending:1;
};


static void counters_tick(evutil_socket_t fd, short what, void *data);
static void counters_again(counters_t *c, long ms);
static void counters_given(void *data, int status, const char *body,
    size_t len);
static int counters_write(counters_t *c, const char *body, size_t len);
static void counters_run(void *data, database_link_t *link);
static void counters_done(void *data);
static void counters_report(counters_t *c);
static void counters_sums(counters_t *c);
static int counters_is_cluster(const value_t *plugin);


counters_t *
counters_new(struct event_base *base, control_t *control, const conf_t *conf)
{
    counters_t  *c;

    c = calloc(1, sizeof(counters_t));
    if (c == NULL) {
        return NULL;
    }

    c->control = control;
    c->settings = database_settings(conf);
    c->timer = evtimer_new(base, counters_tick, c);
    c->database = database_new(base);

    if (c->timer == NULL || c->database == NULL) {
        counters_free(c);
        return NULL;
    }

    return c;
}


void
counters_free(counters_t *c)
{
    if (c == NULL) {
        return;
    }

    c->ending = 1;

    if (c->database != NULL) {
        database_free(c->database);
    }

    if (c->timer != NULL) {
        event_free(c->timer);
    }

    database_settings_put(c->settings);
    free(c->text);
    free(c);
}


void
counters_reload(counters_t *c, const conf_t *conf)
{
    database_settings_put(c->settings);
    c->settings = database_settings(conf);
}


void
counters_watch(counters_t *c, const config_t *config)
{
    size_t                 i;
    const config_table_t  *plugins;

    plugins = config_table(config, "plugins");
    c->wanted = 0;

    for (i = 0; plugins != NULL && i < plugins->n && !c->wanted; i++) {
        c->wanted = counters_is_cluster(plugins->rows[i]);
    }

    if (c->wanted && !c->busy && !evtimer_pending(c->timer, NULL)) {
        counters_again(c, 0);
    }
}


static int
counters_is_cluster(const value_t *plugin)
{
    const value_t  *name;

    name = value_get(plugin, "name");

    return (value_str_eq(name, "rate-limiting")
            || value_str_eq(name, "response-ratelimiting"))
           && value_str_eq(value_get(value_get(plugin, "config"), "policy"),
                           "cluster");
}


static void
counters_again(counters_t *c, long ms)
{
    struct timeval  tv;

    tv.tv_sec = ms / 1000;
    tv.tv_usec = ms % 1000 * 1000;

    (void) evtimer_add(c->timer, &tv);
}


static void
counters_tick(evutil_socket_t fd, short what, void *data)
{
    counters_t  *c = data;

    (void) fd;
    (void) what;

    if (!c->settings->used || (!c->wanted && c->sums[0] == '\0')) {
        return;
    }

    if (c->sums[0] == '\0') {
        (void) snprintf(c->sums, sizeof(c->sums), "/counters?ok=%u%s",
                        !c->failing, c->told ? "" : "&fresh=1");
    }

    if (control_request(c->control, "POST", c->sums, COUNTERS_TIMEOUT,
                        counters_given, c)
        == -1)
    {
        counters_again(c, COUNTERS_RETRY);
        return;
    }

    c->busy = 1;
}


/* the module has the sums, and here is more */
static void
counters_given(void *data, int status, const char *body, size_t len)
{
    counters_t  *c = data;

    c->busy = 0;

    if (status != 200) {
        counters_again(c, COUNTERS_RETRY);
        return;
    }

    c->told = 1;
    c->sums[0] = '\0';

    /* while it fails, the database is asked whether it counts again even if
     * there is nothing to count; not at once, though */

    if (c->returning) {
        c->returning = 0;
        counters_again(c, COUNTERS_RETRY);
        return;
    }

    if ((len == 0 && !c->failing) || counters_write(c, body, len) == -1) {
        counters_again(c, COUNTERS_INTERVAL);
    }
}


/* what does not come this far is given again after a while */
static int
counters_write(counters_t *c, const char *body, size_t len)
{
    char  *text;

    text = realloc(c->text, len + 1);
    if (text == NULL) {
        return -1;
    }

    c->text = text;
    memcpy(text, body, len + 1);

    if (counters_rows_parse(&c->rows, text) == -1) {
        log_write(LOG_ERR, "counters: nginx gives what is none");
        c->rows.n = 0;
        return -1;
    }

    c->used = c->settings;
    database_settings_get(c->used);

    c->job.run = counters_run;
    c->job.done = counters_done;
    c->job.data = c;
    c->job.settings = c->used;
    c->busy = 1;

    if (database_run(c->database, &c->job, 1) == -1) {
        (void) snprintf(c->message, sizeof(c->message), "no thread for it");
        c->rc = -1;
        counters_done(c);
    }

    return 0;
}


/* in the thread: the batch is its own meanwhile */
static void
counters_run(void *data, database_link_t *link)
{
    arena_t          *a;
    counters_t       *c = data;
    const char       *err;
    struct timespec   now;

    a = arena_new();
    err = "";
    c->rc = database_link(link, c->used, &err);

    if (c->rc == 0) {
        c->rc = counters_rows_add(&c->rows, link->pg, a);
        err = pg_error(link->pg);
    }

    (void) clock_gettime(CLOCK_MONOTONIC, &now);

    if (c->rc == 0 && (double) now.tv_sec - c->cleaned >= COUNTERS_CLEAN) {
        c->cleaned = (double) now.tv_sec;
        (void) counters_rows_clean(link->pg);
    }

    if (c->rc == -1) {
        (void) snprintf(c->message, sizeof(c->message), "%s", err);
    }

    arena_free(a);
}


static void
counters_done(void *data)
{
    counters_t  *c = data;

    c->busy = 0;
    database_settings_put(c->used);
    c->used = NULL;

    counters_report(c);
    counters_sums(c);

    /* a full batch has another behind it; what could not be written is given
     * back at once */

    c->returning = c->failing;

    if (!c->ending) {
        counters_again(c, c->failing || c->rows.n == COUNTERS_ROWS
                          ? 0 : COUNTERS_BACK);
    }
}


/* once a change */
static void
counters_report(counters_t *c)
{
    unsigned  failing;

    failing = (c->rc == -1);

    if (failing == c->failing) {
        return;
    }

    c->failing = failing;

    if (failing) {
        log_write(LOG_ERR, "counters: the database does not count, this node "
                  "limits by what it knows: %s", c->message);

    } else {
        log_write(LOG_NOTICE, "counters: the database counts again");
    }
}


/* for the next exchange; without its sum a row is owed again */
static void
counters_sums(counters_t *c)
{
    char                  *p;
    size_t                 i;
    const counters_row_t  *row;

    p = c->sums;
    p += sprintf(p, "/counters?ok=%u&more=%u&sums=", !c->failing,
                 !c->failing);

    for (i = 0; i < c->rows.n; i++) {
        row = &c->rows.rows[i];
        p += snprintf(p, COUNTERS_SUM, "%s%.10s.%.10s.", i ? "_" : "",
                      row->place, row->flight);

        if (row->sum >= 0) {
            p += snprintf(p, COUNTERS_SUM / 2, "%lld", row->sum);
        }
    }
}
