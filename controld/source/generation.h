/*
 * generation: what a good load leaves behind: the configuration and what the
 * Admin API needs to read it.  Its references are counted by the main thread
 * alone.
 */

#ifndef KONG_GENERATION_H
#define KONG_GENERATION_H

#include "../compile/compile.h"


typedef struct {
    config_t         *config;
    uint32_t          number;      /* of the config segment */
    value_t        ***sorted;      /* by table: its rows by ascending id */
    compile_state_t  *compiled;    /* for the next one; NULL: none */
    unsigned          refs;
} generation_t;


/* the first reference is the caller's */
generation_t *generation_new(config_t *c, uint32_t number);
/* for the readers: its tables by id */
void generation_sort(generation_t *g);

void generation_get(generation_t *g);
void generation_put(generation_t *g);          /* NULL is fine */

/* names in services and targets that must be resolved, each once, lower
 * case; NULL-ended array from `a` */
const char *const *generation_hosts(arena_t *a, const generation_t *g,
    size_t *n);

#endif
