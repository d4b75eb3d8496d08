/*
 * entity_plugins: the plugins entity.  Its name chooses the table of the
 * plugin, which puts its own config, scopes and protocols in place of these.
 */

#include "entities.h"
#include "json.h"


static const schema_t *plugins_subschema(schema_ctx_t *ctx,
    const value_t *entity, const char **err_field, const char **err);
static bool plugins_is_enabled(const schema_ctx_t *ctx,
    const plugin_schema_t *plugin, const value_t *name);


static const char *const  plugins_cache_key[] = {
    "name", "route", "service", "consumer", NULL
};

static const field_t  plugins_protocol = {
    .type = FIELD_STRING, .one_of = types_protocols
};

static const field_t  plugins_fields[] = {
    ENTITY_ID,
    { .name = "name", .type = FIELD_STRING, .flags = F_REQUIRED },
    { .name = "instance_name", .type = FIELD_STRING, .flags = F_UNIQUE,
      .check = check_name },
    ENTITY_CREATED_AT,
    ENTITY_UPDATED_AT,
    { .name = "route", .type = FIELD_FOREIGN, .flags = F_CASCADE,
      .foreign = "routes" },
    { .name = "service", .type = FIELD_FOREIGN, .flags = F_CASCADE,
      .foreign = "services" },
    { .name = "consumer", .type = FIELD_FOREIGN, .flags = F_CASCADE,
      .foreign = "consumers" },
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED },
    { .name = "protocols", .type = FIELD_SET, .flags = F_REQUIRED,
      .def = "[\"grpc\",\"grpcs\",\"http\",\"https\"]",
      .elements = &plugins_protocol },
    { .name = "enabled", .type = FIELD_BOOLEAN, .flags = F_REQUIRED,
      .def = "true" },
    ENTITY_TAGS,
    ENTITY_END
};

const schema_t  entity_plugins = {
    .name = "plugins",
    .singular = "plugin",
    .endpoint_key = "instance_name",
    .cache_key = plugins_cache_key,
    .admin_path = "plugins",
    .nested_name = "plugins",
    .fields = plugins_fields,
    .subschema = plugins_subschema
};


static const schema_t *
plugins_subschema(schema_ctx_t *ctx, const value_t *entity,
    const char **err_field, const char **err)
{
    const char             *text;
    const value_t          *name;
    const plugin_schema_t  *plugin;

    *err_field = "name";
    name = value_get(entity, "name");

    if (value_is_null(name)) {
        *err = "required field missing";
        return NULL;
    }

    if (name->kind == VALUE_STRING) {
        plugin = schema_plugin(name->u.string, name->len);

        if (plugin != NULL && plugins_is_enabled(ctx, plugin, name)) {
            return &plugin->schema;
        }

        text = name->u.string;

    } else {
        text = json_print_lua(ctx->arena, name, NULL);
    }

    *err = arena_printf(ctx->arena, "plugin '%s' not enabled; add it to the "
                        "'plugins' configuration property", text);

    return NULL;
}


static bool
plugins_is_enabled(const schema_ctx_t *ctx, const plugin_schema_t *plugin,
    const value_t *name)
{
    const char *const  *p;

    if (ctx->plugins == NULL) {
        return !plugin->external;
    }

    for (p = ctx->plugins; *p != NULL; p++) {
        if (value_str_eq(name, *p)) {
            return true;
        }
    }

    return false;
}
