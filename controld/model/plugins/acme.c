/*
 * acme: certificates by the ACME protocol.  The gateway knows the schema, so
 * that a configuration naming the plugin is judged as Kong judges it, and then
 * refuses to run it.
 */

#include <string.h>

#include "common.h"


static const char *acme_check_dictionary(schema_ctx_t *ctx, const field_t *f,
    const value_t *v);
static const char *acme_check_namespace(schema_ctx_t *ctx, const field_t *f,
    const value_t *v);
static const char *acme_check_domain(schema_ctx_t *ctx, const field_t *f,
    const value_t *v);
static void acme_check_storage(schema_ctx_t *ctx, value_t *record,
    value_t *errors);

static const char *const  acme_cert_type_values[] = { "rsa", "ecc", NULL };

static const double  acme_rsa_key_size_values[] = { 2048, 3072, 4096 };

static const char *const  acme_storage_values[] = {
    "kong", "shm", "redis", "consul", "vault", NULL
};

static const char *const  acme_auth_method_values[] = {
    "token", "kubernetes", NULL
};

static const shorthand_t  acme_redis_shorthands[] = {
    { .name = "auth", .type = FIELD_STRING, .rule = &plugin_any_string,
      .replaced_by = "password" },
    { .name = "ssl_server_name", .type = FIELD_STRING,
      .replaced_by = "server_name" },
    { .name = "namespace", .type = FIELD_STRING, .rule = &plugin_any_string,
      .replaced_by = "extra_options.namespace" },
    { .name = "scan_count", .type = FIELD_INTEGER,
      .replaced_by = "extra_options.scan_count" },
    { .name = NULL }
};

static const field_t  acme_account_key[] = {
    { .name = "key_id", .type = FIELD_STRING, .flags = F_REQUIRED },
    { .name = "key_set", .type = FIELD_STRING },
    { .name = NULL }
};

static const field_t  acme_domain = {
    .type = FIELD_STRING,
    .check = acme_check_domain
};

static const field_t  acme_storage_config_shm[] = {
    { .name = "shm_name", .type = FIELD_STRING, .def = "\"kong\"",
      .check = acme_check_dictionary },
    { .name = NULL }
};

static const field_t  acme_storage_config_kong[] = {
    { .name = NULL }
};

static const field_t  acme_storage_config_redis_extra_options[] = {
    { .name = "namespace", .type = FIELD_STRING,
      .flags = F_REQUIRED | F_LEN_MIN, .def = "\"\"", .len_min = 0,
      .check = acme_check_namespace },
    { .name = "scan_count", .type = FIELD_NUMBER, .def = "10" },
    { .name = NULL }
};

static const field_t  acme_storage_config_redis[] = {
    PLUGIN_REDIS_FIELDS,
    { .name = "extra_options", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = acme_storage_config_redis_extra_options },
    { .name = NULL }
};

static const field_t  acme_storage_config_consul[] = {
    { .name = "https", .type = FIELD_BOOLEAN, .def = "false" },
    { .name = "host", .type = FIELD_STRING, .check = check_host },
    { .name = "port", .type = FIELD_INTEGER, .flags = F_BETWEEN, .min = 0,
      .max = 65535 },
    { .name = "kv_path", .type = FIELD_STRING },
    { .name = "timeout", .type = FIELD_NUMBER },
    { .name = "token", .type = FIELD_STRING, .flags = F_REFERENCEABLE },
    { .name = NULL }
};

static const field_t  acme_storage_config_vault[] = {
    { .name = "https", .type = FIELD_BOOLEAN, .def = "false" },
    { .name = "host", .type = FIELD_STRING, .check = check_host },
    { .name = "port", .type = FIELD_INTEGER, .flags = F_BETWEEN, .min = 0,
      .max = 65535 },
    { .name = "kv_path", .type = FIELD_STRING },
    { .name = "timeout", .type = FIELD_NUMBER },
    { .name = "token", .type = FIELD_STRING, .flags = F_REFERENCEABLE },
    { .name = "tls_verify", .type = FIELD_BOOLEAN, .def = "true" },
    { .name = "tls_server_name", .type = FIELD_STRING },
    { .name = "auth_method", .type = FIELD_STRING, .def = "\"token\"",
      .one_of = acme_auth_method_values },
    { .name = "auth_path", .type = FIELD_STRING },
    { .name = "auth_role", .type = FIELD_STRING },
    { .name = "jwt_path", .type = FIELD_STRING },
    { .name = NULL }
};

static const field_t  acme_storage_config[] = {
    { .name = "shm", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = acme_storage_config_shm },
    { .name = "kong", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = acme_storage_config_kong },
    { .name = "redis", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = acme_storage_config_redis,
      .shorthands = acme_redis_shorthands },
    { .name = "consul", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = acme_storage_config_consul },
    { .name = "vault", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = acme_storage_config_vault },
    { .name = NULL }
};

