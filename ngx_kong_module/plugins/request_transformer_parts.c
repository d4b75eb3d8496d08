/*
 * The changes that request-transformer makes to headers, and to bodies of the
 * three types that it knows.
 */

#include "request_transformer.h"


/* one part of a multipart body */
typedef struct {
    ngx_str_t   name;
    ngx_str_t   head;                    /* header lines, without the empty */
    ngx_str_t   value;
    ngx_uint_t  gone;
} rt_part_t;


static ngx_uint_t rt_header_fixed(ngx_str_t *lower);
static ngx_uint_t rt_header_has(ngx_http_request_t *r, ngx_str_t *lower);
static ngx_int_t rt_header_rename(ngx_http_request_t *r, rt_item_t *item,
    ngx_str_t *to);
static ngx_int_t rt_header_set(ngx_http_request_t *r, rt_item_t *item,
    ngx_str_t *value, ngx_uint_t add);
static ngx_int_t rt_form(ngx_http_request_t *r, rt_conf_t *conf,
    rt_state_t *state, ngx_str_t *body);
static ngx_int_t rt_json(ngx_http_request_t *r, rt_conf_t *conf,
    rt_state_t *state, ngx_str_t *body);
static ngx_int_t rt_json_item(ngx_http_request_t *r, ngx_array_t *members,
    ngx_uint_t op, ngx_str_t *name, ngx_str_t *value, ngx_uint_t *changed);
static ngx_int_t rt_multipart(ngx_http_request_t *r, rt_conf_t *conf,
    rt_state_t *state, ngx_str_t *body);
static ngx_int_t rt_multipart_item(ngx_http_request_t *r, ngx_array_t *parts,
    ngx_uint_t op, ngx_str_t *name, ngx_str_t *value, ngx_uint_t *changed);
static ngx_int_t rt_boundary(ngx_http_request_t *r, ngx_str_t *boundary);
static ngx_int_t rt_multipart_read(ngx_http_request_t *r, ngx_str_t *body,
    ngx_str_t *boundary, ngx_array_t *parts);
static u_char *rt_multipart_line(u_char *p, u_char *last,
    ngx_str_t *boundary);
static void rt_part_name(rt_part_t *part);
static rt_part_t *rt_part(ngx_array_t *parts, ngx_str_t *name);
static void rt_part_remove(ngx_array_t *parts, ngx_str_t *name);
static ngx_int_t rt_part_set(ngx_http_request_t *r, ngx_array_t *parts,
    ngx_str_t *name, ngx_str_t *value);
static ngx_int_t rt_multipart_write(ngx_http_request_t *r,
    ngx_str_t *boundary, ngx_array_t *parts);


uint32_t  rt_unsafe_path[] = {
    0xffffffff, 0x50000005, 0x40000000, 0xb8000001,
    0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff
};

uint32_t  rt_unsafe_header[] = {
    0xfffffdff, 0x00000000, 0x00000000, 0x80000000,
    0x00000000, 0x00000000, 0x00000000, 0x00000000
};

/* written anew for the upstream, whatever the request has */
static ngx_str_t  rt_fixed[] = {
    ngx_string("connection"), ngx_string("content-length"),
    ngx_string("keep-alive"), ngx_string("te"),
    ngx_string("transfer-encoding"), ngx_string("upgrade"),
    ngx_string("via"), ngx_string("x-forwarded-for"),
    ngx_string("x-forwarded-host"), ngx_string("x-forwarded-path"),
    ngx_string("x-forwarded-port"), ngx_string("x-forwarded-prefix"),
    ngx_string("x-forwarded-proto"), ngx_string("x-real-ip"),
    ngx_null_string
};


ngx_int_t
rt_escape(ngx_pool_t *pool, ngx_str_t *text, uint32_t *map,
    ngx_str_t *escaped)
{
    static u_char  hex[] = "0123456789ABCDEF";

    u_char     *p, ch;
    size_t      i, n;
    ngx_str_t   src;

#define rt_is_unsafe(ch)  (map[(ch) >> 5] & (1U << ((ch) & 0x1f)))

    for (i = 0, n = 0; i < text->len; i++) {
        n += (rt_is_unsafe(text->data[i]) != 0);
    }

    if (n == 0) {
        *escaped = *text;
        return NGX_OK;
    }

    p = ngx_pnalloc(pool, text->len + 2 * n);
    if (p == NULL) {
        return NGX_ERROR;
    }

    src = *text;
    escaped->data = p;

    for (i = 0; i < src.len; i++) {
        ch = src.data[i];

        if (rt_is_unsafe(ch)) {
            *p++ = '%';
            *p++ = hex[ch >> 4];
            *p++ = hex[ch & 0xf];

        } else {
            *p++ = ch;
        }
    }

    escaped->len = p - escaped->data;

    return NGX_OK;
}


