/*
 * aside: see aside.h.  Whatever is not known to observe only is taken for a
 * guard: a route is rather closed than left open.
 */

#include <string.h>

#include "aside.h"
#include "entities.h"


/* after all authentication, so that a consumer's plugin finds its consumer;
 * before anything that answers or caches */
#define ASIDE_PRIORITY  999


static void aside_put(aside_t *as, const char *entity, const value_t *row,
    const char *reason);
static void aside_close(aside_t *as, const value_t *row,
    const char *reason);
static void aside_group(aside_t *as, const compile_aside_t *broken);
static unsigned aside_observes(const value_t *name);
static const plugin_schema_t *aside_schema(aside_t *as,
    const value_t *name);
static void *aside_grow(aside_t *as, void *list, size_t n, size_t *cap,
    size_t size);


void
aside_init(aside_t *as, arena_t *a, const config_t *c,
    const compile_opts_t *opts)
{
    size_t           i;
    config_table_t  *t;

    memset(as, 0, sizeof(*as));
    as->arena = a;
    as->on = opts->set_aside;

    t = config_table(c, "plugins");
    as->skip = arena_zalloc(a, (t != NULL ? t->n : 0) + 1);

    for (i = 0; as->on && i < opts->n_broken; i++) {
        (void) aside_add(as, opts->broken[i].entity, opts->broken[i].row,
                         opts->broken[i].reason);

        if (strcmp(opts->broken[i].entity, "plugins") == 0
            && entity_flag(opts->broken[i].row, "enabled", 1))
        {
            aside_close(as, opts->broken[i].row, opts->broken[i].reason);

        } else if (strcmp(opts->broken[i].entity, "acls") == 0) {
            aside_group(as, &opts->broken[i]);
        }
    }
}


/* a group that is not known might be one that is denied: its consumer is */
static void
aside_group(aside_t *as, const compile_aside_t *broken)
{
    value_t  *row, *consumer;

    consumer = value_get(broken->row, "consumer");

    if (value_is_null(consumer)) {
        return;
    }

    row = value_new(as->arena);
    value_set_object(row);
    value_set_string(value_put(as->arena, row, "name"), "acl", 3);
    *value_put(as->arena, row, "consumer") = *consumer;

    aside_close(as, row, broken->reason);
}


/* the service's host is such an upstream's name: it must not be taken for a
 * name of the DNS */
int
aside_is_upstream(const aside_t *as, const value_t *name)
{
    size_t  i;

    for (i = 0; i < as->n; i++) {
        if (strcmp(as->list[i].entity, "upstreams") == 0
            && value_equal(value_get(as->list[i].row, "name"), name))
        {
            return 1;
        }
    }

    return 0;
}


int
aside_add(aside_t *as, const char *entity, const value_t *row,
    const char *reason)
{
    if (!as->on) {
        return 0;
    }

    aside_put(as, entity, row, reason);

    return 1;
}


static void
aside_put(aside_t *as, const char *entity, const value_t *row,
    const char *reason)
{
    compile_aside_t  *e;

    as->list = aside_grow(as, as->list, as->n, &as->cap, sizeof(*e));
    e = &as->list[as->n++];

    e->entity = entity;
    e->row = row;
    e->reason = reason;
}


int
aside_plugin(aside_t *as, const value_t *row, size_t i, const char *reason)
{
    unsigned  idle;

    idle = aside_idle(row);

    if (!as->on && !idle) {
        return 0;
    }

    aside_put(as, "plugins", row, reason);
    as->n_idle += idle;
    as->skip[i] = 1;
    aside_close(as, row, reason);

    return 1;
}


static void
aside_close(aside_t *as, const value_t *row, const char *reason)
{
    aside_closed_t  *e;
    const value_t   *name;

    name = value_get(row, "name");

    if (aside_observes(name)) {
        return;
    }

    as->closed = aside_grow(as, as->closed, as->n_closed, &as->cap_closed,
                            sizeof(*e));
    e = &as->closed[as->n_closed++];

    e->row = row;
    e->reason = reason;
    e->schema = aside_schema(as, name);
}


unsigned
aside_idle(const value_t *row)
{
    const value_t          *name;
    const plugin_schema_t  *p;

    name = value_get(row, "name");

    if (name == NULL || name->kind != VALUE_STRING
        || !entity_flag(row, "enabled", 1))
    {
        return 0;
    }

    p = schema_plugin(name->u.string, name->len);

    return p != NULL && p->observes && !p->implemented;
}


size_t
aside_list_idle(arena_t *a, const config_t *c, compile_aside_t **list)
{
    size_t                 i;
    aside_t                as;
    const config_table_t  *t;

    memset(&as, 0, sizeof(as));
    as.arena = a;
    t = config_table(c, "plugins");

    for (i = 0; t != NULL && i < t->n; i++) {
        if (aside_idle(t->rows[i])) {
            aside_put(&as, "plugins", t->rows[i], ASIDE_NO_CODE);
        }
    }

    *list = as.list;

    return as.n;
}


static unsigned
aside_observes(const value_t *name)
{
    const plugin_schema_t  *p;

    if (name == NULL || name->kind != VALUE_STRING) {
        return 0;
    }

    p = schema_plugin(name->u.string, name->len);

    return p != NULL && p->observes;
}


static const plugin_schema_t *
aside_schema(aside_t *as, const value_t *name)
{
    size_t                  i;
    const char             *text;
    plugin_schema_t        *made;
    const plugin_schema_t  *known;

    text = "unknown";
    known = NULL;

    if (name != NULL && name->kind == VALUE_STRING) {
        text = name->u.string;
        known = schema_plugin(text, name->len);
    }

    if (known != NULL) {
        return known;
    }

    for (i = 0; i + 1 < as->n_closed; i++) {
        if (strcmp(as->closed[i].schema->schema.name, text) == 0) {
            return as->closed[i].schema;
        }
    }

    made = arena_zalloc(as->arena, sizeof(plugin_schema_t));
    made->schema.name = text;
    made->priority = ASIDE_PRIORITY;

    return made;
}


static void *
aside_grow(aside_t *as, void *list, size_t n, size_t *cap, size_t size)
{
    void  *p;

    if (n < *cap) {
        return list;
    }

    *cap = *cap * 2 + 16;
    p = arena_zalloc(as->arena, *cap * size);

    if (n != 0) {
        memcpy(p, list, n * size);
    }

    return p;
}


void
aside_finish(const aside_t *as, const compile_opts_t *opts)
{
    if (opts->aside != NULL) {
        *opts->aside = as->list;
        *opts->n_aside = as->n;
    }
}


const char *
compile_aside_name(arena_t *a, const compile_aside_t *aside)
{
    const char      *kind, *id;
    const value_t   *name;
    const schema_t  *s;

    s = schema_find(aside->entity);
    kind = (s != NULL && s->singular != NULL) ? s->singular : aside->entity;
    name = value_get(aside->row, "name");

    if (strcmp(aside->entity, "plugins") != 0 || value_cstr(name) == NULL) {
        return entity_name(a, kind, aside->row);
    }

    id = value_cstr(value_get(aside->row, "id"));

    return arena_printf(a, "plugin '%s' (id %s)", name->u.string,
                        id != NULL ? id : "unknown");
}
