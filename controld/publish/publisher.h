/*
 * publisher: takes new segments to the disk and to nginx, one pair at a time
 * and in the order of their submission.
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
} publisher_state_t;


/* `disk` is where files are written.  NULL: out of memory */
publisher_t *publisher_new(struct event_base *base, store_t *store,
    offload_t *disk, control_t *control);
/* drops what is not done yet, without a call.  `disk` must be idle, that is
 * freed before, and `control` is freed after */
void publisher_stop(publisher_t *p);
void publisher_free(publisher_t *p);

/*
 * Either buffer may be NULL; the bytes are taken over (buf->data becomes
 * NULL).  done() may be NULL and is never called from within.
 */
int publisher_submit(publisher_t *p, uint32_t config, segment_buf_t *c,
    uint32_t endpoints, segment_buf_t *e, publish_done_pt done, void *data);

/* the pair that `current` names, 0 when there is none */
void publisher_current(publisher_t *p, uint32_t *config,
    uint32_t *endpoints);
/* 1 when the module has answered for that pair */
int publisher_served(publisher_t *p);

/* shown from now on, told at once and each second */
void publisher_state(publisher_t *p, const publisher_state_t *state);

#endif
