/*
 * offload: one thread that does what would block the loop (parsing a large
 * file, fsync).  Jobs run in the order given.  The main thread owns a job
 * before offload_run() and again from done() on; in between only run() may
 * touch it, so that nothing is shared and nothing is locked but the queue.
 */

#ifndef KONG_OFFLOAD_H
#define KONG_OFFLOAD_H

#include <event2/event.h>


typedef struct offload_s      offload_t;
typedef struct offload_job_s  offload_job_t;

/* embedded in the caller's own job; done() may free it */
struct offload_job_s {
    void           (*run)(void *data);    /* in the thread */
    void           (*done)(void *data);   /* in the loop */
    void            *data;
    offload_job_t   *next;
};


/* NULL: errno is set */
offload_t *offload_new(struct event_base *base);
/* finishes what was given, calls every done(), ends the thread */
void offload_free(offload_t *o);
void offload_run(offload_t *o, offload_job_t *job);

#endif
