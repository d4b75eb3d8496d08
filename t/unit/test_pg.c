/*
 * test_pg: host lists and what the settings tell libpq, without a server.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controld/pg/pg.h"
#include "controld/pg/pg_plans.h"


static conf_t *test_conf(arena_t *a, const char *const *names);
static const char *test_option(const PGconn *conn, const char *name,
    char *buf, size_t size);


static void
test_hosts(void **state)
{
    size_t          i, k;
    arena_t        *a;
    const char     *err;
    pg_settings_t   s;

    static const struct {
        const char  *text;
        size_t       n;                  /* 0: refused */
        pg_host_t    hosts[3];
    } cases[] = {
        { "a", 1, { { "a", "5" } } },
        { "a:1", 1, { { "a", "1" } } },
        { "a:1,b", 2, { { "a", "1" }, { "b", "5" } } },
        { " a:1 , b:65535 ,", 2, { { "a", "1" }, { "b", "65535" } } },
        { "10.0.0.1:1,[::1]:2,::1", 3,
          { { "10.0.0.1", "1" }, { "::1", "2" }, { "::1", "5" } } },
        { "[fe80::1%lo]", 1, { { "fe80::1%lo", "5" } } },
        { "/run/postgresql", 1, { { "/run/postgresql", "5" } } },
        { "", 0, { { NULL, NULL } } },
        { " , ", 0, { { NULL, NULL } } },
        { "a:", 0, { { NULL, NULL } } },
        { ":1", 0, { { NULL, NULL } } },
        { "a:0", 0, { { NULL, NULL } } },
        { "a:65536", 0, { { NULL, NULL } } },
        { "a:1x", 0, { { NULL, NULL } } },
        { "a:-1", 0, { { NULL, NULL } } },
        { "[]:1", 0, { { NULL, NULL } } },
        { "[::1", 0, { { NULL, NULL } } },
        { "[::1]1", 0, { { NULL, NULL } } },
        { "[::1]:", 0, { { NULL, NULL } } },
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        a = arena_new();
        memset(&s, 0, sizeof(s));
        err = NULL;

        if (cases[i].n == 0) {
            assert_int_equal(pg_hosts(a, cases[i].text, "5", &s, &err), -1);
            assert_non_null(err);
            arena_free(a);
            continue;
        }

        assert_int_equal(pg_hosts(a, cases[i].text, "5", &s, &err), 0);
        assert_int_equal(s.n_hosts, cases[i].n);

        for (k = 0; k < s.n_hosts; k++) {
            assert_string_equal(s.hosts[k].name, cases[i].hosts[k].name);
            assert_string_equal(s.hosts[k].port, cases[i].hosts[k].port);
        }

        arena_free(a);
    }
}


static void
test_too_many_hosts(void **state)
{
    char            text[1024];
    size_t          i;
    arena_t        *a;
    const char     *err;
    pg_settings_t   s;

    (void) state;

    a = arena_new();
    text[0] = '\0';

    for (i = 0; i < 65; i++) {
        strcat(text, "h,");
    }

    assert_int_equal(pg_hosts(a, text, "5", &s, &err), -1);
    assert_string_equal(err, "pg_host names more than 64 hosts");

    arena_free(a);
}


static void
test_settings(void **state)
{
    arena_t        *a;
    conf_t         *c;
    const char     *err;
    pg_settings_t   s;

    static const char *const  names[] = {
        "database", "postgres", "pg_host", "a:1,b", "pg_port", "6000",
        "pg_user", "u", "pg_timeout", "2500", "pg_ro_host", "r",
        "pg_ro_port", "7000", NULL
    };

    (void) state;

    a = arena_new();
    c = test_conf(a, names);

    assert_int_equal(pg_settings(a, c, 0, &s, &err), 0);
    assert_int_equal(s.n_hosts, 2);
    assert_string_equal(s.hosts[0].port, "1");
    assert_string_equal(s.hosts[1].port, "6000");
    assert_string_equal(s.user, "u");
    assert_string_equal(s.database, "kong");
    assert_null(s.password);
    assert_null(s.schema);
    assert_string_equal(s.sslmode, "disable");
    assert_true(s.timeout == 2.5);
    assert_false(s.replica);

    /* what pg_ro_* does not say is pg_*'s */

    assert_int_equal(pg_settings(a, c, 1, &s, &err), 0);
    assert_int_equal(s.n_hosts, 1);
    assert_string_equal(s.hosts[0].name, "r");
    assert_string_equal(s.hosts[0].port, "7000");
    assert_string_equal(s.user, "u");
    assert_true(s.timeout == 2.5);
    assert_true(s.replica);

    arena_free(a);
}


