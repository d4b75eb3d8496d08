/*
 * A segment made from the one before it and a change answers exactly as one
 * that is compiled whole: chains of random edits of random configurations,
 * whose segments are held against each other, request by request, record by
 * record.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controld/compile/patch.h"
#include "controld/model/json.h"
#include "controld/source/declarative.h"
#include "ngx_kong_module/snapshot/kong_match.h"
#include "ngx_kong_module/snapshot/kong_pages.h"
#include "ngx_kong_module/snapshot/kong_plugin.h"


#define ZERO      "00000000-0000-0000-0000-000000000000"
#define ONE       "00000000-0000-4000-8000-000000000001"

#define SHARED(max_age)                                                     \
    "\"services\":[{\"id\":\"" ONE "\",\"name\":\"s1\","                    \
    "\"host\":\"a.test\"}],\"routes\":["                                    \
    "{\"id\":\"" ONE "\",\"service\":\"s1\",\"paths\":[\"/a\"]},"           \
    "{\"name\":\"r2\",\"service\":\"s1\",\"paths\":[\"/b\"]}],"             \
    "\"plugins\":[{\"name\":\"cors\",\"route\":\"" ONE "\","               \
    "\"config\":{\"max_age\":" max_age "}},"                               \
    "{\"name\":\"cors\",\"service\":\"s1\",\"config\":"                   \
    "{\"max_age\":9" max_age "}}]"

#define ZEROS(max_age, route)                                               \
    "\"routes\":[{\"id\":\"" ZERO "\",\"name\":\"r1\","                    \
    "\"paths\":[\"/a\"]},{\"name\":\"r2\",\"paths\":[\"/b\"]}" route "],"   \
    "\"plugins\":[{\"name\":\"cors\",\"route\":\"" ZERO "\","              \
    "\"config\":{\"max_age\":5}},{\"name\":\"cors\",\"route\":\"r2\","   \
    "\"config\":{\"max_age\":" max_age "}}]"

#define CAPITALS(name)                                                      \
    "\"consumers\":[{\"username\":\"" name "\"},{\"username\":\"x\"}],"    \
    "\"plugins\":[{\"id\":\"0000000A-0000-4000-8000-00000000000B\","       \
    "\"name\":\"key-auth\",\"config\":{\"anonymous\":\"c1\"}}]"

#define OFF(plugin)                                                         \
    "\"services\":[{\"name\":\"s1\",\"host\":\"a.test\","                  \
    "\"enabled\":false}],\"routes\":["                                    \
    "{\"name\":\"r1\",\"paths\":[\"/a\"]},"                               \
    "{\"name\":\"r2\",\"service\":\"s1\",\"paths\":[\"/b\"]}],"           \
    "\"plugins\":[{\"name\":\"cors\",\"route\":\"r1\"}" plugin "]"

#define KEYS(first, second)                                                 \
    "\"consumers\":[{\"username\":\"c1\",\"keyauth_credentials\":["       \
    "{\"key\":\"" first "\"}]},{\"username\":\"c2\","                     \
    "\"keyauth_credentials\":[{\"key\":\"" second "\"}]}]"

#define ROUNDS    60
#define CHAIN     40
#define REQUESTS  120
#define MANY      48
#define NAMES     64            /* of items that are, were, or will be */
#define KEYS_MANY 400

typedef enum {
    SERVICES = 0, ROUTES, PLUGINS, CONSUMERS, UPSTREAMS, KINDS
} kind_t;

/* what is printed of an item follows from its numbers */
typedef struct {
    unsigned  name;
    unsigned  id;                /* 0: none is given */
    unsigned  shape;
    unsigned  parent;            /* name of a service, route or consumer */
    unsigned  other;             /* the same, of a plugin with two scopes */
} item_t;

typedef struct {
    item_t    items[KINDS][MANY];
    unsigned  n[KINDS];
} doc_t;

typedef struct {
    char     *text;
    size_t    len;
    size_t    cap;
} text_t;

static declarative_opts_t  opts;
static unsigned            steps, patched, pages, matched;
static unsigned            crowd;   /* routes without paths, by a header */
static unsigned            edits[KINDS], short_ways[KINDS];


static void
put(text_t *t, const char *fmt, ...)
{
    va_list  args;

    if (t->cap - t->len < 1024) {
        t->cap = t->cap * 2 + 65536;
        t->text = realloc(t->text, t->cap);
        assert_non_null(t->text);
    }

    va_start(args, fmt);
    t->len += (size_t) vsnprintf(t->text + t->len, 1024, fmt, args);
    va_end(args);
}


/* digits of a shape, one after the other */
static unsigned
digit(unsigned *shape, unsigned n)
{
    unsigned  d;

    *shape = *shape * 1103515245u + 12345u;
    d = (*shape >> 16) % n;

    return d;
}


/* what all have; ids of different kinds may be the same, in no order */
static void
put_common(text_t *t, const item_t *it, unsigned *s)
{
    if (it->id != 0) {
        put(t, ",\"id\":\"%08x-0000-4000-8000-%012u\"",
            it->id * 2654435761u, it->id);
    }

    if (digit(s, 4) == 0) {
        put(t, ",\"tags\":[\"t%u\"]", digit(s, 4));
    }
}


