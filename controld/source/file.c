/*
 * file: inotify on the folder of the path and on that of what it points to,
 * and a look at the file each second for what inotify cannot see (links in
 * the middle of the path, network file systems, folders that come back).
 *
 * When to speak: the end of a write (close, rename, a link swapped) at once,
 * for what is there is complete; reading the same bytes again, should one
 * save end more than once, costs next to nothing.  A write without its end
 * (the writer keeps the file open) is taken after 100 ms of quiet, since the
 * rest of it is likely to follow, and half of a file may be a valid one.  A
 * file that never comes to rest is read each second all the same.
 */

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "file.h"


#define FILE_QUIET_OPEN    100     /* ms */
#define FILE_QUIET_MAX     1000
#define FILE_LOOK          1       /* s */

#define FILE_EVENTS  (IN_CLOSE_WRITE|IN_MODIFY|IN_MOVED_TO|IN_MOVED_FROM     \
                      |IN_CREATE|IN_DELETE|IN_ATTRIB|IN_DELETE_SELF          \
                      |IN_MOVE_SELF)

/* after these more is likely to come */
#define FILE_EVENTS_OPEN  (IN_MODIFY|IN_CREATE|IN_DELETE|IN_MOVED_FROM       \
                           |IN_ATTRIB)

#define FILE_FOLDERS  2


typedef enum {
    FILE_FOREIGN = 0,              /* the event does not concern us */
    FILE_OPEN,
    FILE_COMPLETE
} file_event_t;

typedef struct {
    dev_t            dev;
    ino_t            ino;
    off_t            size;
    struct timespec  mtime;
    struct timespec  ctime;
} file_mark_t;

typedef struct {
    char   *folder;
    char   *name;                  /* of the file in it */
    int     wd;                    /* -1: not watched now */
    dev_t   dev;                   /* of the folder that wd stands for */
    ino_t   ino;
} file_watch_t;

struct file_s {
    char             *path;
    int               fd;
    struct event     *event;
    struct event     *quiet;
    struct event     *look;
    file_watch_t      watches[FILE_FOLDERS];
    file_mark_t       mark;
    double            since;       /* the first event not told, 0: none */
    file_changed_pt   changed;
    void             *data;
};


static void file_watch_all(file_t *f);
static void file_watch(file_t *f, file_watch_t *w, const char *path);
static void file_unwatch(file_t *f, file_watch_t *w);
static void file_event(evutil_socket_t fd, short what, void *data);
static file_event_t file_kind(file_t *f, const struct inotify_event *ev);
static void file_postpone(file_t *f, unsigned ms);
static void file_quiet(evutil_socket_t fd, short what, void *data);
static void file_tell(file_t *f);
static void file_look(evutil_socket_t fd, short what, void *data);
static int file_moved(file_t *f);
static double file_now(void);


file_t *
file_new(struct event_base *base, const char *path, file_changed_pt changed,
    void *data)
{
    int             i;
    file_t         *f;
    struct timeval  tv;

    f = calloc(1, sizeof(file_t));
    if (f == NULL) {
        return NULL;
    }

    f->fd = -1;
    f->changed = changed;
    f->data = data;

    for (i = 0; i < FILE_FOLDERS; i++) {
        f->watches[i].wd = -1;
    }

    f->path = strdup(path);
    f->quiet = evtimer_new(base, file_quiet, f);
    f->look = event_new(base, -1, EV_PERSIST, file_look, f);

    tv.tv_sec = FILE_LOOK;
    tv.tv_usec = 0;

    if (f->path == NULL || f->quiet == NULL || f->look == NULL
        || event_add(f->look, &tv) == -1)
    {
        file_free(f);
        return NULL;
    }

    /* without inotify (its user's limit) the look each second remains */
    f->fd = inotify_init1(IN_NONBLOCK|IN_CLOEXEC);
    if (f->fd != -1) {
        f->event = event_new(base, f->fd, EV_READ|EV_PERSIST, file_event, f);
        if (f->event == NULL || event_add(f->event, NULL) == -1) {
            file_free(f);
            return NULL;
        }
    }

    file_watch_all(f);
    (void) file_moved(f);

    return f;
}


void
file_free(file_t *f)
{
    int  i;

    if (f == NULL) {
        return;
    }

    for (i = 0; i < FILE_FOLDERS; i++) {
        free(f->watches[i].folder);
        free(f->watches[i].name);
    }

    if (f->event != NULL) {
        event_free(f->event);
    }

    if (f->quiet != NULL) {
        event_free(f->quiet);
    }

    if (f->look != NULL) {
        event_free(f->look);
    }

    if (f->fd != -1) {
        (void) close(f->fd);
    }

    free(f->path);
    free(f);
}


const char *
file_path(const file_t *f)
{
    return f->path;
}


static void
file_watch_all(file_t *f)
{
    char  *real;

    if (f->fd == -1) {
        return;
    }

    file_watch(f, &f->watches[0], f->path);

    real = realpath(f->path, NULL);

    if (real != NULL) {
        file_watch(f, &f->watches[1], real);
        free(real);
    }
}


