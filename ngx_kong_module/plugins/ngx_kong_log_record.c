/*
 * The log record, see ngx_kong_log_record.h.  Written in one pass from what
 * the request and nginx know anyway: nothing is noted down while a request is
 * served.  What routes, services and consumers look like is in the segment
 * (snapshot/kong_texts.h).
 */

#include "ngx_kong_log_custom.h"
#include "ngx_kong_log_record.h"
#include "../snapshot/kong_path.h"
#include "../snapshot/kong_texts.h"


#define ngx_kong_log_put(text)  ngx_kong_log_json_put(json, text)


static ngx_int_t ngx_kong_log_write(ngx_http_request_t *r,
    ngx_http_kong_ctx_t *ctx);
static void ngx_kong_log_request(ngx_http_request_t *r,
    ngx_http_kong_ctx_t *ctx, ngx_kong_log_json_t *json);
static void ngx_kong_log_url(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx,
    ngx_kong_log_json_t *json);
static void ngx_kong_log_tls(ngx_http_request_t *r,
    ngx_kong_log_json_t *json);
static void ngx_kong_log_response(ngx_http_request_t *r,
    ngx_kong_log_json_t *json);
static void ngx_kong_log_latencies(ngx_http_request_t *r,
    ngx_http_kong_ctx_t *ctx, ngx_kong_log_json_t *json);
static ngx_msec_int_t ngx_kong_log_receive(ngx_http_request_t *r);
static uint64_t ngx_kong_log_started(ngx_http_request_t *r);
static void ngx_kong_log_signed(ngx_kong_log_json_t *json, ngx_msec_int_t n);
static void ngx_kong_log_upstream(ngx_http_request_t *r,
    ngx_http_kong_ctx_t *ctx, ngx_kong_log_json_t *json);
static void ngx_kong_log_upstream_uri(ngx_http_request_t *r,
    ngx_http_kong_ctx_t *ctx, ngx_kong_log_json_t *json);
static void ngx_kong_log_tries(ngx_http_request_t *r,
    ngx_http_kong_ctx_t *ctx, ngx_kong_log_json_t *json);
static void ngx_kong_log_try(ngx_http_upstream_state_t *state,
    uint64_t start, ngx_uint_t last, ngx_kong_log_json_t *json);
static ngx_uint_t ngx_kong_log_prepared(ngx_http_kong_ctx_t *ctx);
static void ngx_kong_log_entities(ngx_http_kong_ctx_t *ctx,
    ngx_kong_log_json_t *json);
static void ngx_kong_log_entity(ngx_kong_log_json_t *json, const char *name,
    kong_str_t text);
static void ngx_kong_log_who(ngx_http_kong_ctx_t *ctx,
    ngx_kong_log_json_t *json);
static uint64_t ngx_kong_log_now(void);


/* the record of the request that was logged last */
static ngx_kong_log_json_t   ngx_kong_log_text;
static ngx_http_request_t   *ngx_kong_log_of;
static ngx_str_t             ngx_kong_log_last;


ngx_int_t
ngx_kong_log_record(ngx_http_request_t *r, ngx_str_t *record)
{
    ngx_http_kong_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    /* the log handlers of one request run in one go; whoever is first there
     * has nothing logged yet */

    if (!ctx->recorded || ngx_kong_log_of != r) {
        ngx_kong_log_of = NULL;

        if (ngx_kong_log_write(r, ctx) != NGX_OK) {
            return NGX_ERROR;
        }

        ngx_kong_log_of = r;
        ctx->recorded = 1;
    }

    *record = ngx_kong_log_last;

    return NGX_OK;
}


void
ngx_kong_log_record_changed(void)
{
    ngx_kong_log_of = NULL;
}


static ngx_int_t
ngx_kong_log_write(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx)
{
    ngx_kong_log_json_t  *json;

    json = &ngx_kong_log_text;
    ngx_kong_log_json_clear(json);

    ngx_kong_log_put("{");
    ngx_kong_log_request(r, ctx, json);
    ngx_kong_log_response(r, json);
    ngx_kong_log_upstream(r, ctx, json);
    ngx_kong_log_latencies(r, ctx, json);
    ngx_kong_log_entities(ctx, json);
    ngx_kong_log_who(ctx, json);

    ngx_kong_log_put("\"client_ip\":");
    ngx_kong_log_json_string(json, r->connection->addr_text.data,
                             r->connection->addr_text.len);

    if (ctx->correlation_id.len != 0) {
        ngx_kong_log_put(",\"correlation_id\":");
        ngx_kong_log_json_string(json, ctx->correlation_id.data,
                                 ctx->correlation_id.len);
    }

    ngx_kong_log_put(",\"workspace_name\":\"default\"}");

    if (json->failed) {
        return NGX_ERROR;
    }

    ngx_kong_log_last.data = json->data;
    ngx_kong_log_last.len = json->len;

    return ngx_kong_log_custom_apply(r, &ngx_kong_log_last);
}


