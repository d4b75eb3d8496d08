/*
 * node: see node.h.  controld's pid file is locked by its owner for as long
 * as it lives, so that a pid that was given to somebody else is never
 * mistaken for it.
 */

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../model/json.h"
#include "local_http.h"
#include "node.h"
#include "prefix.h"
#include "process.h"


#define NODE_START_TIMEOUT  30.0         /* a large file is read meanwhile */
#define NODE_PID_TIMEOUT    5.0
#define NODE_WORKER         "nginx: worker process"
#define NODE_STEP           0.02


static int node_run_nginx(arena_t *a, const char *prefix, const char *bin,
    const char *flag, const char **err);
static int node_wait_controld(arena_t *a, const conf_t *c, pid_t pid,
    const char **err);
static int node_serves(arena_t *a, const conf_t *c, pid_t pid);
static const char *node_last_line(arena_t *a, const char *path);
static void node_stop_orphans(const char *prefix);
static int node_is_file(int fd, const char *path);


pid_t
node_nginx(arena_t *a, const char *prefix)
{
    pid_t  pid;

    pid = process_pid_read(arena_printf(a, "%s/pids/nginx.pid", prefix));

    /* the pid may be that of another node's nginx by now */
    return process_alive(pid, "nginx") && process_works_in(pid, prefix)
           ? pid : 0;
}


pid_t
node_controld(arena_t *a, const char *prefix)
{
    int          fd, held;
    const char  *path;

    path = arena_printf(a, "%s/pids/controld.pid", prefix);

    fd = open(path, O_RDONLY|O_CLOEXEC);
    if (fd == -1) {
        return 0;
    }

    held = (flock(fd, LOCK_SH|LOCK_NB) == -1 && errno == EWOULDBLOCK);
    (void) close(fd);

    return held ? process_pid_read(path) : 0;
}


int
node_start_nginx(arena_t *a, const char *prefix, const char *bin,
    const char **err)
{
    double  end;

    if (node_run_nginx(a, prefix, bin, NULL, err) == -1) {
        return -1;
    }

    /* it goes into the background before it writes its pid */
    end = process_now() + NODE_PID_TIMEOUT;

    while (node_nginx(a, prefix) == 0) {
        if (process_now() >= end) {
            *err = arena_printf(a, "%s has started, but does not run: see "
                                "%s/logs/error.log", bin, prefix);
            return -1;
        }

        process_sleep(NODE_STEP);
    }

    return 0;
}


int
node_test_nginx(arena_t *a, const char *prefix, const char *bin,
    const char **err)
{
    return node_run_nginx(a, prefix, bin, "-t", err);
}


static int
node_run_nginx(arena_t *a, const char *prefix, const char *bin,
    const char *flag, const char **err)
{
    int   rc;
    char *argv[10];

    argv[0] = (char *) bin;
    argv[1] = (char *) "-p";
    argv[2] = (char *) prefix;
    argv[3] = (char *) "-e";
    argv[4] = (char *) "logs/error.log";
    argv[5] = (char *) "-c";
    argv[6] = (char *) "nginx.conf";
    argv[7] = (char *) flag;
    argv[8] = NULL;

    rc = process_run(a, argv, err);

    if (rc == 0) {
        return 0;
    }

    if (**err == '\0') {
        *err = arena_printf(a, "%s ended with code %d", bin, rc);
    }

    return -1;
}


int
node_start_controld(arena_t *a, const conf_t *c, const char *exe,
    const char **err)
{
    char        *argv[8];
    pid_t        pid;
    const char  *log;

    log = conf_path(c, "logs/controld.log");

    argv[0] = (char *) exe;
    argv[1] = (char *) "controld";
    argv[2] = (char *) "-p";
    argv[3] = (char *) conf_prefix(c);
    argv[4] = (char *) "--log";
    argv[5] = (char *) log;
    argv[6] = NULL;

    pid = process_spawn(argv, log);

    if (pid == -1) {
        *err = arena_printf(a, "could not start controld: %s",
                            strerror(errno));
        return -1;
    }

    if (node_wait_controld(a, c, pid, err) == -1) {
        (void) node_stop(pid, SIGKILL, 1);
        return -1;
    }

    return 0;
}


/* started means: it listens, and nginx has heard of it */
static int
node_wait_controld(arena_t *a, const conf_t *c, pid_t pid, const char **err)
{
    int          status;
    double       end;
    const char  *log;

    log = conf_path(c, "logs/controld.log");
    end = process_now() + NODE_START_TIMEOUT;

    while (process_now() < end) {

        if (waitpid(pid, &status, WNOHANG) == pid) {
            *err = arena_printf(a, "controld ended at once, see %s: %s", log,
                                node_last_line(a, log));
            return -1;
        }

        if (node_serves(a, c, pid)) {
            return 0;
        }

        process_sleep(NODE_STEP);
    }

    *err = arena_printf(a, "controld does not answer after %.0f seconds, see "
                        "%s: %s", NODE_START_TIMEOUT, log,
                        node_last_line(a, log));

    return -1;
}


static int
node_serves(arena_t *a, const conf_t *c, pid_t pid)
{
    value_t              *state, *seen;
    const conf_listen_t  *listens;

    if (conf_listens(c, "admin_listen", &listens) != 0
        && access(conf_path(c, "sockets/admin.sock"), F_OK) == -1)
    {
        return 0;
    }

    state = node_ask(a, conf_prefix(c), "/state");
    seen = value_get(state, "controld");

    return seen != NULL && seen->kind == VALUE_NUMBER
           && (pid_t) seen->u.number == pid;
}


