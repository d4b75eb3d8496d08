/*
 * types: the checks that entities and plugins share; each returns NULL or a
 * sentence.  Texts are Kong's.
 */

#include <arpa/inet.h>
#include <string.h>

#include "types.h"


static bool types_all(const value_t *v, const char *extra);
static bool types_is_alnum(unsigned char c);
static bool types_is_hex(char c);
static const char *types_bad_percent(arena_t *a, const value_t *v);
static size_t utf8_sequence(const unsigned char *s, size_t left);
static const char *types_utf8(schema_ctx_t *ctx, const value_t *v);
static const char *types_sni(schema_ctx_t *ctx, const char *s, size_t len);


const char *const  types_protocols[] = {
    "grpc", "grpcs", "http", "https", "tcp", "tls", "tls_passthrough", "udp",
    NULL
};

const field_t  types_tag = {
    .type = FIELD_STRING, .flags = F_REQUIRED, .check = check_tag
};


const char *
check_name(schema_ctx_t *ctx, const field_t *f, const value_t *v)
{
    size_t         i;
    const char    *err;
    unsigned char  c;

    (void) f;

    err = types_utf8(ctx, v);
    if (err != NULL) {
        return err;
    }

    for (i = 0; i < v->len; i++) {
        c = (unsigned char) v->u.string[i];

        if (!types_is_alnum(c) && c < 0x80 && c != '.' && c != '-'
            && c != '_' && c != '~')
        {
            return arena_printf(ctx->arena, "invalid value '%s': the only "
                                "accepted ascii characters are "
                                "alphanumerics or ., -, _, and ~",
                                v->u.string);
        }
    }

    return NULL;
}


const char *
check_tag(schema_ctx_t *ctx, const field_t *f, const value_t *v)
{
    size_t         i;
    const char    *err;
    unsigned char  c;

    (void) f;

    err = types_utf8(ctx, v);
    if (err != NULL) {
        return err;
    }

    for (i = 0; i < v->len; i++) {
        c = (unsigned char) v->u.string[i];

        if (c < ' ' || c == 0x7f || c == ',' || c == '/') {
            return arena_printf(ctx->arena, "invalid tag '%s': expected "
                                "printable ascii (except `,` and `/`) or "
                                "valid utf-8 sequences", v->u.string);
        }
    }

    return NULL;
}


const char *
check_host(schema_ctx_t *ctx, const field_t *f, const value_t *v)
{
    host_t         host;
    host_result_t  rc;

    (void) f;

    rc = host_parse(v->u.string, v->len, &host);

    if (rc == HOST_INVALID) {
        return arena_printf(ctx->arena, "invalid value: %s", v->u.string);
    }

    if (rc == HOST_BAD_PORT || host.port >= 0) {
        return "must not have a port";
    }

    return NULL;
}


const char *
check_host_with_optional_port(schema_ctx_t *ctx, const field_t *f,
    const value_t *v)
{
    host_t         host;
    host_result_t  rc;

    (void) f;

    rc = host_parse(v->u.string, v->len, &host);

    return rc == HOST_OK ? NULL
                         : host_error(ctx->arena, rc, v->u.string, v->len);
}


/* the wildcard is judged as if it were a word */

const char *
check_wildcard_host(schema_ctx_t *ctx, const field_t *f, const value_t *v)
{
    size_t       at;
    const char  *star, *text;

    (void) f;

    star = memchr(v->u.string, '*', v->len);
    if (star == NULL) {
        return types_sni(ctx, v->u.string, v->len);
    }

    at = (size_t) (star - v->u.string);

    if (at != 0 && at != v->len - 1) {
        return "wildcard must be leftmost or rightmost character";
    }

    if (memchr(star + 1, '*', v->len - at - 1) != NULL) {
        return "only one wildcard must be specified";
    }

    text = arena_printf(ctx->arena, "%.*swildcard%s", (int) at, v->u.string,
                        star + 1);

    return types_sni(ctx, text, strlen(text));
}


const char *
check_sni(schema_ctx_t *ctx, const field_t *f, const value_t *v)
{
    (void) f;

    return types_sni(ctx, v->u.string, v->len);
}


static const char *
types_sni(schema_ctx_t *ctx, const char *s, size_t len)
{
    host_t         host;
    host_result_t  rc;

    rc = host_parse(s, len, &host);

    if (rc == HOST_INVALID) {
        return arena_printf(ctx->arena, "invalid value: %s", s);
    }

    if (host.kind != HOST_NAME) {
        return "must not be an IP";
    }

    if (rc == HOST_BAD_PORT || host.port >= 0) {
        return "must not have a port";
    }

    return NULL;
}


