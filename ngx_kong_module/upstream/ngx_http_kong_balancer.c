/*
 * The peers of the upstream block with `kong_balancer`.  nginx calls
 * peer.init after the proxy module has built its request and before it
 * chooses a connection: here the service's configuration and our own request
 * head are put in their place.  Every try asks for an address again; the
 * addresses come from the segments that the request holds, so a retry sees
 * what the first try saw.
 */

#include "ngx_http_kong_peer.h"


static void ngx_http_kong_balancer_steer(ngx_http_upstream_t *u,
    ngx_http_kong_peer_t *kp);
static ngx_int_t ngx_http_kong_balancer_tls(ngx_http_request_t *r,
    ngx_http_kong_peer_t *kp, ngx_http_kong_rt_t *rt);
static void ngx_http_kong_balancer_sni(ngx_http_kong_peer_t *kp);
static ngx_int_t ngx_http_kong_balancer_start(ngx_http_kong_peer_t *kp);
static void ngx_http_kong_balancer_set_key(ngx_http_kong_peer_t *kp);
static ngx_int_t ngx_http_kong_balancer_next(ngx_http_kong_peer_t *kp);
static ngx_int_t ngx_http_kong_balancer_rebuild(ngx_http_kong_peer_t *kp);
static ngx_int_t ngx_http_kong_balancer_get(ngx_peer_connection_t *pc,
    void *data);
static ngx_int_t ngx_http_kong_balancer_name(ngx_peer_connection_t *pc,
    ngx_http_kong_peer_t *kp);
static void ngx_http_kong_balancer_free(ngx_peer_connection_t *pc,
    void *data, ngx_uint_t state);
static ngx_uint_t ngx_http_kong_balancer_spoiled(ngx_http_kong_peer_t *kp);
static void ngx_http_kong_balancer_enter(ngx_http_kong_peer_t *kp);
static void ngx_http_kong_balancer_budget(ngx_peer_connection_t *pc,
    ngx_http_kong_peer_t *kp);
#if (NGX_HTTP_SSL)
static ngx_int_t ngx_http_kong_balancer_set_session(
    ngx_peer_connection_t *pc, void *data);
static void ngx_http_kong_balancer_save_session(ngx_peer_connection_t *pc,
    void *data);
#endif


static ngx_str_t  ngx_http_kong_schema = ngx_string("http://");
static ngx_str_t  ngx_http_kong_schema_tls = ngx_string("https://");


ngx_int_t
ngx_http_kong_balancer_check(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx,
    ngx_uint_t *status, const char **text)
{
    ngx_uint_t                  panic;
    const kong_endpoint_t      *endpoint;
    ngx_http_kong_group_t      *group;
    ngx_http_kong_main_conf_t  *mcf;

    if (ctx->service->flags & KONG_SERVICE_ADDRESS) {
        return NGX_OK;
    }

    group = ngx_http_kong_group_get(r, ctx);
    mcf = ngx_http_get_module_main_conf(r, ngx_http_kong_module);

    if (group != NULL
        && ngx_http_kong_group_check(group, mcf->balancer
                                            ? mcf->balancer->panic : 0,
                                     &panic)
           == NGX_OK)
    {
        return NGX_OK;
    }

    *status = NGX_HTTP_SERVICE_UNAVAILABLE;

    if (ctx->service->flags & KONG_SERVICE_UPSTREAM) {
        *text = "failure to get a peer from the ring-balancer";
        return NGX_DECLINED;
    }

    *text = "name resolution failed";
    endpoint = NULL;

    if (ctx->generation->endpoints != NULL) {
        endpoint = kong_segment_endpoint(&ctx->generation->endpoints->seg,
                                         ctx->service->endpoint);
    }

    if (endpoint != NULL && endpoint->error == KONG_ENDPOINT_DNS_ERROR) {
        *status = NGX_HTTP_INTERNAL_SERVER_ERROR;
        *text = "dns server error: 2 server failure";
    }

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_kong_balancer_init_peer(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *uscf)
{
    ngx_http_kong_rt_t    *rt;
    ngx_http_upstream_t   *u;
    ngx_http_kong_ctx_t   *ctx;
    ngx_http_kong_peer_t  *kp;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    if (ctx == NULL || ctx->generation == NULL || ctx->service == NULL) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "upstream \"%V\" is used without \"kong_proxy\"",
                      &uscf->host);
        return NGX_ERROR;
    }

    u = r->upstream;

    kp = ngx_pcalloc(r->pool, sizeof(ngx_http_kong_peer_t));
    if (kp == NULL) {
        return NGX_ERROR;
    }

    rt = ngx_http_kong_rt_get(r, ctx);
    if (rt == NULL) {
        return NGX_ERROR;
    }

    kp->request = r;
    kp->ctx = ctx;
    kp->conf = ngx_http_conf_upstream_srv_conf(uscf, ngx_http_kong_module);
    kp->key.tls = rt->tls;
    kp->reading_body = r->reading_body;

    if (ngx_http_kong_balancer_start(kp) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_kong_request_create(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_kong_balancer_tls(r, kp, rt) != NGX_OK) {
        return NGX_ERROR;
    }

    u->conf = &rt->conf;

    ngx_http_kong_balancer_steer(u, kp);

    ctx->proxied = 1;

    return NGX_OK;
}


