/*
 * cli: what the commands of `kong` share: options, output in Kong's manner,
 * loading the settings.  A command gets its parsed options and returns the
 * exit code.
 */

#ifndef KONG_CLI_H
#define KONG_CLI_H

#include "../conf/conf.h"
#include "../model/config.h"


#define KONG_VERSION         "3.9.1"     /* what clients of Kong expect */
#define KONG_MODULE_VERSION  "0.1.0"     /* ours */

typedef enum {
    CLI_NORMAL = 0,
    CLI_VERBOSE,
    CLI_DEBUG
} cli_level_t;

typedef struct {
    arena_t      *arena;
    const char   *command;
    char        **args;                  /* positional, NULL-ended */
    size_t        n_args;
    const char   *conf;                  /* -c */
    const char   *prefix;                /* -p */
    const char   *nginx_conf;
    const char   *log;                   /* of `kong controld` */
    double        timeout;               /* -t, seconds */
    double        wait;                  /* -w */
    double        db_timeout;            /* seconds, 0: the settings' */
    double        lock_timeout;          /* seconds */
    unsigned      all:1;
    unsigned      quiet:1;               /* a command run by another one */
    unsigned      yes:1;                 /* -y */
    unsigned      silent:1;              /* -q */
    unsigned      force:1;               /* -f */
    unsigned      run_migrations:1;
} cli_t;

typedef int (*cli_command_pt)(cli_t *cli);


/* dispatches; the whole of the program but for the daemon's name */
int cli_main(int argc, char **argv);

void cli_set_level(cli_level_t level);
void cli_print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void cli_verbose(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void cli_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void cli_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* one "[error]" line, for commands that list problems */
void cli_problem(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* "Error: ..." and the hint; always 1, the exit code */
int cli_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int cli_errors(const value_t *errors);

/*
 * The settings as -c, the environment and -p give them; NULL after the
 * problems were printed.
 */
conf_t *cli_conf(cli_t *cli);
/* the same from another file instead of -c */
conf_t *cli_conf_file(cli_t *cli, const char *path, const char *prefix);
/* the absolute prefix alone; -p makes a broken kong.conf harmless */
const char *cli_prefix(cli_t *cli);
/* refuses --nginx-conf and settings that cannot be served; 0 or 1 */
int cli_supported(cli_t *cli, const conf_t *c);
/* the schemas that the settings name: 0, or -1 with the faults printed */
int cli_plugins(cli_t *cli, const conf_t *c);

/* the declarative file that the command names; NULL after its errors were
 * printed */
config_t *cli_declarative(cli_t *cli, conf_t *c, unsigned database);

/* what --run-migrations asks for, of a database that answers: 0 or 1 */
int cli_run_migrations(cli_t *cli, conf_t *c);

/* the commands, one function each */
int cli_check(cli_t *cli);
int cli_config(cli_t *cli);
int cli_controld(cli_t *cli);
int cli_db_export(cli_t *cli);
int cli_db_import(cli_t *cli);
int cli_drain(cli_t *cli);
int cli_health(cli_t *cli);
int cli_migrations(cli_t *cli);
int cli_prepare(cli_t *cli);
int cli_quit(cli_t *cli);
int cli_reload(cli_t *cli);
int cli_restart(cli_t *cli);
int cli_start(cli_t *cli);
int cli_stop(cli_t *cli);
int cli_vault(cli_t *cli);
int cli_version(cli_t *cli);

#endif
