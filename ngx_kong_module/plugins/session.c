/*
 * session: a cookie that stands for an authentication.  The cookie holds the
 * whole session (kong_session.h); nothing is kept here, so that any node with
 * the same secret takes it.  Storage "kong" needs writes and is refused when
 * a configuration is published.
 */

#include "ngx_kong_plugin.h"
#include "kong_session.h"

#include <openssl/err.h>
#include <openssl/rand.h>


#define SESSION_TOUCH  60            /* s between changes of `touched` */

/* response_headers, request_headers */
typedef enum {
    SESSION_ID = 0,
    SESSION_AUDIENCE,
    SESSION_SUBJECT,
    SESSION_TIMEOUT,
    SESSION_IDLING,
    SESSION_ROLLING,
    SESSION_ABSOLUTE,
    SESSION_PROPERTIES
} session_property_t;

/* the session's own cookie, and the one that remembers */
typedef struct {
    ngx_str_t    name;
    ngx_str_t    additional;             /* sealed with it */
    ngx_str_t    attributes;             /* "; Path=/; Secure" */
    uint64_t     idling;                 /* s; 0: no limit */
    uint64_t     rolling;
    uint64_t     absolute;
    unsigned     persistent:1;
} session_cookie_t;

typedef struct {
    session_cookie_t   cookie;
    session_cookie_t   remember;
    uint8_t            key[KONG_SESSION_KEY];
    ngx_str_t          audience;
    ngx_str_t          query_arg;
    ngx_str_t          post_arg;
    ngx_uint_t         logout_methods;   /* NGX_HTTP_* */
    ngx_uint_t         response_headers; /* bits, by session_property_t */
    ngx_uint_t         request_headers;
    unsigned           has_remember:1;
    unsigned           read_body:1;
} session_conf_t;

/* of a request with a session */
typedef struct {
    kong_session_t     session;
    kong_session_t     remember;
    unsigned           has_remember:1;   /* there is such a cookie */
    unsigned           changed:1;        /* must be sent again */
    unsigned           closed:1;         /* logged out, or nobody's */
} session_state_t;


static void *session_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool);
static ngx_int_t session_prepare_cookie(ngx_kong_instance_t *in,
    ngx_pool_t *pool, session_cookie_t *cookie, const char *prefix,
    ngx_str_t *audience);
static uint64_t session_prepare_timeout(ngx_kong_instance_t *in,
    const char *prefix, const char *name, double missing);
static ngx_uint_t session_prepare_headers(ngx_kong_instance_t *in,
    const char *name, ngx_pool_t *pool);
static ngx_uint_t session_prepare_methods(ngx_kong_instance_t *in,
    ngx_pool_t *pool);
static ngx_int_t session_access(ngx_http_request_t *r, ngx_kong_run_t *run);
static ngx_int_t session_logout(ngx_http_request_t *r, session_conf_t *conf);
static ngx_int_t session_find(ngx_http_request_t *r, session_conf_t *conf,
    session_state_t **state);
static ngx_uint_t session_open(ngx_http_request_t *r, session_conf_t *conf,
    session_cookie_t *cookie, kong_session_t *session);
static ngx_uint_t session_is_over(session_cookie_t *cookie,
    kong_session_t *session);
static ngx_int_t session_start(kong_session_t *session);
static ngx_int_t session_refresh(session_cookie_t *cookie,
    kong_session_t *session);
static uint32_t session_consumer(ngx_http_request_t *r,
    session_state_t *state);
static ngx_int_t session_authenticate(ngx_http_request_t *r,
    uint32_t consumer, kong_session_t *session);
static ngx_int_t session_header_filter(ngx_http_request_t *r,
    ngx_kong_run_t *run);
static ngx_int_t session_send(ngx_http_request_t *r, session_conf_t *conf,
    session_cookie_t *cookie, kong_session_t *session);
static ngx_int_t session_close(ngx_http_request_t *r, session_conf_t *conf,
    session_state_t *state);
static ngx_int_t session_forget(ngx_http_request_t *r,
    session_cookie_t *cookie);
static ngx_int_t session_properties(ngx_http_request_t *r,
    session_conf_t *conf, kong_session_t *session, ngx_uint_t wanted,
    ngx_int_t (*set)(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value));
