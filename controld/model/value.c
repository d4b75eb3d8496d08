/*
 * value: the document tree.  Small objects are searched member by member,
 * comparing hashes first; one that grows beyond VALUE_SMALL members gets an
 * open-addressing index behind its members, in the same allocation, so that
 * building an object of n keys stays linear in n.  The hash is seeded once a
 * process: keys come from clients, who must not be able to choose collisions.
 */

#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "value.h"


#define VALUE_SMALL  32
#define VALUE_HINTS  256


static uint32_t *value_index(const value_t *object);
static size_t value_index_size(uint32_t cap);
static void value_index_add(value_t *object, uint32_t i);
static void value_index_build(value_t *object);
static member_t *value_find(const value_t *object, const char *key,
    size_t len, uint32_t hash);
static void value_grow_members(arena_t *a, value_t *object, uint32_t cap);
static void value_grow_items(arena_t *a, value_t *array, size_t need);
static void value_clone_into(arena_t *a, value_t *to, const value_t *from);
static void value_seed_init(void) __attribute__((constructor));


static uint64_t  value_seed;


void
value_set_null(value_t *v)
{
    uint32_t  line;

    line = v->line;
    memset(v, 0, sizeof(value_t));
    v->line = line;
}


void
value_set_bool(value_t *v, bool b)
{
    value_set_null(v);
    v->kind = VALUE_BOOL;
    v->u.boolean = b;
}


void
value_set_number(value_t *v, double n)
{
    value_set_null(v);
    v->kind = VALUE_NUMBER;
    v->u.number = n;
}


void
value_set_string(value_t *v, const char *s, size_t len)
{
    value_set_null(v);
    v->kind = VALUE_STRING;
    v->len = (uint32_t) len;
    v->u.string = s;
}


void
value_copy_string(arena_t *a, value_t *v, const char *s, size_t len)
{
    value_set_string(v, arena_strndup(a, s, len), len);
}


void
value_printf(arena_t *a, value_t *v, const char *fmt, ...)
{
    char    *p;
    va_list  args;

    va_start(args, fmt);
    p = arena_vprintf(a, fmt, args);
    va_end(args);

    value_set_string(v, p, strlen(p));
}


void
value_set_array(value_t *v)
{
    value_set_null(v);
    v->kind = VALUE_ARRAY;
}


void
value_set_object(value_t *v)
{
    value_set_null(v);
    v->kind = VALUE_OBJECT;
}


value_t *
value_new(arena_t *a)
{
    return arena_zalloc(a, sizeof(value_t));
}


value_t *
value_append(arena_t *a, value_t *array)
{
    value_t  *v;

    if (array->len == array->cap) {
        value_grow_items(a, array, (size_t) array->len + 1);
    }

    v = &array->u.items[array->len++];
    memset(v, 0, sizeof(value_t));

    return v;
}


value_t *
value_at(const value_t *array, size_t i)
{
    if (array == NULL || array->kind != VALUE_ARRAY || i >= array->len) {
        return NULL;
    }

    return &array->u.items[i];
}


value_t *
value_ensure(arena_t *a, value_t *array, size_t i)
{
    if (i >= array->cap) {
        value_grow_items(a, array, i + 1);
    }

    if (i >= array->len) {
        memset(&array->u.items[array->len], 0,
               (i + 1 - array->len) * sizeof(value_t));
        array->len = (uint32_t) (i + 1);
    }

    return &array->u.items[i];
}


/*
 * Entities of a kind have their members at the same places, and keys are
 * mostly the very string of the schema: where the last look-up of a key ended
 * is the first place to look at.
 */

value_t *
value_get(const value_t *object, const char *key)
{
    uint8_t    *hint;
    value_t    *v;
    member_t   *m;

    static _Thread_local uint8_t  hints[VALUE_HINTS];

    if (object == NULL || object->kind != VALUE_OBJECT || object->len == 0) {
        return NULL;
    }

    hint = &hints[((uintptr_t) key ^ (uintptr_t) key >> 7)
                  % VALUE_HINTS];

    if (*hint < object->len) {
        m = &object->u.members[*hint];

        if (m->key == key && key[m->key_len] == '\0') {
            return &m->value;
        }
    }

    v = value_getn(object, key, strlen(key));

    if (v != NULL && object->len <= UINT8_MAX) {
        m = (member_t *) (void *) ((char *) v - offsetof(member_t, value));
        *hint = (uint8_t) (m - object->u.members);
    }

    return v;
}


