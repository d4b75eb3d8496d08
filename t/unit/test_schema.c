/*
 * test_schema: the walker on a schema of its own that has every kind of field
 * and check: messages, their order and nesting, defaults, shorthands,
 * references, parts of entities.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../controld/model/json.h"
#include "../../controld/model/lua_pattern.h"
#include "../../controld/model/schema.h"
#include "../../controld/model/uuid.h"


typedef struct {
    const char  *in;
    const char  *fields;        /* errors; NULL: good */
    const char  *message;       /* NULL: not looked at */
} schema_case_t;


static const char *check_even(schema_ctx_t *ctx, const field_t *f,
    const value_t *v);
static void check_custom(schema_ctx_t *ctx, value_t *record,
    value_t *errors);
static void run_cases(const schema_case_t *cases, size_t n,
    unsigned update);
static char *filled(arena_t *a, const char *in, unsigned update);


static const char *const  t_enum[] = { "a", "b", NULL };
static const char *const  t_any[] = { "^x", "y$", NULL };
static const char *const  t_none[] = { "zz", NULL };
static const double       t_numbers[] = { 1, 2.5 };

static const field_t  t_string = { .type = FIELD_STRING };
static const field_t  t_reference = {
    .type = FIELD_STRING, .flags = F_REFERENCEABLE, .match = "^%d+$"
};
static const field_t  t_key = { .type = FIELD_STRING, .match = "^%l+$" };
static const field_t  t_integer = { .type = FIELD_INTEGER };

static const shorthand_t  t_shorthands[] = {
    { .name = "old_host", .type = FIELD_STRING,
      .replaced_by = "inner.host" },
    { .name = NULL }
};

static const field_t  t_inner[] = {
    { .name = "host", .type = FIELD_STRING },
    { .name = "port", .type = FIELD_INTEGER, .def = "6379" },
    { .name = NULL }
};

static const char *const  t_pair[] = { "p", "q", NULL };

static const schema_check_t  t_record_checks[] = {
    { .kind = CHECK_MUTUALLY_REQUIRED, .fields = t_pair },
    { .kind = 0 }
};

static const field_t  t_record[] = {
    { .name = "p", .type = FIELD_STRING },
    { .name = "q", .type = FIELD_STRING },
    { .name = "inner", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = t_inner },
    { .name = "maybe", .type = FIELD_RECORD, .fields = t_inner },
    { .name = NULL }
};

static const field_t  t_item = { .type = FIELD_RECORD, .fields = t_inner };

