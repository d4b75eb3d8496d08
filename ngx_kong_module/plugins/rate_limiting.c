/*
 * rate-limiting: so many requests in a window of the calendar.  All periods
 * are checked and counted in one step: in the zone, in Redis, which the
 * request waits for, or in the ledger of the zone (ngx_kong_ledger.h) where
 * the database or, with a sync_rate, Redis has the sums.
 */

#include "ngx_kong_redis_limits.h"
#include "ngx_kong_redis_sync.h"


#define RATE_LIMITING_TOO_MANY  429


typedef struct {
    ngx_kong_counters_t   *counters;
    ngx_kong_ledger_t     *ledger;
    ngx_kong_limits_t      limits;
    ngx_kong_limit_who_t   who;
    ngx_kong_limits_policy_t  policy;
    ngx_kong_redis_server_t  *redis;
    ngx_kong_redis_sync_t    *sync;      /* NULL: each request asks */
    ngx_uint_t             error_code;
    const char            *error_message;
    unsigned               hide:1;
    unsigned               tolerant:1;
} rate_limiting_conf_t;

/* a question to Redis */
typedef struct {
    ngx_kong_redis_ask_t     ask;
    ngx_kong_redis_limits_t  item;
    time_t                   now;
} rate_limiting_redis_t;

/* what the client is told, once `told`; texts lie behind it */
typedef struct {
    rate_limiting_redis_t *redis;
    ngx_str_t              remaining[NGX_KONG_PERIODS];
    ngx_str_t              reset;
    ngx_uint_t             least;        /* the period with the least left */
    unsigned               refused:1;
    unsigned               told:1;
} rate_limiting_state_t;


static void *rate_limiting_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool);
static ngx_int_t rate_limiting_access(ngx_http_request_t *r,
    ngx_kong_run_t *run);
static ngx_int_t rate_limiting_prepare_redis(ngx_kong_instance_t *in,
    ngx_pool_t *pool, rate_limiting_conf_t *conf);
static ngx_int_t rate_limiting_take(ngx_http_request_t *r,
    ngx_kong_run_t *run, ngx_kong_count_t *counts);
static ngx_int_t rate_limiting_ledger(ngx_http_request_t *r,
    ngx_kong_run_t *run, ngx_kong_count_t *counts);
static ngx_int_t rate_limiting_redis(ngx_http_request_t *r,
    ngx_kong_run_t *run, ngx_kong_count_t *counts);
static ngx_int_t rate_limiting_ask(ngx_http_request_t *r,
    ngx_kong_run_t *run, ngx_kong_count_t *counts);
static rate_limiting_state_t *rate_limiting_state(ngx_http_request_t *r,
    ngx_kong_run_t *run);
static ngx_int_t rate_limiting_note(ngx_http_request_t *r,
    ngx_kong_run_t *run, ngx_kong_count_t *counts, ngx_uint_t refused);
static ngx_int_t rate_limiting_header_filter(ngx_http_request_t *r,
    ngx_kong_run_t *run);


const ngx_kong_plugin_t  ngx_kong_rate_limiting = {
    .name = ngx_string("rate-limiting"),
    .prepare = rate_limiting_prepare,
    .access = rate_limiting_access,
    .header_filter = rate_limiting_header_filter
};


