/*
 * pages: a file of pages and the whole segment beneath it -> the segment
 * that they are together (kong_pages.h).
 */

#ifndef KONG_PUBLISH_PAGES_H
#define KONG_PUBLISH_PAGES_H

#include "../compile/compile.h"


/* the base of a file; 0: it is none of pages, or no sound one */
uint32_t pages_base(const segment_buf_t *buf, kong_segment_kind_t kind);
/* of an open one, of which only the beginning is read */
uint32_t pages_base_of(int fd);
/* *pages becomes the segment, in malloc'ed memory.  KONG_SEGMENT_OK; or what
 * is wrong, or KONG_SEGMENT_TRUNCATED for want of memory: then it stays */
kong_segment_rc_t pages_apply(segment_buf_t *pages,
    const segment_buf_t *base);

#endif
