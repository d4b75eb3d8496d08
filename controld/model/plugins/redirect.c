/*
 * redirect: an answer that points elsewhere.
 */

#include "common.h"


static const field_t  redirect_config[] = {
    { .name = "status_code", .type = FIELD_INTEGER,
      .flags = F_REQUIRED | F_BETWEEN, .def = "301", .min = 100, .max = 599 },
    { .name = "location", .type = FIELD_STRING, .flags = F_REQUIRED,
      .check = check_url },
    { .name = "keep_incoming_path", .type = FIELD_BOOLEAN, .def = "false" },
    { .name = NULL }
};

static const field_t  redirect_fields[] = {
    PLUGIN_PROTOCOLS_HTTP,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = redirect_config },
    { .name = NULL }
};

const plugin_schema_t  plugin_redirect = {
    .schema = {
        .name = "redirect",
        .fields = redirect_fields
    },
    .implemented = 1,
    .priority = 779,
    .version = PLUGIN_VERSION
};
