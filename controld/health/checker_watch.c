/*
 * checker_watch: from a configuration and the answers to its names to what is
 * probed.  Upstreams are held against those before by their key, addresses by
 * their id: what is the same goes on as if nothing had happened.
 */

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../compile/upstream_checks.h"
#include "../compile/upstreams.h"
#include "../model/types.h"
#include "checker_private.h"


#define CHECKER_INTERVAL  100          /* ms, at least */
#define CHECKER_FOREVER   60000        /* ms of a timeout of 0 */


static void checker_mark(checker_t *c);
static unsigned checker_wanted(const value_t *upstream);
static double checker_number(const value_t *active, const char *path);
static void checker_upstream(checker_t *c, const upstream_t *u);
static void checker_settings(checked_t *to, const upstream_t *u);
static void checker_group(checked_t *to);
static int64_t checker_interval(const value_t *active, const char *path);
static void checker_headers(checked_t *to, const value_t *headers);
static void checker_header(checked_t *to, const char *name,
    const value_t *value);
static void checker_address(checker_t *c, checked_t *to, const upstream_t *u,
    size_t i);
static checked_address_t *checker_address_new(checker_t *c, checked_t *to,
    uint64_t id);
static void checker_address_free(checker_t *c, checked_address_t *a);
static char *checker_texts(const checked_t *to, const kong_address_t *address,
    const char *host);
static unsigned checker_texts_equal(const char *one, const char *two);
static void checker_sweep(checker_t *c);


void
checker_watch(checker_t *c, const config_t *config,
    const compile_endpoint_t *names, size_t n)
{
    size_t              i, n_upstreams;
    arena_t            *a;
    unsigned            wanted;
    upstream_t         *list;
    config_table_t     *t;

    checker_mark(c);

    t = (config != NULL) ? config_table(config, "upstreams") : NULL;

    for (i = 0, wanted = 0; t != NULL && i < t->n && !wanted; i++) {
        wanted = checker_wanted(t->rows[i]);
    }

    if (wanted) {
        a = arena_new();
        list = upstreams_resolve(a, config, names, n, &n_upstreams);

        for (i = 0; i < n_upstreams; i++) {
            if (checker_wanted(list[i].entity)) {
                checker_upstream(c, &list[i]);
            }
        }

        arena_free(a);
    }

    checker_sweep(c);
    checker_ask(c);
    checker_run(c);
}


/* everything is gone that is not found again */
static void
checker_mark(checker_t *c)
{
    checked_t          *u, *next;
    checked_address_t  *a, *after;

    HASH_ITER(hh, c->addresses, a, after) {
        a->gone = 1;
    }

    HASH_ITER(hh, c->upstreams, u, next) {
        u->gone = 1;
    }
}


static unsigned
checker_wanted(const value_t *upstream)
{
    const value_t  *active;

    active = value_path(upstream, "healthchecks.active");

    return checker_number(active, "healthy.interval") > 0
           || checker_number(active, "unhealthy.interval") > 0;
}


static double
checker_number(const value_t *active, const char *path)
{
    const value_t  *v;

    v = value_path(active, path);

    return (v != NULL && v->kind == VALUE_NUMBER) ? v->u.number : 0;
}


static void
checker_upstream(checker_t *c, const upstream_t *u)
{
    size_t      i;
    checked_t  *to;

    HASH_FIND(hh, c->upstreams, &u->key, sizeof(uint64_t), to);

    if (to == NULL) {
        to = calloc(1, sizeof(checked_t));
        if (to == NULL) {
            return;
        }

        to->checker = c;
        to->key = u->key;
        HASH_ADD(hh, c->upstreams, key, sizeof(uint64_t), to);
    }

    to->gone = 0;

    if (!value_equal(to->active, value_path(u->entity,
                                            "healthchecks.active")))
    {
        checker_settings(to, u);
    }

    for (i = 0; i < u->n; i++) {
        checker_address(c, to, u, i);
    }
}


