/*
 * A configuration made from the one before it and a change equals that of the
 * whole text: random edits of random documents, in YAML and in JSON, good and
 * bad.  Chains of changes are held against whole loads, row by row, index by
 * index; what is bad must be bad in both, with the same words.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controld/model/json.h"
#include "controld/model/uuid.h"
#include "controld/source/declarative.h"


#define ITEMS    12
#define ROUNDS   120
#define CHAIN    25

typedef struct {
    char    *text;
    size_t   len;
    size_t   cap;
} text_t;

/* what a document is printed from */
typedef struct {
    unsigned  name;
    unsigned  routes[4];
    unsigned  n_routes;
    unsigned  shape;
} item_t;

typedef struct {
    item_t    services[ITEMS];
    unsigned  n_services;
    item_t    plugins[ITEMS];
    unsigned  n_plugins;
    item_t    consumers[ITEMS];
    unsigned  n_consumers;
    unsigned  next;
    unsigned  json;
    unsigned  indent;
} doc_t;

static declarative_opts_t  opts;
static unsigned            whole, shared, bad;


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


static void
put_service(text_t *t, const doc_t *d, const item_t *s, const char *in)
{
    unsigned  i, r;

    if (d->json) {
        put(t, "{\"name\":\"s%u\",\"host\":\"h%u.test\",\"tags\":[\"t%u\"]",
            s->name, s->shape % 7, s->shape % 3);

        if (s->n_routes != 0 || s->shape % 5 == 0) {
            put(t, ", \"routes\": [");
        }

        for (i = 0; i < s->n_routes; i++) {
            r = s->routes[i];
            put(t, "%s{\"name\":\"r%u\", \"paths\":[\"/p%u\"]%s}",
                i != 0 ? ", " : "", r, r * 7 + s->shape % 2,
                r % 3 == 0 ? ",\"plugins\":[{\"name\":\"cors\"}]" : "");
        }

        put(t, "%s}", s->n_routes != 0 || s->shape % 5 == 0 ? "]" : "");
        return;
    }

    put(t, "%s- name: s%u\n%s  host: h%u.test   # %u\n", in, s->name, in,
        s->shape % 7, s->shape);

    if (s->shape % 3 == 0) {
        put(t, "%s  path: |-\n%s     /block\n\n# loose\n", in, in);
    }

    if (s->n_routes != 0) {
        put(t, "%s  routes:\n", in);
    }

    for (i = 0; i < s->n_routes; i++) {
        r = s->routes[i];
        put(t, "%s  - name: r%u\n%s    paths: [ \"/p%u\" ]\n", in, r, in,
            r * 7 + s->shape % 2);

        if (r % 3 == 0) {
            put(t, "%s    plugins:\n%s    - name: cors\n", in, in);
        }
    }
}


static void
put_plugin(text_t *t, const doc_t *d, const item_t *p, const char *in)
{
    const char  *to;

    to = (p->shape % 4 == 0) ? "route" : "service";

    if (d->json) {
        put(t, "{\"name\":\"%s\",\"%s\":\"%c%u\"}",
            p->shape % 3 ? "cors" : "key-auth", to, to[0], p->name);
        return;
    }

    put(t, "%s- name: %s\n%s  %s: %c%u\n", in,
        p->shape % 3 ? "cors" : "key-auth", in, to, to[0], p->name);
}


static void
put_consumer(text_t *t, const doc_t *d, const item_t *c, const char *in)
{
    if (d->json) {
        put(t, "{ \"username\" : \"c%u\", \"custom_id\":\"x%u\","
            "\"keyauth_credentials\":[{\"key\":\"k%u\",\"id\":"
            "\"00000000-0000-4000-8000-%012u\"}] }", c->name,
            c->shape % 40, c->shape % 50, c->name);
        return;
    }

    put(t, "%s- {username: c%u, custom_id: x%u,\n"
        "%s   keyauth_credentials: [{key: k%u,\n  "
        "     id: 00000000-0000-4000-8000-%012u}]}\n", in, c->name,
        c->shape % 40, in, c->shape % 50, c->name);
}


