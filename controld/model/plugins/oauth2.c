/*
 * oauth2: an authorization server on sub-paths of the protected service.  At
 * least one flow must be on.
 */

#include "common.h"


static const char *oauth2_check(schema_ctx_t *ctx, const field_t *f,
    const value_t *v);

static const char *const  oauth2_pkce_values[] = {
    "none", "lax", "strict", NULL
};

static const schema_check_t  oauth2_config_checks[] = {
    { .kind = CHECK_CONDITIONAL,
      .if_field = "mandatory_scope", .if_match = &plugin_true,
      .then_field = "scopes", .then_match = &plugin_required },
    { .kind = 0 }
};

static const field_t  oauth2_config[] = {
    { .name = "scopes", .type = FIELD_ARRAY, .elements = &plugin_string },
    { .name = "mandatory_scope", .type = FIELD_BOOLEAN, .flags = F_REQUIRED,
      .def = "false" },
    { .name = "provision_key", .type = FIELD_STRING,
      .flags = F_REQUIRED | F_AUTO | F_ENCRYPTED | F_UNIQUE },
    { .name = "token_expiration", .type = FIELD_NUMBER, .flags = F_REQUIRED,
      .def = "7200" },
    { .name = "enable_authorization_code", .type = FIELD_BOOLEAN,
      .flags = F_REQUIRED, .def = "false" },
    { .name = "enable_implicit_grant", .type = FIELD_BOOLEAN,
      .flags = F_REQUIRED, .def = "false" },
    { .name = "enable_client_credentials", .type = FIELD_BOOLEAN,
      .flags = F_REQUIRED, .def = "false" },
    { .name = "enable_password_grant", .type = FIELD_BOOLEAN,
      .flags = F_REQUIRED, .def = "false" },
    { .name = "hide_credentials", .type = FIELD_BOOLEAN, .flags = F_REQUIRED,
      .def = "false" },
    { .name = "accept_http_if_already_terminated", .type = FIELD_BOOLEAN,
      .flags = F_REQUIRED, .def = "false" },
    { .name = "anonymous", .type = FIELD_STRING },
    { .name = "global_credentials", .type = FIELD_BOOLEAN, .flags = F_REQUIRED,
      .def = "false" },
    { .name = "auth_header_name", .type = FIELD_STRING,
      .def = "\"authorization\"" },
    { .name = "refresh_token_ttl", .type = FIELD_NUMBER,
      .flags = F_REQUIRED | F_BETWEEN, .def = "1209600", .min = 0,
      .max = 100000000 },
    { .name = "reuse_refresh_token", .type = FIELD_BOOLEAN,
      .flags = F_REQUIRED, .def = "false" },
    { .name = "pkce", .type = FIELD_STRING, .def = "\"lax\"",
      .one_of = oauth2_pkce_values },
    { .name = "realm", .type = FIELD_STRING },
    { .name = NULL }
};

static const field_t  oauth2_fields[] = {
    PLUGIN_NO_CONSUMER,
    PLUGIN_PROTOCOLS_HTTP,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = oauth2_config, .checks = oauth2_config_checks,
      .check = oauth2_check },
    { .name = NULL }
};

const plugin_schema_t  plugin_oauth2 = {
    .schema = {
        .name = "oauth2",
        .fields = oauth2_fields
    },
    .implemented = 1,
    .priority = 1400,
    .version = PLUGIN_VERSION
};


static const char *
oauth2_check(schema_ctx_t *ctx, const field_t *f, const value_t *v)
{
    size_t                    i;
    value_t                  *flow;
    static const char *const  flows[] = {
        "enable_authorization_code", "enable_implicit_grant",
        "enable_client_credentials", "enable_password_grant", NULL
    };

    (void) ctx;
    (void) f;

    for (i = 0; flows[i] != NULL; i++) {
        flow = value_get(v, flows[i]);

        if (flow != NULL && flow->kind == VALUE_BOOL && flow->u.boolean) {
            return NULL;
        }
    }

    return "at least one of these fields must be true: "
           "enable_authorization_code, enable_implicit_grant, "
           "enable_client_credentials, enable_password_grant";
}
