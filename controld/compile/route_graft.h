/*
 * route_graft: a trie from the one before it and what comes and goes.  Only
 * the nodes on the way to a change are written anew, behind everything else;
 * they link to all branches that stay as they are, where those are.
 */

#ifndef KONG_ROUTE_GRAFT_H
#define KONG_ROUTE_GRAFT_H

#include "route_trie.h"
#include "../../ngx_kong_module/snapshot/kong_index.h"


typedef struct {
    const uint8_t      *index;       /* the section as it is */
    uint32_t            size;        /* of it: where `out` will be */
    bytes_t            *out;         /* what comes behind it */
    const kong_cond_t  *conds;       /* of the old candidates */
    const uint8_t      *gone;        /* a byte a route: its candidates go */
    trie_builder_t     *tb;          /* for branches that are new */
    const trie_elt_t   *gone_at;     /* sorted: where candidates go */
    size_t              n_gone;      /* candidates that went */
    bytes_t             kids;        /* of the nodes under way */
} graft_t;


/*
 * Appends what becomes of the trie of `node`, root first, with n new items,
 * which are in tb->elts, and without what is gone at the keys
 * gone_at[0..n_gone).  -1: it has to be built whole.
 */
int graft_trie(graft_t *g, const uint8_t *node, size_t n, size_t n_gone);

#endif
