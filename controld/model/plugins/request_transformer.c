/*
 * request-transformer: headers, query arguments, body members, method and path
 * changed on the way up.  Entries are name:value; values of the query string
 * and the body may be templates, whose Lua expressions must be well formed.
 */

#include <string.h>

#include "common.h"


static const char *request_transformer_check_value(schema_ctx_t *ctx,
    const field_t *f, const value_t *v);
static const char *request_transformer_template_error(schema_ctx_t *ctx,
    const char *s, size_t len);
static uint32_t *request_transformer_pair_parens(schema_ctx_t *ctx,
    const char *s, size_t len);

static const field_t  request_transformer_header_name = {
    .type = FIELD_STRING,
    .check = plugin_check_header_pair
};

static const field_t  request_transformer_remove[] = {
    { .name = "body", .type = FIELD_ARRAY, .flags = F_REQUIRED, .def = "[]",
      .elements = &plugin_string },
    { .name = "headers", .type = FIELD_ARRAY, .flags = F_REQUIRED, .def = "[]",
      .elements = &request_transformer_header_name },
    { .name = "querystring", .type = FIELD_ARRAY, .flags = F_REQUIRED,
      .def = "[]", .elements = &plugin_string },
    { .name = NULL }
};

static const field_t  request_transformer_value = {
    .type = FIELD_STRING,
    .check = request_transformer_check_value
};

static const field_t  request_transformer_rename_header = {
    .type = FIELD_STRING,
    .match = "^[^:]+:.*$",
    .check = plugin_check_header_rename
};

static const field_t  request_transformer_rename[] = {
    { .name = "body", .type = FIELD_ARRAY, .flags = F_REQUIRED, .def = "[]",
      .elements = &request_transformer_value },
    { .name = "headers", .type = FIELD_ARRAY, .flags = F_REQUIRED, .def = "[]",
      .elements = &request_transformer_rename_header },
    { .name = "querystring", .type = FIELD_ARRAY, .flags = F_REQUIRED,
      .def = "[]", .elements = &request_transformer_value },
    { .name = NULL }
};

static const field_t  request_transformer_header = {
    .type = FIELD_STRING,
    .match = "^[^:]+:.*$",
    .check = plugin_check_header_pair
};

static const field_t  request_transformer_replace[] = {
    { .name = "body", .type = FIELD_ARRAY, .flags = F_REQUIRED, .def = "[]",
      .elements = &request_transformer_value },
    { .name = "headers", .type = FIELD_ARRAY, .flags = F_REQUIRED, .def = "[]",
      .elements = &request_transformer_header },
    { .name = "querystring", .type = FIELD_ARRAY, .flags = F_REQUIRED,
      .def = "[]", .elements = &request_transformer_value },
    { .name = "uri", .type = FIELD_STRING },
    { .name = NULL }
};

static const field_t  request_transformer_add[] = {
    { .name = "body", .type = FIELD_ARRAY, .flags = F_REQUIRED, .def = "[]",
      .elements = &request_transformer_value },
    { .name = "headers", .type = FIELD_ARRAY, .flags = F_REQUIRED, .def = "[]",
      .elements = &request_transformer_header },
    { .name = "querystring", .type = FIELD_ARRAY, .flags = F_REQUIRED,
      .def = "[]", .elements = &request_transformer_value },
    { .name = NULL }
};

static const field_t  request_transformer_config[] = {
    { .name = "http_method", .type = FIELD_STRING, .match = "^%u+$" },
    { .name = "remove", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = request_transformer_remove },
    { .name = "rename", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = request_transformer_rename },
    { .name = "replace", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = request_transformer_replace },
    { .name = "add", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = request_transformer_add },
    { .name = "append", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = request_transformer_add },
    { .name = NULL }
};

static const field_t  request_transformer_fields[] = {
    PLUGIN_PROTOCOLS,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = request_transformer_config },
    { .name = NULL }
};

const plugin_schema_t  plugin_request_transformer = {
    .schema = {
        .name = "request-transformer",
        .fields = request_transformer_fields
    },
    .implemented = 1,
    .priority = 801,
    .version = PLUGIN_VERSION
};


static const char *
request_transformer_check_value(schema_ctx_t *ctx, const field_t *f,
    const value_t *v)
{
    size_t       name, n;
    const char  *s, *err;

    (void) f;

    s = v->u.string;
    name = plugin_pair_name(v, &n);

    if (name == 0 || n == v->len) {
        return arena_printf(ctx->arena, "key '%.*s' has no value",
                            (int) name, s);
    }

    err = request_transformer_template_error(ctx, s + n, v->len - n);

    if (err != NULL) {
        return arena_printf(ctx->arena, "value '%s' is not in supported "
                            "format, error:%s", s + n, err);
    }

    return NULL;
}


/*
 * Every $(...) with balanced parentheses is one Lua expression.  They are
 * compiled as one chunk, a statement each: the cost is linear however many
 * there are.
 */
static const char *
request_transformer_template_error(schema_ctx_t *ctx, const char *s,
    size_t len)
{
    char               *text, *p;
    size_t              i, n;
    uint32_t           *close;
    static const char   head[] = "__tostring(", tail[] = " or '');";

    close = request_transformer_pair_parens(ctx, s, len);

    /* "$()" is the shortest expression */
    text = arena_alloc(ctx->arena,
                       len + (len / 3 + 1) * (sizeof(head) + sizeof(tail)));
    p = text;

    for (i = 0; i + 1 < len; i++) {
        if (s[i] != '$' || close[i + 1] == 0) {
            continue;
        }

        n = close[i + 1] - i;

        memcpy(p, head, sizeof(head) - 1);
        p += sizeof(head) - 1;

        memcpy(p, s + i + 1, n);
        p += n;

        memcpy(p, tail, sizeof(tail) - 1);
        p += sizeof(tail) - 1;

        i += n;
    }

    return p == text ? NULL
                     : lua_source_error(ctx, text, (size_t) (p - text),
                                        "TMP");
}


/* for every "(" the position of its ")", 0 elsewhere; linear in the text */
static uint32_t *
request_transformer_pair_parens(schema_ctx_t *ctx, const char *s, size_t len)
{
    size_t     i, depth;
    uint32_t  *close, *open;

    close = arena_zalloc(ctx->arena, (len + 1) * sizeof(uint32_t));
    open = arena_alloc(ctx->arena, (len + 1) * sizeof(uint32_t));
    depth = 0;

    for (i = 0; i < len; i++) {
        if (s[i] == '(') {
            open[depth++] = (uint32_t) i;

        } else if (s[i] == ')' && depth > 0) {
            close[open[--depth]] = (uint32_t) i;
        }
    }

    return close;
}
