/*
 * checker_exchange: POST /probes of nginx's control socket, with results in
 * batches, and the states of targets in its answers.  One exchange is under
 * way at a time.  Without results nginx is asked each half second: then a
 * target that passive checks or an operator have marked is probed as what it
 * is now.
 */

#include <stdio.h>
#include <stdlib.h>

#include "../log.h"
#include "checker_private.h"


#define CHECKER_GATHER   20            /* ms from a result to its exchange */
#define CHECKER_LOOK     500           /* ms between others */
#define CHECKER_RETRY    1000          /* ms while nginx does not answer */
#define CHECKER_TIMEOUT  2000
#define CHECKER_ROUNDS   60            /* so often all states are asked for:
                                          slots that are asked for live on */


static void checker_timer(checker_t *c, long ms);
static void checker_target(checker_t *c, char *out, size_t size);
static const char *checker_word(const checked_address_t *a, char *out,
    size_t size);
static void checker_answered(void *data, int status, const char *body,
    size_t len);
static void checker_lost(checker_t *c, int status);
static void checker_states(checker_t *c, const char *body);


void
checker_queue(checker_t *c, checked_address_t *a)
{
    checker_unqueue(c, a);

    a->next = NULL;
    a->prev = c->last;
    *c->last = a;
    c->last = &a->next;

    if (!c->busy && !c->soon) {
        c->soon = 1;
        checker_timer(c, CHECKER_GATHER);
    }
}


void
checker_unqueue(checker_t *c, checked_address_t *a)
{
    if (a->prev == NULL) {
        return;
    }

    *a->prev = a->next;

    if (a->next != NULL) {
        a->next->prev = a->prev;
    } else {
        c->last = a->prev;
    }

    a->prev = NULL;
}


void
checker_ask(checker_t *c)
{
    c->seen = 0;
    c->stale = c->busy;

    if (!c->busy && c->addresses != NULL) {
        c->soon = 1;
        checker_timer(c, 0);
    }
}


static void
checker_timer(checker_t *c, long ms)
{
    struct timeval  tv;

    tv.tv_sec = ms / 1000;
    tv.tv_usec = ms % 1000 * 1000;

    (void) evtimer_add(c->exchange, &tv);
}


void
checker_exchange(evutil_socket_t fd, short what, void *data)
{
    char        target[CHECKER_TARGET];
    checker_t  *c = data;

    (void) fd;
    (void) what;

    c->soon = 0;

    if (c->addresses == NULL) {
        return;
    }

    checker_target(c, target, sizeof(target));

    if (control_request(c->control, "POST", target, CHECKER_TIMEOUT,
                        checker_answered, c)
        == -1)
    {
        checker_lost(c, CONTROL_BROKEN);
        checker_timer(c, CHECKER_RETRY);
        return;
    }

    c->busy = 1;
}


/* takes as many results from the queue as there is room for */
static void
checker_target(checker_t *c, char *out, size_t size)
{
    int                 n;
    char                word[sizeof("4294967295")], *p;
    checked_address_t  *a;

    if (++c->rounds >= CHECKER_ROUNDS) {
        c->seen = 0;
    }

    n = snprintf(out, size, "/probes?seen=%llu&results=",
                 (unsigned long long) c->seen);
    p = out + n;

    for (c->n_sent = 0; c->n_sent < CHECKER_BATCH; c->n_sent++) {

        a = c->first;

        if (a == NULL) {
            break;
        }

        checker_unqueue(c, a);
        c->sent[c->n_sent] = a->id;

        n = snprintf(p, size - (size_t) (p - out), "%s%016llx.%016llx.%s",
                     c->n_sent != 0 ? "_" : "",
                     (unsigned long long) a->upstream->key,
                     (unsigned long long) a->id,
                     checker_word(a, word, sizeof(word)));
        p += n;
    }
}


static const char *
checker_word(const checked_address_t *a, char *out, size_t size)
{
    switch (a->result) {

    case PROBE_STATUS:
        (void) snprintf(out, size, "%u", a->status);
        return out;

    case PROBE_SUCCESS:
        return "success";

    case PROBE_HTTP:
        return "http";

    case PROBE_TIMEOUT:
        return "timeout";

    default:
        return "tcp";
    }
}


static void
checker_answered(void *data, int status, const char *body, size_t len)
{
    checker_t  *c = data;

    (void) len;

    c->busy = 0;

    if (status != 200) {
        checker_lost(c, status);
        checker_timer(c, CHECKER_RETRY);
        return;
    }

    if (c->silent) {
        c->silent = 0;
        log_write(LOG_NOTICE, "health checks: nginx answers again, targets "
                  "are probed");
    }

    c->told = 1;
    checker_states(c, body);

    if (c->stale) {
        c->stale = 0;
        c->seen = 0;
    }

    c->soon = (c->first != NULL || c->seen == 0);
    checker_timer(c, c->soon ? 0 : CHECKER_LOOK);
    checker_run(c);
}


/* whether nginx has counted them is not known: they are made once more */
static void
checker_lost(checker_t *c, int status)
{
    size_t              i;
    int64_t             now;
    checked_address_t  *a;

    now = checker_now();

    for (i = 0; i < c->n_sent; i++) {

        HASH_FIND(hh, c->addresses, &c->sent[i], sizeof(uint64_t), a);

        if (a != NULL && !a->item.running) {
            schedule_again(c->schedule, &a->item, now);
        }
    }

    c->n_sent = 0;
    c->told = 0;
    c->seen = 0;

    if (!c->silent) {
        c->silent = 1;
        log_write(status == CONTROL_ABSENT ? LOG_NOTICE : LOG_WARN,
                  "health checks: nginx %s, no target is probed until it "
                  "answers", status == CONTROL_ABSENT
                             ? "is not there" : "takes no results");
    }
}


/* the version, and all that is not firmly healthy, unless we have seen it */
static void
checker_states(checker_t *c, const char *body)
{
    char               *end;
    int64_t             now;
    uint64_t            version, id;
    checked_address_t  *a, *next;

    version = strtoull(body, &end, 10);

    if (version == c->seen && version != 0) {
        return;
    }

    while (*end == '\n' && end[1] != '\0') {

        id = strtoull(end + 1, &end, 16);
        HASH_FIND(hh, c->addresses, &id, sizeof(uint64_t), a);
        id = strtoull(end, &end, 10);

        if (a != NULL) {
            a->state = (uint8_t) id;
            a->listed = 1;
        }
    }

    now = checker_now();

    HASH_ITER(hh, c->addresses, a, next) {

        if (!a->listed) {
            a->state = CHECKED_HEALTHY;
        }

        a->listed = 0;
        schedule_turn(c->schedule, &a->item, a->state >= CHECKED_DOWN, now);
    }

    c->seen = version;
    c->rounds = 0;
}
