/*
 * segment_buf: finished bytes, of one owner or of several.  See compile.h.
 */

#include <stdlib.h>
#include <string.h>

#include "patch.h"
#include "../../ngx_kong_module/snapshot/kong_pages.h"


void
segment_buf_release(segment_buf_t *buf)
{
    if (buf == NULL) {
        return;
    }

    if (buf->data != NULL
        && (buf->refs == NULL
            || __atomic_sub_fetch(buf->refs, 1, __ATOMIC_ACQ_REL) == 0))
    {
        free(buf->data);
        free(buf->refs);
    }

    memset(buf, 0, sizeof(segment_buf_t));
}


int
segment_buf_share(segment_buf_t *buf, segment_buf_t *other)
{
    if (buf->refs == NULL) {
        buf->refs = malloc(sizeof(unsigned));

        if (buf->refs == NULL) {
            return -1;
        }

        *buf->refs = 1;
    }

    (void) __atomic_add_fetch(buf->refs, 1, __ATOMIC_RELAXED);
    *other = *buf;

    return 0;
}


unsigned
segment_buf_is_pages(const segment_buf_t *buf)
{
    return kong_pages_is(buf->data, buf->size) != 0;
}


/* the hash is in the first page, which every change touches */
void
segment_buf_hash(segment_buf_t *buf, compile_state_t *state,
    const char *hash)
{
    size_t                  at, size;
    unsigned                pages;
    const kong_pages_t     *p;
    kong_segment_header_t  *h;

    at = 0;
    size = buf->size;
    pages = segment_buf_is_pages(buf);

    if (pages) {
        p = (const kong_pages_t *) (const void *) buf->data;
        at = kong_pages_at(p, 0);
        size = p->size;
    }

    h = (kong_segment_header_t *) (void *) (buf->data + at);

    h->checksum -= kong_segment_page_hash(h, size, 0);
    memcpy(h->source_hash, hash, sizeof(h->source_hash));
    h->checksum += kong_segment_page_hash(h, size, 0);

    if (!pages && state != NULL && state->image != NULL) {
        state->image->whole_sum = h->checksum;
    }
}
