/*
 * route_rank: see route_rank.h.  A radix sort over ids, then one over
 * priorities; only what ties in both is compared.
 */

#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>

#include "../model/arena.h"
#include "route_items.h"
#include "route_rank.h"


/*
 * Priorities, bit for bit as Kong 3.9 computes them.  The upper half holds
 * "only plain hosts" and "a regex path"; the lower half the number of kinds
 * of rules (3 bits), the number of headers (8) and the regex_priority, which
 * overlap, and the length of the path (19).  The lower half is a signed
 * number: from four kinds on it is negative, and its sign fills the upper
 * half.
 */
#define PRIO_PLAIN     60
#define PRIO_REGEX     51
#define PRIO_KINDS     29
#define PRIO_HEADERS   20
#define PRIO_PRIORITY  19
#define PRIO_LENGTH    0x7ffff

#define RANK_FEW       32       /* entries, worth a search each */


static uint32_t *rank_all(route_ranking_t *order, const uint8_t *gone,
    const route_rule_t *rules, size_t n);
static uint32_t *rank_few(route_ranking_t *order, const route_rule_t *gone,
    size_t n_gone, const route_rule_t *rules, size_t n);
static size_t rank_find(const route_ranking_t *order, const route_order_t *e,
    unsigned after);
static int rank_remove(route_ranking_t *order, const route_order_t *e);
static int rank_insert(route_ranking_t *order, route_order_t *e);
static uint64_t rank_priority(const route_rule_t *r, const kong_str_t *path);
static void rank_derived_id(const route_rule_t *r, uint32_t group,
    uint8_t id[16]);
static void rank_sort(route_order_t *entries, size_t n, route_key_t **keys,
    route_key_t **spare);
static void rank_ties(route_order_t *e, size_t n, route_key_t *keys);
static size_t rank_merge(const route_order_t *from, size_t n_from,
    const uint8_t *gone, const route_order_t *entries,
    const route_key_t *keys, size_t n, route_order_t *out);
static int rank_number(route_order_t *out, size_t n, const route_key_t *keys,
    uint32_t *ranks);


uint32_t *
route_ranks(const route_rule_t *rules, size_t n, route_ranking_t *order)
{
    memset(order, 0, sizeof(route_ranking_t));

    return rank_all(order, NULL, rules, n);
}


uint32_t *
route_ranks_change(route_ranking_t *order, const route_rule_t *gone_rules,
    size_t n_gone, const uint8_t *gone, const route_rule_t *rules, size_t n)
{
    size_t  n_new;

    n_new = route_entries(rules, n);

    return (n_new + route_entries(gone_rules, n_gone) <= RANK_FEW
            && order->n + n_new <= order->cap)
           ? rank_few(order, gone_rules, n_gone, rules, n)
           : rank_all(order, gone, rules, n);
}


void
route_ranking_release(route_ranking_t *order)
{
    free(order->entries);
    memset(order, 0, sizeof(route_ranking_t));
}


/* one after the other, in place */
static uint32_t *
rank_few(route_ranking_t *order, const route_rule_t *gone, size_t n_gone,
    const route_rule_t *rules, size_t n)
{
    size_t          i;
    uint32_t       *ranks, *rank;
    route_order_t  *e, *end, entries[RANK_FEW];

    for (i = 0, end = entries; i < n_gone; i++) {
        end = route_rank_entries(&gone[i], end);
    }

    for (e = entries; e < end; e++) {
        if (rank_remove(order, e) != 0) {
            return NULL;
        }
    }

    for (i = 0, end = entries; i < n; i++) {
        end = route_rank_entries(&rules[i], end);
    }

    ranks = malloc((RANK_FEW + 1) * sizeof(uint32_t));

    for (e = entries, rank = ranks; e < end && ranks != NULL; e++, rank++) {
        if (rank_insert(order, e) != 0) {
            free(ranks);
            return NULL;
        }

        *rank = e->rank;
    }

    return ranks;
}


