/*
 * debug: the node's log level, changed for a while.
 */

#ifndef KONG_ADMIN_DEBUG_H
#define KONG_ADMIN_DEBUG_H

#include "router.h"


debug_t *debug_new(struct event_base *base, const admin_host_t *host);
void debug_free(debug_t *d);                     /* NULL is fine */

#endif
