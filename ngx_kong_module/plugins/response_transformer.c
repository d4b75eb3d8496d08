/*
 * response-transformer: headers of the answer, and members of its body when
 * that is a JSON object.  What is present is judged by the headers as they
 * came, before any operation.  Only a body that is to be changed is held
 * back, up to a limit; compressed and partial ones are left alone.
 */

#include "response_transformer.h"


static void *response_transformer_prepare(ngx_kong_instance_t *in,
    ngx_pool_t *pool);
static ngx_int_t response_prepare_list(ngx_kong_instance_t *in,
    ngx_pool_t *pool, const char *name, response_list_t *list);
static ngx_int_t response_prepare_json(ngx_kong_instance_t *in,
    ngx_pool_t *pool, const char *name, response_list_t *list);
static ngx_int_t response_json_text(ngx_pool_t *pool, ngx_str_t *value,
    ngx_str_t *text);
static ngx_int_t response_json_typed(ngx_pool_t *pool, ngx_str_t *text,
    ngx_str_t *type, ngx_str_t *json);
static ngx_int_t response_transformer_header_filter(ngx_http_request_t *r,
    ngx_kong_run_t *run);
static ngx_uint_t response_is_json(ngx_str_t *type);
static ngx_uint_t response_media_type(u_char *p, u_char *last);
static ngx_int_t response_transformer_body_filter(ngx_http_request_t *r,
    ngx_kong_run_t *run, ngx_chain_t **in);


const ngx_kong_plugin_t  ngx_kong_response_transformer = {
    .name = ngx_string("response-transformer"),
    .prepare = response_transformer_prepare,
    .header_filter = response_transformer_header_filter,
    .body_filter = response_transformer_body_filter
};

static const char  *response_header_names[RESPONSE_OPS] = {
    "remove.headers", "rename.headers", "replace.headers", "add.headers",
    "append.headers"
};

static const char  *response_json_names[RESPONSE_OPS] = {
    "remove.json", "rename.json", "replace.json", "add.json", "append.json"
};

static const char  *response_type_names[RESPONSE_OPS] = {
    NULL, NULL, "replace.json_types", "add.json_types", "append.json_types"
};


