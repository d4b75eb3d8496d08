/*
 * keys: see keys.h.
 */

#include <string.h>

#include "keys.h"


#define KEYS_LONG  64


const char *
keys_share(keys_t *keys, arena_t *a, const char *s, size_t len)
{
    keys_slot_t  *slot;

    if (len == 0 || len > KEYS_LONG) {
        return arena_strndup(a, s, len);
    }

    slot = &keys->slots[(len * 31 + (unsigned char) s[0] * 7
                         + (unsigned char) s[len - 1] * 13
                         + (unsigned char) s[len / 2]) % KEYS_SLOTS];

    if (slot->len != len || memcmp(slot->s, s, len) != 0) {
        slot->s = arena_strndup(a, s, len);
        slot->len = len;
    }

    return slot->s;
}
