/*
 * The headers that we add to an upstream request: who asked, by which way,
 * and how the body is framed.  Values of X-Forwarded-* that came with the
 * request are taken over from trusted peers only; X-Forwarded-For is always
 * continued.
 */

#include "ngx_http_kong_head.h"


static u_char *ngx_http_kong_head_host_value(ngx_http_kong_head_t *head,
    u_char *p);
static u_char *ngx_http_kong_head_prefix(ngx_http_kong_head_t *head,
    u_char *p);
static u_char *ngx_http_kong_head_list(ngx_http_kong_head_t *head, u_char *p,
    ngx_http_kong_action_t action, ngx_uint_t many);
static u_char *ngx_http_kong_head_via(ngx_http_kong_head_t *head, u_char *p);


u_char *
ngx_http_kong_head_forwarded(ngx_http_kong_head_t *head, u_char *p)
{
    ngx_table_elt_t      **first;
    ngx_http_request_t    *r;
    ngx_http_kong_ctx_t   *ctx;

    r = head->request;
    ctx = head->ctx;
    first = head->first;

    if (!ctx->trusted) {
        ngx_memzero(&first[ngx_http_kong_proto],
                    (ngx_http_kong_last - ngx_http_kong_proto)
                    * sizeof(ngx_table_elt_t *));
    }

    p = ngx_http_kong_put(p, "X-Forwarded-For: ");

    if (first[ngx_http_kong_xff] != NULL) {
        p = ngx_http_kong_head_list(head, p, ngx_http_kong_xff, head->xffs);
        p = ngx_http_kong_put_str(p, head->peer);

    } else {
        p = ngx_http_kong_put_str(p, r->connection->addr_text);
    }

    p = ngx_http_kong_put(p, CRLF "X-Forwarded-Proto: ");

    if (first[ngx_http_kong_proto] != NULL) {
        p = ngx_http_kong_put_str(p, first[ngx_http_kong_proto]->value);

    } else if (ctx->https) {
        p = ngx_http_kong_put(p, "https");

    } else {
        p = ngx_http_kong_put(p, "http");
    }

    p = ngx_http_kong_put(p, CRLF "X-Forwarded-Host: ");
    p = ngx_http_kong_head_host_value(head, p);

    p = ngx_http_kong_put(p, CRLF "X-Forwarded-Port: ");

    if (first[ngx_http_kong_port] != NULL) {
        p = ngx_http_kong_put_str(p, first[ngx_http_kong_port]->value);

    } else {
        p = ngx_http_kong_number(p, ctx->port);
    }

    p = ngx_http_kong_put(p, CRLF "X-Forwarded-Path: ");

    if (first[ngx_http_kong_path] != NULL) {
        p = ngx_http_kong_put_str(p, first[ngx_http_kong_path]->value);

    } else {
        p = ngx_http_kong_put_str(p, head->raw);
    }

    p = ngx_http_kong_head_prefix(head, p);

    p = ngx_http_kong_put(p, CRLF "X-Real-IP: ");
    p = ngx_http_kong_put_str(p, r->connection->addr_text);

    *p++ = CR; *p++ = LF;

    return p;
}


static u_char *
ngx_http_kong_head_host_value(ngx_http_kong_head_t *head, u_char *p)
{
    if (head->first[ngx_http_kong_host] != NULL) {
        return ngx_http_kong_put_str(p,
                                     head->first[ngx_http_kong_host]->value);
    }

    return ngx_http_kong_put_str(p,
                                 *ngx_http_kong_server_name(head->request));
}


/*
 * The prefix is part of the decoded path and could hold line ends: control
 * characters are escaped again.
 */

static u_char *
ngx_http_kong_head_prefix(ngx_http_kong_head_t *head, u_char *p)
{
    static u_char  hex[] = "0123456789ABCDEF";

    u_char  *s, *last;

    if (head->first[ngx_http_kong_prefix] != NULL) {
        p = ngx_http_kong_put(p, CRLF "X-Forwarded-Prefix: ");
        return ngx_http_kong_put_str(p,
                                   head->first[ngx_http_kong_prefix]->value);
    }

    if (head->prefix.len == 0) {
        return p;
    }

    p = ngx_http_kong_put(p, CRLF "X-Forwarded-Prefix: ");

    s = head->prefix.data;
    last = s + head->prefix.len;

    for ( /* void */ ; s < last; s++) {

        if (*s < 0x20 || *s == 0x7f) {
            *p++ = '%';
            *p++ = hex[*s >> 4];
            *p++ = hex[*s & 0xf];

        } else {
            *p++ = *s;
        }
    }

    return p;
}


/* the values of all headers of this kind, each with ", " behind it */

static u_char *
ngx_http_kong_head_list(ngx_http_kong_head_t *head, u_char *p,
    ngx_http_kong_action_t action, ngx_uint_t many)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    if (!many) {
        p = ngx_http_kong_put_str(p, head->first[action]->value);
        *p++ = ','; *p++ = ' ';
        return p;
    }

    for (part = &head->request->headers_in.headers.part;
         part;
         part = part->next)
    {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].hash == 0
                || h[i].value.len == 0
                || ngx_http_kong_head_action(&h[i]) != action)
            {
                continue;
            }

            p = ngx_http_kong_put_str(p, h[i].value);
            *p++ = ','; *p++ = ' ';
        }
    }

    return p;
}


u_char *
ngx_http_kong_head_framing(ngx_http_kong_head_t *head, u_char *p)
{
    ngx_http_request_t  *r;

    r = head->request;

    p = ngx_http_kong_head_via(head, p);

    if (head->id) {
        p = ngx_http_kong_put(p, "X-Kong-Request-Id: ");
        p = ngx_cpymem(p, head->ctx->request_id,
                       sizeof(head->ctx->request_id));
        *p++ = CR; *p++ = LF;
    }

    if (head->trailers) {
        p = ngx_http_kong_put(p, "TE: trailers" CRLF);
    }

    /* the proxy module decides in the same way whether it sends chunks */

    if (r->headers_in.chunked && r->reading_body) {
        p = ngx_http_kong_put(p, "Transfer-Encoding: chunked" CRLF);

    } else if (r->headers_in.content_length_n >= 0) {
        p = ngx_http_kong_put(p, "Content-Length: ");
        p = ngx_http_kong_number(p, r->headers_in.content_length_n);
        *p++ = CR; *p++ = LF;
    }

    *p++ = CR; *p++ = LF;

    return p;
}


static u_char *
ngx_http_kong_head_via(ngx_http_kong_head_t *head, u_char *p)
{
    p = ngx_http_kong_put(p, "Via: ");

    if (head->first[ngx_http_kong_via] != NULL) {
        p = ngx_http_kong_head_list(head, p, ngx_http_kong_via, head->vias);
    }

    switch (head->request->http_version) {

    case NGX_HTTP_VERSION_10:
        p = ngx_http_kong_put(p, "1.0");
        break;

    case NGX_HTTP_VERSION_20:
        *p++ = '2';
        break;

#ifdef NGX_HTTP_VERSION_30
    case NGX_HTTP_VERSION_30:
        *p++ = '3';
        break;
#endif

    default:
        p = ngx_http_kong_put(p, "1.1");
    }

    return ngx_http_kong_put(p, " " NGX_KONG_SERVER CRLF);
}
