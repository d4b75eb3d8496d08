/*
 * plugins: see plugins.h.
 *
 * A chain is computed from the outside in: the global instances, then a
 * service's over them, then a route's.  Routes without plugins of their own
 * share their service's chain, and equal chains are one, so the work is
 * linear in the number of plugins and of routes.
 */

#include <stdlib.h>
#include <string.h>

#include "entities.h"
#include "plugins.h"
#include "../../ngx_kong_module/snapshot/kong_index.h"


typedef struct {
    const plugin_schema_t  *schema;
    uint32_t                flags;
    unsigned                closed;  /* its instances cannot run */
    uint32_t                twin;    /* the same name, closed or not */
} plugins_type_t;

/* an instance while it is compiled; lists are by scope */
typedef struct {
    const value_t          *row;
    const plugin_schema_t  *schema;
    const char             *closed;  /* why it cannot run; NULL: it can */
    uint32_t                type;
    uint32_t                route;
    uint32_t                service;
    uint32_t                consumer;
    uint32_t                next;    /* of the same scope; KONG_NONE */
} plugins_instance_t;

typedef struct {
    arena_t             *arena;
    const config_t      *config;
    writer_t            *writer;
    values_t            *values;
    const ids_t         *consumers;
    const aside_t       *aside;
    ids_t                routes;
    ids_t                services;

    plugins_instance_t  *instances;
    uint32_t             n;
    plugins_type_t      *types;      /* in the order of execution */
    uint32_t             n_types;
    uint32_t             n_consumer; /* instances of consumers */

    uint32_t            *of_route;   /* heads of lists */
    uint32_t            *of_service;

    bytes_t              chains;
    uint32_t            *table;      /* offsets of chains, by content */
    size_t               n_table;
    size_t               n_chains;
    const char         **err;
} plugins_t;


static int plugins_gather(plugins_t *ps);
static void plugins_add(plugins_t *ps, const value_t *row,
    const plugin_schema_t *schema, const char *closed);
static uint32_t plugins_type(const plugins_t *ps,
    const plugins_instance_t *in);
static uint32_t plugins_closed(plugins_t *ps, const plugins_instance_t *in,
    uint64_t *hash);
static void plugins_place(plugins_t *ps, kong_slot_t *slots, uint32_t i,
    uint32_t level);
static unsigned plugins_wins(const plugins_instance_t *one,
    const plugins_instance_t *two);
static void plugins_types(plugins_t *ps);
static int plugins_type_cmp(const void *one, const void *two);
static void plugins_lists(plugins_t *ps, size_t n_routes, size_t n_services);
static int plugins_records(plugins_t *ps);
static uint32_t plugins_anonymous(plugins_t *ps, const value_t *config);
static void plugins_consumer_table(plugins_t *ps);
static int plugins_chains(plugins_t *ps, kong_route_t *routes, size_t n,
    size_t n_services);
static void plugins_global(plugins_t *ps, kong_slot_t *slots);
static void plugins_over(plugins_t *ps, kong_slot_t *slots, uint32_t list,
    uint32_t service);
static uint32_t plugins_chain(plugins_t *ps, const kong_slot_t *slots);
static int plugins_chain_grow(plugins_t *ps);


int
plugins_compile(arena_t *a, const config_t *c, writer_t *w,
    values_t *values, const ids_t *consumers, kong_route_t *routes, size_t n,
    const kong_service_t *services, size_t n_services, const aside_t *aside,
    uint32_t *n_plugins, const char **err)
{
    int        rc;
    plugins_t  ps;

    memset(&ps, 0, sizeof(ps));

    ps.arena = a;
    ps.config = c;
    ps.writer = w;
    ps.values = values;
    ps.consumers = consumers;
    ps.aside = aside;
    ps.err = err;

    ids_build(&ps.routes, a, routes, n, sizeof(*routes));
    ids_build(&ps.services, a, services, n_services, sizeof(*services));

    rc = plugins_gather(&ps);

    if (rc == 0 && ps.n != 0) {
        plugins_types(&ps);
        plugins_lists(&ps, n, n_services);
        rc = plugins_records(&ps);

        if (rc == 0) {
            plugins_consumer_table(&ps);
            rc = plugins_chains(&ps, routes, n, n_services);
        }
    }

    *n_plugins = ps.n;

    bytes_release(&ps.chains);
    free(ps.table);

    return rc;
}


