/*
 * declarative_walk: from a document to rows.  The schema tables say which
 * entities may be nested in which (every foreign field makes its owner a
 * child of the entity that it points at); nesting has no other limit than
 * the document's own depth.
 *
 * Child lists, comments and remaining lifetimes are taken out of the entity
 * here, so that what is left is what the schema knows.
 */

#include <string.h>
#include <time.h>

#include "declarative_walk.h"


#define DECL_ROWS_FIRST  64


static void decl_kind_init(decl_t *d, decl_kind_t *kind);
static void decl_kind_relate(decl_t *d, decl_kind_t *kind);
static void decl_kind_child(decl_t *d, decl_kind_t *parent,
    decl_kind_t *child, const field_t *f);
static void decl_kind_specials(decl_t *d, decl_kind_t *kind);
static void decl_kind_special(decl_kind_t *kind, const char *name);
static unsigned decl_has_specials(const decl_row_t *row);
static unsigned decl_enabled(const decl_t *d, const char *entity);
static void decl_collect_list(decl_t *d, decl_kind_t *kind, decl_row_t *parent,
    const field_t *up, value_t *list);
static void decl_collect_row(decl_t *d, decl_row_t *row);
static void decl_collect_children(decl_t *d, decl_row_t *row);
static void decl_extra(decl_t *d, decl_row_t *row);
static void decl_extra_error(decl_t *d, decl_row_t *row, const char *field,
    uint32_t line, const char *text);
static decl_row_t *decl_row(decl_t *d, decl_kind_t *kind, decl_row_t *parent,
    const field_t *up);
static void decl_top(decl_t *d, value_t *doc, const char *key, value_t *v);
static void decl_version(decl_t *d, value_t *doc);


typedef struct {
    const char  *entity;
    const char  *plugin;
} decl_owner_t;

/* stands for a reference that is not resolved yet */
static const char  decl_nobody[] = "00000000-0000-4000-8000-000000000000";

/* entities that exist only while their plugin is enabled */
static const decl_owner_t  decl_owners[] = {
    { "acls",                       "acl" },
    { "acme_storage",               "acme" },
    { "basicauth_credentials",      "basic-auth" },
    { "hmacauth_credentials",       "hmac-auth" },
    { "jwt_secrets",                "jwt" },
    { "keyauth_credentials",        "key-auth" },
    { "oauth2_authorization_codes", "oauth2" },
    { "oauth2_credentials",         "oauth2" },
    { "oauth2_tokens",              "oauth2" },
    { "ratelimiting_metrics",       "rate-limiting" },
    { "sessions",                   "session" },
    { NULL, NULL }
};


void
decl_init(decl_t *d, arena_t *a, arena_t *scratch, arena_t *keep,
    const declarative_opts_t *opts)
{
    size_t           i;
    struct timespec  now;

    static const declarative_opts_t  none;

    memset(d, 0, sizeof(decl_t));

    d->arena = a;
    d->scratch = scratch;
    d->keep = keep;
    d->packer = value_packer_new(scratch, keep);
    d->opts = opts != NULL ? opts : &none;
    d->transform = 1;

    d->ctx.arena = a;
    d->ctx.database = d->opts->database;
    d->ctx.router_flavor = d->opts->router_flavor;
    d->ctx.plugins = d->opts->plugins;

    clock_gettime(CLOCK_REALTIME, &now);
    d->ctx.now = (double) now.tv_sec
                 + (double) (now.tv_nsec / 1000000) / 1000;

    d->errors = value_new(a);
    value_set_object(d->errors);

    value_set_object(&d->placeholder);
    value_set_string(value_put(a, &d->placeholder, "id"), decl_nobody,
                     sizeof(decl_nobody) - 1);

    while (schema_entities[d->n_kinds] != NULL) {
        d->n_kinds++;
    }

    d->kinds = arena_zalloc(scratch, d->n_kinds * sizeof(decl_kind_t));

    for (i = 0; i < d->n_kinds; i++) {
        d->kinds[i].schema = schema_entities[i];
        decl_kind_init(d, &d->kinds[i]);
    }

    for (i = 0; i < d->n_kinds; i++) {
        decl_kind_relate(d, &d->kinds[i]);
    }

    for (i = 0; i < d->n_kinds; i++) {
        decl_kind_specials(d, &d->kinds[i]);
    }
}


void
decl_release(decl_t *d)
{
    size_t  i;

    for (i = 0; i < d->n_kinds; i++) {
        EVP_MD_CTX_free(d->kinds[i].namespace);
        d->kinds[i].namespace = NULL;
    }

    EVP_MD_CTX_free(d->md);
    d->md = NULL;
}


