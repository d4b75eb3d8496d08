/*
 * oauth2_authorize: the authorization endpoint.  The application's own pages
 * call it, with the provision key, once their user has agreed; the answer is
 * where the user's browser shall go.
 */

#include "oauth2.h"
#include "kong_base64.h"
#include "ngx_kong_fields.h"


#define OAUTH2_CODE_TTL       300
#define OAUTH2_CHALLENGE_MAX  512
#define OAUTH2_PAIRS          6

typedef struct {
    ngx_str_t    name;
    ngx_str_t    value;
} oauth2_pair_t;


static ngx_int_t oauth2_authorize_check(ngx_http_request_t *r,
    oauth2_flow_t *flow);
static ngx_int_t oauth2_authorize_challenge(ngx_http_request_t *r,
    oauth2_flow_t *flow, ngx_str_t *challenge);
static ngx_int_t oauth2_authorize_code(ngx_http_request_t *r,
    oauth2_flow_t *flow, ngx_str_t *challenge);
static ngx_int_t oauth2_authorize_coded(ngx_http_request_t *r,
    oauth2_flow_t *flow);
static ngx_int_t oauth2_authorize_issued(ngx_http_request_t *r,
    oauth2_flow_t *flow);
static ngx_int_t oauth2_authorize_refuse(ngx_http_request_t *r,
    oauth2_flow_t *flow);
static ngx_int_t oauth2_authorize_redirect(ngx_http_request_t *r,
    oauth2_flow_t *flow, ngx_uint_t status, u_char mark,
    oauth2_pair_t *pairs);
static void oauth2_authorize_split(ngx_str_t *uri, u_char mark,
    ngx_str_t *before, ngx_str_t *part, ngx_str_t *after);
static ngx_int_t oauth2_authorize_pairs(ngx_http_request_t *r,
    ngx_str_t *text, oauth2_pair_t *pairs, ngx_array_t *all);
static ngx_int_t oauth2_authorize_order(const void *one, const void *two);
static u_char *oauth2_authorize_escape(u_char *p, ngx_str_t *text);


ngx_int_t
oauth2_authorize_access(ngx_http_request_t *r, ngx_kong_run_t *run)
{
    ngx_int_t       rc;
    oauth2_flow_t  *flow;

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

    oauth2_check_userid(flow);
    oauth2_check_provision_key(flow);

    return flow->error != NULL ? oauth2_flow_refuse(r, flow)
                               : oauth2_authorize_check(r, flow);
}


