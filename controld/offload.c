/*
 * offload: a job queue, a thread and an eventfd back to the loop.
 */

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "offload.h"


typedef struct {
    offload_job_t   *first;
    offload_job_t  **last;
} offload_queue_t;

struct offload_s {
    pthread_t         thread;
    pthread_mutex_t   mutex;
    pthread_cond_t    cond;
    offload_queue_t   todo;
    offload_queue_t   ready;
    struct event     *event;
    int               fd;
    unsigned          stop;
};


static int offload_start(offload_t *o);
static void *offload_thread(void *data);
static void offload_ready(evutil_socket_t fd, short what, void *data);
static void offload_deliver(offload_t *o);
static void offload_push(offload_queue_t *q, offload_job_t *job);
static offload_job_t *offload_pop(offload_queue_t *q);


offload_t *
offload_new(struct event_base *base)
{
    offload_t  *o;

    o = calloc(1, sizeof(offload_t));
    if (o == NULL) {
        return NULL;
    }

    o->todo.last = &o->todo.first;
    o->ready.last = &o->ready.first;

    o->fd = eventfd(0, EFD_CLOEXEC|EFD_NONBLOCK);
    if (o->fd == -1) {
        goto failed;
    }

    o->event = event_new(base, o->fd, EV_READ|EV_PERSIST, offload_ready, o);
    if (o->event == NULL || event_add(o->event, NULL) == -1) {
        goto failed;
    }

    (void) pthread_mutex_init(&o->mutex, NULL);
    (void) pthread_cond_init(&o->cond, NULL);

    if (offload_start(o) == 0) {
        return o;
    }

failed:

    if (o->event != NULL) {
        event_free(o->event);
    }

    if (o->fd != -1) {
        (void) close(o->fd);
    }

    free(o);
    return NULL;
}


static int
offload_start(offload_t *o)
{
    int       rc;
    sigset_t  all, old;

    /* signals belong to the loop's thread */
    (void) sigfillset(&all);
    (void) pthread_sigmask(SIG_SETMASK, &all, &old);

    rc = pthread_create(&o->thread, NULL, offload_thread, o);

    (void) pthread_sigmask(SIG_SETMASK, &old, NULL);

    if (rc != 0) {
        errno = rc;
        return -1;
    }

    return 0;
}


void
offload_free(offload_t *o)
{
    if (o == NULL) {
        return;
    }

    (void) pthread_mutex_lock(&o->mutex);
    o->stop = 1;
    (void) pthread_cond_signal(&o->cond);
    (void) pthread_mutex_unlock(&o->mutex);

    (void) pthread_join(o->thread, NULL);

    offload_deliver(o);

    event_free(o->event);
    (void) close(o->fd);
    (void) pthread_cond_destroy(&o->cond);
    (void) pthread_mutex_destroy(&o->mutex);
    free(o);
}


void
offload_run(offload_t *o, offload_job_t *job)
{
    (void) pthread_mutex_lock(&o->mutex);
    offload_push(&o->todo, job);
    (void) pthread_cond_signal(&o->cond);
    (void) pthread_mutex_unlock(&o->mutex);
}


static void *
offload_thread(void *data)
{
    offload_t *o = data;

    uint64_t        one;
    offload_job_t  *job;

    one = 1;

    for ( ;; ) {
        (void) pthread_mutex_lock(&o->mutex);

        while (o->todo.first == NULL && !o->stop) {
            (void) pthread_cond_wait(&o->cond, &o->mutex);
        }

        job = offload_pop(&o->todo);

        (void) pthread_mutex_unlock(&o->mutex);

        if (job == NULL) {
            return NULL;
        }

        job->run(job->data);

        (void) pthread_mutex_lock(&o->mutex);
        offload_push(&o->ready, job);
        (void) pthread_mutex_unlock(&o->mutex);

        /* fails only when the counter is full: the loop is awake then */
        if (write(o->fd, &one, sizeof(one)) == -1) {
            continue;
        }
    }
}


static void
offload_ready(evutil_socket_t fd, short what, void *data)
{
    uint64_t  n;

    (void) what;

    if (read(fd, &n, sizeof(n)) == -1) {
        return;
    }

    offload_deliver(data);
}


static void
offload_deliver(offload_t *o)
{
    offload_job_t  *job;

    for ( ;; ) {
        (void) pthread_mutex_lock(&o->mutex);
        job = offload_pop(&o->ready);
        (void) pthread_mutex_unlock(&o->mutex);

        if (job == NULL) {
            return;
        }

        job->done(job->data);
    }
}


static void
offload_push(offload_queue_t *q, offload_job_t *job)
{
    job->next = NULL;
    *q->last = job;
    q->last = &job->next;
}


static offload_job_t *
offload_pop(offload_queue_t *q)
{
    offload_job_t  *job;

    job = q->first;
    if (job == NULL) {
        return NULL;
    }

    q->first = job->next;
    if (q->first == NULL) {
        q->last = &q->first;
    }

    return job;
}
