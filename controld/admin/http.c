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
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <event2/buffer.h>
#include <event2/listener.h>

#include "../cli/cli.h"
#include "../log.h"
#include "../model/json.h"
#include "auth.h"
#include "debug.h"
#include "generation.h"


#define ADMIN_TIMEOUT       60             /* s, for the next byte */
#define ADMIN_HEADERS_MAX   (64 * 1024)
#define ADMIN_BODY_MAX      (10 * 1024 * 1024)
#define ADMIN_BODY_LARGE    (64 * 1024)
#define ADMIN_ARGS_MAX      1000
#define ADMIN_BACKLOG       512

#define ADMIN_TRIES         3              /* of a deadlocked transaction */

#define ADMIN_JSON          "application/json; charset=utf-8"


typedef char sun_path_t[sizeof(((struct sockaddr_un *) 0)->sun_path)];

struct admin_s {
    struct event_base      *base;
    struct evhttp          *http;
    offload_t              *offload;
    admin_host_t            host;
    router_t               *router;
    char                   *path;
    database_t             *database;
    database_settings_t    *settings;
    waits_t                *waits;
    debug_t                *debug;
    auth_t                 *auth;
    unsigned                server:1;      /* tokens of `headers` */
    unsigned                latency:1;
    unsigned                stopping:1;
};


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
static void admin_replace(admin_request_t *r);
static void admin_query(void *data, database_link_t *link);
static void admin_queried(void *data);
static void admin_audit(admin_request_t *r);
static void admin_late(evutil_socket_t fd, short what, void *data);
static void admin_headers(admin_request_t *r);
static const char *admin_origin(admin_request_t *r);
static void admin_send(admin_request_t *r);
static void admin_request_free(admin_request_t *r);
static int admin_hex(int c);


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
    int                     fd, rc;
    char                   *slash, folder[sizeof(sun_path_t)];
    struct stat             st;
    struct sockaddr_un      sun;
    struct evconnlistener  *listener;

    memset(&sun, 0, sizeof(sun));
    sun.sun_family = AF_UNIX;

    if (strlen(path) >= sizeof(sun.sun_path)) {
        *err = "the path of sockets/admin.sock is too long";
        return -1;
    }

    strcpy(sun.sun_path, path);
    strcpy(folder, path);

    /* one daemon a prefix: whoever left this socket behind is dead */
    (void) unlink(path);

    *err = "sockets/admin.sock cannot be listened on";

    fd = socket(AF_UNIX, SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC, 0);
    if (fd == -1) {
        return -1;
    }

    rc = bind(fd, (struct sockaddr *) &sun, sizeof(sun));

    /* as open as its folder: 0750 lets nginx's workers of another user in */
    if (rc == 0) {
        slash = strrchr(folder, '/');
        if (slash != NULL) {
            *slash = '\0';
        }

        if (slash != NULL && stat(folder, &st) == 0
            && (st.st_mode & S_IXGRP))
        {
            rc = chown(path, (uid_t) -1, st.st_gid);
            rc = (rc == 0) ? chmod(path, 0660) : rc;

        } else {
            rc = chmod(path, 0600);
        }
    }

    listener = (rc == -1) ? NULL
               : evconnlistener_new(a->base, NULL, NULL,
                                    LEV_OPT_CLOSE_ON_FREE
                                    |LEV_OPT_CLOSE_ON_EXEC,
                                    ADMIN_BACKLOG, fd);

    if (listener == NULL) {
        (void) close(fd);
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
        admin_reply(r);
    }
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


void
admin_database(admin_request_t *r, admin_database_pt handler)
{
    double           max;
    admin_t         *a;
    struct timeval   tv;

    a = r->admin;
    r->suspended = 1;
    r->asker = handler;
    r->database.run = admin_query;
    r->database.done = admin_queried;
    r->database.data = r;
    r->database.settings = r->settings;

    max = conf_num(a->host.conf(a->host.data), "pg_max_concurrent_queries");

    tv.tv_sec = (time_t) r->settings->pg.timeout;
    tv.tv_usec = (suseconds_t) ((r->settings->pg.timeout - tv.tv_sec) * 1e6);

    r->timer = evtimer_new(a->base, admin_late, r);

    if (r->timer == NULL || evtimer_add(r->timer, &tv) == -1
        || database_run(a->database, &r->database,
                        (max >= 1) ? (unsigned) max : 0) == -1)
    {
        admin_message(r, 503, "too many requests wait for the database");
        admin_reply(r);
    }
}


/* in the thread; what was tried in vain leaves no trace */
static void
admin_query(void *data, database_link_t *link)
{
    int               i;
    dao_t             d;
    admin_request_t  *r = data;

    for (i = 0; i < ADMIN_TRIES; i++) {

        if (dao_init(&d, r->arena, link, r->settings) == DAO_FAILED) {
            admin_message(r, d.error.status, d.error.message);
            return;
        }

        r->asker(r, &d);
        dao_release(&d);

        if (!d.error.again) {
            break;
        }
    }

    if (d.wrote && r->status < 300) {
        r->wrote = 1;
        r->version = dao_version(&d);
    }
}


