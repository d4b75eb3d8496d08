/*
 * route_rules: what the match tests besides host and path: the section
 * PREDICATES, and the regexes of paths and headers.  Part of route_index.
 *
 * What a candidate tests is first wanted, then numbered when the candidate is
 * written: what none tests any more (the header by whose value they are
 * found) is not in the segment.
 */

#ifndef KONG_ROUTE_RULES_H
#define KONG_ROUTE_RULES_H

#include "bytes.h"
#include "route_index.h"
#include "../../ngx_kong_module/snapshot/kong_index.h"


/* numbers that are taken: those made here go on from them */
typedef struct {
    uint32_t          cond;
    uint32_t          rule;
    uint32_t          regex;
} rules_first_t;

/* the rules of a route: the numbers of those that have been written */
typedef struct {
    uint32_t            whole;       /* + 1 as in a condition; 0: not yet */
    uint32_t            part;        /* without the header `skipped` */
    uint32_t            skipped;
} rules_seen_t;

typedef struct {
    rules_first_t       first;
    const route_rule_t *source;
    bytes_t             wanted;      /* rules_want_t[] */
    rules_seen_t       *seen;        /* one a route */
    bytes_t             conds;       /* kong_cond_t[] */
    bytes_t             starts;      /* of the rules, relative to them */
    bytes_t             rules;
    route_regex_t      *regexes;
    uint32_t            n_regexes;
    uint32_t           *table;       /* of regexes, by hash */
    uint32_t            mask;        /* of the table */
    char               *text;        /* lower-cased and unescaped strings */
    char               *next;        /* free place in it */
} rules_builder_t;

#define RULES_ALL  KONG_NONE         /* no header is skipped */


/* 0 or -1, out of memory */
int rules_init(rules_builder_t *rb, const route_rule_t *rules, size_t n);
void rules_release(rules_builder_t *rb);

/* bits of a condition's flags */
uint32_t rules_methods(const route_rule_t *r);
/* has it anything but methods, a port and a path? */
unsigned rules_any(const route_rule_t *r);

/*
 * An item's target: the route itself, or a condition that is wanted.
 * cond->rules is the route's number in `source` + 1, or 0.  Equal ones are
 * looked for behind the first `from` of their kind (with rules, without).
 */
uint32_t rules_want(rules_builder_t *rb, const kong_cond_t *cond,
    size_t from);
size_t rules_wanted(const rules_builder_t *rb, unsigned any_rules);
/* the rule behind an item's target; NULL when there is none */
const route_rule_t *rules_of(const rules_builder_t *rb, uint32_t target);
/* a candidate's target from an item's.  skip: the number of the header that
 * it need not test, or RULES_ALL */
uint32_t rules_target(rules_builder_t *rb, uint32_t target, uint32_t skip);
/* the section; frees nothing */
void rules_finish(rules_builder_t *rb, bytes_t *out);

uint32_t rules_regex(rules_builder_t *rb, kong_str_t pattern,
    uint32_t flags);
/* the bytes that every match of a path regex begins with; they are taken off
 * the pattern */
kong_str_t rules_regex_split(rules_builder_t *rb, kong_str_t *pattern);
/* s in lower case, as long as s */
void rules_lower_copy(char *out, const kong_str_t *s);
/* s itself when it has no upper-case letter */
kong_str_t rules_lower(rules_builder_t *rb, kong_str_t s);
/* "~*" in front */
unsigned rules_is_pattern(const kong_str_t *value);

/*
 * Takes the wildcard off a host or SNI.  Returns its kind, or -1 when the
 * wildcard stands for a part of a label.
 */
int rules_wildcard(kong_str_t *host);

#endif
