/*
 * plugin_schemas: the folder with the schemas of plugins that are not ours
 * (setting plugin_schemas): a YAML or JSON file a plugin.  Read by every
 * command that reads a configuration, and by the daemon at its start and when
 * it reads its settings again.
 */

#ifndef KONG_PLUGIN_SCHEMAS_H
#define KONG_PLUGIN_SCHEMAS_H

#include "../model/value.h"


/*
 * Defines what is in the folder (NULL: none) and checks that there is a
 * schema for every name of `plugins`.  Sentences are appended to *errors: a
 * file's begins with its path, line and what is wrong there.  Files without a
 * fault are taken in any case.
 */
void plugin_schemas_load(arena_t *a, const char *folder,
    const value_t *plugins, value_t *errors);

#endif
