/*
 * prometheus: which metrics are kept.
 */

#include "common.h"


static const field_t  prometheus_config[] = {
    { .name = "per_consumer", .type = FIELD_BOOLEAN, .def = "false" },
    { .name = "status_code_metrics", .type = FIELD_BOOLEAN, .def = "false" },
    { .name = "ai_metrics", .type = FIELD_BOOLEAN, .def = "false" },
    { .name = "latency_metrics", .type = FIELD_BOOLEAN, .def = "false" },
    { .name = "bandwidth_metrics", .type = FIELD_BOOLEAN, .def = "false" },
    { .name = "upstream_health_metrics", .type = FIELD_BOOLEAN,
      .def = "false" },
    { .name = NULL }
};

static const field_t  prometheus_fields[] = {
    PLUGIN_PROTOCOLS,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = prometheus_config },
    { .name = NULL }
};

const plugin_schema_t  plugin_prometheus = {
    .schema = {
        .name = "prometheus",
        .fields = prometheus_fields
    },
    .implemented = 1,
    .priority = 13,
    .version = PLUGIN_VERSION,
    .observes = 1
};
