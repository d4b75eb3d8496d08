/*
 * request-termination: the answer is the configuration's.  With `echo` it
 * describes the request instead.
 */

#include "ngx_kong_plugin.h"

#include <cjson/cJSON.h>


#define REQUEST_TERMINATION_ID_LEN  36


typedef struct {
    ngx_uint_t        status;
    ngx_str_t         trigger;
    ngx_str_t         trigger_lower;
    ngx_str_t         type;
    ngx_str_t         body;
    const char       *message;           /* NULL: none */
    u_char            node_id[REQUEST_TERMINATION_ID_LEN + 1];
    unsigned          has_body:1;
    unsigned          echo:1;
} request_termination_conf_t;

typedef struct {
    ngx_uint_t        status;
    const char       *text;
} request_termination_text_t;


static void *request_termination_prepare(ngx_kong_instance_t *in,
    ngx_pool_t *pool);
static const char *request_termination_text(ngx_uint_t status);
static void request_termination_node_id(request_termination_conf_t *conf,
    ngx_log_t *log);
static ngx_int_t request_termination_access(ngx_http_request_t *r,
    ngx_kong_run_t *run);
static ngx_int_t request_termination_echo(ngx_http_request_t *r,
    request_termination_conf_t *conf);
static cJSON *request_termination_request(ngx_http_request_t *r,
    ngx_str_t *body);
static void request_termination_body(ngx_http_request_t *r, cJSON *json,
    ngx_str_t *body);
static cJSON *request_termination_captures(ngx_http_request_t *r);
static void request_termination_route(ngx_http_request_t *r, cJSON *json);
static void request_termination_service(ngx_http_request_t *r, cJSON *json);
static void request_termination_ref(cJSON *json, const char *name,
    const kong_segment_t *seg, uint32_t ref);
static void request_termination_protocols(cJSON *json, ngx_uint_t protocols);
static cJSON *request_termination_headers(ngx_http_request_t *r);
static cJSON *request_termination_args(ngx_http_request_t *r,
    ngx_str_t *args);
static ngx_int_t request_termination_unescape(ngx_http_request_t *r,
    u_char *p, u_char *last, ngx_str_t *out);
static void request_termination_add(ngx_http_request_t *r, cJSON *object,
    ngx_str_t *name, cJSON *value);
static cJSON *request_termination_string(ngx_http_request_t *r,
    ngx_str_t *text);


const ngx_kong_plugin_t  ngx_kong_request_termination = {
    .name = ngx_string("request-termination"),
    .prepare = request_termination_prepare,
    .access = request_termination_access
};


static const request_termination_text_t  request_termination_texts[] = {
    { 401, "Unauthorized" },
    { 404, "Not found" },
    { 405, "Method not allowed" },
    { 500, "An unexpected error occurred" },
    { 502, "Bad Gateway" },
    { 503, "Service unavailable" },
    { 0, NULL }
};

static const char *const  request_termination_protocol_names[] = {
    "http", "https", "grpc", "grpcs", "tcp", "tls", "tls_passthrough", "udp"
};


