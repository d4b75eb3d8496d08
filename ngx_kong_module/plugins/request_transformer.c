/*
 * request-transformer: what the upstream gets is changed: path, method,
 * headers, body and query, in this order; in each of them remove, rename,
 * replace, add, append.  All values of a part are rendered before anything of
 * it is changed.
 */

#include "request_transformer.h"


typedef ngx_int_t (*request_transformer_step_pt)(ngx_http_request_t *r,
    rt_conf_t *conf, rt_state_t *state);

typedef struct {
    ngx_str_t   name;
    ngx_uint_t  method;
} rt_method_t;


static void *request_transformer_prepare(ngx_kong_instance_t *in,
    ngx_pool_t *pool);
static ngx_int_t rt_prepare_list(ngx_kong_instance_t *in, ngx_pool_t *pool,
    const char *name, rt_list_t *list);
static ngx_int_t rt_prepare_item(ngx_pool_t *pool, ngx_str_t *text,
    rt_item_t *item);
static ngx_int_t request_transformer_access(ngx_http_request_t *r,
    ngx_kong_run_t *run);
static ngx_int_t request_transformer_header_filter(ngx_http_request_t *r,
    ngx_kong_run_t *run);
static ngx_int_t rt_uri(ngx_http_request_t *r, rt_conf_t *conf,
    rt_state_t *state);
static ngx_int_t rt_method(ngx_http_request_t *r, rt_conf_t *conf,
    rt_state_t *state);
static ngx_int_t rt_merge_form(ngx_http_request_t *r);
static ngx_int_t rt_headers(ngx_http_request_t *r, rt_conf_t *conf,
    rt_state_t *state);
static ngx_int_t rt_query(ngx_http_request_t *r, rt_conf_t *conf,
    rt_state_t *state);
static ngx_int_t rt_set_args(ngx_http_request_t *r, ngx_array_t *fields);


const ngx_kong_plugin_t  ngx_kong_request_transformer = {
    .name = ngx_string("request-transformer"),
    .prepare = request_transformer_prepare,
    .access = request_transformer_access,
    .header_filter = request_transformer_header_filter
};

static request_transformer_step_pt  rt_steps[] = {
    rt_uri,
    rt_method,
    rt_headers,
    rt_body,
    rt_query,
    NULL
};

/* by RT_REMOVE ... and RT_HEADERS ... */
static const char  *rt_names[RT_OPS][RT_PARTS] = {
    { "remove.headers", "remove.body", "remove.querystring" },
    { "rename.headers", "rename.body", "rename.querystring" },
    { "replace.headers", "replace.body", "replace.querystring" },
    { "add.headers", "add.body", "add.querystring" },
    { "append.headers", "append.body", "append.querystring" }
};

static rt_method_t  rt_methods[] = {
    { ngx_string("GET"), NGX_HTTP_GET },
    { ngx_string("HEAD"), NGX_HTTP_HEAD },
    { ngx_string("PUT"), NGX_HTTP_PUT },
    { ngx_string("POST"), NGX_HTTP_POST },
    { ngx_string("DELETE"), NGX_HTTP_DELETE },
    { ngx_string("OPTIONS"), NGX_HTTP_OPTIONS },
    { ngx_string("MKCOL"), NGX_HTTP_MKCOL },
    { ngx_string("COPY"), NGX_HTTP_COPY },
    { ngx_string("MOVE"), NGX_HTTP_MOVE },
    { ngx_string("PROPFIND"), NGX_HTTP_PROPFIND },
    { ngx_string("PROPPATCH"), NGX_HTTP_PROPPATCH },
    { ngx_string("LOCK"), NGX_HTTP_LOCK },
    { ngx_string("UNLOCK"), NGX_HTTP_UNLOCK },
    { ngx_string("PATCH"), NGX_HTTP_PATCH },
    { ngx_string("TRACE"), NGX_HTTP_TRACE },
    { ngx_null_string, 0 }
};


