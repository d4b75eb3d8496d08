/*
 * A hash table with a random seed and two lists, of facts and of absences,
 * the last used first.
 */

#include "ngx_kong_known.h"

#include <openssl/err.h>
#include <openssl/rand.h>

#define XXH_INLINE_ALL
#include <xxhash.h>


#define NGX_KONG_KNOWN_SLOTS   16384     /* a power of 2 */
#define NGX_KONG_KNOWN_FACTS   16384
#define NGX_KONG_KNOWN_NONES   4096
#define NGX_KONG_KNOWN_SIZE    8192      /* bytes of one */
#define NGX_KONG_KNOWN_FRESH   1000      /* ms */

typedef struct ngx_kong_entry_s  ngx_kong_entry_t;

struct ngx_kong_entry_s {
    ngx_kong_entry_t  *next;             /* in its slot */
    ngx_queue_t        queue;
    uint64_t           hash;
    ngx_msec_t         since;
    time_t             until;
    uint32_t           kind;
    uint32_t           none;
    uint32_t           key;              /* lengths of what follows */
    uint32_t           texts[NGX_KONG_KNOWN_TEXTS];
    u_char             data[];
};


static uint64_t ngx_kong_known_hash(ngx_kong_known_kind_t kind,
    ngx_str_t *key);
static ngx_kong_entry_t **ngx_kong_known_find(ngx_kong_known_kind_t kind,
    ngx_str_t *key, uint64_t hash);
static void ngx_kong_known_remove(ngx_kong_entry_t **link);
static void ngx_kong_known_oldest(ngx_uint_t none);
static ngx_int_t ngx_kong_known_init(void);


static ngx_kong_entry_t  **ngx_kong_known_slots;
static uint64_t            ngx_kong_known_seed;
static ngx_queue_t         ngx_kong_known_queues[2];     /* by `none` */
static ngx_uint_t          ngx_kong_known_n[2];


