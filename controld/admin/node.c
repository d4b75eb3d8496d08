/*
 * node: what the Admin API tells about this node: GET /, /endpoints,
 * /plugins/enabled, /robots.txt.
 */

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../cli/cli.h"
#include "../model/uuid.h"
#include "router.h"


#define NODE_FILE_MAX  4096


static void node_pids(admin_request_t *r, value_t *out);
static void node_plugins_available(admin_request_t *r, value_t *out);
static void node_plugins_used(admin_request_t *r, value_t *out);
static char *node_read(arena_t *a, const char *path);


void
node_root(admin_request_t *r)
{
    char                 host[256];
    value_t              body, *v;
    const conf_t        *c;
    const admin_host_t  *h;

    h = admin_host(r->admin);
    c = h->conf(h->data);

    if (gethostname(host, sizeof(host)) == -1) {
        host[0] = '\0';
    }

    host[sizeof(host) - 1] = '\0';

    value_set_object(&body);

    node_string(r, &body, "tagline", "Welcome to kong");
    node_string(r, &body, "version", KONG_VERSION);
    node_string(r, &body, "edition", "community");
    node_string(r, &body, "hostname", host);
    node_string(r, &body, "node_id", node_id(r));

    /* nothing is run in Lua here; clients expect the field */
    node_string(r, &body, "lua_version", "none");

    node_pids(r, value_put(r->arena, &body, "pids"));

    v = value_put(r->arena, &body, "timers");
    value_set_object(v);
    value_set_number(value_put(r->arena, v, "running"), 0);
    value_set_number(value_put(r->arena, v, "pending"), 0);

    v = value_put(r->arena, &body, "plugins");
    value_set_object(v);
    node_plugins_available(r, value_put(r->arena, v, "available_on_server"));
    node_plugins_used(r, value_put(r->arena, v, "enabled_in_cluster"));

    *value_put(r->arena, &body, "configuration") = *conf_show(r->arena, c);

    admin_json(r, 200, &body);
}


/* the workers have them; who asks with a token comes by here */
void
node_metrics(admin_request_t *r)
{
    (void) evhttp_add_header(evhttp_request_get_output_headers(r->req),
                             "X-Accel-Redirect", "@kong_metrics");
    admin_empty(r, 200);
}


/* the master's number is in its file; its workers are its children */
static void
node_pids(admin_request_t *r, value_t *out)
{
    long    master, worker;
    char   *text, *p, *end;
    value_t *list;

    value_set_object(out);

    text = node_read(r->arena, arena_printf(r->arena, "%s/pids/nginx.pid",
                                            admin_prefix(r->admin)));
    master = (text != NULL) ? strtol(text, NULL, 10) : 0;

    if (master > 0) {
        value_set_number(value_put(r->arena, out, "master"), master);
    }

    list = value_put(r->arena, out, "workers");
    value_set_array(list);

    text = (master <= 0) ? NULL
           : node_read(r->arena,
                       arena_printf(r->arena, "/proc/%ld/task/%ld/children",
                                    master, master));

    for (p = text; p != NULL; p = end) {
        worker = strtol(p, &end, 10);
        if (end == p) {
            break;
        }

        value_set_number(value_append(r->arena, list), worker);
    }
}


static void
node_plugins_available(admin_request_t *r, value_t *out)
{
    size_t                   i;
    value_t                 *v;
    const conf_t            *c;
    const admin_host_t      *h;
    const plugin_schema_t   *p;

    h = admin_host(r->admin);
    c = h->conf(h->data);

    value_set_object(out);
    out->flags |= VALUE_LUA_TABLE;

    for (i = 0; schema_plugins[i] != NULL; i++) {
        p = schema_plugins[i];

        if (p->refused != NULL || !conf_plugin_enabled(c, p)) {
            continue;
        }

        v = value_put(r->arena, out, p->schema.name);
        value_set_object(v);
        node_string(r, v, "version",
                    p->version != NULL ? p->version : KONG_VERSION);
        value_set_number(value_put(r->arena, v, "priority"), p->priority);
    }
}


static void
node_plugins_used(admin_request_t *r, value_t *out)
{
    size_t           i;
    value_t          seen, *name;
    config_table_t  *t;

    value_set_array(out);
    out->flags |= VALUE_LUA_TABLE;
    value_set_object(&seen);

    t = (r->generation == NULL) ? NULL
        : config_table(r->generation->config, "plugins");

    for (i = 0; t != NULL && i < t->n; i++) {
        name = value_get(t->rows[i], "name");

        if (name == NULL
            || value_getn(&seen, name->u.string, name->len) != NULL)
        {
            continue;
        }

        (void) value_putn(r->arena, &seen, name->u.string, name->len);
        *value_append(r->arena, out) = *name;
    }
}


void
node_plugins(admin_request_t *r)
{
    value_t              body, *list;
    const char          *name;
    const conf_t        *c;
    const admin_host_t  *h;

    const plugin_schema_t *const  *p;

    h = admin_host(r->admin);
    c = h->conf(h->data);

    value_set_object(&body);
    list = value_put(r->arena, &body, "enabled_plugins");
    value_set_array(list);

    for (p = schema_plugins; *p != NULL; p++) {
        name = (*p)->schema.name;

        if ((*p)->refused == NULL && conf_plugin_enabled(c, *p)) {
            value_set_string(value_append(r->arena, list), name,
                             strlen(name));
        }
    }

    admin_json(r, 200, &body);
}


void
node_endpoints(admin_request_t *r)
{
    value_t  body;

    value_set_object(&body);
    router_list(r->arena, admin_router(r->admin),
                value_put(r->arena, &body, "data"));

    admin_json(r, 200, &body);
}


void
node_robots(admin_request_t *r)
{
    static const char  text[] = "User-agent: *\nDisallow: /";

    admin_text(r, 200, "text/plain", text, sizeof(text) - 1);
}


const char *
node_id(admin_request_t *r)
{
    char                *text;
    const char          *id;
    const admin_host_t  *h;

    h = admin_host(r->admin);
    id = conf_str(h->conf(h->data), "node_id");

    if (id != NULL) {
        return id;
    }

    text = node_read(r->arena, arena_printf(r->arena, "%s/kong.id",
                                            admin_prefix(r->admin)));

    if (text == NULL || !uuid_is_valid(text, strcspn(text, "\r\n "))) {
        return "00000000-0000-0000-0000-000000000000";
    }

    text[UUID_LEN] = '\0';

    return text;
}


/* NULL when it cannot be read */
static char *
node_read(arena_t *a, const char *path)
{
    FILE    *f;
    char    *text;
    size_t   n;

    f = fopen(path, "re");
    if (f == NULL) {
        return NULL;
    }

    text = arena_alloc(a, NODE_FILE_MAX + 1);
    n = fread(text, 1, NODE_FILE_MAX, f);
    text[n] = '\0';

    (void) fclose(f);

    return text;
}


void
node_string(admin_request_t *r, value_t *o, const char *name,
    const char *text)
{
    value_copy_string(r->arena, value_put(r->arena, o, name), text,
                      strlen(text));
}
