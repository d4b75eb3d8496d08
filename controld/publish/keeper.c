/*
 * keeper: see keeper.h.  Lists are touched by the loop's thread alone; the
 * keeper's thread reads the pair under way and writes its outcome.
 */

#include <stdio.h>
#include <stdlib.h>

#include "keeper.h"


struct keeper_s {
    store_t        *store;
    offload_t      *thread;
    offload_job_t   job;
    keep_t         *now;             /* under way, with those it replaced */
    keep_t         *next;
    int             rc;
    char            err[512];
};


static void keeper_begin(keeper_t *k);
static void keeper_run(void *data);
static void keeper_done(void *data);
static void keeper_tell(keeper_t *k);


keeper_t *
keeper_new(store_t *store, offload_t *thread)
{
    keeper_t  *k;

    k = calloc(1, sizeof(keeper_t));
    if (k == NULL) {
        return NULL;
    }

    k->store = store;
    k->thread = thread;

    return k;
}


void
keeper_free(keeper_t *k)
{
    if (k == NULL) {
        return;
    }

    if (k->now == NULL) {
        k->now = k->next;
        k->next = NULL;
    }

    while (k->now != NULL) {
        keeper_run(k);
        keeper_tell(k);
        k->now = k->next;
        k->next = NULL;
    }

    free(k);
}


void
keeper_keep(keeper_t *k, keep_t *keep)
{
    if (k->next != NULL) {
        store_unstage_current(k->store, k->next->config, k->next->endpoints);
    }

    keep->next = k->next;
    k->next = keep;

    if (k->now == NULL) {
        keeper_begin(k);
    }
}


static void
keeper_begin(keeper_t *k)
{
    k->now = k->next;
    k->next = NULL;

    k->job.run = keeper_run;
    k->job.done = keeper_done;
    k->job.data = k;

    offload_run(k->thread, &k->job);
}


static void
keeper_run(void *data)
{
    const char  *err;
    keeper_t    *k = data;

    k->rc = store_set_current(k->store, k->now->config, k->now->endpoints,
                              &err);

    if (k->rc == -1) {
        (void) snprintf(k->err, sizeof(k->err), "%s", err);
        return;
    }

    store_trim(k->store, STORE_HISTORY);
}


static void
keeper_done(void *data)
{
    keeper_t  *k = data;

    keeper_tell(k);

    if (k->now == NULL && k->next != NULL) {
        keeper_begin(k);
    }
}


static void
keeper_tell(keeper_t *k)
{
    keep_t  *keep, *next;

    keep = k->now;
    k->now = NULL;

    for ( ; keep != NULL; keep = next) {
        next = keep->next;
        keep->done(keep, k->rc, k->rc == -1 ? k->err : NULL);
    }
}
