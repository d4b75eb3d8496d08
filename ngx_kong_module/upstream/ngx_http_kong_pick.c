/*
 * The choice of an address, for every try of a request.  An address that has
 * failed this request is chosen again only when all have.
 */

#include "ngx_http_kong_peer.h"


#define NGX_HTTP_KONG_STEPS  64      /* of the shared position */


static ngx_int_t ngx_http_kong_pick_name(ngx_http_kong_peer_t *kp);
static ngx_uint_t ngx_http_kong_pick_weighted(ngx_http_kong_group_t *group,
    ngx_uint_t position);
static ngx_uint_t ngx_http_kong_pick_stride(ngx_uint_t total);
static ngx_int_t ngx_http_kong_pick_upstream(ngx_http_kong_peer_t *kp);
static ngx_int_t ngx_http_kong_pick_sequence(ngx_http_kong_peer_t *kp);
static ngx_int_t ngx_http_kong_pick_ring(ngx_http_kong_peer_t *kp);
static ngx_int_t ngx_http_kong_pick_least(ngx_http_kong_peer_t *kp);
static ngx_int_t ngx_http_kong_pick_fast(ngx_http_kong_peer_t *kp);
static double ngx_http_kong_pick_cost(ngx_http_kong_group_t *group,
    ngx_uint_t i, double average);
static double ngx_http_kong_pick_average(ngx_http_kong_group_t *group);
static ngx_uint_t ngx_http_kong_pick_position(ngx_http_kong_group_t *group);
static ngx_uint_t ngx_http_kong_pick_usable(ngx_http_kong_peer_t *kp,
    ngx_uint_t i);
static ngx_int_t ngx_http_kong_pick_mark(ngx_http_kong_peer_t *kp);


