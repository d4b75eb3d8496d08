/*
 * The sandbox of the templates: one LuaJIT state a worker, made when a
 * template first needs it, without any library but the methods of strings.
 * What an expression may do is bounded: instructions and the steps of pattern
 * matching, processor time, memory alive and memory taken in sum.  The
 * compiler of traces is off, hooks do not run in compiled code.
 *
 * Nothing that can raise an error runs outside of lua_cpcall().
 */

#include "ngx_kong_lua.h"
#include "ngx_kong_fields.h"

#include <luajit.h>


#define NGX_KONG_LUA_HOOK       100              /* instructions */
#define NGX_KONG_LUA_STEPS      200000
#define NGX_KONG_LUA_TIME       50               /* ms of processor time */
#define NGX_KONG_LUA_MEMORY     (8 * 1024 * 1024)
#define NGX_KONG_LUA_CHURN      (64 * 1024 * 1024)
#define NGX_KONG_LUA_GARBAGE    (1024 * 1024)    /* collected beyond */
#define NGX_KONG_LUA_RESULT     (1024 * 1024)
#define NGX_KONG_LUA_BUCKETS    256


struct ngx_kong_lua_chunk_s {
    ngx_kong_lua_chunk_t  *next;
    uint32_t               hash;
    ngx_uint_t             refs;
    int                    function;     /* in the registry */
    ngx_str_t              text;         /* own copy */
    ngx_array_t            pieces;       /* ngx_str_t: text around the
                                            expressions, points into it */
};

/* the evaluation under way */
typedef struct {
    ngx_kong_env_t        *env;
    ngx_kong_lua_chunk_t  *chunk;
    ngx_str_t             *source;
    ngx_uint_t             piece;        /* next to put */
    u_char                *data;         /* in the request's pool */
    size_t                 len;
    size_t                 size;
} ngx_kong_lua_call_t;


static ngx_int_t ngx_kong_lua_init(ngx_log_t *log);
static int ngx_kong_lua_open(lua_State *L);
static void *ngx_kong_lua_alloc(void *data, void *old, size_t old_size,
    size_t size);
static void ngx_kong_lua_hook(lua_State *L, lua_Debug *ar);
static ngx_int_t ngx_kong_lua_call(lua_CFunction f, ngx_kong_lua_call_t *call,
    size_t memory);
static ngx_msec_t ngx_kong_lua_clock(void);
static ngx_kong_lua_chunk_t *ngx_kong_lua_chunk_new(ngx_str_t *text,
    uint32_t hash, ngx_log_t *log);
static ngx_int_t ngx_kong_lua_source(ngx_kong_lua_chunk_t *chunk,
    ngx_pool_t *pool, ngx_str_t *source);
static int ngx_kong_lua_compile(lua_State *L);
static const char *ngx_kong_lua_read(lua_State *L, void *data, size_t *size);
static void ngx_kong_lua_chunk_put(void *data);
static int ngx_kong_lua_run(lua_State *L);
static void ngx_kong_lua_env_free(void *data);
static int ngx_kong_lua_emit(lua_State *L);
static void ngx_kong_lua_put(lua_State *L, const void *p, size_t len);
static int ngx_kong_lua_index(lua_State *L);
static void ngx_kong_lua_headers(lua_State *L, ngx_kong_env_t *env);
static int ngx_kong_lua_header_index(lua_State *L);
static void ngx_kong_lua_args(lua_State *L, ngx_kong_env_t *env);
static void ngx_kong_lua_captures(lua_State *L, ngx_kong_env_t *env);
static void ngx_kong_lua_field(lua_State *L, ngx_str_t *name,
    ngx_str_t *value, ngx_uint_t bare);
static int ngx_kong_lua_type(lua_State *L);
static int ngx_kong_lua_tostring(lua_State *L);
static const char *ngx_kong_lua_text(lua_State *L, int i, size_t *len);
static int ngx_kong_lua_require(lua_State *L);


