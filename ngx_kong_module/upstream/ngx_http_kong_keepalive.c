/*
 * Connections to upstreams, kept open between requests: one pool for each
 * (address, port, TLS settings, server name), so that a connection is never
 * used across a trust boundary.  Pools belong to the worker and outlive
 * segments: their keys know no generation.  A request under way holds a
 * reference; a pool without references and connections rests in a list and
 * is freed when too many rest there.
 */

#include "ngx_http_kong_upstream.h"

#define XXH_INLINE_ALL
#include <xxhash.h>


#define NGX_HTTP_KONG_POOLS_MIN     256     /* buckets, a power of two */
#define NGX_HTTP_KONG_POOLS_UNUSED  1024
#define NGX_HTTP_KONG_ITEMS         64      /* allocated at once */


typedef struct {
    ngx_queue_t                queue;    /* in the pool's idle */
    ngx_queue_t                all;      /* of the worker, by age; or free */
    ngx_connection_t          *connection;
    ngx_http_kong_pool_t      *pool;
} ngx_http_kong_item_t;

typedef struct {
    ngx_http_kong_pool_t     **buckets;
    ngx_uint_t                 size;
    ngx_uint_t                 n;

    ngx_queue_t                unused;   /* the last used first */
    ngx_uint_t                 n_unused;

    ngx_queue_t                idle;     /* the last used first */
    ngx_uint_t                 n_idle;
    ngx_queue_t                free;
} ngx_http_kong_pools_t;


static ngx_http_kong_pool_t *ngx_http_kong_pool_create(
    const ngx_http_kong_pool_key_t *key, const ngx_str_t *sni, uint64_t hash);
static void ngx_http_kong_pool_address(ngx_http_kong_pool_t *pool);
static ngx_int_t ngx_http_kong_pools_grow(void);
static void ngx_http_kong_pool_rest(ngx_http_kong_pool_t *pool);
static void ngx_http_kong_pool_free(ngx_http_kong_pool_t *pool);
static ngx_http_kong_item_t *ngx_http_kong_item_get(
    ngx_http_kong_pool_t *pool, ngx_http_kong_srv_conf_t *conf);
static void ngx_http_kong_item_put(ngx_http_kong_item_t *item);
static void ngx_http_kong_item_drop(ngx_queue_t *q);
static ngx_int_t ngx_http_kong_items_alloc(void);
static void ngx_http_kong_idle_write_handler(ngx_event_t *ev);
static void ngx_http_kong_idle_read_handler(ngx_event_t *ev);
static void ngx_http_kong_idle_close(ngx_connection_t *c);


static ngx_http_kong_pools_t  ngx_http_kong_pools = {
    .unused = { &ngx_http_kong_pools.unused, &ngx_http_kong_pools.unused },
    .idle = { &ngx_http_kong_pools.idle, &ngx_http_kong_pools.idle },
    .free = { &ngx_http_kong_pools.free, &ngx_http_kong_pools.free }
};


ngx_http_kong_pool_t *
ngx_http_kong_pool_get(const ngx_http_kong_pool_key_t *key,
    const ngx_str_t *sni)
{
    uint64_t                hash;
    ngx_http_kong_pool_t   *pool;
    ngx_http_kong_pools_t  *pools;

    pools = &ngx_http_kong_pools;

    hash = XXH3_64bits(key, sizeof(ngx_http_kong_pool_key_t));

    if (sni->len != 0) {
        hash = XXH3_64bits_withSeed(sni->data, sni->len, hash);
    }

    if (pools->size != 0) {
        pool = pools->buckets[hash & (pools->size - 1)];

        for ( /* void */ ; pool != NULL; pool = pool->next) {

            if (pool->hash == hash
                && pool->sni_len == sni->len
                && ngx_memcmp(&pool->key, key,
                              sizeof(ngx_http_kong_pool_key_t))
                   == 0
                && ngx_memcmp(pool->sni, sni->data, sni->len) == 0)
            {
                goto found;
            }
        }
    }

    pool = ngx_http_kong_pool_create(key, sni, hash);
    if (pool == NULL) {
        return NULL;
    }

    pool->refs = 1;

    return pool;

found:

    if (pool->refs++ == 0 && pool->n_idle == 0) {
        ngx_queue_remove(&pool->unused);
        pools->n_unused--;
    }

    return pool;
}


