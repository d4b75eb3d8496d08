/*
 * Rows into entities, without a server: results are made by hand, as libpq
 * would hand them over.
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
#include "controld/source/rows.h"


#define OID_BOOL   16
#define OID_INT8   20
#define OID_TEXT   25
#define OID_TEXTS  1009
#define OID_TIME   1184
#define OID_UUID   2950
#define OID_JSONB  3802


typedef struct {
    const char  *table;
    const char  *column;
    Oid          type;
} column_t;

static const column_t  columns[] = {
    { "consumers", "id", OID_UUID },
    { "consumers", "username", OID_TEXT },
    { "consumers", "custom_id", OID_TEXT },
    { "consumers", "created_at", OID_TIME },
    { "consumers", "tags", OID_TEXTS },
    { "consumers", "ws_id", OID_UUID },
    { "plugins", "id", OID_UUID },
    { "plugins", "name", OID_TEXT },
    { "plugins", "consumer_id", OID_UUID },
    { "plugins", "config", OID_JSONB },
    { "plugins", "enabled", OID_BOOL },
    { "sm_vaults", "id", OID_UUID },
    { "other", "id", OID_UUID }
};


static PGresult *
result_new(int n_columns)
{
    int            i;
    PGresult      *res;
    PGresAttDesc   attrs[16];

    memset(attrs, 0, sizeof(attrs));

    for (i = 0; i < n_columns; i++) {
        attrs[i].name = (char *) "x";
        attrs[i].format = 1;
    }

    res = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    assert_int_equal(PQsetResultAttrs(res, n_columns, attrs), 1);

    return res;
}


static void
set(PGresult *res, int row, int column, const void *data, int len)
{
    assert_int_equal(PQsetvalue(res, row, column, (char *) data, len), 1);
}


static void
set_id(PGresult *res, int row, int column, uint8_t n)
{
    uint8_t  id[16];

    memset(id, n, sizeof(id));
    set(res, row, column, id, sizeof(id));
}


static rows_plan_t *
plan_new(void)
{
    char          type[16];
    size_t        i;
    PGresult     *res;
    rows_plan_t  *plan;

    res = result_new(3);

    for (i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        (void) snprintf(type, sizeof(type), "%u", columns[i].type);
        set(res, (int) i, 0, columns[i].table,
            (int) strlen(columns[i].table));
        set(res, (int) i, 1, columns[i].column,
            (int) strlen(columns[i].column));
        set(res, (int) i, 2, type, (int) strlen(type));
    }

    plan = rows_plan(res);
    PQclear(res);

    return plan;
}


/* id, id, created_at, username, custom_id, tags in the schema's order */
static void
consumer(PGresult *res, int row, uint8_t n, const char *name)
{
    static const uint8_t  time[8] = { 0, 0, 0, 0, 0, 0x2d, 0xc6, 0xc0 };
    static const uint8_t  tags[] = {
        0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 25, 0, 0, 0, 2, 0, 0, 0, 1,
        0, 0, 0, 1, 'a', 0, 0, 0, 2, 'b', 'c'
    };

    set_id(res, row, 0, n);
    set_id(res, row, 1, n);
    set(res, row, 2, time, sizeof(time));
    set(res, row, 3, name, (int) strlen(name));
    set(res, row, 4, "", 0);
    set(res, row, 5, tags, sizeof(tags));
}


static void
test_plan(void **state)
{
    rows_plan_t  *plan;

    (void) state;

    plan = plan_new();

    assert_true(plan->kinds[rows_kind("consumers")].present);
    assert_false(plan->kinds[rows_kind("routes")].present);
    assert_int_equal(rows_kind("other"), -1);
    assert_non_null(strstr(plan->kinds[rows_kind("plugins")].sql,
                           "\"consumer_id\""));
    assert_null(strstr(plan->kinds[rows_kind("consumers")].sql, "ws_id"));
    assert_string_equal(plan->kinds[rows_kind("sm_vaults")].schema->name,
                        "vaults");

    arena_free(plan->arena);
}


