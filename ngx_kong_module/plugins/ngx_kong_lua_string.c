/*
 * The methods of strings in the sandbox.  What LuaJIT has is taken, except
 * dump and everything that matches patterns.
 */

#include "ngx_kong_lua_pattern.h"


static int ngx_kong_lua_find(lua_State *L);
static int ngx_kong_lua_match(lua_State *L);
static int ngx_kong_lua_search(lua_State *L, ngx_uint_t find);
static ngx_uint_t ngx_kong_lua_plain(const char *p, size_t len);
static int ngx_kong_lua_search_plain(lua_State *L, size_t from);
static int ngx_kong_lua_gmatch(lua_State *L);
static int ngx_kong_lua_gmatch_next(lua_State *L);
static int ngx_kong_lua_gsub(lua_State *L);
static void ngx_kong_lua_gsub_value(ngx_kong_lua_match_t *m, luaL_Buffer *b,
    const u_char *s, const u_char *e);
static void ngx_kong_lua_gsub_text(ngx_kong_lua_match_t *m, luaL_Buffer *b,
    const u_char *s, const u_char *e);


static const char *const  ngx_kong_lua_taken[] = {
    "byte", "char", "format", "len", "lower", "rep", "reverse", "sub",
    "upper", NULL
};

static const luaL_Reg  ngx_kong_lua_own[] = {
    { "find", ngx_kong_lua_find },
    { "match", ngx_kong_lua_match },
    { "gmatch", ngx_kong_lua_gmatch },
    { "gsub", ngx_kong_lua_gsub },
    { NULL, NULL }
};


void
ngx_kong_lua_string(lua_State *L)
{
    const luaL_Reg     *own;
    const char *const  *name;

    lua_pushcfunction(L, luaopen_string);
    lua_call(L, 0, 1);

    lua_newtable(L);

    for (name = ngx_kong_lua_taken; *name != NULL; name++) {
        lua_getfield(L, -2, *name);
        lua_setfield(L, -2, *name);
    }

    for (own = ngx_kong_lua_own; own->name != NULL; own++) {
        lua_pushcfunction(L, own->func);
        lua_setfield(L, -2, own->name);
    }

    lua_remove(L, -2);

    /* the opener left a global and an entry among the loaded */

    lua_pushnil(L);
    lua_setglobal(L, "string");
    lua_pushnil(L);
    lua_setfield(L, LUA_REGISTRYINDEX, "_LOADED");
}


static int
ngx_kong_lua_find(lua_State *L)
{
    return ngx_kong_lua_search(L, 1);
}


static int
ngx_kong_lua_match(lua_State *L)
{
    return ngx_kong_lua_search(L, 0);
}


static int
ngx_kong_lua_search(lua_State *L, ngx_uint_t find)
{
    size_t                 len, n;
    ptrdiff_t              from;
    ngx_uint_t             anchor;
    const char            *pattern;
    const u_char          *s, *p, *e;
    ngx_kong_lua_match_t   m;

    (void) luaL_checklstring(L, 1, &len);
    pattern = luaL_checklstring(L, 2, &n);
    from = luaL_optinteger(L, 3, 1);

    if (from < 0) {
        from += (ptrdiff_t) len + 1;
    }

    from = from < 1 ? 0 : from - 1;

    if (from > (ptrdiff_t) len) {
        from = (ptrdiff_t) len;
    }

    if (find && (lua_toboolean(L, 4) || ngx_kong_lua_plain(pattern, n))) {
        return ngx_kong_lua_search_plain(L, (size_t) from);
    }

    ngx_kong_lua_match_init(&m, L, 1, 2, &p);

    anchor = (p < m.pattern_end && *p == '^');
    p += anchor;

    for (s = m.start + from; /* void */ ; s++) {
        m.n = 0;
        e = ngx_kong_lua_do(&m, s, p);

        if (e != NULL) {
            ngx_kong_lua_spend(L, m.steps);

            if (!find) {
                return ngx_kong_lua_push_captures(&m, s, e, 1);
            }

            lua_pushinteger(L, s - m.start + 1);
            lua_pushinteger(L, e - m.start);

            return 2 + ngx_kong_lua_push_captures(&m, s, e, 0);
        }

        if (anchor || s == m.end) {
            break;
        }
    }

    ngx_kong_lua_spend(L, m.steps);
    lua_pushnil(L);

    return 1;
}


static ngx_uint_t
ngx_kong_lua_plain(const char *p, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if (p[i] != '\0' && ngx_strchr(NGX_KONG_LUA_SPECIALS, p[i]) != NULL) {
            return 0;
        }
    }

    return 1;
}


