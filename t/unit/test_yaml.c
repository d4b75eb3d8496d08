/*
 * The YAML reader: types, merge keys, aliases, positions, limits.  Good text
 * is compared as JSON, bad text by its sentence.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controld/model/json.h"
#include "controld/source/yaml.h"


typedef struct {
    const char  *text;
    const char  *expect;
} yaml_case_t;


static const yaml_case_t  good[] = {
    /* words */
    { "[yes, No, ON, off, true, False, y, n, oN, ~, null, NULL, nULL]",
      "[true,false,true,false,true,false,\"y\",\"n\",\"oN\",null,null,null,"
      "\"nULL\"]" },
    { "a:\nb: ''\nc: \"yes\"\nd: '1'\n",
      "{\"a\":null,\"b\":\"\",\"c\":\"yes\",\"d\":\"1\"}" },
    /* numbers */
    { "[0, 1, -1, +1, 1_000, 010, 08, 0x1f, -0x10, 0b11, 1.5, .5, 1., 1e3]",
      "[0,1,-1,1,1000,8,8,31,-16,3,1.5,0.5,1,1000]" },
    { "[12:30, 1:02:03, 190:20:30.5, 1:60, 1:5, 0x, 0b1, 1e, --1, 1__0]",
      "[750,3723,685230.5,\"1:60\",65,\"0x\",\"0b1\",\"1e\",\"--1\",10]" },
    { "[10.0.0.1, 1.2.3, 2001-12-14, 10.0.0.0/8, 80:a, _1, '_', 1-2]",
      "[\"10.0.0.1\",\"1.2.3\",\"2001-12-14\",\"10.0.0.0\\/8\",\"80:a\",1,"
      "\"_\",\"1-2\"]" },
    { "[3.0, \"3.0\", '1.1']", "[3,\"3.0\",\"1.1\"]" },
    /* tags */
    { "[!!str 5, !!int '7', !!bool y, !!null x, !!float 2, !own 3, !own '3']",
      "[\"5\",7,true,null,2,3,\"3\"]" },
    /* keys */
    { "8080: a\ntrue: b\n~: c\n\"8080\": d\n1.50: e\n",
      "{\"8080\":\"d\",\"true\":\"b\",\"null\":\"c\",\"1.5\":\"e\"}" },
    { "a: 1\nb: 2\na: 3\n", "{\"a\":3,\"b\":2}" },
    { "a: {{ NAME }}\nb: {[x]: 1}\n",
      "{\"a\":{\"{\\\"NAME\\\":null}\":null},"
      "\"b\":{\"[\\\"x\\\"]\":1}}" },
    { "? a\n: 1\n? b\n", "{\"a\":1,\"b\":null}" },
    /* merge keys: what is there stays, what comes later replaces */
    { "x: &x {a: 1, b: 2}\ny: {a: 0, <<: *x, b: 3, c: 4}\n",
      "{\"x\":{\"a\":1,\"b\":2},\"y\":{\"a\":0,\"b\":3,\"c\":4}}" },
    { "x: &x {a: 1}\nz: &z {a: 2, b: 2}\ny:\n  <<: [*x, *z]\n",
      "{\"x\":{\"a\":1},\"z\":{\"a\":2,\"b\":2},\"y\":{\"a\":1,\"b\":2}}" },
    { "y:\n  <<: {a: 1}\n  <<: {a: 2, b: 2}\n",
      "{\"y\":{\"a\":1,\"b\":2}}" },
    /* aliases are copies; an anchor may be set again */
    { "a: &x [1, {b: 2}]\nc: *x\nd: &x 5\ne: *x\n",
      "{\"a\":[1,{\"b\":2}],\"c\":[1,{\"b\":2}],\"d\":5,\"e\":5}" },
    { "&k a: 1\n*k : 2\n", "{\"a\":2}" },
    /* scalars of several lines */
    { "a: |\n  x\n  y\nb: >-\n  x\n  y\nc: x\n  y\n",
      "{\"a\":\"x\\ny\\n\",\"b\":\"x y\",\"c\":\"x y\"}" },
    /* streams */
    { "a: 1\n---\nb: 2\n", "{\"a\":1}" },
    { "", "null" },
    { "# nothing\n", "null" },
    { "---\n", "null" },
    { "\xef\xbb\xbf" "a: 1\r\nb:\r\n- c\r\n", "{\"a\":1,\"b\":[\"c\"]}" },
    { "%YAML 1.1\n---\na: 1\n...\n", "{\"a\":1}" },
    /* what other tools would replace */
    { "a: ${HOST}\nb: $(uri_captures[1])\nc: '{vault://env/x}'\n",
      "{\"a\":\"${HOST}\",\"b\":\"$(uri_captures[1])\","
      "\"c\":\"{vault:\\/\\/env\\/x}\"}" },
    { "\"\\u00e4\\0\"", "\"\xc3\xa4\\u0000\"" },
    /* JSON is YAML, nearly */
    { "{\"a\": [1, 2.5, null, true, \"x\"]}",
      "{\"a\":[1,2.5,null,true,\"x\"]}" },
};

