/*
 * /metrics: what the node tells of itself.  Kong's families, each with the
 * nearest thing that is here (there are no Lua VMs, but there is the workers'
 * memory), then our own.
 */

#include "ngx_http_kong_metrics.h"
#include "../zone/ngx_kong_cache.h"
#include "../zone/ngx_kong_targets.h"

#include <signal.h>


#define NGX_HTTP_KONG_NODE_LINE    256
#define NGX_HTTP_KONG_TIMERS_MAX   100000
#define NGX_HTTP_KONG_HEARTBEAT    5       /* s */


static ngx_int_t ngx_http_kong_metrics_value(ngx_http_kong_scrape_t *s,
    ngx_atomic_uint_t value);
static u_char *ngx_http_kong_metrics_zone(ngx_http_kong_scrape_t *s,
    u_char *p, const char *name, size_t bytes);


/* one line without labels */
static ngx_int_t
ngx_http_kong_metrics_value(ngx_http_kong_scrape_t *s,
    ngx_atomic_uint_t value)
{
    if (ngx_http_kong_metrics_room(s, NGX_HTTP_KONG_NODE_LINE) != NGX_OK) {
        return NGX_AGAIN;
    }

    s->p = ngx_sprintf(s->p, "%V %uA\n", &s->family->name, value);

    return NGX_DONE;
}


/* without a database there is nothing that could be out of reach */
ngx_int_t
ngx_http_kong_metrics_datastore(ngx_http_kong_scrape_t *s)
{
    ngx_kong_daemon_state_t  *daemon;

    daemon = &ngx_kong_zone_control(s->mcf->zone)->daemon;

    return ngx_http_kong_metrics_value(s, !daemon->database
                                          || daemon->reachable);
}


/* `data` 0: in use, 1: in all */
ngx_int_t
ngx_http_kong_metrics_zones(ngx_http_kong_scrape_t *s)
{
    u_char           *p;
    size_t            bytes[2];
    uint32_t          n;
    ngx_shm_zone_t   *zone;
    ngx_slab_pool_t  *shpool;

    if (ngx_http_kong_metrics_room(s, 3 * NGX_HTTP_KONG_NODE_LINE) != NGX_OK) {
        return NGX_AGAIN;
    }

    p = s->p;

    if (s->mcf->cache != NULL) {
        ngx_kong_cache_usage(s->mcf->cache, &bytes[0], &bytes[1]);
        p = ngx_http_kong_metrics_zone(s, p, "kong_cache",
                                       bytes[s->family->data]);
    }

    zone = s->mcf->zone;
    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    bytes[0] = zone->shm.size - shpool->pfree * ngx_pagesize;
    bytes[1] = zone->shm.size;
    p = ngx_http_kong_metrics_zone(s, p, "kong_zone", bytes[s->family->data]);

    if (s->mcf->metrics != NULL) {
        kong_metrics_usage(ngx_kong_metrics(s->mcf->metrics), &n, &bytes[0],
                           &bytes[1]);
        p = ngx_http_kong_metrics_zone(s, p, "prometheus_metrics",
                                       bytes[s->family->data]);
    }

    s->p = p;

    return NGX_DONE;
}


static u_char *
ngx_http_kong_metrics_zone(ngx_http_kong_scrape_t *s, u_char *p,
    const char *name, size_t bytes)
{
    return ngx_sprintf(p, "%V{node_id=\"%V\",shared_dict=\"%s\","
                       "kong_subsystem=\"http\"} %uz\n", &s->family->name,
                       &s->mcf->node_id, name, bytes);
}


