/*
 * kong_match: the way of a request through the index.
 *
 * At most a handful of tries are walked, once each: of the plain host, of the
 * wildcard hosts that match, of the routes without host.  Every node passed
 * may carry a list of candidates, sorted by rank; the lists are then merged
 * and the first candidate whose conditions hold is the answer.  So nothing
 * below the best is ever tested, and regexes run only if they could win.
 */

#include "kong_index.h"
#include "kong_match.h"


#define MATCH_LISTS  32         /* merged at once; more are merged in turns */
#define MATCH_MEMO   8          /* regex results remembered in one match */

typedef struct {
    const kong_cand_t       *pos;
    const kong_cand_t       *end;
    uint32_t                 depth;    /* bytes of the path that lead here */
} match_list_t;

typedef struct {
    const kong_segment_t    *seg;
    const kong_match_req_t  *req;
    kong_match_t            *out;
    uint32_t                 best;     /* rank of *out; KONG_NONE: nothing */
    uint32_t                 n;
    uint32_t                 method;   /* its bit; 0: not looked at yet */
    uint32_t                 n_memo;
    match_list_t             lists[MATCH_LISTS];
    struct {
        uint32_t             regex;
        uint32_t             from;
        int                  end;
    } memo[MATCH_MEMO];
} match_ctx_t;


static void match_hosts(match_ctx_t *ctx, const kong_index_t *index);
static void match_host(match_ctx_t *ctx, const kong_index_t *index,
    kong_host_kind_t kind, const char *host, size_t len);
static void match_trie(match_ctx_t *ctx, const uint8_t *node);
static void match_push(match_ctx_t *ctx, const uint8_t *cands, uint32_t n,
    uint32_t depth);
static void match_switch(match_ctx_t *ctx, const uint8_t *p, uint32_t depth);
static void match_run(match_ctx_t *ctx);
static int match_cond(match_ctx_t *ctx, const kong_cond_t *cond,
    uint32_t depth);
static int match_path_regex(match_ctx_t *ctx, uint32_t regex,
    uint32_t from);
static int match_rules(match_ctx_t *ctx, const uint8_t *rules);
static const uint8_t *match_sni(const match_ctx_t *ctx, const uint8_t *p,
    uint32_t n, int *ok);
static const uint8_t *match_header(const match_ctx_t *ctx, const uint8_t *p,
    int *ok);


int
kong_match(const kong_segment_t *seg, const kong_match_req_t *req,
    kong_match_t *out)
{
    match_ctx_t          ctx;
    const kong_index_t  *index;

    if (seg->index == NULL) {
        return 0;
    }

    index = (const kong_index_t *) (const void *) seg->index;

    ctx.seg = seg;
    ctx.req = req;
    ctx.out = out;
    ctx.best = KONG_NONE;
    ctx.n = 0;
    ctx.method = 0;
    ctx.n_memo = 0;

    if (index->n_hosts != 0 && req->host.len != 0) {
        match_hosts(&ctx, index);
    }

    if (index->root != 0) {
        match_trie(&ctx, seg->index + index->root);
    }

    match_run(&ctx);

    return ctx.best != KONG_NONE;
}


/* the plain host, then every label boundary where a wildcard could stand */
static void
match_hosts(match_ctx_t *ctx, const kong_index_t *index)
{
    size_t       i, len;
    const char  *host;

    host = ctx->req->host.data;
    len = ctx->req->host.len;

    match_host(ctx, index, KONG_HOST_PLAIN, host, len);

    if ((index->suffix_lens | index->prefix_lens) == 0) {
        return;
    }

    for (i = 0; i < len; i++) {
        if (host[i] != '.') {
            continue;
        }

        if (index->suffix_lens & kong_host_len_bit(len - i)) {
            match_host(ctx, index, KONG_HOST_SUFFIX, host + i, len - i);
        }

        if (index->prefix_lens & kong_host_len_bit(i + 1)) {
            match_host(ctx, index, KONG_HOST_PREFIX, host, i + 1);
        }
    }
}


static void
match_host(match_ctx_t *ctx, const kong_index_t *index,
    kong_host_kind_t kind, const char *host, size_t len)
{
    uint32_t                  i;
    uint64_t                  hash;
    const kong_bucket_t      *b;
    const kong_index_slot_t  *slots;

    slots = (const kong_index_slot_t *) (index + 1);
    hash = kong_host_hash(kind, host, len);
    i = kong_host_slot(hash, index->n_slots);

    while (slots[i].bucket != 0) {

        if (slots[i].hash == (uint32_t) hash) {
            b = (const kong_bucket_t *) (const void *)
                (ctx->seg->index + slots[i].bucket);

            if (b->len == len && b->kind == kind
                && memcmp(b + 1, host, len) == 0)
            {
                match_trie(ctx, (const uint8_t *) (b + 1)
                                + kong_pad4((uint32_t) len));
                return;
            }
        }

        if (++i == index->n_slots) {
            i = 0;
        }
    }
}


