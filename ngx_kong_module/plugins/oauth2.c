/*
 * oauth2: an authorization server on sub-paths of the service that it guards
 * (oauth2_token.c, oauth2_authorize.c), and access to the service with the
 * bearer tokens that it issued.
 */

#include "oauth2.h"


typedef enum {
    OAUTH2_NOWHERE = 0,
    OAUTH2_HEADER,
    OAUTH2_QUERY,
    OAUTH2_BODY
} oauth2_place_t;

/* a request for a resource; run->state */
typedef struct {
    ngx_str_t         text;              /* the token as it was sent */
    ngx_kong_ask_t   *ask;
} oauth2_access_t;

/* why a token does not give access */
typedef enum {
    OAUTH2_INVALID = 0,
    OAUTH2_MISSING,
    OAUTH2_IS_GLOBAL
} oauth2_refusal_t;


static void *oauth2_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool);
static ngx_int_t oauth2_prepare_challenges(ngx_kong_instance_t *in,
    ngx_pool_t *pool, oauth2_conf_t *conf);
static void oauth2_prepare_flows(ngx_kong_instance_t *in, ngx_pool_t *pool,
    oauth2_conf_t *conf);
static ngx_int_t oauth2_access(ngx_http_request_t *r, ngx_kong_run_t *run);
static const char *oauth2_endpoint(ngx_str_t *path);
static ngx_int_t oauth2_method(ngx_http_request_t *r, oauth2_conf_t *conf,
    const char *endpoint);
static ngx_int_t oauth2_check(ngx_http_request_t *r, ngx_kong_run_t *run,
    oauth2_refusal_t *why);
static ngx_int_t oauth2_begin(ngx_http_request_t *r, ngx_kong_run_t *run);
static ngx_int_t oauth2_find(ngx_http_request_t *r, oauth2_conf_t *conf,
    ngx_str_t *token, oauth2_place_t *place);
static ngx_uint_t oauth2_bearer(ngx_str_t *value, ngx_str_t *token);
static ngx_int_t oauth2_hide(ngx_http_request_t *r, oauth2_conf_t *conf,
    oauth2_place_t place);
static ngx_uint_t oauth2_is_ours(ngx_http_request_t *r, oauth2_conf_t *conf,
    oauth2_token_t *token);
static ngx_int_t oauth2_refuse(ngx_http_request_t *r, oauth2_conf_t *conf,
    oauth2_refusal_t why);
static ngx_int_t oauth2_headers(ngx_http_request_t *r, oauth2_token_t *token);
static ngx_int_t oauth2_set(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value);


const ngx_kong_plugin_t  ngx_kong_oauth2 = {
    .name = ngx_string("oauth2"),
    .prepare = oauth2_prepare,
    .access = oauth2_access
};

static ngx_str_t  oauth2_argument = ngx_string("access_token");
static ngx_str_t  oauth2_challenge = ngx_string("WWW-Authenticate");

static const char  oauth2_missing[] = "The access token is missing";
static const char  oauth2_invalid[] =
    "The access token is invalid or has expired";
static const char  oauth2_is_global[] =
    "The access token is global, but the current plugin is configured "
    "without 'global_credentials'";


static void *
oauth2_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool)
{
    ngx_str_t       name;
    oauth2_conf_t  *conf;

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
        || oauth2_prepare_challenges(in, pool, conf) != NGX_OK)
    {
        return NULL;
    }

    ngx_strlow(conf->header.data, name.data, name.len);

    conf->plugin = in->record->id;
    conf->hide = ngx_kong_conf_flag(in, "hide_credentials");
    conf->global = ngx_kong_conf_flag(in, "global_credentials");
    conf->terminated = ngx_kong_conf_flag(in,
                                          "accept_http_if_already_terminated");

    oauth2_prepare_flows(in, pool, conf);

    return conf;
}


static ngx_int_t
oauth2_prepare_challenges(ngx_kong_instance_t *in, ngx_pool_t *pool,
    oauth2_conf_t *conf)
{
    u_char  *p;

    static const char  error[] = "%V error=\"invalid_token\" "
                                 "error_description=\"%s\"";

    if (ngx_kong_challenge(in, pool, "Bearer", &conf->missing) != NGX_OK) {
        return NGX_ERROR;
    }

    p = ngx_pnalloc(pool, conf->missing.len + sizeof(error)
                          + sizeof(oauth2_invalid));
    if (p == NULL) {
        return NGX_ERROR;
    }

    conf->invalid.data = p;
    conf->invalid.len = ngx_sprintf(p, error, &conf->missing, oauth2_invalid)
                        - p;

    return NGX_OK;
}


