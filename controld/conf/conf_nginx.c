/*
 * conf_nginx: what the settings say to nginx directly: the directives of the
 * nginx_<block>_<directive> settings, block by block, and the settings that
 * are a directive under another name.
 */

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "conf_private.h"


#define NGINX_FILES_MIN  1024
#define NGINX_FILES_MAX  16384


static void conf_nginx_tls(conf_t *c);
static void conf_nginx_tls_put(conf_t *c, const char *directive,
    const char *value);
static void conf_nginx_auto(conf_t *c);
static void conf_nginx_add(conf_t *c, const char *name, const value_t *v);
static int conf_nginx_ignored(const char *block, const char *directive);
static int conf_nginx_cmp(const void *one, const void *two);


/* longer names first where one begins with another */
static const char *const  nginx_blocks[] = {
    "admin_gui", "admin", "events", "http", "location", "main", "proxy",
    "sproxy", "status", "stream", "supstream", "upstream", "wasm", NULL
};


void
conf_nginx_collect(conf_t *c)
{
    size_t    i;
    value_t  *names;

    conf_nginx_tls(c);
    conf_nginx_auto(c);

    /* sorted, so that the same settings always give the same file */
    names = value_new(c->arena);
    value_set_array(names);

    for (i = 0; i < c->values.len; i++) {
        if (strncmp(value_member(&c->values, i).key, "nginx_", 6) == 0
            && value_nth(&c->values, i)->kind == VALUE_STRING)
        {
            value_set_string(value_append(c->arena, names),
                             value_member(&c->values, i).key,
                             value_member(&c->values, i).key_len);
        }
    }

    if (names->len != 0) {
        qsort(names->u.items, names->len, sizeof(value_t), conf_nginx_cmp);
    }

    for (i = 0; i < names->len; i++) {
        conf_nginx_add(c, names->u.items[i].u.string,
                       value_get(&c->values, names->u.items[i].u.string));
    }
}


const value_t *
conf_nginx(const conf_t *c, const char *block)
{
    value_t  *v;

    static value_t  empty = { .kind = VALUE_OBJECT };

    v = value_get(&c->nginx, block);

    return v ? v : &empty;
}


/* a predefined suite decides all of it, as in Kong */
static void
conf_nginx_tls(conf_t *c)
{
    const char          *name;
    const conf_suite_t  *suite;

    name = conf_str(c, "ssl_cipher_suite");
    suite = name ? conf_suite(name) : NULL;

    conf_nginx_tls_put(c, "ssl_session_tickets",
                       conf_str(c, "ssl_session_tickets"));
    conf_nginx_tls_put(c, "ssl_session_timeout",
                       conf_str(c, "ssl_session_timeout"));

    if (suite == NULL) {
        conf_nginx_tls_put(c, "ssl_protocols", conf_str(c, "ssl_protocols"));
        conf_nginx_tls_put(c, "ssl_prefer_server_ciphers",
                           conf_str(c, "ssl_prefer_server_ciphers"));
        conf_nginx_tls_put(c, "ssl_dhparam", conf_str(c, "ssl_dhparam"));
        return;
    }

    conf_put_string(c, "ssl_ciphers", suite->ciphers);
    conf_put_string(c, "nginx_http_ssl_protocols", suite->protocols);
    conf_put_string(c, "nginx_http_ssl_prefer_server_ciphers",
                    suite->prefer_server_ciphers);

    if (strcmp(suite->name, "old") != 0) {
        conf_put_string(c, "ssl_dhparam", suite->dhparam);
        conf_put_string(c, "nginx_http_ssl_dhparam", suite->dhparam);

    } else {
        conf_nginx_tls_put(c, "ssl_dhparam", conf_str(c, "ssl_dhparam"));
    }
}


/* the directive's own setting wins unless the other one came later */
static void
conf_nginx_tls_put(conf_t *c, const char *directive, const char *value)
{
    const char  *name;

    name = arena_printf(c->arena, "nginx_http_%s", directive);

    if (conf_str(c, name) == NULL
        || conf_from(c, directive) > conf_from(c, name))
    {
        conf_put_string(c, name, value);
    }
}


static void
conf_nginx_auto(conf_t *c)
{
    size_t         i;
    rlim_t         files;
    const char    *text;
    struct rlimit  rl;

    static const char *const  names[] = {
        "nginx_main_worker_rlimit_nofile", "nginx_events_worker_connections"
    };

    files = NGINX_FILES_MIN;

    if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
        files = rl.rlim_cur;
    }

    if (files < NGINX_FILES_MIN) {
        files = NGINX_FILES_MIN;

    } else if (files > NGINX_FILES_MAX) {
        files = NGINX_FILES_MAX;
    }

    text = arena_printf(c->arena, "%lu", (unsigned long) files);

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (value_str_eq(conf_value(c, names[i]), "auto")) {
            conf_put_string(c, names[i], text);
        }
    }
}


static void
conf_nginx_add(conf_t *c, const char *name, const value_t *v)
{
    size_t              len;
    value_t            *o;
    const char *const  *b;

    if (value_str_eq(v, "NONE")) {
        return;
    }

    name += sizeof("nginx_") - 1;

    for (b = nginx_blocks; *b != NULL; b++) {
        len = strlen(*b);

        if (strncmp(name, *b, len) == 0 && name[len] == '_') {
            break;
        }
    }

    if (*b == NULL) {
        return;
    }

    name += len + 1;

    if (conf_nginx_ignored(*b, name)) {
        return;
    }

    if (name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] != '\0') {
        value_printf(c->arena, value_append(c->arena, &c->warnings),
                     "nginx_%s_%s is no name of a directive, it is ignored",
                     *b, name);
        return;
    }

    o = value_put(c->arena, &c->nginx, *b);
    if (o->kind != VALUE_OBJECT) {
        value_set_object(o);
    }

    *value_put(c->arena, o, name) = *v;
}


/* what only exists in an nginx with Lua, or has another setting now */
static int
conf_nginx_ignored(const char *block, const char *directive)
{
    return strncmp(directive, "lua_", 4) == 0
           || (strcmp(block, "http") == 0
               && (strcmp(directive, "upstream_keepalive") == 0
                   || strcmp(directive, "upstream_keepalive_timeout") == 0
                   || strcmp(directive, "upstream_keepalive_requests") == 0));
}


static int
conf_nginx_cmp(const void *one, const void *two)
{
    return strcmp(((const value_t *) one)->u.string,
                  ((const value_t *) two)->u.string);
}
