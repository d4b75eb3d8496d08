/*
 * generation: read your writes.
 */

#ifndef KONG_ADMIN_GENERATION_H
#define KONG_ADMIN_GENERATION_H

#include "router.h"


typedef struct waits_s  waits_t;


waits_t *waits_new(struct event_base *base, const admin_host_t *host);
/* answers those that wait */
void waits_free(waits_t *w);
/* 1: the answer is sent later; 0: at once, its generation known or not */
int waits_hold(waits_t *w, admin_request_t *r);
/* something new is served, or the number of the next is known */
void waits_check(waits_t *w);

#endif
