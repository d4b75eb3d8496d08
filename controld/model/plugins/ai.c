/*
 * ai: the AI plugins.  The gateway knows their schemas, so that a
 * configuration naming them is judged as Kong judges it, and refuses to run
 * them.
 */

#include "ai.h"


static const char *const  ai_proxy_streaming[] = {
    "allow", "deny", "always", NULL
};

static const char *const  ai_roles[] = {
    "system", "assistant", "user", NULL
};

static const char *const  ai_native[] = { "bedrock", "gemini", NULL };
static const char *const  ai_chat[] = { "llm/v1/chat", NULL };

static const field_t  ai_is_native = { .one_of = ai_native };
static const field_t  ai_is_bedrock = { .eq = "\"bedrock\"" };
static const field_t  ai_is_gemini = { .eq = "\"gemini\"" };
static const field_t  ai_is_chat = { .eq = "\"llm/v1/chat\"" };
static const field_t  ai_is_no_chat = { .not_one_of = ai_chat };

static const field_t  ai_proxy_config[] = {
    AI_LLM_FIELDS,
    { .name = "response_streaming", .type = FIELD_STRING, .def = "\"allow\"",
      .one_of = ai_proxy_streaming },
    AI_BODY_SIZE_FIELD,
    { .name = "model_name_header", .type = FIELD_BOOLEAN, .def = "true" },
    AI_FORMAT_FIELD,
    { .name = NULL }
};

static const field_t  ai_proxy_fields[] = {
    PLUGIN_PROTOCOLS_HTTP,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = ai_proxy_config, .checks = ai_llm_checks },
    { .name = NULL }
};

static const schema_check_t  ai_proxy_checks[] = {
    { .kind = CHECK_CONDITIONAL,
      .if_field = "config.llm_format", .if_match = &ai_is_native,
      .then_field = "config.route_type", .then_match = &ai_is_chat,
      .then_err = "native provider options in llm_format can only be used "
                  "with the 'llm/v1/chat' route_type" },
    { .kind = CHECK_CONDITIONAL,
      .if_field = "config.llm_format", .if_match = &ai_is_bedrock,
      .then_field = "config.model.provider", .then_match = &ai_is_bedrock,
      .then_err = "native llm_format 'bedrock' can only be used with the "
                  "'bedrock' model.provider" },
    { .kind = CHECK_CONDITIONAL,
      .if_field = "config.llm_format", .if_match = &ai_is_gemini,
      .then_field = "config.model.provider", .then_match = &ai_is_gemini,
      .then_err = "native llm_format 'gemini' can only be used with the "
                  "'gemini' model.provider" },
    { .kind = 0 }
};

const plugin_schema_t  plugin_ai_proxy = {
    .schema = {
        .name = "ai-proxy",
        .fields = ai_proxy_fields,
        .checks = ai_proxy_checks
    },
    .priority = 770,
    .version = PLUGIN_VERSION,
    .refused = AI_REFUSED
};


static const field_t  ai_prompt_fields[] = {
    { .name = "role", .type = FIELD_STRING, .flags = F_REQUIRED,
      .def = "\"system\"", .one_of = ai_roles },
    { .name = "content", .type = FIELD_STRING,
      .flags = F_REQUIRED | F_LEN_MIN | F_LEN_MAX, .len_min = 1,
      .len_max = 500 },
    { .name = NULL }
};

static const field_t  ai_prompt = {
    .type = FIELD_RECORD, .fields = ai_prompt_fields
};

static const field_t  ai_prompt_decorator_prompts[] = {
    { .name = "prepend", .type = FIELD_ARRAY, .flags = F_LEN_MAX,
      .len_max = 15, .elements = &ai_prompt },
    { .name = "append", .type = FIELD_ARRAY, .flags = F_LEN_MAX,
      .len_max = 15, .elements = &ai_prompt },
    { .name = NULL }
};

static const field_t  ai_prompt_decorator_config[] = {
    { .name = "prompts", .type = FIELD_RECORD,
      .fields = ai_prompt_decorator_prompts },
    AI_BODY_SIZE_FIELD,
    AI_FORMAT_FIELD,
    { .name = NULL }
};

