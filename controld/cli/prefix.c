/*
 * prefix: see prefix.h.  Files are written under temporary names and renamed,
 * so that a node that runs in the prefix never reads half of one.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "../model/uuid.h"
#include "certs.h"
#include "cli.h"
#include "nginx_conf.h"
#include "owner.h"
#include "prefix.h"
#include "process.h"


#define PREFIX_MODULE  "ngx_http_kong_module.so"


static int prefix_id(arena_t *a, const conf_t *c, nginx_facts_t *f,
    const char **err);
static int prefix_facts(arena_t *a, const conf_t *c, nginx_facts_t *f,
    const char **err);
static int prefix_listener_certs(arena_t *a, const conf_t *c,
    const char *listen, const char *setting, const char *name,
    nginx_certs_t *out, const char **err);
static int prefix_trusted(arena_t *a, const conf_t *c, nginx_facts_t *f,
    const char **err);
static int prefix_client_cert(arena_t *a, const conf_t *c, nginx_facts_t *f,
    const char **err);
static const char *prefix_find_module(arena_t *a, const conf_t *c,
    const char **err);
static int prefix_write(arena_t *a, const char *path, const char *text,
    mode_t mode, const char **err);
static void prefix_clean_socket(const char *path);


int
prefix_prepare(arena_t *a, conf_t *c, prefix_t *p, const char **err)
{
    workers_t      w;
    nginx_facts_t  facts;
    nginx_texts_t  texts;

    memset(&facts, 0, sizeof(facts));

    p->exe = prefix_exe(a);
    p->nginx = prefix_find_nginx(a, c, err);

    if (p->nginx == NULL) {
        return -1;
    }

    facts.module = prefix_find_module(a, c, err);

    if (facts.module == NULL
        || prefix_create(a, conf_prefix(c), err) == -1
        || workers_find(a, c, &w, err) == -1
        || owner_folders(a, c, &w, p->running, err) == -1)
    {
        return -1;
    }

    if (w.warning != NULL) {
        cli_warn("%s", w.warning);
    }

    facts.user = w.directive;

    if (prefix_id(a, c, &facts, err) == -1
        || prefix_facts(a, c, &facts, err) == -1)
    {
        return -1;
    }

    if (nginx_conf_render(a, c, &facts, &texts) == -1) {
        *err = "out of memory";
        return -1;
    }

    p->old_main = prefix_read(a, conf_path(c, "nginx.conf"));
    p->old_http = prefix_read(a, conf_path(c, "nginx-kong.conf"));
    p->old_env = prefix_read(a, conf_path(c, ".kong_env"));

    if (prefix_write(a, conf_path(c, "nginx-kong.conf"), texts.http, 0640,
                     err) == -1
        || prefix_write(a, conf_path(c, "nginx.conf"), texts.main, 0640,
                        err) == -1
        || conf_save_env(c, err) == -1
        || owner_give_env(a, conf_prefix(c), err) == -1)
    {
        prefix_undo(a, c, p);
        return -1;
    }

    return 0;
}


void
prefix_undo(arena_t *a, const conf_t *c, const prefix_t *p)
{
    const char  *err;

    if (p->old_http != NULL) {
        (void) prefix_write(a, conf_path(c, "nginx-kong.conf"), p->old_http,
                            0640, &err);
    }

    if (p->old_main != NULL) {
        (void) prefix_write(a, conf_path(c, "nginx.conf"), p->old_main, 0640,
                            &err);
    }

    if (p->old_env != NULL) {
        (void) prefix_write(a, conf_path(c, ".kong_env"), p->old_env, 0640,
                            &err);
        (void) owner_give_env(a, conf_prefix(c), &err);
    }
}


int
prefix_lock(arena_t *a, const char *prefix, const char **err)
{
    int  fd;

    fd = open(prefix, O_RDONLY|O_DIRECTORY|O_CLOEXEC);
    if (fd == -1) {
        *err = arena_printf(a, "could not open '%s': %s", prefix,
                            strerror(errno));
        return -1;
    }

    if (flock(fd, LOCK_EX|LOCK_NB) == -1) {
        *err = arena_printf(a, "another kong command is at work in %s",
                            prefix);
        (void) close(fd);
        return -1;
    }

    return fd;
}


int
prefix_create(arena_t *a, const char *prefix, const char **err)
{
    char         *path, *p;
    struct stat   st;

    path = arena_printf(a, "%s/", prefix);

    for (p = strchr(path + 1, '/'); p != NULL; p = strchr(p + 1, '/')) {
        *p = '\0';

        if (mkdir(path, 0755) == -1 && errno != EEXIST
            && (stat(path, &st) == -1 || !S_ISDIR(st.st_mode)))
        {
            (void) mkdir(path, 0755);                    /* for its errno */
            *err = arena_printf(a, "could not create '%s': %s", path,
                                strerror(errno));
            return -1;
        }

        *p = '/';
    }

    if (stat(prefix, &st) == -1 || !S_ISDIR(st.st_mode)) {
        *err = arena_printf(a, "%s is not a directory", prefix);
        return -1;
    }

    return 0;
}


