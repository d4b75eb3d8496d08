/*
 * cli: one table of commands, one of options, and the way the command line
 * speaks: plain text on stdout, "Error: ..." on stderr with exit code 1,
 * dated lines for everything else.
 */

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../source/plugin_schemas.h"
#include "cli.h"
#include "help.h"


#define OPT_CONF      0x0001
#define OPT_PREFIX    0x0002
#define OPT_NGINX     0x0004
#define OPT_DB        0x0008             /* --db-timeout, --lock-timeout ... */
#define OPT_TIMEOUT   0x0010
#define OPT_WAIT      0x0020
#define OPT_ALL       0x0040
#define OPT_LOG       0x0080
#define OPT_YES       0x0100             /* -y, -q, -f of migrations */
#define OPT_DAYS      0x0200
#define OPT_ANY       0                  /* --v, --vv, --help */

typedef struct {
    const char      *name;
    unsigned         options;
    cli_command_pt   run;                /* NULL: known, but not here yet */
} cli_command_t;

typedef struct {
    const char  *name;
    char         letter;
    unsigned     bit;
    unsigned     value:1;
} cli_option_t;


static const cli_command_t *cli_command(const char *name);
static int cli_parse(cli_t *cli, const cli_command_t *cmd, int argc,
    char **argv);
static int cli_parse_option(cli_t *cli, const cli_command_t *cmd,
    const char *arg, const char *next);
static const cli_option_t *cli_find_option(const char *arg, size_t len);
static int cli_take_option(cli_t *cli, const cli_option_t *opt,
    const char *value);
static int cli_take_number(const char *name, const char *value, double *out);
static void cli_line(FILE *f, const char *level, const char *fmt,
    va_list args);


static const cli_command_t  cli_commands[] = {
    { "check", OPT_CONF, cli_check },
    { "config", OPT_CONF|OPT_PREFIX|OPT_YES|OPT_DB, cli_config },
    { "controld", OPT_CONF|OPT_PREFIX|OPT_LOG, cli_controld },
    { "drain", OPT_CONF|OPT_PREFIX, cli_drain },
    { "health", OPT_PREFIX, cli_health },
    { "hybrid", OPT_CONF|OPT_PREFIX|OPT_DAYS, NULL },
    { "migrations", OPT_CONF|OPT_PREFIX|OPT_YES|OPT_DB, cli_migrations },
    { "prepare", OPT_CONF|OPT_PREFIX|OPT_NGINX, cli_prepare },
    { "quit", OPT_PREFIX|OPT_TIMEOUT|OPT_WAIT, cli_quit },
    { "reload", OPT_CONF|OPT_PREFIX|OPT_NGINX, cli_reload },
    { "restart", OPT_CONF|OPT_PREFIX|OPT_NGINX|OPT_DB, cli_restart },
    { "start", OPT_CONF|OPT_PREFIX|OPT_NGINX|OPT_DB, cli_start },
    { "stop", OPT_PREFIX, cli_stop },
    { "vault", OPT_CONF|OPT_PREFIX, cli_vault },
    { "version", OPT_ALL, cli_version },
    { NULL, 0, NULL }
};


static const cli_option_t  cli_options[] = {
    { "all", 'a', OPT_ALL, 0 },
    { "conf", 'c', OPT_CONF, 1 },
    { "days", 'd', OPT_DAYS, 1 },
    { "db-timeout", 0, OPT_DB, 1 },
    { "force", 'f', OPT_YES, 0 },
    { "help", 'h', OPT_ANY, 0 },
    { "lock-timeout", 0, OPT_DB, 1 },
    { "log", 0, OPT_LOG, 1 },
    { "nginx-conf", 0, OPT_NGINX, 1 },
    { "nginx-conf-flags", 0, OPT_NGINX, 1 },
    { "prefix", 'p', OPT_PREFIX, 1 },
    { "quiet", 'q', OPT_YES, 0 },
    { "run-migrations", 0, OPT_DB, 0 },
    { "timeout", 't', OPT_TIMEOUT, 1 },
    { "v", 0, OPT_ANY, 0 },
    { "vv", 0, OPT_ANY, 0 },
    { "wait", 'w', OPT_WAIT, 1 },
    { "yes", 'y', OPT_YES, 0 },
    { NULL, 0, 0, 0 }
};

static cli_level_t  cli_level = CLI_NORMAL;


