/*
 * ask: the server.  Handlers run in threads of their own, each with a
 * connection, apart from those of the Admin API: neither holds up the other.
 * A worker has its answer in pg_timeout whatever the database does.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <event2/buffer.h>
#include <event2/http.h>

#include "../listen.h"
#include "../log.h"
#include "../model/json.h"
#include "../model/uuid.h"
#include "ask_private.h"


#define ASK_TIMEOUT      10              /* s, for the next byte */
#define ASK_HEADERS_MAX  4096
#define ASK_BODY_MAX     (256 * 1024)
#define ASK_CLEAN_FIRST  2               /* s, and as many by chance */
#define ASK_CLEAN        60


struct ask_s {
    struct event_base    *base;
    struct evhttp        *http;
    struct event         *cleaner;
    database_t           *database;
    database_settings_t  *settings;
    double                max;           /* connections */
    char                 *path;
};

/* an ask_t's question, or its own cleaning: then there is no `req` */
typedef struct {
    ask_t                  *ask;
    struct evhttp_request  *req;         /* NULL: nobody waits */
    const ask_route_t      *route;
    ask_handler_pt          handler;
    value_t                 in;
    ask_work_t              work;
    database_settings_t    *settings;
    database_job_t          job;
    struct event           *timer;
} ask_question_t;


static int ask_listen(ask_t *a, const conf_t *conf, const char **err);
static void ask_accept(struct evhttp_request *req, void *data);
static ask_question_t *ask_question(ask_t *a, struct evhttp_request *req);
static int ask_read(ask_question_t *q);
static const ask_route_t *ask_find(const char *path);
static void ask_start(ask_question_t *q);
static void ask_run(void *data, database_link_t *link);
static void ask_ran(void *data);
static void ask_late(evutil_socket_t fd, short what, void *data);
static void ask_gone(struct evhttp_connection *conn, void *data);
static void ask_end(ask_question_t *q);
static void ask_reply(ask_question_t *q, int status, const char *text,
    size_t len);
static void ask_clean_later(ask_t *a, uint32_t seconds);
static void ask_clean_now(evutil_socket_t fd, short what, void *data);
static void ask_answer(ask_work_t *w, const PGresult *res,
    const char *const *names);
static void ask_log(const char *text);


static const ask_route_t *const  ask_routes[] = {
    ask_oauth2_routes, ask_session_routes, ask_other_routes, NULL
};


ask_t *
ask_new(struct event_base *base, const conf_t *conf, const char **err)
{
    ask_t  *a;

    *err = "out of memory";

    a = calloc(1, sizeof(ask_t));
    if (a == NULL) {
        return NULL;
    }

    a->base = base;
    a->settings = database_settings(conf);
    a->max = conf_num(conf, "pg_max_concurrent_queries");
    a->database = database_new(base);
    a->http = evhttp_new(base);
    a->cleaner = evtimer_new(base, ask_clean_now, a);

    if (a->database == NULL || a->http == NULL || a->cleaner == NULL
        || ask_listen(a, conf, err) == -1)
    {
        ask_free(a);
        return NULL;
    }

    ask_clean_later(a, ASK_CLEAN_FIRST);

    return a;
}


static int
ask_listen(ask_t *a, const conf_t *conf, const char **err)
{
    struct evconnlistener  *listener;

    evhttp_set_gencb(a->http, ask_accept, a);
    evhttp_set_timeout(a->http, ASK_TIMEOUT);
    evhttp_set_max_headers_size(a->http, ASK_HEADERS_MAX);
    evhttp_set_max_body_size(a->http, ASK_BODY_MAX);
    evhttp_set_default_content_type(a->http, NULL);
    evhttp_set_allowed_methods(a->http, EVHTTP_REQ_POST);

    a->path = strdup(conf_path(conf, "sockets/ask.sock"));
    if (a->path == NULL) {
        return -1;
    }

    listener = listen_unix(a->base, a->path, err);
    if (listener == NULL) {
        return -1;
    }

    if (evhttp_bind_listener(a->http, listener) == NULL) {
        evconnlistener_free(listener);
        return -1;
    }

    return 0;
}


void
ask_free(ask_t *a)
{
    if (a == NULL) {
        return;
    }

    if (a->path != NULL) {
        (void) unlink(a->path);
        free(a->path);
    }

    if (a->http != NULL) {
        evhttp_free(a->http);
    }

    if (a->cleaner != NULL) {
        event_free(a->cleaner);
        a->cleaner = NULL;
    }

    database_free(a->database);
    database_settings_put(a->settings);
    free(a);
}


void
ask_reload(ask_t *a, const conf_t *conf)
{
    database_settings_put(a->settings);
    a->settings = database_settings(conf);
    a->max = conf_num(conf, "pg_max_concurrent_queries");
}


