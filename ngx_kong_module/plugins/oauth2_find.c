/*
 * oauth2_find: tokens.  Those of a declarative file are in the segment; those
 * of a database are not: there may be millions, for minutes each, and none of
 * them shall compile a configuration.  The daemon is asked for them, and what
 * it said is remembered.  Known tokens go on working without it.
 */

#include "oauth2.h"
#include "ngx_kong_known.h"


#define OAUTH2_TOKEN_MAX  4096
#define OAUTH2_OPEN       128            /* questions of a worker beyond which
                                            no unknown token is asked for */


static ngx_int_t oauth2_find_known(ngx_http_request_t *r, ngx_str_t *text,
    oauth2_token_t *token, ngx_kong_fact_t *fact);
static ngx_int_t oauth2_find_answer(ngx_http_request_t *r, ngx_str_t *text,
    oauth2_token_t *token, ngx_kong_ask_t *ask);
static ngx_uint_t oauth2_find_may(ngx_http_request_t *r, ngx_str_t *text);
static ngx_int_t oauth2_find_local(ngx_http_request_t *r, ngx_str_t *text,
    oauth2_token_t *token);
static ngx_str_t oauth2_find_text(const kong_segment_t *seg,
    const kong_value_t *entity, const char *path);
static ngx_uint_t oauth2_find_is_over(const kong_segment_t *seg,
    const kong_value_t *entity);


ngx_int_t
oauth2_find_token(ngx_http_request_t *r, ngx_kong_ask_t **ask,
    ngx_str_t *text, oauth2_token_t *token)
{
    ngx_int_t        rc;
    ngx_kong_fact_t  fact;

    rc = oauth2_find_local(r, text, token);

    if (rc == NGX_OK || !oauth2_find_may(r, text)) {
        return rc;
    }

    if (*ask == NULL) {
        rc = oauth2_find_known(r, text, token, &fact);

        if (rc != NGX_AGAIN) {
            return rc;
        }

        *ask = ngx_kong_ask_new(r->pool, "/oauth2/token/find");
        if (*ask == NULL) {
            return NGX_ERROR;
        }

        ngx_kong_ask_str(*ask, "access_token", text);

        rc = ngx_kong_ask_wait(r, *ask);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    return oauth2_find_answer(r, text, token, *ask);
}


/* NGX_AGAIN: it must be asked for */
static ngx_int_t
oauth2_find_known(ngx_http_request_t *r, ngx_str_t *text,
    oauth2_token_t *token, ngx_kong_fact_t *fact)
{
    ngx_int_t  rc;

    rc = ngx_kong_known_get(NGX_KONG_KNOWN_TOKEN, text, r->pool, fact);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_DECLINED) {
        return ngx_kong_ask_is_busy(OAUTH2_OPEN) ? NGX_ERROR : NGX_AGAIN;
    }

    if (!fact->fresh && (fact->none || !ngx_kong_ask_is_busy(0))) {
        return ngx_kong_ask_is_busy(fact->none ? OAUTH2_OPEN : 0)
               ? NGX_ERROR : NGX_AGAIN;
    }

    if (fact->none) {
        return NGX_DECLINED;
    }

    token->client = fact->texts[0];
    token->service = fact->texts[1];
    token->scope = fact->texts[2];
    token->userid = fact->texts[3];

    return NGX_OK;
}


static ngx_int_t
oauth2_find_answer(ngx_http_request_t *r, ngx_str_t *text,
    oauth2_token_t *token, ngx_kong_ask_t *ask)
{
    double           left;
    ngx_kong_fact_t  fact;

    ngx_memzero(&fact, sizeof(ngx_kong_fact_t));

    if (ask->status == NGX_KONG_ASK_OK) {
        left = ngx_kong_ask_number(ask, "left");

        fact.texts[0] = ngx_kong_ask_text(ask, "client_id");
        fact.texts[1] = ngx_kong_ask_text(ask, "service");
        fact.texts[2] = ngx_kong_ask_text(ask, "scope");
        fact.texts[3] = ngx_kong_ask_text(ask, "userid");
        fact.none = (left == 0);
        fact.until = left < 0 ? 0 : ngx_time() + 1
                                    + (time_t) ngx_min(left, 1e10);

        ngx_kong_known_set(NGX_KONG_KNOWN_TOKEN, text, &fact);

    } else if (ask->status == NGX_KONG_ASK_NONE
               || ask->status == NGX_KONG_ASK_BAD)
    {
        fact.none = 1;
        ngx_kong_known_set(NGX_KONG_KNOWN_TOKEN, text, &fact);

    } else if (ngx_kong_known_get(NGX_KONG_KNOWN_TOKEN, text, r->pool, &fact)
               != NGX_OK
               || fact.none)
    {
        return NGX_ERROR;
    }

    token->client = fact.texts[0];
    token->service = fact.texts[1];
    token->scope = fact.texts[2];
    token->userid = fact.texts[3];

    return fact.none ? NGX_DECLINED : NGX_OK;
}


/* is there a database, and could it hold such a token? */
static ngx_uint_t
oauth2_find_may(ngx_http_request_t *r, ngx_str_t *text)
{
    return ngx_kong_ask_has_database(r) && text->len <= OAUTH2_TOKEN_MAX
           && ngx_kong_ask_takes(text);
}


/* of the segment */
static ngx_int_t
oauth2_find_local(ngx_http_request_t *r, ngx_str_t *text,
    oauth2_token_t *token)
{
    kong_str_t                s;
    const kong_value_t       *entity;
    ngx_http_kong_ctx_t      *ctx;
    const kong_segment_t     *seg;
    const kong_credential_t  *c;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);
    seg = &ctx->generation->config->seg;

    c = ngx_kong_credential(r, KONG_CREDENTIAL_OAUTH2_TOKEN, text);

    if (c == NULL || c->extra == KONG_NONE) {
        return NGX_DECLINED;
    }

    entity = kong_value(seg, c->extra);

    if (oauth2_find_is_over(seg, entity)) {
        return NGX_DECLINED;
    }

    /* a token's secret is the client_id of its credential */

    s = kong_segment_str(seg, c->secret);
    token->client.data = (u_char *) s.data;
    token->client.len = s.len;
    token->service = oauth2_find_text(seg, entity, "service.id");
    token->scope = oauth2_find_text(seg, entity, "scope");
    token->userid = oauth2_find_text(seg, entity, "authenticated_userid");

    return NGX_OK;
}


static ngx_str_t
oauth2_find_text(const kong_segment_t *seg, const kong_value_t *entity,
    const char *path)
{
    ngx_str_t            text;
    kong_str_t           s;
    const kong_value_t  *v;

    ngx_str_null(&text);
    v = kong_value_path(seg, entity, path);

    if (v != NULL && v->kind == KONG_VALUE_STRING) {
        s = kong_value_str(seg, v);
        text.data = (u_char *) s.data;
        text.len = s.len;
    }

    return text;
}


/* expires_in counts from created_at; 0 is for ever */
static ngx_uint_t
oauth2_find_is_over(const kong_segment_t *seg, const kong_value_t *entity)
{
    const kong_value_t  *in, *at;

    in = kong_value_get(seg, entity, "expires_in");
    at = kong_value_get(seg, entity, "created_at");

    if (in == NULL || in->kind != KONG_VALUE_NUMBER) {
        return 1;
    }

    if (in->u.number <= 0) {
        return 0;
    }

    return at == NULL || at->kind != KONG_VALUE_NUMBER
           || (double) ngx_time() - at->u.number > in->u.number;
}
