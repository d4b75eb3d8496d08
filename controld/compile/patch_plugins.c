/*
 * patch_plugins: instances of plugins that changed, for routes, services and
 * consumers.  Global ones, and names that were not in use, concern every
 * chain: those are compiled whole.
 */

#include <string.h>

#include "aside.h"
#include "entities.h"
#include "patch.h"
#include "../../ngx_kong_module/snapshot/kong_index.h"


static int patch_plugin_gone(patch_t *p, diff_row_t *row);
static int patch_plugin_scopes(patch_t *p, diff_ids_t *routes,
    diff_ids_t *services);
static unsigned patch_is_missing(const diff_ids_t *ids,
    const uint8_t id[16]);
static int patch_plugin_come(patch_t *p, diff_row_t *row,
    const diff_ids_t *routes, const diff_ids_t *services);
static int patch_plugin_type(patch_t *p, const value_t *row,
    kong_plugin_t *in);
static int patch_plugin_scope(patch_t *p, const value_t *row,
    kong_plugin_t *in);
static int patch_concerns(patch_t *p, const kong_plugin_t *in);
static int patch_anonymous(patch_t *p, const value_t *row,
    uint32_t *consumer);
static int patch_anonymous_all(patch_t *p);
static int patch_consumer_table(patch_t *p);
static const kong_plugin_t *patch_instance(patch_t *p, uint32_t i);
static void patch_find(patch_t *p, diff_ids_t *ids, kong_section_id_t id,
    size_t size);
static void patch_consumer_put(patch_t *p, kong_consumer_plugin_t *slots,
    size_t n, uint32_t plugin, const diff_id_t *route,
    const diff_id_t *service);


static const uint8_t  patch_no_id[16];


int
patch_plugins(patch_t *p)
{
    size_t       i;
    diff_t      *d;
    diff_ids_t   ids, routes, services;

    d = &p->plugins;

    if (patch_anonymous_all(p) != 0) {
        return -1;
    }

    if (d->n_gone + d->n_come == 0) {
        return 0;
    }

    diff_ids_init(&ids, p->arena, d->n_gone + d->n_come);
    diff_ids_init(&p->scopes, p->arena, d->n_gone + d->n_come);
    p->plugins_gone = arena_zalloc(p->arena,
                                   p->old->sections[KONG_SECTION_PLUGINS].n
                                   + 1);

    for (i = 0; i < d->n_gone; i++) {
        (void) diff_ids_add(&ids, d->gone[i].id);
    }

    for (i = 0; i < d->n_come; i++) {
        (void) diff_ids_add(&ids, d->come[i].id);
    }

    diff_ids_find(&ids, kong_segment_section(p->old, KONG_SECTION_PLUGINS),
                  p->old->sections[KONG_SECTION_PLUGINS].n,
                  sizeof(kong_plugin_t));

    for (i = 0; i < d->n_gone; i++) {
        d->gone[i].record = diff_ids_get(&ids, d->gone[i].id)->record;

        if (patch_plugin_gone(p, &d->gone[i]) != 0) {
            return -1;
        }
    }

    if (d->n_come != 0 && patch_plugin_scopes(p, &routes, &services) != 0) {
        return -1;
    }

    for (i = 0; i < d->n_come; i++) {
        if (patch_plugin_come(p, &d->come[i], &routes, &services) != 0) {
            return -1;
        }
    }

    return patch_consumer_table(p);
}


/* the records of the scopes of what comes */
static int
patch_plugin_scopes(patch_t *p, diff_ids_t *routes, diff_ids_t *services)
{
    size_t          i, k;
    uint8_t         id[16];
    const value_t  *v;

    diff_ids_init(routes, p->arena, p->plugins.n_come);
    diff_ids_init(services, p->arena, p->plugins.n_come);

    for (i = 0; i < p->plugins.n_come; i++) {
        for (k = 0; k < 2; k++) {
            v = value_get(p->plugins.come[i].row, k ? "service" : "route");

            if (value_is_null(v)) {
                continue;
            }

            if (entity_id(v, id) != 0) {
                return -1;
            }

            (void) diff_ids_add(k ? services : routes, id);
        }
    }

    patch_find(p, routes, KONG_SECTION_ROUTES, sizeof(kong_route_t));
    patch_find(p, services, KONG_SECTION_SERVICES, sizeof(kong_service_t));

    return 0;
}