/* enabled instances, then those that close their scope instead */
static int
plugins_gather(plugins_t *ps)
{
    size_t                  i;
    const value_t          *row, *name;
    config_table_t         *t;
    const aside_closed_t   *closed;
    const plugin_schema_t  *schema;

    t = config_table(ps->config, "plugins");
    ps->instances = arena_alloc(ps->arena,
                                (t->n + ps->aside->n_closed + 1)
                                * sizeof(plugins_instance_t));

    for (i = 0; i < t->n; i++) {
        row = t->rows[i];

        if (!entity_flag(row, "enabled", 1) || ps->aside->skip[i]) {
            continue;
        }

        name = value_get(row, "name");
        schema = schema_plugin(name->u.string, name->len);

        if (schema == NULL) {
            *ps->err = arena_printf(ps->arena, "plugin '%s' is not known",
                                    name->u.string);
            return -1;
        }

        plugins_add(ps, row, schema, NULL);
    }

    for (i = 0; i < ps->aside->n_closed; i++) {
        closed = &ps->aside->closed[i];
        plugins_add(ps, closed->row, closed->schema, closed->reason);
    }

    return 0;
}


/* unless its scope is not in the segment: the routes of a disabled service
 * are not */
static void
plugins_add(plugins_t *ps, const value_t *row, const plugin_schema_t *schema,
    const char *closed)
{
    unsigned             gone;
    plugins_instance_t  *in;

    in = &ps->instances[ps->n];
    gone = 0;

    in->row = row;
    in->schema = schema;
    in->closed = closed;
    in->route = ids_foreign(&ps->routes, row, "route", &gone);
    in->service = ids_foreign(&ps->services, row, "service", &gone);
    in->consumer = ids_foreign(ps->consumers, row, "consumer", &gone);
    in->next = KONG_NONE;

    if (!gone) {
        ps->n++;
    }
}


/* the plugin names in use, in Kong's order: by priority, then by name, both
 * descending */
static void
plugins_types(plugins_t *ps)
{
    uint32_t             i, j;
    plugins_type_t      *type;
    plugins_instance_t  *in;

    ps->types = arena_alloc(ps->arena, (ps->n + 1) * sizeof(plugins_type_t));

    for (i = 0; i < ps->n; i++) {
        in = &ps->instances[i];
        j = plugins_type(ps, in);
        type = &ps->types[j];

        if (j == ps->n_types) {
            type->schema = in->schema;
            type->closed = (in->closed != NULL);
            type->flags = 0;
            ps->n_types++;
        }

        if (in->consumer != KONG_NONE) {
            type->flags |= KONG_TYPE_CONSUMER;
        }
    }

    qsort(ps->types, ps->n_types, sizeof(plugins_type_t), plugins_type_cmp);

    for (i = 0; i < ps->n; i++) {
        ps->instances[i].type = plugins_type(ps, &ps->instances[i]);
    }

    /* sorted, the two of a name stand side by side */

    for (i = 0; i < ps->n_types; i++) {
        type = &ps->types[i];
        type->twin = KONG_NONE;

        if (i > 0 && type->schema == type[-1].schema) {
            type->twin = i - 1;
            type[-1].twin = i;
        }
    }
}


/* the number of its type, or the next free one */
static uint32_t
plugins_type(const plugins_t *ps, const plugins_instance_t *in)
{
    uint32_t  i;

    for (i = 0; i < ps->n_types; i++) {
        if (ps->types[i].schema == in->schema
            && ps->types[i].closed == (in->closed != NULL))
        {
            break;
        }
    }

    return i;
}


static int
plugins_type_cmp(const void *one, const void *two)
{
    const plugins_type_t  *a = one;
    const plugins_type_t  *b = two;

    if (a->schema == b->schema) {
        return (int) b->closed - (int) a->closed;
    }

    if (a->schema->priority != b->schema->priority) {
        return (a->schema->priority > b->schema->priority) ? -1 : 1;
    }

    return strcmp(b->schema->schema.name, a->schema->schema.name);
}