static void
ask_accept(struct evhttp_request *req, void *data)
{
    ask_question_t  *q;

    q = ask_question(data, req);
    if (q == NULL) {
        evhttp_send_error(req, ASK_NOT_NOW, NULL);
        return;
    }

    if (ask_read(q) == -1) {
        ask_end(q);
        return;
    }

    if (!q->settings->used && !q->route->plain) {
        q->work.status = ASK_NO_DATABASE;
        ask_end(q);
        return;
    }

    ask_start(q);
}


/* NULL when out of memory; `req` NULL: nobody waits for the answer */
static ask_question_t *
ask_question(ask_t *a, struct evhttp_request *req)
{
    ask_question_t  *q;

    q = calloc(1, sizeof(ask_question_t));
    if (q == NULL) {
        return NULL;
    }

    q->ask = a;
    q->req = req;
    q->work.arena = arena_new();
    q->work.in = &q->in;
    value_set_object(&q->in);
    value_set_object(&q->work.out);
    q->settings = a->settings;
    database_settings_get(q->settings);

    if (req != NULL) {
        evhttp_connection_set_closecb(evhttp_request_get_connection(req),
                                      ask_gone, q);
    }

    return q;
}


static int
ask_read(ask_question_t *q)
{
    char             *p;
    size_t            len;
    const char       *err;
    struct evbuffer  *in;

    q->route = ask_find(evhttp_request_get_uri(q->req));
    q->work.status = ASK_BAD;

    if (q->route == NULL) {
        return -1;
    }

    q->handler = q->route->handler;

    in = evhttp_request_get_input_buffer(q->req);
    len = evbuffer_get_length(in);

    /* a copy, since the request may die before its handler ends */
    p = arena_alloc(q->work.arena, len + 1);
    (void) evbuffer_remove(in, p, len);
    p[len] = '\0';

    return json_parse(q->work.arena, p, len, &q->in, &err);
}


static const ask_route_t *
ask_find(const char *path)
{
    const ask_route_t         *r;
    const ask_route_t *const  *list;

    for (list = ask_routes; *list != NULL; list++) {
        for (r = *list; r->path != NULL; r++) {
            if (strcmp(r->path, path) == 0) {
                return r;
            }
        }
    }

    return NULL;
}


static void
ask_start(ask_question_t *q)
{
    ask_t           *a;
    struct timeval   tv;

    a = q->ask;
    q->job.run = ask_run;
    q->job.done = ask_ran;
    q->job.data = q;
    q->job.settings = q->settings;

    tv.tv_sec = (time_t) q->settings->pg.timeout;
    tv.tv_usec = (suseconds_t) ((q->settings->pg.timeout - tv.tv_sec) * 1e6);

    if (!q->settings->used) {
        tv.tv_sec = ASK_TIMEOUT;
    }

    q->work.status = ASK_NOT_NOW;

    if (q->req != NULL) {
        q->timer = evtimer_new(a->base, ask_late, q);

        if (q->timer == NULL || evtimer_add(q->timer, &tv) == -1) {
            ask_end(q);
            return;
        }
    }

    if (database_run(a->database, &q->job,
                     (a->max >= 1) ? (unsigned) a->max : 0)
        == -1)
    {
        ask_end(q);
    }
}


/* in the thread */
static void
ask_run(void *data, database_link_t *link)
{
    const char      *err;
    ask_question_t  *q = data;

    q->work.link = link;

    if (q->route == NULL || !q->route->plain) {

        if (database_link(link, q->settings, &err) == -1) {
            ask_log(err);
            return;
        }
    }

    q->work.status = ASK_OK;
    q->handler(&q->work);

    if (q->work.bad) {
        q->work.status = ASK_BAD;
    }
}


static void
ask_ran(void *data)
{
    ask_end(data);
}


/* the thread has the question still: its answer goes without it */
static void
ask_late(evutil_socket_t fd, short what, void *data)
{
    ask_question_t  *q = data;

    (void) fd;
    (void) what;

    ask_reply(q, ASK_NOT_NOW, "{}", 2);
}


static void
ask_gone(struct evhttp_connection *conn, void *data)
{
    ask_question_t  *q = data;

    (void) conn;

    q->req = NULL;
}


static void
ask_end(ask_question_t *q)
{
    size_t       len;
    const char  *text;

    text = json_print(q->work.arena, &q->work.out, &len);
    ask_reply(q, q->work.status, text, len);

    if (q->timer != NULL) {
        event_free(q->timer);
    }

    database_settings_put(q->settings);
    arena_free(q->work.arena);
    free(q);
}


static void
ask_reply(ask_question_t *q, int status, const char *text, size_t len)
{
    struct evbuffer        *body;
    struct evhttp_request  *req;

    req = q->req;
    q->req = NULL;

    if (req == NULL) {
        return;
    }

    evhttp_connection_set_closecb(evhttp_request_get_connection(req), NULL,
                                  NULL);

    body = evbuffer_new();

    if (body == NULL || evbuffer_add(body, text, len) == -1) {
        status = ASK_NOT_NOW;
    }

    evhttp_send_reply(req, status, NULL, body);

    if (body != NULL) {
        evbuffer_free(body);
    }
}


