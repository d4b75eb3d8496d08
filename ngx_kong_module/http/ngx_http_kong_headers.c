/*
 * The header filter: what the client learns about the way of its request.
 * Requests without our context pass untouched.  All values that are made for
 * one answer lie in one allocation; names are static.
 */

#include "../ngx_http_kong.h"
#include "../plugins/ngx_kong_plugin.h"


#define NGX_HTTP_KONG_UUID_LEN     36

#define NGX_HTTP_KONG_VIA          "1.1 " NGX_KONG_SERVER

#define ngx_http_kong_headers_put(r, name, value, len)                       \
    ngx_http_kong_headers_add(r, name, sizeof(name) - 1, value, len)


static ngx_int_t ngx_http_kong_header_filter(ngx_http_request_t *r);
static ngx_int_t ngx_http_kong_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static ngx_uint_t ngx_http_kong_headers_garbage(ngx_http_request_t *r);
static ngx_int_t ngx_http_kong_headers_proxied(ngx_http_request_t *r,
    ngx_http_kong_ctx_t *ctx, ngx_uint_t headers);
static ngx_int_t ngx_http_kong_headers_numbers(ngx_http_request_t *r,
    ngx_http_kong_ctx_t *ctx, ngx_uint_t headers);
static ngx_uint_t ngx_http_kong_headers_status(ngx_http_request_t *r);
static ngx_int_t ngx_http_kong_headers_via(ngx_http_request_t *r,
    ngx_table_elt_t *via);
static ngx_table_elt_t *ngx_http_kong_headers_scan(ngx_http_request_t *r);
static ngx_uint_t ngx_http_kong_headers_stops_here(ngx_http_request_t *r,
    ngx_table_elt_t *h);
static void ngx_http_kong_headers_hop(ngx_http_request_t *r, ngx_str_t *list);
static void ngx_http_kong_headers_remove(ngx_http_request_t *r, u_char *name,
    size_t len);
static ngx_uint_t ngx_http_kong_headers_trailers(ngx_http_request_t *r);
static ngx_int_t ngx_http_kong_headers_answered(ngx_http_request_t *r,
    ngx_uint_t headers);
static ngx_int_t ngx_http_kong_headers_server(ngx_http_request_t *r,
    ngx_uint_t send);
static ngx_int_t ngx_http_kong_headers_debug(ngx_http_request_t *r,
    ngx_http_kong_ctx_t *ctx);
static ngx_int_t ngx_http_kong_headers_entity(ngx_http_request_t *r,
    ngx_http_kong_ctx_t *ctx, const uint8_t *id, uint32_t name,
    ngx_uint_t service);
static ngx_msec_int_t ngx_http_kong_headers_total(ngx_http_request_t *r);


/* end-to-end whatever an upstream's Connection header says */

static ngx_str_t  ngx_http_kong_end_to_end[] = {
    ngx_string("content-length"),
    ngx_string("content-type"),
    ngx_string("content-encoding"),
    ngx_string("transfer-encoding"),
    ngx_string("connection"),
    ngx_string("upgrade"),
    ngx_string("date"),
    ngx_string("server"),
    ngx_string("set-cookie"),
    ngx_string("location"),
    ngx_string("cache-control"),
    ngx_string("via"),
    ngx_null_string
};


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;


ngx_int_t
ngx_http_kong_headers_init(ngx_conf_t *cf)
{
    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_kong_header_filter;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_kong_body_filter;

    return NGX_OK;
}


ngx_int_t
ngx_http_kong_headers_add(ngx_http_request_t *r, const char *name,
    size_t name_len, u_char *value, size_t value_len)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    h->key.data = (u_char *) name;
    h->key.len = name_len;
    h->value.data = value;
    h->value.len = value_len;
    h->lowcase_key = NULL;
#if (nginx_version >= 1023000)
    h->next = NULL;
#endif

    return NGX_OK;
}


