/*
 * start: `kong start`, `prepare`, `restart` and `reload`, and `controld`, the
 * daemon itself.  A start that fails leaves no process behind.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../daemon.h"
#include "../log.h"
#include "../source/declarative.h"
#include "cli.h"
#include "node.h"
#include "owner.h"
#include "prefix.h"
#include "process.h"


static int start_node(cli_t *cli, conf_t *c);
static int start_processes(cli_t *cli, conf_t *c, const prefix_t *p);
static int start_foreground(cli_t *cli, conf_t *c, const prefix_t *p);
static void start_forward(int signo);
static int reload_database(cli_t *cli, conf_t *c);
static int reload_node(cli_t *cli, conf_t *c, pid_t nginx);
static int reload_controld(cli_t *cli, conf_t *c, const prefix_t *p);
static void reload_check_file(cli_t *cli, conf_t *c);


static volatile sig_atomic_t  start_child;


int
cli_start(cli_t *cli)
{
    conf_t  *c;

    c = cli_conf(cli);

    if (c == NULL || cli_supported(cli, c) != 0) {
        return 1;
    }

    return start_node(cli, c);
}


static int
start_node(cli_t *cli, conf_t *c)
{
    int          lock, rc;
    prefix_t     p;
    arena_t     *a;
    const char  *err, *prefix;

    a = cli->arena;
    prefix = conf_prefix(c);
    memset(&p, 0, sizeof(p));

    if (prefix_create(a, prefix, &err) == -1) {
        return cli_error("could not prepare Kong prefix at %s: %s", prefix,
                         err);
    }

    lock = prefix_lock(a, prefix, &err);
    if (lock == -1) {
        return cli_error("%s", err);
    }

    if (node_nginx(a, prefix) != 0) {
        (void) close(lock);
        return cli_error("Kong is already running in %s", prefix);
    }

    /* a daemon that outlived its nginx has old settings */
    rc = node_stop_all(a, prefix, &err);

    if (rc == 0) {
        cli_verbose("preparing the prefix");
        rc = prefix_prepare(a, c, &p, &err);

        if (rc == -1) {
            err = arena_printf(a, "could not prepare Kong prefix at %s: %s",
                               prefix, err);
        }
    }

    if (rc == 0 && cli->run_migrations
        && strcmp(conf_str(c, "database"), "off") != 0
        && cli_run_migrations(cli, c) != 0)
    {
        (void) close(lock);
        return 1;
    }

    if (rc == 0) {
        prefix_clean_sockets(a, c);
        cli_verbose("loading the configuration");
        rc = daemon_prepare(a, c, &err);
    }

    if (rc == 0) {
        rc = owner_give_snapshots(a, prefix, &err);
    }

    if (rc == -1) {
        (void) close(lock);
        return cli_error("%s", err);
    }

    if (conf_bool(c, "nginx_main_daemon")) {
        rc = start_processes(cli, c, &p);
        (void) close(lock);
        return rc;
    }

    (void) close(lock);

    return start_foreground(cli, c, &p);
}


static int
start_processes(cli_t *cli, conf_t *c, const prefix_t *p)
{
    const char  *err, *ignored;

    cli_verbose("starting nginx");

    if (node_start_nginx(cli->arena, conf_prefix(c), p->nginx, &err) == -1) {
        prefix_clean_sockets(cli->arena, c);
        return cli_error("%s", err);
    }

    cli_verbose("starting controld");

    if (node_start_controld(cli->arena, c, p->exe, &err) == -1) {
        (void) node_stop_all(cli->arena, conf_prefix(c), &ignored);
        prefix_clean_sockets(cli->arena, c);
        return cli_error("%s", err);
    }

    if (!cli->quiet) {
        cli_print("Kong started");
    }

    return 0;
}


/*
 * nginx_daemon = off: nginx stays our child, signals are handed on to it, and
 * the daemon ends with it.
 */
