/*
 * schemas: the tables of the schemas as Kong's clients read them, and
 * validation of an entity that is not written.
 */

#include <string.h>

#include "../model/json.h"
#include "entities.h"
#include "schemas.h"


/* what is being shown */
typedef struct {
    arena_t     *arena;
    const char  *name;               /* of the schema */
    unsigned     plugin;
    unsigned     used;               /* as Kong shows it after its first use:
                                        texts are not empty, items are there */
} schemas_t;


static void schemas_show(admin_request_t *r, const schema_t *s,
    unsigned plugin);
static const schema_t *schemas_find(admin_request_t *r);
static const schema_t *schemas_vault(const char *name, size_t len);
static void schemas_fields(schemas_t *x, const field_t *f, const char *path,
    value_t *out);
static void schemas_field(schemas_t *x, const field_t *f, const char *path,
    unsigned item, value_t *out);
static void schemas_record(schemas_t *x, const field_t *f, const char *path,
    value_t *out);
static void schemas_flags(arena_t *a, const field_t *f, value_t *out);
static void schemas_default(arena_t *a, const field_t *f, value_t *out);
static void schemas_values(arena_t *a, const field_t *f, value_t *out);
static void schemas_lengths(schemas_t *x, const field_t *f, unsigned item,
    value_t *out);
static void schemas_limits(arena_t *a, const field_t *f, value_t *out);
static void schemas_patterns(arena_t *a, const field_t *f, value_t *out);
static void schemas_pattern(arena_t *a, value_t *list, const char *pattern,
    const char *err);
static void schemas_shorthands(schemas_t *x, const shorthand_t *sh,
    const char *path, value_t *out);
static void schemas_replaced(arena_t *a, const char *path, value_t *out);
static void schemas_checks(arena_t *a, const schema_check_t *c,
    value_t *out);
static void schemas_conditional(arena_t *a, const schema_check_t *c,
    value_t *out);
static void schemas_constraints(arena_t *a, const field_t *f, value_t *out);
static void schemas_text(arena_t *a, value_t *out, const char *name,
    const char *text);
static void schemas_json(arena_t *a, value_t *out, const char *name,
    const char *text);
static void schemas_texts(arena_t *a, value_t *out, const char *name,
    const char *const *list);
static void schemas_true(arena_t *a, value_t *out, const char *name,
    unsigned flag);


static const char *const  schemas_types[] = {
    [FIELD_STRING] = "string", [FIELD_INTEGER] = "integer",
    [FIELD_NUMBER] = "number", [FIELD_BOOLEAN] = "boolean",
    [FIELD_ARRAY] = "array", [FIELD_SET] = "set", [FIELD_MAP] = "map",
    [FIELD_RECORD] = "record", [FIELD_FOREIGN] = "foreign",
    [FIELD_ANY] = "any"
};


/* no entity of its own: a view of the tags of all others */
static const field_t  schemas_tag_fields[] = {
    { .name = "tag", .type = FIELD_STRING, .flags = F_REQUIRED },
    { .name = "entity_name", .type = FIELD_STRING, .flags = F_REQUIRED },
    { .name = "entity_id", .type = FIELD_STRING,
      .flags = F_REQUIRED|F_UUID },
    { .name = NULL }
};

static const schema_t  schemas_tags = {
    .name = "tags",
    .singular = "tag",
    .endpoint_key = "tag",
    .fields = schemas_tag_fields
};


/* GET /schemas/{name} */
void
schemas_entity(admin_request_t *r)
{
    const schema_t  *s;

    s = schemas_find(r);
    if (s == NULL) {
        return;
    }

    schemas_show(r, s, 0);
}


/* NULL: there is none of that name, which is the answer */
static const schema_t *
schemas_find(admin_request_t *r)
{
    const schema_t     *s;
    const admin_str_t  *name;

    name = &r->segments[1];
    s = NULL;

    if (strlen(name->data) == name->len) {
        s = (strcmp(name->data, schemas_tags.name) == 0)
            ? &schemas_tags
            : schema_find(name->data);
    }

    if (s == NULL) {
        admin_message(r, 404, arena_printf(r->arena, "No entity named '%s'",
                                           name->data));
    }

    return s;
}


/* GET /schemas/plugins/{name}, /schemas/vaults/{name} */
void
schemas_sub(admin_request_t *r)
{
    const schema_t         *s;
    const admin_str_t      *name;
    const plugin_schema_t  *p;

    name = &r->segments[2];

    if (r->segments[1].data[0] == 'v') {
        s = schemas_vault(name->data, name->len);

        if (s == NULL) {
            admin_message(r, 404, arena_printf(r->arena,
                                               "No vault named '%s'",
                                               name->data));
            return;
        }

        schemas_show(r, s, 1);
        return;
    }

    p = schema_plugin(name->data, name->len);

    if (p == NULL || p->refused != NULL) {
        admin_message(r, 404, arena_printf(r->arena, "No plugin named '%s'",
                                           name->data));
        return;
    }

    schemas_show(r, &p->schema, 1);
}


