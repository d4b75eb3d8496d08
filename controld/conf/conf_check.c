/*
 * conf_check: the rules of the settings that the table cannot say, each a
 * small function; sentences are Kong's where Kong has one.  Also what this
 * program does not offer and must refuse instead of ignoring.
 */

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "conf_private.h"


#define CONF_SOCKET_PATH   "/sockets/control.sock"
#define CONF_SOCKET_MAX    107


typedef void (*conf_check_pt)(conf_t *c, value_t *errors);

static void conf_check_prefix(conf_t *c, value_t *errors);
static void conf_check_port_maps(conf_t *c, value_t *errors);
static void conf_check_headers(conf_t *c, value_t *errors);
static void conf_check_names(conf_t *c, value_t *errors, const char *name,
    const char *const *valid);
static void conf_check_dns(conf_t *c, value_t *errors);
static void conf_check_trusted_ips(conf_t *c, value_t *errors);
static int conf_is_address(const char *s, int *family);
static int conf_is_cidr(const char *s);
static int conf_is_dns_server(const char *s);
static void conf_check_proxy_server(conf_t *c, value_t *errors);
static void conf_check_role(conf_t *c, value_t *errors);
static void conf_check_numbers(conf_t *c, value_t *errors);
static void conf_check_node_id(conf_t *c, value_t *errors);
static void conf_check_database(conf_t *c, value_t *errors);
static void conf_check_templates(conf_t *c, value_t *errors);
static void conf_check_logs(conf_t *c, value_t *errors);
static void conf_check_gui(conf_t *c, value_t *errors);
static void conf_check_sizes(conf_t *c, value_t *errors);
static void conf_check_refused(conf_t *c, value_t *errors);


static const conf_check_pt  conf_checks[] = {
    conf_check_prefix,
    conf_check_tls,
    conf_check_port_maps,
    conf_listen_parse,
    conf_check_headers,
    conf_check_dns,
    conf_check_trusted_ips,
    conf_check_proxy_server,
    conf_check_role,
    conf_check_numbers,
    conf_check_node_id,
    conf_check_database,
    conf_check_templates,
    conf_check_logs,
    conf_check_gui,
    conf_check_sizes,
    conf_check_refused,
    NULL
};


void
conf_check(conf_t *c, value_t *errors)
{
    size_t  i;

    for (i = 0; conf_checks[i] != NULL; i++) {
        conf_checks[i](c, errors);
    }
}


const char *
conf_unsupported(const conf_t *c)
{
    (void) c;

    return NULL;
}


/* the prefix stands in nginx.conf and in the names of sockets */
static void
conf_check_prefix(conf_t *c, value_t *errors)
{
    if (strpbrk(c->prefix, "\"'\\$;{}#") != NULL) {
        conf_error(c->arena, errors, "prefix must not contain any of "
                   "\" ' \\ $ ; { } #, got '%s'", c->prefix);
    }

    if (strlen(c->prefix) + sizeof(CONF_SOCKET_PATH) - 1 > CONF_SOCKET_MAX) {
        conf_error(c->arena, errors, "prefix is too long for unix sockets: "
                   "at most %d characters, got '%s'",
                   CONF_SOCKET_MAX - (int) sizeof(CONF_SOCKET_PATH) + 1,
                   c->prefix);
    }
}


static void
conf_check_port_maps(conf_t *c, value_t *errors)
{
    char           *end;
    long            one, two;
    size_t          i;
    const char     *s;
    const value_t  *list;

    list = conf_list(c, "port_maps");

    for (i = 0; i < list->len; i++) {
        s = list->u.items[i].u.string;
        two = 0;
        one = isdigit((unsigned char) *s) ? strtol(s, &end, 10) : 0;

        if (one != 0 && *end == ':' && isdigit((unsigned char) end[1])) {
            two = strtol(end + 1, &end, 10);
        }

        if (one < 1 || one > 65535 || two < 1 || two > 65535
            || *end != '\0')
        {
            conf_error(c->arena, errors,
                       "invalid port mapping (`port_maps`): %s", s);
        }
    }
}


static void
conf_check_headers(conf_t *c, value_t *errors)
{
    static const char *const  headers[] = {
        "off", "server_tokens", "latency_tokens", "via", "server",
        "x-kong-proxy-latency", "x-kong-response-latency",
        "x-kong-admin-latency", "x-kong-upstream-latency",
        "x-kong-upstream-status", "x-kong-request-id", NULL
    };

    static const char *const  upstream[] = {
        "off", "x-kong-request-id", NULL
    };

    conf_check_names(c, errors, "headers", headers);
    conf_check_names(c, errors, "headers_upstream", upstream);
}


