/*
 * What is known of a request once it is over: Kong's log record.  For the log
 * handlers of plugins.
 */

#ifndef NGX_KONG_LOG_RECORD_H
#define NGX_KONG_LOG_RECORD_H

#include "ngx_kong_log_json.h"


/*
 * The record as one line of JSON without its end, in memory of this worker
 * until the next one is asked for; NGX_ERROR when out of memory.  Several
 * plugins of a request share it.
 */
ngx_int_t ngx_kong_log_record(ngx_http_request_t *r, ngx_str_t *record);
/* what the record is made of has changed */
void ngx_kong_log_record_changed(void);

/* ngx_kong_log_headers.c: members of the object that is open */
void ngx_kong_log_headers_in(ngx_http_request_t *r,
    ngx_kong_log_json_t *json);
void ngx_kong_log_headers_out(ngx_http_request_t *r,
    ngx_kong_log_json_t *json);
void ngx_kong_log_query(ngx_http_request_t *r, ngx_str_t *args,
    ngx_kong_log_json_t *json);

#endif
