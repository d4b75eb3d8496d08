/*
 * types: helpers behind the checks of types.c that entities need too.
 */

#ifndef KONG_TYPES_H
#define KONG_TYPES_H

#include "schema.h"


typedef enum {
    HOST_NAME = 1,
    HOST_IPV4,
    HOST_IPV6
} host_kind_t;

/* `host` in normal form: an IPv6 address has eight groups of four digits */
typedef struct {
    host_kind_t   kind;
    char          host[256];
    int           port;             /* -1: none */
} host_t;

typedef enum {
    HOST_OK = 0,
    HOST_INVALID,
    HOST_BAD_PORT
} host_result_t;


host_result_t host_parse(const char *s, size_t len, host_t *out);
/* what Kong says about a host that host_parse() refused */
const char *host_error(arena_t *a, host_result_t rc, const char *s,
    size_t len);

/* parts point into the text; len 0 with a NULL pointer when absent */
typedef struct {
    const char  *scheme, *host, *port, *path;
    size_t       scheme_len, host_len, port_len, path_len;
    bool         fragment;
} url_t;

void url_parse(const char *s, size_t len, url_t *out);

/* 1-based position of the first bad byte sequence, 0 when all is well */
size_t utf8_check(const char *s, size_t len);

/* tables shared by entities; NULL-ended */
extern const char *const  types_protocols[];
extern const field_t      types_tag;

#endif