static void
decl_kind_init(decl_t *d, decl_kind_t *kind)
{
    size_t              i;
    const field_t      *f;
    const schema_t     *s;
    const char *const  *name;

    s = kind->schema;
    kind->known = decl_enabled(d, s->name);

    for (f = s->fields; f->name != NULL; f++) {
        kind->n_fields++;
    }

    kind->unique = arena_zalloc(d->scratch,
                                kind->n_fields * sizeof(field_t *));

    for (i = 0, f = s->fields; f->name != NULL; f++) {
        if (strcmp(f->name, "id") == 0) {
            kind->id_at = (unsigned) (f - s->fields);
            kind->uuid = (f->flags & F_UUID) != 0;
            continue;
        }

        kind->secret |= (f->flags & F_AUTO) && f->type == FIELD_STRING;

        if (strcmp(f->name, "ttl") == 0) {
            kind->ttl = f;

        } else if (f->flags & F_UNIQUE) {
            if (s->endpoint_key != NULL
                && strcmp(f->name, s->endpoint_key) == 0)
            {
                kind->endpoint = f;
                kind->endpoint_at = (unsigned) (f - s->fields);

            } else {
                kind->unique[i++] = f;
            }
        }
    }

    kind->n_unique = i;
    value_set_object(&kind->by_id);
    value_set_object(&kind->by_key);
    value_set_object(&kind->by_field);

    for (name = s->cache_key; name != NULL && *name != NULL; name++) {
        f = schema_field(s, *name);

        if (f == NULL || (f->flags & F_AUTO)) {
            kind->random = 1;
        }
    }
}


static void
decl_kind_relate(decl_t *d, decl_kind_t *kind)
{
    size_t            i;
    const field_t    *f, *fields;
    decl_relation_t  *r;

    fields = kind->schema->fields;
    kind->foreign = arena_zalloc(d->scratch,
                                 kind->n_fields * sizeof(decl_relation_t));

    for (i = 0; i < kind->n_fields; i++) {
        f = &fields[i];

        if (f->type != FIELD_FOREIGN) {
            continue;
        }

        r = &kind->foreign[kind->n_foreign];
        r->kind = decl_kind(d, f->foreign, strlen(f->foreign));

        if (r->kind == NULL) {
            continue;
        }

        r->field = f;
        r->at = (unsigned) i;
        kind->n_foreign++;
        kind->needs_parent |= (f->flags & F_REQUIRED) != 0;

        if (kind->known) {
            decl_kind_child(d, r->kind, kind, f);
        }
    }
}


/* a parent's own field of that name is no child list */

static void
decl_kind_child(decl_t *d, decl_kind_t *parent, decl_kind_t *child,
    const field_t *f)
{
    const field_t    *own;
    decl_relation_t  *r;

    own = schema_field(parent->schema, child->schema->name);

    if (own != NULL && !(own->flags & F_ABSTRACT)) {
        return;
    }

    if (parent->children == NULL) {
        parent->children = arena_zalloc(d->scratch, d->n_kinds
                                        * sizeof(decl_relation_t));
    }

    if (parent->n_children < d->n_kinds) {
        r = &parent->children[parent->n_children++];
        r->kind = child;
        r->field = f;
    }
}


static void
decl_kind_specials(decl_t *d, decl_kind_t *kind)
{
    size_t  i;

    kind->special = arena_zalloc(d->scratch,
                                 (kind->n_children + kind->n_foreign + 3)
                                 * sizeof(decl_special_t));

    decl_kind_special(kind, "_comment");
    decl_kind_special(kind, "_ignore");

    if (kind->ttl != NULL) {
        decl_kind_special(kind, "ttl");
    }

    for (i = 0; i < kind->n_children; i++) {
        decl_kind_special(kind, kind->children[i].kind->schema->name);
    }

    for (i = 0; i < kind->n_foreign; i++) {
        decl_kind_special(kind, kind->foreign[i].field->name);
    }
}


static void
decl_kind_special(decl_kind_t *kind, const char *name)
{
    decl_special_t  *special;

    special = &kind->special[kind->n_special++];
    special->name = name;
    special->hash = value_hash(name, strlen(name));
    kind->special_bits |= (uint64_t) 1 << (special->hash & 63);
}


static unsigned
decl_enabled(const decl_t *d, const char *entity)
{
    const char *const   *p;
    const decl_owner_t  *owner;

    if (d->opts->plugins == NULL) {
        return 1;
    }

    for (owner = decl_owners; owner->entity != NULL; owner++) {
        if (strcmp(owner->entity, entity) == 0) {
            break;
        }
    }

    if (owner->entity == NULL) {
        return 1;
    }

    for (p = d->opts->plugins; *p != NULL; p++) {
        if (strcmp(*p, owner->plugin) == 0) {
            return 1;
        }
    }

    return 0;
}


