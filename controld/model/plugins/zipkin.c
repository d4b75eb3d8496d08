/*
 * zipkin: traces as Zipkin spans.
 */

#include <stdlib.h>
#include <string.h>

#include "common.h"


static const char *zipkin_check_tags(schema_ctx_t *ctx, const field_t *f,
    const value_t *v);
static int zipkin_compare_names(const void *one, const void *two);

static const double  zipkin_traceid_byte_count_values[] = { 8, 16 };

static const char *const  zipkin_header_type_values[] = {
    "preserve", "ignore", "b3", "b3-single", "w3c", "jaeger", "ot", "aws",
    "datadog", "gcp", NULL
};

static const char *const  zipkin_default_header_type_values[] = {
    "b3", "b3-single", "w3c", "jaeger", "ot", "aws", "datadog", "gcp", NULL
};

static const char *const  zipkin_name_reserved[] = {
    "error", "http.method", "http.path", "http.status_code",
    "kong.balancer.state", "kong.balancer.try", "kong.consumer",
    "kong.credential", "kong.node.id", "kong.route", "kong.service", "lc",
    "peer.hostname", NULL
};

static const char *const  zipkin_http_span_name_values[] = {
    "method", "method_path", NULL
};

static const char *const  zipkin_phase_duration_flavor_values[] = {
    "annotations", "tags", NULL
};

static const field_t  zipkin_static_tags[] = {
    { .name = "name", .type = FIELD_STRING, .flags = F_REQUIRED,
      .not_one_of = zipkin_name_reserved },
    { .name = "value", .type = FIELD_STRING, .flags = F_REQUIRED },
    { .name = NULL }
};

static const field_t  zipkin_static_tag = {
    .type = FIELD_RECORD,
    .flags = F_REQUIRED,
    .fields = zipkin_static_tags
};

static const field_t  zipkin_config[] = {
    { .name = "local_service_name", .type = FIELD_STRING, .flags = F_REQUIRED,
      .def = "\"kong\"" },
    { .name = "http_endpoint", .type = FIELD_STRING, .check = check_url },
    { .name = "sample_ratio", .type = FIELD_NUMBER, .flags = F_BETWEEN,
      .def = "0.001", .min = 0, .max = 1 },
    { .name = "default_service_name", .type = FIELD_STRING },
    { .name = "include_credential", .type = FIELD_BOOLEAN, .flags = F_REQUIRED,
      .def = "true" },
    { .name = "traceid_byte_count", .type = FIELD_INTEGER, .flags = F_REQUIRED,
      .def = "16", .one_of_num = zipkin_traceid_byte_count_values,
      .n_one_of_num = 2 },
    { .name = "header_type", .type = FIELD_STRING,
      .flags = F_REQUIRED | F_DEPRECATED, .def = "\"preserve\"",
      .one_of = zipkin_header_type_values },
    { .name = "default_header_type", .type = FIELD_STRING,
      .flags = F_REQUIRED | F_DEPRECATED, .def = "\"b3\"",
      .one_of = zipkin_default_header_type_values },
    { .name = "tags_header", .type = FIELD_STRING, .flags = F_REQUIRED,
      .def = "\"Zipkin-Tags\"" },
    { .name = "static_tags", .type = FIELD_ARRAY,
      .elements = &zipkin_static_tag, .check = zipkin_check_tags },
    { .name = "http_span_name", .type = FIELD_STRING, .flags = F_REQUIRED,
      .def = "\"method\"", .one_of = zipkin_http_span_name_values },
    { .name = "connect_timeout", .type = FIELD_INTEGER, .flags = F_BETWEEN,
      .def = "2000", .min = 0, .max = 2147483646 },
    { .name = "send_timeout", .type = FIELD_INTEGER, .flags = F_BETWEEN,
      .def = "5000", .min = 0, .max = 2147483646 },
    { .name = "read_timeout", .type = FIELD_INTEGER, .flags = F_BETWEEN,
      .def = "5000", .min = 0, .max = 2147483646 },
    { .name = "http_response_header_for_traceid", .type = FIELD_STRING },
    { .name = "phase_duration_flavor", .type = FIELD_STRING,
      .flags = F_REQUIRED, .def = "\"annotations\"",
      .one_of = zipkin_phase_duration_flavor_values },
    { .name = "queue", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = plugin_queue },
    { .name = "propagation", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .def = "{\"default_format\":\"b3\"}", .fields = plugin_propagation },
    { .name = NULL }
};

static const field_t  zipkin_fields[] = {
    PLUGIN_PROTOCOLS,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = zipkin_config },
    { .name = NULL }
};

const plugin_schema_t  plugin_zipkin = {
    .schema = {
        .name = "zipkin",
        .fields = zipkin_fields
    },
    .priority = 100000,
    .version = PLUGIN_VERSION,
    .observes = 1
};


/* sorted by name, so that a hostile list costs no quadratic time */
static const char *
zipkin_check_tags(schema_ctx_t *ctx, const field_t *f, const value_t *v)
{
    uint32_t        i, n;
    value_t        *name;
    const value_t  *found, **names;

    (void) f;

    names = arena_alloc(ctx->arena, (v->len + 1) * sizeof(value_t *));
    n = 0;

    for (i = 0; i < v->len; i++) {
        name = value_get(value_at(v, i), "name");

        if (value_cstr(name) != NULL) {
            names[n++] = name;
        }
    }

    if (n == 0) {
        return NULL;
    }

    qsort(names, n, sizeof(value_t *), zipkin_compare_names);
    found = NULL;

    for (i = 1; i < n; i++) {
        if (value_equal(names[i - 1], names[i])) {
            found = names[i];
            break;
        }
    }

    if (found == NULL) {
        return NULL;
    }

    return arena_printf(ctx->arena, "repeated tags are not allowed: %s",
                        found->u.string);
}


static int
zipkin_compare_names(const void *one, const void *two)
{
    const value_t *const  *a = one;
    const value_t *const  *b = two;

    return strcmp((*a)->u.string, (*b)->u.string);
}