static void
put_service(text_t *t, const item_t *it)
{
    unsigned  s;

    static const char *const  hosts[] = {
        "10.0.0.1", "one.test", "two.test", "u0", "u1", "u2"
    };

    static const char *const  protocols[] = {
        "http", "http", "http", "https", "http", "grpc", "tcp"
    };

    s = it->shape;
    put(t, "{\"name\":\"s%u\",\"host\":\"%s\"", it->name,
        hosts[digit(&s, 6)]);
    put(t, ",\"protocol\":\"%s\",\"port\":%u", protocols[digit(&s, 7)],
        80 + digit(&s, 3));
    put(t, ",\"retries\":%u,\"enabled\":%s", digit(&s, 4),
        digit(&s, 12) == 0 ? "false" : "true");
    put_common(t, it, &s);
    put(t, "}");
}


static void
put_words(text_t *t, const char *name, unsigned *s, unsigned n,
    const char *const *words, unsigned many)
{
    unsigned  i;

    put(t, ",\"%s\":[", name);

    for (i = 0; i < n; i++) {
        put(t, "%s\"%s\"", i ? "," : "", words[digit(s, many)]);
    }

    put(t, "]");
}


static const char *const  paths[] = {
    "/", "/a", "/ab", "/abc", "/abd", "/abc/d", "/b", "/b/c", "/b/c/d",
    "~/a[0-9]+", "~/b/(c|d)", "~/abc", "/x", "/y", "/z", "/q", "/r", "/s",
    "/t", "/u", "/v", "/w", "/1", "/2", "/3", "/4", "/5", "/6", "/7", "/8",
    "/abcdefghijk", "/abcdefghijl", "/abcdxfghijk", "/aa", "/bb/cc"
};

static const char *const  hosts[] = {
    "a.test", "b.test", "c.test:8000", "*.test", "x.*", "*.b.test", "A.Test",
    "d.test", "e.test", "f.test", "g.test", "h.test"
};

#define N(list)  (sizeof(list) / sizeof(list[0]))


static void
put_route(text_t *t, const item_t *it)
{
    unsigned  s, n, only;

    static const char *const  methods[] = { "GET", "POST", "BREW" };
    static const char *const  snis[] = { "a.test", "*.test", "b.test" };

    static const char *const  values[] = {
        "one", "two", "three", "~*on.", "Four"
    };

    s = it->shape;
    put(t, "{\"name\":\"r%u\"", it->name);

    if (it->parent != 0) {
        put(t, ",\"service\":\"s%u\"", it->parent);
    }

    only = digit(&s, 12);
    n = digit(&s, 4);

    if (only != 0 && !(crowd && (it->shape & 192))) {
        put_words(t, "paths", &s, n ? n : 1, paths, N(paths));
    }

    if (digit(&s, 2) && !crowd) {
        put_words(t, "hosts", &s, 1 + digit(&s, 2), hosts, N(hosts));
    }

    if (digit(&s, 4) == 0 || only == 0) {
        put_words(t, "methods", &s, 1, methods, 3);
    }

    if (digit(&s, 5) == 0 || crowd) {
        put(t, ",\"headers\":{\"x-kind\":[\"%s\"]}", values[digit(&s, 5)]);
    }

    if (digit(&s, 9) == 0) {
        put_words(t, "snis", &s, 1, snis, 3);
        put(t, ",\"protocols\":[\"https\"]");

    } else if (digit(&s, 12) == 0) {
        put(t, ",\"protocols\":[\"grpc\"]");
        put(t, ",\"strip_path\":false");
    }

    put(t, ",\"regex_priority\":%u,\"preserve_host\":%s", digit(&s, 3),
        digit(&s, 2) ? "true" : "false");
    put_common(t, it, &s);
    put(t, "}");
}


/* two of a name in one scope are refused: such a change is none */
static void
put_plugin(text_t *t, const item_t *it)
{
    unsigned  s, scope;

    s = it->shape;
    scope = it->shape / 8 % 8;
    put(t, "{\"tags\":[\"p%u\"]", it->name);

    if (it->id != 0) {
        put(t, ",\"id\":\"%08x-0000-4000-8000-%012u\"",
            it->id * 2654435761u, it->id);
    }

    if (scope == 1 || (scope > 4 && it->other % 3 == 0 && it->other != 0)) {
        put(t, ",\"consumer\":\"c%u\"",
            scope == 1 ? it->parent : it->other);
    }

    if (scope == 2 || scope == 3) {
        put(t, ",\"service\":\"s%u\"", it->parent);
    }

    if (scope == 4 && it->other != 0) {
        put(t, ",\"service\":\"s%u\"", it->other);
    }

    if (scope >= 4) {
        put(t, ",\"route\":\"r%u\"", it->parent);
    }

    switch (digit(&s, 4)) {

    case 0:
        put(t, ",\"name\":\"rate-limiting\",\"config\":{\"minute\":%u}",
            1 + digit(&s, 50));
        break;

    case 1:
        put(t, ",\"name\":\"request-termination\",\"config\":"
            "{\"status_code\":%u}", 400 + digit(&s, 50));
        break;

    default:
        if (scope == 1 || scope > 4) {
            put(t, ",\"name\":\"request-size-limiting\"");
            break;
        }

        put(t, ",\"name\":\"key-auth\"");

        if (digit(&s, 3) == 0) {
            put(t, ",\"config\":{\"anonymous\":\"c%u\"}",
                1 + digit(&s, NAMES));
        }
        break;
    }

    put(t, ",\"enabled\":%s}", digit(&s, 9) == 0 ? "false" : "true");
}


