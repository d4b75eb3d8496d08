/*
 * common: the records, elements and checks that several plugins share.
 */

#define PCRE2_CODE_UNIT_WIDTH 8

#include <pcre2.h>
#include <string.h>

#include "common.h"


static bool plugin_header_name_valid(const char *s, size_t len);
static double plugin_period_limit(const value_t *limits, const char *period);

static const char *const  plugin_protocols[] = {
    "grpc", "grpcs", "http", "https", "tcp", "tls", "tls_passthrough", "udp",
    NULL
};

static const char *const  plugin_protocols_http[] = {
    "grpc", "grpcs", "http", "https", NULL
};


static const char *const  plugin_formats_extract[] = {
    "datadog", "b3", "gcp", "jaeger", "aws", "ot", "w3c", NULL
};

static const char *const  plugin_formats_inject[] = {
    "preserve", "datadog", "b3", "gcp", "b3-single", "jaeger", "aws", "ot",
    "w3c", NULL
};

static const char *const  plugin_formats[] = {
    "datadog", "b3", "gcp", "b3-single", "jaeger", "aws", "ot", "w3c", NULL
};

static const char *const  plugin_sampled_types[] = {
    "counter", "gauge", NULL
};

static const double  plugin_concurrency_limits[] = { -1, 1 };

const char *const  plugin_periods[] = {
    "second", "minute", "hour", "day", "month", "year", NULL
};

const char *const  plugin_policies_off[] = { "local", "redis", NULL };

const field_t  plugin_protocol = {
    .type = FIELD_STRING, .one_of = plugin_protocols
};

const field_t  plugin_protocol_http = {
    .type = FIELD_STRING, .one_of = plugin_protocols_http
};

const field_t  plugin_string = { .type = FIELD_STRING };

const field_t  plugin_reference = {
    .type = FIELD_STRING, .flags = F_REFERENCEABLE
};

const field_t  plugin_any_string = {
    .type = FIELD_STRING, .flags = F_LEN_MIN, .len_min = 0
};

const field_t  plugin_lua = {
    .type = FIELD_STRING, .check = check_lua_source
};

const field_t  plugin_is_redis = { .eq = "\"redis\"" };
const field_t  plugin_required = { .flags = F_REQUIRED };
const field_t  plugin_true = { .eq = "true" };
const field_t  plugin_false = { .eq = "false" };

const field_t  plugin_redis[] = {
    PLUGIN_REDIS_FIELDS,
    { .name = NULL }
};

const shorthand_t  plugin_redis_shorthands[] = {
    { .name = "redis_host", .type = FIELD_STRING,
      .replaced_by = "redis.host" },
    { .name = "redis_port", .type = FIELD_INTEGER,
      .replaced_by = "redis.port" },
    { .name = "redis_password", .type = FIELD_STRING,
      .rule = &plugin_any_string, .replaced_by = "redis.password" },
    { .name = "redis_username", .type = FIELD_STRING,
      .replaced_by = "redis.username" },
    { .name = "redis_ssl", .type = FIELD_BOOLEAN,
      .replaced_by = "redis.ssl" },
    { .name = "redis_ssl_verify", .type = FIELD_BOOLEAN,
      .replaced_by = "redis.ssl_verify" },
    { .name = "redis_server_name", .type = FIELD_STRING,
      .replaced_by = "redis.server_name" },
    { .name = "redis_timeout", .type = FIELD_INTEGER,
      .replaced_by = "redis.timeout" },
    { .name = "redis_database", .type = FIELD_INTEGER,
      .replaced_by = "redis.database" },
    { .name = NULL }
};

const field_t  plugin_queue[] = {
    { .name = "max_batch_size", .type = FIELD_INTEGER, .flags = F_BETWEEN,
      .def = "1", .min = 1, .max = 1000000 },
    { .name = "max_coalescing_delay", .type = FIELD_NUMBER,
      .flags = F_BETWEEN, .def = "1", .min = 0, .max = 3600 },
    { .name = "max_entries", .type = FIELD_INTEGER, .flags = F_BETWEEN,
      .def = "10000", .min = 1, .max = 1000000 },
    { .name = "max_bytes", .type = FIELD_INTEGER },
    { .name = "max_retry_time", .type = FIELD_NUMBER, .def = "60" },
    { .name = "initial_retry_delay", .type = FIELD_NUMBER, .flags = F_BETWEEN,
      .def = "0.01", .min = 0.001, .max = 1000000 },
    { .name = "max_retry_delay", .type = FIELD_NUMBER, .flags = F_BETWEEN,
      .def = "60", .min = 0.001, .max = 1000000 },
    { .name = "concurrency_limit", .type = FIELD_INTEGER, .def = "1",
      .one_of_num = plugin_concurrency_limits, .n_one_of_num = 2 },
    { .name = NULL }
};

static const field_t  plugin_propagation_extract = {
    .type = FIELD_STRING, .one_of = plugin_formats_extract
};

static const field_t  plugin_propagation_clear = {
    .type = FIELD_STRING, .check = check_header_name
};

