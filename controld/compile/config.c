/*
 * compile: a configuration becomes a segment, resolved names become another.
 *
 * Called by the daemon for every generation.  What fails here has changed
 * nothing yet.  Sections: docs/segment-format.md.
 */

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "compile.h"
#include "consumers.h"
#include "entities.h"
#include "plugins.h"
#include "route_section.h"
#include "../../ngx_kong_module/snapshot/kong_index.h"


typedef struct {
    arena_t               *arena;
    const config_t        *config;
    writer_t               w;
    ids_t                  ids;      /* of services */
    kong_service_t        *services;
    kong_route_t          *routes;
    uint32_t               n_plugins;
    uint8_t               *disabled; /* one a service */
    size_t                 n_routes;
    const char            *err;
} compile_t;


typedef struct {
    uint64_t                   key;
    const compile_endpoint_t  *endpoint;
} compile_key_t;


static int compile_plugins(compile_t *cc);
static const char *compile_plugin_scope(compile_t *cc, const value_t *v);
static int compile_services(compile_t *cc);
static int compile_routes(compile_t *cc);
static int compile_chains(compile_t *cc);
static int compile_route_service(compile_t *cc, const value_t *v,
    uint32_t *index);
static unsigned compile_is_served(const kong_service_t *services,
    const kong_route_t *r);
static int compile_finish(compile_t *cc, const compile_opts_t *opts,
    segment_buf_t *out);
static size_t compile_count(const config_t *c, const char *entity);
static int compile_unique(arena_t *a, compile_key_t *keys, size_t *n,
    const char **err);
static int compile_endpoint_cmp(const void *one, const void *two);
static void compile_addresses(kong_address_t *to,
    const compile_endpoint_t *from, uint64_t key);


int
compile_config(arena_t *a, const config_t *c, const compile_opts_t *opts,
    segment_buf_t *out, const char **err)
{
    int        rc;
    compile_t  cc;

    memset(&cc, 0, sizeof(cc));
    cc.arena = a;
    cc.config = c;
    cc.err = "the configuration is larger than a segment can be, or there "
             "is no memory left";

    writer_init(&cc.w, KONG_SEGMENT_CONFIG);

    rc = compile_plugins(&cc);

    if (rc == 0) {
        rc = compile_services(&cc);
    }

    if (rc == 0) {
        rc = compile_routes(&cc);
    }

    if (rc == 0) {
        rc = compile_chains(&cc);
    }

    if (rc == 0) {
        rc = compile_finish(&cc, opts, out);
    }

    writer_release(&cc.w);

    if (rc != 0) {
        *err = cc.err;
    }

    return rc;
}


/* an enabled plugin that could not run must not be left out in silence */
static int
compile_plugins(compile_t *cc)
{
    size_t                  i;
    const char             *id, *why;
    const value_t          *v, *name;
    config_table_t         *t;
    const plugin_schema_t  *p;

    t = config_table(cc->config, "plugins");

    for (i = 0; t != NULL && i < t->n; i++) {
        v = t->rows[i];
        name = value_get(v, "name");

        if (name == NULL || name->kind != VALUE_STRING
            || !entity_flag(v, "enabled", 1))
        {
            continue;
        }

        p = schema_plugin(name->u.string, name->len);

        if (p != NULL && p->implemented) {
            continue;
        }

        id = value_cstr(value_get(v, "id"));
        why = (p != NULL) ? p->refused : NULL;

        cc->err = arena_printf(cc->arena,
                               "plugin '%s' (id %s) has no implementation in "
                               "this version: it is enabled %s%s%s",
                               name->u.string, id ? id : "unknown",
                               compile_plugin_scope(cc, v),
                               why ? "; " : "", why ? why : "");
        return -1;
    }

    return 0;
}


static const char *
compile_plugin_scope(compile_t *cc, const value_t *v)
{
    size_t          i;
    const char     *scope, *sep;
    const value_t  *id, *row;

    static const char *const  kinds[][2] = {
        { "route", "routes" },
        { "service", "services" },
        { "consumer", "consumers" }
    };

    scope = "";
    sep = "on ";

    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        id = value_get(value_get(v, kinds[i][0]), "id");

        if (id == NULL || id->kind != VALUE_STRING) {
            continue;
        }

        row = config_by_id(cc->config, kinds[i][1], id->u.string, id->len);
        scope = arena_printf(cc->arena, "%s%s%s", scope, sep,
                             entity_name(cc->arena, kinds[i][0],
                                         row ? row : value_get(v,
                                                          kinds[i][0])));
        sep = " and ";
    }

    return (*scope == '\0') ? "globally" : scope;
}


