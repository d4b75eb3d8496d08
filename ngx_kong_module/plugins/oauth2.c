/*
 * oauth2: access with bearer tokens that are in the configuration.
 *
 * Issuing tokens needs writes, which this node's workers do not do: the
 * token and authorization endpoints refuse what Kong refuses of any client,
 * and else answer as Kong does without a database.
 */

#include "ngx_kong_plugin.h"


typedef struct {
    ngx_str_t    header;                 /* in lower case */
    ngx_str_t    missing;                /* WWW-Authenticate */
    ngx_str_t    invalid;
    unsigned     hide:1;
    unsigned     global:1;
    unsigned     terminated:1;
} oauth2_conf_t;

typedef enum {
    OAUTH2_NOWHERE = 0,
    OAUTH2_HEADER,
    OAUTH2_QUERY,
    OAUTH2_BODY
} oauth2_place_t;


static void *oauth2_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool);
static ngx_int_t oauth2_access(ngx_http_request_t *r, ngx_kong_run_t *run);
static const char *oauth2_endpoint(ngx_str_t *path);
static ngx_int_t oauth2_endpoint_answer(ngx_http_request_t *r,
    oauth2_conf_t *conf, const char *endpoint);
static ngx_uint_t oauth2_is_https(ngx_http_request_t *r,
    oauth2_conf_t *conf);
static ngx_int_t oauth2_check(ngx_http_request_t *r, oauth2_conf_t *conf,
    ngx_uint_t *missing);
static ngx_int_t oauth2_find(ngx_http_request_t *r, oauth2_conf_t *conf,
    ngx_str_t *token, oauth2_place_t *place);
static ngx_uint_t oauth2_bearer(ngx_str_t *value, ngx_str_t *token);
static ngx_int_t oauth2_hide(ngx_http_request_t *r, oauth2_conf_t *conf,
    oauth2_place_t place);
static const kong_credential_t *oauth2_credential(ngx_http_request_t *r,
    oauth2_conf_t *conf, ngx_str_t *token, const kong_value_t **entity);
static ngx_uint_t oauth2_is_ours(ngx_http_request_t *r, oauth2_conf_t *conf,
    const kong_value_t *entity);
static ngx_uint_t oauth2_is_expired(const kong_segment_t *seg,
    const kong_value_t *entity);
static ngx_int_t oauth2_headers(ngx_http_request_t *r,
    const kong_value_t *entity);
static ngx_int_t oauth2_set(ngx_http_request_t *r, ngx_str_t *name,
    const kong_value_t *v);
static ngx_int_t oauth2_error(ngx_http_request_t *r, ngx_uint_t status,
    const char *error, const char *description);


const ngx_kong_plugin_t  ngx_kong_oauth2 = {
    .name = ngx_string("oauth2"),
    .prepare = oauth2_prepare,
    .access = oauth2_access
};

static ngx_str_t  oauth2_argument = ngx_string("access_token");

static const char  oauth2_missing[] = "The access token is missing";
static const char  oauth2_invalid[] =
    "The access token is invalid or has expired";