static unsigned
patch_is_missing(const diff_ids_t *ids, const uint8_t id[16])
{
    return memcmp(id, patch_no_id, sizeof(patch_no_id)) != 0
           && diff_ids_get(ids, id)->record == KONG_NONE;
}


static int
patch_plugin_gone(patch_t *p, diff_row_t *row)
{
    const kong_plugin_t  *in;

    if (row->record == KONG_NONE) {

        /* it was switched off, or its scope was not there */

        return 0;
    }

    in = kong_plugin(p->old, row->record);
    p->plugins_gone[row->record] = 1;
    patch_bury(p, KONG_SECTION_PLUGINS, row->record * sizeof(*in));
    p->head.n_plugins--;

    return patch_concerns(p, in);
}


static int
patch_plugin_come(patch_t *p, diff_row_t *row, const diff_ids_t *routes,
    const diff_ids_t *services)
{
    const value_t    *config, *name;
    kong_plugin_t    *in;
    patch_section_t  *s;

    if (!entity_flag(row->row, "enabled", 1)) {
        return 0;
    }

    if (aside_idle(row->row)) {
        p->idle = 1;
        return 0;
    }

    in = arena_zalloc(p->arena, sizeof(kong_plugin_t));
    memcpy(in->id, row->id, sizeof(in->id));
    config = value_get(row->row, "config");
    name = value_get(row->row, "name");

    if (config == NULL || config->kind != VALUE_OBJECT
        || patch_plugin_type(p, row->row, in) != 0
        || patch_plugin_scope(p, row->row, in) != 0
        || patch_anonymous(p, row->row, &in->anonymous) != 0)
    {
        return -1;
    }

    /* the routes of a disabled service are not there */

    if (patch_is_missing(routes, in->route_id)
        || patch_is_missing(services, in->service_id))
    {
        return 0;
    }

    in->config = values_object(&p->values, config, &in->hash);
    in->hash ^= XXH3_64bits(name->u.string, name->len);

    /* always behind the others: the old record may be one of another type */

    s = patch_section(p, KONG_SECTION_PLUGINS);
    row->record = s->n++;
    bytes_put(&s->bytes, in, sizeof(*in));
    p->head.n_plugins++;

    return patch_concerns(p, in);
}


static int
patch_plugin_type(patch_t *p, const value_t *row, kong_plugin_t *in)
{
    uint32_t                   i, n;
    kong_str_t                 s;
    const value_t             *name;
    const plugin_schema_t     *schema;
    const kong_plugin_type_t  *types;

    name = value_get(row, "name");

    if (name == NULL || name->kind != VALUE_STRING) {
        return -1;
    }

    schema = schema_plugin(name->u.string, name->len);

    if (schema == NULL || !schema->implemented) {
        return -1;
    }

    n = p->old->sections[KONG_SECTION_PLUGIN_TYPES].n;
    types = kong_segment_section(p->old, KONG_SECTION_PLUGIN_TYPES);

    for (i = 0; i < n; i++) {
        s = kong_segment_str(p->old, types[i].name);

        if (s.len == name->len && memcmp(s.data, name->u.string, s.len) == 0)
        {
            in->type = i;

            return (value_is_null(value_get(row, "consumer"))
                    || (types[i].flags & KONG_TYPE_CONSUMER)) ? 0 : -1;
        }
    }

    return -1;
}


static int
patch_plugin_scope(patch_t *p, const value_t *row, kong_plugin_t *in)
{
    uint8_t         id[16];
    const value_t  *v;

    in->consumer = KONG_NONE;
    v = value_get(row, "route");

    if (!value_is_null(v) && entity_id(v, in->route_id) != 0) {
        return -1;
    }

    v = value_get(row, "service");

    if (!value_is_null(v) && entity_id(v, in->service_id) != 0) {
        return -1;
    }

    v = value_get(row, "consumer");

    if (!value_is_null(v)) {
        if (entity_id(v, id) != 0) {
            return -1;
        }

        in->consumer = diff_ids_get(&p->consumer_ids, id)->record;

        if (in->consumer == KONG_NONE) {
            return -1;
        }
    }

    return 0;
}


