/*
 * LDAP's messages: what is written, byte for byte; answers in every cut and
 * every kind of damage; user names in a DN.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ngx_kong_module/plugins/kong_ldap.h"


#define STR(s)    ((kong_str_t) { (s), sizeof(s) - 1 })
#define BYTES(s)  (const uint8_t *) (s), sizeof(s) - 1

#define LONG_DN  300

typedef struct {
    const uint8_t  *in;
    size_t          len;
} bytes_t;

typedef struct {
    kong_str_t   user;
    const char  *dn;
} name_t;


static const char  success[] = "\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00"
                               "\x04\x00\x04\x00";

/* lengths of four bytes, and a text */
static const char  refusal[] = "\x30\x84\x00\x00\x00\x12\x02\x01\x02"
                               "\x61\x84\x00\x00\x00\x09\x0a\x01\x31"
                               "\x04\x00\x04\x02no";

/* the server says goodbye: id 0, [10] behind the result */
static const char  notice[] = "\x30\x0f\x02\x01\x00\x78\x0a\x0a\x01\x34"
                              "\x04\x00\x04\x00\x8a\x01" "1";

static const bytes_t  damaged[] = {
    { BYTES("\x31\x00") },
    { BYTES("HTTP/1.1 400 Bad Request") },
    { BYTES("\x30\x00") },                          /* empty */
    { BYTES("\x30\x80\x00\x00") },                  /* indefinite */
    { BYTES("\x30\x85\x00\x00\x00\x00\x01\x00") },  /* five bytes */
    { BYTES("\x30\x84\xff\xff\xff\xff") },          /* too long */
    { BYTES("\x30\x82\x20\x00") },
    { BYTES("\x30\x03\x02\x01\x01") },              /* no operation */
    { BYTES("\x30\x05\x02\x01\x01\x61\x00") },      /* no result */
    { BYTES("\x30\x05\x04\x01\x01\x61\x00") },      /* the id is a string */
    { BYTES("\x30\x04\x02\x00\x61\x00") },          /* the id is empty */
    { BYTES("\x30\x05\x02\x01\xff\x61\x00") },      /* negative */
    { BYTES("\x30\x09\x02\x05\x01\x01\x01\x01\x01\x61\x00") },
    { BYTES("\x30\x05\x02\x01\x01\x61\x01") },      /* past the message */
    { BYTES("\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x01") },
    { BYTES("\x30\x0c\x02\x01\x01\x61\x07\x02\x01\x00\x04\x00\x04\x00") },
    { BYTES("\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x05\x00") },
    { BYTES("\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x05\x00\x04\x00") },
    { BYTES("\x30\x0a\x02\x01\x01\x61\x05\x0a\x01\x00\x04\x00\x04\x00") },
    { BYTES("\x30\x0c\x02\x01\x01\x61\x80\x0a\x01\x00\x04\x00\x04\x00") },
};

static const name_t  names[] = {
    { { "alice", 5 }, "uid=alice,dc=x" },
    { { "a b", 3 }, "uid=a b,dc=x" },
    { { " a ", 3 }, "uid=\\ a\\ ,dc=x" },
    { { " ", 1 }, "uid=\\ ,dc=x" },
    { { "#a#", 3 }, "uid=\\#a#,dc=x" },
    { { "a,ou=b", 6 }, "uid=a\\,ou\\=b,dc=x" },
    { { "a+b\"c;d<e>f\\g", 13 },
      "uid=a\\+b\\\"c\\;d\\<e\\>f\\\\g,dc=x" },
    { { "\0\n\x7f", 3 }, "uid=\\00\\0A\\7F,dc=x" },
    { { "m\xc3\xbcller", 7 }, "uid=m\xc3\xbcller,dc=x" },
    { { "\xff", 1 }, "uid=\xff,dc=x" },
    { { "*()", 3 }, "uid=*(),dc=x" },
};


