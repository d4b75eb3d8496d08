/*
 * store: files of segments, their generations and `current`.
 *
 * A file appears under its name only when all of its bytes are written, and
 * names are never used twice by one store, so that a killed writer leaves
 * whole files and at most a few temporary ones, which the next store_open()
 * removes.  Bytes reach the disk before `current` names them, but not before
 * they are served: a machine that crashes in between may leave a damaged file
 * that nothing names and that no reader's checksum lets pass.
 *
 * A file of pages is nothing without the whole segment beneath it: that goes
 * to the disk with it, and stays as long as it does.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "pages.h"
#include "store.h"


#define STORE_TEMP         ".tmp."
#define STORE_LOCK         ".lock"
#define STORE_LOCK_WAIT    5000        /* ms: a predecessor that is ending */
#define STORE_LOCK_STEP    20
#define STORE_NAME         48
#define STORE_LARGE        (256 * 1024)

/* kinds of files; the first two are kong_segment_kind_t */
#define STORE_SOURCE       3
#define STORE_KINDS        4


struct store_s {
    int        dir;
    int        lock;
    mode_t     mode;
    gid_t      gid;
    uint32_t   next[STORE_KINDS];
    uint32_t   config;                 /* of `current` */
    uint32_t   endpoints;
    uint32_t   synced;                 /* a base that is on the disk */
};

typedef struct {
    uint32_t  *items;
    size_t     n;
    size_t     cap;
    unsigned   failed;                 /* out of memory: some are missing */
} store_list_t;

static const char *const  store_suffix[STORE_KINDS] = {
    NULL, "config", "endpoints", "source"
};


static int store_open_dir(store_t *s, const char *prefix, const char **err);
static int store_lock(store_t *s, const char **err);
static int store_scan(store_t *s, const char **err);
static void store_read_current(store_t *s);
static int store_put(store_t *s, const char *name, mode_t mode,
    const void *data, size_t len, const char **err);
static int store_put_temp(store_t *s, const char *temp, mode_t mode,
    const void *data, size_t len, const char **err);
static int store_fill(int fd, const char *data, size_t len);
static int store_rename(store_t *s, const char *temp, const char *name,
    const char **err);
static int store_sync(store_t *s, const char *name, const char **err);
static char *store_load(store_t *s, const char *name, size_t *len);
static int store_file(store_t *s, kong_segment_kind_t kind,
    uint32_t generation, segment_buf_t *out, const char **err);
static uint32_t store_base(store_t *s, uint32_t generation);
static int store_parse(const char *name, unsigned *kind, uint32_t *generation);
static void store_name(char *name, unsigned kind, uint32_t generation);
static void store_staged(char *temp, uint32_t config, uint32_t endpoints);
static void store_bases(store_t *s, unsigned kind, const store_list_t *list,
    unsigned keep, uint32_t current, store_list_t *bases);
static unsigned store_in(const store_list_t *list, uint32_t generation);
static void store_add(store_list_t *list, uint32_t generation);
static void store_list(store_t *s, unsigned kind, store_list_t *list);
static int store_has(store_t *s, unsigned kind, uint32_t generation);
static int store_newer(const void *one, const void *two);
static const char *store_error(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));


store_t *
store_open(const char *prefix, const char **err)
{
    store_t  *s;

    s = calloc(1, sizeof(store_t));
    if (s == NULL) {
        *err = "out of memory";
        return NULL;
    }

    s->dir = -1;
    s->lock = -1;

    if (store_open_dir(s, prefix, err) == -1
        || store_lock(s, err) == -1
        || store_scan(s, err) == -1)
    {
        store_close(s);
        return NULL;
    }

    store_read_current(s);

    return s;
}


void
store_close(store_t *s)
{
    if (s == NULL) {
        return;
    }

    /* closing gives the lock back; the file stays, for others may wait */
    if (s->lock != -1) {
        (void) close(s->lock);
    }

    if (s->dir != -1) {
        (void) close(s->dir);
    }

    free(s);
}


uint32_t
store_next(store_t *s, kong_segment_kind_t kind)
{
    return s->next[kind]++;
}


uint32_t
store_peek(const store_t *s, kong_segment_kind_t kind)
{
    return s->next[kind];
}


int
store_write(store_t *s, kong_segment_kind_t kind, uint32_t generation,
    const segment_buf_t *buf, const char **err)
{
    char  name[STORE_NAME];

    store_name(name, kind, generation);

    return store_put(s, name, s->mode, buf->data, buf->size, err);
}


