/*
 * syslog: log records to the local syslog.
 */

#include "common.h"


static const char *const  syslog_log_level_values[] = {
    "debug", "info", "notice", "warning", "err", "crit", "alert", "emerg",
    NULL
};

static const char *const  syslog_facility_values[] = {
    "auth", "authpriv", "cron", "daemon", "ftp", "kern", "lpr", "mail", "news",
    "syslog", "user", "uucp", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7", NULL
};

static const field_t  syslog_config[] = {
    { .name = "log_level", .type = FIELD_STRING, .flags = F_REQUIRED,
      .def = "\"info\"", .one_of = syslog_log_level_values },
    { .name = "successful_severity", .type = FIELD_STRING, .flags = F_REQUIRED,
      .def = "\"info\"", .one_of = syslog_log_level_values },
    { .name = "client_errors_severity", .type = FIELD_STRING,
      .flags = F_REQUIRED, .def = "\"info\"",
      .one_of = syslog_log_level_values },
    { .name = "server_errors_severity", .type = FIELD_STRING,
      .flags = F_REQUIRED, .def = "\"info\"",
      .one_of = syslog_log_level_values },
    { .name = "custom_fields_by_lua", .type = FIELD_MAP,
      .keys = &plugin_string, .elements = &plugin_lua },
    { .name = "facility", .type = FIELD_STRING, .flags = F_REQUIRED,
      .def = "\"user\"", .one_of = syslog_facility_values },
    { .name = NULL }
};

static const field_t  syslog_fields[] = {
    PLUGIN_PROTOCOLS,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = syslog_config },
    { .name = NULL }
};

const plugin_schema_t  plugin_syslog = {
    .schema = {
        .name = "syslog",
        .fields = syslog_fields
    },
    .implemented = 1,
    .priority = 4,
    .version = PLUGIN_VERSION,
    .observes = 1,
    .records = 1
};
