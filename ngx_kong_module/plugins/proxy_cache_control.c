/*
 * proxy-cache: what may be kept, for how long, and who may have it: statuses
 * and media types of the configuration, Cache-Control of both sides, Expires,
 * Vary, Set-Cookie.
 */

#include "proxy_cache.h"


static ngx_uint_t proxy_cache_type_is(proxy_cache_conf_t *conf,
    ngx_str_t *text);
static ngx_int_t proxy_cache_response_ttl(ngx_http_request_t *r,
    time_t *ttl);
static ngx_int_t proxy_cache_response_vary(ngx_http_request_t *r,
    proxy_cache_state_t *state);


ngx_uint_t
proxy_cache_parse_type(ngx_str_t *text, proxy_cache_type_t *type)
{
    u_char     *p, *last, *end, *eq;
    ngx_str_t   part;

    ngx_memzero(type, sizeof(proxy_cache_type_t));

    last = text->data + text->len;

    for (p = text->data; p <= last; p = end + 1) {

        end = ngx_strlchr(p, last, ';');
        end = end ? end : last;

        part.data = p;
        part.len = end - p;

        while (part.len != 0 && (*part.data == ' ' || *part.data == '\t')) {
            part.data++;
            part.len--;
        }

        while (part.len != 0 && (part.data[part.len - 1] == ' '
                                 || part.data[part.len - 1] == '\t'))
        {
            part.len--;
        }

        eq = ngx_strlchr(part.data, part.data + part.len,
                         p == text->data ? '/' : '=');

        if (p == text->data) {
            if (eq == NULL) {
                return 0;
            }

            type->type.data = part.data;
            type->type.len = eq - part.data;
            type->subtype.data = eq + 1;
            type->subtype.len = part.data + part.len - eq - 1;
            continue;
        }

        if (eq == NULL) {
            continue;
        }

        if (type->n == PROXY_CACHE_PARAMS) {
            return 0;
        }

        type->names[type->n].data = part.data;
        type->names[type->n].len = eq - part.data;
        part.len -= eq + 1 - part.data;
        part.data = eq + 1;

        if (part.len >= 2 && part.data[0] == '"'
            && part.data[part.len - 1] == '"')
        {
            part.data++;
            part.len -= 2;
        }

        type->values[type->n++] = part;
    }

    return 1;
}


void
proxy_cache_request_control(ngx_http_request_t *r, kong_cache_control_t *cc)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    kong_cache_control_init(cc);

    for (part = &r->headers_in.headers.part; part != NULL; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].hash != 0
                && h[i].key.len == sizeof("cache-control") - 1
                && ngx_memcmp(h[i].lowcase_key, "cache-control",
                              sizeof("cache-control") - 1)
                   == 0)
            {
                kong_cache_control_parse(cc, (char *) h[i].value.data,
                                         h[i].value.len);
            }
        }
    }
}


ngx_uint_t
proxy_cache_fresh(proxy_cache_conf_t *conf, ngx_kong_cache_entry_t *entry,
    kong_cache_control_t *cc)
{
    time_t  age;

    age = ngx_time() - entry->stored;

    if (!conf->cache_control) {
        return age <= conf->ttl;
    }

    if (cc->max_age != KONG_CACHE_NONE && age > cc->max_age) {
        return 0;
    }

    if (cc->min_fresh != KONG_CACHE_NONE
        && entry->ttl - age < cc->min_fresh)
    {
        return 0;
    }

    return age - entry->ttl <= ngx_max(cc->max_stale, 0);
}


/* only what the upstream answered itself and in full */
ngx_uint_t
proxy_cache_cacheable(ngx_http_request_t *r, proxy_cache_conf_t *conf,
    proxy_cache_state_t *state)
{
    time_t                ttl;
    ngx_uint_t            i;
    ngx_http_kong_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    if (!ctx->proxied || ctx->answered || r->upstream == NULL
        || r->err_status != 0 || r->internal
        || r->headers_out.status == NGX_HTTP_PARTIAL_CONTENT
        || r->headers_out.status == NGX_HTTP_NOT_MODIFIED
        || r->headers_out.status < NGX_HTTP_OK)
    {
        return 0;
    }

    for (i = 0; i < conf->n_codes; i++) {
        if (conf->codes[i] == r->headers_out.status) {
            break;
        }
    }

    if (i == conf->n_codes
        || !proxy_cache_type_is(conf, &r->headers_out.content_type)
        || ngx_kong_header_out(r, "set-cookie", sizeof("set-cookie") - 1)
           != NULL)
    {
        return 0;
    }

    state->entry.ttl = conf->ttl;

    if (conf->cache_control) {
        if (proxy_cache_response_ttl(r, &ttl) != NGX_OK || ttl <= 0) {
            return 0;
        }

        state->entry.ttl = ttl;
    }

    return proxy_cache_response_vary(r, state) == NGX_OK;
}