/* makes the watch stand for the folder that the path has now */
static void
file_watch(file_t *f, file_watch_t *w, const char *path)
{
    char         *one, *two, *folder, *name;
    struct stat   st;

    one = strdup(path);
    two = strdup(path);
    folder = (one == NULL) ? NULL : strdup(dirname(one));
    name = (two == NULL) ? NULL : strdup(basename(two));

    free(one);
    free(two);

    if (folder == NULL || name == NULL || stat(folder, &st) == -1) {
        free(folder);
        free(name);
        file_unwatch(f, w);
        return;
    }

    if (w->wd == -1 || w->dev != st.st_dev || w->ino != st.st_ino) {
        file_unwatch(f, w);

        w->wd = inotify_add_watch(f->fd, folder, FILE_EVENTS|IN_ONLYDIR);
        w->dev = st.st_dev;
        w->ino = st.st_ino;
    }

    free(w->folder);
    free(w->name);
    w->folder = folder;
    w->name = name;
}


static void
file_unwatch(file_t *f, file_watch_t *w)
{
    int  i, shared;

    if (w->wd == -1) {
        return;
    }

    /* two watches of one folder have one descriptor */
    shared = 0;

    for (i = 0; i < FILE_FOLDERS; i++) {
        if (&f->watches[i] != w && f->watches[i].wd == w->wd) {
            shared = 1;
        }
    }

    if (!shared) {
        (void) inotify_rm_watch(f->fd, w->wd);
    }

    w->wd = -1;
}


static void
file_event(evutil_socket_t fd, short what, void *data)
{
    char                        *p, *end;
    file_t                      *f = data;
    ssize_t                      n;
    file_event_t                 kind, last;
    const struct inotify_event  *ev;

    _Alignas(struct inotify_event) char  buf[8192];

    (void) what;

    last = FILE_FOREIGN;

    while ((n = read(fd, buf, sizeof(buf))) > 0) {

        end = buf + n;

        for (p = buf; p < end; p += sizeof(struct inotify_event) + ev->len) {
            ev = (const struct inotify_event *) (void *) p;
            kind = file_kind(f, ev);

            /* the last word counts: a close after a write ends it */
            if (kind != FILE_FOREIGN) {
                last = kind;
            }
        }
    }

    if (last == FILE_COMPLETE) {
        file_tell(f);

    } else if (last == FILE_OPEN) {
        file_postpone(f, FILE_QUIET_OPEN);
    }
}


static file_event_t
file_kind(file_t *f, const struct inotify_event *ev)
{
    int  i, ours;

    if (ev->mask & IN_Q_OVERFLOW) {
        return FILE_COMPLETE;
    }

    ours = 0;

    for (i = 0; i < FILE_FOLDERS; i++) {
        if (f->watches[i].wd != ev->wd) {
            continue;
        }

        if (ev->mask & (IN_IGNORED|IN_DELETE_SELF|IN_MOVE_SELF)) {
            if (ev->mask & IN_IGNORED) {
                f->watches[i].wd = -1;
            } else {
                file_unwatch(f, &f->watches[i]);
            }
            ours = 1;
            continue;
        }

        if (ev->len != 0 && strcmp(ev->name, f->watches[i].name) == 0) {
            ours = 1;
        }
    }

    /* another name: of interest if the path leads elsewhere now, as after
     * the swap of a link */
    if (!ours && ((ev->mask & IN_MODIFY) || !file_moved(f))) {
        return FILE_FOREIGN;
    }

    return (ev->mask & FILE_EVENTS_OPEN) ? FILE_OPEN : FILE_COMPLETE;
}


static void
file_postpone(file_t *f, unsigned ms)
{
    double          now, left;
    struct timeval  tv;

    now = file_now();

    if (f->since == 0) {
        f->since = now;
    }

    left = f->since + FILE_QUIET_MAX - now;
    if (ms > left) {
        ms = (left > 0) ? (unsigned) left : 0;
    }

    tv.tv_sec = 0;
    tv.tv_usec = ms * 1000;

    (void) evtimer_add(f->quiet, &tv);
}


static void
file_quiet(evutil_socket_t fd, short what, void *data)
{
    (void) fd;
    (void) what;

    file_tell(data);
}


static void
file_tell(file_t *f)
{
    (void) evtimer_del(f->quiet);

    f->since = 0;
    file_watch_all(f);
    (void) file_moved(f);

    f->changed(f->data);
}


static void
file_look(evutil_socket_t fd, short what, void *data)
{
    file_t  *f = data;

    (void) fd;
    (void) what;

    if (f->since != 0) {
        return;
    }

    file_watch_all(f);

    if (file_moved(f)) {
        file_postpone(f, FILE_QUIET_OPEN);
    }
}


/* 1 when the path leads to other bytes than at the last call */
static int
file_moved(file_t *f)
{
    file_mark_t  now;
    struct stat  st;

    memset(&now, 0, sizeof(file_mark_t));

    if (stat(f->path, &st) == 0) {
        now.dev = st.st_dev;
        now.ino = st.st_ino;
        now.size = st.st_size;
        now.mtime = st.st_mtim;
        now.ctime = st.st_ctim;
    }

    if (memcmp(&now, &f->mark, sizeof(file_mark_t)) == 0) {
        return 0;
    }

    f->mark = now;

    return 1;
}


/* ms */
static double
file_now(void)
{
    struct timespec  t;

    (void) clock_gettime(CLOCK_MONOTONIC, &t);

    return (double) t.tv_sec * 1e3 + (double) t.tv_nsec / 1e6;
}
