/*
 * The request that the upstream gets: request line and all headers, written
 * at once into one buffer that takes the place of the one nginx's proxy
 * module built (the location tells it to pass no headers, so that its own is
 * short).  The buffers of the body behind it stay the proxy module's.
 *
 * A first pass over the client's headers adds up an upper bound of the length
 * and finds Connection; the second one copies.  Hop-by-hop headers are left
 * out, and so is what the client names in Connection, but never a header that
 * frames the message or that we set: those are told apart before.  Who the
 * consumer is says the gateway alone: a client's word for it is left out.
 */

#include "ngx_http_kong_head.h"


static void ngx_http_kong_head_init(ngx_http_kong_head_t *head,
    ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx);
static void ngx_http_kong_head_uri(ngx_http_kong_head_t *head);
static void ngx_http_kong_head_host(ngx_http_kong_head_t *head);
static size_t ngx_http_kong_head_length(ngx_http_kong_head_t *head);
static void ngx_http_kong_head_connection(ngx_http_kong_head_t *head,
    ngx_str_t *value);
static ngx_uint_t ngx_http_kong_head_element(u_char **p, u_char *last,
    ngx_str_t *name);
static u_char *ngx_http_kong_head_line(ngx_http_kong_head_t *head, u_char *p);
static u_char *ngx_http_kong_head_copy(ngx_http_kong_head_t *head, u_char *p);
static ngx_uint_t ngx_http_kong_head_special(ngx_http_kong_head_t *head,
    ngx_table_elt_t *h);
static ngx_uint_t ngx_http_kong_head_identity(ngx_table_elt_t *h);
static ngx_uint_t ngx_http_kong_head_named(ngx_http_kong_head_t *head,
    ngx_table_elt_t *h);
static ngx_uint_t ngx_http_kong_head_token(ngx_str_t *list, u_char *name,
    size_t len);


/* all constant text that a head may hold, and numbers */
#define NGX_HTTP_KONG_HEAD_TEXT                                              \
    (sizeof("  HTTP/1.1" CRLF                                                \
            "Host: " CRLF                                                    \
            "Connection: keep-alive, Upgrade" CRLF                           \
            "Upgrade: websocket" CRLF                                        \
            "X-Forwarded-For: , " CRLF                                       \
            "X-Forwarded-Proto: https" CRLF                                  \
            "X-Forwarded-Host: " CRLF                                        \
            "X-Forwarded-Port: 65535" CRLF                                   \
            "X-Forwarded-Path: " CRLF                                        \
            "X-Forwarded-Prefix: " CRLF                                      \
            "X-Real-IP: " CRLF                                               \
            "Via: , 1.1 " NGX_KONG_SERVER CRLF                               \
            "X-Kong-Request-Id: " CRLF                                       \
            "TE: trailers" CRLF                                              \
            "Transfer-Encoding: chunked" CRLF                                \
            "Content-Length: " CRLF                                          \
            CRLF)                                                            \
     + 32 + NGX_OFF_T_LEN)


ngx_int_t
ngx_http_kong_request_create(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx)
{
    u_char                *p;
    size_t                 len;
    ngx_buf_t             *b;
    ngx_http_kong_head_t   head;

    ngx_http_kong_head_init(&head, r, ctx);

    if (ngx_http_kong_peer_text(r, &head.peer) != NGX_OK) {
        return NGX_ERROR;
    }

    len = ngx_http_kong_head_length(&head);

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    b = r->upstream->request_bufs->buf;

    b->start = p;
    b->pos = p;

    p = ngx_http_kong_head_line(&head, p);
    p = ngx_http_kong_head_copy(&head, p);
    p = ngx_http_kong_head_forwarded(&head, p);
    p = ngx_http_kong_head_framing(&head, p);

    b->last = p;
    b->end = b->start + len;

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "kong request head:%N\"%*s\"",
                   (size_t) (b->last - b->pos), b->pos);

    return NGX_OK;
}


