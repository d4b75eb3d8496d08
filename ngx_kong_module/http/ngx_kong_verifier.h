/*
 * The verifier: a thread of this worker that reads segments while the event
 * loop serves.  It has one job at a time, and knows nothing but that job: not
 * nginx's pools, its log, its time.
 */

#ifndef NGX_KONG_VERIFIER_H
#define NGX_KONG_VERIFIER_H

#include <ngx_config.h>
#include <ngx_core.h>


typedef void (*ngx_kong_verifier_pt)(void *data);

/*
 * run() is called in the thread, then done() in the loop, never from within.
 * NGX_DECLINED: there is no thread, or it has a job; the caller does the work
 * itself.  The thread is made by the first job; a worker that shuts down
 * waits for the one under way.
 */
ngx_int_t ngx_kong_verifier_start(ngx_kong_verifier_pt run,
    ngx_kong_verifier_pt done, void *data);

/* the end of the worker: waits for a job for a second at most, whose done()
 * is not called any more */
void ngx_kong_verifier_exit(void);

#endif
