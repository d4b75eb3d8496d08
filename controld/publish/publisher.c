/*
 * publisher: the queue of one, the three steps of a pair (files, module,
 * `current`), and the heartbeat.
 *
 * A pair under way is a batch: it is written by the disk's thread, told to
 * the module, and handed to the keeper, which waits for the disk and makes it
 * current.  A pair that is served leaves the way free for the next one before
 * the disk is done.  The heartbeat notices an nginx that came back (a start, a
 * crash) and makes sure that it serves the newest pair.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <event2/http.h>

#include "../log.h"
#include "keeper.h"
#include "publisher.h"


#define PUBLISHER_TIMEOUT    10000     /* ms: mapping and checking a segment */
#define PUBLISHER_RETRY      50        /* ms, doubled up to the next */
#define PUBLISHER_RETRY_MAX  1000
#define PUBLISHER_BEAT       1         /* s */
#define PUBLISHER_BEAT_TIMEOUT  5000
#define PUBLISHER_MESSAGE    512       /* bytes, three times that encoded */


typedef struct waiter_s  waiter_t;

struct waiter_s {
    publish_done_pt   done;
    void             *data;
    unsigned          early;           /* served is enough */
    waiter_t         *next;
};

typedef struct {
    uint32_t        config;
    uint32_t        endpoints;
    segment_buf_t   c;                 /* data NULL: as it is */
    segment_buf_t   e;
    waiter_t       *waiters;
    waiter_t      **last;
    uint32_t        staged_config;     /* 0: `current` is not staged */
    uint32_t        staged_endpoints;
} batch_t;

/* a batch on its way to the disk for good */
typedef struct {
    keep_t          keep;
    publisher_t    *publisher;
    waiter_t       *waiters;
    publish_rc_t    rc;
    unsigned        new_config:1;      /* its file belongs to this pair */
    unsigned        new_endpoints:1;
} kept_t;

typedef enum {
    PUBLISHER_IDLE = 0,
    PUBLISHER_WRITING,
    PUBLISHER_TELLING,
    PUBLISHER_WAITING,                 /* nginx hangs: again in a moment */
    PUBLISHER_FINISHING                /* refused, or without nginx */
} publisher_step_t;

struct publisher_s {
    store_t            *store;
    offload_t          *disk;
    keeper_t           *keeper;
    control_t          *control;
    struct event       *beat;
    struct event       *retry;
    struct event       *kick;

    publisher_step_t    step;
    batch_t             now;
    batch_t             next;
    kept_t             *kept;          /* for the batch under way */
    unsigned            has_next:1;
    unsigned            stopped:1;
    unsigned            beating:1;
    unsigned            again:1;       /* beat once more when it is back */
    unsigned            alive:1;       /* the last beat was answered */
    unsigned            told:1;        /* the current pair is served */
    unsigned            hinted:1;      /* the log knows of the hanging */
    unsigned            sourced:1;     /* a file or a database is the source */
    void              (*adopted)(void *data);
    void               *adopted_data;
    unsigned            delay;

    /* the disk's thread writes these between run and done only */
    offload_job_t       job;
    publish_rc_t        rc;
    char                err[512];

    uint32_t            config;        /* served, or current */
    uint32_t            endpoints;

    char               *state;         /* the heartbeat's query */
};


static int publisher_wait_for(batch_t *b, publish_done_pt done, void *data);
static void publisher_kick(evutil_socket_t fd, short what, void *data);
static void publisher_begin(publisher_t *p);
static void publisher_write(void *data);
static int publisher_write_pair(publisher_t *p, const char **err);
static void publisher_written(void *data);
static void publisher_tell(publisher_t *p);
static void publisher_told(void *data, int status, const char *body,
    size_t len);
static void publisher_wait(publisher_t *p, int status);
static void publisher_retry(evutil_socket_t fd, short what, void *data);
static void publisher_commit(publisher_t *p, publish_rc_t rc);
static void publisher_leave(publisher_t *p, kept_t *k);
static void publisher_kept(keep_t *keep, int rc, const char *err);
static void publisher_discard(void *data);
static void publisher_remove(publisher_t *p, uint32_t config,
    uint32_t endpoints);
static void publisher_finished(void *data);
static void publisher_merge(batch_t *into, batch_t *newer);
static void publisher_clear(batch_t *b);
static void publisher_answer(publisher_t *p);
static void publisher_beat(evutil_socket_t fd, short what, void *data);
static void publisher_send_state(publisher_t *p);
static void publisher_beaten(void *data, int status, const char *body,
    size_t len);