static ngx_int_t
ngx_http_kong_header_filter(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_http_kong_ctx_t        *ctx;
    ngx_http_kong_loc_conf_t   *klcf;
    ngx_http_kong_main_conf_t  *mcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    if (ctx == NULL || r != r->main) {
        return ngx_http_next_header_filter(r);
    }

    klcf = ngx_http_get_module_loc_conf(r, ngx_http_kong_module);
    ctx->header_start = ngx_current_msec;

    if (ctx->proxied && ngx_http_kong_headers_garbage(r)) {
        return ngx_http_filter_finalize_request(r, &ngx_http_kong_module,
                                                NGX_HTTP_BAD_GATEWAY);
    }

    if (ctx->proxied) {
        rc = ngx_http_kong_headers_proxied(r, ctx, klcf->headers);

    } else {
        rc = ngx_http_kong_headers_answered(r, klcf->headers);
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    if (klcf->headers & NGX_KONG_H_REQUEST_ID) {
        ngx_http_kong_request_id(r, ctx);

        if (ngx_http_kong_headers_put(r, "X-Kong-Request-Id",
                                      ctx->request_id,
                                      sizeof(ctx->request_id))
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_kong_module);

    if (mcf->debug_header && ngx_http_kong_headers_debug(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ctx->has_header_filter
        && ngx_kong_plugins_header_filter(r, ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_next_header_filter(r);
}


/*
 * nginx's proxy module takes an answer that is no HTTP for one of HTTP/0.9
 * and gives its bytes to the client as they are, with the client's
 * connection open behind them.  We make it a 502.
 */

static ngx_uint_t
ngx_http_kong_headers_garbage(ngx_http_request_t *r)
{
    if (r->http_version >= NGX_HTTP_VERSION_10
        || r->http_protocol.len == 0
        || r->filter_finalize)
    {
        return 0;
    }

    /* what the client spoke */

#if (NGX_HTTP_V2)
    if (r->stream != NULL) {
        r->http_version = NGX_HTTP_VERSION_20;

    } else
#endif
    {
        r->http_version = r->http_protocol.data[r->http_protocol.len - 1]
                          == '0' ? NGX_HTTP_VERSION_10 : NGX_HTTP_VERSION_11;
    }

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "upstream sent no valid HTTP response");

    return 1;
}


static ngx_int_t
ngx_http_kong_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_http_kong_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    if (ctx == NULL || !ctx->has_body_filter || r != r->main || in == NULL) {
        return ngx_http_next_body_filter(r, in);
    }

    if (ngx_kong_plugins_body_filter(r, ctx, &in) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_next_body_filter(r, in);
}


static ngx_int_t
ngx_http_kong_headers_proxied(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx,
    ngx_uint_t headers)
{
    ngx_table_elt_t  *via;

    via = ngx_http_kong_headers_scan(r);

    if (ngx_http_kong_headers_numbers(r, ctx, headers) != NGX_OK) {
        return NGX_ERROR;
    }

    if ((headers & NGX_KONG_H_VIA)
        && ngx_http_kong_headers_via(r, via) != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* the proxy module leaves an empty one when the upstream sent none */

    if (r->headers_out.server != NULL && r->headers_out.server->hash != 0) {
        return NGX_OK;
    }

    return ngx_http_kong_headers_server(r, headers & NGX_KONG_H_SERVER);
}


/* latencies and status: their values share one allocation */

static ngx_int_t
ngx_http_kong_headers_numbers(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx,
    ngx_uint_t headers)
{
    u_char          *p, *value;
    ngx_int_t        rc;
    ngx_msec_int_t   total, upstream;

    if (!(headers & (NGX_KONG_H_UPSTREAM_LATENCY|NGX_KONG_H_PROXY_LATENCY
                     |NGX_KONG_H_UPSTREAM_STATUS)))
    {
        return NGX_OK;
    }

    value = ngx_pnalloc(r->pool, 3 * NGX_INT64_LEN);
    if (value == NULL) {
        return NGX_ERROR;
    }

    rc = NGX_OK;
    upstream = (ngx_msec_int_t) (ngx_current_msec - ctx->proxy_start);

    if (headers & NGX_KONG_H_UPSTREAM_LATENCY) {
        p = ngx_http_kong_number(value, upstream);
        rc = ngx_http_kong_headers_put(r, "X-Kong-Upstream-Latency", value,
                                       p - value);
        value = p;
    }

    if (rc == NGX_OK && (headers & NGX_KONG_H_PROXY_LATENCY)) {
        total = ngx_http_kong_headers_total(r) - upstream;
        p = ngx_http_kong_number(value, ngx_max(total, 0));
        rc = ngx_http_kong_headers_put(r, "X-Kong-Proxy-Latency", value,
                                       p - value);
        value = p;
    }

    if (rc == NGX_OK && (headers & NGX_KONG_H_UPSTREAM_STATUS)) {
        p = ngx_http_kong_number(value, ngx_http_kong_headers_status(r));
        rc = ngx_http_kong_headers_put(r, "X-Kong-Upstream-Status", value,
                                       p - value);
    }

    return rc;
}


/* of the last try */

static ngx_uint_t
ngx_http_kong_headers_status(ngx_http_request_t *r)
{
    ngx_http_upstream_state_t  *state;

    if (r->upstream_states != NULL && r->upstream_states->nelts != 0) {
        state = r->upstream_states->elts;
        state += r->upstream_states->nelts - 1;

        if (state->status != 0) {
            return state->status;
        }
    }

    return r->headers_out.status;
}


static ngx_int_t
ngx_http_kong_headers_via(ngx_http_request_t *r, ngx_table_elt_t *via)
{
    u_char           *value, *p;
    size_t            len;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    if (via == NULL) {
        return ngx_http_kong_headers_put(r, "Via",
                                         (u_char *) NGX_HTTP_KONG_VIA,
                                         sizeof(NGX_HTTP_KONG_VIA) - 1);
    }

    /* all of the upstream's become one */

    len = sizeof(NGX_HTTP_KONG_VIA) - 1;

    for (part = &r->headers_out.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].hash != 0
                && h[i].key.len == sizeof("Via") - 1
                && ngx_strncasecmp(h[i].key.data, (u_char *) "via", 3) == 0)
            {
                len += h[i].value.len + sizeof(", ") - 1;
            }
        }
    }

    value = ngx_pnalloc(r->pool, len);
    if (value == NULL) {
        return NGX_ERROR;
    }

    p = value;

    for (part = &r->headers_out.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].hash != 0
                && h[i].key.len == sizeof("Via") - 1
                && ngx_strncasecmp(h[i].key.data, (u_char *) "via", 3) == 0)
            {
                p = ngx_cpymem(p, h[i].value.data, h[i].value.len);
                *p++ = ','; *p++ = ' ';

                if (&h[i] != via) {
                    h[i].hash = 0;
                }
            }
        }
    }

    p = ngx_cpymem(p, NGX_HTTP_KONG_VIA, sizeof(NGX_HTTP_KONG_VIA) - 1);

    via->value.data = value;
    via->value.len = p - value;

    return NGX_OK;
}


