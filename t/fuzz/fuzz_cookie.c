/*
 * fuzz_cookie: a name, a NUL byte and a Cookie header -> the cookie of that
 * name, and the session in it.  No session opens that was not sealed; one
 * that was sealed is found among whatever else the header holds, and does not
 * open once a byte of it is another.
 */

#include <stdlib.h>
#include <string.h>

#include "ngx_kong_module/plugins/kong_authorization.h"
#include "ngx_kong_module/plugins/kong_session.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static const uint8_t     fuzz_key[KONG_SESSION_KEY] = { 1, 2, 3 };
static const kong_str_t  fuzz_name = { "sid", 3 };


static void
fuzz_any(const char *header, size_t len, const char *name, size_t name_len)
{
    kong_str_t      cookie;
    kong_session_t  session;

    if (!kong_cookie(header, len, name, name_len, &cookie)) {
        return;
    }

    if (name_len == 0 || cookie.data < header
        || cookie.data + cookie.len > header + len
        || (cookie.len != 0 && memchr(cookie.data, ';', cookie.len) != NULL))
    {
        abort();
    }

    if (kong_session_open(fuzz_key, fuzz_name, cookie.data, cookie.len,
                          &session))
    {
        abort();
    }
}


/* a good session behind the header, then the same with another byte */
static void
fuzz_sealed(const char *header, size_t len)
{
    char            *all, *at;
    size_t           n, i;
    kong_str_t       cookie;
    kong_session_t   session, opened;

    memset(&session, 0, sizeof(session));
    session.created = len;

    n = len + 6 + KONG_SESSION_TEXT;
    all = malloc(n);

    if (all == NULL) {
        return;
    }

    memcpy(all, header, len);
    memcpy(all + len, "; sid=", 6);
    at = all + len + 6;

    if (kong_session_seal(fuzz_key, fuzz_name, &session, at) != 0) {
        abort();
    }

    /* a cookie of that name may stand before it */

    if (kong_cookie(all, n, "sid", 3, &cookie) && cookie.data == at) {

        if (cookie.len != KONG_SESSION_TEXT
            || !kong_session_open(fuzz_key, fuzz_name, cookie.data,
                                  cookie.len, &opened)
            || opened.created != len)
        {
            abort();
        }

        i = len % KONG_SESSION_TEXT;
        at[i] = (at[i] == 'A') ? 'Q' : 'A';

        if (kong_session_open(fuzz_key, fuzz_name, at, KONG_SESSION_TEXT,
                              &opened))
        {
            abort();
        }
    }

    free(all);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char           *name, *header;
    size_t          n, len;
    const uint8_t  *end;

    end = memchr(data, '\0', size);
    n = end ? (size_t) (end - data) : 0;
    len = size - n - (end != NULL);

    name = malloc(n + 1);
    header = malloc(len ? len : 1);

    if (name != NULL && header != NULL) {
        memcpy(name, data, n);
        memcpy(header, data + size - len, len);

        fuzz_any(header, len, name, n);
        fuzz_any(header, len, "session", 7);
        fuzz_sealed(header, len);
    }

    free(name);
    free(header);

    return 0;
}
