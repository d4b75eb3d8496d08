/*
 * The plugins' tables: what a minimal configuration is completed to, what is
 * refused and with which words, what is accepted, what the deprecated names
 * become.  JSON is written with ` for ".
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controld/model/json.h"
#include "controld/model/schema.h"


typedef struct {
    const char  *plugin;
    const char  *config;
    const char  *expect;
} config_case_t;

typedef struct {
    const char  *plugin;
    unsigned     database;
    const char  *entity;
    const char  *errors;
} error_case_t;

typedef struct {
    const char  *plugin;
    const char  *config;
    const char  *path;
    const char  *expect;
} value_case_t;


/* a minimal configuration, and all of it */
static const config_case_t  defaults[] = {
    { "acl",
      "{`allow`:[`g`]}",
      "{`allow`:[`g`],`deny`:null,`hide_groups_header`:false,"
      "`always_use_authenticated_groups`:false}" },
    { "acme",
      "{`account_email`:`a@b.test`}",
      "{`account_email`:`a@b.test`,`account_key`:null,"
      "`api_uri`:`https://acme-v02.api.letsencrypt.org/directory`,"
      "`tos_accepted`:false,`eab_kid`:null,`eab_hmac_key`:null,"
      "`cert_type`:`rsa`,`rsa_key_size`:4096,`renew_threshold_days`:14,"
      "`domains`:null,`allow_any_domain`:false,`fail_backoff_minutes`:5,"
      "`storage`:`shm`,`storage_config`:{`shm`:{`shm_name`:`kong`},"
      "`kong`:{},`redis`:{`host`:null,`port`:6379,`timeout`:2000,"
      "`username`:null,`password`:null,`database`:0,`ssl`:false,"
      "`ssl_verify`:false,`server_name`:null,"
      "`extra_options`:{`namespace`:``,`scan_count`:10}},"
      "`consul`:{`https`:false,`host`:null,`port`:null,`kv_path`:null,"
      "`timeout`:null,`token`:null},`vault`:{`https`:false,`host`:null,"
      "`port`:null,`kv_path`:null,`timeout`:null,`token`:null,"
      "`tls_verify`:true,`tls_server_name`:null,`auth_method`:`token`,"
      "`auth_path`:null,`auth_role`:null,`jwt_path`:null}},"
      "`preferred_chain`:null,`enable_ipv4_common_name`:true}" },
    { "ai-prompt-decorator",
      "{`prompts`:{`append`:[{`content`:`c`}]}}",
      "{`prompts`:{`prepend`:null,`append`:[{`role`:`system`,"
      "`content`:`c`}]},`max_request_body_size`:8192,`llm_format`:`openai`}" },
    { "ai-prompt-guard",
      "{`deny_patterns`:[`x`]}",
      "{`allow_patterns`:null,`deny_patterns`:[`x`],"
      "`allow_all_conversation_history`:false,`max_request_body_size`:8192,"
      "`match_all_roles`:false,`llm_format`:`openai`}" },
    { "ai-prompt-template",
      "{`templates`:[{`name`:`n`,`template`:`t`}]}",
      "{`templates`:[{`name`:`n`,`template`:`t`}],"
      "`allow_untemplated_requests`:true,`log_original_request`:false,"
      "`max_request_body_size`:8192}" },
    { "ai-proxy",
      "{`route_type`:`llm/v1/chat`,`model`:{`provider`:`openai`}}",
      "{`route_type`:`llm/v1/chat`,`auth`:null,"
      "`model`:{`provider`:`openai`,`name`:null,`options`:null},"
      "`logging`:{`log_statistics`:false,`log_payloads`:false},"
      "`response_streaming`:`allow`,`max_request_body_size`:8192,"
      "`model_name_header`:true,`llm_format`:`openai`}" },
    { "ai-request-transformer",
      "{`prompt`:`p`,`llm`:{`route_type`:`llm/v1/chat`,"
      "`model`:{`provider`:`openai`}}}",
      "{`prompt`:`p`,`transformation_extract_pattern`:null,"
      "`http_timeout`:60000,`https_verify`:true,"
      "`max_request_body_size`:8192,`http_proxy_host`:null,"
      "`http_proxy_port`:null,`https_proxy_host`:null,"
      "`https_proxy_port`:null,`llm`:{`route_type`:`llm/v1/chat`,"
      "`auth`:null,`model`:{`provider`:`openai`,`name`:null,"
      "`options`:null},`logging`:{`log_statistics`:false,"
      "`log_payloads`:false}}}" },
    { "ai-response-transformer",
      "{`prompt`:`p`,`llm`:{`route_type`:`llm/v1/chat`,"
      "`model`:{`provider`:`openai`}}}",
      "{`prompt`:`p`,`transformation_extract_pattern`:null,"
      "`http_timeout`:60000,`https_verify`:true,"
      "`max_request_body_size`:8192,`http_proxy_host`:null,"
      "`http_proxy_port`:null,`https_proxy_host`:null,"
      "`https_proxy_port`:null,`llm`:{`route_type`:`llm/v1/chat`,"
      "`auth`:null,`model`:{`provider`:`openai`,`name`:null,"
      "`options`:null},`logging`:{`log_statistics`:false,"
      "`log_payloads`:false}},`parse_llm_response_json_instructions`:false}" },
    { "aws-lambda",
      "{}",
      "{`timeout`:60000,`keepalive`:60000,`aws_key`:null,`aws_secret`:null,"
      "`aws_assume_role_arn`:null,`aws_role_session_name`:`kong`,"
      "`aws_sts_endpoint_url`:null,`aws_region`:null,`function_name`:null,"
      "`qualifier`:null,`invocation_type`:`RequestResponse`,"
      "`log_type`:`Tail`,`host`:null,`port`:443,`disable_https`:false,"
      "`unhandled_status`:null,`forward_request_method`:false,"
      "`forward_request_uri`:false,`forward_request_headers`:false,"
      "`forward_request_body`:false,`is_proxy_integration`:false,"
      "`awsgateway_compatible`:false,`proxy_url`:null,"
      "`skip_large_bodies`:true,`base64_encode_body`:true,"
      "`aws_imds_protocol_version`:`v1`,`empty_arrays_mode`:`legacy`}" },
    { "azure-functions",
      "{`appname`:`a`,`functionname`:`f`}",
      "{`timeout`:600000,`keepalive`:60000,`https`:true,"
      "`https_verify`:false,`apikey`:null,`clientid`:null,`appname`:`a`,"
      "`hostdomain`:`azurewebsites.net`,`routeprefix`:`api`,"
      "`functionname`:`f`}" },
    { "basic-auth",
      "{}",
      "{`anonymous`:null,`hide_credentials`:false,`realm`:`service`}" },
    { "bot-detection",
      "{}",
      "{`allow`:[],`deny`:[]}" },
    { "correlation-id",
      "{}",
      "{`header_name`:`Kong-Request-ID`,`generator`:`uuid#counter`,"
      "`echo_downstream`:false}" },
    { "cors",
      "{}",
      "{`origins`:null,`headers`:null,`exposed_headers`:null,"
      "`methods`:[`GET`,`HEAD`,`PUT`,`PATCH`,`POST`,`DELETE`,`OPTIONS`,"
      "`TRACE`,`CONNECT`],`max_age`:null,`credentials`:false,"
      "`private_network`:false,`preflight_continue`:false}" },
    { "datadog",
      "{}",
      "{`host`:`localhost`,`port`:8125,`prefix`:`kong`,"
      "`service_name_tag`:`name`,`status_tag`:`status`,"
      "`consumer_tag`:`consumer`,`retry_count`:null,`queue_size`:null,"
      "`flush_timeout`:null,`queue`:{`max_batch_size`:1,"
      "`max_coalescing_delay`:1,`max_entries`:10000,`max_bytes`:null,"
      "`max_retry_time`:60,`initial_retry_delay`:0.01,`max_retry_delay`:60,"
      "`concurrency_limit`:1},`metrics`:[{`name`:`request_count`,"
      "`stat_type`:`counter`,`tags`:[`app:kong`],`sample_rate`:1,"
      "`consumer_identifier`:`custom_id`},{`name`:`latency`,"
      "`stat_type`:`timer`,`tags`:[`app:kong`],`sample_rate`:null,"
      "`consumer_identifier`:`custom_id`},{`name`:`request_size`,"
      "`stat_type`:`timer`,`tags`:[`app:kong`],`sample_rate`:null,"
      "`consumer_identifier`:`custom_id`},{`name`:`response_size`,"
      "`stat_type`:`timer`,`tags`:[`app:kong`],`sample_rate`:null,"
      "`consumer_identifier`:`custom_id`},{`name`:`upstream_latency`,"
      "`stat_type`:`timer`,`tags`:[`app:kong`],`sample_rate`:null,"
      "`consumer_identifier`:`custom_id`},{`name`:`kong_latency`,"
      "`stat_type`:`timer`,`tags`:[`app:kong`],`sample_rate`:null,"
      "`consumer_identifier`:`custom_id`}]}" },
    { "file-log",
      "{`path`:`/tmp/a.log`}",
      "{`path`:`/tmp/a.log`,`reopen`:false,`custom_fields_by_lua`:null}" },
    { "grpc-gateway",
      "{}",
      "{`proto`:null}" },
    { "grpc-web",
      "{}",
      "{`proto`:null,`pass_stripped_path`:null,`allow_origin_header`:`*`}" },
    { "hmac-auth",
      "{}",
      "{`hide_credentials`:false,`clock_skew`:300,`anonymous`:null,"
      "`validate_request_body`:false,`enforce_headers`:[],"
      "`algorithms`:[`hmac-sha1`,`hmac-sha256`,`hmac-sha384`,"
      "`hmac-sha512`],`realm`:null}" },
    { "http-log",
      "{`http_endpoint`:`http://h.test/l`}",
      "{`http_endpoint`:`http://h.test/l`,`method`:`POST`,"
      "`content_type`:`application/json`,`timeout`:10000,`keepalive`:60000,"
      "`retry_count`:null,`queue_size`:null,`flush_timeout`:null,"
      "`headers`:null,`queue`:{`max_batch_size`:1,`max_coalescing_delay`:1,"
      "`max_entries`:10000,`max_bytes`:null,`max_retry_time`:60,"
      "`initial_retry_delay`:0.01,`max_retry_delay`:60,"
      "`concurrency_limit`:1},`custom_fields_by_lua`:null}" },
    { "ip-restriction",
      "{`allow`:[`10.0.0.1`]}",
      "{`allow`:[`10.0.0.1`],`deny`:null,`status`:null,`message`:null}" },
    { "jwt",
      "{}",
      "{`uri_param_names`:[`jwt`],`cookie_names`:[],`key_claim_name`:`iss`,"
      "`secret_is_base64`:false,`claims_to_verify`:null,`anonymous`:null,"
      "`run_on_preflight`:true,`maximum_expiration`:0,"
      "`header_names`:[`authorization`],`realm`:null}" },
    { "key-auth",
      "{}",
      "{`key_names`:[`apikey`],`hide_credentials`:false,`anonymous`:null,"
      "`key_in_header`:true,`key_in_query`:true,`key_in_body`:false,"
      "`run_on_preflight`:true,`realm`:null}" },
    { "ldap-auth",
      "{`ldap_host`:`h.test`,`base_dn`:`dc=a`,`attribute`:`cn`}",
      "{`ldap_host`:`h.test`,`ldap_port`:389,`ldaps`:false,"
      "`start_tls`:false,`verify_ldap_host`:false,`base_dn`:`dc=a`,"
      "`attribute`:`cn`,`cache_ttl`:60,`hide_credentials`:false,"
      "`timeout`:10000,`keepalive`:60000,`anonymous`:null,"
      "`header_type`:`ldap`,`realm`:null}" },
    { "loggly",
      "{`key`:`k`}",
      "{`host`:`logs-01.loggly.com`,`port`:514,`key`:`k`,`tags`:[`kong`],"
      "`log_level`:`info`,`successful_severity`:`info`,"
      "`client_errors_severity`:`info`,`server_errors_severity`:`info`,"
      "`timeout`:10000,`custom_fields_by_lua`:null}" },
    { "oauth2",
      "{`enable_password_grant`:true,`provision_key`:`k`}",
      "{`scopes`:null,`mandatory_scope`:false,`provision_key`:`k`,"
      "`token_expiration`:7200,`enable_authorization_code`:false,"
      "`enable_implicit_grant`:false,`enable_client_credentials`:false,"
      "`enable_password_grant`:true,`hide_credentials`:false,"
      "`accept_http_if_already_terminated`:false,`anonymous`:null,"
      "`global_credentials`:false,`auth_header_name`:`authorization`,"
      "`refresh_token_ttl`:1209600,`reuse_refresh_token`:false,"
      "`pkce`:`lax`,`realm`:null}" },
    { "opentelemetry",
      "{`traces_endpoint`:`http://h.test/t`}",
      "{`traces_endpoint`:`http://h.test/t`,`logs_endpoint`:null,"
      "`headers`:null,`resource_attributes`:null,"
      "`queue`:{`max_batch_size`:200,`max_coalescing_delay`:1,"
      "`max_entries`:10000,`max_bytes`:null,`max_retry_time`:60,"
      "`initial_retry_delay`:0.01,`max_retry_delay`:60,"
      "`concurrency_limit`:1},`batch_span_count`:null,"
      "`batch_flush_delay`:null,`connect_timeout`:1000,`send_timeout`:5000,"
      "`read_timeout`:5000,`http_response_header_for_traceid`:null,"
      "`header_type`:`preserve`,`sampling_rate`:null,"
      "`propagation`:{`extract`:null,`clear`:null,`inject`:null,"
      "`default_format`:`w3c`}}" },
    { "post-function",
      "{`log`:[`return 1`]}",
      "{`certificate`:[],`rewrite`:[],`access`:[],`header_filter`:[],"
      "`body_filter`:[],`log`:[`return 1`]}" },
    { "pre-function",
      "{`access`:[`return 1`]}",
      "{`certificate`:[],`rewrite`:[],`access`:[`return 1`],"
      "`header_filter`:[],`body_filter`:[],`log`:[]}" },
    { "prometheus",
      "{}",
      "{`per_consumer`:false,`status_code_metrics`:false,"
      "`ai_metrics`:false,`latency_metrics`:false,"
      "`bandwidth_metrics`:false,`upstream_health_metrics`:false}" },
    { "proxy-cache",
      "{`strategy`:`memory`}",
      "{`response_code`:[200,301,404],`request_method`:[`GET`,`HEAD`],"
      "`content_type`:[`text/plain`,`application/json`],`cache_ttl`:300,"
      "`strategy`:`memory`,`cache_control`:false,`ignore_uri_case`:false,"
      "`storage_ttl`:null,`memory`:{`dictionary_name`:`kong_db_cache`},"
      "`vary_query_params`:null,`vary_headers`:null,"
      "`response_headers`:{`age`:true,`X-Cache-Status`:true,"
      "`X-Cache-Key`:true}}" },
    { "rate-limiting",
      "{`minute`:5}",
      "{`second`:null,`minute`:5,`hour`:null,`day`:null,`month`:null,"
      "`year`:null,`limit_by`:`consumer`,`header_name`:null,`path`:null,"
      "`policy`:`local`,`fault_tolerant`:true,`redis`:{`host`:null,"
      "`port`:6379,`timeout`:2000,`username`:null,`password`:null,"
      "`database`:0,`ssl`:false,`ssl_verify`:false,`server_name`:null},"
      "`hide_client_headers`:false,`error_code`:429,"
      "`error_message`:`API rate limit exceeded`,`sync_rate`:-1}" },
    { "redirect",
      "{`location`:`http://h.test/`}",
      "{`status_code`:301,`location`:`http://h.test/`,"
      "`keep_incoming_path`:false}" },
    { "request-size-limiting",
      "{}",
      "{`allowed_payload_size`:128,`size_unit`:`megabytes`,"
      "`require_content_length`:false}" },
    { "request-termination",
      "{}",
      "{`status_code`:503,`message`:null,`content_type`:null,`body`:null,"
      "`echo`:false,`trigger`:null}" },
    { "request-transformer",
      "{}",
      "{`http_method`:null,`remove`:{`body`:[],`headers`:[],"
      "`querystring`:[]},`rename`:{`body`:[],`headers`:[],"
      "`querystring`:[]},`replace`:{`body`:[],`headers`:[],"
      "`querystring`:[],`uri`:null},`add`:{`body`:[],`headers`:[],"
      "`querystring`:[]},`append`:{`body`:[],`headers`:[],"
      "`querystring`:[]}}" },
    { "response-ratelimiting",
      "{`limits`:{`sms`:{`minute`:1}}}",
      "{`header_name`:`x-kong-limit`,`limit_by`:`consumer`,"
      "`policy`:`local`,`fault_tolerant`:true,`redis`:{`host`:null,"
      "`port`:6379,`timeout`:2000,`username`:null,`password`:null,"
      "`database`:0,`ssl`:false,`ssl_verify`:false,`server_name`:null},"
      "`block_on_first_violation`:false,`hide_client_headers`:false,"
      "`limits`:{`sms`:{`second`:null,`minute`:1,`hour`:null,`day`:null,"
      "`month`:null,`year`:null}}}" },
    { "response-transformer",
      "{}",
      "{`remove`:{`json`:[],`headers`:[]},`rename`:{`json`:[],"
      "`headers`:[]},`replace`:{`json`:[],`json_types`:[],`headers`:[]},"
      "`add`:{`json`:[],`json_types`:[],`headers`:[]},`append`:{`json`:[],"
      "`json_types`:[],`headers`:[]}}" },
    { "session",
      "{`secret`:`s`}",
      "{`secret`:`s`,`storage`:`cookie`,`audience`:`default`,"
      "`idling_timeout`:900,`rolling_timeout`:3600,"
      "`absolute_timeout`:86400,`stale_ttl`:10,`cookie_name`:`session`,"
      "`cookie_path`:`/`,`cookie_domain`:null,`cookie_same_site`:`Strict`,"
      "`cookie_http_only`:true,`cookie_secure`:true,`remember`:false,"
      "`remember_cookie_name`:`remember`,`remember_rolling_timeout`:604800,"
      "`remember_absolute_timeout`:2592000,`response_headers`:null,"
      "`request_headers`:null,`read_body_for_logout`:false,"
      "`logout_methods`:[`POST`,`DELETE`],"
      "`logout_query_arg`:`session_logout`,"
      "`logout_post_arg`:`session_logout`}" },
    { "standard-webhooks",
      "{`secret_v1`:`s`}",
      "{`secret_v1`:`s`,`tolerance_second`:300}" },
    { "statsd",
      "{}",
      "{`host`:`localhost`,`port`:8125,`prefix`:`kong`,"
      "`metrics`:[{`name`:`request_count`,`stat_type`:`counter`,"
      "`sample_rate`:1,`consumer_identifier`:null,"
      "`service_identifier`:null,`workspace_identifier`:null},"
      "{`name`:`latency`,`stat_type`:`timer`,`sample_rate`:null,"
      "`consumer_identifier`:null,`service_identifier`:null,"
      "`workspace_identifier`:null},{`name`:`request_size`,"
      "`stat_type`:`counter`,`sample_rate`:1,`consumer_identifier`:null,"
      "`service_identifier`:null,`workspace_identifier`:null},"
      "{`name`:`status_count`,`stat_type`:`counter`,`sample_rate`:1,"
      "`consumer_identifier`:null,`service_identifier`:null,"
      "`workspace_identifier`:null},{`name`:`response_size`,"
      "`stat_type`:`counter`,`sample_rate`:1,`consumer_identifier`:null,"
      "`service_identifier`:null,`workspace_identifier`:null},"
      "{`name`:`unique_users`,`stat_type`:`set`,`sample_rate`:null,"
      "`consumer_identifier`:null,`service_identifier`:null,"
      "`workspace_identifier`:null},{`name`:`request_per_user`,"
      "`stat_type`:`counter`,`sample_rate`:1,`consumer_identifier`:null,"
      "`service_identifier`:null,`workspace_identifier`:null},"
      "{`name`:`upstream_latency`,`stat_type`:`timer`,`sample_rate`:null,"
      "`consumer_identifier`:null,`service_identifier`:null,"
      "`workspace_identifier`:null},{`name`:`kong_latency`,"
      "`stat_type`:`timer`,`sample_rate`:null,`consumer_identifier`:null,"
      "`service_identifier`:null,`workspace_identifier`:null},"
      "{`name`:`status_count_per_user`,`stat_type`:`counter`,"
      "`sample_rate`:1,`consumer_identifier`:null,"
      "`service_identifier`:null,`workspace_identifier`:null},"
      "{`name`:`status_count_per_workspace`,`stat_type`:`counter`,"
      "`sample_rate`:1,`consumer_identifier`:null,"
      "`service_identifier`:null,`workspace_identifier`:null},"
      "{`name`:`status_count_per_user_per_route`,`stat_type`:`counter`,"
      "`sample_rate`:1,`consumer_identifier`:null,"
      "`service_identifier`:null,`workspace_identifier`:null},"
      "{`name`:`shdict_usage`,`stat_type`:`gauge`,`sample_rate`:1,"
      "`consumer_identifier`:null,`service_identifier`:null,"
      "`workspace_identifier`:null}],`allow_status_codes`:null,"
      "`udp_packet_size`:0,`use_tcp`:false,`hostname_in_prefix`:false,"
      "`consumer_identifier_default`:`custom_id`,"
      "`service_identifier_default`:`service_name_or_host`,"
      "`workspace_identifier_default`:`workspace_id`,`retry_count`:null,"
      "`queue_size`:null,`flush_timeout`:null,`tag_style`:null,"
      "`queue`:{`max_batch_size`:1,`max_coalescing_delay`:1,"
      "`max_entries`:10000,`max_bytes`:null,`max_retry_time`:60,"
      "`initial_retry_delay`:0.01,`max_retry_delay`:60,"
      "`concurrency_limit`:1}}" },
    { "syslog",
      "{}",
      "{`log_level`:`info`,`successful_severity`:`info`,"
      "`client_errors_severity`:`info`,`server_errors_severity`:`info`,"
      "`custom_fields_by_lua`:null,`facility`:`user`}" },
    { "tcp-log",
      "{`host`:`h.test`,`port`:1}",
      "{`host`:`h.test`,`port`:1,`timeout`:10000,`keepalive`:60000,"
      "`tls`:false,`tls_sni`:null,`custom_fields_by_lua`:null}" },
    { "udp-log",
      "{`host`:`h.test`,`port`:1}",
      "{`host`:`h.test`,`port`:1,`timeout`:10000,"
      "`custom_fields_by_lua`:null}" },
    { "zipkin",
      "{}",
      "{`local_service_name`:`kong`,`http_endpoint`:null,"
      "`sample_ratio`:0.001,`default_service_name`:null,"
      "`include_credential`:true,`traceid_byte_count`:16,"
      "`header_type`:`preserve`,`default_header_type`:`b3`,"
      "`tags_header`:`Zipkin-Tags`,`static_tags`:null,"
      "`http_span_name`:`method`,`connect_timeout`:2000,"
      "`send_timeout`:5000,`read_timeout`:5000,"
      "`http_response_header_for_traceid`:null,"
      "`phase_duration_flavor`:`annotations`,`queue`:{`max_batch_size`:1,"
      "`max_coalescing_delay`:1,`max_entries`:10000,`max_bytes`:null,"
      "`max_retry_time`:60,`initial_retry_delay`:0.01,`max_retry_delay`:60,"
      "`concurrency_limit`:1},`propagation`:{`extract`:null,`clear`:null,"
      "`inject`:null,`default_format`:`b3`}}" },    { NULL, NULL, NULL }
};


