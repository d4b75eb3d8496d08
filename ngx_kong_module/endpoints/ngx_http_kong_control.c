/*
 * The control socket: how controld tells the module of a new generation and
 * of its own state.  The protocol is specified in docs/architecture.md.  It
 * listens on a unix socket in a folder that only the owner can enter.
 */

#include "../http/ngx_kong_publish.h"
#include "ngx_http_kong_health.h"


typedef struct {
    ngx_str_t    uri;
    ngx_uint_t   method;
    ngx_int_t  (*handler)(ngx_http_request_t *r);
} ngx_http_kong_control_route_t;

/* a publisher that waits */
typedef struct {
    ngx_http_request_t  *request;
    ngx_kong_publish_t  *publish;    /* NULL: it knows */
    uint32_t             config;
    uint32_t             endpoints;
} ngx_http_kong_control_wait_t;


static void ngx_http_kong_control_unlink(ngx_log_t *log,
    struct sockaddr_un *sun);
static ngx_int_t ngx_http_kong_control_note(ngx_conf_t *cf,
    ngx_http_conf_addr_t *addr, struct sockaddr_un *sun);
static ngx_uint_t ngx_http_kong_control_allowed(ngx_connection_t *c);
static ngx_int_t ngx_http_kong_control_publish(ngx_http_request_t *r);
static ngx_int_t ngx_http_kong_control_wait(
    ngx_http_kong_control_wait_t *wait, ngx_http_kong_main_conf_t *mcf);
static void ngx_http_kong_control_published(void *data, ngx_int_t rc,
    ngx_str_t *err);
static ngx_int_t ngx_http_kong_control_outcome(
    ngx_http_kong_control_wait_t *wait, ngx_int_t rc, ngx_str_t *err);
static void ngx_http_kong_control_leave(void *data);
static ngx_int_t ngx_http_kong_control_set_state(ngx_http_request_t *r);
static ngx_int_t ngx_http_kong_control_get_state(ngx_http_request_t *r);
static ngx_int_t ngx_http_kong_control_number(ngx_http_request_t *r,
    const char *name, ngx_int_t *out);
static ngx_uint_t ngx_http_kong_control_known(ngx_http_request_t *r,
    const char *name);
static void ngx_http_kong_control_text(ngx_http_request_t *r,
    const char *name, u_char *out, size_t size);
static ngx_int_t ngx_http_kong_control_answer(ngx_http_request_t *r,
    ngx_uint_t status, const char *fmt, ...);


static ngx_http_kong_control_route_t  ngx_http_kong_control_routes[] = {
    { ngx_string("/publish"), NGX_HTTP_POST, ngx_http_kong_control_publish },
    { ngx_string("/state"), NGX_HTTP_POST, ngx_http_kong_control_set_state },
    { ngx_string("/state"), NGX_HTTP_GET, ngx_http_kong_control_get_state },
    { ngx_string("/health"), NGX_HTTP_GET, ngx_http_kong_health_get },
    { ngx_string("/health"), NGX_HTTP_POST, ngx_http_kong_health_post },
    { ngx_string("/probes"), NGX_HTTP_POST, ngx_http_kong_probes_handler },
    { ngx_string("/purge"), NGX_HTTP_POST, ngx_http_kong_cache_control },
    { ngx_string("/counters"), NGX_HTTP_POST, ngx_http_kong_ledger_handler },
    { ngx_null_string, 0, NULL }
};


/*
 * nginx does not bind to a unix socket whose file a killed master has left
 * behind.  A node must start again all the same: a socket that refuses
 * connections belongs to nobody and is removed.
 */
