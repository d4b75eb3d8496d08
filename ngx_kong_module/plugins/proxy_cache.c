/*
 * proxy-cache, strategy memory: answers in the zone `kong_cache`.  The key
 * shown is Kong's; what it does not tell apart but must (who asks, the exact
 * arguments, the headers an answer varies on) is compared besides.
 *
 * What is kept are the upstream's own headers: those that other plugins add
 * are made anew for every answer.
 */

#include "ngx_kong_plugin.h"
#include "kong_cache_control.h"
#include "../zone/ngx_kong_cache.h"

#include <openssl/sha.h>

#define XXH_INLINE_ALL
#include <xxhash.h>


#define PROXY_CACHE_BODY_MAX  (1024 * 1024)
#define PROXY_CACHE_HEX       (2 * NGX_KONG_CACHE_KEY)
#define PROXY_CACHE_PARAMS    8          /* of a media type */


typedef struct {
    ngx_str_t               type;        /* lower case; empty: any */
    ngx_str_t               subtype;
    ngx_str_t               names[PROXY_CACHE_PARAMS];
    ngx_str_t               values[PROXY_CACHE_PARAMS];
    ngx_uint_t              n;
} proxy_cache_type_t;

typedef struct {
    ngx_shm_zone_t         *zone;
    ngx_uint_t              methods;     /* NGX_HTTP_GET ... */
    ngx_uint_t             *codes;
    ngx_uint_t              n_codes;
    proxy_cache_type_t     *types;
    ngx_uint_t              n_types;
    ngx_str_t              *params;      /* empty: all */
    ngx_uint_t              n_params;
    ngx_str_t              *headers;     /* names as configured */
    ngx_str_t              *lower;
    ngx_uint_t              n_headers;
    time_t                  ttl;
    time_t                  storage_ttl; /* 0: as the ttl */
    unsigned                cache_control:1;
    unsigned                ignore_case:1;
    unsigned                show_age:1;
    unsigned                show_status:1;
    unsigned                show_key:1;
} proxy_cache_conf_t;

typedef struct {
    ngx_str_t               name;
    ngx_str_t               value;
    unsigned                bare:1;      /* no "=" */
} proxy_cache_arg_t;

typedef struct {
    ngx_kong_cache_entry_t  entry;
    u_char                  hex[PROXY_CACHE_HEX];
    const char             *status;      /* "Hit", "Miss" ... */
    ngx_chain_t            *body;
    ngx_chain_t           **last;
    size_t                  size;
    off_t                   length;      /* the whole body's, -1: not known */
    unsigned                has_key:1;
    unsigned                hit:1;
    unsigned                wanted:1;    /* an answer may be kept */
    unsigned                storing:1;
} proxy_cache_state_t;


static void *proxy_cache_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool);
static ngx_int_t proxy_cache_prepare_lists(ngx_kong_instance_t *in,
    ngx_pool_t *pool, proxy_cache_conf_t *conf);
static ngx_uint_t proxy_cache_parse_type(ngx_str_t *text,
    proxy_cache_type_t *type);
static ngx_int_t proxy_cache_access(ngx_http_request_t *r,
    ngx_kong_run_t *run);
static ngx_int_t proxy_cache_look(ngx_http_request_t *r,
    proxy_cache_conf_t *conf, proxy_cache_state_t *state,
    kong_cache_control_t *cc);
static ngx_uint_t proxy_cache_fresh(proxy_cache_conf_t *conf,
    ngx_kong_cache_entry_t *entry, kong_cache_control_t *cc);
static void proxy_cache_request_control(ngx_http_request_t *r,
    kong_cache_control_t *cc);
static ngx_int_t proxy_cache_key(ngx_http_request_t *r,
    proxy_cache_conf_t *conf, proxy_cache_state_t *state, ngx_str_t *body);
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
static uint64_t proxy_cache_vary(void *data, ngx_str_t *names);
static ngx_int_t proxy_cache_answer(ngx_http_request_t *r,
    proxy_cache_state_t *state);
static ngx_int_t proxy_cache_header_filter(ngx_http_request_t *r,
    ngx_kong_run_t *run);
static ngx_uint_t proxy_cache_cacheable(ngx_http_request_t *r,
    proxy_cache_conf_t *conf, proxy_cache_state_t *state);
static ngx_uint_t proxy_cache_type_is(proxy_cache_conf_t *conf,
    ngx_str_t *text);
