/*
 * The declarative format: ids, verdicts and answers, lines, the export.
 *
 * Conversations of t/conformance/own-declarative.json (and of files given as
 * arguments, in the same format) are played: a POST to /config with a body,
 * or a text, and what is to be answered.  In what is expected, <id1> is the
 * first uuid that appears when keys are sorted, <detail> a TLS library's text.
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


#define OWN_CASES  "t/conformance/own-declarative.json"


typedef struct {
    const char  *entity;
    const char  *key;          /* a field */
    const char  *value;
    const char  *id;
} id_case_t;

typedef struct {
    const char  *text;
    const char  *expect;       /* Kong's indented text, with lines */
} text_case_t;


static int     n_files;
static char  **files;


static char *
slurp(arena_t *a, const char *path, size_t *len)
{
    char  *text;
    FILE  *f;

    f = fopen(path, "rb");
    if (f == NULL) {
        fail_msg("cannot open %s", path);
    }

    fseek(f, 0, SEEK_END);
    *len = (size_t) ftell(f);
    rewind(f);

    text = arena_alloc(a, *len + 1);
    assert_int_equal(fread(text, 1, *len, f), *len);
    text[*len] = '\0';
    fclose(f);

    return text;
}


static int
compare_members(const void *one, const void *two)
{
    return strcmp(((const member_t *) one)->key,
                  ((const member_t *) two)->key);
}


/* keys sorted; times as a mark */

static void
tidy(arena_t *a, value_t *v)
{
    value_t    out;
    uint32_t   i;
    member_t   m, *all;

    for (i = 0; v->kind == VALUE_ARRAY && i < v->len; i++) {
        tidy(a, &v->u.items[i]);
    }

    if (v->kind != VALUE_OBJECT || v->len == 0) {
        return;
    }

    all = arena_alloc(a, v->len * sizeof(member_t));

    for (i = 0; i < v->len; i++) {
        all[i] = value_member(v, i);
    }

    qsort(all, v->len, sizeof(member_t), compare_members);

    memset(&out, 0, sizeof(value_t));
    value_set_object(&out);

    for (i = 0; i < v->len; i++) {
        *value_putn(a, &out, all[i].key, all[i].key_len) = *all[i].value;
    }

    *v = out;

    for (i = 0; i < v->len; i++) {
        m = value_member(v, i);

        if ((strcmp(m.key, "created_at") == 0
             || strcmp(m.key, "updated_at") == 0)
            && m.value->kind == VALUE_NUMBER)
        {
            value_set_string(m.value, "<ts>", 4);
            continue;
        }

        tidy(a, m.value);
    }
}


/* uuids numbered in the order of appearance, details of TLS dropped */

static char *
mask(arena_t *a, const char *s)
{
    char         *out, *p;
    size_t        i, n;
    const char   *end;
    char          ids[256][UUID_LEN];

    out = arena_alloc(a, strlen(s) * 2 + 64);
    p = out;
    n = 0;

    while (*s != '\0') {
        if (strlen(s) >= UUID_LEN && uuid_is_valid(s, UUID_LEN)) {
            for (i = 0; i < n && memcmp(ids[i], s, UUID_LEN) != 0; i++) {
                /* void */
            }

            if (i == n && n < 256) {
                memcpy(ids[n++], s, UUID_LEN);
            }

            p += sprintf(p, "<id%zu>", i + 1);
            s += UUID_LEN;
            continue;
        }

        end = NULL;

        if (strncmp(s, "invalid certificate: ", 21) == 0) {
            end = s + 21;

        } else if (strncmp(s, "invalid key: ", 13) == 0) {
            end = s + 13;
        }

        if (end != NULL) {
            memcpy(p, s, end - s);
            p += end - s;
            p += sprintf(p, "<detail>");
            s = end + strcspn(end, "\"}\\");
            continue;
        }

        *p++ = *s++;
    }

    *p = '\0';

    return out;
}


