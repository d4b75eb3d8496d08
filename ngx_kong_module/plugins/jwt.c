/*
 * jwt: a signed token names a credential by one of its claims.  The algorithm
 * is the credential's: what the token says is only compared with it.
 */

#include "ngx_kong_plugin.h"
#include "kong_authorization.h"
#include "kong_jwt.h"


/* of one query argument: the first hundred count, as in Kong */
#define JWT_ARGS_MAX  100

typedef struct {
    ngx_str_t   *args;
    ngx_uint_t   n_args;
    ngx_str_t   *cookies;
    ngx_uint_t   n_cookies;
    ngx_str_t   *headers;                /* in lower case */
    ngx_uint_t   n_headers;
    ngx_str_t    claim;                  /* NUL-ended */
    ngx_str_t    challenge;              /* WWW-Authenticate, no token */
    ngx_str_t    challenge_error;
    const char  *no_claim;               /* messages that name the claim */
    const char  *bad_claim;
    const char  *no_credential;
    const char  *no_consumer;            /* the key and a quote follow */
    double       maximum_expiration;
    unsigned     base64:1;
    unsigned     run_on_preflight:1;
    unsigned     verify_exp:1;
    unsigned     verify_nbf:1;
} jwt_conf_t;

/* why a request is refused */
typedef struct {
    ngx_str_t   *challenge;
    const char  *message;
    ngx_str_t    body;                   /* instead of a message */
} jwt_failure_t;


static void *jwt_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool);
static ngx_int_t jwt_prepare_texts(ngx_kong_instance_t *in, jwt_conf_t *conf,
    ngx_pool_t *pool);
static const char *jwt_text(ngx_pool_t *pool, const char *before,
    ngx_str_t *name, const char *after);
static ngx_int_t jwt_access(ngx_http_request_t *r, ngx_kong_run_t *run);
static ngx_int_t jwt_check(ngx_http_request_t *r, jwt_conf_t *conf,
    jwt_failure_t *failure);
static ngx_int_t jwt_find(ngx_http_request_t *r, jwt_conf_t *conf,
    ngx_str_t *token);
static ngx_int_t jwt_found(ngx_str_t *token, const u_char *data, size_t len);
static ngx_int_t jwt_check_token(ngx_http_request_t *r, jwt_conf_t *conf,
    kong_jwt_t *jwt, jwt_failure_t *failure);
static ngx_int_t jwt_check_signature(ngx_http_request_t *r, jwt_conf_t *conf,
    kong_jwt_t *jwt, const kong_credential_t *credential,
    const char **message);
static kong_str_t jwt_member(const kong_segment_t *seg,
    const kong_credential_t *credential, const char *name);
static ngx_int_t jwt_check_claims(ngx_http_request_t *r, jwt_conf_t *conf,
    kong_jwt_t *jwt, ngx_str_t *body);


const ngx_kong_plugin_t  ngx_kong_jwt = {
    .name = ngx_string("jwt"),
    .prepare = jwt_prepare,
    .access = jwt_access
};


