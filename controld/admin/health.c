/*
 * health: /upstreams/{u}/health and targets that are told to be healthy or
 * not.  What targets there are comes from the source, as for every other
 * path; how they are is the zone's, which nginx tells on its control socket.
 *
 * An address belongs to the target whose name is in its id and whose port it
 * has; where no address of a name has it, SRV records have others.
 */

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../compile/upstream_checks.h"
#include "../compile/upstreams.h"
#include "../log.h"
#include "../model/json.h"
#include "../model/types.h"
#include "../publish/control.h"
#include "health.h"
#include "http_private.h"


#define HEALTH_TIMEOUT  2000             /* ms */
#define HEALTH_PORT     8000


/* what is asked of nginx for one request, in its arena */
typedef struct {
    admin_request_t  *r;
    const char       *name;              /* of the upstream */
    const char       *escaped;
    uint64_t          key;
    unsigned          on;                /* it has checks */
    value_t           addresses;
    const char      **ids;               /* to be set, the last is NULL */
    const char       *state;
} health_t;

/* weights of a target, or of all */
typedef struct {
    double            total;
    double            available;
} health_weight_t;


static void health_ask(admin_request_t *r, control_done_pt done);
static int health_take(health_t *h, int status, const char *body,
    size_t len);
static void health_shown(void *data, int status, const char *body,
    size_t len);
static void health_target(health_t *h, value_t *row, value_t *out,
    health_weight_t *all, unsigned balancer);
static const char *health_addresses(health_t *h, const host_t *host,
    double weight, value_t *out, health_weight_t *sum, unsigned balancer);
static const char *health_address(health_t *h, const char *ip, int port,
    double weight, const char *state, value_t *out, health_weight_t *sum,
    unsigned balancer);
static void health_balancer(health_t *h, value_t *hosts,
    const health_weight_t *all, value_t *out);
static void health_weights(arena_t *a, value_t *out,
    const health_weight_t *sum);
static void health_ports(health_t *h, host_t *host);
static unsigned health_is_of(const health_t *h, const value_t *address,
    const host_t *host);
static int health_parse(const char *text, kong_address_t *out, char *ip,
    size_t size);
static void health_settable(void *data, int status, const char *body,
    size_t len);
static void health_next(health_t *h);
static void health_was_set(void *data, int status, const char *body,
    size_t len);
static unsigned health_is_asked(const admin_request_t *r, const char *ip,
    int port);
static const char *health_escape(arena_t *a, const char *text);
static void health_text(arena_t *a, value_t *out, const char *name,
    const char *text);
static void health_number(arena_t *a, value_t *out, const char *name,
    double number);


void
health_show(admin_request_t *r)
{
    health_ask(r, health_shown);
}


void
health_set(admin_request_t *r)
{
    health_ask(r, health_settable);
}


static void
health_ask(admin_request_t *r, control_done_pt done)
{
    health_t    *h;
    control_t   *control;

    h = arena_zalloc(r->arena, sizeof(health_t));
    h->r = r;
    h->name = value_cstr(value_get(r->parent, "name"));
    h->key = kong_upstream_key(h->name, strlen(h->name));
    h->on = checks_on(value_get(r->parent, "healthchecks"));
    h->escaped = health_escape(r->arena, h->name);

    control = admin_host(r->admin)->control;

    if (control == NULL
        || control_request(control, "GET",
                           arena_printf(r->arena, "/health?upstream=%s",
                                        h->escaped),
                           HEALTH_TIMEOUT, done, h)
           == -1)
    {
        done(h, CONTROL_ABSENT, "", 0);
    }
}


/* -1: that was answered */
static int
health_take(health_t *h, int status, const char *body, size_t len)
{
    char         *text;
    value_t       all;
    const char   *err;

    value_set_array(&h->addresses);

    if (status != 200) {
        admin_message(h->r, 503, "nginx does not tell the health of targets");
        admin_reply(h->r);
        return -1;
    }

    text = arena_strndup(h->r->arena, body, len);

    if (json_parse(h->r->arena, text, len, &all, &err) == 0
        && value_get(value_at(&all, 0), "addresses") != NULL)
    {
        h->addresses = *value_get(value_at(&all, 0), "addresses");
    }

    return 0;
}


