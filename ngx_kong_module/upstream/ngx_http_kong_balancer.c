/*
 * The peers of the upstream block with `kong_balancer`.  nginx calls
 * peer.init after the proxy module has built its request and before it
 * chooses a connection: here the service's configuration and our own request
 * head are put in their place.  Every try asks for an address again; the
 * addresses come from the segments that the request holds, so a retry sees
 * what the first try saw.
 */

#include "ngx_http_kong_upstream.h"


#define NGX_HTTP_KONG_KEEPALIVE_REQUESTS  10000
#define NGX_HTTP_KONG_KEEPALIVE_TIMEOUT   60000


typedef struct {
    ngx_http_request_t        *request;
    ngx_http_kong_ctx_t       *ctx;
    ngx_http_kong_srv_conf_t  *conf;

    ngx_http_kong_pool_t      *pool;     /* of the try under way */
    ngx_http_kong_pool_key_t   key;
    ngx_str_t                  sni;

    const kong_address_t      *addresses;     /* NULL: the service's own */
    ngx_uint_t                 n;
    ngx_uint_t                 current;

    ngx_str_t                  name;     /* of the first try */
    u_char                     text[NGX_HTTP_KONG_NAME_LEN];

    unsigned                   tried:1;
    unsigned                   stale:1;  /* an idle connection was closed
                                            under us: the same address again,
                                            on a new connection */
} ngx_http_kong_peer_t;


static ngx_int_t ngx_http_kong_balancer_init_upstream(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *uscf);
static ngx_int_t ngx_http_kong_balancer_init_peer(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *uscf);
static void ngx_http_kong_balancer_steer(ngx_http_upstream_t *u,
    ngx_http_kong_peer_t *kp);
static ngx_int_t ngx_http_kong_balancer_tls(ngx_http_request_t *r,
    ngx_http_kong_peer_t *kp, ngx_http_kong_rt_t *rt);
static ngx_int_t ngx_http_kong_balancer_addresses(ngx_http_kong_peer_t *kp);
static ngx_uint_t ngx_http_kong_balancer_first(ngx_http_kong_peer_t *kp,
    ngx_uint_t position);
static ngx_uint_t ngx_http_kong_balancer_stride(ngx_uint_t total);
static ngx_int_t ngx_http_kong_balancer_next(ngx_http_kong_peer_t *kp);
static ngx_int_t ngx_http_kong_balancer_get(ngx_peer_connection_t *pc,
    void *data);
static ngx_int_t ngx_http_kong_balancer_name(ngx_peer_connection_t *pc,
    ngx_http_kong_peer_t *kp);
static void ngx_http_kong_balancer_free(ngx_peer_connection_t *pc,
    void *data, ngx_uint_t state);
#if (NGX_HTTP_SSL)
static ngx_int_t ngx_http_kong_balancer_set_session(
    ngx_peer_connection_t *pc, void *data);
static void ngx_http_kong_balancer_save_session(ngx_peer_connection_t *pc,
    void *data);
#endif


static ngx_str_t  ngx_http_kong_schema = ngx_string("http://");
static ngx_str_t  ngx_http_kong_schema_tls = ngx_string("https://");


void *
ngx_http_kong_create_srv_conf(ngx_conf_t *cf)
{
    ngx_http_kong_srv_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_kong_srv_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /* without kong_keepalive no connection is kept */

    conf->requests = NGX_HTTP_KONG_KEEPALIVE_REQUESTS;
    conf->timeout = NGX_HTTP_KONG_KEEPALIVE_TIMEOUT;
    conf->size = NGX_CONF_UNSET_UINT;

    return conf;
}


char *
ngx_http_kong_balancer(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kong_srv_conf_t  *kscf = conf;

    ngx_http_upstream_server_t    *us;
    ngx_http_upstream_srv_conf_t  *uscf;

    if (kscf->balancer) {
        return "is duplicate";
    }

    uscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_upstream_module);

    if (uscf->peer.init_upstream) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "load balancing method redefined");
    }

    /* nginx refuses a block without servers; this one is never asked */

    us = ngx_array_push(uscf->servers);
    if (us == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(us, sizeof(ngx_http_upstream_server_t));
    ngx_str_set(&us->name, "kong");
    us->down = 1;

    kscf->balancer = 1;

    uscf->flags = NGX_HTTP_UPSTREAM_CREATE;
    uscf->peer.init_upstream = ngx_http_kong_balancer_init_upstream;

    return NGX_CONF_OK;
}