static void publisher_compare(void *data, int status, const char *body,
    size_t len);
static void publisher_database(char *text, size_t size,
    const publisher_state_t *state);
static int publisher_adopt(publisher_t *p, uint32_t config,
    uint32_t endpoints);
static int publisher_has(publisher_t *p, kong_segment_kind_t kind,
    uint32_t generation);
static void publisher_retold(void *data, int status, const char *body,
    size_t len);
static void publisher_reason(publisher_t *p, const char *body);
static uint32_t publisher_member(const char *body, const char *name);
static void publisher_job(publisher_t *p, void (*run)(void *),
    void (*done)(void *));


publisher_t *
publisher_new(struct event_base *base, store_t *store,
    const publisher_threads_t *threads, control_t *control)
{
    publisher_t     *p;
    struct timeval   tv;

    p = calloc(1, sizeof(publisher_t));
    if (p == NULL) {
        return NULL;
    }

    p->store = store;
    p->disk = threads->disk;
    p->keeper = keeper_new(store, threads->keep);
    p->control = control;
    p->now.last = &p->now.waiters;
    p->next.last = &p->next.waiters;

    p->beat = event_new(base, -1, EV_PERSIST, publisher_beat, p);
    p->retry = evtimer_new(base, publisher_retry, p);
    p->kick = evtimer_new(base, publisher_kick, p);

    tv.tv_sec = PUBLISHER_BEAT;
    tv.tv_usec = 0;

    if (p->beat == NULL || p->retry == NULL || p->kick == NULL
        || p->keeper == NULL || event_add(p->beat, &tv) == -1)
    {
        publisher_free(p);
        return NULL;
    }

    store_current(store, &p->config, &p->endpoints);

    return p;
}


void
publisher_stop(publisher_t *p)
{
    p->stopped = 1;

    (void) event_del(p->beat);
    (void) event_del(p->retry);
    (void) event_del(p->kick);
}


void
publisher_free(publisher_t *p)
{
    if (p == NULL) {
        return;
    }

    if (p->beat != NULL) {
        event_free(p->beat);
    }

    if (p->retry != NULL) {
        event_free(p->retry);
    }

    if (p->kick != NULL) {
        event_free(p->kick);
    }

    publisher_clear(&p->now);
    publisher_clear(&p->next);
    keeper_free(p->keeper);
    free(p->kept);
    free(p->state);
    free(p);
}


int
publisher_submit(publisher_t *p, uint32_t config, segment_buf_t *c,
    uint32_t endpoints, segment_buf_t *e, publish_done_pt done, void *data)
{
    batch_t  b;

    memset(&b, 0, sizeof(batch_t));
    b.last = &b.waiters;

    if (done != NULL && publisher_wait_for(&b, done, data) == -1) {
        return -1;
    }

    if (c != NULL) {
        b.config = config;
        b.c = *c;
        c->data = NULL;
    }

    if (e != NULL) {
        b.endpoints = endpoints;
        b.e = *e;
        e->data = NULL;
    }

    publisher_merge(&p->next, &b);
    p->has_next = 1;

    /* from the loop, so that a caller never sees done() inside its call */
    event_active(p->kick, EV_TIMEOUT, 0);

    return 0;
}


int
publisher_submit_early(publisher_t *p, uint32_t config, segment_buf_t *c,
    uint32_t endpoints, segment_buf_t *e, publish_done_pt done, void *data)
{
    waiter_t **last;

    last = p->next.last;

    if (publisher_submit(p, config, c, endpoints, e, done, data) == -1) {
        return -1;
    }

    if (*last != NULL) {
        (*last)->early = 1;
    }

    return 0;
}


static int
publisher_wait_for(batch_t *b, publish_done_pt done, void *data)
{
    waiter_t  *w;

    w = calloc(1, sizeof(waiter_t));
    if (w == NULL) {
        return -1;
    }

    w->done = done;
    w->data = data;
    b->waiters = w;
    b->last = &w->next;

    return 0;
}


void
publisher_current(publisher_t *p, uint32_t *config, uint32_t *endpoints)
{
    *config = p->config;
    *endpoints = p->endpoints;
}


int
publisher_served(publisher_t *p)
{
    return p->told;
}


void
publisher_on_adopt(publisher_t *p, void (*adopted)(void *data), void *data)
{
    p->adopted = adopted;
    p->adopted_data = data;
}


