/*
 * Tests of packed values: what they hold is what was packed, what is the same
 * is there once, and a change of one concerns nobody else.
 */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../controld/model/json.h"
#include "../../controld/model/schema.h"
#include "../../controld/model/value_pack.h"


static value_t *
route(arena_t *a, const char *text)
{
    value_t       *v, errors;
    const char    *err;
    schema_ctx_t   ctx;

    memset(&ctx, 0, sizeof(schema_ctx_t));
    memset(&errors, 0, sizeof(value_t));
    ctx.arena = a;
    ctx.now = 1;

    v = value_new(a);
    assert_int_equal(json_parse(a, text, strlen(text), v, &err), 0);

    if (schema_validate(&ctx, schema_find("routes"), v, &errors) != 0) {
        fail_msg("%s", json_print(a, &errors, NULL));
    }

    return v;
}


static void
test_same(void **state)
{
    char            *before;
    value_t         *v, one, two;
    arena_t         *a, *keep;
    value_packer_t  *p;

    (void) state;

    a = arena_new();
    keep = arena_new();
    p = value_packer_new(a, keep);

    v = route(a, "{\"name\":\"one\",\"hosts\":[\"a.test\"],"
                 "\"paths\":[\"/1\"],\"headers\":{\"x\":[\"1\",\"2\"]}}");
    assert_true(v->flags & VALUE_RECORD);
    before = json_print(a, v, NULL);
    value_pack(p, &one, v);

    v = route(a, "{\"name\":\"two\",\"hosts\":[\"a.test\"],"
                 "\"paths\":[\"/2\"],\"headers\":{\"x\":[\"1\",\"2\"]}}");
    value_pack(p, &two, v);

    /* hosts and headers are there once; so are the defaults */

    assert_ptr_equal(value_get(&one, "hosts")->u.items,
                     value_get(&two, "hosts")->u.items);
    assert_ptr_equal(value_get(&one, "headers")->u.list,
                     value_get(&two, "headers")->u.list);
    assert_ptr_equal(value_get(&one, "protocols"),
                     value_get(&two, "protocols"));
    assert_ptr_equal(one.u.record->shape, two.u.record->shape);
    assert_ptr_not_equal(value_get(&one, "paths")->u.items,
                         value_get(&two, "paths")->u.items);

    before = arena_strndup(keep, before, strlen(before));
    arena_free(a);

    assert_string_equal(json_print(keep, &one, NULL), before);
    assert_true(value_str_eq(value_at(value_get(&two, "paths"), 0), "/2"));
    assert_int_equal(value_get(&two, "paths")->line, 0);

    arena_free(keep);
}


/* whoever writes to a packed object has one of its own then */

static void
test_apart(void **state)
{
    value_t         *v, one, two, *copy;
    arena_t         *a;
    value_packer_t  *p;

    (void) state;

    a = arena_new();
    p = value_packer_new(a, a);
    v = route(a, "{\"name\":\"one\",\"paths\":[\"/1\"]}");
    value_pack(p, &one, v);
    two = one;

    value_set_number(value_put(a, &two, "regex_priority"), 7);
    assert_true(value_get(&two, "regex_priority")->u.number == 7);
    assert_true(value_get(&one, "regex_priority")->u.number == 0);

    two = one;
    value_set_string(value_put(a, &two, "name"), "two", 3);
    assert_true(value_str_eq(value_get(&one, "name"), "one"));

    two = one;
    value_remove(a, &two, "name");
    assert_null(value_get(&two, "name"));
    assert_non_null(value_get(&one, "name"));
    assert_int_equal(two.len, one.len - 1);

    two = one;
    value_set_bool(value_put(a, &two, "more"), true);
    assert_int_equal(two.len, one.len + 1);
    assert_null(value_get(&one, "more"));

    copy = value_clone(a, &one);
    assert_true(value_equal(copy, &one));
    value_set_string(value_append(a, value_get(copy, "protocols")), "x", 1);
    value_set_number(value_get(copy, "regex_priority"), 9);
    assert_int_equal(value_get(&one, "protocols")->len, 2);
    assert_true(value_get(&one, "regex_priority")->u.number == 0);

    /* a shared list is copied by who appends to it */

    two = *value_get(&one, "paths");
    value_set_string(value_append(a, &two), "/2", 2);
    assert_int_equal(value_get(&one, "paths")->len, 1);
    assert_true(value_str_eq(value_at(&two, 0), "/1"));

    arena_free(a);
}


/* packed once more, into other memory: what it was made of may go */

static void
test_again(void **state)
{
    value_t         *v, one, two;
    arena_t         *a, *b;
    value_packer_t  *p;

    (void) state;

    a = arena_new();
    b = arena_new();
    p = value_packer_new(a, a);
    v = route(a, "{\"name\":\"one\",\"paths\":[\"/1\"],\"tags\":[\"t\"]}");
    value_pack(p, &one, v);

    p = value_packer_new(a, b);
    value_pack(p, &two, &one);
    assert_true(value_equal(&one, &two));
    arena_free(a);

    assert_true(value_str_eq(value_at(value_get(&two, "tags"), 0), "t"));
    assert_true(value_str_eq(value_get(&two, "name"), "one"));

    arena_free(b);
}


static void
test_arena_realloc(void **state)
{
    char    *p, *q;
    size_t   n;
    arena_t  *a;

    (void) state;

    a = arena_new();
    p = arena_realloc(a, NULL, 1);
    q = arena_realloc(a, NULL, 1);
    *p = 'p';
    *q = 'q';

    for (n = 2; n < 4 * 1000 * 1000; n *= 3) {
        p = arena_realloc(a, p, n);
        (void) arena_alloc(a, 100);
        q = arena_realloc(a, q, n);
        p[n - 1] = 'p';
        q[n - 1] = 'q';
        assert_int_equal(p[0], 'p');
        assert_int_equal(q[0], 'q');
    }

    assert_true(a->used < 3 * n);
    arena_free(a);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_apart),
        cmocka_unit_test(test_again),
        cmocka_unit_test(test_arena_realloc)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
