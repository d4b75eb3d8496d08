/*
 * /health of the control socket: the health of targets, told and set.  The
 * daemon reports its probes here and passes on what the Admin API is asked
 * for; the states are the node's, all workers share them.
 *
 *   GET  /health[?upstream=NAME]
 *   POST /health?upstream=NAME[&id=HEX|&address=IP:PORT]
 *        &state=healthy|unhealthy  or  &report=success|http|tcp|timeout
 *        or  &status=N, which the upstream's active checks judge
 */

#include "ngx_http_kong_health.h"


#define NGX_HTTP_KONG_HEALTH_TEXT  256   /* an entry without its strings */

typedef struct {
    ngx_http_request_t         *request;
    ngx_http_kong_main_conf_t  *mcf;
    const kong_segment_t       *seg;
    const kong_health_t        *health;
    ngx_http_kong_checked_t     checked;

    ngx_str_t                   upstream;
    ngx_str_t                   id;
    ngx_str_t                   address;
    ngx_str_t                   state;
    ngx_str_t                   report;
} ngx_http_kong_health_t;


static ngx_buf_t *ngx_http_kong_health_list(ngx_http_kong_health_t *h);
static size_t ngx_http_kong_health_length(ngx_http_kong_health_t *h);
static u_char *ngx_http_kong_health_upstream(ngx_http_kong_health_t *h,
    const kong_endpoint_t *e, u_char *p);
static u_char *ngx_http_kong_health_address(ngx_http_kong_health_t *h,
    const kong_address_t *a, ngx_uint_t on, u_char *p);
static void ngx_http_kong_health_arg(ngx_http_request_t *r, const char *name,
    ngx_str_t *value);
static ngx_uint_t ngx_http_kong_health_is(ngx_http_kong_health_t *h,
    const kong_address_t *a);
static ngx_uint_t ngx_http_kong_health_apply(ngx_http_kong_health_t *h,
    const kong_address_t *a);


static const char *const  ngx_http_kong_health_states[] = {
    "HEALTHY", "MOSTLY_HEALTHY", "MOSTLY_UNHEALTHY", "UNHEALTHY"
};


ngx_int_t
ngx_http_kong_health_get(ngx_http_request_t *r)
{
    ngx_buf_t               *b;
    ngx_kong_generation_t   *gen;
    ngx_http_kong_health_t   h;

    ngx_memzero(&h, sizeof(ngx_http_kong_health_t));
    h.request = r;
    h.mcf = ngx_http_get_module_main_conf(r, ngx_http_kong_module);
    ngx_http_kong_health_arg(r, "upstream", &h.upstream);

    gen = ngx_kong_generation_get(h.mcf, r->connection->log);

    if (gen != NULL && gen->endpoints != NULL) {
        h.seg = &gen->endpoints->seg;
    }

    b = ngx_http_kong_health_list(&h);

    if (gen != NULL) {
        ngx_kong_generation_put(gen);
    }

    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_kong_endpoint_send(r, NGX_HTTP_OK, "application/json", b);
}


static ngx_buf_t *
ngx_http_kong_health_list(ngx_http_kong_health_t *h)
{
    u_char                 *p;
    ngx_buf_t              *b;
    ngx_uint_t              i;
    const kong_endpoint_t  *e;

    b = ngx_create_temp_buf(h->request->pool, ngx_http_kong_health_length(h));
    if (b == NULL) {
        return NULL;
    }

    p = b->last;
    *p++ = '[';

    for (i = 0; h->seg && i < h->seg->sections[KONG_SECTION_ENDPOINTS].n; i++)
    {
        e = &h->seg->endpoints[i];

        if (e->balancer == KONG_NONE) {
            continue;
        }

        if (h->upstream.len != 0
            && e->key != kong_upstream_key((char *) h->upstream.data,
                                           h->upstream.len))
        {
            continue;
        }

        if (p[-1] == '}') {
            *p++ = ',';
        }

        p = ngx_http_kong_health_upstream(h, e, p);
    }

    *p++ = ']';

    b->last = p;

    return b;
}