static ngx_int_t session_property(ngx_http_request_t *r, session_conf_t *conf,
    kong_session_t *session, ngx_uint_t property, ngx_str_t *value);


const ngx_kong_plugin_t  ngx_kong_session = {
    .name = ngx_string("session"),
    .prepare = session_prepare,
    .access = session_access,
    .header_filter = session_header_filter
};

static const struct {
    ngx_str_t   name;
    ngx_str_t   header;
    ngx_str_t   lower;
} session_headers[SESSION_PROPERTIES] = {
    { ngx_string("id"), ngx_string("Session-Id"), ngx_string("session-id") },
    { ngx_string("audience"), ngx_string("Session-Audience"),
      ngx_string("session-audience") },
    { ngx_string("subject"), ngx_string("Session-Subject"),
      ngx_string("session-subject") },
    { ngx_string("timeout"), ngx_string("Session-Timeout"),
      ngx_string("session-timeout") },
    { ngx_string("idling-timeout"), ngx_string("Session-Idling-Timeout"),
      ngx_string("session-idling-timeout") },
    { ngx_string("rolling-timeout"), ngx_string("Session-Rolling-Timeout"),
      ngx_string("session-rolling-timeout") },
    { ngx_string("absolute-timeout"), ngx_string("Session-Absolute-Timeout"),
      ngx_string("session-absolute-timeout") }
};


