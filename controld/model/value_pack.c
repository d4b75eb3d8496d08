/*
 * value_pack: see value_pack.h.  What was packed lately is found by its hash,
 * in a table where each value has one place and a newer one takes it.
 */

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "value_pack.h"


#define PACK_RECENT  4096            /* a power of two */
#define PACK_SHAPES  256             /* the same */
#define PACK_DEPTH   4               /* what is deeper is not compared */


struct value_packer_s {
    arena_t   *arena;
    value_t    recent[PACK_RECENT];

    const value_shape_t  *shapes[PACK_SHAPES];
};


static void pack_value(value_packer_t *p, value_t *to, const value_t *from);
static void pack_shared(value_packer_t *p, value_t *to, const value_t *from);
static void pack_array(value_packer_t *p, value_t *to, const value_t *from);
static void pack_list(value_packer_t *p, value_t *to, const value_t *from);
static void pack_record(value_packer_t *p, value_t *to, const value_t *from);
static const value_shape_t *pack_shape(value_packer_t *p,
    const value_shape_t *from, const uint8_t *at);
static bool pack_default(const value_t *def, const value_t *v);
static uint64_t pack_hash(const value_t *v, uint64_t seed, unsigned depth);
static bool pack_same(const value_t *one, const value_t *two, unsigned depth);


value_packer_t *
value_packer_new(arena_t *scratch, arena_t *a)
{
    value_packer_t  *p;

    p = arena_zalloc(scratch, sizeof(value_packer_t));
    p->arena = a;

    return p;
}


void
value_pack(value_packer_t *p, value_t *to, const value_t *from)
{
    value_t  out;

    /* entities are hardly ever the same: only their parts are looked for */

    if (from->kind == VALUE_OBJECT) {
        out = *from;
        out.line = 0;

        if (from->flags & VALUE_RECORD) {
            pack_record(p, &out, from);

        } else {
            pack_list(p, &out, from);
        }

    } else {
        pack_value(p, &out, from);
    }

    *to = out;
}


static void
pack_value(value_packer_t *p, value_t *to, const value_t *from)
{
    *to = *from;
    to->line = 0;

    switch (from->kind) {

    case VALUE_STRING:
        to->u.string = arena_strndup(p->arena, from->u.string, from->len);
        break;

    case VALUE_ARRAY:
    case VALUE_OBJECT:
        if (from->len != 0) {
            pack_shared(p, to, from);

        } else {
            to->flags &= VALUE_LUA_TABLE;
            to->u.items = NULL;
        }

        break;

    default:
        break;
    }
}


static void
pack_shared(value_packer_t *p, value_t *to, const value_t *from)
{
    value_t  *recent;

    recent = &p->recent[pack_hash(from, 0, 0) & (PACK_RECENT - 1)];

    if (pack_same(recent, from, 0)) {
        *to = *recent;
        return;
    }

    if (from->kind == VALUE_ARRAY) {
        pack_array(p, to, from);

    } else if (from->flags & VALUE_RECORD) {
        pack_record(p, to, from);

    } else {
        pack_list(p, to, from);
    }

    *recent = *to;
}


static void
pack_array(value_packer_t *p, value_t *to, const value_t *from)
{
    uint32_t  i;
    value_t  *items;

    items = arena_alloc(p->arena, from->len * sizeof(value_t));

    for (i = 0; i < from->len; i++) {
        pack_value(p, &items[i], &from->u.items[i]);
    }

    to->flags |= VALUE_SHARED;
    to->u.items = items;
}


static void
pack_list(value_packer_t *p, value_t *to, const value_t *from)
{
    uint32_t  i;
    value_t  *v;
    member_t  m;

    to->flags &= VALUE_LUA_TABLE;
    to->len = 0;
    to->u.list = NULL;
    value_reserve(p->arena, to, from->len);

    for (i = 0; i < from->len; i++) {
        m = value_member(from, i);
        v = value_add(p->arena, to,
                      arena_strndup(p->arena, m.key, m.key_len), m.key_len,
                      m.hash);
        pack_value(p, v, m.value);
    }
}


