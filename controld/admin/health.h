/*
 * health: the health of targets, as nginx's zone has it.
 */

#ifndef KONG_ADMIN_HEALTH_H
#define KONG_ADMIN_HEALTH_H

#include "router.h"


/* completes what the handler of targets has found: router.h, `then` */
void health_show(admin_request_t *r);
void health_set(admin_request_t *r);

#endif