/* the end of a log, for an error message */
static const char *
node_last_line(arena_t *a, const char *path)
{
    char    *text, *line;
    size_t   len;

    text = prefix_read(a, path);
    if (text == NULL) {
        return "";
    }

    for (len = strlen(text); len > 0 && text[len - 1] == '\n'; len--) {
        text[len - 1] = '\0';
    }

    line = strrchr(text, '\n');

    return line ? line + 1 : text;
}


int
node_stop(pid_t pid, int signo, double seconds)
{
    if (pid == 0) {
        return 0;
    }

    if (kill(pid, signo) == -1 && errno != ESRCH) {
        return -1;
    }

    return process_wait_end(pid, seconds) ? 0 : -1;
}


int
node_stop_all(arena_t *a, const char *prefix, const char **err)
{
    int    rc;
    pid_t  nginx, controld;

    nginx = node_nginx(a, prefix);
    controld = node_controld(a, prefix);
    rc = 0;

    if (nginx == 0) {
        node_stop_orphans(prefix);
    }

    /* one after the other would add up the times they take */
    if (controld != 0) {
        (void) kill(controld, SIGTERM);
    }

    if (node_stop(nginx, SIGTERM, NODE_STOP_TIMEOUT) == -1) {
        *err = arena_printf(a, "nginx (pid %d) did not end within %.0f "
                            "seconds", (int) nginx, NODE_STOP_TIMEOUT);
        rc = -1;
    }

    /* it holds nothing that is not on disk */
    if (node_stop(controld, SIGTERM, NODE_STOP_TIMEOUT) == -1
        && node_stop(controld, SIGKILL, 1) == -1)
    {
        *err = arena_printf(a, "controld (pid %d) did not end within %.0f "
                            "seconds", (int) controld, NODE_STOP_TIMEOUT);
        rc = -1;
    }

    node_clean(a, prefix);

    return rc;
}


void
node_clean(arena_t *a, const char *prefix)
{
    int          fd;
    const char  *path;

    prefix_clean_own_sockets(a, prefix);

    path = arena_printf(a, "%s/pids/controld.pid", prefix);
    fd = open(path, O_RDONLY|O_CLOEXEC);

    if (fd == -1) {
        return;
    }

    /* a daemon that is about to lock the file looks whether it is still it */
    if (flock(fd, LOCK_EX|LOCK_NB) == 0) {
        node_release(a, prefix, fd);
        return;
    }

    (void) close(fd);
}


/*
 * Workers of a master that was killed live on and hold its listeners.  They
 * are known by the log files that they have open in the prefix.
 */
static void
node_stop_orphans(const char *prefix)
{
    pid_t  pid, parent;

    for (pid = 0; process_next(&pid, NODE_WORKER), pid != 0; /* void */ ) {
        parent = process_parent(pid);

        if (parent > 0 && !(parent > 1 && process_alive(parent, "nginx"))
            && process_works_in(pid, prefix)
            && node_stop(pid, SIGTERM, 2) == -1)
        {
            (void) node_stop(pid, SIGKILL, 1);
        }
    }
}


value_t *
node_ask(arena_t *a, const char *prefix, const char *path)
{
    value_t       *v;
    const char    *socket, *err;
    local_http_t   answer;

    socket = arena_printf(a, "%s/sockets/control.sock", prefix);

    if (local_http(a, socket, arena_printf(a, "http://localhost%s", path),
                   NULL, &answer) == -1
        || answer.status != 200)
    {
        return NULL;
    }

    v = value_new(a);

    return json_parse(a, answer.body, answer.len, v, &err) == 0 ? v : NULL;
}


int
node_hold(arena_t *a, const char *prefix, const char **err)
{
    int          fd, out;
    const char  *path;

    path = arena_printf(a, "%s/pids/controld.pid", prefix);

    do {
        fd = open(path, O_RDONLY|O_CREAT|O_CLOEXEC, 0644);
        if (fd == -1) {
            *err = arena_printf(a, "could not open '%s': %s", path,
                                strerror(errno));
            return -1;
        }

        if (flock(fd, LOCK_EX|LOCK_NB) == -1) {
            *err = arena_printf(a, "controld is already running in %s",
                                prefix);
            (void) close(fd);
            return -1;
        }

        if (node_is_file(fd, path)) {
            break;
        }

        /* its last owner removed it between the two calls */
        (void) close(fd);

    } while (1);

    /* what a daemon keeps open cannot change whom `kong stop` ends */
    out = open(path, O_WRONLY|O_TRUNC|O_CLOEXEC);

    if (out == -1 || dprintf(out, "%d\n", (int) getpid()) < 0) {
        *err = arena_printf(a, "could not write '%s': %s", path,
                            strerror(errno));
        (void) close(fd);
        fd = -1;
    }

    if (out != -1) {
        (void) close(out);
    }

    return fd;
}


void
node_release(arena_t *a, const char *prefix, int fd)
{
    const char  *path;

    path = arena_printf(a, "%s/pids/controld.pid", prefix);

    if (node_is_file(fd, path)) {
        (void) unlink(path);
    }

    (void) close(fd);
}


static int
node_is_file(int fd, const char *path)
{
    struct stat  one, two;

    return fstat(fd, &one) == 0 && stat(path, &two) == 0
           && one.st_dev == two.st_dev && one.st_ino == two.st_ino;
}