static void *
request_transformer_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool)
{
    rt_conf_t    *conf;
    ngx_str_t     uri;
    ngx_uint_t    op, part;
    rt_method_t  *m;

    conf = ngx_pcalloc(pool, sizeof(rt_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    for (part = 0; part < RT_PARTS; part++) {
        for (op = 0; op < RT_OPS; op++) {

            if (rt_prepare_list(in, pool, rt_names[op][part],
                                &conf->lists[op][part])
                != NGX_OK)
            {
                return NULL;
            }

            conf->n[part] += conf->lists[op][part].n;
        }
    }

    uri = ngx_kong_conf_str(in, "replace.uri");

    if (uri.len != 0) {
        conf->has_uri = 1;

        if (ngx_kong_template(pool, &uri, &conf->uri) != NGX_OK) {
            return NULL;
        }
    }

    conf->method = ngx_kong_conf_str(in, "http_method");

    for (m = rt_methods; conf->method.len && m->name.len; m++) {
        if (m->name.len == conf->method.len
            && ngx_memcmp(m->name.data, conf->method.data, m->name.len) == 0)
        {
            conf->method_id = m->method;
            break;
        }
    }

    return conf;
}


static ngx_int_t
rt_prepare_list(ngx_kong_instance_t *in, ngx_pool_t *pool, const char *name,
    rt_list_t *list)
{
    ngx_str_t   *texts;
    ngx_uint_t   i;

    texts = ngx_kong_conf_strs(in, name, pool, &list->n);

    if (list->n == 0) {
        return NGX_OK;
    }

    list->items = ngx_pcalloc(pool, list->n * sizeof(rt_item_t));

    if (texts == NULL || list->items == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < list->n; i++) {
        if (rt_prepare_item(pool, &texts[i], &list->items[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* "name:value", several colons count as one */
static ngx_int_t
rt_prepare_item(ngx_pool_t *pool, ngx_str_t *text, rt_item_t *item)
{
    u_char     *p, *last;
    ngx_str_t   value;

    last = text->data + text->len;

    p = ngx_strlchr(text->data, last, ':');
    p = p ? p : last;

    item->name.data = text->data;
    item->name.len = p - text->data;

    item->lower.len = item->name.len;
    item->lower.data = ngx_pnalloc(pool, item->name.len + 1);
    if (item->lower.data == NULL) {
        return NGX_ERROR;
    }

    ngx_strlow(item->lower.data, item->name.data, item->name.len);

    while (p < last && *p == ':') {
        p++;
    }

    if (p == last) {
        return NGX_OK;
    }

    value.data = p;
    value.len = last - p;
    item->has_value = 1;

    return ngx_kong_template(pool, &value, &item->value);
}


/* the whole runs again from the step that waited for the body */
static ngx_int_t
request_transformer_access(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    ngx_int_t    rc;
    rt_conf_t   *conf;
    rt_state_t  *state;

    conf = run->instance->conf;
    state = run->state;

    if (state == NULL) {
        state = ngx_pcalloc(r->pool, sizeof(rt_state_t));
        if (state == NULL) {
            return NGX_ERROR;
        }

        state->env = ngx_kong_env(r);
        if (state->env == NULL) {
            return NGX_ERROR;
        }

        run->state = state;
    }

    while (rt_steps[state->step] != NULL) {
        rc = rt_steps[state->step](r, conf, state);

        if (rc != NGX_OK) {
            return rc;
        }

        state->step++;
    }

    return NGX_OK;
}


/* an answer to HEAD has no body, whatever length it tells of */
static ngx_int_t
request_transformer_header_filter(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    rt_state_t           *state;
    ngx_http_kong_ctx_t  *ctx;

    state = run->state;

    if (state == NULL || !state->to_head) {
        return NGX_OK;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    if (ctx->proxied) {
        ngx_kong_header_out_clear(r, "content-length", 14);
        r->headers_out.content_length_n = 0;
    }

    return NGX_OK;
}


static ngx_int_t
rt_uri(ngx_http_request_t *r, rt_conf_t *conf, rt_state_t *state)
{
    ngx_str_t             uri;
    ngx_http_kong_ctx_t  *ctx;

    if (!conf->has_uri) {
        return NGX_OK;
    }

    if (ngx_kong_template_render(state->env, &conf->uri, &uri) != NGX_OK) {
        return NGX_ERROR;
    }

    if (uri.len == 0 || uri.data[0] != '/') {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "request-transformer: replace.uri gave \"%V\", a path "
                      "must start with \"/\"", &uri);
        return NGX_ERROR;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    return ngx_kong_escape(r->pool, &uri, rt_unsafe_path, &ctx->uri);
}


static ngx_int_t
rt_method(ngx_http_request_t *r, rt_conf_t *conf, rt_state_t *state)
{
    ngx_int_t             rc;
    ngx_http_kong_ctx_t  *ctx;

    if (conf->method.len == 0) {
        return NGX_OK;
    }

    if (conf->method_id == 0) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "request-transformer: invalid method \"%V\"",
                      &conf->method);
        return NGX_ERROR;
    }

    if (conf->method_id & (NGX_HTTP_GET|NGX_HTTP_HEAD|NGX_HTTP_TRACE)
        && rt_body_type(r) == RT_BODY_FORM)
    {
        rc = rt_merge_form(r);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    /* the client still gets an answer to what it asked */

    if (r->method == NGX_HTTP_HEAD) {
        r->header_only = 1;

    } else if (conf->method_id == NGX_HTTP_HEAD) {
        state->to_head = 1;
    }

    ctx->method = conf->method;
    r->method_name = conf->method;
    r->method = conf->method_id;

    return NGX_OK;
}


/* the form's fields become arguments too */
static ngx_int_t
rt_merge_form(ngx_http_request_t *r)
{
    ngx_int_t             rc;
    ngx_str_t             body, args;
    ngx_uint_t            i;
    ngx_array_t          *form, *fields;
    ngx_kong_field_t     *f;
    ngx_http_kong_ctx_t  *ctx;

    rc = rt_read_body(r, &body);

    if (rc != NGX_OK) {
        return rc == NGX_DECLINED ? NGX_OK : rc;
    }

    form = ngx_kong_fields(r->pool, &body);
    if (form == NULL) {
        return NGX_ERROR;
    }

    if (form->nelts == 0) {
        return NGX_OK;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);
    args = ctx->has_args ? ctx->args : r->args;

    fields = ngx_kong_fields(r->pool, &args);
    if (fields == NULL) {
        return NGX_ERROR;
    }

    f = form->elts;

    for (i = 0; i < form->nelts; i++) {
        if (ngx_kong_fields_add(fields, &f[i].name, &f[i].value, f[i].bare)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return rt_set_args(r, fields);
}


static ngx_int_t
rt_headers(ngx_http_request_t *r, rt_conf_t *conf, rt_state_t *state)
{
    ngx_str_t   *values[RT_OPS];
    ngx_uint_t   op;

    if (conf->n[RT_HEADERS] == 0) {
        return NGX_OK;
    }

    for (op = 0; op < RT_OPS; op++) {
        if (rt_values(r, &conf->lists[op][RT_HEADERS], state, &values[op])
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    for (op = 0; op < RT_OPS; op++) {
        if (rt_header_list(r, op, &conf->lists[op][RT_HEADERS], values[op])
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_int_t
rt_values(ngx_http_request_t *r, rt_list_t *list, rt_state_t *state,
    ngx_str_t **values)
{
    ngx_str_t   *v;
    ngx_uint_t   i;

    *values = NULL;

    if (list->n == 0) {
        return NGX_OK;
    }

    v = ngx_pcalloc(r->pool, list->n * sizeof(ngx_str_t));
    if (v == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < list->n; i++) {
        if (list->items[i].has_value
            && ngx_kong_template_render(state->env, &list->items[i].value,
                                        &v[i])
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    *values = v;

    return NGX_OK;
}


/* works on what templates see as query_params */
static ngx_int_t
rt_query(ngx_http_request_t *r, rt_conf_t *conf, rt_state_t *state)
{
    ngx_str_t    *values;
    ngx_uint_t    op;
    ngx_array_t  *fields;

    if (conf->n[RT_QUERY] == 0) {
        return NGX_OK;
    }

    if (ngx_kong_env_args(state->env) != NGX_OK) {
        return NGX_ERROR;
    }

    fields = ngx_kong_fields_copy(r->pool, state->env->args);
    if (fields == NULL) {
        return NGX_ERROR;
    }

    for (op = 0; op < RT_OPS; op++) {
        if (rt_values(r, &conf->lists[op][RT_QUERY], state, &values)
            != NGX_OK
            || rt_field_list(fields, op, &conf->lists[op][RT_QUERY], values,
                             NULL)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return rt_set_args(r, fields);
}


static ngx_int_t
rt_set_args(ngx_http_request_t *r, ngx_array_t *fields)
{
    ngx_http_kong_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    if (ngx_kong_fields_write(r->pool, fields, 1, &ctx->args) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx->has_args = 1;

    return NGX_OK;
}
