/*
 * listen: see listen.h.  A socket is only ever its owner's: it is bound under
 * a mask, so that there is no moment at which others may connect.
 */

#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "listen.h"


#define LISTEN_BACKLOG   512
#define LISTEN_PREPARED  4


typedef struct {
    int                 fd;
    struct sockaddr_un  sun;
} listen_socket_t;


static int listen_bind(listen_socket_t *s, const char *path,
    const char **err);
static int listen_take(const char *path);


static listen_socket_t  listen_sockets[LISTEN_PREPARED];
static unsigned         listen_prepared;


int
listen_prepare(const char *path, uid_t uid, const char **err)
{
    listen_socket_t  *s;

    *err = "too many sockets";

    if (listen_prepared == LISTEN_PREPARED) {
        return -1;
    }

    s = &listen_sockets[listen_prepared];

    if (listen_bind(s, path, err) == -1) {
        return -1;
    }

    if (chown(path, uid, (gid_t) -1) == -1) {
        *err = "a socket in sockets/ cannot be given to the workers' user";
        (void) close(s->fd);
        return -1;
    }

    listen_prepared++;

    return 0;
}


struct evconnlistener *
listen_unix(struct event_base *base, const char *path, const char **err)
{
    listen_socket_t         s;
    struct evconnlistener  *listener;

    s.fd = listen_take(path);

    if (s.fd == -1 && listen_bind(&s, path, err) == -1) {
        return NULL;
    }

    listener = evconnlistener_new(base, NULL, NULL,
                                  LEV_OPT_CLOSE_ON_FREE
                                  |LEV_OPT_CLOSE_ON_EXEC,
                                  LISTEN_BACKLOG, s.fd);

    if (listener == NULL) {
        *err = "a socket in sockets/ cannot be listened on";
        (void) close(s.fd);
    }

    return listener;
}


static int
listen_bind(listen_socket_t *s, const char *path, const char **err)
{
    int     rc;
    mode_t  mask;

    memset(s, 0, sizeof(listen_socket_t));
    s->sun.sun_family = AF_UNIX;

    if (strlen(path) >= sizeof(s->sun.sun_path)) {
        *err = "the path of a socket in sockets/ is too long";
        return -1;
    }

    strcpy(s->sun.sun_path, path);

    /* one daemon a prefix: whoever left this socket behind is dead */
    (void) unlink(path);

    *err = "a socket in sockets/ cannot be listened on";

    s->fd = socket(AF_UNIX, SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC, 0);
    if (s->fd == -1) {
        return -1;
    }

    mask = umask(0177);
    rc = bind(s->fd, (struct sockaddr *) &s->sun, sizeof(s->sun));
    (void) umask(mask);

    if (rc == -1) {
        (void) close(s->fd);
    }

    return rc;
}


/* -1: it was not prepared, or is in use */
static int
listen_take(const char *path)
{
    int       fd;
    unsigned  i;

    for (i = 0; i < listen_prepared; i++) {
        if (strcmp(listen_sockets[i].sun.sun_path, path) == 0) {
            fd = listen_sockets[i].fd;
            listen_sockets[i].fd = -1;
            return fd;
        }
    }

    return -1;
}
