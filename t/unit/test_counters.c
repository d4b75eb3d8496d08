/*
 * Counters of the policy cluster: the lines that the module gives; whatever
 * else comes must not reach a statement.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controld/counters/counters_rows.h"


#define ROUTE    "22222222-2222-4222-8222-222222222222"
#define SERVICE  "00000000-0000-0000-0000-000000000000"
#define ROW      "17 4294967295 3 86400 172800 " ROUTE " " SERVICE " 5 x6162"


static const char *const  bad[] = {
    ROW " -",                                    /* no end of the line */
    ROW "\n",
    ROW " x6162 x\n",
    ROW " 6162\n",
    ROW " x61g2\n",
    ROW " xAB\n",
    ROW " \n",
    "\n",
    " \n",
    " 2 3 4 5 a b 8 x x\n",
    "1 2 3 4 5 a b  x x\n",
    "1 2 6 4 5 a b 8 x x\n",                     /* no such period */
    "1 2 33 4 5 a b 8 x x\n",
    "1 2 - 4 5 a b 8 x x\n",
    "-1 2 3 4 5 a b 8 x x\n",
    "1 2 3 4 5 a\",\"b b 8 x x\n",
    "1 2 3 4 5 a} b 8 x x\n",
    "1 2 3 4 5 a NULL 8 x x\n",
    "1 2 3 4.5 5 a b 8 x x\n",
    "1 2 3 4 5 a b -8 x x\n",
    "1 2 3 4 5 a b 8 x'; x\n",
    "1 2 3 4 5 a b 8 x61,62 -\n",
    "1 2 3 4 5 a b 8 x61\t62 -\n",
};


static void
test_rows(void **state)
{
    char             text[1024];
    counters_row_t  *row;
    counters_rows_t  rows;

    (void) state;

    (void) snprintf(text, sizeof(text), "%s -\n%s x736d73\n%s x\n", ROW, ROW,
                    ROW);

    assert_int_equal(counters_rows_parse(&rows, text), 0);
    assert_int_equal(rows.n, 3);

    row = &rows.rows[0];
    assert_string_equal(row->place, "17");
    assert_string_equal(row->flight, "4294967295");
    assert_string_equal(row->period, "day");
    assert_string_equal(row->start, "86400");
    assert_string_equal(row->end, "172800");
    assert_string_equal(row->route, ROUTE);
    assert_string_equal(row->service, SERVICE);
    assert_string_equal(row->amount, "5");
    assert_string_equal(row->identifier, "6162");
    assert_null(row->name);
    assert_int_equal(row->sum, -1);

    assert_string_equal(rows.rows[1].name, "736d73");
    assert_string_equal(rows.rows[2].name, "");

    text[0] = '\0';
    assert_int_equal(counters_rows_parse(&rows, text), 0);
    assert_int_equal(rows.n, 0);
}


static void
test_bad(void **state)
{
    char             text[512];
    size_t           i;
    counters_rows_t  rows;

    (void) state;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        (void) snprintf(text, sizeof(text), "%s", bad[i]);
        assert_int_equal(counters_rows_parse(&rows, text), -1);

        /* behind a good one, too */
        (void) snprintf(text, sizeof(text), "%s -\n%s", ROW, bad[i]);
        assert_int_equal(counters_rows_parse(&rows, text), -1);
    }
}


static void
test_many(void **state)
{
    char             text[32768], *p;
    size_t           i;
    counters_rows_t  rows;

    (void) state;

    for (i = 0, p = text; i < COUNTERS_ROWS; i++) {
        p += sprintf(p, "%s -\n", ROW);
    }

    assert_int_equal(counters_rows_parse(&rows, text), 0);
    assert_int_equal(rows.n, COUNTERS_ROWS);

    for (i = 0, p = text; i <= COUNTERS_ROWS; i++) {
        p += sprintf(p, "%s -\n", ROW);
    }

    assert_int_equal(counters_rows_parse(&rows, text), -1);
}


int
main(void)
{
    static const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
