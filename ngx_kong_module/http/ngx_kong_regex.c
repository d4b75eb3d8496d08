/*
 * Compiled regexes of this worker.  A regex is compiled when it is first
 * needed and shared by all mapped segments that hold the same text and flags
 * (by content hash), so a publish recompiles nothing.  Matching is bounded
 * (match and depth limits): a regex that runs into a limit does not match,
 * and the log says so.
 */

#include "../ngx_http_kong.h"

#ifndef PCRE2_CODE_UNIT_WIDTH
#define PCRE2_CODE_UNIT_WIDTH  8
#endif
#include <pcre2.h>


#define NGX_KONG_REGEX_BUCKETS      1024
#define NGX_KONG_REGEX_MATCH_LIMIT  100000
#define NGX_KONG_REGEX_JIT_STACK    (256 * 1024)


typedef struct ngx_kong_regex_s  ngx_kong_regex_t;

struct ngx_kong_regex_s {
    ngx_kong_regex_t   *next;
    uint64_t            hash;
    ngx_uint_t          refs;
    pcre2_code         *code;        /* NULL: could not be compiled */
    unsigned            warned:1;
};


static ngx_kong_regex_t *ngx_kong_regex_get(const kong_segment_t *seg,
    uint32_t index, ngx_log_t *log);
static pcre2_code *ngx_kong_regex_compile(const kong_segment_t *seg,
    const kong_regex_t *regex, ngx_log_t *log);
static ngx_int_t ngx_kong_regex_init(void);
static void ngx_kong_regex_put(ngx_kong_regex_t *regex);


static ngx_kong_regex_t     *ngx_kong_regexes[NGX_KONG_REGEX_BUCKETS];
static pcre2_match_data     *ngx_kong_regex_data;
static pcre2_match_context  *ngx_kong_regex_context;


int
ngx_kong_regex_exec(ngx_kong_map_t *map, uint32_t index, const char *subject,
    size_t len, ngx_log_t *log)
{
    int                rc;
    ngx_kong_regex_t  *regex;

    if (map->regexes == NULL) {
        map->regexes = ngx_pcalloc(map->pool,
                         map->seg.sections[KONG_SECTION_REGEXES].n
                         * sizeof(ngx_kong_regex_t *));
        if (map->regexes == NULL) {
            return -1;
        }
    }

    regex = map->regexes[index];

    if (regex == NULL) {
        regex = ngx_kong_regex_get(&map->seg, index, log);
        if (regex == NULL) {
            return -1;
        }

        map->regexes[index] = regex;
    }

    if (regex->code == NULL) {
        return -1;
    }

    rc = pcre2_match(regex->code, (PCRE2_SPTR) subject, len, 0, 0,
                     ngx_kong_regex_data, ngx_kong_regex_context);

    if (rc >= 0) {
        return (int) pcre2_get_ovector_pointer(ngx_kong_regex_data)[1];
    }

    if (rc != PCRE2_ERROR_NOMATCH && !regex->warned) {
        regex->warned = 1;
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "regex \"%s\" did not finish: error %d; such requests "
                      "do not match it",
                      kong_segment_str(&map->seg,
                                       map->seg.regexes[index].pattern).data,
                      rc);
    }

    return -1;
}


void
ngx_kong_regex_release(ngx_kong_map_t *map)
{
    uint32_t  i;

    if (map->regexes == NULL) {
        return;
    }

    for (i = 0; i < map->seg.sections[KONG_SECTION_REGEXES].n; i++) {
        if (map->regexes[i] != NULL) {
            ngx_kong_regex_put(map->regexes[i]);
        }
    }

    map->regexes = NULL;
}


static ngx_kong_regex_t *
ngx_kong_regex_get(const kong_segment_t *seg, uint32_t index, ngx_log_t *log)
{
    ngx_kong_regex_t    *regex, **bucket;
    const kong_regex_t  *source;

    if (ngx_kong_regex_context == NULL && ngx_kong_regex_init() != NGX_OK) {
        return NULL;
    }

    source = &seg->regexes[index];
    bucket = &ngx_kong_regexes[source->hash % NGX_KONG_REGEX_BUCKETS];

    for (regex = *bucket; regex != NULL; regex = regex->next) {
        if (regex->hash == source->hash) {
            regex->refs++;
            return regex;
        }
    }

    regex = ngx_calloc(sizeof(ngx_kong_regex_t), log);
    if (regex == NULL) {
        return NULL;
    }

    regex->hash = source->hash;
    regex->refs = 1;
    regex->code = ngx_kong_regex_compile(seg, source, log);
    regex->next = *bucket;
    *bucket = regex;

    return regex;
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

    (void) pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);

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

    /* NULL, without JIT or memory, means PCRE2's own small stack */
    stack = pcre2_jit_stack_create(32 * 1024, NGX_KONG_REGEX_JIT_STACK, NULL);
    pcre2_jit_stack_assign(context, NULL, stack);

    ngx_kong_regex_context = context;

    return NGX_OK;
}


static void
ngx_kong_regex_put(ngx_kong_regex_t *regex)
{
    ngx_kong_regex_t  **p;

    if (--regex->refs != 0) {
        return;
    }

    p = &ngx_kong_regexes[regex->hash % NGX_KONG_REGEX_BUCKETS];

    while (*p != regex) {
        p = &(*p)->next;
    }

    *p = regex->next;

    if (regex->code != NULL) {
        pcre2_code_free(regex->code);
    }

    ngx_free(regex);
}