static const field_t  t_fields[] = {
    { .name = "id", .type = FIELD_STRING, .flags = F_AUTO | F_UUID },
    { .name = "secret", .type = FIELD_STRING, .flags = F_AUTO },
    { .name = "created_at", .type = FIELD_INTEGER,
      .flags = F_AUTO | F_TIMESTAMP },
    { .name = "updated_at", .type = FIELD_NUMBER,
      .flags = F_AUTO | F_TIMESTAMP },
    { .name = "need", .type = FIELD_STRING, .flags = F_REQUIRED },
    { .name = "num", .type = FIELD_NUMBER },
    { .name = "flag", .type = FIELD_BOOLEAN, .def = "true" },
    { .name = "one", .type = FIELD_STRING, .one_of = t_enum },
    { .name = "notone", .type = FIELD_STRING, .not_one_of = t_enum },
    { .name = "onenum", .type = FIELD_NUMBER, .one_of_num = t_numbers,
      .n_one_of_num = 2 },
    { .name = "gt", .type = FIELD_NUMBER, .flags = F_GT, .min = 0.5 },
    { .name = "range", .type = FIELD_INTEGER, .flags = F_BETWEEN,
      .min = 1, .max = 9 },
    { .name = "regex", .type = FIELD_STRING, .flags = F_REGEX },
    { .name = "min", .type = FIELD_STRING, .flags = F_LEN_MIN | F_LEN_MAX,
      .len_min = 2, .len_max = 4 },
    { .name = "empty", .type = FIELD_STRING, .flags = F_LEN_MIN },
    { .name = "exact", .type = FIELD_ARRAY, .flags = F_LEN_EQ,
      .len_min = 2, .elements = &t_string },
    { .name = "starts", .type = FIELD_STRING, .starts_with = "/" },
    { .name = "any", .type = FIELD_STRING, .match_any = t_any },
    { .name = "none", .type = FIELD_STRING, .not_match = t_none },
    { .name = "own", .type = FIELD_STRING, .match = "^a",
      .err = "own words" },
    { .name = "has", .type = FIELD_ARRAY, .elements = &t_string,
      .contains = "k" },
    { .name = "even", .type = FIELD_INTEGER, .check = check_even },
    { .name = "never", .type = FIELD_ANY, .flags = F_EQ_NULL },
    { .name = "list", .type = FIELD_ARRAY, .elements = &t_key },
    { .name = "set", .type = FIELD_SET, .elements = &t_string,
      .def = "[\"d\"]" },
    { .name = "map", .type = FIELD_MAP, .keys = &t_key,
      .elements = &t_integer },
    { .name = "record", .type = FIELD_RECORD, .flags = F_REQUIRED,
      .fields = t_record, .checks = t_record_checks,
      .shorthands = t_shorthands },
    { .name = "items", .type = FIELD_ARRAY, .elements = &t_item },
    { .name = "parent", .type = FIELD_FOREIGN, .foreign = "services" },
    { .name = "ref", .type = FIELD_STRING,
      .flags = F_REFERENCEABLE | F_LEN_MAX, .len_max = 3 },
    { .name = "refs", .type = FIELD_ARRAY, .elements = &t_reference },
    { .name = NULL }
};

static const char *const  t_excl[] = { "one", "notone", NULL };
static const char *const  t_distinct[] = { "starts", "any", NULL };
static const char *const  t_atleast[] = { "need", "flag", NULL };
static const char *const  t_custom[] = { "even", NULL };

static const field_t  t_is_a = { .eq = "\"a\"" };
static const field_t  t_required = { .type = FIELD_ANY,
                                     .flags = F_REQUIRED };
static const field_t  t_null = { .type = FIELD_ANY, .flags = F_EQ_NULL };

static const schema_check_t  t_checks[] = {
    { .kind = CHECK_AT_LEAST_ONE_OF, .fields = t_atleast },
    { .kind = CHECK_MUTUALLY_EXCLUSIVE, .fields = t_excl },
    { .kind = CHECK_DISTINCT, .fields = t_distinct },
    { .kind = CHECK_CONDITIONAL, .if_field = "one", .if_match = &t_is_a,
      .then_field = "record.inner.host", .then_match = &t_required },
    { .kind = CHECK_CONDITIONAL, .if_field = "one", .if_match = &t_is_a,
      .then_field = "num", .then_match = &t_null, .then_err = "no num" },
    { .kind = CHECK_CUSTOM, .fields = t_custom, .custom = check_custom },
    { .kind = 0 }
};

static const schema_t  t_schema = {
    .name = "things", .singular = "thing", .fields = t_fields,
    .checks = t_checks
};


