/*
 * daemon_private: the parts of a running daemon, shared by the files that
 * make it up: daemon.c (life cycle), daemon_apply.c (from a loaded
 * configuration to a served one), daemon_prepare.c (the same once, for the
 * command line).
 */

#ifndef KONG_DAEMON_PRIVATE_H
#define KONG_DAEMON_PRIVATE_H

#include "admin/admin.h"
#include "ask/ask.h"
#include "counters/counters.h"
#include "daemon.h"
#include "dns/dns.h"
#include "health/checker.h"
#include "offload.h"
#include "publish/publisher.h"
#include "source/file.h"
#include "source/load.h"
#include "source/source.h"


#define DAEMON_SIGNALS      5
#define DAEMON_RESOLVE      2000     /* ms a new configuration waits for DNS */
#define DAEMON_SETTLE       5        /* ms to gather changes of addresses */
#define DAEMON_RETRY        1000
#define DAEMON_KEEP         1        /* s of quiet before a text is kept */
#define DAEMON_KEEP_DATABASE  10


typedef struct daemon_s  daemon_t;
typedef struct apply_s   apply_t;

/* a configuration on its way; one at a time */
struct apply_s {
    daemon_t          *daemon;
    load_t            *load;
    generation_t      *before;       /* what the load is held against */
    dns_set_t         *set;
    uint64_t           sum;          /* of its endpoints */
    unsigned           restore:1;    /* what is served, not published */
    uint32_t           resume;       /* the number of what is served, which
                                        the database may give again; or 0 */
    unsigned           source:1;     /* the declarative file or string */
    unsigned           sent:1;       /* its names are the daemon's */
    dns_set_t         *old_set;
    uint64_t           old_sum;
    offload_job_t      job;

    admin_posted_pt    posted;       /* of POST /config, or NULL */
    void              *data;
};

/* the text of a generation on its way to <generation>.source */
typedef struct {
    store_t           *store;
    generation_t      *generation;
    daemon_t          *daemon;
    apply_t           *apply;        /* waits for it, or NULL */
    offload_job_t      job;
} daemon_keep_t;

struct daemon_s {
    conf_t              *conf;
    arena_t             *conf_arena; /* of a conf that was read again */
    conf_t              *first_conf;
    const char *const   *plugins;    /* of conf; NULL: all bundled ones */

    struct event_base   *base;
    struct event        *signals[DAEMON_SIGNALS];
    struct event        *settle;
    struct event        *quiet;      /* then the active text is kept */
    unsigned             keeping;    /* texts under way */
    offload_t           *loader;
    offload_t           *disk;
    offload_t           *keep;       /* waits for the disk */
    offload_t           *web;
    control_t           *control;
    store_t             *store;
    publisher_t         *publisher;
    counters_t          *counters;
    checker_t           *checker;
    dns_t               *dns;
    file_t              *file;
    const source_ops_t  *ops;        /* of a database, NULL: a file */
    source_t            *source;
    size_t               n_aside;    /* entities that are left out */
    char                 aside[300];
    unsigned             shown_ok;   /* as /status has it */
    double               shown_since;
    admin_t             *admin;
    ask_t               *ask;        /* answers nginx's workers */

    generation_t        *active;
    dns_set_t           *set;        /* names of what is sent or served */
    uint64_t             sum;        /* of the endpoints last sent; 0: none */
    uint64_t             checked;    /* of those that are probed */
    apply_t             *apply;      /* under way */
    apply_t             *post;       /* waits for it */
    unsigned             wanted:1;   /* the source is to be read again */
    unsigned             forced:1;   /* even if its text is the same */
    unsigned             restored:1; /* `active` is from the text kept of it */
    unsigned             stopping:1;

    unsigned             ok;         /* of the source's last load */
    char                *message;
    double               since;
};


/* daemon_apply.c */
void daemon_restore(daemon_t *d);
void daemon_want(daemon_t *d, unsigned forced);
int daemon_post(void *data, load_t *load, admin_posted_pt posted,
    void *user);
void daemon_addresses(void *data);
void daemon_settled(evutil_socket_t fd, short what, void *data);
void daemon_report(daemon_t *d, unsigned ok, const char *message);
void daemon_apply_free(apply_t *a);
/* of the source of a segment that is on disk; -1: it cannot be used */
int daemon_segment_hash(store_t *store, uint32_t config, char hash[33]);

/* daemon_keep.c */
/* soon, when no other configuration follows */
void daemon_keep_soon(daemon_t *d);
/* now; `a`, which may be NULL, is finished afterwards */
int daemon_keep(daemon_t *d, apply_t *a);
void daemon_keep_quiet(evutil_socket_t fd, short what, void *data);
/* daemon_apply.c: the text of what was posted is kept */
void daemon_kept(apply_t *a);

/* daemon_source.c: when there is a database */
int daemon_is_database(const conf_t *c);
int daemon_source_open(daemon_t *d, const char **err);
void daemon_source_close(daemon_t *d);
void daemon_source_reload(daemon_t *d, unsigned forced);
int daemon_source_take(daemon_t *d, apply_t *a);
/* what it gives may be what is served: then it is only taken up */
void daemon_source_resume(daemon_t *d, apply_t *a);
void daemon_source_done(daemon_t *d, apply_t *a, unsigned good);
void daemon_source_aside(daemon_t *d, load_t *l);
void daemon_source_state(daemon_t *d, publisher_state_t *out);

/* daemon_database.c: a good load, which may be LOAD_UNCHANGED, or -1 */
typedef struct {
    struct event_base   *base;
    dns_t               *dns;
    const char          *dir;        /* of the fence; NULL: none */
} daemon_first_t;

int daemon_database_load(arena_t *a, conf_t *c, const daemon_first_t *f,
    load_t *l, const char **err);

/* shared with daemon_prepare.c; text from `a` */
int daemon_has_source(const conf_t *c);
const char *daemon_source(const conf_t *c);
void daemon_load_opts(load_t *l, const conf_t *c,
    const char *const *plugins);
const char *daemon_path(load_t *l, const conf_t *c);
void daemon_load_source(const conf_t *c, load_t *l);
void daemon_dns_conf(arena_t *a, const conf_t *c, dns_conf_t *out);
void daemon_log_errors(const char *what, const char *report);
double daemon_time(void);

/* daemon_endpoints.c */

/* the names of a generation; the set holds a reference to it */
dns_set_t *daemon_set(arena_t *a, dns_t *dns, generation_t *g, size_t *n);
int daemon_endpoints(arena_t *a, const dns_set_t *set, uint32_t generation,
    segment_buf_t *out, const char **err);
/* of all that daemon_endpoints() would write */
uint64_t daemon_sum(arena_t *a, const dns_set_t *set);
/* what is served now is what is to be probed */
void daemon_check(daemon_t *d);
/* the addresses of a pair that is on disk, for the names of `set` */
void daemon_seed(dns_t *dns, store_t *store, uint32_t endpoints);

#endif