static void *
jwt_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool)
{
    ngx_str_t   *claims;
    ngx_uint_t   i, n;
    jwt_conf_t  *conf;

    conf = ngx_pcalloc(pool, sizeof(jwt_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    conf->args = ngx_kong_conf_strs(in, "uri_param_names", pool,
                                    &conf->n_args);
    conf->cookies = ngx_kong_conf_strs(in, "cookie_names", pool,
                                       &conf->n_cookies);
    conf->headers = ngx_kong_conf_lower(in, "header_names", pool,
                                        &conf->n_headers);
    claims = ngx_kong_conf_strs(in, "claims_to_verify", pool, &n);

    for (i = 0; i < n; i++) {
        if (claims[i].len != 3) {
            return NULL;
        }

        if (ngx_memcmp(claims[i].data, "exp", 3) == 0) {
            conf->verify_exp = 1;

        } else if (ngx_memcmp(claims[i].data, "nbf", 3) == 0) {
            conf->verify_nbf = 1;

        } else {
            return NULL;
        }
    }

    conf->maximum_expiration = ngx_kong_conf_num(in, "maximum_expiration", 0);
    conf->base64 = ngx_kong_conf_flag(in, "secret_is_base64");
    conf->run_on_preflight = ngx_kong_conf_flag(in, "run_on_preflight");

    return jwt_prepare_texts(in, conf, pool) == NGX_OK ? conf : NULL;
}


static ngx_int_t
jwt_prepare_texts(ngx_kong_instance_t *in, jwt_conf_t *conf, ngx_pool_t *pool)
{
    static const char  error[] = " error=\"invalid_token\"";

    u_char     *p;
    ngx_str_t   claim;

    claim = ngx_kong_conf_str(in, "key_claim_name");

    if (claim.len == 0) {
        ngx_str_set(&claim, "iss");
    }

    conf->claim.len = claim.len;
    conf->claim.data = (u_char *) jwt_text(pool, "", &claim, "");
    conf->no_claim = jwt_text(pool, "No mandatory '", &claim, "' in claims");
    conf->bad_claim = jwt_text(pool, "Invalid '", &claim, "' in claims");
    conf->no_credential = jwt_text(pool, "No credentials found for given '",
                                   &claim, "'");
    conf->no_consumer = jwt_text(pool, "Could not find consumer for '",
                                 &claim, "=");

    if (conf->claim.data == NULL || conf->no_claim == NULL
        || conf->bad_claim == NULL || conf->no_credential == NULL
        || conf->no_consumer == NULL
        || ngx_kong_challenge(in, pool, "Bearer", &conf->challenge) != NGX_OK)
    {
        return NGX_ERROR;
    }

    p = ngx_pnalloc(pool, conf->challenge.len + sizeof(error) - 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    conf->challenge_error.data = p;
    conf->challenge_error.len = conf->challenge.len + sizeof(error) - 1;

    p = ngx_cpymem(p, conf->challenge.data, conf->challenge.len);
    ngx_memcpy(p, error, sizeof(error) - 1);

    return NGX_OK;
}


static const char *
jwt_text(ngx_pool_t *pool, const char *before, ngx_str_t *name,
    const char *after)
{
    u_char  *p;

    p = ngx_pnalloc(pool, ngx_strlen(before) + name->len + ngx_strlen(after)
                          + 1);

    if (p != NULL) {
        ngx_sprintf(p, "%s%V%s%Z", before, name, after);
    }

    return (char *) p;
}


static ngx_int_t
jwt_access(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    static ngx_str_t  header = ngx_string("WWW-Authenticate");
    static ngx_str_t  type = ngx_string("application/json; charset=utf-8");

    ngx_int_t       rc;
    jwt_conf_t     *conf;
    jwt_failure_t   failure;

    conf = run->instance->conf;

    if ((!conf->run_on_preflight && r->method == NGX_HTTP_OPTIONS)
        || ngx_kong_authenticated(r, run))
    {
        return NGX_OK;
    }

    ngx_memzero(&failure, sizeof(jwt_failure_t));
    failure.challenge = &conf->challenge_error;

    rc = jwt_check(r, conf, &failure);

    if (rc == NGX_DECLINED) {
        rc = ngx_kong_anonymous(r, run);
    }

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (ngx_kong_header_out_set(r, &header, failure.challenge) != NGX_OK) {
        return NGX_ERROR;
    }

    if (failure.body.len != 0) {
        return ngx_kong_exit(r, NGX_HTTP_UNAUTHORIZED, &type, &failure.body);
    }

    return ngx_kong_exit_message(r, NGX_HTTP_UNAUTHORIZED, failure.message);
}


/* NGX_DECLINED, with the failure, when the request does not authenticate */
static ngx_int_t
jwt_check(ngx_http_request_t *r, jwt_conf_t *conf, jwt_failure_t *failure)
{
    ngx_int_t       rc;
    ngx_str_t       token;
    kong_jwt_t      jwt;
    kong_jwt_rc_t   parsed;

    ngx_str_null(&token);

    rc = jwt_find(r, conf, &token);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_BUSY) {
        failure->message = "Multiple tokens provided";
        return NGX_DECLINED;
    }

    if (token.len == 0) {
        failure->challenge = &conf->challenge;
        failure->message = "Unauthorized";
        return NGX_DECLINED;
    }

    parsed = kong_jwt_parse(&jwt, (char *) token.data, token.len);

    if (parsed == KONG_JWT_OK) {
        rc = jwt_check_token(r, conf, &jwt, failure);

    } else if (parsed == KONG_JWT_FAILED) {
        rc = NGX_ERROR;

    } else {
        failure->message = jwt_text(r->pool, "Bad token; ",
                                    &(ngx_str_t) ngx_null_string,
                                    kong_jwt_strerror(parsed));
        rc = failure->message ? NGX_DECLINED : NGX_ERROR;
    }

    kong_jwt_release(&jwt);

    return rc;
}


/* NGX_OK with the only token, empty when there is none; NGX_BUSY when there
 * are different ones */
static ngx_int_t
jwt_find(ngx_http_request_t *r, jwt_conf_t *conf, ngx_str_t *token)
{
    ngx_int_t         rc;
    ngx_str_t         value;
    ngx_uint_t        i, n;
    kong_str_t        bearer;
    ngx_table_elt_t  *h;

    for (i = 0; i < conf->n_args; i++) {
        for (n = 0; n < JWT_ARGS_MAX; n++) {
            rc = ngx_kong_arg(r, &conf->args[i], n, &value);

            if (rc == NGX_DECLINED) {
                break;
            }

            if (rc != NGX_OK) {
                return rc;
            }

            if (jwt_found(token, value.data, value.len) != NGX_OK) {
                return NGX_BUSY;
            }
        }
    }

    for (i = 0; i < conf->n_cookies; i++) {
        if (ngx_kong_cookie(r, &conf->cookies[i], &value) == NGX_OK
            && jwt_found(token, value.data, value.len) != NGX_OK)
        {
            return NGX_BUSY;
        }
    }

    for (i = 0; i < conf->n_headers; i++) {
        h = ngx_kong_header_in(r, (char *) conf->headers[i].data,
                               conf->headers[i].len);

        if (h != NULL
            && kong_bearer((char *) h->value.data, h->value.len, &bearer)
            && jwt_found(token, (u_char *) bearer.data, bearer.len) != NGX_OK)
        {
            return NGX_BUSY;
        }
    }

    return NGX_OK;
}


static ngx_int_t
jwt_found(ngx_str_t *token, const u_char *data, size_t len)
{
    if (len == 0) {
        return NGX_OK;
    }

    if (token->len == 0) {
        token->data = (u_char *) data;
        token->len = len;
        return NGX_OK;
    }

    return token->len == len && ngx_memcmp(token->data, data, len) == 0
           ? NGX_OK : NGX_BUSY;
}


static ngx_int_t
jwt_check_token(ngx_http_request_t *r, jwt_conf_t *conf, kong_jwt_t *jwt,
    jwt_failure_t *failure)
{
    ngx_int_t                 rc;
    ngx_str_t                 key;
    kong_str_t                s;
    const cJSON              *claim;
    ngx_http_kong_ctx_t      *ctx;
    const kong_credential_t  *credential;

    claim = kong_jwt_get(jwt, (char *) conf->claim.data);

    if (claim == NULL) {
        failure->message = conf->no_claim;
        return NGX_DECLINED;
    }

    if (!cJSON_IsString(claim) || claim->valuestring[0] == '\0') {
        failure->message = conf->bad_claim;
        return NGX_DECLINED;
    }

    key.data = (u_char *) claim->valuestring;
    key.len = ngx_strlen(claim->valuestring);

    credential = ngx_kong_credential(r, KONG_CREDENTIAL_JWT, &key);

    if (credential == NULL) {
        failure->message = conf->no_credential;
        return NGX_DECLINED;
    }

    rc = jwt_check_signature(r, conf, jwt, credential, &failure->message);

    if (rc == NGX_OK) {
        rc = jwt_check_claims(r, conf, jwt, &failure->body);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    s = kong_segment_str(&ctx->generation->config->seg, credential->key);
    key.data = (u_char *) s.data;
    key.len = s.len;

    if (credential->consumer == KONG_NONE) {
        failure->message = jwt_text(r->pool, conf->no_consumer, &key, "'");
        return failure->message ? NGX_DECLINED : NGX_ERROR;
    }

    return ngx_kong_authenticate(r, credential->consumer, credential, &key);
}


/* NGX_DECLINED with a message when it is not what the credential signs */
static ngx_int_t
jwt_check_signature(ngx_http_request_t *r, jwt_conf_t *conf, kong_jwt_t *jwt,
    const kong_credential_t *credential, const char **message)
{
    kong_key_t             key;
    kong_str_t             name;
    ngx_http_kong_ctx_t   *ctx;
    const kong_segment_t  *seg;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);
    seg = &ctx->generation->config->seg;

    name = jwt_member(seg, credential, "algorithm");
    key.alg = name.len ? kong_alg(name.data, name.len) : KONG_ALG_HS256;
    key.base64 = conf->base64;

    if (key.alg == KONG_ALG_NONE || jwt->alg != key.alg) {
        *message = "Invalid algorithm";
        return NGX_DECLINED;
    }

    key.text = kong_alg_is_hmac(key.alg)
               ? kong_segment_str(seg, credential->secret)
               : jwt_member(seg, credential, "rsa_public_key");

    switch (kong_signature_verify(&key, jwt->text, jwt->signature,
                                  jwt->signature_len))
    {

    case KONG_SIGNATURE_OK:
        return NGX_OK;

    case KONG_SIGNATURE_WRONG:
        *message = "Invalid signature";
        return NGX_DECLINED;

    case KONG_SIGNATURE_KEY:
        *message = "Invalid key/secret";
        return NGX_DECLINED;

    default:
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "the signature of a JWT could not be checked");
        return NGX_ERROR;
    }
}


/* a string of the credential's entity, or empty */
static kong_str_t
jwt_member(const kong_segment_t *seg, const kong_credential_t *credential,
    const char *name)
{
    kong_str_t           empty = { NULL, 0 };
    const kong_value_t  *v;

    if (credential->extra == KONG_NONE) {
        return empty;
    }

    v = kong_value_get(seg, kong_value(seg, credential->extra), name);

    return v != NULL && v->kind == KONG_VALUE_STRING ? kong_value_str(seg, v)
                                                     : empty;
}


/* NGX_DECLINED with a body that names the claims in question */
static ngx_int_t
jwt_check_claims(ngx_http_request_t *r, jwt_conf_t *conf, kong_jwt_t *jwt,
    ngx_str_t *body)
{
    u_char      *p, *last;
    double       exp, nbf;
    const char  *bad_exp, *bad_nbf;

    static const size_t  max = 128;

    bad_exp = NULL;
    bad_nbf = NULL;
    exp = 0;

    if (conf->verify_exp) {
        if (!kong_jwt_number(jwt, "exp", &exp)) {
            bad_exp = "must be a number";

        } else if (exp <= (double) ngx_time()) {
            bad_exp = "token expired";
        }
    }

    if (conf->verify_nbf) {
        if (!kong_jwt_number(jwt, "nbf", &nbf)) {
            bad_nbf = "must be a number";

        } else if (nbf > (double) ngx_time()) {
            bad_nbf = "token not valid yet";
        }
    }

    if (bad_exp == NULL && bad_nbf == NULL && conf->maximum_expiration > 0
        && (!kong_jwt_number(jwt, "exp", &exp)
            || exp - (double) ngx_time() > conf->maximum_expiration))
    {
        bad_exp = "exceeds maximum allowed expiration";
    }

    if (bad_exp == NULL && bad_nbf == NULL) {
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, max);
    if (p == NULL) {
        return NGX_ERROR;
    }

    last = p + max;
    body->data = p;

    p = ngx_slprintf(p, last, "{");

    if (bad_exp != NULL) {
        p = ngx_slprintf(p, last, "\"exp\":\"%s\"", bad_exp);
    }

    if (bad_nbf != NULL) {
        p = ngx_slprintf(p, last, "%s\"nbf\":\"%s\"", bad_exp ? "," : "",
                         bad_nbf);
    }

    p = ngx_slprintf(p, last, "}");
    body->len = p - body->data;

    return NGX_DECLINED;
}