static const schema_case_t  cases[] = {
    { "{\"need\":\"n\"}", NULL, NULL },
    { "{}", "{\"need\":\"required field missing\"}",
      "schema violation (need: required field missing)" },
    { "{\"need\":null}", "{\"need\":\"required field missing\"}", NULL },
    { "{\"need\":\"\"}", "{\"need\":\"length must be at least 1\"}", NULL },
    { "{\"need\":5,\"num\":\"x\",\"flag\":1,\"range\":1.5,\"list\":\"x\","
      "\"set\":1,\"map\":1,\"record\":\"x\"}",
      "{\"need\":\"expected a string\",\"num\":\"expected a number\","
      "\"flag\":\"expected a boolean\",\"range\":\"expected an integer\","
      "\"list\":\"expected an array\",\"set\":\"expected a set\","
      "\"map\":\"expected a map\",\"record\":\"expected a record\"}",
      "8 schema violations (flag: expected a boolean; list: expected an "
      "array; map: expected a map; need: expected a string; num: expected "
      "a number; range: expected an integer; record: expected a record; "
      "set: expected a set)" },
    { "{\"need\":\"n\",\"zzz\":1,\"id\":\"x\",\"created_at\":0}",
      "{\"id\":\"expected a valid UUID\","
      "\"created_at\":\"expected a valid timestamp\","
      "\"zzz\":\"unknown field\"}", NULL },
    { "{\"need\":\"n\",\"updated_at\":\"ignored\"}", NULL, NULL },
    { "{\"need\":\"n\",\"one\":\"c\"}",
      "{\"one\":\"expected one of: a, b\"}", NULL },
    { "{\"need\":\"n\",\"notone\":\"a\"}",
      "{\"notone\":\"must not be one of: a, b\"}", NULL },
    { "{\"need\":\"n\",\"onenum\":2}",
      "{\"onenum\":\"expected one of: 1, 2.5\"}", NULL },
    { "{\"need\":\"n\",\"onenum\":2.5}", NULL, NULL },
    { "{\"need\":\"n\",\"gt\":0.5}",
      "{\"gt\":\"value must be greater than 0.5\"}", NULL },
    { "{\"need\":\"n\",\"range\":10}",
      "{\"range\":\"value should be between 1 and 9\"}", NULL },
    { "{\"need\":\"n\",\"regex\":\"(\"}",
      "{\"regex\":\"not a valid regex: (\"}", NULL },
    { "{\"need\":\"n\",\"min\":\"x\"}",
      "{\"min\":\"length must be at least 2\"}", NULL },
    { "{\"need\":\"n\",\"min\":\"xxxxx\"}",
      "{\"min\":\"length must be at most 4\"}", NULL },
    { "{\"need\":\"n\",\"empty\":\"\"}", NULL, NULL },
    { "{\"need\":\"n\",\"exact\":[\"a\"]}",
      "{\"exact\":\"length must be 2\"}", NULL },
    { "{\"need\":\"n\",\"starts\":\"x\"}",
      "{\"starts\":\"should start with: \\/\"}", NULL },
    { "{\"need\":\"n\",\"any\":\"axa\"}",
      "{\"any\":\"invalid value: axa\"}", NULL },
    { "{\"need\":\"n\",\"any\":\"ay\",\"none\":\"z\"}", NULL, NULL },
    { "{\"need\":\"n\",\"none\":\"azzb\"}",
      "{\"none\":\"invalid value: azzb\"}", NULL },
    { "{\"need\":\"n\",\"own\":\"b\"}", "{\"own\":\"own words\"}", NULL },
    { "{\"need\":\"n\",\"own\":1}", "{\"own\":\"expected a string\"}",
      NULL },
    { "{\"need\":\"n\",\"has\":[\"j\"]}",
      "{\"has\":\"expected to contain: k\"}", NULL },
    { "{\"need\":\"n\",\"has\":[\"j\",\"k\"]}", NULL, NULL },
    { "{\"need\":\"n\",\"even\":3}", "{\"even\":\"3 is odd\"}", NULL },
    { "{\"need\":\"n\",\"even\":42}", "{\"@entity\":[\"not 42\"]}",
      "schema violation (not 42)" },
    { "{\"need\":\"n\",\"never\":1}", "{\"never\":\"value must be null\"}",
      NULL },
    { "{\"need\":\"n\",\"never\":null}", NULL, NULL },

    /* arrays by position, maps as a whole */

    { "{\"need\":\"n\",\"list\":[\"a\",1,\"b\",\"B\",null]}",
      "{\"list\":[null,\"expected a string\",null,\"invalid value: B\","
      "\"required field missing\"]}",
      "3 schema violations (list.2: expected a string; list.4: invalid "
      "value: B; list.5: required field missing)" },
    { "{\"need\":\"n\",\"set\":[\"\",\"\"]}",
      "{\"set\":[\"length must be at least 1\"]}", NULL },
    { "{\"need\":\"n\",\"map\":{\"a\":1,\"B\":2,\"c\":\"x\"}}",
      "{\"map\":\"invalid value: B\"}", NULL },
    { "{\"need\":\"n\",\"map\":{\"a\":\"x\"}}",
      "{\"map\":\"expected an integer\"}", NULL },
    { "{\"need\":\"n\",\"map\":{\"a\":null}}",
      "{\"map\":\"required field missing\"}", NULL },
    { "{\"need\":\"n\",\"map\":[]}", NULL, NULL },
    { "{\"need\":\"n\",\"list\":{}}", NULL, NULL },
    { "{\"need\":\"n\",\"list\":{\"a\":1}}",
      "{\"list\":\"expected an array\"}", NULL },
    { "{\"need\":\"n\",\"record\":[]}", NULL, NULL },
    { "{\"need\":\"n\",\"record\":[1]}",
      "{\"record\":[\"unknown field\"]}", NULL },

    /* records */

    { "{\"need\":\"n\",\"record\":{\"p\":\"x\"}}",
      "{\"record\":{\"@entity\":[\"all or none of these fields must be set: "
      "'p', 'q'\"]}}",
      "schema violation (record.@entity: {\n  \"all or none of these "
      "fields must be set: 'p', 'q'\"\n})" },
    { "{\"need\":\"n\",\"record\":{\"inner\":{\"port\":\"x\",\"q\":1}}}",
      "{\"record\":{\"inner\":{\"port\":\"expected an integer\","
      "\"q\":\"unknown field\"}}}",
      "schema violation (record.inner: {\n  port = \"expected an "
      "integer\",\n  q = \"unknown field\"\n})" },
    { "{\"need\":\"n\",\"items\":[{},{\"port\":1.5}]}",
      "{\"items\":[null,{\"port\":\"expected an integer\"}]}",
      "schema violation (items.2: {\n  port = \"expected an integer\"\n})" },

    /* shorthands: their errors are not nested and come alone */

    { "{\"need\":\"n\",\"record\":{\"old_host\":1},\"num\":\"x\"}",
      "{\"old_host\":\"expected a string\"}", NULL },
    { "{\"need\":\"n\",\"record\":{\"old_host\":\"a\","
      "\"inner\":{\"host\":\"b\"}}}",
      "{\"old_host\":\"both deprecated and new field are used but their "
      "values mismatch: old_host = a vs inner.host = b\"}", NULL },
    { "{\"need\":\"n\",\"record\":{\"old_host\":\"a\","
      "\"inner\":{\"host\":\"a\"}}}", NULL, NULL },

    /* parents */

    { "{\"need\":\"n\",\"parent\":\"x\"}",
      "{\"parent\":{\"id\":\"missing primary key\"}}",
      "schema violation (parent.id: missing primary key)" },
    { "{\"need\":\"n\",\"parent\":{\"name\":\"x\"}}",
      "{\"parent\":{\"id\":\"missing primary key\"}}", NULL },
    { "{\"need\":\"n\",\"parent\":{\"nope\":\"x\"}}",
      "{\"parent\":{\"nope\":\"unknown field\"}}", NULL },
    { "{\"need\":\"n\",\"parent\":{\"id\":null}}",
      "{\"parent\":{\"id\":\"required field missing\"}}", NULL },
    { "{\"need\":\"n\",\"parent\":{\"id\":\"x\"}}",
      "{\"parent\":{\"id\":\"expected a valid UUID\"}}", NULL },
    { "{\"need\":\"n\",\"parent\":{\"id\":"
      "\"4726A05a-d550-537e-9fc3-a07c7a1188c7\",\"x\":1}}", NULL, NULL },

    /* across fields */

    { "{\"need\":\"n\",\"one\":\"b\",\"notone\":\"c\"}",
      "{\"@entity\":[\"only one or none of these fields must be set: "
      "'one', 'notone'\"]}", NULL },
    { "{\"need\":\"n\",\"starts\":\"\\/y\",\"any\":\"\\/y\"}",
      "{\"@entity\":[\"values of these fields must be distinct: "
      "'starts', 'any'\"]}", NULL },
    { "{\"need\":\"n\",\"one\":\"a\",\"num\":1}",
      "{\"record\":{\"inner\":{\"host\":\"required field missing\"}},"
      "\"@entity\":[\"failed conditional validation given value of field "
      "'one'\",\"no num\"],\"num\":\"value must be null\"}",
      "4 schema violations (failed conditional validation given value of "
      "field 'one'; no num; num: value must be null; record.inner: {\n  "
      "host = \"required field missing\"\n})" },
    { "{\"need\":null,\"flag\":null}",
      "{\"need\":\"required field missing\",\"@entity\":[\"at least one of "
      "these fields must be non-empty: 'need', 'flag'\"]}", NULL },

    /* references skip the constraints, not the type */

    { "{\"need\":\"n\",\"ref\":\"{vault://env/x}\"}", NULL, NULL },
    { "{\"need\":\"n\",\"ref\":\"{vault:/env/x}\"}",
      "{\"ref\":\"length must be at most 3\"}", NULL },
    { "{\"need\":\"n\",\"refs\":[\"{vault://env/x}\",\"1\",\"x\"]}",
      "{\"refs\":[null,null,\"invalid value: x\"]}", NULL },
    { "[]", "{\"@entity\":[\"expected a record\"]}", NULL }
};


