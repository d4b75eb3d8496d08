/*
 * route_change: an index from the one before it.  The tries of hosts that the
 * change concerns are grafted, all others are copied in one piece; conditions
 * and rules are added behind the old ones, of which some lead nowhere any
 * more.
 */

#include <stdlib.h>
#include <string.h>

#include "route_graft.h"
#include "route_items.h"
#include "route_rank.h"


/* a host that the change concerns; what comes and goes in its trie */
typedef struct {
    uint32_t              offset;    /* of its bucket; 0: the trie of all
                                        hosts; KONG_NONE: it is new */
    uint32_t              place;     /* of its bucket, when it is new */
    const route_host_t   *host;
    const trie_item_t    *items;
    size_t                n;
    const trie_item_t    *gone;
    size_t                n_gone;
} change_host_t;

/* what began here begins there */
typedef struct {
    uint32_t              from;
    uint32_t              to;
} change_move_t;

typedef struct {
    const route_change_t *change;
    const kong_index_t   *old;
    route_items_t         come;
    route_items_t         go;
    uint8_t              *gone;      /* a byte a route */
    change_host_t        *hosts;
    size_t                n_hosts;
    change_move_t        *moves;
    size_t                n_moves;
    size_t                n_new;     /* hosts that are new */
    trie_builder_t        tb;
    trie_elt_t           *gone_at;
    bytes_t               out;
} change_t;


static int change_make(change_t *c, route_index_t *out);
static int change_hosts(change_t *c);
static int change_host_cmp(const void *one, const void *two);
static uint32_t change_find(const kong_index_t *index,
    const route_host_t *host);
static int change_tries(change_t *c);
static int change_trie(change_t *c, change_host_t *h, const uint8_t *node,
    const uint8_t *end);
static int change_bucket(change_t *c, change_host_t *h, uint32_t *from);
static void change_copy(change_t *c, uint32_t from, uint32_t to);
static void change_table(change_t *c);
static uint32_t change_moved(const change_t *c, uint32_t offset);
static void change_predicates(change_t *c, bytes_t *out);


int
route_index_change(const route_change_t *change, route_index_t *out)
{
    int           rc;
    size_t        i;
    uint32_t     *ranks;
    change_t      c;
    rules_first_t first;

    const kong_predicates_t  *head;

    memset(&c, 0, sizeof(c));
    memset(out, 0, sizeof(route_index_t));

    c.change = change;
    c.old = (const kong_index_t *) (const void *) change->index;
    head = (const kong_predicates_t *) (const void *) change->predicates;

    first.cond = head->n_conds;
    first.rule = head->n_rules;
    first.regex = change->n_regexes;

    c.gone = calloc(1, (size_t) change->n_routes + 1);

    if (c.gone == NULL) {
        return -1;
    }

    for (i = 0; i < change->n_gone; i++) {
        c.gone[change->gone[i].route] = 1;
    }

    ranks = route_ranks_change(change->order, change->n_order, c.gone,
                               change->rules, change->n_rules, &out->order,
                               &out->n_order);

    rc = route_items_make(&c.come, change->rules, change->n_rules, ranks,
                          &first);

    ranks = calloc(route_entries(change->gone, change->n_gone) + 1,
                   sizeof(uint32_t));

    if (route_items_make(&c.go, change->gone, change->n_gone, ranks, NULL)
        != 0 || rc != 0 || change_make(&c, out) != 0)
    {
        rc = -1;
        route_index_release(out);
    }

    route_items_release(&c.come);
    route_items_release(&c.go);
    trie_release(&c.tb);
    bytes_release(&c.out);
    free(c.gone);
    free(c.gone_at);
    free(c.hosts);
    free(c.moves);

    return rc;
}