static lua_State             *ngx_kong_lua;
static ngx_kong_lua_call_t   *ngx_kong_lua_current;
static ngx_kong_lua_chunk_t  *ngx_kong_lua_chunks[NGX_KONG_LUA_BUCKETS];

static size_t                 ngx_kong_lua_used;
static size_t                 ngx_kong_lua_limit;
static size_t                 ngx_kong_lua_churn;
static size_t                 ngx_kong_lua_base;    /* after a collection */
static ngx_uint_t             ngx_kong_lua_steps;
static ngx_uint_t             ngx_kong_lua_checked; /* steps at last look */
static ngx_msec_t             ngx_kong_lua_start;

/* keys of the registry */
static char                   ngx_kong_lua_key_env;
static char                   ngx_kong_lua_key_headers;


static ngx_int_t
ngx_kong_lua_init(ngx_log_t *log)
{
    ngx_kong_lua_limit = NGX_KONG_LUA_MEMORY;
    ngx_kong_lua_churn = 0;

    ngx_kong_lua = lua_newstate(ngx_kong_lua_alloc, NULL);

    if (ngx_kong_lua == NULL) {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "the Lua state of the templates could not be made");
        return NGX_ERROR;
    }

    (void) luaJIT_setmode(ngx_kong_lua, 0,
                          LUAJIT_MODE_ENGINE|LUAJIT_MODE_OFF);

    if (lua_cpcall(ngx_kong_lua, ngx_kong_lua_open, NULL) != 0) {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "the Lua state of the templates could not be set up");
        lua_close(ngx_kong_lua);
        ngx_kong_lua = NULL;
        return NGX_ERROR;
    }

    lua_sethook(ngx_kong_lua, ngx_kong_lua_hook, LUA_MASKCOUNT,
                NGX_KONG_LUA_HOOK);

    ngx_kong_lua_base = ngx_kong_lua_used;

    return NGX_OK;
}


static int
ngx_kong_lua_open(lua_State *L)
{
    /* strings have methods; there is no name for their library */

    ngx_kong_lua_string(L);

    lua_pushliteral(L, "");
    lua_newtable(L);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_pop(L, 2);

    /* the metatable of environments */

    lua_pushlightuserdata(L, &ngx_kong_lua_key_env);
    lua_newtable(L);

    lua_newtable(L);
    lua_pushcfunction(L, ngx_kong_lua_type);
    lua_setfield(L, -2, "type");
    lua_pushcfunction(L, ngx_kong_lua_require);
    lua_setfield(L, -2, "require");
    lua_pushcfunction(L, ngx_kong_lua_tostring);
    lua_setfield(L, -2, "__tostring");

    lua_pushcclosure(L, ngx_kong_lua_index, 1);
    lua_setfield(L, -2, "__index");
    lua_rawset(L, LUA_REGISTRYINDEX);

    lua_pushlightuserdata(L, &ngx_kong_lua_key_headers);
    lua_newtable(L);
    lua_pushcfunction(L, ngx_kong_lua_header_index);
    lua_setfield(L, -2, "__index");
    lua_rawset(L, LUA_REGISTRYINDEX);

    return 0;
}


static void *
ngx_kong_lua_alloc(void *data, void *old, size_t old_size, size_t size)
{
    void  *p;

    (void) data;

    if (size == 0) {
        ngx_kong_lua_used -= old_size;
        free(old);
        return NULL;
    }

    if (size > old_size) {
        ngx_kong_lua_churn += size - old_size;

        if (ngx_kong_lua_used - old_size + size > ngx_kong_lua_limit
            || ngx_kong_lua_churn > NGX_KONG_LUA_CHURN)
        {
            return NULL;
        }
    }

    p = realloc(old, size);

    if (p != NULL) {
        ngx_kong_lua_used = ngx_kong_lua_used - old_size + size;
    }

    return p;
}


static void
ngx_kong_lua_hook(lua_State *L, lua_Debug *ar)
{
    (void) ar;

    ngx_kong_lua_spend(L, NGX_KONG_LUA_HOOK);
}