static const schema_case_t  updates[] = {
    { "{}", NULL, NULL },
    { "{\"need\":null}",
      "{\"need\":\"required field missing\",\"@entity\":[\"when updating, at "
      "least one of these fields must be non-empty: 'need', 'flag'\"]}",
      NULL },
    { "{\"one\":\"b\"}",
      "{\"notone\":\"field required for entity check when updating\"}",
      NULL },
    { "{\"num\":1}",
      "{\"one\":\"field required for entity check when updating\"}", NULL }
};


static void
test_cases(void **state)
{
    (void) state;

    run_cases(cases, sizeof(cases) / sizeof(cases[0]), 0);
}


static void
test_updates(void **state)
{
    (void) state;

    run_cases(updates, sizeof(updates) / sizeof(updates[0]), 1);
}


static void
run_cases(const schema_case_t *list, size_t n, unsigned update)
{
    int            rc;
    size_t         i;
    value_t        v, errors;
    arena_t       *a;
    const char    *err;
    schema_ctx_t   ctx;

    for (i = 0; i < n; i++) {
        a = arena_new();
        memset(&ctx, 0, sizeof(schema_ctx_t));
        memset(&errors, 0, sizeof(value_t));
        ctx.arena = a;
        ctx.now = 1700000000.125;
        ctx.update = update;

        assert_int_equal(json_parse(a, list[i].in, strlen(list[i].in), &v,
                                    &err), 0);
        rc = schema_validate(&ctx, &t_schema, &v, &errors);

        if (list[i].fields == NULL) {
            assert_string_equal(json_print(a, &errors, NULL), "{}");
            assert_int_equal(rc, 0);

        } else {
            assert_int_equal(rc, -1);
            assert_string_equal(json_print(a, &errors, NULL),
                                list[i].fields);
        }

        if (list[i].message != NULL) {
            assert_string_equal(schema_error_message(a, &errors),
                                list[i].message);
        }

        arena_free(a);
    }
}


