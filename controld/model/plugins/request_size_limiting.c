/*
 * request-size-limiting: a bound on the body.
 */

#include "common.h"


static const char *const  request_size_limiting_size_unit_values[] = {
    "megabytes", "kilobytes", "bytes", NULL
};

static const field_t  request_size_limiting_config[] = {
    { .name = "allowed_payload_size", .type = FIELD_INTEGER, .def = "128" },
    { .name = "size_unit", .type = FIELD_STRING, .flags = F_REQUIRED,
      .def = "\"megabytes\"",
      .one_of = request_size_limiting_size_unit_values },
    { .name = "require_content_length", .type = FIELD_BOOLEAN,
      .flags = F_REQUIRED, .def = "false" },
    { .name = NULL }
};

static const field_t  request_size_limiting_fields[] = {
    PLUGIN_PROTOCOLS_HTTP,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = request_size_limiting_config },
    { .name = NULL }
};

const plugin_schema_t  plugin_request_size_limiting = {
    .schema = {
        .name = "request-size-limiting",
        .fields = request_size_limiting_fields
    },
    .implemented = 1,
    .priority = 951,
    .version = PLUGIN_VERSION
};