/* the position of a field in a SELECT, the id in front not counted */
static int
at(const rows_plan_t *plan, const char *table, const char *field)
{
    int                  n;
    unsigned             i;
    const rows_kind_t   *k;

    k = &plan->kinds[rows_kind(table)];

    for (i = 0, n = 1; i < k->n; i++) {
        if (k->columns[i].type == 0) {
            continue;
        }

        if (strcmp(k->columns[i].field->name, field) == 0) {
            return n;
        }

        n++;
    }

    fail();

    return 0;
}


static void
test_read(void **state)
{
    value_t        v;
    arena_t       *a;
    PGresult      *res;
    uint64_t       sum[2], other[2];
    rows_plan_t   *plan;
    rows_kind_t   *k;

    (void) state;

    a = arena_new();
    plan = plan_new();
    k = &plan->kinds[rows_kind("consumers")];

    assert_int_equal(at(plan, "consumers", "id"), 1);
    assert_int_equal(at(plan, "consumers", "created_at"), 2);
    assert_int_equal(at(plan, "consumers", "username"), 3);
    assert_int_equal(at(plan, "consumers", "custom_id"), 4);
    assert_int_equal(at(plan, "consumers", "tags"), 5);

    res = result_new(6);
    consumer(res, 0, 7, "bob");
    consumer(res, 1, 7, "bo");

    assert_null(rows_read(a, k, res, 0, &v));
    assert_true(value_str_eq(value_get(&v, "id"),
                             "07070707-0707-0707-0707-070707070707"));
    assert_true(value_str_eq(value_get(&v, "username"), "bob"));
    assert_int_equal(value_get(&v, "custom_id")->kind, VALUE_NULL);
    assert_int_equal(value_get(&v, "tags")->len, 2);
    assert_true(value_str_eq(value_at(value_get(&v, "tags"), 1), "bc"));

    /* three seconds after the year 2000 began */
    assert_true(value_get(&v, "created_at")->u.number == 946684803);

    rows_sum(k, res, 0, sum);
    rows_sum(k, res, 1, other);
    assert_memory_not_equal(sum, other, sizeof(sum));

    /* lengths that lie */
    set(res, 1, 5, "\0\0\0\1\0\0\0\0\0\0\0\31\0\0\0\2\0\0\0\1\0\0\1\0", 24);
    assert_non_null(rows_read(a, k, res, 1, &v));
    set(res, 1, 5, "\0\0\0\2", 4);
    assert_non_null(rows_read(a, k, res, 1, &v));

    PQclear(res);
    arena_free(plan->arena);
    arena_free(a);
}


static size_t
count(const config_t *c, const char *entity)
{
    return config_table(c, entity)->n;
}


static void
whole(rows_batch_t *b, rows_plan_t *plan, PGresult *res)
{
    int  i;

    memset(b, 0, sizeof(*b));
    b->plan = plan;

    for (i = 0; i < ROWS_KINDS; i++) {
        b->given[i].whole = 1;
    }

    b->given[rows_kind("consumers")].result = res;
}


