/*
 * multipart: the fields of a multipart/form-data body.
 */

#ifndef KONG_ADMIN_MULTIPART_H
#define KONG_ADMIN_MULTIPART_H

#include "../model/value.h"


/* fills `out` (an object: name -> string); a damaged body gives what could be
 * read of it.  -1: `type` has no boundary.  Values point into the body */
int multipart_parse(arena_t *a, const char *type, const char *body,
    size_t len, value_t *out);

#endif
