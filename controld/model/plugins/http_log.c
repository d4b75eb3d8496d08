/*
 * http-log: log records posted in batches.  The headers that the sender makes
 * itself cannot be configured, nor two sources of credentials.
 */

#include <string.h>
#include <strings.h>

#include "common.h"


static const char *http_log_check(schema_ctx_t *ctx, const field_t *f,
    const value_t *v);
static const char *http_log_check_header(schema_ctx_t *ctx, const field_t *f,
    const value_t *v);
static bool http_log_url_has_user(const value_t *url);

static const char *const  http_log_method_values[] = {
    "POST", "PUT", "PATCH", NULL
};

static const char *const  http_log_content_type_values[] = {
    "application/json", "application/json; charset=utf-8", NULL
};

static const field_t  http_log_header = {
    .type = FIELD_STRING,
    .check = http_log_check_header
};

static const field_t  http_log_config[] = {
    { .name = "http_endpoint", .type = FIELD_STRING,
      .flags = F_REQUIRED | F_REFERENCEABLE | F_ENCRYPTED,
      .check = check_url },
    { .name = "method", .type = FIELD_STRING, .def = "\"POST\"",
      .one_of = http_log_method_values },
    { .name = "content_type", .type = FIELD_STRING,
      .def = "\"application/json\"", .one_of = http_log_content_type_values },
    { .name = "timeout", .type = FIELD_NUMBER, .def = "10000" },
    { .name = "keepalive", .type = FIELD_NUMBER, .def = "60000" },
    { .name = "retry_count", .type = FIELD_INTEGER, .flags = F_DEPRECATED },
    { .name = "queue_size", .type = FIELD_INTEGER, .flags = F_DEPRECATED },
    { .name = "flush_timeout", .type = FIELD_NUMBER, .flags = F_DEPRECATED },
    { .name = "headers", .type = FIELD_MAP, .keys = &http_log_header,
      .elements = &plugin_reference },
    { .name = "queue", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = plugin_queue },
    { .name = "custom_fields_by_lua", .type = FIELD_MAP,
      .keys = &plugin_string, .elements = &plugin_lua },
    { .name = NULL }
};

static const field_t  http_log_fields[] = {
    PLUGIN_PROTOCOLS,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = http_log_config, .check = http_log_check },
    { .name = NULL }
};

const plugin_schema_t  plugin_http_log = {
    .schema = {
        .name = "http-log",
        .fields = http_log_fields
    },
    .implemented = 1,
    .priority = 12,
    .version = PLUGIN_VERSION,
    .observes = 1,
    .records = 1
};


static const char *
http_log_check(schema_ctx_t *ctx, const field_t *f, const value_t *v)
{
    value_t   *headers;
    uint32_t   i;

    (void) ctx;
    (void) f;

    headers = value_get(v, "headers");

    if (value_is_null(headers) || headers->kind != VALUE_OBJECT
        || !http_log_url_has_user(value_get(v, "http_endpoint")))
    {
        return NULL;
    }

    for (i = 0; i < headers->len; i++) {
        if (strcasecmp(value_member(headers, i).key, "authorization") == 0) {
            return "specifying both an 'Authorization' header and user info "
                   "in 'http_endpoint' is not allowed";
        }
    }

    return NULL;
}


static bool
http_log_url_has_user(const value_t *url)
{
    const char  *s;
    size_t       n;

    s = value_cstr(url);
    if (s == NULL) {
        return false;
    }

    s = strstr(s, "//");
    if (s == NULL) {
        return false;
    }

    s += 2;
    n = strcspn(s, "/?#");

    return memchr(s, '@', n) != NULL;
}


static const char *
http_log_check_header(schema_ctx_t *ctx, const field_t *f, const value_t *v)
{
    if (strcasecmp(v->u.string, "host") == 0) {
        return "cannot contain 'Host' header";
    }

    if (strcasecmp(v->u.string, "content-length") == 0) {
        return "cannot contain 'Content-Length' header";
    }

    if (strcasecmp(v->u.string, "content-type") == 0) {
        return "cannot contain 'Content-Type' header";
    }

    return check_header_name(ctx, f, v);
}
