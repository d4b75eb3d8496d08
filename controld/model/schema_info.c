/*
 * schema_info: the prepared form of the tables.  The tables are const, so the
 * prepared forms live in a hash table beside them, made when a table is first
 * used.  Readers take no lock: entries are complete before they are linked,
 * and are never removed.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "schema_private.h"


#define SCHEMA_INFO_BUCKETS  1024


static schema_info_t *schema_info_make(const field_t *fields,
    const field_t *over, unsigned entity);
static void schema_info_slot_init(schema_slot_t *slot, const field_t *f,
    unsigned entity, value_slot_t *shape);
static void schema_info_index(schema_info_t *info);
static const field_t *schema_info_override(const field_t *over,
    const char *name);
static unsigned schema_info_deep(const field_t *f, unsigned *shorthand);
static void *schema_info_alloc(size_t size);


static _Atomic(schema_info_t *)  schema_info_table[SCHEMA_INFO_BUCKETS];
static pthread_mutex_t           schema_info_lock = PTHREAD_MUTEX_INITIALIZER;
static arena_t                  *schema_info_arena;


const schema_info_t *
schema_info(const field_t *fields, const field_t *over, unsigned entity)
{
    uintptr_t       key;
    schema_info_t  *info, *head;

    key = ((uintptr_t) fields >> 4) * 31 + ((uintptr_t) over >> 4);
    key = (key ^ (key >> 9)) % SCHEMA_INFO_BUCKETS;

    head = atomic_load_explicit(&schema_info_table[key],
                                memory_order_acquire);

    for (info = head; info != NULL; info = info->next) {
        if (info->fields == fields && info->over == over) {
            return info;
        }
    }

    pthread_mutex_lock(&schema_info_lock);

    head = atomic_load(&schema_info_table[key]);

    for (info = head; info != NULL; info = info->next) {
        if (info->fields == fields && info->over == over) {
            pthread_mutex_unlock(&schema_info_lock);
            return info;
        }
    }

    info = schema_info_make(fields, over, entity);
    info->next = head;
    atomic_store_explicit(&schema_info_table[key], info,
                          memory_order_release);

    pthread_mutex_unlock(&schema_info_lock);

    return info;
}


const schema_slot_t *
schema_info_slot(const schema_info_t *info, const char *name, size_t len,
    uint32_t hash)
{
    uint32_t        i;
    schema_slot_t  *slot;

    for (i = hash & info->mask; info->index[i] != 0;
         i = (i + 1) & info->mask)
    {
        slot = &info->slots[info->index[i] - 1];

        if (slot->hash == hash && slot->len == len
            && memcmp(slot->field->name, name, len) == 0)
        {
            return slot;
        }
    }

    return NULL;
}


static schema_info_t *
schema_info_make(const field_t *fields, const field_t *over, unsigned entity)
{
    uint32_t        i;
    value_slot_t   *shape;
    const field_t  *f;
    schema_info_t  *info;

    if (schema_info_arena == NULL) {
        schema_info_arena = arena_new();
    }

    info = schema_info_alloc(sizeof(schema_info_t));
    info->fields = fields;
    info->over = over;

    for (f = fields; f->name != NULL; f++) {
        info->n++;
    }

    info->slots = schema_info_alloc((info->n + 1) * sizeof(schema_slot_t));
    shape = schema_info_alloc((info->n + 1) * sizeof(value_slot_t));
    info->shape = schema_info_alloc(sizeof(value_shape_t) + info->n);
    info->shape->slots = shape;
    info->shape->n = info->n;

    for (i = 0; i < info->n; i++) {
        info->shape->at[i] = (uint8_t) i;
        f = schema_info_override(over, fields[i].name);
        if (f == NULL) {
            f = &fields[i];
        }

        schema_info_slot_init(&info->slots[i], f, entity, &shape[i]);
        info->deep |= info->slots[i].deep;
        info->shorthand |= info->slots[i].shorthand;
    }

    schema_info_index(info);

    return info;
}


static void
schema_info_slot_init(schema_slot_t *slot, const field_t *f,
    unsigned entity, value_slot_t *shape)
{
    unsigned     shorthand;
    const char  *err;

    slot->field = f;
    slot->len = (uint32_t) strlen(f->name);
    slot->hash = value_hash(f->name, slot->len);

    shorthand = 0;
    slot->deep = (uint8_t) schema_info_deep(f, &shorthand);
    slot->shorthand = (uint8_t) shorthand;
    slot->unchecked = entity && (strcmp(f->name, "ttl") == 0
                                 || strcmp(f->name, "updated_at") == 0);

    shape->key = f->name;
    shape->key_len = slot->len;
    shape->hash = slot->hash;
    slot->def = &shape->value;

    if (f->def == NULL) {
        return;
    }

    if (json_parse(schema_info_arena, f->def, strlen(f->def), &shape->value,
                   &err)
        != 0)
    {
        fprintf(stderr, "schema: the default of \"%s\" is no JSON: %s\n",
                f->name, err);
        abort();
    }

    /* everybody has the same items: to append copies them */

    shape->value.line = 0;
    shape->value.flags |= (shape->value.kind == VALUE_ARRAY) ? VALUE_SHARED
                                                             : 0;
}


static void
schema_info_index(schema_info_t *info)
{
    uint32_t  i, j, size;

    for (size = 8; size < info->n * 2; size *= 2) { /* void */ }

    info->index = schema_info_alloc(size * sizeof(uint16_t));
    info->mask = size - 1;

    for (i = 0; i < info->n; i++) {
        for (j = info->slots[i].hash & info->mask; info->index[j] != 0;
             j = (j + 1) & info->mask)
        { /* void */ }

        info->index[j] = (uint16_t) (i + 1);
    }
}


static const field_t *
schema_info_override(const field_t *over, const char *name)
{
    if (over == NULL) {
        return NULL;
    }

    for ( /* void */ ; over->name != NULL; over++) {
        if (strcmp(over->name, name) == 0) {
            return over;
        }
    }

    return NULL;
}


/* whether the walker has to look inside the field's values to complete them */

static unsigned
schema_info_deep(const field_t *f, unsigned *shorthand)
{
    const field_t  *sub;

    switch (f->type) {

    case FIELD_RECORD:
        if (f->shorthands != NULL) {
            *shorthand = 1;
        }

        for (sub = f->fields; sub != NULL && sub->name != NULL; sub++) {
            (void) schema_info_deep(sub, shorthand);
        }

        return 1;

    case FIELD_SET:
    case FIELD_ARRAY:
    case FIELD_MAP:
        return f->elements != NULL && schema_info_deep(f->elements, shorthand);

    default:
        return 0;
    }
}


static void *
schema_info_alloc(size_t size)
{
    return arena_zalloc(schema_info_arena, size);
}
