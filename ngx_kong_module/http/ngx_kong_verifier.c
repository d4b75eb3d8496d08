/*
 * A thread, a mutex around the job, and an eventfd that wakes the loop; see
 * ngx_kong_verifier.h.  Plain pthreads: nginx's own are not in every build.
 */

#include "ngx_kong_verifier.h"

#include <ngx_event.h>
#include <pthread.h>
#include <sys/eventfd.h>


#define NGX_KONG_VERIFIER_NICE  5
#define NGX_KONG_VERIFIER_POLL  1000       /* ms */

typedef enum {
    NGX_KONG_VERIFIER_IDLE = 0,
    NGX_KONG_VERIFIER_RUNNING,
    NGX_KONG_VERIFIER_DONE
} ngx_kong_verifier_state_e;

typedef struct {
    pthread_t                  thread;
    pthread_mutex_t            mutex;
    pthread_cond_t             cond;
    ngx_connection_t          *connection; /* of the eventfd; NULL: there is
                                              no thread */
    ngx_event_t                busy;
    ngx_fd_t                   fd;

    /* under the mutex */
    ngx_kong_verifier_state_e  state;
    ngx_uint_t                 stop;
    ngx_kong_verifier_pt       run;
    ngx_kong_verifier_pt       done;
    void                      *data;
} ngx_kong_verifier_t;


static ngx_int_t ngx_kong_verifier_init(void);
static ngx_int_t ngx_kong_verifier_create(void);
static void *ngx_kong_verifier_thread(void *data);
static void ngx_kong_verifier_event(ngx_event_t *ev);
static void ngx_kong_verifier_busy(ngx_event_t *ev);
static ngx_int_t ngx_kong_verifier_deliver(ngx_kong_verifier_t *v);


static ngx_kong_verifier_t  ngx_kong_verifier = {
    .mutex = PTHREAD_MUTEX_INITIALIZER,
    .cond = PTHREAD_COND_INITIALIZER,
};


ngx_int_t
ngx_kong_verifier_start(ngx_kong_verifier_pt run, ngx_kong_verifier_pt done,
    void *data)
{
    ngx_int_t             rc;
    ngx_kong_verifier_t  *v;

    v = &ngx_kong_verifier;

    if (v->connection == NULL && ngx_kong_verifier_init() != NGX_OK) {
        return NGX_DECLINED;
    }

    rc = NGX_DECLINED;

    (void) pthread_mutex_lock(&v->mutex);

    if (v->state == NGX_KONG_VERIFIER_IDLE) {
        v->state = NGX_KONG_VERIFIER_RUNNING;
        v->run = run;
        v->done = done;
        v->data = data;
        (void) pthread_cond_signal(&v->cond);
        rc = NGX_OK;
    }

    (void) pthread_mutex_unlock(&v->mutex);

    if (rc == NGX_OK) {
        ngx_add_timer(&v->busy, NGX_KONG_VERIFIER_POLL);
    }

    return rc;
}


static ngx_int_t
ngx_kong_verifier_init(void)
{
    ngx_connection_t     *c;
    ngx_kong_verifier_t  *v;

    v = &ngx_kong_verifier;

    v->fd = eventfd(0, EFD_NONBLOCK|EFD_CLOEXEC);
    if (v->fd == -1) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, ngx_errno,
                      "eventfd() failed, segments are verified without a "
                      "thread");
        return NGX_ERROR;
    }

    c = ngx_get_connection(v->fd, ngx_cycle->log);
    if (c == NULL) {
        (void) close(v->fd);
        return NGX_ERROR;
    }

    c->data = v;
    c->read->handler = ngx_kong_verifier_event;
    c->read->log = ngx_cycle->log;

    v->busy.handler = ngx_kong_verifier_busy;
    v->busy.log = ngx_cycle->log;
    v->busy.data = c;

    if (ngx_handle_read_event(c->read, 0) != NGX_OK
        || ngx_kong_verifier_create() != NGX_OK)
    {
        ngx_close_connection(c);
        return NGX_ERROR;
    }

    v->connection = c;

    return NGX_OK;
}


