/*
 * probe: one look at one address, through libcurl on the daemon's loop: a
 * connection, and unless the type is tcp a GET, of whose answer the status
 * line alone is read.
 *
 * As in Kong the request is of HTTP/1.0 and bears the configured headers and
 * Host, and `timeout` is the time that may pass until the connection stands
 * (with its TLS handshake), and again until the status line is there.
 */

#ifndef KONG_HEALTH_PROBE_H
#define KONG_HEALTH_PROBE_H

#include <curl/curl.h>
#include <event2/event.h>

#include "probe_tls.h"


typedef struct probes_s  probes_t;
typedef struct probe_s   probe_t;

typedef enum {
    PROBE_STATUS = 0,        /* there is a status */
    PROBE_SUCCESS,           /* of tcp: it has accepted the connection */
    PROBE_HTTP,              /* what came is no HTTP */
    PROBE_TCP,               /* no connection, no handshake, or it broke */
    PROBE_TIMEOUT,
    PROBE_NOTHING            /* the trouble was this process's own */
} probe_result_t;

/* of an upstream */
typedef struct {
    unsigned            http:1;      /* else a connection is enough */
    unsigned            tls:1;
    unsigned            verify:1;
    unsigned            host:1;      /* the headers have one */
    long                timeout;     /* ms */
    char               *path;
    char               *cert;        /* PEM, to be shown; NULL: the default */
    char               *key;
    struct curl_slist  *headers;
} probe_settings_t;

/* of an address; the strings are the caller's while it is probed */
typedef struct {
    const char         *url;         /* by the name in its certificate */
    struct curl_slist   connect;     /* "::<ip>:<port>" */
    struct curl_slist   host;        /* "Host: ..."; the caller fills data */
} probe_target_t;

typedef void (*probe_done_pt)(void *owner, probe_result_t result,
    unsigned status);


/* NULL: out of memory */
probes_t *probes_new(struct event_base *base, probe_done_pt done);
/* needed before the first probe; the one before is freed, the new one is with
 * the probes */
void probes_set_tls(probes_t *p, probe_tls_t *tls);
/* what is under way ends without a call; NULL is fine */
void probes_free(probes_t *p);

/* NULL: out of memory.  Else done() is called once, and not from within;
 * both structs live until then */
probe_t *probe_start(probes_t *p, const probe_settings_t *settings,
    probe_target_t *target, void *owner);
/* no call follows */
void probe_cancel(probe_t *p);

#endif
