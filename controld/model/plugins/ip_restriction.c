/*
 * ip-restriction: who may pass, by address.
 */

#include "common.h"


static const field_t  ip_restriction_allow_item = {
    .type = FIELD_STRING,
    .check = check_ip_or_cidr
};

static const field_t  ip_restriction_config[] = {
    { .name = "allow", .type = FIELD_ARRAY,
      .elements = &ip_restriction_allow_item },
    { .name = "deny", .type = FIELD_ARRAY,
      .elements = &ip_restriction_allow_item },
    { .name = "status", .type = FIELD_NUMBER },
    { .name = "message", .type = FIELD_STRING },
    { .name = NULL }
};

static const field_t  ip_restriction_fields[] = {
    PLUGIN_PROTOCOLS_DEF(
        "[\"http\",\"https\",\"tcp\",\"tls\",\"grpc\",\"grpcs\"]"),
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = ip_restriction_config },
    { .name = NULL }
};

static const char *const  ip_restriction_lists[] = {
    "config.allow", "config.deny", NULL
};

static const schema_check_t  ip_restriction_checks[] = {
    { .kind = CHECK_AT_LEAST_ONE_OF, .fields = ip_restriction_lists },
    { .kind = 0 }
};

const plugin_schema_t  plugin_ip_restriction = {
    .schema = {
        .name = "ip-restriction",
        .fields = ip_restriction_fields,
        .checks = ip_restriction_checks
    },
    .implemented = 1,
    .priority = 990,
    .version = PLUGIN_VERSION
};
