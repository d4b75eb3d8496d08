/*
 * ldap-auth: user name and password, proved by a simple bind to a directory
 * server.  The request is suspended meanwhile; a request that ends before
 * takes its bind with it.  Good binds are remembered for config.cache_ttl in
 * a table of fixed size, under a salted digest: no password is kept.
 */

#include "ngx_kong_ldap.h"
#include "kong_authorization.h"
#include "../upstream/ngx_http_kong_upstream.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>


#define LDAP_AUTH_DIGEST    32
#define LDAP_AUTH_SETS      1024         /* a power of 2 */
#define LDAP_AUTH_WAYS      4
#define LDAP_AUTH_TIMEOUT   60000        /* where none is set */
#define LDAP_AUTH_TIME_MAX  (365.0 * 86400 * 1000)

typedef struct {
    ngx_kong_ldap_server_t  server;
    kong_str_t              attribute;
    kong_str_t              base;
    kong_str_t              scheme;      /* lower case */
    ngx_str_t               challenge;
    ngx_msec_t              ttl;         /* 0: nothing is remembered */
    u_char                  digest[LDAP_AUTH_DIGEST];
    unsigned                hide:1;
} ldap_auth_conf_t;

typedef struct {
    ngx_http_request_t     *request;
    ngx_kong_ldap_t         op;
    ngx_str_t               user;
    ngx_uint_t              header;      /* index into ldap_auth_headers */
    ngx_int_t               rc;
    u_char                  digest[LDAP_AUTH_DIGEST];
    unsigned                pending:1;   /* the bind is under way */
    unsigned                answered:1;  /* rc is its result */
} ldap_auth_state_t;

typedef struct {
    u_char                  digest[LDAP_AUTH_DIGEST];
    ngx_msec_t              until;       /* 0: empty */
} ldap_auth_known_t;


static void *ldap_auth_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool);
static ngx_int_t ldap_auth_server(ngx_kong_instance_t *in,
    ldap_auth_conf_t *conf, ngx_pool_t *pool);
static ngx_int_t ldap_auth_tls(ngx_kong_instance_t *in,
    ldap_auth_conf_t *conf, ngx_pool_t *pool);
static ngx_int_t ldap_auth_scheme(ngx_kong_instance_t *in,
    ldap_auth_conf_t *conf, ngx_pool_t *pool);
static ngx_msec_t ldap_auth_msec(double n);
static ngx_int_t ldap_auth_digests(ldap_auth_conf_t *conf,
    ngx_pool_t *pool);
static ngx_int_t ldap_auth_access(ngx_http_request_t *r,
    ngx_kong_run_t *run);
static ngx_int_t ldap_auth_check(ngx_http_request_t *r, ngx_kong_run_t *run);
static ngx_int_t ldap_auth_begin(ngx_http_request_t *r, ngx_kong_run_t *run);
static ngx_int_t ldap_auth_ask(ngx_http_request_t *r,
    ldap_auth_state_t *state, ldap_auth_conf_t *conf);
static ngx_int_t ldap_auth_bind(ngx_http_request_t *r,
    ldap_auth_state_t *state, ldap_auth_conf_t *conf, kong_str_t user,
    kong_str_t password);
static void ldap_auth_done(void *data, ngx_int_t rc);
static void ldap_auth_gone(void *data);
static void ldap_auth_report(ngx_http_request_t *r, ngx_kong_ldap_t *op,
    ngx_int_t rc);
static ngx_int_t ldap_auth_pass(ngx_http_request_t *r,
    ldap_auth_state_t *state, ldap_auth_conf_t *conf);
static ngx_int_t ldap_auth_digest(ngx_http_request_t *r,
    ldap_auth_conf_t *conf, kong_str_t user, kong_str_t password,
    u_char *digest);
static ldap_auth_known_t *ldap_auth_set(const u_char *digest);
static ngx_uint_t ldap_auth_is_known(const u_char *digest);
static void ldap_auth_remember(const u_char *digest, ngx_msec_t ttl);


static const ngx_str_t  ldap_auth_headers[] = {
    ngx_string("proxy-authorization"),
    ngx_string("authorization"),
    ngx_null_string
};

