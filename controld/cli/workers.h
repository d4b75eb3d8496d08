/*
 * workers: as whom nginx's workers run when its master is root, and whether
 * that user can reach the prefix.
 */

#ifndef KONG_WORKERS_H
#define KONG_WORKERS_H

#include <sys/types.h>

#include "../conf/conf.h"


typedef struct {
    const char  *directive;        /* of "user", NULL when we are not root */
    uid_t        uid;
    gid_t        gid;
    const char  *warning;          /* NULL or a sentence */
} workers_t;

/* 0, or -1 with *err */
int workers_find(arena_t *a, const conf_t *c, workers_t *w, const char **err);

#endif