value_t *
value_getn(const value_t *object, const char *key, size_t len)
{
    member_t  *m;

    if (object == NULL || object->kind != VALUE_OBJECT || object->len == 0) {
        return NULL;
    }

    m = value_find(object, key, len, value_hash(key, len));

    return m == NULL ? NULL : &m->value;
}


value_t *
value_put(arena_t *a, value_t *object, const char *key)
{
    return value_putn(a, object, key, strlen(key));
}


value_t *
value_putn(arena_t *a, value_t *object, const char *key, size_t len)
{
    uint32_t   hash;
    member_t  *m;

    hash = value_hash(key, len);

    m = value_find(object, key, len, hash);
    if (m != NULL) {
        return &m->value;
    }

    return value_add(a, object, key, len, hash);
}


value_t *
value_add(arena_t *a, value_t *object, const char *key, size_t len,
    uint32_t hash)
{
    member_t  *m;

    if (object->len == object->cap) {
        value_grow_members(a, object,
                           object->cap == 0 ? 4 : object->cap * 2);
    }

    m = &object->u.members[object->len++];
    memset(m, 0, sizeof(member_t));
    m->key = key;
    m->key_len = (uint32_t) len;
    m->hash = hash;

    if (object->cap > VALUE_SMALL) {
        value_index_add(object, object->len - 1);
    }

    return &m->value;
}


value_t *
value_get_hashed(const value_t *object, const char *key, size_t len,
    uint32_t hash)
{
    member_t  *m;

    if (object == NULL || object->kind != VALUE_OBJECT || object->len == 0) {
        return NULL;
    }

    m = value_find(object, key, len, hash);

    return m == NULL ? NULL : &m->value;
}


void
value_reserve(arena_t *a, value_t *object, size_t n)
{
    if (n > object->cap) {
        value_grow_members(a, object, (uint32_t) n);
    }
}


void
value_remove(value_t *object, const char *key)
{
    size_t     len, rest;
    member_t  *m;

    if (object == NULL || object->kind != VALUE_OBJECT || object->len == 0) {
        return;
    }

    len = strlen(key);

    m = value_find(object, key, len, value_hash(key, len));
    if (m == NULL) {
        return;
    }

    rest = object->len - (size_t) (m - object->u.members) - 1;
    memmove(m, m + 1, rest * sizeof(member_t));
    object->len--;

    if (object->cap > VALUE_SMALL) {
        value_index_build(object);
    }
}


value_t *
value_path(const value_t *object, const char *dotted)
{
    value_t     *v;
    const char  *dot;

    for ( ;; ) {
        dot = strchr(dotted, '.');
        if (dot == NULL) {
            return value_get(object, dotted);
        }

        v = value_getn(object, dotted, dot - dotted);
        if (v == NULL) {
            return NULL;
        }

        object = v;
        dotted = dot + 1;
    }
}


value_t *
value_clone(arena_t *a, const value_t *v)
{
    value_t  *copy;

    copy = value_new(a);
    value_clone_into(a, copy, v);

    return copy;
}


bool
value_equal(const value_t *a, const value_t *b)
{
    uint32_t   i;
    member_t  *m, *other;

    if (value_is_null(a) || value_is_null(b)) {
        return value_is_null(a) && value_is_null(b);
    }

    if (a->kind != b->kind) {
        return false;
    }

    switch (a->kind) {

    case VALUE_BOOL:
        return a->u.boolean == b->u.boolean;

    case VALUE_NUMBER:
        return a->u.number == b->u.number;

    case VALUE_STRING:
        return a->len == b->len
               && memcmp(a->u.string, b->u.string, a->len) == 0;

    case VALUE_ARRAY:
        for (i = 0; a->len == b->len && i < a->len; i++) {
            if (!value_equal(&a->u.items[i], &b->u.items[i])) {
                return false;
            }
        }

        return a->len == b->len;

    default:
        for (i = 0; a->len == b->len && i < a->len; i++) {
            m = &a->u.members[i];
            other = value_find(b, m->key, m->key_len, m->hash);
            if (other == NULL || !value_equal(&m->value, &other->value)) {
                return false;
            }
        }

        return a->len == b->len;
    }
}


bool
value_str_eq(const value_t *v, const char *s)
{
    size_t  len;

    if (v == NULL || v->kind != VALUE_STRING) {
        return false;
    }

    len = strlen(s);

    return v->len == len && memcmp(v->u.string, s, len) == 0;
}


const char *
value_cstr(const value_t *v)
{
    if (v == NULL || v->kind != VALUE_STRING) {
        return NULL;
    }

    return v->u.string;
}