static void
ngx_http_kong_head_init(ngx_http_kong_head_t *head, ngx_http_request_t *r,
    ngx_http_kong_ctx_t *ctx)
{
    ngx_str_t                 *upgrade;
    ngx_http_kong_loc_conf_t  *klcf;

    klcf = ngx_http_get_module_loc_conf(r, ngx_http_kong_module);

    ngx_memzero(head, offsetof(ngx_http_kong_head_t, named));

    head->request = r;
    head->ctx = ctx;

    if (klcf->headers_upstream & NGX_KONG_H_REQUEST_ID) {
        ngx_http_kong_request_id(r, ctx);
        head->id = 1;
    }

    if (r->headers_in.upgrade != NULL) {
        upgrade = &r->headers_in.upgrade->value;

        if (upgrade->len == sizeof("websocket") - 1
            && ngx_strncasecmp(upgrade->data, (u_char *) "websocket",
                               sizeof("websocket") - 1)
               == 0
            && r->http_version < NGX_HTTP_VERSION_20)
        {
            head->websocket = 1;

        } else {
            /* it is not sent, so a 101 would be no answer to it */
            r->headers_in.upgrade = NULL;
        }
    }

    ngx_http_kong_head_uri(head);
    ngx_http_kong_head_host(head);
}


static void
ngx_http_kong_head_uri(ngx_http_kong_head_t *head)
{
    ngx_http_request_t   *r;
    ngx_http_kong_ctx_t  *ctx;

    r = head->request;
    ctx = head->ctx;

    head->service_path = kong_segment_str(&ctx->generation->config->seg,
                                          ctx->service->path);

    ngx_http_kong_raw_path(r, &head->raw);

    head->method = ctx->method.len ? ctx->method : r->method_name;

    if (ctx->has_args) {
        head->query = ctx->args;

        if (ctx->args.len == 0) {
            head->query.data = NULL;
        }

    } else if (r->args.len != 0) {
        head->query = r->args;

    } else if (head->raw.len + 1 == r->unparsed_uri.len) {
        /* an empty query, without a fragment behind it */
        ngx_str_set(&head->query, "");
    }

    if ((ctx->route->flags & KONG_ROUTE_STRIP_PATH)
        && ctx->match.has_path
        && !(ctx->match.path_len == 1 && ctx->path.data[0] == '/'))
    {
        head->prefix.data = ctx->path.data;
        head->prefix.len = ngx_min(ctx->match.path_len, ctx->path.len);
    }
}


/*
 * The balancer sets ctx->target_host when the address has a name of its own,
 * and has the head built again when a retry's address has another one.
 */

static void
ngx_http_kong_head_host(ngx_http_kong_head_t *head)
{
    kong_str_t            host;
    ngx_http_request_t   *r;
    ngx_http_kong_ctx_t  *ctx;

    r = head->request;
    ctx = head->ctx;

    if (ctx->upstream_host.len != 0) {
        ctx->host = ctx->upstream_host;
        return;
    }

    if ((ctx->route->flags & KONG_ROUTE_PRESERVE_HOST)
        && r->headers_in.host != NULL
        && r->headers_in.host->value.len != 0)
    {
        ctx->host = r->headers_in.host->value;
        return;
    }

    if (ctx->target_host.len != 0) {
        ctx->host = ctx->target_host;
        return;
    }

    host = kong_segment_str(&ctx->generation->config->seg,
                            ctx->service->host_header);

    ctx->host.data = (u_char *) host.data;
    ctx->host.len = host.len;
}


static size_t
ngx_http_kong_head_length(ngx_http_kong_head_t *head)
{
    size_t                len;
    ngx_uint_t            i;
    kong_str_t            path;
    ngx_list_part_t      *part;
    ngx_table_elt_t      *h;
    ngx_http_request_t   *r;

    r = head->request;

    path.data = (char *) head->ctx->path.data;
    path.len = head->ctx->path.len;

    len = NGX_HTTP_KONG_HEAD_TEXT
          + head->method.len
          + head->ctx->uri.len
          + kong_path_upstream_max(head->service_path, path)
          + 1 + head->query.len
          + head->ctx->host.len
          + ngx_max(head->peer.len, r->connection->addr_text.len)
          + r->connection->addr_text.len
          + ngx_http_kong_server_name(r)->len
          + head->raw.len
          + 3 * head->prefix.len;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            len += h[i].key.len + h[i].value.len + sizeof(": " CRLF) - 1;

            if (h[i].key.len == sizeof("Connection") - 1
                && ngx_http_kong_is(&h[i], "connection"))
            {
                ngx_http_kong_head_connection(head, &h[i].value);
            }
        }
    }

    return len;
}


