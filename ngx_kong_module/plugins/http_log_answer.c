/*
 * The answer to a batch: its status is what counts.  The connection is kept
 * when the end of a body of known length is there.
 */

#include "http_log.h"


static ngx_int_t http_log_head_read(ngx_kong_log_send_t *send);
static u_char *http_log_head_end(ngx_kong_log_send_t *send);
static ngx_int_t http_log_status(ngx_kong_log_send_t *send);
static void http_log_framing(ngx_kong_log_send_t *send, u_char *end,
    ngx_int_t status);
static ngx_int_t http_log_body_read(ngx_kong_log_send_t *send);


ngx_int_t
http_log_answer(ngx_kong_log_send_t *send)
{
    ssize_t    n;
    ngx_int_t  rc;

    for ( ;; ) {

        if (send->head) {
            rc = http_log_body_read(send);

        } else {
            rc = http_log_head_read(send);
        }

        if (rc != NGX_AGAIN) {
            return rc;
        }

        if (send->head) {
            send->in_len = 0;
        }

        if (send->in_len == sizeof(send->in)) {
            send->why = "its answer has too long a head";
            return NGX_ERROR;
        }

        n = ngx_kong_peer_recv(send->peer, send->in + send->in_len,
                               sizeof(send->in) - send->in_len);

        if (n == NGX_AGAIN) {
            return NGX_AGAIN;
        }

        if (n <= 0 && send->head) {

            /* the status was good, and only the rest of the body is not
             * there */

            send->keep = 0;
            return NGX_OK;
        }

        if (n <= 0) {
            send->why = "the connection was closed before an answer";
            return (send->reused && send->in_len == 0) ? NGX_DECLINED
                                                       : NGX_ERROR;
        }

        send->in_len += n;

        if (send->head) {
            send->rest -= n;
        }
    }
}


/* NGX_AGAIN: more is needed, or the head is there now */
static ngx_int_t
http_log_head_read(ngx_kong_log_send_t *send)
{
    size_t      rest;
    u_char     *end;
    ngx_int_t   status;

    for ( ;; ) {
        end = http_log_head_end(send);
        if (end == NULL) {
            return NGX_AGAIN;
        }

        status = http_log_status(send);

        if (status < 100) {
            send->why = "it answered what is no HTTP";
            return NGX_ERROR;
        }

        if (status >= 200) {
            break;
        }

        rest = send->in + send->in_len - end;
        ngx_memmove(send->in, end, rest);
        send->in_len = rest;
    }

    if (status >= 300) {
        send->why = "it answered with another status than 2xx";
        return NGX_ERROR;
    }

    send->head = 1;
    http_log_framing(send, end, status);
    send->rest -= send->in + send->in_len - end;

    return http_log_body_read(send);
}


static u_char *
http_log_head_end(ngx_kong_log_send_t *send)
{
    u_char  *p, *last;

    last = send->in + send->in_len;

    for (p = send->in; p + 3 < last; p++) {
        if (p[0] == CR && p[1] == LF && p[2] == CR && p[3] == LF) {
            return p + 4;
        }
    }

    return NULL;
}


static ngx_int_t
http_log_status(ngx_kong_log_send_t *send)
{
    if (send->in_len < sizeof("HTTP/1.1 200") - 1
        || ngx_strncmp(send->in, "HTTP/1.", 7) != 0 || send->in[8] != ' ')
    {
        return NGX_ERROR;
    }

    return ngx_atoi(send->in + 9, 3);
}


/* how long the body is; -1: its end is not looked for */
static void
http_log_framing(ngx_kong_log_send_t *send, u_char *end, ngx_int_t status)
{
    u_char  *p, *line, *value;
    off_t    n;

    send->keep = (send->in[7] == '1');
    send->rest = (status == NGX_HTTP_NO_CONTENT) ? 0 : -1;

    for (line = send->in; line < end; line = p + 1) {

        p = ngx_strlchr(line, end, LF);
        if (p == NULL) {
            break;
        }

        value = ngx_strlchr(line, p, ':');
        if (value == NULL) {
            continue;
        }

        for (value++; value < p && *value == ' '; value++) { /* void */ }

        if (ngx_strncasecmp(line, (u_char *) "content-length:", 15) == 0) {
            n = ngx_atoof(value, p - 1 - value);

            if (n >= 0 && send->rest == -1) {
                send->rest = n;
            }

        } else if (ngx_strncasecmp(line, (u_char *) "transfer-encoding:", 18)
                   == 0
                   || (ngx_strncasecmp(line, (u_char *) "connection:", 11)
                       == 0
                       && ngx_strlcasestrn(value, p, (u_char *) "close",
                                           5 - 1)
                          != NULL))
        {
            send->keep = 0;
        }
    }

    if (send->rest == -1) {
        send->keep = 0;
    }
}


/* what was read in vain is taken from the rest already */
static ngx_int_t
http_log_body_read(ngx_kong_log_send_t *send)
{
    if (!send->keep || send->rest == 0) {
        return NGX_OK;
    }

    if (send->rest < 0) {

        /* more than it had announced */

        send->keep = 0;
        return NGX_OK;
    }

    return NGX_AGAIN;
}
