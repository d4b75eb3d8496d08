/*
 * openapi: the Admin API described by itself, OpenAPI 3.1, from the table of
 * routes and the schemas that it is made of.
 */

#include <string.h>

#include "../cli/cli.h"
#include "../model/json.h"
#include "entities.h"


#define OPENAPI_REF  "#/components/schemas/"


typedef struct {
    admin_request_t  *r;
    arena_t          *arena;
    value_t          *paths;
} openapi_t;


static void openapi_make(admin_request_t *r);
static void openapi_info(arena_t *a, value_t *doc);
static void openapi_route(void *data, const admin_route_t *route);
static void openapi_parameters(arena_t *a, const char *pattern,
    value_t *out);
static void openapi_operation(arena_t *a, const admin_route_t *route,
    unsigned method, value_t *out);
static const char *openapi_id(arena_t *a, const admin_route_t *route,
    const char *verb);
static void openapi_page_parameters(arena_t *a, value_t *out);
static void openapi_body(arena_t *a, const admin_route_t *route,
    value_t *out);
static void openapi_answer(arena_t *a, value_t *answers, const char *status,
    const char *text, const char *ref);
static void openapi_components(arena_t *a, value_t *doc);
static void openapi_tokens(arena_t *a, value_t *out);
static void openapi_errors(arena_t *a, value_t *out);
static void openapi_entity(arena_t *a, const schema_t *s, value_t *schemas);
static void openapi_fields(arena_t *a, const field_t *f, value_t *out,
    unsigned strict);
static void openapi_field(arena_t *a, const field_t *f, value_t *out);
static void openapi_type(arena_t *a, const field_t *f, value_t *out);
static void openapi_limits(arena_t *a, const field_t *f, value_t *out);
static void openapi_nested(arena_t *a, const field_t *f, value_t *out);
static void openapi_plugins(arena_t *a, value_t *schemas);
static value_t *openapi_object(arena_t *a, value_t *out, const char *name);
static value_t *openapi_array(arena_t *a, value_t *out, const char *name);
static void openapi_text(arena_t *a, value_t *out, const char *name,
    const char *text);
static void openapi_ref(arena_t *a, value_t *out, const char *name);


static const struct {
    unsigned     method;
    const char  *name;
} openapi_methods[] = {
    { ADMIN_GET, "get" }, { ADMIN_POST, "post" }, { ADMIN_PUT, "put" },
    { ADMIN_PATCH, "patch" }, { ADMIN_DELETE, "delete" }, { 0, NULL }
};


/* a long text: not in the loop */
void
openapi_handle(admin_request_t *r)
{
    admin_offload(r, openapi_make);
}


static void
openapi_make(admin_request_t *r)
{
    value_t    doc;
    arena_t   *a;
    openapi_t  o;

    a = r->arena;
    value_set_object(&doc);
    openapi_info(a, &doc);

    /* a put may move the members: the paths are made apart */

    o.r = r;
    o.arena = a;
    o.paths = value_new(a);
    value_set_object(o.paths);

    router_each(admin_router(r->admin), openapi_route, &o);
    *value_put(a, &doc, "paths") = *o.paths;

    openapi_components(a, &doc);
    admin_json(r, 200, &doc);
}


static void
openapi_info(arena_t *a, value_t *doc)
{
    value_t  *v;

    openapi_text(a, doc, "openapi", "3.1.0");

    v = openapi_object(a, doc, "info");
    openapi_text(a, v, "title", "Admin API");
    openapi_text(a, v, "version", KONG_VERSION);

    v = openapi_array(a, doc, "servers");
    openapi_text(a, openapi_object(a, v, NULL), "url", "/");

    /* without tokens nobody needs any */

    v = openapi_array(a, doc, "security");
    (void) openapi_object(a, v, NULL);
    (void) openapi_array(a, openapi_object(a, v, NULL), "token");
    (void) openapi_array(a, openapi_object(a, v, NULL), "header");
}


static void
openapi_route(void *data, const admin_route_t *route)
{
    size_t      i;
    value_t    *path, *list;
    arena_t    *a;
    openapi_t  *o = data;

    a = o->arena;

    if (value_get(o->paths, route->pattern) != NULL) {
        return;
    }

    path = value_new(a);
    value_set_object(path);
    list = openapi_array(a, path, "parameters");
    openapi_parameters(a, route->pattern, list);

    for (i = 0; openapi_methods[i].name != NULL; i++) {
        if (route->methods & openapi_methods[i].method) {
            openapi_operation(a, route, openapi_methods[i].method,
                              openapi_object(a, path,
                                             openapi_methods[i].name));
        }
    }

    *value_put(a, o->paths, route->pattern) = *path;
}