#define AT_LEAST  "at least one of these fields must be non-empty: "
#define IF_MET    "failed conditional validation given value of field "
#define NO_VALUE  "required field missing"
#define LISTS     "'config.allow', 'config.deny'"
#define PHASES                                                                \
    "'config.certificate', 'config.rewrite', 'config.access', "               \
    "'config.header_filter', 'config.body_filter', 'config.log'"
#define PERIODS                                                               \
    "'config.second', 'config.minute', 'config.hour', 'config.day', "         \
    "'config.month', 'config.year'"
#define PROTOCOLS_HTTP  "expected one of: grpc, grpcs, http, https"
#define PROTOCOLS_ALL                                                         \
    PROTOCOLS_HTTP ", tcp, tls, tls_passthrough, udp"
#define SEVERITIES                                                            \
    "expected one of: debug, info, notice, warning, err, crit, alert, emerg"
#define FORMATS  "b3, gcp, b3-single, jaeger, aws, ot, w3c"
#define A_ROUTE                                                               \
    "`route`:{`id`:`0a0b0c0d-0000-4000-8000-000000000001`}"
#define A_SERVICE                                                             \
    "`service`:{`id`:`0a0b0c0d-0000-4000-8000-000000000002`}"
#define A_CONSUMER                                                            \
    "`consumer`:{`id`:`0a0b0c0d-0000-4000-8000-000000000003`}"


