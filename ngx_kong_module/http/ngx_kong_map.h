/*
 * Segments in memory: what this worker has mapped.  A map that was opened is
 * its opener's alone until it is accepted; then it is in the worker's list,
 * where it is found by kind and generation, and goes with its last reference.
 */

#ifndef NGX_KONG_MAP_H
#define NGX_KONG_MAP_H

#include "../ngx_http_kong.h"


/* once a process */
void ngx_kong_map_init(void);

/* an accepted one with a reference, or NULL */
ngx_kong_map_t *ngx_kong_map_find(kong_segment_kind_t kind,
    uint32_t generation);
/* the same, or the file's, read with `flags` (KONG_SEGMENT_VERIFY or 0); NULL
 * with a sentence in *err */
ngx_kong_map_t *ngx_kong_map_get(ngx_http_kong_main_conf_t *mcf,
    kong_segment_kind_t kind, uint32_t generation, ngx_uint_t flags,
    ngx_str_t *err, ngx_log_t *log);
void ngx_kong_map_put(ngx_kong_map_t *map);

/*
 * The three steps of ngx_kong_map_get().  Reading may be left to another
 * thread: it touches the mapping, map->seg and map->rc only.  What is opened
 * is either accepted or dropped; accepting drops it when it returns NULL, and
 * when there is an accepted one of that generation already, which it returns.
 */
ngx_kong_map_t *ngx_kong_map_open(ngx_http_kong_main_conf_t *mcf,
    kong_segment_kind_t kind, uint32_t generation, ngx_str_t *err,
    ngx_log_t *log);
void ngx_kong_map_read(ngx_kong_map_t *map, ngx_uint_t flags);
ngx_kong_map_t *ngx_kong_map_accept(ngx_kong_map_t *map, ngx_uint_t flags,
    ngx_str_t *err, ngx_log_t *log);
void ngx_kong_map_drop(ngx_kong_map_t *map);

/* buf: NGX_MAX_PATH bytes; NULL when it is too long */
u_char *ngx_kong_map_path(ngx_http_kong_main_conf_t *mcf,
    kong_segment_kind_t kind, uint32_t generation, u_char *buf);

/* each second */
void ngx_kong_map_tick(ngx_http_kong_main_conf_t *mcf, ngx_log_t *log);

#endif
