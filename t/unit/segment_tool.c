/*
 * Makes segment files that the daemon would not write, for the tests:
 *
 *   segment_tool seal FILE GENERATION [SIZE]
 *
 * gives a whole segment another number and, with room behind its sections,
 * another size, or a file of pages another number; the checksum follows.
 *
 *   segment_tool pages BASE WHOLE FILE [EVERY]
 *
 * writes what WHOLE is over BASE as a file of pages: those that differ, and
 * each EVERYth one.
 */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ngx_kong_module/snapshot/kong_pages.h"


static int tool_seal(int argc, char **argv);
static int tool_pages(int argc, char **argv);
static uint32_t tool_list(uint32_t *list, const kong_segment_header_t *base,
    const kong_segment_header_t *whole, size_t every);
static int tool_write(const char *path, const kong_pages_t *pages,
    const kong_segment_header_t *whole);
static void *tool_map(const char *path, size_t *size);


int
main(int argc, char **argv)
{
    if (argc > 3 && strcmp(argv[1], "seal") == 0) {
        return tool_seal(argc, argv);
    }

    if (argc > 4 && strcmp(argv[1], "pages") == 0) {
        return tool_pages(argc, argv);
    }

    (void) fprintf(stderr, "segment_tool seal FILE GENERATION [SIZE]\n"
                           "segment_tool pages BASE WHOLE FILE [EVERY]\n");

    return 2;
}


static int
tool_seal(int argc, char **argv)
{
    size_t                  size;
    kong_pages_t           *p;
    kong_segment_header_t  *h;

    if (argc > 4 && truncate(argv[2], atoll(argv[4])) == -1) {
        perror(argv[2]);
        return 1;
    }

    h = tool_map(argv[2], &size);
    if (h == NULL) {
        return 1;
    }

    if (kong_pages_is(h, size)) {
        p = (kong_pages_t *) (void *) h;
        p->generation = (uint32_t) atoll(argv[3]);
        p->checksum = kong_pages_sum(p);

    } else {
        h->generation = (uint32_t) atoll(argv[3]);
        h->size = size;
        h->checksum = kong_segment_checksum(h, size);
    }

    return munmap(h, size) == 0 ? 0 : 1;
}


static int
tool_pages(int argc, char **argv)
{
    int                     rc;
    size_t                  size, every;
    kong_pages_t           *pages;
    kong_segment_header_t  *base, *whole;

    base = tool_map(argv[2], &size);
    whole = tool_map(argv[3], &size);

    if (base == NULL || whole == NULL) {
        return 1;
    }

    pages = calloc(1, sizeof(kong_pages_t) + KONG_SEGMENT_PAGE
                      + (size / KONG_SEGMENT_PAGE + 1) * sizeof(uint32_t));
    if (pages == NULL) {
        perror("calloc");
        return 1;
    }

    every = (argc > 5) ? (size_t) atoll(argv[5]) : SIZE_MAX;

    memcpy(pages->magic, KONG_PAGES_MAGIC, sizeof(pages->magic));
    pages->version = KONG_SEGMENT_VERSION;
    pages->kind = whole->kind;
    pages->generation = whole->generation;
    pages->base = base->generation;
    pages->base_checksum = base->checksum;
    pages->size = size;
    pages->n = tool_list((uint32_t *) (pages + 1), base, whole, every);
    pages->checksum = kong_pages_sum(pages);

    rc = tool_write(argv[4], pages, whole);
    free(pages);

    return rc;
}


static uint32_t
tool_list(uint32_t *list, const kong_segment_header_t *base,
    const kong_segment_header_t *whole, size_t every)
{
    size_t    at, len;
    uint32_t  n;

    n = 0;

    for (at = 0; at < whole->size; at += KONG_SEGMENT_PAGE) {
        len = (whole->size - at < KONG_SEGMENT_PAGE) ? whole->size - at
                                                     : KONG_SEGMENT_PAGE;

        if (at / KONG_SEGMENT_PAGE % every == 0 || at + len > base->size
            || memcmp((const char *) base + at, (const char *) whole + at,
                      len) != 0)
        {
            list[n++] = (uint32_t) (at / KONG_SEGMENT_PAGE);
        }
    }

    return n;
}


static int
tool_write(const char *path, const kong_pages_t *pages,
    const kong_segment_header_t *whole)
{
    int         fd;
    size_t      at, len;
    uint32_t    i;
    const char  *page;

    static const char  zeros[KONG_SEGMENT_PAGE];

    len = sizeof(kong_pages_t) + pages->n * sizeof(uint32_t);
    fd = open(path, O_WRONLY|O_CREAT|O_TRUNC, 0600);

    if (fd == -1 || ftruncate(fd, (off_t) kong_pages_at(pages, pages->n)) == -1
        || pwrite(fd, pages, len, 0) != (ssize_t) len)
    {
        perror(path);
        return 1;
    }

    for (i = 0; i < pages->n; i++) {
        at = (size_t) kong_pages_list(pages)[i] * KONG_SEGMENT_PAGE;
        page = (const char *) whole + at;
        len = (whole->size - at < KONG_SEGMENT_PAGE) ? whole->size - at
                                                     : KONG_SEGMENT_PAGE;

        /* zeros stay holes */

        if (memcmp(page, zeros, len) != 0
            && pwrite(fd, page, len, (off_t) kong_pages_at(pages, i))
               != (ssize_t) len)
        {
            perror(path);
            return 1;
        }
    }

    return close(fd) == 0 ? 0 : 1;
}


static void *
tool_map(const char *path, size_t *size)
{
    int          fd;
    void        *base;
    struct stat  st;

    base = MAP_FAILED;

    fd = open(path, O_RDWR);

    if (fd != -1 && fstat(fd, &st) == 0
        && st.st_size >= (off_t) sizeof(kong_segment_header_t))
    {
        *size = (size_t) st.st_size;
        base = mmap(NULL, *size, PROT_READ|PROT_WRITE, MAP_SHARED, fd, 0);
    }

    if (base == MAP_FAILED) {
        perror(path);
    }

    if (fd != -1) {
        (void) close(fd);
    }

    return (base == MAP_FAILED) ? NULL : base;
}