/* the first entry that does not go before e, or, if `after`, that goes behind
 * it */
static size_t
rank_find(const route_ranking_t *order, const route_order_t *e,
    unsigned after)
{
    size_t    low, high, mid;
    unsigned  before;

    low = 0;
    high = order->n;

    while (low < high) {
        mid = low + (high - low) / 2;
        before = after ? !route_rank_before(e, &order->entries[mid])
                       : route_rank_before(&order->entries[mid], e);

        if (before) {
            low = mid + 1;

        } else {
            high = mid;
        }
    }

    return low;
}


static int
rank_remove(route_ranking_t *order, const route_order_t *e)
{
    size_t          i;
    route_order_t  *at;

    for (i = rank_find(order, e, 0); i < order->n; i++) {
        at = &order->entries[i];

        if (route_rank_before(e, at)) {
            break;
        }

        if (at->route == e->route) {
            memmove(at, at + 1, (--order->n - i) * sizeof(route_order_t));
            return 0;
        }
    }

    return -1;
}


static int
rank_insert(route_ranking_t *order, route_order_t *e)
{
    size_t          i;
    uint64_t        low, room;
    route_order_t  *at;

    i = rank_find(order, e, 1);
    at = &order->entries[i];
    low = (i != 0) ? (uint64_t) at[-1].rank + 1 : 0;
    room = ((i < order->n) ? at->rank : (uint64_t) KONG_NONE) - low;

    if (room == 0) {
        return -1;
    }

    e->rank = (uint32_t) (low + room / 2);
    memmove(at + 1, at, (order->n++ - i) * sizeof(route_order_t));
    *at = *e;

    return 0;
}


/* all anew, in one walk */
static uint32_t *
rank_all(route_ranking_t *order, const uint8_t *gone,
    const route_rule_t *rules, size_t n)
{
    size_t           i, n_new;
    uint32_t        *ranks;
    route_key_t      *keys, *spare;
    route_order_t   *entries, *next;
    route_ranking_t  out;

    n_new = route_entries(rules, n);
    out.n = 0;
    out.cap = order->n + n_new;
    out.cap += out.cap / 32 + RANK_FEW;

    entries = malloc((n_new + 1) * sizeof(route_order_t));
    keys = malloc((n_new + 1) * sizeof(route_key_t));
    spare = malloc((n_new + 1) * sizeof(route_key_t));
    ranks = malloc((n_new + 1) * sizeof(uint32_t));
    out.entries = arena_large(out.cap * sizeof(route_order_t));

    if (entries != NULL && keys != NULL && spare != NULL && ranks != NULL
        && out.entries != NULL)
    {
        for (i = 0, next = entries; i < n; i++) {
            next = route_rank_entries(&rules[i], next);
        }

        rank_sort(entries, n_new, &keys, &spare);
        out.n = rank_merge(order->entries, order->n, gone, entries, keys,
                           n_new, out.entries);

    } else {
        free(ranks);
        ranks = NULL;
    }

    if (ranks == NULL || rank_number(out.entries, out.n, keys, ranks) != 0) {
        free(ranks);
        ranks = NULL;
        route_ranking_release(&out);
    }

    free(entries);
    free(keys);
    free(spare);
    route_ranking_release(order);
    *order = out;

    return ranks;
}


/* of two runs in order; what is new has no rank yet */
static size_t
rank_merge(const route_order_t *from, size_t n_from, const uint8_t *gone,
    const route_order_t *entries, const route_key_t *keys, size_t n,
    route_order_t *out)
{
    size_t                i, j, k;
    const route_order_t  *e;

    for (i = 0, j = 0, k = 0; i < n_from || j < n; /* void */ ) {

        if (i < n_from && gone[from[i].route]) {
            i++;
            continue;
        }

        e = (j < n) ? &entries[keys[j].entry] : NULL;

        if (e == NULL || (i < n_from && route_rank_before(&from[i], e))) {
            out[k++] = from[i++];

        } else {
            out[k] = *e;
            out[k++].rank = KONG_NONE;
            j++;
        }
    }

    return k;
}


