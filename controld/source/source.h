/*
 * source: what the daemon knows of where configurations come from when it is
 * not a file.  Everything runs in the loop; only load_t.make(), which take()
 * sets, runs in the loader's thread.
 */

#ifndef KONG_SOURCE_H
#define KONG_SOURCE_H

#include <event2/event.h>

#include "../conf/conf.h"
#include "../dns/dns.h"
#include "load.h"


/* of notifications: a version, or SOURCE_PURGE and a key */
#define SOURCE_CHANNEL  "kong_changes"
#define SOURCE_PURGE    "purge "

typedef struct source_s  source_t;

typedef struct {
    struct event_base  *base;
    dns_t              *dns;
    const char         *dir;         /* where its own state is kept */
    void              (*ready)(void *data);    /* take() has something */
    void              (*state)(void *data);    /* source_state_t differs */
    /* another node was asked to forget what proxy-cache keeps under a key, or
     * "all"; NULL: nobody minds */
    void              (*purge)(void *data, const char *key);
    void               *data;
    unsigned            quiet:1;     /* the state is not logged */
} source_host_t;

typedef struct {
    unsigned     reachable:1;
    unsigned     tried:1;            /* one way or the other, it is known */
    const char  *message;            /* why it is not read; "" when it is */
    const char  *host;               /* in use, "" when none is */
    const char  *role;               /* "primary", "replica" or "" */
    double       since;              /* epoch s: when `reachable` changed */
    uint64_t     timeline;           /* of what is published; 0: not told */
    int64_t      version;            /* of what is published; -1: none */
} source_state_t;

/* where a change is that was committed */
typedef enum {
    SOURCE_UNKNOWN = 0,              /* it may be in what is being read */
    SOURCE_TAKEN,                    /* in what take() has given */
    SOURCE_NEXT                      /* in what it gives next */
} source_holds_t;

typedef struct {
    const char  *name;               /* in /status */

    /* NULL with *err a sentence */
    source_t   *(*open)(const source_host_t *host, const conf_t *c,
                        const char **err);
    void        (*close)(source_t *s);           /* NULL is fine */
    /* new settings; everything is read again when `forced` */
    int         (*reload)(source_t *s, const conf_t *c, unsigned forced,
                          const char **err);
    /* 0: the load is filled in; -1: there is nothing to load */
    int         (*take)(source_t *s, load_t *l);
    /* what take() gave is done with: `good` when it is published, or is what
     * was published before */
    void        (*done)(source_t *s, unsigned good);
    void        (*state)(const source_t *s, source_state_t *out);
    /* of a version that is not published; what is said of it will come to be
     * published, even if it turns out to be what was published before */
    source_holds_t (*holds)(source_t *s, int64_t version);
} source_ops_t;


extern const source_ops_t  source_postgres;

#endif
