/*
 * test_conf: the settings: sources and their order, types, each kind of
 * error, listeners, references, .kong_env, masking, the sample kong.conf, and
 * what is rendered for nginx.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "controld/cli/help.h"
#include "controld/cli/nginx_conf.h"
#include "controld/conf/conf.h"
#include "controld/conf/conf_private.h"
#include "controld/model/json.h"


#define SAMPLE  "config/kong.conf"

#define FLAGS                                                                 \
    "must be of form: [off] | <ip>:<port> [ssl] [http2] [proxy_protocol] "    \
    "[deferred] [bind] [reuseport] [backlog=%d+] [ipv6only=on] "              \
    "[ipv6only=off] [so_keepalive=on] [so_keepalive=off] "                    \
    "[so_keepalive=%w*:%w*:%d*], [... next entry ...]"


typedef struct {
    const char  *setting;
    const char  *value;
    const char  *error;          /* NULL: it is good */
} conf_case_t;


static char  test_dir[] = "/tmp/test_conf.XXXXXX";


static const conf_case_t  conf_cases[] = {
    { "pg_port", "x", "pg_port is not a number: 'x'" },
    { "pg_port", "0x10", NULL },
    { "pg_port", "nan", "pg_port is not a number: 'nan'" },
    { "database", "mysql",
      "database has an invalid value: 'mysql' (postgres, cassandra, off)" },
    { "database", "",
      "database has an invalid value: 'nil' (postgres, cassandra, off)" },
    { "database", "cassandra",
      "Cassandra as a datastore for Kong is not supported in versions 3.4 "
      "and above. Please use Postgres." },
    { "log_level", "loud",
      "log_level has an invalid value: 'loud' (debug, info, notice, warn, "
      "error, crit, alert, emerg)" },
    { "proxy_listen", "8000", "proxy_listen " FLAGS },
    { "proxy_listen", "", "proxy_listen " FLAGS },
    { "proxy_listen", "0.0.0.0:0", "proxy_listen " FLAGS },
    { "proxy_listen", "0.0.0.0:8000 fast", "proxy_listen " FLAGS },
    { "proxy_listen", "0.0.0.0:8000;", "proxy_listen " FLAGS },
    { "proxy_listen", "[::g]:80", "proxy_listen " FLAGS },
    { "admin_listen", "1.2.3.4:99999", "admin_listen " FLAGS },
    { "proxy_listen", "off", NULL },
    { "proxy_listen", "[::1]:80 ssl, localhost:81 backlog=5", NULL },
    { "proxy_listen", "unix:/tmp/a.sock", NULL },
    { "proxy_listen", "0.0.0.0:80 so_keepalive=30m::10", NULL },
    { "port_maps", "80:8000, 443:8443", NULL },
    { "port_maps", "80", "invalid port mapping (`port_maps`): 80" },
    { "port_maps", "80:0", "invalid port mapping (`port_maps`): 80:0" },
    { "headers", "Via, latency_tokens", NULL },
    { "headers", "X-Other", "headers: invalid entry 'X-Other'" },
    { "headers_upstream", "via", "headers_upstream: invalid entry 'via'" },
    { "trusted_ips", "10.0.0.0/8, ::1, unix:", NULL },
    { "trusted_ips", "10.0.0.0/33",
      "trusted_ips must be a comma separated list in the form of IPv4 or "
      "IPv6 address or CIDR block or 'unix:', got '10.0.0.0/33'" },
    { "dns_resolver", "8.8.8.8:53, [::1]:5353, ::1", NULL },
    { "dns_resolver", "dns.example",
      "dns_resolver must be a comma separated list in the form of IPv4/6 or "
      "IPv4/6:port, got 'dns.example'" },
    { "dns_order", "A,MX", "dns_order: invalid entry 'MX'" },
    { "dns_hostsfile", "/nowhere", "dns_hostsfile: file does not exist" },
    { "pg_max_concurrent_queries", "-1",
      "pg_max_concurrent_queries must be greater than 0" },
    { "pg_max_concurrent_queries", "1.5",
      "pg_max_concurrent_queries must be an integer greater than 0" },
    { "pg_ro_pool_size", "-1", "pg_ro_pool_size must be greater than 0" },
    { "worker_state_update_frequency", "0",
      "worker_state_update_frequency must be greater than 0" },
    { "upstream_keepalive_pool_size", "-1",
      "upstream_keepalive_pool_size must be 0 or greater" },
    { "upstream_keepalive_pool_size", "",
      "upstream_keepalive_pool_size must be specified" },
    { "lua_max_req_headers", "1001",
      "lua_max_req_headers must be an integer between 1 and 1000" },
    { "lua_max_req_headers", "1.5",
      "lua_max_req_headers must be an integer between 1 and 1000" },
    { "cluster_max_payload", "1",
      "cluster_max_payload must be 4194304 (4MB) or greater" },
    { "tracing_sampling_rate", "2",
      "tracing_sampling_rate must be between 0 and 1" },
    { "node_id", "x", "node_id must be a valid UUID" },
    { "node_id", "0dc6f45b-8f8d-40d2-a504-473544ee190b", NULL },
    { "ssl_cert_key", "/dev/null", "ssl_cert must be specified" },
    { "ssl_cert", "/dev/null", "ssl_cert_key must be specified" },
    { "ssl_cipher_suite", "best", "Undefined cipher suite best" },
    { "ssl_ciphers", "A;B",
      "ssl_ciphers is no list of ciphers: 'A;B'" },
    { "proxy_server", "ftp://h",
      "proxy_server only supports \"http\" and \"https\", got ftp" },
    { "proxy_server", "host:80", "proxy_server missing scheme" },
    { "proxy_server", "http://", "proxy_server missing host" },
    { "role", "control",
      "role has an invalid value: 'control' (data_plane, control_plane, "
      "traditional)" },
    { "role", "data_plane",
      "cluster certificate and key must be provided to use Hybrid mode" },
    { "stream_listen", "0.0.0.0:9000",
      "stream_listen is not supported: only http and https are proxied, use "
      "stream_listen = off" },
    { "wasm", "on", "wasm is not supported, use wasm = off" },
    { "router_flavor", "expressions",
      "router_flavor = expressions is not supported, use "
      "traditional_compatible or traditional" },
    { "kong_zone_size", "lots", "kong_zone_size is not a size: 'lots'" },
    { "proxy_access_log", "x; load_module y",
      "proxy_access_log must not contain any of \" ' \\ $ ; { } #, got "
      "'x; load_module y'" },
    { "prefix", "/tmp/a;b",
      "prefix must not contain any of \" ' \\ $ ; { } #, got '/tmp/a;b'" },
    { "snapshot_history", "0", "snapshot_history must be 1 or greater" },
    { "pg_user", "a\nb", "pg_user contains a control character" },
    { "error_template_json", "/nowhere",
      "error_template_json: no such file at /nowhere" },
    { "pg_password", "{vault://env/test-conf-missing}",
      "failed to dereference '{vault://env/test-conf-missing}': could not "
      "get value from external vault (no value found) for config option "
      "'pg_password'" },
    { NULL, NULL, NULL }
};