bool
value_is_integer(const value_t *v)
{
    return v != NULL && v->kind == VALUE_NUMBER && isfinite(v->u.number)
           && v->u.number == floor(v->u.number);
}


static void
value_seed_init(void)
{
    uint64_t  seed;

    if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) == sizeof(seed)) {
        value_seed = seed;
    }
}


uint32_t
value_hash(const char *key, size_t len)
{
    return (uint32_t) XXH3_64bits_withSeed(key, len, value_seed);
}


/* slots behind the members, each a member's number plus one; 0 is free */

static uint32_t *
value_index(const value_t *object)
{
    return (uint32_t *) (object->u.members + object->cap);
}


static size_t
value_index_size(uint32_t cap)
{
    size_t  n;

    for (n = 64; n < (size_t) cap * 2; n *= 2) { /* void */ }

    return n;
}


static void
value_index_add(value_t *object, uint32_t i)
{
    uint32_t  slot, mask, *index;

    index = value_index(object);
    mask = (uint32_t) value_index_size(object->cap) - 1;
    slot = object->u.members[i].hash & mask;

    while (index[slot] != 0) {
        slot = (slot + 1) & mask;
    }

    index[slot] = i + 1;
}


static void
value_index_build(value_t *object)
{
    uint32_t  i;

    memset(value_index(object), 0,
           value_index_size(object->cap) * sizeof(uint32_t));

    for (i = 0; i < object->len; i++) {
        value_index_add(object, i);
    }
}


static member_t *
value_find(const value_t *object, const char *key, size_t len, uint32_t hash)
{
    uint32_t   i, slot, mask, *index;
    member_t  *m;

    if (object->cap <= VALUE_SMALL) {
        for (i = 0; i < object->len; i++) {
            m = &object->u.members[i];
            if (m->hash == hash && m->key_len == len
                && memcmp(m->key, key, len) == 0)
            {
                return m;
            }
        }

        return NULL;
    }

    index = value_index(object);
    mask = (uint32_t) value_index_size(object->cap) - 1;

    for (slot = hash & mask; index[slot] != 0; slot = (slot + 1) & mask) {
        m = &object->u.members[index[slot] - 1];
        if (m->hash == hash && m->key_len == len
            && memcmp(m->key, key, len) == 0)
        {
            return m;
        }
    }

    return NULL;
}


static void
value_grow_members(arena_t *a, value_t *object, uint32_t cap)
{
    size_t     size;
    member_t  *members;

    size = (size_t) cap * sizeof(member_t);

    if (cap > VALUE_SMALL) {
        size += value_index_size(cap) * sizeof(uint32_t);
    }

    members = arena_alloc(a, size);

    if (object->len != 0) {
        memcpy(members, object->u.members, object->len * sizeof(member_t));
    }

    object->u.members = members;
    object->cap = cap;

    if (cap > VALUE_SMALL) {
        value_index_build(object);
    }
}


static void
value_grow_items(arena_t *a, value_t *array, size_t need)
{
    size_t    cap;
    value_t  *items;

    cap = array->cap == 0 ? 2 : (size_t) array->cap * 2;

    if (cap < need) {
        cap = need;
    }

    items = arena_alloc(a, cap * sizeof(value_t));

    if (array->len != 0) {
        memcpy(items, array->u.items, array->len * sizeof(value_t));
    }

    array->u.items = items;
    array->cap = (uint32_t) cap;
}


static void
value_clone_into(arena_t *a, value_t *to, const value_t *from)
{
    uint32_t   i, n;
    member_t  *members;

    *to = *from;

    switch (from->kind) {

    case VALUE_STRING:
        to->u.string = arena_strndup(a, from->u.string, from->len);
        break;

    case VALUE_ARRAY:
        to->cap = from->len;
        to->u.items = from->len == 0 ? NULL
                      : arena_alloc(a, from->len * sizeof(value_t));

        for (i = 0; i < from->len; i++) {
            value_clone_into(a, &to->u.items[i], &from->u.items[i]);
        }

        break;

    case VALUE_OBJECT:
        n = from->len;
        to->len = 0;
        to->cap = 0;
        to->u.members = NULL;

        if (n == 0) {
            break;
        }

        value_grow_members(a, to, n);
        members = to->u.members;

        for (i = 0; i < from->len; i++) {
            members[i] = from->u.members[i];
            members[i].key = arena_strndup(a, members[i].key,
                                           members[i].key_len);
            value_clone_into(a, &members[i].value,
                             &from->u.members[i].value);
        }

        to->len = from->len;

        if (n > VALUE_SMALL) {
            value_index_build(to);
        }

        break;

    default:
        break;
    }
}
