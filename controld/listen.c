/*
 * listen: see listen.h.
 */

#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "listen.h"


#define LISTEN_BACKLOG  512


typedef char sun_path_t[sizeof(((struct sockaddr_un *) 0)->sun_path)];


static int listen_mode(const char *path);


struct evconnlistener *
listen_unix(struct event_base *base, const char *path, const char **err)
{
    int                     fd, rc;
    struct sockaddr_un      sun;
    struct evconnlistener  *listener;

    memset(&sun, 0, sizeof(sun));
    sun.sun_family = AF_UNIX;

    if (strlen(path) >= sizeof(sun.sun_path)) {
        *err = "the path of a socket in sockets/ is too long";
        return NULL;
    }

    strcpy(sun.sun_path, path);

    /* one daemon a prefix: whoever left this socket behind is dead */
    (void) unlink(path);

    *err = "a socket in sockets/ cannot be listened on";

    fd = socket(AF_UNIX, SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC, 0);
    if (fd == -1) {
        return NULL;
    }

    rc = bind(fd, (struct sockaddr *) &sun, sizeof(sun));

    if (rc == 0) {
        rc = listen_mode(path);
    }

    listener = (rc == -1) ? NULL
               : evconnlistener_new(base, NULL, NULL,
                                    LEV_OPT_CLOSE_ON_FREE
                                    |LEV_OPT_CLOSE_ON_EXEC,
                                    LISTEN_BACKLOG, fd);

    if (listener == NULL) {
        (void) close(fd);
    }

    return listener;
}


/* as open as its folder: 0750 lets nginx's workers of another user in */
static int
listen_mode(const char *path)
{
    char         *slash;
    sun_path_t    folder;
    struct stat   st;

    strcpy(folder, path);
    slash = strrchr(folder, '/');

    if (slash != NULL) {
        *slash = '\0';
    }

    if (slash == NULL || stat(folder, &st) == -1 || !(st.st_mode & S_IXGRP)) {
        return chmod(path, 0600);
    }

    if (chown(path, (uid_t) -1, st.st_gid) == -1) {
        return -1;
    }

    return chmod(path, 0660);
}
