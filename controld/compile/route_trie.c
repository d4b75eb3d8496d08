/*
 * route_trie: sorts the items of a trie by key and rank, then writes the
 * nodes in preorder.  The sort compares seven bytes of the keys at a time,
 * kept beside the pointers; the builder looks at the first and the last key
 * of a range to know what it has in common.
 */

#include <stdlib.h>
#include <string.h>

#include "route_rank.h"
#include "route_switch.h"
#include "route_trie.h"
#include "../../ngx_kong_module/snapshot/kong_index.h"


#define TRIE_CHUNK    7         /* bytes of a key compared at once */
#define TRIE_ENDED    8         /* low byte of a chunk, which says how many
                                   bytes were left: more follow */
#define TRIE_SMALL    24        /* ranges sorted by insertion */
#define TRIE_LARGE    4096      /* ranks sorted digit by digit */


static void trie_sort(trie_elt_t *e, size_t n, uint32_t depth);
static void trie_sort_ranks(trie_elt_t *e, size_t n);
static int trie_sort_many(trie_elt_t *e, size_t n);
static void trie_insertion(trie_elt_t *e, size_t n, uint32_t depth);
static size_t trie_children(trie_builder_t *tb, size_t lo, size_t hi,
    uint32_t depth);
static size_t trie_boundary(const trie_elt_t *e, size_t lo, size_t hi,
    uint32_t depth);


int
trie_init(trie_builder_t *tb, bytes_t *out, size_t max,
    rules_builder_t *rules)
{
    memset(tb, 0, sizeof(trie_builder_t));

    tb->out = out;
    tb->rules = rules;
    tb->elts = malloc((max ? max : 1) * sizeof(trie_elt_t));

    return (tb->elts == NULL) ? -1 : 0;
}


void
trie_release(trie_builder_t *tb)
{
    free(tb->elts);
    bytes_release(&tb->kids);
}


int
trie_build(trie_builder_t *tb, const trie_item_t *items, size_t n)
{
    trie_order(tb->elts, items, n);

    return trie_branch(tb, 0, n, 0, 0);
}


void
trie_order(trie_elt_t *elts, const trie_item_t *items, size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        elts[i].item = &items[i];
    }

    if (n > 1) {
        trie_sort(elts, n, 0);
    }
}


/* big-endian, so that chunks compare as the bytes do; an ended key sorts
 * before the keys that go on */
static inline uint64_t
trie_chunk(const trie_item_t *it, uint32_t depth)
{
    uint32_t  i, left;
    uint64_t  v;

    left = it->len - depth;
    v = 0;

    if (left >= 8) {
        memcpy(&v, it->key + depth, 8);
        return (__builtin_bswap64(v) & ~(uint64_t) 0xff) | TRIE_ENDED;
    }

    for (i = 0; i < left && i < TRIE_CHUNK; i++) {
        v |= (uint64_t) (uint8_t) it->key[depth + i] << (56 - 8 * i);
    }

    return v | left;
}


static inline void
trie_swap(trie_elt_t *a, trie_elt_t *b)
{
    trie_elt_t  t;

    t = *a;
    *a = *b;
    *b = t;
}


static inline uint64_t
trie_median(const trie_elt_t *e, size_t n)
{
    uint64_t  a, b, c;

    a = e[0].chunk;
    b = e[n / 2].chunk;
    c = e[n - 1].chunk;

    if (a > b) {
        return (b > c) ? b : (a > c) ? c : a;
    }

    return (a > c) ? a : (b > c) ? c : b;
}


/* three ways around the pivot: e[0..*lt) below, e[*gt..n) above it */
static void
trie_partition(trie_elt_t *e, size_t n, size_t *lt, size_t *gt)
{
    size_t    i, l, g;
    uint64_t  pivot;

    pivot = trie_median(e, n);
    l = 0;
    g = n;

    for (i = 0; i < g; /* void */ ) {
        if (e[i].chunk < pivot) {
            trie_swap(&e[l++], &e[i++]);

        } else if (e[i].chunk > pivot) {
            trie_swap(&e[i], &e[--g]);

        } else {
            i++;
        }
    }

    *lt = l;
    *gt = g;
}


/*
 * The chunks at this depth are loaded once for the whole range; a part whose
 * chunks are equal goes on with the next bytes.
 */
