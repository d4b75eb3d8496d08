/*
 * route_graft: see route_graft.h.
 *
 * Items that come are a range of the builder's sorted elements, keys at which
 * candidates go a range of another such list; both shrink on the way down.  A
 * node of which only a part of the label is common to all is split.  What is
 * rare (lists by a header's value) is left to a whole build.
 */

#include <stdlib.h>
#include <string.h>

#include "route_graft.h"
#include "route_switch.h"


/* ranges of both lists that agree on the bytes so far */
typedef struct {
    size_t           lo;
    size_t           hi;
    size_t           gone;
    size_t           gone_end;
} graft_range_t;

/* an old node, of which `skip` bytes of label are behind us */
typedef struct {
    const uint8_t   *node;           /* NULL: there is none */
    uint32_t         skip;
} graft_old_t;

/* an old node's parts */
typedef struct {
    const uint8_t   *label;
    const uint8_t   *fan;
    const uint8_t   *links;
    const uint8_t   *cands;
    const uint8_t   *rest;           /* the switch */
    uint32_t         len;            /* of the label */
    uint32_t         n;
    uint32_t         n_cands;
    unsigned         has_switch;
} graft_node_t;

typedef struct {
    uint32_t         byte;
    graft_old_t      old;
    graft_range_t    range;
} graft_kid_t;

/* what becomes of a node */
typedef struct {
    graft_node_t     d;
    const uint8_t   *label;
    uint32_t         len;
    uint32_t         kept;           /* old candidates */
    size_t           lo;             /* new ones, [lo, mid) */
    size_t           mid;
    size_t           kids;           /* where they begin */
    size_t           n;
    unsigned         split;          /* the label's rest goes to a child */
} graft_plan_t;


static void graft_decode(const uint8_t *node, graft_node_t *d);
static size_t graft_switch_size(const uint8_t *rest);
static int graft_write(graft_t *g, const graft_old_t *old, graft_range_t r,
    uint32_t depth, unsigned level, uint32_t *at);
static int graft_plan(graft_t *g, const graft_old_t *old, graft_range_t r,
    uint32_t depth, graft_plan_t *p);
static int graft_kids(graft_t *g, const graft_old_t *old, graft_range_t r,
    uint32_t depth, graft_plan_t *p);
static uint32_t graft_byte(const graft_node_t *d, uint32_t i,
    uint32_t after);
static graft_range_t graft_take(graft_t *g, graft_range_t *r,
    uint32_t depth, uint32_t byte);
static void graft_push(graft_t *g, const graft_kid_t *kid, graft_plan_t *p);
static size_t graft_put(graft_t *g, const graft_plan_t *p);
static void graft_put_cands(graft_t *g, const graft_plan_t *p);


static size_t
graft_switch_size(const uint8_t *rest)
{
    uint32_t                   i, len;
    const uint8_t             *p;
    const kong_switch_t       *sw;
    const kong_switch_list_t  *list;

    sw = (const kong_switch_t *) (const void *) rest;
    p = rest + sizeof(kong_switch_t);

    for (i = 0; i < sw->n_names; i++) {
        len = kong_u32(p);
        p += sizeof(uint32_t) + kong_pad4(len);
    }

    p += sw->n_slots * sizeof(kong_index_slot_t);

    for (i = 0; i < sw->n_lists; i++) {
        list = (const kong_switch_list_t *) (const void *) p;
        len = kong_switch_count(list, &p);
        p += kong_pad4((uint32_t) list->len) + len * sizeof(kong_cand_t);
    }

    return (size_t) (p - rest);
}


static void
graft_decode(const uint8_t *node, graft_node_t *d)
{
    uint32_t  w;

    w = kong_u32(node);
    node += sizeof(uint32_t);

    d->len = kong_node_label(w);
    d->n = kong_node_children(w);
    d->n_cands = kong_node_cands(w);
    d->has_switch = (kong_node_switch(w) != 0);

    if (d->n_cands == KONG_TRIE_MANY) {
        d->n_cands = kong_u32(node);
        node += sizeof(uint32_t);
    }

    d->label = node;
    d->fan = node + kong_pad4(d->len);
    d->links = d->fan + kong_fan_size(d->n);
    d->cands = d->links + d->n * sizeof(uint32_t);
    d->rest = d->cands + d->n_cands * sizeof(kong_cand_t);
}


int
graft_trie(graft_t *g, const uint8_t *node, size_t n, size_t n_gone)
{
    uint32_t       at;
    graft_old_t    old;
    graft_range_t  range;

    old.node = node;
    old.skip = 0;
    range.lo = 0;
    range.hi = n;
    range.gone = 0;
    range.gone_end = n_gone;

    return graft_write(g, &old, range, 0, 0, &at);
}


static uint32_t
graft_common(const trie_item_t *it, uint32_t depth, const uint8_t *label,
    uint32_t len)
{
    uint32_t  i;

    for (i = 0; i < len && depth + i < it->len
                && (uint8_t) it->key[depth + i] == label[i]; i++)
    {
        /* void */
    }

    return i;
}