static char *
canon(arena_t *a, const value_t *v)
{
    value_t  *copy;
    arena_t  *scratch;

    scratch = arena_new();

    /* through text, so that an empty table is what it is printed as */

    copy = value_new(a);
    if (json_parse(a, json_print(scratch, v, NULL),
                   strlen(json_print(scratch, v, NULL)), copy,
                   &(const char *){ NULL }) == -1)
    {
        fail_msg("printed JSON does not parse");
    }

    arena_free(scratch);
    tidy(a, copy);

    return mask(a, json_print(a, copy, NULL));
}


static int
play_step(arena_t *a, const char *name, const value_t *step)
{
    char                  *got, *want, *text;
    size_t                 len;
    value_t               *body, *expect, *doc, *answer;
    unsigned               flatten;
    config_t              *c;
    const char            *path;
    declarative_opts_t     opts;
    declarative_errors_t   errors;

    path = value_cstr(value_get(step, "path"));

    if (!value_str_eq(value_get(step, "method"), "POST")
        || path == NULL || strncmp(path, "/config", 7) != 0)
    {
        return 0;
    }

    memset(&opts, 0, sizeof(declarative_opts_t));
    flatten = strstr(path, "flatten_errors=1") != NULL;
    opts.flatten = flatten;
    opts.router_flavor = "traditional_compatible";

    body = value_get(step, "body");
    expect = value_get(step, "expect");

    if (body->kind == VALUE_STRING) {
        c = declarative_load(a, body->u.string, body->len, DECLARATIVE_ANY,
                             &opts, &errors);

    } else {
        text = json_print(a, body, &len);
        doc = value_new(a);
        assert_int_equal(json_parse(a, text, len, doc,
                                    &(const char *){ NULL }), 0);
        c = declarative_load_value(a, doc, NULL, &opts, &errors);
    }

    if (c != NULL) {
        answer = declarative_entities(a, c);

    } else {
        answer = declarative_errors_body(a, &errors, flatten);
    }

    got = canon(a, answer);
    want = canon(a, value_get(expect, "body"));

    if ((c != NULL) != (value_get(expect, "status")->u.number == 201)
        || (!value_is_null(value_get(expect, "body"))
            && strcmp(got, want) != 0))
    {
        print_error("%s%s\n  got  %s\n  want %s\n", name,
                    flatten ? " (flattened)" : "", got, want);
        config_free(c);
        return 1;
    }

    config_free(c);

    return 0;
}


static void
play(const char *path)
{
    int          failed;
    char        *text;
    size_t       i, k, len;
    arena_t     *a;
    value_t      doc, *steps, *step;
    const char  *err;

    a = arena_new();
    memset(&doc, 0, sizeof(value_t));
    failed = 0;

    text = slurp(a, path, &len);

    if (json_parse(a, text, len, &doc, &err) == -1) {
        fail_msg("%s: %s", path, err);
    }

    assert_true(doc.kind == VALUE_ARRAY && doc.len > 0);

    for (i = 0; i < doc.len; i++) {
        steps = value_get(&doc.u.items[i], "steps");

        for (k = 0; (step = value_at(steps, k)) != NULL; k++) {
            failed += play_step(a, value_cstr(value_get(&doc.u.items[i],
                                                        "name")), step);
        }
    }

    arena_free(a);
    assert_int_equal(failed, 0);
}


static void
test_own_cases(void **state)
{
    (void) state;

    play(OWN_CASES);
}


static void
test_given_cases(void **state)
{
    int  i;

    (void) state;

    for (i = 0; i < n_files; i++) {
        play(files[i]);
    }
}


static config_t *
load(arena_t *a, const char *text, declarative_errors_t *errors)
{
    declarative_opts_t  opts;

    memset(&opts, 0, sizeof(declarative_opts_t));

    return declarative_load(a, text, strlen(text), DECLARATIVE_ANY, &opts,
                            errors);
}


static config_t *
load_good(arena_t *a, const char *text)
{
    config_t              *c;
    declarative_errors_t   errors;

    c = load(a, text, &errors);

    if (c == NULL) {
        fail_msg("%s", declarative_errors_text(a, &errors, 1));
    }

    return c;
}


static const value_t *
find(const config_t *c, const char *entity, const char *key, const char *value)
{
    size_t           i;
    config_table_t  *t;

    t = config_table(c, entity);

    for (i = 0; t != NULL && i < t->n; i++) {
        if (value_str_eq(value_get(t->rows[i], key), value)) {
            return t->rows[i];
        }
    }

    fail_msg("no %s with %s %s", entity, key, value);

    return NULL;
}