static inline int
match_label(const uint8_t *a, const uint8_t *b, uint32_t len)
{
    uint64_t  x, y;

    while (len >= 8) {
        memcpy(&x, a, 8);
        memcpy(&y, b, 8);

        if (x != y) {
            return 0;
        }

        a += 8;
        b += 8;
        len -= 8;
    }

    while (len != 0) {
        if (*a++ != *b++) {
            return 0;
        }

        len--;
    }

    return 1;
}


/* the number of the child for this byte, or KONG_NONE */
static inline uint32_t
match_child(const uint8_t *fan, uint32_t n, uint8_t byte)
{
    uint32_t           i, x, w, bit;
    const kong_fan_t  *f;

    if (n <= KONG_TRIE_SPARSE_MAX) {

        /* four bytes at a time: the lowest zero byte of x is the hit */

        for (i = 0; i < n; i += 4) {
            x = kong_u32(fan + i) ^ (0x01010101u * byte);
            x = (x - 0x01010101u) & ~x & 0x80808080u;

            if (x != 0) {
                i += (uint32_t) __builtin_ctz(x) >> 3;
                return (i < n) ? i : KONG_NONE;
            }
        }

        return KONG_NONE;
    }

    f = (const kong_fan_t *) (const void *) fan;
    w = f->bits[byte >> 5];
    bit = 1u << (byte & 31);

    if ((w & bit) == 0) {
        return KONG_NONE;
    }

    w &= bit - 1;

    return f->before[byte >> 5] + (uint32_t) __builtin_popcount(w);
}


/* collects the candidates along the path */
static void
match_trie(match_ctx_t *ctx, const uint8_t *node)
{
    uint32_t        w, n, i, label, cands, depth, left;
    const uint8_t  *p, *fan, *path;

    path = (const uint8_t *) ctx->req->path.data;
    left = (uint32_t) ctx->req->path.len;
    depth = 0;

    for ( ;; ) {

        /* nodes are not aligned: both lines are on their way at once */

        __builtin_prefetch(node + 64);

        w = kong_u32(node);
        p = node + sizeof(uint32_t);
        label = kong_node_label(w);
        n = kong_node_children(w);
        cands = kong_node_cands(w);

        if (cands == KONG_TRIE_MANY) {
            cands = kong_u32(p);
            p += sizeof(uint32_t);
        }

        if (label > left || !match_label(p, path + depth, label)) {
            return;
        }

        depth += label;
        left -= label;
        fan = p + kong_pad4(label);
        p = fan + kong_fan_size(n);

        if (cands != 0) {
            match_push(ctx, p + n * sizeof(uint32_t), cands, depth);
        }

        if (kong_node_switch(w)) {
            match_switch(ctx, p + n * sizeof(uint32_t)
                              + cands * sizeof(kong_cand_t), depth);
        }

        if (left == 0 || n == 0) {
            return;
        }

        i = match_child(fan, n, path[depth]);

        if (i == KONG_NONE) {
            return;
        }

        node += (int32_t) kong_u32(p + i * sizeof(uint32_t));
        depth++;
        left--;
    }
}


static inline void
match_push(match_ctx_t *ctx, const uint8_t *cands, uint32_t n,
    uint32_t depth)
{
    match_list_t  *l;

    if (ctx->n == MATCH_LISTS) {
        match_run(ctx);
    }

    l = &ctx->lists[ctx->n++];
    l->pos = (const kong_cand_t *) (const void *) cands;
    l->end = l->pos + n;
    l->depth = depth;
}


/* a counted string: u32 length, bytes, padding */
static inline kong_str_t
match_str(const uint8_t **p)
{
    kong_str_t  s;

    s.len = kong_u32(*p);
    s.data = (const char *) *p + sizeof(uint32_t);
    *p += sizeof(uint32_t) + kong_pad4((uint32_t) s.len);

    return s;
}


