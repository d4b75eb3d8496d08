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
    const char  *name;             /* of the user; not NULL with directive */
    unsigned     given:1;          /* it was asked for */
    unsigned     daemon_root:1;    /* controld does not run as this user */
    const char  *warning;          /* NULL or a sentence */
} workers_t;

/* 0, or -1 with *err */
int workers_find(arena_t *a, const conf_t *c, workers_t *w, const char **err);

/*
 * *blind: NULL, or the first of the files that controld has to read at a
 * reload and that this user cannot, as the beginning of a sentence.  -1 with
 * *err when nobody can become this user.
 */
int workers_blind(arena_t *a, const conf_t *c, const workers_t *w,
    const char **blind, const char **err);

/* for good, or -1 with errno */
int workers_become(const workers_t *w);

#endif
