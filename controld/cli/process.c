/*
 * process: see process.h.  A process that is not our child is watched by
 * asking for it every few milliseconds; pid files are only believed when the
 * process behind them looks like the one that wrote them.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "process.h"


#define PROCESS_STEP    0.01
#define PROCESS_OUTPUT  (64 * 1024)


static void process_exec(char *const *argv, int fd)
    __attribute__((noreturn));
static const char *process_output(arena_t *a, int fd);
static ssize_t process_proc(pid_t pid, const char *file, char *buf,
    size_t size);


int
process_run(arena_t *a, char *const *argv, const char **output)
{
    int    fd, status;
    pid_t  pid, rc;

    fd = memfd_create("output", MFD_CLOEXEC);
    if (fd == -1) {
        *output = arena_printf(a, "memfd_create() failed: %s",
                               strerror(errno));
        return -1;
    }

    pid = fork();

    if (pid == 0) {
        process_exec(argv, fd);
    }

    rc = pid;

    while (rc != -1) {
        rc = waitpid(pid, &status, 0);

        if (rc == pid || errno != EINTR) {
            break;
        }
    }

    if (rc == -1) {
        *output = arena_printf(a, "could not run '%s': %s", argv[0],
                               strerror(errno));
        (void) close(fd);
        return -1;
    }

    *output = process_output(a, fd);
    (void) close(fd);

    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}


pid_t
process_spawn(char *const *argv, const char *log)
{
    int    fd;
    pid_t  pid;

    fd = open(log, O_WRONLY|O_APPEND|O_CREAT|O_CLOEXEC, 0644);
    if (fd == -1) {
        return -1;
    }

    pid = fork();

    if (pid == 0) {
        (void) setsid();
        process_exec(argv, fd);
    }

    (void) close(fd);

    return pid;
}


pid_t
process_child(char *const *argv)
{
    pid_t  pid;

    pid = fork();

    if (pid == 0) {
        process_exec(argv, -1);
    }

    return pid;
}


/* in the child: nothing of ours but the standard descriptors goes over */
static void
process_exec(char *const *argv, int fd)
{
    int       null;
    sigset_t  none;

    sigemptyset(&none);
    (void) sigprocmask(SIG_SETMASK, &none, NULL);
    (void) signal(SIGPIPE, SIG_DFL);

    null = open("/dev/null", O_RDONLY);

    if (null != -1) {
        (void) dup2(null, STDIN_FILENO);
    }

    if (fd != -1) {
        (void) dup2(fd, STDOUT_FILENO);
        (void) dup2(fd, STDERR_FILENO);
    }

    (void) close_range(3, ~0U, 0);

    execv(argv[0], argv);

    dprintf(STDERR_FILENO, "could not run '%s': %s\n", argv[0],
            strerror(errno));
    _exit(127);
}


static const char *
process_output(arena_t *a, int fd)
{
    char     *buf;
    ssize_t   n;

    buf = arena_alloc(a, PROCESS_OUTPUT + 1);

    n = pread(fd, buf, PROCESS_OUTPUT, 0);
    if (n < 0) {
        n = 0;
    }

    while (n > 0 && (buf[n - 1] == '\n' || buf[n - 1] == ' ')) {
        n--;
    }

    buf[n] = '\0';

    return buf;
}


pid_t
process_pid_read(const char *path)
{
    int    pid;
    FILE  *f;

    f = fopen(path, "re");
    if (f == NULL) {
        return 0;
    }

    if (fscanf(f, "%9d", &pid) != 1 || pid <= 1) {
        pid = 0;
    }

    (void) fclose(f);

    return pid;
}


