/*
 * conf_table: every setting that this program knows, sorted by name, and the
 * settings that stand for another one.  Defaults are Kong 3.9's; the last
 * column says what a wrong number is told.
 */

#include <stdlib.h>
#include <string.h>

#include "conf_private.h"


#define P(name, type, def, flags)  { name, type, def, NULL, flags, 0, 0, NULL }

#define S(name, def)           P(name, CONF_STRING, def, 0)
#define T(name, def, flags)    P(name, CONF_STRING, def, flags)
#define N(name, def)           P(name, CONF_NUMBER, def, 0)
#define B(name, def)           P(name, CONF_BOOLEAN, def, 0)
#define NB(name, def)          P(name, CONF_NGX_BOOLEAN, def, 0)
#define A(name, def)           P(name, CONF_ARRAY, def, 0)
#define AX(name, def, flags)   P(name, CONF_ARRAY, def, flags)

#define E(name, def, values)                                                  \
    { name, CONF_STRING, def, values, 0, 0, 0, NULL }

/* numbers with bounds; the sentence says what they must be */
#define NM(name, def, min, range)                                             \
    { name, CONF_NUMBER, def, NULL, CONF_MIN, min, 0, range }
#define NI(name, def)                                                         \
    { name, CONF_NUMBER, def, NULL, CONF_MIN|CONF_INTEGER, 0, 0,              \
      "greater than 0" }
#define NL(name)                                                              \
    { name, CONF_NUMBER, "100", NULL, CONF_MIN|CONF_MAX|CONF_INTEGER, 1,      \
      1000, "an integer between 1 and 1000" }

/* a file, or its text (PEM, perhaps in base64) */
#define FILE_TEXT  (CONF_PATH|CONF_TEXT)

#define V  static const char *const


V conf_content_types[] = {
    "application/json", "application/xml", "text/html", "text/plain", NULL
};
V conf_databases[] = { "postgres", "cassandra", "off", NULL };
V conf_flavors[] = {
    "traditional", "traditional_compatible", "expressions", NULL
};
V conf_levels[] = {
    "debug", "info", "notice", "warn", "error", "crit", "alert", "emerg", NULL
};
V conf_mtls[] = { "shared", "pki", NULL };
V conf_ocsp[] = { "on", "off", "optional", NULL };
V conf_consistency[] = { "strict", "eventual", NULL };
V conf_roles[] = { "data_plane", "control_plane", "traditional", NULL };
V conf_lua[] = { "on", "off", "sandbox", NULL };


