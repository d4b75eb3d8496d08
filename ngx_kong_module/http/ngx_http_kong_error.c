/*
 * Answers that we make ourselves: those of the access phase and the pages of
 * nginx's own errors.  Message and request id are put into a template of the
 * type that the client accepts; a gRPC call gets its status in headers.
 */

#include "../ngx_http_kong.h"
#include "../plugins/ngx_kong_plugin.h"


#define NGX_HTTP_KONG_TYPES         4
#define NGX_HTTP_KONG_TEMPLATE_MAX  65536
#define NGX_HTTP_KONG_LINE_MAX      64      /* "The upstream server ..." */


typedef struct {
    ngx_uint_t   status;
    const char  *text;
} ngx_http_kong_error_text_t;

typedef struct {
    ngx_uint_t   status;
    const char  *code;
} ngx_http_kong_grpc_code_t;


static ngx_int_t ngx_http_kong_error_unmatched(ngx_http_request_t *r,
    ngx_http_kong_ctx_t *ctx);
static ngx_int_t ngx_http_kong_error_output(ngx_http_request_t *r,
    ngx_uint_t status, const char *text, ngx_uint_t type);
static const char *ngx_http_kong_error_escape(ngx_http_request_t *r,
    const char *text, ngx_uint_t type);
static ngx_int_t ngx_http_kong_error_body(ngx_http_request_t *r,
    ngx_uint_t status, ngx_buf_t *b);
static ngx_int_t ngx_http_kong_error_compact(ngx_http_request_t *r,
    ngx_uint_t status, const char *text);
static ngx_int_t ngx_http_kong_error_grpc(ngx_http_request_t *r,
    ngx_uint_t status, const char *text);
static const char *ngx_http_kong_error_grpc_code(ngx_uint_t status);
static ngx_int_t ngx_http_kong_error_prepare(ngx_http_request_t *r,
    ngx_uint_t status);
static u_char *ngx_http_kong_error_format(u_char *p, ngx_str_t *template,
    const char *text, u_char *id, size_t id_len);
static const char *ngx_http_kong_error_text(ngx_http_request_t *r,
    ngx_uint_t status);
static ngx_uint_t ngx_http_kong_error_is_call(ngx_http_request_t *r);
static ngx_uint_t ngx_http_kong_error_is_grpc(ngx_str_t *type);
static ngx_int_t ngx_http_kong_error_read_template(ngx_conf_t *cf,
    ngx_str_t *template, ngx_str_t *file);
static ngx_int_t ngx_http_kong_error_check_template(ngx_str_t *template);


static ngx_str_t  ngx_http_kong_error_templates[] = {

    ngx_string("{\n"
               "  \"message\":\"%s\",\n"
               "  \"request_id\":\"%s\"\n"
               "}"),

    ngx_string("<!doctype html>\n"
               "<html>\n"
               "  <head>\n"
               "    <meta charset=\"utf-8\">\n"
               "    <title>Error</title>\n"
               "  </head>\n"
               "  <body>\n"
               "    <h1>Error</h1>\n"
               "    <p>%s.</p>\n"
               "    <p>request_id: %s</p>\n"
               "  </body>\n"
               "</html>\n"),

    ngx_string("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
               "<error>\n"
               "  <message>%s</message>\n"
               "  <requestid>%s</requestid>\n"
               "</error>\n"),

    ngx_string("%s\nrequest_id: %s\n")
};

static ngx_str_t  ngx_http_kong_error_types[] = {
    ngx_string("application/json; charset=utf-8"),
    ngx_string("text/html; charset=utf-8"),
    ngx_string("application/xml; charset=utf-8"),
    ngx_string("text/plain; charset=utf-8")
};

static ngx_str_t  ngx_http_kong_error_names[] = {
    ngx_string("json"),
    ngx_string("html"),
    ngx_string("xml"),
    ngx_string("plain")
};

static ngx_http_kong_error_text_t  ngx_http_kong_error_texts[] = {
    { 400, "Bad request" },
    { 404, "Not found" },
    { 405, "Method not allowed" },
    { 408, "Request timeout" },
    { 411, "Length required" },
    { 412, "Precondition failed" },
    { 413, "Payload too large" },
    { 414, "URI too long" },
    { 417, "Expectation failed" },
    { 494, "Request header or cookie too large" },
    { 500, "An unexpected error occurred" },
    { 502, "An invalid response was received from the upstream server" },
    { 503, "The upstream server is currently unavailable" },
    { 504, "The upstream server is timing out" },
    { 0, NULL }
};

