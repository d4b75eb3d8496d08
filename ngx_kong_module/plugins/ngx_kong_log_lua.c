/*
 * See ngx_kong_log_lua.h.  Steps, time and memory are bounded as those of the
 * templates are.
 */

#include "ngx_kong_log_json.h"
#include "ngx_kong_log_lua.h"


#define NGX_KONG_LOG_LUA_DEPTH   32          /* of tables in a result */
#define NGX_KONG_LOG_LUA_RESULT  (256 * 1024)

struct ngx_kong_log_chunk_s {
    int                    function;         /* in the registry */
    ngx_str_t              text;
};


static int ngx_kong_log_compile(lua_State *L);
static void ngx_kong_log_chunk_free(void *data);
static int ngx_kong_log_run(lua_State *L);
static void ngx_kong_log_value(lua_State *L, int i, ngx_uint_t depth);
static void ngx_kong_log_table(lua_State *L, int i, ngx_uint_t depth);
static void ngx_kong_log_key(lua_State *L);


/* the metatable of environments, in the registry */
static int                  ngx_kong_log_env_ref = LUA_NOREF;
static ngx_kong_log_json_t  ngx_kong_log_result;


ngx_kong_log_chunk_t *
ngx_kong_log_chunk(ngx_pool_t *pool, ngx_str_t *text)
{
    ngx_int_t              rc;
    ngx_log_t             *log;
    ngx_pool_cleanup_t    *cln;
    ngx_kong_log_call_t    call;
    ngx_kong_log_chunk_t  *chunk;

    log = ngx_cycle->log;

    if (ngx_kong_lua == NULL && ngx_kong_lua_init(log) != NGX_OK) {
        return NULL;
    }

    cln = ngx_pool_cleanup_add(pool, sizeof(ngx_kong_log_chunk_t));
    if (cln == NULL) {
        return NULL;
    }

    chunk = cln->data;
    chunk->function = LUA_NOREF;
    chunk->text = *text;

    ngx_memzero(&call, sizeof(ngx_kong_log_call_t));
    call.chunk = chunk;
    call.text = text;

    rc = ngx_kong_lua_call(ngx_kong_log_compile, &call.call,
                           NGX_KONG_LUA_MEMORY + 16 * text->len);

    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "custom_fields_by_lua: \"%V\" is no valid Lua: %s", text,
                      lua_type(ngx_kong_lua, -1) == LUA_TSTRING
                      ? lua_tostring(ngx_kong_lua, -1) : "out of memory");
    }

    lua_settop(ngx_kong_lua, 0);
    ngx_kong_lua_settle();

    if (rc != NGX_OK) {
        return NULL;
    }

    cln->handler = ngx_kong_log_chunk_free;

    return chunk;
}


static int
ngx_kong_log_compile(lua_State *L)
{
    ngx_kong_log_call_t  *call;

    call = lua_touserdata(L, 1);

    if (ngx_kong_log_env_ref == LUA_NOREF) {
        ngx_kong_log_env(L);
        ngx_kong_log_env_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    }

    if (luaL_loadbufferx(L, (char *) call->text->data, call->text->len,
                         "=custom_fields_by_lua", "t")
        != 0)
    {
        return lua_error(L);
    }

    call->chunk->function = luaL_ref(L, LUA_REGISTRYINDEX);

    return 0;
}


static void
ngx_kong_log_chunk_free(void *data)
{
    ngx_kong_log_chunk_t  *chunk = data;

    luaL_unref(ngx_kong_lua, LUA_REGISTRYINDEX, chunk->function);
}


ngx_int_t
ngx_kong_log_chunk_run(ngx_http_request_t *r, ngx_kong_log_chunk_t *chunk,
    ngx_str_t *value)
{
    ngx_int_t            rc;
    const char          *message;
    ngx_kong_log_call_t  call;

    ngx_memzero(&call, sizeof(ngx_kong_log_call_t));
    call.request = r;
    call.chunk = chunk;

    ngx_kong_log_json_clear(&ngx_kong_log_result);

    rc = ngx_kong_lua_call(ngx_kong_log_run, &call.call, NGX_KONG_LUA_MEMORY);

    if (rc != NGX_OK) {
        message = lua_type(ngx_kong_lua, -1) == LUA_TSTRING
                  ? lua_tostring(ngx_kong_lua, -1) : "no message";

        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "custom_fields_by_lua: \"%V\" failed: %s", &chunk->text,
                      message);
    }

    lua_settop(ngx_kong_lua, 0);
    ngx_kong_lua_collect();

    if (rc != NGX_OK || ngx_kong_log_result.failed) {
        return NGX_ERROR;
    }

    value->len = ngx_kong_log_result.len;
    value->data = ngx_pnalloc(r->pool, value->len + 1);
    if (value->data == NULL) {
        return NGX_ERROR;
    }

    if (value->len != 0) {
        ngx_memcpy(value->data, ngx_kong_log_result.data, value->len);
    }

    return NGX_OK;
}


