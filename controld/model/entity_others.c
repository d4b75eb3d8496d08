/*
 * entity_others: sections that declarative files may hold although little or
 * nothing of the gateway looks at them.
 */

#include "entities.h"


static const char *const  filter_chains_scopes[] = {
    "route", "service", NULL
};
static const char *const  acme_storage_key[] = { "key", NULL };
static const char *const  sessions_key[] = { "session_id", NULL };
static const char *const  clustering_states[] = {
    "unknown", "normal", "kong_version_incompatible",
    "plugin_set_incompatible", "plugin_version_incompatible",
    "filter_set_incompatible", NULL
};

static const field_t  others_string = { .type = FIELD_STRING };

static const field_t  filter_fields[] = {
    { .name = "name", .type = FIELD_STRING, .flags = F_REQUIRED },
    { .name = "enabled", .type = FIELD_BOOLEAN, .flags = F_REQUIRED,
      .def = "true" },
    { .name = "config", .type = FIELD_ANY },
    ENTITY_END
};

static const field_t  filter_record = {
    .type = FIELD_RECORD, .fields = filter_fields
};

static const field_t  filter_chains_fields[] = {
    ENTITY_ID,
    { .name = "name", .type = FIELD_STRING, .flags = F_UNIQUE,
      .check = check_name },
    { .name = "enabled", .type = FIELD_BOOLEAN, .flags = F_REQUIRED,
      .def = "true" },
    { .name = "route", .type = FIELD_FOREIGN, .flags = F_UNIQUE|F_CASCADE,
      .foreign = "routes" },
    { .name = "service", .type = FIELD_FOREIGN, .flags = F_UNIQUE|F_CASCADE,
      .foreign = "services" },
    { .name = "filters", .type = FIELD_ARRAY, .flags = F_REQUIRED|F_LEN_MIN,
      .elements = &filter_record, .len_min = 1 },
    ENTITY_CREATED_AT,
    ENTITY_UPDATED_AT,
    ENTITY_TAGS,
    ENTITY_END
};

static const schema_check_t  filter_chains_checks[] = {
    { .kind = CHECK_MUTUALLY_EXCLUSIVE, .fields = filter_chains_scopes },
    { .kind = CHECK_AT_LEAST_ONE_OF, .fields = filter_chains_scopes },
    { .kind = 0 }
};

const schema_t  entity_filter_chains = {
    .name = "filter_chains",
    .singular = "filter_chain",
    .endpoint_key = "name",
    .cache_key = filter_chains_scopes,
    .admin_path = "filter-chains",
    .nested_name = "filter-chains",
    .fields = filter_chains_fields,
    .checks = filter_chains_checks
};

static const field_t  parameters_fields[] = {
    ENTITY_CREATED_AT,
    { .name = "key", .type = FIELD_STRING, .flags = F_REQUIRED|F_UNIQUE },
    { .name = "value", .type = FIELD_STRING, .flags = F_REQUIRED },
    ENTITY_END
};

const schema_t  entity_parameters = {
    .name = "parameters",
    .singular = "parameter",
    .endpoint_key = "key",
    .fields = parameters_fields
};

static const field_t  clustering_cert_details[] = {
    { .name = "expiry_timestamp", .type = FIELD_INTEGER,
      .flags = F_TIMESTAMP },
    ENTITY_END
};

static const field_t  clustering_fields[] = {
    ENTITY_ID,
    { .name = "last_seen", .type = FIELD_INTEGER,
      .flags = F_AUTO|F_TIMESTAMP },
    ENTITY_UPDATED_AT,
    { .name = "ip", .type = FIELD_STRING, .flags = F_REQUIRED,
      .check = check_ip_or_cidr },
    { .name = "config_hash", .type = FIELD_STRING, .flags = F_LEN_EQ,
      .len_min = 32 },
    { .name = "hostname", .type = FIELD_STRING, .flags = F_REQUIRED,
      .check = check_host },
    { .name = "version", .type = FIELD_STRING },
    { .name = "sync_status", .type = FIELD_STRING, .flags = F_REQUIRED,
      .def = "\"unknown\"", .one_of = clustering_states },
    { .name = "labels", .type = FIELD_MAP, .keys = &others_string,
      .elements = &others_string },
    { .name = "cert_details", .type = FIELD_RECORD,
      .fields = clustering_cert_details },
    { .name = "rpc_capabilities", .type = FIELD_SET,
      .elements = &others_string },
    ENTITY_TTL,
    ENTITY_END
};

const schema_t  entity_clustering_data_planes = {
    .name = "clustering_data_planes",
    .singular = "clustering_data_plane",
    .fields = clustering_fields
};

static const field_t  acme_storage_fields[] = {
    ENTITY_ID,
    { .name = "key", .type = FIELD_STRING, .flags = F_REQUIRED|F_UNIQUE },
    { .name = "value", .type = FIELD_STRING,
      .flags = F_REQUIRED|F_ENCRYPTED },
    ENTITY_CREATED_AT,
    ENTITY_TTL,
    ENTITY_END
};

const schema_t  entity_acme_storage = {
    .name = "acme_storage",
    .singular = "acme_storage",
    .endpoint_key = "key",
    .cache_key = acme_storage_key,
    .fields = acme_storage_fields
};

static const field_t  sessions_fields[] = {
    ENTITY_ID,
    { .name = "session_id", .type = FIELD_STRING,
      .flags = F_REQUIRED|F_UNIQUE },
    { .name = "expires", .type = FIELD_INTEGER },
    { .name = "data", .type = FIELD_STRING },
    ENTITY_CREATED_AT,
    ENTITY_TTL,
    ENTITY_END
};

const schema_t  entity_sessions = {
    .name = "sessions",
    .singular = "session",
    .endpoint_key = "session_id",
    .cache_key = sessions_key,
    .fields = sessions_fields
};

static const field_t  ratelimiting_fields[] = {
    { .name = "identifier", .type = FIELD_STRING, .flags = F_REQUIRED },
    { .name = "period", .type = FIELD_STRING, .flags = F_REQUIRED },
    { .name = "period_date", .type = FIELD_INTEGER,
      .flags = F_REQUIRED|F_TIMESTAMP },
    { .name = "service", .type = FIELD_ANY },
    { .name = "route", .type = FIELD_ANY },
    { .name = "value", .type = FIELD_INTEGER, .flags = F_REQUIRED },
    ENTITY_TTL,
    ENTITY_END
};

const schema_t  entity_ratelimiting_metrics = {
    .name = "ratelimiting_metrics",
    .singular = "ratelimiting_metric",
    .fields = ratelimiting_fields
};
