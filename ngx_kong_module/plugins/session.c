/*
 * session: a cookie that stands for an authentication.  With storage "cookie"
 * it holds the whole session (kong_session.h), and nothing is kept here, so
 * that any node with the same secret takes it.  With storage "kong" it holds
 * the session's id and times; whose it is stands, sealed, in the database.
 */

#include "session.h"


static void *session_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool);
static ngx_uint_t session_prepare_methods(ngx_kong_instance_t *in,
    ngx_pool_t *pool);
static ngx_int_t session_access(ngx_http_request_t *r, ngx_kong_run_t *run);
static ngx_int_t session_begin(ngx_http_request_t *r, session_conf_t *conf,
    session_state_t **begun);
static ngx_int_t session_resolve(ngx_http_request_t *r, session_conf_t *conf,
    session_state_t *state);
static ngx_int_t session_resolve_stored(ngx_http_request_t *r,
    session_conf_t *conf, session_state_t *state);
static ngx_int_t session_logout(ngx_http_request_t *r, session_conf_t *conf);
static ngx_int_t session_leave(ngx_http_request_t *r, session_conf_t *conf,
    session_state_t *state);
static uint32_t session_consumer(ngx_http_request_t *r,
    session_state_t *state);
static ngx_int_t session_authenticate(ngx_http_request_t *r,
    uint32_t consumer, kong_session_t *session);
static ngx_int_t session_header_filter(ngx_http_request_t *r,
    ngx_kong_run_t *run);
static ngx_uint_t session_is_of(ngx_http_request_t *r,
    kong_session_t *session);
static ngx_int_t session_keep(ngx_http_request_t *r, session_conf_t *conf,
    session_state_t *state);
static ngx_int_t session_make(ngx_http_request_t *r, kong_session_t *session);
static ngx_int_t session_remember(ngx_http_request_t *r,
    session_conf_t *conf, session_state_t *state);
static ngx_int_t session_close(ngx_http_request_t *r, session_conf_t *conf,
    session_state_t *state);


const ngx_kong_plugin_t  ngx_kong_session = {
    .name = ngx_string("session"),
    .prepare = session_prepare,
    .access = session_access,
    .header_filter = session_header_filter
};


