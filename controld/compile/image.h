/*
 * image: the segment that small changes are made in, in place.  It knows
 * which of its pages differ from the whole file that was written last, so
 * that a change is a file of these pages (kong_pages.h).
 */

#ifndef KONG_IMAGE_H
#define KONG_IMAGE_H

#include "bytes.h"
#include "compile.h"


typedef struct {
    uint8_t   *base;
    size_t     size;
    size_t     n;                    /* pages */
    uint64_t  *hashes;               /* of the pages */
    uint8_t   *marks;                /* a byte a page: IMAGE_* */
    bytes_t    touched;              /* u32: pages of this change */
    uint64_t   sum;                  /* of the hashes */
    uint32_t   whole;                /* generation of the whole file */
    uint64_t   whole_sum;            /* its checksum */
} image_t;


/* takes over `base`, a whole segment but for its checksum, in any case; *out
 * becomes a copy of it.  NULL: out of memory */
image_t *image_new(uint8_t *base, size_t size, segment_buf_t *out);
void image_free(image_t *im);                          /* NULL is fine */

/* bytes that are the same already cost nothing but a look.  The image must
 * be sealed before anything else is done with it */
void image_write(image_t *im, size_t at, const void *data, size_t n);
/* *out becomes the file of the pages that differ, or where they are many the
 * whole segment.  0, or -1: out of memory; the image is of no use then */
int image_seal(image_t *im, segment_buf_t *out);

#endif
