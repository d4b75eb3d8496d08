/*
 * patch_routes: services and routes that changed.  A row that keeps its id
 * keeps its record's number; what leads to a route (conditions, candidates)
 * is taken out of the index and put in again.
 */

#include <stdlib.h>
#include <string.h>

#include "entities.h"
#include "patch.h"
#include "../../ngx_kong_module/snapshot/kong_index.h"


typedef struct {
    patch_t        *patch;
    diff_ids_t      ids;             /* of routes */
    kong_route_t   *records;         /* of those that come, by row */
    route_rule_t   *gone;
    size_t          n_gone;
    route_rule_t   *come;
    size_t          n_come;
} patch_routes_t;


static value_t *patch_upstream_names(patch_t *p);
static int patch_hosts(patch_t *p, const value_t *names);
static int patch_service_ids(patch_t *p);
static int patch_service(patch_t *p, diff_row_t *row);
static int patch_service_upstream(patch_t *p, const value_t *v,
    kong_service_t *s);
static int patch_orphans(patch_t *p);
static int patch_routes_gone(patch_routes_t *pr);
static int patch_routes_come(patch_routes_t *pr);
static int patch_route_service(patch_t *p, const value_t *row,
    uint32_t *service, unsigned *enabled);
static int patch_index(patch_routes_t *pr);
static int patch_index_take(patch_t *p, route_index_t *ri);


int
patch_services(patch_t *p)
{
    size_t       i;
    value_t     *names;
    diff_row_t  *gone;

    names = patch_upstream_names(p);

    if (names == NULL || patch_service_ids(p) != 0
        || (names->len != 0 && patch_hosts(p, names) != 0))
    {
        return -1;
    }

    for (i = 0; i < p->services.n_come; i++) {
        if (patch_service(p, &p->services.come[i]) != 0) {
            return -1;
        }
    }

    for (i = 0; i < p->services.n_gone; i++) {
        gone = &p->services.gone[i];

        if (gone->record == KONG_NONE
            || !entity_flag(gone->row, "enabled", 1))
        {
            return -1;
        }

        if (gone->other == KONG_NONE) {
            patch_bury(p, KONG_SECTION_SERVICES,
                       gone->record * sizeof(kong_service_t));
            p->head.n_services--;
        }
    }

    return 0;
}


/* names that upstreams have got or given up, as an object; NULL: one of them
 * has a certificate for its services */
static value_t *
patch_upstream_names(patch_t *p)
{
    size_t          i;
    value_t        *names;
    diff_t         *d;
    const value_t  *row, *name;

    d = &p->upstreams;
    names = value_new(p->arena);
    value_set_object(names);

    for (i = 0; i < d->n_gone + d->n_come; i++) {
        row = (i < d->n_gone) ? d->gone[i].row
                              : d->come[i - d->n_gone].row;
        name = value_get(row, "name");

        if (name == NULL || name->kind != VALUE_STRING
            || !value_is_null(value_get(row, "client_certificate")))
        {
            return NULL;
        }

        if (config_by_key(p->before, "upstreams", name->u.string, name->len)
            == NULL
            || config_by_key(p->config, "upstreams", name->u.string,
                             name->len)
               == NULL)
        {
            (void) value_putn(p->arena, names, name->u.string, name->len);
        }
    }

    return names;
}


/* services that did not change, but what their hosts mean */
static int
patch_hosts(patch_t *p, const value_t *names)
{
    size_t           i;
    uint8_t          id[16];
    diff_ids_t       ids;
    diff_id_t       *slot;
    kong_service_t  *s;
    config_table_t  *t;
    const value_t   *host;

    t = config_table(p->config, "services");
    diff_ids_init(&ids, p->arena, t->n);

    for (i = 0; i < t->n; i++) {
        host = value_get(t->rows[i], "host");

        if (host != NULL && host->kind == VALUE_STRING
            && value_getn(names, host->u.string, host->len) != NULL)
        {
            if (entity_id(t->rows[i], id) != 0) {
                return -1;
            }

            (void) diff_ids_add(&ids, id);
        }
    }

    diff_ids_find(&ids, p->old->services,
                  p->old->sections[KONG_SECTION_SERVICES].n,
                  sizeof(kong_service_t));

    for (i = 0; i < t->n; i++) {
        if (entity_id(t->rows[i], id) != 0) {
            return -1;
        }

        slot = diff_ids_get(&ids, id);

        /* one that comes is made with its upstream, later */

        if (slot == NULL || slot->record == KONG_NONE) {
            continue;
        }

        s = arena_alloc(p->arena, sizeof(kong_service_t));
        *s = p->old->services[slot->record];
        host = value_get(t->rows[i], "host");

        if (!(s->flags & KONG_SERVICE_ADDRESS)) {
            s->flags &= (uint8_t) ~KONG_SERVICE_UPSTREAM;
            s->endpoint = kong_endpoint_key(host->u.string, host->len);
        }

        if (patch_service_upstream(p, t->rows[i], s) != 0) {
            return -1;
        }

        patch_edit(p, KONG_SECTION_SERVICES,
                   slot->record * sizeof(kong_service_t), s,
                   sizeof(kong_service_t));
    }

    return 0;
}


