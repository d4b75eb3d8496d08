/*
 * proxy-cache: which requests are the same one.  The key is the hash of
 * Kong's text; a second hash, compared besides, takes in what that text runs
 * together or leaves out.
 */

#include "proxy_cache.h"

#include <openssl/sha.h>

#define XXH_INLINE_ALL
#include <xxhash.h>


typedef struct {
    ngx_str_t               name;
    ngx_str_t               value;
    unsigned                bare:1;      /* no "=" */
} proxy_cache_arg_t;


static u_char *proxy_cache_key_prefix(ngx_http_request_t *r, u_char *p);
static u_char *proxy_cache_key_line(ngx_http_request_t *r,
    proxy_cache_conf_t *conf, u_char *p);
static u_char *proxy_cache_key_args(proxy_cache_conf_t *conf,
    proxy_cache_arg_t *args, ngx_uint_t n, u_char *p, uint64_t *extra);
static u_char *proxy_cache_key_arg(proxy_cache_arg_t *args, ngx_uint_t n,
    ngx_str_t *name, u_char *begin, u_char *p, uint64_t *extra);
static u_char *proxy_cache_key_headers(ngx_http_request_t *r,
    proxy_cache_conf_t *conf, u_char *p, uint64_t *extra);
static ngx_int_t proxy_cache_args(ngx_http_request_t *r,
    proxy_cache_arg_t **list, ngx_uint_t *n);
static int proxy_cache_arg_cmp(const void *one, const void *two);
static ngx_int_t proxy_cache_str_cmp(ngx_str_t *a, ngx_str_t *b);
static void proxy_cache_mix(uint64_t *hash, ngx_str_t *text);
static void proxy_cache_who(ngx_http_request_t *r, uint64_t *extra);
static void proxy_cache_mix_header(ngx_http_request_t *r, const u_char *lower,
    size_t len, uint64_t *hash);


/* Kong's text, hashed: prefix|METHOD|request line|arguments|headers */
ngx_int_t
proxy_cache_key(ngx_http_request_t *r, proxy_cache_conf_t *conf,
    proxy_cache_state_t *state, ngx_str_t *body)
{
    u_char             *p, *text;
    size_t              size;
    ngx_uint_t          i, n;
    ngx_list_part_t    *part;
    ngx_table_elt_t    *h;
    proxy_cache_arg_t  *args;

    if (proxy_cache_args(r, &args, &n) != NGX_OK) {
        return NGX_ERROR;
    }

    size = 3 * 37 + r->method_name.len + r->request_line.len;

    for (i = 0; i < n; i++) {
        size += args[i].name.len + args[i].value.len + 2;
    }

    for (part = &r->headers_in.headers.part; part != NULL; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            size += h[i].key.len + h[i].value.len + 2;
        }
    }

    /* a name may be configured more than once */
    size *= 1 + conf->n_params + conf->n_headers;

    text = ngx_pnalloc(r->pool, size);
    if (text == NULL) {
        return NGX_ERROR;
    }

    p = proxy_cache_key_prefix(r, text);
    *p++ = '|';
    p = ngx_cpymem(p, r->method_name.data, r->method_name.len);
    *p++ = '|';
    p = proxy_cache_key_line(r, conf, p);
    *p++ = '|';
    p = proxy_cache_key_args(conf, args, n, p, &state->entry.extra);
    *p++ = '|';
    p = proxy_cache_key_headers(r, conf, p, &state->entry.extra);

    SHA256(text, p - text, state->entry.key);
    ngx_hex_dump(state->hex, state->entry.key, NGX_KONG_CACHE_KEY);
    state->has_key = 1;

    proxy_cache_who(r, &state->entry.extra);
    proxy_cache_mix(&state->entry.extra, body);

    return NGX_OK;
}


static u_char *
proxy_cache_key_prefix(ngx_http_request_t *r, u_char *p)
{
    ngx_http_kong_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    if (ctx->consumer != KONG_NONE) {
        kong_uuid_text(kong_consumer(&ctx->generation->config->seg,
                                     ctx->consumer)->id, (char *) p);
        p += 36;
        *p++ = ':';
    }

    kong_uuid_text(ctx->route->id, (char *) p);

    return p + 36;
}


