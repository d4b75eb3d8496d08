/*
 * route_rules: see route_rules.h.
 *
 * Equal patterns are kept once, so that a worker compiles them once and one
 * match runs them once.  A pattern is what is left of a path's regex behind
 * its literal beginning, which is where it hangs: routes that only differ in
 * that share one.
 */

#include <stdlib.h>
#include <string.h>

#include "route_rules.h"


#define RULES_REUSE    8            /* conditions looked at again */
#define RULES_WANTED   0x40000000u  /* of an item's target: not a number yet,
                                       but that of a wanted condition */

/* a condition whose rules have no number yet */
typedef struct {
    kong_cond_t  cond;
    uint32_t     whole;         /* its target for good + 1, or 0 */
    uint32_t     part;          /* the same without the header `skipped` */
    uint32_t     skipped;
} rules_want_t;


static void rules_count(const route_rule_t *r, size_t *text, size_t *n);
static uint32_t rules_put_cond(rules_builder_t *rb, const kong_cond_t *cond);
static uint32_t rules_number(rules_builder_t *rb, uint32_t i, uint32_t skip);
static uint32_t rules_add(rules_builder_t *rb, const route_rule_t *r,
    uint32_t skip);
static void rules_put_snis(rules_builder_t *rb, const route_rule_t *r);
static void rules_put_header(rules_builder_t *rb, const route_header_t *h);
static unsigned rules_is_whole(kong_str_t p);
static unsigned rules_alternates(kong_str_t p);


int
rules_init(rules_builder_t *rb, const route_rule_t *rules, size_t n)
{
    size_t  i, text, regexes;

    memset(rb, 0, sizeof(rules_builder_t));

    rb->source = rules;
    text = 1;
    regexes = 0;

    for (i = 0; i < n; i++) {
        rules_count(&rules[i], &text, &regexes);
    }

    for (rb->mask = 1; rb->mask < 2 * regexes; rb->mask = 2 * rb->mask + 1) {
        /* void */
    }

    rb->text = malloc(text);
    rb->regexes = malloc((regexes + 1) * sizeof(route_regex_t));
    rb->table = malloc(((size_t) rb->mask + 1) * sizeof(uint32_t));

    rb->seen = calloc(n + 1, sizeof(rules_seen_t));

    if (rb->text == NULL || rb->regexes == NULL || rb->table == NULL
        || rb->seen == NULL)
    {
        return -1;
    }

    rb->next = rb->text;
    memset(rb->table, 0xff, ((size_t) rb->mask + 1) * sizeof(uint32_t));

    return 0;
}


void
rules_release(rules_builder_t *rb)
{
    bytes_release(&rb->wanted);
    bytes_release(&rb->conds);
    bytes_release(&rb->starts);
    bytes_release(&rb->rules);
    free(rb->seen);
    free(rb->regexes);
    free(rb->table);
    free(rb->text);
}


/* the most that the strings and regexes of a route can take */
static void
rules_count(const route_rule_t *r, size_t *text, size_t *n)
{
    uint32_t  i, j;

    for (i = 0; i < r->n_hosts; i++) {
        *text += 2 * r->hosts[i].len;     /* one kept, one looked up */
    }

    for (i = 0; i < r->n_paths; i++) {
        if (r->paths[i].len != 0 && r->paths[i].data[0] == '~') {
            *text += r->paths[i].len;
            *n += 1;
        }
    }

    for (i = 0; i < r->n_headers; i++) {
        for (j = 0; j < r->headers[i].n_values; j++) {
            if (rules_is_pattern(&r->headers[i].values[j])) {
                *text += r->headers[i].values[j].len;
                *n += 1;
            }
        }
    }
}


unsigned
rules_is_pattern(const kong_str_t *value)
{
    return value->len >= 2 && memcmp(value->data, "~*", 2) == 0;
}


void
rules_lower_copy(char *out, const kong_str_t *s)
{
    char    ch;
    size_t  i;

    for (i = 0; i < s->len; i++) {
        ch = s->data[i];
        out[i] = (char) (ch | ((ch >= 'A' && ch <= 'Z') << 5));
    }
}


kong_str_t
rules_lower(rules_builder_t *rb, kong_str_t s)
{
    size_t  i;

    for (i = 0; i < s.len; i++) {
        if (s.data[i] >= 'A' && s.data[i] <= 'Z') {
            break;
        }
    }

    if (i == s.len) {
        return s;
    }

    rules_lower_copy(rb->next, &s);
    s.data = rb->next;
    rb->next += s.len;

    return s;
}


