/*
 * kong_base64: decoding of base64 as tokens and credentials use it.  Plain C
 * for the module, the unit tests and the fuzzers.
 */

#ifndef KONG_BASE64_H
#define KONG_BASE64_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>


typedef enum {
    KONG_BASE64_URL = 0,             /* RFC 7515: "-" and "_", no padding, no
                                        stray bits: one text for one value */
    KONG_BASE64_STD,                 /* "+" and "/", padding may be missing */
    KONG_BASE64_ANY                  /* as STD, of either alphabet */
} kong_base64_t;

/* bytes that decoding may write */
#define kong_base64_size(len)  ((len) / 4 * 3 + 3)


/* the number of bytes in `out`, or -1.  `out` may be `in` */
ssize_t kong_base64_decode(const char *in, size_t len, kong_base64_t kind,
    uint8_t *out);

/* characters that encoding writes */
#define kong_base64url_length(len)  (((len) * 4 + 2) / 3)

/* without padding, not NUL-ended; returns the number of characters */
size_t kong_base64url_encode(const uint8_t *in, size_t len, char *out);

#endif