static void
test_tls(void **state)
{
    size_t          i;
    arena_t        *a;
    conf_t         *c;
    const char     *err;
    pg_settings_t   s;

    static const struct {
        const char  *names[12];
        int          replica;
        const char  *mode;
    } cases[] = {
        { { "pg_ssl", "off", "pg_ssl_verify", "on", NULL }, 0, "disable" },
        { { "pg_ssl", "on", NULL }, 0, "require" },
        { { "pg_ssl", "on", "pg_ssl_verify", "on", NULL }, 0, "verify-full" },
        { { "pg_ssl", "on", "pg_ssl_verify", "on",
            "lua_ssl_trusted_certificate", "/dev/null", NULL }, 0,
          "verify-ca" },
        { { "pg_ssl", "on", "pg_ro_host", "r", NULL }, 1, "require" },
        { { "pg_ssl", "on", "pg_ro_host", "r", "pg_ro_ssl", "off", NULL }, 1,
          "disable" },
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        a = arena_new();
        c = test_conf(a, cases[i].names);

        assert_int_equal(pg_settings(a, c, cases[i].replica, &s, &err), 0);
        assert_string_equal(s.sslmode, cases[i].mode);

        arena_free(a);
    }
}


/* names are names: what looks like a connection string is none */
static void
test_start(void **state)
{
    char            buf[128];
    PGconn         *conn;
    arena_t        *a;
    const char     *err;
    pg_settings_t   s;

    (void) state;

    a = arena_new();
    memset(&s, 0, sizeof(s));
    assert_int_equal(pg_hosts(a, "127.0.0.1:1", "5", &s, &err), 0);

    s.user = "u' host=evil";
    s.password = "p w";
    s.database = "host=evil dbname=x";
    s.sslmode = "disable";

    conn = pg_start(&s, 0, "127.0.0.1");
    assert_non_null(conn);

    assert_string_equal(test_option(conn, "host", buf, sizeof(buf)),
                        "127.0.0.1");
    assert_string_equal(test_option(conn, "port", buf, sizeof(buf)), "1");
    assert_string_equal(test_option(conn, "user", buf, sizeof(buf)),
                        "u' host=evil");
    assert_string_equal(test_option(conn, "password", buf, sizeof(buf)),
                        "p w");
    assert_string_equal(test_option(conn, "dbname", buf, sizeof(buf)),
                        "host=evil dbname=x");
    assert_string_equal(test_option(conn, "application_name", buf,
                                    sizeof(buf)), "kong");

    PQfinish(conn);
    arena_free(a);
}


static void
test_refused(void **state)
{
    arena_t        *a;
    const char     *err;
    pg_settings_t   s;

    (void) state;

    a = arena_new();
    memset(&s, 0, sizeof(s));
    assert_int_equal(pg_hosts(a, "127.0.0.1:1", "5", &s, &err), 0);

    s.user = "u";
    s.database = "d";
    s.sslmode = "disable";
    s.timeout = 3;

    assert_null(pg_open(a, &s, 0, &err));
    assert_string_equal(err, "[PostgreSQL error] failed to retrieve "
                        "PostgreSQL server_version_num: connection refused");

    assert_int_equal(pg_hosts(a, "127.0.0.1:1,127.0.0.1:2", "5", &s, &err),
                     0);
    assert_null(pg_open(a, &s, 0, &err));
    assert_non_null(strstr(err, "127.0.0.1:1: connection refused; "
                                "127.0.0.1:2: connection refused"));

    pg_close(NULL);
    arena_free(a);
}


static conf_t *
test_conf(arena_t *a, const char *const *names)
{
    conf_t            *c;
    value_t           *errors;
    conf_overrides_t   overrides;

    overrides.names = names;
    c = conf_load(a, "/dev/null", &overrides, &errors);
    assert_non_null(c);

    return c;
}


static const char *
test_option(const PGconn *conn, const char *name, char *buf, size_t size)
{
    PQconninfoOption  *options, *o;

    options = PQconninfo((PGconn *) conn);
    assert_non_null(options);
    buf[0] = '\0';

    for (o = options; o->keyword != NULL; o++) {
        if (strcmp(o->keyword, name) == 0 && o->val != NULL) {
            assert_true(strlen(o->val) < size);
            strcpy(buf, o->val);
        }
    }

    PQconninfoFree(options);

    return buf;
}


/* a text is found again; beyond the room there are none; cleared ones get
 * names that the server has never heard of */
static void
test_plans(void **state)
{
    int          i, n;
    char         sql[32], name[PG_PLAN_NAME];
    arena_t     *a;
    pg_plan_t   *plan, *first;
    pg_plans_t  *p;

    (void) state;

    a = arena_new();
    p = pg_plans_new(a);
    n = 0;
    first = NULL;

    for (i = 0; i < 1000; i++) {
        (void) snprintf(sql, sizeof(sql), "SELECT %d", i);
        plan = pg_plans_find(p, sql);

        if (plan == NULL) {
            continue;
        }

        if (i == 0) {
            first = plan;
        }

        n++;
        assert_string_equal(plan->sql, sql);
        assert_int_equal(plan->seen, 1);
        assert_ptr_equal(pg_plans_find(p, sql), plan);
        assert_int_equal(plan->seen, 2);
    }

    assert_in_range(n, 100, 999);
    assert_ptr_equal(pg_plans_find(p, "SELECT 0"), first);

    first->ready = 1;
    strcpy(name, first->name);
    pg_plans_clear(p);
    assert_int_equal(first->ready, 0);
    assert_string_not_equal(first->name, name);

    arena_free(a);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_too_many_hosts),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_start),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_plans),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
