/*
 * request-transformer: the changes to the parts of a multipart body.  A part
 * that stays is sent as it came.
 */

#include "request_transformer.h"


/* one part of a multipart body */
typedef struct {
    ngx_str_t   name;
    ngx_str_t   head;                    /* header lines, without the empty */
    ngx_str_t   value;
    ngx_uint_t  gone;
} rt_part_t;


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


ngx_int_t
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

    if (ngx_kong_escape(r->pool, name, ngx_kong_unsafe_value, &safe)
        != NGX_OK)
    {
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