static void
test_defaults(void **state)
{
    value_t      v;
    arena_t     *a;
    const char  *text, *err;

    (void) state;

    a = arena_new();

    text = filled(a, "{\"need\":\"n\",\"list\":{},\"set\":[\"b\",\"a\",\"b\"]"
                     ",\"items\":[{}],\"record\":{\"old_host\":\"h\"},"
                     "\"parent\":{\"id\":"
                     "\"4726a05a-d550-537e-9fc3-a07c7a1188c7\",\"x\":1}}",
                  0);

    assert_int_equal(json_parse(a, text, strlen(text), &v, &err), 0);

    assert_true(uuid_is_valid(value_cstr(value_get(&v, "id")), 36));
    assert_int_equal(value_get(&v, "secret")->len, 32);
    assert_true(value_get(&v, "created_at")->u.number == 1700000000);
    assert_true(value_get(&v, "updated_at")->u.number == 1700000000.125);
    assert_string_equal(json_print(a, value_get(&v, "flag"), NULL), "true");
    assert_string_equal(json_print(a, value_get(&v, "num"), NULL), "null");
    assert_string_equal(json_print(a, value_get(&v, "list"), NULL), "[]");
    assert_string_equal(json_print(a, value_get(&v, "set"), NULL),
                        "[\"b\",\"a\"]");
    assert_string_equal(json_print(a, value_get(&v, "items"), NULL),
                        "[{\"host\":null,\"port\":6379}]");
    assert_string_equal(json_print(a, value_get(&v, "record"), NULL),
                        "{\"p\":null,\"q\":null,\"inner\":{\"host\":\"h\","
                        "\"port\":6379},\"maybe\":null}");
    assert_string_equal(json_print(a, value_get(&v, "parent"), NULL),
                        "{\"id\":\"4726a05a-d550-537e-9fc3-a07c7a1188c7\"}");

    /* a null that was given is no absence */

    text = filled(a, "{\"need\":\"n\",\"flag\":null,\"set\":null,"
                     "\"created_at\":null,\"id\":null,\"secret\":null}", 0);
    assert_int_equal(json_parse(a, text, strlen(text), &v, &err), 0);
    assert_true(value_is_null(value_get(&v, "flag")));
    assert_true(value_is_null(value_get(&v, "set")));
    assert_true(value_is_null(value_get(&v, "secret")));
    assert_false(value_is_null(value_get(&v, "created_at")));
    assert_false(value_is_null(value_get(&v, "id")));

    /* nothing is made up for a part of an entity but the time */

    assert_string_equal(filled(a, "{\"num\":1}", 1),
                        "{\"updated_at\":1700000000.125,\"num\":1}");

    arena_free(a);
}