ngx_int_t
ngx_kong_known_get(ngx_kong_known_kind_t kind, ngx_str_t *key,
    ngx_pool_t *pool, ngx_kong_fact_t *fact)
{
    u_char             *p;
    ngx_uint_t          i;
    ngx_kong_entry_t   *e, **link;

    if (ngx_kong_known_slots == NULL) {
        return NGX_DECLINED;
    }

    link = ngx_kong_known_find(kind, key, ngx_kong_known_hash(kind, key));
    e = *link;

    if (e == NULL) {
        return NGX_DECLINED;
    }

    ngx_memzero(fact, sizeof(ngx_kong_fact_t));
    fact->none = e->none;
    fact->until = e->until;
    fact->fresh = ngx_current_msec - e->since < NGX_KONG_KNOWN_FRESH;

    if (e->until != 0 && e->until <= ngx_time()) {
        ngx_kong_known_remove(link);
        return NGX_DECLINED;
    }

    ngx_queue_remove(&e->queue);
    ngx_queue_insert_head(&ngx_kong_known_queues[e->none], &e->queue);

    p = e->data + e->key;

    for (i = 0; i < NGX_KONG_KNOWN_TEXTS; i++) {
        fact->texts[i].len = e->texts[i];
        fact->texts[i].data = ngx_pnalloc(pool, e->texts[i] + 1);

        if (fact->texts[i].data == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(fact->texts[i].data, p, e->texts[i]);
        p += e->texts[i];
    }

    return NGX_OK;
}


void
ngx_kong_known_set(ngx_kong_known_kind_t kind, ngx_str_t *key,
    const ngx_kong_fact_t *fact)
{
    u_char             *p;
    size_t              size;
    uint64_t            hash;
    ngx_uint_t          i;
    ngx_kong_entry_t   *e, **slot;

    if (ngx_kong_known_slots == NULL && ngx_kong_known_init() != NGX_OK) {
        return;
    }

    ngx_kong_known_forget(kind, key);

    size = key->len;

    for (i = 0; i < NGX_KONG_KNOWN_TEXTS; i++) {
        size += fact->texts[i].len;
    }

    if (size > NGX_KONG_KNOWN_SIZE) {
        return;
    }

    if (ngx_kong_known_n[fact->none] >= (fact->none ? NGX_KONG_KNOWN_NONES
                                                    : NGX_KONG_KNOWN_FACTS))
    {
        ngx_kong_known_oldest(fact->none);
    }

    e = ngx_alloc(sizeof(ngx_kong_entry_t) + size, ngx_cycle->log);
    if (e == NULL) {
        return;
    }

    hash = ngx_kong_known_hash(kind, key);

    e->hash = hash;
    e->since = ngx_current_msec;
    e->until = fact->until;
    e->kind = kind;
    e->none = fact->none;
    e->key = (uint32_t) key->len;

    p = ngx_cpymem(e->data, key->data, key->len);

    for (i = 0; i < NGX_KONG_KNOWN_TEXTS; i++) {
        e->texts[i] = (uint32_t) fact->texts[i].len;
        p = ngx_cpymem(p, fact->texts[i].data, fact->texts[i].len);
    }

    slot = &ngx_kong_known_slots[hash & (NGX_KONG_KNOWN_SLOTS - 1)];
    e->next = *slot;
    *slot = e;

    ngx_queue_insert_head(&ngx_kong_known_queues[e->none], &e->queue);
    ngx_kong_known_n[e->none]++;
}


void
ngx_kong_known_forget(ngx_kong_known_kind_t kind, ngx_str_t *key)
{
    ngx_kong_entry_t  **link;

    if (ngx_kong_known_slots == NULL) {
        return;
    }

    link = ngx_kong_known_find(kind, key, ngx_kong_known_hash(kind, key));

    if (*link != NULL) {
        ngx_kong_known_remove(link);
    }
}


static uint64_t
ngx_kong_known_hash(ngx_kong_known_kind_t kind, ngx_str_t *key)
{
    return XXH3_64bits_withSeed(key->data, key->len,
                                ngx_kong_known_seed + kind);
}


/* where the entry hangs, or would */
static ngx_kong_entry_t **
ngx_kong_known_find(ngx_kong_known_kind_t kind, ngx_str_t *key, uint64_t hash)
{
    ngx_kong_entry_t  *e, **link;

    link = &ngx_kong_known_slots[hash & (NGX_KONG_KNOWN_SLOTS - 1)];

    for (e = *link; e != NULL; e = *link) {

        if (e->hash == hash && e->kind == kind && e->key == key->len
            && ngx_memcmp(e->data, key->data, key->len) == 0)
        {
            break;
        }

        link = &e->next;
    }

    return link;
}


static void
ngx_kong_known_remove(ngx_kong_entry_t **link)
{
    ngx_kong_entry_t  *e;

    e = *link;
    *link = e->next;

    ngx_queue_remove(&e->queue);
    ngx_kong_known_n[e->none]--;

    ngx_free(e);
}


static void
ngx_kong_known_oldest(ngx_uint_t none)
{
    ngx_queue_t        *q;
    ngx_kong_entry_t   *e, **link;

    q = ngx_queue_last(&ngx_kong_known_queues[none]);
    e = ngx_queue_data(q, ngx_kong_entry_t, queue);

    link = &ngx_kong_known_slots[e->hash & (NGX_KONG_KNOWN_SLOTS - 1)];

    while (*link != e) {
        link = &(*link)->next;
    }

    ngx_kong_known_remove(link);
}


static ngx_int_t
ngx_kong_known_init(void)
{
    if (RAND_bytes((u_char *) &ngx_kong_known_seed,
                   sizeof(ngx_kong_known_seed))
        != 1)
    {
        ERR_clear_error();
        return NGX_ERROR;
    }

    ngx_kong_known_slots = ngx_calloc(NGX_KONG_KNOWN_SLOTS
                                      * sizeof(ngx_kong_entry_t *),
                                      ngx_cycle->log);
    if (ngx_kong_known_slots == NULL) {
        return NGX_ERROR;
    }

    ngx_queue_init(&ngx_kong_known_queues[0]);
    ngx_queue_init(&ngx_kong_known_queues[1]);

    return NGX_OK;
}