int
rules_wildcard(kong_str_t *host)
{
    if (host->len == 0 || memchr(host->data, '*', host->len) == NULL) {
        return KONG_HOST_PLAIN;
    }

    if (host->len > 2 && host->data[0] == '*' && host->data[1] == '.') {
        host->data++;
        host->len--;

        return KONG_HOST_SUFFIX;
    }

    if (host->len > 2 && host->data[host->len - 1] == '*'
        && host->data[host->len - 2] == '.')
    {
        host->len--;

        return KONG_HOST_PREFIX;
    }

    return -1;
}


uint32_t
rules_regex(rules_builder_t *rb, kong_str_t pattern, uint32_t flags)
{
    uint32_t        i, n;
    route_regex_t  *re;

    i = (uint32_t) kong_regex_hash(flags, pattern.data, pattern.len);

    for (i &= rb->mask; rb->table[i] != KONG_NONE; i = (i + 1) & rb->mask) {
        re = &rb->regexes[rb->table[i]];

        if (re->flags == flags && re->pattern.len == pattern.len
            && memcmp(re->pattern.data, pattern.data, pattern.len) == 0)
        {
            return rb->first.regex + rb->table[i];
        }
    }

    n = rb->n_regexes++;
    rb->table[i] = n;
    rb->regexes[n].pattern = pattern;
    rb->regexes[n].flags = flags;

    return rb->first.regex + n;
}


/*
 * Literal characters up to the first one that means something.  A character
 * with a quantifier is the rest's, whole if it is a UTF-8 sequence.  With
 * alternatives nothing is common to all matches; and nothing is taken off a
 * pattern that could tell.
 */
