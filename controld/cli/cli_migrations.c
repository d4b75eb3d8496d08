/*
 * cli_migrations: `kong migrations`: a table of sub-commands over
 * controld/migrations, with Kong's words and exit codes.
 */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../migrations/migrations.h"
#include "../model/json.h"
#include "cli.h"
#include "process.h"


#define MIGRATIONS_TIMEOUT    60.0       /* seconds, of a statement */
#define MIGRATIONS_EMPTY      3          /* exit codes of list */
#define MIGRATIONS_PENDING    4
#define MIGRATIONS_NEW        5
#define MIGRATIONS_RETRY      0.2        /* seconds, while another runs them */


typedef struct {
    const char  *name;
    int        (*run)(cli_t *cli, migrations_t *m);
    unsigned     flags;                  /* of pg_open() */
} migrations_command_t;


static int migrations_with(cli_t *cli, const migrations_command_t *cmd);
static int migrations_open(cli_t *cli, conf_t *c, unsigned flags,
    migrations_t *m, const char **err);
static int migrations_cmd_bootstrap(cli_t *cli, migrations_t *m);
static int migrations_cmd_finish(cli_t *cli, migrations_t *m);
static int migrations_cmd_list(cli_t *cli, migrations_t *m);
static int migrations_cmd_reset(cli_t *cli, migrations_t *m);
static int migrations_cmd_status(cli_t *cli, migrations_t *m);
static int migrations_cmd_up(cli_t *cli, migrations_t *m);
static int migrations_end(migrations_t *m, int rc, const char *err);
static int migrations_confirm(void);
static void migrations_list_own(migrations_t *m,
    const migrations_state_t *s);
static void migrations_silent(const char *fmt, ...);


static const migrations_command_t  migrations_commands[] = {
    { "bootstrap", migrations_cmd_bootstrap, PG_WRITABLE },
    { "finish", migrations_cmd_finish, PG_WRITABLE },
    { "list", migrations_cmd_list, 0 },
    { "reset", migrations_cmd_reset, PG_WRITABLE },
    { "status", migrations_cmd_status, 0 },
    { "up", migrations_cmd_up, PG_WRITABLE },
    { NULL, NULL, 0 }
};


int
cli_migrations(cli_t *cli)
{
    const migrations_command_t  *cmd;

    if (cli->n_args == 0) {
        return cli_error("migrations needs a command: bootstrap, finish, "
                         "list, reset, status or up");
    }

    for (cmd = migrations_commands; cmd->name != NULL; cmd++) {
        if (strcmp(cmd->name, cli->args[0]) == 0) {
            return migrations_with(cli, cmd);
        }
    }

    return cli_error("No such command for migrations: %s", cli->args[0]);
}


static int
migrations_with(cli_t *cli, const migrations_command_t *cmd)
{
    int            rc;
    conf_t        *c;
    const char    *err;
    migrations_t   m;

    c = cli_conf(cli);
    if (c == NULL) {
        return 1;
    }

    if (strcmp(conf_str(c, "database"), "off") == 0) {
        return cli_error("'kong migrations' only works with a database; "
                         "database = off has none");
    }

    if (migrations_open(cli, c, cmd->flags, &m, &err) == -1) {
        return cli_error("%s", err);
    }

    rc = cmd->run(cli, &m);
    pg_close(m.pg);

    return rc;
}


static int
migrations_open(cli_t *cli, conf_t *c, unsigned flags, migrations_t *m,
    const char **err)
{
    pg_settings_t  *settings;

    /* the connection refers to it */
    settings = arena_zalloc(cli->arena, sizeof(pg_settings_t));

    if (pg_settings(cli->arena, c, 0, settings, err) == -1) {
        return -1;
    }

    settings->timeout = cli->db_timeout > 0 ? cli->db_timeout
                                            : MIGRATIONS_TIMEOUT;

    memset(m, 0, sizeof(migrations_t));
    m->arena = cli->arena;
    m->plugins = conf_plugins(c);
    m->print = cli->silent ? migrations_silent : cli_print;
    m->lock_timeout = cli->lock_timeout;
    m->force = cli->force;
    m->pg = pg_open(cli->arena, settings, flags, err);

    if (m->pg == NULL) {
        return -1;
    }

    cli_verbose("connected to %s:%s, schema \"%s\"", pg_host(m->pg)->name,
                pg_host(m->pg)->port, pg_schema(m->pg));

    return 0;
}


/*
 * A database that cannot be written to keeps no node from its last snapshot;
 * whether there is one the start itself finds out.  Nor does a want of our
 * own additions, which a node can do without.
 */
int
cli_run_migrations(cli_t *cli, conf_t *c)
{
    int                  rc, needed;
    double               waited;
    const char          *err;
    migrations_t         m;
    migrations_state_t   s;

    if (migrations_open(cli, c, PG_WRITABLE, &m, &err) == -1) {
        cli_warn("migrations were not run: %s", err);
        return 0;
    }

    err = NULL;
    waited = 0;
    rc = migrations_state(&m, &s, &err);
    needed = (s.needs_bootstrap || s.new_ != NULL);

    if (rc == 0 && (needed || (s.pending == NULL && !s.armed))) {
        rc = migrations_up(&m, &err);

        while (rc == MIGRATIONS_BUSY && waited < cli->lock_timeout) {
            process_sleep(MIGRATIONS_RETRY);
            waited += MIGRATIONS_RETRY;
            rc = migrations_up(&m, &err);
        }
    }

    pg_close(m.pg);

    if (rc == -1 && !needed) {
        cli_warn("migrations were not run: %s", err);
        return 0;
    }

    return migrations_end(&m, rc, err);
}