static const field_t  ai_prompt_decorator_fields[] = {
    PLUGIN_PROTOCOLS_HTTP,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = ai_prompt_decorator_config },
    { .name = NULL }
};

static const char *const  ai_prompt_decorator_lists[] = {
    "config.prompts.prepend", "config.prompts.append", NULL
};

static const schema_check_t  ai_prompt_decorator_checks[] = {
    { .kind = CHECK_AT_LEAST_ONE_OF, .fields = ai_prompt_decorator_lists },
    { .kind = 0 }
};

const plugin_schema_t  plugin_ai_prompt_decorator = {
    .schema = {
        .name = "ai-prompt-decorator",
        .fields = ai_prompt_decorator_fields,
        .checks = ai_prompt_decorator_checks
    },
    .priority = 772,
    .version = PLUGIN_VERSION,
    .refused = AI_REFUSED
};


static const field_t  ai_pattern = {
    .type = FIELD_STRING, .flags = F_LEN_MIN | F_LEN_MAX, .len_min = 1,
    .len_max = 500
};

static const field_t  ai_prompt_guard_config[] = {
    { .name = "allow_patterns", .type = FIELD_ARRAY, .flags = F_LEN_MAX,
      .len_max = 10, .elements = &ai_pattern },
    { .name = "deny_patterns", .type = FIELD_ARRAY, .flags = F_LEN_MAX,
      .len_max = 10, .elements = &ai_pattern },
    { .name = "allow_all_conversation_history", .type = FIELD_BOOLEAN,
      .flags = F_REQUIRED, .def = "false" },
    AI_BODY_SIZE_FIELD,
    { .name = "match_all_roles", .type = FIELD_BOOLEAN, .flags = F_REQUIRED,
      .def = "false" },
    AI_FORMAT_FIELD,
    { .name = NULL }
};

static const field_t  ai_prompt_guard_fields[] = {
    PLUGIN_PROTOCOLS_HTTP,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = ai_prompt_guard_config },
    { .name = NULL }
};

static const char *const  ai_prompt_guard_lists[] = {
    "config.allow_patterns", "config.deny_patterns", NULL
};

static const schema_check_t  ai_prompt_guard_checks[] = {
    { .kind = CHECK_AT_LEAST_ONE_OF, .fields = ai_prompt_guard_lists },
    { .kind = CHECK_CONDITIONAL,
      .if_field = "config.match_all_roles", .if_match = &plugin_true,
      .then_field = "config.allow_all_conversation_history",
      .then_match = &plugin_false },
    { .kind = 0 }
};

const plugin_schema_t  plugin_ai_prompt_guard = {
    .schema = {
        .name = "ai-prompt-guard",
        .fields = ai_prompt_guard_fields,
        .checks = ai_prompt_guard_checks
    },
    .priority = 771,
    .version = PLUGIN_VERSION,
    .refused = AI_REFUSED
};


static const field_t  ai_prompt_template_fields[] = {
    { .name = "name", .type = FIELD_STRING, .flags = F_REQUIRED },
    { .name = "template", .type = FIELD_STRING, .flags = F_REQUIRED },
    { .name = NULL }
};

static const field_t  ai_template = {
    .type = FIELD_RECORD, .flags = F_REQUIRED,
    .fields = ai_prompt_template_fields
};

static const field_t  ai_prompt_template_config[] = {
    { .name = "templates", .type = FIELD_ARRAY, .flags = F_REQUIRED,
      .elements = &ai_template },
    { .name = "allow_untemplated_requests", .type = FIELD_BOOLEAN,
      .flags = F_REQUIRED, .def = "true" },
    { .name = "log_original_request", .type = FIELD_BOOLEAN,
      .flags = F_REQUIRED, .def = "false" },
    AI_BODY_SIZE_FIELD,
    { .name = NULL }
};

static const field_t  ai_prompt_template_entity[] = {
    PLUGIN_PROTOCOLS_HTTP,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = ai_prompt_template_config },
    { .name = NULL }
};