static void
ngx_http_kong_balancer_steer(ngx_http_upstream_t *u, ngx_http_kong_peer_t *kp)
{
    if (!(kp->ctx->route->flags & KONG_ROUTE_RESPONSE_BUFFERING)) {
        u->buffering = 0;
    }

    /* the upstream's Location and cookies are the client's as they are */

    u->rewrite_redirect = NULL;
    u->rewrite_cookie = NULL;

    u->peer.data = kp;
    u->peer.get = ngx_http_kong_balancer_get;
    u->peer.free = ngx_http_kong_balancer_free;
    u->peer.tries = (ngx_uint_t) kp->ctx->service->retries + 1;
#if (NGX_HTTP_SSL)
    u->peer.set_session = ngx_http_kong_balancer_set_session;
    u->peer.save_session = ngx_http_kong_balancer_save_session;
#endif
}


static ngx_int_t
ngx_http_kong_balancer_tls(ngx_http_request_t *r, ngx_http_kong_peer_t *kp,
    ngx_http_kong_rt_t *rt)
{
    ngx_http_upstream_t  *u;

    u = r->upstream;

    ngx_str_set(&kp->sni, "");

    if (rt->tls == 0) {
        u->schema = ngx_http_kong_schema;
        return NGX_OK;
    }

#if (NGX_HTTP_SSL)

    u->ssl = 1;
    u->schema = ngx_http_kong_schema_tls;

    ngx_http_kong_balancer_sni(kp);

#endif

    return NGX_OK;
}


/* the server name is the Host header sent, without its port */

static void
ngx_http_kong_balancer_sni(ngx_http_kong_peer_t *kp)
{
    u_char  *p, *last;

    kp->sni = kp->ctx->host;

    p = kp->sni.data;
    last = p + kp->sni.len;

    if (kp->sni.len != 0 && *p == '[') {
        p = ngx_strlchr(p, last, ']');
    }

    if (p != NULL) {
        p = ngx_strlchr(p, last, ':');
    }

    if (p != NULL) {
        kp->sni.len = p - kp->sni.data;
    }

#if (NGX_HTTP_SSL)
    kp->request->upstream->ssl_name = kp->sni;
#endif
}


/* the first address: what is sent may depend on it */

