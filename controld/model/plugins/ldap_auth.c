/*
 * ldap-auth: user name and password, checked by a directory.
 */

#include "common.h"


static const schema_check_t  ldap_auth_config_checks[] = {
    { .kind = CHECK_CONDITIONAL,
      .if_field = "ldaps", .if_match = &plugin_true,
      .then_field = "start_tls", .then_match = &plugin_false,
      .then_err = "'ldaps' and 'start_tls' cannot be enabled "
                  "simultaneously" },
    { .kind = 0 }
};

static const field_t  ldap_auth_config[] = {
    { .name = "ldap_host", .type = FIELD_STRING, .flags = F_REQUIRED,
      .check = check_host },
    { .name = "ldap_port", .type = FIELD_INTEGER,
      .flags = F_REQUIRED | F_BETWEEN, .def = "389", .min = 0, .max = 65535 },
    { .name = "ldaps", .type = FIELD_BOOLEAN, .flags = F_REQUIRED,
      .def = "false" },
    { .name = "start_tls", .type = FIELD_BOOLEAN, .flags = F_REQUIRED,
      .def = "false" },
    { .name = "verify_ldap_host", .type = FIELD_BOOLEAN, .flags = F_REQUIRED,
      .def = "false" },
    { .name = "base_dn", .type = FIELD_STRING, .flags = F_REQUIRED },
    { .name = "attribute", .type = FIELD_STRING, .flags = F_REQUIRED },
    { .name = "cache_ttl", .type = FIELD_NUMBER, .flags = F_REQUIRED,
      .def = "60" },
    { .name = "hide_credentials", .type = FIELD_BOOLEAN, .flags = F_REQUIRED,
      .def = "false" },
    { .name = "timeout", .type = FIELD_NUMBER, .def = "10000" },
    { .name = "keepalive", .type = FIELD_NUMBER, .def = "60000" },
    { .name = "anonymous", .type = FIELD_STRING },
    { .name = "header_type", .type = FIELD_STRING, .def = "\"ldap\"" },
    { .name = "realm", .type = FIELD_STRING },
    { .name = NULL }
};

static const field_t  ldap_auth_fields[] = {
    PLUGIN_NO_CONSUMER,
    PLUGIN_PROTOCOLS_HTTP,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = ldap_auth_config, .checks = ldap_auth_config_checks },
    { .name = NULL }
};

const plugin_schema_t  plugin_ldap_auth = {
    .schema = {
        .name = "ldap-auth",
        .fields = ldap_auth_fields
    },
    .priority = 1200,
    .version = PLUGIN_VERSION,
    .implemented = 1
};
