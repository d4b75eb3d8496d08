/*
 * daemon_apply: the way of a configuration: load (in a thread), resolve what
 * it names (bounded in time), publish with its endpoints, keep its text for
 * the next start.  One is under way at a time; a source that changed
 * meanwhile is read once more afterwards, and one POST /config may wait.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/resource.h>
#include <unistd.h>

#include "log.h"
#include "daemon_private.h"


#define DAEMON_NICE  5                 /* of the loader's thread */


static void daemon_next(daemon_t *d);
static apply_t *daemon_apply_new(daemon_t *d);
static void daemon_begin(apply_t *a);
static void daemon_run_load(void *data);
static void daemon_again(apply_t *a);
static void daemon_run_whole(void *data);
static void daemon_loaded(void *data);
static void daemon_unpublished(apply_t *a);
static void daemon_resolve(apply_t *a);
static void daemon_resolved(void *data);
static void daemon_send(apply_t *a);
static void daemon_published(void *data, publish_rc_t rc, const char *err);
static void daemon_adopt(apply_t *a);
static void daemon_resume(apply_t *a);
static void daemon_finish(apply_t *a, posted_t rc, const char *err);
static void daemon_sent_addresses(void *data, publish_rc_t rc,
    const char *err);
static void daemon_settle(daemon_t *d, unsigned ms);


/*
 * What `current` names, from the text that was kept beside it: its ids are
 * those that nginx serves, which reading the source again would not give.  A
 * segment that is damaged is made anew from the text.
 */
void
daemon_restore(daemon_t *d)
{
    char           *text;
    size_t          len;
    load_t         *l;
    apply_t        *a;
    uint32_t        config, endpoints;
    char            hash[33];

    store_current(d->store, &config, &endpoints);
    if (config == 0) {
        return;
    }

    text = store_read_source(d->store, config, &len);
    if (text == NULL) {
        return;
    }

    a = daemon_apply_new(d);
    if (a == NULL) {
        free(text);
        return;
    }

    l = a->load;
    l->text = arena_strndup(l->arena, text, len);
    l->len = len;
    l->syntax = DECLARATIVE_ANY;
    free(text);

    if (daemon_segment_hash(d->store, config, hash) == 0) {
        a->restore = 1;
        l->kept = 1;
        l->path = daemon_path(l, d->conf);
        l->compile = 0;
        l->number = config;
        l->as_hash = arena_strndup(l->arena, hash, strlen(hash));

    } else if (d->source != NULL) {
        /* the text does not tell what is closed: the database does */
        log_write(LOG_WARN, "segment %u is damaged", config);
        daemon_apply_free(a);
        return;

    } else {
        log_write(LOG_WARN, "segment %u is damaged and is made again from "
                  "its text", config);
    }

    daemon_begin(a);
}


int
daemon_segment_hash(store_t *store, uint32_t config, char hash[33])
{
    int              rc;
    const char      *err;
    segment_buf_t    buf;
    kong_segment_t   seg;

    memset(&buf, 0, sizeof(buf));
    rc = -1;

    if (store_read(store, KONG_SEGMENT_CONFIG, config, &buf, &err) == 0
        && kong_segment_open(&seg, buf.data, buf.size, KONG_SEGMENT_CONFIG,
                             KONG_SEGMENT_VERIFY)
           == KONG_SEGMENT_OK)
    {
        (void) snprintf(hash, 33, "%.*s",
                        (int) sizeof(seg.header->source_hash),
                        seg.header->source_hash);
        rc = 0;
    }

    free(buf.data);

    return rc;
}


void
daemon_want(daemon_t *d, unsigned forced)
{
    d->wanted = 1;

    if (forced) {
        d->forced = 1;
    }

    daemon_next(d);
}


int
daemon_post(void *data, load_t *load, admin_posted_pt posted, void *user)
{
    apply_t   *a;
    daemon_t  *d = data;

    if (d->post != NULL || d->stopping
        || (d->apply != NULL && d->apply->posted != NULL))
    {
        return -1;
    }

    a = calloc(1, sizeof(apply_t));
    if (a == NULL) {
        return -1;
    }

    a->daemon = d;
    a->load = load;
    a->posted = posted;
    a->data = user;

    daemon_load_opts(load, d->conf, d->plugins);

    d->post = a;
    daemon_next(d);

    return 0;
}


