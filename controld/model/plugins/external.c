/*
 * external: a plugin whose code is in a shared object of somebody else, and
 * whose schema is a document: the tables of a bundled plugin are made from
 * it, so that the rest of the program sees no difference.
 */

#include <stdarg.h>
#include <string.h>

#include "external.h"


static plugin_schema_t *external_document(external_t *x, const value_t *doc);
static int external_plugin(external_t *x, const value_t *doc,
    plugin_schema_t *p);
static int external_name(external_t *x, const value_t *doc,
    plugin_schema_t *p);
static const field_t *external_entity(external_t *x, const value_t *list);
static int external_entity_field(external_t *x, const value_t *v,
    const field_t *f, const char *path);
static int external_check(external_t *x, const value_t *v, const char *path,
    const field_t *fields, schema_check_t *c);
static int external_check_fields(external_t *x, const value_t *v,
    const char *path, const field_t *fields, schema_check_t *c);
static int external_conditional(external_t *x, const value_t *v,
    const char *path, const field_t *fields, schema_check_t *c);
static const char *external_check_path(external_t *x, const value_t *v,
    const char *path, const field_t *fields);
static const field_t *external_check_rule(external_t *x, const value_t *v,
    const char *path);


static const field_t  external_protocols[] = {
    PLUGIN_PROTOCOLS_HTTP,
    { .name = NULL }
};

static const char *const  external_members[] = {
    "name", "version", "priority", "fields", "entity_checks", "description",
    NULL
};

static const char *const  external_scopes[] = {
    "route", "service", "consumer", NULL
};


int
schema_plugin_define(arena_t *a, const value_t *doc, uint64_t hash,
    const char **err)
{
    external_t              x;
    plugin_schema_t        *p;
    const value_t          *name;
    const plugin_schema_t  *known;

    memset(&x, 0, sizeof(external_t));

    /* kept for good: other threads read the tables without a lock */
    x.arena = arena_new();

    name = value_get(doc, "name");
    known = (name != NULL && name->kind == VALUE_STRING)
            ? schema_plugin(name->u.string, name->len) : NULL;

    if (known != NULL && known->external) {
        arena_free(x.arena);

        if (known->hash == hash) {
            return 0;
        }

        *err = arena_printf(a, "the schema of plugin '%s' has changed: it "
                            "takes effect with a restart", name->u.string);
        return 1;
    }

    p = external_document(&x, doc);

    if (p == NULL) {
        *err = arena_printf(a, "%s", x.err);
        arena_free(x.arena);
        return -1;
    }

    p->hash = hash;
    schema_plugin_add(p);

    return 0;
}


static plugin_schema_t *
external_document(external_t *x, const value_t *doc)
{
    size_t            i, j;
    member_t          m;
    plugin_schema_t  *p;

    if (doc->kind != VALUE_OBJECT) {
        (void) external_fail(x, doc, "", "must be a map with name, version, "
                             "priority and fields");
        return NULL;
    }

    for (i = 0; i < doc->len; i++) {
        m = value_member(doc, i);

        for (j = 0; external_members[j] != NULL; j++) {
            if (strcmp(external_members[j], m.key) == 0) {
                break;
            }
        }

        if (external_members[j] == NULL) {
            (void) external_fail(x, m.value, m.key, "is unknown");
            return NULL;
        }
    }

    p = arena_zalloc(x->arena, sizeof(plugin_schema_t));

    return (external_plugin(x, doc, p) == 0) ? p : NULL;
}


static int
external_plugin(external_t *x, const value_t *doc, plugin_schema_t *p)
{
    const value_t  *v;

    if (external_name(x, doc, p) != 0) {
        return -1;
    }

    v = value_get(doc, "priority");

    if (v == NULL || !value_is_integer(v) || v->u.number < -2147483647
        || v->u.number > 2147483647)
    {
        return external_fail(x, v ? v : doc, "priority", "must be an "
                             "integer");
    }

    p->priority = (int) v->u.number;
    v = value_get(doc, "fields");

    if (v == NULL) {
        return external_fail(x, doc, "fields", "is missing");
    }

    p->schema.fields = external_entity(x, v);

    if (p->schema.fields == NULL) {
        return -1;
    }

    v = value_get(doc, "entity_checks");

    if (v != NULL) {
        p->schema.checks = external_checks(x, v, "entity_checks",
                                           p->schema.fields);
        if (p->schema.checks == NULL) {
            return -1;
        }
    }

    p->implemented = 1;
    p->external = 1;

    return 0;
}


