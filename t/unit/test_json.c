/*
 * test_json: reading (grammar, limits, hostile input) and printing (Kong's
 * encoder, Lua-table notation).
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "../../controld/model/json.h"


typedef struct {
    const char  *in;
    const char  *json;          /* printed again; NULL: refused */
    const char  *lua;           /* or the error */
} json_case_t;


static const json_case_t  cases[] = {
    { "{}", "{}", "{}" },
    { " [ ] ", "[]", "{}" },
    { "null", "null", "nil" },
    { "true", "true", "true" },
    { "[false,null]", "[false,null]", "{false}" },
    { "0", "0", "0" },
    { "-0", "0", "0" },
    { "-12.5e1", "-125", "-125" },
    { "0.1", "0.1", "0.1" },
    { "1e3", "1000", "1000" },
    { "123456789012345", "123456789012345", "123456789012345" },
    { "1234567890123456", "1234567890123456", "1234567890123456" },
    { "1e20", "1e+20", "1e+20" },
    { "3.14159265358979", "3.14159265358979", "3.14159265358979" },
    { "\"a/b\"", "\"a\\/b\"", "\"a/b\"" },
    { "\"\\u00e9\\ud83d\\ude00\"", "\"\303\251\360\237\230\200\"",
      "\"\303\251\360\237\230\200\"" },
    { "\"\\b\\f\\n\\r\\t\\\"\\\\\\/\"",
      "\"\\b\\f\\n\\r\\t\\\"\\\\\\/\"", "\"\b\f\\\n\\r\t\\\"\\\\/\"" },
    { "\"x\\u0000y\\u001f\"", "\"x\\u0000y\\u001f\"",
      "\"x\\000y\037\"" },
    { "\"\377\"", "\"\377\"", "\"\377\"" },
    { "{\"b\":1,\"a\":2,\"b\":3}", "{\"b\":3,\"a\":2}", "{a=2,b=3}" },
    { "{\"a\":{\"x\":1},\"a\":[]}", "{\"a\":[]}", "{a={}}" },
    { "{\"@entity\":[\"x\"],\"end\":1,\"a b\":2,\"_1\":3}",
      "{\"@entity\":[\"x\"],\"end\":1,\"a b\":2,\"_1\":3}",
      "{[\"@entity\"]={\"x\"},_1=3,[\"a b\"]=2,[\"end\"]=1}" },
    { "{\"services\":[null,{\"host\":\"x\"},null,\"y\"]}",
      "{\"services\":[null,{\"host\":\"x\"},null,\"y\"]}",
      "{services={[2]={host=\"x\"},[4]=\"y\"}}" },
    { "\"a\\nb\"", "\"a\\nb\"", "[[\na\nb]]" },
    { "\"a\\n]]\"", "\"a\\n]]\"", "[=[\na\n]]]=]" },

    { "", NULL, "Expected value but found T_END at character 1" },
    { "nul", NULL, "Expected value but found invalid token at character 1" },
    { "[1,]", NULL, "Expected value but found T_ARR_END at character 4" },
    { "[1 2]", NULL,
      "Expected comma or array end but found T_NUMBER at character 4" },
    { "{\"a\":1,}", NULL,
      "Expected object key string but found T_OBJ_END at character 8" },
    { "{\"a\" 1}", NULL,
      "Expected colon but found T_NUMBER at character 6" },
    { "{\"a\":1 \"b\"}", NULL,
      "Expected comma or object end but found T_STRING at character 8" },
    { "{a:1}", NULL,
      "Expected object key string but found invalid token at character 2" },
    { "{} x", NULL, "Expected the end but found invalid token at "
                    "character 4" },
    { "\"abc", NULL,
      "Expected value but found unexpected end of string at character 1" },
    { "\"a\\x\"", NULL,
      "Expected value but found invalid escape code at character 3" },
    { "\"\\ud800\"", NULL, "Expected value but found invalid unicode escape "
                           "code at character 2" },
    { "\"\\ud800\\u0041\"", NULL, "Expected value but found invalid unicode "
                                  "escape code at character 2" },
    { "\"\\udc00\"", NULL, "Expected value but found invalid unicode escape "
                           "code at character 2" },
    { "\"\\u12\"", NULL, "Expected value but found invalid unicode escape "
                         "code at character 2" },
    { "01", NULL, "Expected value but found invalid number at character 1" },
    { "-", NULL, "Expected value but found invalid number at character 1" },
    { "1.", NULL, "Expected value but found invalid number at character 1" },
    { "1e", NULL, "Expected value but found invalid number at character 1" },
    { "1e999", NULL,
      "Expected value but found invalid number at character 1" },
    { "+1", NULL, "Expected value but found invalid token at character 1" },
    { "NaN", NULL, "Expected value but found invalid token at character 1" },
    { "\\", NULL, "Expected value but found invalid token at character 1" }
};


static void
test_cases(void **state)
{
    int          rc;
    size_t       i, len;
    value_t      v;
    arena_t     *a;
    const char  *err;

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        a = arena_new();
        rc = json_parse(a, cases[i].in, strlen(cases[i].in), &v, &err);

        if (cases[i].json == NULL) {
            assert_int_equal(rc, -1);
            assert_string_equal(err, cases[i].lua);

        } else {
            assert_int_equal(rc, 0);
            assert_string_equal(json_print(a, &v, &len), cases[i].json);
            assert_int_equal(len, strlen(cases[i].json));
            assert_string_equal(json_print_lua(a, &v, NULL), cases[i].lua);
        }

        arena_free(a);
    }
}


