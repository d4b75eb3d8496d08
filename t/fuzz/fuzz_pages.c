/*
 * fuzz_pages: bytes -> a whole segment's bytes and a file of pages over it,
 * which are checked and put together as the daemon's store does.  The sum of
 * the head is put right first, and where the first byte says so what the head
 * says of its base.
 */

#include <stdlib.h>
#include <string.h>

#include "controld/publish/pages.h"
#include "ngx_kong_module/snapshot/kong_pages.h"


#define BASE_MAX   (4 * KONG_SEGMENT_PAGE)
#define IMAGE_MAX  (1u << 20)


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int fuzz_split(const uint8_t *data, size_t size, segment_buf_t *base,
    segment_buf_t *file);
static void fuzz_fit(segment_buf_t *file, segment_buf_t *base, int meant);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    segment_buf_t        base, file;
    const kong_pages_t  *p;

    if (size < 4 || fuzz_split(data, size, &base, &file) == -1) {
        return 0;
    }

    fuzz_fit(&file, &base, data[0] & 1);
    p = (const kong_pages_t *) (const void *) file.data;

    if (kong_pages_check(file.data, file.size, KONG_SEGMENT_CONFIG)
        == KONG_SEGMENT_OK
        && p->size <= IMAGE_MAX)
    {
        if (pages_base(&file, KONG_SEGMENT_CONFIG) != p->base) {
            abort();
        }

        (void) pages_apply(&file, &base);
    }

    segment_buf_release(&base);
    segment_buf_release(&file);

    return 0;
}


/* memory of their exact sizes, so that each byte too far is found */
static int
fuzz_split(const uint8_t *data, size_t size, segment_buf_t *base,
    segment_buf_t *file)
{
    size_t  cut;

    cut = ((size_t) data[1] << 8 | data[2]) % BASE_MAX;
    data += 3;
    size -= 3;

    memset(base, 0, sizeof(segment_buf_t));
    memset(file, 0, sizeof(segment_buf_t));

    base->size = (cut < size) ? cut : size / 2;
    file->size = size - base->size;

    base->data = malloc(base->size ? base->size : 1);
    file->data = malloc(file->size);

    if (base->data == NULL || file->data == NULL) {
        free(base->data);
        free(file->data);
        return -1;
    }

    memcpy(base->data, data, base->size);
    memcpy(file->data, data + base->size, file->size);

    return 0;
}


static void
fuzz_fit(segment_buf_t *file, segment_buf_t *base, int meant)
{
    kong_pages_t           *p;
    kong_segment_header_t  *h;

    if (file->size < sizeof(kong_pages_t)) {
        return;
    }

    p = (kong_pages_t *) (void *) file->data;

    memcpy(p->magic, KONG_PAGES_MAGIC, sizeof(p->magic));
    p->version = KONG_SEGMENT_VERSION;
    p->kind = KONG_SEGMENT_CONFIG;

    if (meant && base->size >= sizeof(kong_segment_header_t)) {
        h = (kong_segment_header_t *) (void *) base->data;
        memcpy(h->magic, KONG_SEGMENT_MAGIC, sizeof(h->magic));
        h->version = p->version;
        h->kind = p->kind;
        h->size = base->size;
        p->base = h->generation;
        p->base_checksum = h->checksum;
    }

    if (p->n <= (file->size - sizeof(kong_pages_t)) / sizeof(uint32_t)) {
        p->checksum = kong_pages_sum(p);
    }
}
