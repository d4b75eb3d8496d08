/*
 * oauth2: what its files share: oauth2.c (access to resources),
 * oauth2_token.c and oauth2_authorize.c (the endpoints), oauth2_flow.c (what
 * is theirs together), oauth2_find.c (tokens of the database).
 */

#ifndef NGX_KONG_OAUTH2_H
#define NGX_KONG_OAUTH2_H

#include "ngx_kong_ask.h"


typedef enum {
    OAUTH2_PKCE_NONE = 0,
    OAUTH2_PKCE_LAX,
    OAUTH2_PKCE_STRICT
} oauth2_pkce_t;

typedef struct {
    ngx_str_t        header;             /* in lower case */
    ngx_str_t        missing;            /* WWW-Authenticate */
    ngx_str_t        invalid;
    ngx_str_t        provision_key;
    ngx_str_t       *scopes;
    ngx_uint_t       n_scopes;
    double           expiration;         /* s */
    double           refresh_ttl;
    oauth2_pkce_t    pkce;
    const uint8_t   *plugin;             /* its id */
    unsigned         has_scopes:1;
    unsigned         mandatory_scope:1;
    unsigned         code:1;             /* grants */
    unsigned         implicit:1;
    unsigned         client:1;
    unsigned         password:1;
    unsigned         hide:1;
    unsigned         global:1;
    unsigned         terminated:1;
    unsigned         reuse:1;
} oauth2_conf_t;

/* parameters of the endpoints */
typedef enum {
    OAUTH2_GRANT_TYPE = 0,
    OAUTH2_RESPONSE_TYPE,
    OAUTH2_CLIENT_ID,
    OAUTH2_CLIENT_SECRET,
    OAUTH2_REDIRECT_URI,
    OAUTH2_SCOPE,
    OAUTH2_STATE,
    OAUTH2_CODE,
    OAUTH2_CODE_CHALLENGE,
    OAUTH2_CODE_CHALLENGE_METHOD,
    OAUTH2_CODE_VERIFIER,
    OAUTH2_REFRESH_TOKEN,
    OAUTH2_PROVISION_KEY,
    OAUTH2_AUTHENTICATED_USERID,
    OAUTH2_PARAMS
} oauth2_param_name_t;

typedef struct {
    ngx_str_t        value;
    unsigned         given:1;
    unsigned         plain:1;            /* given once, as a text */
} oauth2_param_t;

typedef struct oauth2_flow_s  oauth2_flow_t;

/* a request to an endpoint; run->state */
struct oauth2_flow_s {
    oauth2_conf_t            *conf;
    oauth2_param_t            params[OAUTH2_PARAMS];
    ngx_kong_ask_t           *ask;       /* the question under way */
    ngx_int_t               (*step)(ngx_http_request_t *r,
                                    oauth2_flow_t *flow);

    const kong_credential_t  *client;    /* NULL: none of that id */
    ngx_str_t                *redirect_uris;
    ngx_uint_t                n_redirect_uris;
    ngx_str_t                 redirect_uri;
    ngx_str_t                 secret;    /* that was given */
    ngx_str_t                 scope;     /* of the token to be */
    ngx_str_t                 userid;
    ngx_str_t                 used;      /* id of what is exchanged */
    unsigned                  has_redirect_uris:1;
    unsigned                  public:1;
    unsigned                  hashed:1;
    unsigned                  basic:1;   /* credentials come by header */
    unsigned                  unknown:1; /* WWW-Authenticate: Basic */
    unsigned                  refresh:1; /* a refresh token is issued, too */

    const char               *error;     /* NULL: none so far */
    ngx_str_t                 description;
};

/* what a token is good for */
typedef struct {
    ngx_str_t                 client;    /* id */
    ngx_str_t                 service;   /* empty: any */
    ngx_str_t                 scope;
    ngx_str_t                 userid;
} oauth2_token_t;


/* oauth2.c */

