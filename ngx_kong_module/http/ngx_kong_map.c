/*
 * Mapping segments, see ngx_kong_map.h.  A segment's bytes are foreign until
 * they are verified, which happens once a node: in nginx's master at start,
 * in the worker that takes a publish.  Its siblings only look at the head.
 *
 * A file is never changed once it has its name.  One that is cut all the same
 * is refused while it is verified; later it would end the worker, as it would
 * end whoever reads a mapped file.
 */

#include "ngx_kong_image.h"
#include "ngx_kong_map.h"
#include "../plugins/ngx_kong_plugin.h"

#include <sys/mman.h>


#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22             /* Linux 5.14 */
#endif

#define NGX_KONG_MAP_CHUNK  (256 * 1024)


static ngx_int_t ngx_kong_map_populate(ngx_kong_map_t *map);


static ngx_queue_t  ngx_kong_maps;


void
ngx_kong_map_init(void)
{
    ngx_queue_init(&ngx_kong_maps);
}


ngx_kong_map_t *
ngx_kong_map_find(kong_segment_kind_t kind, uint32_t generation)
{
    ngx_queue_t     *q;
    ngx_kong_map_t  *map;

    for (q = ngx_queue_head(&ngx_kong_maps);
         q != ngx_queue_sentinel(&ngx_kong_maps);
         q = ngx_queue_next(q))
    {
        map = ngx_queue_data(q, ngx_kong_map_t, queue);

        if (map->generation == generation && map->kind == kind) {
            map->refs++;
            return map;
        }
    }

    return NULL;
}


ngx_kong_map_t *
ngx_kong_map_get(ngx_http_kong_main_conf_t *mcf, kong_segment_kind_t kind,
    uint32_t generation, ngx_uint_t flags, ngx_str_t *err, ngx_log_t *log)
{
    ngx_kong_map_t  *map;

    map = ngx_kong_map_find(kind, generation);
    if (map != NULL) {
        return map;
    }

    map = ngx_kong_map_open(mcf, kind, generation, err, log);
    if (map == NULL) {
        return NULL;
    }

    ngx_kong_map_read(map, flags);

    return ngx_kong_map_accept(map, flags, err, log);
}


ngx_kong_map_t *
ngx_kong_map_open(ngx_http_kong_main_conf_t *mcf, kong_segment_kind_t kind,
    uint32_t generation, ngx_str_t *err, ngx_log_t *log)
{
    ngx_pool_t      *pool;
    ngx_kong_map_t  *map;

    pool = ngx_create_pool(1024, ngx_cycle->log);
    if (pool == NULL) {
        ngx_str_set(err, "out of memory");
        return NULL;
    }

    map = ngx_pcalloc(pool, sizeof(ngx_kong_map_t));
    if (map == NULL) {
        ngx_destroy_pool(pool);
        ngx_str_set(err, "out of memory");
        return NULL;
    }

    map->kind = kind;
    map->generation = generation;
    map->plugins = mcf->plugins;
    map->pool = pool;

    if (ngx_kong_image_map(mcf, map, err, log) != NGX_OK) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    return map;
}


void
ngx_kong_map_read(ngx_kong_map_t *map, ngx_uint_t flags)
{
    if ((flags & KONG_SEGMENT_VERIFY)
        && ngx_kong_map_populate(map) != NGX_OK)
    {
        map->rc = KONG_SEGMENT_TRUNCATED;
        return;
    }

    map->rc = kong_segment_open(&map->seg, map->base, map->size, map->kind,
                                flags);
}


/*
 * Who reads all of it need not fault on every page, and where a file has been
 * cut under the mapping the kernel says so instead of sending SIGBUS.  In
 * pieces: whoever maps or unmaps something waits for the piece.  A kernel that
 * does not know the advice leaves it to the faults.
 */
static ngx_int_t
ngx_kong_map_populate(ngx_kong_map_t *map)
{
    u_char  *p;
    size_t   left, n;

    p = map->base;

    for (left = map->size; left > 0; left -= n) {
        n = ngx_min(left, NGX_KONG_MAP_CHUNK);

        if (madvise(p, n, MADV_POPULATE_READ) == -1) {
            return ngx_errno == EFAULT ? NGX_DECLINED : NGX_OK;
        }

        p += n;
    }

    return NGX_OK;
}


ngx_kong_map_t *
ngx_kong_map_accept(ngx_kong_map_t *map, ngx_uint_t flags, ngx_str_t *err,
    ngx_log_t *log)
{
    ngx_kong_map_t  *known;

    if (map->rc != KONG_SEGMENT_OK) {
        err->data = (u_char *) kong_segment_strerror(map->rc);
        err->len = ngx_strlen(err->data);
        goto failed;
    }

    if (map->seg.header->generation != map->generation) {
        ngx_str_set(err, "the file holds another generation than its name");
        goto failed;
    }

    if ((flags & KONG_SEGMENT_VERIFY)
        && ngx_kong_plugins_check(map, err, log) != NGX_OK)
    {
        goto failed;
    }

    known = ngx_kong_map_find(map->kind, map->generation);
    if (known != NULL) {
        ngx_kong_map_drop(map);
        return known;
    }

    map->groups = ngx_pcalloc(map->pool,
                              map->seg.sections[KONG_SECTION_ENDPOINTS].n
                              * sizeof(ngx_http_kong_group_t *));
    if (map->groups == NULL) {
        ngx_str_set(err, "out of memory");
        goto failed;
    }

    map->refs = 1;
    ngx_queue_insert_tail(&ngx_kong_maps, &map->queue);

    return map;

failed:

    ngx_kong_map_drop(map);

    return NULL;
}


void
ngx_kong_map_put(ngx_kong_map_t *map)
{
    if (--map->refs != 0) {
        return;
    }

    ngx_queue_remove(&map->queue);
    ngx_kong_map_drop(map);
}


void
ngx_kong_map_drop(ngx_kong_map_t *map)
{
    ngx_kong_map_t  last;

    /* what the pool's cleanups still read goes after it */
    last = *map;

    ngx_destroy_pool(map->pool);
    ngx_kong_image_unmap(&last);
}


u_char *
ngx_kong_map_path(ngx_http_kong_main_conf_t *mcf, kong_segment_kind_t kind,
    uint32_t generation, u_char *buf)
{
    u_char  *last;

    last = ngx_snprintf(buf, NGX_MAX_PATH, "%V/%uD.%s%Z", &mcf->snapshots,
                        generation,
                        kind == KONG_SEGMENT_CONFIG ? "config" : "endpoints");

    return last < buf + NGX_MAX_PATH ? buf : NULL;
}


void
ngx_kong_map_tick(ngx_http_kong_main_conf_t *mcf, ngx_log_t *log)
{
    ngx_queue_t  *q;

    for (q = ngx_queue_head(&ngx_kong_maps);
         q != ngx_queue_sentinel(&ngx_kong_maps);
         q = ngx_queue_next(q))
    {
        ngx_http_kong_group_tick(ngx_queue_data(q, ngx_kong_map_t, queue),
                                 mcf->zone, log);
    }
}
