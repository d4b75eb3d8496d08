/*
 * correlation-id: a header that names the request.
 */

#include "common.h"


static const char *const  correlation_id_generator_values[] = {
    "uuid", "uuid#counter", "tracker", NULL
};

static const field_t  correlation_id_config[] = {
    { .name = "header_name", .type = FIELD_STRING,
      .def = "\"Kong-Request-ID\"" },
    { .name = "generator", .type = FIELD_STRING, .flags = F_REQUIRED,
      .def = "\"uuid#counter\"", .one_of = correlation_id_generator_values },
    { .name = "echo_downstream", .type = FIELD_BOOLEAN, .flags = F_REQUIRED,
      .def = "false" },
    { .name = NULL }
};

static const field_t  correlation_id_fields[] = {
    PLUGIN_PROTOCOLS_HTTP,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = correlation_id_config },
    { .name = NULL }
};

const plugin_schema_t  plugin_correlation_id = {
    .schema = {
        .name = "correlation-id",
        .fields = correlation_id_fields
    },
    .implemented = 1,
    .priority = 100001,
    .version = PLUGIN_VERSION
};