static void
openapi_parameters(arena_t *a, const char *pattern, value_t *out)
{
    size_t       len;
    value_t     *v;
    const char  *p;

    for (p = strchr(pattern, '{'); p != NULL; p = strchr(p, '{')) {
        p++;
        len = strcspn(p, "}");
        v = openapi_object(a, out, NULL);
        value_copy_string(a, value_put(a, v, "name"), p, len);
        openapi_text(a, v, "in", "path");
        value_set_bool(value_put(a, v, "required"), true);
        openapi_text(a, openapi_object(a, v, "schema"), "type", "string");
    }
}


static void
openapi_operation(arena_t *a, const admin_route_t *route, unsigned method,
    value_t *out)
{
    size_t       i;
    value_t     *answers, *v;
    unsigned     list;
    const char  *name;

    for (i = 0; openapi_methods[i].method != method; i++) { /* void */ }

    list = (route->kind == ROUTER_LIST || route->kind == ROUTER_CHILDREN);
    name = (route->schema != NULL) ? route->schema->name : NULL;

    openapi_text(a, out, "operationId",
                 openapi_id(a, route, openapi_methods[i].name));

    if (name != NULL) {
        v = openapi_array(a, out, "tags");
        value_set_string(value_append(a, v), name, strlen(name));
    }

    if (list && method == ADMIN_GET) {
        openapi_page_parameters(a, openapi_array(a, out, "parameters"));
        name = arena_printf(a, "%s.page", name);
    }

    if ((method & (ADMIN_POST|ADMIN_PUT|ADMIN_PATCH))
        && route->then == NULL)
    {
        openapi_body(a, route, openapi_object(a, out, "requestBody"));
    }

    answers = openapi_object(a, out, "responses");

    if (method == ADMIN_DELETE) {
        openapi_answer(a, answers, "204", "It is gone.", NULL);

    } else if (route->then != NULL) {
        openapi_answer(a, answers, (method == ADMIN_GET) ? "200" : "204",
                       "It is so.", (method == ADMIN_GET) ? "any" : NULL);

    } else if (method == ADMIN_POST && list) {
        openapi_answer(a, answers, "201", "It was made.", name);

    } else {
        openapi_answer(a, answers, "200", "It is so.",
                       name != NULL ? name : "any");
    }

    openapi_answer(a, answers, "default", "What is wrong.", "error");
}


/* "get-services-services-routes": unique as its path is */
static const char *
openapi_id(arena_t *a, const admin_route_t *route, const char *verb)
{
    char  *id, *p, *q;

    id = arena_printf(a, "%s%s", verb, route->pattern);

    for (p = id, q = id; *p != '\0'; p++) {
        if (*p == '/') {
            *q++ = '-';

        } else if (*p == '{') {
            *q++ = '_';

        } else if (*p != '}') {
            *q++ = *p;
        }
    }

    *q = '\0';

    return id;
}


static void
openapi_page_parameters(arena_t *a, value_t *out)
{
    size_t    i;
    value_t  *v;

    static const char *const  names[] = { "size", "offset", "tags", NULL };

    for (i = 0; names[i] != NULL; i++) {
        v = openapi_object(a, out, NULL);
        openapi_text(a, v, "name", names[i]);
        openapi_text(a, v, "in", "query");
        v = openapi_object(a, v, "schema");
        openapi_text(a, v, "type", i == 0 ? "integer" : "string");

        if (i == 0) {
            value_set_number(value_put(a, v, "minimum"), 1);
            value_set_number(value_put(a, v, "maximum"), 1000);
        }
    }
}


static void
openapi_body(arena_t *a, const admin_route_t *route, value_t *out)
{
    size_t    i;
    value_t  *content;

    static const char *const  types[] = {
        "application/json", "application/x-www-form-urlencoded",
        "multipart/form-data", NULL
    };

    content = openapi_object(a, out, "content");

    for (i = 0; types[i] != NULL; i++) {
        openapi_ref(a, openapi_object(a, openapi_object(a, content, types[i]),
                                      "schema"),
                    route->schema != NULL ? route->schema->name : "any");
    }
}


static void
openapi_answer(arena_t *a, value_t *answers, const char *status,
    const char *text, const char *ref)
{
    value_t  *v;

    v = openapi_object(a, answers, status);
    openapi_text(a, v, "description", text);

    if (ref != NULL) {
        v = openapi_object(a, v, "content");
        v = openapi_object(a, v, "application/json");
        openapi_ref(a, openapi_object(a, v, "schema"), ref);
    }
}


