/*
 * entity_services: services, with the "url" shorthand.
 */

#include <string.h>

#include "entities.h"


#define SERVICE_TIMEOUT(field)                                               \
    { .name = field, .type = FIELD_INTEGER, .flags = F_BETWEEN,              \
      .def = "60000", .min = 1, .max = 2147483646 }

#define SERVICE_TLS_ONLY(field)                                              \
    { .kind = CHECK_CONDITIONAL, .if_field = "protocol",                     \
      .if_match = &services_plain, .then_field = field,                      \
      .then_match = &services_null }


static void services_expand_url(schema_ctx_t *ctx, value_t *record,
    value_t *given);
static int services_url_port(const url_t *url);
static void services_put(schema_ctx_t *ctx, value_t *record,
    const char *name, const char *s, size_t len);


static const char *const  services_pathless_protocols[] = {
    "tcp", "tls", "udp", "grpc", "grpcs", NULL
};

static const char *const  services_tls_protocols[] = {
    "https", "tls", NULL
};

static const field_t  services_pathless = {
    .type = FIELD_STRING, .one_of = services_pathless_protocols
};

static const field_t  services_plain = {
    .type = FIELD_STRING, .not_one_of = services_tls_protocols
};

static const field_t  services_null = {
    .type = FIELD_ANY, .flags = F_EQ_NULL
};

static const field_t  services_ca_id = {
    .type = FIELD_STRING, .flags = F_UUID
};

static const field_t  services_fields[] = {
    ENTITY_ID,
    ENTITY_CREATED_AT,
    ENTITY_UPDATED_AT,
    { .name = "name", .type = FIELD_STRING, .flags = F_UNIQUE,
      .check = check_name },
    { .name = "retries", .type = FIELD_INTEGER, .flags = F_BETWEEN,
      .def = "5", .min = 0, .max = 32767 },
    { .name = "protocol", .type = FIELD_STRING, .flags = F_REQUIRED,
      .def = "\"http\"", .one_of = types_protocols },
    { .name = "host", .type = FIELD_STRING, .flags = F_REQUIRED,
      .check = check_host },
    { .name = "port", .type = FIELD_INTEGER, .flags = F_REQUIRED|F_BETWEEN,
      .def = "80", .min = 0, .max = 65535 },
    { .name = "path", .type = FIELD_STRING, .starts_with = "/",
      .check = check_path },
    SERVICE_TIMEOUT("connect_timeout"),
    SERVICE_TIMEOUT("write_timeout"),
    SERVICE_TIMEOUT("read_timeout"),
    ENTITY_TAGS,
    { .name = "client_certificate", .type = FIELD_FOREIGN,
      .foreign = "certificates" },
    { .name = "tls_verify", .type = FIELD_BOOLEAN },
    { .name = "tls_verify_depth", .type = FIELD_INTEGER, .flags = F_BETWEEN,
      .min = 0, .max = 64 },
    { .name = "ca_certificates", .type = FIELD_ARRAY,
      .elements = &services_ca_id },
    { .name = "enabled", .type = FIELD_BOOLEAN, .flags = F_REQUIRED,
      .def = "true" },
    ENTITY_END
};

static const schema_check_t  services_checks[] = {
    { .kind = CHECK_CONDITIONAL, .if_field = "protocol",
      .if_match = &services_pathless, .then_field = "path",
      .then_match = &services_null },
    SERVICE_TLS_ONLY("client_certificate"),
    SERVICE_TLS_ONLY("tls_verify"),
    SERVICE_TLS_ONLY("tls_verify_depth"),
    SERVICE_TLS_ONLY("ca_certificates"),
    { .kind = 0 }
};

static const shorthand_t  services_shorthands[] = {
    { .name = "url", .type = FIELD_STRING, .expand = services_expand_url },
    { .name = NULL }
};

const schema_t  entity_services = {
    .name = "services",
    .singular = "service",
    .endpoint_key = "name",
    .admin_path = "services",
    .nested_name = "services",
    .fields = services_fields,
    .shorthands = services_shorthands,
    .checks = services_checks
};


/* overrides the fields that it speaks of; no path in it means none */

static void
services_expand_url(schema_ctx_t *ctx, value_t *record, value_t *given)
{
    int       port;
    url_t     url;
    value_t  *v;

    if (given->kind != VALUE_STRING) {
        return;
    }

    url_parse(given->u.string, given->len, &url);
    port = services_url_port(&url);

    if (url.scheme != NULL) {
        services_put(ctx, record, "protocol", url.scheme, url.scheme_len);

    } else {
        v = value_put(ctx->arena, record, "protocol");
        value_set_string(v, port == 443 ? "https" : "http",
                         port == 443 ? 5 : 4);
    }

    if (url.host != NULL) {
        services_put(ctx, record, "host", url.host, url.host_len);
    }

    v = value_put(ctx->arena, record, "port");

    if (port >= 0) {
        value_set_number(v, port);

    } else {
        value_copy_string(ctx->arena, v, url.port, url.port_len);
    }

    if (url.path != NULL) {
        services_put(ctx, record, "path", url.path, url.path_len);

    } else {
        value_set_null(value_put(ctx->arena, record, "path"));
    }
}


/* -1: not a number, which the port's own check will refuse */

static int
services_url_port(const url_t *url)
{
    int     port;
    size_t  i;

    if (url->port == NULL || url->port_len == 0) {
        return url->scheme_len == 5 && memcmp(url->scheme, "https", 5) == 0
               ? 443 : 80;
    }

    port = 0;

    for (i = 0; i < url->port_len; i++) {
        if (url->port[i] < '0' || url->port[i] > '9') {
            return -1;
        }

        if (port < 1000000) {
            port = port * 10 + (url->port[i] - '0');
        }
    }

    return port;
}


static void
services_put(schema_ctx_t *ctx, value_t *record, const char *name,
    const char *s, size_t len)
{
    value_copy_string(ctx->arena, value_put(ctx->arena, record, name), s,
                      len);
}