/* what a real Kong computes: nested and flat entities differ */

static const char  nested[] =
    "_format_version: '3.0'\n"
    "services:\n"
    "- name: svc1\n"
    "  host: h\n"
    "  plugins:\n"
    "  - name: rate-limiting\n"
    "    config: {minute: 1}\n"
    "  routes:\n"
    "  - name: r1\n"
    "    paths: [/]\n"
    "    plugins:\n"
    "    - name: key-auth\n"
    "consumers:\n"
    "- username: bob\n"
    "  acls:\n"
    "  - group: g1\n"
    "  keyauth_credentials:\n"
    "  - key: k\n"
    "upstreams:\n"
    "- name: up1\n"
    "  targets:\n"
    "  - target: 10.0.0.1:80\n"
    "plugins:\n"
    "- name: cors\n";

static const char  flat[] =
    "_format_version: '3.0'\n"
    "services: [{name: svc1, host: h}]\n"
    "routes: [{name: r1, paths: [/], service: svc1}]\n"
    "consumers: [{username: bob}]\n"
    "upstreams: [{name: up1}]\n"
    "targets: [{target: '10.0.0.1:80', upstream: up1}]\n"
    "basicauth_credentials: [{username: u, password: p, consumer: bob}]\n"
    "plugins:\n"
    "- {name: key-auth, route: r1}\n"
    "- {name: rate-limiting, service: svc1, config: {minute: 1}}\n";

static const id_case_t  nested_ids[] = {
    { "services", "name", "svc1", "2254ba65-245b-5b72-a0b8-7341d45f5e77" },
    { "routes", "name", "r1", "4726a05a-d550-537e-9fc3-a07c7a1188c7" },
    { "consumers", "username", "bob",
      "def4f7d3-9863-5ad2-8fa9-c949bf26f55e" },
    { "upstreams", "name", "up1", "85b92587-e1f9-522f-9495-6e2d3b1f379e" },
    { "targets", "target", "10.0.0.1:80",
      "5b87a0b8-0097-5332-95ad-aff4b440f7bf" },
    { "plugins", "name", "cors", "48ee727e-8b90-5faa-bda1-a3c6bc3c9daa" },
    { "plugins", "name", "key-auth", "59a0ebf4-cb7a-55f0-af1f-27c4cd2087c8" },
    { "plugins", "name", "rate-limiting",
      "6ff11e9d-1aeb-561c-87a6-fe376cd9490a" },
    { "acls", "group", "g1", "b28f5018-192e-599c-ad0a-600321305d58" },
    { NULL, NULL, NULL, NULL }
};

static const id_case_t  flat_ids[] = {
    { "targets", "target", "10.0.0.1:80",
      "7e903ede-9314-5410-a1f8-4653239f7f3c" },
    { "plugins", "name", "key-auth", "344e4fe9-4995-55e9-908d-0c0cfb6b7152" },
    { "plugins", "name", "rate-limiting",
      "46d2b4da-aa11-52de-96ae-3936b8a6b73f" },
    { "basicauth_credentials", "username", "u",
      "b8b13216-f8d0-5482-8264-f38e673a5811" },
    { NULL, NULL, NULL, NULL }
};


static void
check_ids(const char *text, const id_case_t *ids)
{
    arena_t        *a;
    config_t       *c;
    const value_t  *row;

    a = arena_new();
    c = load_good(a, text);

    for ( /* void */ ; ids->entity != NULL; ids++) {
        row = find(c, ids->entity, ids->key, ids->value);
        assert_string_equal(value_cstr(value_get(row, "id")), ids->id);
    }

    config_free(c);
    arena_free(a);
}


static void
test_ids(void **state)
{
    (void) state;

    check_ids(nested, nested_ids);
    check_ids(flat, flat_ids);
}


