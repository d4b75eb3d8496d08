/*
 * test_value: arenas and value trees: growth, order, removal, objects above
 * the size that is searched linearly, equality, clones.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "../../controld/model/value.h"


static value_t *object_of(arena_t *a, int n);


static void
test_arena_blocks(void **state)
{
    int       i;
    char     *p, *last;
    arena_t  *a;

    (void) state;

    a = arena_new();
    last = NULL;

    for (i = 1; i < 3000; i++) {
        p = arena_alloc(a, (size_t) i);
        assert_int_equal((uintptr_t) p % 8, 0);
        assert_ptr_not_equal(p, last);
        memset(p, i, (size_t) i);
        last = p;
    }

    p = arena_zalloc(a, 50 * 1000 * 1000);
    assert_int_equal(p[0], 0);
    assert_int_equal(p[49999999], 0);
    assert_true(a->used > 50 * 1000 * 1000);

    arena_free(a);
    arena_free(NULL);
}


static void
test_arena_large(void **state)
{
    int       i;
    char     *p;
    arena_t  *a;

    (void) state;

    /* beyond the size from which blocks are huge pages */

    a = arena_new();

    for (i = 0; i < 50000; i++) {
        p = arena_alloc(a, 1000);
        memset(p, 1, 1000);
    }

    assert_true(a->used < 60 * 1000 * 1000);
    arena_free(a);
}


static void
test_arena_oom(void **state)
{
    jmp_buf   env;
    arena_t  *a;

    (void) state;

    a = arena_new();

    if (setjmp(env) == 0) {
        a->oom = &env;
        (void) arena_alloc(a, SIZE_MAX - 4);
        fail();
    }

    arena_free(a);
}


static void
test_arena_printf(void **state)
{
    char     *s;
    char      text[1000];
    arena_t  *a;

    (void) state;

    a = arena_new();
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';

    assert_string_equal(arena_printf(a, "%d %s", 7, "ab"), "7 ab");

    s = arena_printf(a, "<%s>", text);
    assert_int_equal(strlen(s), 1001);
    assert_int_equal(s[1000], '>');

    arena_free(a);
}


static void
test_object_order(void **state)
{
    value_t   *v;
    arena_t   *a;

    (void) state;

    a = arena_new();
    v = value_new(a);
    value_set_object(v);

    value_set_number(value_put(a, v, "b"), 1);
    value_set_number(value_put(a, v, "a"), 2);
    value_set_number(value_put(a, v, "b"), 3);

    assert_int_equal(v->len, 2);
    assert_string_equal(value_member(v, 0).key, "b");
    assert_true(value_get(v, "b")->u.number == 3);
    assert_null(value_get(v, "c"));
    assert_null(value_get(NULL, "c"));
    assert_null(value_get(value_get(v, "b"), "c"));

    value_remove(a, v, "b");
    value_remove(a, v, "b");
    assert_int_equal(v->len, 1);
    assert_null(value_get(v, "b"));
    assert_true(value_get(v, "a")->u.number == 2);

    arena_free(a);
}


static void
test_object_large(void **state)
{
    int        i;
    char       key[16];
    double     took;
    value_t   *v;
    arena_t   *a;
    clock_t    start;

    (void) state;

    a = arena_new();
    start = clock();
    v = object_of(a, 200000);
    took = (double) (clock() - start) / CLOCKS_PER_SEC;

    /* quadratic building would take minutes */

    assert_true(took < 5);
    assert_int_equal(v->len, 200000);

    for (i = 0; i < 200000; i += 371) {
        snprintf(key, sizeof(key), "k%d", i);
        assert_non_null(value_get(v, key));
        assert_int_equal(value_get(v, key)->u.number, i);
    }

    assert_null(value_get(v, "k200000"));

    arena_free(a);
}


static void
test_object_large_remove(void **state)
{
    int        i;
    char       key[16];
    value_t   *v;
    arena_t   *a;

    (void) state;

    a = arena_new();
    v = object_of(a, 100);

    for (i = 0; i < 100; i += 2) {
        snprintf(key, sizeof(key), "k%d", i);
        value_remove(a, v, key);
    }

    assert_int_equal(v->len, 50);

    for (i = 0; i < 100; i++) {
        snprintf(key, sizeof(key), "k%d", i);

        if (i % 2) {
            assert_int_equal(value_get(v, key)->u.number, i);

        } else {
            assert_null(value_get(v, key));
        }
    }

    value_set_number(value_put(a, v, arena_strndup(a, "k0", 2)), 77);
    assert_string_equal(value_member(v, 50).key, "k0");

    arena_free(a);
}


