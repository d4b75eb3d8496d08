/*
 * help: what `kong --help` and `kong COMMAND --help` print.  A test holds the
 * names here against the table of commands.
 */

#include <string.h>

#include "help.h"


#define HELP_CONF    " -c,--conf (optional string)    configuration file\n"
#define HELP_PREFIX                                                           \
    " -p,--prefix (optional string)  prefix, the node's folder\n"
#define HELP_COMMON                                                           \
    " --v                            verbose\n"                               \
    " --vv                           debug\n"                                 \
    " --help                         this text\n"
#define HELP_NGINX                                                            \
    " --nginx-conf, --nginx-conf-flags\n"                                     \
    "                                Kong's custom templates: refused; use\n" \
    "                                nginx_* settings instead\n"
#define HELP_DB                                                               \
    " --run-migrations               as 'kong migrations up' before\n"        \
    " --db-timeout (number)          seconds, instead of pg_timeout\n"        \
    " --lock-timeout (default 60)    seconds to wait for another node that\n" \
    "                                runs migrations\n"                       \
    "                                (without effect with database = off)\n"


static const struct {
    const char  *name;
    const char  *text;
} help_texts[] = {
    { "check",
      "Usage: kong check [OPTIONS] [<conf>]\n\n"
      "Checks the settings in <conf> (default: /etc/kong/kong.conf), with\n"
      "the environment's KONG_* variables on top.\n\n"
      "Options:\n" HELP_CONF HELP_COMMON },

    { "config",
      "Usage: kong config COMMAND [OPTIONS] [<file>]\n\n"
      "Works with declarative configuration files.\n\n"
      "The commands are:\n"
      "  init [<file>]        writes an example, to ./kong.yml by default\n"
      "  parse <file>         checks a file and says what is wrong in it\n"
      "  db_import <file>     writes a file into the database\n"
      "  db_export [<file>]   writes the database into a file\n\n"
      "Options:\n" HELP_CONF HELP_PREFIX HELP_COMMON },

    { "controld",
      "Usage: kong controld [OPTIONS]\n\n"
      "Runs the daemon of a node in the foreground: reads the declarative\n"
      "file, publishes configurations to nginx, serves the Admin API.  It\n"
      "takes the settings that `kong start` or `kong prepare` left in the\n"
      "prefix, or those of -c.\n\n"
      "Options:\n" HELP_CONF HELP_PREFIX
      " --log FILE                     log there, not to stderr\n"
      HELP_COMMON },

    { "drain",
      "Usage: kong drain [OPTIONS]\n\n"
      "Makes /status/ready answer 503, so that load balancers send no new\n"
      "requests; requests that come are served.\n\n"
      "Options:\n" HELP_CONF HELP_PREFIX HELP_COMMON },

    { "health",
      "Usage: kong health [OPTIONS]\n\n"
      "Says whether the node runs, and what is wrong with its configuration\n"
      "source or its daemon.\n\n"
      "Options:\n" HELP_PREFIX HELP_COMMON },

    { "hybrid", "Usage: kong hybrid COMMAND\n\n"
      "Hybrid mode is not part of this version.\n" },

    { "migrations",
      "Usage: kong migrations COMMAND [OPTIONS]\n\n"
      "Manages the tables of the database.\n\n"
      "The commands are:\n"
      "  bootstrap   makes the tables in an empty database\n"
      "  up          adds what is new\n"
      "  finish      says whether an upgrade is pending\n"
      "  list        names what was executed; exit code 0: up to date,\n"
      "              3: needs bootstrapping, 4: pending, 5: new ones\n"
      "  status      the same as JSON\n"
      "  reset       removes everything\n\n"
      "Options:\n" HELP_CONF HELP_PREFIX
      " -y,--yes                       no question before a reset\n"
      " -q,--quiet                     print nothing but errors\n"
      " -f,--force                     install our additions again\n"
      " --db-timeout (default 60)      seconds for a statement\n"
      " --lock-timeout (default 60)    seconds that the lock lives\n"
      HELP_COMMON },

    { "prepare",
      "Usage: kong prepare [OPTIONS]\n\n"
      "Fills the prefix so that nginx can be started with it by hand:\n"
      "  nginx -p <prefix> -c nginx.conf\n"
      "  kong controld -p <prefix>\n\n"
      "Options:\n" HELP_CONF HELP_PREFIX HELP_NGINX HELP_COMMON },

    { "quit",
      "Usage: kong quit [OPTIONS]\n\n"
      "Stops a node gracefully: requests under way are finished.\n\n"
      "Options:\n" HELP_PREFIX
      " -t,--timeout (default 10)      seconds before the node is stopped\n"
      "                                without grace\n"
      " -w,--wait (default 0)          seconds to wait before anything is\n"
      "                                done\n"
      HELP_COMMON },

    { "reload",
      "Usage: kong reload [OPTIONS]\n\n"
      "Takes changed settings without closing a listener.  A changed\n"
      "declarative file needs no reload.\n\n"
      "Options:\n" HELP_CONF HELP_PREFIX HELP_NGINX HELP_COMMON },

    { "restart",
      "Usage: kong restart [OPTIONS]\n\n"
      "Stops the node of the prefix, if it runs, and starts it.\n\n"
      "Options:\n" HELP_CONF HELP_PREFIX HELP_NGINX HELP_DB HELP_COMMON },

    { "start",
      "Usage: kong start [OPTIONS]\n\n"
      "Starts a node: nginx, and the daemon that configures it.\n\n"
      "Options:\n" HELP_CONF HELP_PREFIX HELP_NGINX HELP_DB HELP_COMMON },

    { "stop",
      "Usage: kong stop [OPTIONS]\n\n"
      "Stops a node at once; `kong quit` is graceful.\n\n"
      "Options:\n" HELP_PREFIX HELP_COMMON },

    { "vault",
      "Usage: kong vault get <reference> [OPTIONS]\n\n"
      "Prints the value behind a reference, like {vault://env/my-secret}\n"
      "or env/my-secret.\n\n"
      "Options:\n" HELP_CONF HELP_PREFIX HELP_COMMON },

    { "version",
      "Usage: kong version [OPTIONS]\n\n"
      "Prints the version of Kong that this program is compatible with.\n\n"
      "Options:\n"
      " -a,--all                       also what it is made of\n"
      HELP_COMMON },

    { NULL, NULL }
};


