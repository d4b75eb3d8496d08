/*
 * entities: the tables of the core entities and credentials, one file a
 * group, listed in entities.c.
 */

#ifndef KONG_ENTITIES_H
#define KONG_ENTITIES_H

#include "types.h"


/* fields that almost every entity has */

#define ENTITY_ID                                                            \
    { .name = "id", .type = FIELD_STRING, .flags = F_AUTO|F_UUID }

#define ENTITY_CREATED_AT                                                    \
    { .name = "created_at", .type = FIELD_INTEGER,                           \
      .flags = F_AUTO|F_TIMESTAMP }

#define ENTITY_UPDATED_AT                                                    \
    { .name = "updated_at", .type = FIELD_INTEGER,                           \
      .flags = F_AUTO|F_TIMESTAMP }

#define ENTITY_TAGS                                                          \
    { .name = "tags", .type = FIELD_SET, .elements = &types_tag }

#define ENTITY_END  { .name = NULL }

#define ENTITY_TTL                                                           \
    { .name = "ttl", .type = FIELD_INTEGER, .flags = F_BETWEEN, .min = 0,    \
      .max = 100000000 }


extern const schema_t  entity_workspaces;
extern const schema_t  entity_consumers;
extern const schema_t  entity_certificates;
extern const schema_t  entity_services;
extern const schema_t  entity_routes;
extern const schema_t  entity_snis;
extern const schema_t  entity_upstreams;
extern const schema_t  entity_targets;
extern const schema_t  entity_plugins;
extern const schema_t  entity_ca_certificates;
extern const schema_t  entity_clustering_data_planes;
extern const schema_t  entity_parameters;
extern const schema_t  entity_vaults;
extern const schema_t  entity_key_sets;
extern const schema_t  entity_keys;
extern const schema_t  entity_filter_chains;
extern const schema_t  entity_acls;
extern const schema_t  entity_acme_storage;
extern const schema_t  entity_basicauth_credentials;
extern const schema_t  entity_hmacauth_credentials;
extern const schema_t  entity_jwt_secrets;
extern const schema_t  entity_keyauth_credentials;
extern const schema_t  entity_oauth2_credentials;
extern const schema_t  entity_oauth2_authorization_codes;
extern const schema_t  entity_oauth2_tokens;
extern const schema_t  entity_ratelimiting_metrics;
extern const schema_t  entity_sessions;

#endif