ngx_int_t
ngx_http_kong_metrics_workers(ngx_http_kong_scrape_t *s)
{
    size_t               bytes;
    ngx_uint_t           i;
    ngx_kong_control_t  *control;

    if (ngx_http_kong_metrics_room(s, NGX_KONG_MAX_WORKERS
                                      * NGX_HTTP_KONG_NODE_LINE)
        != NGX_OK)
    {
        return NGX_AGAIN;
    }

    control = ngx_kong_zone_control(s->mcf->zone);

    for (i = 0; i < NGX_KONG_MAX_WORKERS; i++) {

        if (control->workers[i].pid == 0) {
            continue;
        }

        bytes = ngx_http_kong_status_memory_of(
                                       (ngx_pid_t) control->workers[i].pid);
        if (bytes == 0) {
            continue;
        }

        s->p = ngx_sprintf(s->p, "%V{node_id=\"%V\",pid=\"%uA\","
                           "kong_subsystem=\"http\"} %uz\n", &s->family->name,
                           &s->mcf->node_id, control->workers[i].pid, bytes);
    }

    return NGX_DONE;
}


ngx_int_t
ngx_http_kong_metrics_connections(ngx_http_kong_scrape_t *s)
{
    ngx_uint_t         i;
    ngx_atomic_uint_t  value;

    static const char *const  states[] = {
        "accepted", "active", "handled", "reading", "total", "waiting",
        "writing"
    };

#if (NGX_STAT_STUB)
    ngx_atomic_t  *values[] = {
        ngx_stat_accepted, ngx_stat_active, ngx_stat_handled,
        ngx_stat_reading, ngx_stat_requests, ngx_stat_waiting,
        ngx_stat_writing
    };
#endif

    if (ngx_http_kong_metrics_room(s, 7 * NGX_HTTP_KONG_NODE_LINE) != NGX_OK) {
        return NGX_AGAIN;
    }

    for (i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
#if (NGX_STAT_STUB)
        value = *values[i];
#else
        value = 0;
#endif
        s->p = ngx_sprintf(s->p, "%V{node_id=\"%V\",subsystem=\"http\","
                           "state=\"%s\"} %uA\n", &s->family->name,
                           &s->mcf->node_id, states[i], value);
    }

    return NGX_DONE;
}


ngx_int_t
ngx_http_kong_metrics_requests(ngx_http_kong_scrape_t *s)
{
    ngx_atomic_uint_t  value;

    if (ngx_http_kong_metrics_room(s, NGX_HTTP_KONG_NODE_LINE) != NGX_OK) {
        return NGX_AGAIN;
    }

#if (NGX_STAT_STUB)
    value = *ngx_stat_requests;
#else
    value = 0;
#endif

    s->p = ngx_sprintf(s->p, "%V{node_id=\"%V\",subsystem=\"http\"} %uA\n",
                       &s->family->name, &s->mcf->node_id, value);

    return NGX_DONE;
}


/* requests that there was no room for */
ngx_int_t
ngx_http_kong_metrics_errors(ngx_http_kong_scrape_t *s)
{
    uint64_t  refused;

    refused = 0;

    if (s->mcf->metrics != NULL) {
        refused = kong_metrics_refused(ngx_kong_metrics(s->mcf->metrics));
    }

    return ngx_http_kong_metrics_value(s, refused);
}


/* of this worker; none of them runs while this does */
ngx_int_t
ngx_http_kong_metrics_timers(ngx_http_kong_scrape_t *s)
{
    ngx_uint_t          n;
    ngx_rbtree_node_t  *node;

    if (ngx_http_kong_metrics_room(s, 2 * NGX_HTTP_KONG_NODE_LINE) != NGX_OK) {
        return NGX_AGAIN;
    }

    n = 0;

    if (ngx_event_timer_rbtree.root != ngx_event_timer_rbtree.sentinel) {

        node = ngx_rbtree_min(ngx_event_timer_rbtree.root,
                              ngx_event_timer_rbtree.sentinel);

        while (node != NULL && n < NGX_HTTP_KONG_TIMERS_MAX) {
            node = ngx_rbtree_next(&ngx_event_timer_rbtree, node);
            n++;
        }
    }

    s->p = ngx_sprintf(s->p, "%V{state=\"pending\"} %ui\n"
                             "%V{state=\"running\"} 0\n",
                       &s->family->name, n, &s->family->name);

    return NGX_DONE;
}


