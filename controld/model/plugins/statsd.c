/*
 * statsd: metrics by the StatsD protocol.
 */

#include "common.h"


static const char *const  statsd_name_values[] = {
    "kong_latency", "latency", "request_count", "request_per_user",
    "request_size", "response_size", "status_count", "status_count_per_user",
    "unique_users", "upstream_latency", "status_count_per_workspace",
    "status_count_per_user_per_route", "shdict_usage", NULL
};

static const char *const  statsd_stat_type_values[] = {
    "counter", "gauge", "histogram", "meter", "set", "timer", NULL
};

static const char *const  statsd_consumer_identifier_values[] = {
    "consumer_id", "custom_id", "username", NULL
};

static const char *const  statsd_service_identifier_values[] = {
    "service_id", "service_name", "service_host", "service_name_or_host", NULL
};

static const char *const  statsd_workspace_identifier_values[] = {
    "workspace_id", "workspace_name", NULL
};

static const char *const  statsd_tag_style_values[] = {
    "dogstatsd", "influxdb", "librato", "signalfx", NULL
};

static const char  statsd_metrics_default[] =
    "[{\"name\":\"request_count\",\"sample_rate\":1,"
    "\"stat_type\":\"counter\"},"
    "{\"name\":\"latency\",\"stat_type\":\"timer\"},"
    "{\"name\":\"request_size\",\"sample_rate\":1,\"stat_type\":\"counter\"},"
    "{\"name\":\"status_count\",\"sample_rate\":1,\"stat_type\":\"counter\"},"
    "{\"name\":\"response_size\",\"sample_rate\":1,"
    "\"stat_type\":\"counter\"},"
    "{\"name\":\"unique_users\",\"stat_type\":\"set\"},"
    "{\"name\":\"request_per_user\",\"sample_rate\":1,"
    "\"stat_type\":\"counter\"},"
    "{\"name\":\"upstream_latency\",\"stat_type\":\"timer\"},"
    "{\"name\":\"kong_latency\",\"stat_type\":\"timer\"},"
    "{\"name\":\"status_count_per_user\",\"sample_rate\":1,"
    "\"stat_type\":\"counter\"},"
    "{\"name\":\"status_count_per_workspace\",\"sample_rate\":1,"
    "\"stat_type\":\"counter\"},"
    "{\"name\":\"status_count_per_user_per_route\",\"sample_rate\":1,"
    "\"stat_type\":\"counter\"},"
    "{\"name\":\"shdict_usage\",\"sample_rate\":1,\"stat_type\":\"gauge\"}]";

static const field_t  statsd_metrics[] = {
    { .name = "name", .type = FIELD_STRING, .flags = F_REQUIRED,
      .one_of = statsd_name_values },
    { .name = "stat_type", .type = FIELD_STRING, .flags = F_REQUIRED,
      .one_of = statsd_stat_type_values },
    { .name = "sample_rate", .type = FIELD_NUMBER, .flags = F_GT, .min = 0 },
    { .name = "consumer_identifier", .type = FIELD_STRING,
      .one_of = statsd_consumer_identifier_values },
    { .name = "service_identifier", .type = FIELD_STRING,
      .one_of = statsd_service_identifier_values },
    { .name = "workspace_identifier", .type = FIELD_STRING,
      .one_of = statsd_workspace_identifier_values },
    { .name = NULL }
};

static const field_t  statsd_metric = {
    .type = FIELD_RECORD,
    .flags = F_REQUIRED,
    .fields = statsd_metrics,
    .checks = plugin_metric_checks
};

static const field_t  statsd_allow_status_code = {
    .type = FIELD_STRING,
    .match = "^[0-9]+-[0-9]+$"
};

static const field_t  statsd_config[] = {
    { .name = "host", .type = FIELD_STRING, .def = "\"localhost\"",
      .check = check_host },
    { .name = "port", .type = FIELD_INTEGER, .flags = F_BETWEEN, .def = "8125",
      .min = 0, .max = 65535 },
    { .name = "prefix", .type = FIELD_STRING, .def = "\"kong\"" },
    { .name = "metrics", .type = FIELD_ARRAY, .def = statsd_metrics_default,
      .elements = &statsd_metric },
    { .name = "allow_status_codes", .type = FIELD_ARRAY,
      .elements = &statsd_allow_status_code },
    { .name = "udp_packet_size", .type = FIELD_NUMBER, .flags = F_BETWEEN,
      .def = "0", .min = 0, .max = 65507 },
    { .name = "use_tcp", .type = FIELD_BOOLEAN, .def = "false" },
    { .name = "hostname_in_prefix", .type = FIELD_BOOLEAN, .def = "false" },
    { .name = "consumer_identifier_default", .type = FIELD_STRING,
      .flags = F_REQUIRED, .def = "\"custom_id\"",
      .one_of = statsd_consumer_identifier_values },
    { .name = "service_identifier_default", .type = FIELD_STRING,
      .flags = F_REQUIRED, .def = "\"service_name_or_host\"",
      .one_of = statsd_service_identifier_values },
    { .name = "workspace_identifier_default", .type = FIELD_STRING,
      .flags = F_REQUIRED, .def = "\"workspace_id\"",
      .one_of = statsd_workspace_identifier_values },
    { .name = "retry_count", .type = FIELD_INTEGER, .flags = F_DEPRECATED },
    { .name = "queue_size", .type = FIELD_INTEGER, .flags = F_DEPRECATED },
    { .name = "flush_timeout", .type = FIELD_NUMBER, .flags = F_DEPRECATED },
    { .name = "tag_style", .type = FIELD_STRING,
      .one_of = statsd_tag_style_values },
    { .name = "queue", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = plugin_queue },
    { .name = NULL }
};

static const field_t  statsd_fields[] = {
    PLUGIN_PROTOCOLS,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = statsd_config },
    { .name = NULL }
};

const plugin_schema_t  plugin_statsd = {
    .schema = {
        .name = "statsd",
        .fields = statsd_fields
    },
    .priority = 11,
    .version = PLUGIN_VERSION,
    .observes = 1
};