/*
 * Remembers the names unless they say nothing about other headers.  Only so
 * many: every header is compared with each.
 */

static void
ngx_http_kong_head_connection(ngx_http_kong_head_t *head, ngx_str_t *value)
{
    u_char  *p, *last;

    if ((value->len == 5
         && ngx_strncasecmp(value->data, (u_char *) "close", 5) == 0)
        || (value->len == 7
            && ngx_strncasecmp(value->data, (u_char *) "upgrade", 7) == 0)
        || (value->len == 10
            && ngx_strncasecmp(value->data, (u_char *) "keep-alive", 10)
               == 0))
    {
        return;
    }

    p = value->data;
    last = p + value->len;

    while (head->n_named < NGX_HTTP_KONG_NAMED
           && ngx_http_kong_head_element(&p, last,
                                         &head->named[head->n_named]))
    {
        head->n_named++;
    }
}


static u_char *
ngx_http_kong_head_line(ngx_http_kong_head_t *head, u_char *p)
{
    u_char               *uri;
    kong_str_t            path;
    ngx_http_request_t   *r;
    ngx_http_kong_ctx_t  *ctx;

    r = head->request;
    ctx = head->ctx;

    path.data = (char *) ctx->path.data;
    path.len = ctx->path.len;

    p = ngx_http_kong_put_str(p, head->method);
    *p++ = ' ';

    uri = p;

    if (ctx->uri.len != 0) {
        p = ngx_http_kong_put_str(p, ctx->uri);

    } else {
        p += kong_path_upstream(head->service_path, path,
                                ctx->route->flags & KONG_ROUTE_STRIP_PATH,
                                ctx->match.has_path, ctx->match.path_len,
                                (char *) p);
    }

    if (head->query.data != NULL) {
        *p++ = '?';
        p = ngx_http_kong_put_str(p, head->query);
    }

    /* for nginx's error log */
    r->upstream->uri.data = uri;
    r->upstream->uri.len = p - uri;

    p = ngx_http_kong_put(p, " HTTP/1.1" CRLF "Host: ");
    p = ngx_http_kong_put_str(p, ctx->host);

    if (head->websocket) {
        return ngx_http_kong_put(p, CRLF "Connection: keep-alive, Upgrade"
                                    CRLF "Upgrade: websocket" CRLF);
    }

    return ngx_http_kong_put(p, CRLF "Connection: keep-alive" CRLF);
}


static u_char *
ngx_http_kong_head_copy(ngx_http_kong_head_t *head, u_char *p)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &head->request->headers_in.headers.part;
         part;
         part = part->next)
    {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].hash == 0
                || ngx_http_kong_head_special(head, &h[i])
                || (head->n_named != 0
                    && h[i].hash != NGX_KONG_HEADER_OURS
                    && ngx_http_kong_head_named(head, &h[i])))
            {
                continue;
            }

            p = ngx_http_kong_put_str(p, h[i].key);
            *p++ = ':'; *p++ = ' ';
            p = ngx_http_kong_put_str(p, h[i].value);
            *p++ = CR; *p++ = LF;
        }
    }

    return p;
}


ngx_http_kong_action_t
ngx_http_kong_head_action(ngx_table_elt_t *h)
{
    switch (h->key.len) {

    case 2:
        return ngx_http_kong_is(h, "te") ? ngx_http_kong_te
                                         : ngx_http_kong_pass;
    case 3:
        return ngx_http_kong_is(h, "via") ? ngx_http_kong_via
                                          : ngx_http_kong_pass;
    case 4:
        return ngx_http_kong_is(h, "host");

    case 5:
        return ngx_http_kong_is(h, "proxy");

    case 6:
        return ngx_http_kong_is(h, "expect");

    case 7:
        return ngx_http_kong_is(h, "upgrade");

    case 9:
        return ngx_http_kong_is(h, "x-real-ip");

    case 10:
        return ngx_http_kong_is(h, "connection")
               || ngx_http_kong_is(h, "keep-alive");

    case 14:
        return ngx_http_kong_is(h, "content-length");

    case 15:
        return ngx_http_kong_is(h, "x-forwarded-for") ? ngx_http_kong_xff
                                                      : ngx_http_kong_pass;
    case 16:
        if (ngx_http_kong_is(h, "proxy-connection")) {
            return ngx_http_kong_drop;
        }

        if (!ngx_http_kong_is(h, "x-forwarded-")) {
            return ngx_http_kong_pass;
        }

        if (ngx_http_kong_is(h, "x-forwarded-host")) {
            return ngx_http_kong_host;
        }

        if (ngx_http_kong_is(h, "x-forwarded-port")) {
            return ngx_http_kong_port;
        }

        return ngx_http_kong_is(h, "x-forwarded-path") ? ngx_http_kong_path
                                                       : ngx_http_kong_pass;
    case 17:
        if (ngx_http_kong_is(h, "x-forwarded-proto")) {
            return ngx_http_kong_proto;
        }

        if (ngx_http_kong_is(h, "x-kong-request-id")) {
            return ngx_http_kong_id;
        }

        return ngx_http_kong_is(h, "transfer-encoding");

    case 18:
        return ngx_http_kong_is(h, "x-forwarded-prefix")
               ? ngx_http_kong_prefix : ngx_http_kong_pass;
    }

    return ngx_http_kong_pass;
}


