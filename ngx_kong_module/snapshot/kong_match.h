/*
 * kong_match: which route serves this request.  The result equals that of
 * Kong's router flavor "traditional_compatible" (routing.md); the cost does
 * not depend on the number of routes.  Pure function of segment and request:
 * no allocation, no lock, no clock.
 */

#ifndef KONG_MATCH_H
#define KONG_MATCH_H

#include "kong_segment.h"


typedef struct kong_match_req_s  kong_match_req_t;

struct kong_match_req_s {
    kong_str_t   path;         /* normalised (kong_path.h), without query */
    kong_str_t   host;         /* lower case, without port; may be empty */
    uint16_t     port;         /* of the Host header, else the (mapped)
                                  listening port */
    unsigned     https:1;      /* scheme of the connection */
    kong_str_t   method;       /* as sent */
    kong_str_t   sni;          /* lower case, without trailing dot */

    /*
     * The nth (0-based) value of the header with this lower-case name.
     * Returns 0 when there is no nth one.  Called only for routes that have
     * header rules.
     */
    int        (*header)(void *data, const kong_str_t *name, unsigned nth,
                         kong_str_t *value);

    /*
     * Runs regex `index` of the segment on the subject, from its byte `from`
     * on (what is before it can be looked back at).  Returns the end of the
     * match (bytes of the subject, >= 0), or -1 for no match or a failure (a
     * limit was hit, it could not be compiled).
     */
    int        (*regex)(void *data, uint32_t index, const char *subject,
                        size_t len, size_t from);
    void        *data;
};

typedef struct {
    uint32_t     route;        /* index into seg->routes */
    uint32_t     regex;        /* the path regex that matched, or KONG_NONE */
    uint32_t     regex_from;   /* and where it began: behind its literal
                                  beginning */
    uint32_t     path_len;     /* bytes of path that the rule matched; 0 when
                                  the route has no paths */
    unsigned     has_path:1;   /* the rule has a path */
} kong_match_t;


/* 1 and *out, or 0 when no route matches */
int kong_match(const kong_segment_t *seg, const kong_match_req_t *req,
    kong_match_t *out);

#endif
