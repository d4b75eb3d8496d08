/*
 * schemas_shown: what Kong's schemas say beyond what our tables need: rules
 * that are functions here, `required: false` where that is the default,
 * defaults of null, what is deprecated since when.  Clients compare it.
 *
 * Rows are keyed by the schema and the dotted path of a field; "#" behind a
 * path is its list of entity checks.  Members replace what is shown already;
 * with a "-" before their names they take it away, the text of the member
 * being the name inside of it.
 */

#include <string.h>

#include "../model/json.h"
#include "schemas.h"


#define SHOWN_OPTIONAL   "{\"required\":false}"
#define SHOWN_NULL       "{\"default\":null}"
#define SHOWN_PLAIN      "{\"-encrypted\":0}"
#define SHOWN_EVERYWHERE "{\"unique_across_ws\":true}"

#define SHOWN_DEPRECATED(def)                                                \
    "{\"deprecation\":{\"removal_in_version\":\"4.0\",\"old_default\":" def  \
    "}}"

#define SHOWN_ABSTRACT   "{\"abstract\":true,\"-required\":0}"
#define SHOWN_TEXT       "{\"len_min\":1}"

typedef struct {
    const char  *schema;
    const char  *path;
    const char  *members;            /* JSON */
} schemas_shown_t;


static const schemas_shown_t *schemas_shown_find(const char *schema,
    const char *path);