/* 1: the header is not copied */

static ngx_uint_t
ngx_http_kong_head_special(ngx_http_kong_head_t *head, ngx_table_elt_t *h)
{
    ngx_http_kong_action_t  action;

    action = ngx_http_kong_head_action(h);

    switch (action) {

    case ngx_http_kong_pass:
        return h->hash != NGX_KONG_HEADER_OURS
               && ngx_http_kong_head_identity(h);

    case ngx_http_kong_drop:
        return 1;

    case ngx_http_kong_id:
        return head->id;

    case ngx_http_kong_te:
        if (ngx_http_kong_head_token(&h->value, (u_char *) "trailers",
                                     sizeof("trailers") - 1))
        {
            head->trailers = 1;
        }

        return 1;

    case ngx_http_kong_xff:
    case ngx_http_kong_via:

        if (h->value.len == 0) {
            return 1;
        }

        if (head->first[action] != NULL) {
            if (action == ngx_http_kong_xff) {
                head->xffs = 1;

            } else {
                head->vias = 1;
            }

            return 1;
        }

        break;

    default:
        break;
    }

    if (head->first[action] == NULL) {
        head->first[action] = h;
    }

    return 1;
}


/* an upstream believes these, whichever way a request came */

static ngx_uint_t
ngx_http_kong_head_identity(ngx_table_elt_t *h)
{
    ngx_str_t  *name;

    static ngx_str_t  names[] = {
        ngx_string("x-consumer-"),
        ngx_string("x-credential-"),
        ngx_string("x-anonymous-consumer"),
        ngx_null_string
    };

    if (h->key.len < sizeof("x-consumer-") - 1 || h->lowcase_key[0] != 'x') {
        return 0;
    }

    for (name = names; name->len != 0; name++) {
        if (h->key.len >= name->len
            && ngx_memcmp(h->lowcase_key, name->data, name->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* named in a Connection header; asked for headers that are not special */

static ngx_uint_t
ngx_http_kong_head_named(ngx_http_kong_head_t *head, ngx_table_elt_t *h)
{
    ngx_uint_t  i;

    for (i = 0; i < head->n_named; i++) {
        if (head->named[i].len == h->key.len
            && ngx_strncasecmp(head->named[i].data, h->key.data, h->key.len)
               == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* is the name an element of the comma-separated list? */

static ngx_uint_t
ngx_http_kong_head_token(ngx_str_t *list, u_char *name, size_t len)
{
    u_char     *p, *last;
    ngx_str_t   element;

    p = list->data;
    last = p + list->len;

    while (ngx_http_kong_head_element(&p, last, &element)) {
        if (element.len == len
            && ngx_strncasecmp(element.data, name, len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* the next element of a comma-separated list; 0 at its end */

static ngx_uint_t
ngx_http_kong_head_element(u_char **p, u_char *last, ngx_str_t *element)
{
    u_char  *s, *end;

    s = *p;

    while (s < last && (*s == ' ' || *s == '\t' || *s == ',')) {
        s++;
    }

    element->data = s;

    while (s < last && *s != ',') {
        s++;
    }

    *p = s;
    end = s;

    while (end > element->data && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }

    element->len = end - element->data;

    return element->len != 0;
}