/* of a parent only the id is kept, wherever it stands */

static void
test_parent(void **state)
{
    size_t       i;
    value_t      v;
    arena_t     *a;
    const char  *text, *err;

    static const char *const  parents[] = {
        "\"id\":\"4726a05a-d550-537e-9fc3-a07c7a1188c7\"",
        "\"a\":1,\"id\":\"4726a05a-d550-537e-9fc3-a07c7a1188c7\"",
        "\"a\":1,\"b\":2,\"id\":\"4726a05a-d550-537e-9fc3-a07c7a1188c7\"",
        "\"a\":1,\"id\":\"4726a05a-d550-537e-9fc3-a07c7a1188c7\",\"b\":2"
    };

    (void) state;

    for (i = 0; i < sizeof(parents) / sizeof(parents[0]); i++) {
        a = arena_new();
        text = filled(a, arena_printf(a, "{\"need\":\"n\",\"parent\":{%s}}",
                                      parents[i]), 0);

        assert_int_equal(json_parse(a, text, strlen(text), &v, &err), 0);
        assert_string_equal(json_print(a, value_get(&v, "parent"), NULL),
                            "{\"id\":"
                            "\"4726a05a-d550-537e-9fc3-a07c7a1188c7\"}");
        arena_free(a);
    }
}


/* errors of somebody else in the same object are no verdict */

static void
test_errors_kept(void **state)
{
    value_t        v, errors;
    arena_t       *a;
    const char    *err;
    schema_ctx_t   ctx;

    (void) state;

    a = arena_new();
    memset(&ctx, 0, sizeof(schema_ctx_t));
    memset(&errors, 0, sizeof(value_t));
    ctx.arena = a;

    schema_error(&ctx, &errors, "num", "old");
    json_parse(a, "{\"need\":\"n\"}", 12, &v, &err);
    assert_int_equal(schema_validate(&ctx, &t_schema, &v, &errors), 0);

    json_parse(a, "{\"need\":\"n\",\"num\":\"x\"}", 22, &v, &err);
    assert_int_equal(schema_validate(&ctx, &t_schema, &v, &errors), -1);
    assert_string_equal(json_print(a, &errors, NULL),
                        "{\"num\":\"expected a number\"}");

    arena_free(a);
}


