/*
 * counters: rate limits with the policy cluster.  Each node's module counts in
 * its ledger; here what it owes is fetched from the control socket at short
 * intervals, added to Kong's tables in one statement each, and the new sums
 * are brought back with the next fetch.  No request waits for any of it.
 */

#ifndef KONG_COUNTERS_H
#define KONG_COUNTERS_H

#include "../conf/conf.h"
#include "../model/config.h"
#include "../publish/control.h"


typedef struct counters_s  counters_t;


/* idle until counters_watch() has found such a plugin; NULL: errno is set */
counters_t *counters_new(struct event_base *base, control_t *control,
    const conf_t *c);
/* waits are cut short; NULL is fine */
void counters_free(counters_t *c);
/* the settings were read again */
void counters_reload(counters_t *c, const conf_t *conf);
/* the configuration that is served from now on; it is not kept */
void counters_watch(counters_t *c, const config_t *config);

#endif
