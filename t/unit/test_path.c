/*
 * test_path: normal form of request paths, and the path sent upstream: the
 * whole table of path_handling v0.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ngx_kong_module/snapshot/kong_path.h"


typedef struct {
    const char  *in;
    const char  *out;
} normal_t;

typedef struct {
    const char  *service;
    const char  *route;         /* NULL: the route has no paths */
    unsigned     strip;
    const char  *request;
    const char  *out;
} upstream_t;


static const normal_t  normals[] = {
    { "/", "/" },
    { "", "" },
    { "*", "*" },
    { "/a/b", "/a/b" },
    { "/a//b", "/a/b" },
    { "//", "/" },
    { "///a///", "/a/" },
    { "/a/./b", "/a/b" },
    { "/a/c/../b", "/a/b" },
    { "/%61/b", "/a/b" },
    { "/a/%2e%2e/b", "/b" },
    { "/a/%2E/b", "/a/b" },
    { "/a/b/..", "/a/" },
    { "/a/b/.", "/a/b/" },
    { "/..", "/" },
    { "/../../a", "/a" },
    { "/a//../b", "/b" },
    { "/a/..//b", "/b" },
    { "/.a", "/.a" },
    { "/..a", "/..a" },
    { "/a../b", "/a../b" },
    { "/a./b", "/a./b" },
    { "/...", "/..." },
    { "/a%2fb", "/a%2Fb" },
    { "/a%2Fb", "/a%2Fb" },
    { "/%2525", "/%2525" },
    { "/%zz%", "/%zz%" },
    { "/%4", "/%4" },
    { "/%20", "/ " },
    { "/%c3%a9", "/\303\251" },
    { "/%3f%3F", "/%3F%3F" },
    { "/%7Euser", "/~user" },
    { "/A/b", "/A/b" },
    { "../a", "a" },
    { "./a", "a" },
    { "..", "" },
    { ".", "" },
    { "a/../b", "/b" }
};

static const upstream_t  upstreams[] = {
    { "", "/fv0", 1, "/fv0", "/" },
    { "", "/fv0", 1, "/fv0/", "/" },
    { "", "/fv0", 1, "/fv0/req", "/req" },
    { "", "/fv0", 1, "/fv0req", "/req" },
    { "", "/fv0/", 1, "/fv0/", "/" },
    { "", "/fv0/", 1, "/fv0/req", "/req" },
    { "/s", "/", 1, "/", "/s" },
    { "/s", "/", 1, "/fv0", "/s/fv0" },
    { "/s", "/", 1, "/fv0/", "/s/fv0/" },
    { "/s", "/", 1, "/fv0/req", "/s/fv0/req" },
    { "/s", "/", 1, "/fv0req", "/s/fv0req" },
    { "/s", "/", 0, "/", "/s" },
    { "/s", "/", 0, "/fv0", "/s/fv0" },
    { "/s", "/", 0, "/fv0/", "/s/fv0/" },
    { "/s", "/", 0, "/fv0/req", "/s/fv0/req" },
    { "/s", "/", 0, "/fv0req", "/s/fv0req" },
    { "/s", "/fv0", 1, "/fv0", "/s" },
    { "/s", "/fv0", 1, "/fv0/", "/s/" },
    { "/s", "/fv0", 1, "/fv0/req", "/s/req" },
    { "/s", "/fv0", 1, "/fv0req", "/s/req" },
    { "/s", "/fv0", 0, "/fv0", "/s/fv0" },
    { "/s", "/fv0", 0, "/fv0/", "/s/fv0/" },
    { "/s", "/fv0", 0, "/fv0/req", "/s/fv0/req" },
    { "/s", "/fv0", 0, "/fv0req", "/s/fv0req" },
    { "/s", "/fv0/", 1, "/fv0/", "/s/" },
    { "/s", "/fv0/", 1, "/fv0/req", "/s/req" },
    { "/s", "/fv0/", 0, "/fv0/", "/s/fv0/" },
    { "/s", "/fv0/", 0, "/fv0/req", "/s/fv0/req" },
    { "/s/", "/", 1, "/", "/s/" },
    { "/s/", "/", 1, "/fv0", "/s/fv0" },
    { "/s/", "/", 1, "/fv0/", "/s/fv0/" },
    { "/s/", "/", 1, "/fv0/req", "/s/fv0/req" },
    { "/s/", "/", 1, "/fv0req", "/s/fv0req" },
    { "/s/", "/", 0, "/", "/s/" },
    { "/s/", "/", 0, "/fv0", "/s/fv0" },
    { "/s/", "/", 0, "/fv0/", "/s/fv0/" },
    { "/s/", "/", 0, "/fv0/req", "/s/fv0/req" },
    { "/s/", "/", 0, "/fv0req", "/s/fv0req" },
    { "/s/", "/fv0", 1, "/fv0", "/s" },
    { "/s/", "/fv0", 1, "/fv0/", "/s/" },
    { "/s/", "/fv0", 1, "/fv0/req", "/s/req" },
    { "/s/", "/fv0", 1, "/fv0req", "/s/req" },
    { "/s/", "/fv0", 0, "/fv0", "/s/fv0" },
    { "/s/", "/fv0", 0, "/fv0/", "/s/fv0/" },
    { "/s/", "/fv0", 0, "/fv0/req", "/s/fv0/req" },
    { "/s/", "/fv0", 0, "/fv0req", "/s/fv0req" },
    { "/s/", "/fv0/", 1, "/fv0/", "/s/" },
    { "/s/", "/fv0/", 1, "/fv0/req", "/s/req" },
    { "/s/", "/fv0/", 0, "/fv0/", "/s/fv0/" },
    { "/s/", "/fv0/", 0, "/fv0/req", "/s/fv0/req" },

    /* a step upwards is never what remains */

    { "", "/fo", 1, "/fo../x", "/x" },
    { "", "/fo", 1, "/fo..", "/" },
    { "", "/fo", 1, "/fo./x", "/x" },
    { "/s", "/fo", 1, "/fo.", "/s" },
    { "", "/fo", 1, "/fo...", "/..." },
    { "", "/fo", 1, "/fo.x", "/.x" },

    /* no paths: everything behind the first slash is left */

    { "", NULL, 1, "/a/b", "/a/b" },
    { "/s", NULL, 1, "/a/b/", "/s/a/b/" },
    { "/s/", NULL, 1, "/a", "/s/a" },
    { "/s/", NULL, 0, "/", "/s/" },
    { "/s", NULL, 1, "/", "/s" },

    /* what may not stand in a request is encoded again */

    { "", "/a", 0, "/a b", "/a%20b" },
    { "", "/a", 1, "/a/\303\251\"<>\\^`{|}",
      "/%C3%A9%22%3C%3E%5C%5E%60%7B%7C%7D" },
    { "", "/a", 0, "/a%2Fb!#$&'()*+,:;=?@[]-_.~%",
      "/a%2Fb!#$&'()*+,:;=?@[]-_.~%" }
};


