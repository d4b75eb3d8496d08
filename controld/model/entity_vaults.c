/*
 * entity_vaults: vaults; "env" is the only type there is.
 */

#include "entities.h"
#include "json.h"


static const schema_t *vaults_subschema(schema_ctx_t *ctx,
    const value_t *entity, const char **err_field, const char **err);


static const char *const  vaults_types[] = { "env", NULL };
static const char *const  vaults_cache_key[] = { "prefix", NULL };

static const field_t  vaults_fields[] = {
    ENTITY_ID,
    { .name = "prefix", .type = FIELD_STRING, .flags = F_REQUIRED|F_UNIQUE,
      .not_one_of = vaults_types, .match = "^[a-z][a-z%d-]-[a-z%d]+$" },
    { .name = "name", .type = FIELD_STRING, .flags = F_REQUIRED },
    { .name = "description", .type = FIELD_STRING },
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED },
    ENTITY_CREATED_AT,
    ENTITY_UPDATED_AT,
    ENTITY_TAGS,
    ENTITY_END
};

static const field_t  vaults_env_config[] = {
    { .name = "prefix", .type = FIELD_STRING,
      .match = "^[%a_-][%a%d_-]*$" },
    ENTITY_END
};

static const field_t  vaults_env_fields[] = {
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = vaults_env_config },
    ENTITY_END
};

static const schema_t  vaults_env = {
    .name = "env",
    .fields = vaults_env_fields
};

const schema_t  entity_vaults = {
    .name = "vaults",
    .singular = "vault",
    .endpoint_key = "prefix",
    .cache_key = vaults_cache_key,
    .admin_path = "vaults",
    .fields = vaults_fields,
    .subschema = vaults_subschema
};


static const schema_t *
vaults_subschema(schema_ctx_t *ctx, const value_t *entity,
    const char **err_field, const char **err)
{
    const value_t  *name;

    *err_field = "name";
    name = value_get(entity, "name");

    if (value_is_null(name)) {
        *err = "required field missing";
        return NULL;
    }

    if (value_str_eq(name, "env")) {
        return &vaults_env;
    }

    *err = arena_printf(ctx->arena, "vault '%s' is not installed",
                        name->kind == VALUE_STRING
                        ? name->u.string
                        : json_print_lua(ctx->arena, name, NULL));

    return NULL;
}