static void
test_write(void **state)
{
    size_t             n;
    uint8_t            out[64];
    static const char  bind[] =
        "\x30\x10\x02\x01\x07\x60\x0b\x02\x01\x03\x04\x04" "cn=a\x80\x00";
    static const char  longer[] =
        "\x30\x13\x02\x02\x00\x80\x60\x0d\x02\x01\x03\x04\x04" "cn=a"
        "\x80\x02pw";
    static const char  tls[] =
        "\x30\x1f\x02\x03\x01\x00\x00\x77\x18\x80\x16"
        "1.3.6.1.4.1.1466.20037";
    static const char  unbind[] = "\x30\x08\x02\x04\x7f\xff\xff\xff\x42\x00";

    (void) state;

    n = kong_ldap_bind(out, 7, STR("cn=a"), STR(""));
    assert_int_equal(n, sizeof(bind) - 1);
    assert_memory_equal(out, bind, n);

    n = kong_ldap_bind(out, 128, STR("cn=a"), STR("pw"));
    assert_int_equal(n, sizeof(longer) - 1);
    assert_memory_equal(out, longer, n);

    n = kong_ldap_start_tls(out, 65536);
    assert_int_equal(n, sizeof(tls) - 1);
    assert_memory_equal(out, tls, n);

    n = kong_ldap_unbind(out, 0x7fffffff);
    assert_int_equal(n, sizeof(unbind) - 1);
    assert_memory_equal(out, unbind, n);
}


/* lengths of one, two and three bytes */
static void
test_long(void **state)
{
    char     dn[LONG_DN], password[70000];
    size_t   n;
    uint8_t  out[LONG_DN + 70000 + KONG_LDAP_OVERHEAD];

    (void) state;

    memset(dn, 'd', sizeof(dn));
    memset(password, 'p', sizeof(password));

    n = kong_ldap_bind(out, 1, (kong_str_t) { dn, 0x80 },
                       (kong_str_t) { password, 0x7f });
    assert_memory_equal(out, "\x30\x82\x01\x0e\x02\x01\x01\x60\x82\x01\x07"
                        "\x02\x01\x03\x04\x81\x80", 17);
    assert_int_equal(n, 4 + 0x10e);
    assert_memory_equal(out + 17 + 0x80, "\x80\x7f", 2);

    n = kong_ldap_bind(out, 1, (kong_str_t) { dn, LONG_DN },
                       (kong_str_t) { password, sizeof(password) });
    assert_true(n <= sizeof(out));
    assert_memory_equal(out + 20 + LONG_DN, "\x80\x83\x01\x11\x70", 5);
    assert_int_equal(out[n - 1], 'p');
}


static void
test_answer(void **state)
{
    kong_ldap_answer_t  a;

    (void) state;

    assert_int_equal(kong_ldap_answer(BYTES(success), &a),
                     sizeof(success) - 1);
    assert_int_equal(a.id, 1);
    assert_int_equal(a.op, KONG_LDAP_BIND_RESPONSE);
    assert_int_equal(a.code, KONG_LDAP_SUCCESS);
    assert_int_equal(a.text.len, 0);

    assert_int_equal(kong_ldap_answer(BYTES(refusal), &a),
                     sizeof(refusal) - 1);
    assert_int_equal(a.id, 2);
    assert_int_equal(a.code, KONG_LDAP_INVALID_CREDENTIALS);
    assert_int_equal(a.text.len, 2);
    assert_memory_equal(a.text.data, "no", 2);

    assert_int_equal(kong_ldap_answer(BYTES(notice), &a),
                     sizeof(notice) - 1);
    assert_int_equal(a.id, 0);
    assert_int_equal(a.op, KONG_LDAP_EXTENDED_RESPONSE);

    /* another operation is told, not read; what follows is not looked at */
    assert_int_equal(kong_ldap_answer(BYTES("\x30\x05\x02\x01\x09\x65\x00"
                                            "\xff\xff"), &a), 7);
    assert_int_equal(a.op, 0x65);
}


static void
test_parts(void **state)
{
    size_t              i;
    kong_ldap_answer_t  a;

    (void) state;

    for (i = 0; i < sizeof(success) - 1; i++) {
        assert_int_equal(kong_ldap_answer((const uint8_t *) success, i, &a),
                         0);
    }

    for (i = 0; i < sizeof(refusal) - 1; i++) {
        assert_int_equal(kong_ldap_answer((const uint8_t *) refusal, i, &a),
                         0);
    }
}


static void
test_damaged(void **state)
{
    size_t              i;
    kong_ldap_answer_t  a;

    (void) state;

    for (i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
        assert_int_equal(kong_ldap_answer(damaged[i].in, damaged[i].len, &a),
                         -1);
    }
}


static void
test_dn(void **state)
{
    char    out[128];
    size_t  i, n;

    (void) state;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        n = kong_ldap_dn(out, STR("uid"), names[i].user, STR("dc=x"));

        assert_true(n <= kong_ldap_dn_size(STR("uid"), names[i].user,
                                           STR("dc=x")));
        assert_int_equal(n, strlen(names[i].dn));
        assert_memory_equal(out, names[i].dn, n);
    }
}


int
main(void)
{
    static const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_answer),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_dn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
