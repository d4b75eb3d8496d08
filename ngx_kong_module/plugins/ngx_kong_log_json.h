/*
 * JSON that is written from beginning to end into one buffer, which is used
 * again for the next record.  A failure (out of memory) sticks; the caller
 * looks at it once, at the end.
 */

#ifndef NGX_KONG_LOG_JSON_H
#define NGX_KONG_LOG_JSON_H

#include "ngx_kong_plugin.h"


typedef struct {
    u_char      *data;
    size_t       len;
    size_t       size;
    ngx_uint_t   failed;
} ngx_kong_log_json_t;


/* room for n more bytes; NULL after a failure */
u_char *ngx_kong_log_json_room(ngx_kong_log_json_t *json, size_t n);
/* empty again; a large buffer is given back */
void ngx_kong_log_json_clear(ngx_kong_log_json_t *json);

void ngx_kong_log_json_raw(ngx_kong_log_json_t *json, const void *p,
    size_t len);
#define ngx_kong_log_json_put(json, text)                                     \
    ngx_kong_log_json_raw(json, text, sizeof(text) - 1)
void ngx_kong_log_json_number(ngx_kong_log_json_t *json, uint64_t n);

/* a string with its quotes; bytes that are no UTF-8 become U+FFFD */
void ngx_kong_log_json_string(ngx_kong_log_json_t *json, const u_char *p,
    size_t len);
/* the same in lower case, with a colon behind it: the name of a header */
void ngx_kong_log_json_name(ngx_kong_log_json_t *json, const u_char *p,
    size_t len);
/* in the place of a comma that is one too many, or else behind the last */
void ngx_kong_log_json_close(ngx_kong_log_json_t *json, u_char ch);

#endif
