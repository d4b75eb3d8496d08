/*
 * cors: which origins may read the answer.  A preflight is answered here; any
 * other answer gets its headers, whoever made it.  Origins are sorted into
 * plain ones and regexes once, when the configuration is prepared.
 */

#include "ngx_kong_plugin.h"


typedef struct {
    ngx_str_t       domain;              /* plain: scheme://host[:port] */
    void           *regex;               /* not NULL: a regex */
    ngx_uint_t      by_host;             /* on the host alone */
} cors_origin_t;

typedef struct {
    cors_origin_t  *origins;
    ngx_uint_t      n_origins;
    ngx_str_t       single;              /* the only origin, plain: sent
                                            whatever the client's is */
    ngx_str_t       headers;
    ngx_str_t       exposed;
    ngx_str_t       methods;
    ngx_str_t       max_age;
    unsigned        all:1;               /* no restriction */
    unsigned        star:1;              /* "*" among others */
    unsigned        credentials:1;
    unsigned        private_network:1;
    unsigned        preflight_continue:1;
} cors_conf_t;

/* an origin taken apart; both point into it or into the pool */
typedef struct {
    ngx_str_t       domain;
    ngx_str_t       host;
} cors_domain_t;


static void *cors_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool);
static ngx_int_t cors_prepare_origins(ngx_kong_instance_t *in,
    ngx_pool_t *pool, cors_conf_t *conf);
static ngx_int_t cors_join(ngx_kong_instance_t *in, ngx_pool_t *pool,
    const char *name, ngx_str_t *joined);
static ngx_int_t cors_access(ngx_http_request_t *r, ngx_kong_run_t *run);
static ngx_int_t cors_preflight(ngx_http_request_t *r, cors_conf_t *conf,
    ngx_str_t *origin);
static ngx_int_t cors_header_filter(ngx_http_request_t *r,
    ngx_kong_run_t *run);
static ngx_int_t cors_origin(ngx_http_request_t *r, cors_conf_t *conf,
    ngx_str_t *origin, ngx_uint_t preflight);
static ngx_int_t cors_match(ngx_http_request_t *r, cors_conf_t *conf,
    ngx_str_t *origin, ngx_str_t *allowed);
static ngx_int_t cors_normalize(ngx_pool_t *pool, ngx_str_t *origin,
    cors_domain_t *d);
static u_char *cors_scheme(u_char *p, u_char *last);
static u_char *cors_port(u_char *host, u_char *last);
static ngx_uint_t cors_is_plain(ngx_str_t *origin);
static ngx_int_t cors_vary(ngx_http_request_t *r, ngx_uint_t preflight);
static ngx_int_t cors_set(ngx_http_request_t *r, const char *name,
    ngx_str_t *value);
static ngx_str_t *cors_header(ngx_http_request_t *r, const char *lower);


const ngx_kong_plugin_t  ngx_kong_cors = {
    .name = ngx_string("cors"),
    .prepare = cors_prepare,
    .access = cors_access,
    .header_filter = cors_header_filter
};

static ngx_str_t  cors_star = ngx_string("*");
static ngx_str_t  cors_true = ngx_string("true");


static void *
cors_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool)
{
    double        max_age;
    u_char       *p;
    cors_conf_t  *conf;

    conf = ngx_pcalloc(pool, sizeof(cors_conf_t));
    p = ngx_pnalloc(pool, 64);
    if (conf == NULL || p == NULL) {
        return NULL;
    }

    conf->credentials = ngx_kong_conf_flag(in, "credentials");
    conf->private_network = ngx_kong_conf_flag(in, "private_network");
    conf->preflight_continue = ngx_kong_conf_flag(in, "preflight_continue");

    if (ngx_kong_conf_get(in, "max_age") != NULL) {
        max_age = ngx_kong_conf_num(in, "max_age", 0);
        conf->max_age.data = p;
        conf->max_age.len = snprintf((char *) p, 64, "%.14g", max_age);
    }

    if (cors_join(in, pool, "headers", &conf->headers) != NGX_OK
        || cors_join(in, pool, "exposed_headers", &conf->exposed) != NGX_OK
        || cors_join(in, pool, "methods", &conf->methods) != NGX_OK
        || cors_prepare_origins(in, pool, conf) != NGX_OK)
    {
        return NULL;
    }

    if (ngx_kong_conf_get(in, "methods") == NULL) {
        ngx_str_set(&conf->methods,
                    "GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS,TRACE,CONNECT");
    }

    return conf;
}