ngx_int_t
ngx_http_kong_metrics_info(ngx_http_kong_scrape_t *s)
{
    if (ngx_http_kong_metrics_room(s, NGX_HTTP_KONG_NODE_LINE) != NGX_OK) {
        return NGX_AGAIN;
    }

    s->p = ngx_sprintf(s->p, "%V{node_id=\"%V\",version=\"" NGX_KONG_VERSION
                       "\"} 1\n", &s->family->name, &s->mcf->node_id);

    return NGX_DONE;
}


ngx_int_t
ngx_http_kong_metrics_own(ngx_http_kong_scrape_t *s)
{
    size_t                    used, size;
    uint32_t                  n;
    ngx_uint_t                a, b;
    ngx_kong_control_t       *control;
    ngx_kong_daemon_state_t  *daemon;

    control = ngx_kong_zone_control(s->mcf->zone);
    daemon = &control->daemon;

    switch (s->family->data) {

    case NGX_HTTP_KONG_OWN_UP:
        return ngx_http_kong_metrics_value(s, daemon->beat != 0
                               && ngx_time() - (time_t) daemon->beat
                                  <= NGX_HTTP_KONG_HEARTBEAT);

    case NGX_HTTP_KONG_OWN_AGE:
        return daemon->beat == 0 ? NGX_DONE
               : ngx_http_kong_metrics_value(s,
                       ngx_max(ngx_time() - (time_t) daemon->beat, 0));

    case NGX_HTTP_KONG_OWN_SOURCE:
        return daemon->beat == 0 ? NGX_DONE
               : ngx_http_kong_metrics_value(s, daemon->ok != 0);

    case NGX_HTTP_KONG_OWN_SINCE:
        return daemon->beat == 0 ? NGX_DONE
               : ngx_http_kong_metrics_value(s, daemon->since);

    case NGX_HTTP_KONG_OWN_ASIDE:
        return ngx_http_kong_metrics_value(s, daemon->aside);

    case NGX_HTTP_KONG_OWN_PUBLISHED:
        return ngx_http_kong_metrics_value(s, control->published);

    case NGX_HTTP_KONG_OWN_REFUSED:
        return ngx_http_kong_metrics_value(s, control->refused);

    case NGX_HTTP_KONG_OWN_ROUTES:
        return ngx_http_kong_metrics_value(s, control->n_routes);

    case NGX_HTTP_KONG_OWN_SERVICES:
        return ngx_http_kong_metrics_value(s, control->n_services);

    case NGX_HTTP_KONG_OWN_SERIES:
        n = 0;

        if (s->mcf->metrics != NULL) {
            kong_metrics_usage(ngx_kong_metrics(s->mcf->metrics), &n, &used,
                               &size);
        }

        return ngx_http_kong_metrics_value(s, n);

    case NGX_HTTP_KONG_OWN_TARGETS:
        ngx_kong_targets_count(s->mcf->zone, &a, &b);
        return ngx_http_kong_metrics_value(s, a);

    case NGX_HTTP_KONG_OWN_TARGETS_REFUSED:
        ngx_kong_targets_count(s->mcf->zone, &a, &b);
        return ngx_http_kong_metrics_value(s, b);

    default:
        break;
    }

    if (ngx_http_kong_metrics_room(s, 2 * NGX_HTTP_KONG_NODE_LINE) != NGX_OK) {
        return NGX_AGAIN;
    }

    if (s->family->data == NGX_HTTP_KONG_OWN_GENERATION) {
        s->p = ngx_sprintf(s->p, "%V{kind=\"config\"} %uD\n"
                           "%V{kind=\"endpoints\"} %uD\n", &s->family->name,
                           (uint32_t) (control->epoch >> 32),
                           &s->family->name, (uint32_t) control->epoch);

        return NGX_DONE;
    }

    a = ngx_kong_zone_workers(control, control->epoch, &b);
    s->p = ngx_sprintf(s->p, "%V{state=\"behind\"} %ui\n"
                       "%V{state=\"current\"} %ui\n", &s->family->name, b,
                       &s->family->name, a - b);

    return NGX_DONE;
}
