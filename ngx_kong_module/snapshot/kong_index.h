/*
 * kong_index: the inside of the sections INDEX and PREDICATES, shared by the
 * matcher (kong_match.c), the verifier (kong_index.c) and the builder
 * (controld/compile/route_index.c), and by nobody else.  The bytes are
 * described in docs/segment-format.md.
 *
 * Offsets of hosts are relative to the section, those inside a trie to the
 * node or switch that holds them; links of nodes lead in both directions.
 */

#ifndef KONG_INDEX_H
#define KONG_INDEX_H

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "kong_segment.h"


/* the deepest trie: bounds the verifier's stack */
#define KONG_TRIE_DEPTH_MAX   4096
#define KONG_TRIE_LABEL_MAX   255
#define KONG_TRIE_SPARSE_MAX  16      /* children found by their bytes; more
                                         of them by a bitmap */
#define KONG_TRIE_MANY        0x3fffu /* candidates: the number follows */

typedef enum {
    KONG_HOST_PLAIN = 0,
    KONG_HOST_SUFFIX = 1,             /* "*.a.com", kept as ".a.com" */
    KONG_HOST_PREFIX = 2              /* "a.*", kept as "a." */
} kong_host_kind_t;

typedef struct {
    uint32_t  n_slots;                /* of the table of hosts; 0 = no table */
    uint32_t  n_hosts;
    uint32_t  root;                   /* trie of routes without hosts, or 0 */
    uint32_t  buckets;                /* where the buckets begin */
    uint64_t  suffix_lens;            /* bit min(length, 63) */
    uint64_t  prefix_lens;
} kong_index_t;

typedef struct {
    uint32_t  hash;
    uint32_t  bucket;                 /* 0: the slot is empty.  From the
                                         section's start, in a switch from
                                         the switch's */
} kong_index_slot_t;

/* the host (padded to 4) follows, then the root of its trie */
typedef struct {
    uint16_t  len;
    uint16_t  kind;
} kong_bucket_t;

/* a route that may be the answer; lists of them are sorted by rank */
typedef struct {
    uint32_t  rank;                   /* 0 is the best */
    uint32_t  target;                 /* a route, or a condition */
} kong_cand_t;

#define KONG_CAND_COND  0x80000000u   /* target is an index of conditions */

/* which child: a bit a byte, and the children before each word */
typedef struct {
    uint32_t  bits[8];
    uint8_t   before[8];
} kong_fan_t;

typedef struct {
    uint32_t  n_conds;                /* kong_cond_t[] follow */
    uint32_t  n_rules;                /* then their n_rules + 1 offsets */
    uint32_t  reserved[2];
} kong_predicates_t;

typedef struct {
    uint32_t  route;
    uint32_t  regex;                  /* on the path, or KONG_NONE */
    uint16_t  port;
    uint16_t  flags;                  /* KONG_COND_*; 0 methods = any */
    uint32_t  rules;                  /* number of the rules + 1, or 0 */
} kong_cond_t;

/* bits 0 to 8: the methods of kong_method_bit(); bit 9: any other method,
 * if it is in the rules' list */
#define KONG_COND_METHODS       0x03ff
#define KONG_COND_METHOD_OTHER  0x0200
#define KONG_COND_PORT          0x8000

/* rules: this head, then methods, SNIs, headers; see docs */
typedef struct {
    uint32_t  n_methods;
    uint32_t  n_snis;
    uint32_t  n_headers;
} kong_rules_t;

#define kong_pad4(n)  (((n) + 3) & ~3u)

/* a trie node's first word */
#define kong_node_label(w)     ((w) & 0xff)
#define kong_node_children(w)  (((w) >> 8) & 0x1ff)
#define kong_node_switch(w)    ((w) & 0x20000u)
#define kong_node_cands(w)     ((w) >> 18)
#define kong_node_word(label, children, has_switch, cands)                  \
    ((uint32_t) (label) | (uint32_t) (children) << 8                        \
     | ((has_switch) ? 0x20000u : 0) | (uint32_t) (cands) << 18)

/*
 * Behind the candidates of a node that has many of them: further candidates
 * by the value of a header.  The names, a table of slots and the lists
 * follow; see docs.
 */
typedef struct {
    uint32_t  n_names;
    uint32_t  n_slots;
    uint32_t  n_lists;
} kong_switch_t;

/* what all candidates of a list test: it is behind them.  The value, padded
 * to 4, then they */
typedef struct {
    uint8_t   name;
    uint8_t   len;                    /* of the value */
    uint16_t  n;                      /* candidates */
} kong_switch_list_t;

#define KONG_SWITCH_VALUE_MAX  255    /* longer values are not switched on */
#define KONG_SWITCH_MANY       0xffff /* candidates: the number follows */


static inline uint64_t
kong_host_hash(kong_host_kind_t kind, const char *host, size_t len)
{
    return XXH3_64bits_withSeed(host, len, kind);
}


static inline uint32_t
kong_host_slot(uint64_t hash, uint32_t n_slots)
{
    return (uint32_t) (((hash >> 32) * n_slots) >> 32);
}


/* the value in lower case; name is its number in the switch */
static inline uint64_t
kong_switch_hash(uint32_t name, const char *value, size_t len)
{
    return XXH3_64bits_withSeed(value, len, 16 + name);
}


/* the number of candidates; *p moves on to the value */
static inline uint32_t
kong_switch_count(const kong_switch_list_t *list, const uint8_t **p)
{
    *p = (const uint8_t *) (list + 1);

    if (list->n != KONG_SWITCH_MANY) {
        return list->n;
    }

    *p += sizeof(uint32_t);

    return *(const uint32_t *) (const void *) (list + 1);
}


static inline uint64_t
kong_host_len_bit(size_t len)
{
    return (uint64_t) 1 << (len < 63 ? len : 63);
}


/* the size of what selects the children: bytes or a bitmap */
static inline uint32_t
kong_fan_size(uint32_t n)
{
    return (n <= KONG_TRIE_SPARSE_MAX) ? kong_pad4(n)
                                       : (uint32_t) sizeof(kong_fan_t);
}


static inline uint32_t
kong_u32(const uint8_t *p)
{
    return *(const uint32_t *) (const void *) p;
}


/* the key of a pattern in the workers' caches */
static inline uint64_t
kong_regex_hash(uint32_t flags, const char *pattern, size_t len)
{
    return XXH3_64bits_withSeed(pattern, len, flags);
}


uint16_t kong_method_bit(const char *method, size_t len);
kong_segment_rc_t kong_index_verify(const kong_segment_t *seg);

#endif
