/*
 * standard-webhooks: signed webhook requests.  Known by its schema, refused
 * when it is to run.
 */

#include "common.h"


static const field_t  standard_webhooks_config[] = {
    { .name = "secret_v1", .type = FIELD_STRING,
      .flags = F_REQUIRED | F_REFERENCEABLE | F_ENCRYPTED },
    { .name = "tolerance_second", .type = FIELD_INTEGER,
      .flags = F_REQUIRED | F_GT, .def = "300", .min = -1 },
    { .name = NULL }
};

static const field_t  standard_webhooks_fields[] = {
    PLUGIN_NO_CONSUMER,
    PLUGIN_PROTOCOLS_HTTP,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = standard_webhooks_config },
    { .name = NULL }
};

const plugin_schema_t  plugin_standard_webhooks = {
    .schema = {
        .name = "standard-webhooks",
        .fields = standard_webhooks_fields
    },
    .priority = 760,
    .version = PLUGIN_VERSION,
    .refused = "verifies signed bodies, which this gateway does not do"
};
