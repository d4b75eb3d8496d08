/*
 * entity_upstreams: upstreams, with the coupling of algorithm and hash_on.
 */

#include "entities.h"


#define UPSTREAM_HEALTHY   "[200,302]"
#define UPSTREAM_FAILING   "[429,404,500,501,502,503,504,505]"
#define UPSTREAM_PASSIVE   "[200,201,202,203,204,205,206,207,208,226,300,"    \
                           "301,302,303,304,305,306,307,308]"

#define UPSTREAM_COUNT(field)                                                \
    { .name = field, .type = FIELD_INTEGER, .flags = F_BETWEEN, .def = "0",  \
      .min = 0, .max = 255 }

#define UPSTREAM_SECONDS(field, value)                                       \
    { .name = field, .type = FIELD_NUMBER, .flags = F_BETWEEN, .def = value, \
      .min = 0, .max = 65535 }

#define UPSTREAM_STATUSES(value)                                             \
    { .name = "http_statuses", .type = FIELD_ARRAY, .def = value,            \
      .elements = &upstreams_status }

#define UPSTREAM_PROBE                                                       \
    { .name = "type", .type = FIELD_STRING, .def = "\"http\"",               \
      .one_of = upstreams_probes }

#define UPSTREAM_RECORD(field, members)                                      \
    { .name = field, .type = FIELD_RECORD, .def = "{}", .fields = members }

#define UPSTREAM_IF(field, match, then, rule)                                \
    { .kind = CHECK_CONDITIONAL, .if_field = field, .if_match = &match,      \
      .then_field = then, .then_match = &rule }


static void upstreams_expand_algorithm(schema_ctx_t *ctx, value_t *record,
    value_t *given);
static void upstreams_expand_hash_on(schema_ctx_t *ctx, value_t *record,
    value_t *given);
static void upstreams_transform(schema_ctx_t *ctx, value_t *entity);
static const char *upstreams_check_name(schema_ctx_t *ctx, const field_t *f,
    const value_t *v);


static const char *const  upstreams_algorithms[] = {
    "consistent-hashing", "least-connections", "round-robin", "latency", NULL
};

static const char *const  upstreams_hash_kinds[] = {
    "none", "consumer", "ip", "header", "cookie", "path", "query_arg",
    "uri_capture", NULL
};

static const char *const  upstreams_probes[] = {
    "tcp", "http", "https", "grpc", "grpcs", NULL
};

static const field_t  upstreams_string = { .type = FIELD_STRING };

static const field_t  upstreams_strings = {
    .type = FIELD_ARRAY, .elements = &upstreams_string
};

static const field_t  upstreams_header = {
    .type = FIELD_STRING, .check = check_header_name
};

static const field_t  upstreams_status = {
    .type = FIELD_INTEGER, .flags = F_BETWEEN, .min = 100, .max = 999
};

static const field_t  upstreams_active_healthy[] = {
    UPSTREAM_SECONDS("interval", "0"),
    UPSTREAM_STATUSES(UPSTREAM_HEALTHY),
    UPSTREAM_COUNT("successes"),
    ENTITY_END
};

static const field_t  upstreams_active_unhealthy[] = {
    UPSTREAM_SECONDS("interval", "0"),
    UPSTREAM_STATUSES(UPSTREAM_FAILING),
    UPSTREAM_COUNT("tcp_failures"),
    UPSTREAM_COUNT("timeouts"),
    UPSTREAM_COUNT("http_failures"),
    ENTITY_END
};

static const field_t  upstreams_active[] = {
    UPSTREAM_PROBE,
    UPSTREAM_SECONDS("timeout", "1"),
    { .name = "concurrency", .type = FIELD_INTEGER, .flags = F_BETWEEN,
      .def = "10", .min = 1, .max = 2147483648.0 },
    { .name = "http_path", .type = FIELD_STRING, .def = "\"/\"",
      .starts_with = "/", .check = check_path },
    { .name = "https_sni", .type = FIELD_STRING, .check = check_sni },
    { .name = "https_verify_certificate", .type = FIELD_BOOLEAN,
      .flags = F_REQUIRED, .def = "true" },
    { .name = "headers", .type = FIELD_MAP, .keys = &upstreams_header,
      .elements = &upstreams_strings },
    UPSTREAM_RECORD("healthy", upstreams_active_healthy),
    UPSTREAM_RECORD("unhealthy", upstreams_active_unhealthy),
    ENTITY_END
};

static const field_t  upstreams_passive_healthy[] = {
    UPSTREAM_STATUSES(UPSTREAM_PASSIVE),
    UPSTREAM_COUNT("successes"),
    ENTITY_END
};

static const field_t  upstreams_passive_unhealthy[] = {
    UPSTREAM_STATUSES("[429,500,503]"),
    UPSTREAM_COUNT("tcp_failures"),
    UPSTREAM_COUNT("timeouts"),
    UPSTREAM_COUNT("http_failures"),
    ENTITY_END
};

