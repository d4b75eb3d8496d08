/*
 * What the endpoints beside this file have in common: an answer that is made
 * at once, in one buffer; the words of an argument.
 */

#include "../ngx_http_kong.h"


ngx_int_t
ngx_http_kong_endpoint_send(ngx_http_request_t *r, ngx_uint_t status,
    const char *type, ngx_buf_t *b)
{
    ngx_int_t    rc;
    ngx_chain_t  out;

    r->headers_out.status = status;
    r->headers_out.content_length_n = b ? b->last - b->pos : 0;

    if (type != NULL) {
        r->headers_out.content_type.data = (u_char *) type;
        r->headers_out.content_type.len = ngx_strlen(type);
        r->headers_out.content_type_len = r->headers_out.content_type.len;
    }

    if (r->headers_out.content_length_n == 0) {
        r->header_only = 1;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b->last_buf = 1;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


u_char *
ngx_http_kong_endpoint_word(u_char *p, u_char *last, u_char stop,
    ngx_str_t *word)
{
    word->data = p;

    while (p < last && *p != stop) {
        p++;
    }

    word->len = p - word->data;

    return p < last ? p + 1 : p;
}
