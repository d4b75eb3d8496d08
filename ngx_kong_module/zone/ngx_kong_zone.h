/*
 * The shared zone `kong_zone`: everything that the data plane writes.  It
 * survives a reload (the new cycle takes the old zone's data over), so a new
 * worker serves the generation that its siblings serve.
 */

#ifndef NGX_KONG_ZONE_H
#define NGX_KONG_ZONE_H

#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_KONG_ZONE_TEXT  256
#define NGX_KONG_MAX_WORKERS  128

/* what the daemon last said of itself (control socket, POST /state) */
typedef struct {
    ngx_atomic_t   beat;             /* ngx_time() of the last heartbeat */
    ngx_atomic_t   pid;
    ngx_atomic_t   since;            /* epoch s: when `ok` last changed */
    ngx_atomic_t   ok;               /* the source's last load was good */
    ngx_atomic_t   database;         /* 0: DB-less */
    ngx_atomic_t   reachable;
    ngx_atomic_t   changed;          /* epoch s: when `reachable` did */
    ngx_atomic_t   timeline;         /* of what is published; 0: not told */
    ngx_atomic_t   version;          /* the same */
    ngx_atomic_t   aside;            /* entities that are left out */
    u_char         host[128];        /* "" when none is in use */
    u_char         role[16];         /* "primary", "replica" or "" */
    u_char         source[16];       /* "file", "off", "postgres" */
    u_char         message[NGX_KONG_ZONE_TEXT];
} ngx_kong_daemon_state_t;

/* one cache line a worker */
typedef struct {
    ngx_atomic_t   pid;
    ngx_atomic_t   epoch;            /* what the worker has adopted */
    ngx_atomic_t   requests;
    u_char         pad[64 - 3 * sizeof(ngx_atomic_t)];
} ngx_kong_worker_t;

typedef struct {
    ngx_atomic_t              epoch; /* config << 32 | endpoints; 0 = none */
    ngx_atomic_t              published;     /* epoch s */
    ngx_atomic_t              draining;
    u_char                    pad[64 - 3 * sizeof(ngx_atomic_t)];

    u_char                    hash[33];      /* of the config segment */
    uint64_t                  asked;         /* publishes; under the lock */
    uint64_t                  stored;        /* the one that is served */
    ngx_atomic_t              n_routes;
    ngx_atomic_t              n_services;
    ngx_atomic_t              empty;
    ngx_atomic_t              refused;       /* generations */

    struct ngx_kong_counters_s  *counters;   /* ngx_kong_counters.h */
    struct ngx_kong_ledger_s    *ledger;     /* ngx_kong_ledger.h */
    struct ngx_kong_targets_s   *targets;    /* ngx_kong_targets.h */

    ngx_kong_daemon_state_t   daemon;
    ngx_kong_worker_t         workers[NGX_KONG_MAX_WORKERS];
} ngx_kong_control_t;


ngx_shm_zone_t *ngx_kong_zone_add(ngx_conf_t *cf, size_t size, void *tag);
ngx_kong_control_t *ngx_kong_zone_control(ngx_shm_zone_t *zone);

/* for this zone and others; NULL when the name is somebody else's, too */
ngx_shm_zone_t *ngx_kong_zone_share(ngx_conf_t *cf, ngx_str_t *name,
    size_t size, void *tag, ngx_shm_zone_init_pt init);
/* in its init: 1 when what was there before the reload serves on */
ngx_uint_t ngx_kong_zone_inherit(ngx_shm_zone_t *zone, void *data);

/* how many live; *behind: of these, how many have yet to adopt the epoch */
ngx_uint_t ngx_kong_zone_workers(ngx_kong_control_t *control,
    uint64_t epoch, ngx_uint_t *behind);

/* the zone's slab pool lock guards the texts (hash, daemon.source/message) */
void ngx_kong_zone_lock(ngx_shm_zone_t *zone);
void ngx_kong_zone_unlock(ngx_shm_zone_t *zone);

#endif
