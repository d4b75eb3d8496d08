/*
 * What the files of upstream/ share: a service's upstream configuration, TLS
 * settings and the pools of connections.  All of it belongs to one worker;
 * nothing is locked.
 */

#ifndef NGX_HTTP_KONG_UPSTREAM_H
#define NGX_HTTP_KONG_UPSTREAM_H

#include "ngx_http_kong.h"
#include "tls/ngx_kong_tls.h"


/* "[" IPv6 "]:65535" */
#define NGX_HTTP_KONG_NAME_LEN  (NGX_INET6_ADDRSTRLEN + sizeof("[]:65535"))

typedef struct ngx_http_kong_rt_s    ngx_http_kong_rt_t;
typedef struct ngx_http_kong_tls_s   ngx_http_kong_tls_t;
typedef struct ngx_http_kong_pool_s  ngx_http_kong_pool_t;

/*
 * The upstream configuration of all services of one config segment that have
 * the same timeouts and TLS settings.  Allocated in the map's pool.
 */
struct ngx_http_kong_rt_s {
    ngx_http_upstream_conf_t    conf;
    ngx_http_upstream_conf_t   *base;    /* the location's */
    ngx_http_kong_rt_t         *next;    /* in the bucket */
    uint64_t                    hash;
    uint64_t                    tls;     /* settings' id; 0: no TLS */
};

/*
 * Two requests may share a connection when this and the server name are
 * equal.  Compared and hashed as bytes: no padding may be left unset.
 */
typedef struct {
    u_char                      addr[16];
    uint64_t                    tls;
    uint16_t                    port;
    uint16_t                    ipv6;
    uint32_t                    reserved;
} ngx_http_kong_pool_key_t;

struct ngx_http_kong_pool_s {
    ngx_http_kong_pool_t       *next;    /* in the bucket */
    uint64_t                    hash;
    ngx_http_kong_pool_key_t    key;
    ngx_queue_t                 idle;    /* the last used first */
    ngx_queue_t                 unused;  /* while without refs and idle */
    ngx_uint_t                  n_idle;
    ngx_uint_t                  refs;    /* requests under way */

    union {
        struct sockaddr         sockaddr;
        struct sockaddr_in      sin;
#if (NGX_HAVE_INET6)
        struct sockaddr_in6     sin6;
#endif
    } u;
    socklen_t                   socklen;
    ngx_str_t                   name;    /* points to text */
    u_char                      text[NGX_HTTP_KONG_NAME_LEN];
#if (NGX_HTTP_SSL)
    ngx_ssl_session_t          *session;
#endif
    size_t                      sni_len;
    u_char                      sni[1];
};


/* ngx_http_kong_conf.c */

/* the request's service's configuration, made on first use */
ngx_http_kong_rt_t *ngx_http_kong_rt_get(ngx_http_request_t *r,
    ngx_http_kong_ctx_t *ctx);


/* ngx_http_kong_ssl.c */

#if (NGX_HTTP_SSL)

/* what makes one SSL_CTX differ from another; the hashes of the segment are
 * longer */
typedef struct {
    u_char                      certificate[16]; /* zeros: none of its own */
    u_char                      ca[16];          /* zeros: the default ones */
    uint32_t                    verify;
    uint32_t                    depth;
    uint32_t                    client;          /* the default certificate */
    uint32_t                    reserved;
} ngx_http_kong_tls_settings_t;

/* a service's settings, and where what they name is; members may be NULL */
typedef struct {
    ngx_http_kong_tls_settings_t   settings;
    const kong_segment_t          *seg;
    const kong_certificate_t      *certificate;
    const kong_trust_t            *trust;
} ngx_http_kong_tls_source_t;

void ngx_http_kong_tls_service(ngx_http_request_t *r,
    const kong_segment_t *seg, const kong_service_t *service,
    ngx_http_kong_tls_source_t *source);
/* of what is no service: the default authorities, and no certificate */
void ngx_http_kong_tls_default(ngx_http_kong_tls_source_t *source,
    ngx_uint_t verify);
uint64_t ngx_http_kong_tls_id(const ngx_http_kong_tls_settings_t *settings);
/*
 * A reference that the cleanup of `pool` gives back; NULL when a context
 * could not be made (logged).
 */
ngx_ssl_t *ngx_http_kong_tls_get(const ngx_http_kong_tls_source_t *source,
    ngx_pool_t *pool, ngx_log_t *log);
/* contexts that nobody uses go when this generation does not have their
 * certificates; it has to stay until the next call */
void ngx_http_kong_tls_adopt(const kong_segment_t *seg);

#endif


/* ngx_http_kong_keepalive.c */

/* with a reference; NULL when out of memory.  `sni` is copied */
ngx_http_kong_pool_t *ngx_http_kong_pool_get(
    const ngx_http_kong_pool_key_t *key, const ngx_str_t *sni);
void ngx_http_kong_pool_put(ngx_http_kong_pool_t *pool);
/*
 * An idle connection, or NULL.  With a timeout its read timer goes on with
 * that one, otherwise it is stopped.
 */
ngx_connection_t *ngx_http_kong_pool_pop(ngx_http_kong_pool_t *pool,
    ngx_msec_t timeout, ngx_log_t *log);
/* keeps c when it can be used again; NGX_DECLINED: the caller closes it */
ngx_int_t ngx_http_kong_pool_push(ngx_http_kong_pool_t *pool,
    ngx_connection_t *c, ngx_http_upstream_t *u,
    ngx_http_kong_srv_conf_t *conf);

#endif