void
ngx_kong_lua_spend(lua_State *L, ngx_uint_t steps)
{
    ngx_kong_lua_steps += steps;

    if (ngx_kong_lua_steps > NGX_KONG_LUA_STEPS) {
        luaL_error(L, "the expression takes too many steps");
    }

    if (ngx_kong_lua_steps - ngx_kong_lua_checked < NGX_KONG_LUA_HOOK) {
        return;
    }

    ngx_kong_lua_checked = ngx_kong_lua_steps;

    if (ngx_kong_lua_clock() - ngx_kong_lua_start > NGX_KONG_LUA_TIME) {
        luaL_error(L, "the expression takes too much time");
    }
}


static ngx_msec_t
ngx_kong_lua_clock(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);

    return (ngx_msec_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}


/* the message of a failure is left on the stack */
static ngx_int_t
ngx_kong_lua_call(lua_CFunction f, ngx_kong_lua_call_t *call, size_t memory)
{
    int                   rc;
    ngx_kong_lua_call_t  *before;

    ngx_kong_lua_limit = ngx_kong_lua_used + memory;
    ngx_kong_lua_churn = 0;
    ngx_kong_lua_steps = 0;
    ngx_kong_lua_checked = 0;
    ngx_kong_lua_start = ngx_kong_lua_clock();

    before = ngx_kong_lua_current;
    ngx_kong_lua_current = call;

    rc = lua_cpcall(ngx_kong_lua, f, call);

    ngx_kong_lua_current = before;

    return rc == 0 ? NGX_OK : NGX_ERROR;
}


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

    ngx_kong_lua_base = ngx_kong_lua_used;

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


