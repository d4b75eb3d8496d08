/*
 * file-log: one JSON line a request, appended with one system call.  A file
 * is open once in a worker whatever the number of instances that write to it.
 * Nothing waits: a pipe that is full or that nobody reads, or a disk without
 * room, loses the record.
 */

#include "ngx_kong_log_custom.h"
#include "ngx_kong_log_lost.h"
#include "ngx_kong_log_record.h"

#include <poll.h>


#define FILE_LOG_PIPE  4096              /* a pipe takes them or is full */

typedef struct {
    ngx_queue_t            queue;
    ngx_str_t              path;         /* NUL-ended */
    ngx_uint_t             refs;
    ngx_fd_t               fd;           /* or NGX_INVALID_FILE */
    dev_t                  dev;
    ino_t                  ino;
    time_t                 checked;
    ngx_kong_log_lost_t    lost;
    unsigned               shared:1;     /* not our own open file */
    unsigned               torn:1;       /* it ends in the middle of a line */
} file_log_file_t;

typedef struct {
    file_log_file_t       *file;
    ngx_kong_log_custom_t *custom;
    ngx_flag_t             reopen;
} file_log_conf_t;


static void *file_log_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool);
static file_log_file_t *file_log_file(ngx_str_t *path);
static void file_log_release(void *data);
static void file_log_log(ngx_http_request_t *r, ngx_kong_run_t *run);
static ngx_int_t file_log_ready(file_log_file_t *file, ngx_flag_t reopen);
static void file_log_close(file_log_file_t *file);
static ngx_int_t file_log_open(file_log_file_t *file);
static ngx_fd_t file_log_standard(file_log_file_t *file);
static void file_log_write(file_log_file_t *file, ngx_str_t *record);
static ssize_t file_log_shared(file_log_file_t *file, struct iovec *iov,
    int n);


static ngx_queue_t  file_log_files = {
    &file_log_files, &file_log_files
};


const ngx_kong_plugin_t  ngx_kong_file_log = {
    .name = ngx_string("file-log"),
    .prepare = file_log_prepare,
    .log = file_log_log
};


static void *
file_log_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool)
{
    ngx_str_t            path;
    file_log_conf_t     *conf;
    ngx_pool_cleanup_t  *cln;

    conf = ngx_pcalloc(pool, sizeof(file_log_conf_t));
    cln = ngx_pool_cleanup_add(pool, 0);

    if (conf == NULL || cln == NULL) {
        return NULL;
    }

    conf->reopen = ngx_kong_conf_flag(in, "reopen");

    if (ngx_kong_log_custom(in, pool, &conf->custom) != NGX_OK) {
        return NULL;
    }

    path = ngx_kong_conf_str(in, "path");
    conf->file = file_log_file(&path);

    if (conf->file == NULL) {
        return NULL;
    }

    cln->handler = file_log_release;
    cln->data = conf->file;

    return conf;
}


static file_log_file_t *
file_log_file(ngx_str_t *path)
{
    ngx_queue_t      *q;
    file_log_file_t  *file;

    for (q = ngx_queue_head(&file_log_files);
         q != ngx_queue_sentinel(&file_log_files);
         q = ngx_queue_next(q))
    {
        file = ngx_queue_data(q, file_log_file_t, queue);

        if (file->path.len == path->len
            && ngx_memcmp(file->path.data, path->data, path->len) == 0)
        {
            file->refs++;
            return file;
        }
    }

    file = ngx_calloc(sizeof(file_log_file_t) + path->len + 1,
                      ngx_cycle->log);
    if (file == NULL) {
        return NULL;
    }

    file->path.data = (u_char *) (file + 1);
    file->path.len = path->len;
    ngx_memcpy(file->path.data, path->data, path->len);
    file->fd = NGX_INVALID_FILE;
    file->refs = 1;

    ngx_queue_insert_head(&file_log_files, &file->queue);

    return file;
}


static void
file_log_release(void *data)
{
    file_log_file_t  *file = data;

    if (--file->refs != 0) {
        return;
    }

    ngx_queue_remove(&file->queue);
    file_log_close(file);
    ngx_free(file);
}


static void
file_log_log(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    ngx_str_t         record;
    file_log_conf_t  *conf;

    conf = run->instance->conf;

    ngx_kong_log_custom_run(r, conf->custom);

    if (ngx_kong_log_record(r, &record) != NGX_OK) {
        ngx_kong_log_lost(&conf->file->lost, 1, "file-log",
                          &conf->file->path, 0, "out of memory");
        return;
    }

    if (file_log_ready(conf->file, conf->reopen) == NGX_OK) {
        file_log_write(conf->file, &record);
    }
}


