/*
 * Patterns of Lua 5.1, matched with steps that are spent
 * (ngx_kong_lua_spend).  All functions may raise an error.
 */

#ifndef NGX_KONG_LUA_PATTERN_H
#define NGX_KONG_LUA_PATTERN_H

#include "ngx_kong_lua.h"


#define NGX_KONG_LUA_CAPTURES  32
#define NGX_KONG_LUA_SPECIALS  "^$*+?.([%-"

typedef struct {
    const u_char  *start;
    ssize_t        len;             /* or what is unusual, < 0 */
} ngx_kong_lua_capture_t;

typedef struct {
    lua_State               *L;
    const u_char            *start;
    const u_char            *end;
    const u_char            *pattern_end;
    ngx_uint_t               depth;
    ngx_uint_t               steps;      /* not spent yet */
    ngx_uint_t               n;
    ngx_kong_lua_capture_t   captures[NGX_KONG_LUA_CAPTURES];
} ngx_kong_lua_match_t;


/* subject and pattern are strings at these indexes of the stack (or
 * upvalues) that stay there; *p is where the pattern begins */
void ngx_kong_lua_match_init(ngx_kong_lua_match_t *m, lua_State *L,
    int subject, int pattern, const u_char **p);
/* where a match that begins at `s` ends, NULL when there is none; m->n must
 * be 0, m->steps are the caller's to spend */
const u_char *ngx_kong_lua_do(ngx_kong_lua_match_t *m, const u_char *s,
    const u_char *p);
/* pushes all captures, or the match [s, e) when there are none and it is the
 * `whole` that is asked for; returns their number */
int ngx_kong_lua_push_captures(ngx_kong_lua_match_t *m, const u_char *s,
    const u_char *e, ngx_uint_t whole);
void ngx_kong_lua_push_capture(ngx_kong_lua_match_t *m, ngx_uint_t i,
    const u_char *s, const u_char *e);

#endif