static void
oauth2_prepare_flows(ngx_kong_instance_t *in, ngx_pool_t *pool,
    oauth2_conf_t *conf)
{
    ngx_str_t  pkce;

    conf->provision_key = ngx_kong_conf_str(in, "provision_key");
    conf->scopes = ngx_kong_conf_strs(in, "scopes", pool, &conf->n_scopes);
    conf->has_scopes = ngx_kong_conf_get(in, "scopes") != NULL;
    conf->mandatory_scope = ngx_kong_conf_flag(in, "mandatory_scope");
    conf->expiration = ngx_kong_conf_num(in, "token_expiration", 7200);
    conf->refresh_ttl = ngx_kong_conf_num(in, "refresh_token_ttl", 1209600);
    conf->reuse = ngx_kong_conf_flag(in, "reuse_refresh_token");
    conf->code = ngx_kong_conf_flag(in, "enable_authorization_code");
    conf->implicit = ngx_kong_conf_flag(in, "enable_implicit_grant");
    conf->client = ngx_kong_conf_flag(in, "enable_client_credentials");
    conf->password = ngx_kong_conf_flag(in, "enable_password_grant");

    pkce = ngx_kong_conf_str(in, "pkce");
    conf->pkce = OAUTH2_PKCE_LAX;

    if (pkce.len == 4 && ngx_memcmp(pkce.data, "none", 4) == 0) {
        conf->pkce = OAUTH2_PKCE_NONE;

    } else if (pkce.len == 6) {
        conf->pkce = OAUTH2_PKCE_STRICT;
    }
}


