/*
 * cors: cross-origin answers.  An origin is "*", a plain origin or a regular
 * expression; a plain one is a valid expression too, so one test serves.
 */

#include <string.h>

#include "common.h"


static const char *cors_check_origin(schema_ctx_t *ctx, const field_t *f,
    const value_t *v);

static const char *const  cors_methods_values[] = {
    "GET", "HEAD", "PUT", "PATCH", "POST", "DELETE", "OPTIONS", "TRACE",
    "CONNECT", NULL
};

static const char  cors_methods_default[] =
    "[\"GET\",\"HEAD\",\"PUT\",\"PATCH\",\"POST\",\"DELETE\",\"OPTIONS\","
    "\"TRACE\",\"CONNECT\"]";

static const field_t  cors_origin = {
    .type = FIELD_STRING,
    .check = cors_check_origin
};

static const field_t  cors_method = {
    .type = FIELD_STRING,
    .one_of = cors_methods_values
};

static const field_t  cors_config[] = {
    { .name = "origins", .type = FIELD_ARRAY, .elements = &cors_origin },
    { .name = "headers", .type = FIELD_ARRAY, .elements = &plugin_string },
    { .name = "exposed_headers", .type = FIELD_ARRAY,
      .elements = &plugin_string },
    { .name = "methods", .type = FIELD_ARRAY, .def = cors_methods_default,
      .elements = &cors_method },
    { .name = "max_age", .type = FIELD_NUMBER },
    { .name = "credentials", .type = FIELD_BOOLEAN, .flags = F_REQUIRED,
      .def = "false" },
    { .name = "private_network", .type = FIELD_BOOLEAN, .flags = F_REQUIRED,
      .def = "false" },
    { .name = "preflight_continue", .type = FIELD_BOOLEAN, .flags = F_REQUIRED,
      .def = "false" },
    { .name = NULL }
};

static const field_t  cors_fields[] = {
    PLUGIN_NO_CONSUMER,
    PLUGIN_PROTOCOLS_HTTP,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = cors_config },
    { .name = NULL }
};

const plugin_schema_t  plugin_cors = {
    .schema = {
        .name = "cors",
        .fields = cors_fields
    },
    .implemented = 1,
    .priority = 2000,
    .version = PLUGIN_VERSION
};


static const char *
cors_check_origin(schema_ctx_t *ctx, const field_t *f, const value_t *v)
{
    (void) f;

    if (value_str_eq(v, "*") || plugin_regex_valid(v)) {
        return NULL;
    }

    return arena_printf(ctx->arena, "'%s' is not a valid regex", v->u.string);
}
