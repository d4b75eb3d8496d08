/*
 * ids: uuid -> index of a record.  Open addressing; the keys are those of the
 * records themselves, which begin with their 16 bytes of id.
 */

#ifndef KONG_COMPILE_IDS_H
#define KONG_COMPILE_IDS_H

#include "../model/arena.h"
#include "../model/value.h"


typedef struct {
    uint32_t       *table;           /* index + 1 */
    size_t          size;
    const uint8_t  *records;
    size_t          stride;
} ids_t;


/* of n records of `stride` bytes, which must stay where they are */
void ids_build(ids_t *ids, arena_t *a, const void *records, size_t n,
    size_t stride);
/* KONG_NONE when there is none */
uint32_t ids_find(const ids_t *ids, const uint8_t id[16]);
/* of the foreign key {"id": ...} under `name`; KONG_NONE when it is null.
 * *dangling is set when it names a record that is not there */
uint32_t ids_foreign(const ids_t *ids, const value_t *entity,
    const char *name, unsigned *dangling);

#endif
