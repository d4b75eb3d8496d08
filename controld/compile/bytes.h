/*
 * bytes: a growing run of bytes with a sticky failure: a builder appends as
 * it likes and looks at `failed` once, at the end.
 */

#ifndef KONG_BYTES_H
#define KONG_BYTES_H

#include <stddef.h>
#include <stdint.h>


typedef struct {
    uint8_t   *data;
    size_t     size;
    size_t     cap;
    unsigned   failed;       /* out of memory, or larger than a segment */
} bytes_t;


/* n more bytes, not set; NULL after a failure.  Valid until the next call */
uint8_t *bytes_add(bytes_t *b, size_t n);
/* the same, zeroed */
uint8_t *bytes_zadd(bytes_t *b, size_t n);
void bytes_put(bytes_t *b, const void *data, size_t n);
void bytes_put32(bytes_t *b, uint32_t value);
/* zero bytes up to the next multiple of `to` */
void bytes_pad(bytes_t *b, size_t to);
/* u32 length, bytes, padding to 4 */
void bytes_put_str(bytes_t *b, const char *s, size_t len);
void bytes_release(bytes_t *b);

#endif