static int
change_make(change_t *c, route_index_t *out)
{
    bytes_t          predicates;
    switch_source_t  source;

    route_items_source(&c->come, &source);
    c->gone_at = malloc((c->go.max + 1) * sizeof(trie_elt_t));

    if (c->gone_at == NULL
        || trie_init(&c->tb, &c->out, c->come.max, &source) != 0
        || change_hosts(c) != 0 || change_tries(c) != 0 || c->out.failed)
    {
        return -1;
    }

    change_table(c);

    memset(&predicates, 0, sizeof(predicates));
    change_predicates(c, &predicates);

    if (predicates.failed) {
        bytes_release(&predicates);
        return -1;
    }

    out->index = c->out.data;
    out->index_size = c->out.size;
    out->predicates = predicates.data;
    out->predicates_size = predicates.size;
    out->n_rules = ((kong_predicates_t *) (void *) predicates.data)->n_rules;
    route_index_take(out, &c->come);
    memset(&c->out, 0, sizeof(bytes_t));

    return 0;
}


/* hosts of what comes and of what goes, each once, in the order of their
 * buckets; new ones last */
static int
change_hosts(change_t *c)
{
    size_t          i, j, k, end;
    change_host_t  *h;
    route_items_t  *it;

    c->hosts = calloc(c->come.n_hosts + c->go.n_hosts + 1,
                      sizeof(change_host_t));
    c->moves = malloc((c->come.n_hosts + c->go.n_hosts + 1)
                      * 2 * sizeof(change_move_t));

    if (c->hosts == NULL || c->moves == NULL) {
        return -1;
    }

    for (k = 0; k < 2; k++) {
        it = (k == 0) ? &c->come : &c->go;

        for (i = 0; i < it->n_hosts; i++) {
            end = (i + 1 < it->n_hosts) ? it->hosts[i + 1].n : it->n_items;

            if (end == it->hosts[i].n) {
                continue;
            }

            h = &c->hosts[c->n_hosts++];
            h->host = &it->hosts[i];
            h->offset = (i == 0) ? 0 : change_find(c->old, h->host);

            if (k == 0) {
                h->items = it->items + h->host->n;
                h->n = end - h->host->n;
                c->n_new += (h->offset == KONG_NONE);

            } else {
                h->gone = it->items + h->host->n;
                h->n_gone = end - h->host->n;

                if (h->offset == KONG_NONE || (i == 0 && c->old->root == 0)) {
                    return -1;
                }
            }
        }
    }

    qsort(c->hosts, c->n_hosts, sizeof(change_host_t), change_host_cmp);

    for (i = 0, j = 0; i < c->n_hosts; i++) {
        h = &c->hosts[j - (j != 0)];

        if (j == 0 || h->offset != c->hosts[i].offset
            || h->offset == KONG_NONE)
        {
            c->hosts[j++] = c->hosts[i];

        } else if (h->n == 0) {
            h->items = c->hosts[i].items;
            h->n = c->hosts[i].n;

        } else {
            h->gone = c->hosts[i].gone;
            h->n_gone = c->hosts[i].n_gone;
        }
    }

    c->n_hosts = j;

    return 0;
}


static int
change_host_cmp(const void *one, const void *two)
{
    const change_host_t  *a, *b;

    a = one;
    b = two;

    if (a->offset == b->offset) {
        return (a->host > b->host) - (a->host < b->host);
    }

    return (a->offset > b->offset) ? 1 : -1;
}


/* the offset of the host's bucket, or KONG_NONE */
static uint32_t
change_find(const kong_index_t *index, const route_host_t *host)
{
    uint32_t                  i;
    const kong_bucket_t      *b;
    const kong_index_slot_t  *slots;

    if (index->n_slots == 0) {
        return KONG_NONE;
    }

    slots = (const kong_index_slot_t *) (index + 1);
    i = kong_host_slot(host->hash, index->n_slots);

    while (slots[i].bucket != 0) {
        b = (const kong_bucket_t *) (const void *)
            ((const uint8_t *) index + slots[i].bucket);

        if (b->len == host->host.len && b->kind == host->kind
            && memcmp(b + 1, host->host.data, b->len) == 0)
        {
            return slots[i].bucket;
        }

        i = (i + 1 == index->n_slots) ? 0 : i + 1;
    }

    return KONG_NONE;
}


