/*
 * The methods of strings in the sandbox.  What LuaJIT has is taken, except
 * dump and everything that matches patterns: its matcher cannot be stopped,
 * and a pattern may take longer than the world lasts.  Ours has the same
 * language (Lua 5.1's) and spends steps.
 */

#include "ngx_kong_lua.h"


#define NGX_KONG_LUA_CAPTURES  32
#define NGX_KONG_LUA_DEPTH     200

#define NGX_KONG_LUA_OPEN      -1        /* lengths of unusual captures */
#define NGX_KONG_LUA_PLACE     -2

#define NGX_KONG_LUA_SPECIALS  "^$*+?.([%-"

typedef struct {
    const u_char  *start;
    ssize_t        len;
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
static void ngx_kong_lua_match_init(ngx_kong_lua_match_t *m, lua_State *L,
    int subject, int pattern, const u_char **p);
static const u_char *ngx_kong_lua_do(ngx_kong_lua_match_t *m,
    const u_char *s, const u_char *p);
static const u_char *ngx_kong_lua_item(ngx_kong_lua_match_t *m,
    const u_char *s, const u_char *p, const u_char *item_end);
static const u_char *ngx_kong_lua_open_capture(ngx_kong_lua_match_t *m,
    const u_char *s, const u_char *p, ssize_t len);
static const u_char *ngx_kong_lua_close_capture(ngx_kong_lua_match_t *m,
    const u_char *s, const u_char *p);
static const u_char *ngx_kong_lua_back(ngx_kong_lua_match_t *m,
    const u_char *s, u_char digit);
static const u_char *ngx_kong_lua_balance(ngx_kong_lua_match_t *m,
    const u_char *s, const u_char *p);
static const u_char *ngx_kong_lua_item_end(ngx_kong_lua_match_t *m,
    const u_char *p);
static ngx_uint_t ngx_kong_lua_single(u_char ch, const u_char *p,
    const u_char *item_end);
static ngx_uint_t ngx_kong_lua_set(u_char ch, const u_char *p,
    const u_char *last);
static ngx_uint_t ngx_kong_lua_class(u_char ch, u_char class);
static void ngx_kong_lua_step(ngx_kong_lua_match_t *m);
static int ngx_kong_lua_push_captures(ngx_kong_lua_match_t *m,
    const u_char *s, const u_char *e, ngx_uint_t whole);
static void ngx_kong_lua_push_capture(ngx_kong_lua_match_t *m, ngx_uint_t i,
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


static void
ngx_kong_lua_match_init(ngx_kong_lua_match_t *m, lua_State *L, int subject,
    int pattern, const u_char **p)
{
    size_t  len;

    m->L = L;
    m->depth = 0;
    m->steps = 0;
    m->n = 0;

    m->start = (const u_char *) lua_tolstring(L, subject, &len);
    m->end = m->start + len;

    *p = (const u_char *) lua_tolstring(L, pattern, &len);
    m->pattern_end = *p + len;
}


/* the end of the match of p at s, or NULL */
static const u_char *
ngx_kong_lua_do(ngx_kong_lua_match_t *m, const u_char *s, const u_char *p)
{
    const u_char  *end, *rest;

    if (++m->depth > NGX_KONG_LUA_DEPTH) {
        luaL_error(m->L, "pattern too complex");
    }

    rest = NULL;

    for ( ;; ) {
        ngx_kong_lua_step(m);

        if (p == m->pattern_end) {
            rest = s;
            break;
        }

        if (*p == '(') {
            rest = (p + 1 < m->pattern_end && p[1] == ')')
                   ? ngx_kong_lua_open_capture(m, s, p + 2,
                                               NGX_KONG_LUA_PLACE)
                   : ngx_kong_lua_open_capture(m, s, p + 1,
                                               NGX_KONG_LUA_OPEN);
            break;
        }

        if (*p == ')') {
            rest = ngx_kong_lua_close_capture(m, s, p + 1);
            break;
        }

        if (*p == '$' && p + 1 == m->pattern_end) {
            rest = (s == m->end) ? s : NULL;
            break;
        }

        if (*p == '%' && p + 1 < m->pattern_end) {

            if (p[1] == 'b') {
                s = ngx_kong_lua_balance(m, s, p + 2);

                if (s == NULL) {
                    break;
                }

                p += 4;
                continue;
            }

            if (p[1] == 'f') {
                p += 2;

                if (p == m->pattern_end || *p != '[') {
                    luaL_error(m->L, "missing '[' after '%%f' in pattern");
                }

                end = ngx_kong_lua_item_end(m, p);

                if (ngx_kong_lua_set(s == m->start ? '\0' : s[-1], p, end)
                    || !ngx_kong_lua_set(s == m->end ? '\0' : *s, p, end))
                {
                    break;
                }

                p = end;
                continue;
            }

            if (p[1] >= '0' && p[1] <= '9') {
                s = ngx_kong_lua_back(m, s, p[1]);

                if (s == NULL) {
                    break;
                }

                p += 2;
                continue;
            }
        }

        end = ngx_kong_lua_item_end(m, p);

        if (end < m->pattern_end
            && (*end == '?' || *end == '*' || *end == '+' || *end == '-'))
        {
            rest = ngx_kong_lua_item(m, s, p, end);
            break;
        }

        if (s == m->end || !ngx_kong_lua_single(*s, p, end)) {
            break;
        }

        s++;
        p = end;
    }

    m->depth--;

    return rest;
}


/* an item with a quantifier behind it */
static const u_char *
ngx_kong_lua_item(ngx_kong_lua_match_t *m, const u_char *s, const u_char *p,
    const u_char *item_end)
{
    const u_char  *e, *rest, *min;

    if (*item_end == '-') {
        for ( ;; ) {
            rest = ngx_kong_lua_do(m, s, item_end + 1);

            if (rest != NULL) {
                return rest;
            }

            if (s == m->end || !ngx_kong_lua_single(*s, p, item_end)) {
                return NULL;
            }

            s++;
        }
    }

    e = s;
    min = (*item_end == '+') ? s + 1 : s;

    while (e < m->end && ngx_kong_lua_single(*e, p, item_end)) {
        ngx_kong_lua_step(m);
        e++;

        if (*item_end == '?') {
            break;
        }
    }

    for ( /* void */ ; e >= min; e--) {
        rest = ngx_kong_lua_do(m, e, item_end + 1);

        if (rest != NULL) {
            return rest;
        }
    }

    return NULL;
}


static const u_char *
ngx_kong_lua_open_capture(ngx_kong_lua_match_t *m, const u_char *s,
    const u_char *p, ssize_t len)
{
    const u_char  *rest;

    if (m->n == NGX_KONG_LUA_CAPTURES) {
        luaL_error(m->L, "too many captures");
    }

    m->captures[m->n].start = s;
    m->captures[m->n].len = len;
    m->n++;

    rest = ngx_kong_lua_do(m, s, p);

    if (rest == NULL) {
        m->n--;
    }

    return rest;
}


static const u_char *
ngx_kong_lua_close_capture(ngx_kong_lua_match_t *m, const u_char *s,
    const u_char *p)
{
    ngx_uint_t     i;
    const u_char  *rest;

    for (i = m->n; i > 0; i--) {
        if (m->captures[i - 1].len == NGX_KONG_LUA_OPEN) {
            break;
        }
    }

    if (i == 0) {
        luaL_error(m->L, "invalid pattern capture");
    }

    m->captures[i - 1].len = s - m->captures[i - 1].start;

    rest = ngx_kong_lua_do(m, s, p);

    if (rest == NULL) {
        m->captures[i - 1].len = NGX_KONG_LUA_OPEN;
    }

    return rest;
}


static const u_char *
ngx_kong_lua_back(ngx_kong_lua_match_t *m, const u_char *s, u_char digit)
{
    ngx_uint_t               i;
    ngx_kong_lua_capture_t  *c;

    i = digit - '1';

    if (digit == '0' || i >= m->n || m->captures[i].len < 0) {
        luaL_error(m->L, "invalid capture index");
    }

    c = &m->captures[i];

    ngx_kong_lua_spend(m->L, c->len / 64 + 1);

    return (m->end - s >= c->len
            && ngx_memcmp(c->start, s, (size_t) c->len) == 0)
           ? s + c->len : NULL;
}


static const u_char *
ngx_kong_lua_balance(ngx_kong_lua_match_t *m, const u_char *s,
    const u_char *p)
{
    ngx_uint_t  depth;

    if (m->pattern_end - p < 2) {
        luaL_error(m->L, "unbalanced pattern");
    }

    if (s == m->end || *s != p[0]) {
        return NULL;
    }

    for (depth = 1, s++; s < m->end; s++) {
        ngx_kong_lua_step(m);

        if (*s == p[1]) {
            if (--depth == 0) {
                return s + 1;
            }

        } else if (*s == p[0]) {
            depth++;
        }
    }

    return NULL;
}


static const u_char *
ngx_kong_lua_item_end(ngx_kong_lua_match_t *m, const u_char *p)
{
    if (*p == '%') {
        if (p + 1 == m->pattern_end) {
            luaL_error(m->L, "malformed pattern (ends with '%%')");
        }

        return p + 2;
    }

    if (*p++ != '[') {
        return p;
    }

    if (p < m->pattern_end && *p == '^') {
        p++;
    }

    /* a "]" that comes first is one of the set */

    do {
        if (p == m->pattern_end) {
            luaL_error(m->L, "malformed pattern (missing ']')");
        }

        if (*p++ == '%') {
            if (p == m->pattern_end) {
                luaL_error(m->L, "malformed pattern (missing ']')");
            }

            p++;
        }

        if (p == m->pattern_end) {
            luaL_error(m->L, "malformed pattern (missing ']')");
        }

    } while (*p != ']');

    return p + 1;
}


static ngx_uint_t
ngx_kong_lua_single(u_char ch, const u_char *p, const u_char *item_end)
{
    switch (*p) {

    case '.':
        return 1;

    case '%':
        return ngx_kong_lua_class(ch, p[1]);

    case '[':
        return ngx_kong_lua_set(ch, p, item_end);

    default:
        return ch == *p;
    }
}


/* [...] from p up to last, brackets included */
static ngx_uint_t
ngx_kong_lua_set(u_char ch, const u_char *p, const u_char *last)
{
    ngx_uint_t  in;

    in = 1;
    p++;
    last--;

    if (*p == '^') {
        in = 0;
        p++;
    }

    while (p < last) {

        if (*p == '%' && p + 1 < last) {
            if (ngx_kong_lua_class(ch, p[1])) {
                return in;
            }

            p += 2;

        } else if (last - p >= 3 && p[1] == '-') {
            if (p[0] <= ch && ch <= p[2]) {
                return in;
            }

            p += 3;

        } else {
            if (*p == ch) {
                return in;
            }

            p++;
        }
    }

    return !in;
}


/* ASCII, whatever the locale */
static ngx_uint_t
ngx_kong_lua_class(u_char ch, u_char class)
{
    ngx_uint_t  lower, upper, digit, in;

    lower = (ch >= 'a' && ch <= 'z');
    upper = (ch >= 'A' && ch <= 'Z');
    digit = (ch >= '0' && ch <= '9');

    switch (class | 0x20) {
    case 'a': in = lower || upper; break;
    case 'c': in = ch < 0x20 || ch == 0x7f; break;
    case 'd': in = digit; break;
    case 'l': in = lower; break;
    case 'p': in = ch > 0x20 && ch < 0x7f && !lower && !upper && !digit;
              break;
    case 's': in = ch == ' ' || (ch >= '\t' && ch <= '\r'); break;
    case 'u': in = upper; break;
    case 'w': in = lower || upper || digit; break;
    case 'x': in = digit || ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'f'); break;
    case 'z': in = ch == '\0'; break;
    default:  return class == ch;
    }

    return (class & 0x20) ? in : !in;
}


static void
ngx_kong_lua_step(ngx_kong_lua_match_t *m)
{
    if (++m->steps == 1000) {
        m->steps = 0;
        ngx_kong_lua_spend(m->L, 1000);
    }
}


/* returns how many; without a capture the match itself when `whole` */
static int
ngx_kong_lua_push_captures(ngx_kong_lua_match_t *m, const u_char *s,
    const u_char *e, ngx_uint_t whole)
{
    ngx_uint_t  i, n;

    n = (m->n == 0 && whole) ? 1 : m->n;

    luaL_checkstack(m->L, (int) n, "too many captures");

    for (i = 0; i < n; i++) {
        ngx_kong_lua_push_capture(m, i, s, e);
    }

    return (int) n;
}


static void
ngx_kong_lua_push_capture(ngx_kong_lua_match_t *m, ngx_uint_t i,
    const u_char *s, const u_char *e)
{
    ngx_kong_lua_capture_t  *c;

    if (i >= m->n) {
        if (i != 0) {
            luaL_error(m->L, "invalid capture index");
        }

        lua_pushlstring(m->L, (const char *) s, e - s);
        return;
    }

    c = &m->captures[i];

    if (c->len == NGX_KONG_LUA_PLACE) {
        lua_pushinteger(m->L, c->start - m->start + 1);
        return;
    }

    if (c->len == NGX_KONG_LUA_OPEN) {
        luaL_error(m->L, "unfinished capture");
    }

    lua_pushlstring(m->L, (const char *) c->start, (size_t) c->len);
}