static const schemas_shown_t  schemas_shown_rows[] = {
    { "services", "tls_verify_depth", SHOWN_NULL },

    { "routes", "protocols", "{\"mutually_exclusive_subsets\":"
      "[[\"http\",\"https\"],[\"tcp\",\"tls\",\"udp\"],"
      "[\"tls_passthrough\"],[\"grpc\",\"grpcs\"]]}" },
    { "routes", "hosts.elements", "{\"match_all\":[{\"pattern\":"
      "\"^[^*]*%*?[^*]*$\",\"err\":\"invalid wildcard: must have at most one "
      "wildcard\"}],\"match_any\":{\"patterns\":[\"^%*%.\",\"%.%*$\","
      "\"^[^*]*$\"],\"err\":\"invalid wildcard: must be placed at leftmost "
      "or rightmost label\"}}" },
    { "routes", "paths.elements", "{\"match_none\":[{\"pattern\":\"//\","
      "\"err\":\"must not have empty segments\"}],\"match_any\":"
      "{\"patterns\":[\"^/\",\"^~/\"],\"err\":\"should start with: / (fixed "
      "path) or ~/ (regex path)\"}}" },
    { "routes", "#", "[{\"conditional\":{\"if_field\":\"protocols\","
      "\"if_match\":{\"elements\":{\"type\":\"string\",\"not_one_of\":"
      "[\"grpcs\",\"https\",\"tls\",\"tls_passthrough\"]}},\"then_field\":"
      "\"snis\",\"then_match\":{\"len_eq\":0},\"then_err\":\"'snis' can only "
      "be set when 'protocols' is 'grpcs', 'https', 'tls' or "
      "'tls_passthrough'\"}},{\"custom_entity_check\":{\"field_sources\":"
      "[\"path_handling\"]}},{\"custom_entity_check\":"
      "{\"run_with_missing_fields\":true,\"field_sources\":[\"id\","
      "\"protocols\",\"snis\",\"sources\",\"destinations\",\"methods\","
      "\"hosts\",\"paths\",\"headers\",\"expression\",\"regex_priority\","
      "\"priority\"]}}]" },

    { "plugins", "route", SHOWN_NULL },
    { "plugins", "service", SHOWN_NULL },
    { "plugins", "consumer", SHOWN_NULL },
    { "plugins", "config", SHOWN_ABSTRACT },

    { "upstreams", "healthchecks", "{\"-default\":\"threshold\"}" },
    { "upstreams", "healthchecks.active.https_sni", SHOWN_OPTIONAL },
    { "upstreams", "healthchecks.active.headers", SHOWN_OPTIONAL },

    { "certificates", "cert_alt", SHOWN_OPTIONAL },
    { "certificates", "key_alt", SHOWN_OPTIONAL },
    { "certificates", "snis",
      "{\"required\":false,\"transient\":true,\"-abstract\":0}" },
    { "snis", "name", SHOWN_EVERYWHERE },

    { "key_sets", "name", SHOWN_OPTIONAL },
    { "keys", "set", SHOWN_OPTIONAL },
    { "keys", "name", SHOWN_OPTIONAL },
    { "keys", "kid", "{\"unique\":false}" },
    { "keys", "pem", SHOWN_OPTIONAL },
    { "keys", "pem.private_key", SHOWN_OPTIONAL },
    { "keys", "pem.public_key", SHOWN_OPTIONAL },
    { "keys", "pem#",
      "[{\"at_least_one_of\":[\"private_key\",\"public_key\"]}]" },
    { "keys", "#", "[{\"mutually_exclusive\":[\"jwk\",\"pem\"]},"
      "{\"at_least_one_of\":[\"jwk\",\"pem\"]},{\"custom_entity_check\":"
      "{\"field_sources\":[\"jwk\",\"pem\",\"kid\"]}}]" },

    { "vaults", "prefix", SHOWN_EVERYWHERE },
    { "vaults", "config", SHOWN_ABSTRACT },
    { "filter_chains", "route", SHOWN_NULL },
    { "filter_chains", "service", SHOWN_NULL },

    { "keyauth_credentials", "key",
      "{\"required\":false,\"-encrypted\":0}" },
    { "hmacauth_credentials", "secret", SHOWN_PLAIN },
    { "jwt_secrets", "key", SHOWN_OPTIONAL },
    { "jwt_secrets", "secret", SHOWN_PLAIN },
    { "jwt_secrets", "#", "[{\"conditional\":{\"if_field\":\"algorithm\","
      "\"if_match\":{\"match_any\":{\"patterns\":[\"^RS256$\",\"^RS384$\","
      "\"^RS512$\",\"^PS256$\",\"^PS384$\",\"^PS512$\",\"^EdDSA$\"]}},"
      "\"then_field\":\"rsa_public_key\","
      "\"then_match\":{\"required\":true}}}]" },
    { "oauth2_credentials", "client_id", SHOWN_OPTIONAL },
    { "oauth2_credentials", "client_secret", SHOWN_OPTIONAL },
    { "oauth2_credentials", "redirect_uris", SHOWN_OPTIONAL },
    { "oauth2_authorization_codes", "service", SHOWN_NULL },
    { "oauth2_authorization_codes", "plugin", SHOWN_NULL },
    { "oauth2_authorization_codes", "code", SHOWN_OPTIONAL },
    { "oauth2_authorization_codes", "authenticated_userid", SHOWN_OPTIONAL },
    { "oauth2_authorization_codes", "challenge", SHOWN_OPTIONAL },
    { "oauth2_authorization_codes", "challenge_method", SHOWN_OPTIONAL },
    { "oauth2_tokens", "service", SHOWN_NULL },
    { "oauth2_tokens", "access_token", SHOWN_OPTIONAL },
    { "oauth2_tokens", "refresh_token", SHOWN_OPTIONAL },
    { "oauth2_tokens", "authenticated_userid", SHOWN_OPTIONAL },

    { "datadog", "config.retry_count", SHOWN_DEPRECATED("10") },
    { "datadog", "config.queue_size", SHOWN_DEPRECATED("1") },
    { "datadog", "config.flush_timeout", SHOWN_DEPRECATED("2") },
    { "file-log", "config.custom_fields_by_lua.keys", SHOWN_TEXT },
    { "file-log", "config.custom_fields_by_lua.values", SHOWN_TEXT },
    { "hmac-auth", "config.realm", SHOWN_OPTIONAL },
    { "http-log", "config.retry_count", SHOWN_DEPRECATED("10") },
    { "http-log", "config.queue_size", SHOWN_DEPRECATED("1") },
    { "http-log", "config.flush_timeout", SHOWN_DEPRECATED("2") },
    { "http-log", "config.custom_fields_by_lua.keys", SHOWN_TEXT },
    { "http-log", "config.custom_fields_by_lua.values", SHOWN_TEXT },
    { "http-log", "config.headers.keys", "{\"match_none\":["
      "{\"pattern\":\"^[Hh][Oo][Ss][Tt]$\","
      "\"err\":\"cannot contain 'Host' header\"},"
      "{\"pattern\":\"^[Cc][Oo][Nn][Tt][Ee][Nn][Tt]%-"
      "[Ll][Ee][nn][Gg][Tt][Hh]$\","
      "\"err\":\"cannot contain 'Content-Length' header\"},"
      "{\"pattern\":\"^[Cc][Oo][Nn][Tt][Ee][Nn][Tt]%-"
      "[Tt][Yy][Pp][Ee]$\","
      "\"err\":\"cannot contain 'Content-Type' header\"}]}" },
    { "ip-restriction", "config.status", SHOWN_OPTIONAL },
    { "ip-restriction", "config.message", SHOWN_OPTIONAL },
    { "jwt", "config.realm", SHOWN_OPTIONAL },
    { "key-auth", "config.realm", SHOWN_OPTIONAL },
    { "ldap-auth", "config.realm", SHOWN_OPTIONAL },
    { "loggly", "config.custom_fields_by_lua.keys", SHOWN_TEXT },
    { "loggly", "config.custom_fields_by_lua.values", SHOWN_TEXT },
    { "oauth2", "config.pkce", SHOWN_OPTIONAL },
    { "oauth2", "config.realm", SHOWN_OPTIONAL },
    { "opentelemetry", "config.resource_attributes.keys",
      "{\"required\":true}" },
    { "opentelemetry", "config.resource_attributes.values",
      "{\"required\":true}" },
    { "opentelemetry", "config.batch_span_count", SHOWN_DEPRECATED("200") },
    { "opentelemetry", "config.batch_flush_delay", SHOWN_DEPRECATED("3") },
    { "opentelemetry", "config.header_type", "{\"required\":false,"
      "\"deprecation\":{\"removal_in_version\":\"4.0\","
      "\"old_default\":\"preserve\"}}" },
    { "opentelemetry", "config.endpoint",
      "{\"deprecation\":{\"removal_in_version\":\"4.0\"}}" },
    { "opentelemetry", "config.sampling_rate", SHOWN_OPTIONAL },
    { "proxy-cache", "config.ignore_uri_case", SHOWN_OPTIONAL },
    { "rate-limiting", "config.redis.ssl", SHOWN_OPTIONAL },
    { "rate-limiting", "config.redis.ssl_verify", SHOWN_OPTIONAL },
    { "rate-limiting", "config.redis.server_name", SHOWN_OPTIONAL },
    { "response-ratelimiting", "config.redis.ssl", SHOWN_OPTIONAL },
    { "response-ratelimiting", "config.redis.ssl_verify", SHOWN_OPTIONAL },
    { "response-ratelimiting", "config.redis.server_name", SHOWN_OPTIONAL },
    { "session", "config.secret", SHOWN_OPTIONAL },
    { "statsd", "config.retry_count", SHOWN_DEPRECATED("10") },
    { "statsd", "config.queue_size", SHOWN_DEPRECATED("1") },
    { "statsd", "config.flush_timeout", SHOWN_DEPRECATED("2") },
    { "statsd", "config.tag_style", SHOWN_OPTIONAL },
    { "syslog", "config.custom_fields_by_lua.keys", SHOWN_TEXT },
    { "syslog", "config.custom_fields_by_lua.values", SHOWN_TEXT },
    { "tcp-log", "config.custom_fields_by_lua.keys", SHOWN_TEXT },
    { "tcp-log", "config.custom_fields_by_lua.values", SHOWN_TEXT },
    { "udp-log", "config.custom_fields_by_lua.keys", SHOWN_TEXT },
    { "udp-log", "config.custom_fields_by_lua.values", SHOWN_TEXT },
    { "zipkin", "config.header_type", SHOWN_DEPRECATED("\"preserve\"") },
    { "zipkin", "config.default_header_type", SHOWN_DEPRECATED("\"b3\"") },
    { NULL, NULL, NULL }
};


