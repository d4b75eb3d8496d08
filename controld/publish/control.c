/*
 * control: libcurl tells which sockets to watch and when to call again; the
 * loop does both.  Answers are small; a long one is cut off as broken.
 */

#include <stdlib.h>
#include <string.h>
#include <curl/curl.h>

#include "control.h"


#define CONTROL_BODY_MAX  (16 * 1024 * 1024)


typedef struct control_request_s  control_request_t;

struct control_request_s {
    CURL               *easy;
    control_t          *control;
    control_done_pt     done;
    void               *data;
    char               *url;
    char               *body;
    size_t              len;
    control_request_t  *next;
    control_request_t **prev;
};

struct control_s {
    struct event_base   *base;
    struct event        *timer;
    CURLM               *multi;
    char                *path;
    control_request_t   *requests;
};


static int control_setup(control_request_t *r, const char *method,
    long timeout_ms);
static int control_socket(CURL *easy, curl_socket_t fd, int what,
    void *data, void *watched);
static int control_timer(CURLM *multi, long timeout_ms, void *data);
static void control_event(evutil_socket_t fd, short what, void *data);
static void control_timeout(evutil_socket_t fd, short what, void *data);
static void control_harvest(control_t *c);
static void control_finish(control_request_t *r, CURLcode rc);
static void control_release(control_request_t *r);
static size_t control_body(char *text, size_t size, size_t n, void *data);


control_t *
control_new(struct event_base *base, const char *socket_path)
{
    control_t  *c;

    c = calloc(1, sizeof(control_t));
    if (c == NULL) {
        return NULL;
    }

    c->base = base;
    c->path = strdup(socket_path);
    c->timer = evtimer_new(base, control_timeout, c);
    c->multi = curl_multi_init();

    if (c->path == NULL || c->timer == NULL || c->multi == NULL) {
        control_free(c);
        return NULL;
    }

    curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, control_socket);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, control_timer);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, 4L);

    return c;
}


void
control_free(control_t *c)
{
    if (c == NULL) {
        return;
    }

    while (c->requests != NULL) {
        control_release(c->requests);
    }

    if (c->multi != NULL) {
        (void) curl_multi_cleanup(c->multi);
    }

    if (c->timer != NULL) {
        event_free(c->timer);
    }

    free(c->path);
    free(c);
}


int
control_request(control_t *c, const char *method, const char *target,
    long timeout_ms, control_done_pt done, void *data)
{
    size_t              len;
    control_request_t  *r;

    static const char  host[] = "http://kong";

    r = calloc(1, sizeof(control_request_t));
    if (r == NULL) {
        return -1;
    }

    r->control = c;
    r->done = done;
    r->data = data;

    r->next = c->requests;
    r->prev = &c->requests;
    if (r->next != NULL) {
        r->next->prev = &r->next;
    }
    c->requests = r;

    len = strlen(target);
    r->url = malloc(sizeof(host) + len);
    r->easy = curl_easy_init();

    if (r->url == NULL || r->easy == NULL) {
        goto failed;
    }

    memcpy(r->url, host, sizeof(host) - 1);
    memcpy(r->url + sizeof(host) - 1, target, len + 1);

    if (control_setup(r, method, timeout_ms) == -1) {
        goto failed;
    }

    if (curl_multi_add_handle(c->multi, r->easy) == CURLM_OK) {
        return 0;
    }

failed:

    control_release(r);

    return -1;
}


static int
control_setup(control_request_t *r, const char *method, long timeout_ms)
{
    CURL      *e;
    unsigned   failed;

    e = r->easy;

    failed = curl_easy_setopt(e, CURLOPT_URL, r->url) != CURLE_OK
        || curl_easy_setopt(e, CURLOPT_UNIX_SOCKET_PATH, r->control->path)
           != CURLE_OK
        || curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, method) != CURLE_OK;

    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_PROXY, "");
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, timeout_ms);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, control_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, r);
    curl_easy_setopt(e, CURLOPT_PRIVATE, r);

    if (strcmp(method, "POST") == 0) {
        curl_easy_setopt(e, CURLOPT_POST, 1L);
        curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE, 0L);
        curl_easy_setopt(e, CURLOPT_POSTFIELDS, "");
    }

    return failed ? -1 : 0;
}


