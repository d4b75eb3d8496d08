/*
 * entity_targets: targets.  What is stored is the normal form of the address,
 * with its port.
 */

#include "entities.h"


#define TARGET_PORT  8000


static const char *targets_check(schema_ctx_t *ctx, const field_t *f,
    const value_t *v);
static void targets_transform(schema_ctx_t *ctx, value_t *entity);


static const char *const  targets_cache_key[] = {
    "upstream", "target", NULL
};

static const field_t  targets_fields[] = {
    ENTITY_ID,
    { .name = "created_at", .type = FIELD_NUMBER,
      .flags = F_AUTO|F_TIMESTAMP },
    { .name = "updated_at", .type = FIELD_NUMBER,
      .flags = F_AUTO|F_TIMESTAMP },
    { .name = "upstream", .type = FIELD_FOREIGN,
      .flags = F_REQUIRED|F_CASCADE, .foreign = "upstreams" },
    { .name = "target", .type = FIELD_STRING, .flags = F_REQUIRED,
      .check = targets_check },
    { .name = "weight", .type = FIELD_INTEGER, .flags = F_BETWEEN,
      .def = "100", .min = 0, .max = 65535 },
    ENTITY_TAGS,
    ENTITY_END
};

const schema_t  entity_targets = {
    .name = "targets",
    .singular = "target",
    .endpoint_key = "target",
    .cache_key = targets_cache_key,
    .nested_name = "targets",
    .fields = targets_fields,
    .transform = targets_transform
};


static const char *
targets_check(schema_ctx_t *ctx, const field_t *f, const value_t *v)
{
    host_t  host;

    (void) ctx;
    (void) f;

    if (host_parse(v->u.string, v->len, &host) != HOST_OK) {
        return "Invalid target; not a valid hostname or ip address";
    }

    return NULL;
}


static void
targets_transform(schema_ctx_t *ctx, value_t *entity)
{
    int       port;
    host_t    host;
    value_t  *v;

    v = value_get(entity, "target");

    if (v == NULL || v->kind != VALUE_STRING
        || host_parse(v->u.string, v->len, &host) != HOST_OK)
    {
        return;
    }

    port = host.port >= 0 ? host.port : TARGET_PORT;

    value_printf(ctx->arena, v, host.kind == HOST_IPV6 ? "[%s]:%d" : "%s:%d",
                 host.host, port);
}
