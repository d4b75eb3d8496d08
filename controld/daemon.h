/*
 * daemon: controld's event loop.  Owns the source, the compiler, the
 * publisher, DNS and the Admin API's server; nothing in it blocks the loop
 * for long.  Signals: TERM and INT finish, HUP re-reads, USR1 reopens logs.
 */

#ifndef KONG_DAEMON_H
#define KONG_DAEMON_H

#include "conf/conf.h"


/* runs until told to stop; the exit code of the process */
int daemon_run(conf_t *conf);

/*
 * For `kong start`: loads the declarative file of the settings (or none),
 * resolves what it names (bounded in time), writes the first pair of segments
 * and `current`, so that nginx starts on it without a daemon.  When no file
 * is set an existing `current` is kept, else an empty configuration is
 * written.  0, or -1 with *err Kong's text ("error parsing declarative config
 * file <path>:" and the indented errors).
 */
int daemon_prepare(arena_t *a, conf_t *conf, const char **err);

/* for `kong config db_export`: what the database of the settings holds */
int daemon_export(arena_t *a, conf_t *conf, char **text, size_t *len,
    const char **err);

#endif
