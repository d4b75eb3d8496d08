/*
 * lua_pattern: a backtracking matcher for Lua's patterns: classes, sets,
 * anchors, the quantifiers * + - ?, %b, %f and groups.  Recursion goes one
 * level deeper for each quantified item of the pattern (a constant of ours),
 * never for the length of the subject; steps are counted.
 */

#include <ctype.h>
#include <string.h>

#include "lua_pattern.h"


#define LUA_PATTERN_STEPS  1000000


typedef struct {
    const char  *end;           /* of the subject */
    const char  *start;
    unsigned     steps;
} lua_match_t;


static bool lua_match(lua_match_t *lm, const char *p, const char *s);
static bool lua_match_repeat(lua_match_t *lm, const char *p,
    const char *item_end, const char *s);
static const char *lua_match_balance(lua_match_t *lm, const char *p,
    const char *s);
static bool lua_match_frontier(lua_match_t *lm, const char *p,
    const char *s);
static const char *lua_item_end(const char *p);
static bool lua_item_match(lua_match_t *lm, const char *p,
    const char *item_end, const char *s);
static bool lua_set_match(int c, const char *p, const char *last);
static bool lua_class_match(int c, int class);


bool
lua_pattern_find(const char *pattern, const char *s, size_t len)
{
    lua_match_t  lm;

    lm.start = s;
    lm.end = s + len;
    lm.steps = 0;

    if (*pattern == '^') {
        return lua_match(&lm, pattern + 1, s);
    }

    for ( ;; ) {
        if (lua_match(&lm, pattern, s)) {
            return true;
        }

        if (s == lm.end || lm.steps > LUA_PATTERN_STEPS) {
            return false;
        }

        s++;
    }
}


static bool
lua_match(lua_match_t *lm, const char *p, const char *s)
{
    const char  *next;

    for ( ;; ) {
        if (++lm->steps > LUA_PATTERN_STEPS) {
            return false;
        }

        if (*p == '\0') {
            return true;
        }

        if (*p == '(' || *p == ')') {
            p++;
            continue;
        }

        if (*p == '$' && p[1] == '\0') {
            return s == lm->end;
        }

        if (*p == '%' && p[1] == 'b') {
            s = lua_match_balance(lm, p + 2, s);
            if (s == NULL) {
                return false;
            }

            p += 4;
            continue;
        }

        if (*p == '%' && p[1] == 'f') {
            p += 2;

            if (!lua_match_frontier(lm, p, s)) {
                return false;
            }

            p = lua_item_end(p);
            continue;
        }

        next = lua_item_end(p);
        if (next == NULL) {
            return false;
        }

        if (*next == '*' || *next == '+' || *next == '-' || *next == '?') {
            return lua_match_repeat(lm, p, next, s);
        }

        if (!lua_item_match(lm, p, next, s)) {
            return false;
        }

        s++;
        p = next;
    }
}


static bool
lua_match_repeat(lua_match_t *lm, const char *p, const char *item_end,
    const char *s)
{
    const char  *rest, *most;

    rest = item_end + 1;

    if (*item_end == '?') {
        return (lua_item_match(lm, p, item_end, s)
                && lua_match(lm, rest, s + 1))
               || lua_match(lm, rest, s);
    }

    if (*item_end == '-') {
        for ( ;; ) {
            if (lua_match(lm, rest, s)) {
                return true;
            }

            if (!lua_item_match(lm, p, item_end, s)
                || lm->steps > LUA_PATTERN_STEPS)
            {
                return false;
            }

            s++;
        }
    }

    for (most = s; lua_item_match(lm, p, item_end, most); most++) {
        lm->steps++;
    }

    if (*item_end == '+') {
        s++;
    }

    for ( /* void */ ; most >= s; most--) {
        if (lua_match(lm, rest, most)) {
            return true;
        }

        if (lm->steps > LUA_PATTERN_STEPS) {
            return false;
        }
    }

    return false;
}


/* %bxy: from an x to its y */

static const char *
lua_match_balance(lua_match_t *lm, const char *p, const char *s)
{
    size_t  depth;

    if (p[0] == '\0' || p[1] == '\0' || s == lm->end || *s != p[0]) {
        return NULL;
    }

    depth = 1;

    for (s++; s < lm->end; s++) {
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


static bool
lua_match_frontier(lua_match_t *lm, const char *p, const char *s)
{
    int          before, here;
    const char  *last;

    last = lua_item_end(p);

    if (*p != '[' || last == NULL) {
        return false;
    }

    before = s == lm->start ? '\0' : (unsigned char) s[-1];
    here = s == lm->end ? '\0' : (unsigned char) *s;

    return !lua_set_match(before, p, last - 1)
           && lua_set_match(here, p, last - 1);
}


/* NULL: a malformed or unsupported item */

static const char *
lua_item_end(const char *p)
{
    if (*p == '%') {
        if (p[1] == '\0' || isdigit((unsigned char) p[1])) {
            return NULL;
        }

        return p + 2;
    }

    if (*p != '[') {
        return p + 1;
    }

    p++;

    if (*p == '^') {
        p++;
    }

    do {
        if (*p == '\0') {
            return NULL;
        }

        if (*p == '%' && p[1] != '\0') {
            p++;
        }

        p++;
    } while (*p != ']');

    return p + 1;
}


static bool
lua_item_match(lua_match_t *lm, const char *p, const char *item_end,
    const char *s)
{
    int  c;

    if (s >= lm->end) {
        return false;
    }

    c = (unsigned char) *s;

    switch (*p) {

    case '.':
        return true;

    case '%':
        return lua_class_match(c, (unsigned char) p[1]);

    case '[':
        return lua_set_match(c, p, item_end - 1);

    default:
        return (unsigned char) *p == c;
    }
}


/* p is at the "[", last at the "]" */

static bool
lua_set_match(int c, const char *p, const char *last)
{
    bool  found;

    found = true;
    p++;

    if (*p == '^') {
        found = false;
        p++;
    }

    while (p < last) {
        if (*p == '%') {
            if (lua_class_match(c, (unsigned char) p[1])) {
                return found;
            }

            p += 2;

        } else if (p[1] == '-' && p + 2 < last) {
            if ((unsigned char) p[0] <= c && c <= (unsigned char) p[2]) {
                return found;
            }

            p += 3;

        } else {
            if ((unsigned char) *p == c) {
                return found;
            }

            p++;
        }
    }

    return !found;
}


/* the C locale's classes, whatever the process's locale is */

static bool
lua_class_match(int c, int class)
{
    bool  upper, lower, digit, graph, in;

    upper = c >= 'A' && c <= 'Z';
    lower = c >= 'a' && c <= 'z';
    digit = c >= '0' && c <= '9';
    graph = c > ' ' && c < 0x7f;

    switch (class | 0x20) {

    case 'a':
        in = upper || lower;
        break;

    case 'c':
        in = c < ' ' || c == 0x7f;
        break;

    case 'd':
        in = digit;
        break;

    case 'l':
        in = lower;
        break;

    case 'p':
        in = graph && !upper && !lower && !digit;
        break;

    case 's':
        in = c == ' ' || (c >= '\t' && c <= '\r');
        break;

    case 'u':
        in = upper;
        break;

    case 'w':
        in = upper || lower || digit;
        break;

    case 'x':
        in = digit || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        break;

    default:
        return class == c;
    }

    if (class >= 'a' && class <= 'z') {
        return in;
    }

    if (class >= 'A' && class <= 'Z') {
        return !in;
    }

    return class == c;
}