/* the records of all services that the change has to do with */
static int
patch_service_ids(patch_t *p)
{
    size_t          i;
    uint8_t         id[16];
    diff_row_t     *row;
    const value_t  *service;

    diff_ids_init(&p->service_ids, p->arena,
                  p->services.n_gone + p->services.n_come
                  + p->routes.n_come);

    for (i = 0; i < p->services.n_gone + p->services.n_come; i++) {
        row = (i < p->services.n_gone)
              ? &p->services.gone[i]
              : &p->services.come[i - p->services.n_gone];
        (void) diff_ids_add(&p->service_ids, row->id);
    }

    for (i = 0; i < p->routes.n_come; i++) {
        service = value_get(p->routes.come[i].row, "service");

        if (!value_is_null(service)) {
            if (entity_id(service, id) != 0) {
                return -1;
            }

            (void) diff_ids_add(&p->service_ids, id);
        }
    }

    diff_ids_find(&p->service_ids, p->old->services,
                  p->old->sections[KONG_SECTION_SERVICES].n,
                  sizeof(kong_service_t));

    for (i = 0; i < p->services.n_gone; i++) {
        row = &p->services.gone[i];
        row->record = diff_ids_get(&p->service_ids, row->id)->record;
    }

    return 0;
}


static int
patch_service(patch_t *p, diff_row_t *row)
{
    const char             *err;
    diff_id_t              *slot;
    kong_service_t         *s;
    patch_section_t        *section;
    const kong_service_t   *old;

    s = arena_zalloc(p->arena, sizeof(kong_service_t));
    slot = diff_ids_get(&p->service_ids, row->id);

    if (!entity_flag(row->row, "enabled", 1)
        || (slot->record == KONG_NONE) != (row->other == KONG_NONE)
        || entity_service(p->arena, &p->w, row->row, s, &err) != 0
        || patch_service_upstream(p, row->row, s) != 0)
    {
        return -1;
    }

    if (slot->record == KONG_NONE) {
        section = patch_section(p, KONG_SECTION_SERVICES);
        slot->record = section->n++;
        bytes_put(&section->bytes, s, sizeof(kong_service_t));
        p->head.n_services++;

    } else {
        old = &p->old->services[slot->record];

        /* its routes come or go with that */

        if ((old->protocol & ENTITY_HTTP) != (s->protocol & ENTITY_HTTP)
            && ((old->protocol & ENTITY_HTTP) == 0
                || (s->protocol & ENTITY_HTTP) == 0))
        {
            return -1;
        }

        patch_edit(p, KONG_SECTION_SERVICES,
                   slot->record * sizeof(kong_service_t), s,
                   sizeof(kong_service_t));
    }

    row->record = slot->record;

    return 0;
}


static int
patch_service_upstream(patch_t *p, const value_t *v, kong_service_t *s)
{
    const char     *err;
    const value_t  *host;

    host = value_get(v, "host");

    if (!(s->flags & KONG_SERVICE_ADDRESS)
        && config_by_key(p->config, "upstreams", host->u.string, host->len)
           != NULL)
    {
        s->flags |= KONG_SERVICE_UPSTREAM;
        s->endpoint = kong_upstream_key(host->u.string, host->len);
    }

    return certificates_service(&p->certificates, v, s, &err);
}