static void
health_shown(void *data, int status, const char *body, size_t len)
{
    size_t            i;
    value_t           out, *rows, *hosts, *row;
    unsigned          balancer;
    health_t         *h = data;
    health_weight_t   all;
    admin_request_t  *r;

    r = h->r;

    if (health_take(h, status, body, len) == -1) {
        return;
    }

    balancer = (admin_arg(r, "balancer_health") != NULL
                && strcmp(admin_arg(r, "balancer_health"), "1") == 0);

    memset(&all, 0, sizeof(all));
    rows = value_get(r->held, "data");
    hosts = value_new(r->arena);
    value_set_array(hosts);

    for (i = 0; (row = value_at(rows, i)) != NULL; i++) {
        health_target(h, row, balancer ? value_append(r->arena, hosts) : row,
                      &all, balancer);
    }

    if (!balancer) {
        node_string(r, r->held, "node_id", node_id(r));
        admin_json(r, 200, r->held);

    } else {
        value_set_object(&out);
        health_balancer(h, hosts, &all, value_put(r->arena, &out, "data"));
        value_set_null(value_put(r->arena, &out, "next"));
        node_string(r, &out, "node_id", node_id(r));
        admin_json(r, 200, &out);
    }

    admin_reply(r);
}


/* the members of a row, or what the balancer has of it */
static void
health_target(health_t *h, value_t *row, value_t *out, health_weight_t *all,
    unsigned balancer)
{
    int               port;
    host_t            host;
    double            weight;
    value_t          *list, *to;
    arena_t          *a;
    const char       *text, *health;
    health_weight_t   sum;

    a = h->r->arena;
    text = value_cstr(value_get(row, "target"));
    weight = value_get(row, "weight")->u.number;

    if (text == NULL || host_parse(text, strlen(text), &host) != HOST_OK) {
        value_set_object(out);
        return;
    }

    port = (host.port > 0) ? host.port : HEALTH_PORT;
    health_ports(h, &host);
    memset(&sum, 0, sizeof(sum));
    list = value_new(a);
    value_set_array(list);
    health = health_addresses(h, &host, weight, list, &sum, balancer);

    to = out;

    if (balancer) {
        value_set_object(out);

    } else {
        health_text(a, out, "health", health != NULL ? health : "DNS_ERROR");
        to = value_put(a, out, "data");
        value_set_object(to);
    }

    health_text(a, to, "host", host.host);
    health_number(a, to, "port", port);
    health_text(a, to, "dns", health == NULL ? "dns server error: 3 name error"
                              : value_cstr(value_get(value_at(list, 0),
                                                     "ip"))[0] == '['
                              ? "AAAA" : "A");
    health_number(a, to, "nodeWeight", weight);
    health_weights(a, value_put(a, to, "weight"), &sum);
    *value_put(a, to, "addresses") = *list;

    all->total += sum.total;
    all->available += sum.available;
}


/* NULL: the target has none */
static const char *
health_addresses(health_t *h, const host_t *host, double weight,
    value_t *out, health_weight_t *sum, unsigned balancer)
{
    char             ip[INET6_ADDRSTRLEN + 2];
    size_t           i;
    value_t         *address;
    const char      *state, *health;
    kong_address_t   parsed;

    health = NULL;

    for (i = 0; (address = value_at(&h->addresses, i)) != NULL; i++) {

        if (!health_is_of(h, address, host)
            || health_parse(value_cstr(value_get(address, "address")),
                            &parsed, ip, sizeof(ip)) == -1)
        {
            continue;
        }

        state = health_address(h, ip, parsed.port,
                               value_get(address, "weight")->u.number,
                               value_cstr(value_get(address, "health")),
                               value_append(h->r->arena, out), sum, balancer);

        /* one that is healthy is enough */

        if (health == NULL || strcmp(state, "HEALTHY") == 0) {
            health = state;
        }
    }

    /* an address that is not published, or not yet, has not failed */

    if (health == NULL && host->kind != HOST_NAME) {
        (void) snprintf(ip, sizeof(ip), host->kind == HOST_IPV6 ? "[%s]"
                                                                : "%s",
                        host->host);
        health = health_address(h, ip, host->port, weight,
                                h->on ? "HEALTHY" : "HEALTHCHECKS_OFF",
                                value_append(h->r->arena, out), sum,
                                balancer);
    }

    return health;
}