static size_t
ngx_http_kong_health_length(ngx_http_kong_health_t *h)
{
    size_t                  len;
    uint32_t                k;
    ngx_uint_t              i;
    const kong_endpoint_t  *e;

    len = 2;

    if (h->seg == NULL) {
        return len;
    }

    for (i = 0; i < h->seg->sections[KONG_SECTION_ENDPOINTS].n; i++) {
        e = &h->seg->endpoints[i];

        len += NGX_HTTP_KONG_HEALTH_TEXT
               + kong_segment_str(h->seg, e->name).len;

        /* nothing says that two of them share no address */

        for (k = 0; k < e->n; k++) {
            len += NGX_HTTP_KONG_HEALTH_TEXT
                   + kong_segment_str(h->seg,
                                      h->seg->addresses[e->first + k].host)
                     .len;
        }
    }

    return len;
}


static u_char *
ngx_http_kong_health_upstream(ngx_http_kong_health_t *h,
    const kong_endpoint_t *e, u_char *p)
{
    uint32_t                i;
    ngx_uint_t              on;
    const kong_balancer_t  *b;

    b = kong_balancer(h->seg, e);
    h->health = kong_balancer_health(h->seg, b);

    /* who else has a slot */
    on = h->health != NULL
         || b->algorithm == KONG_LEAST_CONNECTIONS
         || b->algorithm == KONG_LATENCY;

    p = ngx_sprintf(p, "{\"upstream\":\"%s\",\"id\":\"%016xL\","
                    "\"weight\":%uD,\"addresses\":[",
                    kong_segment_str(h->seg, e->name).data, b->id,
                    b->weight);

    for (i = 0; i < e->n; i++) {
        if (i != 0) {
            *p++ = ',';
        }

        p = ngx_http_kong_health_address(h, &h->seg->addresses[e->first + i],
                                         on, p);
    }

    *p++ = ']';
    *p++ = '}';

    return p;
}


static u_char *
ngx_http_kong_health_address(ngx_http_kong_health_t *h,
    const kong_address_t *a, ngx_uint_t on, u_char *p)
{
    u_char              ip[NGX_SOCKADDR_STRLEN];
    size_t              len;
    ngx_kong_target_t  *t;

    len = ngx_http_kong_health_ip(a, ip);
    t = NULL;

    if (on) {
        t = ngx_kong_target_get(h->mcf->zone, a->id,
                                h->request->connection->log);
    }

    return ngx_sprintf(p, "{\"id\":\"%016xL\",\"address\":\"%*s\","
                       "\"host\":\"%s\",\"weight\":%ui,\"active\":%uA,"
                       "\"health\":\"%s\"}",
                       a->id, len, ip, kong_segment_str(h->seg, a->host).data,
                       (ngx_uint_t) a->weight, t ? t->active : 0,
                       h->health == NULL ? "HEALTHCHECKS_OFF"
                       : ngx_http_kong_health_states[t
                                              ? ngx_kong_target_state(t) : 0]);
}


ngx_int_t
ngx_http_kong_health_post(ngx_http_request_t *r)
{
    uint32_t                i;
    ngx_int_t               rc;
    ngx_uint_t              changed, known, answer;
    const kong_address_t   *a;
    ngx_kong_generation_t  *gen;
    ngx_http_kong_health_t  h;

    ngx_memzero(&h, sizeof(ngx_http_kong_health_t));
    h.request = r;
    h.mcf = ngx_http_get_module_main_conf(r, ngx_http_kong_module);
    h.checked.zone = h.mcf->zone;
    h.checked.log = ngx_cycle->log;

    ngx_http_kong_health_arg(r, "upstream", &h.upstream);
    ngx_http_kong_health_arg(r, "id", &h.id);
    ngx_http_kong_health_arg(r, "address", &h.address);
    ngx_http_kong_health_arg(r, "state", &h.state);
    ngx_http_kong_health_arg(r, "report", &h.report);

    if (h.report.len == 0) {
        ngx_http_kong_health_arg(r, "status", &h.report);
    }

    gen = ngx_kong_generation_get(h.mcf, r->connection->log);

    if (gen != NULL && gen->endpoints != NULL) {
        h.checked.seg = &gen->endpoints->seg;
    }

    known = 0;
    changed = 0;
    rc = ngx_http_kong_checked_find(&h.checked,
                                kong_upstream_key((char *) h.upstream.data,
                                                  h.upstream.len));

    for (i = 0; rc == NGX_OK && i < h.checked.endpoint->n; i++) {
        a = &h.checked.seg->addresses[h.checked.endpoint->first + i];

        if (ngx_http_kong_health_is(&h, a)) {
            known++;
            changed += ngx_http_kong_health_apply(&h, a);
        }
    }

    if (changed) {
        ngx_http_kong_checked_changed(&h.checked);
    }

    if (gen != NULL) {
        ngx_kong_generation_put(gen);
    }

    answer = known ? NGX_HTTP_NO_CONTENT
                   : rc == NGX_ABORT ? NGX_HTTP_BAD_REQUEST
                   : NGX_HTTP_NOT_FOUND;

    return ngx_http_kong_endpoint_send(r, answer, NULL, NULL);
}