static ngx_uint_t
proxy_cache_type_is(proxy_cache_conf_t *conf, ngx_str_t *text)
{
    ngx_uint_t           i, j, k;
    proxy_cache_type_t   type, *wanted;

    if (text->len == 0 || !proxy_cache_parse_type(text, &type)) {
        return 0;
    }

#define proxy_cache_same(a, b)                                                \
    ((a).len == (b).len                                                       \
     && ngx_strncasecmp((a).data, (b).data, (a).len) == 0)

#define proxy_cache_any(a)  ((a).len == 1 && (a).data[0] == '*')

    for (i = 0; i < conf->n_types; i++) {
        wanted = &conf->types[i];

        if ((!proxy_cache_any(wanted->type)
             && !proxy_cache_same(wanted->type, type.type))
            || (!proxy_cache_any(wanted->subtype)
                && !proxy_cache_same(wanted->subtype, type.subtype))
            || wanted->n != type.n)
        {
            continue;
        }

        for (j = 0; j < wanted->n; j++) {

            for (k = 0; k < type.n; k++) {
                if (proxy_cache_same(wanted->names[j], type.names[k])
                    && proxy_cache_same(wanted->values[j], type.values[k]))
                {
                    break;
                }
            }

            if (k == type.n) {
                break;
            }
        }

        if (j == wanted->n) {
            return 1;
        }
    }

#undef proxy_cache_same
#undef proxy_cache_any

    return 0;
}


/* NGX_DECLINED: the answer forbids it */
static ngx_int_t
proxy_cache_response_ttl(ngx_http_request_t *r, time_t *ttl)
{
    time_t                 at;
    ngx_uint_t             i;
    ngx_list_part_t       *part;
    ngx_table_elt_t       *h, *expires;
    kong_cache_control_t   cc;

    expires = NULL;
    kong_cache_control_init(&cc);

    for (part = &r->headers_out.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].hash == 0) {
                continue;
            }

            if (h[i].key.len == sizeof("Cache-Control") - 1
                && ngx_strncasecmp(h[i].key.data, (u_char *) "cache-control",
                                   h[i].key.len)
                   == 0)
            {
                kong_cache_control_parse(&cc, (char *) h[i].value.data,
                                         h[i].value.len);

            } else if (h[i].key.len == sizeof("Expires") - 1
                       && ngx_strncasecmp(h[i].key.data,
                                          (u_char *) "expires",
                                          h[i].key.len)
                          == 0)
            {
                expires = &h[i];
            }
        }
    }

    if (cc.private || cc.no_store || cc.no_cache) {
        return NGX_DECLINED;
    }

    *ttl = (cc.s_maxage != KONG_CACHE_NONE) ? cc.s_maxage : cc.max_age;

    if (*ttl == KONG_CACHE_NONE && expires != NULL) {
        at = ngx_parse_http_time(expires->value.data, expires->value.len);
        *ttl = (at == NGX_ERROR) ? 0 : at - ngx_time();
    }

    return NGX_OK;
}


/* notes the names, and this request's values of them */
static ngx_int_t
proxy_cache_response_vary(ngx_http_request_t *r, proxy_cache_state_t *state)
{
    u_char           *p;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;
    ngx_str_t        *names;

    names = &state->entry.names;

    names->len = 0;
    names->data = ngx_pnalloc(r->pool, NGX_KONG_CACHE_NAMES);
    if (names->data == NULL) {
        return NGX_ERROR;
    }

    for (part = &r->upstream->headers_in.headers.part; part;
         part = part->next)
    {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].key.len != sizeof("Vary") - 1
                || ngx_strncasecmp(h[i].key.data, (u_char *) "vary", 4) != 0)
            {
                continue;
            }

            if (ngx_strlchr(h[i].value.data, h[i].value.data + h[i].value.len,
                            '*')
                != NULL
                || names->len + h[i].value.len + 1 > NGX_KONG_CACHE_NAMES)
            {
                return NGX_DECLINED;
            }

            p = names->data + names->len;
            ngx_strlow(p, h[i].value.data, h[i].value.len);
            p[h[i].value.len] = ',';
            names->len += h[i].value.len + 1;
        }
    }

    state->entry.vary = proxy_cache_vary(r, names);

    return NGX_OK;
}
