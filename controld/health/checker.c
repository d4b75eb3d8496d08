/*
 * checker: see checker.h.  Here: life cycle, and from what is due to what
 * nginx is told.
 */

#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "../log.h"
#include "checker_private.h"


#define CHECKER_FILES  4               /* one descriptor of so many is ours */
#define CHECKER_QUIET  60000           /* ms without trouble: it is over */


static int checker_tls(checker_t *c, const conf_t *conf);
static unsigned checker_limit(void);
static void checker_due(evutil_socket_t fd, short what, void *data);
static void checker_probed(void *owner, probe_result_t result,
    unsigned status);
static unsigned checker_tells(const checked_address_t *a,
    probe_result_t result, unsigned status);
static void checker_trouble(checker_t *c, int64_t now);


checker_t *
checker_new(struct event_base *base, control_t *control, const conf_t *conf)
{
    checker_t  *c;

    c = calloc(1, sizeof(checker_t));
    if (c == NULL) {
        return NULL;
    }

    c->base = base;
    c->control = control;
    c->last = &c->first;
    c->schedule = schedule_new(checker_limit(), (uint64_t) checker_now()
                                         ^ (uint64_t) getpid() << 32);
    c->probes = probes_new(base, checker_probed);
    c->due = evtimer_new(base, checker_due, c);
    c->exchange = evtimer_new(base, checker_exchange, c);

    if (c->schedule == NULL || c->probes == NULL || c->due == NULL
        || c->exchange == NULL || checker_tls(c, conf) == -1)
    {
        checker_free(c);
        return NULL;
    }

    return c;
}


static int
checker_tls(checker_t *c, const conf_t *conf)
{
    probe_tls_t  *tls;

    tls = probe_tls_new(conf);

    if (tls == NULL) {
        return -1;
    }

    probes_set_tls(c->probes, tls);

    return 0;
}


void
checker_reload(checker_t *c, const conf_t *conf)
{
    (void) checker_tls(c, conf);
}


unsigned
checker_shows(const checker_t *c)
{
    return c->shows;
}


void
checker_free(checker_t *c)
{
    if (c == NULL) {
        return;
    }

    checker_clear(c);
    probes_free(c->probes);
    schedule_free(c->schedule);

    if (c->due != NULL) {
        event_free(c->due);
    }

    if (c->exchange != NULL) {
        event_free(c->exchange);
    }

    free(c);
}


static unsigned
checker_limit(void)
{
    struct rlimit  files;

    if (getrlimit(RLIMIT_NOFILE, &files) == -1
        || files.rlim_cur / CHECKER_FILES > CHECKER_PROBES)
    {
        return CHECKER_PROBES;
    }

    return (files.rlim_cur < CHECKER_FILES * 2)
           ? 2 : (unsigned) (files.rlim_cur / CHECKER_FILES);
}


static void
checker_due(evutil_socket_t fd, short what, void *data)
{
    (void) fd;
    (void) what;

    checker_run(data);
}


/* results that nobody takes are of no use: probes wait for nginx */
void
checker_run(checker_t *c)
{
    int64_t             now, ms;
    struct timeval      tv;
    schedule_item_t    *item;
    checked_address_t  *a;

    if (!c->told) {
        return;
    }

    now = checker_now();

    while ((item = schedule_next(c->schedule, now)) != NULL) {

        a = (checked_address_t *) item;
        a->probe = probe_start(c->probes, &a->upstream->settings->probe,
                               &a->target, a);
        if (a->probe == NULL) {
            checker_trouble(c, now);
            schedule_again(c->schedule, item, now);
        }
    }

    ms = schedule_wait(c->schedule, now);

    if (ms == SCHEDULE_NEVER) {
        (void) evtimer_del(c->due);
        return;
    }

    tv.tv_sec = (time_t) (ms / 1000);
    tv.tv_usec = (suseconds_t) (ms % 1000 * 1000);

    (void) evtimer_add(c->due, &tv);
}


static void
checker_probed(void *owner, probe_result_t result, unsigned status)
{
    int64_t             now;
    checker_t          *c;
    checked_address_t  *a = owner;

    c = a->upstream->checker;
    now = checker_now();
    a->probe = NULL;

    if (result == PROBE_NOTHING) {
        checker_trouble(c, now);
        schedule_again(c->schedule, &a->item, now);

    } else {
        schedule_done(c->schedule, &a->item, now);

        if (checker_tells(a, result, status)) {
            a->result = result;
            a->status = status;
            checker_queue(c, a);
        }
    }

    checker_run(c);
}


/* what nginx knows already is not told: most of what is well says nothing */
static unsigned
checker_tells(const checked_address_t *a, probe_result_t result,
    unsigned status)
{
    const kong_checks_t  *checks;

    checks = &a->upstream->settings->checks;

    if (result == PROBE_SUCCESS
        || (result == PROBE_STATUS && kong_status_in(&checks->healthy,
                                                     status)))
    {
        return a->state != CHECKED_HEALTHY && checks->successes != 0;
    }

    if (a->state == CHECKED_UNHEALTHY) {
        return 0;
    }

    switch (result) {

    case PROBE_STATUS:
        return kong_status_in(&checks->unhealthy, status)
               && checks->http_failures != 0;

    case PROBE_HTTP:
        return checks->http_failures != 0;

    case PROBE_TCP:
        return checks->tcp_failures != 0;

    default:
        return checks->timeouts != 0;
    }
}


/* it says nothing of the targets, and is said once as long as it lasts */
static void
checker_trouble(checker_t *c, int64_t now)
{
    if (c->trouble == 0 || now - c->trouble > CHECKER_QUIET) {
        log_write(LOG_WARN, "health checks: some probes cannot be made, for "
                  "want of memory, ports or file descriptors, or because "
                  "this process was held up; they are made later");
    }

    c->trouble = now;
}


int64_t
checker_now(void)
{
    struct timespec  t;

    (void) clock_gettime(CLOCK_MONOTONIC, &t);

    return (int64_t) t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
