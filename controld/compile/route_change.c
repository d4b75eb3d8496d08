/*
 * route_change: what an index becomes.  The tries of hosts that the change
 * concerns are grafted: new nodes come behind everything that is there, which
 * keeps its place; the slots of these hosts lead to them.  Conditions and
 * rules are added behind the old ones, of which some lead nowhere any more.
 */

#include <stdlib.h>
#include <string.h>

#include "route_graft.h"
#include "route_items.h"
#include "route_rank.h"


#define CHANGE_NEW  KONG_NONE      /* the slot of a host that is new */
#define CHANGE_ALL  (KONG_NONE - 1)     /* of the trie of all hosts */

/* a host that the change concerns; what comes and goes in its trie */
typedef struct {
    uint32_t              slot;      /* CHANGE_*, or where it is */
    const route_host_t   *host;
    const trie_item_t    *items;
    size_t                n;
    const trie_item_t    *gone;
    size_t                n_gone;
} change_host_t;

typedef struct {
    const route_change_t    *change;
    const kong_index_t      *old;
    const kong_index_slot_t *slots;  /* of the old one */
    kong_index_t             head;   /* of what it becomes */
    route_items_t            come;
    route_items_t            go;
    uint8_t                 *gone;   /* a byte a route */
    change_host_t           *hosts;
    size_t                   n_hosts;
    route_edit_t            *edits;
    size_t                   n_edits;
    trie_builder_t           tb;
    trie_elt_t              *gone_at;
    bytes_t                  out;    /* behind the old one */
} change_t;


static int change_make(change_t *c, route_index_t *out);
static int change_hosts(change_t *c);
static int change_host_cmp(const void *one, const void *two);
static uint32_t change_find(const change_t *c, const route_host_t *host);
static const kong_index_slot_t *change_slot(const change_t *c, uint32_t i);
static int change_tries(change_t *c);
static int change_bucket(change_t *c, change_host_t *h);
static int change_trie(change_t *c, change_host_t *h, const uint8_t *node);
static int change_point(change_t *c, const change_host_t *h, uint32_t at);
static void change_edit(change_t *c, size_t at, const void *data, size_t n);
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
    c.slots = (const kong_index_slot_t *) (c.old + 1);
    c.head = *c.old;
    head = (const kong_predicates_t *) (const void *) change->predicates;

    first.cond = head->n_conds;
    first.rule = head->n_rules;
    first.regex = change->n_regexes;

    out->order = *change->order;
    memset(change->order, 0, sizeof(route_ranking_t));

    c.gone = calloc(1, (size_t) change->n_routes + 1);

    if (c.gone == NULL) {
        route_index_release(out);
        return -1;
    }

    for (i = 0; i < change->n_gone; i++) {
        c.gone[change->gone[i].route] = 1;
    }

    ranks = route_ranks_change(&out->order, change->gone, change->n_gone,
                               c.gone, change->rules, change->n_rules);

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
    free(c.edits);

    return rc;
}


static int
change_make(change_t *c, route_index_t *out)
{
    bytes_t  predicates;

    c->gone_at = malloc((c->go.max + 1) * sizeof(trie_elt_t));

    if (c->gone_at == NULL
        || trie_init(&c->tb, &c->out, c->come.max, &c->come.rb) != 0
        || change_hosts(c) != 0 || change_tries(c) != 0 || c->out.failed)
    {
        return -1;
    }

    memset(&predicates, 0, sizeof(predicates));
    change_predicates(c, &predicates);

    if (predicates.failed) {
        bytes_release(&predicates);
        return -1;
    }

    out->index = c->out.data;
    out->index_size = c->out.size;
    out->edits = c->edits;
    out->n_edits = c->n_edits;
    out->predicates = predicates.data;
    out->predicates_size = predicates.size;
    out->n_rules = ((kong_predicates_t *) (void *) predicates.data)->n_rules;
    route_index_take(out, &c->come);
    memset(&c->out, 0, sizeof(bytes_t));
    c->edits = NULL;

    return 0;
}


/* hosts of what comes and of what goes, each once; new ones last */
static int
change_hosts(change_t *c)
{
    size_t          i, j, k, end;
    change_host_t  *h;
    route_items_t  *it;

    c->hosts = calloc(c->come.n_hosts + c->go.n_hosts + 1,
                      sizeof(change_host_t));
    c->edits = malloc((c->come.n_hosts + c->go.n_hosts + 1)
                      * sizeof(route_edit_t));

    if (c->hosts == NULL || c->edits == NULL) {
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
            h->slot = (i == 0) ? CHANGE_ALL : change_find(c, h->host);

            if (k == 0) {
                h->items = it->items + h->host->n;
                h->n = end - h->host->n;

            } else {
                h->gone = it->items + h->host->n;
                h->n_gone = end - h->host->n;

                if (h->slot == CHANGE_NEW || (i == 0 && c->old->root == 0)) {
                    return -1;
                }
            }
        }
    }

    qsort(c->hosts, c->n_hosts, sizeof(change_host_t), change_host_cmp);

    for (i = 0, j = 0; i < c->n_hosts; i++) {
        h = &c->hosts[j - (j != 0)];

        if (j == 0 || h->slot != c->hosts[i].slot || h->slot == CHANGE_NEW)
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

    if (a->slot == b->slot) {
        return (a->host > b->host) - (a->host < b->host);
    }

    return (a->slot > b->slot) ? 1 : -1;
}


