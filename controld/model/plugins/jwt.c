/*
 * jwt: signed tokens.
 */

#include "common.h"


static const char *const  jwt_claims_to_verify_values[] = {
    "exp", "nbf", NULL
};

static const field_t  jwt_claims_to_verify_item = {
    .type = FIELD_STRING,
    .one_of = jwt_claims_to_verify_values
};

static const field_t  jwt_config[] = {
    { .name = "uri_param_names", .type = FIELD_SET, .def = "[\"jwt\"]",
      .elements = &plugin_string },
    { .name = "cookie_names", .type = FIELD_SET, .def = "[]",
      .elements = &plugin_string },
    { .name = "key_claim_name", .type = FIELD_STRING, .def = "\"iss\"" },
    { .name = "secret_is_base64", .type = FIELD_BOOLEAN, .flags = F_REQUIRED,
      .def = "false" },
    { .name = "claims_to_verify", .type = FIELD_SET,
      .elements = &jwt_claims_to_verify_item },
    { .name = "anonymous", .type = FIELD_STRING },
    { .name = "run_on_preflight", .type = FIELD_BOOLEAN, .flags = F_REQUIRED,
      .def = "true" },
    { .name = "maximum_expiration", .type = FIELD_NUMBER, .flags = F_BETWEEN,
      .def = "0", .min = 0, .max = 31536000 },
    { .name = "header_names", .type = FIELD_SET, .def = "[\"authorization\"]",
      .elements = &plugin_string },
    { .name = "realm", .type = FIELD_STRING },
    { .name = NULL }
};

static const field_t  jwt_fields[] = {
    PLUGIN_NO_CONSUMER,
    PLUGIN_PROTOCOLS_HTTP,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = jwt_config },
    { .name = NULL }
};

static const field_t  jwt_is_positive = { .flags = F_GT, .min = 0 };
static const field_t  jwt_has_exp = { .contains = "exp" };

static const schema_check_t  jwt_checks[] = {
    { .kind = CHECK_CONDITIONAL,
      .if_field = "config.maximum_expiration", .if_match = &jwt_is_positive,
      .then_field = "config.claims_to_verify", .then_match = &jwt_has_exp },
    { .kind = 0 }
};

const plugin_schema_t  plugin_jwt = {
    .schema = {
        .name = "jwt",
        .fields = jwt_fields,
        .checks = jwt_checks
    },
    .implemented = 1,
    .priority = 1450,
    .version = PLUGIN_VERSION
};