static ngx_int_t
cors_prepare_origins(ngx_kong_instance_t *in, ngx_pool_t *pool,
    cors_conf_t *conf)
{
    ngx_str_t      *list;
    ngx_uint_t      i, n;
    cors_domain_t   d;
    cors_origin_t  *o;

    list = ngx_kong_conf_strs(in, "origins", pool, &n);

    if (n == 0 || (n == 1 && list[0].len == 1 && list[0].data[0] == '*')) {
        conf->all = 1;
        return NGX_OK;
    }

    if (list == NULL) {
        return NGX_ERROR;
    }

    if (n == 1 && cors_is_plain(&list[0])) {
        conf->single = list[0];
        return NGX_OK;
    }

    conf->origins = ngx_pcalloc(pool, n * sizeof(cors_origin_t));
    if (conf->origins == NULL) {
        return NGX_ERROR;
    }

    conf->n_origins = n;

    for (i = 0; i < n; i++) {
        o = &conf->origins[i];

        if (list[i].len == 1 && list[i].data[0] == '*') {
            conf->star = 1;
            continue;
        }

        if (cors_is_plain(&list[i])) {
            if (cors_normalize(pool, &list[i], &d) != NGX_OK) {
                return NGX_ERROR;
            }

            o->domain = d.domain;
            continue;
        }

        o->by_host = ngx_strlchr(list[i].data, list[i].data + list[i].len,
                                 ':')
                     == NULL;
        o->regex = ngx_kong_pattern(pool, &list[i], 1);

        if (o->regex == NULL) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
cors_join(ngx_kong_instance_t *in, ngx_pool_t *pool, const char *name,
    ngx_str_t *joined)
{
    u_char      *p;
    size_t       len;
    ngx_str_t   *list;
    ngx_uint_t   i, n;

    list = ngx_kong_conf_strs(in, name, pool, &n);

    for (i = 0, len = 0; i < n; i++) {
        len += list[i].len + 1;
    }

    if (len == 0) {
        return NGX_OK;
    }

    p = ngx_pnalloc(pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    joined->data = p;
    joined->len = len - 1;

    for (i = 0; i < n; i++) {
        p = ngx_cpymem(p, list[i].data, list[i].len);
        *p++ = ',';
    }

    return NGX_OK;
}


static ngx_int_t
cors_access(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    ngx_str_t    *origin;
    cors_conf_t  *conf;

    conf = run->instance->conf;
    origin = cors_header(r, "origin");

    if (r->method != NGX_HTTP_OPTIONS || origin == NULL || origin->len == 0
        || cors_header(r, "access-control-request-method") == NULL)
    {
        return NGX_OK;
    }

    /* the header filter has nothing to add */
    run->state = conf;

    return conf->preflight_continue ? NGX_OK
                                    : cors_preflight(r, conf, origin);
}


static ngx_int_t
cors_preflight(ngx_http_request_t *r, cors_conf_t *conf, ngx_str_t *origin)
{
    ngx_str_t  *headers, *private;

    if (cors_origin(r, conf, origin, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    headers = conf->headers.len ? &conf->headers
                           : cors_header(r, "access-control-request-headers");

    if (headers != NULL
        && cors_set(r, "Access-Control-Allow-Headers", headers) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (cors_set(r, "Access-Control-Allow-Methods", &conf->methods)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (conf->max_age.len
        && cors_set(r, "Access-Control-Max-Age", &conf->max_age) != NGX_OK)
    {
        return NGX_ERROR;
    }

    private = cors_header(r, "access-control-request-private-network");

    if (conf->private_network && private != NULL && private->len == 4
        && ngx_memcmp(private->data, "true", 4) == 0
        && cors_set(r, "Access-Control-Allow-Private-Network", &cors_true)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_kong_exit(r, NGX_HTTP_OK, NULL, NULL);
}


static ngx_int_t
cors_header_filter(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    cors_conf_t  *conf;

    if (run->state != NULL) {
        return NGX_OK;
    }

    conf = run->instance->conf;

    if (cors_origin(r, conf, cors_header(r, "origin"), 0) != NGX_OK) {
        return NGX_ERROR;
    }

    return conf->exposed.len
           ? cors_set(r, "Access-Control-Expose-Headers", &conf->exposed)
           : NGX_OK;
}


/* Allow-Origin, Allow-Credentials and Vary */
static ngx_int_t
cors_origin(ngx_http_request_t *r, cors_conf_t *conf, ngx_str_t *origin,
    ngx_uint_t preflight)
{
    ngx_str_t   allowed;
    ngx_uint_t  all, given;

    given = (origin != NULL && origin->len != 0);
    all = conf->all || (conf->star && given);

    if (!conf->all && cors_vary(r, preflight) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_str_null(&allowed);

    if (all) {
        allowed = cors_star;

    } else if (conf->single.len) {
        allowed = conf->single;

    } else if (given && cors_match(r, conf, origin, &allowed) == NGX_ERROR) {
        return NGX_ERROR;
    }

    /* "*" and credentials exclude each other */

    if (all && conf->credentials && given) {
        allowed = *origin;

        if (cors_vary(r, preflight) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    ngx_kong_header_out_clear(r, "access-control-allow-origin",
                              sizeof("access-control-allow-origin") - 1);

    if (allowed.len
        && cors_set(r, "Access-Control-Allow-Origin", &allowed) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (conf->credentials && (!all || given)) {
        return cors_set(r, "Access-Control-Allow-Credentials", &cors_true);
    }

    return NGX_OK;
}


/* NGX_OK with the origin to allow, NGX_DECLINED */
static ngx_int_t
cors_match(ngx_http_request_t *r, cors_conf_t *conf, ngx_str_t *origin,
    ngx_str_t *allowed)
{
    ngx_uint_t      i;
    cors_domain_t   d;
    cors_origin_t  *o;

    if (cors_normalize(r->pool, origin, &d) != NGX_OK) {
        return NGX_ERROR;
    }

    for (i = 0; i < conf->n_origins; i++) {
        o = &conf->origins[i];

        if (o->regex != NULL) {
            if (!ngx_kong_pattern_match(o->regex,
                                        o->by_host ? &d.host : &d.domain,
                                        r->connection->log))
            {
                continue;
            }

        } else if (o->domain.len != d.domain.len
                   || ngx_memcmp(o->domain.data, d.domain.data, d.domain.len)
                      != 0)
        {
            continue;
        }

        *allowed = d.domain;

        return NGX_OK;
    }

    return NGX_DECLINED;
}


/* without path, user and the scheme's own port; what is no URL stays */
static ngx_int_t
cors_normalize(ngx_pool_t *pool, ngx_str_t *origin, cors_domain_t *d)
{
    u_char     *p, *last, *end, *host, *port, *dst;
    ngx_str_t   scheme;

    d->domain = *origin;
    d->host = *origin;

    last = origin->data + origin->len;
    p = cors_scheme(origin->data, last);

    scheme.data = origin->data;
    scheme.len = (p == origin->data) ? 0 : (size_t) (p - origin->data - 1);

    if (last - p < 2 || p[0] != '/' || p[1] != '/') {
        return NGX_OK;
    }

    p += 2;

    for (end = p; end < last; end++) {
        if (*end == '/' || *end == '?' || *end == '#') {
            break;
        }
    }

    host = ngx_strlchr(p, end, '@');
    host = host ? host + 1 : p;

    port = cors_port(host, end);
    d->host.data = host;
    d->host.len = (port ? port : end) - host;

    if (d->host.len == 0) {
        d->host = *origin;
        return NGX_OK;
    }

    if (port != NULL
        && (port + 1 == end
            || (scheme.len == 4 && end - port == 3
                && ngx_memcmp(scheme.data, "http", 4) == 0
                && ngx_memcmp(port, ":80", 3) == 0)
            || (scheme.len == 5 && end - port == 4
                && ngx_memcmp(scheme.data, "https", 5) == 0
                && ngx_memcmp(port, ":443", 4) == 0)))
    {
        end = port;
    }

    dst = ngx_pnalloc(pool, scheme.len + 3 + (end - host));
    if (dst == NULL) {
        return NGX_ERROR;
    }

    d->domain.data = dst;

    if (scheme.len) {
        dst = ngx_cpymem(dst, scheme.data, scheme.len);
        dst = ngx_cpymem(dst, "://", 3);
    }

    dst = ngx_cpymem(dst, host, end - host);
    d->domain.len = dst - d->domain.data;

    return NGX_OK;
}


/* behind the scheme's colon, or where it began */
static u_char *
cors_scheme(u_char *start, u_char *last)
{
    u_char  *p;

    for (p = start; p < last; p++) {
        if ((*p >= '0' && *p <= '9') || ((*p | 0x20) >= 'a'
                                         && (*p | 0x20) <= 'z'))
        {
            continue;
        }

        if (p == start || (*p != '+' && *p != '-' && *p != '.')) {
            break;
        }
    }

    return (p > start && p < last && *p == ':') ? p + 1 : start;
}


/* the colon of the port, if there is one */
static u_char *
cors_port(u_char *host, u_char *last)
{
    u_char  *p;

    for (p = last; p > host; p--) {
        if (p[-1] == ']') {
            return NULL;
        }

        if (p[-1] == ':') {
            return p - 1;
        }
    }

    return NULL;
}


static ngx_uint_t
cors_is_plain(ngx_str_t *origin)
{
    size_t  i;
    u_char  ch;

    for (i = 0; i < origin->len; i++) {
        ch = origin->data[i];

        if (!(ch >= '0' && ch <= '9')
            && !((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z')
            && ch != '.' && ch != ':' && ch != '/' && ch != '-')
        {
            return 0;
        }
    }

    return origin->len != 0;
}


/* a proxied answer may have one of its own */
static ngx_int_t
cors_vary(ngx_http_request_t *r, ngx_uint_t preflight)
{
    static ngx_str_t  name = ngx_string("Vary");
    static ngx_str_t  value = ngx_string("Origin");

    return preflight ? ngx_kong_header_out_set(r, &name, &value)
                     : ngx_kong_header_out_add(r, &name, &value);
}


static ngx_int_t
cors_set(ngx_http_request_t *r, const char *name, ngx_str_t *value)
{
    ngx_str_t  header;

    header.data = (u_char *) name;
    header.len = ngx_strlen(name);

    return ngx_kong_header_out_set(r, &header, value);
}


static ngx_str_t *
cors_header(ngx_http_request_t *r, const char *lower)
{
    ngx_table_elt_t  *h;

    h = ngx_kong_header_in(r, lower, ngx_strlen(lower));

    return h ? &h->value : NULL;
}