/* what is refused: with a database (1) or without (0) */
static const error_case_t  errors[] = {
    { "acl", 1, "{`config`:{}}",
      "{`@entity`:[`exactly one of these fields must be non-empty: " LISTS
      "`,`" AT_LEAST LISTS "`]}" },
    { "acl", 1, "{`config`:{`allow`:[`a`],`deny`:[`b`]}}",
      "{`@entity`:[`exactly one of these fields must be non-empty: " LISTS
      "`]}" },
    { "acl", 1, "{`config`:{`whitelist`:[`a`]}}",
      "{`config`:{`whitelist`:`unknown field`},"
      "`@entity`:[`exactly one of these fields must be non-empty: " LISTS
      "`,`" AT_LEAST LISTS "`]}" },
    { "acl", 1, "{" A_CONSUMER ",`config`:{`allow`:[`a`]}}",
      "{`consumer`:`value must be null`}" },
    { "acl", 1, "{`protocols`:[`tcp`],`config`:{`allow`:[`a`]}}",
      "{`protocols`:[`" PROTOCOLS_HTTP "`]}" },

    { "acme", 1, "{`config`:{}}",
      "{`config`:{`account_email`:`" NO_VALUE "`}}" },
    { "acme", 1, "{`config`:{`account_email`:`x`}}",
      "{`config`:{`account_email`:`invalid value: x`}}" },
    { "acme", 1, "{" A_ROUTE "," A_SERVICE "," A_CONSUMER
      ",`config`:{`account_email`:`a@b`}}",
      "{`route`:`value must be null`,`service`:`value must be null`,"
      "`consumer`:`value must be null`}" },
    { "acme", 1, "{`config`:{`account_email`:`a@b`,`rsa_key_size`:1024}}",
      "{`config`:{`rsa_key_size`:`expected one of: 2048, 3072, 4096`}}" },
    { "acme", 1, "{`config`:{`account_email`:`a@b`,`api_uri`:`x`}}",
      "{`config`:{`api_uri`:`missing host in url`}}" },
    { "acme", 1, "{`config`:{`account_email`:`a@b`,"
      "`api_uri`:`https://acme-v02.api.letsencrypt.org`}}",
      "{`config`:{`tos_accepted`:`value must be true`},"
      "`@entity`:[`terms of service must be accepted, see "
      "https://letsencrypt.org/repository/`]}" },
    { "acme", 1, "{`config`:{`account_email`:`a@b`,`storage`:`redis`}}",
      "{`config`:{`storage_config`:{`redis`:{`host`:`" NO_VALUE "`}}},"
      "`@entity`:[`" IF_MET "'config.storage'`]}" },
    { "acme", 0, "{`config`:{`account_email`:`a@b`,`storage`:`kong`}}",
      "{`@entity`:[`\\`kong\\` storage can't be used with dbless mode`]}" },
    { "acme", 1, "{`config`:{`account_email`:`a@b`,"
      "`domains`:[`a.test`,`*.a.test`,`a.*`,`a*b`,`*.*`]}}",
      "{`config`:{`domains`:[null,null,null,"
      "`invalid wildcard: must be placed at leftmost or rightmost label`,"
      "`invalid wildcard: must have at most one wildcard`]}}" },
    { "acme", 1, "{`config`:{`account_email`:`a@b`,"
      "`storage_config`:{`shm`:{`shm_name`:`none`}}}}",
      "{`config`:{`storage_config`:{`shm`:{"
      "`shm_name`:`failed validating: none`}}}}" },
    { "acme", 1, "{`config`:{`account_email`:`a@b`,"
      "`storage_config`:{`redis`:{`extra_options`:{"
      "`namespace`:`kong_acme:cert_key:x`}}}}}",
      "{`config`:{`storage_config`:{`redis`:{`extra_options`:{`namespace`:"
      "`namespace can't be prefixed with reserved word: "
      "kong_acme:cert_key:`}}}}}" },

    { "ai-prompt-decorator", 1, "{`config`:{}}",
      "{`@entity`:[`" AT_LEAST
      "'config.prompts.prepend', 'config.prompts.append'`]}" },
    { "ai-prompt-guard", 1, "{`config`:{`deny_patterns`:[`a`],"
      "`match_all_roles`:true,`allow_all_conversation_history`:true}}",
      "{`config`:{`allow_all_conversation_history`:`value must be false`},"
      "`@entity`:[`" IF_MET "'config.match_all_roles'`]}" },
    { "ai-prompt-template", 1, "{`config`:{`templates`:[{`name`:`n`}]}}",
      "{`config`:{`templates`:[{`template`:`" NO_VALUE "`}]}}" },
    { "ai-proxy", 1, "{`config`:{`route_type`:`x`,"
      "`model`:{`provider`:`openai`}}}",
      "{`config`:{`route_type`:`expected one of: llm/v1/chat, "
      "llm/v1/completions, preserve`}}" },
    { "ai-proxy", 1, "{`config`:{`route_type`:`llm/v1/chat`,"
      "`model`:{`provider`:`mistral`}}}",
      "{`config`:{`@entity`:[`must set 'model.options.mistral_format' for "
      "mistral provider`]}}" },
    { "ai-proxy", 1, "{`config`:{`route_type`:`llm/v1/chat`,"
      "`model`:{`provider`:`openai`},`auth`:{`header_name`:`h`}}}",
      "{`config`:{`@entity`:[`all or none of these fields must be set: "
      "'auth.header_name', 'auth.header_value'`]}}" },
    { "ai-request-transformer", 1, "{`config`:{`prompt`:`p`,"
      "`http_proxy_host`:`h`,`llm`:{`route_type`:`preserve`,"
      "`model`:{`provider`:`openai`}}}}",
      "{`config`:{`llm`:{`route_type`:`value must be llm/v1/chat`}},"
      "`@entity`:[`'config.llm.route_type' must be 'llm/v1/chat' for AI "
      "transformer plugins`,`all or none of these fields must be set: "
      "'config.http_proxy_host', 'config.http_proxy_port'`]}" },
    { "ai-response-transformer", 1, "{`config`:{`llm`:{"
      "`route_type`:`llm/v1/chat`,`model`:{`provider`:`openai`}}}}",
      "{`config`:{`prompt`:`" NO_VALUE "`}}" },

    { "aws-lambda", 1, "{`config`:{`aws_key`:`k`}}",
      "{`@entity`:[`all or none of these fields must be set: "
      "'config.aws_key', 'config.aws_secret'`]}" },
    { "aws-lambda", 1, "{`config`:{`proxy_url`:`https://h`}}",
      "{`@entity`:[`proxy_url scheme must be http`]}" },
    { "aws-lambda", 1, "{`config`:{`unhandled_status`:99,`log_type`:`x`}}",
      "{`config`:{`unhandled_status`:`value should be between 100 and 999`,"
      "`log_type`:`expected one of: Tail, None`}}" },

    { "azure-functions", 1, "{`config`:{}}",
      "{`config`:{`appname`:`" NO_VALUE "`,`functionname`:`" NO_VALUE
      "`}}" },
    { "azure-functions", 1, "{`config`:{`appname`:``,"
      "`functionname`:`f`,`https`:1}}",
      "{`config`:{`appname`:`length must be at least 1`,"
      "`https`:`expected a boolean`}}" },

    { "basic-auth", 1, "{`config`:{`hide_credentials`:`yes`}}",
      "{`config`:{`hide_credentials`:`expected a boolean`}}" },
    { "basic-auth", 1, "{`config`:{`realm`:``}}",
      "{`config`:{`realm`:`length must be at least 1`}}" },
    { "basic-auth", 1, "{" A_CONSUMER "}",
      "{`consumer`:`value must be null`}" },

    { "bot-detection", 1, "{`config`:{`deny`:[`(`]}}",
      "{`config`:{`deny`:[`not a valid regex: (`]}}" },
    { "bot-detection", 1, "{`config`:{`allow`:[`a`],`message`:`m`}}",
      "{`config`:{`message`:`unknown field`}}" },

    { "correlation-id", 1, "{`config`:{`generator`:`x`}}",
      "{`config`:{`generator`:"
      "`expected one of: uuid, uuid#counter, tracker`}}" },
    { "correlation-id", 1, "{`config`:{`echo_downstream`:null}}",
      "{`config`:{`echo_downstream`:`" NO_VALUE "`}}" },

    { "cors", 1, "{`config`:{`methods`:[`FOO`]}}",
      "{`config`:{`methods`:[`expected one of: GET, HEAD, PUT, PATCH, POST, "
      "DELETE, OPTIONS, TRACE, CONNECT`]}}" },
    { "cors", 1, "{`config`:{`origins`:[`*`,`[`]}}",
      "{`config`:{`origins`:[null,`'[' is not a valid regex`]}}" },
    { "cors", 1, "{`config`:{`max_age`:`x`}}",
      "{`config`:{`max_age`:`expected a number`}}" },

    { "datadog", 1, "{`config`:{`metrics`:[{`name`:`latency`,"
      "`stat_type`:`counter`}]}}",
      "{`config`:{`metrics`:[{`sample_rate`:`" NO_VALUE "`,"
      "`@entity`:[`" IF_MET "'stat_type'`]}]}}" },
    { "datadog", 1, "{`config`:{`host`:`h:1`,`port`:70000}}",
      "{`config`:{`host`:`must not have a port`,"
      "`port`:`value should be between 0 and 65535`}}" },
    { "datadog", 1, "{`config`:{`metrics`:[{`name`:`latency`,"
      "`stat_type`:`timer`,`tags`:[`a:`]}]}}",
      "{`config`:{`metrics`:[{`tags`:[`invalid value: a:`]}]}}" },

    { "file-log", 1, "{`config`:{}}", "{`config`:{`path`:`" NO_VALUE "`}}" },
    { "file-log", 1, "{`config`:{`path`:`bad\\\\path*`}}",
      "{`config`:{`path`:`not a valid filename`}}" },
    { "file-log", 1, "{`config`:{`path`:`/a`,"
      "`custom_fields_by_lua`:{`a`:`retrn 1`}}}",
      "{`config`:{`custom_fields_by_lua`:`Error parsing function: "
      "[string \\`retrn 1\\`]:1: '=' expected near '1'`}}" },

    { "grpc-gateway", 1, "{`config`:{`proto`:1}}",
      "{`config`:{`proto`:`expected a string`}}" },
    { "grpc-web", 1, "{`config`:{`allow_origin_header`:``}}",
      "{`config`:{`allow_origin_header`:`length must be at least 1`}}" },

    { "hmac-auth", 1, "{`config`:{`algorithms`:[`md5`],`clock_skew`:0}}",
      "{`config`:{`algorithms`:[`expected one of: hmac-sha1, hmac-sha256, "
      "hmac-sha384, hmac-sha512`],"
      "`clock_skew`:`value must be greater than 0`}}" },
    { "hmac-auth", 1, "{" A_CONSUMER "}",
      "{`consumer`:`value must be null`}" },

    { "http-log", 1, "{`config`:{}}",
      "{`config`:{`http_endpoint`:`" NO_VALUE "`}}" },
    { "http-log", 1, "{`config`:{`http_endpoint`:`nope`}}",
      "{`config`:{`http_endpoint`:`missing host in url`}}" },
    { "http-log", 1, "{`config`:{`http_endpoint`:`http://h`,"
      "`headers`:{`HOST`:`h`}}}",
      "{`config`:{`headers`:`cannot contain 'Host' header`}}" },
    { "http-log", 1, "{`config`:{`http_endpoint`:`http://h`,"
      "`headers`:{`content-type`:`h`}}}",
      "{`config`:{`headers`:`cannot contain 'Content-Type' header`}}" },
    { "http-log", 1, "{`config`:{`http_endpoint`:`http://h`,"
      "`headers`:{`a b`:`h`}}}",
      "{`config`:{`headers`:`bad header name 'a b', allowed characters are "
      "A-Z, a-z, 0-9, '_', and '-'`}}" },
    { "http-log", 1, "{`config`:{`http_endpoint`:`http://u:p@h/`,"
      "`headers`:{`AUTHORIZATION`:`h`}}}",
      "{`config`:`specifying both an 'Authorization' header and user info "
      "in 'http_endpoint' is not allowed`}" },
    { "http-log", 1, "{`config`:{`http_endpoint`:`http://h`,"
      "`queue`:{`max_batch_size`:0,`concurrency_limit`:2}}}",
      "{`config`:{`queue`:{"
      "`max_batch_size`:`value should be between 1 and 1000000`,"
      "`concurrency_limit`:`expected one of: -1, 1`}}}" },

    { "ip-restriction", 1, "{`config`:{}}",
      "{`@entity`:[`" AT_LEAST LISTS "`]}" },
    { "ip-restriction", 1, "{`config`:{`allow`:[`10.0.0.1`,`300.1.1.1`]}}",
      "{`config`:{`allow`:[null,`invalid ip or cidr range: '300.1.1.1'`]}}" },
    { "ip-restriction", 1, "{`protocols`:[`ws`],`config`:{`deny`:[`::1`]}}",
      "{`protocols`:[`" PROTOCOLS_ALL "`]}" },

    { "jwt", 1, "{`config`:{`claims_to_verify`:[`iat`]}}",
      "{`config`:{`claims_to_verify`:[`expected one of: exp, nbf`]}}" },
    { "jwt", 1, "{`config`:{`claims_to_verify`:[`nbf`],"
      "`maximum_expiration`:5}}",
      "{`config`:{`claims_to_verify`:`expected to contain: exp`},"
      "`@entity`:[`" IF_MET "'config.maximum_expiration'`]}" },
    { "jwt", 1, "{`config`:{`maximum_expiration`:-1}}",
      "{`config`:{`maximum_expiration`:"
      "`value should be between 0 and 31536000`}}" },

    { "key-auth", 1, "{`config`:{`key_names`:[`a b`]}}",
      "{`config`:{`key_names`:[`bad header name 'a b', allowed characters "
      "are A-Z, a-z, 0-9, '_', and '-'`]}}" },
    { "key-auth", 1, "{`config`:{`key_names`:`apikey`}}",
      "{`config`:{`key_names`:`expected an array`}}" },
    { "key-auth", 1, "{" A_CONSUMER "}",
      "{`consumer`:`value must be null`}" },

    { "ldap-auth", 1, "{`config`:{`ldap_host`:`h`,`base_dn`:`d`,"
      "`attribute`:`a`,`ldaps`:true,`start_tls`:true}}",
      "{`config`:{`start_tls`:`value must be false`,`@entity`:["
      "`'ldaps' and 'start_tls' cannot be enabled simultaneously`]}}" },
    { "ldap-auth", 1, "{`config`:{`ldap_host`:`h`}}",
      "{`config`:{`base_dn`:`" NO_VALUE "`,`attribute`:`" NO_VALUE "`}}" },

    { "loggly", 1, "{`config`:{`log_level`:`x`}}",
      "{`config`:{`key`:`" NO_VALUE "`,`log_level`:`" SEVERITIES "`}}" },
    { "loggly", 1, "{`config`:{`key`:`k`,`custom_fields_by_lua`:{`a`:``}}}",
      "{`config`:{`custom_fields_by_lua`:`length must be at least 1`}}" },

    { "oauth2", 1, "{`config`:{}}",
      "{`config`:`at least one of these fields must be true: "
      "enable_authorization_code, enable_implicit_grant, "
      "enable_client_credentials, enable_password_grant`}" },
    { "oauth2", 1, "{`config`:{`enable_implicit_grant`:true,"
      "`mandatory_scope`:true}}",
      "{`config`:{`scopes`:`" NO_VALUE "`,"
      "`@entity`:[`" IF_MET "'mandatory_scope'`]}}" },
    { "oauth2", 1, "{`config`:{`enable_implicit_grant`:true,`pkce`:`x`,"
      "`refresh_token_ttl`:-1}}",
      "{`config`:{`pkce`:`expected one of: none, lax, strict`,"
      "`refresh_token_ttl`:`value should be between 0 and 100000000`}}" },

    { "opentelemetry", 1, "{`config`:{}}",
      "{`config`:{`@entity`:[`" AT_LEAST
      "'traces_endpoint', 'logs_endpoint'`]}}" },
    { "opentelemetry", 1, "{`config`:{`traces_endpoint`:`http://h`,"
      "`sampling_rate`:2,`propagation`:{`extract`:[`b3-single`],"
      "`default_format`:`x`}}}",
      "{`config`:{`sampling_rate`:`value should be between 0 and 1`,"
      "`propagation`:{`extract`:[`expected one of: datadog, b3, gcp, jaeger, "
      "aws, ot, w3c`],`default_format`:`expected one of: datadog, " FORMATS
      "`}}}" },
    { "opentelemetry", 1, "{`config`:{`traces_endpoint`:`http://h`,"
      "`propagation`:{}}}",
      "{`config`:{`propagation`:{`default_format`:`" NO_VALUE "`}}}" },
    { "opentelemetry", 1, "{`config`:{`endpoint`:`nope`}}",
      "{`endpoint`:`missing host in url`}" },

    { "post-function", 1, "{`config`:{}}",
      "{`@entity`:[`" AT_LEAST PHASES "`]}" },
    { "post-function", 1, "{`config`:{`log`:[`return 1`,`x x`]}}",
      "{`config`:{`log`:[null,`error parsing post-function: "
      "[string \\`x x\\`]:1: '=' expected near 'x'`]}}" },
    { "pre-function", 1, "{`config`:{`access`:[`\\u001bLua`]}}",
      "{`config`:{`access`:[`error parsing pre-function: attempt to load "
      "chunk with wrong mode`]}}" },
    { "pre-function", 1, "{" A_CONSUMER ",`config`:{`ws_close`:[],"
      "`log`:[`x()`]}}",
      "{`consumer`:`value must be null`,"
      "`config`:{`ws_close`:`unknown field`}}" },

    { "prometheus", 1, "{`config`:{`per_consumer`:1,`x`:1}}",
      "{`config`:{`per_consumer`:`expected a boolean`,"
      "`x`:`unknown field`}}" },

    { "proxy-cache", 1, "{`config`:{}}",
      "{`config`:{`strategy`:`" NO_VALUE "`}}" },
    { "proxy-cache", 1, "{`config`:{`strategy`:`disk`,`response_code`:[]}}",
      "{`config`:{`strategy`:`expected one of: memory`,"
      "`response_code`:`length must be at least 1`}}" },
    { "proxy-cache", 1, "{`config`:{`strategy`:`memory`,"
      "`memory`:{`dictionary_name`:`x`}}}",
      "{`@entity`:[`missing shared dict 'x'`]}" },

    { "rate-limiting", 1, "{`config`:{}}",
      "{`@entity`:[`" AT_LEAST PERIODS "`]}" },
    { "rate-limiting", 1, "{`config`:{`minute`:0,`foo`:1}}",
      "{`config`:{`minute`:`value must be greater than 0`,"
      "`foo`:`unknown field`}}" },
    { "rate-limiting", 1, "{`config`:{`second`:5,`hour`:1}}",
      "{`config`:`The limit for hour(1.0) cannot be lower than the limit for "
      "second(5.0)`}" },
    { "rate-limiting", 0, "{`config`:{`second`:5,`policy`:`cluster`}}",
      "{`config`:{`policy`:`expected one of: local, redis`}}" },
    { "rate-limiting", 1, "{`config`:{`second`:5,`policy`:`x`}}",
      "{`config`:{`policy`:`expected one of: local, cluster, redis`}}" },
    { "rate-limiting", 1, "{`config`:{`second`:1,`policy`:`redis`}}",
      "{`config`:{`redis`:{`host`:`" NO_VALUE "`}},"
      "`@entity`:[`" IF_MET "'config.policy'`]}" },
    { "rate-limiting", 1, "{`config`:{`second`:1,`limit_by`:`header`}}",
      "{`config`:{`header_name`:`" NO_VALUE "`},"
      "`@entity`:[`" IF_MET "'config.limit_by'`]}" },
    { "rate-limiting", 1, "{`config`:{`second`:1,`limit_by`:`path`}}",
      "{`config`:{`path`:`" NO_VALUE "`},"
      "`@entity`:[`" IF_MET "'config.limit_by'`]}" },
    { "rate-limiting", 1, "{`config`:{`second`:1,`path`:`x`}}",
      "{`config`:{`path`:`should start with: /`}}" },
    { "rate-limiting", 1, "{`config`:{`second`:1,`path`:`/a//b`}}",
      "{`config`:{`path`:`must not have empty segments`}}" },
    { "rate-limiting", 1, "{`config`:{`second`:1,`sync_rate`:1}}",
      "{`config`:`sync_rate can only be used with the redis policy`}" },
    { "rate-limiting", 1, "{`config`:{`second`:1,`sync_rate`:0.01,"
      "`policy`:`redis`,`redis`:{`host`:`h`}}}",
      "{`config`:`sync_rate must be greater than 0.02, or -1 to disable`}" },
    { "rate-limiting", 1, "{`config`:{`second`:1,`redis_port`:`x`}}",
      "{`redis_port`:`expected an integer`}" },
    { "rate-limiting", 1, "{`config`:{`second`:1,`redis_host`:`a`,"
      "`redis`:{`host`:`b`}}}",
      "{`redis_host`:`both deprecated and new field are used but their "
      "values mismatch: redis_host = a vs redis.host = b`}" },

    { "redirect", 1, "{`config`:{}}",
      "{`config`:{`location`:`" NO_VALUE "`}}" },
    { "redirect", 1, "{`config`:{`location`:`/a`,`status_code`:600}}",
      "{`config`:{`location`:`missing host in url`,"
      "`status_code`:`value should be between 100 and 599`}}" },

    { "request-size-limiting", 1, "{`config`:{`size_unit`:`gigs`}}",
      "{`config`:{`size_unit`:"
      "`expected one of: megabytes, kilobytes, bytes`}}" },
    { "request-size-limiting", 1, "{`config`:{`allowed_payload_size`:1.5}}",
      "{`config`:{`allowed_payload_size`:`expected an integer`}}" },

    { "request-termination", 1, "{`config`:{`status_code`:99}}",
      "{`config`:{`status_code`:`value should be between 100 and 599`}}" },
    { "request-termination", 1, "{`config`:{`message`:`a`,`body`:`b`}}",
      "{`config`:`message cannot be used with content_type or body`}" },
    { "request-termination", 1, "{`config`:{`content_type`:`a`}}",
      "{`config`:`content_type requires a body`}" },
    { "request-termination", 1, "{`config`:{`echo`:true,`body`:`a`}}",
      "{`config`:`echo cannot be used with content_type and body`}" },
    { "request-termination", 1, "{`config`:{`trigger`:`a b`}}",
      "{`config`:{`trigger`:`bad header name 'a b', allowed characters are "
      "A-Z, a-z, 0-9, '_', and '-'`}}" },

    { "request-transformer", 1, "{`config`:{`add`:{`headers`:"
      "[`a:b`,`no-colon`,`a b:c`]}}}",
      "{`config`:{`add`:{`headers`:[null,`invalid value: no-colon`,"
      "`'a b' is not a valid header`]}}}" },
    { "request-transformer", 1, "{`config`:{`http_method`:`get`}}",
      "{`config`:{`http_method`:`invalid value: get`}}" },
    { "request-transformer", 1, "{`config`:{`rename`:{"
      "`headers`:[`a:b c`,`a:`],`body`:[`x`]}}}",
      "{`config`:{`rename`:{`headers`:[`'b c' is not a valid header`,"
      "`'' is not a valid header`],`body`:[`key 'x' has no value`]}}}" },
    { "request-transformer", 1, "{`config`:{`add`:{`querystring`:"
      "[`a:$(x y)`],`body`:[`:v`]}}}",
      "{`config`:{`add`:{`querystring`:[`value '$(x y)' is not in supported "
      "format, error:[string \\`TMP\\`]:1: ')' expected near 'y'`],"
      "`body`:[`key '' has no value`]}}}" },
    { "request-transformer", 1, "{`config`:{`remove`:{`headers`:[`a b`]}}}",
      "{`config`:{`remove`:{`headers`:[`'a b' is not a valid header`]}}}" },

    { "response-ratelimiting", 1, "{`config`:{}}",
      "{`config`:{`limits`:`" NO_VALUE "`}}" },
    { "response-ratelimiting", 1, "{`config`:{`limits`:{}}}",
      "{`config`:{`limits`:`length must be at least 1`}}" },
    { "response-ratelimiting", 1, "{`config`:{`limits`:{`a`:{"
      "`minute`:5,`day`:1}}}}",
      "{`config`:{`limits`:`the limit for day(1.0) cannot be lower than the "
      "limit for minute(5.0)`}}" },
    { "response-ratelimiting", 1, "{`config`:{`limits`:{`a`:{}}}}",
      "{`config`:{`limits`:{`@entity`:[`" AT_LEAST "'second', 'minute', "
      "'hour', 'day', 'month', 'year'`]}}}" },
    { "response-ratelimiting", 0, "{`config`:{`policy`:`cluster`,"
      "`limits`:{`a`:{`day`:1}}}}",
      "{`config`:{`policy`:`expected one of: local, redis`}}" },

    { "response-transformer", 1, "{`config`:{`add`:{`json`:[`a`],"
      "`json_types`:[`array`]},`rename`:{`headers`:[`a:b c`]}}}",
      "{`config`:{`add`:{`json`:[`invalid value: a`],"
      "`json_types`:[`expected one of: boolean, number, string`]},"
      "`rename`:{`headers`:[`'b c' is not a valid header`]}}}" },
    { "response-transformer", 1, "{`config`:{`replace`:{`uri`:`/`}}}",
      "{`config`:{`replace`:{`uri`:`unknown field`}}}" },

    { "session", 1, "{`config`:{`storage`:`redis`,`logout_methods`:[`PUT`],"
      "`response_headers`:[`x`]}}",
      "{`config`:{`storage`:`expected one of: cookie, kong`,"
      "`logout_methods`:[`expected one of: GET, POST, DELETE`],"
      "`response_headers`:[`expected one of: id, audience, subject, timeout, "
      "idling-timeout, rolling-timeout, absolute-timeout`]}}" },
    { "session", 1, "{`config`:{`cookie_lifetime`:`x`}}",
      "{`cookie_lifetime`:`expected a number`}" },

    { "standard-webhooks", 1, "{`config`:{`tolerance_second`:-1}}",
      "{`config`:{`secret_v1`:`" NO_VALUE "`,"
      "`tolerance_second`:`value must be greater than -1`}}" },

    { "statsd", 1, "{`config`:{`metrics`:[{`name`:`x`,"
      "`stat_type`:`gauge`}],`allow_status_codes`:[`200`]}}",
      "{`config`:{`metrics`:[{`name`:`expected one of: kong_latency, "
      "latency, request_count, request_per_user, request_size, "
      "response_size, status_count, status_count_per_user, unique_users, "
      "upstream_latency, status_count_per_workspace, "
      "status_count_per_user_per_route, shdict_usage`,"
      "`sample_rate`:`" NO_VALUE "`,`@entity`:[`" IF_MET "'stat_type'`]}],"
      "`allow_status_codes`:[`invalid value: 200`]}}" },
    { "statsd", 1, "{`config`:{`udp_packet_size`:65508,`tag_style`:`x`}}",
      "{`config`:{`udp_packet_size`:`value should be between 0 and 65507`,"
      "`tag_style`:"
      "`expected one of: dogstatsd, influxdb, librato, signalfx`}}" },

    { "syslog", 1, "{`config`:{`log_level`:`error`,`facility`:`x`}}",
      "{`config`:{`log_level`:`" SEVERITIES "`,`facility`:`expected one of: "
      "auth, authpriv, cron, daemon, ftp, kern, lpr, mail, news, syslog, "
      "user, uucp, local0, local1, local2, local3, local4, local5, local6, "
      "local7`}}" },
    { "tcp-log", 1, "{`config`:{`host`:`-`}}",
      "{`config`:{`host`:`invalid value: -`,`port`:`" NO_VALUE "`}}" },
    { "udp-log", 1, "{`config`:{`host`:`h`,`port`:65536}}",
      "{`config`:{`port`:`value should be between 0 and 65535`}}" },

    { "zipkin", 1, "{`config`:{`traceid_byte_count`:9,"
      "`http_endpoint`:`h`}}",
      "{`config`:{`traceid_byte_count`:`expected one of: 8, 16`,"
      "`http_endpoint`:`missing host in url`}}" },
    { "zipkin", 1, "{`config`:{`static_tags`:[{`name`:`a`,`value`:`1`},"
      "{`name`:`b`,`value`:`1`},{`name`:`a`,`value`:`2`}]}}",
      "{`config`:{`static_tags`:`repeated tags are not allowed: a`}}" },
    { "zipkin", 1, "{`config`:{`static_tags`:[{`name`:`lc`,"
      "`value`:`1`}]}}",
      "{`config`:{`static_tags`:[{`name`:`must not be one of: error, "
      "http.method, http.path, http.status_code, kong.balancer.state, "
      "kong.balancer.try, kong.consumer, kong.credential, kong.node.id, "
      "kong.route, kong.service, lc, peer.hostname`}]}}" },
    { NULL, 0, NULL, NULL }
};