static void
conf_check_names(conf_t *c, value_t *errors, const char *name,
    const char *const *valid)
{
    size_t              i;
    const char         *s;
    const value_t      *list;
    const char *const  *p;

    list = conf_list(c, name);

    for (i = 0; i < list->len; i++) {
        s = list->u.items[i].u.string;

        for (p = valid; *p != NULL && strcasecmp(*p, s) != 0; p++) {
            /* void */
        }

        if (*p == NULL) {
            conf_error(c->arena, errors, "%s: invalid entry '%s'", name, s);
        }
    }
}


static void
conf_check_dns(conf_t *c, value_t *errors)
{
    size_t          i;
    const char     *s;
    struct stat     st;
    const value_t  *list;

    static const char *const  types[] = {
        "last", "a", "aaaa", "cname", "srv", NULL
    };

    list = conf_list(c, "dns_resolver");

    for (i = 0; i < list->len; i++) {
        s = list->u.items[i].u.string;

        if (!conf_is_dns_server(s)) {
            conf_error(c->arena, errors,
                       "dns_resolver must be a comma separated list in the "
                       "form of IPv4/6 or IPv4/6:port, got '%s'", s);
        }
    }

    s = conf_str(c, "dns_hostsfile");

    if (s != NULL && (stat(s, &st) == -1 || !S_ISREG(st.st_mode))) {
        conf_error(c->arena, errors, "dns_hostsfile: file does not exist");
    }

    conf_check_names(c, errors, "dns_order", types);
}


static void
conf_check_trusted_ips(conf_t *c, value_t *errors)
{
    size_t          i;
    const char     *s;
    const value_t  *list;

    list = conf_list(c, "trusted_ips");

    for (i = 0; i < list->len; i++) {
        s = list->u.items[i].u.string;

        if (strcmp(s, "unix:") != 0 && !conf_is_cidr(s)) {
            conf_error(c->arena, errors,
                       "trusted_ips must be a comma separated list in the "
                       "form of IPv4 or IPv6 address or CIDR block or "
                       "'unix:', got '%s'", s);
        }
    }
}


static int
conf_is_address(const char *s, int *family)
{
    struct in6_addr  addr;

    if (inet_pton(AF_INET, s, &addr) == 1) {
        *family = AF_INET;
        return 1;
    }

    *family = AF_INET6;

    return inet_pton(AF_INET6, s, &addr) == 1;
}


static int
conf_is_cidr(const char *s)
{
    int     family;
    char    host[INET6_ADDRSTRLEN];
    size_t  len;

    len = strcspn(s, "/");
    if (len >= sizeof(host)) {
        return 0;
    }

    memcpy(host, s, len);
    host[len] = '\0';

    if (!conf_is_address(host, &family)) {
        return 0;
    }

    if (s[len] == '\0') {
        return 1;
    }

    s += len + 1;
    len = strlen(s);

    return len > 0 && len < 4 && strspn(s, "0123456789") == len
           && atoi(s) <= (family == AF_INET ? 32 : 128);
}


static int
conf_is_dns_server(const char *s)
{
    int          family, port;
    char         host[INET6_ADDRSTRLEN];
    size_t       len;
    const char  *rest;

    if (conf_is_address(s, &family)) {
        return 1;
    }

    if (*s == '[') {
        s++;
        len = strcspn(s, "]");
        rest = (s[len] == ']') ? s + len + 1 : "x";

    } else {
        len = strcspn(s, ":");
        rest = s + len;
    }

    if (len >= sizeof(host)) {
        return 0;
    }

    memcpy(host, s, len);
    host[len] = '\0';

    if (!conf_is_address(host, &family)) {
        return 0;
    }

    if (*rest == '\0') {
        return 1;
    }

    len = strlen(rest + 1);
    if (*rest != ':' || len == 0 || len > 5
        || strspn(rest + 1, "0123456789") != len)
    {
        return 0;
    }

    port = atoi(rest + 1);

    return port > 0 && port < 65536;
}


static void
conf_check_proxy_server(conf_t *c, value_t *errors)
{
    size_t       len;
    const char  *s, *rest;

    s = conf_str(c, "proxy_server");
    if (s == NULL) {
        return;
    }

    rest = strstr(s, "://");

    if (rest == NULL || rest == s) {
        conf_error(c->arena, errors, "proxy_server missing scheme");
        return;
    }

    len = (size_t) (rest - s);

    if (!(len == 4 && memcmp(s, "http", 4) == 0)
        && !(len == 5 && memcmp(s, "https", 5) == 0))
    {
        conf_error(c->arena, errors, "proxy_server only supports \"http\" "
                   "and \"https\", got %.*s", (int) len, s);

    } else if (rest[3] == '\0' || rest[3] == '/' || rest[3] == ':') {
        conf_error(c->arena, errors, "proxy_server missing host");

    } else if (strpbrk(rest, "?#;") != NULL) {
        conf_error(c->arena, errors, "fragments, query strings or parameters "
                   "are meaningless in proxy configuration");
    }
}


