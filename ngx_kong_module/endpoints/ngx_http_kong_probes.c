/*
 * /probes of the control socket: results of many probes in one request, and
 * the states that the daemon schedules the next ones by.
 *
 *   POST /probes?seen=N&results=KEY.ID.RESULT_KEY.ID.RESULT...
 *
 * KEY is the upstream's and ID the address's, in hex, as in the endpoints
 * segment.  The answer's first line is the version of all states; unless
 * that is N, a line "ID STATE" follows for each address of an upstream with
 * checks that is not firmly healthy (STATE as ngx_kong_health_state_t).
 */

#include "ngx_http_kong_health.h"


/* "<16 digits> <digit>\n" */
#define NGX_HTTP_KONG_PROBES_LINE  19

typedef struct {
    uint64_t                 id;
    ngx_uint_t               state;
} ngx_http_kong_probes_state_t;


static void ngx_http_kong_probes_take(ngx_http_kong_checked_t *u,
    ngx_str_t *results);
static void ngx_http_kong_probes_one(ngx_http_kong_checked_t *u,
    uint64_t key, uint64_t id, ngx_str_t *result);
static ngx_int_t ngx_http_kong_probes_hex(ngx_str_t *word, uint64_t *out);
static ngx_buf_t *ngx_http_kong_probes_answer(ngx_http_request_t *r,
    ngx_http_kong_checked_t *u);
static ngx_int_t ngx_http_kong_probes_states(ngx_http_kong_checked_t *u,
    ngx_array_t *states);
static ngx_uint_t ngx_http_kong_probe_kind(const kong_checks_t *c,
    ngx_str_t *result, ngx_uint_t *limit);


ngx_int_t
ngx_http_kong_probes_handler(ngx_http_request_t *r)
{
    ngx_buf_t                  *b;
    ngx_str_t                   results;
    ngx_kong_generation_t      *gen;
    ngx_http_kong_checked_t     u;
    ngx_http_kong_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_kong_module);
    gen = ngx_kong_generation_get(mcf, r->connection->log);

    ngx_memzero(&u, sizeof(ngx_http_kong_checked_t));
    u.zone = mcf->zone;
    u.log = ngx_cycle->log;
    u.seg = (gen != NULL && gen->endpoints != NULL) ? &gen->endpoints->seg
                                                    : NULL;

    if (ngx_http_arg(r, (u_char *) "results", 7, &results) == NGX_OK) {
        ngx_http_kong_probes_take(&u, &results);
    }

    b = ngx_http_kong_probes_answer(r, &u);

    if (gen != NULL) {
        ngx_kong_generation_put(gen);
    }

    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_kong_endpoint_send(r, NGX_HTTP_OK, "text/plain", b);
}


static void
ngx_http_kong_probes_take(ngx_http_kong_checked_t *u, ngx_str_t *results)
{
    u_char     *p, *last;
    uint64_t    key, id;
    ngx_str_t   words[3];

    last = results->data + results->len;

    for (p = results->data; p < last; /* void */ ) {
        p = ngx_http_kong_endpoint_word(p, last, '.', &words[0]);
        p = ngx_http_kong_endpoint_word(p, last, '.', &words[1]);
        p = ngx_http_kong_endpoint_word(p, last, '_', &words[2]);

        if (ngx_http_kong_probes_hex(&words[0], &key) != NGX_OK
            || ngx_http_kong_probes_hex(&words[1], &id) != NGX_OK)
        {
            return;
        }

        ngx_http_kong_probes_one(u, key, id, &words[2]);
    }
}


