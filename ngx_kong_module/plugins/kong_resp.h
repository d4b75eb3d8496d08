/*
 * kong_resp: the protocol of Redis (RESP2) as bytes: commands out, values in.
 * Plain C for the module, the unit tests and the fuzzers; nothing allocates.
 * What a server sends is foreign: every length is proved before it is used.
 */

#ifndef KONG_RESP_H
#define KONG_RESP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../snapshot/kong_segment.h"


/* the longest value that is read: more is an error */
#define KONG_RESP_VALUE_MAX  8192

/* bytes of a command's head, and of an argument beside its text */
#define KONG_RESP_OVERHEAD   32

typedef enum {
    KONG_RESP_STRING = 0,            /* simple or bulk */
    KONG_RESP_ERROR,
    KONG_RESP_INTEGER,
    KONG_RESP_NULL,
    KONG_RESP_ARRAY                  /* its elements follow as values */
} kong_resp_kind_t;

typedef struct {
    kong_resp_kind_t  kind;
    int64_t           integer;       /* of an integer; elements of an array */
    kong_str_t        text;          /* of a string or an error */
} kong_resp_t;


/* each writes at p and returns the end: the head of a command of `n`
 * arguments, then the arguments */
uint8_t *kong_resp_command(uint8_t *p, size_t n);
uint8_t *kong_resp_argument(uint8_t *p, const void *data, size_t len);

/*
 * The value at `in`: its length, 0 when there is not all of it yet, or -1
 * when it is none or too long.  An array's is that of its head alone, so that
 * nothing is read twice when an answer comes in pieces.
 */
ssize_t kong_resp_value(const uint8_t *in, size_t len, kong_resp_t *value);

/* what a counter holds: an integer, its text, or nothing, which is 0; -1 when
 * the value is none of these */
int kong_resp_number(const kong_resp_t *value, int64_t *n);

#endif
