/*
 * config.custom_fields_by_lua of the plugins that write log records: each is
 * a path of names and a piece of Lua, whose result goes there.  They run in
 * the templates' sandbox (ngx_kong_lua.h), with what of Kong's functions
 * reads a request that is over.
 */

#ifndef NGX_KONG_LOG_CUSTOM_H
#define NGX_KONG_LOG_CUSTOM_H

#include "ngx_kong_plugin.h"


typedef struct ngx_kong_log_custom_s  ngx_kong_log_custom_t;


/* for prepare(): *custom is NULL when there are none */
ngx_int_t ngx_kong_log_custom(ngx_kong_instance_t *in, ngx_pool_t *pool,
    ngx_kong_log_custom_t **custom);
/* their results go into the record, of this plugin and of those after it */
void ngx_kong_log_custom_run(ngx_http_request_t *r,
    ngx_kong_log_custom_t *custom);
/* the record with what has been set */
ngx_int_t ngx_kong_log_custom_apply(ngx_http_request_t *r,
    ngx_str_t *record);

#endif
