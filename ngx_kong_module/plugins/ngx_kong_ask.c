/*
 * The client: connect, write, read to the end of the connection.  A unix
 * socket is cheap to connect, so nothing idle has to be watched, and no
 * answer is taken for that of another question.
 */

#include "ngx_kong_ask.h"
#include "../zone/ngx_kong_zone.h"


#define NGX_KONG_ASK_OPEN    512         /* questions of a worker */
#define NGX_KONG_ASK_ANSWER  (512 * 1024)
#define NGX_KONG_ASK_PAUSE   1000        /* ms between attempts in trouble */


static ngx_int_t ngx_kong_ask_start(ngx_kong_ask_t *ask);
static ngx_int_t ngx_kong_ask_head(ngx_kong_ask_t *ask);
static ngx_int_t ngx_kong_ask_connect(ngx_kong_ask_t *ask, ngx_str_t *path);
static void ngx_kong_ask_event(ngx_event_t *ev);
static void ngx_kong_ask_write_event(ngx_event_t *ev);
static void ngx_kong_ask_read_event(ngx_event_t *ev);
static ngx_int_t ngx_kong_ask_parse(ngx_kong_ask_t *ask);
static void ngx_kong_ask_cleanup(void *data);
static void ngx_kong_ask_failed(ngx_kong_ask_t *ask, const char *error);
static void ngx_kong_ask_close(ngx_kong_ask_t *ask);
static void ngx_kong_ask_end(ngx_kong_ask_t *ask);
static void ngx_kong_ask_resume(void *data);
static void ngx_kong_ask_told(void *data);
static void ngx_kong_ask_probe(void);
static void ngx_kong_ask_probed(void *data);
static void ngx_kong_ask_add(ngx_kong_ask_t *ask, const char *name,
    const char *value, size_t len);
static void ngx_kong_ask_append(ngx_kong_ask_t *ask, const void *data,
    size_t len);


static ngx_uint_t  ngx_kong_ask_n;       /* open ones */
static ngx_uint_t  ngx_kong_ask_trouble; /* the last one had no answer */
static ngx_uint_t  ngx_kong_ask_probing;
static ngx_msec_t  ngx_kong_ask_until;   /* then it is tried again */


ngx_kong_ask_t *
ngx_kong_ask_new(ngx_pool_t *pool, const char *path)
{
    ngx_kong_ask_t      *ask;
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(pool, sizeof(ngx_kong_ask_t));
    if (cln == NULL) {
        return NULL;
    }

    ask = cln->data;
    ngx_memzero(ask, sizeof(ngx_kong_ask_t));
    cln->handler = ngx_kong_ask_cleanup;

    ask->path = path;
    ask->pool = pool;

    if (ngx_array_init(&ask->body, pool, 512, 1) != NGX_OK) {
        return NULL;
    }

    ngx_kong_ask_append(ask, "{", 1);

    return ask;
}


void
ngx_kong_ask_str(ngx_kong_ask_t *ask, const char *name, ngx_str_t *value)
{
    u_char  *p;
    size_t   len;

    if (value->len == 0) {
        return;
    }

    len = value->len + ngx_escape_json(NULL, value->data, value->len) + 2;

    p = ngx_pnalloc(ask->pool, len);
    if (p == NULL) {
        ask->failed = 1;
        return;
    }

    p[0] = '"';
    ngx_escape_json(p + 1, value->data, value->len);
    p[len - 1] = '"';

    ngx_kong_ask_add(ask, name, (char *) p, len);
}


void
ngx_kong_ask_num(ngx_kong_ask_t *ask, const char *name, double value)
{
    u_char  text[NGX_INT64_LEN];

    if (value >= 1 && value < 1e12) {
        ngx_kong_ask_add(ask, name, (char *) text,
                         ngx_sprintf(text, "%uL", (uint64_t) value) - text);
    }
}


void
ngx_kong_ask_flag(ngx_kong_ask_t *ask, const char *name)
{
    ngx_kong_ask_add(ask, name, "true", 4);
}