static void
test_nul_bytes(void **state)
{
    value_t      v;
    arena_t     *a;
    const char  *err;

    (void) state;

    a = arena_new();

    assert_int_equal(json_parse(a, "{\"a\\u0000b\":\"c\\u0000d\"}", 23, &v,
                                &err), 0);
    assert_non_null(value_getn(&v, "a\0b", 3));
    assert_null(value_get(&v, "a"));
    assert_int_equal(value_getn(&v, "a\0b", 3)->len, 3);
    assert_memory_equal(value_getn(&v, "a\0b", 3)->u.string, "c\0d", 3);

    /* raw ones end the text, wherever they are */

    assert_int_equal(json_parse(a, "\"a\0b\"", 5, &v, &err), -1);
    assert_int_equal(json_parse(a, "{}\0", 3, &v, &err), -1);

    arena_free(a);
}


static void
test_lua_table(void **state)
{
    value_t   v;
    arena_t  *a;

    (void) state;

    a = arena_new();
    memset(&v, 0, sizeof(value_t));
    value_set_array(&v);
    assert_string_equal(json_print(a, &v, NULL), "[]");
    v.flags |= VALUE_LUA_TABLE;
    assert_string_equal(json_print(a, &v, NULL), "{}");
    value_set_number(&v, 0.0 / 0.0);
    assert_string_equal(json_print(a, &v, NULL), "null");
    assert_string_equal(json_print(a, NULL, NULL), "null");

    arena_free(a);
}


static void
test_lines(void **state)
{
    value_t      v;
    arena_t     *a;
    const char  *err;
    const char   text[] = "{\n\"a\": [\n1,\n\"x\"],\n\"b\"\n:\n{}}";

    (void) state;

    a = arena_new();
    assert_int_equal(json_parse(a, text, strlen(text), &v, &err), 0);
    assert_int_equal(v.line, 1);
    assert_int_equal(value_get(&v, "a")->line, 2);
    assert_int_equal(value_at(value_get(&v, "a"), 0)->line, 3);
    assert_int_equal(value_at(value_get(&v, "a"), 1)->line, 4);
    assert_int_equal(value_get(&v, "b")->line, 7);

    arena_free(a);
}


static void
test_nesting(void **state)
{
    int          i;
    char        *text;
    value_t      v;
    arena_t     *a;
    const char  *err;

    (void) state;

    text = malloc(2000000);

    if (text == NULL) {
        fail();
        return;
    }

    a = arena_new();

    memset(text, '[', 1000);
    memset(text + 1000, ']', 1000);
    assert_int_equal(json_parse(a, text, 2000, &v, &err), 0);
    assert_non_null(json_print(a, &v, NULL));

    memset(text, '[', 2000000);
    assert_int_equal(json_parse(a, text, 2000000, &v, &err), -1);
    assert_string_equal(err,
                        "Found too many nested data structures (1001)");

    for (i = 0; i + 5 <= 2000000; i += 5) {
        memcpy(text + i, "{\"a\":", 5);
    }

    assert_int_equal(json_parse(a, text, 2000000, &v, &err), -1);

    arena_free(a);
    free(text);
}


static void
test_large(void **state)
{
    char        *text, *again;
    double       took;
    size_t       len, again_len;
    value_t      v;
    arena_t     *a;
    clock_t      start;
    unsigned     i;
    const char  *err;

    (void) state;

    text = malloc(6000000);

    if (text == NULL) {
        fail();
        return;
    }

    a = arena_new();

    /* one object with many keys */

    len = 0;
    text[len++] = '{';

    for (i = 0; len < 5 * 1024 * 1024; i++) {
        len += (size_t) sprintf(text + len, "%s\"key%u\":[%u,\"v\"]",
                                i == 0 ? "" : ",", i, i);
    }

    text[len++] = '}';

    start = clock();
    assert_int_equal(json_parse(a, text, len, &v, &err), 0);
    again = json_print(a, &v, &again_len);
    took = (double) (clock() - start) / CLOCKS_PER_SEC;

    assert_int_equal(v.len, i);
    assert_int_equal(again_len, len);
    assert_memory_equal(again, text, len);
    assert_true(took < 5);

    arena_free(a);
    free(text);
}


/* no prefix of a document and no damaged one may do harm */

static void
test_damaged(void **state)
{
    char         copy[256];
    size_t       i, len;
    value_t      v;
    arena_t     *a;
    unsigned     c;
    const char  *err;
    const char   text[] = "{\"a\":[1,-2.5e3,true,null,\"\\u00e9\\n\"],"
                          "\"b\":{\"c\":{\"d\":\"\\ud83d\\ude00\"}}}";

    (void) state;

    len = strlen(text);

    for (i = 0; i < len; i++) {
        a = arena_new();
        memcpy(copy, text, len);

        assert_int_equal(json_parse(a, copy, i, &v, &err), -1);

        for (c = 0; c < 256; c++) {
            copy[i] = (char) c;

            if (json_parse(a, copy, len, &v, &err) == 0) {
                assert_non_null(json_print(a, &v, NULL));
            }
        }

        arena_free(a);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_nul_bytes),
        cmocka_unit_test(test_lua_table),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_damaged)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
