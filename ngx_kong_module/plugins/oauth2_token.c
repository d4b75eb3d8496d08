/*
 * oauth2_token: the token endpoint.  Every step that needs the daemon ends
 * the handler, which goes on there when the answer has come: the client's
 * secret where it is hashed, the code or token to exchange, the new token.
 */

#include "oauth2.h"
#include "kong_base64.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>


#define OAUTH2_VERIFIER_MIN  43
#define OAUTH2_VERIFIER_MAX  128
#define OAUTH2_CLIENT_MAX    4096        /* of a Basic header */


static ngx_int_t oauth2_token_client(ngx_http_request_t *r,
    oauth2_flow_t *flow);
static ngx_int_t oauth2_token_basic(ngx_http_request_t *r,
    oauth2_flow_t *flow, ngx_str_t *id);
static ngx_int_t oauth2_token_secret(ngx_http_request_t *r,
    oauth2_flow_t *flow);
static ngx_int_t oauth2_token_secret_told(ngx_http_request_t *r,
    oauth2_flow_t *flow);
static void oauth2_token_unknown(oauth2_flow_t *flow);
static ngx_int_t oauth2_token_grant(ngx_http_request_t *r,
    oauth2_flow_t *flow);
static ngx_int_t oauth2_token_for_client(ngx_http_request_t *r,
    oauth2_flow_t *flow);
static ngx_int_t oauth2_token_for_password(ngx_http_request_t *r,
    oauth2_flow_t *flow);
static ngx_int_t oauth2_token_find(ngx_http_request_t *r,
    oauth2_flow_t *flow, oauth2_param_name_t param, const char *path,
    ngx_int_t (*step)(ngx_http_request_t *r, oauth2_flow_t *flow));
static ngx_int_t oauth2_token_found(ngx_http_request_t *r,
    oauth2_flow_t *flow, const char *message);
static ngx_int_t oauth2_token_code(ngx_http_request_t *r,
    oauth2_flow_t *flow);
static ngx_uint_t oauth2_token_is_mine(ngx_http_request_t *r,
    oauth2_flow_t *flow, ngx_uint_t *client);
static ngx_uint_t oauth2_token_id_is(ngx_str_t *text, const uint8_t *id);
static void oauth2_token_verify(oauth2_flow_t *flow);
static ngx_int_t oauth2_token_refresh(ngx_http_request_t *r,
    oauth2_flow_t *flow);
static ngx_int_t oauth2_token_renew(ngx_http_request_t *r,
    oauth2_flow_t *flow);
static ngx_uint_t oauth2_token_scope(oauth2_flow_t *flow);
static ngx_int_t oauth2_token_issued(ngx_http_request_t *r,
    oauth2_flow_t *flow);
static ngx_int_t oauth2_token_send(ngx_http_request_t *r,
    oauth2_flow_t *flow);


ngx_int_t
oauth2_token_access(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    ngx_int_t        rc;
    oauth2_flow_t   *flow;
    oauth2_param_t  *grant;

    if (run->state != NULL) {
        return oauth2_flow_next(r, run->state);
    }

    rc = oauth2_flow_begin(r, run, &flow);
    if (rc != NGX_OK) {
        return rc;
    }

    if (!oauth2_is_https(r, flow)) {
        return oauth2_flow_refuse(r, flow);
    }

    grant = &flow->params[OAUTH2_GRANT_TYPE];

    if (!oauth2_is(grant, "authorization_code")
        && !oauth2_is(grant, "refresh_token")
        && !(flow->conf->client && oauth2_is(grant, "client_credentials"))
        && !(flow->conf->password && oauth2_is(grant, "password")))
    {
        oauth2_fail(flow, "unsupported_grant_type", "Invalid grant_type");
    }

    rc = oauth2_token_client(r, flow);
    if (rc != NGX_OK) {
        return rc;
    }

    if (!oauth2_is(grant, "client_credentials")) {

        if (flow->has_redirect_uris) {
            oauth2_check_redirect(flow, "Invalid redirect_uri that does not "
                                  "match with any redirect_uri created with "
                                  "the application");
        } else {
            oauth2_token_unknown(flow);
        }
    }

    return oauth2_token_secret(r, flow);
}