/* up to the "?": with a query the version is cut off, too, as Kong does it */
static u_char *
proxy_cache_key_line(ngx_http_request_t *r, proxy_cache_conf_t *conf,
    u_char *p)
{
    u_char  *query;
    size_t   len;

    len = r->request_line.len;
    query = ngx_strlchr(r->request_line.data, r->request_line.data + len,
                        '?');

    if (query != NULL) {
        len = query - r->request_line.data;
    }

    if (conf->ignore_case) {
        ngx_strlow(p, r->request_line.data, len);
        return p + len;
    }

    return ngx_cpymem(p, r->request_line.data, len);
}


static u_char *
proxy_cache_key_args(proxy_cache_conf_t *conf, proxy_cache_arg_t *args,
    ngx_uint_t n, u_char *p, uint64_t *extra)
{
    u_char      *begin;
    ngx_uint_t   i;

    begin = p;

    if (conf->n_params != 0) {
        for (i = 0; i < conf->n_params; i++) {
            p = proxy_cache_key_arg(args, n, &conf->params[i], begin, p,
                                    extra);
        }

        return p;
    }

    for (i = 0; i < n; i++) {
        if (i == 0
            || proxy_cache_str_cmp(&args[i].name, &args[i - 1].name) != 0)
        {
            p = proxy_cache_key_arg(args + i, n - i, &args[i].name, begin, p,
                                    extra);
        }
    }

    return p;
}


/* "name=value,value"; the list is sorted */
static u_char *
proxy_cache_key_arg(proxy_cache_arg_t *args, ngx_uint_t n, ngx_str_t *name,
    u_char *begin, u_char *p, uint64_t *extra)
{
    ngx_uint_t  i, found;

    found = 0;

    for (i = 0; i < n; i++) {

        if (proxy_cache_str_cmp(&args[i].name, name) != 0) {
            if (found) {
                break;
            }

            continue;
        }

        if (!found) {
            if (p != begin) {
                *p++ = ':';
            }

            p = ngx_cpymem(p, name->data, name->len);
            proxy_cache_mix(extra, name);
        }

        if (!args[i].bare || found) {
            *p++ = found ? ',' : '=';
        }

        p = ngx_cpymem(p, args[i].value.data, args[i].value.len);

        *extra += args[i].bare;
        proxy_cache_mix(extra, &args[i].value);
        found = 1;
    }

    return p;
}


static u_char *
proxy_cache_key_headers(ngx_http_request_t *r, proxy_cache_conf_t *conf,
    u_char *p, uint64_t *extra)
{
    u_char           *begin;
    ngx_uint_t        i, j, found;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    begin = p;

    for (i = 0; i < conf->n_headers; i++) {

        found = 0;

        for (part = &r->headers_in.headers.part; part; part = part->next) {
            h = part->elts;

            for (j = 0; j < part->nelts; j++) {

                if (h[j].hash == 0 || h[j].key.len != conf->lower[i].len
                    || ngx_memcmp(h[j].lowcase_key, conf->lower[i].data,
                                  h[j].key.len)
                       != 0)
                {
                    continue;
                }

                if (!found) {
                    if (p != begin) {
                        *p++ = ':';
                    }

                    p = ngx_cpymem(p, conf->headers[i].data,
                                   conf->headers[i].len);
                    proxy_cache_mix(extra, &conf->lower[i]);
                }

                *p++ = found ? ',' : '=';
                p = ngx_cpymem(p, h[j].value.data, h[j].value.len);
                proxy_cache_mix(extra, &h[j].value);
                found = 1;
            }
        }
    }

    return p;
}


