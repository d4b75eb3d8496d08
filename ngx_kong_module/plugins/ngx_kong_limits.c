/*
 * Limits: see ngx_kong_limits.h.  A counter belongs to the plugin's own
 * scope, as in Kong: an instance for a route and one for a service count
 * apart, a global one counts over all routes.
 */

#include "ngx_kong_limits.h"

#include <openssl/evp.h>


#define NGX_KONG_LIMITS_DIGEST  32


static ngx_int_t ngx_kong_limits_names(ngx_pool_t *pool, ngx_str_t *name,
    ngx_kong_limit_t *limit);
static ngx_int_t ngx_kong_limits_prefix(ngx_kong_instance_t *in,
    ngx_pool_t *pool, ngx_kong_limits_t *limits);
static ngx_uint_t ngx_kong_limits_value(ngx_http_request_t *r,
    ngx_kong_limit_who_t *who, ngx_str_t *value, ngx_uint_t *binary);
static ngx_int_t ngx_kong_limits_text(ngx_pool_t *pool, ngx_str_t *value,
    size_t max, ngx_str_t *text);
static ngx_uint_t ngx_kong_limits_is_text(ngx_str_t *value);


static ngx_str_t  ngx_kong_limits_periods[] = {
    ngx_string("second"),
    ngx_string("minute"),
    ngx_string("hour"),
    ngx_string("day"),
    ngx_string("month"),
    ngx_string("year")
};

static ngx_str_t  ngx_kong_limits_by[] = {
    ngx_string("consumer"),
    ngx_string("credential"),
    ngx_string("ip"),
    ngx_string("service"),
    ngx_string("header"),
    ngx_string("path"),
    ngx_null_string
};


static ngx_kong_control_t *
ngx_kong_limits_control(void)
{
    ngx_http_kong_main_conf_t  *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                              ngx_http_kong_module);

    return (mcf && mcf->zone) ? ngx_kong_zone_control(mcf->zone) : NULL;
}


ngx_kong_counters_t *
ngx_kong_limits_counters(void)
{
    ngx_kong_control_t  *control;

    control = ngx_kong_limits_control();

    return control ? control->counters : NULL;
}


ngx_kong_ledger_t *
ngx_kong_limits_ledger(void)
{
    ngx_kong_control_t  *control;

    control = ngx_kong_limits_control();

    return control ? control->ledger : NULL;
}