const char *
help_all(void)
{
    return
        "Usage: kong COMMAND [OPTIONS]\n\n"
        "The available commands are:\n"
        "  check       check the settings\n"
        "  config      work with declarative configuration files\n"
        "  controld    run the daemon of a node in the foreground\n"
        "  drain       make a node not ready for new requests\n"
        "  health      tell whether a node is healthy\n"
        "  hybrid      hybrid mode (not part of this version)\n"
        "  migrations  the database's tables\n"
        "  prepare     fill a prefix without starting anything\n"
        "  quit        stop a node gracefully\n"
        "  reload      take changed settings\n"
        "  restart     stop and start a node\n"
        "  start       start a node\n"
        "  stop        stop a node\n"
        "  vault       look up a reference\n"
        "  version     print the version\n\n"
        "Options:\n"
        " --v         verbose\n"
        " --vv        debug\n"
        " --help      this text; kong COMMAND --help tells its options\n\n"
        "Settings come from a file (-c, /etc/kong/kong.conf or\n"
        "/etc/kong.conf) and from KONG_* variables of the environment, which\n"
        "win: KONG_LOG_LEVEL=debug stands for \"log_level = debug\".\n";
}


const char *
help_command(const char *name)
{
    size_t  i;

    for (i = 0; help_texts[i].name != NULL; i++) {
        if (strcmp(help_texts[i].name, name) == 0) {
            return help_texts[i].text;
        }
    }

    return help_all();
}
