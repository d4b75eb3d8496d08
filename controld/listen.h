/*
 * listen: the daemon's own unix sockets.
 */

#ifndef KONG_LISTEN_H
#define KONG_LISTEN_H

#include <event2/listener.h>


/*
 * Listens on `path`, in place of what a dead daemon left there.  The socket
 * is as open as its folder: for its owner, or for the group that nginx's
 * workers of another user are in.  NULL with *err a sentence.
 */
struct evconnlistener *listen_unix(struct event_base *base, const char *path,
    const char **err);

#endif
