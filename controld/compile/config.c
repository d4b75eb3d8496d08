/*
 * compile: a configuration becomes a segment.
 *
 * Called by the daemon for every generation.  What fails here has changed
 * nothing yet.  Sections: docs/segment-format.md.
 */

#include <stdlib.h>
#include <string.h>

#include "aside.h"
#include "certificates.h"
#include "compile.h"
#include "consumers.h"
#include "entities.h"
#include "patch.h"
#include "plugins.h"
#include "route_section.h"
#include "texts.h"
#include "upstreams.h"
#include "../../ngx_kong_module/snapshot/kong_index.h"


typedef struct {
    arena_t               *arena;
    const config_t        *config;
    writer_t               w;
    ids_t                  ids;      /* of services */
    const void            *parent;   /* the reference looked up last, ... */
    uint32_t               service;  /* and what it led to */
    kong_service_t        *services;
    kong_route_t          *routes;
    uint32_t               n_plugins;
    uint8_t               *disabled; /* one a service */
    size_t                 n_routes;
    size_t                 n_services;
    aside_t                aside;
    certificates_t         certificates;
    route_ranking_t        order;
    const char            *err;
} compile_t;


static void compile_state(compile_t *cc, const compile_opts_t *opts,
    segment_buf_t *out);
static unsigned compile_is_plain(const config_t *c);
static int compile_plugins(compile_t *cc);
static const char *compile_plugin_scope(compile_t *cc, const value_t *v);
static int compile_services(compile_t *cc);
static int compile_upstream(compile_t *cc, const value_t *v,
    kong_service_t *s);
static int compile_routes(compile_t *cc);
static int compile_route(compile_t *cc, const value_t *v, route_rule_t *rule,
    unsigned *ruled);
static int compile_chains(compile_t *cc);
static int compile_route_service(compile_t *cc, const value_t *v,
    uint32_t *index);
static int compile_finish(compile_t *cc, const compile_opts_t *opts,
    segment_buf_t *out);
static size_t compile_count(const config_t *c, const char *entity);


int
compile_config(arena_t *a, const config_t *c, const compile_opts_t *opts,
    segment_buf_t *out, const char **err)
{
    int        rc;
    compile_t  cc;

    if (opts->state != NULL) {
        *opts->state = NULL;
    }

    if (opts->before_state != NULL
        && compile_patch(a, c, opts, out) == 0)
    {
        return 0;
    }

    memset(&cc, 0, sizeof(cc));
    cc.arena = a;
    cc.config = c;
    cc.err = "the configuration is larger than a segment can be, or there "
             "is no memory left";

    writer_init(&cc.w, KONG_SEGMENT_CONFIG);
    aside_init(&cc.aside, a, c, opts);

    rc = compile_plugins(&cc);

    if (rc == 0) {
        rc = certificates_compile(&cc.certificates, a, c, &cc.w, &cc.aside,
                                  &cc.err);
    }

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

    } else {
        aside_finish(&cc.aside, opts);
        compile_state(&cc, opts, out);
    }

    route_ranking_release(&cc.order);

    return rc;
}


/* what was set aside has to be told again: then there are no short ways, but
 * for plugins that only observe */
static void
compile_state(compile_t *cc, const compile_opts_t *opts, segment_buf_t *out)
{
    if (opts->state == NULL || cc->aside.n != cc->aside.n_idle
        || !compile_is_plain(cc->config))
    {
        return;
    }

    *opts->state = compile_state_new(out, NULL, &cc->order);

    if (*opts->state != NULL) {
        (*opts->state)->idle = (cc->aside.n_idle != 0);
    }
}


static unsigned
compile_is_plain(const config_t *c)
{
    size_t  i, k;

    for (i = 0; i < c->n_tables; i++) {
        for (k = 0; k < c->tables[i].n; k++) {
            if (!entity_is_plain(c->tables[i].rows[k])) {
                return 0;
            }
        }
    }

    return 1;
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

        id = value_cstr(value_get(v, "id"));

        if (p != NULL && p->implemented) {
            continue;
        }

        why = (p != NULL) ? p->refused : NULL;

        if (aside_plugin(&cc->aside, v, i,
                         why ? why : ASIDE_NO_CODE))
        {
            continue;
        }

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
    size_t           i, k, n;
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

    for (i = 0, k = 0; i < n; i++) {
        if (entity_service(cc->arena, &cc->w, t->rows[i], &s[k], &cc->err)
            != 0
            || compile_upstream(cc, t->rows[i], &s[k]) != 0
            || certificates_service(&cc->certificates, t->rows[i], &s[k],
                                    &cc->err)
               != 0)
        {
            if (!aside_add(&cc->aside, "services", t->rows[i], cc->err)) {
                return -1;
            }

            memset(&s[k], 0, sizeof(*s));
            continue;
        }

        cc->disabled[k++] = !entity_flag(t->rows[i], "enabled", 1);
    }

    cc->n_services = k;
    ids_build(&cc->ids, cc->arena, s, k, sizeof(*s));

    return (k < n) ? writer_shrink(&cc->w, KONG_SECTION_SERVICES, k,
                                   sizeof(*s)) : 0;
}


