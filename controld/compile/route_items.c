/*
 * route_items: see route_items.h.
 *
 * A route is an entry a path.  Every entry becomes an item in the trie of
 * each of its hosts.  All arrays are allocated in one piece; nothing is
 * allocated for a route.
 */

#include <stdlib.h>
#include <string.h>

#include "route_items.h"
#include "route_rank.h"
#include "../../ngx_kong_module/snapshot/kong_index.h"


static int items_allocate(route_items_t *it);
static int items_all(route_items_t *it);
static int items_rule_items(route_items_t *it, const route_rule_t *r,
    size_t *entry, uint32_t rules);
static int items_host(route_items_t *it, kong_str_t host, uint32_t *bucket,
    int32_t *port);
static int items_intern(route_items_t *it, uint32_t kind, kong_str_t host,
    uint32_t *bucket);
static int items_sort(route_items_t *it);


size_t
route_entries(const route_rule_t *rules, size_t n)
{
    size_t  i, sum;

    for (i = 0, sum = 0; i < n; i++) {
        sum += rules[i].n_paths ? rules[i].n_paths : 1;
    }

    return sum;
}


int
route_items_make(route_items_t *it, const route_rule_t *rules, size_t n,
    uint32_t *ranks, const rules_first_t *first)
{
    memset(it, 0, sizeof(route_items_t));

    it->rules = rules;
    it->n_rules = n;
    it->bad = n;
    it->err = "out of memory";
    it->ranks = ranks;

    if (items_allocate(it) != 0) {
        return -1;
    }

    if (first != NULL) {
        it->rb.first = *first;
    }

    if (items_all(it) != 0) {
        return -1;
    }

    it->err = "out of memory";

    return it->rb.wanted.failed ? -1 : items_sort(it);
}


void
route_items_release(route_items_t *it)
{
    free(it->ranks);
    free(it->hosts);
    free(it->table);
    free(it->items);
    rules_release(&it->rb);
}


static int
items_allocate(route_items_t *it)
{
    size_t               i, hosts;
    const route_rule_t  *r;

    hosts = 0;
    it->n_entries = route_entries(it->rules, it->n_rules);

    for (i = 0; i < it->n_rules; i++) {
        r = &it->rules[i];
        it->n_items += (size_t) (r->n_paths ? r->n_paths : 1)
                       * (r->n_hosts ? r->n_hosts : 1);
        hosts += r->n_hosts;
    }

    if (it->n_items >= KONG_CAND_COND) {
        it->err = "there are too many combinations of hosts and paths";
        return -1;
    }

    it->n_table = hosts + hosts / 2 + 1;
    it->hosts = malloc((hosts + 1) * sizeof(route_host_t));
    it->table = calloc(it->n_table, sizeof(uint32_t));
    it->items = malloc((it->n_items + 1) * sizeof(trie_item_t));

    if (it->ranks == NULL || it->hosts == NULL || it->table == NULL
        || it->items == NULL
        || rules_init(&it->rb, it->rules, it->n_rules) != 0)
    {
        return -1;
    }

    memset(&it->hosts[0], 0, sizeof(route_host_t));
    it->n_hosts = 1;

    return 0;
}


static int
items_all(route_items_t *it)
{
    size_t               i, entry;
    const route_rule_t  *r;

    it->n_items = 0;
    entry = 0;

    for (i = 0; i < it->n_rules; i++) {
        r = &it->rules[i];

        if (items_rule_items(it, r, &entry,
                             rules_any(r) ? (uint32_t) i + 1 : 0) != 0)
        {
            it->bad = i;
            return -1;
        }
    }

    return 0;
}