static void *
request_termination_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool)
{
    ngx_str_t                    message;
    const kong_value_t          *body;
    request_termination_conf_t  *conf;

    conf = ngx_pcalloc(pool, sizeof(request_termination_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    conf->status = ngx_kong_conf_num(in, "status_code",
                                     NGX_HTTP_SERVICE_UNAVAILABLE);
    conf->echo = ngx_kong_conf_flag(in, "echo");

    message = ngx_kong_conf_str(in, "message");
    conf->message = message.data ? (const char *) message.data
                                 : request_termination_text(conf->status);

    body = ngx_kong_conf_get(in, "body");

    if (body != NULL && body->kind == KONG_VALUE_STRING) {
        conf->has_body = 1;
        conf->body = ngx_kong_value_text(in, body);
    }

    conf->type = ngx_kong_conf_str(in, "content_type");

    if (conf->type.len == 0) {
        ngx_str_set(&conf->type, "application/json; charset=utf-8");
    }

    conf->trigger = ngx_kong_conf_str(in, "trigger");
    conf->trigger_lower.len = conf->trigger.len;
    conf->trigger_lower.data = ngx_pnalloc(pool, conf->trigger.len + 1);

    if (conf->trigger_lower.data == NULL) {
        return NULL;
    }

    ngx_strlow(conf->trigger_lower.data, conf->trigger.data,
               conf->trigger.len);

    if (conf->echo) {
        request_termination_node_id(conf, pool->log);
    }

    return conf;
}


static const char *
request_termination_text(ngx_uint_t status)
{
    const request_termination_text_t  *text;

    for (text = request_termination_texts; text->status; text++) {
        if (text->status == status) {
            return text->text;
        }
    }

    return NULL;
}


/* the file in the prefix that holds it; absent, the member is left out */
static void
request_termination_node_id(request_termination_conf_t *conf, ngx_log_t *log)
{
    u_char    path[NGX_MAX_PATH], *last;
    ssize_t   n;
    ngx_fd_t  fd;

    last = ngx_snprintf(path, sizeof(path) - 1, "%Vkong.id",
                        (ngx_str_t *) &ngx_cycle->prefix);
    *last = '\0';

    fd = ngx_open_file(path, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_log_error(NGX_LOG_WARN, log, ngx_errno,
                      ngx_open_file_n " \"%s\" failed", path);
        return;
    }

    n = ngx_read_fd(fd, conf->node_id, REQUEST_TERMINATION_ID_LEN);

    conf->node_id[n == REQUEST_TERMINATION_ID_LEN ? n : 0] = '\0';

    (void) ngx_close_file(fd);
}


static ngx_int_t
request_termination_access(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    ngx_str_t                    value;
    request_termination_conf_t  *conf;

    conf = run->instance->conf;

    if (conf->trigger.len != 0
        && ngx_kong_header_in(r, (char *) conf->trigger_lower.data,
                              conf->trigger_lower.len)
           == NULL
        && ngx_kong_arg(r, &conf->trigger, 0, &value) != NGX_OK)
    {
        return NGX_OK;
    }

    if (conf->echo) {
        return request_termination_echo(r, conf);
    }

    if (conf->has_body) {
        return ngx_kong_exit(r, conf->status, &conf->type, &conf->body);
    }

    if (conf->message != NULL) {
        return ngx_kong_exit_message(r, conf->status, conf->message);
    }

    return ngx_kong_exit(r, conf->status, NULL, NULL);
}


static ngx_int_t
request_termination_echo(ngx_http_request_t *r,
    request_termination_conf_t *conf)
{
    static ngx_str_t  type = ngx_string("application/json; charset=utf-8");

    char       *text;
    cJSON      *json, *kong;
    ngx_int_t   rc;
    ngx_str_t   body, out, hostname;

    rc = ngx_kong_body(r, NGX_KONG_BODY_MAX, &body);

    if (rc == NGX_DECLINED) {
        ngx_str_null(&body);

    } else if (rc != NGX_OK) {
        return rc;
    }

    json = cJSON_CreateObject();
    kong = cJSON_CreateObject();

    if (conf->message != NULL) {
        cJSON_AddStringToObject(json, "message", conf->message);
    }

    if (conf->node_id[0] != '\0') {
        cJSON_AddStringToObject(kong, "node_id", (char *) conf->node_id);
    }

    hostname = ngx_cycle->hostname;
    cJSON_AddNumberToObject(kong, "worker_pid", ngx_pid);
    cJSON_AddItemToObject(kong, "hostname",
                          request_termination_string(r, &hostname));
    cJSON_AddItemToObject(json, "kong", kong);
    cJSON_AddItemToObject(json, "request",
                          request_termination_request(r, &body));
    request_termination_route(r, json);
    request_termination_service(r, json);

    text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);

    if (text == NULL) {
        return NGX_ERROR;
    }

    out.len = ngx_strlen(text);
    out.data = ngx_pnalloc(r->pool, out.len + 1);

    if (out.data != NULL) {
        ngx_memcpy(out.data, text, out.len);
    }

    cJSON_free(text);

    return out.data ? ngx_kong_exit(r, conf->status, &type, &out) : NGX_ERROR;
}


static cJSON *
request_termination_request(ngx_http_request_t *r, ngx_str_t *body)
{
    cJSON                *json;
    ngx_str_t             args;
    ngx_http_kong_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);
    args = ctx->has_args ? ctx->args : r->args;

    json = cJSON_CreateObject();

    cJSON_AddStringToObject(json, "scheme", ctx->https ? "https" : "http");
    cJSON_AddItemToObject(json, "host",
                          request_termination_string(r,
                                                 &r->headers_in.server));
    cJSON_AddNumberToObject(json, "port", ctx->port);
    cJSON_AddItemToObject(json, "headers", request_termination_headers(r));
    cJSON_AddItemToObject(json, "query", request_termination_args(r, &args));
    request_termination_body(r, json, body);
    cJSON_AddItemToObject(json, "raw_body",
                          request_termination_string(r, body));
    cJSON_AddItemToObject(json, "method",
                          request_termination_string(r, &r->method_name));
    cJSON_AddItemToObject(json, "path",
                          request_termination_string(r, &ctx->path));
    cJSON_AddItemToObject(json, "uri_captures",
                          request_termination_captures(r));

    return json;
}