ngx_int_t
rt_header_list(ngx_http_request_t *r, ngx_uint_t op, rt_list_t *list,
    ngx_str_t *values)
{
    ngx_int_t    rc;
    ngx_str_t    value;
    ngx_uint_t   i, host;
    rt_item_t   *item;

    for (i = 0; i < list->n; i++) {

        item = &list->items[i];
        host = (item->lower.len == 4
                && ngx_memcmp(item->lower.data, "host", 4) == 0);

        /* only replace may set Host */

        if (rt_header_fixed(&item->lower) || (host && op != RT_REPLACE)
            || (op != RT_REMOVE && !item->has_value))
        {
            continue;
        }

        if (op == RT_REMOVE) {
            ngx_kong_header_in_clear(r, (char *) item->lower.data,
                                     item->lower.len);
            continue;
        }

        if (rt_escape(r->pool, &values[i], rt_unsafe_header, &value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        rc = NGX_OK;

        switch (op) {

        case RT_RENAME:
            rc = rt_header_rename(r, item, &value);
            break;

        case RT_REPLACE:
            if (host || rt_header_has(r, &item->lower)) {
                rc = rt_header_set(r, item, &value, 0);
            }

            break;

        case RT_ADD:
            if (!rt_header_has(r, &item->lower)) {
                rc = rt_header_set(r, item, &value, 0);
            }

            break;

        default:
            rc = rt_header_set(r, item, &value, 1);
        }

        if (rc != NGX_OK) {
            return rc;
        }
    }

    return NGX_OK;
}


static ngx_uint_t
rt_header_fixed(ngx_str_t *lower)
{
    ngx_str_t  *f;

    for (f = rt_fixed; f->len; f++) {
        if (f->len == lower->len
            && ngx_memcmp(f->data, lower->data, lower->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* as templates see headers: "_" finds "-" too */
static ngx_uint_t
rt_header_has(ngx_http_request_t *r, ngx_str_t *lower)
{
    size_t  i;
    u_char  dashed[128];

    if (ngx_kong_header_in(r, (char *) lower->data, lower->len) != NULL) {
        return 1;
    }

    if (lower->len > sizeof(dashed)
        || ngx_strlchr(lower->data, lower->data + lower->len, '_') == NULL)
    {
        return 0;
    }

    for (i = 0; i < lower->len; i++) {
        dashed[i] = lower->data[i] == '_' ? '-' : lower->data[i];
    }

    return ngx_kong_header_in(r, (char *) dashed, lower->len) != NULL;
}


/* all values move; what had the other name goes */
static ngx_int_t
rt_header_rename(ngx_http_request_t *r, rt_item_t *item, ngx_str_t *to)
{
    ngx_str_t             lower, value;
    ngx_table_elt_t      *h;
    ngx_http_kong_ctx_t  *ctx;

    h = ngx_kong_header_in(r, (char *) item->lower.data, item->lower.len);

    if (h == NULL) {
        return NGX_OK;
    }

    lower.len = to->len;
    lower.data = ngx_pnalloc(r->pool, to->len + 1);
    if (lower.data == NULL) {
        return NGX_ERROR;
    }

    ngx_strlow(lower.data, to->data, to->len);

    if (lower.len == item->lower.len
        && ngx_memcmp(lower.data, item->lower.data, lower.len) == 0)
    {
        h->key = *to;
        return NGX_OK;
    }

    if (lower.len == 4 && ngx_memcmp(lower.data, "host", 4) == 0) {
        ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);
        ctx->upstream_host = h->value;

    } else if (!rt_header_fixed(&lower)) {

        ngx_kong_header_in_clear(r, (char *) lower.data, lower.len);

        for ( /* void */ ; h != NULL; h = ngx_kong_header_in(r,
                               (char *) item->lower.data, item->lower.len))
        {
            value = h->value;
            h->hash = 0;

            if (ngx_kong_header_in_add(r, to, &value) != NGX_OK) {
                return NGX_ERROR;
            }
        }
    }

    ngx_kong_header_in_clear(r, (char *) item->lower.data, item->lower.len);

    return NGX_OK;
}


static ngx_int_t
rt_header_set(ngx_http_request_t *r, rt_item_t *item, ngx_str_t *value,
    ngx_uint_t add)
{
    ngx_http_kong_ctx_t  *ctx;

    if (item->lower.len == 4 && ngx_memcmp(item->lower.data, "host", 4) == 0) {
        ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);
        ctx->upstream_host = *value;
        return NGX_OK;
    }

    return add ? ngx_kong_header_in_add(r, &item->name, value)
               : ngx_kong_header_in_set(r, &item->name, value);
}


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


/* rename, remove and replace need a body, add and append do not */
#define rt_applies(op, body)                                                  \
    ((body)->len != 0 || (op) == RT_ADD || (op) == RT_APPEND)


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


static ngx_int_t
rt_multipart(ngx_http_request_t *r, rt_conf_t *conf, rt_state_t *state,
    ngx_str_t *body)
{
    /* renames come first here; there is no append */
    static ngx_uint_t  ops[] = { RT_RENAME, RT_REMOVE, RT_REPLACE, RT_ADD };

    ngx_str_t    *values, boundary;
    rt_list_t    *list;
    ngx_uint_t    i, j, op, changed;
    ngx_array_t   parts;

    if (rt_boundary(r, &boundary) != NGX_OK) {
        return NGX_OK;
    }

    if (ngx_array_init(&parts, r->pool, 4, sizeof(rt_part_t)) != NGX_OK
        || rt_multipart_read(r, body, &boundary, &parts) != NGX_OK)
    {
        return NGX_ERROR;
    }

    changed = 0;

    for (j = 0; j < sizeof(ops) / sizeof(ops[0]); j++) {

        op = ops[j];
        list = &conf->lists[op][RT_BODY];

        if (!rt_applies(op, body)) {
            continue;
        }

        if (rt_values(r, list, state, &values) != NGX_OK) {
            return NGX_ERROR;
        }

        for (i = 0; i < list->n; i++) {
            if (rt_multipart_item(r, &parts, op, &list->items[i].name,
                                  &values[i], &changed)
                != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    return changed ? rt_multipart_write(r, &boundary, &parts) : NGX_OK;
}


static ngx_int_t
rt_multipart_item(ngx_http_request_t *r, ngx_array_t *parts, ngx_uint_t op,
    ngx_str_t *name, ngx_str_t *value, ngx_uint_t *changed)
{
    ngx_str_t   moved;
    rt_part_t  *part;

    part = rt_part(parts, name);

    if (op == RT_REMOVE) {
        rt_part_remove(parts, name);
        *changed = 1;
        return NGX_OK;
    }

    if ((op == RT_ADD) == (part != NULL)) {
        return NGX_OK;
    }

    if (op == RT_RENAME) {
        if (name->len == value->len
            && ngx_memcmp(name->data, value->data, name->len) == 0)
        {
            return NGX_OK;
        }

        moved = part->value;
        *changed = 1;
        rt_part_remove(parts, name);

        return rt_part_set(r, parts, value, &moved);
    }

    *changed = 1;

    if (op == RT_REPLACE) {
        rt_part_remove(parts, name);
    }

    return rt_part_set(r, parts, name, value);
}


static ngx_int_t
rt_boundary(ngx_http_request_t *r, ngx_str_t *boundary)
{
    u_char           *p, *last, *end;
    ngx_table_elt_t  *h;

    h = ngx_kong_header_in(r, "content-type", 12);

    if (h == NULL) {
        return NGX_DECLINED;
    }

    last = h->value.data + h->value.len;
    p = ngx_strlcasestrn(h->value.data, last, (u_char *) "boundary=", 8);

    if (p == NULL) {
        return NGX_DECLINED;
    }

    p += sizeof("boundary=") - 1;

    if (p < last && *p == '"') {
        p++;
        end = ngx_strlchr(p, last, '"');
        end = end ? end : last;

    } else {
        for (end = p; end < last && *end != ' ' && *end != ';'; end++) {
            /* void */
        }
    }

    boundary->data = p;
    boundary->len = end - p;

    return boundary->len ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
rt_multipart_read(ngx_http_request_t *r, ngx_str_t *body,
    ngx_str_t *boundary, ngx_array_t *parts)
{
    u_char     *p, *last, *end, *head;
    rt_part_t  *part;

    last = body->data + body->len;
    p = rt_multipart_line(body->data, last, boundary);

    while (p != NULL) {

        p += 2 + boundary->len;

        if (last - p >= 2 && p[0] == '-' && p[1] == '-') {
            break;
        }

        p = ngx_strlchr(p, last, LF);

        if (p == NULL) {
            break;
        }

        p++;

        end = rt_multipart_line(p, last, boundary);
        head = memmem(p, (end ? end : last) - p, CRLF CRLF, 4);

        if (end == NULL || head == NULL || end - (head + 4) < 2) {
            break;
        }

        part = ngx_array_push(parts);
        if (part == NULL) {
            return NGX_ERROR;
        }

        ngx_memzero(part, sizeof(rt_part_t));

        part->head.data = p;
        part->head.len = head - p;
        part->value.data = head + 4;
        part->value.len = end - 2 - (head + 4);
        rt_part_name(part);

        p = end;
    }

    return NGX_OK;
}


/* where a line that starts with the boundary begins */
static u_char *
rt_multipart_line(u_char *p, u_char *last, ngx_str_t *boundary)
{
    u_char  *start, *found;

    start = p;

    for ( ;; ) {
        found = memmem(p, last - p, boundary->data, boundary->len);

        if (found == NULL) {
            return NULL;
        }

        if (found - start >= 2 && found[-1] == '-' && found[-2] == '-'
            && (found - start == 2 || found[-3] == LF))
        {
            return found - 2;
        }

        p = found + 1;
    }
}


/* name="..." of Content-Disposition, not that of filename="..." */
static void
rt_part_name(rt_part_t *part)
{
    u_char  *p, *last, *end;

    last = part->head.data + part->head.len;

    for (p = part->head.data; last - p > 6; p++) {

        if (ngx_strncasecmp(p, (u_char *) "name=\"", 6) != 0
            || (p > part->head.data && p[-1] != ' ' && p[-1] != ';'
                && p[-1] != '\t'))
        {
            continue;
        }

        end = ngx_strlchr(p + 6, last, '"');

        if (end != NULL) {
            part->name.data = p + 6;
            part->name.len = end - (p + 6);
        }

        return;
    }
}


static rt_part_t *
rt_part(ngx_array_t *parts, ngx_str_t *name)
{
    ngx_uint_t   i;
    rt_part_t   *part;

    part = parts->elts;

    for (i = 0; i < parts->nelts; i++) {
        if (!part[i].gone && part[i].name.len == name->len
            && part[i].name.data != NULL
            && ngx_memcmp(part[i].name.data, name->data, name->len) == 0)
        {
            return &part[i];
        }
    }

    return NULL;
}


static void
rt_part_remove(ngx_array_t *parts, ngx_str_t *name)
{
    rt_part_t  *part;

    while ((part = rt_part(parts, name)) != NULL) {
        part->gone = 1;
    }
}


/* in the place of the first of that name, else at the end */
static ngx_int_t
rt_part_set(ngx_http_request_t *r, ngx_array_t *parts, ngx_str_t *name,
    ngx_str_t *value)
{
    static char  head[] = "Content-Disposition: form-data; name=\"";

    u_char     *p;
    rt_part_t  *part;
    ngx_str_t   safe;

    if (rt_escape(r->pool, name, rt_unsafe_header, &safe) != NGX_OK) {
        return NGX_ERROR;
    }

    part = rt_part(parts, name);

    if (part == NULL) {
        part = ngx_array_push(parts);
        if (part == NULL) {
            return NGX_ERROR;
        }
    }

    p = ngx_pnalloc(r->pool, sizeof(head) + safe.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    part->gone = 0;
    part->name = *name;
    part->value = *value;
    part->head.data = p;
    part->head.len = sizeof(head) + safe.len;

    p = ngx_cpymem(p, head, sizeof(head) - 1);
    p = ngx_cpymem(p, safe.data, safe.len);
    *p = '"';

    return NGX_OK;
}


static ngx_int_t
rt_multipart_write(ngx_http_request_t *r, ngx_str_t *boundary,
    ngx_array_t *parts)
{
    u_char      *p;
    size_t       len;
    ngx_str_t    body;
    ngx_uint_t   i;
    rt_part_t   *part;

    part = parts->elts;
    len = boundary->len + sizeof("----" CRLF);

    for (i = 0; i < parts->nelts; i++) {
        len += boundary->len + part[i].head.len + part[i].value.len
               + sizeof("--" CRLF CRLF CRLF CRLF);
    }

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    body.data = p;

    for (i = 0; i < parts->nelts; i++) {
        if (part[i].gone) {
            continue;
        }

        p = ngx_cpymem(p, "--", 2);
        p = ngx_cpymem(p, boundary->data, boundary->len);
        p = ngx_cpymem(p, CRLF, 2);
        p = ngx_cpymem(p, part[i].head.data, part[i].head.len);
        p = ngx_cpymem(p, CRLF CRLF, 4);
        p = ngx_cpymem(p, part[i].value.data, part[i].value.len);
        p = ngx_cpymem(p, CRLF, 2);
    }

    if (p != body.data) {
        p = ngx_cpymem(p, "--", 2);
        p = ngx_cpymem(p, boundary->data, boundary->len);
        p = ngx_cpymem(p, "--" CRLF, 4);
    }

    body.len = p - body.data;

    return ngx_kong_body_set(r, &body);
}