static void
test_random_ids(void **state)
{
    arena_t     *a;
    config_t    *one, *two;
    const char  *x, *y;

    (void) state;

    a = arena_new();
    one = load_good(a, nested);
    two = load_good(a, nested);

    x = value_cstr(value_get(find(one, "keyauth_credentials", "key", "k"),
                             "id"));
    y = value_cstr(value_get(find(two, "keyauth_credentials", "key", "k"),
                             "id"));
    assert_string_not_equal(x, y);
    assert_true(x[14] == '4');

    config_free(one);
    config_free(two);
    arena_free(a);
}


static void
test_references(void **state)
{
    arena_t        *a;
    config_t       *c;
    const value_t  *row;

    (void) state;

    a = arena_new();
    c = load_good(a,
        "_format_version: '3.0'\n"
        "services: [{name: s, host: h,\n"
        "            id: 11111111-1111-4111-8111-111111111111}]\n"
        "routes:\n"
        "- {name: by-name, paths: [/], service: s}\n"
        "- {name: by-id, paths: [/],\n"
        "   service: 11111111-1111-4111-8111-111111111111}\n"
        "- {name: by-object, paths: [/],\n"
        "   service: {id: 11111111-1111-4111-8111-111111111111}}\n"
        "- name: nested-with-consumer\n"
        "  paths: [/]\n"
        "  plugins: [{name: rate-limiting, consumer: c,\n"
        "             config: {minute: 1}}]\n"
        "consumers: [{username: c}]\n");

    row = find(c, "routes", "name", "by-name");
    assert_string_equal(value_cstr(value_path(row, "service.id")),
                        "11111111-1111-4111-8111-111111111111");
    row = find(c, "routes", "name", "by-id");
    assert_string_equal(value_cstr(value_path(row, "service.id")),
                        "11111111-1111-4111-8111-111111111111");
    row = find(c, "routes", "name", "by-object");
    assert_string_equal(value_cstr(value_path(row, "service.id")),
                        "11111111-1111-4111-8111-111111111111");

    row = find(c, "plugins", "name", "rate-limiting");
    assert_string_equal(value_cstr(value_path(row, "consumer.id")),
        value_cstr(value_get(find(c, "consumers", "username", "c"), "id")));
    assert_string_equal(value_cstr(value_path(row, "route.id")),
        value_cstr(value_get(find(c, "routes", "name",
                                  "nested-with-consumer"), "id")));
    assert_true(value_is_null(value_get(row, "service")));

    config_free(c);
    arena_free(a);
}


/* old formats: the path of every route of the document, in order */

static void
test_old_paths(void **state)
{
    size_t          i;
    arena_t        *a;
    config_t       *c;
    const value_t  *paths;

    static const char  *const expect[] = {
        "/plain", "~/foo/\\d+", "/a b", "/a/c", "/%2F", "~/x$%2Fy\\.z", "/a/b"
    };

    (void) state;

    a = arena_new();
    c = load_good(a,
        "_format_version: '1.1'\n"
        "services:\n"
        "- name: s\n"
        "  host: h\n"
        "  routes:\n"
        "  - name: r\n"
        "    paths: [/plain, '/foo/\\d+', /a%20b, /a/./b/../c, '/%2f',\n"
        "            '/x$%2fy%2ez', //a//b]\n");

    paths = value_get(find(c, "routes", "name", "r"), "paths");
    assert_int_equal(paths->len, sizeof(expect) / sizeof(expect[0]));

    for (i = 0; i < paths->len; i++) {
        assert_string_equal(paths->u.items[i].u.string, expect[i]);
    }

    config_free(c);
    arena_free(a);
}


