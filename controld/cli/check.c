/*
 * check: the commands that start nothing: `kong check`, `version`, `vault`
 * and `config`.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../source/declarative.h"
#include "cli.h"
#include "prefix.h"
#include "process.h"


#define CHECK_DEFAULT  "/etc/kong/kong.conf"
#define CONFIG_FILE    "kong.yml"


typedef struct {
    const char      *name;
    cli_command_pt   run;
} config_command_t;


static int config_init(cli_t *cli);
static int config_parse(cli_t *cli);


static const config_command_t  config_commands[] = {
    { "db_export", cli_db_export },
    { "db_import", cli_db_import },
    { "init", config_init },
    { "parse", config_parse },
    { NULL, NULL }
};


static const char  config_example[] =
    "# An example of a declarative configuration.  Remove what is not\n"
    "# needed, check the file with `kong config parse kong.yml`, and name it\n"
    "# in the setting declarative_config.\n"
    "\n"
    "_format_version: \"3.0\"\n"
    "\n"
    "services:\n"
    "# Where requests are sent.\n"
    "- name: example\n"
    "  url: http://127.0.0.1:9000/api\n"
    "  connect_timeout: 5000\n"
    "  retries: 3\n"
    "  routes:\n"
    "  # Which requests: every attribute that is named must match.\n"
    "  - name: example-path\n"
    "    paths:\n"
    "    - /example\n"
    "  - name: example-host\n"
    "    hosts:\n"
    "    - example.com\n"
    "    - \"*.example.com\"\n"
    "    methods: [GET, HEAD]\n"
    "  # A path that starts with ~ is a regular expression.\n"
    "  - name: example-regex\n"
    "    paths:\n"
    "    - ~/items/(?<id>\\d+)$\n"
    "    strip_path: false\n"
    "\n"
    "# Who calls, with which credentials; needed by authentication plugins.\n"
    "# consumers:\n"
    "# - username: alice\n"
    "#   keyauth_credentials:\n"
    "#   - key: \"{vault://env/alice-key}\"\n"
    "\n"
    "# What happens to requests, of a service, a route, a consumer, or all.\n"
    "# plugins:\n"
    "# - name: key-auth\n"
    "#   service: example\n";


int
cli_check(cli_t *cli)
{
    size_t       i;
    conf_t      *c;
    value_t     *errors;
    const char  *path;

    path = cli->n_args ? cli->args[0] : cli->conf;

    if (path == NULL) {
        path = CHECK_DEFAULT;
    }

    c = conf_load(cli->arena, path, NULL, &errors);

    if (c == NULL) {
        for (i = 0; i < errors->len; i++) {
            cli_problem("%s", errors->u.items[i].u.string);
        }

        return 1;
    }

    if (cli_plugins(cli, c) != 0) {
        return 1;
    }

    for (i = 0; i < conf_warnings(c)->len; i++) {
        cli_warn("%s", conf_warnings(c)->u.items[i].u.string);
    }

    if (conf_unsupported(c) != NULL) {
        cli_warn("%s", conf_unsupported(c));
    }

    cli_print("configuration at %s is valid", path);

    return 0;
}


int
cli_version(cli_t *cli)
{
    char        *argv[3];
    conf_t      *c;
    value_t     *errors;
    const char  *output, *nginx, *err;

    if (!cli->all) {
        cli_print(KONG_VERSION);
        return 0;
    }

    output = NULL;
    c = conf_load(cli->arena, "/dev/null", NULL, &errors);
    nginx = c ? prefix_find_nginx(cli->arena, c, &err) : NULL;

    if (nginx != NULL) {
        argv[0] = (char *) nginx;
        argv[1] = (char *) "-v";
        argv[2] = NULL;

        if (process_run(cli->arena, argv, &output) == 0) {
            output = strchr(output, '/');
        }
    }

    cli_print("Kong: %s", KONG_VERSION);
    cli_print("ngx_lua: none");
    cli_print("nginx: %s", output ? output + 1 : "not found");
    cli_print("Lua: none");
    cli_print("ngx_kong_module: %s", KONG_MODULE_VERSION);

    return 0;
}


int
cli_vault(cli_t *cli)
{
    conf_t      *c;
    const char  *ref, *value, *err;

    if (cli->n_args != 2 || strcmp(cli->args[0], "get") != 0) {
        return cli_error("usage: kong vault get <reference>");
    }

    c = cli_conf(cli);
    if (c == NULL) {
        return 1;
    }

    ref = cli->args[1];

    if (strncmp(ref, "{vault://", 9) != 0) {
        ref = arena_printf(cli->arena, "{vault://%s}",
                           strncmp(ref, "vault://", 8) == 0 ? ref + 8 : ref);
    }

    if (!conf_is_reference(ref)) {
        return cli_error("not a reference: %s", cli->args[1]);
    }

    value = conf_vault_get(cli->arena, ref, conf_str(c, "vault_env_prefix"),
                           &err);

    if (value == NULL) {
        return cli_error("%s", err);
    }

    cli_print("%s", value);

    return 0;
}


int
cli_config(cli_t *cli)
{
    char                    *name, *p;
    const config_command_t  *cmd;

    if (cli->n_args == 0) {
        return cli_error("config needs a command: init, parse, db_import or "
                         "db_export");
    }

    name = cli->args[0];

    for (p = name; *p != '\0'; p++) {
        if (*p == '-') {
            *p = '_';
        }
    }

    for (cmd = config_commands; cmd->name != NULL; cmd++) {
        if (strcmp(cmd->name, name) == 0) {
            return cmd->run(cli);
        }
    }

    return cli_error("No such command for config: %s", name);
}


static int
config_init(cli_t *cli)
{
    int          fd, failed;
    size_t       len;
    const char  *path;

    path = (cli->n_args > 1) ? cli->args[1] : CONFIG_FILE;
    len = sizeof(config_example) - 1;

    fd = open(path, O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0644);

    if (fd == -1 && errno == EEXIST) {
        return cli_error("%s already exists.\nWill not overwrite it.", path);
    }

    if (fd == -1) {
        return cli_error("could not write %s: %s", path, strerror(errno));
    }

    errno = ENOSPC;
    failed = (write(fd, config_example, len) != (ssize_t) len);

    if (close(fd) == -1 || failed) {
        return cli_error("could not write %s: %s", path, strerror(errno));
    }

    return 0;
}


static int
config_parse(cli_t *cli)
{
    conf_t    *c;
    config_t  *config;

    if (cli->n_args < 2) {
        return cli_error("expected a declarative configuration file; see "
                         "`kong config --help`");
    }

    c = cli_conf(cli);
    if (c == NULL) {
        return 1;
    }

    config = cli_declarative(cli, c, 0);
    if (config == NULL) {
        return 1;
    }

    config_free(config);
    cli_print("parse successful");

    return 0;
}


config_t *
cli_declarative(cli_t *cli, conf_t *c, unsigned database)
{
    config_t              *config;
    declarative_opts_t     opts;
    declarative_errors_t   errors;

    memset(&opts, 0, sizeof(opts));
    memset(&errors, 0, sizeof(errors));
    opts.database = database;
    opts.router_flavor = conf_str(c, "router_flavor");
    opts.plugins = conf_plugins(c);

    config = declarative_load_file(cli->arena, cli->args[1], &opts, &errors);

    if (config == NULL) {
        (void) cli_error("Failed parsing:\n%s",
                         declarative_errors_text(cli->arena, &errors, 1));
    }

    return config;
}