static ngx_http_kong_pool_t *
ngx_http_kong_pool_create(const ngx_http_kong_pool_key_t *key,
    const ngx_str_t *sni, uint64_t hash)
{
    ngx_http_kong_pool_t   *pool;
    ngx_http_kong_pools_t  *pools;

    pools = &ngx_http_kong_pools;

    /* chains get longer when the table cannot grow */

    if (pools->n >= pools->size
        && ngx_http_kong_pools_grow() != NGX_OK
        && pools->size == 0)
    {
        return NULL;
    }

    pool = ngx_calloc(sizeof(ngx_http_kong_pool_t) + sni->len,
                      ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    pool->hash = hash;
    pool->key = *key;
    pool->sni_len = sni->len;
    ngx_memcpy(pool->sni, sni->data, sni->len);

    ngx_queue_init(&pool->idle);
    ngx_http_kong_pool_address(pool);

    pool->next = pools->buckets[hash & (pools->size - 1)];
    pools->buckets[hash & (pools->size - 1)] = pool;
    pools->n++;

    return pool;
}


static void
ngx_http_kong_pool_address(ngx_http_kong_pool_t *pool)
{
#if (NGX_HAVE_INET6)
    if (pool->key.ipv6) {
        pool->u.sin6.sin6_family = AF_INET6;
        pool->u.sin6.sin6_port = htons(pool->key.port);
        ngx_memcpy(&pool->u.sin6.sin6_addr, pool->key.addr, 16);
        pool->socklen = sizeof(struct sockaddr_in6);

    } else
#endif
    {
        pool->u.sin.sin_family = AF_INET;
        pool->u.sin.sin_port = htons(pool->key.port);
        ngx_memcpy(&pool->u.sin.sin_addr, pool->key.addr, 4);
        pool->socklen = sizeof(struct sockaddr_in);
    }

    pool->name.data = pool->text;
    pool->name.len = ngx_sock_ntop(&pool->u.sockaddr, pool->socklen,
                                   pool->text, NGX_HTTP_KONG_NAME_LEN, 1);
}


static ngx_int_t
ngx_http_kong_pools_grow(void)
{
    ngx_uint_t              i, size;
    ngx_http_kong_pool_t   *pool, *next, **buckets;
    ngx_http_kong_pools_t  *pools;

    pools = &ngx_http_kong_pools;
    size = pools->size ? pools->size * 2 : NGX_HTTP_KONG_POOLS_MIN;

    buckets = ngx_calloc(size * sizeof(ngx_http_kong_pool_t *),
                         ngx_cycle->log);
    if (buckets == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < pools->size; i++) {
        for (pool = pools->buckets[i]; pool != NULL; pool = next) {
            next = pool->next;
            pool->next = buckets[pool->hash & (size - 1)];
            buckets[pool->hash & (size - 1)] = pool;
        }
    }

    ngx_free(pools->buckets);
    pools->buckets = buckets;
    pools->size = size;

    return NGX_OK;
}


void
ngx_http_kong_pool_put(ngx_http_kong_pool_t *pool)
{
    pool->refs--;

    ngx_http_kong_pool_rest(pool);
}


static void
ngx_http_kong_pool_rest(ngx_http_kong_pool_t *pool)
{
    ngx_queue_t            *q;
    ngx_http_kong_pools_t  *pools;

    if (pool->refs != 0 || pool->n_idle != 0) {
        return;
    }

    pools = &ngx_http_kong_pools;

    ngx_queue_insert_head(&pools->unused, &pool->unused);

    if (++pools->n_unused <= NGX_HTTP_KONG_POOLS_UNUSED) {
        return;
    }

    q = ngx_queue_last(&pools->unused);
    ngx_queue_remove(q);
    pools->n_unused--;

    ngx_http_kong_pool_free(ngx_queue_data(q, ngx_http_kong_pool_t, unused));
}


static void
ngx_http_kong_pool_free(ngx_http_kong_pool_t *pool)
{
    ngx_http_kong_pool_t   **p;
    ngx_http_kong_pools_t   *pools;

    pools = &ngx_http_kong_pools;

    p = &pools->buckets[pool->hash & (pools->size - 1)];

    while (*p != pool) {
        p = &(*p)->next;
    }

    *p = pool->next;
    pools->n--;

#if (NGX_HTTP_SSL)
    if (pool->session != NULL) {
        ngx_ssl_free_session(pool->session);
    }
#endif

    ngx_free(pool);
}


ngx_connection_t *
ngx_http_kong_pool_pop(ngx_http_kong_pool_t *pool, ngx_msec_t timeout,
    ngx_log_t *log)
{
    ngx_connection_t      *c;
    ngx_http_kong_item_t  *item;

    if (pool->n_idle == 0) {
        return NULL;
    }

    item = ngx_queue_data(ngx_queue_head(&pool->idle), ngx_http_kong_item_t,
                          queue);
    c = item->connection;

    ngx_http_kong_item_put(item);

    c->idle = 0;
    c->sent = 0;
    c->data = NULL;
    c->log = log;
    c->read->log = log;
    c->write->log = log;
    c->pool->log = log;

    /* nginx keeps a timer that differs little, as most do under load */

    if (timeout != 0) {
        ngx_add_timer(c->read, timeout);

    } else if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }

    return c;
}


