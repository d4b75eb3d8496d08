/*
 * Names and values in query strings and request bodies: urlencoded, JSON
 * (members of the top-level object) and multipart.
 */

#include "ngx_kong_plugin.h"

#include <cjson/cJSON.h>


typedef enum {
    NGX_KONG_BODY_OTHER = 0,
    NGX_KONG_BODY_FORM,
    NGX_KONG_BODY_JSON,
    NGX_KONG_BODY_MULTIPART
} ngx_kong_body_type_t;


static u_char *ngx_kong_form_next(u_char *p, u_char *last, ngx_str_t *name,
    u_char **value, u_char **end);
static ngx_uint_t ngx_kong_form_is(u_char *p, u_char *last, ngx_str_t *name);
static ngx_kong_body_type_t ngx_kong_body_type(ngx_http_request_t *r,
    ngx_str_t *boundary);
static ngx_int_t ngx_kong_json_get(ngx_pool_t *pool, ngx_str_t *body,
    ngx_str_t *name, ngx_str_t *value);
static ngx_int_t ngx_kong_json_clear(ngx_pool_t *pool, ngx_str_t *body,
    ngx_str_t *name, ngx_str_t *out);
static ngx_int_t ngx_kong_multipart_find(ngx_str_t *body,
    ngx_str_t *boundary, ngx_str_t *name, ngx_str_t *value, ngx_str_t *part);
static u_char *ngx_kong_find(u_char *p, u_char *last, const char *text,
    size_t len);
static ngx_uint_t ngx_kong_multipart_is(u_char *p, u_char *last,
    ngx_str_t *name);


ngx_int_t
ngx_kong_form_get(ngx_pool_t *pool, ngx_str_t *args, ngx_str_t *name,
    ngx_uint_t nth, ngx_str_t *value)
{
    u_char  *p, *last, *start, *end, *dst, *src;

    p = args->data;
    last = p + args->len;

    while (p < last) {
        p = ngx_kong_form_next(p, last, name, &start, &end);

        if (start == NULL || nth-- != 0) {
            continue;
        }

        dst = ngx_pnalloc(pool, end - start + 1);
        if (dst == NULL) {
            return NGX_ERROR;
        }

        value->data = dst;

        for (src = start; src < end; src++) {
            *dst++ = (*src == '+') ? ' ' : *src;
        }

        src = value->data;
        end = dst;
        dst = value->data;
        ngx_unescape_uri(&dst, &src, end - src, 0);
        value->len = dst - value->data;

        return NGX_OK;
    }

    return NGX_DECLINED;
}


ngx_int_t
ngx_kong_form_clear(ngx_pool_t *pool, ngx_str_t *args, ngx_str_t *name,
    ngx_str_t *out)
{
    u_char  *p, *last, *begin, *start, *end, *dst, *data;

    data = ngx_pnalloc(pool, args->len + 1);
    if (data == NULL) {
        return NGX_ERROR;
    }

    dst = data;
    p = args->data;
    last = p + args->len;

    while (p < last) {
        begin = p;
        p = ngx_kong_form_next(p, last, name, &start, &end);

        if (start != NULL) {
            continue;
        }

        if (dst != data) {
            *dst++ = '&';
        }

        dst = ngx_cpymem(dst, begin, end - begin);
    }

    out->data = data;
    out->len = dst - data;

    return NGX_OK;
}


/*
 * One argument: returns where the next begins; *value is NULL unless the
 * name is the wanted one, *end is the end of this argument.
 */
static u_char *
ngx_kong_form_next(u_char *p, u_char *last, ngx_str_t *name, u_char **value,
    u_char **end)
{
    u_char  *amp, *eq;

    amp = ngx_strlchr(p, last, '&');
    *end = amp ? amp : last;

    eq = ngx_strlchr(p, *end, '=');

    if (!ngx_kong_form_is(p, eq ? eq : *end, name)) {
        *value = NULL;

    } else {
        *value = eq ? eq + 1 : *end;
    }

    return amp ? amp + 1 : last;
}


static ngx_uint_t
ngx_kong_form_is(u_char *p, u_char *last, ngx_str_t *name)
{
    u_char     *n, *end;
    u_char      ch;
    ngx_int_t   hex;

    n = name->data;
    end = n + name->len;

    while (p < last) {

        ch = *p++;

        if (ch == '+') {
            ch = ' ';

        } else if (ch == '%' && last - p >= 2) {
            hex = ngx_hextoi(p, 2);

            if (hex != NGX_ERROR) {
                ch = (u_char) hex;
                p += 2;
            }
        }

        if (n == end || *n++ != ch) {
            return 0;
        }
    }

    return n == end;
}