/* by parameters, or a Basic header, or the id alone */
static ngx_int_t
oauth2_token_client(ngx_http_request_t *r, oauth2_flow_t *flow)
{
    ngx_int_t        rc;
    ngx_str_t        none;
    oauth2_param_t  *id, *secret;

    id = &flow->params[OAUTH2_CLIENT_ID];
    secret = &flow->params[OAUTH2_CLIENT_SECRET];
    ngx_str_null(&none);

    if (id->given && secret->given) {

        if (secret->plain) {
            flow->secret = secret->value;
        }

    } else {
        rc = oauth2_token_basic(r, flow, &none);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_OK) {
            return oauth2_flow_client(r, flow, &none);
        }
    }

    return oauth2_flow_client(r, flow, id->plain ? &id->value : &none);
}


/* NGX_DECLINED: there is no such header; the id is empty when it is bad */
static ngx_int_t
oauth2_token_basic(ngx_http_request_t *r, oauth2_flow_t *flow, ngx_str_t *id)
{
    u_char           *p, *last, *colon;
    ssize_t           n;
    ngx_table_elt_t  *h;

    h = ngx_kong_header_in(r, (char *) flow->conf->header.data,
                           flow->conf->header.len);
    if (h == NULL) {
        return NGX_DECLINED;
    }

    flow->basic = 1;

    p = h->value.data;
    last = p + h->value.len;

    while (p < last && (*p == ' ' || *p == '\t')) {
        p++;
    }

    if (last - p < 6 || ngx_strncasecmp(p, (u_char *) "basic", 5) != 0
        || last - p > OAUTH2_CLIENT_MAX)
    {
        return NGX_OK;
    }

    p += 5;

    while (p < last && (*p == ' ' || *p == '\t')) {
        p++;
    }

    id->data = ngx_pnalloc(r->pool, kong_base64_size(last - p));
    if (id->data == NULL) {
        return NGX_ERROR;
    }

    n = kong_base64_decode((char *) p, last - p, KONG_BASE64_STD, id->data);
    colon = n > 0 ? memchr(id->data, ':', n) : NULL;

    if (n > 0) {
        id->len = colon ? (size_t) (colon - id->data) : (size_t) n;
    }

    if (colon != NULL) {
        flow->secret.data = colon + 1;
        flow->secret.len = id->data + n - (colon + 1);
    }

    return NGX_OK;
}


static ngx_int_t
oauth2_token_secret(ngx_http_request_t *r, oauth2_flow_t *flow)
{
    ngx_str_t             hash;
    kong_str_t            s;
    ngx_http_kong_ctx_t  *ctx;

    if (flow->client == NULL) {
        return oauth2_token_grant(r, flow);
    }

    if (flow->public) {
        if (!oauth2_is_blank(&flow->secret)) {
            oauth2_fail(flow, "invalid_request",
                        "client_secret is disallowed for public clients");
        }

        return oauth2_token_grant(r, flow);
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);
    s = kong_segment_str(&ctx->generation->config->seg, flow->client->secret);

    if (flow->hashed && s.len != 0 && flow->secret.len != 0) {

        flow->ask = ngx_kong_ask_new(r->pool, "/oauth2/secret");
        if (flow->ask == NULL) {
            return NGX_ERROR;
        }

        hash.data = (u_char *) s.data;
        hash.len = s.len;

        ngx_kong_ask_str(flow->ask, "secret", &flow->secret);
        ngx_kong_ask_str(flow->ask, "hash", &hash);

        return oauth2_flow_ask(r, flow, oauth2_token_secret_told);
    }

    if (s.len == 0 || s.len != flow->secret.len
        || CRYPTO_memcmp(s.data, flow->secret.data, s.len) != 0)
    {
        oauth2_token_unknown(flow);
    }

    return oauth2_token_grant(r, flow);
}


static ngx_int_t
oauth2_token_secret_told(ngx_http_request_t *r, oauth2_flow_t *flow)
{
    switch (flow->ask->status) {

    case NGX_KONG_ASK_OK:
        break;

    case NGX_KONG_ASK_NONE:
    case NGX_KONG_ASK_BAD:
        oauth2_token_unknown(flow);
        break;

    default:
        return oauth2_flow_failed(r, flow);
    }

    return oauth2_token_grant(r, flow);
}


