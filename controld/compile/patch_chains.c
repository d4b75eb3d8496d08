/*
 * patch_chains: which plugins run on the routes that changed.  Instances are
 * found by the ids of their scopes, in one walk over their records.
 */

#include <string.h>

#include "patch.h"
#include "../../ngx_kong_module/snapshot/kong_index.h"


#define PATCH_SEARCH  (256 * 1024)     /* bytes of chains looked through */
#define PATCH_NEAR    4096             /* and of those that are new */

typedef struct {
    patch_t              *patch;
    kong_route_t        **dirty;
    size_t                n_dirty;
    uint32_t              n_plugins;
    uint32_t              n_types;
    diff_ids_t            scopes;      /* a route's or a service's: the first
                                          of its instances */
    uint32_t             *next;
    kong_slot_t          *base;        /* what applies to all */
    kong_slot_t          *slots;
    uint8_t              *chain;       /* under way */
} patch_chains_t;


static void patch_affected(patch_t *p);
static unsigned patch_is_gone(const patch_t *p, uint32_t plugin);
static void patch_scopes(patch_chains_t *pc);
static void patch_instances(patch_chains_t *pc);
static void patch_place(patch_chains_t *pc, kong_slot_t *slots, uint32_t i,
    uint32_t level);
static void patch_over(patch_chains_t *pc, const uint8_t *route,
    const uint8_t *service);
static uint32_t patch_chain(patch_chains_t *pc);


static const uint8_t  patch_no_id[16];


int
patch_chains(patch_t *p)
{
    size_t                 i, size;
    kong_route_t          *r;
    const uint8_t         *service;
    patch_chains_t         pc;
    const kong_service_t  *s;

    if (p->old->sections[KONG_SECTION_CHAINS].id == 0) {
        return 0;
    }

    patch_affected(p);

    if (p->dirty.size == 0) {
        return 0;
    }

    memset(&pc, 0, sizeof(pc));
    pc.dirty = (kong_route_t **) (void *) p->dirty.data;
    pc.n_dirty = p->dirty.size / sizeof(kong_route_t *);
    pc.patch = p;
    pc.n_plugins = p->sections[KONG_SECTION_PLUGINS].n;
    pc.n_types = p->sections[KONG_SECTION_PLUGIN_TYPES].n;

    size = (pc.n_types + 1) * sizeof(kong_slot_t);
    pc.base = arena_zalloc(p->arena, size);
    pc.slots = arena_zalloc(p->arena, size);
    pc.chain = arena_zalloc(p->arena, size + sizeof(kong_chain_t));
    pc.next = arena_alloc(p->arena, (pc.n_plugins + 1) * sizeof(uint32_t));

    patch_scopes(&pc);
    patch_instances(&pc);

    for (i = 0; i < pc.n_dirty; i++) {
        r = pc.dirty[i];
        service = NULL;
        memcpy(pc.slots, pc.base, size);

        if (r->service != KONG_NONE) {
            s = patch_record(p, KONG_SECTION_SERVICES, r->service,
                             sizeof(kong_service_t));
            service = s->id;
            patch_over(&pc, NULL, service);
        }

        patch_over(&pc, r->id, service);
        r->plugins = patch_chain(&pc);
    }

    return 0;
}


/* routes that did not change, but the plugins in whose scope they are */
static void
patch_affected(patch_t *p)
{
    size_t                 i, n;
    uint8_t               *services, *gone;
    kong_route_t          *copy;
    const kong_route_t    *r;
    const kong_service_t  *s;

    if (p->plugins.n_gone + p->plugins.n_come == 0) {
        return;
    }

    n = p->old->sections[KONG_SECTION_SERVICES].n;
    services = arena_zalloc(p->arena, n + 1);

    for (i = 0, s = p->old->services; i < n; i++, s++) {
        services[i] = (diff_ids_get(&p->scopes, s->id) != NULL);
    }

    n = p->old->sections[KONG_SECTION_ROUTES].n;
    gone = arena_zalloc(p->arena, n + 1);

    for (i = 0; i < p->routes.n_gone; i++) {
        if (p->routes.gone[i].record != KONG_NONE) {
            gone[p->routes.gone[i].record] = 1;
        }
    }

    for (i = 0, r = p->old->routes; i < n; i++, r++) {

        if (gone[i] || memcmp(r->id, patch_no_id, sizeof(r->id)) == 0
            || !((r->service != KONG_NONE && services[r->service])
                 || diff_ids_get(&p->scopes, r->id) != NULL))
        {
            continue;
        }

        copy = arena_alloc(p->arena, sizeof(kong_route_t));
        *copy = *r;
        bytes_put(&p->dirty, &copy, sizeof(copy));
        patch_edit(p, KONG_SECTION_ROUTES,
                   i * sizeof(kong_route_t) + offsetof(kong_route_t, plugins),
                   &copy->plugins, sizeof(copy->plugins));
    }
}


static unsigned
patch_is_gone(const patch_t *p, uint32_t plugin)
{
    return p->plugins_gone != NULL
           && plugin < p->old->sections[KONG_SECTION_PLUGINS].n
           && p->plugins_gone[plugin];
}


/* the scopes whose instances are looked for */
static void
patch_scopes(patch_chains_t *pc)
{
    size_t                 i;
    patch_t               *p;
    const kong_route_t    *r;
    const kong_service_t  *s;

    p = pc->patch;
    diff_ids_init(&pc->scopes, p->arena, 2 * pc->n_dirty);

    for (i = 0; i < pc->n_dirty; i++) {
        r = pc->dirty[i];
        (void) diff_ids_add(&pc->scopes, r->id);

        if (r->service != KONG_NONE) {
            s = patch_record(p, KONG_SECTION_SERVICES, r->service,
                             sizeof(kong_service_t));
            (void) diff_ids_add(&pc->scopes, s->id);
        }
    }
}