ngx_int_t
ngx_kong_body_arg(ngx_http_request_t *r, ngx_str_t *body, ngx_str_t *name,
    ngx_str_t *value)
{
    ngx_str_t  boundary, part;

    switch (ngx_kong_body_type(r, &boundary)) {

    case NGX_KONG_BODY_FORM:
        return ngx_kong_form_get(r->pool, body, name, 0, value);

    case NGX_KONG_BODY_JSON:
        return ngx_kong_json_get(r->pool, body, name, value);

    case NGX_KONG_BODY_MULTIPART:
        return ngx_kong_multipart_find(body, &boundary, name, value, &part);

    default:
        return NGX_DECLINED;
    }
}


ngx_int_t
ngx_kong_body_plain(ngx_http_request_t *r, ngx_str_t *body, ngx_str_t *name,
    ngx_str_t *value)
{
    cJSON                 *json, *item;
    ngx_int_t              rc;
    ngx_str_t              second, boundary;
    ngx_uint_t             n;
    ngx_kong_body_type_t   type;

    type = ngx_kong_body_type(r, &boundary);
    rc = ngx_kong_body_arg(r, body, name, value);

    if (rc != NGX_OK) {
        return rc;
    }

    if (type == NGX_KONG_BODY_FORM) {
        rc = ngx_kong_form_get(r->pool, body, name, 1, &second);

        return rc == NGX_DECLINED ? NGX_OK
                                  : rc == NGX_OK ? NGX_ABORT : rc;
    }

    if (type != NGX_KONG_BODY_JSON) {
        return NGX_OK;
    }

    json = cJSON_ParseWithLength((char *) body->data, body->len);
    rc = NGX_OK;
    n = 0;

    cJSON_ArrayForEach(item, json) {
        if (item->string != NULL && ngx_strlen(item->string) == name->len
            && ngx_memcmp(item->string, name->data, name->len) == 0
            && (++n > 1 || cJSON_IsArray(item) || cJSON_IsObject(item)))
        {
            rc = NGX_ABORT;
        }
    }

    cJSON_Delete(json);

    return rc;
}


