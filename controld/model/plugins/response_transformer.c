/*
 * response-transformer: headers and members of a JSON body changed on the way
 * down.
 */

#include "common.h"


static const char *const  response_transformer_json_types_values[] = {
    "boolean", "number", "string", NULL
};

static const field_t  response_transformer_remove[] = {
    { .name = "json", .type = FIELD_ARRAY, .flags = F_REQUIRED, .def = "[]",
      .elements = &plugin_string },
    { .name = "headers", .type = FIELD_ARRAY, .flags = F_REQUIRED, .def = "[]",
      .elements = &plugin_string },
    { .name = NULL }
};

static const field_t  response_transformer_pair = {
    .type = FIELD_STRING,
    .match = "^[^:]+:.*$"
};

static const field_t  response_transformer_rename_header = {
    .type = FIELD_STRING,
    .match = "^[^:]+:.*$",
    .check = plugin_check_header_rename
};

static const field_t  response_transformer_rename[] = {
    { .name = "json", .type = FIELD_ARRAY, .flags = F_REQUIRED, .def = "[]",
      .elements = &response_transformer_pair },
    { .name = "headers", .type = FIELD_ARRAY, .flags = F_REQUIRED, .def = "[]",
      .elements = &response_transformer_rename_header },
    { .name = NULL }
};

static const field_t  response_transformer_type = {
    .type = FIELD_STRING,
    .one_of = response_transformer_json_types_values
};

static const field_t  response_transformer_change[] = {
    { .name = "json", .type = FIELD_ARRAY, .flags = F_REQUIRED, .def = "[]",
      .elements = &response_transformer_pair },
    { .name = "json_types", .type = FIELD_ARRAY, .flags = F_REQUIRED,
      .def = "[]", .elements = &response_transformer_type },
    { .name = "headers", .type = FIELD_ARRAY, .flags = F_REQUIRED, .def = "[]",
      .elements = &response_transformer_pair },
    { .name = NULL }
};

static const field_t  response_transformer_config[] = {
    { .name = "remove", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = response_transformer_remove },
    { .name = "rename", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = response_transformer_rename },
    { .name = "replace", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = response_transformer_change },
    { .name = "add", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = response_transformer_change },
    { .name = "append", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = response_transformer_change },
    { .name = NULL }
};

static const field_t  response_transformer_fields[] = {
    PLUGIN_PROTOCOLS_HTTP,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = response_transformer_config },
    { .name = NULL }
};

const plugin_schema_t  plugin_response_transformer = {
    .schema = {
        .name = "response-transformer",
        .fields = response_transformer_fields
    },
    .implemented = 1,
    .priority = 800,
    .version = PLUGIN_VERSION
};