static void *
session_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool)
{
    ngx_str_t        secret;
    kong_str_t       s;
    session_conf_t  *conf;

    conf = ngx_pcalloc(pool, sizeof(session_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    secret = ngx_kong_conf_str(in, "secret");
    s.data = (char *) secret.data;
    s.len = secret.len;

    conf->audience = ngx_kong_conf_str(in, "audience");
    conf->query_arg = ngx_kong_conf_str(in, "logout_query_arg");
    conf->post_arg = ngx_kong_conf_str(in, "logout_post_arg");
    conf->has_remember = ngx_kong_conf_flag(in, "remember");
    conf->read_body = ngx_kong_conf_flag(in, "read_body_for_logout");
    conf->logout_methods = session_prepare_methods(in, pool);
    conf->response_headers = session_prepare_headers(in, "response_headers",
                                                     pool);
    conf->request_headers = session_prepare_headers(in, "request_headers",
                                                    pool);

    if (kong_session_key(s, conf->key) != 0
        || session_prepare_cookie(in, pool, &conf->cookie, "",
                                  &conf->audience)
           != NGX_OK
        || session_prepare_cookie(in, pool, &conf->remember, "remember_",
                                  &conf->audience)
           != NGX_OK)
    {
        return NULL;
    }

    /* what is remembered is so without anyone being there */
    conf->remember.idling = 0;
    conf->remember.persistent = 1;

    return conf;
}


static ngx_int_t
session_prepare_cookie(ngx_kong_instance_t *in, ngx_pool_t *pool,
    session_cookie_t *cookie, const char *prefix, ngx_str_t *audience)
{
    u_char      *p;
    size_t       len;
    ngx_str_t    path, domain, same_site;
    ngx_uint_t   remembers;

    remembers = (*prefix != '\0');

    cookie->name = ngx_kong_conf_str(in, remembers ? "remember_cookie_name"
                                                   : "cookie_name");
    if (cookie->name.len == 0) {
        ngx_str_set(&cookie->name, "session");

        if (remembers) {
            ngx_str_set(&cookie->name, "remember");
        }
    }

    cookie->idling = session_prepare_timeout(in, "", "idling_timeout", 900);
    cookie->rolling = session_prepare_timeout(in, prefix, "rolling_timeout",
                                              remembers ? 604800 : 3600);
    cookie->absolute = session_prepare_timeout(in, prefix, "absolute_timeout",
                                               remembers ? 2592000 : 86400);

    path = ngx_kong_conf_str(in, "cookie_path");
    domain = ngx_kong_conf_str(in, "cookie_domain");
    same_site = ngx_kong_conf_str(in, "cookie_same_site");

    len = path.len + domain.len + same_site.len
          + sizeof("; Path=; Domain=; SameSite=; Secure; HttpOnly");

    p = ngx_pnalloc(pool, len + cookie->name.len + audience->len + 2);
    if (p == NULL) {
        return NGX_ERROR;
    }

    cookie->additional.data = p;
    cookie->additional.len = ngx_sprintf(p, "%V%Z%V", &cookie->name, audience)
                             - p;
    p += cookie->additional.len;
    cookie->attributes.data = p;

    if (path.len != 0) {
        p = ngx_sprintf(p, "; Path=%V", &path);
    }

    if (domain.len != 0) {
        p = ngx_sprintf(p, "; Domain=%V", &domain);
    }

    if (same_site.len != 0
        && !(same_site.len == 7
             && ngx_memcmp(same_site.data, "Default", 7) == 0))
    {
        p = ngx_sprintf(p, "; SameSite=%V", &same_site);
    }

    if (ngx_kong_conf_flag(in, "cookie_secure")) {
        p = ngx_cpymem(p, "; Secure", 8);
    }

    if (ngx_kong_conf_flag(in, "cookie_http_only")) {
        p = ngx_cpymem(p, "; HttpOnly", 10);
    }

    cookie->attributes.len = p - cookie->attributes.data;

    return NGX_OK;
}


static uint64_t
session_prepare_timeout(ngx_kong_instance_t *in, const char *prefix,
    const char *name, double missing)
{
    double  n;
    u_char  text[64];

    ngx_snprintf(text, sizeof(text), "%s%s%Z", prefix, name);
    n = ngx_kong_conf_num(in, (char *) text, missing);

    return n >= 1 && n < 1e12 ? (uint64_t) n : 0;
}


static ngx_uint_t
session_prepare_headers(ngx_kong_instance_t *in, const char *name,
    ngx_pool_t *pool)
{
    ngx_str_t   *list;
    ngx_uint_t   i, j, n, bits;

    list = ngx_kong_conf_strs(in, name, pool, &n);
    bits = 0;

    for (i = 0; i < n; i++) {
        for (j = 0; j < SESSION_PROPERTIES; j++) {
            if (list[i].len == session_headers[j].name.len
                && ngx_memcmp(list[i].data, session_headers[j].name.data,
                              list[i].len)
                   == 0)
            {
                bits |= 1 << j;
            }
        }
    }

    return bits;
}


static ngx_uint_t
session_prepare_methods(ngx_kong_instance_t *in, ngx_pool_t *pool)
{
    ngx_str_t   *list;
    ngx_uint_t   i, n, bits;

    list = ngx_kong_conf_strs(in, "logout_methods", pool, &n);
    bits = 0;

    for (i = 0; i < n; i++) {
        if (list[i].len == 3) {
            bits |= NGX_HTTP_GET;

        } else if (list[i].len == 4) {
            bits |= NGX_HTTP_POST;

        } else {
            bits |= NGX_HTTP_DELETE;
        }
    }

    return bits;
}


static ngx_int_t
session_access(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    uint32_t          consumer;
    ngx_int_t         rc;
    ngx_uint_t        i;
    session_conf_t   *conf;
    session_state_t  *state;

    conf = run->instance->conf;

    for (i = 0; i < SESSION_PROPERTIES; i++) {
        if (conf->request_headers & (1 << i)) {
            ngx_kong_header_in_clear(r, (char *) session_headers[i].lower.data,
                                     session_headers[i].lower.len);
        }
    }

    /* a body that had to be read brings us here again */

    if (run->state == NULL) {
        rc = session_find(r, conf, &state);

        if (rc != NGX_OK) {
            return rc == NGX_DECLINED ? NGX_OK : rc;
        }

        run->state = state;
    }

    state = run->state;
    rc = session_logout(r, conf);

    if (rc == NGX_OK) {
        state->closed = 1;
        return ngx_kong_exit(r, NGX_HTTP_OK, NULL, NULL);
    }

    if (rc != NGX_DECLINED) {
        return rc;
    }

    consumer = session_consumer(r, state);

    if (consumer == KONG_NONE) {
        state->closed = 1;
        return NGX_OK;
    }

    if (session_properties(r, conf, &state->session, conf->request_headers,
                           ngx_kong_header_in_set)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return session_authenticate(r, consumer, &state->session);
}


/* NGX_OK: the client wants out, NGX_DECLINED: not, or as reading its body
 * says */
static ngx_int_t
session_logout(ngx_http_request_t *r, session_conf_t *conf)
{
    ngx_int_t  rc;
    ngx_str_t  value, body;

    if (!(r->method & conf->logout_methods)) {
        return NGX_DECLINED;
    }

    if (conf->query_arg.len != 0) {
        rc = ngx_kong_arg(r, &conf->query_arg, 0, &value);

        if (rc != NGX_DECLINED) {
            return rc;
        }
    }

    if (!conf->read_body || conf->post_arg.len == 0) {
        return NGX_DECLINED;
    }

    rc = ngx_kong_body(r, NGX_KONG_BODY_MAX, &body);

    if (rc == NGX_OK && body.len != 0) {
        return ngx_kong_body_arg(r, &body, &conf->post_arg, &value);
    }

    return rc == NGX_OK ? NGX_DECLINED : rc;
}


/* NGX_DECLINED: there is none */
static ngx_int_t
session_find(ngx_http_request_t *r, session_conf_t *conf,
    session_state_t **found)
{
    ngx_uint_t        opened, remembered;
    session_state_t   state;

    ngx_memzero(&state, sizeof(session_state_t));

    opened = session_open(r, conf, &conf->cookie, &state.session);
    remembered = conf->has_remember
                 && session_open(r, conf, &conf->remember, &state.remember);

    if (!opened && !remembered) {
        return NGX_DECLINED;
    }

    state.has_remember = remembered;

    if (!opened) {
        ngx_memcpy(state.session.consumer, state.remember.consumer, 16);
        ngx_memcpy(state.session.credential, state.remember.credential, 16);
        state.session.index = state.remember.index;
        state.changed = 1;

        if (session_start(&state.session) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    *found = ngx_palloc(r->pool, sizeof(session_state_t));
    if (*found == NULL) {
        return NGX_ERROR;
    }

    **found = state;

    return NGX_OK;
}


static ngx_uint_t
session_open(ngx_http_request_t *r, session_conf_t *conf,
    session_cookie_t *cookie, kong_session_t *session)
{
    ngx_str_t   value;
    kong_str_t  additional;

    if (ngx_kong_cookie(r, &cookie->name, &value) != NGX_OK) {
        return 0;
    }

    additional.data = (char *) cookie->additional.data;
    additional.len = cookie->additional.len;

    return kong_session_open(conf->key, additional, (char *) value.data,
                             value.len, session)
           && !session_is_over(cookie, session);
}


static ngx_uint_t
session_is_over(session_cookie_t *cookie, kong_session_t *session)
{
    uint64_t  now;

    now = (uint64_t) ngx_time();

    return (cookie->absolute && session->created + cookie->absolute <= now)
           || (cookie->rolling && session->renewed + cookie->rolling <= now)
           || (cookie->idling && session->touched + cookie->idling <= now);
}


static ngx_int_t
session_start(kong_session_t *session)
{
    session->created = (uint64_t) ngx_time();
    session->renewed = session->created;
    session->touched = session->created;

    if (RAND_bytes(session->id, KONG_SESSION_ID) != 1) {
        ERR_clear_error();
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* NGX_OK when it has become another one, NGX_DECLINED when not */
static ngx_int_t
session_refresh(session_cookie_t *cookie, kong_session_t *session)
{
    uint64_t  now, touch;

    now = (uint64_t) ngx_time();

    /* renewed in the last quarter of its time */

    if (cookie->rolling
        && now >= session->renewed + cookie->rolling - cookie->rolling / 4)
    {
        session->renewed = now;
        session->touched = now;
        return NGX_OK;
    }

    touch = ngx_min(SESSION_TOUCH, cookie->idling / 4);

    if (cookie->idling && now >= session->touched + ngx_max(touch, 1)) {
        session->touched = now;
        return NGX_OK;
    }

    return NGX_DECLINED;
}


/* index or KONG_NONE.  The hint is right until consumers come or go; then
 * all are looked through, once for a session */
static uint32_t
session_consumer(ngx_http_request_t *r, session_state_t *state)
{
    uint32_t               i, n;
    ngx_http_kong_ctx_t   *ctx;
    const kong_segment_t  *seg;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);
    seg = &ctx->generation->config->seg;

    n = seg->sections[KONG_SECTION_CONSUMERS].n;
    i = state->session.index;

    if (i < n && ngx_memcmp(kong_consumer(seg, i)->id,
                            state->session.consumer, 16) == 0)
    {
        return i;
    }

    for (i = 0; i < n; i++) {
        if (ngx_memcmp(kong_consumer(seg, i)->id, state->session.consumer, 16)
            == 0)
        {
            state->session.index = i;
            state->remember.index = i;
            state->changed = 1;
            return i;
        }
    }

    return KONG_NONE;
}


static ngx_int_t
session_authenticate(ngx_http_request_t *r, uint32_t consumer,
    kong_session_t *session)
{
    ngx_str_t             id;

    static const uint8_t  none[16];

    id.len = 36;
    id.data = ngx_pnalloc(r->pool, 37);
    if (id.data == NULL) {
        return NGX_ERROR;
    }

    kong_uuid_text(ngx_memcmp(session->credential, none, 16) == 0
                   ? session->consumer : session->credential,
                   (char *) id.data);

    return ngx_kong_authenticate(r, consumer, NULL, &id);
}


/* what a plugin has authenticated becomes a session, or keeps one alive */
static ngx_int_t
session_header_filter(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    const uint8_t        *consumer;
    session_conf_t       *conf;
    session_state_t      *state, fresh;
    ngx_http_kong_ctx_t  *ctx;

    conf = run->instance->conf;
    state = run->state;
    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    if (!ctx->authenticated || ctx->anonymous || ctx->consumer == KONG_NONE) {
        return state != NULL && state->closed ? session_close(r, conf, state)
                                              : NGX_OK;
    }

    consumer = kong_consumer(&ctx->generation->config->seg, ctx->consumer)
               ->id;

    if (state != NULL && !state->closed
        && ngx_memcmp(state->session.consumer, consumer, 16) == 0
        && (ctx->credential == NULL
            || ngx_memcmp(state->session.credential, ctx->credential->id, 16)
               == 0))
    {
        if (session_refresh(&conf->cookie, &state->session) == NGX_OK) {
            state->changed = 1;
        }

    } else {
        ngx_memzero(&fresh, sizeof(session_state_t));
        ngx_memcpy(fresh.session.consumer, consumer, 16);
        fresh.session.index = ctx->consumer;

        if (ctx->credential != NULL) {
            ngx_memcpy(fresh.session.credential, ctx->credential->id, 16);
        }

        if (session_start(&fresh.session) != NGX_OK) {
            return NGX_ERROR;
        }

        fresh.changed = 1;
        state = &fresh;
    }

    if (session_properties(r, conf, &state->session, conf->response_headers,
                           ngx_kong_header_out_set)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (state->changed
        && session_send(r, conf, &conf->cookie, &state->session) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (!conf->has_remember) {
        return NGX_OK;
    }

    if (state->has_remember) {
        return session_refresh(&conf->remember, &state->remember)
               == NGX_DECLINED
               ? NGX_OK
               : session_send(r, conf, &conf->remember, &state->remember);
    }

    /* a session that began without: nothing to remember later */

    return state->changed
           ? session_send(r, conf, &conf->remember, &state->session) : NGX_OK;
}


static ngx_int_t
session_send(ngx_http_request_t *r, session_conf_t *conf,
    session_cookie_t *cookie, kong_session_t *session)
{
    static ngx_str_t  header = ngx_string("Set-Cookie");

    u_char      *p;
    time_t       end;
    ngx_str_t    value;
    kong_str_t   additional;

    p = ngx_pnalloc(r->pool, cookie->name.len + KONG_SESSION_TEXT
                             + cookie->attributes.len + NGX_TIME_T_LEN
                             + sizeof("=; Expires=; Max-Age=")
                             + sizeof("Mon, 28 Sep 1970 06:00:00 GMT"));
    if (p == NULL) {
        return NGX_ERROR;
    }

    value.data = p;
    p = ngx_cpymem(p, cookie->name.data, cookie->name.len);
    *p++ = '=';

    additional.data = (char *) cookie->additional.data;
    additional.len = cookie->additional.len;

    if (kong_session_seal(conf->key, additional, session, (char *) p) != 0) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(p + KONG_SESSION_TEXT, cookie->attributes.data,
                   cookie->attributes.len);

    if (cookie->persistent && cookie->rolling != 0) {
        end = (time_t) (session->renewed + cookie->rolling);
        p = ngx_cpymem(p, "; Expires=", 10);
        p = ngx_http_time(p, end);
        p = ngx_sprintf(p, "; Max-Age=%T", end - ngx_time());
    }

    value.len = p - value.data;

    return ngx_kong_header_out_add(r, &header, &value);
}


/* the client shall forget its cookies */
static ngx_int_t
session_close(ngx_http_request_t *r, session_conf_t *conf,
    session_state_t *state)
{
    if (session_forget(r, &conf->cookie) != NGX_OK) {
        return NGX_ERROR;
    }

    return state->has_remember ? session_forget(r, &conf->remember) : NGX_OK;
}


static ngx_int_t
session_forget(ngx_http_request_t *r, session_cookie_t *cookie)
{
    static ngx_str_t  header = ngx_string("Set-Cookie");

    u_char     *p;
    ngx_str_t   value;

    static const char  format[] = "%V=%V; Expires=Thu, 01 Jan 1970 00:00:01 "
                                  "GMT; Max-Age=0";

    p = ngx_pnalloc(r->pool, sizeof(format) + cookie->name.len
                             + cookie->attributes.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value.data = p;
    value.len = ngx_sprintf(p, format, &cookie->name, &cookie->attributes)
                - p;

    return ngx_kong_header_out_add(r, &header, &value);
}


static ngx_int_t
session_properties(ngx_http_request_t *r, session_conf_t *conf,
    kong_session_t *session, ngx_uint_t wanted,
    ngx_int_t (*set)(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value))
{
    ngx_int_t   rc;
    ngx_str_t   name, value;
    ngx_uint_t  i;

    for (i = 0; i < SESSION_PROPERTIES; i++) {

        if (!(wanted & (1 << i))) {
            continue;
        }

        rc = session_property(r, conf, session, i, &value);

        if (rc == NGX_DECLINED) {
            continue;
        }

        name = session_headers[i].header;

        if (rc != NGX_OK || set(r, &name, &value) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* NGX_DECLINED: it has no such limit */
static ngx_int_t
session_property(ngx_http_request_t *r, session_conf_t *conf,
    kong_session_t *session, ngx_uint_t property, ngx_str_t *value)
{
    uint64_t           ends[3], end, now;
    ngx_uint_t         i;
    session_cookie_t  *cookie;

    cookie = &conf->cookie;

    if (property == SESSION_AUDIENCE) {
        *value = conf->audience;
        return NGX_OK;
    }

    value->data = ngx_pnalloc(r->pool, 64);
    if (value->data == NULL) {
        return NGX_ERROR;
    }

    if (property == SESSION_ID) {
        value->len = kong_base64url_encode(session->id, KONG_SESSION_ID,
                                           (char *) value->data);
        return NGX_OK;
    }

    if (property == SESSION_SUBJECT) {
        kong_uuid_text(session->consumer, (char *) value->data);
        value->len = 36;
        return NGX_OK;
    }

    ends[0] = cookie->idling ? session->touched + cookie->idling : 0;
    ends[1] = cookie->rolling ? session->renewed + cookie->rolling : 0;
    ends[2] = cookie->absolute ? session->created + cookie->absolute : 0;

    end = 0;

    for (i = 0; i < 3; i++) {
        if (ends[i] != 0 && (end == 0 || ends[i] < end)
            && (property == SESSION_TIMEOUT
                || property == SESSION_IDLING + i))
        {
            end = ends[i];
        }
    }

    if (end == 0) {
        return NGX_DECLINED;
    }

    now = (uint64_t) ngx_time();
    value->len = ngx_sprintf(value->data, "%uL", end > now ? end - now : 0)
                 - value->data;

    return NGX_OK;
}
