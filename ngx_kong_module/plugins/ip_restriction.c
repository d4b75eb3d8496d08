/*
 * ip-restriction: who may pass, by address.  The denied are refused first;
 * then, with a list of allowed ones, everybody else.  Both lists are radix
 * trees, so their length costs nothing.
 */

#include "ngx_kong_plugin.h"


#define IP_RESTRICTION_UNIX                                                   \
    "Cannot identify the client IP address, unix domain sockets are not "     \
    "supported."


typedef struct {
    ngx_radix_tree_t    *tree4;
    ngx_radix_tree_t    *tree6;
    ngx_uint_t           n;
} ip_restriction_list_t;

typedef struct {
    ip_restriction_list_t  allow;
    ip_restriction_list_t  deny;
    ngx_uint_t             status;
    const char            *message;      /* NULL: names the address */
} ip_restriction_conf_t;


static void *ip_restriction_prepare(ngx_kong_instance_t *in,
    ngx_pool_t *pool);
static ngx_int_t ip_restriction_list(ngx_kong_instance_t *in,
    const char *name, ngx_pool_t *pool, ip_restriction_list_t *list);
static ngx_int_t ip_restriction_insert(ip_restriction_list_t *list,
    ngx_cidr_t *cidr);
#if (NGX_HAVE_INET6)
static ngx_int_t ip_restriction_mapped(ip_restriction_list_t *list,
    ngx_cidr_t *cidr);
#endif
static ngx_int_t ip_restriction_access(ngx_http_request_t *r,
    ngx_kong_run_t *run);
static ngx_uint_t ip_restriction_has(ip_restriction_list_t *list,
    struct sockaddr *sa);
static ngx_int_t ip_restriction_refuse(ngx_http_request_t *r,
    ip_restriction_conf_t *conf);


const ngx_kong_plugin_t  ngx_kong_ip_restriction = {
    .name = ngx_string("ip-restriction"),
    .prepare = ip_restriction_prepare,
    .access = ip_restriction_access
};


static void *
ip_restriction_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool)
{
    double                  status;
    ngx_str_t               message;
    ip_restriction_conf_t  *conf;

    conf = ngx_pcalloc(pool, sizeof(ip_restriction_conf_t));

    if (conf == NULL
        || ip_restriction_list(in, "allow", pool, &conf->allow) != NGX_OK
        || ip_restriction_list(in, "deny", pool, &conf->deny) != NGX_OK)
    {
        return NULL;
    }

    status = ngx_kong_conf_num(in, "status", NGX_HTTP_FORBIDDEN);

    /* no range is set by the schema */
    conf->status = (status >= 200 && status < 600) ? (ngx_uint_t) status
                                                   : NGX_HTTP_FORBIDDEN;

    /* strings of a segment end in a NUL */
    message = ngx_kong_conf_str(in, "message");
    conf->message = (const char *) message.data;

    return conf;
}


