/*
 * Compiled regexes of this worker.  A regex is compiled when it is first
 * needed and found by its content's hash, so a publish recompiles nothing.
 * What they take is bounded, however many a configuration has: those that
 * have not been used for long go first.  Matching is bounded, too (match,
 * depth and heap limits): a regex that runs into a limit does not match, and
 * the log says so.
 */

#include "../ngx_http_kong.h"

#ifndef PCRE2_CODE_UNIT_WIDTH
#define PCRE2_CODE_UNIT_WIDTH  8
#endif
#include <pcre2.h>


#define NGX_KONG_REGEX_BUCKETS      1024
#define NGX_KONG_REGEX_MEMORY       (1024 * 1024)
#define NGX_KONG_REGEX_OVERHEAD     64          /* of the allocators */
#define NGX_KONG_REGEX_JIT_USES     8
#define NGX_KONG_REGEX_MATCH_LIMIT  100000
#define NGX_KONG_REGEX_HEAP_LIMIT   1024        /* KB */
#define NGX_KONG_REGEX_JIT_STACK    (256 * 1024)


typedef struct ngx_kong_regex_s  ngx_kong_regex_t;

struct ngx_kong_regex_s {
    ngx_kong_regex_t   *next;        /* in the bucket */
    ngx_queue_t         queue;
    uint64_t            hash;
    size_t              size;
    pcre2_code         *code;        /* NULL: could not be compiled */
    ngx_uint_t          uses;        /* up to NGX_KONG_REGEX_JIT_USES */
    unsigned            used:1;      /* since the last look at it */
    unsigned            jit:1;       /* compiled to machine code, or tried */
    unsigned            warned:1;
};


static ngx_kong_regex_t *ngx_kong_regex_get(const kong_segment_t *seg,
    uint32_t index, ngx_log_t *log);
static ngx_kong_regex_t *ngx_kong_regex_make(const kong_segment_t *seg,
    const kong_regex_t *source, ngx_log_t *log);
static pcre2_code *ngx_kong_regex_compile(const kong_segment_t *seg,
    const kong_regex_t *regex, ngx_log_t *log);
static void ngx_kong_regex_jit(ngx_kong_regex_t *regex);
static void ngx_kong_regex_evict(void);
static void ngx_kong_regex_free(ngx_kong_regex_t *regex);
static ngx_int_t ngx_kong_regex_init(void);


static ngx_int_t ngx_kong_captures_name(ngx_pool_t *pool, pcre2_code *code,
    ngx_kong_capture_t *captures, ngx_uint_t n);
static void ngx_kong_pattern_free(void *data);


static ngx_kong_regex_t     *ngx_kong_regexes[NGX_KONG_REGEX_BUCKETS];
static ngx_queue_t           ngx_kong_regex_queue;   /* new ones first */
static size_t                ngx_kong_regex_size;    /* of all of them */
static ngx_uint_t            ngx_kong_regex_full;    /* some had to go */
static pcre2_match_data     *ngx_kong_regex_data;
static pcre2_match_context  *ngx_kong_regex_context;


int
ngx_kong_regex_exec(const kong_segment_t *seg, uint32_t index,
    ngx_str_t *subject, size_t from, ngx_log_t *log)
{
    int                rc;
    ngx_kong_regex_t  *regex;

    regex = ngx_kong_regex_get(seg, index, log);

    if (regex == NULL || regex->code == NULL) {
        return -1;
    }

    rc = pcre2_match(regex->code, subject->data, subject->len, from, 0,
                     ngx_kong_regex_data, ngx_kong_regex_context);

    if (rc >= 0) {
        return (int) pcre2_get_ovector_pointer(ngx_kong_regex_data)[1];
    }

    if (rc != PCRE2_ERROR_NOMATCH && !regex->warned) {
        regex->warned = 1;
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "regex \"%*s%s\" did not finish: error %d; such "
                      "requests do not match it", from, subject->data,
                      kong_segment_str(seg,
                                       seg->regexes[index].pattern).data,
                      rc);
    }

    return -1;
}


/* valid until the next call */
static ngx_kong_regex_t *
ngx_kong_regex_get(const kong_segment_t *seg, uint32_t index, ngx_log_t *log)
{
    ngx_kong_regex_t    *regex;
    const kong_regex_t  *source;

    source = &seg->regexes[index];
    regex = ngx_kong_regexes[source->hash % NGX_KONG_REGEX_BUCKETS];

    while (regex != NULL && regex->hash != source->hash) {
        regex = regex->next;
    }

    if (regex == NULL) {
        regex = ngx_kong_regex_make(seg, source, log);
        if (regex == NULL) {
            return NULL;
        }
    }

    regex->used = 1;

    if (!regex->jit && ++regex->uses == NGX_KONG_REGEX_JIT_USES) {
        ngx_kong_regex_jit(regex);
    }

    return regex;
}


