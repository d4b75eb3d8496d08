/*
 * main: one binary with two names.  As `kong` it is the command line, whose
 * commands are in cli/; as `controld` it runs the daemon in the foreground,
 * which is also `kong controld`.
 */

#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"


static char **main_daemon_args(int *argc, char **argv);


int
main(int argc, char **argv)
{
    int          rc;
    char        *slash, **args;
    const char  *name;

    args = NULL;
    name = (argc > 0) ? argv[0] : "kong";

    slash = strrchr(name, '/');
    if (slash != NULL) {
        name = slash + 1;
    }

    if (strcmp(name, "controld") == 0) {
        args = main_daemon_args(&argc, argv);
        if (args == NULL) {
            return EXIT_FAILURE;
        }
    }

    rc = cli_main(argc, args ? args : argv);

    free(args);

    return rc;
}


/* controld -p PREFIX is kong controld -p PREFIX */
static char **
main_daemon_args(int *argc, char **argv)
{
    char  **args;

    args = calloc((size_t) *argc + 2, sizeof(char *));
    if (args == NULL) {
        return NULL;
    }

    args[0] = argv[0];
    args[1] = (char *) "controld";
    memcpy(&args[2], &argv[1], (size_t) (*argc - 1) * sizeof(char *));
    *argc += 1;

    return args;
}