/* what the type of the body says it holds */
static void
request_termination_body(ngx_http_request_t *r, cJSON *json, ngx_str_t *body)
{
    cJSON            *value;
    ngx_str_t         type;
    ngx_table_elt_t  *h;

    h = ngx_kong_header_in(r, "content-type", sizeof("content-type") - 1);

    if (h == NULL || body->len == 0) {
        return;
    }

    type = h->value;
    value = NULL;

    if (ngx_strlcasestrn(type.data, type.data + type.len,
                         (u_char *) "application/x-www-form-urlencoded",
                         sizeof("application/x-www-form-urlencoded") - 2))
    {
        value = request_termination_args(r, body);

    } else if (ngx_strlcasestrn(type.data, type.data + type.len,
                                (u_char *) "application/json",
                                sizeof("application/json") - 2))
    {
        value = cJSON_ParseWithLength((char *) body->data, body->len);
    }

    if (value != NULL) {
        cJSON_AddItemToObject(json, "body", value);
    }
}


static cJSON *
request_termination_captures(ngx_http_request_t *r)
{
    cJSON               *json, *named, *unnamed;
    ngx_uint_t           i, n;
    ngx_kong_capture_t  *captures;

    json = cJSON_CreateObject();
    named = cJSON_AddObjectToObject(json, "named");
    unnamed = cJSON_AddArrayToObject(json, "unnamed");

    if (ngx_kong_captures(r, &captures, &n) != NGX_OK) {
        return json;
    }

    for (i = 1; i < n; i++) {
        if (captures[i].value.data == NULL) {
            continue;
        }

        cJSON_AddItemToArray(unnamed,
                          request_termination_string(r, &captures[i].value));

        if (captures[i].name.len != 0) {
            request_termination_add(r, named, &captures[i].name,
                          request_termination_string(r, &captures[i].value));
        }
    }

    return json;
}


static void
request_termination_route(ngx_http_request_t *r, cJSON *json)
{
    char                   id[37];
    cJSON                 *route, *service;
    const kong_route_t    *record;
    ngx_http_kong_ctx_t   *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);
    record = ctx->route;

    route = cJSON_AddObjectToObject(json, "matched_route");

    kong_uuid_text(record->id, id);
    cJSON_AddStringToObject(route, "id", id);

    request_termination_ref(route, "name", &ctx->generation->config->seg,
                            record->name);

    if (ctx->service != NULL) {
        kong_uuid_text(ctx->service->id, id);
        service = cJSON_AddObjectToObject(route, "service");
        cJSON_AddStringToObject(service, "id", id);
    }

    request_termination_protocols(cJSON_AddArrayToObject(route, "protocols"),
                                  record->protocols);

    cJSON_AddNumberToObject(route, "https_redirect_status_code",
                            record->redirect);
    cJSON_AddBoolToObject(route, "strip_path",
                          record->flags & KONG_ROUTE_STRIP_PATH);
    cJSON_AddBoolToObject(route, "preserve_host",
                          record->flags & KONG_ROUTE_PRESERVE_HOST);
    cJSON_AddBoolToObject(route, "request_buffering",
                          record->flags & KONG_ROUTE_REQUEST_BUFFERING);
    cJSON_AddBoolToObject(route, "response_buffering",
                          record->flags & KONG_ROUTE_RESPONSE_BUFFERING);
}


static void
request_termination_service(ngx_http_request_t *r, cJSON *json)
{
    char                     id[37];
    cJSON                   *service, *list;
    ngx_http_kong_ctx_t     *ctx;
    const kong_segment_t    *seg;
    const kong_service_t    *record;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);
    record = ctx->service;

    if (record == NULL) {
        return;
    }

    seg = &ctx->generation->config->seg;
    service = cJSON_AddObjectToObject(json, "matched_service");

    kong_uuid_text(record->id, id);
    cJSON_AddStringToObject(service, "id", id);

    request_termination_ref(service, "name", seg, record->name);
    request_termination_ref(service, "host", seg, record->host);
    request_termination_ref(service, "path", seg, record->path);

    list = cJSON_CreateArray();
    request_termination_protocols(list, record->protocol);
    cJSON_AddItemToObject(service, "protocol", cJSON_DetachItemFromArray(list,
                                                                         0));
    cJSON_Delete(list);

    cJSON_AddNumberToObject(service, "port", record->port);
    cJSON_AddNumberToObject(service, "connect_timeout",
                            record->connect_timeout);
    cJSON_AddNumberToObject(service, "write_timeout", record->send_timeout);
    cJSON_AddNumberToObject(service, "read_timeout", record->read_timeout);
    cJSON_AddNumberToObject(service, "retries", record->retries);
}