ngx_int_t
ngx_kong_lua_render(ngx_kong_env_t *env, ngx_kong_lua_chunk_t *chunk,
    ngx_str_t *value)
{
    ngx_int_t             rc;
    ngx_str_t            *pieces;
    const char           *message;
    ngx_pool_cleanup_t   *cln;
    ngx_kong_lua_call_t   call;

    if (env->lua == 0) {
        cln = ngx_pool_cleanup_add(env->request->pool, 0);
        if (cln == NULL) {
            return NGX_ERROR;
        }

        cln->handler = ngx_kong_lua_env_free;
        cln->data = env;
    }

    ngx_memzero(&call, sizeof(ngx_kong_lua_call_t));
    call.env = env;
    call.chunk = chunk;

    rc = ngx_kong_lua_call(ngx_kong_lua_run, &call, NGX_KONG_LUA_MEMORY);

    if (rc != NGX_OK) {
        message = lua_type(ngx_kong_lua, -1) == LUA_TSTRING
                  ? lua_tostring(ngx_kong_lua, -1) : "no message";

        ngx_log_error(NGX_LOG_ERR, env->request->connection->log, 0,
                      "template \"%V\" failed: %s", &chunk->text, message);
    }

    lua_settop(ngx_kong_lua, 0);

    if (ngx_kong_lua_used > ngx_kong_lua_base + NGX_KONG_LUA_GARBAGE) {
        ngx_kong_lua_limit = (size_t) -1;
        ngx_kong_lua_churn = 0;
        (void) lua_gc(ngx_kong_lua, LUA_GCCOLLECT, 0);
        ngx_kong_lua_base = ngx_kong_lua_used;
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    pieces = chunk->pieces.elts;
    pieces += chunk->pieces.nelts - 1;

    value->len = call.len + pieces->len;
    value->data = ngx_pnalloc(env->request->pool, value->len + 1);

    if (value->data != NULL) {
        ngx_memcpy(ngx_cpymem(value->data, call.data, call.len),
                   pieces->data, pieces->len);
    }

    return value->data ? NGX_OK : NGX_ERROR;
}


static int
ngx_kong_lua_run(lua_State *L)
{
    ngx_kong_lua_call_t  *call;

    call = lua_touserdata(L, 1);

    if (call->env->lua == 0) {
        lua_newtable(L);
        lua_pushlightuserdata(L, &ngx_kong_lua_key_env);
        lua_rawget(L, LUA_REGISTRYINDEX);
        lua_setmetatable(L, -2);
        call->env->lua = luaL_ref(L, LUA_REGISTRYINDEX);
    }

    lua_rawgeti(L, LUA_REGISTRYINDEX, call->chunk->function);
    lua_rawgeti(L, LUA_REGISTRYINDEX, call->env->lua);
    lua_setfenv(L, -2);
    lua_call(L, 0, 0);

    return 0;
}


static void
ngx_kong_lua_env_free(void *data)
{
    ngx_kong_env_t  *env = data;

    if (env->lua != 0) {
        luaL_unref(ngx_kong_lua, LUA_REGISTRYINDEX, env->lua);
        env->lua = 0;
    }
}


/* the text before an expression, then its value */
static int
ngx_kong_lua_emit(lua_State *L)
{
    size_t                len;
    ngx_str_t            *piece;
    const char           *text;
    ngx_kong_lua_call_t  *call;

    call = ngx_kong_lua_current;
    piece = call->chunk->pieces.elts;

    if (call->piece + 1 < call->chunk->pieces.nelts) {
        piece += call->piece++;
        ngx_kong_lua_put(L, piece->data, piece->len);
    }

    text = ngx_kong_lua_text(L, 1, &len);
    ngx_kong_lua_put(L, text, len);

    return 0;
}


static void
ngx_kong_lua_put(lua_State *L, const void *p, size_t len)
{
    u_char               *data;
    ngx_kong_lua_call_t  *call;

    call = ngx_kong_lua_current;

    if (len > NGX_KONG_LUA_RESULT - call->len) {
        luaL_error(L, "the result is too long");
    }

    if (call->len + len > call->size) {
        call->size = 2 * call->size + len + 64;

        data = ngx_pnalloc(call->env->request->pool, call->size);
        if (data == NULL) {
            luaL_error(L, "not enough memory");
            return;
        }

        if (call->len != 0) {
            ngx_memcpy(data, call->data, call->len);
        }

        call->data = data;
    }

    if (len != 0) {
        ngx_memcpy(call->data + call->len, p, len);
        call->len += len;
    }
}


/* a global name: what comes from the request is made once a run */
static int
ngx_kong_lua_index(lua_State *L)
{
    const char      *name;
    ngx_kong_env_t  *env;

    env = ngx_kong_lua_current->env;
    name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";

    if (ngx_strcmp(name, "headers") == 0) {
        ngx_kong_lua_headers(L, env);

    } else if (ngx_strcmp(name, "query_params") == 0) {
        ngx_kong_lua_args(L, env);

    } else if (ngx_strcmp(name, "uri_captures") == 0) {
        ngx_kong_lua_captures(L, env);

    } else if (ngx_strcmp(name, "shared") == 0) {
        lua_newtable(L);

    } else {
        lua_pushvalue(L, 2);
        lua_rawget(L, lua_upvalueindex(1));
        return 1;
    }

    lua_pushvalue(L, 2);
    lua_pushvalue(L, -2);
    lua_rawset(L, 1);

    return 1;
}


static void
ngx_kong_lua_headers(lua_State *L, ngx_kong_env_t *env)
{
    ngx_uint_t              i;
    ngx_kong_env_header_t  *h;

    if (ngx_kong_env_headers(env) != NGX_OK) {
        luaL_error(L, "not enough memory");
    }

    lua_newtable(L);

    h = env->headers->elts;

    for (i = 0; i < env->headers->nelts; i++) {
        ngx_kong_lua_field(L, &h[i].lower, &h[i].value, 0);
    }

    lua_pushlightuserdata(L, &ngx_kong_lua_key_headers);
    lua_rawget(L, LUA_REGISTRYINDEX);
    lua_setmetatable(L, -2);
}


/* names in any case, and with "_" for "-" */
static int
ngx_kong_lua_header_index(lua_State *L)
{
    size_t       i, len;
    luaL_Buffer  b;
    const char  *name;
    ngx_uint_t   pass;

    if (lua_type(L, 2) != LUA_TSTRING) {
        return 0;
    }

    name = lua_tolstring(L, 2, &len);

    for (pass = 0; pass < 2; pass++) {
        luaL_buffinit(L, &b);

        for (i = 0; i < len; i++) {
            luaL_addchar(&b, (pass == 1 && name[i] == '_')
                             ? '-' : (char) ngx_tolower(name[i]));
        }

        luaL_pushresult(&b);
        lua_rawget(L, 1);

        if (!lua_isnil(L, -1)) {
            return 1;
        }

        lua_pop(L, 1);
    }

    return 0;
}


static void
ngx_kong_lua_args(lua_State *L, ngx_kong_env_t *env)
{
    ngx_uint_t         i;
    ngx_kong_field_t  *f;

    if (ngx_kong_env_args(env) != NGX_OK) {
        luaL_error(L, "not enough memory");
    }

    lua_newtable(L);

    f = env->args->elts;

    for (i = 0; i < env->args->nelts; i++) {
        ngx_kong_lua_field(L, &f[i].name, &f[i].value, f[i].bare);
    }
}


static void
ngx_kong_lua_captures(lua_State *L, ngx_kong_env_t *env)
{
    ngx_str_t   *value;
    ngx_uint_t   i;

    if (ngx_kong_env_captures(env) != NGX_OK) {
        luaL_error(L, "not enough memory");
    }

    lua_newtable(L);

    for (i = 0; i < env->n_captures; i++) {
        value = &env->captures[i].value;

        if (value->data == NULL) {
            continue;
        }

        lua_pushlstring(L, (char *) value->data, value->len);

        if (env->captures[i].name.len != 0) {
            lua_pushlstring(L, (char *) env->captures[i].name.data,
                            env->captures[i].name.len);
            lua_pushvalue(L, -2);
            lua_rawset(L, -4);
        }

        lua_rawseti(L, -2, (int) i);
    }
}


/* into the table on the top: a second value makes an array of it */
static void
ngx_kong_lua_field(lua_State *L, ngx_str_t *name, ngx_str_t *value,
    ngx_uint_t bare)
{
    lua_pushlstring(L, (char *) name->data, name->len);
    lua_pushvalue(L, -1);
    lua_rawget(L, -3);

    if (bare) {
        lua_pushboolean(L, 1);

    } else {
        lua_pushlstring(L, (char *) value->data, value->len);
    }

    if (lua_istable(L, -2)) {
        lua_rawseti(L, -2, (int) lua_objlen(L, -2) + 1);
        lua_pop(L, 2);
        return;
    }

    if (lua_isnil(L, -2)) {
        lua_remove(L, -2);

    } else {
        lua_createtable(L, 2, 0);
        lua_insert(L, -3);
        lua_rawseti(L, -3, 2);
        lua_rawseti(L, -2, 1);
    }

    lua_rawset(L, -3);
}


static int
ngx_kong_lua_type(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_pushstring(L, luaL_typename(L, 1));

    return 1;
}


static int
ngx_kong_lua_tostring(lua_State *L)
{
    size_t       len;
    const char  *text;

    text = ngx_kong_lua_text(L, 1, &len);
    lua_pushlstring(L, text, len);

    return 1;
}


static const char *
ngx_kong_lua_text(lua_State *L, int i, size_t *len)
{
    const char  *text;

    luaL_checkany(L, i);

    switch (lua_type(L, i)) {

    case LUA_TSTRING:
    case LUA_TNUMBER:
        return lua_tolstring(L, i, len);

    case LUA_TBOOLEAN:
        text = lua_toboolean(L, i) ? "true" : "false";
        break;

    case LUA_TNIL:
        text = "nil";
        break;

    case LUA_TTABLE:
        text = NGX_KONG_LUA_TABLE;
        break;

    default:
        text = "function: 0x00000000";
    }

    *len = ngx_strlen(text);

    return text;
}


static int
ngx_kong_lua_require(lua_State *L)
{
    return luaL_error(L, "require '%s' not allowed within sandbox",
                      luaL_optstring(L, 1, "?"));
}