/* -f: from an empty database on, whatever is in it */
static int
migrations_cmd_bootstrap(cli_t *cli, migrations_t *m)
{
    int          rc;
    const char  *err;

    (void) cli;

    rc = 0;
    err = NULL;

    if (m->force) {
        rc = migrations_reset(m, &err);

        if (rc == -1 && err == NULL) {
            rc = 0;                      /* nothing to reset was said */
        }
    }

    if (rc == 0) {
        rc = migrations_bootstrap(m, &err);
    }

    return migrations_end(m, rc, err);
}


static int
migrations_cmd_up(cli_t *cli, migrations_t *m)
{
    int          rc;
    const char  *err;

    (void) cli;

    err = NULL;
    rc = migrations_up(m, &err);

    return migrations_end(m, rc, err);
}


static int
migrations_cmd_finish(cli_t *cli, migrations_t *m)
{
    int          rc;
    const char  *err;

    (void) cli;

    err = NULL;
    rc = migrations_finish(m, &err);

    return migrations_end(m, rc, err);
}


static int
migrations_end(migrations_t *m, int rc, const char *err)
{
    if (rc == MIGRATIONS_BUSY) {
        m->print("aborted: another node is performing database changes");
        return 0;
    }

    if (rc == -1) {
        return cli_error("%s", err ? err : "unknown error");
    }

    return 0;
}


static int
migrations_cmd_reset(cli_t *cli, migrations_t *m)
{
    int          rc;
    const char  *err;

    if (!cli->yes) {

        if (!isatty(STDIN_FILENO)) {
            return cli_error("not a tty: invoke 'reset' non-interactively "
                             "with the --yes flag");
        }

        if (!migrations_confirm()) {
            m->print("cancelled");
            return 0;
        }
    }

    err = NULL;
    rc = migrations_reset(m, &err);

    if (rc == -1 && err == NULL) {
        return 1;                        /* nothing to reset was said */
    }

    return (migrations_end(m, rc, err) != 0 || rc != 0) ? 1 : 0;
}


static int
migrations_confirm(void)
{
    int   i;
    char  line[64];

    for (i = 0; i < 3; i++) {
        fputs("> Are you sure? This operation is irreversible. [y/n] ",
              stdout);
        fflush(stdout);

        if (fgets(line, sizeof(line), stdin) == NULL) {
            return 0;
        }

        line[strcspn(line, "\n")] = '\0';

        if (strcasecmp(line, "y") == 0 || strcasecmp(line, "yes") == 0) {
            return 1;
        }

        if (strcasecmp(line, "n") == 0 || strcasecmp(line, "no") == 0) {
            return 0;
        }
    }

    return 0;
}


static int
migrations_cmd_list(cli_t *cli, migrations_t *m)
{
    const char          *err, *sep;
    migrations_state_t   s;

    (void) cli;

    if (migrations_state(m, &s, &err) == -1) {
        return cli_error("%s", err);
    }

    if (s.needs_bootstrap) {
        m->print("%s", migrations_needs_bootstrap);
        return MIGRATIONS_EMPTY;
    }

    sep = "";

    if (s.executed != NULL) {
        m->print("Executed migrations:\n%s",
                 migrations_text(m->arena, s.executed));
        sep = "\n";
    }

    if (s.missing != NULL) {
        m->print("%sMissing migrations:\n%s", sep,
                 migrations_text(m->arena, s.missing));
        sep = "\n";
    }

    if (s.pending != NULL) {
        m->print("%sPending migrations:\n%s", sep,
                 migrations_text(m->arena, s.pending));
        sep = "\n";
    }

    if (s.new_ != NULL) {
        m->print("%sNew migrations available:\n%s", sep,
                 migrations_text(m->arena, s.new_));
    }

    migrations_list_own(m, &s);

    if (s.pending != NULL) {
        m->print("\nRun 'kong migrations finish' when ready");
        return MIGRATIONS_PENDING;
    }

    if (s.new_ != NULL) {
        m->print("\n%s", s.upgrade ? migrations_refusal(m->arena, &s)
                 : "Run 'kong migrations up' to proceed");
        return MIGRATIONS_NEW;
    }

    return 0;
}


/* without them a node works as well, and changes no exit code of Kong's */
static void
migrations_list_own(migrations_t *m, const migrations_state_t *s)
{
    if (s->unknown != NULL) {
        m->print("\nUnknown to this version:\n%s",
                 migrations_text(m->arena, s->unknown));
    }

    if (s->own_new != NULL) {
        m->print("\nOptional additions, installed by 'kong migrations up':"
                 "\n%s", migrations_text(m->arena, s->own_new));

    } else if (!s->armed) {
        m->print("\nTriggers of some tables are missing or switched off; "
                 "'kong migrations up' repairs them");
    }
}


static int
migrations_cmd_status(cli_t *cli, migrations_t *m)
{
    const char          *err;
    migrations_state_t   s;

    if (migrations_state(m, &s, &err) == -1) {
        return cli_error("%s", err);
    }

    m->print("%s", json_print(cli->arena, migrations_json(cli->arena, &s),
                              NULL));

    return 0;
}


static void
migrations_silent(const char *fmt, ...)
{
    (void) fmt;
}