/* Kong's position is that of the event before the problem */
static const yaml_case_t  bad[] = {
    { "a: [", "1:4: did not find expected node content" },
    { "a: b: c", "1:4: mapping values are not allowed in this context" },
    { "{a: 1", "1:5: did not find expected ',' or '}'" },
    { "- a\nb: c\n", "1:3: did not find expected '-' indicator" },
    { "a: *x\n", "1:4: invalid reference: x" },
    { "a: &x [1, *x]\n", "1:11: anchor contains itself: x" },
    { "a: &x 1\n---\nb: *x\n", "3:4: invalid reference: x" },
    { "a: 1\n---\nb: [\n", "3:4: did not find expected node content" },
    { "a: !!int x\n",
      "1:4: invalid 'tag:yaml.org,2002:int' value: 'x'" },
    { "a: !!bool 1\n",
      "1:4: invalid 'tag:yaml.org,2002:bool' value: '1'" },
    { "<<: 5\n", "1:5: invalid '<<' merge event: no map" },
    { "<<: x\n", "1:5: invalid '<<' merge event: x" },
    { "<<: [{a: 1}, 2]\n", "1:15: invalid '<<' sequence element 2" },
    { "a: \x01\n", "0:0: control characters are not allowed" },
    { "a: \xff\n", "0:0: invalid leading UTF-8 octet" },
    { "\t- a\n",
      "1:1: found character that cannot start any token" },
};


static void
test_good(void **state)
{
    int           rc;
    size_t        i;
    char         *json;
    value_t       v;
    arena_t      *a;
    yaml_fault_t  fault;

    (void) state;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        a = arena_new();
        memset(&v, 0, sizeof(value_t));

        rc = yaml_read(a, good[i].text, strlen(good[i].text), &v, NULL,
                       &fault);
        if (rc != 0) {
            fail_msg("%s: %s", good[i].text, fault.text);
        }

        json = json_print(a, &v, NULL);
        assert_string_equal(json, good[i].expect);
        arena_free(a);
    }
}


static void
test_bad(void **state)
{
    size_t        i;
    value_t       v;
    arena_t      *a;
    yaml_fault_t  fault;

    (void) state;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        a = arena_new();
        memset(&v, 0, sizeof(value_t));

        if (yaml_read(a, bad[i].text, strlen(bad[i].text), &v, NULL, &fault)
            != -1)
        {
            fail_msg("accepted: %s", bad[i].text);
        }

        assert_string_equal(fault.text, bad[i].expect);
        assert_true(fault.line != 0);
        arena_free(a);
    }
}


static void
test_infinite(void **state)
{
    value_t       v;
    arena_t      *a;
    yaml_fault_t  fault;

    static const char  text[] = "[.inf, -.Inf, .nan]";

    (void) state;

    a = arena_new();
    memset(&v, 0, sizeof(value_t));

    assert_int_equal(yaml_read(a, text, strlen(text), &v, NULL, &fault), 0);
    assert_true(v.u.items[0].u.number > 1e308);
    assert_true(v.u.items[1].u.number < -1e308);
    assert_true(v.u.items[2].u.number != v.u.items[2].u.number);
    assert_false(value_is_integer(&v.u.items[0]));

    arena_free(a);
}