static void
put_consumer(text_t *t, const item_t *it)
{
    unsigned  s, i, n;

    s = it->shape;
    put(t, "{\"username\":\"c%u\"", it->name);

    if (digit(&s, 2)) {
        put(t, ",\"custom_id\":\"x%u-%u\"", it->name, digit(&s, 30));
    }

    n = digit(&s, 3);
    put(t, ",\"keyauth_credentials\":[");

    for (i = 0; i < n; i++) {
        put(t, "%s{\"key\":\"k%u\"}", i ? "," : "", digit(&s, KEYS_MANY));
    }

    put(t, "],\"jwt_secrets\":[");

    if (digit(&s, 3) == 0) {
        put(t, "{\"key\":\"j%u\",\"secret\":\"s%u\"}", it->name,
            digit(&s, 20));
    }

    put(t, "],\"basicauth_credentials\":[");

    if (digit(&s, 3) == 0) {
        put(t, "{\"username\":\"b%u\",\"password\":\"s%u\"}", it->name,
            digit(&s, 20));
    }

    put(t, "],\"hmacauth_credentials\":[");

    if (digit(&s, 3) == 0) {
        put(t, "{\"username\":\"h%u\",\"secret\":\"s%u\"}", it->name,
            digit(&s, 20));
    }

    put(t, "],\"acls\":[");
    n = digit(&s, 3);

    for (i = 0; i < n; i++) {
        put(t, "%s{\"group\":\"g%u-%u\"}", i ? "," : "", digit(&s, 2) + 2 * i,
            digit(&s, 5));
    }

    put(t, "]");
    put_common(t, it, &s);
    put(t, "}");
}


static void
put_upstream(text_t *t, const item_t *it)
{
    unsigned  s;

    s = it->shape;
    put(t, "{\"name\":\"u%u\",\"slots\":%u,\"targets\":[{\"target\":"
        "\"10.1.0.%u:80\"}]}", it->name % 3, 100 + digit(&s, 20),
        digit(&s, 200));
}


static void
print(text_t *t, const doc_t *d)
{
    unsigned  k, i;

    static const struct {
        const char  *name;
        void       (*one)(text_t *t, const item_t *it);
    } kinds[KINDS] = {
        { "services", put_service },
        { "routes", put_route },
        { "plugins", put_plugin },
        { "consumers", put_consumer },
        { "upstreams", put_upstream }
    };

    t->len = 0;
    put(t, "{\"_format_version\":\"3.0\"");

    for (k = 0; k < KINDS; k++) {
        put(t, ",\n\"%s\":[", kinds[k].name);

        for (i = 0; i < d->n[k]; i++) {
            put(t, "%s\n", i ? "," : "");
            kinds[k].one(t, &d->items[k][i]);
        }

        put(t, "]");
    }

    put(t, "}\n");
}


static unsigned
some(const doc_t *d, kind_t kind)
{
    return d->n[kind] ? d->items[kind][(unsigned) rand() % d->n[kind]].name
                      : 0;
}


/* names and ids of what is gone come again, not together */
static unsigned
unused(const doc_t *d, kind_t kind, unsigned ids)
{
    unsigned  i, n;

    do {
        n = 1 + (unsigned) rand() % NAMES;

        for (i = 0; i < d->n[kind]; i++) {
            if ((ids ? d->items[kind][i].id : d->items[kind][i].name) == n) {
                break;
            }
        }

    } while (i < d->n[kind]);

    return n;
}


static void
adopt(const doc_t *d, kind_t kind, item_t *it)
{
    unsigned  scope;

    if (kind == ROUTES) {
        it->parent = (rand() % 8 != 0) ? some(d, SERVICES) : 0;
    }

    if (kind == PLUGINS) {
        scope = it->shape / 8 % 8;
        it->parent = some(d, scope == 1 ? CONSUMERS
                             : scope < 4 ? SERVICES : ROUTES);
        it->other = some(d, scope == 4 ? SERVICES : CONSUMERS);
    }
}


static item_t
fresh(doc_t *d, kind_t kind)
{
    item_t  it;

    memset(&it, 0, sizeof(it));
    it.name = (kind == UPSTREAMS) ? (unsigned) rand() % 3
                                  : unused(d, kind, 0);
    it.id = (rand() % 4 != 0) ? unused(d, kind, 1) : 0;
    it.shape = (unsigned) rand();
    adopt(d, kind, &it);

    return it;
}


static void
insert(doc_t *d, kind_t kind)
{
    unsigned  at;

    if (d->n[kind] == MANY) {
        return;
    }

    at = (unsigned) rand() % (d->n[kind] + 1);
    memmove(&d->items[kind][at + 1], &d->items[kind][at],
            (d->n[kind] - at) * sizeof(item_t));
    d->items[kind][at] = fresh(d, kind);
    d->n[kind]++;
}


static void
cut(doc_t *d, kind_t kind)
{
    unsigned  at;

    if (d->n[kind] == 0) {
        return;
    }

    at = (unsigned) rand() % d->n[kind];
    d->n[kind]--;
    memmove(&d->items[kind][at], &d->items[kind][at + 1],
            (d->n[kind] - at) * sizeof(item_t));
}


