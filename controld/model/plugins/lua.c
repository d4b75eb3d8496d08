/*
 * lua: is a text loadable Lua source?  The interpreter is used for its parser
 * alone: the chunk is compiled in a state without libraries and dropped with
 * it.  Compiled chunks are refused before the parser sees them: the loader of
 * bytecode trusts its input.
 */

#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"


/* a chunk cannot make the parser take more memory than this */
#define LUA_MEMORY_MAX  (64 * 1024 * 1024)

/* bytes of a message that are kept: it quotes the token that it stumbled on */
#define LUA_ERROR_MAX   1024

/* the first byte of every compiled chunk (LUA_SIGNATURE) */
#define LUA_COMPILED    '\033'


static void *lua_bounded_alloc(void *data, void *old, size_t old_size,
    size_t size);


const char *
check_lua_source(schema_ctx_t *ctx, const field_t *f, const value_t *v)
{
    const char  *err;

    (void) f;

    err = lua_source_error(ctx, v->u.string, v->len, NULL);
    if (err == NULL) {
        return NULL;
    }

    return arena_printf(ctx->arena, "Error parsing function: %s", err);
}


const char *
lua_source_error(schema_ctx_t *ctx, const char *text, size_t len,
    const char *chunk)
{
    int          rc;
    char         message[LUA_ERROR_MAX];
    size_t       used;
    lua_State   *L;
    const char  *err;

    if (len > 0 && text[0] == LUA_COMPILED) {
        return "attempt to load chunk with wrong mode";
    }

    used = 0;

    L = lua_newstate(lua_bounded_alloc, &used);
    if (L == NULL) {
        return "not enough memory";
    }

    rc = luaL_loadbuffer(L, text, len, (chunk != NULL) ? chunk : text);

    if (rc != 0) {
        err = lua_tostring(L, -1);
        (void) snprintf(message, sizeof(message), "%s",
                        (err != NULL) ? err : "invalid source");
    }

    /* the arena may jump when memory is short: the state goes first */
    lua_close(L);

    return (rc == 0) ? NULL : arena_strndup(ctx->arena, message,
                                            strlen(message));
}


static void *
lua_bounded_alloc(void *data, void *old, size_t old_size, size_t size)
{
    void    *p;
    size_t  *used = data;

    if (size == 0) {
        *used -= old_size;
        free(old);
        return NULL;
    }

    if (*used - old_size + size > LUA_MEMORY_MAX) {
        return NULL;
    }

    p = realloc(old, size);
    if (p != NULL) {
        *used = *used - old_size + size;
    }

    return p;
}
