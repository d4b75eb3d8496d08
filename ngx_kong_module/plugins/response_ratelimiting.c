/*
 * response-ratelimiting: the upstream's answer says how much of which limit
 * it has used up.  The request carries what is left; counting happens when
 * all is over.
 */

#include "ngx_kong_redis_limits.h"

#include <math.h>


#define RESPONSE_RATELIMITING_TOO_MANY  429
#define RESPONSE_RATELIMITING_EXCEEDED  "API rate limit exceeded for '%V'%Z"


typedef struct {
    ngx_str_t                name;
    ngx_str_t                header;     /* to the upstream */
    ngx_kong_limits_t        limits;
} response_rl_limit_t;

typedef struct {
    ngx_kong_counters_t     *counters;
    ngx_kong_ledger_t       *ledger;
    ngx_kong_limit_who_t     who;
    response_rl_limit_t     *limits;
    ngx_uint_t               n;
    ngx_str_t                header_name;
    ngx_kong_limits_policy_t policy;
    ngx_kong_redis_server_t *redis;
    unsigned                 block:1;
    unsigned                 hide:1;
    unsigned                 tolerant:1;
} response_rl_conf_t;

/* one a limit */
typedef struct {
    ngx_kong_counter_key_t   key;        /* in the zone, or */
    ngx_kong_ledger_id_t     id;         /* in the ledger */
    ngx_kong_count_t         counts[NGX_KONG_PERIODS];
    double                   amount;     /* used up by this answer */
} response_rl_usage_t;

typedef struct {
    response_rl_usage_t     *usage;
    ngx_kong_redis_ask_t    *ask;        /* NULL: counted in the zone */
    ngx_kong_redis_limits_t *items;
    time_t                   now;
    unsigned                 known:1;    /* usage is set */
    unsigned                 refused:1;
} response_rl_state_t;


static void *response_rl_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool);
static ngx_int_t response_rl_prepare_limits(ngx_kong_instance_t *in,
    ngx_pool_t *pool, response_rl_conf_t *conf);
static ngx_int_t response_rl_access(ngx_http_request_t *r,
    ngx_kong_run_t *run);
static ngx_int_t response_rl_begin(ngx_http_request_t *r,
    ngx_kong_run_t *run);
static void response_rl_read(ngx_http_request_t *r, response_rl_conf_t *conf,
    response_rl_state_t *state);
static ngx_int_t response_rl_read_ledger(ngx_http_request_t *r,
    response_rl_conf_t *conf, response_rl_state_t *state);
static ngx_int_t response_rl_ask(ngx_http_request_t *r,
    response_rl_conf_t *conf, response_rl_state_t *state);
static void response_rl_answered(response_rl_conf_t *conf,
    response_rl_state_t *state);
static ngx_int_t response_rl_decide(ngx_http_request_t *r,
    ngx_kong_run_t *run);
static ngx_int_t response_rl_tell(ngx_http_request_t *r,
    response_rl_limit_t *limit, response_rl_usage_t *usage,
    ngx_uint_t *blocked);
static ngx_int_t response_rl_header_filter(ngx_http_request_t *r,
    ngx_kong_run_t *run);
static void response_rl_parse(response_rl_conf_t *conf,
    response_rl_state_t *state, ngx_str_t *value);
static ngx_int_t response_rl_headers(ngx_http_request_t *r,
    response_rl_limit_t *limit, response_rl_usage_t *usage);
static void response_rl_refuse(ngx_http_request_t *r);
static void response_rl_log(ngx_http_request_t *r, ngx_kong_run_t *run);
static void response_rl_count(ngx_http_request_t *r,
    response_rl_conf_t *conf, response_rl_state_t *state);


const ngx_kong_plugin_t  ngx_kong_response_ratelimiting = {
    .name = ngx_string("response-ratelimiting"),
    .prepare = response_rl_prepare,
    .access = response_rl_access,
    .header_filter = response_rl_header_filter,
    .log = response_rl_log
};