static int
ngx_kong_lua_search_plain(lua_State *L, size_t from)
{
    size_t       len, n;
    const char  *s, *p, *found;

    s = lua_tolstring(L, 1, &len);
    p = lua_tolstring(L, 2, &n);

    /* memmem() is linear */
    ngx_kong_lua_spend(L, (len + n) / 64);

    found = memmem(s + from, len - from, p, n);

    if (found == NULL) {
        lua_pushnil(L);
        return 1;
    }

    lua_pushinteger(L, found - s + 1);
    lua_pushinteger(L, found - s + (ptrdiff_t) n);

    return 2;
}


static int
ngx_kong_lua_gmatch(lua_State *L)
{
    (void) luaL_checkstring(L, 1);
    (void) luaL_checkstring(L, 2);

    lua_settop(L, 2);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, ngx_kong_lua_gmatch_next, 3);

    return 1;
}


static int
ngx_kong_lua_gmatch_next(lua_State *L)
{
    const u_char          *s, *p, *e;
    ngx_kong_lua_match_t   m;

    ngx_kong_lua_match_init(&m, L, lua_upvalueindex(1), lua_upvalueindex(2),
                            &p);

    for (s = m.start + lua_tointeger(L, lua_upvalueindex(3));
         s <= m.end;
         s++)
    {
        m.n = 0;
        e = ngx_kong_lua_do(&m, s, p);

        if (e != NULL) {
            ngx_kong_lua_spend(L, m.steps);

            lua_pushinteger(L, (e == s ? e + 1 : e) - m.start);
            lua_replace(L, lua_upvalueindex(3));

            return ngx_kong_lua_push_captures(&m, s, e, 1);
        }
    }

    ngx_kong_lua_spend(L, m.steps);

    return 0;
}


static int
ngx_kong_lua_gsub(lua_State *L)
{
    int                    type;
    size_t                 len;
    ptrdiff_t              max, n;
    ngx_uint_t             anchor;
    luaL_Buffer            b;
    const u_char          *s, *p, *e;
    ngx_kong_lua_match_t   m;

    (void) luaL_checklstring(L, 1, &len);
    (void) luaL_checkstring(L, 2);

    type = lua_type(L, 3);
    luaL_argcheck(L, type == LUA_TSTRING || type == LUA_TNUMBER
                     || type == LUA_TTABLE || type == LUA_TFUNCTION, 3,
                  "string/function/table expected");

    max = luaL_optinteger(L, 4, (lua_Integer) len + 1);

    ngx_kong_lua_match_init(&m, L, 1, 2, &p);

    anchor = (p < m.pattern_end && *p == '^');
    p += anchor;

    luaL_buffinit(L, &b);

    for (s = m.start, n = 0; n < max; /* void */ ) {
        m.n = 0;
        e = ngx_kong_lua_do(&m, s, p);

        if (e != NULL) {
            n++;
            ngx_kong_lua_gsub_value(&m, &b, s, e);
        }

        if (e != NULL && e > s) {
            s = e;

        } else if (s < m.end) {
            luaL_addchar(&b, (char) *s);
            s++;

        } else {
            break;
        }

        if (anchor) {
            break;
        }
    }

    ngx_kong_lua_spend(L, m.steps);

    luaL_addlstring(&b, (const char *) s, m.end - s);
    luaL_pushresult(&b);
    lua_pushinteger(L, n);

    return 2;
}


static void
ngx_kong_lua_gsub_value(ngx_kong_lua_match_t *m, luaL_Buffer *b,
    const u_char *s, const u_char *e)
{
    int         n;
    lua_State  *L;

    L = m->L;

    switch (lua_type(L, 3)) {

    case LUA_TFUNCTION:
        lua_pushvalue(L, 3);
        n = ngx_kong_lua_push_captures(m, s, e, 1);
        lua_call(L, n, 1);
        break;

    case LUA_TTABLE:
        ngx_kong_lua_push_capture(m, 0, s, e);
        lua_gettable(L, 3);
        break;

    default:
        ngx_kong_lua_gsub_text(m, b, s, e);
        return;
    }

    if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        lua_pushlstring(L, (const char *) s, e - s);

    } else if (!lua_isstring(L, -1)) {
        luaL_error(L, "invalid replacement value (a %s)",
                   luaL_typename(L, -1));
    }

    luaL_addvalue(b);
}


static void
ngx_kong_lua_gsub_text(ngx_kong_lua_match_t *m, luaL_Buffer *b,
    const u_char *s, const u_char *e)
{
    size_t       i, len;
    const char  *text;

    text = lua_tolstring(m->L, 3, &len);

    for (i = 0; i < len; i++) {

        if (text[i] != '%') {
            luaL_addchar(b, text[i]);
            continue;
        }

        i++;

        if (i < len && text[i] >= '1' && text[i] <= '9') {
            ngx_kong_lua_push_capture(m, text[i] - '1', s, e);
            luaL_addvalue(b);

        } else if (i < len && text[i] == '0') {
            luaL_addlstring(b, (const char *) s, e - s);

        } else if (i < len) {
            luaL_addchar(b, text[i]);
        }
    }

    ngx_kong_lua_spend(m->L, len / 16 + 1);
}