static void
admin_queried(void *data)
{
    admin_request_t  *r = data;

    (void) evtimer_del(r->timer);

    if (r->wrote) {
        admin_audit(r);

        if (waits_hold(r->admin->waits, r)) {
            return;
        }
    }

    admin_reply(r);
}


/* who, what, and hashes of how it was and is */
static void
admin_audit(admin_request_t *r)
{
    static const char *const  names[] = {
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"
    };

    size_t  i;

    for (i = 0; i < 5 && !(r->method & (1u << i)); i++) { /* void */ }

    log_write(LOG_NOTICE, "audit: %s %s %s: %d, before %s, after %s, "
              "version %lld", r->actor != NULL ? r->actor : "anonymous",
              names[i], r->path, r->status,
              r->before[0] != '\0' ? r->before : "none",
              r->after[0] != '\0' ? r->after : "none",
              (long long) r->version);
}


/* the thread has the request still: it gets its answer without it */
static void
admin_late(evutil_socket_t fd, short what, void *data)
{
    struct evbuffer   *body;
    admin_request_t   *r = data;
    struct evkeyvalq  *out;

    static const char  text[] =
        "{\"message\":\"the database could not do it in time\"}";

    (void) fd;
    (void) what;

    if (r->req == NULL) {
        return;
    }

    out = evhttp_request_get_output_headers(r->req);
    (void) evhttp_add_header(out, "Content-Type", ADMIN_JSON);
    (void) evhttp_add_header(out, "Access-Control-Allow-Origin", "*");

    if (r->admin->server) {
        (void) evhttp_add_header(out, "Server", "kong/" KONG_VERSION);
    }

    body = evbuffer_new();

    if (body != NULL) {
        (void) evbuffer_add_reference(body, text, sizeof(text) - 1, NULL,
                                      NULL);
    }

    evhttp_connection_set_closecb(evhttp_request_get_connection(r->req),
                                  NULL, NULL);
    evhttp_send_reply(r->req, 503, NULL, body);
    r->req = NULL;

    if (body != NULL) {
        evbuffer_free(body);
    }
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
    admin_reply(data);
}


void
admin_json(admin_request_t *r, int status, const value_t *body)
{
    size_t  at;

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
    urls = conf_str(r->admin->host.conf(r->admin->host.data),
                    "admin_gui_url");

    if (urls == NULL || *urls == '\0') {
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


const char *
admin_arg(const admin_request_t *r, const char *name)
{
    const value_t  *v;

    v = value_get(&r->args, name);

    if (v != NULL && v->kind == VALUE_ARRAY) {
        v = value_at(v, v->len - 1);
    }

    return value_cstr(v);
}


unsigned
admin_arg_true(const admin_request_t *r, const char *name)
{
    const char  *s;

    s = admin_arg(r, name);

    return s != NULL
           && (strcmp(s, "1") == 0 || strcasecmp(s, "true") == 0
               || strcasecmp(s, "on") == 0 || strcasecmp(s, "yes") == 0);
}


admin_str_t
admin_decode(arena_t *a, const char *p, size_t len, unsigned plus)
{
    int           high, low;
    char         *out;
    size_t        i;
    admin_str_t   s;

    out = arena_alloc(a, len + 1);
    s.data = out;

    for (i = 0; i < len; i++) {

        if (p[i] == '%' && i + 2 < len) {
            high = admin_hex(p[i + 1]);
            low = admin_hex(p[i + 2]);

            if (high >= 0 && low >= 0) {
                *out++ = (char) (high << 4 | low);
                i += 2;
                continue;
            }
        }

        *out++ = (p[i] == '+' && plus) ? ' ' : p[i];
    }

    *out = '\0';
    s.len = out - s.data;

    return s;
}


static int
admin_hex(int c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    c |= 0x20;

    return (c >= 'a' && c <= 'f') ? c - 'a' + 10 : -1;
}


int
admin_parse_args(arena_t *a, const char *p, size_t len, value_t *out)
{
    size_t        n, i;
    value_t      *slot, first;
    const char   *end, *eq, *last;
    admin_str_t   name, value;

    value_set_object(out);
    last = p + len;

    for (n = 0; p < last; p = end + 1) {

        end = memchr(p, '&', last - p);
        if (end == NULL) {
            end = last;
        }

        if (end == p) {
            continue;
        }

        if (++n > ADMIN_ARGS_MAX) {
            return -1;
        }

        eq = memchr(p, '=', end - p);
        i = (eq != NULL) ? (size_t) (eq - p) : (size_t) (end - p);

        name = admin_decode(a, p, i, 1);
        value = (eq != NULL) ? admin_decode(a, eq + 1, end - eq - 1, 1)
                             : admin_decode(a, "", 0, 1);

        slot = value_putn(a, out, name.data, name.len);

        if (slot->kind == VALUE_STRING) {
            first = *slot;
            value_set_array(slot);
            *value_append(a, slot) = first;
        }

        if (slot->kind == VALUE_ARRAY) {
            slot = value_append(a, slot);
        }

        value_set_string(slot, value.data, value.len);
    }

    return 0;
}
