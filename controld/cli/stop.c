/*
 * stop: `kong stop`, `quit`, `drain` and `health`.  They need the prefix and
 * nothing else, so that a broken kong.conf never keeps a node from being
 * stopped.
 */

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "local_http.h"
#include "node.h"
#include "prefix.h"
#include "process.h"


#define HEALTH_HEARTBEAT  5.0            /* seconds without a sign of life */


static const char *stop_prefix(cli_t *cli, pid_t *nginx);
static int stop_daemon(cli_t *cli, const char *prefix);
static int drain_one(cli_t *cli, const conf_listen_t *listen);
static void health_controld(cli_t *cli, const char *prefix);
static void health_database(cli_t *cli, const value_t *status);


/* the prefix of a node that runs; NULL after an error */
static const char *
stop_prefix(cli_t *cli, pid_t *nginx)
{
    const char  *prefix, *err;

    prefix = cli_prefix(cli);

    if (prefix == NULL) {
        return NULL;
    }

    if (access(prefix, F_OK) == -1) {
        cli_error("no such prefix: %s", prefix);
        return NULL;
    }

    *nginx = node_nginx(cli->arena, prefix);

    if (*nginx == 0) {
        /* what a killed master left behind is no node, but must not stay */
        (void) node_stop_all(cli->arena, prefix, &err);
        cli_error("nginx not running in prefix: %s", prefix);
        return NULL;
    }

    return prefix;
}


static int
stop_daemon(cli_t *cli, const char *prefix)
{
    pid_t  pid;

    pid = node_controld(cli->arena, prefix);

    if (node_stop(pid, SIGTERM, NODE_STOP_TIMEOUT) == -1
        && node_stop(pid, SIGKILL, 1) == -1)
    {
        return cli_error("controld (pid %d) did not end", (int) pid);
    }

    return 0;
}


int
cli_stop(cli_t *cli)
{
    pid_t        nginx;
    const char  *prefix, *err;

    prefix = stop_prefix(cli, &nginx);
    if (prefix == NULL) {
        return 1;
    }

    if (node_stop_all(cli->arena, prefix, &err) == -1) {
        return cli_error("%s", err);
    }

    cli_print("Kong stopped");

    return 0;
}


int
cli_quit(cli_t *cli)
{
    int          forced;
    pid_t        nginx;
    const char  *prefix;

    prefix = stop_prefix(cli, &nginx);
    if (prefix == NULL) {
        return 1;
    }

    process_sleep(cli->wait);

    cli_verbose("waiting up to %.0f seconds for requests to end",
                cli->timeout);

    forced = 0;

    if (node_stop(nginx, SIGQUIT, cli->timeout) == -1) {
        forced = 1;

        if (node_stop(nginx, SIGTERM, NODE_STOP_TIMEOUT) == -1) {
            return cli_error("nginx (pid %d) did not end", (int) nginx);
        }
    }

    if (stop_daemon(cli, prefix) != 0) {
        return 1;
    }

    node_clean(cli->arena, prefix);

    cli_print(forced ? "Timeout, Kong stopped forcefully"
              : "Kong stopped (gracefully)");

    return 0;
}


int
cli_drain(cli_t *cli)
{
    int                   rc;
    size_t                i, n;
    conf_t               *c;
    value_t              *errors;
    const char           *prefix;
    const conf_listen_t  *listens;

    prefix = cli_prefix(cli);
    if (prefix == NULL) {
        return 1;
    }

    if (access(prefix, F_OK) == -1) {
        return cli_error("no such prefix: %s", prefix);
    }

    c = cli->conf ? cli_conf(cli)
                  : conf_load_env(cli->arena, prefix, &errors);

    if (c == NULL) {
        return cli->conf ? 1 : cli_errors(errors);
    }

    n = conf_listens(c, "status_listen", &listens);

    if (n == 0) {
        cli_print("No status listeners found in configuration.");
        return 0;
    }

    for (i = 0, rc = -1; i < n && rc == -1; i++) {
        rc = drain_one(cli, &listens[i]);
    }

    return 0;
}


