/*
 * route_types: hosts with wildcards, prefix and regex paths, SNIs by router
 * flavor, families of protocols.
 */

#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH  8
#include <pcre2.h>

#include "../../ngx_kong_module/snapshot/kong_path.h"
#include "route_types.h"
#include "types.h"


static const char *route_check_prefix(schema_ctx_t *ctx, const value_t *v);
static const char *route_check_regex(schema_ctx_t *ctx, const char *re,
    size_t len);
static bool route_wildcard_in_place(const char *s, size_t len, size_t at);


const char *
route_check_host(schema_ctx_t *ctx, const field_t *f, const value_t *v)
{
    size_t       at;
    value_t      plain;
    const char  *star;

    star = memchr(v->u.string, '*', v->len);
    if (star == NULL) {
        return check_host_with_optional_port(ctx, f, v);
    }

    at = (size_t) (star - v->u.string);

    if (memchr(star + 1, '*', v->len - at - 1) != NULL) {
        return "invalid wildcard: must have at most one wildcard";
    }

    if (!route_wildcard_in_place(v->u.string, v->len, at)) {
        return "invalid wildcard: must be placed at leftmost or rightmost "
               "label";
    }

    memset(&plain, 0, sizeof(value_t));
    value_printf(ctx->arena, &plain, "%.*sabc%s", (int) at, v->u.string,
                 star + 1);

    return check_host_with_optional_port(ctx, f, &plain);
}


/* "*.x" or "x.*", a port may follow */

static bool
route_wildcard_in_place(const char *s, size_t len, size_t at)
{
    size_t  i;

    if (at == 0) {
        return len > 1 && s[1] == '.';
    }

    if (s[at - 1] != '.') {
        return false;
    }

    if (at + 1 == len) {
        return true;
    }

    if (s[at + 1] != ':' || at + 2 == len) {
        return false;
    }

    for (i = at + 2; i < len; i++) {
        if (s[i] < '0' || s[i] > '9') {
            return false;
        }
    }

    return true;
}


const char *
route_check_path(schema_ctx_t *ctx, const field_t *f, const value_t *v)
{
    size_t  i;
    bool    regex;

    (void) f;

    regex = v->len > 1 && v->u.string[0] == '~' && v->u.string[1] == '/';

    if (!regex && (v->len == 0 || v->u.string[0] != '/')) {
        return "should start with: / (fixed path) or ~/ (regex path)";
    }

    for (i = 1; i < v->len; i++) {
        if (v->u.string[i] == '/' && v->u.string[i - 1] == '/') {
            return "must not have empty segments";
        }
    }

    if (regex) {
        return route_check_regex(ctx, v->u.string + 1, v->len - 1);
    }

    return route_check_prefix(ctx, v);
}


static const char *
route_check_prefix(schema_ctx_t *ctx, const value_t *v)
{
    char        *normal;
    size_t       len;
    const char  *err;

    if (memchr(v->u.string, '%', v->len) != NULL) {

        /* characters outside of RFC 3986 are no error here */

        err = check_path(ctx, NULL, v);

        if (err != NULL && strncmp(err, "invalid url-encoded", 19) == 0) {
            return err;
        }
    }

    if (kong_path_is_normal(v->u.string, v->len)) {
        return NULL;
    }

    normal = arena_alloc(ctx->arena, v->len + 1);
    len = kong_path_normalize(v->u.string, v->len, normal);
    normal[len] = '\0';

    if (len == v->len && memcmp(normal, v->u.string, len) == 0) {
        return NULL;
    }

    return arena_printf(ctx->arena, "non-normalized path, consider use '%s' "
                        "instead", normal);
}


static const char *
route_check_regex(schema_ctx_t *ctx, const char *re, size_t len)
{
    int          code;
    size_t       at;
    char         text[256];
    pcre2_code  *compiled;

    compiled = pcre2_compile((PCRE2_SPTR) re, len, 0, &code, &at, NULL);

    if (compiled != NULL) {
        pcre2_code_free(compiled);
        return NULL;
    }

    if (pcre2_get_error_message(code, (PCRE2_UCHAR *) text, sizeof(text)) < 0)
    {
        text[0] = '\0';
    }

    if (at >= len) {
        return arena_printf(ctx->arena, "invalid regex: '%s' (PCRE returned: "
                            "pcre2_compile() failed: %s in \"%s\")",
                            re, text, re);
    }

    return arena_printf(ctx->arena, "invalid regex: '%s' (PCRE returned: "
                        "pcre2_compile() failed: %s in \"%s\" at \"%s\")",
                        re, text, re, re + at);
}


/* only the flavor "traditional" has no wildcards here */

const char *
route_check_sni(schema_ctx_t *ctx, const field_t *f, const value_t *v)
{
    if (ctx->router_flavor != NULL
        && strcmp(ctx->router_flavor, "traditional") == 0)
    {
        return check_sni(ctx, f, v);
    }

    return check_wildcard_host(ctx, f, v);
}


const char *
route_check_families(schema_ctx_t *ctx, const field_t *f, const value_t *v)
{
    int          family, first, second;
    size_t       i, j;

    static const char *const  quoted[] = {
        "('http', 'https')", "('tcp', 'tls', 'udp')", "('tls_passthrough')",
        "('grpc', 'grpcs')"
    };

    static const struct {
        const char  *name;
        int          family;
    } protocols[] = {
        { "http", 0 }, { "https", 0 }, { "tcp", 1 }, { "tls", 1 },
        { "udp", 1 }, { "tls_passthrough", 2 }, { "grpc", 3 },
        { "grpcs", 3 }
    };

    (void) f;

    first = -1;
    second = -1;

    for (i = 0; i < v->len; i++) {
        family = -1;

        for (j = 0; j < sizeof(protocols) / sizeof(protocols[0]); j++) {
            if (value_str_eq(&v->u.items[i], protocols[j].name)) {
                family = protocols[j].family;
                break;
            }
        }

        if (family < 0 || family == first) {
            continue;
        }

        if (first < 0) {
            first = family;

        } else {
            second = family;
            break;
        }
    }

    if (second < 0) {
        return NULL;
    }

    if (second < first) {
        family = first;
        first = second;
        second = family;
    }

    return arena_printf(ctx->arena, "these sets are mutually exclusive: "
                        "%s, %s", quoted[first], quoted[second]);
}


const char *
route_check_grpc_strip(schema_ctx_t *ctx, const field_t *f, const value_t *v)
{
    (void) ctx;
    (void) f;

    if (v->u.boolean) {
        return "cannot set 'strip_path' when 'protocols' is 'grpc' or "
               "'grpcs'";
    }

    return NULL;
}
