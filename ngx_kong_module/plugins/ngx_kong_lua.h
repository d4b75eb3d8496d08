/*
 * Inside of the sandbox: what ngx_kong_lua.c and ngx_kong_lua_string.c share.
 */

#ifndef NGX_KONG_LUA_H
#define NGX_KONG_LUA_H

#include "ngx_kong_template.h"

#include <lua.h>
#include <lauxlib.h>
#include <lualib.h>


/* work done in C counts like instructions; raises an error past the limit */
void ngx_kong_lua_spend(lua_State *L, ngx_uint_t steps);

/* the whole "string" library: its functions without dump, and matching that
 * spends steps.  Leaves the table on the stack */
void ngx_kong_lua_string(lua_State *L);

#endif
