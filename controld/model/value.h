/*
 * value: the tree in which every document of the daemon lives: a parsed
 * kong.yml, a JSON body, an entity with its defaults filled in, a tree of
 * error messages.  All of it comes from one arena.
 *
 * Numbers are doubles, as in Kong (integers are exact up to 2^53).  Strings
 * may hold NUL bytes; they are NUL-terminated for convenience.  Objects keep
 * the order in which members were set; keys are unique (a later set of the
 * same key replaces the value in place).
 */

#ifndef KONG_VALUE_H
#define KONG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"


typedef enum {
    VALUE_NULL = 0,
    VALUE_BOOL,
    VALUE_NUMBER,
    VALUE_STRING,
    VALUE_ARRAY,
    VALUE_OBJECT
} value_kind_t;

typedef struct value_s   value_t;
typedef struct member_s  member_t;

struct value_s {
    uint8_t       kind;         /* value_kind_t */
    uint8_t       flags;        /* VALUE_* below */
    uint16_t      pad;
    uint32_t      line;         /* 1-based line in the source, 0 = unknown */
    uint32_t      len;          /* bytes of a string, items, members */
    uint32_t      cap;          /* items or members allocated */

    union {
        bool         boolean;
        double       number;
        const char  *string;
        value_t     *items;     /* array */
        member_t    *members;   /* object */
    } u;
};

struct member_s {
    const char   *key;          /* NUL-terminated */
    uint32_t      key_len;
    uint32_t      hash;         /* of the key: makes a miss cheap */
    value_t       value;
};

/* set on arrays and objects that the JSON printer must show as "{}" when
 * empty (Lua has one empty table; some Kong answers depend on it) */
#define VALUE_LUA_TABLE  0x01

#define value_is_null(v)  ((v) == NULL || (v)->kind == VALUE_NULL)


/* constructors fill *v; strings are not copied unless the name says so */
void value_set_null(value_t *v);
void value_set_bool(value_t *v, bool b);
void value_set_number(value_t *v, double n);
void value_set_string(value_t *v, const char *s, size_t len);
void value_copy_string(arena_t *a, value_t *v, const char *s, size_t len);
void value_printf(arena_t *a, value_t *v, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void value_set_array(value_t *v);
void value_set_object(value_t *v);

value_t *value_new(arena_t *a);                     /* a null */

/* arrays: the returned slot is a null to be filled; it may move on the next
 * append */
value_t *value_append(arena_t *a, value_t *array);
value_t *value_at(const value_t *array, size_t i);  /* NULL past the end */
/* grows the array with nulls up to index i and returns slot i */
value_t *value_ensure(arena_t *a, value_t *array, size_t i);

/* objects: get returns NULL when absent, on any other kind, or on NULL */
value_t *value_get(const value_t *object, const char *key);
value_t *value_getn(const value_t *object, const char *key, size_t len);
/* the slot of the key, made (a null) when absent.  The key is not copied */
value_t *value_put(arena_t *a, value_t *object, const char *key);
value_t *value_putn(arena_t *a, value_t *object, const char *key, size_t len);
void value_remove(value_t *object, const char *key);
/* appends a key that is known to be absent; `hash` from value_hash() */
value_t *value_add(arena_t *a, value_t *object, const char *key, size_t len,
    uint32_t hash);
value_t *value_get_hashed(const value_t *object, const char *key, size_t len,
    uint32_t hash);
uint32_t value_hash(const char *key, size_t len);
/* room for n members in all: spares an object of known size its growth */
void value_reserve(arena_t *a, value_t *object, size_t n);

/* "a.b.c" through nested objects; NULL when any step is absent */
value_t *value_path(const value_t *object, const char *dotted);

value_t *value_clone(arena_t *a, const value_t *v);       /* deep */
bool value_equal(const value_t *a, const value_t *b);     /* key order free */
bool value_str_eq(const value_t *v, const char *s);       /* a string, equal */
const char *value_cstr(const value_t *v);     /* the string's bytes, or NULL */
bool value_is_integer(const value_t *v);

#endif