static void *
response_transformer_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool)
{
    ngx_uint_t        op;
    response_conf_t  *conf;

    conf = ngx_pcalloc(pool, sizeof(response_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    for (op = 0; op < RESPONSE_OPS; op++) {
        if (response_prepare_list(in, pool, response_header_names[op],
                                  &conf->headers[op])
            != NGX_OK
            || response_prepare_list(in, pool, response_json_names[op],
                                     &conf->json[op])
               != NGX_OK
            || (response_type_names[op] != NULL
                && response_prepare_json(in, pool, response_type_names[op],
                                         &conf->json[op])
                   != NGX_OK))
        {
            return NULL;
        }

        conf->n_headers += conf->headers[op].n;
        conf->n_json += conf->json[op].n;
    }

    return conf;
}


static ngx_int_t
response_prepare_list(ngx_kong_instance_t *in, ngx_pool_t *pool,
    const char *name, response_list_t *list)
{
    u_char      *p, *last;
    ngx_str_t   *texts;
    ngx_uint_t   i;

    texts = ngx_kong_conf_strs(in, name, pool, &list->n);

    if (list->n == 0) {
        return NGX_OK;
    }

    list->items = ngx_pcalloc(pool, list->n * sizeof(response_item_t));
    if (list->items == NULL || texts == NULL) {
        return NGX_ERROR;
    }

    /* "name:value", several colons count as one */

    for (i = 0; i < list->n; i++) {
        last = texts[i].data + texts[i].len;
        p = ngx_strlchr(texts[i].data, last, ':');
        p = p ? p : last;

        list->items[i].name.data = texts[i].data;
        list->items[i].name.len = p - texts[i].data;

        while (p < last && *p == ':') {
            p++;
        }

        if (p < last) {
            list->items[i].value.data = p;
            list->items[i].value.len = last - p;
        }
    }

    return NGX_OK;
}


/* the members' values as JSON, by the list of types beside them */
static ngx_int_t
response_prepare_json(ngx_kong_instance_t *in, ngx_pool_t *pool,
    const char *name, response_list_t *list)
{
    ngx_str_t    text, *types;
    ngx_uint_t   i, n;

    types = ngx_kong_conf_strs(in, name, pool, &n);

    for (i = 0; i < list->n; i++) {
        if (response_json_text(pool, &list->items[i].value, &text) != NGX_OK
            || response_json_typed(pool, &text, i < n ? &types[i] : NULL,
                                   &list->items[i].json)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/*
 * Kong takes the value for the text of a JSON string, whose quotes and
 * slashes need no backslash: another backslash stands for itself, twice.
 * No value at all is the text "null".
 */
static ngx_int_t
response_json_text(ngx_pool_t *pool, ngx_str_t *value, ngx_str_t *text)
{
    u_char  *p, ch;
    size_t   i;

    if (value->data == NULL) {
        ngx_str_set(text, "null");
        return NGX_OK;
    }

    p = ngx_pnalloc(pool, 6 * value->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    text->data = p;

    for (i = 0; i < value->len; i++) {
        ch = value->data[i];

        if (ch == '\\') {
            *p++ = '\\';
            *p++ = '\\';

        } else if (ch == LF) {
            p = ngx_cpymem(p, "\\n", 2);

        } else if (ch == CR) {
            p = ngx_cpymem(p, "\\r", 2);

        } else if (ch == '\t') {
            p = ngx_cpymem(p, "\\t", 2);

        } else if (ch < 0x20 || ch == 0x7f) {
            p = ngx_sprintf(p, "\\u%04xi", (ngx_int_t) ch);

        } else {
            *p++ = ch;
        }
    }

    text->len = p - text->data;

    return NGX_OK;
}


static ngx_int_t
response_json_typed(ngx_pool_t *pool, ngx_str_t *text, ngx_str_t *type,
    ngx_str_t *json)
{
    char    *end;
    double   n;
    u_char  *p;

    if (type == NULL || type->len == sizeof("string") - 1) {
        /* "number" is as long */
        if (type == NULL || type->data[0] == 's') {
            return ngx_kong_json_string(pool, text, json);
        }

        p = ngx_pnalloc(pool, text->len + 1 + NGX_INT64_LEN + 16);
        if (p == NULL) {
            return NGX_ERROR;
        }

        *ngx_cpymem(p, text->data, text->len) = '\0';

        n = strtod((char *) p, &end);

        while (*end == ' ' || *end == '\t') {
            end++;
        }

        /* what is no number changes nothing */

        if (end == (char *) p || *end != '\0' || n != n || n - n != 0) {
            ngx_str_null(json);
            return NGX_OK;
        }

        json->data = p;
        json->len = snprintf((char *) p, NGX_INT64_LEN + 16, "%.14g", n);

        return NGX_OK;
    }

    if (text->len == 4 && ngx_memcmp(text->data, "true", 4) == 0) {
        ngx_str_set(json, "true");

    } else {
        ngx_str_set(json, "false");
    }

    return NGX_OK;
}


static ngx_int_t
response_transformer_header_filter(ngx_http_request_t *r,
    ngx_kong_run_t *run)
{
    ngx_uint_t         json;
    ngx_table_elt_t   *h;
    response_conf_t   *conf;
    response_state_t  *state;

    conf = run->instance->conf;

    json = conf->n_json && response_is_json(&r->headers_out.content_type);

    if (conf->n_headers && response_headers(r, conf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (!json || !response_is_json(&r->headers_out.content_type)
        || r->headers_out.status == NGX_HTTP_PARTIAL_CONTENT)
    {
        return NGX_OK;
    }

    h = ngx_kong_header_out(r, "content-encoding", 16);

    if (h != NULL && !(h->value.len == 8
                       && ngx_strncasecmp(h->value.data,
                                          (u_char *) "identity", 8)
                          == 0))
    {
        return NGX_OK;
    }

    ngx_kong_header_out_clear(r, "content-length", 14);
    ngx_http_clear_accept_ranges(r);
    r->allow_ranges = 0;

    state = ngx_pcalloc(r->pool, sizeof(response_state_t));
    if (state == NULL) {
        return NGX_ERROR;
    }

    state->last = &state->held;
    run->state = state;

    return NGX_OK;
}


/* application/json among the types, parameters or not */
static ngx_uint_t
response_is_json(ngx_str_t *type)
{
    u_char  *p, *last, *end;

    last = type->data + type->len;

    for (p = type->data; p < last; p = end + 1) {
        end = ngx_strlchr(p, last, ',');
        end = end ? end : last;

        if (response_media_type(p, end)) {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
response_media_type(u_char *p, u_char *last)
{
    u_char  *end;

    while (p < last && (*p == ' ' || *p == '\t')) {
        p++;
    }

    end = ngx_strlchr(p, last, ';');
    end = end ? end : last;

    while (end > p && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }

    return end - p == sizeof("application/json") - 1
           && ngx_strncasecmp(p, (u_char *) "application/json",
                              sizeof("application/json") - 1)
              == 0;
}


static ngx_int_t
response_transformer_body_filter(ngx_http_request_t *r, ngx_kong_run_t *run,
    ngx_chain_t **in)
{
    ngx_int_t          rc;
    ngx_uint_t         last;
    ngx_chain_t       *cl;
    response_state_t  *state;

    state = run->state;

    if (state == NULL || state->done) {
        return NGX_OK;
    }

    last = 0;

    for (cl = *in; cl != NULL; cl = cl->next) {

        if (state->size + ngx_buf_size(cl->buf) > NGX_KONG_BODY_MAX) {
            ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                          "response-transformer: the body is too large to "
                          "be changed");

            /* what is held, then the rest */

            state->done = 1;
            *state->last = cl;
            *in = state->held;

            return NGX_OK;
        }

        rc = response_hold(r, state, cl->buf);

        if (rc != NGX_OK) {
            return rc;
        }

        if (cl->buf->last_buf) {
            last = 1;
        }
    }

    *in = NULL;

    if (!last) {
        return NGX_OK;
    }

    state->done = 1;

    if (response_body(r, run->instance->conf, state) != NGX_OK) {
        return NGX_ERROR;
    }

    *in = state->held;

    return NGX_OK;
}