static ngx_int_t
ngx_kong_verifier_create(void)
{
    int       rc;
    sigset_t  all, old;

    /* signals belong to the loop's thread */
    (void) sigfillset(&all);
    (void) pthread_sigmask(SIG_SETMASK, &all, &old);

    rc = pthread_create(&ngx_kong_verifier.thread, NULL,
                        ngx_kong_verifier_thread, &ngx_kong_verifier);

    (void) pthread_sigmask(SIG_SETMASK, &old, NULL);

    if (rc != 0) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, rc,
                      "pthread_create() failed, segments are verified without "
                      "a thread");
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void *
ngx_kong_verifier_thread(void *data)
{
    ngx_kong_verifier_t *v = data;

    uint64_t  one;

    one = 1;

    /*
     * Where CPUs are short, and where the worker is bound to one, traffic goes
     * first: five steps below the loop, whatever the workers' priority is.
     * That still is a quarter of a CPU beside a loop that never rests, so that
     * a publish is late by some ten milliseconds and not by seconds.
     * (Linux keeps the value by thread.)
     */
    (void) setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0)
                                        + NGX_KONG_VERIFIER_NICE);
    (void) pthread_setname_np(pthread_self(), "kong-verifier");

    (void) pthread_mutex_lock(&v->mutex);

    for ( ;; ) {

        while (v->state != NGX_KONG_VERIFIER_RUNNING && !v->stop) {
            (void) pthread_cond_wait(&v->cond, &v->mutex);
        }

        if (v->stop) {
            break;
        }

        (void) pthread_mutex_unlock(&v->mutex);

        v->run(v->data);

        (void) pthread_mutex_lock(&v->mutex);
        v->state = NGX_KONG_VERIFIER_DONE;

        /* a counter that is full would wake the loop as well */
        (void) !write(v->fd, &one, sizeof(one));
    }

    (void) pthread_mutex_unlock(&v->mutex);

    return NULL;
}


static void
ngx_kong_verifier_event(ngx_event_t *ev)
{
    uint64_t           n;
    ngx_connection_t  *c;

    c = ev->data;

    /* worker_shutdown_timeout calls all handlers: there may be nothing */
    (void) !read(c->fd, &n, sizeof(n));

    ev->ready = 0;

    if (ngx_handle_read_event(ev, 0) != NGX_OK) {
        ngx_log_error(NGX_LOG_ALERT, ev->log, 0,
                      "the verifier's event could not be added");
    }

    (void) ngx_kong_verifier_deliver(c->data);
}


/* a worker that shuts down goes once it has no timers: not before done() */
static void
ngx_kong_verifier_busy(ngx_event_t *ev)
{
    ngx_connection_t  *c;

    c = ev->data;

    if (ngx_kong_verifier_deliver(c->data) != NGX_OK) {
        ngx_add_timer(ev, NGX_KONG_VERIFIER_POLL);
    }
}


static ngx_int_t
ngx_kong_verifier_deliver(ngx_kong_verifier_t *v)
{
    void                       *data;
    ngx_kong_verifier_pt        done;
    ngx_kong_verifier_state_e   state;

    (void) pthread_mutex_lock(&v->mutex);

    state = v->state;
    done = v->done;
    data = v->data;

    if (state == NGX_KONG_VERIFIER_DONE) {
        v->state = NGX_KONG_VERIFIER_IDLE;
    }

    (void) pthread_mutex_unlock(&v->mutex);

    if (state != NGX_KONG_VERIFIER_DONE) {
        return NGX_AGAIN;
    }

    if (v->busy.timer_set) {
        ngx_del_timer(&v->busy);
    }

    done(data);

    return NGX_OK;
}


void
ngx_kong_verifier_exit(void)
{
    struct timespec       until;
    ngx_kong_verifier_t  *v;

    v = &ngx_kong_verifier;

    if (v->connection == NULL) {
        return;
    }

    (void) pthread_mutex_lock(&v->mutex);
    v->stop = 1;
    (void) pthread_cond_signal(&v->cond);
    (void) pthread_mutex_unlock(&v->mutex);

    (void) clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec++;

    /* one that is in the midst of a job ends with the process */
    if (pthread_timedjoin_np(v->thread, NULL, &until) == 0) {
        ngx_close_connection(v->connection);
        v->connection = NULL;
    }
}