static void
request_termination_ref(cJSON *json, const char *name,
    const kong_segment_t *seg, uint32_t ref)
{
    kong_str_t  s;

    s = kong_segment_str(seg, ref);

    if (s.data != NULL) {
        cJSON_AddStringToObject(json, name, s.data);
    }
}


static void
request_termination_protocols(cJSON *json, ngx_uint_t protocols)
{
    ngx_uint_t  i;

    for (i = 0; i < 8; i++) {
        if (protocols & (1 << i)) {
            cJSON_AddItemToArray(json,
                cJSON_CreateString(request_termination_protocol_names[i]));
        }
    }
}


static cJSON *
request_termination_headers(ngx_http_request_t *r)
{
    cJSON            *json;
    ngx_str_t         name;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    json = cJSON_CreateObject();

    for (part = &r->headers_in.headers.part; part != NULL; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].hash == 0) {
                continue;
            }

            name.data = h[i].lowcase_key;
            name.len = h[i].key.len;

            request_termination_add(r, json, &name,
                                    request_termination_string(r,
                                                           &h[i].value));
        }
    }

    return json;
}


static cJSON *
request_termination_args(ngx_http_request_t *r, ngx_str_t *args)
{
    u_char     *p, *last, *end, *eq;
    cJSON      *json, *value;
    ngx_str_t   name, text;

    json = cJSON_CreateObject();
    last = args->data + args->len;

    for (p = args->data; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, '&');
        end = end ? end : last;

        eq = ngx_strlchr(p, end, '=');

        if (request_termination_unescape(r, p, eq ? eq : end, &name)
            != NGX_OK
            || name.len == 0)
        {
            continue;
        }

        if (eq == NULL) {
            value = cJSON_CreateTrue();

        } else if (request_termination_unescape(r, eq + 1, end, &text)
                   == NGX_OK)
        {
            value = request_termination_string(r, &text);

        } else {
            continue;
        }

        request_termination_add(r, json, &name, value);
    }

    return json;
}


static ngx_int_t
request_termination_unescape(ngx_http_request_t *r, u_char *p, u_char *last,
    ngx_str_t *out)
{
    u_char  *src, *dst;

    dst = ngx_pnalloc(r->pool, last - p + 1);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    out->data = dst;

    for (src = p; src < last; src++) {
        *dst++ = (*src == '+') ? ' ' : *src;
    }

    src = out->data;
    last = dst;
    dst = out->data;

    ngx_unescape_uri(&dst, &src, last - src, 0);

    out->len = dst - out->data;

    return NGX_OK;
}


/* what comes more than once becomes an array */
static void
request_termination_add(ngx_http_request_t *r, cJSON *object,
    ngx_str_t *name, cJSON *value)
{
    char   *key;
    cJSON  *old, *list;

    key = ngx_pnalloc(r->pool, name->len + 1);

    if (key == NULL || value == NULL) {
        cJSON_Delete(value);
        return;
    }

    ngx_cpystrn((u_char *) key, name->data, name->len + 1);

    old = cJSON_GetObjectItemCaseSensitive(object, key);

    if (old == NULL) {
        cJSON_AddItemToObject(object, key, value);

    } else if (cJSON_IsArray(old)) {
        cJSON_AddItemToArray(old, value);

    } else {
        list = cJSON_CreateArray();
        cJSON_AddItemToArray(list, cJSON_Duplicate(old, 1));
        cJSON_AddItemToArray(list, value);
        cJSON_ReplaceItemInObjectCaseSensitive(object, key, list);
    }
}


/* up to a NUL; bytes are taken as they are */
static cJSON *
request_termination_string(ngx_http_request_t *r, ngx_str_t *text)
{
    u_char  *p;

    p = ngx_pnalloc(r->pool, text->len + 1);
    if (p == NULL) {
        return NULL;
    }

    ngx_memcpy(p, text->data, text->len);
    p[text->len] = '\0';

    return cJSON_CreateString((char *) p);
}
