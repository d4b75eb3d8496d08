/*
 * request-transformer: the changes to arguments, of a query or a form, and to
 * the members of a JSON body.
 */

#include "request_transformer.h"


static ngx_int_t rt_form(ngx_http_request_t *r, rt_conf_t *conf,
    rt_state_t *state, ngx_str_t *body);
static ngx_int_t rt_json(ngx_http_request_t *r, rt_conf_t *conf,
    rt_state_t *state, ngx_str_t *body);
static ngx_int_t rt_json_item(ngx_http_request_t *r, ngx_array_t *members,
    ngx_uint_t op, ngx_str_t *name, ngx_str_t *value, ngx_uint_t *changed);


ngx_int_t
rt_field_list(ngx_array_t *fields, ngx_uint_t op, rt_list_t *list,
    ngx_str_t *values, ngx_uint_t *changed)
{
    ngx_uint_t   i, done;
    ngx_str_t   *name;

    for (i = 0; i < list->n; i++) {

        name = &list->items[i].name;
        done = 1;

        if (op != RT_REMOVE && !list->items[i].has_value) {
            continue;
        }

        switch (op) {

        case RT_REMOVE:
            ngx_kong_fields_remove(fields, name);
            break;

        case RT_RENAME:
            done = ngx_kong_fields_rename(fields, name, &values[i]);
            break;

        case RT_REPLACE:
            done = ngx_kong_fields_has(fields, name);
            ngx_kong_fields_replace(fields, name, &values[i]);
            break;

        default:
            done = (op == RT_APPEND) || !ngx_kong_fields_has(fields, name);

            if (done && ngx_kong_fields_add(fields, name, &values[i], 0)
                        != NGX_OK)
            {
                return NGX_ERROR;
            }
        }

        if (done && changed != NULL) {
            *changed = 1;
        }
    }

    return NGX_OK;
}


ngx_int_t
rt_body(ngx_http_request_t *r, rt_conf_t *conf, rt_state_t *state)
{
    ngx_int_t       rc;
    ngx_str_t       body;
    rt_body_type_t  type;

    if (conf->n[RT_BODY] == 0) {
        return NGX_OK;
    }

    type = rt_body_type(r);

    if (type == RT_BODY_OTHER) {
        return NGX_OK;
    }

    rc = rt_read_body(r, &body);

    if (rc != NGX_OK) {
        return rc == NGX_DECLINED ? NGX_OK : rc;
    }

    switch (type) {

    case RT_BODY_FORM:
        return rt_form(r, conf, state, &body);

    case RT_BODY_JSON:
        return rt_json(r, conf, state, &body);

    default:
        return rt_multipart(r, conf, state, &body);
    }
}


rt_body_type_t
rt_body_type(ngx_http_request_t *r)
{
    u_char           *p, *last;
    ngx_table_elt_t  *h;

    h = ngx_kong_header_in(r, "content-type", 12);

    if (h == NULL) {
        return RT_BODY_OTHER;
    }

    p = h->value.data;
    last = p + h->value.len;

    if (ngx_strlcasestrn(p, last, (u_char *) "application/json", 15)) {
        return RT_BODY_JSON;
    }

    if (ngx_strlcasestrn(p, last, (u_char *) "multipart/form-data", 18)) {
        return RT_BODY_MULTIPART;
    }

    if (ngx_strlcasestrn(p, last,
                         (u_char *) "application/x-www-form-urlencoded", 32))
    {
        return RT_BODY_FORM;
    }

    return RT_BODY_OTHER;
}


ngx_int_t
rt_read_body(ngx_http_request_t *r, ngx_str_t *body)
{
    ngx_int_t  rc;

    rc = ngx_kong_body(r, NGX_KONG_BODY_MAX, body);

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "request-transformer: the body is too large to be "
                      "changed");
    }

    return rc;
}


static ngx_int_t
rt_form(ngx_http_request_t *r, rt_conf_t *conf, rt_state_t *state,
    ngx_str_t *body)
{
    ngx_str_t    *values, text;
    ngx_uint_t    op, changed;
    ngx_array_t  *fields;

    fields = ngx_kong_fields(r->pool, body);
    if (fields == NULL) {
        return NGX_ERROR;
    }

    changed = 0;

    for (op = 0; op < RT_OPS; op++) {
        if (!rt_applies(op, body)) {
            continue;
        }

        if (rt_values(r, &conf->lists[op][RT_BODY], state, &values) != NGX_OK
            || rt_field_list(fields, op, &conf->lists[op][RT_BODY], values,
                             &changed)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (!changed) {
        return NGX_OK;
    }

    if (ngx_kong_fields_write(r->pool, fields, 0, &text) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_kong_body_set(r, &text);
}


static ngx_int_t
rt_json(ngx_http_request_t *r, rt_conf_t *conf, rt_state_t *state,
    ngx_str_t *body)
{
    static ngx_str_t  empty = ngx_string("{}");

    ngx_int_t     rc;
    ngx_str_t    *values, text;
    rt_list_t    *list;
    ngx_uint_t    i, op, changed;
    ngx_array_t  *members;

    rc = ngx_kong_json_members(r->pool, body->len ? body : &empty, &members);

    if (rc != NGX_OK) {
        return rc == NGX_DECLINED ? NGX_OK : rc;
    }

    changed = 0;

    for (op = 0; op < RT_OPS; op++) {

        list = &conf->lists[op][RT_BODY];

        if (!rt_applies(op, body)) {
            continue;
        }

        if (rt_values(r, list, state, &values) != NGX_OK) {
            return NGX_ERROR;
        }

        for (i = 0; i < list->n; i++) {
            if (rt_json_item(r, members, op, &list->items[i].name, &values[i],
                             &changed)
                != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    if (!changed) {
        return NGX_OK;
    }

    if (ngx_kong_json_write(r->pool, members, &text) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_kong_body_set(r, &text);
}


/* a member that is false counts as absent, as in Lua */
static ngx_int_t
rt_json_item(ngx_http_request_t *r, ngx_array_t *members, ngx_uint_t op,
    ngx_str_t *name, ngx_str_t *value, ngx_uint_t *changed)
{
    ngx_str_t           json;
    ngx_uint_t          there;
    ngx_kong_member_t  *m;

    m = ngx_kong_json_member(members, name);
    there = (m != NULL && m->value.data[0] != 'f');

    if (op == RT_REMOVE) {
        ngx_kong_json_remove(members, name);
        *changed = 1;
        return NGX_OK;
    }

    if (op == RT_RENAME) {
        if (there && ngx_kong_json_rename(members, name, value)) {
            *changed = 1;
        }

        return NGX_OK;
    }

    if ((op == RT_REPLACE && !there) || (op == RT_ADD && there)) {
        return NGX_OK;
    }

    if (ngx_kong_json_string(r->pool, value, &json) != NGX_OK) {
        return NGX_ERROR;
    }

    *changed = 1;

    return op == RT_APPEND
           ? ngx_kong_json_append(r->pool, members, name, &json)
           : ngx_kong_json_set(members, name, &json);
}