static void
put_list(text_t *t, const doc_t *d, const char *name, const item_t *items,
    unsigned n, void (*one)(text_t *, const doc_t *, const item_t *,
    const char *))
{
    unsigned  i;

    put(t, d->json ? ",\n\"%s\": [\n" : "%s:\n", name);

    for (i = 0; i < n; i++) {
        one(t, d, &items[i], d->indent ? "  " : "");

        if (d->json) {
            put(t, i + 1 < n ? " ,\n" : "\n");
        }
    }

    put(t, d->json ? "]" : "");
}


static void
print(text_t *t, const doc_t *d)
{
    t->len = 0;
    put(t, d->json ? "{\"_format_version\":\"3.0\""
                   : "---\n_format_version: \"3.0\"\n");

    put_list(t, d, "plugins", d->plugins, d->n_plugins, put_plugin);
    put_list(t, d, "services", d->services, d->n_services, put_service);
    put_list(t, d, "consumers", d->consumers, d->n_consumers, put_consumer);

    put(t, d->json ? "}\n" : "");
}


static void
new_service(doc_t *d, item_t *s)
{
    unsigned  i;

    s->name = d->next++;
    s->shape = (unsigned) rand();
    s->n_routes = (unsigned) rand() % 4;

    for (i = 0; i < s->n_routes; i++) {
        s->routes[i] = d->next++;
    }
}


/* to something that is there, mostly */
static void
new_plugin(doc_t *d, item_t *p)
{
    item_t  *s;

    s = &d->services[(unsigned) rand() % d->n_services];
    p->shape = (unsigned) rand();
    p->name = s->name;

    if (p->shape % 4 == 0) {
        p->name = s->n_routes != 0 ? s->routes[0] : 0;
        p->shape -= (s->n_routes == 0);
        p->name = (p->shape % 4 == 0) ? p->name : s->name;
    }
}


static void
new_consumer(doc_t *d, item_t *c)
{
    c->name = d->next++;
    c->shape = (unsigned) rand();
}


static void
make(doc_t *d)
{
    unsigned  i;

    memset(d, 0, sizeof(doc_t));
    d->next = 1;
    d->json = (unsigned) rand() & 1;
    d->indent = (unsigned) rand() & 1;
    d->n_services = 3 + (unsigned) rand() % 6;
    d->n_plugins = (unsigned) rand() % 4;
    d->n_consumers = (unsigned) rand() % 6;

    for (i = 0; i < d->n_services; i++) {
        new_service(d, &d->services[i]);
    }

    for (i = 0; i < d->n_plugins; i++) {
        new_plugin(d, &d->plugins[i]);
    }

    for (i = 0; i < d->n_consumers; i++) {
        new_consumer(d, &d->consumers[i]);
    }
}


static void
insert(item_t *items, unsigned *n, const item_t *one)
{
    unsigned  at;

    if (*n == ITEMS) {
        return;
    }

    at = (unsigned) rand() % (*n + 1);
    memmove(&items[at + 1], &items[at], (*n - at) * sizeof(item_t));
    items[at] = *one;
    (*n)++;
}


static void
cut(item_t *items, unsigned *n)
{
    unsigned  at;

    if (*n < 2) {
        return;
    }

    at = (unsigned) rand() % *n;
    memmove(&items[at], &items[at + 1], (*n - at - 1) * sizeof(item_t));
    (*n)--;
}


/* an edit of the model, so that most results are valid */
static void
edit(doc_t *d)
{
    item_t   one, *s;

    memset(&one, 0, sizeof(item_t));
    s = &d->services[(unsigned) rand() % d->n_services];

    switch (rand() % 12) {

    case 0:
        new_service(d, &one);
        insert(d->services, &d->n_services, &one);
        break;

    case 1:
        cut(d->services, &d->n_services);
        break;

    case 2:
        new_plugin(d, &one);
        insert(d->plugins, &d->n_plugins, &one);
        break;

    case 3:
        cut(d->plugins, &d->n_plugins);
        break;

    case 4:
        new_consumer(d, &one);
        insert(d->consumers, &d->n_consumers, &one);
        break;

    case 5:
        cut(d->consumers, &d->n_consumers);
        break;

    case 6:
        /* a name that may be taken, or referred to */
        s->name = (unsigned) rand() % d->next;
        break;

    case 7:
        if (s->n_routes != 0) {
            s->routes[(unsigned) rand() % s->n_routes]
                = (unsigned) rand() % (d->next + 5);
        }
        break;

    case 8:
        if (s->n_routes < 4) {
            s->routes[s->n_routes++] = d->next++;
        }
        break;

    case 9:
        s->n_routes -= (s->n_routes != 0);
        break;

    default:
        s->shape = (unsigned) rand();
        break;
    }
}