static void
test_object_reserve(void **state)
{
    int       i, j;
    char     *key;
    value_t   v;
    arena_t  *a;

    (void) state;

    a = arena_new();

    /* sizes around the one from which there is an index */

    for (i = 0; i < 70; i++) {
        memset(&v, 0, sizeof(value_t));
        value_set_object(&v);
        value_reserve(a, &v, (size_t) i);

        while (v.len < 80) {
            key = arena_printf(a, "m%u", v.len);
            value_set_bool(value_put(a, &v, key), true);
        }

        for (j = 0; j < 80; j++) {
            key = arena_printf(a, "m%d", j);
            assert_non_null(value_get(&v, key));
        }

        assert_null(value_get(&v, "m80"));
    }

    arena_free(a);
}


static void
test_arrays(void **state)
{
    value_t  *v;
    arena_t  *a;

    (void) state;

    a = arena_new();
    v = value_new(a);
    value_set_array(v);

    assert_null(value_at(v, 0));
    value_set_string(value_append(a, v), "x", 1);
    value_set_bool(value_ensure(a, v, 5), true);

    assert_int_equal(v->len, 6);
    assert_true(value_is_null(value_at(v, 3)));
    assert_true(value_at(v, 5)->u.boolean);
    assert_null(value_at(v, 6));
    assert_true(value_str_eq(value_at(v, 0), "x"));

    arena_free(a);
}


static void
test_equal_clone(void **state)
{
    value_t  *one, *two, *list;
    arena_t  *a;

    (void) state;

    a = arena_new();
    one = object_of(a, 60);
    list = value_put(a, one, "list");
    value_set_array(list);
    value_copy_string(a, value_append(a, list), "a\0b", 3);
    value_set_null(value_append(a, list));

    two = value_clone(a, one);
    assert_true(value_equal(one, two));
    assert_ptr_not_equal(value_get(two, "list")->u.items, list->u.items);
    assert_non_null(value_get(two, "k59"));

    /* the order of keys does not count */

    value_remove(a, two, "k0");
    assert_false(value_equal(one, two));
    value_set_number(value_put(a, two, "k0"), 0);
    assert_true(value_equal(one, two));

    value_at(value_get(two, "list"), 0)->len = 1;
    assert_false(value_equal(one, two));

    assert_true(value_equal(NULL, value_at(list, 1)));
    assert_false(value_equal(NULL, one));

    arena_free(a);
}


static void
test_path_integer(void **state)
{
    value_t  *v, *sub, n;
    arena_t  *a;

    (void) state;

    a = arena_new();
    v = value_new(a);
    value_set_object(v);
    sub = value_put(a, v, "a");
    value_set_object(sub);
    value_printf(a, value_put(a, sub, "b"), "%s-%d", "x", 5);

    assert_string_equal(value_cstr(value_path(v, "a.b")), "x-5");
    assert_null(value_path(v, "a.b.c"));
    assert_null(value_path(v, "b"));
    assert_null(value_cstr(v));

    memset(&n, 0, sizeof(value_t));
    value_set_number(&n, 3);
    assert_true(value_is_integer(&n));
    value_set_number(&n, 3.5);
    assert_false(value_is_integer(&n));
    value_set_number(&n, 1.0 / 0.0);
    assert_false(value_is_integer(&n));
    assert_false(value_is_integer(v));

    arena_free(a);
}


static value_t *
object_of(arena_t *a, int n)
{
    int       i;
    value_t  *v;

    v = value_new(a);
    value_set_object(v);

    for (i = 0; i < n; i++) {
        value_set_number(value_put(a, v, arena_printf(a, "k%d", i)), i);
    }

    return v;
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_arena_blocks),
        cmocka_unit_test(test_arena_large),
        cmocka_unit_test(test_arena_oom),
        cmocka_unit_test(test_arena_printf),
        cmocka_unit_test(test_object_order),
        cmocka_unit_test(test_object_large),
        cmocka_unit_test(test_object_large_remove),
        cmocka_unit_test(test_object_reserve),
        cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_equal_clone),
        cmocka_unit_test(test_path_integer)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