static const text_case_t  texts[] = {
    { "_format_version: '3.0'\n"
      "services:\n"
      "- name: good\n"
      "  host: h\n"
      "- name: s\n"
      "  host: h\n"
      "  port: 99999\n"
      "  protocol: tcp\n"
      "  path: /x\n"
      "  routes:\n"
      "  - name: r\n"
      "    paths:\n"
      "    - /good\n"
      "    - bad\n"
      "oops: 1\n",
      "in 'oops': unknown field (line 15)\n"
      "in 'services':\n"
      "  - in entry 2 of 'services':\n"
      "    in 'port': value should be between 0 and 65535 (line 7)\n"
      "    in 'path': value must be null (line 9)\n"
      "    in '@entity':\n"
      "      - in entry 1 of '@entity': failed conditional validation given "
      "value of field 'protocol' (line 5)\n"
      "    in 'routes':\n"
      "      - in entry 1 of 'routes':\n"
      "        in 'paths':\n"
      "          - in entry 2 of 'paths': should start with: / (fixed path) "
      "or ~/ (regex path) (line 14)" },
    { "a: [", "failed parsing declarative configuration: 1:4: did not find "
      "expected node content (line 2)" },
    { "x", "failed parsing declarative configuration: expected an object" },
    { "", "failed parsing declarative configuration: expected an object" },
    { "---\n", "in '_format_version': required field missing (line 2)" },
    { "_format_version: '3.0'\n"
      "routes:\n"
      "- name: r\n"
      "  paths: [/]\n"
      "  service: none\n",
      "in 'routes':\n"
      "  in 'r':\n"
      "    - in entry 1 of 'r': invalid reference 'service: none' (no such "
      "entry in 'services') (line 5)" },
    { "{\"_format_version\": \"3.0\",\n"
      " \"consumers\": [\n"
      "  {\"username\": \"a\"},\n"
      "  {\"username\": \"a\"}]}",
      "in 'consumers':\n"
      "  - in entry 2 of 'consumers': uniqueness violation: 'consumers' "
      "entity with username set to 'a' already declared (line 4)" },
};


static void
test_texts(void **state)
{
    char                  *text;
    size_t                 i;
    arena_t               *a;
    declarative_errors_t   errors;

    (void) state;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        a = arena_new();

        assert_null(load(a, texts[i].text, &errors));
        text = declarative_errors_text(a, &errors, 1);
        assert_string_equal(text, texts[i].expect);
        assert_true(errors.count > 0);

        arena_free(a);
    }
}


static void
test_files(void **state)
{
    arena_t               *a;
    declarative_errors_t   errors;

    (void) state;

    a = arena_new();

    assert_null(declarative_load_file(a, "/nonexistent/kong.yml", NULL,
                                      &errors));
    assert_non_null(strstr(declarative_errors_text(a, &errors, 1),
                           "No such file or directory"));

    assert_null(declarative_load_file(a, "Makefile", NULL, &errors));
    assert_string_equal(declarative_errors_text(a, &errors, 1),
                        "unknown file type: Makefile. (Accepted types: json, "
                        "yaml)");

    arena_free(a);
}


/* a plugin that is not enabled is unknown, and so are its entities */

static void
test_enabled_plugins(void **state)
{
    char                   text[256];
    size_t                 i;
    arena_t               *a;
    config_t              *c;
    declarative_opts_t     opts;
    declarative_errors_t   errors;

    static const char *const   enabled[] = { "cors", NULL };
    static const text_case_t  cases[] = {
        { "plugins: [{name: cors}]\n", NULL },
        { "plugins: [{name: key-auth, config: {x: 1}}]\n",
          "in 'plugins':\n"
          "  - in entry 1 of 'plugins':\n"
          "    in 'name': plugin 'key-auth' not enabled; add it to the "
          "'plugins' configuration property" },
        { "acls: []\n", "in 'acls': unknown field" },
        { "consumers: [{username: a, acls: []}]\n",
          "in 'consumers':\n"
          "  - in entry 1 of 'consumers':\n"
          "    in 'acls': unknown field" },
    };

    (void) state;

    a = arena_new();
    memset(&opts, 0, sizeof(declarative_opts_t));
    opts.plugins = enabled;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(text, sizeof(text), "_format_version: '3.0'\n%s",
                 cases[i].text);
        c = declarative_load(a, text, strlen(text), DECLARATIVE_YAML, &opts,
                             &errors);
        assert_int_equal(c != NULL, cases[i].expect == NULL);

        if (c == NULL) {
            assert_string_equal(declarative_errors_text(a, &errors, 0),
                                cases[i].expect);
        }

        config_free(c);
    }

    arena_free(a);
}


