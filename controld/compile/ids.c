/*
 * ids: see ids.h.
 */

#include <string.h>

#include "ids.h"
#include "entities.h"
#include "../../ngx_kong_module/snapshot/kong_index.h"


void
ids_build(ids_t *ids, arena_t *a, const void *records, size_t n,
    size_t stride)
{
    size_t  i, slot;

    ids->size = 2 * n + 1;
    ids->table = arena_zalloc(a, ids->size * sizeof(uint32_t));
    ids->records = records;
    ids->stride = stride;

    for (i = 0; i < n; i++) {
        slot = XXH3_64bits(ids->records + i * stride, 16) % ids->size;

        while (ids->table[slot] != 0) {
            slot = (slot + 1) % ids->size;
        }

        ids->table[slot] = (uint32_t) i + 1;
    }
}


uint32_t
ids_find(const ids_t *ids, const uint8_t id[16])
{
    size_t    slot;
    uint32_t  i;

    slot = XXH3_64bits(id, 16) % ids->size;

    while (ids->table[slot] != 0) {
        i = ids->table[slot] - 1;

        if (memcmp(ids->records + i * ids->stride, id, 16) == 0) {
            return i;
        }

        slot = (slot + 1) % ids->size;
    }

    return KONG_NONE;
}


uint32_t
ids_foreign(const ids_t *ids, const value_t *entity, const char *name,
    unsigned *dangling)
{
    uint32_t        i;
    uint8_t         id[16];
    const value_t  *foreign;

    foreign = value_get(entity, name);

    if (value_is_null(foreign)) {
        return KONG_NONE;
    }

    i = (entity_id(foreign, id) == 0) ? ids_find(ids, id) : KONG_NONE;

    if (i == KONG_NONE) {
        *dangling = 1;
    }

    return i;
}
