/*
 * kong_authorization: see kong_authorization.h.
 */

#include <string.h>
#include <strings.h>

#include "kong_authorization.h"


static int authorization_pair(const char *p, const char *last, uint8_t *buf,
    kong_str_t *user, kong_str_t *password);
static const char *authorization_scheme(const char *p, const char *last,
    const char *scheme);
static const char *authorization_blanks(const char *p, const char *last);
static const char *authorization_param(const char *p, const char *last,
    const char *name, kong_str_t *value);


int
kong_bearer(const char *value, size_t len, kong_str_t *token)
{
    const char  *p, *last, *start;

    last = value + len;
    start = authorization_scheme(value, last, "bearer");

    if (start == NULL) {
        return 0;
    }

    p = authorization_blanks(start, last);

    if (p == start || p == last) {
        return 0;
    }

    token->data = p;
    token->len = (size_t) (last - p);

    return 1;
}


int
kong_basic(const char *value, size_t len, uint8_t *buf, kong_str_t *user,
    kong_str_t *password)
{
    const char  *p, *last;

    last = value + len;
    p = authorization_scheme(value, last, "basic");

    if (p == NULL) {
        return 0;
    }

    return authorization_pair(authorization_blanks(p, last), last, buf, user,
                              password);
}


int
kong_user_password(const char *value, size_t len, kong_str_t scheme,
    uint8_t *buf, kong_str_t *user, kong_str_t *password)
{
    const char  *p, *start, *last;

    last = value + len;
    p = authorization_blanks(value, last);

    if ((size_t) (last - p) < scheme.len
        || strncasecmp(p, scheme.data, scheme.len) != 0)
    {
        return 0;
    }

    start = p + scheme.len;
    p = authorization_blanks(start, last);

    return p != start && authorization_pair(p, last, buf, user, password)
           && password->len != 0;
}


int
kong_hmac(const char *value, size_t len, kong_hmac_t *hmac)
{
    const char  *p, *last;

    last = value + len;
    p = authorization_scheme(value, last, "hmac");

    if (p == NULL) {
        return 0;
    }

    p = authorization_param(p, last, "username=\"", &hmac->username);

    if (p == NULL || p == last || *p != ',') {
        return 0;
    }

    p = authorization_param(p + 1, last, "algorithm=\"", &hmac->algorithm);

    if (p == NULL || p == last || *p != ',') {
        return 0;
    }

    p = authorization_param(p + 1, last, "headers=\"", &hmac->headers);

    if (p == NULL || p == last || *p != ',') {
        return 0;
    }

    return authorization_param(p + 1, last, "signature=\"", &hmac->signature)
           != NULL;
}


int
kong_hmac_header(kong_str_t *list, kong_str_t *name)
{
    const char  *p, *last;

    last = list->data + list->len;
    p = authorization_blanks(list->data, last);

    if (p == last) {
        return 0;
    }

    name->data = p;

    while (p < last && *p != ' ' && *p != '\t') {
        p++;
    }

    name->len = (size_t) (p - name->data);
    list->data = p;
    list->len = (size_t) (last - p);

    return 1;
}


int
kong_cookie(const char *value, size_t len, const char *name, size_t name_len,
    kong_str_t *cookie)
{
    const char  *p, *last, *start;

    last = value + len;
    p = value;

    while (p < last) {
        p = authorization_blanks(p, last);
        start = p;

        while (p < last && *p != '=' && *p != ';' && *p != ',') {
            p++;
        }

        if (p < last && *p == '=' && name_len != 0
            && (size_t) (p - start) >= name_len
            && strncasecmp(start, name, name_len) == 0
            && authorization_blanks(start + name_len, p) == p)
        {
            p = authorization_blanks(p + 1, last);
            start = memchr(p, ';', (size_t) (last - p));

            cookie->data = p;
            cookie->len = (size_t) ((start ? start : last) - p);

            return 1;
        }

        while (p < last && *p != ';' && *p != ',') {
            p++;
        }

        if (p < last) {
            p++;
        }
    }

    return 0;
}


/* base64 of "user:password" */
static int
authorization_pair(const char *p, const char *last, uint8_t *buf,
    kong_str_t *user, kong_str_t *password)
{
    ssize_t      n;
    const char  *colon;

    n = kong_base64_decode(p, (size_t) (last - p), KONG_BASE64_STD, buf);

    if (n <= 0) {
        return 0;
    }

    colon = memchr(buf, ':', (size_t) n);

    if (colon == NULL || colon == (char *) buf) {
        return 0;
    }

    user->data = (char *) buf;
    user->len = (size_t) (colon - (char *) buf);
    password->data = colon + 1;
    password->len = (size_t) n - user->len - 1;

    return 1;
}


/* behind the scheme, or NULL; `scheme` is in lower case */
static const char *
authorization_scheme(const char *p, const char *last, const char *scheme)
{
    size_t  len;

    len = strlen(scheme);
    p = authorization_blanks(p, last);

    if ((size_t) (last - p) < len || (*p | 0x20) != scheme[0]
        || memcmp(p + 1, scheme + 1, len - 1) != 0)
    {
        return NULL;
    }

    return p + len;
}


static const char *
authorization_blanks(const char *p, const char *last)
{
    while (p < last && (*p == ' ' || *p == '\t')) {
        p++;
    }

    return p;
}


/* behind the closing quote, or NULL; the value is never empty */
static const char *
authorization_param(const char *p, const char *last, const char *name,
    kong_str_t *value)
{
    size_t       len;
    const char  *quote;

    len = strlen(name);
    p = authorization_blanks(p, last);

    if ((size_t) (last - p) < len || memcmp(p, name, len) != 0) {
        return NULL;
    }

    p += len;
    quote = memchr(p, '"', (size_t) (last - p));

    if (quote == NULL || quote == p) {
        return NULL;
    }

    value->data = p;
    value->len = (size_t) (quote - p);

    return quote + 1;
}