static ngx_kong_regex_t *
ngx_kong_regex_make(const kong_segment_t *seg, const kong_regex_t *source,
    ngx_log_t *log)
{
    size_t              size;
    ngx_kong_regex_t   *regex, **bucket;

    if (ngx_kong_regex_context == NULL && ngx_kong_regex_init() != NGX_OK) {
        return NULL;
    }

    ngx_kong_regex_evict();

    regex = ngx_calloc(sizeof(ngx_kong_regex_t), log);
    if (regex == NULL) {
        return NULL;
    }

    size = 0;
    regex->hash = source->hash;
    regex->code = ngx_kong_regex_compile(seg, source, log);

    if (regex->code != NULL) {
        (void) pcre2_pattern_info(regex->code, PCRE2_INFO_SIZE, &size);
    }

    regex->size = sizeof(ngx_kong_regex_t) + size + NGX_KONG_REGEX_OVERHEAD;
    ngx_kong_regex_size += regex->size;

    bucket = &ngx_kong_regexes[source->hash % NGX_KONG_REGEX_BUCKETS];
    regex->next = *bucket;
    *bucket = regex;
    ngx_queue_insert_head(&ngx_kong_regex_queue, &regex->queue);

    /* machine code takes ten times as long to make: where regexes come and
     * go it is made for those that stay */

    if (!ngx_kong_regex_full) {
        ngx_kong_regex_jit(regex);
    }

    return regex;
}


static void
ngx_kong_regex_jit(ngx_kong_regex_t *regex)
{
    size_t  size;

    regex->jit = 1;

    if (regex->code == NULL
        || pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE) != 0
        || pcre2_pattern_info(regex->code, PCRE2_INFO_JITSIZE, &size) != 0)
    {
        return;
    }

    regex->size += size;
    ngx_kong_regex_size += size;
}


/* who was used since the last time has another turn */
static void
ngx_kong_regex_evict(void)
{
    ngx_queue_t       *q;
    ngx_kong_regex_t  *regex;

    while (ngx_kong_regex_size > NGX_KONG_REGEX_MEMORY) {
        q = ngx_queue_last(&ngx_kong_regex_queue);
        regex = ngx_queue_data(q, ngx_kong_regex_t, queue);

        if (regex->used) {
            regex->used = 0;
            ngx_queue_remove(q);
            ngx_queue_insert_head(&ngx_kong_regex_queue, q);
            continue;
        }

        ngx_kong_regex_full = 1;
        ngx_kong_regex_free(regex);
    }
}


static void
ngx_kong_regex_free(ngx_kong_regex_t *regex)
{
    ngx_kong_regex_t  **p;

    p = &ngx_kong_regexes[regex->hash % NGX_KONG_REGEX_BUCKETS];

    while (*p != regex) {
        p = &(*p)->next;
    }

    *p = regex->next;
    ngx_queue_remove(&regex->queue);
    ngx_kong_regex_size -= regex->size;

    if (regex->code != NULL) {
        pcre2_code_free(regex->code);
    }

    ngx_free(regex);
}


static pcre2_code *
ngx_kong_regex_compile(const kong_segment_t *seg, const kong_regex_t *regex,
    ngx_log_t *log)
{
    int          error;
    uint32_t     options;
    PCRE2_SIZE   offset;
    kong_str_t   pattern;
    pcre2_code  *code;

    pattern = kong_segment_str(seg, regex->pattern);

    options = 0;

    if (regex->flags & KONG_REGEX_ANCHORED) {
        options |= PCRE2_ANCHORED;
    }

    if (regex->flags & KONG_REGEX_CASELESS) {
        options |= PCRE2_CASELESS;
    }

    code = pcre2_compile((PCRE2_SPTR) pattern.data, pattern.len, options,
                         &error, &offset, NULL);
    if (code == NULL) {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "regex \"%s\" could not be compiled: error %d at %uz",
                      pattern.data, error, (size_t) offset);
        return NULL;
    }

    return code;
}


static ngx_int_t
ngx_kong_regex_init(void)
{
    pcre2_jit_stack      *stack;
    pcre2_match_context  *context;

    ngx_kong_regex_data = pcre2_match_data_create(1, NULL);
    if (ngx_kong_regex_data == NULL) {
        return NGX_ERROR;
    }

    context = pcre2_match_context_create(NULL);
    if (context == NULL) {
        return NGX_ERROR;
    }

    pcre2_set_match_limit(context, NGX_KONG_REGEX_MATCH_LIMIT);
    pcre2_set_depth_limit(context, NGX_KONG_REGEX_MATCH_LIMIT);
    pcre2_set_heap_limit(context, NGX_KONG_REGEX_HEAP_LIMIT);

    /* NULL, without JIT or memory, means PCRE2's own small stack */
    stack = pcre2_jit_stack_create(32 * 1024, NGX_KONG_REGEX_JIT_STACK, NULL);
    pcre2_jit_stack_assign(context, NULL, stack);

    ngx_kong_regex_context = context;
    ngx_queue_init(&ngx_kong_regex_queue);

    return NGX_OK;
}


