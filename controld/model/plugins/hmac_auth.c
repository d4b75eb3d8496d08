/*
 * hmac-auth: signed requests.
 */

#include "common.h"


static const char *const  hmac_auth_algorithms_values[] = {
    "hmac-sha1", "hmac-sha256", "hmac-sha384", "hmac-sha512", NULL
};

static const char  hmac_auth_algorithms_default[] =
    "[\"hmac-sha1\",\"hmac-sha256\",\"hmac-sha384\",\"hmac-sha512\"]";

static const field_t  hmac_auth_algorithm = {
    .type = FIELD_STRING,
    .one_of = hmac_auth_algorithms_values
};

static const field_t  hmac_auth_config[] = {
    { .name = "hide_credentials", .type = FIELD_BOOLEAN, .flags = F_REQUIRED,
      .def = "false" },
    { .name = "clock_skew", .type = FIELD_NUMBER, .flags = F_GT, .def = "300",
      .min = 0 },
    { .name = "anonymous", .type = FIELD_STRING },
    { .name = "validate_request_body", .type = FIELD_BOOLEAN,
      .flags = F_REQUIRED, .def = "false" },
    { .name = "enforce_headers", .type = FIELD_ARRAY, .def = "[]",
      .elements = &plugin_string },
    { .name = "algorithms", .type = FIELD_ARRAY,
      .def = hmac_auth_algorithms_default, .elements = &hmac_auth_algorithm },
    { .name = "realm", .type = FIELD_STRING },
    { .name = NULL }
};

static const field_t  hmac_auth_fields[] = {
    PLUGIN_NO_CONSUMER,
    PLUGIN_PROTOCOLS_HTTP,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = hmac_auth_config },
    { .name = NULL }
};

const plugin_schema_t  plugin_hmac_auth = {
    .schema = {
        .name = "hmac-auth",
        .fields = hmac_auth_fields
    },
    .implemented = 1,
    .priority = 1030,
    .version = PLUGIN_VERSION
};