/* a file that was renamed or removed is left within a second */
static ngx_int_t
file_log_ready(file_log_file_t *file, ngx_flag_t reopen)
{
    struct stat  st;

    if (reopen) {
        file_log_close(file);

    } else if (file->checked == ngx_time()) {

        if (file->fd != NGX_INVALID_FILE) {
            return NGX_OK;
        }

        ngx_kong_log_lost(&file->lost, 1, "file-log", &file->path, 0,
                          "it could not be opened");
        return NGX_ERROR;
    }

    file->checked = ngx_time();

    if (file->fd != NGX_INVALID_FILE && !file->shared
        && (stat((char *) file->path.data, &st) == -1
            || st.st_dev != file->dev || st.st_ino != file->ino))
    {
        file_log_close(file);
    }

    return file->fd != NGX_INVALID_FILE ? NGX_OK : file_log_open(file);
}


static void
file_log_close(file_log_file_t *file)
{
    if (file->fd != NGX_INVALID_FILE) {
        (void) close(file->fd);
    }

    file->fd = NGX_INVALID_FILE;
    file->torn = 0;
}


static ngx_int_t
file_log_open(file_log_file_t *file)
{
    ngx_err_t    err;
    struct stat  st;

    file->shared = 0;
    file->fd = open((char *) file->path.data,
                    O_WRONLY|O_CREAT|O_APPEND|O_NONBLOCK|O_CLOEXEC, 0644);
    err = ngx_errno;

    if (file->fd == NGX_INVALID_FILE) {
        file->fd = file_log_standard(file);
    }

    if (file->fd == NGX_INVALID_FILE) {
        ngx_kong_log_lost(&file->lost, 1, "file-log", &file->path, err,
                          "it could not be opened");
        return NGX_ERROR;
    }

    if (fstat(file->fd, &st) == 0) {
        file->dev = st.st_dev;
        file->ino = st.st_ino;
    }

    return NGX_OK;
}


/* the node's own output may be a socket, or another user's pipe: neither can
 * be opened by its name */
static ngx_fd_t
file_log_standard(file_log_file_t *file)
{
    ngx_fd_t  fd;

    if (ngx_strcmp(file->path.data, "/dev/stdout") == 0) {
        fd = STDOUT_FILENO;

    } else if (ngx_strcmp(file->path.data, "/dev/stderr") == 0) {
        fd = STDERR_FILENO;

    } else {
        return NGX_INVALID_FILE;
    }

    file->shared = 1;

    return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}


static void
file_log_write(file_log_file_t *file, ngx_str_t *record)
{
    int           k;
    size_t        size;
    ssize_t       n;
    ngx_err_t     err;
    struct iovec  iov[3];

    k = 0;
    size = record->len + 1;

    if (file->torn) {
        iov[k].iov_base = "\n";
        iov[k++].iov_len = 1;
        size++;
    }

    iov[k].iov_base = record->data;
    iov[k++].iov_len = record->len;
    iov[k].iov_base = "\n";
    iov[k++].iov_len = 1;

    do {
        n = file->shared ? file_log_shared(file, iov, k)
                         : writev(file->fd, iov, k);
        err = (n == -1) ? ngx_errno : 0;

    } while (err == NGX_EINTR);

    if (n == (ssize_t) size) {
        file->torn = 0;
        return;
    }

    /* what has got there is no line; the next one begins with its end */

    if (n > 0) {
        file->torn = 1;
    }

    ngx_kong_log_lost(&file->lost, 1, "file-log", &file->path, err,
                      n > 0 ? "it has no room for a whole line"
                            : "it could not be written to");

    if (err == EPIPE) {
        file_log_close(file);
    }
}


/* it is not ours to make it one that does not block */
static ssize_t
file_log_shared(file_log_file_t *file, struct iovec *iov, int n)
{
    int            i;
    size_t         at, len;
    ssize_t        sent, all;
    struct pollfd  pfd;

    all = 0;
    pfd.fd = file->fd;
    pfd.events = POLLOUT;

    for (i = 0; i < n; i++) {
        for (at = 0; at < iov[i].iov_len; at += sent) {

            pfd.revents = 0;

            if (poll(&pfd, 1, 0) != 1 || !(pfd.revents & POLLOUT)) {
                ngx_set_errno(NGX_EAGAIN);
                return all ? all : -1;
            }

            len = ngx_min(iov[i].iov_len - at, FILE_LOG_PIPE);
            sent = write(file->fd, (u_char *) iov[i].iov_base + at, len);

            if (sent <= 0) {
                return all ? all : -1;
            }

            all += sent;
        }
    }

    return all;
}
