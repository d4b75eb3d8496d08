/*
 * fuzz_template: bytes -> a transformer's template, and a request that it
 * sees.  Lines that end with a NUL byte: the template, the query string,
 * headers ("name:value"), captures ("=value").  What is rendered in C must be
 * what Lua renders; whatever a template did, the next one sees a sandbox as
 * it was.
 */

#include "nginx_shim.h"
#include "ngx_kong_module/plugins/ngx_kong_fields.h"
#include "ngx_kong_module/plugins/ngx_kong_template.h"


#define FUZZ_HEADERS   16
#define FUZZ_CAPTURES  4

typedef struct {
    ngx_http_request_t   r;
    ngx_connection_t     connection;
    ngx_http_kong_ctx_t  ctx;
    void                *ctxs[1];
    ngx_table_elt_t      headers[FUZZ_HEADERS];
} fuzz_request_t;


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static ngx_log_t           fuzz_log;
static ngx_kong_capture_t  fuzz_captures[FUZZ_CAPTURES];
static ngx_uint_t          fuzz_n_captures;


/* of the route's regex */
ngx_int_t
ngx_kong_captures(ngx_http_request_t *r, ngx_kong_capture_t **captures,
    ngx_uint_t *n)
{
    (void) r;

    *captures = fuzz_captures;
    *n = fuzz_n_captures;

    return NGX_OK;
}


/* the next line, in memory of its own */
static ngx_str_t
fuzz_line(ngx_pool_t *pool, const uint8_t **data, size_t *size)
{
    size_t          used;
    ngx_str_t       line;
    const uint8_t  *end;

    end = memchr(*data, '\0', *size);
    line.len = end ? (size_t) (end - *data) : *size;
    line.data = ngx_pnalloc(pool, line.len);

    if (line.len != 0) {
        memcpy(line.data, *data, line.len);
    }

    used = line.len + (end != NULL);
    *data += used;
    *size -= used;

    return line;
}


static void
fuzz_header(ngx_pool_t *pool, fuzz_request_t *fr, ngx_str_t line)
{
    u_char           *colon;
    ngx_table_elt_t  *h;

    colon = line.len ? memchr(line.data, ':', line.len) : NULL;

    static ngx_str_t  names[FUZZ_CAPTURES] = {
        ngx_null_string, ngx_string("name"), ngx_null_string, ngx_string("b")
    };

    if (line.len != 0 && line.data[0] == '=') {
        if (fuzz_n_captures < FUZZ_CAPTURES) {
            fuzz_captures[fuzz_n_captures].name = names[fuzz_n_captures];
            fuzz_captures[fuzz_n_captures].value.data = line.data + 1;
            fuzz_captures[fuzz_n_captures].value.len = line.len - 1;
            fuzz_n_captures++;
        }

        return;
    }

    if (colon == NULL
        || fr->r.headers_in.headers.part.nelts == FUZZ_HEADERS)
    {
        return;
    }

    h = &fr->headers[fr->r.headers_in.headers.part.nelts++];
    h->hash = 1;
    h->key.data = line.data;
    h->key.len = (size_t) (colon - line.data);
    h->value.data = colon + 1;
    h->value.len = line.len - h->key.len - 1;
    h->lowcase_key = ngx_pnalloc(pool, h->key.len);
    ngx_strlow(h->lowcase_key, h->key.data, h->key.len);
}


static fuzz_request_t *
fuzz_request(ngx_pool_t *pool, const uint8_t *data, size_t size)
{
    ngx_str_t        line;
    fuzz_request_t  *fr;

    fr = ngx_pcalloc(pool, sizeof(fuzz_request_t));
    fr->r.pool = pool;
    fr->r.connection = &fr->connection;
    fr->connection.log = &fuzz_log;
    fr->r.ctx = fr->ctxs;
    fr->ctxs[0] = &fr->ctx;
    fr->r.headers_in.headers.part.elts = fr->headers;
    fr->r.args = fuzz_line(pool, &data, &size);
    fuzz_n_captures = 0;

    while (size != 0) {
        line = fuzz_line(pool, &data, &size);
        fuzz_header(pool, fr, line);
    }

    return fr;
}


/* all of the value is there to be read */
static void
fuzz_read(ngx_str_t *value)
{
    size_t           i;
    volatile u_char  sink;

    for (i = 0; i < value->len; i++) {
        sink = value->data[i];
        (void) sink;
    }
}


/* a template that uses what others may have spoilt */
static void
fuzz_canary(ngx_pool_t *pool, fuzz_request_t *fr)
{
    ngx_str_t            text, value;
    ngx_kong_env_t      *env;
    ngx_kong_template_t  template;

    static u_char  plain[] =
        "<$(('ab'):upper():rep(2) .. type(nil) .. type(leak)"
        " .. ('x'):gsub('x', 'y'))>";

    text.data = plain;
    text.len = sizeof(plain) - 1;
    env = ngx_kong_env(&fr->r);

    if (ngx_kong_template(pool, &text, &template) != NGX_OK
        || ngx_kong_template_render(env, &template, &value) != NGX_OK
        || value.len != 13 || memcmp(value.data, "<ABABnilnily>", 13) != 0)
    {
        abort();
    }
}


static void
fuzz_both(ngx_pool_t *pool, fuzz_request_t *fr, ngx_str_t *text)
{
    ngx_int_t            rc;
    ngx_str_t            one, two;
    ngx_kong_env_t      *env;
    ngx_kong_template_t  template;

    if (ngx_kong_template(pool, text, &template) != NGX_OK) {
        return;
    }

    env = ngx_kong_env(&fr->r);
    rc = ngx_kong_template_render(env, &template, &one);

    if (rc == NGX_OK) {
        fuzz_read(&one);
    }

    if (rc != NGX_OK || template.chunk != NULL || template.parts == NULL) {
        return;
    }

    template.chunk = ngx_kong_lua_chunk(pool, text);

    if (template.chunk == NULL
        || ngx_kong_template_render(env, &template, &two) != NGX_OK
        || one.len != two.len || ngx_memcmp(one.data, two.data, one.len) != 0)
    {
        abort();
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ngx_str_t        text;
    ngx_pool_t      *pool, *other;
    fuzz_request_t  *fr;

    if (ngx_crc32_table256[1] == 0) {
        fuzz_nginx_init();
    }

    pool = ngx_create_pool(1024, &fuzz_log);
    text = fuzz_line(pool, &data, &size);
    fr = fuzz_request(pool, data, size);

    fuzz_both(pool, fr, &text);

    other = ngx_create_pool(1024, &fuzz_log);
    fr->r.pool = other;
    fuzz_canary(other, fr);
    ngx_destroy_pool(other);

    ngx_destroy_pool(pool);

    return 0;
}