int
cli_main(int argc, char **argv)
{
    int                   rc, i;
    cli_t                 cli;
    const cli_command_t  *cmd;

    /* --v and --vv may come first, as any universal option */
    for (i = 1; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help_all(), stdout);
            return 0;
        }

        if (strcmp(argv[i], "--v") == 0) {
            cli_set_level(CLI_VERBOSE);

        } else if (strcmp(argv[i], "--vv") == 0) {
            cli_set_level(CLI_DEBUG);

        } else {
            return cli_error("unknown option: %s", argv[i]);
        }
    }

    if (i >= argc) {
        fputs(help_all(), stdout);
        return 1;
    }

    cmd = cli_command(argv[i]);

    if (cmd == NULL) {
        fprintf(stderr, "No such command: %s\n\n%s", argv[i], help_all());
        return 1;
    }

    memset(&cli, 0, sizeof(cli));
    cli.command = cmd->name;
    cli.timeout = 10;
    cli.lock_timeout = 60;
    cli.arena = arena_new();
    cli.args = calloc((size_t) argc + 1, sizeof(char *));

    if (cli.args == NULL) {
        arena_free(cli.arena);
        return cli_error("out of memory");
    }

    rc = cli_parse(&cli, cmd, argc - i - 1, argv + i + 1);

    if (rc == -1) {
        rc = 0;                                             /* --help */

    } else if (rc == 0 && cmd->run == NULL) {
        rc = cli_error("'kong %s' is not part of this version", cmd->name);

    } else if (rc == 0) {
        rc = cmd->run(&cli);
    }

    free(cli.args);
    arena_free(cli.arena);

    return rc;
}


static const cli_command_t *
cli_command(const char *name)
{
    const cli_command_t  *cmd;

    for (cmd = cli_commands; cmd->name != NULL; cmd++) {
        if (strcmp(cmd->name, name) == 0) {
            return cmd;
        }
    }

    return NULL;
}


/* 0, 1 after an error, -1 when help was printed instead */
static int
cli_parse(cli_t *cli, const cli_command_t *cmd, int argc, char **argv)
{
    int          i, n;
    const char  *next;

    for (i = 0; i < argc; i++) {

        if (argv[i][0] != '-' || argv[i][1] == '\0') {
            cli->args[cli->n_args++] = argv[i];
            continue;
        }

        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help_command(cmd->name), stdout);
            return -1;
        }

        next = (i + 1 < argc) ? argv[i + 1] : NULL;
        n = cli_parse_option(cli, cmd, argv[i], next);

        if (n == -1) {
            return 1;
        }

        i += n;
    }

    return 0;
}


/* how many further arguments it took, or -1 */
static int
cli_parse_option(cli_t *cli, const cli_command_t *cmd, const char *arg,
    const char *next)
{
    size_t               len;
    const char          *value;
    const cli_option_t  *opt;

    len = strcspn(arg, "=");
    opt = cli_find_option(arg, len);

    if (opt == NULL || (opt->bit != OPT_ANY && !(opt->bit & cmd->options))) {
        cli_error("%s: unknown option: %.*s", cmd->name, (int) len, arg);
        return -1;
    }

    if (!opt->value) {
        if (arg[len] != '\0') {
            cli_error("%s takes no value", arg);
            return -1;
        }

        return cli_take_option(cli, opt, NULL);
    }

    value = (arg[len] == '=') ? arg + len + 1 : next;

    if (value == NULL || *value == '\0') {
        cli_error("%s needs a value", arg);
        return -1;
    }

    if (cli_take_option(cli, opt, value) == -1) {
        return -1;
    }

    return arg[len] == '=' ? 0 : 1;
}


static const cli_option_t *
cli_find_option(const char *arg, size_t len)
{
    const cli_option_t  *opt;

    for (opt = cli_options; opt->name != NULL; opt++) {

        if (len == 2 && opt->letter != 0 && arg[1] == opt->letter) {
            return opt;
        }

        if (len == strlen(opt->name) + 2 && arg[1] == '-'
            && strncmp(arg + 2, opt->name, len - 2) == 0)
        {
            return opt;
        }
    }

    return NULL;
}


static int
cli_take_option(cli_t *cli, const cli_option_t *opt, const char *value)
{
    double  ignored;

    if (strcmp(opt->name, "v") == 0) {
        cli_set_level(CLI_VERBOSE);

    } else if (strcmp(opt->name, "vv") == 0) {
        cli_set_level(CLI_DEBUG);

    } else if (strcmp(opt->name, "all") == 0) {
        cli->all = 1;

    } else if (strcmp(opt->name, "conf") == 0) {
        cli->conf = value;

    } else if (strcmp(opt->name, "prefix") == 0) {
        cli->prefix = value;

    } else if (strcmp(opt->name, "nginx-conf") == 0) {
        cli->nginx_conf = value;

    } else if (strcmp(opt->name, "log") == 0) {
        cli->log = value;

    } else if (strcmp(opt->name, "timeout") == 0) {
        return cli_take_number("--timeout", value, &cli->timeout);

    } else if (strcmp(opt->name, "wait") == 0) {
        return cli_take_number("--wait", value, &cli->wait);

    } else if (strcmp(opt->name, "db-timeout") == 0) {
        return cli_take_number("--db-timeout", value, &cli->db_timeout);

    } else if (strcmp(opt->name, "lock-timeout") == 0) {
        return cli_take_number("--lock-timeout", value, &cli->lock_timeout);

    } else if (strcmp(opt->name, "yes") == 0) {
        cli->yes = 1;

    } else if (strcmp(opt->name, "quiet") == 0) {
        cli->silent = 1;

    } else if (strcmp(opt->name, "force") == 0) {
        cli->force = 1;

    } else if (strcmp(opt->name, "run-migrations") == 0) {
        cli->run_migrations = 1;

    } else if (strcmp(opt->name, "days") == 0) {
        return cli_take_number(opt->name, value, &ignored);
    }

    /* the others ask for what happens anyway */

    return 0;
}