/* of this worker; the table is made with the first good bind */
static ldap_auth_known_t  *ldap_auth_known;
static u_char              ldap_auth_salt[LDAP_AUTH_DIGEST];
static ngx_uint_t          ldap_auth_salted;


const ngx_kong_plugin_t  ngx_kong_ldap_auth = {
    .name = ngx_string("ldap-auth"),
    .prepare = ldap_auth_prepare,
    .access = ldap_auth_access
};


static void *
ldap_auth_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool)
{
    ngx_str_t          s;
    ldap_auth_conf_t  *conf;

    conf = ngx_pcalloc(pool, sizeof(ldap_auth_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    s = ngx_kong_conf_str(in, "attribute");
    conf->attribute = (kong_str_t) { (char *) s.data, s.len };

    s = ngx_kong_conf_str(in, "base_dn");
    conf->base = (kong_str_t) { (char *) s.data, s.len };

    conf->ttl = ldap_auth_msec(ngx_kong_conf_num(in, "cache_ttl", 0) * 1000);
    conf->hide = ngx_kong_conf_flag(in, "hide_credentials");

    if (!ldap_auth_salted) {
        if (RAND_bytes(ldap_auth_salt, sizeof(ldap_auth_salt)) != 1) {
            return NULL;
        }

        ldap_auth_salted = 1;
    }

    if (ldap_auth_server(in, conf, pool) != NGX_OK
        || ldap_auth_scheme(in, conf, pool) != NGX_OK
        || ldap_auth_digests(conf, pool) != NGX_OK)
    {
        return NULL;
    }

    return conf;
}


static ngx_int_t
ldap_auth_server(ngx_kong_instance_t *in, ldap_auth_conf_t *conf,
    ngx_pool_t *pool)
{
    ngx_kong_ldap_server_t  *server;

    server = &conf->server;

    server->port = (in_port_t) ngx_kong_conf_num(in, "ldap_port", 389);
    server->timeout = ldap_auth_msec(ngx_kong_conf_num(in, "timeout", 0));
    server->keepalive = ldap_auth_msec(ngx_kong_conf_num(in, "keepalive",
                                                         60000));
    server->start_tls = ngx_kong_conf_flag(in, "start_tls");
    server->verify = ngx_kong_conf_flag(in, "verify_ldap_host");

    if (server->timeout == 0) {
        server->timeout = LDAP_AUTH_TIMEOUT;
    }

    if (ngx_kong_peer_host(&server->host, pool,
                           ngx_kong_conf_str(in, "ldap_host"))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return server->start_tls || ngx_kong_conf_flag(in, "ldaps")
           ? ldap_auth_tls(in, conf, pool) : NGX_OK;
}


static ngx_int_t
ldap_auth_tls(ngx_kong_instance_t *in, ldap_auth_conf_t *conf,
    ngx_pool_t *pool)
{
#if (NGX_HTTP_SSL)
    ngx_http_kong_tls_source_t  source;

    (void) in;

    ngx_http_kong_tls_default(&source, conf->server.verify);
    conf->server.ssl = ngx_http_kong_tls_get(&source, pool, ngx_cycle->log);

    return conf->server.ssl != NULL ? NGX_OK : NGX_ERROR;
#else
    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "plugin \"%V\": this nginx has no TLS", &in->plugin->name);
    return NGX_ERROR;
#endif
}


/* the challenge has the type as it is written, but LDAP for the default */
static ngx_int_t
ldap_auth_scheme(ngx_kong_instance_t *in, ldap_auth_conf_t *conf,
    ngx_pool_t *pool)
{
    char       *scheme;
    u_char     *lower;
    ngx_str_t   type;

    type = ngx_kong_conf_str(in, "header_type");

    if (type.len == 0) {
        ngx_str_set(&type, "ldap");
    }

    scheme = ngx_pnalloc(pool, 2 * (type.len + 1));
    if (scheme == NULL) {
        return NGX_ERROR;
    }

    lower = (u_char *) scheme + type.len + 1;
    ngx_strlow(lower, type.data, type.len);

    conf->scheme.data = (char *) lower;
    conf->scheme.len = type.len;

    ngx_memcpy(scheme, type.data, type.len);
    scheme[type.len] = '\0';

    if (ngx_strcmp(scheme, "ldap") == 0) {
        ngx_memcpy(scheme, "LDAP", 4);
    }

    return ngx_kong_challenge(in, pool, scheme, &conf->challenge);
}


static ngx_msec_t
ldap_auth_msec(double n)
{
    if (!(n > 0)) {
        return 0;
    }

    return n < 1 ? 1 : (ngx_msec_t) ngx_min(n, LDAP_AUTH_TIME_MAX);
}


/* of what connections may be shared by, and good binds */
static ngx_int_t
ldap_auth_digests(ldap_auth_conf_t *conf, ngx_pool_t *pool)
{
    u_char                  *p, *text;
    ngx_uint_t               tls;
    ngx_kong_ldap_server_t  *server;

    server = &conf->server;

    text = ngx_pnalloc(pool, server->host.name.len + conf->attribute.len
                             + conf->base.len + 8 * (NGX_INT_T_LEN + 1));
    if (text == NULL) {
        return NGX_ERROR;
    }

    tls = 0;

#if (NGX_HTTP_SSL)
    tls = (server->ssl != NULL) | server->start_tls << 1
          | server->verify << 2;
#endif

    p = ngx_sprintf(text, "%V:%ui:%ui", &server->host.name,
                    (ngx_uint_t) server->port, tls);

    if (EVP_Digest(text, p - text, server->key, NULL, EVP_sha256(), NULL)
        != 1)
    {
        return NGX_ERROR;
    }

    p = ngx_sprintf(p, ":%M:%uz:", conf->ttl, conf->attribute.len);
    p = ngx_cpymem(p, conf->attribute.data, conf->attribute.len);
    p = ngx_cpymem(p, conf->base.data, conf->base.len);

    return EVP_Digest(text, p - text, conf->digest, NULL, EVP_sha256(), NULL)
           == 1 ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ldap_auth_access(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    ngx_int_t          rc;
    ldap_auth_conf_t  *conf;

    conf = run->instance->conf;

    if (run->state == NULL && ngx_kong_authenticated(r, run)) {
        return NGX_OK;
    }

    rc = ldap_auth_check(r, run);

    return rc != NGX_DECLINED
           ? rc : ngx_kong_unauthorized(r, run, &conf->challenge,
                                        "Unauthorized");
}


/* one header after the other: NGX_DECLINED when none of them is good.  Called
 * again whenever something runs the request's phases */
static ngx_int_t
ldap_auth_check(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    ngx_int_t           rc;
    ldap_auth_conf_t   *conf;
    ldap_auth_state_t  *state;

    if (run->state == NULL && ldap_auth_begin(r, run) != NGX_OK) {
        return NGX_ERROR;
    }

    conf = run->instance->conf;
    state = run->state;

    while (ldap_auth_headers[state->header].len != 0) {

        if (state->pending) {
            return NGX_AGAIN;
        }

        if (state->answered) {
            state->answered = 0;
            rc = state->rc;

            ldap_auth_report(r, &state->op, rc);

            if (rc == NGX_OK) {
                ldap_auth_remember(state->digest, conf->ttl);
            }

        } else {
            rc = ldap_auth_ask(r, state, conf);
        }

        if (rc == NGX_OK) {
            return ldap_auth_pass(r, state, conf);
        }

        if (rc == NGX_ERROR) {
            return rc;
        }

        if (rc == NGX_DECLINED) {
            state->header++;
        }
    }

    return NGX_DECLINED;
}


static ngx_int_t
ldap_auth_begin(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    ldap_auth_state_t   *state;
    ngx_http_cleanup_t  *cln;

    state = ngx_pcalloc(r->pool, sizeof(ldap_auth_state_t));
    cln = ngx_http_cleanup_add(r, 0);

    if (state == NULL || cln == NULL) {
        return NGX_ERROR;
    }

    state->request = r;
    cln->handler = ldap_auth_gone;
    cln->data = state;

    run->state = state;

    return NGX_OK;
}


/*
 * NGX_OK: known to be good; NGX_AGAIN: look at the state, a bind is under way
 * or has answered; NGX_DECLINED: the header has no credentials.
 */
static ngx_int_t
ldap_auth_ask(ngx_http_request_t *r, ldap_auth_state_t *state,
    ldap_auth_conf_t *conf)
{
    uint8_t          *buf;
    size_t            i;
    kong_str_t        user, password;
    const ngx_str_t  *name;
    ngx_table_elt_t  *h;

    name = &ldap_auth_headers[state->header];
    h = ngx_kong_header_in(r, (char *) name->data, name->len);

    if (h == NULL) {
        return NGX_DECLINED;
    }

    buf = ngx_pnalloc(r->pool, kong_base64_size(h->value.len));
    if (buf == NULL) {
        return NGX_ERROR;
    }

    if (!kong_user_password((char *) h->value.data, h->value.len,
                            conf->scheme, buf, &user, &password))
    {
        return NGX_DECLINED;
    }

    /* directories take control characters for blanks, and ignore those at
     * the ends: the name would still pass, into a header */

    for (i = 0; i < user.len; i++) {
        if ((u_char) user.data[i] < 0x20 || user.data[i] == 0x7f) {
            return NGX_DECLINED;
        }
    }

    state->user.data = (u_char *) user.data;
    state->user.len = user.len;

    if (ldap_auth_digest(r, conf, user, password, state->digest) != NGX_OK) {
        return NGX_ERROR;
    }

    if (conf->ttl != 0 && ldap_auth_is_known(state->digest)) {
        return NGX_OK;
    }

    return ldap_auth_bind(r, state, conf, user, password);
}


static ngx_int_t
ldap_auth_bind(ngx_http_request_t *r, ldap_auth_state_t *state,
    ldap_auth_conf_t *conf, kong_str_t user, kong_str_t password)
{
    char                 *dn;
    ngx_int_t             rc;
    ngx_kong_ldap_t      *op;
    ngx_http_kong_ctx_t  *ctx;

    op = &state->op;
    ngx_memzero(op, sizeof(ngx_kong_ldap_t));

    dn = ngx_pnalloc(r->pool, kong_ldap_dn_size(conf->attribute, user,
                                                conf->base));
    if (dn == NULL) {
        return NGX_ERROR;
    }

    op->server = &conf->server;
    op->dn.data = dn;
    op->dn.len = kong_ldap_dn(dn, conf->attribute, user, conf->base);
    op->password = password;
    op->pool = r->pool;
    op->done = ldap_auth_done;
    op->data = state;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);
    rc = ngx_kong_ldap_start(op, ctx->generation->endpoints);

    if (rc != NGX_AGAIN) {
        state->answered = 1;
        state->rc = rc;
        return NGX_AGAIN;
    }

    state->pending = 1;

    if (ngx_kong_suspend(r) == NGX_ERROR) {
        ldap_auth_gone(state);
        return NGX_ERROR;
    }

    return NGX_AGAIN;
}


static void
ldap_auth_done(void *data, ngx_int_t rc)
{
    ldap_auth_state_t  *state = data;

    state->pending = 0;
    state->answered = 1;
    state->rc = rc;

    ngx_kong_resume(state->request);
}


/* the request ends */
static void
ldap_auth_gone(void *data)
{
    ldap_auth_state_t  *state = data;

    if (state->pending) {
        state->pending = 0;
        ngx_kong_ldap_cancel(&state->op);
    }
}


/* never the password, nor the user's name of an attempt that failed */
static void
ldap_auth_report(ngx_http_request_t *r, ngx_kong_ldap_t *op, ngx_int_t rc)
{
    ngx_str_t                      text;
    ngx_uint_t                     level;
    const ngx_kong_ldap_server_t  *server;

    if (rc == NGX_OK) {
        return;
    }

    server = op->server;
    text.data = op->text;
    text.len = op->text_len;

    if (rc == NGX_ERROR) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, op->err,
                      "ldap server \"%V:%ui\" does not answer: %s%s%V",
                      &server->host.name, (ngx_uint_t) server->port,
                      op->error ? op->error : "out of memory",
                      text.len ? ": " : "", &text);
        return;
    }

    level = op->code == KONG_LDAP_INVALID_CREDENTIALS
            || op->code == KONG_LDAP_NO_SUCH_OBJECT
            || op->code == KONG_LDAP_INVALID_DN ? NGX_LOG_INFO : NGX_LOG_ERR;

    ngx_log_error(level, r->connection->log, 0,
                  "ldap server \"%V:%ui\" refuses a bind: result %uD%s%V",
                  &server->host.name, (ngx_uint_t) server->port, op->code,
                  text.len ? ": " : "", &text);
}


