/*
 * session: a cookie that stands for an authentication.  The default secret is
 * made once per process, as in Kong: nodes that share sessions configure one.
 * The shorthands are the names of the option before 3.2.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common.h"


static void session_expand_lifetime(schema_ctx_t *ctx, value_t *record,
    value_t *given);
static void session_expand_idletime(schema_ctx_t *ctx, value_t *record,
    value_t *given);
static void session_expand_renew(schema_ctx_t *ctx, value_t *record,
    value_t *given);
static void session_expand_discard(schema_ctx_t *ctx, value_t *record,
    value_t *given);
static void session_expand_samesite(schema_ctx_t *ctx, value_t *record,
    value_t *given);
static void session_expand_httponly(schema_ctx_t *ctx, value_t *record,
    value_t *given);
static void session_expand_persistent(schema_ctx_t *ctx, value_t *record,
    value_t *given);
static void session_set(schema_ctx_t *ctx, value_t *record, const char *name,
    const value_t *given);
static void session_make_secret(void) __attribute__((constructor));

static const char *const  session_storage_values[] = {
    "cookie", "kong", NULL
};

static const char *const  session_cookie_same_site_values[] = {
    "Strict", "Lax", "None", "Default", NULL
};

static const char *const  session_response_headers_values[] = {
    "id", "audience", "subject", "timeout", "idling-timeout",
    "rolling-timeout", "absolute-timeout", NULL
};

static const char *const  session_logout_methods_values[] = {
    "GET", "POST", "DELETE", NULL
};

static const shorthand_t  session_shorthands[] = {
    { .name = "cookie_lifetime", .type = FIELD_NUMBER,
      .expand = session_expand_lifetime },
    { .name = "cookie_idletime", .type = FIELD_NUMBER,
      .expand = session_expand_idletime },
    { .name = "cookie_renew", .type = FIELD_NUMBER,
      .expand = session_expand_renew },
    { .name = "cookie_discard", .type = FIELD_NUMBER,
      .expand = session_expand_discard },
    { .name = "cookie_samesite", .type = FIELD_STRING,
      .expand = session_expand_samesite },
    { .name = "cookie_httponly", .type = FIELD_BOOLEAN,
      .expand = session_expand_httponly },
    { .name = "cookie_persistent", .type = FIELD_BOOLEAN,
      .expand = session_expand_persistent },
    { .name = NULL }
};

/* JSON text: quotes around 44 characters */
static char  session_secret[47] = "\"\"";

static const field_t  session_response_header = {
    .type = FIELD_STRING,
    .one_of = session_response_headers_values
};

static const field_t  session_logout_method = {
    .type = FIELD_STRING,
    .one_of = session_logout_methods_values
};

static const field_t  session_config[] = {
    { .name = "secret", .type = FIELD_STRING,
      .flags = F_REFERENCEABLE | F_ENCRYPTED, .def = session_secret },
    { .name = "storage", .type = FIELD_STRING, .def = "\"cookie\"",
      .one_of = session_storage_values },
    { .name = "audience", .type = FIELD_STRING, .def = "\"default\"" },
    { .name = "idling_timeout", .type = FIELD_NUMBER, .def = "900" },
    { .name = "rolling_timeout", .type = FIELD_NUMBER, .def = "3600" },
    { .name = "absolute_timeout", .type = FIELD_NUMBER, .def = "86400" },
    { .name = "stale_ttl", .type = FIELD_NUMBER, .def = "10" },
    { .name = "cookie_name", .type = FIELD_STRING, .def = "\"session\"" },
    { .name = "cookie_path", .type = FIELD_STRING, .def = "\"/\"" },
    { .name = "cookie_domain", .type = FIELD_STRING },
    { .name = "cookie_same_site", .type = FIELD_STRING, .def = "\"Strict\"",
      .one_of = session_cookie_same_site_values },
    { .name = "cookie_http_only", .type = FIELD_BOOLEAN, .def = "true" },
    { .name = "cookie_secure", .type = FIELD_BOOLEAN, .def = "true" },
    { .name = "remember", .type = FIELD_BOOLEAN, .def = "false" },
    { .name = "remember_cookie_name", .type = FIELD_STRING,
      .def = "\"remember\"" },
    { .name = "remember_rolling_timeout", .type = FIELD_NUMBER,
      .def = "604800" },
    { .name = "remember_absolute_timeout", .type = FIELD_NUMBER,
      .def = "2592000" },
    { .name = "response_headers", .type = FIELD_SET,
      .elements = &session_response_header },
    { .name = "request_headers", .type = FIELD_SET,
      .elements = &session_response_header },
    { .name = "read_body_for_logout", .type = FIELD_BOOLEAN, .def = "false" },
    { .name = "logout_methods", .type = FIELD_SET,
      .def = "[\"POST\",\"DELETE\"]", .elements = &session_logout_method },
    { .name = "logout_query_arg", .type = FIELD_STRING,
      .def = "\"session_logout\"" },
    { .name = "logout_post_arg", .type = FIELD_STRING,
      .def = "\"session_logout\"" },
    { .name = NULL }
};

