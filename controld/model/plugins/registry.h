/*
 * registry.h: the plugins' tables, one a plugin, for registry.c and for the
 * files that define them.
 */

#ifndef KONG_PLUGINS_REGISTRY_H
#define KONG_PLUGINS_REGISTRY_H

#include "../schema.h"


extern const plugin_schema_t  plugin_acl;
extern const plugin_schema_t  plugin_acme;
extern const plugin_schema_t  plugin_ai_prompt_decorator;
extern const plugin_schema_t  plugin_ai_prompt_guard;
extern const plugin_schema_t  plugin_ai_prompt_template;
extern const plugin_schema_t  plugin_ai_proxy;
extern const plugin_schema_t  plugin_ai_request_transformer;
extern const plugin_schema_t  plugin_ai_response_transformer;
extern const plugin_schema_t  plugin_aws_lambda;
extern const plugin_schema_t  plugin_azure_functions;
extern const plugin_schema_t  plugin_basic_auth;
extern const plugin_schema_t  plugin_bot_detection;
extern const plugin_schema_t  plugin_correlation_id;
extern const plugin_schema_t  plugin_cors;
extern const plugin_schema_t  plugin_datadog;
extern const plugin_schema_t  plugin_file_log;
extern const plugin_schema_t  plugin_grpc_gateway;
extern const plugin_schema_t  plugin_grpc_web;
extern const plugin_schema_t  plugin_hmac_auth;
extern const plugin_schema_t  plugin_http_log;
extern const plugin_schema_t  plugin_ip_restriction;
extern const plugin_schema_t  plugin_jwt;
extern const plugin_schema_t  plugin_key_auth;
extern const plugin_schema_t  plugin_ldap_auth;
extern const plugin_schema_t  plugin_loggly;
extern const plugin_schema_t  plugin_oauth2;
extern const plugin_schema_t  plugin_opentelemetry;
extern const plugin_schema_t  plugin_post_function;
extern const plugin_schema_t  plugin_pre_function;
extern const plugin_schema_t  plugin_prometheus;
extern const plugin_schema_t  plugin_proxy_cache;
extern const plugin_schema_t  plugin_rate_limiting;
extern const plugin_schema_t  plugin_redirect;
extern const plugin_schema_t  plugin_request_size_limiting;
extern const plugin_schema_t  plugin_request_termination;
extern const plugin_schema_t  plugin_request_transformer;
extern const plugin_schema_t  plugin_response_ratelimiting;
extern const plugin_schema_t  plugin_response_transformer;
extern const plugin_schema_t  plugin_session;
extern const plugin_schema_t  plugin_standard_webhooks;
extern const plugin_schema_t  plugin_statsd;
extern const plugin_schema_t  plugin_syslog;
extern const plugin_schema_t  plugin_tcp_log;
extern const plugin_schema_t  plugin_udp_log;
extern const plugin_schema_t  plugin_zipkin;

#endif
