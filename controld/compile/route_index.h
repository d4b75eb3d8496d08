/*
 * route_index: rules of routes -> the sections INDEX and PREDICATES, and the
 * list of regexes they use.  Takes plain structs, so that tests and
 * benchmarks need no configuration; config.c fills them from entities.
 *
 * Order and meaning are those of Kong's router flavor
 * "traditional_compatible".
 */

#ifndef KONG_ROUTE_INDEX_H
#define KONG_ROUTE_INDEX_H

#include "../../ngx_kong_module/snapshot/kong_segment.h"


typedef struct {
    kong_str_t         name;
    const kong_str_t  *values;       /* "~*" in front: a regex */
    uint32_t           n_values;
} route_header_t;

/* strings are the caller's and are only read */
typedef struct {
    uint8_t                id[16];
    uint32_t               route;          /* its index in the segment */
    int32_t                regex_priority;
    const kong_str_t      *hosts;          /* as configured, with ports */
    const kong_str_t      *paths;          /* "~" in front: a regex */
    const kong_str_t      *methods;
    const kong_str_t      *snis;
    const route_header_t  *headers;
    uint32_t               n_hosts;
    uint32_t               n_paths;
    uint32_t               n_methods;
    uint32_t               n_snis;
    uint32_t               n_headers;
    unsigned               has_hosts:1;    /* hosts is given, if only as an
                                              empty list */
} route_rule_t;

typedef struct {
    kong_str_t             pattern;
    uint32_t               flags;          /* KONG_REGEX_* */
} route_regex_t;

/* an entry (a route and one of its paths) in the order of all; it has its
 * rank for good */
typedef struct {
    uint64_t               prio;
    uint64_t               id[2];          /* big-endian halves, as numbers */
    uint32_t               rank;
    uint32_t               route;
} route_order_t;

typedef struct {
    route_order_t         *entries;        /* malloc'ed */
    size_t                 n;
    size_t                 cap;
} route_ranking_t;

/* bytes of an index that become others: of its head, or a slot */
typedef struct {
    uint32_t               at;
    uint32_t               n;
    uint8_t                bytes[40];
} route_edit_t;

/* malloc'ed; route_index_release() frees it */
typedef struct {
    uint8_t               *index;          /* after a change: what comes
                                              behind the one before */
    size_t                 index_size;
    route_edit_t          *edits;          /* and what changes in that */
    size_t                 n_edits;
    uint8_t               *predicates;
    size_t                 predicates_size;
    uint32_t               n_rules;        /* PREDICATES.n */
    route_regex_t         *regexes;
    uint32_t               n_regexes;
    char                  *text;           /* of the regexes */
    route_ranking_t        order;
} route_index_t;

/*
 * A built index and what changes in it.  `gone` are rules that it was built
 * of (or they came with a change), in the very words; `rules` come to it,
 * perhaps under the same numbers.
 */
typedef struct {
    const uint8_t         *index;
    size_t                 index_size;
    const uint8_t         *predicates;
    size_t                 predicates_size;
    uint32_t               n_regexes;
    route_ranking_t       *order;          /* is emptied, in any case */
    uint32_t               n_routes;       /* records, with the new ones */
    const route_rule_t    *gone;
    size_t                 n_gone;
    const route_rule_t    *rules;
    size_t                 n_rules;
} route_change_t;


/* 0, or -1: *err is a sentence without a full stop, and *bad the number of
 * the rule that it concerns (n when it concerns none) */
int route_index_build(const route_rule_t *rules, size_t n,
    route_index_t *out, size_t *bad, const char **err);
/*
 * 0: *out is what the index becomes; out->regexes are those that come to the
 * others.  -1: it has to be built whole (out of memory or of room, a bad
 * rule, what is rare).
 */
int route_index_change(const route_change_t *change, route_index_t *out);
void route_index_release(route_index_t *ri);
void route_ranking_release(route_ranking_t *order);

#endif