/* the nodes of a cluster take turns by chance */
static void
ask_clean_later(ask_t *a, uint32_t seconds)
{
    uint32_t        chance;
    struct timeval  tv;

    evutil_secure_rng_get_bytes(&chance, sizeof(chance));

    tv.tv_sec = (time_t) (seconds + chance % seconds);
    tv.tv_usec = 0;

    (void) evtimer_add(a->cleaner, &tv);
}


static void
ask_clean_now(evutil_socket_t fd, short what, void *data)
{
    ask_t           *a = data;
    ask_question_t  *q;

    (void) fd;
    (void) what;

    ask_clean_later(a, ASK_CLEAN);

    if (!a->settings->used) {
        return;
    }

    q = ask_question(a, NULL);

    if (q != NULL) {
        q->handler = ask_clean;
        ask_start(q);
    }
}


const char *
ask_text(ask_work_t *w, const char *name)
{
    value_t  *v;

    v = value_get(w->in, name);

    if (value_is_null(v)) {
        return NULL;
    }

    if (v->kind != VALUE_STRING || strlen(v->u.string) != v->len) {
        w->bad = 1;
        return NULL;
    }

    return v->u.string;
}


double
ask_number(ask_work_t *w, const char *name)
{
    value_t  *v;

    v = value_get(w->in, name);

    if (value_is_null(v)) {
        return 0;
    }

    if (v->kind != VALUE_NUMBER || !(v->u.number >= 0 && v->u.number < 1e12))
    {
        w->bad = 1;
        return 0;
    }

    return v->u.number;
}


unsigned
ask_flag(ask_work_t *w, const char *name)
{
    value_t  *v;

    v = value_get(w->in, name);

    return v != NULL && v->kind == VALUE_BOOL && v->u.boolean;
}


pg_arg_t
ask_arg(Oid type, const char *text)
{
    pg_arg_t  arg;

    arg.type = type;
    arg.text = text;

    return arg;
}


pg_arg_t
ask_arg_number(ask_work_t *w, double n)
{
    return ask_arg(PG_TYPE_INT8, n >= 1 ? arena_printf(w->arena, "%.0f", n)
                                        : NULL);
}


pg_arg_t
ask_arg_uuid(ask_work_t *w, const char *name)
{
    const char  *text;

    text = ask_text(w, name);

    if (text != NULL && !uuid_is_valid(text, strlen(text))) {
        w->bad = 1;
    }

    return ask_arg(PG_TYPE_UUID, text);
}


int
ask_query(ask_work_t *w, const char *sql, const pg_arg_t *args, size_t n,
    PGresult **res)
{
    pg_t        *pg;
    const char  *state;

    *res = NULL;

    if (w->bad) {
        return -1;
    }

    pg = w->link->pg;
    *res = pg_query(pg, sql, args, n);

    if (*res == NULL) {
        state = pg_sqlstate(pg);
        w->status = ASK_NOT_NOW;

        /* never its details: they hold the values */
        ask_log(state[0] == '\0' ? pg_error(pg)
                : arena_printf(w->arena, "SQLSTATE %s", state));

        /* a primary that became a replica: the next one looks anew */
        if (strcmp(state, "25006") == 0) {
            pg_close(pg);
        }

        return -1;
    }

    if (PQntuples(*res) == 0) {
        PQclear(*res);
        *res = NULL;
        w->status = ASK_NONE;
        return -1;
    }

    return 0;
}


int
ask_row(ask_work_t *w, const char *sql, const pg_arg_t *args, size_t n,
    const char *const *names)
{
    PGresult  *res;

    if (ask_query(w, sql, args, n, &res) == -1) {
        return -1;
    }

    if (names != NULL) {
        ask_answer(w, res, names);
    }

    PQclear(res);

    return 0;
}


static void
ask_answer(ask_work_t *w, const PGresult *res, const char *const *names)
{
    int          i;
    value_t     *v;
    const char  *name, *text;

    for (i = 0; names[i] != NULL; i++) {
        name = names[i];

        if (PQgetisnull(res, 0, i)) {
            continue;
        }

        text = PQgetvalue(res, 0, i);
        v = value_put(w->arena, &w->out, *name == '#' ? name + 1 : name);

        if (*name == '#') {
            value_set_number(v, strtod(text, NULL));

        } else {
            value_copy_string(w->arena, v, text,
                              (size_t) PQgetlength(res, 0, i));
        }
    }
}


/* in any thread; a line a second, however many ask */
static void
ask_log(const char *text)
{
    time_t  now, last;

    static time_t  logged;

    now = time(NULL);
    last = __atomic_load_n(&logged, __ATOMIC_RELAXED);

    if (now != last
        && __atomic_compare_exchange_n(&logged, &last, now, 0,
                                       __ATOMIC_RELAXED, __ATOMIC_RELAXED))
    {
        log_write(LOG_ERR, "tokens and sessions: the database: %s", text);
    }
}
