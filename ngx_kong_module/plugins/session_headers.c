/*
 * session_headers: what the upstream and the client are told of a session.
 */

#include "session.h"


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


static ngx_int_t session_property(ngx_http_request_t *r, session_conf_t *conf,
    kong_session_t *session, ngx_uint_t property, ngx_str_t *value);


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


ngx_uint_t
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


void
session_headers_clear(ngx_http_request_t *r, ngx_uint_t wanted)
{
    ngx_uint_t  i;

    for (i = 0; i < SESSION_PROPERTIES; i++) {
        if (wanted & (1 << i)) {
            ngx_kong_header_in_clear(r, (char *) session_headers[i].lower.data,
                                     session_headers[i].lower.len);
        }
    }
}


ngx_int_t
session_headers_set(ngx_http_request_t *r, session_conf_t *conf,
    kong_session_t *session, ngx_uint_t wanted, session_header_pt set)
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
