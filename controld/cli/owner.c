/*
 * owner: see owner.h.  A file is given away through a descriptor that leads
 * to a regular file with one name: its folder may be somebody else's, who may
 * put links of any kind there.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../listen.h"
#include "../log.h"
#include "../steward.h"
#include "cli.h"
#include "owner.h"


#define OWNER_SOCKETS  2


typedef enum {
    OWNER_SELF = 0,                /* whoever runs the command */
    OWNER_ENTER,                   /* nginx's workers and controld get in */
    OWNER_DAEMON                   /* controld writes there */
} owner_kind_t;

typedef struct {
    const char    *name;
    mode_t         mode;
    owner_kind_t   kind;
} owner_folder_t;


static int owner_daemon(arena_t *a, const conf_t *c, workers_t *w,
    unsigned running, const char **err);
static int owner_folder(arena_t *a, const char *path,
    const owner_folder_t *part, const workers_t *w, const char **err);
static mode_t owner_mode(const char *name, mode_t folder);
static int owner_give(int dir, const char *name, uid_t uid, gid_t gid,
    mode_t mode);
static int owner_listen(arena_t *a, const conf_t *c, uid_t uid,
    const char **err);
static int owner_steward(arena_t *a, const conf_t *c, const char *log);


static const char *const  owner_sockets[OWNER_SOCKETS + 1] = {
    "sockets/admin.sock", "sockets/ask.sock", NULL
};

static const owner_folder_t  owner_parts[] = {
    { "logs", 0755, OWNER_SELF },
    { "pids", 0755, OWNER_SELF },
    { "ssl", 0700, OWNER_SELF },
    { "sockets", 0700, OWNER_ENTER },
    { "snapshots", 0700, OWNER_DAEMON },
    { NULL, 0, OWNER_SELF }
};


int
owner_folders(arena_t *a, const conf_t *c, workers_t *w, unsigned running,
    const char **err)
{
    const owner_folder_t  *part;

    if (w->directive != NULL && w->uid != 0
        && owner_daemon(a, c, w, running, err) == -1)
    {
        return -1;
    }

    for (part = owner_parts; part->name != NULL; part++) {
        if (owner_folder(a, conf_path(c, part->name), part, w, err) == -1) {
            return -1;
        }
    }

    return 0;
}


/* whether controld runs as the workers' user or stays root */
static int
owner_daemon(arena_t *a, const conf_t *c, workers_t *w, unsigned running,
    const char **err)
{
    const char   *blind;
    struct stat   st;

    if (running && stat(conf_path(c, "snapshots"), &st) == 0) {

        if (st.st_uid == 0) {
            w->daemon_root = 1;
            return 0;
        }

        if (st.st_uid != w->uid) {
            *err = "a change of nginx_user takes effect with a restart";
            return -1;
        }
    }

    if (workers_blind(a, c, w, &blind, err) == -1) {
        return -1;
    }

    if (blind == NULL) {
        return 0;
    }

    if (running || w->given) {
        *err = arena_printf(a, "%s by user '%s', as whom controld runs: give "
                            "the file to this user or a group of its own, or "
                            "set nginx_user", blind, w->name);
        return -1;
    }

    w->daemon_root = 1;
    w->warning = arena_printf(a, "controld runs as root, because %s by user "
                              "'%s': give the file to this user, or set "
                              "nginx_user", blind, w->name);

    return 0;
}


static int
owner_folder(arena_t *a, const char *path, const owner_folder_t *part,
    const workers_t *w, const char **err)
{
    gid_t        gid;
    uid_t        uid;
    mode_t       mode;
    struct stat  st;

    if (mkdir(path, part->mode) == -1 && errno != EEXIST) {
        *err = arena_printf(a, "could not create '%s': %s", path,
                            strerror(errno));
        return -1;
    }

    if (lstat(path, &st) == -1
        || (!S_ISDIR(st.st_mode) && stat(path, &st) == -1)
        || !S_ISDIR(st.st_mode))
    {
        *err = arena_printf(a, "%s is not a directory", path);
        return -1;
    }

    if (access(path, W_OK|X_OK) == -1) {
        *err = arena_printf(a, "could not write to '%s': %s", path,
                            strerror(errno));
        return -1;
    }

    uid = (uid_t) -1;
    gid = (gid_t) -1;
    mode = part->mode;

    if (part->kind != OWNER_SELF && w->directive != NULL) {
        uid = 0;

        if (w->uid != 0) {
            gid = w->gid;

            if (part->kind == OWNER_DAEMON && !w->daemon_root) {
                uid = w->uid;
            } else {
                mode = 02750;
            }
        }

    } else if (st.st_uid != geteuid()) {
        return 0;
    }

    if (chown(path, uid, gid) == -1 || chmod(path, mode) == -1) {
        *err = arena_printf(a, "could not set the mode of '%s': %s", path,
                            strerror(errno));
        return -1;
    }

    return 0;
}


