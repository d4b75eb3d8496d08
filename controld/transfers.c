/*
 * transfers: see transfers.h.
 */

#include <stdlib.h>

#include "transfers.h"


struct transfers_s {
    struct event_base   *base;
    struct event        *timer;
    CURLM               *multi;
    transfers_done_pt    done;
};


static int transfers_socket(CURL *easy, curl_socket_t fd, int what,
    void *data, void *watched);
static int transfers_timer(CURLM *multi, long timeout_ms, void *data);
static void transfers_event(evutil_socket_t fd, short what, void *data);
static void transfers_timeout(evutil_socket_t fd, short what, void *data);
static void transfers_harvest(transfers_t *t);


transfers_t *
transfers_new(struct event_base *base, long idle, transfers_done_pt done)
{
    transfers_t  *t;

    t = calloc(1, sizeof(transfers_t));
    if (t == NULL) {
        return NULL;
    }

    t->base = base;
    t->done = done;
    t->timer = evtimer_new(base, transfers_timeout, t);
    t->multi = curl_multi_init();

    if (t->timer == NULL || t->multi == NULL) {
        transfers_free(t);
        return NULL;
    }

    curl_multi_setopt(t->multi, CURLMOPT_SOCKETFUNCTION, transfers_socket);
    curl_multi_setopt(t->multi, CURLMOPT_SOCKETDATA, t);
    curl_multi_setopt(t->multi, CURLMOPT_TIMERFUNCTION, transfers_timer);
    curl_multi_setopt(t->multi, CURLMOPT_TIMERDATA, t);
    curl_multi_setopt(t->multi, CURLMOPT_MAXCONNECTS, idle);

    return t;
}


void
transfers_free(transfers_t *t)
{
    if (t == NULL) {
        return;
    }

    if (t->multi != NULL) {
        (void) curl_multi_cleanup(t->multi);
    }

    if (t->timer != NULL) {
        event_free(t->timer);
    }

    free(t);
}


int
transfers_add(transfers_t *t, CURL *easy)
{
    return (curl_multi_add_handle(t->multi, easy) == CURLM_OK) ? 0 : -1;
}


void
transfers_remove(transfers_t *t, CURL *easy)
{
    (void) curl_multi_remove_handle(t->multi, easy);
}


static int
transfers_socket(CURL *easy, curl_socket_t fd, int what, void *data,
    void *watched)
{
    short          events;
    transfers_t   *t = data;
    struct event  *ev = watched;

    (void) easy;

    if (ev != NULL) {
        event_free(ev);
        (void) curl_multi_assign(t->multi, fd, NULL);
    }

    if (what == CURL_POLL_REMOVE) {
        return 0;
    }

    events = EV_PERSIST;
    if (what & CURL_POLL_IN) {
        events |= EV_READ;
    }
    if (what & CURL_POLL_OUT) {
        events |= EV_WRITE;
    }

    ev = event_new(t->base, fd, events, transfers_event, t);
    if (ev == NULL || event_add(ev, NULL) == -1) {
        if (ev != NULL) {
            event_free(ev);
        }
        return -1;
    }

    (void) curl_multi_assign(t->multi, fd, ev);

    return 0;
}


static int
transfers_timer(CURLM *multi, long timeout_ms, void *data)
{
    transfers_t     *t = data;
    struct timeval   tv;

    (void) multi;

    if (timeout_ms < 0) {
        (void) evtimer_del(t->timer);
        return 0;
    }

    tv.tv_sec = timeout_ms / 1000;
    tv.tv_usec = timeout_ms % 1000 * 1000;

    return evtimer_add(t->timer, &tv);
}


static void
transfers_event(evutil_socket_t fd, short what, void *data)
{
    int           mask, running;
    transfers_t  *t = data;

    mask = 0;
    if (what & EV_READ) {
        mask |= CURL_CSELECT_IN;
    }
    if (what & EV_WRITE) {
        mask |= CURL_CSELECT_OUT;
    }

    (void) curl_multi_socket_action(t->multi, fd, mask, &running);
    transfers_harvest(t);
}


static void
transfers_timeout(evutil_socket_t fd, short what, void *data)
{
    int           running;
    transfers_t  *t = data;

    (void) fd;
    (void) what;

    (void) curl_multi_socket_action(t->multi, CURL_SOCKET_TIMEOUT, 0,
                                    &running);
    transfers_harvest(t);
}


static void
transfers_harvest(transfers_t *t)
{
    int        left;
    char      *owner;
    CURL      *easy;
    CURLMsg   *msg;
    CURLcode   rc;

    while ((msg = curl_multi_info_read(t->multi, &left)) != NULL) {

        if (msg->msg != CURLMSG_DONE) {
            continue;
        }

        /* msg dies with the handle's removal */
        rc = msg->data.result;
        easy = msg->easy_handle;
        owner = NULL;
        (void) curl_easy_getinfo(easy, CURLINFO_PRIVATE, &owner);
        transfers_remove(t, easy);

        if (owner != NULL) {
            t->done(owner, rc);
        }
    }
}
