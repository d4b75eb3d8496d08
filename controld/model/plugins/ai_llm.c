/*
 * ai_llm: provider, model, authentication and logging of a language model.
 */

#include <string.h>

#include "ai.h"


static void ai_check_provider(schema_ctx_t *ctx, value_t *record,
    value_t *errors);
static void ai_check_statistics(schema_ctx_t *ctx, value_t *record,
    value_t *errors);

const char *const  ai_route_types[] = {
    "llm/v1/chat", "llm/v1/completions", "preserve", NULL
};

const char *const  ai_formats[] = { "openai", "bedrock", "gemini", NULL };

static const char *const  ai_providers[] = {
    "openai", "azure", "anthropic", "cohere", "mistral", "llama2", "gemini",
    "bedrock", "huggingface", NULL
};

static const char *const  ai_param_locations[] = { "query", "body", NULL };

static const char *const  ai_llama2_formats[] = {
    "raw", "openai", "ollama", NULL
};

static const char *const  ai_mistral_formats[] = { "openai", "ollama", NULL };

const field_t  ai_auth[] = {
    { .name = "header_name", .type = FIELD_STRING, .flags = F_REFERENCEABLE },
    { .name = "header_value", .type = FIELD_STRING,
      .flags = F_REFERENCEABLE | F_ENCRYPTED },
    { .name = "param_name", .type = FIELD_STRING, .flags = F_REFERENCEABLE },
    { .name = "param_value", .type = FIELD_STRING,
      .flags = F_REFERENCEABLE | F_ENCRYPTED },
    { .name = "param_location", .type = FIELD_STRING,
      .one_of = ai_param_locations },
    { .name = "gcp_use_service_account", .type = FIELD_BOOLEAN,
      .def = "false" },
    { .name = "gcp_service_account_json", .type = FIELD_STRING,
      .flags = F_REFERENCEABLE },
    { .name = "aws_access_key_id", .type = FIELD_STRING,
      .flags = F_REFERENCEABLE | F_ENCRYPTED },
    { .name = "aws_secret_access_key", .type = FIELD_STRING,
      .flags = F_REFERENCEABLE | F_ENCRYPTED },
    { .name = "allow_override", .type = FIELD_BOOLEAN, .def = "false" },
    { .name = NULL }
};

static const field_t  ai_gemini[] = {
    { .name = "api_endpoint", .type = FIELD_STRING },
    { .name = "project_id", .type = FIELD_STRING },
    { .name = "location_id", .type = FIELD_STRING },
    { .name = NULL }
};

static const char *const  ai_gemini_all[] = {
    "api_endpoint", "project_id", "location_id", NULL
};

static const schema_check_t  ai_gemini_checks[] = {
    { .kind = CHECK_MUTUALLY_REQUIRED, .fields = ai_gemini_all },
    { .kind = 0 }
};

static const field_t  ai_bedrock[] = {
    { .name = "aws_region", .type = FIELD_STRING },
    { .name = NULL }
};

static const field_t  ai_huggingface[] = {
    { .name = "use_cache", .type = FIELD_BOOLEAN },
    { .name = "wait_for_model", .type = FIELD_BOOLEAN },
    { .name = NULL }
};

static const field_t  ai_options[] = {
    { .name = "max_tokens", .type = FIELD_INTEGER },
    { .name = "input_cost", .type = FIELD_NUMBER, .flags = F_GT, .min = 0 },
    { .name = "output_cost", .type = FIELD_NUMBER, .flags = F_GT, .min = 0 },
    { .name = "temperature", .type = FIELD_NUMBER, .flags = F_BETWEEN,
      .min = 0, .max = 5 },
    { .name = "top_p", .type = FIELD_NUMBER, .flags = F_BETWEEN, .min = 0,
      .max = 1 },
    { .name = "top_k", .type = FIELD_INTEGER, .flags = F_BETWEEN, .min = 0,
      .max = 500 },
    { .name = "anthropic_version", .type = FIELD_STRING },
    { .name = "azure_instance", .type = FIELD_STRING },
    { .name = "azure_api_version", .type = FIELD_STRING,
      .def = "\"2023-05-15\"" },
    { .name = "azure_deployment_id", .type = FIELD_STRING },
    { .name = "llama2_format", .type = FIELD_STRING,
      .one_of = ai_llama2_formats },
    { .name = "mistral_format", .type = FIELD_STRING,
      .one_of = ai_mistral_formats },
    { .name = "upstream_url", .type = FIELD_STRING, .check = check_url },
    { .name = "upstream_path", .type = FIELD_STRING },
    { .name = "gemini", .type = FIELD_RECORD, .fields = ai_gemini,
      .checks = ai_gemini_checks },
    { .name = "bedrock", .type = FIELD_RECORD, .fields = ai_bedrock },
    { .name = "huggingface", .type = FIELD_RECORD,
      .fields = ai_huggingface },
    { .name = NULL }
};