void
publisher_state(publisher_t *p, const publisher_state_t *state)
{
    char    *message, *text;
    size_t   size;

    p->sourced = (strcmp(state->source, "off") != 0);

    /* long error texts are cut: a request line has its limit */
    text = strndup(state->message, PUBLISHER_MESSAGE);
    message = (text == NULL) ? NULL : evhttp_encode_uri(text);
    free(text);

    if (message == NULL) {
        return;
    }

    size = strlen(message) + 512;
    text = malloc(size);

    if (text != NULL) {
        (void) snprintf(text, size, "/state?pid=%ld&source=%s&ok=%u"
                        "&message=%s&hash=%.32s&since=%.0f&database=%u"
                        "&reachable=%u",
                        (long) getpid(), state->source, state->ok, message,
                        state->hash, state->since, state->database,
                        state->reachable);

        if (state->database) {
            publisher_database(text, size, state);
        }

        free(p->state);
        p->state = text;
    }

    free(message);

    publisher_send_state(p);
}


/* the host's name is a setting's: nothing that a query minds is in it */
static void
publisher_database(char *text, size_t size, const publisher_state_t *state)
{
    size_t  len;

    len = strlen(text);

    if (strcspn(state->host, " &?#%+\t\r\n") == strlen(state->host)) {
        (void) snprintf(text + len, size - len, "&host=%.127s&role=%s",
                        state->host, state->role);
        len = strlen(text);
    }

    (void) snprintf(text + len, size - len, "&changed=%.0f&timeline=%" PRIu64
                    "&version=%" PRId64 "&aside=%zu", state->changed,
                    state->timeline, state->version < 0 ? 0 : state->version,
                    state->aside);
}


static void
publisher_kick(evutil_socket_t fd, short what, void *data)
{
    publisher_t *p = data;

    (void) fd;
    (void) what;

    if (p->stopped || !p->has_next) {
        return;
    }

    if (p->step == PUBLISHER_WAITING) {
        /* the pair that nginx has not taken yet goes out with this one */
        (void) event_del(p->retry);
        p->step = PUBLISHER_IDLE;
    }

    if (p->step == PUBLISHER_IDLE) {
        publisher_begin(p);
    }
}


static void
publisher_begin(publisher_t *p)
{
    publisher_merge(&p->now, &p->next);
    p->has_next = 0;

    if (p->now.config == 0) {
        p->now.config = p->config;
    }

    if (p->now.endpoints == 0) {
        p->now.endpoints = p->endpoints;
    }

    if (p->kept == NULL) {
        p->kept = calloc(1, sizeof(kept_t));
    }

    p->delay = PUBLISHER_RETRY;
    p->hinted = 0;
    p->step = PUBLISHER_WRITING;
    publisher_job(p, publisher_write, publisher_written);
}


static void
publisher_write(void *data)
{
    const char   *err;
    publisher_t  *p = data;

    p->rc = PUBLISH_SERVED;

    if (publisher_write_pair(p, &err) == -1) {
        p->rc = PUBLISH_FAILED;
        (void) snprintf(p->err, sizeof(p->err), "%s", err);
        publisher_discard(p);
    }
}


static int
publisher_write_pair(publisher_t *p, const char **err)
{
    batch_t  *b;

    b = &p->now;

    if (p->kept == NULL) {
        *err = "out of memory";
        return -1;
    }

    if (b->config == 0 || b->endpoints == 0) {
        *err = "a pair needs both a configuration and its endpoints";
        return -1;
    }

    if (b->c.data != NULL
        && store_write(p->store, KONG_SEGMENT_CONFIG, b->config, &b->c, err)
           == -1)
    {
        return -1;
    }

    if (b->e.data != NULL
        && store_write(p->store, KONG_SEGMENT_ENDPOINTS, b->endpoints, &b->e,
                       err)
           == -1)
    {
        return -1;
    }

    /* a pair that nginx has not taken, and that grew into this one */
    if (b->staged_config != 0) {
        store_unstage_current(p->store, b->staged_config,
                              b->staged_endpoints);
    }

    b->staged_config = b->config;
    b->staged_endpoints = b->endpoints;

    return store_stage_current(p->store, b->config, b->endpoints, err);
}


static void
publisher_written(void *data)
{
    publisher_t *p = data;

    if (p->stopped) {
        return;
    }

    if (p->rc != PUBLISH_SERVED) {
        publisher_answer(p);
        return;
    }

    publisher_tell(p);
}


