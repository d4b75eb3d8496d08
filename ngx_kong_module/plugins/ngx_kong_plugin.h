/*
 * The plugin runtime: what a plugin is, and what it may call.  One file a
 * plugin beside this one, one entry in the registry; docs/writing-a-plugin.md
 * has a worked example.
 *
 * For every request the compiler has prepared a chain in Kong's order.  The
 * runtime chooses the instance of each slot at its turn (the consumer that an
 * earlier plugin found decides) and calls it.  A route without plugins costs
 * one test.
 */

#ifndef NGX_KONG_PLUGIN_H
#define NGX_KONG_PLUGIN_H

#include "../ngx_http_kong.h"
#include "../snapshot/kong_plugin.h"


typedef struct ngx_kong_plugin_s    ngx_kong_plugin_t;
typedef struct ngx_kong_instance_s  ngx_kong_instance_t;

/* an instance as this worker has prepared it; lives as long as its map */
struct ngx_kong_instance_s {
    const ngx_kong_plugin_t  *plugin;
    const kong_plugin_t      *record;
    const kong_value_t       *config;
    ngx_kong_map_t           *map;
    void                     *conf;      /* what prepare() made */
};

/* a slot of the chain in one request */
struct ngx_kong_run_s {
    ngx_kong_instance_t      *instance;  /* NULL: nothing applies */
    void                     *state;     /* the plugin's own, from r->pool */
};

struct ngx_kong_plugin_s {
    ngx_str_t    name;                   /* Kong's spelling, not empty */

    /*
     * Turns the configuration into what the handlers want, once a worker and
     * generation, when first used.  Returns it (pool memory), or NULL when it
     * cannot: requests in its scope are then answered with 500.
     */
    void      *(*prepare)(ngx_kong_instance_t *in, ngx_pool_t *pool);

    /*
     * NGX_OK: go on.  NGX_DONE: the answer is set (ngx_kong_exit...), later
     * plugins are skipped.  NGX_AGAIN: suspended; the handler is called again
     * once something runs the request's phases.  NGX_ERROR: 500.
     */
    ngx_int_t  (*access)(ngx_http_request_t *r, ngx_kong_run_t *run);

    /* before the headers are sent; NGX_OK or NGX_ERROR */
    ngx_int_t  (*header_filter)(ngx_http_request_t *r, ngx_kong_run_t *run);

    /* may replace *in; NGX_OK or NGX_ERROR */
    ngx_int_t  (*body_filter)(ngx_http_request_t *r, ngx_kong_run_t *run,
                              ngx_chain_t **in);

    void       (*log)(ngx_http_request_t *r, ngx_kong_run_t *run);
};


/* ngx_kong_registry.c: NULL-ended */
extern const ngx_kong_plugin_t *const  ngx_kong_plugins[];


/*
 * What another module's plugin was built against.  The number grows when
 * something here changes its meaning and not its size.
 */
#define NGX_KONG_INTERFACE  1

typedef struct {
    uint32_t  size;                      /* of this */
    uint32_t  interface;
    uint32_t  segment;
    uint32_t  plugin;
    uint32_t  instance;
    uint32_t  run;
    uint32_t  ctx;
    uint32_t  map;
    uint32_t  main_conf;
} ngx_kong_abi_t;

#define NGX_KONG_ABI                                                          \
    { sizeof(ngx_kong_abi_t), NGX_KONG_INTERFACE, KONG_SEGMENT_VERSION,       \
      sizeof(ngx_kong_plugin_t), sizeof(ngx_kong_instance_t),                 \
      sizeof(ngx_kong_run_t), sizeof(ngx_http_kong_ctx_t),                    \
      sizeof(ngx_kong_map_t), sizeof(ngx_http_kong_main_conf_t) }

/* through ngx_kong_plugin_add() */
ngx_int_t ngx_kong_plugin_register(ngx_conf_t *cf,
    const ngx_kong_plugin_t *plugin, const ngx_kong_abi_t *abi);

/*
 * A plugin of another module, from that module's preconfiguration handler:
 * loaded with load_module after this one.  Holds for the cycle that is being
 * configured.  NGX_OK, or NGX_ERROR when it was built against other headers
 * or its name is taken (the log says so): return it.
 */
static ngx_inline ngx_int_t
ngx_kong_plugin_add(ngx_conf_t *cf, const ngx_kong_plugin_t *plugin)
{
    static const ngx_kong_abi_t  abi = NGX_KONG_ABI;

    return ngx_kong_plugin_register(cf, plugin, &abi);
}


