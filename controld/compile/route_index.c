/*
 * route_index: host buckets, and the assembly of the index.
 *
 * A route is an entry a path.  Every entry becomes an item in the trie of
 * each of its hosts.  All arrays are allocated in one piece;
 * nothing is allocated for a route or a node.
 */

#include <stdlib.h>
#include <string.h>

#include "route_rank.h"
#include "route_rules.h"
#include "route_switch.h"
#include "route_trie.h"
#include "../../ngx_kong_module/snapshot/kong_index.h"


#define COND_REUSE     8        /* conditions of an entry looked at again */

typedef struct {
    kong_str_t           host;
    uint64_t             hash;
    uint32_t             kind;
    uint32_t             n;          /* items; then where they begin */
    uint32_t             offset;     /* of the finished bucket */
} index_host_t;

typedef struct {
    const route_rule_t  *rules;
    size_t               n_rules;
    size_t               bad;
    const char          *err;

    uint32_t            *ranks;      /* of the entries, in their order */
    size_t               n_entries;

    index_host_t        *hosts;      /* [0] is "no host" */
    size_t               n_hosts;
    uint32_t            *table;      /* of hosts, by hash */
    size_t               n_table;

    trie_item_t         *items;
    size_t               n_items;
    trie_item_t         *sorted;     /* by bucket */

    rules_builder_t      rb;
    uint32_t            *numbers;
    uint32_t            *owner;      /* rule, by the number of its rules */
    bytes_t              out;
} index_builder_t;


static int index_allocate(index_builder_t *ib);
static int index_items(index_builder_t *ib);
static int index_rule_items(index_builder_t *ib, const route_rule_t *r,
    size_t *entry, const rules_set_t *set);
static int index_host(index_builder_t *ib, kong_str_t host, uint32_t *bucket,
    int32_t *port);
static int index_intern(index_builder_t *ib, uint32_t kind, kong_str_t host,
    uint32_t *bucket);
static int index_write(index_builder_t *ib);
static int index_write_tries(index_builder_t *ib, size_t max);
static void index_write_slots(index_builder_t *ib, size_t n_slots);


int
route_index_build(const route_rule_t *rules, size_t n, route_index_t *out,
    size_t *bad, const char **err)
{
    int              rc;
    bytes_t          predicates;
    index_builder_t  ib;

    memset(&ib, 0, sizeof(ib));
    memset(&predicates, 0, sizeof(predicates));
    memset(out, 0, sizeof(route_index_t));

    ib.rules = rules;
    ib.n_rules = n;
    ib.bad = n;
    ib.err = "out of memory";

    rc = index_allocate(&ib);

    if (rc == 0) {
        rc = index_items(&ib);
    }

    if (rc == 0) {
        rc = index_write(&ib);
        rules_finish(&ib.rb, &predicates);
    }

    if (rc == 0 && (ib.out.failed || predicates.failed)) {
        ib.err = "the route index is larger than a segment can be";
        rc = -1;
    }

    free(ib.ranks);
    free(ib.hosts);
    free(ib.table);
    free(ib.items);
    free(ib.sorted);
    free(ib.owner);

    if (rc == 0) {
        out->index = ib.out.data;
        out->index_size = ib.out.size;
        out->predicates = predicates.data;
        out->predicates_size = predicates.size;
        out->n_rules = (uint32_t) (ib.rb.starts.size / sizeof(uint32_t) - 1);
        out->regexes = ib.rb.regexes;
        out->n_regexes = ib.rb.n_regexes;
        out->rules = ib.numbers;
        out->text = ib.rb.text;

        ib.rb.regexes = NULL;
        ib.rb.text = NULL;

    } else {
        bytes_release(&ib.out);
        bytes_release(&predicates);
        free(ib.numbers);
        *bad = ib.bad;
        *err = ib.err;
    }

    rules_release(&ib.rb);

    return rc;
}


void
route_index_release(route_index_t *ri)
{
    free(ri->index);
    free(ri->predicates);
    free(ri->regexes);
    free(ri->rules);
    free(ri->text);
    memset(ri, 0, sizeof(route_index_t));
}


static int
index_allocate(index_builder_t *ib)
{
    size_t               i, hosts;
    const route_rule_t  *r;

    hosts = 0;

    for (i = 0; i < ib->n_rules; i++) {
        r = &ib->rules[i];
        ib->n_entries += r->n_paths ? r->n_paths : 1;
        ib->n_items += (size_t) (r->n_paths ? r->n_paths : 1)
                       * (r->n_hosts ? r->n_hosts : 1);
        hosts += r->n_hosts;
    }

    if (ib->n_items >= KONG_CAND_COND) {
        ib->err = "there are too many combinations of hosts and paths";
        return -1;
    }

    ib->n_table = hosts + hosts / 2 + 1;
    ib->ranks = route_ranks(ib->rules, ib->n_rules, ib->n_entries);
    ib->hosts = malloc((hosts + 1) * sizeof(index_host_t));
    ib->table = calloc(ib->n_table, sizeof(uint32_t));
    ib->items = malloc((ib->n_items + 1) * sizeof(trie_item_t));
    ib->numbers = calloc(ib->n_rules + 1, sizeof(uint32_t));
    ib->owner = malloc((ib->n_rules + 1) * sizeof(uint32_t));

    if (ib->ranks == NULL || ib->hosts == NULL || ib->table == NULL
        || ib->items == NULL || ib->numbers == NULL
        || ib->owner == NULL
        || rules_init(&ib->rb, ib->rules, ib->n_rules) != 0)
    {
        return -1;
    }

    memset(&ib->hosts[0], 0, sizeof(index_host_t));
    ib->n_hosts = 1;

    return 0;
}


