/*
 * Headers and query arguments of a log record: names in lower case, what is
 * there more than once as an array, a hundred of each at most, as Kong's
 * lua_max_... settings have it.
 */

#include "ngx_kong_fields.h"
#include "ngx_kong_log_record.h"


#define NGX_KONG_LOG_MAX  100
#define NGX_KONG_LOG_OWN  4

#define ngx_kong_log_is(h, text)                                              \
    ((h)->key.len == sizeof(text) - 1                                         \
     && ngx_strncasecmp((h)->key.data, (u_char *) text, sizeof(text) - 1)     \
        == 0)

typedef struct {
    ngx_table_elt_t  headers[NGX_KONG_LOG_OWN];
    ngx_uint_t       n;
    u_char           length[NGX_INT64_LEN];
} ngx_kong_log_own_t;


static ngx_uint_t ngx_kong_log_list(ngx_list_t *list,
    ngx_table_elt_t **headers);
static void ngx_kong_log_all(ngx_table_elt_t **headers, ngx_uint_t n,
    ngx_kong_log_json_t *json);
static ngx_uint_t ngx_kong_log_same(ngx_table_elt_t *a, ngx_table_elt_t *b);
static ngx_uint_t ngx_kong_log_is_secret(ngx_table_elt_t *h);
static void ngx_kong_log_own(ngx_http_request_t *r,
    ngx_kong_log_own_t *own);
static void ngx_kong_log_own_add(ngx_kong_log_own_t *own, const char *name,
    ngx_str_t *value);
static void ngx_kong_log_field(ngx_kong_field_t *f,
    ngx_kong_log_json_t *json);


void
ngx_kong_log_headers_in(ngx_http_request_t *r, ngx_kong_log_json_t *json)
{
    ngx_uint_t        n;
    ngx_table_elt_t  *headers[NGX_KONG_LOG_MAX];

    if (r->headers_in.headers.part.elts == NULL) {
        return;
    }

    n = ngx_kong_log_list(&r->headers_in.headers, headers);
    ngx_kong_log_all(headers, n, json);
}


void
ngx_kong_log_headers_out(ngx_http_request_t *r, ngx_kong_log_json_t *json)
{
    ngx_uint_t            i, n;
    ngx_table_elt_t      *headers[NGX_KONG_LOG_OWN + NGX_KONG_LOG_MAX];
    ngx_kong_log_own_t    own;

    ngx_kong_log_own(r, &own);

    for (i = 0; i < own.n; i++) {
        headers[i] = &own.headers[i];
    }

    n = own.n;

    if (r->headers_out.headers.part.elts != NULL) {
        n += ngx_kong_log_list(&r->headers_out.headers, &headers[n]);
    }

    ngx_kong_log_all(headers, n, json);
}


static ngx_uint_t
ngx_kong_log_list(ngx_list_t *list, ngx_table_elt_t **headers)
{
    ngx_uint_t        i, n;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    n = 0;

    for (part = &list->part; part != NULL; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts && n < NGX_KONG_LOG_MAX; i++) {
            if (h[i].hash != 0) {
                headers[n++] = &h[i];
            }
        }
    }

    return n;
}


/* each with all that follow of its name; those are taken out */
static void
ngx_kong_log_all(ngx_table_elt_t **headers, ngx_uint_t n,
    ngx_kong_log_json_t *json)
{
    ngx_uint_t        i, k, many;
    ngx_table_elt_t  *h;

    for (i = 0; i < n; i++) {
        h = headers[i];

        if (h == NULL) {
            continue;
        }

        ngx_kong_log_json_name(json, h->key.data, h->key.len);

        if (ngx_kong_log_is_secret(h)) {
            ngx_kong_log_json_put(json, "\"REDACTED\",");

            for (k = i + 1; k < n; k++) {
                if (headers[k] != NULL && ngx_kong_log_same(h, headers[k])) {
                    headers[k] = NULL;
                }
            }

            continue;
        }

        many = 0;

        for (k = i + 1; k < n; k++) {

            if (headers[k] == NULL || !ngx_kong_log_same(h, headers[k])) {
                continue;
            }

            if (!many++) {
                ngx_kong_log_json_put(json, "[");
                ngx_kong_log_json_string(json, h->value.data, h->value.len);
                ngx_kong_log_json_put(json, ",");
            }

            ngx_kong_log_json_string(json, headers[k]->value.data,
                                     headers[k]->value.len);
            ngx_kong_log_json_put(json, ",");
            headers[k] = NULL;
        }

        if (many) {
            ngx_kong_log_json_close(json, ']');

        } else {
            ngx_kong_log_json_string(json, h->value.data, h->value.len);
        }

        ngx_kong_log_json_put(json, ",");
    }
}