/* listeners share one state: the first that answers is enough */
static int
drain_one(cli_t *cli, const conf_listen_t *listen)
{
    const char    *url, *host, *socket;
    local_http_t   answer;

    host = listen->address;
    socket = NULL;

    if (listen->port == 0) {
        socket = host + sizeof("unix:") - 1;
        url = arena_printf(cli->arena, "%s://localhost/status/ready",
                           listen->ssl ? "https" : "http");

    } else {
        if (strcmp(host, "0.0.0.0") == 0 || strcmp(host, "*") == 0) {
            host = "127.0.0.1";

        } else if (strcmp(host, "[::]") == 0) {
            host = "[::1]";
        }

        url = arena_printf(cli->arena, "%s://%s:%u/status/ready",
                           listen->ssl ? "https" : "http", host,
                           listen->port);
    }

    if (local_http(cli->arena, socket, url, "{\"status\":\"draining\"}",
                   &answer)
        == -1)
    {
        cli_print("Failed to send request to %s: %s", url, answer.error);
        return -1;
    }

    if (answer.status != 204) {
        cli_print("Unexpected response status from %s: %ld", url,
                  answer.status);
        return -1;
    }

    cli_print("Kong's status successfully changed to 'draining'");

    return 0;
}


int
cli_health(cli_t *cli)
{
    const char  *prefix;

    prefix = cli_prefix(cli);
    if (prefix == NULL) {
        return 1;
    }

    if (access(prefix, F_OK) == -1) {
        return cli_error("no such prefix: %s", prefix);
    }

    if (node_nginx(cli->arena, prefix) == 0) {
        cli_print("nginx.......not running\n");
        return cli_error("Kong is not running at %s", prefix);
    }

    cli_print("nginx.......running\n");
    cli_print("Kong is healthy at %s", prefix);

    health_controld(cli, prefix);

    return 0;
}


/* a line about the server that is read, and how old what is served is */
static void
health_database(cli_t *cli, const value_t *status)
{
    const char     *age;
    const value_t  *host, *role, *since, *served, *aside;

    host = value_path(status, "database.host");
    role = value_path(status, "database.role");
    since = value_path(status, "database.since");
    served = value_path(status, "configuration.age");
    aside = value_path(status, "database.set_aside");

    if (since == NULL || since->kind != VALUE_NUMBER) {
        return;                          /* there is none */
    }

    age = (served != NULL && served->kind == VALUE_NUMBER)
          ? arena_printf(cli->arena, ", what is served was published %.0f s "
                         "ago", served->u.number) : "";

    if (value_cstr(host) != NULL) {
        cli_print("database.....%s %s for %.0f s%s", value_cstr(role),
                  value_cstr(host), (double) time(NULL) - since->u.number,
                  age);
    } else {
        cli_print("database.....out of reach for %.0f s%s",
                  (double) time(NULL) - since->u.number, age);
    }

    if (aside != NULL && aside->kind == VALUE_NUMBER && aside->u.number > 0) {
        cli_print("set aside....%.0f", aside->u.number);
    }
}


/* what Kong would not tell; the node serves traffic in all of these cases */
static void
health_controld(cli_t *cli, const char *prefix)
{
    value_t  *status, *ok, *message, *age;

    if (node_controld(cli->arena, prefix) == 0) {
        cli_print("\nWARNING: controld is not running: traffic is served "
                  "with the last configuration, changes are not seen");
    }

    status = node_ask(cli->arena, prefix, "/status");

    if (status == NULL) {
        cli_print("\nWARNING: nginx does not answer on %s/sockets/"
                  "control.sock", prefix);
        return;
    }

    age = value_path(status, "controld.heartbeat_age");

    if (node_controld(cli->arena, prefix) != 0 && age != NULL
        && age->kind == VALUE_NUMBER && age->u.number > HEALTH_HEARTBEAT)
    {
        cli_print("\nWARNING: controld has given no sign of life for %.0f "
                  "seconds", age->u.number);
    }

    health_database(cli, status);

    ok = value_path(status, "database.reachable");
    message = value_path(status, "source.message");

    if (ok != NULL && ok->kind == VALUE_BOOL && !ok->u.boolean) {
        cli_print("\nWARNING: the database is out of reach, the last "
                  "configuration is served: %s",
                  value_cstr(message) ? value_cstr(message) : "");
        return;
    }

    ok = value_path(status, "source.ok");

    if (ok != NULL && ok->kind == VALUE_BOOL && !ok->u.boolean) {
        cli_print("\nWARNING: the configuration source is invalid, the "
                  "configuration before it is served: %s",
                  value_cstr(message) ? value_cstr(message) : "");

    } else if (value_cstr(message) != NULL) {
        cli_print("\nWARNING: %s", value_cstr(message));
    }
}
