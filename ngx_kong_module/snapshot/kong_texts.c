/*
 * kong_texts: see kong_texts.h.
 */

#include "kong_texts.h"


kong_segment_rc_t
kong_texts_verify(const kong_segment_t *seg)
{
    uint32_t      i;
    kong_texts_t  t;

    for (i = 0; i < seg->sections[KONG_SECTION_TEXTS].n; i++) {
        t = kong_texts(seg, i);

        if (!kong_segment_ref_ok(seg, t.route)
            || !kong_segment_ref_ok(seg, t.service)
            || !kong_segment_ref_ok(seg, t.consumer)
            || !kong_segment_ref_ok(seg, t.workspace))
        {
            return KONG_SEGMENT_OFFSET;
        }
    }

    return KONG_SEGMENT_OK;
}
