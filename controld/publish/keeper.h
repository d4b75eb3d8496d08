/*
 * keeper: brings pairs that are served already to the disk for good and
 * names them in `current`, in a thread of its own.  Only the newest pair
 * matters: one that waits while another is under way is replaced by the next,
 * and learns the outcome of the pair that took its place.
 */

#ifndef KONG_KEEPER_H
#define KONG_KEEPER_H

#include "../offload.h"
#include "store.h"


typedef struct keeper_s  keeper_t;
typedef struct keep_s    keep_t;

/* `err` is a sentence when rc is -1; valid during the call */
typedef void (*keep_done_pt)(keep_t *keep, int rc, const char *err);

/* the caller's; untouched by it until done() */
struct keep_s {
    uint32_t       config;
    uint32_t       endpoints;
    keep_done_pt   done;
    void          *data;
    keep_t        *next;
};


/* NULL: out of memory */
keeper_t *keeper_new(store_t *store, offload_t *thread);
/* `thread` is freed before; what still waits is kept now.  NULL is fine */
void keeper_free(keeper_t *k);

/* done() is called from the loop or by keeper_free(), never from within */
void keeper_keep(keeper_t *k, keep_t *keep);

#endif
