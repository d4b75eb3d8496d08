/*
 * listen: the daemon's own unix sockets, mode 0600.
 */

#ifndef KONG_LISTEN_H
#define KONG_LISTEN_H

#include <sys/types.h>
#include <event2/listener.h>


/*
 * Binds `path`, in place of what a dead daemon left there, for a later
 * listen_unix() of a process that may not, and gives it to `uid`.  0, or -1
 * with *err a sentence.
 */
int listen_prepare(const char *path, uid_t uid, const char **err);

/* listens on `path`, prepared or not; NULL with *err a sentence */
struct evconnlistener *listen_unix(struct event_base *base, const char *path,
    const char **err);

#endif