static conf_t *
load(arena_t *a, const char *text, value_t **errors)
{
    FILE        *f;
    const char  *path;

    const char *const       names[] = { "prefix", test_dir, NULL };
    const conf_overrides_t  overrides = { names };

    path = arena_printf(a, "%s/kong.conf", test_dir);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);

    return conf_load(a, path, strstr(text, "prefix") ? NULL : &overrides,
                     errors);
}


static void
test_errors(void **state)
{
    size_t              i;
    unsigned            found;
    conf_t             *c;
    arena_t            *a;
    value_t            *errors;
    const conf_case_t  *t;

    (void) state;

    for (t = conf_cases; t->setting != NULL; t++) {
        a = arena_new();

        /* the environment may carry what no file can */
        setenv("KONG_PG_USER", strcmp(t->setting, "pg_user") ? "u" : t->value,
               1);
        c = load(a, strcmp(t->setting, "pg_user") == 0 ? ""
                 : arena_printf(a, "%s = %s\n", t->setting,
                                strchr(t->value, ';') ? arena_printf(a,
                                "\"%s\"", t->value) : t->value), &errors);

        if (t->error == NULL) {
            if (c == NULL) {
                print_error("%s = %s: %s\n", t->setting, t->value,
                            errors->u.items[0].u.string);
            }

            assert_non_null(c);
            assert_int_equal(errors->len, 0);

        } else {
            found = 0;

            for (i = 0; i < errors->len; i++) {
                found |= strcmp(errors->u.items[i].u.string, t->error) == 0;
            }

            if (!found) {
                print_error("%s = %s: not refused with: %s\n", t->setting,
                            t->value, t->error);
            }

            assert_null(c);
            assert_true(found);
        }

        arena_free(a);
    }

    unsetenv("KONG_PG_USER");
}