static const schemas_shown_t *
schemas_shown_find(const char *schema, const char *path)
{
    const schemas_shown_t  *p;

    for (p = schemas_shown_rows; p->schema != NULL; p++) {
        if (strcmp(p->schema, schema) == 0 && strcmp(p->path, path) == 0) {
            return p;
        }
    }

    return NULL;
}


void
schemas_shown(arena_t *a, const char *schema, const char *path, value_t *out)
{
    value_t                  given;
    uint32_t                 i;
    const char              *err, *name, *inner;
    const schemas_shown_t   *p;

    p = schemas_shown_find(schema, path);

    if (p == NULL
        || json_parse(a, p->members, strlen(p->members), &given, &err) != 0)
    {
        return;
    }

    if (given.kind != VALUE_OBJECT) {
        *out = given;
        return;
    }

    for (i = 0; i < given.len; i++) {
        name = value_member(&given, i).key;

        if (name[0] == '-') {
            inner = value_cstr(value_nth(&given, i));

            if (inner == NULL) {
                value_remove(a, out, name + 1);

            } else if (value_get(out, name + 1) != NULL) {
                value_remove(a, value_get(out, name + 1), inner);
            }

        } else {
            *value_put(a, out, name) = *value_nth(&given, i);
        }
    }
}


unsigned
schemas_shown_each(void *data, schemas_shown_pt each)
{
    unsigned                 n;
    const schemas_shown_t   *p;

    for (n = 0, p = schemas_shown_rows; p->schema != NULL; p++, n++) {
        each(data, p->schema, p->path, p->members);
    }

    return n;
}