/* what one entity does to its defaults must not show in the next */

static void
test_defaults_shared(void **state)
{
    value_t        one, two, errors;
    arena_t       *a;
    const char    *err;
    schema_ctx_t   ctx;

    (void) state;

    a = arena_new();
    memset(&ctx, 0, sizeof(schema_ctx_t));
    memset(&errors, 0, sizeof(value_t));
    ctx.arena = a;

    json_parse(a, "{\"need\":\"n\"}", 12, &one, &err);
    json_parse(a, "{\"need\":\"n\"}", 12, &two, &err);
    assert_int_equal(schema_validate(&ctx, &t_schema, &one, &errors), 0);
    value_set_bool(value_append(a, value_get(&one, "set")), true);
    value_put(a, value_path(&one, "record.inner"), "more");
    assert_int_equal(schema_validate(&ctx, &t_schema, &two, &errors), 0);
    assert_string_equal(json_print(a, value_get(&two, "set"), NULL),
                        "[\"d\"]");
    assert_null(value_path(&two, "record.inner.more"));

    arena_free(a);
}


/* filling twice changes nothing */

static void
test_idempotent(void **state)
{
    value_t        v, errors;
    arena_t       *a;
    const char    *err;
    char          *first;
    schema_ctx_t   ctx;

    (void) state;

    a = arena_new();
    memset(&ctx, 0, sizeof(schema_ctx_t));
    memset(&errors, 0, sizeof(value_t));
    ctx.arena = a;
    ctx.now = 5;

    json_parse(a, "{\"need\":\"n\"}", 12, &v, &err);
    assert_int_equal(schema_validate(&ctx, &t_schema, &v, &errors), 0);
    first = json_print(a, &v, NULL);
    assert_int_equal(schema_validate(&ctx, &t_schema, &v, &errors), 0);
    assert_string_equal(json_print(a, &v, NULL), first);

    arena_free(a);
}


static void
test_large_set(void **state)
{
    int            i;
    char          *text;
    value_t        v, errors, *set;
    arena_t       *a;
    schema_ctx_t   ctx;

    (void) state;

    a = arena_new();
    memset(&ctx, 0, sizeof(schema_ctx_t));
    memset(&v, 0, sizeof(value_t));
    memset(&errors, 0, sizeof(value_t));
    ctx.arena = a;
    value_set_object(&v);
    value_set_string(value_put(a, &v, "need"), "n", 1);
    set = value_put(a, &v, "set");
    value_set_array(set);

    for (i = 0; i < 100000; i++) {
        text = arena_printf(a, "m%d", i % 50000);
        value_set_string(value_append(a, set), text, strlen(text));
    }

    assert_int_equal(schema_validate(&ctx, &t_schema, &v, &errors), 0);
    assert_int_equal(value_get(&v, "set")->len, 50000);
    assert_true(value_str_eq(value_at(value_get(&v, "set"), 49999),
                             "m49999"));

    arena_free(a);
}


static void
test_error_paths(void **state)
{
    value_t        errors;
    arena_t       *a;
    schema_ctx_t   ctx;

    (void) state;

    a = arena_new();
    memset(&ctx, 0, sizeof(schema_ctx_t));
    memset(&errors, 0, sizeof(value_t));
    ctx.arena = a;

    schema_error(&ctx, &errors, "a.b.c", "deep %d", 1);
    schema_error(&ctx, &errors, "@entity", "one");
    schema_error(&ctx, &errors, "@entity", "two");
    schema_error(&ctx, &errors, "s", "whole");
    schema_error(&ctx, &errors, "s.part", "kept out");

    assert_string_equal(json_print(a, &errors, NULL),
                        "{\"a\":{\"b\":{\"c\":\"deep 1\"}},"
                        "\"@entity\":[\"one\",\"two\"],\"s\":\"whole\"}");
    assert_string_equal(schema_error_message(a, &errors),
                        "4 schema violations (one; two; a.b: {\n  "
                        "c = \"deep 1\"\n}; s: whole)");

    arena_free(a);
}