static int
control_socket(CURL *easy, curl_socket_t fd, int what, void *data,
    void *watched)
{
    short          events;
    control_t     *c = data;
    struct event  *ev = watched;

    (void) easy;

    if (ev != NULL) {
        event_free(ev);
        (void) curl_multi_assign(c->multi, fd, NULL);
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

    ev = event_new(c->base, fd, events, control_event, c);
    if (ev == NULL || event_add(ev, NULL) == -1) {
        if (ev != NULL) {
            event_free(ev);
        }
        return -1;
    }

    (void) curl_multi_assign(c->multi, fd, ev);

    return 0;
}


static int
control_timer(CURLM *multi, long timeout_ms, void *data)
{
    control_t       *c = data;
    struct timeval   tv;

    (void) multi;

    if (timeout_ms < 0) {
        (void) evtimer_del(c->timer);
        return 0;
    }

    tv.tv_sec = timeout_ms / 1000;
    tv.tv_usec = timeout_ms % 1000 * 1000;

    return evtimer_add(c->timer, &tv);
}


static void
control_event(evutil_socket_t fd, short what, void *data)
{
    int         mask, running;
    control_t  *c = data;

    mask = 0;
    if (what & EV_READ) {
        mask |= CURL_CSELECT_IN;
    }
    if (what & EV_WRITE) {
        mask |= CURL_CSELECT_OUT;
    }

    (void) curl_multi_socket_action(c->multi, fd, mask, &running);
    control_harvest(c);
}


static void
control_timeout(evutil_socket_t fd, short what, void *data)
{
    int         running;
    control_t  *c = data;

    (void) fd;
    (void) what;

    (void) curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0,
                                    &running);
    control_harvest(c);
}


static void
control_harvest(control_t *c)
{
    int                 left;
    char               *p;
    CURLcode            rc;
    CURLMsg            *msg;
    control_request_t  *r;

    while ((msg = curl_multi_info_read(c->multi, &left)) != NULL) {

        if (msg->msg != CURLMSG_DONE) {
            continue;
        }

        /* msg dies with the handle's removal */
        rc = msg->data.result;
        p = NULL;
        (void) curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &p);

        r = (control_request_t *) p;
        if (r != NULL) {
            control_finish(r, rc);
        }
    }
}


static void
control_finish(control_request_t *r, CURLcode rc)
{
    int   status;
    long  code;

    code = 0;

    if (rc == CURLE_OK) {
        (void) curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &code);
        status = (code > 0) ? (int) code : CONTROL_BROKEN;

    } else if (rc == CURLE_COULDNT_CONNECT) {
        status = CONTROL_ABSENT;

    } else {
        status = CONTROL_BROKEN;
    }

    r->done(r->data, status, r->body != NULL ? r->body : "", r->len);

    control_release(r);
}


static void
control_release(control_request_t *r)
{
    *r->prev = r->next;
    if (r->next != NULL) {
        r->next->prev = r->prev;
    }

    if (r->easy != NULL) {
        (void) curl_multi_remove_handle(r->control->multi, r->easy);
        curl_easy_cleanup(r->easy);
    }

    free(r->url);
    free(r->body);
    free(r);
}


static size_t
control_body(char *text, size_t size, size_t n, void *data)
{
    char               *p;
    control_request_t  *r = data;

    n *= size;

    if (n > CONTROL_BODY_MAX - r->len) {
        return 0;
    }

    p = realloc(r->body, r->len + n + 1);
    if (p == NULL) {
        return 0;
    }

    memcpy(p + r->len, text, n);
    r->body = p;
    r->len += n;
    p[r->len] = '\0';

    return n;
}