static void
daemon_next(daemon_t *d)
{
    apply_t  *a;

    if (d->apply != NULL || d->stopping) {
        return;
    }

    if (d->post != NULL) {
        a = d->post;
        d->post = NULL;
        daemon_begin(a);
        return;
    }

    if (!d->wanted
        || (d->source != NULL) != (daemon_is_database(d->conf) != 0))
    {
        return;
    }

    d->wanted = 0;

    a = daemon_apply_new(d);
    if (a == NULL) {
        daemon_report(d, 0, "out of memory");
        return;
    }

    a->source = 1;

    if (d->source == NULL) {
        daemon_load_source(d->conf, a->load);

    } else if (daemon_source_take(d, a) == -1) {
        daemon_apply_free(a);
        return;
    }

    if (d->active != NULL && !d->forced) {
        (void) snprintf(a->load->known, sizeof(a->load->known), "%s",
                        d->active->config->hash);

        a->before = d->active;
        generation_get(a->before);
        a->load->before = a->before;
    }

    daemon_source_resume(d, a);
    d->forced = 0;
    daemon_begin(a);

    /* its number is known now */
    admin_served(d->admin);
}


static apply_t *
daemon_apply_new(daemon_t *d)
{
    apply_t  *a;

    a = calloc(1, sizeof(apply_t));
    if (a == NULL) {
        return NULL;
    }

    a->load = load_new();
    if (a->load == NULL) {
        free(a);
        return NULL;
    }

    a->daemon = d;
    daemon_load_opts(a->load, d->conf, d->plugins);

    return a;
}


static void
daemon_begin(apply_t *a)
{
    daemon_t  *d;

    d = a->daemon;
    d->apply = a;

    if (!a->restore) {
        a->load->number = store_next(d->store, KONG_SEGMENT_CONFIG);
    }

    a->job.run = daemon_run_load;
    a->job.done = daemon_loaded;
    a->job.data = a;

    offload_run(d->loader, &a->job);
}


static void
daemon_run_load(void *data)
{
    apply_t  *a = data;

    /* traffic goes first where CPUs are short.  This is of the thread alone,
     * which runs nothing else; said again each time, since it is cheap */

    (void) setpriority(PRIO_PROCESS, (id_t) gettid(), DAEMON_NICE);

    load_run(a->load);
}


static void
daemon_loaded(void *data)
{
    apply_t   *a = data;
    load_t    *l;
    daemon_t  *d;

    l = a->load;
    d = a->daemon;

    if (d->stopping) {
        return;
    }

    if (a->posted != NULL && l->rc == LOAD_UNCHANGED) {
        daemon_finish(a, POSTED_UNCHANGED, NULL);
        return;
    }

    if (l->rc != LOAD_OK) {
        daemon_unpublished(a);
        return;
    }

    if (l->resumed) {
        a->restore = 1;
        l->generation->number = a->resume;
    }

    daemon_resolve(a);
}


static void
daemon_unpublished(apply_t *a)
{
    load_t    *l;
    daemon_t  *d;

    l = a->load;
    d = a->daemon;

    if (l->rc == LOAD_UNCHANGED) {
        daemon_report(d, 1, "");

    } else if (a->restore) {
        log_write(LOG_WARN, "the text kept of the current configuration "
                  "cannot be used: %s", l->first);

    } else if (a->source) {
        daemon_log_errors(daemon_source(d->conf), l->report);
        daemon_report(d, 0, l->errors.count > 1
                      ? arena_printf(l->arena, "%s (the first of %u errors)",
                                     l->first, l->errors.count)
                      : l->first);
    }

    daemon_finish(a, POSTED_INVALID, l->first);
}


static void
daemon_resolve(apply_t *a)
{
    size_t     n;
    daemon_t  *d;

    d = a->daemon;
    a->set = daemon_set(a->load->arena, d->dns, a->load->generation, &n);

    if (a->set == NULL) {
        daemon_finish(a, POSTED_FAILED, "out of memory");
        return;
    }

    if (a->restore) {
        daemon_adopt(a);
        return;
    }

    if (n == 0) {
        daemon_send(a);
        return;
    }

    if (dns_set_resolve(a->set, DAEMON_RESOLVE, daemon_resolved, a) == -1) {
        daemon_finish(a, POSTED_FAILED, "out of memory");
    }
}


static void
daemon_resolved(void *data)
{
    daemon_send(data);
}