ngx_int_t
ngx_http_kong_pool_push(ngx_http_kong_pool_t *pool, ngx_connection_t *c,
    ngx_http_upstream_t *u, ngx_http_kong_srv_conf_t *conf)
{
    ngx_http_kong_item_t  *item;

    if (c->read->eof
        || c->read->error
        || c->read->timedout
        || c->write->error
        || c->write->timedout
        || c->requests >= conf->requests
        || !u->keepalive
        || !u->request_body_sent
        || conf->size == 0
        || ngx_terminate
        || ngx_exiting)
    {
        return NGX_DECLINED;
    }

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        return NGX_DECLINED;
    }

    item = ngx_http_kong_item_get(pool, conf);
    if (item == NULL) {
        return NGX_DECLINED;
    }

    item->connection = c;

    c->read->delayed = 0;

    if (conf->timeout != NGX_TIMER_INFINITE) {
        ngx_add_timer(c->read, conf->timeout);

    } else if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    c->write->handler = ngx_http_kong_idle_write_handler;
    c->read->handler = ngx_http_kong_idle_read_handler;

    c->data = item;
    c->idle = 1;
    c->log = ngx_cycle->log;
    c->read->log = ngx_cycle->log;
    c->write->log = ngx_cycle->log;
    c->pool->log = ngx_cycle->log;

    if (c->read->ready) {
        ngx_http_kong_idle_read_handler(c->read);
    }

    return NGX_OK;
}


/* in the pool's and the worker's lists; makes room in both */

static ngx_http_kong_item_t *
ngx_http_kong_item_get(ngx_http_kong_pool_t *pool,
    ngx_http_kong_srv_conf_t *conf)
{
    ngx_queue_t            *q;
    ngx_http_kong_item_t   *item;
    ngx_http_kong_pools_t  *pools;

    pools = &ngx_http_kong_pools;

    if (pool->n_idle >= conf->size) {
        q = ngx_queue_last(&pool->idle);
        item = ngx_queue_data(q, ngx_http_kong_item_t, queue);
        ngx_http_kong_item_drop(&item->all);

    } else if (pools->n_idle >= ngx_cycle->connection_n / 2) {

        /* clients need connections too */
        ngx_http_kong_item_drop(ngx_queue_last(&pools->idle));
    }

    if (ngx_queue_empty(&pools->free)
        && ngx_http_kong_items_alloc() != NGX_OK)
    {
        return NULL;
    }

    q = ngx_queue_head(&pools->free);
    ngx_queue_remove(q);

    item = ngx_queue_data(q, ngx_http_kong_item_t, all);
    item->pool = pool;

    ngx_queue_insert_head(&pool->idle, &item->queue);
    ngx_queue_insert_head(&pools->idle, &item->all);
    pool->n_idle++;
    pools->n_idle++;

    return item;
}


static void
ngx_http_kong_item_put(ngx_http_kong_item_t *item)
{
    ngx_http_kong_pools_t  *pools;

    pools = &ngx_http_kong_pools;

    ngx_queue_remove(&item->queue);
    ngx_queue_remove(&item->all);
    item->pool->n_idle--;
    pools->n_idle--;

    ngx_queue_insert_head(&pools->free, &item->all);
}


/* closes an idle connection; its pool may be gone afterwards */

static void
ngx_http_kong_item_drop(ngx_queue_t *q)
{
    ngx_connection_t      *c;
    ngx_http_kong_item_t  *item;
    ngx_http_kong_pool_t  *pool;

    item = ngx_queue_data(q, ngx_http_kong_item_t, all);
    c = item->connection;
    pool = item->pool;

    ngx_http_kong_item_put(item);
    ngx_http_kong_idle_close(c);
    ngx_http_kong_pool_rest(pool);
}


static ngx_int_t
ngx_http_kong_items_alloc(void)
{
    ngx_uint_t             i;
    ngx_http_kong_item_t  *items;

    items = ngx_calloc(NGX_HTTP_KONG_ITEMS * sizeof(ngx_http_kong_item_t),
                       ngx_cycle->log);
    if (items == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < NGX_HTTP_KONG_ITEMS; i++) {
        ngx_queue_insert_tail(&ngx_http_kong_pools.free, &items[i].all);
    }

    return NGX_OK;
}


static void
ngx_http_kong_idle_write_handler(ngx_event_t *ev)
{
    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, ev->log, 0, "kong idle write");
}


/*
 * An idle connection must stay silent: closed by its peer, timed out, or
 * with bytes that nobody asked for, it is closed.  So it is when the worker
 * exits (nginx sets c->close).
 */

static void
ngx_http_kong_idle_read_handler(ngx_event_t *ev)
{
    int                    n;
    char                   buf[1];
    ngx_connection_t      *c;
    ngx_http_kong_item_t  *item;

    c = ev->data;

    if (!c->close && !ev->timedout) {
        n = recv(c->fd, buf, 1, MSG_PEEK);

        if (n == -1 && ngx_socket_errno == NGX_EAGAIN) {
            ev->ready = 0;

            if (ngx_handle_read_event(ev, 0) == NGX_OK) {
                return;
            }
        }
    }

    item = c->data;

    ngx_http_kong_item_drop(&item->all);
}


static void
ngx_http_kong_idle_close(ngx_connection_t *c)
{
#if (NGX_HTTP_SSL)

    if (c->ssl) {
        c->ssl->no_wait_shutdown = 1;
        c->ssl->no_send_shutdown = 1;

        if (ngx_ssl_shutdown(c) == NGX_AGAIN) {
            c->ssl->handler = ngx_http_kong_idle_close;
            return;
        }
    }

#endif

    ngx_destroy_pool(c->pool);
    ngx_close_connection(c);
}
