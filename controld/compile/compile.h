/*
 * compile: config_t -> config segment; resolved names -> endpoints segment.
 * Whatever could fail at request time fails here, before anything is
 * published.  Linear in the number of entities.
 */

#ifndef KONG_COMPILE_H
#define KONG_COMPILE_H

#include "../model/config.h"
#include "../../ngx_kong_module/snapshot/kong_segment.h"


/* the bytes of a finished file (a whole segment, or the pages of one that a
 * change touches) in malloc'ed memory, of one owner or, once it is shared, of
 * several, in any thread */
typedef struct {
    uint8_t   *data;
    size_t     size;
    unsigned  *refs;                 /* NULL: one owner */
} segment_buf_t;

/* what a compiled configuration leaves for the next one */
typedef struct compile_state_s  compile_state_t;

/*
 * Something that is left out while the rest is published: set aside by the
 * source (it does not validate) or by the compiler.  A plugin of that kind
 * closes the routes in its scope, unless it only observes.
 */
typedef struct {
    const char     *entity;          /* "plugins" */
    const value_t  *row;             /* as far as it could be read */
    const char     *reason;          /* a sentence without the name */
} compile_aside_t;

typedef struct {
    uint32_t     generation;
    uint64_t     created;            /* ms */
    const char  *router_flavor;

    /* a configuration that was compiled before, if it is still there, and
     * what that left: only what differs is compiled, once: what it left is
     * used up.  `state` receives the same of this one (NULL: not wanted, then
     * all is compiled); *state is NULL where changes have to be compiled
     * whole */
    const config_t         *before;
    compile_state_t        *before_state;
    compile_state_t       **state;

    /* the database's way: what cannot be compiled is set aside, not refused.
     * `broken` are what the source has set aside already; `aside` receives
     * both, from the arena */
    unsigned                set_aside;
    const compile_aside_t  *broken;
    size_t                  n_broken;
    compile_aside_t       **aside;
    size_t                 *n_aside;
} compile_opts_t;

typedef struct {
    const char   *name;              /* host name */
    size_t        len;
    uint32_t      error;             /* KONG_ENDPOINT_* when n is 0 */
    const kong_address_t *addresses; /* id may be 0: computed */
    size_t        n;
    const char   *names;             /* at `host` of an address of an SRV
                                        record: its target; may be NULL */
} compile_endpoint_t;


/*
 * 0, or -1 with *err (a sentence that names the entity, from `a`).  A plugin
 * that is enabled but has no code in the module is refused here.
 */
int compile_config(arena_t *a, const config_t *c, const compile_opts_t *opts,
    segment_buf_t *out, const char **err);
/* `c` has the upstreams and their targets, `endpoints` the answers to all
 * names in it; NULL: names only */
int compile_endpoints(arena_t *a, const config_t *c,
    const compile_endpoint_t *endpoints, size_t n,
    const compile_opts_t *opts, segment_buf_t *out, const char **err);
/* of all that upstreams and targets put into the segment */
uint64_t compile_upstreams_sum(const config_t *c);
/* "plugin 'key-auth' (id ...)" */
const char *compile_aside_name(arena_t *a, const compile_aside_t *aside);
/* what has changed was compiled alone */
unsigned compile_changed(const compile_state_t *state);
void compile_state_free(compile_state_t *state);       /* NULL is fine */
void segment_buf_release(segment_buf_t *buf);          /* the same */
/* is it a file of pages? */
unsigned segment_buf_is_pages(const segment_buf_t *buf);
/* the source's hash becomes another one, before anybody else has the bytes;
 * `state` is what the compilation left, or NULL */
void segment_buf_hash(segment_buf_t *buf, compile_state_t *state,
    const char *hash);
/* another owner of the same bytes.  0, or -1: out of memory */
int segment_buf_share(segment_buf_t *buf, segment_buf_t *other);

#endif