static int
prefix_id(arena_t *a, const conf_t *c, nginx_facts_t *f, const char **err)
{
    char         id[UUID_LEN + 1];
    const char  *path, *given;

    path = conf_path(c, "kong.id");
    given = conf_str(c, "node_id");

    if (given == NULL) {
        given = prefix_read(a, path);

        if (given != NULL && uuid_is_valid(given, strcspn(given, "\n"))) {
            f->node_id = arena_strndup(a, given, UUID_LEN);
            return 0;
        }

        uuid_v4(id);
        given = id;
    }

    f->node_id = arena_strndup(a, given, UUID_LEN);

    return prefix_write(a, path, given, 0644, err);
}


static int
prefix_facts(arena_t *a, const conf_t *c, nginx_facts_t *f, const char **err)
{
    value_t  *dh;

    if (prefix_listener_certs(a, c, "proxy_listen", "ssl_cert",
                              "kong-default", &f->proxy, err) == -1
        || prefix_listener_certs(a, c, "admin_listen", "admin_ssl_cert",
                                 "admin-kong-default", &f->admin, err) == -1
        || prefix_listener_certs(a, c, "status_listen", "status_ssl_cert",
                                 "status-kong-default", &f->status, err)
           == -1
        || prefix_client_cert(a, c, f, err) == -1
        || prefix_trusted(a, c, f, err) == -1)
    {
        return -1;
    }

    dh = value_get(conf_nginx(c, "http"), "ssl_dhparam");

    if (dh != NULL) {
        f->dhparam = certs_dhparam(a, c, dh->u.string, err);

        if (f->dhparam == NULL) {
            return -1;
        }
    }

    return 0;
}


static int
prefix_listener_certs(arena_t *a, const conf_t *c, const char *listen,
    const char *setting, const char *name, nginx_certs_t *out,
    const char **err)
{
    size_t                i, n;
    const conf_listen_t  *listens;

    n = conf_listens(c, listen, &listens);

    for (i = 0; i < n; i++) {
        if (listens[i].ssl) {
            *out = certs_pairs(a, c, setting, name, err);
            return *out == NULL ? -1 : 0;
        }
    }

    return 0;
}


