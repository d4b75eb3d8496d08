/*
 * generation: which generation a write is in.  The number of the next one is
 * known before it is made, so that an answer is sent at once, but for the
 * moment that the source needs to see whether what it is reading has the
 * write.  A client that waits has its answer when the generation is served.
 */

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "generation.h"


#define WAITS_NAME   1000                /* ms, to learn the number */
#define WAITS_ASKED  30000               /* ms, when the client waits */
#define WAITS_LOOK   50                  /* ms between looks */


struct waits_s {
    const admin_host_t  *host;
    struct event        *timer;
    admin_request_t     *first;
};


static unsigned waits_asked(admin_request_t *r);
static unsigned waits_over(waits_t *w, admin_request_t *r);
static void waits_look(evutil_socket_t fd, short what, void *data);
static void waits_end(waits_t *w, unsigned all);
static int64_t waits_ms(void);


waits_t *
waits_new(struct event_base *base, const admin_host_t *host)
{
    waits_t  *w;

    w = calloc(1, sizeof(waits_t));
    if (w == NULL) {
        return NULL;
    }

    w->host = host;
    w->timer = evtimer_new(base, waits_look, w);

    if (w->timer == NULL) {
        free(w);
        return NULL;
    }

    return w;
}


void
waits_free(waits_t *w)
{
    if (w == NULL) {
        return;
    }

    waits_end(w, 1);
    event_free(w->timer);
    free(w);
}


int
waits_hold(waits_t *w, admin_request_t *r)
{
    struct timeval  tv;

    if (r->req == NULL || r->version < 0 || w->host->served == NULL) {
        return 0;
    }

    r->waits = waits_asked(r);

    if (waits_over(w, r)) {
        return 0;
    }

    r->until = waits_ms() + (r->waits ? WAITS_ASKED : WAITS_NAME);
    r->next = w->first;
    w->first = r;

    tv.tv_sec = 0;
    tv.tv_usec = WAITS_LOOK * 1000;

    if (!evtimer_pending(w->timer, NULL)) {
        (void) evtimer_add(w->timer, &tv);
    }

    return 1;
}


/* ?wait=true, or RFC 7240's Prefer: wait */
static unsigned
waits_asked(admin_request_t *r)
{
    const char  *p;

    if (admin_arg_true(r, "wait")) {
        return 1;
    }

    p = evhttp_find_header(evhttp_request_get_input_headers(r->req),
                           "Prefer");

    return p != NULL && strncasecmp(p, "wait", 4) == 0
           && (p[4] == '\0' || strchr(" ;,=", p[4]) != NULL);
}


/* what it waits for has come */
static unsigned
waits_over(waits_t *w, admin_request_t *r)
{
    int64_t   version;
    uint32_t  number;

    version = -1;
    number = 0;
    w->host->served(w->host->data, &version, &number);

    if (version >= r->version && number != 0) {
        r->number = number;
        return 1;
    }

    if (r->waits) {
        return 0;
    }

    r->number = w->host->holds(w->host->data, r->version);

    return r->number != 0;
}


void
waits_check(waits_t *w)
{
    waits_end(w, 0);
}


static void
waits_look(evutil_socket_t fd, short what, void *data)
{
    waits_t         *w = data;
    struct timeval   tv;

    (void) fd;
    (void) what;

    waits_end(w, 0);

    if (w->first != NULL) {
        tv.tv_sec = 0;
        tv.tv_usec = WAITS_LOOK * 1000;
        (void) evtimer_add(w->timer, &tv);
    }
}


static void
waits_end(waits_t *w, unsigned all)
{
    int64_t            now;
    admin_request_t  **p, *r;

    now = waits_ms();
    p = &w->first;

    while ((r = *p) != NULL) {

        if (!all && r->req != NULL && now < r->until && !waits_over(w, r)) {
            p = &r->next;
            continue;
        }

        *p = r->next;
        admin_reply(r);
    }
}


static int64_t
waits_ms(void)
{
    struct timespec  t;

    (void) clock_gettime(CLOCK_MONOTONIC, &t);

    return (int64_t) t.tv_sec * 1000 + t.tv_nsec / 1000000;
}


/* GET /generation */
void
generation_handle(admin_request_t *r)
{
    value_t              body, *v;
    int64_t              version;
    uint32_t             number;
    const char          *hash;
    const admin_host_t  *h;

    h = admin_host(r->admin);
    version = -1;
    number = 0;

    if (h->served != NULL) {
        h->served(h->data, &version, &number);
    }

    value_set_object(&body);
    node_string(r, &body, "node_id", node_id(r));
    value_set_number(value_put(r->arena, &body, "generation"), number);

    v = value_put(r->arena, &body, "version");

    if (version >= 0) {
        value_set_number(v, (double) version);
    }

    hash = (r->generation != NULL) ? r->generation->config->hash : "";
    node_string(r, &body, "hash", hash);

    admin_json(r, 200, &body);
}
