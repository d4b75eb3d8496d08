/*
 * kong_pages: see kong_pages.h.  Used by the module, which maps what it is
 * made of, and by the daemon's store, which reads it.
 */

#include <string.h>

#include "kong_index.h"
#include "kong_pages.h"


int
kong_pages_is(const void *data, size_t size)
{
    return size >= sizeof(KONG_PAGES_MAGIC)
           && memcmp(data, KONG_PAGES_MAGIC, sizeof(KONG_PAGES_MAGIC)) == 0;
}


kong_segment_rc_t
kong_pages_check(const void *data, size_t size, kong_segment_kind_t kind)
{
    uint32_t             i;
    uint64_t             last;
    const uint32_t      *list;
    const kong_pages_t  *p;

    p = data;

    if (!kong_pages_is(data, size)) {
        return KONG_SEGMENT_FOREIGN;
    }

    if (size < sizeof(kong_pages_t)) {
        return KONG_SEGMENT_TRUNCATED;
    }

    if (p->version != KONG_SEGMENT_VERSION) {
        return KONG_SEGMENT_WRONG_VERSION;
    }

    if (p->kind != (uint32_t) kind) {
        return KONG_SEGMENT_WRONG_KIND;
    }

    if (p->size < sizeof(kong_segment_header_t)
        || p->size > KONG_SEGMENT_SIZE_MAX || p->n == 0)
    {
        return KONG_SEGMENT_LAYOUT;
    }

    last = (p->size - 1) / KONG_SEGMENT_PAGE;

    if (p->n - 1 > last) {
        return KONG_SEGMENT_LAYOUT;
    }

    if (kong_pages_at(p, p->n) > size) {
        return KONG_SEGMENT_TRUNCATED;
    }

    if (kong_pages_at(p, p->n) != size) {
        return KONG_SEGMENT_LAYOUT;
    }

    if (kong_pages_sum(p) != p->checksum) {
        return KONG_SEGMENT_CHECKSUM;
    }

    /* the header of the image is always another one */

    list = kong_pages_list(p);

    for (i = 0; i < p->n; i++) {
        if (i == 0 ? list[i] != 0 : list[i] <= list[i - 1]) {
            return KONG_SEGMENT_OFFSET;
        }
    }

    return (list[p->n - 1] > last) ? KONG_SEGMENT_OFFSET : KONG_SEGMENT_OK;
}


kong_segment_rc_t
kong_pages_check_base(const kong_pages_t *p,
    const kong_segment_header_t *base, size_t size)
{
    uint32_t         i;
    uint64_t         page, end;
    const uint32_t  *list;

    if (size < sizeof(kong_segment_header_t)
        || memcmp(base->magic, KONG_SEGMENT_MAGIC, sizeof(base->magic)) != 0
        || base->version != p->version || base->kind != p->kind
        || base->generation != p->base || base->size != size
        || base->checksum != p->base_checksum)
    {
        return KONG_SEGMENT_BASE;
    }

    /* what the base does not have is in the list: the last pages of it */

    page = size / KONG_SEGMENT_PAGE;
    end = (p->size + KONG_SEGMENT_PAGE - 1) / KONG_SEGMENT_PAGE;

    if (p->size <= size) {
        return KONG_SEGMENT_OK;
    }

    if (end - page > p->n) {
        return KONG_SEGMENT_OFFSET;
    }

    list = kong_pages_list(p) + p->n - (end - page);

    for (i = 0; page < end; i++, page++) {
        if (list[i] != page) {
            return KONG_SEGMENT_OFFSET;
        }
    }

    return KONG_SEGMENT_OK;
}


uint64_t
kong_pages_sum(const kong_pages_t *p)
{
    XXH3_state_t  state;
    kong_pages_t  head;

    head = *p;
    head.checksum = 0;

    XXH3_INITSTATE(&state);
    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, &head, sizeof(head));
    XXH3_64bits_update(&state, kong_pages_list(p), p->n * sizeof(uint32_t));

    return XXH3_64bits_digest(&state);
}
