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
#define VALUE_NONE   UINT32_MAX

/* what is before an array's items: how many there is room for */
#define VALUE_HEAD   sizeof(uint64_t)


static uint32_t *value_index(const value_list_t *list);
static size_t value_index_size(uint32_t cap);
static void value_index_add(value_list_t *list, uint32_t i);
static void value_index_build(value_list_t *list, uint32_t len);
static uint32_t value_find(const value_t *object, const char *key,
    size_t len, uint32_t hash);
static uint32_t value_find_small(const value_slot_t *slots, uint32_t n,
    const char *key, size_t len, uint32_t hash);
static void value_grow_members(arena_t *a, value_t *object, uint32_t cap);
static void value_grow_items(arena_t *a, value_t *array, size_t need);
static size_t value_items_cap(const value_t *array);
static void value_make_list(arena_t *a, value_t *record);
static void value_clone_into(arena_t *a, value_t *to, const value_t *from);
static void value_seed_init(void) __attribute__((constructor));


static uint64_t  value_seed;

static value_slot_t         value_id = { "id", 2, 0, { .line = 0 } };
static const value_shape_t  value_reference = { &value_id, 1, { 0 } };


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

    if (array->len == value_items_cap(array)) {
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
    if (i >= value_items_cap(array)) {
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
    size_t               len;
    uint8_t             *hint;
    uint32_t             i;
    const value_slot_t  *slot;

    static _Thread_local uint8_t  hints[VALUE_HINTS];

    if (object == NULL || object->kind != VALUE_OBJECT || object->len == 0) {
        return NULL;
    }

    hint = &hints[((uintptr_t) key ^ (uintptr_t) key >> 7)
                  % VALUE_HINTS];

    if (*hint < object->len) {
        slot = &value_slots(object)[*hint];

        if (slot->key == key && key[slot->key_len] == '\0') {
            return value_nth(object, *hint);
        }
    }

    len = strlen(key);
    i = value_find(object, key, len, value_hash(key, len));

    if (i == VALUE_NONE) {
        return NULL;
    }

    if (i <= UINT8_MAX) {
        *hint = (uint8_t) i;
    }

    return value_nth(object, i);
}


value_t *
value_getn(const value_t *object, const char *key, size_t len)
{
    if (object == NULL || object->kind != VALUE_OBJECT || object->len == 0) {
        return NULL;
    }

    return value_get_hashed(object, key, len, value_hash(key, len));
}


value_t *
value_get_hashed(const value_t *object, const char *key, size_t len,
    uint32_t hash)
{
    uint32_t  i;

    if (object == NULL || object->kind != VALUE_OBJECT || object->len == 0) {
        return NULL;
    }

    i = value_find(object, key, len, hash);

    return (i == VALUE_NONE) ? NULL : value_nth(object, i);
}


value_t *
value_put(arena_t *a, value_t *object, const char *key)
{
    return value_putn(a, object, key, strlen(key));
}


value_t *
value_putn(arena_t *a, value_t *object, const char *key, size_t len)
{
    uint32_t  i, hash;

    hash = value_hash(key, len);
    i = value_find(object, key, len, hash);

    if (i == VALUE_NONE) {
        return value_add(a, object, key, len, hash);
    }

    /* what is packed is not only this object's */

    if ((object->flags & VALUE_RECORD) && (object->flags & VALUE_SHARED)) {
        value_make_list(a, object);
    }

    return value_nth(object, i);
}


value_t *
value_add(arena_t *a, value_t *object, const char *key, size_t len,
    uint32_t hash)
{
    uint32_t       cap;
    value_list_t  *list;
    value_slot_t  *slot;

    if (object->flags & VALUE_RECORD) {
        value_make_list(a, object);
    }

    cap = (object->u.list != NULL) ? object->u.list->cap : 0;

    if (object->len == cap) {
        value_grow_members(a, object, cap == 0 ? 4 : cap * 2);
    }

    list = object->u.list;
    slot = &list->slots[object->len++];
    memset(slot, 0, sizeof(value_slot_t));
    slot->key = key;
    slot->key_len = (uint32_t) len;
    slot->hash = hash;

    if (list->cap > VALUE_SMALL) {
        value_index_add(list, object->len - 1);
    }

    return &slot->value;
}


void
value_reserve(arena_t *a, value_t *object, size_t n)
{
    if (object->flags & VALUE_RECORD) {
        value_make_list(a, object);
    }

    if (object->u.list == NULL ? n != 0 : n > object->u.list->cap) {
        value_grow_members(a, object, (uint32_t) n);
    }
}


value_t *
value_set_record(arena_t *a, value_t *v, const value_shape_t *shape)
{
    value_record_t  *r;

    r = arena_zalloc(a, sizeof(value_record_t) + shape->n * sizeof(value_t));
    r->shape = shape;

    value_set_object(v);
    v->flags = VALUE_RECORD;
    v->len = shape->n;
    v->u.record = r;

    return r->values;
}


void
value_set_reference(arena_t *a, value_t *v, const char *id, size_t len)
{
    value_set_string(value_set_record(a, v, &value_reference), id, len);
}


void
value_remove(arena_t *a, value_t *object, const char *key)
{
    size_t         len, rest;
    uint32_t       i;
    value_list_t  *list;

    if (object == NULL || object->kind != VALUE_OBJECT || object->len == 0) {
        return;
    }

    len = strlen(key);
    i = value_find(object, key, len, value_hash(key, len));

    if (i == VALUE_NONE) {
        return;
    }

    if (object->flags & VALUE_RECORD) {
        value_make_list(a, object);
    }

    list = object->u.list;
    rest = object->len - i - 1;
    memmove(&list->slots[i], &list->slots[i + 1],
            rest * sizeof(value_slot_t));
    object->len--;

    if (list->cap > VALUE_SMALL) {
        value_index_build(list, object->len);
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
    uint32_t  i;
    value_t  *other;
    member_t  m;

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
            m = value_member(a, i);
            other = value_get_hashed(b, m.key, m.key_len, m.hash);

            if (other == NULL || !value_equal(m.value, other)) {
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

    value_id.hash = value_hash(value_id.key, value_id.key_len);
}


uint32_t
value_hash(const char *key, size_t len)
{
    return (uint32_t) XXH3_64bits_withSeed(key, len, value_seed);
}


unsigned
value_line(size_t line)
{
    return (line < VALUE_LINES) ? (unsigned) line : VALUE_LINES;
}


/* slots behind the members, each a member's number plus one; 0 is free */

static uint32_t *
value_index(const value_list_t *list)
{
    return (uint32_t *) (list->slots + list->cap);
}


static size_t
value_index_size(uint32_t cap)
{
    size_t  n;

    for (n = 64; n < (size_t) cap * 2; n *= 2) { /* void */ }

    return n;
}


static void
value_index_add(value_list_t *list, uint32_t i)
{
    uint32_t  slot, mask, *index;

    index = value_index(list);
    mask = (uint32_t) value_index_size(list->cap) - 1;
    slot = list->slots[i].hash & mask;

    while (index[slot] != 0) {
        slot = (slot + 1) & mask;
    }

    index[slot] = i + 1;
}


static void
value_index_build(value_list_t *list, uint32_t len)
{
    uint32_t  i;

    memset(value_index(list), 0,
           value_index_size(list->cap) * sizeof(uint32_t));

    for (i = 0; i < len; i++) {
        value_index_add(list, i);
    }
}


/* the number of the member, or VALUE_NONE */

static uint32_t
value_find(const value_t *object, const char *key, size_t len, uint32_t hash)
{
    uint32_t             slot, mask, *index;
    value_list_t        *list;
    const value_slot_t  *s;

    if (object->flags & VALUE_RECORD) {
        return value_find_small(object->u.record->shape->slots, object->len,
                                key, len, hash);
    }

    list = object->u.list;

    if (list == NULL || list->cap <= VALUE_SMALL) {
        return value_find_small(list == NULL ? NULL : list->slots,
                                object->len, key, len, hash);
    }

    index = value_index(list);
    mask = (uint32_t) value_index_size(list->cap) - 1;

    for (slot = hash & mask; index[slot] != 0; slot = (slot + 1) & mask) {
        s = &list->slots[index[slot] - 1];

        if (s->hash == hash && s->key_len == len
            && memcmp(s->key, key, len) == 0)
        {
            return index[slot] - 1;
        }
    }

    return VALUE_NONE;
}


static uint32_t
value_find_small(const value_slot_t *slots, uint32_t n, const char *key,
    size_t len, uint32_t hash)
{
    uint32_t  i;

    for (i = 0; i < n; i++) {
        if (slots[i].hash == hash && slots[i].key_len == len
            && memcmp(slots[i].key, key, len) == 0)
        {
            return i;
        }
    }

    return VALUE_NONE;
}


static void
value_grow_members(arena_t *a, value_t *object, uint32_t cap)
{
    size_t         size;
    value_list_t  *list;

    size = sizeof(value_list_t) + (size_t) cap * sizeof(value_slot_t);

    if (cap > VALUE_SMALL) {
        size += value_index_size(cap) * sizeof(uint32_t);
    }

    list = arena_alloc(a, size);
    list->cap = cap;

    if (object->len != 0) {
        memcpy(list->slots, object->u.list->slots,
               object->len * sizeof(value_slot_t));
    }

    object->u.list = list;

    if (cap > VALUE_SMALL) {
        value_index_build(list, object->len);
    }
}


static void
value_grow_items(arena_t *a, value_t *array, size_t need)
{
    char      *p;
    size_t     cap;
    value_t   *items;

    cap = array->len == 0 ? 2 : (size_t) array->len * 2;

    if (cap < need) {
        cap = need;
    }

    p = arena_alloc(a, VALUE_HEAD + cap * sizeof(value_t));
    *(uint64_t *) (void *) p = cap;
    items = (value_t *) (void *) (p + VALUE_HEAD);

    if (array->len != 0) {
        memcpy(items, array->u.items, array->len * sizeof(value_t));
    }

    array->u.items = items;
    array->flags &= ~(unsigned) VALUE_SHARED;
}


static size_t
value_items_cap(const value_t *array)
{
    if (array->u.items == NULL || (array->flags & VALUE_SHARED)) {
        return array->len;
    }

    return *(uint64_t *) (void *) ((char *) array->u.items - VALUE_HEAD);
}


/* a record's values as a list's members */

static void
value_make_list(arena_t *a, value_t *record)
{
    uint32_t   i;
    value_t    out;
    member_t   m;

    out = *record;
    out.flags &= VALUE_LUA_TABLE;
    out.len = 0;
    out.u.list = NULL;
    value_grow_members(a, &out, record->len + 1);

    for (i = 0; i < record->len; i++) {
        m = value_member(record, i);
        *value_add(a, &out, m.key, m.key_len, m.hash) = *m.value;
    }

    *record = out;
}


static void
value_clone_into(arena_t *a, value_t *to, const value_t *from)
{
    uint32_t   i;
    value_t   *v;
    member_t   m;

    *to = *from;
    to->flags &= VALUE_LUA_TABLE;

    switch (from->kind) {

    case VALUE_STRING:
        to->u.string = arena_strndup(a, from->u.string, from->len);
        break;

    case VALUE_ARRAY:
        to->len = 0;
        to->u.items = NULL;

        if (from->len != 0) {
            (void) value_ensure(a, to, from->len - 1);
        }

        for (i = 0; i < from->len; i++) {
            value_clone_into(a, &to->u.items[i], &from->u.items[i]);
        }

        break;

    case VALUE_OBJECT:
        to->len = 0;
        to->u.list = NULL;
        value_reserve(a, to, from->len);

        for (i = 0; i < from->len; i++) {
            m = value_member(from, i);
            v = value_add(a, to, arena_strndup(a, m.key, m.key_len),
                          m.key_len, m.hash);
            value_clone_into(a, v, m.value);
        }

        break;

    default:
        break;
    }
}
