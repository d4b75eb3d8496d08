/*
 * value: the tree in which every document of the daemon lives: a parsed
 * kong.yml, a JSON body, an entity with its defaults filled in, a tree of
 * error messages.  All of it comes from one arena.
 *
 * Numbers are doubles, as in Kong (integers are exact up to 2^53).  Strings
 * may hold NUL bytes; they are NUL-terminated for convenience.  Objects keep
 * the order in which members were set; keys are unique (a later set of the
 * same key replaces the value in place).
 *
 * An object is a list of members or a record: a shape, which has the keys and
 * what they stand for by default, and the values that differ.  Only value.c
 * and value_member() know which.  A change that a record has no room for
 * makes a list of it; a value that is packed (value_pack.h) is shared and
 * read only.
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

typedef struct value_s         value_t;
typedef struct value_slot_s    value_slot_t;
typedef struct value_list_s    value_list_t;
typedef struct value_record_s  value_record_t;

struct value_s {
    unsigned      kind:3;       /* value_kind_t */
    unsigned      flags:3;      /* VALUE_* below */
    unsigned      line:26;      /* 1-based line in the source, 0 = unknown */
    uint32_t      len;          /* bytes of a string, items, members */

    union {
        bool             boolean;
        double           number;
        const char      *string;
        value_t         *items;     /* array */
        value_list_t    *list;      /* object */
        value_record_t  *record;    /* object, VALUE_RECORD */
    } u;
};

struct value_slot_s {
    const char   *key;          /* NUL-terminated */
    uint32_t      key_len;
    uint32_t      hash;         /* of the key: makes a miss cheap */
    value_t       value;
};

struct value_list_s {
    uint32_t      cap;
    value_slot_t  slots[];
};

/* of records: keys, defaults, and where the values are that are no defaults.
 * It stays for as long as a record of it does */
typedef struct {
    const value_slot_t  *slots;
    uint32_t             n;           /* VALUE_FIELDS at most */
    uint8_t              at[];        /* in values, or VALUE_DEFAULT */
} value_shape_t;

struct value_record_s {
    const value_shape_t  *shape;
    value_t               values[];
};

/* a member of an object, whatever that is */
typedef struct {
    const char   *key;
    uint32_t      key_len;
    uint32_t      hash;
    value_t      *value;
} member_t;

#define VALUE_FIELDS   128
#define VALUE_DEFAULT  0xff
#define VALUE_LINES    0x3ffffff      /* lines behind count as this one */

/* set on arrays and objects that the JSON printer must show as "{}" when
 * empty (Lua has one empty table; some Kong answers depend on it) */
#define VALUE_LUA_TABLE  0x1
/* an array whose items are somebody else's: to append copies them.  A record
 * that is packed: its values are those that differ, and read only */
#define VALUE_SHARED     0x2
#define VALUE_RECORD     0x4

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
void value_remove(arena_t *a, value_t *object, const char *key);
/* appends a key that is known to be absent; `hash` from value_hash() */
value_t *value_add(arena_t *a, value_t *object, const char *key, size_t len,
    uint32_t hash);
value_t *value_get_hashed(const value_t *object, const char *key, size_t len,
    uint32_t hash);
uint32_t value_hash(const char *key, size_t len);
/* room for n members in all: spares an object of known size its growth */
void value_reserve(arena_t *a, value_t *object, size_t n);
/* a record of nulls, none of them left to the default: they are returned */
value_t *value_set_record(arena_t *a, value_t *v, const value_shape_t *shape);
/* {"id": ...}; the id is not copied */
void value_set_reference(arena_t *a, value_t *v, const char *id, size_t len);

/* "a.b.c" through nested objects; NULL when any step is absent */
value_t *value_path(const value_t *object, const char *dotted);

value_t *value_clone(arena_t *a, const value_t *v);       /* deep; no record */
bool value_equal(const value_t *a, const value_t *b);     /* key order free */
bool value_str_eq(const value_t *v, const char *s);       /* a string, equal */
const char *value_cstr(const value_t *v);     /* the string's bytes, or NULL */
bool value_is_integer(const value_t *v);
unsigned value_line(size_t line);             /* as large as fits */


/* the keys of an object that is not empty */
static inline const value_slot_t *
value_slots(const value_t *object)
{
    return (object->flags & VALUE_RECORD) ? object->u.record->shape->slots
                                          : object->u.list->slots;
}


/* the value of member i, i < len; read only when it is packed */
static inline value_t *
value_nth(const value_t *object, size_t i)
{
    uint8_t               at;
    const value_shape_t  *shape;

    if (!(object->flags & VALUE_RECORD)) {
        return (value_t *) &object->u.list->slots[i].value;
    }

    shape = object->u.record->shape;
    at = shape->at[i];

    return (value_t *) ((at == VALUE_DEFAULT) ? &shape->slots[i].value
                                              : &object->u.record->values[at]);
}


/* both */
static inline member_t
value_member(const value_t *object, size_t i)
{
    member_t             m;
    const value_slot_t  *slot;

    slot = &value_slots(object)[i];
    m.key = slot->key;
    m.key_len = slot->key_len;
    m.hash = slot->hash;
    m.value = value_nth(object, i);

    return m;
}

#endif