static int
items_rule_items(route_items_t *it, const route_rule_t *r, size_t *entry,
    uint32_t rules)
{
    size_t        first;
    int32_t       port;
    uint32_t      i, j, methods;
    kong_str_t    path, pattern;
    kong_cond_t   cond;
    trie_item_t  *item;

    methods = rules_methods(r);

    for (i = 0; i < r->n_paths || i == 0; i++, (*entry)++) {
        memset(&cond, 0, sizeof(cond));
        memset(&path, 0, sizeof(path));

        cond.route = r->route;
        cond.regex = KONG_NONE;
        cond.rules = rules;

        if (i < r->n_paths) {
            path = r->paths[i];

            if (route_is_regex(&path)) {
                pattern.data = path.data + 1;
                pattern.len = path.len - 1;
                path = rules_regex_split(&it->rb, &pattern);
                cond.regex = rules_regex(&it->rb, pattern,
                                         KONG_REGEX_ANCHORED);
            }
        }

        if (path.len >= UINT32_MAX / 2) {
            it->err = "a path is too long";
            return -1;
        }

        first = rules_wanted(&it->rb, rules != 0);

        for (j = 0; j < r->n_hosts || j == 0; j++) {
            item = &it->items[it->n_items++];
            item->key = (path.len != 0) ? path.data : "";
            item->len = (uint32_t) path.len;
            item->rank = it->ranks[*entry];
            item->bucket = 0;
            port = -1;

            if (r->n_hosts != 0
                && items_host(it, r->hosts[j], &item->bucket, &port) != 0)
            {
                return -1;
            }

            cond.flags = (uint16_t) (methods
                                     | (port >= 0 ? KONG_COND_PORT : 0));
            cond.port = (uint16_t) (port >= 0 ? port : 0);

            item->target = rules_want(&it->rb, &cond, first);
            it->hosts[item->bucket].n++;
        }
    }

    return 0;
}


/* host[:port]; an IPv6 address has its colons in brackets */
static int
items_host(route_items_t *it, kong_str_t host, uint32_t *bucket,
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
            it->err = "a host has a port above 65535";
            return -1;
        }
    }

    kind = rules_wildcard(&host);

    if (kind < 0) {
        it->err = "a wildcard host must begin with '*.' or end with '.*'";
        return -1;
    }

    if (host.len > UINT16_MAX) {
        it->err = "a host is too long";
        return -1;
    }

    return items_intern(it, (uint32_t) kind, host, bucket);
}


static int
items_intern(route_items_t *it, uint32_t kind, kong_str_t host,
    uint32_t *bucket)
{
    char          *mark;
    size_t         i;
    uint64_t       hash;
    route_host_t  *h;

    mark = it->rb.next;
    host = rules_lower(&it->rb, host);
    hash = kong_host_hash(kind, host.data, host.len);
    i = kong_host_slot(hash, (uint32_t) it->n_table);

    while (it->table[i] != 0) {
        h = &it->hosts[it->table[i]];

        if (h->hash == hash && h->kind == kind && h->host.len == host.len
            && memcmp(h->host.data, host.data, host.len) == 0)
        {
            *bucket = it->table[i];
            it->rb.next = mark;
            return 0;
        }

        if (++i == it->n_table) {
            i = 0;
        }
    }

    *bucket = (uint32_t) it->n_hosts;
    it->table[i] = *bucket;

    h = &it->hosts[it->n_hosts++];
    h->host = host;
    h->hash = hash;
    h->kind = kind;
    h->n = 0;
    h->offset = 0;

    return 0;
}


/* a counting sort by bucket; the hosts' n become where theirs begin */
static int
items_sort(route_items_t *it)
{
    size_t        i, n;
    uint32_t      sum, *next;
    trie_item_t  *sorted;

    next = malloc((it->n_hosts + 1) * sizeof(uint32_t));
    sorted = malloc((it->n_items + 1) * sizeof(trie_item_t));

    if (next == NULL || sorted == NULL) {
        free(next);
        free(sorted);
        return -1;
    }

    for (i = 0, sum = 0; i < it->n_hosts; i++) {
        n = it->hosts[i].n;
        it->hosts[i].n = sum;
        next[i] = sum;
        sum += (uint32_t) n;
        it->max = (n > it->max) ? n : it->max;
    }

    for (i = 0; i < it->n_items; i++) {
        sorted[next[it->items[i].bucket]++] = it->items[i];
    }

    free(next);
    free(it->items);
    it->items = sorted;

    return 0;
}
