/*
 * cache: /proxy-cache, which nginx's workers answer, since only they know
 * what they keep.  Here it is seen to that the caller may; then nginx goes on
 * with the location that has `kong_cache_admin`.
 */

#include "router.h"


#define CACHE_LOCATION  "@kong_cache"


/* /proxy-cache[/{key}], /proxy-cache/{plugin}/caches/{key} */
void
cache_handle(admin_request_t *r)
{
    (void) evhttp_add_header(evhttp_request_get_output_headers(r->req),
                             "X-Accel-Redirect", CACHE_LOCATION);
    admin_empty(r, 200);
}
