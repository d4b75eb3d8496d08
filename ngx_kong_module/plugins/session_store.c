/*
 * session_store: sessions in Kong's table `sessions`.  A row is found by the
 * id that the cookie holds; its data is a sealed session, which nobody without
 * the secret reads or makes.  What the daemon said is remembered for a moment.
 */

#include "session.h"
#include "ngx_kong_known.h"


#define SESSION_BORN  2                  /* s: its row may be on its way */


static ngx_int_t session_store_known(ngx_http_request_t *r,
    session_conf_t *conf, session_cookie_t *cookie, kong_session_t *session,
    ngx_str_t *id);
static ngx_int_t session_store_answer(ngx_http_request_t *r,
    session_conf_t *conf, session_cookie_t *cookie, kong_session_t *session,
    ngx_str_t *id, ngx_kong_ask_t *ask);
static ngx_int_t session_store_open(session_conf_t *conf,
    session_cookie_t *cookie, kong_session_t *session, ngx_str_t *data);
static uint64_t session_store_ttl(session_cookie_t *cookie,
    kong_session_t *session);
static void session_store_id(const uint8_t *id, u_char *text,
    ngx_str_t *name);


ngx_int_t
session_store_find(ngx_http_request_t *r, session_conf_t *conf,
    session_cookie_t *cookie, kong_session_t *session, ngx_kong_ask_t **ask)
{
    u_char     text[64];
    ngx_int_t  rc;
    ngx_str_t  id;

    session_store_id(session->id, text, &id);

    if (*ask == NULL) {
        rc = session_store_known(r, conf, cookie, session, &id);

        if (rc != NGX_AGAIN) {
            return rc;
        }

        *ask = ngx_kong_ask_new(r->pool, "/session/find");
        if (*ask == NULL) {
            return NGX_ERROR;
        }

        ngx_kong_ask_str(*ask, "id", &id);

        if (session->renewed + SESSION_BORN >= (uint64_t) ngx_time()) {
            ngx_kong_ask_flag(*ask, "born");
        }

        rc = ngx_kong_ask_wait(r, *ask);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    return session_store_answer(r, conf, cookie, session, &id, *ask);
}


/* NGX_AGAIN: it must be asked for */
static ngx_int_t
session_store_known(ngx_http_request_t *r, session_conf_t *conf,
    session_cookie_t *cookie, kong_session_t *session, ngx_str_t *id)
{
    ngx_int_t        rc;
    ngx_kong_fact_t  fact;

    if (!ngx_kong_ask_has_database(r)) {
        return NGX_DECLINED;
    }

    rc = ngx_kong_known_get(NGX_KONG_KNOWN_SESSION, id, r->pool, &fact);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_DECLINED || (!fact.fresh && !ngx_kong_ask_is_busy(0))) {
        return ngx_kong_ask_is_busy(0) ? NGX_DECLINED : NGX_AGAIN;
    }

    return fact.none ? NGX_DECLINED
                     : session_store_open(conf, cookie, session,
                                          &fact.texts[0]);
}


/* a database that does not answer has no session for anybody, but for those
 * that are known */
static ngx_int_t
session_store_answer(ngx_http_request_t *r, session_conf_t *conf,
    session_cookie_t *cookie, kong_session_t *session, ngx_str_t *id,
    ngx_kong_ask_t *ask)
{
    double           left;
    ngx_kong_fact_t  fact;

    ngx_memzero(&fact, sizeof(ngx_kong_fact_t));

    if (ask->status == NGX_KONG_ASK_OK) {
        left = ngx_kong_ask_number(ask, "left");

        fact.texts[0] = ngx_kong_ask_text(ask, "data");
        fact.until = left < 0 ? 0 : ngx_time() + 1
                                    + (time_t) ngx_min(left, 1e10);

        ngx_kong_known_set(NGX_KONG_KNOWN_SESSION, id, &fact);

    } else if (ask->status == NGX_KONG_ASK_NONE) {
        fact.none = 1;
        ngx_kong_known_set(NGX_KONG_KNOWN_SESSION, id, &fact);

    } else if (ngx_kong_known_get(NGX_KONG_KNOWN_SESSION, id, r->pool, &fact)
               != NGX_OK)
    {
        fact.none = 1;
    }

    return fact.none ? NGX_DECLINED
                     : session_store_open(conf, cookie, session,
                                          &fact.texts[0]);
}


