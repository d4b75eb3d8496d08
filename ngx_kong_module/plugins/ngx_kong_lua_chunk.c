/*
 * Templates as Lua functions: compiled once a worker, shared by all instances
 * that have the same text, given up with the last one's pool.
 */

#include "ngx_kong_lua.h"


#define NGX_KONG_LUA_BUCKETS    256


static ngx_kong_lua_chunk_t *ngx_kong_lua_chunk_new(ngx_str_t *text,
    uint32_t hash, ngx_log_t *log);
static ngx_int_t ngx_kong_lua_source(ngx_kong_lua_chunk_t *chunk,
    ngx_pool_t *pool, ngx_str_t *source);
static int ngx_kong_lua_compile(lua_State *L);
static const char *ngx_kong_lua_read(lua_State *L, void *data, size_t *size);
static void ngx_kong_lua_chunk_put(void *data);


static ngx_kong_lua_chunk_t  *ngx_kong_lua_chunks[NGX_KONG_LUA_BUCKETS];


ngx_kong_lua_chunk_t *
ngx_kong_lua_chunk(ngx_pool_t *pool, ngx_str_t *text)
{
    uint32_t               hash;
    ngx_pool_cleanup_t    *cln;
    ngx_kong_lua_chunk_t  *chunk;

    if (ngx_kong_lua == NULL && ngx_kong_lua_init(pool->log) != NGX_OK) {
        return NULL;
    }

    cln = ngx_pool_cleanup_add(pool, 0);
    if (cln == NULL) {
        return NULL;
    }

    hash = ngx_crc32_long(text->data, text->len);

    for (chunk = ngx_kong_lua_chunks[hash % NGX_KONG_LUA_BUCKETS];
         chunk != NULL;
         chunk = chunk->next)
    {
        if (chunk->hash == hash && chunk->text.len == text->len
            && ngx_memcmp(chunk->text.data, text->data, text->len) == 0)
        {
            break;
        }
    }

    if (chunk == NULL) {
        chunk = ngx_kong_lua_chunk_new(text, hash, pool->log);
        if (chunk == NULL) {
            return NULL;
        }
    }

    chunk->refs++;

    cln->handler = ngx_kong_lua_chunk_put;
    cln->data = chunk;

    return chunk;
}


static ngx_kong_lua_chunk_t *
ngx_kong_lua_chunk_new(ngx_str_t *text, uint32_t hash, ngx_log_t *log)
{
    ngx_int_t               rc;
    ngx_str_t               source;
    ngx_pool_t             *pool;
    ngx_kong_lua_call_t     call;
    ngx_kong_lua_chunk_t   *chunk, **bucket;

    pool = ngx_create_pool(1024, log);
    if (pool == NULL) {
        return NULL;
    }

    chunk = ngx_calloc(sizeof(ngx_kong_lua_chunk_t), log);

    if (chunk != NULL) {
        chunk->hash = hash;
        chunk->function = LUA_NOREF;
        chunk->text.len = text->len;
        chunk->text.data = ngx_alloc(text->len + 1, log);
        chunk->pieces.elts = NULL;
    }

    if (chunk == NULL || chunk->text.data == NULL) {
        goto failed;
    }

    ngx_memcpy(chunk->text.data, text->data, text->len);

    if (ngx_kong_lua_source(chunk, pool, &source) != NGX_OK) {
        goto failed;
    }

    ngx_memzero(&call, sizeof(ngx_kong_lua_call_t));
    call.chunk = chunk;
    call.source = &source;

    rc = ngx_kong_lua_call(ngx_kong_lua_compile, &call,
                           NGX_KONG_LUA_MEMORY + 16 * text->len);

    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "template \"%V\" is no valid Lua: %s", text,
                      lua_type(ngx_kong_lua, -1) == LUA_TSTRING
                      ? lua_tostring(ngx_kong_lua, -1) : "out of memory");
        lua_settop(ngx_kong_lua, 0);
        goto failed;
    }

    ngx_destroy_pool(pool);

    ngx_kong_lua_settle();

    bucket = &ngx_kong_lua_chunks[hash % NGX_KONG_LUA_BUCKETS];
    chunk->next = *bucket;
    *bucket = chunk;

    return chunk;