static const schema_t *
schemas_vault(const char *name, size_t len)
{
    arena_t         *a;
    value_t          entity;
    const char      *field, *err;
    schema_ctx_t     ctx;
    const schema_t  *s, *sub;

    a = arena_new();
    memset(&ctx, 0, sizeof(ctx));
    ctx.arena = a;
    value_set_object(&entity);
    value_set_string(value_put(a, &entity, "name"), name, len);

    s = schema_find("vaults");
    sub = s->subschema(&ctx, &entity, &field, &err);
    arena_free(a);

    return sub;
}


/* POST /schemas/{name}/validate */
void
schemas_validate(admin_request_t *r)
{
    admin_route_t   *route;
    const schema_t  *s;

    s = schemas_find(r);
    if (s == NULL) {
        return;
    }

    /* a body is read as that of the entity's own route */

    route = arena_alloc(r->arena, sizeof(admin_route_t));
    *route = *r->route;
    route->schema = s;
    r->route = route;
    entities_validate_only(r);
}


static void
schemas_show(admin_request_t *r, const schema_t *s, unsigned plugin)
{
    value_t  body;

    schemas_print(r->arena, s, plugin, &body);
    admin_json(r, 200, &body);
}


void
schemas_print(arena_t *a, const schema_t *s, unsigned plugin, value_t *out)
{
    value_t    *list;
    schemas_t   x;

    x.arena = a;
    x.name = s->name;
    x.plugin = plugin;
    x.used = !plugin;

    value_set_object(out);
    schemas_fields(&x, s->fields, "", value_put(a, out, "fields"));

    list = value_put(a, out, "entity_checks");
    value_set_array(list);
    schemas_checks(a, s->checks, list);
    schemas_shown(a, s->name, "#", list);
}


static void
schemas_fields(schemas_t *x, const field_t *f, const char *path,
    value_t *out)
{
    value_t     *item;
    const char  *name;

    value_set_array(out);

    for ( /* void */ ; f != NULL && f->name != NULL; f++) {

        /* of the entity as a whole in Kong, and in no list of fields */

        if (!x->plugin && strcmp(f->name, "ttl") == 0) {
            continue;
        }

        if (x->plugin && *path == '\0') {
            x->used = (strcmp(f->name, "protocols") == 0);
        }

        name = arena_printf(x->arena, "%s%s%s", path,
                            *path != '\0' ? "." : "", f->name);
        item = value_append(x->arena, out);
        value_set_object(item);
        schemas_field(x, f, name, 0, value_put(x->arena, item, f->name));
    }
}


static void
schemas_field(schemas_t *x, const field_t *f, const char *path,
    unsigned item, value_t *out)
{
    arena_t     *a;
    const char  *name;

    a = x->arena;
    value_set_object(out);
    schemas_text(a, out, "type", schemas_types[f->type]);

    if (f->type == FIELD_FOREIGN) {
        schemas_text(a, out, "reference", f->foreign);
    }

    schemas_flags(a, f, out);
    schemas_true(a, out, "required",
                 item ? x->used && !(f->flags & F_UUID)
                      : f->type == FIELD_RECORD);
    schemas_default(a, f, out);
    schemas_values(a, f, out);
    schemas_lengths(x, f, item, out);
    schemas_limits(a, f, out);
    schemas_patterns(a, f, out);

    if (f->elements != NULL) {
        name = (f->type == FIELD_MAP) ? "values" : "elements";
        schemas_field(x, f->elements, arena_printf(a, "%s.%s", path, name), 1,
                      value_put(a, out, name));
    }

    if (f->keys != NULL) {
        schemas_field(x, f->keys, arena_printf(a, "%s.keys", path), 1,
                      value_put(a, out, "keys"));
    }

    if (f->type == FIELD_RECORD) {
        schemas_record(x, f, path, out);
    }

    schemas_shown(a, x->name, path, out);
}


static void
schemas_record(schemas_t *x, const field_t *f, const char *path,
    value_t *out)
{
    value_t  *list;

    if (f->fields != NULL) {
        schemas_fields(x, f->fields, path,
                       value_put(x->arena, out, "fields"));
    }

    if (f->shorthands != NULL) {
        schemas_shorthands(x, f->shorthands, path,
                           value_put(x->arena, out, "shorthand_fields"));
    }

    if (f->checks != NULL) {
        list = value_put(x->arena, out, "entity_checks");
        value_set_array(list);
        schemas_checks(x->arena, f->checks, list);
        schemas_shown(x->arena, x->name,
                      arena_printf(x->arena, "%s#", path), list);
    }
}