static void
test_lines(void **state)
{
    value_t       v;
    arena_t      *a;
    unsigned      n;
    yaml_fault_t  fault;

    static const char  text[] =
        "a: 1\n"
        "b:\n"
        "- x\n"
        "- y:\n"
        "    z: {w: 3}\n"
        "---\n"
        "c\n";

    (void) state;

    a = arena_new();
    memset(&v, 0, sizeof(value_t));

    assert_int_equal(yaml_read(a, text, strlen(text), &v, &n, &fault), 0);
    assert_int_equal(n, 2);
    assert_int_equal(v.line, 1);
    assert_int_equal(value_get(&v, "a")->line, 1);
    assert_int_equal(value_get(&v, "b")->line, 3);
    assert_int_equal(value_at(value_get(&v, "b"), 1)->line, 4);
    assert_int_equal(value_path(value_at(value_get(&v, "b"), 1),
                                "y.z.w")->line, 5);

    arena_free(a);
}


/* nine levels of nine aliases: more nodes than anything needs */

static void
test_aliases_bounded(void **state)
{
    int           i, k, n;
    char          text[4096];
    value_t       v;
    arena_t      *a;
    yaml_fault_t  fault;

    (void) state;

    n = snprintf(text, sizeof(text), "a0: &a0 [x, x, x, x, x, x, x, x, x]\n");

    for (i = 1; i < 9; i++) {
        n += snprintf(text + n, sizeof(text) - n, "a%d: &a%d [", i, i);

        for (k = 0; k < 9; k++) {
            n += snprintf(text + n, sizeof(text) - n, "%s*a%d",
                          k == 0 ? "" : ", ", i - 1);
        }

        n += snprintf(text + n, sizeof(text) - n, "]\n");
    }

    a = arena_new();
    memset(&v, 0, sizeof(value_t));

    assert_int_equal(yaml_read(a, text, n, &v, NULL, &fault), -1);
    assert_non_null(strstr(fault.text, "aliases make more than"));
    assert_true(a->used < 200 * 1024 * 1024);

    arena_free(a);
}


static void
test_depth_bounded(void **state)
{
    char          text[4 * YAML_READ_DEPTH];
    value_t       v;
    arena_t      *a;
    yaml_fault_t  fault;

    (void) state;

    memset(text, '[', sizeof(text));

    a = arena_new();
    memset(&v, 0, sizeof(value_t));

    assert_int_equal(yaml_read(a, text, sizeof(text), &v, NULL, &fault), -1);
    assert_non_null(strstr(fault.text, "levels deep"));

    memset(text, '[', YAML_READ_DEPTH);
    memset(text + YAML_READ_DEPTH, ']', YAML_READ_DEPTH);

    assert_int_equal(yaml_read(a, text, 2 * YAML_READ_DEPTH, &v, NULL,
                               &fault), 0);

    arena_free(a);
}


/* maps as keys of maps: each level would double the text of the one inside */

static void
test_keys_bounded(void **state)
{
    char          text[80];
    value_t       v;
    arena_t      *a;
    yaml_fault_t  fault;

    (void) state;

    memset(text, '{', 40);
    memset(text + 40, '}', 40);

    a = arena_new();
    memset(&v, 0, sizeof(value_t));

    assert_int_equal(yaml_read(a, text, sizeof(text), &v, NULL, &fault), -1);
    assert_non_null(strstr(fault.text, "too large for a key"));
    assert_true(a->used < 4 * 1024 * 1024);

    /* a template that nobody filled in is a key still */

    assert_int_equal(yaml_read(a, "{{ NAME }}: 1", 13, &v, NULL, &fault), 0);

    arena_free(a);
}


/* an arena's jump leaves nothing of libyaml's behind (for the sanitizers) */

static void
test_no_memory(void **state)
{
    jmp_buf       oom;
    value_t       v;
    arena_t      *a;
    yaml_fault_t  fault;

    static char  text[1 << 20];

    (void) state;

    a = arena_new();
    memset(&v, 0, sizeof(value_t));
    memset(text, 'x', sizeof(text));

    if (setjmp(oom) == 0) {
        a->oom = &oom;
        assert_int_equal(yaml_read(a, text, sizeof(text), &v, NULL, &fault),
                         0);
    }

    assert_ptr_equal(a->oom, &oom);
    arena_free(a);
}


int
main(void)
{
    static const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_infinite),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_aliases_bounded),
        cmocka_unit_test(test_depth_bounded),
        cmocka_unit_test(test_keys_bounded),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