static void
make(doc_t *d)
{
    unsigned  i, n;

    memset(d, 0, sizeof(doc_t));

    for (i = 0; i < 4; i++) {
        insert(d, SERVICES);
        insert(d, CONSUMERS);
    }

    n = crowd ? MANY - 4 : 4 + (unsigned) rand() % 30;

    for (i = 0; i < n; i++) {
        insert(d, ROUTES);
    }

    for (i = 0, n = (unsigned) rand() % 12; i < n; i++) {
        insert(d, PLUGINS);
    }
}


static kind_t
edit(doc_t *d)
{
    kind_t    kind;
    item_t    it, *one, *two;

    static const kind_t  often[] = {
        SERVICES, ROUTES, ROUTES, ROUTES, PLUGINS, CONSUMERS, UPSTREAMS
    };

    kind = often[(unsigned) rand() % 7];

    if (d->n[kind] == 0) {
        insert(d, kind);
        return kind;
    }

    one = &d->items[kind][(unsigned) rand() % d->n[kind]];
    two = &d->items[kind][(unsigned) rand() % d->n[kind]];

    switch (rand() % 9) {

    case 0:
        insert(d, kind);
        break;

    case 1:
        cut(d, kind);
        break;

    case 2:
        /* another place */
        it = *one;
        *one = *two;
        *two = it;
        break;

    case 3:
        it = fresh(d, kind);
        it.name = one->name;
        *one = it;
        break;

    case 4:
        /* the id stays; what refers to the name is refused, or is another */
        it = fresh(d, kind);
        it.id = one->id;
        *one = it;
        break;

    case 5:
        adopt(d, kind, one);
        break;

    case 6:
        /* one's name is the other's */
        it = *one;
        one->name = two->name;
        two->name = it.name;
        break;

    default:
        one->shape ^= (unsigned) rand() & ~63u;
        break;
    }

    return kind;
}


typedef struct {
    const kong_segment_t  *seg;
    const char            *kind;     /* of the header x-kind */
} request_t;


static int
header(void *data, const kong_str_t *name, unsigned nth, kong_str_t *value)
{
    request_t  *r = data;

    if (nth != 0 || r->kind == NULL || name->len != 6
        || memcmp(name->data, "x-kind", 6) != 0)
    {
        return 0;
    }

    value->data = r->kind;
    value->len = strlen(r->kind);

    return 1;
}


/* enough of an engine for the patterns in use */
static int
regex(void *data, uint32_t index, const char *subject, size_t len,
    size_t from)
{
    size_t       i;
    request_t   *r = data;
    kong_str_t   p;

    p = kong_segment_str(r->seg, r->seg->regexes[index].pattern);

    if (strcmp(p.data, "on.") == 0) {
        return (len >= 3 && memcmp(subject, "on", 2) == 0) ? 3 : -1;
    }

    /* of paths, what is left behind their literal beginnings */

    if (strcmp(p.data, "[0-9]+") == 0) {
        for (i = from; i < len && subject[i] >= '0' && subject[i] <= '9';
             i++)
        {
            /* void */
        }

        return (i > from) ? (int) i : -1;
    }

    if (strcmp(p.data, "(c|d)") == 0) {
        return (len > from && (subject[from] == 'c' || subject[from] == 'd'))
               ? (int) from + 1 : -1;
    }

    assert_int_equal(p.len, 0);

    return (int) from;
}


static void
str(kong_str_t *s, const char *text)
{
    s->data = text;
    s->len = strlen(text);
}


static void
same_str(const kong_segment_t *one, uint32_t a, const kong_segment_t *two,
    uint32_t b)
{
    kong_str_t  s, t;

    s = kong_segment_str(one, a);
    t = kong_segment_str(two, b);

    assert_int_equal(s.len, t.len);
    assert_true((s.data == NULL) == (t.data == NULL));

    if (s.len != 0) {
        assert_memory_equal(s.data, t.data, s.len);
    }
}


static void
same_value(const kong_segment_t *one, const kong_value_t *a,
    const kong_segment_t *two, const kong_value_t *b)
{
    uint32_t             i, n;
    const kong_value_t  *x, *y;

    assert_int_equal(a->kind, b->kind);

    switch (a->kind) {

    case KONG_VALUE_STRING:
        same_str(one, a->u.ref, two, b->u.ref);
        break;

    case KONG_VALUE_NUMBER:
        assert_true(a->u.number == b->u.number);
        break;

    case KONG_VALUE_ARRAY:
    case KONG_VALUE_OBJECT:
        assert_int_equal(a->n, b->n);
        n = (a->kind == KONG_VALUE_OBJECT) ? 2 * a->n : a->n;
        x = kong_value_items(one, a);
        y = kong_value_items(two, b);

        for (i = 0; i < n; i++) {
            same_value(one, &x[i], two, &y[i]);
        }
        break;

    default:
        assert_int_equal(a->n, b->n);
        break;
    }
}


static void
same_consumer(const kong_segment_t *one, uint32_t a,
    const kong_segment_t *two, uint32_t b)
{
    const kong_consumer_t  *c, *d;

    assert_true((a >= KONG_MISSING) == (b >= KONG_MISSING));

    if (a >= KONG_MISSING) {
        assert_int_equal(a, b);
        return;
    }

    c = kong_consumer(one, a);
    d = kong_consumer(two, b);

    assert_memory_equal(c->id, d->id, 16);
    same_str(one, c->username, two, d->username);
    same_str(one, c->custom_id, two, d->custom_id);
    assert_int_equal(c->groups == KONG_NONE, d->groups == KONG_NONE);

    if (c->groups != KONG_NONE) {
        same_value(one, kong_value(one, c->groups), two,
                   kong_value(two, d->groups));
    }
}


