/*
 * router: patterns are split once; a request is compared segment by segment
 * with the routes of its length.  A literal segment wins over "{...}"
 * because such routes come first in the table.
 */

#include <stdlib.h>
#include <string.h>

#include "health.h"


typedef struct {
    admin_route_t   route;
    admin_str_t     segments[ADMIN_SEGMENTS_MAX];
    size_t          n;
} router_entry_t;

struct router_s {
    arena_t         *arena;
    router_entry_t  *entries;
    size_t           n;
    size_t           cap;
};


static void router_add(router_t *rt, const admin_route_t *route);
static void router_add_entity(router_t *rt, const schema_t *s);
static void router_add_children(router_t *rt, const schema_t *parent);
static void router_add_parents(router_t *rt, const schema_t *s);
static int router_match(const router_entry_t *e, const admin_str_t *segments);
static int router_by_pattern(const void *one, const void *two);


#define ROUTER_COLLECTION  (ADMIN_GET|ADMIN_POST)
#define ROUTER_ENTITY      (ADMIN_GET|ADMIN_PUT|ADMIN_PATCH|ADMIN_DELETE)

#define ROUTER_HEALTH(end)                                                   \
    { .pattern = "/upstreams/{upstreams}/targets/{targets}/" end,            \
      .methods = ADMIN_PUT, .handler = entities_handle,                      \
      .database = crud_handle, .kind = ROUTER_CHILD, .then = health_set }

static const admin_route_t  router_fixed[] = {
    { .pattern = "/", .methods = ADMIN_GET, .handler = node_root },
    { .pattern = "/cache", .methods = ADMIN_DELETE, .handler = debug_cache },
    { .pattern = "/cache/{key}", .methods = ADMIN_GET|ADMIN_DELETE,
      .handler = debug_cache },
    { .pattern = "/clustering/data-planes", .methods = ADMIN_GET,
      .handler = debug_clustering },
    { .pattern = "/clustering/status", .methods = ADMIN_GET,
      .handler = debug_clustering },
    { .pattern = "/config", .methods = ADMIN_GET|ADMIN_POST,
      .handler = config_handle, .flags = ROUTER_YAML },
    { .pattern = "/debug/cluster/log-level/{log_level}",
      .methods = ADMIN_PUT, .handler = debug_log_level },
    { .pattern = "/debug/node/log-level", .methods = ADMIN_GET,
      .handler = debug_log_level },
    { .pattern = "/debug/node/log-level/{log_level}",
      .methods = ADMIN_PUT, .handler = debug_log_level },
    { .pattern = "/endpoints", .methods = ADMIN_GET,
      .handler = node_endpoints },
    { .pattern = "/generation", .methods = ADMIN_GET,
      .handler = generation_handle },
    { .pattern = "/metrics", .methods = ADMIN_GET, .handler = node_metrics },
    { .pattern = "/openapi.json", .methods = ADMIN_GET,
      .handler = openapi_handle },
    { .pattern = "/plugins/enabled", .methods = ADMIN_GET,
      .handler = node_plugins },
    { .pattern = "/proxy-cache", .methods = ADMIN_DELETE,
      .handler = cache_handle },
    { .pattern = "/proxy-cache/{cache_key}",
      .methods = ADMIN_GET|ADMIN_DELETE, .handler = cache_handle },
    { .pattern = "/proxy-cache/{plugin_id}/caches/{cache_key}",
      .methods = ADMIN_GET|ADMIN_DELETE, .handler = cache_handle },
    { .pattern = "/robots.txt", .methods = ADMIN_GET,
      .handler = node_robots },
    { .pattern = "/plugins/schema/{name}", .methods = ADMIN_GET,
      .handler = schemas_sub },
    { .pattern = "/schemas/plugins/validate", .methods = ADMIN_POST,
      .handler = schemas_validate },
    { .pattern = "/schemas/vaults/validate", .methods = ADMIN_POST,
      .handler = schemas_validate },
    { .pattern = "/schemas/plugins/{name}", .methods = ADMIN_GET,
      .handler = schemas_sub },
    { .pattern = "/schemas/vaults/{name}", .methods = ADMIN_GET,
      .handler = schemas_sub },
    { .pattern = "/schemas/{db_entity_name}/validate",
      .methods = ADMIN_POST, .handler = schemas_validate },
    { .pattern = "/schemas/{name}", .methods = ADMIN_GET,
      .handler = schemas_entity },
    { .pattern = "/status/dns", .methods = ADMIN_GET, .handler = debug_dns },
    { .pattern = "/tags", .methods = ADMIN_GET, .handler = entities_tags,
      .database = crud_tags },
    { .pattern = "/tags/{tags}", .methods = ADMIN_GET,
      .handler = entities_tags, .database = crud_tags },
    { .pattern = "/timers", .methods = ADMIN_GET, .handler = debug_timers },
    { .pattern = "/upstreams/{upstreams}/health", .methods = ADMIN_GET,
      .handler = entities_handle, .database = crud_handle,
      .kind = ROUTER_CHILDREN, .then = health_show },
    ROUTER_HEALTH("healthy"),
    ROUTER_HEALTH("unhealthy"),
    ROUTER_HEALTH("{address}/healthy"),
    ROUTER_HEALTH("{address}/unhealthy"),
    { .pattern = "/upstreams/{upstreams}/targets/all", .methods = ADMIN_GET,
      .handler = entities_handle, .database = crud_handle,
      .kind = ROUTER_CHILDREN },
    { .pattern = NULL }
};