static void
pack_record(value_packer_t *p, value_t *to, const value_t *from)
{
    uint8_t               at[VALUE_FIELDS];
    uint32_t              i, n;
    value_t              *values[VALUE_FIELDS];
    value_record_t       *r;
    const value_shape_t  *shape;

    shape = from->u.record->shape;
    n = 0;

    for (i = 0; i < shape->n; i++) {
        values[n] = value_nth(from, i);
        at[i] = VALUE_DEFAULT;

        if (!pack_default(&shape->slots[i].value, values[n])) {
            at[i] = (uint8_t) n++;
        }
    }

    r = arena_alloc(p->arena, sizeof(value_record_t) + n * sizeof(value_t));
    r->shape = pack_shape(p, shape, at);

    for (i = 0; i < n; i++) {
        pack_value(p, &r->values[i], values[i]);
    }

    to->flags |= VALUE_SHARED;
    to->u.record = r;
}


/* of a kind most entities have the same fields */

static const value_shape_t *
pack_shape(value_packer_t *p, const value_shape_t *from, const uint8_t *at)
{
    value_shape_t        *shape;
    const value_shape_t **recent;

    recent = &p->shapes[XXH3_64bits_withSeed(at, from->n,
                                             (uintptr_t) from->slots)
                        & (PACK_SHAPES - 1)];

    if (*recent != NULL && (*recent)->slots == from->slots
        && memcmp((*recent)->at, at, from->n) == 0)
    {
        return *recent;
    }

    shape = arena_alloc(p->arena, sizeof(value_shape_t) + from->n);
    shape->slots = from->slots;
    shape->n = from->n;
    memcpy(shape->at, at, from->n);
    *recent = shape;

    return shape;
}


static bool
pack_default(const value_t *def, const value_t *v)
{
    if (def->kind != v->kind || def->len != v->len) {
        return false;
    }

    /* mostly null, or the default itself */

    return (def->u.record == v->u.record && def->flags == v->flags)
           || pack_same(def, v, 0);
}


static uint64_t
pack_hash(const value_t *v, uint64_t seed, unsigned depth)
{
    uint32_t  i;
    member_t  m;

    seed += v->kind + 8 * (uint64_t) v->len;

    if (depth > PACK_DEPTH) {
        return seed;
    }

    switch (v->kind) {

    case VALUE_BOOL:
        return seed + 31 * (uint64_t) v->u.boolean;

    case VALUE_NUMBER:
        return XXH3_64bits_withSeed(&v->u.number, sizeof(double), seed);

    case VALUE_STRING:
        return XXH3_64bits_withSeed(v->u.string, v->len, seed);

    case VALUE_ARRAY:
        for (i = 0; i < v->len; i++) {
            seed = pack_hash(&v->u.items[i], 31 * seed, depth + 1);
        }

        return seed;

    case VALUE_OBJECT:
        for (i = 0; i < v->len; i++) {
            m = value_member(v, i);
            seed = pack_hash(m.value, 31 * seed + m.hash, depth + 1);
        }

        return seed;

    default:
        return seed;
    }
}


/* one may stand for the other, in every answer and in the order of keys */

static bool
pack_same(const value_t *one, const value_t *two, unsigned depth)
{
    uint32_t  i;
    member_t  m, n;

    if (one->kind != two->kind || one->len != two->len || depth > PACK_DEPTH
        || ((one->flags ^ two->flags) & VALUE_LUA_TABLE))
    {
        return false;
    }

    /* nulls, too, and what is the default itself */

    if (one->u.record == two->u.record) {
        return true;
    }

    switch (one->kind) {

    case VALUE_BOOL:
        return one->u.boolean == two->u.boolean;

    case VALUE_NUMBER:
        return memcmp(&one->u.number, &two->u.number, sizeof(double)) == 0;

    case VALUE_STRING:
        return memcmp(one->u.string, two->u.string, one->len) == 0;

    case VALUE_ARRAY:
        for (i = 0; i < one->len; i++) {
            if (!pack_same(&one->u.items[i], &two->u.items[i], depth + 1)) {
                return false;
            }
        }

        return true;

    case VALUE_OBJECT:
        for (i = 0; i < one->len; i++) {
            m = value_member(one, i);
            n = value_member(two, i);

            if (m.hash != n.hash || m.key_len != n.key_len
                || memcmp(m.key, n.key, m.key_len) != 0
                || !pack_same(m.value, n.value, depth + 1))
            {
                return false;
            }
        }

        return true;

    default:
        return true;
    }
}
