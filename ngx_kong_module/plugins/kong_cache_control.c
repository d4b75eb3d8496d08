/*
 * Cache-Control: see kong_cache_control.h.  What is not understood is passed
 * over; a number that is none leaves its directive out.
 */

#include "kong_cache_control.h"

#include <string.h>
#include <strings.h>


static const char *kong_cache_token(const char *p, const char *last);
static const char *kong_cache_value(const char *p, const char *last,
    long *number);
static void kong_cache_set(kong_cache_control_t *cc, const char *name,
    size_t len, long number);


void
kong_cache_control_init(kong_cache_control_t *cc)
{
    memset(cc, 0, sizeof(kong_cache_control_t));

    cc->max_age = KONG_CACHE_NONE;
    cc->s_maxage = KONG_CACHE_NONE;
    cc->max_stale = KONG_CACHE_NONE;
    cc->min_fresh = KONG_CACHE_NONE;
}


void
kong_cache_control_parse(kong_cache_control_t *cc, const char *p, size_t len)
{
    long         number;
    const char  *last, *name, *end;

    last = p + len;

    while (p < last) {

        if (*p == ' ' || *p == '\t' || *p == ',') {
            p++;
            continue;
        }

        name = p;
        end = kong_cache_token(p, last);
        number = KONG_CACHE_NONE;
        p = end;

        if (p < last && *p == '=') {
            p = kong_cache_value(p + 1, last, &number);
        }

        kong_cache_set(cc, name, (size_t) (end - name), number);

        while (p < last && *p != ',') {
            p++;
        }
    }
}


static const char *
kong_cache_token(const char *p, const char *last)
{
    while (p < last && *p != '=' && *p != ',' && *p != ' ' && *p != '\t') {
        p++;
    }

    return p;
}


/* digits, quoted or not; the number is left alone when there are none */
static const char *
kong_cache_value(const char *p, const char *last, long *number)
{
    int   quoted;
    long  n;

    quoted = (p < last && *p == '"');
    p += quoted;

    if (p < last && *p >= '0' && *p <= '9') {

        n = 0;

        for ( /* void */ ; p < last && *p >= '0' && *p <= '9'; p++) {
            n = (n >= KONG_CACHE_ANY / 10) ? KONG_CACHE_ANY
                                           : n * 10 + (*p - '0');
        }

        *number = n;
    }

    if (quoted) {
        while (p < last && *p != '"') {
            p++;
        }
    }

    return p;
}


static void
kong_cache_set(kong_cache_control_t *cc, const char *name, size_t len,
    long number)
{

#define kong_cache_is(text)                                                   \
    (len == sizeof(text) - 1 && strncasecmp(name, text, len) == 0)

    if (kong_cache_is("no-store")) {
        cc->no_store = 1;

    } else if (kong_cache_is("no-cache")) {
        cc->no_cache = 1;

    } else if (kong_cache_is("private")) {
        cc->private = 1;

    } else if (kong_cache_is("only-if-cached")) {
        cc->only_if_cached = 1;

    } else if (kong_cache_is("max-stale")) {
        cc->max_stale = (number == KONG_CACHE_NONE) ? KONG_CACHE_ANY : number;

    } else if (number == KONG_CACHE_NONE) {
        return;

    } else if (kong_cache_is("max-age")) {
        cc->max_age = number;

    } else if (kong_cache_is("s-maxage")) {
        cc->s_maxage = number;

    } else if (kong_cache_is("min-fresh")) {
        cc->min_fresh = number;
    }

#undef kong_cache_is

}