static ngx_int_t proxy_cache_response_ttl(ngx_http_request_t *r,
    time_t *ttl);
static ngx_int_t proxy_cache_response_vary(ngx_http_request_t *r,
    proxy_cache_state_t *state);
static ngx_int_t proxy_cache_begin(ngx_http_request_t *r,
    proxy_cache_conf_t *conf, proxy_cache_state_t *state);
static ngx_uint_t proxy_cache_keeps(ngx_http_request_t *r,
    ngx_table_elt_t *h);
static ngx_int_t proxy_cache_body_filter(ngx_http_request_t *r,
    ngx_kong_run_t *run, ngx_chain_t **in);
static ngx_int_t proxy_cache_append(ngx_http_request_t *r,
    proxy_cache_state_t *state, ngx_buf_t *b);
static void proxy_cache_store(proxy_cache_conf_t *conf,
    proxy_cache_state_t *state);


const ngx_kong_plugin_t  ngx_kong_proxy_cache = {
    .name = ngx_string("proxy-cache"),
    .prepare = proxy_cache_prepare,
    .access = proxy_cache_access,
    .header_filter = proxy_cache_header_filter,
    .body_filter = proxy_cache_body_filter
};


static const struct {
    ngx_str_t   name;
    ngx_uint_t  method;
} proxy_cache_methods[] = {
    { ngx_string("GET"), NGX_HTTP_GET },
    { ngx_string("HEAD"), NGX_HTTP_HEAD },
    { ngx_string("POST"), NGX_HTTP_POST },
    { ngx_string("PATCH"), NGX_HTTP_PATCH },
    { ngx_string("PUT"), NGX_HTTP_PUT },
    { ngx_null_string, 0 }
};

/* of one hop, or made anew */
static ngx_str_t  proxy_cache_not_kept[] = {
    ngx_string("connection"),
    ngx_string("keep-alive"),
    ngx_string("proxy-authenticate"),
    ngx_string("proxy-authorization"),
    ngx_string("proxy-connection"),
    ngx_string("te"),
    ngx_string("trailer"),
    ngx_string("trailers"),
    ngx_string("transfer-encoding"),
    ngx_string("upgrade"),
    ngx_string("content-length"),
    ngx_string("age"),
    ngx_string("via"),
    ngx_string("x-cache-status"),
    ngx_string("x-cache-key"),
    ngx_null_string
};


static void *
proxy_cache_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool)
{
    proxy_cache_conf_t         *conf;
    ngx_http_kong_main_conf_t  *mcf;

    conf = ngx_pcalloc(pool, sizeof(proxy_cache_conf_t));
    mcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                              ngx_http_kong_module);

    if (conf == NULL || mcf == NULL) {
        return NULL;
    }

    conf->zone = mcf->cache;

    if (conf->zone == NULL) {
        ngx_log_error(NGX_LOG_ERR, pool->log, 0,
                      "proxy-cache needs \"kong_cache_zone\" in nginx.conf");
        return NULL;
    }

    conf->ttl = (time_t) ngx_kong_conf_num(in, "cache_ttl", 300);
    conf->storage_ttl = (time_t) ngx_kong_conf_num(in, "storage_ttl", 0);
    conf->storage_ttl = ngx_max(conf->storage_ttl, 0);
    conf->cache_control = ngx_kong_conf_flag(in, "cache_control");
    conf->ignore_case = ngx_kong_conf_flag(in, "ignore_uri_case");
    conf->show_age = ngx_kong_conf_flag(in, "response_headers.age");
    conf->show_status = ngx_kong_conf_flag(in,
                                           "response_headers.X-Cache-Status");
    conf->show_key = ngx_kong_conf_flag(in, "response_headers.X-Cache-Key");

    return proxy_cache_prepare_lists(in, pool, conf) == NGX_OK ? conf : NULL;
}


