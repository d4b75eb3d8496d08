/*
 * Every plugin that the module has; a test holds the names against the
 * daemon's schemas.  The order here means nothing: priorities are the
 * compiler's.
 */

#include "ngx_kong_plugin.h"


extern const ngx_kong_plugin_t  ngx_kong_acl;
extern const ngx_kong_plugin_t  ngx_kong_basic_auth;
extern const ngx_kong_plugin_t  ngx_kong_hmac_auth;
extern const ngx_kong_plugin_t  ngx_kong_jwt;
extern const ngx_kong_plugin_t  ngx_kong_key_auth;


const ngx_kong_plugin_t *const  ngx_kong_plugins[] = {
    &ngx_kong_acl,
    &ngx_kong_basic_auth,
    &ngx_kong_hmac_auth,
    &ngx_kong_jwt,
    &ngx_kong_key_auth,
    NULL
};