/* what is accepted, and one value of the outcome */
static const value_case_t  values[] = {
    { "acme", "{`account_email`:`{vault://env/mail}`,`domains`:[],"
      "`storage`:`redis`,`storage_config`:{`kong`:[],`redis`:{`host`:`h`,"
      "`auth`:`p`,`ssl_server_name`:`n`,`namespace`:`x`,"
      "`scan_count`:3}}}", "storage_config.redis",
      "{`host`:`h`,`port`:6379,`timeout`:2000,`username`:null,"
      "`password`:`p`,`database`:0,`ssl`:false,`ssl_verify`:false,"
      "`server_name`:`n`,"
      "`extra_options`:{`namespace`:`x`,`scan_count`:3}}" },
    { "ai-proxy", "{`route_type`:`llm/v1/chat`,`model`:{`provider`:`azure`,"
      "`options`:{`azure_instance`:`i`,`azure_deployment_id`:`d`}},"
      "`auth`:{`header_name`:`a`,`header_value`:`{vault://env/key}`}}",
      "model.options.azure_api_version", "`2023-05-15`" },
    { "aws-lambda", "{`proxy_url`:`http://h`,`aws_key`:`k`,"
      "`aws_secret`:`s`}", "proxy_url", "`http://h`" },
    { "bot-detection", "{`allow`:[`curl.*`],`deny`:[`Mozilla/5.0$`]}",
      "allow", "[`curl.*`]" },
    { "cors", "{`origins`:[`*`,`http://a.com:80`,"
      "`^https?://.*\\\\.b\\\\.com$`,`https://*.rta.ae`]}", "methods",
      "[`GET`,`HEAD`,`PUT`,`PATCH`,`POST`,`DELETE`,`OPTIONS`,`TRACE`,"
      "`CONNECT`]" },
    { "datadog", "{`host`:`{vault://env/host}`}", "host",
      "`{vault://env/host}`" },
    { "file-log", "{`path`:`/dev/stdout`,`custom_fields_by_lua`:{"
      "`id`:`return kong.request.get_header('X-Request-ID')`}}", "reopen",
      "false" },
    { "http-log", "{`http_endpoint`:`http://u:p@h/`,`headers`:{},"
      "`custom_fields_by_lua`:{},`flush_timeout`:2,`retry_count`:10,"
      "`queue_size`:1,`queue`:{`max_entries`:7}}", "queue",
      "{`max_batch_size`:1,`max_coalescing_delay`:1,`max_entries`:7,"
      "`max_bytes`:null,`max_retry_time`:60,`initial_retry_delay`:0.01,"
      "`max_retry_delay`:60,`concurrency_limit`:1}" },
    { "ip-restriction", "{`deny`:[`127.0.0.1`,`::1`,`10.0.0.0/8`],"
      "`status`:418,`message`:`no tea`}", "allow", "null" },
    { "jwt", "{`maximum_expiration`:5}", "claims_to_verify", "null" },
    { "jwt", "{`claims_to_verify`:[`nbf`,`exp`],`maximum_expiration`:300}",
      "maximum_expiration", "300" },
    { "opentelemetry", "{`endpoint`:`http://h/old`,"
      "`headers`:{`x-key`:`{vault://env/key}`},"
      "`resource_attributes`:{`service.name`:`kong`}}", "traces_endpoint",
      "`http://h/old`" },
    { "opentelemetry", "{`endpoint`:`http://h/old`,"
      "`traces_endpoint`:`http://h/new`}", "traces_endpoint",
      "`http://h/new`" },
    { "opentelemetry", "{`logs_endpoint`:`http://h/`,`queue`:{}}",
      "queue.max_batch_size", "1" },
    { "pre-function", "{`access`:[`-- all\\nreturn function() end`]}", "log",
      "[]" },
    { "proxy-cache", "{`strategy`:`memory`,`content_type`:[`text/html`],"
      "`memory`:{`dictionary_name`:`kong_db_cache`}}", "cache_ttl", "300" },
    { "rate-limiting", "{`minute`:5,`policy`:`redis`,`redis_host`:`h`,"
      "`redis_password`:``,`redis_ssl`:true}", "redis",
      "{`host`:`h`,`port`:6379,`timeout`:2000,`username`:null,"
      "`password`:``,`database`:0,`ssl`:true,`ssl_verify`:false,"
      "`server_name`:null}" },
    { "rate-limiting", "{`second`:5,`minute`:5,`hour`:10,"
      "`policy`:`cluster`,`limit_by`:`path`,`path`:`/lim`}", "sync_rate",
      "-1" },
    { "rate-limiting", "{`second`:1,`policy`:`redis`,`sync_rate`:0.5,"
      "`redis`:{`host`:`h`}}", "sync_rate", "0.5" },
    { "request-termination", "{`message`:`m`,`content_type`:null}",
      "status_code", "503" },
    { "request-termination", "{`echo`:true,`message`:`m`}", "body",
      "null" },
    { "request-transformer", "{`add`:{`headers`:[`Authorization: "
      "$((headers.authorization ~= nil and "
      "headers.authorization:sub(1, 10) ~= 'Bearer sb_' and "
      "headers.authorization) or headers.apikey)`,`a: $NOTHING`]},"
      "`replace`:{`uri`:`/v3/$(uri_captures[1])`,"
      "`querystring`:[`apikey:$((query_params.apikey == 'x' and 'y') or "
      "query_params.apikey)`,`b::c`,`d:$(`,`e:$5 (a b)`]}}",
      "replace.querystring",
      "[`apikey:$((query_params.apikey == 'x' and 'y') or "
      "query_params.apikey)`,`b::c`,`d:$(`,`e:$5 (a b)`]" },
    { "response-ratelimiting", "{`limits`:{`a`:{`day`:1},"
      "`b`:{`second`:1,`year`:1}},`redis_port`:1}", "redis.port", "1" },
    { "response-transformer", "{`add`:{`headers`:[`h1:v2`,"
      "`X-Kong-Upstream-Status: $(upstream_status)`],"
      "`json`:[`string:new`],`json_types`:[`string`]},"
      "`rename`:{`headers`:[`x-b:x-z`]}}", "append.json", "[]" },
    { "session", "{`cookie_lifetime`:60,`rolling_timeout`:50,"
      "`secret`:`s`}", "rolling_timeout", "60" },
    { "session", "{`cookie_idletime`:null}", "idling_timeout", "0" },
    { "session", "{`cookie_renew`:5,`cookie_discard`:6}", "stale_ttl",
      "6" },
    { "session", "{`cookie_samesite`:`off`}", "cookie_same_site", "`Lax`" },
    { "session", "{`cookie_httponly`:false}", "cookie_http_only", "false" },
    { "session", "{`cookie_persistent`:true}", "remember", "true" },
    { "statsd", "{`host`:`graphite`,`metrics`:[{`name`:`request_count`,"
      "`stat_type`:`counter`,`sample_rate`:1}],"
      "`allow_status_codes`:[`200-205`]}", "metrics",
      "[{`name`:`request_count`,`stat_type`:`counter`,`sample_rate`:1,"
      "`consumer_identifier`:null,`service_identifier`:null,"
      "`workspace_identifier`:null}]" },
    { "zipkin", "{`http_endpoint`:`http://tempo:9411/api/v2/spans`,"
      "`sample_ratio`:1.0,`static_tags`:[{`name`:`a`,`value`:`b`}]}",
      "propagation", "{`extract`:null,`clear`:null,`inject`:null,"
      "`default_format`:`b3`}" },
    { NULL, NULL, NULL, NULL }
};