static void
same_service(const kong_segment_t *one, uint32_t a,
    const kong_segment_t *two, uint32_t b)
{
    kong_service_t  s, t;

    assert_int_equal(a == KONG_NONE, b == KONG_NONE);

    if (a == KONG_NONE) {
        return;
    }

    s = one->services[a];
    t = two->services[b];

    same_str(one, s.name, two, t.name);
    same_str(one, s.host, two, t.host);
    same_str(one, s.host_header, two, t.host_header);
    same_str(one, s.path, two, t.path);

    s.name = s.host = s.host_header = s.path = 0;
    t.name = t.host = t.host_header = t.path = 0;
    assert_memory_equal(&s, &t, sizeof(s));
}


/* the instances that run for this consumer, in their order */
static unsigned
run(const kong_segment_t *seg, uint32_t route, uint32_t consumer,
    uint32_t *list)
{
    uint32_t             i, k, service;
    unsigned             n;
    const kong_slot_t   *slot;
    const kong_chain_t  *chain;

    chain = (route == KONG_NONE) ? kong_chain(seg, KONG_NONE)
                                 : kong_chain(seg, seg->routes[route].plugins);
    service = (route == KONG_NONE) ? KONG_NONE : seg->routes[route].service;

    if (chain == NULL) {
        return 0;
    }

    slot = (const kong_slot_t *) (const void *) (chain + 1);

    for (i = 0, n = 0; i < chain->n; i++) {
        k = kong_slot_plugin(seg, &slot[i], route, service, consumer);

        if (k != KONG_NONE) {
            list[n++] = k;
        }
    }

    return n;
}


static void
same_chain(const kong_segment_t *one, uint32_t a, uint32_t c,
    const kong_segment_t *two, uint32_t b, uint32_t d)
{
    unsigned              i, n;
    uint32_t              x[64], y[64];
    const kong_plugin_t  *p, *q;

    n = run(one, a, c, x);
    assert_int_equal(n, run(two, b, d, y));

    for (i = 0; i < n; i++) {
        p = kong_plugin(one, x[i]);
        q = kong_plugin(two, y[i]);

        assert_memory_equal(p->id, q->id, 48);
        assert_true(p->hash == q->hash);
        same_str(one, kong_plugin_type(one, p->type)->name,
                 two, kong_plugin_type(two, q->type)->name);
        same_value(one, kong_value(one, p->config),
                   two, kong_value(two, q->config));
        same_consumer(one, p->consumer, two, q->consumer);
        same_consumer(one, p->anonymous, two, q->anonymous);
    }
}


static uint32_t
find(const kong_segment_t *seg, kong_section_id_t id, size_t size,
    const value_t *row)
{
    uint32_t        i, found;
    uint8_t         uuid[16];
    const uint8_t  *p;
    const value_t  *text;

    text = value_get(row, "id");
    assert_int_equal(kong_uuid_parse(text->u.string, text->len, uuid), 0);
    p = kong_segment_section(seg, id);
    found = KONG_NONE;

    for (i = 0; i < seg->sections[id].n; i++) {
        if (memcmp(p + i * size, uuid, 16) == 0) {
            assert_int_equal(found, KONG_NONE);
            found = i;
        }
    }

    return found;
}


static void
same_routes(const config_t *c, const kong_segment_t *one,
    const kong_segment_t *two)
{
    size_t               i, k;
    uint32_t             a, b, x, y;
    kong_route_t         r, s;
    config_table_t      *t, *consumers;

    t = config_table(c, "routes");
    consumers = config_table(c, "consumers");

    for (i = 0; i <= t->n; i++) {

        /* the last round is for requests without a route */

        a = (i == t->n) ? KONG_NONE
            : find(one, KONG_SECTION_ROUTES, sizeof(r), t->rows[i]);
        b = (i == t->n) ? KONG_NONE
            : find(two, KONG_SECTION_ROUTES, sizeof(r), t->rows[i]);
        assert_int_equal(a == KONG_NONE, b == KONG_NONE);

        if (a == KONG_NONE && i != t->n) {
            continue;
        }

        if (i != t->n) {
            r = one->routes[a];
            s = two->routes[b];
            same_str(one, r.name, two, s.name);
            same_service(one, r.service, two, s.service);
            assert_int_equal(r.redirect, s.redirect);
            assert_int_equal(r.protocols, s.protocols);
            assert_int_equal(r.flags, s.flags);
        }

        same_chain(one, a, KONG_NONE, two, b, KONG_NONE);

        for (k = 0; k < consumers->n; k++) {
            x = find(one, KONG_SECTION_CONSUMERS, sizeof(kong_consumer_t),
                     consumers->rows[k]);
            y = find(two, KONG_SECTION_CONSUMERS, sizeof(kong_consumer_t),
                     consumers->rows[k]);
            same_consumer(one, x, two, y);
            same_chain(one, a, x, two, b, y);
        }
    }
}