static void
schemas_flags(arena_t *a, const field_t *f, value_t *out)
{
    schemas_true(a, out, "required", f->flags & F_REQUIRED);
    schemas_true(a, out, "unique", f->flags & F_UNIQUE);
    schemas_true(a, out, "auto", f->flags & F_AUTO);
    schemas_true(a, out, "uuid", f->flags & F_UUID);
    schemas_true(a, out, "timestamp", f->flags & F_TIMESTAMP);
    schemas_true(a, out, "referenceable", f->flags & F_REFERENCEABLE);
    schemas_true(a, out, "encrypted", f->flags & F_ENCRYPTED);
    schemas_true(a, out, "immutable", f->flags & F_IMMUTABLE);
    schemas_true(a, out, "is_regex", f->flags & F_REGEX);
    schemas_true(a, out, "abstract", f->flags & F_ABSTRACT);

    if (f->flags & F_CASCADE) {
        schemas_text(a, out, "on_delete", "cascade");
    }

    if (f->flags & F_EQ_NULL) {
        value_set_null(value_put(a, out, "eq"));
    }
}


/* an empty record as a default is that of all of its members */
static void
schemas_default(arena_t *a, const field_t *f, value_t *out)
{
    value_t        *v, inner;
    const field_t  *m;

    if (f->def == NULL) {
        return;
    }

    schemas_json(a, out, "default", f->def);
    v = value_get(out, "default");

    if (f->type != FIELD_RECORD || v == NULL || v->len != 0) {
        return;
    }

    for (m = f->fields; m != NULL && m->name != NULL; m++) {
        value_set_object(&inner);
        schemas_default(a, m, &inner);

        if (inner.len != 0) {
            *value_put(a, v, m->name) = *value_get(&inner, "default");
        }
    }
}


static void
schemas_values(arena_t *a, const field_t *f, value_t *out)
{
    unsigned   i;
    value_t   *list;

    if (f->eq != NULL) {
        schemas_json(a, out, "eq", f->eq);
    }

    schemas_texts(a, out, "one_of", f->one_of);
    schemas_texts(a, out, "not_one_of", f->not_one_of);

    if (f->n_one_of_num != 0) {
        list = value_put(a, out, "one_of");
        value_set_array(list);

        for (i = 0; i < f->n_one_of_num; i++) {
            value_set_number(value_append(a, list), f->one_of_num[i]);
        }
    }
}


static void
schemas_lengths(schemas_t *x, const field_t *f, unsigned item, value_t *out)
{
    if (f->flags & F_LEN_EQ) {
        value_set_number(value_put(x->arena, out, "len_eq"), f->len_min);

    } else if (f->flags & F_LEN_MIN) {
        value_set_number(value_put(x->arena, out, "len_min"), f->len_min);

    } else if (x->used && f->type == FIELD_STRING
               && !(item && (f->flags & F_UUID)))
    {
        value_set_number(value_put(x->arena, out, "len_min"), 1);
    }

    if (f->flags & F_LEN_MAX) {
        value_set_number(value_put(x->arena, out, "len_max"), f->len_max);
    }
}


static void
schemas_limits(arena_t *a, const field_t *f, value_t *out)
{
    value_t  *list;

    if (f->flags & F_BETWEEN) {
        list = value_put(a, out, "between");
        value_set_array(list);
        value_set_number(value_append(a, list), f->min);
        value_set_number(value_append(a, list), f->max);
    }

    if (f->flags & F_GT) {
        value_set_number(value_put(a, out, "gt"), f->min);
    }
}


static void
schemas_patterns(arena_t *a, const field_t *f, value_t *out)
{
    size_t    i;
    value_t  *list;

    if (f->starts_with != NULL) {
        schemas_text(a, out, "starts_with", f->starts_with);
    }

    if (f->match != NULL) {
        schemas_text(a, out, "match", f->match);
    }

    if (f->match_any != NULL) {
        list = value_put(a, out, "match_any");
        value_set_object(list);
        schemas_texts(a, list, "patterns", f->match_any);
    }

    if (f->check == check_path) {
        list = value_put(a, out, "match_none");
        value_set_array(list);
        schemas_pattern(a, list, "//", "must not have empty segments");
    }

    if (f->not_match != NULL) {
        list = value_put(a, out, "match_none");
        value_set_array(list);

        for (i = 0; f->not_match[i] != NULL; i++) {
            schemas_pattern(a, list, f->not_match[i], f->err);
        }

    } else if (f->err != NULL) {
        schemas_text(a, out, "err", f->err);
    }

    if (f->contains != NULL) {
        schemas_text(a, out, "contains", f->contains);
    }
}


