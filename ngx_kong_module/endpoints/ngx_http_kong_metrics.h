/*
 * What the files of /metrics share: a scrape under way and the families.  An
 * answer is written family by family, item by item, each item once there is
 * room for all of it.
 */

#ifndef NGX_HTTP_KONG_METRICS_H
#define NGX_HTTP_KONG_METRICS_H

#include "../ngx_http_kong.h"
#include "../zone/ngx_kong_metrics.h"


typedef struct ngx_http_kong_scrape_s  ngx_http_kong_scrape_t;

/* the item scrape->item; NGX_OK: it is written (or is none), NGX_DONE: there
 * is no such item, the family ends, NGX_AGAIN: call again when there is room
 * for scrape->need bytes */
typedef ngx_int_t (*ngx_http_kong_family_pt)(ngx_http_kong_scrape_t *s);

typedef struct {
    ngx_str_t                   name;
    ngx_str_t                   type;
    ngx_str_t                   help;
    ngx_http_kong_family_pt     write;
    ngx_uint_t                  data;    /* for write() */
} ngx_http_kong_family_t;

struct ngx_http_kong_scrape_s {
    ngx_http_request_t             *request;
    ngx_http_kong_main_conf_t      *mcf;
    ngx_kong_generation_t          *generation;  /* NULL: none is served */

    const ngx_http_kong_family_t   *family;
    ngx_uint_t                      item;
    ngx_uint_t                      part;        /* write()'s own */
    size_t                          need;
    unsigned                        headed:1;    /* HELP and TYPE are there */

    u_char                         *p;           /* in the buffer */
    u_char                         *last;
    ngx_chain_t                    *free;
    ngx_chain_t                    *busy;

    kong_metrics_sum_t              sum;
};


/* HELP and TYPE before the family's first line, and room for `len` bytes
 * after them; NGX_OK or NGX_AGAIN */
ngx_int_t ngx_http_kong_metrics_room(ngx_http_kong_scrape_t *s, size_t len);

/* ngx_http_kong_metrics_node.c */
ngx_int_t ngx_http_kong_metrics_datastore(ngx_http_kong_scrape_t *s);
ngx_int_t ngx_http_kong_metrics_zones(ngx_http_kong_scrape_t *s);
ngx_int_t ngx_http_kong_metrics_workers(ngx_http_kong_scrape_t *s);
ngx_int_t ngx_http_kong_metrics_connections(ngx_http_kong_scrape_t *s);
ngx_int_t ngx_http_kong_metrics_requests(ngx_http_kong_scrape_t *s);
ngx_int_t ngx_http_kong_metrics_errors(ngx_http_kong_scrape_t *s);
ngx_int_t ngx_http_kong_metrics_timers(ngx_http_kong_scrape_t *s);
ngx_int_t ngx_http_kong_metrics_info(ngx_http_kong_scrape_t *s);
ngx_int_t ngx_http_kong_metrics_own(ngx_http_kong_scrape_t *s);

/* ngx_http_kong_metrics_health.c */
ngx_int_t ngx_http_kong_metrics_health(ngx_http_kong_scrape_t *s);

/* `data` of ngx_http_kong_metrics_own() */
typedef enum {
    NGX_HTTP_KONG_OWN_UP = 0,
    NGX_HTTP_KONG_OWN_AGE,
    NGX_HTTP_KONG_OWN_SOURCE,
    NGX_HTTP_KONG_OWN_SINCE,
    NGX_HTTP_KONG_OWN_ASIDE,
    NGX_HTTP_KONG_OWN_GENERATION,
    NGX_HTTP_KONG_OWN_PUBLISHED,
    NGX_HTTP_KONG_OWN_REFUSED,
    NGX_HTTP_KONG_OWN_ROUTES,
    NGX_HTTP_KONG_OWN_SERVICES,
    NGX_HTTP_KONG_OWN_WORKERS,
    NGX_HTTP_KONG_OWN_SERIES,
    NGX_HTTP_KONG_OWN_TARGETS,
    NGX_HTTP_KONG_OWN_TARGETS_REFUSED
} ngx_http_kong_own_t;

#endif