/* with no pair given Kong shows upstreams the default certificate */
static int
prefix_client_cert(arena_t *a, const conf_t *c, nginx_facts_t *f,
    const char **err)
{
    const char     *cert, *key;
    nginx_certs_t   pairs;

    if (!conf_bool(c, "client_ssl")) {
        return 0;
    }

    cert = conf_str(c, "client_ssl_cert");
    key = conf_str(c, "client_ssl_cert_key");

    if (cert == NULL) {
        pairs = certs_pairs(a, c, "ssl_cert", "kong-default", err);
        if (pairs == NULL) {
            return -1;
        }

        f->client_cert = pairs[0];
        f->client_key = pairs[1];
        return 0;
    }

    f->client_cert = certs_file(a, c, cert, "client_ssl_cert.crt", err);
    f->client_key = certs_file(a, c, key, "client_ssl_cert.key", err);

    return (f->client_cert == NULL || f->client_key == NULL) ? -1 : 0;
}


static int
prefix_trusted(arena_t *a, const conf_t *c, nginx_facts_t *f,
    const char **err)
{
    size_t          i;
    const char     *text;
    const value_t  *list;

    list = conf_list(c, "lua_ssl_trusted_certificate");

    if (list->len == 0) {
        return 0;
    }

    f->trusted = arena_zalloc(a, (list->len + 1) * sizeof(char *));

    for (i = 0; i < list->len; i++) {
        text = list->u.items[i].u.string;

        f->trusted[i] = strcmp(text, "system") == 0
                        ? text
                        : certs_file(a, c, text,
                                     arena_printf(a, "trusted-%zu.crt",
                                                  i + 1), err);

        if (f->trusted[i] == NULL) {
            return -1;
        }
    }

    return 0;
}


/* nginx_bin, or what PATH and the usual folders have */
const char *
prefix_find_nginx(arena_t *a, const conf_t *c, const char **err)
{
    char        *argv[3];
    size_t       len;
    const char  *bin, *path, *dirs, *output;

    bin = conf_str(c, "nginx_bin");
    path = NULL;

    if (bin != NULL && strchr(bin, '/') != NULL) {
        path = bin;

    } else {
        dirs = arena_printf(a, "%s:/usr/sbin:/usr/local/sbin:"
                            "/usr/local/nginx/sbin",
                            getenv("PATH") ? getenv("PATH") : "");

        for ( /* void */ ; *dirs != '\0'; dirs += len + (dirs[len] == ':')) {
            len = strcspn(dirs, ":");
            path = arena_printf(a, "%.*s/%s", (int) len, dirs,
                                bin ? bin : "nginx");

            if (len != 0 && access(path, X_OK) == 0) {
                break;
            }

            path = NULL;
        }
    }

    if (path == NULL) {
        *err = arena_printf(a, "could not find '%s': install nginx or name "
                            "its file with nginx_bin", bin ? bin : "nginx");
        return NULL;
    }

    if (access(path, X_OK) == -1) {
        *err = arena_printf(a, "nginx_bin '%s': %s", path, strerror(errno));
        return NULL;
    }

    argv[0] = (char *) path;
    argv[1] = (char *) "-v";
    argv[2] = NULL;

    if (process_run(a, argv, &output) != 0
        || strstr(output, "version: ") == NULL)
    {
        *err = arena_printf(a, "nginx_bin '%s' is not nginx%s%s", path,
                            *output ? ": " : "", output);
        return NULL;
    }

    cli_verbose("nginx: %s, %s", path, output);

    return path;
}


/* beside the program, as it is built, or where it is installed */
static const char *
prefix_find_module(arena_t *a, const conf_t *c, const char **err)
{
    char               *dir;
    size_t              i;
    const char         *path, *given;
    struct stat         st;
    static const char  *const places[] = { "", "/../lib/kong", NULL };

    given = conf_str(c, "module_path");

    if (given != NULL) {
        path = given;

        if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
            path = arena_printf(a, "%s/%s", given, PREFIX_MODULE);
        }

        if (access(path, R_OK) == -1 || strpbrk(path, "\"\\$") != NULL) {
            *err = arena_printf(a, "module_path: no module at %s", path);
            return NULL;
        }

        return path;
    }

    dir = arena_strndup(a, prefix_exe(a), strlen(prefix_exe(a)));
    *strrchr(dir, '/') = '\0';

    for (i = 0; places[i] != NULL; i++) {
        path = arena_printf(a, "%s%s/%s", dir, places[i], PREFIX_MODULE);

        if (access(path, R_OK) == 0 && strpbrk(path, "\"\\$") == NULL) {
            return path;
        }
    }

    *err = arena_printf(a, "could not find %s beside %s nor in "
                        "%s/../lib/kong; name it with module_path",
                        PREFIX_MODULE, prefix_exe(a), dir);

    return NULL;
}