static ngx_int_t
ngx_http_kong_balancer_start(ngx_http_kong_peer_t *kp)
{
    ngx_int_t               rc;
    const kong_service_t   *service;
    ngx_http_kong_group_t  *group;

    service = kp->ctx->service;

    if (service->flags & KONG_SERVICE_ADDRESS) {
        kp->key.port = service->port;
        kp->key.ipv6 = (service->flags & KONG_SERVICE_IPV6) != 0;
        ngx_memcpy(kp->key.addr, service->addr, kp->key.ipv6 ? 16 : 4);
        return NGX_OK;
    }

    group = ngx_http_kong_group_get(kp->request, kp->ctx);

    /* the access phase has asked ngx_http_kong_balancer_check() */

    if (group == NULL || group->n == 0) {
        ngx_log_error(NGX_LOG_ERR, kp->request->connection->log, 0,
                      "the service has no address");
        return NGX_ERROR;
    }

    kp->group = group;

    if (group->balancer != NULL
        && group->balancer->algorithm == KONG_CONSISTENT_HASHING
        && ngx_http_kong_hash(kp->request, kp->ctx,
                              &kp->ctx->generation->endpoints->seg,
                              group->balancer, &kp->hash)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    rc = ngx_http_kong_pick(kp);

    /* all went down since the access phase: get() says so */

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    kp->chosen = (rc == NGX_OK);

    if (kp->chosen) {
        ngx_http_kong_balancer_set_key(kp);
    }

    ngx_http_kong_group_enter(group, kp->ctx);

    return NGX_OK;
}


static void
ngx_http_kong_balancer_set_key(ngx_http_kong_peer_t *kp)
{
    kong_str_t             host;
    ngx_uint_t             def;
    const kong_address_t  *a;
    const kong_service_t  *service;

    service = kp->ctx->service;
    a = &kp->group->addresses[kp->current];

    kp->key.port = a->port != 0 ? a->port : service->port;
    kp->key.ipv6 = a->ipv6 != 0;

    ngx_memzero(kp->key.addr, sizeof(kp->key.addr));
    ngx_memcpy(kp->key.addr, a->addr, kp->key.ipv6 ? 16 : 4);

    host = kong_segment_str(&kp->ctx->generation->endpoints->seg, a->host);

    def = (service->protocol & (KONG_PROTO_HTTPS|KONG_PROTO_GRPCS)) ? 443
                                                                    : 80;

    kp->ctx->target_host.data = (u_char *) host.data;
    kp->ctx->target_host.len = kp->key.port == def ? a->host_len : host.len;
}


/* sets the key to this try's address */

static ngx_int_t
ngx_http_kong_balancer_next(ngx_http_kong_peer_t *kp)
{
    ngx_int_t  rc;

    if (kp->group == NULL || kp->stale) {
        return NGX_OK;
    }

    if (kp->chosen) {
        kp->chosen = 0;
        return NGX_OK;
    }

    rc = ngx_http_kong_pick(kp);
    if (rc != NGX_OK) {
        return rc;
    }

    ngx_http_kong_balancer_set_key(kp);

    /* the status is that of the try before, should this one not connect */
    kp->request->upstream->headers_in.status_n = 0;

    return ngx_http_kong_balancer_rebuild(kp);
}


/* another address may have another name, which Host and TLS tell */

static ngx_int_t
ngx_http_kong_balancer_rebuild(ngx_http_kong_peer_t *kp)
{
    ngx_int_t            rc;
    ngx_str_t            host;
    ngx_uint_t           reading;
    ngx_http_request_t  *r;

    r = kp->request;
    host = kp->ctx->host;

    if (kp->ctx->target_host.len == 0
        || (kp->ctx->target_host.len == host.len
            && ngx_memcmp(kp->ctx->target_host.data, host.data, host.len)
               == 0))
    {
        return NGX_OK;
    }

    /* the body's framing stays as it was */

    reading = r->reading_body;
    r->reading_body = kp->reading_body;

    rc = ngx_http_kong_request_create(r, kp->ctx);

    r->reading_body = reading;

    if (rc == NGX_OK && kp->key.tls != 0) {
        ngx_http_kong_balancer_sni(kp);
    }

    return rc;
}


static ngx_int_t
ngx_http_kong_balancer_get(ngx_peer_connection_t *pc, void *data)
{
    ngx_http_kong_peer_t  *kp = data;

    ngx_int_t             rc;
    ngx_uint_t            stale;
    ngx_msec_t            timeout;
    ngx_connection_t     *c;
    ngx_http_upstream_t  *u;

    pc->cached = 0;
    pc->connection = NULL;

    rc = ngx_http_kong_balancer_next(kp);
    if (rc != NGX_OK) {
        return rc;
    }

    kp->pool = ngx_http_kong_pool_get(&kp->key, &kp->sni);
    if (kp->pool == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_kong_balancer_name(pc, kp) != NGX_OK) {
        ngx_http_kong_pool_put(kp->pool);
        kp->pool = NULL;
        return NGX_ERROR;
    }

    pc->sockaddr = &kp->pool->u.sockaddr;
    pc->socklen = kp->pool->socklen;

    kp->ctx->proxy_start = ngx_current_msec;

    stale = kp->stale;
    kp->stale = 0;
    kp->again = 1;

    ngx_http_kong_balancer_enter(kp);

    if (stale) {
        return NGX_OK;
    }

    u = kp->request->upstream;

    /* a request without a body is on its way at once */

    timeout = u->request_bufs->next == NULL
              && !kp->request->request_body_no_buffering
              ? u->conf->read_timeout : 0;

    c = ngx_http_kong_pool_pop(kp->pool, timeout, pc->log);

    if (c == NULL) {
        return NGX_OK;
    }

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, pc->log, 0,
                   "kong balancer: using idle connection %p", c);

    pc->connection = c;
    pc->cached = 1;

    return NGX_DONE;
}


/*
 * The name outlives the pool: it is logged after the connection was given
 * back.  A name that a try before shows in $upstream_addr must stay as it is.
 */

