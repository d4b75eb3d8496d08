/*
 * keys: the keys of a document's objects while it is parsed.  They are few and
 * come again and again: one that was seen lately is not copied once more.
 */

#ifndef KONG_KEYS_H
#define KONG_KEYS_H

#include "arena.h"


#define KEYS_SLOTS  128              /* of one key each, the latest one */


typedef struct {
    const char  *s;
    size_t       len;
} keys_slot_t;

typedef struct {
    keys_slot_t  slots[KEYS_SLOTS];  /* all zeros at first */
} keys_t;


/* the key, NUL-terminated, in arena memory */
const char *keys_share(keys_t *keys, arena_t *a, const char *s, size_t len);

#endif
