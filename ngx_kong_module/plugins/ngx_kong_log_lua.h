/*
 * The Lua of custom_fields_by_lua: ngx_kong_log_lua.c compiles and runs it
 * and makes JSON of its result, ngx_kong_log_env.c is what it sees.
 */

#ifndef NGX_KONG_LOG_LUA_H
#define NGX_KONG_LOG_LUA_H

#include "ngx_kong_log_custom.h"
#include "ngx_kong_lua.h"


typedef struct ngx_kong_log_chunk_s  ngx_kong_log_chunk_t;

/* the chunk that runs */
typedef struct {
    ngx_kong_lua_call_t    call;         /* first */
    ngx_http_request_t    *request;
    ngx_kong_log_chunk_t  *chunk;
    ngx_str_t             *text;
    ngx_str_t             *value;
} ngx_kong_log_call_t;

#define ngx_kong_log_lua_request()                                            \
    (((ngx_kong_log_call_t *) ngx_kong_lua_current)->request)


/* for prepare(); NULL when it is no Lua (logged); goes with the pool */
ngx_kong_log_chunk_t *ngx_kong_log_chunk(ngx_pool_t *pool, ngx_str_t *text);
/* NGX_OK with its result as JSON (empty: nil) in the request's pool;
 * NGX_ERROR is logged */
ngx_int_t ngx_kong_log_chunk_run(ngx_http_request_t *r,
    ngx_kong_log_chunk_t *chunk, ngx_str_t *value);

/* ngx_kong_log_env.c: leaves the environment's metatable on the stack */
void ngx_kong_log_env(lua_State *L);
/* JSON as a Lua value onto the stack; nil when it is none */
void ngx_kong_log_env_json(lua_State *L, const char *text, size_t len);

#endif