static const field_t  session_fields[] = {
    PLUGIN_NO_CONSUMER,
    PLUGIN_PROTOCOLS,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = session_config, .shorthands = session_shorthands },
    { .name = NULL }
};

const plugin_schema_t  plugin_session = {
    .schema = {
        .name = "session",
        .fields = session_fields
    },
    .implemented = 1,
    .priority = 1900,
    .version = PLUGIN_VERSION
};


/* what a shorthand of these says wins over the field of the new name */
static void
session_set(schema_ctx_t *ctx, value_t *record, const char *name,
    const value_t *given)
{
    value_t  v;

    v = *given;
    *value_put(ctx->arena, record, name) = v;
}


static void
session_expand_lifetime(schema_ctx_t *ctx, value_t *record, value_t *given)
{
    session_set(ctx, record, "rolling_timeout", given);
}


static void
session_expand_idletime(schema_ctx_t *ctx, value_t *record, value_t *given)
{
    value_t  zero;

    if (value_is_null(given)) {
        value_set_number(&zero, 0);
        given = &zero;
    }

    session_set(ctx, record, "idling_timeout", given);
}


/* renewal follows from the rolling timeout now; the option says nothing */
static void
session_expand_renew(schema_ctx_t *ctx, value_t *record, value_t *given)
{
    (void) ctx;
    (void) record;
    (void) given;
}


static void
session_expand_discard(schema_ctx_t *ctx, value_t *record, value_t *given)
{
    session_set(ctx, record, "stale_ttl", given);
}


static void
session_expand_samesite(schema_ctx_t *ctx, value_t *record, value_t *given)
{
    value_t  lax;

    if (value_str_eq(given, "off")) {
        value_set_string(&lax, "Lax", 3);
        given = &lax;
    }

    session_set(ctx, record, "cookie_same_site", given);
}


static void
session_expand_httponly(schema_ctx_t *ctx, value_t *record, value_t *given)
{
    session_set(ctx, record, "cookie_http_only", given);
}


static void
session_expand_persistent(schema_ctx_t *ctx, value_t *record, value_t *given)
{
    session_set(ctx, record, "remember", given);
}


/*
 * Runs before main(), so that the table is complete whoever reads it first.
 * The kernel's generator does not fail for so few bytes once it is seeded; a
 * guessable secret would be worse than no start.
 */
static void
session_make_secret(void)
{
    size_t             i;
    uint8_t            random[44];
    static const char  alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    if (getrandom(random, sizeof(random), 0) != (ssize_t) sizeof(random)) {
        abort();
    }

    session_secret[0] = '"';

    for (i = 0; i < sizeof(random); i++) {
        session_secret[i + 1] = alphabet[random[i] & 63];
    }

    session_secret[i + 1] = '"';
    session_secret[i + 2] = '\0';
}
