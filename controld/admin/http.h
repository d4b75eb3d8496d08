/*
 * http: one request of the Admin API from its first byte to its answer.
 * Handlers fill the answer in; where they run (in the loop or in the offload
 * thread) is decided here, so that neither a large body nor a large answer
 * holds up anybody else.
 */

#ifndef KONG_ADMIN_HTTP_H
#define KONG_ADMIN_HTTP_H

#include <time.h>
#include <event2/http.h>

#include "admin.h"
#include "dao.h"


#define ADMIN_GET      0x01
#define ADMIN_HEAD     0x02
#define ADMIN_POST     0x04
#define ADMIN_PUT      0x08
#define ADMIN_PATCH    0x10
#define ADMIN_DELETE   0x20
#define ADMIN_OPTIONS  0x40

#define ADMIN_SEGMENTS_MAX  8


typedef struct admin_request_s  admin_request_t;
typedef struct admin_route_s    admin_route_t;

typedef void (*admin_handler_pt)(admin_request_t *r);
typedef void (*admin_database_pt)(admin_request_t *r, dao_t *d);

typedef struct debug_s  debug_t;

typedef struct {
    const char  *data;
    size_t       len;
} admin_str_t;

struct admin_request_s {
    admin_t               *admin;
    arena_t               *arena;
    struct evhttp_request *req;          /* NULL: the client has gone */
    const admin_route_t   *route;
    unsigned               method;       /* ADMIN_*, HEAD comes as GET */
    unsigned               head:1;
    unsigned               suspended:1;  /* answered later, by admin_reply() */

    const char            *path;         /* as sent, without the query */
    const char            *query;        /* as sent, or NULL */
    admin_str_t            segments[ADMIN_SEGMENTS_MAX];   /* decoded */
    size_t                 n_segments;
    value_t                args;         /* of the query: string or array */
    const char            *content_type; /* or NULL */
    const char            *body;         /* NUL-terminated */
    size_t                 body_len;

    generation_t          *generation;   /* what was served; may be NULL */

    /* of the database mode */
    database_settings_t   *settings;
    database_job_t         database;
    admin_database_pt      asker;        /* that its thread runs */
    struct event          *timer;        /* of the answer */
    const char            *plugin;       /* whose config a form has */
    const value_t         *parent;       /* of a nested path, when found */
    value_t               *held;         /* for the route's then() */
    const char            *actor;        /* who asks, for the audit log */
    char                   before[17];   /* hashes of what was written */
    char                   after[17];
    unsigned               wrote:1;
    unsigned               waits:1;      /* the client asked for it */
    int64_t                version;      /* of the write; -1: not known */
    admin_request_t       *next;         /* that waits for a generation */
    int64_t                until;        /* ms; then it waits no longer */
    uint32_t               number;       /* of that generation; 0: not known */

    /* the answer */
    int                    status;
    const char            *type;
    const char            *out;
    size_t                 out_len;
    unsigned               retry_after;

    struct timespec        began;
    offload_job_t          job;
    admin_handler_pt       handler;      /* that the thread runs */
    void                  *data;         /* of a suspended handler */
};


const admin_host_t *admin_host(const admin_t *a);
struct event_base *admin_base(const admin_t *a);
const char *admin_prefix(const admin_t *a);
const struct router_s *admin_router(const admin_t *a);
debug_t *admin_debug(const admin_t *a);

/* answers, for handlers */
void admin_json(admin_request_t *r, int status, const value_t *body);
void admin_text(admin_request_t *r, int status, const char *type,
    const char *text, size_t len);
void admin_message(admin_request_t *r, int status, const char *message);
void admin_empty(admin_request_t *r, int status);
/* runs the handler in a thread with a connection, then sends the answer */
void admin_database(admin_request_t *r, admin_database_pt handler);
/* runs the handler in the offload thread; the answer is sent after it */
void admin_offload(admin_request_t *r, admin_handler_pt handler);
/* the log's line of a write */
void admin_audit(admin_request_t *r);
/* the handler has run: its answer is sent, or completed and then sent */
void admin_done(admin_request_t *r);
/* sends what a suspended handler has filled in and ends the request */
void admin_reply(admin_request_t *r);

/* the argument as text, or NULL; of several the last */
const char *admin_arg(const admin_request_t *r, const char *name);
/* "1", "true", "on", "yes" */
unsigned admin_arg_true(const admin_request_t *r, const char *name);
/* percent-decoding into the request's arena; `plus`: "+" is a space */
admin_str_t admin_decode(arena_t *a, const char *p, size_t len,
    unsigned plus);
/* name=value&...: repeated names become arrays; -1: too many */
int admin_parse_args(arena_t *a, const char *p, size_t len, value_t *out);
unsigned admin_type_is(const admin_request_t *r, const char *type);

#endif
