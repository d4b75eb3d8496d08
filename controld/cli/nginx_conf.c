/*
 * nginx_conf: see nginx_conf.h.  A directive of ours gives way to an injected
 * one of the same name in the same block, so that a user can change any line
 * without making it twice.
 */

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nginx_conf.h"


typedef struct {
    FILE                 *f;
    const conf_t         *c;
    const nginx_facts_t  *facts;
    unsigned              indent;
} nginx_out_t;

typedef struct {
    const char  *name;
    const char  *value;
} nginx_line_t;


static char *nginx_render(arena_t *a, const conf_t *c,
    const nginx_facts_t *facts, void (*render)(nginx_out_t *o));
static void nginx_main(nginx_out_t *o);
static void nginx_http(nginx_out_t *o);
static void nginx_http_kong(nginx_out_t *o);
static void nginx_http_tls(nginx_out_t *o);
static void nginx_http_templates(nginx_out_t *o);
static void nginx_upstreams(nginx_out_t *o);
static void nginx_proxy_server(nginx_out_t *o);
static void nginx_proxy_location(nginx_out_t *o);
static void nginx_admin_server(nginx_out_t *o);
static void nginx_status_server(nginx_out_t *o);
static void nginx_control_server(nginx_out_t *o);
static void nginx_listens(nginx_out_t *o, const char *name,
    nginx_certs_t certs);
static void nginx_logs(nginx_out_t *o, const char *access, const char *error,
    const char *format);
static void nginx_words(nginx_out_t *o, const char *directive,
    const char *setting);
static void nginx_lines(nginx_out_t *o, const char *block,
    const nginx_line_t *lines);