static void
test_mirror(void **state)
{
    int               kind, i;
    size_t            n;
    rows_t           *one, *two;
    arena_t          *a;
    config_t         *c, *d;
    PGresult         *res;
    const value_t    *kept;
    rows_plan_t      *plan;
    rows_batch_t      b;
    compile_aside_t  *broken;

    (void) state;

    a = arena_new();
    plan = plan_new();
    kind = rows_kind("consumers");

    /* in no order; one of them is no consumer */
    res = result_new(6);
    consumer(res, 0, 9, "nine");
    consumer(res, 1, 2, "");
    consumer(res, 2, 5, "five");
    whole(&b, plan, res);
    one = rows_make(&b, a);
    c = rows_config(one, &b, a, &broken, &n);

    assert_int_equal(count(c, "consumers"), 2);
    assert_int_equal(n, 1);
    assert_string_equal(broken[0].entity, "consumers");
    assert_non_null(broken[0].reason);
    assert_true(value_str_eq(value_get(
        config_table(c, "consumers")->rows[0], "username"), "five"));
    kept = config_by_key(c, "consumers", "nine", 4);
    assert_non_null(kept);
    rows_batch_clear(&b);

    /* one is deleted, one is new, one is repaired, one was not asked for */
    memset(&b, 0, sizeof(b));
    b.plan = plan;
    b.base = one;
    assert_int_equal(rows_batch_id(&b, kind,
        "05050505-0505-0505-0505-050505050505", 36), 0);
    assert_int_equal(rows_batch_id(&b, kind,
        "01010101-0101-0101-0101-010101010101", 36), 0);
    assert_int_equal(rows_batch_id(&b, kind,
        "02020202-0202-0202-0202-020202020202", 36), 0);
    assert_int_equal(rows_batch_id(&b, kind,
        "05050505-0505-0505-0505-050505050505", 36), 0);
    rows_batch_sort(&b);
    assert_int_equal(b.given[kind].n_ids, 3);

    res = result_new(6);
    consumer(res, 0, 2, "two");
    consumer(res, 1, 1, "one");
    b.given[kind].result = res;

    two = rows_make(&b, a);
    d = rows_config(two, &b, a, &broken, &n);
    assert_int_equal(n, 0);
    assert_int_equal(count(d, "consumers"), 3);
    assert_int_equal(count(c, "consumers"), 2);
    assert_null(config_by_key(d, "consumers", "five", 4));
    assert_ptr_equal(config_by_key(d, "consumers", "nine", 4), kept);
    assert_string_not_equal(c->hash, d->hash);
    rows_batch_clear(&b);

    /* the first is gone, the second stands by itself */
    config_free(c);
    rows_put(one);
    assert_true(value_str_eq(value_get(kept, "username"), "nine"));

    /* many small changes: blocks are folded, rows stay */
    for (i = 0; i < 200; i++) {
        memset(&b, 0, sizeof(b));
        b.plan = plan;
        b.base = two;
        (void) rows_batch_id(&b, kind, "01010101-0101-0101-0101-010101010101",
                             36);
        res = result_new(6);
        consumer(res, 0, 1, (i & 1) ? "odd" : "even");
        b.given[kind].result = res;
        one = rows_make(&b, a);
        rows_batch_clear(&b);
        rows_put(two);
        two = one;
    }

    config_free(d);

    d = rows_config(two, &b, a, &broken, &n);
    assert_int_equal(count(d, "consumers"), 3);
    assert_non_null(config_by_key(d, "consumers", "odd", 3));
    assert_non_null(config_by_key(d, "consumers", "nine", 4));
    rows_put(two);
    assert_non_null(config_by_key(d, "consumers", "two", 3));
    config_free(d);

    arena_free(plan->arena);
    arena_free(a);
}


/* what an older version stored: unknown members, nulls, missing members */
static void
test_clean(void **state)
{
    arena_t         *a;
    value_t          v;
    const char      *err, *text;
    schema_ctx_t     ctx;
    const schema_t  *s;

    (void) state;

    a = arena_new();
    memset(&ctx, 0, sizeof(ctx));
    ctx.arena = a;
    ctx.database = 1;
    ctx.router_flavor = "traditional_compatible";

    text = "{\"name\":\"key-auth\",\"config\":{\"key_names\":null,"
           "\"what\":1,\"hide_credentials\":true}}";
    assert_int_equal(json_parse(a, text, strlen(text), &v, &err), 0);

    s = schema_find("plugins");
    rows_clean(&ctx, s, &v);

    assert_null(value_path(&v, "config.what"));
    assert_null(value_path(&v, "config.key_names"));
    assert_non_null(value_path(&v, "config.hide_credentials"));

    schema_fill_defaults(&ctx, s, &v);
    assert_true(value_str_eq(value_at(value_path(&v, "config.key_names"), 0),
                             "apikey"));
    arena_free(a);
}


/* a row's name says how often it has been written; 0: there is none,
 * a multiple of 7: it has no name, and is set aside */
#define MANY   4000

static int  model[MANY];


static void
many_row(PGresult *res, int *row, int i)
{
    char     name[32];
    uint8_t  id[16];

    memset(id, 0, sizeof(id));
    id[0] = (uint8_t) (i >> 8);
    id[1] = (uint8_t) i;

    (void) snprintf(name, sizeof(name), "c%d-%d", i, model[i]);
    consumer(res, *row, 1, (model[i] % 7 == 0) ? "" : name);
    set(res, *row, 0, id, sizeof(id));
    set(res, (*row)++, 1, id, sizeof(id));
}


