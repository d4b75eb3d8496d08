/*
 * checker: active health checks.  Probes the addresses of every upstream that
 * has them switched on, tells nginx the results in batches, and learns from
 * it how each target is, since passive checks and the Admin API have a say,
 * too.  nginx alone judges (thresholds, states): it goes on when this process
 * is gone, and another one goes on with what nginx knows.
 *
 * Idle without such upstreams.  Everything happens in the daemon's loop, and
 * nothing in it waits.
 */

#ifndef KONG_HEALTH_CHECKER_H
#define KONG_HEALTH_CHECKER_H

#include <event2/event.h>

#include "../compile/compile.h"
#include "../conf/conf.h"
#include "../publish/control.h"


typedef struct checker_s  checker_t;


/* NULL: out of memory */
checker_t *checker_new(struct event_base *base, control_t *control,
    const conf_t *conf);
/* probes under way are dropped; NULL is fine */
void checker_free(checker_t *c);

/* the settings were read again */
void checker_reload(checker_t *c, const conf_t *conf);

/*
 * What nginx serves from now on: the upstreams of `config`, which may be
 * NULL, and the answers to the names of its targets.  Neither is kept.  What
 * is there no more is not probed any more; the rest keeps its pace.
 */
void checker_watch(checker_t *c, const config_t *config,
    const compile_endpoint_t *names, size_t n);
/* what is shown to upstreams is not in their endpoints: they are to be watched
 * anew with every configuration */
unsigned checker_shows(const checker_t *c);

#endif
