/*
 * oauth2_flow: what both endpoints of the authorization server do: read the
 * parameters, know the client, check, ask the daemon, answer.  Checks go on
 * after one has failed, as Kong's do; the last error is the answer.
 */

#include "oauth2.h"

#include <openssl/crypto.h>


#define OAUTH2_BODY_MAX  (64 * 1024)
#define OAUTH2_TEXT_MAX  4096


static void oauth2_flow_params(ngx_http_request_t *r, oauth2_flow_t *flow,
    ngx_str_t *body);
static ngx_uint_t oauth2_has_scope(oauth2_conf_t *conf, u_char *p,
    size_t len);
static ngx_int_t oauth2_bad_scope(ngx_http_request_t *r, oauth2_flow_t *flow,
    u_char *p, size_t len);
static ngx_int_t oauth2_flow_header(ngx_http_request_t *r, const char *name,
    const char *value);


static ngx_str_t  oauth2_params[OAUTH2_PARAMS] = {
    [OAUTH2_GRANT_TYPE] = ngx_string("grant_type"),
    [OAUTH2_RESPONSE_TYPE] = ngx_string("response_type"),
    [OAUTH2_CLIENT_ID] = ngx_string("client_id"),
    [OAUTH2_CLIENT_SECRET] = ngx_string("client_secret"),
    [OAUTH2_REDIRECT_URI] = ngx_string("redirect_uri"),
    [OAUTH2_SCOPE] = ngx_string("scope"),
    [OAUTH2_STATE] = ngx_string("state"),
    [OAUTH2_CODE] = ngx_string("code"),
    [OAUTH2_CODE_CHALLENGE] = ngx_string("code_challenge"),
    [OAUTH2_CODE_CHALLENGE_METHOD] = ngx_string("code_challenge_method"),
    [OAUTH2_CODE_VERIFIER] = ngx_string("code_verifier"),
    [OAUTH2_REFRESH_TOKEN] = ngx_string("refresh_token"),
    [OAUTH2_PROVISION_KEY] = ngx_string("provision_key"),
    [OAUTH2_AUTHENTICATED_USERID] = ngx_string("authenticated_userid")
};


ngx_int_t
oauth2_flow_begin(ngx_http_request_t *r, ngx_kong_run_t *run,
    oauth2_flow_t **flow)
{
    ngx_int_t   rc;
    ngx_str_t   body;

    ngx_str_null(&body);

    if (r->headers_in.content_length_n > 0 || r->headers_in.chunked) {
        rc = ngx_kong_body(r, OAUTH2_BODY_MAX, &body);

        if (rc == NGX_DECLINED) {
            ngx_str_null(&body);

        } else if (rc != NGX_OK) {
            return rc;
        }
    }

    *flow = ngx_pcalloc(r->pool, sizeof(oauth2_flow_t));
    if (*flow == NULL) {
        return NGX_ERROR;
    }

    (*flow)->conf = run->instance->conf;
    run->state = *flow;

    oauth2_flow_params(r, *flow, &body);

    return NGX_OK;
}


/* what stands in the body wins over the query */
static void
oauth2_flow_params(ngx_http_request_t *r, oauth2_flow_t *flow,
    ngx_str_t *body)
{
    ngx_int_t        rc;
    ngx_str_t        second;
    ngx_uint_t       i;
    oauth2_param_t  *p;

    for (i = 0; i < OAUTH2_PARAMS; i++) {
        p = &flow->params[i];

        rc = body->len == 0 ? NGX_DECLINED
             : ngx_kong_body_plain(r, body, &oauth2_params[i], &p->value);

        if (rc != NGX_DECLINED) {
            p->given = 1;
            p->plain = (rc == NGX_OK);
            continue;
        }

        rc = ngx_kong_arg(r, &oauth2_params[i], 0, &p->value);

        if (rc == NGX_OK) {
            p->given = 1;
            p->plain = ngx_kong_arg(r, &oauth2_params[i], 1, &second)
                       == NGX_DECLINED;
        }
    }
}


ngx_int_t
oauth2_flow_ask(ngx_http_request_t *r, oauth2_flow_t *flow,
    ngx_int_t (*step)(ngx_http_request_t *r, oauth2_flow_t *flow))
{
    ngx_int_t  rc;

    flow->step = step;
    rc = ngx_kong_ask_wait(r, flow->ask);

    return rc == NGX_OK ? step(r, flow) : rc;
}


