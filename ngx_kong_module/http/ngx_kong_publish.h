/*
 * Publishing a pair: what is new of it is mapped, verified beside the loop
 * (ngx_kong_verifier.h) and made current.  A worker's publishes go one after
 * the other, in the order in which they were asked for.
 */

#ifndef NGX_KONG_PUBLISH_H
#define NGX_KONG_PUBLISH_H

#include "ngx_kong_map.h"


/* NGX_OK, or NGX_DECLINED with a sentence that holds during the call */
typedef void (*ngx_kong_published_pt)(void *data, ngx_int_t rc,
    ngx_str_t *err);

typedef struct {
    ngx_queue_t                 queue;
    ngx_http_kong_main_conf_t  *mcf;
    uint64_t                    ticket;
    uint32_t                    generations[2];   /* config, endpoints */
    ngx_kong_map_t             *maps[2];
    ngx_uint_t                  fresh[2];  /* the map is not accepted yet */
    ngx_uint_t                  flags;     /* of kong_segment_open() */
    ngx_kong_published_pt       handler;   /* NULL: nobody waits for it */
    void                       *data;
} ngx_kong_publish_t;


/* endpoints 0: none.  NULL when out of memory */
ngx_kong_publish_t *ngx_kong_publish_new(ngx_http_kong_main_conf_t *mcf,
    uint32_t config, uint32_t endpoints);

/*
 * NGX_AGAIN: handler(data) is called later, unless the caller has set it to
 * NULL by then; what was asked for happens all the same.  NGX_OK and
 * NGX_DECLINED are the outcome.  But for NGX_AGAIN before that call, `publish`
 * is gone.
 */
ngx_int_t ngx_kong_publish_start(ngx_kong_publish_t *publish,
    ngx_str_t *err);

#endif