static ngx_int_t
ip_restriction_list(ngx_kong_instance_t *in, const char *name,
    ngx_pool_t *pool, ip_restriction_list_t *list)
{
    ngx_str_t   *strs;
    ngx_uint_t   i;
    ngx_cidr_t   cidr;

    strs = ngx_kong_conf_strs(in, name, pool, &list->n);

    if (list->n == 0) {
        return NGX_OK;
    }

    list->tree4 = ngx_radix_tree_create(pool, 0);
    list->tree6 = ngx_radix_tree_create(pool, 0);

    if (strs == NULL || list->tree4 == NULL || list->tree6 == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < list->n; i++) {

        ngx_memzero(&cidr, sizeof(ngx_cidr_t));

        if (ngx_ptocidr(&strs[i], &cidr) == NGX_ERROR) {
            ngx_log_error(NGX_LOG_ERR, pool->log, 0,
                          "ip-restriction: \"%V\" is no address or range",
                          &strs[i]);
            return NGX_ERROR;
        }

        if (ip_restriction_insert(list, &cidr) == NGX_ERROR) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ip_restriction_insert(ip_restriction_list_t *list, ngx_cidr_t *cidr)
{
    if (cidr->family == AF_INET) {
        return ngx_radix32tree_insert(list->tree4,
                                      ntohl(cidr->u.in.addr),
                                      ntohl(cidr->u.in.mask), 1);
    }

#if (NGX_HAVE_INET6)
    if (ip_restriction_mapped(list, cidr) == NGX_ERROR) {
        return NGX_ERROR;
    }

    return ngx_radix128tree_insert(list->tree6, cidr->u.in6.addr.s6_addr,
                                   cidr->u.in6.mask.s6_addr, 1);
#else
    return NGX_OK;
#endif
}


#if (NGX_HAVE_INET6)


/* a range of IPv4 addresses in their IPv6 form is one of IPv4 clients, too */
static ngx_int_t
ip_restriction_mapped(ip_restriction_list_t *list, ngx_cidr_t *cidr)
{
    u_char    *p, *m;
    uint32_t   addr, mask;

    p = cidr->u.in6.addr.s6_addr;
    m = cidr->u.in6.mask.s6_addr;

    if (!IN6_IS_ADDR_V4MAPPED(&cidr->u.in6.addr) || m[11] != 0xff) {
        return NGX_OK;
    }

    addr = (uint32_t) p[12] << 24 | p[13] << 16 | p[14] << 8 | p[15];
    mask = (uint32_t) m[12] << 24 | m[13] << 16 | m[14] << 8 | m[15];

    return ngx_radix32tree_insert(list->tree4, addr, mask, 1);
}


#endif


static ngx_int_t
ip_restriction_access(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    struct sockaddr        *sa;
    ip_restriction_conf_t  *conf;

    conf = run->instance->conf;
    sa = r->connection->sockaddr;

    if (sa->sa_family != AF_INET && sa->sa_family != AF_INET6) {
        return ngx_kong_exit_error(r, NGX_HTTP_FORBIDDEN,
                                   IP_RESTRICTION_UNIX);
    }

    if (conf->deny.n != 0 && ip_restriction_has(&conf->deny, sa)) {
        return ip_restriction_refuse(r, conf);
    }

    if (conf->allow.n != 0 && !ip_restriction_has(&conf->allow, sa)) {
        return ip_restriction_refuse(r, conf);
    }

    return NGX_OK;
}


/* an IPv4 client of an IPv6 socket is found in both forms */
static ngx_uint_t
ip_restriction_has(ip_restriction_list_t *list, struct sockaddr *sa)
{
    in_addr_t             addr;
#if (NGX_HAVE_INET6)
    u_char               *p;
    struct in6_addr      *in6;
#endif

#if (NGX_HAVE_INET6)
    if (sa->sa_family == AF_INET6) {
        in6 = &((struct sockaddr_in6 *) sa)->sin6_addr;
        p = in6->s6_addr;

        if (ngx_radix128tree_find(list->tree6, p) != NGX_RADIX_NO_VALUE) {
            return 1;
        }

        if (!IN6_IS_ADDR_V4MAPPED(in6)) {
            return 0;
        }

        addr = (in_addr_t) p[12] << 24 | p[13] << 16 | p[14] << 8 | p[15];

    } else
#endif
    {
        addr = ntohl(((struct sockaddr_in *) sa)->sin_addr.s_addr);
    }

    return ngx_radix32tree_find(list->tree4, addr) != NGX_RADIX_NO_VALUE;
}


static ngx_int_t
ip_restriction_refuse(ngx_http_request_t *r, ip_restriction_conf_t *conf)
{
    size_t       len;
    u_char      *text;
    const char  *message;

    message = conf->message;

    if (message == NULL) {
        len = sizeof("IP address not allowed: ")
              + r->connection->addr_text.len;

        text = ngx_pnalloc(r->pool, len);
        if (text == NULL) {
            return NGX_ERROR;
        }

        ngx_sprintf(text, "IP address not allowed: %V%Z",
                    &r->connection->addr_text);
        message = (const char *) text;
    }

    return ngx_kong_exit_error(r, conf->status, message);
}
