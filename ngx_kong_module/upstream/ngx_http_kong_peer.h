/*
 * What the balancer's files share: a request's tries (peer) and an endpoint
 * as this worker sees it (group).
 */

#ifndef NGX_HTTP_KONG_PEER_H
#define NGX_HTTP_KONG_PEER_H

#include "ngx_http_kong_upstream.h"
#include "../snapshot/kong_balancer.h"
#include "../zone/ngx_kong_targets.h"


/*
 * One name or upstream of one endpoints segment.  Lives in the map's pool;
 * what has to survive the segment is in the slots.
 */
struct ngx_http_kong_group_s {
    kong_str_t                 name;
    const kong_address_t      *addresses;
    ngx_uint_t                 n;

    const kong_balancer_t     *balancer;     /* NULL: a name */
    const kong_health_t       *health;       /* NULL: checks are off */
    const uint32_t            *sequence;
    const uint32_t            *ring;

    ngx_kong_target_t         *slot;         /* NULL: the zone is full */
    ngx_kong_target_t        **targets;      /* an entry may be NULL */

    ngx_uint_t                 position;     /* without a slot; of names */
    ngx_uint_t                 usable;       /* weight that is up */
    ngx_atomic_uint_t          changes;      /* slot->changes of `usable` */
    ngx_uint_t                 active;       /* this worker's requests */
    ngx_uint_t                 retries;      /* of these: tried again */
    uint32_t                   told;         /* NGX_KONG_TARGETS_NOW when its
                                                slots were kept */

    unsigned                   known:1;      /* `usable` is set */
};

/* a request on its way to an address */
typedef struct {
    ngx_http_request_t        *request;
    ngx_http_kong_ctx_t       *ctx;
    ngx_http_kong_srv_conf_t  *conf;

    ngx_http_kong_pool_t      *pool;     /* of the try under way */
    ngx_http_kong_pool_key_t   key;
    ngx_str_t                  sni;

    ngx_http_kong_group_t     *group;    /* NULL: the service's own address */
    ngx_uint_t                 current;
    ngx_kong_target_t         *entered;  /* counts this try; may be NULL */
    uint64_t                  *tried;    /* bits of addresses; NULL: none */
    uint32_t                   hash;

    ngx_str_t                  name;     /* of the first try */
    u_char                     text[NGX_HTTP_KONG_NAME_LEN];

    unsigned                   chosen:1; /* the first address, before get() */
    unsigned                   panic:1;  /* health is not looked at */
    unsigned                   reading_body:1;
    unsigned                   again:1;  /* it is not the first try */
    unsigned                   stale:1;  /* an idle connection was closed
                                            under us: the same address again,
                                            on a new connection */
} ngx_http_kong_peer_t;


/* ngx_http_kong_balancer.c: peer.init of the block; NGX_OK or NGX_ERROR */
ngx_int_t ngx_http_kong_balancer_init_peer(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *uscf);

/* ngx_http_kong_group.c */

/* of the service's endpoint; NULL when it is not there or out of memory */
ngx_http_kong_group_t *ngx_http_kong_group_get(ngx_http_request_t *r,
    ngx_http_kong_ctx_t *ctx);
/* NGX_OK, NGX_BUSY: nobody can be asked; *panic: health does not count */
ngx_int_t ngx_http_kong_group_check(ngx_http_kong_group_t *group,
    ngx_uint_t percent, ngx_uint_t *panic);
/* the request counts until its end */
void ngx_http_kong_group_enter(ngx_http_kong_group_t *group,
    ngx_http_kong_ctx_t *ctx);
/* NGX_DECLINED: too many requests are tried again already */
ngx_int_t ngx_http_kong_group_retry(ngx_http_kong_group_t *group,
    ngx_http_kong_ctx_t *ctx, ngx_http_kong_srv_conf_t *conf);

/* ngx_http_kong_pick.c: sets kp->current; NGX_BUSY when there is none */
ngx_int_t ngx_http_kong_pick(ngx_http_kong_peer_t *kp);

/* ngx_http_kong_hash.c: of what the upstream hashes on; NGX_ERROR when out
 * of memory */
ngx_int_t ngx_http_kong_hash(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx,
    const kong_segment_t *seg, const kong_balancer_t *b, uint32_t *hash);

/* ngx_http_kong_passive.c: a try has ended, `state` as in peer.free */
void ngx_http_kong_passive(ngx_http_kong_peer_t *kp,
    ngx_peer_connection_t *pc, ngx_uint_t state);

#endif
