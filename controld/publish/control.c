/*
 * control: see control.h.  Answers are small; a long one is cut off as
 * broken.
 */

#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "../transfers.h"


#define CONTROL_BODY_MAX  (16 * 1024 * 1024)
#define CONTROL_IDLE      4              /* connections that are kept */


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
    transfers_t         *transfers;
    char                *path;
    control_request_t   *requests;
};


static int control_setup(control_request_t *r, const char *method,
    long timeout_ms);
static void control_finish(void *data, CURLcode rc);
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

    c->path = strdup(socket_path);
    c->transfers = transfers_new(base, CONTROL_IDLE, control_finish);

    if (c->path == NULL || c->transfers == NULL) {
        control_free(c);
        return NULL;
    }

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

    transfers_free(c->transfers);
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

    if (transfers_add(c->transfers, r->easy) == 0) {
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


static void
control_finish(void *data, CURLcode rc)
{
    int                 status;
    long                code;
    control_request_t  *r = data;

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
        transfers_remove(r->control->transfers, r->easy);
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
