/*
 * datadog: metrics by DogStatsD.
 */

#include "common.h"


static const char *const  datadog_name_values[] = {
    "kong_latency", "latency", "request_count", "request_size",
    "response_size", "upstream_latency", NULL
};

static const char *const  datadog_stat_type_values[] = {
    "counter", "gauge", "histogram", "meter", "set", "timer", "distribution",
    NULL
};

static const char *const  datadog_consumer_identifier_values[] = {
    "consumer_id", "custom_id", "username", NULL
};

static const char  datadog_metrics_default[] =
    "[{\"consumer_identifier\":\"custom_id\",\"name\":\"request_count\","
    "\"sample_rate\":1,\"stat_type\":\"counter\",\"tags\":[\"app:kong\"]},"
    "{\"consumer_identifier\":\"custom_id\",\"name\":\"latency\","
    "\"stat_type\":\"timer\",\"tags\":[\"app:kong\"]},"
    "{\"consumer_identifier\":\"custom_id\",\"name\":\"request_size\","
    "\"stat_type\":\"timer\",\"tags\":[\"app:kong\"]},"
    "{\"consumer_identifier\":\"custom_id\",\"name\":\"response_size\","
    "\"stat_type\":\"timer\",\"tags\":[\"app:kong\"]},"
    "{\"consumer_identifier\":\"custom_id\",\"name\":\"upstream_latency\","
    "\"stat_type\":\"timer\",\"tags\":[\"app:kong\"]},"
    "{\"consumer_identifier\":\"custom_id\",\"name\":\"kong_latency\","
    "\"stat_type\":\"timer\",\"tags\":[\"app:kong\"]}]";

static const field_t  datadog_metrics_tag = {
    .type = FIELD_STRING,
    .match = "^.*[^:]$"
};

static const field_t  datadog_metrics[] = {
    { .name = "name", .type = FIELD_STRING, .flags = F_REQUIRED,
      .one_of = datadog_name_values },
    { .name = "stat_type", .type = FIELD_STRING, .flags = F_REQUIRED,
      .one_of = datadog_stat_type_values },
    { .name = "tags", .type = FIELD_ARRAY, .elements = &datadog_metrics_tag },
    { .name = "sample_rate", .type = FIELD_NUMBER, .flags = F_BETWEEN,
      .min = 0, .max = 1 },
    { .name = "consumer_identifier", .type = FIELD_STRING,
      .one_of = datadog_consumer_identifier_values },
    { .name = NULL }
};

static const field_t  datadog_metric = {
    .type = FIELD_RECORD,
    .flags = F_REQUIRED,
    .fields = datadog_metrics,
    .checks = plugin_metric_checks
};

static const field_t  datadog_config[] = {
    { .name = "host", .type = FIELD_STRING, .flags = F_REFERENCEABLE,
      .def = "\"localhost\"", .check = check_host },
    { .name = "port", .type = FIELD_INTEGER, .flags = F_BETWEEN, .def = "8125",
      .min = 0, .max = 65535 },
    { .name = "prefix", .type = FIELD_STRING, .def = "\"kong\"" },
    { .name = "service_name_tag", .type = FIELD_STRING, .def = "\"name\"" },
    { .name = "status_tag", .type = FIELD_STRING, .def = "\"status\"" },
    { .name = "consumer_tag", .type = FIELD_STRING, .def = "\"consumer\"" },
    { .name = "retry_count", .type = FIELD_INTEGER, .flags = F_DEPRECATED },
    { .name = "queue_size", .type = FIELD_INTEGER, .flags = F_DEPRECATED },
    { .name = "flush_timeout", .type = FIELD_NUMBER, .flags = F_DEPRECATED },
    { .name = "queue", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = plugin_queue },
    { .name = "metrics", .type = FIELD_ARRAY, .flags = F_REQUIRED,
      .def = datadog_metrics_default, .elements = &datadog_metric },
    { .name = NULL }
};

static const field_t  datadog_fields[] = {
    PLUGIN_PROTOCOLS,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = datadog_config },
    { .name = NULL }
};

const plugin_schema_t  plugin_datadog = {
    .schema = {
        .name = "datadog",
        .fields = datadog_fields
    },
    .priority = 10,
    .version = PLUGIN_VERSION,
    .observes = 1
};
