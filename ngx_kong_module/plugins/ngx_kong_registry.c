/*
 * Every plugin that the module has; a test holds the names against the
 * daemon's schemas.  The order here means nothing: priorities are the
 * compiler's.
 */

#include "ngx_kong_plugin.h"


const ngx_kong_plugin_t *const  ngx_kong_plugins[] = {
    NULL
};
