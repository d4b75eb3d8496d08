/*
 * refusals: see refusals.h.  One row a plugin that is only partly there.
 */

#include <stdlib.h>
#include <string.h>

#include "refusals.h"


typedef struct {
    const char    *plugin;
    const char  *(*check)(arena_t *a, const value_t *config);
} refusal_t;


static const char *refusals_policy(arena_t *a, const value_t *config);


static const refusal_t  refusals[] = {
    { "rate-limiting", refusals_policy },
    { "response-ratelimiting", refusals_policy },
    { NULL, NULL }
};


const char *
refusals_check(arena_t *a, const value_t *plugin)
{
    const value_t    *name;
    const refusal_t  *refusal;

    name = value_get(plugin, "name");

    for (refusal = refusals; refusal->plugin != NULL; refusal++) {
        if (value_str_eq(name, refusal->plugin)) {
            return refusal->check(a, value_get(plugin, "config"));
        }
    }

    return NULL;
}


/* counters of a database */
static const char *
refusals_policy(arena_t *a, const value_t *config)
{
    const value_t  *sync;

    if (value_str_eq(value_get(config, "policy"), "cluster")) {
        return "policy 'cluster' is not available in this version";
    }

    sync = value_get(config, "sync_rate");

    if (sync != NULL && sync->kind == VALUE_NUMBER && sync->u.number > 0) {
        return "a sync_rate is not available in this version, only -1 is";
    }

    (void) a;

    return NULL;
}
