/*
 * request-termination: a fixed answer, a message or a body of one's own.
 */

#include "common.h"


static const char *request_termination_check(schema_ctx_t *ctx,
    const field_t *f, const value_t *v);

static const field_t  request_termination_config[] = {
    { .name = "status_code", .type = FIELD_INTEGER,
      .flags = F_REQUIRED | F_BETWEEN, .def = "503", .min = 100, .max = 599 },
    { .name = "message", .type = FIELD_STRING },
    { .name = "content_type", .type = FIELD_STRING },
    { .name = "body", .type = FIELD_STRING },
    { .name = "echo", .type = FIELD_BOOLEAN, .flags = F_REQUIRED,
      .def = "false" },
    { .name = "trigger", .type = FIELD_STRING, .check = check_header_name },
    { .name = NULL }
};

static const field_t  request_termination_fields[] = {
    PLUGIN_PROTOCOLS_HTTP,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = request_termination_config,
      .check = request_termination_check },
    { .name = NULL }
};

const plugin_schema_t  plugin_request_termination = {
    .schema = {
        .name = "request-termination",
        .fields = request_termination_fields
    },
    .implemented = 1,
    .priority = 2,
    .version = PLUGIN_VERSION
};


static const char *
request_termination_check(schema_ctx_t *ctx, const field_t *f,
    const value_t *v)
{
    bool      type, body;
    value_t  *echo;

    (void) ctx;
    (void) f;

    type = plugin_has_text(v, "content_type");
    body = plugin_has_text(v, "body");

    if (plugin_has_text(v, "message") && (type || body)) {
        return "message cannot be used with content_type or body";
    }

    if (type && !body) {
        return "content_type requires a body";
    }

    echo = value_get(v, "echo");

    if (echo != NULL && echo->kind == VALUE_BOOL && echo->u.boolean && body) {
        return "echo cannot be used with content_type and body";
    }

    return NULL;
}
