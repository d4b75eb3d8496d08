/*
 * image: see image.h.  Used by patch.c.
 */

#include <stdlib.h>
#include <string.h>

#include "image.h"
#include "../../ngx_kong_module/snapshot/kong_pages.h"


#define IMAGE_TOUCHED  0x1           /* by this change */
#define IMAGE_DIFFERS  0x2           /* from the whole file */

/* a reader maps each run of pages by itself, and writing many pages costs
 * what writing all does; a few are always few */
#define IMAGE_RUNS     256
#define IMAGE_SHARE    8
#define IMAGE_FEW      16


static int image_copy(image_t *im, segment_buf_t *out);
static int image_pages(const image_t *im, size_t n, segment_buf_t *out);


image_t *
image_new(uint8_t *base, size_t size, segment_buf_t *out)
{
    size_t    i;
    image_t  *im;

    im = calloc(1, sizeof(image_t));

    if (im == NULL) {
        free(base);
        return NULL;
    }

    im->base = base;
    im->size = size;
    im->n = (size + KONG_SEGMENT_PAGE - 1) / KONG_SEGMENT_PAGE;
    im->hashes = malloc(im->n * sizeof(uint64_t));
    im->marks = malloc(im->n);

    if (im->hashes == NULL || im->marks == NULL) {
        image_free(im);
        return NULL;
    }

    for (i = 0; i < im->n; i++) {
        im->hashes[i] = kong_segment_page_hash(base, size, i);
        im->sum += im->hashes[i];
    }

    ((kong_segment_header_t *) (void *) base)->checksum = im->sum;

    if (image_copy(im, out) != 0) {
        image_free(im);
        return NULL;
    }

    return im;
}


void
image_free(image_t *im)
{
    if (im != NULL) {
        free(im->base);
        free(im->hashes);
        free(im->marks);
        bytes_release(&im->touched);
        free(im);
    }
}


void
image_write(image_t *im, size_t at, const void *data, size_t n)
{
    size_t          len;
    uint32_t        page;
    const uint8_t  *p;

    for (p = data; n != 0; p += len, at += len, n -= len) {
        page = (uint32_t) (at / KONG_SEGMENT_PAGE);
        len = KONG_SEGMENT_PAGE - at % KONG_SEGMENT_PAGE;
        len = (len < n) ? len : n;

        if (memcmp(im->base + at, p, len) == 0) {
            continue;
        }

        memcpy(im->base + at, p, len);

        if (!(im->marks[page] & IMAGE_TOUCHED)) {
            im->marks[page] |= IMAGE_TOUCHED|IMAGE_DIFFERS;
            bytes_put(&im->touched, &page, sizeof(page));
        }
    }
}


int
image_seal(image_t *im, segment_buf_t *out)
{
    size_t           i, n, runs;
    const uint32_t  *page;

    if (im->touched.failed) {
        return -1;
    }

    page = (const uint32_t *) (const void *) im->touched.data;

    for (i = 0; i < im->touched.size / sizeof(uint32_t); i++) {
        im->sum -= im->hashes[page[i]];
        im->hashes[page[i]] = kong_segment_page_hash(im->base, im->size,
                                                     page[i]);
        im->sum += im->hashes[page[i]];
        im->marks[page[i]] &= (uint8_t) ~IMAGE_TOUCHED;
    }

    im->touched.size = 0;
    ((kong_segment_header_t *) (void *) im->base)->checksum = im->sum;

    for (i = 0, n = 0, runs = 0; i < im->n; i++) {
        n += (im->marks[i] != 0);
        runs += (im->marks[i] != 0 && (i == 0 || im->marks[i - 1] == 0));
    }

    return (runs > IMAGE_RUNS
            || (n > im->n / IMAGE_SHARE && n > IMAGE_FEW))
           ? image_copy(im, out) : image_pages(im, n, out);
}


static int
image_copy(image_t *im, segment_buf_t *out)
{
    out->data = arena_large(im->size);
    out->size = im->size;
    out->refs = NULL;

    if (out->data == NULL) {
        return -1;
    }

    memcpy(out->data, im->base, im->size);
    memset(im->marks, 0, im->n);

    im->whole = ((kong_segment_header_t *) (void *) im->base)->generation;
    im->whole_sum = im->sum;

    return 0;
}


static int
image_pages(const image_t *im, size_t n, segment_buf_t *out)
{
    size_t         i, len, size;
    uint8_t       *to;
    uint32_t      *list;
    kong_pages_t   head, *pages;

    head.n = (uint32_t) n;
    size = kong_pages_at(&head, head.n);
    pages = calloc(1, size);

    if (pages == NULL) {
        return -1;
    }

    memcpy(pages->magic, KONG_PAGES_MAGIC, sizeof(pages->magic));
    pages->version = KONG_SEGMENT_VERSION;
    pages->kind = KONG_SEGMENT_CONFIG;
    pages->generation = ((kong_segment_header_t *) (void *) im->base)
                        ->generation;
    pages->base = im->whole;
    pages->base_checksum = im->whole_sum;
    pages->size = im->size;
    pages->n = head.n;

    list = (uint32_t *) (pages + 1);
    to = (uint8_t *) pages + kong_pages_at(pages, 0);

    for (i = 0; i < im->n; i++) {

        if (im->marks[i] == 0) {
            continue;
        }

        *list++ = (uint32_t) i;
        len = im->size - i * KONG_SEGMENT_PAGE;
        memcpy(to, im->base + i * KONG_SEGMENT_PAGE,
               (len < KONG_SEGMENT_PAGE) ? len : KONG_SEGMENT_PAGE);
        to += KONG_SEGMENT_PAGE;
    }

    pages->checksum = kong_pages_sum(pages);
    out->data = (uint8_t *) pages;
    out->size = size;
    out->refs = NULL;

    return 0;
}