/* paths that the schemas imply and Kong does not have */
static const char *const  router_absent[] = {
    "/snis/{snis}/certificate", NULL
};


router_t *
router_new(void)
{
    size_t          i;
    router_t       *rt;
    arena_t        *a;
    admin_route_t   route;

    a = arena_new();
    rt = arena_zalloc(a, sizeof(router_t));
    rt->arena = a;

    for (i = 0; router_fixed[i].pattern != NULL; i++) {
        route = router_fixed[i];

        if (route.kind != ROUTER_OTHER) {
            route.schema = schema_find("targets");
            route.parent = schema_find("upstreams");
            route.foreign = schema_field(route.schema, "upstream");
        }

        router_add(rt, &route);
    }

    for (i = 0; schema_entities[i] != NULL; i++) {
        router_add_entity(rt, schema_entities[i]);
    }

    return rt;
}


void
router_free(router_t *rt)
{
    if (rt != NULL) {
        free(rt->entries);
        arena_free(rt->arena);
    }
}


const admin_route_t *
router_find(const router_t *rt, const admin_str_t *segments, size_t n)
{
    size_t  i;

    for (i = 0; i < rt->n; i++) {
        if (rt->entries[i].n == n && router_match(&rt->entries[i], segments))
        {
            return &rt->entries[i].route;
        }
    }

    return NULL;
}


const char *
router_allow(arena_t *a, const admin_route_t *route)
{
    size_t       i;
    unsigned     methods;
    const char  *list;

    static const struct {
        unsigned     bit;
        const char  *name;
    } names[] = {
        { ADMIN_DELETE, "DELETE" }, { ADMIN_GET, "GET" },
        { ADMIN_HEAD, "HEAD" }, { ADMIN_OPTIONS, "OPTIONS" },
        { ADMIN_PATCH, "PATCH" }, { ADMIN_POST, "POST" },
        { ADMIN_PUT, "PUT" }
    };

    list = NULL;
    methods = route->methods|ADMIN_HEAD|ADMIN_OPTIONS;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (methods & names[i].bit) {
            list = (list == NULL)
                   ? names[i].name
                   : arena_printf(a, "%s, %s", list, names[i].name);
        }
    }

    return list;
}


void
router_each(const router_t *rt,
    void (*each)(void *data, const admin_route_t *route), void *data)
{
    size_t  i;

    for (i = 0; i < rt->n; i++) {
        each(data, &rt->entries[i].route);
    }
}


void
router_list(arena_t *a, const router_t *rt, value_t *out)
{
    size_t        i;
    const char  **patterns;

    patterns = arena_alloc(a, rt->n * sizeof(char *));

    for (i = 0; i < rt->n; i++) {
        patterns[i] = rt->entries[i].route.pattern;
    }

    qsort(patterns, rt->n, sizeof(char *), router_by_pattern);
    value_set_array(out);

    for (i = 0; i < rt->n; i++) {
        value_set_string(value_append(a, out), patterns[i],
                         strlen(patterns[i]));
    }
}


