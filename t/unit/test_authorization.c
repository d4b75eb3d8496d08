/*
 * What clients write into Authorization and Cookie headers.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ngx_kong_module/plugins/kong_authorization.h"


typedef struct {
    const char  *value;
    const char  *one;            /* NULL: refused */
    const char  *two;
} case_t;


static const case_t  bearers[] = {
    { "Bearer abc", "abc", NULL },
    { "bearer abc", "abc", NULL },
    { "  Bearer \t abc", "abc", NULL },
    { "Bearer a b", "a b", NULL },
    { "BEARER abc", NULL, NULL },
    { "Bearer", NULL, NULL },
    { "Bearer ", NULL, NULL },
    { "Bearerabc", NULL, NULL },
    { "Basic abc", NULL, NULL },
    { "b", NULL, NULL },
    { "", NULL, NULL },
};

static const case_t  basics[] = {
    { "Basic YWxpY2U6d29uZGVyOmxhbmQ=", "alice", "wonder:land" },
    { "basic YWxpY2U6d29uZGVyOmxhbmQ", "alice", "wonder:land" },
    { "Basic   YTpi", "a", "b" },
    { "BasicYTpi", "a", "b" },
    { "Basic YTo=", "a", "" },
    { "Basic w7zDtjrDnw==", "\xc3\xbc\xc3\xb6", "\xc3\x9f" },
    { "BASIC YTpi", NULL, NULL },
    { "Basic OmI=", NULL, NULL },            /* no user */
    { "Basic Og==", NULL, NULL },
    { "Basic YWI=", NULL, NULL },            /* no colon */
    { "Basic ", NULL, NULL },
    { "Basic", NULL, NULL },
    { "Basic %%%", NULL, NULL },
    { "Basic YTpi YTpi", NULL, NULL },
    { "Basic YTpi====", NULL, NULL },
    { "Bearer YTpi", NULL, NULL },
};

/* of the scheme my.type */
static const case_t  pairs[] = {
    { "my.type YWxpY2U6d29uZGVyOmxhbmQ=", "alice", "wonder:land" },
    { " MY.Type \t YTpi", "a", "b" },
    { "my.typeYTpi", NULL, NULL },           /* no blank */
    { "my.type YTo=", NULL, NULL },          /* no password */
    { "my.type OmI=", NULL, NULL },          /* no user */
    { "my.type YWI=", NULL, NULL },          /* no colon */
    { "my.type %%%", NULL, NULL },
    { "my.type ", NULL, NULL },
    { "my.type", NULL, NULL },
    { "myxtype YTpi", NULL, NULL },
    { "my", NULL, NULL },
    { "", NULL, NULL },
};

#define HMAC(u, a, h, s)                                                     \
    "username=\"" u "\", algorithm=\"" a "\", headers=\"" h                  \
    "\", signature=\"" s "\""

static const case_t  hmacs[] = {
    { "hmac " HMAC("bob", "hmac-sha256", "date digest", "c2ln"),
      "bob", "date digest" },
    { "Hmac" HMAC("bob", "x", "date", "c2ln"), "bob", "date" },
    { " hmac username=\"b\",algorithm=\"x\",  headers=\"d\",signature=\"s\"",
      "b", "d" },
    { "HMAC " HMAC("bob", "x", "date", "c2ln"), NULL, NULL },
    { "hmac " HMAC("", "x", "date", "c2ln"), NULL, NULL },
    { "hmac " HMAC("b", "x", "date", ""), NULL, NULL },
    { "hmac username=\"b\", algorithm=\"x\", headers=\"d\"", NULL, NULL },
    { "hmac username=\"b\" algorithm=\"x\" headers=\"d\" signature=\"s\"",
      NULL, NULL },
    { "hmac algorithm=\"x\", username=\"b\", headers=\"d\", signature=\"s\"",
      NULL, NULL },
    { "hmac username=\"b", NULL, NULL },
    { "hmac username=\"b\"", NULL, NULL },
    { "hmac username=b", NULL, NULL },
    { "hmac ", NULL, NULL },
    { "", NULL, NULL },
};