int
patch_routes(patch_t *p)
{
    int             rc;
    size_t          i;
    diff_t         *d;
    patch_routes_t  pr;

    d = &p->routes;

    if (d->n_gone + d->n_come == 0) {
        return patch_orphans(p);
    }

    memset(&pr, 0, sizeof(pr));
    pr.patch = p;
    pr.records = arena_zalloc(p->arena,
                              (d->n_come + 1) * sizeof(kong_route_t));
    pr.gone = arena_alloc(p->arena, (d->n_gone + 1) * sizeof(route_rule_t));
    pr.come = arena_alloc(p->arena, (d->n_come + 1) * sizeof(route_rule_t));

    diff_ids_init(&pr.ids, p->arena, d->n_gone + d->n_come);

    for (i = 0; i < d->n_gone; i++) {
        (void) diff_ids_add(&pr.ids, d->gone[i].id);
    }

    for (i = 0; i < d->n_come; i++) {
        (void) diff_ids_add(&pr.ids, d->come[i].id);
    }

    diff_ids_find(&pr.ids, p->old->routes,
                  p->old->sections[KONG_SECTION_ROUTES].n,
                  sizeof(kong_route_t));

    rc = patch_routes_gone(&pr);

    if (rc == 0) {
        rc = patch_routes_come(&pr);
    }

    if (rc == 0) {
        rc = patch_orphans(p);
    }

    if (rc == 0 && pr.n_gone + pr.n_come != 0) {
        rc = patch_index(&pr);
    }

    return rc;
}


/* what led to the routes as they were */
static int
patch_routes_gone(patch_routes_t *pr)
{
    size_t                 i;
    patch_t               *p;
    const char            *err;
    diff_row_t            *gone;
    const kong_route_t    *r;
    const kong_service_t  *s;

    p = pr->patch;

    for (i = 0; i < p->routes.n_gone; i++) {
        gone = &p->routes.gone[i];
        gone->record = diff_ids_get(&pr->ids, gone->id)->record;

        /* of a disabled service: it is not there */

        if (gone->record == KONG_NONE) {
            continue;
        }

        r = &p->old->routes[gone->record];
        s = (r->service == KONG_NONE) ? NULL : &p->old->services[r->service];

        if (entity_is_served(r, s)
            && entity_rule(p->arena, gone->row, r, gone->record,
                           &pr->gone[pr->n_gone++], &err)
               != 0)
        {
            return -1;
        }

        p->head.n_routes--;
        patch_bury(p, KONG_SECTION_ROUTES,
                   gone->record * sizeof(kong_route_t));
    }

    return 0;
}


static int
patch_routes_come(patch_routes_t *pr)
{
    size_t                 i;
    patch_t               *p;
    uint32_t               service;
    unsigned               enabled;
    const char            *err;
    diff_row_t            *come;
    kong_route_t          *r;
    patch_section_t       *section;
    const kong_service_t  *s;

    p = pr->patch;

    for (i = 0; i < p->routes.n_come; i++) {
        come = &p->routes.come[i];
        r = &pr->records[i];

        if (patch_route_service(p, come->row, &service, &enabled) != 0) {
            return -1;
        }

        if (!enabled) {

            if (come->other != KONG_NONE
                && p->routes.gone[come->other].record != KONG_NONE)
            {
                return -1;
            }

            continue;
        }

        if (entity_route(p->arena, &p->w, come->row, service, r, &err) != 0) {
            return -1;
        }

        come->record = diff_ids_get(&pr->ids, come->id)->record;

        /* it was there and not served: its plugins are not, either */

        if ((come->record == KONG_NONE) != (come->other == KONG_NONE)) {
            return -1;
        }

        if (come->record == KONG_NONE) {
            section = patch_section(p, KONG_SECTION_ROUTES);
            come->record = section->n++;
            (void) bytes_zadd(&section->bytes, sizeof(kong_route_t));
        }

        s = (service == KONG_NONE)
            ? NULL : patch_record(p, KONG_SECTION_SERVICES, service,
                                  sizeof(kong_service_t));

        if (entity_is_served(r, s)
            && entity_rule(p->arena, come->row, r, come->record,
                           &pr->come[pr->n_come++], &err)
               != 0)
        {
            return -1;
        }

        p->head.n_routes++;
        patch_edit(p, KONG_SECTION_ROUTES,
                   come->record * sizeof(kong_route_t), r,
                   sizeof(kong_route_t));
        bytes_put(&p->dirty, &r, sizeof(r));
    }

    return 0;
}


/* the number of the row's service, and whether it is served at all */
static int
patch_route_service(patch_t *p, const value_t *row, uint32_t *service,
    unsigned *enabled)
{
    uint8_t         id[16];
    const value_t  *ref, *v;

    *service = KONG_NONE;
    *enabled = 1;
    ref = value_get(row, "service");

    if (value_is_null(ref)) {
        return 0;
    }

    ref = value_get(ref, "id");

    if (ref == NULL || ref->kind != VALUE_STRING
        || kong_uuid_parse(ref->u.string, ref->len, id) != 0)
    {
        return -1;
    }

    v = config_by_id(p->config, "services", ref->u.string, ref->len);

    if (v == NULL) {
        return -1;
    }

    *enabled = entity_flag(v, "enabled", 1);
    *service = diff_ids_get(&p->service_ids, id)->record;

    return (*service == KONG_NONE) ? -1 : 0;
}