decl_kind_t *
decl_kind(const decl_t *d, const char *name, size_t len)
{
    size_t       i;
    const char  *s;

    for (i = 0; i < d->n_kinds; i++) {
        s = d->kinds[i].schema->name;

        if (strncmp(s, name, len) == 0 && s[len] == '\0') {
            return &d->kinds[i];
        }
    }

    return NULL;
}


void
decl_collect(decl_t *d, value_t *doc)
{
    size_t       i;
    value_t     *v;
    member_t     m;

    d->doc = doc;

    decl_version(d, doc);

    v = value_get(doc, "_transform");
    d->transform = v == NULL || v->kind != VALUE_BOOL || v->u.boolean;
    d->ctx.transform = d->transform;

    for (i = 0; i < doc->len; i++) {
        m = value_member(doc, i);
        decl_top(d, doc, m.key, m.value);
    }

    /* lists in the order of the schemas, whatever the document's order is */

    for (i = 0; i < d->n_kinds; i++) {
        v = value_get(doc, d->kinds[i].schema->name);

        if (!value_is_null(v) && d->kinds[i].known) {
            decl_collect_list(d, &d->kinds[i], NULL, NULL, v);
        }
    }
}


static void
decl_version(decl_t *d, value_t *doc)
{
    value_t     *v;
    const char  *err;

    v = value_get(doc, "_format_version");
    err = NULL;

    if (value_is_null(v)) {
        err = "required field missing";

    } else if (v->kind != VALUE_STRING) {
        err = "expected a string";

    } else if (!value_str_eq(v, "1.1") && !value_str_eq(v, "2.1")
               && !value_str_eq(v, "3.0"))
    {
        err = "expected one of: 1.1, 2.1, 3.0";
    }

    if (err != NULL) {
        decl_error_set(d->arena,
                       value_put(d->arena, d->errors, "_format_version"),
                       v != NULL ? v->line : doc->line, "%s", err);
    }
}


/* a top-level key that is no list of entities */

static void
decl_top(decl_t *d, value_t *doc, const char *key, value_t *v)
{
    const char   *err;
    decl_kind_t  *kind;

    kind = decl_kind(d, key, strlen(key));
    err = NULL;

    if ((kind != NULL && kind->known) || strcmp(key, "_format_version") == 0) {
        return;
    }

    if (strcmp(key, "_transform") == 0) {
        if (!value_is_null(v) && v->kind != VALUE_BOOL) {
            err = "expected a boolean";
        }

    } else if (strcmp(key, "_comment") == 0) {
        if (!value_is_null(v) && v->kind != VALUE_STRING) {
            err = "expected a string";

        } else if (!value_is_null(v) && v->len == 0) {
            err = "length must be at least 1";
        }

    } else if (strcmp(key, "_ignore") == 0) {
        if (!value_is_null(v) && v->kind != VALUE_ARRAY
            && !(v->kind == VALUE_OBJECT && v->len == 0))
        {
            err = "expected an array";
        }

    } else {
        err = "unknown field";
    }

    if (err != NULL) {
        decl_error_set(d->arena, value_put(d->arena, d->errors, key),
                       v->line != 0 ? v->line : doc->line, "%s", err);
    }
}


/* an empty map is an empty list: Lua knows one empty table */

static void
decl_collect_list(decl_t *d, decl_kind_t *kind, decl_row_t *parent,
    const field_t *up, value_t *list)
{
    size_t       i;
    value_t     *slot, *item;
    decl_row_t  *row;

    if (list->kind == VALUE_OBJECT && list->len == 0) {
        return;
    }

    if (list->kind != VALUE_ARRAY) {
        slot = parent == NULL ? d->errors : decl_error_slot(d, parent);
        decl_error_set(d->arena,
                       value_put(d->arena, slot, kind->schema->name),
                       list->line, "expected an array");
        return;
    }

    for (i = 0; i < list->len; i++) {
        item = &list->u.items[i];

        if (item->kind == VALUE_ARRAY && item->len == 0) {
            value_set_object(item);
        }

        row = decl_row(d, kind, parent, up);
        row->entity = item;
        row->index = (uint32_t) i;
        row->line = item->line != 0 ? item->line : list->line;

        if (item->kind == VALUE_OBJECT) {
            decl_collect_row(d, row);

        } else {
            row->dead = 1;
            decl_error_set(d->arena, decl_error_slot(d, row), row->line, "%s",
                           item->kind == VALUE_NULL ? "required field missing"
                                                    : "expected a record");
        }

        d->order[d->n_order++] = row;
    }
}


