/*
 * response-ratelimiting: limits that the upstream's answers use up.
 */

#include "common.h"


static const char *response_ratelimiting_check_limit(schema_ctx_t *ctx,
    const field_t *f, const value_t *v);

static const char *const  response_ratelimiting_limit_by_values[] = {
    "consumer", "credential", "ip", NULL
};

static const char *const  response_ratelimiting_policy_values[] = {
    "local", "cluster", "redis", NULL
};

static const field_t  response_ratelimiting_periods[] = {
    { .name = "second", .type = FIELD_NUMBER, .flags = F_GT, .min = 0 },
    { .name = "minute", .type = FIELD_NUMBER, .flags = F_GT, .min = 0 },
    { .name = "hour", .type = FIELD_NUMBER, .flags = F_GT, .min = 0 },
    { .name = "day", .type = FIELD_NUMBER, .flags = F_GT, .min = 0 },
    { .name = "month", .type = FIELD_NUMBER, .flags = F_GT, .min = 0 },
    { .name = "year", .type = FIELD_NUMBER, .flags = F_GT, .min = 0 },
    { .name = NULL }
};

static const schema_check_t  response_ratelimiting_limit_checks[] = {
    { .kind = CHECK_AT_LEAST_ONE_OF, .fields = plugin_periods },
    { .kind = 0 }
};

static const field_t  response_ratelimiting_limit = {
    .type = FIELD_RECORD,
    .flags = F_REQUIRED,
    .fields = response_ratelimiting_periods,
    .checks = response_ratelimiting_limit_checks,
    .check = response_ratelimiting_check_limit
};

static const field_t  response_ratelimiting_config[] = {
    { .name = "header_name", .type = FIELD_STRING, .def = "\"x-kong-limit\"" },
    { .name = "limit_by", .type = FIELD_STRING, .def = "\"consumer\"",
      .one_of = response_ratelimiting_limit_by_values },
    { .name = "policy", .type = FIELD_STRING, .def = "\"local\"",
      .one_of = response_ratelimiting_policy_values,
      .one_of_off = plugin_policies_off },
    { .name = "fault_tolerant", .type = FIELD_BOOLEAN, .flags = F_REQUIRED,
      .def = "true" },
    { .name = "redis", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = plugin_redis },
    { .name = "block_on_first_violation", .type = FIELD_BOOLEAN,
      .flags = F_REQUIRED, .def = "false" },
    { .name = "hide_client_headers", .type = FIELD_BOOLEAN,
      .flags = F_REQUIRED, .def = "false" },
    { .name = "limits", .type = FIELD_MAP, .flags = F_REQUIRED | F_LEN_MIN,
      .len_min = 1, .keys = &plugin_string,
      .elements = &response_ratelimiting_limit },
    { .name = NULL }
};

static const field_t  response_ratelimiting_fields[] = {
    PLUGIN_PROTOCOLS_HTTP,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = response_ratelimiting_config,
      .shorthands = plugin_redis_shorthands },
    { .name = NULL }
};

static const schema_check_t  response_ratelimiting_checks[] = {
    PLUGIN_REDIS_CHECKS,
    { .kind = 0 }
};

const plugin_schema_t  plugin_response_ratelimiting = {
    .schema = {
        .name = "response-ratelimiting",
        .fields = response_ratelimiting_fields,
        .checks = response_ratelimiting_checks
    },
    .implemented = 1,
    .priority = 900,
    .version = PLUGIN_VERSION
};


static const char *
response_ratelimiting_check_limit(schema_ctx_t *ctx, const field_t *f,
    const value_t *v)
{
    (void) f;

    return plugin_periods_error(ctx, v, "the");
}