ngx_int_t
ngx_kong_body_arg_clear(ngx_http_request_t *r, ngx_str_t *name)
{
    ngx_int_t   rc;
    ngx_str_t   body, out, boundary, value, part;

    rc = ngx_kong_body(r, NGX_KONG_BODY_MAX, &body);

    if (rc == NGX_DECLINED || body.len == 0) {
        return NGX_OK;
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    switch (ngx_kong_body_type(r, &boundary)) {

    case NGX_KONG_BODY_FORM:
        rc = ngx_kong_form_clear(r->pool, &body, name, &out);
        break;

    case NGX_KONG_BODY_JSON:
        rc = ngx_kong_json_clear(r->pool, &body, name, &out);
        break;

    case NGX_KONG_BODY_MULTIPART:

        rc = ngx_kong_multipart_find(&body, &boundary, name, &value, &part);
        if (rc != NGX_OK) {
            return NGX_OK;
        }

        out.len = body.len - part.len;
        out.data = ngx_pnalloc(r->pool, out.len + 1);
        if (out.data == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(ngx_cpymem(out.data, body.data, part.data - body.data),
                   part.data + part.len,
                   body.data + body.len - (part.data + part.len));
        break;

    default:
        return NGX_OK;
    }

    if (rc == NGX_DECLINED) {
        return NGX_OK;
    }

    return rc == NGX_OK ? ngx_kong_body_set(r, &out) : NGX_ERROR;
}


static ngx_kong_body_type_t
ngx_kong_body_type(ngx_http_request_t *r, ngx_str_t *boundary)
{
    u_char           *p, *last;
    ngx_str_t        *type;
    ngx_table_elt_t  *h;

    h = ngx_kong_header_in(r, "content-type", 12);

    if (h == NULL) {
        return NGX_KONG_BODY_OTHER;
    }

    type = &h->value;
    last = type->data + type->len;

    if (ngx_strlcasestrn(type->data, last,
                         (u_char *) "application/x-www-form-urlencoded", 32)
        != NULL)
    {
        return NGX_KONG_BODY_FORM;
    }

    if (ngx_strlcasestrn(type->data, last, (u_char *) "application/json", 15)
        != NULL)
    {
        return NGX_KONG_BODY_JSON;
    }

    if (ngx_strlcasestrn(type->data, last, (u_char *) "multipart/form-data",
                         18)
        == NULL)
    {
        return NGX_KONG_BODY_OTHER;
    }

    p = ngx_strlcasestrn(type->data, last, (u_char *) "boundary=", 8);

    if (p == NULL) {
        return NGX_KONG_BODY_OTHER;
    }

    p += sizeof("boundary=") - 1;

    if (p < last && *p == '"') {
        p++;
    }

    boundary->data = p;

    while (p < last && *p != '"' && *p != ';' && *p != ' ') {
        p++;
    }

    boundary->len = p - boundary->data;

    return boundary->len ? NGX_KONG_BODY_MULTIPART : NGX_KONG_BODY_OTHER;
}


/* strings, and numbers and booleans as their text */
static ngx_int_t
ngx_kong_json_get(ngx_pool_t *pool, ngx_str_t *body, ngx_str_t *name,
    ngx_str_t *value)
{
    char       *text;
    cJSON      *json, *item;
    ngx_int_t   rc;

    json = cJSON_ParseWithLength((char *) body->data, body->len);

    if (json == NULL) {
        return NGX_DECLINED;
    }

    rc = NGX_DECLINED;

    cJSON_ArrayForEach(item, json) {

        if (item->string == NULL || ngx_strlen(item->string) != name->len
            || ngx_memcmp(item->string, name->data, name->len) != 0
            || cJSON_IsNull(item))
        {
            continue;
        }

        text = cJSON_IsString(item) ? item->valuestring
                                    : cJSON_PrintUnformatted(item);
        if (text == NULL) {
            rc = NGX_ERROR;
            break;
        }

        value->len = ngx_strlen(text);
        value->data = ngx_pnalloc(pool, value->len + 1);
        rc = NGX_ERROR;

        if (value->data != NULL) {
            ngx_memcpy(value->data, text, value->len);
            rc = NGX_OK;
        }

        if (!cJSON_IsString(item)) {
            cJSON_free(text);
        }

        break;
    }

    cJSON_Delete(json);

    return rc;
}


static ngx_int_t
ngx_kong_json_clear(ngx_pool_t *pool, ngx_str_t *body, ngx_str_t *name,
    ngx_str_t *out)
{
    char       *text;
    cJSON      *json, *item;
    ngx_int_t   rc;

    json = cJSON_ParseWithLength((char *) body->data, body->len);

    if (json == NULL) {
        return NGX_DECLINED;
    }

    rc = NGX_DECLINED;

    cJSON_ArrayForEach(item, json) {
        if (item->string != NULL && ngx_strlen(item->string) == name->len
            && ngx_memcmp(item->string, name->data, name->len) == 0)
        {
            cJSON_Delete(cJSON_DetachItemViaPointer(json, item));
            rc = NGX_OK;
            break;
        }
    }

    if (rc == NGX_OK) {
        text = cJSON_PrintUnformatted(json);
        rc = NGX_ERROR;

        if (text != NULL) {
            out->len = ngx_strlen(text);
            out->data = ngx_pnalloc(pool, out->len + 1);

            if (out->data != NULL) {
                ngx_memcpy(out->data, text, out->len);
                rc = NGX_OK;
            }

            cJSON_free(text);
        }
    }

    cJSON_Delete(json);

    return rc;
}


/* *part runs from its boundary line to the next one */
static ngx_int_t
ngx_kong_multipart_find(ngx_str_t *body, ngx_str_t *boundary,
    ngx_str_t *name, ngx_str_t *value, ngx_str_t *part)
{
    u_char  *p, *last, *start, *head, *next;

    p = body->data;
    last = p + body->len;

    p = ngx_kong_find(p, last, (char *) boundary->data, boundary->len);

    while (p != NULL && p - body->data >= 2) {

        start = p - 2;
        p += boundary->len;

        head = ngx_kong_find(p, last, CRLF CRLF, 4);
        next = ngx_kong_find(p, last, (char *) boundary->data,
                             boundary->len);

        if (head == NULL || next == NULL || head > next
            || next - (head + 4) < 4)
        {
            return NGX_DECLINED;
        }

        if (ngx_kong_multipart_is(p, head, name)) {
            value->data = head + 4;
            value->len = next - 4 - value->data;
            part->data = start;
            part->len = next - 2 - start;
            return NGX_OK;
        }

        p = next;
    }

    return NGX_DECLINED;
}


static u_char *
ngx_kong_find(u_char *p, u_char *last, const char *text, size_t len)
{
    return memmem(p, last - p, text, len);
}


/* does the part's head hold name="<name>"? */
static ngx_uint_t
ngx_kong_multipart_is(u_char *p, u_char *last, ngx_str_t *name)
{
    while ((p = ngx_kong_find(p, last, "name=\"", 6)) != NULL) {

        if (p[-1] != 'e' && (size_t) (last - p) >= 6 + name->len + 1
            && ngx_memcmp(p + 6, name->data, name->len) == 0
            && p[6 + name->len] == '"')
        {
            return 1;
        }

        p += 6;
    }

    return 0;
}
