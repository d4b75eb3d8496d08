/*
 * common: what the plugins' tables share: the entries every plugin's table
 * begins with (scopes, protocols), the redis, queue and propagation records,
 * the checks that several plugins make.  Included by the files of this folder
 * only; everybody else sees plugins through schema_plugins[].
 */

#ifndef KONG_PLUGINS_COMMON_H
#define KONG_PLUGINS_COMMON_H

#include "../schema.h"
#include "registry.h"


#define PLUGIN_VERSION  "3.9.1"

#define PLUGIN_RUNS_LUA                                                       \
    "runs Lua code, which this gateway does not execute"

/* a forbidden scope */
#define PLUGIN_NO_ROUTE                                                       \
    { .name = "route", .type = FIELD_FOREIGN, .flags = F_EQ_NULL,             \
      .foreign = "routes" }
#define PLUGIN_NO_SERVICE                                                     \
    { .name = "service", .type = FIELD_FOREIGN, .flags = F_EQ_NULL,           \
      .foreign = "services" }
#define PLUGIN_NO_CONSUMER                                                    \
    { .name = "consumer", .type = FIELD_FOREIGN, .flags = F_EQ_NULL,          \
      .foreign = "consumers" }

#define PLUGIN_HTTP_DEFAULT  "[\"grpc\",\"grpcs\",\"http\",\"https\"]"

/* the protocols a plugin serves: HTTP's alone, or those of streams as well */
#define PLUGIN_PROTOCOLS_HTTP                                                 \
    { .name = "protocols", .type = FIELD_SET, .flags = F_REQUIRED,            \
      .def = PLUGIN_HTTP_DEFAULT, .elements = &plugin_protocol_http }
#define PLUGIN_PROTOCOLS  PLUGIN_PROTOCOLS_DEF(PLUGIN_HTTP_DEFAULT)
#define PLUGIN_PROTOCOLS_DEF(json)                                            \
    { .name = "protocols", .type = FIELD_SET, .flags = F_REQUIRED,            \
      .def = json, .elements = &plugin_protocol }

#define PLUGIN_REDIS_FIELDS                                                   \
    { .name = "host", .type = FIELD_STRING, .check = check_host },            \
    { .name = "port", .type = FIELD_INTEGER, .flags = F_BETWEEN,              \
      .def = "6379", .min = 0, .max = 65535 },                                \
    { .name = "timeout", .type = FIELD_INTEGER, .flags = F_BETWEEN,           \
      .def = "2000", .min = 0, .max = 2147483646 },                           \
    { .name = "username", .type = FIELD_STRING, .flags = F_REFERENCEABLE },   \
    { .name = "password", .type = FIELD_STRING, .len_min = 0,                 \
      .flags = F_LEN_MIN | F_REFERENCEABLE | F_ENCRYPTED },                   \
    { .name = "database", .type = FIELD_INTEGER, .def = "0" },                \
    { .name = "ssl", .type = FIELD_BOOLEAN, .def = "false" },                 \
    { .name = "ssl_verify", .type = FIELD_BOOLEAN, .def = "false" },          \
    { .name = "server_name", .type = FIELD_STRING, .check = check_sni }

/* what the policy "redis" asks of config.redis */
#define PLUGIN_REDIS_CHECKS                                                   \
    { .kind = CHECK_CONDITIONAL,                                              \
      .if_field = "config.policy", .if_match = &plugin_is_redis,              \
      .then_field = "config.redis.host", .then_match = &plugin_required },    \
    { .kind = CHECK_CONDITIONAL,                                              \
      .if_field = "config.policy", .if_match = &plugin_is_redis,              \
      .then_field = "config.redis.port", .then_match = &plugin_required },    \
    { .kind = CHECK_CONDITIONAL,                                              \
      .if_field = "config.policy", .if_match = &plugin_is_redis,              \
      .then_field = "config.redis.timeout", .then_match = &plugin_required }


/* elements */
extern const field_t  plugin_protocol;
extern const field_t  plugin_protocol_http;
extern const field_t  plugin_string;
extern const field_t  plugin_reference;        /* a string or a reference */
extern const field_t  plugin_any_string;       /* "" as well */
extern const field_t  plugin_lua;              /* Lua that returns a value */

/* the two sides of conditional checks */
extern const field_t  plugin_is_redis;
extern const field_t  plugin_required;
extern const field_t  plugin_true;
extern const field_t  plugin_false;

/* records */
extern const field_t  plugin_redis[];
extern const shorthand_t  plugin_redis_shorthands[];
extern const field_t  plugin_queue[];
extern const field_t  plugin_propagation[];
extern const schema_check_t  plugin_metric_checks[];

/* "second" to "year", ascending; the policies there are without a database */
extern const char *const  plugin_periods[];
extern const char *const  plugin_policies_off[];


/* field checks: name:value, and name:name for renames */
const char *plugin_check_header_pair(schema_ctx_t *ctx, const field_t *f,
    const value_t *v);
const char *plugin_check_header_rename(schema_ctx_t *ctx, const field_t *f,
    const value_t *v);

/* a sentence beginning with `the` when a longer period has a smaller limit */
const char *plugin_periods_error(schema_ctx_t *ctx, const value_t *limits,
    const char *the);

/* the bytes of the name in "name:value"; *value is where the value begins */
size_t plugin_pair_name(const value_t *pair, size_t *value);

bool plugin_has_text(const value_t *record, const char *field);
bool plugin_regex_valid(const value_t *v);
bool plugin_dictionary_known(const schema_ctx_t *ctx, const char *name);

/*
 * Why the text is no Lua source, or NULL when it can be loaded (nothing is
 * run).  The chunk is named after `chunk`, or after its own first line.
 */
const char *lua_source_error(schema_ctx_t *ctx, const char *text, size_t len,
    const char *chunk);

#endif
