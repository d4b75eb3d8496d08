/*
 * Every plugin that the module has; a test holds the names against the
 * daemon's schemas.  The order here means nothing: priorities are the
 * compiler's.
 */

#include "ngx_kong_plugin.h"


extern const ngx_kong_plugin_t  ngx_kong_acl;
extern const ngx_kong_plugin_t  ngx_kong_basic_auth;
extern const ngx_kong_plugin_t  ngx_kong_bot_detection;
extern const ngx_kong_plugin_t  ngx_kong_closed;
extern const ngx_kong_plugin_t  ngx_kong_correlation_id;
extern const ngx_kong_plugin_t  ngx_kong_cors;
extern const ngx_kong_plugin_t  ngx_kong_file_log;
extern const ngx_kong_plugin_t  ngx_kong_hmac_auth;
extern const ngx_kong_plugin_t  ngx_kong_http_log;
extern const ngx_kong_plugin_t  ngx_kong_ip_restriction;
extern const ngx_kong_plugin_t  ngx_kong_jwt;
extern const ngx_kong_plugin_t  ngx_kong_key_auth;
extern const ngx_kong_plugin_t  ngx_kong_ldap_auth;
extern const ngx_kong_plugin_t  ngx_kong_loggly;
extern const ngx_kong_plugin_t  ngx_kong_oauth2;
extern const ngx_kong_plugin_t  ngx_kong_prometheus;
extern const ngx_kong_plugin_t  ngx_kong_proxy_cache;
extern const ngx_kong_plugin_t  ngx_kong_rate_limiting;
extern const ngx_kong_plugin_t  ngx_kong_redirect;
extern const ngx_kong_plugin_t  ngx_kong_request_size_limiting;
extern const ngx_kong_plugin_t  ngx_kong_request_termination;
extern const ngx_kong_plugin_t  ngx_kong_request_transformer;
extern const ngx_kong_plugin_t  ngx_kong_response_ratelimiting;
extern const ngx_kong_plugin_t  ngx_kong_response_transformer;
extern const ngx_kong_plugin_t  ngx_kong_session;
extern const ngx_kong_plugin_t  ngx_kong_syslog;
extern const ngx_kong_plugin_t  ngx_kong_tcp_log;
extern const ngx_kong_plugin_t  ngx_kong_udp_log;


const ngx_kong_plugin_t *const  ngx_kong_plugins[] = {
    &ngx_kong_acl,
    &ngx_kong_basic_auth,
    &ngx_kong_bot_detection,
    &ngx_kong_closed,
    &ngx_kong_correlation_id,
    &ngx_kong_cors,
    &ngx_kong_file_log,
    &ngx_kong_hmac_auth,
    &ngx_kong_http_log,
    &ngx_kong_ip_restriction,
    &ngx_kong_jwt,
    &ngx_kong_key_auth,
    &ngx_kong_ldap_auth,
    &ngx_kong_loggly,
    &ngx_kong_oauth2,
    &ngx_kong_prometheus,
    &ngx_kong_proxy_cache,
    &ngx_kong_rate_limiting,
    &ngx_kong_redirect,
    &ngx_kong_request_size_limiting,
    &ngx_kong_request_termination,
    &ngx_kong_request_transformer,
    &ngx_kong_response_ratelimiting,
    &ngx_kong_response_transformer,
    &ngx_kong_session,
    &ngx_kong_syslog,
    &ngx_kong_tcp_log,
    &ngx_kong_udp_log,
    NULL
};
