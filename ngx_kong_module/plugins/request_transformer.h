/*
 * request-transformer is four files: request_transformer.c has the order of
 * the work, request_transformer_headers.c, _body.c and _multipart.c the
 * changes to what their names say.
 */

#ifndef REQUEST_TRANSFORMER_H
#define REQUEST_TRANSFORMER_H

#include "ngx_kong_template.h"
#include "ngx_kong_fields.h"


/* operations, in their order */
#define RT_REMOVE   0
#define RT_RENAME   1
#define RT_REPLACE  2
#define RT_ADD      3
#define RT_APPEND   4
#define RT_OPS      5

/* parts of the request */
#define RT_HEADERS  0
#define RT_BODY     1
#define RT_QUERY    2
#define RT_PARTS    3

typedef enum {
    RT_BODY_OTHER = 0,
    RT_BODY_JSON,
    RT_BODY_MULTIPART,
    RT_BODY_FORM
} rt_body_type_t;

typedef struct {
    ngx_str_t            name;
    ngx_str_t            lower;
    ngx_kong_template_t  value;
    ngx_uint_t           has_value;
} rt_item_t;

typedef struct {
    rt_item_t           *items;
    ngx_uint_t           n;
} rt_list_t;

typedef struct {
    rt_list_t            lists[RT_OPS][RT_PARTS];
    ngx_uint_t           n[RT_PARTS];    /* items of the part */
    ngx_kong_template_t  uri;
    ngx_str_t            method;
    ngx_uint_t           method_id;      /* 0: not one that can be set */
    ngx_uint_t           has_uri;
} rt_conf_t;

typedef struct {
    ngx_kong_env_t      *env;
    ngx_uint_t           step;
    ngx_uint_t           to_head;        /* the client did not ask HEAD */
} rt_state_t;


/* rendered values of a list, as many as it has; a missing one is empty */
ngx_int_t rt_values(ngx_http_request_t *r, rt_list_t *list,
    rt_state_t *state, ngx_str_t **values);


/* request_transformer_headers.c */

/* applies one operation; returns NGX_OK or NGX_ERROR */
ngx_int_t rt_header_list(ngx_http_request_t *r, ngx_uint_t op,
    rt_list_t *list, ngx_str_t *values);

/* all but ! # $ & ' ( ) * + , / : ; = ? @ [ \ ] - _ . ~ % and letters and
 * digits */
extern const uint32_t  rt_unsafe_path[];


/* request_transformer_body.c */

/* applies one operation to ngx_kong_field_t's; *changed (may be NULL) is set
 * to 1 when it had something to do */
ngx_int_t rt_field_list(ngx_array_t *fields, ngx_uint_t op, rt_list_t *list,
    ngx_str_t *values, ngx_uint_t *changed);
/* reads the body and changes it; returns as an access handler does */
ngx_int_t rt_body(ngx_http_request_t *r, rt_conf_t *conf, rt_state_t *state);
rt_body_type_t rt_body_type(ngx_http_request_t *r);
/* as ngx_kong_body(), one that is too large is logged */
ngx_int_t rt_read_body(ngx_http_request_t *r, ngx_str_t *body);

/* rename, remove and replace need a body, add and append do not */
#define rt_applies(op, body)                                                  \
    ((body)->len != 0 || (op) == RT_ADD || (op) == RT_APPEND)


/* request_transformer_multipart.c */

/* changes a body of that type; one that cannot be told apart is left alone */
ngx_int_t rt_multipart(ngx_http_request_t *r, rt_conf_t *conf,
    rt_state_t *state, ngx_str_t *body);

#endif
