/*
 * plugins: plugin entities -> instances, and a chain for every route.
 * Precedence and order are Kong's (docs/plugins.md).
 */

#ifndef KONG_COMPILE_PLUGINS_H
#define KONG_COMPILE_PLUGINS_H

#include "aside.h"
#include "ids.h"
#include "values.h"


/* sets kong_route_t.plugins of the n routes; *n_plugins is the number of
 * instances written.  0, or -1 with *err */
int plugins_compile(arena_t *a, const config_t *c, writer_t *w,
    values_t *values, const ids_t *consumers, kong_route_t *routes, size_t n,
    const kong_service_t *services, size_t n_services, const aside_t *aside,
    uint32_t *n_plugins, const char **err);

#endif