unsigned
route_rank_before(const route_order_t *a, const route_order_t *b)
{
    if (a->prio != b->prio) {
        return a->prio > b->prio;
    }

    if (a->id[0] != b->id[0]) {
        return a->id[0] > b->id[0];
    }

    return a->id[1] > b->id[1];
}


/* every run of new entries shares the room between its neighbours */
static int
rank_number(route_order_t *out, size_t n, const route_key_t *keys,
    uint32_t *ranks)
{
    size_t    i, j, k;
    uint64_t  low, room;

    low = 0;

    for (i = 0; i < n; i = j) {
        for (j = i; j < n && out[j].rank == KONG_NONE; j++) {
            /* void */
        }

        /* ranks from `low` up to the next one's, exclusive */

        room = ((j < n) ? out[j].rank : (uint64_t) KONG_NONE) - low;

        if (room < j - i) {
            return -1;
        }

        for (k = i; k < j; k++) {
            out[k].rank = (uint32_t) (low + room * (k - i + 1)
                                            / (j - i + 1));
            ranks[keys++->entry] = out[k].rank;
        }

        if (j < n) {
            low = (uint64_t) out[j++].rank + 1;
        }
    }

    return 0;
}


/* of a path (NULL: the route has none) together with the other rules */
static uint64_t
rank_priority(const route_rule_t *r, const kong_str_t *path)
{
    uint32_t  i, low, headers;
    uint64_t  high;

    high = (uint64_t) r->has_hosts << PRIO_PLAIN;

    for (i = 0; i < r->n_hosts; i++) {
        if (memchr(r->hosts[i].data, '*', r->hosts[i].len) != NULL) {
            high = 0;
        }
    }

    low = (uint32_t) ((r->n_methods != 0) + (r->n_hosts != 0)
                      + (r->n_paths != 0) + (r->n_headers != 0)
                      + (r->n_snis != 0)) << PRIO_KINDS;

    headers = (r->n_headers < 255) ? r->n_headers : 255;
    low |= headers << PRIO_HEADERS;

    if (path != NULL && route_is_regex(path)) {
        high |= (uint64_t) 1 << PRIO_REGEX;
        low |= (uint32_t) r->regex_priority << PRIO_PRIORITY;

    } else if (path != NULL) {
        low |= (uint32_t) path->len & PRIO_LENGTH;
    }

    return high | (uint64_t) (int64_t) (int32_t) low;
}


/* paths that sort alike: all regexes, or prefixes of one length */
static inline unsigned
rank_same_group(const kong_str_t *a, const kong_str_t *b)
{
    return route_is_regex(a) ? route_is_regex(b)
                             : !route_is_regex(b) && a->len == b->len;
}


/* the first path of the same group */
static uint32_t
rank_group(const route_rule_t *r, uint32_t path)
{
    uint32_t  i;

    for (i = 0; !rank_same_group(&r->paths[i], &r->paths[path]); i++) {
        /* void */
    }

    return i;
}


route_order_t *
route_rank_entries(const route_rule_t *r, route_order_t *e)
{
    uint8_t   id[16];
    uint32_t  i, first, groups, split;

    memcpy(id, r->id, sizeof(id));
    groups = 0;
    split = 0;

    for (i = 1; i < r->n_paths && !split; i++) {
        split = !rank_same_group(&r->paths[0], &r->paths[i]);
    }

    for (i = 0; i < r->n_paths || i == 0; i++, e++) {
        e->prio = rank_priority(r, r->n_paths ? &r->paths[i] : NULL);
        e->route = r->route;

        if (split) {
            first = rank_group(r, i);

            if (first != i) {
                memcpy(e->id, (e - (i - first))->id, sizeof(id));
                continue;
            }

            rank_derived_id(r, ++groups, id);
        }

        memcpy(e->id, id, sizeof(id));
        e->id[0] = __builtin_bswap64(e->id[0]);
        e->id[1] = __builtin_bswap64(e->id[1]);
    }

    return e;
}


