/*
 * kong_resp: see kong_resp.h.
 */

#include <string.h>

#include "kong_resp.h"


#define RESP_DIGITS  20


static uint8_t *resp_head(uint8_t *p, uint8_t mark, size_t n);
static ssize_t resp_bulk(const uint8_t *in, size_t len, size_t head,
    kong_resp_t *value);
static int resp_integer(const uint8_t *p, size_t len, int64_t *n);


uint8_t *
kong_resp_command(uint8_t *p, size_t n)
{
    return resp_head(p, '*', n);
}


uint8_t *
kong_resp_argument(uint8_t *p, const void *data, size_t len)
{
    p = resp_head(p, '$', len);

    if (len != 0) {
        memcpy(p, data, len);
    }

    p += len;
    *p++ = '\r';
    *p++ = '\n';

    return p;
}


static uint8_t *
resp_head(uint8_t *p, uint8_t mark, size_t n)
{
    uint8_t  *d, digits[RESP_DIGITS];

    d = digits + sizeof(digits);

    do {
        *--d = (uint8_t) ('0' + n % 10);
        n /= 10;
    } while (n != 0);

    *p++ = mark;

    memcpy(p, d, (size_t) (digits + sizeof(digits) - d));
    p += digits + sizeof(digits) - d;

    *p++ = '\r';
    *p++ = '\n';

    return p;
}


ssize_t
kong_resp_value(const uint8_t *in, size_t len, kong_resp_t *value)
{
    size_t          head;
    const uint8_t  *end;

    if (len == 0) {
        return 0;
    }

    end = memchr(in, '\r', len < KONG_RESP_VALUE_MAX ? len
                                                     : KONG_RESP_VALUE_MAX);

    if (end == NULL) {
        return len < KONG_RESP_VALUE_MAX ? 0 : -1;
    }

    if ((size_t) (end - in) + 1 == len) {
        return 0;
    }

    if (end[1] != '\n') {
        return -1;
    }

    head = (size_t) (end - in) + 2;

    value->integer = 0;
    value->text.data = (const char *) in + 1;
    value->text.len = head - 3;

    switch (in[0]) {

    case '+':
        value->kind = KONG_RESP_STRING;
        return (ssize_t) head;

    case '-':
        value->kind = KONG_RESP_ERROR;
        return (ssize_t) head;

    case ':':
        value->kind = KONG_RESP_INTEGER;
        break;

    case '*':
        value->kind = KONG_RESP_ARRAY;
        break;

    case '$':
        return resp_bulk(in, len, head, value);

    default:
        return -1;
    }

    if (resp_integer(in + 1, head - 3, &value->integer) != 0) {
        return -1;
    }

    if (value->kind == KONG_RESP_ARRAY && value->integer < 0) {
        value->kind = KONG_RESP_NULL;
        return value->integer == -1 ? (ssize_t) head : -1;
    }

    return (ssize_t) head;
}


static ssize_t
resp_bulk(const uint8_t *in, size_t len, size_t head, kong_resp_t *value)
{
    size_t   size;
    int64_t  n;

    if (resp_integer(in + 1, head - 3, &n) != 0 || n < -1
        || n > (int64_t) (KONG_RESP_VALUE_MAX - head - 2))
    {
        return -1;
    }

    if (n == -1) {
        value->kind = KONG_RESP_NULL;
        return (ssize_t) head;
    }

    size = (size_t) n;

    if (len < head + size + 2) {
        return 0;
    }

    if (in[head + size] != '\r' || in[head + size + 1] != '\n') {
        return -1;
    }

    value->kind = KONG_RESP_STRING;
    value->text.data = (const char *) in + head;
    value->text.len = size;

    return (ssize_t) (head + size + 2);
}


int
kong_resp_number(const kong_resp_t *value, int64_t *n)
{
    switch (value->kind) {

    case KONG_RESP_INTEGER:
        *n = value->integer;
        return 0;

    case KONG_RESP_NULL:
        *n = 0;
        return 0;

    case KONG_RESP_STRING:
        return resp_integer((const uint8_t *) value->text.data,
                            value->text.len, n);

    default:
        return -1;
    }
}


static int
resp_integer(const uint8_t *p, size_t len, int64_t *n)
{
    size_t   i;
    int64_t  sign, digit;

    sign = 1;
    i = 0;

    if (len != 0 && (p[0] == '-' || p[0] == '+')) {
        sign = (p[0] == '-') ? -1 : 1;
        i = 1;
    }

    if (i == len) {
        return -1;
    }

    for (*n = 0; i < len; i++) {

        if (p[i] < '0' || p[i] > '9') {
            return -1;
        }

        digit = sign * (p[i] - '0');

        if (__builtin_mul_overflow(*n, 10, n)
            || __builtin_add_overflow(*n, digit, n))
        {
            return -1;
        }
    }

    return 0;
}
