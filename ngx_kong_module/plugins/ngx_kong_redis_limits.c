/*
 * Rate limits in Redis: see ngx_kong_redis_limits.h.  A script checks and
 * counts in one step, so that nodes that ask at the same time let exactly as
 * many pass as the limit says.  A key lives until its window's end and a
 * little longer, for nodes whose clocks are behind; its own name says which
 * window it is.
 */

#include "ngx_kong_redis_limits.h"


#define NGX_KONG_REDIS_GRACE  5

/* route, service, window and period beside identifier and name */
#define NGX_KONG_REDIS_KEY    256

typedef struct {
    ngx_kong_redis_t        op;
    ngx_pool_t             *pool;
    ngx_kong_generation_t  *generation;
} ngx_kong_redis_post_t;


static ngx_uint_t ngx_kong_redis_keys(ngx_kong_redis_limits_t *items,
    ngx_uint_t n);
static u_char *ngx_kong_redis_begin(ngx_kong_redis_t *op,
    const ngx_str_t *script, ngx_kong_redis_limits_t *items, ngx_uint_t n,
    ngx_uint_t more);
static u_char *ngx_kong_redis_key(u_char *p, ngx_kong_redis_limits_t *item,
    ngx_uint_t i, time_t now);
static u_char *ngx_kong_redis_eval(u_char *p, const ngx_str_t *script,
    ngx_uint_t keys);
static u_char *ngx_kong_redis_row_key(u_char *p,
    ngx_kong_ledger_entry_t *e);
static u_char *ngx_kong_redis_keys_of(u_char *p,
    ngx_kong_redis_limits_t *items, ngx_uint_t n, time_t now);
static u_char *ngx_kong_redis_integer(u_char *p, int64_t n);
static u_char *ngx_kong_redis_ttl(u_char *p, time_t end);
static void ngx_kong_redis_asked(void *data, ngx_int_t rc);
static void ngx_kong_redis_gone(void *data);
static void ngx_kong_redis_posted(void *data, ngx_int_t rc);


/* ARGV: limit and seconds to live of each key */
static const ngx_str_t  ngx_kong_redis_take_script = ngx_string(
    "local r={1} "
    "for i,k in ipairs(KEYS) do "
      "local v=tonumber(redis.call('GET',k) or 0) or 0 "
      "r[i+1]=v "
      "if v>=tonumber(ARGV[2*i-1]) then r[1]=0 end "
    "end "
    "if r[1]==1 then "
      "for i,k in ipairs(KEYS) do "
        "if redis.call('INCRBY',k,1)==1 then "
          "redis.call('EXPIRE',k,ARGV[2*i]) "
        "end "
      "end "
    "end "
    "return r");

/* ARGV: amount and seconds to live of each key */
static const ngx_str_t  ngx_kong_redis_add_script = ngx_string(
    "local r={} "
    "for i,k in ipairs(KEYS) do "
      "local a=ARGV[2*i-1] "
      "r[i]=redis.call('INCRBY',k,a) "
      "if r[i]==tonumber(a) then "
        "redis.call('EXPIRE',k,ARGV[2*i]) "
      "end "
    "end "
    "return r");

static const ngx_str_t  ngx_kong_redis_no_script = ngx_null_string;


