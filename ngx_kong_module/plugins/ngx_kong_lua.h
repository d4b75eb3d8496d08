/*
 * Inside of the sandbox: ngx_kong_lua.c has the state and its limits,
 * ngx_kong_lua_chunk.c compiled templates, ngx_kong_lua_env.c what a template
 * sees and says, ngx_kong_lua_string.c and _pattern.c the methods of strings.
 *
 * Functions that take a lua_State may raise an error: they run inside of
 * ngx_kong_lua_call() only.
 */

#ifndef NGX_KONG_LUA_H
#define NGX_KONG_LUA_H

#include "ngx_kong_template.h"

#include <lua.h>
#include <lauxlib.h>
#include <lualib.h>


#define NGX_KONG_LUA_MEMORY     (8 * 1024 * 1024)

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


/* this worker's state, NULL until a template needs it */
extern lua_State            *ngx_kong_lua;
/* what runs, NULL when nothing does */
extern ngx_kong_lua_call_t  *ngx_kong_lua_current;


/* ngx_kong_lua.c */

/* makes the state; NGX_ERROR is logged */
ngx_int_t ngx_kong_lua_init(ngx_log_t *log);
/* runs `f` with `call` as its light userdata, within the limits and `memory`
 * more bytes.  NGX_ERROR leaves the message on the stack */
ngx_int_t ngx_kong_lua_call(lua_CFunction f, ngx_kong_lua_call_t *call,
    size_t memory);
/* work done in C counts like instructions; raises an error past the limit */
void ngx_kong_lua_spend(lua_State *L, ngx_uint_t steps);
/* what is alive now is no garbage */
void ngx_kong_lua_settle(void);
/* a whole collection, once there is enough garbage */
void ngx_kong_lua_collect(void);


/* ngx_kong_lua_env.c */

/* registers the metatables of environments and of their headers */
void ngx_kong_lua_globals(lua_State *L);
/* a C function: puts the text before an expression, then its value */
int ngx_kong_lua_emit(lua_State *L);


/* ngx_kong_lua_string.c */

/* the whole "string" library: its functions without dump, and matching that
 * spends steps.  Leaves the table on the stack */
void ngx_kong_lua_string(lua_State *L);

#endif
