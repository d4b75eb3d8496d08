/*
 * pre-function, post-function: the user's own Lua code.  The sources must
 * parse; the gateway does not execute them and refuses the plugins when they
 * are to run.
 */

#include "common.h"


static const char *pre_function_check(schema_ctx_t *ctx, const field_t *f,
    const value_t *v);
static const char *post_function_check(schema_ctx_t *ctx, const field_t *f,
    const value_t *v);

static const char *const  function_phases[] = {
    "config.certificate", "config.rewrite", "config.access",
    "config.header_filter", "config.body_filter", "config.log", NULL
};

static const field_t  pre_function_source = {
    .type = FIELD_STRING,
    .check = pre_function_check
};

static const field_t  pre_function_config[] = {
    { .name = "certificate", .type = FIELD_ARRAY, .flags = F_REQUIRED,
      .def = "[]", .elements = &pre_function_source },
    { .name = "rewrite", .type = FIELD_ARRAY, .flags = F_REQUIRED, .def = "[]",
      .elements = &pre_function_source },
    { .name = "access", .type = FIELD_ARRAY, .flags = F_REQUIRED, .def = "[]",
      .elements = &pre_function_source },
    { .name = "header_filter", .type = FIELD_ARRAY, .flags = F_REQUIRED,
      .def = "[]", .elements = &pre_function_source },
    { .name = "body_filter", .type = FIELD_ARRAY, .flags = F_REQUIRED,
      .def = "[]", .elements = &pre_function_source },
    { .name = "log", .type = FIELD_ARRAY, .flags = F_REQUIRED, .def = "[]",
      .elements = &pre_function_source },
    { .name = NULL }
};

static const field_t  pre_function_fields[] = {
    PLUGIN_NO_CONSUMER,
    PLUGIN_PROTOCOLS,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = pre_function_config },
    { .name = NULL }
};

static const schema_check_t  pre_function_checks[] = {
    { .kind = CHECK_AT_LEAST_ONE_OF, .fields = function_phases },
    { .kind = 0 }
};

const plugin_schema_t  plugin_pre_function = {
    .schema = {
        .name = "pre-function",
        .fields = pre_function_fields,
        .checks = pre_function_checks
    },
    .priority = 1000000,
    .version = PLUGIN_VERSION,
    .refused = PLUGIN_RUNS_LUA
};


static const field_t  post_function_source = {
    .type = FIELD_STRING,
    .check = post_function_check
};

static const field_t  post_function_config[] = {
    { .name = "certificate", .type = FIELD_ARRAY, .flags = F_REQUIRED,
      .def = "[]", .elements = &post_function_source },
    { .name = "rewrite", .type = FIELD_ARRAY, .flags = F_REQUIRED, .def = "[]",
      .elements = &post_function_source },
    { .name = "access", .type = FIELD_ARRAY, .flags = F_REQUIRED, .def = "[]",
      .elements = &post_function_source },
    { .name = "header_filter", .type = FIELD_ARRAY, .flags = F_REQUIRED,
      .def = "[]", .elements = &post_function_source },
    { .name = "body_filter", .type = FIELD_ARRAY, .flags = F_REQUIRED,
      .def = "[]", .elements = &post_function_source },
    { .name = "log", .type = FIELD_ARRAY, .flags = F_REQUIRED, .def = "[]",
      .elements = &post_function_source },
    { .name = NULL }
};

static const field_t  post_function_fields[] = {
    PLUGIN_NO_CONSUMER,
    PLUGIN_PROTOCOLS,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = post_function_config },
    { .name = NULL }
};

static const schema_check_t  post_function_checks[] = {
    { .kind = CHECK_AT_LEAST_ONE_OF, .fields = function_phases },
    { .kind = 0 }
};

const plugin_schema_t  plugin_post_function = {
    .schema = {
        .name = "post-function",
        .fields = post_function_fields,
        .checks = post_function_checks
    },
    .priority = -1000,
    .version = PLUGIN_VERSION,
    .refused = PLUGIN_RUNS_LUA
};


static const char *
pre_function_check(schema_ctx_t *ctx, const field_t *f, const value_t *v)
{
    const char  *err;

    (void) f;

    err = lua_source_error(ctx, v->u.string, v->len, NULL);
    if (err == NULL) {
        return NULL;
    }

    return arena_printf(ctx->arena, "error parsing pre-function: %s", err);
}


static const char *
post_function_check(schema_ctx_t *ctx, const field_t *f, const value_t *v)
{
    const char  *err;

    (void) f;

    err = lua_source_error(ctx, v->u.string, v->len, NULL);
    if (err == NULL) {
        return NULL;
    }

    return arena_printf(ctx->arena, "error parsing post-function: %s", err);
}
