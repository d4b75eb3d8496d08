/*
 * response-transformer: the changes to headers.  Content-Type is not in
 * nginx's list, and the message's framing is not a plugin's to say.
 */

#include "response_transformer.h"


static ngx_int_t response_rename(ngx_http_request_t *r,
    response_item_t *item, ngx_array_t *values);
static ngx_int_t response_values(ngx_http_request_t *r, ngx_str_t *name,
    ngx_array_t *values);
static ngx_uint_t response_has(ngx_http_request_t *r, ngx_str_t *name);
static ngx_int_t response_set(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value, ngx_uint_t add);
static ngx_uint_t response_is(ngx_str_t *name, const char *lower);


ngx_int_t
response_headers(ngx_http_request_t *r, response_conf_t *conf)
{
    u_char           *has;
    ngx_uint_t        i, op;
    ngx_array_t      *values;
    response_item_t  *item;
    response_list_t  *lists;

    lists = conf->headers;

    /* what the answer had: values to rename, presence of the others */

    values = ngx_pcalloc(r->pool, (lists[RESPONSE_RENAME].n + 1)
                                  * sizeof(ngx_array_t));
    has = ngx_pcalloc(r->pool, lists[RESPONSE_REPLACE].n
                               + lists[RESPONSE_ADD].n + 1);
    if (values == NULL || has == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < lists[RESPONSE_RENAME].n; i++) {
        if (response_values(r, &lists[RESPONSE_RENAME].items[i].name,
                            &values[i])
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    for (op = RESPONSE_REPLACE; op <= RESPONSE_ADD; op++) {
        for (i = 0; i < lists[op].n; i++) {
            *has++ = response_has(r, &lists[op].items[i].name);
        }
    }

    has -= lists[RESPONSE_REPLACE].n + lists[RESPONSE_ADD].n;

    for (i = 0; i < lists[RESPONSE_REMOVE].n; i++) {
        item = &lists[RESPONSE_REMOVE].items[i];
        ngx_kong_header_out_clear(r, (char *) item->name.data,
                                  item->name.len);
    }

    for (i = 0; i < lists[RESPONSE_RENAME].n; i++) {
        if (response_rename(r, &lists[RESPONSE_RENAME].items[i], &values[i])
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    for (op = RESPONSE_REPLACE; op <= RESPONSE_ADD; op++) {
        for (i = 0; i < lists[op].n; i++) {
            if (*has++ == (op == RESPONSE_REPLACE)
                && response_set(r, &lists[op].items[i].name,
                                &lists[op].items[i].value, 0)
                   != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    for (i = 0; i < lists[RESPONSE_APPEND].n; i++) {
        item = &lists[RESPONSE_APPEND].items[i];

        if (response_set(r, &item->name, &item->value, 1) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
response_rename(ngx_http_request_t *r, response_item_t *item,
    ngx_array_t *values)
{
    ngx_str_t   *v;
    ngx_uint_t   i;

    if (values->nelts == 0 || item->value.data == NULL) {
        return NGX_OK;
    }

    ngx_kong_header_out_clear(r, (char *) item->name.data, item->name.len);

    v = values->elts;

    for (i = 0; i < values->nelts; i++) {
        if (response_set(r, &item->value, &v[i], i != 0) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
response_values(ngx_http_request_t *r, ngx_str_t *name, ngx_array_t *values)
{
    ngx_str_t        *v;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    if (ngx_array_init(values, r->pool, 2, sizeof(ngx_str_t)) != NGX_OK) {
        return NGX_ERROR;
    }

    if (response_is(name, "content-type")
        && r->headers_out.content_type.len != 0)
    {
        v = ngx_array_push(values);
        if (v == NULL) {
            return NGX_ERROR;
        }

        *v = r->headers_out.content_type;
    }

    for (part = &r->headers_out.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].hash == 0 || h[i].key.len != name->len
                || ngx_strncasecmp(h[i].key.data, name->data, name->len) != 0)
            {
                continue;
            }

            v = ngx_array_push(values);
            if (v == NULL) {
                return NGX_ERROR;
            }

            *v = h[i].value;
        }
    }

    return NGX_OK;
}


static ngx_uint_t
response_has(ngx_http_request_t *r, ngx_str_t *name)
{
    if (response_is(name, "content-type")) {
        return r->headers_out.content_type.len != 0;
    }

    if (response_is(name, "content-length")) {
        return r->headers_out.content_length_n >= 0;
    }

    return ngx_kong_header_out(r, (char *) name->data, name->len) != NULL;
}


/* the message's framing is not a plugin's to say */
static ngx_int_t
response_set(ngx_http_request_t *r, ngx_str_t *name, ngx_str_t *value,
    ngx_uint_t add)
{
    size_t  i;

    if (value->data == NULL || name->len == 0
        || response_is(name, "transfer-encoding")
        || response_is(name, "connection")
        || response_is(name, "content-length"))
    {
        return NGX_OK;
    }

    for (i = 0; i < name->len; i++) {
        if (name->data[i] <= 0x20 || name->data[i] >= 0x7f) {
            return NGX_OK;
        }
    }

    for (i = 0; i < value->len; i++) {
        if (value->data[i] == CR || value->data[i] == LF
            || value->data[i] == '\0')
        {
            return NGX_OK;
        }
    }

    return add ? ngx_kong_header_out_add(r, name, value)
               : ngx_kong_header_out_set(r, name, value);
}


static ngx_uint_t
response_is(ngx_str_t *name, const char *lower)
{
    return name->len == ngx_strlen(lower)
           && ngx_strncasecmp(name->data, (u_char *) lower, name->len) == 0;
}