/* priorities, as Kong has them; the plugins that are never to run */
static const struct {
    const char  *name;
    int          priority;
    bool         refused;
} plugins[] = {
    { "acl", 950, false },
    { "acme", 1705, true },
    { "ai-prompt-decorator", 772, true },
    { "ai-prompt-guard", 771, true },
    { "ai-prompt-template", 773, true },
    { "ai-proxy", 770, true },
    { "ai-request-transformer", 777, true },
    { "ai-response-transformer", 768, true },
    { "aws-lambda", 750, true },
    { "azure-functions", 749, true },
    { "basic-auth", 1100, false },
    { "bot-detection", 2500, false },
    { "correlation-id", 100001, false },
    { "cors", 2000, false },
    { "datadog", 10, false },
    { "file-log", 9, false },
    { "grpc-gateway", 998, true },
    { "grpc-web", 3, true },
    { "hmac-auth", 1030, false },
    { "http-log", 12, false },
    { "ip-restriction", 990, false },
    { "jwt", 1450, false },
    { "key-auth", 1250, false },
    { "ldap-auth", 1200, false },
    { "loggly", 6, false },
    { "oauth2", 1400, false },
    { "opentelemetry", 14, false },
    { "post-function", -1000, true },
    { "pre-function", 1000000, true },
    { "prometheus", 13, false },
    { "proxy-cache", 100, false },
    { "rate-limiting", 910, false },
    { "redirect", 779, false },
    { "request-size-limiting", 951, false },
    { "request-termination", 2, false },
    { "request-transformer", 801, false },
    { "response-ratelimiting", 900, false },
    { "response-transformer", 800, false },
    { "session", 1900, false },
    { "standard-webhooks", 760, true },
    { "statsd", 11, false },
    { "syslog", 4, false },
    { "tcp-log", 7, false },
    { "udp-log", 8, false },
    { "zipkin", 100000, false },
    { NULL, 0, false }
};