static int
cli_take_number(const char *name, const char *value, double *out)
{
    char    *end;
    double   n;

    n = strtod(value, &end);

    if (end == value || *end != '\0' || !isfinite(n) || n < 0 || n > 1e6) {
        cli_error("%s must be a number of seconds, got '%s'", name, value);
        return -1;
    }

    *out = n;

    return 0;
}


conf_t *
cli_conf(cli_t *cli)
{
    conf_t  *c;

    c = cli_conf_file(cli, cli->conf, cli->prefix);

    return (c != NULL && cli_plugins(cli, c) == 0) ? c : NULL;
}


int
cli_plugins(cli_t *cli, const conf_t *c)
{
    value_t  errors;

    value_set_array(&errors);
    plugin_schemas_load(cli->arena, conf_str(c, "plugin_schemas"),
                        conf_list(c, "plugins"), &errors);

    if (errors.len != 0) {
        (void) cli_errors(&errors);
        return -1;
    }

    return 0;
}


conf_t *
cli_conf_file(cli_t *cli, const char *path, const char *prefix)
{
    size_t            i;
    conf_t           *c;
    value_t          *errors;
    const char       *names[5];
    conf_overrides_t  overrides;
    const value_t    *warnings;

    i = 0;

    if (prefix != NULL) {
        names[i++] = "prefix";
        names[i++] = prefix;
    }

    if (cli->db_timeout > 0) {
        names[i++] = "pg_timeout";
        names[i++] = arena_printf(cli->arena, "%.0f", cli->db_timeout * 1000);
    }

    names[i] = NULL;
    overrides.names = names;

    c = conf_load(cli->arena, path, &overrides, &errors);
    if (c == NULL) {
        cli_errors(errors);
        return NULL;
    }

    warnings = conf_warnings(c);

    for (i = 0; i < warnings->len && !cli->quiet; i++) {
        cli_warn("%s", warnings->u.items[i].u.string);
    }

    cli_verbose("prefix in use: %s", conf_prefix(c));

    return c;
}


const char *
cli_prefix(cli_t *cli)
{
    conf_t  *c;

    if (cli->prefix != NULL) {
        return conf_absolute(cli->arena, cli->prefix);
    }

    c = cli_conf_file(cli, NULL, NULL);

    return c ? conf_prefix(c) : NULL;
}


int
cli_supported(cli_t *cli, const conf_t *c)
{
    const char  *err;

    if (cli->nginx_conf != NULL) {
        return cli_error("--nginx-conf takes a template of Kong's, which is "
                         "not supported: use nginx_* settings, or a "
                         "hand-written nginx.conf");
    }

    err = conf_unsupported(c);

    return err ? cli_error("%s", err) : 0;
}


void
cli_set_level(cli_level_t level)
{
    cli_level = level;
}


void
cli_print(const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    vfprintf(stdout, fmt, args);
    va_end(args);

    fputc('\n', stdout);
    fflush(stdout);
}


void
cli_verbose(const char *fmt, ...)
{
    va_list  args;

    if (cli_level >= CLI_VERBOSE) {
        va_start(args, fmt);
        cli_line(stdout, "verbose", fmt, args);
        va_end(args);
    }
}


void
cli_debug(const char *fmt, ...)
{
    va_list  args;

    if (cli_level >= CLI_DEBUG) {
        va_start(args, fmt);
        cli_line(stdout, "debug", fmt, args);
        va_end(args);
    }
}


void
cli_warn(const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    cli_line(stderr, "warn", fmt, args);
    va_end(args);
}


void
cli_problem(const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    cli_line(stderr, "error", fmt, args);
    va_end(args);
}


int
cli_error(const char *fmt, ...)
{
    va_list  args;

    fflush(stdout);
    fputs("Error: ", stderr);

    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);

    fputs("\n", stderr);

    if (cli_level == CLI_NORMAL) {
        fputs("\n  Run with --v (verbose) or --vv (debug) for more details\n",
              stderr);
    }

    return 1;
}


int
cli_errors(const value_t *errors)
{
    size_t  i;

    for (i = 0; i + 1 < errors->len; i++) {
        fprintf(stderr, "Error: %s\n", errors->u.items[i].u.string);
    }

    return cli_error("%s", errors->len ? errors->u.items[i].u.string
                           : "the settings could not be read");
}


static void
cli_line(FILE *f, const char *level, const char *fmt, va_list args)
{
    char        date[32];
    time_t      now;
    struct tm   tm;

    now = time(NULL);
    (void) localtime_r(&now, &tm);
    strftime(date, sizeof(date), "%Y/%m/%d %H:%M:%S", &tm);

    fprintf(f, "%s [%s] ", date, level);
    vfprintf(f, fmt, args);
    fputc('\n', f);
    fflush(f);
}
