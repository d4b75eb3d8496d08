/*
 * steward: see steward.h.  A byte asks, a message of one byte answers: zero
 * and a descriptor, or errno.  The daemon waits for a second at most.  Nothing
 * is removed for a daemon that was killed: the files may be its successor's.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "log.h"
#include "steward.h"


#define STEWARD_OPEN   'o'
#define STEWARD_CLEAR  'c'


typedef union {
    char            buf[CMSG_SPACE(sizeof(int))];
    struct cmsghdr  align;
} steward_control_t;

typedef struct {
    struct msghdr      msg;
    struct iovec       iov;
    unsigned char      code;
    steward_control_t   control;
} steward_message_t;


static void steward_serve(int s, const char *log, const char *const *files)
    __attribute__((noreturn));
static int steward_answer(int s, const char *log);
static int steward_ask(char what);
static void steward_message(steward_message_t *m);


static int  steward_socket = -1;


int
steward_start(const char *log, const char *const *files)
{
    int             s[2];
    pid_t           pid;
    struct timeval  tv;

    if (socketpair(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC, 0, s) == -1) {
        return -1;
    }

    pid = fork();

    if (pid == 0) {
        steward_serve(s[1], log, files);
    }

    (void) close(s[1]);

    if (pid == -1) {
        (void) close(s[0]);
        return -1;
    }

    tv.tv_sec = 1;
    tv.tv_usec = 0;
    (void) setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));

    steward_socket = s[0];

    return 0;
}


/* signals are the daemon's; nothing of it is kept open but the socket, least
 * of all what holds the lock of its pid file */
static void
steward_serve(int s, const char *log, const char *const *files)
{
    char    what;
    size_t  i;

    static const int  ignored[] = {
        SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGPIPE
    };

    for (i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++) {
        (void) signal(ignored[i], SIG_IGN);
    }

    (void) prctl(PR_SET_NAME, "kong-steward");

    if (dup2(s, STDIN_FILENO) == -1) {
        _exit(1);
    }

    (void) close_range(1, ~0U, 0);

    do {
        i = (read(STDIN_FILENO, &what, 1) == 1);
    } while (i && what == STEWARD_OPEN
             && steward_answer(STDIN_FILENO, log) == 0);

    if (i && what == STEWARD_CLEAR) {
        for (i = 0; files[i] != NULL; i++) {
            (void) unlink(files[i]);
        }
    }

    _exit(0);
}


static int
steward_answer(int s, const char *log)
{
    int                 fd, rc;
    struct cmsghdr     *cmsg;
    steward_message_t   m;

    steward_message(&m);

    errno = ENOENT;
    fd = log ? open(log, LOG_OPEN, LOG_MODE) : -1;

    if (fd == -1) {
        m.code = (unsigned char) errno;
        m.msg.msg_control = NULL;
        m.msg.msg_controllen = 0;

    } else {
        cmsg = CMSG_FIRSTHDR(&m.msg);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
    }

    rc = (sendmsg(s, &m.msg, 0) == -1) ? -1 : 0;

    if (fd != -1) {
        (void) close(fd);
    }

    return rc;
}


int
steward_open(void)
{
    int                fd;
    ssize_t            n;
    struct cmsghdr    *cmsg;
    steward_message_t   m;

    if (steward_ask(STEWARD_OPEN) == -1) {
        return -1;
    }

    steward_message(&m);
    n = recvmsg(steward_socket, &m.msg, MSG_CMSG_CLOEXEC);
    cmsg = (n == 1) ? CMSG_FIRSTHDR(&m.msg) : NULL;

    if (n == 1 && m.code != 0) {
        errno = m.code;
        return -1;
    }

    if (cmsg == NULL || cmsg->cmsg_type != SCM_RIGHTS) {

        /* a late answer would be taken for that to the next question */
        (void) close(steward_socket);
        steward_socket = -1;
        errno = EPIPE;
        return -1;
    }

    memcpy(&fd, CMSG_DATA(cmsg), sizeof(int));

    return fd;
}


void
steward_clear(void)
{
    char  byte;

    if (steward_ask(STEWARD_CLEAR) == 0) {
        (void) recv(steward_socket, &byte, 1, 0);           /* its end */
    }
}


static int
steward_ask(char what)
{
    if (steward_socket == -1
        || send(steward_socket, &what, 1, MSG_NOSIGNAL) != 1)
    {
        errno = EPIPE;
        return -1;
    }

    return 0;
}


static void
steward_message(steward_message_t *m)
{
    memset(m, 0, sizeof(steward_message_t));

    m->iov.iov_base = &m->code;
    m->iov.iov_len = 1;
    m->msg.msg_iov = &m->iov;
    m->msg.msg_iovlen = 1;
    m->msg.msg_control = m->control.buf;
    m->msg.msg_controllen = sizeof(m->control.buf);
}