/* how much of the label stays in one piece; the first and the last key of a
 * sorted range have the least in common with it */
static uint32_t
graft_label(graft_t *g, const graft_node_t *d, uint32_t skip,
    const graft_range_t *r, uint32_t depth)
{
    uint32_t  len, n;

    len = d->len - skip;

    if (r->lo < r->hi) {
        n = graft_common(g->tb->elts[r->lo].item, depth, d->label + skip,
                         len);
        len = (n < len) ? n : len;
        n = graft_common(g->tb->elts[r->hi - 1].item, depth, d->label + skip,
                         len);
        len = (n < len) ? n : len;
    }

    return len;
}


/* are these at the node whose label ends at `depth`? */
static size_t
graft_here(const trie_elt_t *e, size_t lo, size_t hi, uint32_t depth)
{
    while (lo < hi && e[lo].item->len == depth) {
        lo++;
    }

    return lo;
}


static unsigned
graft_stays(graft_t *g, const kong_cand_t *c)
{
    uint32_t  route;

    route = (c->target & KONG_CAND_COND)
            ? g->conds[c->target & ~KONG_CAND_COND].route : c->target;

    return !g->gone[route];
}


static uint32_t
graft_count(graft_t *g, const uint8_t *cands, uint32_t n)
{
    uint32_t            i, count;
    const kong_cand_t  *c;

    c = (const kong_cand_t *) (const void *) cands;

    for (i = 0, count = 0; i < n; i++) {
        count += graft_stays(g, &c[i]);
    }

    return count;
}


/* *at: where in the section the branch is */
static int
graft_write(graft_t *g, const graft_old_t *old, graft_range_t r,
    uint32_t depth, unsigned level, uint32_t *at)
{
    size_t        i, links;
    bytes_t      *out;
    uint32_t      to, node;
    graft_kid_t   kid;
    graft_plan_t  p;

    out = g->out;
    node = g->size + (uint32_t) out->size;
    *at = node;

    if (old->node == NULL) {
        return trie_branch(g->tb, r.lo, r.hi, depth, level);
    }

    if (r.lo == r.hi && r.gone == r.gone_end && old->skip == 0) {
        *at = (uint32_t) (old->node - g->index);
        return 0;
    }

    if (level + 1 >= KONG_TRIE_DEPTH_MAX
        || graft_plan(g, old, r, depth, &p) != 0)
    {
        return -1;
    }

    links = graft_put(g, &p);

    for (i = 0; i < p.n && !out->failed; i++) {
        memcpy(&kid, g->kids.data + p.kids + i * sizeof(kid), sizeof(kid));

        if (graft_write(g, &kid.old, kid.range, depth + p.len + 1, level + 1,
                        &to)
            != 0)
        {
            return -1;
        }

        if (!out->failed) {
            *(uint32_t *) (void *) (out->data + links
                                    + i * sizeof(uint32_t)) = to - node;
        }
    }

    g->kids.size = p.kids;

    return out->failed ? -1 : 0;
}


static int
graft_plan(graft_t *g, const graft_old_t *old, graft_range_t r,
    uint32_t depth, graft_plan_t *p)
{
    size_t  gone;

    memset(p, 0, sizeof(graft_plan_t));
    graft_decode(old->node, &p->d);

    p->label = p->d.label + old->skip;
    p->len = graft_label(g, &p->d, old->skip, &r, depth);
    p->split = (p->len < p->d.len - old->skip);
    p->lo = r.lo;
    p->mid = graft_here(g->tb->elts, r.lo, r.hi, depth + p->len);
    p->kids = g->kids.size;

    r.lo = p->mid;

    if (!p->split) {
        gone = r.gone;
        r.gone = graft_here(g->gone_at, r.gone, r.gone_end, depth + p->len);
        p->kept = graft_count(g, p->d.cands, p->d.n_cands);
        g->n_gone += p->d.n_cands - p->kept;

        if (p->d.has_switch && (p->mid != p->lo || r.gone != gone)) {
            return -1;
        }
    }

    /* so many may be worth a switch: the builder has to look at them all */

    if (p->mid != p->lo && p->mid - p->lo + p->kept >= SWITCH_MIN) {
        return -1;
    }

    return graft_kids(g, old, r, depth + p->len, p);
}