static void
trie_sort(trie_elt_t *e, size_t n, uint32_t depth)
{
    size_t    i, lt, gt;
    unsigned  load;

    for (load = 1; n > TRIE_SMALL; /* void */ ) {

        if (load) {
            for (i = 0; i < n; i++) {
                e[i].chunk = trie_chunk(e[i].item, depth);
            }
        }

        trie_partition(e, n, &lt, &gt);

        if (lt == 0 && gt == n) {

            /* all equal */

            if ((e[0].chunk & 0xff) != TRIE_ENDED) {
                trie_sort_ranks(e, n);
                return;
            }

            depth += TRIE_CHUNK;
            load = 1;
            continue;
        }

        /* equal keys are short ranges or share a prefix; the larger of the
         * outer parts is this loop's next turn, so that the stack is small */

        if ((e[lt].chunk & 0xff) != TRIE_ENDED) {
            trie_sort_ranks(e + lt, gt - lt);

        } else if (gt - lt > 1) {
            trie_sort(e + lt, gt - lt, depth + TRIE_CHUNK);
        }

        if (lt < n - gt) {
            trie_sort(e, lt, depth);
            e += gt;
            n -= gt;

        } else {
            trie_sort(e + gt, n - gt, depth);
            n = lt;
        }

        load = 0;
    }

    trie_insertion(e, n, depth);
}


static int
trie_rank_cmp(const void *one, const void *two)
{
    const trie_elt_t  *a, *b;

    a = one;
    b = two;

    return (a->chunk > b->chunk) - (a->chunk < b->chunk);
}


static void
trie_sort_ranks(trie_elt_t *e, size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        e[i].chunk = e[i].item->rank;
    }

    if (n > TRIE_LARGE && trie_sort_many(e, n) == 0) {
        return;
    }

    if (n > 1) {
        qsort(e, n, sizeof(trie_elt_t), trie_rank_cmp);
    }
}


/* 0, or -1: there is no memory for it */
static int
trie_sort_many(trie_elt_t *e, size_t n)
{
    int           rc;
    size_t        i;
    trie_elt_t   *copy;
    route_key_t  *keys, *spare;

    copy = malloc(n * sizeof(trie_elt_t));
    keys = malloc(n * sizeof(route_key_t));
    spare = malloc(n * sizeof(route_key_t));
    rc = -1;

    if (copy != NULL && keys != NULL && spare != NULL) {
        for (i = 0; i < n; i++) {
            keys[i].key = e[i].chunk;
            keys[i].entry = (uint32_t) i;
        }

        memcpy(copy, e, n * sizeof(trie_elt_t));
        route_sort(&keys, &spare, n);

        for (i = 0; i < n; i++) {
            e[i] = copy[keys[i].entry];
        }

        rc = 0;
    }

    free(copy);
    free(keys);
    free(spare);

    return rc;
}


static int
trie_cmp(const trie_item_t *a, const trie_item_t *b, uint32_t depth)
{
    int       rc;
    uint32_t  n;

    n = (a->len < b->len) ? a->len : b->len;
    rc = memcmp(a->key + depth, b->key + depth, n - depth);

    if (rc == 0 && a->len != b->len) {
        rc = (a->len < b->len) ? -1 : 1;
    }

    if (rc == 0) {
        rc = (a->rank < b->rank) ? -1 : (a->rank > b->rank);
    }

    return rc;
}


static void
trie_insertion(trie_elt_t *e, size_t n, uint32_t depth)
{
    size_t      i, j;
    trie_elt_t  x;

    for (i = 0; i < n; i++) {
        e[i].chunk = trie_chunk(e[i].item, depth);
    }

    for (i = 1; i < n; i++) {
        x = e[i];

        for (j = i; j > 0; j--) {
            if (e[j - 1].chunk < x.chunk
                || (e[j - 1].chunk == x.chunk
                    && trie_cmp(e[j - 1].item, x.item, depth) <= 0))
            {
                break;
            }

            e[j] = e[j - 1];
        }

        e[j] = x;
    }
}


static inline uint32_t
trie_common(const trie_item_t *a, const trie_item_t *b, uint32_t depth)
{
    uint32_t  n, i;

    if (a == b) {
        return a->len - depth;
    }

    n = (a->len < b->len) ? a->len : b->len;

    for (i = depth; i < n && a->key[i] == b->key[i]; i++) {
        /* void */
    }

    return i - depth;
}


/*
 * The node for elts[lo..hi), which agree on `depth` bytes.  Its candidates
 * are the keys that end here; they sort first.
 */
