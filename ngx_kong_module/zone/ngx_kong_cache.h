/*
 * The shared zone `kong_cache`: answers that the plugin proxy-cache keeps.
 * Memory is cut into blocks once; an entry is a chain of blocks.  When none is
 * free, the entries that were not used for the longest time go.
 */

#ifndef NGX_KONG_CACHE_H
#define NGX_KONG_CACHE_H

#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_KONG_CACHE_KEY    32         /* SHA-256 */
#define NGX_KONG_CACHE_NAMES  128        /* of headers that an answer varies
                                            on, at most */

/* the hash of a request's values of the headers named in `names` */
typedef uint64_t (*ngx_kong_cache_vary_pt)(void *data, ngx_str_t *names);

typedef struct {
    u_char                   key[NGX_KONG_CACHE_KEY];
    uint64_t                 extra;      /* what the key does not tell apart */
    uint64_t                 vary;       /* of this entry's names */
    ngx_str_t                names;      /* at most NGX_KONG_CACHE_NAMES */
    ngx_uint_t               status;
    time_t                   stored;
    time_t                   ttl;        /* fresh for so long */
    time_t                   expires;    /* epoch s: gone from then on */
    ngx_str_t                head;       /* the plugin's own form */
    ngx_str_t                body;
} ngx_kong_cache_entry_t;


ngx_shm_zone_t *ngx_kong_cache_add(ngx_conf_t *cf, size_t size, void *tag);

/*
 * NGX_OK with a copy in `pool`, or NGX_DECLINED.  entry->key and extra say
 * which; with `vary` NULL any of that key, whatever its extra.
 */
ngx_int_t ngx_kong_cache_fetch(ngx_shm_zone_t *zone, ngx_pool_t *pool,
    ngx_kong_cache_entry_t *entry, ngx_kong_cache_vary_pt vary, void *data);

/* takes the place of the same; NGX_DECLINED when it is too large.  The body
 * is `body`, entry->body is not used */
ngx_int_t ngx_kong_cache_store(ngx_shm_zone_t *zone,
    ngx_kong_cache_entry_t *entry, ngx_chain_t *body);

/* all of a key, or with NULL all; how many there were */
ngx_uint_t ngx_kong_cache_purge(ngx_shm_zone_t *zone, u_char *key);

/* bytes of entries, and in all */
void ngx_kong_cache_usage(ngx_shm_zone_t *zone, size_t *used, size_t *size);

/* the largest entry that fits */
size_t ngx_kong_cache_limit(ngx_shm_zone_t *zone);

#endif