static void
schemas_pattern(arena_t *a, value_t *list, const char *pattern,
    const char *err)
{
    value_t  *item;

    item = value_append(a, list);
    value_set_object(item);
    schemas_text(a, item, "pattern", pattern);

    if (err != NULL) {
        schemas_text(a, item, "err", err);
    }
}


static void
schemas_shorthands(schemas_t *x, const shorthand_t *sh, const char *path,
    value_t *out)
{
    value_t     *item, *v;
    arena_t     *a;
    const char  *name;

    a = x->arena;
    value_set_array(out);

    for ( /* void */ ; sh->name != NULL; sh++) {
        name = arena_printf(a, "%s.%s", path, sh->name);
        item = value_append(a, out);
        value_set_object(item);
        v = value_put(a, item, sh->name);
        value_set_object(v);
        schemas_text(a, v, "type", schemas_types[sh->type]);

        if (sh->elements != NULL) {
            schemas_field(x, sh->elements, name, 1,
                          value_put(a, v, "elements"));
        }

        if (sh->rule != NULL) {
            schemas_flags(a, sh->rule, v);
            schemas_lengths(x, sh->rule, 0, v);
        }

        if (sh->replaced_by != NULL) {
            item = value_put(a, v, "deprecation");
            value_set_object(item);
            schemas_text(a, item, "removal_in_version", "4.0");
            schemas_replaced(a, sh->replaced_by,
                             value_put(a, item, "replaced_with"));
        }

        schemas_shown(a, x->name, name, v);
    }
}


/* "redis.host" is [{"path":["redis","host"]}]: clients leave out of what they
 * send whatever else this path holds */
static void
schemas_replaced(arena_t *a, const char *path, value_t *out)
{
    size_t    n;
    value_t  *item, *list;

    value_set_array(out);
    item = value_append(a, out);
    value_set_object(item);
    list = value_put(a, item, "path");
    value_set_array(list);

    for ( ;; ) {
        n = strcspn(path, ".");
        value_set_string(value_append(a, list), path, n);

        if (path[n] == '\0') {
            return;
        }

        path += n + 1;
    }
}


static void
schemas_checks(arena_t *a, const schema_check_t *c, value_t *out)
{
    value_t     *item, *v;
    const char  *name;

    for ( /* void */ ; c != NULL && c->kind != 0; c++) {
        name = schema_check_names[c->kind];
        item = value_append(a, out);
        value_set_object(item);

        if (c->kind == CHECK_CONDITIONAL) {
            schemas_conditional(a, c, value_put(a, item, name));

        } else if (c->kind == CHECK_CUSTOM) {
            v = value_put(a, item, name);
            value_set_object(v);
            schemas_texts(a, v, "field_sources", c->fields);

        } else {
            schemas_texts(a, item, name, c->fields);
        }
    }
}


static void
schemas_conditional(arena_t *a, const schema_check_t *c, value_t *out)
{
    value_t  *v;

    value_set_object(out);
    schemas_text(a, out, "if_field", c->if_field);
    schemas_text(a, out, "then_field", c->then_field);

    v = value_put(a, out, "if_match");
    value_set_object(v);
    schemas_constraints(a, c->if_match, v);

    v = value_put(a, out, "then_match");
    value_set_object(v);
    schemas_constraints(a, c->then_match, v);

    if (c->then_err != NULL) {
        schemas_text(a, out, "then_err", c->then_err);
    }
}


static void
schemas_constraints(arena_t *a, const field_t *f, value_t *out)
{
    schemas_t  x;

    memset(&x, 0, sizeof(x));
    x.arena = a;

    schemas_flags(a, f, out);
    schemas_values(a, f, out);
    schemas_lengths(&x, f, 0, out);
    schemas_limits(a, f, out);
    schemas_patterns(a, f, out);
}


static void
schemas_text(arena_t *a, value_t *out, const char *name, const char *text)
{
    value_set_string(value_put(a, out, name), text, strlen(text));
}


/* JSON of a table; it is good */
static void
schemas_json(arena_t *a, value_t *out, const char *name, const char *text)
{
    value_t      v;
    const char  *err;

    if (json_parse(a, text, strlen(text), &v, &err) == 0) {
        *value_put(a, out, name) = v;
    }
}


static void
schemas_texts(arena_t *a, value_t *out, const char *name,
    const char *const *list)
{
    value_t  *v;

    if (list == NULL) {
        return;
    }

    v = value_put(a, out, name);
    value_set_array(v);

    for ( /* void */ ; *list != NULL; list++) {
        value_set_string(value_append(a, v), *list, strlen(*list));
    }
}


static void
schemas_true(arena_t *a, value_t *out, const char *name, unsigned flag)
{
    if (flag) {
        value_set_bool(value_put(a, out, name), true);
    }
}