/*
 * A route whose paths differ in length is several routes to Kong; where they
 * tie with another route, it is their derived ids (uuid version 5 of
 * "<id>#<group>") that decide.
 */
static void
rank_derived_id(const route_rule_t *r, uint32_t group, uint8_t id[16])
{
    char     *p, text[16 + 37 + 12];
    uint8_t   digest[SHA_DIGEST_LENGTH];
    unsigned  n;
    char      digits[12];

    static const uint8_t  space[16] = {
        0x7f, 0x14, 0x5b, 0xf9, 0x0d, 0xce, 0x4f, 0x91,
        0x98, 0xeb, 0xde, 0xbb, 0xce, 0x4b, 0x9f, 0x6b
    };

    memcpy(text, space, sizeof(space));
    kong_uuid_text(r->id, text + sizeof(space));

    p = text + sizeof(space) + 36;
    *p++ = '#';

    for (n = 0; group != 0; group /= 10) {
        digits[n++] = (char) ('0' + group % 10);
    }

    while (n != 0) {
        *p++ = digits[--n];
    }

    SHA1((const unsigned char *) text, p - text, digest);

    memcpy(id, digest, 16);
    id[6] = (uint8_t) ((id[6] & 0x0f) | 0x50);
    id[8] = (uint8_t) ((id[8] & 0x3f) | 0x80);
}


/* stable, by digits of 11 bits; digits that are all alike are skipped */
void
route_sort(route_key_t **keys, route_key_t **spare, size_t n)
{
    size_t        i, sum, c;
    unsigned      d, shift;
    route_key_t  *from, *to;
    static const unsigned  digits = 6, bits = 11;
    size_t        count[2048];

    for (d = 0; d < digits; d++) {
        from = *keys;
        to = *spare;
        shift = d * bits;

        memset(count, 0, sizeof(count));

        for (i = 0; i < n; i++) {
            count[(from[i].key >> shift) & 2047]++;
        }

        if (n == 0 || count[(from[0].key >> shift) & 2047] == n) {
            continue;
        }

        for (i = 0, sum = 0; i < 2048; i++) {
            c = count[i];
            count[i] = sum;
            sum += c;
        }

        for (i = 0; i < n; i++) {
            to[count[(from[i].key >> shift) & 2047]++] = from[i];
        }

        *keys = to;
        *spare = from;
    }
}


/* both sort descending; within a route the order of its paths stays */
static void
rank_sort(route_order_t *entries, size_t n, route_key_t **keys,
    route_key_t **spare)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        (*keys)[i].key = ~entries[i].id[0];
        (*keys)[i].entry = (uint32_t) i;
    }

    route_sort(keys, spare, n);

    for (i = 0; i < n; i++) {
        (*keys)[i].key = ~entries[(*keys)[i].entry].prio;
    }

    route_sort(keys, spare, n);
    rank_ties(entries, n, *keys);
}


/* priority and first half of the id are equal here */
static int
rank_tie_cmp(const void *one, const void *two, void *data)
{
    const route_key_t    *k, *l;
    const route_order_t  *a, *b;

    k = one;
    l = two;
    a = (const route_order_t *) data + k->entry;
    b = (const route_order_t *) data + l->entry;

    if (a->id[1] != b->id[1]) {
        return (a->id[1] > b->id[1]) ? -1 : 1;
    }

    return (k->entry > l->entry) - (k->entry < l->entry);
}


static void
rank_ties(route_order_t *e, size_t n, route_key_t *keys)
{
    size_t  i, j;

    for (i = 0; i < n; i = j) {
        for (j = i + 1; j < n && keys[j].key == keys[i].key
                        && e[keys[j].entry].id[0] == e[keys[i].entry].id[0];
             j++)
        {
            /* void */
        }

        if (j - i > 1) {
            qsort_r(&keys[i], j - i, sizeof(route_key_t), rank_tie_cmp, e);
        }
    }
}