/* whose chain, or which consumer, an instance that comes or goes is for */
static int
patch_concerns(patch_t *p, const kong_plugin_t *in)
{
    const uint8_t  *scope;

    if (in->consumer != KONG_NONE) {
        p->consumer_plugins = 1;
        return 0;
    }

    scope = (memcmp(in->route_id, patch_no_id, 16) != 0) ? in->route_id
                                                         : in->service_id;

    if (memcmp(scope, patch_no_id, 16) == 0) {
        return -1;
    }

    (void) diff_ids_add(&p->scopes, scope);

    return 0;
}


/* config.anonymous holds an id or a username */
static int
patch_anonymous(patch_t *p, const value_t *row, uint32_t *consumer)
{
    uint8_t         id[16];
    diff_ids_t      ids;
    diff_id_t      *slot;
    const value_t  *v, *found;

    *consumer = KONG_NONE;
    v = value_get(value_get(row, "config"), "anonymous");

    if (v == NULL || v->kind != VALUE_STRING || v->len == 0) {
        return 0;
    }

    *consumer = KONG_MISSING;
    found = config_by_id(p->config, "consumers", v->u.string, v->len);

    if (found == NULL) {
        found = config_by_key(p->config, "consumers", v->u.string, v->len);
    }

    if (found == NULL || entity_id(found, id) != 0) {
        return 0;
    }

    slot = diff_ids_get(&p->consumer_ids, id);

    if (slot == NULL) {
        diff_ids_init(&ids, p->arena, 1);
        slot = diff_ids_add(&ids, id);
        diff_ids_find(&ids, kong_segment_section(p->old,
                                                 KONG_SECTION_CONSUMERS),
                      p->old->sections[KONG_SECTION_CONSUMERS].n,
                      sizeof(kong_consumer_t));
    }

    *consumer = slot->record;

    return (slot->record == KONG_NONE) ? -1 : 0;
}


/* a consumer that comes, goes or has another name may be that of plugins
 * which did not change */
static int
patch_anonymous_all(patch_t *p)
{
    char                   text[37];
    uint32_t               i, now, *edit;
    const value_t         *row;
    const kong_plugin_t   *in;

    if (p->consumers.n_gone + p->consumers.n_come == 0) {
        return 0;
    }

    in = kong_segment_section(p->old, KONG_SECTION_PLUGINS);

    for (i = 0; i < p->old->sections[KONG_SECTION_PLUGINS].n; i++, in++) {

        if (in->anonymous == KONG_NONE
            || memcmp(in->id, patch_no_id, sizeof(in->id)) == 0)
        {
            continue;
        }

        kong_uuid_text(in->id, text);
        row = config_by_id(p->config, "plugins", text, 36);

        if (row == NULL) {
            continue;
        }

        if (patch_anonymous(p, row, &now) != 0) {
            return -1;
        }

        if (now != in->anonymous) {
            edit = arena_alloc(p->arena, sizeof(uint32_t));
            *edit = now;
            patch_edit(p, KONG_SECTION_PLUGINS,
                       i * sizeof(*in) + offsetof(kong_plugin_t, anonymous),
                       edit, sizeof(uint32_t));
        }
    }

    return 0;
}


/*
 * The table of instances by consumer, made of the records.  Of two that are
 * for the same, one wins everywhere; when that goes, the other one is back.
 */