const conf_setting_t  conf_settings[] = {
    S("admin_access_log", "logs/admin_access.log"),
    S("admin_error_log", "logs/error.log"),
    S("admin_gui_access_log", "logs/admin_gui_access.log"),
    S("admin_gui_api_url", ""),
    S("admin_gui_error_log", "logs/admin_gui_error.log"),
    A("admin_gui_listen", "0.0.0.0:8002, 0.0.0.0:8445 ssl"),
    S("admin_gui_path", "/"),
    AX("admin_gui_ssl_cert", "", FILE_TEXT),
    AX("admin_gui_ssl_cert_key", "", CONF_SECRET|FILE_TEXT),
    S("admin_gui_url", ""),
    A("admin_listen", "127.0.0.1:8001 reuseport backlog=16384, "
                      "127.0.0.1:8444 http2 ssl reuseport backlog=16384"),
    AX("admin_ssl_cert", "", FILE_TEXT),
    AX("admin_ssl_cert_key", "", CONF_SECRET|FILE_TEXT),
    AX("admin_tokens", "", CONF_SECRET),
    T("admin_tokens_file", "", CONF_PATH),
    B("allow_debug_header", "off"),
    B("anonymous_reports", "on"),
    B("client_ssl", "off"),
    T("client_ssl_cert", "", FILE_TEXT),
    T("client_ssl_cert_key", "", CONF_SECRET|FILE_TEXT),
    T("cluster_ca_cert", "", FILE_TEXT),
    T("cluster_cert", "", FILE_TEXT),
    T("cluster_cert_key", "", CONF_SECRET|FILE_TEXT),
    S("cluster_control_plane", "127.0.0.1:8005"),
    NM("cluster_data_plane_purge_delay", "1209600", 60, "60 or greater"),
    A("cluster_dp_labels", ""),
    B("cluster_incremental_sync", "off"),
    A("cluster_listen", "0.0.0.0:8005"),
    NM("cluster_max_payload", "16777216", 4194304,
       "4194304 (4MB) or greater"),
    E("cluster_mtls", "shared", conf_mtls),
    E("cluster_ocsp", "off", conf_ocsp),
    B("cluster_rpc", "off"),
    S("cluster_server_name", ""),
    B("cluster_use_proxy", "off"),
    N("concurrency_timeout", "60000"),
    E("database", "postgres", conf_databases),
    N("db_cache_neg_ttl", ""),
    N("db_cache_ttl", "0"),
    A("db_cache_warmup_entities", "services"),
    N("db_resurrect_ttl", "30"),
    N("db_update_frequency", "5"),
    N("db_update_propagation", "0"),
    T("declarative_config", "", CONF_PATH),
    T("declarative_config_string", "", CONF_SECRET|CONF_TEXT),
    B("dedicated_config_processing", "on"),
    N("dns_cache_size", "10000"),
    N("dns_error_ttl", "1"),
    S("dns_hostsfile", "/etc/hosts"),
    B("dns_no_sync", "off"),
    N("dns_not_found_ttl", "30"),
    A("dns_order", "LAST,SRV,A,CNAME"),
    A("dns_resolver", ""),
    N("dns_stale_ttl", "3600"),
    N("dns_valid_ttl", ""),
    E("error_default_type", "text/plain", conf_content_types),
    T("error_template_html", "", CONF_PATH),
    T("error_template_json", "", CONF_PATH),
    T("error_template_plain", "", CONF_PATH),
    T("error_template_xml", "", CONF_PATH),
    A("headers", "server_tokens, latency_tokens, x-kong-request-id"),
    A("headers_upstream", "x-kong-request-id"),
    B("kic", "off"),
    S("kong_metrics_size", "32m"),
    S("kong_zone_size", "16m"),
    S("lmdb_environment_path", "dbless.lmdb"),
    S("lmdb_map_size", "2048m"),
    E("log_level", "notice", conf_levels),
    NL("lua_max_post_args"),
    NL("lua_max_req_headers"),
    NL("lua_max_resp_headers"),
    NL("lua_max_uri_args"),
    S("lua_package_cpath", ""),
    S("lua_package_path", "./?.lua;./?/init.lua;"),
    N("lua_socket_pool_size", "256"),
    S("lua_ssl_protocols", "TLSv1.2 TLSv1.3"),
    AX("lua_ssl_trusted_certificate", "system", FILE_TEXT),
    N("lua_ssl_verify_depth", "1"),
    S("mem_cache_size", "128m"),
    T("module_path", "", CONF_PATH),
    B("new_dns_client", "off"),
    S("nginx_admin_client_body_buffer_size", "10m"),
    S("nginx_admin_client_max_body_size", "10m"),
    T("nginx_bin", "", CONF_PATH),
    S("nginx_events_multi_accept", "on"),
    S("nginx_events_worker_connections", "auto"),
    S("nginx_http_charset", "UTF-8"),
    S("nginx_http_client_body_buffer_size", "8k"),
    S("nginx_http_client_max_body_size", "0"),
    S("nginx_http_keepalive_requests", "10000"),
    S("nginx_http_lua_regex_cache_max_entries", "8192"),
    S("nginx_http_lua_regex_match_limit", "100000"),
    S("nginx_http_ssl_dhparam", ""),
    S("nginx_http_ssl_prefer_server_ciphers", ""),
    S("nginx_http_ssl_protocols", ""),
    S("nginx_http_ssl_session_tickets", ""),
    S("nginx_http_ssl_session_timeout", ""),
    S("nginx_main_daemon", "on"),
    S("nginx_main_user", "kong kong"),
    S("nginx_main_worker_processes", "auto"),
    S("nginx_main_worker_rlimit_nofile", "auto"),
    S("nginx_proxy_real_ip_header", "X-Real-IP"),
    S("nginx_proxy_real_ip_recursive", "off"),
    S("node_id", ""),
    NI("pg_backlog", ""),
    S("pg_database", "kong"),
    S("pg_host", "127.0.0.1"),
    NI("pg_keepalive_timeout", ""),
    NI("pg_max_concurrent_queries", "0"),
    T("pg_password", "", CONF_SECRET),
    NI("pg_pool_size", ""),
    N("pg_port", "5432"),
    NI("pg_ro_backlog", ""),
    S("pg_ro_database", ""),
    S("pg_ro_host", ""),
    NI("pg_ro_keepalive_timeout", ""),
    NI("pg_ro_max_concurrent_queries", ""),
    T("pg_ro_password", "", CONF_SECRET),
    NI("pg_ro_pool_size", ""),
    N("pg_ro_port", ""),
    S("pg_ro_schema", ""),
    NI("pg_ro_semaphore_timeout", ""),
    B("pg_ro_ssl", ""),
    B("pg_ro_ssl_verify", ""),
    N("pg_ro_timeout", ""),
    S("pg_ro_user", ""),
    S("pg_schema", ""),
    NI("pg_semaphore_timeout", "60000"),
    B("pg_ssl", "off"),
    B("pg_ssl_verify", "off"),
    N("pg_timeout", "5000"),
    S("pg_user", "kong"),
    T("plugin_schemas", "", CONF_PATH),
    A("plugins", "bundled"),
    A("pluginserver_names", ""),
    A("port_maps", ""),
    S("prefix", "/usr/local/kong/"),
    S("proxy_access_log", "logs/access.log"),
    S("proxy_error_log", "logs/error.log"),
    A("proxy_listen", "0.0.0.0:8000 reuseport backlog=16384, "
                      "0.0.0.0:8443 http2 ssl reuseport backlog=16384"),
    T("proxy_server", "", CONF_SECRET),
    B("proxy_server_ssl_verify", "on"),
    S("proxy_stream_access_log", "logs/access.log basic"),
    S("proxy_stream_error_log", "logs/error.log"),
    B("request_debug", "on"),
    T("request_debug_token", "", CONF_SECRET),
    A("resolver_address", ""),
    N("resolver_error_ttl", "1"),
    A("resolver_family", "A,SRV"),
    S("resolver_hosts_file", "/etc/hosts"),
    N("resolver_lru_cache_size", "10000"),
    S("resolver_mem_cache_size", "5m"),
    N("resolver_stale_ttl", "3600"),
    N("resolver_valid_ttl", ""),
    E("role", "traditional", conf_roles),
    E("router_flavor", "traditional_compatible", conf_flavors),
    { "snapshot_history", CONF_NUMBER, "10", NULL, CONF_MIN|CONF_INTEGER, 1,
      0, "1 or greater" },
    AX("ssl_cert", "", FILE_TEXT),
    AX("ssl_cert_key", "", CONF_SECRET|FILE_TEXT),
    S("ssl_cipher_suite", "intermediate"),
    S("ssl_ciphers", ""),
    T("ssl_dhparam", "", FILE_TEXT),
    NB("ssl_prefer_server_ciphers", "on"),
    S("ssl_protocols", "TLSv1.2 TLSv1.3"),
    S("ssl_session_cache_size", "10m"),
    NB("ssl_session_tickets", "on"),
    S("ssl_session_timeout", "1d"),
    S("status_access_log", "off"),
    S("status_error_log", "logs/status_error.log"),
    A("status_listen", "127.0.0.1:8007 reuseport backlog=16384"),
    AX("status_ssl_cert", "", FILE_TEXT),
    AX("status_ssl_cert_key", "", CONF_SECRET|FILE_TEXT),
    A("stream_listen", "off"),
    A("tracing_instrumentations", "off"),
    N("tracing_sampling_rate", "0.01"),
    A("trusted_ips", ""),
    E("untrusted_lua", "sandbox", conf_lua),
    A("untrusted_lua_sandbox_environment", ""),
    A("untrusted_lua_sandbox_requires", ""),
    NM("upstream_keepalive_idle_timeout", "60", 0, "0 or greater"),
    NM("upstream_keepalive_max_requests", "10000", 0, "0 or greater"),
    NM("upstream_keepalive_pool_size", "512", 0, "0 or greater"),
    S("vault_env_prefix", ""),
    A("vaults", "bundled"),
    B("wasm", "off"),
    A("wasm_filters", "bundled,user"),
    T("wasm_filters_path", "", CONF_PATH),
    E("worker_consistency", "eventual", conf_consistency),
    N("worker_events_max_payload", "65535"),
    N("worker_state_update_frequency", "5"),
};