ngx_int_t
ngx_kong_captures(ngx_http_request_t *r, ngx_kong_capture_t **captures,
    ngx_uint_t *n)
{
    int                   rc;
    ngx_uint_t            i;
    PCRE2_SIZE           *ov;
    ngx_kong_regex_t     *regex;
    pcre2_match_data     *data;
    ngx_kong_capture_t   *c;
    ngx_http_kong_ctx_t  *ctx;

    *n = 0;
    *captures = NULL;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    if (ctx->route == NULL || ctx->match.regex == KONG_NONE) {
        return NGX_OK;
    }

    regex = ngx_kong_regex_get(&ctx->generation->config->seg,
                               ctx->match.regex, r->connection->log);

    if (regex == NULL || regex->code == NULL) {
        return NGX_OK;
    }

    data = pcre2_match_data_create_from_pattern(regex->code, NULL);
    if (data == NULL) {
        return NGX_ERROR;
    }

    rc = pcre2_match(regex->code, (PCRE2_SPTR) ctx->path.data, ctx->path.len,
                     ctx->match.regex_from, 0, data, ngx_kong_regex_context);

    /* the whole match alone is no capture */
    if (rc <= 1) {
        pcre2_match_data_free(data);
        return NGX_OK;
    }

    c = ngx_pcalloc(r->pool, rc * sizeof(ngx_kong_capture_t));
    if (c == NULL) {
        pcre2_match_data_free(data);
        return NGX_ERROR;
    }

    ov = pcre2_get_ovector_pointer(data);

    /* the literal beginning of the path's regex is part of the match, unless
     * \K says otherwise */

    if (ov[0] == ctx->match.regex_from) {
        ov[0] = 0;
    }

    for (i = 0; i < (ngx_uint_t) rc; i++) {
        if (ov[2 * i] != PCRE2_UNSET && ov[2 * i] <= ov[2 * i + 1]) {
            c[i].value.data = ctx->path.data + ov[2 * i];
            c[i].value.len = ov[2 * i + 1] - ov[2 * i];
        }
    }

    pcre2_match_data_free(data);

    *captures = c;
    *n = rc;

    return ngx_kong_captures_name(r->pool, regex->code, c, *n);
}


/* copied: the regex may go before the request does */
static ngx_int_t
ngx_kong_captures_name(ngx_pool_t *pool, pcre2_code *code,
    ngx_kong_capture_t *captures, ngx_uint_t n)
{
    uint32_t    i, count, size;
    ngx_uint_t  group;
    PCRE2_SPTR  table;

    if (pcre2_pattern_info(code, PCRE2_INFO_NAMECOUNT, &count) != 0
        || pcre2_pattern_info(code, PCRE2_INFO_NAMEENTRYSIZE, &size) != 0
        || pcre2_pattern_info(code, PCRE2_INFO_NAMETABLE, &table) != 0)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < count; i++, table += size) {
        group = ((ngx_uint_t) table[0] << 8) | table[1];

        if (group < n) {
            captures[group].name.len = ngx_strlen(table + 2);
            captures[group].name.data = ngx_pnalloc(pool,
                                                    captures[group].name.len);

            if (captures[group].name.data == NULL) {
                return NGX_ERROR;
            }

            ngx_memcpy(captures[group].name.data, table + 2,
                       captures[group].name.len);
        }
    }

    return NGX_OK;
}


void *
ngx_kong_pattern(ngx_pool_t *pool, ngx_str_t *text, ngx_uint_t whole)
{
    int                  error;
    PCRE2_SIZE           offset;
    pcre2_code          *code;
    ngx_pool_cleanup_t  *cln;

    if (ngx_kong_regex_context == NULL && ngx_kong_regex_init() != NGX_OK) {
        return NULL;
    }

    cln = ngx_pool_cleanup_add(pool, 0);
    if (cln == NULL) {
        return NULL;
    }

    code = pcre2_compile((PCRE2_SPTR) text->data, text->len,
                         whole ? PCRE2_ANCHORED|PCRE2_ENDANCHORED : 0,
                         &error, &offset, NULL);
    if (code == NULL) {
        ngx_log_error(NGX_LOG_ERR, pool->log, 0,
                      "regex \"%V\" could not be compiled: error %d at %uz",
                      text, error, (size_t) offset);
        return NULL;
    }

    cln->handler = ngx_kong_pattern_free;
    cln->data = code;

    (void) pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);

    return code;
}


static void
ngx_kong_pattern_free(void *data)
{
    pcre2_code_free(data);
}


ngx_uint_t
ngx_kong_pattern_match(void *pattern, ngx_str_t *subject, ngx_log_t *log)
{
    int  rc;

    rc = pcre2_match(pattern, (PCRE2_SPTR) subject->data, subject->len, 0, 0,
                     ngx_kong_regex_data, ngx_kong_regex_context);

    if (rc >= 0) {
        return 1;
    }

    if (rc != PCRE2_ERROR_NOMATCH) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "a regex did not finish: error %d; the request does "
                      "not match it", rc);
    }

    return 0;
}
