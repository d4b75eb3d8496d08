/*
 * azure-functions: a function instead of an upstream.  Known by its schema,
 * refused when it is to run.
 */

#include "common.h"


static const field_t  azure_functions_config[] = {
    { .name = "timeout", .type = FIELD_NUMBER, .def = "600000" },
    { .name = "keepalive", .type = FIELD_NUMBER, .def = "60000" },
    { .name = "https", .type = FIELD_BOOLEAN, .def = "true" },
    { .name = "https_verify", .type = FIELD_BOOLEAN, .def = "false" },
    { .name = "apikey", .type = FIELD_STRING,
      .flags = F_REFERENCEABLE | F_ENCRYPTED },
    { .name = "clientid", .type = FIELD_STRING,
      .flags = F_REFERENCEABLE | F_ENCRYPTED },
    { .name = "appname", .type = FIELD_STRING, .flags = F_REQUIRED },
    { .name = "hostdomain", .type = FIELD_STRING, .flags = F_REQUIRED,
      .def = "\"azurewebsites.net\"" },
    { .name = "routeprefix", .type = FIELD_STRING, .def = "\"api\"" },
    { .name = "functionname", .type = FIELD_STRING, .flags = F_REQUIRED },
    { .name = NULL }
};

static const field_t  azure_functions_fields[] = {
    PLUGIN_PROTOCOLS,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = azure_functions_config },
    { .name = NULL }
};

const plugin_schema_t  plugin_azure_functions = {
    .schema = {
        .name = "azure-functions",
        .fields = azure_functions_fields
    },
    .priority = 749,
    .version = PLUGIN_VERSION,
    .refused = "answers from a cloud function, which this gateway does not do"
};
