/*
 * The access phase: which route serves the request, and what is answered at
 * once because of it.  A request that goes on leaves with route and service
 * in its context; nginx's proxy module, the location's content handler, then
 * asks our balancer.
 */

#include "../ngx_http_kong.h"
#include "../plugins/ngx_kong_plugin.h"


#define NGX_KONG_UPGRADE_REQUIRED  426


static ngx_int_t ngx_http_kong_route(ngx_http_request_t *r,
    ngx_http_kong_ctx_t *ctx);
static ngx_int_t ngx_http_kong_forward(ngx_http_request_t *r,
    ngx_http_kong_ctx_t *ctx);
static ngx_int_t ngx_http_kong_match(ngx_http_request_t *r,
    ngx_http_kong_ctx_t *ctx);
static ngx_int_t ngx_http_kong_path(ngx_http_request_t *r,
    ngx_http_kong_ctx_t *ctx);
static ngx_int_t ngx_http_kong_host(ngx_http_request_t *r,
    ngx_http_kong_ctx_t *ctx, kong_match_req_t *req);
static in_port_t ngx_http_kong_listen_port(ngx_http_request_t *r);
static void ngx_http_kong_sni(ngx_http_request_t *r, kong_match_req_t *req);
static int ngx_http_kong_match_header(void *data, const kong_str_t *name,
    unsigned nth, kong_str_t *value);
static int ngx_http_kong_match_regex(void *data, uint32_t index,
    const char *subject, size_t len, size_t from);
static void ngx_http_kong_trust(ngx_http_request_t *r,
    ngx_http_kong_ctx_t *ctx);
static ngx_int_t ngx_http_kong_check_https(ngx_http_request_t *r,
    ngx_http_kong_ctx_t *ctx);
static ngx_int_t ngx_http_kong_redirect(ngx_http_request_t *r,
    ngx_http_kong_ctx_t *ctx);
static ngx_int_t ngx_http_kong_check_grpc(ngx_http_request_t *r,
    ngx_http_kong_ctx_t *ctx);


