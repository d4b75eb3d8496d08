/*
 * lua_pattern: the patterns of the schemas' "match" constraints, written in
 * Lua's notation because the messages and the reference speak of them so.
 */

#ifndef KONG_LUA_PATTERN_H
#define KONG_LUA_PATTERN_H

#include <stdbool.h>
#include <stddef.h>


/*
 * Whether the pattern is found in the string.  Back references and position
 * captures are not supported: a pattern that has one never matches.  Time is
 * bounded: a search that takes too many steps counts as no match.
 */
bool lua_pattern_find(const char *pattern, const char *s, size_t len);

#endif
