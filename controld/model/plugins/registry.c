/*
 * registry: every plugin of the bundle by name.  The list is sorted by name
 * (bytes), which schema_plugin() relies on.
 */

#include <string.h>

#include "registry.h"


const plugin_schema_t *const  schema_plugins[] = {
    &plugin_acl,
    &plugin_acme,
    &plugin_ai_prompt_decorator,
    &plugin_ai_prompt_guard,
    &plugin_ai_prompt_template,
    &plugin_ai_proxy,
    &plugin_ai_request_transformer,
    &plugin_ai_response_transformer,
    &plugin_aws_lambda,
    &plugin_azure_functions,
    &plugin_basic_auth,
    &plugin_bot_detection,
    &plugin_correlation_id,
    &plugin_cors,
    &plugin_datadog,
    &plugin_file_log,
    &plugin_grpc_gateway,
    &plugin_grpc_web,
    &plugin_hmac_auth,
    &plugin_http_log,
    &plugin_ip_restriction,
    &plugin_jwt,
    &plugin_key_auth,
    &plugin_ldap_auth,
    &plugin_loggly,
    &plugin_oauth2,
    &plugin_opentelemetry,
    &plugin_post_function,
    &plugin_pre_function,
    &plugin_prometheus,
    &plugin_proxy_cache,
    &plugin_rate_limiting,
    &plugin_redirect,
    &plugin_request_size_limiting,
    &plugin_request_termination,
    &plugin_request_transformer,
    &plugin_response_ratelimiting,
    &plugin_response_transformer,
    &plugin_session,
    &plugin_standard_webhooks,
    &plugin_statsd,
    &plugin_syslog,
    &plugin_tcp_log,
    &plugin_udp_log,
    &plugin_zipkin,
    NULL
};

#define REGISTRY_N  (sizeof(schema_plugins) / sizeof(schema_plugins[0]) - 1)


const plugin_schema_t *
schema_plugin(const char *name, size_t len)
{
    int          rc;
    size_t       low, high, middle, n;
    const char  *candidate;

    low = 0;
    high = REGISTRY_N;

    while (low < high) {
        middle = low + (high - low) / 2;

        candidate = schema_plugins[middle]->schema.name;
        n = strlen(candidate);

        rc = memcmp(name, candidate, (len < n) ? len : n);

        if (rc == 0 && len == n) {
            return schema_plugins[middle];
        }

        if (rc < 0 || (rc == 0 && len < n)) {
            high = middle;

        } else {
            low = middle + 1;
        }
    }

    return NULL;
}