static void
parse(arena_t *a, const char *text, value_t *out)
{
    char        *copy, *p;
    const char  *err;

    copy = arena_strndup(a, text, strlen(text));

    for (p = copy; *p != '\0'; p++) {
        if (*p == '`') {
            *p = '"';
        }
    }

    memset(out, 0, sizeof(value_t));

    if (json_parse(a, copy, strlen(copy), out, &err) != 0) {
        fail_msg("%s in %s", err, copy);
    }
}


/* the entity of the given text, named; 0 or -1 as schema_validate() */
static int
validate(arena_t *a, const char *plugin, unsigned database, value_t *entity,
    value_t *found)
{
    schema_ctx_t  ctx;

    memset(&ctx, 0, sizeof(schema_ctx_t));
    ctx.arena = a;
    ctx.database = database;
    ctx.router_flavor = "traditional_compatible";
    ctx.now = 1700000000;

    value_copy_string(a, value_put(a, entity, "name"), plugin,
                      strlen(plugin));

    memset(found, 0, sizeof(value_t));
    value_set_object(found);

    return schema_validate(&ctx, schema_find("plugins"), entity, found);
}


static void
expect_equal(arena_t *a, const char *plugin, const value_t *found,
    const char *text)
{
    value_t  expect;

    parse(a, text, &expect);

    if (!value_equal(found, &expect)) {
        fail_msg("%s:\n  found    %s\n  expected %s", plugin,
                 json_print(a, found, NULL), json_print(a, &expect, NULL));
    }
}