/* the list for this value of the switch's header `name` */
static void
match_switch_value(match_ctx_t *ctx, const kong_switch_t *sw,
    const kong_index_slot_t *slots, uint32_t name, const kong_str_t *value,
    uint32_t depth)
{
    char                       text[KONG_SWITCH_VALUE_MAX];
    size_t                     i;
    uint32_t                   n;
    uint64_t                   hash;
    const uint8_t             *p;
    const kong_switch_list_t  *list;

    if (value->len > sizeof(text)) {
        return;
    }

    for (i = 0; i < value->len; i++) {
        text[i] = value->data[i];

        if (text[i] >= 'A' && text[i] <= 'Z') {
            text[i] |= 0x20;
        }
    }

    hash = kong_switch_hash(name, text, value->len);
    i = kong_host_slot(hash, sw->n_slots);

    while (slots[i].bucket != 0) {

        if (slots[i].hash == (uint32_t) hash) {
            p = (const uint8_t *) sw + slots[i].bucket;
            list = (const kong_switch_list_t *) (const void *) p;
            __builtin_prefetch(p + 64);
            n = kong_switch_count(list, &p);

            if (list->name == name && list->len == value->len
                && memcmp(p, text, value->len) == 0)
            {
                match_push(ctx, p + kong_pad4((uint32_t) value->len), n,
                           depth);
                return;
            }
        }

        if (++i == sw->n_slots) {
            i = 0;
        }
    }
}


/* every value that the request has of the switch's headers */
static void
match_switch(match_ctx_t *ctx, const uint8_t *p, uint32_t depth)
{
    uint32_t              i;
    unsigned              nth;
    kong_str_t            name, value;
    const uint8_t        *slots;
    const kong_switch_t  *sw;

    sw = (const kong_switch_t *) (const void *) p;
    p += sizeof(kong_switch_t);
    slots = p;

    for (i = 0; i < sw->n_names; i++) {
        (void) match_str(&slots);
    }

    for (i = 0; i < sw->n_names; i++) {
        name = match_str(&p);

        for (nth = 0;
             ctx->req->header(ctx->req->data, &name, nth, &value);
             nth++)
        {
            match_switch_value(ctx, sw, (const kong_index_slot_t *)
                               (const void *) slots, i, &value, depth);
        }
    }
}


/*
 * Merges the lists collected so far.  The first candidate that holds is the
 * best of all, because the others rank below it.
 */
static void
match_run(match_ctx_t *ctx)
{
    uint32_t             i, rank;
    match_list_t        *l, *best;
    const kong_cand_t   *cand;
    const kong_cond_t   *conds;

    conds = (const kong_cond_t *) (const void *)
            (ctx->seg->predicates + sizeof(kong_predicates_t));

    for ( ;; ) {
        best = NULL;
        rank = ctx->best;

        for (i = 0; i < ctx->n; i++) {
            l = &ctx->lists[i];

            if (l->pos < l->end && l->pos->rank < rank) {
                best = l;
                rank = l->pos->rank;
            }
        }

        if (best == NULL) {
            break;
        }

        cand = best->pos++;

        if (cand->target & KONG_CAND_COND) {
            if (!match_cond(ctx, &conds[cand->target & ~KONG_CAND_COND],
                            best->depth))
            {
                continue;
            }

        } else {
            ctx->out->route = cand->target;
            ctx->out->regex = KONG_NONE;
            ctx->out->regex_from = 0;
            ctx->out->path_len = best->depth;
            ctx->out->has_path = (best->depth != 0);
        }

        ctx->best = rank;
        break;
    }

    ctx->n = 0;
}


/* cheap tests first */
static int
match_cond(match_ctx_t *ctx, const kong_cond_t *cond, uint32_t depth)
{
    int             end;
    const uint8_t  *base, *start;

    if (cond->flags & KONG_COND_METHODS) {
        if (ctx->method == 0) {
            ctx->method = kong_method_bit(ctx->req->method.data,
                                          ctx->req->method.len);
        }

        if ((cond->flags & ctx->method) == 0) {
            return 0;
        }
    }

    if ((cond->flags & KONG_COND_PORT) && cond->port != ctx->req->port) {
        return 0;
    }

    if (cond->rules != 0) {
        base = ctx->seg->predicates;
        start = base + ((const kong_predicates_t *) (const void *) base)
                       ->n_conds * sizeof(kong_cond_t)
                + sizeof(kong_predicates_t)
                + (cond->rules - 1) * sizeof(uint32_t);

        if (!match_rules(ctx, base + kong_u32(start))) {
            return 0;
        }
    }

    if (cond->regex != KONG_NONE) {
        end = match_path_regex(ctx, cond->regex, depth);

        if (end < 0) {
            return 0;
        }

        ctx->out->path_len = (uint32_t) end;
        ctx->out->has_path = 1;

    } else {
        ctx->out->path_len = depth;
        ctx->out->has_path = (depth != 0);
    }

    ctx->out->route = cond->route;
    ctx->out->regex = cond->regex;
    ctx->out->regex_from = depth;

    return 1;
}


