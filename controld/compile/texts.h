/*
 * texts: routes, services and consumers -> the section TEXTS, for plugins
 * that write log records.
 */

#ifndef KONG_COMPILE_TEXTS_H
#define KONG_COMPILE_TEXTS_H

#include "ids.h"
#include "patch.h"


/* has it an enabled plugin that asks for them? */
unsigned texts_wanted(const config_t *c);
/* of the records that are there */
void texts_compile(arena_t *a, const config_t *c, writer_t *w,
    const kong_route_t *routes, size_t n_routes,
    const kong_service_t *services, size_t n_services,
    const ids_t *consumers);

#endif
