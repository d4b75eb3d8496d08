/*
 * Records that could not be delivered: counted, and told in the error log
 * once in a while.
 */

#ifndef NGX_KONG_LOG_LOST_H
#define NGX_KONG_LOG_LOST_H

#include "ngx_kong_plugin.h"


#define NGX_KONG_LOG_LOST_EVERY  10      /* s between two lines */

typedef struct {
    ngx_uint_t   n;                      /* not told yet */
    ngx_uint_t   all;
    time_t       told;
} ngx_kong_log_lost_t;


/* n more; `what` says where to ("file \"/a\""), `why` a sentence's end */
static ngx_inline void
ngx_kong_log_lost(ngx_kong_log_lost_t *lost, ngx_uint_t n, const char *plugin,
    ngx_str_t *what, ngx_err_t err, const char *why)
{
    lost->n += n;
    lost->all += n;

    if (lost->told != 0 && ngx_time() - lost->told < NGX_KONG_LOG_LOST_EVERY) {
        return;
    }

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, err,
                  "%s: \"%V\": %s: %ui entries were lost, %ui in all", plugin,
                  what, why, lost->n, lost->all);

    lost->n = 0;
    lost->told = ngx_time();
}

#endif