static int
index_items(index_builder_t *ib)
{
    size_t       i, entry;
    rules_set_t  set;

    ib->n_items = 0;
    entry = 0;

    for (i = 0; i < ib->n_rules; i++) {
        rules_add(&ib->rb, &ib->rules[i], &set);
        ib->numbers[i] = set.number;

        if (set.number != 0) {
            ib->owner[set.number - 1] = (uint32_t) i;
        }

        if (index_rule_items(ib, &ib->rules[i], &entry, &set) != 0) {
            ib->bad = i;
            return -1;
        }
    }

    return 0;
}


/* the route itself, or a condition that leads to it */
static uint32_t
index_target(index_builder_t *ib, const kong_cond_t *cond, size_t first)
{
    size_t             i, n;
    const kong_cond_t *conds;

    if (cond->flags == 0 && cond->rules == 0 && cond->regex == KONG_NONE) {
        return cond->route;
    }

    conds = (const kong_cond_t *) (const void *) ib->rb.conds.data;
    n = ib->rb.conds.size / sizeof(kong_cond_t);

    for (i = n; i > first && n - i < COND_REUSE; i--) {
        if (memcmp(&conds[i - 1], cond, sizeof(kong_cond_t)) == 0) {
            return KONG_CAND_COND | (uint32_t) (i - 1);
        }
    }

    bytes_put(&ib->rb.conds, cond, sizeof(kong_cond_t));

    return KONG_CAND_COND | (uint32_t) n;
}


static int
index_rule_items(index_builder_t *ib, const route_rule_t *r, size_t *entry,
    const rules_set_t *set)
{
    size_t        first;
    int32_t       port;
    uint32_t      i, j;
    kong_str_t    path;
    kong_cond_t   cond;
    trie_item_t  *item;

    for (i = 0; i < r->n_paths || i == 0; i++, (*entry)++) {
        memset(&cond, 0, sizeof(cond));
        memset(&path, 0, sizeof(path));

        cond.route = r->route;
        cond.regex = KONG_NONE;
        cond.rules = set->number;

        if (i < r->n_paths) {
            path = r->paths[i];

            if (route_is_regex(&path)) {
                path.data++;
                path.len--;
                cond.regex = rules_regex(&ib->rb, path, KONG_REGEX_ANCHORED);
                path = rules_regex_prefix(&ib->rb, path);
            }
        }

        if (path.len >= UINT32_MAX / 2) {
            ib->err = "a path is too long";
            return -1;
        }

        first = ib->rb.conds.size / sizeof(kong_cond_t);

        for (j = 0; j < r->n_hosts || j == 0; j++) {
            item = &ib->items[ib->n_items++];
            item->key = (path.len != 0) ? path.data : "";
            item->len = (uint32_t) path.len;
            item->rank = ib->ranks[*entry];
            item->bucket = 0;
            port = -1;

            if (r->n_hosts != 0
                && index_host(ib, r->hosts[j], &item->bucket, &port) != 0)
            {
                return -1;
            }

            cond.flags = (uint16_t) (set->methods
                                     | (port >= 0 ? KONG_COND_PORT : 0));
            cond.port = (uint16_t) (port >= 0 ? port : 0);

            item->target = index_target(ib, &cond, first);
            ib->hosts[item->bucket].n++;
        }
    }

    return 0;
}


/* host[:port]; an IPv6 address has its colons in brackets */
static int
index_host(index_builder_t *ib, kong_str_t host, uint32_t *bucket,
    int32_t *port)
{
    int     kind;
    size_t  i, n;

    *port = -1;

    for (i = host.len; i > 0 && host.data[i - 1] >= '0'
                       && host.data[i - 1] <= '9'; i--)
    {
        /* void */
    }

    if (i > 1 && i < host.len && host.len - i <= 5 && host.data[i - 1] == ':'
        && (host.data[i - 2] == ']'
            || memchr(host.data, ':', i - 1) == NULL))
    {
        *port = 0;

        for (n = i; n < host.len; n++) {
            *port = *port * 10 + (host.data[n] - '0');
        }

        host.len = i - 1;

        if (*port > 65535) {
            ib->err = "a host has a port above 65535";
            return -1;
        }
    }

    kind = rules_wildcard(&host);

    if (kind < 0) {
        ib->err = "a wildcard host must begin with '*.' or end with '.*'";
        return -1;
    }

    if (host.len > UINT16_MAX) {
        ib->err = "a host is too long";
        return -1;
    }

    return index_intern(ib, (uint32_t) kind, host, bucket);
}


