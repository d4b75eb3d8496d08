/*
 * http-log: records posted to an HTTP server, one or, where
 * queue.max_batch_size is not 1, an array of them in a request.  A status of
 * 2xx is a delivery.
 */

#include "http_log.h"


typedef struct {
    ngx_kong_log_queue_t   *queue;
    ngx_kong_log_custom_t  *custom;
} http_log_conf_t;


static void *http_log_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool);
static void http_log_log(ngx_http_request_t *r, ngx_kong_run_t *run);
static ngx_int_t http_log_queue(ngx_kong_log_queue_t *queue,
    ngx_kong_instance_t *in);
static ngx_int_t http_log_url(ngx_kong_log_queue_t *queue, ngx_str_t url,
    http_log_url_t *u);
static ngx_int_t http_log_head(ngx_kong_log_queue_t *queue,
    ngx_kong_instance_t *in, http_log_url_t *u);
static ngx_int_t http_log_headers(ngx_kong_log_queue_t *queue,
    ngx_kong_instance_t *in, ngx_array_t *lines);
static ngx_int_t http_log_line(ngx_kong_log_queue_t *queue,
    ngx_array_t *lines, ngx_str_t name, ngx_str_t value);
static ngx_int_t http_log_credentials(ngx_kong_log_queue_t *queue,
    http_log_url_t *u, ngx_array_t *lines);
static size_t http_log_length(ngx_kong_log_batch_t *batch);
static u_char *http_log_write(ngx_kong_log_batch_t *batch, u_char *p);


static const ngx_kong_log_sender_t  http_log_sender = {
    .name = "http-log",
    .prepare = http_log_queue,
    .send = ngx_kong_log_stream_send,
    .abandon = ngx_kong_log_stream_abandon
};


const ngx_kong_plugin_t  ngx_kong_http_log = {
    .name = ngx_string("http-log"),
    .prepare = http_log_prepare,
    .log = http_log_log
};