static void
same_credentials(const config_t *c, const kong_segment_t *one,
    const kong_segment_t *two)
{
    size_t           i, k;
    config_table_t  *t;
    const value_t   *key;

    const kong_credential_t  *a, *b;

    static const struct {
        const char              *entity;
        const char              *key;
        kong_credential_kind_t   kind;
    } kinds[] = {
        { "keyauth_credentials", "key", KONG_CREDENTIAL_KEY_AUTH },
        { "jwt_secrets", "key", KONG_CREDENTIAL_JWT },
        { "hmacauth_credentials", "username", KONG_CREDENTIAL_HMAC_AUTH },
        { "basicauth_credentials", "username", KONG_CREDENTIAL_BASIC_AUTH }
    };

    for (k = 0; k < N(kinds); k++) {
        t = config_table(c, kinds[k].entity);

        for (i = 0; i < t->n; i++) {
            key = value_get(t->rows[i], kinds[k].key);
            a = kong_credential(one, kinds[k].kind, key->u.string, key->len);
            b = kong_credential(two, kinds[k].kind, key->u.string, key->len);

            assert_non_null(a);
            assert_non_null(b);
            assert_memory_equal(a->id, b->id, 16);
            assert_true(a->expires == b->expires);
            same_str(one, a->secret, two, b->secret);
            same_consumer(one, a->consumer, two, b->consumer);
            assert_int_equal(a->extra == KONG_NONE, b->extra == KONG_NONE);
        }
    }
}


/* keys that are no more, or never were */
static void
no_credentials(const kong_segment_t *one, const kong_segment_t *two)
{
    char      key[32];
    unsigned  i, n;

    for (i = 0; i < KEYS_MANY; i++) {
        n = (unsigned) snprintf(key, sizeof(key), "k%u", i);
        assert_int_equal(kong_credential(one, KONG_CREDENTIAL_KEY_AUTH, key,
                                         n) == NULL,
                         kong_credential(two, KONG_CREDENTIAL_KEY_AUTH, key,
                                         n) == NULL);
    }
}


static void
same_matches(const kong_segment_t *one, const kong_segment_t *two)
{
    int                i, a, b;
    char               path[64];
    request_t          r;
    kong_match_t       m, n;
    kong_match_req_t   req;

    static const char *const  tails[] = {
        "", "/", "c", "/d", "1", "12/x", "bc", "xyz", "d/e"
    };

    static const char *const  asked[] = {
        "a.test", "b.test", "c.test", "x.test", "x.b.test", "x.y", "d.test",
        "e.test", "g.test", "other.example", ""
    };

    static const char *const  methods[] = { "GET", "POST", "BREW", "PUT" };

    static const char *const  kinds[] = {
        NULL, "one", "two", "four", "on1", "none"
    };

    for (i = 0; i < REQUESTS; i++) {
        memset(&req, 0, sizeof(req));
        (void) snprintf(path, sizeof(path), "%s%s",
                        paths[(unsigned) rand() % N(paths)],
                        tails[(unsigned) rand() % N(tails)]);
        str(&req.path, path[0] == '~' ? path + 1 : path);
        str(&req.host, asked[(unsigned) rand() % N(asked)]);
        str(&req.method, methods[(unsigned) rand() % N(methods)]);
        str(&req.sni, rand() % 2 ? "a.test" : "");
        req.port = rand() % 2 ? 8000 : 80;
        req.https = (unsigned) rand() & 1;
        req.header = header;
        req.regex = regex;
        req.data = &r;
        r.kind = kinds[(unsigned) rand() % N(kinds)];

        r.seg = one;
        a = kong_match(one, &req, &m);
        r.seg = two;
        b = kong_match(two, &req, &n);

        assert_int_equal(a, b);
        matched += (unsigned) a;

        if (a) {
            assert_memory_equal(one->routes[m.route].id,
                                two->routes[n.route].id, 16);
            assert_int_equal(m.path_len, n.path_len);
            assert_int_equal(m.has_path, n.has_path);
            assert_int_equal(m.regex == KONG_NONE, n.regex == KONG_NONE);

            if (m.regex != KONG_NONE) {
                same_str(one, one->regexes[m.regex].pattern, two,
                         two->regexes[n.regex].pattern);
            }
        }
    }
}


/* what is a hole and what is not */
static void
holes(const kong_segment_t *seg)
{
    size_t          i, k, n;
    const uint8_t  *p;

    static const uint8_t  none[16];

    const struct {
        kong_section_id_t  id;
        size_t             size;
        uint32_t           n;
    } kinds[] = {
        { KONG_SECTION_ROUTES, sizeof(kong_route_t),
          seg->header->n_routes },
        { KONG_SECTION_SERVICES, sizeof(kong_service_t),
          seg->header->n_services },
        { KONG_SECTION_CONSUMERS, sizeof(kong_consumer_t),
          seg->header->n_consumers },
        { KONG_SECTION_PLUGINS, sizeof(kong_plugin_t),
          seg->header->n_plugins }
    };

    for (k = 0; k < N(kinds); k++) {
        p = kong_segment_section(seg, kinds[k].id);

        for (i = 0, n = 0; i < seg->sections[kinds[k].id].n; i++) {
            n += (memcmp(p + i * kinds[k].size, none, sizeof(none)) != 0);
        }

        assert_int_equal(n, kinds[k].n);
    }
}


