/*
 * entity_consumers: consumers and the workspace they live in.
 */

#include "entities.h"


static const char *const  consumers_names[] = {
    "custom_id", "username", NULL
};

static const char *const  workspaces_cache_key[] = { "name", NULL };

static const field_t  consumers_fields[] = {
    ENTITY_ID,
    ENTITY_CREATED_AT,
    ENTITY_UPDATED_AT,
    { .name = "username", .type = FIELD_STRING, .flags = F_UNIQUE },
    { .name = "custom_id", .type = FIELD_STRING, .flags = F_UNIQUE },
    ENTITY_TAGS,
    ENTITY_END
};

static const schema_check_t  consumers_checks[] = {
    { .kind = CHECK_AT_LEAST_ONE_OF, .fields = consumers_names },
    { .kind = 0 }
};

static const field_t  workspaces_meta[] = {
    { .name = "color", .type = FIELD_STRING },
    { .name = "thumbnail", .type = FIELD_STRING },
    ENTITY_END
};

static const field_t  workspaces_any = { .type = FIELD_ANY };
static const field_t  workspaces_key = { .type = FIELD_STRING };

static const field_t  workspaces_fields[] = {
    ENTITY_ID,
    { .name = "name", .type = FIELD_STRING, .flags = F_REQUIRED|F_UNIQUE,
      .check = check_name },
    { .name = "comment", .type = FIELD_STRING },
    ENTITY_CREATED_AT,
    ENTITY_UPDATED_AT,
    { .name = "meta", .type = FIELD_RECORD, .fields = workspaces_meta },
    { .name = "config", .type = FIELD_MAP, .keys = &workspaces_key,
      .elements = &workspaces_any },
    ENTITY_END
};

const schema_t  entity_consumers = {
    .name = "consumers",
    .singular = "consumer",
    .endpoint_key = "username",
    .admin_path = "consumers",
    .fields = consumers_fields,
    .checks = consumers_checks
};

const schema_t  entity_workspaces = {
    .name = "workspaces",
    .singular = "workspace",
    .endpoint_key = "name",
    .cache_key = workspaces_cache_key,
    .fields = workspaces_fields
};
