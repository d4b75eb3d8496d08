/*
 * kong_path: normalisation of request paths, and the path sent upstream
 * (routing.md 2 and 4).  Writes into the caller's buffers; no allocation.
 */

#ifndef KONG_PATH_H
#define KONG_PATH_H

#include "kong_segment.h"


/*
 * 1 when the path (no query) is in normal form already, which is what almost
 * every request sends: the caller then uses it as it is.
 */
int kong_path_is_normal(const char *path, size_t len);

/*
 * Normalises into out, which holds at least len bytes (the result is never
 * longer).  Returns the length.
 */
size_t kong_path_normalize(const char *path, size_t len, char *out);

/*
 * The path for the upstream request: service path (empty = "/"), normalised
 * request path, and what the route matched.  `out` holds at least
 * kong_path_upstream_max() bytes; returns the length.  Characters that may
 * not stand in a request target are percent-encoded again.
 */
size_t kong_path_upstream_max(kong_str_t service_path, kong_str_t path);
size_t kong_path_upstream(kong_str_t service_path, kong_str_t path,
    unsigned strip, unsigned has_path, uint32_t matched_len, char *out);

#endif
