/*
 * registry: every plugin of the bundle by name, and those that documents have
 * added.  A list is sorted by name (bytes), which schema_plugin() relies on,
 * and never changes: a plugin more is a new list, so that readers need no
 * lock.  Lists are small and kept for good.
 */

#include <stdlib.h>
#include <string.h>

#include "registry.h"


typedef struct {
    const plugin_schema_t *const  *list;
    size_t                         n;
} registry_t;

static const plugin_schema_t *const  registry_bundled[] = {
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

static const registry_t  registry_first = {
    registry_bundled,
    sizeof(registry_bundled) / sizeof(registry_bundled[0]) - 1
};

static const registry_t *_Atomic  registry = &registry_first;
const plugin_schema_t *const *_Atomic  schema_plugins = registry_bundled;


const plugin_schema_t *
schema_plugin(const char *name, size_t len)
{
    int                rc;
    size_t             low, high, middle, n;
    const char        *candidate;
    const registry_t  *reg;

    reg = registry;
    low = 0;
    high = reg->n;

    while (low < high) {
        middle = low + (high - low) / 2;

        candidate = reg->list[middle]->schema.name;
        n = strlen(candidate);

        rc = memcmp(name, candidate, (len < n) ? len : n);

        if (rc == 0 && len == n) {
            return reg->list[middle];
        }

        if (rc < 0 || (rc == 0 && len < n)) {
            high = middle;

        } else {
            low = middle + 1;
        }
    }

    return NULL;
}


/* by one thread at a time; the name is not there yet */
void
schema_plugin_add(const plugin_schema_t *p)
{
    size_t                   i, n;
    registry_t              *reg;
    const registry_t        *old;
    const plugin_schema_t  **list;

    old = registry;
    n = old->n;

    reg = malloc(sizeof(registry_t));
    list = malloc((n + 2) * sizeof(list[0]));

    if (reg == NULL || list == NULL) {
        abort();
    }

    for (i = 0; i < n
                && strcmp(old->list[i]->schema.name, p->schema.name) < 0; i++)
    {
        list[i] = old->list[i];
    }

    list[i] = p;
    memcpy(&list[i + 1], &old->list[i], (n + 1 - i) * sizeof(list[0]));

    reg->list = list;
    reg->n = n + 1;

    registry = reg;
    schema_plugins = list;
}