ngx_int_t
ngx_http_kong_control_init(ngx_conf_t *cf)
{
    ngx_uint_t                  i, j;
    struct sockaddr_un         *sun;
    ngx_http_conf_port_t       *port;
    ngx_http_conf_addr_t       *addr;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    if (cmcf->ports == NULL || ngx_test_config) {
        return NGX_OK;
    }

    port = cmcf->ports->elts;

    for (i = 0; i < cmcf->ports->nelts; i++) {

        addr = port[i].addrs.elts;

        for (j = 0; j < port[i].addrs.nelts; j++) {
            if (addr[j].opt.sockaddr->sa_family != AF_UNIX) {
                continue;
            }

            sun = (struct sockaddr_un *) addr[j].opt.sockaddr;
            ngx_http_kong_control_unlink(cf->log, sun);

            if (ngx_http_kong_control_note(cf, &addr[j], sun) != NGX_OK) {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


/* the address lives as long as the configuration */
static ngx_int_t
ngx_http_kong_control_note(ngx_conf_t *cf, ngx_http_conf_addr_t *addr,
    struct sockaddr_un *sun)
{
    u_char                     **path;
    ngx_uint_t                   i;
    ngx_http_core_srv_conf_t   **cscf;
    ngx_http_kong_srv_conf_t    *kscf;
    ngx_http_kong_main_conf_t   *mcf;

    cscf = addr->servers.elts;

    for (i = 0; i < addr->servers.nelts; i++) {
        kscf = cscf[i]->ctx->srv_conf[ngx_http_kong_module.ctx_index];

        if (kscf->control) {
            break;
        }
    }

    if (i == addr->servers.nelts) {
        return NGX_OK;
    }

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_kong_module);

    if (mcf->sockets == NULL) {
        mcf->sockets = ngx_array_create(cf->pool, 1, sizeof(u_char *));
        if (mcf->sockets == NULL) {
            return NGX_ERROR;
        }
    }

    path = ngx_array_push(mcf->sockets);
    if (path == NULL) {
        return NGX_ERROR;
    }

    *path = (u_char *) sun->sun_path;

    return NGX_OK;
}


/* nginx opens unix sockets to everybody; now the workers' user, as whom the
 * daemon runs, has them alone.  A failure here, which would end the master at
 * a reload, is left to the folder's mode */
void
ngx_http_kong_control_close(ngx_http_kong_main_conf_t *mcf,
    ngx_cycle_t *cycle)
{
    u_char          **path;
    ngx_uint_t        i;
    ngx_core_conf_t  *ccf;

    if (mcf->sockets == NULL) {
        return;
    }

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);
    path = mcf->sockets->elts;

    for (i = 0; i < mcf->sockets->nelts; i++) {
        if (chmod((char *) path[i], S_IRUSR|S_IWUSR) == -1) {
            ngx_log_error(NGX_LOG_ERR, cycle->log, ngx_errno,
                          "chmod() \"%s\" failed", path[i]);
        }

        /* set for root only; the folder is root's, no link can be in it */
        if (ccf->user != (ngx_uid_t) NGX_CONF_UNSET_UINT
            && chown((char *) path[i], ccf->user, (gid_t) -1) == -1)
        {
            ngx_log_error(NGX_LOG_ERR, cycle->log, ngx_errno,
                          "chown() \"%s\" failed", path[i]);
        }
    }
}


static void
ngx_http_kong_control_unlink(ngx_log_t *log, struct sockaddr_un *sun)
{
    int  fd;

    fd = socket(AF_UNIX, SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC, 0);
    if (fd == -1) {
        return;
    }

    if (connect(fd, (struct sockaddr *) sun, sizeof(struct sockaddr_un)) == -1
        && ngx_errno == NGX_ECONNREFUSED
        && ngx_delete_file((u_char *) sun->sun_path) != NGX_FILE_ERROR)
    {
        ngx_log_error(NGX_LOG_NOTICE, log, 0,
                      "socket \"%s\" of a killed nginx is removed",
                      sun->sun_path);
    }

    (void) close(fd);
}


ngx_int_t
ngx_http_kong_control_handler(ngx_http_request_t *r)
{
    ngx_int_t                       rc;
    ngx_http_kong_control_route_t  *route;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    if (!ngx_http_kong_control_allowed(r->connection)) {
        return ngx_http_kong_control_answer(r, NGX_HTTP_FORBIDDEN,
                                            "{\"message\":\"Forbidden\"}");
    }

    for (route = ngx_http_kong_control_routes; route->handler; route++) {
        if (route->method == r->method
            && route->uri.len == r->uri.len
            && ngx_memcmp(route->uri.data, r->uri.data, r->uri.len) == 0)
        {
            return route->handler(r);
        }
    }

    return ngx_http_kong_control_answer(r, NGX_HTTP_NOT_FOUND,
                                        "{\"message\":\"Not found\"}");
}


/* between nginx's bind() and the chmod() after it whoever can enter the folder
 * may have connected */
static ngx_uint_t
ngx_http_kong_control_allowed(ngx_connection_t *c)
{
    socklen_t      len;
    struct ucred   peer;

    len = sizeof(struct ucred);

    if (c->listening->sockaddr->sa_family != AF_UNIX) {
        return 1;
    }

    return getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0
           && (peer.uid == 0 || peer.uid == geteuid());
}


static ngx_int_t
ngx_http_kong_control_publish(ngx_http_request_t *r)
{
    ngx_int_t                      config, endpoints;
    ngx_pool_cleanup_t            *cln;
    ngx_http_kong_main_conf_t     *mcf;
    ngx_http_kong_control_wait_t  *wait;

    if (ngx_http_kong_control_number(r, "config", &config) != NGX_OK
        || ngx_http_kong_control_number(r, "endpoints", &endpoints) != NGX_OK
        || config <= 0 || config > 0xffffffff || endpoints > 0xffffffff)
    {
        return ngx_http_kong_control_answer(r, NGX_HTTP_BAD_REQUEST,
                  "{\"message\":\"config and endpoints are generations\"}");
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_kong_module);

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_kong_control_wait_t));
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    wait = cln->data;
    ngx_memzero(wait, sizeof(ngx_http_kong_control_wait_t));

    cln->handler = ngx_http_kong_control_leave;

    wait->request = r;
    wait->config = (uint32_t) config;
    wait->endpoints = (uint32_t) endpoints;

    return ngx_http_kong_control_wait(wait, mcf);
}


