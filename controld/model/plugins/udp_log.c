/*
 * udp-log: log records over UDP.
 */

#include "common.h"


static const field_t  udp_log_config[] = {
    { .name = "host", .type = FIELD_STRING, .flags = F_REQUIRED,
      .check = check_host },
    { .name = "port", .type = FIELD_INTEGER, .flags = F_REQUIRED | F_BETWEEN,
      .min = 0, .max = 65535 },
    { .name = "timeout", .type = FIELD_NUMBER, .def = "10000" },
    { .name = "custom_fields_by_lua", .type = FIELD_MAP,
      .keys = &plugin_string, .elements = &plugin_lua },
    { .name = NULL }
};

static const field_t  udp_log_fields[] = {
    PLUGIN_PROTOCOLS,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = udp_log_config },
    { .name = NULL }
};

const plugin_schema_t  plugin_udp_log = {
    .schema = {
        .name = "udp-log",
        .fields = udp_log_fields
    },
    .implemented = 1,
    .priority = 8,
    .version = PLUGIN_VERSION,
    .observes = 1,
    .records = 1
};
