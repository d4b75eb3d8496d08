/*
 * proxy-cache: answers kept in memory.
 */

#include "common.h"


static void proxy_cache_check_dictionary(schema_ctx_t *ctx, value_t *record,
    value_t *errors);

static const char *const  proxy_cache_request_method_values[] = {
    "HEAD", "GET", "POST", "PATCH", "PUT", NULL
};

static const char *const  proxy_cache_strategy_values[] = { "memory", NULL };

static const field_t  proxy_cache_response_code_item = {
    .type = FIELD_INTEGER,
    .flags = F_BETWEEN,
    .min = 100,
    .max = 900
};

static const field_t  proxy_cache_request_method_item = {
    .type = FIELD_STRING,
    .one_of = proxy_cache_request_method_values
};

static const field_t  proxy_cache_memory[] = {
    { .name = "dictionary_name", .type = FIELD_STRING, .flags = F_REQUIRED,
      .def = "\"kong_db_cache\"" },
    { .name = NULL }
};

static const field_t  proxy_cache_response_headers[] = {
    { .name = "age", .type = FIELD_BOOLEAN, .def = "true" },
    { .name = "X-Cache-Status", .type = FIELD_BOOLEAN, .def = "true" },
    { .name = "X-Cache-Key", .type = FIELD_BOOLEAN, .def = "true" },
    { .name = NULL }
};

static const field_t  proxy_cache_config[] = {
    { .name = "response_code", .type = FIELD_ARRAY,
      .flags = F_REQUIRED | F_LEN_MIN, .def = "[200,301,404]", .len_min = 1,
      .elements = &proxy_cache_response_code_item },
    { .name = "request_method", .type = FIELD_ARRAY, .flags = F_REQUIRED,
      .def = "[\"GET\",\"HEAD\"]",
      .elements = &proxy_cache_request_method_item },
    { .name = "content_type", .type = FIELD_ARRAY, .flags = F_REQUIRED,
      .def = "[\"text/plain\",\"application/json\"]",
      .elements = &plugin_string },
    { .name = "cache_ttl", .type = FIELD_INTEGER, .flags = F_GT, .def = "300",
      .min = 0 },
    { .name = "strategy", .type = FIELD_STRING, .flags = F_REQUIRED,
      .one_of = proxy_cache_strategy_values },
    { .name = "cache_control", .type = FIELD_BOOLEAN, .flags = F_REQUIRED,
      .def = "false" },
    { .name = "ignore_uri_case", .type = FIELD_BOOLEAN, .def = "false" },
    { .name = "storage_ttl", .type = FIELD_INTEGER },
    { .name = "memory", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = proxy_cache_memory },
    { .name = "vary_query_params", .type = FIELD_ARRAY,
      .elements = &plugin_string },
    { .name = "vary_headers", .type = FIELD_ARRAY,
      .elements = &plugin_string },
    { .name = "response_headers", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = proxy_cache_response_headers },
    { .name = NULL }
};

static const field_t  proxy_cache_fields[] = {
    PLUGIN_PROTOCOLS,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = proxy_cache_config },
    { .name = NULL }
};

static const char *const  proxy_cache_config_field[] = { "config", NULL };

static const schema_check_t  proxy_cache_checks[] = {
    { .kind = CHECK_CUSTOM, .fields = proxy_cache_config_field,
      .custom = proxy_cache_check_dictionary },
    { .kind = 0 }
};

const plugin_schema_t  plugin_proxy_cache = {
    .schema = {
        .name = "proxy-cache",
        .fields = proxy_cache_fields,
        .checks = proxy_cache_checks
    },
    .implemented = 1,
    .priority = 100,
    .version = PLUGIN_VERSION
};


static void
proxy_cache_check_dictionary(schema_ctx_t *ctx, value_t *record,
    value_t *errors)
{
    const char  *name;

    name = value_cstr(value_path(record, "config.memory.dictionary_name"));

    if (name != NULL
        && value_str_eq(value_path(record, "config.strategy"), "memory")
        && !plugin_dictionary_known(ctx, name))
    {
        schema_error(ctx, errors, "@entity", "missing shared dict '%s'", name);
    }
}