/* the times, and the consumer's likely place, are the cookie's */
static ngx_int_t
session_store_open(session_conf_t *conf, session_cookie_t *cookie,
    kong_session_t *session, ngx_str_t *data)
{
    kong_str_t      additional;
    kong_session_t  row;

    additional.data = (char *) cookie->row.data;
    additional.len = cookie->row.len;

    if (!kong_session_open(conf->key, additional, (char *) data->data,
                           data->len, &row)
        || ngx_memcmp(row.id, session->id, KONG_SESSION_ID) != 0)
    {
        return NGX_DECLINED;
    }

    ngx_memcpy(session->consumer, row.consumer, sizeof(row.consumer));
    ngx_memcpy(session->credential, row.credential, sizeof(row.credential));

    return NGX_OK;
}


ngx_int_t
session_store_new(ngx_http_request_t *r, session_conf_t *conf,
    session_cookie_t *cookie, kong_session_t *session, const uint8_t *old)
{
    char             data[KONG_SESSION_TEXT];
    u_char           id[64], before[64];
    ngx_str_t        name, value;
    kong_str_t       additional;
    ngx_pool_t      *pool;
    ngx_kong_ask_t  *ask;

    if (!ngx_kong_ask_has_database(r)) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "session: storage \"kong\" needs a database");
        return NGX_OK;
    }

    additional.data = (char *) cookie->row.data;
    additional.len = cookie->row.len;

    if (kong_session_seal(conf->key, additional, session, data) != 0) {
        return NGX_ERROR;
    }

    pool = ngx_create_pool(1024, ngx_cycle->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    ask = ngx_kong_ask_new(pool, "/session/new");
    if (ask == NULL) {
        ngx_destroy_pool(pool);
        return NGX_ERROR;
    }

    session_store_id(session->id, id, &name);
    ngx_kong_ask_str(ask, "id", &name);

    value.data = (u_char *) data;
    value.len = KONG_SESSION_TEXT;
    ngx_kong_ask_str(ask, "data", &value);

    ngx_kong_ask_num(ask, "ttl", session_store_ttl(cookie, session));

    if (old != NULL) {
        session_store_id(old, before, &name);
        ngx_kong_ask_str(ask, "old", &name);
        ngx_kong_ask_num(ask, "stale", conf->stale);
    }

    ngx_kong_ask_tell(ask);

    return NGX_OK;
}


ngx_int_t
session_store_extend(session_cookie_t *cookie, kong_session_t *session)
{
    u_char           text[64];
    ngx_str_t        id;
    ngx_pool_t      *pool;
    ngx_kong_ask_t  *ask;

    pool = ngx_create_pool(1024, ngx_cycle->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    ask = ngx_kong_ask_new(pool, "/session/extend");
    if (ask == NULL) {
        ngx_destroy_pool(pool);
        return NGX_ERROR;
    }

    session_store_id(session->id, text, &id);
    ngx_kong_ask_str(ask, "id", &id);
    ngx_kong_ask_num(ask, "ttl", session_store_ttl(cookie, session));

    ngx_kong_ask_tell(ask);

    return NGX_OK;
}


ngx_kong_ask_t *
session_store_end(ngx_pool_t *pool, session_state_t *state)
{
    u_char           text[64];
    ngx_str_t        id;
    ngx_kong_ask_t  *ask;

    ask = ngx_kong_ask_new(pool, "/session/end");
    if (ask == NULL) {
        return NULL;
    }

    session_store_id(state->session.id, text, &id);
    ngx_kong_ask_str(ask, "id", &id);

    if (state->has_remember) {
        session_store_id(state->remember.id, text, &id);
        ngx_kong_ask_str(ask, "remember", &id);
    }

    return ask;
}


void
session_store_forget(session_state_t *state)
{
    u_char           text[64];
    ngx_str_t        id;
    ngx_kong_fact_t  fact;

    ngx_memzero(&fact, sizeof(ngx_kong_fact_t));
    fact.none = 1;

    session_store_id(state->session.id, text, &id);
    ngx_kong_known_set(NGX_KONG_KNOWN_SESSION, &id, &fact);

    if (state->has_remember) {
        session_store_id(state->remember.id, text, &id);
        ngx_kong_known_set(NGX_KONG_KNOWN_SESSION, &id, &fact);
    }
}


/* the idling time is the cookie's alone: nothing is written for it */
static uint64_t
session_store_ttl(session_cookie_t *cookie, kong_session_t *session)
{
    uint64_t  now, ttl, end;

    now = (uint64_t) ngx_time();
    ttl = cookie->rolling;
    end = session->created + cookie->absolute;

    if (cookie->absolute != 0 && (ttl == 0 || now + ttl > end)) {
        ttl = end > now ? end - now : 1;
    }

    return ttl;
}


static void
session_store_id(const uint8_t *id, u_char *text, ngx_str_t *name)
{
    name->data = text;
    name->len = kong_base64url_encode(id, KONG_SESSION_ID, (char *) text);
}