int
process_alive(pid_t pid, const char *word)
{
    char     buf[4096], *p;
    ssize_t  n;

    if (pid <= 1 || (kill(pid, 0) == -1 && errno != EPERM)) {
        return 0;
    }

    n = process_proc(pid, "stat", buf, sizeof(buf));
    p = (n > 0) ? strrchr(buf, ')') : NULL;

    if (p != NULL && (p[2] == 'Z' || p[2] == 'X')) {
        return 0;
    }

    n = process_proc(pid, "cmdline", buf, sizeof(buf));
    if (n <= 0) {
        return 1;                        /* no /proc here: trust the file */
    }

    return memmem(buf, (size_t) n, word, strlen(word)) != NULL;
}


int
process_works_in(pid_t pid, const char *dir)
{
    int             found;
    DIR            *fds;
    char            buf[4096], *p, *real;
    size_t          len;
    ssize_t         n;
    struct dirent  *e;

    len = strlen(dir);
    n = process_proc(pid, "cmdline", buf, sizeof(buf));

    if (n <= 0) {
        return 1;                        /* no /proc here */
    }

    for (p = buf; (p = memmem(p, (size_t) (buf + n - p), dir, len)); p++) {
        if (strchr(" /", p[len]) != NULL) {                 /* or the NUL */
            return 1;
        }
    }

    (void) snprintf(buf, sizeof(buf), "/proc/%d/fd", (int) pid);
    real = realpath(dir, NULL);
    fds = opendir(buf);
    found = 0;

    while (fds != NULL && real != NULL && !found
           && (e = readdir(fds)) != NULL)
    {
        n = readlinkat(dirfd(fds), e->d_name, buf, sizeof(buf) - 1);
        buf[n > 0 ? n : 0] = '\0';
        len = strlen(real);
        found = (strncmp(buf, real, len) == 0 && buf[len] == '/');
    }

    if (fds != NULL) {
        (void) closedir(fds);
    }

    free(real);

    return found;
}


int
process_parent(pid_t pid)
{
    int    parent;
    char   buf[4096], *p;

    if (process_proc(pid, "stat", buf, sizeof(buf)) <= 0) {
        return -1;
    }

    /* the name before may hold blanks and parentheses */
    p = strrchr(buf, ')');

    return (p != NULL && sscanf(p, ") %*c %d", &parent) == 1) ? parent : -1;
}


void
process_next(pid_t *pid, const char *title)
{
    DIR            *proc;
    char            buf[4096];
    pid_t           found, next;
    struct dirent  *e;

    next = 0;
    proc = opendir("/proc");

    while (proc != NULL && (e = readdir(proc)) != NULL) {
        found = (pid_t) atoi(e->d_name);

        if (found > *pid && (next == 0 || found < next)
            && process_proc(found, "cmdline", buf, sizeof(buf)) > 0
            && strncmp(buf, title, strlen(title)) == 0)
        {
            next = found;
        }
    }

    if (proc != NULL) {
        (void) closedir(proc);
    }

    *pid = next;
}


static ssize_t
process_proc(pid_t pid, const char *file, char *buf, size_t size)
{
    int      fd;
    char     path[64];
    ssize_t  n;

    (void) snprintf(path, sizeof(path), "/proc/%d/%s", (int) pid, file);

    fd = open(path, O_RDONLY|O_CLOEXEC);
    if (fd == -1) {
        return -1;
    }

    n = read(fd, buf, size - 1);
    (void) close(fd);

    buf[n > 0 ? n : 0] = '\0';

    return n;
}


int
process_wait_end(pid_t pid, double seconds)
{
    double  end;

    end = process_now() + seconds;

    while (process_alive(pid, "")) {
        (void) waitpid(pid, NULL, WNOHANG);      /* when it is our child */

        if (process_now() >= end) {
            return !process_alive(pid, "");
        }

        process_sleep(PROCESS_STEP);
    }

    (void) waitpid(pid, NULL, WNOHANG);

    return 1;
}


void
process_sleep(double seconds)
{
    struct timespec  ts;

    ts.tv_sec = (time_t) seconds;
    ts.tv_nsec = (long) ((seconds - (double) ts.tv_sec) * 1e9);

    while (nanosleep(&ts, &ts) == -1 && errno == EINTR) {
        /* the rest */
    }
}


double
process_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}