/* everything behind the table of hosts */
static int
change_tries(change_t *c)
{
    size_t          i, n_slots, n_hosts;
    uint32_t        from, end;
    kong_index_t   *head;
    change_host_t  *h;

    n_slots = c->old->n_slots;
    n_hosts = c->old->n_hosts + c->n_new;

    if (c->n_new != 0 && n_hosts + n_hosts / 8 >= n_slots) {
        n_slots = n_hosts + n_hosts / 2 + 2;
    }

    end = (uint32_t) c->change->index_size;
    (void) bytes_zadd(&c->out, sizeof(kong_index_t)
                               + n_slots * sizeof(kong_index_slot_t));

    if (c->out.failed) {
        return -1;
    }

    head = (kong_index_t *) (void *) c->out.data;
    *head = *c->old;
    head->n_slots = (uint32_t) n_slots;
    head->n_hosts = (uint32_t) n_hosts;
    head->buckets = (uint32_t) c->out.size;
    from = c->old->buckets;

    for (i = 0; i < c->n_hosts; i++) {
        h = &c->hosts[i];

        if (h->offset != KONG_NONE && h->offset != 0) {
            change_copy(c, from, h->offset);
            from = h->offset;

        } else if (h->offset == KONG_NONE) {
            change_copy(c, from, end);
            from = end;
        }

        if (change_bucket(c, h, &from) != 0) {
            return -1;
        }
    }

    change_copy(c, from, end);

    if (c->old->root != 0
        || (c->n_hosts != 0 && c->hosts[0].offset == 0))
    {
        head = (kong_index_t *) (void *) c->out.data;
        head->root = head->buckets;
    }

    return 0;
}


/* a host's bucket; *from moves behind the old one */
static int
change_bucket(change_t *c, change_host_t *h, uint32_t *from)
{
    const uint8_t  *base, *p, *end;
    change_move_t  *m;

    base = c->change->index;
    trie_order(c->tb.elts, h->items, h->n);

    if (h->offset == KONG_NONE) {
        h->place = (uint32_t) c->out.size;
        route_bucket_put(&c->out, h->host);
        return trie_branch(&c->tb, 0, h->n, 0, 0);
    }

    if (h->offset == 0 && c->old->root == 0) {
        return trie_branch(&c->tb, 0, h->n, 0, 0);
    }

    p = base + (h->offset != 0 ? h->offset : c->old->root);

    if (h->offset != 0) {
        m = &c->moves[c->n_moves++];
        m->from = h->offset;
        m->to = (uint32_t) c->out.size;
        bytes_put(&c->out, p, sizeof(kong_bucket_t)
                              + kong_pad4((uint32_t) h->host->host.len));
        p += sizeof(kong_bucket_t) + kong_pad4((uint32_t) h->host->host.len);
    }

    end = graft_end(p);
    *from = (uint32_t) (end - base);

    return change_trie(c, h, p, end);
}


static int
change_trie(change_t *c, change_host_t *h, const uint8_t *node,
    const uint8_t *end)
{
    int      rc;
    graft_t  g;

    memset(&g, 0, sizeof(g));
    trie_order(c->gone_at, h->gone, h->n_gone);

    g.out = &c->out;
    g.conds = (const kong_cond_t *) (const void *)
              (c->change->predicates + sizeof(kong_predicates_t));
    g.gone = c->gone;
    g.tb = &c->tb;
    g.gone_at = c->gone_at;

    rc = graft_trie(&g, node, end, h->n, h->n_gone);
    bytes_release(&g.kids);

    return (rc == 0 && g.n_gone == h->n_gone) ? 0 : -1;
}


static void
change_copy(change_t *c, uint32_t from, uint32_t to)
{
    change_move_t  *m;

    if (from == to) {
        return;
    }

    m = &c->moves[c->n_moves++];
    m->from = from;
    m->to = (uint32_t) c->out.size;
    bytes_put(&c->out, c->change->index + from, to - from);
}


