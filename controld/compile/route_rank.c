/*
 * route_rank: see route_rank.h.  A radix sort over ids, then one over
 * priorities; only what ties in both is compared.
 */

#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>

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

typedef struct {
    uint64_t             prio;
    uint64_t             id[2];      /* big-endian halves, as numbers */
} rank_entry_t;

typedef struct {
    uint64_t             key;
    uint32_t             entry;
} rank_key_t;


static rank_entry_t *rank_entries(const route_rule_t *r, rank_entry_t *e);
static uint64_t rank_priority(const route_rule_t *r, const kong_str_t *path);
static void rank_derived_id(const route_rule_t *r, uint32_t group,
    uint8_t id[16]);
static void rank_sort(rank_entry_t *entries, size_t n, rank_key_t **keys,
    rank_key_t **spare);
static void rank_ties(rank_entry_t *e, size_t n, rank_key_t *keys);


uint32_t *
route_ranks(const route_rule_t *rules, size_t n, size_t n_entries)
{
    size_t        i;
    uint32_t     *ranks;
    rank_key_t   *keys, *spare;
    rank_entry_t *entries, *next;

    entries = malloc((n_entries + 1) * sizeof(rank_entry_t));
    keys = malloc((n_entries + 1) * sizeof(rank_key_t));
    spare = malloc((n_entries + 1) * sizeof(rank_key_t));
    ranks = malloc((n_entries + 1) * sizeof(uint32_t));

    if (entries != NULL && keys != NULL && spare != NULL && ranks != NULL) {
        for (i = 0, next = entries; i < n; i++) {
            next = rank_entries(&rules[i], next);
        }

        rank_sort(entries, n_entries, &keys, &spare);

        for (i = 0; i < n_entries; i++) {
            ranks[keys[i].entry] = (uint32_t) i;
        }

    } else {
        free(ranks);
        ranks = NULL;
    }

    free(entries);
    free(keys);
    free(spare);

    return ranks;
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


/* the entries of a route; returns the place behind them */
static rank_entry_t *
rank_entries(const route_rule_t *r, rank_entry_t *e)
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
static void
rank_radix(rank_key_t **keys, rank_key_t **spare, size_t n)
{
    size_t        i, sum, c;
    unsigned      d, shift;
    rank_key_t  *from, *to;
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
rank_sort(rank_entry_t *entries, size_t n, rank_key_t **keys,
    rank_key_t **spare)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        (*keys)[i].key = ~entries[i].id[0];
        (*keys)[i].entry = (uint32_t) i;
    }

    rank_radix(keys, spare, n);

    for (i = 0; i < n; i++) {
        (*keys)[i].key = ~entries[(*keys)[i].entry].prio;
    }

    rank_radix(keys, spare, n);
    rank_ties(entries, n, *keys);
}


/* priority and first half of the id are equal here */
static int
rank_tie_cmp(const void *one, const void *two, void *data)
{
    const rank_key_t    *k, *l;
    const rank_entry_t  *a, *b;

    k = one;
    l = two;
    a = (const rank_entry_t *) data + k->entry;
    b = (const rank_entry_t *) data + l->entry;

    if (a->id[1] != b->id[1]) {
        return (a->id[1] > b->id[1]) ? -1 : 1;
    }

    return (k->entry > l->entry) - (k->entry < l->entry);
}


static void
rank_ties(rank_entry_t *e, size_t n, rank_key_t *keys)
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
            qsort_r(&keys[i], j - i, sizeof(rank_key_t), rank_tie_cmp, e);
        }
    }
}
