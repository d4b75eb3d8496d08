/*
 * http_answer: what a handler has filled in, with the headers that every
 * answer has.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <event2/buffer.h>

#include "../cli/cli.h"
#include "../log.h"
#include "../model/json.h"
#include "http_private.h"


static void admin_replace(admin_request_t *r);
static void admin_headers(admin_request_t *r);
static const char *admin_origin(admin_request_t *r);
static void admin_send(admin_request_t *r);
static void admin_request_free(admin_request_t *r);


void
admin_json(admin_request_t *r, int status, const value_t *body)
{
    size_t  at;

    if (status == 200 && r->held == NULL && r->route != NULL
        && r->route->then != NULL)
    {
        r->held = value_clone(r->arena, body);
        return;
    }

    r->status = status;
    r->type = ADMIN_JSON;
    r->out = json_print(r->arena, body, &r->out_len);

    if (!dao_text_good(r->out, r->out_len, &at)) {
        admin_replace(r);
    }
}


/* JSON is UTF-8: what a client sent, and an answer repeats, may not be */
static void
admin_replace(admin_request_t *r)
{
    char        *to;
    size_t       at, left;
    const char  *p;

    p = r->out;
    left = r->out_len;
    to = arena_alloc(r->arena, left * 3 + 1);
    r->out = to;

    while (!dao_text_good(p, left, &at)) {
        memcpy(to, p, at - 1);
        memcpy(to + at - 1, "\xef\xbf\xbd", 3);
        to += at + 2;
        p += at;
        left -= at;
    }

    memcpy(to, p, left);
    r->out_len = (size_t) (to - r->out) + left;
}


void
admin_text(admin_request_t *r, int status, const char *type,
    const char *text, size_t len)
{
    r->status = status;
    r->type = type;
    r->out = text;
    r->out_len = len;
}


void
admin_message(admin_request_t *r, int status, const char *message)
{
    value_t  body;

    value_set_object(&body);
    value_set_string(value_put(r->arena, &body, "message"), message,
                     strlen(message));

    admin_json(r, status, &body);
}


void
admin_empty(admin_request_t *r, int status)
{
    r->status = status;
    r->type = NULL;
    r->out = NULL;
    r->out_len = 0;
}


void
admin_reply(admin_request_t *r)
{
    if (r->req != NULL) {
        evhttp_connection_set_closecb(
            evhttp_request_get_connection(r->req), NULL, NULL);
        admin_headers(r);
        admin_send(r);
    }

    admin_request_free(r);
}


static void
admin_headers(admin_request_t *r)
{
    char              text[32];
    struct timespec   now;
    struct evkeyvalq  *out;

    out = evhttp_request_get_output_headers(r->req);

    if (r->type != NULL) {
        (void) evhttp_add_header(out, "Content-Type", r->type);
    }

    if (r->admin->server) {
        (void) evhttp_add_header(out, "Server", "kong/" KONG_VERSION);
    }

    if (r->admin->latency) {
        (void) clock_gettime(CLOCK_MONOTONIC, &now);
        (void) snprintf(text, sizeof(text), "%ld",
                        (now.tv_sec - r->began.tv_sec) * 1000
                        + (now.tv_nsec - r->began.tv_nsec) / 1000000);
        (void) evhttp_add_header(out, "X-Kong-Admin-Latency", text);
    }

    if (r->number != 0) {
        (void) snprintf(text, sizeof(text), "%u", r->number);
        (void) evhttp_add_header(out, "X-Kong-Generation", text);
    }

    if (r->wrote && r->version >= 0) {
        (void) snprintf(text, sizeof(text), "%lld", (long long) r->version);
        (void) evhttp_add_header(out, "X-Kong-Source-Version", text);
    }

    (void) evhttp_add_header(out, "Access-Control-Allow-Origin",
                             admin_origin(r));
    (void) evhttp_add_header(out, "Access-Control-Allow-Credentials", "true");

    if (r->retry_after != 0) {
        (void) snprintf(text, sizeof(text), "%u", r->retry_after);
        (void) evhttp_add_header(out, "Retry-After", text);
    }

    /* evhttp counts what it sends, and of a HEAD nothing is sent */
    if (r->head || (r->out_len == 0 && r->status != 204 && r->status != 304))
    {
        (void) snprintf(text, sizeof(text), "%zu", r->out_len);
        (void) evhttp_add_header(out, "Content-Length", text);
    }
}


static const char *
admin_origin(admin_request_t *r)
{
    size_t       len, first;
    const char  *origin, *urls, *p;

    origin = evhttp_find_header(evhttp_request_get_input_headers(r->req),
                                "Origin");
    urls = r->admin->origins;

    if (urls == NULL) {
        return (origin != NULL) ? origin : "*";
    }

    first = strcspn(urls, ", ");

    for (p = urls; *p != '\0'; p += len) {
        p += strspn(p, ", ");
        len = strcspn(p, ", ");

        if (origin != NULL && len != 0 && strlen(origin) == len
            && memcmp(origin, p, len) == 0)
        {
            return origin;
        }
    }

    return arena_strndup(r->arena, urls, first);
}


static void
admin_send(admin_request_t *r)
{
    struct evbuffer  *body;

    body = NULL;

    if (!r->head && r->out_len != 0) {
        body = evbuffer_new();

        if (body == NULL || evbuffer_add(body, r->out, r->out_len) == -1) {
            log_write(LOG_ERR, "admin: out of memory for an answer");
            if (body != NULL) {
                evbuffer_free(body);
            }
            evhttp_send_error(r->req, 500, NULL);
            return;
        }
    }

    evhttp_send_reply(r->req, r->status, NULL, body);

    if (body != NULL) {
        evbuffer_free(body);
    }
}


static void
admin_request_free(admin_request_t *r)
{
    if (r->timer != NULL) {
        event_free(r->timer);
    }

    database_settings_put(r->settings);
    generation_put(r->generation);
    arena_free(r->arena);
    free(r);
}
