/*
 * The matcher of patterns: a recursion with a limit of its depth, and steps
 * that are spent now and then.  LuaJIT's own cannot be stopped, and a pattern
 * may take longer than the world lasts.
 */

#include "ngx_kong_lua_pattern.h"


#define NGX_KONG_LUA_DEPTH     200

#define NGX_KONG_LUA_OPEN      -1        /* lengths of unusual captures */
#define NGX_KONG_LUA_PLACE     -2


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


void
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
const u_char *
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
int
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


void
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
