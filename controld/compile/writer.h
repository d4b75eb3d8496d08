/*
 * writer: puts a segment together: strings, sections in any order, then the
 * header with its checksum.  Refs are known as soon as a string is added,
 * because the strings come first, at a fixed place.
 */

#ifndef KONG_WRITER_H
#define KONG_WRITER_H

#include "bytes.h"
#include "compile.h"


#define WRITER_SECTIONS  16

/* the strings' place: behind a table of the largest size */
#define WRITER_STRINGS                                                      \
    ((sizeof(kong_segment_header_t)                                         \
      + (WRITER_SECTIONS + 1) * sizeof(kong_section_t)                      \
      + KONG_SEGMENT_ALIGN - 1) / KONG_SEGMENT_ALIGN * KONG_SEGMENT_ALIGN)

typedef struct {
    kong_segment_kind_t  kind;
    size_t               first;      /* bytes of strings before these */
    bytes_t              strings;
    uint32_t            *table;      /* refs of shared strings, by hash */
    size_t               n_table;
    size_t               n_shared;
    struct {
        uint32_t         id;
        uint32_t         n;
        bytes_t          bytes;
    } sections[WRITER_SECTIONS];
    unsigned             n_sections;
    unsigned             failed;     /* sticky */
} writer_t;


void writer_init(writer_t *w, kong_segment_kind_t kind);
void writer_release(writer_t *w);

/* a ref; equal strings share one when they come through writer_string() */
uint32_t writer_string(writer_t *w, const char *s, size_t len);
uint32_t writer_new_string(writer_t *w, const char *s, size_t len);

/* n records of `size` bytes, zeroed, to be filled in by the caller; stays
 * where it is until writer_finish().  NULL after a failure */
void *writer_records(writer_t *w, kong_section_id_t id, size_t n,
    size_t size);
/* fewer records than announced.  0, or -1 after a failure */
int writer_shrink(writer_t *w, kong_section_id_t id, size_t n, size_t size);
/* a section of bytes made elsewhere; takes over *data (malloc'ed) */
void writer_take(writer_t *w, kong_section_id_t id, size_t n, uint8_t *data,
    size_t size);

/* counts, hash and flags come from *head, the rest is filled in.  0, or -1
 * after any failure */
int writer_finish(writer_t *w, const kong_segment_header_t *head,
    segment_buf_t *out);

#endif