const size_t  conf_n_settings = sizeof(conf_settings)
                                / sizeof(conf_settings[0]);


/* stronger than its target: the target gets the value */
const conf_alias_t  conf_aliases[] = {
    { "nginx_daemon", "nginx_main_daemon", 0 },
    { "nginx_user", "nginx_main_user", 0 },
    { "nginx_worker_processes", "nginx_main_worker_processes", 0 },
    { "opentelemetry_tracing", "tracing_instrumentations", 1 },
    { "opentelemetry_tracing_sampling_rate", "tracing_sampling_rate", 1 },
    { "privileged_worker", "dedicated_config_processing", 1 },
    { "real_ip_header", "nginx_proxy_real_ip_header", 0 },
    { "real_ip_recursive", "nginx_proxy_real_ip_recursive", 0 },
    { "router_consistency", "worker_consistency", 1 },
    { NULL, NULL, 0 }
};


static const conf_suite_t  conf_suites[] = {
    { "fips", "TLSv1.2", "TLSv1.2+FIPS:kRSA+FIPS:!eNULL:!aNULL", NULL, "on" },
    { "intermediate", "TLSv1.2 TLSv1.3",
      "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
      "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
      "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
      "DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:"
      "DHE-RSA-CHACHA20-POLY1305", "ffdhe2048", "off" },
    { "modern", "TLSv1.3", NULL, NULL, "off" },
    { "old", "TLSv1 TLSv1.1 TLSv1.2 TLSv1.3",
      "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
      "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
      "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
      "DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:"
      "DHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-SHA256:"
      "ECDHE-RSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA:"
      "ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA384:"
      "ECDHE-RSA-AES256-SHA384:ECDHE-ECDSA-AES256-SHA:"
      "ECDHE-RSA-AES256-SHA:DHE-RSA-AES128-SHA256:DHE-RSA-AES256-SHA256:"
      "AES128-GCM-SHA256:AES256-GCM-SHA384:AES128-SHA256:AES256-SHA256:"
      "AES128-SHA:AES256-SHA:DES-CBC3-SHA:@SECLEVEL=0", NULL, "on" },
    { NULL, NULL, NULL, NULL, NULL }
};


static int conf_setting_cmp(const void *key, const void *elt);


const conf_setting_t *
conf_setting(const char *name)
{
    return bsearch(name, conf_settings, conf_n_settings,
                   sizeof(conf_setting_t), conf_setting_cmp);
}


const conf_suite_t *
conf_suite(const char *name)
{
    const conf_suite_t  *s;

    for (s = conf_suites; s->name != NULL; s++) {
        if (strcmp(s->name, name) == 0) {
            return s;
        }
    }

    return NULL;
}


static int
conf_setting_cmp(const void *key, const void *elt)
{
    return strcmp(key, ((const conf_setting_t *) elt)->name);
}
