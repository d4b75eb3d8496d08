/*
 * daemon_keep: the text of the active configuration beside its segment, from
 * which a daemon that starts again has the same ids and, without a file, the
 * same configuration.  Writing it takes longer than all the rest of a small
 * change, so that a file's text waits for a moment of quiet, and nobody waits
 * for it.  A daemon that is killed before reads the file again.
 */

#include <stdlib.h>

#include "log.h"
#include "daemon_private.h"


static void keep_run(void *data);
static void keep_done(void *data);


void
daemon_keep_soon(daemon_t *d)
{
    struct timeval  tv;

    /* a database gives the same ids again: its text is for the Admin API
     * and the names of a node that starts without it */
    tv.tv_sec = (d->source != NULL) ? DAEMON_KEEP_DATABASE : DAEMON_KEEP;
    tv.tv_usec = 0;

    (void) evtimer_add(d->quiet, &tv);
}


void
daemon_keep_quiet(evutil_socket_t fd, short what, void *data)
{
    daemon_t  *d = data;

    (void) fd;
    (void) what;

    /* a slow disk has one text to write, not one of every change: each is of
     * a configuration that lives for as long */

    if (d->keeping != 0) {
        daemon_keep_soon(d);

    } else {
        (void) daemon_keep(d, NULL);
    }
}


int
daemon_keep(daemon_t *d, apply_t *a)
{
    daemon_keep_t  *k;

    k = calloc(1, sizeof(daemon_keep_t));
    if (k == NULL) {
        return -1;
    }

    k->store = d->store;
    k->daemon = d;
    k->apply = a;
    k->generation = d->active;
    generation_get(d->active);
    d->keeping++;

    k->job.run = keep_run;
    k->job.done = keep_done;
    k->job.data = k;

    offload_run(d->keep, &k->job);

    return 0;
}


/* in the keeping thread: the generation is complete and only read */
static void
keep_run(void *data)
{
    char           *text;
    size_t          len;
    arena_t        *arena;
    const char     *err;
    daemon_keep_t  *k = data;

    arena = arena_new();
    text = declarative_export(arena, k->generation->config, &len);

    if (store_write_source(k->store, k->generation->number, text, len, &err)
        == -1)
    {
        log_write(LOG_ERR, "the text of configuration %u is not kept for the "
                  "next start: %s", k->generation->number, err);
    }

    arena_free(arena);
}


static void
keep_done(void *data)
{
    daemon_keep_t  *k = data;

    generation_put(k->generation);
    k->daemon->keeping--;

    if (k->apply != NULL) {
        daemon_kept(k->apply);
    }

    free(k);
}