/* a publisher that goes away meanwhile is not noticed: what it has asked for
 * happens, as it does with one that is killed a moment later */
static ngx_int_t
ngx_http_kong_control_wait(ngx_http_kong_control_wait_t *wait,
    ngx_http_kong_main_conf_t *mcf)
{
    ngx_int_t            rc;
    ngx_str_t            err;
    ngx_kong_publish_t  *publish;

    publish = ngx_kong_publish_new(mcf, wait->config, wait->endpoints);
    if (publish == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    publish->handler = ngx_http_kong_control_published;
    publish->data = wait;

    rc = ngx_kong_publish_start(publish, &err);

    if (rc != NGX_AGAIN) {
        return ngx_http_kong_control_outcome(wait, rc, &err);
    }

    wait->publish = publish;
    wait->request->main->count++;

    return NGX_DONE;
}


static void
ngx_http_kong_control_published(void *data, ngx_int_t rc, ngx_str_t *err)
{
    ngx_connection_t              *c;
    ngx_http_request_t            *r;
    ngx_http_kong_control_wait_t  *wait = data;

    r = wait->request;
    c = r->connection;
    wait->publish = NULL;

    ngx_http_set_log_request(c->log, r);

    ngx_http_finalize_request(r, ngx_http_kong_control_outcome(wait, rc, err));
    ngx_http_run_posted_requests(c);
}


static ngx_int_t
ngx_http_kong_control_outcome(ngx_http_kong_control_wait_t *wait,
    ngx_int_t rc, ngx_str_t *err)
{
    ngx_http_kong_main_conf_t  *mcf;

    if (rc != NGX_OK) {
        mcf = ngx_http_get_module_main_conf(wait->request,
                                            ngx_http_kong_module);
        (void) ngx_atomic_fetch_add(
                   &ngx_kong_zone_control(mcf->zone)->refused, 1);

        return ngx_http_kong_control_answer(wait->request, 422,
                                            "{\"message\":\"%V\"}", err);
    }

    return ngx_http_kong_control_answer(wait->request, NGX_HTTP_OK,
                                        "{\"config\":%uD,\"endpoints\":%uD}",
                                        wait->config, wait->endpoints);
}


static void
ngx_http_kong_control_leave(void *data)
{
    ngx_http_kong_control_wait_t *wait = data;

    if (wait->publish != NULL) {
        wait->publish->handler = NULL;
    }
}


static ngx_int_t
ngx_http_kong_control_set_state(ngx_http_request_t *r)
{
    ngx_int_t                   pid, ok, since, database, reachable;
    ngx_kong_daemon_state_t    *state;
    ngx_http_kong_main_conf_t  *mcf;

    if (ngx_http_kong_control_number(r, "pid", &pid) != NGX_OK
        || ngx_http_kong_control_number(r, "ok", &ok) != NGX_OK)
    {
        return ngx_http_kong_control_answer(r, NGX_HTTP_BAD_REQUEST,
                                  "{\"message\":\"pid and ok are required\"}");
    }

    if (ngx_http_kong_control_number(r, "since", &since) != NGX_OK) {
        since = ngx_time();
    }

    if (ngx_http_kong_control_number(r, "database", &database) != NGX_OK) {
        database = 0;
    }

    if (ngx_http_kong_control_number(r, "reachable", &reachable) != NGX_OK) {
        reachable = 0;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_kong_module);
    state = &ngx_kong_zone_control(mcf->zone)->daemon;

    ngx_kong_zone_lock(mcf->zone);

    state->pid = pid;
    state->ok = ok;
    state->since = since;
    state->database = database;
    state->reachable = reachable;
    state->changed = ngx_http_kong_control_known(r, "changed");
    state->timeline = ngx_http_kong_control_known(r, "timeline");
    state->version = ngx_http_kong_control_known(r, "version");
    state->aside = ngx_http_kong_control_known(r, "aside");
    ngx_http_kong_control_text(r, "host", state->host, sizeof(state->host));
    ngx_http_kong_control_text(r, "role", state->role, sizeof(state->role));
    ngx_http_kong_control_text(r, "source", state->source,
                               sizeof(state->source));
    ngx_http_kong_control_text(r, "message", state->message,
                               sizeof(state->message));
    state->beat = ngx_time();

    ngx_kong_zone_unlock(mcf->zone);

    return ngx_http_kong_control_answer(r, NGX_HTTP_NO_CONTENT, "");
}


static ngx_int_t
ngx_http_kong_control_get_state(ngx_http_request_t *r)
{
    uint64_t                    epoch;
    ngx_uint_t                  workers, behind;
    ngx_kong_control_t         *control;
    ngx_http_kong_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_kong_module);
    control = ngx_kong_zone_control(mcf->zone);
    epoch = control->epoch;
    workers = ngx_kong_zone_workers(control, epoch, &behind);

    return ngx_http_kong_control_answer(r, NGX_HTTP_OK,
              "{\"config\":%uD,\"endpoints\":%uD,\"hash\":\"%s\","
              "\"workers\":%ui,\"behind\":%ui,\"pid\":%P,\"controld\":%uA,"
              "\"heartbeat\":%uA,\"source\":\"%s\",\"ok\":%uA}",
              (uint32_t) (epoch >> 32), (uint32_t) epoch, control->hash,
              workers, behind, ngx_parent, control->daemon.pid,
              control->daemon.beat, control->daemon.source,
              control->daemon.ok);
}