int
owner_give_snapshots(arena_t *a, const char *prefix, const char **err)
{
    int             fd, rc;
    DIR            *dir;
    const char     *path;
    struct stat     st;
    struct dirent  *e;

    if (geteuid() != 0) {
        return 0;
    }

    path = arena_printf(a, "%s/snapshots", prefix);
    fd = open(path, O_RDONLY|O_DIRECTORY|O_NOFOLLOW|O_CLOEXEC);
    dir = (fd == -1) ? NULL : fdopendir(fd);

    if (dir == NULL || fstat(fd, &st) == -1) {
        *err = arena_printf(a, "could not open '%s': %s", path,
                            strerror(errno));
        return -1;
    }

    rc = 0;

    while (rc == 0 && (e = readdir(dir)) != NULL) {
        rc = owner_give(fd, e->d_name, st.st_uid, st.st_gid,
                        owner_mode(e->d_name, st.st_mode));

        if (rc == -1) {
            *err = arena_printf(a, "could not give '%s/%s' to the user of "
                                "controld: %s", path, e->d_name,
                                strerror(errno));
        }
    }

    (void) closedir(dir);

    return rc;
}


/* what workers read is as open as the folder */
static mode_t
owner_mode(const char *name, mode_t folder)
{
    const char  *dot;

    dot = strrchr(name, '.');

    return (folder & S_IXGRP)
           && (strcmp(name, "current") == 0
               || (dot != NULL && (strcmp(dot, ".config") == 0
                                   || strcmp(dot, ".endpoints") == 0)))
           ? 0640 : 0600;
}


/* `snapshots` names who reads it; the group stays, for there are passwords */
int
owner_give_env(arena_t *a, const char *prefix, const char **err)
{
    int          fd, rc;
    struct stat  st;

    if (geteuid() != 0
        || stat(arena_printf(a, "%s/snapshots", prefix), &st) == -1)
    {
        return 0;
    }

    fd = open(prefix, O_RDONLY|O_DIRECTORY|O_CLOEXEC);
    rc = (fd == -1) ? -1 : owner_give(fd, ".kong_env", st.st_uid, (gid_t) -1,
                                      0640);

    if (rc == -1) {
        *err = arena_printf(a, "could not give '%s/.kong_env' to the user of "
                            "controld: %s", prefix, strerror(errno));
    }

    if (fd != -1) {
        (void) close(fd);
    }

    return rc;
}


static int
owner_give(int dir, const char *name, uid_t uid, gid_t gid, mode_t mode)
{
    int          fd, rc;
    struct stat  st;

    fd = openat(dir, name, O_RDONLY|O_NOFOLLOW|O_NONBLOCK|O_CLOEXEC);
    if (fd == -1) {
        return (errno == ENOENT || errno == ELOOP || errno == ENXIO) ? 0 : -1;
    }

    rc = fstat(fd, &st);

    if (rc == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1) {
        rc = (fchown(fd, uid, gid) == -1 || fchmod(fd, mode) == -1) ? -1 : 0;
    }

    (void) close(fd);

    return rc;
}


int
owner_become(arena_t *a, const conf_t *c, const char *log, const char **err)
{
    workers_t       w;
    struct stat     st;
    struct passwd  *pw;

    if (geteuid() != 0) {
        return 0;
    }

    if (stat(conf_path(c, "snapshots"), &st) == -1) {
        *err = arena_printf(a, "no prefix is prepared in '%s'",
                            conf_prefix(c));
        return -1;
    }

    if (st.st_uid == 0) {
        log_write(LOG_WARN, "controld runs as root");

        return workers_find(a, c, &w, err) == -1 ? -1
               : owner_listen(a, c, w.uid, err);
    }

    pw = getpwuid(st.st_uid);

    if (pw == NULL) {
        *err = arena_printf(a, "the owner of '%s/snapshots', %u, is no user: "
                            "set nginx_user", conf_prefix(c),
                            (unsigned) st.st_uid);
        return -1;
    }

    if (owner_give_snapshots(a, conf_prefix(c), err) == -1
        || owner_give_env(a, conf_prefix(c), err) == -1
        || owner_listen(a, c, st.st_uid, err) == -1)
    {
        return -1;
    }

    if (owner_steward(a, c, log) == -1) {
        *err = arena_printf(a, "a process cannot be started: %s",
                            strerror(errno));
        return -1;
    }

    w.uid = st.st_uid;
    w.gid = st.st_gid;
    w.name = pw->pw_name;

    if (workers_become(&w) == -1) {
        *err = arena_printf(a, "controld cannot become user '%s': %s",
                            w.name, strerror(errno));
        return -1;
    }

    /* libpq looks for its files there, and fails where it may not look */
    (void) setenv("HOME", pw->pw_dir, 1);

    return 0;
}


static int
owner_listen(arena_t *a, const conf_t *c, uid_t uid, const char **err)
{
    size_t       i;
    const char  *path;

    for (i = 0; owner_sockets[i] != NULL; i++) {
        path = arena_printf(a, "%s/%s", conf_prefix(c), owner_sockets[i]);

        if (listen_prepare(path, uid, err) == -1) {
            return -1;
        }
    }

    return 0;
}


static int
owner_steward(arena_t *a, const conf_t *c, const char *log)
{
    size_t        i;
    const char  **files;

    files = arena_zalloc(a, (OWNER_SOCKETS + 2) * sizeof(char *));
    files[0] = arena_printf(a, "%s/pids/controld.pid", conf_prefix(c));

    for (i = 0; owner_sockets[i] != NULL; i++) {
        files[i + 1] = arena_printf(a, "%s/%s", conf_prefix(c),
                                    owner_sockets[i]);
    }

    if (steward_start(log, files) == -1) {
        return -1;
    }

    log_set_opener(steward_open);

    return 0;
}


void
owner_release(void)
{
    steward_clear();
}
