/*
 * cache: /proxy-cache, which nginx's workers answer, since only they know
 * what they keep.  Here it is seen to that the caller may; then nginx goes on
 * with the location that has `kong_cache_admin`.  With a database the other
 * nodes hear of what is removed; that this can fail delays nobody.
 */

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../log.h"
#include "../source/source.h"
#include "http_private.h"
#include "router.h"


#define CACHE_LOCATION  "@kong_cache"
#define CACHE_KEY       64               /* hexadecimal digits */


typedef struct {
    database_job_t  job;
    char            payload[sizeof(SOURCE_PURGE) + CACHE_KEY];
    char            err[256];            /* "": all went well */
} cache_purge_t;

static void cache_tell(admin_request_t *r);
static void cache_purge(void *data, database_link_t *link);
static void cache_purged(void *data);


/* /proxy-cache[/{key}], /proxy-cache/{plugin}/caches/{key} */
void
cache_handle(admin_request_t *r)
{
    if (r->method == ADMIN_DELETE && r->settings != NULL && r->settings->used)
    {
        cache_tell(r);
    }

    (void) evhttp_add_header(evhttp_request_get_output_headers(r->req),
                             "X-Accel-Redirect", CACHE_LOCATION);
    admin_empty(r, 200);
}


static void
cache_tell(admin_request_t *r)
{
    size_t              i;
    const char         *key;
    admin_t            *a;
    cache_purge_t      *p;
    const admin_str_t  *last;

    a = r->admin;
    key = "all";

    if (r->n_segments > 1) {
        last = &r->segments[r->n_segments - 1];
        key = last->data;

        /* no key: there is nothing of that name anywhere */
        if (last->len != CACHE_KEY) {
            return;
        }
    }

    p = calloc(1, sizeof(cache_purge_t));
    if (p == NULL) {
        return;
    }

    snprintf(p->payload, sizeof(p->payload), SOURCE_PURGE "%s", key);

    for (i = 0; p->payload[i] != '\0'; i++) {
        p->payload[i] = (char) tolower((unsigned char) p->payload[i]);
    }

    p->job.run = cache_purge;
    p->job.done = cache_purged;
    p->job.data = p;
    p->job.settings = r->settings;

    database_settings_get(p->job.settings);

    if (database_run(a->database, &p->job, a->queries) == -1) {
        snprintf(p->err, sizeof(p->err), "too many requests wait for it");
        cache_purged(p);
    }
}


/* in a connection's thread */
static void
cache_purge(void *data, database_link_t *link)
{
    const char     *err;
    cache_purge_t  *p = data;
    const pg_arg_t  args[] = {
        { PG_TYPE_TEXT, SOURCE_CHANNEL }, { PG_TYPE_TEXT, p->payload }
    };

    if (database_link(link, p->job.settings, &err) == -1) {
        snprintf(p->err, sizeof(p->err), "%s", err);

    } else if (pg_run(link->pg, "SELECT pg_notify($1, $2)", args, 2) == -1) {
        snprintf(p->err, sizeof(p->err), "%s", pg_error(link->pg));
    }
}


static void
cache_purged(void *data)
{
    cache_purge_t  *p = data;

    if (p->err[0] != '\0') {
        log_write(LOG_ERR, "the other nodes keep what proxy-cache has removed "
                  "here: %s", p->err);
    }

    database_settings_put(p->job.settings);
    free(p);
}