static void
test_registry(void **state)
{
    size_t                  i;
    const char             *name;
    const plugin_schema_t  *p;

    (void) state;

    for (i = 0; plugins[i].name != NULL; i++) {
        name = plugins[i].name;
        p = schema_plugin(name, strlen(name));

        assert_non_null(p);
        assert_ptr_equal(p, schema_plugins[i]);
        assert_string_equal(p->schema.name, name);
        assert_int_equal(p->priority, plugins[i].priority);
        assert_string_equal(p->version, "3.9.1");
        assert_int_equal(p->refused != NULL, plugins[i].refused);
        assert_null(schema_plugin(name, strlen(name) - 1));
    }

    assert_null(schema_plugins[i]);
    assert_null(schema_plugin("", 0));
    assert_null(schema_plugin("acl\0", 4));
    assert_null(schema_plugin("rate-limiting-advanced", 22));
    assert_null(schema_plugin("zzz", 3));
}


static void
test_defaults(void **state)
{
    size_t    i;
    value_t   entity, found, config;
    arena_t  *a;

    (void) state;

    for (i = 0; defaults[i].plugin != NULL; i++) {
        assert_string_equal(defaults[i].plugin, plugins[i].name);

        a = arena_new();
        value_set_object(&entity);
        parse(a, defaults[i].config, &config);
        *value_put(a, &entity, "config") = config;

        if (validate(a, defaults[i].plugin, 1, &entity, &found) != 0) {
            fail_msg("%s: %s", defaults[i].plugin,
                     json_print(a, &found, NULL));
        }

        expect_equal(a, defaults[i].plugin, value_get(&entity, "config"),
                     defaults[i].expect);

        expect_equal(a, defaults[i].plugin, value_get(&entity, "protocols"),
                     strcmp(defaults[i].plugin, "ip-restriction") == 0
                     ? "[`http`,`https`,`tcp`,`tls`,`grpc`,`grpcs`]"
                     : "[`grpc`,`grpcs`,`http`,`https`]");

        arena_free(a);
    }

    assert_null(plugins[i].name);
}


