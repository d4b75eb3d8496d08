/*
 * fuzz_ldap: bytes -> the answer of a directory server, and a user name in a
 * DN.  What is returned must lie inside the message; a part of a message is
 * never taken for all of it.
 */

#include <stdlib.h>
#include <string.h>

#include "ngx_kong_module/plugins/kong_ldap.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static void
fuzz_answer(const uint8_t *in, size_t size)
{
    ssize_t             n;
    const char         *start;
    kong_ldap_answer_t  answer, less;

    n = kong_ldap_answer(in, size, &answer);

    if (n <= 0) {
        return;
    }

    start = (const char *) in;

    if ((size_t) n > size || n > KONG_LDAP_ANSWER_MAX) {
        abort();
    }

    if (answer.text.len != 0
        && (answer.text.data < start
            || answer.text.data + answer.text.len > start + n))
    {
        abort();
    }

    if (kong_ldap_answer(in, (size_t) n - 1, &less) != 0) {
        abort();
    }
}


/* the comma before the base is the only one that is not escaped */
static void
fuzz_dn(const char *user, size_t size)
{
    char              *out;
    size_t             i, n;
    static const char  cn[] = "cn", base[] = "dc=x";
    const kong_str_t   a = { cn, 2 }, b = { base, 4 }, u = { user, size };

    out = malloc(kong_ldap_dn_size(a, u, b));

    if (out == NULL) {
        return;
    }

    n = kong_ldap_dn(out, a, u, b);

    if (n > kong_ldap_dn_size(a, u, b)) {
        abort();
    }

    for (i = 3; i < n && out[i] != ','; i++) {
        if (out[i] == '\\') {
            i++;
        }
    }

    if (n - i != 5 || memcmp(out + i, ",dc=x", 5) != 0) {
        abort();
    }

    free(out);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t  *copy;

    copy = malloc(size ? size : 1);

    if (copy != NULL) {
        memcpy(copy, data, size);
        fuzz_answer(copy, size);
        fuzz_dn((const char *) copy, size);
    }

    free(copy);

    return 0;
}
