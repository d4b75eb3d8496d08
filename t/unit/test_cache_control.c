/*
 * Cache-Control headers, good and bad.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ngx_kong_module/plugins/kong_cache_control.h"


typedef struct {
    const char  *text;
    unsigned     flags;              /* see FLAG_* */
    long         max_age;
    long         s_maxage;
    long         max_stale;
    long         min_fresh;
} cache_case_t;

#define FLAG_NO_STORE   0x1
#define FLAG_NO_CACHE   0x2
#define FLAG_PRIVATE    0x4
#define FLAG_ONLY       0x8

#define NONE  KONG_CACHE_NONE
#define ANY   KONG_CACHE_ANY


static const cache_case_t  cases[] = {
    { "", 0, NONE, NONE, NONE, NONE },
    { "public", 0, NONE, NONE, NONE, NONE },
    { "no-store", FLAG_NO_STORE, NONE, NONE, NONE, NONE },
    { "No-Cache, PRIVATE", FLAG_NO_CACHE | FLAG_PRIVATE, NONE, NONE, NONE,
      NONE },
    { "only-if-cached", FLAG_ONLY, NONE, NONE, NONE, NONE },
    { "max-age=60", 0, 60, NONE, NONE, NONE },
    { " ,, max-age=60 ,s-maxage=\"70\",", 0, 60, 70, NONE, NONE },
    { "max-age=1, max-age=2", 0, 2, NONE, NONE, NONE },
    { "max-age", 0, NONE, NONE, NONE, NONE },
    { "max-age=", 0, NONE, NONE, NONE, NONE },
    { "max-age=-1", 0, NONE, NONE, NONE, NONE },
    { "max-age=x1", 0, NONE, NONE, NONE, NONE },
    { "max-age=99999999999999999999", 0, ANY, NONE, NONE, NONE },
    { "max-stale", 0, NONE, NONE, ANY, NONE },
    { "max-stale=5, min-fresh=6", 0, NONE, NONE, 5, 6 },
    { "private=\"a, no-store\", no-cache=\"b", FLAG_PRIVATE | FLAG_NO_CACHE,
      NONE, NONE, NONE, NONE },
    { "no-storex, xno-store, no-stor", 0, NONE, NONE, NONE, NONE },
    { "=, ==, \"\", max-age=\"", 0, NONE, NONE, NONE, NONE },
    { NULL, 0, 0, 0, 0, 0 }
};


static void
test_cases(void **state)
{
    unsigned               flags;
    const cache_case_t    *c;
    kong_cache_control_t   cc;

    (void) state;

    for (c = cases; c->text != NULL; c++) {
        kong_cache_control_init(&cc);
        kong_cache_control_parse(&cc, c->text, strlen(c->text));

        flags = (cc.no_store ? FLAG_NO_STORE : 0)
                | (cc.no_cache ? FLAG_NO_CACHE : 0)
                | (cc.private ? FLAG_PRIVATE : 0)
                | (cc.only_if_cached ? FLAG_ONLY : 0);

        if (flags != c->flags || cc.max_age != c->max_age
            || cc.s_maxage != c->s_maxage || cc.max_stale != c->max_stale
            || cc.min_fresh != c->min_fresh)
        {
            fail_msg("'%s': flags %x, max-age %ld, s-maxage %ld, max-stale "
                     "%ld, min-fresh %ld", c->text, flags, cc.max_age,
                     cc.s_maxage, cc.max_stale, cc.min_fresh);
        }
    }
}


static void
test_lines(void **state)
{
    kong_cache_control_t  cc;

    (void) state;

    kong_cache_control_init(&cc);
    kong_cache_control_parse(&cc, "max-age=1", 9);
    kong_cache_control_parse(&cc, "no-store", 8);

    assert_int_equal(cc.max_age, 1);
    assert_true(cc.no_store);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_lines)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
