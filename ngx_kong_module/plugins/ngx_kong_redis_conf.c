/*
 * config.redis of a plugin, as the client wants it.  The deprecated flat
 * names are mapped onto these by the schema, before they are compiled.
 */

#include "ngx_kong_redis.h"
#include "../upstream/ngx_http_kong_upstream.h"

#include <openssl/evp.h>


#define NGX_KONG_REDIS_PORT      6379
#define NGX_KONG_REDIS_TIMEOUT   2000
#define NGX_KONG_REDIS_TIME_MAX  2147483646.0


static ngx_int_t ngx_kong_redis_tls(ngx_kong_instance_t *in,
    ngx_kong_redis_server_t *server, ngx_pool_t *pool);
static ngx_int_t ngx_kong_redis_key(ngx_kong_redis_server_t *server,
    ngx_pool_t *pool);
static u_char *ngx_kong_redis_part(u_char *p, const ngx_str_t *s);


ngx_int_t
ngx_kong_redis_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool,
    ngx_kong_redis_server_t *server)
{
    double  timeout;

    timeout = ngx_kong_conf_num(in, "redis.timeout", NGX_KONG_REDIS_TIMEOUT);

    /* 0 is no time to connect: the least that a timer has */
    server->timeout = (timeout >= 1)
                      ? (ngx_msec_t) ngx_min(timeout, NGX_KONG_REDIS_TIME_MAX)
                      : 1;

    server->port = (in_port_t) ngx_kong_conf_num(in, "redis.port",
                                                 NGX_KONG_REDIS_PORT);
    server->database = (ngx_int_t) ngx_kong_conf_num(in, "redis.database", 0);
    server->username = ngx_kong_conf_str(in, "redis.username");
    server->password = ngx_kong_conf_str(in, "redis.password");
    server->verify = ngx_kong_conf_flag(in, "redis.ssl_verify");

    if (ngx_kong_peer_host(&server->host, pool,
                           ngx_kong_conf_str(in, "redis.host"))
        != NGX_OK
        || (ngx_kong_conf_flag(in, "redis.ssl")
            && ngx_kong_redis_tls(in, server, pool) != NGX_OK))
    {
        return NGX_ERROR;
    }

    return ngx_kong_redis_key(server, pool);
}


/* the certificate must be of server_name, or else of the host */
static ngx_int_t
ngx_kong_redis_tls(ngx_kong_instance_t *in, ngx_kong_redis_server_t *server,
    ngx_pool_t *pool)
{
#if (NGX_HTTP_SSL)
    ngx_str_t                   name;
    ngx_http_kong_tls_source_t  source;

    name = ngx_kong_conf_str(in, "redis.server_name");

    if (name.len != 0) {
        server->sni.data = ngx_pnalloc(pool, name.len + 1);
        if (server->sni.data == NULL) {
            return NGX_ERROR;
        }

        server->sni.len = name.len;
        ngx_strlow(server->sni.data, name.data, name.len);
        server->sni.data[name.len] = '\0';

    } else if (!server->host.is_address) {
        server->sni = server->host.name;
    }

    server->verified = name.len ? server->sni : server->host.name;

    ngx_http_kong_tls_default(&source, server->verify);
    server->ssl = ngx_http_kong_tls_get(&source, pool, ngx_cycle->log);

    return server->ssl != NULL ? NGX_OK : NGX_ERROR;
#else
    (void) server;
    (void) pool;

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "plugin \"%V\": this nginx has no TLS", &in->plugin->name);
    return NGX_ERROR;
#endif
}


/* of all that a connection may be shared by */
static ngx_int_t
ngx_kong_redis_key(ngx_kong_redis_server_t *server, ngx_pool_t *pool)
{
    u_char      *p, *text;
    ngx_uint_t   tls;

    tls = 0;

#if (NGX_HTTP_SSL)
    tls = (server->ssl != NULL) | server->verify << 1;
#endif

    text = ngx_pnalloc(pool, server->host.name.len + server->sni.len
                             + server->username.len + server->password.len
                             + 8 * (NGX_INT_T_LEN + 1));
    if (text == NULL) {
        return NGX_ERROR;
    }

    p = ngx_sprintf(text, "%ui:%i:%ui:", (ngx_uint_t) server->port,
                    server->database, tls);
    p = ngx_kong_redis_part(p, &server->host.name);
    p = ngx_kong_redis_part(p, &server->sni);
    p = ngx_kong_redis_part(p, &server->username);
    p = ngx_kong_redis_part(p, &server->password);

    return EVP_Digest(text, p - text, server->key, NULL, EVP_sha256(), NULL)
           == 1 ? NGX_OK : NGX_ERROR;
}


static u_char *
ngx_kong_redis_part(u_char *p, const ngx_str_t *s)
{
    p = ngx_sprintf(p, "%uz:", s->len);

    return s->len ? ngx_cpymem(p, s->data, s->len) : p;
}