int
trie_branch(trie_builder_t *tb, size_t lo, size_t hi, uint32_t depth,
    unsigned level)
{
    int                 rc;
    size_t              i, base, n, own, mid, node, links, end;
    uint32_t            label;
    switch_t            sw;
    bytes_t            *out;
    trie_kid_t         *kids;
    const trie_elt_t   *e;
    const trie_item_t  *first;

    e = tb->elts;
    out = tb->out;
    first = e[lo].item;

    if (level + 1 >= KONG_TRIE_DEPTH_MAX) {
        tb->bad = first;
        return -1;
    }

    label = trie_common(first, e[hi - 1].item, depth);

    if (label > KONG_TRIE_LABEL_MAX) {
        label = KONG_TRIE_LABEL_MAX;
    }

    for (mid = lo; mid < hi && e[mid].item->len == depth + label; mid++) {
        /* void */
    }

    base = tb->kids.size;
    n = (mid < hi) ? trie_children(tb, mid, hi, depth + label) : 0;

    if (switch_choose(tb->rules, e + lo, mid - lo, &sw) != 0) {
        out->failed = 1;
        return 0;
    }

    own = mid - lo - sw.n_switched;

    node = out->size;
    bytes_put32(out, kong_node_word(label, n, sw.n != 0,
                                    (own < KONG_TRIE_MANY)
                                    ? own : KONG_TRIE_MANY));
    if (own >= KONG_TRIE_MANY) {
        bytes_put32(out, (uint32_t) own);
    }

    bytes_put(out, first->key + depth, label);
    bytes_pad(out, 4);

    if (tb->kids.failed) {
        switch_release(&sw);
        out->failed = 1;
        return 0;
    }

    kids = (trie_kid_t *) (void *) (tb->kids.data + base);
    trie_put_fan(out, kids, n);

    links = out->size;
    (void) bytes_add(out, n * sizeof(uint32_t));

    for (i = lo; i < mid; i++) {
        if (sw.n == 0 || sw.own[i - lo]) {
            bytes_put32(out, e[i].item->rank);
            bytes_put32(out, rules_target(tb->rules, e[i].item->target,
                                          RULES_ALL));
        }
    }

    if (sw.n != 0) {
        switch_write(tb->rules, &sw, out);
        switch_release(&sw);
    }

    for (i = 0; i < n && !out->failed; i++) {
        kids = (trie_kid_t *) (void *) (tb->kids.data + base);
        end = (i + 1 < n) ? kids[i + 1].start : hi;

        *(uint32_t *) (void *) (out->data + links + i * sizeof(uint32_t)) =
                                              (uint32_t) (out->size - node);

        rc = trie_branch(tb, kids[i].start, end, depth + label + 1, level + 1);

        if (rc != 0) {
            return rc;
        }
    }

    tb->kids.size = base;

    return 0;
}


/* pushes the ranges with the same byte at `depth`; returns their number */
static size_t
trie_children(trie_builder_t *tb, size_t lo, size_t hi, uint32_t depth)
{
    size_t      n;
    trie_kid_t  kid;

    for (n = 0; lo < hi; n++) {
        kid.start = (uint32_t) lo;
        kid.byte = (uint8_t) tb->elts[lo].item->key[depth];
        bytes_put(&tb->kids, &kid, sizeof(kid));

        lo = trie_boundary(tb->elts, lo, hi, depth);
    }

    return n;
}


/* the first element with another byte: steps that double, then halve */
static size_t
trie_boundary(const trie_elt_t *e, size_t lo, size_t hi, uint32_t depth)
{
    char    byte;
    size_t  step, mid;

    byte = e[lo].item->key[depth];

    for (step = 1; step < hi - lo; step *= 2) {
        if (e[lo + step].item->key[depth] != byte) {
            hi = lo + step;
            break;
        }

        lo += step;
    }

    while (hi - lo > 1) {
        mid = lo + (hi - lo) / 2;

        if (e[mid].item->key[depth] == byte) {
            lo = mid;

        } else {
            hi = mid;
        }
    }

    return hi;
}


void
trie_put_fan(bytes_t *out, const trie_kid_t *kids, size_t n)
{
    size_t      i;
    uint8_t    *p;
    kong_fan_t  fan;

    if (n <= KONG_TRIE_SPARSE_MAX) {
        p = bytes_zadd(out, kong_pad4(n));

        for (i = 0; p != NULL && i < n; i++) {
            p[i] = (uint8_t) kids[i].byte;
        }

        return;
    }

    memset(&fan, 0, sizeof(fan));

    for (i = 0; i < n; i++) {
        fan.bits[kids[i].byte >> 5] |= 1u << (kids[i].byte & 31);
    }

    for (i = 1; i < 8; i++) {
        fan.before[i] = (uint8_t) (fan.before[i - 1]
                                   + __builtin_popcount(fan.bits[i - 1]));
    }

    bytes_put(out, &fan, sizeof(fan));
}