static int
start_foreground(cli_t *cli, conf_t *c, const prefix_t *p)
{
    int                status, rc;
    char              *argv[8];
    pid_t              pid;
    const char        *err;
    struct sigaction   sa;

    static const int   signals[] = {
        SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH
    };

    argv[0] = (char *) p->nginx;
    argv[1] = (char *) "-p";
    argv[2] = (char *) conf_prefix(c);
    argv[3] = (char *) "-c";
    argv[4] = (char *) "nginx.conf";
    argv[5] = NULL;

    pid = process_child(argv);
    if (pid == -1) {
        return cli_error("could not start nginx: %s", strerror(errno));
    }

    start_child = pid;
    memset(&sa, 0, sizeof(sa));
    sa.sa_handler = start_forward;
    sigemptyset(&sa.sa_mask);

    for (rc = 0; rc < (int) (sizeof(signals) / sizeof(signals[0])); rc++) {
        (void) sigaction(signals[rc], &sa, NULL);
    }

    rc = 0;

    if (node_start_controld(cli->arena, c, p->exe, &err) == -1) {
        rc = cli_error("%s", err);
        (void) kill(pid, SIGTERM);

    } else {
        cli_print("Kong started");
    }

    while (waitpid(pid, &status, 0) == -1 && errno == EINTR) {
        /* a signal was handed on */
    }

    (void) node_stop(node_controld(cli->arena, conf_prefix(c)), SIGTERM,
                     NODE_STOP_TIMEOUT);
    node_clean(cli->arena, conf_prefix(c));

    return (rc == 0 && WIFEXITED(status)) ? WEXITSTATUS(status) : 1;
}


static void
start_forward(int signo)
{
    int  err;

    err = errno;
    (void) kill((pid_t) start_child, signo);
    errno = err;
}


/* everything that `nginx -p PREFIX -c nginx.conf` needs */
int
cli_prepare(cli_t *cli)
{
    int          lock, rc;
    conf_t      *c;
    prefix_t     p;
    const char  *err;

    c = cli_conf(cli);

    if (c == NULL || cli_supported(cli, c) != 0) {
        return 1;
    }

    memset(&p, 0, sizeof(p));
    lock = -1;

    rc = prefix_create(cli->arena, conf_prefix(c), &err);

    if (rc == 0) {
        lock = prefix_lock(cli->arena, conf_prefix(c), &err);
        p.running = (node_controld(cli->arena, conf_prefix(c)) != 0);
        rc = (lock == -1) ? -1 : prefix_prepare(cli->arena, c, &p, &err);
    }

    /* a daemon that runs owns the snapshots, and they are there */
    if (rc == 0 && !p.running) {
        prefix_clean_sockets(cli->arena, c);
        rc = daemon_prepare(cli->arena, c, &err);

        if (rc == 0) {
            rc = owner_give_snapshots(cli->arena, conf_prefix(c), &err);
        }
    }

    if (lock != -1) {
        (void) close(lock);
    }

    if (rc == -1) {
        return cli_error("could not prepare Kong prefix at %s: %s",
                         conf_prefix(c), err);
    }

    return 0;
}


/* the new settings are read first: with bad ones the old node stays */
int
cli_restart(cli_t *cli)
{
    conf_t      *c;
    const char  *err;

    c = cli_conf(cli);

    if (c == NULL || cli_supported(cli, c) != 0) {
        return 1;
    }

    if (node_stop_all(cli->arena, conf_prefix(c), &err) == -1) {
        return cli_error("%s", err);
    }

    return start_node(cli, c);
}


int
cli_reload(cli_t *cli)
{
    int          lock, rc;
    pid_t        nginx;
    conf_t      *c;
    const char  *prefix, *env, *err;

    prefix = cli_prefix(cli);
    if (prefix == NULL) {
        return 1;
    }

    if (access(prefix, F_OK) == -1) {
        return cli_error("no such prefix: %s", prefix);
    }

    nginx = node_nginx(cli->arena, prefix);
    if (nginx == 0) {
        return cli_error("nginx not running in prefix: %s", prefix);
    }

    /* the settings the node runs with, under those of the environment */
    env = arena_printf(cli->arena, "%s/.kong_env", prefix);

    c = cli_conf_file(cli, cli->conf ? cli->conf : env, prefix);

    if (c == NULL || cli_supported(cli, c) != 0 || cli_plugins(cli, c) != 0) {
        return 1;
    }

    lock = prefix_lock(cli->arena, prefix, &err);
    if (lock == -1) {
        return cli_error("%s", err);
    }

    rc = reload_database(cli, c);

    if (rc == 0) {
        rc = reload_node(cli, c, nginx);
    }

    (void) close(lock);

    return rc;
}