void
ngx_kong_ask_id(ngx_kong_ask_t *ask, const char *name, const uint8_t *uuid)
{
    char  text[2 + 37];

    text[0] = '"';
    kong_uuid_text(uuid, text + 1);
    text[37] = '"';

    ngx_kong_ask_add(ask, name, text, 38);
}


ngx_int_t
ngx_kong_ask_wait(ngx_http_request_t *r, ngx_kong_ask_t *ask)
{
    ask->request = r;
    ask->done = ngx_kong_ask_resume;
    ask->data = ask;

    if (ngx_kong_ask_start(ask) != NGX_AGAIN) {
        return NGX_OK;
    }

    if (ngx_kong_suspend(r) == NGX_ERROR) {
        ngx_kong_ask_close(ask);
        return NGX_ERROR;
    }

    return NGX_AGAIN;
}


void
ngx_kong_ask_tell(ngx_kong_ask_t *ask)
{
    ask->done = ngx_kong_ask_told;
    ask->data = ask;

    if (ngx_kong_ask_start(ask) != NGX_AGAIN) {
        ngx_kong_ask_told(ask);
    }
}


/* NGX_AGAIN: done() is called later, never from within; NGX_OK: over */
static ngx_int_t
ngx_kong_ask_start(ngx_kong_ask_t *ask)
{
    ngx_http_kong_main_conf_t  *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                              ngx_http_kong_module);
    ngx_kong_ask_append(ask, "}", 1);

    if (mcf->ask.len == 0) {
        ngx_kong_ask_failed(ask, "there is no \"kong_ask\" in nginx.conf");

    } else if (ngx_kong_ask_n >= NGX_KONG_ASK_OPEN) {
        ngx_kong_ask_failed(ask, "too many questions are open");

    } else if (ask->failed || ngx_kong_ask_head(ask) != NGX_OK) {
        ngx_kong_ask_failed(ask, "out of memory");

    } else if (ngx_kong_ask_connect(ask, &mcf->ask) != NGX_OK) {
        ngx_kong_ask_failed(ask, "the daemon cannot be reached");

    } else {
        return NGX_AGAIN;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_kong_ask_head(ngx_kong_ask_t *ask)
{
    u_char  *p;

    static const char  head[] = "POST %s HTTP/1.1" CRLF
                                "Host: kong" CRLF
                                "Connection: close" CRLF
                                "Content-Length: %ui" CRLF CRLF;

    p = ngx_pnalloc(ask->pool, sizeof(head) + ngx_strlen(ask->path)
                               + NGX_INT_T_LEN + ask->body.nelts);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ask->pos = p;
    p = ngx_sprintf(p, head, ask->path, ask->body.nelts);
    ask->last = ngx_cpymem(p, ask->body.elts, ask->body.nelts);

    return ngx_array_init(&ask->in, ask->pool, 1024, 1);
}


static ngx_int_t
ngx_kong_ask_connect(ngx_kong_ask_t *ask, ngx_str_t *path)
{
    ngx_int_t          rc;
    ngx_connection_t  *c;

    rc = ngx_kong_peer_connect_unix(&ask->peer, path, ngx_kong_ask_event,
                                    ask);

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        return NGX_ERROR;
    }

    c = ask->peer->connection;
    ngx_kong_ask_n++;

    ngx_add_timer(c->read, NGX_KONG_ASK_TIMEOUT);

    if (rc == NGX_OK) {
        ngx_post_event(c->write, &ngx_posted_events);
    }

    return NGX_OK;
}


static void
ngx_kong_ask_event(ngx_event_t *ev)
{
    if (ev->write) {
        ngx_kong_ask_write_event(ev);

    } else {
        ngx_kong_ask_read_event(ev);
    }
}


static void
ngx_kong_ask_write_event(ngx_event_t *ev)
{
    ngx_int_t          rc;
    ngx_kong_ask_t    *ask;
    ngx_connection_t  *c;

    c = ev->data;
    ask = ngx_kong_peer_of(ev)->data;

    rc = ngx_kong_peer_send(ask->peer, &ask->pos, ask->last);

    if (rc == NGX_DECLINED) {
        ngx_kong_ask_failed(ask, "the daemon closed the connection");
        ngx_kong_ask_end(ask);
        return;
    }

    if (rc == NGX_ERROR || ngx_handle_read_event(c->read, 0) != NGX_OK) {
        ngx_kong_ask_failed(ask, "an event could not be added");
        ngx_kong_ask_end(ask);
    }
}