static ngx_int_t
oauth2_authorize_check(ngx_http_request_t *r, oauth2_flow_t *flow)
{
    ngx_str_t        challenge, none;
    oauth2_param_t  *type, *id;

    type = &flow->params[OAUTH2_RESPONSE_TYPE];
    id = &flow->params[OAUTH2_CLIENT_ID];
    ngx_str_null(&none);

    if (!(flow->conf->code && oauth2_is(type, "code"))
        && !(flow->conf->implicit && oauth2_is(type, "token")))
    {
        oauth2_fail(flow, "unsupported_response_type",
                    "Invalid response_type");
    }

    if (oauth2_check_scope(r, flow) != NGX_OK
        || oauth2_flow_client(r, flow, id->plain ? &id->value : &none)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (flow->has_redirect_uris) {
        oauth2_check_redirect(flow, "Invalid redirect_uri that does not "
                              "match with any redirect_uri created with the "
                              "application");
    } else {
        oauth2_fail(flow, "invalid_client", "Invalid client authentication");
    }

    if (oauth2_authorize_challenge(r, flow, &challenge) != NGX_OK) {
        return NGX_ERROR;
    }

    if (flow->error != NULL) {
        return oauth2_authorize_refuse(r, flow);
    }

    return oauth2_is(type, "code")
           ? oauth2_authorize_code(r, flow, &challenge)
           : oauth2_issue(r, flow, NULL, oauth2_authorize_issued);
}


/* empty when there is none; fails */
static ngx_int_t
oauth2_authorize_challenge(ngx_http_request_t *r, oauth2_flow_t *flow,
    ngx_str_t *challenge)
{
    size_t           len;
    ssize_t          n;
    uint8_t         *bytes;
    oauth2_param_t  *p, *method;

    p = &flow->params[OAUTH2_CODE_CHALLENGE];
    method = &flow->params[OAUTH2_CODE_CHALLENGE_METHOD];
    ngx_str_null(challenge);

    if (!p->given) {
        if (method->given) {
            oauth2_fail(flow, "invalid_request", "code_challenge is required "
                        "when code_method is present");

        } else if (flow->client != NULL && oauth2_needs_pkce(flow)) {
            oauth2_fail(flow, "invalid_request", flow->public
                        ? "code_challenge is required for public clients"
                        : "code_challenge is required for confidential "
                          "clients");
        }

        return NGX_OK;
    }

    if (method->given && !oauth2_is(method, "S256")
        && !oauth2_is(method, "s256"))
    {
        oauth2_fail(flow, "invalid_request", "code_challenge_method is not "
                    "supported, must be S256");
        return NGX_OK;
    }

    if (!p->plain || p->value.len == 0
        || p->value.len > OAUTH2_CHALLENGE_MAX
        || !ngx_kong_ask_takes(&p->value))
    {
        oauth2_fail(flow, "invalid_request", "code_challenge is invalid");
        return NGX_OK;
    }

    /* the one spelling that a verifier's digest is written in */

    *challenge = p->value;
    len = p->value.len;

    while (len > 1 && p->value.data[len - 1] == '=') {
        len--;
    }

    bytes = ngx_pnalloc(r->pool, 2 * kong_base64_size(len) + len);
    if (bytes == NULL) {
        return NGX_ERROR;
    }

    n = kong_base64_decode((char *) p->value.data, len, KONG_BASE64_ANY,
                           bytes);
    if (n > 0) {
        challenge->data = bytes + kong_base64_size(len);
        challenge->len = kong_base64url_encode(bytes, n,
                                               (char *) challenge->data);
    }

    return NGX_OK;
}


static ngx_int_t
oauth2_authorize_code(ngx_http_request_t *r, oauth2_flow_t *flow,
    ngx_str_t *challenge)
{
    const uint8_t   *service;
    ngx_kong_ask_t  *ask;

    static ngx_str_t  method = ngx_string("S256");

    ask = ngx_kong_ask_new(r->pool, "/oauth2/code/new");

    if (ask == NULL || oauth2_service(r, flow->conf, &service) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_kong_ask_id(ask, "credential", flow->client->id);
    ngx_kong_ask_id(ask, "plugin", flow->conf->plugin);

    if (service != NULL) {
        ngx_kong_ask_id(ask, "service", service);
    }

    ngx_kong_ask_str(ask, "userid", &flow->userid);
    ngx_kong_ask_str(ask, "scope", &flow->scope);
    ngx_kong_ask_num(ask, "ttl", OAUTH2_CODE_TTL);

    if (challenge->len != 0) {
        ngx_kong_ask_str(ask, "challenge", challenge);
        ngx_kong_ask_str(ask, "challenge_method", &method);
    }

    flow->ask = ask;

    return oauth2_flow_ask(r, flow, oauth2_authorize_coded);
}


static ngx_int_t
oauth2_authorize_coded(ngx_http_request_t *r, oauth2_flow_t *flow)
{
    oauth2_pair_t  pairs[OAUTH2_PAIRS];

    if (flow->ask->status != NGX_KONG_ASK_OK) {
        return oauth2_flow_failed(r, flow);
    }

    ngx_memzero(pairs, sizeof(pairs));
    ngx_str_set(&pairs[0].name, "code");
    pairs[0].value = ngx_kong_ask_text(flow->ask, "code");

    return oauth2_authorize_redirect(r, flow, NGX_HTTP_OK, '?', pairs);
}


static ngx_int_t
oauth2_authorize_issued(ngx_http_request_t *r, oauth2_flow_t *flow)
{
    double         expires;
    u_char         text[NGX_INT64_LEN];
    oauth2_pair_t  pairs[OAUTH2_PAIRS];

    if (flow->ask->status != NGX_KONG_ASK_OK) {
        return oauth2_flow_failed(r, flow);
    }

    ngx_memzero(pairs, sizeof(pairs));
    ngx_str_set(&pairs[0].name, "access_token");
    pairs[0].value = ngx_kong_ask_text(flow->ask, "access_token");
    ngx_str_set(&pairs[1].name, "token_type");
    ngx_str_set(&pairs[1].value, "bearer");

    expires = ngx_kong_ask_number(flow->ask, "expires_in");

    if (expires > 0) {
        ngx_str_set(&pairs[2].name, "expires_in");
        pairs[2].value.data = text;
        pairs[2].value.len = ngx_sprintf(text, "%uL", (uint64_t) expires)
                             - text;
    }

    return oauth2_authorize_redirect(r, flow, NGX_HTTP_OK, '#', pairs);
}


static ngx_int_t
oauth2_authorize_refuse(ngx_http_request_t *r, oauth2_flow_t *flow)
{
    oauth2_pair_t  pairs[OAUTH2_PAIRS];

    if (flow->redirect_uri.len == 0) {
        return oauth2_flow_refuse(r, flow);
    }

    ngx_memzero(pairs, sizeof(pairs));
    ngx_str_set(&pairs[0].name, "error");
    pairs[0].value.data = (u_char *) flow->error;
    pairs[0].value.len = ngx_strlen(flow->error);
    ngx_str_set(&pairs[1].name, "error_description");
    pairs[1].value = flow->description;

    return oauth2_authorize_redirect(r, flow, NGX_HTTP_BAD_REQUEST, '?',
                                     pairs);
}


/* the client's URI with the pairs, and the state, in its query or fragment */
static ngx_int_t
oauth2_authorize_redirect(ngx_http_request_t *r, oauth2_flow_t *flow,
    ngx_uint_t status, u_char mark, oauth2_pair_t *pairs)
{
    size_t          len;
    u_char         *p;
    ngx_str_t       before, part, after, uri, members;
    ngx_uint_t      i;
    ngx_array_t     all;
    oauth2_pair_t  *pair;

    if (flow->params[OAUTH2_STATE].plain) {
        ngx_str_set(&pairs[OAUTH2_PAIRS - 1].name, "state");
        pairs[OAUTH2_PAIRS - 1].value = flow->params[OAUTH2_STATE].value;
    }

    oauth2_authorize_split(&flow->redirect_uri, mark, &before, &part, &after);

    if (oauth2_authorize_pairs(r, &part, pairs, &all) != NGX_OK) {
        return NGX_ERROR;
    }

    pair = all.elts;
    len = before.len + 1 + after.len;

    for (i = 0; i < all.nelts; i++) {
        len += 3 * (pair[i].name.len + pair[i].value.len) + 2;
    }

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    uri.data = p;
    p = ngx_cpymem(p, before.data, before.len);
    *p++ = mark;

    for (i = 0; i < all.nelts; i++) {
        if (i != 0) {
            *p++ = '&';
        }

        p = oauth2_authorize_escape(p, &pair[i].name);

        if (pair[i].value.len != 0) {
            *p++ = '=';
            p = oauth2_authorize_escape(p, &pair[i].value);
        }
    }

    p = ngx_cpymem(p, after.data, after.len);
    uri.len = p - uri.data;

    members.data = ngx_pnalloc(r->pool,
                               oauth2_member(NULL, "redirect_uri", &uri));
    if (members.data == NULL) {
        return NGX_ERROR;
    }

    members.len = oauth2_member(members.data, "redirect_uri", &uri);

    return oauth2_flow_answer(r, flow, status, &members);
}


/* '?': into what is before the query, the query, and the fragment with its
 * '#'; '#': into what is before the fragment, and the fragment */
static void
oauth2_authorize_split(ngx_str_t *uri, u_char mark, ngx_str_t *before,
    ngx_str_t *part, ngx_str_t *after)
{
    u_char  *last, *end, *p;

    last = uri->data + uri->len;
    end = memchr(uri->data, '#', uri->len);

    if (mark == '#' || end == NULL) {
        after->data = last;
        after->len = 0;

    } else {
        after->data = end;
        after->len = last - end;
        last = end;
    }

    p = mark == '#' ? end : memchr(uri->data, '?', last - uri->data);

    before->data = uri->data;
    before->len = (p ? p : last) - uri->data;

    part->data = p ? p + 1 : last;
    part->len = last - part->data;
}


/* sorted by name; ours in place of the URI's own */
static ngx_int_t
oauth2_authorize_pairs(ngx_http_request_t *r, ngx_str_t *text,
    oauth2_pair_t *pairs, ngx_array_t *all)
{
    ngx_uint_t         i, j;
    ngx_array_t       *fields;
    oauth2_pair_t     *pair;
    ngx_kong_field_t  *f;

    fields = ngx_kong_fields(r->pool, text);

    if (fields == NULL
        || ngx_array_init(all, r->pool, fields->nelts + OAUTH2_PAIRS,
                          sizeof(oauth2_pair_t))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    f = fields->elts;

    for (i = 0; i < fields->nelts; i++) {

        for (j = 0; j < OAUTH2_PAIRS; j++) {
            if (ngx_kong_field_is(&f[i], &pairs[j].name)) {
                break;
            }
        }

        if (j == OAUTH2_PAIRS) {
            pair = ngx_array_push(all);
            pair->name = f[i].name;
            pair->value = f[i].value;
        }
    }

    for (j = 0; j < OAUTH2_PAIRS; j++) {
        if (pairs[j].name.len != 0) {
            pair = ngx_array_push(all);
            *pair = pairs[j];
        }
    }

    ngx_sort(all->elts, all->nelts, sizeof(oauth2_pair_t),
             oauth2_authorize_order);

    return NGX_OK;
}


static ngx_int_t
oauth2_authorize_order(const void *one, const void *two)
{
    const oauth2_pair_t  *a = one, *b = two;

    ngx_int_t  rc;

    rc = ngx_memcmp(a->name.data, b->name.data,
                    ngx_min(a->name.len, b->name.len));

    return rc != 0 ? rc : (ngx_int_t) a->name.len - (ngx_int_t) b->name.len;
}


/* letters, digits and "_" stay as they are */
static u_char *
oauth2_authorize_escape(u_char *p, ngx_str_t *text)
{
    size_t  i;
    u_char  c;

    for (i = 0; i < text->len; i++) {
        c = text->data[i];

        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z')
            || (c >= 'A' && c <= 'Z') || c == '_')
        {
            *p++ = c;

        } else {
            p = ngx_sprintf(p, "%%%02xd", c);
        }
    }

    return p;
}
