/*
 * basic-auth: user name and password.  The credential holds the hex SHA-1 of
 * the password with the consumer's id behind it.
 */

#include "ngx_kong_plugin.h"
#include "kong_authorization.h"

#include <ngx_sha1.h>
#include <openssl/crypto.h>


#define BASIC_AUTH_DIGEST  20

typedef struct {
    ngx_str_t    challenge;              /* WWW-Authenticate */
    unsigned     hide:1;
} basic_auth_conf_t;


static void *basic_auth_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool);
static ngx_int_t basic_auth_access(ngx_http_request_t *r,
    ngx_kong_run_t *run);
static ngx_int_t basic_auth_check(ngx_http_request_t *r,
    basic_auth_conf_t *conf);
static ngx_int_t basic_auth_credential(ngx_http_request_t *r,
    basic_auth_conf_t *conf, const ngx_str_t *header,
    const kong_credential_t **credential, ngx_str_t *user,
    ngx_str_t *password);
static ngx_uint_t basic_auth_is(ngx_http_request_t *r,
    const kong_credential_t *credential, ngx_str_t *password);


const ngx_kong_plugin_t  ngx_kong_basic_auth = {
    .name = ngx_string("basic-auth"),
    .prepare = basic_auth_prepare,
    .access = basic_auth_access
};


static void *
basic_auth_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool)
{
    basic_auth_conf_t  *conf;

    conf = ngx_pcalloc(pool, sizeof(basic_auth_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    conf->hide = ngx_kong_conf_flag(in, "hide_credentials");

    return ngx_kong_challenge(in, pool, "Basic", &conf->challenge) == NGX_OK
           ? conf : NULL;
}


static ngx_int_t
basic_auth_access(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    ngx_int_t           rc;
    basic_auth_conf_t  *conf;

    conf = run->instance->conf;

    if (ngx_kong_authenticated(r, run)) {
        return NGX_OK;
    }

    rc = basic_auth_check(r, conf);

    return rc != NGX_DECLINED
           ? rc : ngx_kong_unauthorized(r, run, &conf->challenge,
                                        "Unauthorized");
}


/* NGX_DECLINED when the request does not authenticate */
static ngx_int_t
basic_auth_check(ngx_http_request_t *r, basic_auth_conf_t *conf)
{
    static const ngx_str_t  headers[] = {
        ngx_string("proxy-authorization"),
        ngx_string("authorization")
    };

    ngx_int_t                 rc;
    ngx_str_t                 user, password;
    ngx_uint_t                i;
    const kong_credential_t  *credential;

    for (i = 0; i < 2; i++) {
        rc = basic_auth_credential(r, conf, &headers[i], &credential, &user,
                                   &password);

        if (rc == NGX_DECLINED) {
            continue;
        }

        if (rc != NGX_OK) {
            return rc;
        }

        if (!basic_auth_is(r, credential, &password)) {
            return NGX_DECLINED;
        }

        return ngx_kong_authenticate(r, credential->consumer, credential,
                                     &user);
    }

    return NGX_DECLINED;
}


/* what the header names, with a user that exists; NGX_DECLINED: nothing */
static ngx_int_t
basic_auth_credential(ngx_http_request_t *r, basic_auth_conf_t *conf,
    const ngx_str_t *header, const kong_credential_t **credential,
    ngx_str_t *user, ngx_str_t *password)
{
    int               rc;
    uint8_t          *buf;
    kong_str_t        u, p;
    ngx_table_elt_t  *h;

    h = ngx_kong_header_in(r, (char *) header->data, header->len);

    if (h == NULL) {
        return NGX_DECLINED;
    }

    buf = ngx_pnalloc(r->pool, kong_base64_size(h->value.len));
    if (buf == NULL) {
        return NGX_ERROR;
    }

    rc = kong_basic((char *) h->value.data, h->value.len, buf, &u, &p);

    if (conf->hide) {
        ngx_kong_header_in_clear(r, (char *) header->data, header->len);
    }

    if (rc == 0) {
        return NGX_DECLINED;
    }

    user->data = (u_char *) u.data;
    user->len = u.len;
    password->data = (u_char *) p.data;
    password->len = p.len;

    *credential = ngx_kong_credential(r, KONG_CREDENTIAL_BASIC_AUTH, user);

    return *credential != NULL && (*credential)->consumer != KONG_NONE
           ? NGX_OK : NGX_DECLINED;
}


static ngx_uint_t
basic_auth_is(ngx_http_request_t *r, const kong_credential_t *credential,
    ngx_str_t *password)
{
    char                   id[37];
    u_char                 digest[BASIC_AUTH_DIGEST];
    u_char                 hex[2 * BASIC_AUTH_DIGEST];
    ngx_sha1_t             sha1;
    kong_str_t             secret;
    ngx_http_kong_ctx_t   *ctx;
    const kong_segment_t  *seg;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);
    seg = &ctx->generation->config->seg;

    kong_uuid_text(kong_consumer(seg, credential->consumer)->id, id);

    ngx_sha1_init(&sha1);
    ngx_sha1_update(&sha1, password->data, password->len);
    ngx_sha1_update(&sha1, id, 36);
    ngx_sha1_final(digest, &sha1);
    ngx_hex_dump(hex, digest, sizeof(digest));

    secret = kong_segment_str(seg, credential->secret);

    return secret.len == sizeof(hex)
           && CRYPTO_memcmp(secret.data, hex, sizeof(hex)) == 0;
}
