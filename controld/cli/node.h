/*
 * node: the two processes of a prefix, found by their pid files, and what
 * they say of themselves on the control socket.
 */

#ifndef KONG_NODE_H
#define KONG_NODE_H

#include <sys/types.h>

#include "../conf/conf.h"


#define NODE_STOP_TIMEOUT  10.0          /* seconds */

/* 0 when it does not run */
pid_t node_nginx(arena_t *a, const char *prefix);
pid_t node_controld(arena_t *a, const char *prefix);

/* nginx with the rendered nginx.conf; -1 with *err what it said */
int node_start_nginx(arena_t *a, const char *prefix, const char *bin,
    const char **err);
int node_test_nginx(arena_t *a, const char *prefix, const char *bin,
    const char **err);
/* detached; waits until it serves; -1 with *err, nothing is left then */
int node_start_controld(arena_t *a, const conf_t *c, const char *exe,
    const char **err);

/* signals and waits; -1 when it is still there */
int node_stop(pid_t pid, int signo, double seconds);
/* both with TERM, nginx first; -1 with *err when one does not end */
int node_stop_all(arena_t *a, const char *prefix, const char **err);

/* what a killed process, or one that may not, did not remove */
void node_clean(arena_t *a, const char *prefix);

/*
 * The module's GET `path` on the control socket, parsed; NULL when nginx does
 * not answer.
 */
value_t *node_ask(arena_t *a, const char *prefix, const char *path);

/*
 * The daemon's own side of its pid file: -1 with *err when another daemon
 * holds the prefix.  The descriptor stays open while it runs.
 */
int node_hold(arena_t *a, const char *prefix, const char **err);
void node_release(arena_t *a, const char *prefix, int fd);

#endif