static void
plugins_lists(plugins_t *ps, size_t n_routes, size_t n_services)
{
    uint32_t             i, *head;
    plugins_instance_t  *in;

    ps->of_route = arena_alloc(ps->arena, (n_routes + 1) * sizeof(uint32_t));
    ps->of_service = arena_alloc(ps->arena,
                                 (n_services + 1) * sizeof(uint32_t));

    memset(ps->of_route, 0xff, (n_routes + 1) * sizeof(uint32_t));
    memset(ps->of_service, 0xff, (n_services + 1) * sizeof(uint32_t));

    for (i = 0; i < ps->n; i++) {
        in = &ps->instances[i];

        if (in->consumer != KONG_NONE) {
            ps->n_consumer++;
            continue;
        }

        if (in->route != KONG_NONE) {
            head = &ps->of_route[in->route];

        } else if (in->service != KONG_NONE) {
            head = &ps->of_service[in->service];

        } else {
            continue;
        }

        in->next = *head;
        *head = i;
    }
}


static int
plugins_records(plugins_t *ps)
{
    uint32_t             i;
    kong_plugin_t       *p;
    const value_t       *config, *foreign;
    const char          *name;
    kong_plugin_type_t  *t;
    plugins_instance_t  *in;

    t = writer_records(ps->writer, KONG_SECTION_PLUGIN_TYPES, ps->n_types,
                       sizeof(*t));
    p = writer_records(ps->writer, KONG_SECTION_PLUGINS, ps->n, sizeof(*p));

    if (t == NULL || p == NULL) {
        return -1;
    }

    for (i = 0; i < ps->n_types; i++) {
        name = ps->types[i].closed ? ASIDE_CLOSED
                                   : ps->types[i].schema->schema.name;
        t[i].name = writer_string(ps->writer, name, strlen(name));
        t[i].flags = ps->types[i].flags;
    }

    for (i = 0; i < ps->n; i++, p++) {
        in = &ps->instances[i];
        config = value_get(in->row, "config");

        if (in->closed == NULL
            && (entity_id(in->row, p->id) != 0 || config == NULL
                || config->kind != VALUE_OBJECT))
        {
            *ps->err = arena_printf(ps->arena, "plugin '%s' has no id or no "
                                    "config", in->schema->schema.name);
            return -1;
        }

        foreign = value_get(in->row, "route");
        if (!value_is_null(foreign)) {
            (void) entity_id(foreign, p->route_id);
        }

        foreign = value_get(in->row, "service");
        if (!value_is_null(foreign)) {
            (void) entity_id(foreign, p->service_id);
        }

        p->type = in->type;
        p->consumer = in->consumer;

        if (in->closed != NULL) {
            (void) entity_id(in->row, p->id);
            p->anonymous = KONG_NONE;
            p->config = plugins_closed(ps, in, &p->hash);
            continue;
        }

        p->anonymous = plugins_anonymous(ps, config);
        p->config = values_object(ps->values, config, &p->hash);
        p->hash ^= XXH3_64bits(in->schema->schema.name,
                               strlen(in->schema->schema.name));
    }

    return 0;
}


/* the configuration of what stands in for it */
static uint32_t
plugins_closed(plugins_t *ps, const plugins_instance_t *in, uint64_t *hash)
{
    value_t      config;
    const char  *name;

    name = in->schema->schema.name;

    value_set_object(&config);
    value_set_string(value_put(ps->arena, &config, "name"), name,
                     strlen(name));

    return values_object(ps->values, &config, hash);
}


/* config.anonymous holds an id or a username */
static uint32_t
plugins_anonymous(plugins_t *ps, const value_t *config)
{
    uint8_t         id[16];
    uint32_t        i;
    const value_t  *v, *row;

    v = value_get(config, "anonymous");

    if (v == NULL || v->kind != VALUE_STRING || v->len == 0) {
        return KONG_NONE;
    }

    row = config_by_id(ps->config, "consumers", v->u.string, v->len);

    if (row == NULL) {
        row = config_by_key(ps->config, "consumers", v->u.string, v->len);
    }

    if (row == NULL || entity_id(row, id) != 0) {
        return KONG_MISSING;
    }

    i = ids_find(ps->consumers, id);

    return (i == KONG_NONE) ? KONG_MISSING : i;
}


