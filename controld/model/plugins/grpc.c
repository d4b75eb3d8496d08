/*
 * grpc-gateway, grpc-web: translations between gRPC and HTTP.  Known by their
 * schemas, refused when they are to run.
 */

#include "common.h"


static const field_t  grpc_gateway_config[] = {
    { .name = "proto", .type = FIELD_STRING },
    { .name = NULL }
};

static const field_t  grpc_gateway_fields[] = {
    PLUGIN_PROTOCOLS,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = grpc_gateway_config },
    { .name = NULL }
};

const plugin_schema_t  plugin_grpc_gateway = {
    .schema = {
        .name = "grpc-gateway",
        .fields = grpc_gateway_fields
    },
    .priority = 998,
    .version = PLUGIN_VERSION,
    .refused = "translates gRPC, which this gateway does not do"
};


static const field_t  grpc_web_config[] = {
    { .name = "proto", .type = FIELD_STRING },
    { .name = "pass_stripped_path", .type = FIELD_BOOLEAN },
    { .name = "allow_origin_header", .type = FIELD_STRING, .def = "\"*\"" },
    { .name = NULL }
};

static const field_t  grpc_web_fields[] = {
    PLUGIN_PROTOCOLS,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = grpc_web_config },
    { .name = NULL }
};

const plugin_schema_t  plugin_grpc_web = {
    .schema = {
        .name = "grpc-web",
        .fields = grpc_web_fields
    },
    .priority = 3,
    .version = PLUGIN_VERSION,
    .refused = "translates gRPC, which this gateway does not do"
};
