/*
 * basic-auth: user name and password.
 */

#include "common.h"


static const field_t  basic_auth_config[] = {
    { .name = "anonymous", .type = FIELD_STRING },
    { .name = "hide_credentials", .type = FIELD_BOOLEAN, .flags = F_REQUIRED,
      .def = "false" },
    { .name = "realm", .type = FIELD_STRING, .flags = F_REQUIRED,
      .def = "\"service\"" },
    { .name = NULL }
};

static const field_t  basic_auth_fields[] = {
    PLUGIN_NO_CONSUMER,
    PLUGIN_PROTOCOLS_HTTP,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = basic_auth_config },
    { .name = NULL }
};

const plugin_schema_t  plugin_basic_auth = {
    .schema = {
        .name = "basic-auth",
        .fields = basic_auth_fields
    },
    .implemented = 1,
    .priority = 1100,
    .version = PLUGIN_VERSION
};
