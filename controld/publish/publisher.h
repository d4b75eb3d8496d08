/*
 * publisher: takes new segments to the disk and to nginx, one pair at a time
 * and in the order of their submission.
 *
 * Files are written, told to nginx and only then waited for: the page cache
 * that nginx maps is the same before and after.  `current` names a pair once
 * it is on the disk, so that a crash of the machine in between goes back to
 * the pair before, which is whole.
 *
 * What arrives while a pair is under way is merged into the next one: the
 * newest configuration and the newest endpoints win, and everybody who
 * waited learns the outcome of the pair that contains theirs.
 *
 * Without nginx (nobody listens on the control socket) a pair is complete
 * once `current` names it, since nginx starts on that; the publisher goes on
 * telling until the module knows.  With an nginx that hangs it is not.
 */

#ifndef KONG_PUBLISHER_H
#define KONG_PUBLISHER_H

#include "../offload.h"
#include "control.h"
#include "store.h"


typedef struct publisher_s  publisher_t;

typedef enum {
    PUBLISH_SERVED = 0,      /* by every worker, for every new request */
    PUBLISH_STORED = 1,      /* there is no nginx now; it will start on it */
    PUBLISH_REFUSED = -1,    /* by the module; its files are removed */
    PUBLISH_FAILED = -2      /* not on disk (full?); nothing has changed */
} publish_rc_t;

/* `err` is a sentence, or NULL when rc >= 0 */
typedef void (*publish_done_pt)(void *data, publish_rc_t rc,
    const char *err);

/* what the module shows in /status; strings are copied */
typedef struct {
    const char  *source;     /* "file", "off", "postgres" */
    unsigned     ok;
    const char  *message;    /* the first error, or "" */
    const char  *hash;
    double       since;      /* epoch seconds */
    unsigned     database;   /* the source is one */
    unsigned     reachable;
    const char  *host;       /* in use; "" when none is */
    const char  *role;       /* "primary", "replica" or "" */
    double       changed;    /* when `reachable` did, epoch seconds */
    uint64_t     timeline;   /* of what is published; 0: not known */
    int64_t      version;    /* the same; -1: it has none */
    size_t       aside;      /* entities that are left out */
} publisher_state_t;


typedef struct {
    offload_t   *disk;       /* files are written here */
    offload_t   *keep;       /* and here the disk is waited for */
} publisher_threads_t;


/* called when nginx serves a pair that is newer than ours, which is kept: what
 * the source holds is to be published again, whatever it is */
void publisher_on_adopt(publisher_t *p, void (*adopted)(void *data),
    void *data);

/* NULL: out of memory */
publisher_t *publisher_new(struct event_base *base, store_t *store,
    const publisher_threads_t *threads, control_t *control);
/* drops what is not served yet, without a call; what is served becomes
 * current in publisher_free().  The threads and `control` are freed between
 * the two */
void publisher_stop(publisher_t *p);
void publisher_free(publisher_t *p);

/*
 * Either buffer may be NULL; the bytes are taken over (buf->data becomes
 * NULL).  done() may be NULL and is never called from within.
 */
int publisher_submit(publisher_t *p, uint32_t config, segment_buf_t *c,
    uint32_t endpoints, segment_buf_t *e, publish_done_pt done, void *data);

/* the same, but done() does not wait for the disk: what it tells is served may
 * be gone after a crash of the machine */
int publisher_submit_early(publisher_t *p, uint32_t config,
    segment_buf_t *c, uint32_t endpoints, segment_buf_t *e,
    publish_done_pt done, void *data);

/* the pair that is served or that nginx would start on, 0 without one */
void publisher_current(publisher_t *p, uint32_t *config,
    uint32_t *endpoints);
/* 1 when the module has answered for that pair */
int publisher_served(publisher_t *p);

/* shown from now on, told at once and each second */
void publisher_state(publisher_t *p, const publisher_state_t *state);

#endif
