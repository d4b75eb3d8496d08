/*
 * fuzz_resp: bytes -> the values of a Redis answer, one after the other.
 * What is returned must lie inside the value; a part of a value is never
 * taken for all of it; what is written is read back.
 */

#include <stdlib.h>
#include <string.h>

#include "ngx_kong_module/plugins/kong_resp.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static size_t
fuzz_value(const uint8_t *in, size_t size)
{
    int64_t      number;
    ssize_t      n;
    const char  *start;
    kong_resp_t  value, less;

    n = kong_resp_value(in, size, &value);

    if (n <= 0) {
        return 0;
    }

    start = (const char *) in;

    if ((size_t) n > size || n > KONG_RESP_VALUE_MAX) {
        abort();
    }

    if ((value.kind == KONG_RESP_STRING || value.kind == KONG_RESP_ERROR)
        && (value.text.data < start
            || value.text.data + value.text.len + 2 > start + n))
    {
        abort();
    }

    if (value.kind == KONG_RESP_ARRAY && value.integer < 0) {
        abort();
    }

    if (kong_resp_value(in, (size_t) n - 1, &less) != 0) {
        abort();
    }

    (void) kong_resp_number(&value, &number);

    return (size_t) n;
}


static void
fuzz_argument(const uint8_t *in, size_t size)
{
    size_t        len;
    uint8_t      *out;
    kong_resp_t   value;

    out = malloc(size + KONG_RESP_OVERHEAD);

    if (out == NULL) {
        return;
    }

    len = (size_t) (kong_resp_argument(out, in, size) - out);

    if (len > size + KONG_RESP_OVERHEAD) {
        abort();
    }

    if (len <= KONG_RESP_VALUE_MAX
        && (kong_resp_value(out, len, &value) != (ssize_t) len
            || value.text.len != size
            || memcmp(value.text.data, in, size) != 0))
    {
        abort();
    }

    free(out);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t    at, n;
    uint8_t  *copy;

    copy = malloc(size ? size : 1);

    if (copy != NULL) {
        memcpy(copy, data, size);

        for (at = 0; at < size; at += n) {
            n = fuzz_value(copy + at, size - at);

            if (n == 0) {
                break;
            }
        }

        fuzz_argument(copy, size);
    }

    free(copy);

    return 0;
}
