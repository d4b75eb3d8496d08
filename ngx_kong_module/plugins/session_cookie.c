/*
 * session_cookie: a session's cookies, and when its time is over.
 */

#include "session.h"

#include <openssl/err.h>
#include <openssl/rand.h>


#define SESSION_TOUCH  60            /* s between changes of `touched` */


static ngx_uint_t session_is_over(session_cookie_t *cookie,
    kong_session_t *session);
static ngx_int_t session_expire(ngx_http_request_t *r,
    session_cookie_t *cookie);


ngx_int_t
session_prepare_cookie(ngx_kong_instance_t *in, ngx_pool_t *pool,
    session_conf_t *conf, session_cookie_t *cookie, const char *prefix)
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

    cookie->idling = session_prepare_seconds(in, "", "idling_timeout", 900);
    cookie->rolling = session_prepare_seconds(in, prefix, "rolling_timeout",
                                              remembers ? 604800 : 3600);
    cookie->absolute = session_prepare_seconds(in, prefix, "absolute_timeout",
                                               remembers ? 2592000 : 86400);

    path = ngx_kong_conf_str(in, "cookie_path");
    domain = ngx_kong_conf_str(in, "cookie_domain");
    same_site = ngx_kong_conf_str(in, "cookie_same_site");

    len = path.len + domain.len + same_site.len
          + sizeof("; Path=; Domain=; SameSite=; Secure; HttpOnly");

    len += 2 * (cookie->name.len + conf->audience.len + sizeof("..kong"));

    p = ngx_pnalloc(pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    /* what is sealed for one purpose opens for no other */

    cookie->additional.data = p;
    p = ngx_sprintf(p, "%V%Z%V", &cookie->name, &conf->audience);

    if (conf->stored) {
        p = ngx_sprintf(p, "%Zkong");
    }

    cookie->additional.len = p - cookie->additional.data;

    cookie->row.data = p;
    p = ngx_sprintf(p, "%V%Z%V%Zrow", &cookie->name, &conf->audience);
    cookie->row.len = p - cookie->row.data;

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


uint64_t
session_prepare_seconds(ngx_kong_instance_t *in, const char *prefix,
    const char *name, double missing)
{
    double  n;
    u_char  text[64];

    ngx_snprintf(text, sizeof(text), "%s%s%Z", prefix, name);
    n = ngx_kong_conf_num(in, (char *) text, missing);

    return n >= 1 && n < 1e12 ? (uint64_t) n : 0;
}


ngx_uint_t
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


ngx_int_t
session_new_id(kong_session_t *session)
{
    if (RAND_bytes(session->id, KONG_SESSION_ID) != 1) {
        ERR_clear_error();
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
session_start(kong_session_t *session)
{
    session->created = (uint64_t) ngx_time();
    session->renewed = session->created;
    session->touched = session->created;

    return session_new_id(session);
}


ngx_int_t
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


ngx_int_t
session_send(ngx_http_request_t *r, session_conf_t *conf,
    session_cookie_t *cookie, kong_session_t *session)
{
    static ngx_str_t  header = ngx_string("Set-Cookie");

    u_char          *p;
    time_t           end;
    ngx_str_t        value;
    kong_str_t       additional;
    kong_session_t   sealed;

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

    sealed = *session;

    if (conf->stored) {
        /* whose it is stands in the database */
        ngx_memzero(sealed.consumer, sizeof(sealed.consumer));
        ngx_memzero(sealed.credential, sizeof(sealed.credential));
    }

    if (kong_session_seal(conf->key, additional, &sealed, (char *) p) != 0) {
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


ngx_int_t
session_forget(ngx_http_request_t *r, session_conf_t *conf,
    session_state_t *state)
{
    if (session_expire(r, &conf->cookie) != NGX_OK) {
        return NGX_ERROR;
    }

    return state->has_remember ? session_expire(r, &conf->remember) : NGX_OK;
}


static ngx_int_t
session_expire(ngx_http_request_t *r, session_cookie_t *cookie)
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
