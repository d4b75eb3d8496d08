/*
 * Running the chain.  The order and the rules of early answers are Kong's:
 * when a plugin answers, the remaining slots still choose their instances, so
 * that their header filters and logs see the answer; only then it is sent.
 * What other modules have registered is found beside our own plugins.
 */

#include "ngx_kong_plugin.h"


#define NGX_KONG_NAME_MAX  128


static ngx_int_t ngx_kong_plugins_begin(ngx_http_request_t *r,
    ngx_http_kong_ctx_t *ctx, const kong_chain_t *chain);
static ngx_int_t ngx_kong_plugins_choose(ngx_http_request_t *r,
    ngx_http_kong_ctx_t *ctx, const kong_slot_t *slot, ngx_kong_run_t *run);
static size_t ngx_kong_plugin_name(kong_str_t name);
static ngx_kong_instance_t *ngx_kong_instance(ngx_kong_map_t *map, uint32_t i,
    ngx_log_t *log);
static const ngx_kong_plugin_t *ngx_kong_plugin_find(ngx_array_t *others,
    const char *name, size_t len);


static inline const kong_slot_t *
ngx_kong_slots(const kong_chain_t *chain)
{
    return (const kong_slot_t *) (chain + 1);
}


ngx_int_t
ngx_kong_plugins_access(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx)
{
    ngx_int_t            rc;
    ngx_kong_run_t      *run;
    const kong_chain_t  *chain;

    chain = kong_chain(&ctx->generation->config->seg, ctx->route->plugins);

    if (chain == NULL) {
        return NGX_OK;
    }

    if (ctx->runs == NULL && ngx_kong_plugins_begin(r, ctx, chain) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    while (ctx->next_run < ctx->n_runs) {

        run = &ctx->runs[ctx->next_run];

        if (run->instance == NULL
            && ngx_kong_plugins_choose(r, ctx,
                                       &ngx_kong_slots(chain)[ctx->next_run],
                                       run)
               != NGX_OK)
        {
            rc = ngx_kong_exit_error(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                     "An unexpected error occurred");

        } else if (run->instance == NULL || ctx->exit != NULL
                   || run->instance->plugin->access == NULL)
        {
            rc = NGX_OK;

        } else {
            rc = run->instance->plugin->access(r, run);
        }

        if (rc == NGX_AGAIN) {
            return NGX_DONE;
        }

        if (rc == NGX_ERROR
            && ngx_kong_exit_error(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                   "An unexpected error occurred")
               == NGX_ERROR)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        ctx->next_run++;
    }

    if (ctx->exit != NULL) {
        return ngx_kong_exit_send(r, ctx);
    }

    return NGX_OK;
}


ngx_int_t
ngx_kong_plugins_global(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx)
{
    ngx_uint_t           i;
    const kong_chain_t  *chain;

    if (ctx->generation == NULL || ctx->runs != NULL) {
        return NGX_OK;
    }

    chain = kong_chain(&ctx->generation->config->seg, KONG_NONE);

    if (chain == NULL) {
        return NGX_OK;
    }

    if (ngx_kong_plugins_begin(r, ctx, chain) != NGX_OK) {
        return NGX_ERROR;
    }

    for (i = 0; i < ctx->n_runs; i++) {
        (void) ngx_kong_plugins_choose(r, ctx, &ngx_kong_slots(chain)[i],
                                       &ctx->runs[i]);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_kong_plugins_begin(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx,
    const kong_chain_t *chain)
{
    ctx->runs = ngx_pcalloc(r->pool, chain->n * sizeof(ngx_kong_run_t));
    if (ctx->runs == NULL) {
        return NGX_ERROR;
    }

    ctx->n_runs = chain->n;

    return NGX_OK;
}


/* the slot's instance, at its turn: leaves NULL when nothing applies */
static ngx_int_t
ngx_kong_plugins_choose(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx,
    const kong_slot_t *slot, ngx_kong_run_t *run)
{
    uint32_t                  i, route, service;
    ngx_kong_map_t           *map;
    ngx_kong_instance_t      *in;
    const kong_segment_t     *seg;
    const ngx_kong_plugin_t  *plugin;

    map = ctx->generation->config;
    seg = &map->seg;

    route = ctx->route ? (uint32_t) (ctx->route - seg->routes) : KONG_NONE;
    service = ctx->service ? (uint32_t) (ctx->service - seg->services)
                           : KONG_NONE;

    i = kong_slot_plugin(seg, slot, route, service, ctx->consumer);

    if (i == KONG_NONE) {
        return NGX_OK;
    }

    in = ngx_kong_instance(map, i, r->connection->log);
    if (in == NULL) {
        return NGX_ERROR;
    }

    run->instance = in;
    plugin = in->plugin;

    ctx->has_header_filter |= (plugin->header_filter != NULL);
    ctx->has_body_filter |= (plugin->body_filter != NULL);
    ctx->has_log |= (plugin->log != NULL);

    return NGX_OK;
}


static ngx_kong_instance_t *
ngx_kong_instance(ngx_kong_map_t *map, uint32_t i, ngx_log_t *log)
{
    char                  id[37];
    kong_str_t            name;
    ngx_kong_instance_t  *in;

    if (map->instances == NULL) {
        map->instances = ngx_pcalloc(map->pool,
                                     map->seg.sections[KONG_SECTION_PLUGINS].n
                                     * sizeof(ngx_kong_instance_t *));
        if (map->instances == NULL) {
            return NULL;
        }
    }

    if (map->instances[i] != NULL) {
        return map->instances[i];
    }

    in = ngx_pcalloc(map->pool, sizeof(ngx_kong_instance_t));
    if (in == NULL) {
        return NULL;
    }

    in->map = map;
    in->record = kong_plugin(&map->seg, i);
    in->config = kong_value(&map->seg, in->record->config);

    name = kong_segment_str(&map->seg,
                            kong_plugin_type(&map->seg, in->record->type)
                            ->name);
    in->plugin = ngx_kong_plugin_find(map->plugins, name.data, name.len);

    if (in->plugin == NULL) {
        kong_uuid_text(in->record->id, id);
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "no loaded module has the plugin \"%s\" (%s): requests "
                      "in its scope are refused", name.data, id);
        return NULL;
    }

    if (in->plugin->prepare != NULL) {
        in->conf = in->plugin->prepare(in, map->pool);

        if (in->conf == NULL) {
            kong_uuid_text(in->record->id, id);
            ngx_log_error(NGX_LOG_ERR, log, 0,
                          "plugin \"%s\" (%s) could not be prepared: requests "
                          "in its scope are refused", name.data, id);
            return NULL;
        }
    }

    map->instances[i] = in;

    return in;
}


static const ngx_kong_plugin_t *
ngx_kong_plugin_find(ngx_array_t *others, const char *name, size_t len)
{
    ngx_uint_t                       i;
    const ngx_kong_plugin_t *const  *p;

    for (p = ngx_kong_plugins; *p != NULL; p++) {
        if ((*p)->name.len == len
            && ngx_memcmp((*p)->name.data, name, len) == 0)
        {
            return *p;
        }
    }

    if (others == NULL) {
        return NULL;
    }

    p = others->elts;

    for (i = 0; i < others->nelts; i++) {
        if (p[i]->name.len == len
            && ngx_memcmp(p[i]->name.data, name, len) == 0)
        {
            return p[i];
        }
    }

    return NULL;
}


ngx_int_t
ngx_kong_plugin_register(ngx_conf_t *cf, const ngx_kong_plugin_t *plugin,
    const ngx_kong_abi_t *abi)
{
    const ngx_kong_plugin_t   **p;
    ngx_http_kong_main_conf_t  *mcf;

    static const ngx_kong_abi_t  ours = NGX_KONG_ABI;

    if (abi->size != ours.size || ngx_memcmp(abi, &ours, ours.size) != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "a plugin was built for another "
                           "ngx_http_kong_module (interface %uD, this one "
                           "has %uD): build it with this one's headers",
                           abi->interface, ours.interface);
        return NGX_ERROR;
    }

    if (plugin->name.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "a plugin has no name");
        return NGX_ERROR;
    }

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_kong_module);

    if (ngx_kong_plugin_find(mcf->plugins, (const char *) plugin->name.data,
                             plugin->name.len)
        != NULL)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "a plugin cannot be named \"%V\": there is one of "
                           "that name", &plugin->name);
        return NGX_ERROR;
    }

    if (mcf->plugins == NULL) {
        mcf->plugins = ngx_array_create(cf->pool, 4, sizeof(void *));
        if (mcf->plugins == NULL) {
            return NGX_ERROR;
        }
    }

    p = ngx_array_push(mcf->plugins);
    if (p == NULL) {
        return NGX_ERROR;
    }

    *p = plugin;

    return NGX_OK;
}