/* a host that is the name of an upstream, to the letter, is no DNS name */
static int
compile_upstream(compile_t *cc, const value_t *v, kong_service_t *s)
{
    const value_t  *host, *upstream;

    host = value_get(v, "host");

    if (s->flags & KONG_SERVICE_ADDRESS) {
        return 0;
    }

    upstream = config_by_key(cc->config, "upstreams", host->u.string,
                             host->len);

    if (upstream == NULL) {

        if (aside_is_upstream(&cc->aside, host)) {
            cc->err = "its upstream is set aside";
            return -1;
        }

        return 0;
    }

    s->flags |= KONG_SERVICE_UPSTREAM;
    s->endpoint = kong_upstream_key(host->u.string, host->len);

    return 0;
}


static int
compile_routes(compile_t *cc)
{
    int              rc;
    size_t           i, n, n_rules, bad;
    uint32_t        *rows;
    unsigned         ruled;
    const char      *err;
    kong_route_t    *r;
    route_rule_t    *rules;
    route_index_t    ri;
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
        rc = compile_route(cc, t->rows[i], &rules[n_rules], &ruled);

        if (rc != 0 && aside_add(&cc->aside, "routes", t->rows[i], cc->err)) {
            memset(&r[cc->n_routes], 0, sizeof(*r));
            rc = 0;

        } else if (rc == 0 && ruled) {
            rows[n_rules++] = (uint32_t) i;
        }
    }

    if (rc == 0) {
        rc = writer_shrink(&cc->w, KONG_SECTION_ROUTES, cc->n_routes,
                           sizeof(*r));
    }

    while (rc == 0
           && route_section_write(&cc->w, rules, n_rules, &ri, &bad, &err)
              != 0)
    {
        rc = -1;
        cc->err = err;

        if (bad >= n_rules) {
            break;
        }

        if (aside_add(&cc->aside, "routes", t->rows[rows[bad]], err)) {

            /* its record stays, but nothing leads to it */

            n_rules--;
            memmove(&rules[bad], &rules[bad + 1],
                    (n_rules - bad) * sizeof(route_rule_t));
            memmove(&rows[bad], &rows[bad + 1],
                    (n_rules - bad) * sizeof(uint32_t));
            rc = 0;
            continue;
        }

        cc->err = arena_printf(cc->arena, "%s: %s",
                               entity_name(cc->arena, "route",
                                           t->rows[rows[bad]]), err);
    }

    if (rc == 0) {
        cc->order = ri.order;
        memset(&ri.order, 0, sizeof(route_ranking_t));
        route_index_release(&ri);
    }

    free(rules);

    return rc;
}


/* *ruled: it takes part in the match */
static int
compile_route(compile_t *cc, const value_t *v, route_rule_t *rule,
    unsigned *ruled)
{
    uint32_t       service;
    kong_route_t  *r;

    r = &cc->routes[cc->n_routes];
    *ruled = 0;

    if (compile_route_service(cc, v, &service) != 0) {
        return -1;
    }

    if (service != KONG_NONE && cc->disabled[service]) {
        return 0;
    }

    if (entity_route(cc->arena, &cc->w, v, service, r, &cc->err) != 0) {
        return -1;
    }

    if (entity_is_served(r, service == KONG_NONE ? NULL
                                                 : &cc->services[service]))
    {
        *ruled = 1;

        if (entity_rule(cc->arena, v, r, (uint32_t) cc->n_routes, rule,
                        &cc->err)
            != 0)
        {
            return -1;
        }
    }

    cc->n_routes++;

    return 0;
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
                             cc->services, cc->n_services, &cc->aside,
                             &cc->n_plugins, &cc->err);
    }

    if (rc == 0) {
        values_finish(&values);
    }

    if (rc == 0 && texts_wanted(cc->config)) {
        texts_compile(cc->arena, cc->config, &cc->w, cc->routes, cc->n_routes,
                      cc->services, cc->n_services, &consumers);
    }

    values_release(&values);

    return rc;
}


static int
compile_route_service(compile_t *cc, const value_t *v, uint32_t *index)
{
    unsigned        dangling;
    const value_t  *ref;

    /* the routes nested in a service share one reference */

    ref = value_get(v, "service");

    if (ref != NULL && ref->kind == VALUE_OBJECT && ref->len != 0
        && ref->u.record == cc->parent)
    {
        *index = cc->service;
        return 0;
    }

    dangling = 0;
    *index = ids_foreign(&cc->ids, v, "service", &dangling);

    if (!dangling) {
        cc->parent = (ref != NULL && ref->kind == VALUE_OBJECT
                      && ref->len != 0) ? ref->u.record : NULL;
        cc->service = *index;
        return 0;
    }

    cc->err = arena_printf(cc->arena, "%s refers to a service that does not "
                           "exist", entity_name(cc->arena, "route", v));

    return -1;
}


static int
compile_finish(compile_t *cc, const compile_opts_t *opts,
    segment_buf_t *out)
{
    kong_segment_header_t  head;

    memset(&head, 0, sizeof(head));

    head.generation = opts->generation;
    head.created = opts->created;
    head.n_routes = (uint32_t) cc->n_routes;
    head.n_services = (uint32_t) cc->n_services;
    head.n_consumers = (uint32_t) compile_count(cc->config, "consumers");
    head.n_plugins = cc->n_plugins;
    head.flags = entities_flags(cc->config);

    memcpy(head.source_hash, cc->config->hash, sizeof(head.source_hash));

    return writer_finish(&cc->w, &head, out);
}


static size_t
compile_count(const config_t *c, const char *entity)
{
    config_table_t  *t;

    t = config_table(c, entity);

    return (t != NULL) ? t->n : 0;
}