char *
ngx_http_kong_keepalive(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kong_srv_conf_t  *kscf = conf;

    ngx_int_t    n;
    ngx_str_t   *value, s;
    ngx_uint_t   i;

    if (kscf->size != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    n = ngx_atoi(value[1].data, value[1].len);
    if (n == NGX_ERROR) {
        i = 1;
        goto invalid;
    }

    kscf->size = n;

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "requests=", 9) == 0) {
            n = ngx_atoi(value[i].data + 9, value[i].len - 9);
            if (n == NGX_ERROR) {
                goto invalid;
            }

            /* Kong: 0 means that their number is not limited */
            kscf->requests = n == 0 ? NGX_MAX_INT_T_VALUE : (ngx_uint_t) n;

        } else if (ngx_strncmp(value[i].data, "timeout=", 8) == 0) {
            s.data = value[i].data + 8;
            s.len = value[i].len - 8;

            n = ngx_parse_time(&s, 0);
            if (n == NGX_ERROR) {
                goto invalid;
            }

            /* the same */
            kscf->timeout = n == 0 ? NGX_TIMER_INFINITE : (ngx_msec_t) n;

        } else {
            goto invalid;
        }
    }

    return NGX_CONF_OK;

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid value \"%V\" in \"%V\" directive",
                       &value[i], &cmd->name);
    return NGX_CONF_ERROR;
}


static ngx_int_t
ngx_http_kong_balancer_init_upstream(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *uscf)
{
    ngx_http_kong_srv_conf_t  *kscf;

    kscf = ngx_http_conf_upstream_srv_conf(uscf, ngx_http_kong_module);

    if (kscf->size == NGX_CONF_UNSET_UINT) {
        kscf->size = 0;
    }

    uscf->peer.init = ngx_http_kong_balancer_init_peer;

    return NGX_OK;
}