static void
checker_settings(checked_t *to, const upstream_t *u)
{
    checks_t           checks;
    const value_t     *type, *value;
    probe_settings_t  *s;

    to->old = to->arena;
    to->arena = arena_new();
    to->active = value_clone(to->arena, value_path(u->entity,
                                                  "healthchecks.active"));
    checker_group(to);

    checks_init(&checks, to->arena, 1);
    (void) checks_add(&checks, value_get(u->entity, "healthchecks"));
    to->checks = checks.records[0].active;

    s = &to->settings;
    memset(s, 0, sizeof(probe_settings_t));

    type = value_get(to->active, "type");
    s->http = !value_str_eq(type, "tcp");
    s->tls = value_str_eq(type, "https") || value_str_eq(type, "grpcs");

    value = value_get(to->active, "https_verify_certificate");
    s->verify = !(value != NULL && value->kind == VALUE_BOOL
                  && !value->u.boolean);

    s->timeout = (long) (checker_number(to->active, "timeout") * 1000);
    s->timeout = (s->timeout > 0) ? s->timeout : CHECKER_FOREVER;
    s->path = value_cstr(value_get(to->active, "http_path"));
    s->path = (s->path != NULL) ? s->path : "/";
    to->sni = value_cstr(value_get(to->active, "https_sni"));

    checker_headers(to, value_get(to->active, "headers"));
}


/* libcurl's own Accept is left out, like in Kong */
static void
checker_headers(checked_t *to, const value_t *headers)
{
    size_t            i, k;
    member_t         *m;
    const value_t    *value;

    checker_header(to, "Accept", NULL);

    for (i = 0; headers != NULL && headers->kind == VALUE_OBJECT
                && i < headers->len; i++)
    {
        m = &headers->u.members[i];

        for (k = 0; (value = value_at(&m->value, k)) != NULL; k++) {
            if (value->kind == VALUE_STRING) {
                checker_header(to, m->key, value);
            }
        }
    }
}


/* behind the others; in front of them, and without a value, it removes one
 * that libcurl would send.  What could end a line is escaped */
static void
checker_header(checked_t *to, const char *name, const value_t *value)
{
    char                *text, *p;
    size_t               i;
    unsigned char        ch;
    struct curl_slist   *node, **last;

    node = arena_alloc(to->arena, sizeof(struct curl_slist));
    text = arena_alloc(to->arena, strlen(name) + sizeof(": ")
                                  + (value != NULL ? value->len * 3 : 0));

    p = text + sprintf(text, "%s:%s", name, value == NULL ? "" : " ");

    for (i = 0; value != NULL && i < value->len; i++) {
        ch = (unsigned char) value->u.string[i];

        if (ch < 0x20 || ch == 0x7f) {
            p += sprintf(p, "%%%02X", ch);
        } else {
            *p++ = (char) ch;
        }
    }

    *p = '\0';

    node->data = text;
    node->next = NULL;

    for (last = &to->settings.headers; *last != NULL; last = &(*last)->next) {
        /* void */
    }

    *last = node;

    if (strcasecmp(name, "host") == 0) {
        to->settings.host = 1;
    }
}


/* one upstream cannot keep all probes for itself */
static void
checker_group(checked_t *to)
{
    double              n;
    schedule_group_t   *g;

    g = &to->group;

    g->up = checker_interval(to->active, "healthy.interval");
    g->down = checker_interval(to->active, "unhealthy.interval");

    n = checker_number(to->active, "concurrency");
    g->concurrency = (n < 1) ? 1 : (n > CHECKER_PROBES / CHECKER_SHARE)
                                   ? CHECKER_PROBES / CHECKER_SHARE
                                   : (unsigned) n;
}


static int64_t
checker_interval(const value_t *active, const char *path)
{
    int64_t  ms;

    ms = (int64_t) (checker_number(active, path) * 1000);

    return (checker_number(active, path) <= 0) ? 0
           : (ms < CHECKER_INTERVAL) ? CHECKER_INTERVAL : ms;
}