/* the host's slot, or CHANGE_NEW */
static uint32_t
change_find(const change_t *c, const route_host_t *host)
{
    uint32_t              i;
    const kong_bucket_t  *b;

    if (c->old->n_slots == 0) {
        return CHANGE_NEW;
    }

    i = kong_host_slot(host->hash, c->old->n_slots);

    while (c->slots[i].bucket != 0) {
        b = (const kong_bucket_t *) (const void *)
            (c->change->index + c->slots[i].bucket);

        if (b->len == host->host.len && b->kind == host->kind
            && memcmp(b + 1, host->host.data, b->len) == 0)
        {
            return i;
        }

        i = (i + 1 == c->old->n_slots) ? 0 : i + 1;
    }

    return CHANGE_NEW;
}


/* a slot as it will be */
static const kong_index_slot_t *
change_slot(const change_t *c, uint32_t i)
{
    size_t  k, at;

    at = sizeof(kong_index_t) + i * sizeof(kong_index_slot_t);

    for (k = 0; k < c->n_edits; k++) {
        if (c->edits[k].at == at) {
            return (const kong_index_slot_t *) (const void *)
                   c->edits[k].bytes;
        }
    }

    return &c->slots[i];
}


/* everything behind what is there */
static int
change_tries(change_t *c)
{
    size_t  i;

    for (i = 0; i < c->n_hosts; i++) {
        if (change_bucket(c, &c->hosts[i]) != 0) {
            return -1;
        }
    }

    change_edit(c, 0, &c->head, sizeof(kong_index_t));

    return (c->change->index_size + c->out.size > INT32_MAX) ? -1 : 0;
}


static int
change_bucket(change_t *c, change_host_t *h)
{
    uint32_t              at;
    const uint8_t        *node;
    const kong_bucket_t  *b;

    at = (uint32_t) (c->change->index_size + c->out.size);
    trie_order(c->tb.elts, h->items, h->n);

    if (h->slot == CHANGE_ALL) {
        c->head.root = at;
        node = (c->old->root != 0) ? c->change->index + c->old->root : NULL;

    } else {
        route_bucket_put(&c->out, h->host);

        if (change_point(c, h, at) != 0) {
            return -1;
        }

        node = NULL;

        if (h->slot != CHANGE_NEW) {
            b = (const kong_bucket_t *) (const void *)
                (c->change->index + c->slots[h->slot].bucket);
            node = (const uint8_t *) (b + 1) + kong_pad4((uint32_t) b->len);
        }
    }

    return (node == NULL) ? trie_branch(&c->tb, 0, h->n, 0, 0)
                          : change_trie(c, h, node);
}


static int
change_trie(change_t *c, change_host_t *h, const uint8_t *node)
{
    int      rc;
    graft_t  g;

    memset(&g, 0, sizeof(g));
    trie_order(c->gone_at, h->gone, h->n_gone);

    g.index = c->change->index;
    g.size = (uint32_t) c->change->index_size;
    g.out = &c->out;
    g.conds = (const kong_cond_t *) (const void *)
              (c->change->predicates + sizeof(kong_predicates_t));
    g.gone = c->gone;
    g.tb = &c->tb;
    g.gone_at = c->gone_at;

    rc = graft_trie(&g, node, h->n, h->n_gone);
    bytes_release(&g.kids);

    return (rc == 0 && g.n_gone == h->n_gone) ? 0 : -1;
}


/* the host's slot leads to its new bucket */
static int
change_point(change_t *c, const change_host_t *h, uint32_t at)
{
    uint32_t           i;
    kong_index_slot_t  slot;

    i = h->slot;

    if (i == CHANGE_NEW) {

        /* a table that fills up is made anew, with all the rest */

        if (c->head.n_hosts + 1 + c->head.n_hosts / 8 >= c->head.n_slots) {
            return -1;
        }

        i = kong_host_slot(h->host->hash, c->head.n_slots);

        while (change_slot(c, i)->bucket != 0) {
            i = (i + 1 == c->head.n_slots) ? 0 : i + 1;
        }

        c->head.n_hosts++;
        route_host_length(&c->head, h->host);
    }

    slot.hash = (uint32_t) h->host->hash;
    slot.bucket = at;
    change_edit(c, sizeof(kong_index_t) + i * sizeof(slot), &slot,
                sizeof(slot));

    return 0;
}


static void
change_edit(change_t *c, size_t at, const void *data, size_t n)
{
    route_edit_t  *e;

    e = &c->edits[c->n_edits++];
    e->at = (uint32_t) at;
    e->n = (uint32_t) n;
    memcpy(e->bytes, data, n);
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

    if (rb->wanted.failed || rb->conds.failed || rb->starts.failed
        || rb->rules.failed)
    {
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