static void *
http_log_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool)
{
    http_log_conf_t  *conf;

    conf = ngx_pcalloc(pool, sizeof(http_log_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    conf->queue = ngx_kong_log_queue(in, pool, &http_log_sender);

    if (conf->queue == NULL
        || ngx_kong_log_custom(in, pool, &conf->custom) != NGX_OK)
    {
        return NULL;
    }

    return conf;
}


static void
http_log_log(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    ngx_str_t         record;
    http_log_conf_t  *conf;

    conf = run->instance->conf;

    ngx_kong_log_custom_run(r, conf->custom);

    if (ngx_kong_log_record(r, &record) == NGX_OK) {
        ngx_kong_log_queue_add(conf->queue, &record);
    }
}


static ngx_int_t
http_log_queue(ngx_kong_log_queue_t *queue, ngx_kong_instance_t *in)
{
    double             n;
    http_log_url_t     u;
    http_log_queue_t  *http;

    http = ngx_pcalloc(queue->pool, sizeof(http_log_queue_t));
    if (http == NULL) {
        return NGX_ERROR;
    }

    queue->conf = http;
    ngx_kong_log_queue_limits(queue, in);

    n = ngx_kong_conf_num(in, "timeout", 10000);
    http->stream.timeout = (ngx_msec_t) ngx_max(n, 1);
    n = ngx_kong_conf_num(in, "keepalive", 60000);
    http->stream.keepalive = (ngx_msec_t) ngx_max(n, 0);
    http->stream.length = http_log_length;
    http->stream.write = http_log_write;
    http->stream.answer = http_log_answer;
    http->list = (queue->max_batch != 1);

    ngx_memzero(&u, sizeof(u));

    if (http_log_url(queue, ngx_kong_conf_str(in, "http_endpoint"), &u)
        != NGX_OK
        || http_log_head(queue, in, &u) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_kong_log_stream(queue, u.host, u.port, u.tls, u.none);
}


/* scheme://[user[:password]@]host[:port][/path][?query] */
static ngx_int_t
http_log_url(ngx_kong_log_queue_t *queue, ngx_str_t url, http_log_url_t *u)
{
    u_char     *p, *last, *end, *at, *colon;
    ngx_int_t   port;

    p = url.data;
    last = p + url.len;

    u->tls = url.len > 8
             && ngx_strncasecmp(p, (u_char *) "https://", 8) == 0;
    u->port = u->tls ? 443 : 80;

    if (!u->tls && (url.len < 8
                    || ngx_strncasecmp(p, (u_char *) "http://", 7) != 0))
    {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "http-log: \"%V\" is no URL of HTTP", &url);
        return NGX_ERROR;
    }

    p += u->tls ? 8 : 7;

    for (end = p; end < last && *end != '/' && *end != '?' && *end != '#';
         end++)
    {
        /* void */
    }

    for (at = end; at > p && at[-1] != '@'; at--) { /* void */ }

    if (at > p) {
        u->user.data = p;
        u->user.len = at - 1 - p;
        p = at;
    }

    for (colon = end; colon > p && colon[-1] >= '0' && colon[-1] <= '9';
         colon--)
    {
        /* void */
    }

    u->host.data = p;
    u->host.len = end - p;

    if (colon > p && colon[-1] == ':') {
        port = ngx_atoi(colon, end - colon);
        u->host.len = colon - 1 - p;

        if (port > 0 && port <= 65535) {
            u->port = (in_port_t) port;
        }
    }

    u->authority.data = p;
    u->authority.len = end - p;

    for (p = end; p < last && *p != '#'; p++) { /* void */ }

    u->uri.data = end;
    u->uri.len = p - end;

    queue->to.data = ngx_pnalloc(queue->pool, url.len + 1);
    if (queue->to.data == NULL) {
        return NGX_ERROR;
    }

    /* neither the user nor a query is the log's business */

    queue->to.len = ngx_sprintf(queue->to.data, "%s://%V",
                                u->tls ? "https" : "http", &u->authority)
                    - queue->to.data;

    return NGX_OK;
}


/* all that is the same in every request, up to the length of the body */
static ngx_int_t
http_log_head(ngx_kong_log_queue_t *queue, ngx_kong_instance_t *in,
    http_log_url_t *u)
{
    u_char            *p;
    size_t             len;
    ngx_str_t          method, uri, host, *line;
    ngx_uint_t         i;
    ngx_array_t       *lines;
    http_log_queue_t  *http;

    http = queue->conf;
    method = ngx_kong_conf_str(in, "method");

    lines = ngx_array_create(queue->pool, 8, sizeof(ngx_str_t));

    if (lines == NULL
        || ngx_kong_escape(queue->pool, &u->uri, ngx_kong_unsafe_value, &uri)
           != NGX_OK
        || ngx_kong_escape(queue->pool, &u->authority, ngx_kong_unsafe_value,
                           &host)
           != NGX_OK
        || http_log_headers(queue, in, lines) != NGX_OK
        || http_log_credentials(queue, u, lines) != NGX_OK)
    {
        return NGX_ERROR;
    }

    len = sizeof("PATCH / HTTP/1.1" CRLF "Host: " CRLF "User-Agent: "
                 NGX_KONG_SERVER CRLF "Content-Length: ")
          + method.len + uri.len + host.len;

    line = lines->elts;

    for (i = 0; i < lines->nelts; i++) {
        len += line[i].len;
    }

    p = ngx_pnalloc(queue->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    http->head.data = p;
    p = ngx_sprintf(p, "%V %s%V HTTP/1.1" CRLF "Host: %V" CRLF
                    "User-Agent: " NGX_KONG_SERVER CRLF, &method,
                    (uri.len == 0 || uri.data[0] != '/') ? "/" : "", &uri,
                    &host);

    for (i = 0; i < lines->nelts; i++) {
        p = ngx_cpymem(p, line[i].data, line[i].len);
    }

    p = ngx_cpymem(p, "Content-Length: ", sizeof("Content-Length: ") - 1);
    http->head.len = p - http->head.data;

    return NGX_OK;
}


static ngx_int_t
http_log_headers(ngx_kong_log_queue_t *queue, ngx_kong_instance_t *in,
    ngx_array_t *lines)
{
    uint32_t             i;
    const kong_value_t  *v, *item;

    static ngx_str_t  name = ngx_string("Content-Type");

    if (http_log_line(queue, lines, name,
                      ngx_kong_conf_str(in, "content_type"))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    v = ngx_kong_conf_get(in, "headers");

    if (v == NULL || v->kind != KONG_VALUE_OBJECT) {
        return NGX_OK;
    }

    item = kong_value_items(&in->map->seg, v);

    for (i = 0; i < v->n; i++) {
        if (http_log_line(queue, lines, ngx_kong_value_text(in, &item[2 * i]),
                          ngx_kong_value_text(in, &item[2 * i + 1]))
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
http_log_line(ngx_kong_log_queue_t *queue, ngx_array_t *lines,
    ngx_str_t name, ngx_str_t value)
{
    ngx_str_t  *line, key, text;

    line = ngx_array_push(lines);

    if (line == NULL
        || ngx_kong_escape(queue->pool, &name, ngx_kong_unsafe_name, &key)
           != NGX_OK
        || ngx_kong_escape(queue->pool, &value, ngx_kong_unsafe_value, &text)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    line->data = ngx_pnalloc(queue->pool,
                             key.len + text.len + sizeof(": " CRLF));
    if (line->data == NULL) {
        return NGX_ERROR;
    }

    line->len = ngx_sprintf(line->data, "%V: %V" CRLF, &key, &text)
                - line->data;

    return NGX_OK;
}


static ngx_int_t
http_log_credentials(ngx_kong_log_queue_t *queue, http_log_url_t *u,
    ngx_array_t *lines)
{
    u_char     *dst, *src;
    ngx_str_t   user, text, value;

    static ngx_str_t  name = ngx_string("Authorization");

    if (u->user.len == 0) {
        return NGX_OK;
    }

    user.data = ngx_pnalloc(queue->pool, u->user.len);
    text.data = ngx_pnalloc(queue->pool,
                            ngx_base64_encoded_length(u->user.len));
    value.data = ngx_pnalloc(queue->pool, sizeof("Basic ")
                             + ngx_base64_encoded_length(u->user.len));

    if (user.data == NULL || text.data == NULL || value.data == NULL) {
        return NGX_ERROR;
    }

    dst = user.data;
    src = u->user.data;
    ngx_unescape_uri(&dst, &src, u->user.len, 0);
    user.len = dst - user.data;

    ngx_encode_base64(&text, &user);
    value.len = ngx_sprintf(value.data, "Basic %V", &text) - value.data;

    return http_log_line(queue, lines, name, value);
}


/* entries with a comma behind each but the last, in brackets */
static size_t
http_log_body(ngx_kong_log_batch_t *batch)
{
    http_log_queue_t  *http;

    http = batch->queue->conf;

    return batch->bytes + (http->list ? batch->n + 1 : 0);
}


static size_t
http_log_length(ngx_kong_log_batch_t *batch)
{
    http_log_queue_t  *http;

    http = batch->queue->conf;

    return http->head.len + NGX_SIZE_T_LEN + sizeof(CRLF CRLF)
           + http_log_body(batch);
}


static u_char *
http_log_write(ngx_kong_log_batch_t *batch, u_char *p)
{
    ngx_queue_t           *q;
    http_log_queue_t      *http;
    ngx_kong_log_entry_t  *e;

    http = batch->queue->conf;

    p = ngx_cpymem(p, http->head.data, http->head.len);
    p = ngx_http_kong_number(p, http_log_body(batch));
    p = ngx_cpymem(p, CRLF CRLF, 4);

    for (q = ngx_queue_head(&batch->entries);
         q != ngx_queue_sentinel(&batch->entries);
         q = ngx_queue_next(q))
    {
        e = ngx_queue_data(q, ngx_kong_log_entry_t, queue);

        if (http->list) {
            *p++ = (q == ngx_queue_head(&batch->entries)) ? '[' : ',';
        }

        p = ngx_cpymem(p, e->data, e->len);
    }

    if (http->list) {
        *p++ = ']';
    }

    return p;
}