/* an edit of bytes: what comes of it is anybody's guess */
static void
scribble(text_t *t)
{
    char        *to;
    size_t       at, n, len;
    const char  *what;

    static const char *const  texts[] = {
        "\n", " ", "-", "- name: z\n", ",", "]", "[", "{", "}", "\"", "'",
        "#", ":", "  ", "x", "&a ", "*a", "!!str ", "---\n", "...\n", "|",
        "services:\n", "\"name\":\"s1\",", "\t", "\r\n", "%YAML 1.1\n",
        "- {name: q, host: q}\n", "{\"name\":\"q\",\"host\":\"q\"},", "? ",
        "<<: {a: b}\n", "\n\n# c\n", "~", "null", "\xc2\x85", "@", "0"
    };

    put(t, "%s", "");
    at = (size_t) rand() % (t->len + 1);
    n = (rand() % 3 == 0) ? (size_t) rand() % 20 : 0;
    what = (rand() % 4 == 0) ? "" : texts[(size_t) rand()
                                 % (sizeof(texts) / sizeof(texts[0]))];
    n = (n > t->len - at) ? t->len - at : n;
    len = strlen(what);
    to = t->text + at;

    memmove(to + len, to + n, t->len - at - n);
    memcpy(to, what, len);
    t->len = t->len + len - n;
    t->text[t->len] = '\0';
}


/* random ids and times left out */
static void
mask(value_t *v)
{
    uint32_t  i;

    for (i = 0; v->kind == VALUE_ARRAY && i < v->len; i++) {
        mask(&v->u.items[i]);
    }

    for (i = 0; v->kind == VALUE_OBJECT && i < v->len; i++) {
        mask(value_nth(v, i));
    }

    /* so are secrets that nobody gave */
    if (v->kind == VALUE_STRING && v->len == UUID_RANDOM_LEN) {
        value_set_string(v, "<random>", 8);
    }

    if (v->kind == VALUE_STRING && v->len == UUID_LEN
        && uuid_is_valid(v->u.string, v->len) && v->u.string[14] == '4'
        && memcmp(v->u.string, "00000000", 8) != 0)
    {
        value_set_string(v, "<random>", 8);
    }
}


static void
tidy(arena_t *a, value_t *row)
{
    value_remove(a, row, "created_at");
    value_remove(a, row, "updated_at");
    mask(row);
}


static void
same(const config_t *one, const config_t *two, const char *text)
{
    size_t           i, k, n;
    value_t         *a, *b;
    arena_t         *arena;
    const value_t   *id, *key;
    config_table_t  *t, *u;

    arena = arena_new();

    for (i = 0; i < one->n_tables; i++) {
        t = &one->tables[i];
        u = &two->tables[i];
        n = t->n;

        if (n != u->n) {
            fail_msg("%s: %zu and %zu rows in\n%s", t->schema->name, n, u->n,
                     text);
        }

        for (k = 0; k < n; k++) {
            a = value_clone(arena, t->rows[k]);
            b = value_clone(arena, u->rows[k]);
            tidy(arena, a);
            tidy(arena, b);

            if (!value_equal(a, b)) {
                fail_msg("%s %zu:\n%s\n%s\nin\n%s", t->schema->name, k,
                         json_print(arena, a, NULL),
                         json_print(arena, b, NULL), text);
            }

            id = value_get(t->rows[k], "id");
            assert_ptr_equal(config_by_id(one, t->schema->name, id->u.string,
                                          id->len), t->rows[k]);
            id = value_get(t->ascending[k], "id");
            assert_true(k == 0 || strcmp(value_cstr(value_get(
                                             t->ascending[k - 1], "id")),
                                         id->u.string) < 0);
            assert_ptr_equal(config_by_id(one, t->schema->name, id->u.string,
                                          id->len), t->ascending[k]);

            key = (t->schema->endpoint_key == NULL) ? NULL
                  : value_get(t->rows[k], t->schema->endpoint_key);

            if (key != NULL && key->kind == VALUE_STRING) {
                a = config_by_key(one, t->schema->name, key->u.string,
                                  key->len);
                assert_non_null(a);
                assert_true(value_equal(key, value_get(a,
                                               t->schema->endpoint_key)));
            }
        }
    }

    arena_free(arena);
}