static void
ngx_http_kong_health_arg(ngx_http_request_t *r, const char *name,
    ngx_str_t *value)
{
    u_char  *dst, *src;

    ngx_str_null(value);

    if (ngx_http_arg(r, (u_char *) name, ngx_strlen(name), value) != NGX_OK
        || value->len == 0)
    {
        value->len = 0;
        return;
    }

    dst = ngx_pnalloc(r->pool, value->len);

    if (dst == NULL) {
        value->len = 0;
        return;
    }

    src = value->data;
    value->data = dst;
    ngx_unescape_uri(&dst, &src, value->len, 0);
    value->len = dst - value->data;
}


static ngx_uint_t
ngx_http_kong_health_is(ngx_http_kong_health_t *h, const kong_address_t *a)
{
    u_char   text[NGX_SOCKADDR_STRLEN], *last;
    size_t   len;

    if (h->id.len != 0) {
        last = ngx_sprintf(text, "%016xL", a->id);
        return h->id.len == (size_t) (last - text)
               && ngx_memcmp(h->id.data, text, h->id.len) == 0;
    }

    if (h->address.len != 0) {
        len = ngx_http_kong_health_ip(a, text);
        return h->address.len == len
               && ngx_memcmp(h->address.data, text, len) == 0;
    }

    return 1;
}


/* 1 when the target went up or down */

static ngx_uint_t
ngx_http_kong_health_apply(ngx_http_kong_health_t *h, const kong_address_t *a)
{
    ngx_kong_target_t  *t;

    t = ngx_kong_target_get(h->checked.zone, a->id, h->checked.log);

    if (t == NULL) {
        return 0;
    }

    if (h->state.len == 0) {
        return ngx_http_kong_probe_report(&h->checked, a, t, &h->report);
    }

    return ngx_kong_target_set_health(t,
               h->state.len == sizeof("healthy") - 1
               && ngx_memcmp(h->state.data, "healthy", h->state.len) == 0
               ? NGX_KONG_HEALTHY : NGX_KONG_UNHEALTHY);
}


size_t
ngx_http_kong_health_ip(const kong_address_t *a, u_char *text)
{
    union {
        struct sockaddr      sockaddr;
        struct sockaddr_in   sin;
#if (NGX_HAVE_INET6)
        struct sockaddr_in6  sin6;
#endif
    } u;

    ngx_memzero(&u, sizeof(u));

#if (NGX_HAVE_INET6)
    if (a->ipv6) {
        u.sin6.sin6_family = AF_INET6;
        u.sin6.sin6_port = htons(a->port);
        ngx_memcpy(&u.sin6.sin6_addr, a->addr, 16);

        return ngx_sock_ntop(&u.sockaddr, sizeof(struct sockaddr_in6), text,
                             NGX_SOCKADDR_STRLEN, 1);
    }
#endif

    u.sin.sin_family = AF_INET;
    u.sin.sin_port = htons(a->port);
    ngx_memcpy(&u.sin.sin_addr, a->addr, 4);

    return ngx_sock_ntop(&u.sockaddr, sizeof(struct sockaddr_in), text,
                         NGX_SOCKADDR_STRLEN, 1);
}
