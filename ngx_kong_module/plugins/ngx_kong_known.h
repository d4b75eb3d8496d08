/*
 * What the daemon has lately answered to this worker: a bounded table of
 * facts by key.  A fact is as good as new for a second; an older one is asked
 * again, and counts on while the daemon does not answer, until its own time
 * is over.  What is not there is remembered apart, so that keys made up at
 * random push nothing out that is.
 */

#ifndef NGX_KONG_KNOWN_H
#define NGX_KONG_KNOWN_H

#include "ngx_kong_plugin.h"


#define NGX_KONG_KNOWN_TEXTS  4

typedef enum {
    NGX_KONG_KNOWN_TOKEN = 1,
    NGX_KONG_KNOWN_SESSION
} ngx_kong_known_kind_t;

typedef struct {
    ngx_str_t    texts[NGX_KONG_KNOWN_TEXTS];
    time_t       until;                  /* 0: for ever */
    unsigned     none:1;                 /* there is no such thing */
    unsigned     fresh:1;
} ngx_kong_fact_t;


/* NGX_OK with the fact, texts in `pool`; NGX_DECLINED: nothing is known */
ngx_int_t ngx_kong_known_get(ngx_kong_known_kind_t kind, ngx_str_t *key,
    ngx_pool_t *pool, ngx_kong_fact_t *fact);
/* copies it; what does not fit is not remembered */
void ngx_kong_known_set(ngx_kong_known_kind_t kind, ngx_str_t *key,
    const ngx_kong_fact_t *fact);
void ngx_kong_known_forget(ngx_kong_known_kind_t kind, ngx_str_t *key);

#endif