static int
index_intern(index_builder_t *ib, uint32_t kind, kong_str_t host,
    uint32_t *bucket)
{
    char          *mark;
    size_t         i;
    uint64_t       hash;
    index_host_t  *h;

    mark = ib->rb.next;
    host = rules_lower(&ib->rb, host);
    hash = kong_host_hash(kind, host.data, host.len);
    i = kong_host_slot(hash, (uint32_t) ib->n_table);

    while (ib->table[i] != 0) {
        h = &ib->hosts[ib->table[i]];

        if (h->hash == hash && h->kind == kind && h->host.len == host.len
            && memcmp(h->host.data, host.data, host.len) == 0)
        {
            *bucket = ib->table[i];
            ib->rb.next = mark;
            return 0;
        }

        if (++i == ib->n_table) {
            i = 0;
        }
    }

    *bucket = (uint32_t) ib->n_hosts;
    ib->table[i] = *bucket;

    h = &ib->hosts[ib->n_hosts++];
    h->host = host;
    h->hash = hash;
    h->kind = kind;
    h->n = 0;
    h->offset = 0;

    return 0;
}


/* items by bucket (counting sort), then a trie a bucket */
static int
index_write(index_builder_t *ib)
{
    size_t         i, n, max, n_slots;
    uint32_t       sum;
    kong_index_t  *head;

    for (i = 0, sum = 0, max = 0; i < ib->n_hosts; i++) {
        n = ib->hosts[i].n;
        ib->hosts[i].n = sum;
        sum += (uint32_t) n;
        max = (n > max) ? n : max;
    }

    ib->sorted = malloc((ib->n_items + 1) * sizeof(trie_item_t));

    if (ib->sorted == NULL) {
        return -1;
    }

    for (i = 0; i < ib->n_items; i++) {
        ib->sorted[ib->hosts[ib->items[i].bucket].n++] = ib->items[i];
    }

    free(ib->items);
    ib->items = NULL;

    n = ib->n_hosts - 1;
    n_slots = (n == 0) ? 0 : n + n * 2 / 5 + 2;

    head = (void *) bytes_zadd(&ib->out, sizeof(kong_index_t));
    (void) bytes_zadd(&ib->out, n_slots * sizeof(kong_index_slot_t));

    if (ib->out.failed) {
        return 0;
    }

    head = (void *) ib->out.data;
    head->n_slots = (uint32_t) n_slots;
    head->n_hosts = (uint32_t) n;
    head->buckets = (uint32_t) ib->out.size;

    if (index_write_tries(ib, max) != 0) {
        return -1;
    }

    if (!ib->out.failed) {
        index_write_slots(ib, n_slots);
    }

    return 0;
}


static int
index_write_tries(index_builder_t *ib, size_t max)
{
    int             rc;
    size_t          i, start;
    index_host_t   *h;
    kong_bucket_t   b;
    trie_builder_t  tb;
    switch_source_t source;

    source.rules = ib->rules;
    source.owner = ib->owner;
    source.conds = &ib->rb.conds;

    rc = trie_init(&tb, &ib->out, max, &source);

    for (i = 0, start = 0; i < ib->n_hosts && rc == 0; i++) {
        h = &ib->hosts[i];

        if (h->n == start) {
            continue;
        }

        h->offset = (uint32_t) ib->out.size;

        if (i != 0) {
            b.len = (uint16_t) h->host.len;
            b.kind = (uint16_t) h->kind;
            bytes_put(&ib->out, &b, sizeof(b));
            bytes_put(&ib->out, h->host.data, h->host.len);
            bytes_pad(&ib->out, 4);
        }

        rc = trie_build(&tb, ib->sorted + start, h->n - start);
        start = h->n;
    }

    if (rc != 0 && tb.bad != NULL) {
        ib->err = "there are too many paths inside one another";
    }

    trie_release(&tb);

    return rc;
}


static void
index_write_slots(index_builder_t *ib, size_t n_slots)
{
    size_t              i, slot;
    kong_index_t       *head;
    const index_host_t *h;
    kong_index_slot_t  *slots;

    head = (kong_index_t *) (void *) ib->out.data;
    slots = (kong_index_slot_t *) (head + 1);
    head->root = ib->hosts[0].offset;

    for (i = 1; i < ib->n_hosts; i++) {
        h = &ib->hosts[i];
        slot = kong_host_slot(h->hash, (uint32_t) n_slots);

        while (slots[slot].bucket != 0) {
            if (++slot == n_slots) {
                slot = 0;
            }
        }

        slots[slot].hash = (uint32_t) h->hash;
        slots[slot].bucket = h->offset;

        if (h->kind == KONG_HOST_SUFFIX) {
            head->suffix_lens |= kong_host_len_bit(h->host.len);

        } else if (h->kind == KONG_HOST_PREFIX) {
            head->prefix_lens |= kong_host_len_bit(h->host.len);
        }
    }
}