/* as much of a name from a segment as may stand in a JSON string */
static size_t
ngx_kong_plugin_name(kong_str_t name)
{
    size_t  n;

    for (n = 0; n < name.len && n < NGX_KONG_NAME_MAX; n++) {
        if (name.data[n] < ' ' || name.data[n] > '~' || name.data[n] == '"'
            || name.data[n] == '\\')
        {
            break;
        }
    }

    return n;
}


ngx_int_t
ngx_kong_plugins_check(ngx_kong_map_t *map, ngx_str_t *err, ngx_log_t *log)
{
    uint32_t    i;
    kong_str_t  name;

    /* read by the caller before anything else runs in this worker */
    static u_char  text[NGX_KONG_NAME_MAX + 64];

    for (i = 0; i < map->seg.sections[KONG_SECTION_PLUGIN_TYPES].n; i++) {

        name = kong_segment_str(&map->seg,
                                kong_plugin_type(&map->seg, i)->name);

        if (ngx_kong_plugin_find(map->plugins, name.data, name.len) != NULL) {
            continue;
        }

        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "no loaded module has the plugin \"%s\"", name.data);

        err->data = text;
        err->len = ngx_snprintf(text, sizeof(text),
                                "no loaded module has the plugin '%*s'",
                                ngx_kong_plugin_name(name), name.data)
                   - text;

        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_kong_plugins_header_filter(ngx_http_request_t *r,
    ngx_http_kong_ctx_t *ctx)
{
    ngx_uint_t       i;
    ngx_kong_run_t  *run;

    for (i = 0; i < ctx->n_runs; i++) {
        run = &ctx->runs[i];

        if (run->instance != NULL
            && run->instance->plugin->header_filter != NULL
            && run->instance->plugin->header_filter(r, run) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_kong_plugins_body_filter(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx,
    ngx_chain_t **in)
{
    ngx_uint_t       i;
    ngx_kong_run_t  *run;

    for (i = 0; i < ctx->n_runs; i++) {
        run = &ctx->runs[i];

        if (run->instance != NULL
            && run->instance->plugin->body_filter != NULL
            && run->instance->plugin->body_filter(r, run, in) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_kong_plugins_log_handler(ngx_http_request_t *r)
{
    ngx_uint_t            i;
    ngx_kong_run_t       *run;
    ngx_http_kong_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    if (ctx == NULL && r->internal) {
        ctx = ngx_http_kong_get_ctx(r);
    }

    if (ctx == NULL || !ctx->has_log) {
        return NGX_OK;
    }

    for (i = 0; i < ctx->n_runs; i++) {
        run = &ctx->runs[i];

        if (run->instance != NULL && run->instance->plugin->log != NULL) {
            run->instance->plugin->log(r, run);
        }
    }

    return NGX_OK;
}


ngx_str_t
ngx_kong_value_text(ngx_kong_instance_t *in, const kong_value_t *v)
{
    ngx_str_t   text = ngx_null_string;
    kong_str_t  s;

    if (v != NULL && v->kind == KONG_VALUE_STRING) {
        s = kong_value_str(&in->map->seg, v);
        text.data = (u_char *) s.data;
        text.len = s.len;
    }

    return text;
}


const kong_value_t *
ngx_kong_conf_get(ngx_kong_instance_t *in, const char *name)
{
    return kong_value_path(&in->map->seg, in->config, name);
}


ngx_str_t
ngx_kong_conf_str(ngx_kong_instance_t *in, const char *name)
{
    return ngx_kong_value_text(in, ngx_kong_conf_get(in, name));
}


ngx_flag_t
ngx_kong_conf_flag(ngx_kong_instance_t *in, const char *name)
{
    const kong_value_t  *v;

    v = ngx_kong_conf_get(in, name);

    return v != NULL && v->kind == KONG_VALUE_BOOL && v->n == 1;
}


double
ngx_kong_conf_num(ngx_kong_instance_t *in, const char *name, double missing)
{
    const kong_value_t  *v;

    v = ngx_kong_conf_get(in, name);

    return (v != NULL && v->kind == KONG_VALUE_NUMBER) ? v->u.number : missing;
}


ngx_str_t *
ngx_kong_conf_strs(ngx_kong_instance_t *in, const char *name,
    ngx_pool_t *pool, ngx_uint_t *n)
{
    uint32_t             i;
    ngx_str_t           *list;
    const kong_value_t  *v, *item;

    *n = 0;
    v = ngx_kong_conf_get(in, name);

    if (v == NULL || v->kind != KONG_VALUE_ARRAY || v->n == 0) {
        return NULL;
    }

    list = ngx_palloc(pool, v->n * sizeof(ngx_str_t));
    if (list == NULL) {
        return NULL;
    }

    item = kong_value_items(&in->map->seg, v);

    for (i = 0; i < v->n; i++) {
        list[i] = ngx_kong_value_text(in, &item[i]);
    }

    *n = v->n;

    return list;
}


ngx_str_t *
ngx_kong_conf_lower(ngx_kong_instance_t *in, const char *name,
    ngx_pool_t *pool, ngx_uint_t *n)
{
    u_char      *p;
    ngx_str_t   *list;
    ngx_uint_t   i;

    list = ngx_kong_conf_strs(in, name, pool, n);

    for (i = 0; i < *n; i++) {
        p = ngx_pnalloc(pool, list[i].len + 1);
        if (p == NULL) {
            *n = 0;
            return NULL;
        }

        ngx_strlow(p, list[i].data, list[i].len);
        list[i].data = p;
    }

    return list;
}