/* sorted by name, then by value */
static ngx_int_t
proxy_cache_args(ngx_http_request_t *r, proxy_cache_arg_t **list,
    ngx_uint_t *n)
{
    u_char               *p, *last, *end, *eq, *dst, *src;
    ngx_str_t             args;
    ngx_uint_t            i;
    proxy_cache_arg_t    *arg;
    ngx_http_kong_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);
    args = ctx->has_args ? ctx->args : r->args;

    *n = 0;
    *list = NULL;

    if (args.len == 0) {
        return NGX_OK;
    }

    for (i = 0, *n = 1; i < args.len; i++) {
        *n += (args.data[i] == '&');
    }

    arg = ngx_pcalloc(r->pool, *n * sizeof(proxy_cache_arg_t));
    dst = ngx_pnalloc(r->pool, args.len);

    if (arg == NULL || dst == NULL) {
        return NGX_ERROR;
    }

    *list = arg;
    *n = 0;
    last = args.data + args.len;

    for (p = args.data; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, '&');
        end = end ? end : last;

        eq = ngx_strlchr(p, end, '=');

        src = p;
        arg->name.data = dst;
        ngx_unescape_uri(&dst, &src, (eq ? eq : end) - p, 0);
        arg->name.len = dst - arg->name.data;

        arg->bare = (eq == NULL);
        arg->value.data = dst;

        if (eq != NULL) {
            src = eq + 1;
            ngx_unescape_uri(&dst, &src, end - src, 0);
        }

        arg->value.len = dst - arg->value.data;

        if (arg->name.len != 0) {
            arg++;
            (*n)++;
        }
    }

    ngx_qsort(*list, *n, sizeof(proxy_cache_arg_t), proxy_cache_arg_cmp);

    return NGX_OK;
}


static int
proxy_cache_arg_cmp(const void *one, const void *two)
{
    ngx_int_t           rc;
    proxy_cache_arg_t  *a = (proxy_cache_arg_t *) one;
    proxy_cache_arg_t  *b = (proxy_cache_arg_t *) two;

    rc = proxy_cache_str_cmp(&a->name, &b->name);

    return (int) (rc != 0 ? rc : proxy_cache_str_cmp(&a->value, &b->value));
}


static ngx_int_t
proxy_cache_str_cmp(ngx_str_t *a, ngx_str_t *b)
{
    return ngx_memn2cmp(a->data, b->data, a->len, b->len);
}


/* lengths count, so that texts cannot run into one another */
static void
proxy_cache_mix(uint64_t *hash, ngx_str_t *text)
{
    uint64_t  both[2];

    both[0] = *hash ^ text->len;
    both[1] = XXH3_64bits_withSeed(text->data, text->len, *hash);

    *hash = XXH3_64bits(both, sizeof(both));
}


/* a caller without a consumer is one all the same */
static void
proxy_cache_who(ngx_http_request_t *r, uint64_t *extra)
{
    ngx_http_kong_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    if (ctx->consumer == KONG_NONE) {
        proxy_cache_mix(extra, &ctx->identifier);
    }

    proxy_cache_mix_header(r, (u_char *) "authorization",
                           sizeof("authorization") - 1, extra);
    proxy_cache_mix_header(r, (u_char *) "x-authenticated-groups",
                           sizeof("x-authenticated-groups") - 1, extra);

    if ((ctx->route->flags & KONG_ROUTE_PRESERVE_HOST)
        && r->headers_in.host != NULL)
    {
        proxy_cache_mix(extra, &r->headers_in.host->value);
    }
}


static void
proxy_cache_mix_header(ngx_http_request_t *r, const u_char *lower, size_t len,
    uint64_t *hash)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_in.headers.part; part != NULL; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].hash != 0 && h[i].key.len == len
                && ngx_strncasecmp(h[i].lowcase_key, (u_char *) lower, len)
                   == 0)
            {
                proxy_cache_mix(hash, &h[i].value);
            }
        }
    }

    *hash = XXH3_64bits(hash, sizeof(uint64_t));
}


uint64_t
proxy_cache_vary(void *data, ngx_str_t *names)
{
    ngx_http_request_t  *r = data;

    u_char    *p, *last, *begin;
    uint64_t   hash;

    hash = 0;
    p = names->data;
    last = p + names->len;

    while (p < last) {

        if (*p == ' ' || *p == ',' || *p == '\t') {
            p++;
            continue;
        }

        begin = p;

        while (p < last && *p != ' ' && *p != ',' && *p != '\t') {
            p++;
        }

        proxy_cache_mix_header(r, begin, p - begin, &hash);
    }

    return hash;
}
