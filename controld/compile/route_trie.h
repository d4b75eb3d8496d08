/*
 * route_trie: the byte tries of the index, one a host bucket.
 */

#ifndef KONG_ROUTE_TRIE_H
#define KONG_ROUTE_TRIE_H

#include "bytes.h"
#include "route_rules.h"


/* a candidate and the path prefix at whose node it hangs */
typedef struct {
    const char         *key;
    uint32_t            len;
    uint32_t            rank;
    uint32_t            target;
    uint32_t            bucket;
} trie_item_t;

/* an item being sorted; the chunk is private to route_trie.c */
typedef struct {
    uint64_t            chunk;
    const trie_item_t  *item;
} trie_elt_t;

typedef struct {
    bytes_t            *out;
    rules_builder_t    *rules;
    trie_elt_t         *elts;        /* room for the largest trie */
    bytes_t             kids;        /* children of the nodes under way */
    const trie_item_t  *bad;         /* set when the trie is too deep */
} trie_builder_t;


/* a child: the first of its items, and the byte that chooses it */
typedef struct {
    uint32_t            start;
    uint32_t            byte;
} trie_kid_t;


/* max: items of the largest trie; rules: behind their targets.  0 or -1, out
 * of memory */
int trie_init(trie_builder_t *tb, bytes_t *out, size_t max,
    rules_builder_t *rules);
/* appends the trie of n > 0 items to *out.  -1: tb->bad is too deep */
int trie_build(trie_builder_t *tb, const trie_item_t *items, size_t n);
void trie_release(trie_builder_t *tb);

/* the parts: items by key and rank; the branch of elts[lo..hi), which agree
 * on `depth` bytes and hang at this level; what chooses among n children */
void trie_order(trie_elt_t *elts, const trie_item_t *items, size_t n);
int trie_branch(trie_builder_t *tb, size_t lo, size_t hi, uint32_t depth,
    unsigned level);
void trie_put_fan(bytes_t *out, const trie_kid_t *kids, size_t n);

#endif
