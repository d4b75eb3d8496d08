/*
 * The protocol of Redis: what is written, byte for byte; values in every cut
 * and every kind of damage; numbers.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ngx_kong_module/plugins/kong_resp.h"


#define BYTES(s)  (const uint8_t *) (s), sizeof(s) - 1
#define TEXT(s)   { (s), sizeof(s) - 1 }

typedef struct {
    const uint8_t     *in;
    size_t             len;
    kong_resp_kind_t   kind;
    int64_t            integer;
    kong_str_t         text;
} good_t;

typedef struct {
    const uint8_t     *in;
    size_t             len;
} bytes_t;

typedef struct {
    kong_resp_t        value;
    int                rc;
    int64_t            n;
} number_t;


static const good_t  good[] = {
    { BYTES("+OK\r\n"), KONG_RESP_STRING, 0, TEXT("OK") },
    { BYTES("+\r\n"), KONG_RESP_STRING, 0, TEXT("") },
    { BYTES("-ERR no\r\n"), KONG_RESP_ERROR, 0, TEXT("ERR no") },
    { BYTES(":0\r\n"), KONG_RESP_INTEGER, 0, { NULL, 0 } },
    { BYTES(":-12\r\n"), KONG_RESP_INTEGER, -12, { NULL, 0 } },
    { BYTES(":9223372036854775807\r\n"), KONG_RESP_INTEGER, INT64_MAX,
      { NULL, 0 } },
    { BYTES(":-9223372036854775808\r\n"), KONG_RESP_INTEGER, INT64_MIN,
      { NULL, 0 } },
    { BYTES("$2\r\nab\r\n"), KONG_RESP_STRING, 0, TEXT("ab") },
    { BYTES("$2\r\n\r\n\r\n"), KONG_RESP_STRING, 0, TEXT("\r\n") },
    { BYTES("$0\r\n\r\n"), KONG_RESP_STRING, 0, TEXT("") },
    { BYTES("$-1\r\n"), KONG_RESP_NULL, 0, { NULL, 0 } },
    { BYTES("*-1\r\n"), KONG_RESP_NULL, -1, { NULL, 0 } },
    { BYTES("*0\r\n"), KONG_RESP_ARRAY, 0, { NULL, 0 } },
    { BYTES("*3\r\n"), KONG_RESP_ARRAY, 3, { NULL, 0 } },
};

static const bytes_t  damaged[] = {
    { BYTES("HTTP/1.0 400 Bad Request\r\n") },
    { BYTES("\r\n") },
    { BYTES("+O\rK\r\n") },
    { BYTES(":\r\n") },
    { BYTES(":-\r\n") },
    { BYTES(":1a\r\n") },
    { BYTES(": 1\r\n") },
    { BYTES(":9223372036854775808\r\n") },
    { BYTES(":-9223372036854775809\r\n") },
    { BYTES(":99999999999999999999999999\r\n") },
    { BYTES("$\r\n\r\n") },
    { BYTES("$-2\r\n") },
    { BYTES("$8192\r\n") },
    { BYTES("$9223372036854775807\r\n") },
    { BYTES("$2\r\nabc\r\n") },
    { BYTES("$2\r\nab\rx") },
    { BYTES("*-2\r\n") },
    { BYTES("*x\r\n") },
    { BYTES("_\r\n") },
};

static const number_t  numbers[] = {
    { { KONG_RESP_INTEGER, 7, { NULL, 0 } }, 0, 7 },
    { { KONG_RESP_NULL, 0, { NULL, 0 } }, 0, 0 },
    { { KONG_RESP_STRING, 0, TEXT("42") }, 0, 42 },
    { { KONG_RESP_STRING, 0, TEXT("-42") }, 0, -42 },
    { { KONG_RESP_STRING, 0, TEXT("") }, -1, 0 },
    { { KONG_RESP_STRING, 0, TEXT("1.5") }, -1, 0 },
    { { KONG_RESP_STRING, 0, TEXT("1e3") }, -1, 0 },
    { { KONG_RESP_ERROR, 0, TEXT("1") }, -1, 0 },
    { { KONG_RESP_ARRAY, 1, { NULL, 0 } }, -1, 0 },
};


static void
test_write(void **state)
{
    uint8_t             out[256], *p;
    static const char   expected[] = "*3\r\n$4\r\nMGET\r\n$0\r\n\r\n"
                                     "$12\r\na b\r\n\0\xff 5678\r\n";

    (void) state;

    p = kong_resp_command(out, 3);
    p = kong_resp_argument(p, "MGET", 4);
    p = kong_resp_argument(p, NULL, 0);
    p = kong_resp_argument(p, "a b\r\n\0\xff 5678", 12);

    assert_int_equal(p - out, sizeof(expected) - 1);
    assert_memory_equal(out, expected, sizeof(expected) - 1);

    p = kong_resp_command(out, SIZE_MAX);
    assert_true(p - out <= KONG_RESP_OVERHEAD);
}


static void
test_value(void **state)
{
    size_t       i, len;
    kong_resp_t  value;

    (void) state;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {

        for (len = 0; len < good[i].len; len++) {
            assert_int_equal(kong_resp_value(good[i].in, len, &value), 0);
        }

        assert_int_equal(kong_resp_value(good[i].in, len, &value), len);
        assert_int_equal(value.kind, good[i].kind);

        if (good[i].text.data == NULL) {
            assert_int_equal(value.integer, good[i].integer);
            continue;
        }

        assert_int_equal(value.text.len, good[i].text.len);
        assert_memory_equal(value.text.data, good[i].text.data,
                            good[i].text.len);
    }

    /* what follows is not looked at */
    assert_int_equal(kong_resp_value(BYTES(":1\r\nxyz"), &value), 4);
}


static void
test_damaged(void **state)
{
    size_t       i;
    kong_resp_t  value;

    (void) state;

    for (i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
        assert_int_equal(kong_resp_value(damaged[i].in, damaged[i].len,
                                         &value), -1);
    }
}


static void
test_long(void **state)
{
    kong_resp_t     value;
    static uint8_t  in[KONG_RESP_VALUE_MAX + 1];

    (void) state;

    memset(in, 'x', sizeof(in));
    in[0] = '+';

    assert_int_equal(kong_resp_value(in, KONG_RESP_VALUE_MAX - 1, &value), 0);
    assert_int_equal(kong_resp_value(in, KONG_RESP_VALUE_MAX, &value), -1);

    /* the longest: it fits a buffer of that size */
    memcpy(in, "$8183\r\n", 7);
    assert_int_equal(kong_resp_value(in, KONG_RESP_VALUE_MAX - 1, &value), 0);
    memcpy(in + KONG_RESP_VALUE_MAX - 2, "\r\n", 2);
    assert_int_equal(kong_resp_value(in, KONG_RESP_VALUE_MAX, &value),
                     KONG_RESP_VALUE_MAX);
    assert_int_equal(value.text.len, 8183);
}


static void
test_number(void **state)
{
    size_t   i;
    int64_t  n;

    (void) state;

    for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        assert_int_equal(kong_resp_number(&numbers[i].value, &n),
                         numbers[i].rc);

        if (numbers[i].rc == 0) {
            assert_int_equal(n, numbers[i].n);
        }
    }
}


int
main(void)
{
    static const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_value),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