/* what has gone since it was probed is passed over */
static void
ngx_http_kong_probes_one(ngx_http_kong_checked_t *u, uint64_t key,
    uint64_t id, ngx_str_t *result)
{
    uint32_t               i;
    ngx_kong_target_t     *t;
    const kong_address_t  *a;

    /* results of an upstream come together */

    if ((u->health == NULL || u->endpoint->key != key)
        && ngx_http_kong_checked_find(u, key) != NGX_OK)
    {
        return;
    }

    for (i = 0; i < u->endpoint->n; i++) {
        a = &u->seg->addresses[u->endpoint->first + i];

        if (a->id == id) {
            t = ngx_kong_target_get(u->zone, id, u->log);

            if (ngx_http_kong_probe_report(u, a, t, result)) {
                ngx_http_kong_checked_changed(u);
            }

            return;
        }
    }
}


static ngx_int_t
ngx_http_kong_probes_hex(ngx_str_t *word, uint64_t *out)
{
    u_char   c;
    size_t   i;

    if (word->len == 0 || word->len > 16) {
        return NGX_ERROR;
    }

    for (*out = 0, i = 0; i < word->len; i++) {
        c = word->data[i];

        if (c >= '0' && c <= '9') {
            *out = *out << 4 | (uint64_t) (c - '0');

        } else if (c >= 'a' && c <= 'f') {
            *out = *out << 4 | (uint64_t) (c - 'a' + 10);

        } else {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_buf_t *
ngx_http_kong_probes_answer(ngx_http_request_t *r,
    ngx_http_kong_checked_t *u)
{
    ngx_buf_t                     *b;
    ngx_str_t                      text;
    ngx_int_t                      seen;
    ngx_uint_t                     i;
    ngx_array_t                    states;
    ngx_atomic_uint_t              version;
    ngx_http_kong_probes_state_t  *state;

    seen = (ngx_http_arg(r, (u_char *) "seen", 4, &text) == NGX_OK)
           ? ngx_atoi(text.data, text.len) : NGX_ERROR;

    if (ngx_array_init(&states, r->pool, 16,
                       sizeof(ngx_http_kong_probes_state_t))
        != NGX_OK)
    {
        return NULL;
    }

    /* before the states: what changes meanwhile is asked for again */

    version = ngx_kong_targets_version(u->zone);
    ngx_memory_barrier();

    if ((seen < 0 || (ngx_atomic_uint_t) seen != version)
        && ngx_http_kong_probes_states(u, &states) != NGX_OK)
    {
        return NULL;
    }

    b = ngx_create_temp_buf(r->pool, NGX_ATOMIC_T_LEN + 1 + states.nelts
                                     * NGX_HTTP_KONG_PROBES_LINE);
    if (b == NULL) {
        return NULL;
    }

    b->last = ngx_sprintf(b->last, "%uA\n", version);
    state = states.elts;

    for (i = 0; i < states.nelts; i++) {
        b->last = ngx_sprintf(b->last, "%016xL %ui\n", state[i].id,
                              state[i].state);
    }

    b->last_buf = 1;
    b->last_in_chain = 1;

    return b;
}


static ngx_int_t
ngx_http_kong_probes_states(ngx_http_kong_checked_t *u, ngx_array_t *states)
{
    uint32_t                       k;
    ngx_uint_t                     i;
    ngx_kong_target_t             *t;
    const kong_endpoint_t         *e;
    const kong_balancer_t         *b;
    ngx_http_kong_probes_state_t  *state;

    for (i = 0; u->seg && i < u->seg->sections[KONG_SECTION_ENDPOINTS].n; i++)
    {
        e = &u->seg->endpoints[i];
        b = kong_balancer(u->seg, e);

        if (b == NULL || kong_balancer_health(u->seg, b) == NULL) {
            continue;
        }

        for (k = 0; k < e->n; k++) {
            t = ngx_kong_target_peek(u->zone,
                                     u->seg->addresses[e->first + k].id);

            if (t == NULL || ngx_kong_target_state(t) == NGX_KONG_HEALTHY) {
                continue;
            }

            state = ngx_array_push(states);
            if (state == NULL) {
                return NGX_ERROR;
            }

            state->id = u->seg->addresses[e->first + k].id;
            state->state = ngx_kong_target_state(t);
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_kong_checked_find(ngx_http_kong_checked_t *u, uint64_t key)
{
    u->balancer = NULL;
    u->health = NULL;
    u->endpoint = (u->seg != NULL) ? kong_segment_endpoint(u->seg, key)
                                   : NULL;

    if (u->endpoint == NULL) {
        return NGX_DECLINED;
    }

    u->balancer = kong_balancer(u->seg, u->endpoint);

    if (u->balancer != NULL) {
        u->health = kong_balancer_health(u->seg, u->balancer);
    }

    return (u->health != NULL) ? NGX_OK : NGX_ABORT;
}


void
ngx_http_kong_checked_changed(ngx_http_kong_checked_t *u)
{
    ngx_kong_target_t  *t;

    t = ngx_kong_target_get(u->zone, u->balancer->id, u->log);

    if (t != NULL) {
        (void) ngx_atomic_fetch_add(&t->changes, 1);
    }
}


ngx_uint_t
ngx_http_kong_probe_report(ngx_http_kong_checked_t *u,
    const kong_address_t *a, ngx_kong_target_t *t, ngx_str_t *result)
{
    u_char                    ip[NGX_SOCKADDR_STRLEN];
    size_t                    len;
    ngx_str_t                 name, host;
    ngx_uint_t                kind, limit;
    kong_str_t                text;
    ngx_kong_health_report_t  report;

    kind = ngx_http_kong_probe_kind(&u->health->active, result, &limit);

    if (kind == 0) {
        return 0;
    }

    ngx_kong_target_report(t, kind, limit, &report);

    if (!report.changed) {
        return 0;
    }

    len = ngx_http_kong_health_ip(a, ip);
    text = kong_segment_str(u->seg, u->endpoint->name);
    name.data = (u_char *) text.data;
    name.len = text.len;
    text = kong_segment_str(u->seg, a->host);
    host.data = (u_char *) text.data;
    host.len = ngx_min(text.len, a->host_len);

    ngx_log_error(NGX_LOG_WARN, u->log, 0,
                  "[healthcheck] (%V) target \"%V(%*s)\" is %s now, by "
                  "active checks: %V (%ui/%ui)",
                  &name, &host, len, ip,
                  report.state <= NGX_KONG_MOSTLY_HEALTHY ? "healthy"
                                                          : "unhealthy",
                  result, report.count, limit);

    return 1;
}


/* 0: it says nothing */
static ngx_uint_t
ngx_http_kong_probe_kind(const kong_checks_t *c, ngx_str_t *result,
    ngx_uint_t *limit)
{
    ngx_int_t   status;
    ngx_uint_t  i, kind;

    static const struct {
        ngx_str_t                name;
        ngx_kong_health_count_t  kind;
    } kinds[] = {
        { ngx_string("success"), NGX_KONG_COUNT_SUCCESS },
        { ngx_string("http"), NGX_KONG_COUNT_HTTP },
        { ngx_string("tcp"), NGX_KONG_COUNT_TCP },
        { ngx_string("timeout"), NGX_KONG_COUNT_TIMEOUT }
    };

    status = ngx_atoi(result->data, result->len);
    kind = 0;

    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (kinds[i].name.len == result->len
            && ngx_memcmp(kinds[i].name.data, result->data, result->len) == 0)
        {
            kind = kinds[i].kind;
        }
    }

    if (status > 0) {
        kind = kong_status_in(&c->healthy, (unsigned) status)
               ? NGX_KONG_COUNT_SUCCESS
               : kong_status_in(&c->unhealthy, (unsigned) status)
                 ? NGX_KONG_COUNT_HTTP : 0;
    }

    *limit = kind == NGX_KONG_COUNT_SUCCESS ? c->successes
             : kind == NGX_KONG_COUNT_HTTP ? c->http_failures
             : kind == NGX_KONG_COUNT_TCP ? c->tcp_failures
             : kind == NGX_KONG_COUNT_TIMEOUT ? c->timeouts : 0;

    return kind;
}
