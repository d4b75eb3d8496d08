/*
 * kong_index: proves that the sections INDEX and PREDICATES can be walked
 * without a check.  Rules follow one another, so that one pass is enough.
 * Tries are walked as a request would, every branch of them: what has been
 * changed links into what was there, in any direction.  No byte is read
 * twice in an honest index, so what is read is counted: a crafted one costs
 * no more.
 */

#include "kong_index.h"


/* a cursor over a section; the section's size is a multiple of 4 */
typedef struct {
    const kong_segment_t  *seg;
    const uint8_t         *base;
    uint64_t               size;
    uint64_t               pos;
    uint64_t               unread;   /* bytes that may still be read */
    uint32_t               n_conds;
    uint32_t               n_rules;
    uint64_t               budget;   /* steps in tables of slots */
} verify_t;

/* a node under way: where its next link is, and how many are left */
typedef struct {
    uint32_t               node;
    uint32_t               link;
    uint32_t               left;
} verify_frame_t;


static kong_segment_rc_t kong_verify_predicates(verify_t *v);
static kong_segment_rc_t kong_verify_rules(verify_t *v);
static kong_segment_rc_t kong_verify_value(verify_t *v);
static kong_segment_rc_t kong_verify_index(verify_t *v);
static int kong_verify_go(verify_t *v, uint32_t pos);
static kong_segment_rc_t kong_verify_trie(verify_t *v);
static kong_segment_rc_t kong_verify_node(verify_t *v, verify_frame_t *f);
static kong_segment_rc_t kong_verify_fan(const uint8_t *fan, uint32_t n);
static kong_segment_rc_t kong_verify_cands(verify_t *v, uint32_t n);
static kong_segment_rc_t kong_verify_switch(verify_t *v);
static kong_segment_rc_t kong_verify_list(verify_t *v,
    const kong_switch_t *sw, const kong_index_slot_t *slots);
static int kong_verify_slot(verify_t *v, const kong_index_slot_t *slots,
    uint32_t n_slots, uint64_t hash, uint32_t pos);
static kong_segment_rc_t kong_verify_bucket(verify_t *v);


kong_segment_rc_t
kong_index_verify(const kong_segment_t *seg)
{
    verify_t           v;
    kong_segment_rc_t  rc;

    if (seg->index == NULL && seg->predicates == NULL) {
        return KONG_SEGMENT_OK;
    }

    if (seg->index == NULL || seg->predicates == NULL) {
        return KONG_SEGMENT_LAYOUT;
    }

    v.seg = seg;
    v.base = seg->predicates;
    v.size = seg->sections[KONG_SECTION_PREDICATES].size;
    v.pos = 0;
    v.unread = v.size;

    rc = kong_verify_predicates(&v);

    if (rc != KONG_SEGMENT_OK) {
        return rc;
    }

    v.base = seg->index;
    v.size = seg->sections[KONG_SECTION_INDEX].size;
    v.pos = 0;
    v.unread = v.size;

    return kong_verify_index(&v);
}


/* the cursor moves over n bytes, if there are as many */
static const uint8_t *
kong_verify_take(verify_t *v, uint64_t n)
{
    const uint8_t  *p;

    if (n > v->size - v->pos || n > v->unread) {
        return NULL;
    }

    p = v->base + v->pos;
    v->pos += n;
    v->unread -= n;

    return p;
}


/* a counted string: u32 length, bytes, padding */
static int
kong_verify_str(verify_t *v)
{
    uint64_t        len;
    const uint8_t  *p;

    p = kong_verify_take(v, sizeof(uint32_t));

    if (p == NULL) {
        return 0;
    }

    len = kong_u32(p);

    return kong_verify_take(v, (len + 3) & ~(uint64_t) 3) != NULL;
}


