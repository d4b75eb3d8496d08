/*
 * route_rules: see route_rules.h.
 *
 * Equal patterns are kept once, so that a worker compiles them once and one
 * match runs them once.
 */

#include <stdlib.h>
#include <string.h>

#include "route_rules.h"
#include "../../ngx_kong_module/snapshot/kong_index.h"


static void rules_count(const route_rule_t *r, size_t *text, size_t *n);
static void rules_put_snis(rules_builder_t *rb, const route_rule_t *r);
static void rules_put_header(rules_builder_t *rb, const route_header_t *h);
static unsigned rules_alternates(kong_str_t p);


int
rules_init(rules_builder_t *rb, const route_rule_t *rules, size_t n)
{
    size_t  i, text, regexes;

    memset(rb, 0, sizeof(rules_builder_t));

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

    if (rb->text == NULL || rb->regexes == NULL || rb->table == NULL) {
        return -1;
    }

    rb->next = rb->text;
    memset(rb->table, 0xff, ((size_t) rb->mask + 1) * sizeof(uint32_t));

    return 0;
}


void
rules_release(rules_builder_t *rb)
{
    bytes_release(&rb->conds);
    bytes_release(&rb->starts);
    bytes_release(&rb->rules);
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

    for (i = 0; i < r->n_snis; i++) {
        *text += r->snis[i].len;
    }

    for (i = 0; i < r->n_headers; i++) {
        *text += r->headers[i].name.len;
        *n += r->headers[i].n_values;

        for (j = 0; j < r->headers[i].n_values; j++) {
            *text += r->headers[i].values[j].len;
        }
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

    for (i = 0; i < s.len; i++) {
        rb->next[i] = s.data[i];

        if (s.data[i] >= 'A' && s.data[i] <= 'Z') {
            rb->next[i] |= 0x20;
        }
    }

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
 * that may be absent (followed by a quantifier) is taken back, whole if it
 * is a UTF-8 sequence.  With alternatives nothing is common to all matches.
 */
kong_str_t
rules_regex_prefix(rules_builder_t *rb, kong_str_t p)
{
    char        ch;
    size_t      i;
    kong_str_t  s;

    s.data = rb->next;
    s.len = 0;

    if (rules_alternates(p)) {
        return s;
    }

    for (i = 0; i < p.len; i++) {
        ch = p.data[i];

        if (ch == '\\' && i + 1 < p.len) {
            ch = p.data[++i];

            if ((ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z')
                || (ch >= 'A' && ch <= 'Z') || (ch & 0x80))
            {
                break;
            }

        } else if (ch == '\0' || strchr("\\^$.[|()?*+{", ch) != NULL) {
            break;
        }

        rb->next[s.len++] = ch;
    }

    if (i < p.len && s.len != 0
        && (p.data[i] == '?' || p.data[i] == '*' || p.data[i] == '{'))
    {
        while (--s.len != 0 && (rb->next[s.len] & 0xc0) == 0x80) {
            /* void */
        }
    }

    rb->next += s.len;

    return s;
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


/*
 * Methods become bits; those without one, SNIs and headers go into the
 * route's rules.
 */
void
rules_add(rules_builder_t *rb, const route_rule_t *r, rules_set_t *set)
{
    uint32_t      i, bit;
    size_t        at;
    kong_rules_t  head;

    set->number = 0;
    set->methods = 0;
    memset(&head, 0, sizeof(head));

    for (i = 0; i < r->n_methods; i++) {
        bit = kong_method_bit(r->methods[i].data, r->methods[i].len);
        set->methods |= bit;
        head.n_methods += (bit == KONG_COND_METHOD_OTHER);
    }

    if (head.n_methods == 0 && r->n_snis == 0 && r->n_headers == 0) {
        return;
    }

    head.n_snis = r->n_snis;
    head.n_headers = r->n_headers;

    at = rb->rules.size;
    bytes_put32(&rb->starts, (uint32_t) at);
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
        rules_put_header(rb, &r->headers[i]);
    }

    set->number = rb->first.rule
                  + (uint32_t) (rb->starts.size / sizeof(uint32_t));
}


/* a dot at the end of a name is not part of it */
static void
rules_put_snis(rules_builder_t *rb, const route_rule_t *r)
{
    int         kind;
    uint32_t    i;
    kong_str_t  s;

    for (i = 0; i < r->n_snis; i++) {
        s = rules_lower(rb, r->snis[i]);

        if (s.len > 1 && s.data[s.len - 1] == '.') {
            s.len--;
        }

        kind = rules_wildcard(&s);

        bytes_put32(&rb->rules, (kind < 0) ? KONG_HOST_PLAIN
                                           : (uint32_t) kind);
        bytes_put_str(&rb->rules, s.data, s.len);
    }
}


/* plain values before regexes: they are cheaper to test */
static void
rules_put_header(rules_builder_t *rb, const route_header_t *h)
{
    uint32_t    i, pass, regex;
    kong_str_t  s;

    bytes_put32(&rb->rules, h->n_values);
    s = rules_lower(rb, h->name);
    bytes_put_str(&rb->rules, s.data, s.len);

    for (pass = 0; pass < 2; pass++) {
        for (i = 0; i < h->n_values; i++) {
            s = h->values[i];

            if ((s.len >= 2 && memcmp(s.data, "~*", 2) == 0) != pass) {
                continue;
            }

            regex = KONG_NONE;
            s = rules_lower(rb, s);

            if (pass == 1) {
                s.data += 2;
                s.len -= 2;
                regex = rules_regex(rb, s, KONG_REGEX_CASELESS);
                s.len = 0;
            }

            bytes_put32(&rb->rules, regex);
            bytes_put_str(&rb->rules, s.data, s.len);
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

    if (rb->conds.failed || rb->starts.failed || rb->rules.failed
        || base > KONG_SEGMENT_SIZE_MAX - rb->rules.size)
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
