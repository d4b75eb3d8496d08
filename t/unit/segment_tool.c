/*
 * Makes segment files that the daemon would not write, for the tests:
 *
 *   segment_tool seal FILE GENERATION [SIZE]
 *
 * gives a whole segment another number and, with room behind its sections,
 * another size; its checksum follows.
 */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ngx_kong_module/snapshot/kong_segment.h"


static int tool_seal(int argc, char **argv);
static void *tool_map(const char *path, size_t *size);


int
main(int argc, char **argv)
{
    if (argc > 3 && strcmp(argv[1], "seal") == 0) {
        return tool_seal(argc, argv);
    }

    (void) fprintf(stderr, "segment_tool seal FILE GENERATION [SIZE]\n");

    return 2;
}


static int
tool_seal(int argc, char **argv)
{
    size_t                  size;
    kong_segment_header_t  *h;

    if (argc > 4 && truncate(argv[2], atoll(argv[4])) == -1) {
        perror(argv[2]);
        return 1;
    }

    h = tool_map(argv[2], &size);
    if (h == NULL) {
        return 1;
    }

    h->generation = (uint32_t) atoll(argv[3]);
    h->size = size;
    h->checksum = kong_segment_checksum(h, size);

    return munmap(h, size) == 0 ? 0 : 1;
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
