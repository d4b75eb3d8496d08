/*
 * test_schemas: what GET /schemas/... shows.  Every row of the table of what
 * Kong says besides leads to a field that there is, and every schema can be
 * shown, with a type for each of its fields.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controld/admin/schemas.h"
#include "controld/model/json.h"


static void test_row(void *data, const char *schema, const char *path,
    const char *members);
static value_t *test_print(arena_t *a, const char *name);
static value_t *test_find(arena_t *a, value_t *v, const char *path);
static value_t *test_member(value_t *list, const char *name, size_t len);
static void test_types(const value_t *v);


static void
test_shown(void **state)
{
    arena_t  *a;

    (void) state;

    a = arena_new();
    assert_true(schemas_shown_each(a, test_row) > 50);
    arena_free(a);
}


static void
test_row(void *data, const char *schema, const char *path,
    const char *members)
{
    arena_t     *a = data;
    value_t     *v, given;
    uint32_t     i;
    const char  *err, *name;

    v = test_print(a, schema);

    if (v == NULL) {
        fail_msg("there is no schema \"%s\"", schema);
    }

    v = test_find(a, v, path);

    if (v == NULL || json_parse(a, members, strlen(members), &given, &err)) {
        fail_msg("%s: \"%s\" leads nowhere, or is no JSON", schema, path);
    }

    if (given.kind != VALUE_OBJECT) {
        assert_true(value_equal(v, &given));
        return;
    }

    for (i = 0; i < given.len; i++) {
        name = value_member(&given, i).key;

        if (name[0] != '-') {
            assert_true(value_equal(value_get(v, name),
                                    value_nth(&given, i)));

        } else if (value_cstr(value_nth(&given, i)) == NULL) {
            assert_null(value_get(v, name + 1));
        }
    }
}


static value_t *
test_print(arena_t *a, const char *name)
{
    value_t                *out;
    const schema_t         *s;
    const plugin_schema_t  *p;

    s = schema_find(name);
    p = schema_plugin(name, strlen(name));

    if (s == NULL && p == NULL) {
        return NULL;
    }

    out = value_new(a);
    schemas_print(a, (s != NULL) ? s : &p->schema, s == NULL, out);

    return out;
}


/* "a.b.elements", "a#" */
static value_t *
test_find(arena_t *a, value_t *v, const char *path)
{
    size_t       len;
    value_t     *next;
    const char  *p;

    for (p = path; *p != '\0' && *p != '#' && v != NULL; p += len) {
        p += (*p == '.');
        len = strcspn(p, ".#");

        next = test_member(value_get(v, "fields"), p, len);

        if (next == NULL) {
            next = test_member(value_get(v, "shorthand_fields"), p, len);
        }

        v = (next != NULL) ? next
                           : value_get(v, arena_strndup(a, p, len));
    }

    return (v != NULL && *p == '#') ? value_get(v, "entity_checks") : v;
}


/* [ {"name": {...}}, ... ] */
static value_t *
test_member(value_t *list, const char *name, size_t len)
{
    size_t    i;
    value_t  *item;

    for (i = 0; list != NULL && (item = value_at(list, i)) != NULL; i++) {
        if (strlen(value_member(item, 0).key) == len
            && memcmp(value_member(item, 0).key, name, len) == 0)
        {
            return value_nth(item, 0);
        }
    }

    return NULL;
}


static void
test_all(void **state)
{
    size_t    i;
    value_t   v;
    arena_t  *a;

    (void) state;

    a = arena_new();

    for (i = 0; schema_entities[i] != NULL; i++) {
        schemas_print(a, schema_entities[i], 0, &v);
        test_types(value_get(&v, "fields"));
        assert_non_null(value_get(&v, "entity_checks"));
    }

    for (i = 0; schema_plugins[i] != NULL; i++) {
        schemas_print(a, &schema_plugins[i]->schema, 1, &v);
        test_types(value_get(&v, "fields"));
    }

    arena_free(a);
}


static void
test_types(const value_t *v)
{
    size_t          i;
    const value_t  *item, *f;

    assert_non_null(v);

    for (i = 0; (item = value_at(v, i)) != NULL; i++) {
        assert_int_equal(item->len, 1);
        f = value_nth(item, 0);
        assert_non_null(value_get(f, "type"));

        if (value_get(f, "fields") != NULL) {
            test_types(value_get(f, "fields"));
        }
    }
}


/* a record that is there by default is shown with what it holds then */
static void
test_default(void **state)
{
    value_t  *v;
    arena_t  *a;

    (void) state;

    a = arena_new();
    v = test_find(a, test_print(a, "upstreams"),
                  "healthchecks.passive.unhealthy");
    assert_non_null(v);
    assert_string_equal(json_print(a, value_get(v, "default"), NULL),
                        "{\"http_statuses\":[429,500,503],"
                        "\"tcp_failures\":0,\"timeouts\":0,"
                        "\"http_failures\":0}");
    arena_free(a);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_shown),
        cmocka_unit_test(test_all),
        cmocka_unit_test(test_default),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