static ngx_http_kong_grpc_code_t  ngx_http_kong_error_grpc_codes[] = {
    { 200, "0" },
    { 400, "3" },
    { 401, "16" },
    { 403, "7" },
    { 404, "5" },
    { 409, "6" },
    { 429, "8" },
    { 499, "1" },
    { 500, "13" },
    { 501, "12" },
    { 503, "14" },
    { 504, "4" },
    { 0, NULL }
};


ngx_int_t
ngx_http_kong_error_send(ngx_http_request_t *r, ngx_uint_t status,
    const char *text)
{
    ngx_int_t             rc;
    ngx_str_t             accept;
    ngx_http_kong_ctx_t  *ctx;

    ctx = ngx_http_kong_get_ctx(r);

    if (ctx == NULL || ngx_http_kong_media_accept(r, &accept) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->answered = 1;

    if (ngx_http_kong_error_is_call(r)) {
        rc = ngx_http_kong_error_grpc(r, status, text);

    } else {
        rc = ngx_http_kong_error_output(r, status, text,
                                        ngx_http_kong_media_type(&accept));
    }

    ngx_http_finalize_request(r, rc);

    return NGX_DONE;
}


ngx_int_t
ngx_http_kong_error_handler(ngx_http_request_t *r)
{
    ngx_str_t                   accept, *type;
    ngx_uint_t                  status;
    const char                 *text;
    ngx_http_kong_ctx_t        *ctx;
    ngx_http_kong_main_conf_t  *mcf;

    if (ngx_http_kong_get_ctx(r) == NULL
        || ngx_http_kong_media_accept(r, &accept) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    if (!ctx->matched && ngx_http_kong_error_unmatched(r, ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ctx->exit != NULL && ctx->exit->error != NULL) {
        /* a plugin's answer to a body that is too large */
        r->err_status = ctx->exit->status;
        return ngx_http_kong_error_output(r, ctx->exit->status,
                                          ctx->exit->error,
                                          ngx_http_kong_media_type(&accept));
    }

    status = r->err_status ? r->err_status : NGX_HTTP_NOT_FOUND;

    text = ngx_http_kong_error_text(r, status);
    if (text == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (status == NGX_HTTP_REQUEST_HEADER_TOO_LARGE) {
        status = NGX_HTTP_BAD_REQUEST;
    }

    r->err_status = status;

    type = r->headers_in.content_type ? &r->headers_in.content_type->value
                                      : NULL;

    if (accept.len == 0) {

        if (type == NULL) {
            mcf = ngx_http_get_module_main_conf(r, ngx_http_kong_module);
            return ngx_http_kong_error_output(r, status, text,
                                              mcf->error_default_type);
        }

        accept = *type;
    }

    if (ngx_http_kong_error_is_call(r)) {
        return ngx_http_kong_error_grpc(r, status, text);
    }

    if (ngx_http_kong_error_is_grpc(&accept)) {
        return ngx_http_kong_error_compact(r, status, text);
    }

    return ngx_http_kong_error_output(r, status, text,
                                      ngx_http_kong_media_type(&accept));
}


/* nginx refused the request before a route was looked for: what is global
 * sees the answer */
static ngx_int_t
ngx_http_kong_error_unmatched(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx)
{
    ngx_http_kong_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_kong_module);

    if (mcf->zone == NULL) {
        return NGX_OK;
    }

    if (ctx->generation == NULL) {
        ctx->generation = ngx_kong_generation_get(mcf, r->connection->log);
    }

    return ngx_kong_plugins_global(r, ctx);
}


static ngx_int_t
ngx_http_kong_error_output(ngx_http_request_t *r, ngx_uint_t status,
    const char *text, ngx_uint_t type)
{
    size_t                      len;
    ngx_buf_t                  *b;
    ngx_str_t                  *template;
    ngx_http_kong_ctx_t        *ctx;
    ngx_http_kong_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_kong_module);

    ctx = ngx_http_kong_get_ctx(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_kong_request_id(r, ctx);

    text = ngx_http_kong_error_escape(r, text, type);
    if (text == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    template = mcf->templates[type].len ? &mcf->templates[type]
                                        : &ngx_http_kong_error_templates[type];

    len = template->len + 2 * ngx_strlen(text) + 2 * sizeof(ctx->request_id);

    b = ngx_create_temp_buf(r->pool, len);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->last = ngx_http_kong_error_format(b->last, template, text,
                                         ctx->request_id,
                                         sizeof(ctx->request_id));

    r->headers_out.content_type = ngx_http_kong_error_types[type];
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    return ngx_http_kong_error_body(r, status, b);
}


/* a message may be a plugin's configuration, or name what a client sent */

static const char *
ngx_http_kong_error_escape(ngx_http_request_t *r, const char *text,
    ngx_uint_t type)
{
    u_char     *p, *last;
    size_t      len;
    uintptr_t   more;

    len = ngx_strlen(text);

    switch (type) {

    case NGX_KONG_TYPE_JSON:
        more = ngx_escape_json(NULL, (u_char *) text, len);
        break;

    case NGX_KONG_TYPE_HTML:
    case NGX_KONG_TYPE_XML:
        more = ngx_escape_html(NULL, (u_char *) text, len);
        break;

    default:
        return text;
    }

    if (more == 0) {
        return text;
    }

    p = ngx_pnalloc(r->pool, len + more + 1);
    if (p == NULL) {
        return NULL;
    }

    last = (u_char *) ((type == NGX_KONG_TYPE_JSON)
                       ? ngx_escape_json(p, (u_char *) text, len)
                       : ngx_escape_html(p, (u_char *) text, len));
    *last = '\0';

    return (const char *) p;
}


static ngx_int_t
ngx_http_kong_error_compact(ngx_http_request_t *r, ngx_uint_t status,
    const char *text)
{
    size_t      len;
    ngx_buf_t  *b;

    len = ngx_strlen(text);

    b = ngx_create_temp_buf(r->pool, sizeof("{\"message\":\"\"}") + len);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->last = ngx_cpymem(b->last, "{\"message\":\"",
                         sizeof("{\"message\":\"") - 1);
    b->last = ngx_cpymem(b->last, text, len);
    b->last = ngx_cpymem(b->last, "\"}", 2);

    r->headers_out.content_type =
                                ngx_http_kong_error_types[NGX_KONG_TYPE_JSON];
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    return ngx_http_kong_error_body(r, status, b);
}


static ngx_int_t
ngx_http_kong_error_body(ngx_http_request_t *r, ngx_uint_t status,
    ngx_buf_t *b)
{
    ngx_int_t    rc;
    ngx_chain_t  out;

    rc = ngx_http_kong_error_prepare(r, status);
    if (rc != NGX_OK) {
        return rc;
    }

    r->headers_out.content_length_n = b->last - b->pos;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b->last_buf = (r == r->main);
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


/* headers only; a caller's own grpc-status stays */

static ngx_int_t
ngx_http_kong_error_grpc(ngx_http_request_t *r, ngx_uint_t status,
    const char *text)
{
    ngx_int_t         rc;
    ngx_uint_t        i;
    const char       *code;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    rc = ngx_http_kong_error_prepare(r, status);
    if (rc != NGX_OK) {
        return rc;
    }

    code = ngx_http_kong_error_grpc_code(status);

    for (part = &r->headers_out.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].hash != 0
                && h[i].key.len == sizeof("grpc-status") - 1
                && ngx_strncasecmp(h[i].key.data, (u_char *) "grpc-status",
                                   sizeof("grpc-status") - 1)
                   == 0)
            {
                code = NULL;
            }
        }
    }

    if (code != NULL
        && (ngx_http_kong_headers_add(r, "grpc-status",
                                      sizeof("grpc-status") - 1,
                                      (u_char *) code, ngx_strlen(code))
            != NGX_OK
            || ngx_http_kong_headers_add(r, "grpc-message",
                                         sizeof("grpc-message") - 1,
                                         (u_char *) text, ngx_strlen(text))
               != NGX_OK))
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_str_set(&r->headers_out.content_type, "application/grpc");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    r->headers_out.content_length_n = 0;
    r->header_only = 1;

    return ngx_http_send_header(r);
}


static const char *
ngx_http_kong_error_grpc_code(ngx_uint_t status)
{
    ngx_http_kong_grpc_code_t  *code;

    for (code = ngx_http_kong_error_grpc_codes; code->code; code++) {
        if (code->status == status) {
            return code->code;
        }
    }

    switch (status / 100) {

    case 2:
        return "0";

    case 4:
        return "3";

    case 5:
        return "13";
    }

    return "2";
}


/* the request's body, and what an earlier answer has left behind */

static ngx_int_t
ngx_http_kong_error_prepare(ngx_http_request_t *r, ngx_uint_t status)
{
    if (status >= NGX_HTTP_BAD_REQUEST) {
        /* the client's "Expect: 100-continue" has its answer */
        r->expect_tested = 1;
    }

    if (ngx_http_discard_request_body(r) != NGX_OK) {
        r->keepalive = 0;
    }

    r->headers_out.status = status;
    r->headers_out.status_line.len = 0;

    ngx_http_clear_content_length(r);
    ngx_http_clear_accept_ranges(r);
    ngx_http_clear_last_modified(r);
    ngx_http_clear_etag(r);

    return NGX_OK;
}


/* as C's printf() would, with "%s" twice; the template was checked */

static u_char *
ngx_http_kong_error_format(u_char *p, ngx_str_t *template, const char *text,
    u_char *id, size_t id_len)
{
    u_char      *s, *last;
    ngx_uint_t   n;

    n = 0;
    s = template->data;
    last = s + template->len;

    while (s < last) {

        if (*s != '%') {
            *p++ = *s++;
            continue;
        }

        if (s[1] == '%') {
            *p++ = '%';

        } else if (n++ == 0) {
            p = ngx_cpymem(p, text, ngx_strlen(text));

        } else {
            p = ngx_cpymem(p, id, id_len);
        }

        s += 2;
    }

    return p;
}


static const char *
ngx_http_kong_error_text(ngx_http_request_t *r, ngx_uint_t status)
{
    u_char                      *p;
    ngx_http_kong_error_text_t  *text;

    for (text = ngx_http_kong_error_texts; text->text; text++) {
        if (text->status == status) {
            return text->text;
        }
    }

    p = ngx_pnalloc(r->pool, NGX_HTTP_KONG_LINE_MAX);
    if (p == NULL) {
        return NULL;
    }

    (void) ngx_snprintf(p, NGX_HTTP_KONG_LINE_MAX,
                        "The upstream server responded with %ui%Z", status);

    return (const char *) p;
}


/* gRPC needs HTTP/2; what only says that it is gRPC gets a body */

static ngx_uint_t
ngx_http_kong_error_is_call(ngx_http_request_t *r)
{
    return r->http_version == NGX_HTTP_VERSION_20
           && r->headers_in.content_type != NULL
           && ngx_http_kong_error_is_grpc(&r->headers_in.content_type->value);
}


static ngx_uint_t
ngx_http_kong_error_is_grpc(ngx_str_t *type)
{
    return type->len >= sizeof("application/grpc") - 1
           && ngx_strncmp(type->data, "application/grpc",
                          sizeof("application/grpc") - 1)
              == 0;
}


ngx_int_t
ngx_http_kong_error_load_template(ngx_conf_t *cf,
    ngx_http_kong_main_conf_t *mcf, ngx_str_t *type, ngx_str_t *file)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_KONG_TYPES; i++) {
        if (type->len == ngx_http_kong_error_names[i].len
            && ngx_memcmp(type->data, ngx_http_kong_error_names[i].data,
                          type->len)
               == 0)
        {
            break;
        }
    }

    if (i == NGX_HTTP_KONG_TYPES) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is no type of a template: json, html, "
                           "xml or plain", type);
        return NGX_ERROR;
    }

    if (ngx_conf_full_name(cf->cycle, file, 1) != NGX_OK
        || ngx_http_kong_error_read_template(cf, &mcf->templates[i], file)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_kong_error_check_template(&mcf->templates[i]) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "template \"%V\" must have \"%%s\" twice, for the "
                           "message and the request id, and no other "
                           "\"%%\" than \"%%%%\"", file);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_kong_error_read_template(ngx_conf_t *cf, ngx_str_t *template,
    ngx_str_t *file)
{
    ssize_t          n;
    ngx_fd_t         fd;
    ngx_file_info_t  fi;

    fd = ngx_open_file(file->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " \"%V\" failed", file);
        return NGX_ERROR;
    }

    n = -1;

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_fd_info_n " \"%V\" failed", file);

    } else if (ngx_file_size(&fi) > NGX_HTTP_KONG_TEMPLATE_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "template \"%V\" is too big", file);

    } else {
        template->data = ngx_pnalloc(cf->pool, ngx_file_size(&fi) + 1);

        if (template->data != NULL) {
            n = ngx_read_fd(fd, template->data, (size_t) ngx_file_size(&fi));
        }

        if (n == -1) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                               ngx_read_fd_n " \"%V\" failed", file);
        }
    }

    (void) ngx_close_file(fd);

    if (n == -1) {
        return NGX_ERROR;
    }

    template->data[n] = '\0';
    template->len = n;

    return NGX_OK;
}


static ngx_int_t
ngx_http_kong_error_check_template(ngx_str_t *template)
{
    u_char      *p;
    ngx_uint_t   n;

    n = 0;

    /* a NUL ends the text */

    for (p = template->data; p < template->data + template->len; p++) {

        if (*p != '%') {
            continue;
        }

        p++;

        if (*p == 's') {
            n++;

        } else if (*p != '%') {
            return NGX_ERROR;
        }
    }

    return n == 2 ? NGX_OK : NGX_ERROR;
}
