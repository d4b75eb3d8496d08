/*
 * The cache: see ngx_kong_cache.h.  The zone's lock guards lists and tables;
 * an answer is copied out without it and looked at again behind the copy, so
 * that a large one stops nobody.
 *
 * nginx frees the lock of a worker that was killed.  The next one finds the
 * mark that it left and empties the cache: what lists and tables hold amid a
 * change is anybody's guess.
 */

#include "ngx_kong_cache.h"
#include "ngx_kong_zone.h"

#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>


#define NGX_KONG_CACHE_BLOCK    1024
#define NGX_KONG_CACHE_SHARE    8        /* an entry takes at most 1/8 */
#define NGX_KONG_CACHE_RETRIES  2
#define NGX_KONG_CACHE_VARIANTS 64       /* of a key, by Vary: looked at one
                                            after the other */

/* blocks are named by their index; 0 is none */

typedef struct {
    uint32_t             next;
    u_char               data[NGX_KONG_CACHE_BLOCK - sizeof(uint32_t)];
} ngx_kong_cache_block_t;

/* the head of an entry's first block; data follow */
typedef struct {
    uint32_t             next;           /* block */
    uint32_t             chain;          /* next entry of the same bucket */
    uint32_t             older;
    uint32_t             newer;
    uint64_t             serial;
    u_char               key[NGX_KONG_CACHE_KEY];
    uint64_t             extra;
    uint64_t             vary;
    uint32_t             stored;
    uint32_t             ttl;
    uint32_t             expires;
    uint32_t             head_len;
    uint32_t             body_len;
    uint16_t             status;
    uint16_t             names_len;
    u_char               names[NGX_KONG_CACHE_NAMES];
} ngx_kong_cache_node_t;

#define NGX_KONG_CACHE_FIRST                                                  \
    (NGX_KONG_CACHE_BLOCK - sizeof(ngx_kong_cache_node_t))
#define NGX_KONG_CACHE_NEXT                                                   \
    (NGX_KONG_CACHE_BLOCK - sizeof(uint32_t))

typedef struct {
    uint32_t             n;              /* blocks */
    uint32_t             used;           /* beyond: never used yet */
    uint32_t             free;           /* list */
    uint32_t             n_free;         /* in the list */
    uint32_t             newest;
    uint32_t             oldest;
    uint64_t             serial;
    uint64_t             seed;           /* nobody can choose a bucket */
    ngx_atomic_t         busy;           /* a worker is amid a change */
    uint32_t             mask;           /* buckets - 1 */
    uint32_t            *buckets;
    u_char              *blocks;
} ngx_kong_cache_t;

/* writes into the blocks of one entry, from its first byte on */
typedef struct {
    ngx_kong_cache_t    *cache;
    u_char              *p;
    u_char              *last;
    uint32_t             block;
} ngx_kong_cache_pen_t;


static void ngx_kong_cache_reset(ngx_kong_cache_t *cache);
static ngx_int_t ngx_kong_cache_init(ngx_shm_zone_t *zone, void *data);
static uint32_t ngx_kong_cache_find(ngx_kong_cache_t *cache,
    ngx_kong_cache_entry_t *entry, ngx_kong_cache_vary_pt vary, void *data);
static uint32_t ngx_kong_cache_find_any(ngx_kong_cache_t *cache, u_char *key);
static void ngx_kong_cache_make_room(ngx_kong_cache_t *cache,
    ngx_kong_cache_entry_t *entry, size_t need);
static ngx_int_t ngx_kong_cache_copy(ngx_kong_cache_t *cache, uint32_t first,
    u_char *p, size_t len);
static uint32_t ngx_kong_cache_alloc(ngx_kong_cache_t *cache);
static void ngx_kong_cache_remove(ngx_kong_cache_t *cache, uint32_t i);
static void ngx_kong_cache_unlink(ngx_kong_cache_t *cache,
    ngx_kong_cache_node_t *node);
static void ngx_kong_cache_link(ngx_kong_cache_t *cache, uint32_t i);
static void ngx_kong_cache_write(ngx_kong_cache_pen_t *pen, u_char *data,
    size_t len);


