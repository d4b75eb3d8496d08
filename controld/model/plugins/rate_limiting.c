/*
 * rate-limiting: requests per calendar unit.  A longer period cannot have the
 * smaller limit.
 */

#include "common.h"


static const char *rate_limiting_check(schema_ctx_t *ctx, const field_t *f,
    const value_t *v);

static const char *const  rate_limiting_limit_by_values[] = {
    "consumer", "credential", "ip", "service", "header", "path", NULL
};

static const char *const  rate_limiting_policy_values[] = {
    "local", "cluster", "redis", NULL
};

static const field_t  rate_limiting_config[] = {
    { .name = "second", .type = FIELD_NUMBER, .flags = F_GT, .min = 0 },
    { .name = "minute", .type = FIELD_NUMBER, .flags = F_GT, .min = 0 },
    { .name = "hour", .type = FIELD_NUMBER, .flags = F_GT, .min = 0 },
    { .name = "day", .type = FIELD_NUMBER, .flags = F_GT, .min = 0 },
    { .name = "month", .type = FIELD_NUMBER, .flags = F_GT, .min = 0 },
    { .name = "year", .type = FIELD_NUMBER, .flags = F_GT, .min = 0 },
    { .name = "limit_by", .type = FIELD_STRING, .def = "\"consumer\"",
      .one_of = rate_limiting_limit_by_values },
    { .name = "header_name", .type = FIELD_STRING,
      .check = check_header_name },
    { .name = "path", .type = FIELD_STRING, .starts_with = "/",
      .check = check_path },
    { .name = "policy", .type = FIELD_STRING, .flags = F_LEN_MIN,
      .def = "\"local\"", .len_min = 0, .one_of = rate_limiting_policy_values,
      .one_of_off = plugin_policies_off },
    { .name = "fault_tolerant", .type = FIELD_BOOLEAN, .flags = F_REQUIRED,
      .def = "true" },
    { .name = "redis", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = plugin_redis },
    { .name = "hide_client_headers", .type = FIELD_BOOLEAN,
      .flags = F_REQUIRED, .def = "false" },
    { .name = "error_code", .type = FIELD_NUMBER, .flags = F_GT, .def = "429",
      .min = 0 },
    { .name = "error_message", .type = FIELD_STRING,
      .def = "\"API rate limit exceeded\"" },
    { .name = "sync_rate", .type = FIELD_NUMBER, .flags = F_REQUIRED,
      .def = "-1" },
    { .name = NULL }
};

static const field_t  rate_limiting_fields[] = {
    PLUGIN_PROTOCOLS_HTTP,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = rate_limiting_config, .shorthands = plugin_redis_shorthands,
      .check = rate_limiting_check },
    { .name = NULL }
};

static const char *const  rate_limiting_periods[] = {
    "config.second", "config.minute", "config.hour", "config.day",
    "config.month", "config.year", NULL
};

static const field_t  rate_limiting_by_header = { .eq = "\"header\"" };
static const field_t  rate_limiting_by_path = { .eq = "\"path\"" };

static const schema_check_t  rate_limiting_checks[] = {
    { .kind = CHECK_AT_LEAST_ONE_OF, .fields = rate_limiting_periods },
    PLUGIN_REDIS_CHECKS,
    { .kind = CHECK_CONDITIONAL,
      .if_field = "config.limit_by", .if_match = &rate_limiting_by_header,
      .then_field = "config.header_name", .then_match = &plugin_required },
    { .kind = CHECK_CONDITIONAL,
      .if_field = "config.limit_by", .if_match = &rate_limiting_by_path,
      .then_field = "config.path", .then_match = &plugin_required },
    { .kind = 0 }
};

const plugin_schema_t  plugin_rate_limiting = {
    .schema = {
        .name = "rate-limiting",
        .fields = rate_limiting_fields,
        .checks = rate_limiting_checks
    },
    .implemented = 1,
    .priority = 910,
    .version = PLUGIN_VERSION
};


static const char *
rate_limiting_check(schema_ctx_t *ctx, const field_t *f, const value_t *v)
{
    bool         redis;
    double       rate;
    value_t     *sync;
    const char  *err;

    (void) f;

    err = plugin_periods_error(ctx, v, "The");
    if (err != NULL) {
        return err;
    }

    sync = value_get(v, "sync_rate");

    if (sync == NULL || sync->kind != VALUE_NUMBER || sync->u.number == -1) {
        return NULL;
    }

    rate = sync->u.number;
    redis = value_str_eq(value_get(v, "policy"), "redis");

    if (!redis) {
        return "sync_rate can only be used with the redis policy";
    }

    if (rate < 0.02) {
        return "sync_rate must be greater than 0.02, or -1 to disable";
    }

    return NULL;
}