static void
ngx_kong_log_request(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx,
    ngx_kong_log_json_t *json)
{
    ngx_str_t  *method;

    ngx_http_kong_request_id(r, ctx);

    ngx_kong_log_put("\"request\":{\"id\":\"");
    ngx_kong_log_json_raw(json, ctx->request_id, sizeof(ctx->request_id));

    ngx_kong_log_put("\",\"method\":");
    method = ctx->method.len ? &ctx->method : &r->method_name;
    ngx_kong_log_json_string(json, method->data, method->len);

    ngx_kong_log_put(",\"uri\":");
    ngx_kong_log_json_string(json, r->unparsed_uri.data,
                             r->unparsed_uri.len);

    ngx_kong_log_url(r, ctx, json);

    ngx_kong_log_put(",\"size\":");
    ngx_kong_log_json_number(json, (uint64_t) r->request_length);

    ngx_kong_log_put(",\"querystring\":{");
    ngx_kong_log_query(r, ctx->has_args ? &ctx->args : &r->args, json);
    ngx_kong_log_json_close(json, '}');

    ngx_kong_log_put(",\"headers\":{");
    ngx_kong_log_headers_in(r, json);
    ngx_kong_log_json_close(json, '}');

    ngx_kong_log_tls(r, json);

    ngx_kong_log_put("},");
}


static void
ngx_kong_log_url(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx,
    ngx_kong_log_json_t *json)
{
    u_char     *p;
    size_t      len;
    ngx_str_t  *host;
    in_port_t   port;

    host = ngx_http_kong_server_name(r);
    port = ctx->port;

    if (port == 0 && r->connection->local_sockaddr != NULL) {
        port = ngx_inet_get_port(r->connection->local_sockaddr);
    }

    len = sizeof("https://:65535") + host->len + r->unparsed_uri.len;

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        json->failed = 1;
        return;
    }

#if (NGX_HTTP_SSL)
    len = ngx_sprintf(p, "%s://%V:%ui%V",
                      r->connection->ssl ? "https" : "http", host,
                      (ngx_uint_t) port, &r->unparsed_uri)
          - p;
#else
    len = ngx_sprintf(p, "http://%V:%ui%V", host, (ngx_uint_t) port,
                      &r->unparsed_uri)
          - p;
#endif

    ngx_kong_log_put(",\"url\":");
    ngx_kong_log_json_string(json, p, len);
}


static void
ngx_kong_log_tls(ngx_http_request_t *r, ngx_kong_log_json_t *json)
{
#if (NGX_HTTP_SSL)
    ngx_str_t          verify;
    const char        *text;
    ngx_connection_t  *c;

    c = r->connection;

    if (c->ssl == NULL) {
        return;
    }

    ngx_kong_log_put(",\"tls\":{\"version\":");
    text = SSL_get_version(c->ssl->connection);
    ngx_kong_log_json_string(json, (u_char *) text, ngx_strlen(text));

    ngx_kong_log_put(",\"cipher\":");
    text = SSL_get_cipher_name(c->ssl->connection);
    ngx_kong_log_json_string(json, (u_char *) text, ngx_strlen(text));

    if (ngx_ssl_get_client_verify(c, r->pool, &verify) == NGX_OK) {
        ngx_kong_log_put(",\"client_verify\":");
        ngx_kong_log_json_string(json, verify.data, verify.len);
    }

    ngx_kong_log_put("}");
#else
    (void) r;
    (void) json;
#endif
}


static void
ngx_kong_log_response(ngx_http_request_t *r, ngx_kong_log_json_t *json)
{
    ngx_kong_log_put("\"response\":{\"status\":");
    ngx_kong_log_json_number(json, ngx_http_kong_status(r));

    ngx_kong_log_put(",\"size\":");
    ngx_kong_log_json_number(json, (uint64_t) r->connection->sent);

    ngx_kong_log_put(",\"headers\":{");
    ngx_kong_log_headers_out(r, json);
    ngx_kong_log_json_close(json, '}');

    ngx_kong_log_put("},");
}