static inline ngx_kong_cache_node_t *
ngx_kong_cache_node(ngx_kong_cache_t *cache, uint32_t i)
{
    return (ngx_kong_cache_node_t *) (cache->blocks
                                      + (size_t) i * NGX_KONG_CACHE_BLOCK);
}


static inline uint32_t *
ngx_kong_cache_bucket(ngx_kong_cache_t *cache, u_char *key, uint64_t extra)
{
    uint64_t  hash;

    hash = XXH3_64bits_withSeed(key, NGX_KONG_CACHE_KEY, cache->seed ^ extra);

    return &cache->buckets[hash & cache->mask];
}


static void
ngx_kong_cache_lock(ngx_shm_zone_t *zone)
{
    ngx_kong_cache_t  *cache;

    ngx_shmtx_lock(&((ngx_slab_pool_t *) zone->shm.addr)->mutex);

    cache = zone->data;

    if (cache->busy) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "a worker died while it changed the cache: the cache "
                      "is emptied");
        ngx_kong_cache_reset(cache);
    }

    cache->busy = 1;
    ngx_memory_barrier();
}


static void
ngx_kong_cache_unlock(ngx_shm_zone_t *zone)
{
    ngx_kong_cache_t  *cache;

    cache = zone->data;

    ngx_memory_barrier();
    cache->busy = 0;

    ngx_shmtx_unlock(&((ngx_slab_pool_t *) zone->shm.addr)->mutex);
}


static void
ngx_kong_cache_reset(ngx_kong_cache_t *cache)
{
    ngx_memzero(cache->buckets,
                ((size_t) cache->mask + 1) * sizeof(uint32_t));

    cache->newest = 0;
    cache->oldest = 0;
    cache->free = 0;
    cache->n_free = 0;
    cache->used = 0;
}


ngx_shm_zone_t *
ngx_kong_cache_add(ngx_conf_t *cf, size_t size, void *tag)
{
    ngx_str_t  name = ngx_string("kong_cache");

    return ngx_kong_zone_share(cf, &name, size, tag, ngx_kong_cache_init);
}


static ngx_int_t
ngx_kong_cache_init(ngx_shm_zone_t *zone, void *data)
{
    size_t             size;
    uint32_t           buckets;
    ngx_slab_pool_t   *shpool;
    ngx_kong_cache_t  *cache;

    if (ngx_kong_zone_inherit(zone, data)) {
        return NGX_OK;
    }

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    cache = ngx_slab_calloc(shpool, sizeof(ngx_kong_cache_t));
    if (cache == NULL) {
        return NGX_ERROR;
    }

    /* all that is left; a new zone is zeros, which the buckets rely on */

    size = shpool->pfree * ngx_pagesize;

    while (size >= ngx_pagesize) {
        cache->blocks = ngx_slab_alloc(shpool, size);
        if (cache->blocks != NULL) {
            break;
        }

        size -= ngx_pagesize;
    }

    if (cache->blocks == NULL) {
        return NGX_ERROR;
    }

#if (NGX_DEBUG_MALLOC)
    ngx_memzero(cache->blocks, size);
#endif

    buckets = 1;

    while (buckets * 2 * NGX_KONG_CACHE_BLOCK <= size) {
        buckets *= 2;
    }

    /* the table lies behind the blocks */

    cache->mask = buckets - 1;
    cache->n = (size - buckets * sizeof(uint32_t)) / NGX_KONG_CACHE_BLOCK - 1;
    cache->buckets = (uint32_t *) (cache->blocks + size) - buckets;
    cache->used = 0;

    if (getrandom(&cache->seed, sizeof(cache->seed), GRND_NONBLOCK)
        != (ssize_t) sizeof(cache->seed))
    {
        cache->seed = (uint64_t) ngx_pid << 32 | ngx_random();
    }

    shpool->data = cache;
    shpool->log_nomem = 0;
    zone->data = cache;

    return NGX_OK;
}


void
ngx_kong_cache_usage(ngx_shm_zone_t *zone, size_t *used, size_t *size)
{
    ngx_kong_cache_t  *cache;

    cache = zone->data;

    *used = (size_t) (cache->used - cache->n_free) * NGX_KONG_CACHE_BLOCK;
    *size = (size_t) cache->n * NGX_KONG_CACHE_BLOCK;
}