static void
publisher_tell(publisher_t *p)
{
    char  target[96];

    p->step = PUBLISHER_TELLING;

    (void) snprintf(target, sizeof(target),
                    "/publish?config=%" PRIu32 "&endpoints=%" PRIu32,
                    p->now.config, p->now.endpoints);

    if (control_request(p->control, "POST", target, PUBLISHER_TIMEOUT,
                        publisher_told, p)
        == -1)
    {
        publisher_wait(p, CONTROL_BROKEN);
    }
}


static void
publisher_told(void *data, int status, const char *body, size_t len)
{
    publisher_t *p = data;

    (void) len;

    if (status == 200) {
        publisher_commit(p, PUBLISH_SERVED);
        return;
    }

    if (status == CONTROL_ABSENT) {
        publisher_commit(p, PUBLISH_STORED);
        return;
    }

    if (status == 422) {
        publisher_reason(p, body);
        p->rc = PUBLISH_REFUSED;
        p->step = PUBLISHER_FINISHING;
        publisher_job(p, publisher_discard, publisher_finished);
        return;
    }

    publisher_wait(p, status);
}


/* whether the workers took the pair is unknown: telling again is harmless */
static void
publisher_wait(publisher_t *p, int status)
{
    struct timeval  tv;

    if (!p->hinted) {
        p->hinted = 1;

        if (status > 0) {
            log_write(LOG_ERR, "publishing configuration %" PRIu32 ": nginx "
                      "answered %d, trying again", p->now.config, status);
        } else {
            log_write(LOG_WARN, "publishing configuration %" PRIu32 ": nginx "
                      "does not answer, trying again", p->now.config);
        }
    }

    p->step = PUBLISHER_WAITING;

    if (p->has_next) {
        publisher_kick(-1, 0, p);
        return;
    }

    tv.tv_sec = p->delay / 1000;
    tv.tv_usec = p->delay % 1000 * 1000;

    p->delay *= 2;
    if (p->delay > PUBLISHER_RETRY_MAX) {
        p->delay = PUBLISHER_RETRY_MAX;
    }

    (void) evtimer_add(p->retry, &tv);
}


static void
publisher_retry(evutil_socket_t fd, short what, void *data)
{
    (void) fd;
    (void) what;

    publisher_tell(data);
}


/*
 * What is served needs no disk: those who wait for no more hear it now, and
 * the next pair may follow.  Without nginx a pair is nothing before it is on
 * the disk.
 */
static void
publisher_commit(publisher_t *p, publish_rc_t rc)
{
    kept_t  *k;

    k = p->kept;
    p->kept = NULL;
    p->rc = rc;

    k->publisher = p;
    k->rc = rc;
    k->new_config = (p->now.c.data != NULL);
    k->new_endpoints = (p->now.e.data != NULL);
    k->keep.config = p->now.config;
    k->keep.endpoints = p->now.endpoints;
    k->keep.done = publisher_kept;

    if (rc == PUBLISH_SERVED) {
        p->config = p->now.config;
        p->endpoints = p->now.endpoints;
        p->told = 1;
    }

    publisher_leave(p, k);
    p->step = PUBLISHER_FINISHING;
    keeper_keep(p->keeper, &k->keep);

    if (rc == PUBLISH_SERVED) {
        publisher_answer(p);
    }
}


/* waiters for the disk go with the pair */
static void
publisher_leave(publisher_t *p, kept_t *k)
{
    waiter_t  *w, **from, **to;

    from = &p->now.waiters;
    to = &k->waiters;

    while ((w = *from) != NULL) {

        if (w->early && k->rc == PUBLISH_SERVED) {
            from = &w->next;
            continue;
        }

        *from = w->next;
        *to = w;
        to = &w->next;
    }

    *to = NULL;
    p->now.last = from;
}


