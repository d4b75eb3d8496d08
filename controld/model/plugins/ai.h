/*
 * ai.h: the record that describes a language model, shared by ai-proxy (whose
 * configuration it is part of) and the two AI transformers.
 */

#ifndef KONG_PLUGINS_AI_H
#define KONG_PLUGINS_AI_H

#include "common.h"


#define AI_REFUSED  "talks to language models, which this gateway does not do"

#define AI_LLM_FIELDS                                                         \
    { .name = "route_type", .type = FIELD_STRING, .flags = F_REQUIRED,        \
      .one_of = ai_route_types },                                             \
    { .name = "auth", .type = FIELD_RECORD, .fields = ai_auth },              \
    { .name = "model", .type = FIELD_RECORD, .flags = F_REQUIRED,             \
      .fields = ai_model },                                                   \
    { .name = "logging", .type = FIELD_RECORD, .flags = F_REQUIRED,           \
      .fields = ai_logging }

#define AI_BODY_SIZE_FIELD                                                    \
    { .name = "max_request_body_size", .type = FIELD_INTEGER,                 \
      .flags = F_GT, .def = "8192", .min = 0 }

#define AI_FORMAT_FIELD                                                       \
    { .name = "llm_format", .type = FIELD_STRING, .def = "\"openai\"",        \
      .one_of = ai_formats }


extern const char *const  ai_route_types[];
extern const char *const  ai_formats[];
extern const field_t  ai_auth[];
extern const field_t  ai_model[];
extern const field_t  ai_logging[];
extern const schema_check_t  ai_llm_checks[];

#endif