ngx_int_t
ngx_http_kong_balancer_init(ngx_conf_t *cf)
{
    ngx_uint_t                       i;
    ngx_http_kong_srv_conf_t        *kscf;
    ngx_http_upstream_srv_conf_t   **uscfp;
    ngx_http_upstream_main_conf_t   *umcf;

    umcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_upstream_module);
    uscfp = umcf->upstreams.elts;

    for (i = 0; i < umcf->upstreams.nelts; i++) {

        if (uscfp[i]->srv_conf == NULL) {
            continue;
        }

        kscf = ngx_http_conf_upstream_srv_conf(uscfp[i],
                                               ngx_http_kong_module);

        if (kscf != NULL && kscf->balancer) {
            uscfp[i]->peer.init = ngx_http_kong_balancer_init_peer;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_kong_balancer_check(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx,
    ngx_uint_t *status, const char **text)
{
    const kong_endpoint_t  *endpoint;

    if (ctx->service->flags & KONG_SERVICE_ADDRESS) {
        return NGX_OK;
    }

    endpoint = NULL;

    if (ctx->generation->endpoints != NULL) {
        endpoint = kong_segment_endpoint(&ctx->generation->endpoints->seg,
                                         ctx->service->endpoint);
    }

    if (endpoint != NULL && endpoint->n != 0) {
        return NGX_OK;
    }

    if (endpoint != NULL && endpoint->error == KONG_ENDPOINT_DNS_ERROR) {
        *status = NGX_HTTP_INTERNAL_SERVER_ERROR;
        *text = "dns server error: 2 server failure";

    } else {
        *status = NGX_HTTP_SERVICE_UNAVAILABLE;
        *text = "name resolution failed";
    }

    return NGX_DECLINED;
}


static ngx_int_t
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

    kp = ngx_palloc(r->pool, sizeof(ngx_http_kong_peer_t));
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
    kp->pool = NULL;
    kp->tried = 0;
    kp->stale = 0;

    ngx_memzero(&kp->key, sizeof(ngx_http_kong_pool_key_t));
    kp->key.tls = rt->tls;

    if (ngx_http_kong_balancer_addresses(kp) != NGX_OK) {
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


/* the server name is the Host header sent, without its port */

static ngx_int_t
ngx_http_kong_balancer_tls(ngx_http_request_t *r, ngx_http_kong_peer_t *kp,
    ngx_http_kong_rt_t *rt)
{
    u_char               *p, *last;
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

    u->ssl_name = kp->sni;

#endif

    return NGX_OK;
}


static ngx_int_t
ngx_http_kong_balancer_addresses(ngx_http_kong_peer_t *kp)
{
    ngx_uint_t              i;
    ngx_kong_map_t         *map;
    const kong_service_t   *service;
    const kong_endpoint_t  *endpoint;

    service = kp->ctx->service;

    kp->addresses = NULL;
    kp->current = 0;
    kp->n = 1;

    if (service->flags & KONG_SERVICE_ADDRESS) {
        kp->key.port = service->port;
        kp->key.ipv6 = (service->flags & KONG_SERVICE_IPV6) != 0;
        ngx_memcpy(kp->key.addr, service->addr, kp->key.ipv6 ? 16 : 4);
        return NGX_OK;
    }

    map = kp->ctx->generation->endpoints;
    endpoint = NULL;

    if (map != NULL) {
        endpoint = kong_segment_endpoint(&map->seg, service->endpoint);
    }

    /* the access phase has asked ngx_http_kong_balancer_check() */

    if (endpoint == NULL || endpoint->n == 0) {
        ngx_log_error(NGX_LOG_ERR, kp->request->connection->log, 0,
                      "the service has no address");
        return NGX_ERROR;
    }

    i = endpoint - map->seg.endpoints;

    kp->addresses = map->seg.addresses + endpoint->first;
    kp->n = endpoint->n;

    /* workers must not walk in step */
    kp->current = ngx_http_kong_balancer_first(kp, map->rr[i]++
                                               + (ngx_uint_t) ngx_worker * 7);

    return NGX_OK;
}


/*
 * The address at a position of the endless weighted sequence.  With unequal
 * weights a walk in steps of about 0.618 of their sum, coprime to it, visits
 * every slot once a round and mixes the addresses.
 */

static ngx_uint_t
ngx_http_kong_balancer_first(ngx_http_kong_peer_t *kp, ngx_uint_t position)
{
    ngx_uint_t  i, slot, total, equal;

    if (kp->n == 1) {
        return 0;
    }

    total = 0;
    equal = 1;

    for (i = 0; i < kp->n; i++) {
        total += kp->addresses[i].weight;

        if (kp->addresses[i].weight != kp->addresses[0].weight) {
            equal = 0;
        }
    }

    if (equal) {
        return position % kp->n;
    }

    slot = position % total * ngx_http_kong_balancer_stride(total) % total;

    for (i = 0; slot >= kp->addresses[i].weight; i++) {
        slot -= kp->addresses[i].weight;
    }

    return i;
}


static ngx_uint_t
ngx_http_kong_balancer_stride(ngx_uint_t total)
{
    ngx_uint_t  a, b, c, stride;

    for (stride = total * 618 / 1000; stride > 1; stride--) {

        for (a = total, b = stride; b != 0; b = c) {
            c = a % b;
            a = b;
        }

        if (a == 1) {
            return stride;
        }
    }

    return 1;
}


/* sets the key to the next try's address */

static ngx_int_t
ngx_http_kong_balancer_next(ngx_http_kong_peer_t *kp)
{
    ngx_uint_t             i;
    const kong_address_t  *address;

    if (kp->addresses == NULL) {
        return NGX_OK;
    }

    if (kp->tried && !kp->stale) {
        kp->current = (kp->current + 1) % kp->n;
    }

    for (i = 0; i < kp->n; i++) {
        address = &kp->addresses[kp->current];

        if (address->weight != 0) {
            break;
        }

        kp->current = (kp->current + 1) % kp->n;
    }

    if (i == kp->n) {
        return NGX_BUSY;
    }

    kp->key.port = address->port != 0 ? address->port
                                      : kp->ctx->service->port;
    kp->key.ipv6 = address->ipv6 != 0;

    ngx_memzero(kp->key.addr, sizeof(kp->key.addr));
    ngx_memcpy(kp->key.addr, address->addr, kp->key.ipv6 ? 16 : 4);

    return NGX_OK;
}


static ngx_int_t
ngx_http_kong_balancer_get(ngx_peer_connection_t *pc, void *data)
{
    ngx_http_kong_peer_t  *kp = data;

    ngx_uint_t            stale;
    ngx_msec_t            timeout;
    ngx_connection_t     *c;
    ngx_http_upstream_t  *u;

    pc->cached = 0;
    pc->connection = NULL;

    if (ngx_http_kong_balancer_next(kp) != NGX_OK) {
        return NGX_BUSY;
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
    kp->tried = 1;

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

    if (!kp->tried) {
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

    if (state & NGX_PEER_FAILED) {

        if (c != NULL && pc->cached
            && !c->read->timedout && !c->write->timedout
            && (c->read->eof || c->read->error || c->write->error))
        {
            kp->stale = 1;
        }

    } else if (c != NULL
               && ngx_http_kong_pool_push(kp->pool, c,
                                          kp->request->upstream, kp->conf)
                  == NGX_OK)
    {
        pc->connection = NULL;
    }

    ngx_http_kong_pool_put(kp->pool);
    kp->pool = NULL;
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
