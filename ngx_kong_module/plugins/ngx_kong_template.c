/*
 * Parsing and rendering of templates, and what their expressions see of the
 * request.  A template is rendered in C only when that is exactly what Lua
 * would give: all of its expressions are plain look-ups.
 */

#include "ngx_kong_template.h"
#include "ngx_kong_fields.h"


typedef enum {
    NGX_KONG_TEMPLATE_TEXT = 0,
    NGX_KONG_TEMPLATE_HEADER,
    NGX_KONG_TEMPLATE_ARG,
    NGX_KONG_TEMPLATE_CAPTURE,           /* by name */
    NGX_KONG_TEMPLATE_GROUP              /* by number */
} ngx_kong_template_kind_t;

struct ngx_kong_template_part_s {
    ngx_kong_template_kind_t  kind;
    ngx_str_t                 text;      /* or a name */
    ngx_str_t                 dashed;    /* a header with "_" as "-" */
    ngx_uint_t                group;
};

typedef struct {
    ngx_str_t                 name;
    ngx_kong_template_kind_t  kind;
} ngx_kong_template_table_t;


static ngx_int_t ngx_kong_template_lookup(ngx_pool_t *pool, u_char *p,
    u_char *last, ngx_kong_template_part_t *part);
static ngx_int_t ngx_kong_template_key(u_char *p, u_char *last,
    ngx_kong_template_part_t *part);
static ngx_uint_t ngx_kong_template_reserved(ngx_str_t *name);
static ngx_int_t ngx_kong_template_header(ngx_pool_t *pool,
    ngx_kong_template_part_t *part);
static ngx_int_t ngx_kong_template_value(ngx_kong_env_t *env,
    ngx_kong_template_part_t *part, ngx_str_t *value);
static ngx_uint_t ngx_kong_template_find(ngx_kong_env_t *env, ngx_str_t *name,
    ngx_str_t *value);


static ngx_kong_template_table_t  ngx_kong_template_tables[] = {
    { ngx_string("headers"), NGX_KONG_TEMPLATE_HEADER },
    { ngx_string("query_params"), NGX_KONG_TEMPLATE_ARG },
    { ngx_string("uri_captures"), NGX_KONG_TEMPLATE_CAPTURE },
    { ngx_null_string, 0 }
};

/* Lua's words: no names of fields */
static ngx_str_t  ngx_kong_template_words[] = {
    ngx_string("and"), ngx_string("break"), ngx_string("do"),
    ngx_string("else"), ngx_string("elseif"), ngx_string("end"),
    ngx_string("false"), ngx_string("for"), ngx_string("function"),
    ngx_string("goto"), ngx_string("if"), ngx_string("in"),
    ngx_string("local"), ngx_string("nil"), ngx_string("not"),
    ngx_string("or"), ngx_string("repeat"), ngx_string("return"),
    ngx_string("then"), ngx_string("true"), ngx_string("until"),
    ngx_string("while"), ngx_null_string
};

static ngx_str_t  ngx_kong_template_table = ngx_string(NGX_KONG_LUA_TABLE);