static void *
session_prepare(ngx_kong_instance_t *in, ngx_pool_t *pool)
{
    ngx_str_t        secret, storage;
    kong_str_t       s;
    session_conf_t  *conf;

    conf = ngx_pcalloc(pool, sizeof(session_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    secret = ngx_kong_conf_str(in, "secret");
    s.data = (char *) secret.data;
    s.len = secret.len;

    storage = ngx_kong_conf_str(in, "storage");
    conf->stored = storage.len == 4
                   && ngx_memcmp(storage.data, "kong", 4) == 0;
    conf->stale = session_prepare_seconds(in, "", "stale_ttl", 10);

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
        || session_prepare_cookie(in, pool, conf, &conf->cookie, "")
           != NGX_OK
        || session_prepare_cookie(in, pool, conf, &conf->remember,
                                  "remember_")
           != NGX_OK)
    {
        return NULL;
    }

    /* what is remembered is so without anyone being there */
    conf->remember.idling = 0;
    conf->remember.persistent = 1;

    return conf;
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
    session_conf_t   *conf;
    session_state_t  *state;

    conf = run->instance->conf;

    session_headers_clear(r, conf->request_headers);

    /* a body that had to be read, or an answer, brings us here again */

    if (run->state == NULL) {
        rc = session_begin(r, conf, &state);

        if (rc != NGX_OK) {
            return rc == NGX_DECLINED ? NGX_OK : rc;
        }

        run->state = state;
    }

    state = run->state;

    if (!state->found) {
        rc = session_resolve(r, conf, state);

        if (rc != NGX_OK) {
            return rc == NGX_DECLINED ? NGX_OK : rc;
        }
    }

    rc = state->leaving ? NGX_OK : session_logout(r, conf);

    if (rc == NGX_OK) {
        return session_leave(r, conf, state);
    }

    if (rc != NGX_DECLINED) {
        return rc;
    }

    consumer = session_consumer(r, state);

    if (consumer == KONG_NONE) {
        state->closed = 1;
        return NGX_OK;
    }

    if (session_headers_set(r, conf, &state->session, conf->request_headers,
                            ngx_kong_header_in_set)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return session_authenticate(r, consumer, &state->session);
}


/* NGX_DECLINED: there is no such cookie */
static ngx_int_t
session_begin(ngx_http_request_t *r, session_conf_t *conf,
    session_state_t **begun)
{
    session_state_t  state;

    ngx_memzero(&state, sizeof(session_state_t));

    state.opened = session_open(r, conf, &conf->cookie, &state.session);
    state.has_remember = conf->has_remember
                         && session_open(r, conf, &conf->remember,
                                         &state.remember);

    if (!state.opened && !state.has_remember) {
        return NGX_DECLINED;
    }

    *begun = ngx_palloc(r->pool, sizeof(session_state_t));
    if (*begun == NULL) {
        return NGX_ERROR;
    }

    **begun = state;

    return NGX_OK;
}


/* NGX_DECLINED: the cookies stand for nothing */
static ngx_int_t
session_resolve(ngx_http_request_t *r, session_conf_t *conf,
    session_state_t *state)
{
    ngx_int_t  rc;

    if (conf->stored) {
        rc = session_resolve_stored(r, conf, state);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (!state->opened && !state->has_remember) {
        state->none = 1;
        return NGX_DECLINED;
    }

    state->found = 1;

    if (state->opened) {
        return NGX_OK;
    }

    ngx_memcpy(state->session.consumer, state->remember.consumer, 16);
    ngx_memcpy(state->session.credential, state->remember.credential, 16);
    state->session.index = state->remember.index;
    state->changed = 1;
    state->fresh = 1;

    return session_start(&state->session);
}


static ngx_int_t
session_resolve_stored(ngx_http_request_t *r, session_conf_t *conf,
    session_state_t *state)
{
    ngx_int_t  rc;

    if (state->opened) {
        rc = session_store_find(r, conf, &conf->cookie, &state->session,
                                &state->ask);

        if (rc != NGX_OK && rc != NGX_DECLINED) {
            return rc;
        }

        state->opened = (rc == NGX_OK);
        state->ask = NULL;
    }

    if (!state->opened && state->has_remember) {
        rc = session_store_find(r, conf, &conf->remember, &state->remember,
                                &state->ask);

        if (rc != NGX_OK && rc != NGX_DECLINED) {
            return rc;
        }

        state->has_remember = (rc == NGX_OK);
        state->ask = NULL;
    }

    return NGX_OK;
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


/* a session whose row cannot be removed is not over, and nobody is told so */
static ngx_int_t
session_leave(ngx_http_request_t *r, session_conf_t *conf,
    session_state_t *state)
{
    ngx_int_t  rc;

    if (conf->stored) {

        if (!state->leaving) {
            state->leaving = 1;

            state->ask = session_store_end(r->pool, state);
            if (state->ask == NULL) {
                return NGX_ERROR;
            }

            rc = ngx_kong_ask_wait(r, state->ask);
            if (rc != NGX_OK) {
                return rc;
            }
        }

        if (state->ask->status != NGX_KONG_ASK_OK
            && state->ask->status != NGX_KONG_ASK_NONE)
        {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "session: the database could not be told that a "
                          "session is over");
            return NGX_ERROR;
        }

        session_store_forget(state);
    }

    state->closed = 1;

    return ngx_kong_exit(r, NGX_HTTP_OK, NULL, NULL);
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
    session_conf_t       *conf;
    session_state_t      *state, fresh;
    ngx_http_kong_ctx_t  *ctx;

    conf = run->instance->conf;
    state = run->state;
    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    if (state != NULL && !state->found) {
        state = NULL;
    }

    if (!ctx->authenticated || ctx->anonymous || ctx->consumer == KONG_NONE) {
        return state != NULL && state->closed ? session_close(r, conf, state)
                                              : NGX_OK;
    }

    if (state != NULL && !state->closed && session_is_of(r, &state->session))
    {
        if (session_keep(r, conf, state) != NGX_OK) {
            return NGX_ERROR;
        }

    } else {
        ngx_memzero(&fresh, sizeof(session_state_t));
        fresh.fresh = 1;
        fresh.changed = 1;
        state = &fresh;

        if (session_make(r, &state->session) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (conf->stored && state->fresh
        && session_store_new(r, conf, &conf->cookie, &state->session, NULL)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (session_headers_set(r, conf, &state->session, conf->response_headers,
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

    return conf->has_remember ? session_remember(r, conf, state) : NGX_OK;
}


/* is it that of whom a plugin has authenticated? */
static ngx_uint_t
session_is_of(ngx_http_request_t *r, kong_session_t *session)
{
    const uint8_t        *consumer;
    ngx_http_kong_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);
    consumer = kong_consumer(&ctx->generation->config->seg, ctx->consumer)
               ->id;

    return ngx_memcmp(session->consumer, consumer, 16) == 0
           && (ctx->credential == NULL
               || ngx_memcmp(session->credential, ctx->credential->id, 16)
                  == 0);
}


/* one that is renewed in the database becomes another there, and the old one
 * lives on for requests that are under way */
static ngx_int_t
session_keep(ngx_http_request_t *r, session_conf_t *conf,
    session_state_t *state)
{
    uint8_t          old[KONG_SESSION_ID];
    uint64_t         renewed;
    kong_session_t  *session;

    session = &state->session;
    renewed = session->renewed;

    if (session_refresh(&conf->cookie, session) != NGX_OK) {
        return NGX_OK;
    }

    state->changed = 1;

    if (!conf->stored || state->fresh || session->renewed == renewed) {
        return NGX_OK;
    }

    ngx_memcpy(old, session->id, KONG_SESSION_ID);

    if (session_new_id(session) != NGX_OK) {
        return NGX_ERROR;
    }

    return session_store_new(r, conf, &conf->cookie, session, old);
}


static ngx_int_t
session_make(ngx_http_request_t *r, kong_session_t *session)
{
    ngx_http_kong_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_kong_module);

    ngx_memcpy(session->consumer,
               kong_consumer(&ctx->generation->config->seg, ctx->consumer)
               ->id, 16);
    session->index = ctx->consumer;

    if (ctx->credential != NULL) {
        ngx_memcpy(session->credential, ctx->credential->id, 16);
    }

    return session_start(session);
}


static ngx_int_t
session_remember(ngx_http_request_t *r, session_conf_t *conf,
    session_state_t *state)
{
    if (state->has_remember) {

        if (session_refresh(&conf->remember, &state->remember)
            == NGX_DECLINED)
        {
            return NGX_OK;
        }

        if (conf->stored
            && session_store_extend(&conf->remember, &state->remember)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        return session_send(r, conf, &conf->remember, &state->remember);
    }

    /* a session that began without: nothing to remember later */

    if (!state->changed) {
        return NGX_OK;
    }

    state->remember = state->session;

    if (conf->stored
        && (session_new_id(&state->remember) != NGX_OK
            || session_store_new(r, conf, &conf->remember, &state->remember,
                                 NULL)
               != NGX_OK))
    {
        return NGX_ERROR;
    }

    return session_send(r, conf, &conf->remember, &state->remember);
}


/* logged out, or a session of nobody (any more) */
static ngx_int_t
session_close(ngx_http_request_t *r, session_conf_t *conf,
    session_state_t *state)
{
    ngx_pool_t      *pool;
    ngx_kong_ask_t  *ask;

    if (conf->stored && !state->leaving) {

        pool = ngx_create_pool(1024, ngx_cycle->log);
        if (pool == NULL) {
            return NGX_ERROR;
        }

        ask = session_store_end(pool, state);
        if (ask == NULL) {
            ngx_destroy_pool(pool);
            return NGX_ERROR;
        }

        session_store_forget(state);
        ngx_kong_ask_tell(ask);
    }

    return session_forget(r, conf, state);
}
