/*
 * Files of pages: what kong_pages_check() and kong_pages_check_base() refuse,
 * a rule at a time, and what the daemon's store makes of a good one.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "controld/publish/pages.h"
#include "ngx_kong_module/snapshot/kong_pages.h"


#define PAGE      KONG_SEGMENT_PAGE
#define BASE      (5 * PAGE + 100)     /* bytes: the last page is not whole */
#define LIST_MAX  8

/* a file of the pages of `list` (0 ends it, but for the first), whose image
 * has `size` bytes */
typedef struct {
    uint64_t           size;
    uint32_t           list[LIST_MAX];
    kong_segment_rc_t  head;
    kong_segment_rc_t  base;
} case_t;


static const case_t  cases[] = {
    { BASE, { 0 }, KONG_SEGMENT_OK, KONG_SEGMENT_OK },
    { BASE, { 0, 1, 2, 3, 4, 5 }, KONG_SEGMENT_OK, KONG_SEGMENT_OK },
    { BASE, { 0, 2, 5 }, KONG_SEGMENT_OK, KONG_SEGMENT_OK },

    /* order, ends */
    { BASE, { 1, 2 }, KONG_SEGMENT_OFFSET, 0 },
    { BASE, { 0, 2, 2 }, KONG_SEGMENT_OFFSET, 0 },
    { BASE, { 0, 3, 2 }, KONG_SEGMENT_OFFSET, 0 },
    { BASE, { 0, 6 }, KONG_SEGMENT_OFFSET, 0 },
    { 5 * PAGE, { 0, 5 }, KONG_SEGMENT_OFFSET, 0 },
    { PAGE, { 0, 1 }, KONG_SEGMENT_LAYOUT, 0 },
    { 0, { 0 }, KONG_SEGMENT_LAYOUT, 0 },
    { sizeof(kong_segment_header_t) - 1, { 0 }, KONG_SEGMENT_LAYOUT, 0 },
    { KONG_SEGMENT_SIZE_MAX + 1ull, { 0 }, KONG_SEGMENT_LAYOUT, 0 },
    { UINT64_MAX, { 0 }, KONG_SEGMENT_LAYOUT, 0 },

    /* images that are shorter */
    { sizeof(kong_segment_header_t), { 0 }, KONG_SEGMENT_OK,
      KONG_SEGMENT_OK },
    { 2 * PAGE + 1, { 0, 2 }, KONG_SEGMENT_OK, KONG_SEGMENT_OK },
    { BASE - 1, { 0 }, KONG_SEGMENT_OK, KONG_SEGMENT_OK },

    /* and longer: what the base does not have whole has to be there */
    { BASE + 1, { 0, 5 }, KONG_SEGMENT_OK, KONG_SEGMENT_OK },
    { BASE + 1, { 0 }, KONG_SEGMENT_OK, KONG_SEGMENT_OFFSET },
    { BASE + 1, { 0, 4 }, KONG_SEGMENT_OK, KONG_SEGMENT_OFFSET },
    { 6 * PAGE + 1, { 0, 5, 6 }, KONG_SEGMENT_OK, KONG_SEGMENT_OK },
    { 6 * PAGE + 1, { 0, 6 }, KONG_SEGMENT_OK, KONG_SEGMENT_OFFSET },
    { 6 * PAGE + 1, { 0, 4, 6 }, KONG_SEGMENT_OK, KONG_SEGMENT_OFFSET },
    { 9 * PAGE, { 0, 5, 6, 7, 8 }, KONG_SEGMENT_OK, KONG_SEGMENT_OK },
    { 9 * PAGE, { 0, 7, 8 }, KONG_SEGMENT_OK, KONG_SEGMENT_OFFSET },
    { KONG_SEGMENT_SIZE_MAX, { 0, 5 }, KONG_SEGMENT_OK,
      KONG_SEGMENT_OFFSET }
};


static segment_buf_t
base_make(size_t size)
{
    size_t                  i;
    segment_buf_t           buf;
    kong_segment_header_t  *h;

    memset(&buf, 0, sizeof(segment_buf_t));
    buf.size = size;
    buf.data = malloc(size);
    assert_non_null(buf.data);

    for (i = 0; i < size; i++) {
        buf.data[i] = (uint8_t) (i / PAGE * 7 + i);
    }

    h = (kong_segment_header_t *) (void *) buf.data;
    memcpy(h->magic, KONG_SEGMENT_MAGIC, sizeof(h->magic));
    h->version = KONG_SEGMENT_VERSION;
    h->kind = KONG_SEGMENT_CONFIG;
    h->generation = 7;
    h->size = size;
    h->checksum = 0x1234567890;

    return buf;
}


/* page i is filled with 0xa0 + its number */
static segment_buf_t
pages_make(uint64_t size, const uint32_t *list)
{
    uint32_t       i;
    kong_pages_t   head, *p;
    segment_buf_t  buf;

    memset(&head, 0, sizeof(kong_pages_t));
    memcpy(head.magic, KONG_PAGES_MAGIC, sizeof(head.magic));
    head.version = KONG_SEGMENT_VERSION;
    head.kind = KONG_SEGMENT_CONFIG;
    head.generation = 8;
    head.base = 7;
    head.base_checksum = 0x1234567890;
    head.size = size;

    for (head.n = 1; head.n < LIST_MAX && list[head.n] != 0; head.n++) {
        /* void */
    }

    memset(&buf, 0, sizeof(segment_buf_t));
    buf.size = kong_pages_at(&head, head.n);
    buf.data = calloc(1, buf.size);
    assert_non_null(buf.data);

    p = (kong_pages_t *) (void *) buf.data;
    *p = head;
    memcpy(p + 1, list, head.n * sizeof(uint32_t));

    for (i = 0; i < head.n; i++) {
        memset(buf.data + kong_pages_at(p, i), 0xa0 + (int) list[i], PAGE);
    }

    p->checksum = kong_pages_sum(p);

    return buf;
}