/* where the configuration comes from is settled for the node's life */
static int
reload_database(cli_t *cli, conf_t *c)
{
    conf_t      *old;
    value_t     *errors;
    const char  *before, *after;

    old = conf_load_env(cli->arena, conf_prefix(c), &errors);

    if (old == NULL) {
        return 0;
    }

    before = conf_str(old, "database");
    after = conf_str(c, "database");

    if (strcmp(before, after) == 0) {
        return 0;
    }

    return cli_error("the setting 'database' changes from %s to %s, which "
                     "needs a restart: run 'kong restart'; nothing was "
                     "reloaded", before, after);
}


/* nginx tries the new files first: bad ones are put back */
static int
reload_node(cli_t *cli, conf_t *c, pid_t nginx)
{
    prefix_t     p;
    const char  *err;

    memset(&p, 0, sizeof(p));
    p.running = 1;

    if (prefix_prepare(cli->arena, c, &p, &err) == -1) {
        return cli_error("could not prepare Kong prefix at %s: %s",
                         conf_prefix(c), err);
    }

    if (node_test_nginx(cli->arena, conf_prefix(c), p.nginx, &err) == -1) {
        prefix_undo(cli->arena, c, &p);
        return cli_error("%s", err);
    }

    reload_check_file(cli, c);

    if (kill(nginx, SIGHUP) == -1) {
        return cli_error("could not signal nginx (pid %d): %s", (int) nginx,
                         strerror(errno));
    }

    if (reload_controld(cli, c, &p) != 0) {
        return 1;
    }

    cli_print("Kong reloaded");

    return 0;
}


/* it reads .kong_env again by itself; a dead one is replaced */
static int
reload_controld(cli_t *cli, conf_t *c, const prefix_t *p)
{
    pid_t        pid;
    const char  *err;

    pid = node_controld(cli->arena, conf_prefix(c));

    if (pid != 0 && kill(pid, SIGHUP) == 0) {
        return 0;
    }

    if (node_start_controld(cli->arena, c, p->exe, &err) == -1) {
        return cli_error("%s", err);
    }

    return 0;
}


/* Kong says nothing here; the node keeps its configuration as well */
static void
reload_check_file(cli_t *cli, conf_t *c)
{
    config_t              *config;
    const char            *path;
    declarative_opts_t     opts;
    declarative_errors_t   errors;

    path = conf_str(c, "declarative_config");
    if (path == NULL) {
        return;
    }

    memset(&opts, 0, sizeof(opts));
    memset(&errors, 0, sizeof(errors));
    opts.router_flavor = conf_str(c, "router_flavor");
    opts.plugins = conf_plugins(c);

    config = declarative_load_file(cli->arena, path, &opts, &errors);

    if (config == NULL) {
        cli_warn("%s is not taken, the configuration before stays:\n%s", path,
                 declarative_errors_text(cli->arena, &errors, 1));
    }

    config_free(config);
}


int
cli_controld(cli_t *cli)
{
    int          fd, rc, level;
    conf_t      *c;
    value_t     *errors;
    const char  *prefix, *err;

    if (cli->conf != NULL) {
        c = cli_conf(cli);

    } else {
        prefix = cli_prefix(cli);
        if (prefix == NULL) {
            return 1;
        }

        c = conf_load_env(cli->arena, prefix, &errors);

        if (c == NULL) {
            (void) cli_errors(errors);

        } else if (cli_plugins(cli, c) != 0) {
            c = NULL;
        }
    }

    if (c == NULL || cli_supported(cli, c) != 0) {
        return 1;
    }

    (void) umask(027);

    level = log_level_parse(conf_str(c, "log_level"));
    log_set_level((log_level_t) level);

    if (cli->log != NULL && log_open(cli->log, (log_level_t) level) == -1) {
        return cli_error("could not open '%s': %s", cli->log,
                         strerror(errno));
    }

    fd = node_hold(cli->arena, conf_prefix(c), &err);
    if (fd == -1) {
        return cli_error("%s", err);
    }

    if (owner_become(cli->arena, c, cli->log, &err) == -1) {
        log_write(LOG_EMERG, "controld cannot start: %s", err);
        node_release(cli->arena, conf_prefix(c), fd);
        return cli_error("%s", err);
    }

    rc = daemon_run(c);

    owner_release();
    node_release(cli->arena, conf_prefix(c), fd);

    return rc;
}