static int
external_name(external_t *x, const value_t *doc, plugin_schema_t *p)
{
    const char     *s;
    const value_t  *v;

    v = value_get(doc, "name");
    s = (v == NULL) ? NULL : external_text(x, v, "name");

    if (s == NULL || *s == '\0' || strlen(s) > 64
        || s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-_")] != '\0'
        || strcmp(s, "bundled") == 0 || strcmp(s, "off") == 0
        || strcmp(s, "closed") == 0)
    {
        return external_fail(x, v ? v : doc, "name", "must be up to 64 small "
                             "letters, digits, - and _, and not bundled, off "
                             "or closed");
    }

    if (schema_plugin(s, strlen(s)) != NULL) {
        return external_fail(x, v, "name", "\"%s\" is a bundled plugin", s);
    }

    p->schema.name = s;

    v = value_get(doc, "version");
    p->version = (v == NULL) ? NULL : external_text(x, v, "version");

    return p->version ? 0
                      : external_fail(x, v ? v : doc, "version", "must be a "
                                      "string, like \"1.0.0\"");
}


/* config, the scopes that are forbidden, and protocols: HTTP's when nothing
 * is said */
static const field_t *
external_entity(external_t *x, const value_t *list)
{
    size_t          n;
    field_t        *all;
    const char     *path;
    const field_t  *f, *given;

    given = external_fields(x, list, "fields");

    if (given == NULL) {
        return NULL;
    }

    for (n = 0, f = given; f->name != NULL; f++, n++) {
        path = arena_printf(x->arena, "fields.%s", f->name);

        if (external_entity_field(x, &list->u.items[n], f, path) != 0) {
            return NULL;
        }
    }

    if (external_path(given, "config") == NULL) {
        (void) external_fail(x, list, "fields", "needs \"config\"");
        return NULL;
    }

    if (external_path(given, "protocols") != NULL) {
        return given;
    }

    all = arena_zalloc(x->arena, (n + 2) * sizeof(field_t));
    all[0] = external_protocols[0];
    memcpy(all + 1, given, n * sizeof(field_t));

    return all;
}


static int
external_entity_field(external_t *x, const value_t *v, const field_t *f,
    const char *path)
{
    const char *const  *scope;

    if (strcmp(f->name, "config") == 0) {
        if (f->type != FIELD_RECORD || !(f->flags & F_REQUIRED)
            || f->def != NULL)
        {
            return external_fail(x, v, path, "must be a required record "
                                 "without a default");
        }

        return 0;
    }

    if (strcmp(f->name, "protocols") == 0) {
        if (f->type != FIELD_SET || f->elements->type != FIELD_STRING
            || f->elements->one_of == NULL || f->def == NULL)
        {
            return external_fail(x, v, path, "must be a set of strings with "
                                 "one_of and a default");
        }

        return 0;
    }

    for (scope = external_scopes; *scope != NULL; scope++) {
        if (strcmp(f->name, *scope) == 0) {
            break;
        }
    }

    if (*scope == NULL) {
        return external_fail(x, v, path, "is none of config, protocols, "
                             "route, service, consumer");
    }

    if (f->type != FIELD_FOREIGN || !(f->flags & F_EQ_NULL)) {
        return external_fail(x, v, path, "can only be forbidden: {\"type\": "
                             "\"foreign\", \"eq\": null}");
    }

    return 0;
}


const schema_check_t *
external_checks(external_t *x, const value_t *list, const char *path,
    const field_t *fields)
{
    size_t           i;
    schema_check_t  *checks;

    if (list->kind != VALUE_ARRAY && list->len != 0) {
        (void) external_fail(x, list, path, "must be a list");
        return NULL;
    }

    checks = arena_zalloc(x->arena, (list->len + 1) * sizeof(schema_check_t));

    for (i = 0; i < list->len; i++) {
        if (external_check(x, &list->u.items[i], path, fields, &checks[i])
            != 0)
        {
            return NULL;
        }
    }

    return checks;
}