int
store_read(store_t *s, kong_segment_kind_t kind, uint32_t generation,
    segment_buf_t *out, const char **err)
{
    uint32_t           under;
    segment_buf_t      base;
    kong_segment_rc_t  rc;

    if (store_file(s, kind, generation, out, err) == -1) {
        return -1;
    }

    under = pages_base(out, kind);

    if (under == 0) {
        return 0;
    }

    if (store_file(s, kind, under, &base, err) == -1) {
        segment_buf_release(out);
        return -1;
    }

    rc = pages_apply(out, &base);
    segment_buf_release(&base);

    if (rc != KONG_SEGMENT_OK) {
        *err = store_error("snapshots/%" PRIu32 ".%s: %s", generation,
                           store_suffix[kind], kong_segment_strerror(rc));
        segment_buf_release(out);
        return -1;
    }

    return 0;
}


static int
store_file(store_t *s, kong_segment_kind_t kind, uint32_t generation,
    segment_buf_t *out, const char **err)
{
    char  name[STORE_NAME];

    store_name(name, kind, generation);

    out->refs = NULL;
    out->data = (uint8_t *) store_load(s, name, &out->size);

    if (out->data == NULL) {
        *err = store_error("snapshots/%s: %s", name, strerror(errno));
        return -1;
    }

    return 0;
}


/* the whole segment beneath a configuration's; 0: it is whole, or not there */
static uint32_t
store_base(store_t *s, uint32_t generation)
{
    int       fd;
    char      name[STORE_NAME];
    uint32_t  base;

    store_name(name, KONG_SEGMENT_CONFIG, generation);

    fd = openat(s->dir, name, O_RDONLY|O_NOFOLLOW|O_CLOEXEC);

    if (fd == -1) {
        return 0;
    }

    base = pages_base_of(fd);
    (void) close(fd);

    return base;
}


int
store_remove(store_t *s, kong_segment_kind_t kind, uint32_t generation)
{
    char  name[STORE_NAME];

    if (kind == KONG_SEGMENT_CONFIG) {
        store_name(name, STORE_SOURCE, generation);
        (void) unlinkat(s->dir, name, 0);
    }

    store_name(name, kind, generation);

    return unlinkat(s->dir, name, 0);
}


int
store_write_source(store_t *s, uint32_t generation, const char *text,
    size_t len, const char **err)
{
    char  name[STORE_NAME];

    store_name(name, STORE_SOURCE, generation);

    /* nginx does not read this one */
    if (store_put(s, name, 0600, text, len, err) == -1) {
        return -1;
    }

    return (store_sync(s, name, err) == -1
            || store_sync(s, ".", err) == -1) ? -1 : 0;
}


int
store_has_source(store_t *s, uint32_t generation)
{
    char  name[STORE_NAME];

    store_name(name, STORE_SOURCE, generation);

    return faccessat(s->dir, name, F_OK, 0) == 0;
}


char *
store_read_source(store_t *s, uint32_t generation, size_t *len)
{
    char  name[STORE_NAME];

    store_name(name, STORE_SOURCE, generation);

    return store_load(s, name, len);
}


void
store_current(store_t *s, uint32_t *config, uint32_t *endpoints)
{
    *config = s->config;
    *endpoints = s->endpoints;
}


int
store_stage_current(store_t *s, uint32_t config, uint32_t endpoints,
    const char **err)
{
    int   len;
    char  line[STORE_NAME], temp[STORE_NAME];

    len = snprintf(line, sizeof(line), "%" PRIu32 " %" PRIu32 "\n", config,
                   endpoints);
    store_staged(temp, config, endpoints);

    return store_put_temp(s, temp, s->mode, line, len, err);
}


void
store_unstage_current(store_t *s, uint32_t config, uint32_t endpoints)
{
    char  temp[STORE_NAME];

    store_staged(temp, config, endpoints);
    (void) unlinkat(s->dir, temp, 0);
}


int
store_set_current(store_t *s, uint32_t config, uint32_t endpoints,
    const char **err)
{
    char      name[STORE_NAME], temp[STORE_NAME];
    uint32_t  base;

    store_staged(temp, config, endpoints);

    if (faccessat(s->dir, temp, F_OK, 0) == -1
        && store_stage_current(s, config, endpoints, err) == -1)
    {
        return -1;
    }

    store_name(name, KONG_SEGMENT_CONFIG, config);

    if (store_sync(s, name, err) == -1) {
        goto failed;
    }

    base = store_base(s, config);

    if (base != 0 && base != s->synced) {
        store_name(name, KONG_SEGMENT_CONFIG, base);

        if (store_sync(s, name, err) == -1) {
            goto failed;
        }

        s->synced = base;
    }

    store_name(name, KONG_SEGMENT_ENDPOINTS, endpoints);

    if (store_sync(s, name, err) == -1 || store_sync(s, temp, err) == -1
        || store_sync(s, ".", err) == -1
        || store_rename(s, temp, "current", err) == -1
        || store_sync(s, ".", err) == -1)
    {
        goto failed;
    }

    s->config = config;
    s->endpoints = endpoints;

    return 0;

failed:

    (void) unlinkat(s->dir, temp, 0);

    return -1;
}