static ngx_int_t
ldap_auth_pass(ngx_http_request_t *r, ldap_auth_state_t *state,
    ldap_auth_conf_t *conf)
{
    const ngx_str_t  *name;

    if (conf->hide) {
        for (name = ldap_auth_headers; name->len != 0; name++) {
            ngx_kong_header_in_clear(r, (char *) name->data, name->len);
        }
    }

    return ngx_kong_authenticate(r, KONG_NONE, NULL, &state->user);
}


static ngx_int_t
ldap_auth_digest(ngx_http_request_t *r, ldap_auth_conf_t *conf,
    kong_str_t user, kong_str_t password, u_char *digest)
{
    u_char     *p, *text;
    size_t      size;
    ngx_int_t   rc;

    size = 2 * LDAP_AUTH_DIGEST + sizeof(size_t) + user.len + password.len;

    text = ngx_pnalloc(r->pool, size);
    if (text == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(text, ldap_auth_salt, LDAP_AUTH_DIGEST);
    p = ngx_cpymem(p, conf->digest, LDAP_AUTH_DIGEST);
    p = ngx_cpymem(p, &user.len, sizeof(size_t));
    p = ngx_cpymem(p, user.data, user.len);
    ngx_memcpy(p, password.data, password.len);

    rc = EVP_Digest(text, size, digest, NULL, EVP_sha256(), NULL) == 1
         ? NGX_OK : NGX_ERROR;

    OPENSSL_cleanse(text, size);

    return rc;
}


static ldap_auth_known_t *
ldap_auth_set(const u_char *digest)
{
    uint32_t  n;

    ngx_memcpy(&n, digest, sizeof(n));

    return ldap_auth_known + (n & (LDAP_AUTH_SETS - 1)) * LDAP_AUTH_WAYS;
}


static ngx_uint_t
ldap_auth_is_known(const u_char *digest)
{
    ngx_uint_t          i;
    ldap_auth_known_t  *known;

    if (ldap_auth_known == NULL) {
        return 0;
    }

    known = ldap_auth_set(digest);

    for (i = 0; i < LDAP_AUTH_WAYS; i++) {
        if (known[i].until > ngx_current_msec
            && CRYPTO_memcmp(known[i].digest, digest, LDAP_AUTH_DIGEST) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* in place of itself, or of the one that ends first */
static void
ldap_auth_remember(const u_char *digest, ngx_msec_t ttl)
{
    ngx_uint_t          i;
    ldap_auth_known_t  *known, *to;

    if (ttl == 0) {
        return;
    }

    if (ldap_auth_known == NULL) {
        ldap_auth_known = ngx_calloc(LDAP_AUTH_SETS * LDAP_AUTH_WAYS
                                     * sizeof(ldap_auth_known_t),
                                     ngx_cycle->log);
        if (ldap_auth_known == NULL) {
            return;
        }
    }

    known = ldap_auth_set(digest);
    to = known;

    for (i = 0; i < LDAP_AUTH_WAYS; i++) {

        if (CRYPTO_memcmp(known[i].digest, digest, LDAP_AUTH_DIGEST) == 0) {
            to = &known[i];
            break;
        }

        if (known[i].until < to->until) {
            to = &known[i];
        }
    }

    ngx_memcpy(to->digest, digest, LDAP_AUTH_DIGEST);
    to->until = ngx_current_msec + ttl;
}
