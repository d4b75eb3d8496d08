/*
 * key-auth: an API key in a header, the query or the body.
 */

#include "common.h"


static const field_t  key_auth_key_name = {
    .type = FIELD_STRING,
    .check = check_header_name
};

static const field_t  key_auth_config[] = {
    { .name = "key_names", .type = FIELD_ARRAY, .flags = F_REQUIRED,
      .def = "[\"apikey\"]", .elements = &key_auth_key_name },
    { .name = "hide_credentials", .type = FIELD_BOOLEAN, .flags = F_REQUIRED,
      .def = "false" },
    { .name = "anonymous", .type = FIELD_STRING },
    { .name = "key_in_header", .type = FIELD_BOOLEAN, .flags = F_REQUIRED,
      .def = "true" },
    { .name = "key_in_query", .type = FIELD_BOOLEAN, .flags = F_REQUIRED,
      .def = "true" },
    { .name = "key_in_body", .type = FIELD_BOOLEAN, .flags = F_REQUIRED,
      .def = "false" },
    { .name = "run_on_preflight", .type = FIELD_BOOLEAN, .flags = F_REQUIRED,
      .def = "true" },
    { .name = "realm", .type = FIELD_STRING },
    { .name = NULL }
};

static const field_t  key_auth_fields[] = {
    PLUGIN_NO_CONSUMER,
    PLUGIN_PROTOCOLS_HTTP,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = key_auth_config },
    { .name = NULL }
};

const plugin_schema_t  plugin_key_auth = {
    .schema = {
        .name = "key-auth",
        .fields = key_auth_fields
    },
    .implemented = 1,
    .priority = 1250,
    .version = PLUGIN_VERSION
};