void
store_trim(store_t *s, unsigned keep)
{
    char          name[STORE_NAME];
    size_t        i;
    unsigned      kind;
    uint32_t      current;
    store_list_t  list, bases;

    for (kind = KONG_SEGMENT_CONFIG; kind < STORE_KINDS; kind++) {

        current = (kind == KONG_SEGMENT_ENDPOINTS) ? s->endpoints : s->config;
        store_list(s, kind, &list);
        store_bases(s, kind, &list, keep, current, &bases);

        if (bases.failed) {
            list.n = 0;
        }

        /* a text goes with its segment */
        for (i = (kind == STORE_SOURCE) ? 0 : keep; i < list.n; i++) {
            if (list.items[i] == current
                || store_in(&bases, list.items[i])
                || (kind == STORE_SOURCE
                    && store_has(s, KONG_SEGMENT_CONFIG, list.items[i])))
            {
                continue;
            }

            store_name(name, kind, list.items[i]);
            (void) unlinkat(s->dir, name, 0);
        }

        free(list.items);
        free(bases.items);
    }
}


/* what lies beneath the files that stay */
static void
store_bases(store_t *s, unsigned kind, const store_list_t *list,
    unsigned keep, uint32_t current, store_list_t *bases)
{
    size_t    i;
    uint32_t  base;

    memset(bases, 0, sizeof(store_list_t));

    if (kind != KONG_SEGMENT_CONFIG) {
        return;
    }

    for (i = 0; i < list->n; i++) {
        if (i >= keep && list->items[i] != current) {
            continue;
        }

        base = store_base(s, list->items[i]);

        if (base != 0 && !store_in(bases, base)) {
            store_add(bases, base);
        }
    }
}


static unsigned
store_in(const store_list_t *list, uint32_t generation)
{
    size_t  i;

    for (i = 0; i < list->n; i++) {
        if (list->items[i] == generation) {
            return 1;
        }
    }

    return 0;
}


static int
store_open_dir(store_t *s, const char *prefix, const char **err)
{
    int          fd;
    struct stat  st;

    fd = open(prefix, O_RDONLY|O_DIRECTORY|O_CLOEXEC);
    if (fd == -1) {
        *err = store_error("prefix '%s': %s", prefix, strerror(errno));
        return -1;
    }

    if (mkdirat(fd, "snapshots", 0700) == -1 && errno != EEXIST) {
        *err = store_error("'%s/snapshots': %s", prefix, strerror(errno));
        (void) close(fd);
        return -1;
    }

    s->dir = openat(fd, "snapshots",
                    O_RDONLY|O_DIRECTORY|O_NOFOLLOW|O_CLOEXEC);
    (void) close(fd);

    if (s->dir == -1 || fstat(s->dir, &st) == -1) {
        *err = store_error("'%s/snapshots': %s", prefix, strerror(errno));
        return -1;
    }

    s->mode = (st.st_mode & S_IXGRP) ? 0640 : 0600;
    s->gid = st.st_gid;

    return 0;
}


static int
store_lock(store_t *s, const char **err)
{
    unsigned         waited;
    struct timespec  step;

    s->lock = openat(s->dir, STORE_LOCK,
                     O_RDWR|O_CREAT|O_NOFOLLOW|O_CLOEXEC, 0600);
    if (s->lock == -1) {
        *err = store_error("snapshots/%s: %s", STORE_LOCK, strerror(errno));
        return -1;
    }

    step.tv_sec = 0;
    step.tv_nsec = STORE_LOCK_STEP * 1000000L;

    for (waited = 0; flock(s->lock, LOCK_EX|LOCK_NB) == -1; ) {

        if (errno != EWOULDBLOCK && errno != EINTR) {
            *err = store_error("snapshots/%s: %s", STORE_LOCK,
                               strerror(errno));
            return -1;
        }

        if (waited >= STORE_LOCK_WAIT) {
            *err = "the snapshots folder is in use by another process";
            return -1;
        }

        (void) nanosleep(&step, NULL);
        waited += STORE_LOCK_STEP;
    }

    return 0;
}


