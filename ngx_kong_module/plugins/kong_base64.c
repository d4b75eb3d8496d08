/*
 * kong_base64: see kong_base64.h.
 */

#include "kong_base64.h"


static int kong_base64_digit(char c, kong_base64_t kind);


ssize_t
kong_base64_decode(const char *in, size_t len, kong_base64_t kind,
    uint8_t *out)
{
    int       d;
    size_t    i, n, padding;
    uint32_t  bits;

    padding = 0;

    if (kind != KONG_BASE64_URL && len % 4 == 0) {
        while (padding < 2 && len != 0 && in[len - 1] == '=') {
            padding++;
            len--;
        }
    }

    if (len % 4 == 1) {
        return -1;
    }

    bits = 0;
    n = 0;

    for (i = 0; i < len; i++) {
        d = kong_base64_digit(in[i], kind);

        if (d < 0) {
            return -1;
        }

        bits = (bits << 6 | (uint32_t) d) & 0xffffff;

        if (i % 4 != 0) {
            out[n++] = (uint8_t) (bits >> (6 - 2 * (i % 4)));
        }
    }

    /* a digit that is only begun */

    if (kind == KONG_BASE64_URL
        && ((len % 4 == 2 && (bits & 0xf) != 0)
            || (len % 4 == 3 && (bits & 0x3) != 0)))
    {
        return -1;
    }

    return (ssize_t) n;
}


size_t
kong_base64url_encode(const uint8_t *in, size_t len, char *out)
{
    size_t    i, n;
    uint32_t  bits;

    static const char  digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    bits = 0;
    n = 0;

    for (i = 0; i < len; i++) {
        bits = bits << 8 | in[i];

        out[n++] = digits[bits >> (2 + 2 * (i % 3)) & 63];

        if (i % 3 == 2) {
            out[n++] = digits[bits & 63];
            bits = 0;
        }
    }

    if (len % 3 != 0) {
        out[n++] = digits[bits << (6 - 2 * (len % 3)) & 63];
    }

    return n;
}


static int
kong_base64_digit(char c, kong_base64_t kind)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }

    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }

    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }

    if (kind != KONG_BASE64_STD) {
        if (c == '-') {
            return 62;
        }

        if (c == '_') {
            return 63;
        }
    }

    if (kind != KONG_BASE64_URL) {
        if (c == '+') {
            return 62;
        }

        if (c == '/') {
            return 63;
        }
    }

    return -1;
}