ngx_int_t
oauth2_flow_next(ngx_http_request_t *r, oauth2_flow_t *flow)
{
    return flow->step(r, flow);
}


ngx_int_t
oauth2_flow_failed(ngx_http_request_t *r, oauth2_flow_t *flow)
{
    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  flow->ask->status == NGX_KONG_ASK_DBLESS
                  ? "oauth2: this node cannot issue tokens: it has no "
                    "database"
                  : "oauth2: the database could not be asked");

    return NGX_ERROR;
}


void
oauth2_fail(oauth2_flow_t *flow, const char *error, const char *description)
{
    flow->error = error;
    flow->description.data = (u_char *) description;
    flow->description.len = ngx_strlen(description);
}


ngx_uint_t
oauth2_is_https(ngx_http_request_t *r, oauth2_flow_t *flow)
{
    ngx_table_elt_t      *h;
    ngx_http_kong_ctx_t  *ctx;

    static const char  name[] = "x-forwarded-proto";

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    if (ctx->https) {
        return 1;
    }

    if (flow->conf->terminated && ctx->trusted) {
        h = ngx_kong_header_in(r, name, sizeof(name) - 1);

        if (h != NULL
            && (ngx_kong_header_in_count(r, name, sizeof(name) - 1) != 1
                || memchr(h->value.data, ',', h->value.len) != NULL))
        {
            oauth2_fail(flow, "access_denied",
                        "Only one X-Forwarded-Proto header allowed");
            return 0;
        }

        if (h != NULL && h->value.len == 5
            && ngx_strncasecmp(h->value.data, (u_char *) "https", 5) == 0)
        {
            return 1;
        }
    }

    oauth2_fail(flow, "access_denied", "You must use HTTPS");

    return 0;
}


ngx_int_t
oauth2_flow_client(ngx_http_request_t *r, oauth2_flow_t *flow, ngx_str_t *id)
{
    ngx_uint_t                i;
    kong_str_t                s;
    ngx_http_kong_ctx_t      *ctx;
    const kong_value_t       *v, *entity;
    const kong_segment_t     *seg;
    const kong_credential_t  *c;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);
    seg = &ctx->generation->config->seg;

    c = id->len == 0 ? NULL
        : ngx_kong_credential(r, KONG_CREDENTIAL_OAUTH2, id);

    if (c == NULL || c->extra == KONG_NONE || c->consumer == KONG_NONE) {
        return NGX_OK;
    }

    flow->client = c;
    entity = kong_value(seg, c->extra);

    v = kong_value_get(seg, entity, "client_type");
    flow->public = v != NULL && v->kind == KONG_VALUE_STRING
                   && kong_value_str(seg, v).len == 6;

    v = kong_value_get(seg, entity, "hash_secret");
    flow->hashed = v != NULL && v->kind == KONG_VALUE_BOOL && v->n == 1;

    v = kong_value_get(seg, entity, "redirect_uris");

    if (v == NULL || v->kind != KONG_VALUE_ARRAY) {
        return NGX_OK;
    }

    flow->has_redirect_uris = 1;
    flow->n_redirect_uris = v->n;
    flow->redirect_uris = ngx_pnalloc(r->pool, v->n * sizeof(ngx_str_t) + 1);

    if (flow->redirect_uris == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < v->n; i++) {
        s = kong_value_str(seg, &kong_value_items(seg, v)[i]);
        flow->redirect_uris[i].data = (u_char *) s.data;
        flow->redirect_uris[i].len = s.len;
    }

    return NGX_OK;
}


/* the first one when the client names none, or a wrong one */
void
oauth2_check_redirect(oauth2_flow_t *flow, const char *description)
{
    ngx_uint_t       i;
    oauth2_param_t  *p;

    p = &flow->params[OAUTH2_REDIRECT_URI];

    if (flow->n_redirect_uris != 0) {
        flow->redirect_uri = flow->redirect_uris[0];

        if (!p->given) {
            return;
        }
    }

    for (i = 0; p->plain && i < flow->n_redirect_uris; i++) {

        if (p->value.len == flow->redirect_uris[i].len
            && ngx_memcmp(p->value.data, flow->redirect_uris[i].data,
                          p->value.len)
               == 0)
        {
            flow->redirect_uri = flow->redirect_uris[i];
            return;
        }
    }

    oauth2_fail(flow, "invalid_request", description);
}