static void
ngx_kong_ask_read_event(ngx_event_t *ev)
{
    u_char          *p;
    ssize_t          n;
    ngx_kong_ask_t  *ask;

    ask = ngx_kong_peer_of(ev)->data;

    if (ev->timedout) {
        ngx_kong_ask_failed(ask, "the daemon did not answer in time");
        ngx_kong_ask_end(ask);
        return;
    }

    while (ask->in.nelts < NGX_KONG_ASK_ANSWER) {

        p = ngx_array_push_n(&ask->in, 1024);
        if (p == NULL) {
            ngx_kong_ask_failed(ask, "out of memory");
            ngx_kong_ask_end(ask);
            return;
        }

        n = ngx_kong_peer_recv(ask->peer, p, 1024);
        ask->in.nelts -= 1024 - (n > 0 ? n : 0);

        if (n == NGX_AGAIN) {
            return;
        }

        if (n == 0) {
            if (ngx_kong_ask_parse(ask) == NGX_OK) {
                ngx_kong_ask_end(ask);
                return;
            }

            break;
        }

        if (n < 0) {
            break;
        }
    }

    ngx_kong_ask_failed(ask, "the daemon's answer is none");
    ngx_kong_ask_end(ask);
}


/* a status line, headers that nobody needs, and a whole JSON object */
static ngx_int_t
ngx_kong_ask_parse(ngx_kong_ask_t *ask)
{
    u_char     *p, *last, *body;
    ngx_int_t   status;

    p = ask->in.elts;
    last = p + ask->in.nelts;

    if (ask->in.nelts < sizeof("HTTP/1.1 200 ") - 1
        || ngx_memcmp(p, "HTTP/1.", 7) != 0)
    {
        return NGX_ERROR;
    }

    status = ngx_atoi(p + 9, 3);
    body = memmem(p, last - p, CRLF CRLF, 4);

    if (status == NGX_ERROR || status == NGX_KONG_ASK_FAILED || body == NULL) {
        return NGX_ERROR;
    }

    body += 4;

    if (status == NGX_KONG_ASK_OK) {
        ask->answer = cJSON_ParseWithLength((char *) body, last - body);

        if (!cJSON_IsObject(ask->answer)) {
            return NGX_ERROR;
        }
    }

    ask->status = status;
    ask->over = 1;

    if (status == NGX_KONG_ASK_NOT_NOW) {
        ngx_kong_ask_until = ngx_current_msec + NGX_KONG_ASK_PAUSE;
    }

    ngx_kong_ask_trouble = (status == NGX_KONG_ASK_NOT_NOW);

    return NGX_OK;
}


/* its pool ends */
static void
ngx_kong_ask_cleanup(void *data)
{
    ngx_kong_ask_t  *ask = data;

    ngx_kong_ask_close(ask);
    cJSON_Delete(ask->answer);
}


static void
ngx_kong_ask_failed(ngx_kong_ask_t *ask, const char *error)
{
    ask->status = NGX_KONG_ASK_FAILED;
    ask->over = 1;
    ask->error = error;

    if (!ngx_kong_ask_trouble) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0, "%s: %s", ask->path,
                      error);
    }

    ngx_kong_ask_trouble = 1;
    ngx_kong_ask_until = ngx_current_msec + NGX_KONG_ASK_PAUSE;
}


static void
ngx_kong_ask_close(ngx_kong_ask_t *ask)
{
    if (ask->peer != NULL) {
        ngx_kong_peer_close(ask->peer);
        ask->peer = NULL;
        ngx_kong_ask_n--;
    }
}


static void
ngx_kong_ask_end(ngx_kong_ask_t *ask)
{
    ngx_kong_ask_close(ask);
    ask->done(ask->data);
}