static void
test_hash(void **state)
{
    arena_t   *a;
    config_t  *c;

    (void) state;

    a = arena_new();

    c = load_good(a, "_format_version: '3.0'\n");
    assert_string_equal(c->hash, "00000000000000000000000000000000");
    config_free(c);

    /* printf '%s' TEXT | md5sum */

    c = load_good(a, "{\"_format_version\":\"3.0\","
                     "\"consumers\":[{\"username\":\"bob\"}]}");
    assert_string_equal(c->hash, "9bc725d3a7bb41be727fdb636fab319c");
    config_free(c);

    arena_free(a);
}


/* lifetimes are moments; secrets are hashed unless _transform is false */

static void
test_credentials(void **state)
{
    arena_t         *a;
    config_t        *c;
    const value_t   *row;

    (void) state;

    a = arena_new();
    c = load_good(a,
        "_format_version: '3.0'\n"
        "consumers:\n"
        "- username: bob\n"
        "  keyauth_credentials:\n"
        "  - {key: live, ttl: 9999999999}\n"
        "  - {key: gone, ttl: 1}\n"
        "  basicauth_credentials:\n"
        "  - {username: u, password: p}\n");

    assert_int_equal(config_table(c, "keyauth_credentials")->n, 1);
    row = find(c, "keyauth_credentials", "key", "live");
    assert_true(value_get(row, "ttl")->u.number == 9999999999.0);

    /* SHA-1 of "p" and the consumer's id */

    row = find(c, "basicauth_credentials", "username", "u");
    assert_int_equal(value_get(row, "password")->len, 40);
    config_free(c);

    c = load_good(a,
        "_format_version: '3.0'\n"
        "_transform: false\n"
        "consumers:\n"
        "- username: bob\n"
        "  basicauth_credentials:\n"
        "  - {username: u, password: p}\n");
    row = find(c, "basicauth_credentials", "username", "u");
    assert_string_equal(value_cstr(value_get(row, "password")), "p");
    config_free(c);

    arena_free(a);
}


/* all entities in full; updated_at is the time of loading and left out */

static char *
printed(arena_t *a, const config_t *c)
{
    value_t  *v;

    v = value_clone(a, declarative_entities(a, c));
    tidy(a, v);

    return json_print(a, v, NULL);
}


/* what is exported loads again, to the same entities */

static void
test_export(void **state)
{
    char       *yaml, *before, *after;
    arena_t    *a;
    config_t   *c;

    static const char  text[] =
        "_format_version: '3.0'\n"
        "services:\n"
        "- name: svc\n"
        "  url: https://h.test/x\n"
        "  retries: null\n"
        "  tags: [a b, \"\xc3\xa4\", 'no']\n"
        "  routes:\n"
        "  - name: r\n"
        "    paths: ['~/x/(?<id>\\d+)$', /y]\n"
        "    headers: {x-a: ['1', 'it''s'], \"yes\": [\"a: b\"]}\n"
        "    tags: []\n"
        "    plugins:\n"
        "    - name: pre-function\n"
        "      config: {access: [\"-- a\\nreturn\\t1\\n\"]}\n"
        "    - name: response-transformer\n"
        "      config: {add: {headers: ['x: \"1\"']}}\n"
        "consumers:\n"
        "- username: bob\n"
        "  custom_id: '007'\n"
        "  basicauth_credentials: [{username: u, password: p}]\n"
        "  jwt_secrets: [{key: k, secret: \"\\x01\\u0085\\u2028\"}]\n"
        "upstreams:\n"
        "- name: up\n"
        "  targets: [{target: '[::1]:80'}]\n";

    (void) state;

    a = arena_new();

    c = load_good(a, text);
    yaml = declarative_export(a, c, NULL);
    before = printed(a, c);
    config_free(c);

    c = load_good(a, yaml);
    after = printed(a, c);
    assert_string_equal(before, after);
    config_free(c);

    arena_free(a);
}


int
main(int argc, char **argv)
{
    static const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_random_ids),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_old_paths),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_enabled_plugins),
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_credentials),
        cmocka_unit_test(test_export),
        cmocka_unit_test(test_own_cases),
        cmocka_unit_test(test_given_cases),
    };

    n_files = argc - 1;
    files = argv + 1;

    return cmocka_run_group_tests(tests, NULL, NULL);
}