static void
test_normalize(void **state)
{
    char    *in, *out;
    size_t   i, len, want;

    (void) state;

    for (i = 0; i < sizeof(normals) / sizeof(normals[0]); i++) {
        len = strlen(normals[i].in);
        want = strlen(normals[i].out);

        /* exact sizes: a byte too far is seen by ASan */

        in = malloc(len + 1);
        out = malloc(len + 1);
        memcpy(in, normals[i].in, len + 1);

        if (kong_path_normalize(in, len, out) != want
            || memcmp(out, normals[i].out, want) != 0)
        {
            fail_msg("'%s' is not '%s'", in, normals[i].out);
        }

        assert_int_equal(kong_path_is_normal(in, len),
                         strcmp(in, normals[i].out) == 0);
        assert_int_equal(kong_path_is_normal(out, want), 1);

        free(in);
        free(out);
    }
}


/* all paths of six characters out of those that matter: normal form is
 * reached in one step, and known when it is there */
static void
test_fixpoint(void **state)
{
    char      in[8], out[8], again[8];
    size_t    n, m;
    unsigned  i, j, v;

    static const char  alphabet[] = "/.%2ea";

    (void) state;

    for (i = 0; i < 6 * 6 * 6 * 6 * 6 * 6; i++) {
        in[0] = '/';

        for (j = 1, v = i; j < 7; j++, v /= 6) {
            in[j] = alphabet[v % 6];
        }

        n = kong_path_normalize(in, 7, out);
        assert_true(n <= 7);
        assert_int_equal(out[0], '/');
        assert_int_equal(kong_path_is_normal(in, 7),
                         n == 7 && memcmp(in, out, 7) == 0);

        /* "%2%65" decodes to a new triplet, which must not be decoded */

        if (memchr(out, '%', n) == NULL) {
            m = kong_path_normalize(out, n, again);
            assert_int_equal(m, n);
            assert_memory_equal(out, again, n);
        }
    }
}


static void
test_upstream(void **state)
{
    char               out[128];
    size_t             i, n;
    kong_str_t         service, path;
    const upstream_t  *u;

    (void) state;

    for (i = 0; i < sizeof(upstreams) / sizeof(upstreams[0]); i++) {
        u = &upstreams[i];
        service.data = u->service;
        service.len = strlen(u->service);
        path.data = u->request;
        path.len = strlen(u->request);

        assert_true(kong_path_upstream_max(service, path) <= sizeof(out));

        n = kong_path_upstream(service, path, u->strip, u->route != NULL,
                               u->route ? strlen(u->route) : 0, out);

        if (n != strlen(u->out) || memcmp(out, u->out, n) != 0) {
            fail_msg("service '%s' route '%s' strip %u request '%s': "
                     "'%.*s', not '%s'", u->service,
                     u->route ? u->route : "", u->strip, u->request,
                     (int) n, out, u->out);
        }
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_normalize),
        cmocka_unit_test(test_fixpoint),
        cmocka_unit_test(test_upstream)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