/* JSON; each member begins with a comma */
ngx_int_t oauth2_answer(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *members);
ngx_int_t oauth2_error(ngx_http_request_t *r, ngx_uint_t status,
    const char *error, const char *description);

/* oauth2_token.c, oauth2_authorize.c: access handlers */
ngx_int_t oauth2_token_access(ngx_http_request_t *r, ngx_kong_run_t *run);
ngx_int_t oauth2_authorize_access(ngx_http_request_t *r,
    ngx_kong_run_t *run);

/*
 * oauth2_flow.c.  Begins a flow with its parameters: NGX_OK, or as reading
 * the body says.
 */
ngx_int_t oauth2_flow_begin(ngx_http_request_t *r, ngx_kong_run_t *run,
    oauth2_flow_t **flow);
/* goes on where the last question was asked */
ngx_int_t oauth2_flow_next(ngx_http_request_t *r, oauth2_flow_t *flow);
/* asks; `step` is called with the answer in flow->ask */
ngx_int_t oauth2_flow_ask(ngx_http_request_t *r, oauth2_flow_t *flow,
    ngx_int_t (*step)(ngx_http_request_t *r, oauth2_flow_t *flow));
/* the question without an answer that helps: NGX_ERROR, logged */
ngx_int_t oauth2_flow_failed(ngx_http_request_t *r, oauth2_flow_t *flow);
void oauth2_fail(oauth2_flow_t *flow, const char *error,
    const char *description);
/* fails, with access_denied, unless the client came by TLS */
ngx_uint_t oauth2_is_https(ngx_http_request_t *r, oauth2_flow_t *flow);
/* client, redirect_uris and the others of this id, if there is one */
ngx_int_t oauth2_flow_client(ngx_http_request_t *r, oauth2_flow_t *flow,
    ngx_str_t *id);
/* fails unless it is one of the client's */
void oauth2_check_redirect(oauth2_flow_t *flow, const char *description);
/* into flow->scope; fails */
ngx_int_t oauth2_check_scope(ngx_http_request_t *r, oauth2_flow_t *flow);
void oauth2_check_provision_key(oauth2_flow_t *flow);
/* into flow->userid; fails */
void oauth2_check_userid(oauth2_flow_t *flow);
ngx_uint_t oauth2_is(oauth2_param_t *param, const char *text);
ngx_uint_t oauth2_is_blank(ngx_str_t *text);
/* a client that must show that it began what it ends */
ngx_uint_t oauth2_needs_pkce(oauth2_flow_t *flow);
/* an id of the route's service in *id, NULL where credentials are global;
 * NGX_ERROR: there is no service */
ngx_int_t oauth2_service(ngx_http_request_t *r, oauth2_conf_t *conf,
    const uint8_t **id);
/* asks for a token of the flow's scope and user */
ngx_int_t oauth2_issue(ngx_http_request_t *r, oauth2_flow_t *flow,
    const char *exchange,
    ngx_int_t (*step)(ngx_http_request_t *r, oauth2_flow_t *flow));
/* Cache-Control, Pragma and the rest */
ngx_int_t oauth2_flow_answer(ngx_http_request_t *r, oauth2_flow_t *flow,
    ngx_uint_t status, ngx_str_t *members);
ngx_int_t oauth2_flow_refuse(ngx_http_request_t *r, oauth2_flow_t *flow);
/* ",\"name\":\"value\"" at p; NULL counts */
size_t oauth2_member(u_char *p, const char *name, ngx_str_t *value);

/* oauth2_find.c: NGX_OK with the token; NGX_DECLINED: there is none;
 * NGX_AGAIN: the handler is called again; NGX_ERROR: it cannot be found out.
 * *ask is NULL at first, then the question */
ngx_int_t oauth2_find_token(ngx_http_request_t *r, ngx_kong_ask_t **ask,
    ngx_str_t *text, oauth2_token_t *token);

#endif
