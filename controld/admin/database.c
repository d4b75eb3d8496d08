/*
 * database: the threads and their queue.
 */

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "database.h"


#define DATABASE_THREADS  16             /* at most */
#define DATABASE_WAITING  1024           /* jobs */
#define DATABASE_IDLE     10             /* s, then a thread ends */
#define DATABASE_ARENA    (1024 * 1024)  /* then a connection is renewed */


typedef enum {
    DATABASE_NONE = 0,
    DATABASE_RUNS,
    DATABASE_ENDED                       /* to be joined */
} database_state_t;

typedef struct {
    database_t        *pool;
    pthread_t          thread;
    database_state_t   state;
} database_thread_t;

typedef struct {
    database_job_t    *first;
    database_job_t   **last;
} database_queue_t;

struct database_s {
    pthread_mutex_t     mutex;
    pthread_cond_t      cond;
    database_queue_t    todo;
    database_queue_t    ready;
    unsigned            waiting;         /* jobs in todo */
    unsigned            idle;            /* threads */
    int                 stop;
    int                 fd;
    struct event       *event;
    database_thread_t   threads[DATABASE_THREADS];
};


static void database_copy(database_settings_t *s, const conf_t *c);
static const char *database_text(arena_t *a, const char *text);
static int database_thread_start(database_t *p, unsigned max);
static void *database_thread(void *data);
static database_job_t *database_next(database_t *p);
static void database_ready(evutil_socket_t fd, short what, void *data);
static void database_deliver(database_t *p);
static void database_push(database_queue_t *q, database_job_t *job);
static database_job_t *database_pop(database_queue_t *q);


database_settings_t *
database_settings(const conf_t *c)
{
    arena_t              *a;
    const char           *name;
    database_settings_t  *s;

    static unsigned  serial;

    a = arena_new();
    s = arena_zalloc(a, sizeof(database_settings_t));
    s->arena = a;
    s->refs = 1;
    s->serial = ++serial;

    name = conf_str(c, "database");
    s->used = (name != NULL && strcmp(name, "postgres") == 0);
    database_copy(s, c);

    return s;
}


static void
database_copy(database_settings_t *s, const conf_t *c)
{
    size_t           i, n;
    arena_t         *a;
    pg_host_t       *hosts;
    const char      *err, **names;
    pg_settings_t   *pg;

    const plugin_schema_t *const  *all;

    a = s->arena;
    pg = &s->pg;
    s->router_flavor = database_text(a, conf_str(c, "router_flavor"));
    all = schema_plugins;

    for (n = 0; all[n] != NULL; n++) { /* void */ }

    names = arena_zalloc(a, (n + 1) * sizeof(char *));
    s->plugins = names;

    for (i = 0; i < n; i++) {
        if (conf_plugin_enabled(c, all[i])) {
            *names++ = all[i]->schema.name;
        }
    }

    if (!s->used) {
        return;
    }

    if (pg_settings(a, c, 0, pg, &err) == -1) {
        s->error = database_text(a, err);
        return;
    }

    hosts = arena_alloc(a, pg->n_hosts * sizeof(pg_host_t));

    for (i = 0; i < pg->n_hosts; i++) {
        hosts[i].name = database_text(a, pg->hosts[i].name);
        hosts[i].port = database_text(a, pg->hosts[i].port);
    }

    pg->hosts = hosts;
    pg->user = database_text(a, pg->user);
    pg->password = database_text(a, pg->password);
    pg->database = database_text(a, pg->database);
    pg->schema = database_text(a, pg->schema);
    pg->sslmode = database_text(a, pg->sslmode);
    pg->sslrootcert = database_text(a, pg->sslrootcert);
}


static const char *
database_text(arena_t *a, const char *text)
{
    return (text == NULL) ? NULL : arena_strndup(a, text, strlen(text));
}


void
database_settings_get(database_settings_t *s)
{
    s->refs++;
}


void
database_settings_put(database_settings_t *s)
{
    if (s != NULL && --s->refs == 0) {
        arena_free(s->arena);
    }
}


