/*
 * generation: what a good load leaves behind, see generation.h.
 */

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>

#include "../model/types.h"
#include "generation.h"
#include "vault.h"


static void generation_service(arena_t *a, const generation_t *g,
    const value_t *row, const char **names, size_t *n);
static void generation_plugin(arena_t *a, const generation_t *g,
    const value_t *row, const char **names, size_t *n);
static void generation_target(arena_t *a, const value_t *row,
    const char **names, size_t *n);
static const value_t *generation_url(arena_t *a, const config_t *c,
    const value_t *url);
static const char *generation_lower(arena_t *a, const char *name,
    size_t len);
static int generation_by_name(const void *one, const void *two);
static int generation_is_address(const char *host);


generation_t *
generation_new(config_t *c, uint32_t number)
{
    generation_t  *g;

    g = arena_zalloc(c->arena, sizeof(generation_t));
    g->config = c;
    g->number = number;
    g->refs = 1;

    return g;
}


void
generation_get(generation_t *g)
{
    g->refs++;
}


void
generation_put(generation_t *g)
{
    if (g != NULL && --g->refs == 0) {
        /* g lies in the arena of its configuration */
        compile_state_free(g->compiled);
        config_free(g->config);
    }
}


void
generation_sort(generation_t *g)
{
    size_t           i;
    config_t        *c;
    config_table_t  *t;

    c = g->config;
    g->sorted = arena_zalloc(c->arena, c->n_tables * sizeof(value_t **));

    if (!c->sorted) {
        config_sort(c);
    }

    for (i = 0; i < c->n_tables; i++) {
        t = &c->tables[i];
        g->sorted[i] = c->sorted ? t->rows : t->ascending;
    }
}


const char *const *
generation_hosts(arena_t *a, const generation_t *g, size_t *n)
{
    size_t           i, k, max;
    const char     **names;
    config_table_t  *services, *targets, *plugins;

    services = config_table(g->config, "services");
    targets = config_table(g->config, "targets");
    plugins = config_table(g->config, "plugins");

    max = (services != NULL ? services->n : 0)
          + (targets != NULL ? targets->n : 0)
          + (plugins != NULL ? plugins->n : 0);
    *n = 0;

    if (max == 0) {
        return NULL;
    }

    names = arena_alloc(a, (max + 1) * sizeof(char *));

    for (i = 0; services != NULL && i < services->n; i++) {
        generation_service(a, g, services->rows[i], names, n);
    }

    for (i = 0; targets != NULL && i < targets->n; i++) {
        generation_target(a, targets->rows[i], names, n);
    }

    for (i = 0; plugins != NULL && i < plugins->n; i++) {
        generation_plugin(a, g, plugins->rows[i], names, n);
    }

    if (*n != 0) {
        qsort(names, *n, sizeof(char *), generation_by_name);
    }

    for (i = 0, k = 0; i < *n; i++) {
        if (k == 0 || strcmp(names[k - 1], names[i]) != 0) {
            names[k++] = names[i];
        }
    }

    names[k] = NULL;
    *n = k;

    return names;
}


/* the name of an upstream is not asked for */
static void
generation_service(arena_t *a, const generation_t *g, const value_t *row,
    const char **names, size_t *n)
{
    const value_t  *host;

    host = value_get(row, "host");

    if (value_cstr(host) != NULL
        && !generation_is_address(host->u.string)
        && config_by_key(g->config, "upstreams", host->u.string, host->len)
           == NULL)
    {
        names[(*n)++] = generation_lower(a, host->u.string, host->len);
    }
}


static void
generation_target(arena_t *a, const value_t *row, const char **names,
    size_t *n)
{
    host_t          host;
    const value_t  *target;

    target = value_get(row, "target");

    if (value_cstr(target) != NULL
        && host_parse(target->u.string, target->len, &host) == HOST_OK
        && host.kind == HOST_NAME)
    {
        names[(*n)++] = generation_lower(a, host.host, strlen(host.host));
    }
}


/* servers that a plugin of the module connects to */
static void
generation_plugin(arena_t *a, const generation_t *g, const value_t *row,
    const char **names, size_t *n)
{
    const char     *name;
    const value_t  *config, *host;

    name = value_cstr(value_get(row, "name"));
    config = value_get(row, "config");

    if (name == NULL) {
        return;
    }

    if (strcmp(name, "ldap-auth") == 0) {
        host = value_get(config, "ldap_host");

    } else if ((strcmp(name, "rate-limiting") == 0
                || strcmp(name, "response-ratelimiting") == 0)
               && value_str_eq(value_get(config, "policy"), "redis"))
    {
        host = value_get(value_get(config, "redis"), "host");

    } else if (strcmp(name, "http-log") == 0) {
        host = generation_url(a, g->config,
                              value_get(config, "http_endpoint"));

    } else if (strcmp(name, "tcp-log") == 0 || strcmp(name, "udp-log") == 0
               || strcmp(name, "loggly") == 0)
    {
        host = value_get(config, "host");

    } else {
        return;
    }

    if (value_cstr(host) != NULL && !generation_is_address(host->u.string)) {
        names[(*n)++] = generation_lower(a, host->u.string, host->len);
    }
}


/* the host of a URL, as a string; NULL when there is none */
static const value_t *
generation_url(arena_t *a, const config_t *c, const value_t *url)
{
    size_t       n;
    value_t     *host;
    const char  *p, *at, *err;

    p = value_cstr(url);

    if (p != NULL && vault_is_reference(url)) {
        p = vault_resolve(a, c, p, url->len, &err);
    }

    p = (p != NULL) ? strstr(p, "://") : NULL;

    if (p == NULL) {
        return NULL;
    }

    p += 3;
    n = strcspn(p, "/?#");
    at = memrchr(p, '@', n);

    if (at != NULL) {
        p = at + 1;
    }

    if (*p == '[') {
        return NULL;
    }

    host = value_new(a);
    value_copy_string(a, host, p, strcspn(p, ":/?#"));

    return host;
}


static const char *
generation_lower(arena_t *a, const char *name, size_t len)
{
    char  *p, *copy;

    copy = arena_strndup(a, name, len);

    for (p = copy; *p != '\0'; p++) {
        *p = tolower((unsigned char) *p);
    }

    return copy;
}


static int
generation_by_name(const void *one, const void *two)
{
    return strcmp(*(const char *const *) one, *(const char *const *) two);
}


static int
generation_is_address(const char *host)
{
    char             text[64];
    size_t           len;
    struct in6_addr  addr;

    if (inet_pton(AF_INET, host, &addr) == 1
        || inet_pton(AF_INET6, host, &addr) == 1)
    {
        return 1;
    }

    len = strlen(host);

    if (len < 4 || len > sizeof(text) || host[0] != '['
        || host[len - 1] != ']')
    {
        return 0;
    }

    memcpy(text, host + 1, len - 2);
    text[len - 2] = '\0';

    return inet_pton(AF_INET6, text, &addr) == 1;
}