static int
external_check(external_t *x, const value_t *v, const char *path,
    const field_t *fields, schema_check_t *c)
{
    size_t           i;
    member_t         m;

    if (v->kind != VALUE_OBJECT || v->len != 1) {
        return external_fail(x, v, path, "each item must be one \"check: "
                             "...\"");
    }

    m = value_member(v, 0);

    for (i = CHECK_AT_LEAST_ONE_OF; i <= CHECK_CONDITIONAL; i++) {
        if (strcmp(schema_check_names[i], m.key) == 0) {
            c->kind = (check_kind_t) i;
        }
    }

    if (c->kind == 0) {
        return external_fail(x, m.value, path, "a document cannot have the "
                             "check \"%s\"", m.key);
    }

    path = arena_printf(x->arena, "%s.%s", path, schema_check_names[c->kind]);

    return (c->kind == CHECK_CONDITIONAL)
           ? external_conditional(x, m.value, path, fields, c)
           : external_check_fields(x, m.value, path, fields, c);
}


static int
external_check_fields(external_t *x, const value_t *v, const char *path,
    const field_t *fields, schema_check_t *c)
{
    size_t        i;
    const char  **names;

    if (v->kind != VALUE_ARRAY || v->len == 0) {
        return external_fail(x, v, path, "must be a list of fields");
    }

    names = arena_zalloc(x->arena, (v->len + 1) * sizeof(char *));
    c->fields = names;

    for (i = 0; i < v->len; i++) {
        names[i] = external_check_path(x, &v->u.items[i], path, fields);

        if (names[i] == NULL) {
            return -1;
        }
    }

    return 0;
}


static int
external_conditional(external_t *x, const value_t *v, const char *path,
    const field_t *fields, schema_check_t *c)
{
    size_t          i, j;
    const value_t  *item[5];

    static const char *const  names[] = {
        "if_field", "if_match", "then_field", "then_match", "then_err"
    };

    for (i = 0; i < 5; i++) {
        item[i] = value_get(v, names[i]);

        if (item[i] == NULL && i < 4) {
            return external_fail(x, v, path, "needs \"%s\"", names[i]);
        }
    }

    for (i = 0; i < v->len; i++) {
        for (j = 0; j < 5; j++) {
            if (item[j] == value_nth(v, i)) {
                break;
            }
        }

        if (j == 5) {
            return external_fail(x, value_nth(v, i), path,
                                 "\"%s\" is unknown", value_member(v, i).key);
        }
    }

    c->if_field = external_check_path(x, item[0], path, fields);
    c->if_match = external_check_rule(x, item[1], path);
    c->then_field = external_check_path(x, item[2], path, fields);
    c->then_match = external_check_rule(x, item[3], path);
    c->then_err = item[4] ? external_text(x, item[4], path) : NULL;

    return x->err ? -1 : 0;
}


static const char *
external_check_path(external_t *x, const value_t *v, const char *path,
    const field_t *fields)
{
    const char  *name;

    name = external_text(x, v, path);

    if (name != NULL && external_path(fields, name) == NULL) {
        (void) external_fail(x, v, path, "\"%s\" is no field", name);
        return NULL;
    }

    return name;
}


static const field_t *
external_check_rule(external_t *x, const value_t *v, const char *path)
{
    field_t  *rule;

    rule = arena_zalloc(x->arena, sizeof(field_t));

    return (external_field(x, v, path, 1, rule) == 0) ? rule : NULL;
}


const field_t *
external_path(const field_t *fields, const char *path)
{
    size_t       len;
    const char  *dot;

    for ( /* void */ ; fields != NULL && fields->name != NULL; fields++) {
        dot = strchr(path, '.');
        len = dot ? (size_t) (dot - path) : strlen(path);

        if (strncmp(fields->name, path, len) == 0
            && fields->name[len] == '\0')
        {
            return dot ? external_path(fields->fields, dot + 1) : fields;
        }
    }

    return NULL;
}


const char *
external_text(external_t *x, const value_t *v, const char *path)
{
    if (v->kind != VALUE_STRING || memchr(v->u.string, '\0', v->len) != NULL) {
        (void) external_fail(x, v, path, "must be a string");
        return NULL;
    }

    return arena_strndup(x->arena, v->u.string, v->len);
}


int
external_fail(external_t *x, const value_t *v, const char *path,
    const char *fmt, ...)
{
    char     *text;
    va_list   args;

    if (x->err != NULL) {
        return -1;
    }

    va_start(args, fmt);
    text = arena_vprintf(x->arena, fmt, args);
    va_end(args);

    x->err = arena_printf(x->arena, "%u: %s%s%s", v->line ? v->line : 1,
                          path, *path ? ": " : "", text);

    return -1;
}