static void
plugins_consumer_table(plugins_t *ps)
{
    uint32_t                 i, slot;
    size_t                   n;
    plugins_instance_t      *in;
    kong_consumer_plugin_t  *slots;

    if (ps->n_consumer == 0) {
        return;
    }

    for (n = 2; n < 2 * (size_t) ps->n_consumer; n *= 2) {
        /* void */
    }

    slots = writer_records(ps->writer, KONG_SECTION_CONSUMER_PLUGINS, n,
                           sizeof(*slots));
    if (slots == NULL) {
        return;
    }

    for (i = 0; i < n; i++) {
        slots[i].plugin = KONG_NONE;
    }

    for (i = 0; i < ps->n; i++) {
        in = &ps->instances[i];

        if (in->consumer == KONG_NONE) {
            continue;
        }

        slot = kong_consumer_plugin_hash(in->type, in->consumer, in->route,
                                         in->service)
               & (n - 1);

        while (slots[slot].plugin != KONG_NONE
               && (slots[slot].type != in->type
                   || slots[slot].consumer != in->consumer
                   || slots[slot].route != in->route
                   || slots[slot].service != in->service))
        {
            slot = (slot + 1) & (n - 1);
        }

        if (slots[slot].plugin != KONG_NONE
            && !plugins_wins(in, &ps->instances[slots[slot].plugin]))
        {
            continue;
        }

        slots[slot].type = in->type;
        slots[slot].consumer = in->consumer;
        slots[slot].route = in->route;
        slots[slot].service = in->service;
        slots[slot].plugin = i;
    }
}


static int
plugins_chains(plugins_t *ps, kong_route_t *routes, size_t n,
    size_t n_services)
{
    size_t        i, size;
    uint32_t     *of_service, global, service;
    kong_slot_t  *base, *slots;

    size = ps->n_types * sizeof(kong_slot_t);
    base = arena_alloc(ps->arena, size);
    slots = arena_alloc(ps->arena, size);
    of_service = arena_alloc(ps->arena, (n_services + 1) * sizeof(uint32_t));

    bytes_put32(&ps->chains, 0);
    plugins_global(ps, base);
    global = plugins_chain(ps, base);

    for (i = 0; i < n_services; i++) {
        of_service[i] = global;

        if (ps->of_service[i] != KONG_NONE) {
            memcpy(slots, base, size);
            plugins_over(ps, slots, ps->of_service[i], KONG_NONE);
            of_service[i] = plugins_chain(ps, slots);
        }
    }

    for (i = 0; i < n; i++) {
        service = routes[i].service;
        routes[i].plugins = (service == KONG_NONE) ? global
                                                   : of_service[service];

        if (ps->of_route[i] == KONG_NONE) {
            continue;
        }

        memcpy(slots, base, size);

        if (service != KONG_NONE) {
            plugins_over(ps, slots, ps->of_service[service], KONG_NONE);
        }

        plugins_over(ps, slots, ps->of_route[i], service);
        routes[i].plugins = plugins_chain(ps, slots);
    }

    if (ps->chains.failed) {
        return -1;
    }

    memcpy(ps->chains.data, &global, sizeof(global));
    writer_take(ps->writer, KONG_SECTION_CHAINS, 0, ps->chains.data,
                ps->chains.size);
    memset(&ps->chains, 0, sizeof(bytes_t));

    return 0;
}


/* a slot for every type; those that end up without anything are left out */
static void
plugins_global(plugins_t *ps, kong_slot_t *slots)
{
    uint32_t             i;
    plugins_instance_t  *in;

    for (i = 0; i < ps->n_types; i++) {
        slots[i].type = i;
        slots[i].plugin = KONG_NONE;
        slots[i].level = KONG_LEVEL_NONE;
    }

    for (i = 0; i < ps->n; i++) {
        in = &ps->instances[i];

        if (in->consumer == KONG_NONE && in->route == KONG_NONE
            && in->service == KONG_NONE)
        {
            plugins_place(ps, slots, i, KONG_LEVEL_GLOBAL);
        }
    }
}


/* instances of a list take the place of less specific ones.  An instance for
 * a route and a service applies when the route's service is that one */