/* runs again when a plugin that was suspended goes on */
ngx_int_t
ngx_http_kong_access_handler(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_http_kong_ctx_t       *ctx;
    ngx_http_kong_loc_conf_t  *klcf;

    klcf = ngx_http_get_module_loc_conf(r, ngx_http_kong_module);

    if (!klcf->proxy) {
        return NGX_DECLINED;
    }

    ctx = ngx_http_kong_get_ctx(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (!ctx->matched) {
        ctx->matched = 1;

        rc = ngx_http_kong_route(r, ctx);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (ctx->route == NULL) {
        /* the page of an error that came before a route was found */
        return NGX_DECLINED;
    }

    if (ctx->route->plugins != 0) {
        rc = ngx_kong_plugins_access(r, ctx);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    return ngx_http_kong_forward(r, ctx);
}


/* NGX_OK with ctx->route set, or what the phase returns */
static ngx_int_t
ngx_http_kong_route(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx)
{
    ngx_int_t                   rc;
    ngx_http_kong_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_kong_module);

    if (ctx->generation == NULL) {
        ctx->generation = ngx_kong_generation_get(mcf, r->connection->log);
    }

    rc = ngx_http_kong_match(r, ctx);

    if (rc == NGX_DECLINED) {
        if (ngx_kong_plugins_global(r, ctx) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return ngx_http_kong_error_send(r, NGX_HTTP_NOT_FOUND,
                                        "no Route matched with those values");
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (mcf->trusted != NULL) {
        ngx_http_kong_trust(r, ctx);
    }

    if (!ctx->https) {
        rc = ngx_http_kong_check_https(r, ctx);
        if (rc != NGX_DECLINED) {
            return rc;
        }
    }

    if (!(ctx->route->protocols & (KONG_PROTO_HTTP|KONG_PROTO_HTTPS))) {
        rc = ngx_http_kong_check_grpc(r, ctx);
        if (rc != NGX_DECLINED) {
            return rc;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_kong_forward(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx)
{
    ngx_uint_t   status;
    const char  *text;

    if (ctx->service == NULL) {
        return ngx_http_kong_error_send(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                        "no Service found with those values");
    }

    if (ngx_http_kong_balancer_check(r, ctx, &status, &text) != NGX_OK) {
        return ngx_http_kong_error_send(r, status, text);
    }

    if (!(ctx->route->flags & KONG_ROUTE_REQUEST_BUFFERING)
        && !ctx->body_read)
    {
        r->request_body_no_buffering = 1;
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_kong_match(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx)
{
    kong_segment_t    *seg;
    kong_match_req_t   req;

    if (ctx->generation == NULL) {
        return NGX_DECLINED;
    }

    ngx_memzero(&req, sizeof(kong_match_req_t));

    if (ngx_http_kong_path(r, ctx) != NGX_OK
        || ngx_http_kong_host(r, ctx, &req) != NGX_OK)
    {
        return NGX_ERROR;
    }

#if (NGX_HTTP_SSL)
    if (r->connection->ssl != NULL) {
        ctx->https = 1;
        ngx_http_kong_sni(r, &req);
    }
#endif

    req.path.data = (const char *) ctx->path.data;
    req.path.len = ctx->path.len;
    req.method.data = (const char *) r->method_name.data;
    req.method.len = r->method_name.len;
    req.https = ctx->https;
    req.header = ngx_http_kong_match_header;
    req.regex = ngx_http_kong_match_regex;
    req.data = r;

    seg = &ctx->generation->config->seg;

    if (!kong_match(seg, &req, &ctx->match)) {
        return NGX_DECLINED;
    }

    ctx->route = &seg->routes[ctx->match.route];

    if (ctx->route->service != KONG_NONE) {
        ctx->service = &seg->services[ctx->route->service];
    }

    return NGX_OK;
}


void
ngx_http_kong_raw_path(ngx_http_request_t *r, ngx_str_t *raw)
{
    u_char  *query;

    /* "GET http://host?query": what is left of the target has no path */

    if (r->empty_path_in_uri) {
        ngx_str_set(raw, "/");
        return;
    }

    *raw = r->unparsed_uri;

    if (raw->len > 1) {
        query = ngx_strlchr(raw->data + 1, raw->data + raw->len, '?');
        if (query != NULL) {
            raw->len = query - raw->data;
        }
    }
}


/* normalised as Kong does it; nginx's own decoding is not used */
static ngx_int_t
ngx_http_kong_path(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx)
{
    ngx_str_t  raw;

    ngx_http_kong_raw_path(r, &raw);

    if (kong_path_is_normal((const char *) raw.data, raw.len)) {
        ctx->path = raw;
        return NGX_OK;
    }

    ctx->path.data = ngx_pnalloc(r->pool, raw.len + 1);
    if (ctx->path.data == NULL) {
        return NGX_ERROR;
    }

    ctx->path.len = kong_path_normalize((const char *) raw.data, raw.len,
                                        (char *) ctx->path.data);

    return NGX_OK;
}


/* the Host header as sent, split at its port; lower case for the match */
static ngx_int_t
ngx_http_kong_host(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx,
    kong_match_req_t *req)
{
    u_char     *p, *last, *colon, *lower;
    ngx_int_t   port;
    ngx_str_t   host;

    ctx->port = ngx_http_kong_listen_port(r);
    req->port = ctx->port;

    if (r->headers_in.host == NULL) {
        return NGX_OK;
    }

    host = r->headers_in.host->value;
    last = host.data + host.len;

    for (colon = last; colon > host.data && colon[-1] != ':'; colon--) {
        if (colon[-1] == ']') {
            colon = host.data;
            break;
        }
    }

    if (colon > host.data) {
        port = ngx_atoi(colon, last - colon);
        if (port > 0 && port <= 65535) {
            req->port = (uint16_t) port;
        }

        host.len = colon - 1 - host.data;
        last = host.data + host.len;
    }

    req->host.data = (const char *) host.data;
    req->host.len = host.len;

    for (p = host.data; p < last; p++) {
        if (*p >= 'A' && *p <= 'Z') {
            lower = ngx_pnalloc(r->pool, host.len);
            if (lower == NULL) {
                return NGX_ERROR;
            }

            ngx_strlow(lower, host.data, host.len);
            req->host.data = (const char *) lower;
            break;
        }
    }

    return NGX_OK;
}


static in_port_t
ngx_http_kong_listen_port(ngx_http_request_t *r)
{
    in_port_t                   port;
    ngx_uint_t                  i;
    ngx_connection_t           *c;
    ngx_http_kong_port_map_t   *map;
    ngx_http_kong_main_conf_t  *mcf;

    c = r->connection;

    if (c->local_sockaddr == NULL) {
        return 0;
    }

    port = ngx_inet_get_port(c->local_sockaddr);

    mcf = ngx_http_get_module_main_conf(r, ngx_http_kong_module);

    if (mcf->port_map != NULL) {
        map = mcf->port_map->elts;

        for (i = 0; i < mcf->port_map->nelts; i++) {
            if (map[i].internal == port) {
                return map[i].public;
            }
        }
    }

    return port;
}


#if (NGX_HTTP_SSL)


static void
ngx_http_kong_sni(ngx_http_request_t *r, kong_match_req_t *req)
{
    u_char      *lower;
    size_t       len;
    const char  *name;

    name = SSL_get_servername(r->connection->ssl->connection,
                              TLSEXT_NAMETYPE_host_name);
    if (name == NULL) {
        return;
    }

    len = ngx_strlen(name);

    if (len > 0 && name[len - 1] == '.') {
        len--;
    }

    lower = ngx_pnalloc(r->pool, len);
    if (lower == NULL) {
        return;
    }

    ngx_strlow(lower, (u_char *) name, len);

    req->sni.data = (const char *) lower;
    req->sni.len = len;
}

#endif


static int
ngx_http_kong_match_header(void *data, const kong_str_t *name, unsigned nth,
    kong_str_t *value)
{
    ngx_http_request_t  *r = data;

    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_in.headers.part; part != NULL; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].key.len != name->len
                || ngx_memcmp(h[i].lowcase_key, name->data, name->len) != 0)
            {
                continue;
            }

            if (nth-- == 0) {
                value->data = (const char *) h[i].value.data;
                value->len = h[i].value.len;
                return 1;
            }
        }
    }

    return 0;
}


static int
ngx_http_kong_match_regex(void *data, uint32_t index, const char *subject,
    size_t len, size_t from)
{
    ngx_http_request_t  *r = data;

    ngx_str_t             s;
    ngx_http_kong_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    s.data = (u_char *) subject;
    s.len = len;

    return ngx_kong_regex_exec(&ctx->generation->config->seg, index, &s, from,
                               r->connection->log);
}


ngx_int_t
ngx_http_kong_peer_text(ngx_http_request_t *r, ngx_str_t *peer)
{
    static ngx_str_t  name = ngx_string("realip_remote_addr");

    ngx_http_variable_value_t   *vv;
    ngx_http_kong_main_conf_t   *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_kong_module);

    if (mcf->trusted == NULL) {
        *peer = r->connection->addr_text;
        return NGX_OK;
    }

    vv = ngx_http_get_variable(r, &name, ngx_hash_key(name.data, name.len));

    if (vv == NULL || vv->not_found) {
        *peer = r->connection->addr_text;
        return NGX_OK;
    }

    peer->data = vv->data;
    peer->len = vv->len;

    return NGX_OK;
}


ngx_str_t *
ngx_http_kong_server_name(ngx_http_request_t *r)
{
    ngx_http_core_srv_conf_t  *cscf;

    if (r->headers_in.server.len != 0) {
        return &r->headers_in.server;
    }

    cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);

    return &cscf->server_name;
}


/* may the direct peer set X-Forwarded-*? */
static void
ngx_http_kong_trust(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx)
{
    ngx_str_t                   peer;
    ngx_addr_t                  addr;
    ngx_http_kong_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_kong_module);

    if (ngx_http_kong_peer_text(r, &peer) != NGX_OK) {
        return;
    }

    if (peer.len == 5 && ngx_strncmp(peer.data, "unix:", 5) == 0) {
        addr.sockaddr = r->connection->sockaddr;

    } else if (ngx_parse_addr(r->pool, &addr, peer.data, peer.len) != NGX_OK) {
        return;
    }

    ctx->trusted = (ngx_cidr_match(addr.sockaddr, mcf->trusted) == NGX_OK);
}


static ngx_int_t
ngx_http_kong_check_https(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx)
{
    static const kong_str_t  name = { "x-forwarded-proto", 17 };

    kong_str_t  proto;

    if ((ctx->route->protocols & (KONG_PROTO_HTTP|KONG_PROTO_HTTPS))
        != KONG_PROTO_HTTPS)
    {
        return NGX_DECLINED;
    }

    if (ctx->trusted
        && ngx_http_kong_match_header(r, &name, 0, &proto)
        && proto.len == 5
        && ngx_strncasecmp((u_char *) proto.data, (u_char *) "https", 5) == 0)
    {
        return NGX_DECLINED;
    }

    if (ngx_kong_plugins_global(r, ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ctx->route->redirect != NGX_KONG_UPGRADE_REQUIRED) {
        return ngx_http_kong_redirect(r, ctx);
    }

    /* HTTP/2 knows neither header */

    if (r->http_version < NGX_HTTP_VERSION_20
        && (ngx_http_kong_headers_add(r, "Connection", 10,
                                      (u_char *) "Upgrade", 7)
            != NGX_OK
            || ngx_http_kong_headers_add(r, "Upgrade", 7,
                                         (u_char *) "TLS/1.2, HTTP/1.1", 17)
               != NGX_OK))
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_kong_error_send(r, NGX_KONG_UPGRADE_REQUIRED,
                                    "Please use HTTPS protocol");
}


static ngx_int_t
ngx_http_kong_redirect(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx)
{
    static const kong_str_t  name = { "x-forwarded-host", 16 };

    u_char           *p;
    size_t            len;
    ngx_int_t         rc;
    ngx_str_t        *server;
    kong_str_t        host;
    ngx_table_elt_t  *location;

    if (!ctx->trusted || !ngx_http_kong_match_header(r, &name, 0, &host)) {
        server = ngx_http_kong_server_name(r);
        host.data = (const char *) server->data;
        host.len = server->len;
    }

    len = sizeof("https://") - 1 + host.len + r->unparsed_uri.len;

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    location = ngx_list_push(&r->headers_out.headers);
    if (location == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    location->hash = 1;
#if (nginx_version >= 1023000)
    location->next = NULL;
#endif
    ngx_str_set(&location->key, "Location");
    location->value.data = p;
    location->value.len = len;

    p = ngx_cpymem(p, "https://", sizeof("https://") - 1);
    p = ngx_cpymem(p, host.data, host.len);
    ngx_memcpy(p, r->unparsed_uri.data, r->unparsed_uri.len);

    ctx->answered = 1;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    r->headers_out.status = ctx->route->redirect;
    r->headers_out.content_length_n = 0;
    ngx_str_set(&r->headers_out.content_type, "text/html; charset=UTF-8");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->header_only = 1;

    ngx_http_finalize_request(r, ngx_http_send_header(r));

    return NGX_DONE;
}


/* a route for gRPC only: Kong refuses what does not speak it */
static ngx_int_t
ngx_http_kong_check_grpc(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx)
{
    ngx_str_t  *type;

    if (ngx_kong_plugins_global(r, ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    type = r->headers_in.content_type ? &r->headers_in.content_type->value
                                      : NULL;

    if (type == NULL || type->len < sizeof("application/grpc") - 1
        || ngx_strncasecmp(type->data, (u_char *) "application/grpc",
                           sizeof("application/grpc") - 1)
           != 0)
    {
        return ngx_http_kong_error_send(r, NGX_HTTP_UNSUPPORTED_MEDIA_TYPE,
                                    "Non-gRPC request matched gRPC route");
    }

    if (r->http_version == NGX_HTTP_VERSION_20) {
        return ngx_http_kong_error_send(r, NGX_HTTP_NOT_IMPLEMENTED,
                                        "gRPC is not proxied yet");
    }

    if (ngx_http_kong_headers_add(r, "connection", 10, (u_char *) "Upgrade",
                                  7)
        != NGX_OK
        || ngx_http_kong_headers_add(r, "upgrade", 7, (u_char *) "HTTP/2", 6)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_kong_error_send(r, NGX_KONG_UPGRADE_REQUIRED,
                                    "Please use HTTP2 protocol");
}
