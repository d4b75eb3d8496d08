/*
 * tcp-log: log records over TCP.
 */

#include "common.h"


static const field_t  tcp_log_config[] = {
    { .name = "host", .type = FIELD_STRING, .flags = F_REQUIRED,
      .check = check_host },
    { .name = "port", .type = FIELD_INTEGER, .flags = F_REQUIRED | F_BETWEEN,
      .min = 0, .max = 65535 },
    { .name = "timeout", .type = FIELD_NUMBER, .def = "10000" },
    { .name = "keepalive", .type = FIELD_NUMBER, .def = "60000" },
    { .name = "tls", .type = FIELD_BOOLEAN, .flags = F_REQUIRED,
      .def = "false" },
    { .name = "tls_sni", .type = FIELD_STRING },
    { .name = "custom_fields_by_lua", .type = FIELD_MAP,
      .keys = &plugin_string, .elements = &plugin_lua },
    { .name = NULL }
};

static const field_t  tcp_log_fields[] = {
    PLUGIN_PROTOCOLS,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = tcp_log_config },
    { .name = NULL }
};

const plugin_schema_t  plugin_tcp_log = {
    .schema = {
        .name = "tcp-log",
        .fields = tcp_log_fields
    },
    .implemented = 1,
    .priority = 7,
    .version = PLUGIN_VERSION,
    .observes = 1,
    .records = 1
};