/* a route whose service is gone is an error, which is told elsewhere */
static int
patch_orphans(patch_t *p)
{
    size_t               i, n;
    uint8_t             *dead, *gone;
    unsigned             any;
    diff_row_t          *row;
    const kong_route_t  *r;

    static const uint8_t  none[16];

    n = p->old->sections[KONG_SECTION_ROUTES].n;
    dead = arena_zalloc(p->arena,
                        p->old->sections[KONG_SECTION_SERVICES].n + 1);
    any = 0;

    for (i = 0; i < p->services.n_gone; i++) {
        row = &p->services.gone[i];

        if (row->other == KONG_NONE) {
            dead[row->record] = 1;
            any = 1;
        }
    }

    if (!any) {
        return 0;
    }

    gone = arena_zalloc(p->arena, n + 1);

    for (i = 0; i < p->routes.n_gone; i++) {
        if (p->routes.gone[i].record != KONG_NONE) {
            gone[p->routes.gone[i].record] = 1;
        }
    }

    for (i = 0, r = p->old->routes; i < n; i++, r++) {
        if (r->service != KONG_NONE && dead[r->service] && !gone[i]
            && memcmp(r->id, none, sizeof(none)) != 0)
        {
            return -1;
        }
    }

    return 0;
}


static int
patch_index(patch_routes_t *pr)
{
    int             rc;
    patch_t        *p;
    route_index_t   ri;
    route_change_t  change;

    p = pr->patch;
    memset(&change, 0, sizeof(change));

    change.index = p->old->index;
    change.index_size = p->old->sections[KONG_SECTION_INDEX].size;
    change.predicates = p->old->predicates;
    change.predicates_size = p->old->sections[KONG_SECTION_PREDICATES].size;
    change.n_regexes = p->old->sections[KONG_SECTION_REGEXES].n;
    change.order = &p->state->order;
    change.n_routes = p->sections[KONG_SECTION_ROUTES].n;
    change.gone = pr->gone;
    change.n_gone = pr->n_gone;
    change.rules = pr->come;
    change.n_rules = pr->n_come;

    p->used = 1;

    if (route_index_change(&change, &ri) != 0) {
        return -1;
    }

    rc = patch_index_take(p, &ri);
    route_index_release(&ri);

    return rc;
}


static void
patch_take(patch_t *p, kong_section_id_t id, uint32_t n, uint8_t **data,
    size_t size)
{
    patch_section_t  *s;

    s = patch_section(p, id);
    s->whole = 1;
    s->n = n;
    s->bytes.data = *data;
    s->bytes.size = size;
    s->bytes.cap = size;
    *data = NULL;
}


static int
patch_index_take(patch_t *p, route_index_t *ri)
{
    uint32_t          i;
    kong_regex_t      re;
    route_edit_t     *edit;
    route_regex_t    *from;
    patch_section_t  *s;

    for (i = 0; i < ri->n_regexes; i++) {
        s = patch_section(p, KONG_SECTION_REGEXES);
        from = &ri->regexes[i];

        memset(&re, 0, sizeof(re));
        re.pattern = writer_new_string(&p->w, from->pattern.data,
                                       from->pattern.len);
        re.flags = from->flags;
        re.hash = kong_regex_hash(from->flags, from->pattern.data,
                                  from->pattern.len);
        bytes_put(&s->bytes, &re, sizeof(re));
        s->n++;
    }

    patch_take(p, KONG_SECTION_PREDICATES, ri->n_rules, &ri->predicates,
               ri->predicates_size);

    s = patch_section(p, KONG_SECTION_INDEX);
    s->bytes.data = ri->index;
    s->bytes.size = ri->index_size;
    s->bytes.cap = ri->index_size;
    ri->index = NULL;

    for (i = 0; i < ri->n_edits; i++) {
        edit = arena_alloc(p->arena, sizeof(route_edit_t));
        *edit = ri->edits[i];
        patch_edit(p, KONG_SECTION_INDEX, edit->at, edit->bytes, edit->n);
    }

    p->state->order = ri->order;
    memset(&ri->order, 0, sizeof(route_ranking_t));

    return 0;
}