static void
ngx_kong_ask_resume(void *data)
{
    ngx_kong_ask_t  *ask = data;

    ngx_kong_resume(ask->request);
}


static void
ngx_kong_ask_told(void *data)
{
    ngx_kong_ask_t  *ask = data;

    ngx_destroy_pool(ask->pool);
}


ngx_str_t
ngx_kong_ask_text(ngx_kong_ask_t *ask, const char *name)
{
    cJSON      *v;
    ngx_str_t   text;

    ngx_str_null(&text);
    v = cJSON_GetObjectItemCaseSensitive(ask->answer, name);

    if (cJSON_IsString(v)) {
        text.data = (u_char *) v->valuestring;
        text.len = ngx_strlen(text.data);
    }

    return text;
}


double
ngx_kong_ask_number(ngx_kong_ask_t *ask, const char *name)
{
    cJSON  *v;

    v = cJSON_GetObjectItemCaseSensitive(ask->answer, name);

    return cJSON_IsNumber(v) ? v->valuedouble : -1;
}


ngx_uint_t
ngx_kong_ask_takes(ngx_str_t *text)
{
    u_char    *p, *last, *start;
    uint32_t   ch;

    /* the shortest form of each character only */
    static const uint32_t  least[] = { 0, 0x20, 0x80, 0x800, 0x10000 };

    p = text->data;
    last = p + text->len;

    while (p < last) {
        start = p;
        ch = *p < 0x80 ? *p++ : ngx_utf8_decode(&p, last - p);

        if (ch > 0x10ffff || (ch >= 0xd800 && ch <= 0xdfff)
            || (ch >= 0x7f && ch < 0xa0) || p - start > 4
            || ch < least[p - start])
        {
            return 0;
        }
    }

    return 1;
}


ngx_uint_t
ngx_kong_ask_has_database(ngx_http_request_t *r)
{
    ngx_kong_control_t         *control;
    ngx_http_kong_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_kong_module);
    control = ngx_kong_zone_control(mcf->zone);

    return control->daemon.beat == 0 || control->daemon.database;
}


ngx_uint_t
ngx_kong_ask_is_busy(ngx_uint_t of)
{
    if (!ngx_kong_ask_trouble) {
        return of != 0 && ngx_kong_ask_n >= of;
    }

    if (!ngx_kong_ask_probing
        && (ngx_msec_int_t) (ngx_kong_ask_until - ngx_current_msec) <= 0)
    {
        ngx_kong_ask_probe();
    }

    return 1;
}


/* whether the trouble is over, without a request that waits for it */
static void
ngx_kong_ask_probe(void)
{
    ngx_pool_t      *pool;
    ngx_kong_ask_t  *ask;

    pool = ngx_create_pool(1024, ngx_cycle->log);
    if (pool == NULL) {
        return;
    }

    ask = ngx_kong_ask_new(pool, "/ping");
    if (ask == NULL) {
        ngx_destroy_pool(pool);
        return;
    }

    ngx_kong_ask_probing = 1;
    ask->done = ngx_kong_ask_probed;
    ask->data = ask;

    if (ngx_kong_ask_start(ask) != NGX_AGAIN) {
        ngx_kong_ask_probed(ask);
    }
}


static void
ngx_kong_ask_probed(void *data)
{
    ngx_kong_ask_probing = 0;
    ngx_kong_ask_told(data);
}


static void
ngx_kong_ask_add(ngx_kong_ask_t *ask, const char *name, const char *value,
    size_t len)
{
    if (ask->body.nelts > 1) {
        ngx_kong_ask_append(ask, ",", 1);
    }

    ngx_kong_ask_append(ask, "\"", 1);
    ngx_kong_ask_append(ask, name, ngx_strlen(name));
    ngx_kong_ask_append(ask, "\":", 2);
    ngx_kong_ask_append(ask, value, len);
}


static void
ngx_kong_ask_append(ngx_kong_ask_t *ask, const void *data, size_t len)
{
    u_char  *p;

    p = ngx_array_push_n(&ask->body, len);

    if (p == NULL) {
        ask->failed = 1;
        return;
    }

    ngx_memcpy(p, data, len);
}
