/*
 * The directives of the upstream block with `kong_balancer`, and the two
 * moments of nginx's start at which the block is handed over.  What happens
 * to requests is in ngx_http_kong_balancer.c.
 */

#include "ngx_http_kong_peer.h"


#define NGX_HTTP_KONG_KEEPALIVE_REQUESTS  10000
#define NGX_HTTP_KONG_KEEPALIVE_TIMEOUT   60000

/* of the requests under way in a worker; a few are always allowed */
#define NGX_HTTP_KONG_RETRY_SHARE         20
#define NGX_HTTP_KONG_RETRY_MIN           16


static ngx_int_t ngx_http_kong_balancer_init_upstream(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *uscf);


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
    conf->certificates = NGX_CONF_UNSET;
    conf->retry_share = NGX_HTTP_KONG_RETRY_SHARE;
    conf->retry_min = NGX_HTTP_KONG_RETRY_MIN;

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


/* kong_panic percent; kong_retry_budget percent [number] */

char *
ngx_http_kong_percent(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_kong_srv_conf_t  *kscf = conf;

    ngx_int_t    n;
    ngx_str_t   *value;
    ngx_uint_t  *field;

    value = cf->args->elts;

    n = ngx_atoi(value[1].data, value[1].len);

    if (n == NGX_ERROR || n > 100) {
        return "needs a number from 0 to 100";
    }

    field = (ngx_uint_t *) ((u_char *) conf + cmd->offset);
    *field = n;

    if (cf->args->nelts == 3) {
        n = ngx_atoi(value[2].data, value[2].len);

        if (n == NGX_ERROR) {
            return "needs a number of requests";
        }

        kscf->retry_min = n;
    }

    return NGX_CONF_OK;
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
    ngx_http_kong_main_conf_t       *mcf;
    ngx_http_upstream_main_conf_t   *umcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_kong_module);
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
            mcf->balancer = kscf;
        }
    }

    return NGX_OK;
}
