/*
 * owner: whose a node is.  nginx's master stays root, controld does not: it
 * runs as the owner of snapshots/, who is the workers' user.  Folders in which
 * root makes files stay root's, so that nobody puts a link in its way.
 */

#ifndef KONG_OWNER_H
#define KONG_OWNER_H

#include "workers.h"


/*
 * The folders of a prefix, with owners and modes.  `running`: a node is at
 * work, whose daemon cannot change its user.  0, or -1 with *err.
 */
int owner_folders(arena_t *a, const conf_t *c, workers_t *w,
    unsigned running, const char **err);

/* what root has written goes to the owner of its folder; never through a
 * link.  No-ops for anybody else */
int owner_give_snapshots(arena_t *a, const char *prefix, const char **err);
int owner_give_env(arena_t *a, const char *prefix, const char **err);

/*
 * The daemon, before it has threads: opens what only root can, the log at
 * `log` (NULL: none) included, and becomes the owner of snapshots/.  A daemon
 * that cannot does not start.
 */
int owner_become(arena_t *a, const conf_t *c, const char *log,
    const char **err);
/* what it had opened and may not remove goes, before the lock of its pid
 * file is given back */
void owner_release(void);

#endif