static void
oauth2_token_unknown(oauth2_flow_t *flow)
{
    oauth2_fail(flow, "invalid_client", "Invalid client authentication");

    if (flow->basic) {
        flow->unknown = 1;
    }
}


static ngx_int_t
oauth2_token_grant(ngx_http_request_t *r, oauth2_flow_t *flow)
{
    oauth2_param_t  *grant;

    if (flow->error != NULL) {
        return oauth2_flow_refuse(r, flow);
    }

    grant = &flow->params[OAUTH2_GRANT_TYPE];

    if (oauth2_is(grant, "client_credentials")) {
        return oauth2_token_for_client(r, flow);
    }

    if (oauth2_is(grant, "password")) {
        return oauth2_token_for_password(r, flow);
    }

    flow->refresh = 1;

    if (oauth2_is(grant, "refresh_token")) {
        return oauth2_token_find(r, flow, OAUTH2_REFRESH_TOKEN,
                                 "/oauth2/refresh/find",
                                 oauth2_token_refresh);
    }

    return oauth2_token_find(r, flow, OAUTH2_CODE, "/oauth2/code/find",
                             oauth2_token_code);
}


static ngx_int_t
oauth2_token_for_client(ngx_http_request_t *r, oauth2_flow_t *flow)
{
    /* who speaks for a user must be the one who knows them */

    if (flow->params[OAUTH2_AUTHENTICATED_USERID].given) {
        oauth2_check_userid(flow);
        oauth2_check_provision_key(flow);
    }

    if (flow->error == NULL && flow->client == NULL) {
        oauth2_fail(flow, "invalid_client", "Invalid client authentication");
    }

    if (flow->error == NULL && oauth2_check_scope(r, flow) != NGX_OK) {
        return NGX_ERROR;
    }

    return flow->error != NULL ? oauth2_flow_refuse(r, flow)
                               : oauth2_issue(r, flow, NULL,
                                              oauth2_token_issued);
}


static ngx_int_t
oauth2_token_for_password(ngx_http_request_t *r, oauth2_flow_t *flow)
{
    flow->refresh = 1;

    oauth2_check_userid(flow);
    oauth2_check_provision_key(flow);

    if (flow->error == NULL && oauth2_check_scope(r, flow) != NGX_OK) {
        return NGX_ERROR;
    }

    return flow->error != NULL ? oauth2_flow_refuse(r, flow)
                               : oauth2_issue(r, flow, NULL,
                                              oauth2_token_issued);
}


static ngx_int_t
oauth2_token_find(ngx_http_request_t *r, oauth2_flow_t *flow,
    oauth2_param_name_t param, const char *path,
    ngx_int_t (*step)(ngx_http_request_t *r, oauth2_flow_t *flow))
{
    oauth2_param_t  *p;

    p = &flow->params[param];

    flow->ask = ngx_kong_ask_new(r->pool, path);
    if (flow->ask == NULL) {
        return NGX_ERROR;
    }

    if (!p->plain || p->value.len == 0 || !ngx_kong_ask_takes(&p->value)) {
        flow->ask->status = NGX_KONG_ASK_NONE;
        return step(r, flow);
    }

    ngx_kong_ask_str(flow->ask, param == OAUTH2_CODE ? "code"
                                                     : "refresh_token",
                     &p->value);

    return oauth2_flow_ask(r, flow, step);
}


/* NGX_OK: what oauth2_token_find() asked for is there; otherwise the client
 * has its answer */
static ngx_int_t
oauth2_token_found(ngx_http_request_t *r, oauth2_flow_t *flow,
    const char *message)
{
    switch (flow->ask->status) {

    case NGX_KONG_ASK_OK:
        return NGX_OK;

    case NGX_KONG_ASK_NONE:
    case NGX_KONG_ASK_BAD:
    case NGX_KONG_ASK_DBLESS:
        oauth2_fail(flow, "invalid_request", message);
        return oauth2_flow_refuse(r, flow);

    default:
        return oauth2_flow_failed(r, flow);
    }
}


