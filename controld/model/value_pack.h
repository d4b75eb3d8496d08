/*
 * value_pack: values for a configuration that is to stay: as small as they
 * can be, and read only.  Records keep what differs from their shape's
 * defaults, lists and strings have no room to spare, lines are gone, and what
 * is the same as something packed lately (the hosts of many routes, the
 * reference of a service's routes) is shared with it.
 */

#ifndef KONG_VALUE_PACK_H
#define KONG_VALUE_PACK_H

#include "value.h"


typedef struct value_packer_s  value_packer_t;


/* packs into `a`; the packer itself is from `scratch` and ends with it */
value_packer_t *value_packer_new(arena_t *scratch, arena_t *a);
/* `to` may be `from`, whose parts are not needed any more then */
void value_pack(value_packer_t *p, value_t *to, const value_t *from);

#endif
