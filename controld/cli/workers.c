/*
 * workers: nginx_user when it exists, "kong", else "nobody".  The default
 * gives way to root, with a warning, when it could not even enter the prefix:
 * workers must be able to map segments.  A user who was asked for does not.
 */

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "workers.h"


#define WORKERS_DEFAULT  "kong kong"
#define WORKERS_NOBODY   "nobody"


static int workers_resolve(arena_t *a, const char *text, workers_t *w);
static const char *workers_barrier(arena_t *a, const char *prefix,
    const workers_t *w);


int
workers_find(arena_t *a, const conf_t *c, workers_t *w, const char **err)
{
    unsigned     given;
    const char  *text, *barrier;

    memset(w, 0, sizeof(*w));

    if (geteuid() != 0) {
        return 0;
    }

    text = conf_str(c, "nginx_main_user");
    given = (text != NULL && strcmp(text, WORKERS_DEFAULT) != 0);

    if (text == NULL || workers_resolve(a, text, w) == -1) {

        if (given) {
            *err = arena_printf(a, "nginx_user: there is no user or group "
                                "'%s'", text);
            return -1;
        }

        if (workers_resolve(a, WORKERS_NOBODY, w) == -1) {
            (void) workers_resolve(a, "root", w);
        }
    }

    barrier = workers_barrier(a, conf_prefix(c), w);

    if (barrier == NULL) {
        return 0;
    }

    if (given) {
        *err = arena_printf(a, "nginx_user '%s' cannot enter '%s'", text,
                            barrier);
        return -1;
    }

    w->warning = arena_printf(a, "workers run as root, because user '%s' "
                              "cannot enter '%s'; set nginx_user or choose "
                              "another prefix", w->directive, barrier);
    w->directive = "root";
    w->uid = 0;
    w->gid = 0;

    return 0;
}


/* "user" or "user group", as nginx takes it */
static int
workers_resolve(arena_t *a, const char *text, workers_t *w)
{
    char           *user, *group;
    struct group   *gr;
    struct passwd  *pw;

    user = arena_strndup(a, text, strlen(text));
    group = strpbrk(user, " \t");

    if (group != NULL) {
        *group++ = '\0';
        group += strspn(group, " \t");
    }

    pw = getpwnam(user);
    if (pw == NULL) {
        return -1;
    }

    w->uid = pw->pw_uid;
    w->gid = pw->pw_gid;

    if (group != NULL && *group != '\0') {
        gr = getgrnam(group);
        if (gr == NULL) {
            return -1;
        }

        w->gid = gr->gr_gid;

    } else {
        gr = getgrgid(w->gid);
        group = gr ? gr->gr_name : NULL;
    }

    w->directive = group ? arena_printf(a, "%s %s", user, group) : user;

    return 0;
}


/* the first folder on the way that the user may not pass */
static const char *
workers_barrier(arena_t *a, const char *prefix, const workers_t *w)
{
    char        *path, *p;
    mode_t       bit;
    struct stat  st;

    if (w->uid == 0) {
        return NULL;
    }

    path = arena_printf(a, "%s/", prefix);

    for (p = strchr(path + 1, '/'); p != NULL; p = strchr(p + 1, '/')) {
        *p = '\0';

        if (stat(path, &st) == -1) {
            return NULL;
        }

        bit = (st.st_uid == w->uid) ? S_IXUSR
              : (st.st_gid == w->gid) ? S_IXGRP : S_IXOTH;

        if (!(st.st_mode & bit)) {
            return path;
        }

        *p = '/';
    }

    return NULL;
}