static void
ngx_kong_log_latencies(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx,
    ngx_kong_log_json_t *json)
{
    ngx_http_kong_latency_t  l;

    ngx_http_kong_latency(r, ctx, &l);

    ngx_kong_log_put("\"latencies\":{\"kong\":");
    ngx_kong_log_signed(json, l.kong);
    ngx_kong_log_put(",\"proxy\":");
    ngx_kong_log_signed(json, l.upstream);
    ngx_kong_log_put(",\"request\":");
    ngx_kong_log_signed(json, l.request);
    ngx_kong_log_put(",\"receive\":");
    ngx_kong_log_signed(json, ngx_kong_log_receive(r));

    ngx_kong_log_put("},\"started_at\":");
    ngx_kong_log_json_number(json, ngx_kong_log_started(r));
    ngx_kong_log_put(",");
}


/* the upstream's body */
static ngx_msec_int_t
ngx_kong_log_receive(ngx_http_request_t *r)
{
    ngx_http_upstream_state_t  *state;

    if (r->upstream_states == NULL || r->upstream_states->nelts == 0) {
        return 0;
    }

    state = r->upstream_states->elts;
    state += r->upstream_states->nelts - 1;

    if (state->header_time == (ngx_msec_t) -1
        || state->response_time == (ngx_msec_t) -1)
    {
        return 0;
    }

    return ngx_max((ngx_msec_int_t) (state->response_time
                                     - state->header_time), 0);
}


static uint64_t
ngx_kong_log_started(ngx_http_request_t *r)
{
    return (uint64_t) r->start_sec * 1000 + r->start_msec;
}


static void
ngx_kong_log_signed(ngx_kong_log_json_t *json, ngx_msec_int_t n)
{
    if (n < 0) {
        ngx_kong_log_put("-");
        n = -n;
    }

    ngx_kong_log_json_number(json, (uint64_t) n);
}


static void
ngx_kong_log_upstream(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx,
    ngx_kong_log_json_t *json)
{
    ngx_uint_t                  i, n;
    ngx_http_upstream_state_t  *state;

    n = 0;
    state = NULL;

    if (r->upstream_states != NULL) {
        n = r->upstream_states->nelts;
        state = r->upstream_states->elts;
    }

    ngx_kong_log_upstream_uri(r, ctx, json);
    ngx_kong_log_put("\"upstream_status\":\"");

    for (i = 0; i < n; i++) {
        if (i != 0) {
            ngx_kong_log_put(", ");
        }

        if (state[i].status != 0) {
            ngx_kong_log_json_number(json, state[i].status);

        } else {
            ngx_kong_log_put("-");
        }
    }

    if (ngx_http_kong_from_service(r, ctx)) {
        ngx_kong_log_put("\",\"source\":\"upstream\",");

    } else {
        ngx_kong_log_put("\",\"source\":\"kong\",");
    }

    ngx_kong_log_tries(r, ctx, json);
}


/* what was sent, or would have been */
static void
ngx_kong_log_upstream_uri(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx,
    ngx_kong_log_json_t *json)
{
    u_char      *p;
    ngx_str_t    uri;
    kong_str_t   service, path;

    ngx_kong_log_put("\"upstream_uri\":");
    ngx_str_null(&uri);

    if (ctx->proxied && r->upstream != NULL) {
        uri = r->upstream->uri;

    } else if (ctx->uri.len != 0) {
        uri = ctx->uri;

    } else if (ngx_kong_log_prepared(ctx)) {
        path.data = (char *) ctx->path.data;
        path.len = ctx->path.len;
        service = kong_segment_str(&ctx->generation->config->seg,
                                   ctx->service ? ctx->service->path : 0);

        p = ngx_pnalloc(r->pool, kong_path_upstream_max(service, path));
        if (p == NULL) {
            json->failed = 1;
            return;
        }

        uri.data = p;
        uri.len = kong_path_upstream(service, path,
                                     ctx->route->flags
                                     & KONG_ROUTE_STRIP_PATH,
                                     ctx->match.has_path,
                                     ctx->match.path_len, (char *) p);
    }

    ngx_kong_log_json_string(json, uri.data, uri.len);
    ngx_kong_log_put(",");
}


/* its way to the upstream was looked for */
static ngx_uint_t
ngx_kong_log_prepared(ngx_http_kong_ctx_t *ctx)
{
    return ctx->route != NULL && (ctx->proxied || ctx->next_run != 0);
}


/* nginx knows when the last try began and how long each took */
static void
ngx_kong_log_tries(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx,
    ngx_kong_log_json_t *json)
{
    uint64_t                    start;
    ngx_uint_t                  i, n;
    ngx_http_upstream_state_t  *state;

    if (!ngx_kong_log_prepared(ctx)) {
        return;
    }

    ngx_kong_log_put("\"tries\":[");

    if (ctx->proxied && r->upstream_states != NULL && r->upstream != NULL) {
        n = r->upstream_states->nelts;
        state = r->upstream_states->elts;
        start = ngx_kong_log_now() - (ngx_current_msec - ctx->proxy_start);

        for (i = 0; i + 1 < n; i++) {
            if (state[i].response_time != (ngx_msec_t) -1) {
                start -= state[i].response_time;
            }
        }

        /* two clocks, each cut to ms */
        start = ngx_max(start, ngx_kong_log_started(r));

        for (i = 0; i < n; i++) {
            ngx_kong_log_try(&state[i], start, i + 1 == n, json);

            if (state[i].response_time != (ngx_msec_t) -1) {
                start += state[i].response_time;
            }
        }
    }

    ngx_kong_log_json_close(json, ']');
    ngx_kong_log_put(",");
}


