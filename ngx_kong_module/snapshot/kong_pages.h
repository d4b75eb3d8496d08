/*
 * kong_pages: a file of changed pages.  A small change of a large segment is
 * written as the pages that differ from a whole segment which is on the disk
 * already; whoever opens it sees one image, the base with these pages in
 * their places.  The bytes are described in docs/segment-format.md.
 */

#ifndef KONG_PAGES_H
#define KONG_PAGES_H

#include "kong_segment.h"


#define KONG_PAGES_MAGIC  "KONGPAG"             /* 8 bytes with its NUL */

/* the list of page numbers follows, ascending, then zeros up to a multiple of
 * KONG_SEGMENT_PAGE, then the pages; one that the image ends in is filled up
 * with zeros */
typedef struct {
    char      magic[8];
    uint32_t  version;               /* KONG_SEGMENT_VERSION */
    uint32_t  kind;
    uint32_t  generation;
    uint32_t  base;                  /* generation of the whole segment */
    uint64_t  base_checksum;         /* its header's */
    uint64_t  size;                  /* of the image */
    uint32_t  n;                     /* pages */
    uint32_t  reserved;
    uint64_t  checksum;              /* XXH3-64 of this, with this field as 0,
                                        and of the list behind it */
} kong_pages_t;


/* does the file begin like one? */
int kong_pages_is(const void *data, size_t size);
/* proves head and list of a whole file, so that all of its pages are there */
kong_segment_rc_t kong_pages_check(const void *data, size_t size,
    kong_segment_kind_t kind);
/* is a file of this header and size the base that is meant, and are all pages
 * in one of the two? */
kong_segment_rc_t kong_pages_check_base(const kong_pages_t *p,
    const kong_segment_header_t *base, size_t size);
/* what `checksum` should be */
uint64_t kong_pages_sum(const kong_pages_t *p);


static inline const uint32_t *
kong_pages_list(const kong_pages_t *p)
{
    return (const uint32_t *) (p + 1);
}


/* where in the file the i-th page of the list is */
static inline uint64_t
kong_pages_at(const kong_pages_t *p, uint32_t i)
{
    return (sizeof(kong_pages_t) + (uint64_t) p->n * sizeof(uint32_t)
            + KONG_SEGMENT_PAGE - 1) / KONG_SEGMENT_PAGE * KONG_SEGMENT_PAGE
           + (uint64_t) i * KONG_SEGMENT_PAGE;
}

#endif
