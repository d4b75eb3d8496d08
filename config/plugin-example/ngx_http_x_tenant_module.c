/*
 * x-tenant: a plugin in a module of its own.  The host's first label is the
 * tenant: it goes to the upstream in a header, and those who are not allowed
 * are refused.  Built, loaded and described in docs/writing-a-plugin.md.
 */

#include <plugins/ngx_kong_plugin.h>


typedef struct {
    ngx_str_t    header;
    ngx_str_t   *allow;
    ngx_uint_t   n_allow;
    ngx_str_t   *deny;
    ngx_uint_t   n_deny;
    ngx_uint_t   status;
} x_tenant_conf_t;


static ngx_int_t x_tenant_init(ngx_conf_t *cf);
static void *x_tenant_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool);
static ngx_int_t x_tenant_access(ngx_http_request_t *r, ngx_kong_run_t *run);
static ngx_uint_t x_tenant_is_in(ngx_str_t *list, ngx_uint_t n,
    ngx_str_t *tenant);
static ngx_int_t x_tenant_header_filter(ngx_http_request_t *r,
    ngx_kong_run_t *run);


static const ngx_kong_plugin_t  x_tenant_plugin = {
    .name = ngx_string("x-tenant"),
    .prepare = x_tenant_prepare,
    .access = x_tenant_access,
    .header_filter = x_tenant_header_filter
};


static ngx_http_module_t  ngx_http_x_tenant_module_ctx = {
    x_tenant_init,                         /* preconfiguration */
    NULL,                                  /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    NULL,                                  /* create location configuration */
    NULL                                   /* merge location configuration */
};


ngx_module_t  ngx_http_x_tenant_module = {
    NGX_MODULE_V1,
    &ngx_http_x_tenant_module_ctx,         /* module context */
    NULL,                                  /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
x_tenant_init(ngx_conf_t *cf)
{
    return ngx_kong_plugin_add(cf, &x_tenant_plugin);
}


static void *
x_tenant_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool)
{
    x_tenant_conf_t  *conf;

    conf = ngx_pcalloc(pool, sizeof(x_tenant_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    conf->header = ngx_kong_conf_str(in, "header");
    conf->allow = ngx_kong_conf_lower(in, "allow", pool, &conf->n_allow);
    conf->deny = ngx_kong_conf_lower(in, "deny", pool, &conf->n_deny);
    conf->status = (ngx_uint_t) ngx_kong_conf_num(in, "status", 403);

    return conf;
}


static ngx_int_t
x_tenant_access(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    u_char           *dot;
    ngx_str_t         tenant;
    x_tenant_conf_t  *conf;

    conf = run->instance->conf;
    tenant = r->headers_in.server;
    dot = ngx_strlchr(tenant.data, tenant.data + tenant.len, '.');

    if (dot != NULL) {
        tenant.len = dot - tenant.data;
    }

    if (x_tenant_is_in(conf->deny, conf->n_deny, &tenant)
        || (conf->n_allow != 0
            && !x_tenant_is_in(conf->allow, conf->n_allow, &tenant)))
    {
        return ngx_kong_exit_error(r, conf->status, "Unknown tenant");
    }

    return ngx_kong_header_in_set(r, &conf->header, &tenant);
}


/* nginx has the host in lower case already */
static ngx_uint_t
x_tenant_is_in(ngx_str_t *list, ngx_uint_t n, ngx_str_t *tenant)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        if (list[i].len == tenant->len
            && ngx_memcmp(list[i].data, tenant->data, tenant->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
x_tenant_header_filter(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    static ngx_str_t  name = ngx_string("Vary");
    static ngx_str_t  value = ngx_string("Host");

    (void) run;

    return ngx_kong_header_out_add(r, &name, &value);
}
