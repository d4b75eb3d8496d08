/*
 * compile: config_t -> config segment; resolved names -> endpoints segment.
 * Whatever could fail at request time fails here, before anything is
 * published.  Linear in the number of entities.
 */

#ifndef KONG_COMPILE_H
#define KONG_COMPILE_H

#include "../model/config.h"
#include "../../ngx_kong_module/snapshot/kong_segment.h"


/* a finished segment in malloc'ed memory */
typedef struct {
    uint8_t  *data;
    size_t    size;
} segment_buf_t;

typedef struct {
    uint32_t     generation;
    uint64_t     created;            /* ms */
    const char  *router_flavor;
} compile_opts_t;

typedef struct {
    const char   *name;              /* host name or upstream id */
    size_t        len;
    uint32_t      error;             /* KONG_ENDPOINT_* when n is 0 */
    const kong_address_t *addresses; /* id may be 0: computed */
    size_t        n;
} compile_endpoint_t;


/*
 * 0, or -1 with *err (a sentence that names the entity, from `a`).  A plugin
 * that is enabled but has no code in the module is refused here.
 */
int compile_config(arena_t *a, const config_t *c, const compile_opts_t *opts,
    segment_buf_t *out, const char **err);
int compile_endpoints(arena_t *a, const compile_endpoint_t *endpoints,
    size_t n, const compile_opts_t *opts, segment_buf_t *out,
    const char **err);
void segment_buf_release(segment_buf_t *buf);

#endif
