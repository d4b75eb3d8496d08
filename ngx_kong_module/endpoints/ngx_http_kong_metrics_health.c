/*
 * /metrics: the health of targets, when a plugin asks for it
 * (upstream_health_metrics).  States are the zone's, names those of the
 * endpoints segment that the scrape began with.
 */

#include "ngx_http_kong_health.h"
#include "ngx_http_kong_metrics.h"
#include "../snapshot/kong_balancer.h"
#include "../snapshot/kong_plugin.h"
#include "../zone/ngx_kong_targets.h"


#define NGX_HTTP_KONG_HEALTH_LINE  192


static ngx_uint_t ngx_http_kong_metrics_wanted(ngx_http_kong_scrape_t *s);
static ngx_uint_t ngx_http_kong_metrics_asks(const kong_segment_t *seg,
    uint32_t plugin);
static ngx_int_t ngx_http_kong_metrics_target(ngx_http_kong_scrape_t *s,
    const kong_endpoint_t *e, const kong_address_t *a);
static ngx_int_t ngx_http_kong_metrics_states(ngx_http_kong_scrape_t *s,
    kong_str_t upstream, kong_str_t target, ngx_str_t *address,
    ngx_uint_t state);


/* in the order of their names */
enum {
    NGX_HTTP_KONG_DNS_ERROR = 0,
    NGX_HTTP_KONG_CHECKS_OFF,
    NGX_HTTP_KONG_UP,
    NGX_HTTP_KONG_DOWN
};

static const char *const  ngx_http_kong_metrics_words[] = {
    "dns_error", "healthchecks_off", "healthy", "unhealthy"
};


/* an item is an endpoint, a part an address of it; behind the endpoints come
 * the targets that have none */
ngx_int_t
ngx_http_kong_metrics_health(ngx_http_kong_scrape_t *s)
{
    uint32_t                  n;
    ngx_str_t                 address = ngx_null_string;
    const kong_segment_t     *seg;
    const kong_endpoint_t    *e;
    const kong_unresolved_t  *lost;

    if (s->item == 0 && s->part == 0 && !ngx_http_kong_metrics_wanted(s)) {
        return NGX_DONE;
    }

    seg = &s->generation->endpoints->seg;

    n = seg->sections[KONG_SECTION_ENDPOINTS].n;

    if (s->item >= n) {

        if (s->item - n >= seg->sections[KONG_SECTION_UNRESOLVED].n) {
            return NGX_DONE;
        }

        lost = kong_segment_section(seg, KONG_SECTION_UNRESOLVED);
        lost += s->item - n;

        return ngx_http_kong_metrics_states(s,
                                            kong_segment_str(seg,
                                                             lost->upstream),
                                            kong_segment_str(seg,
                                                             lost->target),
                                            &address,
                                            NGX_HTTP_KONG_DNS_ERROR);
    }

    e = &seg->endpoints[s->item];

    if (e->balancer != KONG_NONE) {
        for ( /* void */ ; s->part < e->n; s->part++) {
            if (ngx_http_kong_metrics_target(s, e,
                                      &seg->addresses[e->first + s->part])
                != NGX_OK)
            {
                return NGX_AGAIN;
            }
        }
    }

    s->part = 0;

    return NGX_OK;
}


/*
 * The global instance is that of the chain for requests without a route; of
 * the others records may be left that nothing leads to any more, so the lines
 * can outlive the last of them until the configuration is compiled anew.
 */

static ngx_uint_t
ngx_http_kong_metrics_wanted(ngx_http_kong_scrape_t *s)
{
    uint32_t               i, type, n;
    kong_str_t             name;
    const kong_slot_t     *slot;
    const kong_chain_t    *chain;
    const kong_plugin_t   *plugin;
    const kong_segment_t  *seg;

    static const uint8_t  none[16];

    if (s->generation == NULL || s->generation->endpoints == NULL) {
        return 0;
    }

    seg = &s->generation->config->seg;
    n = seg->sections[KONG_SECTION_PLUGIN_TYPES].n;

    for (type = 0; type < n; type++) {
        name = kong_segment_str(seg, kong_plugin_type(seg, type)->name);

        if (name.len == sizeof("prometheus") - 1
            && ngx_memcmp(name.data, "prometheus", name.len) == 0)
        {
            break;
        }
    }

    if (type == n) {
        return 0;
    }

    chain = kong_chain(seg, KONG_NONE);
    slot = chain ? (const kong_slot_t *) (chain + 1) : NULL;

    for (i = 0; chain != NULL && i < chain->n; i++) {
        if (slot[i].type == type && slot[i].plugin != KONG_NONE
            && ngx_http_kong_metrics_asks(seg, slot[i].plugin))
        {
            return 1;
        }
    }

    for (i = 0; i < seg->sections[KONG_SECTION_PLUGINS].n; i++) {
        plugin = kong_plugin(seg, i);

        if (plugin->type == type
            && (plugin->consumer != KONG_NONE
                || ngx_memcmp(plugin->route_id, none, sizeof(none)) != 0
                || ngx_memcmp(plugin->service_id, none, sizeof(none)) != 0)
            && ngx_http_kong_metrics_asks(seg, i))
        {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_kong_metrics_asks(const kong_segment_t *seg, uint32_t plugin)
{
    const kong_value_t  *v;

    v = kong_value_get(seg, kong_value(seg, kong_plugin(seg, plugin)->config),
                       "upstream_health_metrics");

    return v != NULL && v->kind == KONG_VALUE_BOOL && v->n == 1;
}


static ngx_int_t
ngx_http_kong_metrics_target(ngx_http_kong_scrape_t *s,
    const kong_endpoint_t *e, const kong_address_t *a)
{
    u_char                 ip[NGX_SOCKADDR_STRLEN];
    ngx_str_t              address;
    ngx_uint_t             state;
    const kong_segment_t  *seg;

    seg = &s->generation->endpoints->seg;
    state = NGX_HTTP_KONG_CHECKS_OFF;

    if (kong_balancer_health(seg, kong_balancer(seg, e)) != NULL) {
        state = ngx_kong_target_is_up(ngx_kong_target_peek(s->mcf->zone,
                                                           a->id))
                ? NGX_HTTP_KONG_UP : NGX_HTTP_KONG_DOWN;
    }

    address.data = ip;
    address.len = ngx_http_kong_health_ip(a, ip);

    return ngx_http_kong_metrics_states(s, kong_segment_str(seg, e->name),
                                        kong_segment_str(seg, a->target
                                                              ? a->target
                                                              : a->host),
                                        &address, state);
}


static ngx_int_t
ngx_http_kong_metrics_states(ngx_http_kong_scrape_t *s, kong_str_t upstream,
    kong_str_t target, ngx_str_t *address, ngx_uint_t state)
{
    ngx_uint_t  i;

    if (ngx_http_kong_metrics_room(s, 4 * (NGX_HTTP_KONG_HEALTH_LINE
                                           + upstream.len + target.len
                                           + address->len))
        != NGX_OK)
    {
        return NGX_AGAIN;
    }

    for (i = 0; i < 4; i++) {
        s->p = ngx_sprintf(s->p, "%V{upstream=\"%*s\",target=\"%*s\","
                           "address=\"%V\",state=\"%s\","
                           "subsystem=\"http\"} %d\n", &s->family->name,
                           upstream.len, upstream.data, target.len,
                           target.data, address,
                           ngx_http_kong_metrics_words[i], i == state);
    }

    return NGX_OK;
}
