/*
 * route_types: the checks of a route's own fields.
 */

#ifndef KONG_ROUTE_TYPES_H
#define KONG_ROUTE_TYPES_H

#include "schema.h"


const char *route_check_host(schema_ctx_t *, const field_t *,
    const value_t *);
const char *route_check_path(schema_ctx_t *, const field_t *,
    const value_t *);
const char *route_check_sni(schema_ctx_t *, const field_t *,
    const value_t *);
const char *route_check_families(schema_ctx_t *, const field_t *,
    const value_t *);
const char *route_check_grpc_strip(schema_ctx_t *, const field_t *,
    const value_t *);

#endif