kong_str_t
rules_regex_split(rules_builder_t *rb, kong_str_t *pattern)
{
    char         ch;
    size_t       i, begin, last, last_len;
    kong_str_t   s, p;

    p = *pattern;
    s.data = rb->next;
    s.len = 0;

    if (rules_alternates(p) || rules_is_whole(p)) {
        return s;
    }

    /* patterns are anchored without it */

    i = (p.len != 0 && p.data[0] == '^');
    last = i;
    last_len = 0;

    for ( /* void */ ; i < p.len; i++) {
        begin = i;
        ch = p.data[i];

        if (ch == '\\' && i + 1 < p.len) {
            ch = p.data[i + 1];

            if ((ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z')
                || (ch >= 'A' && ch <= 'Z') || (ch & 0x80))
            {
                break;
            }

            i++;

        } else if (ch == '\0' || strchr("\\^$.[|()?*+{", ch) != NULL) {
            break;
        }

        if ((ch & 0xc0) != 0x80) {
            last = begin;
            last_len = s.len;
        }

        rb->next[s.len++] = ch;
    }

    if (i < p.len && memchr("?*+{", p.data[i], 4) != NULL) {
        i = last;
        s.len = last_len;
    }

    pattern->data += i;
    pattern->len -= i;
    rb->next += s.len;

    return s;
}


/* does it look at where the match began, or call itself?  When in doubt,
 * yes */
static unsigned
rules_is_whole(kong_str_t p)
{
    size_t  i, n;

    static const char *const  words[] = {
        "\\G", "\\g<0", "\\g'0", "\\g<+", "\\g<-", "(?R", "(?0", "(*"
    };

    for (i = 0; i < p.len; i++) {
        for (n = 0; n < sizeof(words) / sizeof(words[0]); n++) {
            if (p.len - i >= strlen(words[n])
                && memcmp(p.data + i, words[n], strlen(words[n])) == 0)
            {
                return 1;
            }
        }
    }

    return 0;
}


/* may there be an alternative outside of all groups?  When in doubt, yes */
static unsigned
rules_alternates(kong_str_t p)
{
    int     depth;
    size_t  i;

    if (memchr(p.data, '|', p.len) == NULL) {
        return 0;
    }

    depth = 0;

    for (i = 0; i < p.len; i++) {
        switch (p.data[i]) {

        case '\\':
            if (++i < p.len && p.data[i] == 'Q') {
                return 1;
            }
            break;

        case '[':
            i++;
            i += (i < p.len && p.data[i] == '^');
            i += (i < p.len && p.data[i] == ']');

            for ( /* void */ ; i < p.len && p.data[i] != ']'; i++) {
                if (p.data[i] == '[' || p.data[i] == '\\') {
                    if (p.data[i] == '[' || (i + 1 < p.len
                                             && p.data[i + 1] == 'Q'))
                    {
                        return 1;
                    }

                    i++;
                }
            }
            break;

        case '(':
            depth++;

            /* options, verbs and comments may change what follows */

            if (i + 1 < p.len && p.data[i + 1] == '*') {
                return 1;
            }

            if (i + 2 < p.len && p.data[i + 1] == '?'
                && strchr(":<P=!>|", p.data[i + 2]) == NULL)
            {
                return 1;
            }
            break;

        case ')':
            depth--;
            break;

        case '|':
            if (depth <= 0) {
                return 1;
            }
            break;
        }
    }

    return 0;
}


uint32_t
rules_methods(const route_rule_t *r)
{
    uint32_t  i, bits;

    for (i = 0, bits = 0; i < r->n_methods; i++) {
        bits |= kong_method_bit(r->methods[i].data, r->methods[i].len);
    }

    return bits;
}


unsigned
rules_any(const route_rule_t *r)
{
    return r->n_snis != 0 || r->n_headers != 0
           || (rules_methods(r) & KONG_COND_METHOD_OTHER);
}


size_t
rules_wanted(const rules_builder_t *rb, unsigned any)
{
    return any ? rb->wanted.size / sizeof(rules_want_t)
               : rb->conds.size / sizeof(kong_cond_t);
}


/* an equal one among the last of those that begin with a condition */
static uint32_t
rules_find(const bytes_t *list, size_t size, size_t from,
    const kong_cond_t *cond)
{
    size_t  i, n;

    n = list->size / size;

    for (i = n; i > from && n - i < RULES_REUSE; i--) {
        if (memcmp(list->data + (i - 1) * size, cond, sizeof(kong_cond_t))
            == 0)
        {
            return (uint32_t) i - 1;
        }
    }

    return KONG_NONE;
}


uint32_t
rules_want(rules_builder_t *rb, const kong_cond_t *cond, size_t from)
{
    uint32_t      i;
    rules_want_t  want;

    if (cond->rules != 0) {
        i = rules_find(&rb->wanted, sizeof(want), from, cond);

        if (i == KONG_NONE) {
            i = (uint32_t) rules_wanted(rb, 1);
            memset(&want, 0, sizeof(want));
            want.cond = *cond;
            bytes_put(&rb->wanted, &want, sizeof(want));
        }

        return KONG_CAND_COND | RULES_WANTED | i;
    }

    if (cond->flags == 0 && cond->regex == KONG_NONE) {
        return cond->route;
    }

    i = rules_find(&rb->conds, sizeof(kong_cond_t), from, cond);

    return (i == KONG_NONE)
           ? rules_put_cond(rb, cond)
           : KONG_CAND_COND | (rb->first.cond + i);
}


static uint32_t
rules_put_cond(rules_builder_t *rb, const kong_cond_t *cond)
{
    size_t  n;

    n = rb->conds.size / sizeof(kong_cond_t);
    bytes_put(&rb->conds, cond, sizeof(kong_cond_t));

    return KONG_CAND_COND | (rb->first.cond + (uint32_t) n);
}


/* NULL when the target is one for good */
static rules_want_t *
rules_wanted_by(const rules_builder_t *rb, uint32_t target)
{
    if ((target & (KONG_CAND_COND|RULES_WANTED))
        != (KONG_CAND_COND|RULES_WANTED))
    {
        return NULL;
    }

    return (rules_want_t *) (void *) rb->wanted.data
           + (target & ~(KONG_CAND_COND|RULES_WANTED));
}


const route_rule_t *
rules_of(const rules_builder_t *rb, uint32_t target)
{
    const rules_want_t  *w;

    w = rules_wanted_by(rb, target);

    return (w == NULL) ? NULL : &rb->source[w->cond.rules - 1];
}


uint32_t
rules_target(rules_builder_t *rb, uint32_t target, uint32_t skip)
{
    kong_cond_t    cond;
    rules_want_t  *w;

    w = rules_wanted_by(rb, target);

    if (w == NULL || rb->wanted.failed) {
        return target;
    }

    if (skip == RULES_ALL && w->whole != 0) {
        return w->whole - 1;
    }

    if (skip != RULES_ALL && w->part != 0 && w->skipped == skip) {
        return w->part - 1;
    }

    cond = w->cond;
    cond.rules = rules_number(rb, cond.rules - 1, skip);

    target = (cond.flags == 0 && cond.rules == 0 && cond.regex == KONG_NONE)
             ? cond.route : rules_put_cond(rb, &cond);

    if (skip == RULES_ALL) {
        w->whole = target + 1;

    } else {
        w->part = target + 1;
        w->skipped = skip;
    }

    return target;
}


/* a route has its rules once, and once without the header that was last
 * skipped */
static uint32_t
rules_number(rules_builder_t *rb, uint32_t i, uint32_t skip)
{
    rules_seen_t  *seen;

    seen = &rb->seen[i];

    if (skip == RULES_ALL) {
        if (seen->whole == 0) {
            seen->whole = rules_add(rb, &rb->source[i], skip);
        }

        return seen->whole;
    }

    if (seen->part == 0 || seen->skipped != skip) {
        seen->part = rules_add(rb, &rb->source[i], skip);
        seen->skipped = skip;
    }

    return seen->part;
}


/* methods without a bit, SNIs and headers; 0 when there are none */
static uint32_t
rules_add(rules_builder_t *rb, const route_rule_t *r, uint32_t skip)
{
    uint32_t      i;
    kong_rules_t  head;

    memset(&head, 0, sizeof(head));

    for (i = 0; i < r->n_methods; i++) {
        head.n_methods += (kong_method_bit(r->methods[i].data,
                                           r->methods[i].len)
                           == KONG_COND_METHOD_OTHER);
    }

    head.n_snis = r->n_snis;
    head.n_headers = r->n_headers - (skip != RULES_ALL);

    if (head.n_methods == 0 && head.n_snis == 0 && head.n_headers == 0) {
        return 0;
    }

    bytes_put32(&rb->starts, (uint32_t) rb->rules.size);
    bytes_put(&rb->rules, &head, sizeof(head));

    for (i = 0; i < r->n_methods; i++) {
        if (kong_method_bit(r->methods[i].data, r->methods[i].len)
            == KONG_COND_METHOD_OTHER)
        {
            bytes_put_str(&rb->rules, r->methods[i].data, r->methods[i].len);
        }
    }

    rules_put_snis(rb, r);

    for (i = 0; i < r->n_headers; i++) {
        if (i != skip) {
            rules_put_header(rb, &r->headers[i]);
        }
    }

    return rb->first.rule + (uint32_t) (rb->starts.size / sizeof(uint32_t));
}


static void
rules_put_lower(bytes_t *out, const kong_str_t *s)
{
    size_t  at;

    at = out->size + sizeof(uint32_t);
    bytes_put_str(out, s->data, s->len);

    if (!out->failed) {
        rules_lower_copy((char *) out->data + at, s);
    }
}


/* a dot at the end of a name is not part of it */
static void
rules_put_snis(rules_builder_t *rb, const route_rule_t *r)
{
    int         kind;
    uint32_t    i;
    kong_str_t  s;

    for (i = 0; i < r->n_snis; i++) {
        s = r->snis[i];

        if (s.len > 1 && s.data[s.len - 1] == '.') {
            s.len--;
        }

        kind = rules_wildcard(&s);

        bytes_put32(&rb->rules, (kind < 0) ? KONG_HOST_PLAIN
                                           : (uint32_t) kind);
        rules_put_lower(&rb->rules, &s);
    }
}


/* plain values before regexes: they are cheaper to test */
static void
rules_put_header(rules_builder_t *rb, const route_header_t *h)
{
    char       *mark;
    uint32_t    i, n, pass, regex;
    kong_str_t  s;

    bytes_put32(&rb->rules, h->n_values);
    rules_put_lower(&rb->rules, &h->name);

    for (pass = 0; pass < 2; pass++) {
        for (i = 0; i < h->n_values; i++) {
            s = h->values[i];

            if (rules_is_pattern(&s) != pass) {
                continue;
            }

            regex = KONG_NONE;

            if (pass == 1) {
                n = rb->n_regexes;
                mark = rb->next;
                s = rules_lower(rb, s);
                s.data += 2;
                s.len -= 2;
                regex = rules_regex(rb, s, KONG_REGEX_CASELESS);
                rb->next = (rb->n_regexes == n) ? mark : rb->next;
                s.len = 0;
            }

            bytes_put32(&rb->rules, regex);
            rules_put_lower(&rb->rules, &s);
        }
    }
}


void
rules_finish(rules_builder_t *rb, bytes_t *out)
{
    size_t             i, n, base;
    uint32_t          *starts;
    kong_predicates_t  head;

    memset(&head, 0, sizeof(head));

    n = rb->starts.size / sizeof(uint32_t);
    head.n_conds = (uint32_t) (rb->conds.size / sizeof(kong_cond_t));
    head.n_rules = (uint32_t) n;

    base = sizeof(head) + rb->conds.size + (n + 1) * sizeof(uint32_t);
    bytes_put32(&rb->starts, (uint32_t) rb->rules.size);

    if (rb->wanted.failed || rb->conds.failed || rb->starts.failed
        || rb->rules.failed || base > KONG_SEGMENT_SIZE_MAX - rb->rules.size)
    {
        out->failed = 1;
        return;
    }

    starts = (uint32_t *) (void *) rb->starts.data;

    for (i = 0; i <= n; i++) {
        starts[i] += (uint32_t) base;
    }

    bytes_put(out, &head, sizeof(head));
    bytes_put(out, rb->conds.data, rb->conds.size);
    bytes_put(out, rb->starts.data, rb->starts.size);
    bytes_put(out, rb->rules.data, rb->rules.size);
}