static ngx_int_t
ngx_http_kong_balancer_name(ngx_peer_connection_t *pc,
    ngx_http_kong_peer_t *kp)
{
    u_char     *p;
    ngx_str_t  *name;

    if (!kp->again) {
        name = &kp->name;
        p = kp->text;

    } else {
        name = ngx_palloc(kp->request->pool,
                          sizeof(ngx_str_t) + kp->pool->name.len);
        if (name == NULL) {
            return NGX_ERROR;
        }

        p = (u_char *) (name + 1);
    }

    name->data = p;
    name->len = kp->pool->name.len;
    ngx_memcpy(p, kp->pool->text, name->len);

    pc->name = name;

    return NGX_OK;
}


static void
ngx_http_kong_balancer_free(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t state)
{
    ngx_http_kong_peer_t  *kp = data;

    ngx_connection_t  *c;

    if (pc->tries) {
        pc->tries--;
    }

    if (kp->pool == NULL) {
        return;
    }

    c = pc->connection;

    if (kp->entered != NULL) {
        ngx_kong_target_leave(kp->entered);
        kp->entered = NULL;
    }

    if (state & NGX_PEER_FAILED) {

        if (c != NULL && pc->cached
            && !c->read->timedout && !c->write->timedout
            && (c->read->eof || c->read->error || c->write->error))
        {
            kp->stale = 1;
        }

        if (!kp->stale) {
            ngx_http_kong_passive(kp, pc, state);
            ngx_http_kong_balancer_budget(pc, kp);
        }

        goto done;
    }

    ngx_http_kong_passive(kp, pc, state);

    if (c != NULL
        && !ngx_http_kong_balancer_spoiled(kp)
        && ngx_http_kong_pool_push(kp->pool, c, kp->request->upstream,
                                   kp->conf)
           == NGX_OK)
    {
        pc->connection = NULL;
    }

done:

    ngx_http_kong_pool_put(kp->pool);
    kp->pool = NULL;
}


/*
 * An answer to HEAD with a body: nginx leaves what it has read of it, and the
 * rest would be the answer to the next request.
 */

static ngx_uint_t
ngx_http_kong_balancer_spoiled(ngx_http_kong_peer_t *kp)
{
    ngx_buf_t  *b;

    b = &kp->request->upstream->buffer;

    return kp->request->method == NGX_HTTP_HEAD && b->pos != b->last;
}


/* requests under way at the target decide where the next ones go */

static void
ngx_http_kong_balancer_enter(ngx_http_kong_peer_t *kp)
{
    const kong_balancer_t  *b;

    if (kp->group == NULL || kp->group->targets == NULL) {
        return;
    }

    b = kp->group->balancer;

    if ((b->algorithm == KONG_LEAST_CONNECTIONS
         || b->algorithm == KONG_LATENCY)
        && kp->group->targets[kp->current] != NULL)
    {
        kp->entered = kp->group->targets[kp->current];
        ngx_kong_target_enter(kp->entered);
    }
}


/* a sick upstream is not finished off by trying everything again */

static void
ngx_http_kong_balancer_budget(ngx_peer_connection_t *pc,
    ngx_http_kong_peer_t *kp)
{
    if (kp->group == NULL || pc->tries == 0) {
        return;
    }

    if (ngx_http_kong_group_retry(kp->group, kp->ctx, kp->conf) == NGX_OK) {
        return;
    }

    ngx_log_error(NGX_LOG_WARN, pc->log, 0,
                  "\"%s\" is not tried again: too many of its requests are",
                  kp->group->name.data);

    pc->tries = 0;
}


#if (NGX_HTTP_SSL)


static ngx_int_t
ngx_http_kong_balancer_set_session(ngx_peer_connection_t *pc, void *data)
{
    ngx_http_kong_peer_t  *kp = data;

    if (kp->pool == NULL || kp->pool->session == NULL) {
        return NGX_OK;
    }

    return ngx_ssl_set_session(pc->connection, kp->pool->session);
}


static void
ngx_http_kong_balancer_save_session(ngx_peer_connection_t *pc, void *data)
{
    ngx_http_kong_peer_t  *kp = data;

    ngx_ssl_session_t  *session, *old;

    if (kp->pool == NULL) {
        return;
    }

    session = ngx_ssl_get_session(pc->connection);
    if (session == NULL) {
        return;
    }

    old = kp->pool->session;
    kp->pool->session = session;

    if (old != NULL) {
        ngx_ssl_free_session(old);
    }
}

#endif
