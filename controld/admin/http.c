/*
 * http: evhttp on the unix socket, Kong's transport rules around it.
 *
 * A client may go away while its request is in the offload thread or waits
 * for a publish: the connection's close callback takes `req` away, and the
 * answer is dropped.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <event2/buffer.h>

#include "../cli/cli.h"
#include "../listen.h"
#include "../log.h"
#include "http_private.h"


#define ADMIN_TIMEOUT       60             /* s, for the next byte */
#define ADMIN_HEADERS_MAX   (64 * 1024)
#define ADMIN_BODY_MAX      (10 * 1024 * 1024)
#define ADMIN_BODY_LARGE    (64 * 1024)


static int admin_listen(admin_t *a, const char *path, const char **err);
static void admin_limits(admin_t *a);
static void admin_accept(struct evhttp_request *req, void *data);
static admin_request_t *admin_request_new(admin_t *a,
    struct evhttp_request *req);
static void admin_gone(struct evhttp_connection *conn, void *data);
static unsigned admin_method(struct evhttp_request *req);
static int admin_read(admin_request_t *r);
static void admin_read_path(admin_request_t *r);
static void admin_read_body(admin_request_t *r);
static void admin_dispatch(admin_request_t *r);
static void admin_options(admin_request_t *r);
static int admin_check_type(admin_request_t *r);
static void admin_start(admin_request_t *r);
static void admin_run(void *data);
static void admin_ran(void *data);


admin_t *
admin_new(struct event_base *base, const char *path, offload_t *offload,
    const admin_host_t *host, const char **err)
{
    admin_t  *a;

    *err = "out of memory";

    a = calloc(1, sizeof(admin_t));
    if (a == NULL) {
        return NULL;
    }

    a->base = base;
    a->offload = offload;
    a->host = *host;
    a->router = router_new();
    a->settings = database_settings(host->conf(host->data));
    a->database = database_new(base);
    a->waits = waits_new(base, &a->host);
    a->debug = debug_new(base, &a->host);
    a->http = evhttp_new(base);

    if (a->http == NULL || a->database == NULL || a->waits == NULL
        || a->debug == NULL)
    {
        admin_free(a);
        return NULL;
    }

    /* who may ask is known before anybody can */

    a->auth = auth_new(a->settings->arena, host->conf(host->data), err);

    if (a->auth == NULL) {
        log_write(LOG_ERR, "%s", *err);
        *err = "the Admin API's tokens cannot be read";
        admin_free(a);
        return NULL;
    }

    auth_warn(a->auth, host->conf(host->data));

    evhttp_set_gencb(a->http, admin_accept, a);
    evhttp_set_timeout(a->http, ADMIN_TIMEOUT);
    evhttp_set_max_headers_size(a->http, ADMIN_HEADERS_MAX);
    evhttp_set_default_content_type(a->http, NULL);
    evhttp_set_allowed_methods(a->http, EVHTTP_REQ_GET|EVHTTP_REQ_HEAD
                               |EVHTTP_REQ_POST|EVHTTP_REQ_PUT
                               |EVHTTP_REQ_PATCH|EVHTTP_REQ_DELETE
                               |EVHTTP_REQ_OPTIONS|EVHTTP_REQ_TRACE);
    admin_limits(a);

    if (admin_listen(a, path, err) == -1) {
        admin_free(a);
        return NULL;
    }

    return a;
}


void
admin_free(admin_t *a)
{
    if (a == NULL) {
        return;
    }

    if (a->path != NULL) {
        (void) unlink(a->path);
        free(a->path);
        a->path = NULL;
    }

    if (a->http != NULL) {
        evhttp_free(a->http);
        a->http = NULL;
    }

    database_free(a->database);
    waits_free(a->waits);
    debug_free(a->debug);
    auth_free(a->auth);
    database_settings_put(a->settings);
    router_free(a->router);
    free(a);
}


void
admin_reload(admin_t *a)
{
    auth_t        *auth;
    const char    *err;
    const conf_t  *c;

    c = a->host.conf(a->host.data);
    admin_limits(a);

    database_settings_put(a->settings);
    a->settings = database_settings(c);

    auth = auth_new(a->settings->arena, c, &err);

    if (auth == NULL) {
        log_write(LOG_ERR, "the Admin API keeps its tokens: %s", err);
        return;
    }

    auth_free(a->auth);
    a->auth = auth;
    auth_warn(auth, c);
}


void
admin_served(admin_t *a)
{
    if (a != NULL) {
        waits_check(a->waits);
    }
}


const admin_host_t *
admin_host(const admin_t *a)
{
    return &a->host;
}


struct event_base *
admin_base(const admin_t *a)
{
    return a->base;
}


debug_t *
admin_debug(const admin_t *a)
{
    return a->debug;
}


const router_t *
admin_router(const admin_t *a)
{
    return a->router;
}


const char *
admin_prefix(const admin_t *a)
{
    return conf_prefix(a->host.conf(a->host.data));
}