static void
plugins_over(plugins_t *ps, kong_slot_t *slots, uint32_t list,
    uint32_t service)
{
    uint32_t             level;
    plugins_instance_t  *in;

    for ( /* void */ ; list != KONG_NONE; list = in->next) {
        in = &ps->instances[list];

        if (in->route == KONG_NONE) {
            level = KONG_LEVEL_SERVICE;

        } else if (in->service == KONG_NONE) {
            level = KONG_LEVEL_ROUTE;

        } else if (in->service == service) {
            level = KONG_LEVEL_ROUTE_SERVICE;

        } else {
            continue;
        }

        plugins_place(ps, slots, list, level);
    }
}


/* two of a name in one scope are not meant to be; one of them it is, and the
 * same on every node */
static unsigned
plugins_wins(const plugins_instance_t *one, const plugins_instance_t *two)
{
    uint8_t  a[16], b[16];

    return entity_id(one->row, a) == 0 && entity_id(two->row, b) == 0
           && memcmp(a, b, sizeof(a)) > 0;
}


/* the more specific one of a name applies, whether or not it can run */
static void
plugins_place(plugins_t *ps, kong_slot_t *slots, uint32_t i, uint32_t level)
{
    uint32_t  type, twin;

    type = ps->instances[i].type;
    twin = ps->types[type].twin;

    if (level > slots[type].level
        || (level == slots[type].level
            && !plugins_wins(&ps->instances[i],
                             &ps->instances[slots[type].plugin]))
        || (twin != KONG_NONE && level > slots[twin].level))
    {
        return;
    }

    slots[type].plugin = i;
    slots[type].level = level;

    if (twin != KONG_NONE && level < slots[twin].level) {
        slots[twin].plugin = KONG_NONE;
        slots[twin].level = KONG_LEVEL_NONE;
    }
}


/* the offset of the chain of these slots, 0 when it is empty */
static uint32_t
plugins_chain(plugins_t *ps, const kong_slot_t *slots)
{
    size_t    i, size, at, begin;
    uint32_t  n, offset;

    if (plugins_chain_grow(ps) != 0) {
        return 0;
    }

    begin = ps->chains.size;
    bytes_put32(&ps->chains, 0);

    for (i = 0, n = 0; i < ps->n_types; i++) {

        /* a consumer may still have an instance where nobody else has */
        if (slots[i].plugin == KONG_NONE
            && !(ps->types[i].flags & KONG_TYPE_CONSUMER))
        {
            continue;
        }

        bytes_put(&ps->chains, &slots[i], sizeof(kong_slot_t));
        n++;
    }

    if (ps->chains.failed) {
        return 0;
    }

    if (n == 0) {
        ps->chains.size = begin;
        return 0;
    }

    memcpy(ps->chains.data + begin, &n, sizeof(n));
    size = ps->chains.size - begin;
    at = XXH3_64bits(ps->chains.data + begin, size) % ps->n_table;

    while ((offset = ps->table[at]) != 0) {

        if (ps->chains.size - offset >= size && offset != begin
            && memcmp(ps->chains.data + offset, ps->chains.data + begin, size)
               == 0)
        {
            ps->chains.size = begin;
            return offset;
        }

        at = (at + 1) % ps->n_table;
    }

    ps->table[at] = (uint32_t) begin;
    ps->n_chains++;

    return (uint32_t) begin;
}


static int
plugins_chain_grow(plugins_t *ps)
{
    size_t               i, n, at, old;
    uint32_t            *table, offset;
    const kong_chain_t  *chain;

    if (2 * ps->n_chains < ps->n_table) {
        return 0;
    }

    old = ps->n_table;
    n = old ? 2 * old : 64;

    table = calloc(n, sizeof(uint32_t));
    if (table == NULL) {
        ps->chains.failed = 1;
        return -1;
    }

    for (i = 0; i < old; i++) {
        offset = ps->table[i];

        if (offset == 0) {
            continue;
        }

        chain = (const void *) (ps->chains.data + offset);
        at = XXH3_64bits(chain, sizeof(kong_chain_t)
                                + chain->n * sizeof(kong_slot_t))
             % n;

        while (table[at] != 0) {
            at = (at + 1) % n;
        }

        table[at] = offset;
    }

    free(ps->table);
    ps->table = table;
    ps->n_table = n;

    return 0;
}
