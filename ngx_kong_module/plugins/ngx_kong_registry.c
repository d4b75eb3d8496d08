/*
 * Every plugin that the module has; a test holds the names against the
 * daemon's schemas.  The order here means nothing: priorities are the
 * compiler's.
 */

#include "ngx_kong_plugin.h"


extern const ngx_kong_plugin_t  ngx_kong_key_auth;


const ngx_kong_plugin_t *const  ngx_kong_plugins[] = {
    &ngx_kong_key_auth,
    NULL
};