static void
conf_check_role(conf_t *c, value_t *errors)
{
    unsigned     control, data;
    const char  *role;

    role = conf_str(c, "role");
    control = strcmp(role, "control_plane") == 0;
    data = strcmp(role, "data_plane") == 0;

    if (!control && !data) {
        if (conf_list(c, "cluster_dp_labels")->len != 0) {
            conf_error(c->arena, errors, "cluster_dp_labels can only be used "
                       "when role = \"data_plane\"");
        }

        return;
    }

    if (conf_str(c, "cluster_cert") == NULL
        || conf_str(c, "cluster_cert_key") == NULL)
    {
        conf_error(c->arena, errors, "cluster certificate and key must be "
                   "provided to use Hybrid mode");
    }

    if (data) {
        if (conf_is_off(c, "proxy_listen")) {
            conf_error(c->arena, errors, "proxy_listen must be specified "
                       "when role = \"data_plane\"");
        }

        if (strcmp(conf_str(c, "database"), "off") != 0) {
            conf_error(c->arena, errors, "only in-memory storage can be used "
                       "when role = \"data_plane\"\n"
                       "Hint: set database = off in your kong.conf");
        }

        return;
    }

    if (conf_is_off(c, "admin_listen")) {
        conf_error(c->arena, errors, "admin_listen must be specified when "
                   "role = \"control_plane\"");
    }

    if (conf_is_off(c, "cluster_listen")) {
        conf_error(c->arena, errors, "cluster_listen must be specified when "
                   "role = \"control_plane\"");
    }

    if (strcmp(conf_str(c, "cluster_mtls"), "pki") == 0
        && conf_str(c, "cluster_ca_cert") == NULL)
    {
        conf_error(c->arena, errors, "cluster_ca_cert must be specified when "
                   "cluster_mtls = \"pki\"");
    }

    if (strcmp(conf_str(c, "database"), "off") == 0) {
        conf_error(c->arena, errors, "in-memory storage can not be used when "
                   "role = \"control_plane\"");
    }

    if (conf_bool(c, "cluster_use_proxy")) {
        conf_error(c->arena, errors, "cluster_use_proxy can not be used when "
                   "role = \"control_plane\"");
    }

    if (conf_list(c, "cluster_dp_labels")->len != 0) {
        conf_error(c->arena, errors, "cluster_dp_labels can not be used when "
                   "role = \"control_plane\"");
    }
}


static void
conf_check_numbers(conf_t *c, value_t *errors)
{
    double   n;
    size_t   i;
    value_t *list;

    static const char *const  required[] = {
        "cluster_data_plane_purge_delay", "cluster_max_payload",
        "db_update_frequency", "lua_max_post_args", "lua_max_req_headers",
        "lua_max_resp_headers", "lua_max_uri_args", "snapshot_history",
        "upstream_keepalive_idle_timeout", "upstream_keepalive_max_requests",
        "upstream_keepalive_pool_size", "worker_state_update_frequency", NULL
    };

    static const char *const  traces[] = {
        "off", "all", "request", "db_query", "dns_query", "router",
        "http_client", "balancer", "plugin_rewrite", "plugin_access",
        "plugin_header_filter", NULL
    };

    for (i = 0; required[i] != NULL; i++) {
        if (value_cstr(value_get(&c->raw, required[i]))[0] == '\0') {
            conf_error(c->arena, errors, "%s must be specified",
                       required[i]);
        }
    }

    n = conf_num(c, "worker_state_update_frequency");
    if (n <= 0) {
        conf_error(c->arena, errors,
                   "worker_state_update_frequency must be greater than 0");
    }

    list = conf_value(c, "tracing_instrumentations");

    for (i = 0; i < list->len; i++) {
        if (value_str_eq(value_at(list, i), "off") && list->len > 1) {
            conf_error(c->arena, errors, "invalid tracing types: off, other "
                       "types are mutually exclusive");
        }
    }

    conf_check_names(c, errors, "tracing_instrumentations", traces);

    n = conf_num(c, "tracing_sampling_rate");
    if (n < 0 || n > 1) {
        conf_error(c->arena, errors,
                   "tracing_sampling_rate must be between 0 and 1");
    }
}