static int
ngx_kong_log_run(lua_State *L)
{
    ngx_kong_log_call_t  *call;

    call = lua_touserdata(L, 1);

    lua_rawgeti(L, LUA_REGISTRYINDEX, call->chunk->function);

    lua_newtable(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, ngx_kong_log_env_ref);
    lua_setmetatable(L, -2);
    lua_setfenv(L, -2);

    lua_call(L, 0, 1);

    if (!lua_isnil(L, -1)) {
        ngx_kong_log_value(L, lua_gettop(L), 0);
    }

    return 0;
}


static void
ngx_kong_log_value(lua_State *L, int i, ngx_uint_t depth)
{
    u_char       number[64];
    size_t       len;
    lua_Number   n;
    const char  *text;

    ngx_kong_lua_spend(L, 1);

    switch (lua_type(L, i)) {

    case LUA_TSTRING:
        text = lua_tolstring(L, i, &len);
        ngx_kong_log_json_string(&ngx_kong_log_result, (u_char *) text, len);
        break;

    case LUA_TNUMBER:
        n = lua_tonumber(L, i);

        if (n != n || n - n != 0) {
            luaL_error(L, "the result is no number that JSON has");
        }

        len = snprintf((char *) number, sizeof(number), "%.14g", n);
        ngx_kong_log_json_raw(&ngx_kong_log_result, number, len);
        break;

    case LUA_TBOOLEAN:
        text = lua_toboolean(L, i) ? "true" : "false";
        ngx_kong_log_json_raw(&ngx_kong_log_result, text, ngx_strlen(text));
        break;

    case LUA_TTABLE:
        ngx_kong_log_table(L, i, depth + 1);
        break;

    case LUA_TLIGHTUSERDATA:
        ngx_kong_log_json_put(&ngx_kong_log_result, "null");
        break;

    default:
        luaL_error(L, "a %s cannot be logged", luaL_typename(L, i));
    }

    if (ngx_kong_log_result.len > NGX_KONG_LOG_LUA_RESULT) {
        luaL_error(L, "the result is too long");
    }
}


/* an array when it has a first item and only as many members as items */
static void
ngx_kong_log_table(lua_State *L, int i, ngx_uint_t depth)
{
    size_t  k, n, members;

    if (depth > NGX_KONG_LOG_LUA_DEPTH) {
        luaL_error(L, "the result is nested too deeply");
    }

    luaL_checkstack(L, 4, "the result is nested too deeply");

    n = lua_objlen(L, i);
    members = 0;

    for (lua_pushnil(L); lua_next(L, i) != 0; lua_pop(L, 1)) {
        ngx_kong_lua_spend(L, 1);
        members++;
    }

    if (n != 0 && n == members) {
        ngx_kong_log_json_put(&ngx_kong_log_result, "[");

        for (k = 1; k <= n; k++) {
            lua_rawgeti(L, i, (int) k);
            ngx_kong_log_value(L, lua_gettop(L), depth);
            lua_pop(L, 1);
            ngx_kong_log_json_put(&ngx_kong_log_result, ",");
        }

        ngx_kong_log_json_close(&ngx_kong_log_result, ']');
        return;
    }

    ngx_kong_log_json_put(&ngx_kong_log_result, "{");

    for (lua_pushnil(L); lua_next(L, i) != 0; lua_pop(L, 1)) {
        ngx_kong_log_key(L);
        ngx_kong_log_value(L, lua_gettop(L), depth);
        ngx_kong_log_json_put(&ngx_kong_log_result, ",");
    }

    ngx_kong_log_json_close(&ngx_kong_log_result, '}');
}


/* below the value on the top; lua_next() needs it as it is */
static void
ngx_kong_log_key(lua_State *L)
{
    size_t       len;
    const char  *text;

    lua_pushvalue(L, -2);

    if (lua_type(L, -1) != LUA_TSTRING && lua_type(L, -1) != LUA_TNUMBER) {
        luaL_error(L, "a %s cannot be a member's name",
                   luaL_typename(L, -1));
    }

    text = lua_tolstring(L, -1, &len);
    ngx_kong_log_json_string(&ngx_kong_log_result, (u_char *) text, len);
    ngx_kong_log_json_put(&ngx_kong_log_result, ":");

    lua_pop(L, 1);
}