static void
router_add(router_t *rt, const admin_route_t *route)
{
    size_t           i;
    void            *p;
    const char      *s;
    router_entry_t  *e;

    for (i = 0; router_absent[i] != NULL; i++) {
        if (strcmp(router_absent[i], route->pattern) == 0) {
            return;
        }
    }

    if (rt->n == rt->cap) {
        rt->cap = rt->cap * 2 + 64;
        p = realloc(rt->entries, rt->cap * sizeof(router_entry_t));
        if (p == NULL) {
            abort();
        }
        rt->entries = p;
    }

    e = &rt->entries[rt->n++];
    memset(e, 0, sizeof(router_entry_t));
    e->route = *route;

    for (s = route->pattern; *s == '/' && s[1] != '\0'; ) {
        s++;
        e->segments[e->n].data = s;
        e->segments[e->n].len = strcspn(s, "/");
        s += e->segments[e->n].len;
        e->n++;
    }
}


static void
router_add_entity(router_t *rt, const schema_t *s)
{
    admin_route_t  route;

    if (s->admin_path != NULL) {
        memset(&route, 0, sizeof(route));
        route.handler = entities_handle;
        route.database = crud_handle;
        route.schema = s;

        route.kind = ROUTER_LIST;
        route.methods = ROUTER_COLLECTION;
        route.pattern = arena_printf(rt->arena, "/%s", s->admin_path);
        router_add(rt, &route);

        route.kind = ROUTER_ONE;
        route.methods = ROUTER_ENTITY;
        route.pattern = arena_printf(rt->arena, "/%s/{%s}", s->admin_path,
                                     s->name);
        router_add(rt, &route);

        router_add_parents(rt, s);
    }

    router_add_children(rt, s);
}


static void
router_add_children(router_t *rt, const schema_t *parent)
{
    size_t           i;
    const field_t   *f;
    const schema_t  *s;
    admin_route_t    route;

    if (parent->admin_path == NULL) {
        return;
    }

    for (i = 0; schema_entities[i] != NULL; i++) {
        s = schema_entities[i];

        for (f = s->fields; s->nested_name != NULL && f->name != NULL; f++) {

            if (f->type != FIELD_FOREIGN
                || strcmp(f->foreign, parent->name) != 0)
            {
                continue;
            }

            memset(&route, 0, sizeof(route));
            route.handler = entities_handle;
            route.database = crud_handle;
            route.schema = s;
            route.parent = parent;
            route.foreign = f;

            route.kind = ROUTER_CHILDREN;
            route.methods = ROUTER_COLLECTION;
            route.pattern = arena_printf(rt->arena, "/%s/{%s}/%s",
                                         parent->admin_path, parent->name,
                                         s->nested_name);
            router_add(rt, &route);

            route.kind = ROUTER_CHILD;
            route.methods = ROUTER_ENTITY;
            route.pattern = arena_printf(rt->arena, "%s/{%s}", route.pattern,
                                         s->name);
            router_add(rt, &route);
        }
    }
}


static void
router_add_parents(router_t *rt, const schema_t *s)
{
    const field_t  *f;
    admin_route_t   route;

    for (f = s->fields; f->name != NULL; f++) {

        if (f->type != FIELD_FOREIGN) {
            continue;
        }

        memset(&route, 0, sizeof(route));
        route.handler = entities_handle;
        route.database = crud_handle;
        route.kind = ROUTER_PARENT;
        route.methods = ROUTER_ENTITY;
        route.schema = schema_find(f->foreign);
        route.parent = s;
        route.foreign = f;
        route.pattern = arena_printf(rt->arena, "/%s/{%s}/%s", s->admin_path,
                                     s->name, f->name);

        if (route.schema != NULL && route.schema->admin_path != NULL) {
            router_add(rt, &route);
        }
    }
}


static int
router_match(const router_entry_t *e, const admin_str_t *segments)
{
    size_t  i;

    for (i = 0; i < e->n; i++) {
        if (e->segments[i].data[0] == '{') {
            if (segments[i].len == 0) {
                return 0;
            }
            continue;
        }

        if (e->segments[i].len != segments[i].len
            || memcmp(e->segments[i].data, segments[i].data, segments[i].len)
               != 0)
        {
            return 0;
        }
    }

    return 1;
}


static int
router_by_pattern(const void *one, const void *two)
{
    const unsigned char  *a, *b;

    a = *(const unsigned char *const *) one;
    b = *(const unsigned char *const *) two;

    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }

    /* "/" ends a segment and comes before whatever may go on in it */
    if (*a == '/' && *b != '\0') {
        return -1;
    }

    if (*b == '/' && *a != '\0') {
        return 1;
    }

    return (int) *a - (int) *b;
}