static void *
oauth2_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool)
{
    u_char         *p;
    ngx_str_t       name;
    oauth2_conf_t  *conf;

    static const char  error[] = "%V error=\"invalid_token\" "
                                 "error_description=\"%s\"";

    conf = ngx_pcalloc(pool, sizeof(oauth2_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    name = ngx_kong_conf_str(in, "auth_header_name");

    if (name.len == 0) {
        ngx_str_set(&name, "authorization");
    }

    conf->header.len = name.len;
    conf->header.data = ngx_pnalloc(pool, name.len);

    if (conf->header.data == NULL
        || ngx_kong_challenge(in, pool, "Bearer", &conf->missing) != NGX_OK)
    {
        return NULL;
    }

    ngx_strlow(conf->header.data, name.data, name.len);

    p = ngx_pnalloc(pool, conf->missing.len + sizeof(error)
                          + sizeof(oauth2_invalid));
    if (p == NULL) {
        return NULL;
    }

    conf->invalid.data = p;
    conf->invalid.len = ngx_sprintf(p, error, &conf->missing, oauth2_invalid)
                        - p;

    conf->hide = ngx_kong_conf_flag(in, "hide_credentials");
    conf->global = ngx_kong_conf_flag(in, "global_credentials");
    conf->terminated = ngx_kong_conf_flag(in,
                                          "accept_http_if_already_terminated");

    return conf;
}


static ngx_int_t
oauth2_access(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    static ngx_str_t  header = ngx_string("WWW-Authenticate");

    ngx_int_t             rc;
    ngx_uint_t            missing;
    const char           *endpoint;
    oauth2_conf_t        *conf;
    ngx_http_kong_ctx_t  *ctx;

    conf = run->instance->conf;
    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    endpoint = oauth2_endpoint(&ctx->path);

    if (endpoint != NULL) {
        return oauth2_endpoint_answer(r, conf, endpoint);
    }

    if (ngx_kong_authenticated(r, run)) {
        return NGX_OK;
    }

    missing = 0;
    rc = oauth2_check(r, conf, &missing);

    if (rc == NGX_DECLINED) {
        rc = ngx_kong_anonymous(r, run);

        if (rc == NGX_OK) {
            return oauth2_headers(r, NULL);
        }
    }

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (ngx_kong_header_out_set(r, &header, missing ? &conf->missing
                                                    : &conf->invalid)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return oauth2_error(r, NGX_HTTP_UNAUTHORIZED,
                        missing ? "invalid_request" : "invalid_token",
                        missing ? oauth2_missing : oauth2_invalid);
}


/* what the path ends in, or NULL */
static const char *
oauth2_endpoint(ngx_str_t *path)
{
    static const struct {
        ngx_str_t    path;
        const char  *name;
    } endpoints[] = {
        { ngx_string("/oauth2/token"), "token" },
        { ngx_string("/oauth2/authorize"), "authorization" }
    };

    size_t      len;
    ngx_uint_t  i;

    len = path->len;

    if (len != 0 && path->data[len - 1] == '/') {
        len--;
    }

    for (i = 0; i < 2; i++) {
        if (len >= endpoints[i].path.len
            && ngx_memcmp(path->data + len - endpoints[i].path.len,
                          endpoints[i].path.data, endpoints[i].path.len)
               == 0)
        {
            return endpoints[i].name;
        }
    }

    return NULL;
}


static ngx_int_t
oauth2_endpoint_answer(ngx_http_request_t *r, oauth2_conf_t *conf,
    const char *endpoint)
{
    u_char  *text;

    static const char  format[] = "The HTTP method %V is invalid for the %s "
                                  "endpoint%Z";

    if (r->method != NGX_HTTP_POST) {
        text = ngx_pnalloc(r->pool, sizeof(format) + r->method_name.len
                                    + ngx_strlen(endpoint));
        if (text == NULL) {
            return NGX_ERROR;
        }

        ngx_sprintf(text, format, &r->method_name, endpoint);

        return oauth2_error(r, NGX_HTTP_NOT_ALLOWED, "invalid_method",
                            (char *) text);
    }

    if (!oauth2_is_https(r, conf)) {
        return oauth2_error(r, NGX_HTTP_BAD_REQUEST, "access_denied",
                            "You must use HTTPS");
    }

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "oauth2: this node cannot issue tokens: it does not write "
                  "to a database");

    return ngx_kong_exit_error(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                               "An unexpected error occurred");
}


static ngx_uint_t
oauth2_is_https(ngx_http_request_t *r, oauth2_conf_t *conf)
{
    ngx_table_elt_t      *h;
    ngx_http_kong_ctx_t  *ctx;

    static const char  name[] = "x-forwarded-proto";

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    if (ctx->https) {
        return 1;
    }

    if (!conf->terminated || !ctx->trusted
        || ngx_kong_header_in_count(r, name, sizeof(name) - 1) != 1)
    {
        return 0;
    }

    h = ngx_kong_header_in(r, name, sizeof(name) - 1);

    return h->value.len == 5
           && ngx_strncasecmp(h->value.data, (u_char *) "https", 5) == 0;
}


/* NGX_DECLINED when the request does not authenticate */
static ngx_int_t
oauth2_check(ngx_http_request_t *r, oauth2_conf_t *conf, ngx_uint_t *missing)
{
    ngx_int_t                 rc;
    ngx_str_t                 token, client;
    kong_str_t                s;
    oauth2_place_t            place;
    const kong_value_t       *entity;
    ngx_http_kong_ctx_t      *ctx;
    const kong_credential_t  *credential;

    rc = oauth2_find(r, conf, &token, &place);

    if (rc == NGX_DECLINED) {
        *missing = 1;
        return NGX_DECLINED;
    }

    if (rc == NGX_OK && conf->hide) {
        rc = oauth2_hide(r, conf, place);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    credential = oauth2_credential(r, conf, &token, &entity);

    if (credential == NULL) {
        return NGX_DECLINED;
    }

    if (oauth2_headers(r, entity) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    s = kong_segment_str(&ctx->generation->config->seg, credential->key);
    client.data = (u_char *) s.data;
    client.len = s.len;

    return ngx_kong_authenticate(r, credential->consumer, credential,
                                 &client);
}


/* NGX_DECLINED: none, or as reading the body says */
static ngx_int_t
oauth2_find(ngx_http_request_t *r, oauth2_conf_t *conf, ngx_str_t *token,
    oauth2_place_t *place)
{
    ngx_int_t         rc;
    ngx_str_t         body, second;
    ngx_table_elt_t  *h;

    h = ngx_kong_header_in(r, (char *) conf->header.data, conf->header.len);

    if (h != NULL) {
        *place = OAUTH2_HEADER;
        *token = h->value;

        /* of another form it is taken as it is: no token looks like it */
        (void) oauth2_bearer(&h->value, token);

        return token->len != 0 ? NGX_OK : NGX_DECLINED;
    }

    *place = OAUTH2_QUERY;
    rc = ngx_kong_arg(r, &oauth2_argument, 0, token);

    if (rc == NGX_OK) {
        return token->len != 0
               && ngx_kong_arg(r, &oauth2_argument, 1, &second)
                  == NGX_DECLINED
               ? NGX_OK : NGX_DECLINED;
    }

    if (rc != NGX_DECLINED
        || (r->headers_in.content_length_n <= 0 && !r->headers_in.chunked))
    {
        return rc;
    }

    *place = OAUTH2_BODY;
    rc = ngx_kong_body(r, NGX_KONG_BODY_MAX, &body);

    if (rc == NGX_OK && body.len != 0) {
        rc = ngx_kong_body_arg(r, &body, &oauth2_argument, token);

        return rc == NGX_OK && token->len == 0 ? NGX_DECLINED : rc;
    }

    return rc == NGX_OK ? NGX_DECLINED : rc;
}


/* "Bearer <token>" or "token <token>", and nothing else */
static ngx_uint_t
oauth2_bearer(ngx_str_t *value, ngx_str_t *token)
{
    u_char  *p, *last, *word;

    p = value->data;
    last = p + value->len;
    word = p;

    while (p < last && *p != ' ' && *p != '\t') {
        p++;
    }

    if (!(p - word == 6 && ngx_strncasecmp(word, (u_char *) "bearer", 6) == 0)
        && !(p - word == 5
             && ngx_strncasecmp(word, (u_char *) "token", 5) == 0))
    {
        return 0;
    }

    while (p < last && (*p == ' ' || *p == '\t')) {
        p++;
    }

    if (p == last || ngx_strlchr(p, last, ' ') != NULL
        || ngx_strlchr(p, last, '\t') != NULL)
    {
        return 0;
    }

    token->data = p;
    token->len = last - p;

    return 1;
}


static ngx_int_t
oauth2_hide(ngx_http_request_t *r, oauth2_conf_t *conf, oauth2_place_t place)
{
    switch (place) {

    case OAUTH2_HEADER:
        ngx_kong_header_in_clear(r, (char *) conf->header.data,
                                 conf->header.len);
        return NGX_OK;

    case OAUTH2_QUERY:
        return ngx_kong_arg_clear(r, &oauth2_argument);

    case OAUTH2_BODY:
        return ngx_kong_body_arg_clear(r, &oauth2_argument);

    default:
        return NGX_OK;
    }
}


/* of a good token, with the token's entity; else NULL */
static const kong_credential_t *
oauth2_credential(ngx_http_request_t *r, oauth2_conf_t *conf,
    ngx_str_t *token, const kong_value_t **entity)
{
    ngx_str_t                 client;
    kong_str_t                s;
    ngx_http_kong_ctx_t      *ctx;
    const kong_segment_t     *seg;
    const kong_credential_t  *c;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);
    seg = &ctx->generation->config->seg;

    c = ngx_kong_credential(r, KONG_CREDENTIAL_OAUTH2_TOKEN, token);

    if (c == NULL || c->extra == KONG_NONE) {
        return NULL;
    }

    *entity = kong_value(seg, c->extra);

    if (!oauth2_is_ours(r, conf, *entity) || oauth2_is_expired(seg, *entity))
    {
        return NULL;
    }

    /* a token's secret is the client_id of its credential */

    s = kong_segment_str(seg, c->secret);
    client.data = (u_char *) s.data;
    client.len = s.len;

    if (client.len == 0) {
        return NULL;
    }

    c = ngx_kong_credential(r, KONG_CREDENTIAL_OAUTH2, &client);

    return c != NULL && c->consumer != KONG_NONE ? c : NULL;
}


/* a token is for one service, or for all when credentials are global */
static ngx_uint_t
oauth2_is_ours(ngx_http_request_t *r, oauth2_conf_t *conf,
    const kong_value_t *entity)
{
    char                   id[37];
    kong_str_t             s;
    ngx_http_kong_ctx_t   *ctx;
    const kong_value_t    *v;
    const kong_segment_t  *seg;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);
    seg = &ctx->generation->config->seg;

    v = kong_value_path(seg, entity, "service.id");

    if (v == NULL || v->kind != KONG_VALUE_STRING) {
        return conf->global;
    }

    if (ctx->service == NULL) {
        return 0;
    }

    kong_uuid_text(ctx->service->id, id);
    s = kong_value_str(seg, v);

    return s.len == 36
           && ngx_strncasecmp((u_char *) s.data, (u_char *) id, 36) == 0;
}


/* expires_in counts from created_at; 0 is for ever */
static ngx_uint_t
oauth2_is_expired(const kong_segment_t *seg, const kong_value_t *entity)
{
    const kong_value_t  *in, *at;

    in = kong_value_get(seg, entity, "expires_in");
    at = kong_value_get(seg, entity, "created_at");

    if (in == NULL || in->kind != KONG_VALUE_NUMBER) {
        return 1;
    }

    if (in->u.number <= 0) {
        return 0;
    }

    return at == NULL || at->kind != KONG_VALUE_NUMBER
           || (double) ngx_time() - at->u.number > in->u.number;
}


/* of a token's entity, NULL: of none */
static ngx_int_t
oauth2_headers(ngx_http_request_t *r, const kong_value_t *entity)
{
    static ngx_str_t  scope = ngx_string("X-Authenticated-Scope");
    static ngx_str_t  user = ngx_string("X-Authenticated-UserId");

    ngx_http_kong_ctx_t   *ctx;
    const kong_segment_t  *seg;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);
    seg = &ctx->generation->config->seg;

    if (oauth2_set(r, &scope, entity ? kong_value_get(seg, entity, "scope")
                                     : NULL)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return oauth2_set(r, &user, entity
                                ? kong_value_get(seg, entity,
                                                 "authenticated_userid")
                                : NULL);
}


/* cleared when there is no value */
static ngx_int_t
oauth2_set(ngx_http_request_t *r, ngx_str_t *name, const kong_value_t *v)
{
    ngx_str_t             value;
    kong_str_t            s;
    u_char                lower[32];
    ngx_http_kong_ctx_t  *ctx;

    if (v == NULL || v->kind != KONG_VALUE_STRING) {
        ngx_strlow(lower, name->data, name->len);
        ngx_kong_header_in_clear(r, (char *) lower, name->len);
        return NGX_OK;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    s = kong_value_str(&ctx->generation->config->seg, v);
    value.data = (u_char *) s.data;
    value.len = s.len;

    return ngx_kong_header_in_set(r, name, &value);
}


/* both texts are ours, but for the method, which is letters */
static ngx_int_t
oauth2_error(ngx_http_request_t *r, ngx_uint_t status, const char *error,
    const char *description)
{
    static ngx_str_t  type = ngx_string("application/json; charset=utf-8");

    ngx_str_t  body;

    static const char  format[] = "{\"error\":\"%s\","
                                  "\"error_description\":\"%s\"}";

    body.data = ngx_pnalloc(r->pool, sizeof(format) + ngx_strlen(error)
                                     + ngx_strlen(description));
    if (body.data == NULL) {
        return NGX_ERROR;
    }

    body.len = ngx_sprintf(body.data, format, error, description) - body.data;

    return ngx_kong_exit(r, status, &type, &body);
}