static ngx_int_t
oauth2_token_code(ngx_http_request_t *r, oauth2_flow_t *flow)
{
    ngx_int_t   rc;
    ngx_str_t   plugin;
    ngx_uint_t  client;

    rc = oauth2_token_found(r, flow, "Invalid code");
    if (rc != NGX_OK) {
        return rc;
    }

    if (!oauth2_token_is_mine(r, flow, &client) || !client) {
        oauth2_fail(flow, "invalid_request", "Invalid code");

    } else if (ngx_kong_ask_text(flow->ask, "challenge_method").len != 0
               || oauth2_needs_pkce(flow))
    {
        oauth2_token_verify(flow);
    }

    plugin = ngx_kong_ask_text(flow->ask, "plugin");

    if (flow->error == NULL && flow->conf->global && plugin.len != 0
        && !oauth2_token_id_is(&plugin, flow->conf->plugin))
    {
        oauth2_fail(flow, "invalid_request", "Invalid code");
    }

    if (flow->error != NULL) {
        return oauth2_flow_refuse(r, flow);
    }

    flow->used = ngx_kong_ask_text(flow->ask, "id");
    flow->scope = ngx_kong_ask_text(flow->ask, "scope");
    flow->userid = ngx_kong_ask_text(flow->ask, "userid");

    return oauth2_issue(r, flow, "code", oauth2_token_issued);
}