ngx_int_t
oauth2_check_scope(ngx_http_request_t *r, oauth2_flow_t *flow)
{
    u_char          *p, *last, *word, *dst;
    oauth2_conf_t   *conf;
    oauth2_param_t  *param;

    conf = flow->conf;
    param = &flow->params[OAUTH2_SCOPE];
    ngx_str_null(&flow->scope);

    if (!conf->has_scopes || !param->given) {

        if (!param->given && conf->mandatory_scope) {
            oauth2_fail(flow, "invalid_scope", "You must specify a scope");
        }

        return NGX_OK;
    }

    if (!param->plain) {
        oauth2_fail(flow, "invalid_scope", "scope must be a string");
        return NGX_OK;
    }

    p = param->value.data;
    last = p + param->value.len;

    dst = ngx_pnalloc(r->pool, param->value.len + 1);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    flow->scope.data = dst;

    for ( ;; ) {
        while (p < last && (*p == ' ' || (*p >= '\t' && *p <= '\r'))) {
            p++;
        }

        if (p == last) {
            break;
        }

        word = p;

        while (p < last && *p != ' ' && !(*p >= '\t' && *p <= '\r')) {
            p++;
        }

        if (!oauth2_has_scope(conf, word, p - word)) {
            return oauth2_bad_scope(r, flow, word, p - word);
        }

        if (dst != flow->scope.data) {
            *dst++ = ' ';
        }

        dst = ngx_cpymem(dst, word, p - word);
    }

    flow->scope.len = dst - flow->scope.data;

    if (flow->scope.len == 0 && conf->mandatory_scope) {
        oauth2_fail(flow, "invalid_scope", "You must specify a scope");
    }

    return NGX_OK;
}


