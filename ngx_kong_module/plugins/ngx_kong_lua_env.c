/*
 * A template's run: its environment, whose names are made from the request
 * when they are first asked for, and the text that it puts together.
 */

#include "ngx_kong_lua.h"
#include "ngx_kong_fields.h"


#define NGX_KONG_LUA_RESULT     (1024 * 1024)


static int ngx_kong_lua_run(lua_State *L);
static void ngx_kong_lua_env_free(void *data);
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


/* keys of the registry */
static char  ngx_kong_lua_key_env;
static char  ngx_kong_lua_key_headers;


void
ngx_kong_lua_globals(lua_State *L)
{
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

    ngx_kong_lua_collect();

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    pieces = chunk->pieces.elts;
    pieces += chunk->pieces.nelts - 1;

    value->len = call.len + pieces->len;
    value->data = ngx_pnalloc(env->request->pool, value->len + 1);

    if (value->data == NULL) {
        return NGX_ERROR;
    }

    if (call.len != 0) {
        ngx_memcpy(value->data, call.data, call.len);
    }

    if (pieces->len != 0) {
        ngx_memcpy(value->data + call.len, pieces->data, pieces->len);
    }

    return NGX_OK;
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


int
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
