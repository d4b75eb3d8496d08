/*
 * Sessions sealed into cookies, and everything that must not open.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ngx_kong_module/plugins/kong_session.h"


static const kong_str_t  additional = { "session\0default", 15 };

static uint8_t         key[KONG_SESSION_KEY];
static char            text[KONG_SESSION_TEXT];
static kong_session_t  session;


static int
seal(void **state)
{
    size_t            i;
    const kong_str_t  secret = { "secret", 6 };

    (void) state;

    for (i = 0; i < KONG_SESSION_ID; i++) {
        session.id[i] = (uint8_t) (255 - i);
    }

    session.created = 0x0102030405060708;
    session.renewed = 1700000000;
    session.touched = UINT64_MAX;
    memset(session.consumer, 0xaa, 16);
    memset(session.credential, 0xbb, 16);
    session.index = 0xfffffffe;

    if (kong_session_key(secret, key) != 0) {
        return -1;
    }

    return kong_session_seal(key, additional, &session, text);
}


static void
test_open(void **state)
{
    char            again[KONG_SESSION_TEXT];
    kong_session_t  s;

    (void) state;

    assert_int_equal(kong_session_open(key, additional, text, sizeof(text),
                                       &s), 1);
    assert_memory_equal(&s, &session, sizeof(s));

    /* a nonce is used once */
    assert_int_equal(kong_session_seal(key, additional, &session, again), 0);
    assert_memory_not_equal(text, again, sizeof(text));
}


static void
test_refused(void **state)
{
    char              c;
    size_t            i;
    uint8_t           other[KONG_SESSION_KEY];
    kong_session_t    s;
    const kong_str_t  name = { "remember\0default", 16 };
    const kong_str_t  secret = { "secreT", 6 };
    const kong_str_t  none = { "", 0 };

    (void) state;

    assert_int_equal(kong_session_key(secret, other), 0);
    assert_int_equal(kong_session_key(none, other), -1);
    assert_int_equal(kong_session_open(other, additional, text, sizeof(text),
                                       &s), 0);
    assert_int_equal(kong_session_open(key, name, text, sizeof(text), &s), 0);
    assert_int_equal(kong_session_open(key, none, text, sizeof(text), &s), 0);

    for (i = 0; i < sizeof(text); i++) {
        assert_int_equal(kong_session_open(key, additional, text, i, &s), 0);

        c = text[i];
        text[i] = c == 'A' ? 'B' : 'A';
        assert_int_equal(kong_session_open(key, additional, text,
                                           sizeof(text), &s), 0);
        text[i] = c;
    }
}


static void
test_base64url(void **state)
{
    char      out[64];
    size_t    i, n;
    uint8_t   bytes[32], back[48];

    (void) state;

    for (i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t) (251 * (i + 7));
    }

    for (i = 0; i <= sizeof(bytes); i++) {
        n = kong_base64url_encode(bytes, i, out);
        assert_int_equal(n, kong_base64url_length(i));
        assert_int_equal(kong_base64_decode(out, n, KONG_BASE64_URL, back),
                         i);
        assert_memory_equal(bytes, back, i);
    }

    n = kong_base64url_encode((const uint8_t *) "\xff\xef", 2, out);
    assert_int_equal(n, 3);
    assert_memory_equal(out, "_-8", 3);
}


int
main(void)
{
    static const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_base64url),
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, seal, NULL);
}
