/*
 * entity_routes: routes.  The first protocol chooses the sub-schema, which
 * forbids the fields that mean nothing to it and says which of the others
 * must be set.
 */

#include <string.h>

#include "entities.h"
#include "route_types.h"


#define ROUTE_FORBIDDEN(field, kind, text)                                   \
    { .name = field, .type = kind, .flags = F_EQ_NULL,                       \
      .err = "cannot set '" field "' when 'protocols' is " text }

#define ROUTE_HTTP    "'http' or 'https'"
#define ROUTE_GRPC    "'grpc' or 'grpcs'"
#define ROUTE_STREAM  "'tcp', 'tls', 'tls_passthrough' or 'udp'"


static const schema_t *routes_subschema(schema_ctx_t *ctx,
    const value_t *entity, const char **err_field, const char **err);
static void routes_check_snis(schema_ctx_t *ctx, value_t *record,
    value_t *errors);
static void routes_check_http(schema_ctx_t *ctx, value_t *record,
    value_t *errors);
static void routes_check_grpc(schema_ctx_t *ctx, value_t *record,
    value_t *errors);
static void routes_check_stream(schema_ctx_t *ctx, value_t *record,
    value_t *errors);
static void routes_check_passthrough(schema_ctx_t *ctx, value_t *record,
    value_t *errors);
static bool routes_has_protocol(const value_t *record, const char *name);
static bool routes_any_set(const value_t *record, const char *const *fields);
static bool routes_one_listed(const value_t *protocols,
    const char *const *list);


static const char *const  routes_address_fields[] = { "ip", "port", NULL };
static const char *const  routes_path_handlings[] = { "v0", "v1", NULL };

static const double  routes_redirects[] = { 426, 301, 302, 307, 308 };

static const field_t  routes_protocol = {
    .type = FIELD_STRING, .one_of = types_protocols
};

static const field_t  routes_method = {
    .type = FIELD_STRING, .match = "^%u+$"
};

static const field_t  routes_host = {
    .type = FIELD_STRING, .check = route_check_host
};

static const field_t  routes_path = {
    .type = FIELD_STRING, .check = route_check_path
};

static const char *const  routes_host_header[] = {
    "^[Hh][Oo][Ss][Tt]$", NULL
};

static const field_t  routes_header_name = {
    .type = FIELD_STRING, .not_match = routes_host_header,
    .err = "cannot contain 'host' header, which must be specified in the "
           "'hosts' attribute"
};

static const field_t  routes_string = { .type = FIELD_STRING };

static const field_t  routes_header_values = {
    .type = FIELD_ARRAY, .elements = &routes_string
};

static const field_t  routes_sni = {
    .type = FIELD_STRING, .check = route_check_sni
};

static const field_t  routes_address_record[] = {
    { .name = "ip", .type = FIELD_STRING, .check = check_ip_or_cidr },
    { .name = "port", .type = FIELD_INTEGER, .flags = F_BETWEEN, .min = 0,
      .max = 65535 },
    ENTITY_END
};

static const schema_check_t  routes_address_checks[] = {
    { .kind = CHECK_AT_LEAST_ONE_OF, .fields = routes_address_fields },
    { .kind = 0 }
};

static const field_t  routes_address = {
    .type = FIELD_RECORD, .fields = routes_address_record,
    .checks = routes_address_checks
};

static const field_t  routes_fields[] = {
    ENTITY_ID,
    ENTITY_CREATED_AT,
    ENTITY_UPDATED_AT,
    { .name = "name", .type = FIELD_STRING, .flags = F_UNIQUE,
      .check = check_name },
    { .name = "protocols", .type = FIELD_SET, .flags = F_REQUIRED|F_LEN_MIN,
      .def = "[\"http\",\"https\"]", .elements = &routes_protocol,
      .len_min = 1, .check = route_check_families },
    { .name = "https_redirect_status_code", .type = FIELD_INTEGER,
      .flags = F_REQUIRED, .def = "426", .one_of_num = routes_redirects,
      .n_one_of_num = 5 },
    { .name = "strip_path", .type = FIELD_BOOLEAN, .flags = F_REQUIRED,
      .def = "true" },
    { .name = "preserve_host", .type = FIELD_BOOLEAN, .flags = F_REQUIRED,
      .def = "false" },
    { .name = "request_buffering", .type = FIELD_BOOLEAN,
      .flags = F_REQUIRED, .def = "true" },
    { .name = "response_buffering", .type = FIELD_BOOLEAN,
      .flags = F_REQUIRED, .def = "true" },
    ENTITY_TAGS,
    { .name = "service", .type = FIELD_FOREIGN, .foreign = "services" },
    { .name = "snis", .type = FIELD_SET, .elements = &routes_sni },
    { .name = "sources", .type = FIELD_SET, .elements = &routes_address },
    { .name = "destinations", .type = FIELD_SET,
      .elements = &routes_address },
    { .name = "methods", .type = FIELD_SET, .elements = &routes_method },
    { .name = "hosts", .type = FIELD_ARRAY, .elements = &routes_host },
    { .name = "paths", .type = FIELD_ARRAY, .elements = &routes_path },
    { .name = "headers", .type = FIELD_MAP, .keys = &routes_header_name,
      .elements = &routes_header_values },
    { .name = "regex_priority", .type = FIELD_INTEGER, .def = "0" },
    { .name = "path_handling", .type = FIELD_STRING, .def = "\"v0\"",
      .one_of = routes_path_handlings },
    ENTITY_END
};