/* all problems are told, not only the first */
static void
test_all_errors(void **state)
{
    arena_t  *a;
    value_t  *errors;

    (void) state;
    a = arena_new();

    assert_null(load(a, "pg_port = x\nlog_level = y\nheaders = z\n",
                     &errors));
    assert_int_equal(errors->len, 3);

    arena_free(a);
}


static void
test_syntax(void **state)
{
    conf_t   *c;
    arena_t  *a;
    value_t  *errors;

    (void) state;
    a = arena_new();

    c = load(a, "# comment\n; comment\n\n  pg_host =  db1  # inline\n"
             "pg_password = 'a\\#b = c'\r\npg_user=\"x y\"\n"
             "headers = server_tokens, \\\n  via\npg_schema =\n"
             "custom_thing = 1\nlog_level = debug\nlog_level = info",
             &errors);
    assert_non_null(c);

    assert_string_equal(conf_str(c, "pg_host"), "db1");
    assert_string_equal(conf_str(c, "pg_password"), "a#b = c");
    assert_string_equal(conf_str(c, "pg_user"), "x y");
    assert_int_equal(conf_list(c, "headers")->len, 2);
    assert_null(conf_str(c, "pg_schema"));
    assert_string_equal(conf_str(c, "log_level"), "info");

    assert_null(load(a, "just words\n", &errors));
    assert_non_null(strstr(errors->u.items[0].u.string,
                           "kong.conf:1: expected \"name = value\""));

    assert_null(conf_load(a, "/nowhere/kong.conf", NULL, &errors));
    assert_string_equal(errors->u.items[0].u.string,
                        "no file at: /nowhere/kong.conf");

    arena_free(a);
}


/* defaults, file, environment, arguments; other names follow their target */
static void
test_order(void **state)
{
    conf_t   *c;
    arena_t  *a;
    value_t  *errors;

    (void) state;
    a = arena_new();

    setenv("KONG_LOG_LEVEL", "debug", 1);
    setenv("KONG_NGINX_HTTP_GZIP", "on", 1);
    setenv("KONG_NGINX_WORKER_PROCESSES", "3", 1);
    setenv("KONG_PREFIX", "/tmp/elsewhere", 1);
    setenv("KONG_NO_SUCH_SETTING", "x", 1);

    c = load(a, "log_level = crit\nnginx_main_worker_processes = 7\n"
             "real_ip_header = X-Client\npg_port = 77\n", &errors);
    assert_non_null(c);

    assert_string_equal(conf_str(c, "log_level"), "debug");
    assert_int_equal((int) conf_num(c, "pg_port"), 77);
    assert_string_equal(conf_prefix(c), test_dir);
    assert_string_equal(conf_str(c, "nginx_main_worker_processes"), "3");
    assert_string_equal(conf_str(c, "nginx_worker_processes"), "3");
    assert_string_equal(conf_str(c, "real_ip_header"), "X-Client");
    assert_string_equal(value_cstr(value_get(conf_nginx(c, "proxy"),
                                             "real_ip_header")), "X-Client");
    assert_string_equal(value_cstr(value_get(conf_nginx(c, "http"), "gzip")),
                        "on");
    assert_null(value_get(conf_nginx(c, "http"), "lua_regex_match_limit"));
    assert_null(value_get(&c->values, "no_such_setting"));

    unsetenv("KONG_LOG_LEVEL");
    unsetenv("KONG_NGINX_HTTP_GZIP");
    unsetenv("KONG_NGINX_WORKER_PROCESSES");
    unsetenv("KONG_PREFIX");
    unsetenv("KONG_NO_SUCH_SETTING");
    arena_free(a);
}


