/*
 * opentelemetry: traces and logs by OTLP over HTTP.
 */

#include "common.h"


static void opentelemetry_expand_endpoint(schema_ctx_t *ctx, value_t *record,
    value_t *given);

static const char *const  opentelemetry_header_type_values[] = {
    "preserve", "ignore", "b3", "b3-single", "w3c", "jaeger", "ot", "aws",
    "gcp", "datadog", NULL
};

static const char *const  opentelemetry_endpoints[] = {
    "traces_endpoint", "logs_endpoint", NULL
};

static const schema_check_t  opentelemetry_config_checks[] = {
    { .kind = CHECK_AT_LEAST_ONE_OF, .fields = opentelemetry_endpoints },
    { .kind = 0 }
};

static const field_t  opentelemetry_url = {
    .type = FIELD_STRING, .flags = F_REFERENCEABLE, .check = check_url
};

static const shorthand_t  opentelemetry_shorthands[] = {
    { .name = "endpoint", .type = FIELD_STRING, .rule = &opentelemetry_url,
      .expand = opentelemetry_expand_endpoint },
    { .name = NULL }
};

static const field_t  opentelemetry_header = {
    .type = FIELD_STRING,
    .check = check_header_name
};

static const field_t  opentelemetry_config[] = {
    { .name = "traces_endpoint", .type = FIELD_STRING,
      .flags = F_REFERENCEABLE, .check = check_url },
    { .name = "logs_endpoint", .type = FIELD_STRING, .flags = F_REFERENCEABLE,
      .check = check_url },
    { .name = "headers", .type = FIELD_MAP, .keys = &opentelemetry_header,
      .elements = &plugin_reference },
    { .name = "resource_attributes", .type = FIELD_MAP, .keys = &plugin_string,
      .elements = &plugin_string },
    { .name = "queue", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .def = "{\"max_batch_size\":200}", .fields = plugin_queue },
    { .name = "batch_span_count", .type = FIELD_INTEGER,
      .flags = F_DEPRECATED },
    { .name = "batch_flush_delay", .type = FIELD_INTEGER,
      .flags = F_DEPRECATED },
    { .name = "connect_timeout", .type = FIELD_INTEGER, .flags = F_BETWEEN,
      .def = "1000", .min = 0, .max = 2147483646 },
    { .name = "send_timeout", .type = FIELD_INTEGER, .flags = F_BETWEEN,
      .def = "5000", .min = 0, .max = 2147483646 },
    { .name = "read_timeout", .type = FIELD_INTEGER, .flags = F_BETWEEN,
      .def = "5000", .min = 0, .max = 2147483646 },
    { .name = "http_response_header_for_traceid", .type = FIELD_STRING },
    { .name = "header_type", .type = FIELD_STRING, .flags = F_DEPRECATED,
      .def = "\"preserve\"", .one_of = opentelemetry_header_type_values },
    { .name = "sampling_rate", .type = FIELD_NUMBER, .flags = F_BETWEEN,
      .min = 0, .max = 1 },
    { .name = "propagation", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .def = "{\"default_format\":\"w3c\"}", .fields = plugin_propagation },
    { .name = NULL }
};

static const field_t  opentelemetry_fields[] = {
    PLUGIN_PROTOCOLS_HTTP,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = opentelemetry_config, .shorthands = opentelemetry_shorthands,
      .checks = opentelemetry_config_checks },
    { .name = NULL }
};

const plugin_schema_t  plugin_opentelemetry = {
    .schema = {
        .name = "opentelemetry",
        .fields = opentelemetry_fields
    },
    .priority = 14,
    .version = PLUGIN_VERSION,
    .observes = 1
};


static void
opentelemetry_expand_endpoint(schema_ctx_t *ctx, value_t *record,
    value_t *given)
{
    value_t  url, *slot;

    url = *given;
    slot = value_put(ctx->arena, record, "traces_endpoint");

    if (slot->kind == VALUE_NULL) {
        *slot = url;
    }
}