static int
admin_listen(admin_t *a, const char *path, const char **err)
{
    struct evconnlistener  *listener;

    listener = listen_unix(a->base, path, err);
    if (listener == NULL) {
        return -1;
    }

    if (evhttp_bind_listener(a->http, listener) == NULL) {
        evconnlistener_free(listener);
        return -1;
    }

    a->path = strdup(path);

    return 0;
}


static void
admin_limits(admin_t *a)
{
    char            *end;
    size_t           i;
    double           queries;
    const char      *s;
    const conf_t    *c;
    const value_t   *list;
    unsigned long    max;

    c = a->host.conf(a->host.data);

    s = conf_str(c, "nginx_admin_client_max_body_size");
    max = (s != NULL) ? strtoul(s, &end, 10) : ADMIN_BODY_MAX;

    if (s != NULL && (*end == 'k' || *end == 'K')) {
        max <<= 10;
    } else if (s != NULL && (*end == 'm' || *end == 'M')) {
        max <<= 20;
    } else if (s != NULL && (*end == 'g' || *end == 'G')) {
        max <<= 30;
    }

    /* 0 is "no limit" in nginx */
    evhttp_set_max_body_size(a->http, max != 0 ? (ev_ssize_t) max
                                               : EV_SSIZE_MAX);

    s = conf_str(c, "admin_gui_url");
    a->origins = (s != NULL && *s != '\0') ? s : NULL;

    queries = conf_num(c, "pg_max_concurrent_queries");
    a->queries = (queries >= 1) ? (unsigned) queries : 0;

    a->server = 0;
    a->latency = 0;
    list = conf_list(c, "headers");

    for (i = 0; list != NULL && i < list->len; i++) {
        s = value_cstr(value_at(list, i));

        if (s == NULL) {
            continue;
        }

        if (strcasecmp(s, "server_tokens") == 0
            || strcasecmp(s, "server") == 0)
        {
            a->server = 1;

        } else if (strcasecmp(s, "latency_tokens") == 0
                   || strcasecmp(s, "x-kong-admin-latency") == 0)
        {
            a->latency = 1;
        }
    }
}


static void
admin_accept(struct evhttp_request *req, void *data)
{
    admin_request_t  *r;

    r = admin_request_new(data, req);
    if (r == NULL) {
        evhttp_send_error(req, 500, NULL);
        return;
    }

    if (admin_read(r) == -1) {
        admin_reply(r);
        return;
    }

    admin_dispatch(r);
}


static admin_request_t *
admin_request_new(admin_t *a, struct evhttp_request *req)
{
    admin_request_t  *r;

    r = calloc(1, sizeof(admin_request_t));
    if (r == NULL) {
        return NULL;
    }

    r->admin = a;
    r->req = req;
    r->arena = arena_new();
    r->version = -1;
    r->settings = a->settings;
    database_settings_get(r->settings);
    r->generation = a->host.active(a->host.data);

    if (r->generation != NULL) {
        generation_get(r->generation);
    }

    (void) clock_gettime(CLOCK_MONOTONIC, &r->began);

    evhttp_connection_set_closecb(evhttp_request_get_connection(req),
                                  admin_gone, r);

    return r;
}


static void
admin_gone(struct evhttp_connection *conn, void *data)
{
    admin_request_t  *r = data;

    (void) conn;

    r->req = NULL;
}


static unsigned
admin_method(struct evhttp_request *req)
{
    switch (evhttp_request_get_command(req)) {

    case EVHTTP_REQ_GET:
        return ADMIN_GET;

    case EVHTTP_REQ_HEAD:
        return ADMIN_HEAD;

    case EVHTTP_REQ_POST:
        return ADMIN_POST;

    case EVHTTP_REQ_PUT:
        return ADMIN_PUT;

    case EVHTTP_REQ_PATCH:
        return ADMIN_PATCH;

    case EVHTTP_REQ_DELETE:
        return ADMIN_DELETE;

    case EVHTTP_REQ_OPTIONS:
        return ADMIN_OPTIONS;

    default:
        return 0;
    }
}


static int
admin_read(admin_request_t *r)
{
    r->method = admin_method(r->req);

    if (r->method == ADMIN_HEAD) {
        r->method = ADMIN_GET;
        r->head = 1;
    }

    admin_read_path(r);

    value_set_object(&r->args);

    if (r->query != NULL
        && admin_parse_args(r->arena, r->query, strlen(r->query), &r->args)
           == -1)
    {
        admin_message(r, 400, "Too many arguments");
        return -1;
    }

    admin_read_body(r);

    return 0;
}


static void
admin_read_path(admin_request_t *r)
{
    char        *uri, *query;
    size_t       len;
    const char  *p;

    p = evhttp_request_get_uri(r->req);
    uri = arena_strndup(r->arena, p, strlen(p));

    uri[strcspn(uri, "#")] = '\0';

    query = strchr(uri, '?');
    if (query != NULL) {
        *query++ = '\0';
    }

    r->path = uri;
    r->query = query;

    /* more segments than any route has match none */
    for (p = uri; *p == '/' && p[1] != '\0'; p += len) {
        p++;
        len = strcspn(p, "/");

        if (r->n_segments == ADMIN_SEGMENTS_MAX) {
            r->n_segments = SIZE_MAX;
            return;
        }

        r->segments[r->n_segments++] = admin_decode(r->arena, p, len, 0);
    }
}