static void *
response_rl_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool)
{
    response_rl_conf_t  *conf;

    conf = ngx_pcalloc(pool, sizeof(response_rl_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    conf->counters = ngx_kong_limits_counters();
    conf->ledger = ngx_kong_limits_ledger();
    conf->header_name = ngx_kong_conf_str(in, "header_name");
    conf->block = ngx_kong_conf_flag(in, "block_on_first_violation");
    conf->hide = ngx_kong_conf_flag(in, "hide_client_headers");
    conf->tolerant = ngx_kong_conf_flag(in, "fault_tolerant");
    conf->policy = ngx_kong_limits_policy(in);

    if (conf->header_name.len == 0) {
        ngx_str_set(&conf->header_name, "x-kong-limit");
    }

    if (conf->counters == NULL
        || ngx_kong_limits_who(in, pool, &conf->who) != NGX_OK
        || response_rl_prepare_limits(in, pool, conf) != NGX_OK)
    {
        return NULL;
    }

    if (conf->policy == NGX_KONG_LIMITS_REDIS) {
        conf->redis = ngx_pcalloc(pool, sizeof(ngx_kong_redis_server_t));

        if (conf->redis == NULL
            || ngx_kong_redis_prepare(in, pool, conf->redis) != NGX_OK)
        {
            return NULL;
        }
    }

    return conf;
}


static ngx_int_t
response_rl_prepare_limits(ngx_kong_instance_t *in, ngx_pool_t *pool,
    response_rl_conf_t *conf)
{
    u_char               *p;
    ngx_uint_t            i;
    const kong_value_t   *object, *pair;
    response_rl_limit_t  *limit;

    object = ngx_kong_conf_get(in, "limits");

    if (object == NULL || object->kind != KONG_VALUE_OBJECT) {
        return NGX_ERROR;
    }

    conf->n = object->n;
    conf->limits = ngx_pcalloc(pool, object->n * sizeof(response_rl_limit_t));
    if (conf->limits == NULL) {
        return NGX_ERROR;
    }

    pair = kong_value_items(&in->map->seg, object);

    for (i = 0; i < conf->n; i++, pair += 2) {
        limit = &conf->limits[i];
        limit->name = ngx_kong_value_text(in, &pair[0]);

        p = ngx_pnalloc(pool, sizeof("X-RateLimit-Remaining-")
                              + limit->name.len);
        if (p == NULL) {
            return NGX_ERROR;
        }

        limit->header.data = p;
        p = ngx_sprintf(p, "X-RateLimit-Remaining-%V", &limit->name);
        limit->header.len = p - limit->header.data;

        if (ngx_kong_limits_prepare(in, pool, &pair[1], &limit->name,
                                    &limit->limits)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* called again when Redis has answered */
static ngx_int_t
response_rl_access(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    ngx_int_t             rc;
    response_rl_conf_t   *conf;
    response_rl_state_t  *state;

    conf = run->instance->conf;

    if (run->state == NULL) {
        rc = response_rl_begin(r, run);

    } else {
        state = run->state;
        rc = state->ask->pending ? NGX_AGAIN : state->ask->rc;
    }

    if (rc == NGX_AGAIN) {
        return rc;
    }

    /* nobody counts */

    if (rc == NGX_ERROR) {
        return conf->tolerant ? NGX_OK : NGX_ERROR;
    }

    return response_rl_decide(r, run);
}


static ngx_int_t
response_rl_begin(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    ngx_uint_t            i;
    response_rl_conf_t   *conf;
    response_rl_state_t  *state;

    conf = run->instance->conf;

    state = ngx_pcalloc(r->pool, sizeof(response_rl_state_t)
                                 + conf->n * sizeof(response_rl_usage_t));
    if (state == NULL) {
        return NGX_ERROR;
    }

    state->usage = (response_rl_usage_t *) (state + 1);
    state->now = ngx_time();
    run->state = state;

    for (i = 0; i < conf->n; i++) {
        ngx_kong_limits_counts(&conf->limits[i].limits,
                               state->usage[i].counts);
    }

    if (conf->policy == NGX_KONG_LIMITS_REDIS) {
        return response_rl_ask(r, conf, state);
    }

    if (conf->policy == NGX_KONG_LIMITS_CLUSTER) {
        return response_rl_read_ledger(r, conf, state);
    }

    response_rl_read(r, conf, state);

    return NGX_OK;
}


static void
response_rl_read(ngx_http_request_t *r, response_rl_conf_t *conf,
    response_rl_state_t *state)
{
    ngx_uint_t               i;
    response_rl_limit_t     *limit;
    response_rl_usage_t     *usage;
    ngx_kong_counter_key_t   who;

    who = ngx_kong_limits_identify(r, conf->counters, &conf->who);

    for (i = 0; i < conf->n; i++) {
        limit = &conf->limits[i];
        usage = &state->usage[i];

        usage->key = ngx_kong_limits_key(conf->counters, &limit->limits,
                                         &who);
        ngx_kong_counters_read(conf->counters, &usage->key, usage->counts,
                               limit->limits.n);
    }
}


/* while nobody keeps the sums, the node limits by what it knows, unless it is
 * told not to */
static ngx_int_t
response_rl_read_ledger(ngx_http_request_t *r, response_rl_conf_t *conf,
    response_rl_state_t *state)
{
    ngx_str_t             who;
    ngx_uint_t            i;
    response_rl_usage_t  *usage;

    if ((!conf->tolerant && !ngx_kong_ledger_is_kept(conf->ledger))
        || ngx_kong_limits_identifier(r, &conf->who, &who) != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < conf->n; i++) {
        usage = &state->usage[i];

        ngx_kong_limits_id(conf->counters, NGX_KONG_LEDGER_DATABASE,
                           &conf->limits[i].limits, &who, &usage->id);
        ngx_kong_ledger_read(conf->ledger, &usage->id, usage->counts,
                             conf->limits[i].limits.n);
    }

    return NGX_OK;
}


static ngx_int_t
response_rl_ask(ngx_http_request_t *r, response_rl_conf_t *conf,
    response_rl_state_t *state)
{
    ngx_str_t              who;
    ngx_uint_t             i;
    ngx_kong_redis_ask_t  *ask;

    ask = ngx_pcalloc(r->pool, sizeof(ngx_kong_redis_ask_t)
                               + conf->n * sizeof(ngx_kong_redis_limits_t));
    if (ask == NULL) {
        return NGX_ERROR;
    }

    state->ask = ask;
    state->items = (ngx_kong_redis_limits_t *) (ask + 1);

    ask->op.server = conf->redis;
    ask->op.pool = r->pool;

    if (ngx_kong_limits_identifier(r, &conf->who, &who) != NGX_OK) {
        return NGX_ERROR;
    }

    for (i = 0; i < conf->n; i++) {
        state->items[i].limits = &conf->limits[i].limits;
        state->items[i].identifier = who;
        state->items[i].counts = state->usage[i].counts;
    }

    if (ngx_kong_redis_read(&ask->op, state->items, conf->n, state->now)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_kong_redis_ask(r, ask);
}


static void
response_rl_answered(response_rl_conf_t *conf, response_rl_state_t *state)
{
    int64_t     *values;
    ngx_uint_t   i;

    if (state->ask == NULL) {
        return;
    }

    values = state->ask->op.values;

    for (i = 0; i < conf->n; i++) {
        ngx_kong_redis_used(&state->items[i], values, state->now);
        values += conf->limits[i].limits.n;
    }
}


static ngx_int_t
response_rl_decide(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    u_char               *text;
    ngx_uint_t            i, blocked;
    response_rl_conf_t   *conf;
    response_rl_limit_t  *limit;
    response_rl_state_t  *state;

    conf = run->instance->conf;
    state = run->state;

    response_rl_answered(conf, state);

    for (i = 0; i < conf->n; i++) {
        limit = &conf->limits[i];

        if (response_rl_tell(r, limit, &state->usage[i], &blocked)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (!conf->block || !blocked) {
            continue;
        }

        text = ngx_pnalloc(r->pool, sizeof(RESPONSE_RATELIMITING_EXCEEDED)
                                    + limit->name.len);
        if (text == NULL) {
            return NGX_ERROR;
        }

        ngx_sprintf(text, RESPONSE_RATELIMITING_EXCEEDED, &limit->name);

        return ngx_kong_exit_error(r, RESPONSE_RATELIMITING_TOO_MANY,
                                   (const char *) text);
    }

    state->known = 1;

    return NGX_OK;
}


/* the upstream is told the smallest number that is left */
static ngx_int_t
response_rl_tell(ngx_http_request_t *r, response_rl_limit_t *limit,
    response_rl_usage_t *usage, ngx_uint_t *blocked)
{
    double      left, least;
    ngx_str_t   value;
    ngx_uint_t  i;

    least = 0;
    *blocked = 0;

    for (i = 0; i < limit->limits.n; i++) {
        left = usage->counts[i].limit - usage->counts[i].used;

        if (i == 0 || left < least) {
            least = left;
        }

        *blocked |= (left <= 0);
    }

    value.data = ngx_pnalloc(r->pool, NGX_KONG_LIMIT_TEXT);
    if (value.data == NULL) {
        return NGX_ERROR;
    }

    value.len = ngx_kong_limits_number(value.data, least) - value.data;

    return ngx_kong_header_in_set(r, &limit->header, &value);
}


static ngx_int_t
response_rl_header_filter(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    ngx_uint_t            i, j;
    ngx_table_elt_t      *h;
    response_rl_conf_t   *conf;
    response_rl_state_t  *state;
    response_rl_usage_t  *usage;

    conf = run->instance->conf;
    state = run->state;

    h = ngx_kong_header_out(r, (char *) conf->header_name.data,
                            conf->header_name.len);

    if (state != NULL && !state->known) {
        state = NULL;
    }

    if (state != NULL && h != NULL) {
        response_rl_parse(conf, state, &h->value);
    }

    ngx_kong_header_out_clear(r, (char *) conf->header_name.data,
                              conf->header_name.len);

    if (state == NULL) {
        return NGX_OK;
    }

    for (i = 0; i < conf->n; i++) {
        usage = &state->usage[i];

        if (!conf->hide
            && response_rl_headers(r, &conf->limits[i], usage) != NGX_OK)
        {
            return NGX_ERROR;
        }

        for (j = 0; j < conf->limits[i].limits.n; j++) {
            if (usage->amount > 0
                && usage->counts[j].limit <= usage->counts[j].used)
            {
                state->refused = 1;
            }
        }
    }

    if (state->refused
        && r->headers_out.status != NGX_HTTP_SWITCHING_PROTOCOLS)
    {
        response_rl_refuse(r);
    }

    return NGX_OK;
}


/* "sms=2, mms=1": names that are no limit and what is no number are left
 * out; the last of a name counts */
static void
response_rl_parse(response_rl_conf_t *conf, response_rl_state_t *state,
    ngx_str_t *value)
{
    char        *after;
    u_char      *p, *last, *end, *eq, *stop, number[NGX_KONG_LIMIT_TEXT];
    double       amount;
    ngx_uint_t   i;

    last = value->data + value->len;

    for (p = value->data; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, ',');
        end = end ? end : last;

        eq = ngx_strlchr(p, end, '=');

        if (eq == NULL || ngx_strlchr(eq + 1, end, '=') != NULL) {
            continue;
        }

        while (p < eq && (*p == ' ' || *p == '\t')) {
            p++;
        }

        for (stop = eq; stop > p && (stop[-1] == ' ' || stop[-1] == '\t');
             stop--)
        {
            /* void */
        }

        if ((size_t) (end - eq) > sizeof(number)) {
            continue;
        }

        (void) ngx_cpystrn(number, eq + 1, end - eq);

        amount = strtod((char *) number, &after);

        while (*after == ' ' || *after == '\t') {
            after++;
        }

        if (after == (char *) number || *after != '\0'
            || !(amount > 0 && amount < 1e15))
        {
            continue;
        }

        for (i = 0; i < conf->n; i++) {
            if (conf->limits[i].name.len == (size_t) (stop - p)
                && ngx_memcmp(conf->limits[i].name.data, p, stop - p) == 0)
            {
                state->usage[i].amount = amount;
            }
        }
    }
}


static ngx_int_t
response_rl_headers(ngx_http_request_t *r, response_rl_limit_t *limit,
    response_rl_usage_t *usage)
{
    double             left;
    ngx_str_t          value;
    ngx_uint_t         i;
    ngx_kong_limit_t  *item;

    for (i = 0; i < limit->limits.n; i++) {
        item = &limit->limits.items[i];

        left = item->limit - usage->counts[i].used - usage->amount;

        value.data = ngx_pnalloc(r->pool, NGX_KONG_LIMIT_TEXT);
        if (value.data == NULL) {
            return NGX_ERROR;
        }

        value.len = ngx_kong_limits_number(value.data, ngx_max(left, 0))
                    - value.data;

        if (ngx_kong_header_out_set(r, &item->limit_name, &item->text)
            != NGX_OK
            || ngx_kong_header_out_set(r, &item->remaining_name, &value)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* the upstream's body goes nowhere */
static void
response_rl_refuse(ngx_http_request_t *r)
{
    r->headers_out.status = RESPONSE_RATELIMITING_TOO_MANY;
    r->headers_out.status_line.len = 0;

    ngx_kong_header_out_clear(r, "content-type", sizeof("content-type") - 1);
    ngx_kong_header_out_clear(r, "content-encoding",
                              sizeof("content-encoding") - 1);
    ngx_http_clear_last_modified(r);
    ngx_http_clear_etag(r);
    ngx_http_clear_accept_ranges(r);
    ngx_http_clear_content_length(r);

    r->headers_out.content_length_n = 0;
    r->header_only = 1;
}


static void
response_rl_log(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    ngx_uint_t            i;
    response_rl_conf_t   *conf;
    response_rl_state_t  *state;

    conf = run->instance->conf;
    state = run->state;

    if (state == NULL || !state->known || state->refused) {
        return;
    }

    if (conf->policy != NGX_KONG_LIMITS_LOCAL) {
        response_rl_count(r, conf, state);
        return;
    }

    for (i = 0; i < conf->n; i++) {
        if (state->usage[i].amount > 0) {
            ngx_kong_counters_add(conf->counters, &state->usage[i].key,
                                  state->usage[i].counts,
                                  conf->limits[i].limits.n,
                                  state->usage[i].amount);
        }
    }
}


/* what nodes share is counted in whole numbers */
static void
response_rl_count(ngx_http_request_t *r, response_rl_conf_t *conf,
    response_rl_state_t *state)
{
    int64_t               amount;
    ngx_uint_t            i;
    response_rl_usage_t  *usage;

    for (i = 0; i < conf->n; i++) {
        usage = &state->usage[i];
        amount = (int64_t) ceil(usage->amount);

        if (state->ask != NULL) {
            state->items[i].amount = amount;

        } else if (amount != 0) {
            ngx_kong_ledger_add(conf->ledger, &usage->id, usage->counts,
                                conf->limits[i].limits.n, amount);
        }
    }

    if (state->ask != NULL) {
        ngx_kong_redis_post(r, conf->redis, state->items, conf->n,
                            state->now);
    }
}