static void
daemon_send(apply_t *a)
{
    int                  rc;
    daemon_t            *d;
    uint32_t             config, endpoints;
    const char          *err;
    segment_buf_t        buf, *e;

    d = a->daemon;
    e = NULL;

    a->sum = daemon_sum(a->load->arena, a->set);

    publisher_current(d->publisher, &config, &endpoints);

    if (a->sum != d->sum || endpoints == 0) {
        endpoints = store_next(d->store, KONG_SEGMENT_ENDPOINTS);

        if (daemon_endpoints(a->load->arena, a->set, endpoints, &buf, &err)
            == -1)
        {
            daemon_finish(a, POSTED_FAILED, err);
            return;
        }

        e = &buf;
    }

    /* the file is there whatever happens; a body that was posted is safe
     * before its sender hears of it */
    if (a->posted == NULL) {
        rc = publisher_submit_early(d->publisher, a->load->number,
                                    &a->load->segment, endpoints, e,
                                    daemon_published, a);
    } else {
        rc = publisher_submit(d->publisher, a->load->number,
                              &a->load->segment, endpoints, e,
                              daemon_published, a);
    }

    if (rc == -1) {
        segment_buf_release(e != NULL ? &buf : NULL);
        daemon_finish(a, POSTED_FAILED, "out of memory");
        return;
    }

    /* from here on changes of addresses are those of the new names */
    a->sent = 1;
    a->old_set = d->set;
    a->old_sum = d->sum;
    d->set = a->set;
    d->sum = a->sum;
    a->set = NULL;
}


static void
daemon_published(void *data, publish_rc_t rc, const char *err)
{
    apply_t   *a = data;
    daemon_t  *d;

    d = a->daemon;

    if (rc < 0) {
        a->set = d->set;
        d->set = a->old_set;
        a->old_set = NULL;

        /* what came meanwhile went out with the other names, or not at all */
        d->sum = 0;
        daemon_settle(d, DAEMON_SETTLE);

        log_write(LOG_ERR, "configuration %u is not published: %s",
                  a->load->number, err);

        if (rc == PUBLISH_REFUSED && load_is_change(a->load)) {
            daemon_again(a);
            return;
        }

        if (a->source) {
            daemon_report(d, 0, err);
        }

        daemon_finish(a, rc == PUBLISH_REFUSED ? POSTED_REFUSED
                                               : POSTED_FAILED, err);
        return;
    }

    dns_set_free(a->old_set);
    a->old_set = NULL;

    log_write(LOG_NOTICE, "configuration %u (%s) is %s", a->load->number,
              a->load->generation->config->hash,
              rc == PUBLISH_SERVED ? "served"
                                   : "stored; there is no nginx to serve it");

    daemon_adopt(a);
}


/* the fault may be in how a segment is made of the one before it: then what
 * is made of everything has none.  It bears the number that was promised;
 * nginx holds nothing of what it refused */
static void
daemon_again(apply_t *a)
{
    daemon_t  *d;

    d = a->daemon;
    dns_set_free(a->set);
    a->set = NULL;
    a->sent = 0;

    log_write(LOG_WARN, "configuration %u was made of a change: all is "
              "compiled", a->load->number);

    a->job.run = daemon_run_whole;
    offload_run(d->loader, &a->job);
}


static void
daemon_run_whole(void *data)
{
    apply_t  *a = data;

    load_run_whole(a->load);
}


static void
daemon_adopt(apply_t *a)
{
    daemon_t  *d;

    d = a->daemon;

    generation_put(d->active);
    d->active = a->load->generation;
    generation_get(d->active);
    d->restored = (a->restore && !a->source);
    counters_watch(d->counters, d->active->config);

    if (a->restore) {
        daemon_resume(a);
        return;
    }

    daemon_check(d);
    daemon_source_aside(d, a->load);

    if (a->source) {
        daemon_report(d, 1, "");
    } else {
        daemon_report(d, d->ok, d->message);
    }

    (void) evtimer_del(d->quiet);

    if (a->posted == NULL) {
        daemon_keep_soon(d);
        daemon_finish(a, POSTED_OK, NULL);

    } else if (daemon_keep(d, a) == -1) {
        daemon_finish(a, POSTED_OK, NULL);
    }
}


void
daemon_kept(apply_t *a)
{
    if (!a->daemon->stopping) {
        daemon_finish(a, POSTED_OK, NULL);
    }
}