const char *
check_ip_or_cidr(schema_ctx_t *ctx, const field_t *f, const value_t *v)
{
    int          family;
    char         address[64], bytes[16];
    size_t       len, digits;
    unsigned     bits;
    const char  *slash;

    (void) f;

    slash = memchr(v->u.string, '/', v->len);
    len = slash == NULL ? v->len : (size_t) (slash - v->u.string);

    if (len >= sizeof(address) || memchr(v->u.string, '\0', v->len)) {
        goto bad;
    }

    memcpy(address, v->u.string, len);
    address[len] = '\0';

    family = strchr(address, ':') == NULL ? AF_INET : AF_INET6;

    if (inet_pton(family, address, bytes) != 1) {
        goto bad;
    }

    if (slash == NULL) {
        return NULL;
    }

    bits = 0;
    digits = v->len - len - 1;

    if (digits == 0 || digits > 3 || (digits > 1 && slash[1] == '0')) {
        goto bad;
    }

    while (digits-- > 0) {
        slash++;

        if (*slash < '0' || *slash > '9') {
            goto bad;
        }

        bits = bits * 10 + (unsigned) (*slash - '0');
    }

    if (bits <= (family == AF_INET ? 32u : 128u)) {
        return NULL;
    }

bad:

    return arena_printf(ctx->arena, "invalid ip or cidr range: '%s'",
                        v->u.string);
}


const char *
check_path(schema_ctx_t *ctx, const field_t *f, const value_t *v)
{
    size_t  i;

    (void) f;

    if (v->len == 0 || v->u.string[0] != '/') {
        return "should start with: /";
    }

    for (i = 1; i < v->len; i++) {
        if (v->u.string[i] == '/' && v->u.string[i - 1] == '/') {
            return "must not have empty segments";
        }
    }

    if (!types_all(v, "-._~/%:@!$&'()*+,;=")) {
        return arena_printf(ctx->arena, "invalid path: '%s' (characters "
                            "outside of the reserved list of RFC 3986 "
                            "found)", v->u.string);
    }

    return types_bad_percent(ctx->arena, v);
}


const char *
check_url(schema_ctx_t *ctx, const field_t *f, const value_t *v)
{
    url_t  url;

    (void) ctx;
    (void) f;

    url_parse(v->u.string, v->len, &url);

    if (url.host == NULL) {
        return "missing host in url";
    }

    if (url.scheme == NULL) {
        return "missing scheme in url";
    }

    return NULL;
}


const char *
check_header_name(schema_ctx_t *ctx, const field_t *f, const value_t *v)
{
    (void) f;

    if (types_all(v, "-_")) {
        return NULL;
    }

    return arena_printf(ctx->arena, "bad header name '%s', allowed "
                        "characters are A-Z, a-z, 0-9, '_', and '-'",
                        v->u.string);
}


const char *
check_cookie_name(schema_ctx_t *ctx, const field_t *f, const value_t *v)
{
    (void) f;

    if (types_all(v, "!#$%&'*+-.^_`|~")) {
        return NULL;
    }

    return arena_printf(ctx->arena, "bad cookie name '%s', allowed "
                        "characters are A-Z, a-z, 0-9, '_', and '-'",
                        v->u.string);
}


/* letters, digits and `extra` only */

static bool
types_all(const value_t *v, const char *extra)
{
    size_t         i;
    unsigned char  c;

    for (i = 0; i < v->len; i++) {
        c = (unsigned char) v->u.string[i];

        if (!types_is_alnum(c) && (c == '\0' || strchr(extra, c) == NULL)) {
            return false;
        }
    }

    return true;
}


static bool
types_is_alnum(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9');
}


static const char *
types_bad_percent(arena_t *a, const value_t *v)
{
    size_t       left;
    const char  *p, *end;

    p = v->u.string;
    end = p + v->len;

    while ((p = memchr(p, '%', (size_t) (end - p))) != NULL) {
        left = (size_t) (end - p);

        if (left < 3 || !types_is_hex(p[1]) || !types_is_hex(p[2])) {
            return arena_printf(a, "invalid url-encoded value: '%.*s'",
                                (int) (left < 3 ? left : 3), p);
        }

        p += 3;
    }

    return NULL;
}


static bool
types_is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')
           || (c >= 'A' && c <= 'F');
}


static const char *
types_utf8(schema_ctx_t *ctx, const value_t *v)
{
    size_t  at;

    at = utf8_check(v->u.string, v->len);

    if (at == 0) {
        return NULL;
    }

    return arena_printf(ctx->arena, "invalid utf-8 character sequence "
                        "detected at position %zu", at);
}


size_t
utf8_check(const char *s, size_t len)
{
    size_t  i, n;

    for (i = 0; i < len; i += n) {
        if ((unsigned char) s[i] < 0x80) {
            n = 1;
            continue;
        }

        n = utf8_sequence((const unsigned char *) s + i, len - i);

        if (n == 0) {
            return i + 1;
        }
    }

    return 0;
}


/* bytes of a sequence that is neither overlong nor a surrogate, or 0 */

static size_t
utf8_sequence(const unsigned char *s, size_t left)
{
    size_t         n, i;
    unsigned char  low, high;

    low = 0x80;
    high = 0xbf;

    if (s[0] >= 0xc2 && s[0] <= 0xdf) {
        n = 2;

    } else if (s[0] >= 0xe0 && s[0] <= 0xef) {
        n = 3;
        low = s[0] == 0xe0 ? 0xa0 : 0x80;
        high = s[0] == 0xed ? 0x9f : 0xbf;

    } else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
        n = 4;
        low = s[0] == 0xf0 ? 0x90 : 0x80;
        high = s[0] == 0xf4 ? 0x8f : 0xbf;

    } else {
        return 0;
    }

    if (left < n || s[1] < low || s[1] > high) {
        return 0;
    }

    for (i = 2; i < n; i++) {
        if (s[i] < 0x80 || s[i] > 0xbf) {
            return 0;
        }
    }

    return n;
}