static const char *const  routes_snis_fields[] = {
    "protocols", "snis", NULL
};

static const schema_check_t  routes_checks[] = {
    { .kind = CHECK_CUSTOM, .fields = routes_snis_fields,
      .custom = routes_check_snis },
    { .kind = 0 }
};

/* the sub-schemas: what they forbid, then what they require */

static const field_t  routes_http_fields[] = {
    ROUTE_FORBIDDEN("sources", FIELD_SET, ROUTE_HTTP),
    ROUTE_FORBIDDEN("destinations", FIELD_SET, ROUTE_HTTP),
    ENTITY_END
};

static const field_t  routes_grpc_fields[] = {
    ROUTE_FORBIDDEN("methods", FIELD_SET, ROUTE_GRPC),
    ROUTE_FORBIDDEN("sources", FIELD_SET, ROUTE_GRPC),
    ROUTE_FORBIDDEN("destinations", FIELD_SET, ROUTE_GRPC),
    { .name = "strip_path", .type = FIELD_BOOLEAN, .flags = F_REQUIRED,
      .def = "false", .check = route_check_grpc_strip },
    ENTITY_END
};

static const field_t  routes_stream_fields[] = {
    ROUTE_FORBIDDEN("methods", FIELD_SET, ROUTE_STREAM),
    ROUTE_FORBIDDEN("hosts", FIELD_ARRAY, ROUTE_STREAM),
    ROUTE_FORBIDDEN("paths", FIELD_ARRAY, ROUTE_STREAM),
    ROUTE_FORBIDDEN("headers", FIELD_MAP, ROUTE_STREAM),
    ENTITY_END
};

static const schema_check_t  routes_http_checks[] = {
    { .kind = CHECK_CUSTOM, .custom = routes_check_http },
    { .kind = 0 }
};

static const schema_check_t  routes_grpc_checks[] = {
    { .kind = CHECK_CUSTOM, .custom = routes_check_grpc },
    { .kind = 0 }
};

static const schema_check_t  routes_stream_checks[] = {
    { .kind = CHECK_CUSTOM, .custom = routes_check_stream },
    { .kind = 0 }
};

static const schema_check_t  routes_passthrough_checks[] = {
    { .kind = CHECK_CUSTOM, .custom = routes_check_passthrough },
    { .kind = 0 }
};

static const schema_t  routes_http = {
    .name = "http", .fields = routes_http_fields,
    .checks = routes_http_checks
};

static const schema_t  routes_grpc = {
    .name = "grpc", .fields = routes_grpc_fields,
    .checks = routes_grpc_checks
};

static const schema_t  routes_stream = {
    .name = "stream", .fields = routes_stream_fields,
    .checks = routes_stream_checks
};

static const schema_t  routes_passthrough = {
    .name = "tls_passthrough", .fields = routes_stream_fields,
    .checks = routes_passthrough_checks
};

static const struct {
    const char      *protocol;
    const schema_t  *schema;
} routes_subschemas[] = {
    { "http", &routes_http },
    { "https", &routes_http },
    { "grpc", &routes_grpc },
    { "grpcs", &routes_grpc },
    { "tcp", &routes_stream },
    { "tls", &routes_stream },
    { "udp", &routes_stream },
    { "tls_passthrough", &routes_passthrough }
};

const schema_t  entity_routes = {
    .name = "routes",
    .singular = "route",
    .endpoint_key = "name",
    .admin_path = "routes",
    .nested_name = "routes",
    .fields = routes_fields,
    .checks = routes_checks,
    .subschema = routes_subschema
};


/* the first known protocol decides; absent protocols get their default */

static const schema_t *
routes_subschema(schema_ctx_t *ctx, const value_t *entity,
    const char **err_field, const char **err)
{
    size_t          i, j;
    const value_t  *protocols, *v;

    protocols = value_get(entity, "protocols");

    if (protocols == NULL) {
        return &routes_http;
    }

    *err_field = "protocols";

    if (protocols->kind == VALUE_NULL) {
        *err = "required field missing";
        return NULL;
    }

    v = protocols;

    for (i = 0; ; i++) {
        if (protocols->kind == VALUE_ARRAY) {
            v = value_at(protocols, i);
        }

        for (j = 0; v != NULL && j < sizeof(routes_subschemas)
                                     / sizeof(routes_subschemas[0]);
             j++)
        {
            if (value_str_eq(v, routes_subschemas[j].protocol)) {
                return routes_subschemas[j].schema;
            }
        }

        if (v == NULL || protocols->kind != VALUE_ARRAY) {
            break;
        }
    }

    v = protocols->kind == VALUE_ARRAY ? value_at(protocols, 0) : protocols;

    if (v != NULL && v->kind == VALUE_STRING) {
        *err = arena_printf(ctx->arena, "unknown type: %s", v->u.string);

    } else if (protocols->kind == VALUE_ARRAY) {
        *err = v == NULL ? "unknown type: nil" : "expected a string";

    } else {
        *err = "expected a set";
    }

    return NULL;
}


