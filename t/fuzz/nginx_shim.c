/*
 * nginx_shim: the few functions of nginx's core that the module's templates
 * call, for fuzz targets, which have no nginx to link with.  Every allocation
 * of a pool is one of malloc's, so that the sanitizer sees where it ends.
 */

#include "nginx_shim.h"


typedef struct fuzz_block_s  fuzz_block_t;

struct fuzz_block_s {
    fuzz_block_t  *next;
    void          *data;
};

/* what nginx keeps at a pool's end: our blocks hang on `large` */
#define fuzz_blocks(pool)  (*(fuzz_block_t **) (void *) &(pool)->large)


ngx_module_t  ngx_http_kong_module;
uint32_t      ngx_crc32_table256[256];


void
fuzz_nginx_init(void)
{
    uint32_t  i, j, c;

    for (i = 0; i < 256; i++) {
        for (c = i, j = 0; j < 8; j++) {
            c = (c & 1) ? 0xedb88320 ^ (c >> 1) : c >> 1;
        }

        ngx_crc32_table256[i] = c;
    }
}


void *
ngx_alloc(size_t size, ngx_log_t *log)
{
    (void) log;

    return malloc(size ? size : 1);
}


void *
ngx_calloc(size_t size, ngx_log_t *log)
{
    (void) log;

    return calloc(1, size ? size : 1);
}


ngx_pool_t *
ngx_create_pool(size_t size, ngx_log_t *log)
{
    ngx_pool_t  *pool;

    (void) size;

    pool = calloc(1, sizeof(ngx_pool_t));

    if (pool != NULL) {
        pool->log = log;
    }

    return pool;
}


void
ngx_destroy_pool(ngx_pool_t *pool)
{
    fuzz_block_t        *block;
    ngx_pool_cleanup_t  *cln;

    for (cln = pool->cleanup; cln != NULL; cln = cln->next) {
        if (cln->handler != NULL) {
            cln->handler(cln->data);
        }
    }

    while ((block = fuzz_blocks(pool)) != NULL) {
        fuzz_blocks(pool) = block->next;
        free(block->data);
        free(block);
    }

    free(pool);
}


void *
ngx_palloc(ngx_pool_t *pool, size_t size)
{
    fuzz_block_t  *block;

    block = malloc(sizeof(fuzz_block_t));

    if (block == NULL) {
        return NULL;
    }

    block->data = malloc(size ? size : 1);

    if (block->data == NULL) {
        free(block);
        return NULL;
    }

    block->next = fuzz_blocks(pool);
    fuzz_blocks(pool) = block;

    return block->data;
}


void *
ngx_pnalloc(ngx_pool_t *pool, size_t size)
{
    return ngx_palloc(pool, size);
}


void *
ngx_pcalloc(ngx_pool_t *pool, size_t size)
{
    void  *p;

    p = ngx_palloc(pool, size);

    return p ? memset(p, 0, size) : NULL;
}


ngx_pool_cleanup_t *
ngx_pool_cleanup_add(ngx_pool_t *pool, size_t size)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pcalloc(pool, sizeof(ngx_pool_cleanup_t));

    if (cln != NULL) {
        cln->data = size ? ngx_palloc(pool, size) : NULL;
        cln->next = pool->cleanup;
        pool->cleanup = cln;
    }

    return cln;
}


ngx_array_t *
ngx_array_create(ngx_pool_t *pool, ngx_uint_t n, size_t size)
{
    ngx_array_t  *a;

    a = ngx_palloc(pool, sizeof(ngx_array_t));

    if (a == NULL || ngx_array_init(a, pool, n, size) != NGX_OK) {
        return NULL;
    }

    return a;
}


void *
ngx_array_push(ngx_array_t *a)
{
    return ngx_array_push_n(a, 1);
}


/* moves with every push: nobody may keep a pointer into it */
void *
ngx_array_push_n(ngx_array_t *a, ngx_uint_t n)
{
    void  *p;

    p = ngx_palloc(a->pool, (a->nelts + n) * a->size);

    if (p == NULL) {
        return NULL;
    }

    ngx_memcpy(p, a->elts, a->nelts * a->size);
    a->elts = p;
    a->nelts += n;

    return (u_char *) p + (a->nelts - n) * a->size;
}


ngx_int_t
ngx_atoi(u_char *line, size_t n)
{
    ngx_int_t  value;

    if (n == 0) {
        return NGX_ERROR;
    }

    for (value = 0; n--; line++) {
        if (*line < '0' || *line > '9' || value > 100000000) {
            return NGX_ERROR;
        }

        value = value * 10 + (*line - '0');
    }

    return value;
}


ngx_int_t
ngx_hextoi(u_char *line, size_t n)
{
    char  text[16], *end;
    long  value;

    if (n == 0 || n >= sizeof(text) || !isxdigit(*line)) {
        return NGX_ERROR;
    }

    memcpy(text, line, n);
    text[n] = '\0';
    value = strtol(text, &end, 16);

    return *end == '\0' ? value : NGX_ERROR;
}


void
ngx_strlow(u_char *dst, u_char *src, size_t n)
{
    while (n--) {
        *dst++ = ngx_tolower(*src);
        src++;
    }
}


void
ngx_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
    const char *fmt, ...)
{
    (void) level;
    (void) log;
    (void) err;
    (void) fmt;
}
