/*
 * proxy-cache is four files: proxy_cache.c has the plugin and its order of
 * work, proxy_cache_key.c what makes two requests the same one,
 * proxy_cache_control.c what may be kept and for how long,
 * proxy_cache_store.c how an answer is kept and sent again.
 *
 * A conf lives as long as its instance, a state as long as its request.
 */

#ifndef PROXY_CACHE_H
#define PROXY_CACHE_H

#include "ngx_kong_plugin.h"
#include "kong_cache_control.h"
#include "../zone/ngx_kong_cache.h"


#define PROXY_CACHE_HEX     (2 * NGX_KONG_CACHE_KEY)
#define PROXY_CACHE_PARAMS  8            /* of a media type */

typedef struct {
    ngx_str_t               type;        /* lower case; empty: any */
    ngx_str_t               subtype;
    ngx_str_t               names[PROXY_CACHE_PARAMS];
    ngx_str_t               values[PROXY_CACHE_PARAMS];
    ngx_uint_t              n;
} proxy_cache_type_t;

typedef struct {
    ngx_shm_zone_t         *zone;
    ngx_uint_t              methods;     /* NGX_HTTP_GET ... */
    ngx_uint_t             *codes;
    ngx_uint_t              n_codes;
    proxy_cache_type_t     *types;
    ngx_uint_t              n_types;
    ngx_str_t              *params;      /* empty: all */
    ngx_uint_t              n_params;
    ngx_str_t              *headers;     /* names as configured */
    ngx_str_t              *lower;
    ngx_uint_t              n_headers;
    time_t                  ttl;         /* seconds */
    time_t                  storage_ttl; /* 0: as the ttl */
    unsigned                cache_control:1;
    unsigned                ignore_case:1;
    unsigned                show_age:1;
    unsigned                show_status:1;
    unsigned                show_key:1;
} proxy_cache_conf_t;

typedef struct {
    ngx_kong_cache_entry_t  entry;
    u_char                  hex[PROXY_CACHE_HEX];
    const char             *status;      /* "Hit", "Miss" ... */
    ngx_chain_t            *body;
    ngx_chain_t           **last;
    size_t                  size;
    off_t                   length;      /* the whole body's, -1: not known */
    unsigned                has_key:1;
    unsigned                hit:1;
    unsigned                wanted:1;    /* an answer may be kept */
    unsigned                storing:1;
} proxy_cache_state_t;


/* proxy_cache_key.c */

/* sets the key in state->entry and as text, and what the key does not tell
 * apart but must (entry.extra); NGX_OK, or NGX_ERROR without memory */
ngx_int_t proxy_cache_key(ngx_http_request_t *r, proxy_cache_conf_t *conf,
    proxy_cache_state_t *state, ngx_str_t *body);
/* a hash of the request's (`data`) values of the headers named in a Vary */
uint64_t proxy_cache_vary(void *data, ngx_str_t *names);


/* proxy_cache_control.c */

/* "type/subtype; name=value"; 0 when it is none.  Nothing is copied */
ngx_uint_t proxy_cache_parse_type(ngx_str_t *text, proxy_cache_type_t *type);
/* the directives of all Cache-Control headers of the request */
void proxy_cache_request_control(ngx_http_request_t *r,
    kong_cache_control_t *cc);
/* may the entry be sent to a request with these directives? */
ngx_uint_t proxy_cache_fresh(proxy_cache_conf_t *conf,
    ngx_kong_cache_entry_t *entry, kong_cache_control_t *cc);
/* may the answer under way be kept?  If so entry.ttl, .names and .vary are
 * set */
ngx_uint_t proxy_cache_cacheable(ngx_http_request_t *r,
    proxy_cache_conf_t *conf, proxy_cache_state_t *state);


/* proxy_cache_store.c */

/* takes the upstream's headers; the body follows, or there is none.  NGX_OK,
 * or NGX_ERROR without memory */
ngx_int_t proxy_cache_begin(ngx_http_request_t *r, proxy_cache_conf_t *conf,
    proxy_cache_state_t *state);
/* copies what passes, and stores the whole once its end is seen */
void proxy_cache_take(ngx_http_request_t *r, proxy_cache_conf_t *conf,
    proxy_cache_state_t *state, ngx_chain_t *in);
/* sets what is kept as the answer; returns as ngx_kong_exit() does */
ngx_int_t proxy_cache_answer(ngx_http_request_t *r,
    proxy_cache_state_t *state);

#endif