static void
routes_check_snis(schema_ctx_t *ctx, value_t *record, value_t *errors)
{
    value_t  *protocols, *snis;

    static const char *const  with_snis[] = {
        "grpcs", "https", "tls", "tls_passthrough", NULL
    };

    protocols = value_get(record, "protocols");
    snis = value_get(record, "snis");

    if (snis == NULL || snis->kind != VALUE_ARRAY || snis->len == 0
        || protocols == NULL || protocols->kind != VALUE_ARRAY
        || routes_one_listed(protocols, with_snis))
    {
        return;
    }

    schema_error(ctx, errors, "snis", "length must be 0");
    schema_error(ctx, errors, "@entity", "'snis' can only be set when "
                 "'protocols' is 'grpcs', 'https', 'tls' or "
                 "'tls_passthrough'");
}


static void
routes_check_http(schema_ctx_t *ctx, value_t *record, value_t *errors)
{
    static const char *const  https[] = {
        "methods", "hosts", "headers", "paths", "snis", NULL
    };

    static const char *const  http[] = {
        "methods", "hosts", "headers", "paths", NULL
    };

    if (routes_has_protocol(record, "https")) {
        if (!routes_any_set(record, https)) {
            schema_error(ctx, errors, "@entity", "must set one of 'methods', "
                         "'hosts', 'headers', 'paths', 'snis' when "
                         "'protocols' is 'https'");
        }

    } else if (!routes_any_set(record, http)) {
        schema_error(ctx, errors, "@entity", "must set one of 'methods', "
                     "'hosts', 'headers', 'paths' when 'protocols' is "
                     "'http'");
    }
}


static void
routes_check_grpc(schema_ctx_t *ctx, value_t *record, value_t *errors)
{
    static const char *const  grpcs[] = {
        "hosts", "headers", "paths", "snis", NULL
    };

    static const char *const  grpc[] = { "hosts", "headers", "paths", NULL };

    if (routes_has_protocol(record, "grpcs")) {
        if (!routes_any_set(record, grpcs)) {
            schema_error(ctx, errors, "@entity", "must set one of 'hosts', "
                         "'headers', 'paths', 'snis' when 'protocols' is "
                         "'grpcs'");
        }

    } else if (!routes_any_set(record, grpc)) {
        schema_error(ctx, errors, "@entity", "must set one of 'hosts', "
                     "'headers', 'paths' when 'protocols' is 'grpc'");
    }
}


static void
routes_check_stream(schema_ctx_t *ctx, value_t *record, value_t *errors)
{
    static const char *const  stream[] = {
        "sources", "destinations", "snis", NULL
    };

    if (!routes_any_set(record, stream)) {
        schema_error(ctx, errors, "@entity", "must set one of 'sources', "
                     "'destinations', 'snis' when 'protocols' is 'tcp', "
                     "'tls' or 'udp'");
    }
}


static void
routes_check_passthrough(schema_ctx_t *ctx, value_t *record,
    value_t *errors)
{
    static const char *const  snis[] = { "snis", NULL };

    if (!routes_any_set(record, snis)) {
        schema_error(ctx, errors, "@entity", "must set snis when "
                     "'protocols' is 'tls_passthrough'");
    }
}


static bool
routes_has_protocol(const value_t *record, const char *name)
{
    uint32_t        i;
    const value_t  *protocols;

    protocols = value_get(record, "protocols");

    for (i = 0; protocols != NULL && protocols->kind == VALUE_ARRAY
                && i < protocols->len;
         i++)
    {
        if (value_str_eq(&protocols->u.items[i], name)) {
            return true;
        }
    }

    return false;
}


static bool
routes_any_set(const value_t *record, const char *const *fields)
{
    const value_t  *v;

    for ( /* void */ ; *fields != NULL; fields++) {
        v = value_get(record, *fields);

        if (!value_is_null(v) && (v->kind < VALUE_STRING || v->len != 0)) {
            return true;
        }
    }

    return false;
}


/* whether one of the protocols is on the list: the condition asks that none
 * of them is */

static bool
routes_one_listed(const value_t *protocols, const char *const *list)
{
    uint32_t            i;
    const char *const  *p;

    for (i = 0; i < protocols->len; i++) {
        for (p = list; *p != NULL; p++) {
            if (value_str_eq(&protocols->u.items[i], *p)) {
                return true;
            }
        }
    }

    return false;
}
