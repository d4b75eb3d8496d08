/*
 * route_section: see route_section.h.
 */

#include <stdlib.h>

#include "route_section.h"
#include "../../ngx_kong_module/snapshot/kong_index.h"


int
route_section_write(writer_t *w, const route_rule_t *rules, size_t n,
    route_index_t *keep, size_t *bad, const char **err)
{
    size_t          i;
    kong_regex_t   *re;
    route_index_t   ri;
    route_regex_t  *from;

    if (route_index_build(rules, n, &ri, bad, err) != 0) {
        return -1;
    }

    re = writer_records(w, KONG_SECTION_REGEXES, ri.n_regexes,
                        sizeof(kong_regex_t));

    for (i = 0; i < ri.n_regexes && re != NULL; i++) {
        from = &ri.regexes[i];
        re[i].pattern = writer_new_string(w, from->pattern.data,
                                          from->pattern.len);
        re[i].flags = from->flags;
        re[i].hash = kong_regex_hash(from->flags, from->pattern.data,
                                     from->pattern.len);
    }

    writer_take(w, KONG_SECTION_PREDICATES, ri.n_rules, ri.predicates,
                ri.predicates_size);
    writer_take(w, KONG_SECTION_INDEX, 0, ri.index, ri.index_size);

    ri.predicates = NULL;
    ri.index = NULL;

    if (keep != NULL) {
        *keep = ri;

    } else {
        route_index_release(&ri);
    }

    return 0;
}
