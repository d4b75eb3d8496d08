/*
 * loggly: log records to Loggly.
 */

#include "common.h"


static const char *const  loggly_log_level_values[] = {
    "debug", "info", "notice", "warning", "err", "crit", "alert", "emerg",
    NULL
};

static const field_t  loggly_config[] = {
    { .name = "host", .type = FIELD_STRING, .def = "\"logs-01.loggly.com\"",
      .check = check_host },
    { .name = "port", .type = FIELD_INTEGER, .flags = F_BETWEEN, .def = "514",
      .min = 0, .max = 65535 },
    { .name = "key", .type = FIELD_STRING,
      .flags = F_REQUIRED | F_REFERENCEABLE | F_ENCRYPTED },
    { .name = "tags", .type = FIELD_SET, .def = "[\"kong\"]",
      .elements = &plugin_string },
    { .name = "log_level", .type = FIELD_STRING, .def = "\"info\"",
      .one_of = loggly_log_level_values },
    { .name = "successful_severity", .type = FIELD_STRING, .def = "\"info\"",
      .one_of = loggly_log_level_values },
    { .name = "client_errors_severity", .type = FIELD_STRING,
      .def = "\"info\"", .one_of = loggly_log_level_values },
    { .name = "server_errors_severity", .type = FIELD_STRING,
      .def = "\"info\"", .one_of = loggly_log_level_values },
    { .name = "timeout", .type = FIELD_NUMBER, .def = "10000" },
    { .name = "custom_fields_by_lua", .type = FIELD_MAP,
      .keys = &plugin_string, .elements = &plugin_lua },
    { .name = NULL }
};

static const field_t  loggly_fields[] = {
    PLUGIN_PROTOCOLS,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = loggly_config },
    { .name = NULL }
};

const plugin_schema_t  plugin_loggly = {
    .schema = {
        .name = "loggly",
        .fields = loggly_fields
    },
    .implemented = 1,
    .priority = 6,
    .version = PLUGIN_VERSION,
    .observes = 1,
    .records = 1
};