/* what was found is for this service; *client: of this client, too */
static ngx_uint_t
oauth2_token_is_mine(ngx_http_request_t *r, oauth2_flow_t *flow,
    ngx_uint_t *client)
{
    ngx_str_t              service, credential;
    ngx_http_kong_ctx_t   *ctx;

    service = ngx_kong_ask_text(flow->ask, "service");
    credential = ngx_kong_ask_text(flow->ask, "credential");

    *client = oauth2_token_id_is(&credential, flow->client->id);

    if (flow->conf->global) {
        return 1;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    return ctx->service != NULL
           && oauth2_token_id_is(&service, ctx->service->id);
}


static ngx_uint_t
oauth2_token_id_is(ngx_str_t *text, const uint8_t *id)
{
    char  is[37];

    kong_uuid_text(id, is);

    return text->len == 36
           && ngx_strncasecmp(text->data, (u_char *) is, 36) == 0;
}


/* PKCE: the challenge is the digest of what the client shows now */
static void
oauth2_token_verify(oauth2_flow_t *flow)
{
    char             text[kong_base64url_length(SHA256_DIGEST_LENGTH)];
    size_t           len;
    u_char           digest[SHA256_DIGEST_LENGTH];
    ngx_str_t        challenge;
    oauth2_param_t  *p;

    p = &flow->params[OAUTH2_CODE_VERIFIER];

    if (!p->given) {
        oauth2_fail(flow, "invalid_request", "code_verifier is required for "
                    "PKCE authorization requests");
        return;
    }

    if (!p->plain) {
        oauth2_fail(flow, "invalid_request", "code_verifier is not a string");
        return;
    }

    if (p->value.len < OAUTH2_VERIFIER_MIN
        || p->value.len > OAUTH2_VERIFIER_MAX)
    {
        oauth2_fail(flow, "invalid_request", "code_verifier must be between "
                    "43 and 128 characters");
        return;
    }

    (void) SHA256(p->value.data, p->value.len, digest);
    len = kong_base64url_encode(digest, sizeof(digest), text);

    challenge = ngx_kong_ask_text(flow->ask, "challenge");

    if (challenge.len != len
        || CRYPTO_memcmp(challenge.data, text, len) != 0)
    {
        oauth2_fail(flow, "invalid_grant", "Invalid code");
    }
}


static ngx_int_t
oauth2_token_refresh(ngx_http_request_t *r, oauth2_flow_t *flow)
{
    ngx_int_t   rc;
    ngx_uint_t  client;

    rc = oauth2_token_found(r, flow, "Invalid refresh_token");
    if (rc != NGX_OK) {
        return rc;
    }

    flow->used = ngx_kong_ask_text(flow->ask, "id");
    flow->scope = ngx_kong_ask_text(flow->ask, "scope");
    flow->userid = ngx_kong_ask_text(flow->ask, "userid");

    if (!oauth2_token_is_mine(r, flow, &client)) {
        oauth2_fail(flow, "invalid_request", "Invalid refresh_token");

    } else if (!client) {
        oauth2_fail(flow, "invalid_client", "Invalid client authentication");

    } else if (!oauth2_token_scope(flow)) {
        oauth2_fail(flow, "invalid_scope", "Scope mismatch");
    }

    if (flow->error != NULL) {
        return oauth2_flow_refuse(r, flow);
    }

    return flow->conf->reuse ? oauth2_token_renew(r, flow)
                             : oauth2_issue(r, flow, "token",
                                            oauth2_token_issued);
}


static ngx_int_t
oauth2_token_renew(ngx_http_request_t *r, oauth2_flow_t *flow)
{
    oauth2_conf_t  *conf;

    conf = flow->conf;

    flow->ask = ngx_kong_ask_new(r->pool, "/oauth2/token/renew");
    if (flow->ask == NULL) {
        return NGX_ERROR;
    }

    ngx_kong_ask_str(flow->ask, "token", &flow->used);
    ngx_kong_ask_num(flow->ask, "expires_in", conf->expiration);

    if (conf->expiration >= 1) {
        ngx_kong_ask_num(flow->ask, "ttl", conf->refresh_ttl);
    }

    return oauth2_flow_ask(r, flow, oauth2_token_issued);
}


/* the configuration may have changed since */
static ngx_uint_t
oauth2_token_scope(oauth2_flow_t *flow)
{
    u_char      *p, *last, *word;
    ngx_uint_t   i;

    p = flow->scope.data;
    last = p + flow->scope.len;

    while (p < last) {
        word = p;

        while (p < last && *p != ' ') {
            p++;
        }

        for (i = 0; i < flow->conf->n_scopes; i++) {
            if (flow->conf->scopes[i].len == (size_t) (p - word)
                && ngx_memcmp(flow->conf->scopes[i].data, word, p - word)
                   == 0)
            {
                break;
            }
        }

        if (p != word && i == flow->conf->n_scopes) {
            return 0;
        }

        p++;
    }

    return 1;
}


/* of two who exchange the same at the same time one comes too late */
static ngx_int_t
oauth2_token_issued(ngx_http_request_t *r, oauth2_flow_t *flow)
{
    switch (flow->ask->status) {

    case NGX_KONG_ASK_OK:
        return oauth2_token_send(r, flow);

    case NGX_KONG_ASK_NONE:
        oauth2_fail(flow, "invalid_request",
                    oauth2_is(&flow->params[OAUTH2_GRANT_TYPE],
                              "refresh_token")
                    ? "Invalid refresh_token" : "Invalid code");
        return oauth2_flow_refuse(r, flow);

    default:
        return oauth2_flow_failed(r, flow);
    }
}


static ngx_int_t
oauth2_token_send(ngx_http_request_t *r, oauth2_flow_t *flow)
{
    double           expires;
    u_char          *p;
    ngx_str_t        type, access, refresh, members;
    oauth2_param_t  *state;

    ngx_str_set(&type, "bearer");
    access = ngx_kong_ask_text(flow->ask, "access_token");
    refresh = ngx_kong_ask_text(flow->ask, "refresh_token");
    expires = ngx_kong_ask_number(flow->ask, "expires_in");
    state = &flow->params[OAUTH2_STATE];

    p = ngx_pnalloc(r->pool,
                    oauth2_member(NULL, "access_token", &access)
                    + oauth2_member(NULL, "token_type", &type)
                    + oauth2_member(NULL, "refresh_token", &refresh)
                    + oauth2_member(NULL, "state", &state->value)
                    + sizeof(",\"expires_in\":") + NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    members.data = p;
    p += oauth2_member(p, "access_token", &access);
    p += oauth2_member(p, "token_type", &type);

    if (expires > 0) {
        p = ngx_sprintf(p, ",\"expires_in\":%uL", (uint64_t) expires);
    }

    if (refresh.len != 0) {
        p += oauth2_member(p, "refresh_token", &refresh);
    }

    if (state->plain) {
        p += oauth2_member(p, "state", &state->value);
    }

    members.len = p - members.data;

    return oauth2_flow_answer(r, flow, NGX_HTTP_OK, &members);
}