static void
publisher_kept(keep_t *keep, int rc, const char *err)
{
    kept_t        *k;
    waiter_t      *w;
    publisher_t   *p;
    publish_rc_t   outcome;

    k = (kept_t *) keep;
    p = k->publisher;
    outcome = (rc == -1 && k->rc == PUBLISH_STORED) ? PUBLISH_FAILED : k->rc;

    if (rc == -1 && k->rc == PUBLISH_SERVED) {
        /* only a restart of nginx would miss it */
        log_write(LOG_ERR, "configuration %" PRIu32 " is served, but nginx "
                  "would not start on it: %s", keep->config, err);
    }

    if (outcome == PUBLISH_FAILED) {
        publisher_remove(p, k->new_config ? keep->config : 0,
                         k->new_endpoints ? keep->endpoints : 0);

    } else if (outcome == PUBLISH_STORED) {
        p->config = keep->config;
        p->endpoints = keep->endpoints;
        p->told = 0;
    }

    while ((w = k->waiters) != NULL) {
        k->waiters = w->next;

        if (!p->stopped) {
            w->done(w->data, outcome, outcome < 0 ? err : NULL);
        }

        free(w);
    }

    if (k->rc == PUBLISH_STORED && !p->stopped) {
        publisher_answer(p);
    }

    free(k);
}


static void
publisher_discard(void *data)
{
    batch_t      *b;
    publisher_t  *p = data;

    b = &p->now;

    if (b->staged_config != 0) {
        store_unstage_current(p->store, b->staged_config,
                              b->staged_endpoints);
    }

    publisher_remove(p, b->c.data != NULL ? b->config : 0,
                     b->e.data != NULL ? b->endpoints : 0);
}


static void
publisher_remove(publisher_t *p, uint32_t config, uint32_t endpoints)
{
    if (config != 0) {
        (void) store_remove(p->store, KONG_SEGMENT_CONFIG, config);
    }

    if (endpoints != 0) {
        (void) store_remove(p->store, KONG_SEGMENT_ENDPOINTS, endpoints);
    }
}


static void
publisher_finished(void *data)
{
    publisher_t *p = data;

    if (!p->stopped) {
        publisher_answer(p);
    }
}


/* the way is free for the next pair */
static void
publisher_answer(publisher_t *p)
{
    batch_t    done;
    waiter_t  *w;

    done = p->now;
    memset(&p->now, 0, sizeof(batch_t));
    p->now.last = &p->now.waiters;
    p->step = PUBLISHER_IDLE;

    for (w = done.waiters; w != NULL; w = w->next) {
        w->done(w->data, p->rc, p->rc < 0 ? p->err : NULL);
    }

    publisher_clear(&done);

    if (p->has_next) {
        publisher_kick(-1, 0, p);
    }
}


/* `newer` is emptied */
static void
publisher_merge(batch_t *into, batch_t *newer)
{
    if (newer->c.data != NULL) {
        segment_buf_release(&into->c);
        into->c = newer->c;
        into->config = newer->config;
    }

    if (newer->e.data != NULL) {
        segment_buf_release(&into->e);
        into->e = newer->e;
        into->endpoints = newer->endpoints;
    }

    if (newer->waiters != NULL) {
        *into->last = newer->waiters;
        into->last = newer->last;
    }

    memset(newer, 0, sizeof(batch_t));
    newer->last = &newer->waiters;
}


static void
publisher_clear(batch_t *b)
{
    waiter_t  *w;

    while ((w = b->waiters) != NULL) {
        b->waiters = w->next;
        free(w);
    }

    segment_buf_release(&b->c);
    segment_buf_release(&b->e);
    memset(b, 0, sizeof(batch_t));
    b->last = &b->waiters;
}


static void
publisher_beat(evutil_socket_t fd, short what, void *data)
{
    (void) fd;
    (void) what;

    publisher_send_state(data);
}


static void
publisher_send_state(publisher_t *p)
{
    if (p->state == NULL || p->stopped) {
        return;
    }

    if (p->beating) {
        p->again = 1;
        return;
    }

    if (control_request(p->control, "POST", p->state, PUBLISHER_BEAT_TIMEOUT,
                        publisher_beaten, p)
        == 0)
    {
        p->beating = 1;
    }
}


static void
publisher_beaten(void *data, int status, const char *body, size_t len)
{
    publisher_t *p = data;

    (void) body;
    (void) len;

    p->beating = 0;

    if (status < 200 || status > 299) {
        p->alive = 0;
        p->again = 0;
        return;
    }

    if (!p->alive || !p->told) {
        p->alive = 1;

        /* an nginx that is new to us: does it serve what it should? */
        if (p->step == PUBLISHER_IDLE && p->config != 0) {
            (void) control_request(p->control, "GET", "/state",
                                   PUBLISHER_BEAT_TIMEOUT,
                                   publisher_compare, p);
        }
    }

    if (p->again) {
        p->again = 0;
        publisher_send_state(p);
    }
}


