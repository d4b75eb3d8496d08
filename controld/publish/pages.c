/*
 * pages: see pages.h.  Used by the store.
 */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pages.h"
#include "../../ngx_kong_module/snapshot/kong_pages.h"


uint32_t
pages_base(const segment_buf_t *buf, kong_segment_kind_t kind)
{
    if (kong_pages_check(buf->data, buf->size, kind) != KONG_SEGMENT_OK) {
        return 0;
    }

    return ((const kong_pages_t *) (const void *) buf->data)->base;
}


uint32_t
pages_base_of(int fd)
{
    kong_pages_t  head;

    if (pread(fd, &head, sizeof(head), 0) != (ssize_t) sizeof(head)
        || !kong_pages_is(&head, sizeof(head)))
    {
        return 0;
    }

    return head.base;
}


kong_segment_rc_t
pages_apply(segment_buf_t *pages, const segment_buf_t *base)
{
    size_t               at, len;
    uint32_t             i;
    uint8_t             *image;
    const uint32_t      *list;
    const kong_pages_t  *p;
    kong_segment_rc_t    rc;

    p = (const kong_pages_t *) (const void *) pages->data;
    rc = kong_pages_check_base(p, (const void *) base->data, base->size);

    if (rc != KONG_SEGMENT_OK) {
        return rc;
    }

    image = malloc(p->size);

    if (image == NULL) {
        return KONG_SEGMENT_TRUNCATED;
    }

    /* what the base does not have is in the pages */

    memcpy(image, base->data, base->size < p->size ? base->size : p->size);
    list = kong_pages_list(p);

    for (i = 0; i < p->n; i++) {
        at = (size_t) list[i] * KONG_SEGMENT_PAGE;
        len = p->size - at;
        memcpy(image + at, pages->data + kong_pages_at(p, i),
               (len < KONG_SEGMENT_PAGE) ? len : KONG_SEGMENT_PAGE);
    }

    len = p->size;
    segment_buf_release(pages);
    pages->data = image;
    pages->size = len;

    return KONG_SEGMENT_OK;
}