static kong_segment_rc_t
kong_verify_predicates(verify_t *v)
{
    uint32_t                  i;
    const uint8_t            *starts;
    kong_segment_rc_t         rc;
    const kong_cond_t        *cond;
    const kong_predicates_t  *head;

    head = (const void *) kong_verify_take(v, sizeof(kong_predicates_t));

    if (head == NULL) {
        return KONG_SEGMENT_LAYOUT;
    }

    v->n_conds = head->n_conds;
    v->n_rules = head->n_rules;

    cond = (const void *) kong_verify_take(v, (uint64_t) head->n_conds
                                              * sizeof(kong_cond_t));
    starts = kong_verify_take(v, ((uint64_t) head->n_rules + 1)
                                 * sizeof(uint32_t));

    if (cond == NULL || starts == NULL) {
        return KONG_SEGMENT_LAYOUT;
    }

    for (i = 0; i < v->n_conds; i++) {
        if (cond[i].route >= v->seg->sections[KONG_SECTION_ROUTES].n
            || cond[i].rules > v->n_rules
            || (cond[i].regex != KONG_NONE
                && cond[i].regex
                   >= v->seg->sections[KONG_SECTION_REGEXES].n))
        {
            return KONG_SEGMENT_OFFSET;
        }
    }

    for (i = 0; i < v->n_rules; i++) {
        if (kong_u32(starts + i * sizeof(uint32_t)) != v->pos) {
            return KONG_SEGMENT_OFFSET;
        }

        rc = kong_verify_rules(v);

        if (rc != KONG_SEGMENT_OK) {
            return rc;
        }
    }

    if (kong_u32(starts + i * sizeof(uint32_t)) != v->pos
        || v->pos != v->size)
    {
        return KONG_SEGMENT_OFFSET;
    }

    return KONG_SEGMENT_OK;
}


static kong_segment_rc_t
kong_verify_rules(verify_t *v)
{
    uint32_t             i, j, n;
    const uint8_t       *p;
    kong_segment_rc_t    rc;
    const kong_rules_t  *rules;

    rules = (const void *) kong_verify_take(v, sizeof(kong_rules_t));

    if (rules == NULL) {
        return KONG_SEGMENT_OFFSET;
    }

    for (i = 0; i < rules->n_methods; i++) {
        if (!kong_verify_str(v)) {
            return KONG_SEGMENT_OFFSET;
        }
    }

    for (i = 0; i < rules->n_snis; i++) {
        p = kong_verify_take(v, sizeof(uint32_t));

        if (p == NULL || kong_u32(p) > KONG_HOST_PREFIX
            || !kong_verify_str(v))
        {
            return KONG_SEGMENT_OFFSET;
        }
    }

    for (i = 0; i < rules->n_headers; i++) {
        p = kong_verify_take(v, sizeof(uint32_t));

        if (p == NULL || !kong_verify_str(v)) {
            return KONG_SEGMENT_OFFSET;
        }

        n = kong_u32(p);

        for (j = 0; j < n; j++) {
            rc = kong_verify_value(v);

            if (rc != KONG_SEGMENT_OK) {
                return rc;
            }
        }
    }

    return KONG_SEGMENT_OK;
}


static kong_segment_rc_t
kong_verify_value(verify_t *v)
{
    uint32_t        regex;
    const uint8_t  *p;

    p = kong_verify_take(v, sizeof(uint32_t));

    if (p == NULL || !kong_verify_str(v)) {
        return KONG_SEGMENT_OFFSET;
    }

    regex = kong_u32(p);

    if (regex != KONG_NONE
        && regex >= v->seg->sections[KONG_SECTION_REGEXES].n)
    {
        return KONG_SEGMENT_OFFSET;
    }

    return KONG_SEGMENT_OK;
}


static kong_segment_rc_t
kong_verify_index(verify_t *v)
{
    uint32_t                  i, n;
    kong_segment_rc_t         rc;
    const kong_index_t       *head;
    const kong_index_slot_t  *slots;

    head = (const void *) kong_verify_take(v, sizeof(kong_index_t));

    if (head == NULL || v->size > INT32_MAX) {
        return KONG_SEGMENT_LAYOUT;
    }

    slots = (const void *) kong_verify_take(v, (uint64_t) head->n_slots
                                               * sizeof(kong_index_slot_t));

    if (slots == NULL || head->buckets != v->pos) {
        return KONG_SEGMENT_LAYOUT;
    }

    for (n = 0, i = 0; i < head->n_slots; i++) {
        n += (slots[i].bucket != 0);
    }

    /* one slot at least stays empty: it ends every search */

    if (n != head->n_hosts || (n != 0 && n >= head->n_slots)) {
        return KONG_SEGMENT_LAYOUT;
    }

    /* what honest tables need by far: crafted ones cannot cost more */

    v->budget = 8 * (v->size + 64);

    if (head->root != 0) {
        if (!kong_verify_go(v, head->root)) {
            return KONG_SEGMENT_OFFSET;
        }

        rc = kong_verify_trie(v);

        if (rc != KONG_SEGMENT_OK) {
            return rc;
        }
    }

    for (i = 0; i < head->n_slots; i++) {

        if (slots[i].bucket == 0) {
            continue;
        }

        if (!kong_verify_go(v, slots[i].bucket)) {
            return KONG_SEGMENT_OFFSET;
        }

        rc = kong_verify_bucket(v);

        if (rc != KONG_SEGMENT_OK) {
            return rc;
        }
    }

    return KONG_SEGMENT_OK;
}