/*
 * One look at the upstream's headers: removes those of the hop and returns
 * its first Via.
 */

static ngx_table_elt_t *
ngx_http_kong_headers_scan(ngx_http_request_t *r)
{
    ngx_uint_t            i;
    ngx_list_part_t      *part;
    ngx_table_elt_t      *h, *via, *connection;
    ngx_http_upstream_t  *u;

    via = NULL;

    for (part = &r->headers_out.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].hash == 0) {
                continue;
            }

            if (h[i].key.len == sizeof("Via") - 1) {
                if (via == NULL
                    && ngx_strncasecmp(h[i].key.data, (u_char *) "via", 3)
                       == 0)
                {
                    via = &h[i];
                }

                continue;
            }

            if (h[i].key.len != sizeof("Upgrade") - 1) {
                continue;
            }

            if (ngx_http_kong_headers_stops_here(r, &h[i])) {
                h[i].hash = 0;
            }
        }
    }

    u = r->upstream;

    if (u == NULL || u->headers_in.connection == NULL) {
        return via;
    }

    connection = u->headers_in.connection;

#if (nginx_version >= 1023000)
    for ( /* void */ ; connection != NULL; connection = connection->next)
#endif
    {
        ngx_http_kong_headers_hop(r, &connection->value);
    }

    return via;
}


/* an Upgrade that answers no upgrade we passed on, a Trailer nobody wants */

static ngx_uint_t
ngx_http_kong_headers_stops_here(ngx_http_request_t *r, ngx_table_elt_t *h)
{
    if (ngx_strncasecmp(h->key.data, (u_char *) "upgrade", 7) == 0) {
        return r->headers_in.upgrade == NULL
               || h->value.len != sizeof("websocket") - 1
               || ngx_strncasecmp(h->value.data, (u_char *) "websocket",
                                  sizeof("websocket") - 1)
                  != 0;
    }

    return ngx_strncasecmp(h->key.data, (u_char *) "trailer", 7) == 0
           && !ngx_http_kong_headers_trailers(r);
}


/* removes what the upstream's Connection header names */

static void
ngx_http_kong_headers_hop(ngx_http_request_t *r, ngx_str_t *list)
{
    u_char     *p, *start, *end, *last;
    ngx_str_t  *name;

    if (list->len == sizeof("keep-alive") - 1
        && ngx_strncasecmp(list->data, (u_char *) "keep-alive",
                           sizeof("keep-alive") - 1)
           == 0)
    {
        return;
    }

    p = list->data;
    last = p + list->len;

    while (p < last) {

        if (*p == ' ' || *p == '\t' || *p == ',') {
            p++;
            continue;
        }

        start = p;

        while (p < last && *p != ',') {
            p++;
        }

        end = p;

        while (end[-1] == ' ' || end[-1] == '\t') {
            end--;
        }

        for (name = ngx_http_kong_end_to_end; name->len; name++) {
            if (name->len == (size_t) (end - start)
                && ngx_strncasecmp(name->data, start, name->len) == 0)
            {
                break;
            }
        }

        if (name->len == 0) {
            ngx_http_kong_headers_remove(r, start, end - start);
        }
    }
}