static void
openapi_components(arena_t *a, value_t *doc)
{
    size_t    i;
    value_t  *parts, *schemas;

    parts = value_new(a);
    value_set_object(parts);
    openapi_tokens(a, openapi_object(a, parts, "securitySchemes"));

    schemas = value_new(a);
    value_set_object(schemas);
    openapi_errors(a, schemas);

    for (i = 0; schema_entities[i] != NULL; i++) {
        openapi_entity(a, schema_entities[i], schemas);
    }

    openapi_plugins(a, schemas);

    *value_put(a, parts, "schemas") = *schemas;
    *value_put(a, doc, "components") = *parts;
}


static void
openapi_tokens(arena_t *a, value_t *out)
{
    value_t  *v;

    v = openapi_object(a, out, "token");
    openapi_text(a, v, "type", "http");
    openapi_text(a, v, "scheme", "bearer");

    v = openapi_object(a, out, "header");
    openapi_text(a, v, "type", "apiKey");
    openapi_text(a, v, "in", "header");
    openapi_text(a, v, "name", "Kong-Admin-Token");
}


static void
openapi_errors(arena_t *a, value_t *out)
{
    value_t  *v, *list;

    (void) openapi_object(a, out, "any");

    v = openapi_object(a, out, "error");
    openapi_text(a, v, "type", "object");
    list = openapi_array(a, v, "required");
    value_set_string(value_append(a, list), "message", 7);

    v = openapi_object(a, v, "properties");
    openapi_text(a, openapi_object(a, v, "message"), "type", "string");
    openapi_text(a, openapi_object(a, v, "name"), "type", "string");
    openapi_text(a, openapi_object(a, v, "code"), "type", "integer");
    openapi_text(a, openapi_object(a, v, "fields"), "type", "object");
    openapi_text(a, openapi_object(a, v, "options"), "type", "object");
}


static void
openapi_entity(arena_t *a, const schema_t *s, value_t *schemas)
{
    value_t  *v, *items;

    v = value_new(a);
    value_set_object(v);
    openapi_fields(a, s->fields, v, 0);
    *value_put(a, schemas, s->name) = *v;

    v = openapi_object(a, schemas, arena_printf(a, "%s.page", s->name));
    openapi_text(a, v, "type", "object");
    v = openapi_object(a, v, "properties");
    items = openapi_object(a, v, "data");
    openapi_text(a, items, "type", "array");
    openapi_ref(a, openapi_object(a, items, "items"), s->name);

    items = openapi_array(a, openapi_object(a, v, "next"), "type");
    value_set_string(value_append(a, items), "string", 6);
    value_set_string(value_append(a, items), "null", 4);
    openapi_text(a, openapi_object(a, v, "offset"), "type", "string");
}


static void
openapi_fields(arena_t *a, const field_t *f, value_t *out, unsigned strict)
{
    value_t  *properties, *v;

    openapi_text(a, out, "type", "object");
    properties = value_new(a);
    value_set_object(properties);

    for ( /* void */ ; f != NULL && f->name != NULL; f++) {
        v = value_new(a);
        value_set_object(v);
        openapi_field(a, f, v);
        *value_put(a, properties, f->name) = *v;
    }

    *value_put(a, out, "properties") = *properties;

    if (strict) {
        value_set_bool(value_put(a, out, "additionalProperties"), false);
    }
}


static void
openapi_field(arena_t *a, const field_t *f, value_t *out)
{
    value_t      v;
    const char  *err;

    openapi_type(a, f, out);
    openapi_limits(a, f, out);
    openapi_nested(a, f, out);

    if (f->def != NULL
        && json_parse(a, f->def, strlen(f->def), &v, &err) == 0)
    {
        *value_put(a, out, "default") = v;
    }
}


/* a field that may be unset shows null */
static void
openapi_type(arena_t *a, const field_t *f, value_t *out)
{
    value_t     *list;
    const char  *name;

    static const char *const  names[] = {
        [FIELD_STRING] = "string", [FIELD_INTEGER] = "integer",
        [FIELD_NUMBER] = "number", [FIELD_BOOLEAN] = "boolean",
        [FIELD_ARRAY] = "array", [FIELD_SET] = "array",
        [FIELD_MAP] = "object", [FIELD_RECORD] = "object",
        [FIELD_FOREIGN] = "object", [FIELD_ANY] = NULL
    };

    name = names[f->type];

    if (name == NULL) {
        return;
    }

    if (f->flags & F_REQUIRED) {
        openapi_text(a, out, "type", name);
        return;
    }

    list = openapi_array(a, out, "type");
    value_set_string(value_append(a, list), name, strlen(name));
    value_set_string(value_append(a, list), "null", 4);
}