/* instances of those scopes, and the global ones */
static void
patch_instances(patch_chains_t *pc)
{
    uint32_t              i;
    diff_id_t            *slot;
    const uint8_t        *scope;
    const kong_plugin_t  *in;

    for (i = 0; i < pc->n_types; i++) {
        pc->base[i].type = i;
        pc->base[i].plugin = KONG_NONE;
        pc->base[i].level = KONG_LEVEL_NONE;
    }

    for (i = 0; i < pc->n_plugins; i++) {
        in = patch_record(pc->patch, KONG_SECTION_PLUGINS, i, sizeof(*in));
        pc->next[i] = KONG_NONE;

        if (in->consumer != KONG_NONE || patch_is_gone(pc->patch, i)
            || memcmp(in->id, patch_no_id, sizeof(patch_no_id)) == 0)
        {
            continue;
        }

        scope = (memcmp(in->route_id, patch_no_id, 16) != 0)
                ? in->route_id : in->service_id;

        if (memcmp(scope, patch_no_id, 16) == 0) {
            patch_place(pc, pc->base, i, KONG_LEVEL_GLOBAL);
            continue;
        }

        slot = diff_ids_get(&pc->scopes, scope);

        if (slot != NULL) {
            pc->next[i] = slot->record;
            slot->record = i;
        }
    }
}


static void
patch_place(patch_chains_t *pc, kong_slot_t *slots, uint32_t i,
    uint32_t level)
{
    uint32_t              other;
    const kong_plugin_t  *in, *taken;

    in = patch_record(pc->patch, KONG_SECTION_PLUGINS, i, sizeof(*in));
    other = slots[in->type].plugin;

    if (level == slots[in->type].level && other != KONG_NONE) {
        taken = patch_record(pc->patch, KONG_SECTION_PLUGINS, other,
                             sizeof(*in));

        if (memcmp(in->id, taken->id, sizeof(in->id)) > 0) {
            slots[in->type].plugin = i;
        }

    } else if (level < slots[in->type].level) {
        slots[in->type].plugin = i;
        slots[in->type].level = level;
    }
}


/*
 * The more specific instance of a type takes the other's place.  `route` and
 * `service` are the route's own, NULL where it has none; without `route` it
 * is the instances of the service.  A route may have the id of a service.
 */
static void
patch_over(patch_chains_t *pc, const uint8_t *route, const uint8_t *service)
{
    uint32_t              i, level;
    const uint8_t        *scope;
    const kong_plugin_t  *in;

    scope = (route != NULL) ? route : service;

    for (i = diff_ids_get(&pc->scopes, scope)->record; i != KONG_NONE;
         i = pc->next[i])
    {
        in = patch_record(pc->patch, KONG_SECTION_PLUGINS, i, sizeof(*in));

        if ((memcmp(in->route_id, patch_no_id, 16) == 0) != (route == NULL)) {
            continue;
        }

        if (route == NULL) {
            level = KONG_LEVEL_SERVICE;

        } else if (memcmp(in->service_id, patch_no_id, 16) == 0) {
            level = KONG_LEVEL_ROUTE;

        } else if (service != NULL
                   && memcmp(in->service_id, service, 16) == 0)
        {
            level = KONG_LEVEL_ROUTE_SERVICE;

        } else {
            continue;
        }

        patch_place(pc, pc->slots, i, level);
    }
}


/* where it is in a run of chains, or the run's end */
static size_t
patch_search(const uint8_t *chains, size_t from, size_t end,
    const uint8_t *chain, size_t size)
{
    size_t  n;

    for ( /* void */ ; from < end; from += n) {
        n = sizeof(kong_chain_t)
            + kong_u32(chains + from) * sizeof(kong_slot_t);

        if (n == size && memcmp(chains + from, chain, size) == 0) {
            break;
        }
    }

    return from;
}


/* the place of the chain of pc->slots; 0 when it is empty */
static uint32_t
patch_chain(patch_chains_t *pc)
{
    size_t                      size, n_old, at;
    uint32_t                    i, n;
    patch_section_t            *s;
    const kong_section_t       *old;
    const kong_plugin_type_t   *types;

    types = kong_segment_section(pc->patch->old, KONG_SECTION_PLUGIN_TYPES);
    size = sizeof(kong_chain_t);

    for (i = 0, n = 0; i < pc->n_types; i++) {
        if (pc->slots[i].plugin != KONG_NONE
            || (types[i].flags & KONG_TYPE_CONSUMER))
        {
            memcpy(pc->chain + size, &pc->slots[i], sizeof(kong_slot_t));
            size += sizeof(kong_slot_t);
            n++;
        }
    }

    if (n == 0) {
        return 0;
    }

    memcpy(pc->chain, &n, sizeof(n));

    /* most share one with others, if only with those of this change */

    old = &pc->patch->old->sections[KONG_SECTION_CHAINS];
    n_old = old->size;
    s = patch_section(pc->patch, KONG_SECTION_CHAINS);

    if (n_old < PATCH_SEARCH) {
        at = patch_search(pc->patch->old->base + old->offset,
                          sizeof(uint32_t), n_old, pc->chain, size);

        if (at < n_old) {
            return (uint32_t) at;
        }
    }

    at = patch_search(s->bytes.data, 0,
                      (s->bytes.size < PATCH_NEAR) ? s->bytes.size : 0,
                      pc->chain, size);

    if (at == s->bytes.size || s->bytes.size >= PATCH_NEAR) {
        at = s->bytes.size;
        bytes_put(&s->bytes, pc->chain, size);
    }

    return (uint32_t) (n_old + at);
}
