/*
 * prefix: the folder of a node: its parts, what is generated into it, and who
 * may read it.  Filling it is repeatable and starts nothing.
 */

#ifndef KONG_PREFIX_H
#define KONG_PREFIX_H

#include <sys/types.h>

#include "../conf/conf.h"


typedef struct {
    unsigned     running:1;        /* given: a node is at work in it */
    const char  *nginx;            /* the binary */
    const char  *exe;              /* this program's file */
    const char  *old_main;         /* rendered files before, for prefix_undo */
    const char  *old_http;
    const char  *old_env;
} prefix_t;


/*
 * Folders, node id, certificates, nginx.conf and .kong_env.  0, or -1 with
 * *err a sentence.
 */
int prefix_prepare(arena_t *a, conf_t *c, prefix_t *p, const char **err);
/* puts the rendered files back as they were before prefix_prepare() */
void prefix_undo(arena_t *a, const conf_t *c, const prefix_t *p);

/*
 * One command at a time may change a prefix: a descriptor that holds the
 * lock until it is closed, or -1.  The folder must exist.
 */
int prefix_lock(arena_t *a, const char *prefix, const char **err);
/* mkdir -p */
int prefix_create(arena_t *a, const char *prefix, const char **err);

/* removes sockets that nobody listens on any more */
void prefix_clean_sockets(arena_t *a, const conf_t *c);
/* the same for those below `prefix` alone */
void prefix_clean_own_sockets(arena_t *a, const char *prefix);

/* the nginx to start, checked to be one; NULL with *err */
const char *prefix_find_nginx(arena_t *a, const conf_t *c, const char **err);
const char *prefix_exe(arena_t *a);
/* a whole file as text, or NULL */
char *prefix_read(arena_t *a, const char *path);

#endif