ngx_int_t
ngx_kong_template(ngx_pool_t *pool, ngx_str_t *text,
    ngx_kong_template_t *template)
{
    size_t                     n;
    u_char                    *p, *last, *start;
    ngx_int_t                  rc;
    ngx_array_t                parts;
    ngx_kong_template_part_t  *part;

    ngx_memzero(template, sizeof(ngx_kong_template_t));
    template->text = *text;

    if (ngx_array_init(&parts, pool, 4, sizeof(ngx_kong_template_part_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    start = text->data;
    last = start + text->len;

    for (p = start; p <= last; p += n) {
        n = (p < last) ? ngx_kong_lua_expression(p, last) : 1;

        if (n == 0) {
            n = 1;
            continue;
        }

        if (p > start) {
            part = ngx_array_push(&parts);
            if (part == NULL) {
                return NGX_ERROR;
            }

            part->kind = NGX_KONG_TEMPLATE_TEXT;
            part->text.data = start;
            part->text.len = p - start;
        }

        if (p == last) {
            break;
        }

        part = ngx_array_push(&parts);
        if (part == NULL) {
            return NGX_ERROR;
        }

        start = p + n;
        rc = ngx_kong_template_lookup(pool, p + 2, start - 1, part);

        if (rc == NGX_DECLINED) {
            template->chunk = ngx_kong_lua_chunk(pool, text);
            return template->chunk ? NGX_OK : NGX_ERROR;
        }

        if (rc != NGX_OK) {
            return NGX_ERROR;
        }
    }

    part = parts.elts;

    if (parts.nelts > 1
        || (parts.nelts == 1 && part->kind != NGX_KONG_TEMPLATE_TEXT))
    {
        template->parts = part;
        template->n_parts = parts.nelts;
    }

    return NGX_OK;
}


/* headers.x, headers['x'], headers["x"], uri_captures[1]; NGX_DECLINED for
 * everything else */
static ngx_int_t
ngx_kong_template_lookup(ngx_pool_t *pool, u_char *p, u_char *last,
    ngx_kong_template_part_t *part)
{
    ngx_kong_template_table_t  *table;

    for (table = ngx_kong_template_tables; table->name.len; table++) {
        if ((size_t) (last - p) > table->name.len
            && ngx_memcmp(p, table->name.data, table->name.len) == 0)
        {
            break;
        }
    }

    if (table->name.len == 0) {
        return NGX_DECLINED;
    }

    part->kind = table->kind;

    if (ngx_kong_template_key(p + table->name.len, last, part) != NGX_OK) {
        return NGX_DECLINED;
    }

    return part->kind == NGX_KONG_TEMPLATE_HEADER
           ? ngx_kong_template_header(pool, part) : NGX_OK;
}


static ngx_int_t
ngx_kong_template_key(u_char *p, u_char *last, ngx_kong_template_part_t *part)
{
    u_char     quote, *q;
    ngx_int_t  n;

    part->text.data = p + 1;
    part->text.len = last - (p + 1);

    if (*p == '.') {
        for (q = p + 1; q < last; q++) {
            if (!(*q >= 'a' && *q <= 'z') && !(*q >= 'A' && *q <= 'Z')
                && *q != '_' && (q == p + 1 || *q < '0' || *q > '9'))
            {
                return NGX_DECLINED;
            }
        }

        return part->text.len == 0 || ngx_kong_template_reserved(&part->text)
               ? NGX_DECLINED : NGX_OK;
    }

    if (*p != '[' || last - p < 3 || last[-1] != ']') {
        return NGX_DECLINED;
    }

    p++;
    last--;
    quote = *p;

    if (quote != '\'' && quote != '"') {
        n = (last - p <= 4) ? ngx_atoi(p, last - p) : NGX_ERROR;

        if (part->kind != NGX_KONG_TEMPLATE_CAPTURE || n == NGX_ERROR) {
            return NGX_DECLINED;
        }

        part->kind = NGX_KONG_TEMPLATE_GROUP;
        part->group = n;

        return NGX_OK;
    }

    if (last - p < 2 || last[-1] != quote) {
        return NGX_DECLINED;
    }

    p++;
    last--;

    for (q = p; q < last; q++) {
        if (*q == quote || *q == '\\' || *q < 0x20) {
            return NGX_DECLINED;
        }
    }

    part->text.data = p;
    part->text.len = last - p;

    return NGX_OK;
}


static ngx_uint_t
ngx_kong_template_reserved(ngx_str_t *name)
{
    ngx_str_t  *w;

    for (w = ngx_kong_template_words; w->len; w++) {
        if (w->len == name->len
            && ngx_memcmp(w->data, name->data, w->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_kong_template_header(ngx_pool_t *pool, ngx_kong_template_part_t *part)
{
    u_char     *p;
    size_t      i;
    ngx_str_t   name;

    name = part->text;

    p = ngx_pnalloc(pool, 2 * name.len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_strlow(p, name.data, name.len);

    part->text.data = p;
    part->dashed.data = p + name.len;
    part->dashed.len = 0;

    for (i = 0; i < name.len; i++) {
        part->dashed.data[i] = p[i];

        if (p[i] == '_') {
            part->dashed.data[i] = '-';
            part->dashed.len = name.len;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_kong_template_render(ngx_kong_env_t *env, ngx_kong_template_t *template,
    ngx_str_t *value)
{
    u_char      *p;
    size_t       len;
    ngx_str_t   *values, one[8];
    ngx_uint_t   i;

    if (template->chunk != NULL) {
        return ngx_kong_lua_render(env, template->chunk, value);
    }

    if (template->parts == NULL) {
        *value = template->text;
        return NGX_OK;
    }

    values = one;

    if (template->n_parts > sizeof(one) / sizeof(one[0])) {
        values = ngx_palloc(env->request->pool,
                            template->n_parts * sizeof(ngx_str_t));
        if (values == NULL) {
            return NGX_ERROR;
        }
    }

    for (i = 0, len = 0; i < template->n_parts; i++) {
        if (ngx_kong_template_value(env, &template->parts[i], &values[i])
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        len += values[i].len;
    }

    if (template->n_parts == 1) {
        *value = values[0];
        return NGX_OK;
    }

    p = ngx_pnalloc(env->request->pool, len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value->data = p;
    value->len = len;

    for (i = 0; i < template->n_parts; i++) {
        p = ngx_cpymem(p, values[i].data, values[i].len);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_kong_template_value(ngx_kong_env_t *env, ngx_kong_template_part_t *part,
    ngx_str_t *value)
{
    ngx_uint_t         i, n;
    ngx_kong_field_t  *f;

    ngx_str_set(value, "");

    switch (part->kind) {

    case NGX_KONG_TEMPLATE_TEXT:
        *value = part->text;
        return NGX_OK;

    case NGX_KONG_TEMPLATE_HEADER:

        if (ngx_kong_env_headers(env) != NGX_OK) {
            return NGX_ERROR;
        }

        if (!ngx_kong_template_find(env, &part->text, value)
            && part->dashed.len != 0)
        {
            (void) ngx_kong_template_find(env, &part->dashed, value);
        }

        return NGX_OK;

    case NGX_KONG_TEMPLATE_ARG:

        if (ngx_kong_env_args(env) != NGX_OK) {
            return NGX_ERROR;
        }

        f = env->args->elts;

        for (i = 0, n = 0; i < env->args->nelts; i++) {
            if (ngx_kong_field_is(&f[i], &part->text)) {
                *value = f[i].value;

                if (f[i].bare) {
                    ngx_str_set(value, "true");
                }

                n++;
            }
        }

        if (n > 1) {
            *value = ngx_kong_template_table;
        }

        return NGX_OK;

    case NGX_KONG_TEMPLATE_CAPTURE:
    case NGX_KONG_TEMPLATE_GROUP:

        if (ngx_kong_env_captures(env) != NGX_OK) {
            return NGX_ERROR;
        }

        for (i = 0; i < env->n_captures; i++) {
            if (env->captures[i].value.data == NULL) {
                continue;
            }

            if (part->kind == NGX_KONG_TEMPLATE_GROUP
                ? i == part->group
                : env->captures[i].name.len == part->text.len
                  && part->text.len != 0
                  && ngx_memcmp(env->captures[i].name.data, part->text.data,
                                part->text.len)
                     == 0)
            {
                *value = env->captures[i].value;
                return NGX_OK;
            }
        }

        return NGX_OK;
    }

    return NGX_ERROR;
}


/* 1 when there is such a header */
static ngx_uint_t
ngx_kong_template_find(ngx_kong_env_t *env, ngx_str_t *name,
    ngx_str_t *value)
{
    ngx_uint_t              i, n;
    ngx_kong_env_header_t  *h;

    h = env->headers->elts;

    for (i = 0, n = 0; i < env->headers->nelts; i++) {
        if (h[i].lower.len == name->len
            && ngx_memcmp(h[i].lower.data, name->data, name->len) == 0)
        {
            *value = h[i].value;
            n++;
        }
    }

    if (n > 1) {
        *value = ngx_kong_template_table;
    }

    return n != 0;
}


ngx_kong_env_t *
ngx_kong_env(ngx_http_request_t *r)
{
    ngx_kong_env_t  *env;

    env = ngx_pcalloc(r->pool, sizeof(ngx_kong_env_t));

    if (env != NULL) {
        env->request = r;
    }

    return env;
}


ngx_int_t
ngx_kong_env_headers(ngx_kong_env_t *env)
{
    ngx_uint_t              i;
    ngx_list_part_t        *part;
    ngx_table_elt_t        *h;
    ngx_kong_env_header_t  *e;

    if (env->headers != NULL) {
        return NGX_OK;
    }

    env->headers = ngx_array_create(env->request->pool, 20,
                                    sizeof(ngx_kong_env_header_t));
    if (env->headers == NULL) {
        return NGX_ERROR;
    }

    for (part = &env->request->headers_in.headers.part; part;
         part = part->next)
    {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].hash == 0) {
                continue;
            }

            e = ngx_array_push(env->headers);
            if (e == NULL) {
                return NGX_ERROR;
            }

            e->lower.data = h[i].lowcase_key;
            e->lower.len = h[i].key.len;
            e->value = h[i].value;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_kong_env_args(ngx_kong_env_t *env)
{
    ngx_str_t             args;
    ngx_http_kong_ctx_t  *ctx;

    if (env->args != NULL) {
        return NGX_OK;
    }

    ctx = ngx_http_get_module_ctx(env->request, ngx_http_kong_module);
    args = ctx->has_args ? ctx->args : env->request->args;

    env->args = ngx_kong_fields(env->request->pool, &args);

    return env->args ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_kong_env_captures(ngx_kong_env_t *env)
{
    if (env->has_captures) {
        return NGX_OK;
    }

    env->has_captures = 1;

    return ngx_kong_captures(env->request, &env->captures, &env->n_captures);
}