failed:

    if (chunk != NULL) {
        if (chunk->pieces.elts != NULL) {
            ngx_free(chunk->pieces.elts);
        }

        if (chunk->text.data != NULL) {
            ngx_free(chunk->text.data);
        }

        ngx_free(chunk);
    }

    ngx_destroy_pool(pool);

    return NULL;
}


size_t
ngx_kong_lua_expression(u_char *p, u_char *last)
{
    u_char      *start;
    ngx_uint_t   depth;

    start = p;

    if (last - p < 2 || p[0] != '$' || p[1] != '(') {
        return 0;
    }

    for (p++, depth = 0; p < last; p++) {
        if (*p == '(') {
            depth++;

        } else if (*p == ')' && --depth == 0) {
            return p + 1 - start;
        }
    }

    return 0;
}


/*
 * A statement an expression; a C function puts the text before it and its
 * value.  "return (...)" around all of it is a loadable chunk that returns
 * the function.
 */
static ngx_int_t
ngx_kong_lua_source(ngx_kong_lua_chunk_t *chunk, ngx_pool_t *pool,
    ngx_str_t *source)
{
    static char  head[] = "local __emit = ... return function() ";
    static char  tail[] = " end";
    static char  open[] = "__emit(", close[] = " or '');";

    u_char      *p, *last, *start, *dst;
    size_t       n, len, count;
    ngx_str_t   *piece;

    start = chunk->text.data;
    last = start + chunk->text.len;

    for (p = start, count = 1; p < last; p++) {
        count += (*p == '$');
    }

    len = sizeof(head) + sizeof(tail) + chunk->text.len
          + count * (sizeof(open) + sizeof(close));

    dst = ngx_pnalloc(pool, len);
    piece = ngx_calloc(count * sizeof(ngx_str_t), pool->log);
    if (dst == NULL || piece == NULL) {
        if (piece != NULL) {
            ngx_free(piece);
        }

        return NGX_ERROR;
    }

    chunk->pieces.elts = piece;
    source->data = dst;

    dst = ngx_cpymem(dst, head, sizeof(head) - 1);

    for (p = start; p < last; p += n) {
        n = ngx_kong_lua_expression(p, last);

        if (n == 0) {
            n = 1;
            continue;
        }

        piece[chunk->pieces.nelts].data = start;
        piece[chunk->pieces.nelts++].len = p - start;
        start = p + n;

        dst = ngx_cpymem(dst, open, sizeof(open) - 1);
        dst = ngx_cpymem(dst, p + 1, n - 1);
        dst = ngx_cpymem(dst, close, sizeof(close) - 1);
    }

    piece[chunk->pieces.nelts].data = start;
    piece[chunk->pieces.nelts++].len = last - start;

    dst = ngx_cpymem(dst, tail, sizeof(tail) - 1);
    source->len = dst - source->data;

    return NGX_OK;
}


static int
ngx_kong_lua_compile(lua_State *L)
{
    ngx_str_t             source;
    ngx_kong_lua_call_t  *call;

    call = lua_touserdata(L, 1);
    source = *call->source;

    if (lua_loadx(L, ngx_kong_lua_read, &source, "=template", "t") != 0) {
        return lua_error(L);
    }

    lua_pushcfunction(L, ngx_kong_lua_emit);
    lua_call(L, 1, 1);

    if (!lua_isfunction(L, -1)) {
        return luaL_error(L, "no expression");
    }

    call->chunk->function = luaL_ref(L, LUA_REGISTRYINDEX);

    return 0;
}


static const char *
ngx_kong_lua_read(lua_State *L, void *data, size_t *size)
{
    u_char     *p;
    ngx_str_t  *source = data;

    (void) L;

    p = source->data;
    *size = source->len;
    source->len = 0;

    return *size ? (char *) p : NULL;
}


static void
ngx_kong_lua_chunk_put(void *data)
{
    ngx_kong_lua_chunk_t  *chunk = data;

    ngx_kong_lua_chunk_t  **p;

    if (--chunk->refs != 0) {
        return;
    }

    p = &ngx_kong_lua_chunks[chunk->hash % NGX_KONG_LUA_BUCKETS];

    while (*p != chunk) {
        p = &(*p)->next;
    }

    *p = chunk->next;

    /* takes no memory: the slot is there */
    luaL_unref(ngx_kong_lua, LUA_REGISTRYINDEX, chunk->function);

    ngx_free(chunk->pieces.elts);
    ngx_free(chunk->text.data);
    ngx_free(chunk);
}