static void
decl_collect_row(decl_t *d, decl_row_t *row)
{
    size_t            i;
    value_t          *v;
    decl_kind_t      *kind;
    const field_t    *f;

    kind = row->kind;

    if (!decl_has_specials(row)) {
        return;
    }

    decl_extra(d, row);
    decl_collect_children(d, row);

    for (i = 0; i < kind->n_foreign; i++) {
        f = kind->foreign[i].field;
        v = value_get(row->entity, f->name);

        if (v == NULL) {
            continue;
        }

        if (row->given == NULL) {
            row->given = arena_zalloc(d->scratch,
                                      kind->n_foreign * sizeof(value_t));
        }

        row->given[i] = *v;
    }
}


static unsigned
decl_has_specials(const decl_row_t *row)
{
    size_t            i, k;
    uint32_t          hash;
    const decl_kind_t *kind;

    kind = row->kind;

    for (i = 0; i < row->entity->len; i++) {
        hash = value_slots(row->entity)[i].hash;

        if (!(kind->special_bits >> (hash & 63) & 1)) {
            continue;
        }

        for (k = 0; k < kind->n_special; k++) {
            if (kind->special[k].hash == hash) {
                return 1;
            }
        }
    }

    return 0;
}


static void
decl_collect_children(decl_t *d, decl_row_t *row)
{
    size_t            i;
    value_t          *v, list;
    const char       *name;
    decl_relation_t  *child;

    for (i = 0; i < row->kind->n_children; i++) {
        child = &row->kind->children[i];
        name = child->kind->schema->name;

        v = value_get(row->entity, name);
        if (v == NULL) {
            continue;
        }

        list = *v;
        value_remove(d->arena, row->entity, name);

        if (list.kind != VALUE_NULL) {
            decl_collect_list(d, child->kind, row, child->field, &list);
        }
    }
}


/* members that belong to the format, not to the entity */

static void
decl_extra(decl_t *d, decl_row_t *row)
{
    value_t  *v;

    v = value_get(row->entity, "_comment");

    if (v != NULL) {
        if (v->kind == VALUE_STRING && v->len == 0) {
            decl_extra_error(d, row, "_comment", v->line,
                             "length must be at least 1");

        } else if (v->kind != VALUE_STRING && v->kind != VALUE_NULL) {
            decl_extra_error(d, row, "_comment", v->line,
                             "expected a string");
        }

        value_remove(d->arena, row->entity, "_comment");
    }

    v = value_get(row->entity, "_ignore");

    if (v != NULL) {
        if (v->kind != VALUE_ARRAY && v->kind != VALUE_NULL
            && !(v->kind == VALUE_OBJECT && v->len == 0))
        {
            decl_extra_error(d, row, "_ignore", v->line, "expected an array");
        }

        value_remove(d->arena, row->entity, "_ignore");
    }

    if (row->kind->ttl == NULL) {
        return;
    }

    v = value_get(row->entity, "ttl");

    if (v != NULL) {
        row->ttl = *v;

        if (v->kind != VALUE_NULL && !value_is_integer(v)) {
            decl_extra_error(d, row, "ttl", v->line, "expected an integer");
        }

        value_remove(d->arena, row->entity, "ttl");
    }
}


static void
decl_extra_error(decl_t *d, decl_row_t *row, const char *field, uint32_t line,
    const char *text)
{
    value_t  *slot;

    slot = decl_error_slot(d, row);
    decl_error_set(d->arena, value_put(d->arena, slot, field),
                   line != 0 ? line : row->line, "%s", text);
}


static decl_row_t *
decl_row(decl_t *d, decl_kind_t *kind, decl_row_t *parent, const field_t *up)
{
    size_t        cap, size;
    decl_row_t   *row, **rows, **order;

    if (d->n_rows == d->cap_rows) {
        cap = d->cap_rows == 0 ? DECL_ROWS_FIRST : d->cap_rows * 2;
        size = cap * sizeof(decl_row_t *);

        rows = arena_alloc(d->scratch, size);
        order = arena_alloc(d->scratch, size);

        if (d->n_rows != 0) {
            memcpy(rows, d->rows, d->n_rows * sizeof(decl_row_t *));
            memcpy(order, d->order, d->n_order * sizeof(decl_row_t *));
        }

        d->rows = rows;
        d->order = order;
        d->cap_rows = cap;
    }

    row = arena_zalloc(d->scratch, sizeof(decl_row_t));
    row->kind = kind;
    row->parent = parent;
    row->up = up;

    d->rows[d->n_rows++] = row;
    kind->n_rows++;

    return row;
}


value_t *
decl_member(const value_t *entity, unsigned at, const char *name)
{
    if (at < entity->len && value_slots(entity)[at].key == name) {
        return value_nth(entity, at);
    }

    return value_get(entity, name);
}


void
decl_done(decl_t *d, decl_row_t *row)
{
    if (d->transform) {
        schema_transform(&d->ctx, row->kind->schema, row->entity);
    }

    value_pack(d->packer, row->entity, row->entity);
}