static void
same(const config_t *c, const segment_buf_t *x, const segment_buf_t *y)
{
    kong_segment_t  one, two;

    assert_int_equal(kong_segment_open(&one, x->data, x->size,
                                       KONG_SEGMENT_CONFIG,
                                       KONG_SEGMENT_VERIFY), 0);
    assert_int_equal(kong_segment_open(&two, y->data, y->size,
                                       KONG_SEGMENT_CONFIG,
                                       KONG_SEGMENT_VERIFY), 0);

    assert_int_equal(one.header->generation, two.header->generation);
    assert_int_equal(one.header->n_routes, two.header->n_routes);
    assert_int_equal(one.header->n_services, two.header->n_services);
    assert_int_equal(one.header->n_consumers, two.header->n_consumers);
    assert_int_equal(one.header->n_plugins, two.header->n_plugins);
    assert_int_equal(one.header->flags, two.header->flags);
    assert_memory_equal(one.header->source_hash, two.header->source_hash,
                        32);

    same_routes(c, &one, &two);
    same_credentials(c, &one, &two);
    no_credentials(&one, &two);
    same_matches(&one, &two);
}


static config_t *
load(arena_t *a, const text_t *t, const config_t *before)
{
    char                  *text;
    arena_t               *origin;
    config_t              *c;
    declarative_errors_t   errors;

    origin = arena_new();
    text = arena_strndup(origin, t->text, t->len);

    c = declarative_load_kept(a, origin, text, t->len, DECLARATIVE_JSON,
                              before, &opts, &errors);

    if (c == NULL || c->origin == NULL) {
        arena_free(origin);
    }

    return c;
}


/* what a reader sees: a whole segment, or pages over the one before */
static void
assemble(segment_buf_t *buf, uint32_t generation)
{
    uint32_t             i;
    uint8_t             *image;
    const uint8_t       *from;
    const uint32_t      *list;
    const kong_pages_t  *p;

    static uint8_t      *base;
    static size_t        size;

    if (!segment_buf_is_pages(buf)) {
        free(base);
        base = malloc(buf->size);
        size = buf->size;
        memcpy(base, buf->data, size);
        return;
    }

    p = (const kong_pages_t *) (const void *) buf->data;
    list = (const uint32_t *) (p + 1);
    from = buf->data + buf->size - (size_t) p->n * KONG_SEGMENT_PAGE;

    assert_int_equal(p->size, size);
    assert_int_equal(p->generation, generation);
    assert_int_equal(p->base, ((kong_segment_header_t *) base)->generation);
    assert_int_equal(p->base_checksum,
                     ((kong_segment_header_t *) base)->checksum);

    image = malloc(size + KONG_SEGMENT_PAGE);
    memcpy(image, base, size);

    for (i = 0; i < p->n; i++) {
        assert_true(i == 0 || list[i] > list[i - 1]);
        assert_true((size_t) list[i] * KONG_SEGMENT_PAGE < size);
        memcpy(image + list[i] * KONG_SEGMENT_PAGE,
               from + i * KONG_SEGMENT_PAGE, KONG_SEGMENT_PAGE);
    }

    segment_buf_release(buf);
    buf->data = image;
    buf->size = size;
    pages++;
}


/* 0 when the text is bad; then nothing has changed */
static int
step(const text_t *t, config_t **config, compile_state_t **state,
    kind_t kind)
{
    int                rc;
    arena_t           *a;
    config_t          *c;
    const char        *err;
    segment_buf_t      one, two;
    compile_opts_t     co;
    compile_state_t   *next, *whole;

    a = arena_new();
    c = load(a, t, *config);

    if (c == NULL) {
        arena_free(a);
        return 0;
    }

    memset(&co, 0, sizeof(co));
    co.generation = ++steps;
    memset(c->hash, 'a' + (char) (steps % 26), 32);

    co.state = &whole;
    rc = compile_config(a, c, &co, &two, &err);
    next = NULL;
    co.before = *config;
    co.before_state = *state;
    co.state = &next;
    assert_int_equal(compile_config(a, c, &co, &one, &err), rc);

    if (rc != 0) {
        config_free(c);
        arena_free(a);
        return 0;
    }

    edits[kind]++;

    /* the hash comes last, as it may */

    c->hash[0] = 'z';
    segment_buf_hash(&one, next, c->hash);
    segment_buf_hash(&two, whole, c->hash);
    assemble(&one, steps);

    if (next != NULL && compile_changed(next)) {
        patched++;
        short_ways[kind]++;
    }

    same(c, &one, &two);

    if (next != NULL) {
        holes(&next->seg);
        assert_int_equal(next->order.n, whole->order.n);
        assert_true(next->seg.size <= 2 * two.size + 512 * 1024);
        assert_int_equal(one.size, next->seg.size);
        assert_memory_equal(one.data + sizeof(kong_segment_header_t),
                            next->seg.base + sizeof(kong_segment_header_t),
                            one.size - sizeof(kong_segment_header_t));
    }

    compile_state_free(whole);

    segment_buf_release(&one);
    segment_buf_release(&two);
    compile_state_free(*state);
    config_free(*config);
    arena_free(a);

    *state = next;
    *config = c;

    return 1;
}