static ngx_uint_t
oauth2_has_scope(oauth2_conf_t *conf, u_char *p, size_t len)
{
    ngx_uint_t  i;

    for (i = 0; i < conf->n_scopes; i++) {
        if (conf->scopes[i].len == len
            && ngx_memcmp(conf->scopes[i].data, p, len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
oauth2_bad_scope(ngx_http_request_t *r, oauth2_flow_t *flow, u_char *p,
    size_t len)
{
    u_char     *text;
    ngx_str_t   scope;

    static const char  format[] = "\"%V\" is an invalid scope";

    scope.data = p;
    scope.len = ngx_min(len, OAUTH2_TEXT_MAX);

    text = ngx_pnalloc(r->pool, sizeof(format) + scope.len);
    if (text == NULL) {
        return NGX_ERROR;
    }

    oauth2_fail(flow, "invalid_scope", "");
    flow->description.data = text;
    flow->description.len = ngx_sprintf(text, format, &scope) - text;

    return NGX_OK;
}


void
oauth2_check_provision_key(oauth2_flow_t *flow)
{
    ngx_str_t       *key;
    oauth2_param_t  *p;

    p = &flow->params[OAUTH2_PROVISION_KEY];
    key = &flow->conf->provision_key;

    if (!p->plain || key->len == 0 || p->value.len != key->len
        || CRYPTO_memcmp(p->value.data, key->data, key->len) != 0)
    {
        oauth2_fail(flow, "invalid_provision_key", "Invalid provision_key");
    }
}


void
oauth2_check_userid(oauth2_flow_t *flow)
{
    oauth2_param_t  *p;

    p = &flow->params[OAUTH2_AUTHENTICATED_USERID];

    if (!p->plain || oauth2_is_blank(&p->value)) {
        oauth2_fail(flow, "invalid_authenticated_userid",
                    "Missing authenticated_userid parameter");

    } else if (p->value.len > OAUTH2_TEXT_MAX
               || !ngx_kong_ask_takes(&p->value))
    {
        /* it becomes a header */
        oauth2_fail(flow, "invalid_authenticated_userid",
                    "Invalid authenticated_userid parameter");
    }

    flow->userid = p->value;
}


ngx_uint_t
oauth2_is(oauth2_param_t *param, const char *text)
{
    return param->plain && param->value.len == ngx_strlen(text)
           && ngx_memcmp(param->value.data, text, param->value.len) == 0;
}


ngx_uint_t
oauth2_is_blank(ngx_str_t *text)
{
    size_t  i;

    for (i = 0; i < text->len; i++) {
        if (text->data[i] != ' '
            && !(text->data[i] >= '\t' && text->data[i] <= '\r'))
        {
            return 0;
        }
    }

    return 1;
}


ngx_uint_t
oauth2_needs_pkce(oauth2_flow_t *flow)
{
    return flow->public ? flow->conf->pkce != OAUTH2_PKCE_NONE
                        : flow->conf->pkce == OAUTH2_PKCE_STRICT;
}


ngx_int_t
oauth2_service(ngx_http_request_t *r, oauth2_conf_t *conf,
    const uint8_t **id)
{
    ngx_http_kong_ctx_t  *ctx;

    *id = NULL;

    if (conf->global) {
        return NGX_OK;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    if (ctx->service == NULL) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "oauth2: tokens are for a service, and this route has "
                      "none");
        return NGX_ERROR;
    }

    *id = ctx->service->id;

    return NGX_OK;
}


ngx_int_t
oauth2_issue(ngx_http_request_t *r, oauth2_flow_t *flow,
    const char *exchange,
    ngx_int_t (*step)(ngx_http_request_t *r, oauth2_flow_t *flow))
{
    oauth2_conf_t   *conf;
    const uint8_t   *service;
    ngx_kong_ask_t  *ask;

    conf = flow->conf;

    ask = ngx_kong_ask_new(r->pool, "/oauth2/token/new");

    if (ask == NULL || oauth2_service(r, conf, &service) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_kong_ask_id(ask, "credential", flow->client->id);

    if (service != NULL) {
        ngx_kong_ask_id(ask, "service", service);
    }

    if (exchange != NULL) {
        ngx_kong_ask_str(ask, exchange, &flow->used);
    }

    ngx_kong_ask_str(ask, "scope", &flow->scope);
    ngx_kong_ask_str(ask, "userid", &flow->userid);
    ngx_kong_ask_num(ask, "expires_in", conf->expiration);

    if (conf->expiration >= 1) {
        ngx_kong_ask_num(ask, "ttl", conf->refresh_ttl);

        if (flow->refresh) {
            ngx_kong_ask_flag(ask, "refresh");
        }
    }

    flow->ask = ask;

    return oauth2_flow_ask(r, flow, step);
}


ngx_int_t
oauth2_flow_answer(ngx_http_request_t *r, oauth2_flow_t *flow,
    ngx_uint_t status, ngx_str_t *members)
{
    if (oauth2_flow_header(r, "Cache-Control", "no-store") != NGX_OK
        || oauth2_flow_header(r, "Pragma", "no-cache") != NGX_OK
        || (flow->unknown
            && oauth2_flow_header(r, "WWW-Authenticate",
                                  "Basic realm=\"OAuth2.0\"")
               != NGX_OK))
    {
        return NGX_ERROR;
    }

    return oauth2_answer(r, status, members);
}


static ngx_int_t
oauth2_flow_header(ngx_http_request_t *r, const char *name, const char *value)
{
    ngx_str_t  n, v;

    n.data = (u_char *) name;
    n.len = ngx_strlen(name);
    v.data = (u_char *) value;
    v.len = ngx_strlen(value);

    return ngx_kong_header_out_set(r, &n, &v);
}


/* with flow->error */
ngx_int_t
oauth2_flow_refuse(ngx_http_request_t *r, oauth2_flow_t *flow)
{
    u_char          *p;
    ngx_str_t        error, members;
    oauth2_param_t  *state;

    error.data = (u_char *) flow->error;
    error.len = ngx_strlen(flow->error);
    state = &flow->params[OAUTH2_STATE];

    p = ngx_pnalloc(r->pool,
                    oauth2_member(NULL, "error", &error)
                    + oauth2_member(NULL, "error_description",
                                    &flow->description)
                    + oauth2_member(NULL, "state", &state->value));
    if (p == NULL) {
        return NGX_ERROR;
    }

    members.data = p;
    p += oauth2_member(p, "error", &error);
    p += oauth2_member(p, "error_description", &flow->description);

    if (state->plain) {
        p += oauth2_member(p, "state", &state->value);
    }

    members.len = p - members.data;

    return oauth2_flow_answer(r, flow,
                              flow->unknown ? NGX_HTTP_UNAUTHORIZED
                                            : NGX_HTTP_BAD_REQUEST,
                              &members);
}


size_t
oauth2_member(u_char *p, const char *name, ngx_str_t *value)
{
    u_char  *start;

    if (p == NULL) {
        return sizeof(",\"\":\"\"") + ngx_strlen(name) + value->len
               + ngx_escape_json(NULL, value->data, value->len);
    }

    start = p;
    p = ngx_sprintf(p, ",\"%s\":\"", name);
    p = (u_char *) ngx_escape_json(p, value->data, value->len);
    *p++ = '"';

    return p - start;
}
