/*
 * Templates of configuration values: text with $(...), each a Lua expression.
 * Parsed once by a plugin's prepare(); a text without an expression is a
 * constant, the common look-ups ($(headers.x), $(query_params['y']),
 * $(uri_captures[1]) ...) are made in C, everything else runs in the worker's
 * sandboxed Lua (ngx_kong_lua.c) within limits of steps, time and memory.
 */

#ifndef NGX_KONG_TEMPLATE_H
#define NGX_KONG_TEMPLATE_H

#include "ngx_kong_plugin.h"


typedef struct ngx_kong_template_part_s  ngx_kong_template_part_t;
typedef struct ngx_kong_lua_chunk_s      ngx_kong_lua_chunk_t;

typedef struct {
    ngx_str_t                  text;
    ngx_kong_template_part_t  *parts;        /* NULL: the text itself */
    ngx_uint_t                 n_parts;
    ngx_kong_lua_chunk_t      *chunk;        /* not NULL: Lua renders it */
} ngx_kong_template_t;

/* a request header as templates see it: name in lower case */
typedef struct {
    ngx_str_t                  lower;
    ngx_str_t                  value;
} ngx_kong_env_header_t;

/*
 * What the templates of one plugin run see.  Each part is taken from the
 * request when it is first asked for, and stays as it was then.
 */
typedef struct {
    ngx_http_request_t        *request;
    ngx_array_t               *headers;      /* ngx_kong_env_header_t */
    ngx_array_t               *args;         /* ngx_kong_field_t */
    ngx_kong_capture_t        *captures;
    ngx_uint_t                 n_captures;
    int                        lua;          /* its table, 0: none yet */
    unsigned                   has_captures:1;
} ngx_kong_env_t;


/* for prepare(); NGX_ERROR when an expression is no Lua (logged).  What it
 * takes goes with the pool.  The text is not copied */
ngx_int_t ngx_kong_template(ngx_pool_t *pool, ngx_str_t *text,
    ngx_kong_template_t *template);
/* NGX_OK or NGX_ERROR (logged: an expression failed or hit a limit) */
ngx_int_t ngx_kong_template_render(ngx_kong_env_t *env,
    ngx_kong_template_t *template, ngx_str_t *value);

/* in the request's pool; NULL when out of memory */
ngx_kong_env_t *ngx_kong_env(ngx_http_request_t *r);
ngx_int_t ngx_kong_env_headers(ngx_kong_env_t *env);
ngx_int_t ngx_kong_env_args(ngx_kong_env_t *env);
ngx_int_t ngx_kong_env_captures(ngx_kong_env_t *env);


/* ngx_kong_lua.c */

/* compiled once a worker whoever holds the text; NULL when it is no Lua */
ngx_kong_lua_chunk_t *ngx_kong_lua_chunk(ngx_pool_t *pool, ngx_str_t *text);
ngx_int_t ngx_kong_lua_render(ngx_kong_env_t *env,
    ngx_kong_lua_chunk_t *chunk, ngx_str_t *value);
/* the length of "$(...)" with balanced parentheses at p, or 0 */
size_t ngx_kong_lua_expression(u_char *p, u_char *last);

/* what tostring() gives for a table: the address is nobody's business */
#define NGX_KONG_LUA_TABLE  "table: 0x00000000"

#endif
