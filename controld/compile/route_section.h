/*
 * route_section: the index, the predicates and the regexes of a list of
 * rules, as sections of a segment.
 */

#ifndef KONG_ROUTE_SECTION_H
#define KONG_ROUTE_SECTION_H

#include "route_index.h"
#include "writer.h"


/*
 * Adds the sections REGEXES, PREDICATES and INDEX.  Errors as
 * route_index_build().  *ri, when not NULL, keeps the rest, to be released.
 */
int route_section_write(writer_t *w, const route_rule_t *rules, size_t n,
    route_index_t *ri, size_t *bad, const char **err);

#endif
