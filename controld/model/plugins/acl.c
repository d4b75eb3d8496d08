/*
 * acl: who may pass, by the groups of the authenticated consumer.  Exactly one
 * of the two lists is given.
 */

#include "common.h"


static const field_t  acl_config[] = {
    { .name = "allow", .type = FIELD_ARRAY, .elements = &plugin_string },
    { .name = "deny", .type = FIELD_ARRAY, .elements = &plugin_string },
    { .name = "hide_groups_header", .type = FIELD_BOOLEAN, .flags = F_REQUIRED,
      .def = "false" },
    { .name = "always_use_authenticated_groups", .type = FIELD_BOOLEAN,
      .flags = F_REQUIRED, .def = "false" },
    { .name = NULL }
};

static const field_t  acl_fields[] = {
    PLUGIN_NO_CONSUMER,
    PLUGIN_PROTOCOLS_HTTP,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = acl_config },
    { .name = NULL }
};

static const char *const  acl_lists[] = {
    "config.allow", "config.deny", NULL
};

static const schema_check_t  acl_checks[] = {
    { .kind = CHECK_ONLY_ONE_OF, .fields = acl_lists },
    { .kind = CHECK_AT_LEAST_ONE_OF, .fields = acl_lists },
    { .kind = 0 }
};

const plugin_schema_t  plugin_acl = {
    .schema = {
        .name = "acl",
        .fields = acl_fields,
        .checks = acl_checks
    },
    .implemented = 1,
    .priority = 950,
    .version = PLUGIN_VERSION
};
