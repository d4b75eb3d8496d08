/*
 * help: the texts of --help.
 */

#ifndef KONG_HELP_H
#define KONG_HELP_H

const char *help_all(void);
const char *help_command(const char *name);

#endif