/* finds the highest generations, removes what a crash left behind */
static int
store_scan(store_t *s, const char **err)
{
    int             fd;
    DIR            *dir;
    unsigned        kind;
    uint32_t        generation;
    struct dirent  *e;

    fd = openat(s->dir, ".", O_RDONLY|O_DIRECTORY|O_CLOEXEC);
    dir = (fd == -1) ? NULL : fdopendir(fd);

    if (dir == NULL) {
        *err = store_error("snapshots: %s", strerror(errno));
        if (fd != -1) {
            (void) close(fd);
        }
        return -1;
    }

    for (kind = 0; kind < STORE_KINDS; kind++) {
        s->next[kind] = 1;
    }

    while ((e = readdir(dir)) != NULL) {

        if (strncmp(e->d_name, STORE_TEMP, sizeof(STORE_TEMP) - 1) == 0) {
            (void) unlinkat(s->dir, e->d_name, 0);
            continue;
        }

        if (store_parse(e->d_name, &kind, &generation) == 0
            && generation >= s->next[kind])
        {
            s->next[kind] = generation + 1;
        }
    }

    (void) closedir(dir);

    return 0;
}


static void
store_read_current(store_t *s)
{
    char         *text, *end;
    size_t        len;
    unsigned long  config, endpoints;

    text = store_load(s, "current", &len);
    if (text == NULL) {
        return;
    }

    errno = 0;
    config = strtoul(text, &end, 10);
    endpoints = (*end == ' ') ? strtoul(end + 1, &end, 10) : 0;

    if (errno == 0 && config - 1 < UINT32_MAX - 1
        && endpoints - 1 < UINT32_MAX - 1
        && strcmp(end, "\n") == 0)
    {
        s->config = config;
        s->endpoints = endpoints;

        /* the files may be gone; their numbers are used all the same */
        if (config >= s->next[KONG_SEGMENT_CONFIG]) {
            s->next[KONG_SEGMENT_CONFIG] = config + 1;
        }

        if (endpoints >= s->next[KONG_SEGMENT_ENDPOINTS]) {
            s->next[KONG_SEGMENT_ENDPOINTS] = endpoints + 1;
        }
    }

    free(text);
}


static int
store_put(store_t *s, const char *name, mode_t mode, const void *data,
    size_t len, const char **err)
{
    char  temp[STORE_NAME * 2];

    (void) snprintf(temp, sizeof(temp), STORE_TEMP "%s", name);

    if (store_put_temp(s, temp, mode, data, len, err) == -1) {
        return -1;
    }

    return store_rename(s, temp, name, err);
}


static int
store_put_temp(store_t *s, const char *temp, mode_t mode, const void *data,
    size_t len, const char **err)
{
    int  fd, rc;

    (void) unlinkat(s->dir, temp, 0);

    fd = openat(s->dir, temp, O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0600);
    if (fd == -1) {
        *err = store_error("snapshots/%s: %s", temp, strerror(errno));
        return -1;
    }

    rc = store_fill(fd, data, len);

    if (rc == 0 && mode != 0600
        && (fchown(fd, (uid_t) -1, s->gid) == -1
            || fchmod(fd, mode) == -1))
    {
        rc = -1;
    }

    if (rc == -1) {
        *err = store_error("snapshots/%s: %s", temp, strerror(errno));
    }

    if (close(fd) == -1 && rc == 0) {
        *err = store_error("snapshots/%s: %s", temp, strerror(errno));
        rc = -1;
    }

    if (rc == -1) {
        (void) unlinkat(s->dir, temp, 0);
    }

    return rc;
}


static int
store_fill(int fd, const char *data, size_t len)
{
    ssize_t  n;

    /* blocks at once, not one by one; and a full disk shows at once */
    if (len >= STORE_LARGE && fallocate(fd, 0, 0, (off_t) len) == -1
        && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG))
    {
        return -1;
    }

    while (len != 0) {
        n = write(fd, data, len);

        if (n == -1) {
            if (errno == EINTR) {
                continue;
            }
            return -1;
        }

        data += n;
        len -= n;
    }

    return 0;
}


static int
store_rename(store_t *s, const char *temp, const char *name,
    const char **err)
{
    if (renameat(s->dir, temp, s->dir, name) == -1) {
        *err = store_error("snapshots/%s: %s", name, strerror(errno));
        (void) unlinkat(s->dir, temp, 0);
        return -1;
    }

    return 0;
}