ngx_int_t
ngx_http_kong_pick(ngx_http_kong_peer_t *kp)
{
    ngx_int_t   rc;
    ngx_uint_t  panic;

    if (kp->group->balancer == NULL) {
        return ngx_http_kong_pick_name(kp);
    }

    if (ngx_http_kong_group_check(kp->group, kp->conf->panic, &panic)
        != NGX_OK)
    {
        return NGX_BUSY;
    }

    kp->panic = panic;

    if (kp->again && ngx_http_kong_pick_mark(kp) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_http_kong_pick_upstream(kp);

    if (rc == NGX_BUSY && kp->tried != NULL) {
        kp->tried = NULL;
        rc = ngx_http_kong_pick_upstream(kp);
    }

    return rc;
}


static ngx_int_t
ngx_http_kong_pick_name(ngx_http_kong_peer_t *kp)
{
    ngx_uint_t              i;
    ngx_http_kong_group_t  *group;

    group = kp->group;

    if (kp->again) {
        kp->current = (kp->current + 1) % group->n;

    } else {
        kp->current = ngx_http_kong_pick_weighted(group, group->position++);
    }

    for (i = 0; i < group->n; i++) {

        if (group->addresses[kp->current].weight != 0) {
            return NGX_OK;
        }

        kp->current = (kp->current + 1) % group->n;
    }

    return NGX_BUSY;
}


/*
 * The address at a position of the endless weighted sequence.  With unequal
 * weights a walk in steps of about 0.618 of their sum, coprime to it, visits
 * every slot once a round and mixes the addresses.
 */

static ngx_uint_t
ngx_http_kong_pick_weighted(ngx_http_kong_group_t *group, ngx_uint_t position)
{
    ngx_uint_t             i, slot, total, equal;
    const kong_address_t  *a;

    if (group->n == 1) {
        return 0;
    }

    a = group->addresses;
    total = 0;
    equal = 1;

    for (i = 0; i < group->n; i++) {
        total += a[i].weight;

        if (a[i].weight != a[0].weight) {
            equal = 0;
        }
    }

    if (equal) {
        return position % group->n;
    }

    slot = position % total * ngx_http_kong_pick_stride(total) % total;

    for (i = 0; slot >= a[i].weight; i++) {
        slot -= a[i].weight;
    }

    return i;
}


static ngx_uint_t
ngx_http_kong_pick_stride(ngx_uint_t total)
{
    ngx_uint_t  a, b, c, stride;

    for (stride = total * 618 / 1000; stride > 1; stride--) {

        for (a = total, b = stride; b != 0; b = c) {
            c = a % b;
            a = b;
        }

        if (a == 1) {
            return stride;
        }
    }

    return 1;
}


static ngx_int_t
ngx_http_kong_pick_upstream(ngx_http_kong_peer_t *kp)
{
    switch (kp->group->balancer->algorithm) {

    case KONG_CONSISTENT_HASHING:
        return ngx_http_kong_pick_ring(kp);

    case KONG_LEAST_CONNECTIONS:
        return ngx_http_kong_pick_least(kp);

    case KONG_LATENCY:
        return ngx_http_kong_pick_fast(kp);

    default:
        return ngx_http_kong_pick_sequence(kp);
    }
}


/*
 * Whoever skips an address takes another turn, so that the ones that are
 * left share alike and not the next one gets all.
 */

static ngx_int_t
ngx_http_kong_pick_sequence(ngx_http_kong_peer_t *kp)
{
    ngx_uint_t              i, n, position;
    ngx_http_kong_group_t  *group;

    group = kp->group;
    n = group->balancer->n_sequence;
    position = 0;

    if (n == 0) {
        return NGX_BUSY;
    }

    for (i = 0; i < NGX_HTTP_KONG_STEPS; i++) {
        position = ngx_http_kong_pick_position(group);
        kp->current = group->sequence[position % n];

        if (ngx_http_kong_pick_usable(kp, kp->current)) {
            return NGX_OK;
        }
    }

    for (i = 0; i < group->n; i++) {
        kp->current = (position + i) % group->n;

        if (ngx_http_kong_pick_usable(kp, kp->current)) {
            return NGX_OK;
        }
    }

    return NGX_BUSY;
}


static ngx_int_t
ngx_http_kong_pick_ring(ngx_http_kong_peer_t *kp)
{
    ngx_uint_t              i, n, at;
    const kong_segment_t   *seg;
    ngx_http_kong_group_t  *group;

    group = kp->group;
    n = group->balancer->n_ring;

    if (n == 0) {
        return NGX_BUSY;
    }

    seg = &kp->ctx->generation->endpoints->seg;
    at = kong_ring_find(seg, group->balancer, kp->hash);

    for (i = 0; i < n; i++) {
        kp->current = group->ring[at] & 0xffff;

        if (ngx_http_kong_pick_usable(kp, kp->current)) {
            return NGX_OK;
        }

        at = (at == 0) ? n - 1 : at - 1;
    }

    return NGX_BUSY;
}


/* the lowest cost for its weight; equal ones take turns */

static ngx_int_t
ngx_http_kong_pick_least(ngx_http_kong_peer_t *kp)
{
    double                  cost, best;
    ngx_uint_t              i, k, first, found;
    ngx_http_kong_group_t  *group;

    group = kp->group;
    first = ngx_http_kong_pick_position(group);
    found = 0;
    best = 0;

    for (i = 0; i < group->n; i++) {
        k = (first + i) % group->n;

        if (!ngx_http_kong_pick_usable(kp, k)) {
            continue;
        }

        cost = ngx_http_kong_pick_cost(group, k, 1);

        if (!found || cost < best) {
            found = 1;
            best = cost;
            kp->current = k;
        }
    }

    return found ? NGX_OK : NGX_BUSY;
}


/*
 * The better one of two by chance: the fastest would be overrun by workers
 * that all see the same figures, and the others never measured again.
 */

static ngx_int_t
ngx_http_kong_pick_fast(ngx_http_kong_peer_t *kp)
{
    double                  average;
    ngx_uint_t              i, k, n, two[2];
    ngx_http_kong_group_t  *group;

    group = kp->group;

    for (i = 0, n = 0; i < NGX_HTTP_KONG_STEPS && n < 2; i++) {
        k = (ngx_uint_t) ngx_random() % group->n;

        if ((n == 0 || k != two[0]) && ngx_http_kong_pick_usable(kp, k)) {
            two[n++] = k;
        }
    }

    if (n == 0) {
        return ngx_http_kong_pick_least(kp);
    }

    kp->current = two[0];

    if (n == 2) {
        average = ngx_http_kong_pick_average(group);

        if (ngx_http_kong_pick_cost(group, two[1], average)
            < ngx_http_kong_pick_cost(group, two[0], average))
        {
            kp->current = two[1];
        }
    }

    return NGX_OK;
}


/*
 * Requests under way and this one, times the latency where that is what
 * counts, for its weight.
 */

static double
ngx_http_kong_pick_cost(ngx_http_kong_group_t *group, ngx_uint_t i,
    double average)
{
    double              cost, ms;
    ngx_atomic_int_t    active;
    ngx_kong_target_t  *t;

    t = group->targets[i];
    active = (t != NULL) ? (ngx_atomic_int_t) t->active : 0;

    /* a worker killed between two steps may leave it one too low */
    cost = (double) ngx_max(active, 0) + 1;

    if (group->balancer->algorithm == KONG_LATENCY) {
        ms = (t != NULL) ? ngx_kong_target_latency(t) : -1;
        cost *= (ms >= 0) ? ms : average;
    }

    return cost / group->addresses[i].weight;
}


/* what is assumed of an address that nobody has asked yet */

static double
ngx_http_kong_pick_average(ngx_http_kong_group_t *group)
{
    double      ms, sum;
    ngx_uint_t  i, n;

    sum = 0;
    n = 0;

    for (i = 0; i < group->n; i++) {
        ms = (group->targets[i] != NULL)
             ? ngx_kong_target_latency(group->targets[i]) : -1;

        if (ms >= 0) {
            sum += ms;
            n++;
        }
    }

    return (n != 0) ? sum / n : 1;
}


static ngx_uint_t
ngx_http_kong_pick_position(ngx_http_kong_group_t *group)
{
    if (group->slot == NULL) {
        return group->position++;
    }

    return ngx_atomic_fetch_add(&group->slot->position, 1);
}


static ngx_uint_t
ngx_http_kong_pick_usable(ngx_http_kong_peer_t *kp, ngx_uint_t i)
{
    ngx_http_kong_group_t  *group;

    group = kp->group;

    if (group->addresses[i].weight == 0
        || (kp->tried != NULL && (kp->tried[i / 64] >> (i % 64)) & 1))
    {
        return 0;
    }

    return group->health == NULL || kp->panic
           || ngx_kong_target_is_up(group->targets[i]);
}


static ngx_int_t
ngx_http_kong_pick_mark(ngx_http_kong_peer_t *kp)
{
    if (kp->tried == NULL) {
        kp->tried = ngx_pcalloc(kp->request->pool,
                                (kp->group->n / 64 + 1) * sizeof(uint64_t));
        if (kp->tried == NULL) {
            return NGX_ERROR;
        }
    }

    kp->tried[kp->current / 64] |= (uint64_t) 1 << (kp->current % 64);

    return NGX_OK;
}
