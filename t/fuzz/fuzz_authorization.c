/*
 * fuzz_authorization: bytes -> every parser of Authorization headers.  What
 * they return must lie inside what they were given.
 */

#include <stdlib.h>
#include <string.h>

#include "ngx_kong_module/plugins/kong_authorization.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static void
fuzz_inside(const kong_str_t *s, const void *start, size_t size)
{
    if (s->data < (const char *) start
        || s->data + s->len > (const char *) start + size)
    {
        abort();
    }
}


static void
fuzz_hmac(const char *value, size_t size)
{
    kong_str_t   list, name;
    kong_hmac_t  hmac;

    if (!kong_hmac(value, size, &hmac)) {
        return;
    }

    fuzz_inside(&hmac.username, value, size);
    fuzz_inside(&hmac.algorithm, value, size);
    fuzz_inside(&hmac.headers, value, size);
    fuzz_inside(&hmac.signature, value, size);

    list = hmac.headers;

    while (kong_hmac_header(&list, &name)) {
        fuzz_inside(&name, hmac.headers.data, hmac.headers.len);

        if (name.len == 0) {
            abort();
        }
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char        *value;
    uint8_t     *buf;
    kong_str_t   one, two;

    static const char  ldap[] = "ldap";
    const kong_str_t   scheme = { ldap, sizeof(ldap) - 1 };

    value = malloc(size ? size : 1);
    buf = malloc(kong_base64_size(size));

    if (value != NULL && buf != NULL) {
        memcpy(value, data, size);

        if (kong_bearer(value, size, &one)) {
            fuzz_inside(&one, value, size);
        }

        if (kong_basic(value, size, buf, &one, &two)) {
            fuzz_inside(&one, buf, kong_base64_size(size));
            fuzz_inside(&two, buf, kong_base64_size(size));
        }

        if (kong_user_password(value, size, scheme, buf, &one, &two)) {
            fuzz_inside(&one, buf, kong_base64_size(size));
            fuzz_inside(&two, buf, kong_base64_size(size));
        }

        fuzz_hmac(value, size);

        (void) kong_base64_decode(value, size, KONG_BASE64_URL, buf);
        (void) kong_base64_decode(value, size, KONG_BASE64_ANY, buf);
    }

    free(value);
    free(buf);

    return 0;
}
