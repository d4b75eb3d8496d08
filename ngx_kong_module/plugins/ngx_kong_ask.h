/*
 * Questions of this worker to the daemon, which asks the database: a small
 * HTTP request over a unix socket, never waited for.  A request is suspended
 * meanwhile, and takes its question with it when it ends.  Whatever becomes
 * of the daemon, there is an end within NGX_KONG_ASK_TIMEOUT.
 */

#ifndef NGX_KONG_ASK_H
#define NGX_KONG_ASK_H

#include "ngx_kong_peer.h"

#include <cjson/cJSON.h>


#define NGX_KONG_ASK_TIMEOUT  6000

/* status of an answer */
#define NGX_KONG_ASK_FAILED    0         /* there was none */
#define NGX_KONG_ASK_OK        200
#define NGX_KONG_ASK_BAD       400
#define NGX_KONG_ASK_NONE      404       /* no such row (any more) */
#define NGX_KONG_ASK_DBLESS    501
#define NGX_KONG_ASK_NOT_NOW   503       /* the database does not answer */

typedef struct ngx_kong_ask_s  ngx_kong_ask_t;

typedef void (*ngx_kong_ask_done_pt)(void *data);

/* one question, from its pool, which must outlive it */
struct ngx_kong_ask_s {
    ngx_uint_t                   status;
    cJSON                       *answer;     /* an object, or NULL */
    unsigned                     over:1;     /* status is known */

    /* the client's own */
    const char                  *path;
    ngx_pool_t                  *pool;
    ngx_array_t                  body;
    ngx_kong_peer_t             *peer;
    ngx_http_request_t          *request;
    ngx_kong_ask_done_pt         done;
    void                        *data;
    u_char                      *pos;
    u_char                      *last;
    ngx_array_t                  in;
    const char                  *error;
    unsigned                     failed:1;   /* out of memory meanwhile */
};


/* NULL when out of memory */
ngx_kong_ask_t *ngx_kong_ask_new(ngx_pool_t *pool, const char *path);

/* members of the question; an empty text or one without data is left out */
void ngx_kong_ask_str(ngx_kong_ask_t *ask, const char *name, ngx_str_t *value);
void ngx_kong_ask_num(ngx_kong_ask_t *ask, const char *name, double value);
void ngx_kong_ask_flag(ngx_kong_ask_t *ask, const char *name);
void ngx_kong_ask_id(ngx_kong_ask_t *ask, const char *name,
    const uint8_t *uuid);

/*
 * For access handlers: NGX_AGAIN is for the handler to return, it is called
 * again when ask->over; NGX_OK: it is over already; NGX_ERROR.
 */
ngx_int_t ngx_kong_ask_wait(ngx_http_request_t *r, ngx_kong_ask_t *ask);
/* nobody waits for the answer; the question's pool ends with it */
void ngx_kong_ask_tell(ngx_kong_ask_t *ask);

/* of the answer; an empty text when there is none, -1 */
ngx_str_t ngx_kong_ask_text(ngx_kong_ask_t *ask, const char *name);
double ngx_kong_ask_number(ngx_kong_ask_t *ask, const char *name);

/* a text that a database takes and a header may hold: UTF-8, no controls */
ngx_uint_t ngx_kong_ask_takes(ngx_str_t *text);

/* 0 only when the daemon has said that there is none */
ngx_uint_t ngx_kong_ask_has_database(ngx_http_request_t *r);

/* whether it is not worth while: the last question had no answer, which is
 * found out again in the background, or `of` questions (0: any number) are
 * open */
ngx_uint_t ngx_kong_ask_is_busy(ngx_uint_t of);

#endif