/* what is on its way to a state is in the other still */
static const char *
health_address(health_t *h, const char *ip, int port, double weight,
    const char *state, value_t *out, health_weight_t *sum, unsigned balancer)
{
    arena_t   *a;
    unsigned   good;

    a = h->r->arena;
    state = (state == NULL) ? "HEALTHY"
            : (strcmp(state, "MOSTLY_HEALTHY") == 0) ? "HEALTHY"
            : (strcmp(state, "MOSTLY_UNHEALTHY") == 0) ? "UNHEALTHY" : state;
    good = (strcmp(state, "UNHEALTHY") != 0);

    value_set_object(out);
    health_text(a, out, "ip", ip);
    health_number(a, out, "port", port);
    health_number(a, out, "weight", weight);

    if (balancer) {
        value_set_bool(value_put(a, out, "healthy"), good);

    } else {
        health_text(a, out, "health", state);
    }

    sum->total += weight;
    sum->available += good ? weight : 0;

    return state;
}


/* more than the threshold must be left */
static void
health_balancer(health_t *h, value_t *hosts, const health_weight_t *all,
    value_t *out)
{
    double       left, threshold;
    value_t     *v;
    arena_t     *a;
    unsigned     good;
    const char  *text;

    a = h->r->arena;
    v = value_path(h->r->parent, "healthchecks.threshold");
    threshold = (v != NULL && v->kind == VALUE_NUMBER) ? v->u.number : 0;
    left = (all->total != 0) ? all->available / all->total * 100 : 0;
    good = (left > threshold);
    text = good ? "HEALTHY" : "UNHEALTHY";

    value_set_object(out);
    *value_put(a, out, "id") = *value_get(h->r->parent, "id");
    health_text(a, out, "health", h->on ? text : "HEALTHCHECKS_OFF");
    health_text(a, out, "balancer_health", text);

    v = value_put(a, out, "details");
    value_set_object(v);
    value_set_bool(value_put(a, v, "healthy"), good);
    health_weights(a, value_put(a, v, "weight"), all);
    *value_put(a, v, "hosts") = *hosts;
}


static void
health_weights(arena_t *a, value_t *out, const health_weight_t *sum)
{
    value_set_object(out);
    health_number(a, out, "total", sum->total);
    health_number(a, out, "available", sum->available);
    health_number(a, out, "unavailable", sum->total - sum->available);
}


/* any port will do (0) when the addresses of a name have others */
static void
health_ports(health_t *h, host_t *host)
{
    size_t    i;
    value_t  *address;

    if (host->port <= 0) {
        host->port = HEALTH_PORT;
    }

    if (host->kind != HOST_NAME) {
        return;
    }

    for (i = 0; (address = value_at(&h->addresses, i)) != NULL; i++) {
        if (health_is_of(h, address, host)) {
            return;
        }
    }

    host->port = 0;
}


static unsigned
health_is_of(const health_t *h, const value_t *address, const host_t *host)
{
    char             ip[INET6_ADDRSTRLEN + 2], id[17];
    const char      *text;
    kong_address_t   parsed;

    text = value_cstr(value_get(address, "id"));

    if (text == NULL
        || health_parse(value_cstr(value_get(address, "address")), &parsed,
                        ip, sizeof(ip)) == -1
        || (host->port != 0 && parsed.port != host->port))
    {
        return 0;
    }

    (void) snprintf(id, sizeof(id), "%016llx", (unsigned long long)
                    upstreams_address_id(h->key, host->host, &parsed));

    return strcmp(id, text) == 0;
}


/* "1.2.3.4:80", "[::1]:80"; `ip` without the port, -1: it is neither */
static int
health_parse(const char *text, kong_address_t *out, char *ip, size_t size)
{
    char         bare[INET6_ADDRSTRLEN];
    size_t       len;
    const char  *colon;

    memset(out, 0, sizeof(kong_address_t));
    colon = (text != NULL) ? strrchr(text, ':') : NULL;
    len = (colon != NULL) ? (size_t) (colon - text) : 0;

    if (len < 2 || len >= size) {
        return -1;
    }

    memcpy(ip, text, len);
    ip[len] = '\0';
    out->port = (uint16_t) strtoul(colon + 1, NULL, 10);
    out->ipv6 = (ip[0] == '[');

    if (out->ipv6) {
        if (len - 2 >= sizeof(bare)) {
            return -1;
        }

        memcpy(bare, ip + 1, len - 2);
        bare[len - 2] = '\0';
        return (inet_pton(AF_INET6, bare, out->addr) == 1) ? 0 : -1;
    }

    return (inet_pton(AF_INET, ip, out->addr) == 1) ? 0 : -1;
}


