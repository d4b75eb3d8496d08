/*
 * entities: services and routes as value trees -> the segment's records and
 * the router's rules.  Part of compile; fields and defaults are Kong's.
 */

#ifndef KONG_COMPILE_ENTITIES_H
#define KONG_COMPILE_ENTITIES_H

#include "route_index.h"
#include "writer.h"
#include "../model/config.h"


/* 0, or -1 with *err, a sentence that names the entity */
int entity_service(arena_t *a, writer_t *w, const value_t *v,
    kong_service_t *s, const char **err);
/* `service` is the index of the route's service, or KONG_NONE */
int entity_route(arena_t *a, writer_t *w, const value_t *v,
    uint32_t service, kong_route_t *r, const char **err);
/* what the route asks of a request; r is the record of entity_route() */
int entity_rule(arena_t *a, const value_t *v, const kong_route_t *r,
    uint32_t number, route_rule_t *rule, const char **err);

/* "route 'name'", or with the id when it has no name */
const char *entity_name(arena_t *a, const char *kind, const value_t *v);
int entity_id(const value_t *v, uint8_t id[16]);
/* its id is the one text that the bytes have, and no hole's: records and rows
 * can be found by one another.  A row without an id is plain */
unsigned entity_is_plain(const value_t *v);
unsigned entity_flag(const value_t *v, const char *key, unsigned def);
/* http is routed here; tcp, tls and udp are not listened for.  `s` is the
 * route's service, or NULL */
unsigned entity_is_served(const kong_route_t *r, const kong_service_t *s);

/* of the segment's header */
uint32_t entities_flags(const config_t *c);

/* protocols that the http listeners serve */
#define ENTITY_HTTP                                                         \
    (KONG_PROTO_HTTP | KONG_PROTO_HTTPS | KONG_PROTO_GRPC | KONG_PROTO_GRPCS)

#endif