static void
openapi_limits(arena_t *a, const field_t *f, value_t *out)
{
    value_t             *list;
    unsigned             i;
    const char *const   *p;

    if (f->flags & F_UUID) {
        openapi_text(a, out, "format", "uuid");
    }

    if (f->flags & F_BETWEEN) {
        value_set_number(value_put(a, out, "minimum"), f->min);
        value_set_number(value_put(a, out, "maximum"), f->max);
    }

    if (f->flags & F_GT) {
        value_set_number(value_put(a, out, "exclusiveMinimum"), f->min);
    }

    if (f->type == FIELD_STRING && (f->flags & F_LEN_MAX)) {
        value_set_number(value_put(a, out, "maxLength"), f->len_max);
    }

    if (f->type == FIELD_SET) {
        value_set_bool(value_put(a, out, "uniqueItems"), true);
    }

    if (f->one_of == NULL && f->n_one_of_num == 0) {
        return;
    }

    list = openapi_array(a, out, "enum");

    for (p = f->one_of; p != NULL && *p != NULL; p++) {
        value_set_string(value_append(a, list), *p, strlen(*p));
    }

    for (i = 0; i < f->n_one_of_num; i++) {
        value_set_number(value_append(a, list), f->one_of_num[i]);
    }

    if (!(f->flags & F_REQUIRED)) {
        value_set_null(value_append(a, list));
    }
}


static void
openapi_nested(arena_t *a, const field_t *f, value_t *out)
{
    value_t   *v;
    field_t    element;

    if (f->type == FIELD_FOREIGN) {
        v = openapi_object(a, out, "properties");
        v = openapi_object(a, v, "id");
        openapi_text(a, v, "type", "string");
        openapi_text(a, v, "format", "uuid");
        return;
    }

    if (f->type == FIELD_RECORD && f->fields != NULL) {
        v = value_new(a);
        value_set_object(v);
        openapi_fields(a, f->fields, v, 0);
        *value_put(a, out, "properties") = *value_get(v, "properties");
        return;
    }

    if (f->elements == NULL) {
        return;
    }

    /* what is in a list is never null */

    element = *f->elements;
    element.flags |= F_REQUIRED;
    v = value_new(a);
    value_set_object(v);
    openapi_field(a, &element, v);

    *value_put(a, out, f->type == FIELD_MAP ? "additionalProperties"
                                            : "items") = *v;
}


/* config is that of one of them */
static void
openapi_plugins(arena_t *a, value_t *schemas)
{
    size_t                  i;
    value_t                *any, *v, *config;
    const char             *name;
    const field_t          *f;
    const plugin_schema_t  *p;

    any = value_new(a);
    value_set_array(any);

    for (i = 0; schema_plugins[i] != NULL; i++) {
        p = schema_plugins[i];

        for (f = p->schema.fields; f != NULL && f->name != NULL; f++) {

            if (p->refused != NULL || strcmp(f->name, "config") != 0) {
                continue;
            }

            name = arena_printf(a, "plugins.%s", p->schema.name);
            v = value_new(a);
            value_set_object(v);
            openapi_fields(a, f->fields, v, 0);
            *value_put(a, schemas, name) = *v;

            openapi_ref(a, openapi_object(a, any, NULL), name);
        }
    }

    config = value_path(schemas, "plugins.properties");
    config = (config != NULL) ? value_put(a, config, "config") : NULL;

    if (config != NULL) {
        value_set_object(config);
        *value_put(a, config, "anyOf") = *any;
    }
}


/* a member of an object, or (`name` NULL) an item of an array; it stays where
 * it is until the next one is made */
static value_t *
openapi_object(arena_t *a, value_t *out, const char *name)
{
    value_t  *v;

    v = (name != NULL) ? value_put(a, out, name) : value_append(a, out);
    value_set_object(v);

    return v;
}


static value_t *
openapi_array(arena_t *a, value_t *out, const char *name)
{
    value_t  *v;

    v = value_put(a, out, name);
    value_set_array(v);

    return v;
}


static void
openapi_text(arena_t *a, value_t *out, const char *name, const char *text)
{
    value_set_string(value_put(a, out, name), text, strlen(text));
}


static void
openapi_ref(arena_t *a, value_t *out, const char *name)
{
    openapi_text(a, out, "$ref", arena_printf(a, OPENAPI_REF "%s", name));
}
