/*
 * response-transformer is three files: response_transformer.c has the
 * configuration and the handlers, response_transformer_headers.c and _body.c
 * the changes to what their names say.
 *
 * A conf lives as long as its instance, a state as long as its request.
 */

#ifndef RESPONSE_TRANSFORMER_H
#define RESPONSE_TRANSFORMER_H

#include "ngx_kong_fields.h"


/* operations, in their order */
#define RESPONSE_REMOVE   0
#define RESPONSE_RENAME   1
#define RESPONSE_REPLACE  2
#define RESPONSE_ADD      3
#define RESPONSE_APPEND   4
#define RESPONSE_OPS      5

typedef struct {
    ngx_str_t                  name;
    ngx_str_t                  value;    /* data NULL: none */
    ngx_str_t                  json;     /* of a member; data NULL: none */
} response_item_t;

typedef struct {
    response_item_t           *items;
    ngx_uint_t                 n;
} response_list_t;

typedef struct {
    response_list_t            headers[RESPONSE_OPS];
    response_list_t            json[RESPONSE_OPS];
    ngx_uint_t                 n_headers;
    ngx_uint_t                 n_json;
} response_conf_t;

typedef struct {
    ngx_chain_t               *held;     /* own copies */
    ngx_chain_t              **last;
    size_t                     size;
    unsigned                   done:1;   /* the rest passes */
} response_state_t;


/* response_transformer_headers.c */

/* applies all operations on headers; NGX_OK or NGX_ERROR */
ngx_int_t response_headers(ngx_http_request_t *r, response_conf_t *conf);


/* response_transformer_body.c */

/* copies a buffer to the end of state->held; NGX_OK or NGX_ERROR */
ngx_int_t response_hold(ngx_http_request_t *r, response_state_t *state,
    ngx_buf_t *b);
/* state->held, the whole body, becomes the chain to send; what is no JSON
 * object is sent as it came.  NGX_OK or NGX_ERROR */
ngx_int_t response_body(ngx_http_request_t *r, response_conf_t *conf,
    response_state_t *state);

#endif
