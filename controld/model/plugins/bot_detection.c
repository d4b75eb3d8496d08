/*
 * bot-detection: user agents by regular expressions.
 */

#include "common.h"


static const field_t  bot_detection_allow_item = {
    .type = FIELD_STRING,
    .flags = F_REGEX
};

static const field_t  bot_detection_config[] = {
    { .name = "allow", .type = FIELD_ARRAY, .def = "[]",
      .elements = &bot_detection_allow_item },
    { .name = "deny", .type = FIELD_ARRAY, .def = "[]",
      .elements = &bot_detection_allow_item },
    { .name = NULL }
};

static const field_t  bot_detection_fields[] = {
    PLUGIN_NO_CONSUMER,
    PLUGIN_PROTOCOLS_HTTP,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = bot_detection_config },
    { .name = NULL }
};

const plugin_schema_t  plugin_bot_detection = {
    .schema = {
        .name = "bot-detection",
        .fields = bot_detection_fields
    },
    .implemented = 1,
    .priority = 2500,
    .version = PLUGIN_VERSION
};
