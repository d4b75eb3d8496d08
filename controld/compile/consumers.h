/*
 * consumers: consumers, their groups and their credentials -> the sections
 * CONSUMERS and CREDENTIALS.
 */

#ifndef KONG_COMPILE_CONSUMERS_H
#define KONG_COMPILE_CONSUMERS_H

#include "ids.h"
#include "values.h"


/* fills *ids with the consumers' positions.  0, or -1 with *err */
int consumers_compile(arena_t *a, const config_t *c, writer_t *w,
    values_t *values, ids_t *ids, const char **err);

#endif
