/*
 * hmac-auth: the client signs a list of headers, and the body by its digest.
 * A body is only read once the signature is known to be right; the request
 * then comes here a second time.
 */

#include "ngx_kong_plugin.h"
#include "kong_authorization.h"
#include "kong_signature.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>


#define HMAC_AUTH_SHA256  32
#define HMAC_AUTH_CHUNK   65536
/* of what is signed: a header may be listed a thousand times */
#define HMAC_AUTH_TEXT    (256 * 1024)

typedef struct {
    ngx_str_t    challenge;              /* WWW-Authenticate */
    ngx_str_t   *enforce;
    ngx_uint_t   n_enforce;
    ngx_uint_t   algorithms;             /* bits, by kong_alg_t */
    double       clock_skew;
    unsigned     hide:1;
    unsigned     validate_body:1;
} hmac_auth_conf_t;


static void *hmac_auth_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool);
static ngx_int_t hmac_auth_access(ngx_http_request_t *r,
    ngx_kong_run_t *run);
static ngx_int_t hmac_auth_check(ngx_http_request_t *r, ngx_kong_run_t *run,
    const char **message);
static ngx_uint_t hmac_auth_date(ngx_http_request_t *r,
    hmac_auth_conf_t *conf);
static void hmac_auth_params(ngx_http_request_t *r, hmac_auth_conf_t *conf,
    kong_hmac_t *hmac);
static const kong_credential_t *hmac_auth_credential(ngx_http_request_t *r,
    hmac_auth_conf_t *conf, kong_hmac_t *hmac);
static ngx_uint_t hmac_auth_enforced(hmac_auth_conf_t *conf,
    kong_hmac_t *hmac);
static kong_alg_t hmac_auth_alg(const u_char *name, size_t len);
static ngx_int_t hmac_auth_verify(ngx_http_request_t *r, kong_hmac_t *hmac,
    const kong_credential_t *credential);
static ngx_int_t hmac_auth_text(ngx_http_request_t *r, kong_hmac_t *hmac,
    kong_str_t *text);
static ngx_int_t hmac_auth_header(ngx_http_request_t *r, kong_str_t *name,
    ngx_str_t *line);
static ngx_int_t hmac_auth_body(ngx_http_request_t *r);
static ngx_int_t hmac_auth_digest(ngx_http_request_t *r, u_char *digest);


const ngx_kong_plugin_t  ngx_kong_hmac_auth = {
    .name = ngx_string("hmac-auth"),
    .prepare = hmac_auth_prepare,
    .access = hmac_auth_access
};

static const char  hmac_auth_invalid[] = "HMAC signature cannot be verified";
static const char  hmac_auth_mismatch[] = "HMAC signature does not match";
static const char  hmac_auth_no_date[] =
    "HMAC signature cannot be verified, a valid date or x-date header is "
    "required for HMAC Authentication";