static void
test_errors(void **state)
{
    size_t    i;
    value_t   entity, found;
    arena_t  *a;

    (void) state;

    for (i = 0; errors[i].plugin != NULL; i++) {
        a = arena_new();
        parse(a, errors[i].entity, &entity);

        if (validate(a, errors[i].plugin, errors[i].database, &entity, &found)
            == 0)
        {
            fail_msg("%s accepts %s", errors[i].plugin, errors[i].entity);
        }

        expect_equal(a, errors[i].plugin, &found, errors[i].errors);
        arena_free(a);
    }
}


static void
test_values(void **state)
{
    size_t    i;
    value_t   entity, found, config;
    arena_t  *a;

    (void) state;

    for (i = 0; values[i].plugin != NULL; i++) {
        a = arena_new();
        value_set_object(&entity);
        parse(a, values[i].config, &config);
        *value_put(a, &entity, "config") = config;

        if (validate(a, values[i].plugin, 1, &entity, &found) != 0) {
            fail_msg("%s: %s", values[i].plugin, json_print(a, &found, NULL));
        }

        expect_equal(a, values[i].plugin,
                     value_path(value_get(&entity, "config"), values[i].path),
                     values[i].expect);
        arena_free(a);
    }
}


/* one secret a process, long enough, the same for every session plugin */
static void
test_session_secret(void **state)
{
    size_t    i, distinct;
    value_t   one, two, found, *secret;
    arena_t  *a;

    (void) state;

    a = arena_new();
    value_set_object(&one);
    value_set_object(&two);

    assert_int_equal(validate(a, "session", 1, &one, &found), 0);
    assert_int_equal(validate(a, "session", 1, &two, &found), 0);

    secret = value_path(&one, "config.secret");

    assert_int_equal(secret->len, 44);
    assert_true(value_equal(secret, value_path(&two, "config.secret")));

    for (i = 0, distinct = 0; i < secret->len; i++) {
        distinct += strchr(secret->u.string + i + 1, secret->u.string[i])
                    == NULL;
    }

    assert_true(distinct > 12);

    arena_free(a);
}


/* a provision key is made for the one that brings none */
static void
test_provision_key(void **state)
{
    value_t   one, two, found, *key;
    arena_t  *a;

    (void) state;

    a = arena_new();
    parse(a, "{`config`:{`enable_password_grant`:true}}", &one);
    parse(a, "{`config`:{`enable_password_grant`:true}}", &two);

    assert_int_equal(validate(a, "oauth2", 1, &one, &found), 0);
    assert_int_equal(validate(a, "oauth2", 1, &two, &found), 0);

    key = value_path(&one, "config.provision_key");

    assert_int_equal(key->len, 32);
    assert_false(value_equal(key, value_path(&two, "config.provision_key")));

    arena_free(a);
}


/* dictionaries that kong.conf adds */
static void
test_dictionaries(void **state)
{
    value_t            entity, found;
    arena_t           *a;
    schema_ctx_t       ctx;
    const char *const  names[] = { "mine", NULL };

    (void) state;

    a = arena_new();
    memset(&ctx, 0, sizeof(schema_ctx_t));
    ctx.arena = a;
    ctx.dictionaries = names;

    parse(a, "{`name`:`proxy-cache`,`config`:{`strategy`:`memory`,"
          "`memory`:{`dictionary_name`:`mine`}}}", &entity);
    memset(&found, 0, sizeof(value_t));
    value_set_object(&found);

    assert_int_equal(schema_validate(&ctx, schema_find("plugins"), &entity,
                                     &found), 0);
    arena_free(a);
}


/* nested far enough to overflow a careless parser, and large */
static void
test_hostile_sources(void **state)
{
    size_t    i, n;
    char     *text;
    value_t   source, *list, entity, found;
    arena_t  *a;

    (void) state;

    n = 200000;
    a = arena_new();
    text = arena_alloc(a, 2 * n + 1);

    for (i = 0; i < n; i++) {
        memcpy(text + 2 * i, "$(", 2);
    }

    memcpy(text, "a:", 2);
    value_set_object(&entity);

    parse(a, "{`add`:{`body`:[``]}}", &source);
    *value_put(a, &entity, "config") = source;
    list = value_path(&entity, "config.add.body");
    value_set_string(&list->u.items[0], text, 2 * n);

    assert_int_equal(validate(a, "request-transformer", 1, &entity, &found),
                     0);

    for (i = 2; i + 4 <= 2 * n; i += 4) {
        memcpy(text + i, "$(x)", 4);
    }

    value_set_object(&entity);
    parse(a, "{`add`:{`body`:[``]}}", &source);
    *value_put(a, &entity, "config") = source;
    list = value_path(&entity, "config.add.body");
    value_set_string(&list->u.items[0], text, i);

    assert_int_equal(validate(a, "request-transformer", 1, &entity, &found),
                     0);

    memset(text, '(', n);
    memset(text + n, ')', n);
    value_set_object(&entity);
    parse(a, "{`access`:[``]}", &source);
    *value_put(a, &entity, "config") = source;
    list = value_path(&entity, "config.access");
    value_set_string(&list->u.items[0], text, 2 * n);

    assert_int_equal(validate(a, "pre-function", 1, &entity, &found), -1);

    arena_free(a);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registry),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_session_secret),
        cmocka_unit_test(test_provision_key),
        cmocka_unit_test(test_dictionaries),
        cmocka_unit_test(test_hostile_sources),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
