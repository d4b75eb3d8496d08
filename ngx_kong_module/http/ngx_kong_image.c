/*
 * Files in memory, see ngx_kong_image.h.  The pages of a change are mapped
 * over the segment that they belong to, a mapping for each run of them: what
 * did not change is the same memory for all generations and all workers.  The
 * kernel allows a process 65,530 mappings (vm.max_map_count), of which a run
 * takes two, and requests that never end may hold many generations: a worker
 * uses half of them, then the image is a copy.
 */

#include "ngx_kong_image.h"
#include "ngx_kong_map.h"
#include "../snapshot/kong_pages.h"

#include <sys/mman.h>


#define NGX_KONG_IMAGE_RUNS  16384

typedef struct {
    ngx_fd_t  fd;
    size_t    size;
} ngx_kong_file_t;


static ngx_int_t ngx_kong_image_open(ngx_http_kong_main_conf_t *mcf,
    ngx_kong_file_t *file, ngx_kong_map_t *map, uint32_t generation,
    ngx_log_t *log);
static ngx_int_t ngx_kong_image_pages(ngx_http_kong_main_conf_t *mcf,
    ngx_kong_file_t *file, ngx_kong_map_t *map, ngx_str_t *err,
    ngx_log_t *log);
static ngx_int_t ngx_kong_image_merge(ngx_kong_file_t *file,
    ngx_kong_file_t *base, ngx_kong_map_t *map, ngx_str_t *err,
    ngx_log_t *log);
static void *ngx_kong_image_overlay(ngx_kong_file_t *file,
    ngx_kong_file_t *base, const kong_pages_t *p, ngx_uint_t *runs);
static void *ngx_kong_image_copy(ngx_kong_file_t *file,
    ngx_kong_file_t *base, const kong_pages_t *p);
static ngx_int_t ngx_kong_image_read(ngx_fd_t fd, u_char *buf, size_t size,
    off_t offset);
static ngx_uint_t ngx_kong_image_count(const kong_pages_t *p);
static uint32_t ngx_kong_image_run(const kong_pages_t *p, uint32_t i);


static ngx_uint_t  ngx_kong_image_runs;    /* of all images */


ngx_int_t
ngx_kong_image_map(ngx_http_kong_main_conf_t *mcf, ngx_kong_map_t *map,
    ngx_str_t *err, ngx_log_t *log)
{
    ngx_int_t         rc;
    ngx_kong_file_t   file;

    if (ngx_kong_image_open(mcf, &file, map, map->generation, log) != NGX_OK) {
        ngx_str_set(err, "the file cannot be opened");
        return NGX_DECLINED;
    }

    rc = NGX_DECLINED;

    if (file.size < sizeof(kong_segment_header_t)) {
        ngx_str_set(err, "the file is too short to be a segment");
        goto done;
    }

    map->size = file.size;
    map->base = mmap(NULL, file.size, PROT_READ, MAP_SHARED, file.fd, 0);

    if (map->base == MAP_FAILED) {
        ngx_log_error(NGX_LOG_ERR, log, ngx_errno,
                      "generation %uD cannot be mapped", map->generation);
        ngx_str_set(err, "the file cannot be mapped");
        goto done;
    }

    rc = NGX_OK;

    if (kong_pages_is(map->base, file.size)) {
        rc = ngx_kong_image_pages(mcf, &file, map, err, log);
    }

done:

    ngx_close_file(file.fd);

    return rc;
}


/* size 0: it is no file */
static ngx_int_t
ngx_kong_image_open(ngx_http_kong_main_conf_t *mcf, ngx_kong_file_t *file,
    ngx_kong_map_t *map, uint32_t generation, ngx_log_t *log)
{
    u_char           path[NGX_MAX_PATH];
    ngx_file_info_t  fi;

    if (ngx_kong_map_path(mcf, map->kind, generation, path) == NULL) {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "the path of the snapshot folder \"%V\" is too long",
                      &mcf->snapshots);
        return NGX_ERROR;
    }

    file->size = 0;
    file->fd = ngx_open_file(path, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (file->fd == NGX_INVALID_FILE) {
        ngx_log_error(NGX_LOG_ERR, log, ngx_errno,
                      "segment \"%s\" cannot be opened", path);
        return NGX_ERROR;
    }

    if (ngx_fd_info(file->fd, &fi) != NGX_FILE_ERROR && ngx_is_file(&fi)) {
        file->size = ngx_file_size(&fi);
    }

    return NGX_OK;
}


/* the mapping of the file gives way to that of the image */
static ngx_int_t
ngx_kong_image_pages(ngx_http_kong_main_conf_t *mcf, ngx_kong_file_t *file,
    ngx_kong_map_t *map, ngx_str_t *err, ngx_log_t *log)
{
    ngx_int_t            rc;
    ngx_kong_file_t      base;
    const kong_pages_t  *p;
    kong_segment_rc_t    checked;

    p = map->base;
    rc = NGX_DECLINED;
    checked = kong_pages_check(p, file->size, map->kind);

    if (checked != KONG_SEGMENT_OK) {
        err->data = (u_char *) kong_segment_strerror(checked);
        err->len = ngx_strlen(err->data);

    } else if (p->generation != map->generation) {
        ngx_str_set(err, "the file holds another generation than its name");

    } else if (ngx_kong_image_open(mcf, &base, map, p->base, log) != NGX_OK) {
        ngx_str_set(err, "the whole segment beneath the file of pages cannot "
                    "be opened");

    } else {
        rc = ngx_kong_image_merge(file, &base, map, err, log);
        ngx_close_file(base.fd);
    }

    (void) munmap((void *) p, file->size);

    return rc;
}