/* the table of hosts: as it was, with what has moved; or a larger one */
static void
change_table(change_t *c)
{
    size_t                    i;
    uint32_t                  to;
    kong_index_t             *head;
    const route_host_t       *h;
    const kong_bucket_t      *b;
    kong_index_slot_t        *slots;
    const kong_index_slot_t  *old;

    head = (kong_index_t *) (void *) c->out.data;
    slots = (kong_index_slot_t *) (head + 1);
    old = (const kong_index_slot_t *) (c->old + 1);

    for (i = 0; i < c->old->n_slots; i++) {

        if (old[i].bucket == 0) {
            continue;
        }

        to = change_moved(c, old[i].bucket);

        if (head->n_slots == c->old->n_slots) {
            slots[i].hash = old[i].hash;
            slots[i].bucket = to;
            continue;
        }

        b = (const kong_bucket_t *) (const void *) (c->out.data + to);
        route_slot_put(head, kong_host_hash(b->kind, (const char *) (b + 1),
                                            b->len),
                       b->kind, b->len, to);
    }

    for (i = 0; i < c->n_hosts; i++) {
        if (c->hosts[i].offset == KONG_NONE) {
            h = c->hosts[i].host;
            route_slot_put(head, h->hash, h->kind, h->host.len,
                           c->hosts[i].place);
        }
    }
}


static uint32_t
change_moved(const change_t *c, uint32_t offset)
{
    size_t  low, high, mid;

    low = 0;
    high = c->n_moves;

    while (high - low > 1) {
        mid = low + (high - low) / 2;

        if (c->moves[mid].from <= offset) {
            low = mid;

        } else {
            high = mid;
        }
    }

    return c->moves[low].to + (offset - c->moves[low].from);
}


static void
change_predicates(change_t *c, bytes_t *out)
{
    uint32_t                  i, n, shift, base;
    uint32_t                 *starts;
    kong_predicates_t         head;
    const uint8_t            *p, *rules, *end;
    const rules_builder_t    *rb;

    const kong_predicates_t  *old;

    rb = &c->come.rb;
    p = c->change->predicates;
    end = p + c->change->predicates_size;
    old = (const kong_predicates_t *) (const void *) p;
    rules = p + sizeof(head) + old->n_conds * sizeof(kong_cond_t)
            + (old->n_rules + 1) * sizeof(uint32_t);
    n = (uint32_t) (rb->starts.size / sizeof(uint32_t));
    shift = (uint32_t) (rb->conds.size + rb->starts.size);

    if (rb->conds.failed || rb->starts.failed || rb->rules.failed) {
        out->failed = 1;
        return;
    }

    head = *old;
    head.n_conds += (uint32_t) (rb->conds.size / sizeof(kong_cond_t));
    head.n_rules += n;

    bytes_put(out, &head, sizeof(head));
    bytes_put(out, p + sizeof(head), old->n_conds * sizeof(kong_cond_t));
    bytes_put(out, rb->conds.data, rb->conds.size);

    base = (uint32_t) out->size;
    p += sizeof(head) + old->n_conds * sizeof(kong_cond_t);
    bytes_put(out, p, (old->n_rules + 1) * sizeof(uint32_t));
    bytes_put(out, rb->starts.data, rb->starts.size);

    if (out->failed) {
        return;
    }

    starts = (uint32_t *) (void *) (out->data + base);

    for (i = 0; i <= old->n_rules; i++) {
        starts[i] += shift;
    }

    /* the place where the old ones end is where the first new one begins;
     * then come those behind it, and the end of all */

    for (i = 0; i < n; i++) {
        starts[old->n_rules + i]
            = ((const uint32_t *) (const void *) rb->starts.data)[i]
              + (uint32_t) c->change->predicates_size + shift;
    }

    starts[old->n_rules + n] = (uint32_t) (c->change->predicates_size + shift
                                           + rb->rules.size);
    bytes_put(out, rules, (size_t) (end - rules));
    bytes_put(out, rb->rules.data, rb->rules.size);
}