/* everything that a configuration says is what the model says */
static void
many_same(const config_t *c, size_t n_broken)
{
    int                    i;
    char                   id[40], name[32];
    size_t                 n, bad;
    const value_t         *v;
    const config_table_t  *t;

    t = config_table(c, "consumers");

    for (i = 0, n = 0, bad = 0; i < MANY; i++) {
        (void) snprintf(id, sizeof(id),
                        "%04x0000-0000-0000-0000-000000000000", i);
        (void) snprintf(name, sizeof(name), "c%d-%d", i, model[i]);
        v = config_by_id(c, "consumers", id, 36);

        if (model[i] == 0 || model[i] % 7 == 0) {
            bad += (model[i] != 0);
            assert_null(v);
            continue;
        }

        assert_non_null(v);
        assert_ptr_equal(v, t->rows[n]);
        assert_ptr_equal(v, t->ascending[n++]);
        assert_true(value_str_eq(value_get(v, "username"), name));
        assert_ptr_equal(v, config_by_key(c, "consumers", name,
                                          strlen(name)));
    }

    assert_int_equal(t->n, n);
    assert_int_equal(n_broken, bad);
}


/* a walk of batches, some of all rows, of many or of few, beside the model;
 * in the end a mirror that is read anew is the same */
static void
test_many(void **state)
{
    int               i, k, n, kind, row;
    char              id[40], hash[33];
    size_t            n_broken;
    rows_t           *now, *next;
    arena_t          *a;
    config_t         *c, *before;
    rows_plan_t      *plan;
    rows_batch_t      b;
    compile_aside_t  *broken;

    (void) state;

    plan = plan_new();
    kind = rows_kind("consumers");
    now = NULL;
    before = NULL;
    memset(model, 0, sizeof(model));
    srand(4711);

    for (k = 0; k < 5000; k++) {
        a = arena_new();
        memset(&b, 0, sizeof(b));
        b.plan = plan;
        b.base = now;

        n = (k % 400 == 0) ? 3000 : rand() % ((k % 50 == 0) ? 500 : 6);

        for (i = 0; i < n; i++) {
            row = (rand() % 4 == 0) ? (k * 13 + i) % MANY : rand() % MANY;
            model[row] = (rand() % 3 == 0) ? 0 : model[row] + 1 + rand() % 9;
            (void) snprintf(id, sizeof(id),
                            "%04x0000-0000-0000-0000-000000000000", row);
            assert_int_equal(rows_batch_id(&b, kind, id, 36), 0);
        }

        rows_batch_sort(&b);
        b.given[kind].result = result_new(6);
        row = 0;

        if (k % 1000 == 0) {
            free(b.given[kind].ids);
            whole(&b, plan, b.given[kind].result);
            b.base = now;

            for (i = MANY - 1; i >= 0; i--) {
                if (model[i] != 0) {
                    many_row(b.given[kind].result, &row, i);
                }
            }

        } else {
            for (i = 0; i < (int) b.given[kind].n_ids; i++) {
                n = b.given[kind].ids[i][0] << 8 | b.given[kind].ids[i][1];

                if (model[n] != 0) {
                    many_row(b.given[kind].result, &row, n);
                }
            }
        }

        next = rows_make(&b, a);
        c = rows_config(next, &b, a, &broken, &n_broken);

        if (k % 20 == 0) {
            many_same(c, n_broken);
        }

        rows_batch_clear(&b);
        config_free(before);
        rows_put(now);
        arena_free(a);
        before = c;
        now = next;
    }

    (void) memcpy(hash, before->hash, sizeof(hash));
    config_free(before);
    rows_put(now);

    a = arena_new();
    b.given[kind].result = result_new(6);
    whole(&b, plan, b.given[kind].result);

    for (i = 0, row = 0; i < MANY; i++) {
        if (model[i] != 0) {
            many_row(b.given[kind].result, &row, i);
        }
    }

    now = rows_make(&b, a);
    c = rows_config(now, &b, a, &broken, &n_broken);
    many_same(c, n_broken);
    assert_string_equal(c->hash, hash);

    rows_batch_clear(&b);
    config_free(c);
    rows_put(now);
    arena_free(a);
    arena_free(plan->arena);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_plan),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_mirror),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_clean)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