database_t *
database_new(struct event_base *base)
{
    database_t          *p;
    pthread_condattr_t   attr;

    p = calloc(1, sizeof(database_t));
    if (p == NULL) {
        return NULL;
    }

    p->todo.last = &p->todo.first;
    p->ready.last = &p->ready.first;
    p->fd = eventfd(0, EFD_CLOEXEC|EFD_NONBLOCK);

    if (p->fd != -1) {
        p->event = event_new(base, p->fd, EV_READ|EV_PERSIST, database_ready,
                             p);
    }

    if (p->event == NULL || event_add(p->event, NULL) == -1) {
        if (p->event != NULL) {
            event_free(p->event);
        }

        if (p->fd != -1) {
            (void) close(p->fd);
        }

        free(p);
        return NULL;
    }

    (void) pthread_mutex_init(&p->mutex, NULL);
    (void) pthread_condattr_init(&attr);
    (void) pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void) pthread_cond_init(&p->cond, &attr);
    (void) pthread_condattr_destroy(&attr);

    return p;
}


void
database_free(database_t *p)
{
    size_t  i;

    if (p == NULL) {
        return;
    }

    (void) pthread_mutex_lock(&p->mutex);
    __atomic_store_n(&p->stop, 1, __ATOMIC_RELAXED);
    (void) pthread_cond_broadcast(&p->cond);
    (void) pthread_mutex_unlock(&p->mutex);

    for (i = 0; i < DATABASE_THREADS; i++) {
        if (p->threads[i].state != DATABASE_NONE) {
            (void) pthread_join(p->threads[i].thread, NULL);
        }
    }

    database_deliver(p);

    event_free(p->event);
    (void) close(p->fd);
    (void) pthread_cond_destroy(&p->cond);
    (void) pthread_mutex_destroy(&p->mutex);
    free(p);
}


int
database_run(database_t *p, database_job_t *job, unsigned max)
{
    int  rc;

    if (max == 0 || max > DATABASE_THREADS) {
        max = DATABASE_THREADS;
    }

    (void) pthread_mutex_lock(&p->mutex);

    rc = (p->waiting < DATABASE_WAITING) ? 0 : -1;

    if (rc == 0 && p->idle <= p->waiting) {
        rc = database_thread_start(p, max);
    }

    if (rc == 0) {
        job->settings->pg.stop = &p->stop;
        database_push(&p->todo, job);
        p->waiting++;
        (void) pthread_cond_signal(&p->cond);
    }

    (void) pthread_mutex_unlock(&p->mutex);

    return rc;
}


/* one more, unless there are enough; -1 when there is none at all */
static int
database_thread_start(database_t *p, unsigned max)
{
    int                 rc;
    size_t              i;
    sigset_t            all, old;
    unsigned            running;
    database_thread_t  *t, *slot;

    running = 0;
    slot = NULL;

    for (i = 0; i < DATABASE_THREADS; i++) {
        t = &p->threads[i];

        if (t->state == DATABASE_ENDED) {
            (void) pthread_join(t->thread, NULL);
            t->state = DATABASE_NONE;
        }

        if (t->state == DATABASE_RUNS) {
            running++;

        } else if (slot == NULL) {
            slot = t;
        }
    }

    if (running >= max || slot == NULL) {
        return 0;
    }

    slot->pool = p;

    /* signals belong to the loop's thread */
    (void) sigfillset(&all);
    (void) pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(&slot->thread, NULL, database_thread, slot);
    (void) pthread_sigmask(SIG_SETMASK, &old, NULL);

    if (rc != 0) {
        return (running != 0) ? 0 : -1;
    }

    slot->state = DATABASE_RUNS;

    return 0;
}


