/*
 * workers: nginx_user when it exists, "kong", else "nobody".  The default
 * gives way to root, with a warning, when it could not even enter the prefix:
 * workers must be able to map segments.  A user who was asked for does not.
 */

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "workers.h"


#define WORKERS_DEFAULT  "kong kong"
#define WORKERS_NOBODY   "nobody"
#define WORKERS_FILES    64
#define WORKERS_LOST     255


static int workers_resolve(arena_t *a, const char *text, workers_t *w);
static const char *workers_barrier(arena_t *a, const char *prefix,
    const workers_t *w);
static size_t workers_files(arena_t *a, const conf_t *c, const char **files);
static int workers_look(const workers_t *w, const char **files, size_t n)
    __attribute__((noreturn));


/* settings that name what controld reads, once more at each reload */
static const char *const  workers_settings[] = {
    "declarative_config", "admin_tokens_file", "plugin_schemas",
    "dns_hostsfile", NULL
};


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
    w->given = given = (text != NULL && strcmp(text, WORKERS_DEFAULT) != 0);

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
    w->name = "root";
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

    w->name = user;
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


int
workers_blind(arena_t *a, const conf_t *c, const workers_t *w,
    const char **blind, const char **err)
{
    int          status;
    pid_t        pid;
    size_t       n;
    const char  *files[2 * WORKERS_FILES];

    n = workers_files(a, c, files);
    status = 0;

    /* who may read what is the kernel's to say */
    pid = fork();

    if (pid == 0) {
        workers_look(w, files, n);
    }

    while (pid != -1 && waitpid(pid, &status, 0) == -1 && errno == EINTR) {
        /* again */
    }

    if (pid == -1 || !WIFEXITED(status)
        || WEXITSTATUS(status) == WORKERS_LOST)
    {
        *err = arena_printf(a, "nginx_user: root cannot become user '%s' "
                            "here", w->name);
        return -1;
    }

    n = (size_t) WEXITSTATUS(status);
    *blind = (n == 0) ? NULL
             : arena_printf(a, "%s '%s' cannot be read", files[2 * n - 2],
                            files[2 * n - 1]);

    return 0;
}


/* pairs of setting and path */
static size_t
workers_files(arena_t *a, const conf_t *c, const char **files)
{
    size_t          i, n;
    const char     *path;
    const value_t  *list;

    n = 0;

    for (i = 0; workers_settings[i] != NULL; i++) {
        path = conf_str(c, workers_settings[i]);

        if (path != NULL) {
            files[2 * n] = workers_settings[i];
            files[2 * n + 1] = path;
            n++;
        }
    }

    list = conf_list(c, "lua_ssl_trusted_certificate");

    for (i = 0; i < list->len && n < WORKERS_FILES; i++) {
        path = value_cstr(value_at(list, i));

        if (path != NULL && path[0] == '/') {
            files[2 * n] = "lua_ssl_trusted_certificate";
            files[2 * n + 1] = arena_strndup(a, path, strlen(path));
            n++;
        }
    }

    return n;
}


/* what is not there is no matter of rights */
static int
workers_look(const workers_t *w, const char **files, size_t n)
{
    int          mode;
    size_t       i;
    struct stat  st;

    if (workers_become(w) == -1) {
        _exit(WORKERS_LOST);
    }

    for (i = 0; i < n; i++) {
        mode = R_OK;

        if (stat(files[2 * i + 1], &st) == 0 && S_ISDIR(st.st_mode)) {
            mode = R_OK|X_OK;
        }

        if (access(files[2 * i + 1], mode) == -1 && errno == EACCES) {
            _exit((int) i + 1);
        }
    }

    _exit(0);
}


int
workers_become(const workers_t *w)
{
    if (initgroups(w->name, w->gid) == -1
        || setresgid(w->gid, w->gid, w->gid) == -1
        || setresuid(w->uid, w->uid, w->uid) == -1)
    {
        return -1;
    }

    /* there is no way back, or it is no protection */
    if (w->uid != 0 && (setuid(0) != -1 || geteuid() != w->uid)) {
        errno = EPERM;
        return -1;
    }

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}
