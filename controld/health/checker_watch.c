/*
 * checker_watch: from a configuration and the answers to its names to what is
 * probed.  Upstreams are held against those before by their key, addresses by
 * their id: what is the same goes on as if nothing had happened.
 */

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../compile/upstreams.h"
#include "../model/types.h"
#include "checker_private.h"


static void checker_mark(checker_t *c);
static void checker_upstream(checker_t *c, arena_t *a,
    const config_t *config, const upstream_t *u);
static checked_t *checker_upstream_new(checker_t *c, uint64_t key);
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
    c->shows = 0;

    t = (config != NULL) ? config_table(config, "upstreams") : NULL;

    for (i = 0, wanted = 0; t != NULL && i < t->n && !wanted; i++) {
        wanted = checker_wanted(t->rows[i]);
    }

    if (wanted) {
        a = arena_new();
        list = upstreams_resolve(a, config, names, n, &n_upstreams);

        for (i = 0; i < n_upstreams; i++) {
            if (checker_wanted(list[i].entity)) {
                checker_upstream(c, a, config, &list[i]);
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


static void
checker_upstream(checker_t *c, arena_t *a, const config_t *config,
    const upstream_t *u)
{
    size_t               i;
    uint64_t             sum;
    checked_t           *to;
    checked_settings_t  *settings;

    HASH_FIND(hh, c->upstreams, &u->key, sizeof(uint64_t), to);
    sum = checker_settings_sum(config, u->entity);

    if (to == NULL || to->settings->sum != sum) {

        settings = checker_settings_new(a, config, u->entity, sum);
        if (settings == NULL) {
            return;
        }

        if (to == NULL) {
            to = checker_upstream_new(c, u->key);
        }

        if (to == NULL) {
            checker_settings_free(settings);
            return;
        }

        to->old = to->settings;
        to->settings = settings;
        to->group.up = settings->up;
        to->group.down = settings->down;
        to->group.concurrency = settings->concurrency;
    }

    to->gone = 0;
    c->shows |= (to->settings->probe.cert != NULL);

    for (i = 0; i < u->n; i++) {
        checker_address(c, to, u, i);
    }
}


static checked_t *
checker_upstream_new(checker_t *c, uint64_t key)
{
    checked_t  *to;

    to = calloc(1, sizeof(checked_t));

    if (to != NULL) {
        to->checker = c;
        to->key = key;
        HASH_ADD(hh, c->upstreams, key, sizeof(uint64_t), to);
    }

    return to;
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
    const char  *name, *sni;
    host_t       parsed;

    (void) inet_ntop(address->ipv6 ? AF_INET6 : AF_INET, address->addr, text,
                     sizeof(text));
    (void) snprintf(ip, sizeof(ip), address->ipv6 ? "[%s]" : "%s", text);

    name = ip;
    len = (int) strlen(ip);

    if (to->settings->probe.tls) {
        sni = to->settings->sni;
        name = (sni != NULL) ? sni : host;
        len = (sni != NULL) ? (int) strlen(sni) : address->host_len;

        if (sni == NULL
            && host_parse(host, address->host_len, &parsed) == HOST_OK
            && parsed.port >= 0)
        {
            len = (int) (strrchr(host, ':') - host);
        }
    }

    n = asprintf(&out, "%s://%.*s:%u%c::%s:%u%cHost: %.*s",
                 to->settings->probe.tls ? "https" : "http", len, name,
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

        checker_settings_free(u->old);
        u->old = NULL;

        if (u->gone) {
            HASH_DEL(c->upstreams, u);
            checker_settings_free(u->settings);
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
