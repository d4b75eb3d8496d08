/*
 * The bytes of a segment in this worker's memory: a whole file, or a file of
 * pages over a whole one, which readers see as one image.
 */

#ifndef NGX_KONG_IMAGE_H
#define NGX_KONG_IMAGE_H

#include "../ngx_http_kong.h"


/* of map->kind and map->generation, into map->base and map->size; NGX_DECLINED
 * with a sentence in *err */
ngx_int_t ngx_kong_image_map(ngx_http_kong_main_conf_t *mcf,
    ngx_kong_map_t *map, ngx_str_t *err, ngx_log_t *log);
void ngx_kong_image_unmap(ngx_kong_map_t *map);

#endif