/* "." is the folder, whose names are on disk afterwards */
static int
store_sync(store_t *s, const char *name, const char **err)
{
    int  fd, rc;

    fd = openat(s->dir, name, O_RDONLY|O_NOFOLLOW|O_CLOEXEC);
    rc = (fd == -1) ? -1 : fsync(fd);

    if (rc == -1) {
        *err = store_error("snapshots/%s: %s", name, strerror(errno));
    }

    if (fd != -1) {
        (void) close(fd);
    }

    return rc;
}


static char *
store_load(store_t *s, const char *name, size_t *len)
{
    int          fd, saved;
    char        *text;
    size_t       size, got;
    ssize_t      n;
    struct stat  st;

    fd = openat(s->dir, name, O_RDONLY|O_NOFOLLOW|O_CLOEXEC);
    if (fd == -1) {
        return NULL;
    }

    text = NULL;

    if (fstat(fd, &st) == -1) {
        saved = errno;
        goto failed;
    }

    if (!S_ISREG(st.st_mode)) {
        saved = EINVAL;
        goto failed;
    }

    size = st.st_size;

    text = malloc(size + 1);
    if (text == NULL) {
        saved = ENOMEM;
        goto failed;
    }

    for (got = 0; got < size; got += n) {
        n = read(fd, text + got, size - got);

        if (n == -1 && errno == EINTR) {
            n = 0;
            continue;
        }

        if (n <= 0) {
            saved = (n == 0) ? EIO : errno;
            goto failed;
        }
    }

    (void) close(fd);
    text[size] = '\0';
    *len = size;

    return text;

failed:

    (void) close(fd);
    free(text);
    errno = saved;

    return NULL;
}


/* "<digits>.<suffix>", no leading zeros, within 32 bits */
static int
store_parse(const char *name, unsigned *kind, uint32_t *generation)
{
    char           *end;
    unsigned        i;
    unsigned long   n;

    if (name[0] < '1' || name[0] > '9') {
        return -1;
    }

    errno = 0;
    n = strtoul(name, &end, 10);
    if (errno != 0 || n >= UINT32_MAX || *end != '.') {
        return -1;
    }

    for (i = KONG_SEGMENT_CONFIG; i < STORE_KINDS; i++) {
        if (strcmp(end + 1, store_suffix[i]) == 0) {
            *kind = i;
            *generation = n;
            return 0;
        }
    }

    return -1;
}


static void
store_name(char *name, unsigned kind, uint32_t generation)
{
    (void) snprintf(name, STORE_NAME, "%" PRIu32 ".%s", generation,
                    store_suffix[kind]);
}


static void
store_staged(char *temp, uint32_t config, uint32_t endpoints)
{
    (void) snprintf(temp, STORE_NAME,
                    STORE_TEMP "current.%" PRIu32 ".%" PRIu32, config,
                    endpoints);
}


/* newest first; what does not fit in memory is left out */
static void
store_list(store_t *s, unsigned kind, store_list_t *list)
{
    int             fd;
    DIR            *dir;
    unsigned        k;
    uint32_t        generation;
    struct dirent  *e;

    memset(list, 0, sizeof(store_list_t));

    fd = openat(s->dir, ".", O_RDONLY|O_DIRECTORY|O_CLOEXEC);
    dir = (fd == -1) ? NULL : fdopendir(fd);

    if (dir == NULL) {
        if (fd != -1) {
            (void) close(fd);
        }
        return;
    }

    while ((e = readdir(dir)) != NULL) {

        if (store_parse(e->d_name, &k, &generation) == -1 || k != kind) {
            continue;
        }

        store_add(list, generation);
    }

    (void) closedir(dir);

    if (list->n != 0) {
        qsort(list->items, list->n, sizeof(uint32_t), store_newer);
    }
}


static void
store_add(store_list_t *list, uint32_t generation)
{
    void    *p;
    size_t   cap;

    if (list->n == list->cap) {
        cap = list->cap * 2 + 16;
        p = realloc(list->items, cap * sizeof(uint32_t));

        if (p == NULL) {
            list->failed = 1;
            return;
        }

        list->items = p;
        list->cap = cap;
    }

    list->items[list->n++] = generation;
}


static int
store_has(store_t *s, unsigned kind, uint32_t generation)
{
    char  name[STORE_NAME];

    store_name(name, kind, generation);

    return faccessat(s->dir, name, F_OK, 0) == 0;
}


static int
store_newer(const void *one, const void *two)
{
    uint32_t  a, b;

    a = *(const uint32_t *) one;
    b = *(const uint32_t *) two;

    return (a < b) - (a > b);
}


/* valid until the thread's next error */
static const char *
store_error(const char *fmt, ...)
{
    va_list  args;

    static _Thread_local char  text[512];

    va_start(args, fmt);
    (void) vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);

    return text;
}