size_t
ngx_kong_cache_limit(ngx_shm_zone_t *zone)
{
    ngx_kong_cache_t  *cache = zone->data;

    return (size_t) cache->n / NGX_KONG_CACHE_SHARE * NGX_KONG_CACHE_NEXT;
}


ngx_int_t
ngx_kong_cache_fetch(ngx_shm_zone_t *zone, ngx_pool_t *pool,
    ngx_kong_cache_entry_t *entry, ngx_kong_cache_vary_pt vary, void *data)
{
    u_char                 *p;
    size_t                  len;
    uint32_t                i;
    uint64_t                serial;
    ngx_int_t               rc;
    ngx_uint_t              try;
    ngx_kong_cache_t       *cache;
    ngx_kong_cache_node_t  *node;

    cache = zone->data;

    for (try = 0; try < NGX_KONG_CACHE_RETRIES; try++) {

        ngx_kong_cache_lock(zone);

        i = ngx_kong_cache_find(cache, entry, vary, data);

        if (i == 0) {
            ngx_kong_cache_unlock(zone);
            return NGX_DECLINED;
        }

        node = ngx_kong_cache_node(cache, i);

        ngx_kong_cache_unlink(cache, node);
        ngx_kong_cache_link(cache, i);

        serial = node->serial;
        entry->vary = node->vary;
        entry->status = node->status;
        entry->stored = node->stored;
        entry->ttl = node->ttl;
        entry->expires = node->expires;
        entry->head.len = node->head_len;
        entry->body.len = node->body_len;

        ngx_kong_cache_unlock(zone);

        len = entry->head.len + entry->body.len;

        p = ngx_pnalloc(pool, len + 1);
        if (p == NULL) {
            return NGX_DECLINED;
        }

        entry->head.data = p;
        entry->body.data = p + entry->head.len;

        rc = ngx_kong_cache_copy(cache, i, p, len);

        ngx_kong_cache_lock(zone);

        if (ngx_kong_cache_find(cache, entry, vary, data) != i
            || node->serial != serial)
        {
            rc = NGX_AGAIN;
        }

        ngx_kong_cache_unlock(zone);

        if (rc == NGX_OK) {
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


/* what has expired is removed on the way */
static uint32_t
ngx_kong_cache_find(ngx_kong_cache_t *cache, ngx_kong_cache_entry_t *entry,
    ngx_kong_cache_vary_pt vary, void *data)
{
    uint32_t                i, next;
    ngx_str_t               names;
    ngx_kong_cache_node_t  *node;

    if (vary == NULL) {
        return ngx_kong_cache_find_any(cache, entry->key);
    }

    for (i = *ngx_kong_cache_bucket(cache, entry->key, entry->extra);
         i != 0;
         i = next)
    {
        node = ngx_kong_cache_node(cache, i);
        next = node->chain;

        if (node->expires <= (uint32_t) ngx_time()) {
            ngx_kong_cache_remove(cache, i);
            continue;
        }

        if (node->extra != entry->extra
            || ngx_memcmp(node->key, entry->key, NGX_KONG_CACHE_KEY) != 0)
        {
            continue;
        }

        names.data = node->names;
        names.len = node->names_len;

        if (vary(data, &names) == node->vary) {
            return i;
        }
    }

    return 0;
}


/* for operators: looks at every entry */
static uint32_t
ngx_kong_cache_find_any(ngx_kong_cache_t *cache, u_char *key)
{
    uint32_t                i;
    ngx_kong_cache_node_t  *node;

    for (i = cache->newest; i != 0; i = node->older) {
        node = ngx_kong_cache_node(cache, i);

        if (node->expires > (uint32_t) ngx_time()
            && ngx_memcmp(node->key, key, NGX_KONG_CACHE_KEY) == 0)
        {
            return i;
        }
    }

    return 0;
}


/* without the lock: another worker may be writing here, the caller finds out
 * later.  Indexes are checked, for they may be anything */
static ngx_int_t
ngx_kong_cache_copy(ngx_kong_cache_t *cache, uint32_t first, u_char *p,
    size_t len)
{
    size_t                   size;
    uint32_t                 i;
    ngx_kong_cache_node_t   *node;
    ngx_kong_cache_block_t  *block;

    node = ngx_kong_cache_node(cache, first);

    size = ngx_min(len, NGX_KONG_CACHE_FIRST);
    p = ngx_cpymem(p, (u_char *) (node + 1), size);
    len -= size;

    i = node->next;

    while (len != 0) {

        if (i == 0 || i > cache->n) {
            return NGX_AGAIN;
        }

        block = (ngx_kong_cache_block_t *) ngx_kong_cache_node(cache, i);

        size = ngx_min(len, NGX_KONG_CACHE_NEXT);
        p = ngx_cpymem(p, block->data, size);
        len -= size;

        i = block->next;
    }

    return NGX_OK;
}


ngx_int_t
ngx_kong_cache_store(ngx_shm_zone_t *zone, ngx_kong_cache_entry_t *entry,
    ngx_chain_t *body)
{
    size_t                  len, need;
    uint32_t                first, *bucket;
    ngx_chain_t            *cl;
    ngx_kong_cache_t       *cache;
    ngx_kong_cache_pen_t    pen;
    ngx_kong_cache_node_t  *node;

    cache = zone->data;
    len = 0;

    for (cl = body; cl != NULL; cl = cl->next) {
        len += cl->buf->last - cl->buf->pos;
    }

    if (entry->head.len + len > ngx_kong_cache_limit(zone)
        || entry->names.len > NGX_KONG_CACHE_NAMES)
    {
        return NGX_DECLINED;
    }

    need = 1;

    if (entry->head.len + len > NGX_KONG_CACHE_FIRST) {
        need += (entry->head.len + len - NGX_KONG_CACHE_FIRST
                 + NGX_KONG_CACHE_NEXT - 1)
                / NGX_KONG_CACHE_NEXT;
    }

    ngx_kong_cache_lock(zone);

    ngx_kong_cache_make_room(cache, entry, need);

    first = ngx_kong_cache_alloc(cache);
    node = ngx_kong_cache_node(cache, first);

    node->serial = ++cache->serial;
    ngx_memcpy(node->key, entry->key, NGX_KONG_CACHE_KEY);
    node->extra = entry->extra;
    node->vary = entry->vary;
    node->stored = (uint32_t) entry->stored;
    node->ttl = (uint32_t) entry->ttl;
    node->expires = (uint32_t) entry->expires;
    node->status = (uint16_t) entry->status;
    node->head_len = (uint32_t) entry->head.len;
    node->body_len = (uint32_t) len;
    node->names_len = (uint16_t) entry->names.len;
    ngx_memcpy(node->names, entry->names.data, entry->names.len);

    pen.cache = cache;
    pen.block = first;
    pen.p = (u_char *) (node + 1);
    pen.last = pen.p + NGX_KONG_CACHE_FIRST;

    ngx_kong_cache_write(&pen, entry->head.data, entry->head.len);

    for (cl = body; cl != NULL; cl = cl->next) {
        ngx_kong_cache_write(&pen, cl->buf->pos,
                             cl->buf->last - cl->buf->pos);
    }

    bucket = ngx_kong_cache_bucket(cache, entry->key, entry->extra);

    node->chain = *bucket;
    *bucket = first;
    ngx_kong_cache_link(cache, first);

    ngx_kong_cache_unlock(zone);

    return NGX_OK;
}


/* the entry of the same goes, and so do the oldest: of its key when there are
 * too many, and of all until there are blocks enough */
static void
ngx_kong_cache_make_room(ngx_kong_cache_t *cache,
    ngx_kong_cache_entry_t *entry, size_t need)
{
    uint32_t                i, next;
    ngx_uint_t              n;
    ngx_kong_cache_node_t  *node;

    n = 1;

    for (i = *ngx_kong_cache_bucket(cache, entry->key, entry->extra);
         i != 0;
         i = next)
    {
        node = ngx_kong_cache_node(cache, i);
        next = node->chain;

        if (node->extra != entry->extra
            || ngx_memcmp(node->key, entry->key, NGX_KONG_CACHE_KEY) != 0)
        {
            continue;
        }

        if (node->vary == entry->vary || ++n > NGX_KONG_CACHE_VARIANTS) {
            ngx_kong_cache_remove(cache, i);
        }
    }

    while (cache->n_free + (cache->n - cache->used) < need
           && cache->oldest != 0)
    {
        ngx_kong_cache_remove(cache, cache->oldest);
    }
}


static void
ngx_kong_cache_write(ngx_kong_cache_pen_t *pen, u_char *data, size_t len)
{
    size_t                   size;
    uint32_t                 i;
    ngx_kong_cache_block_t  *block;

    while (len != 0) {

        if (pen->p == pen->last) {
            i = ngx_kong_cache_alloc(pen->cache);

            ngx_kong_cache_node(pen->cache, pen->block)->next = i;

            block = (ngx_kong_cache_block_t *) ngx_kong_cache_node(pen->cache,
                                                                   i);
            pen->block = i;
            pen->p = block->data;
            pen->last = pen->p + NGX_KONG_CACHE_NEXT;
        }

        size = ngx_min(len, (size_t) (pen->last - pen->p));

        pen->p = ngx_cpymem(pen->p, data, size);
        data += size;
        len -= size;
    }
}


ngx_uint_t
ngx_kong_cache_purge(ngx_shm_zone_t *zone, u_char *key)
{
    uint32_t                i, next;
    ngx_uint_t              n;
    ngx_kong_cache_t       *cache;
    ngx_kong_cache_node_t  *node;

    n = 0;
    cache = zone->data;

    ngx_kong_cache_lock(zone);

    for (i = cache->oldest; i != 0; i = next) {
        node = ngx_kong_cache_node(cache, i);
        next = node->newer;

        if (key == NULL
            || ngx_memcmp(node->key, key, NGX_KONG_CACHE_KEY) == 0)
        {
            n += (node->expires > (uint32_t) ngx_time());
            ngx_kong_cache_remove(cache, i);
        }
    }

    ngx_kong_cache_unlock(zone);

    return n;
}


/* the caller has seen to it that there is one */
static uint32_t
ngx_kong_cache_alloc(ngx_kong_cache_t *cache)
{
    uint32_t  i;

    i = cache->free;

    if (i != 0) {
        cache->free = ngx_kong_cache_node(cache, i)->next;
        cache->n_free--;

    } else {
        i = ++cache->used;
    }

    ngx_kong_cache_node(cache, i)->next = 0;

    return i;
}


static void
ngx_kong_cache_remove(ngx_kong_cache_t *cache, uint32_t i)
{
    uint32_t               *p, next;
    ngx_kong_cache_node_t  *node;

    node = ngx_kong_cache_node(cache, i);

    for (p = ngx_kong_cache_bucket(cache, node->key, node->extra); *p != 0;
         p = &ngx_kong_cache_node(cache, *p)->chain)
    {
        if (*p == i) {
            *p = node->chain;
            break;
        }
    }

    ngx_kong_cache_unlink(cache, node);

    node->serial = 0;

    for ( /* void */ ; i != 0; i = next) {
        node = ngx_kong_cache_node(cache, i);
        next = node->next;
        node->next = cache->free;
        cache->free = i;
        cache->n_free++;
    }
}


static void
ngx_kong_cache_unlink(ngx_kong_cache_t *cache, ngx_kong_cache_node_t *node)
{
    if (node->older != 0) {
        ngx_kong_cache_node(cache, node->older)->newer = node->newer;

    } else {
        cache->oldest = node->newer;
    }

    if (node->newer != 0) {
        ngx_kong_cache_node(cache, node->newer)->older = node->older;

    } else {
        cache->newest = node->older;
    }
}


static void
ngx_kong_cache_link(ngx_kong_cache_t *cache, uint32_t i)
{
    ngx_kong_cache_node_t  *node;

    node = ngx_kong_cache_node(cache, i);

    node->older = cache->newest;
    node->newer = 0;

    if (cache->newest != 0) {
        ngx_kong_cache_node(cache, cache->newest)->newer = i;

    } else {
        cache->oldest = i;
    }

    cache->newest = i;
}