ngx_int_t
ngx_kong_limits_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool,
    const kong_value_t *object, ngx_str_t *name, ngx_kong_limits_t *limits)
{
    u_char               *p, *last, scope[512];
    ngx_uint_t            i;
    ngx_kong_limit_t     *limit;
    const kong_value_t   *v;
    ngx_kong_counters_t  *counters;

    counters = ngx_kong_limits_counters();
    if (counters == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < NGX_KONG_PERIODS; i++) {
        v = kong_value_get(&in->map->seg, object,
                           (const char *) ngx_kong_limits_periods[i].data);

        if (v == NULL || v->kind != KONG_VALUE_NUMBER) {
            continue;
        }

        limit = &limits->items[limits->n++];
        limit->period = i;
        limit->limit = v->u.number;

        if (ngx_kong_limits_names(pool, name, limit) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    last = scope + sizeof(scope);

    p = ngx_cpymem(scope, in->record->route_id, 16);
    p = ngx_cpymem(p, in->record->service_id, 16);
    p = ngx_slprintf(p, last, "%V:", &in->plugin->name);

    if (name != NULL) {
        p = ngx_slprintf(p, last, "%uz:%V", name->len, name);
    }

    limits->scope = ngx_kong_counters_key(counters, scope, p - scope);

    limits->record = in->record;
    limits->named = (name != NULL);

    if (name != NULL
        && ngx_kong_limits_text(pool, name, NGX_KONG_LIMIT_NAME,
                                &limits->name)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_kong_limits_prefix(in, pool, limits);
}


/* "ratelimit:<route>:<service>:", of the plugin's scope */
static ngx_int_t
ngx_kong_limits_prefix(ngx_kong_instance_t *in, ngx_pool_t *pool,
    ngx_kong_limits_t *limits)
{
    char     route[37], service[37];
    u_char  *p;

    p = ngx_pnalloc(pool, sizeof("response-ratelimit:") + 2 * sizeof(route));
    if (p == NULL) {
        return NGX_ERROR;
    }

    kong_uuid_text(in->record->route_id, route);
    kong_uuid_text(in->record->service_id, service);

    limits->prefix.data = p;
    p = ngx_sprintf(p, "%sratelimit:%s:%s:",
                    limits->named ? "response-" : "", route, service);
    limits->prefix.len = p - limits->prefix.data;

    return NGX_OK;
}


ngx_str_t *
ngx_kong_limits_period(ngx_kong_period_t period)
{
    return &ngx_kong_limits_periods[period];
}


void
ngx_kong_limits_counts(ngx_kong_limits_t *limits, ngx_kong_count_t *counts)
{
    ngx_uint_t  i;

    for (i = 0; i < limits->n; i++) {
        counts[i].period = limits->items[i].period;
        counts[i].limit = limits->items[i].limit;
    }
}


ngx_kong_limits_policy_t
ngx_kong_limits_policy(ngx_kong_instance_t *in)
{
    ngx_str_t  policy;

    policy = ngx_kong_conf_str(in, "policy");

    if (policy.len == 5 && ngx_memcmp(policy.data, "redis", 5) == 0) {
        return NGX_KONG_LIMITS_REDIS;
    }

    if (policy.len == 7 && ngx_memcmp(policy.data, "cluster", 7) == 0) {
        return NGX_KONG_LIMITS_CLUSTER;
    }

    return NGX_KONG_LIMITS_LOCAL;
}


/* "X-RateLimit-Limit-Minute", or "X-RateLimit-Limit-<name>-minute" */
static ngx_int_t
ngx_kong_limits_names(ngx_pool_t *pool, ngx_str_t *name,
    ngx_kong_limit_t *limit)
{
    u_char      *p;
    size_t       len;
    ngx_str_t   *period, *out;
    ngx_uint_t   i;

    static ngx_str_t  prefixes[] = {
        ngx_string("X-RateLimit-Limit-"),
        ngx_string("X-RateLimit-Remaining-")
    };

    period = &ngx_kong_limits_periods[limit->period];
    len = 2 * (sizeof("X-RateLimit-Remaining--") + period->len
               + (name ? name->len : 0))
          + NGX_KONG_LIMIT_TEXT;

    p = ngx_pnalloc(pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    limit->text.data = p;
    p = ngx_kong_limits_number(p, limit->limit);
    limit->text.len = p - limit->text.data;

    for (i = 0; i < 2; i++) {
        out = i ? &limit->remaining_name : &limit->limit_name;

        out->data = p;
        p = ngx_cpymem(p, prefixes[i].data, prefixes[i].len);

        if (name != NULL) {
            p = ngx_cpymem(p, name->data, name->len);
            *p++ = '-';
        }

        p = ngx_cpymem(p, period->data, period->len);

        if (name == NULL) {
            p[-(ssize_t) period->len] = ngx_toupper(period->data[0]);
        }

        out->len = p - out->data;
    }

    return NGX_OK;
}


ngx_int_t
ngx_kong_limits_who(ngx_kong_instance_t *in, ngx_pool_t *pool,
    ngx_kong_limit_who_t *who)
{
    ngx_str_t   by, header;
    ngx_uint_t  i;

    by = ngx_kong_conf_str(in, "limit_by");

    for (i = 0; ngx_kong_limits_by[i].len != 0; i++) {
        if (by.len == ngx_kong_limits_by[i].len
            && ngx_memcmp(by.data, ngx_kong_limits_by[i].data, by.len) == 0)
        {
            who->by = i;
        }
    }

    who->path = ngx_kong_conf_str(in, "path");

    header = ngx_kong_conf_str(in, "header_name");
    who->header.len = header.len;
    who->header.data = ngx_pnalloc(pool, header.len + 1);

    if (who->header.data == NULL) {
        return NGX_ERROR;
    }

    ngx_strlow(who->header.data, header.data, header.len);

    return NGX_OK;
}


ngx_kong_counter_key_t
ngx_kong_limits_identify(ngx_http_request_t *r, ngx_kong_counters_t *counters,
    ngx_kong_limit_who_t *who)
{
    ngx_str_t               value;
    ngx_uint_t              kind, binary;
    ngx_kong_counter_key_t  key;

    kind = ngx_kong_limits_value(r, who, &value, &binary);

    key = ngx_kong_counters_key(counters, value.data, value.len);
    key.high ^= (uint64_t) (kind + 1) * 0x9e3779b97f4a7c15ULL;

    return key;
}


ngx_int_t
ngx_kong_limits_identifier(ngx_http_request_t *r, ngx_kong_limit_who_t *who,
    ngx_str_t *identifier)
{
    ngx_str_t   value;
    ngx_uint_t  binary;

    (void) ngx_kong_limits_value(r, who, &value, &binary);

    if (!binary) {
        return ngx_kong_limits_text(r->pool, &value, NGX_KONG_LIMIT_ID,
                                    identifier);
    }

    identifier->len = 36;
    identifier->data = ngx_pnalloc(r->pool, 37);
    if (identifier->data == NULL) {
        return NGX_ERROR;
    }

    kong_uuid_text(value.data, (char *) identifier->data);

    return NGX_OK;
}


/* itself, or its digest */
static ngx_int_t
ngx_kong_limits_text(ngx_pool_t *pool, ngx_str_t *value, size_t max,
    ngx_str_t *text)
{
    u_char  *p, digest[NGX_KONG_LIMITS_DIGEST];

    if (value->len <= max && ngx_kong_limits_is_text(value)) {
        *text = *value;
        return NGX_OK;
    }

    p = ngx_pnalloc(pool, sizeof("sha256:") + 2 * sizeof(digest));

    if (p == NULL
        || EVP_Digest(value->data, value->len, digest, NULL, EVP_sha256(),
                      NULL)
           != 1)
    {
        return NGX_ERROR;
    }

    text->data = p;
    p = ngx_cpymem(p, "sha256:", 7);
    p = ngx_hex_dump(p, digest, sizeof(digest));
    text->len = p - text->data;

    return NGX_OK;
}


void
ngx_kong_limits_id(ngx_kong_counters_t *counters, uint64_t store,
    ngx_kong_limits_t *limits, ngx_str_t *identifier,
    ngx_kong_ledger_id_t *id)
{
    ngx_kong_counter_key_t  who;

    /* no more than what the store's own key says */

    who = ngx_kong_counters_key(counters, identifier->data, identifier->len);
    who.high ^= store;

    id->store = store;
    id->key = ngx_kong_limits_key(counters, limits, &who);
    id->route = limits->record->route_id;
    id->service = limits->record->service_id;
    id->identifier = *identifier;
    id->name = limits->name;
    id->named = limits->named;
}


/* what a database takes for text */
static ngx_uint_t
ngx_kong_limits_is_text(ngx_str_t *value)
{
    u_char   *p, *start, *last;
    uint32_t  c;

    last = value->data + value->len;

    for (p = value->data; p < last; /* void */ ) {

        if (*p < 0x80) {
            if (*p < 0x20 || *p == 0x7f) {
                return 0;
            }

            p++;
            continue;
        }

        start = p;
        c = ngx_utf8_decode(&p, last - p);

        if (*start > 0xf4 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) {
            return 0;
        }

        /* the decoder takes more for what continues a character */

        while (++start < p) {
            if ((*start & 0xc0) != 0x80) {
                return 0;
            }
        }
    }

    return 1;
}


/* what is counted; without it, the client's address.  Its kind is returned: a
 * header cannot name an address or a consumer.  `binary`: it is a uuid */
static ngx_uint_t
ngx_kong_limits_value(ngx_http_request_t *r, ngx_kong_limit_who_t *who,
    ngx_str_t *value, ngx_uint_t *binary)
{
    ngx_table_elt_t       *h;
    ngx_http_kong_ctx_t   *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    value->len = 16;
    *binary = 1;

    switch (who->by) {

    case NGX_KONG_BY_CONSUMER:
        if (ctx->consumer != KONG_NONE) {
            value->data = (u_char *) kong_consumer(
                                         &ctx->generation->config->seg,
                                         ctx->consumer)->id;
            return NGX_KONG_BY_CONSUMER;
        }

        /* fall through */

    case NGX_KONG_BY_CREDENTIAL:
        if (ctx->credential != NULL) {
            value->data = (u_char *) ctx->credential->id;
            return NGX_KONG_BY_CREDENTIAL;
        }

        if (ctx->authenticated && ctx->identifier.len != 0) {
            *value = ctx->identifier;
            *binary = 0;
            return NGX_KONG_BY_CREDENTIAL;
        }

        break;

    case NGX_KONG_BY_SERVICE:
        if (ctx->service != NULL) {
            value->data = (u_char *) ctx->service->id;
            return NGX_KONG_BY_SERVICE;
        }

        break;

    case NGX_KONG_BY_HEADER:
        h = ngx_kong_header_in(r, (char *) who->header.data, who->header.len);

        if (h != NULL) {
            *value = h->value;
            *binary = 0;
            return NGX_KONG_BY_HEADER;
        }

        break;

    case NGX_KONG_BY_PATH:
        if (ctx->path.len == who->path.len
            && ngx_memcmp(ctx->path.data, who->path.data, who->path.len) == 0)
        {
            *value = ctx->path;
            *binary = 0;
            return NGX_KONG_BY_PATH;
        }

        break;

    case NGX_KONG_BY_IP:
        break;
    }

    *value = r->connection->addr_text;
    *binary = 0;

    return NGX_KONG_BY_IP;
}


ngx_kong_counter_key_t
ngx_kong_limits_key(ngx_kong_counters_t *counters, ngx_kong_limits_t *limits,
    ngx_kong_counter_key_t *who)
{
    ngx_kong_counter_key_t  both[2];

    both[0] = limits->scope;
    both[1] = *who;

    return ngx_kong_counters_key(counters, both, sizeof(both));
}


u_char *
ngx_kong_limits_number(u_char *p, double n)
{
    int  len;

    if (n >= 0 && n < 1e15 && n == (double) (uint64_t) n) {
        return ngx_http_kong_number(p, (uint64_t) n);
    }

    len = snprintf((char *) p, NGX_KONG_LIMIT_TEXT, "%.14g", n);

    return p + ngx_min(len, NGX_KONG_LIMIT_TEXT - 1);
}
