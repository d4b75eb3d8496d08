/*
 * What the authentication plugins share: who the consumer is, and the headers
 * that tell the upstream.  Whatever a client sent under these names is always
 * overwritten or removed.
 */

#include "ngx_kong_plugin.h"


#define ngx_kong_clear(r, name)                                               \
    ngx_kong_header_in_clear(r, name, sizeof(name) - 1)


static ngx_int_t ngx_kong_auth_header(ngx_http_request_t *r,
    const char *lower, ngx_str_t *name, ngx_str_t *value);
static ngx_int_t ngx_kong_auth_consumer(ngx_http_request_t *r,
    uint32_t consumer);


ngx_int_t
ngx_kong_authenticate(ngx_http_request_t *r, uint32_t consumer,
    const kong_credential_t *credential, ngx_str_t *identifier)
{
    static ngx_str_t  name = ngx_string("X-Credential-Identifier");

    ngx_http_kong_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    ctx->consumer = consumer;
    ctx->credential = credential;
    ctx->authenticated = 1;
    ctx->anonymous = 0;
    ngx_str_null(&ctx->identifier);

    if (identifier != NULL) {
        ctx->identifier = *identifier;

    } else if (credential != NULL) {
        ctx->identifier.data = ngx_pnalloc(r->pool, 37);
        if (ctx->identifier.data == NULL) {
            return NGX_ERROR;
        }

        kong_uuid_text(credential->id, (char *) ctx->identifier.data);
        ctx->identifier.len = 36;
    }

    ngx_kong_clear(r, "x-anonymous-consumer");

    if (ngx_kong_auth_consumer(r, consumer) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_kong_auth_header(r, "x-credential-identifier", &name,
                                &ctx->identifier);
}


ngx_uint_t
ngx_kong_authenticated(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    ngx_http_kong_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    return run->instance->record->anonymous != KONG_NONE
           && ctx->authenticated;
}


ngx_int_t
ngx_kong_anonymous(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    static ngx_str_t  name = ngx_string("X-Anonymous-Consumer");
    static ngx_str_t  value = ngx_string("true");

    uint32_t              consumer;
    ngx_http_kong_ctx_t  *ctx;

    consumer = run->instance->record->anonymous;

    if (consumer == KONG_NONE) {
        return NGX_DECLINED;
    }

    if (consumer == KONG_MISSING) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "the anonymous consumer of plugin \"%V\" does not exist",
                      &run->instance->plugin->name);
        return NGX_ERROR;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    ctx->consumer = consumer;
    ctx->credential = NULL;
    ctx->anonymous = 1;
    ngx_str_null(&ctx->identifier);

    ngx_kong_clear(r, "x-credential-identifier");

    if (ngx_kong_auth_consumer(r, consumer) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_kong_header_in_set(r, &name, &value);
}


ngx_int_t
ngx_kong_unauthorized(ngx_http_request_t *r, ngx_kong_run_t *run,
    ngx_str_t *challenge, const char *message)
{
    static ngx_str_t  name = ngx_string("WWW-Authenticate");

    ngx_int_t  rc;

    rc = ngx_kong_anonymous(r, run);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (ngx_kong_header_out_set(r, &name, challenge) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_kong_exit_error(r, NGX_HTTP_UNAUTHORIZED, message);
}


static ngx_int_t
ngx_kong_auth_consumer(ngx_http_request_t *r, uint32_t consumer)
{
    static ngx_str_t  names[] = {
        ngx_string("X-Consumer-ID"),
        ngx_string("X-Consumer-Username"),
        ngx_string("X-Consumer-Custom-ID")
    };

    char                   *id;
    ngx_str_t               values[3];
    kong_str_t              s;
    ngx_http_kong_ctx_t    *ctx;
    const kong_segment_t   *seg;
    const kong_consumer_t  *c;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);
    seg = &ctx->generation->config->seg;

    ngx_memzero(values, sizeof(values));

    if (consumer != KONG_NONE) {
        c = kong_consumer(seg, consumer);

        id = ngx_pnalloc(r->pool, 37);
        if (id == NULL) {
            return NGX_ERROR;
        }

        kong_uuid_text(c->id, id);
        values[0].data = (u_char *) id;
        values[0].len = 36;

        s = kong_segment_str(seg, c->username);
        values[1].data = (u_char *) s.data;
        values[1].len = s.len;

        s = kong_segment_str(seg, c->custom_id);
        values[2].data = (u_char *) s.data;
        values[2].len = s.len;
    }

    if (ngx_kong_auth_header(r, "x-consumer-id", &names[0], &values[0])
        != NGX_OK
        || ngx_kong_auth_header(r, "x-consumer-username", &names[1],
                                &values[1])
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_kong_auth_header(r, "x-consumer-custom-id", &names[2],
                                &values[2]);
}


/* an empty value clears */
static ngx_int_t
ngx_kong_auth_header(ngx_http_request_t *r, const char *lower,
    ngx_str_t *name, ngx_str_t *value)
{
    ngx_kong_header_in_clear(r, lower, name->len);

    return value->len == 0 ? NGX_OK : ngx_kong_header_in_add(r, name, value);
}


const kong_credential_t *
ngx_kong_credential(ngx_http_request_t *r, kong_credential_kind_t kind,
    ngx_str_t *key)
{
    ngx_http_kong_ctx_t      *ctx;
    const kong_credential_t  *c;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    c = kong_credential(&ctx->generation->config->seg, kind,
                        (const char *) key->data, key->len);

    if (c != NULL && c->expires != 0 && (time_t) c->expires <= ngx_time()) {
        return NULL;
    }

    return c;
}


ngx_int_t
ngx_kong_challenge(ngx_kong_instance_t *in, ngx_pool_t *pool,
    const char *scheme, ngx_str_t *challenge)
{
    ngx_str_t  realm;

    realm = ngx_kong_conf_str(in, "realm");

    if (realm.len == 0) {
        challenge->data = (u_char *) scheme;
        challenge->len = ngx_strlen(scheme);
        return NGX_OK;
    }

    challenge->data = ngx_pnalloc(pool, ngx_strlen(scheme) + realm.len
                                        + sizeof(" realm=\"\""));
    if (challenge->data == NULL) {
        return NGX_ERROR;
    }

    challenge->len = ngx_sprintf(challenge->data, "%s realm=\"%V\"", scheme,
                                 &realm)
                     - challenge->data;

    return NGX_OK;
}