ngx_int_t
ngx_kong_redis_take(ngx_kong_redis_t *op, ngx_kong_redis_limits_t *item,
    time_t now)
{
    u_char      *p, *end, limit[NGX_KONG_LIMIT_TEXT];
    time_t       start, stop;
    ngx_uint_t   i;

    item->amount = 1;

    p = ngx_kong_redis_begin(op, &ngx_kong_redis_take_script, item, 1, 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    p = ngx_kong_redis_keys_of(p, item, 1, now);

    for (i = 0; i < item->limits->n; i++) {
        end = ngx_kong_limits_number(limit, item->counts[i].limit);
        p = kong_resp_argument(p, limit, end - limit);
        ngx_kong_counters_window(item->counts[i].period, now, &start, &stop);
        p = ngx_kong_redis_ttl(p, stop);
    }

    op->command.len = p - op->command.data;

    return NGX_OK;
}


ngx_int_t
ngx_kong_redis_read(ngx_kong_redis_t *op, ngx_kong_redis_limits_t *items,
    ngx_uint_t n, time_t now)
{
    u_char      *p;
    ngx_uint_t   i;

    for (i = 0; i < n; i++) {
        items[i].amount = 1;
    }

    p = ngx_kong_redis_begin(op, &ngx_kong_redis_no_script, items, n, 0);
    if (p == NULL) {
        return NGX_ERROR;
    }

    p = ngx_kong_redis_keys_of(p, items, n, now);
    op->command.len = p - op->command.data;

    return NGX_OK;
}


ngx_int_t
ngx_kong_redis_add(ngx_kong_redis_t *op, ngx_kong_redis_limits_t *items,
    ngx_uint_t n, time_t now)
{
    u_char      *p;
    time_t       start, end;
    ngx_uint_t   i, j;

    p = ngx_kong_redis_begin(op, &ngx_kong_redis_add_script, items, n, 0);
    if (p == NULL) {
        return NGX_ERROR;
    }

    p = ngx_kong_redis_keys_of(p, items, n, now);

    for (i = 0; i < n; i++) {
        for (j = 0; items[i].amount != 0 && j < items[i].limits->n; j++) {
            p = ngx_kong_redis_integer(p, items[i].amount);
            ngx_kong_counters_window(items[i].counts[j].period, now, &start,
                                     &end);
            p = ngx_kong_redis_ttl(p, end);
        }
    }

    op->command.len = p - op->command.data;

    return NGX_OK;
}


static ngx_uint_t
ngx_kong_redis_keys(ngx_kong_redis_limits_t *items, ngx_uint_t n)
{
    ngx_uint_t  i, keys;

    for (i = 0, keys = 0; i < n; i++) {
        keys += items[i].amount != 0 ? items[i].limits->n : 0;
    }

    return keys;
}


/* memory for command and answer, and the command up to its keys.  `more`:
 * values in front of those of the keys */
static u_char *
ngx_kong_redis_begin(ngx_kong_redis_t *op, const ngx_str_t *script,
    ngx_kong_redis_limits_t *items, ngx_uint_t n, ngx_uint_t more)
{
    size_t       size;
    u_char      *p;
    ngx_uint_t   i, keys;

    keys = ngx_kong_redis_keys(items, n);
    size = script->len + 4 * KONG_RESP_OVERHEAD;

    for (i = 0; i < n; i++) {
        size += items[i].limits->n * (NGX_KONG_REDIS_KEY
                                      + items[i].identifier.len
                                      + items[i].limits->name.len
                                      + 3 * KONG_RESP_OVERHEAD);
    }

    op->n = keys + more;
    op->values = ngx_palloc(op->pool, (op->n + 1) * sizeof(int64_t));
    op->command.data = ngx_pnalloc(op->pool, size);

    if (op->values == NULL || op->command.data == NULL) {
        return NULL;
    }

    p = op->command.data;

    if (script->len == 0) {
        p = kong_resp_command(p, 1 + keys);
        return kong_resp_argument(p, "MGET", 4);
    }

    return ngx_kong_redis_eval(p, script, keys);
}


/* up to the keys, each of which has two arguments */
static u_char *
ngx_kong_redis_eval(u_char *p, const ngx_str_t *script, ngx_uint_t keys)
{
    p = kong_resp_command(p, 3 + 3 * keys);
    p = kong_resp_argument(p, "EVAL", 4);
    p = kong_resp_argument(p, script->data, script->len);

    return ngx_kong_redis_integer(p, (int64_t) keys);
}


ngx_int_t
ngx_kong_redis_add_rows(ngx_kong_redis_t *op, ngx_kong_ledger_row_t *rows,
    ngx_uint_t n)
{
    u_char      *p;
    ngx_uint_t   i;

    op->n = n;
    op->values = ngx_palloc(op->pool, n * sizeof(int64_t));
    op->command.data = ngx_pnalloc(op->pool,
                                   ngx_kong_redis_add_script.len
                                   + 4 * KONG_RESP_OVERHEAD
                                   + n * (NGX_KONG_REDIS_KEY
                                          + NGX_KONG_LEDGER_TEXT
                                          + 3 * KONG_RESP_OVERHEAD));

    if (op->values == NULL || op->command.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_kong_redis_eval(op->command.data, &ngx_kong_redis_add_script, n);

    for (i = 0; i < n; i++) {
        p = ngx_kong_redis_row_key(p, &rows[i].entry);
    }

    for (i = 0; i < n; i++) {
        p = ngx_kong_redis_integer(p, rows[i].entry.flying);
        p = ngx_kong_redis_ttl(p, rows[i].entry.end);
    }

    op->command.len = p - op->command.data;

    return NGX_OK;
}


static u_char *
ngx_kong_redis_row_key(u_char *p, ngx_kong_ledger_entry_t *e)
{
    char        route[37], service[37];
    u_char     *last, key[NGX_KONG_REDIS_KEY + NGX_KONG_LEDGER_TEXT];
    ngx_str_t   identifier, name;

    kong_uuid_text(e->route, route);
    kong_uuid_text(e->service, service);

    identifier.data = e->text;
    identifier.len = e->identifier_len;
    name.data = e->text + e->identifier_len;
    name.len = e->name_len;

    last = ngx_sprintf(key, "%sratelimit:%s:%s:%V:%uD000:%V%s%V",
                       e->named ? "response-" : "", route, service,
                       &identifier, e->start, &name, e->named ? ":" : "",
                       ngx_kong_limits_period(e->period));

    return kong_resp_argument(p, key, last - key);
}


static u_char *
ngx_kong_redis_keys_of(u_char *p, ngx_kong_redis_limits_t *items,
    ngx_uint_t n, time_t now)
{
    ngx_uint_t  i, j;

    for (i = 0; i < n; i++) {
        for (j = 0; items[i].amount != 0 && j < items[i].limits->n; j++) {
            p = ngx_kong_redis_key(p, &items[i], j, now);
        }
    }

    return p;
}


/* "<prefix><identifier>:<start of the window, ms>:[<name>:]<period>" */
static u_char *
ngx_kong_redis_key(u_char *p, ngx_kong_redis_limits_t *item, ngx_uint_t i,
    time_t now)
{
    u_char     *last, tail[NGX_INT64_LEN + sizeof("::second")];
    size_t      len;
    time_t      start, end;
    ngx_str_t  *period, *name, *prefix;

    ngx_kong_counters_window(item->counts[i].period, now, &start, &end);

    name = &item->limits->name;
    prefix = &item->limits->prefix;
    period = ngx_kong_limits_period(item->counts[i].period);

    last = ngx_sprintf(tail, ":%T000:", start);

    len = prefix->len + item->identifier.len + (last - tail) + period->len
          + (item->limits->named ? name->len + 1 : 0);

    /* an argument in pieces */

    p = ngx_sprintf(p, "$%uz\r\n", len);
    p = ngx_cpymem(p, prefix->data, prefix->len);
    p = ngx_cpymem(p, item->identifier.data, item->identifier.len);
    p = ngx_cpymem(p, tail, last - tail);

    if (item->limits->named) {
        p = ngx_cpymem(p, name->data, name->len);
        *p++ = ':';
    }

    p = ngx_cpymem(p, period->data, period->len);
    *p++ = CR;
    *p++ = LF;

    return p;
}


static u_char *
ngx_kong_redis_integer(u_char *p, int64_t n)
{
    u_char  *last, text[NGX_INT64_LEN + 1];

    last = ngx_sprintf(text, "%L", n);

    return kong_resp_argument(p, text, last - text);
}


/* of a window that ends then */
static u_char *
ngx_kong_redis_ttl(u_char *p, time_t end)
{
    return ngx_kong_redis_integer(p, ngx_max(end - ngx_time(), 1)
                                     + NGX_KONG_REDIS_GRACE);
}


void
ngx_kong_redis_used(ngx_kong_redis_limits_t *item, int64_t *values,
    time_t now)
{
    time_t      start, end;
    ngx_uint_t  i;

    for (i = 0; i < item->limits->n; i++) {
        ngx_kong_counters_window(item->counts[i].period, now, &start, &end);

        item->counts[i].used = (double) values[i];
        item->counts[i].reset = ngx_max(end - now, 1);
    }
}


ngx_int_t
ngx_kong_redis_ask(ngx_http_request_t *r, ngx_kong_redis_ask_t *ask)
{
    ngx_http_cleanup_t   *cln;
    ngx_http_kong_ctx_t  *ctx;

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_kong_redis_gone;
    cln->data = ask;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    ask->request = r;
    ask->op.done = ngx_kong_redis_asked;
    ask->op.data = ask;

    ask->rc = ngx_kong_redis_start(&ask->op, ctx->generation->endpoints);

    if (ask->rc == NGX_ERROR) {
        ngx_kong_redis_report(&ask->op, r->connection->log);
    }

    if (ask->rc != NGX_AGAIN) {
        return ask->rc;
    }

    ask->pending = 1;

    if (ngx_kong_suspend(r) == NGX_ERROR) {
        ngx_kong_redis_gone(ask);
        return NGX_ERROR;
    }

    return NGX_AGAIN;
}


static void
ngx_kong_redis_asked(void *data, ngx_int_t rc)
{
    ngx_kong_redis_ask_t *ask = data;

    ngx_log_t  *log;

    ask->pending = 0;
    ask->rc = rc;

    if (rc == NGX_ERROR) {
        log = ask->request->connection->log;
        ngx_http_set_log_request(log, ask->request);
        ngx_kong_redis_report(&ask->op, log);
    }

    ngx_kong_resume(ask->request);
}


/* the request ends */
static void
ngx_kong_redis_gone(void *data)
{
    ngx_kong_redis_ask_t *ask = data;

    if (ask->pending) {
        ask->pending = 0;
        ngx_kong_redis_cancel(&ask->op);
    }
}


void
ngx_kong_redis_post(ngx_http_request_t *r, ngx_kong_redis_server_t *server,
    ngx_kong_redis_limits_t *items, ngx_uint_t n, time_t now)
{
    ngx_int_t               rc;
    ngx_pool_t             *pool;
    ngx_http_kong_ctx_t    *ctx;
    ngx_kong_redis_post_t  *post;

    if (ngx_kong_redis_keys(items, n) == 0) {
        return;
    }

    pool = ngx_create_pool(4096, ngx_cycle->log);
    if (pool == NULL) {
        return;
    }

    post = ngx_pcalloc(pool, sizeof(ngx_kong_redis_post_t));
    if (post == NULL) {
        ngx_destroy_pool(pool);
        return;
    }

    /* the server's settings are the map's */

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    post->pool = pool;
    post->generation = ctx->generation;
    post->generation->refs++;

    post->op.server = server;
    post->op.pool = pool;
    post->op.done = ngx_kong_redis_posted;
    post->op.data = post;

    rc = ngx_kong_redis_add(&post->op, items, n, now);

    if (rc == NGX_OK) {
        rc = ngx_kong_redis_start(&post->op, ctx->generation->endpoints);
    }

    if (rc != NGX_AGAIN) {
        ngx_kong_redis_posted(post, rc);
    }
}


static void
ngx_kong_redis_posted(void *data, ngx_int_t rc)
{
    ngx_kong_redis_post_t *post = data;

    ngx_pool_t  *pool;

    if (rc == NGX_ERROR) {
        ngx_kong_redis_report(&post->op, ngx_cycle->log);
    }

    pool = post->pool;
    ngx_kong_generation_put(post->generation);
    ngx_destroy_pool(pool);
}