static void
test_edits(void **state)
{
    int               i, k, n;
    doc_t             d, undo;
    kind_t            kind;
    text_t            t;
    config_t         *c;
    compile_state_t  *s;

    (void) state;

    memset(&t, 0, sizeof(t));

    for (i = 0; i < ROUNDS; i++) {
        c = NULL;
        s = NULL;
        crowd = (i % 4 == 3);

        do {
            make(&d);
            print(&t, &d);
        } while (!step(&t, &c, &s, KINDS - 1));

        for (k = 0; k < CHAIN; k++) {
            undo = d;
            kind = edit(&d);

            for (n = rand() % 3; n > 0; n--) {
                kind = edit(&d);
            }

            print(&t, &d);

            if (!step(&t, &c, &s, kind)) {
                d = undo;
            }
        }

        compile_state_free(s);
        config_free(c);
    }

    printf("# %u steps, %u short, %u of them pages, %u requests matched\n",
           steps, patched, pages, matched);

    for (k = 0; k < KINDS; k++) {
        printf("# kind %d: %u of %u\n", k, short_ways[k], edits[k]);
    }

    crowd = 0;
    free(t.text);
    assert_true(patched > steps / 4);
    assert_true(pages > patched / 4);
}


/* chains of texts, a step each; "" ends one */
static const char *const  cases[] = {

    /* from nothing, and to nothing again */
    "",
    "\"consumers\":[{\"username\":\"c1\"}]",
    "",
    "\"upstreams\":[{\"name\":\"u1\"}]",
    "\"upstreams\":[{\"name\":\"u1\",\"targets\":"
        "[{\"target\":\"10.0.0.1:80\"}]}]",
    NULL,

    /* a route and a service of one id; the plugin is the route's alone */
    SHARED("5"),
    SHARED("6"),
    NULL,

    /* ids of zeros are no holes */
    ZEROS("5", ""),
    ZEROS("6", ""),
    ZEROS("6", ",{\"name\":\"r3\",\"paths\":[\"/c\"]}"),
    NULL,

    /* an id in capitals, and a consumer who gets its name later */
    CAPITALS("c1"),
    CAPITALS("c2"),
    CAPITALS("c1"),
    NULL,

    /* groups in another order */
    "\"consumers\":[{\"username\":\"c1\",\"acls\":["
        "{\"group\":\"a\"},{\"group\":\"b\"},{\"group\":\"c\"}]}]",
    "\"consumers\":[{\"username\":\"c1\",\"acls\":["
        "{\"group\":\"b\"},{\"group\":\"a\"},{\"group\":\"c\"}]}]",
    NULL,

    /* a plugin of a route that is not there, since its service is off */
    OFF(""),
    OFF(",{\"name\":\"cors\",\"route\":\"r2\"}"),
    OFF(""),
    NULL,

    /* a key goes from one consumer to another */
    KEYS("k1", "k2"),
    KEYS("k2", "k3"),
    KEYS("k3", "k2"),
    NULL
};


static void
test_cases(void **state)
{
    size_t            i;
    text_t            t;
    config_t         *c;
    compile_state_t  *s;

    (void) state;

    memset(&t, 0, sizeof(t));
    c = NULL;
    s = NULL;

    for (i = 0; i < N(cases); i++) {

        if (cases[i] == NULL) {
            compile_state_free(s);
            config_free(c);
            c = NULL;
            s = NULL;
            continue;
        }

        t.len = 0;
        put(&t, "{\"_format_version\":\"3.0\"%s", cases[i][0] ? "," : "");
        put(&t, "%s", cases[i]);
        put(&t, "}\n");

        if (!step(&t, &c, &s, SERVICES)) {
            fail_msg("case %zu is bad: %s", i, t.text);
        }
    }

    free(t.text);
}


/* the route that a request for /a with this method leads to, by its number */
static unsigned
first_of(const kong_segment_t *seg, const char *method)
{
    unsigned          n;
    kong_match_t      m;
    kong_match_req_t  req;

    memset(&req, 0, sizeof(req));
    str(&req.path, "/a");
    str(&req.host, "a.test");
    str(&req.method, method);
    str(&req.sni, "");

    assert_true(kong_match(seg, &req, &m));
    n = (unsigned) strtoul(kong_segment_str(seg, seg->routes[m.route].name)
                           .data + 1, NULL, 10);

    return n;
}


/* always between the same neighbour and the one that came last: the room
 * between their ranks ends */
static void
test_ranks(void **state)
{
    unsigned          i, k;
    text_t            t;
    config_t         *c;
    compile_state_t  *s;

    (void) state;

    memset(&t, 0, sizeof(t));
    c = NULL;
    s = NULL;

    for (i = 1; i <= 80; i++) {
        t.len = 0;
        put(&t, "{\"_format_version\":\"3.0\",\"routes\":[");

        put(&t, "{\"name\":\"r999\",\"paths\":[\"/a\"],\"methods\":"
            "[\"POST\"],\"id\":\"ffffffff-0000-4000-8000-000000000000\"}");

        for (k = 1; k <= i; k++) {
            put(&t, ",{\"name\":\"r%u\",\"paths\":[\"/%c\"],\"methods\":"
                "[\"GET\",\"POST\"],\"id\":\"%08x-0000-4000-8000-"
                "000000000000\"}", k, (k == i) ? 'a' : 'b' + k % 20, k);
        }

        put(&t, "]}\n");
        assert_int_equal(step(&t, &c, &s, ROUTES), 1);
        assert_int_equal(first_of(&s->seg, "POST"), 999);
        assert_int_equal(first_of(&s->seg, "GET"), i);
    }

    compile_state_free(s);
    config_free(c);
    free(t.text);
}


/* another seed as the argument */
int
main(int argc, char **argv)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_edits)
    };

    srand(argc > 1 ? (unsigned) atoi(argv[1]) : 4711);
    opts.router_flavor = "traditional_compatible";

    return cmocka_run_group_tests_name("compile_change", tests, NULL, NULL);
}
