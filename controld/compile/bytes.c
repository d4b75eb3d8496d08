/*
 * bytes: see bytes.h.  Used by everything that writes a segment.
 */

#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "../../ngx_kong_module/snapshot/kong_segment.h"


static int bytes_grow(bytes_t *b, size_t n);


uint8_t *
bytes_add(bytes_t *b, size_t n)
{
    uint8_t  *p;

    if (n > b->cap - b->size && bytes_grow(b, n) != 0) {
        return NULL;
    }

    p = b->data + b->size;
    b->size += n;

    return p;
}


static int
bytes_grow(bytes_t *b, size_t n)
{
    size_t    cap;
    uint8_t  *p;

    if (b->failed || n > KONG_SEGMENT_SIZE_MAX - b->size) {
        b->failed = 1;
        b->cap = b->size;
        return -1;
    }

    cap = b->cap + b->cap / 2 + 1024;

    if (cap < b->size + n) {
        cap = b->size + n;
    }

    p = realloc(b->data, cap);

    if (p == NULL) {
        b->failed = 1;
        b->cap = b->size;
        return -1;
    }

    b->data = p;
    b->cap = cap;

    return 0;
}


uint8_t *
bytes_zadd(bytes_t *b, size_t n)
{
    uint8_t  *p;

    p = bytes_add(b, n);

    if (p != NULL && n != 0) {
        memset(p, 0, n);
    }

    return p;
}


void
bytes_put(bytes_t *b, const void *data, size_t n)
{
    uint8_t  *p;

    p = bytes_add(b, n);

    if (p != NULL && n != 0) {
        memcpy(p, data, n);
    }
}


void
bytes_put32(bytes_t *b, uint32_t value)
{
    bytes_put(b, &value, sizeof(value));
}


void
bytes_pad(bytes_t *b, size_t to)
{
    if (b->size % to != 0) {
        (void) bytes_zadd(b, to - b->size % to);
    }
}


void
bytes_put_str(bytes_t *b, const char *s, size_t len)
{
    bytes_put32(b, (uint32_t) len);
    bytes_put(b, s, len);
    bytes_pad(b, 4);
}


void
bytes_release(bytes_t *b)
{
    free(b->data);
    memset(b, 0, sizeof(bytes_t));
}