static ngx_int_t
ngx_http_kong_control_number(ngx_http_request_t *r, const char *name,
    ngx_int_t *out)
{
    ngx_str_t  value;

    if (ngx_http_arg(r, (u_char *) name, ngx_strlen(name), &value) != NGX_OK) {
        return NGX_DECLINED;
    }

    *out = ngx_atoi(value.data, value.len);

    return *out == NGX_ERROR ? NGX_ERROR : NGX_OK;
}


/* 0 when it is not told */
static ngx_uint_t
ngx_http_kong_control_known(ngx_http_request_t *r, const char *name)
{
    ngx_int_t  n;

    return ngx_http_kong_control_number(r, name, &n) == NGX_OK
           ? (ngx_uint_t) n : 0;
}


/* unescaped, cut to size, control characters replaced, NUL-ended */
static void
ngx_http_kong_control_text(ngx_http_request_t *r, const char *name,
    u_char *out, size_t size)
{
    u_char     *dst, *src, *p;
    ngx_str_t   value;

    out[0] = '\0';

    if (ngx_http_arg(r, (u_char *) name, ngx_strlen(name), &value) != NGX_OK) {
        return;
    }

    dst = ngx_pnalloc(r->pool, value.len);
    if (dst == NULL) {
        return;
    }

    src = value.data;
    p = dst;
    ngx_unescape_uri(&p, &src, value.len, 0);

    value.len = ngx_min((size_t) (p - dst), size - 1);

    for (p = out; value.len > 0; value.len--) {
        *p++ = (*dst == '+') ? ' ' : (*dst < 0x20) ? '?' : *dst;
        dst++;
    }

    *p = '\0';
}


static ngx_int_t
ngx_http_kong_control_answer(ngx_http_request_t *r, ngx_uint_t status,
    const char *fmt, ...)
{
    va_list     args;
    ngx_buf_t  *b;

    b = ngx_create_temp_buf(r->pool, 1024);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    va_start(args, fmt);
    b->last = ngx_vslprintf(b->last, b->end, fmt, args);
    va_end(args);

    return ngx_http_kong_endpoint_send(r, status, "application/json", b);
}