static ngx_int_t
ngx_kong_image_merge(ngx_kong_file_t *file, ngx_kong_file_t *base,
    ngx_kong_map_t *map, ngx_str_t *err, ngx_log_t *log)
{
    const kong_pages_t     *p;
    kong_segment_rc_t       rc;
    kong_segment_header_t   header;

    p = map->base;
    rc = KONG_SEGMENT_BASE;

    if (ngx_kong_image_read(base->fd, (u_char *) &header, sizeof(header), 0)
        == NGX_OK)
    {
        rc = kong_pages_check_base(p, &header, base->size);
    }

    if (rc != KONG_SEGMENT_OK) {
        err->data = (u_char *) kong_segment_strerror(rc);
        err->len = ngx_strlen(err->data);
        return NGX_DECLINED;
    }

    map->size = p->size;
    map->base = ngx_kong_image_overlay(file, base, p, &map->runs);

    if (map->base == NULL) {
        ngx_log_error(NGX_LOG_INFO, log, 0,
                      "generation %uD is copied: there are too many mappings",
                      map->generation);
        map->base = ngx_kong_image_copy(file, base, p);
    }

    if (map->base == NULL) {
        ngx_str_set(err, "the file cannot be mapped");
        return NGX_DECLINED;
    }

    return NGX_OK;
}


/* the base first, beyond its end too: pages that it does not have are all in
 * the list */
static void *
ngx_kong_image_overlay(ngx_kong_file_t *file, ngx_kong_file_t *base,
    const kong_pages_t *p, ngx_uint_t *runs)
{
    u_char          *image, *at;
    uint32_t         i, n;
    const uint32_t  *list;

    if (ngx_pagesize > KONG_SEGMENT_PAGE
        || ngx_kong_image_count(p) > NGX_KONG_IMAGE_RUNS - ngx_kong_image_runs)
    {
        return NULL;
    }

    image = mmap(NULL, p->size, PROT_READ, MAP_SHARED, base->fd, 0);

    if (image == MAP_FAILED) {
        return NULL;
    }

    list = kong_pages_list(p);

    for (i = 0; i < p->n; i += n) {
        n = ngx_kong_image_run(p, i);
        at = image + (size_t) list[i] * KONG_SEGMENT_PAGE;

        if (mmap(at, (size_t) n * KONG_SEGMENT_PAGE, PROT_READ,
                 MAP_SHARED|MAP_FIXED, file->fd, kong_pages_at(p, i))
            == MAP_FAILED)
        {
            (void) munmap(image, p->size);
            return NULL;
        }
    }

    *runs = ngx_kong_image_count(p);
    ngx_kong_image_runs += *runs;

    return image;
}


static void *
ngx_kong_image_copy(ngx_kong_file_t *file, ngx_kong_file_t *base,
    const kong_pages_t *p)
{
    u_char          *image;
    size_t           at, len;
    uint32_t         i, n;
    const uint32_t  *list;

    image = mmap(NULL, p->size, PROT_READ|PROT_WRITE,
                 MAP_PRIVATE|MAP_ANONYMOUS, -1, 0);

    if (image == MAP_FAILED) {
        return NULL;
    }

    if (ngx_kong_image_read(base->fd, image, ngx_min(base->size, p->size), 0)
        != NGX_OK)
    {
        goto failed;
    }

    list = kong_pages_list(p);

    for (i = 0; i < p->n; i += n) {
        n = ngx_kong_image_run(p, i);
        at = (size_t) list[i] * KONG_SEGMENT_PAGE;
        len = ngx_min((size_t) n * KONG_SEGMENT_PAGE, p->size - at);

        if (ngx_kong_image_read(file->fd, image + at, len,
                                kong_pages_at(p, i))
            != NGX_OK)
        {
            goto failed;
        }
    }

    if (mprotect(image, p->size, PROT_READ) == 0) {
        return image;
    }

failed:

    (void) munmap(image, p->size);

    return NULL;
}


static ngx_int_t
ngx_kong_image_read(ngx_fd_t fd, u_char *buf, size_t size, off_t offset)
{
    ssize_t  n;

    while (size > 0) {
        n = pread(fd, buf, size, offset);

        if (n == -1 && ngx_errno == NGX_EINTR) {
            continue;
        }

        if (n <= 0) {
            return NGX_ERROR;
        }

        buf += n;
        size -= n;
        offset += n;
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_kong_image_count(const kong_pages_t *p)
{
    uint32_t    i;
    ngx_uint_t  runs;

    runs = 0;

    for (i = 0; i < p->n; i += ngx_kong_image_run(p, i)) {
        runs++;
    }

    return runs;
}


/* how many pages of the list follow one another from the i-th on */
static uint32_t
ngx_kong_image_run(const kong_pages_t *p, uint32_t i)
{
    uint32_t         n;
    const uint32_t  *list;

    list = kong_pages_list(p);

    for (n = 1; i + n < p->n && list[i + n] == list[i] + n; n++) {
        /* void */
    }

    return n;
}


void
ngx_kong_image_unmap(ngx_kong_map_t *map)
{
    ngx_kong_image_runs -= map->runs;

    (void) munmap(map->base, map->size);
}