static void nginx_put(nginx_out_t *o, const char *block, const char *name,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
static void nginx_inject(nginx_out_t *o, const char *block);
static void nginx_location(nginx_out_t *o, const char *path,
    const char *line);
static void nginx_message(nginx_out_t *o, const char *path, int status,
    const char *message);
static void nginx_open(nginx_out_t *o, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static void nginx_close(nginx_out_t *o);
static void nginx_text(nginx_out_t *o, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));


static const nginx_line_t  nginx_http_lines[] = {
    { "server_tokens", "off" },
    { "underscores_in_headers", "on" },
    { "merge_slashes", "off" },
    { "client_body_temp_path", "client_body_temp" },
    { "proxy_temp_path", "proxy_temp" },
    { "fastcgi_temp_path", "fastcgi_temp" },
    { "uwsgi_temp_path", "uwsgi_temp" },
    { "scgi_temp_path", "scgi_temp" },
    { NULL, NULL }
};

/*
 * The module writes the request line and the headers of the request that goes
 * upstream; nginx must add none of its own.
 */
static const nginx_line_t  nginx_location_lines[] = {
    { "proxy_http_version", "1.1" },
    { "proxy_pass_request_headers", "off" },
    { "proxy_redirect", "off" },
    { "proxy_next_upstream", "error timeout" },
    { "proxy_next_upstream_tries", "0" },
    { "proxy_ssl_server_name", "on" },
    { "proxy_ignore_headers", "X-Accel-Redirect X-Accel-Expires" },
    { NULL, NULL }
};

static const char *const  nginx_own_headers[] = {
    "Host", "Connection", "Content-Length", "Transfer-Encoding", "TE",
    "Keep-Alive", "Expect", "Upgrade", NULL
};

static const char *const  nginx_passed_headers[] = { "Server", "Date", NULL };


int
nginx_conf_render(arena_t *a, const conf_t *c, const nginx_facts_t *f,
    nginx_texts_t *out)
{
    out->main = nginx_render(a, c, f, nginx_main);
    out->http = nginx_render(a, c, f, nginx_http);

    return (out->main == NULL || out->http == NULL) ? -1 : 0;
}


static char *
nginx_render(arena_t *a, const conf_t *c, const nginx_facts_t *facts,
    void (*render)(nginx_out_t *o))
{
    int           failed;
    char         *text, *copy;
    size_t        len;
    nginx_out_t   o;

    text = NULL;
    o.f = open_memstream(&text, &len);
    o.c = c;
    o.facts = facts;
    o.indent = 0;

    if (o.f == NULL) {
        return NULL;
    }

    nginx_text(&o, "# Written by the kong command; changes are lost at the "
               "next start or reload.");
    render(&o);

    failed = ferror(o.f);
    copy = NULL;

    if (fclose(o.f) == 0 && !failed) {
        copy = arena_strndup(a, text, len);
    }

    free(text);

    return copy;
}


static void
nginx_main(nginx_out_t *o)
{
    size_t          i;
    const char     *name;
    const value_t  *main;

    nginx_text(o, "load_module \"%s\";", o->facts->module);
    nginx_text(o, "pid pids/nginx.pid;");
    nginx_put(o, "main", "error_log", "%s %s",
              conf_str(o->c, "proxy_error_log"),
              conf_str(o->c, "log_level"));

    if (o->facts->user != NULL) {
        nginx_text(o, "user %s;", o->facts->user);
    }

    main = conf_nginx(o->c, "main");

    for (i = 0; i < main->len; i++) {
        name = value_member(main, i).key;

        /* "daemon" only when it is off: nginx -g may say it too */
        if (strcmp(name, "user") == 0
            || (strcmp(name, "daemon") == 0
                && value_str_eq(value_nth(main, i), "on")))
        {
            continue;
        }

        nginx_text(o, "%s %s;", name, value_nth(main, i)->u.string);
    }

    nginx_open(o, "events");
    nginx_inject(o, "events");
    nginx_close(o);

    nginx_open(o, "http");
    nginx_text(o, "include nginx-kong.conf;");
    nginx_close(o);
}


static void
nginx_http(nginx_out_t *o)
{
    const value_t  *http;

    http = conf_nginx(o->c, "http");

    nginx_lines(o, "http", nginx_http_lines);

    if (value_get(http, "log_format") == NULL) {
        nginx_text(o, "log_format kong_log_format '$remote_addr - "
                   "$remote_user [$time_local] \"$request\" $status "
                   "$body_bytes_sent \"$http_referer\" \"$http_user_agent\" "
                   "kong_request_id: "
                   "\"$sent_http_x_kong_request_id\"';");
    }

    nginx_inject(o, "http");
    nginx_http_kong(o);
    nginx_upstreams(o);
    nginx_proxy_server(o);
    nginx_admin_server(o);
    nginx_status_server(o);
    nginx_control_server(o);
}


static void
nginx_http_kong(nginx_out_t *o)
{
    size_t          i;
    const value_t  *list;

    nginx_text(o, "kong_zone %s;", conf_str(o->c, "kong_zone_size"));
    nginx_text(o, "kong_cache_zone %s;", conf_str(o->c, "mem_cache_size"));
    nginx_text(o, "kong_metrics_zone %s;",
               conf_str(o->c, "kong_metrics_size"));
    nginx_text(o, "kong_snapshots \"%s/snapshots\";", conf_prefix(o->c));
    nginx_text(o, "kong_ask \"%s/sockets/ask.sock\";", conf_prefix(o->c));

    if (o->facts->node_id != NULL) {
        nginx_text(o, "kong_node_id %s;", o->facts->node_id);
    }

    nginx_words(o, "kong_headers", "headers");
    nginx_words(o, "kong_headers_upstream", "headers_upstream");
    nginx_words(o, "kong_trusted_ips", "trusted_ips");

    list = conf_list(o->c, "trusted_ips");

    for (i = 0; i < list->len; i++) {
        nginx_text(o, "set_real_ip_from %s;", list->u.items[i].u.string);
    }

    list = conf_list(o->c, "port_maps");

    for (i = 0; i < list->len; i++) {
        nginx_text(o, "kong_port_map %s;", list->u.items[i].u.string);
    }

    nginx_http_templates(o);
    nginx_http_tls(o);

    nginx_text(o, "kong_error_default_type %s;",
               conf_str(o->c, "error_default_type"));
    nginx_text(o, "kong_debug_header %s;",
               conf_bool(o->c, "allow_debug_header") ? "on" : "off");
}


/* what servers are trusted, and shown, where an entity says no other */
static void
nginx_http_tls(nginx_out_t *o)
{
    size_t  i;

    for (i = 0; o->facts->trusted != NULL && o->facts->trusted[i] != NULL;
         i++)
    {
        nginx_text(o, "kong_trusted_certificate \"%s\";",
                   o->facts->trusted[i]);
    }

    nginx_text(o, "kong_verify_depth %.0f;",
               conf_num(o->c, "lua_ssl_verify_depth"));

    if (o->facts->client_cert != NULL) {
        nginx_text(o, "kong_client_certificate \"%s\" \"%s\";",
                   o->facts->client_cert, o->facts->client_key);
    }
}


static void
nginx_http_templates(nginx_out_t *o)
{
    size_t       i;
    const char  *path;

    static const char *const  types[][2] = {
        { "error_template_html", "html" },
        { "error_template_json", "json" },
        { "error_template_plain", "plain" },
        { "error_template_xml", "xml" },
        { NULL, NULL }
    };

    for (i = 0; types[i][0] != NULL; i++) {
        path = conf_str(o->c, types[i][0]);

        if (path != NULL) {
            nginx_text(o, "kong_error_template %s \"%s\";", types[i][1],
                       path);
        }
    }
}


static void
nginx_upstreams(nginx_out_t *o)
{
    double  size;

    size = conf_num(o->c, "upstream_keepalive_pool_size");

    nginx_open(o, "upstream kong_upstream");
    nginx_text(o, "server 0.0.0.1;");
    nginx_text(o, "kong_balancer;");

    if (size >= 1) {
        nginx_text(o, "kong_keepalive %.0f requests=%.0f timeout=%.0fms;",
                   floor(size),
                   conf_num(o->c, "upstream_keepalive_max_requests"),
                   conf_num(o->c, "upstream_keepalive_idle_timeout") * 1e3);
    }

    nginx_inject(o, "upstream");
    nginx_close(o);

    nginx_open(o, "upstream kong_controld");
    nginx_text(o, "server \"unix:%s/sockets/admin.sock\" max_fails=0;",
               conf_prefix(o->c));
    /* given up before controld gives them up */
    nginx_text(o, "keepalive 16;");
    nginx_text(o, "keepalive_timeout 30s;");
    nginx_close(o);
}


static void
nginx_proxy_server(nginx_out_t *o)
{
    const conf_listen_t  *listens;

    if (conf_listens(o->c, "proxy_listen", &listens) == 0) {
        return;
    }

    nginx_open(o, "server");
    nginx_text(o, "server_name kong;");
    nginx_listens(o, "proxy_listen", o->facts->proxy);
    nginx_text(o, "kong_certificates on;");
    nginx_logs(o, "proxy_access_log", "proxy_error_log", "kong_log_format");

    nginx_put(o, "proxy", "error_page", "400 404 405 408 411 412 413 414 417 "
              "500 502 503 504 /kong_error_handler");
    nginx_text(o, "error_page 494 =494 /kong_error_handler;");
    nginx_inject(o, "proxy");

    nginx_open(o, "location /");
    nginx_proxy_location(o);
    nginx_close(o);

    nginx_open(o, "location = /kong_error_handler");
    nginx_text(o, "internal;");
    nginx_text(o, "kong_error;");
    nginx_close(o);

    nginx_close(o);
}


static void
nginx_proxy_location(nginx_out_t *o)
{
    size_t  i;

    nginx_text(o, "kong_proxy on;");
    nginx_text(o, "proxy_pass http://kong_upstream;");
    nginx_lines(o, "location", nginx_location_lines);

    for (i = 0; nginx_own_headers[i] != NULL; i++) {
        nginx_text(o, "proxy_set_header %s \"\";", nginx_own_headers[i]);
    }

    for (i = 0; nginx_passed_headers[i] != NULL; i++) {
        nginx_text(o, "proxy_pass_header %s;", nginx_passed_headers[i]);
    }

    nginx_inject(o, "location");
}


/* all but /status is controld's; it may take its time for a large POST */
static void
nginx_admin_server(nginx_out_t *o)
{
    const conf_listen_t  *listens;

    static const nginx_line_t  lines[] = {
        { "proxy_http_version", "1.1" },
        { "proxy_read_timeout", "600s" },
        { "proxy_send_timeout", "600s" },
        { "proxy_redirect", "off" },
        { "proxy_max_temp_file_size", "0" },
        { NULL, NULL }
    };

    if (conf_listens(o->c, "admin_listen", &listens) == 0) {
        return;
    }

    nginx_open(o, "server");
    nginx_text(o, "server_name kong_admin;");
    nginx_listens(o, "admin_listen", o->facts->admin);
    nginx_logs(o, "admin_access_log", "admin_error_log", NULL);
    nginx_inject(o, "admin");

    nginx_location(o, "= /status", "kong_status;");
    nginx_location(o, "= /status/ready", "kong_status;");

    /* with tokens controld looks at them first */
    if (conf_list(o->c, "admin_tokens")->len == 0
        && conf_str(o->c, "admin_tokens_file") == NULL)
    {
        nginx_location(o, "= /metrics", "kong_metrics;");
    }

    nginx_location(o, "@kong_metrics", "kong_metrics;");
    nginx_location(o, "@kong_cache", "kong_cache_admin;");

    nginx_open(o, "location /");
    nginx_text(o, "proxy_pass http://kong_controld;");
    nginx_text(o, "proxy_set_header Host $http_host;");
    nginx_text(o, "proxy_set_header Connection \"\";");
    nginx_text(o, "proxy_set_header X-Client-Verify $ssl_client_verify;");
    nginx_text(o, "proxy_set_header X-Client-Subject $ssl_client_s_dn;");
    nginx_lines(o, "admin", lines);
    nginx_text(o, "proxy_pass_header Server;");
    nginx_text(o, "proxy_pass_header Date;");
    nginx_text(o, "error_page 413 @kong_too_large;");
    nginx_text(o, "error_page 502 504 = @kong_controld_down;");
    nginx_close(o);

    nginx_message(o, "@kong_too_large", 413, "request body too large");
    nginx_message(o, "@kong_controld_down", 503, "controld is not running: "
                  "the Admin API is not available, traffic is served");

    nginx_close(o);
}


static void
nginx_status_server(nginx_out_t *o)
{
    const conf_listen_t  *listens;

    if (conf_listens(o->c, "status_listen", &listens) == 0) {
        return;
    }

    nginx_open(o, "server");
    nginx_text(o, "server_name kong_status;");
    nginx_listens(o, "status_listen", o->facts->status);
    nginx_logs(o, "status_access_log", "status_error_log", NULL);
    nginx_inject(o, "status");

    nginx_location(o, "= /status", "kong_status;");
    nginx_location(o, "= /status/ready", "kong_status;");
    nginx_location(o, "= /metrics", "kong_metrics;");
    nginx_message(o, "/", 404, "Not found");

    nginx_close(o);
}


static void
nginx_control_server(nginx_out_t *o)
{
    nginx_open(o, "server");
    nginx_text(o, "listen \"unix:%s/sockets/control.sock\";",
               conf_prefix(o->c));
    nginx_text(o, "access_log off;");

    nginx_location(o, "= /status", "kong_status;");
    nginx_location(o, "/", "kong_control;");

    nginx_close(o);
}


static void
nginx_listens(nginx_out_t *o, const char *name, nginx_certs_t certs)
{
    size_t                i, n;
    unsigned              ssl;
    const char           *ciphers;
    const conf_listen_t  *listens;

    n = conf_listens(o->c, name, &listens);
    ssl = 0;

    for (i = 0; i < n; i++) {
        nginx_text(o, "listen %s;", listens[i].text);
        ssl |= listens[i].ssl;
    }

    if (!ssl) {
        return;
    }

    for (i = 0; certs != NULL && certs[i] != NULL; i += 2) {
        nginx_text(o, "ssl_certificate \"%s\";", certs[i]);
        nginx_text(o, "ssl_certificate_key \"%s\";", certs[i + 1]);
    }

    nginx_text(o, "ssl_session_cache shared:SSL:%s;",
               conf_str(o->c, "ssl_session_cache_size"));

    ciphers = conf_str(o->c, "ssl_ciphers");

    if (ciphers != NULL) {
        nginx_text(o, "ssl_ciphers %s;", ciphers);
    }
}


/* "off", or a path with an optional format behind it */
static void
nginx_logs(nginx_out_t *o, const char *access, const char *error,
    const char *format)
{
    const char  *s;

    s = conf_str(o->c, access);

    if (s == NULL || strcmp(s, "off") == 0) {
        nginx_text(o, "access_log off;");

    } else if (format != NULL && strpbrk(s, " \t") == NULL) {
        nginx_text(o, "access_log %s %s;", s, format);

    } else {
        nginx_text(o, "access_log %s;", s);
    }

    s = conf_str(o->c, error);

    if (s == NULL || strcmp(s, "off") == 0) {
        s = "/dev/null";
    }

    nginx_text(o, "error_log %s %s;", s, conf_str(o->c, "log_level"));
}


static void
nginx_words(nginx_out_t *o, const char *directive, const char *setting)
{
    size_t          i;
    const value_t  *list;

    list = conf_list(o->c, setting);

    if (list->len == 0) {
        return;
    }

    fprintf(o->f, "%*s%s", (int) o->indent * 4, "", directive);

    for (i = 0; i < list->len; i++) {
        fprintf(o->f, " %s", list->u.items[i].u.string);
    }

    fputs(";\n", o->f);
}


static void
nginx_lines(nginx_out_t *o, const char *block, const nginx_line_t *lines)
{
    for ( /* void */ ; lines->name != NULL; lines++) {
        nginx_put(o, block, lines->name, "%s", lines->value);
    }
}


static void
nginx_put(nginx_out_t *o, const char *block, const char *name,
    const char *fmt, ...)
{
    va_list  args;

    if (value_get(conf_nginx(o->c, block), name) != NULL) {
        return;
    }

    fprintf(o->f, "%*s%s ", (int) o->indent * 4, "", name);

    va_start(args, fmt);
    vfprintf(o->f, fmt, args);
    va_end(args);

    fputs(";\n", o->f);
}


static void
nginx_inject(nginx_out_t *o, const char *block)
{
    size_t          i;
    const char     *name, *value;
    const value_t  *lines;

    lines = conf_nginx(o->c, block);

    for (i = 0; i < lines->len; i++) {
        name = value_member(lines, i).key;
        value = value_nth(lines, i)->u.string;

        if (strcmp(name, "ssl_dhparam") == 0) {
            if (o->facts->dhparam != NULL) {
                nginx_text(o, "ssl_dhparam \"%s\";", o->facts->dhparam);
            }

            continue;
        }

        nginx_text(o, "%s %s;", name, value);
    }
}


static void
nginx_location(nginx_out_t *o, const char *path, const char *line)
{
    nginx_open(o, "location %s", path);
    nginx_text(o, "%s", line);
    nginx_close(o);
}


/* an answer that nginx gives itself */
static void
nginx_message(nginx_out_t *o, const char *path, int status,
    const char *message)
{
    nginx_open(o, "location %s", path);
    nginx_text(o, "default_type application/json;");
    nginx_text(o, "return %d '{\"message\":\"%s\"}';", status, message);
    nginx_close(o);
}


static void
nginx_open(nginx_out_t *o, const char *fmt, ...)
{
    va_list  args;

    fprintf(o->f, "\n%*s", (int) o->indent * 4, "");

    va_start(args, fmt);
    vfprintf(o->f, fmt, args);
    va_end(args);

    fputs(" {\n", o->f);
    o->indent++;
}


static void
nginx_close(nginx_out_t *o)
{
    o->indent--;
    nginx_text(o, "}");
}


static void
nginx_text(nginx_out_t *o, const char *fmt, ...)
{
    va_list  args;

    fprintf(o->f, "%*s", (int) o->indent * 4, "");

    va_start(args, fmt);
    vfprintf(o->f, fmt, args);
    va_end(args);

    fputc('\n', o->f);
}