static const case_t  cookies[] = {
    { "tok=abc", "abc", NULL },
    { "a=b; tok=abc; c=d", "abc", NULL },
    { "a=b;tok=abc", "abc", NULL },
    { "TOK=abc", "abc", NULL },
    { "tok = abc", "abc", NULL },
    { "tok=", "", NULL },
    { "tok=a=b", "a=b", NULL },
    { "tok=1; tok=2", "1", NULL },
    { "xtok=abc", NULL, NULL },
    { "toke=abc", NULL, NULL },
    { "tok", NULL, NULL },
    { "a=tok=b", NULL, NULL },
    { "a=b; tok; tok=c", "c", NULL },
    { ";;; tok=c", "c", NULL },
    { "", NULL, NULL },
};


static void
check(const case_t *c, int rc, const kong_str_t *one, const kong_str_t *two)
{
    if (rc != (c->one != NULL)) {
        fail_msg("\"%s\": %d", c->value, rc);
    }

    if (rc == 0) {
        return;
    }

    if (one->len != strlen(c->one) || memcmp(one->data, c->one, one->len) != 0
        || (two != NULL
            && (two->len != strlen(c->two)
                || memcmp(two->data, c->two, two->len) != 0)))
    {
        fail_msg("\"%s\": \"%.*s\"", c->value, (int) one->len, one->data);
    }
}


static void
test_bearer(void **state)
{
    size_t      i;
    kong_str_t  token;

    (void) state;

    for (i = 0; i < sizeof(bearers) / sizeof(bearers[0]); i++) {
        check(&bearers[i], kong_bearer(bearers[i].value,
                                       strlen(bearers[i].value), &token),
              &token, NULL);
    }
}


static void
test_basic(void **state)
{
    size_t      i;
    uint8_t     buf[256];
    kong_str_t  user, password;

    (void) state;

    for (i = 0; i < sizeof(basics) / sizeof(basics[0]); i++) {
        check(&basics[i], kong_basic(basics[i].value, strlen(basics[i].value),
                                     buf, &user, &password),
              &user, &password);
    }

    /* a NUL byte is a byte like any other */
    assert_int_equal(kong_basic("Basic YQBiOgBj", 14, buf, &user, &password),
                     1);
    assert_int_equal(user.len, 3);
    assert_int_equal(password.len, 2);
}


static void
test_pair(void **state)
{
    size_t             i;
    uint8_t            buf[128];
    kong_str_t         user, password;
    static const char  scheme[] = "my.type";
    const kong_str_t   type = { scheme, sizeof(scheme) - 1 };

    (void) state;

    for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        check(&pairs[i], kong_user_password(pairs[i].value,
                                            strlen(pairs[i].value), type, buf,
                                            &user, &password),
              &user, &password);
    }
}


static void
test_hmac(void **state)
{
    size_t       i;
    kong_str_t   list, name;
    kong_hmac_t  hmac;

    (void) state;

    for (i = 0; i < sizeof(hmacs) / sizeof(hmacs[0]); i++) {
        check(&hmacs[i], kong_hmac(hmacs[i].value, strlen(hmacs[i].value),
                                   &hmac),
              &hmac.username, &hmac.headers);
    }

    list.data = " date  digest ";
    list.len = strlen(list.data);

    assert_int_equal(kong_hmac_header(&list, &name), 1);
    assert_int_equal(name.len, 4);
    assert_int_equal(kong_hmac_header(&list, &name), 1);
    assert_memory_equal(name.data, "digest", 6);
    assert_int_equal(name.len, 6);
    assert_int_equal(kong_hmac_header(&list, &name), 0);
    assert_int_equal(kong_hmac_header(&list, &name), 0);
}


static void
test_cookie(void **state)
{
    size_t      i;
    kong_str_t  value;

    (void) state;

    for (i = 0; i < sizeof(cookies) / sizeof(cookies[0]); i++) {
        check(&cookies[i], kong_cookie(cookies[i].value,
                                       strlen(cookies[i].value), "tok", 3,
                                       &value),
              &value, NULL);
    }

    assert_int_equal(kong_cookie("=x", 2, "", 0, &value), 0);
}


int
main(void)
{
    static const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_bearer),
        cmocka_unit_test(test_basic),
        cmocka_unit_test(test_pair),
        cmocka_unit_test(test_hmac),
        cmocka_unit_test(test_cookie),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