static const field_t  acme_config[] = {
    { .name = "account_email", .type = FIELD_STRING,
      .flags = F_REQUIRED | F_REFERENCEABLE | F_ENCRYPTED,
      .match = "%w*%p*@+%w*%.?%w*" },
    { .name = "account_key", .type = FIELD_RECORD,
      .fields = acme_account_key },
    { .name = "api_uri", .type = FIELD_STRING,
      .def = "\"https://acme-v02.api.letsencrypt.org/directory\"",
      .check = check_url },
    { .name = "tos_accepted", .type = FIELD_BOOLEAN, .def = "false" },
    { .name = "eab_kid", .type = FIELD_STRING,
      .flags = F_REFERENCEABLE | F_ENCRYPTED },
    { .name = "eab_hmac_key", .type = FIELD_STRING,
      .flags = F_REFERENCEABLE | F_ENCRYPTED },
    { .name = "cert_type", .type = FIELD_STRING, .def = "\"rsa\"",
      .one_of = acme_cert_type_values },
    { .name = "rsa_key_size", .type = FIELD_NUMBER, .def = "4096",
      .one_of_num = acme_rsa_key_size_values, .n_one_of_num = 3 },
    { .name = "renew_threshold_days", .type = FIELD_NUMBER, .def = "14" },
    { .name = "domains", .type = FIELD_ARRAY, .elements = &acme_domain },
    { .name = "allow_any_domain", .type = FIELD_BOOLEAN, .def = "false" },
    { .name = "fail_backoff_minutes", .type = FIELD_NUMBER, .def = "5" },
    { .name = "storage", .type = FIELD_STRING, .def = "\"shm\"",
      .one_of = acme_storage_values },
    { .name = "storage_config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = acme_storage_config },
    { .name = "preferred_chain", .type = FIELD_STRING },
    { .name = "enable_ipv4_common_name", .type = FIELD_BOOLEAN,
      .def = "true" },
    { .name = NULL }
};

static const field_t  acme_fields[] = {
    PLUGIN_NO_ROUTE,
    PLUGIN_NO_SERVICE,
    PLUGIN_NO_CONSUMER,
    PLUGIN_PROTOCOLS_HTTP,
    { .name = "config", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = acme_config },
    { .name = NULL }
};

static const char *const  acme_letsencrypt[] = {
    "https://acme-v02.api.letsencrypt.org",
    "https://acme-staging-v02.api.letsencrypt.org",
    NULL
};

static const field_t  acme_is_letsencrypt = { .one_of = acme_letsencrypt };

static const char *const  acme_storage_field[] = { "config.storage", NULL };

static const schema_check_t  acme_checks[] = {
    { .kind = CHECK_CONDITIONAL,
      .if_field = "config.api_uri",
      .if_match = &acme_is_letsencrypt,
      .then_field = "config.tos_accepted",
      .then_match = &plugin_true,
      .then_err = "terms of service must be accepted, see "
                  "https://letsencrypt.org/repository/" },
    { .kind = CHECK_CONDITIONAL,
      .if_field = "config.storage", .if_match = &plugin_is_redis,
      .then_field = "config.storage_config.redis.host",
      .then_match = &plugin_required },
    { .kind = CHECK_CONDITIONAL,
      .if_field = "config.storage", .if_match = &plugin_is_redis,
      .then_field = "config.storage_config.redis.port",
      .then_match = &plugin_required },
    { .kind = CHECK_CUSTOM, .fields = acme_storage_field,
      .custom = acme_check_storage },
    { .kind = 0 }
};

const plugin_schema_t  plugin_acme = {
    .schema = {
        .name = "acme",
        .fields = acme_fields,
        .checks = acme_checks
    },
    .priority = 1705,
    .version = PLUGIN_VERSION,
    .refused = "obtains certificates itself, which this gateway does not do"
};


static const char *
acme_check_dictionary(schema_ctx_t *ctx, const field_t *f, const value_t *v)
{
    (void) f;

    if (plugin_dictionary_known(ctx, v->u.string)) {
        return NULL;
    }

    return arena_printf(ctx->arena, "failed validating: %s", v->u.string);
}


/* the keys of the plugin's own records must stay apart from the user's */
static const char *
acme_check_namespace(schema_ctx_t *ctx, const field_t *f, const value_t *v)
{
    size_t                    i, n;
    static const char *const  reserved[] = {
        "kong_acme:renew_config:", "kong_acme:renew_last_run",
        "kong_acme:cert_key:", NULL
    };

    (void) f;

    for (i = 0; reserved[i] != NULL; i++) {
        n = strlen(reserved[i]);

        if (v->len >= n && memcmp(v->u.string, reserved[i], n) == 0) {
            return arena_printf(ctx->arena, "namespace can't be prefixed "
                                "with reserved word: %s", reserved[i]);
        }
    }

    return NULL;
}


static const char *
acme_check_domain(schema_ctx_t *ctx, const field_t *f, const value_t *v)
{
    const char  *s, *star;
    value_t      plain;

    s = v->u.string;
    star = memchr(s, '*', v->len);

    if (star == NULL) {
        return check_host_with_optional_port(ctx, f, v);
    }

    if (memchr(star + 1, '*', v->len - (size_t) (star + 1 - s)) != NULL) {
        return "invalid wildcard: must have at most one wildcard";
    }

    if (!(star == s && v->len > 1 && s[1] == '.')
        && !(star == s + v->len - 1 && star > s && star[-1] == '.'))
    {
        return "invalid wildcard: must be placed at leftmost or rightmost "
               "label";
    }

    value_printf(ctx->arena, &plain, "%.*sabc%s", (int) (star - s), s,
                 star + 1);

    return check_host_with_optional_port(ctx, f, &plain);
}


static void
acme_check_storage(schema_ctx_t *ctx, value_t *record, value_t *errors)
{
    if (ctx->database == 0
        && value_str_eq(value_path(record, "config.storage"), "kong"))
    {
        schema_error(ctx, errors, "@entity", "%s",
                     "\"kong\" storage can't be used with dbless mode");
    }
}