static void
test_types(void **state)
{
    conf_t               *c;
    arena_t              *a;
    value_t              *errors;
    const conf_listen_t  *listens;

    (void) state;
    a = arena_new();

    c = load(a, "pg_ssl = yes\nclient_ssl = maybe\nplugins = cors , acl,\n"
             "proxy_listen = http2 127.0.0.1:80 ssl reuseport, [::]:81\n"
             "admin_listen = off\ndb_cache_neg_ttl =\n", &errors);
    assert_non_null(c);

    assert_true(conf_bool(c, "pg_ssl"));
    assert_false(conf_bool(c, "client_ssl"));
    assert_int_equal(conf_warnings(c)->len, 1);
    assert_int_equal(conf_list(c, "plugins")->len, 2);
    assert_string_equal(conf_plugins(c)[1], "cors");
    assert_null(conf_plugins(c)[2]);
    assert_true(conf_num(c, "db_cache_neg_ttl")
                != conf_num(c, "db_cache_neg_ttl"));

    assert_int_equal(conf_listens(c, "admin_listen", &listens), 0);
    assert_int_equal(conf_listens(c, "proxy_listen", &listens), 2);
    assert_string_equal(listens[0].text,
                        "127.0.0.1:80 ssl http2 reuseport");
    assert_int_equal(listens[0].port, 80);
    assert_true(listens[0].ssl && listens[0].http2);
    assert_string_equal(listens[1].address, "[::]");
    assert_false(listens[1].ssl);

    arena_free(a);
}


static void
test_references(void **state)
{
    conf_t      *c;
    arena_t     *a;
    value_t     *errors;
    const char  *err;

    (void) state;
    a = arena_new();

    setenv("TEST_CONF_SECRET", "s3cret", 1);
    setenv("P_TEST_CONF_SECRET", "other", 1);
    setenv("TEST_CONF_JSON", "{\"a\":\"b\",\"n\":7}", 1);

    assert_string_equal(conf_vault_get(a, "{vault://env/test-conf-secret}",
                                       NULL, &err), "s3cret");
    assert_string_equal(conf_vault_get(a, "{vault://env/test-conf-secret}",
                                       "p_", &err), "other");
    assert_string_equal(conf_vault_get(a,
                        "{vault://env/test%2dconf-secret?x=1&prefix=p_}",
                        NULL, &err), "other");
    assert_string_equal(conf_vault_get(a, "{vault://env/test-conf-json/a}",
                                       NULL, &err), "b");
    assert_string_equal(conf_vault_get(a, "{vault://env/test-conf-json/n#1}",
                                       NULL, &err), "7");
    assert_null(conf_vault_get(a, "{vault://env/test-conf-json/z}", NULL,
                               &err));
    assert_null(conf_vault_get(a, "{vault://aws/x}", NULL, &err));
    assert_string_equal(err, "vault not found (aws) [{vault://aws/x}]");
    assert_null(conf_vault_get(a, "{vault://env}", NULL, &err));
    assert_null(conf_vault_get(a, "{vault://env/}", NULL, &err));

    c = load(a, "pg_password = {vault://env/test-conf-secret}\n"
             "pg_user = {vault://env/test-conf-secret}\n", &errors);
    assert_non_null(c);
    assert_string_equal(conf_str(c, "pg_password"), "s3cret");

    /* shown and written as references */
    assert_string_equal(value_cstr(value_get(conf_show(a, c), "pg_user")),
                        "{vault://env/test-conf-secret}");

    unsetenv("TEST_CONF_SECRET");
    unsetenv("P_TEST_CONF_SECRET");
    unsetenv("TEST_CONF_JSON");
    arena_free(a);
}