static const field_t  upstreams_passive[] = {
    UPSTREAM_PROBE,
    UPSTREAM_RECORD("healthy", upstreams_passive_healthy),
    UPSTREAM_RECORD("unhealthy", upstreams_passive_unhealthy),
    ENTITY_END
};

static const field_t  upstreams_healthchecks[] = {
    { .name = "threshold", .type = FIELD_NUMBER, .flags = F_BETWEEN,
      .def = "0", .min = 0, .max = 100 },
    UPSTREAM_RECORD("active", upstreams_active),
    UPSTREAM_RECORD("passive", upstreams_passive),
    ENTITY_END
};

static const field_t  upstreams_fields[] = {
    ENTITY_ID,
    ENTITY_CREATED_AT,
    { .name = "name", .type = FIELD_STRING, .flags = F_REQUIRED|F_UNIQUE,
      .check = upstreams_check_name },
    ENTITY_UPDATED_AT,
    { .name = "algorithm", .type = FIELD_STRING, .def = "\"round-robin\"",
      .one_of = upstreams_algorithms },
    { .name = "hash_on", .type = FIELD_STRING, .def = "\"none\"",
      .one_of = upstreams_hash_kinds },
    { .name = "hash_fallback", .type = FIELD_STRING, .def = "\"none\"",
      .one_of = upstreams_hash_kinds },
    { .name = "hash_on_header", .type = FIELD_STRING,
      .check = check_header_name },
    { .name = "hash_fallback_header", .type = FIELD_STRING,
      .check = check_header_name },
    { .name = "hash_on_cookie", .type = FIELD_STRING,
      .check = check_cookie_name },
    { .name = "hash_on_cookie_path", .type = FIELD_STRING,
      .def = "\"/\"", .starts_with = "/", .check = check_path },
    { .name = "hash_on_query_arg", .type = FIELD_STRING },
    { .name = "hash_fallback_query_arg", .type = FIELD_STRING },
    { .name = "hash_on_uri_capture", .type = FIELD_STRING },
    { .name = "hash_fallback_uri_capture", .type = FIELD_STRING },
    { .name = "slots", .type = FIELD_INTEGER, .flags = F_BETWEEN,
      .def = "10000", .min = 10, .max = 65536 },
    UPSTREAM_RECORD("healthchecks", upstreams_healthchecks),
    ENTITY_TAGS,
    { .name = "host_header", .type = FIELD_STRING,
      .check = check_host_with_optional_port },
    { .name = "client_certificate", .type = FIELD_FOREIGN,
      .foreign = "certificates" },
    { .name = "use_srv_name", .type = FIELD_BOOLEAN, .def = "false" },
    ENTITY_END
};

/* the sides of the conditions */

static const field_t  upstreams_is_header = {
    .type = FIELD_STRING, .match = "^header$"
};

static const field_t  upstreams_is_cookie = {
    .type = FIELD_STRING, .match = "^cookie$"
};

static const field_t  upstreams_is_none = {
    .type = FIELD_STRING, .match = "^none$"
};

static const field_t  upstreams_is_consumer = {
    .type = FIELD_STRING, .match = "^consumer$"
};

static const field_t  upstreams_is_ip = {
    .type = FIELD_STRING, .match = "^ip$"
};

static const field_t  upstreams_is_path = {
    .type = FIELD_STRING, .match = "^path$"
};

static const field_t  upstreams_is_query_arg = {
    .type = FIELD_STRING, .match = "^query_arg$"
};

static const field_t  upstreams_is_uri_capture = {
    .type = FIELD_STRING, .match = "^uri_capture$"
};

static const field_t  upstreams_required = {
    .type = FIELD_ANY, .flags = F_REQUIRED
};

static const char *const  upstreams_none[] = { "none", NULL };

static const char *const  upstreams_no_consumer[] = {
    "none", "ip", "header", "cookie", "path", "query_arg", "uri_capture",
    NULL
};

static const char *const  upstreams_no_ip[] = {
    "none", "consumer", "header", "cookie", "path", "query_arg",
    "uri_capture", NULL
};

static const char *const  upstreams_no_path[] = {
    "none", "consumer", "header", "cookie", "query_arg", "ip",
    "uri_capture", NULL
};

static const field_t  upstreams_fallback_none = {
    .type = FIELD_STRING, .one_of = upstreams_none
};

static const field_t  upstreams_fallback_no_consumer = {
    .type = FIELD_STRING, .one_of = upstreams_no_consumer
};

static const field_t  upstreams_fallback_no_ip = {
    .type = FIELD_STRING, .one_of = upstreams_no_ip
};

static const field_t  upstreams_fallback_no_path = {
    .type = FIELD_STRING, .one_of = upstreams_no_path
};