static void
ngx_http_kong_headers_remove(ngx_http_request_t *r, u_char *name, size_t len)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_out.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len == len
                && ngx_strncasecmp(h[i].key.data, name, len) == 0)
            {
                h[i].hash = 0;
            }
        }
    }
}


/* did the client say "TE: trailers"? */

static ngx_uint_t
ngx_http_kong_headers_trailers(ngx_http_request_t *r)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len == 2
                && ngx_memcmp(h[i].lowcase_key, "te", 2) == 0
                && ngx_strlcasestrn(h[i].value.data,
                                    h[i].value.data + h[i].value.len,
                                    (u_char *) "trailers",
                                    sizeof("trailers") - 2)
                   != NULL)
            {
                return 1;
            }
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_kong_headers_answered(ngx_http_request_t *r, ngx_uint_t headers)
{
    u_char          *p, *value;
    ngx_msec_int_t   total;

    if (headers & NGX_KONG_H_RESPONSE_LATENCY) {
        value = ngx_pnalloc(r->pool, NGX_INT64_LEN);
        if (value == NULL) {
            return NGX_ERROR;
        }

        total = ngx_http_kong_headers_total(r);
        p = ngx_http_kong_number(value, total);

        if (ngx_http_kong_headers_put(r, "X-Kong-Response-Latency", value,
                                      p - value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return ngx_http_kong_headers_server(r, headers & NGX_KONG_H_SERVER);
}


/* in the place of nginx's; with `send` 0 there is none */

static ngx_int_t
ngx_http_kong_headers_server(ngx_http_request_t *r, ngx_uint_t send)
{
    ngx_table_elt_t  *h;

    h = r->headers_out.server;

    if (h == NULL) {
        h = ngx_list_push(&r->headers_out.headers);
        if (h == NULL) {
            return NGX_ERROR;
        }

        r->headers_out.server = h;
        h->lowcase_key = NULL;
#if (nginx_version >= 1023000)
        h->next = NULL;
#endif
    }

    h->hash = send ? 1 : 0;
    ngx_str_set(&h->key, "Server");
    ngx_str_set(&h->value, NGX_KONG_SERVER);

    return NGX_OK;
}


static ngx_int_t
ngx_http_kong_headers_debug(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx)
{
    ngx_uint_t            i, found;
    ngx_list_part_t      *part;
    ngx_table_elt_t      *h;
    const kong_route_t   *route;

    route = ctx->route;

    if (route == NULL) {
        return NGX_OK;
    }

    found = 0;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len == sizeof("kong-debug") - 1
                && ngx_memcmp(h[i].lowcase_key, "kong-debug",
                              sizeof("kong-debug") - 1)
                   == 0
                && h[i].value.len == 1
                && h[i].value.data[0] == '1')
            {
                found = 1;
            }
        }
    }

    if (!found) {
        return NGX_OK;
    }

    if (ngx_http_kong_headers_entity(r, ctx, route->id, route->name, 0)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ctx->service == NULL) {
        return NGX_OK;
    }

    return ngx_http_kong_headers_entity(r, ctx, ctx->service->id,
                                        ctx->service->name, 1);
}


static ngx_int_t
ngx_http_kong_headers_entity(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx,
    const uint8_t *id, uint32_t name, ngx_uint_t service)
{
    u_char      *value;
    kong_str_t   s;
    const char  *header;

    value = ngx_pnalloc(r->pool, NGX_HTTP_KONG_UUID_LEN + 1);
    if (value == NULL) {
        return NGX_ERROR;
    }

    kong_uuid_text(id, (char *) value);

    header = service ? "Kong-Service-Id" : "Kong-Route-Id";

    if (ngx_http_kong_headers_add(r, header, ngx_strlen(header), value,
                                  NGX_HTTP_KONG_UUID_LEN)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    s = kong_segment_str(&ctx->generation->config->seg, name);
    if (s.data == NULL) {
        return NGX_OK;
    }

    header = service ? "Kong-Service-Name" : "Kong-Route-Name";

    return ngx_http_kong_headers_add(r, header, ngx_strlen(header),
                                     (u_char *) s.data, s.len);
}


/* ms since the request began */

static ngx_msec_int_t
ngx_http_kong_headers_total(ngx_http_request_t *r)
{
    ngx_time_t      *tp;
    ngx_msec_int_t   ms;

    tp = ngx_timeofday();

    ms = (ngx_msec_int_t) ((tp->sec - r->start_sec) * 1000
                           + ((ngx_msec_int_t) tp->msec
                              - (ngx_msec_int_t) r->start_msec));

    return ngx_max(ms, 0);
}
