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

#include <luajit.h>


#define NGX_KONG_LUA_HOOK       100              /* instructions */
#define NGX_KONG_LUA_STEPS      200000
#define NGX_KONG_LUA_TIME       50               /* ms of processor time */
#define NGX_KONG_LUA_CHURN      (64 * 1024 * 1024)
#define NGX_KONG_LUA_GARBAGE    (1024 * 1024)    /* collected beyond */


static int ngx_kong_lua_open(lua_State *L);
static void *ngx_kong_lua_alloc(void *data, void *old, size_t old_size,
    size_t size);
static void ngx_kong_lua_hook(lua_State *L, lua_Debug *ar);
static ngx_msec_t ngx_kong_lua_clock(void);


lua_State             *ngx_kong_lua;
ngx_kong_lua_call_t   *ngx_kong_lua_current;

static size_t          ngx_kong_lua_used;
static size_t          ngx_kong_lua_limit;
static size_t          ngx_kong_lua_churn;
static size_t          ngx_kong_lua_base;    /* after a collection */
static ngx_uint_t      ngx_kong_lua_steps;
static ngx_uint_t      ngx_kong_lua_checked; /* steps at last look */
static ngx_msec_t      ngx_kong_lua_start;


ngx_int_t
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

    ngx_kong_lua_settle();

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

    ngx_kong_lua_globals(L);

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
ngx_int_t
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


void
ngx_kong_lua_settle(void)
{
    ngx_kong_lua_base = ngx_kong_lua_used;
}


void
ngx_kong_lua_collect(void)
{
    if (ngx_kong_lua_used <= ngx_kong_lua_base + NGX_KONG_LUA_GARBAGE) {
        return;
    }

    ngx_kong_lua_limit = (size_t) -1;
    ngx_kong_lua_churn = 0;

    (void) lua_gc(ngx_kong_lua, LUA_GCCOLLECT, 0);

    ngx_kong_lua_settle();
}