static ngx_int_t
oauth2_access(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    ngx_int_t             rc;
    const char           *endpoint;
    oauth2_conf_t        *conf;
    oauth2_refusal_t      why;
    ngx_http_kong_ctx_t  *ctx;

    conf = run->instance->conf;
    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    endpoint = oauth2_endpoint(&ctx->path);

    if (endpoint != NULL) {
        if (r->method != NGX_HTTP_POST) {
            return oauth2_method(r, conf, endpoint);
        }

        return *endpoint == 't' ? oauth2_token_access(r, run)
                                : oauth2_authorize_access(r, run);
    }

    if (ngx_kong_authenticated(r, run)) {
        return oauth2_headers(r, NULL);
    }

    why = OAUTH2_INVALID;
    rc = oauth2_check(r, run, &why);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    rc = ngx_kong_anonymous(r, run);

    if (rc == NGX_OK) {
        return oauth2_headers(r, NULL);
    }

    return rc == NGX_DECLINED ? oauth2_refuse(r, conf, why) : rc;
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
oauth2_method(ngx_http_request_t *r, oauth2_conf_t *conf,
    const char *endpoint)
{
    u_char     *p, *text;
    ngx_str_t   value;

    static const char  format[] = "The HTTP method %V is invalid for the %s "
                                  "endpoint%Z";
    static const char  challenge[] = "%V error=\"invalid_method\" "
                                     "error_description=\"%s\"";

    text = ngx_pnalloc(r->pool, 2 * (sizeof(format) + r->method_name.len
                                     + ngx_strlen(endpoint))
                                + sizeof(challenge) + conf->missing.len);
    if (text == NULL) {
        return NGX_ERROR;
    }

    p = ngx_sprintf(text, format, &r->method_name, endpoint);

    value.data = p;
    value.len = ngx_sprintf(p, challenge, &conf->missing, text) - p;

    if (ngx_kong_header_out_set(r, &oauth2_challenge, &value) != NGX_OK) {
        return NGX_ERROR;
    }

    return oauth2_error(r, NGX_HTTP_NOT_ALLOWED, "invalid_method",
                        (char *) text);
}


/* NGX_DECLINED when the request does not authenticate */
static ngx_int_t
oauth2_check(ngx_http_request_t *r, ngx_kong_run_t *run,
    oauth2_refusal_t *why)
{
    ngx_int_t                 rc;
    oauth2_conf_t            *conf;
    oauth2_token_t            token;
    oauth2_access_t          *state;
    const kong_credential_t  *c;

    conf = run->instance->conf;

    if (run->state == NULL) {
        rc = oauth2_begin(r, run);

        if (rc == NGX_DECLINED) {
            *why = OAUTH2_MISSING;
        }

        if (rc != NGX_OK) {
            return rc;
        }
    }

    state = run->state;

    rc = oauth2_find_token(r, &state->ask, &state->text, &token);
    if (rc != NGX_OK) {
        return rc;
    }

    if (token.service.len == 0 && !conf->global) {
        *why = OAUTH2_IS_GLOBAL;
        return NGX_DECLINED;
    }

    if (!oauth2_is_ours(r, conf, &token) || token.client.len == 0
        || !ngx_kong_ask_takes(&token.scope)
        || !ngx_kong_ask_takes(&token.userid))
    {
        return NGX_DECLINED;
    }

    c = ngx_kong_credential(r, KONG_CREDENTIAL_OAUTH2, &token.client);

    if (c == NULL || c->consumer == KONG_NONE) {
        return NGX_DECLINED;
    }

    if (oauth2_headers(r, &token) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_kong_authenticate(r, c->consumer, c, &token.client);
}


/* NGX_DECLINED: there is no token */
static ngx_int_t
oauth2_begin(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    ngx_int_t         rc;
    ngx_str_t         text;
    oauth2_conf_t    *conf;
    oauth2_place_t    place;
    oauth2_access_t  *state;

    conf = run->instance->conf;

    rc = oauth2_find(r, conf, &text, &place);

    if (rc == NGX_OK && conf->hide) {
        rc = oauth2_hide(r, conf, place);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    state = ngx_pcalloc(r->pool, sizeof(oauth2_access_t));
    if (state == NULL) {
        return NGX_ERROR;
    }

    state->text = text;
    run->state = state;

    return NGX_OK;
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


/* a token is for one service, or for all when credentials are global */
static ngx_uint_t
oauth2_is_ours(ngx_http_request_t *r, oauth2_conf_t *conf,
    oauth2_token_t *token)
{
    char                  id[37];
    ngx_http_kong_ctx_t  *ctx;

    if (token->service.len == 0) {
        return conf->global;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    if (ctx->service == NULL) {
        return 0;
    }

    kong_uuid_text(ctx->service->id, id);

    return token->service.len == 36
           && ngx_strncasecmp(token->service.data, (u_char *) id, 36) == 0;
}


static ngx_int_t
oauth2_refuse(ngx_http_request_t *r, oauth2_conf_t *conf,
    oauth2_refusal_t why)
{
    const char  *text;

    if (ngx_kong_header_out_set(r, &oauth2_challenge,
                                why == OAUTH2_MISSING ? &conf->missing
                                                      : &conf->invalid)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    text = oauth2_invalid;

    if (why == OAUTH2_MISSING) {
        text = oauth2_missing;

    } else if (why == OAUTH2_IS_GLOBAL) {
        text = oauth2_is_global;
    }

    return oauth2_error(r, NGX_HTTP_UNAUTHORIZED,
                        why == OAUTH2_MISSING ? "invalid_request"
                                              : "invalid_token", text);
}


/* NULL: of none */
static ngx_int_t
oauth2_headers(ngx_http_request_t *r, oauth2_token_t *token)
{
    static ngx_str_t  none = ngx_null_string;
    static ngx_str_t  scope = ngx_string("X-Authenticated-Scope");
    static ngx_str_t  user = ngx_string("X-Authenticated-UserId");

    if (oauth2_set(r, &scope, token ? &token->scope : &none) != NGX_OK) {
        return NGX_ERROR;
    }

    return oauth2_set(r, &user, token ? &token->userid : &none);
}


/* cleared when there is no value */
static ngx_int_t
oauth2_set(ngx_http_request_t *r, ngx_str_t *name, ngx_str_t *value)
{
    u_char  lower[32];

    if (value->len == 0) {
        ngx_strlow(lower, name->data, name->len);
        ngx_kong_header_in_clear(r, (char *) lower, name->len);
        return NGX_OK;
    }

    return ngx_kong_header_in_set(r, name, value);
}


/* both texts are ours, but for the method, which is letters */
ngx_int_t
oauth2_error(ngx_http_request_t *r, ngx_uint_t status, const char *error,
    const char *description)
{
    u_char     *p;
    ngx_str_t   members;

    static const char  format[] = ",\"error\":\"%s\","
                                  "\"error_description\":\"%s\"";

    p = ngx_pnalloc(r->pool, sizeof(format) + ngx_strlen(error)
                             + ngx_strlen(description));
    if (p == NULL) {
        return NGX_ERROR;
    }

    members.data = p;
    members.len = ngx_sprintf(p, format, error, description) - p;

    return oauth2_answer(r, status, &members);
}


/* each member begins with a comma */
ngx_int_t
oauth2_answer(ngx_http_request_t *r, ngx_uint_t status, ngx_str_t *members)
{
    static ngx_str_t  type = ngx_string("application/json; charset=utf-8");

    u_char     *p;
    ngx_str_t   body;

    p = ngx_pnalloc(r->pool, members->len + 2);
    if (p == NULL) {
        return NGX_ERROR;
    }

    body.data = p;
    *p++ = '{';
    p = ngx_cpymem(p, members->data + 1, members->len - 1);
    *p++ = '}';
    body.len = p - body.data;

    return ngx_kong_exit(r, status, &type, &body);
}
