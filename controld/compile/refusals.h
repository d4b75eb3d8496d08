/*
 * refusals: configurations that are valid in Kong but that this version
 * cannot run.  They are refused before anything is published, never taken
 * for something else.
 */

#ifndef KONG_REFUSALS_H
#define KONG_REFUSALS_H

#include "../model/arena.h"
#include "../model/value.h"


/* why the instance `plugin` (the whole entity) of a plugin that the module
 * has cannot run, a part of a sentence from `a`; NULL: it can */
const char *refusals_check(arena_t *a, const value_t *plugin);

#endif