static void
checker_address(checker_t *c, checked_t *to, const upstream_t *u, size_t i)
{
    char               *texts;
    int64_t             now;
    unsigned            fresh;
    checked_address_t  *a;

    HASH_FIND(hh, c->addresses, &u->addresses[i].id, sizeof(uint64_t), a);

    texts = checker_texts(to, &u->addresses[i], u->hosts[i]);
    if (texts == NULL) {
        return;
    }

    if (a == NULL) {
        a = checker_address_new(c, to, u->addresses[i].id);
        if (a == NULL) {
            free(texts);
            return;
        }
    }

    a->gone = 0;
    now = checker_now();
    fresh = (to->old != NULL || a->texts == NULL
             || !checker_texts_equal(a->texts, texts));

    if (!fresh) {
        free(texts);
        return;
    }

    if (a->probe != NULL) {
        probe_cancel(a->probe);
        a->probe = NULL;
        schedule_again(c->schedule, &a->item, now);

    } else {
        schedule_revise(c->schedule, &a->item, now);
    }

    free(a->texts);
    a->texts = texts;
    a->target.url = texts;
    texts += strlen(texts) + 1;
    a->target.connect.data = texts;
    a->target.host.data = texts + strlen(texts) + 1;
}


static checked_address_t *
checker_address_new(checker_t *c, checked_t *to, uint64_t id)
{
    checked_address_t  *a;

    a = calloc(1, sizeof(checked_address_t));
    if (a == NULL) {
        return NULL;
    }

    a->id = id;
    a->upstream = to;
    a->item.group = &to->group;

    if (schedule_add(c->schedule, &a->item, checker_now()) == -1) {
        free(a);
        return NULL;
    }

    HASH_ADD(hh, c->addresses, id, sizeof(uint64_t), a);

    return a;
}


static void
checker_address_free(checker_t *c, checked_address_t *a)
{
    if (a->probe != NULL) {
        probe_cancel(a->probe);
    }

    schedule_remove(c->schedule, &a->item);
    checker_unqueue(c, a);
    HASH_DEL(c->addresses, a);
    free(a->texts);
    free(a);
}


/*
 * URL, where to connect and Host, each with its NUL; NULL: out of memory.  A
 * certificate is held against the name in the URL, which is https_sni, or
 * the Host without its port.
 */
static char *
checker_texts(const checked_t *to, const kong_address_t *address,
    const char *host)
{
    int          n, len;
    char         ip[INET6_ADDRSTRLEN + 2], text[INET6_ADDRSTRLEN], *out;
    const char  *name;
    host_t       parsed;

    (void) inet_ntop(address->ipv6 ? AF_INET6 : AF_INET, address->addr, text,
                     sizeof(text));
    (void) snprintf(ip, sizeof(ip), address->ipv6 ? "[%s]" : "%s", text);

    name = ip;
    len = (int) strlen(ip);

    if (to->settings.tls) {
        name = (to->sni != NULL) ? to->sni : host;
        len = (to->sni != NULL) ? (int) strlen(name) : address->host_len;

        if (to->sni == NULL
            && host_parse(host, address->host_len, &parsed) == HOST_OK
            && parsed.port >= 0)
        {
            len = (int) (strrchr(host, ':') - host);
        }
    }

    n = asprintf(&out, "%s://%.*s:%u%c::%s:%u%cHost: %.*s",
                 to->settings.tls ? "https" : "http", len, name,
                 address->port, '\0', ip, address->port, '\0',
                 address->host_len, host);

    return (n == -1) ? NULL : out;
}


static unsigned
checker_texts_equal(const char *one, const char *two)
{
    int  i;

    for (i = 0; i < 3; i++) {
        if (strcmp(one, two) != 0) {
            return 0;
        }

        one += strlen(one) + 1;
        two += strlen(two) + 1;
    }

    return 1;
}


/* what is not there any more; nothing is probed by old settings now */
static void
checker_sweep(checker_t *c)
{
    checked_t          *u, *next;
    checked_address_t  *a, *after;

    HASH_ITER(hh, c->addresses, a, after) {
        if (a->gone) {
            checker_address_free(c, a);
        }
    }

    HASH_ITER(hh, c->upstreams, u, next) {

        arena_free(u->old);
        u->old = NULL;

        if (u->gone) {
            HASH_DEL(c->upstreams, u);
            arena_free(u->arena);
            free(u);
        }
    }
}


void
checker_clear(checker_t *c)
{
    checker_mark(c);
    checker_sweep(c);
}
