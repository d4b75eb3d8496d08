/*
 * router: the one table of Admin API routes: those with a handler of their
 * own and those that the entity schemas imply.
 */

#ifndef KONG_ADMIN_ROUTER_H
#define KONG_ADMIN_ROUTER_H

#include "http.h"


#define ROUTER_YAML  0x1         /* takes YAML bodies too */


/* kinds of entity routes, as their paths look */
typedef enum {
    ROUTER_OTHER = 0,
    ROUTER_LIST,                 /* /E */
    ROUTER_ONE,                  /* /E/K */
    ROUTER_CHILDREN,             /* /P/K/E */
    ROUTER_CHILD,                /* /P/K/E/K2 */
    ROUTER_PARENT                /* /E/K/<foreign field> */
} router_kind_t;

struct admin_route_s {
    const char       *pattern;   /* "/services/{services}/routes" */
    unsigned          methods;   /* without HEAD and OPTIONS */
    admin_handler_pt  handler;   /* NULL: in the database mode only */
    admin_database_pt database;  /* instead, in the database mode */
    admin_handler_pt  then;      /* in the loop: completes the good answer of
                                    a GET of the same kind, r->held */
    unsigned          flags;

    router_kind_t     kind;
    const schema_t   *schema;    /* the entity that the answer shows */
    const schema_t   *parent;    /* the one before it in the path */
    const field_t    *foreign;   /* the field between the two */
};

typedef struct router_s  router_t;


router_t *router_new(void);                    /* never NULL */
void router_free(router_t *rt);
const admin_route_t *router_find(const router_t *rt,
    const admin_str_t *segments, size_t n);
/* "GET, HEAD, OPTIONS, POST" */
const char *router_allow(arena_t *a, const admin_route_t *route);
/* every route, in the order of the table */
void router_each(const router_t *rt,
    void (*each)(void *data, const admin_route_t *route), void *data);
/* all patterns, sorted by segment, as GET /endpoints shows them */
void router_list(arena_t *a, const router_t *rt, value_t *out);

/* node.c */
const char *node_id(admin_request_t *r);
void node_string(admin_request_t *r, value_t *o, const char *name,
    const char *text);

/* the handlers */
void node_root(admin_request_t *r);
void node_metrics(admin_request_t *r);
void node_endpoints(admin_request_t *r);
void node_plugins(admin_request_t *r);
void cache_handle(admin_request_t *r);
void debug_log_level(admin_request_t *r);
void debug_cache(admin_request_t *r);
void debug_timers(admin_request_t *r);
void debug_dns(admin_request_t *r);
void debug_clustering(admin_request_t *r);
void generation_handle(admin_request_t *r);
void node_robots(admin_request_t *r);
void openapi_handle(admin_request_t *r);
void schemas_entity(admin_request_t *r);
void schemas_sub(admin_request_t *r);
void schemas_validate(admin_request_t *r);
void config_handle(admin_request_t *r);
void entities_handle(admin_request_t *r);
void entities_tags(admin_request_t *r);
void crud_handle(admin_request_t *r, dao_t *d);
void crud_tags(admin_request_t *r, dao_t *d);

#endif