static void
test_lua_pattern(void **state)
{
    size_t  i;
    char    bomb[4097];

    static const struct {
        const char  *pattern;
        const char  *text;
        bool         found;
    } patterns[] = {
        { "^%u+$", "GET", true },
        { "^%u+$", "GeT", false },
        { "b", "abc", true },
        { "^b", "abc", false },
        { "c$", "abc", true },
        { "b$", "abc", false },
        { "a.c", "abc", true },
        { "^[a-z][a-z%d-]-[a-z%d]+$", "my-vault1", true },
        { "^[a-z][a-z%d-]-[a-z%d]+$", "my-vault-", false },
        { "^[a-z][a-z%d-]-[a-z%d]+$", "m", false },
        { "^[^*]*%*?[^*]*$", "*.com", true },
        { "^[^*]*%*?[^*]*$", "*.*.com", false },
        { "%w*%p*@+%w*%.?%w*", "me@x.org", true },
        { "%w*%p*@+%w*%.?%w*", "me", false },
        { "^[%a_-][%a%d_-]*$", "_x-9", true },
        { "^[]]$", "]", true },
        { "^[^]]$", "]", false },
        { "^%b()$", "(a(b)c)", true },
        { "^%b()$", "(a(b)c", false },
        { "%f[%w]on%f[%W]", "go on!", true },
        { "%f[%w]on%f[%W]", "gone on_", true },
        { "%f[%w]on%f[%W]", "gone", false },
        { "^(ab)-$", "ab-", true },
        { "^a?b$", "b", true },
        { "^%x%X%s%S%c$", "fg z\001", true },
        { "^[%-]$", "-", true },
        { "^[a-]$", "-", true },
        { "(a)%1", "aa", false },
        { "[", "[", false },
        { "%", "%", false },
        { "", "", true },
        { "$", "", true },
        { "a$b", "a$b", true }
    };

    (void) state;

    for (i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        assert_int_equal(lua_pattern_find(patterns[i].pattern,
                                          patterns[i].text,
                                          strlen(patterns[i].text)),
                         patterns[i].found);
    }

    /* exponential for a naive search */

    memset(bomb, 'a', 4096);
    bomb[4096] = '\0';
    assert_false(lua_pattern_find("^a*a*a*a*a*a*a*b$", bomb, 4096));
    assert_false(lua_pattern_find("a*a*a*a*a*b", bomb, 4096));
}


static char *
filled(arena_t *a, const char *in, unsigned update)
{
    value_t        v, errors;
    const char    *err;
    schema_ctx_t   ctx;

    memset(&ctx, 0, sizeof(schema_ctx_t));
    memset(&errors, 0, sizeof(value_t));
    ctx.arena = a;
    ctx.now = 1700000000.125;
    ctx.update = update;

    assert_int_equal(json_parse(a, in, strlen(in), &v, &err), 0);
    (void) schema_validate(&ctx, &t_schema, &v, &errors);

    return json_print(a, &v, NULL);
}


static const char *
check_even(schema_ctx_t *ctx, const field_t *f, const value_t *v)
{
    (void) f;

    if ((long) v->u.number % 2 == 0) {
        return NULL;
    }

    return arena_printf(ctx->arena, "%ld is odd", (long) v->u.number);
}


static void
check_custom(schema_ctx_t *ctx, value_t *record, value_t *errors)
{
    value_t  *v;

    v = value_get(record, "even");

    if (!value_is_null(v)) {

        /* fields with errors never get here */

        assert_int_equal((long) v->u.number % 2, 0);

        if (v->u.number == 42) {
            schema_error(ctx, errors, "@entity", "not 42");
        }
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_updates),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_parent),
        cmocka_unit_test(test_errors_kept),
        cmocka_unit_test(test_defaults_shared),
        cmocka_unit_test(test_idempotent),
        cmocka_unit_test(test_large_set),
        cmocka_unit_test(test_error_paths),
        cmocka_unit_test(test_lua_pattern)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
