/*
 * upstream_checks: an upstream's `healthchecks` -> the section HEALTH.  Most
 * upstreams have the same ones: equal records are written once.
 */

#ifndef KONG_COMPILE_UPSTREAM_CHECKS_H
#define KONG_COMPILE_UPSTREAM_CHECKS_H

#include "writer.h"
#include "../model/value.h"
#include "../../ngx_kong_module/snapshot/kong_balancer.h"


typedef struct {
    kong_health_t  *records;
    size_t          n;
    uint32_t       *table;           /* index + 1, by hash */
    size_t          size;
} checks_t;


/* for at most n upstreams */
void checks_init(checks_t *c, arena_t *a, size_t n);
/* the index of the record, KONG_NONE when the checks are off */
uint32_t checks_add(checks_t *c, const value_t *healthchecks);
/* Kong's condition */
unsigned checks_on(const value_t *healthchecks);
void checks_write(checks_t *c, writer_t *w);

#endif