static void
ngx_kong_log_try(ngx_http_upstream_state_t *state, uint64_t start,
    ngx_uint_t last, ngx_kong_log_json_t *json)
{
    u_char     *p, *end;
    ngx_int_t   port;
    ngx_str_t   ip;

    if (state->peer == NULL || state->peer->len == 0) {
        return;
    }

    p = state->peer->data;
    end = p + state->peer->len;

    while (end > p && end[-1] != ':') {
        end--;
    }

    port = ngx_atoi(end, p + state->peer->len - end);

    if (end == p || port < 0) {
        return;
    }

    ip.data = p;
    ip.len = end - 1 - p;

    if (ip.len > 2 && ip.data[0] == '[') {
        ip.data++;
        ip.len -= 2;
    }

    ngx_kong_log_put("{\"ip\":");
    ngx_kong_log_json_string(json, ip.data, ip.len);
    ngx_kong_log_put(",\"port\":");
    ngx_kong_log_json_number(json, (uint64_t) port);
    ngx_kong_log_put(",\"balancer_start\":");
    ngx_kong_log_json_number(json, start);
    ngx_kong_log_put(",\"balancer_start_ns\":");
    ngx_kong_log_json_number(json, start * 1000000);
    ngx_kong_log_put(",\"balancer_latency\":0,\"balancer_latency_ns\":0");

    if (!last) {
        ngx_kong_log_put(",\"state\":\"failed\",\"code\":");
        ngx_kong_log_json_number(json, state->status);
    }

    ngx_kong_log_put("},");
}


static void
ngx_kong_log_entities(ngx_http_kong_ctx_t *ctx, ngx_kong_log_json_t *json)
{
    kong_str_t             text;
    const kong_segment_t  *seg;

    if (ctx->generation == NULL) {
        return;
    }

    seg = &ctx->generation->config->seg;

    if (ctx->route != NULL) {
        ngx_kong_log_entity(json, "\"route\":", kong_segment_str(seg,
                            kong_texts(seg, ctx->route - seg->routes).route));
    }

    if (ctx->service != NULL) {
        ngx_kong_log_entity(json, "\"service\":", kong_segment_str(seg,
                            kong_texts(seg, ctx->service - seg->services)
                            .service));
    }

    if (ctx->consumer != KONG_NONE) {
        ngx_kong_log_entity(json, "\"consumer\":", kong_segment_str(seg,
                            kong_texts(seg, ctx->consumer).consumer));
    }

    text = kong_segment_str(seg, kong_texts(seg, 0).workspace);

    if (text.len != 0) {
        ngx_kong_log_put("\"workspace\":");
        ngx_kong_log_json_string(json, (u_char *) text.data, text.len);
        ngx_kong_log_put(",");
    }
}


static void
ngx_kong_log_entity(ngx_kong_log_json_t *json, const char *name,
    kong_str_t text)
{
    if (text.len != 0) {
        ngx_kong_log_json_raw(json, name, ngx_strlen(name));
        ngx_kong_log_json_raw(json, text.data, text.len);
        ngx_kong_log_put(",");
    }
}


/* the credential; one of a directory server has no id */
static void
ngx_kong_log_who(ngx_http_kong_ctx_t *ctx, ngx_kong_log_json_t *json)
{
    char  id[37];

    if (!ctx->authenticated || ctx->anonymous) {
        return;
    }

    ngx_kong_log_put("\"authenticated_entity\":{");

    if (ctx->credential != NULL) {
        kong_uuid_text(ctx->credential->id, id);
        ngx_kong_log_put("\"id\":\"");
        ngx_kong_log_json_raw(json, id, 36);
        ngx_kong_log_put("\"");

    } else if (ctx->consumer != KONG_NONE) {

        /* a session names the credential it was made for */

        ngx_kong_log_put("\"id\":");
        ngx_kong_log_json_string(json, ctx->identifier.data,
                                 ctx->identifier.len);
    }

    ngx_kong_log_put("},");
}


static uint64_t
ngx_kong_log_now(void)
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    return (uint64_t) tp->sec * 1000 + tp->msec;
}