static void *
rate_limiting_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool)
{
    double                 code;
    ngx_str_t              message;
    rate_limiting_conf_t  *conf;

    conf = ngx_pcalloc(pool, sizeof(rate_limiting_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    conf->counters = ngx_kong_limits_counters();

    if (conf->counters == NULL
        || ngx_kong_limits_prepare(in, pool, in->config, NULL, &conf->limits)
           != NGX_OK
        || ngx_kong_limits_who(in, pool, &conf->who) != NGX_OK)
    {
        return NULL;
    }

    code = ngx_kong_conf_num(in, "error_code", RATE_LIMITING_TOO_MANY);

    /* the schema allows any number above 0 */
    conf->error_code = (code >= 200 && code < 600) ? (ngx_uint_t) code
                                                   : RATE_LIMITING_TOO_MANY;

    message = ngx_kong_conf_str(in, "error_message");
    conf->error_message = message.data ? (const char *) message.data
                                       : "API rate limit exceeded";
    conf->hide = ngx_kong_conf_flag(in, "hide_client_headers");
    conf->tolerant = ngx_kong_conf_flag(in, "fault_tolerant");
    conf->policy = ngx_kong_limits_policy(in);

    conf->ledger = ngx_kong_limits_ledger();

    if (conf->policy == NGX_KONG_LIMITS_REDIS
        && rate_limiting_prepare_redis(in, pool, conf) != NGX_OK)
    {
        return NULL;
    }

    return conf;
}


static ngx_int_t
rate_limiting_prepare_redis(ngx_kong_instance_t *in, ngx_pool_t *pool,
    rate_limiting_conf_t *conf)
{
    double  rate;

    conf->redis = ngx_pcalloc(pool, sizeof(ngx_kong_redis_server_t));

    if (conf->redis == NULL
        || ngx_kong_redis_prepare(in, pool, conf->redis) != NGX_OK)
    {
        return NGX_ERROR;
    }

    rate = ngx_kong_conf_num(in, "sync_rate", -1);

    if (rate > 0) {
        conf->sync = ngx_kong_redis_sync_create(pool, conf->redis, rate);

        if (conf->sync == NULL) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
rate_limiting_access(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    ngx_int_t              rc;
    ngx_kong_count_t       counts[NGX_KONG_PERIODS];
    rate_limiting_conf_t  *conf;

    conf = run->instance->conf;

    ngx_kong_limits_counts(&conf->limits, counts);

    if (conf->policy == NGX_KONG_LIMITS_LOCAL) {
        rc = rate_limiting_take(r, run, counts);

    } else if (conf->policy == NGX_KONG_LIMITS_CLUSTER || conf->sync) {
        rc = rate_limiting_ledger(r, run, counts);

    } else {
        rc = rate_limiting_redis(r, run, counts);
    }

    if (rc == NGX_AGAIN) {
        return rc;
    }

    /* nobody counts */

    if (rc == NGX_ERROR) {
        return conf->tolerant ? NGX_OK : NGX_ERROR;
    }

    if (!conf->hide && conf->limits.n != 0
        && rate_limiting_note(r, run, counts, rc != NGX_OK) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (rc == NGX_OK) {
        return NGX_OK;
    }

    return ngx_kong_exit_error(r, conf->error_code, conf->error_message);
}


static ngx_int_t
rate_limiting_take(ngx_http_request_t *r, ngx_kong_run_t *run,
    ngx_kong_count_t *counts)
{
    rate_limiting_conf_t    *conf;
    ngx_kong_counter_key_t   who, key;

    conf = run->instance->conf;

    who = ngx_kong_limits_identify(r, conf->counters, &conf->who);
    key = ngx_kong_limits_key(conf->counters, &conf->limits, &who);

    return ngx_kong_counters_take(conf->counters, &key, counts,
                                  conf->limits.n);
}


/* while nobody keeps the sums, the node limits by what it knows, unless it is
 * told not to */
static ngx_int_t
rate_limiting_ledger(ngx_http_request_t *r, ngx_kong_run_t *run,
    ngx_kong_count_t *counts)
{
    uint64_t               store;
    ngx_int_t              rc;
    ngx_str_t              who;
    ngx_uint_t             kept;
    ngx_kong_ledger_id_t   id;
    rate_limiting_conf_t  *conf;

    conf = run->instance->conf;

    if (conf->sync != NULL) {
        store = ngx_kong_redis_sync_store(conf->sync);
        kept = ngx_kong_redis_sync_is_kept(conf->sync);

    } else {
        store = NGX_KONG_LEDGER_DATABASE;
        kept = ngx_kong_ledger_is_kept(conf->ledger);
    }

    if ((!kept && !conf->tolerant)
        || ngx_kong_limits_identifier(r, &conf->who, &who) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_kong_limits_id(conf->counters, store, &conf->limits, &who, &id);

    rc = ngx_kong_ledger_take(conf->ledger, &id, counts, conf->limits.n);

    if (rc == NGX_OK && conf->sync != NULL) {
        ngx_kong_redis_sync_soon(conf->sync);
    }

    return rc;
}


/* called again when Redis has answered */
static ngx_int_t
rate_limiting_redis(ngx_http_request_t *r, ngx_kong_run_t *run,
    ngx_kong_count_t *counts)
{
    ngx_int_t               rc;
    int64_t                *values;
    rate_limiting_redis_t  *redis;
    rate_limiting_state_t  *state;

    if (run->state == NULL) {
        rc = rate_limiting_ask(r, run, counts);

    } else {
        state = run->state;
        rc = state->redis->ask.pending ? NGX_AGAIN : state->redis->ask.rc;
    }

    if (rc != NGX_OK) {
        return rc;
    }

    state = run->state;
    redis = state->redis;
    values = redis->ask.op.values;

    redis->item.counts = counts;
    ngx_kong_redis_used(&redis->item, values + 1, redis->now);

    return values[0] == 1 ? NGX_OK : NGX_BUSY;
}


static ngx_int_t
rate_limiting_ask(ngx_http_request_t *r, ngx_kong_run_t *run,
    ngx_kong_count_t *counts)
{
    rate_limiting_conf_t   *conf;
    rate_limiting_redis_t  *redis;
    rate_limiting_state_t  *state;

    conf = run->instance->conf;

    redis = ngx_pcalloc(r->pool, sizeof(rate_limiting_redis_t));
    state = rate_limiting_state(r, run);

    if (redis == NULL || state == NULL) {
        return NGX_ERROR;
    }

    state->redis = redis;

    redis->now = ngx_time();
    redis->item.limits = &conf->limits;
    redis->item.counts = counts;
    redis->ask.op.server = conf->redis;
    redis->ask.op.pool = r->pool;
    redis->ask.rc = NGX_ERROR;

    if (ngx_kong_limits_identifier(r, &conf->who, &redis->item.identifier)
        != NGX_OK
        || ngx_kong_redis_take(&redis->ask.op, &redis->item, redis->now)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_kong_redis_ask(r, &redis->ask);
}


static rate_limiting_state_t *
rate_limiting_state(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    rate_limiting_conf_t   *conf;
    rate_limiting_state_t  *state;

    if (run->state != NULL) {
        return run->state;
    }

    conf = run->instance->conf;

    state = ngx_palloc(r->pool, sizeof(rate_limiting_state_t)
                                + (conf->limits.n + 1) * NGX_KONG_LIMIT_TEXT);
    if (state == NULL) {
        return NULL;
    }

    ngx_memzero(state, sizeof(rate_limiting_state_t));
    run->state = state;

    return state;
}


static ngx_int_t
rate_limiting_note(ngx_http_request_t *r, ngx_kong_run_t *run,
    ngx_kong_count_t *counts, ngx_uint_t refused)
{
    u_char                 *p;
    double                  left, least;
    ngx_uint_t              i;
    rate_limiting_conf_t   *conf;
    rate_limiting_state_t  *state;

    conf = run->instance->conf;
    least = 0;

    state = rate_limiting_state(r, run);
    if (state == NULL) {
        return NGX_ERROR;
    }

    p = (u_char *) (state + 1);
    state->refused = refused;
    state->told = 1;

    for (i = 0; i < conf->limits.n; i++) {

        left = counts[i].limit - counts[i].used - (refused ? 0 : 1);
        left = ngx_max(left, 0);

        /* of equals, the longer period */

        if (i == 0 || left <= least) {
            least = left;
            state->least = i;
        }

        state->remaining[i].data = p;
        p = ngx_kong_limits_number(p, left);
        state->remaining[i].len = p - state->remaining[i].data;
    }

    state->reset.data = p;
    p = ngx_http_kong_number(p, counts[state->least].reset);
    state->reset.len = p - state->reset.data;

    return NGX_OK;
}


static ngx_int_t
rate_limiting_header_filter(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    static ngx_str_t  limit_name = ngx_string("RateLimit-Limit");
    static ngx_str_t  remaining_name = ngx_string("RateLimit-Remaining");
    static ngx_str_t  reset_name = ngx_string("RateLimit-Reset");
    static ngx_str_t  retry_name = ngx_string("Retry-After");

    ngx_uint_t              i;
    ngx_kong_limit_t       *limit;
    rate_limiting_conf_t   *conf;
    rate_limiting_state_t  *state;

    conf = run->instance->conf;
    state = run->state;

    if (state == NULL || !state->told) {
        return NGX_OK;
    }

    limit = conf->limits.items;

    for (i = 0; i < conf->limits.n; i++) {
        if (ngx_kong_header_out_set(r, &limit[i].limit_name, &limit[i].text)
            != NGX_OK
            || ngx_kong_header_out_set(r, &limit[i].remaining_name,
                                       &state->remaining[i])
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    i = state->least;

    if (ngx_kong_header_out_set(r, &limit_name, &limit[i].text) != NGX_OK
        || ngx_kong_header_out_set(r, &remaining_name, &state->remaining[i])
           != NGX_OK
        || ngx_kong_header_out_set(r, &reset_name, &state->reset) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return state->refused ? ngx_kong_header_out_set(r, &retry_name,
                                                    &state->reset)
                          : NGX_OK;
}
