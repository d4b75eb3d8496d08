/*
 * aside: what is left out of a configuration while the rest is published, and
 * the plugins that close the routes in their scope because of it.
 */

#ifndef KONG_COMPILE_ASIDE_H
#define KONG_COMPILE_ASIDE_H

#include "compile.h"


/* a plugin that cannot run and must not be missed */
typedef struct {
    const value_t          *row;
    const plugin_schema_t  *schema;  /* of an unknown one: name, priority */
    const char             *reason;
} aside_closed_t;

typedef struct {
    arena_t                *arena;
    unsigned                on;
    compile_aside_t        *list;
    size_t                  n;
    size_t                  cap;
    size_t                  n_idle;  /* of these, plugins that only observe
                                        and are not here */
    aside_closed_t         *closed;
    size_t                  n_closed;
    size_t                  cap_closed;
    uint8_t                *skip;    /* one a row of `plugins` */
} aside_t;


void aside_init(aside_t *as, arena_t *a, const config_t *c,
    const compile_opts_t *opts);
/* 1: it is noted, go on without; 0: the caller fails with the reason */
int aside_add(aside_t *as, const char *entity, const value_t *row,
    const char *reason);
/* the same for row `i` of the plugins, which may close its scope.  One that
 * only observes is always left out with a word, never a reason to fail */
int aside_plugin(aside_t *as, const value_t *row, size_t i,
    const char *reason);
/* whether an upstream of this name is set aside */
int aside_is_upstream(const aside_t *as, const value_t *name);
/* whether an enabled plugin only observes and has no code */
unsigned aside_idle(const value_t *row);
/* all of these; *list from the arena.  Returns how many */
size_t aside_list_idle(arena_t *a, const config_t *c, compile_aside_t **list);
void aside_finish(const aside_t *as, const compile_opts_t *opts);

#define ASIDE_NO_CODE  "it has no implementation in this version"

/* what the module knows these instances by */
#define ASIDE_CLOSED  "closed"

#endif