const plugin_schema_t  plugin_ai_prompt_template = {
    .schema = {
        .name = "ai-prompt-template",
        .fields = ai_prompt_template_entity
    },
    .priority = 773,
    .version = PLUGIN_VERSION,
    .refused = AI_REFUSED
};


static const field_t  ai_llm[] = {
    AI_LLM_FIELDS,
    { .name = NULL }
};

/* both transformers */
#define AI_TRANSFORMER_FIELDS                                                 \
    { .name = "prompt", .type = FIELD_STRING, .flags = F_REQUIRED },          \
    { .name = "transformation_extract_pattern", .type = FIELD_STRING },       \
    { .name = "http_timeout", .type = FIELD_INTEGER, .flags = F_REQUIRED,     \
      .def = "60000" },                                                       \
    { .name = "https_verify", .type = FIELD_BOOLEAN, .flags = F_REQUIRED,     \
      .def = "true" },                                                        \
    AI_BODY_SIZE_FIELD,                                                       \
    { .name = "http_proxy_host", .type = FIELD_STRING,                        \
      .check = check_host },                                                  \
    { .name = "http_proxy_port", .type = FIELD_INTEGER, .flags = F_BETWEEN,   \
      .min = 0, .max = 65535 },                                               \
    { .name = "https_proxy_host", .type = FIELD_STRING,                       \
      .check = check_host },                                                  \
    { .name = "https_proxy_port", .type = FIELD_INTEGER, .flags = F_BETWEEN,  \
      .min = 0, .max = 65535 },                                               \
    { .name = "llm", .type = FIELD_RECORD, .flags = F_REQUIRED,               \
      .fields = ai_llm, .checks = ai_llm_checks }

static const field_t  ai_request_transformer_config[] = {
    AI_TRANSFORMER_FIELDS,
    { .name = NULL }
};

static const field_t  ai_response_transformer_config[] = {
    AI_TRANSFORMER_FIELDS,
    { .name = "parse_llm_response_json_instructions", .type = FIELD_BOOLEAN,
      .flags = F_REQUIRED, .def = "false" },
    { .name = NULL }
};

static const field_t  ai_request_transformer_fields[] = {
    PLUGIN_NO_CONSUMER,
    PLUGIN_PROTOCOLS_HTTP,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = ai_request_transformer_config },
    { .name = NULL }
};

static const field_t  ai_response_transformer_fields[] = {
    PLUGIN_PROTOCOLS_HTTP,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = ai_response_transformer_config },
    { .name = NULL }
};

static const char *const  ai_http_proxy[] = {
    "config.http_proxy_host", "config.http_proxy_port", NULL
};

static const char *const  ai_https_proxy[] = {
    "config.https_proxy_host", "config.https_proxy_port", NULL
};

static const schema_check_t  ai_transformer_checks[] = {
    { .kind = CHECK_CONDITIONAL,
      .if_field = "config.llm.route_type", .if_match = &ai_is_no_chat,
      .then_field = "config.llm.route_type", .then_match = &ai_is_chat,
      .then_err = "'config.llm.route_type' must be 'llm/v1/chat' for AI "
                  "transformer plugins" },
    { .kind = CHECK_MUTUALLY_REQUIRED, .fields = ai_http_proxy },
    { .kind = CHECK_MUTUALLY_REQUIRED, .fields = ai_https_proxy },
    { .kind = 0 }
};

const plugin_schema_t  plugin_ai_request_transformer = {
    .schema = {
        .name = "ai-request-transformer",
        .fields = ai_request_transformer_fields,
        .checks = ai_transformer_checks
    },
    .priority = 777,
    .version = PLUGIN_VERSION,
    .refused = AI_REFUSED
};

const plugin_schema_t  plugin_ai_response_transformer = {
    .schema = {
        .name = "ai-response-transformer",
        .fields = ai_response_transformer_fields,
        .checks = ai_transformer_checks
    },
    .priority = 768,
    .version = PLUGIN_VERSION,
    .refused = AI_REFUSED
};