/* what is written is read again as the same settings */
static void
test_env_file(void **state)
{
    conf_t      *c, *again;
    arena_t     *a;
    value_t     *errors;
    struct stat  st;
    const char  *err, *text;

    (void) state;
    a = arena_new();
    text = "_format_version: \"3.0\"\n# x\nservices: [] \\\\";

    setenv("KONG_DECLARATIVE_CONFIG_STRING", text, 1);
    setenv("TEST_CONF_SECRET", "s3cret", 1);
    c = load(a, "database = off\npg_password = {vault://env/"
             "test-conf-secret}\nnginx_http_gzip = on\n"
             "nginx_user = root\nssl_cipher_suite = modern\n", &errors);
    unsetenv("KONG_DECLARATIVE_CONFIG_STRING");
    assert_non_null(c);
    assert_string_equal(conf_str(c, "declarative_config_string"), text);

    assert_int_equal(conf_save_env(c, &err), 0);
    assert_int_equal(stat(conf_path(c, ".kong_env"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);

    again = conf_load_env(a, test_dir, &errors);
    assert_non_null(again);
    assert_true(value_equal(&c->values, &again->values));
    assert_true(value_equal(conf_show(a, c), conf_show(a, again)));
    assert_string_equal(conf_str(again, "pg_password"), "s3cret");

    unsetenv("TEST_CONF_SECRET");
    arena_free(a);
}


static void
test_show(void **state)
{
    conf_t   *c;
    arena_t  *a;
    value_t  *errors, *o;

    (void) state;
    a = arena_new();

    c = load(a, "pg_password = hush\nmy_plugin_token = hush\n"
             "declarative_config_string = hush\nproxy_server = http://u:hush@h"
             "\ncustom = x\n", &errors);
    assert_non_null(c);

    o = conf_show(a, c);
    assert_null(strstr(json_print(a, o, NULL), "hush"));
    assert_string_equal(value_cstr(value_get(o, "pg_password")), "******");
    assert_string_equal(value_cstr(value_get(o, "custom")), "x");
    assert_string_equal(value_cstr(value_get(o, "database")), "postgres");
    assert_int_equal(value_get(o, "pg_port")->kind, VALUE_NUMBER);
    assert_int_equal(value_get(o, "plugins")->kind, VALUE_ARRAY);
    assert_int_equal(value_get(o, "proxy_listeners")->len, 2);
    assert_true(value_get(value_at(value_get(o, "proxy_listeners"), 1),
                          "ssl")->u.boolean);
    assert_string_equal(value_cstr(value_get(o, "nginx_user")), "kong kong");
    assert_null(value_get(o, "pg_schema"));

    arena_free(a);
}


/* every setting is in the sample, with the default that the table has */
static void
test_sample(void **state)
{
    char       line[512], *eq, *value;
    FILE      *f;
    size_t     i;
    value_t    seen;
    arena_t   *a;

    (void) state;
    a = arena_new();
    memset(&seen, 0, sizeof(seen));
    value_set_object(&seen);

    f = fopen(SAMPLE, "r");
    assert_non_null(f);

    while (fgets(line, sizeof(line), f) != NULL) {
        eq = strchr(line, '=');

        if (line[0] != '#' || line[1] < 'a' || line[1] > 'z' || eq == NULL) {
            continue;
        }

        line[strcspn(line, "\n")] = '\0';
        value = eq + 1 + strspn(eq + 1, " ");
        eq[-1] = '\0';

        value_copy_string(a, value_put(a, &seen, arena_strndup(a, line + 1,
                          strlen(line + 1))), value, strlen(value));
    }

    fclose(f);

    for (i = 0; i < conf_n_settings; i++) {
        if (i > 0) {
            assert_true(strcmp(conf_settings[i - 1].name,
                               conf_settings[i].name) < 0);
        }

        if (value_get(&seen, conf_settings[i].name) == NULL) {
            print_error("%s is not in " SAMPLE "\n", conf_settings[i].name);
        }

        assert_non_null(value_get(&seen, conf_settings[i].name));
        assert_string_equal(value_cstr(value_get(&seen,
                                                 conf_settings[i].name)),
                            conf_settings[i].def);
    }

    arena_free(a);
}


static void
test_render(void **state)
{
    size_t               i;
    conf_t              *c;
    arena_t             *a;
    value_t             *errors;
    nginx_facts_t        facts;
    nginx_texts_t        texts;
    static const char  *const certs[] = { "/c.crt", "/c.key", NULL };

    static const char *const  lines[] = {
        "\n    listen 127.0.0.1:80;\n",
        "\n    listen 127.0.0.1:81 ssl http2;\n",
        "\n    ssl_certificate \"/c.crt\";\n",
        "\n    ssl_certificate_key \"/c.key\";\n",
        "\n    access_log off;\n",
        "\nkong_zone 16m;\n",
        "\nkong_headers off;\n",
        "\nkong_trusted_ips 10.0.0.0/8 unix:;\n",
        "\nset_real_ip_from 10.0.0.0/8;\nset_real_ip_from unix:;\n",
        "\nkong_port_map 80:8000;\nkong_port_map 443:8443;\n",
        "\nkong_debug_header on;\n",
        "\nkong_error_template json \"/dev/../etc/hostname\";\n",
        "\n    kong_keepalive 7 requests=10000 timeout=1500ms;\n",
        "\n        proxy_redirect default;\n",
        "\n        kong_proxy on;\n",
        "\n        proxy_set_header Host \"\";\n",
        "\nclient_max_body_size 5m;\n",
        NULL
    };

    (void) state;
    a = arena_new();

    c = load(a, "proxy_listen = 127.0.0.1:80, 127.0.0.1:81 ssl http2\n"
             "proxy_access_log = off\nheaders = off\nadmin_listen = off\n"
             "trusted_ips = 10.0.0.0/8, unix:\nport_maps = 80:8000,443:8443\n"
             "allow_debug_header = on\nupstream_keepalive_pool_size = 7\n"
             "upstream_keepalive_idle_timeout = 1.5\nstatus_listen = off\n"
             "nginx_location_proxy_redirect = default\n"
             "nginx_http_client_max_body_size = 5m\n"
             "nginx_main_worker_processes = 2\nnginx_main_daemon = off\n"
             "nginx_http_charset = NONE\n"
             "error_template_json = /dev/../etc/hostname\n", &errors);
    assert_non_null(c);

    memset(&facts, 0, sizeof(facts));
    facts.module = "/m.so";
    facts.user = "nobody nogroup";
    facts.proxy = certs;

    assert_int_equal(nginx_conf_render(a, c, &facts, &texts), 0);

    for (i = 0; lines[i] != NULL; i++) {
        if (strstr(texts.http, lines[i]) == NULL) {
            print_error("not rendered: %s", lines[i]);
        }

        assert_non_null(strstr(texts.http, lines[i]));
    }

    assert_non_null(strstr(texts.main, "\nload_module \"/m.so\";\n"));
    assert_non_null(strstr(texts.main, "\nuser nobody nogroup;\n"));
    assert_non_null(strstr(texts.main, "\ndaemon off;\n"));
    assert_non_null(strstr(texts.main, "\nworker_processes 2;\n"));
    assert_null(strstr(texts.main, "kong kong"));

    /* an injected line replaces ours; what is off is not there */
    assert_null(strstr(texts.http, "proxy_redirect off"));
    assert_null(strstr(texts.http, "charset"));
    assert_null(strstr(texts.http, "kong_admin"));
    assert_null(strstr(texts.http, "kong_status;\n    }\n\n    location / {\n"
                       "        default_type"));

    arena_free(a);
}


/* the prefix is the only free text that is quoted: it cannot leave quotes */
static void
test_render_prefix(void **state)
{
    conf_t         *c;
    arena_t        *a;
    value_t        *errors;
    nginx_facts_t   facts;
    nginx_texts_t   texts;

    (void) state;
    a = arena_new();

    c = load(a, "prefix = /tmp/with blank\n", &errors);
    assert_non_null(c);

    memset(&facts, 0, sizeof(facts));
    facts.module = "/m.so";
    assert_int_equal(nginx_conf_render(a, c, &facts, &texts), 0);
    assert_non_null(strstr(texts.http,
                           "\nkong_snapshots \"/tmp/with blank/snapshots\";"
                           "\n"));
    arena_free(a);
}


static void
test_help(void **state)
{
    size_t       i;
    const char  *text;

    static const char *const  names[] = {
        "check", "config", "controld", "drain", "health", "hybrid",
        "migrations", "prepare", "quit", "reload", "restart", "start",
        "stop", "vault", "version", NULL
    };

    (void) state;

    for (i = 0; names[i] != NULL; i++) {
        text = help_command(names[i]);
        assert_ptr_not_equal(text, help_all());
        assert_non_null(strstr(text, names[i]));
        assert_non_null(strstr(help_all(), names[i]));
    }
}


static int
setup(void **state)
{
    char  **p, name[256];

    extern char **environ;

    (void) state;

    /* the settings of whoever runs the tests do not matter */
    for (p = environ; *p != NULL; /* void */ ) {
        if (strncmp(*p, "KONG_", 5) == 0 && strcspn(*p, "=") < 256) {
            memcpy(name, *p, strcspn(*p, "="));
            name[strcspn(*p, "=")] = '\0';
            unsetenv(name);
            continue;
        }

        p++;
    }

    return mkdtemp(test_dir) == NULL ? -1 : 0;
}


static int
teardown(void **state)
{
    char  path[256];

    (void) state;

    (void) snprintf(path, sizeof(path), "%s/kong.conf", test_dir);
    (void) unlink(path);
    (void) snprintf(path, sizeof(path), "%s/.kong_env", test_dir);
    (void) unlink(path);

    return rmdir(test_dir);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_all_errors),
        cmocka_unit_test(test_syntax),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_env_file),
        cmocka_unit_test(test_show),
        cmocka_unit_test(test_sample),
        cmocka_unit_test(test_render),
        cmocka_unit_test(test_render_prefix),
        cmocka_unit_test(test_help),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