static const field_t  plugin_propagation_inject = {
    .type = FIELD_STRING, .one_of = plugin_formats_inject
};

const field_t  plugin_propagation[] = {
    { .name = "extract", .type = FIELD_ARRAY,
      .elements = &plugin_propagation_extract },
    { .name = "clear", .type = FIELD_ARRAY,
      .elements = &plugin_propagation_clear },
    { .name = "inject", .type = FIELD_ARRAY,
      .elements = &plugin_propagation_inject },
    { .name = "default_format", .type = FIELD_STRING, .flags = F_REQUIRED,
      .one_of = plugin_formats },
    { .name = NULL }
};

static const field_t  plugin_is_sampled = { .one_of = plugin_sampled_types };

const schema_check_t  plugin_metric_checks[] = {
    { .kind = CHECK_CONDITIONAL,
      .if_field = "stat_type", .if_match = &plugin_is_sampled,
      .then_field = "sample_rate", .then_match = &plugin_required },
    { .kind = 0 }
};


const char *
plugin_check_header_pair(schema_ctx_t *ctx, const field_t *f, const value_t *v)
{
    size_t  name, value;

    (void) f;

    name = plugin_pair_name(v, &value);

    if (plugin_header_name_valid(v->u.string, name)) {
        return NULL;
    }

    return arena_printf(ctx->arena, "'%.*s' is not a valid header",
                        (int) name, v->u.string);
}


const char *
plugin_check_header_rename(schema_ctx_t *ctx, const field_t *f,
    const value_t *v)
{
    size_t       value;
    const char  *err;

    err = plugin_check_header_pair(ctx, f, v);
    if (err != NULL) {
        return err;
    }

    (void) plugin_pair_name(v, &value);

    if (plugin_header_name_valid(v->u.string + value, v->len - value)) {
        return NULL;
    }

    return arena_printf(ctx->arena, "'%s' is not a valid header",
                        v->u.string + value);
}


static bool
plugin_header_name_valid(const char *s, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'z')
              || (s[i] >= 'A' && s[i] <= 'Z') || s[i] == '-' || s[i] == '_'))
        {
            return false;
        }
    }

    return len > 0;
}


size_t
plugin_pair_name(const value_t *pair, size_t *value)
{
    size_t       name, i;
    const char  *colon;

    colon = memchr(pair->u.string, ':', pair->len);
    name = (colon == NULL) ? pair->len : (size_t) (colon - pair->u.string);

    /* any number of colons separates the two */
    for (i = name; i < pair->len && pair->u.string[i] == ':'; i++) {
        /* void */
    }

    *value = i;

    return name;
}


const char *
plugin_periods_error(schema_ctx_t *ctx, const value_t *limits,
    const char *the)
{
    size_t  i, j;
    double  lower, upper;

    for (i = 0; plugin_periods[i] != NULL; i++) {
        lower = plugin_period_limit(limits, plugin_periods[i]);

        for (j = i + 1; lower >= 0 && plugin_periods[j] != NULL; j++) {
            upper = plugin_period_limit(limits, plugin_periods[j]);

            if (upper >= 0 && upper < lower) {
                return arena_printf(ctx->arena, "%s limit for %s(%.1f) cannot "
                                    "be lower than the limit for %s(%.1f)",
                                    the, plugin_periods[j], upper,
                                    plugin_periods[i], lower);
            }
        }
    }

    return NULL;
}


/* -1: the period has no limit */
static double
plugin_period_limit(const value_t *limits, const char *period)
{
    value_t  *v;

    v = value_get(limits, period);

    return (v != NULL && v->kind == VALUE_NUMBER) ? v->u.number : -1;
}


bool
plugin_has_text(const value_t *record, const char *field)
{
    value_t  *v;

    v = value_get(record, field);

    return v != NULL && v->kind == VALUE_STRING && v->len > 0;
}


bool
plugin_regex_valid(const value_t *v)
{
    int          code;
    PCRE2_SIZE   offset;
    pcre2_code  *re;

    re = pcre2_compile((PCRE2_SPTR) v->u.string, v->len, 0, &code, &offset,
                       NULL);
    if (re == NULL) {
        return false;
    }

    pcre2_code_free(re);

    return true;
}


/* Kong's own shared dictionaries, and those that kong.conf adds */
bool
plugin_dictionary_known(const schema_ctx_t *ctx, const char *name)
{
    size_t                    i;
    static const char *const  own[] = {
        "kong", "kong_cluster_events", "kong_core_db_cache",
        "kong_core_db_cache_miss", "kong_db_cache", "kong_db_cache_miss",
        "kong_dns_cache", "kong_healthchecks", "kong_locks",
        "kong_rate_limiting_counters", "kong_secrets", "prometheus_metrics",
        NULL
    };

    for (i = 0; own[i] != NULL; i++) {
        if (strcmp(own[i], name) == 0) {
            return true;
        }
    }

    for (i = 0; ctx->dictionaries != NULL && ctx->dictionaries[i] != NULL; i++)
    {
        if (strcmp(ctx->dictionaries[i], name) == 0) {
            return true;
        }
    }

    return false;
}
