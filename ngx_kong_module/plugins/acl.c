/*
 * acl: lets a consumer pass by the groups that it is in.
 *
 * Kong can also take groups that another plugin has authenticated; none of
 * its open plugins does that, so that always_use_authenticated_groups finds
 * none here, as there.
 */

#include "ngx_kong_plugin.h"


typedef struct {
    ngx_str_t   *groups;                 /* sorted */
    ngx_uint_t   n_groups;
    unsigned     deny:1;
    unsigned     hide:1;
} acl_conf_t;


static void *acl_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool);
static ngx_int_t acl_access(ngx_http_request_t *r, ngx_kong_run_t *run);
static ngx_uint_t acl_matches(acl_conf_t *conf, const kong_segment_t *seg,
    const kong_value_t *groups);
static ngx_int_t acl_headers(ngx_http_request_t *r, acl_conf_t *conf,
    const kong_segment_t *seg, const kong_value_t *groups);
static int acl_compare(const void *one, const void *two);


const ngx_kong_plugin_t  ngx_kong_acl = {
    .name = ngx_string("acl"),
    .prepare = acl_prepare,
    .access = acl_access
};


static void *
acl_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool)
{
    acl_conf_t          *conf;
    const kong_value_t  *list;

    conf = ngx_pcalloc(pool, sizeof(acl_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    list = ngx_kong_conf_get(in, "allow");

    if (list == NULL) {
        list = ngx_kong_conf_get(in, "deny");
        conf->deny = 1;
    }

    if (list == NULL || list->kind != KONG_VALUE_ARRAY) {
        return NULL;
    }

    conf->groups = ngx_kong_conf_strs(in, conf->deny ? "deny" : "allow", pool,
                                      &conf->n_groups);

    if (conf->n_groups != list->n) {
        return NULL;
    }

    if (conf->n_groups != 0) {
        qsort(conf->groups, conf->n_groups, sizeof(ngx_str_t), acl_compare);
    }

    conf->hide = ngx_kong_conf_flag(in, "hide_groups_header");

    return conf;
}


static ngx_int_t
acl_access(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    ngx_uint_t             matches;
    acl_conf_t            *conf;
    ngx_http_kong_ctx_t   *ctx;
    const kong_value_t    *groups;
    const kong_segment_t  *seg;
    const kong_consumer_t *consumer;

    static const char  forbidden[] = "You cannot consume this service";

    conf = run->instance->conf;
    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);
    seg = &ctx->generation->config->seg;

    if (ctx->consumer == KONG_NONE) {
        if (ctx->authenticated) {
            return ngx_kong_exit_error(r, NGX_HTTP_FORBIDDEN, forbidden);
        }

        return ngx_kong_exit_error(r, NGX_HTTP_UNAUTHORIZED, "Unauthorized");
    }

    consumer = kong_consumer(seg, ctx->consumer);
    groups = consumer->groups != KONG_NONE ? kong_value(seg, consumer->groups)
                                           : NULL;

    matches = groups != NULL && acl_matches(conf, seg, groups);

    if (matches == conf->deny) {
        return ngx_kong_exit_error(r, NGX_HTTP_FORBIDDEN, forbidden);
    }

    return acl_headers(r, conf, seg, groups);
}


/* is one of the consumer's groups listed? */
static ngx_uint_t
acl_matches(acl_conf_t *conf, const kong_segment_t *seg,
    const kong_value_t *groups)
{
    uint32_t             i;
    ngx_str_t            name;
    kong_str_t           s;
    const kong_value_t  *item;

    if (conf->n_groups == 0) {
        return 0;
    }

    item = kong_value_items(seg, groups);

    for (i = 0; i < groups->n; i++) {
        s = kong_value_str(seg, &item[i]);
        name.data = (u_char *) s.data;
        name.len = s.len;

        if (bsearch(&name, conf->groups, conf->n_groups, sizeof(ngx_str_t),
                    acl_compare)
            != NULL)
        {
            return 1;
        }
    }

    return 0;
}


/* a consumer without groups passes with an empty header, as in Kong */
static ngx_int_t
acl_headers(ngx_http_request_t *r, acl_conf_t *conf,
    const kong_segment_t *seg, const kong_value_t *groups)
{
    static ngx_str_t  header = ngx_string("X-Consumer-Groups");

    u_char              *p;
    size_t               len;
    uint32_t             i, n;
    ngx_str_t            value;
    kong_str_t           s;
    const kong_value_t  *item;

    ngx_kong_header_in_clear(r, "x-consumer-groups",
                             sizeof("x-consumer-groups") - 1);
    ngx_kong_header_in_clear(r, "x-authenticated-groups",
                             sizeof("x-authenticated-groups") - 1);

    if (conf->hide) {
        return NGX_OK;
    }

    n = groups ? groups->n : 0;
    item = groups ? kong_value_items(seg, groups) : NULL;
    len = 0;

    for (i = 0; i < n; i++) {
        len += kong_value_str(seg, &item[i]).len + 2;
    }

    p = ngx_pnalloc(r->pool, len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value.data = p;

    for (i = 0; i < n; i++) {
        if (i != 0) {
            *p++ = ',';
            *p++ = ' ';
        }

        s = kong_value_str(seg, &item[i]);
        p = ngx_cpymem(p, s.data, s.len);
    }

    value.len = p - value.data;

    return ngx_kong_header_in_add(r, &header, &value);
}


static int
acl_compare(const void *one, const void *two)
{
    const ngx_str_t  *a = one;
    const ngx_str_t  *b = two;

    if (a->len != b->len) {
        return a->len < b->len ? -1 : 1;
    }

    return ngx_memcmp(a->data, b->data, a->len);
}