/* routes that share a pattern (one a method, say) run it once */
static int
match_path_regex(match_ctx_t *ctx, uint32_t regex, uint32_t from)
{
    int       end;
    uint32_t  i;

    for (i = 0; i < ctx->n_memo; i++) {
        if (ctx->memo[i].regex == regex && ctx->memo[i].from == from) {
            return ctx->memo[i].end;
        }
    }

    end = ctx->req->regex(ctx->req->data, regex, ctx->req->path.data,
                          ctx->req->path.len, from);

    if (end >= 0 && (size_t) end > ctx->req->path.len) {
        end = (int) ctx->req->path.len;
    }

    if (ctx->n_memo < MATCH_MEMO) {
        ctx->memo[ctx->n_memo].regex = regex;
        ctx->memo[ctx->n_memo].from = from;
        ctx->memo[ctx->n_memo++].end = end;
    }

    return end;
}


static int
match_rules(match_ctx_t *ctx, const uint8_t *p)
{
    int                  ok;
    uint32_t             i;
    kong_str_t           s;
    const kong_rules_t  *rules;

    rules = (const kong_rules_t *) (const void *) p;
    p += sizeof(kong_rules_t);

    /* listed are only methods without a bit of their own */

    ok = (ctx->method != KONG_COND_METHOD_OTHER || rules->n_methods == 0);

    for (i = 0; i < rules->n_methods; i++) {
        s = match_str(&p);

        if (s.len == ctx->req->method.len
            && memcmp(s.data, ctx->req->method.data, s.len) == 0)
        {
            ok = 1;
        }
    }

    if (!ok) {
        return 0;
    }

    if (rules->n_snis != 0) {
        p = match_sni(ctx, p, rules->n_snis, &ok);

        if (!ok) {
            return 0;
        }
    }

    for (i = 0; i < rules->n_headers; i++) {
        p = match_header(ctx, p, &ok);

        if (!ok) {
            return 0;
        }
    }

    return 1;
}


/* a rule on the server name counts for https alone */
static const uint8_t *
match_sni(const match_ctx_t *ctx, const uint8_t *p, uint32_t n, int *ok)
{
    uint32_t    i, kind;
    kong_str_t  s, sni;

    sni = ctx->req->sni;
    *ok = !ctx->req->https;

    for (i = 0; i < n; i++) {
        kind = kong_u32(p);
        p += sizeof(uint32_t);
        s = match_str(&p);

        if (sni.len == 0 || s.len > sni.len
            || (kind == KONG_HOST_PLAIN && s.len != sni.len))
        {
            continue;
        }

        if (kind == KONG_HOST_SUFFIX) {
            *ok |= !memcmp(sni.data + sni.len - s.len, s.data, s.len);

        } else {
            *ok |= !memcmp(sni.data, s.data, s.len);
        }
    }

    return p;
}


/* rule values are lower-case already */
static int
match_value(const kong_str_t *rule, const kong_str_t *value)
{
    char    ch;
    size_t  i;

    if (rule->len != value->len) {
        return 0;
    }

    for (i = 0; i < value->len; i++) {
        ch = value->data[i];

        if (ch >= 'A' && ch <= 'Z') {
            ch |= 0x20;
        }

        if (ch != rule->data[i]) {
            return 0;
        }
    }

    return 1;
}


/* any occurrence of the header, any value of the rule; plain values first
 * (the builder puts them in front) */
static const uint8_t *
match_header(const match_ctx_t *ctx, const uint8_t *p, int *ok)
{
    unsigned                 nth;
    uint32_t                 i, n, regex;
    kong_str_t               name, rule, value;
    const kong_match_req_t  *req;

    req = ctx->req;
    n = kong_u32(p);
    p += sizeof(uint32_t);
    name = match_str(&p);
    *ok = 0;

    for (i = 0; i < n; i++) {
        regex = kong_u32(p);
        p += sizeof(uint32_t);
        rule = match_str(&p);

        for (nth = 0; !*ok && req->header(req->data, &name, nth, &value);
             nth++)
        {
            if (regex == KONG_NONE) {
                *ok = match_value(&rule, &value);

            } else {
                *ok = (req->regex(req->data, regex, value.data, value.len, 0)
                       >= 0);
            }
        }
    }

    return p;
}


uint16_t
kong_method_bit(const char *method, size_t len)
{
    unsigned  i;

    static const struct {
        char      name[8];
        size_t    len;
    } methods[] = {
        { "GET", 3 }, { "POST", 4 }, { "HEAD", 4 }, { "PUT", 3 },
        { "DELETE", 6 }, { "OPTIONS", 7 }, { "PATCH", 5 }, { "TRACE", 5 },
        { "CONNECT", 7 }
    };

    for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (len == methods[i].len
            && memcmp(method, methods[i].name, len) == 0)
        {
            return (uint16_t) (1u << i);
        }
    }

    return KONG_COND_METHOD_OTHER;
}
