/*
 * file-log: one JSON line a request.
 */

#include "common.h"


static const field_t  file_log_config[] = {
    { .name = "path", .type = FIELD_STRING, .flags = F_REQUIRED,
      .match = "^[^*&%%\\`]+$", .err = "not a valid filename" },
    { .name = "reopen", .type = FIELD_BOOLEAN, .flags = F_REQUIRED,
      .def = "false" },
    { .name = "custom_fields_by_lua", .type = FIELD_MAP,
      .keys = &plugin_string, .elements = &plugin_lua },
    { .name = NULL }
};

static const field_t  file_log_fields[] = {
    PLUGIN_PROTOCOLS,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = file_log_config },
    { .name = NULL }
};

const plugin_schema_t  plugin_file_log = {
    .schema = {
        .name = "file-log",
        .fields = file_log_fields
    },
    .implemented = 1,
    .priority = 9,
    .version = PLUGIN_VERSION,
    .observes = 1,
    .records = 1
};