static void
conf_check_node_id(conf_t *c, value_t *errors)
{
    size_t       i;
    const char  *s;

    s = conf_str(c, "node_id");
    if (s == NULL) {
        return;
    }

    for (i = 0; i < 36 && s[i] != '\0'; i++) {
        if (i == 8 || i == 13 || i == 18 || i == 23
            ? s[i] != '-' : !isxdigit((unsigned char) s[i]))
        {
            break;
        }
    }

    if (i != 36 || s[i] != '\0') {
        conf_error(c->arena, errors, "node_id must be a valid UUID");
    }
}


static void
conf_check_database(conf_t *c, value_t *errors)
{
    if (value_str_eq(conf_value(c, "database"), "cassandra")) {
        conf_error(c->arena, errors, "Cassandra as a datastore for Kong is "
                   "not supported in versions 3.4 and above. Please use "
                   "Postgres.");
    }
}


static void
conf_check_templates(conf_t *c, value_t *errors)
{
    size_t       i;
    const char  *s;
    struct stat  st;

    static const char *const  names[] = {
        "error_template_html", "error_template_json",
        "error_template_plain", "error_template_xml", NULL
    };

    for (i = 0; names[i] != NULL; i++) {
        s = conf_str(c, names[i]);

        if (s != NULL && (stat(s, &st) == -1 || !S_ISREG(st.st_mode))) {
            conf_error(c->arena, errors, "%s: no such file at %s", names[i],
                       s);
        }
    }
}


/* "off", or a path and perhaps the name of a format */
static void
conf_check_logs(conf_t *c, value_t *errors)
{
    size_t       i;
    const char  *s;

    static const char *const  names[] = {
        "admin_access_log", "admin_error_log", "proxy_access_log",
        "proxy_error_log", "status_access_log", "status_error_log", NULL
    };

    for (i = 0; names[i] != NULL; i++) {
        s = conf_str(c, names[i]);

        if (s != NULL && strpbrk(s, "\"'\\$;{}#") != NULL) {
            conf_error(c->arena, errors, "%s must not contain any of "
                       "\" ' \\ $ ; { } #, got '%s'", names[i], s);
        }
    }
}


static void
conf_check_gui(conf_t *c, value_t *errors)
{
    size_t       len;
    const char  *s;

    s = conf_str(c, "admin_gui_path");
    if (s == NULL) {
        return;
    }

    len = strlen(s);

    if (s[0] != '/') {
        conf_error(c->arena, errors,
                   "admin_gui_path must start with a slash ('/')");
    }

    if (len > 1 && s[len - 1] == '/') {
        conf_error(c->arena, errors,
                   "admin_gui_path must not end with a slash ('/')");
    }

    for (len = 0; s[len] != '\0'; len++) {
        if (!isalnum((unsigned char) s[len])
            && strchr("-_/", s[len]) == NULL)
        {
            conf_error(c->arena, errors,
                       "admin_gui_path can only contain letters, digits, "
                       "hyphens ('-'), underscores ('_'), and slashes "
                       "('/')");
            break;
        }
    }

    if (strstr(s, "//") != NULL) {
        conf_error(c->arena, errors, "admin_gui_path must not contain "
                   "continuous slashes ('/')");
    }
}


/* sizes that are written into nginx.conf */
static void
conf_check_sizes(conf_t *c, value_t *errors)
{
    size_t       i, len;
    const char  *s;

    static const char *const  names[] = {
        "kong_metrics_size", "kong_zone_size", "mem_cache_size",
        "ssl_session_cache_size", NULL
    };

    for (i = 0; names[i] != NULL; i++) {
        s = conf_str(c, names[i]);
        len = s ? strspn(s, "0123456789") : 0;

        if (len == 0 || len > 9 || (s[len] != '\0'
            && (strchr("kKmMgG", s[len]) == NULL || s[len + 1] != '\0')))
        {
            conf_error(c->arena, errors, "%s is not a size: '%s'", names[i],
                       s ? s : "");
        }
    }
}


/* a setting that would have no effect here must not look as if it had one */
static void
conf_check_refused(conf_t *c, value_t *errors)
{
    if (strcmp(conf_str(c, "role"), "traditional") != 0) {
        conf_error(c->arena, errors, "role = %s is not supported: there is "
                   "no hybrid mode, use role = traditional",
                   conf_str(c, "role"));
    }

    if (!conf_is_off(c, "stream_listen")) {
        conf_error(c->arena, errors, "stream_listen is not supported: only "
                   "http and https are proxied, use stream_listen = off");
    }

    if (conf_bool(c, "wasm")) {
        conf_error(c->arena, errors, "wasm is not supported, use wasm = off");
    }

    if (strcmp(conf_str(c, "router_flavor"), "expressions") == 0) {
        conf_error(c->arena, errors, "router_flavor = expressions is not "
                   "supported, use traditional_compatible or traditional");
    }
}