/* old children and new ones, by their bytes */
static int
graft_kids(graft_t *g, const graft_old_t *old, graft_range_t r,
    uint32_t depth, graft_plan_t *p)
{
    uint32_t      i, n, add, byte;
    graft_kid_t   kid;
    graft_node_t  child;

    i = 0;
    n = p->split ? 1 : p->d.n;
    byte = p->split ? p->label[p->len] : graft_byte(&p->d, 0, 0);

    while (i < n || r.lo < r.hi) {
        memset(&kid, 0, sizeof(kid));
        add = (r.lo < r.hi)
              ? (uint8_t) g->tb->elts[r.lo].item->key[depth] : 256;
        kid.byte = (i < n && byte < add) ? byte : add;
        kid.range = graft_take(g, &r, depth, kid.byte);

        if (i == n || kid.byte != byte) {
            graft_push(g, &kid, p);
            continue;
        }

        if (p->split) {
            kid.old = *old;
            kid.old.skip += p->len + 1;
            i++;
            graft_push(g, &kid, p);
            continue;
        }

        kid.old.node = old->node
                       + (int32_t) kong_u32(p->d.links
                                            + i * sizeof(uint32_t));
        i++;
        byte = (i < n) ? graft_byte(&p->d, i, byte + 1) : 256;

        if (kid.range.lo == kid.range.hi
            && kid.range.gone != kid.range.gone_end)
        {
            graft_decode(kid.old.node, &child);

            if (child.n == 0 && !child.has_switch
                && graft_count(g, child.cands, child.n_cands) == 0)
            {
                /* nothing is left of it */
                g->n_gone += child.n_cands;
                continue;
            }
        }

        graft_push(g, &kid, p);
    }

    return (g->kids.failed || r.gone != r.gone_end) ? -1 : 0;
}


static void
graft_push(graft_t *g, const graft_kid_t *kid, graft_plan_t *p)
{
    bytes_put(&g->kids, kid, sizeof(graft_kid_t));
    p->n++;
}


/* the byte of child i, which is `after` or more */
static uint32_t
graft_byte(const graft_node_t *d, uint32_t i, uint32_t after)
{
    const kong_fan_t  *f;

    if (d->n <= KONG_TRIE_SPARSE_MAX) {
        return (i < d->n) ? d->fan[i] : 256;
    }

    f = (const kong_fan_t *) (const void *) d->fan;

    while (after < 256 && !(f->bits[after >> 5] & (1u << (after & 31)))) {
        after++;
    }

    return after;
}


/* what goes on with this byte at `depth` */
static graft_range_t
graft_take(graft_t *g, graft_range_t *r, uint32_t depth, uint32_t byte)
{
    graft_range_t  out;

    out = *r;

    while (r->lo < r->hi
           && (uint8_t) g->tb->elts[r->lo].item->key[depth] == byte)
    {
        r->lo++;
    }

    while (r->gone < r->gone_end && g->gone_at[r->gone].item->len > depth
           && (uint8_t) g->gone_at[r->gone].item->key[depth] == byte)
    {
        r->gone++;
    }

    out.hi = r->lo;
    out.gone_end = r->gone;

    return out;
}


/* the node itself; returns where its links are, to be set */
static size_t
graft_put(graft_t *g, const graft_plan_t *p)
{
    size_t        i, links, cands;
    bytes_t      *out;
    unsigned      has_switch;
    trie_kid_t    kids[256];
    graft_kid_t   kid;

    out = g->out;
    has_switch = (p->d.has_switch && !p->split);
    cands = p->kept + p->mid - p->lo;

    bytes_put32(out, kong_node_word(p->len, p->n, has_switch,
                                    (cands < KONG_TRIE_MANY)
                                    ? cands : KONG_TRIE_MANY));
    if (cands >= KONG_TRIE_MANY) {
        bytes_put32(out, (uint32_t) cands);
    }

    bytes_put(out, p->label, p->len);
    bytes_pad(out, 4);

    for (i = 0; i < p->n; i++) {
        memcpy(&kid, g->kids.data + p->kids + i * sizeof(kid), sizeof(kid));
        kids[i].byte = kid.byte;
    }

    trie_put_fan(out, kids, p->n);
    links = out->size;
    (void) bytes_add(out, p->n * sizeof(uint32_t));
    graft_put_cands(g, p);

    if (has_switch) {
        bytes_put(out, p->d.rest, graft_switch_size(p->d.rest));
    }

    return links;
}


/* both by rank */
static void
graft_put_cands(graft_t *g, const graft_plan_t *p)
{
    size_t              lo;
    uint32_t            i, n;
    kong_cand_t         new;
    const kong_cand_t  *c;

    c = (const kong_cand_t *) (const void *) p->d.cands;
    n = p->split ? 0 : p->d.n_cands;

    for (i = 0, lo = p->lo; i < n || lo < p->mid; /* void */ ) {

        if (i < n && !graft_stays(g, &c[i])) {
            i++;
            continue;
        }

        if (lo == p->mid
            || (i < n && c[i].rank < g->tb->elts[lo].item->rank))
        {
            bytes_put(g->out, &c[i++], sizeof(kong_cand_t));
            continue;
        }

        new.rank = g->tb->elts[lo].item->rank;
        new.target = rules_target(g->tb->rules,
                                  g->tb->elts[lo].item->target, RULES_ALL);
        bytes_put(g->out, &new, sizeof(kong_cand_t));
        lo++;
    }
}