static void *
database_thread(void *data)
{
    uint64_t            one;
    database_t         *p;
    database_job_t     *job;
    database_link_t     link;
    database_thread_t  *self = data;

    one = 1;
    p = self->pool;
    memset(&link, 0, sizeof(link));

    for ( ;; ) {
        job = database_next(p);

        if (job == NULL) {
            break;
        }

        /* a new address, or a copy of the old settings: connect again */

        if (link.pg != NULL && (link.serial != job->settings->serial
                                || link.arena->used > DATABASE_ARENA))
        {
            database_link_close(&link);
        }

        job->run(job->data, &link);

        (void) pthread_mutex_lock(&p->mutex);
        database_push(&p->ready, job);
        (void) pthread_mutex_unlock(&p->mutex);

        /* fails only when the counter is full: the loop is awake then */
        if (write(p->fd, &one, sizeof(one)) == -1) {
            continue;
        }
    }

    database_link_close(&link);

    (void) pthread_mutex_lock(&p->mutex);
    self->state = DATABASE_ENDED;
    (void) pthread_mutex_unlock(&p->mutex);

    return NULL;
}


/* NULL when the thread has been idle for long */
static database_job_t *
database_next(database_t *p)
{
    int               rc;
    database_job_t   *job;
    struct timespec   until;

    (void) clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += DATABASE_IDLE;
    rc = 0;

    (void) pthread_mutex_lock(&p->mutex);
    p->idle++;

    while (p->todo.first == NULL && !p->stop && rc != ETIMEDOUT) {
        rc = pthread_cond_timedwait(&p->cond, &p->mutex, &until);
    }

    p->idle--;
    job = database_pop(&p->todo);

    if (job != NULL) {
        p->waiting--;
    }

    (void) pthread_mutex_unlock(&p->mutex);

    return job;
}


static void
database_ready(evutil_socket_t fd, short what, void *data)
{
    uint64_t  n;

    (void) what;

    if (read(fd, &n, sizeof(n)) == -1) {
        return;
    }

    database_deliver(data);
}


static void
database_deliver(database_t *p)
{
    database_job_t  *job;

    for ( ;; ) {
        (void) pthread_mutex_lock(&p->mutex);
        job = database_pop(&p->ready);
        (void) pthread_mutex_unlock(&p->mutex);

        if (job == NULL) {
            return;
        }

        job->done(job->data);
    }
}


static void
database_push(database_queue_t *q, database_job_t *job)
{
    job->next = NULL;
    *q->last = job;
    q->last = &job->next;
}


static database_job_t *
database_pop(database_queue_t *q)
{
    database_job_t  *job;

    job = q->first;

    if (job != NULL) {
        q->first = job->next;

        if (q->first == NULL) {
            q->last = &q->first;
        }
    }

    return job;
}


int
database_link(database_link_t *l, const database_settings_t *s,
    const char **err)
{
    size_t     n;
    PGresult  *res;

    if (l->pg != NULL && pg_alive(l->pg)) {
        return 0;
    }

    database_link_close(l);

    if (s->error != NULL) {
        *err = s->error;
        return -1;
    }

    for (n = 0; schema_entities[n] != NULL; n++) { /* void */ }

    l->arena = arena_new();
    l->serial = s->serial;
    l->version = 1;
    l->kinds = arena_zalloc(l->arena, n * sizeof(rows_kind_t *));
    l->pg = pg_open(l->arena, &s->pg, PG_WRITABLE, err);

    if (l->pg == NULL) {
        return -1;
    }

    res = pg_query(l->pg, "SELECT id FROM workspaces WHERE name = 'default'",
                   NULL, 0);

    if (res == NULL) {
        *err = pg_error(l->pg);
        goto failed;
    }

    if (PQntuples(res) == 1 && PQgetlength(res, 0, 0) == 36) {
        memcpy(l->ws_id, PQgetvalue(res, 0, 0), 37);
        PQclear(res);
        return 0;
    }

    PQclear(res);
    *err = "the database has no default workspace; run `kong migrations "
           "bootstrap`";

failed:

    pg_close(l->pg);
    l->pg = NULL;

    return -1;
}


/* *err of a failed database_link() dies with it */
void
database_link_close(database_link_t *l)
{
    pg_close(l->pg);
    arena_free(l->arena);
    memset(l, 0, sizeof(database_link_t));
}
