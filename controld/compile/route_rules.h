/*
 * route_rules: what the match tests besides host and path: the section
 * PREDICATES, and the regexes of paths and headers.  Part of route_index.
 */

#ifndef KONG_ROUTE_RULES_H
#define KONG_ROUTE_RULES_H

#include "bytes.h"
#include "route_index.h"


/* numbers that are taken: those made here go on from them */
typedef struct {
    uint32_t          cond;
    uint32_t          rule;
    uint32_t          regex;
} rules_first_t;

typedef struct {
    rules_first_t     first;
    bytes_t           conds;         /* kong_cond_t[] */
    bytes_t           starts;        /* of the rules, relative to them */
    bytes_t           rules;
    route_regex_t    *regexes;
    uint32_t          n_regexes;
    uint32_t         *table;         /* of regexes, by hash */
    uint32_t          mask;          /* of the table */
    char             *text;          /* lower-cased and unescaped strings */
    char             *next;          /* free place in it */
} rules_builder_t;

/* what all conditions of one route share */
typedef struct {
    uint32_t          number;        /* of its rules + 1, or 0 */
    uint32_t          methods;
} rules_set_t;


/* 0 or -1, out of memory */
int rules_init(rules_builder_t *rb, const route_rule_t *rules, size_t n);
void rules_release(rules_builder_t *rb);

void rules_add(rules_builder_t *rb, const route_rule_t *r, rules_set_t *set);
/* the section; frees nothing */
void rules_finish(rules_builder_t *rb, bytes_t *out);

uint32_t rules_regex(rules_builder_t *rb, kong_str_t pattern,
    uint32_t flags);
/* the bytes that every match of a path regex begins with */
kong_str_t rules_regex_prefix(rules_builder_t *rb, kong_str_t pattern);
/* s itself when it has no upper-case letter */
kong_str_t rules_lower(rules_builder_t *rb, kong_str_t s);

/*
 * Takes the wildcard off a host or SNI.  Returns its kind, or -1 when the
 * wildcard stands for a part of a label.
 */
int rules_wildcard(kong_str_t *host);

#endif