/* runtime, called by the phases */

/* NGX_OK, or as the access handler returns */
ngx_int_t ngx_kong_plugins_access(ngx_http_request_t *r,
    ngx_http_kong_ctx_t *ctx);
/* for a request that no route matched: what is global still sees the answer */
ngx_int_t ngx_kong_plugins_global(ngx_http_request_t *r,
    ngx_http_kong_ctx_t *ctx);
ngx_int_t ngx_kong_plugins_header_filter(ngx_http_request_t *r,
    ngx_http_kong_ctx_t *ctx);
ngx_int_t ngx_kong_plugins_body_filter(ngx_http_request_t *r,
    ngx_http_kong_ctx_t *ctx, ngx_chain_t **in);
ngx_int_t ngx_kong_plugins_log_handler(ngx_http_request_t *r);
/* the publishing worker: does this module know every plugin of the map? */
ngx_int_t ngx_kong_plugins_check(ngx_kong_map_t *map, ngx_str_t *err,
    ngx_log_t *log);


/* for prepare(): configuration by dotted name; absent is NULL, 0 or empty */

ngx_str_t ngx_kong_conf_str(ngx_kong_instance_t *in, const char *name);
ngx_flag_t ngx_kong_conf_flag(ngx_kong_instance_t *in, const char *name);
/* `missing` when it is null */
double ngx_kong_conf_num(ngx_kong_instance_t *in, const char *name,
    double missing);
const kong_value_t *ngx_kong_conf_get(ngx_kong_instance_t *in,
    const char *name);
/* an array of strings as ngx_str_t[]; *n is 0 when it is null or empty */
ngx_str_t *ngx_kong_conf_strs(ngx_kong_instance_t *in, const char *name,
    ngx_pool_t *pool, ngx_uint_t *n);
/* the same, copied in lower case: names of headers */
ngx_str_t *ngx_kong_conf_lower(ngx_kong_instance_t *in, const char *name,
    ngx_pool_t *pool, ngx_uint_t *n);
/* of a string value */
ngx_str_t ngx_kong_value_text(ngx_kong_instance_t *in, const kong_value_t *v);


/* answers; each returns NGX_DONE (NGX_ERROR when out of memory) */

/* body and type are not copied; type NULL with an empty body sends none */
ngx_int_t ngx_kong_exit(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, ngx_str_t *body);
/* {"message":"<text>"}, JSON whatever the client accepts */
ngx_int_t ngx_kong_exit_message(ngx_http_request_t *r, ngx_uint_t status,
    const char *text);
/* Kong's error body, in the type that the client accepts */
ngx_int_t ngx_kong_exit_error(ngx_http_request_t *r, ngx_uint_t status,
    const char *text);
/* sends what an exit has set: http/ngx_http_kong_access.c */
ngx_int_t ngx_kong_exit_send(ngx_http_request_t *r, ngx_http_kong_ctx_t *ctx);


/* bytes of the map as %XX; *escaped is *text when there is none */
ngx_int_t ngx_kong_escape(ngx_pool_t *pool, ngx_str_t *text,
    const uint32_t *map, ngx_str_t *escaped);
extern const uint32_t  ngx_kong_unsafe_value[];
extern const uint32_t  ngx_kong_unsafe_name[];


/* the request's headers, as the upstream and later plugins will see them.
 * `lower` is the name in lower case.  What cannot stand in a header that is
 * added or set goes there as %XX */

ngx_table_elt_t *ngx_kong_header_in(ngx_http_request_t *r, const char *lower,
    size_t len);
/* how many there are */
ngx_uint_t ngx_kong_header_in_count(ngx_http_request_t *r, const char *lower,
    size_t len);
void ngx_kong_header_in_clear(ngx_http_request_t *r, const char *lower,
    size_t len);
ngx_int_t ngx_kong_header_in_add(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value);
/* clear and add; name in any case.  Neither is copied unless it must be
 * escaped */
ngx_int_t ngx_kong_header_in_set(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value);

/* the first of that name, in any of the Cookie headers; NGX_DECLINED when
 * there is none.  The value is not copied */
ngx_int_t ngx_kong_cookie(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value);

/* the answer's headers: Content-Type, Content-Length, Location, Server ...
 * are kept in step with nginx's own idea of them */
ngx_table_elt_t *ngx_kong_header_out(ngx_http_request_t *r, const char *name,
    size_t len);