/* nothing is published: nginx has the pair, or will start on it */
static void
daemon_resume(apply_t *a)
{
    daemon_t            *d;
    uint32_t             config, endpoints;

    d = a->daemon;
    dns_set_free(d->set);
    d->set = a->set;
    a->set = NULL;

    publisher_current(d->publisher, &config, &endpoints);
    daemon_seed(d->dns, d->store, endpoints);

    d->sum = daemon_sum(a->load->arena, d->set);
    daemon_check(d);

    if (dns_set_size(d->set) != 0) {
        (void) dns_set_resolve(d->set, DAEMON_RESOLVE, daemon_addresses, d);
    }

    log_write(LOG_NOTICE, "configuration %u (%s) goes on", config,
              d->active->config->hash);

    daemon_source_aside(d, a->load);

    if (a->source) {
        daemon_report(d, 1, "");

        if (!store_has_source(d->store, config)) {
            daemon_keep_soon(d);
        }

    } else {
        daemon_report(d, d->ok, d->message);
    }

    daemon_finish(a, POSTED_OK, NULL);
}


static void
daemon_finish(apply_t *a, posted_t rc, const char *err)
{
    daemon_t  *d;

    d = a->daemon;
    d->apply = NULL;

    if (a->source && d->source != NULL) {
        daemon_source_done(d, a, rc == POSTED_OK);
    }

    if (a->posted != NULL) {
        a->posted(a->data, rc, a->load, err);
        a->posted = NULL;
    }

    daemon_apply_free(a);
    daemon_next(d);
}


void
daemon_apply_free(apply_t *a)
{
    if (a == NULL) {
        return;
    }

    if (a->posted != NULL) {
        a->posted(a->data, POSTED_FAILED, a->load, "the daemon is stopping");
    }

    dns_set_free(a->set);
    dns_set_free(a->old_set);
    generation_put(a->before);
    load_free(a->load);
    free(a);
}


/* some address has changed; others are likely to follow in a moment */
void
daemon_addresses(void *data)
{
    daemon_settle(data, DAEMON_SETTLE);
}


static void
daemon_settle(daemon_t *d, unsigned ms)
{
    struct timeval  tv;

    if (d->stopping || d->settle == NULL
        || evtimer_pending(d->settle, NULL))
    {
        return;
    }

    tv.tv_sec = ms / 1000;
    tv.tv_usec = ms % 1000 * 1000;

    (void) evtimer_add(d->settle, &tv);
}


void
daemon_settled(evutil_socket_t fd, short what, void *data)
{
    arena_t             *arena;
    daemon_t            *d = data;
    uint64_t             sum;
    uint32_t             generation;
    const char          *err;
    segment_buf_t        buf;

    (void) fd;
    (void) what;

    if (d->set == NULL) {
        return;
    }

    arena = arena_new();
    sum = daemon_sum(arena, d->set);

    if (sum == d->sum) {
        arena_free(arena);
        return;
    }

    generation = store_next(d->store, KONG_SEGMENT_ENDPOINTS);

    if (daemon_endpoints(arena, d->set, generation, &buf, &err) == -1) {
        log_write(LOG_ERR, "addresses are not published: %s", err);
        arena_free(arena);
        daemon_settle(d, DAEMON_RETRY);
        return;
    }

    if (publisher_submit(d->publisher, 0, NULL, generation, &buf,
                         daemon_sent_addresses, d)
        == -1)
    {
        segment_buf_release(&buf);
        daemon_settle(d, DAEMON_RETRY);

    } else {
        d->sum = sum;
    }

    arena_free(arena);
}


static void
daemon_sent_addresses(void *data, publish_rc_t rc, const char *err)
{
    daemon_t  *d = data;

    if (rc < 0) {
        log_write(LOG_ERR, "addresses are not published: %s", err);
        d->sum = 0;
        daemon_settle(d, DAEMON_RETRY);
        return;
    }

    daemon_check(d);
}


/* the state of the source, as /status, the log and `kong health` show it */
void
daemon_report(daemon_t *d, unsigned ok, const char *message)
{
    char               *copy;
    publisher_state_t   state;

    if (ok != d->ok || d->since == 0) {
        d->since = daemon_time();
    }

    copy = strdup(message != NULL ? message : "");
    if (copy != NULL) {
        free(d->message);
        d->message = copy;
    }

    d->ok = ok;

    state.source = daemon_has_source(d->conf) ? "file" : "off";
    state.ok = ok;
    state.message = d->message != NULL ? d->message : "";
    state.hash = d->active != NULL ? d->active->config->hash : "";
    state.since = d->since;

    daemon_source_state(d, &state);
    publisher_state(d->publisher, &state);
}
