/*
 * entities: all of them, parents before children: the order in which they are
 * loaded, exported and written to a database.
 */

#include "entities.h"


const schema_t *const  schema_entities[] = {
    &entity_workspaces,
    &entity_consumers,
    &entity_certificates,
    &entity_services,
    &entity_routes,
    &entity_snis,
    &entity_upstreams,
    &entity_targets,
    &entity_plugins,
    &entity_ca_certificates,
    &entity_clustering_data_planes,
    &entity_parameters,
    &entity_vaults,
    &entity_key_sets,
    &entity_keys,
    &entity_filter_chains,
    &entity_acls,
    &entity_acme_storage,
    &entity_basicauth_credentials,
    &entity_hmacauth_credentials,
    &entity_jwt_secrets,
    &entity_keyauth_credentials,
    &entity_oauth2_credentials,
    &entity_oauth2_authorization_codes,
    &entity_oauth2_tokens,
    &entity_ratelimiting_metrics,
    &entity_sessions,
    NULL
};