static int
compile_services(compile_t *cc)
{
    size_t           i, n;
    config_table_t  *t;
    kong_service_t  *s;

    t = config_table(cc->config, "services");
    n = (t != NULL) ? t->n : 0;
    s = writer_records(&cc->w, KONG_SECTION_SERVICES, n, sizeof(*s));

    if (s == NULL) {
        return -1;
    }

    cc->disabled = arena_zalloc(cc->arena, n + 1);
    cc->services = s;

    for (i = 0; i < n; i++) {
        if (entity_service(cc->arena, &cc->w, t->rows[i], &s[i], &cc->err)
            != 0)
        {
            return -1;
        }

        cc->disabled[i] = !entity_flag(t->rows[i], "enabled", 1);
    }

    ids_build(&cc->ids, cc->arena, s, n, sizeof(*s));

    return 0;
}


static int
compile_routes(compile_t *cc)
{
    int              rc;
    size_t           i, n, n_rules, bad;
    uint32_t         service, *rows;
    const char      *err;
    kong_route_t    *r;
    route_rule_t    *rules;
    config_table_t  *t;

    t = config_table(cc->config, "routes");
    n = (t != NULL) ? t->n : 0;
    r = writer_records(&cc->w, KONG_SECTION_ROUTES, n, sizeof(*r));

    if (r == NULL) {
        return -1;
    }

    cc->routes = r;
    rows = arena_alloc(cc->arena, (n + 1) * sizeof(uint32_t));
    rules = malloc((n + 1) * sizeof(route_rule_t));

    if (rules == NULL) {
        return -1;
    }

    rc = 0;
    cc->n_routes = 0;
    n_rules = 0;

    for (i = 0; i < n && rc == 0; i++) {
        rc = compile_route_service(cc, t->rows[i], &service);

        if (rc != 0 || (service != KONG_NONE && cc->disabled[service])) {
            continue;
        }

        rc = entity_route(cc->arena, &cc->w, t->rows[i], service,
                          &r[cc->n_routes], &cc->err);

        if (rc == 0 && compile_is_served(cc->services,
                                         &r[cc->n_routes]))
        {
            rows[n_rules] = (uint32_t) i;
            rc = entity_rule(cc->arena, t->rows[i], &r[cc->n_routes],
                             (uint32_t) cc->n_routes, &rules[n_rules],
                             &cc->err);
            n_rules++;
        }

        cc->n_routes++;
    }

    if (rc == 0) {
        rc = writer_shrink(&cc->w, KONG_SECTION_ROUTES, cc->n_routes,
                           sizeof(*r));
    }

    if (rc == 0) {
        rc = route_section_write(&cc->w, r, rules, n_rules, &bad, &err);

        if (rc != 0) {
            cc->err = (bad < n_rules)
                      ? arena_printf(cc->arena, "%s: %s",
                                     entity_name(cc->arena, "route",
                                                 t->rows[rows[bad]]), err)
                      : err;
        }
    }

    free(rules);

    return rc;
}


/* consumers and their credentials, instances of plugins, and what runs on
 * which route */
static int
compile_chains(compile_t *cc)
{
    int       rc;
    ids_t     consumers;
    values_t  values;

    values_init(&values, cc->arena, &cc->w, cc->config);

    rc = consumers_compile(cc->arena, cc->config, &cc->w, &values,
                           &consumers, &cc->err);

    if (rc == 0) {
        rc = plugins_compile(cc->arena, cc->config, &cc->w, &values,
                             &consumers, cc->routes, cc->n_routes,
                             cc->services, cc->ids.size / 2, &cc->n_plugins,
                             &cc->err);
    }

    if (rc == 0) {
        values_finish(&values);
    }

    values_release(&values);

    return rc;
}


static int
compile_route_service(compile_t *cc, const value_t *v, uint32_t *index)
{
    unsigned  dangling;

    dangling = 0;
    *index = ids_foreign(&cc->ids, v, "service", &dangling);

    if (!dangling) {
        return 0;
    }

    cc->err = arena_printf(cc->arena, "%s refers to a service that does not "
                           "exist", entity_name(cc->arena, "route", v));

    return -1;
}


/* http is routed here; tcp, tls and udp are not listened for */
static unsigned
compile_is_served(const kong_service_t *services, const kong_route_t *r)
{
    if (!(r->protocols & ENTITY_HTTP)) {
        return 0;
    }

    return r->service == KONG_NONE
           || (services[r->service].protocol & ENTITY_HTTP);
}


