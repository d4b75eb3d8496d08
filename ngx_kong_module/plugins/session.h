/*
 * session: what its files share: session.c (the plugin), session_cookie.c
 * (cookies and times), session_headers.c (what others are told of a session),
 * session_store.c (storage "kong").
 */

#ifndef NGX_KONG_SESSION_H
#define NGX_KONG_SESSION_H

#include "ngx_kong_ask.h"
#include "kong_session.h"


/* the session's own cookie, and the one that remembers */
typedef struct {
    ngx_str_t         name;
    ngx_str_t         additional;        /* sealed with it */
    ngx_str_t         row;               /* sealed with what is stored */
    ngx_str_t         attributes;        /* "; Path=/; Secure" */
    uint64_t          idling;            /* s; 0: no limit */
    uint64_t          rolling;
    uint64_t          absolute;
    unsigned          persistent:1;
} session_cookie_t;

typedef struct {
    session_cookie_t  cookie;
    session_cookie_t  remember;
    uint8_t           key[KONG_SESSION_KEY];
    ngx_str_t         audience;
    ngx_str_t         query_arg;
    ngx_str_t         post_arg;
    uint64_t          stale;             /* s */
    ngx_uint_t        logout_methods;    /* NGX_HTTP_* */
    ngx_uint_t        response_headers;  /* bits of session_headers.c */
    ngx_uint_t        request_headers;
    unsigned          has_remember:1;
    unsigned          read_body:1;
    unsigned          stored:1;          /* in the database */
} session_conf_t;

/* of a request with a session's cookie */
typedef struct {
    kong_session_t    session;
    kong_session_t    remember;
    ngx_kong_ask_t   *ask;               /* the question under way */
    unsigned          opened:1;          /* its cookie is good */
    unsigned          has_remember:1;    /* there is such a cookie */
    unsigned          found:1;           /* the session is known */
    unsigned          none:1;            /* the cookie stands for nothing */
    unsigned          fresh:1;           /* began with this request */
    unsigned          changed:1;         /* must be sent again */
    unsigned          leaving:1;
    unsigned          closed:1;          /* logged out, or nobody's */
} session_state_t;

typedef ngx_int_t (*session_header_pt)(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value);


/* session_cookie.c */

ngx_int_t session_prepare_cookie(ngx_kong_instance_t *in, ngx_pool_t *pool,
    session_conf_t *conf, session_cookie_t *cookie, const char *prefix);
uint64_t session_prepare_seconds(ngx_kong_instance_t *in, const char *prefix,
    const char *name, double missing);
/* the request's, when it is good and its time is not over */
ngx_uint_t session_open(ngx_http_request_t *r, session_conf_t *conf,
    session_cookie_t *cookie, kong_session_t *session);
ngx_int_t session_new_id(kong_session_t *session);
ngx_int_t session_start(kong_session_t *session);
/* NGX_OK when it has become another one, NGX_DECLINED when not */
ngx_int_t session_refresh(session_cookie_t *cookie, kong_session_t *session);
ngx_int_t session_send(ngx_http_request_t *r, session_conf_t *conf,
    session_cookie_t *cookie, kong_session_t *session);
/* the client shall forget its cookies */
ngx_int_t session_forget(ngx_http_request_t *r, session_conf_t *conf,
    session_state_t *state);

/* session_headers.c */

ngx_uint_t session_prepare_headers(ngx_kong_instance_t *in, const char *name,
    ngx_pool_t *pool);
/* what a client has sent under these names */
void session_headers_clear(ngx_http_request_t *r, ngx_uint_t wanted);
ngx_int_t session_headers_set(ngx_http_request_t *r, session_conf_t *conf,
    kong_session_t *session, ngx_uint_t wanted, session_header_pt set);

/* session_store.c */

/* whose it is: NGX_OK; NGX_DECLINED: nobody's, or it cannot be found out;
 * NGX_AGAIN: the handler is called again; NGX_ERROR */
ngx_int_t session_store_find(ngx_http_request_t *r, session_conf_t *conf,
    session_cookie_t *cookie, kong_session_t *session, ngx_kong_ask_t **ask);
/* `old`: the id of the session that it replaces, or NULL.  Nobody waits */
ngx_int_t session_store_new(ngx_http_request_t *r, session_conf_t *conf,
    session_cookie_t *cookie, kong_session_t *session, const uint8_t *old);
ngx_int_t session_store_extend(session_cookie_t *cookie,
    kong_session_t *session);
/* a question that ends the request's session */
ngx_kong_ask_t *session_store_end(ngx_pool_t *pool, session_state_t *state);
/* this worker forgets it at once */
void session_store_forget(session_state_t *state);

#endif