static void
admin_read_body(admin_request_t *r)
{
    char             *p;
    struct evbuffer  *in;

    r->content_type = evhttp_find_header(
                          evhttp_request_get_input_headers(r->req),
                          "Content-Type");
    if (r->content_type != NULL) {
        r->content_type = arena_strndup(r->arena, r->content_type,
                                        strlen(r->content_type));
    }

    in = evhttp_request_get_input_buffer(r->req);
    r->body_len = evbuffer_get_length(in);

    /* a copy, since the request may die before its handler ends */
    p = arena_alloc(r->arena, r->body_len + 1);
    (void) evbuffer_remove(in, p, r->body_len);
    p[r->body_len] = '\0';
    r->body = p;
}


static void
admin_dispatch(admin_request_t *r)
{
    if (auth_check(r->admin->auth, r) == -1) {
        admin_reply(r);
        return;
    }

    if (r->n_segments <= ADMIN_SEGMENTS_MAX) {
        r->route = router_find(r->admin->router, r->segments, r->n_segments);
    }

    if (r->route == NULL) {
        admin_message(r, 404, "Not found");
        admin_reply(r);
        return;
    }

    if (r->method == ADMIN_OPTIONS) {
        admin_options(r);
        admin_reply(r);
        return;
    }

    if (!(r->route->methods & r->method)) {
        admin_message(r, 405, "Method not allowed");
        admin_reply(r);
        return;
    }

    if (admin_check_type(r) == -1) {
        admin_reply(r);
        return;
    }

    admin_start(r);
}


static void
admin_options(admin_request_t *r)
{
    const char         *allow, *asked;
    struct evkeyvalq   *out;

    allow = router_allow(r->arena, r->route);
    asked = evhttp_find_header(evhttp_request_get_input_headers(r->req),
                               "Access-Control-Request-Headers");

    out = evhttp_request_get_output_headers(r->req);
    (void) evhttp_add_header(out, "Allow", allow);
    (void) evhttp_add_header(out, "Access-Control-Allow-Methods", allow);
    (void) evhttp_add_header(out, "Access-Control-Allow-Headers",
                             asked != NULL ? asked : "Content-Type");

    admin_empty(r, 204);
}


/* 415 has nginx's own page, as in Kong */
static int
admin_check_type(admin_request_t *r)
{
    static const char  page[] =
        "<html>\r\n"
        "<head><title>415 Unsupported Media Type</title></head>\r\n"
        "<body>\r\n"
        "<center><h1>415 Unsupported Media Type</h1></center>\r\n"
        "</body>\r\n"
        "</html>\r\n";

    if (!(r->method & (ADMIN_POST|ADMIN_PUT|ADMIN_PATCH))) {
        return 0;
    }

    if ((r->content_type == NULL && r->body_len == 0)
        || admin_type_is(r, "application/json")
        || admin_type_is(r, "multipart/form-data")
        || admin_type_is(r, "application/x-www-form-urlencoded")
        || ((r->route->flags & ROUTER_YAML)
            && (admin_type_is(r, "application/yaml")
                || admin_type_is(r, "text/yaml"))))
    {
        return 0;
    }

    admin_text(r, 415, "text/html", page, sizeof(page) - 1);

    return -1;
}


unsigned
admin_type_is(const admin_request_t *r, const char *type)
{
    return r->content_type != NULL
           && strncasecmp(r->content_type, type, strlen(type)) == 0;
}


static void
admin_start(admin_request_t *r)
{
    if (r->route->schema != NULL
        && strcmp(r->route->schema->name, "filter_chains") == 0)
    {
        admin_message(r, 400, "this endpoint is only available when wasm is "
                      "enabled");
        admin_reply(r);
        return;
    }

    if (r->route->then != NULL) {
        r->method = ADMIN_GET;
    }

    if (r->settings->used && r->route->database != NULL) {
        admin_database(r, r->route->database);
        return;
    }

    if (r->body_len > ADMIN_BODY_LARGE && r->route->kind != ROUTER_OTHER) {
        admin_offload(r, r->route->handler);
        return;
    }

    r->route->handler(r);

    if (!r->suspended) {
        admin_done(r);
    }
}


void
admin_done(admin_request_t *r)
{
    if (r->held != NULL && r->req != NULL) {
        r->suspended = 1;
        r->route->then(r);
        return;
    }

    admin_reply(r);
}


void
admin_offload(admin_request_t *r, admin_handler_pt handler)
{
    r->suspended = 1;
    r->handler = handler;
    r->job.run = admin_run;
    r->job.done = admin_ran;
    r->job.data = r;

    offload_run(r->admin->offload, &r->job);
}


static void
admin_run(void *data)
{
    admin_request_t  *r = data;

    r->handler(r);
}


static void
admin_ran(void *data)
{
    admin_done(data);
}
