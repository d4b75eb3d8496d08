/*
 * The directives of a Cache-Control header, a request's or an answer's.
 * Plain C; takes any bytes.
 */

#ifndef KONG_CACHE_CONTROL_H
#define KONG_CACHE_CONTROL_H

#include <stddef.h>


#define KONG_CACHE_NONE  -1              /* not there */
#define KONG_CACHE_ANY   0x7fffffffL     /* max-stale without a number */

typedef struct {
    unsigned  no_store:1;
    unsigned  no_cache:1;
    unsigned  private:1;
    unsigned  only_if_cached:1;
    long      max_age;                   /* seconds */
    long      s_maxage;
    long      max_stale;
    long      min_fresh;
} kong_cache_control_t;


void kong_cache_control_init(kong_cache_control_t *cc);
/* adds those of one header line; a name that comes again counts last */
void kong_cache_control_parse(kong_cache_control_t *cc, const char *p,
    size_t len);

#endif