static void *
hmac_auth_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool)
{
    ngx_str_t         *names;
    ngx_uint_t         i, n;
    kong_alg_t         alg;
    hmac_auth_conf_t  *conf;

    conf = ngx_pcalloc(pool, sizeof(hmac_auth_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    names = ngx_kong_conf_strs(in, "algorithms", pool, &n);

    for (i = 0; i < n; i++) {
        alg = hmac_auth_alg(names[i].data, names[i].len);

        if (alg == KONG_ALG_NONE) {
            return NULL;
        }

        conf->algorithms |= 1 << alg;
    }

    conf->enforce = ngx_kong_conf_strs(in, "enforce_headers", pool,
                                       &conf->n_enforce);
    conf->clock_skew = ngx_kong_conf_num(in, "clock_skew", 300);
    conf->hide = ngx_kong_conf_flag(in, "hide_credentials");
    conf->validate_body = ngx_kong_conf_flag(in, "validate_request_body");

    return ngx_kong_challenge(in, pool, "hmac", &conf->challenge) == NGX_OK
           ? conf : NULL;
}


static ngx_int_t
hmac_auth_access(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    ngx_int_t          rc;
    const char        *message;
    hmac_auth_conf_t  *conf;

    conf = run->instance->conf;

    if (run->state == NULL && ngx_kong_authenticated(r, run)) {
        return NGX_OK;
    }

    message = NULL;
    rc = hmac_auth_check(r, run, &message);

    return rc != NGX_DECLINED
           ? rc : ngx_kong_unauthorized(r, run, &conf->challenge, message);
}


/* NGX_DECLINED with a message when the request does not authenticate */
static ngx_int_t
hmac_auth_check(ngx_http_request_t *r, ngx_kong_run_t *run,
    const char **message)
{
    ngx_int_t                 rc;
    ngx_str_t                 user;
    kong_str_t                s;
    kong_hmac_t               hmac;
    hmac_auth_conf_t         *conf;
    ngx_http_kong_ctx_t      *ctx;
    const kong_credential_t  *credential;

    conf = run->instance->conf;
    credential = run->state;

    if (credential == NULL) {

        if (ngx_kong_header_in(r, "authorization", 13) == NULL
            && ngx_kong_header_in(r, "proxy-authorization", 19) == NULL)
        {
            *message = "Unauthorized";
            return NGX_DECLINED;
        }

        if (!hmac_auth_date(r, conf)) {
            *message = hmac_auth_no_date;
            return NGX_DECLINED;
        }

        hmac_auth_params(r, conf, &hmac);
        credential = hmac_auth_credential(r, conf, &hmac);

        if (credential == NULL) {
            *message = hmac_auth_invalid;
            return NGX_DECLINED;
        }

        rc = hmac_auth_verify(r, &hmac, credential);

        if (rc != NGX_OK) {
            *message = hmac_auth_mismatch;
            return rc;
        }
    }

    if (conf->validate_body) {
        run->state = (void *) credential;
        rc = hmac_auth_body(r);

        if (rc != NGX_OK) {
            *message = hmac_auth_mismatch;
            return rc;
        }
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    s = kong_segment_str(&ctx->generation->config->seg, credential->key);
    user.data = (u_char *) s.data;
    user.len = s.len;

    return ngx_kong_authenticate(r, credential->consumer, credential, &user);
}


/* is the one date or the other near enough? */
static ngx_uint_t
hmac_auth_date(ngx_http_request_t *r, hmac_auth_conf_t *conf)
{
    static const ngx_str_t  headers[] = {
        ngx_string("x-date"),
        ngx_string("date")
    };

    time_t            date;
    double            skew;
    ngx_uint_t        i;
    ngx_table_elt_t  *h;

    for (i = 0; i < 2; i++) {
        h = ngx_kong_header_in(r, (char *) headers[i].data, headers[i].len);

        if (h == NULL) {
            continue;
        }

        date = ngx_parse_http_time(h->value.data, h->value.len);

        if (date == NGX_ERROR) {
            continue;
        }

        skew = (double) ngx_time() - (double) date;

        if (skew <= conf->clock_skew && -skew <= conf->clock_skew) {
            return 1;
        }
    }

    return 0;
}


/* of the header that has them; a username without data: neither */
static void
hmac_auth_params(ngx_http_request_t *r, hmac_auth_conf_t *conf,
    kong_hmac_t *hmac)
{
    static const ngx_str_t  headers[] = {
        ngx_string("proxy-authorization"),
        ngx_string("authorization")
    };

    int               found;
    ngx_uint_t        i;
    ngx_table_elt_t  *h;

    found = 0;

    for (i = 0; i < 2 && !found; i++) {
        h = ngx_kong_header_in(r, (char *) headers[i].data, headers[i].len);
        found = h != NULL
                && kong_hmac((char *) h->value.data, h->value.len, hmac);

        if (conf->hide && (found || i == 1)) {
            ngx_kong_header_in_clear(r, (char *) headers[i].data,
                                     headers[i].len);
        }
    }

    if (!found) {
        ngx_memzero(hmac, sizeof(kong_hmac_t));
    }
}


/* NULL when the parameters are not to be accepted or the user is unknown */
static const kong_credential_t *
hmac_auth_credential(ngx_http_request_t *r, hmac_auth_conf_t *conf,
    kong_hmac_t *hmac)
{
    ngx_str_t                 user;
    kong_alg_t                alg;
    const kong_credential_t  *credential;

    if (hmac->username.len == 0) {
        return NULL;
    }

    alg = hmac_auth_alg((u_char *) hmac->algorithm.data, hmac->algorithm.len);

    if (alg == KONG_ALG_NONE || !(conf->algorithms & (1 << alg))
        || !hmac_auth_enforced(conf, hmac))
    {
        return NULL;
    }

    user.data = (u_char *) hmac->username.data;
    user.len = hmac->username.len;

    credential = ngx_kong_credential(r, KONG_CREDENTIAL_HMAC_AUTH, &user);

    return credential != NULL && credential->consumer != KONG_NONE
           ? credential : NULL;
}


/* has the client signed every header that must be? */
static ngx_uint_t
hmac_auth_enforced(hmac_auth_conf_t *conf, kong_hmac_t *hmac)
{
    ngx_uint_t  i, found;
    kong_str_t  list, name;

    for (i = 0; i < conf->n_enforce; i++) {
        list = hmac->headers;
        found = 0;

        while (!found && kong_hmac_header(&list, &name)) {
            found = name.len == conf->enforce[i].len
                    && ngx_memcmp(name.data, conf->enforce[i].data, name.len)
                       == 0;
        }

        if (!found) {
            return 0;
        }
    }

    return 1;
}


static kong_alg_t
hmac_auth_alg(const u_char *name, size_t len)
{
    static const struct {
        ngx_str_t   name;
        kong_alg_t  alg;
    } algs[] = {
        { ngx_string("hmac-sha1"), KONG_ALG_HS1 },
        { ngx_string("hmac-sha256"), KONG_ALG_HS256 },
        { ngx_string("hmac-sha384"), KONG_ALG_HS384 },
        { ngx_string("hmac-sha512"), KONG_ALG_HS512 }
    };

    ngx_uint_t  i;

    for (i = 0; i < sizeof(algs) / sizeof(algs[0]); i++) {
        if (algs[i].name.len == len
            && ngx_memcmp(algs[i].name.data, name, len) == 0)
        {
            return algs[i].alg;
        }
    }

    return KONG_ALG_NONE;
}


/* NGX_DECLINED when the signature is not the credential's */
static ngx_int_t
hmac_auth_verify(ngx_http_request_t *r, kong_hmac_t *hmac,
    const kong_credential_t *credential)
{
    uint8_t              *signature;
    ssize_t               n;
    ngx_int_t             rc;
    kong_key_t            key;
    kong_str_t            text;
    ngx_http_kong_ctx_t  *ctx;
    kong_signature_rc_t   verdict;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    signature = ngx_pnalloc(r->pool, kong_base64_size(hmac->signature.len));
    if (signature == NULL) {
        return NGX_ERROR;
    }

    rc = hmac_auth_text(r, hmac, &text);
    if (rc != NGX_OK) {
        return rc;
    }

    n = kong_base64_decode(hmac->signature.data, hmac->signature.len,
                           KONG_BASE64_STD, signature);

    if (n < 0) {
        return NGX_DECLINED;
    }

    key.alg = hmac_auth_alg((u_char *) hmac->algorithm.data,
                            hmac->algorithm.len);
    key.base64 = 0;
    key.text = kong_segment_str(&ctx->generation->config->seg,
                                credential->secret);

    verdict = kong_signature_verify(&key, text, signature, (size_t) n);

    if (verdict == KONG_SIGNATURE_FAILED) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "an HMAC signature could not be checked");
        return NGX_ERROR;
    }

    return verdict == KONG_SIGNATURE_OK ? NGX_OK : NGX_DECLINED;
}


/* what is signed: a line for each listed header; NGX_DECLINED: too much */
static ngx_int_t
hmac_auth_text(ngx_http_request_t *r, kong_hmac_t *hmac, kong_str_t *text)
{
    size_t        len;
    u_char       *p;
    ngx_str_t    *line;
    ngx_uint_t    i;
    kong_str_t    list, name;
    ngx_array_t   lines;

    if (ngx_array_init(&lines, r->pool, 8, sizeof(ngx_str_t)) != NGX_OK) {
        return NGX_ERROR;
    }

    list = hmac->headers;
    len = 0;

    while (kong_hmac_header(&list, &name)) {
        line = ngx_array_push(&lines);

        if (line == NULL || hmac_auth_header(r, &name, line) != NGX_OK) {
            return NGX_ERROR;
        }

        len += line->len + 1;

        if (len > HMAC_AUTH_TEXT) {
            return NGX_DECLINED;
        }
    }

    p = ngx_pnalloc(r->pool, len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    text->data = (char *) p;
    line = lines.elts;

    for (i = 0; i < lines.nelts; i++) {
        if (i != 0) {
            *p++ = '\n';
        }

        p = ngx_cpymem(p, line[i].data, line[i].len);
    }

    text->len = (char *) p - text->data;

    return NGX_OK;
}


static ngx_int_t
hmac_auth_header(ngx_http_request_t *r, kong_str_t *name, ngx_str_t *line)
{
    u_char           *p, *lower;
    ngx_str_t         value;
    ngx_uint_t        i;
    ngx_table_elt_t  *h;

    static const char  request_line[] = "request-line";
    static const char  request_target[] = "@request-target";

    lower = ngx_pnalloc(r->pool, name->len);
    if (lower == NULL) {
        return NGX_ERROR;
    }

    /* Kong's accessor takes "_" for "-" */

    for (i = 0; i < name->len; i++) {
        lower[i] = name->data[i] == '_' ? '-' : ngx_tolower(name->data[i]);
    }

    h = ngx_kong_header_in(r, (char *) lower, name->len);

    if (h != NULL) {
        value = h->value;

    } else {
        ngx_str_null(&value);
    }

    line->data = ngx_pnalloc(r->pool, name->len + value.len
                                      + r->method_name.len
                                      + r->unparsed_uri.len
                                      + sizeof("  HTTP/.")
                                      + 2 * NGX_INT_T_LEN);
    if (line->data == NULL) {
        return NGX_ERROR;
    }

    p = line->data;

    if (h == NULL && name->len == sizeof(request_line) - 1
        && ngx_memcmp(name->data, request_line, name->len) == 0)
    {
        p = ngx_sprintf(p, "%V %V HTTP/%ui.%ui", &r->method_name,
                        &r->unparsed_uri, r->http_version / 1000,
                        r->http_version % 1000);

    } else if (h == NULL && name->len == sizeof(request_target) - 1
               && ngx_memcmp(name->data, request_target, name->len) == 0)
    {
        p = ngx_cpymem(p, "@request-target: ", 17);
        ngx_strlow(p, r->method_name.data, r->method_name.len);
        p += r->method_name.len;
        *p++ = ' ';
        p = ngx_cpymem(p, r->unparsed_uri.data, r->unparsed_uri.len);

    } else {
        p = ngx_cpymem(p, name->data, name->len);
        *p++ = ':';

        if (h != NULL) {
            *p++ = ' ';
            p = ngx_cpymem(p, value.data, value.len);
        }
    }

    line->len = p - line->data;

    return NGX_OK;
}


/* NGX_OK when the body is what the Digest header says, NGX_DECLINED when it
 * is not, or as reading it says */
static ngx_int_t
hmac_auth_body(ngx_http_request_t *r)
{
    ngx_int_t         rc;
    u_char            digest[HMAC_AUTH_SHA256];
    ngx_str_t         body, raw, text;
    ngx_table_elt_t  *h;

    u_char  value[sizeof("SHA-256=") + ngx_base64_encoded_length(32)];

    /* a limit of nothing: it is read, but not put together */

    rc = ngx_kong_body(r, 0, &body);

    if (rc != NGX_OK && rc != NGX_DECLINED) {
        return rc;
    }

    h = ngx_kong_header_in(r, "digest", 6);

    if (h == NULL) {
        return rc == NGX_OK ? NGX_OK : NGX_DECLINED;
    }

    if (hmac_auth_digest(r, digest) != NGX_OK) {
        return NGX_ERROR;
    }

    raw.data = digest;
    raw.len = sizeof(digest);
    text.data = ngx_cpymem(value, "SHA-256=", 8);
    ngx_encode_base64(&text, &raw);

    return h->value.len == 8 + text.len
           && CRYPTO_memcmp(h->value.data, value, h->value.len) == 0
           ? NGX_OK : NGX_DECLINED;
}


/* of the whole body, wherever it is: it may be larger than memory */
static ngx_int_t
hmac_auth_digest(ngx_http_request_t *r, u_char *digest)
{
    int           ok;
    off_t         at;
    u_char       *chunk;
    ssize_t       n;
    ngx_buf_t    *b;
    EVP_MD_CTX   *md;
    ngx_chain_t  *cl;

    chunk = NULL;
    md = EVP_MD_CTX_new();
    ok = md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1;

    cl = r->request_body ? r->request_body->bufs : NULL;

    for ( /* void */ ; ok && cl != NULL; cl = cl->next) {
        b = cl->buf;

        if (ngx_buf_in_memory(b)) {
            ok = EVP_DigestUpdate(md, b->pos, b->last - b->pos) == 1;
            continue;
        }

        if (!b->in_file) {
            continue;
        }

        if (chunk == NULL) {
            chunk = ngx_palloc(r->pool, HMAC_AUTH_CHUNK);
            ok = chunk != NULL;
        }

        for (at = b->file_pos; ok && at < b->file_last; at += n) {
            n = ngx_read_file(b->file, chunk,
                              ngx_min(b->file_last - at, HMAC_AUTH_CHUNK),
                              at);
            ok = n > 0 && EVP_DigestUpdate(md, chunk, n) == 1;
        }
    }

    ok = ok && EVP_DigestFinal_ex(md, digest, NULL) == 1;

    EVP_MD_CTX_free(md);
    ERR_clear_error();

    return ok ? NGX_OK : NGX_ERROR;
}