static config_t *
load(arena_t *a, const text_t *t, const doc_t *d, const config_t *before,
    declarative_errors_t *errors)
{
    char      *text;
    arena_t   *origin;
    config_t  *c;

    origin = arena_new();
    text = arena_strndup(origin, t->text, t->len);

    c = declarative_load_kept(a, origin, text, t->len,
                              d->json ? DECLARATIVE_JSON : DECLARATIVE_YAML,
                              before, &opts, errors);

    if (c != NULL) {
        config_sort(c);
    }

    if (c == NULL || c->origin == NULL) {
        arena_free(origin);
    }

    return c;
}


/* the new configuration, or the old one when the text is bad */
static config_t *
step(const text_t *t, const doc_t *d, config_t *before)
{
    arena_t               *a;
    config_t              *c, *full;
    declarative_errors_t   errors, expect;

    a = arena_new();
    c = load(a, t, d, before, &errors);
    full = load(a, t, d, NULL, &expect);

    if ((c == NULL) != (full == NULL)) {
        fail_msg("%s, but\n%s\nof\n%s", c == NULL ? "bad" : "good",
                 declarative_errors_text(a, c == NULL ? &errors : &expect, 1),
                 t->text);
    }

    if (c == NULL) {
        bad++;
        assert_string_equal(declarative_errors_text(a, &errors, 1),
                            declarative_errors_text(a, &expect, 1));
        arena_free(a);
        return before;
    }

    whole++;

    /* some row is the very same: it was no whole load */
    if (before != NULL) {
        config_table_t  *t1, *t2;

        t1 = config_table(c, "services");
        t2 = config_table(before, "services");
        shared += (t1->n != 0 && t2->n != 0
                   && (t1->rows[0] == t2->rows[0]
                       || t1->rows[t1->n - 1] == t2->rows[t2->n - 1]));
    }

    same(c, full, t->text);
    config_free(full);
    config_free(before);
    arena_free(a);

    return c;
}


static void
rounds(unsigned n, unsigned scribbles)
{
    doc_t      d, undo;
    text_t     t;
    config_t  *c;
    unsigned   i, k;

    memset(&t, 0, sizeof(text_t));

    for (i = 0; i < n; i++) {
        make(&d);
        print(&t, &d);
        c = step(&t, &d, NULL);

        for (k = 0; k < CHAIN; k++) {
            undo = d;
            edit(&d);
            print(&t, &d);

            if (scribbles && k % 2 == 0) {
                scribble(&t);
            }

            whole = 0;
            c = step(&t, &d, c);

            if (whole == 0) {
                d = undo;
            }
        }

        config_free(c);
    }

    free(t.text);
}


static void
test_edits(void **state)
{
    (void) state;

    shared = 0;
    bad = 0;
    rounds(ROUNDS, 0);

    /* most edits are good, and most good ones share */
    assert_true(shared > ROUNDS * CHAIN / 3);
    assert_true(bad > ROUNDS);
}


static void
test_scribbles(void **state)
{
    (void) state;

    rounds(ROUNDS * 2, 1);
}


/* another seed as the argument */
int
main(int argc, char **argv)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_edits),
        cmocka_unit_test(test_scribbles)
    };

    srand(argc > 1 ? (unsigned) atoi(argv[1]) : 4711);
    opts.router_flavor = "traditional_compatible";

    return cmocka_run_group_tests_name("change", tests, NULL, NULL);
}