static ngx_int_t
proxy_cache_prepare_lists(ngx_kong_instance_t *in, ngx_pool_t *pool,
    proxy_cache_conf_t *conf)
{
    ngx_str_t           *strs;
    ngx_uint_t           i, j, n;
    const kong_value_t  *v, *item;

    strs = ngx_kong_conf_strs(in, "request_method", pool, &n);

    for (i = 0; i < n; i++) {
        for (j = 0; proxy_cache_methods[j].method != 0; j++) {
            if (proxy_cache_str_cmp(&strs[i],
                                (ngx_str_t *) &proxy_cache_methods[j].name)
                == 0)
            {
                conf->methods |= proxy_cache_methods[j].method;
            }
        }
    }

    strs = ngx_kong_conf_strs(in, "content_type", pool, &n);
    conf->types = ngx_pcalloc(pool, (n + 1) * sizeof(proxy_cache_type_t));
    if (conf->types == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {
        if (proxy_cache_parse_type(&strs[i], &conf->types[conf->n_types])) {
            conf->n_types++;
        }
    }

    v = ngx_kong_conf_get(in, "response_code");

    if (v != NULL && v->kind == KONG_VALUE_ARRAY) {
        conf->codes = ngx_palloc(pool, (v->n + 1) * sizeof(ngx_uint_t));
        if (conf->codes == NULL) {
            return NGX_ERROR;
        }

        item = kong_value_items(&in->map->seg, v);

        for (i = 0; i < v->n; i++) {
            if (item[i].kind == KONG_VALUE_NUMBER) {
                conf->codes[conf->n_codes++] = (ngx_uint_t) item[i].u.number;
            }
        }
    }

    conf->params = ngx_kong_conf_strs(in, "vary_query_params", pool,
                                      &conf->n_params);
    conf->headers = ngx_kong_conf_strs(in, "vary_headers", pool,
                                       &conf->n_headers);
    conf->lower = ngx_kong_conf_lower(in, "vary_headers", pool, &n);

    return (n == 0 || conf->lower != NULL) ? NGX_OK : NGX_ERROR;
}


/* "type/subtype; name=value"; 0 when it is none.  Nothing is copied */
static ngx_uint_t
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


static ngx_int_t
proxy_cache_access(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    ngx_int_t              rc;
    ngx_str_t              body;
    proxy_cache_conf_t    *conf;
    proxy_cache_state_t   *state;
    kong_cache_control_t   cc;

    conf = run->instance->conf;

    state = run->state;

    if (state == NULL) {
        state = ngx_pcalloc(r->pool, sizeof(proxy_cache_state_t));
        if (state == NULL) {
            return NGX_ERROR;
        }

        state->status = "Bypass";
        run->state = state;
    }

    proxy_cache_request_control(r, &cc);

    if (!(conf->methods & r->method)) {
        return NGX_OK;
    }

    if (conf->cache_control
        && (cc.no_store || cc.no_cache
            || ngx_kong_header_in(r, "authorization",
                                  sizeof("authorization") - 1)
               != NULL))
    {
        return NGX_OK;
    }

    ngx_str_null(&body);

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        /* two bodies are two requests */
        rc = ngx_kong_body(r, NGX_KONG_BODY_MAX, &body);

        if (rc == NGX_DECLINED) {
            return NGX_OK;
        }

        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (proxy_cache_key(r, conf, state, &body) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = proxy_cache_look(r, conf, state, &cc);

    if (rc == NGX_DONE) {
        /* no cache was asked: the answer says nothing of one */
        run->state = NULL;
        return ngx_kong_exit(r, NGX_HTTP_GATEWAY_TIME_OUT, NULL, NULL);
    }

    return state->hit ? proxy_cache_answer(r, state) : rc;
}


/* NGX_DONE: only-if-cached, and it is not */
static ngx_int_t
proxy_cache_look(ngx_http_request_t *r, proxy_cache_conf_t *conf,
    proxy_cache_state_t *state, kong_cache_control_t *cc)
{
    if (ngx_kong_cache_fetch(conf->zone, r->pool, &state->entry,
                             proxy_cache_vary, r)
        != NGX_OK)
    {
        if (conf->cache_control && cc->only_if_cached) {
            return NGX_DONE;
        }

        state->status = "Miss";
        state->wanted = 1;

        return NGX_OK;
    }

    if (!proxy_cache_fresh(conf, &state->entry, cc)) {
        state->status = "Refresh";
        state->wanted = 1;

        return NGX_OK;
    }

    state->status = "Hit";
    state->hit = 1;

    return NGX_OK;
}


static ngx_uint_t
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


static void
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


/* Kong's text, hashed: prefix|METHOD|request line|arguments|headers */
static ngx_int_t
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


/* of the request's values of the headers in a Vary */
static uint64_t
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


/* sends what is kept */
static ngx_int_t
proxy_cache_answer(ngx_http_request_t *r, proxy_cache_state_t *state)
{
    u_char               *p, *last;
    off_t                 length;
    uint32_t              len[2];
    ngx_int_t             rc;
    ngx_str_t             name, value, type;
    ngx_http_kong_ctx_t  *ctx;

    p = state->entry.head.data;
    last = p + state->entry.head.len;

    ngx_str_null(&type);

    ngx_memcpy(&length, p, sizeof(length));
    p += sizeof(length);

    while (p < last) {
        ngx_memcpy(len, p, sizeof(len));
        p += sizeof(len);

        name.data = p;
        name.len = len[0];
        p += len[0];

        value.data = p;
        value.len = len[1];
        p += len[1];

        if (name.len == sizeof("content-type") - 1
            && ngx_strncasecmp(name.data, (u_char *) "content-type", name.len)
               == 0)
        {
            type = value;

        } else if (ngx_kong_header_out_add(r, &name, &value) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);
    ctx->proxied = 1;
    ctx->proxy_start = ngx_current_msec;

    rc = ngx_kong_exit(r, state->entry.status, &type, &state->entry.body);

    if (rc == NGX_DONE && r->method == NGX_HTTP_HEAD) {
        ctx->exit->head = 1;
        ctx->exit->length = length;
    }

    return rc;
}


static ngx_int_t
proxy_cache_header_filter(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    static ngx_str_t  age_name = ngx_string("Age");
    static ngx_str_t  status_name = ngx_string("X-Cache-Status");
    static ngx_str_t  key_name = ngx_string("X-Cache-Key");

    ngx_str_t             value;
    ngx_uint_t            debug;
    proxy_cache_conf_t   *conf;
    proxy_cache_state_t  *state;

    conf = run->instance->conf;
    state = run->state;

    if (state == NULL) {
        return NGX_OK;
    }

    debug = ngx_kong_header_in(r, "kong-debug", sizeof("kong-debug") - 1)
            != NULL;

    if (state->wanted) {
        state->wanted = 0;

        if (!proxy_cache_cacheable(r, conf, state)) {
            state->status = "Bypass";

        } else if (proxy_cache_begin(r, conf, state) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (state->hit && (debug || conf->show_age)) {
        value.data = ngx_pnalloc(r->pool, NGX_INT64_LEN);
        if (value.data == NULL) {
            return NGX_ERROR;
        }

        value.len = ngx_http_kong_number(value.data,
                                   ngx_max(ngx_time() - state->entry.stored,
                                           0))
                    - value.data;

        if (ngx_kong_header_out_set(r, &age_name, &value) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (debug || conf->show_status) {
        value.data = (u_char *) state->status;
        value.len = ngx_strlen(state->status);

        if (ngx_kong_header_out_set(r, &status_name, &value) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (state->has_key && (debug || conf->show_key)) {
        value.data = state->hex;
        value.len = PROXY_CACHE_HEX;

        return ngx_kong_header_out_set(r, &key_name, &value);
    }

    return NGX_OK;
}


/* only what the upstream answered itself and in full */
static ngx_uint_t
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


/* takes the headers; the body follows, or there is none */
static ngx_int_t
proxy_cache_begin(ngx_http_request_t *r, proxy_cache_conf_t *conf,
    proxy_cache_state_t *state)
{
    u_char           *p;
    off_t             length;
    size_t            size;
    uint32_t          len[2];
    ngx_uint_t        i, pass;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    p = NULL;
    size = sizeof(length);

    /* once for the size, once to copy */

    for (pass = 0; pass < 2; pass++) {

        for (part = &r->upstream->headers_in.headers.part; part;
             part = part->next)
        {
            h = part->elts;

            for (i = 0; i < part->nelts; i++) {

                if (!proxy_cache_keeps(r, &h[i])) {
                    continue;
                }

                len[0] = h[i].key.len;
                len[1] = h[i].value.len;

                if (pass == 0) {
                    size += sizeof(len) + len[0] + len[1];
                    continue;
                }

                p = ngx_cpymem(p, len, sizeof(len));
                p = ngx_cpymem(p, h[i].key.data, len[0]);
                p = ngx_cpymem(p, h[i].value.data, len[1]);
            }
        }

        if (pass == 0) {
            p = ngx_pnalloc(r->pool, size);
            if (p == NULL) {
                return NGX_ERROR;
            }

            state->entry.head.data = p;
            state->entry.head.len = size;

            length = r->headers_out.content_length_n;
            p = ngx_cpymem(p, &length, sizeof(length));
        }
    }

    state->entry.status = r->headers_out.status;
    state->length = r->headers_out.content_length_n;
    state->last = &state->body;
    state->storing = (state->length <= PROXY_CACHE_BODY_MAX);

    if (r->method == NGX_HTTP_HEAD
        || r->headers_out.status == NGX_HTTP_NO_CONTENT)
    {
        state->length = -1;
        state->storing = 1;
        proxy_cache_store(conf, state);
    }

    return NGX_OK;
}


static ngx_uint_t
proxy_cache_keeps(ngx_http_request_t *r, ngx_table_elt_t *h)
{
    u_char           *p, *last;
    ngx_str_t        *name;
    ngx_table_elt_t  *connection;

    if (h->hash == 0
        || (h->key.len >= sizeof("X-Accel-") - 1
            && ngx_strncasecmp(h->key.data, (u_char *) "x-accel-",
                               sizeof("X-Accel-") - 1)
               == 0))
    {
        return 0;
    }

    for (name = proxy_cache_not_kept; name->len != 0; name++) {
        if (name->len == h->key.len
            && ngx_strncasecmp(name->data, h->key.data, name->len) == 0)
        {
            return 0;
        }
    }

    if (h->key.len >= sizeof("ratelimit-remaining") - 1
        && ngx_strlcasestrn(h->key.data, h->key.data + h->key.len,
                            (u_char *) "ratelimit-remaining",
                            sizeof("ratelimit-remaining") - 2)
           != NULL)
    {
        return 0;
    }

    connection = r->upstream->headers_in.connection;

    if (connection == NULL) {
        return 1;
    }

    p = connection->value.data;
    last = p + connection->value.len;

    return h->key.len > connection->value.len
           || ngx_strlcasestrn(p, last, h->key.data, h->key.len - 1) == NULL;
}


static ngx_int_t
proxy_cache_body_filter(ngx_http_request_t *r, ngx_kong_run_t *run,
    ngx_chain_t **in)
{
    ngx_chain_t          *cl;
    proxy_cache_state_t  *state;

    state = run->state;

    if (state == NULL || !state->storing) {
        return NGX_OK;
    }

    for (cl = *in; cl != NULL; cl = cl->next) {

        if (proxy_cache_append(r, state, cl->buf) != NGX_OK) {
            state->storing = 0;
            return NGX_OK;
        }

        if (cl->buf->last_buf) {
            proxy_cache_store(run->instance->conf, state);
            return NGX_OK;
        }
    }

    return NGX_OK;
}


static ngx_int_t
proxy_cache_append(ngx_http_request_t *r, proxy_cache_state_t *state,
    ngx_buf_t *b)
{
    off_t         size;
    ngx_buf_t    *copy;
    ngx_chain_t  *cl;

    size = ngx_buf_special(b) ? 0 : ngx_buf_size(b);

    if (size == 0) {
        return NGX_OK;
    }

    if (size > (off_t) (PROXY_CACHE_BODY_MAX - state->size)) {
        return NGX_DECLINED;
    }

    copy = ngx_create_temp_buf(r->pool, size);
    cl = ngx_alloc_chain_link(r->pool);

    if (copy == NULL || cl == NULL) {
        return NGX_ERROR;
    }

    if (ngx_buf_in_memory(b)) {
        copy->last = ngx_cpymem(copy->pos, b->pos, size);

    } else if (ngx_read_file(b->file, copy->pos, size, b->file_pos)
               == (ssize_t) size)
    {
        copy->last = copy->pos + size;

    } else {
        return NGX_ERROR;
    }

    cl->buf = copy;
    cl->next = NULL;

    *state->last = cl;
    state->last = &cl->next;
    state->size += size;

    return NGX_OK;
}


static void
proxy_cache_store(proxy_cache_conf_t *conf, proxy_cache_state_t *state)
{
    state->storing = 0;

    if (state->length != -1 && state->length != (off_t) state->size) {
        return;
    }

    state->entry.stored = ngx_time();
    state->entry.expires = ngx_time() + (conf->storage_ttl
                                         ? conf->storage_ttl
                                         : state->entry.ttl)
                           + 1;

    (void) ngx_kong_cache_store(conf->zone, &state->entry, state->body);
}