static const char *const  upstreams_headers[] = {
    "hash_on_header", "hash_fallback_header", NULL
};

static const char *const  upstreams_query_args[] = {
    "hash_on_query_arg", "hash_fallback_query_arg", NULL
};

static const char *const  upstreams_uri_captures[] = {
    "hash_on_uri_capture", "hash_fallback_uri_capture", NULL
};

static const schema_check_t  upstreams_checks[] = {
    UPSTREAM_IF("hash_on", upstreams_is_header, "hash_on_header",
                upstreams_required),
    UPSTREAM_IF("hash_fallback", upstreams_is_header, "hash_fallback_header",
                upstreams_required),
    UPSTREAM_IF("hash_on", upstreams_is_cookie, "hash_on_cookie",
                upstreams_required),
    UPSTREAM_IF("hash_fallback", upstreams_is_cookie, "hash_on_cookie",
                upstreams_required),
    UPSTREAM_IF("hash_on", upstreams_is_none, "hash_fallback",
                upstreams_fallback_none),
    UPSTREAM_IF("hash_on", upstreams_is_cookie, "hash_fallback",
                upstreams_fallback_none),
    UPSTREAM_IF("hash_on", upstreams_is_consumer, "hash_fallback",
                upstreams_fallback_no_consumer),
    UPSTREAM_IF("hash_on", upstreams_is_ip, "hash_fallback",
                upstreams_fallback_no_ip),
    UPSTREAM_IF("hash_on", upstreams_is_path, "hash_fallback",
                upstreams_fallback_no_path),
    { .kind = CHECK_DISTINCT, .fields = upstreams_headers },
    UPSTREAM_IF("hash_on", upstreams_is_query_arg, "hash_on_query_arg",
                upstreams_required),
    UPSTREAM_IF("hash_fallback", upstreams_is_query_arg,
                "hash_fallback_query_arg", upstreams_required),
    { .kind = CHECK_DISTINCT, .fields = upstreams_query_args },
    UPSTREAM_IF("hash_on", upstreams_is_uri_capture, "hash_on_uri_capture",
                upstreams_required),
    UPSTREAM_IF("hash_fallback", upstreams_is_uri_capture,
                "hash_fallback_uri_capture", upstreams_required),
    { .kind = CHECK_DISTINCT, .fields = upstreams_uri_captures },
    { .kind = 0 }
};

static const shorthand_t  upstreams_shorthands[] = {
    { .name = "algorithm", .type = FIELD_STRING,
      .expand = upstreams_expand_algorithm },
    { .name = "hash_on", .type = FIELD_STRING,
      .expand = upstreams_expand_hash_on },
    { .name = NULL }
};

const schema_t  entity_upstreams = {
    .name = "upstreams",
    .singular = "upstream",
    .endpoint_key = "name",
    .admin_path = "upstreams",
    .fields = upstreams_fields,
    .shorthands = upstreams_shorthands,
    .checks = upstreams_checks,
    .transform = upstreams_transform
};


static void
upstreams_expand_algorithm(schema_ctx_t *ctx, value_t *record,
    value_t *given)
{
    *value_put(ctx->arena, record, "algorithm") = *given;

    if (value_str_eq(given, "least-connections")
        || value_str_eq(given, "latency"))
    {
        value_set_null(value_put(ctx->arena, record, "hash_on"));
    }
}


static void
upstreams_expand_hash_on(schema_ctx_t *ctx, value_t *record, value_t *given)
{
    value_t  *v;

    v = value_put(ctx->arena, record, "hash_on");

    if (value_is_null(given)) {
        value_set_string(v, "none", 4);
        return;
    }

    *v = *given;
    v = value_put(ctx->arena, record, "algorithm");

    if (value_str_eq(given, "none")) {
        value_set_string(v, "round-robin", 11);

    } else {
        value_set_string(v, "consistent-hashing", 18);
    }
}


/* consistent hashing of nothing is round-robin, and shown as such */

static void
upstreams_transform(schema_ctx_t *ctx, value_t *entity)
{
    value_t  *algorithm;

    (void) ctx;

    algorithm = value_get(entity, "algorithm");

    if (value_str_eq(algorithm, "consistent-hashing")
        && value_str_eq(value_get(entity, "hash_on"), "none"))
    {
        value_set_string(algorithm, "round-robin", 11);
    }
}


static const char *
upstreams_check_name(schema_ctx_t *ctx, const field_t *f, const value_t *v)
{
    host_t       host;
    const char  *text;

    (void) f;

    if (host_parse(v->u.string, v->len, &host) != HOST_OK) {
        text = "must be a valid hostname";

    } else if (host.kind != HOST_NAME) {
        text = "no ip addresses allowed";

    } else if (host.port >= 0) {
        text = "no port allowed";

    } else {
        return NULL;
    }

    return arena_printf(ctx->arena, "Invalid name ('%s'); %s", v->u.string,
                        text);
}
