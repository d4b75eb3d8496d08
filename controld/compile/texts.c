/*
 * texts: see texts.h.  Kong's own encoding, but for its escaped slashes: no
 * member that is null, the workspace in routes and services.
 */

#include <string.h>

#include "entities.h"
#include "texts.h"
#include "../model/json.h"
#include "../../ngx_kong_module/snapshot/kong_texts.h"


/* of a node without a database */
#define TEXTS_WORKSPACE  "0dc6f45b-8f8d-40d2-a504-473544ee190b"

typedef struct {
    const char  *entity;
    size_t       at;                 /* in kong_texts_t */
    unsigned     workspace;          /* shows its id */
} texts_kind_t;


static void texts_rows(arena_t *a, const config_t *c, writer_t *w,
    const texts_kind_t *kind, const ids_t *ids, kong_texts_t *texts);
static uint32_t texts_add(arena_t *a, const config_t *c, writer_t *w,
    const texts_kind_t *kind, const value_t *row);
static value_t *texts_copy(arena_t *a, const value_t *from);
static size_t texts_plain(char *text, size_t len);
static const char *texts_workspace(const config_t *c);
static int texts_patch(patch_t *p, const texts_kind_t *kind,
    const diff_t *d);


static const texts_kind_t  texts_routes = {
    "routes", offsetof(kong_texts_t, route), 1
};

static const texts_kind_t  texts_services = {
    "services", offsetof(kong_texts_t, service), 1
};

static const texts_kind_t  texts_consumers = {
    "consumers", offsetof(kong_texts_t, consumer), 0
};


unsigned
texts_wanted(const config_t *c)
{
    size_t                  i;
    const value_t          *name;
    config_table_t         *t;
    const plugin_schema_t  *p;

    t = config_table(c, "plugins");

    for (i = 0; t != NULL && i < t->n; i++) {
        name = value_get(t->rows[i], "name");

        if (name == NULL || name->kind != VALUE_STRING
            || !entity_flag(t->rows[i], "enabled", 1))
        {
            continue;
        }

        p = schema_plugin(name->u.string, name->len);

        if (p != NULL && p->implemented && p->records) {
            return 1;
        }
    }

    return 0;
}


void
texts_compile(arena_t *a, const config_t *c, writer_t *w,
    const kong_route_t *routes, size_t n_routes,
    const kong_service_t *services, size_t n_services,
    const ids_t *consumers)
{
    ids_t         ids;
    size_t        n;
    const char   *workspace;
    kong_texts_t *texts;

    n = config_table(c, "consumers")->n;
    n = (n > n_routes) ? n : n_routes;
    n = (n > n_services) ? n : n_services;
    n = (n > 0) ? n : 1;

    texts = writer_records(w, KONG_SECTION_TEXTS, n, sizeof(*texts));

    if (texts == NULL) {
        return;
    }

    workspace = texts_workspace(c);
    texts[0].workspace = writer_string(w, workspace, strlen(workspace));

    ids_build(&ids, a, routes, n_routes, sizeof(*routes));
    texts_rows(a, c, w, &texts_routes, &ids, texts);

    ids_build(&ids, a, services, n_services, sizeof(*services));
    texts_rows(a, c, w, &texts_services, &ids, texts);

    texts_rows(a, c, w, &texts_consumers, consumers, texts);
}


static void
texts_rows(arena_t *a, const config_t *c, writer_t *w,
    const texts_kind_t *kind, const ids_t *ids, kong_texts_t *texts)
{
    size_t           i;
    uint8_t          id[16];
    uint32_t         number;
    config_table_t  *t;

    t = config_table(c, kind->entity);

    for (i = 0; i < t->n; i++) {

        if (entity_id(t->rows[i], id) != 0) {
            continue;
        }

        number = ids_find(ids, id);

        if (number != KONG_NONE) {
            *(uint32_t *) (void *) ((char *) &texts[number] + kind->at)
                = texts_add(a, c, w, kind, t->rows[i]);
        }
    }
}


static uint32_t
texts_add(arena_t *a, const config_t *c, writer_t *w,
    const texts_kind_t *kind, const value_t *row)
{
    char        *text;
    size_t       len;
    value_t     *copy;
    const char  *workspace;

    copy = texts_copy(a, row);

    if (kind->workspace) {
        workspace = texts_workspace(c);
        value_set_string(value_put(a, copy, "ws_id"), workspace,
                         strlen(workspace));
    }

    text = json_print(a, copy, &len);
    len = texts_plain(text, len);

    return writer_new_string(w, text, len);
}


/* without what is null; values are shared */
static value_t *
texts_copy(arena_t *a, const value_t *from)
{
    uint32_t         i;
    value_t         *copy;
    member_t         m;

    copy = value_new(a);
    value_set_object(copy);
    value_reserve(a, copy, from->len + 1);

    for (i = 0; i < from->len; i++) {
        m = value_member(from, i);

        if (!value_is_null(m.value)) {
            *value_putn(a, copy, m.key, m.key_len) = *m.value;
        }
    }

    return copy;
}


/* "\/" becomes "/", in place */
static size_t
texts_plain(char *text, size_t len)
{
    size_t  i, n;

    for (i = 0, n = 0; i < len; i++) {

        if (text[i] == '\\' && i + 1 < len) {
            i++;

            if (text[i] != '/') {
                text[n++] = '\\';
            }
        }

        text[n++] = text[i];
    }

    return n;
}


static const char *
texts_workspace(const config_t *c)
{
    size_t           i;
    const char      *id;
    config_table_t  *t;

    t = config_table(c, "workspaces");

    for (i = 0; t != NULL && i < t->n; i++) {
        id = value_cstr(value_get(t->rows[i], "id"));

        if (id != NULL && value_str_eq(value_get(t->rows[i], "name"),
                                       "default"))
        {
            return id;
        }
    }

    return TEXTS_WORKSPACE;
}


int
patch_texts(patch_t *p)
{
    if (p->old->sections[KONG_SECTION_TEXTS].id == 0) {
        return 0;
    }

    return (texts_patch(p, &texts_routes, &p->routes) != 0
            || texts_patch(p, &texts_services, &p->services) != 0
            || texts_patch(p, &texts_consumers, &p->consumers) != 0) ? -1 : 0;
}


static int
texts_patch(patch_t *p, const texts_kind_t *kind, const diff_t *d)
{
    size_t            i;
    uint32_t          number, *ref;
    patch_section_t  *s;

    for (i = 0; i < d->n_come; i++) {
        number = d->come[i].record;

        if (number == KONG_NONE) {
            continue;
        }

        s = patch_section(p, KONG_SECTION_TEXTS);

        while (s->n <= number) {
            s->n++;
            (void) bytes_zadd(&s->bytes, sizeof(kong_texts_t));
        }

        ref = arena_alloc(p->arena, sizeof(uint32_t));
        *ref = texts_add(p->arena, p->config, &p->w, kind, d->come[i].row);
        patch_edit(p, KONG_SECTION_TEXTS,
                   number * sizeof(kong_texts_t) + kind->at, ref,
                   sizeof(uint32_t));
    }

    return 0;
}
