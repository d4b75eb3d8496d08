/*
 * json: text <-> value tree.  Reading is bounded in depth and size, the whole
 * input must be one document, values carry their line, and of duplicate keys
 * the last wins.  Printing follows Kong's encoder, which has habits of its
 * own: slashes are escaped ("\/"), integers print without a fraction, other
 * numbers with up to 16 significant digits, and an empty VALUE_LUA_TABLE
 * prints as "{}".
 */

#ifndef KONG_JSON_H
#define KONG_JSON_H

#include "spans.h"
#include "value.h"


/* 0, or -1 with *err pointing at a sentence (arena memory) */
int json_parse(arena_t *a, const char *text, size_t len, value_t *out,
    const char **err);

/* the same, and where the items of the document's arrays are */
int json_parse_spans(arena_t *a, const char *text, size_t len, value_t *out,
    spans_t *spans, const char **err);

/* compact; *len may be NULL; the text is NUL-terminated arena memory */
char *json_print(arena_t *a, const value_t *v, size_t *len);

/* Lua-table notation used inside Kong's messages: {a="x",b={c=1}}; keys that
 * are no identifiers as ["@entity"]; a hole in an array shows the following
 * items as [2]=...; keys sorted */
char *json_print_lua(arena_t *a, const value_t *v, size_t *len);

#endif