static int
patch_consumer_table(patch_t *p)
{
    size_t                   size, count;
    uint32_t                 i, n;
    diff_ids_t               routes, services;
    patch_section_t         *s;
    const kong_plugin_t     *in;
    kong_consumer_plugin_t  *slots;

    if (!p->consumer_plugins) {
        return 0;
    }

    n = p->sections[KONG_SECTION_PLUGINS].n;

    for (i = 0, count = 0; i < n; i++) {
        count += (patch_instance(p, i) != NULL);
    }

    diff_ids_init(&routes, p->arena, count);
    diff_ids_init(&services, p->arena, count);

    for (i = 0; i < n; i++) {
        in = patch_instance(p, i);

        if (in != NULL) {
            (void) diff_ids_add(&routes, in->route_id);
            (void) diff_ids_add(&services, in->service_id);
        }
    }

    patch_find(p, &routes, KONG_SECTION_ROUTES, sizeof(kong_route_t));
    patch_find(p, &services, KONG_SECTION_SERVICES, sizeof(kong_service_t));

    for (size = 2; size < 2 * count; size *= 2) {
        /* void */
    }

    slots = arena_zalloc(p->arena, size * sizeof(*slots));

    for (i = 0; i < size; i++) {
        slots[i].plugin = KONG_NONE;
    }

    for (i = 0; i < n; i++) {
        in = patch_instance(p, i);

        if (in != NULL) {
            patch_consumer_put(p, slots, size, i,
                               diff_ids_get(&routes, in->route_id),
                               diff_ids_get(&services, in->service_id));
        }
    }

    s = patch_section(p, KONG_SECTION_CONSUMER_PLUGINS);
    s->whole = 1;
    s->n = (uint32_t) size;
    bytes_put(&s->bytes, slots, size * sizeof(*slots));

    return 0;
}


/* an instance for a consumer; else NULL */
static const kong_plugin_t *
patch_instance(patch_t *p, uint32_t i)
{
    const kong_plugin_t  *in;

    in = patch_record(p, KONG_SECTION_PLUGINS, i, sizeof(*in));

    if (in->consumer == KONG_NONE
        || memcmp(in->id, patch_no_id, sizeof(in->id)) == 0
        || (i < p->old->sections[KONG_SECTION_PLUGINS].n
            && p->plugins_gone[i]))
    {
        return NULL;
    }

    return in;
}


/* records that were there, then those that come */
static void
patch_find(patch_t *p, diff_ids_t *ids, kong_section_id_t id, size_t size)
{
    size_t        i;
    diff_t       *d;
    diff_id_t    *slot;

    diff_ids_find(ids, kong_segment_section(p->old, id),
                  p->old->sections[id].n, size);

    d = (id == KONG_SECTION_ROUTES) ? &p->routes : &p->services;

    for (i = 0; i < d->n_gone + d->n_come; i++) {
        slot = diff_ids_get(ids, (i < d->n_gone)
                                 ? d->gone[i].id
                                 : d->come[i - d->n_gone].id);

        if (slot != NULL) {
            slot->record = (i < d->n_gone) ? KONG_NONE
                                           : d->come[i - d->n_gone].record;
        }
    }

    /* no scope of that kind */

    slot = diff_ids_get(ids, patch_no_id);

    if (slot != NULL) {
        slot->record = KONG_NONE;
    }
}


static void
patch_consumer_put(patch_t *p, kong_consumer_plugin_t *slots, size_t n,
    uint32_t plugin, const diff_id_t *route, const diff_id_t *service)
{
    uint32_t                i;
    const kong_plugin_t    *in, *other;
    kong_consumer_plugin_t  e;

    in = patch_record(p, KONG_SECTION_PLUGINS, plugin, sizeof(*in));

    /* its scope is not served */

    if ((route->record == KONG_NONE
         && memcmp(in->route_id, patch_no_id, 16) != 0)
        || (service->record == KONG_NONE
            && memcmp(in->service_id, patch_no_id, 16) != 0))
    {
        return;
    }

    e.type = in->type;
    e.consumer = in->consumer;
    e.route = route->record;
    e.service = service->record;
    e.plugin = plugin;

    i = kong_consumer_plugin_hash(e.type, e.consumer, e.route, e.service)
        & (n - 1);

    while (slots[i].plugin != KONG_NONE
           && memcmp(&slots[i], &e, offsetof(kong_consumer_plugin_t, plugin))
              != 0)
    {
        i = (i + 1) & (n - 1);
    }

    if (slots[i].plugin != KONG_NONE) {
        other = patch_record(p, KONG_SECTION_PLUGINS, slots[i].plugin,
                             sizeof(*other));

        if (memcmp(other->id, in->id, sizeof(in->id)) > 0) {
            return;
        }
    }

    slots[i] = e;
}