/* the cursor goes to a place behind the table of hosts */
static int
kong_verify_go(verify_t *v, uint32_t pos)
{
    const kong_index_t  *head;

    head = (const kong_index_t *) (const void *) v->base;
    v->pos = pos;

    return pos >= head->buckets && pos < v->size && pos % 4 == 0;
}


/* every bucket has to be found under its own host */
static kong_segment_rc_t
kong_verify_bucket(verify_t *v)
{
    uint32_t                  pos;
    uint64_t                  hash;
    const uint8_t            *host;
    const kong_index_t       *head;
    const kong_bucket_t      *b;
    const kong_index_slot_t  *slots;

    pos = (uint32_t) v->pos;
    b = (const void *) kong_verify_take(v, sizeof(kong_bucket_t));

    if (b == NULL) {
        return KONG_SEGMENT_OFFSET;
    }

    host = kong_verify_take(v, kong_pad4((uint32_t) b->len));

    if (host == NULL || b->kind > KONG_HOST_PREFIX) {
        return KONG_SEGMENT_OFFSET;
    }

    head = (const kong_index_t *) (const void *) v->base;
    slots = (const kong_index_slot_t *) (head + 1);

    hash = kong_host_hash(b->kind, (const char *) host, b->len);

    if (!kong_verify_slot(v, slots, head->n_slots, hash, pos)) {
        return KONG_SEGMENT_OFFSET;
    }

    return kong_verify_trie(v);
}


/* does a search for this hash come to the slot that points to pos? */
static int
kong_verify_slot(verify_t *v, const kong_index_slot_t *slots,
    uint32_t n_slots, uint64_t hash, uint32_t pos)
{
    uint32_t  i;

    i = kong_host_slot(hash, n_slots);

    while (slots[i].bucket != pos) {
        if (slots[i].bucket == 0 || v->budget == 0) {
            return 0;
        }

        v->budget--;

        if (++i == n_slots) {
            i = 0;
        }
    }

    return slots[i].hash == (uint32_t) hash;
}


/* in preorder, which is how most of it lies */
static kong_segment_rc_t
kong_verify_trie(verify_t *v)
{
    uint32_t           depth;
    verify_frame_t     stack[KONG_TRIE_DEPTH_MAX];
    kong_segment_rc_t  rc;

    rc = kong_verify_node(v, &stack[0]);

    if (rc != KONG_SEGMENT_OK) {
        return rc;
    }

    depth = 1;

    while (depth != 0) {

        if (stack[depth - 1].left == 0) {
            depth--;
            continue;
        }

        if (depth == KONG_TRIE_DEPTH_MAX
            || !kong_verify_go(v, stack[depth - 1].node
                                  + kong_u32(v->base
                                             + stack[depth - 1].link)))
        {
            return KONG_SEGMENT_OFFSET;
        }

        stack[depth - 1].link += sizeof(uint32_t);
        stack[depth - 1].left--;

        rc = kong_verify_node(v, &stack[depth]);

        if (rc != KONG_SEGMENT_OK) {
            return rc;
        }

        depth++;
    }

    return KONG_SEGMENT_OK;
}


static kong_segment_rc_t
kong_verify_node(verify_t *v, verify_frame_t *f)
{
    uint32_t            w, cands;
    const uint8_t      *p, *fan;
    kong_segment_rc_t   rc;

    kong_segment_rest(v->seg, 2);
    f->node = (uint32_t) v->pos;
    p = kong_verify_take(v, sizeof(uint32_t));

    if (p == NULL) {
        return KONG_SEGMENT_OFFSET;
    }

    w = kong_u32(p);
    cands = kong_node_cands(w);

    if (cands == KONG_TRIE_MANY) {
        p = kong_verify_take(v, sizeof(uint32_t));

        if (p == NULL) {
            return KONG_SEGMENT_OFFSET;
        }

        cands = kong_u32(p);
    }

    f->left = kong_node_children(w);

    if (kong_verify_take(v, kong_pad4(kong_node_label(w))) == NULL
        || (fan = kong_verify_take(v, kong_fan_size(f->left))) == NULL
        || kong_verify_fan(fan, f->left) != KONG_SEGMENT_OK)
    {
        return KONG_SEGMENT_OFFSET;
    }

    f->link = (uint32_t) v->pos;

    if (kong_verify_take(v, (uint64_t) f->left * sizeof(uint32_t)) == NULL) {
        return KONG_SEGMENT_OFFSET;
    }

    rc = kong_verify_cands(v, cands);

    if (rc == KONG_SEGMENT_OK && kong_node_switch(w)) {
        rc = kong_verify_switch(v);
    }

    return rc;
}