static ngx_uint_t
ngx_kong_log_same(ngx_table_elt_t *a, ngx_table_elt_t *b)
{
    return a->key.len == b->key.len
           && ngx_strncasecmp(a->key.data, b->key.data, a->key.len) == 0;
}


static ngx_uint_t
ngx_kong_log_is_secret(ngx_table_elt_t *h)
{
    return ngx_kong_log_is(h, "authorization")
           || ngx_kong_log_is(h, "proxy-authorization");
}


/* what nginx writes by itself and has not in the list */
static void
ngx_kong_log_own(ngx_http_request_t *r, ngx_kong_log_own_t *own)
{
    u_char                  *p;
    ngx_str_t                value;
    ngx_http_headers_out_t  *out;

    out = &r->headers_out;
    own->n = 0;

    if (out->content_type.len != 0) {
        ngx_kong_log_own_add(own, "content-type", &out->content_type);
    }

    if (out->content_length == NULL && out->content_length_n >= 0) {
        p = ngx_http_kong_number(own->length,
                                 (uint64_t) out->content_length_n);
        value.data = own->length;
        value.len = p - own->length;
        ngx_kong_log_own_add(own, "content-length", &value);
    }

    if (out->status == NGX_HTTP_SWITCHING_PROTOCOLS) {
        ngx_str_set(&value, "upgrade");

    } else if (r->keepalive) {
        ngx_str_set(&value, "keep-alive");

    } else {
        ngx_str_set(&value, "close");
    }

    ngx_kong_log_own_add(own, "connection", &value);

    if (r->chunked) {
        ngx_str_set(&value, "chunked");
        ngx_kong_log_own_add(own, "transfer-encoding", &value);
    }
}


static void
ngx_kong_log_own_add(ngx_kong_log_own_t *own, const char *name,
    ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = &own->headers[own->n++];

    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->value = *value;
}


void
ngx_kong_log_query(ngx_http_request_t *r, ngx_str_t *args,
    ngx_kong_log_json_t *json)
{
    ngx_uint_t         i, k, n, many;
    ngx_array_t       *fields;
    ngx_kong_field_t  *f;

    if (args->len == 0) {
        return;
    }

    fields = ngx_kong_fields(r->pool, args);
    if (fields == NULL) {
        json->failed = 1;
        return;
    }

    f = fields->elts;
    n = ngx_min(fields->nelts, NGX_KONG_LOG_MAX);

    for (i = 0; i < n; i++) {

        if (f[i].gone) {
            continue;
        }

        ngx_kong_log_json_string(json, f[i].name.data, f[i].name.len);
        ngx_kong_log_json_put(json, ":");

        for (k = i + 1, many = 0; k < n; k++) {

            if (!ngx_kong_field_is(&f[k], &f[i].name)) {
                continue;
            }

            if (!many++) {
                ngx_kong_log_json_put(json, "[");
                ngx_kong_log_field(&f[i], json);
            }

            ngx_kong_log_field(&f[k], json);
            f[k].gone = 1;
        }

        if (many) {
            ngx_kong_log_json_close(json, ']');
            ngx_kong_log_json_put(json, ",");

        } else {
            ngx_kong_log_field(&f[i], json);
        }
    }
}


static void
ngx_kong_log_field(ngx_kong_field_t *f, ngx_kong_log_json_t *json)
{
    if (f->bare) {
        ngx_kong_log_json_put(json, "true,");
        return;
    }

    ngx_kong_log_json_string(json, f->value.data, f->value.len);
    ngx_kong_log_json_put(json, ",");
}
