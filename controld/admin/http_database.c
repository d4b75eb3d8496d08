/*
 * http_database: requests that need the database: given to a connection's
 * thread, answered in time whatever it does, noted when they have written.
 */

#include <string.h>
#include <event2/buffer.h>

#include "../cli/cli.h"
#include "../log.h"
#include "http_private.h"


#define ADMIN_TRIES  3               /* of a deadlocked transaction */


static void admin_query(void *data, database_link_t *link);
static void admin_queried(void *data);
static void admin_late(evutil_socket_t fd, short what, void *data);


void
admin_database(admin_request_t *r, admin_database_pt handler)
{
    admin_t         *a;
    struct timeval   tv;

    a = r->admin;
    r->suspended = 1;
    r->asker = handler;
    r->database.run = admin_query;
    r->database.done = admin_queried;
    r->database.data = r;
    r->database.settings = r->settings;

    tv.tv_sec = (time_t) r->settings->pg.timeout;
    tv.tv_usec = (suseconds_t) ((r->settings->pg.timeout - tv.tv_sec) * 1e6);

    r->timer = evtimer_new(a->base, admin_late, r);

    if (r->timer == NULL || evtimer_add(r->timer, &tv) == -1
        || database_run(a->database, &r->database, a->queries) == -1)
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

    admin_done(r);
}


/* who, what, and hashes of how it was and is */
void
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