/* as with the hosts: every list is found under its own value */
static kong_segment_rc_t
kong_verify_switch(verify_t *v)
{
    uint32_t                  i, n;
    kong_segment_rc_t         rc;
    const kong_switch_t      *sw;
    const kong_index_slot_t  *slots;

    sw = (const void *) kong_verify_take(v, sizeof(kong_switch_t));

    if (sw == NULL) {
        return KONG_SEGMENT_OFFSET;
    }

    for (i = 0; i < sw->n_names; i++) {
        if (!kong_verify_str(v)) {
            return KONG_SEGMENT_OFFSET;
        }
    }

    slots = (const void *) kong_verify_take(v, (uint64_t) sw->n_slots
                                               * sizeof(kong_index_slot_t));
    if (slots == NULL) {
        return KONG_SEGMENT_OFFSET;
    }

    for (n = 0, i = 0; i < sw->n_slots; i++) {
        n += (slots[i].bucket != 0);
    }

    if (n != sw->n_lists || n >= sw->n_slots) {
        return KONG_SEGMENT_OFFSET;
    }

    for (i = 0; i < sw->n_lists; i++) {
        rc = kong_verify_list(v, sw, slots);

        if (rc != KONG_SEGMENT_OK) {
            return rc;
        }
    }

    return KONG_SEGMENT_OK;
}


static kong_segment_rc_t
kong_verify_list(verify_t *v, const kong_switch_t *sw,
    const kong_index_slot_t *slots)
{
    uint32_t                   pos, n;
    uint64_t                   hash;
    const uint8_t             *p;
    const kong_switch_list_t  *list;

    pos = (uint32_t) (v->base + v->pos - (const uint8_t *) sw);
    list = (const void *) kong_verify_take(v, sizeof(kong_switch_list_t));

    if (list == NULL || list->name >= sw->n_names
        || (list->n == KONG_SWITCH_MANY
            && kong_verify_take(v, sizeof(uint32_t)) == NULL)
        || kong_verify_take(v, kong_pad4((uint32_t) list->len)) == NULL)
    {
        return KONG_SEGMENT_OFFSET;
    }

    n = kong_switch_count(list, &p);
    hash = kong_switch_hash(list->name, (const char *) p, list->len);

    if (!kong_verify_slot(v, slots, sw->n_slots, hash, pos)) {
        return KONG_SEGMENT_OFFSET;
    }

    return kong_verify_cands(v, n);
}


/* a bitmap has as many bits as there are children, and counts them right */
static kong_segment_rc_t
kong_verify_fan(const uint8_t *fan, uint32_t n)
{
    uint32_t           i, sum;
    const kong_fan_t  *f;

    if (n <= KONG_TRIE_SPARSE_MAX) {
        return KONG_SEGMENT_OK;
    }

    f = (const kong_fan_t *) (const void *) fan;
    sum = 0;

    for (i = 0; i < 8; i++) {
        if (f->before[i] != (uint8_t) sum) {
            return KONG_SEGMENT_OFFSET;
        }

        sum += (uint32_t) __builtin_popcount(f->bits[i]);
    }

    return (sum == n) ? KONG_SEGMENT_OK : KONG_SEGMENT_OFFSET;
}


static kong_segment_rc_t
kong_verify_cands(verify_t *v, uint32_t n)
{
    uint32_t            i, target;
    const kong_cand_t  *c;

    c = (const void *) kong_verify_take(v, (uint64_t) n
                                           * sizeof(kong_cand_t));
    if (c == NULL) {
        return KONG_SEGMENT_OFFSET;
    }

    for (i = 0; i < n; i++) {
        target = c[i].target & ~KONG_CAND_COND;

        if (c[i].rank == KONG_NONE
            || (i != 0 && c[i].rank < c[i - 1].rank))
        {
            return KONG_SEGMENT_OFFSET;
        }

        if (target >= ((c[i].target & KONG_CAND_COND)
                       ? v->n_conds
                       : v->seg->sections[KONG_SECTION_ROUTES].n))
        {
            return KONG_SEGMENT_OFFSET;
        }
    }

    return KONG_SEGMENT_OK;
}