void ngx_kong_header_out_clear(ngx_http_request_t *r, const char *name,
    size_t len);
ngx_int_t ngx_kong_header_out_add(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value);
ngx_int_t ngx_kong_header_out_set(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value);


/* the query string as it will be sent: ctx->args */

/* the nth value of an argument, unescaped into r->pool; NGX_DECLINED when
 * there is none */
ngx_int_t ngx_kong_arg(ngx_http_request_t *r, ngx_str_t *name, ngx_uint_t nth,
    ngx_str_t *value);
/* removes all of that name */
ngx_int_t ngx_kong_arg_clear(ngx_http_request_t *r, ngx_str_t *name);


/*
 * The whole request body, read first: NGX_OK with *body (in memory, files
 * are read back, up to `limit` bytes: NGX_DECLINED beyond), NGX_AGAIN when the
 * handler must return and will be called again, NGX_DONE when an answer has
 * been made, or NGX_ERROR.
 */
ngx_int_t ngx_kong_body(ngx_http_request_t *r, size_t limit, ngx_str_t *body);
/* replaces it; the Content-Length header follows */
ngx_int_t ngx_kong_body_set(ngx_http_request_t *r, ngx_str_t *body);


/*
 * For an access handler that waits for something: NGX_AGAIN, for it to return,
 * or NGX_ERROR; then what is waited for must not come.  A client that goes
 * away ends the request meanwhile: a cleanup of the request's has to see to
 * the same.
 */
ngx_int_t ngx_kong_suspend(ngx_http_request_t *r);
/* the handler is called again.  From an event that is not the request's; `r`
 * may be gone afterwards */
void ngx_kong_resume(ngx_http_request_t *r);


/* the largest body that a plugin looks into */
#define NGX_KONG_BODY_MAX  (8 * 1024 * 1024)

/* an argument in a body of a known type (urlencoded, JSON, multipart), and
 * out of it; NGX_DECLINED when it is not there */
ngx_int_t ngx_kong_body_arg(ngx_http_request_t *r, ngx_str_t *body,
    ngx_str_t *name, ngx_str_t *value);
ngx_int_t ngx_kong_body_arg_clear(ngx_http_request_t *r, ngx_str_t *name);
/* the same as ngx_kong_body_arg(); NGX_ABORT when it is not one text: given
 * twice, a list, an object */
ngx_int_t ngx_kong_body_plain(ngx_http_request_t *r, ngx_str_t *body,
    ngx_str_t *name, ngx_str_t *value);

/* in an urlencoded string */
ngx_int_t ngx_kong_form_get(ngx_pool_t *pool, ngx_str_t *args,
    ngx_str_t *name, ngx_uint_t nth, ngx_str_t *value);
ngx_int_t ngx_kong_form_clear(ngx_pool_t *pool, ngx_str_t *args,
    ngx_str_t *name, ngx_str_t *out);


/*
 * Authentication.  `consumer` is an index or KONG_NONE, credential may be
 * NULL.  Sets the consumer headers for the upstream; `identifier` is
 * X-Credential-Identifier, NULL for the credential's id.
 */
ngx_int_t ngx_kong_authenticate(ngx_http_request_t *r, uint32_t consumer,
    const kong_credential_t *credential, ngx_str_t *identifier);
/* by its key, unless it has expired; NULL when there is none */
const kong_credential_t *ngx_kong_credential(ngx_http_request_t *r,
    kong_credential_kind_t kind, ngx_str_t *key);
/* for prepare(): "<scheme>" or "<scheme> realm=\"<config.realm>\"" */
ngx_int_t ngx_kong_challenge(ngx_kong_instance_t *in, ngx_pool_t *pool,
    const char *scheme, ngx_str_t *challenge);
/* the failure of an authentication plugin with config.anonymous: NGX_OK to go
 * on as that consumer, NGX_DECLINED when the plugin must refuse */
ngx_int_t ngx_kong_anonymous(ngx_http_request_t *r, ngx_kong_run_t *run);
/* the same, and the refusal: 401 with WWW-Authenticate and Kong's error body.
 * Returns as an access handler; `message` is not copied */
ngx_int_t ngx_kong_unauthorized(ngx_http_request_t *r, ngx_kong_run_t *run,
    ngx_str_t *challenge, const char *message);
/* config.anonymous is set and an earlier plugin has authenticated already */
ngx_uint_t ngx_kong_authenticated(ngx_http_request_t *r, ngx_kong_run_t *run);

#endif
