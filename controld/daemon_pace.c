/*
 * daemon_pace: how fast configurations follow one another.  Each costs CPU
 * in proportion to its size, so that without a bound a source that changes all
 * the time would take a CPU from the traffic.  What they cost is a debt, which
 * is paid off at a quarter of a CPU; a configuration waits only while the
 * debt is larger than what a few changes in a row may take, and never for
 * longer than PACE_LONGEST.  What changes meanwhile goes out with it.
 */

#include <time.h>

#include "daemon_private.h"


#define PACE_SHARE    0.25             /* of one CPU */
#define PACE_FREE     0.1              /* s of CPU that nobody waits for */
#define PACE_LONGEST  1.0              /* s */


static double pace_clock(clockid_t id);
static void pace_pay(daemon_pace_t *p);


void
daemon_pace_begin(daemon_pace_t *p)
{
    p->began = pace_clock(CLOCK_PROCESS_CPUTIME_ID);
}


void
daemon_pace_end(daemon_pace_t *p)
{
    double  most;

    pace_pay(p);
    p->debt += pace_clock(CLOCK_PROCESS_CPUTIME_ID) - p->began;

    most = PACE_FREE + PACE_LONGEST * PACE_SHARE;

    if (p->debt > most) {
        p->debt = most;
    }
}


int
daemon_pace_rest(daemon_t *d)
{
    double          s;
    struct timeval  tv;

    pace_pay(&d->pace);

    if (d->pace.debt <= PACE_FREE) {
        return -1;
    }

    s = (d->pace.debt - PACE_FREE) / PACE_SHARE;
    tv.tv_sec = (time_t) s;
    tv.tv_usec = (suseconds_t) ((s - (double) tv.tv_sec) * 1e6);

    return evtimer_add(d->rest, &tv);
}


static void
pace_pay(daemon_pace_t *p)
{
    double  now;

    now = pace_clock(CLOCK_MONOTONIC);
    p->debt -= (now - p->paid) * PACE_SHARE;
    p->paid = now;

    if (p->debt < 0) {
        p->debt = 0;
    }
}


/* s */
static double
pace_clock(clockid_t id)
{
    struct timespec  t;

    (void) clock_gettime(id, &t);

    return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}