static void
publisher_compare(void *data, int status, const char *body, size_t len)
{
    char          target[96];
    uint32_t      config, endpoints;
    publisher_t  *p = data;

    (void) len;

    if (status != 200 || p->step != PUBLISHER_IDLE) {
        return;
    }

    config = publisher_member(body, "config");
    endpoints = publisher_member(body, "endpoints");

    if ((config == p->config && endpoints == p->endpoints)
        || publisher_adopt(p, config, endpoints) == 0)
    {
        p->told = 1;
        return;
    }

    (void) snprintf(target, sizeof(target),
                    "/publish?config=%" PRIu32 "&endpoints=%" PRIu32,
                    p->config, p->endpoints);

    (void) control_request(p->control, "POST", target, PUBLISHER_TIMEOUT,
                           publisher_retold, p);
}


/*
 * A daemon that was killed between a publish and `current` leaves nginx with
 * a pair that is newer than ours.  What a source has said is not taken back:
 * its pair becomes the current one, and the source's next reading follows.
 * What was posted without an answer is: nobody was promised it, and its text
 * is not kept.
 */
static int
publisher_adopt(publisher_t *p, uint32_t config, uint32_t endpoints)
{
    kept_t  *k;

    if (!p->sourced
        || (int32_t) (config - p->config) < 0
        || (config == p->config
            && (int32_t) (endpoints - p->endpoints) < 0)
        || publisher_has(p, KONG_SEGMENT_CONFIG, config) == -1
        || publisher_has(p, KONG_SEGMENT_ENDPOINTS, endpoints) == -1)
    {
        return -1;
    }

    k = calloc(1, sizeof(kept_t));
    if (k == NULL) {
        return -1;
    }

    log_write(LOG_NOTICE, "nginx serves configuration %" PRIu32 ", newer than "
              "%" PRIu32 " that a killed daemon noted: it stays", config,
              p->config);

    p->config = config;
    p->endpoints = endpoints;

    k->publisher = p;
    k->rc = PUBLISH_SERVED;
    k->keep.config = config;
    k->keep.endpoints = endpoints;
    k->keep.done = publisher_kept;

    keeper_keep(p->keeper, &k->keep);

    if (p->adopted != NULL) {
        p->adopted(p->adopted_data);
    }

    return 0;
}


static int
publisher_has(publisher_t *p, kong_segment_kind_t kind, uint32_t generation)
{
    const char     *err;
    segment_buf_t   buf;

    if (generation == 0) {
        return (kind == KONG_SEGMENT_ENDPOINTS) ? 0 : -1;
    }

    if (store_read(p->store, kind, generation, &buf, &err) == -1) {
        return -1;
    }

    segment_buf_release(&buf);

    return 0;
}


static void
publisher_retold(void *data, int status, const char *body, size_t len)
{
    publisher_t *p = data;

    (void) len;

    if (p->step != PUBLISHER_IDLE) {
        return;
    }

    if (status == 200) {
        p->told = 1;
        return;
    }

    if (status == 422) {
        /* said once; the next beat of a new nginx asks again */
        p->told = 1;
        publisher_reason(p, body);
        log_write(LOG_ERR, "nginx refused the current configuration "
                  "%" PRIu32 ": %s", p->config, p->err);
    }
}


/* the sentence of a refusal, {"message":"..."} or bare */
static void
publisher_reason(publisher_t *p, const char *body)
{
    size_t       len;
    const char  *text;

    static const char  key[] = "\"message\":\"";

    text = strstr(body, key);

    if (text != NULL) {
        text += sizeof(key) - 1;
        len = strcspn(text, "\"\r\n");

    } else {
        text = body;
        len = strcspn(text, "\r\n");
    }

    (void) snprintf(p->err, sizeof(p->err), "nginx refused it: %.*s",
                    (int) (len < 400 ? len : 400), text);
}


/* {"config":12,"endpoints":3,...}: written by the module, flat */
static uint32_t
publisher_member(const char *body, const char *name)
{
    char         key[32];
    const char  *p;

    (void) snprintf(key, sizeof(key), "\"%s\":", name);

    p = strstr(body, key);
    if (p == NULL) {
        return 0;
    }

    return (uint32_t) strtoul(p + strlen(key), NULL, 10);
}


static void
publisher_job(publisher_t *p, void (*run)(void *), void (*done)(void *))
{
    p->job.run = run;
    p->job.done = done;
    p->job.data = p;

    offload_run(p->disk, &p->job);
}
