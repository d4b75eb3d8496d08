/*
 * kong_texts: routes, services and consumers as the JSON that log records
 * show them in.  In a config segment only while it has a plugin that writes
 * such records.
 */

#ifndef KONG_TEXTS_H
#define KONG_TEXTS_H

#include "kong_segment.h"


/* section TEXTS: what has the number i in its own section has its text in
 * the i-th of these; refs */
typedef struct {
    uint32_t  route;
    uint32_t  service;
    uint32_t  consumer;
    uint32_t  workspace;             /* its id; in the first one only */
} kong_texts_t;


/* zeros when there is none */
static inline kong_texts_t
kong_texts(const kong_segment_t *seg, uint32_t i)
{
    static const kong_texts_t  none;

    if (i >= seg->sections[KONG_SECTION_TEXTS].n) {
        return none;
    }

    return ((const kong_texts_t *) (const void *)
            (seg->base + seg->sections[KONG_SECTION_TEXTS].offset))[i];
}

/* called by kong_segment_open() */
kong_segment_rc_t kong_texts_verify(const kong_segment_t *seg);

#endif