const char *
prefix_exe(arena_t *a)
{
    char     buf[4096];
    ssize_t  n;

    n = readlink("/proc/self/exe", buf, sizeof(buf) - 1);

    return (n <= 0) ? "/usr/bin/kong" : arena_strndup(a, buf, (size_t) n);
}


char *
prefix_read(arena_t *a, const char *path)
{
    int          fd;
    char        *text;
    ssize_t      n;
    struct stat  st;

    fd = open(path, O_RDONLY|O_CLOEXEC|O_NONBLOCK);
    if (fd == -1) {
        return NULL;
    }

    text = NULL;

    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        text = arena_alloc(a, (size_t) st.st_size + 1);
        n = read(fd, text, (size_t) st.st_size);
        text[n > 0 ? n : 0] = '\0';
    }

    (void) close(fd);

    return text;
}


static int
prefix_write(arena_t *a, const char *path, const char *text, mode_t mode,
    const char **err)
{
    int          fd, failed;
    size_t       len;
    const char  *temp;

    temp = arena_printf(a, "%s.new", path);
    len = strlen(text);

    (void) unlink(temp);
    fd = open(temp, O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, mode);

    if (fd == -1) {
        *err = arena_printf(a, "could not write '%s': %s", temp,
                            strerror(errno));
        return -1;
    }

    errno = ENOSPC;                        /* what a short write means */
    failed = write(fd, text, len) != (ssize_t) len || fsync(fd) == -1;

    if (close(fd) == -1 || failed || rename(temp, path) == -1) {
        *err = arena_printf(a, "could not write '%s': %s", path,
                            strerror(errno));
        (void) unlink(temp);
        return -1;
    }

    return 0;
}


void
prefix_clean_sockets(arena_t *a, const conf_t *c)
{
    size_t                i, k, n;
    const conf_listen_t  *listens;

    static const char *const  names[] = {
        "proxy_listen", "admin_listen", "status_listen", NULL
    };

    prefix_clean_own_sockets(a, conf_prefix(c));

    for (i = 0; names[i] != NULL; i++) {
        n = conf_listens(c, names[i], &listens);

        for (k = 0; k < n; k++) {
            if (listens[k].port == 0) {
                prefix_clean_socket(listens[k].address
                                    + sizeof("unix:") - 1);
            }
        }
    }
}


void
prefix_clean_own_sockets(arena_t *a, const char *prefix)
{
    prefix_clean_socket(arena_printf(a, "%s/sockets/control.sock", prefix));
    prefix_clean_socket(arena_printf(a, "%s/sockets/admin.sock", prefix));
    prefix_clean_socket(arena_printf(a, "%s/sockets/ask.sock", prefix));
}


/* a socket that refuses a connection has lost its process */
static void
prefix_clean_socket(const char *path)
{
    int                 fd;
    struct sockaddr_un  sun;

    if (strlen(path) >= sizeof(sun.sun_path)) {
        return;
    }

    memset(&sun, 0, sizeof(sun));
    sun.sun_family = AF_UNIX;
    memcpy(sun.sun_path, path, strlen(path));

    fd = socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC|SOCK_NONBLOCK, 0);
    if (fd == -1) {
        return;
    }

    if (connect(fd, (struct sockaddr *) &sun, sizeof(sun)) == -1
        && errno == ECONNREFUSED)
    {
        (void) unlink(path);
    }

    (void) close(fd);
}