static int
compile_finish(compile_t *cc, const compile_opts_t *opts,
    segment_buf_t *out)
{
    size_t                 i;
    kong_segment_header_t  head;

    memset(&head, 0, sizeof(head));

    head.generation = opts->generation;
    head.created = opts->created;
    head.n_routes = (uint32_t) cc->n_routes;
    head.n_services = (uint32_t) compile_count(cc->config, "services");
    head.n_consumers = (uint32_t) compile_count(cc->config, "consumers");
    head.n_plugins = cc->n_plugins;
    head.flags = KONG_SEGMENT_F_EMPTY;

    memcpy(head.source_hash, cc->config->hash, sizeof(head.source_hash));

    for (i = 0; i < cc->config->n_tables; i++) {
        if (cc->config->tables[i].n != 0) {
            head.flags &= ~KONG_SEGMENT_F_EMPTY;
        }
    }

    return writer_finish(&cc->w, &head, out);
}


static size_t
compile_count(const config_t *c, const char *entity)
{
    config_table_t  *t;

    t = config_table(c, entity);

    return (t != NULL) ? t->n : 0;
}


int
compile_endpoints(arena_t *a, const compile_endpoint_t *endpoints,
    size_t n, const compile_opts_t *opts, segment_buf_t *out,
    const char **err)
{
    int                         rc;
    size_t                      i, n_addresses;
    writer_t                    w;
    compile_key_t              *keys;
    kong_address_t             *to;
    kong_endpoint_t            *e;
    kong_segment_header_t       head;
    const compile_endpoint_t   *from;

    keys = arena_alloc(a, (n + 1) * sizeof(compile_key_t));

    for (i = 0, n_addresses = 0; i < n; i++) {
        keys[i].key = kong_endpoint_key(endpoints[i].name, endpoints[i].len);
        keys[i].endpoint = &endpoints[i];
        n_addresses += endpoints[i].n;
    }

    qsort(keys, n, sizeof(compile_key_t), compile_endpoint_cmp);

    if (compile_unique(a, keys, &n, err) != 0) {
        return -1;
    }

    writer_init(&w, KONG_SEGMENT_ENDPOINTS);
    e = writer_records(&w, KONG_SECTION_ENDPOINTS, n, sizeof(*e));
    to = writer_records(&w, KONG_SECTION_ADDRESSES, n_addresses, sizeof(*to));

    for (i = 0, n_addresses = 0; i < n && !w.failed; i++) {
        from = keys[i].endpoint;

        e[i].key = keys[i].key;
        e[i].first = (uint32_t) n_addresses;
        e[i].n = (uint32_t) from->n;
        e[i].error = (from->n == 0) ? from->error : KONG_ENDPOINT_OK;
        e[i].name = writer_string(&w, from->name, from->len);

        compile_addresses(to + n_addresses, from, keys[i].key);
        n_addresses += from->n;
    }

    memset(&head, 0, sizeof(head));
    head.generation = opts->generation;
    head.created = opts->created;
    memset(head.source_hash, '0', sizeof(head.source_hash));

    rc = writer_finish(&w, &head, out);
    writer_release(&w);

    if (rc != 0) {
        *err = "the endpoints are larger than a segment can be, or there is "
               "no memory left";
    }

    return rc;
}


/* names that differ in case are one name: the first one counts */
static int
compile_unique(arena_t *a, compile_key_t *keys, size_t *n, const char **err)
{
    size_t                     i, kept;
    const compile_endpoint_t  *one, *two;

    for (i = 0, kept = 0; i < *n; i++) {

        if (kept != 0 && keys[kept - 1].key == keys[i].key) {
            one = keys[kept - 1].endpoint;
            two = keys[i].endpoint;

            if (one->len != two->len
                || strncasecmp(one->name, two->name, one->len) != 0)
            {
                *err = arena_printf(a, "endpoints '%.*s' and '%.*s' have "
                                    "the same key", (int) one->len,
                                    one->name, (int) two->len, two->name);
                return -1;
            }

            continue;
        }

        keys[kept++] = keys[i];
    }

    *n = kept;

    return 0;
}


static int
compile_endpoint_cmp(const void *one, const void *two)
{
    const compile_key_t  *a, *b;

    a = one;
    b = two;

    if (a->key != b->key) {
        return (a->key > b->key) ? 1 : -1;
    }

    return (a->endpoint > b->endpoint) - (a->endpoint < b->endpoint);
}


/* an id says the same address of the same endpoint in every generation */
static void
compile_addresses(kong_address_t *to, const compile_endpoint_t *from,
    uint64_t key)
{
    size_t   i;
    uint8_t  text[16 + 2 + 1];

    for (i = 0; i < from->n; i++) {
        to[i] = from->addresses[i];

        if (!to[i].ipv6) {
            memset(to[i].addr + 4, 0, sizeof(to[i].addr) - 4);
        }

        memset(to[i].reserved, 0, sizeof(to[i].reserved));

        if (to[i].id == 0) {
            memcpy(text, to[i].addr, 16);
            memcpy(text + 16, &to[i].port, 2);
            text[18] = to[i].ipv6;
            to[i].id = XXH3_64bits_withSeed(text, sizeof(text), key);
        }
    }
}