static void
image_is(const segment_buf_t *image, const segment_buf_t *base,
    const case_t *c)
{
    size_t    i;
    uint32_t  n, page;

    assert_int_equal(image->size, c->size);

    for (i = 0; i < image->size; i++) {
        page = (uint32_t) (i / PAGE);

        for (n = 0; n < LIST_MAX; n++) {
            if (c->list[n] == page && (n == 0 || c->list[n] != 0)) {
                break;
            }
        }

        if (n < LIST_MAX) {
            assert_int_equal(image->data[i], 0xa0 + page);

        } else {
            assert_int_equal(image->data[i], base->data[i]);
        }
    }
}


static void
test_cases(void **state)
{
    size_t               i;
    segment_buf_t        base, file;
    const case_t        *c;
    const kong_pages_t  *p;

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        c = &cases[i];
        base = base_make(BASE);
        file = pages_make(c->size, c->list);
        p = (const kong_pages_t *) (const void *) file.data;

        assert_int_equal(kong_pages_check(file.data, file.size,
                                          KONG_SEGMENT_CONFIG), c->head);
        assert_int_equal(pages_base(&file, KONG_SEGMENT_CONFIG),
                         c->head == KONG_SEGMENT_OK ? 7 : 0);

        if (c->head == KONG_SEGMENT_OK) {
            assert_int_equal(kong_pages_check_base(p,
                                 (const void *) base.data, base.size),
                             c->base);
            assert_int_equal(pages_apply(&file, &base), c->base);

            if (c->base == KONG_SEGMENT_OK) {
                image_is(&file, &base, c);
            }
        }

        segment_buf_release(&base);
        segment_buf_release(&file);
    }
}


/* every byte of head and list is covered, and every length is the wrong one
 * but one */
static void
test_damaged(void **state)
{
    size_t             i, head;
    segment_buf_t      file;
    kong_segment_rc_t  rc;
    const uint32_t     list[LIST_MAX] = { 0, 2, 5 };

    (void) state;

    file = pages_make(BASE, list);
    head = sizeof(kong_pages_t) + 3 * sizeof(uint32_t);

    for (i = 0; i < head; i++) {
        file.data[i] ^= 0x10;
        assert_int_not_equal(kong_pages_check(file.data, file.size,
                                              KONG_SEGMENT_CONFIG),
                             KONG_SEGMENT_OK);
        file.data[i] ^= 0x10;
    }

    for (i = 0; i < file.size; i++) {
        rc = kong_pages_check(file.data, i, KONG_SEGMENT_CONFIG);
        assert_int_equal(rc, i < 8 ? KONG_SEGMENT_FOREIGN
                                   : KONG_SEGMENT_TRUNCATED);
    }

    assert_int_equal(kong_pages_check(file.data, file.size,
                                      KONG_SEGMENT_ENDPOINTS),
                     KONG_SEGMENT_WRONG_KIND);
    assert_int_equal(kong_pages_check(file.data, file.size,
                                      KONG_SEGMENT_CONFIG), KONG_SEGMENT_OK);

    segment_buf_release(&file);
}


static void
test_base(void **state)
{
    size_t                  i;
    segment_buf_t           base, file;
    kong_pages_t           *p;
    kong_segment_header_t  *h;
    const uint32_t          list[LIST_MAX] = { 0 };

    /* fields of the base's header that have to be what they are */
    static const size_t  at[] = {
        offsetof(kong_segment_header_t, magic),
        offsetof(kong_segment_header_t, version),
        offsetof(kong_segment_header_t, kind),
        offsetof(kong_segment_header_t, size),
        offsetof(kong_segment_header_t, checksum),
        offsetof(kong_segment_header_t, generation)
    };

    (void) state;

    base = base_make(BASE);
    file = pages_make(BASE, list);
    p = (kong_pages_t *) (void *) file.data;
    h = (kong_segment_header_t *) (void *) base.data;

    for (i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
        base.data[at[i]] ^= 0x02;
        assert_int_equal(kong_pages_check_base(p, h, base.size),
                         KONG_SEGMENT_BASE);
        base.data[at[i]] ^= 0x02;
    }

    assert_int_equal(kong_pages_check_base(p, h, base.size - 1),
                     KONG_SEGMENT_BASE);
    assert_int_equal(kong_pages_check_base(p, h, 0), KONG_SEGMENT_BASE);
    assert_int_equal(kong_pages_check_base(p, h, base.size),
                     KONG_SEGMENT_OK);

    /* a file of pages is none */
    assert_int_equal(kong_pages_check_base(p, (const void *) file.data,
                                           file.size), KONG_SEGMENT_BASE);

    segment_buf_release(&base);
    segment_buf_release(&file);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_base),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
