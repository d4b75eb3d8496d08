/*
 * Vault references: what is one, its parts, and what it resolves to.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controld/source/declarative.h"
#include "controld/source/vault.h"


typedef struct {
    const char  *text;
    const char  *name;           /* NULL: refused */
    const char  *resource;
    const char  *key;
    const char  *version;
} parse_case_t;

typedef struct {
    const char  *text;
    const char  *expect;         /* NULL: cannot be resolved */
} resolve_case_t;


static const parse_case_t  parses[] = {
    { "{vault://env/a}", "env", "a", NULL, NULL },
    { "{vault://env/a/b}", "env", "a", "b", NULL },
    { "{vault://env/a/b/c}", "env", "a/b", "c", NULL },
    { "{vault://env/a/b/}", "env", "a/b", NULL, NULL },
    { "{vault://env/a%2Fb}", "env", "a/b", NULL, NULL },
    { "{vault://my-env/a#2}", "my-env", "a", NULL, "2" },
    { "{vault://env/a?prefix=X_#1}", "env", "a", NULL, "1" },
    { "{vault://env}", NULL, NULL, NULL, NULL },
    { "{vault://env/}", NULL, NULL, NULL, NULL },
    { "{vault:///a}", NULL, NULL, NULL, NULL },
    { "{vault://}", NULL, NULL, NULL, NULL },
    { "{vault://env/a", NULL, NULL, NULL, NULL },
    { "vault://env/a", NULL, NULL, NULL, NULL },
    { "", NULL, NULL, NULL, NULL },
};

static const resolve_case_t  resolves[] = {
    { "{vault://env/kong-test-secret}", "plain" },
    { "{vault://env/secret?prefix=kong_test_}", "plain" },
    { "{vault://env/kong-test-json/user}", "joe" },
    { "{vault://env/kong-test-json/port}", "81" },
    { "{vault://mine/secret}", "plain" },
    { "{vault://mine/json/user}", "joe" },
    { "{vault://mine/x?prefix=KONG_TEST_SECRET_}", "other" },
    { "{vault://env/kong-test-json/none}", NULL },
    { "{vault://env/kong-test-secret/key}", NULL },
    { "{vault://env/kong-test-unset}", NULL },
    { "{vault://other/kong-test-secret}", NULL },
    { "{vault://env}", NULL },
};

static const char  document[] =
    "_format_version: '3.0'\n"
    "vaults: [{prefix: mine, name: env, config: {prefix: KONG_TEST_}}]\n";


static void
test_parse(void **state)
{
    size_t               i;
    arena_t             *a;
    const char          *err;
    const parse_case_t  *t;
    vault_reference_t    ref;

    (void) state;

    a = arena_new();

    for (i = 0; i < sizeof(parses) / sizeof(parses[0]); i++) {
        t = &parses[i];

        if (t->name == NULL) {
            assert_int_equal(vault_parse(a, t->text, strlen(t->text), &ref,
                                         &err), -1);
            continue;
        }

        assert_int_equal(vault_parse(a, t->text, strlen(t->text), &ref,
                                     &err), 0);
        assert_string_equal(ref.name, t->name);
        assert_string_equal(ref.resource, t->resource);
        assert_int_equal(ref.key == NULL, t->key == NULL);
        assert_int_equal(ref.version == NULL, t->version == NULL);

        if (t->key != NULL) {
            assert_string_equal(ref.key, t->key);
        }

        if (t->version != NULL) {
            assert_string_equal(ref.version, t->version);
        }
    }

    arena_free(a);
}


static void
test_resolve(void **state)
{
    size_t                 i;
    arena_t               *a;
    config_t              *c;
    const char            *got, *err;
    declarative_errors_t   errors;

    (void) state;

    setenv("KONG_TEST_SECRET", "plain", 1);
    setenv("KONG_TEST_SECRET_X", "other", 1);
    setenv("KONG_TEST_JSON", "{\"user\":\"joe\",\"port\":81}", 1);

    a = arena_new();
    c = declarative_load(a, document, strlen(document), DECLARATIVE_YAML,
                         NULL, &errors);
    assert_non_null(c);

    for (i = 0; i < sizeof(resolves) / sizeof(resolves[0]); i++) {
        got = vault_resolve(a, c, resolves[i].text,
                            strlen(resolves[i].text), &err);

        if (resolves[i].expect == NULL) {
            assert_null(got);
            assert_non_null(strstr(err, "unable to resolve reference"));
            assert_null(strstr(err, "joe"));
            continue;
        }

        assert_non_null(got);
        assert_string_equal(got, resolves[i].expect);
    }

    config_free(c);
    arena_free(a);
}


int
main(void)
{
    static const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_resolve),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
