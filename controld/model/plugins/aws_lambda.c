/*
 * aws-lambda: a function instead of an upstream.  Known by its schema, refused
 * when it is to run.
 */

#include <string.h>

#include "common.h"


static void aws_lambda_check_proxy(schema_ctx_t *ctx, value_t *record,
    value_t *errors);

static const char *const  aws_lambda_invocation_type_values[] = {
    "RequestResponse", "Event", "DryRun", NULL
};

static const char *const  aws_lambda_log_type_values[] = {
    "Tail", "None", NULL
};

static const char *const  aws_lambda_aws_imds_protocol_version_values[] = {
    "v1", "v2", NULL
};

static const char *const  aws_lambda_empty_arrays_mode_values[] = {
    "legacy", "correct", NULL
};

static const field_t  aws_lambda_config[] = {
    { .name = "timeout", .type = FIELD_NUMBER, .flags = F_REQUIRED,
      .def = "60000" },
    { .name = "keepalive", .type = FIELD_NUMBER, .flags = F_REQUIRED,
      .def = "60000" },
    { .name = "aws_key", .type = FIELD_STRING,
      .flags = F_REFERENCEABLE | F_ENCRYPTED },
    { .name = "aws_secret", .type = FIELD_STRING,
      .flags = F_REFERENCEABLE | F_ENCRYPTED },
    { .name = "aws_assume_role_arn", .type = FIELD_STRING,
      .flags = F_REFERENCEABLE | F_ENCRYPTED },
    { .name = "aws_role_session_name", .type = FIELD_STRING,
      .def = "\"kong\"" },
    { .name = "aws_sts_endpoint_url", .type = FIELD_STRING,
      .check = check_url },
    { .name = "aws_region", .type = FIELD_STRING, .check = check_host },
    { .name = "function_name", .type = FIELD_STRING },
    { .name = "qualifier", .type = FIELD_STRING },
    { .name = "invocation_type", .type = FIELD_STRING, .flags = F_REQUIRED,
      .def = "\"RequestResponse\"",
      .one_of = aws_lambda_invocation_type_values },
    { .name = "log_type", .type = FIELD_STRING, .flags = F_REQUIRED,
      .def = "\"Tail\"", .one_of = aws_lambda_log_type_values },
    { .name = "host", .type = FIELD_STRING, .check = check_host },
    { .name = "port", .type = FIELD_INTEGER, .flags = F_BETWEEN, .def = "443",
      .min = 0, .max = 65535 },
    { .name = "disable_https", .type = FIELD_BOOLEAN, .def = "false" },
    { .name = "unhandled_status", .type = FIELD_INTEGER, .flags = F_BETWEEN,
      .min = 100, .max = 999 },
    { .name = "forward_request_method", .type = FIELD_BOOLEAN,
      .def = "false" },
    { .name = "forward_request_uri", .type = FIELD_BOOLEAN, .def = "false" },
    { .name = "forward_request_headers", .type = FIELD_BOOLEAN,
      .def = "false" },
    { .name = "forward_request_body", .type = FIELD_BOOLEAN, .def = "false" },
    { .name = "is_proxy_integration", .type = FIELD_BOOLEAN, .def = "false" },
    { .name = "awsgateway_compatible", .type = FIELD_BOOLEAN, .def = "false" },
    { .name = "proxy_url", .type = FIELD_STRING, .check = check_url },
    { .name = "skip_large_bodies", .type = FIELD_BOOLEAN, .def = "true" },
    { .name = "base64_encode_body", .type = FIELD_BOOLEAN, .def = "true" },
    { .name = "aws_imds_protocol_version", .type = FIELD_STRING,
      .flags = F_REQUIRED, .def = "\"v1\"",
      .one_of = aws_lambda_aws_imds_protocol_version_values },
    { .name = "empty_arrays_mode", .type = FIELD_STRING, .flags = F_REQUIRED,
      .def = "\"legacy\"", .one_of = aws_lambda_empty_arrays_mode_values },
    { .name = NULL }
};

static const field_t  aws_lambda_fields[] = {
    PLUGIN_PROTOCOLS_HTTP,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = aws_lambda_config },
    { .name = NULL }
};

static const char *const  aws_lambda_keys[] = {
    "config.aws_key", "config.aws_secret", NULL
};

static const char *const  aws_lambda_proxy_field[] = {
    "config.proxy_url", NULL
};

static const schema_check_t  aws_lambda_checks[] = {
    { .kind = CHECK_MUTUALLY_REQUIRED, .fields = aws_lambda_keys },
    { .kind = CHECK_CUSTOM, .fields = aws_lambda_proxy_field,
      .custom = aws_lambda_check_proxy },
    { .kind = 0 }
};

const plugin_schema_t  plugin_aws_lambda = {
    .schema = {
        .name = "aws-lambda",
        .fields = aws_lambda_fields,
        .checks = aws_lambda_checks
    },
    .priority = 750,
    .version = PLUGIN_VERSION,
    .refused = "answers from a cloud function, which this gateway does not do"
};


static void
aws_lambda_check_proxy(schema_ctx_t *ctx, value_t *record, value_t *errors)
{
    const char  *url, *colon;

    url = value_cstr(value_path(record, "config.proxy_url"));
    if (url == NULL) {
        return;
    }

    colon = strchr(url, ':');

    if (colon == NULL || colon == url || strncmp(colon, "://", 3) != 0) {
        return;
    }

    if (colon - url != 4 || strncmp(url, "http", 4) != 0) {
        schema_error(ctx, errors, "@entity", "%s",
                     "proxy_url scheme must be http");
    }
}