const field_t  ai_model[] = {
    { .name = "provider", .type = FIELD_STRING, .flags = F_REQUIRED,
      .one_of = ai_providers },
    { .name = "name", .type = FIELD_STRING },
    { .name = "options", .type = FIELD_RECORD, .fields = ai_options },
    { .name = NULL }
};

const field_t  ai_logging[] = {
    { .name = "log_statistics", .type = FIELD_BOOLEAN, .flags = F_REQUIRED,
      .def = "false" },
    { .name = "log_payloads", .type = FIELD_BOOLEAN, .flags = F_REQUIRED,
      .def = "false" },
    { .name = NULL }
};

static const char *const  ai_without_override[] = {
    "bedrock", "gemini", NULL
};

static const field_t  ai_is_without_override = {
    .one_of = ai_without_override
};

static const char *const  ai_header_fields[] = {
    "auth.header_name", "auth.header_value", NULL
};

static const char *const  ai_param_fields[] = {
    "auth.param_name", "auth.param_value", "auth.param_location", NULL
};

static const char *const  ai_provider_fields[] = { "model.provider", NULL };

static const char *const  ai_statistics_fields[] = {
    "route_type", "model", "logging", NULL
};

const schema_check_t  ai_llm_checks[] = {
    { .kind = CHECK_CONDITIONAL,
      .if_field = "model.provider", .if_match = &ai_is_without_override,
      .then_field = "auth.allow_override", .then_match = &plugin_false,
      .then_err = "bedrock and gemini only support auth.allow_override = "
                  "false" },
    { .kind = CHECK_MUTUALLY_REQUIRED, .fields = ai_header_fields },
    { .kind = CHECK_MUTUALLY_REQUIRED, .fields = ai_param_fields },
    { .kind = CHECK_CUSTOM, .fields = ai_provider_fields,
      .custom = ai_check_provider },
    { .kind = CHECK_CUSTOM, .fields = ai_statistics_fields,
      .custom = ai_check_statistics },
    { .kind = 0 }
};


/* what a provider cannot do without */
static void
ai_check_provider(schema_ctx_t *ctx, value_t *record, value_t *errors)
{
    size_t       i;
    value_t     *given;
    const char  *provider;

    static const struct {
        const char  *provider;
        const char  *option;
        const char  *whom;
    } needs[] = {
        { "llama2", "model.options.llama2_format", "llama2 provider" },
        { "mistral", "model.options.mistral_format", "mistral provider" },
        { "anthropic", "model.options.anthropic_version",
          "anthropic provider" },
        { "azure", "model.options.azure_instance", "azure provider" },
        { "azure", "model.options.azure_api_version", "azure provider" },
        { "azure", "model.options.azure_deployment_id", "azure provider" },
        { "llama2", "model.options.upstream_url",
          "self-hosted providers/models" },
        { NULL, NULL, NULL }
    };

    provider = value_cstr(value_path(record, "model.provider"));

    for (i = 0; provider != NULL && needs[i].provider != NULL; i++) {
        if (strcmp(provider, needs[i].provider) != 0) {
            continue;
        }

        given = value_path(record, needs[i].option);

        if (value_is_null(given) || value_str_eq(given, "")) {
            schema_error(ctx, errors, "@entity", "must set '%s' for %s",
                         needs[i].option, needs[i].whom);
        }
    }
}


static void
ai_check_statistics(schema_ctx_t *ctx, value_t *record, value_t *errors)
{
    value_t  *on;

    on = value_path(record, "logging.log_statistics");

    if (on != NULL && on->kind == VALUE_BOOL && on->u.boolean
        && value_str_eq(value_get(record, "route_type"), "llm/v1/completions")
        && value_str_eq(value_path(record, "model.provider"), "anthropic"))
    {
        schema_error(ctx, errors, "@entity", "%s", "anthropic does not "
                     "support statistics when route_type is "
                     "llm/v1/completions");
    }
}