/* the addresses of the target, or the one that the path names */
static void
health_settable(void *data, int status, const char *body, size_t len)
{
    char              ip[INET6_ADDRSTRLEN + 2];
    host_t            host;
    size_t            i, n;
    value_t          *address;
    health_t         *h = data;
    const char       *text;
    kong_address_t    parsed;
    admin_request_t  *r;

    r = h->r;
    r->method = ADMIN_PUT;
    h->state = r->segments[r->n_segments - 1].data;

    if (health_take(h, status, body, len) == -1) {
        return;
    }

    if (!h->on) {
        admin_message(r, 400, arena_printf(r->arena, "no healthchecker found "
                                           "for %s", h->name));
        admin_reply(r);
        return;
    }

    text = value_cstr(value_get(r->held, "target"));
    h->ids = arena_zalloc(r->arena,
                          (h->addresses.len + 1) * sizeof(char *));

    if (host_parse(text, strlen(text), &host) != HOST_OK) {
        memset(&host, 0, sizeof(host));
    }

    health_ports(h, &host);

    for (i = 0, n = 0; (address = value_at(&h->addresses, i)) != NULL; i++) {

        if (health_is_of(h, address, &host)
            && health_parse(value_cstr(value_get(address, "address")),
                            &parsed, ip, sizeof(ip)) == 0
            && health_is_asked(r, ip, parsed.port))
        {
            h->ids[n++] = value_cstr(value_get(address, "id"));
        }
    }

    if (n == 0) {
        admin_message(r, 400, arena_printf(r->arena, "Upstream %s has no "
                                           "balancer", h->name));
        admin_reply(r);
        return;
    }

    health_next(h);
}


static void
health_next(health_t *h)
{
    admin_request_t  *r;

    r = h->r;

    if (*h->ids == NULL) {
        admin_empty(r, 204);
        admin_audit(r);
        admin_reply(r);
        return;
    }

    if (control_request(admin_host(r->admin)->control, "POST",
                        arena_printf(r->arena, "/health?upstream=%s&id=%s"
                                     "&state=%s", h->escaped, *h->ids,
                                     h->state),
                        HEALTH_TIMEOUT, health_was_set, h)
        == -1)
    {
        health_was_set(h, CONTROL_BROKEN, "", 0);
    }
}


static void
health_was_set(void *data, int status, const char *body, size_t len)
{
    health_t  *h = data;

    (void) body;
    (void) len;

    if (status == 204) {
        h->ids++;
        health_next(h);
        return;
    }

    admin_message(h->r, 503, "nginx does not take the health of the target");
    admin_reply(h->r);
}


/* /upstreams/{u}/targets/{t}/{ip:port}/healthy; without it all of them */
static unsigned
health_is_asked(const admin_request_t *r, const char *ip, int port)
{
    host_t              host;
    const admin_str_t  *s;

    if (r->n_segments == 5) {
        return 1;
    }

    s = &r->segments[4];

    if (host_parse(s->data, s->len, &host) != HOST_OK) {
        return 0;
    }

    ip += (*ip == '[');

    return strncmp(ip, host.host, strlen(host.host)) == 0
           && strchr("]", ip[strlen(host.host)]) != NULL
           && port == (host.port > 0 ? host.port : HEALTH_PORT);
}


static const char *
health_escape(arena_t *a, const char *text)
{
    char  *out, *p;

    out = arena_alloc(a, strlen(text) * 3 + 1);

    for (p = out; *text != '\0'; text++) {
        p += snprintf(p, 4, "%%%02x", (unsigned char) *text);
    }

    *p = '\0';

    return out;
}


static void
health_text(arena_t *a, value_t *out, const char *name, const char *text)
{
    value_copy_string(a, value_put(a, out, name), text, strlen(text));
}


static void
health_number(arena_t *a, value_t *out, const char *name, double number)
{
    value_set_number(value_put(a, out, name), number);
}
